/* Barriers: programs that wait for each other.
 *
 *   barrier         one holds it, everybody waits until it is released
 *   latch           a counted barrier: opens when n have arrived, and stays open until it is reset
 *   double barrier  n participants enter together and leave together, again and again
 *
 * Keys. The barrier "b" is the key /barriers/b; the double barrier "b" has keys under /barriers/b/. Both are those of Go's
 * recipes (client/v3/experimental/recipes, called with "/barriers/b"), so Go programs take part. The latch "b" has keys
 * under /latches/b/. Beside the barriers lies /barriers.marks/b, by which a hold whose answer was lost is not done twice.
 *
 * Waiting never polls: one watch, resumed over lost connections, restarts and compaction. timeout_ms of a function that
 * waits: 0 = without end, -1 = not at all (TENURE_EBUSY when it would have to); of any other: 0 = the handle's default.
 * Errors common to all: those of kv.h. err->applied says of a failed hold, release, arrival or reset whether it took effect.
 */
#ifndef TENURE_BARRIER_H
#define TENURE_BARRIER_H

#include <stdbool.h>

#include <tenure/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct tenure_barrier_options {
    size_t size;
    const char *prefix;  /* NULL = "/barriers/"; of latches "/latches/" */
    int64_t timeout_ms;  /* see above */
    const char *purpose; /* shown to who looks at the key of a hold, an arrival, a participant; NULL = the handle's */
};

/* ---- barrier ---- */

/* Holds everybody up until a release, whoever makes it; not bound to the life of this program. TENURE_EEXISTS: it is held
 * already. Blocking handles. */
int tenure_barrier_hold(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                        struct tenure_error *err);
/* Ends the hold that stands at the time of the call, and lets all go who wait. 0 also when nobody holds it. Blocking handles. */
int tenure_barrier_release(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                           struct tenure_error *err);
/* Waits until nobody holds it; a hold that ended while this waited is enough, though another one may have begun since.
 * TENURE_ETIMEOUT, TENURE_EBUSY. Blocking handles. */
int tenure_barrier_wait(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                        struct tenure_error *err);
/* The same three with a completion (NULL is allowed for the first two). 0, or why it could not begin. Any handle. */
int tenure_barrier_hold_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                              tenure_done_cb cb, void *user, struct tenure_error *err);
int tenure_barrier_release_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                 tenure_done_cb cb, void *user, struct tenure_error *err);
/* NULL when it could not begin. To be freed by tenure_wait_stop. */
tenure_wait *tenure_barrier_wait_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                       tenure_done_cb cb, void *user, struct tenure_error *err);

/* ---- latch ---- */

struct tenure_latch_state {
    int64_t arrived, n; /* 0 while nobody has arrived */
    bool open;
};

/* Counts one arrival; the nth opens the latch. It counts for good, also when this program ends. who: a name that is counted
 * once, however often it arrives (after a restart, say); NULL = each call counts. n: the same for all who arrive
 * (TENURE_ECONFLICT when it is not). ret, how it stands with this arrival, may be NULL. At an open latch: 0. Blocking handles. */
int tenure_latch_arrive(tenure_client *c, const char *name, int64_t n, const char *who,
                        const struct tenure_barrier_options *o, struct tenure_latch_state *ret,
                        struct tenure_error *err);
/* Waits until it is open. TENURE_ETIMEOUT, TENURE_EBUSY. Blocking handles. */
int tenure_latch_wait(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                      struct tenure_error *err);
/* How it stands. Blocking handles. */
int tenure_latch_look(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                      struct tenure_latch_state *ret, struct tenure_error *err);
/* Closes it and forgets the arrivals. Who waits goes on waiting, for the arrivals that follow; who slept through an opening
 * and this reset as well (compacted away while it was cut off) never hears of it, so reset when nobody waits. Blocking
 * handles. */
int tenure_latch_reset(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                       struct tenure_error *err);
/* state: NULL when code != 0. */
typedef void (*tenure_latch_cb)(void *user, int code, const struct tenure_latch_state *state,
                                const struct tenure_error *err);
/* The same with a completion (NULL is allowed for arrive and reset). 0, or why it could not begin. Any handle. */
int tenure_latch_arrive_start(tenure_client *c, const char *name, int64_t n, const char *who,
                              const struct tenure_barrier_options *o, tenure_latch_cb cb, void *user,
                              struct tenure_error *err);
int tenure_latch_look_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                            tenure_latch_cb cb, void *user, struct tenure_error *err);
int tenure_latch_reset_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                             tenure_done_cb cb, void *user, struct tenure_error *err);
/* NULL when it could not begin. To be freed by tenure_wait_stop. */
tenure_wait *tenure_latch_wait_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                     tenure_done_cb cb, void *user, struct tenure_error *err);

/* ---- double barrier ---- */

/* A participant: on a session of its own, so that a dead one does not block the others for ever. Who dies before n are in
 * is missing: the others wait for one more, until their deadlines. Who dies inside counts as having left. Either is noticed
 * when its lease ends, ttl_s later at most. One whose lease ends in the very moment in which the barrier opens counts as
 * having been there. */
typedef struct tenure_double_barrier tenure_double_barrier;

struct tenure_double_barrier_options {
    size_t size;
    const char *prefix; /* NULL = "/barriers/" */
    int64_t timeout_ms; /* to enter: see above; -1 is not allowed */
    int64_t ttl_s;      /* of its lease; 0 = 10 */
    const char *purpose;
    /* Only for tenure_double_barrier_enter_start: code 0 = inside, with n - 1 others. Else it waits to be freed by
     * tenure_double_barrier_leave(_start). */
    void (*on_entered)(tenure_double_barrier *b, int code, const struct tenure_error *err, void *user);
    /* The end of tenure_double_barrier_leave_start; b is gone. */
    void (*on_left)(int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Waits until n participants are in. NULL on failure: TENURE_ETIMEOUT, TENURE_EBUSY (n are in already, and it has not opened
 * yet), TENURE_ELOST (its lease ended while it waited), … Then it did not take part: the others wait for another one; only
 * with err->applied = TENURE_APPLIED_MAYBE (no server could be reached to give up) they may have counted it. While those of
 * the round before are leaving it waits for them. Free it by leaving. Blocking handles. */
tenure_double_barrier *tenure_double_barrier_enter(tenure_client *c, const char *name, int64_t n,
                                                   const struct tenure_double_barrier_options *o,
                                                   struct tenure_error *err);
/* Begins to enter; o->on_entered tells the end. NULL when it could not begin. Any handle. */
tenure_double_barrier *tenure_double_barrier_enter_start(tenure_client *c, const char *name, int64_t n,
                                                         const struct tenure_double_barrier_options *o,
                                                         struct tenure_error *err);
/* True from the opening until it leaves or its lease is not safe any more (see lock.h). No I/O; any thread. */
bool tenure_double_barrier_inside(const tenure_double_barrier *b);
/* Leaves, waits until all of the round have left or died, and frees. timeout_ms 0 = without end. 0; TENURE_ETIMEOUT (it has
 * left, others have not); TENURE_ELOST (its lease had ended before); TENURE_EBUSY, and nothing happened: it is being entered. NULL
 * is fine. Blocking handles. */
int tenure_double_barrier_leave(tenure_double_barrier *b, int64_t timeout_ms, struct tenure_error *err);
/* The same without waiting, and the way to give up an enter that was started (on_entered comes first then, unless it came
 * before). on_left follows, never within the call; b must not be used any more. NULL is fine. Any handle. */
void tenure_double_barrier_leave_start(tenure_double_barrier *b, int64_t timeout_ms);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
