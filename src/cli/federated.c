#include "cli/federated.h"

#include <stdio.h>
#include <string.h>

#include "cli/connect.h"

#define KEY_MAX     4352
#define EPOCH_SHIFT 44

tenure_client *federated_open(const struct federated_name *n, const struct global_options *g, int *ret_code)
{
    struct tenure_error err = {0};
    struct tenure_options options;
    char key[KEY_MAX];
    tenure_client *here = connect_open(n->command, g);
    *ret_code = connect_code();
    if (!here)
        return NULL;
    connect_options(g, &options);
    snprintf(key, sizeof key, "%s%s", n->prefix, n->name);
    tenure_client *there = strcmp(n->region, "home") == 0 ? tenure_home_open(here, key, &options, &err)
                                                          : tenure_region_open(here, n->region, &options, &err);
    if (!there) {
        fprintf(stderr, "tenure %s: %s: %s\n", n->command, n->given, err.text);
        *ret_code = err.kind == TENURE_KIND_UNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILED;
    }
    tenure_close(here);
    return there;
}

int64_t federated_token(const struct tenure_home_list *homes, const char *key, int64_t create_revision)
{
    const struct tenure_home *home = tenure_home_of(homes, key);
    if (!home || home->epoch == 0)
        return create_revision;
    return create_revision > home->mod_revision ? home->epoch << EPOCH_SHIFT | create_revision : 0;
}
