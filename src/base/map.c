/* Linear probing: a key lives in the first free slot from its hash on. At most three quarters of the slots are in use,
 * so every probe ends. Removal moves later keys of the run back instead of leaving marks, so lookups do not slow down
 * with age. Only growing can fail, and leaves the map as it was.
 */
#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

#include "tenure/error.h"

enum { CAP_MIN = 16 };

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    free(m->slots);
    map_init(m);
}

/* Numbers that count up, as stream ids do, must not fall into one run: murmur3's finaliser mixes every bit. */
static size_t map_home(uint64_t key, size_t cap)
{
    key ^= key >> 33;
    key *= 0xff51afd7ed558ccd;
    key ^= key >> 33;
    key *= 0xc4ceb9fe1a85ec53;
    key ^= key >> 33;
    return (size_t)key & (cap - 1);
}

/* The slot that has key, or the free one where it belongs. There must be slots. */
static struct map_slot *slot_find(struct map_slot *slots, size_t cap, uint64_t key)
{
    size_t i = map_home(key, cap);
    while (slots[i].value && slots[i].key != key)
        i = (i + 1) & (cap - 1);
    return &slots[i];
}

static size_t keys_max(size_t cap)
{
    return cap / 4 * 3;
}

static int map_resize(struct map *m, size_t cap)
{
    struct map_slot *slots = calloc(cap, sizeof *slots);
    if (!slots)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < m->cap; i++) {
        if (m->slots[i].value)
            *slot_find(slots, cap, m->slots[i].key) = m->slots[i];
    }
    free(m->slots);
    m->slots = slots;
    m->cap = cap;
    return 0;
}

int map_reserve(struct map *m, size_t more)
{
    if (more <= keys_max(m->cap) - m->len)
        return 0;
    if (more > SIZE_MAX / (4 * sizeof(struct map_slot)) - m->len)
        return TENURE_ENOMEM;
    size_t cap = m->cap ? m->cap : CAP_MIN;
    while (keys_max(cap) < m->len + more)
        cap *= 2;
    return map_resize(m, cap);
}

int map_put(struct map *m, uint64_t key, void *value)
{
    assert(value);
    struct map_slot *slot = m->cap ? slot_find(m->slots, m->cap, key) : NULL;
    if (slot && slot->value) {
        slot->value = value;
        return 0;
    }
    if (m->len == keys_max(m->cap)) {
        int rc = map_reserve(m, 1);
        if (rc)
            return rc;
        slot = slot_find(m->slots, m->cap, key);
    }
    *slot = (struct map_slot){.key = key, .value = value};
    m->len++;
    return 0;
}

void *map_get(const struct map *m, uint64_t key)
{
    return m->cap ? slot_find(m->slots, m->cap, key)->value : NULL;
}

/* Closes the hole: a later key of the run moves into it unless its home lies behind the hole, and leaves a new hole. */
static void map_close(struct map *m, size_t hole)
{
    size_t mask = m->cap - 1;
    for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
        size_t home = map_home(m->slots[i].key, m->cap);
        if (((i - home) & mask) < ((i - hole) & mask))
            continue;
        m->slots[hole] = m->slots[i];
        hole = i;
    }
    m->slots[hole] = (struct map_slot){0};
}

void *map_remove(struct map *m, uint64_t key)
{
    if (!m->cap)
        return NULL;
    struct map_slot *slot = slot_find(m->slots, m->cap, key);
    void *value = slot->value;
    if (!value)
        return NULL;
    map_close(m, (size_t)(slot - m->slots));
    m->len--;
    return value;
}

void *map_next(const struct map *m, size_t *cursor)
{
    while (*cursor < m->cap) {
        void *value = m->slots[(*cursor)++].value;
        if (value)
            return value;
    }
    return NULL;
}
