/* See seal.h. */
#include "cli/seal.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

int seal_open(const struct backend_config *config, struct backend **ret, struct tenure_error *err)
{
    char path[4096];
    int n = snprintf(path, sizeof path, "%s/tenure.db", config->dir);
    if (n < 0 || (size_t)n >= sizeof path || access(path, F_OK) < 0)
        return error_set(err, TENURE_ENOTFOUND, "%s is no data directory of `tenure serve`", config->dir);
    return backend_open(config, ret, err);
}

static int ignore_row(void *user, const struct record *r)
{
    (void)user, (void)r;
    return 0;
}

int seal_directory(const char *dir, const char *successor, struct tenure_error *err)
{
    struct backend *b = NULL;
    struct backend_config config = {.dir = dir, .allow_sealed = true, .ballast_bytes = -1};
    int rc = seal_open(&config, &b, err);
    if (rc == 0)
        rc = backend_replay(b, ignore_row, NULL, err);
    if (rc == 0)
        rc = backend_seal(b, successor, err);
    backend_close(b);
    return rc;
}
