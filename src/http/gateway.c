/* The JSON gateway: a request becomes a gRPC call of a client engine, whose bytes go straight into the connection's place in
 * the core; what the core answers comes back the same way and becomes JSON.
 *
 *     POST /v3/... -> h2_call, message(s) -> core_feed ... core_output -> h2_feed -> on_message, on_status -> the answer
 *
 * A unary call is answered when its status is known. A stream's answer begins with its first message, or with its status;
 * each message is one line {"result":...}, sent at once; a status other than OK is a last line {"error":...}.
 */
#include "http/internal.h"
#include "http/json.h"
#include "http/transcode.h"
#include "wire/grpc_timeout.h"

#define JSON_TYPE "application/json"
#define GRPC_TYPE "Grpc-Metadata-Content-Type: application/grpc\r\n"

/* ---- errors ---- */

int gateway_http_status(enum grpc_status status)
{
    switch (status) {
    case GRPC_OK:
        return 200;
    case GRPC_CANCELLED:
        return 499;
    case GRPC_INVALID_ARGUMENT:
    case GRPC_FAILED_PRECONDITION:
    case GRPC_OUT_OF_RANGE:
        return 400;
    case GRPC_DEADLINE_EXCEEDED:
        return 504;
    case GRPC_NOT_FOUND:
        return 404;
    case GRPC_ALREADY_EXISTS:
    case GRPC_ABORTED:
        return 409;
    case GRPC_PERMISSION_DENIED:
        return 403;
    case GRPC_UNAUTHENTICATED:
        return 401;
    case GRPC_RESOURCE_EXHAUSTED:
        return 429;
    case GRPC_UNIMPLEMENTED:
        return 501;
    case GRPC_UNAVAILABLE:
        return 503;
    default:
        return 500;
    }
}

static void put_status(enum grpc_status status, bytes text, struct buf *out)
{
    buf_append_byte(out, '{');
    if (status != GRPC_OK)
        buf_printf(out, "\"code\":%d,", status);
    buf_append_bytes(out, bytes_str("\"message\":"));
    json_quote(text, out);
    buf_append_byte(out, '}');
}

/* What went into an answer must be whole. */
static bool is_whole(struct http_conn *c, const struct buf *b)
{
    if (buf_error(b))
        c->aborted = true;
    return !buf_error(b);
}

/* Only what may stand in a header. */
static void put_challenge(char *line, size_t size, bytes text)
{
    size_t n = (size_t)snprintf(line, size, "Www-Authenticate: ");
    for (size_t i = 0; i < text.len && n < size - 3; i++)
        line[n++] = text.data[i] >= 0x20 && text.data[i] < 0x7f ? (char)text.data[i] : ' ';
    memcpy(line + n, "\r\n", 3);
}

static void answer_status(struct http_conn *c, enum grpc_status status, bytes text)
{
    struct buf *body = &c->http->scratch;
    char more[256] = "";
    buf_reset(body);
    put_status(status, text, body);
    if (status == GRPC_UNAUTHENTICATED)
        put_challenge(more, sizeof more, text);
    if (is_whole(c, body))
        answer(c, gateway_http_status(status), JSON_TYPE, more, buf_bytes(body));
}

void gateway_refuse(struct http_conn *c, enum grpc_status status, const char *text)
{
    answer_status(c, status, bytes_str(text));
}

/* ---- the call ---- */

/* etcd takes the token from any of these, with or without "Bearer". */
static bytes find_token(const struct http_conn *c)
{
    static const char *const names[] = {"grpc-metadata-token", "authorization", "grpc-metadata-authorization"};
    static const char bearer[] = "Bearer ";
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        bytes token = request_header(c, names[i]);
        if (token.data == NULL)
            continue;
        if (bytes_has_prefix(token, bytes_str(bearer)))
            return bytes_of(token.data + sizeof bearer - 1, token.len - (sizeof bearer - 1));
        return token;
    }
    return (bytes){0};
}

/* What etcd's gateway says of itself makes the core pass over the certificate: a browser shows its user's for the page of
 * any site, and all of them say their origin. */
static size_t fill_metadata(const struct http_conn *c, struct h2_header *headers)
{
    static const struct {
        const char *header, *name;
    } passed_on[] = {
        {"grpc-metadata-hasleader", "hasleader"},
        {"grpc-metadata-client-api-version", "client-api-version"},
    };
    size_t n = 0;
    bytes token = find_token(c);
    if (token.data)
        headers[n++] = (struct h2_header){bytes_str("token"), token};
    else if (request_header(c, "origin").data)
        headers[n++] = (struct h2_header){bytes_str("grpcgateway-accept"), bytes_str("*/*")};
    for (size_t i = 0; i < ARRAY_LEN(passed_on); i++) {
        bytes value = request_header(c, passed_on[i].header);
        if (value.data)
            headers[n++] = (struct h2_header){bytes_str(passed_on[i].name), value};
    }
    return n;
}

