/* The engine's life, and its clock.
 *
 * client_settle is the heart: whatever an event changed, it then compares what is wanted with what is and acts on the
 * difference, until nothing is left to do. Each round changes states that only time or the driver can change back, so it
 * ends; nothing here waits.
 */
#include <assert.h>
#include <stdlib.h>

#include "client/internal.h"

enum {
    CALL_TIMEOUT_MS = 5000,
    CONNECT_TIMEOUT_MS = 2000,
    SILENCE_MS = 3000,
    CALLS_MAX = 100000,
    SETTLE_ROUNDS_MAX = 1000, /* far above what any event needs */
};
#define BYTES_MAX ((size_t)64 << 20)

/* ---- life ---- */

static int64_t ms_or(int64_t value, int64_t otherwise)
{
    return value > 0 ? value : otherwise;
}

static size_t size_or(size_t value, size_t otherwise)
{
    return value ? value : otherwise;
}

static void configure(struct client *c, const struct client_config *config)
{
    c->call_timeout_ms = ms_or(config->call_timeout_ms, CALL_TIMEOUT_MS);
    c->connect_timeout_ms = ms_or(config->connect_timeout_ms, CONNECT_TIMEOUT_MS);
    c->never_older = config->never_older;
    c->silence_ms = ms_or(config->silence_ms, SILENCE_MS);
    c->calls_max = size_or(config->calls_max, CALLS_MAX);
    c->queued_bytes_max = size_or(config->queued_bytes_max, BYTES_MAX);
    c->watch_bytes_max = size_or(config->watch_bytes_max, BYTES_MAX);
    c->rng = config->seed;
    c->log = config->log;
    c->on_event = config->on_event;
    c->on_event_user = config->on_event_user;
    c->broken_renew_from_receipt = config->broken_renew_from_receipt;
    c->broken_deadline = config->broken_deadline;
    c->broken_rest = config->broken_rest;
}

static void init_lists(struct client *c)
{
    list_init(&c->conns);
    list_init(&c->io);
    list_init(&c->dirty);
    list_init(&c->waiting);
    list_init(&c->pinned);
    list_init(&c->resting);
    list_init(&c->done);
    list_init(&c->spare_calls);
    list_init(&c->deliveries);
}

static int init_parts(struct client *c, const struct client_config *config, struct tenure_error *err)
{
    int rc = endpoints_init(c, config, err);
    if (rc)
        return rc;
    if (timer_init(c, &c->pool_timer, TIMER_POOL) || watches_init(c) || keepalives_init(c))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    return login_init(c, config, err);
}

int client_new(const struct client_config *config, tn_ms now, struct client **ret, struct tenure_error *err)
{
    struct client *c = calloc(1, sizeof *c);
    if (!c)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->now = now;
    configure(c, config);
    init_lists(c);
    heap_init(&c->timers);
    heap_node_init(&c->pool_timer.node);
    arena_init(&c->feed_arena, 0);
    arena_init(&c->deliver_arena, 0);
    buf_init(&c->scratch);
    login_zero(c);
    watches_zero(c);
    keepalives_zero(c);
    int rc = init_parts(c, config, err);
    if (rc) {
        client_free(c);
        return rc;
    }
    *ret = c;
    return 0;
}

void client_close(struct client *c, tn_ms now)
{
    if (c->closed)
        return;
    c->now = now;
    c->closed = true;
    calls_close(c);
    watches_close(c);
    keepalives_close(c);
    while (!list_empty(&c->conns))
        conn_end(c, LIST_ENTRY(c->conns.next, struct conn, link), "closed", false);
    timer_arm(c, &c->pool_timer, TN_MS_NEVER);
}

static void free_conns(struct client *c)
{
    while (!list_empty(&c->conns))
        conn_end(c, LIST_ENTRY(c->conns.next, struct conn, link), "closed", true);
    while (!list_empty(&c->io)) {
        struct conn *conn = LIST_ENTRY(c->io.next, struct conn, io_link);
        list_remove(&conn->io_link);
        free(conn);
    }
}

struct client *client_free(struct client *c)
{
    if (!c)
        return NULL;
    assert(!c->delivering);
    client_close(c, c->now);
    free_conns(c);
    watches_fini(c);
    keepalives_fini(c);
    calls_fini(c);
    login_fini(c);
    heap_fini(&c->timers);
    endpoints_fini(c);
    arena_fini(&c->feed_arena);
    arena_fini(&c->deliver_arena);
    buf_fini(&c->scratch);
    free(c);
    return NULL;
}

/* ---- the turn ---- */

void client_settle(struct client *c)
{
    for (int round = 0; c->unsettled; round++) {
        assert(round < SETTLE_ROUNDS_MAX);
        c->unsettled = false;
        login_settle(c);
        pool_settle(c);
        watches_settle(c);
        keepalives_settle(c);
    }
}

static void fire(struct client *c, struct timer *t)
{
    switch (t->kind) {
    case TIMER_CALL:
        call_on_timer(c, CONTAINER_OF(t, struct client_call, timer));
        break;
    case TIMER_CONN:
        conn_check(c, CONTAINER_OF(t, struct conn, timer));
        break;
    case TIMER_POOL:
        client_unsettle(c);
        break;
    case TIMER_WATCH_STREAM:
        watches_on_timer(c);
        break;
    case TIMER_KEEPALIVE:
        keepalive_on_timer(c, CONTAINER_OF(t, struct client_keepalive, timer));
        break;
    case TIMER_KEEPALIVE_STREAM:
    case TIMER_LOGIN:
        client_unsettle(c);
        break;
    }
}

void client_tick(struct client *c, tn_ms now)
{
    struct heap_node *first;
    c->now = now;
    while ((first = heap_first(&c->timers)) && first->at <= now) {
        heap_remove(&c->timers, first);
        fire(c, CONTAINER_OF(first, struct timer, node));
    }
    client_settle(c);
}

tn_ms client_deadline(const struct client *c)
{
    const struct heap_node *first = heap_first(&c->timers);
    if (c->n_deliveries > 0)
        return c->now;
    return first ? first->at : TN_MS_NEVER;
}

/* ---- numbers ---- */

tn_ms client_now(const struct client *c)
{
    return c->now;
}

struct client_context *client_context_use(struct client *c, struct client_context *x)
{
    struct client_context *before = c->context;
    c->context = x;
    return before;
}

struct client_context *client_context_now(const struct client *c)
{
    return c->context;
}

uint64_t client_random(struct client *c)
{
    return rng_u64(&c->rng);
}

bool client_is_connected(const struct client *c)
{
    return c->current && c->current->state == CONN_READY;
}

struct client_stats client_stats(const struct client *c)
{
    struct client_stats s = c->stats;
    s.failures = c->failures;
    s.under_way = c->n_calls;
    s.watches = c->watches.n;
    s.keepalives = c->keepalives.n;
    return s;
}
