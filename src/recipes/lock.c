/* A lock: see lock.h. Keys, requests and answers are in queue.c; the line within the process and the undoing of a place in
 * lane.c; here is the machine between them.
 *
 * Uncontended: one transaction enters, and shows that nobody was there: held. It is sent together with the session's grant
 * when that is still under way; a server that sees it first answers "no such lease", and it is sent again.
 *
 * Contended: two watches, on the key before and on the own one, both from the revision behind the answer that showed them,
 * so that nothing is missed in between. The key before goes: verify. Verified is that the own key stands and who is before
 * it now; nobody: held; somebody (the one before had given up in the middle of the queue): watch that one. Whom a reader or a
 * permit waits for, and until what, is in the answer (queue.h). A permit that did not get in at once writes its key once
 * more when it does, if it can in the same request: that wakes its successor.
 *
 * Failure: a request to enter whose answer was lost is sent again (it finds its own key); the place is doubtful from then
 * on. Watches that end by compaction or by too many events lead to a verify. The own key deleted by somebody: lost.
 * Everything ends with the session: that is the bound of all tries.
 */
#include "recipes/lock.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/delay.h"
#include "recipes/homed.h"
#include "recipes/lane.h"
#include "recipes/rank.h"

enum {
    RETRY_MIN_MS = 25,
    RETRY_MAX_MS = 1000,
    VALUE_MAX = 64 * 1024,
    /* The own key is watched while the lock is held, to hear of one who breaks it; safety does not rest on that, so locks
     * that are held shorter save the watch. It starts behind the revision of the acquisition: nothing is missed. */
    OWN_WATCH_AFTER_MS = 250,
};

struct lock {
    struct session_object object;
    struct lane_user in_lane;
    struct lane *lane; /* NULL when the session was freed */
    struct lock_callbacks cb;
    void *user;
    uint8_t *value;
    size_t value_len;
    struct rule rule;
    uint8_t *note;
    size_t note_len;
    bool ranked;
    int64_t preference;
    struct patience patience;
    int64_t delay_ms;
    tn_rev resume;
    bool try_only, broken_skip_verify, broken_delay, broken_rule, broken_herd;
    bool broken_token, broken_hold_on, broken_no_undo, broken_leave_all, broken_proud, broken_meek;
    int64_t wait_ms;

    enum lock_state state;
    struct queue queue;  /* the keys; empty before the first try to enter */
    tn_rev create;       /* of the own key; 0 = it does not stand as far as is known */
    bool doubtful;       /* a request to enter may still be carried out */
    bool asked_early;    /* the last request was sent before the lease was known to be granted */
    bool first_unproven; /* nobody is before us, but the session does not live yet */
    bool look_at_all;    /* the next verify asks for all keys */
    bool resuming;       /* the place was not entered here: it may not stand */
    bool claimed;        /* it may have been put, or may be yet */
    tn_rev record; /* mod_revision of the own record: with a delay it is put before anything is held; 0 = not put yet */
    tn_rev left_behind;  /* mod_revision of one that was left behind, which is to be counted down */
    tn_lease countdown;  /* on this lease */
    struct buf leftover; /* its value */
    tn_rev seen;         /* watches start behind this revision */
    struct buf before;   /* the key that is waited for */
    enum queue_wait wait;
    int64_t taken, room;  /* (ROOM) what those before it have, and may have when it gets in */
    bool mixed;           /* (ROOM) it is not that simple: look again whenever one of them goes */
    bool touch, touching; /* the own key is to be written once more; the request under way does it */
    bool sharing;         /* what for: a writer becomes a reader */
    bool is_shared;
    uint64_t looks;
    struct op *op; /* to enter or to verify */
    struct client_watch *watch_before, *watch_own;

    bool homed, home_known, look_home; /* look: something of it changed while another request was under way */
    int64_t epoch;                     /* of its home, once known */
    struct client_watch *watch_home;

    tn_ms wait_until, retry_at; /* TN_MS_NEVER = none */
    struct backoff backoff;
    struct rng rng;

    bool tell_acquired, tell_lost, tell_released, tell_shared;
    int acquired_code, released_code, shared_code;
    struct tenure_error error; /* of the acquire, or of the loss */
};

/* Next: see lock.h. IDLE is also what every acquire that was given up, and every release, ends in. */
static void lock_move(struct lock *l, enum lock_state to)
{
    static const unsigned allowed[] = {
        [LOCK_IDLE] = 1u << LOCK_QUEUED | 1u << LOCK_LOST,
        [LOCK_QUEUED] = 1u << LOCK_ENTERING | 1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_ENTERING] =
            1u << LOCK_WAITING | 1u << LOCK_VERIFYING | 1u << LOCK_HELD | 1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_WAITING] = 1u << LOCK_VERIFYING | 1u << LOCK_HELD | 1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_VERIFYING] = 1u << LOCK_QUEUED | 1u << LOCK_ENTERING | 1u << LOCK_WAITING | 1u << LOCK_HELD |
                           1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_HELD] = 1u << LOCK_RELEASING | 1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_RELEASING] = 1u << LOCK_IDLE | 1u << LOCK_LOST,
        [LOCK_LOST] = 0,
    };
    assert(allowed[l->state] & 1u << to);
    l->state = to;
}

