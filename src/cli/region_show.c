/* tenure region list, status, home: what there is, and whether all agree. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/output.h"
#include "cli/region.h"

/* ---- list ---- */

static json_t *endpoints_json(const char *text)
{
    json_t *list = json_array();
    for (const char *at = text; *at; at += strcspn(at, ","), at += *at == ',')
        json_array_append_new(list, json_stringn(at, strcspn(at, ",")));
    return list;
}

static json_t *distances_json(const struct tenure_region *r)
{
    json_t *o = json_object();
    for (size_t i = 0; i < r->n_distances; i++)
        json_object_set_new(o, r->distances[i].region, json_integer(r->distances[i].ms));
    return o;
}

static void show_distances(const json_t *record, struct buf *to)
{
    const char *name, *before = "";
    json_t *ms;
    json_object_foreach(json_object_get(record, "distance"), name, ms)
    {
        buf_printf(to, "%s%s %" JSON_INTEGER_FORMAT " ms", before, name, json_integer_value(ms));
        before = ", ";
    }
}

static json_t *region_json(const struct tenure_region *r)
{
    json_t *o = json_object();
    json_object_set_new(o, "region", json_string(r->name));
    json_object_set_new(o, "here", json_boolean(r->own));
    json_object_set_new(o, "endpoints", endpoints_json(r->endpoints));
    if (r->n_distances)
        json_object_set_new(o, "distance", distances_json(r));
    return o;
}

int region_list(const struct global_options *g)
{
    static const struct output_column columns[] = {{.path = "region", .heading = "REGION"},
                                                   {.path = "here", .heading = "HERE"},
                                                   {.path = "endpoints", .heading = "ENDPOINTS"},
                                                   {.path = "distance", .heading = "DISTANCE", .show = show_distances},
                                                   {0}};
    static const struct output_form form = {.lists = {"regions"}, .columns = columns};
    struct tenure_error err = {0};
    tenure_client *c = connect_open(REGION_COMMAND, g);
    if (!c)
        return connect_code();
    struct tenure_region_list *r = tenure_region_list(c, &err);
    int code = r ? EXIT_OK : connect_failed(REGION_COMMAND, g, &err);
    if (r) {
        json_t *o = json_object(), *list = json_array();
        for (size_t i = 0; i < r->n; i++)
            json_array_append_new(list, region_json(&r->regions[i]));
        json_object_set_new(o, "here", json_string(r->own));
        json_object_set_new(o, "regions", list);
        output_print(g, &form, o);
    }
    tenure_region_list_free(r);
    tenure_close(c);
    return code;
}

/* ---- homes ---- */

/* Those whose record is another one than the newest. */
static json_t *behind_json(const struct region_set *s, const struct tenure_home *newest)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const struct tenure_home *there = NULL;
        for (size_t j = 0; s->peers[i].homes && j < s->peers[i].homes->n; j++)
            if (strcmp(s->peers[i].homes->homes[j].prefix, newest->prefix) == 0)
                there = &s->peers[i].homes->homes[j];
        bool same = there && there->epoch == newest->epoch && strcmp(there->region, newest->region) == 0 &&
                    there->authority == newest->authority;
        if (s->peers[i].homes && !same)
            json_array_append_new(list, json_string(s->peers[i].name));
    }
    return list;
}

static json_t *home_json(const struct tenure_home *h)
{
    json_t *o = json_object();
    json_object_set_new(o, "prefix", json_string(h->prefix));
    json_object_set_new(o, "region", json_string(h->region));
    json_object_set_new(o, "epoch", json_integer(h->epoch));
    if (h->authority)
        json_object_set_new(o, "authority", json_true());
    return o;
}

/* Where places of an authority over it live, of whom, and for how long: in the others; at home its word. */
static json_t *places_json(const struct region_set *s, const struct tenure_home *h)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++) {
        const struct tenure_authority *a = region_set_place(&s->peers[i], h->prefix);
        if (!a)
            continue;
        json_t *one = json_object();
        json_object_set_new(one, "in", json_string(s->peers[i].name));
        json_object_set_new(one, "of", json_string(a->region));
        json_object_set_new(one, "epoch", json_integer(a->epoch));
        json_object_set_new(one, "left_ms", json_integer(a->left_ms));
        json_array_append_new(list, one);
    }
    return list;
}

static void show_places(const json_t *record, struct buf *to)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(record, "places"), i, one)
    {
        buf_printf(to, "%s%s: %s %" JSON_INTEGER_FORMAT " s", i ? ", " : "",
                   json_string_value(json_object_get(one, "in")), json_string_value(json_object_get(one, "of")),
                   json_integer_value(json_object_get(one, "left_ms")) / 1000);
    }
    if (json_is_true(json_object_get(record, "authority")) && i == 0)
        buf_printf(to, "none");
}

