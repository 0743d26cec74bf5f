/* An exact copy of several ranges of keys, all of them at one revision, and each change of the whole.
 *
 * Watches of several ranges say nothing of how far the others have come. So here a watch only says that there is something at
 * revision R; what it is, is read: one transaction of reads at R brings what is newer than the copy in every range, and how many
 * keys each has, from which it is seen whether any was deleted; then all is read at R again. So a state is always what the
 * store held at one revision, also when one transaction changed keys of several ranges.
 *
 *   LISTING --all read--> WATCHING --an event behind the copy--> READING --read--> WATCHING
 *      ^------- a watch ended, R was compacted, a key was deleted -------+
 *   RESTING <--an endpoint lags, or nobody is there--> back to what was begun; and from all: ENDED
 *
 * Each revision is told as a state of its own, but where more than RANGES_WAIT_MAX wait (then the newest of them is read next)
 * and where history is gone. A state that has no change is not told, but for the first one.
 *
 * An end is: denied, closed, no memory, more than keys_max or bytes_max.
 * Pure; thread: the client's. Callbacks come from client_deliver; each may stop it. Its driver ticks it.
 */
#ifndef RECIPES_RANGES_H
#define RECIPES_RANGES_H

#include "client/client.h"
#include "recipes/keyset.h"

enum { RANGES_MAX = 24, RANGES_WAIT_MAX = 64 };

struct ranges;

struct ranges_change {
    size_t range;         /* its index */
    const struct kv *now; /* NULL = deleted */
    const struct kv *was; /* NULL = new */
};

struct ranges_options {
    const struct key_range *ranges; /* copied; they must not overlap */
    size_t n;                       /* 1 to RANGES_MAX */
    size_t keys_max, bytes_max;     /* 0 = 100,000; 64 MiB */
};

struct ranges_callbacks {
    /* The copy is that of `revision` now, and these keys have changed, range by range in byte order. */
    void (*on_change)(void *user, tn_rev revision, const struct ranges_change *changes, size_t n);
    void (*on_end)(void *user, int code, const struct tenure_error *error); /* the last call */
};

/* TENURE_ENOMEM, TENURE_ELIMIT. */
int ranges_start(struct client *c, const struct ranges_options *o, const struct ranges_callbacks *cb, void *user,
                 tn_ms now, struct ranges **ret, struct tenure_error *err) MUST_USE;
/* No callback comes after it. NULL is fine; NULL. */
struct ranges *ranges_stop(struct ranges *r, tn_ms now);

tn_ms ranges_deadline(const struct ranges *r); /* TN_MS_NEVER = none */
void ranges_tick(struct ranges *r, tn_ms now); /* calls nobody back */

tn_rev ranges_revision(const struct ranges *r); /* 0 = nothing was read yet */
/* Nothing is known to be newer than the copy: no event waits, nothing is being read. */
bool ranges_is_settled(const struct ranges *r);
/* Reads what is newer now, as an event would make it; nothing when it is not settled. */
void ranges_refresh(struct ranges *r, tn_ms now);
/* How often the newest was read, so that the copy was current then. */
size_t ranges_newest(const struct ranges *r);
/* The keys of a range, borrowed until the next change. */
const struct keyset *ranges_keys(const struct ranges *r, size_t range);

#endif
