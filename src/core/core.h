/* The server without its sockets: connections as byte streams, RPC dispatch, the gate, watch fan-out, limits. Pure: what
 * the driver, the simulation and a program's own tests run alike. One file a service (svc_kv.c, svc_watch.c …), over the
 * wire engine below and the store engine beside.
 *
 * The driver's turn:
 *   1. core_turn(now) first; core_feed what arrived; core_written for a finished batch;
 *   2. core_run: expiry, deadlines of calls, watch fan-out, compaction slices, progress notices;
 *   3. core_batch -> the log, when it is idle; each core_next_dirty connection: core_output -> write (one send a turn);
 *      core_conn_finished ones are closed after their last bytes; arm one timer for core_deadline.
 *
 * The gate: a reply or event leaves only when the newest log sequence it has seen is durable. Reads of keys are answered
 * at the durable state at once. Thread: none of its own; one caller at a time.
 */
#ifndef CORE_CORE_H
#define CORE_CORE_H

#include "api/cluster.h"
#include "api/etcd_error.h"
#include "api/watch.h"
#include "backend/record.h"
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/log.h"
#include "base/rng.h"

struct core;
struct core_conn;
struct core_snapshots;
struct store;
struct store_followed_auth;

/* ---- passwords ---- */

#define CORE_PASSWORD_MAX 72  /* bytes; bcrypt takes no more */
#define CORE_HASH_MAX     128 /* bcrypt's have 60 */

enum core_password_kind { CORE_PASSWORD_HASH, CORE_PASSWORD_CHECK };
enum core_password_result { CORE_PASSWORD_FAILED, CORE_PASSWORD_OK, CORE_PASSWORD_WRONG };

/* A password to be hashed or checked away from the loop: it takes tens of milliseconds. The core makes it and owns it; the
 * driver has it from password_submit until core_password_done. */
struct core_password {
    enum core_password_kind kind;
    char password[CORE_PASSWORD_MAX + 1]; /* a C string */
    char hash[CORE_HASH_MAX];             /* to be made, or to be checked against */
    enum core_password_result result;
    void *driver; /* the driver's own */
};

struct core_config {
    struct store *store;            /* borrowed; ready */
    const char *name;               /* member name; NULL = "default" */
    const char *const *client_urls; /* advertised; borrowed */
    size_t n_client_urls;
    const char *version;        /* NULL = TENURE's etcd level, "3.7.0" */
    uint32_t request_bytes_max; /* 0 = 1.5 MiB; the wire takes 512 KiB more, as etcd */
    uint32_t conns_max;         /* 0 = 10,000; more are refused */
    uint32_t streams_max;       /* a connection; 0 = 100,000 */
    uint32_t calls_max;         /* under way, all connections; 0 = 200,000; more get TOO_MANY_REQUESTS */
    uint32_t watches_max;       /* a stream; 0 = 100,000 */
    size_t watch_bytes_max;     /* their ranges and 512 bytes each, all connections; 0 = 256 MiB */
    size_t conn_output_max;     /* queued bytes at which watchers of a stream block, and reading pauses; 0 = 4 MiB */
    size_t waiting_bytes_max;   /* replies held by the gate, all connections: past it TOO_MANY_REQUESTS; 0 = 256 MiB */
    int64_t stall_ms_max;       /* a peer with queued output that takes nothing, or an unfinished request, for so
                                         long is dropped; 0 = 30 s */
    int64_t idle_ms_max;        /* a connection that never sent its preface; 0 = 10 s */
    bool time_calls;            /* by method, for metrics */
    int64_t progress_ms;        /* watch progress interval; 0 = 10 min */
    int64_t quota_bytes;        /* of the store, for Status */
    int64_t retention_ms;       /* automatic compaction; 0 = 1 h; -1 = off */
    int64_t retention_revs;  /* keeps so many revisions instead, looked after every 5 min; 0 = retention_ms decides */
    int64_t ping_ms;         /* a peer that is silent for so long is asked whether it is there; 0 = 2 h; -1 = never */
    int64_t ping_timeout_ms; /* and dropped when it has said nothing after this; 0 = 20 s; -1 = never */
    struct rng seed;
    struct log log;

    /* Where deadlines of leases are kept over a crash of the process; may be NULL. Called before the reply is queued. */
    void (*lease_store)(void *user, tn_lease id, tn_ms deadline);
    void (*lease_forget)(void *user, tn_lease id);
    void *user;
    const struct core_snapshots *snapshots; /* NULL: not offered. Borrowed; called with user */

