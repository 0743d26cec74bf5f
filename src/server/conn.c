/* A connection: the socket's bytes go to the core, the core's bytes to the socket, one write a turn.
 *
 *     open --finished or HTTP/1--> lingering --peer closed, or LINGER_MS--> closed
 *
 * While the socket is busy with the last write the core is not asked for more, so what waits here is one write's worth.
 */
#include <stdlib.h>
#include <unistd.h>

#include "server/internal.h"

/* ---- the end ---- */

void conn_close(struct conn *c)
{
    http_conn_free(c->http);
    if (c->core)
        core_remove(c->core);
    io_stream_close(c->stream);
    list_remove(&c->in_server);
    list_remove(&c->in_again);
    list_remove(&c->in_lingering);
    free(c);
}

/* Nothing more to say, but perhaps the last bytes are still on their way, or the peer's last ones on theirs. */
void conn_linger(struct conn *c, tn_ms now)
{
    c->http = http_conn_free(c->http);
    if (c->core)
        core_remove(c->core);
    c->core = NULL;
    c->linger_until = now + LINGER_MS;
    list_remove(&c->in_again);
    list_push_back(&c->server->lingering, &c->in_lingering);
    io_stream_reading(c->stream, true);
    if (io_stream_writable(c->stream))
        io_stream_finish(c->stream);
}

void conn_check_lingering(struct server *s, tn_ms now)
{
    LIST_FOREACH_SAFE(it, &s->lingering)
    {
        struct conn *c = LIST_ENTRY(it, struct conn, in_lingering);
        if (c->linger_until > now)
            return;
        conn_close(c);
    }
}

bool conn_all_written(const struct server *s)
{
    LIST_FOREACH(it, (struct list *)&s->conns)
    {
        if (!io_stream_writable(LIST_ENTRY(it, struct conn, in_server)->stream))
            return false;
    }
    return true;
}

/* ---- output ---- */

/* A full buffer means that there is more: it goes on with the next turn, so that others get theirs in between. */
static void write_some(struct conn *c, tn_ms now)
{
    struct server *s = c->server;
    buf_reset(&s->out);
    core_output(c->core, &s->out, OUTPUT_MAX, now);
    bool cut = s->out.len >= OUTPUT_MAX;
    if (s->out.len > 0)
        io_stream_write(c->stream, &s->out);
    if (cut)
        conn_flush_later(c);
}

void conn_flush_later(struct conn *c)
{
    if (!list_empty(&c->in_again))
        return;
    list_push_back(&c->server->again, &c->in_again);
    io_turn_request(c->server->loop);
}

void conn_flush(struct conn *c, tn_ms now)
{
    if (!c->core)
        return;
    if (c->http) {
        http1_flush(c, now);
        return;
    }
    /* Our SETTINGS wait for the peer's first bytes: they would confuse one that speaks HTTP/1. */
    c->waits = c->begun && !io_stream_writable(c->stream);
    if (c->begun && !c->waits)
        write_some(c, now);
    if (core_conn_finished(c->core))
        conn_linger(c, now);
    else
        io_stream_reading(c->stream, core_wants_input(c->core));
}

/* ---- refusals ---- */

static void log_refusal(struct server *s, const char *peer, const char *why, tn_ms now)
{
    if (now < s->next_refusal_log)
        return;
    s->next_refusal_log = now + 1000;
    char quoted[300];
    log_write(&s->log, LOG_WARN, "connection refused", "peer=%s why=%s", peer,
              log_quote(quoted, sizeof quoted, bytes_str(why)));
}

/* The other way round is the business of TLS itself (io/tls_session.c). The words are plain, so that a TLS library says
 * that they are none of its own; one that hears nothing can only guess. */
static bool speaks_tls(bytes first)
{
    return first.data[0] == 0x16 && (first.len == 1 || first.data[1] == 3);
}

