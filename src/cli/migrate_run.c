/* The loop of a migration: takes what the source tells, writes it, and looks now and then how far the source is by now.
 *
 * Happy path of a round: all batches that wait are planned, revision by revision, and committed at once. A revision that names a lease
 * which is not there yet has it granted before. Leases that no key names are found by comparing the lists every few seconds.
 *
 * Failure modes: the source cannot be reached: waited for. Anything that does not fit (a revision that is missing, a disk that is
 * full): ends with the directory as far as it is on the disk, and the next run goes on from there. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/migrate.h"
#include "cli/output.h"
#include "io/loop.h"

enum {
    ASK_EVERY_MS = 200,
    MATCH_EVERY_MS = 5000,
    SHOW_EVERY_MS = 200,
    WAIT_MS = 50,
    BATCHES_MAX = 1024,
    /* Of a lease that the source has lost already: what names it is followed by its end, and no clock runs here. */
    LOST_LEASE_TTL_S = 60
};
static const size_t COMMIT_BYTES = 8 << 20;

/* ---- on the terminal ---- */

void migrate_show(struct migrate *m, const char *fmt, ...)
{
    va_list args;
    tn_ms now = io_clock();
    if (!isatty(STDERR_FILENO) || now - m->shown_at < SHOW_EVERY_MS)
        return;
    m->shown_at = now;
    fputs("\rtenure migrate: ", stderr);
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputs("\033[K", stderr);
}

void migrate_show_end(struct migrate *m)
{
    if (m->shown_at && isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    m->shown_at = 0;
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "event", .heading = "EVENT", .width = 8},
                                              {.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "finished", .heading = "FINISHED"},
                                              {.path = "hash", .heading = "HASH", .kind = OUTPUT_NUMBER},
                                              {.path = "leases", .heading = "LEASES", .kind = OUTPUT_NUMBER},
                                              {.path = "data_dir", .heading = "DIRECTORY"},
                                              {0}},
};

static void say_in_step(struct migrate *m)
{
    int64_t revision = migrate_target_revision(&m->target);
    if (m->told_in_step)
        return;
    m->told_in_step = true;
    migrate_show_end(m);
    if (!output_is_text(m->g)) {
        json_t *j = json_object();
        json_object_set_new(j, "event", json_string("in-step"));
        json_object_set_new(j, "revision", json_integer(revision));
        output_event(m->g, &form, j);
    } else {
        printf("in step at revision %" PRId64 "\n", revision);
    }
    fflush(stdout);
}

/* ---- writing ---- */

static int grant(struct migrate *m, tn_lease id)
{
    int64_t ttl_s = 0;
    int rc = migrate_source_lease_ttl(&m->source, id, &ttl_s, &m->err);
    if (rc)
        return rc;
    return migrate_target_grant(&m->target, id, ttl_s > 0 ? ttl_s : LOST_LEASE_TTL_S, &m->err);
}

static int apply_revision(struct migrate *m, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        tn_lease id = events[i].type == EVENT_PUT ? events[i].kv.lease : 0;
        int rc = id == 0 || migrate_target_has_lease(&m->target, id) ? 0 : grant(m, id);
        if (rc)
            return rc;
    }
    return migrate_target_revise(&m->target, events, n, &m->err);
}

static int apply(struct migrate *m, const struct migrate_batch *b)
{
    int rc = 0;
    for (size_t at = 0, len; rc == 0 && at < b->n; at += len) {
        len = migrate_revision_len(&b->events[at], b->n - at);
        rc = apply_revision(m, &b->events[at], len);
    }
    return rc;
}

/* All that waits, in one commit; the batches stay until then, because the rows borrow from them. */
static int take(struct migrate *m)
{
    struct migrate_batch *held[BATCHES_MAX];
    size_t n = 0, bytes = 0;
    int rc = 0;
    while (rc == 0 && n < BATCHES_MAX && bytes < COMMIT_BYTES) {
        struct migrate_batch *b = migrate_feed_take(&m->feed, n ? 0 : WAIT_MS, &rc, &m->err);
        if (!b)
            break;
        held[n++] = b;
        bytes += b->bytes;
        rc = apply(m, b);
    }
    if (rc == 0)
        rc = migrate_target_commit(&m->target, &m->err);
    while (n > 0)
        free(held[--n]);
    return rc;
}

/* ---- leases ---- */

static int on_new_lease(void *user, tn_lease id)
{
    struct migrate *m = user;
    int64_t ttl_s = 0;
    int rc = migrate_source_lease_ttl(&m->source, id, &ttl_s, &m->err);
    return rc || ttl_s == 0 ? rc : migrate_target_grant(&m->target, id, ttl_s, &m->err);
}

