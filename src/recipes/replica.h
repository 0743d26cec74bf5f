/* A copy of a range of keys that knows how old it may be: a view (view.h), and reads that prove it to be current.
 *
 * How old. An event of a watch says what has changed, and nothing of when: it may have been on its way for any time, and that
 * none comes may mean that nobody writes, or that nobody can be heard. So the copy is called current as of a time for one
 * reason only: a linearizable read that was sent at that time was answered with a revision, and the copy is of that one, or
 * of a later one. Everything that was acknowledged before that time, by whichever server, is in the copy then
 * (replica_current_at). Such a read is called a check. It asks for what was changed behind the copy's own revision, and for how many
 * keys there are: where nothing has changed it is a few bytes, whatever the range holds; what has changed it brings along, so a
 * watch that is slow does not keep the copy back.
 *
 * Checks are made when a wait needs one, one at a time for all that wait; and each check_ms, where that is asked for. Without either
 * nothing is sent but what the watch takes.
 *
 * The copy never goes back: its revision only grows. Servers that were restored to an older revision are not believed until they
 * are beyond it; checks and lists are repeated until then.
 *
 * Pure; thread: the client's. Callbacks come from client_deliver and replica_tick, last; each may stop the replica.
 */
#ifndef RECIPES_REPLICA_H
#define RECIPES_REPLICA_H

#include "base/heap.h"
#include "base/list.h"
#include "recipes/view.h"

struct replica;

struct replica_options {
    struct key_range range; /* copied */
    int64_t check_ms;       /* 0 = only when somebody waits */
    size_t keys_max;        /* see view_limit */
    size_t bytes_max;
    bool broken_from_receipt; /* tests only: a check counts from when its answer came */
};

struct replica_callbacks {
    /* As view_callbacks.on_change. */
    void (*on_change)(void *user, tn_rev revision, const struct view_change *changes, size_t n);
    void (*on_checked)(
        void *user); /* replica_current_at or the revision have grown, and no key has changed; may be NULL */
    /* Denied, closed, out of memory, over the view's bounds. Those who wait are told the same behind it. Calls no more. */
    void (*on_end)(void *user, int code, const struct tenure_error *error);
};

/* TENURE_ENOMEM, TENURE_ELIMIT. */
int replica_start(struct client *c, const struct replica_options *o, const struct replica_callbacks *cb, void *user,
                  tn_ms now, struct replica **ret, struct tenure_error *err) MUST_USE;
/* No callback comes behind it, and none to those who wait. NULL is fine; NULL. */
struct replica *replica_stop(struct replica *r, tn_ms now);
tn_ms replica_deadline(const struct replica *r);
void replica_tick(struct replica *r, tn_ms now);

/* ---- the copy ---- */
tn_rev replica_revision(const struct replica *r);  /* that it is of; 0 = there is none yet */
tn_ms replica_current_at(const struct replica *r); /* see above; 0 = there is none yet */
size_t replica_count(const struct replica *r);
/* In byte order; borrowed until the next change. */
const struct kv *replica_at(const struct replica *r, size_t i);
const struct kv *replica_find(const struct replica *r, bytes key); /* NULL = absent */

/* ---- what the copy must be for somebody ---- */
struct replica_need {
    tn_ms since;     /* current as of that time, at least; 0 = whatever */
    bool asked;      /* by a check that is sent behind this: what a linearizable read is */
    tn_rev revision; /* of that one, at least; 0 = whatever */
};
/* Whether it is that already (`asked` never is). An empty need: there is a copy. */
bool replica_meets(const struct replica *r, const struct replica_need *need);

struct replica_wait;
/* 0: it is what was needed, now. Else why not: TENURE_ETIMEOUT, TENURE_ECANCELLED, TENURE_EFUTURE (the servers were asked, and are not
 * at that revision), TENURE_EDENIED, what it has ended by, … w is the caller's again. */
typedef void (*replica_done)(void *user, int code, const struct tenure_error *error);
struct replica_wait {
    struct list in_replica;
    struct heap_node timer;
    struct replica *replica;
    struct replica_need need;
    uint64_t check; /* the first one that counts */
    replica_done done;
    void *user;
    int code;
    struct tenure_error error;
};
/* done comes once, never within the call. w stays where it is until then. TENURE_ENOMEM. */
int replica_wait(struct replica *r, struct replica_wait *w, const struct replica_need *need, tn_ms until,
                 replica_done done, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* Ends it soon: done still comes. */
void replica_cancel(struct replica_wait *w);
/* The same for all. */
void replica_cancel_all(struct replica *r, int code);

/* Of a range of one key: what it was at that revision (version 0 = absent), as its writer knows who began at that time. */
void replica_wrote(struct replica *r, tn_rev revision, const struct kv *kv, tn_ms began);

#endif
