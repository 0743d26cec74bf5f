/* For a program's own loop: a descriptor, a timeout, a turn. The handle has a libuv loop of its own that runs only within
 * tenure_turn; all deadlines are in its descriptor, as a timerfd. */
#include "lib/handle.h"

int tenure_fd(const tenure_client *c)
{
    return c && c->kind == HANDLE_POLL && !handle_is_forked(c) ? io_loop_fd(c->loop) : -1;
}

int tenure_timeout_ms(const tenure_client *c)
{
    return c && c->kind == HANDLE_POLL && !handle_is_forked(c) ? io_loop_timeout_ms(c->loop) : -1;
}

int tenure_turn(tenure_client *c)
{
    int rc = handle_enter(c, NULL);
    if (rc < 0)
        return rc;
    if (c->kind != HANDLE_POLL || c->in_turn)
        return TENURE_EINVALID;
    io_loop_step(c->loop, /* wait= */ false);
    handle_finish_if_closed(c);
    return 0;
}
