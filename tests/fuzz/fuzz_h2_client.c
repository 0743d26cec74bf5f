/* The client's side of HTTP/2 on any bytes, as a server or what stands in its place might send them. The first byte
 * says how they are cut and how many calls are open. Every call must be closed exactly once, with at most one status.
 * */
#include <stdlib.h>

#include "wire/h2.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct call {
    bool open, status_given;
};

struct seen {
    struct call calls[5];
    size_t open;
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    (void)user;
    struct call *call = h2_stream_user(st);
    must(call->open && !call->status_given);
    if (message.len > 3 && message.data[0] == 'r')
        h2_reset(st);
    else
        must(h2_send_message(st, message) == 0);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    (void)user;
    struct call *call = h2_stream_user(st);
    must(call->open && !call->status_given && status <= GRPC_UNAUTHENTICATED);
    must(text.len == 0 || text.data != NULL);
    call->status_given = true;
}

static void on_close(void *user, struct h2_stream *st)
{
    struct seen *s = user;
    struct call *call = h2_stream_user(st);
    must(call->open);
    call->open = false;
    s->open--;
}

static const struct h2_callbacks callbacks = {.on_message = on_message, .on_status = on_status, .on_close = on_close};

static int output(struct h2_conn *c)
{
    struct buf out;
    buf_init(&out);
    int rc = h2_output(c, &out, 100000);
    buf_fini(&out);
    return rc;
}

static void begin_call(struct h2_conn *c, struct seen *s, size_t i)
{
    struct h2_stream *st = h2_call(c, "/a/B", "h", i ? -1 : 1000, NULL, 0, &s->calls[i]);
    if (!st)
        return;
    s->calls[i] = (struct call){.open = true};
    s->open++;
    must(h2_send_message(st, bytes_str("question")) == 0);
    if (i % 2 == 0)
        must(h2_half_close(st) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct h2_limits limits = {
        .message_bytes_max = 5000, .header_bytes_max = 2000, .resets_max_per_s = 5, .window_bytes = 70000};
    struct seen s = {0};
    if (len == 0)
        return 0;
    struct h2_conn *c = h2_client_new(&limits, &callbacks, &s);
    size_t piece = data[0] >> 2 ? data[0] >> 2 : len, n_calls = 1 + (data[0] & 3);
    for (size_t i = 0; i < n_calls; i++)
        begin_call(c, &s, i);
    int rc = output(c);
    begin_call(c, &s, 4); /* one more, perhaps unwritten */
    tn_ms now = 1;
    for (size_t at = 1; at < len && !rc; at += piece) {
        rc = h2_feed(c, bytes_of(data + at, piece < len - at ? piece : len - at), now++, NULL);
        if (at > len / 2)
            rc = output(c) ? -1 : rc;
    }
    must(s.open == h2_streams(c));
    h2_free(c);
    must(s.open == 0);
    return 0;
}
