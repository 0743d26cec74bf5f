/* The calls about members and their upkeep. Those that name an endpoint are answered by that one or fail, a member without a
 * leader too; a change is a write like others, so a lost answer is "maybe". */
#include "client/calls.h"

DECODE_INTO(member_add_answer, member_add_resp, member_add, decode_member_add_resp)
DECODE_INTO(members_answer, member_list_resp, members, decode_member_list_resp)
DECODE_INTO(alarms_answer, alarm_resp, alarms, decode_alarm_resp)
DECODE_INTO(hash_kv_answer, hash_kv_resp, hash_kv, decode_hash_kv_resp)

static int header_answer(bytes in, struct arena *a, struct client_result *r)
{
    return decode_header_resp(in, a, &r->header);
}

static int hash_answer(bytes in, struct arena *a, struct client_result *r)
{
    return decode_hash_resp(in, a, &r->header, &r->hash);
}

static int version_answer(bytes in, struct arena *a, struct client_result *r)
{
    return decode_downgrade_resp(in, a, &r->header, &r->version);
}

static int text_answer(bytes in, struct arena *a, struct client_result *r)
{
    (void)a;
    r->message = in;
    return 0;
}

#define CLUSTER(name)     .path = "/etcdserverpb.Cluster/" name
#define MAINTENANCE(name) .path = "/etcdserverpb.Maintenance/" name

static const struct call_kind kinds[] = {
    [CLIENT_MEMBER_ADD] = {CLUSTER("MemberAdd"), .is_write = true, .decode = member_add_answer},
    [CLIENT_MEMBER_REMOVE] = {CLUSTER("MemberRemove"), .is_write = true, .decode = members_answer},
    [CLIENT_MEMBER_UPDATE] = {CLUSTER("MemberUpdate"), .is_write = true, .decode = members_answer},
    [CLIENT_MEMBER_PROMOTE] = {CLUSTER("MemberPromote"), .is_write = true, .decode = members_answer},
    [CLIENT_ALARM_LIST] = {MAINTENANCE("Alarm"), .decode = alarms_answer},
    [CLIENT_ALARM_RAISE] = {MAINTENANCE("Alarm"), .is_write = true, .decode = alarms_answer},
    [CLIENT_ALARM_DISARM] = {MAINTENANCE("Alarm"), .is_write = true, .decode = alarms_answer},
    [CLIENT_DEFRAGMENT] = {MAINTENANCE("Defragment"), .no_leader_needed = true, .decode = header_answer},
    [CLIENT_HASH] = {MAINTENANCE("Hash"), .no_leader_needed = true, .decode = hash_answer},
    [CLIENT_HASH_KV] = {MAINTENANCE("HashKV"), .no_leader_needed = true, .decode = hash_kv_answer},
    [CLIENT_MOVE_LEADER] = {MAINTENANCE("MoveLeader"), .is_write = true, .decode = header_answer},
    [CLIENT_REPLICA_STATUS] = {.path = "/tenure.Replica/Status", .no_leader_needed = true, .decode = text_answer},
    [CLIENT_DOWNGRADE] = {MAINTENANCE("Downgrade"), .is_write = true, .decode = version_answer},
};

static void encode_alarm(const struct client_admin_req *r, struct buf *out)
{
    struct alarm_req req = {.alarm = r->alarm};
    req.action = r->kind == CLIENT_ALARM_LIST    ? ALARM_GET
                 : r->kind == CLIENT_ALARM_RAISE ? ALARM_ACTIVATE
                                                 : ALARM_DEACTIVATE;
    encode_alarm_req(&req, out);
}

static void encode(const struct client_admin_req *r, struct buf *out)
{
    switch (r->kind) {
    case CLIENT_MEMBER_ADD:
        encode_member_add_req(&r->member_add, out);
        break;
    case CLIENT_MEMBER_UPDATE:
        encode_member_update_req(&r->member_update, out);
        break;
    case CLIENT_MEMBER_REMOVE:
    case CLIENT_MEMBER_PROMOTE:
        encode_member_id_req(r->id, out);
        break;
    case CLIENT_ALARM_LIST:
    case CLIENT_ALARM_RAISE:
    case CLIENT_ALARM_DISARM:
        encode_alarm(r, out);
        break;
    case CLIENT_DEFRAGMENT:
    case CLIENT_HASH:
    case CLIENT_REPLICA_STATUS:
        encode_maintenance_empty_req(out);
        break;
    case CLIENT_HASH_KV:
        encode_hash_kv_req(r->revision, out);
        break;
    case CLIENT_MOVE_LEADER:
        encode_move_leader_req(r->id, out);
        break;
    case CLIENT_DOWNGRADE:
        encode_downgrade_req(&r->downgrade, out);
        break;
    }
}

struct client_call *client_admin(struct client *c, const struct client_admin_req *req,
                                 const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                 struct tenure_error *err)
{
    struct client_call *call = client_call_new_at(c, req->endpoint, &kinds[req->kind], opt, cb, user, err);
    if (!call)
        return NULL;
    if (req->kind == CLIENT_ALARM_RAISE || req->kind == CLIENT_ALARM_DISARM)
        call->repeatable = true;
    if (req->kind == CLIENT_DOWNGRADE)
        call->is_write = req->downgrade.action != DOWNGRADE_VALIDATE;
    encode(req, &call->request);
    return call_submit(c, call, now, err);
}
