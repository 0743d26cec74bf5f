/* grpc.health.v1: the whole server ("") serves until its disk has failed; from then on it only answers reads, and says so.
 * (etcd ends in that case.) Watchers are told of the change; the stream ends with the server. */
#include "core/call.h"

#define SERVICE "grpc.health.v1.Health"

static enum health_status health_of(const struct core *c)
{
    return c->journal.writing == WRITING_OFF ? HEALTH_NOT_SERVING : HEALTH_SERVING;
}

static void health_check(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    bytes service;
    (void)now;
    if (!call_decoded(call, decode_health_req(in, &c->arena, &service)))
        return;
    if (service.len > 0) {
        call_finish(call, GRPC_NOT_FOUND, "unknown service");
        return;
    }
    encode_health_resp(health_of(c), &c->out);
    call_reply(call, 0);
}

static void health_tell(struct core_call *call, enum health_status status)
{
    core_scratch(call->core);
    encode_health_resp(status, &call->core->out);
    if (buf_error(&call->core->out))
        call_reset(call);
    else
        (void)!call_send(call);
}

static void health_watch(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    bytes service;
    (void)now;
    if (!call_decoded(call, decode_health_req(in, &c->arena, &service)))
        return;
    call->watches_health = service.len == 0;
    health_tell(call, call->watches_health ? health_of(c) : HEALTH_SERVICE_UNKNOWN);
}

static void tell_watchers(struct core_conn *conn, enum health_status status)
{
    LIST_FOREACH(it, &conn->calls)
    {
        struct core_call *call = LIST_ENTRY(it, struct core_call, in_conn);
        if (call->watches_health && !call->ended)
            health_tell(call, status);
    }
}

void health_changed(struct core *c)
{
    LIST_FOREACH(it, &c->conns)
    {
        tell_watchers(LIST_ENTRY(it, struct core_conn, in_core), health_of(c));
    }
}

const struct core_method health_methods[] = {
    {.service = SERVICE, .name = "Check", .on_message = health_check},
    {.service = SERVICE, .name = "Watch", .is_stream = true, .is_asked_once = true, .on_message = health_watch},
};
const size_t health_methods_len = ARRAY_LEN(health_methods);
