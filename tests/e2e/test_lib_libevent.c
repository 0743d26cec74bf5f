/* A handle on libevent's loop: one event for the handle's descriptor, whose timeout is the handle's next one. */
#include "loop_program.h"

#include <event2/event.h>

struct event_program {
    struct program program;
    struct event_base *base;
    struct event *event;
    int turns;
    bool closing;
};

static void arm(struct event_program *e)
{
    int ms = tenure_timeout_ms(e->program.handle);
    struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
    event_add(e->event, ms < 0 ? NULL : &timeout);
}

static void on_event(evutil_socket_t fd, short what, void *user)
{
    struct event_program *e = user;
    (void)fd, (void)what;
    e->turns++;
    if (tenure_turn(e->program.handle) != 0 || e->program.closed) {
        event_base_loopbreak(e->base);
        return;
    }
    if (e->program.done && !e->closing) {
        e->closing = true;
        tenure_close_start(e->program.handle, on_closed, &e->program);
    }
    arm(e);
}

static void libevents_loop_drives_a_handle(void **state)
{
    struct tenure_error err = {0};
    struct event_program e = {.base = event_base_new()};
    e.program.handle = tenure_open_poll(server_url(*state), NULL, &err);
    if (!e.program.handle)
        fail_msg("%s", err.text);
    e.event = event_new(e.base, tenure_fd(e.program.handle), EV_READ, on_event, &e);
    event_base_loopexit(e.base, &(struct timeval){.tv_sec = 20});

    begin(&e.program);
    arm(&e);
    event_base_dispatch(e.base);
    check(&e.program);
    assert_true(e.program.closed);
    assert_true(e.turns < 2000); /* C4: waits, does not spin */

    event_free(e.event);
    event_base_free(e.base);
    libevent_global_shutdown();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(libevents_loop_drives_a_handle)};
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
