/* `tenure bench`: the same call again and again, a number of them in flight, and how long each took.
 *
 * Writes below a prefix of its own and deletes that at the end, also when it is told to end. One thread, one handle. */
#ifndef CLI_BENCH_H
#define CLI_BENCH_H

#include <tenure/tenure.h>

#include "cli/command.h"
#include "cli/spread.h"

enum bench_kind { BENCH_PUT, BENCH_GET, BENCH_WATCH, BENCH_LOCK };

struct bench_options {
    enum bench_kind kind;
    int64_t clients; /* calls in flight; watch: how many watches; lock: who contends */
    int64_t duration_ms;
    int64_t total; /* end behind so many; 0 = no bound */
    int64_t rate;  /* calls begun in a second; 0 = as fast as they go */
    int64_t keys, value_size;
    bool serializable; /* get */
    bool apart;        /* lock: each has a lock of its own */
};

struct bench_result {
    struct spread times; /* of calls that ended well; watch: from the sending of a put to each watch's event */
    uint64_t failed;
    double seconds;
    struct tenure_error why; /* of the first that failed */
    bool was_told_to_end;
    int64_t left; /* keys that could not be deleted: -1 = unknown */
};

/* 0, or the exit code after having said why nothing was measured. The prefix that is written below is said to be so on stderr when
 * it could not be cleared. */
int bench_run(const struct global_options *g, const struct bench_options *o, struct bench_result *ret);

#endif
