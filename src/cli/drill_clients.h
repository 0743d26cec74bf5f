/* The clients of a drill: one that writes, one that reads, one that holds a lock, one that watches, each on a handle and a thread of
 * its own, and what they saw. Their one key is on a lease that outlives the drill; the history of it is the judge in the end. */
#ifndef CLI_DRILL_CLIENTS_H
#define CLI_DRILL_CLIENTS_H

#include <tenure/tenure.h>

struct drill_clients;

struct drill_seen {
    struct {
        int64_t acknowledged, refused, unclear; /* refused: for sure not applied */
        int64_t unclear_applied;                /* of those, as history tells */
        int64_t lost;                           /* acknowledged, and not in history */
        int64_t wrongly_applied;                /* refused, or twice */
        int64_t longest_gap_ms;                 /* between two that were acknowledged */
    } writes;
    struct {
        int64_t answered, failed, longest_gap_ms;
        int64_t stale; /* older than what had been acknowledged before it began */
    } reads;
    struct {
        tenure_token token;
        bool was_lost;
        char why[128];
    } lock;
    struct {
        int64_t events, missed, doubled; /* doubled: twice, or out of order */
        bool ended;
        char why[128];
    } watch;
    bool is_judged; /* history could be read */
    char why_not[128];
};

/* Begins; waits until each of them has done its first thing. NULL after err was filled. endpoints: of all members. */
struct drill_clients *drill_clients_start(const char *endpoints, const struct tenure_options *o, int64_t call_ms,
                                          int64_t longest_ms, struct tenure_error *err);
/* Ends them, reads the history, judges, cleans up, frees. */
void drill_clients_end(struct drill_clients *d, struct drill_seen *ret);

#endif
