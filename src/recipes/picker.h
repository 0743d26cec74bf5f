/* Chooses one of several targets: in turn, at random, by weight, the least used, or by a key.
 *
 * Targets come as an array in the order of their hashes, each hash once, so that what is chosen does not depend on the order in
 * which they became known, and a change among them moves as little as it can:
 *
 *   ROUND_ROBIN  the next behind the last one chosen, whoever came or went in between
 *   RANDOM       each as likely as the other
 *   WEIGHTED     as likely as its weight is large
 *   LEAST_USED   the one with the fewest uses for its weight; among several, one at random
 *   CONSISTENT   by rendezvous: each target draws a number from the key and its own hash, and the best for its weight has it.
 *                Of a target that comes it takes only its own share from the others, of one that goes only that one's keys
 *                move. The same for everybody: whole numbers only, no state, no seed.
 *
 * Pure; one caller at a time.
 */
#ifndef RECIPES_PICKER_H
#define RECIPES_PICKER_H

#include "base/bytes.h"
#include "base/rng.h"

enum picker_policy { PICKER_ROUND_ROBIN, PICKER_RANDOM, PICKER_WEIGHTED, PICKER_LEAST_USED, PICKER_CONSISTENT };
enum { PICKER_WEIGHT_MAX = 65535 };

struct picker_target {
    uint64_t hash;
    uint32_t weight; /* 1 … PICKER_WEIGHT_MAX */
    uint32_t uses;   /* of LEAST_USED: now */
};

struct picker {
    enum picker_policy policy;
    struct rng rng;
    uint64_t last; /* of ROUND_ROBIN: the hash chosen last */
};

void picker_init(struct picker *p, enum picker_policy policy, uint64_t seed);
/* The index of the one chosen; n > 0. key: of CONSISTENT. */
size_t picker_pick(struct picker *p, const struct picker_target *targets, size_t n, bytes key);

/* Of bytes, the same everywhere and for ever: programs of different versions have to agree. */
uint64_t picker_hash(bytes s);

#endif
