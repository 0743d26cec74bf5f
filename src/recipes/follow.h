/* A watch that resyncs: a list of the keys at one revision, then the events behind it; and where events are not to be had any
 * more (compacted, or more of them than the client holds), a fresh list again, of which the owner is told the difference only:
 * synthetic puts and deletes against what it was told before. So a copy that applies what it is told is the exact state of the
 * range at the revision told, whenever it is not between a begin and an end.
 *
 *     LISTING --last page--> WATCHING --compacted, too much to hold--> LISTING
 *        +--not to be had--> RESTING --its time has come--> LISTING
 *                any of them: ENDED (denied, closed, over the bounds of the copy)
 *
 * It remembers of each key what tells two versions apart, and with prev_kv the value. Both are bounded; over the bound it ends
 * with TENURE_ELIMIT.
 *
 * Pure; thread: the client's. Callbacks come from client_deliver and follow_tick; each may stop it.
 */
#ifndef RECIPES_FOLLOW_H
#define RECIPES_FOLLOW_H

#include "client/client.h"

struct follow;

struct follow_options {
    struct key_range range;  /* copied */
    bool prev_kv;            /* events carry the value before, synthetic ones too */
    bool progress_notify;    /* see client_watch_callbacks.on_events */
    size_t keys_max;         /* of the copy; 0 = 1,000,000 */
    size_t bytes_max;        /* of the copy; 0 = 256 MiB */
    size_t page_max;         /* keys of one page; 0 = as many as make about 1 MiB; tests set it */
    bool broken_skip_absent; /* tests only: keys that are not in the fresh list are not told */
};

struct follow_callbacks {
    /* What comes until on_synced is the difference. why: 0 for the first time, TENURE_ECOMPACTED, TENURE_ELIMIT. revision: up to
     * which it was told before; 0 = nothing. May come again before on_synced: the list had to be begun anew. */
    void (*on_resync)(void *user, int why, tn_rev revision);
    void (*on_synced)(void *user, tn_rev revision); /* all that was told is the range at `revision` */
    void (*on_events)(void *user, const struct client_watch_events *e);
    void (*on_end)(void *user, int code, const struct tenure_error *error); /* calls no more; free it */
};

/* NULL: out of memory, or the client is closed; err says why. */
struct follow *follow_start(struct client *c, const struct follow_options *o, const struct follow_callbacks *cb,
                            void *user, tn_ms now, struct tenure_error *err) MUST_USE;
/* No callback comes behind it. NULL is fine; NULL. */
struct follow *follow_stop(struct follow *f, tn_ms now);
tn_ms follow_deadline(const struct follow *f);
void follow_tick(struct follow *f, tn_ms now);
size_t follow_keys(const struct follow *f); /* in the copy */

#endif
