/* A node: the public functions of other headers on one handle, under one identity, and the copies of services it has asked for.
 *
 * A service's copy is made by the first question for it and lives as long as the node; the list of them only grows, so that what
 * was found under the mutex may be used outside of it. Objects are the handle's and go with it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/connection.h"
#include "lib/handle.h"
#include "lib/post.h"
#include "lib/view.h"

#define CONNECT_TIMEOUT_MS 5000

/* A service that was asked for. */
struct followed {
    struct followed *next;
    tenure_service_view *view;
    tenure_picker *picker;
    char service[];
};

struct tenure_node {
    tenure_client *handle;
    char *service, *instance, *environment, *zone, *version, *cache_file; /* but service: NULL = not said */
    void (*on_connection)(void *user, enum tenure_connection state, const char *endpoint, const char *why);
    void *on_connection_user;
    atomic_int connection;
    pthread_mutex_t mutex; /* the rest: under it */
    struct followed *followed;
    size_t n_followed;
};

/* ---- who it is ---- */

/* What the option says, else the environment's; "" is none. */
static const char *said(const char *option, const char *variable)
{
    const char *text = option ? option : getenv(variable);
    return text && text[0] ? text : NULL;
}

static bool copy(char **ret, const char *text)
{
    *ret = text ? strdup(text) : NULL;
    return *ret || !text;
}

static int check_name(const char *what, const char *name, struct tenure_error *err)
{
    if (name && (!name[0] || strchr(name, '/')))
        return error_set(err, TENURE_EINVALID, "node: %s '%.100s': expected a name without a slash", what, name);
    return 0;
}

static int set_identity(tenure_node *n, const struct tenure_node_options *o, struct tenure_error *err)
{
    const char *service = said(o->service, "TENURE_CONFIG_SERVICE");
    bool ok = copy(&n->service, service ? service : program_invocation_short_name) &&
              copy(&n->instance, said(o->instance, "TENURE_CONFIG_INSTANCE")) &&
              copy(&n->environment, o->environment) && copy(&n->zone, o->zone) && copy(&n->version, o->version) &&
              copy(&n->cache_file, o->cache_file);
    if (!ok)
        return error_set(err, TENURE_ENOMEM, "node: out of memory");
    int rc = check_name("service", o->service ? o->service : n->service, err);
    return rc < 0 ? rc : check_name("instance", o->instance ? o->instance : n->instance, err);
}

/* ---- life ---- */

static void node_free(tenure_node *n)
{
    while (n->followed) {
        struct followed *f = n->followed;
        n->followed = f->next;
        tenure_picker_free(f->picker);
        free(f);
    }
    pthread_mutex_destroy(&n->mutex);
    free(n->service);
    free(n->instance);
    free(n->environment);
    free(n->zone);
    free(n->version);
    free(n->cache_file);
    free(n);
}

static tenure_node *node_new(const struct tenure_node_options *o, struct tenure_error *err)
{
    tenure_node *n = calloc(1, sizeof *n);
    if (!n || pthread_mutex_init(&n->mutex, NULL) != 0) {
        free(n);
        error_set(err, TENURE_ENOMEM, "node: out of memory");
        return NULL;
    }
    n->on_connection = o->on_connection;
    n->on_connection_user = o->on_connection_user;
    if (set_identity(n, o, err) == 0)
        return n;
    node_free(n);
    return NULL;
}

/* On the handle's loop; it is over when the handle begins to close, which is before n is freed. */
static void on_connection(void *user, enum tenure_connection state, const char *endpoint, const char *why)
{
    tenure_node *n = user;
    atomic_store(&n->connection, state);
    if (n->on_connection)
        n->on_connection(n->on_connection_user, state, endpoint, why);
}

struct listen {
    tenure_node *node;
    int rc;
    struct tenure_error *err;
};

static void listen_run(void *arg)
{
    struct listen *l = arg;
    l->rc = lib_connection_start(l->node->handle, on_connection, l->node, l->err);
    handle_wants_turn(l->node->handle);
}

static int take_handle(tenure_node *n, tenure_client *c, struct tenure_error *err)
{
    struct listen l = {.node = n, .err = err};
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    n->handle = c;
    return handle_sync(c, listen_run, &l) ? l.rc : error_set(err, TENURE_ECLOSED, "node: the handle is closed");
}

