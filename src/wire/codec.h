/* Codecs: protobuf messages <-> the structs of api. The only file besides the generated ones that knows protobuf.
 *
 * Decoders take a whole message, put what they need into the arena (strings are copied or borrow `in`: in must
 * outlive the result) and answer 0, TENURE_EPROTOCOL (malformed, or nested deeper than CODEC_DEPTH_MAX, which is
 * checked before protobuf-c unpacks, because it has no limit of its own) or TENURE_ENOMEM. Encoders append to a buf
 * and leave errors in it (buf_error). Unknown fields are ignored. Pure.
 */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H

#include "api/auth.h"
#include "api/cluster.h"
#include "api/kv.h"
#include "api/lease.h"
#include "api/lock.h"
#include "api/maintenance.h"
#include "api/watch.h"
#include "base/arena.h"
#include "base/buf.h"

#define CODEC_DEPTH_MAX 64

/* ---- KV: server side ---- */
int decode_range_req(bytes in, struct arena *a, struct range_req *ret) MUST_USE;
int decode_put_req(bytes in, struct arena *a, struct put_req *ret) MUST_USE;
int decode_delete_req(bytes in, struct arena *a, struct delete_req *ret) MUST_USE;
int decode_txn_req(bytes in, struct arena *a, struct txn_req *ret) MUST_USE;
int decode_compact_req(bytes in, struct arena *a, struct compact_req *ret) MUST_USE;
/* header gives the ids and the term; the revision in it is replaced by the response's. Inside a transaction the inner
 * headers carry the revision only; that of a nested transaction is empty but present. */
void encode_range_resp(const struct response_header *h, const struct range_resp *r, struct buf *out);
/* One message of RangeStream; h NULL = without a header, as all but the last. bytes_hint: about how long it will be. */
void encode_range_stream_resp(const struct response_header *h, const struct range_resp *r, size_t bytes_hint,
                              struct buf *out);
void encode_put_resp(const struct response_header *h, const struct put_resp *r, struct buf *out);
void encode_delete_resp(const struct response_header *h, const struct delete_resp *r, struct buf *out);
void encode_txn_resp(const struct response_header *h, const struct txn_resp *r, struct buf *out);
void encode_compact_resp(const struct response_header *h, const struct compact_resp *r, struct buf *out);

/* ---- KV: client side ---- */
void encode_range_req(const struct range_req *r, struct buf *out);
void encode_put_req(const struct put_req *r, struct buf *out);
void encode_delete_req(const struct delete_req *r, struct buf *out);
void encode_txn_req(const struct txn_req *r, struct buf *out);
void encode_compact_req(const struct compact_req *r, struct buf *out);
int decode_range_resp(bytes in, struct arena *a, struct response_header *h, struct range_resp *ret) MUST_USE;
int decode_range_stream_resp(bytes in, struct arena *a, struct response_header *h, struct range_resp *ret) MUST_USE;
int decode_put_resp(bytes in, struct arena *a, struct response_header *h, struct put_resp *ret) MUST_USE;
int decode_delete_resp(bytes in, struct arena *a, struct response_header *h, struct delete_resp *ret) MUST_USE;
int decode_txn_resp(bytes in, struct arena *a, struct response_header *h, struct txn_resp *ret) MUST_USE;
int decode_compact_resp(bytes in, struct arena *a, struct response_header *h, struct compact_resp *ret) MUST_USE;

/* ---- Watch ---- */
int decode_watch_req(bytes in, struct arena *a, struct watch_req *ret) MUST_USE;
void encode_watch_req(const struct watch_req *r, struct buf *out);
/* One event as the field `events` of a WatchResponse, tag and length included: encoded once, appended to the head of
 * each watcher's response. */
void encode_event_field(const struct event *e, struct buf *out);
/* A WatchResponse; r->events may be empty when encoded event fields follow. */
void encode_watch_resp(const struct watch_resp *r, struct buf *out);
int decode_watch_resp(bytes in, struct arena *a, struct watch_resp *ret) MUST_USE;

/* ---- Lease ---- */
int decode_lease_grant_req(bytes in, struct arena *a, struct lease_grant_req *ret) MUST_USE;
int decode_lease_revoke_req(bytes in, struct arena *a, struct lease_revoke_req *ret) MUST_USE;
int decode_lease_keepalive_req(bytes in, struct arena *a, struct lease_keepalive_req *ret) MUST_USE;
int decode_lease_ttl_req(bytes in, struct arena *a, struct lease_ttl_req *ret) MUST_USE;
int decode_lease_list_req(bytes in, struct arena *a) MUST_USE;
void encode_lease_grant_resp(const struct response_header *h, const struct lease_grant_resp *r, struct buf *out);
void encode_lease_revoke_resp(const struct response_header *h, const struct lease_revoke_resp *r, struct buf *out);
void encode_lease_keepalive_resp(const struct response_header *h, const struct lease_keepalive_resp *r,
                                 struct buf *out);