bool region_is_listed(const json_t *list, const char *prefix)
{
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(json_object_get(one, "prefix")), prefix) == 0)
            return true;
    }
    return false;
}

/* Each prefix once, as the greatest epoch says. */
static json_t *homes_json(const struct region_set *s, bool *ret_agree)
{
    json_t *list = json_array();
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = 0; s->peers[i].homes && j < s->peers[i].homes->n; j++) {
            const struct tenure_home *h = region_set_home(s, s->peers[i].homes->homes[j].prefix);
            if (region_is_listed(list, h->prefix))
                continue;
            json_t *one = home_json(h), *behind = behind_json(s, h), *places = places_json(s, h);
            if (h->authority || json_array_size(places))
                json_object_set(one, "places", places);
            json_decref(places);
            if (json_array_size(behind)) {
                json_object_set(one, "behind", behind);
                *ret_agree = false;
            }
            json_decref(behind);
            json_array_append_new(list, one);
        }
    return list;
}

static const struct output_column home_columns[] = {
    {.path = "prefix", .heading = "PREFIX"},
    {.path = "region", .heading = "HOME"},
    {.path = "epoch", .heading = "EPOCH", .kind = OUTPUT_NUMBER},
    {.path = "behind", .heading = "NOT YET IN", .optional = true},
    {.path = "places", .heading = "AUTHORITY", .show = show_places, .optional = true},
    {0}};
static const struct output_form homes_form = {.lists = {"homes"}, .columns = home_columns};

void region_print_home(const struct global_options *g, const struct tenure_home *h)
{
    output_print(g, &(struct output_form){.columns = home_columns}, home_json(h));
}

/* ---- status ---- */

static json_t *peer_json(const struct region_peer *p)
{
    json_t *o = json_object();
    const char *state = p->answers ? "answers" : p->why.code == TENURE_ECONFLICT ? "another" : "away";
    json_object_set_new(o, "region", json_string(p->name));
    json_object_set_new(o, "here", json_boolean(p->own));
    json_object_set_new(o, "endpoints", endpoints_json(p->endpoints));
    json_object_set_new(o, "state", json_string(state));
    if (p->answers)
        json_object_set_new(o, "answered_ms", json_integer(p->took_ms));
    else
        json_object_set_new(o, "error", json_string(connect_text(REGION_COMMAND, &p->why)));
    return o;
}

int region_status(const struct global_options *g)
{
    static const struct output_column columns[] = {{.path = "region", .heading = "REGION"},
                                                   {.path = "here", .heading = "HERE"},
                                                   {.path = "endpoints", .heading = "ENDPOINTS"},
                                                   {.path = "state", .heading = "STATE"},
                                                   {.path = "answered_ms", .heading = "MS", .kind = OUTPUT_NUMBER},
                                                   {.path = "error", .heading = "ERROR", .optional = true},
                                                   {0}};
    static const struct output_form form = {.lists = {"regions"}, .columns = columns, .next = &homes_form};
    struct region_set s;
    int code;
    bool fine = true;
    if (!region_set_open(&s, g, &code))
        return code;
    json_t *o = json_object(), *list = json_array();
    for (size_t i = 0; i < s.n; i++) {
        json_array_append_new(list, peer_json(&s.peers[i]));
        fine = fine && s.peers[i].answers;
    }
    json_object_set_new(o, "here", json_string(s.list->own));
    json_object_set_new(o, "regions", list);
    json_object_set_new(o, "homes", homes_json(&s, &fine));
    output_print(g, &form, o);
    region_set_close(&s);
    return fine ? EXIT_OK : EXIT_FAILED;
}

/* ---- home ---- */

static int show_all(const struct global_options *g)
{
    struct region_set s;
    int code;
    bool agree = true;
    if (!region_set_open(&s, g, &code))
        return code;
    json_t *o = json_object();
    json_object_set_new(o, "homes", homes_json(&s, &agree));
    output_print(g, &homes_form, o);
    region_set_close(&s);
    return EXIT_OK;
}

static int show_one(const struct global_options *g, const char *key)
{
    struct region_set s;
    int code;
    if (!region_set_open(&s, g, &code))
        return code;
    const struct tenure_home *h = region_set_home_of(&s, key);
    code = h ? EXIT_OK : EXIT_FAILED;
    if (!h)
        fprintf(stderr, "tenure region: '%s' has no home; give it one: tenure region home PREFIX REGION\n", key);
    else if (output_is_text(g))
        printf("%s\n", h->region);
    else
        region_print_home(g, h);
    region_set_close(&s);
    return code;
}

int region_home(const struct global_options *g, const struct region_options *o, const char *prefix, const char *region)
{
    if (!prefix)
        return show_all(g);
    return region ? region_give_home(g, o, prefix, region) : show_one(g, prefix);
}
