/* The client's role: calls, and how each of them ends.
 *
 * Happy path: h2_call -> HEADERS; the answer's header list, messages, then trailers with grpc-status -> on_status.
 * Otherwise a status is made up as gRPC's documents say: from the HTTP status of an answer that is not gRPC, from the
 * error code of a RST_STREAM, UNAVAILABLE for what a GOAWAY left behind. Unprocessed is claimed only where it is
 * proved: HEADERS never written, REFUSED_STREAM, or an id above the GOAWAY's last.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/grpc_status.h"
#include "wire/grpc_timeout.h"
#include "wire/h2_internal.h"

/* ---- calls out ---- */

enum { NV_FIXED = 8, NV_FEW = 16 };

static size_t fill_fixed(nghttp2_nv *nv, bool https, const char *path, const char *authority)
{
    const nghttp2_nv fixed[] = {
        H2_NV_STATIC(":method", "POST"),
        https ? (nghttp2_nv)H2_NV_STATIC(":scheme", "https") : (nghttp2_nv)H2_NV_STATIC(":scheme", "http"),
        H2_NV(":path", path, strlen(path), 0),
        H2_NV(":authority", authority, strlen(authority), 0),
        H2_NV_STATIC("te", "trailers"),
        H2_NV_STATIC("content-type", "application/grpc"),
        H2_NV_STATIC("user-agent", "tenure/" TENURE_VERSION),
    };
    memcpy(nv, fixed, sizeof fixed);
    return ARRAY_LEN(fixed);
}

/* A timeout that is the same as in the call before is worth a place in the compressor's table; one that differs from
 * call to call would push everything else out of it. */
static size_t fill_timeout(nghttp2_nv *nv, struct h2_conn *c, int64_t timeout_ms, char *text)
{
    bool again = timeout_ms == c->timeout_ms_before;
    c->timeout_ms_before = timeout_ms;
    if (timeout_ms < 0)
        return 0;
    size_t len = grpc_timeout_print(timeout_ms, text);
    *nv = (nghttp2_nv)H2_NV("grpc-timeout", text, len, again ? NGHTTP2_NV_FLAG_NONE : NGHTTP2_NV_FLAG_NO_INDEX);
    return 1;
}

/* "traceparent", "tracestate": no two calls have the same, so they take no place in that table either. */
static uint8_t metadata_flags(bytes name)
{
    return bytes_has_prefix(name, bytes_str("trace")) ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
}

static size_t fill_metadata(nghttp2_nv *nv, const struct h2_header *headers, size_t n_headers)
{
    for (size_t i = 0; i < n_headers; i++)
        nv[i] = (nghttp2_nv){(uint8_t *)headers[i].name.data, (uint8_t *)headers[i].value.data, headers[i].name.len,
                             headers[i].value.len, metadata_flags(headers[i].name)};
    return n_headers;
}

static int submit_request(struct h2_stream *st, const nghttp2_nv *nv, size_t n)
{
    nghttp2_data_provider from_queue = {.source = {.ptr = st}, .read_callback = h2_read_cb};
    int32_t id = nghttp2_submit_request(st->conn->session, NULL, nv, n, &from_queue, st);
    if (id < 0)
        return id;
    st->id = id;
    st->submitted = true;
    return 0;
}

/* Nobody was told of it: it goes without on_close. */
static struct h2_stream *forget(struct h2_stream *st)
{
    list_remove(&st->node);
    list_push_back(&st->conn->dead, &st->node);
    st->conn->n_streams--;
    return NULL;
}

struct h2_stream *h2_call(struct h2_conn *c, const char *path, const char *authority, int64_t timeout_ms,
                          const struct h2_header *headers, size_t n_headers, void *stream_user)
{
    char timeout[GRPC_TIMEOUT_SIZE];
    nghttp2_nv few[NV_FEW], *nv = few;
    if (c->server || c->unusable || c->error.code || c->freeing || c->goaway_received)
        return NULL;
    if (n_headers > NV_FEW - NV_FIXED)
        nv = malloc((NV_FIXED + n_headers) * sizeof *nv);
    struct h2_stream *st = nv ? h2_stream_new(c) : NULL;
    if (st) {
        size_t n = fill_fixed(nv, c->limits.https, path, authority);
        n += fill_timeout(nv + n, c, timeout_ms, timeout);
        n += fill_metadata(nv + n, headers, n_headers);
        st->user = stream_user;
        if (submit_request(st, nv, n))
            st = forget(st);
    }
    if (nv != few)
        free(nv);
    return st;
}

int h2_half_close(struct h2_stream *st)
{
    if (st->closed || st->reset || st->ending)
        return 0;
    st->ending = true;
    return h2_stream_resume(st);
}

/* ---- how a call ends ---- */

static void give_status(struct h2_stream *st, enum grpc_status status, bytes text)
{
    if (st->status_given || st->reset)
        return;
    st->status_given = st->deaf = true;
    list_remove(&st->in_node);
    st->conn->cb.on_status(st->conn->user, st, status, text);
}

