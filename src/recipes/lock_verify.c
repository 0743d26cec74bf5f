/* The proof of a lock: one transaction says whether its key stands and who is before it; what follows from that. Also when it
 * is held, after a watch that ended, or to write its key. See lock_machine.h. */
#include "recipes/lock_machine.h"

void lock_note_whether_early(struct lock *l)
{
    l->asked_early = session_state(lock_session(l)) == SESSION_STARTING;
}

void lock_become_first(struct lock *l, tn_ms now)
{
    struct session *s = lock_session(l);
    if (session_state(s) == SESSION_STARTING) {
        l->first_unproven = true;
        return;
    }
    if (!session_check(s, now))
        return; /* and with it this object */
    if (l->asked_early && session_began_in_doubt(s)) {
        lock_verify(l, now);
        return;
    }
    if (l->delay_ms && !l->record) {
        lock_claim(l, now);
        return;
    }
    if (l->homed && !l->home_known) {
        lock_ask_home(l, now);
        return;
    }
    if (!lock_has_authority(l, now)) {
        lock_ask_authority(l, now);
        return;
    }
    lock_move(l, LOCK_HELD);
    l->resuming = false;
    backoff_success(&l->backoff);
    l->retry_at = l->watch_own && !l->homed ? TN_MS_NEVER : now + OWN_WATCH_AFTER_MS;
    lock_arm(l);
    lock_post_acquired(l, 0, NULL);
    if (l->touch)
        lock_verify(l, now);
}

/* What was asked while it is held: after an own watch that ended, or to write the key. */
static void verified_held(struct lock *l, bool touched, tn_ms now)
{
    if (touched)
        lock_post_shared(l, 0);
    if (l->touch)
        lock_verify(l, now);
    else if (l->homed)
        lock_ask_home(l, now);
    else
        lock_watch_own(l, now);
}

/* What is resumed held already. */
static bool lets_pass(struct lock *l, const struct queue_view *v, tn_ms now)
{
    int64_t own = session_ttl_s(lock_session(l));
    if (!v->better || l->resuming || l->broken_proud)
        return false;
    return l->broken_meek || patience_yields(&l->patience, own > v->better_ttl_s ? own : v->better_ttl_s, now);
}

void lock_let_pass(struct lock *l, tn_ms now)
{
    l->epoch = 0;
    lock_give_place_back(l, true, now);
    lock_move(l, LOCK_QUEUED);
    lane_join(l->lane, &l->in_lane, now);
    lock_arm(l);
}

/* It may hold. Those behind may have seen it wait, but when it has told them by this very request. */
static void verified_first(struct lock *l, const struct queue_view *v, bool touched, tn_ms now)
{
    if (lets_pass(l, v, now)) {
        lock_let_pass(l, now);
        return;
    }
    l->touch = l->rule.kind == RULE_PERMIT && !touched;
    lock_become_first(l, now);
}

/* The place to take up does not stand any more: to the end of the queue. */
static void resume_failed(struct lock *l, tn_ms now)
{
    lock_stop_work(l, now);
    lock_move(l, LOCK_ENTERING);
    lock_enter(l, now);
}

static void verified(struct lock *l, const struct queue_view *v, tn_ms now)
{
    bool touched = l->touching;
    l->seen = v->revision;
    l->look_at_all = v->look_at_all;
    l->touch = l->touch && !touched;
    l->touching = false;
    if (v->answer == QUEUE_OUT && l->resuming)
        resume_failed(l, now);
    else if (v->answer == QUEUE_OUT)
        lock_own_key_gone(l, now);
    else if (l->state == LOCK_HELD)
        verified_held(l, touched, now);
    else if (v->before.len)
        lock_wait_for(l, v, now);
    else if (v->look_at_all)
        lock_verify(l, now);
    else
        verified_first(l, v, touched, now);
}

static void on_verified(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    struct queue_view v;
    struct tenure_error err;
    int rc = r->code ? r->code : queue_verified(&l->queue, l->create, l->touching, r->txn, &v, &err);
    if (rc == 0)
        verified(l, &v, now);
    else if (l->state == LOCK_HELD || (r->code && op_may_retry(r)))
        lock_retry_later(l, now);
    else
        lock_fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

static int send_verify(struct lock *l, tn_ms now)
{
    struct queue_txn t;
    struct client_call_options opt = {.repeatable = true};
    lock_note_whether_early(l);
    queue_verify(&l->queue, l->create, l->look_at_all, &t);
    l->touching = l->touch;
    if (l->touch)
        queue_touch(&l->queue, bytes_of(l->value, l->value_len), &t);
    l->looks++;
    return op_txn(&l->op, lock_client(l), &t.req, &opt, on_verified, l, now, NULL);
}

void lock_verify(struct lock *l, tn_ms now)
{
    if (l->state != LOCK_VERIFYING && l->state != LOCK_HELD)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    if (send_verify(l, now))
        lock_retry_later(l, now);
    lock_arm(l);
}
