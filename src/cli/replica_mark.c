/* The file that makes a directory a replica's: lines that say what it is a copy of.
 *
 *     source=CLUSTER     users=on     first=REVISION     prefix=TEXT …
 *
 * users: the source has had authentication on. first: the copy began with the keys as they were at that revision, and not with a snapshot;
 * prefix: and only of those that begin so.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/backend.h"
#include "cli/replica.h"

#define PATH_SIZE REPLICA_PATH_SIZE
enum { MARK_BYTES_MAX = 1 << 18 };

static int path_of(const char *dir, const char *name, char *out, struct tenure_error *err)
{
    if (snprintf(out, PATH_SIZE, "%s/%s", dir, name) >= PATH_SIZE)
        return error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    return 0;
}

/* ---- reading ---- */

static void read_line(char *line, struct replica_mark *m)
{
    if (strncmp(line, "source=", 7) == 0)
        m->cluster = strtoull(line + 7, NULL, 16);
    else if (strcmp(line, "users=on") == 0)
        m->users = true;
    else if (strncmp(line, "first=", 6) == 0)
        m->first = strtoll(line + 6, NULL, 10);
    else if (strncmp(line, "prefix=", 7) == 0 && m->n_prefixes < OPTION_LIST_MAX)
        m->prefixes[m->n_prefixes++] = line + 7;
}

int replica_mark_read(const char *dir, struct replica_mark *ret, struct tenure_error *err)
{
    char path[PATH_SIZE];
    *ret = (struct replica_mark){0};
    int rc = path_of(dir, BACKEND_REPLICA, path, err);
    int fd = rc ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    if (rc == 0 && fd < 0 && errno == ENOENT)
        return error_set(err, TENURE_ECONFLICT, "%s holds data of a server, and no copy: name another directory", dir);
    if (rc)
        return rc;
    ret->text = calloc(1, MARK_BYTES_MAX + 1);
    ssize_t n = fd >= 0 && ret->text ? read(fd, ret->text, MARK_BYTES_MAX) : -1;
    if (n < 0)
        rc = ret->text ? error_errno(err, errno, "%s", path) : error_set(err, TENURE_ENOMEM, "out of memory");
    if (fd >= 0)
        close(fd);
    char *rest = ret->text;
    for (char *line; rc == 0 && (line = strsep(&rest, "\n"));)
        read_line(line, ret);
    if (rc == 0 && ret->cluster == 0)
        rc = error_set(err, TENURE_ECORRUPT, "%s does not say what this is a copy of", path);
    return rc;
}

void replica_mark_free(struct replica_mark *m)
{
    free(m->text);
    *m = (struct replica_mark){0};
}

/* ---- writing ---- */

char *replica_mark_text(const struct replica_mark *m)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    fprintf(out, "source=%016" PRIx64 "\n%s", m->cluster, m->users ? "users=on\n" : "");
    if (m->first)
        fprintf(out, "first=%" PRId64 "\n", m->first);
    for (size_t i = 0; i < m->n_prefixes; i++)
        fprintf(out, "prefix=%s\n", m->prefixes[i]);
    bool ok = !ferror(out);
    if (fclose(out) == 0 && ok)
        return text;
    free(text);
    return NULL;
}

/* Beside and renamed: without it the directory would pass for a server's. */
static int replace(const char *dir, const char *text, struct tenure_error *err)
{
    char path[PATH_SIZE], fresh[PATH_SIZE];
    int rc = path_of(dir, BACKEND_REPLICA, path, err);
    if (rc == 0)
        rc = path_of(dir, BACKEND_REPLICA ".new", fresh, err);
    if (rc)
        return rc;
    ssize_t len = (ssize_t)strlen(text);
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text, (size_t)len) == len && fsync(fd) == 0 && rename(fresh, path) == 0;
    rc = ok ? 0 : error_errno(err, errno, "%s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

int replica_mark_users(const char *dir, struct tenure_error *err)
{
    struct replica_mark m;
    int rc = replica_mark_read(dir, &m, err);
    if (rc == 0 && !m.users) {
        m.users = true;
        char *text = replica_mark_text(&m);
        rc = text ? replace(dir, text, err) : error_set(err, TENURE_ENOMEM, "out of memory");
        free(text);
    }
    replica_mark_free(&m);
    return rc;
}

/* ---- prefixes ---- */

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char *replica_prefixes(const struct option_list *given, struct replica_prefixes *ret)
{
    const char *sorted[OPTION_LIST_MAX];
    *ret = (struct replica_prefixes){0};
    for (size_t i = 0; i < given->n; i++) {
        sorted[i] = given->values[i];
        for (const char *p = sorted[i]; *p; p++) {
            if ((unsigned char)*p < ' ' || *p == 0x7f)
                return "--prefix: expected one without control characters";
        }
    }
    if (given->n)
        qsort(sorted, given->n, sizeof sorted[0], by_text);
    for (size_t i = 0; i < given->n; i++) {
        const char *last = ret->n ? ret->all[ret->n - 1] : NULL;
        if (!last || strncmp(sorted[i], last, strlen(last)) != 0) /* else it is below that one */
            ret->all[ret->n++] = sorted[i];
    }
    return NULL;
}

char *replica_prefixes_text(const char *const *all, size_t n)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);
    if (!out)
        return NULL;
    bool are_all = n == 0 || (n == 1 && !*all[0]);
    fprintf(out, are_all ? "all keys" : "the keys that begin with ");
    for (size_t i = 0; !are_all && i < n; i++)
        fprintf(out, "%s%s", i == 0 ? "" : i + 1 < n ? ", " : " or ", all[i]);
    bool ok = !ferror(out);
    if (fclose(out) == 0 && ok)
        return text;
    free(text);
    return NULL;
}

/* ---- ranges ---- */

static const uint8_t zero[1];
static const struct key_range all_keys = {{zero, 1}, {zero, 1}};

/* The end is the prefix with its last byte one higher; those that cannot be go. */
static struct key_range range_of_prefix(const char *prefix, char *end)
{
    size_t len = strlen(prefix);
    if (len == 0)
        return all_keys;
    memcpy(end, prefix, len);
    while (len > 0 && (unsigned char)end[len - 1] == 0xff)
        len--;
    if (len > 0)
        end[len - 1]++;
    else
        end[len++] = 0;
    return (struct key_range){bytes_str(prefix), bytes_of(end, len)};
}

int replica_ranges(const char *const *prefixes, size_t n, struct replica_ranges *ret)
{
    size_t bytes = 1;
    *ret = (struct replica_ranges){0};
    for (size_t i = 0; i < n; i++)
        bytes += strlen(prefixes[i]) + 1;
    ret->ends = calloc(1, bytes);
    if (!ret->ends)
        return TENURE_ENOMEM;
    char *end = ret->ends;
    for (size_t i = 0; i < n; i++) {
        ret->all[i] = range_of_prefix(prefixes[i], end);
        end += strlen(prefixes[i]) + 1;
    }
    if (n == 0)
        ret->all[n++] = all_keys;
    ret->n = n;
    return 0;
}

void replica_ranges_free(struct replica_ranges *r)
{
    free(r->ends);
    *r = (struct replica_ranges){0};
}
