/* The parts of `tenure service`. */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <tenure/tenure.h>

#include "cli/command.h"

struct service_flags {
    const char *id, *address, *zone, *version, *prefix, *grpc, *conflict, *check, *policy, *by, *maintenance;
    struct option_list tags, meta;
    int64_t port, weight, ttl_s, fails, count;
    int64_t interval_ms, timeout_ms, drain_ms; /* < 0 = not said */
    bool serving, any, wait;
};

/* Registers, and keeps it so until told to stop, or as long as the command argv (NULL = none) runs. Answers the exit code. */
int service_run(const struct global_options *g, const struct service_flags *f, const char *name, char **argv);

/* list, watch, pick; name NULL = all. */
int service_list(const struct global_options *g, const struct service_flags *f, const char *name);
int service_watch(const struct global_options *g, const struct service_flags *f, const char *name);
int service_pick(const struct global_options *g, const struct service_flags *f, const char *name);
/* Until that instance has gone, at most f->timeout_ms. */
int service_await_gone(tenure_client *c, const struct global_options *g, const struct service_flags *f,
                       const char *name, const char *id);

/* One word for what is to be known of it: its health, or why it is given nothing. */
const char *service_state(const struct tenure_instance *i);

#endif
