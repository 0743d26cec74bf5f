/* A deadline on CLOCK_BOOTTIME, as a timerfd: libuv's own timers and the timeout of poll stand still during suspend, and
 * a lease does not. Never fires early. Moving the deadline later costs no system call. Thread: the loop's. */
#ifndef IO_TIMER_H
#define IO_TIMER_H

#include "io/loop.h"

struct io_timer;

/* 0, TENURE_ENOMEM, TENURE_EIO (out of descriptors). */
int io_timer_new(struct io_loop *l, void (*on_fire)(void *user), void *user, struct io_timer **ret,
                 struct tenure_error *err) MUST_USE;
/* Fires once at `at` or after; replaces the deadline set before; TN_MS_NEVER = none. */
void io_timer_set(struct io_timer *t, tn_ms at);
struct io_timer *io_timer_close(struct io_timer *t); /* NULL is fine; NULL */

#endif
