#include "cli/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/autostart.h"
#include "cli/connect.h"
#include "cli/enforce.h"
#include "cli/group.h"
#include "cli/guardian.h"
#include "cli/output.h"
#include "cli/proc.h"
#include "cli/signals.h"
#include "cli/spawn.h"
#include "cli/terminal.h"
#include "io/loop.h"

#define GUARDIANS_MAX     16   /* started one after the other; more deaths than this are not chance */
#define LOST_GRACE_MAX_MS 1000 /* somebody else may hold the lock already: between TERM and KILL then */
#define SWEEP_POLL_MS     10   /* how often a dying group is looked at */
#define KEY_BYTES_MAX     4096
#define LEASES_MAX        512 /* of thirty locks in one another; outer ones are cut off */

enum run_phase { RUN_CLAIMING, RUN_HOLDING, RUN_SWEEPING, RUN_RELEASING, RUN_DONE };

struct run {
    const struct run_options *o;
    char who[32]; /* "tenure lock" */
    enum run_phase phase;
    int code;
    struct claim claim;
    struct page *page; /* NULL when there is no command */
    struct enforcer enforcer;
    struct guardian guardian;
    int n_guardians;
    struct spawn child;
    int status; /* of its first process, once that ended */
    struct terminal terminal;
    bool handed_over; /* the terminal was the command's at some time */
    struct signals signals;
    bool was_ended; /* not by itself */
    bool told_ending;
    bool interrupted; /* what ended the command, or the waiting, was a signal at our terminal */
};

static void say(const struct run *r, const char *text, const char *more)
{
    fprintf(stderr, "%s: %s: %s%s%s\n", r->who, r->o->claim.name, text, more && *more ? ": " : "", more ? more : "");
}

/* ---- the guardian ---- */

/* In the guardian: tenure is dead and its command gone, so the lock is given back at once instead of when the lease ends. */
static void give_back(void *user, int64_t lease, int64_t until_ms)
{
    const struct run_options *o = user;
    struct tenure_options options;
    struct tenure_error err = {0};
    autostart(o->claim.name, o->g, false); /* it may have been forked before there was a server */
    connect_options(o->g, &options);
    options.call_timeout_ms = until_ms - io_clock();
    options.close_timeout_ms = 1;
    tenure_client *c = tenure_open(o->g->endpoints, &options, &err);
    if (c)
        tenure_lease_revoke(c, lease, &err);
    tenure_close(c);
}

static void begin_release(struct run *r)
{
    claim_release(&r->claim);
    r->phase = RUN_RELEASING;
}

/* The guardian's command line is a copy of ours: a password is taken out of it before there is one. */
static bool start_guardian(struct run *r)
{
    struct tenure_options taken;
    connect_options(r->o->g, &taken);
    struct guardian_options o = {.who = r->who, .page = r->page, .revoke = give_back, .user = (void *)r->o};
    if (r->n_guardians++ < GUARDIANS_MAX && guardian_start(&r->guardian, &o))
        return true;
    say(r, "no guardian process can be started",
        r->n_guardians > GUARDIANS_MAX ? "each one is killed" : strerror(errno));
    return false;
}

/* Without a guardian nothing holds the promise while tenure is stopped, so the command does not run without one. */
static void watch_guardian(struct run *r)
{
    struct pollfd fd = {.fd = r->guardian.fd, .events = POLLIN};
    if (!r->guardian.pid || poll(&fd, 1, 0) <= 0 || !fd.revents)
        return;
    guardian_bury(&r->guardian);
    if (r->phase > RUN_HOLDING || start_guardian(r))
        return;
    r->code = EXIT_LOCK_FAILED;
    if (r->phase == RUN_CLAIMING)
        begin_release(r);
    else
        enforce_end(&r->enforcer, io_clock() + r->page->grace_ms);
}

/* Read before the question, so that the sum is never later than the truth. */
static void publish(struct run *r)
{
    int64_t now = io_clock();
    int64_t remaining = claim_remaining_ms(&r->claim);
    if (!r->page)
        return;
    atomic_store(&r->page->lease, claim_lease(&r->claim));
    if (remaining > 0)
        atomic_store(&r->page->safe_until_ms, now + remaining);
}

/* ---- the command ---- */

static void cannot_start(struct run *r, const char *what, int why)
{
    say(r, what, strerror(why));
    r->code = EXIT_LOCK_FAILED;
    begin_release(r);
}

