/* What lies in a replica's directory besides the copy that is served, and how a new copy takes its place.
 *
 *     DIR/tenure.db …    the copy, as a server's data; DIR/replica names the source's cluster
 *     DIR/copy/          a new one being made: snapshot (as it comes), data.restoring, and data once it is whole
 *     DIR/next/          one that is whole and takes the place: from its name on it is the copy
 *
 * All of it is inside DIR, which may be a mount point or have a parent that cannot be written. The change is a row of renames, each of
 * which may be the last thing before a crash: whoever opens the directory next finds DIR/next and does the rest. What is found in
 * DIR/copy then was left half made, and goes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli/replica.h"
#include "io/file.h"

#define PATH_SIZE REPLICA_PATH_SIZE

/* The longest of our names behind it fits as well: looked at once, in replica_lock. */
static const char *in(const char *dir, const char *name, char *out)
{
    int n = snprintf(out, PATH_SIZE, "%s/%s", dir, name);
    return n > 0 && n < PATH_SIZE ? out : "";
}

static bool has(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    return access(in(dir, name, path), F_OK) == 0;
}

bool replica_has_copy(const char *dir)
{
    return has(dir, "tenure.db") || has(dir, "next/tenure.db");
}

/* ---- the lock ---- */

static int busy(const char *dir, int fd, struct tenure_error *err)
{
    char text[64] = "";
    long pid = 0;
    if (pread(fd, text, sizeof text - 1, 0) > 0 && sscanf(text, "pid=%ld", &pid) == 1)
        return error_set(err, TENURE_EBUSY, "data directory %s is in use by process %ld", dir, pid);
    return error_set(err, TENURE_EBUSY, "data directory %s is in use by another process", dir);
}

/* The one that a server takes. */
int replica_lock(const char *dir, int *ret_fd, struct tenure_error *err)
{
    char path[PATH_SIZE];
    if (strlen(dir) > PATH_SIZE - 100)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    int fd = open(in(dir, "lock", path), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return error_errno(err, errno, "%s", path);
    int rc = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        rc = errno == EWOULDBLOCK ? busy(dir, fd, err) : error_errno(err, errno, "%s", path);
    if (rc)
        close(fd);
    else
        *ret_fd = fd;
    return rc;
}

/* ---- removing ---- */

static void remove_file(const char *dir, const char *name)
{
    char path[PATH_SIZE];
    (void)unlink(in(dir, name, path));
}

void replica_clean(const char *dir)
{
    static const char *const halves[] = {"copy/data.restoring", "copy/data"};
    static const char *const files[] = {"copy/snapshot", "copy/snapshot.part"};
    char path[PATH_SIZE];
    for (size_t i = 0; i < sizeof halves / sizeof halves[0]; i++)
        backend_remove(in(dir, halves[i], path));
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        remove_file(dir, files[i]);
    (void)rmdir(in(dir, "copy", path));
}

/* ---- a place for a new one ---- */

int replica_place(const char *dir, struct replica_place *ret, struct tenure_error *err)
{
    char path[PATH_SIZE];
    replica_clean(dir);
    if (mkdir(in(dir, "copy", path), 0700) < 0)
        return error_errno(err, errno, "%s", path);
    in(dir, "copy/snapshot", ret->snapshot);
    in(dir, "copy/data", ret->data);
    return 0;
}

static bool is_known(const char *name)
{
    static const char *const known[] = {".", "..", "lost+found", "lock", "copy", "next"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(name, known[i]) == 0)
            return true;
    }
    return false;
}

/* Somebody else's files are not for us to lie among. */
static int check_empty(const char *dir, struct tenure_error *err)
{
    DIR *d = opendir(dir);
    if (!d)
        return error_errno(err, errno, "data directory %s", dir);
    bool empty = true;
    for (struct dirent *e; empty && (e = readdir(d));)
        empty = is_known(e->d_name);
    closedir(d);
    return empty ? 0 : error_set(err, TENURE_EEXISTS, "%s is there and not empty: name a new data directory", dir);
}

int replica_make_directory(const char *dir, struct tenure_error *err)
{
    if (mkdir(dir, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "data directory %s cannot be made", dir);
    return check_empty(dir, err);
}

/* ---- the change ---- */

static int sync_directory(const char *dir, struct tenure_error *err)
{
    return io_sync_directory(dir) < 0 ? error_errno(err, errno, "data directory %s: sync", dir) : 0;
}

static int move(const char *dir, const char *from, const char *to, struct tenure_error *err)
{
    char a[PATH_SIZE], b[PATH_SIZE];
    if (rename(in(dir, from, a), in(dir, to, b)) == 0)
        return 0;
    return error_errno(err, errno, "%s cannot take the place of %s", a, b);
}

/* The mark first: data without one would pass for a server's. What belongs to the old data goes before the new data come: a log of
 * SQLite's that is not theirs would be read into them. */
int replica_finish(const char *dir, struct tenure_error *err)
{
    static const char *const of_the_old[] = {"tenure.db-wal",     "tenure.db-shm", "tenure.db.new",
                                             "tenure.db.new-wal", "leases",        "ballast"};
    char path[PATH_SIZE];
    int rc = 0;
    if (!has(dir, "next"))
        return 0;
    if (has(dir, "next/" BACKEND_REPLICA))
        rc = move(dir, "next/" BACKEND_REPLICA, BACKEND_REPLICA, err);
    if (rc == 0 && has(dir, "next/tenure.db")) {
        for (size_t i = 0; i < sizeof of_the_old / sizeof of_the_old[0]; i++)
            remove_file(dir, of_the_old[i]);
        rc = sync_directory(dir, err);
        if (rc == 0)
            rc = move(dir, "next/tenure.db", "tenure.db", err);
    }
    if (rc == 0)
        rc = sync_directory(dir, err);
    if (rc == 0)
        backend_remove(in(dir, "next", path));
    return rc;
}

int replica_take(const char *dir, struct tenure_error *err)
{
    struct stat st;
    char path[PATH_SIZE];
    int rc = replica_finish(dir, err);
    if (rc)
        return rc;
    if (stat(in(dir, "copy/data/tenure.db-wal", path), &st) == 0 && st.st_size > 0)
        return error_set(err, TENURE_EINTERNAL, "%s: the new copy is not closed", path);
    rc = move(dir, "copy/data", "next", err);
    if (rc == 0)
        rc = sync_directory(dir, err);
    if (rc == 0)
        rc = replica_finish(dir, err);
    replica_clean(dir);
    return rc;
}
