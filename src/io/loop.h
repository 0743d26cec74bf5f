/* The event loop, the one clock and the turn. Everything of io lives on one loop and one thread.
 *
 * The turn: libuv waits, then hands out what arrived (bytes, timers, wakes); then each turn hook runs once: the place to
 * let engines work and to write, one send a connection. io_now is read once a turn, on CLOCK_BOOTTIME, which goes on
 * through suspend.
 *
 * Two ways to get one: a loop of its own (io_loop_run or io_loop_step, then io_loop_free), or a guest on a libuv loop of
 * the program's (io_loop_close, which ends by its callback while the program runs that loop). Closing is asynchronous in
 * libuv, but no object of io calls back after its close function returned.
 *
 * Thread: the loop's; io_clock and io_wall_ms: any.
 */
#ifndef IO_LOOP_H
#define IO_LOOP_H

#include "base/error.h"
#include "base/list.h"

struct uv_loop_s;
struct io_loop;

/* uv: borrowed, or NULL for a loop of its own. 0, TENURE_ENOMEM, TENURE_EIO. */
int io_loop_new(struct uv_loop_s *uv, struct io_loop **ret, struct tenure_error *err) MUST_USE;
/* A loop of its own only: runs it until all that is closing has closed, then frees it. Everything made on it must have
 * been closed. NULL is fine; NULL. */
struct io_loop *io_loop_free(struct io_loop *l);
/* A guest only: leaves the foreign loop. on_closed (may be NULL) comes from that loop when nothing of l is left on it; l is
 * freed then. Everything made on l must have been closed. */
void io_loop_close(struct io_loop *l, void (*on_closed)(void *user), void *user);

/* What a guest on it is given. */
struct uv_loop_s *io_loop_uv(struct io_loop *l);

void io_loop_run(struct io_loop *l);             /* until io_loop_stop */
void io_loop_step(struct io_loop *l, bool wait); /* one turn; wait: until something arrives */
void io_loop_stop(struct io_loop *l);

/* Milliseconds on CLOCK_BOOTTIME, read once a turn. */
tn_ms io_now(struct io_loop *l);
/* The same clock, read now. */
tn_ms io_clock(void);
/* Microseconds, for measuring moments; stands still in suspend. */
int64_t io_clock_us(void);
/* Wall clock, for display only. */
int64_t io_wall_ms(void);
/* For the program's own poll: libuv's descriptor and how long it may wait (-1 = for ever); then io_loop_step(l, false). */
int io_loop_fd(const struct io_loop *l);
int io_loop_timeout_ms(const struct io_loop *l);

/* Whether something has arrived that was not handed out yet. A system call; for deciding whether slow work on the loop would
 * keep somebody waiting. */
bool io_loop_has_input(const struct io_loop *l);

/* Waits for that, so many microseconds at most. */
bool io_loop_await_input(const struct io_loop *l, int64_t us);

/* A hook that runs at the end of each turn, in the order of io_turn_start. Embedded by its owner. */
struct io_turn {
    struct list link;
    void (*on_turn)(void *user, tn_ms now);
    void *user;
};
void io_turn_start(struct io_loop *l, struct io_turn *t, void (*on_turn)(void *user, tn_ms now), void *user);
void io_turn_stop(struct io_turn *t); /* also of a zeroed or stopped one */
/* The hooks run (again) without waiting for anything: work was cut short, or was brought from outside a turn. */
void io_turn_request(struct io_loop *l);

#endif
