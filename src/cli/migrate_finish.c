/* The end of a migration: nobody writes to the source any more, both sides are compared, and the directory is let go.
 *
 * Happy path: the source is closed; what it was given until then comes through the watch; leases are matched, now exactly, and users
 * and roles where they were changed; the compaction that lies on the source is made here too, because HashKV depends on it; HashKV
 * of the source at its newest revision, which must be ours; HashKV of what a server would make of our log; equal: the mark is
 * taken off the directory.
 *
 * Failure modes: the source has gone on (somebody writes, a lease ran out): followed again. The hashes differ, a key names a lease that
 * is not there: told, the source is opened again if we had closed it, and the directory stays unfinished. */
#include <inttypes.h>
#include <stdio.h>

#include "cli/migrate.h"
#include "io/loop.h"

enum { STANDS_MS = 2000 }; /* so long must a source that is only said to have no writers have had none */

/* ---- closing ---- */

int migrate_drain(struct migrate *m)
{
    int rc = migrate_source_is_closed(&m->source, &m->was_closed, &m->err);
    if (rc == 0 && m->o->close_source && !m->was_closed) {
        rc = migrate_source_close(&m->source, m->member, &m->err);
        m->closed = rc == 0 || m->err.applied != TENURE_APPLIED_NO;
    }
    if (rc == 0)
        rc = migrate_ask_revision(m);
    m->draining = rc == 0;
    m->until = m->newest;
    return rc;
}

void migrate_reopen(struct migrate *m)
{
    struct tenure_error err = {0};
    if (m->closed) {
        m->closed = false;
        if (migrate_source_open(&m->source, m->member, &err) == 0)
            fputs("tenure migrate: the source takes writes again\n", stderr);
        else
            fprintf(stderr, "tenure migrate: the source is still closed to writers (%s)\ntry: tenure alarm disarm\n",
                    err.text);
    } else if (m->was_closed) {
        fputs("tenure migrate: the source had the alarm CORRUPT, and still has: it takes no writes\n"
              "try: tenure alarm disarm, if that is from a migration that did not end\n",
              stderr);
    }
}

/* ---- comparing ---- */

static bool is_quiet(const struct migrate *m)
{
    bool cannot_write = m->closed || m->was_closed;
    return m->newest == migrate_target_revision(&m->target) &&
           (cannot_write || io_clock() - m->stands_since >= STANDS_MS);
}

static int check_leases(struct migrate *m)
{
    size_t left = 0;
    int rc = migrate_match_leases(m, &left);
    if (rc == 0)
        rc = migrate_ask_revision(m);
    if (rc || left == 0 || m->newest > migrate_target_revision(&m->target))
        return rc;
    return error_set(
        &m->err, TENURE_ECONFLICT,
        "%zu leases that keys name are not known to the source, so those keys would vanish: put them again "
        "without a lease",
        left);
}

/* Ours, and the source's at the same revision. */
static int compare(struct migrate *m, const struct tenure_hash_kv *theirs)
{
    uint32_t ours = 0;
    int rc = migrate_target_compact(&m->target, theirs->compact_revision, &m->err);
    if (rc == 0)
        rc = migrate_target_disarm(&m->target, &m->err);
    if (rc == 0)
        rc = migrate_target_hash(&m->target, &ours, &m->err);
    if (rc)
        return rc;
    if (ours != theirs->hash)
        return error_set(&m->err, TENURE_ECORRUPT,
                         "at revision %" PRId64 " the hash of the copy is %" PRIu32 ", of the source %" PRIu32
                         ": they differ; remove the new directory and begin again",
                         theirs->revision, ours, theirs->hash);
    m->hash = ours;
    return 0;
}

int migrate_finish(struct migrate *m)
{
    struct tenure_hash_kv theirs = {0};
    int64_t revision = migrate_target_revision(&m->target);
    if (!is_quiet(m))
        return 0;
    int rc = check_leases(m);
    if (rc == 0)
        rc = migrate_match_users(m);
    if (rc == 0)
        rc = migrate_source_hash(&m->source, &theirs, &m->err);
    /* A member that lags answers for an older revision, one that went on for a newer: asked again in the next round. */
    if (rc || theirs.revision != revision)
        return rc;
    rc = compare(m, &theirs);
    if (rc == 0)
        rc = migrate_ask_revision(m);
    if (rc == 0 && m->newest != revision)
        rc = error_set(&m->err, TENURE_ECONFLICT,
                       "the source went on to revision %" PRId64
                       " while it was compared: stop all writers, and run it again",
                       m->newest);
    if (rc)
        return rc;
    m->leases = store_leases(m->target.store);
    rc = migrate_target_finish(&m->target, &m->err);
    m->finished = rc == 0;
    return rc;
}
