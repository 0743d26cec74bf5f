/* Making and freeing the store, and its numbers.
 */
#include "store/store.h"

#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

static struct store_config with_defaults(const struct store_config *config)
{
    struct store_config c = *config;
    c.member_name = NULL;
    if (c.quota_bytes == 0)
        c.quota_bytes = INT64_C(2) << 30;
    if (c.lease_ttl_min_s == 0)
        c.lease_ttl_min_s = 2;
    if (c.txn_ops_max == 0)
        c.txn_ops_max = 128;
    if (c.undo_entries_max == 0)
        c.undo_entries_max = 100000;
    if (c.follow_bytes_max == 0)
        c.follow_bytes_max = (size_t)64 << 20;
    return c;
}

static void store_init(struct store *s, const struct store_config *config, const struct rng *seed)
{
    s->config = with_defaults(config);
    s->rng = *seed;
    s->cluster_id = config->cluster_id;
    s->member_id = config->member_id;
    s->revision = s->revision_durable = 1;    /* as etcd: the first write makes 2 */
    s->compacted = s->compacted_durable = -1; /* as etcd: the first compaction may be at 0 */
    btree_init(&s->keys);
    btree_init(&s->dead);
    deque_init(&s->history);
    deque_init(&s->overwrites);
    deque_init(&s->tombstones);
    list_init(&s->compactions);
    lease_set_init(&s->leases);
    auth_init(&s->auth);
    facts_init(&s->facts);
    list_init(&s->hashes);
    watch_hub_init(&s->watch);
    tail_init(&s->tail);
}

int store_new(const struct store_config *config, const struct rng *seed, struct store **ret)
{
    struct store *s = calloc(1, sizeof *s);
    if (!s)
        return TENURE_ENOMEM;
    store_init(s, config, seed);
    s->member_name = strdup(config->member_name ? config->member_name : "");
    if (!s->member_name) {
        store_free(s);
        return TENURE_ENOMEM;
    }
    *ret = s;
    return 0;
}

static void keys_free(struct btree *t)
{
    struct btree_cursor cursor;
    struct btree_item *item = btree_seek(t, bytes_of(NULL, 0), &cursor);
    while (item) {
        struct key *k = CONTAINER_OF(item, struct key, item);
        item = btree_next(&cursor);
        key_free(k);
    }
    btree_fini(t);
}

struct store *store_free(struct store *s)
{
    if (!s)
        return NULL;
    keys_free(&s->keys);
    keys_free(&s->dead);
    deque_fini(&s->history);
    deque_fini(&s->overwrites);
    deque_fini(&s->tombstones);
    LIST_FOREACH_SAFE(it, &s->compactions)
    free(LIST_ENTRY(it, struct compaction, node));
    lease_set_fini(&s->leases);
    auth_fini(&s->auth);
    facts_fini(&s->facts);
    watch_hub_fini(&s->watch);
    tail_fini(&s->tail);
    free(s->scratch);
    free(s->member_name);
    free(s);
    return NULL;
}

tn_rev store_revision(const struct store *s)
{
    return s->revision_durable;
}

tn_rev store_revision_planned(const struct store *s)
{
    return s->revision;
}

tn_rev store_compacted(const struct store *s)
{
    return s->compacted_durable;
}

tn_seq store_seq(const struct store *s)
{
    return s->seq_durable;
}

tn_seq store_seq_planned(const struct store *s)
{
    return s->seq;
}

uint64_t store_cluster_id(const struct store *s)
{
    return s->cluster_id;
}

uint64_t store_member_id(const struct store *s)
{
    return s->member_id;
}

const char *store_member_name(const struct store *s)
{
    return s->member_name;
}

int64_t store_memory(const struct store *s)
{
    return s->memory;
}

const struct store_counts *store_counts(const struct store *s)
{
    return &s->counts;
}

int64_t store_keys(const struct store *s)
{
    return s->live_keys;
}

int64_t store_leases(const struct store *s)
{
    return (int64_t)s->leases.by_id.len;
}

void store_set_file_bytes(struct store *s, int64_t bytes)
{
    s->file_bytes = bytes;
}
