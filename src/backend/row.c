/* One encoding for the checksums: fixed little-endian fields, lengths, then key and value. It never changes within a
 * format version, whatever SQLite makes of the columns. */
#include "backend/row.h"

#include "base/crc32c.h"

enum { ROW_HEAD = 8 + 1 + 1 + 6 * 8 + 2 * 8, META_SIZE = 6 * 8 };

static uint8_t *put_u64(uint8_t *at, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        *at++ = (uint8_t)(v >> (8 * i));
    return at;
}

uint32_t row_crc(const struct record *r, int64_t acc_before)
{
    uint8_t head[ROW_HEAD];
    uint8_t *at = put_u64(head, (uint64_t)r->seq);
    *at++ = (uint8_t)r->kind;
    *at++ = (uint8_t)(r->tombstone | r->last_of_command << 1);
    at = put_u64(at, (uint64_t)r->main);
    at = put_u64(at, (uint64_t)r->sub);
    at = put_u64(at, (uint64_t)r->create_revision);
    at = put_u64(at, (uint64_t)r->version);
    at = put_u64(at, (uint64_t)r->lease);
    at = put_u64(at, (uint64_t)acc_before);
    at = put_u64(at, r->key.len);
    at = put_u64(at, r->value.len);
    uint32_t crc = crc32c(0, head, (size_t)(at - head));
    crc = crc32c(crc, r->key.data, r->key.len);
    return crc32c(crc, r->value.data, r->value.len);
}

uint32_t meta_crc(const struct meta *m)
{
    uint8_t all[META_SIZE];
    uint8_t *at = put_u64(all, (uint64_t)m->deleted_count);
    at = put_u64(at, (uint64_t)m->deleted_sum);
    at = put_u64(at, (uint64_t)m->deleted_acc);
    at = put_u64(at, (uint64_t)m->deleted_max);
    at = put_u64(at, (uint64_t)m->last_seq);
    at = put_u64(at, (uint64_t)m->last_acc);
    return crc32c(0, all, (size_t)(at - all));
}

void meta_delete(struct meta *m, tn_seq seq, uint32_t crc)
{
    m->deleted_count++;
    m->deleted_sum = (int64_t)((uint64_t)m->deleted_sum + (uint64_t)seq);
    m->deleted_acc = row_acc(m->deleted_acc, crc);
    if (seq > m->deleted_max)
        m->deleted_max = seq;
}

uint64_t row_seq_sum(tn_seq n)
{
    uint64_t v = (uint64_t)n;
    return v % 2 ? (v + 1) / 2 * v : v / 2 * (v + 1);
}

void meta_skip(struct meta *m, tn_seq after, tn_seq before)
{
    if (before - after < 2)
        return;
    m->deleted_count += before - after - 1;
    m->deleted_sum = (int64_t)((uint64_t)m->deleted_sum + row_seq_sum(before - 1) - row_seq_sum(after));
    m->deleted_max = before - 1;
}
