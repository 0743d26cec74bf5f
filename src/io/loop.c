/* The loop and its turn.
 *
 * libuv calls back in the middle of its poll; the hooks belong behind all of that, so they hang on a check handle. The
 * clock is read at the first io_now after waiting (a prepare handle forgets the old reading), so all callbacks of one turn
 * see one time. An idle handle, when active, makes libuv not wait: that is io_turn_request.
 */
#include <poll.h>
#include <stdlib.h>
#include <time.h>

#include "io/internal.h"

tn_ms io_clock(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_BOOTTIME, &ts);
    return (tn_ms)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int64_t io_clock_us(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t io_wall_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

tn_ms io_now(struct io_loop *l)
{
    if (!l->now_known) {
        l->now = io_clock();
        l->now_known = true;
    }
    return l->now;
}

int io_uv_error(struct tenure_error *err, int uv_errno, const char *what)
{
    int code = uv_errno == UV_ENOMEM ? TENURE_ENOMEM : TENURE_EIO;
    return error_set(err, code, "%s: %s", what, uv_strerror(uv_errno));
}

/* ---- the turn ---- */

/* A hook may stop itself or others: each is put back at the end of the list before it is called. */
static void run_hooks(struct io_loop *l)
{
    tn_ms now = io_now(l);
    struct list due;
    list_init(&due);
    list_splice_back(&due, &l->hooks);
    while (!list_empty(&due)) {
        struct io_turn *t = LIST_ENTRY(due.next, struct io_turn, link);
        list_remove(&t->link);
        list_push_back(&l->hooks, &t->link);
        t->on_turn(t->user, now);
    }
}

static void prepare_cb(uv_prepare_t *h)
{
    struct io_loop *l = h->data;
    l->now_known = false;
}

static void check_cb(uv_check_t *h)
{
    struct io_loop *l = h->data;
    uv_idle_stop(&l->idle);
    run_hooks(l);
    l->now_known = false;
}

static void idle_cb(uv_idle_t *h)
{
    (void)h;
}

void io_turn_start(struct io_loop *l, struct io_turn *t, void (*on_turn)(void *user, tn_ms now), void *user)
{
    t->on_turn = on_turn;
    t->user = user;
    list_push_back(&l->hooks, &t->link);
}

void io_turn_stop(struct io_turn *t)
{
    if (t->link.next)
        list_remove(&t->link);
}

void io_turn_request(struct io_loop *l)
{
    if (!l->closing)
        uv_idle_start(&l->idle, idle_cb);
}

/* ---- life ---- */

void io_loop_hold(struct io_loop *l)
{
    l->holds++;
}

static void loop_free(struct io_loop *l)
{
    buf_fini(&l->plain);
    buf_fini(&l->sealed);
    free(l);
}

static void finish_guest(struct io_loop *l)
{
    void (*on_closed)(void *) = l->on_closed;
    void *user = l->on_closed_user;
    loop_free(l);
    if (on_closed)
        on_closed(user);
}

void io_loop_release(struct io_loop *l)
{
    l->holds--;
    if (l->holds == 0 && l->closing && !l->is_own)
        finish_guest(l);
}

static void part_closed_cb(uv_handle_t *h)
{
    io_loop_release(h->data);
}

static void close_parts(struct io_loop *l)
{
    l->closing = true;
    uv_close((uv_handle_t *)&l->prepare, part_closed_cb);
    uv_close((uv_handle_t *)&l->check, part_closed_cb);
    uv_close((uv_handle_t *)&l->idle, part_closed_cb);
}

/* None of these can fail: they only fill in the handles. In a program's own loop they must not keep it running; a loop of
 * ours runs until it is stopped. */
static void start_parts(struct io_loop *l)
{
    uv_prepare_init(l->uv, &l->prepare);
    uv_check_init(l->uv, &l->check);
    uv_idle_init(l->uv, &l->idle);
    l->prepare.data = l->check.data = l->idle.data = l;
    uv_prepare_start(&l->prepare, prepare_cb);
    uv_check_start(&l->check, check_cb);
    if (!l->is_own) {
        uv_unref((uv_handle_t *)&l->prepare);
        uv_unref((uv_handle_t *)&l->check);
    }
    l->holds = 3;
}

int io_loop_new(struct uv_loop_s *uv, struct io_loop **ret, struct tenure_error *err)
{
    struct io_loop *l = calloc(1, sizeof *l);
    if (!l)
        return error_set(err, TENURE_ENOMEM, "event loop: out of memory");
    list_init(&l->hooks);
    buf_init(&l->plain);
    buf_init(&l->sealed);
    l->is_own = uv == NULL;
    l->uv = uv ? uv : &l->own;
    int rc = l->is_own ? uv_loop_init(&l->own) : 0;
    if (rc < 0) {
        free(l);
        return io_uv_error(err, rc, "event loop");
    }
    start_parts(l);
    *ret = l;
    return 0;
}

struct io_loop *io_loop_free(struct io_loop *l)
{
    if (!l)
        return NULL;
    close_parts(l);
    while (l->holds > 0)
        uv_run(l->uv, UV_RUN_ONCE);
    uv_loop_close(l->uv);
    loop_free(l);
    return NULL;
}

void io_loop_close(struct io_loop *l, void (*on_closed)(void *user), void *user)
{
    l->on_closed = on_closed;
    l->on_closed_user = user;
    close_parts(l);
}

/* ---- running ---- */

struct uv_loop_s *io_loop_uv(struct io_loop *l)
{
    return l->uv;
}

void io_loop_run(struct io_loop *l)
{
    uv_run(l->uv, UV_RUN_DEFAULT);
}

void io_loop_step(struct io_loop *l, bool wait)
{
    uv_run(l->uv, wait ? UV_RUN_ONCE : UV_RUN_NOWAIT);
}

void io_loop_stop(struct io_loop *l)
{
    uv_stop(l->uv);
}

bool io_loop_has_input(const struct io_loop *l)
{
    struct pollfd p = {.fd = uv_backend_fd(l->uv), .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

bool io_loop_await_input(const struct io_loop *l, int64_t us)
{
    struct pollfd p = {.fd = uv_backend_fd(l->uv), .events = POLLIN};
    struct timespec most = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    return ppoll(&p, 1, &most, NULL) > 0;
}

int io_loop_fd(const struct io_loop *l)
{
    return uv_backend_fd(l->uv);
}

int io_loop_timeout_ms(const struct io_loop *l)
{
    return uv_backend_timeout(l->uv);
}
