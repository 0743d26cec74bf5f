/* What the server would refuse is refused here, with words that name the option. */
#include "lib/request.h"

#include "lib/range.h"
#include "lib/result.h"

int request_get(bytes ns, struct tenure_bytes key, const struct tenure_get_options *o, struct arena *a,
                struct range_req *ret, struct tenure_error *err)
{
    struct range_words words = {key, o->prefix, o->from_key, o->range_end, ns};
    if (o->order < TENURE_ORDER_NONE || o->order > TENURE_ORDER_DESCEND)
        return error_set(err, TENURE_EINVALID, "order %d: unknown", (int)o->order);
    if (o->sort < TENURE_SORT_KEY || o->sort > TENURE_SORT_VALUE)
        return error_set(err, TENURE_EINVALID, "sort %d: unknown", (int)o->sort);
    *ret = (struct range_req){
        .limit = o->limit,
        .revision = o->revision,
        .sort_order = (int32_t)o->order,
        .sort_target = (int32_t)o->sort,
        .serializable = o->serializable,
        .keys_only = o->keys_only,
        .count_only = o->count_only,
        .min_mod_revision = o->min_mod_revision,
        .max_mod_revision = o->max_mod_revision,
        .min_create_revision = o->min_create_revision,
        .max_create_revision = o->max_create_revision,
    };
    return range_of(&words, a, &ret->range, err);
}

int request_put(bytes ns, struct tenure_bytes key, struct tenure_bytes value, const struct tenure_put_options *o,
                struct arena *a, struct put_req *ret, struct tenure_error *err)
{
    struct range_words words = {.key = key, .ns = ns};
    struct key_range one;
    if (value.len > 0 && !value.data)
        return error_set(err, TENURE_EINVALID, "a value that has a length and no data");
    if (o->ignore_value && value.len > 0)
        return error_set(err, TENURE_EINVALID, "a value together with ignore_value");
    if (o->ignore_lease && o->lease != 0)
        return error_set(err, TENURE_EINVALID, "a lease together with ignore_lease");
    int rc = range_of(&words, a, &one, err);
    if (rc < 0)
        return rc;
    *ret = (struct put_req){
        .key = one.key,
        .value = result_bytes_in(value),
        .lease = o->lease,
        .prev_kv = o->prev_kv,
        .ignore_value = o->ignore_value,
        .ignore_lease = o->ignore_lease,
    };
    return 0;
}

int request_delete(bytes ns, struct tenure_bytes key, const struct tenure_delete_options *o, struct arena *a,
                   struct delete_req *ret, struct tenure_error *err)
{
    struct range_words words = {key, o->prefix, o->from_key, o->range_end, ns};
    *ret = (struct delete_req){.prev_kv = o->prev_kv};
    return range_of(&words, a, &ret->range, err);
}
