/* What a backend that was killed at any moment can have left in its directory: the log, the one being made beside it, what SQLite keeps
 * next to either, and the small files around them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <unistd.h>

#include "backend/backend.h"
#include "backend/db.h"
#include "base/types.h"

static void remove_in(const char *path, const char *name, const char *suffix)
{
    char file[4096];
    if (snprintf(file, sizeof file, "%s/%s%s", path, name, suffix) < (int)sizeof file)
        (void)unlink(file);
}

/* The lock, held while the rest goes; -1: there is none. False: another one has it. */
static bool take_lock(const char *path, int *ret_fd)
{
    char file[4096];
    int len = snprintf(file, sizeof file, "%s/lock", path);
    *ret_fd = len < (int)sizeof file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (*ret_fd < 0 || flock(*ret_fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
        return true;
    close(*ret_fd);
    return false;
}

void backend_remove(const char *path)
{
    int fd;
    static const char *const logs[] = {DB_FILE, DB_FILE_NEW};
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    static const char *const others[] = {
        "lock", "leases", "leases.new", "ballast", BACKEND_UNFINISHED, BACKEND_REPLICA, BACKEND_REPLICA ".new"};
    if (!take_lock(path, &fd))
        return;
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        for (size_t j = 0; j < ARRAY_LEN(suffixes); j++)
            remove_in(path, logs[i], suffixes[j]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        remove_in(path, others[i], "");
    (void)rmdir(path);
    if (fd >= 0)
        close(fd);
}
