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

bytes range_key_below(bytes ns, bytes key, struct arena *a)
{
    uint8_t *both = ns.len > 0 ? arena_alloc(a, ns.len + key.len) : NULL;
    if (!both)
        return ns.len > 0 ? bytes_of(NULL, 0) : key;
    memcpy(both, ns.data, ns.len);
    if (key.len > 0)
        memcpy(both + ns.len, key.data, key.len);
    return bytes_of(both, ns.len + key.len);
}

/* All of it within the namespace: from_key ends where that ends, and so does the single 0 that says the same. */
static int range_below(const struct range_words *w, struct arena *a, struct key_range *ret, struct tenure_error *err)
{
    bytes end = bytes_of(w->range_end.data, w->range_end.len);
    bool open = w->from_key || (end.len == 1 && end.data[0] == 0);
    ret->key = range_key_below(w->ns, bytes_of(w->key.data, w->key.len), a);
    if (!ret->key.data)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    if (w->prefix || open)
        return prefix_range(open ? w->ns : ret->key, a, ret, err);
    ret->range_end = end.len > 0 ? range_key_below(w->ns, end, a) : end;
    return end.len == 0 || ret->range_end.data ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

int range_of(const struct range_words *w, struct arena *a, struct key_range *ret, struct tenure_error *err)
{
    bytes key = bytes_of(w->key.data, w->key.len);
    if (contradicts(w))
        return error_set(err, TENURE_EINVALID, "prefix, from_key and range_end: give one of them at most");
    if ((key.len > 0 && !key.data) || (w->range_end.len > 0 && !w->range_end.data))
        return error_set(err, TENURE_EINVALID, "the key, or its end, has a length and no data");
    if (key.len == 0 && !w->prefix && !w->from_key)
        return error_set(err, TENURE_EINVALID, "the key is empty");
    if (w->ns.len > 0)
        return range_below(w, a, ret, err);
    *ret = (struct key_range){.key = key.len ? key : bytes_of(zero, 1)};
    if (w->from_key || (w->prefix && key.len == 0))
        ret->range_end = bytes_of(zero, 1);
    else if (w->prefix)
        return prefix_range(key, a, ret, err);
    else
        ret->range_end = bytes_of(w->range_end.data, w->range_end.len);
    return 0;
}
