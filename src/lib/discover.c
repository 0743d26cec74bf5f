/* Learning the members' addresses.
 *
 *     no connection -> DUE when there is one, again after each loss -> ASKING -> RESTING for the period -> DUE
 *
 * Nothing is asked while the program asks nothing: the list is read over the connection that is there. A serializable read, so
 * that a member without a quorum tells of the others too. Failure: it is asked again after the period. */
#include "lib/discover.h"

#include <stdlib.h>

#include "io/address.h"

#define PORT_DEFAULT 2379

struct discover {
    struct object object;
    struct client_call *call; /* NULL = none under way */
    int64_t every_ms;
    tn_ms next_at; /* while connected */
    bool connected;
};

static struct discover *discover_of(const struct object *o)
{
    return CONTAINER_OF(o, struct discover, object);
}

/* ---- which addresses ---- */

static bool is_known(const struct client *engine, const char *url)
{
    char text[IO_ADDRESS_TEXT_MAX];
    struct io_address a;
    for (size_t i = 0; i < client_endpoints(engine); i++) {
        if (io_address_parse(client_endpoint(engine, i), PORT_DEFAULT, &a, NULL) == 0 &&
            strcmp(io_address_text(&a, text, sizeof text), url) == 0)
            return true;
    }
    return false;
}

static bool all_are_local(const struct client *engine)
{
    struct io_address a;
    for (size_t i = 0; i < client_endpoints(engine); i++) {
        if (io_address_parse(client_endpoint(engine, i), PORT_DEFAULT, &a, NULL) == 0 && !io_address_is_loopback(&a))
            return false;
    }
    return true;
}

static bool is_of_use(const struct client *engine, const struct io_address *a)
{
    bool nowhere = strcmp(a->host, "0.0.0.0") == 0 || strcmp(a->host, "::") == 0 || strcmp(a->host, "") == 0;
    if (a->kind == IO_ADDRESS_TCP && nowhere)
        return false;
    return !io_address_is_loopback(a) || all_are_local(engine);
}

static void learn_one(tenure_client *c, bytes url)
{
    char text[IO_ADDRESS_TEXT_MAX];
    struct io_address a;
    struct tenure_error ignored;
    if (url.len >= sizeof text || client_endpoints(c->engine) >= ENDPOINTS_MAX)
        return;
    memcpy(text, url.data, url.len);
    text[url.len] = 0;
    if (io_address_parse(text, PORT_DEFAULT, &a, NULL) < 0 || !is_of_use(c->engine, &a))
        return;
    io_address_text(&a, text, sizeof text);
    if (is_known(c->engine, text) || client_endpoint_add(c->engine, text, &ignored) < 0)
        return; /* out of memory: the next time */
    struct log log = {.sink = c->log ? handle_log_sink : NULL, .user = c};
    log_write(&log, LOG_INFO, "endpoint learnt", "endpoint=%s", text);
}

static void on_members(void *user, const struct client_result *r)
{
    struct discover *d = user;
    tenure_client *c = d->object.handle;
    d->call = NULL;
    d->next_at = handle_now(c) + d->every_ms;
    for (size_t i = 0; r->code == 0 && i < r->members->n_members; i++) {
        const struct member *m = &r->members->members[i];
        for (size_t u = 0; !m->is_learner && u < m->n_client_urls; u++)
            learn_one(c, m->client_urls[u]);
    }
}

/* ---- the object ---- */

static tn_ms discover_deadline(const struct object *o)
{
    const struct discover *d = discover_of(o);
    return d->connected && !d->call ? d->next_at : TN_MS_NEVER;
}

static void discover_tick(struct object *o, tn_ms now)
{
    struct discover *d = discover_of(o);
    struct client_call_options opt = {.timeout_ms = o->handle->call_timeout_ms};
    struct tenure_error ignored;
    d->next_at = now + d->every_ms;
    if (o->handle->state == HANDLE_OPEN)
        d->call = client_member_list(o->handle->engine, true, &opt, on_members, d, now, &ignored);
}

/* Each turn: a connection that is new is asked at once. */
static void discover_publish(struct object *o)
{
    struct discover *d = discover_of(o);
    bool connected = o->handle->engine && client_is_connected(o->handle->engine);
    if (connected && !d->connected)
        d->next_at = o->handle->now;
    d->connected = connected;
}

static void discover_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static bool is_over(const struct object *o)
{
    (void)o;
    return false; /* it goes with the handle */
}

static void discover_free(struct object *o)
{
    free(discover_of(o));
}

static const struct object_type discover_type = {
    .deadline = discover_deadline,
    .tick = discover_tick,
    .publish = discover_publish,
    .close = discover_close,
    .is_over = is_over,
    .is_passive = true,
    .free = discover_free,
};

int lib_discover_start(tenure_client *c, int64_t every_ms, struct tenure_error *err)
{
    struct discover *d = calloc(1, sizeof *d);
    if (!d)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    d->every_ms = every_ms;
    c->learns = true;
    object_init(&d->object, c, &discover_type);
    return 0;
}
