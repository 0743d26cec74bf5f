/* The end of a handle.
 *
 * Happy path: no new work; elections resign, locks are released, then their sessions revoke their leases (objects.c asks
 * each turn); when none is left the engine's calls end with TENURE_ECLOSED, everything leaves the loop, memory is freed.
 *
 * Failure mode: the servers do not answer. At close_at the same is done with what is left; leases end by themselves.
 *
 *     blocking   the loop's thread stops its loop and ends; who closed joins it, or it frees the handle itself
 *     poll       within tenure_close, or, begun by tenure_close_start, in a tenure_turn
 *     kit        within tenure_close, which moves the test kit's world; begun by tenure_close_start, in one of its turns
 *     uv         when libuv has let go of the last of our handles on the program's loop
 */
#include <stdlib.h>

#include "lib/handle.h"
#include "lib/post.h"
#include "lib/view.h"

#define DELIVER_ROUNDS_MAX 100

void handle_ref(tenure_client *c)
{
    atomic_fetch_add(&c->refs, 1);
}

void handle_free(tenure_client *c)
{
    if (atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    views_free(c);
    posts_fini(&c->posts);
    scopes_fini(&c->scopes);
    buf_fini(&c->out);
    lib_secure_close(c);
    free(c->purpose);
    free(c->marks_prefix);
    free(c);
}

void handle_abandon(tenure_client *c)
{
    c->state = HANDLE_CLOSED;
    objects_free(c);
    client_free(c->engine);
    if (c->loop || c->kit)
        driver_stop(c);
    if (c->loop && c->kind == HANDLE_UV) {
        io_loop_close(c->loop, NULL, NULL);
        c->loop = NULL;
    }
    io_loop_free(c->loop);
    handle_free(c);
}

/* ---- in the turn ---- */

static void deliver_all(tenure_client *c)
{
    for (int i = 0; i < DELIVER_ROUNDS_MAX && client_deliver(c->engine); i++)
        objects_reap(c);
}

/* Everything ends here; whoever waits is answered, each callback that is due has come. */
static void end_all(tenure_client *c, tn_ms now)
{
    client_close(c->engine, now);
    deliver_all(c);
    objects_tick(c, now);
    objects_abort(c, now);
    deliver_all(c);
    posts_close(c);
    posts_run(c, now); /* each says that the handle is closed */
    objects_reap(c);
    objects_free(c);
    c->shared = NULL;
    c->engine = client_free(c->engine);
}

static void finish_detached(tenure_client *c)
{
    void (*on_closed)(void *) = c->on_closed;
    void *user = c->on_closed_user;
    handle_free(c);
    if (on_closed)
        on_closed(user);
}

static void uv_let_go(void *user)
{
    finish_detached(user);
}

void close_step(tenure_client *c, tn_ms now)
{
    if (objects_busy(c) && now < c->close_at)
        return;
    end_all(c, now);
    driver_stop(c);
    c->state = HANDLE_CLOSED;
    if (c->kind == HANDLE_BLOCKING)
        io_loop_stop(c->loop);
    else if (c->kind == HANDLE_UV)
        io_loop_close(c->loop, uv_let_go, c);
}

/* ---- beginning ---- */

static void close_begin(void *arg)
{
    tenure_client *c = arg;
    if (c->state != HANDLE_OPEN)
        return;
    bool at_once = c->kit && !c->kit->closing(c->kit_user);
    c->state = HANDLE_CLOSING;
    c->close_at = handle_now(c) + (at_once ? 0 : c->close_timeout_ms);
}

struct close_start {
    tenure_client *handle;
    void (*on_closed)(void *user);
    void *user;
};

static void close_start_run(void *arg)
{
    struct close_start *s = arg;
    s->handle->is_detached = true;
    s->handle->on_closed = s->on_closed;
    s->handle->on_closed_user = s->user;
    close_begin(s->handle);
}

void tenure_close_start(tenure_client *c, void (*on_closed)(void *user), void *user)
{
    if (c && c->kind == HANDLE_VIEW) {
        view_close_start(c, on_closed, user);
        return;
    }
    struct close_start s = {c, on_closed, user};
    if (c && !handle_is_forked(c))
        handle_sync(c, close_start_run, &s);
}

/* ---- the three ends ---- */

void *handle_thread(void *arg)
{
    tenure_client *c = arg;
    pthread_mutex_lock(&c->posts.mutex); /* until pthread_create has told who we are */
    pthread_mutex_unlock(&c->posts.mutex);
    io_loop_run(c->loop);
    c->loop = io_loop_free(c->loop);
    if (c->is_detached) {
        pthread_detach(pthread_self());
        finish_detached(c);
    }
    return NULL;
}

static void close_blocking(tenure_client *c)
{
    pthread_t thread = c->thread;
    if (handle_sync(c, close_begin, c)) {
        pthread_join(thread, NULL);
        handle_free(c);
    }
}

void handle_finish_if_closed(tenure_client *c)
{
    if (c->state != HANDLE_CLOSED || !c->is_detached)
        return;
    c->loop = io_loop_free(c->loop);
    finish_detached(c);
}

static void close_poll(tenure_client *c)
{
    close_begin(c);
    handle_wants_turn(c);
    while (c->state != HANDLE_CLOSED)
        io_loop_step(c->loop, /* wait= */ true);
    c->loop = io_loop_free(c->loop);
    handle_free(c);
}

/* Patience ends where no answer can come because the kit's world stands still. */
static void close_kit(tenure_client *c)
{
    close_begin(c);
    handle_wants_turn(c);
    for (bool begins = true; c->state != HANDLE_CLOSED && c->kit->wait(c->kit_user, TN_MS_NEVER, begins);)
        begins = false;
    if (c->state != HANDLE_CLOSED)
        lib_kit_end(c);
    else
        handle_free(c);
}

void lib_kit_end(tenure_client *c)
{
    close_begin(c);
    c->close_at = handle_now(c);
    c->is_detached = true; /* frees itself in the turn */
    lib_kit_turn(c);
}

/* On the program's uv loop, and, against the rules, in a callback: it is closed a little later then. */
static bool must_not_wait(const tenure_client *c)
{
    if (c->kind == HANDLE_BLOCKING)
        return handle_on_loop(c);
    return c->kind == HANDLE_UV || c->in_turn || (c->kit && c->kit->may_wait(c->kit_user, "close", NULL) < 0);
}

void tenure_close(tenure_client *c)
{
    if (!c)
        return;
    if (c->kind == HANDLE_VIEW)
        view_close(c);
    else if (handle_is_forked(c))
        handle_close_forked(c);
    else if (must_not_wait(c))
        tenure_close_start(c, NULL, NULL);
    else if (c->kind == HANDLE_POLL)
        close_poll(c);
    else if (c->kind == HANDLE_KIT)
        close_kit(c);
    else
        close_blocking(c);
}
