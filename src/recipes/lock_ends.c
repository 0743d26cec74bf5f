/* The states of a lock, its timer, and the ways in which an acquire or a hold ends: see lock_machine.h. */
#include <assert.h>

#include "recipes/lock_machine.h"

void lock_move(struct lock *l, enum lock_state to)
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

void lock_arm(struct lock *l)
{
    tn_ms at = lock_is_acquiring(l) ? l->wait_until : TN_MS_NEVER;
    tn_ms authority = lock_authority_deadline(l);
    at = authority < at ? authority : at;
    session_set_timer(&l->object, l->retry_at < at ? l->retry_at : at);
}

void lock_retry_later(struct lock *l, tn_ms now)
{
    l->retry_at = now + backoff_failure(&l->backoff, &l->rng);
    lock_arm(l);
}

void lock_retry_soon(struct lock *l, tn_ms now)
{
    bool first = l->backoff.tries == 0;
    lock_retry_later(l, now);
    if (first)
        l->retry_at = now;
    lock_arm(l);
}

/* ---- ends ---- */

void lock_stop_watches(struct lock *l, tn_ms now)
{
    if (l->watch_before)
        client_watch_stop(lock_client(l), l->watch_before, now);
    if (l->watch_own)
        client_watch_stop(lock_client(l), l->watch_own, now);
    if (l->watch_home)
        client_watch_stop(lock_client(l), l->watch_home, now);
    l->watch_before = l->watch_own = l->watch_home = NULL;
}

void lock_stop_work(struct lock *l, tn_ms now)
{
    op_drop(&l->op, now);
    lock_stop_watches(l, now);
    lock_drop_authority(l, now);
    l->create = l->record = l->left_behind = 0;
    l->resuming = l->claimed = l->home_known = l->look_home = false;
    l->doubtful = l->first_unproven = l->look_at_all = l->touch = l->touching = false;
    l->retry_at = TN_MS_NEVER;
}

bool lock_give_place_back(struct lock *l, bool forget, tn_ms now)
{
    struct lane_place place = {.create = l->create,
                               .doubtful = l->doubtful,
                               .only_first = lock_only_first(l),
                               .noted = l->note_len > 0,
                               .preference = l->preference,
                               .record = l->record,
                               .broken_all = l->broken_leave_all,
                               .claim_ms = l->claimed && !l->record ? l->delay_ms : 0};
    if (l->state == LOCK_ENTERING)
        place.enter = &l->op;
    if (l->broken_no_undo && lock_is_acquiring(l))
        place = (struct lane_place){0};
    bool done = lane_leave(l->lane, &l->in_lane, &place, forget, now);
    lock_stop_work(l, now);
    return done;
}

void lock_end_acquire(struct lock *l, const struct tenure_error *error, tn_ms now)
{
    if (l->state == LOCK_QUEUED)
        lane_quit(&l->in_lane);
    else
        lock_give_place_back(l, true, now);
    lock_move(l, LOCK_IDLE);
    lock_arm(l);
    lock_post_acquired(l, error->code, error);
}

void lock_become_lost(struct lock *l, int code, const struct tenure_error *why)
{
    enum lock_state was = l->state;
    bool untold = l->tell_acquired && l->acquired_code == 0; /* held, but the user has not heard of it */
    lock_move(l, LOCK_LOST);
    lock_arm(l);
    lock_post_shared(l, TENURE_ELOST);
    if (was == LOCK_RELEASING) {
        lock_post_released(l, TENURE_ELOST);
    } else if (was == LOCK_HELD && !untold) {
        l->error = *why;
        l->tell_lost = true;
        session_post(&l->object);
    } else if (was != LOCK_IDLE) {
        lock_post_acquired(l, code, why);
    }
}

void lock_own_key_gone(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ELOST, "'%.100s': the own key was deleted by somebody else", lane_path(l->lane));
    l->create = l->record = 0;
    lock_give_place_back(l, true, now);
    lock_become_lost(l, TENURE_ELOST, &why);
}

void lock_fail_acquire(struct lock *l, const struct tenure_error *error, tn_ms now)
{
    struct tenure_error why = *error;
    error_wrap(&why, "'%.100s'", lane_path(l->lane));
    lock_end_acquire(l, &why, now);
}

void lock_refuse_busy(struct lock *l, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_EBUSY, "'%.100s' is held by somebody else", lane_path(l->lane));
    lock_end_acquire(l, &why, now);
}