static void give_terminal(struct run *r)
{
    terminal_give(&r->terminal, r->child.pid);
    r->handed_over = r->handed_over || r->terminal.given;
}

/* Everybody who could end the command knows of it before it runs, and it runs only while the lock is held. */
static void start_command(struct run *r)
{
    char key[KEY_BYTES_MAX], token[32], lease[32], leases[LEASES_MAX];
    const char *around = getenv(PROC_LEASES);
    claim_key(&r->claim, key, sizeof key);
    snprintf(token, sizeof token, "%" PRId64, r->claim.token);
    snprintf(lease, sizeof lease, "%016" PRIx64, (uint64_t)claim_lease(&r->claim));
    snprintf(leases, sizeof leases, "%s%s%s", lease, around ? " " : "", around ? around : "");
    atomic_store(&r->page->lease_of_command, claim_lease(&r->claim));
    const struct spawn_variable variables[] = {
        {"TENURE_TOKEN", token}, {"TENURE_KEY", key},   {"TENURE_NAME", r->o->claim.name},
        {"TENURE_LEASE", lease}, {PROC_LEASES, leases}, {NULL, NULL}};
    if (!spawn_make(&r->child, r->o->argv, variables, &r->signals.before)) {
        cannot_start(r, "the command cannot be started", errno);
        return;
    }
    page_run(r->page, r->child.pid);
    guardian_poke(&r->guardian);
    if (r->terminal.eager)
        give_terminal(r);
    r->phase = RUN_HOLDING;
    if (page_may_run(r->page, claim_remaining_ms(&r->claim))) {
        spawn_go(&r->child);
    } else {
        say(r, "lost before the command could run", NULL);
        spawn_cancel(&r->child);
    }
}

/* It stopped. Like a shell's job when it has the terminal; otherwise (kill -STOP) that is its own affair. */
static void child_stopped(struct run *r, int signal)
{
    bool by_terminal = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
    if (signal != SIGTSTP && by_terminal && terminal_is_ours(&r->terminal)) {
        give_terminal(r);
        group_signal(r->child.pid, SIGCONT);
        return;
    }
    if (r->terminal.fd < 0 || (!by_terminal && !r->terminal.given))
        return;
    bool given = r->terminal.given;
    terminal_take(&r->terminal);
    signals_stop_self(given);
    if (given || r->terminal.eager)
        give_terminal(r); /* in vain when continued in the background */
    group_signal(r->child.pid, SIGCONT);
}

/* What it comes to, from how its first process ended. why: the errno with which it could not be executed. */
static int judge(const struct run *r, bool ended_itself, int why)
{
    if (why == ECANCELED)
        return EXIT_LOCK_LOST;
    if (!ended_itself)
        return r->code == EXIT_LOCK_FAILED ? EXIT_LOCK_FAILED : EXIT_LOCK_LOST;
    if (why)
        say(r, r->o->argv[0], why == ENOENT ? "command not found" : strerror(why));
    return WIFSIGNALED(r->status) ? 128 + WTERMSIG(r->status) : WEXITSTATUS(r->status);
}

/* Its first process ended: by itself, or because it was told to. Others of its group may still be there. */
static void child_ended(struct run *r)
{
    pid_t pgid = r->child.pid;
    bool ended_itself = page_sweep(r->page, io_clock() + r->page->grace_ms);
    waitpid(pgid, &r->status, 0);
    r->code = judge(r, ended_itself, spawn_error(&r->child));
    r->was_ended = !ended_itself;
    r->phase = RUN_SWEEPING;
    if (group_alive(pgid))
        group_signal(pgid, SIGTERM);
}

/* Also collects what the command's processes left behind: tenure is their reaper. */
static void look_at_children(struct run *r)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        pid_t pid = info.si_pid;
        bool stopped = info.si_code == CLD_STOPPED, ours = pid == r->child.pid && r->phase == RUN_HOLDING;
        if (ours && !stopped)
            child_ended(r);
        else
            waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG);
        if (ours && stopped)
            child_stopped(r, info.si_status);
        info = (siginfo_t){0};
    }
}

/* ---- signals ---- */

