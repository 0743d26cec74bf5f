#include "core/queue_steps.h"

#include "core/auth.h"

#define TTL_S 60 /* of a lease that nobody keeps alive */

bool queue_lease(struct core_call *call, tn_lease asked, tn_ms now, tn_lease *ret, bool *ret_made)
{
    struct core *c = call->core;
    struct lease_grant_resp resp;
    tn_seq seq = 0;
    *ret = asked;
    *ret_made = false;
    if (asked != 0)
        return true;
    if (!call_is_authenticated(call))
        return false;
    enum etcd_error e = store_lease_grant(c->store, &(struct lease_grant_req){.ttl_s = TTL_S}, now, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_write(call, e, seq, now);
        return false;
    }
    journal_planned(c, WRITE_GROWS);
    if (c->config.lease_store)
        c->config.lease_store(c->config.user, resp.id, now + resp.ttl_s * 1000);
    *ret = resp.id;
    *ret_made = true;
    return true;
}

void queue_lease_back(struct core *c, tn_lease made)
{
    struct lease_revoke_resp resp;
    tn_seq seq;
    if (store_lease_revoke(c->store, &(struct lease_revoke_req){made}, &resp, &seq) != ETCD_OK)
        return; /* it ends by itself */
    journal_planned(c, WRITE_FREES);
    if (c->config.lease_forget)
        c->config.lease_forget(c->config.user, made);
}

bool queue_txn(struct core_call *call, const struct txn_req *req, tn_ms now, struct txn_resp *ret, tn_seq *seq)
{
    struct core *c = call->core;
    *seq = 0;
    if (!call_may_txn(call, req, 0))
        return false;
    enum etcd_error e = store_txn(c->store, req, &c->arena, ret, seq);
    if (e != ETCD_OK) {
        call_fail_write(call, e, *seq, now);
        return false;
    }
    journal_planned(c, WRITE_GROWS);
    return true;
}
