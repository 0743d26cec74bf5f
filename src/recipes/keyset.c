/* See keyset.h. */
#include "recipes/keyset.h"

#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 16 };

struct keyset_entry *keyset_ref(struct keyset_entry *e)
{
    atomic_fetch_add_explicit(&e->refs, 1, memory_order_relaxed);
    return e;
}

void keyset_unref(struct keyset_entry *e)
{
    if (e && atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1)
        free(e);
}

void keyset_fini(struct keyset *s)
{
    for (size_t i = 0; i < s->len; i++)
        keyset_unref(s->entries[i]);
    free(s->entries);
    *s = (struct keyset){0};
}

size_t keyset_bytes(const struct kv *kv)
{
    return sizeof(struct keyset_entry) + kv->key.len + kv->value.len + 2;
}

size_t keyset_place(const struct keyset *s, bytes key)
{
    size_t low = 0, high = s->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(s->entries[middle]->kv.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool keyset_is_at(const struct keyset *s, size_t at, bytes key)
{
    return at < s->len && bytes_equal(s->entries[at]->kv.key, key);
}

static struct keyset_entry *entry_new(const struct kv *kv)
{
    struct keyset_entry *e = malloc(keyset_bytes(kv));
    if (!e)
        return NULL;
    e->kv = *kv;
    atomic_init(&e->refs, 1);
    uint8_t *value = e->data + kv->key.len + 1;
    e->kv.key = bytes_of(e->data, kv->key.len);
    e->kv.value = bytes_of(value, kv->value.len);
    if (kv->key.len)
        memcpy(e->data, kv->key.data, kv->key.len);
    if (kv->value.len)
        memcpy(value, kv->value.data, kv->value.len);
    e->data[kv->key.len] = value[kv->value.len] = 0;
    return e;
}

int keyset_reserve(struct keyset *s, size_t more)
{
    if (more <= s->cap - s->len)
        return 0;
    size_t cap = s->cap ? 2 * s->cap : CAP_MIN;
    cap = cap < s->len + more ? s->len + more : cap;
    struct keyset_entry **entries = realloc(s->entries, cap * sizeof(struct keyset_entry *));
    if (!entries)
        return TENURE_ENOMEM;
    s->entries = entries;
    s->cap = cap;
    return 0;
}

/* e becomes the set's. */
static void place(struct keyset *s, struct keyset_entry *e, struct keyset_entry **ret_was)
{
    size_t at = keyset_place(s, e->kv.key);
    bool same = keyset_is_at(s, at, e->kv.key);
    *ret_was = same ? s->entries[at] : NULL;
    if (!same) {
        memmove(s->entries + at + 1, s->entries + at, (s->len - at) * sizeof(struct keyset_entry *));
        s->len++;
    }
    s->entries[at] = e;
}

int keyset_put(struct keyset *s, const struct kv *kv, struct keyset_entry **ret_was)
{
    struct keyset_entry *e = keyset_reserve(s, 1) ? NULL : entry_new(kv);
    if (!e)
        return TENURE_ENOMEM;
    place(s, e, ret_was);
    return 0;
}

void keyset_share(struct keyset *s, struct keyset_entry *e, struct keyset_entry **ret_was)
{
    place(s, keyset_ref(e), ret_was);
}

const struct kv *keyset_find(const struct keyset *s, bytes key)
{
    size_t at = keyset_place(s, key);
    return keyset_is_at(s, at, key) ? &s->entries[at]->kv : NULL;
}

struct keyset_entry *keyset_take(struct keyset *s, size_t at)
{
    struct keyset_entry *e = s->entries[at];
    s->len--;
    memmove(s->entries + at, s->entries + at + 1, (s->len - at) * sizeof(struct keyset_entry *));
    return e;
}
