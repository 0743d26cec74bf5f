/* See keyset.h. */
#include "recipes/keyset.h"

#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 16 };

void keyset_fini(struct keyset *s)
{
    for (size_t i = 0; i < s->len; i++)
        free(s->entries[i]);
    free(s->entries);
    *s = (struct keyset){0};
}

size_t keyset_bytes(const struct kv *kv)
{
    return sizeof(struct keyset_entry) + kv->key.len + kv->value.len;
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
    e->kv.key = bytes_of(e->data, kv->key.len);
    e->kv.value = bytes_of(e->data + kv->key.len, kv->value.len);
    if (kv->key.len)
        memcpy(e->data, kv->key.data, kv->key.len);
    if (kv->value.len)
        memcpy(e->data + kv->key.len, kv->value.data, kv->value.len);
    return e;
}

static int make_room(struct keyset *s)
{
    if (s->len < s->cap)
        return 0;
    size_t cap = s->cap ? 2 * s->cap : CAP_MIN;
    struct keyset_entry **entries = realloc(s->entries, cap * sizeof(struct keyset_entry *));
    if (!entries)
        return TENURE_ENOMEM;
    s->entries = entries;
    s->cap = cap;
    return 0;
}

int keyset_put(struct keyset *s, const struct kv *kv, struct keyset_entry **ret_was)
{
    size_t at = keyset_place(s, kv->key);
    bool same = keyset_is_at(s, at, kv->key);
    struct keyset_entry *e = make_room(s) ? NULL : entry_new(kv);
    if (!e)
        return TENURE_ENOMEM;
    *ret_was = same ? s->entries[at] : NULL;
    if (!same) {
        memmove(s->entries + at + 1, s->entries + at, (s->len - at) * sizeof(struct keyset_entry *));
        s->len++;
    }
    s->entries[at] = e;
    return 0;
}

struct keyset_entry *keyset_take(struct keyset *s, size_t at)
{
    struct keyset_entry *e = s->entries[at];
    s->len--;
    memmove(s->entries + at, s->entries + at + 1, (s->len - at) * sizeof(struct keyset_entry *));
    return e;
}
