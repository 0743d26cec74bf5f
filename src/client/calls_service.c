/* The calls to the server's own locks and elections. Lock and Campaign are answered when the caller's turn has come, however
 * long that takes: they are never sent again, because a server that loses its caller takes the place away, at a time that
 * nobody knows. */
#include "client/calls.h"

DECODE_INTO(lock_answer, lock_resp, lock, decode_lock_resp)
DECODE_INTO(campaign_answer, campaign_resp, campaign, decode_campaign_resp)
DECODE_INTO(leader_answer, leader_resp, leader, decode_leader_resp)

static int header_answer(bytes in, struct arena *a, struct client_result *r)
{
    return decode_header_resp(in, a, &r->header);
}

static const struct call_kind kinds[] = {
    [CLIENT_V3_LOCK] = {.path = "/v3lockpb.Lock/Lock", .is_write = true, .decode = lock_answer},
    [CLIENT_V3_UNLOCK] = {.path = "/v3lockpb.Lock/Unlock", .is_write = true, .decode = header_answer},
    [CLIENT_V3_CAMPAIGN] = {.path = "/v3electionpb.Election/Campaign", .is_write = true, .decode = campaign_answer},
    [CLIENT_V3_PROCLAIM] = {.path = "/v3electionpb.Election/Proclaim", .is_write = true, .decode = header_answer},
    [CLIENT_V3_LEADER] = {.path = "/v3electionpb.Election/Leader", .decode = leader_answer},
    [CLIENT_V3_RESIGN] = {.path = "/v3electionpb.Election/Resign", .is_write = true, .decode = header_answer},
};

static void encode(const struct client_service_req *r, struct buf *out)
{
    switch (r->kind) {
    case CLIENT_V3_LOCK:
        encode_lock_req(&r->lock, out);
        break;
    case CLIENT_V3_UNLOCK:
        encode_unlock_req(r->key, out);
        break;
    case CLIENT_V3_CAMPAIGN:
        encode_campaign_req(&r->campaign, out);
        break;
    case CLIENT_V3_PROCLAIM:
        encode_proclaim_req(&r->proclaim, out);
        break;
    case CLIENT_V3_LEADER:
        encode_leader_req(r->name, out);
        break;
    case CLIENT_V3_RESIGN:
        encode_resign_req(&r->resign, out);
        break;
    }
}

struct client_call *client_service(struct client *c, const struct client_service_req *req,
                                   const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                   struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &kinds[req->kind], opt, cb, user, err);
    if (!call)
        return NULL;
    if (req->kind == CLIENT_V3_RESIGN)
        call->repeatable = true;
    encode(req, &call->request);
    return call_submit(c, call, now, err);
}

static void leader_piece(const struct client_call *call, bytes message, struct arena *a)
{
    struct response_header h;
    struct leader_resp leader;
    if (decode_leader_resp(message, a, &h, &leader) == 0)
        ((client_leader_cb)call->on_piece)(call->user, &leader);
}

static const struct call_kind observe = {.path = "/v3electionpb.Election/Observe", .deliver_piece = leader_piece};

struct client_call *client_observe(struct client *c, bytes name, const struct client_call_options *opt,
                                   client_leader_cb on_leader, client_done_cb cb, void *user, tn_ms now,
                                   struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &observe, opt, cb, user, err);
    if (!call)
        return NULL;
    call->on_piece = (void (*)(void))on_leader;
    encode_leader_req(name, &call->request);
    return call_submit(c, call, now, err);
}
