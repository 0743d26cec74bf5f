#include "cli/shift.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/connect.h"
#include "cli/group.h"
#include "io/loop.h"

#define SWEEP_POLL_MS   10   /* how often a dying group is looked at */
#define CALL_TIMEOUT_MS 5000 /* the library's default */

enum { WAITING, WORKING, SWEEPING, SETTLING, STOPPING, OVER };

void shift_say(const struct shift *s, const char *what, const char *more)
{
    fprintf(stderr, "%s: %s: %s%s%s\n", s->who, s->o->name, what, more && *more ? ": " : "", more ? more : "");
}

/* ---- the way ---- */

static void begin_idle(struct shift *s)
{
    s->idle_until_ms = s->o->timeout_ms < 0 ? INT64_MAX : io_clock() + s->o->timeout_ms;
}

static void want(struct shift *s)
{
    s->phase = WAITING;
    begin_idle(s);
    s->o->type->want(s->o->user);
}

static void stop(struct shift *s, int code)
{
    s->phase = STOPPING;
    s->code = code;
    s->stop_until_ms = io_clock() + s->call_timeout_ms;
    s->o->type->stop(s->o->user);
}

static void publish(struct shift *s)
{
    int64_t now = io_clock(), remaining = s->o->type->remaining_ms(s->o->user);
    job_publish(&s->job, s->o->type->lease(s->o->user), remaining > 0 ? now + remaining : 0);
}

/* Everybody who could end the command knows of it, and until when, before it runs. */
static void begin_work(struct shift *s)
{
    int null = s->input < 0 ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
    const struct spawn_how how = {
        .variables = s->variables, .mask = &s->signals.before, .input = s->input < 0 ? null : s->input, .output = -1};
    s->has_work = s->is_lost = s->is_settled = false;
    publish(s);
    bool made = job_make(&s->job, s->argv, &how, s->o->type->lease(s->o->user));
    if (null >= 0)
        close(null);
    if (!made) {
        shift_say(s, "the command cannot be started", strerror(errno));
        s->is_ending = s->has_failed = true;
        s->phase = SETTLING;
        s->o->type->settle(s->o->user, EXIT_LOCK_FAILED, true);
        return;
    }
    s->phase = WORKING;
    job_let_go(&s->job, s->o->type->remaining_ms(s->o->user));
}

static void swept(struct shift *s)
{
    int code = s->job.code;
    bool was_ended = s->job.was_ended || code == EXIT_LOCK_LOST;
    s->status = s->job.status;
    job_swept(&s->job);
    job_close(&s->job);
    s->has_failed = s->has_failed || !job_open(&s->job, &s->job_options);
    s->is_ending = s->is_ending || s->has_failed;
    s->code = code;
    s->phase = SETTLING;
    s->o->type->settle(s->o->user, code, was_ended);
}

static void settled(struct shift *s)
{
    s->is_settled = false;
    if (s->o->once || s->is_ending)
        stop(s, s->o->once ? s->code : EXIT_OK);
    else
        want(s);
}

static void over(struct shift *s)
{
    s->phase = OVER;
    if (!s->why_over.code)
        return;
    connect_failed(s->o->command, s->o->g, &s->why_over);
    s->has_failed = true;
}

static void nobody_answers(struct shift *s)
{
    struct tenure_error why = {.code = TENURE_EUNAVAILABLE, .kind = TENURE_KIND_UNAVAILABLE};
    snprintf(why.text, sizeof why.text, "no server answered: %s", tenure_endpoint(s->client, 0));
    connect_failed(s->o->command, s->o->g, &why);
    s->has_failed = true;
    stop(s, EXIT_LOCK_FAILED);
}

static void wait_on(struct shift *s)
{
    int64_t now = io_clock();
    if (!s->was_answered && s->o->type->was_answered(s->o->user)) {
        s->was_answered = true;
        begin_idle(s); /* without an answer nobody knows whether there is work */
    }
    if (s->has_work)
        begin_work(s);
    else if (s->is_settled) /* without a command: it was none that can be run */
        settled(s);
    else if (s->is_over)
        over(s);
    else if (s->is_ending)
        stop(s, EXIT_OK);
    else if (!s->was_answered && now >= s->answer_until_ms)
        nobody_answers(s);
    else if (s->was_answered && now >= s->idle_until_ms)
        stop(s, s->o->once ? EXIT_LOCK_TIMEOUT : EXIT_OK);
}

