/* An SQLite VFS over the system's that fails chosen calls and simulates the loss of power. Any thread.
 *
 * Every write goes through to the real file at once; beside it the VFS remembers, per file, what a sync has made durable
 * and which writes came after it. A cut rebuilds the files as a disk may hold them at that instant: synced data is there;
 * of each 512-byte sector written since, any of its states from the last sync to now; a size from in between too.
 * Deleting a file without a sync of its directory may come undone.
 *
 * Limits: what the log does beside SQLite (renaming a finished new file, the lock, the mapping of the leases) counts as durable. */
#ifndef TESTS_FAULT_POWERVFS_H
#define TESTS_FAULT_POWERVFS_H

#include <stdbool.h>
#include <stdint.h>

struct powervfs;

enum powervfs_op { POWERVFS_WRITE, POWERVFS_SYNC, POWERVFS_TRUNCATE, POWERVFS_DELETE, POWERVFS_OPS };

/* Registers it with SQLite under a name of its own. At most one at a time. */
struct powervfs *powervfs_new(void);
const char *powervfs_name(void);
struct powervfs *powervfs_free(struct powervfs *v); /* all its files are closed. NULL */

/* The n-th call of this kind from now on (1 = the next) fails with an SQLite result code and changes nothing; with
 * `lasting` all later ones of the kind as well. A write that fails with SQLITE_FULL leaves its first half, as a real one
 * may. n = 0: none fails any more. */
void powervfs_fail(struct powervfs *v, enum powervfs_op op, uint64_t n, int rc, bool lasting);
bool powervfs_failed(const struct powervfs *v); /* whether one has failed since powervfs_fail */

/* Calls of all kinds so far. */
uint64_t powervfs_ops(const struct powervfs *v);

/* Cuts the power just before the at-th call from now on is carried out: files are rebuilt in the directory `to` from the
 * seed, and on_cut is called (on the thread of that call). Everything then goes on as if nothing had happened: what
 * comes later has simply nothing to do with what is in `to`. */
void powervfs_cut_at(struct powervfs *v, uint64_t at, uint64_t seed, const char *to, void (*on_cut)(void *user),
                     void *user);
/* The same at once. */
void powervfs_cut(struct powervfs *v, uint64_t seed, const char *to);

#endif
