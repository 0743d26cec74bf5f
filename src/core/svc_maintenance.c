/* The Maintenance service but for what works in slices (svc_hash.c): Status, alarms, and what is asked of a cluster.
 *
 * Alarms are rows of the log, so they come in order with what they refuse and outlive a restart. Whoever finds the quota
 * used up raises NOSPACE, as in etcd, and it stands until it is disarmed. What the disk does (full, failed) shows in
 * Status beside them, while it lasts.
 */
#include <stdio.h>

#include "core/auth.h"
#include "core/version.h"

#define SERVICE        "etcdserverpb.Maintenance"
#define DISK_TEXTS_MAX 3

/* ---- Status ---- */

static bytes alarm_text(struct core *c, const struct alarm *alarm)
{
    char member[48] = "", type[32] = "";
    if (alarm->member_id)
        snprintf(member, sizeof member, "memberID:%llu%s", (unsigned long long)alarm->member_id,
                 alarm->type == ALARM_NONE ? "" : " ");
    if (alarm->type == ALARM_NOSPACE || alarm->type == ALARM_CORRUPT)
        snprintf(type, sizeof type, "alarm:%s", alarm->type == ALARM_NOSPACE ? "NOSPACE" : "CORRUPT");
    else if (alarm->type != ALARM_NONE)
        snprintf(type, sizeof type, "alarm:%d", alarm->type);
    char *text = arena_printf(&c->arena, "%s%s", member, type);
    return bytes_str(text ? text : "alarm:NOSPACE");
}

static size_t disk_texts(struct core *c, bool alarmed, bytes *ret)
{
    size_t n = 0;
    bool full = c->journal.writing == WRITING_FULL;
    if (!alarmed && full)
        ret[n++] = alarm_text(c, &(struct alarm){c->header.member_id, ALARM_NOSPACE});
    if (full && store_lease_deadline(c->store) <= c->now)
        ret[n++] = bytes_str("tenure: no room on the disk to end leases that ran out, they end late");
    if (c->journal.writing == WRITING_OFF)
        ret[n++] = bytes_str("tenure: the disk failed, this server writes no more until restarted");
    return n;
}

/* The texts of what is wrong; false: no memory. */
static bool status_errors(struct core *c, struct status_resp *resp)
{
    struct alarm *alarms;
    size_t n;
    bool own_nospace = false;
    if (store_alarms(c->store, &c->arena, &alarms, &n) != ETCD_OK)
        return false;
    resp->errors = arena_array(&c->arena, n + DISK_TEXTS_MAX, sizeof *resp->errors);
    if (!resp->errors)
        return false;
    for (size_t i = 0; i < n; i++) {
        resp->errors[i] = alarm_text(c, &alarms[i]);
        own_nospace |= alarms[i].type == ALARM_NOSPACE && alarms[i].member_id == c->header.member_id;
    }
    resp->n_errors = n + disk_texts(c, own_nospace, resp->errors + n);
    return true;
}

static void maintenance_status(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    (void)now;
    if (!call_decoded(call, decode_status_req(in, &c->arena)) || !call_is_authenticated(call))
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
        .storage_version = bytes_str("3.7.0"),
        .has_downgrade = true,
    };
    if (!status_errors(c, &resp)) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    resp.header.revision = store_revision(c->store);
    encode_status_resp(&resp, &c->out);
    call_reply(call, 0);
}

/* ---- alarms ---- */

static void maintenance_alarm(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct alarm_req req;
    struct alarm_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_alarm_req(in, &c->arena, &req)))
        return;
    if (!(req.action == ALARM_GET ? call_is_authenticated(call) : call_is_admin(call)))
        return;
    if (req.action < ALARM_GET || req.action > ALARM_DEACTIVATE) {
        call_finish(call, GRPC_UNKNOWN, "etcdserver: unknown method"); /* etcd itself is said to end here */
        return;
    }
    bool taken = req.action == ALARM_GET ? call_may_wait(call) : call_may_write(call, in.len, WRITE_FREES, now);
    if (!taken)
        return;
    enum etcd_error e = store_alarm(c->store, &req, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_FREES);
    encode_alarm_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

