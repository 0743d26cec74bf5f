/* Who makes a call, and what that one may do, in etcd's order of checks. All of it is "yes" while authentication is off,
 * for the price of reading one flag.
 *
 * Two points in time, as everywhere: what may write is judged by the planned state, and a refusal waits until that is
 * durable; what reads keys is judged by the durable state, at once.
 *
 * Each check comes in two forms: auth_… answers the error (for services that tell it in words of their own, as Watch,
 * Lock and Election do), call_may_… ends the call with it. */
#ifndef CORE_AUTH_H
#define CORE_AUTH_H

#include "core/call.h"

/* ---- the answer as an error ---- */
/* A valid token (or certificate) is all that is asked: USER_EMPTY without one, INVALID_AUTH_TOKEN. */
enum etcd_error auth_authenticated(struct core_call *call);
/* The role root. */
enum etcd_error auth_admin(struct core_call *call);
enum etcd_error auth_range(struct core_call *call, const struct range_req *req);
enum etcd_error auth_put(struct core_call *call, const struct put_req *req);
enum etcd_error auth_delete(struct core_call *call, const struct delete_req *req);
/* Compares and all operations on both paths, nested ones too. */
enum etcd_error auth_txn(struct core_call *call, const struct txn_req *req);
/* Writing all keys that are attached to the lease. */
enum etcd_error auth_lease_revoke(struct core_call *call, tn_lease id);
enum etcd_error auth_lease_renew(struct core_call *call, tn_lease id);
/* Reading all keys that are attached to it, where they are asked for. */
enum etcd_error auth_lease_ttl(struct core_call *call, const struct lease_ttl_req *req);
enum etcd_error auth_lease_list(struct core_call *call);

/* ---- the same, ending the call when the answer is no ---- */
bool call_is_authenticated(struct core_call *call) MUST_USE;
bool call_is_admin(struct core_call *call) MUST_USE;
bool call_may_range(struct core_call *call, const struct range_req *req) MUST_USE;
bool call_may_put(struct core_call *call, const struct put_req *req) MUST_USE;
bool call_may_delete(struct core_call *call, const struct delete_req *req) MUST_USE;
bool call_may_txn(struct core_call *call, const struct txn_req *req) MUST_USE;

#endif
