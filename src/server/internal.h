/* What the files of the server share. */
#ifndef SERVER_INTERNAL_H
#define SERVER_INTERNAL_H

#include "backend/backend.h"
#include "base/buf.h"
#include "base/list.h"
#include "core/core.h"
#include "http/http.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/signal.h"
#include "io/stream.h"
#include "io/timer.h"
#include "io/wake.h"
#include "server/server.h"
#include "store/store.h"

#define LISTENERS_MAX  16
#define OUTPUT_MAX     ((size_t)256 << 10) /* bytes of one write */
#define BATCH_ROWS_MAX 4096
#define HOLD_UP_US_MAX 500  /* a batch waits for one more write at most so long */
#define DRAIN_MS       5000 /* for what is under way at a shutdown */
#define LINGER_MS      1000 /* for the last bytes of a connection that is closed */
#define SECURE_MS      1000 /* how often at most their files are looked at */

/* What an address is for. */
enum conn_kind {
    CONN_ANY,
    CONN_HTTP2,  /* gRPC alone: there are addresses for HTTP/1 */
    CONN_HTTP1,  /* HTTP/1 alone */
    CONN_METRICS /* HTTP/1, and there /metrics and /health alone */
};

struct listening {
    struct server *server;
    struct io_listener *listener;
    enum conn_kind kind;
};

/* systemd: where it listens, and how often it wants to hear that the loop turns. */
struct notify {
    int fd;            /* -1 = nobody wants to know */
    tn_ms every, next; /* 0 = no watchdog */
};

/* Stopping when nobody needs the server. */
struct unused {
    tn_ms at;       /* when it is to stop; TN_MS_NEVER: it is used */
    bool last_look; /* the locks are held: whoever connected before is about to be accepted */
    int locks[LISTENERS_MAX];
    size_t n_locks;
};

struct server {
    struct server_config config;
    struct log log;
    struct backend *backend;
    struct store *store;
    struct core *core;
    struct http *http;
    struct http_numbers numbers; /* for /metrics */

    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_wake *done, *stop;
    struct io_signal *sigterm, *sigint, *sighup;
    struct notify notify;
    struct unused unused;
    struct listening listeners[LISTENERS_MAX];
    size_t n_listeners;
    char urls[LISTENERS_MAX][IO_ADDRESS_TEXT_MAX];
    const char *url_list[LISTENERS_MAX];

    struct io_tls *tls; /* the present certificates; NULL until an address needs them */
    struct io_tls_stamps tls_files;
    tn_ms next_tls_check;
    char *self_cert, *self_key; /* paths of those made by auto_tls */

    struct snapshot_job *snapshot; /* being made; see snapshot.h */
    struct auth_driver *auth;      /* see auth.h */

    struct list conns;
    struct list again;     /* connections whose output was cut */
    struct list lingering; /* connections that wait for their last bytes, oldest first */
    uint32_t conns_max;
    int64_t commit_us;        /* what a commit takes, smoothed */
    int64_t held_up_until_us; /* a batch waits for another write, at the latest until then; 0 = none does */
    tn_ms hook_at;            /* when config.on_turn wants to be called again */
    bool in_turn;
    bool stopping;
    tn_ms drain_until;
    tn_ms next_second;
    tn_ms next_refusal_log;
    struct buf out; /* of the connection that is being written */
};

/* One socket. Owner: itself, in server.conns until it is closed. */
struct conn {
    struct server *server;
    struct io_stream *stream;
    struct core_conn *core; /* NULL: lingering */
    struct http_conn *http; /* it speaks HTTP/1 */
    struct list in_server, in_again, in_lingering;
    enum conn_kind kind;
    bool begun;  /* its first bytes have said what it speaks */
    bool secure; /* with TLS */
    bool waits;  /* has output, and the socket is busy */
    tn_ms linger_until;
};

/* ---- server.c ---- */
/* The end in order; the second time at once. */
void server_begin_stop(struct server *s);

/* ---- turn.c ---- */
/* Every event of the loop that reaches the core begins here: the first of a turn tells the core the time. */
tn_ms turn_begin(struct server *s);
void turn_run(void *user, tn_ms now);
/* Commits on the loop what start-up planned (an empty log's identity). */
int turn_commit_first(struct server *s, struct tenure_error *err) MUST_USE;

/* ---- conn.c ---- */
/* tls: what it must speak; NULL = plain. */
void conn_accept(struct server *s, int fd, const char *peer, enum conn_kind kind, struct io_tls *tls);
void conn_flush(struct conn *c, tn_ms now);
/* It is flushed again at the end of this turn. */
void conn_flush_later(struct conn *c);
/* Nothing more to say: waits a moment for the last bytes of both sides. */
void conn_linger(struct conn *c, tn_ms now);
void conn_close(struct conn *c);
void conn_check_lingering(struct server *s, tn_ms now);
bool conn_all_written(const struct server *s);

/* ---- http1.c ---- */
bool http1_speaks(bytes first);
/* Hands the connection over, with its first bytes. */
void http1_begin(struct conn *c, bytes first, tn_ms now);
void http1_read(struct conn *c, bytes in, tn_ms now);
void http1_flush(struct conn *c, tn_ms now);
/* Once a second. */
void http1_check(struct server *s, tn_ms now);

/* ---- secure.c ---- */
/* Reads the certificates (makes them, with auto_tls); hosts: of the addresses, for those that are made. */
int secure_open(struct server *s, const char *const *hosts, size_t n_hosts, struct tenure_error *err) MUST_USE;
/* The present certificates, read again when their files have changed; those that cannot be read leave the old ones. */
struct io_tls *secure_present(struct server *s, tn_ms now);
/* Reads them again in any case. */
void secure_reload(struct server *s);
void secure_close(struct server *s);

/* ---- numbers.c ---- */
void numbers_batch(struct server *s, const struct backend_result *result);
void numbers_read(void *user, struct http_numbers *ret);

/* ---- activate.c ---- */
#define ACTIVATED_MAX LISTENERS_MAX
struct activated {
    int fds[ACTIVATED_MAX];  /* -1: taken, or of no use */
    bool tls[ACTIVATED_MAX]; /* named https or unixs */
    size_t n;
};
/* What LISTEN_FDS and LISTEN_PID hand to this process; closed on exec from now on. TENURE_EINVALID: more than fit. */
int activate_find(struct activated *ret, struct tenure_error *err) MUST_USE;
/* Takes the socket of that address; -1: there is none. */
int activate_take(struct activated *a, const struct io_address *at);
void activate_close(struct activated *a);

/* ---- notify.c ---- */
void notify_open(struct server *s);
void notify_close(struct server *s);
void notify_ready(struct server *s);
void notify_stopping(struct server *s);
void notify_reloading(struct server *s);
/* Every turn. */
void notify_watchdog(struct server *s, tn_ms now);

/* ---- unused.c ---- */
void unused_open(struct server *s);
void unused_close(struct server *s);
/* Every turn: whether it is time to stop. server.unused.at says when to ask again. */
bool unused_check(struct server *s, tn_ms now);

/* ---- listen.c ---- */
int listen_open(struct server *s, struct tenure_error *err) MUST_USE;
void listen_close(struct server *s);

#endif
