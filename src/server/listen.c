/* The addresses served. Whoever reaches one owns the data, unless client certificates or authentication say who may: an
 * address that other machines reach is refused without either, unless it is asked for by name. */
#include <stdio.h>
#include <unistd.h>

#include "io/socket.h"
#include "server/internal.h"
#include "store/auth.h"

static void on_accept(void *user, int fd, const char *peer)
{
    struct listening *l = user;
    struct server *s = l->server;
    bool tls = io_listener_address(l->listener)->tls;
    conn_accept(s, fd, peer, l->kind, tls ? secure_present(s, io_now(s->loop)) : NULL);
}

static void on_pause(void *user, const struct tenure_error *why)
{
    struct server *s = ((struct listening *)user)->server;
    tn_ms now = io_now(s->loop);
    if (now < s->next_refusal_log)
        return;
    s->next_refusal_log = now + 1000;
    log_write(&s->log, LOG_WARN, "no connection can be accepted for the moment", "error=\"%s\"", why->text);
}

static const struct io_listener_callbacks callbacks = {.on_accept = on_accept, .on_pause = on_pause};

static int check_reach(const struct server *s, const struct io_address *a, struct tenure_error *err)
{
    char text[IO_ADDRESS_TEXT_MAX];
    const struct io_tls_config *tls = &s->config.tls;
    bool asks_certificates = a->tls && (tls->client_cert_auth || tls->ca_file);
    if (s->config.listen_anywhere || io_address_is_loopback(a) || asks_certificates ||
        store_auth_enabled(s->store, STORE_DURABLE))
        return 0;
    return error_set(err, TENURE_EINVALID,
                     "%.80s: other machines reach it, and anyone there could read and write; use https with "
                     "--client-cert-auth, or enable authentication first, or add --insecure-listen-anywhere",
                     io_address_text(a, text, sizeof text));
}

/* An address and what it is for. */
struct wanted {
    struct io_address at;
    enum conn_kind kind;
    int fd; /* -1 = to be opened */
};

static int open_one(struct server *s, const struct wanted *w, struct tenure_error *err)
{
    size_t i = s->n_listeners;
    struct listening *l = &s->listeners[i];
    *l = (struct listening){.server = s, .kind = w->kind};
    int rc = w->fd < 0 ? io_listener_new(s->loop, &w->at, &callbacks, l, &l->listener, err)
                       : io_listener_adopt(s->loop, w->fd, &w->at, &callbacks, l, &l->listener, err);
    if (rc < 0)
        return rc;
    io_address_text(io_listener_address(l->listener), s->urls[i], sizeof s->urls[i]);
    s->url_list[i] = s->urls[i];
    s->n_listeners++;
    return 0;
}

static int parse(struct server *s, const char *const *urls, size_t n, enum conn_kind kind, struct wanted *ret,
                 size_t *ret_n, struct tenure_error *err)
{
    for (size_t i = 0; i < n; i++) {
        struct wanted *w = &ret[*ret_n];
        if (*ret_n == LISTENERS_MAX)
            return error_set(err, TENURE_EINVALID, "%.100s: more than %d addresses to listen on", urls[i],
                             LISTENERS_MAX);
        int rc = io_address_parse(urls[i], -1, &w->at, err);
        if (rc == 0 && kind != CONN_METRICS) /* nothing of the data is there */
            rc = check_reach(s, &w->at, err);
        if (rc < 0)
            return rc;
        w->kind = kind;
        w->fd = -1;
        (*ret_n)++;
    }
    return 0;
}

static void match_sockets(struct activated *a, struct wanted *w, size_t n)
{
    for (size_t i = 0; i < n; i++)
        w[i].fd = activate_take(a, &w[i].at);
}

/* Sockets that no address asks for are served as they are. */
static int add_sockets(struct server *s, struct activated *a, struct wanted *ret, size_t *ret_n,
                       struct tenure_error *err)
{
    for (size_t i = 0; i < a->n; i++) {
        struct wanted *w = &ret[*ret_n];
        if (a->fds[i] < 0)
            continue;
        if (*ret_n == LISTENERS_MAX)
            return error_set(err, TENURE_EINVALID, "more than %d addresses to listen on", LISTENERS_MAX);
        if (!io_socket_address(a->fds[i], &w->at))
            return error_set(err, TENURE_EINVALID, "a socket that was handed over is neither TCP nor has a path");
        w->at.tls = a->tls[i];
        w->kind = CONN_ANY;
        w->fd = a->fds[i];
        a->fds[i] = -1;
        (*ret_n)++;
        int rc = check_reach(s, &w->at, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

/* Those that clients use come first. */
static int parse_all(struct server *s, struct wanted *ret, size_t *ret_n, struct tenure_error *err)
{
    const struct server_config *k = &s->config;
    enum conn_kind main = k->n_listen_http_urls ? CONN_HTTP2 : CONN_ANY;
    int rc = parse(s, k->listen_urls, k->n_listen_urls, main, ret, ret_n, err);
    if (rc == 0)
        rc = parse(s, k->listen_http_urls, k->n_listen_http_urls, CONN_HTTP1, ret, ret_n, err);
    return rc == 0 ? parse(s, k->metrics_urls, k->n_metrics_urls, CONN_METRICS, ret, ret_n, err) : rc;
}

static int prepare_tls(struct server *s, const struct wanted *w, size_t n, struct tenure_error *err)
{
    const char *hosts[LISTENERS_MAX];
    size_t n_hosts = 0;
    for (size_t i = 0; i < n; i++)
        if (w[i].at.tls)
            hosts[n_hosts++] = w[i].at.kind == IO_ADDRESS_UNIX ? "localhost" : w[i].at.host;
    return n_hosts ? secure_open(s, hosts, n_hosts, err) : 0;
}

static int gather(struct server *s, struct activated *a, struct wanted *w, size_t *ret_n, struct tenure_error *err)
{
    bool sockets_stand_for_urls = s->config.listen_default && a->n > 0;
    if (sockets_stand_for_urls)
        s->config.n_listen_urls = 0;
    int rc = parse_all(s, w, ret_n, err);
    if (rc < 0)
        return rc;
    match_sockets(a, w, *ret_n);
    return add_sockets(s, a, w, ret_n, err);
}

/* All that are wanted, or none: what was not opened is closed again. */
static int open_wanted(struct server *s, struct wanted *w, size_t n, int rc, struct tenure_error *err)
{
    for (size_t i = 0; i < n; i++) {
        if (rc == 0)
            rc = open_one(s, &w[i], err);
        else if (w[i].fd >= 0)
            close(w[i].fd);
    }
    return rc;
}

int listen_open(struct server *s, struct tenure_error *err)
{
    struct wanted wanted[LISTENERS_MAX];
    struct activated sockets;
    size_t n = 0;
    int rc = activate_find(&sockets, err);
    if (rc < 0)
        return rc;
    rc = gather(s, &sockets, wanted, &n, err);
    activate_close(&sockets);
    if (rc == 0)
        rc = prepare_tls(s, wanted, n, err);
    return open_wanted(s, wanted, n, rc, err);
}

void listen_close(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        s->listeners[i].listener = io_listener_close(s->listeners[i].listener);
    s->n_listeners = 0;
}
