/* Compaction in slices: the automatic policy once a second, then what a durable compaction left superseded is dropped from
 * memory some rows a turn, and the same rows from the log with the next batches. */
#include "core/call.h"

/* Rows a turn, or twice as many as the last batch deleted: so deletes never run short. */
#define TRIM_SLICE 512
/* Each row deleted may cost the log a page of its own, and whoever waits for the batch waits for them all. */
#define DELETES_ALONE  256
#define DELETES_BESIDE 64
/* Deletes wait until so many have gathered, or no more come. */
#define GATHERED      (DOOMED_MAX / 2)
#define CHECK_MS      1000
#define HASH_SLICE    8192            /* as of HashKV */
#define CHECK_REVS_MS (5 * 60 * 1000) /* as etcd, when revisions are counted */

void compaction_init(struct compaction *k)
{
    list_init(&k->physical);
    k->asked = -2; /* none */
}

static void release_physical(struct compaction *k)
{
    while (!list_empty(&k->physical))
        gate_deliver(LIST_ENTRY(k->physical.next, struct held, link));
}

/* Where a compaction superseded nothing, the store has history to let go of, and no row. */
static bool has_work(const struct core *c)
{
    return c->journal.writing != WRITING_OFF && (c->compaction.moved || store_trim_pending(c->store));
}

static bool has_deletes(const struct compaction *k)
{
    return k->n_deletes > 0 || k->doomed.n > 0;
}

bool compaction_is_done(const struct core *c)
{
    return c->journal.writing == WRITING_OFF ||
           (!has_work(c) && !has_deletes(&c->compaction) && !store_hashing(c->store));
}

static void settle(struct core *c)
{
    if (compaction_is_done(c))
        release_physical(&c->compaction);
}

/* As etcd, a compaction that a client asked for hashes what is there before it drops anything (store/hash.c). */
static void hash_some(struct core *c)
{
    struct compaction *k = &c->compaction;
    if (!k->hash)
        return;
    enum store_hash_state state = store_hash_step(k->hash, HASH_SLICE);
    if (state == STORE_HASH_MORE && c->journal.writing != WRITING_OFF)
        return;
    if (state == STORE_HASH_DONE)
        store_hash_keep(k->hash);
    k->hash = store_hash_end(k->hash);
    k->moved = true;
}

void compaction_asked(struct core *c, tn_rev revision)
{
    c->compaction.asked = revision;
}

static void trim_some(struct core *c)
{
    struct compaction *k = &c->compaction;
    tn_seq seqs[TRIM_SLICE];
    size_t slice = 2 * k->n_sent > TRIM_SLICE ? 2 * k->n_sent : TRIM_SLICE;
    size_t room = doomed_room(&k->doomed);
    slice = slice < room ? slice : room;
    for (size_t n = 1; slice > 0 && n > 0; slice -= n) {
        n = store_trim(c->store, slice < TRIM_SLICE ? slice : TRIM_SLICE, seqs);
        for (size_t i = 0; i < n; i++)
            doomed_add(&k->doomed, seqs[i]);
    }
    k->moved = false;
}

static void line_up(struct core *c)
{
    struct compaction *k = &c->compaction;
    bool more = has_work(c);
    while (k->n_deletes < DELETES_MAX && k->doomed.n > (more ? GATHERED : 0))
        k->deletes[k->n_deletes++] = doomed_take(&k->doomed);
}

static void trim(struct core *c)
{
    if (c->journal.in_flight || snapshots_hold_deletes(c))
        return; /* the array is lent to the batch under way */
    if (has_work(c))
        trim_some(c);
    line_up(c);
}

static bool is_off(const struct core *c)
{
    return c->config.retention_ms < 0 && c->config.retention_revs == 0;
}

/* By revisions: none for the first five minutes. */
static bool is_due(struct core *c, tn_ms now)
{
    struct compaction *k = &c->compaction;
    tn_ms step = c->config.retention_revs ? CHECK_REVS_MS : CHECK_MS;
    bool waits = c->config.retention_revs && k->next_check == 0;
    if (is_off(c) || now < k->next_check)
        return false;
    k->next_check = now + step;
    return !waits;
}

static tn_rev policy(struct core *c, tn_ms now)
{
    if (c->config.retention_revs == 0)
        return store_auto_compact(c->store, now, c->config.retention_ms);
    tn_rev upto = store_revision(c->store) - c->config.retention_revs;
    if (upto > store_compacted(c->store))
        return upto;
    store_compact_rows(c->store); /* what makes rows and no revision */
    return 0;
}

static void check_policy(struct core *c, tn_ms now)
{
    if (!is_due(c, now))
        return;
    if (journal_refuses(c, WRITE_FREES, now) != ETCD_OK)
        return; /* the policy may plan a row by itself: nothing may be planned that is not tried */
    tn_rev upto = policy(c, now);
    struct compact_resp resp;
    tn_seq seq;
    enum etcd_error e = ETCD_OK;
    if (upto > 0)
        e = store_compact(c->store, &(struct compact_req){.revision = upto}, &resp, &seq);
    if (e == ETCD_OK)
        journal_planned(c, WRITE_FREES);
}

void compaction_run(struct core *c, tn_ms now)
{
    check_policy(c, now);
    hash_some(c);
    trim(c);
    settle(c);
    c->compaction.finished = !has_work(c) && !c->compaction.hash;
}

void compaction_committed(struct core *c)
{
    tn_rev compacted = store_compacted(c->store);
    if (compacted == c->compaction.compacted)
        return;
    struct compaction *k = &c->compaction;
    if (k->asked == compacted && k->finished && !k->hash)
        k->hash = store_hash_begin_compaction(c->store, k->compacted);
    k->compacted = compacted;
    k->moved = true;
}

void compaction_fini(struct compaction *k)
{
    k->hash = store_hash_end(k->hash);
}

/* Many writes take twice as many along: garbage must not grow faster than it goes. */
size_t compaction_share(const struct core *c, size_t n_rows)
{
    size_t share = n_rows == 0 ? DELETES_ALONE : DELETES_BESIDE;
    if (snapshots_hold_deletes(c))
        return 0;
    if (share < 2 * n_rows)
        share = 2 * n_rows;
    return share < c->compaction.n_deletes ? share : c->compaction.n_deletes;
}

/* The first n of deletes are gone from the log. */
void compaction_sent(struct core *c, size_t n)
{
    struct compaction *k = &c->compaction;
    memmove(k->deletes, k->deletes + n, (k->n_deletes - n) * sizeof k->deletes[0]);
    k->n_deletes -= n;
    k->n_sent = n;
    settle(c);
}

void compaction_give_up(struct core *c)
{
    settle(c);
}

tn_ms compaction_deadline(const struct core *c)
{
    const struct compaction *k = &c->compaction;
    bool deletes_wait = c->journal.in_flight || snapshots_hold_deletes(c);
    if (has_work(c) && doomed_room(&k->doomed) > 0 && !deletes_wait)
        return c->now;
    if (k->hash || (!list_empty(&k->physical) && compaction_is_done(c)))
        return c->now;
    if (c->journal.writing == WRITING_FULL && has_deletes(k) && !deletes_wait)
        return journal_ready_at(c, WRITE_FREES);
    return is_off(c) ? TN_MS_NEVER : k->next_check;
}
