/* etcd's Election service: the recipe of its Go package, run here. A campaign is a place in the queue of NAME with a value;
 * its leader is who is first. Observe is in observe.c.
 *
 * As in etcd: Campaign's header tells the revision of its first transaction, not of the victory; a campaign whose key is
 * there already changes its value; Resign of what does not stand is fine; errors have code Unknown. Better: who is removed
 * while waiting learns it at once, and nobody is told to lead whose key is gone.
 */
#include "core/auth.h"
#include "core/observe.h"
#include "core/queue_steps.h"
#include "core/waiter.h"

#define SERVICE        "v3electionpb.Election"
#define TEXT_NO_LEADER "election: no leader"
#define TEXT_MISSING   "\"leader\" field must be provided"

/* ---- Campaign ---- */

static void campaign_encode(struct waiter *w, bool immediate)
{
    struct core *c = w->core;
    struct campaign_resp resp = {
        .revision = w->revision,
        .leader = {.name = waiter_name(w), .key = waiter_key(w), .rev = w->create, .lease = w->lease},
    };
    (void)immediate;
    encode_campaign_resp(&c->header, &resp, &c->out);
}

static const struct waiter_kind campaign_kind = {
    .encode = campaign_encode, .lost = "election: not leader", .has_value = true};

static void election_campaign(struct core_call *call, bytes in, tn_ms now)
{
    struct campaign_req req;
    if (call_decoded(call, decode_campaign_req(in, &call->core->arena, &req)) &&
        call_may_write(call, in.len, WRITE_GROWS, now))
        waiter_start(call, &campaign_kind, &req, now);
}

/* ---- Proclaim, Resign ---- */

static bool has_leader(struct core_call *call, bool has)
{
    if (!has)
        call_finish(call, GRPC_UNKNOWN, TEXT_MISSING);
    return has;
}

static struct compare own_key(const struct leader_key *leader)
{
    return (struct compare){.target = COMPARE_CREATE, .range = {leader->key, {0}}, .number = leader->rev};
}

static bool proclaim(struct core_call *call, const struct proclaim_req *req, tn_lease lease, tn_ms now)
{
    struct core *c = call->core;
    struct compare own = own_key(&req->leader);
    struct request_op put = {.kind = OP_PUT, .put = {.key = req->leader.key, .value = req->value, .lease = lease}};
    struct txn_req txn = {.compares = &own, .n_compares = 1, .success = &put, .n_success = 1};
    struct txn_resp resp;
    tn_seq seq;
    if (!queue_txn(call, &txn, now, &resp, &seq))
        return false;
    if (!resp.succeeded) {
        call_fail_at(call, ETCD_ELECTION_NOT_LEADER, seq);
        return false;
    }
    encode_header_resp(&c->header, resp.revision, &c->out);
    call_reply(call, seq);
    return true;
}

static void election_proclaim(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct proclaim_req req;
    tn_lease lease;
    bool made;
    if (!call_decoded(call, decode_proclaim_req(in, &c->arena, &req)) || !has_leader(call, req.has_leader) ||
        !call_may_write(call, in.len, WRITE_GROWS, now) || !queue_lease(call, req.leader.lease, now, &lease, &made))
        return;
    if (!proclaim(call, &req, lease, now) && made)
        queue_lease_back(c, lease);
}

static void election_resign(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct resign_req req;
    struct txn_resp resp;
    tn_seq seq;
    if (!call_decoded(call, decode_resign_req(in, &c->arena, &req)) || !has_leader(call, req.has_leader) ||
        !call_may_write(call, in.len, WRITE_FREES, now))
        return;
    struct compare own = own_key(&req.leader);
    struct request_op op = {.kind = OP_DELETE, .del = {.range = own.range}};
    struct txn_req txn = {.compares = &own, .n_compares = 1, .success = &op, .n_success = 1};
    if (!queue_txn(call, &txn, now, &resp, &seq))
        return;
    encode_header_resp(&c->header, resp.revision, &c->out);
    call_reply(call, seq);
}

/* ---- Leader, Observe ---- */

/* All keys that begin with NAME and '/'. False: the call has ended. */
static bool leader_queue(struct core_call *call, bytes in, struct key_range *ret)
{
    struct core *c = call->core;
    bytes name;
    if (!call_decoded(call, decode_leader_req(in, &c->arena, &name)))
        return false;
    uint8_t *at = arena_array(&c->arena, 2 * (name.len + 1), 1);
    if (!at) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return false;
    }
    if (name.len) {
        memcpy(at, name.data, name.len);
        memcpy(at + name.len + 1, name.data, name.len);
    }
    at[name.len] = '/';
    at[2 * name.len + 1] = '/' + 1;
    *ret = (struct key_range){bytes_of(at, name.len + 1), bytes_of(at + name.len + 1, name.len + 1)};
    return call_may_range(call, &(struct range_req){.range = *ret});
}

static void election_leader(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct key_range queue;
    struct leader_resp resp = {.revision = store_revision(c->store)};
    (void)now;
    if (!leader_queue(call, in, &queue))
        return;
    if (!store_queue_first(c->store, queue, &resp.kv)) {
        call_finish(call, GRPC_UNKNOWN, TEXT_NO_LEADER);
        return;
    }
    encode_leader_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

static void election_observe(struct core_call *call, bytes in, tn_ms now)
{
    struct key_range queue;
    (void)now;
    if (leader_queue(call, in, &queue))
        observe_start(call, queue);
}

#define METHOD(text, function)                                                                                         \
    {                                                                                                                  \
        .service = SERVICE, .name = text, .may_wait = true, .tells_text_alone = true, .on_message = function           \
    }
const struct core_method election_methods[] = {
    METHOD("Campaign", election_campaign),
    METHOD("Proclaim", election_proclaim),
    METHOD("Leader", election_leader),
    METHOD("Resign", election_resign),
    {.service = SERVICE,
     .name = "Observe",
     .is_stream = true,
     .is_asked_once = true,
     .tells_text_alone = true,
     .on_message = election_observe},
};
const size_t election_methods_len = ARRAY_LEN(election_methods);