tenure_node *tenure_node_adopt(tenure_client *c, const struct tenure_node_options *options, struct tenure_error *err)
{
    struct tenure_node_options o;
    if (options_take(&o, sizeof o, options, "node", err) < 0)
        return NULL;
    if (o.client) {
        error_set(err, TENURE_EINVALID, "node: the handle's options were given when it was opened");
        return NULL;
    }
    tenure_node *n = node_new(&o, err);
    if (!n || take_handle(n, c, err) == 0)
        return n;
    node_free(n);
    return NULL;
}

tenure_node *tenure_node_open(const char *endpoints, const struct tenure_node_options *options,
                              struct tenure_error *err)
{
    struct tenure_node_options o;
    struct tenure_options client;
    if (options_take(&o, sizeof o, options, "node", err) < 0 ||
        options_take(&client, sizeof client, o.client, "options", err) < 0)
        return NULL;
    client.size = sizeof client;
    client.connect_timeout_ms = client.connect_timeout_ms ? client.connect_timeout_ms : CONNECT_TIMEOUT_MS;
    tenure_client *c = tenure_open(endpoints, &client, err);
    o.client = NULL;
    o.size = sizeof o;
    tenure_node *n = c ? tenure_node_adopt(c, &o, err) : NULL;
    if (!n)
        tenure_close(c);
    return n;
}

tenure_client *tenure_node_client(const tenure_node *n)
{
    return n ? n->handle : NULL;
}

enum tenure_connection tenure_node_connection(const tenure_node *n)
{
    return n ? (enum tenure_connection)atomic_load(&((tenure_node *)n)->connection) : TENURE_CONNECTION_NONE;
}

void tenure_node_close(tenure_node *n)
{
    if (!n)
        return;
    tenure_close(n->handle);
    node_free(n);
}

static int enter(const tenure_node *n, struct tenure_error *err)
{
    return n ? 0 : error_set(err, TENURE_EINVALID, "the node is NULL");
}

/* ---- elections, locks, configuration ---- */

static struct tenure_election_options election_options(const tenure_node *n)
{
    return (struct tenure_election_options){.size = sizeof(struct tenure_election_options),
                                            .proposal = tenure_str(n->instance)};
}

int tenure_node_lead(tenure_node *n, const char *name, int (*work)(tenure_election *e, tenure_token token, void *arg),
                     void *arg, struct tenure_error *err)
{
    int rc = enter(n, err);
    if (rc < 0)
        return rc;
    struct tenure_election_options o = election_options(n);
    return tenure_with_leadership(n->handle, name ? name : n->service, &o, work, arg, err);
}

tenure_election *tenure_node_campaign(tenure_node *n, const char *name,
                                      void (*on_gained)(tenure_election *e, tenure_token token, void *user),
                                      void (*on_lost)(tenure_election *e, enum tenure_loss why, void *user), void *user,
                                      struct tenure_error *err)
{
    if (enter(n, err) < 0)
        return NULL;
    struct tenure_election_options o = election_options(n);
    o.on_gained = on_gained;
    o.on_lost = on_lost;
    o.user = user;
    return tenure_election_start(n->handle, name ? name : n->service, &o, err);
}

int tenure_node_lock(tenure_node *n, const char *name, int64_t wait_ms, int (*work)(tenure_lock *lock, void *arg),
                     void *arg, struct tenure_error *err)
{
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = wait_ms};
    int rc = enter(n, err);
    return rc < 0 ? rc : tenure_with_lock(n->handle, name, &o, work, arg, err);
}

tenure_config *tenure_node_config(tenure_node *n, const char *keys,
                                  void (*on_change)(tenure_config *v, int64_t revision,
                                                    const struct tenure_config_change *changes, size_t count,
                                                    void *user),
                                  void *user, struct tenure_error *err)
{
    char *own = NULL;
    if (enter(n, err) < 0)
        return NULL;
    if (!keys && asprintf(&own, "%s/", n->service) < 0) {
        error_set(err, TENURE_ENOMEM, "node: out of memory");
        return NULL;
    }
    /* An instance's layer needs one; "" keeps the environment's out, which is in n->instance already. */
    struct tenure_config_options o = {.size = sizeof o,
                                      .environment = n->environment,
                                      .service = n->service,
                                      .instance = n->instance ? n->instance : "",
                                      .cache_file = keys ? NULL : n->cache_file,
                                      .on_change = on_change,
                                      .user = user};
    tenure_config *v = tenure_config_open(n->handle, keys ? keys : own, &o, err);
    free(own);
    return v;
}

