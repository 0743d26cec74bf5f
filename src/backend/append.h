/* One batch as one transaction, and what a failure of it means. The thread that holds the connection. */
#ifndef BACKEND_APPEND_H
#define BACKEND_APPEND_H

#include "backend/db.h"

/* Appends and deletes, commits with a sync. On BACKEND_APPLIED d->seq, acc and meta are the new ones, otherwise
 * unchanged, and err says why. Precondition: the rows go on from d->seq and the last one ends its command. */
enum backend_outcome append_batch(struct db *d, const struct backend_batch *batch, struct tenure_error *err);
/* Moves pages from the end of the file to free places before them, at most so many, in one transaction. It changes no row;
 * outcomes as above. */
enum backend_outcome append_vacuum(struct db *d, int pages, struct tenure_error *err);
/* For measuring only. */
int64_t append_clock_us(void);

#endif
