#include "cli/backup_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/snapshot_file.h"
#include "io/atomic_file.h"
#include "io/file.h"
#include "io/loop.h"
#include "snapshot/import.h"
#include "snapshot/status.h"

#define LIST       "backups.json"
#define UNFINISHED "unfinished.db"

const char *backup_time(int64_t ms, char out[BACKUP_TIME_LEN + 1])
{
    time_t t = (time_t)(ms / 1000);
    struct tm tm;
    if (ms <= 0 || !gmtime_r(&t, &tm) || strftime(out, BACKUP_TIME_LEN + 1, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        memcpy(out, "-", 2);
    return out;
}

void backup_dir_path(const struct backup_dir *d, const char *name, char out[BACKUP_PATH_MAX])
{
    snprintf(out, BACKUP_PATH_MAX, "%s/%s", d->path, name);
}

/* ---- the list ---- */

static void look_at(const struct backup_dir *d, struct backup_entry *e)
{
    char path[BACKUP_PATH_MAX];
    struct stat st;
    backup_dir_path(d, e->name, path);
    if (lstat(path, &st) < 0)
        e->state = BACKUP_MISSING;
    else
        e->state = S_ISREG(st.st_mode) && st.st_size == e->size ? BACKUP_GOOD : BACKUP_CHANGED;
}

static json_t *entry_to_json(const struct backup_entry *e)
{
    json_t *o = json_object();
    json_object_set_new(o, "file", json_string(e->name));
    json_object_set_new(o, "made_ms", json_integer(e->made_ms));
    json_object_set_new(o, "checked_ms", json_integer(e->checked_ms));
    json_object_set_new(o, "revision", json_integer(e->revision));
    json_object_set_new(o, "size", json_integer(e->size));
    json_object_set_new(o, "hash", json_integer(e->hash));
    json_object_set_new(o, "cluster", json_string(e->cluster));
    json_object_set_new(o, "member", json_string(e->member));
    return o;
}

static bool copy(char *to, size_t size, json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));
    return text && (size_t)snprintf(to, size, "%s", text) < size;
}

static bool entry_from_json(struct backup_entry *e, json_t *o)
{
    json_t *size = json_object_get(o, "size"), *revision = json_object_get(o, "revision");
    *e = (struct backup_entry){
        .made_ms = json_integer_value(json_object_get(o, "made_ms")),
        .checked_ms = json_integer_value(json_object_get(o, "checked_ms")),
        .revision = json_integer_value(revision),
        .size = json_integer_value(size),
        .hash = (uint32_t)json_integer_value(json_object_get(o, "hash")),
    };
    (void)copy(e->cluster, sizeof e->cluster, o, "cluster");
    (void)copy(e->member, sizeof e->member, o, "member");
    return copy(e->name, sizeof e->name, o, "file") && strncmp(e->name, "backup-", 7) == 0 && !strchr(e->name, '/') &&
           json_is_integer(size) && json_is_integer(revision);
}

static int from_json(struct backup_dir *d, json_t *all, struct tenure_error *err)
{
    json_t *list = json_object_get(all, "backups"), *failure = json_object_get(all, "last_failure");
    size_t n = json_array_size(list);
    if (!json_is_array(list) || n > BACKUPS_MAX)
        return error_set(err, TENURE_ECORRUPT, "%s/" LIST ": expected \"backups\", at most %d", d->path, BACKUPS_MAX);
    d->entries = calloc(n + 1, sizeof *d->entries); /* one more may be added */
    if (!d->entries)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; i < n; i++) {
        struct backup_entry *e = &d->entries[d->n];
        if (!entry_from_json(e, json_array_get(list, i)))
            return error_set(err, TENURE_ECORRUPT, "%s/" LIST ": entry %zu is no backup", d->path, i + 1);
        look_at(d, e);
        d->n++;
    }
    d->failed_ms = json_integer_value(json_object_get(failure, "time_ms"));
    (void)copy(d->failure, sizeof d->failure, failure, "text");
    return 0;
}

