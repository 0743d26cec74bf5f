/* A whole server without sockets, disk or clock, for tests: the store and the core, a log that takes as long as the test
 * says, clients on the wire engine over memory, and a clock that only the test moves.
 *
 *     struct world *w = world_new(NULL);
 *     struct client *c = client_new(w);
 *     struct call *put = client_put(c, "a", "1");
 *     world_settle(w);
 *     assert_ok(put);
 *
 * Everything a call was answered is kept in it until world_free. Thread: none of its own.
 */
#ifndef TESTS_LIB_CORE_FIXTURE_H
#define TESTS_LIB_CORE_FIXTURE_H

#include "core/core.h"
#include "store/store.h"
#include "wire/codec.h"
#include "wire/h2.h"

#define WORLD_CLIENTS_MAX 64
#define WORLD_CALLS_MAX   4096
#define WORLD_LEASES_MAX  64
#define WORLD_JOBS_MAX    64

struct world;

struct call {
    struct client *client;
    struct h2_stream *stream; /* NULL once closed */
    bool closed, has_status;
    enum grpc_status status;
    char text[256];
    struct buf *messages; /* each one message */
    size_t n_messages;
    size_t taken; /* by call_next */
};

struct client {
    struct world *world;
    struct h2_conn *h2;
    struct core_conn *conn; /* NULL: refused, dropped or gone */
    bool deaf;              /* takes nothing from its socket */
    bool mute;              /* sends nothing into it */
    bool dropped;           /* the server has ended the connection */
    const char *token;      /* sent with each call that begins; NULL = none */
    size_t received;        /* bytes */
};

struct world_lease {
    tn_lease id;
    tn_ms deadline;
};

struct world_options {
    struct store_config store;
    struct core_config core;
};

struct world {
    tn_ms now;
    struct store *store;
    struct core *core;
    struct arena arena; /* of decoded replies, until world_free */

    /* The log: a batch is durable log_ms after it was taken, or when the test releases it. */
    int64_t log_ms;
    bool log_held;
    enum core_outcome outcome; /* of the batches that end from now on */
    bool in_flight;
    tn_ms done_at;
    tn_seq batch_seq;
    size_t batch_rows, batch_deletes; /* of the one under way or the last one */
    size_t batches;
    bool defragmenting; /* asked for; done at once unless log_held */
    size_t deletes_total;

    struct client clients[WORLD_CLIENTS_MAX];
    size_t n_clients;
    struct call *calls[WORLD_CALLS_MAX];
    size_t n_calls;
    struct world_lease leases[WORLD_LEASES_MAX]; /* what lease_store was told */

    /* Passwords: a hash is the password behind "hash of ". Done at once, or when the test says so. */
    bool passwords_held, passwords_refused;
    struct core_password *jobs[WORLD_JOBS_MAX];
    size_t n_jobs, jobs_total;
};

/* options: NULL = defaults, without automatic compaction. */
struct world *world_new(const struct world_options *options);
void world_free(struct world *w);
/* One turn of the driver: what clients sent, the log's outcome, the engines, what clients get. */
void world_turn(struct world *w);
/* Turns until nothing moves any more at this moment. */
void world_settle(struct world *w);
/* Moves the clock on, with a turn whenever the core asked for one. */
void world_pass(struct world *w, int64_t ms);
/* The process stands still for so long: the clock moves, nothing else. */
void world_stop(struct world *w, int64_t ms);
/* Ends the batch under way, and lets later ones go by themselves. */
void world_release(struct world *w, enum core_outcome outcome);
/* The deadline that lease_store was told last; 0 = none. */
tn_ms world_lease(const struct world *w, tn_lease id);

/* Does the passwords that are held. */
void world_do_passwords(struct world *w);

struct client *client_new(struct world *w);
/* The socket is gone. */
void client_cut(struct client *c);

struct call *client_call(struct client *c, const char *path, int64_t timeout_ms);
/* With this metadata, and no token but what it holds. */
struct call *client_call_with(struct client *c, const char *path, const struct h2_header *headers, size_t n);
/* Sends and frees the bytes of message. */
void call_say(struct call *call, struct buf *message);
void call_half_close(struct call *call);
void call_cancel(struct call *call);
/* One request: sends and frees the bytes of message, and half-closes. */
struct call *client_ask(struct client *c, const char *path, struct buf *message);
/* The next message that was not taken yet; data NULL when there is none. */
bytes call_next(struct call *call);

/* ---- calls with one request ---- */
struct call *client_range(struct client *c, const char *key, const char *range_end);
struct call *client_put(struct client *c, const char *key, const char *value);
struct call *client_put_req(struct client *c, const struct put_req *req);
struct call *client_delete(struct client *c, const char *key, const char *range_end);
struct call *client_txn(struct client *c, const struct txn_req *req);
struct call *client_compact(struct client *c, tn_rev revision, bool physical);
struct call *client_grant(struct client *c, tn_lease id, int64_t ttl_s);
struct call *client_revoke(struct client *c, tn_lease id);
struct call *client_ttl(struct client *c, tn_lease id, bool keys);
/* ---- streams ---- */
struct call *client_keepalive(struct client *c);
void call_keepalive(struct call *stream, tn_lease id);
struct call *client_watch(struct client *c);
void call_watch(struct call *stream, const struct watch_create_req *req);
void call_unwatch(struct call *stream, int64_t id);
void call_ask_progress(struct call *stream);

/* ---- what came ---- */
#define assert_ok(call)                   world_assert_status(call, GRPC_OK, "", __FILE__, __LINE__)
#define assert_status(call, status, text) world_assert_status(call, status, text, __FILE__, __LINE__)
#define assert_error(call, e)             world_assert_status(call, etcd_error_status(e), etcd_error_text(e), __FILE__, __LINE__)
#define assert_waits(call)                world_assert_waits(call, __FILE__, __LINE__)
void world_assert_status(const struct call *call, enum grpc_status status, const char *text, const char *file,
                         int line);
/* Neither a message nor a status yet. */
void world_assert_waits(const struct call *call, const char *file, int line);

struct range_resp got_range(struct call *call);
struct put_resp got_put(struct call *call, struct response_header *h);
struct txn_resp got_txn(struct call *call, struct response_header *h);
struct delete_resp got_delete(struct call *call);
struct lease_grant_resp got_grant(struct call *call);
struct lease_ttl_resp got_ttl(struct call *call);
/* Of streams: the next message; the test fails when there is none. */
struct lease_keepalive_resp got_keepalive(struct call *call);
struct watch_resp got_watch(struct call *call);
bool got_nothing(struct call *call);

#endif
