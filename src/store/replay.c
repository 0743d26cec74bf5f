/* Rebuilding the state from the log's rows, through the same install step that planning uses.
 *
 * The log holds a dense run of rows, of which compaction has deleted some: a suffix of each key's versions is left, in
 * any intermediate state of the slices. So a row may be missing only before the newest compaction's row; a key's first
 * row may be any version, or a tombstone, if it lies at or below the compaction revision; a grant, or both rows of a
 * lease that was revoked, may be gone while old versions still name it. Everything else is refused as corrupt, by
 * sequence.
 *
 * Failure modes: TENURE_ECORRUPT, TENURE_ENOMEM; the store is of no use then.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/internal.h"

static int corrupt(struct tenure_error *err, const struct record *r, const char *why)
{
    return error_set(err, TENURE_ECORRUPT, "log row %" PRId64 ": %s", r->seq, why);
}

static int no_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, "out of memory while reading the log");
}

/* Rows that are missing right before r. */
static int64_t rows_missing(const struct store *s, const struct record *r)
{
    return r->seq - s->seq - 1;
}

static int row_check_place(const struct store *s, const struct record *r, struct tenure_error *err)
{
    if (r->seq <= s->seq)
        return corrupt(err, r, "is not behind the row before it");
    if (s->seq == 0 && (r->seq != 1 || r->kind != RECORD_IDENTITY))
        return corrupt(err, r, "the log does not begin with its identity");
    if (s->seq != 0 && r->kind == RECORD_IDENTITY)
        return corrupt(err, r, "a second identity");
    bool may_go_on = r->kind == RECORD_KV || r->kind == RECORD_AUTH_USER || r->kind == RECORD_AUTH_ROLE;
    if (!may_go_on && !r->last_of_command)
        return corrupt(err, r, "a command goes on where it must end");
    bool goes_on =
        s->replay.in_auth ? r->kind == RECORD_AUTH_USER : r->kind == RECORD_KV || r->kind == RECORD_LEASE_REVOKE;
    if (s->replay.in_command && rows_missing(s, r) == 0 && !goes_on)
        return corrupt(err, r, "stands inside another command");
    return 0;
}

/* What is missing was dropped by a compaction at rev or above; whether there is one is known at the end. */
static void excuse(struct store *s, tn_rev rev)
{
    if (s->replay.excused_by < rev)
        s->replay.excused_by = rev;
}

/* Whether the end of the last command is missing. Behind deletes it may have been the row of a revoke, which goes with
 * any later compaction; behind a put it was the row of a key, which goes when its revision is compacted. */
static void excuse_cut_command(struct store *s, const struct record *r)
{
    bool goes_on = r->kind == RECORD_KV && r->main == s->revision;
    if (s->replay.in_command && s->replay.last_was_put && !goes_on)
        excuse(s, s->revision + 1);
}

/* ---- keys ---- */

/* Rows of keys that are missing before r. */
static void excuse_skipped(struct store *s, const struct record *r)
{
    if (r->main > s->revision + 1 && !s->config.has_holes)
        excuse(s, r->main);
    if (r->sub > (r->main == s->revision ? s->replay.sub + 1 : 0))
        excuse(s, r->main + 1);
}

/* Each revision that is skipped, and each place skipped in one, was a row that is missing since the last of a key. */
static int row_check_revision(const struct store *s, const struct record *r, struct tenure_error *err)
{
    int64_t missing = s->replay.missing + rows_missing(s, r);
    if (r->main < 2 || r->sub < 0 || r->sub > UINT32_MAX)
        return corrupt(err, r, "its revision is out of range");
    if (r->main < s->revision || (r->main == s->revision && (!s->replay.in_command || r->sub <= s->replay.sub)))
        return corrupt(err, r, "its revision is not behind the one before it");
    int64_t skipped = r->main == s->revision ? r->sub - s->replay.sub - 1 : r->sub;
    if (r->main > s->revision && !s->config.has_holes) {
        if (r->main - s->revision - 1 > missing)
            return corrupt(err, r, "a revision is missing before it");
        skipped += r->main - s->revision - 1;
    }
    if (skipped > missing)
        return corrupt(err, r, "a row of its revision is missing");
    if (r->main > s->revision && s->replay.in_command && rows_missing(s, r) == 0)
        return corrupt(err, r, "begins inside another command");
    return 0;
}

