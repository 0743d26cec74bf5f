/* The machine of a lock (lock.h), for the files that make it up. Keys, requests and answers are in queue.c; the line within the process
 * and the undoing of a place in lane.c; here is what goes between them:
 *
 *   lock.c         life, the user's calls, time          lock_enter.c   the request that puts the own key
 *   lock_wait.c    the watches, on whom it waits for     lock_verify.c  the proof that nobody is before it
 *   lock_delay.c   what an unclean end left behind       lock_home.c    whether this region is its home
 *   lock_ends.c    states; giving up, and losses         lock_tell.c    what the user is told
 *   lock_authority.c   whether its home has authority, when it wants it
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
 *
 * A function below may end the acquire, or the session: nothing of the lock is taken for granted behind it. Pure; thread: the client's.
 */
#ifndef RECIPES_LOCK_MACHINE_H
#define RECIPES_LOCK_MACHINE_H

#include "base/backoff.h"
#include "base/buf.h"
#include "recipes/home.h"
#include "recipes/lane.h"
#include "recipes/lock.h"
#include "recipes/rank.h"

enum {
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

    bool wants_authority;          /* its home does: see lock_authority.c */
    struct buf word_key, asks_key; /* of the home's prefix */
    tn_ms believed_until;          /* 0 = nothing was said yet */
    tn_ms asking_at, asked_at;     /* before the question under way, and the last one, was sent */
    tn_rev asked;                  /* which an answer has to have seen; 0 = no question is open */
    struct home_word word;         /* the last */
    tn_ms ask_at, answer_by;       /* TN_MS_NEVER = none */
    struct op *op_ask;
    struct client_watch *watch_word;

    tn_ms wait_until, retry_at; /* TN_MS_NEVER = none */
    struct backoff backoff;
    struct rng rng;

    bool tell_acquired, tell_lost, tell_released, tell_shared, tell_believed;
    int acquired_code, released_code, shared_code;
    struct tenure_error error; /* of the acquire, or of the loss */
};

static inline struct session *lock_session(const struct lock *l)
{
    return l->object.session;
}

static inline struct client *lock_client(const struct lock *l)
{
    return session_client(lock_session(l));
}

static inline bool lock_is_acquiring(const struct lock *l)
{
    return l->state >= LOCK_QUEUED && l->state <= LOCK_VERIFYING;
}

/* Has, or may have, the lane's turn. */
static inline bool lock_has_turn(const struct lock *l)
{
    return l->state >= LOCK_ENTERING && l->state <= LOCK_HELD;
}

/* A request that enters only an empty queue; readers and permits find out when they are in. */
static inline bool lock_only_first(const struct lock *l)
{
    return l->try_only && l->rule.kind == RULE_WHOLE;
}

/* ---- lock_ends.c ---- */

/* Next: see lock.h. IDLE is also what every acquire that was given up, and every release, ends in. */
void lock_move(struct lock *l, enum lock_state to);
/* The timer, for wait_until and retry_at. */
void lock_arm(struct lock *l);
void lock_retry_later(struct lock *l, tn_ms now);
/* At once the first time, as the cause has passed by then. */
void lock_retry_soon(struct lock *l, tn_ms now);
void lock_stop_watches(struct lock *l, tn_ms now);
/* Nothing of this acquisition is under way any more; what it left at the server is not touched. */
void lock_stop_work(struct lock *l, tn_ms now);
/* Gives the lane back and lets it undo what stands at the server. true: there was nothing to undo. */
bool lock_give_place_back(struct lock *l, bool forget, tn_ms now);
/* The acquire has failed, by the user's will or not. */
void lock_end_acquire(struct lock *l, const struct tenure_error *error, tn_ms now);
/* With the name in front of the error. */
void lock_fail_acquire(struct lock *l, const struct tenure_error *error, tn_ms now);
/* TENURE_EBUSY. */
void lock_refuse_busy(struct lock *l, tn_ms now);
/* For good: the session, or the own key, is gone. */
void lock_become_lost(struct lock *l, int code, const struct tenure_error *why);
/* Its record stays: it says that the loss was not clean (delay.h). */
void lock_own_key_gone(struct lock *l, tn_ms now);

/* ---- lock_tell.c ---- */

void lock_post_acquired(struct lock *l, int code, const struct tenure_error *error); /* error: when code is not 0 */
/* Nothing when no share is under way. */
void lock_post_shared(struct lock *l, int code);
void lock_post_released(struct lock *l, int code);
/* Believed until another moment: told while it is held. */
void lock_post_believed(struct lock *l);
bool lock_has_news(const struct lock *l);
int64_t lock_token_of(const struct lock *l);
void lock_deliver(struct session_object *o);

/* ---- lock_enter.c ---- */

/* Its turn has come. */
void lock_take_turn(struct lock *l, tn_ms now);
void lock_enter(struct lock *l, tn_ms now);

/* ---- lock_wait.c ---- */

/* For the one that v says, or on a watch that cannot be had until a later verify. */
void lock_wait_for(struct lock *l, const struct queue_view *v, tn_ms now);
/* Behind l->seen. NULL when there is no memory. */
struct client_watch *lock_start_watch(struct lock *l, struct watch_create_req *req,
                                      const struct client_watch_callbacks *cb, tn_ms now) MUST_USE;
/* A watch has ended: what it may have missed is asked for. A held lock does without it when it is not allowed. */
void lock_watch_ended(struct lock *l, int code, const struct tenure_error *error, tn_ms now);
/* The own key and the home, while it is held. */
void lock_watch_own(struct lock *l, tn_ms now);

/* ---- lock_verify.c ---- */

/* The next request goes out now: whether the session's lease is known to be granted. */
void lock_note_whether_early(struct lock *l);
/* Nobody is before it: held, when the session lives, and no delay nor home is to be asked for any more. */
void lock_become_first(struct lock *l, tn_ms now);
void lock_verify(struct lock *l, tn_ms now);
/* To the end: the lane gives it its turn when the place is undone. */
void lock_let_pass(struct lock *l, tn_ms now);

/* ---- lock_delay.c ---- */

/* Nobody is before it, and nobody will come: what is left is the record of one who was lost. */
void lock_claim(struct lock *l, tn_ms now);

/* ---- lock_home.c ---- */

/* When it is first, and while it is held whenever a record has changed. */
void lock_ask_home(struct lock *l, tn_ms now);
/* While it is held: behind the revision at which the home was asked for. true: there is one, or none is needed. */
bool lock_start_watch_home(struct lock *l, tn_ms now) MUST_USE;
/* Held, and now somewhere else. The place is given back, so that nobody here waits for it. */
void lock_home_gone(struct lock *l, const char *why, tn_ms now);

/* ---- lock_authority.c ---- */

/* Its home, by the record of that prefix, wants it. TENURE_ENOMEM. */
int lock_want_authority(struct lock *l, bytes prefix) MUST_USE;
bool lock_has_authority(const struct lock *l, tn_ms now);
/* First, or held: lock_become_first follows, or the end. Nothing when it is under way. */
void lock_ask_authority(struct lock *l, tn_ms now);
/* Of an acquisition that is over. */
void lock_drop_authority(struct lock *l, tn_ms now);
tn_ms lock_authority_deadline(const struct lock *l);
/* false: it is not held, or not asked for, any more. */
bool lock_authority_timer(struct lock *l, tn_ms now) MUST_USE;

#endif
