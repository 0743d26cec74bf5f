/* protobuf-c into an arena: one allocator that hands out arena memory and frees nothing; the arena frees all at once.
 *
 * protobuf-c says only that it failed; whether for want of memory is known from the allocator. That also keeps a
 * bound: a field of two bytes can become a struct of a hundred, and a request of a megabyte must not become a hundred
 * megabytes.
 */
#include "wire/codec_internal.h"

#include "tenure/error.h"

/* What honest messages need is far below: about 20 bytes for each byte of the smallest keys. */
enum { BYTES_FREE = 1 << 20, BYTES_PER_BYTE = 32 };

struct arena_allocator {
    ProtobufCAllocator pb;
    struct arena *arena;
    size_t room;
    bool failed;
};

static void *allocator_alloc(void *data, size_t size)
{
    struct arena_allocator *al = data;
    void *memory = size <= al->room ? arena_alloc(al->arena, size) : NULL;
    if (memory)
        al->room -= size;
    else
        al->failed = true;
    return memory;
}

static void allocator_free(void *data, void *memory)
{
    (void)data;
    (void)memory;
}

int codec_unpack(const ProtobufCMessageDescriptor *d, bytes in, struct arena *a, void **ret)
{
    size_t room = in.len < (SIZE_MAX - BYTES_FREE) / BYTES_PER_BYTE ? BYTES_FREE + BYTES_PER_BYTE * in.len : SIZE_MAX;
    struct arena_allocator al = {.arena = a, .room = room};
    al.pb = (ProtobufCAllocator){.alloc = allocator_alloc, .free = allocator_free, .allocator_data = &al};
    ProtobufCMessage *m = protobuf_c_message_unpack(d, &al.pb, in.len, in.data);
    if (!m)
        return al.failed ? TENURE_ENOMEM : TENURE_EPROTOCOL;
    *ret = m;
    return 0;
}

int codec_unpack_nested(const ProtobufCMessageDescriptor *d, bytes in, struct arena *a, void **ret)
{
    int rc = codec_check_depth(d, in, CODEC_DEPTH_MAX);
    return rc ? rc : codec_unpack(d, in, a, ret);
}

int codec_strings(char *const *strings, size_t n, struct arena *a, bytes **ret)
{
    bytes *list = arena_array(a, n, sizeof *list);
    if (!list)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < n; i++)
        list[i] = bytes_str(strings[i]);
    *ret = list;
    return 0;
}
