/* tenure service list, watch and pick with --region: what several regions have, by the library's directory. Regions that do not answer
 * in time are named on standard error, and hold up nothing else. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/service.h"
#include "cli/wait.h"

static bool is_nearest(const struct service_flags *f)
{
    return strcmp(f->region, "nearest") == 0;
}

/* The options of the handles are read when they are opened. */
static struct tenure_directory_options options_of(const struct global_options *g, const struct service_flags *f,
                                                  struct tenure_options *handles, bool with_zone)
{
    connect_options(g, handles);
    return (struct tenure_directory_options){.size = sizeof(struct tenure_directory_options),
                                             .prefix = f->prefix,
                                             .regions = is_nearest(f) ? "all" : f->region,
                                             .options = handles,
                                             .filter = service_filter(f, with_zone)};
}

/* ---- what is told of regions ---- */

static void warn(const struct tenure_directory_region *r)
{
    if (!r->answers)
        fprintf(stderr, "tenure service: region '%s' %s: what it has is not known\n", r->name, r->problem);
    else if (r->problem)
        fprintf(stderr, "tenure service: region '%s' is not followed any more: %s\n", r->name, r->problem);
}

static json_t *regions_json(const struct tenure_directory_list *all, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) {
        const struct tenure_directory_region *r = &all->regions[i];
        json_t *o = json_object();
        json_object_set_new(o, "region", json_string(r->name));
        json_object_set_new(o, "here", json_boolean(r->own));
        if (r->distance_ms >= 0)
            json_object_set_new(o, "distance_ms", json_integer(r->distance_ms));
        json_object_set_new(o, "answers", json_boolean(r->answers));
        if (r->answers)
            json_object_set_new(o, "revision", json_integer(r->revision));
        if (r->problem)
            json_object_set_new(o, "problem", json_string(r->problem));
        json_array_append_new(list, o);
    }
    return list;
}

/* Which one that is; n = none. */
static size_t find_region(const struct tenure_directory_list *all, const char *name)
{
    size_t i = 0;
    while (i < all->n_regions && (!name || strcmp(all->regions[i].name, name) != 0))
        i++;
    return i;
}

/* ---- list ---- */

static json_t *count_services(const struct tenure_directory_list *all)
{
    json_t *services = json_object();
    for (size_t i = 0; i < all->n; i++) {
        const char *name = all->entries[i].instance->service, *region = all->entries[i].region;
        json_t *one = json_object_get(services, name);
        if (!one)
            json_object_set_new(services, name, one = json_object());
        json_int_t before = json_integer_value(json_object_get(one, region));
        json_object_set_new(one, region, json_integer(before + 1));
    }
    return services;
}

static void show_counts(const json_t *record, struct buf *to)
{
    const char *region, *before = "";
    json_t *n;
    json_object_foreach(json_object_get(record, "regions"), region, n)
    {
        buf_printf(to, "%s%s %" JSON_INTEGER_FORMAT, before, region, json_integer_value(n));
        before = ", ";
    }
}

static const struct output_form names_form = {
    .lists = {"services"},
    .columns = (const struct output_column[]){{.path = "service", .heading = "SERVICE"},
                                              {.path = "instances", .heading = "INSTANCES", .kind = OUTPUT_NUMBER},
                                              {.path = "regions", .heading = "REGIONS", .show = show_counts},
                                              {0}},
};

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void print_names(const struct global_options *g, const struct tenure_directory_list *all)
{
    json_t *counts = count_services(all), *list = json_array(), *o = json_object(), *regions, *n;
    size_t k = 0;
    const char *name, *region, **names = calloc(json_object_size(counts) + 1, sizeof(char *));
    json_object_foreach(counts, name, regions)
    {
        if (names)
            names[k++] = name;
    }
    if (names)
        qsort(names, k, sizeof(char *), by_name);
    for (size_t i = 0; i < k; i++) {
        json_int_t sum = 0;
        json_t *one = json_object();
        regions = json_object_get(counts, names[i]);
        json_object_foreach(regions, region, n)
        {
            sum += json_integer_value(n);
        }
        output_set_bytes(one, "service", tenure_str(names[i]));
        json_object_set_new(one, "instances", json_integer(sum));
        json_object_set(one, "regions", regions);
        json_array_append_new(list, one);
    }
    free(names);
    json_decref(counts);
    json_object_set_new(o, "regions", regions_json(all, all->n_regions));
    json_object_set_new(o, "services", list);
    output_print(g, &names_form, o);
}

/* only: of that region alone; the regions told are those up to it. NULL = all. */
static void print_list(const struct global_options *g, const struct tenure_directory_list *all, const char *only)
{
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < all->n; i++)
        if (!only || strcmp(all->entries[i].region, only) == 0)
            json_array_append_new(list, service_json(all->entries[i].instance, all->entries[i].region));
    json_object_set_new(o, "regions", regions_json(all, only ? find_region(all, only) + 1 : all->n_regions));
    json_object_set_new(o, "instances", list);
    output_print(g, &service_list_form, o);
}

