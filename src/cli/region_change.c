/* tenure region init, add, remove: the same records in all regions, as far as they can be reached. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"

#define URLS_MAX 4096

static int failed(const struct global_options *g, const struct tenure_error *err)
{
    return connect_failed(REGION_COMMAND, g, err);
}

/* ---- init ---- */

static void urls_at_hand(const tenure_client *c, char ret[URLS_MAX])
{
    size_t n = 0;
    ret[0] = 0;
    for (size_t i = 0; i < tenure_endpoints(c) && n < URLS_MAX; i++)
        n += (size_t)snprintf(ret + n, URLS_MAX - n, "%s%s", i ? "," : "", tenure_endpoint(c, i));
}

int region_init(const struct global_options *g, const char *name, const char *urls)
{
    struct tenure_error err = {0};
    char at_hand[URLS_MAX];
    tenure_client *c = connect_open(REGION_COMMAND, g);
    if (!c)
        return connect_code();
    urls_at_hand(c, at_hand);
    struct tenure_region r = {.name = name, .endpoints = urls ? urls : at_hand};
    int rc = tenure_region_init(c, name, &err);
    if (rc == 0)
        rc = tenure_region_put(c, &r, &err);
    int code = rc == 0 ? EXIT_OK : failed(g, &err);
    if (rc == 0 && !output_is_text(g))
        output_done(g, "region", name, "initialised");
    tenure_close(c);
    return code;
}

/* ---- add ---- */

/* "us=80ms" into d, whose name is malloc'd. */
static bool take_distance(const char *text, struct tenure_distance *d)
{
    const char *equals = strchr(text, '=');
    char *end = NULL;
    double ms = equals ? strtod(equals + 1, &end) : 0;
    if (!equals || end == equals + 1 || ms < 0 || ms > 3600000 || (*end && strcmp(end, "ms") != 0)) {
        fprintf(stderr, "tenure region: option --distance: '%s' is not REGION=MILLISECONDS, as in us=80ms\n", text);
        return false;
    }
    *d = (struct tenure_distance){.region = strndup(text, (size_t)(equals - text)), .ms = (int64_t)(ms + 0.5)};
    return d->region != NULL;
}

/* A cluster without a name gets this one. */
static int give_name(tenure_client *c, const struct tenure_region *r, struct tenure_error *err)
{
    struct tenure_error ignored;
    int rc = tenure_region_init(c, r->name, err);
    struct tenure_region_list *list = rc == TENURE_EEXISTS ? tenure_region_list(c, &ignored) : NULL;
    if (list)
        error_set(err, rc, "the cluster at %.300s is region '%.63s' already, not '%.63s': add it by that name",
                  r->endpoints, list->own, r->name);
    tenure_region_list_free(list);
    return rc;
}

static int tell_new(tenure_client *c, const struct region_set *s, const struct tenure_region *r,
                    struct tenure_error *err)
{
    int rc = give_name(c, r, err);
    if (rc == 0)
        rc = tenure_region_put(c, r, err);
    for (size_t i = 0; rc == 0 && i < s->list->n; i++)
        if (strcmp(s->list->regions[i].name, r->name) != 0 && s->list->regions[i].endpoints[0])
            rc = tenure_region_put(c, &s->list->regions[i], err);
    for (size_t i = 0; rc == 0 && i < s->n; i++)
        for (size_t j = 0; rc == 0 && s->peers[i].homes && j < s->peers[i].homes->n; j++) {
            const struct tenure_home *h = region_set_home(s, s->peers[i].homes->homes[j].prefix);
            if (h && h->epoch)
                rc = tenure_home_write(c, h, false, err);
            rc = rc == TENURE_ECONFLICT ? 0 : rc; /* it knows a newer one */
        }
    return rc;
}

static int add(struct region_set *s, const struct global_options *g, const struct region_options *o,
               const struct tenure_region *r)
{
    struct tenure_options open;
    struct tenure_error err = {0};
    if (!s->list->own[0]) {
        fprintf(stderr, "tenure region: the cluster at hand has no name yet: tenure region init NAME\n");
        return EXIT_FAILED;
    }
    connect_options(g, &open);
    tenure_client *c = tenure_open(r->endpoints, &open, &err);
    int rc = c ? tell_new(c, s, r, &err) : err.code;
    tenure_close(c);
    bool away = err.kind == TENURE_KIND_UNAVAILABLE || err.kind == TENURE_KIND_TIMEOUT;
    if (rc < 0 && !(away && o->force)) {
        struct global_options there = *g;
        there.endpoints = r->endpoints;
        int code = failed(&there, &err);
        if (away)
            fprintf(stderr,
                    "--force: the others are told all the same; then, when it can be reached: tenure region sync\n");
        return code;
    }
    rc = tenure_region_put(s->here, r, &err);
    if (rc < 0)
        return failed(g, &err);
    for (size_t i = 0; i < s->n; i++) {
        struct region_peer *p = &s->peers[i];
        if (p->own || strcmp(p->name, r->name) == 0)
            continue;
        if (p->answers && tenure_region_put(p->client, r, &p->why) < 0)
            p->answers = false;
        if (!p->answers)
            region_not_told(p);
    }
    if (!output_is_text(g))
        output_done(g, "region", r->name, "added");
    return EXIT_OK;
}

int region_add(const struct global_options *g, const struct region_options *o, const char *name, const char *urls)
{
    struct tenure_distance distances[OPTION_LIST_MAX];
    struct tenure_region r = {.name = name, .endpoints = urls, .distances = distances};
    struct region_set s;
    int code = EXIT_USAGE;
    while (r.n_distances < o->distances.n &&
           take_distance(o->distances.values[r.n_distances], &distances[r.n_distances]))
        r.n_distances++;
    if (r.n_distances == o->distances.n && region_set_open(&s, g, &code)) {
        code = add(&s, g, o, &r);
        region_set_close(&s);
    }
    for (size_t i = 0; i < r.n_distances; i++)
        free((char *)distances[i].region);
    return code;
}

/* ---- remove ---- */

int region_remove(const struct global_options *g, const struct region_options *o, const char *name)
{
    struct region_set s;
    struct tenure_error err = {0};
    int code;
    (void)o;
    if (!region_set_open(&s, g, &code))
        return code;
    int rc = tenure_region_remove(s.here, name, &err);
    code = rc == 0 ? EXIT_OK : failed(g, &err);
    for (size_t i = 0; rc == 0 && i < s.n; i++) {
        struct region_peer *p = &s.peers[i];
        if (p->own || strcmp(p->name, name) == 0)
            continue;
        int there = p->answers ? tenure_region_remove(p->client, name, &p->why) : TENURE_EUNAVAILABLE;
        if (there < 0 && there != TENURE_ENOTFOUND)
            fprintf(stderr, "tenure region: '%s' %s knowing it (%s)\n", p->name,
                    p->why.applied == TENURE_APPLIED_NO ? "goes on" : "may or may not go on",
                    connect_text(REGION_COMMAND, &p->why));
    }
    if (rc == 0 && !output_is_text(g))
        output_done(g, "region", name, "removed");
    region_set_close(&s);
    return code;
}
