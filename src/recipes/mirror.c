/* Keys in an array in the order of their creation. New ones come at the end and the first one goes, so both are cheap; a
 * key that leaves the middle is searched for from the front. */
#include "recipes/mirror.h"

#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 16 };

struct mirror_entry {
    struct kv kv; /* its bytes are in data */
    uint8_t data[];
};

void mirror_init(struct mirror *m)
{
    *m = (struct mirror){0};
}

static size_t entry_bytes(const struct kv *kv)
{
    return sizeof(struct mirror_entry) + kv->key.len + kv->value.len;
}

static void entry_free(struct mirror *m, struct mirror_entry *e)
{
    m->bytes -= entry_bytes(&e->kv);
    free(e);
}

void mirror_clear(struct mirror *m)
{
    for (size_t i = 0; i < m->len; i++)
        entry_free(m, m->entries[i]);
    m->len = 0;
}

void mirror_fini(struct mirror *m)
{
    mirror_clear(m);
    free(m->entries);
    mirror_init(m);
}

static struct mirror_entry *entry_new(const struct kv *kv)
{
    struct mirror_entry *e = malloc(entry_bytes(kv));
    if (!e)
        return NULL;
    e->kv = *kv;
    e->kv.key.data = e->data;
    e->kv.value.data = e->data + kv->key.len;
    if (kv->key.len)
        memcpy(e->data, kv->key.data, kv->key.len);
    if (kv->value.len)
        memcpy(e->data + kv->key.len, kv->value.data, kv->value.len);
    return e;
}

static int compare_places(const struct kv *a, const struct kv *b)
{
    if (a->create_revision != b->create_revision)
        return a->create_revision < b->create_revision ? -1 : 1;
    return bytes_compare(a->key, b->key);
}

/* The first place that is not before kv's. */
static size_t place_of(const struct mirror *m, const struct kv *kv)
{
    size_t low = 0, high = m->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare_places(&m->entries[middle]->kv, kv) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int make_room(struct mirror *m)
{
    if (m->len < m->cap)
        return 0;
    size_t cap = m->cap ? 2 * m->cap : CAP_MIN;
    struct mirror_entry **entries = realloc(m->entries, cap * sizeof(struct mirror_entry *));
    if (!entries)
        return TENURE_ENOMEM;
    m->entries = entries;
    m->cap = cap;
    return 0;
}

static void insert_at(struct mirror *m, size_t at, struct mirror_entry *e)
{
    memmove(m->entries + at + 1, m->entries + at, (m->len - at) * sizeof(struct mirror_entry *));
    m->entries[at] = e;
    m->len++;
    m->bytes += entry_bytes(&e->kv);
}

int mirror_put(struct mirror *m, const struct kv *kv)
{
    size_t at = place_of(m, kv);
    bool same = at < m->len && compare_places(&m->entries[at]->kv, kv) == 0;
    if ((!same && m->len >= MIRROR_KEYS_MAX) || entry_bytes(kv) > MIRROR_BYTES_MAX - m->bytes)
        return TENURE_ELIMIT;
    struct mirror_entry *e = make_room(m) ? NULL : entry_new(kv);
    if (!e)
        return TENURE_ENOMEM;
    if (!same) {
        insert_at(m, at, e);
        return 0;
    }
    m->bytes += entry_bytes(kv);
    entry_free(m, m->entries[at]);
    m->entries[at] = e;
    return 0;
}

void mirror_delete(struct mirror *m, bytes key)
{
    for (size_t i = 0; i < m->len; i++)
        if (bytes_equal(m->entries[i]->kv.key, key)) {
            entry_free(m, m->entries[i]);
            m->len--;
            memmove(m->entries + i, m->entries + i + 1, (m->len - i) * sizeof(struct mirror_entry *));
            return;
        }
}

bool mirror_first(const struct mirror *m, struct kv *ret)
{
    if (m->len == 0)
        return false;
    *ret = m->entries[0]->kv;
    return true;
}
