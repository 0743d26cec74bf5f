/* The client engine: calls in, bytes out; bytes in, completions out. Pure; several endpoints, deadlines, backoff,
 * classified errors, watch resume, keepalives that move. One engine serves the libuv driver, the blocking calls, foreign
 * loops and the simulation.
 *
 * The driver's turn:
 *   1. client_connected / client_connect_failed / client_feed / client_disconnected for what arrived; client_tick;
 *   2. client_next_io until false: connect to, or close, a connection; client_output for each that
 *      client_next_dirty names, written in one send;
 *   3. arm one timer for client_deadline;
 *   4. client_deliver: completions and watch events, last, from a queue. A completion may start and cancel anything, and
 *      free its own object; it is never called from inside another function of this header.
 *
 * Endpoints. One connection is in use at a time for calls and streams ("the current one"), picked at random at first;
 * a failed or silent one is left for the next with backoff (25 ms doubling to 5 s, jittered); a second connection is
 * opened beside while a silent one is in doubt. Silence: an HTTP/2 ping (only while a stream is open, at most each 5 s) or
 * a call unanswered for the silence bound. A connection is used once its server has said a first frame: one that was only
 * accepted proves nothing. `hasleader: true` goes with every call but status,
 * health and serializable reads.
 *
 * Every call has a deadline and ends exactly once. Reads are sent again on another endpoint until the deadline. A write
 * is sent again only when it was provably not applied: never written, refused stream, above GOAWAY's last id, or an error
 * of etcd's that says so. Otherwise a failure says TENURE_APPLIED_MAYBE. A guarded transaction whose caller marks it as
 * safe to repeat (client_call_options.repeatable, again: applying it twice is the same as once, by its compares) is sent again.
 *
 * Thread: none of its own; one caller at a time. Memory: bounded by the config; past it calls fail with TENURE_ELIMIT.
 */
#ifndef CLIENT_CLIENT_H
#define CLIENT_CLIENT_H

#include "api/auth.h"
#include "api/cluster.h"
#include "api/etcd_error.h"
#include "api/kv.h"
#include "api/lease.h"
#include "api/lock.h"
#include "api/maintenance.h"
#include "api/watch.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"

struct client;
struct client_context;
struct client_event;

struct client_config {
    const char *const
        *endpoints; /* "http://host:port", "host:port", "unix:///path", https, unixs; copied; at least one */
    size_t n_endpoints;
    bool endpoints_come;        /* there may be none yet: client_endpoint_add */
    int64_t call_timeout_ms;    /* default deadline of a call; 0 = 5 s */
    int64_t connect_timeout_ms; /* 0 = 2 s */
    int64_t silence_ms;         /* 0 = 3 s; an endpoint unheard for so long while something is asked of it is left */
    size_t calls_max;           /* under way and waiting; 0 = 100,000 */
    size_t queued_bytes_max;    /* of requests that have not ended; 0 = 64 MiB */
    size_t watch_bytes_max;     /* of undelivered events, all watches; 0 = 64 MiB */
    const char *user,
        *password;     /* copied; user NULL = nobody. A token is asked for with the first work, and again whenever
                                    the servers refuse it, for calls and streams; where authentication is off none goes along */
    const char *token; /* copied; one that the caller has (JWT); with it user and password must be NULL */
    struct rng seed;
    struct log log;
    void (*on_event)(void *user, const struct client_event *e); /* NULL = nobody watches the calls; see below */
    void *on_event_user;
    bool never_older;               /* a read older than what was seen before is asked again, elsewhere if possible */
    bool broken_deadline;           /* tests only: calls end at three times their time */
    bool broken_rest;               /* tests only: endpoints that fail are tried again at once */
    bool broken_renew_from_receipt; /* tests only: keepalives report the time of receipt as sent_at */
};

int client_new(const struct client_config *config, tn_ms now, struct client **ret, struct tenure_error *err) MUST_USE;
/* Ends every call with TENURE_ECLOSED (delivered by the last client_deliver before client_free). */
void client_close(struct client *c, tn_ms now);
/* NULL is fine; NULL. Undelivered completions are dropped: deliver first. */
struct client *client_free(struct client *c);

