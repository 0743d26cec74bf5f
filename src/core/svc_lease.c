/* The Lease service. Grants and revokes are writes; a renewal makes no row, but its new deadline is kept over a crash of the
 * process (lease_store) before the reply is queued, and the reply waits for what it has seen, such as the grant itself. */
#include <stdlib.h>

#include "core/auth.h"

#define SERVICE "etcdserverpb.Lease"

static void store_deadline(struct core *c, tn_lease id, tn_ms deadline)
{
    if (c->config.lease_store)
        c->config.lease_store(c->config.user, id, deadline);
}

/* ---- grant, revoke ---- */

/* What is granted and not durable yet is remembered in the entry: undone, its deadline must be forgotten. */
static void grant_reply(struct core_call *call, tn_lease id, tn_seq seq)
{
    if (gate_passes(call->core, call, seq)) {
        call_reply(call, seq);
        return;
    }
    struct held *h = call_reply_held(call, seq);
    if (h)
        h->lease = id;
}

static void lease_grant(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct lease_grant_req req;
    struct lease_grant_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_lease_grant_req(in, &c->arena, &req)) || !call_is_authenticated(call) ||
        !call_may_write(call, in.len, WRITE_GROWS, now))
        return;
    enum etcd_error e = store_lease_grant(c->store, &req, now, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_write(call, e, seq, now);
        return;
    }
    journal_planned(c, WRITE_GROWS);
    store_deadline(c, resp.id, now + resp.ttl_s * 1000);
    encode_lease_grant_resp(&c->header, &resp, &c->out);
    grant_reply(call, resp.id, seq);
}

static void lease_revoke(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct lease_revoke_req req;
    struct lease_revoke_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_lease_revoke_req(in, &c->arena, &req)) || !call_may_revoke(call, req.id) ||
        !call_may_write(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_lease_revoke(c->store, &req, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_FREES);
    if (c->config.lease_forget)
        c->config.lease_forget(c->config.user, req.id);
    encode_lease_revoke_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

/* ---- keepalive ---- */

static void hold_renewal(struct core_call *call, tn_lease id, tn_seq seq)
{
    struct held *h = calloc(1, sizeof *h);
    if (!h || gate_hold(call, h, HELD_KEEPALIVE, seq) < 0) {
        free(h);
        call_reset(call);
        return;
    }
    h->lease = id;
}

/* A client that asks on and on and takes no answers is turned away. */
static bool stream_has_room(struct core_call *call)
{
    if (h2_stream_queued(call->stream) < call->core->config.conn_output_max)
        return true;
    call_fail(call, ETCD_TOO_MANY_REQUESTS);
    return false;
}

void lease_renew(struct core_call *call, tn_lease id, tn_ms now)
{
    struct core *c = call->core;
    struct lease_keepalive_req req = {.id = id};
    struct lease_keepalive_resp resp;
    tn_ms deadline = 0;
    tn_seq seq = 0;
    if (journal_doubts(c, id)) {
        call_fail(call, ETCD_WRITE_MAYBE);
        return;
    }
    if (!stream_has_room(call) || !call_may_wait(call))
        return;
    core_scratch(c);
    enum etcd_error denied = auth_lease_renew(call, id);
    if (denied != ETCD_OK) {
        auth_refuse(call, denied);
        return;
    }
    enum etcd_error e = store_lease_keepalive(c->store, &req, now, &resp, &deadline, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    if (resp.ttl_s > 0)
        store_deadline(c, id, deadline);
    encode_lease_keepalive_resp(&c->header, &resp, &c->out);
    if (buf_error(&c->out))
        call_reset(call);
    else if (!gate_passes(c, call, seq))
        hold_renewal(call, id, seq);
    else if (call_send(call))
        lease_stream_settle(call);
}

static void lease_keepalive(struct core_call *call, bytes in, tn_ms now)
{
    struct lease_keepalive_req req;
    if (call_decoded(call, decode_lease_keepalive_req(in, &call->core->arena, &req)))
        lease_renew(call, req.id, now);
}

void lease_stream_settle(struct core_call *call)
{
    if (call->half_closed && list_empty(&call->held) && list_empty(&call->forwards))
        call_finish(call, GRPC_OK, "");
}

/* ---- reads ---- */

static void lease_ttl(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct lease_ttl_req req;
    struct lease_ttl_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_lease_ttl_req(in, &c->arena, &req)) || !call_may_see_lease(call, &req) ||
        !call_may_wait(call))
        return;
    enum etcd_error e = store_lease_ttl(c->store, &req, now, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    encode_lease_ttl_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

static void lease_list(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct lease_list_resp resp;
    tn_seq seq = 0;
    (void)now;
    if (!call_decoded(call, decode_lease_list_req(in, &c->arena)) || !call_may_list_leases(call) ||
        !call_may_wait(call))
        return;
    enum etcd_error e = store_lease_list(c->store, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    encode_lease_list_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

const struct core_method lease_methods[] = {
    {.service = SERVICE, .name = "LeaseGrant", .may_wait = true, .on_message = lease_grant},
    {.service = SERVICE, .name = "LeaseRevoke", .may_wait = true, .on_message = lease_revoke},
    {.service = SERVICE,
     .name = "LeaseKeepAlive",
     .is_stream = true,
     .on_message = lease_keepalive,
     .on_half_close = lease_stream_settle},
    {.service = SERVICE, .name = "LeaseTimeToLive", .may_wait = true, .on_message = lease_ttl},
    {.service = SERVICE, .name = "LeaseLeases", .may_wait = true, .on_message = lease_list},
};
const size_t lease_methods_len = ARRAY_LEN(lease_methods);
