/* One place of a home's authority: a key on a lease, in the cluster of another region. See authority.h, whose part it is.
 *
 *   LOOK (record and key there) -> GRANT -> TAKE (guarded) -> RENEW (keepalive, then: does it stand) -> RENEW …
 *      ^        `-- it stands already: the same home's, of an earlier process or of another ---^          |
 *      `------------------- the lease is over, the key another's, the record of another home -------------'
 *
 * A place is the home's, not a process's: whoever finds it with the own region and epoch renews its lease. It goes by the end of
 * the lease alone. Taken is it by a transaction that compares that the key is absent, and that the record there, as it was read, says that
 * this is the home, of this epoch. A promotion puts the record by one that compares that the key is absent: so whoever comes
 * first there has it, and behind a promotion there is no way back.
 *
 * until: the moment at which the last renewal that was answered, and found standing, was sent, with the lease's time, less the margin of
 * session.h. Pure; thread: the client's.
 */
#ifndef RECIPES_AUTHORITY_PLACE_H
#define RECIPES_AUTHORITY_PLACE_H

#include "base/backoff.h"
#include "recipes/home.h"
#include "recipes/op.h"

enum place_step { PLACE_LOOK, PLACE_GRANT, PLACE_TAKE, PLACE_RENEW, PLACE_PROVE };

/* What all places of an authority are about; the engine's. */
struct authority_claim {
    bytes prefix, record_key, word_key;
    struct home home; /* as its own cluster says */
    int64_t ttl_s;
};

struct authority_place {
    const struct authority_claim *claim;
    struct client *client; /* NULL: it cannot be reached at all */
    const char *region;    /* borrowed */
    void (*changed)(void *user);
    void *user;

    enum place_step step;
    struct op *op;
    tn_rev record_mod, mod; /* as they were seen there; of the key that stands */
    tn_lease lease;
    int64_t ttl_s; /* as granted */
    tn_ms asked_at, at, until;
    struct backoff backoff;
    struct rng rng;
    struct tenure_error why; /* why it is not had, or was not renewed; code 0 = nothing is wrong */
};

/* All fields up to user are set. */
void place_init(struct authority_place *p, uint64_t seed);
/* Begins anew, with a look: the claim has changed. */
void place_begin(struct authority_place *p, tn_ms now);
/* Nothing is asked any more; what stands there ends by itself. */
void place_stop(struct authority_place *p, tn_ms now);
/* What is due. */
void place_run(struct authority_place *p, tn_ms now);
tn_ms place_deadline(const struct authority_place *p);

#endif
