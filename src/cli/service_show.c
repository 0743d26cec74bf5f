/* tenure service list, watch and pick: what is in the registry, as a table, as lines, and one of it. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/service.h"
#include "cli/wait.h"

#define CELL_MAX 128

/* ---- one instance ---- */

const char *service_state(const struct tenure_instance *i)
{
    return i->error         ? "error"
           : i->leaving     ? "leaving"
           : i->maintenance ? "maintenance"
           : i->draining    ? "draining"
                            : tenure_health_string(i->health);
}

static json_t *tags_json(const struct tenure_instance *i)
{
    json_t *tags = json_array();
    for (size_t k = 0; k < i->n_tags; k++)
        json_array_append_new(tags, json_string(i->tags[k]));
    return tags;
}

static json_t *meta_json(const struct tenure_instance *i)
{
    json_t *meta = json_object();
    for (size_t k = 0; k < i->n_meta; k++)
        json_object_set_new(meta, i->meta[k].name, json_string(i->meta[k].value));
    return meta;
}

json_t *service_json(const struct tenure_instance *i, const char *region)
{
    json_t *o = json_object();
    output_set_bytes(o, "service", tenure_str(i->service));
    output_set_bytes(o, "instance", tenure_str(i->name));
    if (region)
        json_object_set_new(o, "region", json_string(region));
    json_object_set_new(o, "state", json_string(service_state(i)));
    if (i->error) {
        json_object_set_new(o, "error", json_string(i->error));
        return o;
    }
    json_object_set_new(o, "serves", json_boolean(tenure_instance_serves(i)));
    json_object_set_new(o, "endpoint", json_string(i->endpoint));
    json_object_set_new(o, "address", json_string(i->address));
    json_object_set_new(o, "port", json_integer(i->port));
    json_object_set_new(o, "health", json_string(tenure_health_string(i->health)));
    json_object_set_new(o, "weight", json_integer(i->weight));
    json_object_set_new(o, "zone", json_string(i->zone));
    json_object_set_new(o, "version", json_string(i->version));
    json_object_set_new(o, "tags", tags_json(i));
    json_object_set_new(o, "meta", meta_json(i));
    json_object_set_new(o, "host", json_string(i->host));
    json_object_set_new(o, "pid", json_integer(i->pid));
    json_object_set_new(o, "since_ms", json_integer(i->since_ms));
    json_object_set_new(o, "lease", output_lease(i->lease));
    json_object_set_new(o, "revision", json_integer(i->mod_revision));
    return o;
}

/* What another program wrote must not move the cursor of a terminal. */
static const char *cell(const char *text, char *out)
{
    snprintf(out, CELL_MAX, "%s", *text ? text : "-");
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

/* ---- list ---- */

static void show_endpoint(const json_t *record, struct buf *to)
{
    const char *error = json_string_value(json_object_get(record, "error"));
    const char *endpoint = json_string_value(json_object_get(record, "endpoint"));
    buf_printf(to, "%s", error ? error : endpoint ? endpoint : "");
}

#define INSTANCE_COLUMNS                                                                                               \
    {.path = "service", .heading = "SERVICE"}, {.path = "instance", .heading = "INSTANCE"},                            \
        {.path = "region", .heading = "REGION", .optional = true},                                                     \
        {.path = "endpoint", .heading = "ENDPOINT", .show = show_endpoint}, {.path = "state", .heading = "STATE"},     \
        {.path = "weight", .heading = "WEIGHT", .kind = OUTPUT_NUMBER}, {.path = "zone", .heading = "ZONE"},           \
        {.path = "version", .heading = "VERSION"}, {.path = "tags", .heading = "TAGS"},                                \
    {                                                                                                                  \
        0                                                                                                              \
    }

const struct output_form service_list_form = {.lists = {"instances"},
                                              .columns = (const struct output_column[]){INSTANCE_COLUMNS}};
static const struct output_form one_form = {.columns = (const struct output_column[]){INSTANCE_COLUMNS}};

static const struct output_form names_form = {
    .lists = {"services"},
    .columns = (const struct output_column[]){{.path = "service", .heading = "SERVICE"},
                                              {.path = "instances", .heading = "INSTANCES", .kind = OUTPUT_NUMBER},
                                              {0}},
};

/* The table is the text as well. */
static void print_list(const struct global_options *g, const struct tenure_instances *all)
{
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < all->n; i++)
        json_array_append_new(list, service_json(&all->instances[i], NULL));
    json_object_set_new(o, "revision", json_integer(all->revision));
    json_object_set_new(o, "instances", list);
    output_print(g, &service_list_form, o);
}

