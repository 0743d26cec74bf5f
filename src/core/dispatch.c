/* From the path of a request to a service's function, with gRPC's own texts for what does not exist. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/call.h"

struct service {
    const struct core_method *methods;
    const size_t *len;
};

static const struct service services[] = {
    {kv_methods, &kv_methods_len},
    {lease_methods, &lease_methods_len},
    {watch_methods, &watch_methods_len},
    {maintenance_methods, &maintenance_methods_len},
    {cluster_methods, &cluster_methods_len},
    {health_methods, &health_methods_len},
    {auth_methods, &auth_methods_len},
    {lock_methods, &lock_methods_len},
    {election_methods, &election_methods_len},
    {replica_methods, &replica_methods_len},
};

/* "/service/method". False: not of that form. */
static bool split_path(bytes path, bytes *ret_service, bytes *ret_method)
{
    if (path.len == 0 || path.data[0] != '/')
        return false;
    size_t slash = path.len;
    for (size_t i = path.len; i-- > 1;) {
        if (path.data[i] == '/') {
            slash = i;
            break;
        }
    }
    if (slash == path.len)
        return false;
    *ret_service = bytes_of(path.data + 1, slash - 1);
    *ret_method = bytes_of(path.data + slash + 1, path.len - slash - 1);
    return true;
}

/* *ret_first: the place of its first method among all. */
static const struct service *find_service(bytes name, size_t *ret_first)
{
    *ret_first = 0;
    for (size_t i = 0; i < ARRAY_LEN(services); i++) {
        if (bytes_equal(name, bytes_str(services[i].methods[0].service)))
            return &services[i];
        *ret_first += *services[i].len;
    }
    return NULL;
}

static const struct core_method *find_method(const struct service *s, bytes name)
{
    for (size_t i = 0; i < *s->len; i++) {
        if (bytes_equal(name, bytes_str(s->methods[i].name)))
            return &s->methods[i];
    }
    return NULL;
}

const struct core_method *dispatch_method(size_t i)
{
    for (size_t k = 0; k < ARRAY_LEN(services); k++) {
        if (i < *services[k].len)
            return &services[k].methods[i];
        i -= *services[k].len;
    }
    return NULL;
}

static void refuse(struct core_conn *conn, struct h2_stream *st, enum grpc_status status, const char *text)
{
    if (h2_finish(st, status, text) < 0)
        h2_reset(st);
    conn_touch(conn);
}

static void refuse_path(struct core_conn *conn, struct h2_stream *st, bytes path)
{
    bytes service, method;
    size_t first;
    char text[256];
    if (!split_path(path, &service, &method))
        snprintf(text, sizeof text, "malformed method name: \"%.*s\"", (int)(path.len < 150 ? path.len : 150),
                 path.len ? (const char *)path.data : "");
    else if (!find_service(service, &first))
        snprintf(text, sizeof text, "unknown service %.*s", (int)(service.len < 200 ? service.len : 200),
                 (const char *)service.data);
    else
        snprintf(text, sizeof text, "unknown method %.*s for service %.*s", (int)(method.len < 100 ? method.len : 100),
                 (const char *)method.data, (int)(service.len < 100 ? service.len : 100), (const char *)service.data);
    refuse(conn, st, GRPC_UNIMPLEMENTED, text);
}

static const struct core_method *find_path(bytes path, size_t *ret_index)
{
    bytes service, method;
    size_t first;
    if (!split_path(path, &service, &method))
        return NULL;
    const struct service *s = find_service(service, &first);
    const struct core_method *m = s ? find_method(s, method) : NULL;
    if (m)
        *ret_index = first + (size_t)(m - s->methods);
    return m;
}

/* Before there is a call: counted all the same. */
static void refuse_with(struct core_conn *conn, struct h2_stream *st, struct method_counts *counts, enum etcd_error e)
{
    counts->handled[etcd_error_status(e)]++;
    refuse(conn, st, etcd_error_status(e), etcd_error_text(e));
}

/* ---- who calls ---- */

static bool is_named(const struct h2_header *h, const char *name, size_t len)
{
    return h->name.len == len && memcmp(h->name.data, name, len) == 0;
}
#define IS_NAMED(h, name) is_named(h, name, sizeof(name) - 1)

