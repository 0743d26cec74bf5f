/* Waiting is sigtimedwait: a callback on another thread ends it by sending this process SIGUSR2, which is blocked everywhere
 * and only ever taken here. */
#include "cli/wait.h"

#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

/* One that was ignored when the program began (nohup) stays ignored: blocked, it would be queued. */
static void signal_set(sigset_t *set)
{
    static const int ends[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction a;
    sigemptyset(set);
    sigaddset(set, SIGUSR2);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
        if (sigaction(ends[i], NULL, &a) == 0 && a.sa_handler != SIG_IGN)
            sigaddset(set, ends[i]);
}

void wait_init(struct wait *w)
{
    sigset_t set;
    *w = (struct wait){.done = false};
    pthread_mutex_init(&w->mutex, NULL);
    signal_set(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void wait_end(struct wait *w, int code)
{
    pthread_mutex_lock(&w->mutex);
    bool first = !w->done;
    if (first) {
        w->done = true;
        w->code = code;
    }
    pthread_mutex_unlock(&w->mutex);
    if (first)
        kill(getpid(), SIGUSR2);
}

static bool ended(struct wait *w, int *ret_code)
{
    pthread_mutex_lock(&w->mutex);
    bool done = w->done;
    *ret_code = w->code;
    pthread_mutex_unlock(&w->mutex);
    return done;
}

int wait_run(struct wait *w, int64_t timeout_ms, int code_of_timeout, int *ret_signal)
{
    sigset_t set;
    int code, sig;
    struct timespec left = {timeout_ms / 1000, timeout_ms % 1000 * 1000000};
    signal_set(&set);
    while (!ended(w, &code)) {
        sig = timeout_ms < 0 ? sigwaitinfo(&set, NULL) : sigtimedwait(&set, NULL, &left);
        if (sig < 0 && errno == EAGAIN)
            return code_of_timeout;
        if (sig < 0 || sig == SIGUSR2)
            continue;
        if (ret_signal)
            *ret_signal = sig;
        return 0;
    }
    return code;
}
