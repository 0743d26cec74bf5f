/* The directory of a replica: a data directory like a server's with a file in it that names the source's cluster, so that no server
 * writes there and no other source is followed.
 *
 * The first copy is the source's snapshot: the whole history that it has. When the source has compacted what a copy lacks, a new one
 * is made beside (DIR.next) while the old one is served, and takes its place; what differs between the two is what happened in
 * between, deletes too, and everything up to the source's compaction is compacted here as well.
 *
 * Killed anywhere it goes on: a half copy has another name, and the two change places in one step.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli/replica.h"
#include "cli/snapshot.h"

#define PATH_SIZE 4096

/* DIR without slashes at its end, and what. */
static int beside(const char *dir, const char *what, char *out, struct tenure_error *err)
{
    size_t len = strlen(dir);
    while (len > 1 && dir[len - 1] == '/')
        len--;
    int n = snprintf(out, PATH_SIZE, "%.*s%s", (int)len, dir, what);
    return n > 0 && n < PATH_SIZE ? 0 : error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
}

static bool has(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    int n = snprintf(path, sizeof path, "%s/%s", dir, name);
    return n > 0 && n < PATH_SIZE && access(path, F_OK) == 0;
}

/* ---- the mark ---- */

static int read_mark(const char *dir, uint64_t *ret_cluster, struct tenure_error *err)
{
    char path[PATH_SIZE], text[64] = "";
    if (snprintf(path, sizeof path, "%s/%s", dir, BACKEND_REPLICA) >= (int)sizeof path)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, TENURE_ECONFLICT, "%s holds data of a server, and no copy: name another directory", dir);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    int rc = n < 0 ? error_errno(err, errno, "%s", path) : 0;
    if (rc == 0 && sscanf(text, "source=%" SCNx64, ret_cluster) != 1)
        rc = error_set(err, TENURE_ECORRUPT, "%s does not say what this is a copy of", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

/* ---- a copy ---- */

static int first_answer(tenure_client *c, size_t *ret_endpoint, uint64_t *ret_cluster, struct tenure_error *err)
{
    struct tenure_status *status = NULL;
    int rc = TENURE_EUNAVAILABLE;
    for (size_t i = 0; rc && i < tenure_endpoints(c); i++) {
        rc = tenure_status(c, i, 0, &status, err);
        *ret_endpoint = i;
    }
    if (rc)
        return rc;
    *ret_cluster = status->cluster_id;
    tenure_status_free(status);
    return 0;
}

/* A replica holds keys for whoever reaches it: who may read what, it does not know. */
static int check_open(tenure_client *c, struct tenure_error *err)
{
    bool enabled = false;
    int rc = tenure_auth_status(c, &enabled, NULL, err);
    if (rc == TENURE_EUNIMPLEMENTED) { /* etcd 3.4: listing users is refused where it matters */
        struct tenure_names *users = NULL;
        rc = tenure_user_list(c, &users, err);
        tenure_names_free(users);
        enabled = rc == TENURE_EDENIED;
        rc = enabled ? 0 : rc;
    }
    if (rc == 0 && enabled)
        return error_set(err, TENURE_ECONFLICT,
                         "the source has authentication on, and a replica would answer anybody: that is not supported");
    return rc;
}

/* Which server would give the snapshot; TENURE_ECONFLICT, TENURE_EDENIED: it is not to be copied, now or later. */
static int check_source(tenure_client *c, uint64_t wanted, size_t *ret_endpoint, uint64_t *ret_cluster,
                        struct tenure_error *err)
{
    int rc = first_answer(c, ret_endpoint, ret_cluster, err);
    if (rc == 0 && wanted && wanted != *ret_cluster)
        rc = error_set(err, TENURE_ECONFLICT,
                       "the source is cluster %016" PRIx64 " now, and this is a copy of %016" PRIx64, *ret_cluster,
                       wanted);
    return rc ? rc : check_open(c, err);
}

bool replica_is_refused(tenure_client *c, uint64_t cluster, struct tenure_error *err)
{
    size_t endpoint;
    uint64_t is;
    int rc = check_source(c, cluster, &endpoint, &is, err);
    if (rc == TENURE_EDENIED)
        rc = error_set(err, TENURE_ECONFLICT, "the source has authentication on, and a replica would answer anybody");
    return rc == TENURE_ECONFLICT;
}

static int copy_into(const char *dir, const char *name, tenure_client *c, uint64_t wanted, uint64_t *ret_cluster,
                     struct tenure_error *err)
{
    char file[PATH_SIZE], note[64];
    struct snapshot_summary summary;
    struct snapshot_into into = {.dir = dir, .name = name, .replica = note};
    size_t endpoint = 0;
    int rc = check_source(c, wanted, &endpoint, ret_cluster, err);
    if (rc == 0)
        rc = beside(dir, ".copy", file, err);
    if (rc == 0)
        rc = snapshot_fetch(c, endpoint, file, NULL, NULL, err);
    if (rc)
        return rc;
    snprintf(note, sizeof note, "source=%016" PRIx64 "\n", *ret_cluster);
    rc = snapshot_restore_into(&into, file, &summary, err);
    (void)unlink(file);
    return rc;
}

int replica_prepare(const char *dir, const char *name, tenure_client *c, uint64_t *ret_cluster,
                    struct tenure_error *err)
{
    if (!has(dir, "tenure.db"))
        return copy_into(dir, name, c, 0, ret_cluster, err);
    return read_mark(dir, ret_cluster, err);
}

/* ---- the next one ---- */

/* Files of ours only. */
static void remove_copy(const char *dir)
{
    static const char *const names[] = {"tenure.db",         "tenure.db-wal", "tenure.db-shm", "tenure.db.new",
                                        "tenure.db.new-wal", "lock",          "leases",        "ballast",
                                        "snapshot.tmp",      BACKEND_REPLICA};
    char file[PATH_SIZE];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (snprintf(file, sizeof file, "%s/%s", dir, names[i]) < (int)sizeof file)
            (void)unlink(file);
    }
    (void)rmdir(dir);
}

int replica_copy_beside(const char *dir, const char *name, tenure_client *c, uint64_t cluster, struct tenure_error *err)
{
    char next[PATH_SIZE];
    int rc = beside(dir, ".next", next, err);
    if (rc)
        return rc;
    remove_copy(next);
    return copy_into(next, name, c, cluster, &cluster, err);
}

int replica_take_beside(const char *dir, struct tenure_error *err)
{
    char next[PATH_SIZE];
    int rc = beside(dir, ".next", next, err);
    if (rc)
        return rc;
    if (renameat2(AT_FDCWD, next, AT_FDCWD, dir, RENAME_EXCHANGE) == 0) {
        remove_copy(next);
        return 0;
    }
    if (errno != EINVAL && errno != ENOSYS)
        return error_errno(err, errno, "%s and %s cannot change places", dir, next);
    remove_copy(dir); /* a file system that cannot exchange: killed in between, the next run copies anew */
    if (rename(next, dir) < 0)
        return error_errno(err, errno, "%s cannot take the place of %s", next, dir);
    return 0;
}
