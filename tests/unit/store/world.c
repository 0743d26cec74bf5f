#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "tenure/error.h"

static const struct store_config default_config = {.cluster_id = 0xc1, .member_id = 0xe1, .member_name = "m1"};

static struct store *store_make(const struct store_config *config)
{
    struct rng rng;
    struct store *s = NULL;
    rng_init(&rng, 7);
    assert_int_equal(store_new(config, &rng, &s), 0);
    return s;
}

void world_open(struct world *w, const struct store_config *config)
{
    memset(w, 0, sizeof *w);
    w->config = config ? *config : default_config;
    w->now = 1000;
    arena_init(&w->a, 0);
    w->s = store_make(&w->config);
    assert_int_equal(store_ready(w->s, w->now, NULL), 0);
    world_commit(w);
}

static void log_free(struct world *w)
{
    for (size_t i = 0; i < w->log_len; i++) {
        free((void *)w->log[i].record.key.data);
        free((void *)w->log[i].record.value.data);
    }
    free(w->log);
}

void world_close(struct world *w)
{
    store_free(w->s);
    arena_fini(&w->a);
    log_free(w);
}

static bytes copy_of(bytes b)
{
    uint8_t *data = malloc(b.len + 1);
    assert_non_null(data);
    if (b.len)
        memcpy(data, b.data, b.len);
    return bytes_of(data, b.len);
}

static void log_append(struct world *w, const struct record *r)
{
    if (w->log_len == w->log_cap) {
        w->log_cap = w->log_cap ? 2 * w->log_cap : 256;
        w->log = realloc(w->log, w->log_cap * sizeof *w->log);
        assert_non_null(w->log);
    }
    struct world_row *row = &w->log[w->log_len++];
    row->record = *r;
    row->record.key = copy_of(r->key);
    row->record.value = copy_of(r->value);
    row->deleted = false;
}

size_t world_commit_some(struct world *w, size_t max)
{
    size_t n = 0;
    const struct record *rows = store_outbox(w->s, max, &n);
    if (n == 0)
        return 0;
    assert_true(rows[n - 1].last_of_command);
    for (size_t i = 0; i < n; i++)
        log_append(w, &rows[i]);
    store_commit(w->s, rows[n - 1].seq);
    return n;
}

void world_commit(struct world *w)
{
    while (world_commit_some(w, 1000) > 0)
        ;
    assert_true(store_outbox_empty(w->s));
}

struct record *world_row(struct world *w, tn_seq seq)
{
    for (size_t i = 0; i < w->log_len; i++) {
        if (w->log[i].record.seq == seq && !w->log[i].deleted)
            return &w->log[i].record;
    }
    return NULL;
}

void world_delete_row(struct world *w, tn_seq seq)
{
    for (size_t i = 0; i < w->log_len; i++) {
        if (w->log[i].record.seq != seq)
            continue;
        assert_false(w->log[i].deleted);
        w->log[i].deleted = true;
        return;
    }
    fail_msg("row %lld is not in the log", (long long)seq);
}

size_t world_trim(struct world *w, size_t max)
{
    tn_seq seqs[256];
    assert_true(max <= ARRAY_LEN(seqs));
    bool pending = store_trim_pending(w->s);
    size_t n = store_trim(w->s, max, seqs);
    assert_int_equal(n > 0, pending && max > 0);
    for (size_t i = 0; i < n; i++)
        world_delete_row(w, seqs[i]);
    return n;
}

void world_trim_all(struct world *w)
{
    while (world_trim(w, 7) > 0)
        ;
}

int world_replay(const struct world *w, struct store **ret, struct tenure_error *err)
{
    struct store *s = store_make(&w->config);
    int rc = 0;
    for (size_t i = 0; !rc && i < w->log_len; i++) {
        if (!w->log[i].deleted)
            rc = store_replay(s, &w->log[i].record, err);
    }
    if (!rc)
        rc = store_ready(s, w->now, err);
    if (rc)
        store_free(s);
    else
        *ret = s;
    return rc;
}

void world_restart(struct world *w)
{
    struct tenure_error err = {0};
    w->s = store_free(w->s);
    if (world_replay(w, &w->s, &err) != 0)
        fail_msg("replay: %s", err.text);
}

/* ---- commands ---- */

