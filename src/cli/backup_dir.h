/* A folder of backups: which files in it this program has written, and what is known of each.
 *
 *     DIR/backup-20261128T150603Z-r1234.db   etcd's snapshot file; whole, checked and on the disk when it has that name
 *     DIR/backups.json                       the list; a file that is not in it is never removed
 *     DIR/lock                               held while a backup is made
 *     DIR/unfinished.db                      what is not a backup yet
 *
 * A file is entered in the list before it gets its name: killed in between leaves a row without a file, which is dropped. */
#ifndef CLI_BACKUP_DIR_H
#define CLI_BACKUP_DIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tenure/error.h>

enum { BACKUPS_MAX = 10000, BACKUP_NAME_MAX = 64, BACKUP_PATH_MAX = 4096, BACKUP_TIME_LEN = 20 };

enum backup_state { BACKUP_GOOD, BACKUP_MISSING, BACKUP_CHANGED };

struct backup_entry {
    char name[BACKUP_NAME_MAX];
    int64_t made_ms, checked_ms; /* wall clock */
    int64_t revision, size;
    uint32_t hash;
    char cluster[20], member[64]; /* whose it is, in hexadecimal; who gave it */
    enum backup_state state;      /* as far as a look at its size says, or backup_dir_check */
};

struct backup_dir {
    char path[BACKUP_PATH_MAX - 128];
    struct backup_entry *entries; /* in the order in which they were made */
    size_t n;
    int64_t failed_ms; /* 0 = the last one was made */
    char failure[256];
};

/* make: the folder may be made. 0, or TENURE_E… with err filled. */
int backup_dir_open(struct backup_dir *d, const char *path, bool make, struct tenure_error *err);
void backup_dir_close(struct backup_dir *d); /* of a zeroed one as well */
/* Reads the list anew. */
int backup_dir_read(struct backup_dir *d, struct tenure_error *err);
int backup_dir_write(const struct backup_dir *d, struct tenure_error *err);

/* A descriptor, with which the lock goes; TENURE_ECONFLICT names the process that has it. */
int backup_dir_lock(const struct backup_dir *d, int *ret_fd, struct tenure_error *err);

void backup_dir_path(const struct backup_dir *d, const char *name, char out[BACKUP_PATH_MAX]);
/* What the snapshot file is, after its checksum and each of its pages were checked. */
int backup_check(const char *path, struct backup_entry *ret, struct tenure_error *err);
/* The same of one of the list, against what the list says. Its state becomes what is found. */
int backup_dir_check(struct backup_dir *d, struct backup_entry *e, struct tenure_error *err);
/* unfinished.db becomes a backup: e says of what time and revision, and gets its name. */
int backup_dir_add(struct backup_dir *d, struct backup_entry *e, struct tenure_error *err);
/* Removes what neither rule keeps: the newest `keep` (0 = no such rule), those younger than keep_for_ms (0 = no such rule). The
 * newest good one stays in any case. Answers how many; `tell` gets each name. */
size_t backup_dir_prune(struct backup_dir *d, int64_t keep, int64_t keep_for_ms, int64_t now_ms,
                        void (*tell)(void *user, const char *name), void *user);
/* NULL: there is none. */
struct backup_entry *backup_dir_newest(const struct backup_dir *d);

/* "2026-11-28T15:06:03Z" */
const char *backup_time(int64_t ms, char out[BACKUP_TIME_LEN + 1]);

#endif
