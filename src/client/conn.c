/* One connection: bytes to events of its streams and back, its greeting, its pings, its end.
 *
 * Happy path: told to the driver by CLIENT_IO_CONNECT, client_connected, our preface goes out, the server's first frame
 * comes in: READY. While a stream is open and nothing was heard for a while a ping is sent, at most each 5.5 s.
 *
 * Failures: not greeted within the connect timeout; ended by the peer or by a broken frame: its streams close, calls
 * decide themselves what that means for them. A ping that is not answered puts the connection in doubt; it is not closed
 * for that, because writes under way may still be answered, but the pool looks for another.
 *
 * The wire engine's callbacks run inside h2_feed and h2_output: they change state, and conn_end waits for client_settle.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/internal.h"

enum {
    MESSAGE_BYTES_MAX = 256 << 20, /* of an answer */
    SILENCES_MAX = 4,              /* so many silence bounds a ping may stay open while other bytes come */
    DRIBBLE_BYTES_PER_S = 1024,    /* at more than that it may stay open longer: a long answer on a slow line */
};

/* ---- streams ---- */

enum { METADATA_MAX = 4 };

static size_t trace_metadata(const struct client_context *context, struct h2_header *ret)
{
    const char *parent = client_context_traceparent(context), *state = client_context_tracestate(context);
    size_t n = 0;
    if (parent)
        ret[n++] = (struct h2_header){bytes_str("traceparent"), bytes_str(parent)};
    if (state)
        ret[n++] = (struct h2_header){bytes_str("tracestate"), bytes_str(state)};
    return n;
}

/* etcd's metadata: `hasleader` ends what a member without a leader would keep waiting; `token` says who asks. */
static size_t metadata(bytes token, bool needs_leader, const struct client_context *context, struct h2_header *ret)
{
    size_t n = 0;
    if (needs_leader)
        ret[n++] = (struct h2_header){bytes_str("hasleader"), bytes_str("true")};
    if (token.data)
        ret[n++] = (struct h2_header){bytes_str("token"), token};
    return context ? n + trace_metadata(context, ret + n) : n;
}

int stream_open(struct client *c, struct stream *s, struct conn *conn, const char *path, int64_t timeout_ms,
                bool needs_leader, const struct client_context *context)
{
    return stream_open_as(c, s, conn, path, timeout_ms, needs_leader, context,
                          bytes_of(c->login.token, c->login.token_len));
}

int stream_open_as(struct client *c, struct stream *s, struct conn *conn, const char *path, int64_t timeout_ms,
                   bool needs_leader, const struct client_context *context, bytes token)
{
    struct h2_header headers[METADATA_MAX];
    size_t n = metadata(token, needs_leader, context, headers);
    assert(!s->h2);
    s->h2 = h2_call(conn->h2, path, c->endpoints[conn->endpoint].authority, timeout_ms, headers, n, s);
    if (!s->h2)
        return TENURE_ENOMEM;
    s->conn = conn;
    conn_dirty(c, conn);
    if (!heap_contains(&conn->timer.node)) {
        conn->busy_at = c->now;
        conn_check(c, conn);
    }
    return 0;
}

int stream_send(struct client *c, struct stream *s, bytes message)
{
    conn_dirty(c, s->conn);
    return h2_send_message(s->h2, message);
}

void stream_detach(struct stream *s)
{
    if (s->h2)
        h2_stream_set_user(s->h2, NULL);
    s->h2 = NULL;
    s->conn = NULL;
}

void stream_reset(struct client *c, struct stream *s)
{
    if (!s->h2)
        return;
    h2_reset(s->h2);
    conn_dirty(c, s->conn);
    client_unsettle(c); /* the connection may be idle now */
    stream_detach(s);
}

/* ---- callbacks of the wire engine ---- */

static struct client_call *call_of(struct stream *s)
{
    return CONTAINER_OF(s, struct client_call, stream);
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct client *c = ((struct conn *)user)->client;
    struct stream *s = h2_stream_user(st);
    ((struct conn *)user)->understood_at = c->now;
    if (!s)
        return;
    switch (s->kind) {
    case STREAM_CALL:
        call_on_message(c, call_of(s), message);
        break;
    case STREAM_WATCH:
        conn_answered(c, s->conn);
        watches_on_message(c, message);
        break;
    case STREAM_KEEPALIVE:
        conn_answered(c, s->conn);
        keepalives_on_message(c, message);
        break;
    }
}

