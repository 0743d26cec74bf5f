/* /metrics: Prometheus' text format, under etcd's names where the meaning is the same, so that dashboards and alerts go on
 * working, and tenure_... for what only this server has. docs/http.md lists them all. Pure. */
#ifndef HTTP_METRICS_H
#define HTTP_METRICS_H

#include "base/buf.h"
#include "core/core.h"

#define HISTOGRAM_BUCKETS 14 /* 1 ms, doubling, to 8.192 s: etcd's */

struct histogram {
    uint64_t counts[HISTOGRAM_BUCKETS + 1]; /* the last: longer than any */
    uint64_t sum_us;
};
void histogram_add(struct histogram *h, int64_t us);

/* What the driver knows and the core does not. Zero: not known, left out. */
struct http_numbers {
    struct histogram commits, syncs; /* of batches */
    uint64_t batches, batch_rows;
    double cpu_s, started_at_s;
    int64_t resident_bytes, virtual_bytes;
    int64_t fds, fds_max;
};

/* What this layer counts by itself. */
enum health_check {
    CHECK_LIVE_READ,
    CHECK_READY_CORRUPTION,
    CHECK_READY_READ,
    CHECK_READY_LINEARIZABLE,
    CHECK_READY_LEARNER,
    CHECKS
};
struct http_counts {
    uint64_t conns;
    uint64_t answers[6]; /* by hundreds of the status */
    uint64_t healthy, unhealthy;
    struct {
        uint64_t good, bad;
        bool last_good;
    } checks[CHECKS];
};

void metrics_print(const struct core *core, const char *version, const struct http_counts *counts,
                   const struct http_numbers *numbers, struct buf *out);

#endif