    const struct core_source *source; /* NULL: this is no copy of another's. Borrowed; called with source_user */
    void *source_user;
    uint64_t source_cluster;  /* its cluster id, which replies tell; 0 = the store's own */
    int64_t staleness_ms_max; /* a copy that is older answers no serializable read by itself; 0 = however old */
    bool forward_when_stale;  /* sends it on to the source; else it is refused */
    /* What of its keys is here: ranges in order, apart from each other, none of them of a single key; 0 of them: all, with their past.
     * Reads and watches of others are refused, or reads sent on. Of such a copy there are neither hashes nor snapshots. Borrowed, as is the
     * text, which names them: "the keys below /a/". */
    const struct key_range *source_parts;
    size_t n_source_parts;
    const char *source_parts_text;
    bool forward_others;
    bool
        source_has_users; /* it may have authentication on: reads are judged by core_follow_users, and refused before that */

    bool broken_skip_gate; /* tests only: replies leave before they are durable */

    /* ---- authentication; all take `user` ---- */
    int64_t token_ttl_ms;   /* of simple tokens, from their last use; 0 = 300 s */
    uint32_t tokens_max;    /* 0 = 100,000; at it the least recently used one goes */
    uint32_t passwords_max; /* under way; 0 = 1,000; more get TOO_MANY_REQUESTS */
    /* Random bytes for tokens. NULL = from seed, which is for tests only: they could be guessed. */
    void (*random)(void *user, void *to, size_t len);
    /* Takes a job; its result comes by core_password_done, perhaps before this returns. False: no more are taken now.
     * NULL = no passwords: logging in fails. */
    bool (*password_submit)(void *user, struct core_password *job);
    /* Signed tokens (JWT); NULL = simple ones. Sign: TENURE_EDENIED = the key only verifies; else an error or 0. Verify:
     * the name is put into the arena; 0 or an error. */
    int (*token_sign)(void *user, bytes name, uint64_t auth_revision, struct buf *out);
    int (*token_verify)(void *user, bytes token, struct arena *a, bytes *ret_name, uint64_t *ret_revision);
};

/* ---- snapshots ---- */

struct core_snapshot {
    void *handle; /* the driver's */
    uint64_t bytes;
    uint8_t sha256[32];
};

/* How the driver makes a file of etcd's of the log. */
struct core_snapshots {
    /* Begins to make one of the rows up to upto, none of which is deleted before core_snapshot_made was told the outcome. One
     * at a time. 0 or an error. */
    int (*make)(void *user, tn_seq upto, struct tenure_error *err);
    /* The one being made is wanted no more: core_snapshot_made comes all the same, perhaps sooner. */
    void (*cancel)(void *user);
    /* Reads len bytes at offset of a made one: from the page cache, as a rule. 0 or an error. */
    int (*read)(void *user, void *handle, uint64_t offset, uint8_t *to, size_t len, struct tenure_error *err);
    void (*drop)(void *user, void *handle);
};

/* ---- a copy of another's keys ----
 *
 * With a source the store holds what another server has (store_config.follows), revision by revision, and nobody changes it but
 * core_follow. Reads of keys and watches are answered here: serializable ones at once, the others behind the revision that the
 * source has when it is asked; what writes, and what is not about keys, is sent on to the source, whose answer is the answer. */

struct core_forward;

struct core_forward_req {
    const char *service, *method;
    bytes message;      /* borrowed */
    bytes token;        /* of who asks; data NULL = none. Borrowed */
    int64_t timeout_ms; /* 0 = none */
};

struct core_source {
    /* Sends a request on. Its end comes by core_forward_end, exactly once unless it is cancelled, and not before this has
     * returned. NULL: it cannot be sent, nothing was, and *ret_why is what to answer. */
    void *(*forward)(void *user, const struct core_forward_req *req, struct core_forward *f, enum etcd_error *ret_why);
    void (*cancel)(void *user, void *handle);
    /* Reads wait for a round (core_ask_begins) that begins from now on. */
    void (*ask)(void *user);
    /* How it stands, as lines "name=value": what /tenure.Replica/Status answers. */
    void (*describe)(void *user, struct buf *out, tn_ms now);
};

/* One whole revision, as store_follow; TENURE_ELIMIT too while the disk takes nothing. */
int core_follow(struct core *c, const struct event *events, size_t n, tn_ms now, struct tenure_error *err) MUST_USE;
/* Of a copy of some keys: up to that revision nothing happened to these. As store_follow_to; TENURE_ELIMIT too while the disk takes
 * nothing. */
