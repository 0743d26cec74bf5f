/* Who waits for a state of a view: for the first one while it opens, or for one that is newer. A waiter is a post to the loop
 * that is done when the state is there. */
#include <stdlib.h>

#include "lib/config.h"

struct waiter {
    struct post post;
    struct scope_link scope;
    struct list link; /* in the view's */
    tenure_config *view;
    int64_t revision;
    tn_ms until;
};

static struct waiter *waiter_of(struct list *link)
{
    return LIST_ENTRY(link, struct waiter, link);
}

static void finish(struct waiter *w, int code, const struct tenure_error *why)
{
    struct tenure_error err = {0};
    list_remove(&w->link);
    scope_leave(&w->scope);
    if (code)
        err = *why;
    code = scope_word(&w->scope, code, "config", &err);
    post_done(&w->post, code, &err);
}

static void time_is_over(struct waiter *w)
{
    struct tenure_error why;
    char errors[160];
    struct client *c = w->view->object.handle->engine;
    if (w->revision >= 0) {
        error_set(&why, TENURE_ETIMEOUT, "config: no newer state came in time");
    } else if (client_is_connected(c)) {
        error_set(&why, TENURE_ETIMEOUT, "config: the servers did not answer in time");
    } else {
        client_endpoint_errors(c, errors, sizeof errors);
        error_set(&why, TENURE_EUNAVAILABLE, "config: no endpoint answered in time: %s", errors);
    }
    finish(w, why.code, &why);
}

static bool has_come(const struct waiter *w)
{
    return w->view->is_told && w->view->told > w->revision;
}

void config_wake(tenure_config *v, tn_ms now)
{
    LIST_FOREACH_SAFE(it, &v->waiters)
    {
        struct waiter *w = waiter_of(it);
        if (has_come(w))
            finish(w, 0, NULL);
        else if (w->until <= now)
            time_is_over(w);
    }
}

void config_wake_all(tenure_config *v, int code, const struct tenure_error *why)
{
    while (!list_empty(&v->waiters))
        finish(waiter_of(v->waiters.next), code, why);
}

tn_ms config_wait_deadline(const tenure_config *v)
{
    tn_ms at = TN_MS_NEVER;
    LIST_FOREACH(it, (struct list *)&v->waiters)
    {
        at = waiter_of(it)->until < at ? waiter_of(it)->until : at;
    }
    return at;
}

static void cancel(struct scope_link *l, tn_ms now)
{
    struct waiter *w = CONTAINER_OF(l, struct waiter, scope);
    struct tenure_error why;
    (void)now;
    error_set(&why, TENURE_ECANCELLED, "config: cancelled");
    finish(w, why.code, &why);
}

static void waiter_run(struct post *p, tn_ms now)
{
    struct waiter *w = CONTAINER_OF(p, struct waiter, post);
    tenure_config *v = w->view;
    struct tenure_error err = {0};
    int rc = scope_join(&w->scope, v->object.handle, cancel, "config", &err);
    if (rc < 0) {
        post_done(p, rc, &err);
        return;
    }
    list_push_back(&v->waiters, &w->link);
    if (has_come(w))
        finish(w, 0, NULL);
    else if (v->has_ended || (v->is_refused && !v->is_told))
        finish(w, v->why.code, &v->why);
    else if (w->until <= now)
        time_is_over(w);
}

static void waiter_free(struct post *p)
{
    struct waiter *w = CONTAINER_OF(p, struct waiter, post);
    scope_leave(&w->scope);
    free(w);
}

int config_wait(tenure_config *v, int64_t revision, tn_ms until, struct tenure_error *err)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w || post_init(&w->post, waiter_run, waiter_free, err) < 0) {
        free(w);
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    }
    tenure_client *c = v->object.handle;
    w->view = v;
    w->revision = revision;
    w->post.must_run = true; /* it is taken off the view's list before the view goes */
    list_init(&w->link);
    scope_take(&w->scope);
    w->until = scope_until(&w->scope, c, until);
    int rc = scope_check(&w->scope, "config", err);
    rc = rc ? rc : post_send(c, &w->post, err);
    if (rc == 0) {
        post_wait(&w->post, TN_MS_NEVER);
        rc = w->post.code;
        if (rc)
            *err = w->post.error;
    }
    post_unref(&w->post);
    return rc;
}

int tenure_config_wait(tenure_config *v, int64_t revision, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!v || revision < 0 || timeout_ms < 0)
        return error_set(err, TENURE_EINVALID, "config: a view that is NULL, or a number below 0");
    tenure_client *c = v->object.handle;
    int rc = handle_enter_blocking(c, "config", err);
    if (rc < 0)
        return rc;
    return config_wait(v, revision, handle_clock(c) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS), err);
}
