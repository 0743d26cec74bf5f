/* The table of paths: all services of etcd 3.7 that have any, with the additional bindings. What of it is not served the core
 * says; here everything is named. */
#include "http/routes.h"

#include "rpc.pb-c.h"
#include "v3election.pb-c.h"
#include "v3lock.pb-c.h"

#define ROUTE(kind_, path_, rpc_, package, req, resp)                                                                  \
    {                                                                                                                  \
        .path = (path_), .rpc = (rpc_), .kind = ROUTE_##kind_, .request = &package##__##req##__descriptor,             \
        .response = &package##__##resp##__descriptor                                                                   \
    }
#define ETCD(kind_, path_, rpc_, req, resp) ROUTE(kind_, path_, "/etcdserverpb." rpc_, etcdserverpb, req, resp)
#define LOCK(kind_, path_, rpc_, req, resp) ROUTE(kind_, path_, "/v3lockpb.Lock/" rpc_, v3lockpb, req, resp)
#define ELECTION(kind_, path_, rpc_, req, resp)                                                                        \
    ROUTE(kind_, path_, "/v3electionpb.Election/" rpc_, v3electionpb, req, resp)

static const struct route routes[] = {
    ETCD(UNARY, "/v3/kv/range", "KV/Range", range_request, range_response),
    ETCD(UNARY, "/v3/kv/put", "KV/Put", put_request, put_response),
    ETCD(UNARY, "/v3/kv/deleterange", "KV/DeleteRange", delete_range_request, delete_range_response),
    ETCD(UNARY, "/v3/kv/txn", "KV/Txn", txn_request, txn_response),
    ETCD(UNARY, "/v3/kv/compaction", "KV/Compact", compaction_request, compaction_response),
    ETCD(BOTH_STREAM, "/v3/watch", "Watch/Watch", watch_request, watch_response),
    ETCD(UNARY, "/v3/lease/grant", "Lease/LeaseGrant", lease_grant_request, lease_grant_response),
    ETCD(UNARY, "/v3/lease/revoke", "Lease/LeaseRevoke", lease_revoke_request, lease_revoke_response),
    ETCD(UNARY, "/v3/kv/lease/revoke", "Lease/LeaseRevoke", lease_revoke_request, lease_revoke_response),
    ETCD(BOTH_STREAM, "/v3/lease/keepalive", "Lease/LeaseKeepAlive", lease_keep_alive_request,
         lease_keep_alive_response),
    ETCD(UNARY, "/v3/lease/timetolive", "Lease/LeaseTimeToLive", lease_time_to_live_request,
         lease_time_to_live_response),
    ETCD(UNARY, "/v3/kv/lease/timetolive", "Lease/LeaseTimeToLive", lease_time_to_live_request,
         lease_time_to_live_response),
    ETCD(UNARY, "/v3/lease/leases", "Lease/LeaseLeases", lease_leases_request, lease_leases_response),
    ETCD(UNARY, "/v3/kv/lease/leases", "Lease/LeaseLeases", lease_leases_request, lease_leases_response),
    ETCD(UNARY, "/v3/cluster/member/add", "Cluster/MemberAdd", member_add_request, member_add_response),
    ETCD(UNARY, "/v3/cluster/member/remove", "Cluster/MemberRemove", member_remove_request, member_remove_response),
    ETCD(UNARY, "/v3/cluster/member/update", "Cluster/MemberUpdate", member_update_request, member_update_response),
    ETCD(UNARY, "/v3/cluster/member/list", "Cluster/MemberList", member_list_request, member_list_response),
    ETCD(UNARY, "/v3/cluster/member/promote", "Cluster/MemberPromote", member_promote_request, member_promote_response),
    ETCD(UNARY, "/v3/maintenance/alarm", "Maintenance/Alarm", alarm_request, alarm_response),
    ETCD(UNARY, "/v3/maintenance/status", "Maintenance/Status", status_request, status_response),
    ETCD(UNARY, "/v3/maintenance/defragment", "Maintenance/Defragment", defragment_request, defragment_response),
    ETCD(UNARY, "/v3/maintenance/hash", "Maintenance/Hash", hash_request, hash_response),
    ETCD(UNARY, "/v3/maintenance/hashkv", "Maintenance/HashKV", hash_kvrequest, hash_kvresponse),
    ETCD(SERVER_STREAM, "/v3/maintenance/snapshot", "Maintenance/Snapshot", snapshot_request, snapshot_response),
    ETCD(UNARY, "/v3/maintenance/transfer-leadership", "Maintenance/MoveLeader", move_leader_request,
         move_leader_response),
    ETCD(UNARY, "/v3/maintenance/downgrade", "Maintenance/Downgrade", downgrade_request, downgrade_response),
    ETCD(UNARY, "/v3/auth/enable", "Auth/AuthEnable", auth_enable_request, auth_enable_response),
    ETCD(UNARY, "/v3/auth/disable", "Auth/AuthDisable", auth_disable_request, auth_disable_response),
    ETCD(UNARY, "/v3/auth/status", "Auth/AuthStatus", auth_status_request, auth_status_response),
    ETCD(UNARY, "/v3/auth/authenticate", "Auth/Authenticate", authenticate_request, authenticate_response),
    ETCD(UNARY, "/v3/auth/user/add", "Auth/UserAdd", auth_user_add_request, auth_user_add_response),
    ETCD(UNARY, "/v3/auth/user/get", "Auth/UserGet", auth_user_get_request, auth_user_get_response),
    ETCD(UNARY, "/v3/auth/user/list", "Auth/UserList", auth_user_list_request, auth_user_list_response),
    ETCD(UNARY, "/v3/auth/user/delete", "Auth/UserDelete", auth_user_delete_request, auth_user_delete_response),
    ETCD(UNARY, "/v3/auth/user/changepw", "Auth/UserChangePassword", auth_user_change_password_request,
         auth_user_change_password_response),
    ETCD(UNARY, "/v3/auth/user/grant", "Auth/UserGrantRole", auth_user_grant_role_request,
         auth_user_grant_role_response),
    ETCD(UNARY, "/v3/auth/user/revoke", "Auth/UserRevokeRole", auth_user_revoke_role_request,
         auth_user_revoke_role_response),
    ETCD(UNARY, "/v3/auth/role/add", "Auth/RoleAdd", auth_role_add_request, auth_role_add_response),
    ETCD(UNARY, "/v3/auth/role/get", "Auth/RoleGet", auth_role_get_request, auth_role_get_response),
    ETCD(UNARY, "/v3/auth/role/list", "Auth/RoleList", auth_role_list_request, auth_role_list_response),
    ETCD(UNARY, "/v3/auth/role/delete", "Auth/RoleDelete", auth_role_delete_request, auth_role_delete_response),
    ETCD(UNARY, "/v3/auth/role/grant", "Auth/RoleGrantPermission", auth_role_grant_permission_request,
         auth_role_grant_permission_response),
    ETCD(UNARY, "/v3/auth/role/revoke", "Auth/RoleRevokePermission", auth_role_revoke_permission_request,
         auth_role_revoke_permission_response),
    LOCK(UNARY, "/v3/lock/lock", "Lock", lock_request, lock_response),
    LOCK(UNARY, "/v3/lock/unlock", "Unlock", unlock_request, unlock_response),
    ELECTION(UNARY, "/v3/election/campaign", "Campaign", campaign_request, campaign_response),
    ELECTION(UNARY, "/v3/election/proclaim", "Proclaim", proclaim_request, proclaim_response),
    ELECTION(UNARY, "/v3/election/leader", "Leader", leader_request, leader_response),
    ELECTION(SERVER_STREAM, "/v3/election/observe", "Observe", leader_request, leader_response),
    ELECTION(UNARY, "/v3/election/resign", "Resign", resign_request, resign_response),
};

const struct route *route_find(bytes path)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (bytes_equal(path, bytes_str(routes[i].path)))
            return &routes[i];
    }
    return NULL;
}

const struct route *route_list(size_t *ret_n)
{
    *ret_n = ARRAY_LEN(routes);
    return routes;
}
