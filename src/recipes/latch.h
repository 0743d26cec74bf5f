/* A latch, or counted barrier: opens when n have arrived, and stays open. Nobody has to stay: an arrival counts also when
 * its process is gone. Keys under `<prefix><name>/`: arrivals/<id> one each, whatever it holds; count "arrived/n"; open,
 * once it is open. An arrival is one transaction, which opens the latch when it is the last; who waits watches `open`
 * alone, so an arrival wakes nobody but the last, which wakes all.
 *
 * An arrival is done once: it moves a mark, `<prefix without slash>.marks/<name>`, whose value names the newest requests (recent.h)
 * and which no reset takes away. So a copy of a request whose answer was lost does not count in the next round.
 *
 * Pure; thread: the client's.
 */
#ifndef RECIPES_LATCH_H
#define RECIPES_LATCH_H

#include "recipes/errand.h"

struct latch_options {
    const char *prefix; /* NULL = "/latches/" */
    size_t root_len;    /* of the prefix: what no key leaves */
    const char *name;
    const char *id; /* (arrive) who arrives: counted once, however often; NULL = one is drawn */
    int64_t n;      /* (arrive) how many open it; the same for all (TENURE_ECONFLICT) */
    bytes value;    /* (arrive) who, for a person */
    bool try_only;  /* (wait) TENURE_EBUSY instead of waiting */
    tn_ms until;
    bool broken_uncounted; /* tests only: (arrive) the count is not guarded */
    bool broken_blind;     /* tests only: (wait) passes without looking */
};

struct latch_state {
    int64_t arrived, n; /* 0 when nobody has arrived */
    bool open;
};

/* As in barrier.h. arrive, look: the errand's latch_state says how it stood then. reset: all is as at the beginning; who waits
 * goes on waiting. */
struct errand *latch_arrive(struct client *c, const struct latch_options *o, errand_done done, void *user,
                            struct tenure_error *err) MUST_USE;
struct errand *latch_wait(struct client *c, const struct latch_options *o, errand_done done, void *user,
                          struct tenure_error *err) MUST_USE;
struct errand *latch_look(struct client *c, const struct latch_options *o, errand_done done, void *user,
                          struct tenure_error *err) MUST_USE;
struct errand *latch_reset(struct client *c, const struct latch_options *o, errand_done done, void *user,
                           struct tenure_error *err) MUST_USE;
struct latch_state latch_state(const struct errand *t);

#endif