/* What is wrong with the regions that are told; whether one of them answers. */
static bool warn_all(const struct tenure_directory_list *all, size_t n)
{
    bool one = false;
    for (size_t i = 0; i < n; i++) {
        one = one || all->regions[i].answers;
        warn(&all->regions[i]);
    }
    return one;
}

static int list_all(tenure_directory *d, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0}, why = {0};
    tenure_directory_await(d, &why);
    struct tenure_directory_list *all = tenure_directory_list(d, &err);
    if (!all)
        return connect_failed("service", g, &err);
    int code = EXIT_OK;
    if (!warn_all(all, all->n_regions))
        code = why.code == TENURE_EUNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILED;
    else if (name)
        print_list(g, all, NULL);
    else
        print_names(g, all);
    tenure_directory_list_free(all);
    return code;
}

static int list_nearest(tenure_directory *d, const struct global_options *g, const char *name)
{
    struct tenure_error err = {0}, why = {0};
    const char *region = NULL;
    tenure_pick_done(tenure_directory_pick(d, tenure_str(""), &region, &why));
    struct tenure_directory_list *all = tenure_directory_list(d, &err);
    if (!all)
        return connect_failed("service", g, &err);
    int code = EXIT_OK;
    warn_all(all, find_region(all, region));
    if (region)
        print_list(g, all, region);
    else
        code = why.code == TENURE_ENOTFOUND ? service_pick_none(name, " in any region") : EXIT_UNAVAILABLE;
    tenure_directory_list_free(all);
    return code;
}

int service_list_regions(const struct global_options *g, const struct service_flags *f, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_options handles;
    if (!name && is_nearest(f)) {
        fprintf(stderr, "tenure service: option --region: 'nearest' takes the NAME of a service\n");
        return EXIT_USAGE;
    }
    tenure_client *c = connect_open("service", g);
    if (!c)
        return connect_code();
    struct tenure_directory_options o = options_of(g, f, &handles, true);
    tenure_directory *d = tenure_directory_open(c, name, &o, &err);
    int code = !d              ? connect_failed("service", g, &err)
               : is_nearest(f) ? list_nearest(d, g, name)
                               : list_all(d, g, name);
    tenure_directory_close(d);
    tenure_close(c);
    return code;
}

/* ---- watch ---- */

/* Of `nearest` one region is shown at a time: the nearest that has one that serves. Another one takes its place by lines that
 * take the old ones away and bring the new ones. */
struct watching {
    const struct global_options *g;
    const struct service_flags *f;
    struct wait wait;
    pthread_mutex_t mutex; /* the rest, and what is printed */
    bool settled;          /* regions that were not heard are waited for no more */
    char shown[64];        /* of nearest; "" = none yet */
    bool is_shown;
    int64_t seen;
    size_t n_ended;
};

static void print_one(struct watching *w, const char *word, const struct tenure_instance *i, const char *region,
                      int64_t revision)
{
    bool counts = strcmp(word, "here") != 0;
    if (w->f->count > 0 && w->seen >= w->f->count)
        return;
    w->seen += counts;
    service_print_change(w->g, word, i, region, revision);
    if (fflush(stdout) != 0)
        wait_end(&w->wait, EXIT_FAILED);
    else if (w->f->count > 0 && w->seen >= w->f->count)
        wait_end(&w->wait, EXIT_OK);
}

static void print_region(struct watching *w, const struct tenure_directory_list *all, const char *word,
                         const char *region)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->entries[i].region, region) == 0)
            print_one(w, word, all->entries[i].instance, region, all->regions[find_region(all, region)].revision);
}

static bool has_one(const struct tenure_directory_list *all, const char *region)
{
    for (size_t i = 0; i < all->n; i++)
        if (strcmp(all->entries[i].region, region) == 0 && tenure_instance_serves(all->entries[i].instance))
            return true;
    return false;
}

/* NULL: none, or it is too early to say. */
static const char *choose(const struct watching *w, const struct tenure_directory_list *all)
{
    for (size_t i = 0; i < all->n_regions; i++) {
        if (has_one(all, all->regions[i].name))
            return all->regions[i].name;
        if (!all->regions[i].answers && !w->settled)
            return NULL;
    }
    return NULL;
}

/* Under the mutex. Where nobody serves any more the one that is shown stays. */
static void look_again(struct watching *w, tenure_directory *d)
{
    struct tenure_directory_list *all = is_nearest(w->f) ? tenure_directory_list(d, NULL) : NULL;
    const char *now = all ? choose(w, all) : NULL;
    if (now && (!w->is_shown || strcmp(now, w->shown) != 0)) {
        if (w->is_shown)
            print_region(w, all, "went", w->shown);
        print_region(w, all, w->is_shown ? "came" : "here", now);
        snprintf(w->shown, sizeof w->shown, "%s", now);
        w->is_shown = true;
    }
    tenure_directory_list_free(all);
}

