/* A mutual exclusion lock in etcd's layout: key `<name>/<lease id in hex>`, the lowest create_revision owns, so that Go's
 * concurrency package, etcdctl and the v3lock service stand in the same queue.
 *
 *   IDLE -> ENTERING (txn: own key if absent, and who is before it)
 *     -> WAITING (watches the predecessor and the own key only) -> VERIFYING (one linearizable txn: own key still
 *        stands at its create_revision, and nobody is before it) -> HELD -> RELEASING (txn: delete the own key if its
 *        create_revision is ours) -> IDLE
 *   from any of them: LOST (session lost, or the own key is gone)
 *
 * The token is the own key's create_revision, with the epoch of its home in the high bits where one is asked for. A session and
 * a name share one key: a second lock object of the same session and name queues behind the first inside the process,
 * and gets a key, so a token, of its own.
 *
 * Ghosts: when an acquire is given up, or a lock released, while a request to enter may still land at some later time, the
 * place is left by a transaction that deletes the key and moves a fence on which every such request depends, so that what
 * lands later does nothing (queue.h). It is tried until it has an answer, behind the user's back; the name is entered again
 * by this session only after it. If that cannot be had within a TTL the session is given up.
 *
 * The same machine holds readers and writers of one name, and permits of a semaphore: they differ in the rule by which a
 * place may hold beside others, and in whom it waits for (rule.h, queue.h). Readers and permits do not queue inside the
 * process: each has a key of its own.
 *
 * Ranked (elections): whoever would hold, and sees a better one wait behind, leaves his place and is QUEUED anew (rank.h). It
 * happens in the verify, so it is no more than one request to leave and one to enter, and nobody has been told anything.
 *
 * Pure. Callbacks come from client_deliver and session_tick, last. Rules M1, M2, M5 to M9, L2, L3.
 */
#ifndef RECIPES_LOCK_H
#define RECIPES_LOCK_H

#include "recipes/rule.h"
#include "recipes/session.h"

enum lock_state {
    LOCK_IDLE,
    LOCK_QUEUED, /* behind another object of this process */
    LOCK_ENTERING,
    LOCK_WAITING,
    LOCK_VERIFYING,
    LOCK_HELD,
    LOCK_RELEASING,
    LOCK_LOST
};

struct lock;

struct lock_callbacks {
    /* The acquire ended: code 0 = held, with its token; TENURE_ETIMEOUT, TENURE_ECANCELLED, TENURE_ELOST, TENURE_EBUSY
     * (try only), TENURE_EINVALID (the name is a path prefix of one in use), … */
    void (*on_acquired)(void *user, int code, int64_t token, const struct tenure_error *error);
    /* Held, and now not any more: at safe-until, or when the own key was seen deleted. Once an acquisition. */
    void (*on_lost)(void *user, const struct tenure_error *why);
    /* The release ended: 0 = freed for sure; else it is freed at the latest when the lease ends. */
    void (*on_released)(void *user, int code);
    /* The lock is a reader's for all to see (lock_share); TENURE_ELOST, TENURE_ECANCELLED when it ended before. */
    void (*on_shared)(void *user, int code);
    /* Held, and of a home that wants authority: lock_believed_until is a later one. */
    void (*on_believed)(void *user, tn_ms until);
};

struct lock_options {
    const char *prefix; /* NULL = "/locks/" */
    bytes value;        /* small JSON saying who waits or holds; may be empty */
    bool try_only;      /* TENURE_EBUSY instead of waiting */
    int64_t wait_ms;    /* 0 = without end */
    bytes note;         /* put beside the key (queue.h); empty = none. Of the whole only */
    bool ranked;        /* lets better ones pass; of the whole only, as is */
    int64_t preference; /* higher is better; put beside the key; other than 0 only where ranked */
    int64_t delay_ms;   /* after an unclean end of this one (delay.h); 0 = none, and none is kept. Of the whole only */
    tn_rev resume;      /* the place of this session that was created then is taken up, if it stands; 0 = none */
    bool homed;         /* the home of its key is asked for: its token has that one's epoch (homed.h) */
    struct rule rule;   /* all zero = the whole: a mutex, a writer; number is chosen */
    bool broken_skip_verify; /* tests only: believes after the wait without asking */
    bool broken_delay;       /* tests only: does not wait for what a lost holder left behind */
    bool broken_rule;        /* tests only: readers and permits hold beside anybody */
    bool broken_herd;        /* tests only: looks again whenever anybody leaves */
    bool broken_token;       /* tests only: tells its lease instead of the token */
    bool broken_hold_on;     /* tests only: answers "held" when the key was deleted */
    bool broken_no_undo;     /* tests only: leaves what an acquire that is given up has left */
    bool broken_leave_all;   /* tests only: a release deletes every place of the queue */
    bool broken_proud;       /* tests only: lets nobody pass */
    bool broken_meek;        /* tests only: lets everybody pass who is better, without end */
};

/* name without leading slash; the key is prefix + name + "/" + hex. Copies. */
int lock_new(struct session *s, const char *name, const struct lock_options *opt, const struct lock_callbacks *cb,
             void *user, struct lock **ret, struct tenure_error *err) MUST_USE;
/* Begins to acquire; also on a session that is still starting, with which it goes out together. TENURE_ELOST when the
 * session has ended (a LOST lock is never used again: make a new one), TENURE_EBUSY when it is not IDLE or the end of the
 * last acquire was not told yet. */
int lock_acquire(struct lock *l, tn_ms now, struct tenure_error *err) MUST_USE;
/* Gives an acquire up (on_acquired with TENURE_ECANCELLED) and undoes what it left. */
void lock_cancel(struct lock *l, tn_ms now);
/* Frees a held lock. From this call on lock_held answers false. Of a LOST one: on_released with TENURE_ELOST. Of one that
 * is not held yet, or whose on_acquired has not come yet: as lock_cancel. */
void lock_release(struct lock *l, tn_ms now);
/* Makes a held writer a reader, in its place and with its token: from this call on others may read. value replaces the key's
 * and begins with RULE_SHARED_VALUE; copied. on_shared follows. The object is not acquired
 * again (TENURE_EINVALID). TENURE_ENOTHELD, TENURE_EINVALID (not a writer's, or no such
 * value), TENURE_EBUSY (was called before), TENURE_ENOMEM. */
int lock_share(struct lock *l, bytes value, tn_ms now, struct tenure_error *err) MUST_USE;
/* Should not be held or under way, except when the session is gone; if it is, its place is undone without a word. In a
 * callback of its own too. NULL is fine; NULL. */
struct lock *lock_free(struct lock *l);

enum lock_state lock_state(const struct lock *l);
/* True only while nobody else can hold it. */
bool lock_held(const struct lock *l, tn_ms now);
/* The instant from which on it is not believed; 0 unless held. The session's, or that of its home's authority, when that ends first. */
tn_ms lock_safe_until(const struct lock *l);
/* The latter alone; TN_MS_NEVER: it wants none. */
tn_ms lock_believed_until(const struct lock *l);
int64_t lock_token(const struct lock *l); /* 0 unless held */
bytes lock_key(const struct lock *l);     /* the own key; empty before it exists */
/* As it was asked for, with its number. */
const struct rule *lock_rule(const struct lock *l);
/* How often it has asked who is before it, over all acquires. */
uint64_t lock_looks(const struct lock *l);
/* The lock's own part of session_deadline and session_tick, which cover all locks of a session: ticking the session is
 * enough. */
tn_ms lock_deadline(const struct lock *l);
void lock_tick(struct lock *l, tn_ms now);

#endif
