/* The inside of the client engine, shared by its files. Pure.
 *
 *   client.c      the engine's life, its clock, its numbers         endpoint.c   where to connect, backoff, last errors
 *   pool.c        which connection is the current one               conn.c       one connection: bytes <-> streams, pings
 *   call.c        the life of a call                                retry.c      what a failure means
 *   calls_*.c     each call's request and answer                    keepalive.c  renewals on one shared stream
 *   watch*.c      watches on one shared stream                      deliver.c    completions, last
 *   login.c       the token that goes with calls and streams         order.c      which revision an answer is of
 *   context.c     what calls have in common                      trace.c      who watches them
 *
 * How the files work together: every function of client.h changes state and at its end calls client_settle, which brings
 * what is (connections, streams) to what is wanted (one current connection while there is work, both streams on it).
 * Callbacks of the wire engine change state only; connections are freed in client_settle, never below a callback.
 */
#ifndef CLIENT_INTERNAL_H
#define CLIENT_INTERNAL_H

#include "base/backoff.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "client/client.h"
#include "wire/codec.h"
#include "wire/h2.h"

#define CONNECT_BESIDE_MS 250  /* an endpoint that has not greeted for so long gets company */
#define CANDIDATES_MAX    3    /* connections under way to become the current one */
#define LEAVING_MAX       16   /* connections that were left with a write under way */
#define PING_EVERY_MS     5500 /* grpc-go counts pings closer than 5 s as abuse; the rest is for jitter on the way */
#define STEADY_MS         5000 /* a stream or connection that lived so long has proved itself: backoff begins anew */
#define GREETING_BYTES    9    /* an HTTP/2 server's first frame, SETTINGS, is at least so long */

/* ---- time ---- */

enum timer_kind {
    TIMER_CALL,
    TIMER_CONN,
    TIMER_POOL,
    TIMER_WATCH_STREAM,
    TIMER_KEEPALIVE,
    TIMER_KEEPALIVE_STREAM,
    TIMER_LOGIN
};

struct timer {
    struct heap_node node;
    enum timer_kind kind;
};

/* Room for the timer in the heap, so that arming it cannot fail. 0 or TENURE_ENOMEM. */
int timer_init(struct client *c, struct timer *t, enum timer_kind kind) MUST_USE;
void timer_fini(struct client *c, struct timer *t);
/* Fires at `at`, but never in this turn again: not before now + 1 ms. TN_MS_NEVER disarms. */
void timer_arm(struct client *c, struct timer *t, tn_ms at);
static inline tn_ms time_after(tn_ms now, int64_t ms)
{
    return ms < TN_MS_NEVER - now ? now + ms : TN_MS_NEVER;
}
/* "5 s", "1.5 s", "250 ms" */
const char *time_text(char out[32], int64_t ms);

/* ---- completions ---- */

enum delivery_kind { DELIVER_CALL, DELIVER_CREATED, DELIVER_EVENTS, DELIVER_END, DELIVER_KEEPALIVE };

/* A place in the queue of completions, inside the object that it is about. */
struct delivery {
    struct list link;
    enum delivery_kind kind;
};

void delivery_init(struct delivery *d, enum delivery_kind kind);
/* Does nothing when it is queued already. */
void deliver_later(struct client *c, struct delivery *d);
/* Takes it out of the queue; does nothing when it is not there. */
void deliver_never(struct client *c, struct delivery *d);

/* ---- streams: what a call, the watches and the keepalives have on a connection ---- */

enum stream_kind { STREAM_CALL, STREAM_WATCH, STREAM_KEEPALIVE };

struct stream {
    enum stream_kind kind;
    struct conn *conn;    /* NULL while not open */
    struct h2_stream *h2; /* NULL while not open */
};

/* Opens it on conn with one gRPC call. 0 or TENURE_ENOMEM. timeout_ms < 0 = none; context NULL = none. */
int stream_open(struct client *c, struct stream *s, struct conn *conn, const char *path, int64_t timeout_ms,
                bool needs_leader, const struct client_context *context) MUST_USE;
/* The same with that token; data NULL = none. */
int stream_open_as(struct client *c, struct stream *s, struct conn *conn, const char *path, int64_t timeout_ms,
                   bool needs_leader, const struct client_context *context, bytes token) MUST_USE;