static struct session *lock_session(const struct lock *l)
{
    return l->object.session;
}

static struct client *lock_client(const struct lock *l)
{
    return session_client(lock_session(l));
}

static bool is_acquiring(const struct lock *l)
{
    return l->state >= LOCK_QUEUED && l->state <= LOCK_VERIFYING;
}

/* Has, or may have, the lane's turn. */
static bool has_turn(const struct lock *l)
{
    return l->state >= LOCK_ENTERING && l->state <= LOCK_HELD;
}

/* ---- time ---- */

static void lock_arm(struct lock *l)
{
    tn_ms at = is_acquiring(l) ? l->wait_until : TN_MS_NEVER;
    session_set_timer(&l->object, l->retry_at < at ? l->retry_at : at);
}

static void retry_later(struct lock *l, tn_ms now)
{
    l->retry_at = now + backoff_failure(&l->backoff, &l->rng);
    lock_arm(l);
}

/* At once the first time, as the cause has passed by then. */
static void retry_soon(struct lock *l, tn_ms now)
{
    bool first = l->backoff.tries == 0;
    retry_later(l, now);
    if (first)
        l->retry_at = now;
    lock_arm(l);
}

/* ---- ends ---- */

static void stop_watches(struct lock *l, tn_ms now)
{
    if (l->watch_before)
        client_watch_stop(lock_client(l), l->watch_before, now);
    if (l->watch_own)
        client_watch_stop(lock_client(l), l->watch_own, now);
    if (l->watch_home)
        client_watch_stop(lock_client(l), l->watch_home, now);
    l->watch_before = l->watch_own = l->watch_home = NULL;
}

/* Nothing of this acquisition is under way any more; what it left at the server is not touched. */
static void stop_work(struct lock *l, tn_ms now)
{
    op_drop(&l->op, now);
    stop_watches(l, now);
    l->create = l->record = l->left_behind = 0;
    l->resuming = l->claimed = l->home_known = l->look_home = false;
    l->doubtful = l->first_unproven = l->look_at_all = l->touch = l->touching = false;
    l->retry_at = TN_MS_NEVER;
}

/* A request that enters only an empty queue; readers and permits find out when they are in. */
static bool only_first(const struct lock *l)
{
    return l->try_only && l->rule.kind == RULE_WHOLE;
}

/* Gives the lane back and lets it undo what stands at the server. true: there was nothing to undo. */
static bool give_place_back(struct lock *l, bool forget, tn_ms now)
{
    struct lane_place place = {.create = l->create,
                               .doubtful = l->doubtful,
                               .only_first = only_first(l),
                               .noted = l->note_len > 0,
                               .preference = l->preference,
                               .record = l->record,
                               .broken_all = l->broken_leave_all,
                               .claim_ms = l->claimed && !l->record ? l->delay_ms : 0};
    if (l->state == LOCK_ENTERING)
        place.enter = &l->op;
    if (l->broken_no_undo && is_acquiring(l))
        place = (struct lane_place){0};
    bool done = lane_leave(l->lane, &l->in_lane, &place, forget, now);
    stop_work(l, now);
    return done;
}

static void post_acquired(struct lock *l, int code, const struct tenure_error *error)
{
    l->tell_acquired = true;
    l->acquired_code = code;
    if (error)
        l->error = *error;
    else
        error_clear(&l->error);
    session_post(&l->object);
}

static void post_shared(struct lock *l, int code)
{
    if (!l->sharing)
        return;
    l->sharing = false;
    l->tell_shared = true;
    l->shared_code = code;
    session_post(&l->object);
}

static void post_released(struct lock *l, int code)
{
    l->tell_released = true;
    l->released_code = code;
    session_post(&l->object);
}

/* The acquire has failed, by the user's will or not. */
static void end_acquire(struct lock *l, const struct tenure_error *error, tn_ms now)
{
    if (l->state == LOCK_QUEUED)
        lane_quit(&l->in_lane);
    else
        give_place_back(l, true, now);
    lock_move(l, LOCK_IDLE);
    lock_arm(l);
    post_acquired(l, error->code, error);
}

/* For good: the session, or the own key, is gone. */
static void become_lost(struct lock *l, int code, const struct tenure_error *why)
{
    enum lock_state was = l->state;
    bool untold = l->tell_acquired && l->acquired_code == 0; /* held, but the user has not heard of it */
    lock_move(l, LOCK_LOST);
    lock_arm(l);
    post_shared(l, TENURE_ELOST);
    if (was == LOCK_RELEASING) {
        post_released(l, TENURE_ELOST);
    } else if (was == LOCK_HELD && !untold) {
        l->error = *why;
        l->tell_lost = true;
        session_post(&l->object);
    } else if (was != LOCK_IDLE) {
        post_acquired(l, code, why);
    }
}

/* Its record stays: it says that the loss was not clean (delay.h). */
static void own_key_gone(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ELOST, "'%.100s': the own key was deleted by somebody else", lane_path(l->lane));
    l->create = l->record = 0;
    give_place_back(l, true, now);
    become_lost(l, TENURE_ELOST, &why);
}

