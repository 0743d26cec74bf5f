/* Dropping what no read at or above the durable compaction revision C can see:
 *
 *   - a version that was overwritten or deleted at a revision <= C;
 *   - a tombstone at a revision < C: one at C itself is still an event for a watcher that starts at C;
 *   - the rows of leases that were revoked, of compactions that were followed by another, of users, roles and the switch of
 *     authentication that were changed or deleted, and of facts that were replaced or cleared, where they lie before the
 *     row of the newest compaction: behind it the log is dense.
 *
 * Both kinds of garbage are queued when they come into being, so each step drops a row and looks at nothing in vain.
 * They go in order of revision, a deleted version before its tombstone: a log in which only the first slices were
 * deleted never shows a deleted key as live. The same for a grant before its revoke.
 *
 * Versions that a live watcher has still to get, or needs as previous value, wait, and what a hash under way reads.
 */
#include <assert.h>
#include <stdlib.h>

#include "store/internal.h"

/* The revision at which memory may be as if it were the compaction revision. */
static tn_rev trim_bound(const struct store *s)
{
    tn_rev floor = watch_live_floor(&s->watch), hashed = hash_floor(s);
    tn_rev bound = s->compacted_durable < floor ? s->compacted_durable : floor - 1;
    return bound < hashed ? bound : hashed;
}

static struct version *queue_first(const struct deque *d)
{
    return d->len ? deque_at(d, 0) : NULL;
}

static struct version *overwrite_due(const struct store *s, tn_rev bound)
{
    struct version *v = queue_first(&s->overwrites);
    return v && v->main <= bound ? v : NULL;
}

static struct version *tombstone_due(const struct store *s, tn_rev bound)
{
    struct version *v = queue_first(&s->tombstones);
    return v && v->main < bound ? v : NULL;
}

/* Everything before it has been dropped by now, so what goes is the oldest of its key. */
static tn_seq version_drop(struct store *s, struct key *k)
{
    struct version *v = key_drop(k);
    tn_seq seq = v->seq;
    s->memory -= version_memory(v);
    s->garbage -= version_memory(v);
    free(v);
    if (key_len(k) == 0)
        store_key_remove(s, k);
    return seq;
}

/* 0 when there is none; the other steps alike. */
static tn_seq trim_version(struct store *s, tn_rev bound)
{
    struct version *w = overwrite_due(s, bound), *t = tombstone_due(s, bound);
    if (w && (!t || w->main <= t->main)) {
        assert(key_nth(w->key, 1) == w);
        deque_drop(&s->overwrites, 1);
        return version_drop(s, w->key);
    }
    if (!t)
        return 0;
    assert(key_nth(t->key, 0) == t);
    deque_drop(&s->tombstones, 1);
    return version_drop(s, t->key);
}

static struct lease *lease_due(const struct store *s, tn_seq before)
{
    if (list_empty(&s->leases.revoked))
        return NULL;
    struct lease *l = LIST_ENTRY(s->leases.revoked.next, struct lease, revoked_node);
    return l->revoke_seq < before ? l : NULL;
}

static struct compaction *compaction_due(const struct store *s, tn_seq before)
{
    if (list_empty(&s->compactions))
        return NULL;
    struct compaction *c = LIST_ENTRY(s->compactions.next, struct compaction, node);
    return c->seq < before ? c : NULL;
}

bool store_trim_pending(const struct store *s)
{
    const struct compaction *newest = compaction_durable(s);
    if (!newest)
        return false;
    tn_rev bound = trim_bound(s);
    bool versions = overwrite_due(s, bound) || tombstone_due(s, bound);
    bool others = compaction_due(s, newest->seq) || fact_trim_pending(&s->facts, newest->seq);
    others = others || auth_trim_pending(&s->auth, newest->seq);
    return versions || lease_due(s, newest->seq) || others;
}

static tn_seq lease_forget(struct store *s, struct lease *l)
{
    tn_seq seq = l->revoke_seq;
    lease_clear_revoked(&s->leases, l);
    s->memory -= lease_memory();
    lease_free(l);
    return seq;
}

static tn_seq trim_lease(struct store *s, tn_seq before)
{
    struct lease *l = lease_due(s, before);
    if (!l)
        return 0;
    tn_seq grant = l->grant_seq;
    l->grant_seq = 0;
    return grant ? grant : lease_forget(s, l);
}

static tn_seq trim_compaction(struct store *s, tn_seq before)
{
    struct compaction *c = compaction_due(s, before);
    if (!c)
        return 0;
    tn_seq seq = c->seq;
    list_remove(&c->node);
    free(c);
    return seq;
}

static tn_seq trim_auth(struct store *s, tn_seq before)
{
    tn_seq seq = auth_trim(&s->auth, before);
    if (seq)
        s->memory -= auth_garbage_memory();
    return seq;
}

size_t store_trim(struct store *s, size_t max, tn_seq *seqs)
{
    size_t n = 0;
    tn_rev bound = trim_bound(s);
    struct compaction *newest = compaction_durable(s);
    if (!newest)
        return 0;
    deque_drop(&s->history, history_lower_bound(s, bound));
    while (n < max) {
        tn_seq seq = trim_version(s, bound);
        if (!seq)
            seq = trim_lease(s, newest->seq);
        if (!seq)
            seq = trim_auth(s, newest->seq);
        if (!seq)
            seq = trim_compaction(s, newest->seq);
        if (!seq)
            seq = fact_trim(s, newest->seq);
        if (!seq)
            break;
        seqs[n++] = seq;
    }
    return n;
}
