/* Signals as events of the loop. For executables only: a library leaves signals to its program. Thread: the loop's. */
#ifndef IO_SIGNAL_H
#define IO_SIGNAL_H

#include "io/loop.h"

struct io_signal;

int io_signal_new(struct io_loop *l, int signum, void (*on_signal)(void *user, int signum), void *user,
                  struct io_signal **ret, struct tenure_error *err) MUST_USE;
struct io_signal *io_signal_close(struct io_signal *s); /* NULL is fine; NULL */

/* A peer that is gone becomes an error of the write instead of the end of the process (streams of io never raise SIGPIPE;
 * this is for stdout and stderr). */
void io_signal_ignore_pipe(void);

#endif
