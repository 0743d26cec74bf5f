#include "cli/job.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "cli/autostart.h"
#include "cli/connect.h"
#include "cli/group.h"
#include "cli/proc.h"
#include "io/loop.h"

#define GUARDIANS_MAX     16   /* started one after the other; more deaths than this are not chance */
#define LOST_GRACE_MAX_MS 1000 /* somebody else may hold it already: between TERM and KILL then */
#define LEASES_MAX        512  /* of thirty locks in one another; outer ones are cut off */

static void say(const struct job *j, const char *text, const char *more)
{
    fprintf(stderr, "%s: %s: %s%s%s\n", j->o->who, j->o->name, text, more && *more ? ": " : "", more ? more : "");
}

/* ---- the guardian ---- */

/* In the guardian: tenure is dead and its command gone, so what it held is given back at once instead of when the lease ends. */
static void give_back(void *user, int64_t lease, int64_t until_ms)
{
    const struct job_options *o = user;
    struct tenure_options options;
    struct tenure_error err = {0};
    autostart(o->name, o->g, false); /* it may have been forked before there was a server */
    connect_options(o->g, &options);
    options.call_timeout_ms = until_ms - io_clock();
    options.close_timeout_ms = 1;
    tenure_client *c = tenure_open(o->g->endpoints, &options, &err);
    if (c)
        tenure_lease_revoke(c, lease, &err);
    tenure_close(c);
}

/* The guardian's command line is a copy of ours: a password is taken out of it before there is one. */
static bool start_guardian(struct job *j)
{
    struct tenure_options taken;
    connect_options(j->o->g, &taken);
    struct guardian_options o = {.who = j->o->who, .page = j->page, .revoke = give_back, .user = (void *)j->o};
    if (j->n_guardians++ < GUARDIANS_MAX && guardian_start(&j->guardian, &o))
        return true;
    say(j, "no guardian process can be started",
        j->n_guardians > GUARDIANS_MAX ? "each one is killed" : strerror(errno));
    return false;
}

int job_fd(const struct job *j)
{
    return j->guardian.pid ? j->guardian.fd : -1;
}

/* Without a guardian nothing holds the promise while tenure is stopped, so the command does not run without one. */
bool job_watch_guardian(struct job *j)
{
    struct pollfd fd = {.fd = j->guardian.fd, .events = POLLIN};
    if (!j->guardian.pid || poll(&fd, 1, 0) <= 0 || !fd.revents)
        return !j->has_failed;
    guardian_bury(&j->guardian);
    j->has_failed = !start_guardian(j);
    if (j->has_failed)
        enforce_end(&j->enforcer, io_clock() + j->page->grace_ms);
    return !j->has_failed;
}

int64_t job_enforce(struct job *j, int64_t now_ms)
{
    return j->page ? enforce(&j->enforcer, now_ms) : INT64_MAX;
}

void job_publish(struct job *j, int64_t lease, int64_t safe_until_ms)
{
    if (!j->page)
        return;
    atomic_store(&j->page->lease, lease);
    if (safe_until_ms > 0)
        atomic_store(&j->page->safe_until_ms, safe_until_ms);
}

bool job_open(struct job *j, const struct job_options *o)
{
    *j = (struct job){.o = o, .guardian.fd = -1};
    j->enforcer.page = j->page = page_new(o->grace_ms);
    if (!j->page) {
        say(j, "no memory", strerror(errno));
        return false;
    }
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    return start_guardian(j);
}

void job_dismiss(struct job *j)
{
    spawn_cancel(&j->ready);
    if (j->page)
        guardian_dismiss(&j->guardian, j->page);
}

void job_drop_ready(struct job *j)
{
    pid_t pid = j->ready.pid;
    spawn_fini(&j->ready);
    if (!pid)
        return;
    kill(pid, SIGKILL); /* somebody may have stopped it */
    waitpid(pid, NULL, 0);
}

void job_close(struct job *j)
{
    if (!j->page)
        return;
    job_dismiss(j);
    job_drop_ready(j);
    guardian_stop(&j->guardian, j->page);
    enforce_fini(&j->enforcer);
    spawn_fini(&j->child);
    page_free(j->page);
    *j = (struct job){.guardian.fd = -1};
}

/* ---- the command ---- */

void job_make_ready(struct job *j, char **argv, const struct spawn_how *how)
{
    struct spawn_how without = *how;
    without.variables = NULL;
    if (j->page && !j->ready.pid && !spawn_make_as(&j->ready, argv, &without))
        j->ready = (struct spawn){0};
}

/* From what stands ready when that can take its variables; else anew. */
static bool make_child(struct job *j, char **argv, const struct spawn_how *how)
{
    if (j->ready.pid && spawn_tell(&j->ready, how->variables)) {
        j->child = j->ready;
        j->ready = (struct spawn){0};
        return true;
    }
    job_drop_ready(j);
    return spawn_make_as(&j->child, argv, how);
}

