/* The queue that the keys of a range are by their create revision: who is first, and who is right before a given one. One walk
 * over the range each; nothing is sorted.
 */
#include "store/internal.h"

static const struct version *live(const struct key *k, tn_rev at)
{
    return k ? key_live_at(k, at) : NULL;
}

/* The newest one created before `before`; NULL when there is none. */
static const struct version *last_before(const struct store *s, struct key_range queue, tn_rev before, tn_rev at)
{
    const struct version *last = NULL;
    struct scan scan;
    for (struct key *k = scan_first(s, &scan, queue, at); k; k = scan_next(&scan)) {
        const struct version *v = live(k, at);
        if (v && v->create_revision < before && (!last || v->create_revision > last->create_revision))
            last = v;
    }
    return last;
}

void store_queue_place(const struct store *s, struct key_range queue, bytes key, tn_rev create, bool planned,
                       struct store_place *ret)
{
    tn_rev at = planned ? INT64_MAX : s->revision_durable;
    const struct version *own = live(store_key_find(s, key), at);
    const struct version *before = last_before(s, queue, create, at);
    *ret = (struct store_place){.stands = own && own->create_revision == create, .is_first = !before};
    if (before)
        ret->before = before->key->item.key;
}

bool store_queue_first(const struct store *s, struct key_range queue, struct kv *ret)
{
    const struct version *first = NULL;
    struct scan scan;
    for (struct key *k = scan_first(s, &scan, queue, s->revision_durable); k; k = scan_next(&scan)) {
        const struct version *v = live(k, s->revision_durable);
        if (v && (!first || v->create_revision < first->create_revision))
            first = v;
    }
    if (first)
        *ret = version_kv(first);
    return first != NULL;
}