static int row_check_put(const struct record *r, const struct version *before, struct tenure_error *err)
{
    bool live = before && !version_is_tombstone(before);
    if (r->version < 1 || r->create_revision < 2 || r->value.len > UINT32_MAX)
        return corrupt(err, r, "its numbers are out of range");
    if (live && (r->version != before->version + 1 || r->create_revision != before->create_revision))
        return corrupt(err, r, "its version does not follow the key's last");
    if (!live && (r->version == 1) != (r->create_revision == r->main))
        return corrupt(err, r, "its creation does not fit its version");
    if (!live && (r->create_revision > r->main || r->version > r->main - r->create_revision + 1))
        return corrupt(err, r, "its creation does not fit its revision");
    if (before && !live && r->version != 1)
        return corrupt(err, r, "its version does not begin anew behind a delete");
    return 0;
}

static int row_check_tombstone(const struct record *r, const struct version *before, struct tenure_error *err)
{
    if (r->version != 0 || r->create_revision != 0 || r->lease != 0 || r->value.len != 0)
        return corrupt(err, r, "a delete that holds data");
    if (before && version_is_tombstone(before))
        return corrupt(err, r, "deletes a key that is not there");
    return 0;
}

int row_check_key(const struct record *r, const struct version *before, struct tenure_error *err)
{
    if (r->key.len == 0)
        return corrupt(err, r, "has no key");
    if (before && before->main == r->main)
        return corrupt(err, r, "changes its key twice in one revision");
    return r->tombstone ? row_check_tombstone(r, before, err) : row_check_put(r, before, err);
}

/* A lease that a live key names and that does not stand (any more, or the log is damaged: known at the end). */
static bool key_dangles(const struct key *k)
{
    const struct version *v = key_newest(k);
    return v && v->lease != 0 && list_empty(&k->lease_node);
}

static int replay_install(struct store *s, struct key *k, const struct record *r, struct tenure_error *err)
{
    struct version *v = version_new(r->value);
    if (!v || install_reserve(s, k) != 0) {
        free(v);
        return no_memory(err);
    }
    v->main = r->main;
    v->sub = (uint32_t)r->sub;
    v->create_revision = r->create_revision;
    v->version = r->version;
    v->lease = r->lease;
    v->seq = r->seq;
    s->replay.dangling -= key_dangles(k);
    version_install(s, k, v);
    s->replay.dangling += key_dangles(k);
    return 0;
}

static int replay_kv(struct store *s, const struct record *r, struct tenure_error *err)
{
    struct key *k = store_key_find(s, r->key);
    int rc = row_check_revision(s, r, err);
    if (!rc)
        rc = row_check_key(r, k ? key_newest(k) : NULL, err);
    if (rc)
        return rc;
    if (!k && r->version != 1)
        excuse(s, r->main);
    excuse_skipped(s, r);
    if (!k)
        k = store_key_add(s, r->key);
    if (!k)
        return no_memory(err);
    rc = replay_install(s, k, r, err);
    if (rc)
        return rc;
    s->replay.sub = r->sub;
    s->replay.last_was_put = !r->tombstone;
    s->revision = s->revision_durable = r->main;
    return 0;
}

/* ---- leases ---- */

/* The row of a lease, user, role or fact tells the revision that its command left: rows of keys up to there were before it. */
static int replay_told_revision(struct store *s, const struct record *r, struct tenure_error *err)
{
    if (r->main < s->revision || r->main - s->revision > s->replay.missing + rows_missing(s, r))
        return corrupt(err, r, "its revision does not fit those before it");
    if (r->main > s->revision)
        excuse(s, r->main + 1);
    s->revision = s->revision_durable = r->main;
    return 0;
}

static int replay_grant(struct store *s, const struct record *r, struct tenure_error *err)
{
    if (r->lease == 0 || r->version < 1 || r->version > LEASE_TTL_MAX_S)
        return corrupt(err, r, "a lease out of range");
    if (lease_find(&s->leases, r->lease))
        return corrupt(err, r, "grants a lease that stands");
    struct lease *l = lease_new(r->lease, r->version);
    if (!l || lease_set_reserve(&s->leases) != 0) {
        lease_free(l);
        return no_memory(err);
    }
    l->grant_seq = r->seq;
    lease_add(&s->leases, l, TN_MS_NEVER);
    s->memory += lease_memory();
    return 0;
}

