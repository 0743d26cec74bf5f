/* tenure config exec: a program with its configuration as environment, started anew (or sent a signal) when that changes.
 *
 *   WAITING --first state--> RUNNING --changed--> ENDING --its group is gone--> RUNNING
 *      |                        |  \--told to end: passed on--> LEAVING
 *      \--told to end           \--ended by itself              |
 *               \------------------------\---------------------/--> DONE
 *
 * Happy path: one loop over the library's descriptor and the signals. Failure modes: no server: the program waits for the first
 * state (or starts with the copy of --cache), and runs on with what it has. A state that makes no environment (two keys of one name, a
 * sealed value without its key): the same. It ends as its program ends: exit code, or 128 + signal. All its children are collected, also
 * those that lost their parents, so it may be the first process of a container. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "cli/conf_env.h"
#include "cli/conf_follow.h"
#include "cli/group.h"
#include "cli/settle.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "io/loop.h"

#define KILL_AFTER_MS 5000
#define SWEEP_POLL_MS 10 /* how often a dying group is looked at */

enum exec_phase { EXEC_WAITING, EXEC_RUNNING, EXEC_ENDING, EXEC_LEAVING, EXEC_DONE };

struct exec {
    char **argv;
    const char *keys;
    enum exec_phase phase;
    int code;
    struct follow follow;
    struct settle settle;
    struct signals signals;
    struct terminal terminal;
    struct spawn child;
    struct conf_env env; /* of the child */
    bool is_collected;   /* the child's first process, while its group is still there */
    bool interrupted;    /* at our terminal */
    bool handed_over;    /* the terminal was the program's at some time */
    int reload_signal;   /* 0 = it is started anew */
    int64_t kill_after_ms, kill_at_ms, splay_until_ms;
};

static void say(const char *what, const char *more)
{
    fprintf(stderr, "tenure config: exec: %s%s%s\n", what, more ? ": " : "", more ? more : "");
}

static void done(struct exec *x, int code)
{
    x->phase = EXEC_DONE;
    x->code = code;
}

/* ---- the program ---- */

static void give_terminal(struct exec *x)
{
    terminal_give(&x->terminal, x->child.pid);
    x->handed_over = x->handed_over || x->terminal.given;
}

static void start(struct exec *x)
{
    if (!spawn_make_in(&x->child, x->argv, x->env.all, conf_opt.pristine, &x->signals.before)) {
        say("the command cannot be started", strerror(errno));
        done(x, EXIT_LOCK_FAILED);
        return;
    }
    x->is_collected = false;
    x->kill_at_ms = INT64_MAX;
    x->phase = EXEC_RUNNING;
    if (x->terminal.eager)
        give_terminal(x);
    spawn_go(&x->child);
}

/* The newest state as an environment in ret. */
static bool make_environment(struct exec *x, struct conf_env *ret)
{
    struct tenure_error err = {0};
    struct tenure_config_list *list = follow_list(&x->follow);
    *ret = (struct conf_env){0};
    int rc = list ? conf_env_make(ret, list, x->keys, conf_opt.upcase, &err) : TENURE_ENOMEM;
    if (rc < 0 && list)
        say("the configuration makes no environment", err.text);
    tenure_config_list_free(list);
    return rc == 0;
}

static void begin(struct exec *x)
{
    if (make_environment(x, &x->env))
        start(x);
    else
        done(x, EXIT_LOCK_FAILED);
}

static void take_environment(struct exec *x, struct conf_env *next)
{
    conf_env_fini(&x->env);
    x->env = *next;
}

