/* Versions of a key in order of revision: none or one in the key itself, more in an array with room at its end.
 * Compaction takes from the front, so the array has a moving start and is packed when it has no room left; when one
 * version remains the array goes. Only the *_new and key_reserve can fail, and change nothing then.
 */
#include "store/key.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

enum {
    CAP_MIN = 4,
    MALLOC_COST = 8, /* what glibc adds to a block */
    TREE_COST = 16,  /* a place in the tree, half-full nodes included */
    HISTORY_COST = 8,
};

struct version *version_new(bytes value)
{
    assert(value.len <= UINT32_MAX);
    struct version *v = malloc(sizeof *v + value.len);
    if (!v)
        return NULL;
    *v = (struct version){.value_len = (uint32_t)value.len};
    if (value.len)
        memcpy(v->value, value.data, value.len);
    return v;
}

struct key *key_new(bytes name)
{
    if (name.len > SIZE_MAX / 2)
        return NULL;
    struct key *k = malloc(sizeof *k + name.len);
    if (!k)
        return NULL;
    if (name.len)
        memcpy(k->data, name.data, name.len);
    k->item.key = bytes_of(k->data, name.len);
    list_init(&k->lease_node);
    k->slot = 0;
    return k;
}

static struct versions *key_many(const struct key *k)
{
    return k->slot & 1 ? (struct versions *)(k->slot - 1) : NULL;
}

static void key_set_many(struct key *k, struct versions *many)
{
    k->slot = (uintptr_t)many + 1;
}

void key_free(struct key *k)
{
    if (!k)
        return;
    for (size_t i = 0; i < key_len(k); i++)
        free(key_nth(k, i));
    free(key_many(k));
    free(k);
}

int64_t version_memory(const struct version *v)
{
    return (int64_t)(sizeof *v + v->value_len + MALLOC_COST + HISTORY_COST);
}

int64_t key_memory(const struct key *k)
{
    return (int64_t)(sizeof *k + k->item.key.len + MALLOC_COST + TREE_COST);
}

static int many_new(struct key *k)
{
    struct versions *many = malloc(sizeof *many + CAP_MIN * sizeof many->at[0]);
    if (!many)
        return TENURE_ENOMEM;
    *many = (struct versions){.len = 1, .cap = CAP_MIN};
    many->at[0] = (struct version *)k->slot;
    key_set_many(k, many);
    return 0;
}

static int many_grow(struct key *k, struct versions *many)
{
    if (many->first > many->cap / 2) {
        memmove(many->at, many->at + many->first, many->len * sizeof many->at[0]);
        many->first = 0;
        return 0;
    }
    if (many->cap > UINT32_MAX / 2)
        return TENURE_ENOMEM;
    uint32_t cap = 2 * many->cap;
    struct versions *more = realloc(many, sizeof *more + cap * sizeof more->at[0]);
    if (!more)
        return TENURE_ENOMEM;
    more->cap = cap;
    key_set_many(k, more);
    return 0;
}

int key_reserve(struct key *k)
{
    if (k->slot == 0)
        return 0;
    struct versions *many = key_many(k);
    if (!many)
        return many_new(k);
    return many->first + many->len < many->cap ? 0 : many_grow(k, many);
}

void key_push(struct key *k, struct version *v)
{
    v->key = k;
    if (k->slot == 0) {
        k->slot = (uintptr_t)v;
        return;
    }
    struct versions *many = key_many(k);
    assert(many);
    assert(many->first + many->len < many->cap);
    many->at[many->first + many->len++] = v;
}

/* The array goes when it holds no more than the key itself can. */
static void many_shrink(struct key *k, struct versions *many)
{
    if (many->len > 1)
        return;
    k->slot = many->len ? (uintptr_t)many->at[many->first] : 0;
    free(many);
}

struct version *key_pop(struct key *k)
{
    assert(k->slot != 0);
    struct versions *many = key_many(k);
    if (!many) {
        struct version *v = (struct version *)k->slot;
        k->slot = 0;
        return v;
    }
    struct version *v = many->at[many->first + --many->len];
    many_shrink(k, many);
    return v;
}

struct version *key_drop(struct key *k)
{
    struct versions *many = key_many(k);
    if (!many)
        return key_pop(k);
    struct version *v = many->at[many->first++];
    many->len--;
    many_shrink(k, many);
    return v;
}

size_t key_len(const struct key *k)
{
    const struct versions *many = key_many(k);
    return many ? many->len : k->slot != 0;
}

struct version *key_nth(const struct key *k, size_t i)
{
    assert(i < key_len(k));
    const struct versions *many = key_many(k);
    return many ? many->at[many->first + i] : (struct version *)k->slot;
}

struct version *key_newest(const struct key *k)
{
    size_t len = key_len(k);
    return len ? key_nth(k, len - 1) : NULL;
}

size_t key_lower_bound(const struct key *k, tn_rev rev)
{
    size_t low = 0, high = key_len(k);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (key_nth(k, middle)->main < rev)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct version *key_at(const struct key *k, tn_rev rev)
{
    struct version *newest = key_newest(k);
    if (!newest || newest->main <= rev)
        return newest;
    size_t i = key_lower_bound(k, rev + 1);
    return i ? key_nth(k, i - 1) : NULL;
}

struct version *key_live_at(const struct key *k, tn_rev rev)
{
    struct version *v = key_at(k, rev);
    return v && !version_is_tombstone(v) ? v : NULL;
}

struct version *key_before(const struct version *v)
{
    size_t i = key_lower_bound(v->key, v->main);
    return i ? key_nth(v->key, i - 1) : NULL;
}