static bool find_timeout(struct http_conn *c, int64_t *ret_ms)
{
    char text[128];
    bytes timeout = request_header(c, "grpc-timeout");
    *ret_ms = -1;
    if (timeout.len == 0 || grpc_timeout_parse(timeout, ret_ms))
        return true;
    snprintf(text, sizeof text, "invalid grpc-timeout: %.*s", (int)(timeout.len < 80 ? timeout.len : 80),
             (const char *)timeout.data);
    gateway_refuse(c, GRPC_INVALID_ARGUMENT, text);
    return false;
}

/* Answers whether there is a call now; otherwise the request is answered. */
static bool begin_call(struct http_conn *c)
{
    struct h2_header headers[4];
    int64_t timeout_ms;
    if (!find_timeout(c, &timeout_ms))
        return false;
    size_t n = fill_metadata(c, headers);
    c->stream = h2_call(c->client, c->req.route->rpc, "localhost", timeout_ms, headers, n, NULL);
    if (c->stream)
        return true;
    c->last = true; /* the server stops, or has no memory for a call */
    gateway_refuse(c, GRPC_UNAVAILABLE, "etcdserver: server stopped");
    return false;
}

void gateway_begin(struct http_conn *c)
{
    enum route_kind kind = c->req.route->kind;
    c->req.use = kind == ROUTE_BOTH_STREAM ? BODY_MANY : BODY_ONE;
    if (kind == ROUTE_BOTH_STREAM && begin_call(c))
        c->since = TN_MS_NEVER;
}

static void send_message(struct http_conn *c, bytes message)
{
    c->n_sent++;
    if (h2_send_message(c->stream, message) < 0)
        c->aborted = true;
}

static void half_close(struct http_conn *c)
{
    if (c->stream && h2_half_close(c->stream) < 0)
        c->aborted = true;
}

/* A first value that is bad gets an error; after that, as in etcd, the stream learns of nothing more and goes on. */
void gateway_bad_value(struct http_conn *c, const char *text)
{
    char longer[256];
    c->req.bad = true;
    if (c->req.route->kind != ROUTE_BOTH_STREAM) {
        gateway_refuse(c, GRPC_INVALID_ARGUMENT, text);
        return;
    }
    if (c->n_sent > 0 || c->head_sent) {
        half_close(c);
        return;
    }
    snprintf(longer, sizeof longer, "Failed to decode request: %s", text);
    if (c->stream)
        h2_reset(c->stream);
    c->stream = NULL;
    gateway_refuse(c, GRPC_INVALID_ARGUMENT, longer);
}

/* Unary and server streams: the one request. */
static void send_only(struct http_conn *c, bytes message)
{
    if (!begin_call(c))
        return;
    send_message(c, message);
    half_close(c);
}

void gateway_value(struct http_conn *c, bytes json)
{
    struct buf *message = &c->http->scratch;
    struct tenure_error err;
    buf_reset(message);
    int rc = transcode_from_json(c->req.route->request, json, message, &err);
    if (rc == TENURE_ENOMEM)
        c->aborted = true;
    else if (rc < 0)
        gateway_bad_value(c, err.text);
    else if (c->req.route->kind != ROUTE_BOTH_STREAM)
        send_only(c, buf_bytes(message));
    else if (c->stream)
        send_message(c, buf_bytes(message));
}

void gateway_body_ended(struct http_conn *c)
{
    struct request *r = &c->req;
    if (r->use == BODY_MANY)
        half_close(c);
    else if (!r->value_whole && !r->bad)
        send_only(c, (bytes){0});
}

/* ---- the answer ---- */

/* The answer's metadata, as etcd passes it on. */
static const char *metadata_lines(const struct h2_stream *st, char *out, size_t size)
{
    int64_t ms;
    if (!h2_told(st, &ms))
        return GRPC_TYPE;
    snprintf(out, size, GRPC_TYPE "Grpc-Metadata-Tenure-Staleness: %lld\r\n", (long long)ms);
    return out;
}

