/* The upkeep of servers, in both forms; snapshots are in snapshot.c. */
#include <tenure/maintenance.h>

#include <stdlib.h>
#include <string.h>

#include "lib/alarm.h"
#include "lib/ask.h"
#include "lib/result.h"

/* ---- begin, convert, complete ---- */

static int admin_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_admin(k->handle->engine, &k->req.admin, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int status_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_status(k->handle->engine, k->req.endpoint, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int health_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_health(k->handle->engine, k->req.endpoint, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int status_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_status(r->status, &r->header, client_endpoint(k->handle->engine, k->req.endpoint));
    return k->result ? 0 : TENURE_ENOMEM;
}

static int health_convert(struct ask *k, const struct client_result *r)
{
    k->a = r->health == HEALTH_SERVING;
    return 0;
}

static int alarms_convert(struct ask *k, const struct client_result *r)
{
    k->result = result_alarms(r->alarms);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int hash_convert(struct ask *k, const struct client_result *r)
{
    k->a = r->hash;
    return 0;
}

static int hash_kv_convert(struct ask *k, const struct client_result *r)
{
    struct tenure_hash_kv *h = k->result = calloc(1, sizeof *h);
    if (!h)
        return TENURE_ENOMEM;
    h->hash = r->hash_kv->hash;
    h->revision = r->hash_kv->revision;
    h->compact_revision = r->hash_kv->compact_revision;
    h->hash_revision = r->hash_kv->hash_revision;
    return 0;
}

/* Not by strndup, which may look for an end that the bytes of a message do not have. */
static int copy_text(struct ask *k, bytes text)
{
    char *copy = malloc(text.len + 1);
    if (!copy)
        return TENURE_ENOMEM;
    if (text.len)
        memcpy(copy, text.data, text.len);
    copy[text.len] = 0;
    k->result = copy;
    return 0;
}

static int version_convert(struct ask *k, const struct client_result *r)
{
    return copy_text(k, r->version);
}

static int text_convert(struct ask *k, const struct client_result *r)
{
    return copy_text(k, r->message);
}

ASK_COMPLETE(status_complete, tenure_status_cb, struct tenure_status)
ASK_COMPLETE(alarms_complete, tenure_alarm_list_cb, struct tenure_alarm_list)

static void health_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_health_cb)k->cb)(k->user, code, k->a != 0, err);
}

static void hash_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_hash_cb)k->cb)(k->user, code, (uint32_t)k->a, err);
}

/* Their results are the call's: the callback borrows them. */
static void hash_kv_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_hash_kv_cb)k->cb)(k->user, code, k->result, err);
}

static void version_complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_downgrade_cb)k->cb)(k->user, code, k->result, err);
}

static const struct ask_type status_type = {
    .what = "status",
    .answers = true,
    .begin = status_begin,
    .convert = status_convert,
    .result_free = free,
    .complete = status_complete,
};
static const struct ask_type health_type = {
    .what = "health",
    .answers = true,
    .begin = health_begin,
    .convert = health_convert,
    .result_free = free,
    .complete = health_complete,
};

#define TYPE(words, kind, convert_fn, complete_fn)                                                                     \
    {                                                                                                                  \
        .what = (words), .kind = true, .begin = admin_begin, .convert = (convert_fn), .result_free = free,             \
        .complete = (complete_fn)                                                                                      \
    }
static const struct ask_type types[] = {
    [CLIENT_ALARM_LIST] = TYPE("alarm list", answers, alarms_convert, alarms_complete),
    [CLIENT_ALARM_RAISE] = TYPE("alarm raise", writes, alarms_convert, alarms_complete),
    [CLIENT_ALARM_DISARM] = TYPE("alarm disarm", writes, alarms_convert, alarms_complete),
    [CLIENT_DEFRAGMENT] = {.what = "defragment", .begin = admin_begin, .complete = ask_complete_done},
    [CLIENT_REPLICA_STATUS] =
        {.what = "replica status", .answers = true, .begin = admin_begin, .convert = text_convert, .result_free = free},
    [CLIENT_HASH] = TYPE("hash", answers, hash_convert, hash_complete),
    [CLIENT_HASH_KV] = TYPE("hash of keys", answers, hash_kv_convert, hash_kv_complete),
    [CLIENT_MOVE_LEADER] = TYPE("move leader", writes, NULL, ask_complete_done),
    [CLIENT_DOWNGRADE] = TYPE("downgrade", writes, version_convert, version_complete),
};

