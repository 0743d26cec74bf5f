/* Maintenance: alarms, hashes, and the calls about leadership and versions. Status is in codec_cluster.c. */
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- Alarm ---- */

int decode_alarm_req(bytes in, struct arena *a, struct alarm_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__alarm_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__AlarmRequest *p = m;
    *ret = (struct alarm_req){.action = (int32_t)p->action, .alarm = {p->memberid, (int32_t)p->alarm}};
    return 0;
}

void encode_alarm_req(const struct alarm_req *r, struct buf *out)
{
    pbw_int(out, 1, r->action);
    pbw_uint(out, 2, r->alarm.member_id);
    pbw_int(out, 3, r->alarm.type);
}

void encode_alarm_resp(const struct response_header *h, const struct alarm_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_alarms; i++) {
        struct pbw_mark m = pbw_begin(out, 2, 0);
        pbw_uint(out, 1, r->alarms[i].member_id);
        pbw_int(out, 2, r->alarms[i].type);
        pbw_end(out, m);
    }
}

int decode_alarm_resp(bytes in, struct arena *a, struct response_header *h, struct alarm_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__alarm_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__AlarmResponse *p = m;
    struct alarm *alarms = arena_array(a, p->n_alarms, sizeof *alarms);
    if (!alarms)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_alarms; i++)
        alarms[i] = (struct alarm){p->alarms[i]->memberid, (int32_t)p->alarms[i]->alarm};
    *ret = (struct alarm_resp){.alarms = alarms, .n_alarms = p->n_alarms};
    decode_header(p->header, h, &ret->revision);
    return 0;
}

/* ---- Hash, HashKV ---- */

int decode_hash_req(bytes in, struct arena *a)
{
    void *m;
    return codec_unpack(&etcdserverpb__hash_request__descriptor, in, a, &m);
}

void encode_hash_resp(const struct response_header *h, tn_rev revision, uint32_t hash, struct buf *out)
{
    encode_header(out, h, revision);
    pbw_uint(out, 2, hash);
}

int decode_hash_resp(bytes in, struct arena *a, struct response_header *h, uint32_t *ret_hash)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__hash_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__HashResponse *p = m;
    *ret_hash = p->hash;
    decode_header(p->header, h, NULL);
    return 0;
}

int decode_hash_kv_req(bytes in, struct arena *a, tn_rev *ret_revision)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__hash_kvrequest__descriptor, in, a, &m);
    if (!rc)
        *ret_revision = ((const Etcdserverpb__HashKVRequest *)m)->revision;
    return rc;
}

void encode_hash_kv_req(tn_rev revision, struct buf *out)
{
    pbw_int(out, 1, revision);
}

void encode_hash_kv_resp(const struct response_header *h, const struct hash_kv_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_uint(out, 2, r->hash);
    pbw_int(out, 3, r->compact_revision);
    pbw_int(out, 4, r->hash_revision);
}

int decode_hash_kv_resp(bytes in, struct arena *a, struct response_header *h, struct hash_kv_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__hash_kvresponse__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__HashKVResponse *p = m;
    *ret = (struct hash_kv_resp){
        .hash = p->hash,
        .compact_revision = p->compact_revision,
        .hash_revision = p->hash_revision,
    };
    decode_header(p->header, h, &ret->revision);
    return 0;
}

/* ---- Defragment, MoveLeader, Downgrade ---- */

void encode_maintenance_empty_req(struct buf *out)
{
    (void)out; /* an empty message is no bytes at all */
}

int decode_defragment_req(bytes in, struct arena *a)
{
    void *m;
    return codec_unpack(&etcdserverpb__defragment_request__descriptor, in, a, &m);
}

int decode_move_leader_req(bytes in, struct arena *a, uint64_t *ret_target)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__move_leader_request__descriptor, in, a, &m);
    if (!rc)
        *ret_target = ((const Etcdserverpb__MoveLeaderRequest *)m)->targetid;
    return rc;
}

void encode_move_leader_req(uint64_t target, struct buf *out)
{
    pbw_uint(out, 1, target);
}

int decode_downgrade_req(bytes in, struct arena *a, struct downgrade_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__downgrade_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__DowngradeRequest *p = m;
    *ret = (struct downgrade_req){.action = (int32_t)p->action, .version = bytes_str(p->version)};
    return 0;
}

void encode_downgrade_req(const struct downgrade_req *r, struct buf *out)
{
    pbw_int(out, 1, r->action);
    pbw_bytes(out, 2, r->version);
}

void encode_downgrade_resp(const struct response_header *h, tn_rev revision, bytes version, struct buf *out)
{
    encode_header(out, h, revision);
    pbw_bytes(out, 2, version);
}

int decode_downgrade_resp(bytes in, struct arena *a, struct response_header *h, bytes *ret_version)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__downgrade_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__DowngradeResponse *p = m;
    *ret_version = bytes_str(p->version);
    decode_header(p->header, h, NULL);
    return 0;
}