int core_follow_to(struct core *c, tn_rev revision, tn_ms now) MUST_USE;
/* The source has compacted up to there, and the copy has that revision. Compacted already: nothing. False: try again later. */
bool core_follow_compaction(struct core *c, tn_rev revision, tn_ms now) MUST_USE;

/* From now on those are the source's users and roles, as store_follow_auth. has_revision: a revision of them is known, which grows with a
 * new password too. */
int core_follow_users(struct core *c, const struct store_followed_auth *users, bool has_revision, tn_ms now) MUST_USE;
/* The source was asked, and they are the same. */
void core_users_stand(struct core *c, tn_ms now);

/* A round to the source, for the revision that it has: one at a time. */
void core_ask_begins(struct core *c);
/* It had that one at some time after sent_at, when the question was sent. */
void core_ask_answered(struct core *c, tn_rev revision, tn_ms sent_at, tn_ms now);
/* It does not answer: those who wait for this round are told so. */
void core_ask_failed(struct core *c, tn_ms now);
/* How old the copy is at most, in milliseconds: it has all that the source had so long ago. -1 = not known. */
int64_t core_staleness(const struct core *c, tn_ms now);

/* A message of the answer, where there may be several. */
void core_forward_message(struct core_forward *f, bytes message);
/* The end; message: of a call that has one answer, when status is OK. f is gone. */
void core_forward_end(struct core_forward *f, enum grpc_status status, const char *text, bytes message);

int core_new(const struct core_config *config, struct core **ret) MUST_USE;
/* Every connection must have been removed, and the driver has done with all passwords. NULL is fine; NULL. */
struct core *core_free(struct core *c);

/* Begins a turn. A turn that begins more than 100 ms after the deadline asked for was held up: lease deadlines move by
 * the stall, because renewals lie unread in the sockets. */
void core_turn(struct core *c, tn_ms now);
void core_run(struct core *c, tn_ms now);
/* When core_run must be called at the latest if nothing else happens; never more than 500 ms ahead of the last turn, so
 * that a stop of the process is noticed. */
tn_ms core_deadline(const struct core *c);

/* ---- connections ---- */
/* NULL when refused (limit, memory): close the socket. peer: for logs; copied. */
struct core_conn *core_accept(struct core *c, const char *peer, void *user, tn_ms now) MUST_USE;
/* now: when these bytes were read, perhaps later than the turn began. */
void core_feed(struct core_conn *conn, bytes in, tn_ms now);
/* Whether the driver should read more from the socket now (backpressure). */
bool core_wants_input(const struct core_conn *conn);
/* Appends bytes to write, at most about bytes_max. */
void core_output(struct core_conn *conn, struct buf *out, size_t bytes_max, tn_ms now);
/* No more is to be written or read: close the socket once what core_output gave is written. */
bool core_conn_finished(const struct core_conn *conn);
/* The socket is gone: ends its calls and watches and frees conn. */
void core_remove(struct core_conn *conn);
void *core_conn_user(const struct core_conn *conn);
const char *core_conn_peer(const struct core_conn *conn); /* as told to core_accept; borrowed */
/* The common name of the certificate that the peer has proved, where client certificates are asked for: its calls without
 * a token are that user's. Copied; a name that finds no memory is nobody's. */
void core_conn_set_cert_user(struct core_conn *conn, bytes common_name);
/* Takes the next connection with bytes to write or finished off the list of such; NULL at the end. */
struct core_conn *core_next_dirty(struct core *c);
/* The same, but NULL when only those are left for whose bytes nobody waits: they may go after a commit. */
struct core_conn *core_next_urgent(struct core *c);

/* ---- the log ---- */
struct core_batch {
    const struct record *rows;
    size_t n_rows;
    const tn_seq *deletes;
    size_t n_deletes;
};
enum core_outcome { CORE_APPLIED, CORE_NOT_APPLIED, CORE_MAYBE_APPLIED };
/* The next batch to write; false when there is none or one is under way. Borrowed until core_written. */
bool core_batch(struct core *c, struct core_batch *ret, size_t rows_max) MUST_USE;
/* Whether rows wait for the next batch. */
bool core_batch_waits(const struct core *c);
/* Whether exactly one write waits and nothing else would go along: worth committing on the loop. */
bool core_batch_is_single(const struct core *c);
/* Whether a connection that always answers an event by a write at once was told of one a moment ago, and has not written yet: a
 * commit that waits for it, for a fraction of what a commit takes, saves it from waiting for that commit. */