/* ---- calls that name an endpoint ---- */

static struct ask *check_index(struct ask *k, size_t index, struct tenure_error *err)
{
    if (!k || index < tenure_endpoints(k->handle))
        return k;
    error_set(err, TENURE_EINVALID, "there is no endpoint %zu, only %zu", index, tenure_endpoints(k->handle));
    return ask_drop(k, err);
}

static struct ask *endpoint_new(tenure_client *c, const struct ask_type *type, bool blocks, size_t index,
                                int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = check_index(ask_enter(c, type, blocks, timeout_ms, err), index, err);
    if (k)
        k->req.endpoint = index;
    return k;
}

static struct ask *admin_new(tenure_client *c, bool blocks, enum client_admin_kind kind, int64_t timeout_ms,
                             struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &types[kind], blocks, timeout_ms, err);
    if (k)
        k->req.admin = (struct client_admin_req){.kind = kind, .endpoint = SIZE_MAX};
    return k;
}

static struct ask *admin_at(tenure_client *c, bool blocks, enum client_admin_kind kind, size_t index,
                            int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = check_index(admin_new(c, blocks, kind, timeout_ms, err), index, err);
    if (k)
        k->req.admin.endpoint = index;
    return k;
}

/* ---- status, health ---- */

int tenure_status(tenure_client *c, size_t index, int64_t timeout_ms, struct tenure_status **ret,
                  struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(endpoint_new(c, &status_type, true, index, timeout_ms, err), ret, err);
}

