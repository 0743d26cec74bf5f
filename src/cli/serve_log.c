/* A line goes to each output: "time=… level=… msg=… key=value", or as a JSON object with etcd's names (level, ts, msg). For
 * systemd's journal each line begins with its priority instead of its time. */
#include "cli/serve_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/serve_flags.h"
#include "io/loop.h"

#define OUTPUTS_MAX 8
#define LINE_MAX_   4096

struct output {
    int fd;
    char *path; /* NULL: not a file of ours */
    bool journal;
};

struct serve_log {
    struct output outputs[OUTPUTS_MAX];
    size_t n;
    bool json;
    atomic_int level; /* enum log_level; the writer thread logs too */
};

bool serve_log_level_parse(const char *text, enum log_level *ret)
{
    for (enum log_level l = LOG_DEBUG; l <= LOG_ERROR; l++) {
        *ret = l;
        if (strcmp(text, log_level_name(l)) == 0)
            return true;
    }
    return strcmp(text, "panic") == 0 || strcmp(text, "fatal") == 0;
}

/* ---- lines ---- */

static void stamp(char *out, size_t size)
{
    int64_t ms = io_wall_ms();
    time_t s = (time_t)(ms / 1000);
    struct tm tm;
    gmtime_r(&s, &tm);
    size_t len = strftime(out, size, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, size - len, ".%03dZ", (int)(ms % 1000));
}

/* What is lost to a full pipe or disk is lost: a log must not stop the server. */
static void put(int fd, const char *line, size_t len)
{
    ssize_t ignored = write(fd, line, len);
    (void)ignored;
}

static size_t form(const struct serve_log *l, const struct output *o, enum log_level level, const char *time,
                   const char *line, char *out, size_t size)
{
    static const int priorities[] = {[LOG_DEBUG] = 7, [LOG_INFO] = 6, [LOG_WARN] = 4, [LOG_ERROR] = 3};
    int len;
    char json[LINE_MAX_ - 100];
    if (l->json)
        len = snprintf(out, size, "%s\n", log_json(json, sizeof json, time, line));
    else if (o->journal)
        len = snprintf(out, size, "<%d>%s\n", priorities[level], line);
    else
        len = snprintf(out, size, "time=%s %s\n", time, line);
    return (size_t)len < size ? (size_t)len : size - 1;
}

static void write_line(void *user, enum log_level level, const char *line)
{
    struct serve_log *l = user;
    char time[40], out[LINE_MAX_];
    if ((int)level < atomic_load_explicit(&l->level, memory_order_relaxed))
        return;
    stamp(time, sizeof time);
    for (size_t i = 0; i < l->n; i++)
        put(l->outputs[i].fd, out, form(l, &l->outputs[i], level, time, line, out, sizeof out));
}

struct log serve_log_log(struct serve_log *l, bool may_change)
{
    return (struct log){
        .min = may_change ? LOG_DEBUG : (enum log_level)atomic_load(&l->level), .sink = write_line, .user = l};
}

/* ---- outputs ---- */

static int open_path(const char *path)
{
    return open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
}

static int add_file(struct serve_log *l, const char *path, struct tenure_error *err)
{
    struct output *o = &l->outputs[l->n];
    o->path = strdup(path);
    o->fd = o->path ? open_path(path) : -1;
    if (!o->path)
        return error_set(err, TENURE_ENOMEM, "log: out of memory");
    if (o->fd < 0) {
        free(o->path);
        return error_errno(err, errno, "option --log-outputs: %s", path);
    }
    l->n++;
    return 0;
}

static int add_output(struct serve_log *l, const char *name, struct tenure_error *err)
{
    bool is_stdout = strcmp(name, "stdout") == 0, is_journal = strcmp(name, "systemd/journal") == 0;
    if (l->n == OUTPUTS_MAX)
        return error_set(err, TENURE_EINVALID, "option --log-outputs: at most %d", OUTPUTS_MAX);
    if (!is_stdout && !is_journal && strcmp(name, "stderr") != 0 && strcmp(name, "default") != 0)
        return add_file(l, name, err);
    l->outputs[l->n++] = (struct output){.fd = is_stdout ? STDOUT_FILENO : STDERR_FILENO, .journal = is_journal};
    return 0;
}

static int add_outputs(struct serve_log *l, const char *list, struct tenure_error *err)
{
    char *copy = strdup(list ? list : "default"), *rest = copy, *name;
    int rc = copy ? 0 : error_set(err, TENURE_ENOMEM, "log: out of memory");
    while (rc == 0 && (name = strsep(&rest, ",")))
        rc = *name ? add_output(l, name, err) : 0;
    free(copy);
    return rc;
}

static int read_options(struct serve_log *l, const struct serve_options *o, struct tenure_error *err)
{
    const char *level = o->debug ? "debug" : o->log_level ? o->log_level : "info";
    const char *format = o->log_format ? o->log_format : "logfmt";
    enum log_level min;
    if (!serve_log_level_parse(level, &min))
        return error_set(err, TENURE_EINVALID, "option --log-level: '%.80s' is not debug, info, warn or error", level);
    atomic_store(&l->level, (int)min);
    l->json = strcmp(format, "json") == 0;
    if (!l->json && strcmp(format, "logfmt") != 0 && strcmp(format, "console") != 0)
        return error_set(err, TENURE_EINVALID, "option --log-format: '%.80s' is not logfmt or json", format);
    return add_outputs(l, o->log_outputs, err);
}

int serve_log_open(const struct serve_options *o, struct serve_log **ret, struct tenure_error *err)
{
    struct serve_log *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(err, TENURE_ENOMEM, "log: out of memory");
    int rc = read_options(l, o, err);
    if (rc < 0) {
        serve_log_close(l);
        return rc;
    }
    *ret = l;
    return 0;
}

/* The descriptor keeps its number: another thread may be writing to it. */
void serve_log_reopen(struct serve_log *l, const struct serve_options *o)
{
    enum log_level level;
    if (o && (o->debug || o->log_level) && serve_log_level_parse(o->debug ? "debug" : o->log_level, &level))
        atomic_store(&l->level, (int)level);
    for (size_t i = 0; i < l->n; i++) {
        int fd = l->outputs[i].path ? open_path(l->outputs[i].path) : -1;
        if (fd < 0)
            continue; /* the old one goes on */
        dup3(fd, l->outputs[i].fd, O_CLOEXEC);
        close(fd);
    }
}

struct serve_log *serve_log_close(struct serve_log *l)
{
    for (size_t i = 0; l && i < l->n; i++) {
        if (l->outputs[i].path)
            close(l->outputs[i].fd);
        free(l->outputs[i].path);
    }
    free(l);
    return NULL;
}
