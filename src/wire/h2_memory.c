/* A list of kept pieces for each multiple of 32 bytes up to 512; what is larger is malloc's. In front of each piece lies
 * its class, so that it can be given back without its size.
 *
 * Under AddressSanitizer nothing is kept, so that a use after free is seen. */
#include "wire/h2_memory.h"

#include <stdlib.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEP_NOTHING 1
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define KEEP_NOTHING 1
#endif
#ifndef KEEP_NOTHING
#define KEEP_NOTHING 0
#endif

struct h2_memory_piece {
    size_t class; /* room in units of H2_MEMORY_CLASS_BYTES, less one; H2_MEMORY_CLASSES = malloc's own */
    struct h2_memory_piece *next; /* while kept */
    _Alignas(16) uint8_t data[];
};

static size_t class_of(size_t size)
{
    size_t class = size ? (size - 1) / H2_MEMORY_CLASS_BYTES : 0;
    return class < H2_MEMORY_CLASSES ? class : H2_MEMORY_CLASSES;
}

static size_t class_room(size_t class)
{
    return (class + 1) * H2_MEMORY_CLASS_BYTES;
}

static struct h2_memory_piece *piece_of(void *data)
{
    return CONTAINER_OF((uint8_t *)data, struct h2_memory_piece, data);
}

static struct h2_memory_piece *take_kept(struct h2_memory *m, size_t class)
{
    struct h2_memory_piece *p = m->kept[class];
    m->kept[class] = p->next;
    m->kept_bytes -= class_room(class);
    return p;
}

static void *memory_malloc(size_t size, void *user)
{
    struct h2_memory *m = user;
    size_t class = class_of(size);
    size_t room = class < H2_MEMORY_CLASSES ? class_room(class) : size;
    struct h2_memory_piece *p;
    if (class < H2_MEMORY_CLASSES && m->kept[class])
        p = take_kept(m, class);
    else
        p = room <= SIZE_MAX - sizeof *p ? malloc(sizeof *p + room) : NULL;
    if (!p)
        return NULL;
    p->class = class;
    return p->data;
}

static void memory_free(void *data, void *user)
{
    struct h2_memory *m = user;
    if (!data)
        return;
    struct h2_memory_piece *p = piece_of(data);
    if (KEEP_NOTHING || p->class == H2_MEMORY_CLASSES || m->kept_bytes >= H2_MEMORY_KEPT_MAX) {
        free(p);
        return;
    }
    p->next = m->kept[p->class];
    m->kept[p->class] = p;
    m->kept_bytes += class_room(p->class);
}

static void *memory_calloc(size_t n, size_t size, void *user)
{
    if (size && n > SIZE_MAX / size)
        return NULL;
    void *data = memory_malloc(n * size, user);
    return data ? memset(data, 0, n * size) : NULL;
}

static void *realloc_large(struct h2_memory_piece *p, size_t size)
{
    p = size <= SIZE_MAX - sizeof *p ? realloc(p, sizeof *p + size) : NULL;
    return p ? p->data : NULL;
}

static void *memory_realloc(void *data, size_t size, void *user)
{
    if (!data)
        return memory_malloc(size, user);
    struct h2_memory_piece *p = piece_of(data);
    if (p->class == H2_MEMORY_CLASSES)
        return realloc_large(p, size);
    if (size <= class_room(p->class))
        return data;
    void *larger = memory_malloc(size, user);
    if (!larger)
        return NULL;
    memcpy(larger, data, class_room(p->class));
    memory_free(data, user);
    return larger;
}

void h2_memory_init(struct h2_memory *m)
{
    *m = (struct h2_memory){.mem = {m, memory_malloc, memory_free, memory_calloc, memory_realloc}};
}

void h2_memory_fini(struct h2_memory *m)
{
    for (size_t class = 0; class < H2_MEMORY_CLASSES; class ++)
        while (m->kept[class])
            free(take_kept(m, class));
}
