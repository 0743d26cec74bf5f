/* The addresses served. Whoever reaches one owns the data, unless client certificates or authentication say who may: an
 * address that other machines reach is refused without either, unless it is asked for by name. */
#include <stdio.h>
#include <unistd.h>

#include "server/internal.h"

static void on_accept(void *user, int fd, const char *peer)
{
    conn_accept(user, fd, peer, NULL);
}

static void on_accept_secure(void *user, int fd, const char *peer)
{
    struct server *s = user;
    conn_accept(s, fd, peer, secure_present(s, io_now(s->loop)));
}

static void on_pause(void *user, const struct tenure_error *why)
{
    struct server *s = user;
    tn_ms now = io_now(s->loop);
    if (now < s->next_refusal_log)
        return;
    s->next_refusal_log = now + 1000;
    log_write(&s->log, LOG_WARN, "no connection can be accepted for the moment", "error=\"%s\"", why->text);
}

static const struct io_listener_callbacks plain = {.on_accept = on_accept, .on_pause = on_pause};
static const struct io_listener_callbacks secure = {.on_accept = on_accept_secure, .on_pause = on_pause};

static int check_reach(const struct server *s, const struct io_address *a, struct tenure_error *err)
{
    char text[IO_ADDRESS_TEXT_MAX];
    const struct io_tls_config *tls = &s->config.tls;
    bool asks_certificates = a->tls && (tls->client_cert_auth || tls->ca_file);
    if (s->config.listen_anywhere || io_address_is_loopback(a) || asks_certificates)
        return 0;
    return error_set(err, TENURE_EINVALID,
                     "%.80s: other machines reach it, and anyone there could read and write; use https with "
                     "--client-cert-auth, or enable authentication first, or add --insecure-listen-anywhere",
                     io_address_text(a, text, sizeof text));
}

static int open_one(struct server *s, const struct io_address *at, struct tenure_error *err)
{
    size_t i = s->n_listeners;
    int rc = io_listener_new(s->loop, at, at->tls ? &secure : &plain, s, &s->listeners[i], err);
    if (rc < 0)
        return rc;
    io_address_text(io_listener_address(s->listeners[i]), s->urls[i], sizeof s->urls[i]);
    s->url_list[i] = s->urls[i];
    s->n_listeners++;
    return 0;
}

static int parse_all(struct server *s, struct io_address *at, struct tenure_error *err)
{
    size_t n = s->config.n_listen_urls;
    int rc = 0;
    if (n > LISTENERS_MAX)
        return error_set(err, TENURE_ELIMIT, "more than %d addresses to listen on", LISTENERS_MAX);
    for (size_t i = 0; i < n && rc == 0; i++) {
        rc = io_address_parse(s->config.listen_urls[i], -1, &at[i], err);
        if (rc == 0)
            rc = check_reach(s, &at[i], err);
    }
    return rc;
}

static int prepare_tls(struct server *s, const struct io_address *at, struct tenure_error *err)
{
    const char *hosts[LISTENERS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < s->config.n_listen_urls; i++)
        if (at[i].tls)
            hosts[n++] = at[i].kind == IO_ADDRESS_UNIX ? "localhost" : at[i].host;
    return n ? secure_open(s, hosts, n, err) : 0;
}

int listen_open(struct server *s, struct tenure_error *err)
{
    struct io_address at[LISTENERS_MAX];
    int rc = parse_all(s, at, err);
    if (rc == 0)
        rc = prepare_tls(s, at, err);
    for (size_t i = 0; i < s->config.n_listen_urls && rc == 0; i++)
        rc = open_one(s, &at[i], err);
    return rc;
}

void listen_close(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        s->listeners[i] = io_listener_close(s->listeners[i]);
    s->n_listeners = 0;
}