void encode_lease_ttl_resp(const struct response_header *h, const struct lease_ttl_resp *r, struct buf *out);
void encode_lease_list_resp(const struct response_header *h, const struct lease_list_resp *r, struct buf *out);
void encode_lease_grant_req(const struct lease_grant_req *r, struct buf *out);
void encode_lease_revoke_req(const struct lease_revoke_req *r, struct buf *out);
void encode_lease_keepalive_req(const struct lease_keepalive_req *r, struct buf *out);
void encode_lease_ttl_req(const struct lease_ttl_req *r, struct buf *out);
void encode_lease_list_req(struct buf *out);
int decode_lease_grant_resp(bytes in, struct arena *a, struct response_header *h, struct lease_grant_resp *ret)
    MUST_USE;
int decode_lease_revoke_resp(bytes in, struct arena *a, struct response_header *h, struct lease_revoke_resp *ret)
    MUST_USE;
int decode_lease_keepalive_resp(bytes in, struct arena *a, struct response_header *h, struct lease_keepalive_resp *ret)
    MUST_USE;
int decode_lease_ttl_resp(bytes in, struct arena *a, struct response_header *h, struct lease_ttl_resp *ret) MUST_USE;
int decode_lease_list_resp(bytes in, struct arena *a, struct response_header *h, struct lease_list_resp *ret) MUST_USE;

/* ---- Lock, Election ---- */
int decode_lock_req(bytes in, struct arena *a, struct lock_req *ret) MUST_USE;
void encode_lock_req(const struct lock_req *r, struct buf *out);
void encode_lock_resp(const struct response_header *h, const struct lock_resp *r, struct buf *out);
int decode_lock_resp(bytes in, struct arena *a, struct response_header *h, struct lock_resp *ret) MUST_USE;
int decode_unlock_req(bytes in, struct arena *a, bytes *ret_key) MUST_USE;
void encode_unlock_req(bytes key, struct buf *out);
int decode_campaign_req(bytes in, struct arena *a, struct campaign_req *ret) MUST_USE;
void encode_campaign_req(const struct campaign_req *r, struct buf *out);
void encode_campaign_resp(const struct response_header *h, const struct campaign_resp *r, struct buf *out);
int decode_campaign_resp(bytes in, struct arena *a, struct response_header *h, struct campaign_resp *ret) MUST_USE;
int decode_proclaim_req(bytes in, struct arena *a, struct proclaim_req *ret) MUST_USE;
void encode_proclaim_req(const struct proclaim_req *r, struct buf *out);
int decode_resign_req(bytes in, struct arena *a, struct resign_req *ret) MUST_USE;
void encode_resign_req(const struct resign_req *r, struct buf *out);
/* Both of Leader and of Observe. */
int decode_leader_req(bytes in, struct arena *a, bytes *ret_name) MUST_USE;
void encode_leader_req(bytes name, struct buf *out);
void encode_leader_resp(const struct response_header *h, const struct leader_resp *r, struct buf *out);
int decode_leader_resp(bytes in, struct arena *a, struct response_header *h, struct leader_resp *ret) MUST_USE;
/* What Unlock, Proclaim and Resign answer: a header alone. */
void encode_header_resp(const struct response_header *h, tn_rev revision, struct buf *out);
int decode_header_resp(bytes in, struct arena *a, struct response_header *h) MUST_USE;

/* ---- Cluster, Maintenance, health ---- */
int decode_member_list_req(bytes in, struct arena *a, bool *ret_linearizable) MUST_USE;
void encode_member_list_req(bool linearizable, struct buf *out);
void encode_member_list_resp(const struct response_header *h, const struct member_list_resp *r, struct buf *out);
int decode_member_list_resp(bytes in, struct arena *a, struct response_header *h, struct member_list_resp *ret)
    MUST_USE;