/* ---- the driver's side ---- */
enum client_io_kind { CLIENT_IO_CONNECT, CLIENT_IO_CLOSE };
struct client_io {
    enum client_io_kind kind;
    uint32_t conn;        /* a number the engine gave this connection, never used again */
    const char *endpoint; /* for CONNECT; borrowed until the next call */
};
bool client_next_io(struct client *c, struct client_io *ret) MUST_USE;
void client_connected(struct client *c, uint32_t conn, tn_ms now);
void client_connect_failed(struct client *c, uint32_t conn, const char *why, tn_ms now);
void client_feed(struct client *c, uint32_t conn, bytes in, tn_ms now);
/* The socket ended; why may be NULL for a plain end. Also right after CLIENT_IO_CLOSE was carried out: not needed. */
void client_disconnected(struct client *c, uint32_t conn, const char *why, tn_ms now);
/* Takes the next connection with bytes to write off its list; 0 at the end. */
uint32_t client_next_dirty(struct client *c);
/* Appends about bytes_max at most. When more is left conn is named dirty again, unless nothing was added: then call it when
 * the socket takes more. */
void client_output(struct client *c, uint32_t conn, struct buf *out, size_t bytes_max, tn_ms now);
void client_tick(struct client *c, tn_ms now);
tn_ms client_deadline(const struct client *c); /* TN_MS_NEVER when nothing is due */
/* Calls what is due; answers whether anything was called. */
bool client_deliver(struct client *c);
/* The same one by one, for a driver that looks at the clock in between: how many are due, and whether one was called. */
size_t client_deliveries(const struct client *c);
bool client_deliver_one(struct client *c);

/* ---- calls ---- */
struct client_call;

struct client_result {
    int code;                         /* 0 or TENURE_E… */
    enum etcd_error etcd;             /* the server's error where it was one of etcd's */
    const struct tenure_error *error; /* filled when code != 0 */
    struct response_header header;
    tn_ms sent_at;     /* when the request's last copy was handed to the connection */
    bool maybe_before; /* of a repeatable write: an earlier copy may have been applied, or may yet be */
    union {            /* when code == 0; borrowed for the callback */
        const struct range_resp *range;
        const struct put_resp *put;
        const struct delete_resp *del;
        const struct txn_resp *txn;
        const struct compact_resp *compact;
        const struct lease_grant_resp *grant;
        const struct lease_revoke_resp *revoke;
        const struct lease_keepalive_resp *keepalive;
        const struct lease_ttl_resp *ttl;
        const struct lease_list_resp *leases;
        const struct member_list_resp *members;
        const struct status_resp *status;
        enum health_status health;
        const struct authenticate_resp *authenticate;
        const struct auth_status_resp *auth_status;
        const struct auth_names_resp *names;
        const struct role_get_resp *role;
        const struct member_add_resp *member_add;
        const struct alarm_resp *alarms;
        uint32_t hash;
        const struct hash_kv_resp *hash_kv;
        const struct lock_resp *lock;
        const struct campaign_resp *campaign;
        const struct leader_resp *leader;
        bytes version;
        bytes message; /* of client_forward, as it came */
    };
};
typedef void (*client_done_cb)(void *user, const struct client_result *r);

struct client_call_options {
    int64_t timeout_ms; /* 0 = the client's default */
    bool repeatable;    /* for transactions: see above */
    /* For transactions, and then they count as repeatable: what is sent in their place once a copy was sent whose fate is not
     * known. Both must be such that all copies together are applied at most once. NULL = the same; borrowed for the call. */
    const struct txn_req *again;
    bool by_program; /* for events: the program asked for it, and no recipe on its behalf */
    /* May be NULL. Where the call's handle is put, for who cannot take what the function answers; left alone when the call ends. */
    struct client_call **ret_call;
};