static int replay_revoke(struct store *s, const struct record *r, struct tenure_error *err)
{
    struct lease *l = lease_find(&s->leases, r->lease);
    bool gap = s->replay.any_gap || rows_missing(s, r) > 0;
    if (r->lease == 0 || (!l && !gap))
        return corrupt(err, r, "revokes a lease that does not stand");
    if (l && !list_empty(&l->keys))
        return corrupt(err, r, "revokes a lease whose keys are not deleted");
    if (l) {
        lease_remove(&s->leases, l);
    } else {
        l = lease_new(r->lease, 1);
        if (!l)
            return no_memory(err);
        s->memory += lease_memory();
    }
    lease_set_revoked(&s->leases, l, r->seq);
    return 0;
}

/* ---- facts ---- */

static int replay_fact_cleared(struct store *s, const struct record *r, struct fact *f, struct tenure_error *err)
{
    bool gap = s->replay.any_gap || rows_missing(s, r) > 0;
    if (r->kind != RECORD_ALARM || (!f && !gap))
        return corrupt(err, r, "disarms an alarm that does not stand");
    if (f)
        fact_clear(s, f, r->seq);
    else if (fact_cleared_unknown(s, r->seq) != 0)
        return no_memory(err);
    return 0;
}

static int replay_fact(struct store *s, const struct record *r, struct tenure_error *err)
{
    bool bad_text = r->kind == RECORD_PEER_URLS && r->value.len > 0 && r->value.data[r->value.len - 1] != 0;
    if (r->version < INT32_MIN || r->version > INT32_MAX || bad_text)
        return corrupt(err, r, "its numbers are out of range");
    struct fact *f = fact_find(&s->facts, r->kind, (uint64_t)r->lease, (int32_t)r->version);
    if (r->tombstone)
        return replay_fact_cleared(s, r, f, err);
    if (f && r->kind == RECORD_ALARM)
        return corrupt(err, r, "raises an alarm that stands");
    f = fact_new(r->kind, (uint64_t)r->lease, (int32_t)r->version, r->value);
    if (!f)
        return no_memory(err);
    fact_stand(s, f, r->seq);
    return 0;
}

/* ---- the rest ---- */

static int replay_compaction(struct store *s, const struct record *r, struct tenure_error *err)
{
    bool gap = s->replay.any_gap || rows_missing(s, r) > 0;
    tn_rev reached = s->config.has_holes ? r->create_revision : 0;
    if (reached > s->revision)
        s->revision = s->revision_durable = reached;
    if (r->main < 0 || r->main < s->compacted || (r->main > s->revision && !gap))
        return corrupt(err, r, "its compaction revision does not fit");
    struct compaction *c = malloc(sizeof *c);
    if (!c)
        return no_memory(err);
    *c = (struct compaction){.revision = r->main, .revision_before = s->compacted, .reached = reached, .seq = r->seq};
    list_push_back(&s->compactions, &c->node);
    s->compacted = s->compacted_durable = r->main;
    if (s->revision < r->main)
        s->revision = s->revision_durable = r->main;
    return 0;
}

static int replay_identity(struct store *s, const struct record *r, struct tenure_error *err)
{
    char *name = malloc(r->key.len + 1);
    if (!name)
        return no_memory(err);
    if (r->key.len)
        memcpy(name, r->key.data, r->key.len);
    name[r->key.len] = 0;
    free(s->member_name);
    s->member_name = name;
    s->cluster_id = (uint64_t)r->create_revision;
    s->member_id = (uint64_t)r->lease;
    return 0;
}

