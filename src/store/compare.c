/* The compares of a transaction, as etcd evaluates them: over a range each key must hold; where there is no key, a
 * value never compares, and everything else compares as 0. A target that is not known compares as equal, a result that
 * is not known holds.
 */
#include "store/internal.h"

static int number_compare(int64_t a, int64_t b)
{
    return a < b ? -1 : a > b;
}

static int compare_target(const struct compare *c, const struct kv *kv)
{
    switch (c->target) {
    case COMPARE_VERSION:
        return number_compare(kv->version, c->number);
    case COMPARE_CREATE:
        return number_compare(kv->create_revision, c->number);
    case COMPARE_MOD:
        return number_compare(kv->mod_revision, c->number);
    case COMPARE_VALUE:
        return bytes_compare(kv->value, c->value);
    case COMPARE_LEASE:
        return number_compare(kv->lease, c->number);
    default:
        return 0;
    }
}

static bool compare_kv(const struct compare *c, const struct kv *kv)
{
    int order = compare_target(c, kv);
    switch (c->result) {
    case COMPARE_EQUAL:
        return order == 0;
    case COMPARE_GREATER:
        return order > 0;
    case COMPARE_LESS:
        return order < 0;
    case COMPARE_NOT_EQUAL:
        return order != 0;
    default:
        return true;
    }
}

static bool compare_one(const struct store *s, const struct compare *c, tn_rev at)
{
    bool any = false;
    struct scan scan;
    for (struct key *k = scan_first(s, &scan, c->range, at); k; k = scan_next(&scan)) {
        struct version *v = key_live_at(k, at);
        if (!v)
            continue;
        struct kv kv = version_kv(v);
        if (!compare_kv(c, &kv))
            return false;
        any = true;
    }
    return any || (c->target != COMPARE_VALUE && compare_kv(c, &(struct kv){0}));
}

bool compare_all(const struct store *s, const struct txn_req *t, tn_rev at)
{
    for (size_t i = 0; i < t->n_compares; i++) {
        if (!compare_one(s, &t->compares[i], at))
            return false;
    }
    return true;
}