/* The configuration is another one: the program is to know. */
static void changed(struct exec *x)
{
    struct conf_env next;
    if (!make_environment(x, &next)) {
        say("it runs on with what it has", NULL);
        return;
    }
    if (conf_env_equal(&next, &x->env)) {
        conf_env_fini(&next);
        return;
    }
    take_environment(x, &next);
    if (x->reload_signal) {
        say("the configuration changed: the command gets its signal", NULL);
        group_signal(x->child.pid, x->reload_signal);
        return;
    }
    say("the configuration changed: the command is started anew", NULL);
    x->phase = EXEC_ENDING;
    x->kill_at_ms = io_clock() + x->kill_after_ms;
    group_signal(x->child.pid, SIGTERM);
}

/* ---- its end ---- */

static int code_of(int status)
{
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void child_ended(struct exec *x, int status)
{
    int why = spawn_error(&x->child);
    x->is_collected = true;
    x->code = code_of(status);
    terminal_take(&x->terminal);
    if (x->phase == EXEC_ENDING)
        return; /* its group may still be there */
    if (why)
        say(x->argv[0], why == ENOENT ? "command not found" : strerror(why));
    x->interrupted = WIFSIGNALED(status) && terminal_is_ours(&x->terminal);
    if (WIFSIGNALED(status))
        terminal_restore(&x->terminal);
    done(x, x->code);
}

/* Like a shell's job when it has the terminal. */
static void child_stopped(struct exec *x, int signal)
{
    bool by_terminal = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
    if (x->terminal.fd < 0 || !by_terminal)
        return;
    if (signal == SIGTSTP || !terminal_is_ours(&x->terminal)) {
        bool given = x->terminal.given;
        terminal_take(&x->terminal);
        signals_stop_self(given);
    }
    give_terminal(x);
    group_signal(x->child.pid, SIGCONT);
}

static void look_at_children(struct exec *x)
{
    siginfo_t info = {0};
    int status;
    while (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        pid_t pid = info.si_pid;
        bool ours = pid == x->child.pid && !x->is_collected, stopped = info.si_code == CLD_STOPPED;
        int signal = info.si_status;
        status = 0;
        if (waitpid(pid, &status, WUNTRACED | WNOHANG) < 0)
            return;
        if (ours && stopped)
            child_stopped(x, signal);
        else if (ours)
            child_ended(x, status);
        info = (siginfo_t){0};
    }
}

/* ---- signals ---- */

static void one_signal(struct exec *x, int signal)
{
    if (signal == SIGCHLD || x->phase == EXEC_DONE)
        return;
    if (x->phase == EXEC_WAITING) {
        if (signals_is_end(signal))
            done(x, 128 + signal);
        return;
    }
    if (signal == SIGCONT && x->terminal.eager)
        give_terminal(x);
    group_signal(x->child.pid, signal);
    if (signals_is_end(signal) && signal != SIGHUP)
        x->phase = EXEC_LEAVING; /* whatever changes now, it is not started again */
}

static void take_signals(struct exec *x)
{
    for (int signal; (signal = signals_next(&x->signals));)
        one_signal(x, signal);
}

/* ---- the way ---- */

static int64_t splay(void)
{
    uint64_t chance = 0;
    if (conf_opt.splay_ms <= 0 || getrandom(&chance, sizeof chance, 0) != (ssize_t)sizeof chance)
        return 0;
    return (int64_t)(chance % (uint64_t)conf_opt.splay_ms);
}

static void look_at_changes(struct exec *x)
{
    int64_t now = io_clock();
    if (x->follow.is_new && x->phase != EXEC_WAITING)
        settle_change(&x->settle, now);
    if (x->follow.is_new && x->phase == EXEC_WAITING)
        begin(x);
    x->follow.is_new = false;
    if (x->phase != EXEC_RUNNING)
        return;
    if (x->splay_until_ms == INT64_MAX && settle_take(&x->settle, now))
        x->splay_until_ms = now + splay();
    if (now < x->splay_until_ms)
        return;
    x->splay_until_ms = INT64_MAX;
    changed(x);
}

/* Started anew only when nothing of it is left: it may hold what the next one needs. */
static void look_at_the_end(struct exec *x)
{
    if (x->phase == EXEC_LEAVING && x->is_collected)
        done(x, x->code);
    if (x->phase != EXEC_ENDING && x->phase != EXEC_LEAVING)
        return;
    if (io_clock() >= x->kill_at_ms)
        group_signal(x->child.pid, SIGKILL);
    if (x->phase == EXEC_LEAVING || !x->is_collected || group_alive(x->child.pid))
        return;
    spawn_fini(&x->child);
    start(x);
}

static int64_t due_ms(const struct exec *x)
{
    int64_t at = x->phase == EXEC_RUNNING && x->splay_until_ms == INT64_MAX ? settle_due_ms(&x->settle) : INT64_MAX;
    if (x->phase == EXEC_RUNNING && x->splay_until_ms < at)
        at = x->splay_until_ms;
    if (x->phase == EXEC_ENDING || x->phase == EXEC_LEAVING)
        at = x->is_collected || io_clock() >= x->kill_at_ms ? io_clock() + SWEEP_POLL_MS : x->kill_at_ms;
    return at;
}

static void loop(struct exec *x)
{
    while (x->phase != EXEC_DONE) {
        follow_wait(&x->follow, x->signals.fd, due_ms(x));
        take_signals(x);
        look_at_children(x);
        if (x->phase != EXEC_DONE)
            look_at_changes(x);
        look_at_the_end(x);
        if (x->phase == EXEC_WAITING && x->follow.code != EXIT_OK)
            done(x, EXIT_LOCK_FAILED);
    }
}

/* "HUP" or "SIGHUP". */
static bool take_signal(struct exec *x)
{
    static const struct {
        const char *name;
        int signal;
    } known[] = {{"HUP", SIGHUP},   {"INT", SIGINT},   {"QUIT", SIGQUIT},   {"TERM", SIGTERM},
                 {"USR1", SIGUSR1}, {"USR2", SIGUSR2}, {"WINCH", SIGWINCH}, {"ALRM", SIGALRM}};
    const char *name = conf_opt.signal;
    if (!name)
        return true;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(known[i].name, strncasecmp(name, "SIG", 3) == 0 ? name + 3 : name) == 0) {
            x->reload_signal = known[i].signal;
            return true;
        }
    }
    conf_usage("option --signal: '%s' is none of HUP, INT, QUIT, TERM, USR1, USR2, WINCH, ALRM", name);
    return false;
}

