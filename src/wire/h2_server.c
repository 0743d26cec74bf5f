/* The server's role: requests out of header lists, and the ways a call can end.
 *
 * Happy path: h2_server_request -> on_request; the first message goes out behind HEADERS (h2_server_submit); h2_finish
 * -> trailers behind the last message. A call that ends without any message is one HEADERS frame ("trailers-only").
 *
 * What is no call is answered here: a header list against HTTP/2's rules, one that is too long or that we have no
 * memory for, another method or content type, a timeout nobody can read.
 */
#include <stdio.h>
#include <stdlib.h>

#include "wire/grpc_status.h"
#include "wire/grpc_timeout.h"
#include "wire/h2_internal.h"

static const char GRPC_TYPE[] = "application/grpc";

/* ---- ending a call ---- */

/* A text that is long would push everything else out of the compressor's table. */
static uint8_t text_flags(const char *text)
{
    return strlen(text) > 256 ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE;
}

/* One HEADERS frame with END_STREAM: HTTP status, and grpc-status with the percent-encoded text (NULL = none). */
static int submit_only_trailers(struct h2_conn *c, int32_t id, const char *http_status, enum grpc_status status,
                                const char *text)
{
    const char *digits = grpc_status_digits(status);
    nghttp2_nv nv[] = {
        H2_NV(":status", http_status, strlen(http_status), NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        H2_NV("content-type", GRPC_TYPE, sizeof GRPC_TYPE - 1, NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        H2_NV("grpc-status", digits, strlen(digits), NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        H2_NV("grpc-message", text, text ? strlen(text) : 0, text ? text_flags(text) : 0),
    };
    return nghttp2_submit_response(c->session, id, nv, ARRAY_LEN(nv) - !text, NULL);
}

void h2_tell(struct h2_stream *st, const char *name, int64_t number)
{
    st->told_name = name;
    st->told = number;
}

int h2_server_submit(struct h2_stream *st)
{
    char told[24];
    nghttp2_nv nv[] = {
        H2_NV_STATIC(":status", "200"),
        H2_NV("content-type", GRPC_TYPE, sizeof GRPC_TYPE - 1, NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        {.flags = NGHTTP2_NV_FLAG_NO_INDEX},
    };
    nghttp2_data_provider from_queue = {.source = {.ptr = st}, .read_callback = h2_read_cb};
    if (st->told_name) {
        nv[2].name = (uint8_t *)st->told_name;
        nv[2].namelen = strlen(st->told_name);
        nv[2].value = (uint8_t *)told;
        nv[2].valuelen = (size_t)snprintf(told, sizeof told, "%lld", (long long)st->told);
    }
    if (nghttp2_submit_response(st->conn->session, st->id, nv, ARRAY_LEN(nv) - !st->told_name, &from_queue))
        return TENURE_ENOMEM;
    st->submitted = true;
    return 0;
}

int h2_server_trailers(struct h2_stream *st)
{
    const char *digits = grpc_status_digits(st->status);
    nghttp2_nv nv[] = {
        H2_NV("grpc-status", digits, strlen(digits), NGHTTP2_NV_FLAG_NO_COPY_VALUE),
        H2_NV("grpc-message", st->text, st->text ? strlen(st->text) : 0, st->text ? text_flags(st->text) : 0),
    };
    return nghttp2_submit_trailer(st->conn->session, st->id, nv, ARRAY_LEN(nv) - !st->text);
}

static int encode_text(const char *text, char **ret)
{
    *ret = NULL;
    if (!text || !*text)
        return 0;
    *ret = grpc_message_encode(text);
    return *ret ? 0 : TENURE_ENOMEM;
}

static int finish(struct h2_stream *st)
{
    if (st->submitted)
        return h2_stream_resume(st);
    int rc = submit_only_trailers(st->conn, st->id, "200", st->status, st->text);
    return rc ? TENURE_ENOMEM : 0;
}

int h2_finish(struct h2_stream *st, enum grpc_status status, const char *text)
{
    if (st->closed || st->reset || st->ending || st->conn->unusable)
        return 0;
    int rc = encode_text(text, &st->text);
    if (rc)
        return rc;
    st->status = status;
    st->ending = st->deaf = true;
    return finish(st);
}

/* ---- requests ---- */

struct incoming {
    struct h2_request req;
    bytes method, content_type;
    bool bad_timeout;
};

static bool metadata_reserve(struct h2_conn *c, size_t n)
{
    if (n <= c->metadata_cap)
        return true;
    struct h2_header *metadata = realloc(c->metadata, n * sizeof *metadata);
    if (!metadata)
        return false;
    c->metadata = metadata;
    c->metadata_cap = n;
    return true;
}

static void read_special(struct incoming *in, struct h2_header h)
{
    if (H2_NAME_IS(h.name, ":path"))
        in->req.path = h.value;
    else if (H2_NAME_IS(h.name, ":authority"))
        in->req.authority = h.value;
    else if (H2_NAME_IS(h.name, ":method"))
        in->method = h.value;
}

/* Answers whether it was one that the call's own metadata does not include. */
static bool read_known(struct incoming *in, struct h2_header h)
{
    if (H2_NAME_IS(h.name, "content-type")) {
        in->content_type = h.value;
        return true;
    }
    if (H2_NAME_IS(h.name, "grpc-timeout")) {
        in->bad_timeout = !grpc_timeout_parse(h.value, &in->req.timeout_ms);
        return true;
    }
    if (H2_NAME_IS(h.name, "host")) {
        if (in->req.authority.len == 0)
            in->req.authority = h.value;
        return true;
    }
    return H2_NAME_IS(h.name, "te");
}

static bool read_request(struct h2_conn *c, struct incoming *in)
{
    *in = (struct incoming){.req.timeout_ms = -1};
    if (!metadata_reserve(c, c->headers.n))
        return false;
    for (size_t i = 0; i < c->headers.n; i++) {
        struct h2_header h = h2_headers_get(&c->headers, i);
        if (h.name.len > 0 && h.name.data[0] == ':')
            read_special(in, h);
        else if (!read_known(in, h))
            c->metadata[in->req.n_headers++] = h;
    }
    in->req.headers = c->metadata;
    return true;
}

static void submitted_or_failed(struct h2_conn *c, int rc)
{
    if (rc)
        h2_fail_nghttp2(c, rc);
}

/* Not processed: the client may send it again, here or elsewhere. */
static void refuse(struct h2_conn *c, int32_t id)
{
    submitted_or_failed(c, nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM));
}

static void reject(struct h2_conn *c, int32_t id, const char *http_status, enum grpc_status status, const char *text)
{
    submitted_or_failed(c, submit_only_trailers(c, id, http_status, status, text));
}

/* The content type is the peer's: what of it cannot stand in a header as it is, is left out. */
static void reject_content_type(struct h2_conn *c, int32_t id, bytes content_type)
{
    char text[160], shown[64];
    size_t n = 0;
    for (size_t i = 0; i < content_type.len && n < sizeof shown - 1; i++)
        if (content_type.data[i] >= 0x20 && content_type.data[i] <= 0x7e && content_type.data[i] != '%')
            shown[n++] = (char)content_type.data[i];
    shown[n] = 0;
    snprintf(text, sizeof text, "invalid gRPC request content-type \"%s\"", shown);
    reject(c, id, "415", GRPC_INVALID_ARGUMENT, text);
}

/* Answers whether the request was turned away. */
static bool turn_away(struct h2_conn *c, int32_t id, const struct incoming *in)
{
    if (!bytes_equal(in->method, bytes_str("POST")))
        reject(c, id, "405", GRPC_INTERNAL, "the method of a gRPC call is POST");
    else if (!h2_is_grpc_type(in->content_type))
        reject_content_type(c, id, in->content_type);
    else if (in->bad_timeout)
        reject(c, id, "200", GRPC_INTERNAL, "malformed grpc-timeout");
    else
        return false;
    return true;
}

/* RFC 9113, 8.1.1: a malformed request is a stream error of type PROTOCOL_ERROR. */
static void malformed(struct h2_conn *c, int32_t id)
{
    submitted_or_failed(c, nghttp2_submit_rst_stream(c->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_PROTOCOL_ERROR));
    h2_count_reset(c);
}

void h2_server_trailers_received(struct h2_conn *c, int32_t id, bool end)
{
    if (end && h2_headers_are_trailers(&c->headers))
        return;
    struct h2_stream *st = h2_find(c, id);
    if (st)
        st->deaf = true;
    malformed(c, id);
}

void h2_server_request(struct h2_conn *c, int32_t id)
{
    struct incoming in;
    if (c->headers.too_large) {
        reject(c, id, "200", GRPC_RESOURCE_EXHAUSTED, "grpc: the request's metadata is too large");
        return;
    }
    if (c->headers.out_of_memory || !read_request(c, &in)) {
        refuse(c, id);
        return;
    }
    if (!h2_headers_are_request(&c->headers)) {
        malformed(c, id);
        return;
    }
    if (turn_away(c, id, &in))
        return;
    struct h2_stream *st = h2_stream_new(c);
    if (!st) {
        refuse(c, id);
        return;
    }
    st->id = id;
    nghttp2_session_set_stream_user_data(c->session, id, st);
    c->cb.on_request(c->user, st, &in.req);
}

void h2_server_half_closed(struct h2_stream *st)
{
    struct h2_conn *c = st->conn;
    if (st->deaf)
        return;
    if (grpc_in_unfinished(&st->in)) {
        list_remove(&st->in_node);
        if (h2_finish(st, GRPC_INTERNAL, "grpc: the request ends within a message"))
            h2_stream_reset(st, NGHTTP2_INTERNAL_ERROR);
        return;
    }
    st->deaf = true;
    c->cb.on_half_close(c->user, st);
}