static void lock_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    lane_quit(&l->in_lane);
    lane_forget(l->lane, &l->in_lane);
    stop_work(l, now);
    if (l->state != LOCK_LOST)
        become_lost(l, why->code, why);
}

static void lock_on_dropped(struct session_object *o)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    l->lane = NULL;
    l->tell_acquired = l->tell_lost = l->tell_released = l->tell_shared = false;
    if (l->state != LOCK_LOST)
        lock_move(l, LOCK_LOST);
}

/* ---- held ---- */

static void watch_own(struct lock *l, tn_ms now);
static void verify(struct lock *l, tn_ms now);
static void claim(struct lock *l, tn_ms now);
static void ask_home(struct lock *l, tn_ms now);

static void note_whether_early(struct lock *l)
{
    l->asked_early = session_state(lock_session(l)) == SESSION_STARTING;
}

static void become_first(struct lock *l, tn_ms now)
{
    struct session *s = lock_session(l);
    if (session_state(s) == SESSION_STARTING) {
        l->first_unproven = true;
        return;
    }
    if (!session_check(s, now))
        return; /* and with it this object */
    if (l->asked_early && session_began_in_doubt(s)) {
        verify(l, now);
        return;
    }
    if (l->delay_ms && !l->record) {
        claim(l, now);
        return;
    }
    if (l->homed && !l->home_known) {
        ask_home(l, now);
        return;
    }
    lock_move(l, LOCK_HELD);
    l->resuming = false;
    backoff_success(&l->backoff);
    l->retry_at = l->watch_own && !l->homed ? TN_MS_NEVER : now + OWN_WATCH_AFTER_MS;
    lock_arm(l);
    post_acquired(l, 0, NULL);
    if (l->touch)
        verify(l, now);
}

/* ---- waiting and verifying ---- */

/* The key that is waited for is gone. */
static void before_gone(struct lock *l, tn_ms now)
{
    client_watch_stop(lock_client(l), l->watch_before, now);
    l->watch_before = NULL;
    backoff_success(&l->backoff);
    if (l->broken_skip_verify)
        become_first(l, now);
    else
        verify(l, now);
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
        own_key_gone(l, client_now(session_client(s)));
    session_flush(s);
}

static bool ends_for_good(int code)
{
    return code == TENURE_EDENIED || code == TENURE_ECLOSED || code == TENURE_EINVALID || code == TENURE_EUNIMPLEMENTED;
}

/* A watch has ended: what it may have missed is asked for. A held lock does without it when it is not allowed. */
static void watch_ended(struct lock *l, int code, const struct tenure_error *error, tn_ms now)
{
    bool for_good = ends_for_good(code);
    if (l->state == LOCK_HELD) {
        if (!for_good)
            retry_later(l, now);
    } else if (is_acquiring(l) && for_good) {
        struct tenure_error why = *error;
        error_wrap(&why, "'%.100s': watch", lane_path(l->lane));
        end_acquire(l, &why, now);
    } else if (l->state == LOCK_WAITING) {
        stop_watches(l, now);
        lock_move(l, LOCK_VERIFYING);
        retry_soon(l, now);
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
    watch_ended(l, code, error, now);
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
    watch_ended(l, code, error, now);
    session_flush(s);
}

static struct client_watch *start_watch(struct lock *l, struct watch_create_req *req,
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
        l->watch_own = start_watch(l, &req, &cb, now);
    return l->watch_own != NULL;
}

static void on_home_events(void *user, const struct client_watch_events *e);
static void on_home_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error);

/* While it is held: behind the revision at which the home was asked for. */
static bool start_watch_home(struct lock *l, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_home_events, .on_end = on_home_end};
    struct watch_create_req req = {.range = home_range()};
    if (l->homed && !l->watch_home)
        l->watch_home = start_watch(l, &req, &cb, now);
    return !l->homed || l->watch_home;
}

static bool start_watch_before(struct lock *l, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_before_events, .on_end = on_before_end};
    struct watch_create_req one = {.range.key = buf_bytes(&l->before), .no_put = l->wait == QUEUE_WAIT_GONE};
    struct watch_create_req all = {
        .range = {l->queue.dir, l->queue.dir_end}, .no_put = true, .prev_kv = true}; /* which shows who was behind */
    assert(!l->watch_before);
    l->watch_before = start_watch(l, l->wait == QUEUE_WAIT_ROOM ? &all : &one, &cb, now);
    return l->watch_before != NULL;
}

static void refuse_busy(struct lock *l, tn_ms now);

static void note_wait(struct lock *l, const struct queue_view *v)
{
    buf_reset(&l->before);
    buf_append_bytes(&l->before, v->before);
    l->wait = l->broken_herd ? QUEUE_WAIT_ROOM : v->wait;
    l->taken = v->taken;
    l->room = v->room;
    l->mixed = v->mixed || l->broken_herd;
}

/* When there is no memory to wait, the question is asked again later. */
static void wait_for(struct lock *l, const struct queue_view *v, tn_ms now)
{
    if (l->try_only) {
        refuse_busy(l, now);
        return;
    }
    if (l->broken_rule && l->rule.kind != RULE_WHOLE) {
        become_first(l, now);
        return;
    }
    note_wait(l, v);
    if (buf_error(&l->before) || !start_watch_own(l, now) || !start_watch_before(l, now)) {
        if (l->state != LOCK_VERIFYING)
            lock_move(l, LOCK_VERIFYING);
        retry_later(l, now);
        return;
    }
    lock_move(l, LOCK_WAITING);
    l->retry_at = TN_MS_NEVER;
    lock_arm(l);
}

