/* Directories: the regions that there are, opened, listed and picked from; directory_view.c follows each. */
#include "lib/directory.h"

#include <stdio.h>
#include <stdlib.h>

static int no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "directory: out of memory");
}

/* ---- opening ---- */

static tenure_client *open_region(const struct directory_region *r, const struct tenure_options *options,
                                  struct tenure_error *err)
{
    struct tenure_options o;
    if (options_take(&o, sizeof o, options, "options", err) < 0)
        return NULL;
    o.size = sizeof o;
    o.discovery_srv = o.discovery_srv_name = NULL; /* of the cluster at hand */
    return tenure_open(r->endpoints, &o, err);
}

/* A region whose record cannot be read is there, and never answers. */
static int add(tenure_directory *d, const struct tenure_region_list *all, const struct tenure_region *from,
               struct tenure_error *err)
{
    struct directory_region *r = &d->regions[d->n++];
    *r = (struct directory_region){.directory = d,
                                   .name = strdup(from->name),
                                   .endpoints = strdup(from->endpoints),
                                   .own = from->own,
                                   .distance_ms = nearest_distance(all, from)};
    if (!r->name || !r->endpoints)
        return no_memory(err);
    if (r->own)
        r->client = d->here;
    else if (r->endpoints[0])
        r->client = open_region(r, d->o.options, err);
    if (!r->client && (r->endpoints[0] || r->own))
        return err->code;
    r->ended = !r->client;
    if (r->ended)
        error_set(&r->why, TENURE_ECORRUPT, "its record in /regions/ cannot be read");
    return 0;
}

/* The cluster at hand, where it is not among those that it knows. */
static int add_own(tenure_directory *d, const struct tenure_region_list *all, struct tenure_error *err)
{
    struct tenure_region own = {
        .name = all->own, .endpoints = tenure_endpoints(d->here) ? tenure_endpoint(d->here, 0) : "", .own = true};
    for (size_t i = 0; i < all->n; i++)
        if (all->regions[i].own)
            return 0;
    return nearest_wants(d->o.regions, all->own) ? add(d, all, &own, err) : 0;
}

static int add_all(tenure_directory *d, const struct tenure_region_list *all, const char *service,
                   struct tenure_error *err)
{
    size_t order[DIRECTORY_REGIONS_MAX];
    bytes unknown = nearest_unknown(all, d->o.regions);
    if (unknown.len)
        return error_set(err, TENURE_ENOTFOUND, "region '%.*s' is not known here; tell it: tenure region add %.*s URLS",
                         (int)(unknown.len < 80 ? unknown.len : 80), (const char *)unknown.data,
                         (int)(unknown.len < 80 ? unknown.len : 80), (const char *)unknown.data);
    int rc = add_own(d, all, err);
    size_t n = nearest_order(all, d->o.regions, order);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = add(d, all, &all->regions[order[i]], err);
    if (rc == 0 && d->n == 0)
        rc = error_set(err, TENURE_EINVALID, "directory: no region is asked for");
    for (size_t i = 0; rc == 0 && i < d->n; i++)
        directory_prepare(&d->regions[i]);
    for (size_t i = 0; rc == 0 && i < d->n; i++)
        rc = d->regions[i].client ? directory_follow(&d->regions[i], service, err) : 0;
    return rc;
}

static tenure_directory *directory_new(tenure_client *c, const struct tenure_directory_options *o, size_t n,
                                       struct tenure_error *err)
{
    tenure_directory *d = calloc(1, sizeof *d + (n + 1) * sizeof d->regions[0]);
    if (d && pthread_mutex_init(&d->mutex, NULL) != 0) {
        free(d);
        d = NULL;
    }
    if (d && pthread_mutex_init(&d->telling, NULL) != 0) {
        pthread_mutex_destroy(&d->mutex);
        free(d);
        d = NULL;
    }
    if (!d) {
        no_memory(err);
        return NULL;
    }
    d->here = c;
    d->o = *o;
    d->until = handle_clock(c) + (o->wait_ms ? o->wait_ms : c->call_timeout_ms / 2);
    return d;
}

static int check(const struct tenure_directory_options *o, const char *service, struct tenure_error *err)
{
    bool ok = o->wait_ms >= 0 && o->stale_ms >= 0 && o->wait_ms < TIMEOUT_MAX_MS && (!service || service[0]);
    return ok ? 0 : error_set(err, TENURE_EINVALID, "directory: a time below 0, or a service's name that is empty");
}