int stream_send(struct client *c, struct stream *s, bytes message) MUST_USE;
/* Forgets the stream; whatever still comes for it is dropped. */
void stream_detach(struct stream *s);
/* Resets and forgets it. Fine when not open. */
void stream_reset(struct client *c, struct stream *s);

/* How a stream ended. */
struct stream_end {
    bool lost;        /* with its connection, without a status */
    bool unprocessed; /* provably not taken up by the server */
    enum grpc_status status;
    bytes text; /* borrowed */
};

/* ---- endpoints ---- */

struct endpoint {
    char *url;       /* as configured */
    char *authority; /* for :authority */
    struct backoff backoff;
    tn_ms not_before; /* of the next attempt */
    uint64_t failed;  /* number of its last failure; 0 = never: those are tried first */
    uint64_t failures;
    unsigned place;  /* among those that never failed the smallest is tried first; 0 = given by hand */
    bool is_given;   /* when the client was made: it stays in the first place */
    bool has_left;   /* no connection is made to it any more */
    char error[120]; /* of the last failure; empty = none since it last worked */
};

int endpoints_init(struct client *c, const struct client_config *config, struct tenure_error *err) MUST_USE;
void endpoints_fini(struct client *c);
void endpoint_failed(struct client *c, size_t i, const char *why);
void endpoint_worked(struct client *c, size_t i);
/* The one to try next, or SIZE_MAX; then *ret_at is when one may be tried (TN_MS_NEVER: when one that is being tried has ended). */
size_t endpoint_pick(struct client *c, tn_ms *ret_at);

/* ---- connections ----
 *
 *   CONNECTING --connected--> GREETING --first frame--> READY --goaway, replaced--> LEAVING --last call ended--> (gone)
 *       any of them --failed, closed, timed out--> (gone)
 */
enum conn_state {
    CONN_CONNECTING, /* Next: GREETING when the socket stands */
    CONN_GREETING,   /* Next: READY when the server has said its first frame: only then is it believed to be alive */
    CONN_READY,      /* Next: LEAVING when it takes no new calls or another became the current one */
    CONN_LEAVING     /* Next: gone when its last call ended */
};

/* Why a connection is in doubt; each is taken back by its own proof. */
enum {
    DOUBT_SILENT = 1,    /* nothing was heard; taken back by any byte */
    DOUBT_CALLS = 2,     /* calls are not answered, or refused; taken back by one answered */
    DOUBT_KEEPALIVE = 4, /* a renewal is not answered; taken back by one answered */
    DOUBT_WATCH = 8      /* the creation of a watch is not answered; taken back by one answered */
};

struct conn {
    struct client *client;
    struct list link;       /* in client->conns */
    struct list dirty_link; /* in client->dirty while it may have bytes to write */
    struct list io_link;    /* in client->io while the driver is to be told to connect or close */
    uint32_t number;
    enum client_io_kind io;
    enum conn_state state;
    size_t endpoint;
    bool candidate; /* opened to become the current one */
    bool told;      /* the driver was told to connect */
    bool inside;    /* a callback of its wire engine may be running */
    bool doomed;    /* to be ended as soon as no callback of the wire engine is running */
    bool proved;    /* has answered something */
    unsigned doubts;
    struct h2_conn *h2;
    struct list calls; /* sent on it */
    struct timer timer;
    size_t heard_bytes, pinged_bytes; /* in all, and when the last ping was sent */
    uint64_t outputs;                 /* how often bytes were handed out */
    tn_ms heard_at;                   /* any byte */
    tn_ms understood_at;              /* a message, a status, a pong */
    tn_ms answered_at;                /* a call or a stream, with success */
    tn_ms asked_at;                   /* the oldest call sent since it was last heard */
    tn_ms busy_at;                    /* since when a stream has been open */
    tn_ms pinged_at;                  /* of the last ping; TN_MS_NEVER before the first */
    bool ping_open;                   /* not answered yet */
    char why[120];                    /* it ended */
};

