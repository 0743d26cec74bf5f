/* What servers have answered about keys, kept for a time: a cache without a watch. A key is asked for when somebody wants it and what is
 * kept is too old for him; all who want the same key wait for one read. That it is not there is kept as well.
 *
 * How old an answer is counts from when its request was sent, a linearizable read: all that was acknowledged before is in it. An
 * answer to a request that was sent before somebody asked for the newest, or before a forget, is none for him, and after a forget it is
 * not kept.
 *
 * Bounded: over its keys or bytes the answers that are oldest go; what is older than its time goes by itself.
 *
 * Other threads may look (recall_find) while the map does not change: guard(user, true) is called before it does, and
 * guard(user, false) behind.
 *
 * Pure; thread: the client's. done comes from client_deliver and recall_tick, last; it may begin and cancel others, and stop it. */
#ifndef RECIPES_RECALL_H
#define RECIPES_RECALL_H

#include "base/heap.h"
#include "base/list.h"
#include "client/client.h"
#include "recipes/keyset.h"

struct recall;

struct recall_options {
    int64_t ttl_ms;
    size_t keys_max, bytes_max;
    void (*guard)(void *user, bool changes); /* may be NULL */
    void *user;
};

/* What is kept of a key. */
struct recall_answer {
    struct keyset_entry *entry; /* version 0 = there is no such key */
    tn_rev revision;            /* of the store when it answered */
    tn_ms asked_at;
};

struct recall_need {
    tn_ms since;     /* asked for at that time, or later; 0 = within its time */
    bool asked;      /* behind this */
    tn_rev revision; /* of that one, at least */
};

int recall_start(struct client *c, const struct recall_options *o, struct recall **ret, struct tenure_error *err)
    MUST_USE;
/* Those who wait are not told. NULL is fine; NULL. */
struct recall *recall_stop(struct recall *r, tn_ms now);
tn_ms recall_deadline(const struct recall *r);
void recall_tick(struct recall *r, tn_ms now);

/* Borrowed until the next change; NULL = nothing that is what is needed. */
const struct recall_answer *recall_find(const struct recall *r, bytes key, const struct recall_need *need, tn_ms now);
size_t recall_count(const struct recall *r);

/* ---- wanting one ---- */
struct recall_wait;
/* answer: borrowed for the call; NULL when code is not 0: TENURE_ETIMEOUT, TENURE_ECANCELLED, TENURE_EFUTURE, or what the read failed by. */
typedef void (*recall_done)(void *user, int code, const struct recall_answer *answer, const struct tenure_error *error);
struct recall_wait {
    struct list in_fetch; /* or in those that have ended */
    struct heap_node timer;
    struct recall *recall;
    struct recall_need need;
    struct recall_answer answer; /* with a reference, until it was told */
    uint64_t read;               /* the first one that counts */
    uint64_t behind;             /* the first one that is sent behind it */
    recall_done done;
    void *user;
    int code;
    struct tenure_error error;
};
/* done comes once, never within the call. w stays where it is until then. TENURE_ENOMEM. */
int recall_get(struct recall *r, struct recall_wait *w, bytes key, const struct recall_need *need, tn_ms until,
               recall_done done, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
void recall_cancel(struct recall_wait *w); /* ends it soon: done still comes */
void recall_cancel_all(struct recall *r, int code);

/* What is kept of it, and what is being read, is not given any more to those who come. */
void recall_forget(struct recall *r, bytes key);

#endif
