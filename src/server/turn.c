/* The turn, as core.h asks for it: the time first, what arrived (bytes come by conn.c, outcomes here), the engines, the next
 * batch, one write a connection, one timer.
 *
 * A single write is committed here, on the loop, when the writer has nothing to do and nothing else has arrived: handing it
 * over costs more than the wait. The replies of reads leave before it. Everything else goes to the writer thread, and what
 * arrives meanwhile makes the next batch.
 *
 * When another write is sure to come at once (core_expects_write), the batch is held up for it, for less than a commit takes: so
 * the release of a lock does not wait until the one who had it before has committed his next place in the queue.
 */
#include <inttypes.h>

#include "server/internal.h"

tn_ms turn_begin(struct server *s)
{
    tn_ms now = io_now(s->loop);
    if (!s->in_turn) {
        s->in_turn = true;
        core_turn(s->core, now);
    }
    return now;
}

/* ---- output ---- */

/* What somebody waits for. */
static void flush_urgent(struct server *s, tn_ms now)
{
    struct core_conn *dirty;
    while ((dirty = core_next_urgent(s->core))) {
        struct conn *c = core_conn_user(dirty);
        list_remove(&c->in_again);
        conn_flush(c, now);
    }
}

static void flush(struct server *s, tn_ms now)
{
    struct list again;
    struct core_conn *dirty;
    list_init(&again);
    list_splice_back(&again, &s->again);
    while ((dirty = core_next_dirty(s->core))) {
        struct conn *c = core_conn_user(dirty);
        list_remove(&c->in_again);
        conn_flush(c, now);
    }
    while (!list_empty(&again)) {
        struct conn *c = LIST_ENTRY(again.next, struct conn, in_again);
        list_remove(&c->in_again);
        conn_flush(c, now);
    }
}

/* ---- the log ---- */

static void log_failure(struct server *s, const struct backend_result *result)
{
    if (result->outcome != BACKEND_APPLIED)
        log_write(&s->log, LOG_ERROR, "commit failed", "applied=%s error=\"%s\"",
                  result->outcome == BACKEND_NOT_APPLIED ? "no" : "maybe", result->error.text);
}

static void written(struct server *s, const struct backend_result *result, tn_ms now)
{
    static const enum core_outcome outcomes[] = {
        [BACKEND_APPLIED] = CORE_APPLIED,
        [BACKEND_NOT_APPLIED] = CORE_NOT_APPLIED,
        [BACKEND_MAYBE_APPLIED] = CORE_MAYBE_APPLIED,
    };
    log_failure(s, result);
    numbers_batch(s, result);
    s->commit_us += (result->took_us - s->commit_us) / 8;
    core_written(s->core, outcomes[result->outcome], result->seq, now);
}

static void take_outcome(struct server *s, tn_ms now)
{
    struct backend_result result;
    if (backend_take(s->backend, &result))
        written(s, &result, now);
}

static struct backend_batch to_backend(struct server *s, const struct core_batch *b)
{
    s->numbers.batch_rows += b->n_rows;
    return (struct backend_batch){
        .rows = b->rows, .n_rows = b->n_rows, .deletes = b->deletes, .n_deletes = b->n_deletes};
}

static void commit_here(struct server *s, tn_ms now)
{
    struct core_batch batch;
    struct backend_result result;
    flush_urgent(s, now);
    if (!core_batch(s->core, &batch, BATCH_ROWS_MAX))
        return;
    struct backend_batch rows = to_backend(s, &batch);
    backend_commit_now(s->backend, &rows, &result);
    written(s, &result, now);
    core_run(s->core, now);
}

/* Waits until something arrives, which the next turn looks at; false: nothing did, or nobody is waited for. */
static bool hold_up(struct server *s, tn_ms now)
{
    if (!core_batch_waits(s->core) || !core_expects_write(s->core))
        return false;
    int64_t us = io_clock_us(), most = s->commit_us < HOLD_UP_US_MAX ? s->commit_us : HOLD_UP_US_MAX;
    if (most == 0) /* nothing was committed yet */
        return false;
    if (!s->held_up_until_us)
        s->held_up_until_us = us + most;
    flush_urgent(s, now);
    if (us < s->held_up_until_us && io_loop_await_input(s->loop, s->held_up_until_us - us)) {
        io_turn_request(s->loop);
        return true;
    }
    core_expected_in_vain(s->core);
    return false;
}

