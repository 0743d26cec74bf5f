/* The connection's health, told once a change.
 *
 * Each turn compares what the engine has with what was told last; a difference is told by the next tick, which is where callbacks
 * belong. What came and went in between is not told. Before anything stood, a first failed endpoint is DOWN: a program
 * that waits for its first connection hears why. */
#include "lib/connection.h"

#include <stdlib.h>

#define WHY_MAX 256

struct connection {
    struct object object;
    lib_connection_cb cb;
    void *user;
    enum tenure_connection told;
    uint64_t told_number; /* of the connection that was told to be up */
    bool is_due;
};

static struct connection *connection_of(const struct object *o)
{
    return CONTAINER_OF(o, struct connection, object);
}

static enum tenure_connection present(const struct client *engine, uint64_t failures)
{
    if (client_is_connected(engine))
        return TENURE_CONNECTION_UP;
    return failures > 0 ? TENURE_CONNECTION_DOWN : TENURE_CONNECTION_NONE;
}

/* DOWN from UP also where no endpoint has failed: a server that ended the connection in peace. */
static enum tenure_connection state_of(const struct connection *k, const struct client_stats *s)
{
    enum tenure_connection state = present(k->object.handle->engine, s->failures);
    return state == TENURE_CONNECTION_NONE && k->told != TENURE_CONNECTION_NONE ? TENURE_CONNECTION_DOWN : state;
}

static bool is_other(const struct connection *k, enum tenure_connection state, uint64_t number)
{
    return state != k->told || (state == TENURE_CONNECTION_UP && number != k->told_number);
}

static void publish(struct object *o)
{
    struct connection *k = connection_of(o);
    if (!o->handle->engine)
        return;
    struct client_stats s = client_stats(o->handle->engine);
    k->is_due = is_other(k, state_of(k, &s), s.connections);
}

static tn_ms deadline(const struct object *o)
{
    return connection_of(o)->is_due ? o->handle->now : TN_MS_NEVER;
}

static const char *endpoint_in_use(const struct client *engine)
{
    for (size_t i = 0; i < client_endpoints(engine); i++)
        if (client_endpoint_stats(engine, i).in_use)
            return client_endpoint(engine, i);
    return "";
}

static void tick(struct object *o, tn_ms now)
{
    struct connection *k = connection_of(o);
    struct client *engine = o->handle->engine;
    char why[WHY_MAX] = "";
    (void)now;
    k->is_due = false;
    if (!engine || o->handle->state != HANDLE_OPEN)
        return;
    struct client_stats s = client_stats(engine);
    enum tenure_connection state = state_of(k, &s);
    if (!is_other(k, state, s.connections))
        return;
    k->told = state;
    k->told_number = s.connections;
    if (state == TENURE_CONNECTION_DOWN)
        client_endpoint_errors(engine, why, sizeof why);
    k->cb(k->user, state, state == TENURE_CONNECTION_UP ? endpoint_in_use(engine) : NULL, why);
}

static void close_it(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static bool is_over(const struct object *o)
{
    (void)o;
    return false; /* it goes with the handle */
}

static void free_it(struct object *o)
{
    free(connection_of(o));
}

static const struct object_type connection_type = {
    .deadline = deadline,
    .tick = tick,
    .publish = publish,
    .close = close_it,
    .is_over = is_over,
    .is_passive = true,
    .free = free_it,
};

int lib_connection_start(tenure_client *c, lib_connection_cb cb, void *user, struct tenure_error *err)
{
    struct connection *k = calloc(1, sizeof *k);
    if (!k)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    k->cb = cb;
    k->user = user;
    k->is_due = true; /* the first tick looks */
    object_init(&k->object, c, &connection_type);
    return 0;
}