int tenure_status_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_status_cb cb, void *user,
                        struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = endpoint_new(c, &status_type, false, index, timeout_ms, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

int tenure_health(tenure_client *c, size_t index, int64_t timeout_ms, bool *ret_serving, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int64_t serving = 0;
    int rc = ask_finish_number(endpoint_new(c, &health_type, true, index, timeout_ms, err),
                               ret_serving ? &serving : NULL, err);
    if (rc == 0)
        *ret_serving = serving != 0;
    return rc;
}

int tenure_health_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_health_cb cb, void *user,
                        struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = endpoint_new(c, &health_type, false, index, timeout_ms, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

/* ---- alarms ---- */

int tenure_alarm_list(tenure_client *c, int64_t timeout_ms, struct tenure_alarm_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(admin_new(c, true, CLIENT_ALARM_LIST, timeout_ms, err), ret, err);
}

int tenure_alarm_list_start(tenure_client *c, int64_t timeout_ms, tenure_alarm_list_cb cb, void *user,
                            struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(admin_new(c, false, CLIENT_ALARM_LIST, timeout_ms, err), (void (*)(void))cb, user, err);
}

static struct ask *change_new(tenure_client *c, bool blocks, enum client_admin_kind kind,
                              const struct tenure_alarm *alarm, int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = admin_new(c, blocks, kind, timeout_ms, err);
    if (!k)
        return NULL;
    if (!alarm || alarm->type == TENURE_ALARM_NONE) {
        error_set(err, TENURE_EINVALID, "which alarm is not said");
        return ask_drop(k, err);
    }
    k->req.admin.alarm = (struct alarm){.member_id = alarm->member_id, .type = (int32_t)alarm->type};
    return k;
}

int tenure_alarm_disarm(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms,
                        struct tenure_alarm_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(change_new(c, true, CLIENT_ALARM_DISARM, alarm, timeout_ms, err), ret, err);
}

int lib_alarm_raise(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms, struct tenure_error *err)
{
    return ask_finish(change_new(c, true, CLIENT_ALARM_RAISE, alarm, timeout_ms, err), NULL, err);
}

int lib_replica_status(tenure_client *c, size_t index, int64_t timeout_ms, char **ret, struct tenure_error *err)
{
    return ask_finish(admin_at(c, true, CLIENT_REPLICA_STATUS, index, timeout_ms, err), ret, err);
}

int tenure_alarm_disarm_start(tenure_client *c, const struct tenure_alarm *alarm, int64_t timeout_ms,
                              tenure_alarm_list_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(change_new(c, false, CLIENT_ALARM_DISARM, alarm, timeout_ms, err), (void (*)(void))cb, user, err);
}

/* ---- space and hashes ---- */

int tenure_defragment(tenure_client *c, size_t index, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(admin_at(c, true, CLIENT_DEFRAGMENT, index, timeout_ms, err), NULL, err);
}

int tenure_defragment_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_done_cb cb, void *user,
                            struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(admin_at(c, false, CLIENT_DEFRAGMENT, index, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_hash(tenure_client *c, size_t index, int64_t timeout_ms, uint32_t *ret_hash, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int64_t hash = 0;
    int rc = ask_finish_number(admin_at(c, true, CLIENT_HASH, index, timeout_ms, err), ret_hash ? &hash : NULL, err);
    if (rc == 0)
        *ret_hash = (uint32_t)hash;
    return rc;
}

int tenure_hash_start(tenure_client *c, size_t index, int64_t timeout_ms, tenure_hash_cb cb, void *user,
                      struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(admin_at(c, false, CLIENT_HASH, index, timeout_ms, err), (void (*)(void))cb, user, err);
}

static struct ask *hash_kv_new(tenure_client *c, bool blocks, size_t index, int64_t revision, int64_t timeout_ms,
                               struct tenure_error *err)
{
    struct ask *k = admin_at(c, blocks, CLIENT_HASH_KV, index, timeout_ms, err);
    if (k)
        k->req.admin.revision = revision;
    return k;
}

int tenure_hash_kv(tenure_client *c, size_t index, int64_t revision, int64_t timeout_ms, struct tenure_hash_kv *ret,
                   struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_hash_kv *result = NULL;
    err = err ? err : &own;
    int rc = ask_finish(hash_kv_new(c, true, index, revision, timeout_ms, err), ret ? &result : NULL, err);
    if (rc == 0)
        *ret = *result;
    free(result);
    return rc;
}

int tenure_hash_kv_start(tenure_client *c, size_t index, int64_t revision, int64_t timeout_ms, tenure_hash_kv_cb cb,
                         void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(hash_kv_new(c, false, index, revision, timeout_ms, err), (void (*)(void))cb, user, err);
}

/* ---- leadership and versions ---- */

static struct ask *move_new(tenure_client *c, bool blocks, size_t index, uint64_t target, int64_t timeout_ms,
                            struct tenure_error *err)
{
    struct ask *k = admin_at(c, blocks, CLIENT_MOVE_LEADER, index, timeout_ms, err);
    if (k)
        k->req.admin.id = target;
    return k;
}

int tenure_move_leader(tenure_client *c, size_t index, uint64_t target, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(move_new(c, true, index, target, timeout_ms, err), NULL, err);
}

int tenure_move_leader_start(tenure_client *c, size_t index, uint64_t target, int64_t timeout_ms, tenure_done_cb cb,
                             void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(move_new(c, false, index, target, timeout_ms, err), (void (*)(void))cb, user, err);
}

static struct ask *downgrade_new(tenure_client *c, bool blocks, enum tenure_downgrade action, const char *version,
                                 int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = admin_new(c, blocks, CLIENT_DOWNGRADE, timeout_ms, err);
    if (!k)
        return NULL;
    struct downgrade_req *req = &k->req.admin.downgrade;
    req->action = (int32_t)action;
    return ask_keep_string(k, version ? version : "", &req->version, err) ? k : NULL;
}

int tenure_downgrade(tenure_client *c, enum tenure_downgrade action, const char *version, int64_t timeout_ms,
                     char **ret_version, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(downgrade_new(c, true, action, version, timeout_ms, err), ret_version, err);
}

int tenure_downgrade_start(tenure_client *c, enum tenure_downgrade action, const char *version, int64_t timeout_ms,
                           tenure_downgrade_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = downgrade_new(c, false, action, version, timeout_ms, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}
