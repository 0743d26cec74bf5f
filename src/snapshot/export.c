/* See export.h. `key` is open from the first row to the last; the other buckets are written at the end. */
#include "snapshot/export.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/btree.h"
#include "base/map.h"
#include "snapshot/schema.h"

/* Something that is kept until the end, by its key in etcd's bucket. */
struct kept {
    struct btree_item item;
    size_t value_len;
    uint8_t data[]; /* key, value */
};

struct snapshot_export {
    struct snapshot_facts facts;
    struct bolt_writer *writer;
    struct btree leases, users, roles, alarms;
    bool auth_enabled;
    uint64_t auth_revision;
    uint64_t member_id;
    struct buf member_name, peer_urls; /* peer_urls: each with a 0 behind it */
    tn_seq seq;
    tn_rev revision, compacted;
    int64_t rows;
    struct buf value;
};

/* ---- what is kept ---- */

static void kept_drop(struct btree *t, bytes key)
{
    struct btree_item *item = btree_remove(t, key);
    if (item)
        free(CONTAINER_OF(item, struct kept, item));
}

static int kept_put(struct btree *t, bytes key, bytes value)
{
    kept_drop(t, key);
    struct kept *k = malloc(sizeof *k + key.len + value.len);
    if (!k)
        return TENURE_ENOMEM;
    if (key.len)
        memcpy(k->data, key.data, key.len);
    if (value.len)
        memcpy(k->data + key.len, value.data, value.len);
    k->item.key = bytes_of(k->data, key.len);
    k->value_len = value.len;
    int rc = btree_insert(t, &k->item);
    if (rc)
        free(k);
    return rc;
}

static void kept_free(struct btree *t)
{
    struct btree_cursor c;
    struct btree_item *item = btree_seek(t, bytes_of(NULL, 0), &c);
    while (item) {
        struct kept *k = CONTAINER_OF(item, struct kept, item);
        item = btree_next(&c);
        free(k);
    }
    btree_fini(t);
}

/* ---- rows ---- */

static int add_kv(struct snapshot_export *x, const struct record *r)
{
    uint8_t key[SCHEMA_REV_MAX];
    struct schema_rev rev = {r->main, r->sub, r->tombstone};
    struct kv kv = {
        .key = r->key,
        .value = r->value,
        .create_revision = r->create_revision,
        .mod_revision = r->tombstone ? 0 : r->main, /* etcd writes nothing but the key of what is deleted */
        .version = r->version,
        .lease = r->lease,
    };
    buf_reset(&x->value);
    schema_kv_encode(&kv, &x->value);
    if (buf_error(&x->value))
        return TENURE_ENOMEM;
    bolt_put(x->writer, bytes_of(key, schema_rev_encode(rev, key)), buf_bytes(&x->value));
    x->rows++;
    return bolt_writer_error(x->writer);
}

static int add_lease(struct snapshot_export *x, const struct record *r)
{
    uint8_t key[8];
    schema_put_u64(key, (uint64_t)r->lease);
    if (r->kind == RECORD_LEASE_REVOKE) {
        kept_drop(&x->leases, bytes_of(key, sizeof key));
        return 0;
    }
    struct schema_lease lease = {r->lease, r->version};
    buf_reset(&x->value);
    schema_lease_encode(&lease, &x->value);
    return buf_error(&x->value) ? TENURE_ENOMEM : kept_put(&x->leases, bytes_of(key, sizeof key), buf_bytes(&x->value));
}

static int add_identity(struct snapshot_export *x, const struct record *r)
{
    x->member_id = (uint64_t)r->lease;
    buf_reset(&x->member_name);
    buf_append_bytes(&x->member_name, r->key);
    return buf_error(&x->member_name) ? TENURE_ENOMEM : 0;
}

static int add_auth(struct snapshot_export *x, const struct record *r)
{
    struct btree *t = r->kind == RECORD_AUTH_USER ? &x->users : &x->roles;
    x->auth_revision = (uint64_t)r->version;
    if (r->kind == RECORD_AUTH_SWITCH)
        x->auth_enabled = r->sub != 0;
    else if (r->tombstone)
        kept_drop(t, r->key);
    else
        return kept_put(t, r->key, r->value);
    return 0;
}

static int add_alarm(struct snapshot_export *x, const struct record *r)
{
    struct schema_alarm alarm = {(uint64_t)r->lease, r->version};
    buf_reset(&x->value);
    schema_alarm_encode(&alarm, &x->value);
    if (buf_error(&x->value))
        return TENURE_ENOMEM;
    if (!r->tombstone)
        return kept_put(&x->alarms, buf_bytes(&x->value), bytes_of(NULL, 0));
    kept_drop(&x->alarms, buf_bytes(&x->value));
    return 0;
}

