#include "pair.h"

#include "base/crc32c.h"

static void note(struct side *s, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void note(struct side *s, const char *fmt, ...)
{
    char line[512];
    va_list args;
    if (s->quiet)
        return;
    va_start(args, fmt);
    vsnprintf(line, sizeof line, fmt, args);
    va_end(args);
    buf_append_bytes(&s->record, bytes_str(line));
    buf_append_byte(&s->record, '\n');
}

/* ---- callbacks ---- */

static void on_request(void *user, struct h2_stream *st, const struct h2_request *req)
{
    struct side *s = user;
    s->n_requests++;
    s->last = st;
    note(s, "request %u %.*s", h2_stream_id(st), (int)req->path.len, (const char *)req->path.data);
    if (s->when_request)
        s->when_request(s, st, req);
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct side *s = user;
    s->n_messages++;
    if (message.len <= 64)
        note(s, "message %u \"%.*s\"", h2_stream_id(st), (int)message.len, (const char *)message.data);
    else
        note(s, "message %u %zu bytes, crc %08x", h2_stream_id(st), message.len, crc32c(0, message.data, message.len));
    if (s->when_message)
        s->when_message(s, st, message);
}

static void on_half_close(void *user, struct h2_stream *st)
{
    struct side *s = user;
    s->n_half_closes++;
    note(s, "half-close %u", h2_stream_id(st));
    if (s->when_half_close)
        s->when_half_close(s, st);
}

static const char *const status_names[] = {
    "OK",        "CANCELLED",       "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
    "NOT_FOUND", "ALREADY_EXISTS",  "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
    "ABORTED",   "OUT_OF_RANGE",    "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
    "DATA_LOSS", "UNAUTHENTICATED",
};

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct side *s = user;
    s->n_statuses++;
    s->last_unprocessed = h2_stream_unprocessed(st);
    note(s, "status %u %s \"%.*s\"", h2_stream_id(st), status_names[status], (int)text.len, (const char *)text.data);
    if (s->when_status)
        s->when_status(s, st, status);
}

static void on_close(void *user, struct h2_stream *st)
{
    struct side *s = user;
    s->n_closes++;
    s->last_unprocessed = h2_stream_unprocessed(st);
    if (s->last == st)
        s->last = NULL;
    note(s, "close %u", h2_stream_id(st));
    if (s->when_close)
        s->when_close(s, st);
}

static void on_drain(void *user, struct h2_stream *st)
{
    struct side *s = user;
    s->n_drains++;
    note(s, "drain %u", h2_stream_id(st));
    if (s->when_drain)
        s->when_drain(s, st);
}

static void on_pong(void *user, uint64_t opaque)
{
    note(user, "pong %llu", (unsigned long long)opaque);
}

static void on_goaway(void *user, uint32_t last_stream_id, uint32_t error_code, bytes debug)
{
    note(user, "goaway last %u code %u \"%.*s\"", last_stream_id, error_code, (int)debug.len, (const char *)debug.data);
}

static const struct h2_callbacks callbacks = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_status = on_status,
    .on_close = on_close,
    .on_drain = on_drain,
    .on_pong = on_pong,
    .on_goaway = on_goaway,
};

/* ---- the pair ---- */

bool pair_try_init(struct pair *p, const struct h2_limits *server, const struct h2_limits *client)
{
    *p = (struct pair){.now = 1000};
    p->server.c = h2_server_new(server, &callbacks, &p->server);
    p->client.c = h2_client_new(client, &callbacks, &p->client);
    return p->server.c && p->client.c;
}

void pair_init(struct pair *p, const struct h2_limits *server, const struct h2_limits *client)
{
    assert_true(pair_try_init(p, server, client));
}

static void side_fini(struct side *s)
{
    s->c = h2_free(s->c);
    buf_fini(&s->record);
    buf_fini(&s->wire);
}

void pair_fini(struct pair *p)
{
    side_fini(&p->client);
    side_fini(&p->server);
}

static void died(struct side *s, int rc)
{
    s->dead = true;
    if (!s->error)
        s->error = rc;
}

bool side_write(struct pair *p, struct side *s)
{
    size_t before = s->wire.len;
    int rc = h2_output(s->c, &s->wire, p->output_max ? p->output_max : 64 * 1024);
    if (rc)
        died(s, rc);
    return s->wire.len > before;
}

static size_t piece(struct pair *p, size_t left)
{
    size_t n = p->piece_max ? p->piece_max : left;
    if (p->rng)
        n = 1 + rng_below(p->rng, n);
    return n < left ? n : left;
}

/* Each piece is a copy of its own size, so that a read past it is seen. */
void side_feed(struct pair *p, struct side *s, bytes in)
{
    while (in.len > 0 && !s->dead) {
        size_t n = piece(p, in.len);
        uint8_t *copy = malloc(n);
        if (!copy) {
            died(s, TENURE_ENOMEM);
            return;
        }
        memcpy(copy, in.data, n);
        int rc = h2_feed(s->c, bytes_of(copy, n), p->now, &s->why);
        free(copy);
        if (rc)
            died(s, rc);
        in = bytes_of(in.data + n, in.len - n);
    }
}

static bool move(struct pair *p, struct side *from, struct side *to)
{
    side_write(p, from);
    bool moved = from->wire.len > 0;
    side_feed(p, to, buf_bytes(&from->wire));
    buf_reset(&from->wire);
    return moved;
}

void pair_settle(struct pair *p)
{
    bool moved = true;
    while (moved) {
        moved = move(p, &p->client, &p->server);
        moved |= move(p, &p->server, &p->client);
    }
}

void side_forget(struct side *s)
{
    buf_reset(&s->record);
}

void side_expect_at(struct side *s, const char *lines, const char *file, int line)
{
    buf_append_byte(&s->record, 0);
    const char *seen = (const char *)s->record.data;
    if (strcmp(seen, lines) != 0) {
        print_error("%s:%d: expected\n%s\nseen\n%s\n", file, line, lines, seen);
        fail();
    }
    side_forget(s);
}

struct h2_stream *pair_call(struct pair *p, const char *path)
{
    p->client.last = h2_call(p->client.c, path, "localhost", -1, NULL, 0, NULL);
    assert_non_null(p->client.last);
    return p->client.last;
}

void pair_send(struct h2_stream *st, const char *text)
{
    assert_int_equal(h2_send_message(st, bytes_str(text)), 0);
}

void answer_ok(struct side *s, struct h2_stream *st)
{
    (void)s;
    assert_int_equal(h2_finish(st, GRPC_OK, NULL), 0);
}

void echo_message(struct side *s, struct h2_stream *st, bytes message)
{
    (void)s;
    assert_int_equal(h2_send_message(st, message), 0);
}
