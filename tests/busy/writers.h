/* Writers at a set rate: puts, transactions of several keys, deletes of one key and of ranges, leases that expire or are
 * revoked, compactions; most at the source, some by way of replicas. What was answered is remembered, and held against the history.
 *
 * A value begins with its number and the time at which it was sent (now_ns), 16 bytes each in hexadecimal.
 */
#ifndef BUSY_WRITERS_H
#define BUSY_WRITERS_H

#include "base/rng.h"
#include "busy/judge.h"

struct writers_options {
    int source;
    const int *replicas; /* ports; a few of the writes go there */
    size_t n_replicas;
    double rate; /* operations a second */
    size_t inflight, value_bytes;
    uint64_t keys; /* of each of ten prefixes */
    uint64_t seed;
    /* Compactions: every so many ms on average, 0 = none; so many revisions behind the recorder at most. */
    int64_t compact_ms, compact_behind;
};

struct writers_counts {
    uint64_t begun, done, failed, puts, deletes, txns, leases, forwarded, compactions, late;
};

void writers_start(const struct writers_options *o, struct court *court);
/* In each turn; begins what is due. */
void writers_turn(int64_t now_ns);
/* No more is begun; true when nothing is under way any more. */
bool writers_stop(void);
const struct writers_counts *writers_counts(void);
/* The newest revision that was answered. */
tn_rev writers_last(void);
/* Of what was answered with success: how much the history does not have as it was answered; the first of it as text. */
uint64_t writers_missing(char *ret_text, size_t size);
/* When the value of a put was sent; 0 = it is none of theirs. */
int64_t writers_sent_ns(bytes value);

#endif
