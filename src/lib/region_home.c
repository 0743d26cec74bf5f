/* The homes of prefixes: their records, and the epoch within a token. */
#include "lib/region.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/result.h"
#include "recipes/home.h"

enum { TRIES_MAX = 16 }; /* that others may come between */

struct block {
    struct tenure_home_list pub;
    struct arena arena;
};

/* region "" and epoch 0 when it cannot be read. */
static bool read_record(bytes value, struct tenure_home *h, struct arena *arena)
{
    struct home read = {0};
    int rc = home_parse(value, &read);
    h->region = arena_strdup(arena, read.region);
    h->epoch = read.epoch;
    return h->region != NULL && rc != TENURE_ENOMEM;
}

static bool read_all(struct block *b, const struct tenure_get_result *r)
{
    struct tenure_home *to = arena_array(&b->arena, r->n_kvs + 1, sizeof *to);
    b->pub = (struct tenure_home_list){.revision = r->revision, .homes = to};
    for (size_t i = 0; to && i < r->n_kvs; i++) {
        struct tenure_home *h = &to[b->pub.n++];
        h->prefix = arena_strdup(&b->arena, (const char *)r->kvs[i].key.data + strlen(HOME_KEYS));
        h->mod_revision = r->kvs[i].mod_revision;
        if (!h->prefix || !read_record(result_bytes_in(r->kvs[i].value), h, &b->arena))
            return false;
    }
    return to != NULL;
}

struct tenure_home_list *tenure_home_list(tenure_client *c, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_get_options all = {.size = sizeof all, .prefix = true};
    struct tenure_get_result *r = NULL;
    err = err ? err : &own;
    if (region_enter(c, err) < 0 || tenure_get(c, tenure_str(HOME_KEYS "/"), &all, &r, err) < 0)
        return NULL;
    struct block *b = calloc(1, sizeof *b);
    if (b)
        arena_init(&b->arena, 0);
    if (!b || !read_all(b, r)) {
        region_no_memory(err);
        tenure_home_list_free(b ? &b->pub : NULL);
        b = NULL;
    }
    tenure_get_free(r);
    return b ? &b->pub : NULL;
}

void tenure_home_list_free(struct tenure_home_list *r)
{
    struct block *b = r ? CONTAINER_OF(r, struct block, pub) : NULL;
    if (!b)
        return;
    arena_fini(&b->arena);
    free(b);
}

const struct tenure_home *tenure_home_of(const struct tenure_home_list *r, const char *key)
{
    const struct tenure_home *best = NULL;
    for (size_t i = 0; r && key && i < r->n; i++) {
        const struct tenure_home *h = &r->homes[i];
        size_t len = strlen(h->prefix);
        if (strncmp(key, h->prefix, len) == 0 && (!best || len > strlen(best->prefix)))
            best = h;
    }
    return best;
}

/* ---- tokens ---- */

int64_t tenure_token_epoch(tenure_token token)
{
    return home_token_epoch(token);
}

int64_t tenure_token_revision(tenure_token token)
{
    return home_token_revision(token);
}

/* ---- writing ---- */

static int check(const char *prefix, const char *region, int64_t epoch, struct tenure_error *err)
{
    if (!prefix || !home_prefix_is_good(bytes_str(prefix)) || strlen(prefix) > REGION_HOME_MAX)
        return error_set(err, TENURE_EINVALID,
                         "home: '%.80s' is no prefix: expected a slash at both ends, at most %d bytes",
                         prefix ? prefix : "", REGION_HOME_MAX);
    if (epoch < 1 || epoch > TENURE_EPOCH_MAX)
        return error_set(err, TENURE_EINVALID, "home: %" PRId64 " is no epoch: expected 1 to %d", epoch,
                         TENURE_EPOCH_MAX);
    return region_name_check(region, err);
}

/* 1: others came between, try again. */
static int put_once(tenure_client *c, const char *key, const char *value, const struct tenure_home *now,
                    struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    struct tenure_cas_result *w = NULL;
    struct tenure_home was = {0};
    struct arena arena;
    int rc = tenure_get(c, tenure_str(key), NULL, &r, err);
    if (rc < 0)
        return rc;
    arena_init(&arena, 0);
    if (r->n_kvs && !read_record(result_bytes_in(r->kvs[0].value), &was, &arena))
        rc = region_no_memory(err);
    else if (was.epoch > now->epoch || (was.epoch == now->epoch && strcmp(was.region, now->region) != 0))
        rc = error_set(err, TENURE_ECONFLICT, "home: '%.80s' has its home in '%s' at epoch %" PRId64 " already",
                       now->prefix, was.region, was.epoch);
    else if (was.epoch < now->epoch)
        rc = tenure_put_if(c, tenure_str(key), tenure_str(value), r->n_kvs ? r->kvs[0].mod_revision : 0, NULL, &w, err);
    if (w && w->outcome == TENURE_TXN_FAILED)
        rc = 1;
    tenure_cas_free(w);
    arena_fini(&arena);
    tenure_get_free(r);
    return rc;
}

int tenure_home_put(tenure_client *c, const char *prefix, const char *region, int64_t epoch, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_home now = {.prefix = prefix, .region = region, .epoch = epoch};
    char key[sizeof HOME_KEYS + REGION_HOME_MAX], value[REGION_NAME_MAX + 64];
    err = err ? err : &own;
    int rc = region_enter(c, err);
    if (rc == 0)
        rc = check(prefix, region, epoch, err);
    if (rc < 0)
        return rc;
    snprintf(key, sizeof key, "%s%s", HOME_KEYS, prefix);
    snprintf(value, sizeof value, "{\"region\":\"%s\",\"epoch\":%" PRId64 "}", region, epoch);
    rc = 1;
    for (int tries = 0; rc == 1 && tries < TRIES_MAX; tries++)
        rc = put_once(c, key, value, &now, err);
    return rc == 1 ? error_set(err, TENURE_ECONFLICT, "home: '%.80s' is changed again and again", prefix) : rc;
}