static void signal_to_command(struct run *r, int signal)
{
    if (signal == SIGCONT) { /* `fg`, after somebody stopped tenure itself */
        if (r->handed_over || r->terminal.eager)
            give_terminal(r);
        group_signal(r->child.pid, SIGCONT);
    } else if (signal != SIGCHLD) {
        group_signal(r->child.pid, signal);
    }
}

static void signal_to_us(struct run *r, int signal)
{
    if (r->phase >= RUN_RELEASING)
        return; /* on the way out, which is bounded */
    if (signal == SIGTSTP)
        signals_stop_self(false);
    if (!signals_is_end(signal))
        return;
    r->code = r->phase == RUN_CLAIMING ? 128 + signal : EXIT_OK;
    r->interrupted = terminal_is_ours(&r->terminal);
    begin_release(r);
}

static void take_signals(struct run *r)
{
    int signal;
    while ((signal = signals_next(&r->signals))) {
        if (r->child.pid && r->phase <= RUN_SWEEPING)
            signal_to_command(r, signal);
        else
            signal_to_us(r, signal);
    }
}

/* ---- the way ---- */

static const struct output_form held_form = {
    .columns = (const struct output_column[]){{.path = "name", .heading = "NAME"},
                                              {.path = "key", .heading = "KEY"},
                                              {.path = "token", .heading = "TOKEN", .kind = OUTPUT_NUMBER},
                                              {.path = "lease", .heading = "LEASE"},
                                              {0}},
};

static void print_held(const struct run *r)
{
    char key[KEY_BYTES_MAX];
    claim_key(&r->claim, key, sizeof key);
    if (!output_is_text(r->o->g)) {
        json_t *o = json_object();
        output_set_bytes(o, "name", tenure_str(r->o->claim.name));
        output_set_bytes(o, "key", tenure_str(key));
        json_object_set_new(o, "token", json_integer(r->claim.token));
        json_object_set_new(o, "lease", output_lease(claim_lease(&r->claim)));
        output_event(r->o->g, &held_form, o);
    } else {
        printf("%s\ntoken %" PRId64 "\n", key, r->claim.token);
    }
    fflush(stdout);
    clearerr(stdout); /* it is held also when nobody reads that */
}

/* Whether to queue again: the session was lost in the queue (this program was stopped), or the server is away meanwhile. */
static bool is_worth_another_try(const struct claim *c)
{
    return c->was_answered && (c->why.kind == TENURE_KIND_LOST || c->why.kind == TENURE_KIND_UNAVAILABLE ||
                               c->why.kind == TENURE_KIND_TIMEOUT);
}

static void refused(struct run *r)
{
    const struct tenure_error *why = &r->claim.why;
    bool in_time = r->claim.ask_until_ms == INT64_MAX || io_clock() < r->claim.ask_until_ms;
    if (in_time && is_worth_another_try(&r->claim)) {
        claim_ask(&r->claim);
        return;
    }
    if (why->code == TENURE_EBUSY || (r->o->claim.timeout_ms >= 0 && !in_time)) {
        say(r, "not acquired in time", why->code == TENURE_ETIMEOUT || why->code == TENURE_ELOST ? NULL : why->text);
        r->code = EXIT_LOCK_TIMEOUT;
    } else {
        connect_failed(r->o->command, r->o->g, why);
        r->code = EXIT_LOCK_FAILED;
    }
    begin_release(r);
}

static void lost(struct run *r)
{
    int64_t grace = r->page && r->page->grace_ms < LOST_GRACE_MAX_MS ? r->page->grace_ms : LOST_GRACE_MAX_MS;
    if (r->page) {
        enforce_end(&r->enforcer, io_clock() + grace);
        return;
    }
    say(r, "lost", r->claim.why.text);
    r->code = EXIT_LOCK_LOST;
    begin_release(r);
}

static void tell_ending(struct run *r)
{
    int phase = r->page ? atomic_load(&r->page->phase) : PAGE_IDLE;
    if (r->told_ending || (phase != PAGE_ENDING && phase != PAGE_KILLED) || r->code == EXIT_LOCK_FAILED)
        return;
    r->told_ending = true;
    say(r, "lost, the command is told to end",
        r->claim.state == CLAIM_LOST ? r->claim.why.text : "the lease could not be renewed in time");
}

static void swept(struct run *r)
{
    if (r->was_ended)
        enforce_rest(&r->enforcer);
    page_gone(r->page);
    terminal_take(&r->terminal);
    r->interrupted = WIFSIGNALED(r->status) && terminal_is_ours(&r->terminal);
    if (WIFSIGNALED(r->status))
        terminal_restore(&r->terminal);
    begin_release(r);
}