static int add_row(struct snapshot_export *x, const struct record *r)
{
    switch (r->kind) {
    case RECORD_KV:
        return add_kv(x, r);
    case RECORD_LEASE_GRANT:
    case RECORD_LEASE_REVOKE:
        return add_lease(x, r);
    case RECORD_COMPACT:
        x->compacted = r->main;
        return 0;
    case RECORD_IDENTITY:
        return add_identity(x, r);
    case RECORD_AUTH_SWITCH:
    case RECORD_AUTH_USER:
    case RECORD_AUTH_ROLE:
        return add_auth(x, r);
    case RECORD_ALARM:
        return add_alarm(x, r);
    case RECORD_PEER_URLS:
        buf_reset(&x->peer_urls);
        buf_append_bytes(&x->peer_urls, r->value);
        return buf_error(&x->peer_urls) ? TENURE_ENOMEM : 0;
    }
    return TENURE_EVERSION;
}

int snapshot_export_row(struct snapshot_export *x, const struct record *r, struct tenure_error *err)
{
    if (r->seq <= x->seq)
        return error_set(err, TENURE_ECORRUPT, "snapshot: log row %" PRId64 " is out of order", r->seq);
    int rc = add_row(x, r);
    if (rc == TENURE_EVERSION)
        return error_set(err, rc, "snapshot: log row %" PRId64 " is of a kind that is not known", r->seq);
    if (rc)
        return error_set(err, rc, "snapshot: log row %" PRId64 " cannot be written: %s", r->seq,
                         tenure_error_string(rc));
    x->seq = r->seq;
    if (x->revision < r->main)
        x->revision = r->main;
    return 0;
}

/* ---- the other buckets ---- */

static void put_text(struct snapshot_export *x, const char *key, bytes value)
{
    bolt_put(x->writer, bytes_str(key), value);
}

static void put_u64(struct snapshot_export *x, const char *key, uint64_t v)
{
    uint8_t value[8];
    schema_put_u64(value, v);
    put_text(x, key, bytes_of(value, sizeof value));
}

static void put_revision(struct snapshot_export *x, const char *key, tn_rev main)
{
    uint8_t value[SCHEMA_REV_MAX];
    put_text(x, key, bytes_of(value, schema_rev_encode((struct schema_rev){.main = main}, value)));
}

static void write_kept(struct snapshot_export *x, const char *bucket, const struct btree *t)
{
    struct btree_cursor c;
    bolt_bucket_begin(x->writer, bytes_str(bucket));
    for (struct btree_item *i = btree_seek(t, bytes_of(NULL, 0), &c); i; i = btree_next(&c)) {
        const struct kept *k = CONTAINER_OF(i, struct kept, item);
        bolt_put(x->writer, i->key, bytes_of(k->data + i->key.len, k->value_len));
    }
    bolt_bucket_end(x->writer);
}

static void write_auth(struct snapshot_export *x)
{
    uint8_t enabled = x->auth_enabled;
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_AUTH));
    if (x->auth_revision) {
        put_text(x, "authEnabled", bytes_of(&enabled, 1));
        put_u64(x, "authRevision", x->auth_revision);
    }
    bolt_bucket_end(x->writer);
    write_kept(x, SCHEMA_AUTH_USERS, &x->users);
    write_kept(x, SCHEMA_AUTH_ROLES, &x->roles);
}

/* The compaction counts as finished: rows that it left behind are outside of every read and hash, and the next one takes them
 * along; an etcd that is older than 3.5.14 learns the revision from here only, where the newest rows were deleted. */
static void write_meta(struct snapshot_export *x)
{
    const char *version = x->facts.storage_version ? x->facts.storage_version : "3.7.0";
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_META));
    buf_reset(&x->value);
    buf_printf(&x->value, "{\"voters\":[%" PRIu64 "],\"auto_leave\":false}", x->member_id);
    put_text(x, "confState", buf_bytes(&x->value));
    put_u64(x, "consistent_index", (uint64_t)x->seq);
    if (x->compacted) {
        put_revision(x, "finishedCompactRev", x->compacted);
        put_revision(x, "scheduledCompactRev", x->compacted);
    }
    put_text(x, "storageVersion", bytes_str(version));
    put_u64(x, "term", x->facts.term ? x->facts.term : 2);
    bolt_bucket_end(x->writer);
}