struct conn *conn_new(struct client *c, size_t endpoint, bool candidate);
/* Ends it: its streams close, the driver is told to close (unless it was it who said so), it is freed. */
void conn_end(struct client *c, struct conn *conn, const char *why, bool by_driver);
/* For the timer, and when its first stream is opened. */
void conn_check(struct client *c, struct conn *conn);
void conn_doubt(struct client *c, struct conn *conn, unsigned doubt, const char *why);
void conn_trust(struct client *c, struct conn *conn, unsigned doubt);
/* Something of the server's was understood: the endpoint works. */
void conn_answered(struct client *c, struct conn *conn);
void conn_dirty(struct client *c, struct conn *conn);
void conn_leave(struct client *c, struct conn *conn);
struct conn *conn_find(const struct client *c, uint32_t number);
/* Whether new calls may be given to it: ready, and not silent. */
static inline bool conn_takes_calls(const struct conn *conn)
{
    return conn && conn->state == CONN_READY && !conn->doomed && !(conn->doubts & DOUBT_SILENT);
}

/* ---- pool ---- */

/* Brings the connections to what is wanted. */
void pool_settle(struct client *c);
/* Has its first frame. */
void pool_ready(struct client *c, struct conn *conn);
/* A connection to that endpoint that stands or is under way, and is not given up; NULL = none. */
struct conn *pool_find(const struct client *c, size_t endpoint);
/* A connection to this endpoint for calls that name it, ready or on its way; NULL when out of memory. */
struct conn *pool_pinned(struct client *c, size_t endpoint);

/* ---- calls ----
 *
 *   WAITING --a connection takes it--> SENT --answered--> DONE --its callback--> (freed)
 *      ^                                |
 *      +---- BACKOFF <-- may be repeated+      from any of them: DONE by deadline, cancel, close
 */
enum call_state {
    CALL_NEW,
    CALL_WAITING, /* Next: SENT when a connection takes it, DONE */
    CALL_SENT,    /* Next: DONE when answered; WAITING or BACKOFF when it failed and may be sent again */
    CALL_BACKOFF, /* Next: WAITING when its time has come, DONE */
    CALL_DONE     /* Next: freed when its callback was called */
};

struct call_kind {
    const char *path;
    bool is_write;
    bool no_leader_needed; /* asks about the very endpoint: not refused for want of a leader */
    bool is_stream;        /* the method is a stream: the first message is the answer */
    bool gone_is_done;     /* repeated, and the lease is not found: the copy before did it */
    bool tells_revision;   /* the header of its answer has the store's revision */
    bool is_login;         /* goes before all others, without a token, over the bounds */
    bool pieces_join;      /* its pieces are parts of one whole: not begun again once one came */
    /* Streams: gives one message to call->on_piece. One that cannot be read is left out. */
    void (*deliver_piece)(const struct client_call *call, bytes message, struct arena *a);
    /* Fills the header and its field of r. 0, TENURE_EPROTOCOL, TENURE_ENOMEM. */
    int (*decode)(bytes in, struct arena *a, struct client_result *r);
};

/* What is noted for those who watch; kept also when nobody does, where that costs nothing. */
struct call_trace {
    uint64_t number;
    bool by_program;
    unsigned tries;
    size_t endpoint;       /* of the last copy */
    int code, grpc_status; /* of the last copy, once it has ended */
    enum tenure_applied applied;
    size_t try_out, try_in, bytes_out, bytes_in; /* messages: of the last copy, and of all */
    int64_t call_mark, try_mark;
};

struct client_call {
    struct list link; /* in one of client->waiting, pinned, resting, done, or conn->calls: the list of its state */
    struct stream stream;
    struct timer timer;
    struct delivery delivery;
    enum call_state state;
    const struct call_kind *kind;
    bool is_write, repeatable;
    bool maybe_applied; /* a copy was sent and its fate is not known */
    bool was_sent;      /* at least once */
    bool has_reply;
    bool overdue;      /* its try took too long */
    unsigned rested;   /* times in backoff */
    unsigned logins;   /* times that its token was refused and another one asked for */
    uint64_t login;    /* number of the token that its last copy was sent with */
    size_t endpoint;   /* SIZE_MAX = any */
    size_t refused_by; /* the endpoint whose answer error holds */
    int64_t timeout_ms, try_ms;
    tn_ms deadline, try_at, sent_at;
    uint64_t sent_output; /* conn->outputs when it was sent */
    struct buf request, reply;
    struct buf again; /* takes the request's place once a copy's fate is not known; empty = the same is sent */
    struct client_context *context; /* counted; NULL = none */
    bool is_others;                 /* sent on for somebody else: with that one's token, or with none */
    bytes token;                    /* that one's, owned; data NULL = none */
    struct call_trace trace;
    int code;
    enum etcd_error etcd;
    struct tenure_error error;
    /* Of streams, cast by kind->deliver_piece; then reply holds the messages that came, each with its length, until they are
     * delivered. */
    void (*on_piece)(void);
    client_done_cb cb;
    void *user;
};

