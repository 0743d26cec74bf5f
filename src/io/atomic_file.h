/* A file that is replaced as a whole: the new one is written and synced beside the old one, and takes its place by one rename,
 * so that whoever opens it finds all of the one or all of the other, also when this program is killed or the power goes.
 *
 * The new file gets the owner, group and mode of the old one. A path that is a symbolic link: what it leads to is replaced.
 * What a killed program left behind beside the file (.NAME.tenure-XXXXXX) is removed by a later one. Any thread; with
 * ATOMIC_FILE_KEEP_MODE one, because the umask can only be read by setting it. */
#ifndef IO_ATOMIC_FILE_H
#define IO_ATOMIC_FILE_H

#include <sys/types.h>

#include "base/bytes.h"
#include "base/error.h"

#define ATOMIC_FILE_KEEP_MODE ((mode_t)-1)
/* As a mode: 0600, and the caller's own, whoever had put something there; a link is replaced and not followed. */
#define ATOMIC_FILE_PRIVATE ((mode_t)-2)

struct atomic_file {
    char *path; /* what is replaced, resolved */
    char *temp; /* the new one; NULL = there is none */
    int fd;     /* of temp, locked while it is ours */
};

/* Writes data beside path. mode: ATOMIC_FILE_KEEP_MODE = as the old one has it, 0644 less the umask where there is none.
 * TENURE_EINVALID: what is there is a device, a pipe or a folder. TENURE_EDENIED, TENURE_ENOSPACE, TENURE_EIO, …; nothing is left
 * behind then. */
int atomic_file_begin(struct atomic_file *f, const char *path, mode_t mode, bytes data, struct tenure_error *err)
    MUST_USE;
/* The new one takes the place of the old one. */
int atomic_file_commit(struct atomic_file *f, struct tenure_error *err) MUST_USE;
/* Removes what was not committed, and frees. Of a zeroed one as well. */
void atomic_file_fini(struct atomic_file *f);

/* Whether the file has this content, and this mode unless that is ATOMIC_FILE_KEEP_MODE. */
bool atomic_file_is(const char *path, mode_t mode, bytes data);

#endif
