/* The beginning of a migration: the source's snapshot becomes the directory, or the directory of a run before is opened again.
 *
 * Failure modes: the snapshot is cut or its sum is wrong: nothing is left, and the next run begins anew. The directory is of another
 * source, or holds anything else: refused. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/migrate.h"
#include "cli/snapshot.h"

static void on_bytes(void *user, uint64_t bytes)
{
    migrate_show(user, "copying, %" PRIu64 " MB have come", bytes / 1000000);
}

int migrate_copy_path(const char *dir, char *out, size_t size, struct tenure_error *err)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    int n = snprintf(out, size, "%.*s.copy", (int)len, dir);
    return n > 0 && (size_t)n < size ? 0 : error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
}

static int copy(struct migrate *m)
{
    char path[4096], note[64];
    struct snapshot_summary summary;
    struct snapshot_into into = {.dir = m->o->data_dir, .name = m->o->name, .unfinished = note};
    migrate_target_note(m->cluster, note, sizeof note);
    int rc = migrate_copy_path(m->o->data_dir, path, sizeof path, &m->err);
    if (rc == 0)
        rc = snapshot_fetch(m->calls, m->source.endpoint, path, on_bytes, m, &m->err);
    if (rc == 0) {
        migrate_show(m, "restoring what was copied");
        rc = snapshot_restore_into(&into, path, &summary, &m->err);
        (void)unlink(path);
    }
    migrate_show_end(m);
    return rc;
}

/* The copy must be the source's past: one that was restored from a backup since is another source, whatever its ids. */
static int check_source(struct migrate *m)
{
    if (m->target.source != m->cluster)
        return error_set(&m->err, TENURE_ECONFLICT,
                         "%s is filled from cluster %016" PRIx64 ", and this is cluster %016" PRIx64, m->o->data_dir,
                         m->target.source, m->cluster);
    if (m->newest < migrate_target_revision(&m->target))
        return error_set(&m->err, TENURE_ECONFLICT,
                         "%s has revision %" PRId64 ", and the source only %" PRId64
                         ": it was restored meanwhile; remove the directory and begin again",
                         m->o->data_dir, migrate_target_revision(&m->target), m->newest);
    return 0;
}

int migrate_begin(struct migrate *m)
{
    int rc = migrate_source_ids(&m->source, &m->cluster, &m->member, &m->err);
    if (rc == 0 && snapshot_dir_is_new(m->o->data_dir))
        rc = copy(m);
    if (rc == 0) {
        m->has_target = true;
        rc = migrate_target_open(&m->target, m->o->data_dir, &m->err);
    }
    if (rc == 0)
        rc = migrate_ask_revision(m);
    return rc ? rc : check_source(m);
}