tenure_directory *tenure_directory_open(tenure_client *c, const char *service,
                                        const struct tenure_directory_options *options, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_directory_options o;
    err = err ? err : &own;
    if (region_enter(c, err) < 0 || options_take(&o, sizeof o, options, "directory", err) < 0 ||
        check(&o, service, err) < 0)
        return NULL;
    struct tenure_region_list *all = tenure_region_list(c, err);
    tenure_directory *d = NULL;
    if (all && all->n > DIRECTORY_REGIONS_MAX)
        error_set(err, TENURE_ELIMIT, "directory: %zu regions are known, more than %d", all->n, DIRECTORY_REGIONS_MAX);
    else if (all)
        d = directory_new(c, &o, all->n, err);
    if (d && add_all(d, all, service, err) < 0) {
        tenure_directory_close(d);
        d = NULL;
    }
    tenure_region_list_free(all);
    return d;
}

/* Those that gave up lie there still. */
static void forget_waiters(void *arg)
{
    struct directory_region *r = arg;
    struct tenure_error why;
    error_set(&why, TENURE_ECLOSED, "directory: it is closed");
    waiters_answer(&r->waiters, why.code, &why);
}

void tenure_directory_close(tenure_directory *d)
{
    if (!d)
        return;
    pthread_mutex_lock(&d->mutex);
    d->is_closing = true;
    pthread_mutex_unlock(&d->mutex);
    for (size_t i = 0; i < d->n; i++) {
        struct directory_region *r = &d->regions[i];
        tenure_picker_free(r->picker);
        tenure_picker_free(r->lax);
        pthread_mutex_lock(&d->mutex);
        tenure_service_view *view = r->view;
        pthread_mutex_unlock(&d->mutex);
        tenure_service_view_stop(view);
        if (r->waiters.handle)
            handle_sync(r->client, forget_waiters, r);
        if (!r->own)
            tenure_close(r->client);
    }
    for (size_t i = 0; i < d->n; i++) {
        free(d->regions[i].name);
        free(d->regions[i].endpoints);
    }
    pthread_mutex_destroy(&d->telling);
    pthread_mutex_destroy(&d->mutex);
    free(d);
}

/* ---- waiting ---- */

int tenure_directory_await(tenure_directory *d, struct tenure_error *err)
{
    struct tenure_error own = {0}, first = {0};
    if (!d)
        return error_set(err, TENURE_EINVALID, "directory: NULL");
    for (size_t i = 0; i < d->n; i++) {
        struct tenure_error why = {0};
        if (directory_is_told(&d->regions[i], true, &why) || first.code)
            continue;
        error_set(&first, why.code, "region '%s' %.200s", d->regions[i].name, why.text);
        first.kind = why.kind;
    }
    err = err ? err : &own;
    if (first.code)
        *err = first;
    return first.code;
}

/* ---- lists ---- */

struct block {
    struct tenure_directory_list pub;
    struct arena arena;
    size_t n_lists;
    struct tenure_instances *lists[];
};

static bool describe(struct directory_region *r, struct tenure_directory_region *to, struct arena *a)
{
    struct tenure_error why = {0};
    *to = (struct tenure_directory_region){.name = arena_strdup(a, r->name),
                                           .endpoints = arena_strdup(a, r->endpoints),
                                           .own = r->own,
                                           .distance_ms = r->distance_ms,
                                           .answers = directory_is_told(r, false, &why),
                                           .staleness_ms = -1};
    pthread_mutex_lock(&r->directory->mutex);
    if (r->heard) {
        to->answers = true;
        why = r->ended ? r->why : (struct tenure_error){0};
    }
    pthread_mutex_unlock(&r->directory->mutex);
    if (to->answers) {
        to->revision = tenure_service_view_revision(r->view);
        to->staleness_ms = tenure_service_view_staleness_ms(r->view);
    }
    to->problem = why.code ? arena_strdup(a, why.text) : NULL;
    return to->name && to->endpoints && (to->problem || !why.code);
}

