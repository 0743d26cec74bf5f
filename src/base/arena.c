/* Hand out the next bytes of the newest block; when it is full, get a block twice as big, up to BLOCK_MAX.
 *
 * An allocation that is large beside a block gets a block of its own *behind* the newest, so that the newest is not
 * abandoned half empty. A reset keeps the newest block alone: it is the biggest of the common ones, so a path whose
 * needs are modest and steady soon finds everything in it and calls malloc no more.
 *
 * Fails with NULL, the arena unchanged, when malloc does or the bound is reached. Under AddressSanitizer what was not
 * handed out, or was taken back by a reset, is poisoned.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(data, size)   ((void)(data), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(data, size) ((void)(data), (void)(size))
#endif

enum {
    ALIGN = 16,
    BLOCK_MIN = 4096,
    BLOCK_MAX = 32768, /* header included, as BLOCK_MIN */
};

struct arena_block {
    struct arena_block *next; /* older, or one of its own for a large allocation */
    size_t size;              /* of data */
    _Alignas(ALIGN) uint8_t data[];
};

void arena_init(struct arena *a, size_t total_max)
{
    *a = (struct arena){.total_max = total_max};
}

static void blocks_free(struct arena_block *b)
{
    while (b) {
        struct arena_block *next = b->next;
        ASAN_UNPOISON_MEMORY_REGION(b->data, b->size);
        free(b);
        b = next;
    }
}

void arena_fini(struct arena *a)
{
    blocks_free(a->blocks);
    arena_init(a, a->total_max);
}

static bool block_is_common(const struct arena_block *b)
{
    return b->size <= BLOCK_MAX - sizeof(struct arena_block);
}

void arena_reset(struct arena *a)
{
    struct arena_block *b = a->blocks;
    if (b && !block_is_common(b)) {
        arena_fini(a);
        return;
    }
    if (b) {
        blocks_free(b->next);
        b->next = NULL;
        ASAN_POISON_MEMORY_REGION(b->data, b->size);
    }
    a->used = 0;
    a->total = 0;
}

static struct arena_block *block_new(size_t size)
{
    struct arena_block *b = malloc(sizeof *b + size);
    if (!b)
        return NULL;
    b->size = size;
    ASAN_POISON_MEMORY_REGION(b->data, size);
    return b;
}

static size_t next_block_size(const struct arena *a)
{
    size_t size = BLOCK_MIN;
    if (a->blocks && block_is_common(a->blocks))
        size = 2 * (a->blocks->size + sizeof(struct arena_block));
    return (size < BLOCK_MAX ? size : BLOCK_MAX) - sizeof(struct arena_block);
}

static void *alloc_own_block(struct arena *a, size_t size)
{
    struct arena_block *b = block_new(size);
    if (!b)
        return NULL;
    if (a->blocks) {
        b->next = a->blocks->next;
        a->blocks->next = b;
    } else {
        b->next = NULL;
        a->blocks = b;
        a->used = size;
    }
    return b->data;
}

static void *alloc_new_block(struct arena *a, size_t size, size_t block_size)
{
    struct arena_block *b = block_new(block_size);
    if (!b)
        return NULL;
    b->next = a->blocks;
    a->blocks = b;
    a->used = size;
    return b->data;
}

static __attribute__((noinline)) void *alloc_slowly(struct arena *a, size_t size)
{
    size_t block_size = next_block_size(a);
    return size > block_size / 2 ? alloc_own_block(a, size) : alloc_new_block(a, size, block_size);
}

static void *alloc_here(struct arena *a, size_t size)
{
    void *data = a->blocks->data + a->used;
    a->used += size;
    return data;
}

void *arena_alloc(struct arena *a, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size_t whole = size ? (size + ALIGN - 1) / ALIGN * ALIGN : ALIGN;
    if (a->total_max && whole > a->total_max - a->total)
        return NULL;
    bool fits = a->blocks && whole <= a->blocks->size - a->used;
    void *data = fits ? alloc_here(a, whole) : alloc_slowly(a, whole);
    if (!data)
        return NULL;
    a->total += whole;
    ASAN_UNPOISON_MEMORY_REGION(data, size);
    return data;
}

void *arena_zalloc(struct arena *a, size_t size)
{
    void *data = arena_alloc(a, size);
    return data ? memset(data, 0, size) : NULL;
}

void *arena_array(struct arena *a, size_t n, size_t size)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    return arena_zalloc(a, n * size);
}

bytes arena_copy(struct arena *a, bytes s)
{
    if (s.len == SIZE_MAX)
        return bytes_of(NULL, 0);
    uint8_t *data = arena_alloc(a, s.len + 1);
    if (!data)
        return bytes_of(NULL, 0);
    if (s.len)
        memcpy(data, s.data, s.len);
    data[s.len] = 0;
    return bytes_of(data, s.len);
}

char *arena_strdup(struct arena *a, const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = arena_alloc(a, size);
    return copy ? memcpy(copy, s, size) : NULL;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    char *text = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!text)
        return NULL;
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}