/* Each copies what it needs of req, answers a handle for client_cancel (valid until its callback has begun) and calls cb
 * exactly once, also after client_cancel (TENURE_ECANCELLED, applied maybe when a write was on its way). NULL: out of
 * memory or over a bound, err says which, cb is not called. opt may be NULL. */
#define CLIENT_CALL(name, req_type)                                                                                    \
    struct client_call *client_##name(struct client *c, const req_type *req, const struct client_call_options *opt,    \
                                      client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE
CLIENT_CALL(range, struct range_req);
CLIENT_CALL(put, struct put_req);
CLIENT_CALL(delete, struct delete_req);
CLIENT_CALL(txn, struct txn_req);
CLIENT_CALL(compact, struct compact_req);
CLIENT_CALL(lease_grant, struct lease_grant_req);
CLIENT_CALL(lease_revoke,
            struct lease_revoke_req); /* repeatable by nature: LEASE_NOT_FOUND after a repeat is success */
CLIENT_CALL(lease_keepalive_once, struct lease_keepalive_req);
CLIENT_CALL(lease_ttl, struct lease_ttl_req);
#undef CLIENT_CALL
struct client_call *client_lease_list(struct client *c, const struct client_call_options *opt, client_done_cb cb,
                                      void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* A range in chunks as they come, all of one revision, in order (sort and revision filters must be 0). A chunk that cannot be
 * read has a code, and no others should be believed. Sent again only while no chunk has come. TENURE_EUNIMPLEMENTED before
 * etcd 3.7. cb says how it ended. */
typedef void (*client_chunk_cb)(void *user, int code, const struct range_resp *chunk);
struct client_call *client_range_stream(struct client *c, const struct range_req *req,
                                        const struct client_call_options *opt, client_chunk_cb on_chunk,
                                        client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* serializable: what the asked member knows, also without a quorum. */
struct client_call *client_member_list(struct client *c, bool serializable, const struct client_call_options *opt,
                                       client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* endpoint: index of the endpoint to ask (status of each), or SIZE_MAX for any. One that is named and cannot be reached
 * fails at once; no other is asked. */
struct client_call *client_status(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                  client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
struct client_call *client_health(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                  client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* The server's data as a file of etcd's, in pieces as they come: on_piece borrows its bytes. Asks that endpoint alone, and never
 * again: a stream that is cut fails, however much has come. cb says how it ended. */
typedef void (*client_piece_cb)(void *user, const struct snapshot_resp *piece);
struct client_call *client_snapshot(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                    client_piece_cb on_piece, client_done_cb cb, void *user, tn_ms now,
                                    struct tenure_error *err) MUST_USE;

/* ---- calls about users and roles: one function, because they differ in their request only ---- */
enum client_auth_kind {
    CLIENT_AUTH_ENABLE,
    CLIENT_AUTH_DISABLE,
    CLIENT_AUTH_STATUS, /* answers auth_status */
    CLIENT_USER_ADD,
    CLIENT_USER_DELETE,
    CLIENT_USER_PASSWORD,
    CLIENT_USER_GRANT,
    CLIENT_USER_REVOKE,
    CLIENT_USER_GET,  /* answers names: its roles */
    CLIENT_USER_LIST, /* answers names */
    CLIENT_ROLE_ADD,
    CLIENT_ROLE_DELETE,
    CLIENT_ROLE_GRANT,
    CLIENT_ROLE_REVOKE,
    CLIENT_ROLE_GET, /* answers role */
    CLIENT_ROLE_LIST /* answers names */
};
struct client_auth_req {
    enum client_auth_kind kind;
    union {
        bytes name; /* of those that take nothing else */
        struct user_add_req user_add;
        struct user_password_req user_password;
        struct user_role_req user_role;
        struct role_grant_req role_grant;
        struct role_revoke_req role_revoke;
    };
};
struct client_call *client_auth(struct client *c, const struct client_auth_req *req,
                                const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                struct tenure_error *err) MUST_USE;

/* ---- calls about members and their upkeep: one function, for the same reason ---- */
enum client_admin_kind {
    CLIENT_MEMBER_ADD,    /* answers member_add */
    CLIENT_MEMBER_REMOVE, /* this and the next two answer members */
    CLIENT_MEMBER_UPDATE,
    CLIENT_MEMBER_PROMOTE,
    CLIENT_ALARM_LIST,  /* answers alarms */
    CLIENT_ALARM_RAISE, /* this and the next answer alarms; once or twice is the same */
    CLIENT_ALARM_DISARM,
    CLIENT_DEFRAGMENT,
    CLIENT_HASH,    /* answers hash */
    CLIENT_HASH_KV, /* answers hash_kv */
    CLIENT_MOVE_LEADER,
    CLIENT_REPLICA_STATUS, /* answers message: core's text */
    CLIENT_DOWNGRADE       /* answers version */
};
struct client_admin_req {
    enum client_admin_kind kind;
    size_t endpoint; /* as of client_status */
    union {
        uint64_t id; /* of those that take a member alone */
        struct member_add_req member_add;
        struct member_update_req member_update;
        struct alarm alarm;
        tn_rev revision;
        struct downgrade_req downgrade;
    };
};
struct client_call *client_admin(struct client *c, const struct client_admin_req *req,
                                 const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                 struct tenure_error *err) MUST_USE;

/* ---- calls to the server's own locks and elections ---- */
enum client_service_kind {
    CLIENT_V3_LOCK, /* answers lock, when it is held */
    CLIENT_V3_UNLOCK,
    CLIENT_V3_CAMPAIGN, /* answers campaign, when it leads */
    CLIENT_V3_PROCLAIM,
    CLIENT_V3_LEADER, /* answers leader */
    CLIENT_V3_RESIGN  /* once or twice is the same */
};
struct client_service_req {
    enum client_service_kind kind;
    union {
        struct lock_req lock;
        bytes key;  /* of Unlock */
        bytes name; /* of Leader */
        struct campaign_req campaign;
        struct proclaim_req proclaim;
        struct resign_req resign;
    };
};
struct client_call *client_service(struct client *c, const struct client_service_req *req,
                                   const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                   struct tenure_error *err) MUST_USE;
/* Every leader from the present one on, as a server tells them; begun again on another endpoint when a connection is lost, so
 * that one may be told twice. cb says how it ended. */
typedef void (*client_leader_cb)(void *user, const struct leader_resp *leader);
struct client_call *client_observe(struct client *c, bytes name, const struct client_call_options *opt,
                                   client_leader_cb on_leader, client_done_cb cb, void *user, tn_ms now,
                                   struct tenure_error *err) MUST_USE;

/* ---- calls of others, sent on ---- */
struct client_forward_req {
    const char *service, *method; /* "etcdserverpb.KV", "Put" */
    bytes message;                /* copied */
    bytes token;                  /* of who asks, copied; data NULL = none goes along. The client's own never does */
};
typedef void (*client_message_cb)(void *user, bytes message);
/* Answers message; of methods that answer more than one, on_message gets each, and cb says how it ended. The error keeps the
 * server's status and text. TENURE_EUNIMPLEMENTED: a method that cannot be sent on (Watch, Snapshot …). */
struct client_call *client_forward(struct client *c, const struct client_forward_req *req,
                                   const struct client_call_options *opt, client_message_cb on_message,
                                   client_done_cb cb, void *user, tn_ms now, struct tenure_error *err) MUST_USE;

void client_cancel(struct client *c, struct client_call *call, tn_ms now);
/* Whether no server can have it yet: cancelled now, it is not applied for sure. */
bool client_is_unsent(const struct client_call *call);

/* ---- watches: resumed by the engine behind the last revision seen, over any number of connections ---- */
struct client_watch;
struct client_watch_events {
    tn_rev revision;            /* header; every event up to it was delivered */
    const struct event *events; /* whole revisions, in order, each once; borrowed; 0 for a progress notice */
    size_t n_events;
};
struct client_watch_callbacks {
    /* The server has the watch (first time): events after `revision` will come. May be NULL. */
    void (*on_created)(void *user, tn_rev revision);
    void (*on_events)(void *user, const struct client_watch_events *e);
    /* The watch ended and will call no more: TENURE_ECOMPACTED (compact_revision says where reading is possible again),
     * TENURE_ELIMIT (undelivered events over the bound), TENURE_EDENIED, TENURE_ECLOSED, … Never for a lost connection. */
    void (*on_end)(void *user, int code, tn_rev compact_revision, const struct tenure_error *error);
};
struct client_watch *client_watch_start(struct client *c, const struct watch_create_req *req,
                                        const struct client_watch_callbacks *cb, void *user, tn_ms now,
                                        struct tenure_error *err) MUST_USE;
/* Of one that begins in the past: resumed, it begins at the newest revision that it has seen and not behind it (what comes twice is
 * dropped). So a server that has compacted right behind that ends it, where an old etcd would leave out deletes of the revision that it is
 * compacted to. */
void client_watch_overlap(struct client_watch *w);
/* Another bound than the config's on undelivered events. One revision is delivered as a whole, so it bounds that too. */
void client_bound_watches(struct client *c, size_t bytes_max);
/* No callback comes after it. Frees w (also after on_end: call it once for each start). */
void client_watch_stop(struct client *c, struct client_watch *w, tn_ms now);

/* ---- keepalive of a lease, on the shared keepalive stream ---- */
struct client_keepalive;
struct client_keepalive_callbacks {
    /* A renewal was answered: the lease lives for ttl_s from sent_at on, at least. */
    void (*on_renewed)(void *user, tn_ms sent_at, int64_t ttl_s);
    /* The server knows the lease no more. The keepalive has ended by itself. */
    void (*on_gone)(void *user);
};
/* Renews every ttl/3 (jittered), sooner again after a silence, on whichever endpoint answers, until stopped. Sends the first
 * renewal at first_at. */
struct client_keepalive *client_keepalive_start(struct client *c, tn_lease id, int64_t ttl_s, tn_ms first_at,
                                                const struct client_keepalive_callbacks *cb, void *user, tn_ms now,
                                                struct tenure_error *err) MUST_USE;
/* No callback comes after it. Call it once for each start, also after on_gone. */
void client_keepalive_stop(struct client *c, struct client_keepalive *k, tn_ms now);
/* What the servers refused renewals, or the token for them, with, since one was answered last; code 0 = with nothing. */
const struct tenure_error *client_keepalive_refusal(const struct client *c);

/* ---- what the objects built on the client need, and callbacks do not carry ---- */
/* The newest `now` that any function above was given: within a callback, the time of this turn. */
tn_ms client_now(const struct client *c);
/* The next number of the client's own generator (seeded by client_config.seed): lease ids, jitter. */
uint64_t client_random(struct client *c);

/* ---- what calls have in common: a trace that they belong to ----
 *
 * The client has one context at a time, or none. Each call and each watch keeps the one there was when it was begun: it goes along
 * as metadata (not with watches, which share a stream), and is the present one again while its callbacks run. So whatever
 * a call leads to belongs to the same trace. Who wakes others in a callback of his own puts theirs in its place.
 *
 * Counted, by any number of threads; never changed. */

/* Copies the texts, W3C's traceparent and tracestate; NULL = none. user goes with the events; user_free(user), when not NULL, is
 * called once nobody has it any more, on whatever thread. NULL when out of memory; then it is not called. */
struct client_context *client_context_new(const char *traceparent, const char *tracestate, void *user,
                                          void (*user_free)(void *user)) MUST_USE;
/* x has none: from's goes with it, and lives as long. Before anybody else knows x. */
void client_context_borrow_user(struct client_context *x, struct client_context *from);
/* Both: NULL is fine; unref answers NULL. */
struct client_context *client_context_ref(struct client_context *x);
struct client_context *client_context_unref(struct client_context *x);
/* From now on x, or none. Borrowed, until another is put in its place: answers the one before, for the call that does so. */
struct client_context *client_context_use(struct client *c, struct client_context *x);
struct client_context *client_context_now(const struct client *c);
const char *
client_context_traceparent(const struct client_context *x); /* NULL = none; so is that of NULL, and the next two */
const char *client_context_tracestate(const struct client_context *x);
void *client_context_user(const struct client_context *x);

/* ---- who watches the calls ----
 *
 * Events come from within the functions of this header, in the middle of their work: who is told may call none of them. Of each
 * call: BEGIN, for each copy that is sent TRY_BEGIN and TRY_END, END just before its callback. A client that is freed with
 * callbacks undelivered does not tell those ends. */
enum client_event_kind { CLIENT_CALL_BEGIN, CLIENT_TRY_BEGIN, CLIENT_TRY_END, CLIENT_CALL_END };
struct client_event {
    enum client_event_kind kind;
    uint64_t call;                        /* from 1 on; each call has its own */
    const char *method;                   /* "/etcdserverpb.KV/Put" */
    const char *endpoint;                 /* of the last copy; NULL: none was sent */
    unsigned tries;                       /* copies sent so far */
    bool by_program;                      /* else a recipe's, or the client's own */
    int code;                             /* of ends: TENURE_E…, 0 */
    int grpc_status;                      /* of ends, where a server said one; else -1 */
    enum tenure_applied applied;          /* of ends: whether the copy, or the call, was */
    const char *text;                     /* of ends with a code; "" = there is none */
    size_t bytes_out, bytes_in;           /* messages, of the copy; of a call's end: of all of them */
    const struct client_context *context; /* NULL = none */
    int64_t *call_mark, *try_mark;        /* who is told may keep a number there; 0 at first */
};

/* ---- numbers and endpoints ---- */
size_t client_endpoints(const struct client *c);
/* One more, behind the others, whose indexes stay. Copied. TENURE_EINVALID, TENURE_ENOMEM. */
int client_endpoint_add(struct client *c, const char *url, struct tenure_error *err) MUST_USE;
const char *client_endpoint(const struct client *c, size_t i);
/* For endpoints whose order is known from elsewhere. Among those that never failed the one with the smallest place, from 1 on,
 * is tried first, behind those that the client was made with, of which this changes nothing. */
void client_endpoint_place(struct client *c, size_t i, unsigned place);
/* No connection is made any more to those that have a place, until they are given one again. */
void client_endpoints_leave(struct client *c);
/* What calls are told that end while there is no endpoint. */
void client_no_endpoints(struct client *c, const char *why);
/* Counted since the client was made. */
struct client_stats {
    uint64_t calls, failed; /* begun; ended with an error */
    uint64_t retries;       /* copies of calls that were sent behind a first one */
    uint64_t connections;   /* that came to be the current one */
    uint64_t failures;      /* of endpoints: each rests behind it */
    uint64_t bytes_in, bytes_out;
    size_t under_way, watches, keepalives; /* now */
};
struct client_stats client_stats(const struct client *c);
/* Of one endpoint: whether it is the one in use, how often it failed, what it last failed with ("" = it works or was not tried). */
struct client_endpoint_stats {
    bool in_use;
    uint64_t failures;
    const char *error; /* borrowed until the next call */
};
struct client_endpoint_stats client_endpoint_stats(const struct client *c, size_t i);
/* Whether a connection stands, and what the endpoints last failed with, or how far those have come that are being
 * tried: "10.0.0.1:2379: connection refused; …". */
bool client_is_connected(const struct client *c);
void client_endpoint_errors(const struct client *c, char *out, size_t size);

/* The kind of failure behind a server's answer, for tests and the table in the docs. */
struct client_verdict {
    int code;                    /* TENURE_E… */
    enum tenure_applied applied; /* of a write answered so */
    bool retry;                  /* another endpoint, or later, may do */
};
struct client_verdict client_classify(enum grpc_status status, bytes text, bool is_write);

#endif
