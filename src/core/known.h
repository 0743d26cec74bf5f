/* Tokens that a source gave out by way of this copy, and whose they are: what authentication at a copy knows. The words themselves are
 * kept, so that a token is found by all of it; in memory alone. Pure. */
#ifndef CORE_KNOWN_H
#define CORE_KNOWN_H

#include "base/bytes.h"
#include "base/list.h"
#include "base/map.h"

/* Owner: the set. */
struct known {
    struct list by_use; /* least recently used first */
    uint64_t hash;
    tn_ms expires;     /* without use */
    tn_ms verified_at; /* when the source was asked last whether it counts */
    uint64_t changes;  /* of users and roles, then */
    size_t text_len, name_len;
    uint8_t data[]; /* the token, then the name */
};

struct known_set {
    struct map by_hash;
    struct list by_use;
    uint64_t seed;
    int64_t ttl_ms;
    size_t max; /* at it the least recently used one goes */
};

void known_init(struct known_set *set, uint64_t seed, int64_t ttl_ms, size_t max);
void known_fini(struct known_set *set);
/* That token is that user's. False: no memory, and it stays unknown. */
bool known_add(struct known_set *set, bytes text, bytes name, uint64_t changes, tn_ms now);
/* NULL: it is not known, or was not used for too long. Else its time begins anew. */
struct known *known_find(struct known_set *set, bytes text, tn_ms now);
void known_remove(struct known_set *set, struct known *k);

static inline bytes known_name(const struct known *k)
{
    return bytes_of(k->data + k->text_len, k->name_len);
}

#endif
