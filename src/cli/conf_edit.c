/* tenure config edit: what is below a prefix, in an editor, and back as one transaction that holds only if nobody else changed
 * meanwhile what was changed here. Whatever fails, the edited file is kept and named. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/conf_text.h"
#include "cli/connect.h"

struct edit {
    const struct global_options *g;
    tenure_client *client;
    struct conf_place place;
    char *keys;
    int format;
    char path[4096];
    char *written; /* what is in the file before it is edited */
    struct conf_raw before;
};

/* ---- the file ---- */

/* Nested if that can be told, else flat. */
static char *text_of(struct edit *e, struct tenure_error *err)
{
    char *text = NULL;
    int flat = e->format == TENURE_CONFIG_YAML   ? TENURE_CONFIG_YAML_FLAT
               : e->format == TENURE_CONFIG_JSON ? TENURE_CONFIG_JSON_FLAT
                                                 : e->format;
    if (tenure_config_format(&e->before.list, e->keys, (enum tenure_config_format)e->format, &text, err) == 0)
        return text;
    e->format = flat;
    return tenure_config_format(&e->before.list, e->keys, (enum tenure_config_format)flat, &text, err) == 0 ? text
                                                                                                            : NULL;
}

static bool is_json(const struct edit *e)
{
    return e->format == TENURE_CONFIG_JSON || e->format == TENURE_CONFIG_JSON_FLAT;
}

static const char *ending(const struct edit *e)
{
    return is_json(e) ? ".json" : e->format == TENURE_CONFIG_DOTENV ? ".env" : ".yaml";
}

static bool write_file(struct edit *e, const char *text)
{
    static const char remark[] = ". Saved and left, it is written in one transaction; lines that\n"
                                 "# are taken out are deleted. Left as it is, nothing happens.\n";
    const char *dir = getenv("TMPDIR");
    snprintf(e->path, sizeof e->path, "%s/tenure-config-XXXXXX%s", dir && *dir ? dir : "/tmp", ending(e));
    int fd = mkostemps(e->path, (int)strlen(ending(e)), O_CLOEXEC); /* mode 0600 */
    FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;
    int n = is_json(e) ? asprintf(&e->written, "%s", text)
                       : asprintf(&e->written, "# Configuration below '%s', layer %s%s%s", e->keys,
                                  tenure_config_layer_string(e->place.layer), remark, text);
    bool good = f && n >= 0 && fputs(e->written, f) >= 0;
    if (f)
        good = fclose(f) == 0 && good;
    else if (fd >= 0)
        close(fd);
    if (!good)
        fprintf(stderr, "tenure config: %s: %s\n", e->path, strerror(errno));
    if (n < 0)
        e->written = NULL;
    return good;
}

/* As git and crontab find it. */
static bool run_editor(struct edit *e)
{
    const char *editor = getenv("VISUAL");
    char line[8192];
    if (!editor || !*editor)
        editor = getenv("EDITOR");
    if (!editor || !*editor)
        editor = "vi";
    snprintf(line, sizeof line, "%s \"$TENURE_EDITED\"", editor);
    setenv("TENURE_EDITED", e->path, 1);
    signal(SIGPIPE, SIG_DFL); /* the editor inherits it */
    int status = system(line);
    signal(SIGPIPE, SIG_IGN);
    if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    bool found = status < 0 || !WIFEXITED(status) || (WEXITSTATUS(status) != 127 && WEXITSTATUS(status) != 126);
    fprintf(stderr, "tenure config: the editor '%s' %s: nothing was written\n%s", editor,
            found ? "failed" : "cannot be run", found ? "" : "try: name one by VISUAL or EDITOR\n");
    return false;
}

/* ---- back ---- */

static bool is_as_written(const struct edit *e)
{
    size_t len;
    char *text = access(e->path, F_OK) == 0 ? conf_file_text(e->path, &len) : NULL;
    bool same = !text || (len == strlen(e->written) && memcmp(text, e->written, len) == 0);
    free(text);
    return same;
}

