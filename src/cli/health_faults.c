#include <stdlib.h>
#include <string.h>

#include "cli/health.h"

int health_version_compare(const char *a, const char *b)
{
    for (;;) {
        char *after_a, *after_b;
        long x = strtol(a, &after_a, 10), y = strtol(b, &after_b, 10);
        if (x != y)
            return x < y ? -1 : 1;
        if (*after_a != '.' || *after_b != '.')
            return 0;
        a = after_a + 1;
        b = after_b + 1;
    }
}

#define TORN    "a crash under load can leave members with different data"
#define RENEWS  "a leader that was cut off goes on renewing leases (etcd-io/etcd#15247)"
#define STALE   "linearizable reads can be stale (etcd-io/etcd#20418)"
#define REVOKED "a revoked lease is renewed once more (etcd-io/etcd#20615)"

/* Those that matter to coordination, by minor version, from etcd's CHANGELOG-3.4 to -3.6; docs/etcd-faults.md says more. */
static const struct health_fault faults[] = {
    {"3.5.", "3.5.0", "3.5.3", false, TORN},     {"3.4.", "3.4.0", "3.4.31", true, RENEWS},
    {"3.5.", "3.5.0", "3.5.13", true, RENEWS},   {"3.4.", "3.4.20", "3.4.42", true, STALE},
    {"3.5.", "3.5.0", "3.5.28", true, STALE},    {"3.6.", "3.6.0", "3.6.9", true, STALE},
    {"3.4.", "3.4.0", "3.4.38", false, REVOKED}, {"3.5.", "3.5.0", "3.5.23", false, REVOKED},
    {"3.6.", "3.6.0", "3.6.5", false, REVOKED},
};

const struct health_fault *health_fault_next(const char *version, bool in_cluster, size_t *at)
{
    while (*at < sizeof faults / sizeof *faults) {
        const struct health_fault *f = &faults[(*at)++];
        if (strncmp(version, f->minor, strlen(f->minor)) == 0 && health_version_compare(version, f->from) >= 0 &&
            health_version_compare(version, f->fixed) < 0 && (in_cluster || !f->in_clusters))
            return f;
    }
    return NULL;
}
