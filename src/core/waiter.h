/* Calls that wait for their turn in the queue of a name: Lock and Campaign.
 *
 *                 its first transaction is durable         nobody is before it, and its key stands
 *     ENTERING ------------------------------> LOOKING ----------------------------------> the reply
 *        |                                     |   ^
 *        |            somebody is before it    v   | that key or its own is gone, durably
 *        |                                    WAITING
 *        `---- the call ends, for whatever reason ---+---> LEAVING: its key is removed by a command of ours
 *
 * A key that was there before (the same lease asks twice) is not this call's, and not removed with it. */
#ifndef CORE_WAITER_H
#define CORE_WAITER_H

#include "core/call.h"
#include "core/watching.h"

/* How one kind of waiter answers. */
struct waiter_kind {
    /* Encodes the reply to core.out. immediate: it never had to wait. */
    void (*encode)(struct waiter *w, bool immediate);
    const char *lost; /* the text, with code Unknown, when its key is gone */
    bool has_value;   /* its key has the value asked for, also where it was there before */
};

/* One of the two keys that a waiter watches. */
struct waiter_watch {
    struct watch_sink sink;
    struct waiter *waiter;
    struct store_watcher *watcher; /* NULL: not watched */
};

/* Owner: the call; then, while its key is being removed, core.queue. */
struct waiter {
    struct core_call *call; /* NULL: leaving */
    struct core *core;
    const struct waiter_kind *kind;
    struct list link; /* in core.queue: due, leaving or left; else alone */
    struct waiter_watch own, before;
    struct watch_user *user; /* who waits; NULL: authentication was off when it entered */
    uint64_t auth_seen;
    tn_lease lease;
    tn_rev create;   /* of its key */
    tn_rev revision; /* that its first transaction left */
    tn_seq entered;  /* of that transaction; 0 = nothing is planned yet */
    tn_seq removed;  /* LEAVING: of the command that removes the key */
    bool made_lease, made_key, immediate, answered;
    size_t bytes;    /* its part of core.watch_bytes */
    size_t name_len; /* of the key: "NAME/" is the queue, "NAME/LEASE" the key */
    size_t key_len;
    uint8_t key[]; /* and the end of the queue's range behind it */
};

/* Enters the queue of a name; ends the call where that cannot be. */
void waiter_start(struct core_call *call, const struct waiter_kind *kind, const struct campaign_req *req, tn_ms now);
bytes waiter_name(const struct waiter *w);
bytes waiter_key(const struct waiter *w);
struct key_range waiter_queue(const struct waiter *w);
/* Its first transaction is durable. (gate.c) */
void waiter_entered(struct core_call *call);
/* The call ends. */
void waiter_end(struct core_call *call);

/* Those whose turn may have come, and keys that have to go. */
void waiters_run(struct core *c, tn_ms now);
tn_ms waiters_deadline(const struct core *c);
/* What was planned is undone. */
void waiters_undone(struct core *c);
void waiters_init(struct core *c);
void waiters_fini(struct core *c);

#endif