/* Everybody who could end the command knows of it before it runs. */
bool job_make(struct job *j, char **argv, const struct spawn_how *how, int64_t lease)
{
    char hex[32], leases[LEASES_MAX];
    const char *around = getenv(PROC_LEASES);
    struct spawn_variable all[JOB_VARIABLES_MAX + 1] = {{"TENURE_LEASE", hex}, {PROC_LEASES, leases}};
    struct spawn_how with = *how;
    with.variables = all;
    for (size_t i = 0; how->variables[i].name && i + 2 < JOB_VARIABLES_MAX; i++)
        all[i + 2] = how->variables[i];
    snprintf(hex, sizeof hex, "%016" PRIx64, (uint64_t)lease);
    snprintf(leases, sizeof leases, "%s%s%s", hex, around ? " " : "", around ? around : "");
    atomic_store(&j->page->lease_of_command, lease);
    j->command = argv[0];
    if (!make_child(j, argv, &with))
        return false;
    page_run(j->page, j->child.pid);
    guardian_poke(&j->guardian);
    return true;
}

/* It would run, and be ended at once. */
static void warn_of_grace(const struct job *j, int64_t remaining_ms)
{
    char text[256];
    if (remaining_ms > j->page->grace_ms)
        return;
    snprintf(
        text, sizeof text,
        "it is held for sure for %g s, and --grace is %g s; where its home wants authority that takes less than half of "
        "the --ttl of tenure region hold",
        (double)remaining_ms / 1000, (double)j->page->grace_ms / 1000);
    say(j, "the command is told to end at once", text);
}

void job_let_go(struct job *j, int64_t remaining_ms)
{
    if (page_may_run(j->page, remaining_ms)) {
        warn_of_grace(j, remaining_ms);
        spawn_go(&j->child);
        return;
    }
    say(j, "lost before the command could run", NULL);
    spawn_cancel(&j->child);
}

void job_lost(struct job *j)
{
    int64_t grace = j->page->grace_ms < LOST_GRACE_MAX_MS ? j->page->grace_ms : LOST_GRACE_MAX_MS;
    enforce_end(&j->enforcer, io_clock() + grace);
}

void job_tell_ending(struct job *j, const char *why)
{
    int phase = j->page ? atomic_load(&j->page->phase) : PAGE_IDLE;
    if (j->told_ending || (phase != PAGE_ENDING && phase != PAGE_KILLED) || j->has_failed)
        return;
    j->told_ending = true;
    say(j, "lost, the command is told to end", why ? why : "the lease could not be renewed in time");
}

/* What it comes to. why: the errno with which it could not be executed. */
static int judge(const struct job *j, int why)
{
    if (why == ECANCELED)
        return EXIT_LOCK_LOST;
    if (j->was_ended)
        return j->has_failed ? EXIT_LOCK_FAILED : EXIT_LOCK_LOST;
    if (why)
        say(j, j->command, why == ENOENT ? "command not found" : strerror(why));
    return WIFSIGNALED(j->status) ? 128 + WTERMSIG(j->status) : WEXITSTATUS(j->status);
}

/* Its first process ended: by itself, or because it was told to. Others of its group may still be there. */
static void first_ended(struct job *j)
{
    pid_t pgid = j->child.pid;
    j->was_ended = !page_sweep(j->page, io_clock() + j->page->grace_ms);
    waitpid(pgid, &j->status, 0);
    j->code = judge(j, spawn_error(&j->child));
    if (group_alive(pgid))
        group_signal(pgid, SIGTERM);
}

enum job_news job_look(struct job *j, bool awaited, int *ret_signal)
{
    siginfo_t info = {0};
    while (waitid(P_ALL, 0, &info, WEXITED | WSTOPPED | WNOHANG | WNOWAIT) == 0 && info.si_pid) {
        pid_t pid = info.si_pid;
        int signal = info.si_status;
        bool stopped = info.si_code == CLD_STOPPED, ours = awaited && pid == j->child.pid;
        if (ours && !stopped) {
            first_ended(j);
            return JOB_ENDED;
        }
        waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOHANG);
        if (pid == j->ready.pid && !stopped) /* somebody killed it */
            spawn_fini(&j->ready);
        if (ours) {
            *ret_signal = signal;
            return JOB_STOPPED;
        }
        info = (siginfo_t){0};
    }
    return JOB_NOTHING;
}

bool job_is_gone(const struct job *j)
{
    return !group_alive(j->child.pid);
}

void job_swept(struct job *j)
{
    if (j->was_ended)
        enforce_rest(&j->enforcer);
    page_gone(j->page);
}
