/* The data directory: made when absent, judged by its file system, and held by one process at a time. Loop thread. */
#ifndef BACKEND_DIR_H
#define BACKEND_DIR_H

#include "base/error.h"

enum { BOOT_ID_SIZE = 40 };

struct dir {
    int fd;                     /* of the directory; -1 when closed */
    int lock_fd;                /* holds the flock */
    char boot_id[BOOT_ID_SIZE]; /* of this boot of the machine; empty when unknown */
};

/* Makes the directory (0700; its parent must be there), refuses network file systems (TENURE_EINVALID) and takes the
 * lock (TENURE_EBUSY, names the pid that has it). On failure ret is as after dir_close. */
int dir_open(struct dir *ret, const char *path, struct tenure_error *err) MUST_USE;
void dir_close(struct dir *d); /* safe to call twice */

/* Makes names that were created, renamed or removed in it durable. */
int dir_sync(const struct dir *d, struct tenure_error *err) MUST_USE;
bool dir_has(const struct dir *d, const char *name);
/* Bytes of a file, 0 when it is not there. Does not open it. */
int64_t dir_file_size(const struct dir *d, const char *name);

/* The name of a network file system by the number that statfs answers, or NULL for one that may be used. */
const char *dir_network_filesystem(uint64_t magic);

#endif
