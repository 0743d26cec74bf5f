/* A lock that enters: the request that puts its key, and its answers. See lock_machine.h. */
#include "recipes/lock_machine.h"

static void refuse_prefix(struct lock *l, bytes below, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_EINVALID,
              "'%.80s' is the beginning of a longer name that is in use ('%.*s'): clients of etcd would wait for both; "
              "choose another name",
              lane_path(l->lane), below.len < 80 ? (int)below.len : 80, (const char *)below.data);
    lock_end_acquire(l, &why, now);
}

static void refuse_foreign(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ECONFLICT, "'%.100s': the own key exists already, on a lease that is not ours",
              lane_path(l->lane));
    lock_end_acquire(l, &why, now);
}

static void look_at_all(struct lock *l, tn_ms now)
{
    l->look_at_all = true;
    lock_verify(l, now);
}

static void entered(struct lock *l, const struct queue_view *v, tn_ms now)
{
    l->create = v->create;
    l->seen = v->revision;
    if (v->below.len && !l->patience.last) /* one who was in before stays */
        refuse_prefix(l, v->below, now);
    else if (v->before.len)
        lock_wait_for(l, v, now);
    else if (v->look_at_all)
        look_at_all(l, now);
    else
        lock_become_first(l, now);
}

static void entering_answered(struct lock *l, const struct queue_view *v, tn_ms now)
{
    switch (v->answer) {
    case QUEUE_IN:
        entered(l, v, now);
        return;
    case QUEUE_WAS_IN:
        l->create = v->create;
        lock_verify(l, now);
        return;
    case QUEUE_FOREIGN:
        refuse_foreign(l, now);
        return;
    case QUEUE_TAKEN:
        if (v->below.len)
            refuse_prefix(l, v->below, now);
        else
            lock_refuse_busy(l, now);
        return;
    case QUEUE_MOVED:
    case QUEUE_OUT:
        lane_set_fence(l->lane, v->fence);
        lock_retry_later(l, now);
        return;
    }
}

/* The lease is not there: not yet, when the request overtook the grant, whose answer may overtake in its turn the one to the
 * request; else the session is over. */
static void enter_without_lease(struct lock *l, tn_ms now)
{
    struct session *s = lock_session(l);
    struct tenure_error why;
    if (session_state(s) == SESSION_STARTING)
        return; /* lock_on_alive goes on */
    if (l->asked_early) {
        lock_enter(l, now);
        return;
    }
    error_set(&why, TENURE_ELOST, "'%.100s': the lease was revoked or has ended", lane_path(l->lane));
    session_give_up(s, &why, now);
}

static void enter_failed(struct lock *l, const struct client_result *r, tn_ms now)
{
    l->doubtful = l->doubtful || op_may_be_applied(r);
    if (r->etcd == ETCD_LEASE_NOT_FOUND)
        enter_without_lease(l, now);
    else if (op_may_retry(r))
        lock_retry_later(l, now);
    else
        lock_fail_acquire(l, r->error, now);
}

static void on_entered(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    struct queue_view v;
    struct tenure_error err;
    if (r->code) {
        enter_failed(l, r, now);
    } else if (queue_entered(&l->queue, r->txn, lock_only_first(l), &v, &err)) {
        l->doubtful = true;
        lock_fail_acquire(l, &err, now);
    } else {
        entering_answered(l, &v, now);
    }
    session_flush(s);
}

static int init_queue(struct lock *l, tn_lease lease)
{
    int rc = l->queue.memory ? 0 : queue_init(&l->queue, lane_path(l->lane), &l->rule, lease);
    l->queue.noted = l->note_len > 0;
    l->queue.seeks = l->ranked;
    l->queue.preference = l->preference;
    return rc;
}

static int send_enter(struct lock *l, tn_ms now)
{
    tn_lease lease = session_lease_drawn(lock_session(l));
    struct rank rank = {.preference = l->preference, .ttl_s = session_ttl_s(lock_session(l))};
    char text[RANK_TEXT_MAX];
    struct queue_txn t;
    if (init_queue(l, lease))
        return TENURE_ENOMEM;
    lock_note_whether_early(l);
    queue_enter(&l->queue, bytes_of(l->value, l->value_len), lane_fence(l->lane), lock_only_first(l), &t);
    if (l->queue.noted)
        queue_note(&l->queue, bytes_of(l->note, l->note_len), &t);
    if (l->preference)
        queue_put_rank(&l->queue, rank_write(&rank, text), &t);
    return op_txn(&l->op, lock_client(l), &t.req, NULL, on_entered, l, now, NULL);
}

void lock_enter(struct lock *l, tn_ms now)
{
    l->retry_at = TN_MS_NEVER;
    if (send_enter(l, now))
        lock_retry_later(l, now);
    lock_arm(l);
}

/* Once: what is acquired again later is entered. */
static void take_up(struct lock *l, tn_ms now)
{
    l->create = l->resume;
    l->resume = 0;
    l->resuming = true;
    lock_verify(l, now);
}

void lock_take_turn(struct lock *l, tn_ms now)
{
    lock_move(l, LOCK_ENTERING);
    if (l->resume && init_queue(l, session_lease_drawn(lock_session(l))) == 0)
        take_up(l, now);
    else
        lock_enter(l, now);
}