static void stream_ended(struct client *c, struct stream *s, const struct stream_end *end)
{
    switch (s->kind) {
    case STREAM_CALL:
        call_on_end(c, call_of(s), end);
        break;
    case STREAM_WATCH:
        watches_on_end(c, end);
        break;
    case STREAM_KEEPALIVE:
        keepalives_on_end(c, end);
        break;
    }
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct stream *s = h2_stream_user(st);
    struct stream_end end = {.unprocessed = h2_stream_unprocessed(st), .status = status, .text = text};
    struct conn *conn = user;
    conn->understood_at = conn->client->now;
    if (s)
        stream_ended(conn->client, s, &end);
}

static void on_close(void *user, struct h2_stream *st)
{
    struct stream *s = h2_stream_user(st);
    struct stream_end end = {.lost = true, .unprocessed = h2_stream_unprocessed(st), .status = GRPC_UNAVAILABLE};
    if (s)
        stream_ended(((struct conn *)user)->client, s, &end);
}

static void on_pong(void *user, uint64_t opaque)
{
    struct conn *conn = user;
    if (opaque != conn->number)
        return;
    conn->ping_open = false;
    conn->understood_at = conn->client->now;
}

static void on_goaway(void *user, uint32_t last_stream_id, uint32_t error_code, bytes debug)
{
    struct conn *conn = user;
    struct client *c = conn->client;
    char why[120];
    (void)last_stream_id;
    if (conn->state == CONN_LEAVING)
        return;
    snprintf(why, sizeof why, "the server closes the connection (code %u%s%.*s)", error_code, debug.len ? ": " : "",
             (int)(debug.len < 60 ? debug.len : 60), debug.len ? (const char *)debug.data : "");
    endpoint_failed(c, conn->endpoint, why);
    conn_leave(c, conn);
}

static const struct h2_callbacks callbacks = {
    .on_message = on_message,
    .on_status = on_status,
    .on_close = on_close,
    .on_pong = on_pong,
    .on_goaway = on_goaway,
};

/* ---- life ---- */

static struct conn *conn_fill(struct client *c, struct conn *conn, size_t endpoint, bool candidate)
{
    *conn = (struct conn){.client = c,
                          .number = c->next_number + 1,
                          .endpoint = endpoint,
                          .candidate = candidate,
                          .io = CLIENT_IO_CONNECT,
                          .heard_at = c->now,
                          .answered_at = c->now,
                          .pinged_at = TN_MS_NEVER};
    list_init(&conn->dirty_link);
    list_init(&conn->calls);
    if (timer_init(c, &conn->timer, TIMER_CONN)) {
        free(conn);
        return NULL;
    }
    c->next_number = c->next_number + 1 == UINT32_MAX ? 0 : c->next_number + 1;
    list_push_back(&c->conns, &conn->link);
    list_push_back(&c->io, &conn->io_link);
    timer_arm(c, &conn->timer, time_after(c->now, c->connect_timeout_ms));
    return conn;
}

struct conn *conn_new(struct client *c, size_t endpoint, bool candidate)
{
    struct conn *conn = malloc(sizeof *conn);
    return conn ? conn_fill(c, conn, endpoint, candidate) : NULL;
}

/* Nothing of it is left but a word to the driver, if it is owed one. */
static void conn_bury(struct client *c, struct conn *conn, bool by_driver)
{
    list_remove(&conn->io_link);
    if (!conn->told || by_driver) {
        free(conn);
        return;
    }
    conn->io = CLIENT_IO_CLOSE;
    list_push_back(&c->io, &conn->io_link);
}

void conn_end(struct client *c, struct conn *conn, const char *why, bool by_driver)
{
    assert(!conn->inside);
    bool greeted = conn->state >= CONN_READY;
    size_t endpoint = conn->endpoint;
    char text[120];
    snprintf(text, sizeof text, "%s", why);
    snprintf(conn->why, sizeof conn->why, "%s", text);
    conn->doomed = true; /* what its streams say now must not be sent on it again */
    list_remove(&conn->link);
    list_remove(&conn->dirty_link);
    timer_fini(c, &conn->timer);
    if (c->current == conn)
        c->current = NULL;
    conn->h2 = h2_free(conn->h2); /* closes its streams: see on_close */
    assert(list_empty(&conn->calls));
    conn_bury(c, conn, by_driver);
    if (!greeted && !c->closed && !pool_find(c, endpoint)) /* else they wait for that one */
        calls_pinned_failed(c, endpoint, text);
    client_unsettle(c);
}

static void conn_failed(struct client *c, struct conn *conn, const char *why, bool by_driver)
{
    endpoint_failed(c, conn->endpoint, why);
    conn_end(c, conn, why, by_driver);
}

void conn_leave(struct client *c, struct conn *conn)
{
    if (conn->state < CONN_READY) {
        conn->doomed = true;
        snprintf(conn->why, sizeof conn->why, "the server takes no calls");
    }
    conn->state = conn->state < CONN_READY ? conn->state : CONN_LEAVING;
    conn->candidate = false;
    if (c->current == conn)
        c->current = NULL;
    client_unsettle(c);
}

