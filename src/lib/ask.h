/* An ask: one call of the program: its request copied where it crosses threads, handed to the engine, its answer converted, its
 * waiter woken or its callback called. The files kv.c, txn.c, lease.c and servers.c say what is in it.
 *
 *     ask_new -> the file fills req -> ask_block (any thread)  -> ask_free with or without taking result
 *                                    -> ask_start (any thread)  -> the loop: complete, freed
 */
#ifndef LIB_ASK_H
#define LIB_ASK_H

#include "base/arena.h"
#include "lib/post.h"

struct ask;

struct ask_type {
    const char *what;  /* "get": in error texts */
    bool writes;       /* whether a lost answer leaves a doubt */
    bool in_namespace; /* may be made on a view; the rest of the file sees to its keys */
    bool answers;      /* it has no purpose but its answer: who does not want that is refused */
    bool is_awaited;   /* a waiter stays until it has ended, because what its callbacks reach for is his */
    /* Hands it to an engine; its end comes by ask_ended(user = the call). 0, or a code with err filled. */
    int (*begin)(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err);
    /* Ends it early: ask_ended still comes, later. NULL: opt->ret_call was handed on, and that call is cancelled. */
    void (*cancel)(struct ask *k, tn_ms now);
    /* From the engine's answer (code 0) to result, a or b. 0 or TENURE_ENOMEM. May be NULL. */
    int (*convert)(struct ask *k, const struct client_result *r);
    void (*result_free)(void *result);
    /* Calls k->cb with its own type, k->result given away. NULL where there is only a blocking form. */
    void (*complete)(struct ask *k, int code, const struct tenure_error *err);
};

struct ask {
    struct post post;
    tenure_client *handle;
    const struct ask_type *type;
    tn_ms deadline;
    struct scope_link scope;
    struct client_call *call; /* under way, where the engine was asked for one call */
    bool keeps;               /* inputs must be copied: the call is begun on another thread than it was made on */
    struct arena arena;       /* of the copies */
    bytes ns;                 /* of the view it was made on; copied */
    size_t strip;             /* how much of the keys answered is not shown */
    union {
        struct range_req range;
        struct put_req put;
        struct delete_req del;
        struct compact_req compact;
        struct lease_grant_req grant;
        struct lease_revoke_req revoke;
        struct lease_keepalive_req keepalive;
        struct lease_ttl_req ttl;
        struct client_auth_req auth;
        struct client_admin_req admin;
        struct client_service_req service;
        tenure_range_iter *iter;
        bool serializable;
        struct {
            const struct txn_req *txn;
            struct exact_call *call; /* of an exact one */
        } txn;
        size_t endpoint;
        struct {
            size_t endpoint;
            void (*on_piece)(void *user, const struct snapshot_resp *piece);
            void *user;
        } snapshot;
        struct ask_pieces {
            size_t endpoint;
            int (*on_piece)(void *user, const void *data, size_t len, uint64_t remaining);
            void *user;
            bool is_over; /* it wants no more */
        } pieces;
        struct {
            const struct txn_req *txn;
            const char *marks;
            bool unmarked;
            struct commit *commit;
        } commit;
        struct {
            bytes key;
            const char *marks;
            bool unmarked, is_cancelled;
            unsigned again; /* begun on another session */
            struct number_change *change;
            struct update *update;
        } number;
        struct value_read *read;
        struct copy_read *copy;
        struct ttl_read *ttl_read;
        struct value_write *write;
        struct {
            tenure_election *election;
            bytes proposal;
            struct proclaim *proclaim;
        } proclaim;
    } req;
    void *result;     /* one allocation, or NULL */
    int64_t a, b;     /* small answers */
    void (*cb)(void); /* the program's, cast back by type->complete; NULL = none */
    void *user;
};

/* timeout_ms 0 = the handle's default. NULL with err filled. */
struct ask *ask_new(tenure_client *c, const struct ask_type *type, int64_t timeout_ms, struct tenure_error *err)
    MUST_USE;
/* Borrows s, or copies it where the call crosses threads. data is NULL when out of memory and len > 0. */
bytes ask_keep(struct ask *k, bytes s) MUST_USE;
/* ask_new at the door of a public function; blocks: on a blocking handle's other threads only. */
struct ask *ask_enter(tenure_client *c, const struct ask_type *type, bool blocks, int64_t timeout_ms,
                      struct tenure_error *err) MUST_USE;
/* For a call made otherwise than by ask_enter: it is below ns. False: out of memory. */
bool ask_put_below(struct ask *k, bytes ns) MUST_USE;
/* A copy of a string for the request. False: k is freed and err filled (TENURE_EINVALID for NULL, TENURE_ENOMEM). */
bool ask_keep_string(struct ask *k, const char *s, bytes *ret, struct tenure_error *err) MUST_USE;
/* Frees a call whose request is no good, with its name before the error's text. NULL. */
struct ask *ask_drop(struct ask *k, struct tenure_error *err);
/* Waits for its end, at most LATE_MS behind its deadline. Precondition: handle_enter_blocking. The call is still the
 * caller's: takes k->result (set it to NULL) and frees. */
int ask_block(struct ask *k, struct tenure_error *err) MUST_USE;
/* Takes k. 0: the callback will come, once. */
int ask_start(struct ask *k, void (*cb)(void), void *user, struct tenure_error *err) MUST_USE;
/* How a blocking function ends: waits, hands its result over where one is wanted (a pointer to its pointer, or NULL), frees.
 * k NULL: err says why. */
int ask_finish(struct ask *k, void *ret_result, struct tenure_error *err);
/* The same where the answer is the number k->a. */
int ask_finish_number(struct ask *k, int64_t *ret, struct tenure_error *err);
/* How a function with a completion ends: ask_start. k NULL: err says why. */
int ask_go(struct ask *k, void (*cb)(void), void *user, struct tenure_error *err);
void ask_free(struct ask *k);

/* A client_done_cb. */
void ask_ended(void *user, const struct client_result *r);

/* An ask_type.complete for a callback that is given the result, and one that is told the end alone. */
#define ASK_COMPLETE(name, cb_type, result_type)                                                                       \
    static void name(struct ask *k, int code, const struct tenure_error *err)                                          \
    {                                                                                                                  \
        result_type *r = k->result;                                                                                    \
        k->result = NULL;                                                                                              \
        ((cb_type)k->cb)(k->user, code, r, err);                                                                       \
    }
void ask_complete_done(struct ask *k, int code, const struct tenure_error *err);

#endif
