/* A lock that waits: the watches on the key before and on the own one, and what of their events ends the wait. See lock_machine.h. */
#include <assert.h>

#include "recipes/lock_machine.h"

/* The key that is waited for is gone. */
static void before_gone(struct lock *l, tn_ms now)
{
    client_watch_stop(lock_client(l), l->watch_before, now);
    l->watch_before = NULL;
    backoff_success(&l->backoff);
    if (l->broken_skip_verify)
        lock_become_first(l, now);
    else
        lock_verify(l, now);
}

static bool shows_delete(const struct client_watch_events *e, bytes key, tn_rev after)
{
    for (size_t i = 0; i < e->n_events; i++)
        if (e->events[i].type == EVENT_DELETE && e->events[i].kv.mod_revision > after &&
            bytes_equal(e->events[i].kv.key, key))
            return true;
    return false;
}

/* Whether it may be that the own weight fits now. Of those before it only permits are left, and none comes; when all is
 * known of them, the place is as good as had, and the successor may hear of it with the next request. */
static bool has_made_room(struct lock *l, const struct client_watch_events *e)
{
    bool any = false, doubt = l->mixed;
    for (size_t i = 0; i < e->n_events; i++) {
        const struct event *ev = &e->events[i];
        if (ev->type != EVENT_DELETE || !queue_counts(&l->queue, ev->kv.key) ||
            (ev->has_prev_kv && ev->prev_kv.create_revision >= l->create))
            continue;
        any = true;
        doubt = doubt || !ev->has_prev_kv;
        l->taken -= queue_rule_of(&l->queue, ev->kv.key).weight;
    }
    l->touch = !doubt && l->taken <= l->room && l->rule.kind == RULE_PERMIT;
    return l->touch || (doubt && any);
}

static bool is_waited_for(struct lock *l, const struct client_watch_events *e)
{
    switch (l->wait) {
    case QUEUE_WAIT_GONE:
        return shows_delete(e, buf_bytes(&l->before), 0);
    case QUEUE_WAIT_CHANGED:
        return e->n_events > 0;
    case QUEUE_WAIT_ROOM:
        return has_made_room(l, e);
    }
    return false;
}

static void on_before_events(void *user, const struct client_watch_events *e)
{
    struct lock *l = user;
    struct session *s = lock_session(l);
    if (l->state == LOCK_WAITING && is_waited_for(l, e))
        before_gone(l, client_now(session_client(s)));
    session_flush(s);
}

static void on_own_events(void *user, const struct client_watch_events *e)
{
    struct lock *l = user;
    struct session *s = lock_session(l);
    if (l->create && shows_delete(e, l->queue.own, l->create))
        lock_own_key_gone(l, client_now(session_client(s)));
    session_flush(s);
}

static bool ends_for_good(int code)
{
    return code == TENURE_EDENIED || code == TENURE_ECLOSED || code == TENURE_EINVALID || code == TENURE_EUNIMPLEMENTED;
}

void lock_watch_ended(struct lock *l, int code, const struct tenure_error *error, tn_ms now)
{
    bool for_good = ends_for_good(code);
    if (l->state == LOCK_HELD) {
        if (!for_good)
            lock_retry_later(l, now);
    } else if (lock_is_acquiring(l) && for_good) {
        struct tenure_error why = *error;
        error_wrap(&why, "'%.100s': watch", lane_path(l->lane));
        lock_end_acquire(l, &why, now);
    } else if (l->state == LOCK_WAITING) {
        lock_stop_watches(l, now);
        lock_move(l, LOCK_VERIFYING);
        lock_retry_soon(l, now);
    }
}

static void on_before_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    struct lock *l = user;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    client_watch_stop(session_client(s), l->watch_before, now);
    l->watch_before = NULL;
    lock_watch_ended(l, code, error, now);
    session_flush(s);
}

static void on_own_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    struct lock *l = user;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    client_watch_stop(session_client(s), l->watch_own, now);
    l->watch_own = NULL;
    lock_watch_ended(l, code, error, now);
    session_flush(s);
}

struct client_watch *lock_start_watch(struct lock *l, struct watch_create_req *req,
                                      const struct client_watch_callbacks *cb, tn_ms now)
{
    req->start_revision = l->seen + 1;
    return client_watch_start(lock_client(l), req, cb, l, now, NULL);
}

static bool start_watch_own(struct lock *l, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_own_events, .on_end = on_own_end};
    struct watch_create_req req = {.range.key = l->queue.own, .no_put = true};
    if (!l->watch_own)
        l->watch_own = lock_start_watch(l, &req, &cb, now);
    return l->watch_own != NULL;
}

static bool start_watch_before(struct lock *l, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_before_events, .on_end = on_before_end};
    struct watch_create_req one = {.range.key = buf_bytes(&l->before), .no_put = l->wait == QUEUE_WAIT_GONE};
    struct watch_create_req all = {
        .range = {l->queue.dir, l->queue.dir_end}, .no_put = true, .prev_kv = true}; /* which shows who was behind */
    assert(!l->watch_before);
    l->watch_before = lock_start_watch(l, l->wait == QUEUE_WAIT_ROOM ? &all : &one, &cb, now);
    return l->watch_before != NULL;
}

static void note_wait(struct lock *l, const struct queue_view *v)
{
    buf_reset(&l->before);
    buf_append_bytes(&l->before, v->before);
    l->wait = l->broken_herd ? QUEUE_WAIT_ROOM : v->wait;
    l->taken = v->taken;
    l->room = v->room;
    l->mixed = v->mixed || l->broken_herd;
}

void lock_wait_for(struct lock *l, const struct queue_view *v, tn_ms now)
{
    if (l->try_only) {
        lock_refuse_busy(l, now);
        return;
    }
    if (l->broken_rule && l->rule.kind != RULE_WHOLE) {
        lock_become_first(l, now);
        return;
    }
    note_wait(l, v);
    if (buf_error(&l->before) || !start_watch_own(l, now) || !start_watch_before(l, now)) {
        if (l->state != LOCK_VERIFYING)
            lock_move(l, LOCK_VERIFYING);
        lock_retry_later(l, now);
        return;
    }
    lock_move(l, LOCK_WAITING);
    l->retry_at = TN_MS_NEVER;
    lock_arm(l);
}

void lock_watch_own(struct lock *l, tn_ms now)
{
    l->retry_at = TN_MS_NEVER;
    if (!start_watch_own(l, now) || !lock_start_watch_home(l, now))
        lock_retry_later(l, now);
    lock_arm(l);
}
