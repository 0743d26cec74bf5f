/* Ids: numbers that no two programs get, taken in blocks, so that most of them cost no round trip.
 *
 * The key `/ids/<name>` holds the last number that was given away, as decimal text. A block is taken by adding to it, once (as
 * counter.h says). Within one generator ids grow; a block is above all blocks taken before it, so ids of different
 * generators interleave by blocks. Numbers of a block that was not used up when its generator went (closed, crashed) are
 * never given out, nor is a block whose taking ended as maybe: there are gaps, never doubles.
 */
#ifndef TENURE_ID_H
#define TENURE_ID_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_ids tenure_ids;

struct tenure_id_options {
    size_t size;
    const char *prefix; /* NULL = "/ids/" */
    int64_t block;      /* how many at a time; 0 = 1,000 */
    int64_t floor;      /* all ids are above it: a fencing token, shifted left, makes ids of a later holder greater */
    int64_t timeout_ms; /* of taking a block; 0 = the handle's */
    const char *marks;  /* as in stm.h */
    bool unmarked;
};

/* Takes nothing yet. NULL: TENURE_EINVALID, TENURE_ENOMEM. Close it before its handle. Blocking handles. */
tenure_ids *tenure_ids_open(tenure_client *c, const char *name, const struct tenure_id_options *o,
                            struct tenure_error *err);
/* The next id, from 1 on. Takes a block when there is none left: threads that ask meanwhile wait. Any thread but the loop's.
 * A failure costs at most a block. TENURE_ELIMIT: 2^63 - 1 has been given out. */
int tenure_ids_next(tenure_ids *ids, int64_t *ret, struct tenure_error *err);
void tenure_ids_close(tenure_ids *ids); /* NULL is fine */

/* Takes n ids at once, *ret the first of them; the options' block is not looked at. Blocking handles. */
int tenure_ids_take(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *o, int64_t *ret,
                    struct tenure_error *err);
/* The same without waiting, any handle: cb comes once, on the loop's thread. */
typedef void (*tenure_ids_cb)(void *user, int code, int64_t first, const struct tenure_error *err);
int tenure_ids_take_start(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *o,
                          tenure_ids_cb cb, void *user, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
