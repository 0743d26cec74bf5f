/* tenure mirror status: the records of mirrors in a cluster that they copy into. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/connect.h"
#include "cli/mirror.h"
#include "cli/output.h"
#include "mirror/carrier.h"

#define KEYS_MAX 10000

static const struct output_form form = {
    .lists = {"mirrors"},
    .columns =
        (const struct output_column[]){
            {.path = "name", .heading = "MIRROR"},
            {.path = "prefix", .heading = "FROM"},
            {.path = "to", .heading = "TO"},
            {.path = "state", .heading = "STATE"},
            {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
            {.path = "lag", .heading = "BEHIND", .kind = OUTPUT_NUMBER},
            {.path = "lag_ms", .heading = "MS OLD", .kind = OUTPUT_NUMBER},
            {.path = "keys", .heading = "KEYS", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "total", .heading = "OF", .kind = OUTPUT_NUMBER, .optional = true},
            {.path = "copied", .heading = "COPIED", .kind = OUTPUT_NUMBER},
            {.path = "deleted", .heading = "DELETED", .kind = OUTPUT_NUMBER},
            {.path = "time", .heading = "SEEN", .kind = OUTPUT_SINCE},
            {.path = "error", .heading = "LAST ERROR", .optional = true},
            {.path = "error_time", .heading = "ERROR", .kind = OUTPUT_SINCE, .optional = true},
            {0}},
};

/* The record with its name; what it keeps for itself stays where it is. */
static json_t *row(const struct tenure_kv *kv)
{
    static const char *const inner[] = {"writer", "seq", "check", "cursor"};
    const char *name = (const char *)kv->key.data + strlen(CARRIER_KEYS);
    size_t len = kv->key.len - strlen(CARRIER_KEYS);
    const char *slash = memchr(name, '/', len);
    json_t *j = json_loadb((const char *)kv->value.data, kv->value.len, 0, NULL);
    if (!json_is_object(j)) {
        json_decref(j);
        j = json_pack("{s:s}", "error", "not the record of a mirror");
    }
    for (size_t i = 0; j && i < sizeof inner / sizeof *inner; i++)
        json_object_del(j, inner[i]);
    if (j)
        json_object_set_new(j, "name", json_stringn(name, slash ? (size_t)(slash - name) : len));
    return j;
}

static int print_records(tenure_client *c, const struct mirror_options *o, const struct global_options *g,
                         struct tenure_error *err)
{
    struct tenure_get_options options = {.size = sizeof options, .prefix = true, .limit = KEYS_MAX};
    struct tenure_get_result *r = NULL;
    int rc = tenure_get(c, tenure_str(CARRIER_KEYS), &options, &r, err);
    if (rc)
        return rc;
    json_t *list = json_array();
    for (size_t i = 0; i < r->n_kvs; i++) {
        json_t *j = row(&r->kvs[i]);
        bool wanted = !o->name || strcmp(json_string_value(json_object_get(j, "name")), o->name) == 0;
        if (wanted)
            json_array_append(list, j);
        json_decref(j);
    }
    tenure_get_free(r);
    bool is_known = !o->name || json_array_size(list) > 0;
    output_print(g, &form, json_pack("{s:o}", "mirrors", list));
    return is_known ? 0 : error_set(err, TENURE_ENOTFOUND, "no mirror '%s' copies to this cluster", o->name);
}

static int ask(struct mirror_side *side, const struct mirror_options *o, const struct global_options *g)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(side->g.endpoints, &side->options, &err);
    if (!c)
        return connect_refused("mirror", &side->g, &err);
    int code = print_records(c, o, g, &err) ? connect_failed("mirror", &side->g, &err) : EXIT_OK;
    tenure_close(c);
    return code;
}

int mirror_status(const struct mirror_options *o, const struct global_options *g)
{
    struct mirror_side side;
    const char *urls = o->to.n ? o->to.values[0] : o->to_context.n ? NULL : g->endpoints;
    const char *context = o->to_context.n ? o->to_context.values[0] : o->to.n ? NULL : g->context;
    int code = mirror_side_find(&side, g, urls, context, o->to_user) ? ask(&side, o, g) : EXIT_USAGE;
    mirror_side_free(&side);
    return code;
}
