/* One number for the whole durable state: everything that a read, a watch, a lease or an auth command can tell, and nothing of
 * how it came about or of what is planned. What compaction made superfluous does not count, trimmed or not.
 */
#include "store/internal.h"

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ (h >> 29);
}

static uint64_t mix_bytes(uint64_t h, bytes b)
{
    h = mix(h, b.len);
    for (size_t i = 0; i < b.len; i++)
        h = mix(h, b.data[i]);
    return h;
}

static uint64_t version_digest(const struct version *v)
{
    uint64_t h = mix_bytes(mix_bytes(1, v->key->item.key), version_value(v));
    h = mix(mix(h, (uint64_t)v->main), v->sub);
    h = mix(mix(h, (uint64_t)v->create_revision), (uint64_t)v->version);
    return mix(h, (uint64_t)v->lease);
}

/* Readable at the compaction revision or above, or an event there. */
static uint64_t key_digest(const struct store *s, const struct key *k)
{
    uint64_t sum = 0;
    tn_rev compacted = s->compacted_durable;
    const struct version *base = key_live_at(k, compacted);
    if (base && base->main < compacted)
        sum += version_digest(base);
    for (size_t i = key_lower_bound(k, compacted); i < key_len(k); i++) {
        const struct version *v = key_nth(k, i);
        if (v->main <= s->revision_durable)
            sum += version_digest(v);
    }
    return sum;
}

static uint64_t lease_digest(const struct store *s, const struct lease *l)
{
    bool durable = l->grant_seq <= s->seq_durable && (l->revoke_seq == 0 || l->revoke_seq > s->seq_durable);
    return durable ? mix(mix(2, (uint64_t)l->id), (uint64_t)l->ttl_s) : 0;
}

static uint64_t auth_row_digest(const struct auth_row *r)
{
    return mix_bytes(mix_bytes(mix(4, r->kind), r->name), r->value);
}

static uint64_t auth_digest(const struct auth_view *v)
{
    uint64_t sum = mix(mix(5, v->revision), view_enabled(v));
    for (size_t i = 0; i < v->users.len; i++)
        sum += auth_row_digest(v->users.at[i]);
    for (size_t i = 0; i < v->roles.len; i++)
        sum += auth_row_digest(v->roles.at[i]);
    return sum;
}

static uint64_t fact_digest(const struct store *s, const struct list *facts)
{
    uint64_t sum = 0;
    LIST_FOREACH(it, (struct list *)facts)
    {
        struct fact *f = LIST_ENTRY(it, struct fact, node);
        uint64_t h = mix(mix(mix(6, f->kind), f->member_id), (uint64_t)f->type);
        sum += fact_is_durable(f, s->seq_durable) ? mix_bytes(h, bytes_of(f->value, f->value_len)) : 0;
    }
    return sum;
}

uint64_t store_digest(const struct store *s)
{
    uint64_t sum = mix(mix(3, (uint64_t)s->revision_durable), (uint64_t)s->compacted_durable);
    struct scan scan;
    struct key_range all = {.range_end = bytes_of("", 1)};
    for (struct key *k = scan_first(s, &scan, all, 0); k; k = scan_next(&scan))
        sum += key_digest(s, k);
    size_t at = 0;
    for (struct lease *l; (l = map_next(&s->leases.by_id, &at));)
        sum += lease_digest(s, l);
    LIST_FOREACH(it, &s->leases.revoked)
    sum += lease_digest(s, LIST_ENTRY(it, struct lease, revoked_node));
    sum += auth_digest(&s->auth.view[STORE_DURABLE]);
    return sum + fact_digest(s, &s->facts.standing) + fact_digest(s, &s->facts.gone);
}
