/* See fence_state.h. */
#include "cli/fence_state.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <tenure/fence.h>
#include <unistd.h>

#include "base/error.h"

#define NAME_MAX_BYTES 200 /* of a file, less what is put behind it */

struct fence_state {
    int lock;
    char folder[];
};

struct fence_state *fence_state_close(struct fence_state *s)
{
    if (s && s->lock >= 0)
        close(s->lock);
    free(s);
    return NULL;
}

static int take_lock(struct fence_state *s, struct tenure_error *err)
{
    char path[PATH_MAX];
    if (mkdir(s->folder, 0700) < 0 && errno != EEXIST)
        return error_errno(err, errno, "%s", s->folder);
    snprintf(path, sizeof path, "%s/lock", s->folder);
    s->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return error_errno(err, errno, "%s", path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) < 0)
        return error_set(err, TENURE_EBUSY, "%s: another proxy keeps its tokens there", s->folder);
    return 0;
}

struct fence_state *fence_state_open(const char *folder, struct tenure_error *err)
{
    struct fence_state *s = calloc(1, sizeof *s + strlen(folder) + 1);
    if (!s) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    s->lock = -1;
    memcpy(s->folder, folder, strlen(folder) + 1);
    return take_lock(s, err) == 0 ? s : fence_state_close(s);
}

/* Letters, digits, - and _ are themselves, all else is %XX: no name leaves the folder, and no two are the same file. */
static int path_of(const struct fence_state *s, const char *resource, char path[PATH_MAX], struct tenure_error *err)
{
    char name[3 * NAME_MAX_BYTES + 1];
    size_t n = 0;
    for (const char *at = resource; *at && n < NAME_MAX_BYTES; at++) {
        unsigned char c = (unsigned char)*at;
        bool plain = c < 0x80 && (isalnum(c) || c == '-' || c == '_');
        n += (size_t)snprintf(name + n, sizeof name - n, plain ? "%c" : "%%%02X", c);
    }
    if (n >= NAME_MAX_BYTES || snprintf(path, PATH_MAX, "%s/%s", s->folder, name) >= PATH_MAX - 16)
        return error_set(err, TENURE_EINVALID, "the resource's name is too long for a file");
    return 0;
}

static tenure_fence_file *file_of(const struct fence_state *s, const char *resource, struct tenure_error *err)
{
    char path[PATH_MAX];
    return path_of(s, resource, path, err) == 0 ? tenure_fence_file_open(path, err) : NULL;
}

int fence_state_load(void *state, const char *resource, int64_t *ret, struct tenure_error *err)
{
    tenure_fence_file *f = file_of(state, resource, err);
    tenure_token seen = f ? tenure_fence_file_seen(f, err) : err->code;
    tenure_fence_file_close(f);
    if (seen < 0)
        return (int)seen;
    *ret = seen;
    return 0;
}

int fence_state_keep(void *state, const char *resource, int64_t token, struct tenure_error *err)
{
    tenure_fence_file *f = file_of(state, resource, err);
    int rc = f ? tenure_fence_file_enter(f, token, 0, err) : err->code;
    tenure_fence_file_leave(f);
    tenure_fence_file_close(f);
    return rc;
}
