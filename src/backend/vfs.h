/* An SQLite VFS that keeps a database to this process: its lock on the file shuts all other programs out, and what the
 * connections of this process share (locks, the index of the WAL) is in memory instead of a -shm file. Any thread.
 *
 * Why: SQLite's own index is a mapped file. On a full disk a page of it that has no blocks yet is a SIGBUS, whatever is
 * checked before; a program beside us could change rows that the server holds in memory, or keep the WAL from beginning
 * anew by merely reading; and a commit costs half a dozen locking calls. SQLite's locking_mode=EXCLUSIVE would do, but
 * for one connection only, so that every checkpoint would stand in the writer's way. */
#ifndef BACKEND_VFS_H
#define BACKEND_VFS_H

#include <sqlite3.h>

#include "base/error.h"

struct vfs;

/* Over the VFS of that name, NULL = the system's. Registered with SQLite until vfs_free, which must come behind the
 * close of its last file. All its connections must be to one database. */
int vfs_new(const char *below, struct vfs **ret, struct tenure_error *err) MUST_USE;
struct vfs *vfs_free(struct vfs *v); /* NULL is fine. NULL */
const char *vfs_name(const struct vfs *v);

#endif