/* The regions first, then who is in those that are told. */
static bool fill(struct block *b, tenure_directory *d)
{
    struct tenure_directory_region *regions = arena_array(&b->arena, d->n, sizeof *regions);
    size_t n = 0;
    b->pub.regions = regions;
    for (size_t i = 0; regions && i < d->n; i++, b->pub.n_regions++) {
        if (!describe(&d->regions[i], &regions[i], &b->arena))
            return false;
        if (regions[i].answers && !(b->lists[i] = tenure_service_view_list(d->regions[i].view, NULL)))
            return false;
        b->n_lists++;
        n += b->lists[i] ? b->lists[i]->n : 0;
    }
    struct tenure_directory_entry *entries = arena_array(&b->arena, n + 1, sizeof *entries);
    b->pub.entries = entries;
    for (size_t i = 0; regions && entries && i < d->n; i++)
        for (size_t k = 0; b->lists[i] && k < b->lists[i]->n; k++)
            entries[b->pub.n++] = (struct tenure_directory_entry){regions[i].name, &b->lists[i]->instances[k]};
    return regions && entries;
}

struct tenure_directory_list *tenure_directory_list(tenure_directory *d, struct tenure_error *err)
{
    if (!d) {
        error_set(err, TENURE_EINVALID, "directory: NULL");
        return NULL;
    }
    struct block *b = calloc(1, sizeof *b + d->n * sizeof(struct tenure_instances *));
    if (b)
        arena_init(&b->arena, 0);
    if (b && fill(b, d))
        return &b->pub;
    no_memory(err);
    tenure_directory_list_free(b ? &b->pub : NULL);
    return NULL;
}

void tenure_directory_list_free(struct tenure_directory_list *r)
{
    struct block *b = r ? CONTAINER_OF(r, struct block, pub) : NULL;
    if (!b)
        return;
    for (size_t i = 0; i < b->n_lists; i++)
        tenure_instances_free(b->lists[i]);
    arena_fini(&b->arena);
    free(b);
}

/* ---- picking ---- */

struct picking {
    tenure_directory *d;
    struct tenure_bytes key;
    const struct tenure_instance *taken;
    size_t n_told;
    struct tenure_error why; /* the nearest region that is not told */
    struct tenure_error failure;
};

static enum nearest_state state_of(void *user, size_t i, bool wait)
{
    struct picking *p = user;
    struct directory_region *r = &p->d->regions[i];
    struct tenure_error why = {0};
    bool is_told = directory_is_told(r, wait, &why);
    int64_t bound = p->d->o.stale_ms ? p->d->o.stale_ms : DIRECTORY_STALE_MS;
    if (!is_told && !p->why.code)
        error_set(&p->why, why.code, "region '%s' %.200s", r->name, why.text);
    if (!is_told)
        return NEAREST_UNKNOWN;
    p->n_told++;
    return r->own || tenure_service_view_staleness_ms(r->view) <= bound ? NEAREST_KNOWN : NEAREST_OLD;
}

static bool take(void *user, size_t i, bool lax)
{
    struct picking *p = user;
    struct directory_region *r = &p->d->regions[i];
    struct tenure_error why = {0};
    p->taken = tenure_pick(lax ? r->lax : r->picker, p->key, &why);
    if (!p->taken && why.code != TENURE_ENOTFOUND && why.code != TENURE_EUNAVAILABLE)
        p->failure = why;
    return p->taken != NULL;
}

const struct tenure_instance *tenure_directory_pick(tenure_directory *d, struct tenure_bytes key,
                                                    const char **ret_region, struct tenure_error *err)
{
    struct picking p = {.d = d, .key = key};
    struct nearest_look look = {.state = state_of, .take = take, .user = &p};
    if (!d || (key.len && !key.data)) {
        error_set(err, TENURE_EINVALID, "directory: NULL, or a key that has a length and no data");
        return NULL;
    }
    size_t i = nearest_take(&look, d->n, d->o.any_if_none);
    if (p.taken) {
        if (ret_region)
            *ret_region = d->regions[i].name;
    } else if (p.failure.code) {
        error_set(err, p.failure.code, "%s", p.failure.text);
    } else if (p.n_told == 0) {
        error_set(err, p.why.code, "directory: %s", p.why.text);
    } else {
        error_set(err, TENURE_ENOTFOUND, "directory: no instance serves%s%s", p.why.code ? "; " : "",
                  p.why.code ? p.why.text : "");
    }
    return p.taken;
}