static void step(struct shift *s)
{
    switch (s->phase) {
    case WAITING:
        wait_on(s);
        return;
    case WORKING:
        if (s->is_lost)
            job_lost(&s->job);
        job_tell_ending(&s->job, s->is_lost ? s->why_lost.text : NULL);
        return;
    case SWEEPING:
        job_tell_ending(&s->job, s->is_lost ? s->why_lost.text : NULL);
        if (job_is_gone(&s->job))
            swept(s);
        return;
    case SETTLING:
        if (s->is_settled)
            settled(s);
        return;
    case STOPPING:
        if (s->is_over || io_clock() >= s->stop_until_ms)
            over(s);
        return;
    default:
        return;
    }
}

/* ---- signals and children ---- */

static void told_to_end(struct shift *s, int signal)
{
    bool works = s->phase == WORKING || s->phase == SWEEPING;
    if (works && s->is_ending)
        group_signal(s->job.child.pid, signal);
    else if (works)
        shift_say(s, "ends when its command has; the next signal is passed on to that", NULL);
    s->is_ending = true;
}

static void take_signals(struct shift *s)
{
    int signal;
    while ((signal = signals_next(&s->signals))) {
        bool works = s->phase == WORKING || s->phase == SWEEPING;
        if (signals_is_end(signal)) {
            told_to_end(s, signal);
        } else if (signal == SIGTSTP) { /* who is stopped renews nothing: the command stands as well */
            if (works)
                group_signal(s->job.child.pid, SIGTSTP);
            signals_stop_self(false);
            if (works)
                group_signal(s->job.child.pid, SIGCONT);
        } else if (signal != SIGCHLD && works) {
            group_signal(s->job.child.pid, signal);
        }
    }
}

static void look_at_command(struct shift *s)
{
    enum job_news news;
    int signal;
    while ((news = job_look(&s->job, s->phase == WORKING, &signal)) != JOB_NOTHING)
        if (news == JOB_ENDED)
            s->phase = SWEEPING;
}

/* Without a guardian no command runs. */
static void watch_guardian(struct shift *s)
{
    if (!job_watch_guardian(&s->job))
        s->is_ending = s->has_failed = true;
}

/* ---- the loop ---- */

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int timeout_ms(const struct shift *s, int64_t enforce_at)
{
    int64_t now = io_clock(), at = enforce_at;
    int wait = tenure_timeout_ms(s->client);
    if (wait >= 0)
        at = sooner(at, now + wait);
    if (s->phase == SWEEPING)
        at = sooner(at, now + SWEEP_POLL_MS);
    if (s->phase == WAITING)
        at = sooner(at, s->was_answered ? s->idle_until_ms : s->answer_until_ms);
    if (s->phase == STOPPING)
        at = sooner(at, s->stop_until_ms);
    if (at == INT64_MAX)
        return -1;
    return at <= now ? 0 : (int)sooner(at - now, 1000000000);
}

static void turn(struct shift *s)
{
    tenure_turn(s->client);
    publish(s);
    take_signals(s); /* first: a SIGCHLD that is read here must still be looked after */
    look_at_command(s);
    watch_guardian(s);
    int before;
    do {
        before = s->phase;
        step(s);
    } while (s->phase != before);
}

int shift_run(struct shift *s)
{
    want(s);
    for (turn(s); s->phase != OVER; turn(s)) {
        int64_t enforce_at = job_enforce(&s->job, io_clock());
        struct pollfd fds[] = {
            {.fd = tenure_fd(s->client), .events = POLLIN},
            {.fd = s->signals.fd, .events = POLLIN},
            {.fd = job_fd(&s->job), .events = POLLIN},
        };
        poll(fds, 3, timeout_ms(s, enforce_at));
    }
    return s->has_failed ? EXIT_LOCK_FAILED : s->code;
}

bool shift_begin(struct shift *s, const struct shift_options *o)
{
    *s = (struct shift){.o = o, .signals.fd = -1, .input = -1, .argv = o->argv};
    snprintf(s->who, sizeof s->who, "tenure %s", o->command);
    s->job_options = (struct job_options){.who = s->who, .name = o->name, .g = o->g, .grace_ms = o->grace_ms};
    s->call_timeout_ms = o->g->call_timeout_ms > 0 ? o->g->call_timeout_ms : CALL_TIMEOUT_MS;
    s->answer_until_ms = io_clock() + s->call_timeout_ms;
    if (signals_open(&s->signals))
        return job_open(&s->job, &s->job_options);
    shift_say(s, "signals cannot be read", strerror(errno));
    return false;
}

void shift_end(struct shift *s)
{
    job_close(&s->job);
    signals_close(&s->signals);
}