static void step(struct run *r)
{
    switch (r->phase) {
    case RUN_CLAIMING:
        if (r->claim.state == CLAIM_REFUSED)
            refused(r);
        if (r->claim.state != CLAIM_HELD)
            return;
        if (r->o->argv) {
            start_command(r);
        } else {
            r->phase = RUN_HOLDING;
            print_held(r);
        }
        return;
    case RUN_HOLDING:
        if (r->claim.state == CLAIM_LOST)
            lost(r);
        tell_ending(r);
        return;
    case RUN_SWEEPING:
        tell_ending(r);
        if (!group_alive(r->child.pid))
            swept(r);
        return;
    case RUN_RELEASING:
        if (r->claim.state != CLAIM_NONE)
            return;
        if (r->claim.why.code && r->claim.why.code != TENURE_ELOST)
            say(r, "could not be released, it will be free when its lease ends", r->claim.why.text);
        r->phase = RUN_DONE;
        return;
    case RUN_DONE:
        return;
    }
}

static int timeout_ms(const struct run *r, int64_t enforce_at)
{
    int64_t t = claim_wait_ms(&r->claim), until = enforce_at == INT64_MAX ? -1 : enforce_at - io_clock();
    if (enforce_at != INT64_MAX && until < 0)
        until = 0;
    if (t < 0 || (until >= 0 && until < t))
        t = until;
    if (r->phase == RUN_SWEEPING && (t < 0 || t > SWEEP_POLL_MS))
        t = SWEEP_POLL_MS;
    return t > 1000000000 ? 1000000000 : (int)t;
}

static void turn(struct run *r)
{
    claim_turn(&r->claim);
    publish(r);
    take_signals(r); /* first: a SIGCHLD that is read here must still be looked after */
    look_at_children(r);
    watch_guardian(r);
    enum run_phase before;
    do {
        before = r->phase;
        step(r);
    } while (r->phase != before);
}

static void loop(struct run *r)
{
    for (turn(r); r->phase != RUN_DONE; turn(r)) {
        int64_t enforce_at = r->page ? enforce(&r->enforcer, io_clock()) : INT64_MAX;
        struct pollfd fds[] = {
            {.fd = claim_fd(&r->claim), .events = POLLIN},
            {.fd = r->signals.fd, .events = POLLIN},
            {.fd = r->guardian.pid ? r->guardian.fd : -1, .events = POLLIN},
        };
        poll(fds, 3, timeout_ms(r, enforce_at));
    }
}

/* ---- setting up and tearing down ---- */

static bool prepare(struct run *r)
{
    if (!signals_open(&r->signals)) {
        say(r, "signals cannot be read", strerror(errno));
        return false;
    }
    terminal_open(&r->terminal);
    if (!r->o->argv)
        return true;
    r->enforcer.page = r->page = page_new(r->o->grace_ms);
    if (!r->page) {
        say(r, "no memory", strerror(errno));
        return false;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return start_guardian(r);
}

/* Ctrl-C or Ctrl-\ at our terminal: the shell, and the script around us, tell by the way we die that all is to end. When the
 * command had the terminal, the others of our group did not get the signal yet. */
static void die_alike(const struct run *r)
{
    int signal = r->code - 128;
    if ((signal != SIGINT && signal != SIGQUIT) || !r->interrupted)
        return;
    signals_die(signal, r->handed_over);
}

int run_claimed(const struct run_options *o)
{
    struct run r = {.o = o, .code = EXIT_LOCK_FAILED, .signals.fd = -1, .terminal.fd = -1, .guardian.fd = -1};
    snprintf(r.who, sizeof r.who, "tenure %s", o->command);
    if (prepare(&r) && claim_open(&r.claim, o->command, o->g, &o->claim)) {
        r.code = EXIT_OK;
        claim_ask(&r.claim);
        loop(&r);
        claim_close(&r.claim);
    }
    if (r.page)
        guardian_stop(&r.guardian, r.page);
    enforce_fini(&r.enforcer);
    spawn_fini(&r.child);
    terminal_close(&r.terminal);
    signals_close(&r.signals);
    page_free(r.page);
    die_alike(&r);
    return r.code;
}
