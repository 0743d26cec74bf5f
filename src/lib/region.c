/* Where regions are: the records of /regions/ and the cluster's own name. Written and read by jansson; anybody may write them, so
 * what cannot be read is shown as nothing, and harms nobody else. */
#include "lib/region.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "io/address.h"
#include "lib/result.h"

#define RECORD_MAX   65536
#define DISTANCE_MAX 3600000 /* ms; an hour is on no globe */

/* ---- shared ---- */

bool region_name_is_valid(const char *name)
{
    return name && home_region_is_good(bytes_str(name));
}

int region_name_check(const char *name, struct tenure_error *err)
{
    if (region_name_is_valid(name))
        return 0;
    return error_set(err, TENURE_EINVALID,
                     "region: '%.80s' is no name of a region: expected a to z, 0 to 9 and dashes, at most %d",
                     name ? name : "", REGION_NAME_MAX);
}

int region_no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "region: out of memory");
}

int region_enter(tenure_client *c, struct tenure_error *err)
{
    return handle_enter_blocking(c, "region", err);
}

char *region_get_text(tenure_client *c, const char *key, int64_t *ret_mod, struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    if (tenure_get(c, tenure_str(key), NULL, &r, err) < 0)
        return NULL;
    char *text = r->n_kvs ? strndup(r->kvs[0].value.data, r->kvs[0].value.len) : strdup("");
    if (ret_mod)
        *ret_mod = r->n_kvs ? r->kvs[0].mod_revision : 0;
    tenure_get_free(r);
    if (!text)
        region_no_memory(err);
    return text;
}

/* ---- reading ---- */

struct block {
    struct tenure_region_list pub;
    struct arena arena;
};

static bool is_endpoint(const char *text)
{
    struct io_address a;
    return text && !strchr(text, ',') && io_address_parse(text, 2379, &a, NULL) == 0;
}

/* The endpoints with commas between; "" when one of them is none. */
static const char *read_endpoints(const json_t *list, struct arena *arena)
{
    const char *all = "";
    size_t i;
    json_t *one;
    json_array_foreach(list, i, one)
    {
        const char *text = json_string_value(one);
        if (!is_endpoint(text))
            return "";
        all = arena_printf(arena, "%s%s%s", all, i ? "," : "", text);
        if (!all)
            return NULL;
    }
    return all;
}

static bool read_distances(json_t *o, struct tenure_region *r, struct arena *arena)
{
    struct tenure_distance *all = arena_array(arena, json_object_size(o) + 1, sizeof *all);
    const char *name;
    json_t *ms;
    if (!all)
        return false;
    r->distances = all;
    json_object_foreach(o, name, ms)
    {
        json_int_t far = json_is_number(ms) ? (json_int_t)json_number_value(ms) : -1;
        if (!region_name_is_valid(name) || far < 0 || far > DISTANCE_MAX)
            continue;
        all[r->n_distances] = (struct tenure_distance){.region = arena_strdup(arena, name), .ms = far};
        if (!all[r->n_distances++].region)
            return false;
    }
    return true;
}

static bool read_record(const struct tenure_kv *kv, struct tenure_region *r, struct arena *arena)
{
    json_t *o =
        kv->value.len <= RECORD_MAX ? json_loadb(kv->value.data, kv->value.len, JSON_REJECT_DUPLICATES, NULL) : NULL;
    r->mod_revision = kv->mod_revision;
    r->endpoints = read_endpoints(json_object_get(o, "endpoints"), arena);
    bool ok = r->endpoints && read_distances(json_object_get(o, "distance"), r, arena);
    json_decref(o);
    return ok;
}

static bool read_all(struct block *b, const struct tenure_txn_result *t)
{
    const struct tenure_get_result *own = t->ops[0].get, *all = t->ops[1].get;
    struct tenure_region *to = arena_array(&b->arena, all->n_kvs + 1, sizeof *to);
    const char *name = own->n_kvs ? own->kvs[0].value.data : "";
    b->pub = (struct tenure_region_list){.revision = t->revision, .own = arena_strdup(&b->arena, name), .regions = to};
    if (!to || !b->pub.own)
        return false;
    for (size_t i = 0; i < all->n_kvs; i++) {
        struct tenure_region *r = &to[b->pub.n];
        bytes key = result_bytes_in(all->kvs[i].key);
        r->name = arena_strdup(&b->arena, (const char *)key.data + strlen(REGIONS_PREFIX));
        if (!r->name)
            return false;
        if (!region_name_is_valid(r->name))
            continue;
        r->own = strcmp(r->name, b->pub.own) == 0;
        if (!read_record(&all->kvs[i], r, &b->arena))
            return false;
        b->pub.n++;
    }
    return true;
}

struct tenure_region_list *tenure_region_list(tenure_client *c, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_get_options all = {.size = sizeof all, .prefix = true};
    struct tenure_txn_result *t = NULL;
    err = err ? err : &own;
    if (region_enter(c, err) < 0)
        return NULL;
    tenure_txn *txn = tenure_txn_new(c);
    tenure_then_get(txn, tenure_str(HOME_REGION_KEY), NULL);
    tenure_then_get(txn, tenure_str(REGIONS_PREFIX), &all);
    int rc = tenure_txn_commit(txn, 0, &t, err);
    tenure_txn_free(txn);
    if (rc < 0)
        return NULL;
    struct block *b = calloc(1, sizeof *b);
    if (b)
        arena_init(&b->arena, 0);
    if (!b || !read_all(b, t)) {
        region_no_memory(err);
        tenure_region_list_free(b ? &b->pub : NULL);
        b = NULL;
    }
    tenure_txn_result_free(t);
    return b ? &b->pub : NULL;
}