/* NULL over a bound or out of memory. The request is then appended to call->request. */
struct client_call *client_call_new(struct client *c, const struct call_kind *kind,
                                    const struct client_call_options *opt, client_done_cb cb, void *user,
                                    struct tenure_error *err) MUST_USE;
struct client_call *call_submit(struct client *c, struct client_call *call, tn_ms now, struct tenure_error *err)
    MUST_USE;
void call_release(struct client *c, struct client_call *call);
void calls_fini(struct client *c);
/* Gives conn the calls that wait for it. */
void calls_flush(struct client *c, struct conn *conn);
/* Those that name an endpoint that could not be reached fail at once. */
void calls_pinned_failed(struct client *c, size_t endpoint, const char *why);
/* Takes those that may be repeated away from a connection that was left. */
void calls_leave(struct client *c, struct conn *conn, bool all);
void calls_close(struct client *c);
void call_on_message(struct client *c, struct client_call *call, bytes message);
void call_on_end(struct client *c, struct client_call *call, const struct stream_end *end);
void call_on_timer(struct client *c, struct client_call *call);
void call_deliver(struct client *c, struct client_call *call);

/* ---- who watches (trace.c) ---- */

void trace_call_begin(struct client *c, struct client_call *call);
void trace_try_begin(struct client *c, struct client_call *call);
void trace_try_end(struct client *c, struct client_call *call);
void trace_call_end(struct client *c, struct client_call *call, const struct client_result *r);
/* How the copy under way is going to end; by_status: grpc_status is a server's word. */
static inline void trace_outcome(struct client_call *call, int code, int grpc_status, enum tenure_applied applied)
{
    call->trace.code = code;
    call->trace.grpc_status = grpc_status;
    call->trace.applied = call->is_write ? applied : TENURE_APPLIED_NO;
}

/* Ends all that wait for a token. */
void calls_denied(struct client *c, const struct tenure_error *why);

/* ---- the token ----
 *
 *   NONE (no user, or a token that was given): calls go as they are
 *   NEEDED --there is work--> ASKING --answered--> DONE --the server refuses the token--> NEEDED
 *      ^                         |
 *      +---- refused, or failed -+
 */
enum login_state {
    LOGIN_NONE,   /* Next: none */
    LOGIN_NEEDED, /* Next: ASKING when something waits for it and the backoff has passed */
    LOGIN_ASKING, /* Next: DONE, NEEDED */
    LOGIN_DONE    /* Next: NEEDED */
};

struct login {
    enum login_state state;
    char *user, *password;
    char *token; /* NULL = none: nobody logged in, or the servers want none */
    size_t token_len;
    uint64_t number; /* of the token; each new one has a greater */
    tn_ms done_at, retry_at;
    struct backoff backoff;
    struct timer timer;
    struct list waiting; /* the call that asks, while no connection takes it */
};

void login_zero(struct client *c); /* makes login_fini possible */
int login_init(struct client *c, const struct client_config *config, struct tenure_error *err) MUST_USE;
void login_fini(struct client *c);
void login_settle(struct client *c);
/* Whether calls and streams may be sent. */
static inline bool login_ready(const struct login *l)
{
    return l->state == LOGIN_NONE || l->state == LOGIN_DONE;
}
/* The server's answer to what was sent with token `number`: true when it is the token that is refused, and another one is
 * asked for; what was refused was not applied, and may be sent again with that. */
bool login_refused(struct client *c, uint64_t number, enum etcd_error e);

/* ---- failures ---- */

/* An answer's name in etcd's list; also finds it in Go's form "rpc error: code = X desc = TEXT". */
enum etcd_error retry_etcd_error(bytes text);
/* Whether the text says that a request of so many bytes was more than a server takes: refused before anybody looked at it. */
bool retry_request_too_large(bytes text, size_t len);
/* Whether the endpoint itself cannot serve: another one may. */
bool retry_elsewhere(enum grpc_status status, bytes text);