static int kept(const struct edit *e, int code)
{
    fprintf(stderr,
            "tenure config: the edited file is kept: %s\n"
            "try: tenure config diff now %s --prefix '%s', and then tenure config import %s --prefix '%s'\n",
            e->path, e->path, e->keys, e->path, e->keys);
    return code == EXIT_OK || code == EXIT_USAGE ? EXIT_FAILED : code; /* the command line was right */
}

static int apply(struct edit *e, const struct tenure_config_differences *d)
{
    struct tenure_error err = {0};
    size_t n;
    int64_t revision = 0;
    if (d->n > TENURE_CONFIG_WRITES_MAX) {
        fprintf(stderr, "tenure config: %zu changes are more than one transaction takes (%d)\n", d->n,
                TENURE_CONFIG_WRITES_MAX);
        return EXIT_FAILED;
    }
    struct tenure_config_write *writes = conf_writes_of(d, e->place.layer, true, &n);
    if (!writes)
        return EXIT_FAILED;
    int code = EXIT_OK;
    if (tenure_config_apply(e->client, writes, n, &e->place.o, &revision, &err) < 0) {
        code = connect_failed("config", e->g, &err);
        if (err.code == TENURE_ECONFLICT)
            fprintf(stderr, "tenure config: somebody else changed it meanwhile: nothing was written\n");
    } else {
        conf_print_changes(e->g, d);
        conf_print_revision(e->g, revision);
    }
    free(writes);
    return code;
}

static int take_back(struct edit *e)
{
    struct tenure_config_list *after = NULL;
    struct tenure_config_differences *d = NULL;
    struct tenure_error err = {0};
    if (access(e->path, F_OK) < 0) {
        fprintf(stderr, "tenure config: the editor has left no file, %s is gone: nothing was written\n", e->path);
        return EXIT_FAILED;
    }
    int code = conf_read_file(e->g, e->path, e->keys, e->format, &after);
    if (code == EXIT_OK && after->n == 0 && e->before.list.n > 0) {
        fprintf(stderr, "tenure config: there is nothing left in it: nothing was written\n"
                        "try: tenure config delete, if that was meant\n");
        tenure_config_list_free(after);
        unlink(e->path);
        return EXIT_FAILED;
    }
    if (code == EXIT_OK && tenure_config_diff(&e->before.list, after, &d, &err) < 0)
        code = conf_failed(e->g, &err);
    if (code == EXIT_OK && d->n > 0)
        code = apply(e, d);
    else if (code == EXIT_OK)
        fprintf(stderr, "tenure config: nothing was changed\n");
    tenure_config_differences_free(d);
    tenure_config_list_free(after);
    if (code != EXIT_OK)
        return kept(e, code);
    unlink(e->path);
    return EXIT_OK;
}

static int edit(struct edit *e)
{
    struct tenure_error err = {0};
    int code = conf_read_raw(e->client, e->g, e->keys, &e->place, &e->before);
    if (code != EXIT_OK)
        return code;
    char *text = text_of(e, &err);
    if (!text)
        return conf_failed(e->g, &err);
    bool written = write_file(e, text);
    free(text);
    if (!written)
        return EXIT_FAILED;
    if (!run_editor(e)) {
        if (!is_as_written(e)) /* it may have failed behind an hour of work */
            return kept(e, EXIT_FAILED);
        unlink(e->path);
        return EXIT_FAILED;
    }
    return take_back(e);
}

int conf_edit(const struct global_options *g, int n, char **words)
{
    struct edit e = {.g = g};
    if (n && conf_opt.prefix)
        return conf_usage("edit: expected one PREFIX");
    if (!conf_opt.format)
        conf_opt.format = "yaml";
    e.format = conf_format_of("");
    if (!e.format || !conf_write_place_of(&e.place, g))
        return EXIT_USAGE;
    e.place.o.layers = 1u << e.place.layer;
    e.keys = conf_prefix(n ? words[0] : conf_opt.prefix);
    e.client = conf_open(g, &e.place);
    int code = e.client ? edit(&e) : conf_open_code();
    tenure_close(e.client);
    conf_raw_fini(&e.before);
    free(e.written);
    conf_place_fini(&e.place);
    free(e.keys);
    return code;
}
