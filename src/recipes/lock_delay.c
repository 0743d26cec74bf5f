/* A lock that waits for what an unclean end left behind: its record is put before anything is held (delay.h). See lock_machine.h. */
#include "recipes/delay.h"
#include "recipes/lock_machine.h"

static void wait_for_record(struct lock *l, const struct delay_view *v, tn_ms now)
{
    struct queue_view wait = {.before = l->queue.delay, .wait = QUEUE_WAIT_GONE};
    l->seen = v->revision;
    lock_wait_for(l, &wait, now);
}

static void send_count_down(struct lock *l, tn_ms now);

/* Whatever became of it, the next look shows. One who only tries has done his part for the next try. */
static void on_counting_down(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    if (l->try_only)
        lock_refuse_busy(l, now);
    else if (r->code)
        lock_retry_later(l, now);
    else
        lock_claim(l, now);
    session_flush(s);
}

static void on_countdown_granted(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    if (r->code)
        lock_retry_later(l, now);
    else
        send_count_down(l, now);
    session_flush(s);
}

static void send_count_down(struct lock *l, tn_ms now)
{
    struct delay_txn t;
    struct client_call_options opt = {.repeatable = true};
    delay_count_down(&l->queue, l->left_behind, buf_bytes(&l->leftover), l->countdown, &t);
    if (op_txn(&l->op, lock_client(l), &t.req, &opt, on_counting_down, l, now, NULL))
        lock_retry_later(l, now);
}

/* At least as long as asked for, in whole seconds. A lease that is not needed in the end runs out. */
static void grant_countdown(struct lock *l, const struct delay_view *v, tn_ms now)
{
    struct lease_grant_req req = {.ttl_s = (v->delay_ms + 999) / 1000};
    l->left_behind = v->mod;
    buf_reset(&l->leftover);
    buf_append_bytes(&l->leftover, v->record);
    do
        req.id = (tn_lease)(client_random(lock_client(l)) & INT64_MAX);
    while (req.id == 0);
    l->countdown = req.id;
    if (buf_error(&l->leftover) ||
        op_lease_grant(&l->op, lock_client(l), &req, NULL, on_countdown_granted, l, now, NULL))
        lock_retry_later(l, now);
}

static void claim_answered(struct lock *l, const struct delay_view *v, tn_ms now)
{
    bool waits = v->answer == DELAY_LEFT_BEHIND || v->answer == DELAY_COUNTING;
    if (v->answer == DELAY_OUT) {
        lock_own_key_gone(l, now);
    } else if (!waits || l->broken_delay) {
        l->record = v->mod;
        lock_become_first(l, now);
    } else if (v->answer == DELAY_LEFT_BEHIND) {
        grant_countdown(l, v, now);
    } else {
        wait_for_record(l, v, now);
    }
}

static void on_claimed(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    struct delay_view v;
    struct tenure_error err;
    int rc = r->code ? r->code : delay_claimed(&l->queue, l->create, l->delay_ms, r->txn, &v, &err);
    if (rc == 0)
        claim_answered(l, &v, now);
    else if (r->code && op_may_retry(r))
        lock_retry_later(l, now); /* looks who is before it, and claims again */
    else
        lock_fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

void lock_claim(struct lock *l, tn_ms now)
{
    struct delay_txn t;
    struct client_call_options opt = {.repeatable = true};
    if (l->state != LOCK_VERIFYING)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    delay_claim(&l->queue, l->create, l->delay_ms, &t);
    l->claimed = true;
    if (op_txn(&l->op, lock_client(l), &t.req, &opt, on_claimed, l, now, NULL))
        lock_retry_later(l, now);
    lock_arm(l);
}