/* ---- watches ----
 *
 *   UNPLACED --create sent--> CREATING --created--> LIVE          from any of them: ENDED
 *      ^                         |                    |
 *      +------ the stream ended -+--------------------+
 */
enum watch_state {
    WATCH_UNPLACED, /* Next: CREATING when the stream stands and its retry time has come */
    WATCH_CREATING, /* Next: LIVE, UNPLACED, ENDED */
    WATCH_LIVE,     /* Next: UNPLACED, ENDED */
    WATCH_ENDED     /* Next: freed by client_watch_stop */
};

/* Creates are answered in order: the queue of those not answered yet. Outlives a watch that is stopped meanwhile. */
struct watch_slot {
    struct list link;
    struct client_watch *watch; /* NULL: stopped, cancel it when created */
};

/* One answer of the server with events, until it was delivered. */
struct watch_batch {
    struct delivery delivery;
    struct list link; /* in watch->batches, or watch->fragments, or in batch->parts */
    struct client_watch *watch;
    struct list parts; /* earlier fragments, whose memory the events borrow */
    struct arena arena;
    size_t bytes; /* counted in client->watch_bytes */
    tn_rev revision;
    struct event *events;
    size_t n_events;
    uint8_t message[];
};

struct client_watch {
    struct list link; /* in watches->unplaced, placed or ended */
    enum watch_state state;
    struct watch_create_req req; /* range points to memory behind this struct */
    struct watch_slot *slot;     /* owned, but while CREATING: then it is the stream's queue's */
    int64_t id;                  /* while LIVE */
    tn_rev next_rev;             /* the first revision not seen; 0 = not known yet (from now on) */
    bool created_told, overlaps;
    struct list batches, fragments;
    struct delivery created, end;
    tn_rev created_revision;
    int end_code;
    tn_rev end_compact_revision;
    struct tenure_error end_error;
    struct client_context *context; /* counted; NULL = none */
    struct client_watch_callbacks cb;
    void *user;
};

struct watches {
    struct stream stream;
    uint64_t login;     /* number of the token that the stream was opened with */
    struct timer timer; /* retry, or linger */
    struct backoff backoff;
    struct list unplaced, placed, ended;
    size_t n;             /* not ended */
    struct list creating; /* struct watch_slot, in the order of the creates */
    size_t n_creating;
    struct map by_id; /* id -> watch */
    tn_ms opened_at, retry_at, idle_since;
    tn_ms asked_at; /* the oldest create not answered was sent, or one was answered since */
};

void watches_zero(struct client *c); /* makes watches_fini possible */
int watches_init(struct client *c) MUST_USE;
void watches_fini(struct client *c);
void watches_settle(struct client *c);
void watches_close(struct client *c);
void watches_on_timer(struct client *c);
void watches_on_message(struct client *c, bytes message);
void watches_on_end(struct client *c, const struct stream_end *end);
/* No token is to be had: those that wait for their stream end. */
void watches_denied(struct client *c, const struct tenure_error *why);
void watch_end(struct client *c, struct client_watch *w, int code, tn_rev compact_revision, const char *text);
void watches_retry(struct client *c);
/* Takes an answer with events or progress. False: the stream is not to be believed. */
bool watch_take(struct client *c, struct client_watch *w, bytes message) MUST_USE;
void watch_drop_batches(struct client *c, struct list *batches);
struct watch_batch *watch_batch_free(struct client *c, struct watch_batch *b);

/* ---- keepalives ----
 *
 *   RESTING --its time has come--> DUE --stream stands--> SENT --answered--> RESTING
 *                                   ^                       |        +--TTL 0--> GONE
 *                                   +---- the stream ended -+
 */
enum keepalive_state {
    KEEPALIVE_RESTING, /* Next: DUE by its timer */
    KEEPALIVE_DUE,     /* Next: SENT when the stream stands */
    KEEPALIVE_SENT,    /* Next: RESTING, GONE, DUE */
    KEEPALIVE_GONE     /* Next: freed by client_keepalive_stop */
};

