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
#include "store/auth.h"

/* Who that is at that point in time: by token, else by certificate, else nobody (revision 0). INVALID_AUTH_TOKEN. The name
 * is borrowed until the next request. */
enum etcd_error auth_who(struct core_call *call, enum store_view v, struct auth_user *ret) MUST_USE;
/* A new token for that user, as it is at the durable state; in the arena. */
enum etcd_error auth_token_new(struct core *c, const struct store_user *u, tn_ms now, bytes *ret) MUST_USE;
/* Ends the call with that answer once the auth state that it was judged by is durable. */
void auth_refuse(struct core_call *call, enum etcd_error e);

/* ---- the answer as an error ---- */
/* A valid token (or certificate) is all that is asked: USER_EMPTY without one, INVALID_AUTH_TOKEN. */
enum etcd_error auth_authenticated(struct core_call *call);
/* The role root. */
enum etcd_error auth_admin(struct core_call *call);
/* The same for a change of users and roles, whose size is judged in between. */
enum etcd_error auth_change(struct core_call *call, size_t request_bytes);
/* Of writes the size is judged too, between the token and the permission: where etcd does. */
enum etcd_error auth_range(struct core_call *call, const struct range_req *req);
enum etcd_error auth_put(struct core_call *call, const struct put_req *req, size_t request_bytes);
enum etcd_error auth_delete(struct core_call *call, const struct delete_req *req, size_t request_bytes);
/* Compares and all operations on both paths, nested ones too. */
enum etcd_error auth_txn(struct core_call *call, const struct txn_req *req, size_t request_bytes);
/* Writing all keys that are attached to the lease. */
enum etcd_error auth_lease_revoke(struct core_call *call, tn_lease id);
enum etcd_error auth_lease_renew(struct core_call *call, tn_lease id);
/* Reading all keys that are attached to it, where they are asked for. */
enum etcd_error auth_lease_ttl(struct core_call *call, const struct lease_ttl_req *req);
enum etcd_error auth_lease_list(struct core_call *call);

/* ---- the same, ending the call when the answer is no ---- */
bool call_is_authenticated(struct core_call *call) MUST_USE;
bool call_is_admin(struct core_call *call) MUST_USE;
bool call_may_change_auth(struct core_call *call, size_t request_bytes) MUST_USE;
bool call_may_range(struct core_call *call, const struct range_req *req) MUST_USE;
bool call_may_put(struct core_call *call, const struct put_req *req, size_t request_bytes) MUST_USE;
bool call_may_delete(struct core_call *call, const struct delete_req *req, size_t request_bytes) MUST_USE;
bool call_may_txn(struct core_call *call, const struct txn_req *req, size_t request_bytes) MUST_USE;
bool call_may_revoke(struct core_call *call, tn_lease id) MUST_USE;
bool call_may_see_lease(struct core_call *call, const struct lease_ttl_req *req) MUST_USE;
bool call_may_list_leases(struct core_call *call) MUST_USE;

#endif
