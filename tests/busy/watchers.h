/* Watchers that look at the wire, and one recorder: it watches all keys of the source and makes the history; the others watch
 * at replicas, and each response of theirs is judged once the history has come as far.
 *
 * They resume behind what they were told, at any of the replicas; cut their connections, stop reading for a while, ask for
 * progress, begin again with another request, in the past, now or in the future.
 */
#ifndef BUSY_WATCHERS_H
#define BUSY_WATCHERS_H

#include "base/rng.h"
#include "busy/judge.h"

struct watchers_options {
    int source;
    const int *replicas;
    size_t n_replicas, n; /* watchers in all */
    uint64_t seed;
    int64_t trouble_ms; /* on average between two of those things, of each watcher */
};

struct watchers_counts {
    uint64_t sessions, cuts, pauses, lost_connections, recorder_lost;
    int64_t lag_us[3]; /* of puts, from when they were sent to when they were told at a replica: p50, p99, most */
};

void watchers_start(const struct watchers_options *o, struct court *court);
void watchers_turn(int64_t now_ns);
/* No more trouble; true when each has been told all up to that revision, and all was judged. */
bool watchers_finish(tn_rev last);
void watchers_say(void); /* how far each is, for who waits in vain */
void watchers_counts(struct watchers_counts *ret);

#endif
