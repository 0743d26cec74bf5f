/* What is to be known of servers beside the status that they tell themselves: disks, clocks, certificates, faults of their versions.
 * For `tenure cluster status` and `tenure doctor`. */
#ifndef CLI_HEALTH_H
#define CLI_HEALTH_H

#include "cli/scrape.h"

enum doctor_level { DOCTOR_OK, DOCTOR_WARN, DOCTOR_BAD };

enum { HEALTH_SOON_DAYS = 30 };

struct health_server {
    /* given; endpoint NULL = it is left out */
    const char *name, *endpoint, *version;
    bool in_cluster; /* with others */
    /* found */
    struct scraped page;
    double fsync_ms, commit_ms; /* what 99 % of them took at most, since it was started; below 0 = not known */
    double fsyncs, commits;     /* of how many */
    bool has_certificate;
    int64_t certificate_s; /* so long it is good */
    struct tenure_error certificate_why;
};

/* Asks all of them; of certificates one after the other. Blocks for up to 3 s, and 3 s for each certificate that does not come. */
void health_ask(struct health_server *all, size_t n, const struct global_options *g, bool certificates);
void health_free(struct health_server *all, size_t n);

/* about: of what; advice: what to do, NULL for none. All of it is borrowed. */
typedef void health_found(void *user, enum doctor_level level, const char *about, const char *advice, const char *text);

/* Tells what was found of each and of all of them together, what is well too; of each the faults of its version. */
void health_tell_faults(const struct health_server *all, size_t n, health_found *found, void *user);
void health_tell(const struct health_server *all, size_t n, health_found *found, void *user);
void health_tell_certificate(const char *about, int64_t seconds, health_found *found, void *user);

/* The two whose clocks are farthest apart: how far b's is ahead of a's, and to which precision that is known. False when fewer than
 * two are known. Pure. */
struct health_spread {
    size_t a, b;
    int64_t apart_us, error_us;
};
bool health_spread(const struct health_server *all, size_t n, struct health_spread *ret);

/* ---- faults of etcd's versions (health_faults.c): pure ---- */

struct health_fault {
    const char *minor, *from, *fixed;
    bool in_clusters; /* only with several members */
    const char *what;
};

/* The next one that this version has; *at begins with 0. NULL: no more. */
const struct health_fault *health_fault_next(const char *version, bool in_cluster, size_t *at);
/* "3.4.31" against "3.5.2": below 0, 0 or above. */
int health_version_compare(const char *a, const char *b);

#endif
