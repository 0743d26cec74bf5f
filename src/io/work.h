/* A piece of slow work on a thread of its own, and word of its end on the loop. Thread: the loop's, but `run`. */
#ifndef IO_WORK_H
#define IO_WORK_H

#include "io/loop.h"

struct io_work;

/* run is called on the new thread; done on the loop, once, after run has returned and the work is freed. 0, TENURE_ENOMEM,
 * TENURE_EIO: then neither is called. */
int io_work_start(struct io_loop *l, void (*run)(void *user), void (*done)(void *user), void *user,
                  struct io_work **ret, struct tenure_error *err) MUST_USE;
/* Waits for run to return and frees w; done is not called any more. NULL is fine; NULL. */
struct io_work *io_work_join(struct io_work *w);

#endif