struct tenure_instance_filter service_filter(const struct service_flags *f, bool with_zone)
{
    return (struct tenure_instance_filter){.tags = f->tags.values,
                                           .n_tags = f->tags.n,
                                           .zone = with_zone ? f->zone : NULL,
                                           .version = f->version,
                                           .serving = f->serving};
}

static int list_names(tenure_client *c, const struct global_options *g, const struct service_flags *f)
{
    struct tenure_error err = {0};
    struct tenure_service_names *names = tenure_services(c, f->prefix, &err);
    if (!names)
        return connect_failed("service", g, &err);
    json_t *list = json_array();
    for (size_t i = 0; i < names->n; i++) {
        char name[CELL_MAX];
        if (output_is_text(g))
            printf("%s  %zu\n", cell(names->services[i].name, name), names->services[i].instances);
        json_t *o = json_object();
        output_set_bytes(o, "service", tenure_str(names->services[i].name));
        json_object_set_new(o, "instances", json_integer((json_int_t)names->services[i].instances));
        json_array_append_new(list, o);
    }
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "revision", json_integer(names->revision));
        json_object_set_new(o, "services", json_incref(list));
        output_print(g, &names_form, o);
    }
    json_decref(list);
    tenure_service_names_free(names);
    return EXIT_OK;
}

static int list_one(tenure_client *c, const struct global_options *g, const struct service_flags *f, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_discover_options o = {.size = sizeof o, .prefix = f->prefix, .filter = service_filter(f, true)};
    struct tenure_instances *all = tenure_discover(c, name, &o, &err);
    if (!all)
        return connect_failed("service", g, &err);
    print_list(g, all);
    tenure_instances_free(all);
    return EXIT_OK;
}

int service_list(const struct global_options *g, const struct service_flags *f, const char *name)
{
    if (f->region)
        return service_list_regions(g, f, name);
    tenure_client *c = connect_open("service", g);
    int code = !c ? connect_code() : name ? list_one(c, g, f, name) : list_names(c, g, f);
    tenure_close(c);
    return code;
}

/* ---- watch ---- */

struct watching {
    const struct global_options *g;
    const struct service_flags *f;
    struct wait wait;
    const char *gone; /* await: the instance whose end is waited for */
    bool is_there;
    int64_t seen;
};

static void show_changed_endpoint(const json_t *record, struct buf *to)
{
    show_endpoint(json_object_get(record, "instance"), to);
}

#define CHANGE_COLUMNS                                                                                                 \
    {.path = "change", .heading = "CHANGE", .width = 7},                                                               \
        {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},                                            \
        {.path = "instance.service", .heading = "SERVICE", .width = 12},                                               \
        {.path = "instance.instance", .heading = "INSTANCE", .width = 12},                                             \
        {.path = "instance.endpoint", .heading = "ENDPOINT", .width = 20, .show = show_changed_endpoint},              \
    {                                                                                                                  \
        .path = "instance.state", .heading = "STATE", .width = 8                                                       \
    }

static const struct output_form change_form = {.columns = (const struct output_column[]){CHANGE_COLUMNS, {0}}};
static const struct output_form region_change_form = {
    .columns = (const struct output_column[]){CHANGE_COLUMNS, {.path = "instance.region", .heading = "REGION"}, {0}}};

void service_print_change(const struct global_options *g, const char *word, const struct tenure_instance *i,
                          const char *region, int64_t revision)
{
    char service[CELL_MAX], name[CELL_MAX], endpoint[CELL_MAX];
    if (!output_is_text(g)) {
        json_t *o = json_object();
        json_object_set_new(o, "change", json_string(word));
        json_object_set_new(o, "revision", json_integer(revision));
        json_object_set_new(o, "instance", service_json(i, region));
        output_event(g, region ? &region_change_form : &change_form, o);
    } else {
        printf("%-7s  %s/%s  %s  %s%s%s\n", word, cell(i->service, service), cell(i->name, name),
               cell(i->error ? i->error : i->endpoint, endpoint), service_state(i), region ? "  " : "",
               region ? region : "");
    }
}

