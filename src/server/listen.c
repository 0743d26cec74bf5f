/* The addresses served. Until there is TLS and authentication, whoever reaches the port owns the data: an address that
 * other machines reach is refused, unless it is asked for by name. */
#include <stdio.h>
#include <unistd.h>

#include "server/internal.h"

static void on_accept(void *user, int fd, const char *peer)
{
    conn_accept(user, fd, peer);
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

static const struct io_listener_callbacks callbacks = {.on_accept = on_accept, .on_pause = on_pause};

static int check_reach(const struct server *s, const struct io_address *a, struct tenure_error *err)
{
    char text[IO_ADDRESS_TEXT_MAX];
    if (s->config.listen_anywhere || io_address_is_loopback(a))
        return 0;
    return error_set(
        err, TENURE_EINVALID,
        "%s: other machines reach it, and there is neither TLS nor authentication yet; listen on 127.0.0.1 or "
        "a unix socket, or add --insecure-listen-anywhere",
        io_address_text(a, text, sizeof text));
}

static int listen_one(struct server *s, const char *url, struct tenure_error *err)
{
    struct io_address at;
    size_t i = s->n_listeners;
    int rc = io_address_parse(url, -1, &at, err);
    if (rc == 0)
        rc = check_reach(s, &at, err);
    if (rc == 0 && i == LISTENERS_MAX)
        rc = error_set(err, TENURE_ELIMIT, "%s: more than %d addresses to listen on", url, LISTENERS_MAX);
    if (rc == 0)
        rc = io_listener_new(s->loop, &at, &callbacks, s, &s->listeners[i], err);
    if (rc < 0)
        return rc;
    io_address_text(io_listener_address(s->listeners[i]), s->urls[i], sizeof s->urls[i]);
    s->url_list[i] = s->urls[i];
    s->n_listeners++;
    return 0;
}

int listen_open(struct server *s, struct tenure_error *err)
{
    for (size_t i = 0; i < s->config.n_listen_urls; i++) {
        int rc = listen_one(s, s->config.listen_urls[i], err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

void listen_close(struct server *s)
{
    for (size_t i = 0; i < s->n_listeners; i++)
        s->listeners[i] = io_listener_close(s->listeners[i]);
    s->n_listeners = 0;
}