int conf_exec(const struct global_options *g, int n, char **words)
{
    struct exec x = {.argv = words, .code = EXIT_LOCK_FAILED, .signals.fd = -1, .terminal.fd = -1};
    struct conf_place place;
    (void)n;
    if (!take_signal(&x) || !conf_place_of(&place, NULL, g))
        return EXIT_LOCK_FAILED;
    char *keys = conf_prefix(conf_opt.prefix);
    x.keys = keys;
    x.splay_until_ms = INT64_MAX;
    x.kill_after_ms = conf_opt.kill_after_ms < 0 ? KILL_AFTER_MS : conf_opt.kill_after_ms;
    settle_init(&x.settle, conf_opt.min_wait_ms, conf_opt.max_wait_ms);
    struct follow_options o = {.g = g, .place = &place, .keys = keys, .timeout_ms = conf_opt.timeout_ms, .again = true};
    if (signals_open(&x.signals)) {
        prctl(PR_SET_CHILD_SUBREAPER, 1);
        terminal_open(&x.terminal);
        if (follow_open(&x.follow, &o))
            loop(&x);
        follow_close(&x.follow);
    }
    spawn_fini(&x.child);
    terminal_close(&x.terminal);
    signals_close(&x.signals);
    conf_env_fini(&x.env);
    conf_place_fini(&place);
    free(keys);
    if (x.interrupted && (x.code == 128 + SIGINT || x.code == 128 + SIGQUIT))
        signals_die(x.code - 128, x.handed_over);
    return x.code;
}
