/* See work.h. */
#include "io/work.h"

#include <pthread.h>
#include <stdlib.h>

#include "io/wake.h"

struct io_work {
    pthread_t thread;
    struct io_wake *wake;
    void (*run)(void *user);
    void (*done)(void *user);
    void *user;
};

static void *work_main(void *arg)
{
    struct io_work *w = arg;
    w->run(w->user);
    io_wake_send(w->wake);
    return NULL;
}

struct io_work *io_work_join(struct io_work *w)
{
    if (!w)
        return NULL;
    pthread_join(w->thread, NULL);
    io_wake_close(w->wake);
    free(w);
    return NULL;
}

static void on_wake(void *arg)
{
    struct io_work *w = arg;
    void (*done)(void *user) = w->done;
    void *user = w->user;
    io_work_join(w);
    done(user);
}

int io_work_start(struct io_loop *l, void (*run)(void *user), void (*done)(void *user), void *user,
                  struct io_work **ret, struct tenure_error *err)
{
    struct io_work *w = calloc(1, sizeof *w);
    if (!w)
        return error_set(err, TENURE_ENOMEM, "work: out of memory");
    *w = (struct io_work){.run = run, .done = done, .user = user};
    int rc = io_wake_new(l, on_wake, w, &w->wake, err);
    int failed = rc == 0 ? pthread_create(&w->thread, NULL, work_main, w) : 0;
    if (failed) {
        io_wake_close(w->wake);
        rc = error_errno(err, failed, "work: thread");
    }
    if (rc) {
        free(w);
        return rc;
    }
    *ret = w;
    return 0;
}
