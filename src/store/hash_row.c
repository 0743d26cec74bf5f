/* The key of a row is the revision: main and sub as eight bytes each, the highest first, a '_' between them, and a 't' behind
 * a delete. Its value is a mvccpb.KeyValue: fields in order of their numbers, defaults left out; of a delete, the key alone.
 */
#include "store/hash_row.h"

#include "base/crc32c.h"

enum {
    FIELD_KEY = 1 << 3 | 2,
    FIELD_CREATE = 2 << 3,
    FIELD_MOD = 3 << 3,
    FIELD_VERSION = 4 << 3,
    FIELD_VALUE = 5 << 3 | 2,
    FIELD_LEASE = 6 << 3,
    HEAD_MAX = 18 + 11,
    NUMBERS_MAX = 4 * 11,
};

uint32_t hash_row_begin(void)
{
    return crc32c(0, "key", 3);
}

static uint8_t *put_u64be(uint8_t *at, uint64_t v)
{
    for (int shift = 56; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(v >> shift);
    return at;
}

static uint8_t *put_field(uint8_t *at, uint8_t tag, uint64_t v)
{
    if (v == 0)
        return at;
    *at++ = tag;
    for (; v >= 0x80; v >>= 7)
        *at++ = (uint8_t)(v | 0x80);
    *at++ = (uint8_t)v;
    return at;
}

uint32_t hash_row(uint32_t crc, const struct version *v)
{
    uint8_t head[HEAD_MAX], numbers[NUMBERS_MAX], *at = put_u64be(head, (uint64_t)v->main);
    bytes key = v->key->item.key;
    *at++ = '_';
    at = put_u64be(at, v->sub);
    if (version_is_tombstone(v))
        *at++ = 't';
    at = put_field(at, FIELD_KEY, key.len);
    crc = crc32c(crc, head, (size_t)(at - head));
    crc = crc32c(crc, key.data, key.len);
    if (version_is_tombstone(v))
        return crc;
    at = put_field(numbers, FIELD_CREATE, (uint64_t)v->create_revision);
    at = put_field(at, FIELD_MOD, (uint64_t)v->main);
    at = put_field(at, FIELD_VERSION, (uint64_t)v->version);
    at = put_field(at, FIELD_VALUE, v->value_len);
    crc = crc32c(crc, numbers, (size_t)(at - numbers));
    crc = crc32c(crc, v->value, v->value_len);
    at = put_field(numbers, FIELD_LEASE, (uint64_t)v->lease);
    return crc32c(crc, numbers, (size_t)(at - numbers));
}
