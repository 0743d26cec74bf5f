/* The server's own locks and elections, in both forms; observing is in services_observe.c. */
#include <tenure/services.h>

#include <stdlib.h>

#include "lib/ask.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"

static int begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    return client_service(k->handle->engine, &k->req.service, opt, ask_ended, k, now, err) ? 0 : err->code;
}

static int lock_convert(struct ask *k, const struct client_result *r)
{
    struct lock_resp lock = *r->lock;
    lock.key = view_strip(lock.key, k->strip);
    k->result = result_v3_lock(&lock);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int leader_convert(struct ask *k, const struct client_result *r)
{
    struct leader_key leader = r->campaign->leader;
    leader.name = view_strip(leader.name, k->strip);
    leader.key = view_strip(leader.key, k->strip);
    k->result = result_v3_leader(&leader);
    return k->result ? 0 : TENURE_ENOMEM;
}

static int leading_convert(struct ask *k, const struct client_result *r)
{
    struct kv kv = r->leader->kv;
    kv.key = view_strip(kv.key, k->strip);
    struct range_resp one = {.revision = r->leader->revision, .kvs = &kv, .n_kvs = 1, .count = 1};
    k->result = result_get(&one);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(lock_complete, tenure_v3_lock_cb, struct tenure_v3_lock)
ASK_COMPLETE(leader_complete, tenure_v3_leader_cb, struct tenure_v3_leader)
ASK_COMPLETE(leading_complete, tenure_get_cb, struct tenure_get_result)

#define TYPE(words, is_write, convert_fn, complete_fn)                                                                 \
    {                                                                                                                  \
        .what = (words), .in_namespace = true, .writes = (is_write), .begin = begin, .convert = (convert_fn),          \
        .result_free = free, .complete = (complete_fn)                                                                 \
    }
static const struct ask_type types[] = {
    [CLIENT_V3_LOCK] = TYPE("v3 lock", true, lock_convert, lock_complete),
    [CLIENT_V3_UNLOCK] = TYPE("v3 unlock", true, NULL, ask_complete_done),
    [CLIENT_V3_CAMPAIGN] = TYPE("v3 campaign", true, leader_convert, leader_complete),
    [CLIENT_V3_PROCLAIM] = TYPE("v3 proclaim", true, NULL, ask_complete_done),
    [CLIENT_V3_LEADER] = TYPE("v3 leader", false, leading_convert, leading_complete),
    [CLIENT_V3_RESIGN] = TYPE("v3 resign", true, NULL, ask_complete_done),
};

/* ---- requests: NULL with err filled ---- */

static struct ask *enter(tenure_client *c, bool blocks, enum client_service_kind kind, int64_t timeout_ms,
                         struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &types[kind], blocks, timeout_ms, err);
    if (k)
        k->req.service.kind = kind;
    return k;
}

/* False: k is freed and err filled. */
static bool keep(struct ask *k, struct tenure_bytes s, bytes *ret, struct tenure_error *err)
{
    if (s.len > 0 && !s.data) {
        error_set(err, TENURE_EINVALID, "a length and no data");
        ask_drop(k, err);
        return false;
    }
    *ret = ask_keep(k, result_bytes_in(s));
    if (ret->data || s.len == 0)
        return true;
    error_set(err, TENURE_ENOMEM, "out of memory");
    ask_drop(k, err);
    return false;
}

/* Of a lock, an election or a key: below the namespace. */
static bool keep_below(struct ask *k, struct tenure_bytes s, bytes *ret, struct tenure_error *err)
{
    bytes name = {0};
    if (!keep(k, s, &name, err))
        return false;
    *ret = range_key_below(k->ns, name, &k->arena);
    if (ret->data || s.len + k->ns.len == 0)
        return true;
    error_set(err, TENURE_ENOMEM, "out of memory");
    ask_drop(k, err);
    return false;
}

static bool keep_name(struct ask *k, struct tenure_bytes s, bytes *ret, struct tenure_error *err)
{
    if (s.len > 0)
        return keep_below(k, s, ret, err);
    error_set(err, TENURE_EINVALID, "the name is empty");
    ask_drop(k, err);
    return false;
}

static bool keep_leader(struct ask *k, const struct tenure_v3_leader *from, struct leader_key *ret,
                        struct tenure_error *err)
{
    if (!from) {
        error_set(err, TENURE_EINVALID, "no leader is given");
        ask_drop(k, err);
        return false;
    }
    ret->rev = from->revision;
    ret->lease = from->lease;
    return keep_below(k, from->name, &ret->name, err) && keep_name(k, from->key, &ret->key, err);
}

static struct ask *lock_new(tenure_client *c, bool blocks, struct tenure_bytes name, int64_t lease, int64_t timeout_ms,
                            struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_LOCK, timeout_ms, err);
    if (!k)
        return NULL;
    k->req.service.lock.lease = lease;
    return keep_name(k, name, &k->req.service.lock.name, err) ? k : NULL;
}