int decode_member_add_req(bytes in, struct arena *a, struct member_add_req *ret) MUST_USE;
int decode_member_update_req(bytes in, struct arena *a, struct member_update_req *ret) MUST_USE;
int decode_member_remove_req(bytes in, struct arena *a, uint64_t *ret_id) MUST_USE;
int decode_member_promote_req(bytes in, struct arena *a, uint64_t *ret_id) MUST_USE;
void encode_member_add_req(const struct member_add_req *r, struct buf *out);
void encode_member_update_req(const struct member_update_req *r, struct buf *out);
int decode_member_add_resp(bytes in, struct arena *a, struct response_header *h, struct member_add_resp *ret) MUST_USE;
/* Both to remove and to promote. The responses of all but an addition are those of MemberList. */
void encode_member_id_req(uint64_t id, struct buf *out);
int decode_status_req(bytes in, struct arena *a) MUST_USE;
void encode_status_req(struct buf *out);
void encode_status_resp(const struct status_resp *r, struct buf *out);
int decode_status_resp(bytes in, struct arena *a, struct status_resp *ret) MUST_USE;
int decode_alarm_req(bytes in, struct arena *a, struct alarm_req *ret) MUST_USE;
void encode_alarm_req(const struct alarm_req *r, struct buf *out);
void encode_alarm_resp(const struct response_header *h, const struct alarm_resp *r, struct buf *out);
int decode_alarm_resp(bytes in, struct arena *a, struct response_header *h, struct alarm_resp *ret) MUST_USE;
int decode_hash_req(bytes in, struct arena *a) MUST_USE;
void encode_hash_resp(const struct response_header *h, tn_rev revision, uint32_t hash, struct buf *out);
int decode_hash_resp(bytes in, struct arena *a, struct response_header *h, uint32_t *ret_hash) MUST_USE;
int decode_hash_kv_req(bytes in, struct arena *a, tn_rev *ret_revision) MUST_USE;
void encode_hash_kv_req(tn_rev revision, struct buf *out);
void encode_hash_kv_resp(const struct response_header *h, const struct hash_kv_resp *r, struct buf *out);
int decode_hash_kv_resp(bytes in, struct arena *a, struct response_header *h, struct hash_kv_resp *ret) MUST_USE;
int decode_defragment_req(bytes in, struct arena *a) MUST_USE;
/* Hash and Defragment. */
void encode_maintenance_empty_req(struct buf *out);
int decode_move_leader_req(bytes in, struct arena *a, uint64_t *ret_target) MUST_USE;
void encode_move_leader_req(uint64_t target, struct buf *out);
int decode_downgrade_req(bytes in, struct arena *a, struct downgrade_req *ret) MUST_USE;
void encode_downgrade_req(const struct downgrade_req *r, struct buf *out);
void encode_downgrade_resp(const struct response_header *h, tn_rev revision, bytes version, struct buf *out);
int decode_downgrade_resp(bytes in, struct arena *a, struct response_header *h, bytes *ret_version) MUST_USE;
int decode_snapshot_req(bytes in, struct arena *a) MUST_USE;
void encode_snapshot_req(struct buf *out);
void encode_snapshot_resp(const struct snapshot_resp *r, struct buf *out);
int decode_snapshot_resp(bytes in, struct arena *a, struct snapshot_resp *ret) MUST_USE;
int decode_health_req(bytes in, struct arena *a, bytes *ret_service) MUST_USE;
void encode_health_req(bytes service, struct buf *out);
void encode_health_resp(enum health_status s, struct buf *out);
int decode_health_resp(bytes in, struct arena *a, enum health_status *ret) MUST_USE;

/* ---- Auth ---- */
/* AuthEnable, AuthDisable, AuthStatus, UserList, RoleList. */
int decode_auth_empty_req(bytes in, struct arena *a) MUST_USE;
void encode_auth_empty_req(struct buf *out);
/* UserGet, UserDelete, RoleAdd, RoleGet, RoleDelete. */
int decode_auth_name_req(bytes in, struct arena *a, bytes *ret) MUST_USE;
void encode_auth_name_req(bytes name, struct buf *out);
/* UserGrantRole, UserRevokeRole. */
int decode_user_role_req(bytes in, struct arena *a, struct user_role_req *ret) MUST_USE;
void encode_user_role_req(const struct user_role_req *r, struct buf *out);
int decode_authenticate_req(bytes in, struct arena *a, struct authenticate_req *ret) MUST_USE;
void encode_authenticate_req(const struct authenticate_req *r, struct buf *out);
int decode_user_add_req(bytes in, struct arena *a, struct user_add_req *ret) MUST_USE;
void encode_user_add_req(const struct user_add_req *r, struct buf *out);
int decode_user_password_req(bytes in, struct arena *a, struct user_password_req *ret) MUST_USE;
void encode_user_password_req(const struct user_password_req *r, struct buf *out);
int decode_role_grant_req(bytes in, struct arena *a, struct role_grant_req *ret) MUST_USE;
void encode_role_grant_req(const struct role_grant_req *r, struct buf *out);
int decode_role_revoke_req(bytes in, struct arena *a, struct role_revoke_req *ret) MUST_USE;
void encode_role_revoke_req(const struct role_revoke_req *r, struct buf *out);
/* Those that answer nothing but a header. */
void encode_auth_done_resp(const struct response_header *h, tn_rev revision, struct buf *out);
int decode_auth_done_resp(bytes in, struct arena *a, struct response_header *h, tn_rev *ret_revision) MUST_USE;
void encode_auth_status_resp(const struct response_header *h, const struct auth_status_resp *r, struct buf *out);
int decode_auth_status_resp(bytes in, struct arena *a, struct response_header *h, struct auth_status_resp *ret)
    MUST_USE;
void encode_authenticate_resp(const struct response_header *h, const struct authenticate_resp *r, struct buf *out);
int decode_authenticate_resp(bytes in, struct arena *a, struct response_header *h, struct authenticate_resp *ret)
    MUST_USE;
/* UserGet, UserList, RoleList. */
void encode_auth_names_resp(const struct response_header *h, const struct auth_names_resp *r, struct buf *out);
int decode_auth_names_resp(bytes in, struct arena *a, struct response_header *h, struct auth_names_resp *ret) MUST_USE;
void encode_role_get_resp(const struct response_header *h, const struct role_get_resp *r, struct buf *out);
int decode_role_get_resp(bytes in, struct arena *a, struct response_header *h, struct role_get_resp *ret) MUST_USE;

#endif
