/* What the leader does in the database: two transactions, each admitted by the fence with the leader's token.
 *
 * `tenure_fence.admit` is the first statement in both. It refuses a token smaller than one that was there before, and keeps the
 * fence's row locked until the transaction ends: whoever comes with a greater token waits for that, and then sees all of it. So a leader
 * that was stopped, and goes on behind its successor, can neither write nor give an answer: PG_FENCED.
 *
 * One thread at a time.
 */
#ifndef LEDGER_STORE_H
#define LEDGER_STORE_H

#include "book.h"
#include "pg.h"

/* A new leader writes first (its token, into the fence), then reads what it decides by: in one transaction. */
enum pg_outcome store_load(struct pg *pg, int64_t token, struct book *book);

/* Decides a chain of bookings by the book and writes them, all of them or none. PG_DONE: each has its verdict, which may be told.
 * Else none of them may be told anything but what the outcome means, and the book is not that of the database any more. */
enum pg_outcome store_write(struct pg *pg, int64_t token, struct book *book, const struct rules *rules,
                            struct booking *batch);

/* Reads a booking by its id, for anybody: found, or verdict UNDECIDED. */
enum pg_outcome store_read(struct pg *pg, const char *id, struct booking *ret);

#endif