static struct ask *unlock_new(tenure_client *c, bool blocks, struct tenure_bytes key, int64_t timeout_ms,
                              struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_UNLOCK, timeout_ms, err);
    return k && keep_name(k, key, &k->req.service.key, err) ? k : NULL;
}

static struct ask *campaign_new(tenure_client *c, bool blocks, struct tenure_bytes name, int64_t lease,
                                struct tenure_bytes value, int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_CAMPAIGN, timeout_ms, err);
    if (!k)
        return NULL;
    k->req.service.campaign.lease = lease;
    return keep_name(k, name, &k->req.service.campaign.name, err) && keep(k, value, &k->req.service.campaign.value, err)
               ? k
               : NULL;
}

static struct ask *proclaim_new(tenure_client *c, bool blocks, const struct tenure_v3_leader *leader,
                                struct tenure_bytes value, int64_t timeout_ms, struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_PROCLAIM, timeout_ms, err);
    if (!k)
        return NULL;
    struct proclaim_req *req = &k->req.service.proclaim;
    req->has_leader = true;
    return keep_leader(k, leader, &req->leader, err) && keep(k, value, &req->value, err) ? k : NULL;
}

static struct ask *resign_new(tenure_client *c, bool blocks, const struct tenure_v3_leader *leader, int64_t timeout_ms,
                              struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_RESIGN, timeout_ms, err);
    if (!k)
        return NULL;
    k->req.service.resign.has_leader = true;
    return keep_leader(k, leader, &k->req.service.resign.leader, err) ? k : NULL;
}

static struct ask *leading_new(tenure_client *c, bool blocks, struct tenure_bytes name, int64_t timeout_ms,
                               struct tenure_error *err)
{
    struct ask *k = enter(c, blocks, CLIENT_V3_LEADER, timeout_ms, err);
    return k && keep_name(k, name, &k->req.service.name, err) ? k : NULL;
}

/* ---- locks ---- */

int tenure_v3_lock(tenure_client *c, struct tenure_bytes name, int64_t lease, int64_t timeout_ms,
                   struct tenure_v3_lock **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(lock_new(c, true, name, lease, timeout_ms, err), ret, err);
}

int tenure_v3_lock_start(tenure_client *c, struct tenure_bytes name, int64_t lease, int64_t timeout_ms,
                         tenure_v3_lock_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(lock_new(c, false, name, lease, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_v3_unlock(tenure_client *c, struct tenure_bytes key, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(unlock_new(c, true, key, timeout_ms, err), NULL, err);
}

int tenure_v3_unlock_start(tenure_client *c, struct tenure_bytes key, int64_t timeout_ms, tenure_done_cb cb, void *user,
                           struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(unlock_new(c, false, key, timeout_ms, err), (void (*)(void))cb, user, err);
}

/* ---- elections ---- */

int tenure_v3_campaign(tenure_client *c, struct tenure_bytes name, int64_t lease, struct tenure_bytes value,
                       int64_t timeout_ms, struct tenure_v3_leader **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(campaign_new(c, true, name, lease, value, timeout_ms, err), ret, err);
}

int tenure_v3_campaign_start(tenure_client *c, struct tenure_bytes name, int64_t lease, struct tenure_bytes value,
                             int64_t timeout_ms, tenure_v3_leader_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(campaign_new(c, false, name, lease, value, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_v3_proclaim(tenure_client *c, const struct tenure_v3_leader *leader, struct tenure_bytes value,
                       int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(proclaim_new(c, true, leader, value, timeout_ms, err), NULL, err);
}

int tenure_v3_proclaim_start(tenure_client *c, const struct tenure_v3_leader *leader, struct tenure_bytes value,
                             int64_t timeout_ms, tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(proclaim_new(c, false, leader, value, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_v3_resign(tenure_client *c, const struct tenure_v3_leader *leader, int64_t timeout_ms,
                     struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(resign_new(c, true, leader, timeout_ms, err), NULL, err);
}

int tenure_v3_resign_start(tenure_client *c, const struct tenure_v3_leader *leader, int64_t timeout_ms,
                           tenure_done_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(resign_new(c, false, leader, timeout_ms, err), (void (*)(void))cb, user, err);
}

int tenure_v3_leading(tenure_client *c, struct tenure_bytes name, int64_t timeout_ms, struct tenure_get_result **ret,
                      struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(leading_new(c, true, name, timeout_ms, err), ret, err);
}

int tenure_v3_leading_start(tenure_client *c, struct tenure_bytes name, int64_t timeout_ms, tenure_get_cb cb,
                            void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(leading_new(c, false, name, timeout_ms, err), (void (*)(void))cb, user, err);
}

void tenure_v3_lock_free(struct tenure_v3_lock *r)
{
    free(r);
}

void tenure_v3_leader_free(struct tenure_v3_leader *r)
{
    free(r);
}
