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
    h->authority = read.authority;
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

/* How long the authority still lives whose place stands there. */
static int refuse_busy(tenure_client *c, const struct tenure_home *now, const struct tenure_kv *place,
                       struct tenure_error *err)
{
    struct tenure_lease_info *lease = NULL;
    struct home_word w = {.ttl_s = 0};
    if (place->lease && tenure_lease_ttl(c, place->lease, false, &lease, err) < 0)
        return err->code;
    if (home_word_parse(result_bytes_in(place->value), &w))
        snprintf(w.home.region, sizeof w.home.region, "?");
    int rc =
        error_set(err, TENURE_EBUSY,
                  "home: the authority of '%s' (epoch %" PRId64 ") over '%.80s' lives for %" PRId64 " more seconds",
                  w.home.region, w.home.epoch, now->prefix, lease && lease->ttl_s > 0 ? lease->ttl_s : 1);
    tenure_lease_info_free(lease);
    return rc;
}

struct home_write {
    const struct tenure_home *now;
    char key[sizeof HOME_KEYS + REGION_HOME_MAX], place[sizeof HOME_AUTHORITY_KEYS + REGION_HOME_MAX];
    char value[REGION_NAME_MAX + 64];
    bool if_free;
};

static int look(tenure_client *c, const struct home_write *w, struct tenure_txn_result **ret, struct tenure_error *err)
{
    tenure_txn *t = tenure_txn_new(c);
    tenure_then_get(t, tenure_str(w->key), NULL);
    if (w->if_free)
        tenure_then_get(t, tenure_str(w->place), NULL);
    int rc = tenure_txn_commit(t, 0, ret, err);
    tenure_txn_free(t);
    return rc;
}

/* 1: others came between. */
static int write_it(tenure_client *c, const struct home_write *w, int64_t mod, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(c);
    tenure_txn_exact(t, true);
    tenure_if_mod_revision(t, tenure_str(w->key), TENURE_EQ, mod);
    if (w->if_free)
        tenure_if_create_revision(t, tenure_str(w->place), TENURE_EQ, 0);
    tenure_then_put(t, tenure_str(w->key), tenure_str(w->value), 0);
    int rc = tenure_txn_commit(t, 0, &r, err);
    tenure_txn_free(t);
    if (rc == 0 && r->outcome == TENURE_TXN_FAILED)
        rc = 1;
    tenure_txn_result_free(r);
    return rc;
}

/* 1: others came between, try again. */
static int put_once(tenure_client *c, const struct home_write *w, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    struct tenure_home was = {0};
    struct arena arena;
    int rc = look(c, w, &r, err);
    if (rc < 0)
        return rc;
    const struct tenure_get_result *record = r->ops[0].get, *place = w->if_free ? r->ops[1].get : NULL;
    arena_init(&arena, 0);
    if (record->n_kvs && !read_record(result_bytes_in(record->kvs[0].value), &was, &arena))
        rc = region_no_memory(err);
    else if (was.epoch > w->now->epoch || (was.epoch == w->now->epoch && strcmp(was.region, w->now->region) != 0))
        rc = error_set(err, TENURE_ECONFLICT, "home: '%.80s' has its home in '%s' at epoch %" PRId64 " already",
                       w->now->prefix, was.region, was.epoch);
    else if (place && place->n_kvs)
        rc = refuse_busy(c, w->now, &place->kvs[0], err);
    else if (was.epoch < w->now->epoch)
        rc = write_it(c, w, record->n_kvs ? record->kvs[0].mod_revision : 0, err);
    arena_fini(&arena);
    tenure_txn_result_free(r);
    return rc;
}

int tenure_home_write(tenure_client *c, const struct tenure_home *home, bool if_free, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct home_write w = {.now = home, .if_free = if_free};
    err = err ? err : &own;
    int rc = region_enter(c, err);
    if (rc == 0 && !home)
        rc = error_set(err, TENURE_EINVALID, "home: none is given");
    if (rc == 0)
        rc = check(home->prefix, home->region, home->epoch, err);
    if (rc < 0)
        return rc;
    snprintf(w.key, sizeof w.key, "%s%s", HOME_KEYS, home->prefix);
    snprintf(w.place, sizeof w.place, "%s%s", HOME_AUTHORITY_KEYS, home->prefix);
    snprintf(w.value, sizeof w.value, "{\"region\":\"%s\",\"epoch\":%" PRId64 "%s}", home->region, home->epoch,
             home->authority ? ",\"authority\":true" : "");
    rc = 1;
    for (int tries = 0; rc == 1 && tries < TRIES_MAX; tries++)
        rc = put_once(c, &w, err);
    return rc == 1 ? error_set(err, TENURE_ECONFLICT, "home: '%.80s' is changed again and again", home->prefix) : rc;
}

int tenure_home_put(tenure_client *c, const char *prefix, const char *region, int64_t epoch, struct tenure_error *err)
{
    struct tenure_home home = {.prefix = prefix, .region = region, .epoch = epoch};
    return tenure_home_write(c, &home, false, err);
}
