/* Writes a bbolt file in one pass: keys come in order, pages leave as they fill, memory does not grow with the file. Pure:
 * bytes go out through a function, at offsets that rise, but for the first three pages, which come last.
 *
 * Happy path: bolt_writer_new, then for each bucket bolt_bucket_begin, bolt_put of its keys in rising order,
 * bolt_bucket_end; bolt_writer_finish. Buckets of the root may come in any order, buckets within a bucket stand in the order
 * of its keys. Errors are sticky: the first one is what bolt_writer_finish answers.
 *
 * Failure modes: TENURE_EINVALID (an order or a size that the format does not take), TENURE_ELIMIT (too many buckets, too
 * deep), TENURE_ENOMEM, or what the output function answered. Thread: none of its own; one caller at a time.
 */
#ifndef BOLT_WRITER_H
#define BOLT_WRITER_H

#include "base/bytes.h"
#include "base/error.h"

struct bolt_writer;

struct bolt_output {
    /* Writes data at offset; 0 or a TENURE_E… code with err filled in. */
    int (*write)(void *user, uint64_t offset, bytes data, struct tenure_error *err);
    void *user;
};

/* 0 or TENURE_ENOMEM. */
int bolt_writer_new(const struct bolt_output *out, struct bolt_writer **ret) MUST_USE;
struct bolt_writer *bolt_writer_free(struct bolt_writer *w); /* NULL is fine; NULL */

void bolt_bucket_begin(struct bolt_writer *w, bytes name);
/* Copies key and value. Between begin and end only. */
void bolt_put(struct bolt_writer *w, bytes key, bytes value);
void bolt_bucket_end(struct bolt_writer *w);

/* 0 so far, or the first error. */
int bolt_writer_error(const struct bolt_writer *w) MUST_USE;
/* Writes what is left; the file is whole when this answered 0. */
int bolt_writer_finish(struct bolt_writer *w, uint64_t *ret_size, struct tenure_error *err) MUST_USE;

#endif
