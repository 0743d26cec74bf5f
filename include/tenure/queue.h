/* Queues of items, over any number of programs that put and take.
 *
 *   FIFO      the oldest first
 *   PRIORITY  the lowest number first, the oldest of it
 *   DELAY     what is due first, and not before it is due
 *   WORK      the oldest first, and an item that is taken comes again until it is acknowledged
 *
 * What is promised:
 *   put       once. A put whose answer was lost is not doubled: it is found out whether it was done. What cannot be found out
 *             in time is said by err->applied = TENURE_APPLIED_MAYBE; putting again may double it then.
 *   take      exactly one taker gets an item. From a plain queue (the first three) it is gone with the take: at most once. A
 *             take whose answer was lost finds out whether it has the item; but what a program takes and does not finish,
 *             because it dies, is gone. Only when servers and session are lost for longer than a TTL in the middle of a take
 *             its end is a TENURE_ELOST with err->applied = TENURE_APPLIED_MAYBE.
 *   work      at least once, acknowledged exactly once. The taker has a claim, with a fencing token; the acknowledgement
 *             holds only while the claim stands, and removes item and claim together. When the claim ends first, because the
 *             worker died or hung, or its time ran out, the item is delivered again, before all others, with a count of its
 *             deliveries; after deliveries_max of them it goes to the dead letters instead. So a worker that was slow may work
 *             on what another one works on: let what is written carry the token.
 *   order     items are taken in their order at the moment of the take. Who waits is served in the order of coming; an item
 *             that is put wakes one who waits. Who comes while an item lies there takes it at once.
 *
 * Keys are under /queues/<name>/: see docs/recipes.md. In a FIFO queue each key there is an item, so Go's recipe (with the
 * prefix "/queues/<name>/") and etcdctl may put and take as well. A name that begins with another queue's name and a slash
 * lies within that queue: do not use both.
 *
 * Whose clock: a delay is added to the clock of who puts, and compared with the clock of who takes (CLOCK_REALTIME both). An
 * item is never given out before it is due by the taker's clock; clocks that differ shift it by their difference.
 *
 * Errors common to all: those of kv.h. Values may be as large as the server takes in one request (1.5 MB, less the keys).
 */
#ifndef TENURE_QUEUE_H
#define TENURE_QUEUE_H

#include <tenure/kv.h>
#include <tenure/lock.h>
#include <tenure/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_queue tenure_queue;

enum tenure_queue_kind {
    TENURE_QUEUE_FIFO = 0,
    TENURE_QUEUE_PRIORITY = 1,
    TENURE_QUEUE_DELAY = 2,
    TENURE_QUEUE_WORK = 3
};

struct tenure_queue_options {
    size_t size;
    enum tenure_queue_kind kind; /* the same for all programs that use the queue */
    const char *prefix;          /* NULL = "/queues/" */
    int64_t length_max; /* a put finds so many items: TENURE_ELIMIT; 0 = no bound. WORK counts what is taken as well */
    /* Of the lease under this program's place in the line of those who wait, and under its claims: so long a dead program
     * may hold them up. 0 = 10. */
    int64_t ttl_s;
    /* WORK: how long a claim lasts unless it is extended; whole seconds, 2,000 at least; 0 = as long as the program lives and
     * is connected. */
    int64_t claim_ms;
    int64_t deliveries_max; /* WORK: 0 = none */
    const char *purpose;    /* shown in the line and in claims; NULL = the handle's */
    /* Prefix of the marks (see stm.h) that puts, takes and acknowledgements write beside the queue's keys; NULL = "/marks/". Who
     * uses the queue must be allowed to write there. */
    const char *marks;
};

/* A queue of that name; asks nothing of the servers. Free by tenure_queue_close. NULL on failure: TENURE_EINVALID,
 * TENURE_ENOMEM, TENURE_ECLOSED. Any handle. */
tenure_queue *tenure_queue_open(tenure_client *c, const char *name, const struct tenure_queue_options *o,
                                struct tenure_error *err);
