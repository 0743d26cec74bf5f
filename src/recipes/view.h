/* An exact copy of a range of keys, and each change of it: listed at a revision, watched from the next one on.
 *
 *   LISTING --listed--> WATCHING --the watch cannot go on--> LISTING    and from all: ENDED
 *         <--in a while-- RESTING <--the endpoint lags, or nobody is there--
 *
 * A watch that ends by compaction, or because too many events wait, is replaced by a new list; what lies between is told as
 * the difference, so applying all changes to the first list always gives what the servers hold (W16). Lost connections are
 * the client's business. An end is: denied, closed, no memory, more keys or bytes than view_limit allows.
 *
 * Pure; thread: the client's. Callbacks come from client_deliver; each may stop the view. Its driver ticks it.
 */
#ifndef RECIPES_VIEW_H
#define RECIPES_VIEW_H

#include "client/client.h"
#include "recipes/keyset.h"

enum { VIEW_KEYS_MAX = 100000, VIEW_BYTES_MAX = 64 * 1024 * 1024 };

struct view;

/* Both are of entries of a keyset, which may be kept (keyset_ref). */
struct view_change {
    const struct kv *now; /* NULL = deleted */
    const struct kv *was; /* NULL = new */
};

struct view_callbacks {
    /* The copy is that of `revision` now, and these keys have changed, in byte order for a list and in the order of events
     * otherwise. The first call tells all keys, and comes when there are none; later ones have at least one change. */
    void (*on_change)(void *user, tn_rev revision, const struct view_change *changes, size_t n);
    void (*on_end)(void *user, int code, const struct tenure_error *error); /* the last call */
};

/* Copies range. TENURE_ENOMEM, TENURE_ELIMIT. */
int view_start(struct client *c, struct key_range range, const struct view_callbacks *cb, void *user, tn_ms now,
               struct view **ret, struct tenure_error *err) MUST_USE;
/* No callback comes after it. NULL is fine; NULL. */
struct view *view_stop(struct view *v, tn_ms now);

/* At most so many keys, which take at most so many bytes with what they take besides; 0 = VIEW_KEYS_MAX, VIEW_BYTES_MAX. To be
 * said before the first list has come. */
void view_limit(struct view *v, size_t keys_max, size_t bytes_max);

tn_ms view_deadline(const struct view *v); /* TN_MS_NEVER = none */
void view_tick(struct view *v, tn_ms now); /* calls nobody back */

/* What a linearizable read of the range has answered, one that left out at most what was last changed at or below a revision that
 * the view had then (min_mod_revision). 0: the view is at its revision at least; what was new is told by on_change, now. VIEW_BEHIND:
 * nothing was listed yet, or a key is gone whose delete the view has not heard of. Below 0: it has ended by it. Not from within
 * its callbacks. */
enum { VIEW_BEHIND = 1 };
int view_learn(struct view *v, const struct range_resp *r) MUST_USE;

tn_rev view_revision(const struct view *v); /* 0 = nothing was listed yet */
/* When the list that it stands on was asked for: what was written before that is in it. */
tn_ms view_listed_at(const struct view *v);
size_t view_count(const struct view *v);
/* In byte order; borrowed until the next change. */
const struct kv *view_at(const struct view *v, size_t i);
const struct kv *view_find(const struct view *v, bytes key); /* NULL = absent */

#endif
