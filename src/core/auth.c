/* See auth.h. There is no authentication yet: everybody may do everything. */
#include "core/auth.h"

enum etcd_error auth_authenticated(struct core_call *call)
{
    (void)call;
    return ETCD_OK;
}

enum etcd_error auth_admin(struct core_call *call)
{
    (void)call;
    return ETCD_OK;
}

enum etcd_error auth_range(struct core_call *call, const struct range_req *req)
{
    (void)call, (void)req;
    return ETCD_OK;
}

enum etcd_error auth_put(struct core_call *call, const struct put_req *req)
{
    (void)call, (void)req;
    return ETCD_OK;
}

enum etcd_error auth_delete(struct core_call *call, const struct delete_req *req)
{
    (void)call, (void)req;
    return ETCD_OK;
}

enum etcd_error auth_txn(struct core_call *call, const struct txn_req *req)
{
    (void)call, (void)req;
    return ETCD_OK;
}

enum etcd_error auth_lease_revoke(struct core_call *call, tn_lease id)
{
    (void)call, (void)id;
    return ETCD_OK;
}

enum etcd_error auth_lease_renew(struct core_call *call, tn_lease id)
{
    (void)call, (void)id;
    return ETCD_OK;
}

enum etcd_error auth_lease_ttl(struct core_call *call, const struct lease_ttl_req *req)
{
    (void)call, (void)req;
    return ETCD_OK;
}

enum etcd_error auth_lease_list(struct core_call *call)
{
    (void)call;
    return ETCD_OK;
}

static bool passes(struct core_call *call, enum etcd_error e)
{
    if (e == ETCD_OK)
        return true;
    call_fail(call, e);
    return false;
}

bool call_is_authenticated(struct core_call *call)
{
    return passes(call, auth_authenticated(call));
}

bool call_is_admin(struct core_call *call)
{
    return passes(call, auth_admin(call));
}

bool call_may_range(struct core_call *call, const struct range_req *req)
{
    return passes(call, auth_range(call, req));
}

bool call_may_put(struct core_call *call, const struct put_req *req)
{
    return passes(call, auth_put(call, req));
}

bool call_may_delete(struct core_call *call, const struct delete_req *req)
{
    return passes(call, auth_delete(call, req));
}

bool call_may_txn(struct core_call *call, const struct txn_req *req)
{
    return passes(call, auth_txn(call, req));
}
