/* The calls on leases. A revoke may be repeated: a lease that is not found after a first copy went out was revoked by it.
 * A single renewal is a stream of one message; it changes nothing that a second one would change otherwise. */
#include "client/calls.h"

DECODE_INTO(grant_answer, lease_grant_resp, grant, decode_lease_grant_resp)
DECODE_INTO(revoke_answer, lease_revoke_resp, revoke, decode_lease_revoke_resp)
DECODE_INTO(keepalive_answer, lease_keepalive_resp, keepalive, decode_lease_keepalive_resp)
DECODE_INTO(ttl_answer, lease_ttl_resp, ttl, decode_lease_ttl_resp)
DECODE_INTO(list_answer, lease_list_resp, leases, decode_lease_list_resp)

static const struct call_kind grant = {
    .path = "/etcdserverpb.Lease/LeaseGrant", .is_write = true, .decode = grant_answer};
static const struct call_kind revoke = {
    .path = "/etcdserverpb.Lease/LeaseRevoke", .is_write = true, .gone_is_done = true, .decode = revoke_answer};
static const struct call_kind keepalive = {
    .path = "/etcdserverpb.Lease/LeaseKeepAlive", .is_stream = true, .decode = keepalive_answer};
static const struct call_kind ttl = {.path = "/etcdserverpb.Lease/LeaseTimeToLive", .decode = ttl_answer};
static const struct call_kind list = {.path = "/etcdserverpb.Lease/LeaseLeases", .decode = list_answer};

CALL_FUNCTION(lease_grant, struct lease_grant_req, &grant, encode_lease_grant_req)
CALL_FUNCTION(lease_keepalive_once, struct lease_keepalive_req, &keepalive, encode_lease_keepalive_req)
CALL_FUNCTION(lease_ttl, struct lease_ttl_req, &ttl, encode_lease_ttl_req)

struct client_call *client_lease_revoke(struct client *c, const struct lease_revoke_req *req,
                                        const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &revoke, opt, cb, user, err);
    if (!call)
        return NULL;
    call->repeatable = true;
    encode_lease_revoke_req(req, &call->request);
    return call_submit(c, call, now, err);
}

struct client_call *client_lease_list(struct client *c, const struct client_call_options *opt, client_done_cb cb,
                                      void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &list, opt, cb, user, err);
    if (!call)
        return NULL;
    encode_lease_list_req(&call->request);
    return call_submit(c, call, now, err);
}
