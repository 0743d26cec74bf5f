/* The server's side of HTTP/2 on any bytes. The first byte says how they are cut and whether a client's preface comes
 * before them. The calls that get through are answered in different ways. Every stream must be closed exactly once and
 * nothing be left. */
#include <stdlib.h>

#include "wire/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct seen {
    size_t open;
    uint64_t dice; /* what is done next: follows from what came */
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

static unsigned throw_dice(struct seen *s)
{
    s->dice = s->dice * 6364136223846793005u + 1442695040888963407u;
    return (unsigned)(s->dice >> 33) % 8;
}

static void on_request(void *user, struct h2_stream *st, const struct h2_request *req)
{
    struct seen *s = user;
    s->open++;
    s->dice += req->path.len + req->n_headers + (uint64_t)req->timeout_ms;
    h2_stream_set_user(st, s);
    if (throw_dice(s) == 0)
        must(h2_finish(st, GRPC_UNIMPLEMENTED, "unknown \x01 method") == 0);
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct seen *s = user;
    for (size_t i = 0; i < message.len; i++)
        s->dice += message.data[i];
    switch (throw_dice(s)) {
    case 0:
        h2_reset(st);
        break;
    case 1:
        must(h2_finish(st, GRPC_ABORTED, NULL) == 0);
        break;
    case 2:
        h2_notify_drain(st, 100);
        break;
    default:
        must(h2_send_message(st, message) == 0);
        break;
    }
}

static void on_half_close(void *user, struct h2_stream *st)
{
    if (throw_dice(user) != 0)
        must(h2_finish(st, GRPC_OK, "") == 0);
}

static void on_close(void *user, struct h2_stream *st)
{
    struct seen *s = user;
    must(s->open > 0 && h2_stream_user(st) == s);
    h2_stream_set_user(st, NULL);
    s->open--;
}

static void on_drain(void *user, struct h2_stream *st)
{
    if (throw_dice(user) == 0)
        h2_reset(st);
}

static const struct h2_callbacks callbacks = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_close = on_close,
    .on_drain = on_drain,
};

static int feed(struct h2_conn *c, const void *data, size_t len, tn_ms now)
{
    struct buf out;
    buf_init(&out);
    int rc = h2_feed(c, bytes_of(data, len), now, NULL);
    rc = h2_output(c, &out, 1 + (size_t)now * 1000 % 50000) ? -1 : rc;
    (void)h2_input_stalled(c, now - 10);
    buf_fini(&out);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0";
    const struct h2_limits limits = {.streams_max = 20,
                                     .message_bytes_max = 5000,
                                     .input_bytes_max = 10000,
                                     .header_bytes_max = 2000,
                                     .resets_max_per_s = 5,
                                     .window_bytes = 70000};
    struct seen s = {0};
    if (len == 0)
        return 0;
    struct h2_conn *c = h2_server_new(&limits, &callbacks, &s);
    size_t piece = data[0] & 0x7f ? data[0] & 0x7f : len;
    int rc = data[0] & 0x80 ? 0 : feed(c, preface, sizeof preface, 0);
    tn_ms now = 1;
    for (size_t at = 1; at < len && !rc; at += piece)
        rc = feed(c, data + at, piece < len - at ? piece : len - at, now++);
    must(s.open == h2_streams(c));
    h2_free(c);
    must(s.open == 0);
    return 0;
}
