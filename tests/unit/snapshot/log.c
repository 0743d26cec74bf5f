#include "log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void new_store(struct log_store *l)
{
    struct rng seed;
    struct store_config config = {.cluster_id = 11, .member_id = 0xabcdef, .member_name = "na\"me"};
    rng_init(&seed, 3);
    assert_int_equal(store_new(&config, &seed, &l->store), 0);
}

void log_store_init(struct log_store *l)
{
    *l = (struct log_store){.now = 1000};
    arena_init(&l->arena, 0);
    new_store(l);
    assert_int_equal(store_ready(l->store, l->now, NULL), 0);
    log_store_settle(l);
}

void log_store_fini(struct log_store *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->rows[i].data);
    free(l->rows);
    arena_fini(&l->arena);
    store_free(l->store);
}

static void keep(struct log_store *l, const struct record *r)
{
    if (l->n == l->cap) {
        l->cap = l->cap ? 2 * l->cap : 64;
        l->rows = realloc(l->rows, l->cap * sizeof *l->rows);
        assert_non_null(l->rows);
    }
    struct row *row = &l->rows[l->n++];
    *row = (struct row){.r = *r, .data = malloc(r->key.len + r->value.len + 1)};
    assert_non_null(row->data);
    if (r->key.len)
        memcpy(row->data, r->key.data, r->key.len);
    if (r->value.len)
        memcpy(row->data + r->key.len, r->value.data, r->value.len);
    row->r.key.data = row->data;
    row->r.value.data = row->data + r->key.len;
}

static void drop(struct log_store *l, tn_seq seq)
{
    for (size_t i = 0; i < l->n; i++) {
        if (l->rows[i].r.seq == seq) {
            assert_false(l->rows[i].deleted);
            l->rows[i].deleted = true;
            return;
        }
    }
    fail_msg("row %lld is not there", (long long)seq);
}

void log_store_settle(struct log_store *l)
{
    tn_seq seqs[64];
    size_t n;
    const struct record *rows;
    while ((rows = store_outbox(l->store, 100, &n)), n > 0) {
        for (size_t i = 0; i < n; i++)
            keep(l, &rows[i]);
        store_commit(l->store, rows[n - 1].seq);
    }
    while ((n = store_trim(l->store, ARRAY_LEN(seqs), seqs)) > 0) {
        for (size_t i = 0; i < n; i++)
            drop(l, seqs[i]);
    }
    arena_reset(&l->arena);
}

void log_put(struct log_store *l, const char *key, const char *value, tn_lease lease)
{
    struct put_req req = {.key = bytes_str(key), .value = bytes_str(value), .lease = lease};
    struct put_resp resp;
    tn_seq seq;
    assert_int_equal(store_put(l->store, &req, &l->arena, &resp, &seq), ETCD_OK);
    log_store_settle(l);
}

void log_delete(struct log_store *l, const char *key, const char *range_end)
{
    struct delete_req req = {.range = {.key = bytes_str(key), .range_end = bytes_str(range_end)}};
    struct delete_resp resp;
    tn_seq seq;
    assert_int_equal(store_delete(l->store, &req, &l->arena, &resp, &seq), ETCD_OK);
    log_store_settle(l);
}

void log_compact(struct log_store *l, tn_rev rev)
{
    struct compact_resp resp;
    tn_seq seq;
    assert_int_equal(store_compact(l->store, &(struct compact_req){.revision = rev}, &resp, &seq), ETCD_OK);
    log_store_settle(l);
}

tn_lease log_grant(struct log_store *l, tn_lease id, int64_t ttl_s)
{
    struct lease_grant_req req = {.id = id, .ttl_s = ttl_s};
    struct lease_grant_resp resp;
    tn_seq seq;
    assert_int_equal(store_lease_grant(l->store, &req, l->now, &resp, &seq), ETCD_OK);
    log_store_settle(l);
    return resp.id;
}

void log_revoke(struct log_store *l, tn_lease id)
{
    struct lease_revoke_resp resp;
    tn_seq seq;
    assert_int_equal(store_lease_revoke(l->store, &(struct lease_revoke_req){.id = id}, &resp, &seq), ETCD_OK);
    log_store_settle(l);
}

void log_expect_restart(struct log_store *l)
{
    struct log_store again = {.now = l->now};
    struct tenure_error err;
    new_store(&again);
    for (size_t i = 0; i < l->n; i++) {
        if (!l->rows[i].deleted && store_replay(again.store, &l->rows[i].r, &err) != 0)
            fail_msg("replay: %s", err.text);
    }
    if (store_ready(again.store, again.now, &err) != 0)
        fail_msg("ready: %s", err.text);
    assert_int_equal(store_digest(again.store), store_digest(l->store));
    store_free(again.store);
}

/* ---- out and in ---- */

static int append(void *user, uint64_t offset, bytes data, struct tenure_error *err)
{
    struct file *f = user;
    (void)err;
    if (f->bytes.len < offset + data.len) {
        size_t more = offset + data.len - f->bytes.len;
        assert_non_null(buf_reserve(&f->bytes, more));
        buf_added(&f->bytes, more);
    }
    memcpy(f->bytes.data + offset, data.data, data.len);
    return 0;
}

struct snapshot_summary log_export(const struct log_store *l, struct file *f)
{
    struct snapshot_export *x;
    struct snapshot_summary summary;
    struct tenure_error err;
    struct bolt_output out = {.write = append, .user = f};
    file_init(f);
    assert_int_equal(snapshot_export_new(&out, &(struct snapshot_facts){0}, &x), 0);
    for (size_t i = 0; i < l->n; i++) {
        if (!l->rows[i].deleted)
            assert_int_equal(snapshot_export_row(x, &l->rows[i].r, &err), 0);
    }
    assert_int_equal(snapshot_export_finish(x, &summary, &err), 0);
    snapshot_export_free(x);
    assert_int_equal(summary.bytes, f->bytes.len);
    return summary;
}

static int take(void *user, const struct record *r, struct tenure_error *err)
{
    struct log_store *l = user;
    keep(l, r);
    int rc = store_replay(l->store, r, err);
    if (rc)
        fail_msg("replay: %s", err->text);
    return rc;
}

struct snapshot_summary log_import(struct log_store *l, const struct file *f, tn_rev bump)
{
    struct bolt_file b;
    struct snapshot_summary summary;
    struct tenure_error err;
    struct snapshot_import_options options = {
        .cluster_id = 5, .member_id = 6, .member_name = bytes_str("new"), .bump = bump};
    *l = (struct log_store){.now = 1000};
    arena_init(&l->arena, 0);
    new_store(l);
    assert_int_equal(bolt_open(&b, buf_bytes(&f->bytes), &err), 0);
    if (bolt_check(&b, &err) != 0)
        fail_msg("check: %s", err.text);
    if (snapshot_import(&b, &options, take, l, &summary, &err) != 0)
        fail_msg("import: %s", err.text);
    if (store_ready(l->store, l->now, &err) != 0)
        fail_msg("ready: %s", err.text);
    return summary;
}
