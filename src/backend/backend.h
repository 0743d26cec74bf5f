/* The durable log on SQLite, its writer thread, and the shared page of lease deadlines.
 *
 * Happy path: backend_open -> backend_replay hands every row to the store -> the loop submits one batch at a time; the
 * writer thread appends it in one transaction, syncs, and calls on_done (on the writer thread: it only wakes the loop);
 * the loop takes the outcome by backend_take. Rows are borrowed from submit until the outcome was taken.
 *
 * Failure modes: a full disk while writing rolls back (BACKEND_NOT_APPLIED; the loop may submit again, one probe a
 * second); a failed sync or any other I/O error is BACKEND_MAYBE_APPLIED and the backend takes no more batches until it
 * is opened anew. At open: another process on the directory (TENURE_EBUSY, names its pid), a newer format
 * (TENURE_EVERSION), a network file system (TENURE_EINVALID), a changed, missing or cut row (TENURE_ECORRUPT, names the
 * sequence). Thread: loop thread, except where said.
 *
 * Files in the directory: `tenure.db` (application id, format version; table `log`), `tenure.db-wal`, `lock` (flock, pid
 * inside), `leases` (shared mapping: boot id, newest synced sequence, a slot per lease), `ballast`.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "backend/record.h"
#include "base/error.h"
#include "base/log.h"

struct backend;

/* A file in a directory that another server's data still go into; while it is there the directory opens only for who allows it. */
#define BACKEND_UNFINISHED "migrating"
/* A file in a directory that is the copy of another's data: nobody may write there but who follows that one. */
#define BACKEND_REPLICA "replica"

struct backend_config {
    const char *dir;         /* created with mode 0700 when absent */
    const char *vfs;         /* SQLite VFS name; NULL = the system's (tests put their own below) */
    int64_t wal_bytes_soft;  /* checkpoint from here on; 0 = 1 MiB */
    int64_t wal_bytes_hard;  /* the WAL never grows past it while commits wait for the checkpoint; 0 = 64 MiB */
    unsigned wal_grow_after; /* commits before it is grown ahead to its normal size; 0 = 64 */
    int64_t ballast_bytes;   /* 0 = 512 KiB; -1 = none; a log that is hardly used keeps less */
    bool allow_sealed;       /* a sealed directory may be opened: to be read */
    bool allow_unfinished;   /* and one that a migration into is not finished */
    bool allow_replica;      /* and one that is a copy */
    bool no_sync;            /* tests only: synchronous=OFF, to show that the power-loss tests bite */
    struct log log;
    void (*on_done)(void *user); /* a batch ended; called on the writer thread: only wakes the loop */
    void *user;
};

enum backend_outcome {
    BACKEND_APPLIED,      /* durable up to `seq` */
    BACKEND_NOT_APPLIED,  /* rolled back: no room; trying again later is fine */
    BACKEND_MAYBE_APPLIED /* unknown; this backend writes no more */
};

struct backend_result {
    enum backend_outcome outcome;
    tn_seq seq;                /* last row of the batch (the previous durable one when the batch only deleted) */
    struct tenure_error error; /* when not applied */
    int64_t took_us;           /* from its first row to the end of its sync */
    int64_t synced_us;         /* of that: writing the WAL and its sync */
};

struct backend_batch {
    const struct record *rows; /* sequences go on densely from the last batch; may be empty when deletes is not */
    size_t n_rows;
    const tn_seq *deletes; /* superseded rows that compaction drops; each must exist */
    size_t n_deletes;
};

int backend_open(const struct backend_config *config, struct backend **ret, struct tenure_error *err) MUST_USE;

/* Checks the whole log and hands every row to on_record in order of sequence; row memory is borrowed for the call. A
 * negative answer of on_record ends the replay with it. Must be called once before the first submit. */
int backend_replay(struct backend *b, int (*on_record)(void *user, const struct record *r), void *user,
                   struct tenure_error *err) MUST_USE;

/* The newest durable sequence: the next row is the one behind it. It can be newer than the last row that replay handed
 * out, when compaction dropped the newest rows. After backend_replay; while a batch is under way, that of the one before. */
tn_seq backend_seq(const struct backend *b);

/* Whether a batch may be submitted now (none is under way and the backend still writes). */
bool backend_idle(const struct backend *b);

