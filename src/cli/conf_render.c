/* tenure config render: files from templates, once or again and again as the configuration changes.
 *
 * Happy path: the first state, and each one behind it once the changes have settled, is rendered into all files. Failure modes: no
 * server, or a state that is refused: the files stay as they are; nothing is rendered before there was a whole state. A value
 * that is missing, a wrong template or a check that fails: the same, until the next change. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/conf_files.h"
#include "cli/conf_follow.h"
#include "cli/output.h"
#include "cli/settle.h"
#include "io/loop.h"

#define ONCE_TIMEOUT_MS    5000
#define COMMAND_TIMEOUT_MS 60000

struct rendering {
    const struct global_options *g;
    struct conf_place place;
    struct conf_files files;
    struct follow follow;
    struct settle settle;
    struct signals signals;
    char *keys;
    bool had_first; /* the first state was rendered, or tried */
    bool has_terminal;
    bool is_over;
    int code;
};

static bool take_escape(struct conf_files *f)
{
    static const char *const names[] = {"none", "html", "json", "shell"}; /* by enum template_escape */
    const char *name = conf_opt.escape ? conf_opt.escape : "none";
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            f->escape = (enum template_escape)i;
            return true;
        }
    }
    conf_usage("option --escape: '%s' is none of none, html, json, shell", name);
    return false;
}

static bool prepare(struct rendering *r, int n, char **words)
{
    const char *why;
    for (int i = 0; i < n; i++) {
        if (!conf_files_add(&r->files, words[i], &why)) {
            conf_usage("render: '%s': %s", words[i], why);
            return false;
        }
    }
    r->keys = conf_prefix(conf_opt.prefix);
    r->files.keys = r->keys;
    r->files.check = conf_opt.check;
    r->files.reload = conf_opt.reload;
    r->files.command_timeout_ms = conf_opt.command_timeout_ms > 0 ? conf_opt.command_timeout_ms : COMMAND_TIMEOUT_MS;
    r->files.signals = &r->signals;
    settle_init(&r->settle, conf_opt.min_wait_ms, conf_opt.max_wait_ms);
    return take_escape(&r->files) && conf_place_of(&r->place, NULL, r->g);
}

static const struct output_form form = {
    .columns = (const struct output_column[]){{.path = "revision", .heading = "REVISION", .kind = OUTPUT_NUMBER},
                                              {.path = "changed", .heading = "CHANGED"},
                                              {0}},
};

static void report(const struct rendering *r, enum conf_files_result result)
{
    if (result != CONF_FILES_CHANGED)
        return;
    if (!output_is_text(r->g))
        output_event(
            r->g, &form,
            json_pack("{s:I,s:b}", "revision", (json_int_t)tenure_config_revision(r->follow.view), "changed", 1));
    else
        fprintf(stderr, "tenure config: rendered revision %lld\n", (long long)tenure_config_revision(r->follow.view));
    fflush(stdout);
}

/* To end; or by HUP, to a program without a terminal, to render again, because templates were changed. */
static void told(struct rendering *r, int signal)
{
    if (signal == SIGHUP && !conf_opt.once && !r->has_terminal) {
        settle_change(&r->settle, io_clock());
        return;
    }
    r->is_over = true;
    r->code = r->had_first && !conf_opt.once ? EXIT_OK : 128 + signal;
}

static void render(struct rendering *r)
{
    struct tenure_config_list *list = follow_list(&r->follow);
    if (!list) {
        r->code = EXIT_FAILED;
        r->is_over = true;
        return;
    }
    r->had_first = true;
    r->files.is_wrong = false;
    if (conf_opt.dry) {
        r->code = conf_files_print(&r->files, list) ? EXIT_OK : EXIT_FAILED;
    } else {
        enum conf_files_result result = conf_files_render(&r->files, list);
        report(r, result);
        r->code = result == CONF_FILES_SAME || result == CONF_FILES_CHANGED ? EXIT_OK : EXIT_FAILED;
        if (r->files.interrupted)
            told(r, r->files.interrupted);
    }
    tenure_config_list_free(list);
    if (r->code == EXIT_FAILED && r->files.is_wrong)
        r->code = EXIT_USAGE;
    r->is_over = r->is_over || conf_opt.once || conf_opt.dry;
}

static void take_signals(struct rendering *r)
{
    for (int s; (s = signals_next(&r->signals));)
        if (signals_is_end(s))
            told(r, s);
}

static void turn(struct rendering *r)
{
    follow_wait(&r->follow, r->signals.fd, r->had_first ? settle_due_ms(&r->settle) : INT64_MAX);
    take_signals(r);
    if (r->follow.is_new) {
        r->follow.is_new = false;
        settle_change(&r->settle, io_clock());
    }
    if (r->is_over || !r->follow.has_state || (r->had_first && !settle_take(&r->settle, io_clock())))
        return;
    r->settle.pending = false;
    r->files.interrupted = 0;
    render(r);
}

/* Whose end comes as a HUP. */
static bool has_terminal(void)
{
    int fd = open("/dev/tty", O_RDONLY | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

int conf_render(const struct global_options *g, int n, char **words)
{
    struct rendering r = {.g = g, .signals.fd = -1};
    bool brief = conf_opt.once || conf_opt.dry;
    int code = EXIT_USAGE;
    if (prepare(&r, n, words) && signals_open(&r.signals)) {
        r.has_terminal = has_terminal();
        int64_t timeout = conf_opt.timeout_ms >= 0 || !brief ? conf_opt.timeout_ms : ONCE_TIMEOUT_MS;
        if (g->call_timeout_ms > 0 && brief && conf_opt.timeout_ms < 0)
            timeout = g->call_timeout_ms;
        struct follow_options o = {.g = g, .place = &r.place, .keys = r.keys, .timeout_ms = timeout, .again = true};
        follow_open(&r.follow, &o);
        while (!r.is_over && r.follow.code == EXIT_OK)
            turn(&r);
        code = r.follow.code != EXIT_OK ? r.follow.code : r.code;
        follow_close(&r.follow);
    }
    signals_close(&r.signals);
    conf_files_fini(&r.files);
    conf_place_fini(&r.place);
    free(r.keys);
    return code;
}
