/* See known.h. Found by a hash with a seed of its own, then compared in constant time. Two of one hash: the later one stays. */
#include "core/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

static struct known *oldest(const struct known_set *set)
{
    return list_empty(&set->by_use) ? NULL : LIST_ENTRY(set->by_use.next, struct known, by_use);
}

void known_init(struct known_set *set, uint64_t seed, int64_t ttl_ms, size_t max)
{
    *set = (struct known_set){.seed = seed, .ttl_ms = ttl_ms, .max = max};
    map_init(&set->by_hash);
    list_init(&set->by_use);
}

void known_remove(struct known_set *set, struct known *k)
{
    map_remove(&set->by_hash, k->hash);
    list_remove(&k->by_use);
    explicit_bzero(k->data, k->text_len + k->name_len);
    free(k);
}

void known_fini(struct known_set *set)
{
    for (struct known *k; (k = oldest(set));)
        known_remove(set, k);
    map_fini(&set->by_hash);
}

static uint64_t hash_of(const struct known_set *set, bytes text)
{
    uint64_t h = set->seed ^ 0xcbf29ce484222325u;
    for (size_t i = 0; i < text.len; i++)
        h = (h ^ text.data[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

bool known_add(struct known_set *set, bytes text, bytes name, uint64_t changes, tn_ms now)
{
    uint64_t hash = hash_of(set, text);
    struct known *old = map_get(&set->by_hash, hash);
    struct known *k = text.len ? malloc(sizeof *k + text.len + name.len) : NULL;
    if (old)
        known_remove(set, old);
    if (!k || map_put(&set->by_hash, hash, k) != 0) {
        free(k);
        return false;
    }
    *k = (struct known){.hash = hash,
                        .expires = now + set->ttl_ms,
                        .verified_at = now,
                        .changes = changes,
                        .text_len = text.len,
                        .name_len = name.len};
    memcpy(k->data, text.data, text.len);
    if (name.len)
        memcpy(k->data + text.len, name.data, name.len);
    list_init(&k->by_use);
    list_push_back(&set->by_use, &k->by_use);
    if (set->by_hash.len > set->max)
        known_remove(set, oldest(set));
    return true;
}

struct known *known_find(struct known_set *set, bytes text, tn_ms now)
{
    for (struct known *k; (k = oldest(set)) && k->expires <= now;)
        known_remove(set, k);
    struct known *k = map_get(&set->by_hash, hash_of(set, text));
    if (!k || !secret_equal(bytes_of(k->data, k->text_len), text))
        return NULL;
    k->expires = now + set->ttl_ms;
    list_remove(&k->by_use);
    list_push_back(&set->by_use, &k->by_use);
    return k;
}