/* Hands a batch to the writer. Everything it points to, the arrays included, stays valid and unchanged until
 * backend_take has answered for it. Precondition: backend_idle. */
void backend_submit(struct backend *b, const struct backend_batch *batch);

/* As backend_submit, but commits on the calling thread and answers at once: for a single pending write while the writer
 * is idle, where handing over costs more than the commit. Precondition: backend_idle. */
void backend_commit_now(struct backend *b, const struct backend_batch *batch, struct backend_result *ret);

/* From now on batches may leave sequences out: these count as rows that compaction has deleted. For making a log of what was
 * another's. After backend_replay, while no batch is under way. */
void backend_allow_skips(struct backend *b);

/* The outcome of the batch under way; false while it is not finished or there is none. */
bool backend_take(struct backend *b, struct backend_result *ret) MUST_USE;

/* Releases the ballast file, so that expiry, revoke and compaction have room on a full disk; backend puts it back by
 * itself when there is room again. Answers whether there was any. */
bool backend_release_ballast(struct backend *b);
/* Whether it is there (or none is wanted). */
bool backend_has_ballast(struct backend *b);
/* Asks the writer to put it back if there is room for it and more: by itself it looks only now and then, after commits. Call
 * about once a second while it is out. */
void backend_restore_ballast(struct backend *b);

/* ---- sealing: the data went elsewhere ---- */

/* Marks the log so that backend_open refuses it from now on (TENURE_ECONFLICT, the text names the successor), durably before it
 * answers. Again with another successor is fine. After backend_replay, while no batch is under way; nothing may be written
 * afterwards. */
int backend_seal(struct backend *b, const char *successor, struct tenure_error *err) MUST_USE;

/* ---- reading the log beside the writer: for snapshots ---- */

/* A reader has a connection of its own and is used by one thread, whichever; at most two at a time. It must be closed before
 * the backend. */
struct backend_reader;
int backend_reader_open(struct backend *b, struct backend_reader **ret, struct tenure_error *err) MUST_USE;
/* Hands out at most max rows behind *seq up to upto, in order, and moves *seq to the last of them; answers how many, 0 at the
 * end, or an error. Each call is a read of its own, so that the WAL is not held up; what must not be deleted between two
 * calls is for the caller to see to. A negative answer of on_record ends it. Row memory is borrowed for the call. */
int64_t backend_reader_next(struct backend_reader *r, tn_seq *seq, tn_seq upto, int64_t max,
                            int (*on_record)(void *user, const struct record *r), void *user, struct tenure_error *err)
    MUST_USE;
struct backend_reader *backend_reader_close(struct backend_reader *r); /* NULL is fine; NULL */

/* Begins to give free room of the file back to the system, in slices between batches; on_done is called when that has ended.
 * While one is under way nothing begins anew. */
void backend_defragment(struct backend *b);
/* Whether one is under way: a commit on the calling thread may then have to wait for a slice. */
bool backend_is_defragmenting(struct backend *b);
/* Whether one has ended since; 0 or the error's code. */
bool backend_take_defragmented(struct backend *b, int *ret_code, struct tenure_error *err) MUST_USE;

/* Stops the writer (a batch under way is finished first), checkpoints, closes and frees. NULL is fine. NULL. */
struct backend *backend_close(struct backend *b);

/* Removes a directory that its owner gives up, whatever moment it was left at: files of ours only, and the directory when nothing else is
 * in it. One that a backend has open, of whatever process, stays as it is. Any thread. */
void backend_remove(const char *path);

/* Bytes on disk (file and WAL), and bytes in use without free pages. Any time. */
int64_t backend_size(const struct backend *b);
int64_t backend_size_in_use(const struct backend *b);

/* ---- lease deadlines: a shared mapping that outlives a crash of the process, not of the machine ---- */

/* Stores the deadline of a lease (milliseconds on CLOCK_BOOTTIME) before the reply to its renewal leaves. No system
 * call, no flush. A table that is full grows; failing to grow loses only the remaining time, never the lease. */
void backend_lease_store(struct backend *b, tn_lease id, tn_ms deadline);
void backend_lease_forget(struct backend *b, tn_lease id);
/* The deadline stored for id in this same boot of the machine; false when there is none or the boot is another one (the
 * lease then gets its full TTL). */
bool backend_lease_load(const struct backend *b, tn_lease id, tn_ms *ret_deadline) MUST_USE;

#endif
