/* An errand: one thing asked of the servers that takes several steps: reads, guarded transactions, at most one watch, a
 * deadline. Barriers and queues are made of errands.
 *
 *     step  asks what stands at the server        -> answers lead to the next request, to a watch, or to the end
 *     watch shows that something has changed      -> step again, or the end
 *
 * The type says what to ask and what an answer means; here is what all have in common. A request that failed for want of a
 * server is followed by the same step again, after a pause, until the deadline; a watch that ends by compaction or by too
 * many events is followed by step, which reads the state anew. So a step must lead to the same end from whatever state it
 * finds, and a write must be safe to send twice: by a guard that its first copy breaks.
 *
 * Ends exactly once: done comes last, from client_deliver or errand_tick, never from within errand_stop or errand_start.
 * Pure; thread: the client's.
 */
#ifndef RECIPES_ERRAND_H
#define RECIPES_ERRAND_H

#include "base/backoff.h"
#include "recipes/op.h"

struct errand;
/* code 0 or TENURE_E…, then with a reason. The errand may be freed in it, and should be soon. */
typedef void (*errand_done)(void *user, struct errand *t, int code, const struct tenure_error *error);
/* Of a request that succeeded; what it points to is borrowed. */
typedef void (*errand_answer)(struct errand *t, const struct client_result *r, tn_ms now);

struct errand_type {
    void (*step)(struct errand *t, tn_ms now);
    void (*on_events)(struct errand *t, const struct client_watch_events *e, tn_ms now); /* NULL: it has no watch */
    /* The deadline has passed, or it was stopped: t->error says which. true: it goes on by itself, and ends. NULL: it ends. */
    bool (*on_stop)(struct errand *t, tn_ms now);
    /* A request failed in a way that no repetition mends. true: it goes on all the same, or has ended. NULL: it ends by it. */
    bool (*on_failed)(struct errand *t, const struct client_result *r, tn_ms now);
    void (*free)(struct errand *t); /* nothing is under way any more */
};

/* Embedded at the start of each errand. */
struct errand {
    const struct errand_type *type;
    struct client *client;
    errand_done done;
    void *user;
    struct client_context *context; /* counted; the client's present one when it was made, NULL = none */
    struct op *op;                  /* at most one request at a time */
    errand_answer answer;
    struct client_watch *watch;
    tn_ms until, retry_at; /* TN_MS_NEVER = none */
    struct backoff backoff;
    struct rng rng;
    bool writing; /* the request under way writes */
    bool maybe;   /* a write of it may have been carried out, and nothing was heard of that */
    bool over, told;
    int code;
    struct tenure_error error;
};

/* ---- who asks ---- */
/* until TN_MS_NEVER: without end. Does not begin yet. */
void errand_init(struct errand *t, const struct errand_type *type, struct client *c, tn_ms until, errand_done done,
                 void *user);
void errand_start(struct errand *t, tn_ms now);
/* Ends it with that code, unless it is over; done still comes (from errand_tick, which is due at once). A write that may have
 * been carried out is said to be so in the error. */
void errand_stop(struct errand *t, int code, tn_ms now);
/* The engine's calls have ended and no more will: done comes now, if it has not. */
void errand_abort(struct errand *t, int code, tn_ms now);
tn_ms errand_deadline(const struct errand *t);
void errand_tick(struct errand *t, tn_ms now);
/* Without a word. NULL is fine; NULL. */
struct errand *errand_free(struct errand *t, tn_ms now);

/* ---- for types ---- */
/* Each asks, with the client's timeout or what is left until the deadline. What cannot begin is tried again later. */
void errand_txn(struct errand *t, const struct txn_req *req, bool writes, errand_answer answer, tn_ms now);
void errand_range(struct errand *t, const struct range_req *req, errand_answer answer, tn_ms now);
void errand_grant(struct errand *t, const struct lease_grant_req *req, errand_answer answer, tn_ms now);
void errand_keepalive(struct errand *t, const struct lease_keepalive_req *req, errand_answer answer, tn_ms now);
/* Events behind `seen`; replaces the watch there was. */
void errand_watch(struct errand *t, struct key_range range, tn_rev seen, bool deletes_only, bool puts_only, tn_ms now);
void errand_unwatch(struct errand *t, tn_ms now);
/* Steps again after a pause. */
void errand_retry(struct errand *t, tn_ms now);
/* The end. error NULL: by the code's own text. Does nothing when it is over. */
void errand_end(struct errand *t, int code, const struct tenure_error *error, tn_ms now);
/* The end of one that was stopped while a commit was under way, and the commit failed: what was not applied, or only says that it
 * was cancelled, ends with the reason of the stop. stop_code 0: with the commit's. */
void errand_end_stopped(struct errand *t, int stop_code, const struct tenure_error *error, tn_ms now);
int errand_fail(struct errand *t, tn_ms now, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Tells the end, if there is one to tell; the errand may be gone behind. The last act of who changed it from outside of its
 * own calls (a session's news). */
void errand_flush(struct errand *t);

/* ---- what answers must look like ---- */
/* Whether the response at i is a range; then *ret is it. */
bool errand_range_at(const struct txn_resp *r, size_t i, const struct range_resp **ret);
/* The mod_revision of the one key asked for, 0 when it is absent. */
tn_rev errand_mod_of(const struct range_resp *r);

/* Writes prefix, name and rest behind each other to *at, which has room for them, and moves it behind them. */
bytes errand_place(uint8_t **at, const char *prefix, const char *name, const char *rest);
/* prefix without the slashes at its end: "/queues/" -> "/queues", and never shorter than root_len. Its length. */
size_t errand_bare_prefix(const char *prefix, size_t root_len);

/* ---- requests in place ---- */
enum { ERRAND_OPS_MAX = 6 };
struct errand_request {
    struct txn_req req;
    struct compare compares[ERRAND_OPS_MAX];
    struct request_op success[ERRAND_OPS_MAX], failure[ERRAND_OPS_MAX];
};
void request_begin(struct errand_request *t);
void request_if(struct errand_request *t, struct key_range keys, enum compare_target target, enum compare_result result,
                int64_t number);
void request_then_get(struct errand_request *t, const struct range_req *r);
void request_then_put(struct errand_request *t, bytes key, bytes value, tn_lease lease);
void request_then_delete(struct errand_request *t, struct key_range keys);
void request_else_get(struct errand_request *t, const struct range_req *r);

static inline struct key_range key_only(bytes key)
{
    return (struct key_range){.key = key};
}

#endif