static int replay_row(struct store *s, const struct record *r, struct tenure_error *err)
{
    excuse_cut_command(s, r);
    if (s->replay.in_auth && !record_is_auth(r->kind))
        s->replay.in_command = s->replay.in_auth =
            false; /* its last rows are missing, and later ones took their place */
    bool of_fact = r->kind == RECORD_ALARM || r->kind == RECORD_PEER_URLS;
    bool tells_revision =
        of_fact || record_is_auth(r->kind) || r->kind == RECORD_LEASE_GRANT || r->kind == RECORD_LEASE_REVOKE;
    int rc = tells_revision ? replay_told_revision(s, r, err) : 0;
    if (rc || (s->config.follows && tells_revision))
        return rc;
    switch (r->kind) {
    case RECORD_KV:
        return replay_kv(s, r, err);
    case RECORD_LEASE_GRANT:
        return replay_grant(s, r, err);
    case RECORD_LEASE_REVOKE:
        return replay_revoke(s, r, err);
    case RECORD_COMPACT:
        return replay_compaction(s, r, err);
    case RECORD_ALARM:
    case RECORD_PEER_URLS:
        return replay_fact(s, r, err);
    case RECORD_IDENTITY:
        return replay_identity(s, r, err);
    case RECORD_AUTH_SWITCH:
    case RECORD_AUTH_USER:
    case RECORD_AUTH_ROLE:
        return auth_replay(s, r, s->replay.any_gap || rows_missing(s, r) > 0, err);
    }
    return corrupt(err, r, "is of a kind that this version does not know");
}

int store_replay(struct store *s, const struct record *r, struct tenure_error *err)
{
    assert(!s->replay.done);
    int rc = row_check_place(s, r, err);
    if (!rc)
        rc = replay_row(s, r, err);
    if (rc)
        return rc;
    if (rows_missing(s, r) > 0) {
        s->replay.any_gap = true;
        s->replay.gap_before = r->seq;
    }
    s->replay.missing = r->kind == RECORD_KV ? 0 : s->replay.missing + rows_missing(s, r);
    s->replay.in_command = !r->last_of_command;
    s->replay.in_auth = s->replay.in_command && record_is_auth(r->kind);
    s->replay.last_was_put = s->replay.last_was_put && r->kind == RECORD_KV;
    s->seq = s->seq_durable = r->seq;
    return 0;
}

/* ---- the end ---- */

static int log_check_end(const struct store *s, struct tenure_error *err)
{
    const struct compaction *newest = compaction_durable(s);
    if (s->replay.in_command)
        return error_set(err, TENURE_ECORRUPT, "log row %" PRId64 ": the log ends inside a command", s->seq);
    if (s->replay.gap_before > (newest ? newest->seq : 0))
        return error_set(err, TENURE_ECORRUPT, "log row %" PRId64 " is missing", s->replay.gap_before - 1);
    if (s->replay.excused_by > 0 && s->replay.excused_by > s->compacted)
        return error_set(err, TENURE_ECORRUPT,
                         "the log lacks rows that only a compaction at %" PRId64 " may have dropped",
                         s->replay.excused_by);
    if (s->replay.dangling > 0 && !s->config.follows)
        return error_set(err, TENURE_ECORRUPT, "the log lacks the lease of %" PRId64 " keys", s->replay.dangling);
    return 0;
}

static int plan_identity(struct store *s, struct tenure_error *err)
{
    if (command_begin(s) != ETCD_OK || command_reserve(s) != 0)
        return no_memory(err);
    struct record row = {
        .kind = RECORD_IDENTITY,
        .key = bytes_str(s->member_name),
        .create_revision = (tn_rev)s->cluster_id,
        .lease = (tn_lease)s->member_id,
    };
    command_add(s, (struct planned){.kind = RECORD_IDENTITY}, row);
    command_end(s);
    return 0;
}

/* Of what was deleted and not put again. */
static void bury_the_dead(struct store *s)
{
    for (size_t i = 0; i < s->tombstones.len; i++) {
        struct version *v = deque_at(&s->tombstones, i);
        if (key_newest(v->key) == v)
            store_key_bury(s, v->key);
    }
}

int store_ready(struct store *s, tn_ms now, struct tenure_error *err)
{
    assert(!s->replay.done);
    int rc = log_check_end(s, err);
    if (rc)
        return rc;
    size_t cursor = 0;
    for (struct lease *l; (l = map_next(&s->leases.by_id, &cursor));)
        lease_set_deadline(&s->leases, l, now + l->ttl_s * 1000);
    s->watch.matched = s->revision_durable;
    bury_the_dead(s);
    s->replay.done = true;
    return s->seq == 0 ? plan_identity(s, err) : 0;
}
