/* A timerfd under uv_poll.
 *
 * Moving the deadline later leaves the descriptor as it is: it fires early, sees that, and arms itself for the rest. So an
 * engine whose deadline moves on with each turn costs no system call a turn.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "io/internal.h"
#include "io/timer.h"

struct io_timer {
    uv_poll_t poll;
    struct io_loop *loop;
    void (*on_fire)(void *user);
    void *user;
    int fd;
    tn_ms at;    /* wanted */
    tn_ms armed; /* what the descriptor is set to; TN_MS_NEVER = off */
};

static void arm(struct io_timer *t, tn_ms at)
{
    /* 0 would disarm it. */
    tn_ms ms = at < 1 ? 1 : at;
    struct itimerspec when = {.it_value = {.tv_sec = ms / 1000, .tv_nsec = (ms % 1000) * 1000000}};
    timerfd_settime(t->fd, TFD_TIMER_ABSTIME, &when, NULL);
    t->armed = at;
}

void io_timer_set(struct io_timer *t, tn_ms at)
{
    t->at = at;
    if (at < t->armed)
        arm(t, at);
}

static void poll_cb(uv_poll_t *h, int status, int events)
{
    struct io_timer *t = h->data;
    uint64_t count;
    (void)status, (void)events;
    if (read(t->fd, &count, sizeof count) < 0 && errno == EAGAIN)
        return;
    t->armed = TN_MS_NEVER;
    if (t->at == TN_MS_NEVER)
        return;
    if (t->at > io_now(t->loop)) {
        arm(t, t->at);
        return;
    }
    t->at = TN_MS_NEVER;
    t->on_fire(t->user);
}

static void closed_cb(uv_handle_t *h)
{
    struct io_timer *t = h->data;
    struct io_loop *l = t->loop;
    free(t);
    io_loop_release(l);
}

struct io_timer *io_timer_close(struct io_timer *t)
{
    if (!t)
        return NULL;
    uv_close((uv_handle_t *)&t->poll, closed_cb);
    close(t->fd);
    return NULL;
}

static int start(struct io_timer *t)
{
    int rc = uv_poll_init(t->loop->uv, &t->poll, t->fd);
    if (rc < 0)
        return rc;
    io_loop_hold(t->loop);
    t->poll.data = t;
    return uv_poll_start(&t->poll, UV_READABLE, poll_cb);
}

int io_timer_new(struct io_loop *l, void (*on_fire)(void *user), void *user, struct io_timer **ret,
                 struct tenure_error *err)
{
    struct io_timer *t = calloc(1, sizeof *t);
    if (!t)
        return error_set(err, TENURE_ENOMEM, "timer: out of memory");
    *t = (struct io_timer){.loop = l, .on_fire = on_fire, .user = user, .at = TN_MS_NEVER, .armed = TN_MS_NEVER};
    t->fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (t->fd < 0) {
        int errnum = errno;
        free(t);
        return error_errno(err, errnum, "timer");
    }
    int rc = start(t);
    if (rc < 0) {
        close(t->fd);
        free(t);
        return io_uv_error(err, rc, "timer");
    }
    *ret = t;
    return 0;
}
