#include "cli/conf_files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/conf.h"
#include "cli/conf_tree.h"
#include "cli/shell.h"

#define TEMPLATE_BYTES_MAX ((size_t)16 << 20)
#define OUTPUT_BYTES_MAX   ((size_t)256 << 20)
#define PROBLEMS_SHOWN     5

static void say(const char *text, const char *more)
{
    fprintf(stderr, "tenure config: %s%s%s\n", text, more ? ": " : "", more ? more : "");
}

/* ---- names ---- */

/* Three or four octal digits behind the last colon. */
static bool cut_mode(char *text, mode_t *ret)
{
    char *colon = strrchr(text, ':');
    size_t n = colon ? strlen(colon + 1) : 0;
    if (!colon || n < 3 || n > 4 || strspn(colon + 1, "01234567") != n)
        return false;
    *ret = (mode_t)strtoul(colon + 1, NULL, 8);
    *colon = 0;
    return true;
}

/* The folder as it really is, and the name there; as typed where there is no such folder. False: too long. */
static bool real_place(const char *path, char out[PATH_MAX])
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    int n = slash ? snprintf(folder, sizeof folder, "%.*s", (int)(slash - path) + 1, path)
                  : snprintf(folder, sizeof folder, ".");
    if (n >= (int)sizeof folder || !realpath(folder, out))
        return snprintf(out, PATH_MAX, "%s", path) < PATH_MAX;
    size_t at = strlen(out);
    return snprintf(out + at, PATH_MAX - at, "/%s", name) < (int)(PATH_MAX - at);
}

static bool is_taken(const struct conf_files *f, const char *path)
{
    char mine[PATH_MAX], theirs[PATH_MAX];
    bool known = real_place(path, mine);
    for (size_t i = 0; known && i < f->n; i++)
        if (real_place(f->all[i].to, theirs) && strcmp(mine, theirs) == 0)
            return true;
    return false;
}

bool conf_files_add(struct conf_files *f, const char *text, const char **ret_why)
{
    struct conf_file *file = &f->all[f->n];
    char *copy = f->n < CONF_FILES_MAX ? strdup(text) : NULL, *colon = copy ? strchr(copy, ':') : NULL;
    *ret_why = !copy ? "too many" : "expected TEMPLATE:OUT or TEMPLATE:OUT:MODE";
    if (!colon || colon == copy || !colon[1]) {
        free(copy);
        return false;
    }
    *colon = 0;
    *file = (struct conf_file){.from = copy, .mode = ATOMIC_FILE_KEEP_MODE};
    if (strchr(colon + 1, ':') && !cut_mode(colon + 1, &file->mode)) {
        *ret_why = "expected a mode of three or four octal digits at its end";
        free(copy);
        return false;
    }
    file->to = colon + 1;
    if (is_taken(f, file->to)) {
        *ret_why = "another template is to become that file";
        free(copy);
        return false;
    }
    f->n++;
    return true;
}

void conf_files_fini(struct conf_files *f)
{
    for (size_t i = 0; i < f->n; i++)
        free(f->all[i].from);
    f->n = 0;
}

/* ---- templates ---- */

static int read_file(const char *path, struct buf *ret, struct tenure_error *err)
{
    char block[16384];
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, errno, "%s", path);
    while ((n = read(fd, block, sizeof block)) > 0)
        buf_append(ret, block, (size_t)n);
    int why = errno, rc = buf_error(ret);
    close(fd);
    if (n < 0)
        return error_errno(err, why, "%s", path);
    return rc < 0 ? error_set(err, rc, "%s: larger than %zu bytes", path, TEMPLATE_BYTES_MAX) : 0;
}

struct filling {
    struct conf_files *f;
    size_t i;
};

/* Beside the template that names it, unless it is a path of its own. */
static int load_partial(void *user, const char *name, struct buf *ret, struct tenure_error *err)
{
    const struct filling *of = user;
    const char *from = of->f->all[of->i].from, *slash = strrchr(from, '/');
    char path[4096];
    int n = *name == '/' || !slash ? snprintf(path, sizeof path, "%s", name)
                                   : snprintf(path, sizeof path, "%.*s/%s", (int)(slash - from), from, name);
    int rc =
        n < (int)sizeof path ? read_file(path, ret, err) : error_set(err, TENURE_EINVALID, "%s: too long a name", name);
    of->f->is_wrong = of->f->is_wrong || rc < 0;
    return rc;
}

static int fill(struct conf_files *f, size_t i, json_t *data, struct buf *out, struct tenure_error *err)
{
    struct buf text;
    struct filling of = {f, i};
    struct template_options o = {.name = f->all[i].from, .escape = f->escape, .load = load_partial, .user = &of};
    buf_init(&text);
    buf_init(out);
    text.len_max = TEMPLATE_BYTES_MAX;
    out->len_max = OUTPUT_BYTES_MAX;
    int rc = read_file(f->all[i].from, &text, err);
    f->is_wrong = f->is_wrong || rc < 0;
    if (rc == 0) {
        rc = template_render(buf_bytes(&text), data, &o, out, err);
        f->is_wrong = f->is_wrong || rc == TENURE_EINVALID;
    }
    buf_fini(&text);
    return rc;
}

/* A value that is missing may be one that could not be opened. */
static void say_problems(const struct tenure_config_list *list, const struct tenure_error *err)
{
    int shown = 0;
    for (size_t i = 0; i < list->n && err->code == TENURE_ENOTFOUND && shown < PROBLEMS_SHOWN; i++)
        if (list->entries[i].problem && ++shown)
            conf_say_problem(&list->entries[i]);
}