static void fail_acquire(struct lock *l, const struct tenure_error *error, tn_ms now)
{
    struct tenure_error why = *error;
    error_wrap(&why, "'%.100s'", lane_path(l->lane));
    end_acquire(l, &why, now);
}

/* What was asked while it is held: after an own watch that ended, or to write the key. */
static void verified_held(struct lock *l, bool touched, tn_ms now)
{
    if (touched)
        post_shared(l, 0);
    if (l->touch)
        verify(l, now);
    else if (l->homed)
        ask_home(l, now);
    else
        watch_own(l, now);
}

/* What is resumed held already. */
static bool lets_pass(struct lock *l, const struct queue_view *v, tn_ms now)
{
    int64_t own = session_ttl_s(lock_session(l));
    if (!v->better || l->resuming || l->broken_proud)
        return false;
    return l->broken_meek || patience_yields(&l->patience, own > v->better_ttl_s ? own : v->better_ttl_s, now);
}

/* To the end: the lane gives it its turn when the place is undone. */
static void let_pass(struct lock *l, tn_ms now)
{
    l->epoch = 0;
    give_place_back(l, true, now);
    lock_move(l, LOCK_QUEUED);
    lane_join(l->lane, &l->in_lane, now);
    lock_arm(l);
}

/* It may hold. Those behind may have seen it wait, but when it has told them by this very request. */
static void verified_first(struct lock *l, const struct queue_view *v, bool touched, tn_ms now)
{
    if (lets_pass(l, v, now)) {
        let_pass(l, now);
        return;
    }
    l->touch = l->rule.kind == RULE_PERMIT && !touched;
    become_first(l, now);
}

static void enter(struct lock *l, tn_ms now);

