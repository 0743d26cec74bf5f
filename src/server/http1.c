/* Peers that speak HTTP/1: their connections are the engine's of src/http, with the same turn, the same one write a turn and
 * the same end as those that speak gRPC.
 */
#include "server/internal.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/* Any other protocol that asks first. A first read that is shorter than the preface is judged by what it has. */
bool http1_speaks(bytes first)
{
    size_t len = first.len < sizeof preface - 1 ? first.len : sizeof preface - 1;
    return len > 0 && memcmp(first.data, preface, len) != 0;
}

static enum http_scope scope_of(const struct conn *c)
{
    if (c->kind == CONN_METRICS)
        return HTTP_HEALTH;
    return c->server->config.no_gateway ? HTTP_PAGES : HTTP_ALL;
}

void http1_begin(struct conn *c, bytes first, tn_ms now)
{
    c->http = http_conn_new(c->server->http, c->core, c->secure, now);
    if (c->http)
        http_conn_restrict(c->http, scope_of(c));
    if (c->http)
        http1_read(c, first, now);
    else
        conn_linger(c, now);
}

void http1_read(struct conn *c, bytes in, tn_ms now)
{
    http_set_date(c->server->http, io_wall_ms() / 1000);
    http_feed(c->http, in, now);
    if (!http_wants_input(c->http))
        io_stream_reading(c->stream, false);
    conn_flush_later(c);
}

/* What goes into the core here, behind an answer, comes after this turn's batch: so there is another turn. */
static void write_some(struct conn *c, tn_ms now)
{
    struct server *s = c->server;
    buf_reset(&s->out);
    bool fed = http_output(c->http, &s->out, OUTPUT_MAX, now);
    bool cut = s->out.len >= OUTPUT_MAX;
    if (s->out.len > 0 && !buf_error(&s->out))
        io_stream_write(c->stream, &s->out);
    if (cut)
        conn_flush_later(c);
    else if (fed)
        io_turn_request(s->loop);
}

void http1_flush(struct conn *c, tn_ms now)
{
    c->waits = !io_stream_writable(c->stream);
    if (!c->waits)
        write_some(c, now);
    if (http_conn_finished(c->http))
        conn_linger(c, now);
    else
        io_stream_reading(c->stream, http_wants_input(c->http));
}

void http1_check(struct server *s, tn_ms now)
{
    LIST_FOREACH_SAFE(it, &s->conns)
    {
        struct conn *c = LIST_ENTRY(it, struct conn, in_server);
        const char *why = c->http ? http_conn_check(c->http, now) : NULL;
        if (!why)
            continue;
        log_write(&s->log, LOG_WARN, "connection dropped", "why=\"%s\"", why);
        conn_close(c);
    }
}
