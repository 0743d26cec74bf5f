/* A queue under a mutex and a wake. The loop takes all that is there at once, in order. */
#include "lib/post.h"

#include <sched.h>
#include <time.h>

/* ---- one post ---- */

static int changed_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    if (pthread_condattr_init(&attr) != 0)
        return -1;
    int rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
    return rc == 0 ? 0 : -1;
}

int post_init(struct post *p, void (*run)(struct post *, tn_ms), void (*free)(struct post *), struct tenure_error *err)
{
    if (pthread_mutex_init(&p->mutex, NULL) != 0)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    if (changed_init(&p->changed) < 0) {
        pthread_mutex_destroy(&p->mutex);
        return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    list_init(&p->link);
    p->run = run;
    p->free = free;
    p->state = POST_NEW;
    atomic_init(&p->refs, 1);
    return 0;
}

void post_unref(struct post *p)
{
    if (atomic_fetch_sub(&p->refs, 1) > 1)
        return;
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    p->free(p);
}

/* The condition's clock stands still in suspend and ours does not; then the loop, which is woken by a timerfd, is first. */
static struct timespec condition_time(tn_ms until)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    tn_ms left = until - io_clock();
    left = left < 0 ? 0 : left;
    int64_t ns = ts.tv_nsec + left % 1000 * 1000000;
    return (struct timespec){.tv_sec = ts.tv_sec + left / 1000 + ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static void wait_for_change(struct post *p, tn_ms until)
{
    if (until == TN_MS_NEVER) {
        pthread_cond_wait(&p->changed, &p->mutex);
    } else {
        struct timespec at = condition_time(until);
        pthread_cond_timedwait(&p->changed, &p->mutex, &at);
    }
}

/* One thread: nobody but us looks at p meanwhile. */
static void wait_in_kit(const struct post *p, tn_ms until)
{
    const struct lib_kit *kit = p->handle->kit; /* the handle may be gone when p is done */
    void *user = p->handle->kit_user;
    for (bool begins = true; p->state != POST_DONE && kit->wait(user, until, begins);)
        begins = false;
}

enum post_state post_wait(struct post *p, tn_ms until)
{
    bool in_kit = p->handle->kit != NULL;
    if (in_kit)
        wait_in_kit(p, until);
    pthread_mutex_lock(&p->mutex);
    while (!in_kit && p->state != POST_DONE && (until == TN_MS_NEVER || io_clock() < until))
        wait_for_change(p, until);
    if (p->state == POST_QUEUED && !p->must_run)
        p->state = POST_ABANDONED;
    p->is_given_up = p->state != POST_DONE;
    enum post_state state = p->state;
    pthread_mutex_unlock(&p->mutex);
    return state;
}

bool post_done(struct post *p, int code, const struct tenure_error *err)
{
    pthread_mutex_lock(&p->mutex);
    p->state = POST_DONE;
    p->code = code;
    if (code != 0 && err)
        p->error = *err;
    else if (code != 0)
        error_set(&p->error, code, "%s", tenure_error_string(code));
    bool wanted = !p->is_given_up;
    pthread_mutex_unlock(&p->mutex);
    pthread_cond_signal(
        &p->changed); /* outside, so that the waiter does not wake into a locked mutex; our reference holds p */
    post_unref(p);
    return wanted;
}

/* ---- the queue ---- */

int posts_init(struct posts *q)
{
    list_init(&q->queue);
    return pthread_mutex_init(&q->mutex, NULL) == 0 ? 0 : TENURE_ENOMEM;
}

void posts_fini(struct posts *q)
{
    pthread_mutex_destroy(&q->mutex);
}

static int queue_push(tenure_client *c, struct post *p, struct tenure_error *err)
{
    struct posts *q = &c->posts;
    if (q->closed)
        return error_set(err, TENURE_ECLOSED, "the handle is closed");
    if (q->n >= POSTS_MAX && !p->must_run)
        return error_set(err, TENURE_ELIMIT, "%d calls wait for the handle's thread already", POSTS_MAX);
    atomic_fetch_add(&p->refs, 1);
    p->state = POST_QUEUED; /* nobody else knows it yet */
    p->handle = c;
    list_push_back(&q->queue, &p->link);
    if (q->n++ == 0 && c->kit)
        c->kit->wants_turn(c->kit_user);
    else if (q->n == 1)
        io_wake_send(c->wake); /* under the mutex, so that the wake still exists: posts_close comes before its end */
    return 0;
}

int post_send(tenure_client *c, struct post *p, struct tenure_error *err)
{
    pthread_mutex_lock(&c->posts.mutex);
    int rc = queue_push(c, p, err);
    pthread_mutex_unlock(&c->posts.mutex);
    return rc;
}

static void run_one(struct post *p, tn_ms now)
{
    pthread_mutex_lock(&p->mutex);
    bool abandoned = p->state == POST_ABANDONED;
    if (!abandoned)
        p->state = POST_RUNNING;
    pthread_mutex_unlock(&p->mutex);
    if (abandoned)
        post_unref(p);
    else
        p->run(p, now);
}

bool posts_run(tenure_client *c, tn_ms now)
{
    struct list taken;
    list_init(&taken);
    pthread_mutex_lock(&c->posts.mutex);
    list_splice_back(&taken, &c->posts.queue);
    c->posts.n = 0;
    pthread_mutex_unlock(&c->posts.mutex);
    bool any = !list_empty(&taken);
    while (!list_empty(&taken)) {
        struct post *p = LIST_ENTRY(taken.next, struct post, link);
        list_remove(&p->link);
        run_one(p, now);
    }
    return any;
}

void posts_close(tenure_client *c)
{
    pthread_mutex_lock(&c->posts.mutex);
    c->posts.closed = true;
    pthread_mutex_unlock(&c->posts.mutex);
}

void handle_wake(tenure_client *c)
{
    if (handle_on_loop(c)) {
        handle_wants_turn(c);
        return;
    }
    pthread_mutex_lock(&c->posts.mutex);
    if (!c->posts.closed)
        io_wake_send(c->wake);
    pthread_mutex_unlock(&c->posts.mutex);
}

/* ---- a function on the loop ---- */

struct sync_post {
    struct post post;
    void (*fn)(void *arg);
    void *arg;
};

static void sync_run(struct post *p, tn_ms now)
{
    struct sync_post *s = CONTAINER_OF(p, struct sync_post, post);
    (void)now;
    s->fn(s->arg);
    post_done(p, 0, NULL);
}

static void nothing_to_free(struct post *p)
{
    (void)p;
}

/* It lies on the stack, so that ending a thing needs no memory; hence the loop's reference must be gone before we are. */
static bool sync_elsewhere(tenure_client *c, void (*fn)(void *arg), void *arg)
{
    struct sync_post s = {.fn = fn, .arg = arg};
    if (post_init(&s.post, sync_run, nothing_to_free, NULL) < 0)
        return false;
    s.post.must_run = true;
    bool sent = post_send(c, &s.post, NULL) == 0;
    if (sent)
        post_wait(&s.post, TN_MS_NEVER);
    while (atomic_load(&s.post.refs) > 1)
        sched_yield();
    post_unref(&s.post);
    return sent;
}

bool handle_sync(tenure_client *c, void (*fn)(void *arg), void *arg)
{
    if (!handle_on_loop(c))
        return sync_elsewhere(c, fn, arg);
    struct client_context *before = scope_enter(NULL, c); /* this may be within a completion, which has one */
    fn(arg);
    scope_exit(c, before);
    handle_wants_turn(c);
    return true;
}
