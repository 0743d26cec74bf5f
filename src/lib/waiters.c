/* See waiters.h. Each waiter is a post that the loop keeps until it can be answered. */
#include "lib/waiters.h"

#include <stdlib.h>

struct waiter {
    struct post post;
    struct list in_waiters;
    struct waiters *of;
    struct scope_link scope;
};

static void waiter_end(struct waiter *w, int code, const struct tenure_error *err)
{
    list_remove(&w->in_waiters);
    scope_leave(&w->scope);
    post_done(&w->post, code, err);
}

static void waiter_cancel(struct scope_link *l, tn_ms now)
{
    struct waiter *w = CONTAINER_OF(l, struct waiter, scope);
    struct tenure_error err;
    int code = error_set(&err, l->code, "%s: %s", w->of->what,
                         l->code == TENURE_ETIMEOUT ? "the time of its scope is over" : "cancelled");
    (void)now;
    waiter_end(w, code, &err);
}

void waiters_answer(struct waiters *w, int code, const struct tenure_error *err)
{
    while (!list_empty(&w->all))
        waiter_end(LIST_ENTRY(w->all.next, struct waiter, in_waiters), code, err);
}

static bool is_given_up(struct post *post)
{
    pthread_mutex_lock(&post->mutex);
    bool given_up = post->is_given_up;
    pthread_mutex_unlock(&post->mutex);
    return given_up;
}

/* There are as many as threads that wait, however long it is not so. */
static void forget_those_gone(struct waiters *all)
{
    for (struct list *it = all->all.next, *next; it != &all->all; it = next) {
        struct waiter *w = LIST_ENTRY(it, struct waiter, in_waiters);
        next = it->next;
        if (is_given_up(&w->post))
            waiter_end(w, TENURE_ETIMEOUT, NULL);
    }
}

static void waiter_run(struct post *post, tn_ms now)
{
    struct waiter *w = CONTAINER_OF(post, struct waiter, post);
    struct tenure_error err = {0};
    int rc = scope_join(&w->scope, w->of->handle, waiter_cancel, w->of->what, &err);
    enum waiters_answer answer = rc < 0 ? WAITERS_FAILED : w->of->look(w->of->owner, now, &err);
    if (answer == WAITERS_FAILED)
        waiter_end(w, err.code, &err);
    else if (answer == WAITERS_DONE)
        waiter_end(w, 0, NULL);
    else {
        forget_those_gone(w->of);
        list_push_back(&w->of->all, &w->in_waiters);
    }
}

static void waiter_free(struct post *post)
{
    struct waiter *w = CONTAINER_OF(post, struct waiter, post);
    scope_leave(&w->scope);
    free(w);
}

static struct waiter *waiter_new(struct waiters *of)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w || post_init(&w->post, waiter_run, waiter_free, NULL) < 0) {
        free(w);
        return NULL;
    }
    list_init(&w->in_waiters);
    scope_take(&w->scope);
    w->of = of;
    return w;
}

int waiters_await(struct waiters *of, int64_t timeout_ms, const char *not_yet, struct tenure_error *err)
{
    tenure_client *c = of->handle;
    const char *what = of->what;
    int rc = handle_enter_blocking(c, what, err);
    if (rc == 0 && timeout_ms < 0)
        rc = error_set(err, TENURE_EINVALID, "%s: a timeout below 0", what);
    if (rc < 0)
        return rc;
    timeout_ms = timeout_ms ? timeout_ms : c->call_timeout_ms;
    struct waiter *w = waiter_new(of);
    if (!w)
        return error_set(err, TENURE_ENOMEM, "%s: out of memory", what);
    rc = post_send(c, &w->post, err);
    if (rc == 0 && post_wait(&w->post, handle_clock(c) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS)) !=
                       POST_DONE) {
        rc = error_set(err, TENURE_ETIMEOUT, "%s: %s", what, not_yet);
    } else if (rc == 0) {
        rc = w->post.code;
        if (rc != 0 && err)
            *err = w->post.error;
    }
    post_unref(&w->post);
    return rc;
}
