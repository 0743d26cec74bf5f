/* uv_async under a name of ours. */
#include <stdlib.h>

#include "io/internal.h"
#include "io/wake.h"

struct io_wake {
    uv_async_t async;
    struct io_loop *loop;
    void (*on_wake)(void *user);
    void *user;
};

static void async_cb(uv_async_t *h)
{
    struct io_wake *w = h->data;
    w->on_wake(w->user);
}

static void closed_cb(uv_handle_t *h)
{
    struct io_wake *w = h->data;
    struct io_loop *l = w->loop;
    free(w);
    io_loop_release(l);
}

int io_wake_new(struct io_loop *l, void (*on_wake)(void *user), void *user, struct io_wake **ret,
                struct tenure_error *err)
{
    struct io_wake *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, TENURE_ENOMEM, "wake: out of memory");
    w->loop = l;
    w->on_wake = on_wake;
    w->user = user;
    int rc = uv_async_init(l->uv, &w->async, async_cb);
    if (rc < 0) {
        free(w);
        return io_uv_error(err, rc, "wake");
    }
    w->async.data = w;
    io_loop_hold(l);
    *ret = w;
    return 0;
}

void io_wake_send(struct io_wake *w)
{
    uv_async_send(&w->async);
}

void io_wake_unref(struct io_wake *w)
{
    uv_unref((uv_handle_t *)&w->async);
}

struct io_wake *io_wake_close(struct io_wake *w)
{
    if (w)
        uv_close((uv_handle_t *)&w->async, closed_cb);
    return NULL;
}