static void refuse_tls(struct conn *c, tn_ms now)
{
    static const char answer[] = "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
                                 "this port speaks HTTP, and the request came with TLS\n";
    struct server *s = c->server;
    log_refusal(s, core_conn_peer(c->core), "the client speaks TLS, and this address has none", now);
    buf_reset(&s->out);
    buf_append_bytes(&s->out, bytes_str(answer));
    if (!buf_error(&s->out) && io_stream_writable(c->stream))
        io_stream_write(c->stream, &s->out);
    conn_linger(c, now);
}

/* Its first bytes: the handshake is done. */
static void begin_secure(struct conn *c)
{
    const struct io_tls_peer *peer = io_stream_tls_peer(c->stream);
    if (peer && peer->has_certificate && c->server->config.tls.client_cert_auth)
        core_conn_set_cert_user(c->core, bytes_str(peer->common_name));
}

static bool may_speak(const struct conn *c, bool http1)
{
    return c->kind == CONN_ANY || http1 == (c->kind != CONN_HTTP2);
}

/* ---- events of the socket ---- */

/* The clock is read again for each: the time of the turn may lie before a renewal was sent, and its lease must not run out
 * a single moment before the TTL has passed since then. */
static void on_read(void *user, bytes in)
{
    struct conn *c = user;
    turn_begin(c->server);
    tn_ms now = io_clock();
    if (!c->core)
        return;
    if (c->http) {
        http1_read(c, in, now);
        return;
    }
    if (!c->begun && !c->secure && speaks_tls(in)) {
        refuse_tls(c, now);
        return;
    }
    if (!c->begun && c->secure)
        begin_secure(c);
    bool is_http1 = !c->begun && http1_speaks(in);
    if (!c->begun && !may_speak(c, is_http1)) {
        log_refusal(c->server, core_conn_peer(c->core),
                    is_http1 ? "HTTP/1 at an address for gRPC" : "gRPC at an address for HTTP/1", now);
        conn_linger(c, now);
        return;
    }
    if (is_http1) {
        http1_begin(c, in, now);
        return;
    }
    c->begun = true;
    core_feed(c->core, in, now);
    if (!core_wants_input(c->core))
        io_stream_reading(c->stream, false);
}

static void on_end(void *user, const struct tenure_error *error)
{
    struct conn *c = user;
    tn_ms now = turn_begin(c->server);
    /* A failure of TLS is told to the peer; its end comes as another one. */
    if (c->secure && c->core && (error->code == TENURE_EDENIED || error->code == TENURE_EPROTOCOL)) {
        log_refusal(c->server, core_conn_peer(c->core), error->text, now);
        conn_linger(c, now);
    } else {
        conn_close(c);
    }
}

static void on_writable(void *user)
{
    struct conn *c = user;
    tn_ms now = turn_begin(c->server);
    if (!c->core)
        io_stream_finish(c->stream);
    else if (c->waits)
        conn_flush(c, now);
}

static const struct io_stream_callbacks callbacks = {
    .on_read = on_read,
    .on_end = on_end,
    .on_writable = on_writable,
};

/* ---- the beginning ---- */

void conn_accept(struct server *s, int fd, const char *peer, enum conn_kind kind, struct io_tls *tls)
{
    tn_ms now = turn_begin(s);
    struct tenure_error err;
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        close(fd);
        log_refusal(s, peer, "out of memory", now);
        return;
    }
    c->server = s;
    c->kind = kind;
    c->secure = tls != NULL;
    list_init(&c->in_again);
    list_init(&c->in_lingering);
    if (io_stream_adopt_tls(s->loop, fd, tls, &callbacks, c, &c->stream, &err) < 0) {
        free(c);
        log_refusal(s, peer, err.text, now);
        return;
    }
    list_push_back(&s->conns, &c->in_server);
    c->core = core_accept(s->core, peer, c, now);
    if (!c->core) {
        conn_close(c);
        log_refusal(s, peer, "too many connections, or stopping", now);
    }
}