static void on_list(tenure_directory *d, const char *region, const struct tenure_instances *list, void *user)
{
    struct watching *w = user;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; !is_nearest(w->f) && i < list->n; i++)
        print_one(w, "here", &list->instances[i], region, list->revision);
    look_again(w, d);
    pthread_mutex_unlock(&w->mutex);
}

static void on_change(tenure_directory *d, const char *region, enum tenure_service_change change,
                      const struct tenure_instance *i, int64_t revision, void *user)
{
    static const char *const words[] = {"", "came", "changed", "went"};
    struct watching *w = user;
    pthread_mutex_lock(&w->mutex);
    if (!is_nearest(w->f) || (w->is_shown && strcmp(w->shown, region) == 0))
        print_one(w, words[change], i, region, revision);
    look_again(w, d);
    pthread_mutex_unlock(&w->mutex);
}

static void on_end(tenure_directory *d, const char *region, int code, const struct tenure_error *err, void *user)
{
    struct watching *w = user;
    struct tenure_directory_list *all = tenure_directory_list(d, NULL);
    (void)code;
    pthread_mutex_lock(&w->mutex);
    w->n_ended++;
    fprintf(stderr, "tenure service: region '%s' is not followed: %s\n", region, err->text);
    if (all && w->n_ended == all->n_regions)
        wait_end(&w->wait, EXIT_FAILED);
    pthread_mutex_unlock(&w->mutex);
    tenure_directory_list_free(all);
}

/* Those that were not heard by now. */
static void settle(struct watching *w, tenure_directory *d)
{
    struct tenure_directory_list *all = tenure_directory_list(d, NULL);
    for (size_t i = 0; all && i < all->n_regions; i++)
        if (!all->regions[i].answers)
            warn(&all->regions[i]);
    tenure_directory_list_free(all);
    pthread_mutex_lock(&w->mutex);
    w->settled = true;
    look_again(w, d);
    pthread_mutex_unlock(&w->mutex);
}

enum { NOT_YET = -1, WAIT_MS = 2500 };

static int watch(tenure_client *c, struct watching *w, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_options handles;
    struct tenure_directory_options o = options_of(w->g, w->f, &handles, true);
    o.wait_ms = w->g->call_timeout_ms > 0 ? w->g->call_timeout_ms / 2 + 1 : WAIT_MS;
    o.on_list = on_list;
    o.on_change = on_change;
    o.on_end = on_end;
    o.user = w;
    tenure_directory *d = tenure_directory_open(c, name, &o, &err);
    if (!d)
        return connect_failed("service", w->g, &err);
    int code = wait_run(&w->wait, o.wait_ms, NOT_YET, NULL);
    if (code == NOT_YET) {
        settle(w, d);
        code = wait_run(&w->wait, -1, EXIT_OK, NULL);
    }
    tenure_directory_close(d);
    return code;
}

int service_watch_regions(const struct global_options *g, const struct service_flags *f, const char *name)
{
    struct watching w = {.g = g, .f = f, .mutex = PTHREAD_MUTEX_INITIALIZER};
    wait_init(&w.wait);
    tenure_client *c = connect_open("service", g);
    int code = c ? watch(c, &w, name) : connect_code();
    tenure_close(c);
    return code;
}

/* ---- pick ---- */

static int pick(tenure_directory *d, const struct global_options *g, const struct service_flags *f, const char *name)
{
    struct tenure_error err = {0};
    const char *region = NULL;
    const struct tenure_instance *i = tenure_directory_pick(d, tenure_str(f->by ? f->by : ""), &region, &err);
    struct tenure_directory_list *all = tenure_directory_list(d, NULL);
    int code = EXIT_OK;
    if (all)
        warn_all(all, find_region(all, region));
    if (i)
        service_print_pick(g, i, region);
    else if (err.code == TENURE_ENOTFOUND)
        code = service_pick_none(name, all && all->n_regions > 1 ? " in any region that answers" : "");
    else
        code = err.code == TENURE_EUNAVAILABLE ? EXIT_UNAVAILABLE : EXIT_FAILED;
    tenure_directory_list_free(all);
    tenure_pick_done(i);
    return code;
}

int service_pick_regions(const struct global_options *g, const struct service_flags *f, const char *name,
                         enum tenure_policy policy)
{
    struct tenure_error err = {0};
    struct tenure_options handles;
    tenure_client *c = connect_open("service", g);
    if (!c)
        return connect_code();
    struct tenure_directory_options o = options_of(g, f, &handles, false);
    o.policy = policy;
    o.zones = &f->zone;
    o.n_zones = f->zone ? 1 : 0;
    o.any_if_none = f->any;
    tenure_directory *d = tenure_directory_open(c, name, &o, &err);
    int code = d ? pick(d, g, f, name) : connect_failed("service", g, &err);
    tenure_directory_close(d);
    tenure_close(c);
    return code;
}