static void give_made_up(struct h2_stream *st, enum grpc_status status, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void give_made_up(struct h2_stream *st, enum grpc_status status, const char *fmt, ...)
{
    char text[160];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    give_status(st, status, bytes_str(text));
}

void h2_client_broken(struct h2_stream *st, enum grpc_status status, const char *text)
{
    give_status(st, status, bytes_str(text));
    h2_stream_reset(st, NGHTTP2_CANCEL);
}

/* The peer has said all. Where our side is still open it is closed, or the stream would stay. */
static void peer_ended(struct h2_stream *st)
{
    if (!st->closed && nghttp2_session_get_stream_local_close(st->conn->session, st->id) == 0)
        h2_stream_reset(st, NGHTTP2_NO_ERROR);
}

/* ---- answers ---- */

struct answer {
    int http_status; /* 0 = trailers, which have none */
    bytes grpc_status, grpc_message, content_type, staleness;
};

static int parse_http_status(bytes s)
{
    int n = 0;
    for (size_t i = 0; i < s.len && i < 3; i++)
        n = 10 * n + (s.data[i] - '0'); /* nghttp2 lets three digits through only */
    return n;
}

static struct answer read_answer(const struct h2_headers *list)
{
    struct answer a = {0};
    for (size_t i = 0; i < list->n; i++) {
        struct h2_header h = h2_headers_get(list, i);
        if (H2_NAME_IS(h.name, ":status"))
            a.http_status = parse_http_status(h.value);
        else if (H2_NAME_IS(h.name, "grpc-status"))
            a.grpc_status = h.value;
        else if (H2_NAME_IS(h.name, "grpc-message"))
            a.grpc_message = h.value;
        else if (H2_NAME_IS(h.name, "content-type"))
            a.content_type = h.value;
        else if (H2_NAME_IS(h.name, "tenure-staleness"))
            a.staleness = h.value;
    }
    return a;
}

static void give_grpc_status(struct h2_stream *st, const struct answer *a)
{
    enum grpc_status status = grpc_status_parse(a->grpc_status);
    struct buf text;
    if (status == GRPC_OK && grpc_in_unfinished(&st->in)) {
        give_made_up(st, GRPC_INTERNAL, "grpc: the answer ends within a message");
        return;
    }
    buf_init(&text);
    grpc_message_decode(a->grpc_message, &text);
    give_status(st, status, buf_bytes(&text)); /* out of memory cuts the text short, no more */
    buf_fini(&text);
}

static void give_http_status(struct h2_stream *st, const struct answer *a)
{
    if (a->http_status != 0 && a->http_status != 200)
        give_made_up(st, grpc_status_of_http(a->http_status), "unexpected HTTP status %d", a->http_status);
    else if (a->http_status == 200 && !h2_is_grpc_type(a->content_type))
        give_made_up(st, GRPC_UNKNOWN, "the answer is not gRPC: content-type \"%.*s\"",
                     (int)(a->content_type.len < 60 ? a->content_type.len : 60), (const char *)a->content_type.data);
    else
        give_made_up(st, GRPC_UNKNOWN, "the server ended the call without a status");
}

static bool is_grpc(const struct answer *a)
{
    return a->http_status == 200 && h2_is_grpc_type(a->content_type);
}

static void keep_told(struct h2_stream *st, bytes text)
{
    char number[24];
    size_t len = text.len < sizeof number - 1 ? text.len : sizeof number - 1;
    memcpy(number, text.data, len);
    number[len] = 0;
    st->told_name = "tenure-staleness";
    st->told = strtoll(number, NULL, 10);
}

bool h2_told(const struct h2_stream *st, int64_t *ret)
{
    *ret = st->told;
    return st->told_name != NULL;
}

void h2_client_response(struct h2_stream *st, bool end)
{
    const struct h2_headers *list = &st->conn->headers;
    if (list->too_large || list->out_of_memory) {
        h2_client_broken(st, GRPC_RESOURCE_EXHAUSTED, "the answer's metadata is too large");
        return;
    }
    struct answer a = read_answer(list);
    if (a.http_status >= 100 && a.http_status < 200)
        return; /* more follows */
    bool first = !st->answered;
    st->answered = true;
    if (a.staleness.len > 0)
        keep_told(st, a.staleness);
    if (end && a.grpc_status.len)
        give_grpc_status(st, &a);
    else if (end || (first && !is_grpc(&a)))
        give_http_status(st, &a);
    else
        return;
    if (end)
        peer_ended(st);
    else
        h2_stream_reset(st, NGHTTP2_CANCEL);
}

void h2_client_end_of_data(struct h2_stream *st)
{
    give_made_up(st, GRPC_UNKNOWN, "the server ended the call without a status");
    peer_ended(st);
}

void h2_client_closed(struct h2_stream *st, uint32_t error_code)
{
    if (!st->status_given)
        st->unprocessed |= error_code == NGHTTP2_REFUSED_STREAM || !st->written;
    if (!st->written)
        give_made_up(st, GRPC_UNAVAILABLE, "the connection takes no new calls");
    else
        give_made_up(st, grpc_status_of_reset(error_code), "the server reset the call: %s",
                     nghttp2_http2_strerror(error_code));
}

/* ---- GOAWAY ---- */

static void abandon_unwritten(struct h2_conn *c)
{
    LIST_FOREACH_SAFE(it, &c->streams)
    {
        struct h2_stream *st = LIST_ENTRY(it, struct h2_stream, node);
        if (!st->written)
            h2_stream_abandon(st);
    }
}

/* Those that were written and lie above the last id nghttp2 closes itself, as refused, right after this. */
void h2_client_goaway(struct h2_conn *c, const nghttp2_goaway *frame)
{
    c->goaway_received = true;
    if (c->cb.on_goaway)
        c->cb.on_goaway(c->user, (uint32_t)frame->last_stream_id, frame->error_code,
                        bytes_of(frame->opaque_data, frame->opaque_data_len));
    abandon_unwritten(c);
}

void h2_client_abandoned(struct h2_conn *c)
{
    while (!list_empty(&c->abandoned)) {
        struct h2_stream *st = LIST_ENTRY(c->abandoned.next, struct h2_stream, node);
        give_made_up(st, GRPC_UNAVAILABLE, "the connection takes no new calls");
        h2_stream_close(st);
    }
}