static void commit(struct server *s, tn_ms now)
{
    struct core_batch batch;
    if (!backend_idle(s->backend) || hold_up(s, now))
        return;
    bool was_held_up = s->held_up_until_us != 0;
    s->held_up_until_us = 0;
    bool alone = (was_held_up || core_batch_is_single(s->core)) && !io_loop_has_input(s->loop);
    if (alone && !backend_is_defragmenting(s->backend)) {
        commit_here(s, now);
    } else if (core_batch(s->core, &batch, BATCH_ROWS_MAX)) {
        /* The writer reads the rows until the outcome is taken; the two arrays belong to store and core. */
        struct backend_batch rows = to_backend(s, &batch);
        backend_submit(s->backend, &rows);
    }
}

int turn_commit_first(struct server *s, struct tenure_error *err)
{
    struct core_batch batch;
    struct backend_result result;
    while (core_batch(s->core, &batch, BATCH_ROWS_MAX)) {
        struct backend_batch rows = to_backend(s, &batch);
        backend_commit_now(s->backend, &rows, &result);
        if (result.outcome != BACKEND_APPLIED) {
            *err = result.error;
            return error_wrap(err, "%s: the first write failed", s->config.data_dir);
        }
        core_written(s->core, CORE_APPLIED, result.seq, io_now(s->loop));
    }
    return 0;
}

/* ---- giving room back ---- */

static void look_after_defragment(struct server *s, tn_ms now)
{
    int code;
    struct tenure_error error;
    if (backend_take_defragmented(s->backend, &code, &error)) {
        core_set_file_size(s->core, backend_size(s->backend), backend_size_in_use(s->backend));
        core_defragmented(s->core, code ? error.text : NULL, now);
    }
    if (core_wants_defragment(s->core))
        backend_defragment(s->backend);
}

/* ---- once a second ---- */

static void make_room(struct server *s, tn_ms now)
{
    if (core_wants_room(s->core) && backend_release_ballast(s->backend)) {
        log_write(&s->log, LOG_WARN, "no room on the disk: the ballast is released for revokes and compaction",
                  "dir=%s", s->config.data_dir);
        core_ballast(s->core, true, now);
    }
}

/* The ballast is back: there is room again, also for writes that only grow. */
static void look_after_room(struct server *s, tn_ms now)
{
    if (!core_is_full(s->core))
        return;
    if (backend_has_ballast(s->backend))
        core_ballast(s->core, false, now);
    else
        backend_restore_ballast(s->backend);
}

static void each_second(struct server *s, tn_ms now)
{
    if (now < s->next_second)
        return;
    s->next_second = now + 1000;
    core_set_file_size(s->core, backend_size(s->backend), backend_size_in_use(s->backend));
    look_after_room(s, now);
    http1_check(s, now);
}

/* ---- the end ---- */

static void check_unused(struct server *s, tn_ms now)
{
    if (!unused_check(s, now))
        return;
    log_write(&s->log, LOG_INFO, "nobody needs the server any more", "unused_ms=%" PRId64, s->config.stop_unused_ms);
    server_begin_stop(s);
}

static void check_drained(struct server *s, tn_ms now)
{
    if (s->stopping && (now >= s->drain_until || (core_drained(s->core) && conn_all_written(s))))
        io_loop_stop(s->loop);
}

static void arm(struct server *s, tn_ms now)
{
    tn_ms at = core_deadline(s->core);
    if (s->stopping && s->drain_until < at)
        at = s->drain_until;
    if (s->unused.at < at && !s->stopping)
        at = s->unused.at;
    if (s->config.on_turn && s->hook_at < at)
        at = s->hook_at;
    if (at <= now)
        io_turn_request(s->loop);
    else
        io_timer_set(s->timer, at);
}

void turn_run(void *user, tn_ms now)
{
    struct server *s = user;
    turn_begin(s);
    take_outcome(s, now);
    core_run(s->core, now);
    if (s->config.on_turn)
        s->hook_at = s->config.on_turn(s->config.user, now);
    commit(s, now);
    make_room(s, now);
    look_after_defragment(s, now);
    flush(s, now);
    each_second(s, now);
    conn_check_lingering(s, now);
    notify_watchdog(s, now);
    check_unused(s, now);
    check_drained(s, now);
    arm(s, now);
    s->in_turn = false;
}
