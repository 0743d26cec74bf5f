/* `tenure queue work`: a command for each item of a work queue. */
#ifndef CLI_QUEUE_WORK_H
#define CLI_QUEUE_WORK_H

#include "cli/command.h"

struct queue_work_options {
    const char *name;
    char **argv; /* "{}" in a word stands for the item's value */
    int64_t ttl_s, grace_ms;
    int64_t attempts_max;   /* 0 = none; then to the dead letters */
    int64_t retry_delay_ms; /* behind the first failure; doubled with each */
    int64_t timeout_ms;     /* ends when nothing came for so long; < 0: never */
    int64_t concurrency;
    bool once;
};

enum { QUEUE_WORK_CONCURRENCY_MAX = 256 };

/* Stays until told to end, or behind the first item; the exit code. */
int queue_work(const struct global_options *g, const struct queue_work_options *o);

#endif
