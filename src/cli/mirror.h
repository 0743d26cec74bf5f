/* tenure mirror: prefixes of one cluster copied into others, continuously.
 *
 *     cmd_mirror.c    the command             mirror_run.c      the loop: a carrier for each prefix and destination
 *     mirror_side.c   servers and identities  mirror_status.c   what the records in a destination say
 */
#ifndef CLI_MIRROR_H
#define CLI_MIRROR_H

#include <tenure/tenure.h>

#include "cli/command.h"

enum { MIRROR_DESTINATIONS_MAX = 16, MIRROR_PREFIXES_MAX = 16, MIRROR_KEPT_MAX = 10 };

struct mirror_options {
    const char *from, *from_context, *from_user;
    struct option_list to, to_context;
    const char *to_user, *to_prefix, *name;
    struct option_list prefixes;
    bool replace, once;
    int64_t timeout_ms; /* of once; 0 = without end */
};

/* One cluster, and as whom it is talked to. */
struct mirror_side {
    struct global_options g;
    struct tenure_options options; /* for the library */
    char *kept[MIRROR_KEPT_MAX];   /* texts that g and options point to */
    size_t n_kept;
};

/* Each answers the exit code. */
int mirror_run(const struct mirror_options *o, const struct global_options *g);
int mirror_status(const struct mirror_options *o, const struct global_options *g);

/* By addresses, or by a context; one of them is not NULL. user: NULL = the command's, the context's or the credential file's. False after
 * having said why. mirror_side_free in either case. */
bool mirror_side_find(struct mirror_side *s, const struct global_options *g, const char *urls, const char *context,
                      const char *user);
void mirror_side_free(struct mirror_side *s);

#endif