int backup_dir_read(struct backup_dir *d, struct tenure_error *err)
{
    char path[BACKUP_PATH_MAX];
    json_error_t why;
    free(d->entries);
    d->entries = NULL;
    d->n = 0;
    d->failed_ms = 0;
    backup_dir_path(d, LIST, path);
    if (access(path, F_OK) < 0 && errno == ENOENT) {
        d->entries = calloc(1, sizeof *d->entries);
        return d->entries ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
    }
    json_t *all = json_load_file(path, JSON_REJECT_DUPLICATES, &why);
    int rc = all ? from_json(d, all, err)
                 : error_set(err, TENURE_ECORRUPT,
                             "%s: line %d: %s; move it away: the backups stay, and are restored by their names", path,
                             why.line, why.text);
    json_decref(all);
    return rc;
}

int backup_dir_write(const struct backup_dir *d, struct tenure_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct atomic_file f = {0};
    json_t *all = json_object(), *list = json_array();
    for (size_t i = 0; i < d->n; i++)
        json_array_append_new(list, entry_to_json(&d->entries[i]));
    json_object_set_new(all, "backups", list);
    if (d->failed_ms)
        json_object_set_new(all, "last_failure",
                            json_pack("{s:I,s:s}", "time_ms", (json_int_t)d->failed_ms, "text", d->failure));
    char *text = json_dumps(all, JSON_INDENT(2));
    backup_dir_path(d, LIST, path);
    int rc = text ? atomic_file_begin(&f, path, 0600, (bytes){(const uint8_t *)text, strlen(text)}, err)
                  : error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc == 0)
        rc = atomic_file_commit(&f, err);
    atomic_file_fini(&f);
    free(text);
    json_decref(all);
    return rc;
}

/* ---- the folder ---- */

