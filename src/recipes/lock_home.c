/* A lock that has a home: which region it is, is asked before anything is held, and watched while it is (homed.h). See
 * lock_machine.h. */
#include "recipes/homed.h"
#include "recipes/lock_machine.h"

void lock_home_gone(struct lock *l, const char *why, tn_ms now)
{
    struct tenure_error lost;
    error_set(&lost, TENURE_ELOST, "%s", why);
    lock_give_place_back(l, true, now);
    lock_become_lost(l, TENURE_ELOST, &lost);
}

static void home_of_held(struct lock *l, const struct homed_view *v, tn_ms now)
{
    if (v->answer == HOMED_ELSEWHERE) {
        lock_home_gone(l, v->error.text, now);
    } else if (v->answer == HOMED_SINCE || v->epoch != l->epoch) {
        lock_home_gone(l, "its home has moved, or has a greater epoch", now);
    } else if (l->look_home) {
        lock_ask_home(l, now);
    } else {
        backoff_success(&l->backoff);
        lock_watch_own(l, now);
    }
}

static void home_answered(struct lock *l, const struct homed_view *v, tn_ms now)
{
    l->seen = v->revision;
    if (v->answer == HOMED_OUT) {
        lock_own_key_gone(l, now);
    } else if (l->state == LOCK_HELD) {
        home_of_held(l, v, now);
    } else if (v->answer == HOMED_ELSEWHERE) {
        lock_end_acquire(l, &v->error, now);
    } else if (v->answer == HOMED_SINCE) {
        lock_let_pass(l, now); /* everybody who was in the queue before the record does */
    } else if (v->authority && lock_want_authority(l, v->prefix)) {
        lock_retry_later(l, now);
    } else {
        l->epoch = v->epoch;
        l->home_known = true;
        lock_become_first(l, now);
    }
}

static void on_homed(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    struct homed_view v;
    struct tenure_error err;
    int rc = r->code ? r->code : homed_answered(&l->queue, l->create, r->txn, &v, &err);
    if (rc == 0)
        home_answered(l, &v, now);
    else if (r->code && op_may_retry(r))
        lock_retry_later(l, now); /* looks who is before it, and asks again */
    else if (l->state == LOCK_HELD)
        lock_home_gone(l, r->code ? r->error->text : err.text, now);
    else
        lock_fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

void lock_ask_home(struct lock *l, tn_ms now)
{
    struct homed_txn t;
    struct client_call_options opt = {.repeatable = true};
    if (l->state != LOCK_VERIFYING && l->state != LOCK_HELD)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    l->look_home = false;
    homed_ask(&l->queue, l->create, &t);
    if (op_txn(&l->op, lock_client(l), &t.req, &opt, on_homed, l, now, NULL))
        lock_retry_later(l, now);
    lock_arm(l);
}

static void on_home_events(void *user, const struct client_watch_events *e)
{
    struct lock *l = user;
    struct session *s = lock_session(l);
    if (l->state == LOCK_HELD && e->n_events > 0 && l->op)
        l->look_home = true;
    else if (l->state == LOCK_HELD && e->n_events > 0)
        lock_ask_home(l, client_now(session_client(s)));
    session_flush(s);
}

static void on_home_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    struct lock *l = user;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    client_watch_stop(session_client(s), l->watch_home, now);
    l->watch_home = NULL;
    lock_watch_ended(l, code, error, now);
    session_flush(s);
}

bool lock_start_watch_home(struct lock *l, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_home_events, .on_end = on_home_end};
    struct watch_create_req req = {.range = home_range()};
    if (l->homed && !l->watch_home)
        l->watch_home = lock_start_watch(l, &req, &cb, now);
    return !l->homed || l->watch_home;
}
