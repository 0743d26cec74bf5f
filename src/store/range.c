/* Reading keys at a revision.
 *
 * Happy path: walk the range, gather the versions that live at the revision and pass the filters, sort, cut to the
 * limit, describe them in the arena. `count` is of all keys in the range, whatever filters and limit say.
 *
 * As etcd: the limit applies after sorting and filtering, except that an order of NONE with a target other than KEY
 * sorts (ascending) what the limit, and one more, left in order of key. Equal sort keys stay in order of key.
 *
 * Failure modes: a revision that is compacted or in the future; no memory for the result.
 */
#include <stdlib.h>

#include "store/internal.h"

/* ---- order ---- */

static int number_compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static const struct version *version_of(const void *place)
{
    return *(struct version *const *)place;
}

static int key_compare(const struct version *a, const struct version *b)
{
    return bytes_compare(a->key->item.key, b->key->item.key);
}
static int version_compare(const struct version *a, const struct version *b)
{
    return number_compare(a->version, b->version);
}
static int create_compare(const struct version *a, const struct version *b)
{
    return number_compare(a->create_revision, b->create_revision);
}
static int mod_compare(const struct version *a, const struct version *b)
{
    return number_compare(a->main, b->main);
}
static int value_compare(const struct version *a, const struct version *b)
{
    return bytes_compare(version_value(a), version_value(b));
}

/* One comparison up and down for each target; ties in order of key. */
#define ORDER(name)                                                                                                    \
    static int name##_up(const void *a, const void *b)                                                                 \
    {                                                                                                                  \
        int c = name##_compare(version_of(a), version_of(b));                                                          \
        return c ? c : key_compare(version_of(a), version_of(b));                                                      \
    }                                                                                                                  \
    static int name##_down(const void *a, const void *b)                                                               \
    {                                                                                                                  \
        int c = name##_compare(version_of(b), version_of(a));                                                          \
        return c ? c : key_compare(version_of(a), version_of(b));                                                      \
    }
ORDER(key)
ORDER(version)
ORDER(create)
ORDER(mod)
ORDER(value)
#undef ORDER

typedef int (*order)(const void *a, const void *b);

/* Brings the first few in order to the front; the rest is left as it comes. */
static void sort_first(struct version **at, size_t n, size_t few, order compare)
{
    qsort(at, few, sizeof(struct version *), compare);
    for (size_t i = few; i < n; i++) {
        if (compare(&at[i], &at[few - 1]) >= 0)
            continue;
        struct version *v = at[i];
        size_t to = few - 1;
        at[i] = at[to];
        for (; to > 0 && compare(&v, &at[to - 1]) < 0; to--)
            at[to] = at[to - 1];
        at[to] = v;
    }
}

/* Who waits for a lock asks for the newest one or two of the queue, and that twice a turn. */
enum { FEW = 16 };

static void range_sort(const struct range_req *req, struct version **at, size_t n)
{
    static const order up[] = {key_up, version_up, create_up, mod_up, value_up};
    static const order down[] = {key_down, version_down, create_down, mod_down, value_down};
    if (n < 2 || (req->sort_target == SORT_KEY && req->sort_order != SORT_DESCEND))
        return;
    order compare = req->sort_order == SORT_DESCEND ? down[req->sort_target] : up[req->sort_target];
    bool few = req->limit > 0 && req->limit <= FEW && (uint64_t)req->limit < n;
    sort_first(at, n, few ? (size_t)req->limit : n, compare);
}

/* ---- what is wanted ---- */

static bool range_has_filters(const struct range_req *req)
{
    return req->min_mod_revision || req->max_mod_revision || req->min_create_revision || req->max_create_revision;
}

/* How many versions to gather at most: with the default order one more than the limit, to know whether there are more.
 */
static size_t range_gather_max(const struct range_req *req)
{
    bool by_key = req->sort_order == SORT_NONE || (req->sort_target == SORT_KEY && req->sort_order == SORT_ASCEND);
    if (req->count_only)
        return 0;
    if (req->limit <= 0 || (uint64_t)req->limit >= SIZE_MAX || !by_key || range_has_filters(req))
        return SIZE_MAX;
    return (size_t)req->limit + 1;
}

static bool range_passes(const struct range_req *req, const struct version *v)
{
    if (req->max_mod_revision && v->main > req->max_mod_revision)
        return false;
    if (req->min_mod_revision && v->main < req->min_mod_revision)
        return false;
    if (req->max_create_revision && v->create_revision > req->max_create_revision)
        return false;
    return !req->min_create_revision || v->create_revision >= req->min_create_revision;
}

static enum etcd_error range_gather(struct store *s, const struct range_req *req, tn_rev rev, size_t *ret_n,
                                    int64_t *ret_count)
{
    size_t n = 0, max = range_gather_max(req);
    int64_t count = 0;
    struct scan scan;
    for (struct key *k = scan_first(s, &scan, req->range, rev); k; k = scan_next(&scan)) {
        struct version *v = key_live_at(k, rev);
        if (!v)
            continue;
        count++;
        if (n >= max || !range_passes(req, v))
            continue;
        if (scratch_reserve(s, n + 1) != 0)
            return ETCD_OUT_OF_MEMORY;
        s->scratch[n++] = v;
    }
    *ret_n = n;
    *ret_count = count;
    return ETCD_OK;
}

/* ---- the answer ---- */

/* etcd 3.7 answers keys_only from its index, which knows no lease; when it has to sort by value it reads the whole. */
static struct kv range_describe(const struct range_req *req, const struct version *v)
{
    struct kv kv = version_kv(v);
    if (req->keys_only) {
        kv.value = bytes_of(NULL, 0);
        kv.lease = req->sort_target == SORT_VALUE ? kv.lease : 0;
    }
    return kv;
}

static enum etcd_error range_answer(struct store *s, const struct range_req *req, size_t n, struct arena *a,
                                    struct range_resp *ret)
{
    if (req->limit > 0 && n > (uint64_t)req->limit) {
        n = (size_t)req->limit;
        ret->more = true;
    }
    ret->kvs = arena_array(a, n, sizeof *ret->kvs);
    if (!ret->kvs)
        return ETCD_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        ret->kvs[i] = range_describe(req, s->scratch[i]);
    ret->n_kvs = n;
    return ETCD_OK;
}

enum etcd_error range_read(struct store *s, const struct range_req *req, tn_rev current, tn_rev compacted,
                           struct arena *a, struct range_resp *ret)
{
    if (req->revision > current)
        return ETCD_FUTURE_REV;
    tn_rev rev = req->revision > 0 ? req->revision : current;
    if (rev < compacted)
        return ETCD_COMPACTED;
    size_t n = 0;
    struct range_resp resp = {.revision = current};
    enum etcd_error e = range_gather(s, req, rev, &n, &resp.count);
    if (!e && n > 0) {
        range_sort(req, s->scratch, n);
        e = range_answer(s, req, n, a, &resp);
    }
    scratch_release(s);
    if (e)
        return e;
    s->counts.ranges++;
    *ret = resp;
    return ETCD_OK;
}

enum etcd_error store_range(struct store *s, const struct range_req *req, struct arena *a, struct range_resp *ret)
{
    enum etcd_error e = check_range(req);
    return e ? e : range_read(s, req, s->revision_durable, s->compacted_durable, a, ret);
}
