/* What servers tell by plain pages of HTTP beside their API: their numbers (/metrics), and by the Date of each answer what their
 * clocks say. All are asked at once, on a loop of its own, over TLS with the client's certificates where the endpoint says so. */
#ifndef CLI_SCRAPE_H
#define CLI_SCRAPE_H

#include "base/buf.h"
#include "base/error.h"
#include "cli/command.h"
#include "cli/offset.h"

struct scraped {
    const char *endpoint; /* given: "http://HOST:PORT"; NULL = it is left out */
    bool has_metrics;
    struct buf metrics; /* text, with a 0 behind it */
    struct offset clock;
    struct tenure_error why; /* of what is missing */
};

/* Blocks for timeout_ms at most, and where clocks are wanted until all that answer are known to about 0.05 s, 1.5 s at most. Any
 * thread, one at a time for the same servers. */
void scrape(struct scraped *all, size_t n, const struct global_options *g, int64_t timeout_ms, bool clocks);
void scrape_free(struct scraped *all, size_t n);

/* ---- numbers in such a text: pure ---- */

/* The value of the sample without labels of that name; false when there is none. */
bool metrics_number(const char *text, const char *name, double *ret);
/* The value below which `part` (0.99) of what a histogram has counted lies, within a bucket as if it were spread evenly, as
 * Prometheus takes it; in the unit of the histogram. False when there is no such histogram, or nothing in it. What lies beyond the last
 * bound is told as that. */
bool metrics_quantile(const char *text, const char *name, double part, double *ret, double *ret_count);

#endif