/* ---- commands ---- */

/* The line with each {} replaced by the path in quotes of the shell; malloc'd. */
static char *with_path(const char *line, const char *path)
{
    struct buf b;
    buf_init(&b);
    for (const char *p = line; *p; p++) {
        if (p[0] != '{' || p[1] != '}') {
            buf_append_byte(&b, (uint8_t)*p);
            continue;
        }
        buf_append_byte(&b, '\'');
        for (const char *c = path; *c; c++)
            buf_append_bytes(&b, *c == '\'' ? bytes_str("'\\''") : bytes_of(c, 1));
        buf_append_byte(&b, '\'');
        p++;
    }
    buf_append_byte(&b, 0);
    if (buf_error(&b) < 0)
        buf_fini(&b);
    return (char *)b.data;
}

/* Whether it exited with 0; what else has been said. */
static bool run_line(struct conf_files *f, const char *what, const char *line, const struct spawn_variable *variables)
{
    int code = shell_run(line, variables, f->signals, f->command_timeout_ms, &f->interrupted);
    if (code == 0)
        return true;
    if (code == SHELL_FAILED)
        fprintf(stderr, "tenure config: %s: %s\n", what, strerror(errno));
    else if (code == SHELL_TIMEOUT)
        fprintf(stderr, "tenure config: %s: not over after %g s, and killed\n", what,
                (double)f->command_timeout_ms / 1000);
    else if (code == SHELL_INTERRUPTED)
        fprintf(stderr, "tenure config: %s: interrupted\n", what);
    else
        fprintf(stderr, "tenure config: %s: exit code %d\n", what, code);
    return false;
}

static bool check(struct conf_files *f, const struct conf_file *file, const struct atomic_file *next)
{
    if (!f->check)
        return true;
    char *line = with_path(f->check, next->temp);
    if (!line) {
        say("out of memory", NULL);
        return false;
    }
    const struct spawn_variable variables[] = {{"TENURE_FILE", next->temp}, {"TENURE_OUT", file->to}, {NULL, NULL}};
    bool fits = run_line(f, "the check", line, variables);
    free(line);
    if (!fits)
        say("the check refuses what was rendered; the old file stays", file->to);
    return fits;
}

/* ---- all of them ---- */

struct batch {
    struct atomic_file next[CONF_FILES_MAX]; /* without a path: that file stays as it is */
    bool changes[CONF_FILES_MAX];
    size_t n_changes;
};

/* One file: rendered, and written beside its place when it is another one. */
static bool prepare(struct conf_files *f, size_t i, json_t *data, const struct tenure_config_list *list,
                    struct batch *b)
{
    struct buf out;
    struct tenure_error err = {0};
    const struct conf_file *file = &f->all[i];
    int rc = fill(f, i, data, &out, &err);
    if (rc == 0 && !atomic_file_is(file->to, file->mode, buf_bytes(&out))) {
        rc = atomic_file_begin(&b->next[i], file->to, file->mode, buf_bytes(&out), &err);
        b->changes[i] = rc == 0;
        b->n_changes += rc == 0;
    }
    buf_fini(&out);
    if (rc == 0)
        return !b->changes[i] || check(f, file, &b->next[i]);
    say(err.text, NULL);
    say_problems(list, &err);
    return false;
}

static bool commit(struct conf_files *f, struct batch *b)
{
    struct tenure_error err = {0};
    for (size_t i = 0; i < f->n; i++) {
        if (b->changes[i] && atomic_file_commit(&b->next[i], &err) < 0) {
            say(err.text, NULL);
            return false;
        }
    }
    return true;
}

static bool reload(struct conf_files *f)
{
    static const struct spawn_variable none[] = {{NULL, NULL}};
    return !f->reload || run_line(f, "the reload", f->reload, none);
}

enum conf_files_result conf_files_render(struct conf_files *f, const struct tenure_config_list *list)
{
    struct batch b = {.n_changes = 0};
    json_t *data = conf_tree(list, f->keys);
    enum conf_files_result result = CONF_FILES_REFUSED;
    bool ready = data != NULL;
    if (!data)
        say("out of memory", NULL);
    for (size_t i = 0; ready && i < f->n; i++)
        ready = prepare(f, i, data, list, &b);
    json_decref(data);
    if (ready && b.n_changes == 0)
        result = CONF_FILES_SAME;
    else if (ready && commit(f, &b))
        result = reload(f) ? CONF_FILES_CHANGED : CONF_FILES_STUCK;
    for (size_t i = 0; i < f->n; i++)
        atomic_file_fini(&b.next[i]);
    return result;
}

bool conf_files_print(struct conf_files *f, const struct tenure_config_list *list)
{
    struct buf out;
    struct tenure_error err = {0};
    json_t *data = conf_tree(list, f->keys);
    bool good = data != NULL;
    for (size_t i = 0; data && i < f->n; i++) {
        if (fill(f, i, data, &out, &err) < 0) {
            say(err.text, NULL);
            say_problems(list, &err);
            good = false;
        } else {
            if (f->n > 1)
                printf("==> %s <==\n", f->all[i].to);
            fwrite(out.data, 1, out.len, stdout);
        }
        buf_fini(&out);
    }
    json_decref(data);
    return good;
}
