/* Memory of one call: everything decoded, computed and encoded for it is freed at once. Pure.
 *
 * Keeps one block of at most 32 KiB over a reset, so a steady request path does not call malloc. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/bytes.h"

struct arena_block;
struct arena {
    struct arena_block *blocks; /* newest first */
    size_t used;                /* in the newest block */
    size_t total;               /* bytes handed out since the last reset, each rounded up to 16 */
    size_t total_max;           /* of total; 0 = no bound; past it arena_alloc answers NULL; set by arena_init only */
};

void arena_init(struct arena *a, size_t total_max);
void arena_fini(struct arena *a);
void arena_reset(struct arena *a);

/* 16-byte aligned; NULL when out of memory or over the bound. Size 0 answers a valid pointer. */
void *arena_alloc(struct arena *a, size_t size) MUST_USE;
void *arena_zalloc(struct arena *a, size_t size) MUST_USE;
/* n elements of size each, zeroed; NULL also when n * size overflows. */
void *arena_array(struct arena *a, size_t n, size_t size) MUST_USE;
/* Copies; the copy has a 0 behind its end (not counted). data is NULL on failure. */
bytes arena_copy(struct arena *a, bytes s) MUST_USE;
char *arena_strdup(struct arena *a, const char *s) MUST_USE;
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3) MUST_USE;

#endif