static void json_string(struct buf *out, bytes s)
{
    buf_append_byte(out, '"');
    while (s.len) {
        size_t n = bytes_utf8_char(s);
        if (n == 0)
            buf_printf(out, "\\ufffd");
        else if (s.data[0] < 0x20 || s.data[0] == '"' || s.data[0] == '\\')
            buf_printf(out, "\\u%04x", s.data[0]);
        else
            buf_append(out, s.data, n);
        n = n ? n : 1;
        s = bytes_of(s.data + n, s.len - n);
    }
    buf_append_byte(out, '"');
}

static void json_urls(struct buf *out, const char *name, const char *const *urls, size_t n)
{
    buf_printf(out, ",\"%s\":[", name);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s", i ? "," : "");
        json_string(out, bytes_str(urls[i]));
    }
    buf_append_byte(out, ']');
}

/* Each with a 0 behind it. */
static void json_url_list(struct buf *out, const char *name, bytes urls)
{
    buf_printf(out, ",\"%s\":[", name);
    for (size_t at = 0; at < urls.len;) {
        size_t len = strnlen((const char *)urls.data + at, urls.len - at);
        buf_printf(out, "%s", at ? "," : "");
        json_string(out, bytes_of(urls.data + at, len));
        at += len + 1;
    }
    buf_append_byte(out, ']');
}

static void write_members(struct snapshot_export *x)
{
    static const char default_peer[] = "http://localhost:2380"; /* as etcd */
    char id[20];
    bytes peers = x->peer_urls.len ? buf_bytes(&x->peer_urls) : bytes_of(default_peer, sizeof default_peer);
    int len = snprintf(id, sizeof id, "%" PRIx64, x->member_id);
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_MEMBERS));
    buf_reset(&x->value);
    buf_printf(&x->value, "{\"id\":%" PRIu64, x->member_id);
    json_url_list(&x->value, "peerURLs", peers);
    buf_printf(&x->value, ",\"name\":");
    json_string(&x->value, buf_bytes(&x->member_name));
    if (x->facts.n_client_urls)
        json_urls(&x->value, "clientURLs", x->facts.client_urls, x->facts.n_client_urls);
    buf_append_byte(&x->value, '}');
    if (x->member_id)
        bolt_put(x->writer, bytes_of(id, (size_t)len), buf_bytes(&x->value));
    bolt_bucket_end(x->writer);
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_MEMBERS_REMOVED));
    bolt_bucket_end(x->writer);
}

static void write_cluster(struct snapshot_export *x)
{
    const char *version = x->facts.storage_version ? x->facts.storage_version : "3.7.0";
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_CLUSTER));
    put_text(x, "clusterVersion", bytes_str(version));
    bolt_bucket_end(x->writer);
}

int snapshot_export_finish(struct snapshot_export *x, struct snapshot_summary *ret, struct tenure_error *err)
{
    *ret = (struct snapshot_summary){
        .revision = x->revision, .compacted = x->compacted, .rows = x->rows, .leases = (int64_t)x->leases.len};
    bolt_bucket_end(x->writer);
    write_kept(x, SCHEMA_LEASE, &x->leases);
    write_kept(x, SCHEMA_ALARM, &x->alarms);
    write_auth(x);
    write_meta(x);
    write_members(x);
    write_cluster(x);
    if (buf_error(&x->value))
        return error_set(err, TENURE_ENOMEM, "snapshot: out of memory");
    return bolt_writer_finish(x->writer, &ret->bytes, err);
}

/* ---- life ---- */

int snapshot_export_new(const struct bolt_output *out, const struct snapshot_facts *facts, struct snapshot_export **ret)
{
    struct snapshot_export *x = calloc(1, sizeof *x);
    if (!x)
        return TENURE_ENOMEM;
    x->facts = *facts;
    x->revision = 1;
    btree_init(&x->leases);
    btree_init(&x->users);
    btree_init(&x->roles);
    btree_init(&x->alarms);
    buf_init(&x->member_name);
    buf_init(&x->peer_urls);
    buf_init(&x->value);
    if (bolt_writer_new(out, &x->writer) < 0) {
        snapshot_export_free(x);
        return TENURE_ENOMEM;
    }
    bolt_bucket_begin(x->writer, bytes_str(SCHEMA_KEY));
    *ret = x;
    return 0;
}

struct snapshot_export *snapshot_export_free(struct snapshot_export *x)
{
    if (!x)
        return NULL;
    bolt_writer_free(x->writer);
    kept_free(&x->leases);
    kept_free(&x->users);
    kept_free(&x->roles);
    kept_free(&x->alarms);
    buf_fini(&x->member_name);
    buf_fini(&x->peer_urls);
    buf_fini(&x->value);
    free(x);
    return NULL;
}