/* ---- services ---- */

/* Whether the caller may wait for what comes from the loop. */
static bool may_wait(const tenure_node *n)
{
    const tenure_client *c = n->handle;
    return c->kit ? c->kit->may_wait(c->kit_user, "node", NULL) == 0 : c->kind == HANDLE_BLOCKING && !handle_on_loop(c);
}

tenure_service *tenure_node_register(tenure_node *n, const char *address, int32_t port, struct tenure_error *err)
{
    if (enter(n, err) < 0)
        return NULL;
    struct tenure_service_options o = {.size = sizeof o, .zone = n->zone, .version = n->version};
    return may_wait(n) ? tenure_register(n->handle, n->service, n->instance, address, port, &o, err)
                       : tenure_register_start(n->handle, n->service, n->instance, address, port, &o, err);
}

static void followed_free(struct followed *f)
{
    tenure_picker_free(f->picker);
    tenure_service_view_stop(f->view);
    free(f);
}

static struct followed *followed_new(tenure_node *n, const char *service, struct tenure_error *err)
{
    const char *zones[] = {n->zone};
    struct tenure_picker_options po = {.size = sizeof po, .zones = zones, .n_zones = n->zone ? 1 : 0};
    struct followed *f = calloc(1, sizeof *f + strlen(service) + 1);
    if (!f) {
        error_set(err, TENURE_ENOMEM, "node: out of memory");
        return NULL;
    }
    memcpy(f->service, service, strlen(service) + 1);
    f->view = tenure_service_view_start(n->handle, service, NULL, err);
    f->picker = f->view ? tenure_picker_new(f->view, &po, err) : NULL;
    if (f->picker)
        return f;
    followed_free(f);
    return NULL;
}

/* What is there already. It becomes mine where nobody has followed the service, and there is room. */
static struct followed *find(tenure_node *n, const char *service, struct followed *mine, bool *ret_full)
{
    pthread_mutex_lock(&n->mutex);
    struct followed *f = n->followed;
    while (f && strcmp(f->service, service) != 0)
        f = f->next;
    *ret_full = !f && n->n_followed >= TENURE_NODE_SERVICES_MAX;
    if (!f && mine && !*ret_full) {
        mine->next = n->followed;
        n->followed = f = mine;
        n->n_followed++;
    }
    pthread_mutex_unlock(&n->mutex);
    return f;
}

/* A view begins, and ends, outside of the mutex: it waits for the loop, whose callbacks take it. */
static struct followed *follow(tenure_node *n, const char *service, struct tenure_error *err)
{
    bool is_full;
    struct followed *f = find(n, service, NULL, &is_full);
    if (f)
        return f;
    struct followed *mine = is_full ? NULL : followed_new(n, service, err);
    if (!mine && !is_full)
        return NULL;
    if (mine)
        f = find(n, service, mine, &is_full);
    if (mine && f != mine)
        followed_free(mine);
    if (is_full)
        error_set(err, TENURE_ELIMIT, "node: %d services are followed already; use a view of your own for '%.100s'",
                  TENURE_NODE_SERVICES_MAX, service);
    return f;
}

/* The service's copy, which has a first list where the caller may wait for it. */
static struct followed *followed(tenure_node *n, const char *service, struct tenure_error *err)
{
    int rc = enter(n, err);
    if (rc == 0 && !service)
        rc = error_set(err, TENURE_EINVALID, "node: no service is named");
    if (rc == 0)
        rc = handle_enter(n->handle, err);
    if (rc < 0)
        return NULL;
    struct followed *f = follow(n, service, err);
    if (f && tenure_service_view_revision(f->view) == 0 && may_wait(n) &&
        tenure_service_view_await(f->view, 0, err) < 0)
        return NULL;
    return f;
}

struct tenure_instances *tenure_node_discover(tenure_node *n, const char *service, struct tenure_error *err)
{
    struct followed *f = followed(n, service, err);
    if (!f)
        return NULL;
    if (tenure_service_view_revision(f->view) > 0)
        return tenure_service_view_list(f->view, err);
    error_set(err, TENURE_EUNAVAILABLE, "node: nothing was listed yet of '%.100s'", service);
    return NULL;
}

const struct tenure_instance *tenure_node_pick(tenure_node *n, const char *service, struct tenure_error *err)
{
    struct followed *f = followed(n, service, err);
    return f ? tenure_pick(f->picker, tenure_str(""), err) : NULL;
}