void tenure_region_list_free(struct tenure_region_list *r)
{
    struct block *b = r ? CONTAINER_OF(r, struct block, pub) : NULL;
    if (!b)
        return;
    arena_fini(&b->arena);
    free(b);
}

/* ---- writing ---- */

int tenure_region_init(tenure_client *c, const char *name, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_cas_result *r = NULL;
    err = err ? err : &own;
    int rc = region_enter(c, err);
    if (rc == 0)
        rc = region_name_check(name, err);
    if (rc == 0)
        rc = tenure_put_if(c, tenure_str(HOME_REGION_KEY), tenure_str(name), 0, NULL, &r, err);
    if (rc == 0 && r->outcome == TENURE_TXN_FAILED &&
        (!r->has_kv || !bytes_equal(result_bytes_in(r->kv.value), bytes_str(name))))
        rc = error_set(err, TENURE_EEXISTS, "region: this cluster is region '%.63s' already",
                       r->has_kv ? (const char *)r->kv.value.data : "");
    tenure_cas_free(r);
    return rc;
}

static json_t *endpoints_json(const char *text, struct tenure_error *err)
{
    json_t *list = json_array();
    char *copy = strdup(text), *rest = copy;
    while (rest) {
        char *one = strsep(&rest, ",");
        if (!is_endpoint(one)) {
            error_set(err, TENURE_EINVALID, "region: '%.80s' is no endpoint: expected http://HOST:PORT,…", one);
            json_decref(list);
            free(copy);
            return NULL;
        }
        json_array_append_new(list, json_string(one));
    }
    free(copy);
    if (!list)
        region_no_memory(err);
    return list;
}

static int record_of(const struct tenure_region *r, char **ret, struct tenure_error *err)
{
    json_t *o = json_object(), *list = endpoints_json(r->endpoints ? r->endpoints : "", err);
    json_t *far = json_object();
    int rc = list ? 0 : err->code;
    for (size_t i = 0; rc == 0 && i < r->n_distances; i++) {
        rc = region_name_check(r->distances[i].region, err);
        if (rc == 0 && (r->distances[i].ms < 0 || r->distances[i].ms > DISTANCE_MAX))
            rc = error_set(err, TENURE_EINVALID, "region: a distance that is not within 0 and an hour");
        if (rc == 0)
            json_object_set_new(far, r->distances[i].region, json_integer(r->distances[i].ms));
    }
    json_object_set_new(o, "endpoints", list);
    if (json_object_size(far) > 0)
        json_object_set(o, "distance", far);
    *ret = rc == 0 ? json_dumps(o, JSON_COMPACT) : NULL;
    json_decref(far);
    json_decref(o);
    return rc < 0 || *ret ? rc : region_no_memory(err);
}

int tenure_region_put(tenure_client *c, const struct tenure_region *region, struct tenure_error *err)
{
    struct tenure_error own = {0};
    char key[sizeof REGIONS_PREFIX + REGION_NAME_MAX], *value = NULL;
    err = err ? err : &own;
    int rc = region_enter(c, err);
    if (rc == 0 && !region)
        rc = error_set(err, TENURE_EINVALID, "region: none is given");
    if (rc == 0)
        rc = region_name_check(region->name, err);
    if (rc == 0)
        rc = record_of(region, &value, err);
    if (rc == 0) {
        snprintf(key, sizeof key, "%s%s", REGIONS_PREFIX, region->name);
        rc = tenure_put(c, tenure_str(key), tenure_str(value), NULL, NULL, err);
    }
    free(value);
    return rc;
}

/* A prefix that has its home there; "" = none, NULL with err filled. The caller frees. */
static char *home_there(tenure_client *c, const char *name, struct tenure_error *err)
{
    struct tenure_home_list *homes = tenure_home_list(c, err);
    char *found = NULL;
    if (!homes)
        return NULL;
    for (size_t i = 0; i < homes->n && !found; i++)
        if (strcmp(homes->homes[i].region, name) == 0)
            found = strdup(homes->homes[i].prefix);
    tenure_home_list_free(homes);
    if (!found && !(found = strdup("")))
        region_no_memory(err);
    return found;
}

int tenure_region_remove(tenure_client *c, const char *name, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_delete_result *r = NULL;
    char key[sizeof REGIONS_PREFIX + REGION_NAME_MAX];
    err = err ? err : &own;
    int rc = region_enter(c, err);
    if (rc == 0)
        rc = region_name_check(name, err);
    char *home = rc == 0 ? home_there(c, name, err) : NULL;
    if (rc == 0 && !home)
        rc = err->code;
    else if (rc == 0 && home[0])
        rc =
            error_set(err, TENURE_EBUSY, "region: '%s' is the home of '%.100s': promote another one first", name, home);
    free(home);
    if (rc < 0)
        return rc;
    snprintf(key, sizeof key, "%s%s", REGIONS_PREFIX, name);
    rc = tenure_delete(c, tenure_str(key), NULL, &r, err);
    if (rc == 0 && r->deleted == 0)
        rc = error_set(err, TENURE_ENOTFOUND, "region: there is no region '%s'", name);
    tenure_delete_free(r);
    return rc;
}
