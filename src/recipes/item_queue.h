/* Queues of items: put, take, and what a worker does with what it took. Errands (errand.h) on the words of item.h; each change
 * is a commit (commit.h), so it is known whether it was done, and it is done once: a put is not doubled and a take does not
 * lose an item because an answer was lost. What is not known when a session is lost is said so: "maybe".
 *
 * Taking. A look shows who is first; one guarded transaction takes it: exactly one taker gets it. Nothing there: the taker
 * stands in line, by a lock (lock.h) of its own name; only who is first in line watches the queue, so an item that is put
 * wakes one taker, and those who wait are served in the order in which they came. (Who finds an item at once does not wait
 * for them.) A taker that dies at the head of the line holds up the others in it until its lease ends.
 *
 * Work. Taken is not gone: the claim is on the worker's lease, or on one of its own when it may run out by itself
 * (claim_ms). An item that is taken and not claimed is given to the next taker, before all others; one that was delivered
 * deliveries_max times goes to dead/ instead. The token of a claim is its create_revision; acknowledging is guarded by it.
 *
 * Delays are in Unix time: due is what who puts says, compared with the clock of who takes (item_env.wall).
 * Pure; thread: the client's.
 */
#ifndef RECIPES_ITEM_QUEUE_H
#define RECIPES_ITEM_QUEUE_H

#include "base/buf.h"
#include "recipes/commit.h"
#include "recipes/errand.h"
#include "recipes/item.h"

/* What all errands of a queue need; borrowed as long as they live, but the marks and the session, which may end before. */
struct item_env {
    struct client *client;
    const struct item_keys *keys;
    struct marks *marks;
    struct session *session;     /* (take) for the line and for claims */
    int64_t (*wall)(void *user); /* Unix time in milliseconds */
    void *wall_user;
};

/* A commit that failed, certainly without effect, and may go better when it is tried again. */
static inline bool commit_may_retry(const struct commit_result *r)
{
    bool nobody_there = r->code == TENURE_EUNAVAILABLE || r->code == TENURE_ETIMEOUT;
    return r->outcome == COMMIT_FAILED && nobody_there && r->error->applied == TENURE_APPLIED_NO;
}

struct item_put {
    bytes value;
    int64_t priority;     /* 0 … ITEM_PRIORITY_MAX */
    int64_t due_ms;       /* Unix time; 0 = at once (DELAY, WORK) */
    int64_t length_max;   /* 0 = none; else TENURE_ELIMIT when so many are there */
    bool broken_unmarked; /* tests only: a put is repeated as if that were harmless */
};
struct errand *item_put(const struct item_env *env, const struct item_put *o, tn_ms until, errand_done done, void *user,
                        struct tenure_error *err) MUST_USE;

struct item_take {
    bool try_only;          /* TENURE_ENOTFOUND instead of waiting */
    bool peek;              /* only looks; implies try_only */
    int64_t claim_ms;       /* WORK: the claim's own time, whole seconds, 2 s at least; 0 = as long as the session */
    int64_t deliveries_max; /* WORK; 0 = none */
    bytes value;            /* WORK: who, for a person */
    bool broken_unguarded;  /* tests only: takes what it has seen without a guard */
    bool broken_early;      /* tests only: takes what is not due */
};
struct errand *item_take(const struct item_env *env, const struct item_take *o, tn_ms until, errand_done done,
                         void *user, struct tenure_error *err) MUST_USE;

/* What was taken. Bytes are the errand's. */
struct item {
    bytes key, id, value;
    tn_rev create; /* of the key it was taken from */
    int64_t priority, due_ms;
    int64_t deliveries; /* WORK: this one counted */
    tn_rev token;
    tn_lease lease;   /* of the claim */
    tn_ms safe_until; /* of a claim with a time of its own; 0 = as long as the session is safe */
};
const struct item *item_taken(const struct errand *t);

enum item_settle { ITEM_ACK, ITEM_NACK, ITEM_EXTEND };
struct item_settlement {
    enum item_settle how;
    const struct item *item; /* copied in what matters */
    int64_t due_ms;          /* NACK: not before; 0 = at once, behind the others */
    int64_t deliveries_max;  /* NACK: dead when it was delivered so often */
};
/* TENURE_ELOST: the claim had ended; the item was, or will be, delivered again. */
struct errand *item_settle(const struct item_env *env, const struct item_settlement *o, tn_ms until, errand_done done,
                           void *user, struct tenure_error *err) MUST_USE;
/* Until when an extended claim is safe; 0 = as long as the session. */
tn_ms item_extended_until(const struct errand *t);

/* How many items there are (WORK: not acknowledged and not dead). */
struct errand *item_length(const struct item_env *env, tn_ms until, errand_done done, void *user,
                           struct tenure_error *err) MUST_USE;
int64_t item_counted(const struct errand *t);

#endif
