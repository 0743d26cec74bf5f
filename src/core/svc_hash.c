/* Maintenance.HashKV and Hash: a slice a turn until the whole is hashed.
 *
 * HashKV answers what etcd answers for the same history. Hash covers, beside the newest keys, the compaction revision; it
 * can only be compared with another of ours, as etcd's depends on how its file came about.
 */
#include <stdlib.h>

#include "base/crc32c.h"
#include "core/auth.h"
#include "core/task.h"

#define WORK_MAX 8192 /* of a slice, in keys that are looked at: about a millisecond */

struct hash_task {
    struct task task;
    struct store_hash *hash; /* NULL: waits for its turn */
    tn_rev revision;
    bool whole;
};

static void hash_free(struct task *t)
{
    struct hash_task *ht = CONTAINER_OF(t, struct hash_task, task);
    ht->hash = store_hash_end(ht->hash);
    free(ht);
}

static uint32_t add_number(uint32_t crc, int64_t number)
{
    uint8_t at[8];
    for (int i = 0; i < 8; i++)
        at[i] = (uint8_t)((uint64_t)number >> (8 * i));
    return crc32c(crc, at, sizeof at);
}

static void hash_reply(struct hash_task *ht)
{
    struct core_call *call = ht->task.call;
    struct core *c = call->core;
    struct hash_kv_resp resp;
    store_hash_result(ht->hash, &resp);
    if (ht->whole)
        encode_hash_resp(&c->header, resp.revision, add_number(resp.hash, resp.compact_revision), &c->out);
    else
        encode_hash_kv_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

static void hash_step(struct task *t, tn_ms now)
{
    struct hash_task *ht = CONTAINER_OF(t, struct hash_task, task);
    struct core *c = t->call->core;
    (void)now;
    if (!ht->hash) {
        enum etcd_error e = store_hash_begin(c->store, ht->revision, &ht->hash);
        if (e && e != ETCD_TOO_MANY_REQUESTS)
            call_fail(t->call, e);
        return;
    }
    enum store_hash_state state = store_hash_step(ht->hash, WORK_MAX);
    if (state == STORE_HASH_DONE)
        hash_reply(ht);
    else if (state == STORE_HASH_NO_MEMORY)
        call_fail(t->call, ETCD_OUT_OF_MEMORY);
}

static const struct task_kind hash_kind = {.step = hash_step, .free = hash_free};

static void hash_start(struct core_call *call, tn_rev revision, bool whole)
{
    struct hash_task *ht = calloc(1, sizeof *ht);
    if (!ht) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return;
    }
    ht->revision = revision;
    ht->whole = whole;
    task_start(call, &ht->task, &hash_kind);
}

void maintenance_hash_kv(struct core_call *call, bytes in, tn_ms now)
{
    tn_rev revision;
    (void)now;
    if (call_decoded(call, decode_hash_kv_req(in, &call->core->arena, &revision)) && call_is_admin(call))
        hash_start(call, revision, false);
}

void maintenance_hash(struct core_call *call, bytes in, tn_ms now)
{
    (void)now;
    if (call_decoded(call, decode_hash_req(in, &call->core->arena)) && call_is_admin(call))
        hash_start(call, 0, true);
}
