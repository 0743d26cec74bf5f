/* What is special to worlds of locks (sim_config.locks): the parts of an actor's process, and what is true of them.
 *
 *   gate.c     a program with a heartbeat that hangs now and then, a lock with a delay and levels, and its resume after a restart
 *   guarded.c  what the lock is for: a resource that rejects smaller tokens, and writes that are guarded by one; the delay
 *   guard.c    a command that runs under the lock, and its guardian
 *   several.c  several locks at once, and places with a rule of the program's
 *   observe.c  who watches the election
 */
#ifndef SIM_LOCKS_H
#define SIM_LOCKS_H

#include "recipes/levels.h"
#include "recipes/takeover.h"
#include "world.h"

enum { GATE_TTL_S = 2, HEARTBEAT_MS = 600 };

struct guarded { /* a change of the key that is written under the lock */
    struct actor *actor;
    tn_rev token;
    char key[64];
    int64_t value;
};

struct gate {
    struct actor *actor;
    struct session *session;
    bool gated, ended;
    struct lock *lock;
    struct takeover *takeover;
    tn_lease resume_lease;
    tn_rev resume_token;
    bool acquiring, done, broken_into, resumed;
    tn_rev token; /* of what is held */
    char words[48];
    struct levels levels;
    int depth; /* what they should say */
    tn_ms next_at, release_at, cancel_at, enter_at, use_at;
    tn_ms beat_at, lived_at, hang_at, hung_until;
    bool writing; /* one guarded change at a time; no more of this token behind one whose end is not known */
};

struct several_sim;
struct guard;
struct watcher;

struct locks {
    struct gate gate;
    struct several_sim *several;
    struct watcher *watcher;
};

/* What a process leaves on its machine's disk for the next one. */
struct notes {
    bool kept;
    tn_lease lease;
    tn_rev token;
};

struct flight { /* a write on its way to the resource, which no crash and no pause of its sender stops */
    struct flight *next;
    tn_ms at;
    tn_rev token;
    int64_t value;
};

struct locks_truth {
    struct notes notes[CLIENTS_MAX];
    struct guard *guards[CLIENTS_MAX];
    /* the resource (M3) */
    int64_t value;
    tn_rev highest;
    struct flight *flights;
    /* the guarded key (M4) */
    int64_t counter;
    /* the delay (M11) */
    bool record, counting;
    tn_rev record_token, gone_token;
    tn_rev released;   /* what its holder let go last */
    tn_rev taken_over; /* and not held again yet */
    bool revoked;
    int64_t delay_ms;
    tn_ms free_at;
};

struct locks_truth *locks_truth(struct world *w);

/* ---- gate.c ---- */
void gate_start(struct actor *a);
void gate_tick(struct gate *k);
void gate_step(struct gate *k);
tn_ms gate_next(const struct gate *k);
void gate_kill(struct gate *k);
void gate_free(struct gate *k);
void gate_finish(struct gate *k);
bool gate_idle(const struct gate *k);
bool gate_holds(const struct gate *k);

/* ---- guarded.c ---- */
/* Under the lock: one change of either kind. */
void guarded_use(struct gate *k);
/* Whoever was told that he has the lock, now. */
void guarded_had(struct world *w, tn_rev token);
void guarded_row(struct world *w, const struct record *r);
/* What arrives at the resource. */
void guarded_deliver(struct world *w);
tn_ms guarded_next(const struct world *w);

/* ---- guard.c ---- */
bool guard_runs(const struct gate *k);
void guard_begin(struct gate *k);
void guard_publish(struct gate *k); /* at each turn of the process */
void guard_end(struct gate *k);     /* the command has ended by itself */
void guard_lost(struct gate *k);
void guard_step(struct world *w, int index);
tn_ms guard_next(const struct world *w, int index);
void guard_free(struct world *w, int index);

/* ---- several.c ---- */
void several_start(struct actor *a);
void several_tick(struct actor *a);
void several_step(struct actor *a);
tn_ms several_next(const struct actor *a);
void several_kill(struct actor *a);
void several_free(struct actor *a);
void several_finish(struct actor *a);
bool several_idle(const struct actor *a);
void several_lease_ended(struct actor *a, tn_lease id);
void several_key_deleted(struct actor *a, bytes key);
bytes several_key(struct actor *a, bool **ret_broken_into);
void check_several(struct world *w);

/* ---- observe.c ---- */
void watcher_start(struct actor *a);
void watcher_step(struct actor *a);
tn_ms watcher_next(const struct actor *a);
void watcher_stop(struct actor *a);
void check_watcher(struct actor *a); /* M10, at the end */

#endif
