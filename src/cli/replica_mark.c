/* The file in a replica's directory that says what it is a copy of, and whether only somebody may read it. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli/replica.h"

#define PATH_SIZE REPLICA_PATH_SIZE
#define USERS_ON  "users=on\n"

const char *replica_mark(uint64_t cluster, bool users, char *out)
{
    snprintf(out, REPLICA_MARK_SIZE, "source=%016" PRIx64 "\n%s", cluster, users ? USERS_ON : "");
    return out;
}

int replica_mark_read(const char *dir, uint64_t *ret_cluster, bool *ret_users, struct tenure_error *err)
{
    char path[PATH_SIZE], text[REPLICA_MARK_SIZE] = "";
    if (snprintf(path, sizeof path, "%s/%s", dir, BACKEND_REPLICA) >= (int)sizeof path)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return error_set(err, TENURE_ECONFLICT, "%s holds data of a server, and no copy: name another directory", dir);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    int rc = n < 0 ? error_errno(err, errno, "%s", path) : 0;
    if (rc == 0 && sscanf(text, "source=%" SCNx64, ret_cluster) != 1)
        rc = error_set(err, TENURE_ECORRUPT, "%s does not say what this is a copy of", path);
    *ret_users = strstr(text, USERS_ON) != NULL;
    if (fd >= 0)
        close(fd);
    return rc;
}

/* Written beside and renamed: without it the directory would pass for a server's. */
int replica_mark_users(const char *dir, uint64_t cluster, struct tenure_error *err)
{
    char path[PATH_SIZE], fresh[PATH_SIZE], text[REPLICA_MARK_SIZE];
    bool is_marked = false;
    int rc = replica_mark_read(dir, &cluster, &is_marked, err);
    if (rc || is_marked)
        return rc;
    ssize_t len = (ssize_t)strlen(replica_mark(cluster, true, text));
    if (snprintf(path, sizeof path, "%s/%s", dir, BACKEND_REPLICA) >= (int)sizeof path ||
        snprintf(fresh, sizeof fresh, "%s/%s.new", dir, BACKEND_REPLICA) >= (int)sizeof fresh)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0 && rename(fresh, path) == 0;
    rc = ok ? 0 : error_errno(err, errno, "%s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}
