/* The two steps that change keys: a put and a tombstone. Each first gets all memory that it needs, then makes the
 * version, installs it and adds the row.
 */
#include <stdlib.h>

#include "store/internal.h"

static struct record version_row(const struct version *v)
{
    return (struct record){
        .kind = RECORD_KV,
        .tombstone = version_is_tombstone(v),
        .main = v->main,
        .sub = v->sub,
        .key = v->key->item.key,
        .value = version_value(v),
        .create_revision = v->create_revision,
        .version = v->version,
        .lease = v->lease,
    };
}

/* The step that cannot fail: room was reserved. */
static void version_plan(struct store *s, struct key *k, struct version *v)
{
    v->main = command_revision(s);
    v->sub = s->command_subs;
    v->seq = s->seq + 1;
    version_install(s, k, v);
    command_add(s, (struct planned){.version = v}, version_row(v));
}

/* A key without versions is not left behind. */
static void key_give_up(struct store *s, struct key *k)
{
    if (k && key_len(k) == 0)
        store_key_remove(s, k);
}

enum etcd_error write_version(struct store *s, struct key *k, bytes name, struct version *v)
{
    if (!k)
        k = store_key_add(s, name);
    if (!k || install_reserve(s, k) != 0 || command_reserve(s) != 0) {
        key_give_up(s, k);
        free(v);
        return ETCD_OUT_OF_MEMORY;
    }
    version_plan(s, k, v);
    return ETCD_OK;
}

static enum etcd_error put_version(struct store *s, struct key *k, bytes name, struct version *v)
{
    struct version *before = k ? key_newest(k) : NULL;
    bool create = !before || version_is_tombstone(before);
    v->create_revision = create ? command_revision(s) : before->create_revision;
    v->version = create ? 1 : before->version + 1;
    return write_version(s, k, name, v);
}

enum etcd_error write_put(struct store *s, const struct put_req *req, struct put_resp *ret)
{
    struct key *k = store_key_find(s, req->key);
    struct version *before = k ? key_live_at(k, INT64_MAX) : NULL;
    bytes value = req->ignore_value && before ? version_value(before) : req->value;
    struct version *v = version_new(value);
    if (!v)
        return ETCD_OUT_OF_MEMORY;
    v->lease = req->ignore_lease && before ? before->lease : req->lease;
    struct put_resp resp = {.has_prev_kv = req->prev_kv && before};
    if (resp.has_prev_kv)
        resp.prev_kv = version_kv(before);
    enum etcd_error e = put_version(s, k, req->key, v);
    if (e)
        return e;
    s->counts.puts++;
    s->counts.put_bytes += req->key.len + value.len;
    resp.revision = command_sees(s);
    *ret = resp;
    return ETCD_OK;
}

enum etcd_error write_check(const struct store *s, const struct put_req *req)
{
    if (req->value.len > UINT32_MAX || req->key.len > UINT32_MAX)
        return ETCD_REQUEST_TOO_LARGE;
    if (req->lease != 0 && !lease_find(&s->leases, req->lease))
        return ETCD_LEASE_NOT_FOUND;
    if (!req->ignore_value && !req->ignore_lease)
        return ETCD_OK;
    struct key *k = store_key_find(s, req->key);
    return k && key_live_at(k, INT64_MAX) ? ETCD_OK : ETCD_KEY_NOT_FOUND;
}

enum etcd_error write_tombstone(struct store *s, struct key *k)
{
    struct version *v = version_new(bytes_of(NULL, 0));
    if (!v)
        return ETCD_OUT_OF_MEMORY;
    if (install_reserve(s, k) != 0 || command_reserve(s) != 0) {
        free(v);
        return ETCD_OUT_OF_MEMORY;
    }
    version_plan(s, k, v);
    return ETCD_OK;
}

/* The live versions in the range, in s->scratch. */
static enum etcd_error delete_collect(struct store *s, struct key_range range, size_t *ret_n)
{
    size_t n = 0;
    struct scan scan;
    for (struct key *k = scan_first(s, &scan, range, INT64_MAX); k; k = scan_next(&scan)) {
        struct version *v = key_live_at(k, INT64_MAX);
        if (!v)
            continue;
        if (scratch_reserve(s, n + 1) != 0)
            return ETCD_OUT_OF_MEMORY;
        s->scratch[n++] = v;
    }
    *ret_n = n;
    return ETCD_OK;
}

static enum etcd_error delete_describe(struct store *s, size_t n, struct arena *a, struct delete_resp *ret)
{
    ret->prev_kvs = arena_array(a, n, sizeof *ret->prev_kvs);
    if (!ret->prev_kvs)
        return ETCD_OUT_OF_MEMORY;
    for (size_t i = 0; i < n; i++)
        ret->prev_kvs[i] = version_kv(s->scratch[i]);
    ret->n_prev_kvs = n;
    return ETCD_OK;
}

enum etcd_error write_delete(struct store *s, const struct delete_req *req, struct arena *a, struct delete_resp *ret)
{
    size_t n = 0;
    struct delete_resp resp = {0};
    enum etcd_error e = delete_collect(s, req->range, &n);
    if (!e && req->prev_kv)
        e = delete_describe(s, n, a, &resp);
    for (size_t i = 0; !e && i < n; i++)
        e = write_tombstone(s, s->scratch[i]->key);
    scratch_release(s);
    if (e)
        return e;
    s->counts.deletes++;
    resp.deleted = (int64_t)n;
    resp.revision = command_sees(s);
    *ret = resp;
    return ETCD_OK;
}
