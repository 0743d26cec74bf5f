/* Maintenance.Snapshot. Its answers are a whole database in pieces, so the decoder neither unpacks nor copies. */
#include "base/pbread.h"
#include "tenure/error.h"
#include "wire/codec_internal.h"

int decode_snapshot_req(bytes in, struct arena *a)
{
    void *m;
    return codec_unpack(&etcdserverpb__snapshot_request__descriptor, in, a, &m);
}

void encode_snapshot_req(struct buf *out)
{
    (void)out; /* an empty message is no bytes at all */
}

void encode_snapshot_resp(const struct snapshot_resp *r, struct buf *out)
{
    pbw_uint(out, 2, r->remaining_bytes);
    pbw_bytes(out, 3, r->blob);
    pbw_bytes(out, 4, r->version);
}

int decode_snapshot_resp(bytes in, struct arena *a, struct snapshot_resp *ret)
{
    struct pb_field f;
    (void)a;
    *ret = (struct snapshot_resp){0};
    while (pb_next(&in, &f)) {
        if (f.number == 2 && f.type == PB_VARINT)
            ret->remaining_bytes = f.value;
        else if (f.number == 3 && f.type == PB_LEN)
            ret->blob = f.body;
        else if (f.number == 4 && f.type == PB_LEN)
            ret->version = f.body;
    }
    return pb_done(in) ? 0 : TENURE_EPROTOCOL;
}
