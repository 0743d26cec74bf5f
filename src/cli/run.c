#include "cli/run.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/group.h"
#include "cli/job.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "cli/terminal.h"
#include "io/loop.h"

#define SWEEP_POLL_MS 10 /* how often a dying group is looked at */
#define KEY_BYTES_MAX 4096
#define READY_MS      1000 /* how long a process stands ready to become the command */

enum run_phase { RUN_CLAIMING, RUN_HOLDING, RUN_SWEEPING, RUN_RELEASING, RUN_DONE };

struct run {
    const struct run_options *o;
    char who[32]; /* "tenure lock" */
    enum run_phase phase;
    int code;
    struct claim claim;
    struct job_options job_options;
    struct job job; /* not open when there is no command */
    struct terminal terminal;
    bool handed_over; /* the terminal was the command's at some time */
    struct signals signals;
    int64_t ready_until_ms; /* 0: none was made ready yet */
    bool interrupted;       /* what ended the command, or the waiting, was a signal at our terminal */
};

static void say(const struct run *r, const char *text, const char *more)
{
    fprintf(stderr, "%s: %s: %s%s%s\n", r->who, r->o->claim.name, text, more && *more ? ": " : "", more ? more : "");
}

static void begin_release(struct run *r)
{
    claim_release(&r->claim);
    r->phase = RUN_RELEASING;
}

static void watch_guardian(struct run *r)
{
    if (r->phase > RUN_HOLDING || job_watch_guardian(&r->job))
        return;
    r->code = EXIT_LOCK_FAILED;
    if (r->phase == RUN_CLAIMING)
        begin_release(r);
}

/* Read before the question, so that the sum is never later than the truth. */
static void publish(struct run *r)
{
    int64_t now = io_clock(), remaining = claim_remaining_ms(&r->claim);
    job_publish(&r->job, claim_lease(&r->claim), remaining > 0 ? now + remaining : 0);
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
    terminal_give(&r->terminal, r->job.child.pid);
    r->handed_over = r->handed_over || r->terminal.given;
}

/* While the server has the word there is time to fork. Who waits in a queue does so without that process. */
static void make_ready(struct run *r)
{
    const struct spawn_how how = {.mask = &r->signals.before, .input = -1, .output = -1};
    r->ready_until_ms = io_clock() + READY_MS;
    job_make_ready(&r->job, r->o->argv, &how);
}

static bool is_to_make_ready(const struct run *r)
{
    return r->phase == RUN_CLAIMING && r->o->argv && !r->ready_until_ms;
}

/* It runs only while the lock is held. */
static void start_command(struct run *r)
{
    char key[KEY_BYTES_MAX], token[32];
    claim_key(&r->claim, key, sizeof key);
    snprintf(token, sizeof token, "%" PRId64, r->claim.token);
    const struct spawn_variable variables[] = {
        {"TENURE_TOKEN", token}, {"TENURE_KEY", key}, {"TENURE_NAME", r->o->claim.name}, {NULL, NULL}};
    const struct spawn_how how = {.variables = variables, .mask = &r->signals.before, .input = -1, .output = -1};
    if (!job_make(&r->job, r->o->argv, &how, claim_lease(&r->claim))) {
        cannot_start(r, "the command cannot be started", errno);
        return;
    }
    if (r->terminal.eager)
        give_terminal(r);
    r->phase = RUN_HOLDING;
    job_let_go(&r->job, claim_remaining_ms(&r->claim));
}

/* It stopped. Like a shell's job when it has the terminal; otherwise (kill -STOP) that is its own affair. */
static void child_stopped(struct run *r, int signal)
{
    bool by_terminal = signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;
    if (signal != SIGTSTP && by_terminal && terminal_is_ours(&r->terminal)) {
        give_terminal(r);
        group_signal(r->job.child.pid, SIGCONT);
        return;
    }
    if (r->terminal.fd < 0 || (!by_terminal && !r->terminal.given))
        return;
    bool given = r->terminal.given;
    terminal_take(&r->terminal);
    signals_stop_self(given);
    if (given || r->terminal.eager)
        give_terminal(r); /* in vain when continued in the background */
    group_signal(r->job.child.pid, SIGCONT);
}

static void look_at_command(struct run *r)
{
    enum job_news news;
    int signal;
    while ((news = job_look(&r->job, r->phase == RUN_HOLDING, &signal)) != JOB_NOTHING) {
        if (news == JOB_STOPPED) {
            child_stopped(r, signal);
        } else {
            r->code = r->job.code;
            r->phase = RUN_SWEEPING;
        }
    }
}

/* ---- signals ---- */

static void signal_to_command(struct run *r, int signal)
{
    if (signal == SIGCONT) { /* `fg`, after somebody stopped tenure itself */
        if (r->handed_over || r->terminal.eager)
            give_terminal(r);
        group_signal(r->job.child.pid, SIGCONT);
    } else if (signal != SIGCHLD) {
        group_signal(r->job.child.pid, signal);
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
        if (r->job.child.pid && r->phase <= RUN_SWEEPING)
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
    if (r->job.page) {
        job_lost(&r->job);
        return;
    }
    say(r, "lost", r->claim.why.text);
    r->code = EXIT_LOCK_LOST;
    begin_release(r);
}

static void tell_ending(struct run *r)
{
    job_tell_ending(&r->job, r->claim.state == CLAIM_LOST ? r->claim.why.text : NULL);
}

static void swept(struct run *r)
{
    job_swept(&r->job);
    terminal_take(&r->terminal);
    r->interrupted = WIFSIGNALED(r->job.status) && terminal_is_ours(&r->terminal);
    if (WIFSIGNALED(r->job.status))
        terminal_restore(&r->terminal);
    begin_release(r);
}

static void step(struct run *r)
{
    switch (r->phase) {
    case RUN_CLAIMING:
        if (r->claim.state == CLAIM_REFUSED)
            refused(r);
        if (r->ready_until_ms && io_clock() > r->ready_until_ms)
            job_drop_ready(&r->job);
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
        if (job_is_gone(&r->job))
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
    look_at_command(r);
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
        int64_t enforce_at = job_enforce(&r->job, io_clock());
        struct pollfd fds[] = {
            {.fd = claim_fd(&r->claim), .events = POLLIN},
            {.fd = r->signals.fd, .events = POLLIN},
            {.fd = job_fd(&r->job), .events = POLLIN},
        };
        if (is_to_make_ready(r) && poll(fds, 3, 0) == 0)
            make_ready(r);
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
    r->job_options =
        (struct job_options){.who = r->who, .name = r->o->claim.name, .g = r->o->g, .grace_ms = r->o->grace_ms};
    return job_open(&r->job, &r->job_options);
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
    struct run r = {.o = o, .code = EXIT_LOCK_FAILED, .signals.fd = -1, .terminal.fd = -1, .job.guardian.fd = -1};
    snprintf(r.who, sizeof r.who, "tenure %s", o->command);
    if (prepare(&r) && claim_open(&r.claim, o->command, o->g, &o->claim)) {
        r.code = EXIT_OK;
        claim_ask(&r.claim);
        loop(&r);
        job_dismiss(&r.job); /* it ends while we do */
        claim_close(&r.claim);
    }
    job_close(&r.job);
    terminal_close(&r.terminal);
    signals_close(&r.signals);
    die_alike(&r);
    return r.code;
}