bool core_expects_write(struct core *c);
/* It was waited for, and did not write. */
void core_expected_in_vain(struct core *c);
/* The outcome of that batch. NOT_APPLIED: the planned tail is undone, its calls answer NO_SPACE, writes are tried again
 * once a second. MAYBE_APPLIED: its calls answer WRITE_MAYBE; from now on writes answer READ_ONLY, reads go on. */
void core_written(struct core *c, enum core_outcome outcome, tn_seq seq, tn_ms now);
/* Tells the file's size for Status, and for the quota how much of it is in use: what compaction freed is used again, though
 * the file does not shrink. */
void core_set_file_size(struct core *c, int64_t bytes, int64_t in_use);

/* The outcome of core_snapshots.make: made is copied, and its handle is the core's to drop; or NULL, and err says why. */
void core_snapshot_made(struct core *c, const struct core_snapshot *made, const struct tenure_error *err, tn_ms now);
/* ---- passwords ---- */
/* A job is done, or was given up: its result says. The job is the core's again. */
void core_password_done(struct core *c, struct core_password *job, tn_ms now);

/* ---- giving room back ---- */
/* Whether calls wait for the file's free room to be given back, and nothing was begun for them: begin it, and tell its end. */
bool core_wants_defragment(struct core *c);
void core_defragmented(struct core *c, const char *error, tn_ms now); /* error: NULL = it went well */

/* ---- a full disk ---- */
/* A write that frees room in the end (a revoke, an expiry, a delete, a compaction) found none: release the ballast, if
 * there is any, and tell by core_ballast. */
bool core_wants_room(const struct core *c);
/* Whether the ballast is released. While it is, the room it left is for such writes only. */
void core_ballast(struct core *c, bool released, tn_ms now);
bool core_is_full(const struct core *c);
bool core_is_read_only(const struct core *c);

/* ---- health ---- */
enum core_alarm { CORE_ALARM_NOSPACE = 1, CORE_ALARM_CORRUPT = 2 };
/* The alarms raised, as bits. */
unsigned core_alarms(const struct core *c);
bool core_is_stopping(const struct core *c);
uint64_t core_member_id(const struct core *c);
/* `now` on a clock that stands still while the process does: for judging peers that do not keep up. */
tn_ms core_patience(const struct core *c, tn_ms now);

/* ---- shutdown ---- */
/* GOAWAY everywhere; watches and keepalive streams end with UNAVAILABLE "etcdserver: server stopped"; running calls end. */
void core_shutdown(struct core *c, tn_ms now);
bool core_drained(const struct core *c);

/* ---- numbers, for Status, tests and metrics ---- */
struct core_stats {
    uint64_t conns, streams, watchers, calls_total, dropped_total, held_bytes;
    uint64_t bytes_received; /* of the connections' protocol */
    uint64_t watch_streams, watch_streams_blocked, events_total;
    uint64_t keys, leases;
    uint64_t ranges_total, puts_total, deletes_total, txns_total, put_bytes_total;
    uint64_t leases_granted_total, leases_revoked_total, leases_expired_total, leases_renewed_total;
    int64_t revision, compacted, seq, seq_planned; /* seq: rows of the log, durable and planned */
    int64_t auth_revision;
    int64_t store_bytes, file_bytes, file_in_use, quota_bytes;
    uint64_t writes_failed_total; /* batches that were not applied */
};
void core_stats(const struct core *c, struct core_stats *ret);

#define CORE_STATUSES 17 /* of gRPC: 0 ... 16 */
#define CORE_TIMES    11 /* 5 ms, 10, 25 ... 10 s: Prometheus' own */
extern const int64_t core_times_ms[CORE_TIMES];
struct core_method_stats {
    const char *service, *method;
    bool streams_in, streams_out; /* many requests, many answers */
    uint64_t started, received, sent;
    const uint64_t *handled; /* by status */
    const uint64_t
        *took;        /* CORE_TIMES + 1 of them: calls that took no longer, and no less than the one before; NULL unless
                                time_calls */
    uint64_t took_ms; /* all together */
};
/* The i-th method; false behind the last one. */
bool core_method_stats(const struct core *c, size_t i, struct core_method_stats *ret) MUST_USE;

#endif
