/* The turn, the clock, timers, wakes and signals, on a real loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <uv.h>

#include "io/loop.h"
#include "io/signal.h"
#include "io/timer.h"
#include "io/wake.h"

struct world {
    struct io_loop *loop;
    int turns, fires, wakes, signals;
    tn_ms turn_now, fired_at;
    struct io_turn *to_stop;
};

static void on_turn(void *user, tn_ms now)
{
    struct world *w = user;
    w->turns++;
    w->turn_now = now;
    if (w->to_stop)
        io_turn_stop(w->to_stop);
}

static void on_fire(void *user)
{
    struct world *w = user;
    w->fires++;
    w->fired_at = io_now(w->loop);
}

static void on_wake(void *user)
{
    ((struct world *)user)->wakes++;
}

static void on_signal(void *user, int signum)
{
    struct world *w = user;
    w->signals = signum;
}

static int setup(void **state)
{
    static struct world w;
    w = (struct world){0};
    *state = &w;
    return io_loop_new(NULL, &w.loop, NULL);
}

static int teardown(void **state)
{
    struct world *w = *state;
    io_loop_free(w->loop);
    return 0;
}

static void a_requested_turn_runs_the_hooks_without_waiting(void **state)
{
    struct world *w = *state;
    struct io_turn turn;
    io_turn_start(w->loop, &turn, on_turn, w);
    io_turn_request(w->loop);
    io_loop_step(w->loop, true);
    assert_int_equal(w->turns, 1);
    io_loop_step(w->loop, false);
    assert_int_equal(w->turns, 2);
    io_turn_stop(&turn);
}

static void a_hook_may_stop_the_one_behind_it(void **state)
{
    struct world *w = *state;
    struct world second = {0};
    struct io_turn a, b;
    io_turn_start(w->loop, &a, on_turn, w);
    io_turn_start(w->loop, &b, on_turn, &second);
    w->to_stop = &b;
    io_turn_request(w->loop);
    io_loop_step(w->loop, true);
    assert_int_equal(w->turns, 1);
    assert_int_equal(second.turns, 0);
    io_turn_stop(&a);
}

static void a_timer_fires_once_and_never_early(void **state)
{
    struct world *w = *state;
    struct io_timer *t;
    assert_int_equal(io_timer_new(w->loop, on_fire, w, &t, NULL), 0);
    tn_ms at = io_clock() + 20;
    io_timer_set(t, at);
    while (w->fires == 0)
        io_loop_step(w->loop, true);
    assert_true(w->fired_at >= at);
    io_timer_set(t, TN_MS_NEVER);
    io_loop_step(w->loop, false);
    assert_int_equal(w->fires, 1);
    io_timer_close(t);
}

static void a_timer_moved_later_fires_at_the_later_time(void **state)
{
    struct world *w = *state;
    struct io_timer *t;
    assert_int_equal(io_timer_new(w->loop, on_fire, w, &t, NULL), 0);
    tn_ms at = io_clock() + 40;
    io_timer_set(t, at - 35);
    io_timer_set(t, at);
    while (w->fires == 0)
        io_loop_step(w->loop, true);
    assert_true(w->fired_at >= at);
    assert_int_equal(w->fires, 1);
    io_timer_close(t);
}

static void a_timer_in_the_past_fires_at_once(void **state)
{
    struct world *w = *state;
    struct io_timer *t;
    assert_int_equal(io_timer_new(w->loop, on_fire, w, &t, NULL), 0);
    io_timer_set(t, -5);
    while (w->fires == 0)
        io_loop_step(w->loop, true);
    assert_int_equal(w->fires, 1);
    io_timer_close(t);
}

static void input_is_waited_for_and_left_to_the_turn(void **state)
{
    struct world *w = *state;
    struct io_wake *wake;
    assert_int_equal(io_wake_new(w->loop, on_wake, w, &wake, NULL), 0);
    io_loop_step(w->loop, false); /* libuv begins to look */
    int64_t begun_us = io_clock_us();
    assert_false(io_loop_await_input(w->loop, 1500));
    assert_true(io_clock_us() - begun_us >= 1500);
    io_wake_send(wake);
    assert_true(io_loop_await_input(w->loop, 60 * 1000000));
    assert_int_equal(w->wakes, 0);
    io_loop_step(w->loop, false);
    assert_int_equal(w->wakes, 1);
    io_wake_close(wake);
}

static void *send_wake(void *user)
{
    io_wake_send(user);
    return NULL;
}

static void a_wake_from_another_thread_ends_the_waiting(void **state)
{
    struct world *w = *state;
    struct io_wake *wake;
    pthread_t thread;
    assert_int_equal(io_wake_new(w->loop, on_wake, w, &wake, NULL), 0);
    assert_int_equal(pthread_create(&thread, NULL, send_wake, wake), 0);
    while (w->wakes == 0)
        io_loop_step(w->loop, true);
    pthread_join(thread, NULL);
    io_wake_close(wake);
}

static void a_signal_arrives_as_an_event(void **state)
{
    struct world *w = *state;
    struct io_signal *s;
    assert_int_equal(io_signal_new(w->loop, SIGUSR1, on_signal, w, &s, NULL), 0);
    kill(getpid(), SIGUSR1);
    while (w->signals == 0)
        io_loop_step(w->loop, true);
    assert_int_equal(w->signals, SIGUSR1);
    io_signal_close(s);
}

static void the_clock_is_read_once_a_turn(void **state)
{
    struct world *w = *state;
    struct io_turn turn;
    io_turn_start(w->loop, &turn, on_turn, w);
    io_turn_request(w->loop);
    tn_ms before = io_now(w->loop);
    assert_int_equal(io_now(w->loop), before);
    io_loop_step(w->loop, true);
    assert_true(w->turn_now >= before);
    assert_true(io_clock() >= w->turn_now);
    io_turn_stop(&turn);
}

static void mark(void *user)
{
    *(bool *)user = true;
}

static void a_guest_leaves_a_foreign_loop_by_itself(void **state)
{
    uv_loop_t uv;
    struct io_loop *guest;
    struct io_timer *t;
    struct world *w = *state;
    bool closed = false;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(io_loop_new(&uv, &guest, NULL), 0);
    assert_int_equal(io_timer_new(guest, on_fire, w, &t, NULL), 0);
    io_timer_close(t);
    io_loop_close(guest, mark, &closed);
    assert_false(closed);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&uv), 0);
}

static void a_guest_that_does_nothing_does_not_keep_the_foreign_loop_running(void **state)
{
    uv_loop_t uv;
    struct io_loop *guest;
    (void)state;
    assert_int_equal(uv_loop_init(&uv), 0);
    assert_int_equal(io_loop_new(&uv, &guest, NULL), 0);
    assert_int_equal(uv_run(&uv, UV_RUN_DEFAULT), 0);
    io_loop_close(guest, NULL, NULL);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&uv), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_requested_turn_runs_the_hooks_without_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(a_hook_may_stop_the_one_behind_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_fires_once_and_never_early, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_moved_later_fires_at_the_later_time, setup, teardown),
        cmocka_unit_test_setup_teardown(a_timer_in_the_past_fires_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(input_is_waited_for_and_left_to_the_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wake_from_another_thread_ends_the_waiting, setup, teardown),
        cmocka_unit_test_setup_teardown(a_signal_arrives_as_an_event, setup, teardown),
        cmocka_unit_test_setup_teardown(the_clock_is_read_once_a_turn, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_leaves_a_foreign_loop_by_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(a_guest_that_does_nothing_does_not_keep_the_foreign_loop_running, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
