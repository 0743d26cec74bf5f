/* What the files of the fake client (fake_client.h) share.
 *
 *     fake_client.c   processes, time, faults        fake_server.c    keys, transactions and leases, a model; the console
 *     fake_calls.c    calls, copy by copy            fake_streams.c   watches and keepalives
 */
#ifndef TESTS_FAKE_MACHINE_H
#define TESTS_FAKE_MACHINE_H

#include "fake_client.h"

enum {
    MEMORY_BYTES = 64 * 1024 * 1024,
    KEYS_MAX = 1024,
    LEASES_MAX = 256,
    HISTORY_MAX = 100000,
    CLIENTS_MAX = 64,
    TICKERS_MAX = 256,
    WATCHES_MAX = 4096,
    KEEPALIVES_MAX = 1024,
    EVENTS_MAX = 100000,
};

struct happening { /* something that is due */
    tn_ms at;
    uint64_t order;
    void (*happen)(void *what);
    void *what;
};

struct past { /* one event of the history */
    tn_ms at;
    struct event event;
};

struct model_lease {
    tn_lease id;
    int64_t ttl_s;
    tn_ms deadline;
};

struct ticker {
    struct client *client;
    fake_deadline deadline;
    fake_tick tick;
    void *object;
};

struct client_watch {
    struct client *client;
    struct client_watch_callbacks cb;
    void *user;
    struct watch_create_req req;
    tn_rev next; /* 0 = from the moment at which it arrives */
    tn_ms ready_at;
    struct client_context *context;
    bool stopped, ended;
};

struct client_keepalive {
    struct client *client;
    struct client_keepalive_callbacks cb;
    void *user;
    tn_lease lease;
    int64_t ttl_s;
    tn_ms next_at;
    bool stopped, gone;
};

enum call_kind { CALL_RANGE, CALL_TXN, CALL_GRANT, CALL_REVOKE, CALL_KEEPALIVE, CALL_TTL };

struct client_call {
    struct client *client;
    enum call_kind kind;
    union {
        struct range_req range;
        struct txn_req txn;
        struct lease_grant_req grant;
        struct lease_revoke_req revoke;
        struct lease_keepalive_req keepalive;
        struct lease_ttl_req ttl;
    };
    client_done_cb cb;
    void *user;
    struct client_context *context;
    tn_ms deadline;
    bool write, repeatable;
    bool has_again; /* again takes the transaction's place behind a copy whose fate is not known */
    struct txn_req again;
    bool sent; /* at least one copy has left */
    unsigned copies;
    bool is_stream; /* of a range: there is no such method */
    bool waiting;   /* for the connection */
    bool done;      /* its completion is queued */
    bool delivered;
    enum fake_fault fault; /* of the next copy */
    struct client_result result;
    struct tenure_error error;
    union {
        struct range_resp range_resp;
        struct txn_resp txn_resp;
        struct lease_grant_resp grant_resp;
        struct lease_revoke_resp revoke_resp;
        struct lease_keepalive_resp keepalive_resp;
        struct lease_ttl_resp ttl_resp;
    };
    struct client_call *next;
};

/* One copy of a request on its way. */
struct copy {
    struct client_call *call;
    tn_ms sent_at;
    unsigned number; /* the first is 1 */
    bool reply_lost, garbled, slow;
    struct txn_req txn; /* as it was sent */
};

struct renewal {
    struct client_keepalive *keepalive;
    tn_ms sent_at;
    int64_t ttl_s;
};

struct client {
    const char *name;
    struct rng rng;
    tn_ms now;
    bool cut, paused;
    int64_t reply_ms; /* more than the latency */
    int64_t watch_ms;
    struct client_context *context;
    bool stale;                   /* the next list */
    const char *under;            /* all its keys; NULL = as they are */
    unsigned connection;          /* what is on its way over an older one is lost */
    struct client_call *due[256]; /* ring of completions */
    size_t due_from, due_to;
};

/* One world in static variables: link-time replacements have no other place to find it. */
struct fake_world {
    tn_ms now;
    uint64_t order;
    size_t n_happenings;
    struct client clients[CLIENTS_MAX];
    size_t n_clients;
    struct ticker tickers[TICKERS_MAX];
    size_t n_tickers;
    size_t n_watches;
    struct client_keepalive *keepalives[KEEPALIVES_MAX];
    size_t n_keepalives;
    struct client_call *calls;
    unsigned n_calls, n_requests, n_watches_started, n_wakes;
    fake_judge judge;
    void *judge_user;
    void (*on_step)(void *user);
    void *on_step_user;

    struct kv keys[KEYS_MAX]; /* in byte order */
    size_t n_keys;
    struct model_lease leases[LEASES_MAX];
    size_t n_leases;
    struct past *history;
    size_t n_history;
    tn_rev revision, compacted;
    int64_t ttl_min_s;
    tn_lease next_lease;
    size_t ops_max, bytes_max; /* of a transaction; 0 = any */
    const char *under;         /* of the client that asks */
};

extern struct fake_world fake;
extern struct client_watch *fake_watches[WATCHES_MAX];

/* ---- fake_client.c ---- */

void *fake_take(size_t size);
bytes fake_copy_bytes(bytes s);
struct kv fake_copy_kv(const struct kv *kv);
void fake_at(tn_ms when, void (*happen)(void *what), void *what);

/* ---- fake_server.c ---- */

void fake_do_range(const struct range_req *req, struct range_resp *ret);
enum etcd_error fake_txn_is_too_large(const struct txn_req *req);
enum etcd_error fake_do_txn(const struct txn_req *req, struct txn_resp *ret);
void fake_expire(void *what);
enum etcd_error fake_do_grant(tn_lease id, int64_t ttl_s, struct lease_grant_resp *ret);
enum etcd_error fake_do_revoke(tn_lease id);
int64_t fake_do_keepalive(tn_lease id);
struct lease_ttl_resp fake_do_ttl(tn_lease id);

/* ---- fake_calls.c ---- */

void fake_send_copy(void *what);
/* A user may be a little behind, never ahead; the client remembers what it was told. */
void fake_told_now(struct client *c, tn_ms now);

/* ---- fake_streams.c ---- */

void fake_forget_stopped_watches(void);
void fake_end_watch(struct client_watch *watch, int code);
bool fake_deliver_watch(struct client_watch *watch);

#endif
