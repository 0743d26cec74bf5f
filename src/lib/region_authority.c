/* The places of authorities in a cluster, as they stand. */
#include <stdlib.h>

#include "lib/region.h"
#include "lib/result.h"

struct block {
    struct tenure_authority_list pub;
    struct arena arena;
};

static int left_of(tenure_client *c, int64_t lease, int64_t *ret_ms, struct tenure_error *err)
{
    struct tenure_lease_info *info = NULL;
    *ret_ms = 0;
    if (lease == 0)
        return 0;
    int rc = tenure_lease_ttl(c, lease, false, &info, err);
    if (rc == 0 && info->ttl_s > 0)
        *ret_ms = info->ttl_s * 1000;
    tenure_lease_info_free(info);
    return rc;
}

static int read_all(struct block *b, tenure_client *c, const struct tenure_get_result *r, struct tenure_error *err)
{
    struct tenure_authority *to = arena_array(&b->arena, r->n_kvs + 1, sizeof *to);
    b->pub = (struct tenure_authority_list){.revision = r->revision, .places = to};
    int rc = to ? 0 : region_no_memory(err);
    for (size_t i = 0; rc == 0 && i < r->n_kvs; i++) {
        struct home_word w = {.ttl_s = 0};
        struct tenure_authority *a = &to[b->pub.n++];
        int parsed = home_word_parse(result_bytes_in(r->kvs[i].value), &w);
        a->prefix = arena_strdup(&b->arena, (const char *)r->kvs[i].key.data + strlen(HOME_AUTHORITY_KEYS));
        a->region = arena_strdup(&b->arena, w.home.region);
        a->epoch = w.home.epoch;
        rc = parsed == TENURE_ENOMEM || !a->prefix || !a->region ? region_no_memory(err)
                                                                 : left_of(c, r->kvs[i].lease, &a->left_ms, err);
    }
    return rc;
}

struct tenure_authority_list *tenure_authority_list(tenure_client *c, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_get_options all = {.size = sizeof all, .prefix = true};
    struct tenure_get_result *r = NULL;
    err = err ? err : &own;
    if (region_enter(c, err) < 0 || tenure_get(c, tenure_str(HOME_AUTHORITY_KEYS "/"), &all, &r, err) < 0)
        return NULL;
    struct block *b = calloc(1, sizeof *b);
    if (b)
        arena_init(&b->arena, 0);
    if (!b)
        region_no_memory(err);
    else if (read_all(b, c, r, err) < 0) {
        tenure_authority_list_free(&b->pub);
        b = NULL;
    }
    tenure_get_free(r);
    return b ? &b->pub : NULL;
}

void tenure_authority_list_free(struct tenure_authority_list *r)
{
    struct block *b = r ? CONTAINER_OF(r, struct block, pub) : NULL;
    if (!b)
        return;
    arena_fini(&b->arena);
    free(b);
}