int backup_dir_open(struct backup_dir *d, const char *path, bool make, struct tenure_error *err)
{
    struct stat st;
    *d = (struct backup_dir){0};
    if (strlen(path) >= sizeof d->path)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", path);
    memcpy(d->path, path, strlen(path) + 1);
    if (make && mkdir(path, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "%s", path);
    if (stat(path, &st) < 0)
        return error_errno(err, errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        return error_set(err, TENURE_EINVALID, "%s is not a folder", path);
    int rc = backup_dir_read(d, err);
    if (rc)
        backup_dir_close(d);
    return rc;
}

void backup_dir_close(struct backup_dir *d)
{
    free(d->entries);
    d->entries = NULL;
    d->n = 0;
}

int backup_dir_lock(const struct backup_dir *d, int *ret_fd, struct tenure_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET}, who = all;
    backup_dir_path(d, "lock", path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && fcntl(fd, F_SETLK, &all) == 0) {
        *ret_fd = fd;
        return 0;
    }
    int why = errno, rc;
    if (fd >= 0 && (why == EACCES || why == EAGAIN) && fcntl(fd, F_GETLK, &who) == 0 && who.l_type != F_UNLCK)
        rc = error_set(err, TENURE_ECONFLICT, "another backup is being made into %s, by process %d", d->path,
                       (int)who.l_pid);
    else
        rc = error_errno(err, why, "%s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int sync_dir(const char *path, struct tenure_error *err)
{
    return io_sync_directory(path) < 0 ? error_errno(err, errno, "%s", path) : 0;
}

/* ---- one file ---- */

int backup_check(const char *path, struct backup_entry *ret, struct tenure_error *err)
{
    struct snapshot_file f;
    struct snapshot_status s = {0};
    tn_rev scheduled = 0, finished = 0;
    int rc = snapshot_file_open(&f, path, true, err);
    if (rc)
        return rc;
    rc = snapshot_status(&f.bolt, &s, err);
    if (rc == 0)
        rc = snapshot_meta_revision(&f.bolt, "scheduledCompactRev", &scheduled, err);
    if (rc == 0)
        rc = snapshot_meta_revision(&f.bolt, "finishedCompactRev", &finished, err);
    if (rc)
        error_wrap(err, "%s", path);
    /* The newest row may have been a deletion that compaction has removed; nothing was ever written: 1. */
    ret->revision = s.revision > 0 ? s.revision : 1;
    ret->revision = scheduled > ret->revision ? scheduled : ret->revision;
    ret->revision = finished > ret->revision ? finished : ret->revision;
    ret->hash = s.hash;
    ret->size = (int64_t)f.size;
    ret->checked_ms = io_wall_ms();
    snapshot_file_close(&f);
    return rc;
}

int backup_dir_check(struct backup_dir *d, struct backup_entry *e, struct tenure_error *err)
{
    char path[BACKUP_PATH_MAX];
    struct backup_entry found = {0};
    backup_dir_path(d, e->name, path);
    look_at(d, e);
    if (e->state == BACKUP_MISSING)
        return error_set(err, TENURE_ENOTFOUND, "%s is not there any more", path);
    int rc = backup_check(path, &found, err);
    if (rc == 0 && (found.hash != e->hash || found.revision != e->revision || found.size != e->size))
        rc = error_set(err, TENURE_ECORRUPT, "%s is another file than was written", path);
    e->state = rc ? BACKUP_CHANGED : BACKUP_GOOD;
    if (rc == 0)
        e->checked_ms = found.checked_ms;
    return rc;
}

static void choose_name(const struct backup_dir *d, struct backup_entry *e)
{
    char path[BACKUP_PATH_MAX], stamp[32];
    time_t t = (time_t)(e->made_ms / 1000);
    struct tm tm = {0};
    gmtime_r(&t, &tm);
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &tm);
    snprintf(e->name, sizeof e->name, "backup-%s-r%" PRId64 ".db", stamp, e->revision);
    for (int more = 2; backup_dir_path(d, e->name, path), access(path, F_OK) == 0; more++)
        snprintf(e->name, sizeof e->name, "backup-%s-r%" PRId64 "-%d.db", stamp, e->revision, more);
}

static void drop(struct backup_dir *d, size_t i)
{
    memmove(&d->entries[i], &d->entries[i + 1], (d->n - i - 1) * sizeof *d->entries);
    d->n--;
}

int backup_dir_add(struct backup_dir *d, struct backup_entry *e, struct tenure_error *err)
{
    char from[BACKUP_PATH_MAX], to[BACKUP_PATH_MAX];
    for (size_t i = d->n; i-- > 0;)
        if (d->entries[i].state == BACKUP_MISSING)
            drop(d, i);
    if (d->n == BACKUPS_MAX)
        return error_set(err, TENURE_ELIMIT, "%s holds %d backups: give --keep or --keep-for", d->path, BACKUPS_MAX);
    struct backup_entry *more = realloc(d->entries, (d->n + 1) * sizeof *more);
    if (!more)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    d->entries = more;
    choose_name(d, e);
    d->entries[d->n++] = *e;
    d->failed_ms = 0;
    backup_dir_path(d, UNFINISHED, from);
    backup_dir_path(d, e->name, to);
    int rc = backup_dir_write(d, err);
    if (rc == 0 && rename(from, to) < 0)
        rc = error_errno(err, errno, "%s", to);
    if (rc == 0)
        rc = sync_dir(d->path, err);
    if (rc)
        d->n--; /* on the disk it is a row without a file */
    return rc;
}

struct backup_entry *backup_dir_newest(const struct backup_dir *d)
{
    for (size_t i = d->n; i-- > 0;)
        if (d->entries[i].state == BACKUP_GOOD)
            return &d->entries[i];
    return NULL;
}

size_t backup_dir_prune(struct backup_dir *d, int64_t keep, int64_t keep_for_ms, int64_t now_ms,
                        void (*tell)(void *user, const char *name), void *user)
{
    const struct backup_entry *newest = backup_dir_newest(d);
    char path[BACKUP_PATH_MAX];
    size_t removed = 0, good = 0;
    if (!newest || (keep <= 0 && keep_for_ms <= 0))
        return 0;
    size_t last = (size_t)(newest - d->entries);
    for (size_t i = last + 1; i-- > 0;) {
        const struct backup_entry *e = &d->entries[i];
        if (e->state != BACKUP_GOOD)
            continue; /* not what was written: whoever put it there removes it */
        good++;
        bool stays = (keep > 0 && good <= (size_t)keep) || (keep_for_ms > 0 && now_ms - e->made_ms <= keep_for_ms);
        backup_dir_path(d, e->name, path);
        if (i == last || stays || unlink(path) < 0)
            continue;
        tell(user, e->name);
        drop(d, i);
        removed++;
    }
    return removed;
}