struct client_keepalive {
    struct list link;                 /* in keepalives->all */
    struct list state_link;           /* in keepalives->due, or ->unstamped: sent, but no byte handed out yet */
    struct client_keepalive *sibling; /* the next keepalive of the same lease */
    enum keepalive_state state;
    tn_lease lease;
    int64_t ttl_ms;
    struct timer timer;
    tn_ms sent_at;    /* of the one renewal under way; TN_MS_NEVER until it was handed out */
    uint64_t sent_no; /* the order in which renewals were sent on the stream */
    struct delivery delivery;
    bool renewed, gone; /* to be delivered */
    bool abandoned;     /* stopped, with a renewal under way: here until that is answered or its stream is gone */
    tn_ms renewed_sent_at;
    int64_t renewed_ttl_s;
    struct client_keepalive_callbacks cb;
    void *user;
};

struct keepalives {
    struct stream stream;
    uint64_t login;     /* number of the token that the stream was opened with */
    struct timer timer; /* retry */
    struct backoff backoff;
    struct list all, due, unstamped;
    size_t n;
    struct map by_lease; /* lease -> first of its keepalives */
    uint64_t sent_no;
    tn_ms opened_at, retry_at;
    struct tenure_error refusal; /* the last one; code 0 = none since the last answer */
};

/* No token is to be had: what is not renewed for that will be told why. */
void keepalives_denied(struct client *c, const struct tenure_error *why);
void keepalives_zero(struct client *c); /* makes keepalives_fini possible */
int keepalives_init(struct client *c) MUST_USE;
void keepalives_fini(struct client *c);
void keepalives_settle(struct client *c);
void keepalives_close(struct client *c);
void keepalives_on_timer(struct client *c);
void keepalive_on_timer(struct client *c, struct client_keepalive *k);
void keepalives_on_message(struct client *c, bytes message);
void keepalives_on_end(struct client *c, const struct stream_end *end);
/* The stream's bytes are being handed out now. */
void keepalives_stamp(struct client *c);

/* ---- the order of revisions: with never_older, reads do not go back in time ---- */

/* The store's revision at the time, from the header of an answer; 0 = it has none, or cannot be read. */
tn_rev order_revision(bytes answer);
void order_saw(struct client *c, tn_rev revision);

/* ---- the engine ---- */

struct client {
    tn_ms now; /* of the last function that was told */
    bool closed;
    bool unsettled; /* client_settle has something to do */
    bool delivering;
    int64_t call_timeout_ms, connect_timeout_ms, silence_ms;
    size_t calls_max, queued_bytes_max, watch_bytes_max;
    bool broken_renew_from_receipt, broken_deadline, broken_rest;
    bool never_older;
    tn_rev seen; /* the newest revision of any answer or event */
    struct rng rng;
    struct log log;
    struct client_context *context; /* the present one; borrowed */
    void (*on_event)(void *user, const struct client_event *e);
    void *on_event_user;
    uint64_t last_call; /* the number of the newest call, while somebody watches */

    struct heap timers;
    size_t n_timers;

    struct endpoint *endpoints;
    size_t n_endpoints;
    char no_endpoints[160]; /* why there is none yet; empty = there is one */
    size_t first_endpoint;  /* drawn at the start */
    uint64_t failures;      /* counted over all endpoints */

    struct list conns, io, dirty;
    struct conn *current;
    uint32_t next_number;
    struct timer pool_timer;
    tn_ms candidate_at; /* when the last candidate was opened */

    struct list waiting, pinned, resting, done;
    struct list spare_calls;
    size_t n_spare_calls;
    size_t n_calls;      /* until their callback */
    size_t n_live;       /* not DONE, and for any endpoint */
    size_t queued_bytes; /* of requests not DONE */

    struct login login;
    struct watches watches;
    size_t watch_bytes;
    struct keepalives keepalives;

    struct list deliveries;
    size_t n_deliveries;
    struct client_stats stats; /* what is counted */
    struct arena feed_arena, deliver_arena;
    struct buf scratch; /* requests of the shared streams */
};

/* Every public function that changed something ends with it. */
void client_settle(struct client *c);
static inline void client_unsettle(struct client *c)
{
    c->unsettled = true;
}
/* Whether anything asks for the current connection. */
static inline bool client_has_work(const struct client *c)
{
    return c->n_live > 0 || c->watches.n > 0 || c->keepalives.n > 0;
}

#endif
