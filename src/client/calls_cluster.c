/* The calls about the servers. Status and health name an endpoint and are answered by that one or fail: they are how one
 * finds out what is wrong with it, so a member without a leader answers them too. */
#include "client/calls.h"

DECODE_INTO(members_answer, member_list_resp, members, decode_member_list_resp)

static int status_answer(bytes in, struct arena *a, struct client_result *r)
{
    struct status_resp *resp = arena_zalloc(a, sizeof *resp);
    int rc = resp ? decode_status_resp(in, a, resp) : TENURE_ENOMEM;
    if (rc)
        return rc;
    r->status = resp;
    r->header = resp->header;
    return 0;
}

static int health_answer(bytes in, struct arena *a, struct client_result *r)
{
    return decode_health_resp(in, a, &r->health);
}

static const struct call_kind members = {.path = "/etcdserverpb.Cluster/MemberList", .decode = members_answer};
/* Serializable: what the asked member knows, which it does without a leader too. */
static const struct call_kind members_there = {
    .path = "/etcdserverpb.Cluster/MemberList", .no_leader_needed = true, .decode = members_answer};
static const struct call_kind status = {
    .path = "/etcdserverpb.Maintenance/Status", .no_leader_needed = true, .decode = status_answer};
/* A piece that cannot be read is missing in the sum behind them all. */
static void snapshot_piece(const struct client_call *call, bytes message, struct arena *a)
{
    struct snapshot_resp piece;
    if (decode_snapshot_resp(message, a, &piece) == 0)
        ((client_piece_cb)call->on_piece)(call->user, &piece);
}

static const struct call_kind snapshot = {.path = "/etcdserverpb.Maintenance/Snapshot",
                                          .no_leader_needed = true,
                                          .pieces_join = true,
                                          .deliver_piece = snapshot_piece};
static const struct call_kind health = {
    .path = "/grpc.health.v1.Health/Check", .no_leader_needed = true, .decode = health_answer};

struct client_call *client_member_list(struct client *c, bool serializable, const struct client_call_options *opt,
                                       client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, serializable ? &members_there : &members, opt, cb, user, err);
    if (!call)
        return NULL;
    encode_member_list_req(!serializable, &call->request);
    return call_submit(c, call, now, err);
}

struct client_call *client_call_new_at(struct client *c, size_t endpoint, const struct call_kind *kind,
                                       const struct client_call_options *opt, client_done_cb cb, void *user,
                                       struct tenure_error *err)
{
    if (endpoint != SIZE_MAX && endpoint >= c->n_endpoints) {
        error_set(err, TENURE_EINVALID, "there is no endpoint %zu, the client has %zu", endpoint, c->n_endpoints);
        return NULL;
    }
    struct client_call *call = client_call_new(c, kind, opt, cb, user, err);
    if (call)
        call->endpoint = endpoint;
    return call;
}

struct client_call *client_status(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                  client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new_at(c, endpoint, &status, opt, cb, user, err);
    if (!call)
        return NULL;
    encode_status_req(&call->request);
    return call_submit(c, call, now, err);
}

struct client_call *client_snapshot(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                    client_piece_cb on_piece, client_done_cb cb, void *user, tn_ms now,
                                    struct tenure_error *err)
{
    struct client_call *call = client_call_new_at(c, endpoint, &snapshot, opt, cb, user, err);
    if (!call)
        return NULL;
    call->on_piece = (void (*)(void))on_piece;
    encode_snapshot_req(&call->request);
    return call_submit(c, call, now, err);
}

struct client_call *client_health(struct client *c, size_t endpoint, const struct client_call_options *opt,
                                  client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new_at(c, endpoint, &health, opt, cb, user, err);
    if (!call)
        return NULL;
    encode_health_req(bytes_str(""), &call->request);
    return call_submit(c, call, now, err);
}
