/* The table of docs/replica-scale.md: trees of replicas in a simulation, as JSON lines. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sim/tree.h"

int main(void)
{
    static const struct {
        size_t replicas, children;
    } shapes[] = {{1, 0}, {10, 0}, {10, 3}, {100, 0}, {100, 10}, {100, 5}, {100, 3}};
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        struct tree_config k = {.seed = 1,
                                .replicas = shapes[i].replicas,
                                .children = shapes[i].children,
                                .hop_ms = 40,
                                .log_ms = 2,
                                .put_ms = 10,
                                .length_ms = 10000};
        struct tree_result r;
        tree_run(&k, &r);
        printf("{\"replicas\": %zu, \"children\": %zu, \"depth\": %zu, \"equal\": %s, \"p50_ms\": %" PRId64
               ", \"p99_ms\": %" PRId64 ", \"most_ms\": %" PRId64 ", \"oldest_ms\": %" PRId64
               ", \"source_watches\": %zu, \"source_bytes_per_put\": %.0f, \"source_calls_per_s\": %.1f}\n",
               k.replicas, k.children, r.depth, r.equal ? "true" : "false", r.p50_ms, r.p99_ms, r.most_ms, r.oldest_ms,
               r.source_watches, r.source_bytes_per_put, r.source_calls_per_s);
        fflush(stdout);
    }
    return 0;
}
