/* Whether the home records of both sides allow the copy: see claim.h. */
#include <inttypes.h>
#include <string.h>

#include "mirror/claim.h"

int homes_find(const struct range_resp *homes, bytes prefix, struct home *ret, bool *ret_has, struct tenure_error *err)
{
    size_t i = home_covering(homes->kvs, homes->n_kvs, prefix);
    *ret_has = i != SIZE_MAX;
    *ret = (struct home){.epoch = 0};
    if (*ret_has && home_parse(homes->kvs[i].value, ret))
        return error_set(err, TENURE_ECORRUPT, "%.*s is no home record", (int)homes->kvs[i].key.len,
                         (const char *)homes->kvs[i].key.data);
    for (i = 0; i < homes->n_kvs; i++) {
        struct home inner = {.epoch = 0};
        bytes p = home_prefix_of(homes->kvs[i].key);
        if (p.len <= prefix.len || !bytes_has_prefix(p, prefix))
            continue;
        bool same = *ret_has && home_parse(homes->kvs[i].value, &inner) == 0 && strcmp(inner.region, ret->region) == 0;
        if (!same)
            return error_set(err, TENURE_ECONFLICT, "%.*s, below it, has another home: mirror what lies beside it",
                             (int)p.len, (const char *)p.data);
    }
    return 0;
}

static bool is_region(const struct range_resp *own, const char *region)
{
    return own->n_kvs == 1 && bytes_equal(own->kvs[0].value, bytes_str(region));
}

bool homes_same(const struct home *a, const struct home *b)
{
    return a->epoch == b->epoch && strcmp(a->region, b->region) == 0;
}

int homes_judge(const struct carrier *c, const struct range_resp *source_region, struct tenure_error *err)
{
    bytes to = buf_bytes(&c->to);
    bool elsewhere = !bytes_equal(to, buf_bytes(&c->prefix));
    if (c->has_here && !is_region(source_region, c->here.region))
        return error_set(err, TENURE_ECONFLICT, "the home of %.*s is %s (epoch %" PRId64 "), and not the source",
                         (int)c->prefix.len, (const char *)c->prefix.data, c->here.region, c->here.epoch);
    if (elsewhere && c->has_there)
        return error_set(err, TENURE_ECONFLICT,
                         "%.*s has a home at the destination, and is no place for a copy of others", (int)to.len,
                         (const char *)to.data);
    if (elsewhere)
        return 0;
    if (c->has_here != c->has_there)
        return error_set(err, TENURE_ECONFLICT, "only the %s has a home record that covers %.*s",
                         c->has_here ? "source" : "destination", (int)to.len, (const char *)to.data);
    if (c->has_here && !homes_same(&c->here, &c->there))
        return error_set(err, TENURE_ECONFLICT,
                         "the source says that the home is %s (epoch %" PRId64 "), the destination %s (epoch %" PRId64
                         ")",
                         c->here.region, c->here.epoch, c->there.region, c->there.epoch);
    return 0;
}

tn_rev homes_left_at(const struct carrier *c, const struct range_resp *homes, const struct range_resp *source_region)
{
    size_t i = home_covering(homes->kvs, homes->n_kvs, buf_bytes(&c->prefix));
    if (i == SIZE_MAX || !c->has_here || !c->has_there || !bytes_equal(buf_bytes(&c->to), buf_bytes(&c->prefix)))
        return 0;
    bool was_home = c->has_record && homes_same(&c->rec.home, &c->there) && is_region(source_region, c->there.region);
    tn_rev at = homes->kvs[i].mod_revision;
    bool is_copied = c->rec.revision >= at && !c->rec.at && !c->rec.part;
    return was_home && c->here.epoch > c->there.epoch && !is_copied ? at : 0;
}
