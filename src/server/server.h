/* `tenure serve` as an object: data directory, store, core and sockets composed on one loop.
 *
 *     server.c    opening (replay, restored leases, listening), signals, shutdown, closing
 *     turn.c      the turn: outcomes, engines, commits, one write a connection, one timer
 *     snapshot.c  the file of etcd's that Maintenance.Snapshot sends
 *     conn.c      a connection: socket <-> core
 *     http1.c     connections that speak HTTP/1
 *     listen.c    addresses and their listeners
 *     unused.c    the end when nobody needs it any more
 *     activate.c  sockets that systemd has opened         notify.c    telling systemd how things stand
 *     secure.c    certificates: made, read, and read again when their files change
 *
 * Happy path: server_open -> server_ready_line -> server_run until SIGTERM or SIGINT -> server_close.
 * Thread: one, the loop's.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "base/error.h"
#include "base/log.h"
#include "core/core.h"
#include "io/tls.h"

struct server;

/* All borrowed until server_close. 0 or NULL = the default of core.h, store.h or backend.h. */
struct server_config {
    const char *data_dir; /* must be given */
    const char *vfs;      /* of SQLite; tests put their own below */
    const char *name;
    const char *const *listen_urls;
    size_t n_listen_urls;
    const char *const *advertise_urls; /* none = those that are listened on */
    size_t n_advertise_urls;
    bool listen_anywhere;     /* else an address that others reach needs client certificates or authentication */
    struct io_tls_config tls; /* for https and unixs */
    bool auto_tls;            /* without cert_file: a certificate signed by itself, kept in data_dir */
    unsigned self_signed_years;
    const char *const *listen_http_urls; /* for HTTP/1 alone; the others are for HTTP/2 alone then */
    size_t n_listen_http_urls;
    const char *const *metrics_urls; /* for /metrics and /health alone */
    size_t n_metrics_urls;
    bool metrics_extensive, no_gateway;
    const char *auth_token; /* "simple" or "jwt,…"; NULL = simple */
    int64_t auth_token_ttl_s;
    unsigned bcrypt_cost;
    int64_t quota_bytes, lease_ttl_min_s, progress_ms, retention_ms;
    int64_t retention_revs;           /* kept instead of a time; 0 = retention_ms decides */
    int64_t ping_ms, ping_timeout_ms; /* as in core.h */
    uint32_t request_bytes_max, txn_ops_max, streams_max;
    const char *const *cors; /* origins whose pages may read answers; none or "*" = all */
    size_t n_cors;
    const char *const *hosts; /* host names of requests by HTTP without TLS; none or "*" = all */
    size_t n_hosts;
    /* A copy of another's keys (core.h); source NULL = none. on_turn: in each turn, behind the core's; it answers when it wants to be
     * called again. */
    const struct core_source *source;
    void *source_user;
    uint64_t source_cluster;
    int64_t staleness_ms_max;
    bool forward_when_stale;
    bool source_has_users;
    const struct key_range *source_parts; /* as in core.h */
    size_t n_source_parts;
    const char *source_parts_text;
    bool forward_others;
    tn_ms (*on_turn)(void *user, tn_ms now);
    int64_t stop_unused_ms; /* stops when there was neither a connection nor a lease for so long; 0 = never */
    bool listen_default;    /* nobody has named listen_urls: sockets that systemd hands over stand for them */
    /* SIGHUP, before the certificates are read again: open log files anew. May be NULL. */
    void (*on_reload)(void *user);
    void *user; /* of on_reload and on_turn */
    struct log log;
};

/* Opens everything and listens. TENURE_EINVALID (addresses), TENURE_EBUSY (directory or address in use), TENURE_ECORRUPT,
 * TENURE_EVERSION, TENURE_EIO, TENURE_ENOMEM; the text names the thing. */
int server_open(const struct server_config *config, struct server **ret, struct tenure_error *err) MUST_USE;
/* "tenure: serving ADDRESS and ADDRESS (data DIR, revision N)", with real ports. Answers out. */
const char *server_ready_line(const struct server *s, char *out, size_t size);
/* Serves until SIGTERM or SIGINT, then GOAWAY and at most 5 s for what is under way (none at a second signal). */
void server_run(struct server *s);
/* The same from another thread or a test. */
void server_stop(struct server *s);

/* ---- for who follows a source on the server's own loop ---- */
/* The i-th address that is listened on, with its real port. */
const char *server_url(const struct server *s, size_t i);
struct core *server_core(struct server *s);
struct store *server_store(struct server *s);
struct io_loop *server_loop(struct server *s);
/* The core is about to be touched from outside of the server's turn, which comes soon then. Answers the time. */
tn_ms server_enter(struct server *s);

struct server *server_close(struct server *s); /* NULL is fine, half open too; NULL */

#endif
