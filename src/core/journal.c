/* Batches for the log, and what their outcome means.
 *
 *     ON ----no room----> FULL ----a write went through----> ON
 *      \                   |
 *       `--the disk failed-+--> OFF (read only until the process is restarted)
 *
 * FULL: the undone calls have answered NO_SPACE, and so do further ones, but for one try a second. Writes that free room in
 * the end (revokes, expiries, deletes, compactions) are tried by a clock of their own, and the driver is asked for its
 * ballast when one of them failed; while the ballast is out, the room belongs to them alone.
 *
 * OFF: whether the last batch is on disk is not known. Reads go on from what is durable for certain. Leases whose end was
 * in that batch are not renewed any more: after a restart they may turn out to be gone, and a renewal answered now would
 * have promised otherwise.
 */
#include "core/call.h"
#include "core/waiter.h"

/* ---- planning ---- */

/* What the store planned before there was a core (an empty log's identity) is no lone write. */
void journal_begin(struct core *c)
{
    c->journal.planned = store_seq_planned(c->store);
    c->journal.commands = store_outbox_empty(c->store) ? 0 : 2;
}

void journal_planned(struct core *c, enum write_kind kind)
{
    struct journal *j = &c->journal;
    tn_seq planned = store_seq_planned(c->store);
    if (planned == j->planned)
        return;
    j->planned = planned;
    j->commands++;
    if (kind == WRITE_FREES)
        j->frees_planned = true;
    if (j->writing == WRITING_FULL && kind == WRITE_GROWS)
        j->probe_at = c->now + CORE_PROBE_MS;
}

tn_ms journal_ready_at(const struct core *c, enum write_kind kind)
{
    const struct journal *j = &c->journal;
    if (j->writing == WRITING_ON)
        return c->now;
    if (j->writing == WRITING_OFF)
        return TN_MS_NEVER;
    if (kind == WRITE_FREES)
        return j->free_probe_at;
    return j->ballast_out ? TN_MS_NEVER : j->probe_at;
}

enum etcd_error journal_refuses(struct core *c, enum write_kind kind, tn_ms now)
{
    if (c->journal.writing == WRITING_ON)
        return ETCD_OK;
    if (c->journal.writing == WRITING_OFF)
        return ETCD_READ_ONLY;
    return now >= journal_ready_at(c, kind) ? ETCD_OK : ETCD_NO_SPACE;
}

/* ---- batches ---- */

/* On a full disk deletes wait for the next try instead of failing in a circle. */
static bool deletes_ready(const struct core *c)
{
    return c->now >= journal_ready_at(c, WRITE_FREES);
}

bool core_batch(struct core *c, struct core_batch *ret, size_t rows_max)
{
    struct journal *j = &c->journal;
    if (j->in_flight || j->writing == WRITING_OFF)
        return false;
    size_t n = 0;
    const struct record *rows = store_outbox(c->store, rows_max, &n);
    size_t deletes = deletes_ready(c) ? compaction_share(c, n) : 0;
    if (n == 0 && deletes == 0)
        return false;
    j->in_flight = true;
    j->rows = rows;
    j->n_rows = n;
    j->n_deletes_sent = deletes;
    j->in_flight_seq = n ? rows[n - 1].seq : store_seq(c->store);
    /* How many commands a cut batch leaves is not counted: more than one is all that matters. */
    j->commands = store_outbox_empty(c->store) ? 0 : 2;
    *ret = (struct core_batch){rows, n, c->compaction.deletes, j->n_deletes_sent};
    return true;
}

bool core_batch_waits(const struct core *c)
{
    return !c->journal.in_flight && c->journal.writing == WRITING_ON && c->journal.commands > 0;
}

bool core_batch_is_single(const struct core *c)
{
    const struct journal *j = &c->journal;
    return !j->in_flight && j->writing != WRITING_OFF && j->commands == 1 && c->compaction.n_deletes == 0;
}

/* ---- outcomes ---- */

