/* Wakes the loop from another thread. Several sends may come as one call. Thread: the loop's, but io_wake_send: any, until
 * io_wake_close. */
#ifndef IO_WAKE_H
#define IO_WAKE_H

#include "io/loop.h"

struct io_wake;

int io_wake_new(struct io_loop *l, void (*on_wake)(void *user), void *user, struct io_wake **ret,
                struct tenure_error *err) MUST_USE;
void io_wake_send(struct io_wake *w);
/* It alone does not keep a loop running. */
void io_wake_unref(struct io_wake *w);
struct io_wake *io_wake_close(struct io_wake *w); /* NULL is fine; NULL */

#endif
