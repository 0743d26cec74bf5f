/* See import.h. */
#include "snapshot/import.h"

#include <inttypes.h>

#include "api/lease.h"
#include "snapshot/schema.h"

/* Far beyond what any server reaches, and far from where numbers end. */
#define REVISION_MAX (INT64_MAX / 8)

struct import {
    const struct bolt_file *file;
    int (*on_row)(void *user, const struct record *r, struct tenure_error *err);
    void *user;
    struct tenure_error *err;
    tn_seq seq;
    tn_rev revision;
    tn_rev compacted;    /* 0 = never */
    bool compaction_due; /* its row is not given yet */
    int64_t sub;         /* of the last row of a key */
    bool auth_enabled;
    int64_t auth_revision;
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
    if (rc == 0 && *ret > REVISION_MAX)
        rc = corrupt(m, SCHEMA_META, "a compaction out of range");
    return rc;
}

/* The log takes a compaction that lies behind the newest row of a key where as many rows are missing as revisions. */
static int give_compaction(struct import *m)
{
    tn_rev at = m->compacted;
    if (!m->compaction_due)
        return 0;
    m->compaction_due = false;
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
    if (bump < 0 || m->revision > REVISION_MAX || bump > REVISION_MAX - m->revision)
        return error_set(m->err, TENURE_EINVALID, "revision %" PRId64 " cannot go on by %" PRId64, m->revision, bump);
    if (bump == 0)
        return 0;
    m->compacted = m->revision + bump;
    m->compaction_due = true;
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
    bool fits = rev->main <= REVISION_MAX && rev->sub <= UINT32_MAX && m->seq <= REVISION_MAX;
    if (rev->main < 2 || !fits || rev->main < m->revision || (same && rev->sub <= m->sub))
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
    if (rc == 0 && m->compacted > 0 && rev.main > m->compacted)
        rc = give_compaction(m);
    if (rc)
        return rc;
    skip_compacted(m, &rev);
    m->revision = rev.main;
    m->sub = rev.sub;
    m->has_kv = true;
    m->kv =
        (struct record){.kind = RECORD_KV, .main = rev.main, .sub = rev.sub, .tombstone = rev.tombstone, .key = kv.key};
    if (rev.tombstone)
        return 0;
    m->kv.value = kv.value;
    m->kv.create_revision = kv.create_revision;
    m->kv.version = kv.version;
    m->kv.lease = kv.lease;
    return 0;
}

/* ---- users, roles, alarms ---- */

static int give_auth(struct import *m, enum record_kind kind, const struct bolt_item *item)
{
    return give(m, (struct record){.kind = kind,
                                   .last_of_command = true,
                                   .main = m->revision,
                                   .version = m->auth_revision,
                                   .key = item->key,
                                   .value = item->value});
}

static int give_role(struct import *m, const struct bolt_item *item)
{
    return give_auth(m, RECORD_AUTH_ROLE, item);
}

static int give_user(struct import *m, const struct bolt_item *item)
{
    return give_auth(m, RECORD_AUTH_USER, item);
}

static int note_auth(struct import *m, const struct bolt_item *item)
{
    if (bytes_equal(item->key, bytes_str("authEnabled")))
        m->auth_enabled = item->value.len == 1 && item->value.data[0] == 1;
    else if (bytes_equal(item->key, bytes_str("authRevision")) && item->value.len == 8)
        m->auth_revision = (int64_t)schema_get_u64(item->value.data);
    return 0;
}

/* The log has no row for the auth revision by itself: each row about users and roles carries it. It takes one that goes
 * further than by one where rows are missing that a compaction may have dropped, even if that was one of no revision. */
static int begin_auth(struct import *m)
{
    int rc = each(m, SCHEMA_AUTH, note_auth);
    if (rc == 0 && m->auth_revision < 0)
        rc = corrupt(m, SCHEMA_AUTH, "a revision out of range");
    if (m->auth_revision < 1)
        m->auth_revision = 1; /* as etcd, before anything was changed */
    if (m->auth_revision > 1) {
        m->seq++;
        m->compaction_due = true;
    }
    return rc;
}

static int give_all_auth(struct import *m)
{
    int rc = each(m, SCHEMA_AUTH_ROLES, give_role);
    if (rc == 0)
        rc = each(m, SCHEMA_AUTH_USERS, give_user);
    if (rc || (!m->auth_enabled && m->auth_revision < 2))
        return rc;
    return give(m, (struct record){.kind = RECORD_AUTH_SWITCH,
                                   .last_of_command = true,
                                   .main = m->revision,
                                   .sub = m->auth_enabled,
                                   .version = m->auth_revision});
}

static int give_alarm(struct import *m, const struct bolt_item *item)
{
    struct schema_alarm a;
    if (!schema_alarm_decode(item->key, &a) || a.type < INT32_MIN || a.type > INT32_MAX)
        return corrupt(m, SCHEMA_ALARM, "an entry is no alarm");
    return give(m, (struct record){.kind = RECORD_ALARM,
                                   .last_of_command = true,
                                   .main = m->revision,
                                   .lease = (tn_lease)a.member_id,
                                   .version = a.type});
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
    m.compaction_due = m.compacted > 0;
    if (rc == 0)
        rc = give_identity(&m, options);
    if (rc == 0)
        rc = begin_auth(&m);
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
    if (rc == 0)
        rc = give_all_auth(&m);
    if (rc == 0)
        rc = each(&m, SCHEMA_ALARM, give_alarm);
    ret->revision = m.revision;
    return rc;
}
