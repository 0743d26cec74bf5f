/* A lock: see lock.h; the machine is described in lock_machine.h. Here are its life, what its user calls, and its time. */
#include "recipes/lock.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/delay.h"
#include "recipes/lock_machine.h"

enum {
    RETRY_MIN_MS = 25,
    RETRY_MAX_MS = 1000,
    VALUE_MAX = 64 * 1024,
};

static void lock_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    lane_quit(&l->in_lane);
    lane_forget(l->lane, &l->in_lane);
    lock_stop_work(l, now);
    if (l->state != LOCK_LOST)
        lock_become_lost(l, why->code, why);
}

static void lock_on_dropped(struct session_object *o)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    l->lane = NULL;
    l->tell_acquired = l->tell_lost = l->tell_released = l->tell_shared = l->tell_believed = false;
    if (l->state != LOCK_LOST)
        lock_move(l, LOCK_LOST);
}

static void lock_on_turn(struct lane_user *u, tn_ms now)
{
    struct lock *l = CONTAINER_OF(u, struct lock, in_lane);
    struct client_context *before = session_object_enter(&l->object); /* it may be the turn's end of another */
    lock_take_turn(l, now);
    session_object_exit(&l->object, before);
}

static void lock_on_alive(struct session_object *o, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (l->first_unproven) {
        l->first_unproven = false;
        lock_become_first(l, now);
    } else if (l->state == LOCK_ENTERING && !l->op) {
        lock_enter(l, now);
    }
}

/* ---- time passes ---- */

static void lock_retry(struct lock *l, tn_ms now)
{
    if (l->op)
        return;
    if (l->state == LOCK_ENTERING)
        lock_enter(l, now);
    else if (l->state == LOCK_VERIFYING)
        lock_verify(l, now);
    else if (l->state == LOCK_HELD && l->backoff.tries == 0 && !l->touch)
        lock_watch_own(l, now);
    else if (l->state == LOCK_HELD)
        lock_verify(l, now); /* a watch ended: what it missed, then a new one; or the key is to be written */
}

static void lock_on_timer(struct session_object *o, tn_ms now)
{
    struct lock *l = CONTAINER_OF(o, struct lock, object);
    if (lock_is_acquiring(l) && now >= l->wait_until) {
        struct tenure_error why;
        error_set(&why, TENURE_ETIMEOUT, "'%.100s' was not acquired within %" PRId64 " ms", lane_path(l->lane),
                  l->wait_ms);
        lock_end_acquire(l, &why, now);
        return;
    }
    if (!lock_authority_timer(l, now))
        return;
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
    lock_post_released(l, 0);
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
    buf_init(&l->word_key);
    buf_init(&l->asks_key);
    l->ask_at = l->answer_by = TN_MS_NEVER;
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
    else if (lock_has_turn(l))
        lock_give_place_back(l, true, now);
    lock_stop_work(l, now);
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
    buf_fini(&l->word_key);
    buf_fini(&l->asks_key);
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
    if (l->state != LOCK_IDLE || lock_has_news(l))
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
        lock_refuse_busy(l, now);
    return 0;
}

void lock_cancel(struct lock *l, tn_ms now)
{
    bool untold = l->state == LOCK_HELD && l->tell_acquired;
    struct tenure_error why;
    if (!lock_is_acquiring(l) && !untold)
        return;
    struct client_context *before = session_object_enter(&l->object);
    error_set(&why, TENURE_ECANCELLED, "'%.100s': the acquire was cancelled", lane_path(l->lane));
    lock_end_acquire(l, &why, now);
    session_object_exit(&l->object, before);
}

void lock_release(struct lock *l, tn_ms now)
{
    if (l->state == LOCK_LOST && l->object.session) {
        lock_post_released(l, TENURE_ELOST);
        return;
    }
    if (l->state != LOCK_HELD || l->tell_acquired) {
        lock_cancel(l, now);
        return;
    }
    lock_move(l, LOCK_RELEASING);
    lock_post_shared(l, TENURE_ECANCELLED);
    struct client_context *before = session_object_enter(&l->object);
    if (lock_give_place_back(l, false, now))
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
        lock_verify(l, now);
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
    return held && session_valid(lock_session(l), now) && lock_has_authority(l, now);
}

tn_ms lock_safe_until(const struct lock *l)
{
    if (l->state != LOCK_HELD)
        return 0;
    tn_ms until = session_safe_until(lock_session(l));
    return l->wants_authority && l->believed_until < until ? l->believed_until : until;
}

tn_ms lock_believed_until(const struct lock *l)
{
    return l->wants_authority ? l->believed_until : TN_MS_NEVER;
}

int64_t lock_token(const struct lock *l)
{
    return l->state == LOCK_HELD ? lock_token_of(l) : 0;
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