/* Frees it when what is under way has ended: waiting takes are given up (TENURE_ECANCELLED), claims that stand on its lease
 * end, and their items are delivered again. Items stay valid for reading. NULL is fine. Any handle. */
void tenure_queue_close(tenure_queue *q);

/* ---- putting ---- */
struct tenure_queue_put_options {
    size_t size;
    int64_t priority;   /* PRIORITY: 0 … 65,535, lower first */
    int64_t delay_ms;   /* DELAY, WORK: due so much later than now */
    int64_t due_ms;     /* DELAY, WORK: or at this Unix time in milliseconds; 0 = see delay_ms */
    int64_t timeout_ms; /* 0 = the handle's default */
};
/* TENURE_ELIMIT: the queue is full. Blocking handles. */
int tenure_queue_put(tenure_queue *q, struct tenure_bytes value, const struct tenure_queue_put_options *o,
                     struct tenure_error *err);
/* The same with a completion, which may be NULL. value is copied. 0, or why it could not begin. Any handle. */
int tenure_queue_put_start(tenure_queue *q, struct tenure_bytes value, const struct tenure_queue_put_options *o,
                           tenure_done_cb cb, void *user, struct tenure_error *err);

/* ---- taking ---- */
/* One allocation, freed by tenure_queue_item_free. Each run of bytes has a 0 behind its end, not counted. */
struct tenure_queue_item {
    struct tenure_bytes key, value;
    int64_t create_revision; /* of the key it was taken from: its place in the order */
    int64_t priority, due_ms;
    int64_t deliveries; /* WORK: how often it was given out, this time counted */
    tenure_token token; /* WORK: of the claim; only grows over all deliveries of an item. 0 when only looked at */
};
/* NULL is fine. A claim that was neither acknowledged nor given back stands until it ends by itself. Any thread. */
void tenure_queue_item_free(struct tenure_queue_item *item);

/* Takes the first item. wait_ms: how long to wait for one; 0 = without end, -1 = not at all (TENURE_ENOTFOUND). An item that
 * is just being taken at the deadline is waited for. TENURE_ETIMEOUT. Blocking handles. */
int tenure_queue_take(tenure_queue *q, int64_t wait_ms, struct tenure_queue_item **ret, struct tenure_error *err);
/* item: the callback's, to be freed; NULL when code != 0. */
typedef void (*tenure_queue_item_cb)(void *user, int code, struct tenure_queue_item *item,
                                     const struct tenure_error *err);
/* The same with a completion. To be freed by tenure_wait_stop; a take that is stopped may still end with an item. NULL when it
 * could not begin. Any handle. */
tenure_wait *tenure_queue_take_start(tenure_queue *q, int64_t wait_ms, tenure_queue_item_cb cb, void *user,
                                     struct tenure_error *err);
/* Shows the item that a take would get, and leaves it there; of a DELAY queue the first one, due or not. TENURE_ENOTFOUND.
 * Blocking handles. */
int tenure_queue_peek(tenure_queue *q, struct tenure_queue_item **ret, struct tenure_error *err);
/* How many items are in it, due or not; WORK: taken ones counted, dead ones not. Blocking handles. */
int tenure_queue_length(tenure_queue *q, int64_t *ret, struct tenure_error *err);
/* The same two without waiting: once, on the loop's thread, not within the call; of a peek the item is the callback's to free,
 * and NULL when code is not 0. 0, or why it did not begin (then the callback is not called): TENURE_EINVALID without one. Any
 * handle. */
typedef void (*tenure_queue_length_cb)(void *user, int code, int64_t length, const struct tenure_error *err);
int tenure_queue_peek_start(tenure_queue *q, tenure_queue_item_cb cb, void *user, struct tenure_error *err);
int tenure_queue_length_start(tenure_queue *q, tenure_queue_length_cb cb, void *user, struct tenure_error *err);

