/* An empty key is refused where it names one key; with prefix or from_key it means all keys, which is etcd's single 0. */
#include "lib/range.h"

static const uint8_t zero[1] = {0};

static bool contradicts(const struct range_words *w)
{
    return w->prefix + w->from_key + (w->range_end.len > 0) > 1;
}

static int prefix_range(bytes key, struct arena *a, struct key_range *ret, struct tenure_error *err)
{
    uint8_t *end = arena_alloc(a, key.len + 1);
    if (!end)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    ret->range_end = bytes_of(end, bytes_prefix_end(key, end));
    return 0;
}

int range_of(const struct range_words *w, struct arena *a, struct key_range *ret, struct tenure_error *err)
{
    bytes key = bytes_of(w->key.data, w->key.len);
    if (contradicts(w))
        return error_set(err, TENURE_EINVALID, "prefix, from_key and range_end: give one of them at most");
    if (key.len == 0 && !w->prefix && !w->from_key)
        return error_set(err, TENURE_EINVALID, "the key is empty");
    *ret = (struct key_range){.key = key.len ? key : bytes_of(zero, 1)};
    if (w->from_key || (w->prefix && key.len == 0))
        ret->range_end = bytes_of(zero, 1);
    else if (w->prefix)
        return prefix_range(key, a, ret, err);
    else
        ret->range_end = bytes_of(w->range_end.data, w->range_end.len);
    return 0;
}
