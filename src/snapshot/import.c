/* See import.h. */
#include "snapshot/import.h"

#include <inttypes.h>

#include "api/lease.h"
#include "snapshot/schema.h"

struct import {
    const struct bolt_file *file;
    int (*on_row)(void *user, const struct record *r, struct tenure_error *err);
    void *user;
    struct tenure_error *err;
    tn_seq seq;
    tn_rev revision;
    tn_rev compacted; /* 0 = never, or given already */
    int64_t sub;      /* of the last row of a key */
    bool has_kv; /* one was seen, and waits below until it is known whether it ends its revision */
    struct record kv;
    struct snapshot_summary *summary;
};

static int corrupt(struct import *m, const char *bucket, const char *why)
{
    return error_set(m->err, TENURE_ECORRUPT, "bucket %s: %s", bucket, why);
}

static int give(struct import *m, struct record r)
{
    m->seq++;
    r.seq = m->seq;
    return m->on_row(m->user, &r, m->err);
}

/* Walks one bucket; a bucket that is not there is as an empty one. */
static int each(struct import *m, const char *bucket, int (*visit)(struct import *m, const struct bolt_item *item))
{
    struct bolt_bucket root, b;
    struct bolt_cursor c;
    struct bolt_item item;
    bolt_root(m->file, &root);
    int rc = bolt_bucket_find(&root, bytes_str(bucket), &b, m->err);
    if (rc)
        return rc == TENURE_ENOTFOUND ? 0 : rc;
    bolt_cursor_start(&c, &b);
    while ((rc = bolt_cursor_next(&c, &item, m->err)) == 1) {
        rc = item.is_bucket ? corrupt(m, bucket, "there is a bucket in it") : visit(m, &item);
        if (rc)
            return rc;
    }
    return rc;
}

/* ---- leases ---- */

static int give_lease(struct import *m, const struct bolt_item *item)
{
    struct schema_lease l;
    if (item->key.len != 8 || !schema_lease_decode(item->value, &l))
        return corrupt(m, SCHEMA_LEASE, "an entry is no lease");
    if ((uint64_t)l.id != schema_get_u64(item->key.data) || l.id == 0 || l.ttl_s < 1 || l.ttl_s > LEASE_TTL_MAX_S)
        return corrupt(m, SCHEMA_LEASE, "a lease out of range");
    m->summary->leases++;
    return give(m, (struct record){.kind = RECORD_LEASE_GRANT,
                                   .last_of_command = true,
                                   .main = m->revision,
                                   .lease = l.id,
                                   .version = l.ttl_s});
}

/* ---- the compaction ---- */

int snapshot_meta_revision(const struct bolt_file *file, const char *name, tn_rev *ret, struct tenure_error *err)
{
    struct bolt_bucket root, meta;
    struct schema_rev rev;
    bytes value;
    bolt_root(file, &root);
    *ret = 0;
    int rc = bolt_bucket_find(&root, bytes_str(SCHEMA_META), &meta, err);
    if (rc == 0)
        rc = bolt_get(&meta, bytes_str(name), &value, err);
    if (rc)
        return rc == TENURE_ENOTFOUND ? 0 : rc;
    if (!schema_rev_decode(value, &rev))
        return error_set(err, TENURE_ECORRUPT, "bucket meta: %s is no revision", name);
    *ret = rev.main;
    return 0;
}

static int read_compacted(struct import *m, tn_rev *ret)
{
    tn_rev scheduled, finished;
    int rc = snapshot_meta_revision(m->file, "scheduledCompactRev", &scheduled, m->err);
    if (rc == 0)
        rc = snapshot_meta_revision(m->file, "finishedCompactRev", &finished, m->err);
    if (rc == 0)
        *ret = scheduled > finished ? scheduled : finished;
    return rc;
}

/* The log takes a compaction that lies behind the newest row of a key where as many rows are missing as revisions. */
static int give_compaction(struct import *m)
{
    tn_rev at = m->compacted;
    m->compacted = 0;
    if (at == 0)
        return 0;
    if (m->revision < at) {
        m->seq += at - m->revision;
        m->revision = at;
        m->sub = -1;
    }
    m->summary->compacted = at;
    return give(m, (struct record){.kind = RECORD_COMPACT, .last_of_command = true, .main = at});
}