/* ---- who waits, and who works on what ---- */
/* A take that waits. Who finds an item at once never stands there. */
struct tenure_queue_waiter {
    const char *key; /* in the line, which lies beside the queue: docs/recipes.md */
    int64_t lease;
    const char *host, *purpose; /* "" where it did not say */
    int64_t pid;                /* 0 where unknown */
    int64_t since_ms;           /* Unix time in milliseconds, when the take began; 0 where unknown */
};
/* WORK: an item that is taken and not acknowledged. */
struct tenure_queue_work {
    const char *id;     /* the last part of its keys, as that of the item's key */
    int64_t deliveries; /* how often it was given out */
    /* Of the claim, as the worker's item has it; 0: its claim has ended, and the next take gets it. Then nothing is known of the
     * rest. */
    tenure_token token;
    int64_t lease; /* of the claim: the worker's, or with claim_ms its own */
    const char *host, *purpose;
    int64_t pid, since_ms; /* since the take began */
};
struct tenure_queue_list {
    int64_t revision;
    size_t n_waiters, n_works;
    const struct tenure_queue_waiter *waiters; /* the first is served next */
    const struct tenure_queue_work *works;     /* in the order of their ids; none but of WORK */
};
/* Reads them at one revision, without changing anything. Nobody and nothing is success. TENURE_EDENIED, and whatever a transaction
 * fails with. Blocking handles. */
int tenure_queue_list(tenure_queue *q, struct tenure_queue_list **ret, struct tenure_error *err);
/* The same without waiting: once, on the loop's thread, not within the call, and also when the queue is closed meanwhile; r is NULL
 * when code is not 0, else the callback's to free. 0, or why it did not begin (then it is not called). Any handle. */
typedef void (*tenure_queue_list_cb)(void *user, int code, struct tenure_queue_list *r, const struct tenure_error *err);
int tenure_queue_list_start(tenure_queue *q, tenure_queue_list_cb cb, void *user, struct tenure_error *err);
void tenure_queue_list_free(struct tenure_queue_list *r); /* NULL is fine */

/* ---- what becomes of an item of a WORK queue ---- */
/* The lease of the item's claim; 0 of an item that is not claimed. When it is revoked, the item is delivered again. No I/O; any
 * thread. */
int64_t tenure_queue_item_lease(const struct tenure_queue_item *item);
/* For how many milliseconds the claim is this program's for sure, unless its lease is renewed; <= 0: it is not, and somebody else may
 * have the item. Of a claim with a time of its own that of the take: tenure_queue_extend gives claim_ms from its call on. No I/O;
 * any handle. */
int64_t tenure_queue_remaining_ms(tenure_queue *q, const struct tenure_queue_item *item);
/* Done: removes it for good. 0: this claim's acknowledgement, and no other, was the one. TENURE_ELOST: the claim had ended; the
 * item was or will be delivered again. TENURE_EUNAVAILABLE with err->applied = TENURE_APPLIED_MAYBE: the session of the marks was
 * lost in the middle of it, so the item is gone or will be delivered again. TENURE_EINVALID for an item that is not claimed. item stays the caller's to free.
 * Blocking handles. */
int tenure_queue_ack(tenure_queue *q, const struct tenure_queue_item *item, struct tenure_error *err);
/* Not done: gives it back, to be taken again delay_ms later, behind those that wait; to the dead letters when it was delivered
 * deliveries_max times. Errors as ack. Blocking handles. */
int tenure_queue_nack(tenure_queue *q, const struct tenure_queue_item *item, int64_t delay_ms,
                      struct tenure_error *err);
/* Keeps it longer: claim_ms from now; of a claim without a time of its own it says whether it stands. Errors as ack. Blocking
 * handles. */
int tenure_queue_extend(tenure_queue *q, const struct tenure_queue_item *item, struct tenure_error *err);
/* The same three with a completion, which may be NULL. What is needed of item is copied. Any handle. */
int tenure_queue_ack_start(tenure_queue *q, const struct tenure_queue_item *item, tenure_done_cb cb, void *user,
                           struct tenure_error *err);
int tenure_queue_nack_start(tenure_queue *q, const struct tenure_queue_item *item, int64_t delay_ms, tenure_done_cb cb,
                            void *user, struct tenure_error *err);
int tenure_queue_extend_start(tenure_queue *q, const struct tenure_queue_item *item, tenure_done_cb cb, void *user,
                              struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