static void on_list(tenure_service_view *v, const struct tenure_instances *list, void *user)
{
    struct watching *w = user;
    (void)v;
    for (size_t i = 0; i < list->n; i++)
        service_print_change(w->g, "here", &list->instances[i], NULL, list->revision);
    if (fflush(stdout) != 0)
        wait_end(&w->wait, EXIT_FAILED);
}

static void on_change(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *i,
                      int64_t revision, void *user)
{
    static const char *const words[] = {"", "came", "changed", "went"};
    struct watching *w = user;
    (void)v;
    if (w->f->count > 0 && w->seen >= w->f->count)
        return;
    w->seen++;
    service_print_change(w->g, words[change], i, NULL, revision);
    if (fflush(stdout) != 0)
        wait_end(&w->wait, EXIT_FAILED);
    else if (w->f->count > 0 && w->seen >= w->f->count)
        wait_end(&w->wait, EXIT_OK);
}

static void on_end(tenure_service_view *v, int code, const struct tenure_error *err, void *user)
{
    struct watching *w = user;
    (void)v, (void)code;
    wait_end(&w->wait, connect_failed("service", w->g, err));
}

static int watch_until_told(tenure_client *c, struct watching *w, const char *name,
                            const struct tenure_service_view_options *o)
{
    struct tenure_error err = {0};
    tenure_service_view *v = tenure_service_view_start(c, name, o, &err);
    int code = v ? wait_run(&w->wait, w->gone ? w->f->timeout_ms : -1, EXIT_LOCK_TIMEOUT, NULL)
                 : connect_failed("service", w->g, &err);
    tenure_service_view_stop(v);
    return code;
}

int service_watch(const struct global_options *g, const struct service_flags *f, const char *name)
{
    if (f->region)
        return service_watch_regions(g, f, name);
    struct watching w = {.g = g, .f = f};
    struct tenure_service_view_options o = {.size = sizeof o,
                                            .prefix = f->prefix,
                                            .filter = service_filter(f, true),
                                            .on_list = on_list,
                                            .on_change = on_change,
                                            .on_end = on_end,
                                            .user = &w};
    wait_init(&w.wait);
    tenure_client *c = connect_open("service", g);
    int code = c ? watch_until_told(c, &w, name, &o) : connect_code();
    tenure_close(c);
    return code;
}

/* ---- waiting for an end ---- */

static void gone_on_list(tenure_service_view *v, const struct tenure_instances *list, void *user)
{
    struct watching *w = user;
    (void)v;
    for (size_t i = 0; i < list->n; i++)
        w->is_there = w->is_there || strcmp(list->instances[i].name, w->gone) == 0;
    if (!w->is_there)
        wait_end(&w->wait, EXIT_OK);
}

static void gone_on_change(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *i,
                           int64_t revision, void *user)
{
    struct watching *w = user;
    (void)v, (void)revision;
    if (change == TENURE_SERVICE_WENT && strcmp(i->name, w->gone) == 0)
        wait_end(&w->wait, EXIT_OK);
}

int service_await_gone(tenure_client *c, const struct global_options *g, const struct service_flags *f,
                       const char *name, const char *id)
{
    struct watching w = {.g = g, .f = f, .gone = id};
    struct tenure_service_view_options o = {.size = sizeof o,
                                            .prefix = f->prefix,
                                            .on_list = gone_on_list,
                                            .on_change = gone_on_change,
                                            .on_end = on_end,
                                            .user = &w};
    wait_init(&w.wait);
    int code = watch_until_told(c, &w, name, &o);
    if (code == EXIT_LOCK_TIMEOUT)
        fprintf(stderr, "tenure service: '%s' of '%s' is still there\n", id, name);
    return code;
}

/* ---- pick ---- */

static bool policy_of(const char *word, enum tenure_policy *ret)
{
    static const char *const words[] = {"round-robin", "random", "weighted", "least-used", "consistent"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = (enum tenure_policy)i;
            return true;
        }
    fprintf(stderr,
            "tenure service pick: option --policy: '%s' is neither round-robin, random, weighted, least-used nor "
            "consistent\n",
            word);
    return false;
}