/* The error of a write, and with it the alarm that it raises: the quota stays used up until somebody has looked. */
void call_fail_write(struct core_call *call, enum etcd_error e, tn_seq seq, tn_ms now)
{
    struct core *c = call->core;
    struct alarm_req req = {.action = ALARM_ACTIVATE, .alarm = {c->header.member_id, ALARM_NOSPACE}};
    struct alarm_resp resp;
    tn_seq raised = 0;
    bool raise = e == ETCD_NO_SPACE && !store_alarmed(c->store, ALARM_NOSPACE) &&
                 journal_refuses(c, WRITE_GROWS, now) == ETCD_OK;
    if (raise && store_alarm(c->store, &req, &c->arena, &resp, &raised) == ETCD_OK) {
        journal_planned(c, WRITE_GROWS);
        log_write(&c->config.log, LOG_WARN, "the quota is used up: alarm NOSPACE is raised", "quota_bytes=%lld",
                  (long long)c->config.quota_bytes);
    }
    call_fail_at(call, e, seq > raised ? seq : raised);
}

/* ---- what is asked of a cluster ---- */

static void maintenance_move_leader(struct core_call *call, bytes in, tn_ms now)
{
    uint64_t target;
    (void)now;
    if (!call_decoded(call, decode_move_leader_req(in, &call->core->arena, &target)) || !call_is_admin(call))
        return;
    if (target == call->core->header.member_id)
        call_reply(call, 0);
    else
        call_fail(call, ETCD_BAD_LEADER_TRANSFEREE);
}

/* One minor version down is what etcd allows. There is no older server that could take this one's place, so nothing can be
 * enabled. */
static enum etcd_error downgrade_error(struct core *c, const struct downgrade_req *req)
{
    struct version_pair own = {3, 7}, to;
    (void)version_parse(bytes_str(c->config.version), &own);
    if (req->action == DOWNGRADE_CANCEL)
        return ETCD_OK;
    if (!version_parse(req->version, &to))
        return ETCD_WRONG_DOWNGRADE_VERSION_FORMAT;
    if (to.major != own.major || to.minor != own.minor - 1)
        return ETCD_INVALID_DOWNGRADE_TARGET_VERSION;
    return req->action == DOWNGRADE_ENABLE ? ETCD_NOT_CAPABLE : ETCD_OK;
}

static bytes cluster_version(struct core *c)
{
    const char *version = c->config.version, *dot = strchr(version, '.');
    const char *end = dot ? strchr(dot + 1, '.') : NULL;
    return end ? bytes_of(version, (size_t)(end - version)) : bytes_str(version);
}

static void maintenance_downgrade(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct downgrade_req req;
    (void)now;
    if (!call_decoded(call, decode_downgrade_req(in, &c->arena, &req)) || !call_is_admin(call))
        return;
    if (req.action < DOWNGRADE_VALIDATE || req.action > DOWNGRADE_CANCEL) {
        call_finish(call, GRPC_UNKNOWN, "etcdserver: unknown method");
        return;
    }
    enum etcd_error e = downgrade_error(c, &req);
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    encode_downgrade_resp(&c->header, store_revision(c->store), cluster_version(c), &c->out);
    call_reply(call, 0);
}

const struct core_method maintenance_methods[] = {
    {.service = SERVICE, .name = "Status", .may_wait = true, .on_message = maintenance_status},
    {.service = SERVICE, .name = "Alarm", .may_wait = true, .on_message = maintenance_alarm},
    {.service = SERVICE, .name = "Defragment", .may_wait = true, .on_message = maintenance_defragment},
    {.service = SERVICE, .name = "Hash", .may_wait = true, .on_message = maintenance_hash},
    {.service = SERVICE, .name = "HashKV", .may_wait = true, .on_message = maintenance_hash_kv},
    {.service = SERVICE, .name = "MoveLeader", .may_wait = true, .on_message = maintenance_move_leader},
    {.service = SERVICE, .name = "Downgrade", .may_wait = true, .on_message = maintenance_downgrade},
    {.service = SERVICE, .name = "Snapshot", .is_stream = true, .is_asked_once = true, .on_message = snapshot_message},
};
const size_t maintenance_methods_len = ARRAY_LEN(maintenance_methods);