int migrate_match_leases(struct migrate *m, size_t *ret_left)
{
    struct tenure_lease_list *list = NULL;
    int rc = migrate_source_leases(&m->source, &list, &m->err);
    tn_lease *ids = rc == 0 ? malloc((list->n + 1) * sizeof *ids) : NULL;
    if (rc == 0 && !ids)
        rc = error_set(&m->err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        ids[i] = list->ids[i];
    if (rc == 0)
        rc = migrate_target_match_leases(&m->target, ids, list->n, on_new_lease, m, ret_left, &m->err);
    if (rc == 0)
        rc = migrate_target_commit(&m->target, &m->err);
    free(ids);
    tenure_lease_list_free(list);
    m->matched_at = io_clock();
    return rc;
}

/* ---- the loop ---- */

int migrate_ask_revision(struct migrate *m)
{
    int64_t newest = 0;
    int rc = migrate_source_revision(&m->source, &newest, &m->err);
    if (rc)
        return rc;
    m->asked_at = io_clock();
    if (newest != m->newest)
        m->stands_since = m->asked_at;
    m->newest = newest;
    return 0;
}

/* How far the source is, and what only a list tells. */
static int look(struct migrate *m)
{
    size_t left;
    tn_ms now = io_clock();
    int rc = 0;
    if (now - m->asked_at >= ASK_EVERY_MS)
        rc = migrate_ask_revision(m);
    if (rc == 0 && now - m->matched_at >= MATCH_EVERY_MS)
        rc = migrate_match_leases(m, &left);
    return rc;
}

/* Whether there is nothing left to do. */
static int step(struct migrate *m, bool *ret_done)
{
    int64_t revision = migrate_target_revision(&m->target);
    migrate_show(m, "revision %" PRId64 " of %" PRId64, revision, m->newest > revision ? m->newest : revision);
    *ret_done = false;
    if (m->draining) {
        int rc = revision >= m->until ? migrate_finish(m) : 0;
        *ret_done = m->finished;
        return rc;
    }
    if (revision < m->newest)
        return 0;
    say_in_step(m);
    if (m->o->until_in_step)
        *ret_done = true;
    else if (m->o->close_source || m->o->writers_stopped)
        return migrate_drain(m);
    return 0;
}

static int follow(struct migrate *m)
{
    bool done = false;
    int rc = migrate_feed_open(&m->feed, m->changes, migrate_target_revision(&m->target) + 1, &m->err);
    m->has_feed = true;
    while (rc == 0 && !done && !migrate_source_stopped(&m->source)) {
        rc = take(m);
        if (rc == 0)
            rc = look(m);
        if (rc == 0)
            rc = step(m, &done);
    }
    migrate_show_end(m);
    return rc;
}

/* ---- the command ---- */

static int say_result(struct migrate *m)
{
    int64_t revision = migrate_target_revision(&m->target);
    if (!output_is_text(m->g)) {
        json_t *j = json_object();
        json_object_set_new(j, "event", json_string(m->finished ? "finished" : "stopped"));
        json_object_set_new(j, "data_dir", json_string(m->o->data_dir));
        json_object_set_new(j, "revision", json_integer(revision));
        json_object_set_new(j, "finished", json_boolean(m->finished));
        if (m->finished) {
            json_object_set_new(j, "hash", json_integer(m->hash));
            json_object_set_new(j, "leases", json_integer(m->leases));
            json_object_set_new(j, "source_closed", json_boolean(m->closed || m->was_closed));
        }
        output_event(m->g, &form, j);
    } else if (m->finished) {
        printf("%s is finished at revision %" PRId64 ": hash %" PRIu32 " on both sides, %" PRId64 " leases\n",
               m->o->data_dir, revision, m->hash, m->leases);
        if (m->closed || m->was_closed)
            puts("the source is closed to writers: stop it, then start `tenure serve` on the directory");
    } else {
        printf("stopped at revision %" PRId64 ", not finished: run it again to go on\n", revision);
    }
    return EXIT_OK;
}

/* Who wanted an end and did not get it is told so by the exit code. */
static int end_code(const struct migrate *m)
{
    bool wanted = m->o->until_in_step || m->o->close_source || m->o->writers_stopped || m->o->timeout_ms > 0;
    bool got = m->finished || (m->o->until_in_step && m->told_in_step);
    return got || !wanted ? EXIT_OK : EXIT_AGAIN;
}

static bool ends_by_itself(const struct migrate *m, int rc)
{
    return rc == 0 || (m->source.stopped && (rc == TENURE_EUNAVAILABLE || rc == TENURE_ETIMEOUT));
}

static int work(struct migrate *m)
{
    size_t left;
    int rc = migrate_begin(m);
    if (rc == 0)
        rc = migrate_match_leases(m, &left);
    if (rc == 0)
        rc = follow(m);
    if (!m->finished)
        migrate_reopen(m);
    if (!ends_by_itself(m, rc))
        return connect_failed("migrate", m->g, &m->err);
    if (m->has_target)
        say_result(m);
    return end_code(m);
}

int migrate_run(const struct migrate_options *o, const struct global_options *g)
{
    struct migrate m = {.o = o, .g = g};
    int code;
    wait_init(&m.wait);
    m.calls = connect_open("migrate", g);
    m.changes = m.calls ? connect_open("migrate", g) : NULL;
    m.source = (struct migrate_source){.client = m.calls, .wait = &m.wait, .deadline_ms = INT64_MAX};
    if (o->timeout_ms > 0)
        m.source.deadline_ms = io_clock() + o->timeout_ms;
    code = m.changes ? work(&m) : connect_code();
    if (m.has_feed)
        migrate_feed_close(&m.feed);
    if (m.has_target)
        migrate_target_close(&m.target);
    tenure_close(m.changes);
    tenure_close(m.calls);
    return code;
}
