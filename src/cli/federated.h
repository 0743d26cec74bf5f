/* A name in the region that is asked for: the handle, and tokens with their epoch. */
#ifndef CLI_FEDERATED_H
#define CLI_FEDERATED_H

#include <stdint.h>

#include <tenure/region.h>

#include "cli/command.h"

struct federated_name {
    const char *command; /* for messages */
    const char *region;  /* "home": where the key has its home */
    const char *given;   /* the name as it was given, for messages */
    const char *prefix;  /* of the key: "/locks/" */
    const char *name;
};

/* A blocking, federated handle of that region, looked up in the cluster at hand and found to answer. NULL after having said why not;
 * *ret_code is the exit code then. */
tenure_client *federated_open(const struct federated_name *n, const struct global_options *g, int *ret_code);

/* The token of the key with that create revision, by the homes that its cluster knows. 0: it is older than the home's record, so that
 * its epoch is an earlier one, which the record does not tell. */
int64_t federated_token(const struct tenure_home_list *homes, const char *key, int64_t create_revision);

#endif
