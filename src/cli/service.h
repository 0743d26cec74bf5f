/* The parts of `tenure service`. */
#ifndef CLI_SERVICE_H
#define CLI_SERVICE_H

#include <jansson.h>
#include <tenure/tenure.h>

#include "cli/command.h"
#include "cli/output.h"

struct service_flags {
    const char *id, *address, *zone, *version, *prefix, *grpc, *conflict, *check, *policy, *by, *maintenance, *region;
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

/* The same with --region (service_regions.c): "all", "nearest", or names with commas between. */
int service_list_regions(const struct global_options *g, const struct service_flags *f, const char *name);
int service_watch_regions(const struct global_options *g, const struct service_flags *f, const char *name);
int service_pick_regions(const struct global_options *g, const struct service_flags *f, const char *name,
                         enum tenure_policy policy);

/* ---- what they share (service_show.c); region NULL = it is not said ---- */

json_t *service_json(const struct tenure_instance *i, const char *region);
extern const struct output_form service_list_form; /* "instances" of a document, and what one shows */
void service_print_change(const struct global_options *g, const char *word, const struct tenure_instance *i,
                          const char *region, int64_t revision);
void service_print_pick(const struct global_options *g, const struct tenure_instance *i, const char *region);
/* Says that none serves; the exit code. */
int service_pick_none(const char *name, const char *more);
struct tenure_instance_filter service_filter(const struct service_flags *f, bool with_zone);

/* One word for what is to be known of it: its health, or why it is given nothing. */
const char *service_state(const struct tenure_instance *i);

#endif
