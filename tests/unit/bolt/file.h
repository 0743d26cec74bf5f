/* A bbolt file in memory, for tests: what the writer makes, and a way to make damaged ones. */
#ifndef TESTS_UNIT_BOLT_FILE_H
#define TESTS_UNIT_BOLT_FILE_H

#include "base/buf.h"
#include "bolt/reader.h"
#include "bolt/writer.h"

struct file {
    struct buf bytes;
    int fail_at; /* the write that fails, counted from 1; 0 = none */
    int writes;
};

void file_init(struct file *f);
void file_fini(struct file *f);
struct bolt_writer *file_writer(struct file *f);
/* Ends the writer; the file must be whole. */
void file_finish(struct file *f, struct bolt_writer *w);

/* The i-th key of a test: rising, 10 bytes. */
bytes key_of(unsigned i, char *room);
/* A bucket of n keys whose values have value_len bytes. */
void put_many(struct bolt_writer *w, const char *name, unsigned n, size_t value_len);

/* Puts the sums of both metas right again after a change. */
void file_reseal(struct file *f);

/* Walks everything, buckets within buckets too. Answers the number of keys, or an error. */
int64_t walk_all(const struct bolt_file *f, struct tenure_error *err);

#endif
