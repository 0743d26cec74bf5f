/* Handles of other regions: looked up in the cluster at hand, and asked who they are before anything else is. */
#include "lib/region.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/result.h"

static const struct tenure_region *find(const struct tenure_region_list *r, const char *name, struct tenure_error *err)
{
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->regions[i].name, name) == 0 && r->regions[i].endpoints[0])
            return &r->regions[i];
    error_set(err, TENURE_ENOTFOUND, "region '%s' is not known here; tell it: tenure region add %s URLS", name, name);
    return NULL;
}

/* Whether what answers there is that region. */
static int ask_who(tenure_client *c, const struct tenure_region *r, struct tenure_error *err)
{
    struct tenure_error why = {0};
    char *who = region_get_text(c, HOME_REGION_KEY, NULL, &why);
    int rc = 0;
    if (!who && (why.kind == TENURE_KIND_UNAVAILABLE || why.kind == TENURE_KIND_TIMEOUT))
        rc = error_set(
            err, TENURE_EUNAVAILABLE,
            "region '%s' cannot be reached at %.90s; wait until it can, or make another region its names' home: "
            "tenure region promote",
            r->name, r->endpoints);
    else if (!who) {
        *err = why;
        rc = why.code;
    } else if (strcmp(who, r->name) != 0)
        rc = error_set(err, TENURE_ECONFLICT, "region '%s': what answers at %.90s says that it is %s%.63s%s", r->name,
                       r->endpoints, who[0] ? "'" : "no region", who, who[0] ? "'" : "");
    free(who);
    return rc;
}

static tenure_client *open_it(const struct tenure_region *r, const struct tenure_options *options,
                              struct tenure_error *err)
{
    struct tenure_options o;
    if (options_take(&o, sizeof o, options, "options", err) < 0)
        return NULL;
    o.size = sizeof o;
    o.federated = 1;
    o.discovery_srv = o.discovery_srv_name = NULL; /* of the cluster at hand */
    tenure_client *c = tenure_open(r->endpoints, &o, err);
    if (c && ask_who(c, r, err) < 0) {
        tenure_close(c);
        c = NULL;
    }
    return c;
}

tenure_client *tenure_region_open(tenure_client *c, const char *name, const struct tenure_options *options,
                                  struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (region_enter(c, err) < 0 || region_name_check(name, err) < 0)
        return NULL;
    struct tenure_region_list *list = tenure_region_list(c, err);
    const struct tenure_region *r = list ? find(list, name, err) : NULL;
    tenure_client *there = r ? open_it(r, options, err) : NULL;
    tenure_region_list_free(list);
    return there;
}

tenure_client *tenure_home_open(tenure_client *c, const char *key, const struct tenure_options *options,
                                struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (region_enter(c, err) < 0)
        return NULL;
    if (!key || !key[0]) {
        error_set(err, TENURE_EINVALID, "home: the key is empty");
        return NULL;
    }
    struct tenure_home_list *homes = tenure_home_list(c, err);
    const struct tenure_home *h = tenure_home_of(homes, key);
    tenure_client *there = NULL;
    if (homes && (!h || !h->region[0]))
        error_set(err, TENURE_ENOTFOUND, "'%.100s' has no home here; give it one: tenure region home PREFIX REGION",
                  key);
    else if (homes)
        there = tenure_region_open(c, h->region, options, err);
    tenure_home_list_free(homes);
    return there;
}