struct conn *conn_find(const struct client *c, uint32_t number)
{
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->number == number)
            return conn;
    }
    return NULL;
}

void conn_dirty(struct client *c, struct conn *conn)
{
    if (list_empty(&conn->dirty_link))
        list_push_back(&c->dirty, &conn->dirty_link);
}

/* ---- doubt ---- */

void conn_doubt(struct client *c, struct conn *conn, unsigned doubt, const char *why)
{
    unsigned before = conn->doubts;
    conn->doubts |= doubt;
    client_unsettle(c);
    if (before == 0 && conn->state == CONN_READY)
        endpoint_failed(c, conn->endpoint, why);
}

void conn_trust(struct client *c, struct conn *conn, unsigned doubt)
{
    bool was_silent = conn->doubts & DOUBT_SILENT;
    if (conn->doubts && !(conn->doubts & ~doubt))
        endpoint_worked(c, conn->endpoint);
    conn->doubts &= ~doubt;
    if (was_silent && conn_takes_calls(conn)) {
        calls_flush(c, conn);
        client_unsettle(c);
    }
}

void conn_answered(struct client *c, struct conn *conn)
{
    conn->answered_at = c->now;
    if (!conn->proved)
        endpoint_worked(c, conn->endpoint);
    conn->proved = true;
    if (conn->doubts)
        conn_trust(c, conn, DOUBT_CALLS);
}

/* ---- silence ---- */

static bool dribbles(const struct client *c, const struct conn *conn)
{
    int64_t open_ms = c->now - conn->pinged_at;
    int64_t heard = (int64_t)(conn->heard_bytes - conn->pinged_bytes);
    return open_ms >= SILENCES_MAX * c->silence_ms && heard < open_ms * DRIBBLE_BYTES_PER_S / 1000;
}

static tn_ms quiet_since(const struct conn *conn)
{
    return conn->heard_at > conn->pinged_at ? conn->heard_at : conn->pinged_at;
}

static bool is_silent(const struct client *c, const struct conn *conn)
{
    return conn->ping_open && (c->now - quiet_since(conn) >= c->silence_ms || dribbles(c, conn));
}

/* When to look again. */
static tn_ms silent_at(const struct client *c, const struct conn *conn)
{
    tn_ms quiet = time_after(quiet_since(conn), c->silence_ms);
    tn_ms long_open = time_after(conn->pinged_at, SILENCES_MAX * c->silence_ms);
    return long_open > c->now && long_open < quiet ? long_open : quiet;
}

static tn_ms ping_at(const struct client *c, const struct conn *conn)
{
    tn_ms since = conn->understood_at > conn->busy_at ? conn->understood_at : conn->busy_at;
    tn_ms quiet = time_after(since, c->silence_ms / 3);
    tn_ms allowed = conn->pinged_at == TN_MS_NEVER ? INT64_MIN : time_after(conn->pinged_at, PING_EVERY_MS);
    return quiet > allowed ? quiet : allowed;
}

static void ping(struct client *c, struct conn *conn)
{
    if (h2_ping(conn->h2, conn->number))
        return; /* out of memory: at the next time */
    conn->pinged_at = c->now;
    conn->pinged_bytes = conn->heard_bytes;
    conn->ping_open = true;
    conn_dirty(c, conn);
}

static void check_silence(struct client *c, struct conn *conn)
{
    char time[32], why[120];
    if (is_silent(c, conn)) {
        snprintf(why, sizeof why, "silent for %s", time_text(time, c->now - conn->heard_at));
        conn_doubt(c, conn, DOUBT_SILENT, why);
        timer_arm(c, &conn->timer, time_after(c->now, c->silence_ms));
        return;
    }
    if (!conn->ping_open && ping_at(c, conn) <= c->now)
        ping(c, conn);
    timer_arm(c, &conn->timer, conn->ping_open ? silent_at(c, conn) : ping_at(c, conn));
}

void conn_check(struct client *c, struct conn *conn)
{
    char time[32], why[120];
    if (conn->state < CONN_READY) {
        snprintf(why, sizeof why, "%s within %s",
                 conn->state == CONN_CONNECTING ? "connection timed out: not connected" : "connected, but no greeting",
                 time_text(time, c->connect_timeout_ms));
        conn_failed(c, conn, why, false);
    } else if (h2_streams(conn->h2) > 0) {
        check_silence(c, conn);
    } else {
        timer_arm(c, &conn->timer, TN_MS_NEVER);
    }
}

/* ---- the driver's side ---- */

