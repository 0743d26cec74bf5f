/* grpc.health.v1: the whole server ("") serves as long as it answers at all. */
#include "core/call.h"

#define SERVICE "grpc.health.v1.Health"

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
    encode_health_resp(HEALTH_SERVING, &c->out);
    call_reply(call, 0);
}

/* The state never changes while the server runs, so one message is all; the stream ends with the server. */
static void health_watch(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    bytes service;
    (void)now;
    if (call->watched || !call_decoded(call, decode_health_req(in, &c->arena, &service)))
        return;
    call->watched = true;
    encode_health_resp(service.len ? HEALTH_SERVICE_UNKNOWN : HEALTH_SERVING, &c->out);
    if (buf_error(&c->out))
        call_reset(call);
    else
        (void)!call_send(call);
}

const struct core_method health_methods[] = {
    {.service = SERVICE, .name = "Check", .on_message = health_check},
    {.service = SERVICE, .name = "Watch", .is_stream = true, .is_asked_once = true, .on_message = health_watch},
};
const size_t health_methods_len = ARRAY_LEN(health_methods);
