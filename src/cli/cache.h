/* The parts of `tenure cache`, a file each; cmd_cache.c has the options. Each answers the exit code and has said on stderr what failed. */
#ifndef CLI_CACHE_H
#define CLI_CACHE_H

#include <tenure/cache.h>

#include "cli/command.h"
#include "cli/output.h"

struct cache_flags {
    const char *file; /* NULL = the user's */
    int64_t max_stale_ms, check_ms, keys_max;
    bool ask, once, follow;
};

/* The file's name into out. */
bool cache_path(const struct cache_flags *f, char *out, size_t size);

/* Keeps the copy of what begins with these prefixes, until a signal. */
int cache_run(const struct global_options *g, const struct cache_flags *f, int n, char **prefixes);

int cache_get(const struct global_options *g, const struct cache_flags *f, const char *key);
int cache_list(const struct global_options *g, const struct cache_flags *f, const char *prefix);
/* name NULL: of all elections. */
int cache_leader(const struct global_options *g, const struct cache_flags *f, const char *name);

#endif
