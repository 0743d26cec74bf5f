/* Reads the whole log at start, checks it, and hands the rows out. Loop thread. */
#ifndef BACKEND_REPLAY_H
#define BACKEND_REPLAY_H

#include "backend/db.h"

/* Fills d->seq, acc and meta. at_least is a sequence that is known to have been acknowledged. TENURE_ECORRUPT names what
 * is wrong; rows may have been handed out before it was found. */
int replay(struct db *d, tn_seq at_least, int (*on_record)(void *user, const struct record *r), void *user,
           struct tenure_error *err) MUST_USE;

/* A row by itself, from a statement that selects all columns of log: its own checksum is looked at, its place is not. */
int replay_row(sqlite3_stmt *stmt, struct record *ret, struct tenure_error *err) MUST_USE;

#endif
