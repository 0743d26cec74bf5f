/* The default policy: history goes when it is older than the retention, or when it fills a tenth of the quota,
 * whichever comes first. For the age, the revision is noted at some times in the last period; the answer is late by at
 * most one such step.
 *
 * Leases that come and go without keys, and users and roles that change, make rows but no revision, so no compaction would
 * ever let go of them: past a number of them a compaction is planned here that leaves the revision where it is.
 */
#include "store/internal.h"

enum { GARBAGE_SHARE = 10, REVOKED_MAX = 10000, AUTH_ROWS_MAX = 1000 };

static tn_ms *sample_time(struct auto_compact *ac, size_t i)
{
    return &ac->samples[(ac->first + i) % AUTO_COMPACT_SAMPLES].at;
}

static void sample_drop(struct auto_compact *ac)
{
    ac->first = (ac->first + 1) % AUTO_COMPACT_SAMPLES;
    ac->len--;
}

/* The full ring spans a little more than the retention, so the oldest sample is old enough before it is overwritten. */
static void sample_take(struct auto_compact *ac, tn_ms now, tn_rev revision, int64_t retention_ms)
{
    tn_ms step = retention_ms / (AUTO_COMPACT_SAMPLES - 4) + 1;
    if (ac->len > 0 && now - *sample_time(ac, ac->len - 1) < step)
        return;
    if (ac->len == AUTO_COMPACT_SAMPLES)
        sample_drop(ac);
    size_t at = (ac->first + ac->len++) % AUTO_COMPACT_SAMPLES;
    ac->samples[at].at = now;
    ac->samples[at].revision = revision;
}

static tn_rev revision_by_age(struct auto_compact *ac, tn_ms oldest)
{
    while (ac->len > 1 && *sample_time(ac, 1) <= oldest)
        sample_drop(ac);
    if (ac->len == 0 || *sample_time(ac, 0) > oldest)
        return 0;
    return ac->samples[ac->first].revision;
}

/* The middle of the history: what is garbage is spread over it, so about half of it goes. */
static tn_rev revision_by_size(const struct store *s)
{
    if (s->garbage <= s->config.quota_bytes / GARBAGE_SHARE || s->history.len == 0)
        return 0;
    tn_rev middle = history_at(s, s->history.len / 2)->main;
    if (middle <= s->compacted)
        middle = s->compacted + 1;
    return middle < s->revision_durable ? middle : s->revision_durable;
}

/* Out of memory is absorbed: the next call tries again. */
static void compact_rows(struct store *s)
{
    if (command_begin(s) != ETCD_OK)
        return;
    enum etcd_error e = compaction_plan(s, s->compacted > 0 ? s->compacted : 1);
    (void)e;
    command_end(s);
}

static bool compaction_is_planned(const struct store *s)
{
    return !list_empty(&s->compactions) &&
           LIST_ENTRY(s->compactions.prev, struct compaction, node)->seq > s->seq_durable;
}

/* Those in front of the newest compaction are being trimmed. */
static bool leases_are_due(const struct store *s)
{
    if (s->leases.n_revoked < REVOKED_MAX)
        return false;
    const struct compaction *newest = compaction_durable(s);
    struct lease *oldest = LIST_ENTRY(s->leases.revoked.next, struct lease, revoked_node);
    return !newest || oldest->revoke_seq > newest->seq;
}

static bool auth_rows_are_due(const struct store *s)
{
    const struct compaction *newest = compaction_durable(s);
    return auth_garbage_since(&s->auth, newest ? newest->seq : 0, AUTH_ROWS_MAX);
}

tn_rev store_auto_compact(struct store *s, tn_ms now, int64_t retention_ms)
{
    tn_rev by_age = 0;
    if (retention_ms > 0) {
        sample_take(&s->auto_compact, now, s->revision_durable, retention_ms);
        by_age = revision_by_age(&s->auto_compact, now - retention_ms);
    }
    if (compaction_is_planned(s) || store_trim_pending(s))
        return 0;
    tn_rev by_size = revision_by_size(s);
    tn_rev rev = by_age > by_size ? by_age : by_size;
    if (rev > 0 && rev > s->compacted)
        return rev;
    store_compact_rows(s);
    return 0;
}

void store_compact_rows(struct store *s)
{
    bool under_way = compaction_is_planned(s) || store_trim_pending(s);
    if (!under_way && (leases_are_due(s) || auth_rows_are_due(s)))
        compact_rows(s);
}
