/* Which revision an answer is of: what is needed to never read an older state than one that was seen before, on whichever
 * endpoint. A serializable read is answered by a member from what it has, and another member may have had more already. */
#include "client/internal.h"

/* Takes a varint off the front; false when there is none. */
static bool take_varint(bytes *in, uint64_t *ret)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 10 && i < in->len; i++) {
        n |= (uint64_t)(in->data[i] & 0x7f) << (7 * i);
        if (in->data[i] < 0x80) {
            *in = bytes_of(in->data + i + 1, in->len - i - 1);
            *ret = n;
            return true;
        }
    }
    return false;
}

/* A header's third field: all of them are varints. */
static tn_rev revision_in(bytes header)
{
    uint64_t key, value;
    while (header.len > 0) {
        if (!take_varint(&header, &key) || (key & 7) != 0 || !take_varint(&header, &value))
            return 0;
        if (key >> 3 == 3)
            return (tn_rev)value;
    }
    return 0;
}

/* The header is the first field of every answer: all servers write fields in their order. */
tn_rev order_revision(bytes answer)
{
    uint64_t key, len;
    if (!take_varint(&answer, &key) || key != (1 << 3 | 2) || !take_varint(&answer, &len) || len > answer.len)
        return 0;
    return revision_in(bytes_of(answer.data, len));
}

void order_saw(struct client *c, tn_rev revision)
{
    if (revision > c->seen)
        c->seen = revision;
}