bool client_next_io(struct client *c, struct client_io *ret)
{
    if (list_empty(&c->io))
        return false;
    struct conn *conn = LIST_ENTRY(c->io.next, struct conn, io_link);
    list_remove(&conn->io_link);
    *ret = (struct client_io){.kind = conn->io, .conn = conn->number, .endpoint = c->endpoints[conn->endpoint].url};
    if (conn->io == CLIENT_IO_CLOSE)
        free(conn);
    else
        conn->told = true;
    return true;
}

static bool is_https(const char *url)
{
    return strncmp(url, "https:", 6) == 0 || strncmp(url, "unixs:", 6) == 0;
}

void client_connected(struct client *c, uint32_t number, tn_ms now)
{
    struct h2_limits limits = {.message_bytes_max = MESSAGE_BYTES_MAX};
    struct conn *conn = conn_find(c, number);
    c->now = now;
    if (!conn || conn->state != CONN_CONNECTING)
        return;
    limits.https = is_https(c->endpoints[conn->endpoint].url);
    conn->h2 = h2_client_new(&limits, &callbacks, conn);
    if (conn->h2) {
        conn->state = CONN_GREETING;
        conn_dirty(c, conn);
    } else {
        conn_failed(c, conn, "out of memory", false);
    }
    client_settle(c);
}

void client_connect_failed(struct client *c, uint32_t number, const char *why, tn_ms now)
{
    struct conn *conn = conn_find(c, number);
    c->now = now;
    if (!conn)
        return;
    conn_failed(c, conn, why ? why : "connection failed", true);
    client_settle(c);
}

/* What a feed or an output may have brought about besides its callbacks. */
static void conn_after(struct client *c, struct conn *conn, int rc, const struct tenure_error *err)
{
    if (rc) {
        snprintf(conn->why, sizeof conn->why, "%.*s", (int)sizeof conn->why - 1, err->text);
        endpoint_failed(c, conn->endpoint, conn->why);
        conn->doomed = true;
        client_unsettle(c);
    } else if (h2_wants_output(conn->h2)) {
        conn_dirty(c, conn);
    }
}

static void heard(struct client *c, struct conn *conn, size_t len)
{
    conn->heard_at = c->now;
    conn->heard_bytes += len;
    if ((conn->doubts & DOUBT_SILENT) && !is_silent(c, conn))
        conn_trust(c, conn, DOUBT_SILENT);
}

static void greeted(struct client *c, struct conn *conn)
{
    if (conn->state != CONN_GREETING || conn->heard_bytes < GREETING_BYTES || conn->doomed)
        return;
    conn->state = CONN_READY;
    timer_arm(c, &conn->timer, TN_MS_NEVER);
    pool_ready(c, conn);
}

void client_feed(struct client *c, uint32_t number, bytes in, tn_ms now)
{
    struct conn *conn = conn_find(c, number);
    struct tenure_error err = {0};
    c->now = now;
    if (!conn || !conn->h2 || conn->doomed || in.len == 0)
        return;
    c->stats.bytes_in += in.len;
    heard(c, conn, in.len);
    conn->inside = true;
    int rc = h2_feed(conn->h2, in, now, &err);
    conn->inside = false;
    conn_after(c, conn, rc, &err);
    greeted(c, conn);
    client_settle(c);
}

void client_disconnected(struct client *c, uint32_t number, const char *why, tn_ms now)
{
    struct conn *conn = conn_find(c, number);
    c->now = now;
    if (!conn)
        return;
    conn_failed(c, conn, why ? why : "the server closed the connection", true);
    client_settle(c);
}

uint32_t client_next_dirty(struct client *c)
{
    if (list_empty(&c->dirty))
        return 0;
    struct conn *conn = LIST_ENTRY(c->dirty.next, struct conn, dirty_link);
    list_remove(&conn->dirty_link);
    return conn->number;
}

void client_output(struct client *c, uint32_t number, struct buf *out, size_t bytes_max, tn_ms now)
{
    struct conn *conn = conn_find(c, number);
    size_t before = out->len;
    struct tenure_error err = {0};
    c->now = now;
    if (!conn || !conn->h2 || conn->doomed || bytes_max == 0)
        return;
    if (c->keepalives.stream.conn == conn)
        keepalives_stamp(c);
    conn->inside = true;
    int rc = h2_output(conn->h2, out, bytes_max);
    conn->inside = false;
    conn->outputs += out->len > before;
    c->stats.bytes_out += out->len - before;
    if (rc)
        error_set(&err, rc, "the connection cannot be written to: %s", tenure_error_string(rc));
    if (rc || out->len > before) /* what added nothing would add nothing again */
        conn_after(c, conn, rc, &err);
    client_settle(c);
}
