/* The keys and messages of schema.h. */
#include "snapshot/schema.h"

#include "base/pbread.h"
#include "wire/pbw.h"

enum { REV_LEN = 17 };

size_t schema_rev_encode(struct schema_rev rev, uint8_t *out)
{
    schema_put_u64(out, (uint64_t)rev.main);
    out[8] = '_';
    schema_put_u64(out + 9, (uint64_t)rev.sub);
    out[REV_LEN] = 't';
    return rev.tombstone ? REV_LEN + 1 : REV_LEN;
}

bool schema_rev_decode(bytes key, struct schema_rev *ret)
{
    bool marked = key.len == REV_LEN + 1 && key.data[REV_LEN] == 't';
    if ((key.len != REV_LEN && !marked) || key.data[8] != '_')
        return false;
    *ret = (struct schema_rev){
        .main = (tn_rev)schema_get_u64(key.data),
        .sub = (int64_t)schema_get_u64(key.data + 9),
        .tombstone = marked,
    };
    return ret->main >= 0 && ret->sub >= 0;
}

void schema_kv_encode(const struct kv *kv, struct buf *out)
{
    pbw_bytes(out, 1, kv->key);
    pbw_int(out, 2, kv->create_revision);
    pbw_int(out, 3, kv->mod_revision);
    pbw_int(out, 4, kv->version);
    pbw_bytes(out, 5, kv->value);
    pbw_int(out, 6, kv->lease);
}

bool schema_kv_decode(bytes in, struct kv *ret)
{
    struct pb_field f;
    *ret = (struct kv){0};
    while (pb_next(&in, &f)) {
        if (f.number == 1 && f.type == PB_LEN)
            ret->key = f.body;
        else if (f.number == 5 && f.type == PB_LEN)
            ret->value = f.body;
        else if (f.type != PB_VARINT)
            continue;
        else if (f.number == 2)
            ret->create_revision = (tn_rev)f.value;
        else if (f.number == 3)
            ret->mod_revision = (tn_rev)f.value;
        else if (f.number == 4)
            ret->version = (int64_t)f.value;
        else if (f.number == 6)
            ret->lease = (tn_lease)f.value;
    }
    return pb_done(in);
}

void schema_lease_encode(const struct schema_lease *l, struct buf *out)
{
    pbw_int(out, 1, l->id);
    pbw_int(out, 2, l->ttl_s);
}

bool schema_lease_decode(bytes in, struct schema_lease *ret)
{
    struct pb_field f;
    *ret = (struct schema_lease){0};
    while (pb_next(&in, &f)) {
        if (f.number == 1 && f.type == PB_VARINT)
            ret->id = (tn_lease)f.value;
        else if (f.number == 2 && f.type == PB_VARINT)
            ret->ttl_s = (int64_t)f.value;
    }
    return pb_done(in);
}

void schema_alarm_encode(const struct schema_alarm *a, struct buf *out)
{
    pbw_uint(out, 1, a->member_id);
    pbw_int(out, 2, a->type);
}

bool schema_alarm_decode(bytes in, struct schema_alarm *ret)
{
    struct pb_field f;
    *ret = (struct schema_alarm){0};
    while (pb_next(&in, &f)) {
        if (f.number == 1 && f.type == PB_VARINT)
            ret->member_id = f.value;
        else if (f.number == 2 && f.type == PB_VARINT)
            ret->type = (int64_t)f.value;
    }
    return pb_done(in);
}
