/* What a backend that was killed at any moment can have left in its directory: the log, the one being made beside it, what SQLite keeps
 * next to either, and the small files around them. */
#include <stdio.h>
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

void backend_remove(const char *path)
{
    static const char *const logs[] = {DB_FILE, DB_FILE_NEW};
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    static const char *const others[] = {
        "lock", "leases", "leases.new", "ballast", BACKEND_UNFINISHED, BACKEND_REPLICA, BACKEND_REPLICA ".new"};
    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        for (size_t j = 0; j < ARRAY_LEN(suffixes); j++)
            remove_in(path, logs[i], suffixes[j]);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        remove_in(path, others[i], "");
    (void)rmdir(path);
}