static void put_line(struct http_conn *c, const struct h2_stream *st, bytes message)
{
    struct buf *line = &c->http->scratch;
    buf_reset(line);
    buf_append_bytes(line, bytes_str("{\"result\":"));
    bool ok = transcode_to_json(c->req.route->response, message, line);
    buf_append_bytes(line, bytes_str("}\n"));
    if (!ok || !is_whole(c, line)) {
        c->aborted = true;
        return;
    }
    char more[128];
    if (!c->head_sent)
        answer_begin(c, HTTP_STATUS_OK, JSON_TYPE, metadata_lines(st, more, sizeof more));
    answer_part(c, buf_bytes(line));
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct http_conn *c = user;
    if (st != c->stream || !c->answering)
        return;
    if (c->req.route->kind != ROUTE_UNARY) {
        put_line(c, st, message);
        return;
    }
    buf_reset(&c->reply);
    c->replied = transcode_to_json(c->req.route->response, message, &c->reply);
}

static void end_unary(struct http_conn *c, const struct h2_stream *st, enum grpc_status status, bytes text)
{
    char more[128];
    if (status != GRPC_OK)
        answer_status(c, status, text);
    else if (!c->replied)
        gateway_refuse(c, GRPC_INTERNAL, "no reply");
    else if (is_whole(c, &c->reply))
        answer(c, HTTP_STATUS_OK, JSON_TYPE, metadata_lines(st, more, sizeof more), buf_bytes(&c->reply));
    buf_fini(&c->reply);
}

static void put_error_line(struct http_conn *c, enum grpc_status status, bytes text)
{
    struct buf *line = &c->http->scratch;
    buf_reset(line);
    buf_append_bytes(line, bytes_str("{\"error\":"));
    put_status(status, text, line);
    buf_append_bytes(line, bytes_str("}\n"));
    if (is_whole(c, line))
        answer_part(c, buf_bytes(line));
}

/* Also a status before any message has the form of a line. */
static void end_stream(struct http_conn *c, enum grpc_status status, bytes text)
{
    if (!c->head_sent)
        answer_begin(c, gateway_http_status(status), status != GRPC_OK ? JSON_TYPE : NULL, "");
    if (status != GRPC_OK)
        put_error_line(c, status, text);
    answer_end(c);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct http_conn *c = user;
    if (st != c->stream)
        return;
    c->stream = NULL;
    if (!c->answering)
        return;
    if (c->req.route->kind == ROUTE_UNARY)
        end_unary(c, st, status, text);
    else
        end_stream(c, status, text);
}

/* Without a status before: the call was lost with the connection of the two engines. */
static void on_close(void *user, struct h2_stream *st)
{
    struct http_conn *c = user;
    if (st != c->stream)
        return;
    c->stream = NULL;
    c->aborted = true;
}

static void on_goaway(void *user, uint32_t last_stream_id, uint32_t error_code, bytes debug)
{
    struct http_conn *c = user;
    (void)last_stream_id, (void)error_code, (void)debug;
    c->last = true;
    if (!c->answering)
        c->closing = true;
}

const struct h2_callbacks gateway_callbacks = {
    .on_message = on_message,
    .on_status = on_status,
    .on_close = on_close,
    .on_goaway = on_goaway,
};

/* ---- between the two engines ---- */

#define PIPE_BYTES ((size_t)64 << 10)

static bool to_core(struct http_conn *c)
{
    struct buf *pipe = &c->http->pipe;
    buf_reset(pipe);
    if (!core_wants_input(c->core) || !h2_wants_output(c->client))
        return false;
    if (h2_output(c->client, pipe, PIPE_BYTES) < 0 || buf_error(pipe))
        c->aborted = true;
    if (pipe->len == 0 || c->aborted)
        return false;
    core_feed(c->core, buf_bytes(pipe), c->now);
    c->fed_core = true;
    return true;
}

/* While the peer takes nothing, nothing is taken from the core, which then knows what to do. */
static bool from_core(struct http_conn *c)
{
    struct buf *pipe = &c->http->pipe;
    struct tenure_error err;
    buf_reset(pipe);
    if (conn_pending(c) >= HTTP_OUT_MAX)
        return false;
    core_output(c->core, pipe, PIPE_BYTES, c->now);
    if (buf_error(pipe))
        c->aborted = true;
    if (pipe->len == 0 || c->aborted)
        return false;
    if (h2_feed(c->client, buf_bytes(pipe), c->now, &err) < 0)
        c->aborted = true;
    return true;
}

void gateway_pump(struct http_conn *c)
{
    while (!c->aborted && (to_core(c) || from_core(c)))
        ;
}