/* Of what a client says about itself etcd wants no more than that it is text. */
static bool is_text(bytes s)
{
    for (size_t n; s.len > 0; s = bytes_of(s.data + n, s.len - n)) {
        n = bytes_utf8_char(s);
        if (n == 0)
            return false;
    }
    return true;
}

static bool has_good_version(const struct h2_request *req)
{
    for (size_t i = 0; i < req->n_headers; i++) {
        if (IS_NAMED(&req->headers[i], "client-api-version"))
            return is_text(req->headers[i].value);
    }
    return true;
}

/* As etcd: `token` before `authorization`, of several the first, with or without "Bearer ". */
static bytes find_token(const struct h2_request *req)
{
    static const char bearer[] = "Bearer ";
    const struct h2_header *found = NULL;
    for (size_t i = 0; i < req->n_headers; i++) {
        const struct h2_header *h = &req->headers[i];
        if (IS_NAMED(h, "token")) {
            found = h;
            break;
        }
        if (!found && IS_NAMED(h, "authorization"))
            found = h;
    }
    if (!found)
        return bytes_of(NULL, 0);
    bytes token = found->value;
    if (bytes_has_prefix(token, bytes_str(bearer)))
        token = bytes_of(token.data + sizeof bearer - 1, token.len - (sizeof bearer - 1));
    return token.data ? token : bytes_str("");
}

static bool is_from_gateway(const struct h2_request *req)
{
    for (size_t i = 0; i < req->n_headers; i++) {
        if (IS_NAMED(&req->headers[i], "grpcgateway-accept"))
            return true;
    }
    return false;
}

/* Kept although authentication may be off: it may be on when the message comes. False: no memory. */
static bool keep_identity(struct core_call *call, const struct h2_request *req)
{
    bytes token = find_token(req);
    call->by_gateway = call->conn->cert_user && is_from_gateway(req);
    if (!token.data)
        return true;
    call->token = malloc(token.len + 1);
    if (!call->token)
        return false;
    if (token.len)
        memcpy(call->token, token.data, token.len);
    call->token_len = token.len;
    return true;
}

void dispatch_request(struct core_conn *conn, struct h2_stream *st, const struct h2_request *req)
{
    size_t index = 0;
    const struct core_method *m = find_path(req->path, &index);
    if (!m) {
        refuse_path(conn, st, req->path);
        return;
    }
    assert(index < METHODS_MAX);
    struct method_counts *counts = &conn->core->counts[index];
    counts->started++;
    if (conn->core->stopping) {
        refuse_with(conn, st, counts, ETCD_STOPPED);
        return;
    }
    if (conn->core->n_calls >= conn->core->config.calls_max) {
        refuse_with(conn, st, counts, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    if (!has_good_version(req)) {
        refuse_with(conn, st, counts, ETCD_INVALID_CLIENT_API_VERSION);
        return;
    }
    struct core_call *call = call_new(conn, st, m, counts);
    if (!call)
        refuse_with(conn, st, counts, ETCD_OUT_OF_MEMORY);
    else if (!keep_identity(call, req) ||
             (req->timeout_ms >= 0 && deadline_start(call, req->timeout_ms, conn->core->now) < 0))
        call_fail(call, ETCD_OUT_OF_MEMORY);
}

void dispatch_run(struct core_call *call, bytes in, tn_ms now)
{
    if (call->core->config.source && source_takes(call, in, now))
        return;
    call->method->on_message(call, in, now);
}

void dispatch_message(struct core_call *call, bytes in, tn_ms now)
{
    const struct core_method *m = call->method;
    bool takes_many = m->is_stream && !m->is_asked_once;
    if (call->ended || (call->asked && !takes_many))
        return;
    call->asked = true;
    call->counts->received++;
    if (m->may_wait && conn_is_full(call->conn)) {
        if (!conn_park(call, in))
            call_fail(call, ETCD_TOO_MANY_REQUESTS);
        return;
    }
    core_scratch(call->core);
    dispatch_run(call, in, now);
}

void dispatch_half_close(struct core_call *call)
{
    call->half_closed = true;
    if (call->ended)
        return;
    bool needs_one = !call->method->is_stream || call->method->is_asked_once;
    if (needs_one && !call->asked)
        call_finish(call, GRPC_INTERNAL, "cardinality violation: received no request message from non-streaming RPC");
    else if (call->method->on_half_close)
        call->method->on_half_close(call);
}
