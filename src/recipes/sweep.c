/* See sweep.h. */
#include "recipes/sweep.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"

enum { AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 5000 };

struct sweep {
    struct session_object object;
    struct client *client;
    tn_rev create;
    tn_lease lease;
    struct op *op;
    bool over;
    struct backoff backoff;
    struct rng rng;
    size_t key_len;
    uint8_t key[];
};

static struct sweep *sweep_of(struct session_object *o)
{
    return CONTAINER_OF(o, struct sweep, object);
}

static void sweep_free(struct sweep *k)
{
    op_drop(&k->op, client_now(k->client));
    session_detach(&k->object);
    free(k);
}

static void later(struct sweep *k, tn_ms now)
{
    session_set_timer(&k->object, now + backoff_failure(&k->backoff, &k->rng));
}

static void on_deleted(void *owner, const struct client_result *r)
{
    struct sweep *k = owner;
    if (r->code == 0 || r->code == TENURE_EDENIED || r->code == TENURE_ECLOSED)
        sweep_free(k);
    else
        later(k, client_now(k->client));
}

static void try_it(struct sweep *k, tn_ms now)
{
    bytes key = bytes_of(k->key, k->key_len);
    struct compare guards[2] = {{.target = COMPARE_CREATE, .range.key = key, .number = k->create},
                                {.target = COMPARE_LEASE, .range.key = key, .number = k->lease}};
    struct request_op delete = {.kind = OP_DELETE, .del.range.key = key};
    struct txn_req req = {.compares = guards, .n_compares = 2, .success = &delete, .n_success = 1};
    struct client_call_options opt = {.repeatable = true};
    if (op_txn(&k->op, k->client, &req, &opt, on_deleted, k, now, NULL))
        later(k, now);
}

static void sweep_on_timer(struct session_object *o, tn_ms now)
{
    struct sweep *k = sweep_of(o);
    if (!k->over && !k->op)
        try_it(k, now);
}

/* The session goes through its objects: the end is a little later. */
static void sweep_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    (void)why, (void)now;
    sweep_of(o)->over = true;
    session_post(o);
}

static void sweep_on_dropped(struct session_object *o)
{
    sweep_free(sweep_of(o));
}

static void sweep_deliver(struct session_object *o)
{
    if (sweep_of(o)->over)
        sweep_free(sweep_of(o));
}

static const struct session_object_ops sweep_ops = {
    .on_timer = sweep_on_timer, .on_ended = sweep_on_ended, .on_dropped = sweep_on_dropped, .deliver = sweep_deliver};

void sweep_key(struct session *s, bytes key, tn_rev create, tn_ms now)
{
    struct sweep *k = session_valid(s, now) ? calloc(1, sizeof *k + key.len) : NULL;
    if (!k)
        return;
    k->client = session_client(s);
    k->create = create;
    k->lease = session_lease(s);
    k->key_len = key.len;
    if (key.len)
        memcpy(k->key, key.data, key.len);
    backoff_init(&k->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&k->rng, client_random(k->client));
    if (session_attach(s, &k->object, &sweep_ops))
        free(k);
    else
        later(k, now);
}
