/* A source and replicas below it in one process, on a clock that jumps: real engines (store, core, wire, client, replica) on a network
 * and a log that are made up, from one seed. How long a put takes to the farthest replica, and what the source has to bear.
 *
 * Memory: a run that runs out of it is aborted.
 */
#ifndef SIM_TREE_H
#define SIM_TREE_H

#include "base/types.h"

enum { TREE_REPLICAS_MAX = 200 };

struct tree_config {
    uint64_t seed;
    size_t replicas, children; /* so many directly below each, level by level; 0 = all below the source */
    int64_t hop_ms;            /* from one to the next, one way */
    int64_t log_ms;            /* until a batch of rows is durable, at each */
    int64_t put_ms;            /* between two puts */
    int64_t length_ms;         /* of the part with puts */
    bool kill_inner; /* in its middle the first replica with children is gone for good; they have another endpoint */
};

struct tree_result {
    bool equal;         /* at the end all hold the same, by HashKV */
    size_t depth, puts; /* levels below the source */
    int64_t p50_ms, p99_ms,
        most_ms;           /* from when a put is durable at the source to when it is at a replica, over all of them */
    int64_t oldest_ms;     /* what a read of any replica would have said of its age, at most, from a second on */
    size_t source_watches; /* at the end */
    double source_bytes_per_put; /* that it sent to replicas, rounds and all */
    double source_calls_per_s;   /* that replicas made to it, without watches */
};

void tree_run(const struct tree_config *config, struct tree_result *ret);

#endif
