/* The seal of a row and of the record of deletions: what makes a changed, missing or exchanged row visible at start.
 * Pure.
 *
 * crc is the CRC-32C of all fields of the row and of the running sum before it; acc is that running sum with the row's
 * own crc added. So crc covers every column (acc too: the sum before is acc - crc), adjacent rows form a chain, and the
 * crcs of all rows that ever were add up to the newest acc, those of the deleted ones being kept in struct meta. */
#ifndef BACKEND_ROW_H
#define BACKEND_ROW_H

#include "backend/record.h"

uint32_t row_crc(const struct record *r, int64_t acc_before);

/* Sums wrap at 63 bits, so that SQLite's integers hold them. */
static inline int64_t row_acc(int64_t acc_before, uint32_t crc)
{
    return (int64_t)(((uint64_t)acc_before + crc) & INT64_MAX);
}
static inline int64_t row_acc_before(int64_t acc, uint32_t crc)
{
    return (int64_t)(((uint64_t)acc - crc) & INT64_MAX);
}

/* What compaction has deleted so far; changed in the same transaction as the deletes. */
struct meta {
    int64_t deleted_count;
    int64_t deleted_sum; /* of their sequences, wrapping: names a single missing row */
    int64_t deleted_acc; /* of their crcs */
    tn_seq deleted_max;  /* rows behind it are dense */
    tn_seq last_seq;     /* the newest row at that time, and its acc: rows up to here were there */
    int64_t last_acc;
};

uint32_t meta_crc(const struct meta *m);
void meta_delete(struct meta *m, tn_seq seq, uint32_t crc);
/* The rows after `after` and before `before` never were: as if deleted, with crcs of 0. */
void meta_skip(struct meta *m, tn_seq after, tn_seq before);
/* 1 + 2 + … + n, wrapping. */
uint64_t row_seq_sum(tn_seq n);

#endif
