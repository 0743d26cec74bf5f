/* A range in parts, for whoever walks a large one in slices: each part is read at the same revision and goes on where the
 * one before ended.
 *
 * A part ends with the range, with enough keys or bytes, or after enough steps, whichever comes first. Failure modes: the
 * revision was compacted in between; no memory for the answer.
 */
#include "store/internal.h"

enum etcd_error store_range_check(const struct range_req *req)
{
    return check_range(req);
}

/* About what encoding adds to a key and its value. */
enum { KV_BYTES = 24 };

static size_t kv_bytes(const struct range_part_req *req, const struct version *v)
{
    return v->key->item.key.len + (req->keys_only ? 0 : v->value_len) + KV_BYTES;
}

static enum etcd_error part_take(struct store *s, const struct range_part_req *req, struct version *v,
                                 struct range_part *ret)
{
    if (scratch_reserve(s, ret->n_kvs + 1) != 0)
        return ETCD_OUT_OF_MEMORY;
    s->scratch[ret->n_kvs++] = v;
    ret->bytes += kv_bytes(req, v);
    return ETCD_OK;
}

static bool part_is_full(const struct range_part_req *req, const struct range_part *part)
{
    return part->n_kvs == req->keys_max || (part->n_kvs > 0 && part->bytes >= req->bytes_max);
}

/* Stops at the first live key that does not fit any more, so that `next` tells whether there is one. */
static enum etcd_error part_gather(struct store *s, const struct range_part_req *req, struct range_part *ret)
{
    struct scan scan;
    size_t steps = 0;
    for (struct key *k = scan_first(s, &scan, req->range, req->revision); k; k = scan_next(&scan)) {
        struct version *v = key_live_at(k, req->revision);
        bool full = v && req->keys_max > 0 && part_is_full(req, ret);
        if (full || steps++ == req->steps_max) {
            ret->next = k->item.key;
            ret->more = full;
            return ETCD_OK;
        }
        if (!v)
            continue;
        ret->count++;
        enum etcd_error e = req->keys_max > 0 ? part_take(s, req, v, ret) : ETCD_OK;
        if (e)
            return e;
    }
    ret->end = true;
    return ETCD_OK;
}

static enum etcd_error part_describe(struct store *s, const struct range_part_req *req, struct arena *a,
                                     struct range_part *ret)
{
    ret->kvs = arena_array(a, ret->n_kvs, sizeof *ret->kvs);
    if (!ret->kvs)
        return ETCD_OUT_OF_MEMORY;
    for (size_t i = 0; i < ret->n_kvs; i++) {
        ret->kvs[i] = version_kv(s->scratch[i]);
        if (req->keys_only) {
            ret->kvs[i].value = bytes_of(NULL, 0);
            ret->kvs[i].lease = 0;
        }
    }
    return ETCD_OK;
}

enum etcd_error store_range_part(struct store *s, const struct range_part_req *req, struct arena *a,
                                 struct range_part *ret)
{
    if (req->revision > s->revision_durable)
        return ETCD_FUTURE_REV;
    if (req->revision < s->compacted_durable)
        return ETCD_COMPACTED;
    *ret = (struct range_part){0};
    enum etcd_error e = part_gather(s, req, ret);
    if (!e)
        e = part_describe(s, req, a, ret);
    scratch_release(s);
    return e;
}
