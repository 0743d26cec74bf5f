/* A line of JSON a span, as OTLP names its fields: for a request that holds a lock while it writes. Each call of the library is a span
 * of kind CLIENT below the request's own, and each attempt of one below that.
 *
 *     cc trace.c $(pkg-config --cflags --libs libtenure) && ./a.out [ENDPOINTS]
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

#include <tenure/tenure.h>

/* What the program knows of its request. The library gives it back with each call that it makes for it. */
struct request {
    char trace_id[33], span_id[17];
};

static void random_hex(char *out, size_t bytes)
{
    unsigned char raw[16];
    if (getrandom(raw, bytes, 0) != (ssize_t)bytes)
        abort();
    for (size_t i = 0; i < bytes; i++)
        snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

/* A call's number makes a span id that is the same in all its events; the attempt's number tells those apart. */
static void span_id(const struct tenure_call_event *e, unsigned attempt, char out[17])
{
    snprintf(out, 17, "%012" PRIx64 "%04x", e->call & 0xffffffffffff, attempt & 0xffff);
}

/* A span is told of at its end: it says when it began as well. */
static void on_call(void *user, const struct tenure_call_event *e)
{
    static const char *const applied[] = {"no", "yes", "maybe"};
    const struct request *request = e->scope_user;
    char own[17], parent[17];
    (void)user;
    if (!request || (e->kind != TENURE_CALL_END && e->kind != TENURE_CALL_ATTEMPT_END))
        return;
    bool is_call = e->kind == TENURE_CALL_END;
    span_id(e, is_call ? 0 : e->attempt, own);
    span_id(e, 0, parent);
    printf("{\"traceId\":\"%s\",\"spanId\":\"%s\",\"parentSpanId\":\"%s\",\"kind\":3,\"name\":\"%s%s\","
           "\"startTimeUnixNano\":\"%" PRId64 "\",\"endTimeUnixNano\":\"%" PRId64 "\",\"attributes\":["
           "{\"key\":\"rpc.system\",\"value\":{\"stringValue\":\"grpc\"}},"
           "{\"key\":\"rpc.grpc.status_code\",\"value\":{\"intValue\":\"%d\"}},"
           "{\"key\":\"server.address\",\"value\":{\"stringValue\":\"%s\"}},"
           "{\"key\":\"tenure.applied\",\"value\":{\"stringValue\":\"%s\"}},"
           "{\"key\":\"tenure.by\",\"value\":{\"stringValue\":\"%s\"}}],\"status\":{\"code\":%d}}\n",
           request->trace_id, own, is_call ? request->span_id : parent, e->method + 1, is_call ? "" : " attempt",
           e->time_ns - e->duration_ns, e->time_ns, e->grpc_status, e->endpoint ? e->endpoint : "",
           applied[e->applied], e->by_program ? "program" : "recipe", e->code ? 2 : 1);
}

static int serve(tenure_client *c, struct tenure_error *err)
{
    tenure_lock *lock = tenure_lock_acquire(c, "example/trace", NULL, err);
    if (!lock)
        return err->code;
    int rc = tenure_put(c, tenure_str("example/trace"), tenure_str("1"), NULL, NULL, err);
    tenure_unlock(lock, NULL);
    return rc;
}

int main(int argc, char **argv)
{
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .on_call = on_call};
    tenure_client *c = tenure_open(argc > 1 ? argv[1] : NULL, &o, &err);
    struct request request;
    char traceparent[64];
    random_hex(request.trace_id, 16); /* or taken from the traceparent that the request came with */
    random_hex(request.span_id, 8);
    snprintf(traceparent, sizeof traceparent, "00-%s-%s-01", request.trace_id, request.span_id);

    struct tenure_scope_options s = {.size = sizeof s, .traceparent = traceparent, .user = &request};
    tenure_scope *scope = c ? tenure_scope_new(&s, &err) : NULL;
    if (!scope)
        return fprintf(stderr, "%s\n", err.text), 1;
    tenure_scope *before = tenure_scope_use(scope);
    int rc = serve(c, &err);
    tenure_scope_use(before);
    tenure_scope_free(scope);
    tenure_close(c); /* from here on nothing names the request any more */
    if (rc)
        fprintf(stderr, "%s\n", err.text);
    return rc ? 1 : 0;
}