static void applied(struct core *c, tn_seq seq, tn_ms now)
{
    struct journal *j = &c->journal;
    store_commit(c->store, seq);
    if (seq == j->planned)
        j->frees_planned = false;
    if (j->writing == WRITING_FULL && !j->ballast_out) {
        j->writing = WRITING_ON;
        log_write(&c->config.log, LOG_INFO, "the disk has room again", "seq=%lld", (long long)seq);
    }
    compaction_sent(c, j->n_deletes_sent);
    compaction_committed(c);
    gate_open(c, now);
}

static enum etcd_error error_no_space(const struct core *c, tn_seq seq)
{
    (void)c, (void)seq;
    return ETCD_NO_SPACE;
}

/* What was planned behind the batch never reached the disk. */
static enum etcd_error error_maybe(const struct core *c, tn_seq seq)
{
    return seq <= c->journal.in_flight_seq ? ETCD_WRITE_MAYBE : ETCD_READ_ONLY;
}

static void undo(struct core *c, enum etcd_error (*error)(const struct core *c, tn_seq seq), tn_ms now)
{
    struct journal *j = &c->journal;
    store_rollback(c->store);
    j->planned = store_seq_planned(c->store);
    j->commands = 0;
    j->rows = NULL;
    gate_undo(c, error, now);
    waiters_undone(c);
}

static void not_applied(struct core *c, tn_ms now)
{
    struct journal *j = &c->journal;
    if (j->writing == WRITING_ON)
        log_write(&c->config.log, LOG_ERROR, "no room on the disk: writes are refused, tried again once a second",
                  "seq=%lld", (long long)store_seq(c->store));
    j->writing = WRITING_FULL;
    j->probe_at = now + CORE_PROBE_MS;
    j->wants_room = j->frees_planned || j->n_deletes_sent > 0;
    j->free_probe_at = j->wants_room ? now + CORE_PROBE_MS : now;
    j->frees_planned = false;
    undo(c, error_no_space, now);
}

/* Memory short: the renewals of all leases are refused rather than one too many answered. */
static void note_doubtful(struct journal *j)
{
    static char mark;
    for (size_t i = 0; i < j->n_rows; i++) {
        if (j->rows[i].kind == RECORD_LEASE_REVOKE && map_put(&j->doubtful, (uint64_t)j->rows[i].lease, &mark) < 0)
            j->all_doubtful = true;
    }
}

bool journal_doubts(const struct core *c, tn_lease id)
{
    return c->journal.all_doubtful || map_get(&c->journal.doubtful, (uint64_t)id) != NULL;
}

static void maybe_applied(struct core *c, tn_ms now)
{
    struct journal *j = &c->journal;
    log_write(&c->config.log, LOG_ERROR, "the disk failed while committing: read only until restarted",
              "seq=%lld last=%lld", (long long)store_seq(c->store), (long long)j->in_flight_seq);
    j->writing = WRITING_OFF;
    note_doubtful(j);
    undo(c, error_maybe, now);
    compaction_give_up(c);
    health_changed(c);
}

void core_written(struct core *c, enum core_outcome outcome, tn_seq seq, tn_ms now)
{
    struct journal *j = &c->journal;
    j->in_flight = false;
    c->writes_failed_total += outcome != CORE_APPLIED;
    if (outcome == CORE_APPLIED)
        applied(c, seq, now);
    else if (outcome == CORE_NOT_APPLIED)
        not_applied(c, now);
    else
        maybe_applied(c, now);
    j->rows = NULL;
    j->n_rows = 0;
    j->n_deletes_sent = 0;
}

bool core_wants_room(const struct core *c)
{
    return c->journal.writing == WRITING_FULL && c->journal.wants_room;
}

void core_ballast(struct core *c, bool released, tn_ms now)
{
    struct journal *j = &c->journal;
    j->wants_room = false;
    j->ballast_out = released;
    if (released)
        j->free_probe_at = now;
}

bool core_is_full(const struct core *c)
{
    return c->journal.writing == WRITING_FULL;
}

bool core_is_read_only(const struct core *c)
{
    return c->journal.writing == WRITING_OFF;
}

void journal_fini(struct core *c)
{
    map_fini(&c->journal.doubtful);
}
