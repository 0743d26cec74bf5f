/* uv_signal under a name of ours. */
#include <signal.h>
#include <stdlib.h>

#include "io/internal.h"
#include "io/signal.h"

struct io_signal {
    uv_signal_t handle;
    struct io_loop *loop;
    void (*on_signal)(void *user, int signum);
    void *user;
};

static void signal_cb(uv_signal_t *h, int signum)
{
    struct io_signal *s = h->data;
    s->on_signal(s->user, signum);
}

static void closed_cb(uv_handle_t *h)
{
    struct io_signal *s = h->data;
    struct io_loop *l = s->loop;
    free(s);
    io_loop_release(l);
}

int io_signal_new(struct io_loop *l, int signum, void (*on_signal)(void *user, int signum), void *user,
                  struct io_signal **ret, struct tenure_error *err)
{
    struct io_signal *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "signal: out of memory");
    s->loop = l;
    s->on_signal = on_signal;
    s->user = user;
    uv_signal_init(l->uv, &s->handle);
    s->handle.data = s;
    io_loop_hold(l);
    int rc = uv_signal_start(&s->handle, signal_cb, signum);
    if (rc < 0) {
        io_signal_close(s);
        return io_uv_error(err, rc, "signal");
    }
    *ret = s;
    return 0;
}

struct io_signal *io_signal_close(struct io_signal *s)
{
    if (s)
        uv_close((uv_handle_t *)&s->handle, closed_cb);
    return NULL;
}

void io_signal_ignore_pipe(void)
{
    signal(SIGPIPE, SIG_IGN);
}