static int give_bump(struct import *m, tn_rev bump)
{
    if (bump < 0 || bump > INT64_MAX / 4 - m->revision)
        return error_set(m->err, TENURE_EINVALID, "revision %" PRId64 " cannot go on by %" PRId64, m->revision, bump);
    if (bump == 0)
        return 0;
    m->compacted = m->revision + bump;
    return give_compaction(m);
}

/* ---- keys ---- */

static int give_pending(struct import *m, bool last_of_command)
{
    if (!m->has_kv)
        return 0;
    m->has_kv = false;
    m->kv.last_of_command = last_of_command;
    m->summary->rows++;
    return give(m, m->kv);
}

/* As many rows were there as places and revisions are missing. */
static void skip_compacted(struct import *m, const struct schema_rev *rev)
{
    if (rev->main == m->revision)
        m->seq += rev->sub - m->sub - 1;
    else
        m->seq += rev->main - m->revision - 1 + rev->sub;
}

static int check_kv(struct import *m, const struct schema_rev *rev, const struct kv *kv)
{
    bool same = rev->main == m->revision && m->sub >= 0;
    if (rev->main < 2 || rev->sub > UINT32_MAX || rev->main < m->revision || (same && rev->sub <= m->sub))
        return corrupt(m, SCHEMA_KEY, "a revision out of range");
    if (!rev->tombstone && kv->mod_revision != rev->main)
        return corrupt(m, SCHEMA_KEY, "an entry stands under another revision than its own");
    return 0;
}

/* etcdutl's --bump-revision leaves an entry without a key: a revision, and nothing else. */
static int give_kv(struct import *m, const struct bolt_item *item)
{
    struct schema_rev rev;
    struct kv kv;
    if (!schema_rev_decode(item->key, &rev) || !schema_kv_decode(item->value, &kv))
        return corrupt(m, SCHEMA_KEY, "an entry is no revision of a key");
    if (kv.key.len == 0)
        return 0;
    int rc = check_kv(m, &rev, &kv);
    if (rc == 0)
        rc = give_pending(m, rev.main != m->revision);
    if (rc == 0 && rev.main > m->compacted)
        rc = give_compaction(m);
    if (rc)
        return rc;
    skip_compacted(m, &rev);
    m->revision = rev.main;
    m->sub = rev.sub;
    m->has_kv = true;
    m->kv = (struct record){.kind = RECORD_KV, .main = rev.main, .sub = rev.sub, .tombstone = rev.tombstone, .key = kv.key};
    if (rev.tombstone)
        return 0;
    m->kv.value = kv.value;
    m->kv.create_revision = kv.create_revision;
    m->kv.version = kv.version;
    m->kv.lease = kv.lease;
    return 0;
}

/* ---- the whole ---- */

static int give_identity(struct import *m, const struct snapshot_import_options *o)
{
    return give(m, (struct record){.kind = RECORD_IDENTITY,
                                   .last_of_command = true,
                                   .key = o->member_name,
                                   .create_revision = (tn_rev)o->cluster_id,
                                   .lease = (tn_lease)o->member_id});
}

int snapshot_import(const struct bolt_file *file, const struct snapshot_import_options *options,
                    int (*on_row)(void *user, const struct record *r, struct tenure_error *err), void *user,
                    struct snapshot_summary *ret, struct tenure_error *err)
{
    struct import m = {
        .file = file, .on_row = on_row, .user = user, .err = err, .revision = 1, .sub = -1, .summary = ret};
    *ret = (struct snapshot_summary){.bytes = bolt_size(file)};
    int rc = read_compacted(&m, &m.compacted);
    if (rc == 0)
        rc = give_identity(&m, options);
    if (rc == 0)
        rc = each(&m, SCHEMA_LEASE, give_lease);
    if (rc == 0)
        rc = each(&m, SCHEMA_KEY, give_kv);
    if (rc == 0)
        rc = give_pending(&m, true);
    if (rc == 0)
        rc = give_compaction(&m);
    if (rc == 0)
        rc = give_bump(&m, options->bump);
    ret->revision = m.revision;
    return rc;
}
