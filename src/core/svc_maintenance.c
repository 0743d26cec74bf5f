/* The Maintenance service: Status, with the alarms in etcd's words where etcd has them. */
#include "core/call.h"

#define SERVICE    "etcdserverpb.Maintenance"
#define ALARMS_MAX 3

static size_t alarms(struct core *c, bytes *ret)
{
    size_t n = 0;
    if (store_over_quota(c->store) || c->journal.writing == WRITING_FULL) {
        char *text = arena_printf(&c->arena, "memberID:%llu alarm:NOSPACE ", (unsigned long long)c->header.member_id);
        ret[n++] = bytes_str(text ? text : "alarm:NOSPACE ");
    }
    if (c->journal.writing == WRITING_FULL && store_lease_deadline(c->store) <= c->now)
        ret[n++] = bytes_str("tenure: no room on the disk to end leases that ran out, they end late");
    if (c->journal.writing == WRITING_OFF)
        ret[n++] = bytes_str("tenure: the disk failed, this server writes no more until restarted");
    return n;
}

static void maintenance_status(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    bytes errors[ALARMS_MAX];
    (void)now;
    if (!call_decoded(call, decode_status_req(in, &c->arena)))
        return;
    struct status_resp resp = {
        .header = c->header,
        .version = bytes_str(c->config.version),
        .db_size = c->file_bytes,
        .db_size_in_use = c->file_in_use,
        .db_size_quota = c->config.quota_bytes,
        .leader = c->header.member_id,
        .raft_index = (uint64_t)store_seq(c->store),
        .raft_term = CORE_RAFT_TERM,
        .raft_applied_index = (uint64_t)store_seq(c->store),
        .errors = errors,
        .n_errors = alarms(c, errors),
        .storage_version = bytes_str("3.7.0"),
    };
    resp.header.revision = store_revision(c->store);
    encode_status_resp(&resp, &c->out);
    call_reply(call, 0);
}

const struct core_method maintenance_methods[] = {
    {.service = SERVICE, .name = "Status", .may_wait = true, .on_message = maintenance_status},
};
const size_t maintenance_methods_len = ARRAY_LEN(maintenance_methods);
