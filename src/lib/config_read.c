/* A configuration read once: all layers in one transaction of reads. */
#include "lib/config_read.h"

#include <stdlib.h>

#include "lib/config_list.h"
#include "lib/config_seal.h"
#include "lib/handle.h"
#include "lib/result.h"
#include "lib/view.h"

enum { KEYS_MAX = 100000, BYTES_MAX = 64 * 1024 * 1024 };

int config_enter(tenure_client *c, const char *what, const struct tenure_config_options *options,
                 struct tenure_config_options *ret_o, struct config_place *ret_place, struct tenure_error *err)
{
    tenure_client *root = c;
    view_of(&root); /* keys are read and written as the view has them */
    int rc = handle_enter_blocking(root, what, err);
    rc = rc < 0 ? rc : options_take(ret_o, sizeof *ret_o, options, what, err);
    if (rc == 0 && ret_o->timeout_ms < 0)
        rc = error_set(err, TENURE_EINVALID, "%s: a timeout of %lld ms", what, (long long)ret_o->timeout_ms);
    return rc < 0 ? rc : config_place_init(ret_place, ret_o, err);
}

/* ---- the answer, as the layers' runs ---- */

struct runs {
    struct config_run runs[CONFIG_RUNS_MAX];
    size_t n;
    struct kv *kvs;        /* of all */
    const struct kv **ptr; /* to them */
};

static int too_much(const struct tenure_txn_result *r, const struct tenure_config_options *o, size_t *ret_n,
                    struct tenure_error *err)
{
    size_t n = 0, size = 0;
    for (size_t i = 0; i < r->n_ops; i++)
        for (size_t j = 0; j < r->ops[i].get->n_kvs; j++, n++)
            size += r->ops[i].get->kvs[j].key.len + r->ops[i].get->kvs[j].value.len;
    *ret_n = n;
    if (n <= (o->keys_max ? o->keys_max : KEYS_MAX) && size <= (o->bytes_max ? o->bytes_max : BYTES_MAX))
        return 0;
    return error_set(err, TENURE_ELIMIT, "config: %zu keys of %zu bytes are more than keys_max, bytes_max", n, size);
}

static int runs_of(const struct tenure_txn_result *r, const struct config_part *parts, struct runs *ret, size_t n,
                   struct tenure_error *err)
{
    size_t at = 0;
    ret->kvs = calloc(n + 1, sizeof *ret->kvs);
    ret->ptr = calloc(n + 1, sizeof(struct kv *));
    if (!ret->kvs || !ret->ptr)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    for (size_t i = 0; i < r->n_ops; i++) {
        const struct tenure_get_result *get = r->ops[i].get;
        ret->runs[ret->n++] = (struct config_run){
            .layer = parts[i].layer, .skip = parts[i].root_len, .kvs = ret->ptr + at, .n = get->n_kvs};
        for (size_t j = 0; j < get->n_kvs; j++, at++) {
            ret->kvs[at] = (struct kv){.key = result_bytes_in(get->kvs[j].key),
                                       .value = result_bytes_in(get->kvs[j].value),
                                       .mod_revision = get->kvs[j].mod_revision};
            ret->ptr[at] = &ret->kvs[at];
        }
    }
    return 0;
}

static int list_of(const struct tenure_txn_result *r, const struct config_part *parts, size_t n_parts,
                   const struct tenure_config_options *o, const struct config_seal *seal,
                   struct tenure_config_list **ret, struct tenure_error *err)
{
    struct runs runs = {.n = 0};
    size_t n = 0;
    if (r->n_ops != n_parts)
        return error_set(err, TENURE_EPROTOCOL, "config: the answer has not as many parts as the question");
    int rc = too_much(r, o, &n, err);
    rc = rc ? rc : runs_of(r, parts, &runs, n, err);
    if (rc == 0) {
        *ret = config_list_merge(NULL, o->revision > 0 ? o->revision : r->revision, runs.runs, runs.n, seal);
        rc = *ret ? 0 : error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    free(runs.kvs);
    free(runs.ptr);
    return rc;
}

/* ---- the question ---- */

int config_read(tenure_client *c, const char *keys, struct config_place *place, const struct tenure_config_options *o,
                struct tenure_config_list **ret, struct tenure_error *err)
{
    struct config_part parts[CONFIG_PARTS_MAX];
    struct tenure_txn_result *r = NULL;
    struct config_seal *seal = NULL;
    int rc = config_seal_load(o->key_file, &seal, err);
    if (rc)
        return rc;
    size_t n = config_place_parts(place, keys, o->layers, parts);
    tenure_txn *t = n ? tenure_txn_new(c) : NULL;
    for (size_t i = 0; i < n; i++) {
        struct tenure_get_options get = {
            .size = sizeof get, .revision = o->revision, .range_end = tenure_str(parts[i].range_end)};
        tenure_then_get(t, tenure_str(parts[i].key), &get);
    }
    rc = t ? tenure_txn_commit(t, o->timeout_ms, &r, err) : error_set(err, TENURE_ENOMEM, "config: out of memory");
    rc = rc ? rc : list_of(r, parts, n, o, seal, ret, err);
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    config_seal_close(seal);
    return rc;
}

static bool no_layer(const struct config_place *p, unsigned layers)
{
    for (int l = 0; l < TENURE_CONFIG_LAYERS; l++)
        if (config_place_reads(p, (enum tenure_config_layer)l, layers))
            return false;
    return true;
}

int tenure_config_read(tenure_client *c, const char *keys, const struct tenure_config_options *options,
                       struct tenure_config_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_options o;
    struct config_place place = {0};
    err = err ? err : &own;
    int rc = ret ? config_enter(c, "config", options, &o, &place, err)
                 : error_set(err, TENURE_EINVALID, "config: there is nowhere to put the list");
    rc = rc ? rc : config_keys_check(keys, err);
    if (rc == 0 && o.revision < 0)
        rc = error_set(err, TENURE_EINVALID, "config: the revision is negative");
    if (rc == 0 && no_layer(&place, o.layers))
        rc = error_set(err, TENURE_EINVALID, "config: none of the layers that are to be read has a name");
    rc = rc ? rc : config_read(c, keys, &place, &o, ret, err);
    config_place_fini(&place);
    return rc;
}

char *tenure_config_get(tenure_client *c, const char *key, const char *fallback, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_config_list *list = NULL;
    err = err ? err : &own;
    error_clear(err);
    int rc = config_key_check(key, err);
    rc = rc ? rc : tenure_config_read(c, key, NULL, &list, err);
    const struct tenure_config_entry *e = rc ? NULL : tenure_config_find(list, key);
    char *value = config_text(e, fallback, err);
    tenure_config_list_free(list);
    return value;
}
