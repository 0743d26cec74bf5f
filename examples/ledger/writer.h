/* Where bookings queue, and the one thread that writes them.
 *
 * Threads of the HTTP server bring bookings and wait. The writer takes all that wait as one batch, one transaction; so the more
 * there is to do, the less each costs. All of it is bounded: the queue, the batch, each wait.
 */
#ifndef LEDGER_WRITER_H
#define LEDGER_WRITER_H

#include "book.h"
#include "coordination.h"

struct writer;
/* conninfo: borrowed. NULL: no memory. */
struct writer *writer_new(const char *conninfo);
/* Begins to write, as whom the coordination says. 0; -1: no thread. */
int writer_begin(struct writer *w, struct coordination *c);
/* Decides the booking, which has its verdict then. Waits for as long as a booking may take, and not longer. Any thread. */
void writer_book(struct writer *w, struct booking *b);
/* Somebody began to lead, or ended. Any thread, and does not wait. */
void writer_wake(void *w);
/* How often this instance was refused by the fence: it wrote, and led no more. Any thread. */
int64_t writer_fenced(struct writer *w);
/* Finishes what it has; what comes later is UNAVAILABLE. */
void writer_stop(struct writer *w);
void writer_free(struct writer *w);

#endif
