/* See config_home.h. Writes are guarded by the home's record, so that one which the home moves away from under is not made. */
#include "lib/config_home.h"

#include <inttypes.h>
#include <stdlib.h>

static int elsewhere(const struct tenure_home *h, const char *own, const char *path, struct tenure_error *err)
{
    return error_set(err, TENURE_ECONFLICT,
                     "config: '%.80s' has its home in region '%s' (epoch %" PRId64 "), and this is %s%.63s%s", path,
                     h->region, h->epoch, own[0] ? "'" : "no region", own, own[0] ? "'" : "");
}

int config_home_check(tenure_client *c, const char *const *paths, size_t n, struct arena *a, struct config_home *ret,
                      struct tenure_error *err)
{
    struct tenure_home_list *homes = tenure_home_list(c, err);
    char *own = homes ? region_get_text(c, HOME_REGION_KEY, NULL, err) : NULL;
    const struct tenure_home *h = own ? tenure_home_of(homes, paths[0]) : NULL;
    int rc = own ? 0 : err->code;
    for (size_t i = 1; rc == 0 && i < n; i++)
        if (tenure_home_of(homes, paths[i]) != h)
            rc = error_set(err, TENURE_ECONFLICT, "config: '%.80s' and '%.80s' have not one home", paths[0], paths[i]);
    if (rc == 0 && h && strcmp(h->region, own) != 0)
        rc = elsewhere(h, own, paths[0], err);
    if (rc == 0 && h) {
        ret->record = arena_printf(a, HOME_KEYS "%s", h->prefix);
        ret->mod_revision = h->mod_revision;
        rc = ret->record ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    free(own);
    tenure_home_list_free(homes);
    return rc;
}