/* The place to take up does not stand any more: to the end of the queue. */
static void resume_failed(struct lock *l, tn_ms now)
{
    stop_work(l, now);
    lock_move(l, LOCK_ENTERING);
    enter(l, now);
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
        own_key_gone(l, now);
    else if (l->state == LOCK_HELD)
        verified_held(l, touched, now);
    else if (v->before.len)
        wait_for(l, v, now);
    else if (v->look_at_all)
        verify(l, now);
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
        retry_later(l, now);
    else
        fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

static int send_verify(struct lock *l, tn_ms now)
{
    struct queue_txn t;
    struct client_call_options opt = {.repeatable = true};
    note_whether_early(l);
    queue_verify(&l->queue, l->create, l->look_at_all, &t);
    l->touching = l->touch;
    if (l->touch)
        queue_touch(&l->queue, bytes_of(l->value, l->value_len), &t);
    l->looks++;
    return op_txn(&l->op, lock_client(l), &t.req, &opt, on_verified, l, now, NULL);
}

static void verify(struct lock *l, tn_ms now)
{
    if (l->state != LOCK_VERIFYING && l->state != LOCK_HELD)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    if (send_verify(l, now))
        retry_later(l, now);
    lock_arm(l);
}

static void watch_own(struct lock *l, tn_ms now)
{
    l->retry_at = TN_MS_NEVER;
    if (!start_watch_own(l, now) || !start_watch_home(l, now))
        retry_later(l, now);
    lock_arm(l);
}

/* ---- the delay: see delay.h ---- */

static void wait_for_record(struct lock *l, const struct delay_view *v, tn_ms now)
{
    struct queue_view wait = {.before = l->queue.delay, .wait = QUEUE_WAIT_GONE};
    l->seen = v->revision;
    wait_for(l, &wait, now);
}

static void send_count_down(struct lock *l, tn_ms now);

/* Whatever became of it, the next look shows. One who only tries has done his part for the next try. */
static void on_counting_down(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    if (l->try_only)
        refuse_busy(l, now);
    else if (r->code)
        retry_later(l, now);
    else
        claim(l, now);
    session_flush(s);
}

static void on_countdown_granted(void *owner, const struct client_result *r)
{
    struct lock *l = owner;
    struct session *s = lock_session(l);
    tn_ms now = client_now(session_client(s));
    if (r->code)
        retry_later(l, now);
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
        retry_later(l, now);
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
        retry_later(l, now);
}

static void claim_answered(struct lock *l, const struct delay_view *v, tn_ms now)
{
    bool waits = v->answer == DELAY_LEFT_BEHIND || v->answer == DELAY_COUNTING;
    if (v->answer == DELAY_OUT) {
        own_key_gone(l, now);
    } else if (!waits || l->broken_delay) {
        l->record = v->mod;
        become_first(l, now);
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
        retry_later(l, now); /* looks who is before it, and claims again */
    else
        fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

/* Nobody is before it, and nobody will come: what is left is the record of one who was lost. */
static void claim(struct lock *l, tn_ms now)
{
    struct delay_txn t;
    struct client_call_options opt = {.repeatable = true};
    if (l->state != LOCK_VERIFYING)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    delay_claim(&l->queue, l->create, l->delay_ms, &t);
    l->claimed = true;
    if (op_txn(&l->op, lock_client(l), &t.req, &opt, on_claimed, l, now, NULL))
        retry_later(l, now);
    lock_arm(l);
}

/* ---- the home: see homed.h ---- */

/* Held, and now somewhere else. The place is given back, so that nobody here waits for it. */
static void home_gone(struct lock *l, const char *why, tn_ms now)
{
    struct tenure_error lost;
    error_set(&lost, TENURE_ELOST, "%s", why);
    give_place_back(l, true, now);
    become_lost(l, TENURE_ELOST, &lost);
}

static void home_of_held(struct lock *l, const struct homed_view *v, tn_ms now)
{
    if (v->answer == HOMED_ELSEWHERE) {
        home_gone(l, v->error.text, now);
    } else if (v->answer == HOMED_SINCE || v->epoch != l->epoch) {
        home_gone(l, "its home has moved, or has a greater epoch", now);
    } else if (l->look_home) {
        ask_home(l, now);
    } else {
        backoff_success(&l->backoff);
        watch_own(l, now);
    }
}

static void home_answered(struct lock *l, const struct homed_view *v, tn_ms now)
{
    l->seen = v->revision;
    if (v->answer == HOMED_OUT) {
        own_key_gone(l, now);
    } else if (l->state == LOCK_HELD) {
        home_of_held(l, v, now);
    } else if (v->answer == HOMED_ELSEWHERE) {
        end_acquire(l, &v->error, now);
    } else if (v->answer == HOMED_SINCE) {
        let_pass(l, now); /* everybody who was in the queue before the record does */
    } else {
        l->epoch = v->epoch;
        l->home_known = true;
        become_first(l, now);
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
        retry_later(l, now); /* looks who is before it, and asks again */
    else if (l->state == LOCK_HELD)
        home_gone(l, r->code ? r->error->text : err.text, now);
    else
        fail_acquire(l, r->code ? r->error : &err, now);
    session_flush(s);
}

/* When it is first, and while it is held whenever a record has changed. */
static void ask_home(struct lock *l, tn_ms now)
{
    struct homed_txn t;
    struct client_call_options opt = {.repeatable = true};
    if (l->state != LOCK_VERIFYING && l->state != LOCK_HELD)
        lock_move(l, LOCK_VERIFYING);
    l->retry_at = TN_MS_NEVER;
    l->look_home = false;
    homed_ask(&l->queue, l->create, &t);
    if (op_txn(&l->op, lock_client(l), &t.req, &opt, on_homed, l, now, NULL))
        retry_later(l, now);
    lock_arm(l);
}

static void on_home_events(void *user, const struct client_watch_events *e)
{
    struct lock *l = user;
    struct session *s = lock_session(l);
    if (l->state == LOCK_HELD && e->n_events > 0 && l->op)
        l->look_home = true;
    else if (l->state == LOCK_HELD && e->n_events > 0)
        ask_home(l, client_now(session_client(s)));
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
    watch_ended(l, code, error, now);
    session_flush(s);
}

/* ---- entering ---- */

static void refuse_prefix(struct lock *l, bytes below, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_EINVALID,
              "'%.80s' is the beginning of a longer name that is in use ('%.*s'): clients of etcd would wait for both; "
              "choose another name",
              lane_path(l->lane), below.len < 80 ? (int)below.len : 80, (const char *)below.data);
    end_acquire(l, &why, now);
}

static void refuse_busy(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_EBUSY, "'%.100s' is held by somebody else", lane_path(l->lane));
    end_acquire(l, &why, now);
}

static void refuse_foreign(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ECONFLICT, "'%.100s': the own key exists already, on a lease that is not ours",
              lane_path(l->lane));
    end_acquire(l, &why, now);
}

static void look_at_all(struct lock *l, tn_ms now)
{
    l->look_at_all = true;
    verify(l, now);
}

static void entered(struct lock *l, const struct queue_view *v, tn_ms now)
{
    l->create = v->create;
    l->seen = v->revision;
    if (v->below.len && !l->patience.last) /* one who was in before stays */
        refuse_prefix(l, v->below, now);
    else if (v->before.len)
        wait_for(l, v, now);
    else if (v->look_at_all)
        look_at_all(l, now);
    else
        become_first(l, now);
}

static void entering_answered(struct lock *l, const struct queue_view *v, tn_ms now)
{
    switch (v->answer) {
    case QUEUE_IN:
        entered(l, v, now);
        return;
    case QUEUE_WAS_IN:
        l->create = v->create;
        verify(l, now);
        return;
    case QUEUE_FOREIGN:
        refuse_foreign(l, now);
        return;
    case QUEUE_TAKEN:
        if (v->below.len)
            refuse_prefix(l, v->below, now);
        else
            refuse_busy(l, now);
        return;
    case QUEUE_MOVED:
    case QUEUE_OUT:
        lane_set_fence(l->lane, v->fence);
        retry_later(l, now);
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
        enter(l, now);
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
        retry_later(l, now);
    else
        fail_acquire(l, r->error, now);
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
    } else if (queue_entered(&l->queue, r->txn, only_first(l), &v, &err)) {
        l->doubtful = true;
        fail_acquire(l, &err, now);
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
    note_whether_early(l);
    queue_enter(&l->queue, bytes_of(l->value, l->value_len), lane_fence(l->lane), only_first(l), &t);
    if (l->queue.noted)
        queue_note(&l->queue, bytes_of(l->note, l->note_len), &t);
    if (l->preference)
        queue_put_rank(&l->queue, rank_write(&rank, text), &t);
    return op_txn(&l->op, lock_client(l), &t.req, NULL, on_entered, l, now, NULL);
}

static void enter(struct lock *l, tn_ms now)
{
    l->retry_at = TN_MS_NEVER;
    if (send_enter(l, now))
        retry_later(l, now);
    lock_arm(l);
}

/* Once: what is acquired again later is entered. */
static void take_up(struct lock *l, tn_ms now)
{
    l->create = l->resume;
    l->resume = 0;
    l->resuming = true;
    verify(l, now);
}

static void lock_on_turn(struct lane_user *u, tn_ms now)
{
    struct lock *l = CONTAINER_OF(u, struct lock, in_lane);
    struct client_context *before = session_object_enter(&l->object); /* it may be the turn's end of another */
    lock_move(l, LOCK_ENTERING);
    if (l->resume && init_queue(l, session_lease_drawn(lock_session(l))) == 0)
        take_up(l, now);
    else
        enter(l, now);
    session_object_exit(&l->object, before);
}

static void lock_on_alive(struct session_object *o, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (l->first_unproven) {
        l->first_unproven = false;
        become_first(l, now);
    } else if (l->state == LOCK_ENTERING && !l->op) {
        enter(l, now);
    }
}

/* ---- time passes ---- */

static void lock_retry(struct lock *l, tn_ms now)
{
    if (l->op)
        return;
    if (l->state == LOCK_ENTERING)
        enter(l, now);
    else if (l->state == LOCK_VERIFYING)
        verify(l, now);
    else if (l->state == LOCK_HELD && l->backoff.tries == 0 && !l->touch)
        watch_own(l, now);
    else if (l->state == LOCK_HELD)
        verify(l, now); /* a watch ended: what it missed, then a new one; or the key is to be written */
}

static void lock_on_timer(struct session_object *o, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (is_acquiring(l) && now >= l->wait_until) {
        struct tenure_error why;
        error_set(&why, TENURE_ETIMEOUT, "'%.100s' was not acquired within %" PRId64 " ms", lane_path(l->lane),
                  l->wait_ms);
        end_acquire(l, &why, now);
        return;
    }
    if (now >= l->retry_at) {
        l->retry_at = TN_MS_NEVER;
        lock_retry(l, now);
    }
    lock_arm(l);
}

static void lock_on_left(struct lane_user *u, tn_ms now)
{
    (void)now;
    struct lock *l = CONTAINER_OF(u, struct lock, in_lane);
    lock_move(l, LOCK_IDLE);
    post_released(l, 0);
}

/* ---- telling ---- */

static bool has_news(const struct lock *l)
{
    return l->tell_acquired || l->tell_lost || l->tell_released || l->tell_shared;
}

/* That it has a place in a token was seen when the home was asked for. */
static int64_t token_of(const struct lock *l)
{
    return l->epoch ? home_token(l->epoch, l->create) : l->create;
}

static void tell_acquired(struct lock *l)
{
    struct tenure_error error = l->error;
    int code = l->acquired_code;
    int64_t token = l->broken_token && l->object.session ? session_lease(lock_session(l)) : token_of(l);
    l->tell_acquired = false;
    if (has_news(l))
        session_post(&l->object);
    if (l->cb.on_acquired)
        l->cb.on_acquired(l->user, code, code ? 0 : token, code ? &error : NULL);
}

static void tell_lost(struct lock *l)
{
    struct tenure_error why = l->error;
    l->tell_lost = false;
    if (has_news(l))
        session_post(&l->object);
    if (l->cb.on_lost)
        l->cb.on_lost(l->user, &why);
}

static void tell_shared(struct lock *l)
{
    l->tell_shared = false;
    if (has_news(l))
        session_post(&l->object);
    if (l->cb.on_shared)
        l->cb.on_shared(l->user, l->shared_code);
}

static void lock_deliver(struct session_object *o)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (l->tell_acquired) {
        tell_acquired(l);
    } else if (l->tell_shared) {
        tell_shared(l);
    } else if (l->tell_lost) {
        tell_lost(l);
    } else if (l->tell_released) {
        l->tell_released = false;
        if (l->cb.on_released)
            l->cb.on_released(l->user, l->released_code);
    }
}

static const struct session_object_ops lock_ops = {
    .on_alive = lock_on_alive,
    .on_ended = lock_on_ended,
    .on_timer = lock_on_timer,
    .on_dropped = lock_on_dropped,
    .deliver = lock_deliver,
};

/* ---- life ---- */

static int check_options(struct session *s, const char *prefix, const char *name, const struct lock_options *opt,
                         struct tenure_error *err)
{
    enum session_state state = session_state(s);
    if (state != SESSION_STARTING && state != SESSION_ALIVE)
        return error_set(err, TENURE_ELOST, "lock '%.100s': the session has ended", name ? name : "");
    if (opt->wait_ms < 0 || opt->value.len > VALUE_MAX)
        return error_set(err, TENURE_EINVALID, "lock '%.100s': a waiting time below 0, or a value over %d bytes",
                         name ? name : "", VALUE_MAX);
    if (!rule_is_valid(&opt->rule))
        return error_set(err, TENURE_EINVALID, "lock '%.100s': a weight below 1 or over the limit, or a limit over %d",
                         name ? name : "", RULE_LIMIT_MAX);
    if (rule_is_shared(opt->value))
        return error_set(err, TENURE_EINVALID, "lock '%.100s': the value says that the lock is shared",
                         name ? name : "");
    if (opt->delay_ms < 0 || opt->delay_ms > DELAY_MAX_MS)
        return error_set(err, TENURE_EINVALID, "lock '%.100s': a delay below 0, or over %d ms", name ? name : "",
                         DELAY_MAX_MS);
    if (opt->rule.kind != RULE_WHOLE && (opt->delay_ms || opt->note.len || opt->resume || opt->ranked))
        return error_set(err, TENURE_EINVALID, "lock '%.100s': readers and permits have no delay, and are not resumed",
                         name ? name : "");
    if (opt->preference && !opt->ranked)
        return error_set(err, TENURE_EINVALID, "lock '%.100s': a preference without ranks", name ? name : "");
    int rc = queue_check_name(prefix, name, err);
    return rc ? error_wrap(err, "lock") : 0;
}

/* Instead of the one it has. */
static int copy_value(struct lock *l, bytes value)
{
    if (value.len == 0)
        return 0;
    uint8_t *copy = malloc(value.len);
    if (!copy)
        return TENURE_ENOMEM;
    memcpy(copy, value.data, value.len);
    free(l->value);
    l->value = copy;
    l->value_len = value.len;
    return 0;
}

static int copy_note(struct lock *l, bytes note)
{
    l->note = note.len ? malloc(note.len) : NULL;
    if (note.len && !l->note)
        return TENURE_ENOMEM;
    if (note.len)
        memcpy(l->note, note.data, note.len);
    l->note_len = note.len;
    return 0;
}

static void lock_init(struct lock *l, struct session *s, const struct lock_options *opt)
{
    l->try_only = opt->try_only;
    l->wait_ms = opt->wait_ms;
    l->rule = opt->rule;
    l->broken_skip_verify = opt->broken_skip_verify;
    l->ranked = opt->ranked;
    l->preference = opt->preference;
    l->broken_proud = opt->broken_proud;
    l->broken_meek = opt->broken_meek;
    l->delay_ms = opt->delay_ms;
    l->homed = opt->homed;
    l->resume = opt->resume;
    l->broken_delay = opt->broken_delay;
    l->broken_rule = opt->broken_rule;
    l->broken_herd = opt->broken_herd;
    l->broken_token = opt->broken_token;
    l->broken_hold_on = opt->broken_hold_on;
    l->broken_no_undo = opt->broken_no_undo;
    l->broken_leave_all = opt->broken_leave_all;
    l->wait_until = l->retry_at = TN_MS_NEVER;
    l->in_lane.on_turn = lock_on_turn;
    l->in_lane.on_left = lock_on_left;
    list_init(&l->in_lane.in_lane);
    buf_init(&l->before);
    buf_init(&l->leftover);
    backoff_init(&l->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&l->rng, client_random(session_client(s)));
}

static int join_session(struct lock *l, struct session *s, const char *prefix, const char *name)
{
    char path[QUEUE_NAME_MAX + 1];
    snprintf(path, sizeof path, "%s%s", prefix, name);
    if (session_attach(s, &l->object, &lock_ops))
        return TENURE_ENOMEM;
    if (lane_use(s, path, &l->rule, &l->lane))
        return TENURE_ENOMEM;
    l->rule.number = lane_rule(l->lane)->number;
    return 0;
}

int lock_new(struct session *s, const char *name, const struct lock_options *opt, const struct lock_callbacks *cb,
             void *user, struct lock **ret, struct tenure_error *err)
{
    static const struct lock_options none;
    static const struct lock_callbacks silent;
    opt = opt ? opt : &none;
    const char *prefix = opt->prefix ? opt->prefix : "/locks/";
    int rc = check_options(s, prefix, name, opt, err);
    if (rc)
        return rc;
    struct lock *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    lock_init(l, s, opt);
    l->cb = cb ? *cb : silent;
    l->user = user;
    if (copy_value(l, opt->value) || copy_note(l, opt->note) || join_session(l, s, prefix, name)) {
        lock_free(l);
        return error_set(err, TENURE_ENOMEM, "lock: out of memory");
    }
    *ret = l;
    return 0;
}

/* Whoever frees a lock that stands or waits gives it up, unheard. */
static void abandon(struct lock *l, tn_ms now)
{
    if (l->state == LOCK_QUEUED)
        lane_quit(&l->in_lane);
    else if (has_turn(l))
        give_place_back(l, true, now);
    stop_work(l, now);
    lane_forget(l->lane, &l->in_lane);
    lane_unuse(l->lane);
}

struct lock *lock_free(struct lock *l)
{
    if (!l)
        return NULL;
    if (l->object.session && l->lane) {
        struct client_context *before = session_object_enter(&l->object);
        abandon(l, client_now(lock_client(l)));
        session_object_exit(&l->object, before);
    }
    session_detach(&l->object);
    queue_fini(&l->queue);
    buf_fini(&l->before);
    buf_fini(&l->leftover);
    free(l->note);
    free(l->value);
    free(l);
    return NULL;
}

/* ---- the user's calls ---- */

static int check_acquire(const struct lock *l, tn_ms now, struct tenure_error *err)
{
    if (l->state == LOCK_LOST || !l->object.session || !session_is_open(lock_session(l), now))
        return error_set(err, TENURE_ELOST, "lock: the session has ended");
    if (l->is_shared)
        return error_set(err, TENURE_EINVALID, "lock '%.100s': an object that was shared is not used again",
                         lane_path(l->lane));
    if (l->state != LOCK_IDLE || has_news(l))
        return error_set(err, TENURE_EBUSY, "lock '%.100s': an acquire or release of the same object is under way",
                         lane_path(l->lane));
    return 0;
}

int lock_acquire(struct lock *l, tn_ms now, struct tenure_error *err)
{
    int rc = check_acquire(l, now, err);
    if (rc)
        return rc;
    l->wait_until = l->wait_ms && l->wait_ms < TN_MS_NEVER - now ? now + l->wait_ms : TN_MS_NEVER;
    backoff_success(&l->backoff);
    lock_move(l, LOCK_QUEUED);
    lane_join(l->lane, &l->in_lane, now);
    lock_arm(l);
    if (l->state == LOCK_QUEUED && l->try_only && lane_is_taken(l->lane, &l->in_lane))
        refuse_busy(l, now);
    return 0;
}

void lock_cancel(struct lock *l, tn_ms now)
{
    bool untold = l->state == LOCK_HELD && l->tell_acquired;
    struct tenure_error why;
    if (!is_acquiring(l) && !untold)
        return;
    struct client_context *before = session_object_enter(&l->object);
    error_set(&why, TENURE_ECANCELLED, "'%.100s': the acquire was cancelled", lane_path(l->lane));
    end_acquire(l, &why, now);
    session_object_exit(&l->object, before);
}

void lock_release(struct lock *l, tn_ms now)
{
    if (l->state == LOCK_LOST && l->object.session) {
        post_released(l, TENURE_ELOST);
        return;
    }
    if (l->state != LOCK_HELD || l->tell_acquired) {
        lock_cancel(l, now);
        return;
    }
    lock_move(l, LOCK_RELEASING);
    post_shared(l, TENURE_ECANCELLED);
    struct client_context *before = session_object_enter(&l->object);
    if (give_place_back(l, false, now))
        lock_on_left(&l->in_lane, now);
    session_object_exit(&l->object, before);
    lock_arm(l);
}

int lock_share(struct lock *l, bytes value, tn_ms now, struct tenure_error *err)
{
    if (!lock_held(l, now) || l->tell_acquired)
        return error_set(err, TENURE_ENOTHELD, "share: the lock is not held");
    if (l->rule.kind != RULE_WHOLE || !rule_is_shared(value) || value.len > VALUE_MAX)
        return error_set(err, TENURE_EINVALID, "share '%.100s': not a writer's lock, or not such a value",
                         lane_path(l->lane));
    if (l->is_shared)
        return error_set(err, TENURE_EBUSY, "share '%.100s': it is shared already", lane_path(l->lane));
    if (copy_value(l, value))
        return error_set(err, TENURE_ENOMEM, "share: out of memory");
    l->touch = l->sharing = l->is_shared = true;
    struct client_context *before = session_object_enter(&l->object);
    if (!l->op)
        verify(l, now);
    session_object_exit(&l->object, before);
    return 0;
}

/* ---- asking ---- */

enum lock_state lock_state(const struct lock *l)
{
    return l->state;
}

bool lock_held(const struct lock *l, tn_ms now)
{
    bool held = l->state == LOCK_HELD || (l->broken_hold_on && l->state == LOCK_LOST && l->object.session);
    return held && session_valid(lock_session(l), now);
}

int64_t lock_token(const struct lock *l)
{
    return l->state == LOCK_HELD ? token_of(l) : 0;
}

bytes lock_key(const struct lock *l)
{
    return l->create ? l->queue.own : bytes_of(NULL, 0);
}

const struct rule *lock_rule(const struct lock *l)
{
    return &l->rule;
}

uint64_t lock_looks(const struct lock *l)
{
    return l->looks;
}

tn_ms lock_deadline(const struct lock *l)
{
    if (!l->object.session)
        return TN_MS_NEVER;
    return session_posted(&l->object) ? 0 : l->object.timer.at;
}

void lock_tick(struct lock *l, tn_ms now)
{
    struct session *s = l->object.session;
    if (!s)
        return;
    session_check(s, now);
    if (now >= l->object.timer.at) {
        struct client_context *before = session_object_enter(&l->object);
        session_set_timer(&l->object, TN_MS_NEVER);
        lock_on_timer(&l->object, now);
        session_object_exit(&l->object, before);
    }
    session_flush(s);
}
