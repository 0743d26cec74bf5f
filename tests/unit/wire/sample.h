/* Random values for the codecs, the same for the same seed, and what the tests ask of every encoding. */
#ifndef TESTS_SAMPLE_H
#define TESTS_SAMPLE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <protobuf-c/protobuf-c.h>

#include "base/rng.h"
#include "wire/codec.h"

struct sample {
    struct rng rng;
    struct arena arena; /* of the values, and of what is decoded from them */
    struct buf out;
};

void sample_init(struct sample *s, uint64_t seed);
void sample_reset(struct sample *s); /* before the next value */
void sample_fini(struct sample *s);

size_t sample_below(struct sample *s, size_t n); /* 0 when n is 0 */
bool sample_bool(struct sample *s);
int64_t sample_int(struct sample *s); /* often 0, small, negative or at an edge */
bytes sample_bytes(struct sample *s); /* mostly short; now and then of a length whose length takes two or three bytes */
bytes sample_text(struct sample *s);  /* without zeros */
void *sample_array(struct sample *s, size_t n, size_t size);
bytes *sample_texts(struct sample *s, size_t n);
struct kv sample_kv(struct sample *s);
struct key_range sample_range(struct sample *s);
struct response_header sample_header(struct sample *s);

bool same_kv(const struct kv *a, const struct kv *b);
bool same_kvs(const struct kv *a, size_t n_a, const struct kv *b, size_t n_b);
bool same_range(struct key_range a, struct key_range b);
bool same_texts(const bytes *a, size_t n_a, const bytes *b, size_t n_b);
/* The ids and the term of a, and the revision given. */
bool same_header(const struct response_header *a, tn_rev revision, const struct response_header *b);

/* s->out holds what protobuf-c would have written: it understands it, and packs it into the same bytes. */
void expect_canonical(struct sample *s, const ProtobufCMessageDescriptor *d);

/* A message of type d with random fields, known and unknown, in any order, by its descriptor; appended to out. */
void sample_message(struct sample *s, const ProtobufCMessageDescriptor *d, unsigned depth, struct buf *out);

enum { SAMPLES = 300 };

#endif