static const char *const field_names[] = {"{service}", "{instance}", "{address}", "{port}",  "{endpoint}",
                                          "{zone}",    "{version}",  "{weight}",  "{region}"};
enum { FIELDS = sizeof field_names / sizeof field_names[0] };

/* The field that a template has at t; FIELDS: none. */
static size_t field_at(const char *t)
{
    size_t k = 0;
    while (k < FIELDS && strncmp(t, field_names[k], strlen(field_names[k])) != 0)
        k++;
    return k;
}

/* Before anybody is asked. Braces that hold no word, as those of JSON, stay as they are. */
static bool template_is_good(const char *t)
{
    for (; (t = strchr(t, '{')); t++) {
        size_t len = strspn(t + 1, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-");
        if (len == 0 || t[1 + len] != '}' || field_at(t) < FIELDS)
            continue;
        fprintf(stderr, "tenure service pick: option --output: there is no {%.*s}; there are", (int)len, t + 1);
        for (size_t k = 0; k < FIELDS; k++)
            fprintf(stderr, "%s %s", k ? "," : "", field_names[k]);
        fputc('\n', stderr);
        return false;
    }
    return true;
}

/* "{address}:{port}". */
static void print_template(const char *t, const struct tenure_instance *i, const char *region)
{
    char port[16], weight[16];
    snprintf(port, sizeof port, "%" PRId32, i->port);
    snprintf(weight, sizeof weight, "%" PRId32, i->weight);
    const char *const texts[FIELDS] = {i->service, i->name, i->address,          port, i->endpoint, i->zone,
                                       i->version, weight,  region ? region : ""}; /* by field_names */
    while (*t) {
        size_t k = field_at(t);
        if (k < FIELDS)
            fputs(texts[k], stdout);
        else
            putchar(*t);
        t += k < FIELDS ? strlen(field_names[k]) : 1;
    }
    putchar('\n');
}

void service_print_pick(const struct global_options *g, const struct tenure_instance *i, const char *region)
{
    if (strchr(g->output, '{'))
        print_template(g->output, i, region);
    else if (!output_is_text(g))
        output_print(g, &one_form, service_json(i, region));
    else
        puts(i->endpoint);
}

int service_pick_none(const char *name, const char *more)
{
    fprintf(stderr, "tenure service: no instance of '%s' serves%s\ntry: tenure service list %s\n", name, more, name);
    return EXIT_FAILED;
}

static int pick(tenure_client *c, const struct global_options *g, const struct service_flags *f,
                const struct tenure_picker_options *o, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_service_view_options v = {.size = sizeof v, .prefix = f->prefix, .check_ms = -1};
    tenure_service_view *view = tenure_service_view_start(c, name, &v, &err);
    int rc = view ? tenure_service_view_await(view, 0, &err) : err.code;
    if (rc == TENURE_ETIMEOUT)
        connect_silence(c, err.text, &err);
    tenure_picker *p = rc == 0 ? tenure_picker_new(view, o, &err) : NULL;
    const struct tenure_instance *i = p ? tenure_pick(p, tenure_str(f->by ? f->by : ""), &err) : NULL;
    int code = EXIT_OK;
    if (i) {
        service_print_pick(g, i, NULL);
    } else if (err.code == TENURE_ENOTFOUND) {
        code = service_pick_none(name, "");
    } else {
        code = connect_failed("service", g, &err);
    }
    tenure_pick_done(i);
    tenure_picker_free(p);
    tenure_service_view_stop(view);
    return code;
}

int service_pick(const struct global_options *g, const struct service_flags *f, const char *name)
{
    struct tenure_picker_options o = {.size = sizeof o,
                                      .policy = TENURE_PICK_RANDOM,
                                      .zones = &f->zone,
                                      .n_zones = f->zone ? 1 : 0,
                                      .filter = service_filter(f, false),
                                      .any_if_none = f->any};
    if (f->by)
        o.policy = TENURE_PICK_CONSISTENT;
    if ((f->policy && !policy_of(f->policy, &o.policy)) || (strchr(g->output, '{') && !template_is_good(g->output)))
        return EXIT_USAGE;
    if (f->region)
        return service_pick_regions(g, f, name, o.policy);
    tenure_client *c = connect_open("service", g);
    int code = c ? pick(c, g, f, &o, name) : connect_code();
    tenure_close(c);
    return code;
}
