/* A handle on the program's own loop: bare epoll, and libuv. One thread, no blocking call. */
#include "loop_program.h"

#include <sys/epoll.h>
#include <unistd.h>
#include <uv.h>

/* ---- epoll ---- */

/* Waits as a program's loop does, and counts the turns. */
static int wait_and_turn(int epoll, tenure_client *c)
{
    struct epoll_event event;
    int timeout = tenure_timeout_ms(c);
    int n = epoll_wait(epoll, &event, 1, timeout < 0 || timeout > 20000 ? 20000 : timeout);
    assert_true(n >= 0);
    assert_int_equal(tenure_turn(c), 0);
    return n;
}

static int epoll_on(const tenure_client *c)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN};
    assert_true(tenure_fd(c) >= 0);
    assert_int_equal(epoll_ctl(epoll, EPOLL_CTL_ADD, tenure_fd(c), &event), 0);
    return epoll;
}

static tenure_client *open_poll_on(const struct server *s)
{
    struct tenure_error err = {0};
    tenure_client *c = tenure_open_poll(server_url(s), NULL, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void a_bare_epoll_loop_drives_a_handle(void **state)
{
    struct program p = {.handle = open_poll_on(*state)};
    int epoll = epoll_on(p.handle), turns = 0;
    begin(&p);
    while (!p.done) {
        wait_and_turn(epoll, p.handle);
        assert_true(++turns < 2000); /* C4: waits, does not spin */
    }
    check(&p);
    tenure_close_start(p.handle, on_closed, &p);
    while (!p.closed) {
        struct epoll_event event;
        epoll_wait(epoll, &event, 1, 10);
        tenure_turn(p.handle); /* frees it when on_closed has come */
    }
    close(epoll);
}

static void a_poll_handle_can_be_closed_with_a_wait(void **state)
{
    struct program p = {.handle = open_poll_on(*state)};
    int epoll = epoll_on(p.handle);
    struct tenure_lock_options o = {.size = sizeof o, .on_acquired = on_acquired, .user = &p};
    p.lock = tenure_lock_start(p.handle, "loop-closed", &o, NULL);
    while (p.token == 0)
        wait_and_turn(epoll, p.handle);
    char key[128];
    snprintf(key, sizeof key, "%s", tenure_lock_key(p.lock));
    tenure_close(p.handle); /* releases */
    close(epoll);
    tenure_client *c = open_on(*state);
    assert_null(get(c, key));
    tenure_close(c);
}

static void a_handle_without_work_does_not_wake_its_loop(void **state)
{
    struct program p = {.handle = open_poll_on(*state)};
    int epoll = epoll_on(p.handle), turns = 0;
    while (tenure_timeout_ms(p.handle) == 0 && ++turns < 100)
        tenure_turn(p.handle);
    assert_true(turns < 100);
    struct epoll_event event;
    assert_int_equal(epoll_wait(epoll, &event, 1, 0), 0);
    assert_int_equal(tenure_timeout_ms(p.handle), -1);
    tenure_close(p.handle);
    close(epoll);
}

static void ended_cb(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    (void)err;
    tenure_get_free(r);
    *(int *)user = code;
}

/* C4: attempts to connect come with growing pauses. */
static void a_handle_without_a_server_does_not_spin(void **state)
{
    char url[64];
    int turns = 0, code = 1;
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 2000};
    (void)state;
    snprintf(url, sizeof url, "127.0.0.1:%u", port_unused());
    tenure_client *c = tenure_open_poll(url, NULL, NULL);
    int epoll = epoll_on(c);
    assert_int_equal(tenure_get_start(c, S("a"), &o, ended_cb, &code, NULL), 0);
    while (code == 1) {
        wait_and_turn(epoll, c);
        turns++;
    }
    assert_int_equal(code, TENURE_ETIMEOUT);
    if (turns > 200)
        fail_msg("%d turns in 2 s", turns);
    tenure_close(c);
    close(epoll);
}

struct loss {
    int64_t at;
    bool acquired, lost, success_before_loss;
    tenure_lock *lock;
};

static void lost_cb(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    struct loss *l = user;
    (void)lock, (void)why;
    l->lost = true;
    l->at = test_now();
}

static void acquired_cb(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct loss *l = user;
    (void)lock, (void)token, (void)err;
    l->acquired = code == 0;
}

static void success_cb(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct loss *l = user;
    (void)err;
    tenure_get_free(r);
    if (code == 0 && !l->lost)
        l->success_before_loss = true;
}

static bool past(void *user)
{
    return test_now() >= *(int64_t *)user;
}

/* L2: a loop that did not run (as a stopped process's) tells the loss before the success that lies in its socket; and what is
 * asked meanwhile is answered by the clock. */
static void after_a_stop_the_loss_comes_first(void **state)
{
    tenure_client *c = open_poll_on(*state);
    int epoll = epoll_on(c);
    struct loss l = {0};
    struct tenure_lock_options o = {
        .size = sizeof o, .ttl_s = 2, .on_acquired = acquired_cb, .on_lost = lost_cb, .user = &l};
    struct tenure_get_options g = {.size = sizeof g, .timeout_ms = 60000};
    l.lock = tenure_lock_start(c, "loop-stopped", &o, NULL);
    while (!l.acquired)
        wait_and_turn(epoll, c);
    assert_true(tenure_lock_held(l.lock));
    assert_int_equal(tenure_get_start(c, S("loop/a"), &g, success_cb, &l, NULL), 0);
    tenure_turn(c); /* on its way; the answer is not read */
    int64_t until = test_now() + tenure_lock_remaining_ms(l.lock);
    assert_true(test_await(past, &until));
    assert_false(tenure_lock_held(l.lock)); /* nobody has told it yet */
    assert_false(l.lost);
    tenure_turn(c);
    assert_true(l.lost);
    assert_false(l.success_before_loss);
    tenure_close(c);
    close(epoll);
}

/* ---- libuv ---- */

static void uv_timeout(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("the loop did not come to its end");
}

static void close_when_done(uv_check_t *check)
{
    struct program *p = check->data;
    if (!p->done)
        return;
    uv_close((uv_handle_t *)check, NULL);
    tenure_close_start(p->handle, on_closed, p);
}

static void a_programs_libuv_loop_drives_a_handle(void **state)
{
    struct tenure_error err = {0};
    struct program p = {0};
    uv_loop_t loop;
    uv_check_t after;
    uv_timer_t timer;
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_check_init(&loop, &after);
    after.data = &p;
    uv_check_start(&after, close_when_done);
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, uv_timeout, 20000, 0);
    uv_unref((uv_handle_t *)&timer);
    p.handle = tenure_open_uv(&loop, server_url(*state), NULL, &err);
    assert_non_null(p.handle);
    assert_int_equal(tenure_fd(p.handle), -1);
    assert_int_equal(tenure_turn(p.handle), TENURE_EINVALID);
    begin(&p);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends by itself when the handle is closed */
    check(&p);
    assert_true(p.closed);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0); /* nothing of the handle is left on it */
}

/* ---- a blocking handle, closed without waiting ---- */

static void closed_cb(void *user)
{
    atomic_store((atomic_int *)user, 1);
}

static void a_blocking_handle_can_be_closed_without_waiting(void **state)
{
    tenure_client *c = open_on(*state);
    atomic_int closed = 0;
    put(c, "a", "b");
    assert_int_equal(tenure_fd(c), -1);
    assert_int_equal(tenure_turn(c), TENURE_EINVALID);
    tenure_close_start(c, closed_cb, &closed);
    await_flag(&closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bare_epoll_loop_drives_a_handle),
        cmocka_unit_test(a_poll_handle_can_be_closed_with_a_wait),
        cmocka_unit_test(a_handle_without_work_does_not_wake_its_loop),
        cmocka_unit_test(a_handle_without_a_server_does_not_spin),
        cmocka_unit_test(after_a_stop_the_loss_comes_first),
        cmocka_unit_test(a_programs_libuv_loop_drives_a_handle),
        cmocka_unit_test(a_blocking_handle_can_be_closed_without_waiting),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