tn_rev put_lease(struct world *w, const char *key, const char *value, tn_lease lease)
{
    struct put_req req = {.key = bytes_str(key), .value = bytes_str(value), .lease = lease};
    struct put_resp resp;
    assert_int_equal(store_put(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    return resp.revision;
}

tn_rev put(struct world *w, const char *key, const char *value)
{
    return put_lease(w, key, value, 0);
}

struct key_range range_of(const char *key, const char *range_end)
{
    struct key_range r = {.key = bytes_str(key)};
    if (range_end == WORLD_FROM)
        r.range_end = bytes_of("", 1);
    else if (range_end)
        r.range_end = bytes_str(range_end);
    return r;
}

int64_t del(struct world *w, const char *key, const char *range_end)
{
    struct delete_req req = {.range = range_of(key, range_end)};
    struct delete_resp resp;
    assert_int_equal(store_delete(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    return resp.deleted;
}

void compact(struct world *w, tn_rev revision)
{
    struct compact_req req = {.revision = revision};
    struct compact_resp resp;
    assert_int_equal(store_compact(w->s, &req, &resp, &w->seq), ETCD_OK);
}

void grant(struct world *w, tn_lease id, int64_t ttl_s)
{
    struct lease_grant_req req = {.id = id, .ttl_s = ttl_s};
    struct lease_grant_resp resp;
    assert_int_equal(store_lease_grant(w->s, &req, w->now, &resp, &w->seq), ETCD_OK);
}

void revoke(struct world *w, tn_lease id)
{
    struct lease_revoke_req req = {.id = id};
    struct lease_revoke_resp resp;
    assert_int_equal(store_lease_revoke(w->s, &req, &resp, &w->seq), ETCD_OK);
}

static const char *keep(struct world *w, struct buf *text)
{
    buf_append_byte(text, 0);
    assert_int_equal(buf_error(text), 0);
    const char *copy = arena_strdup(&w->a, (const char *)text->data);
    assert_non_null(copy);
    buf_fini(text);
    return copy;
}

const char *read_text(struct world *w, const struct range_req *req)
{
    struct range_resp resp;
    struct buf text;
    buf_init(&text);
    enum etcd_error e = store_range(w->s, req, &w->a, &resp);
    if (e)
        buf_printf(&text, "<%s>", etcd_error_text(e));
    for (size_t i = 0; !e && i < resp.n_kvs; i++) {
        const struct kv *kv = &resp.kvs[i];
        buf_printf(&text, "%s%.*s=%.*s", i ? " " : "", (int)kv->key.len, (const char *)kv->key.data, (int)kv->value.len,
                   (const char *)kv->value.data);
    }
    return keep(w, &text);
}

const char *get(struct world *w, const char *key, const char *range_end, tn_rev revision)
{
    return read_text(w, &(struct range_req){.range = range_of(key, range_end), .revision = revision});
}

/* ---- watches ---- */

struct store_watcher *watch(struct world *w, const char *key, const char *range_end, tn_rev start, const char *name)
{
    struct watch_create_req req = {.range = range_of(key, range_end), .start_revision = start};
    struct store_watcher *watcher = NULL;
    assert_int_equal(store_watch_add(w->s, &req, (void *)name, &watcher), ETCD_OK);
    return watcher;
}

static void batch_text(struct buf *text, const struct store_watch_batch *b)
{
    buf_printf(text, "%s%s:", text->len ? "; " : "", (const char *)b->user);
    if (b->compacted)
        buf_printf(text, " COMPACTED %lld", (long long)b->compact_revision);
    for (size_t i = 0; i < b->n_events; i++) {
        const struct event *e = &b->events[i];
        buf_printf(text, " %s %.*s", e->type == EVENT_PUT ? "PUT" : "DEL", (int)e->kv.key.len,
                   (const char *)e->kv.key.data);
        if (e->type == EVENT_PUT)
            buf_printf(text, "=%.*s", (int)e->kv.value.len, (const char *)e->kv.value.data);
        buf_printf(text, "@%lld", (long long)e->kv.mod_revision);
        if (e->has_prev_kv)
            buf_printf(text, "(%.*s@%lld)", (int)e->prev_kv.value.len, (const char *)e->prev_kv.value.data,
                       (long long)e->prev_kv.mod_revision);
    }
}

const char *drain_by(struct world *w, size_t events_max)
{
    struct store_watch_batch b;
    struct buf text;
    buf_init(&text);
    do {
        while (store_watch_next(w->s, events_max, &b))
            batch_text(&text, &b);
    } while (store_watch_pending(w->s));
    return keep(w, &text);
}

const char *drain(struct world *w)
{
    return drain_by(w, 1000);
}

const char *next_batch(struct world *w, size_t events_max)
{
    struct store_watch_batch b;
    struct buf text;
    buf_init(&text);
    if (store_watch_next(w->s, events_max, &b))
        batch_text(&text, &b);
    return keep(w, &text);
}
