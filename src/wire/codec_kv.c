/* Range, Put, DeleteRange, Compact: requests and responses. What a transaction holds of them is shared with
 * codec_txn.c. */
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- pieces ---- */

void encode_header(struct buf *out, const struct response_header *h, tn_rev revision)
{
    struct pbw_mark m = pbw_begin(out, 1, 0);
    pbw_uint(out, 1, h->cluster_id);
    pbw_uint(out, 2, h->member_id);
    pbw_int(out, 3, revision);
    pbw_uint(out, 4, h->raft_term);
    pbw_end(out, m);
}

void encode_kv(struct buf *out, unsigned field, const struct kv *kv)
{
    struct pbw_mark m = pbw_begin(out, field, kv_size_hint(kv));
    pbw_bytes(out, 1, kv->key);
    pbw_int(out, 2, kv->create_revision);
    pbw_int(out, 3, kv->mod_revision);
    pbw_int(out, 4, kv->version);
    pbw_bytes(out, 5, kv->value);
    pbw_int(out, 6, kv->lease);
    pbw_end(out, m);
}

void decode_header(const Etcdserverpb__ResponseHeader *p, struct response_header *ret_header, tn_rev *ret_revision)
{
    struct response_header h = {0};
    if (p)
        h = (struct response_header){p->cluster_id, p->member_id, p->revision, p->raft_term};
    if (ret_header)
        *ret_header = h;
    if (ret_revision)
        *ret_revision = h.revision;
}

void decode_kv(const Mvccpb__KeyValue *p, struct kv *ret)
{
    *ret = (struct kv){0};
    if (!p)
        return;
    ret->key = bytes_of_pb(p->key);
    ret->value = bytes_of_pb(p->value);
    ret->create_revision = p->create_revision;
    ret->mod_revision = p->mod_revision;
    ret->version = p->version;
    ret->lease = p->lease;
}

int decode_kvs(Mvccpb__KeyValue *const *ps, size_t n, struct arena *a, struct kv **ret)
{
    struct kv *kvs = arena_array(a, n, sizeof *kvs);
    if (!kvs)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < n; i++)
        decode_kv(ps[i], &kvs[i]);
    *ret = kvs;
    return 0;
}

/* ---- Range ---- */

void range_req_of_pb(const Etcdserverpb__RangeRequest *p, struct range_req *ret)
{
    *ret = (struct range_req){
        .range = {bytes_of_pb(p->key), bytes_of_pb(p->range_end)},
        .limit = p->limit,
        .revision = p->revision,
        .sort_order = (int32_t)p->sort_order,
        .sort_target = (int32_t)p->sort_target,
        .serializable = p->serializable,
        .keys_only = p->keys_only,
        .count_only = p->count_only,
        .min_mod_revision = p->min_mod_revision,
        .max_mod_revision = p->max_mod_revision,
        .min_create_revision = p->min_create_revision,
        .max_create_revision = p->max_create_revision,
    };
}

int decode_range_req(bytes in, struct arena *a, struct range_req *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__range_request__descriptor, in, a, &p);
    if (!rc)
        range_req_of_pb(p, ret);
    return rc;
}

void encode_range_req_fields(struct buf *out, const struct range_req *r)
{
    pbw_bytes(out, 1, r->range.key);
    pbw_bytes(out, 2, r->range.range_end);
    pbw_int(out, 3, r->limit);
    pbw_int(out, 4, r->revision);
    pbw_int(out, 5, r->sort_order);
    pbw_int(out, 6, r->sort_target);
    pbw_bool(out, 7, r->serializable);
    pbw_bool(out, 8, r->keys_only);
    pbw_bool(out, 9, r->count_only);
    pbw_int(out, 10, r->min_mod_revision);
    pbw_int(out, 11, r->max_mod_revision);
    pbw_int(out, 12, r->min_create_revision);
    pbw_int(out, 13, r->max_create_revision);
}

void encode_range_req(const struct range_req *r, struct buf *out)
{
    encode_range_req_fields(out, r);
}

void encode_range_resp_fields(struct buf *out, const struct response_header *h, const struct range_resp *r)
{
    if (h)
        encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_kvs; i++)
        encode_kv(out, 2, &r->kvs[i]);
    pbw_bool(out, 3, r->more);
    pbw_int(out, 4, r->count);
}

void encode_range_resp(const struct response_header *h, const struct range_resp *r, struct buf *out)
{
    encode_range_resp_fields(out, h, r);
}

void encode_range_stream_resp(const struct response_header *h, const struct range_resp *r, size_t bytes_hint,
                              struct buf *out)
{
    struct pbw_mark m = pbw_begin(out, 1, bytes_hint);
    encode_range_resp_fields(out, h, r);
    pbw_end(out, m);
}

int range_resp_of_pb(const Etcdserverpb__RangeResponse *p, struct arena *a, struct response_header *h,
                     struct range_resp *ret)
{
    *ret = (struct range_resp){.n_kvs = p->n_kvs, .more = p->more, .count = p->count};
    decode_header(p->header, h, &ret->revision);
    return decode_kvs(p->kvs, p->n_kvs, a, &ret->kvs);
}

int decode_range_resp(bytes in, struct arena *a, struct response_header *h, struct range_resp *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__range_response__descriptor, in, a, &p);
    return rc ? rc : range_resp_of_pb(p, a, h, ret);
}

int decode_range_stream_resp(bytes in, struct arena *a, struct response_header *h, struct range_resp *ret)
{
    static const Etcdserverpb__RangeResponse none = ETCDSERVERPB__RANGE_RESPONSE__INIT;
    void *m;
    int rc = codec_unpack(&etcdserverpb__range_stream_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__RangeStreamResponse *p = m;
    return range_resp_of_pb(p->range_response ? p->range_response : &none, a, h, ret);
}

/* ---- Put ---- */

void put_req_of_pb(const Etcdserverpb__PutRequest *p, struct put_req *ret)
{
    *ret = (struct put_req){
        .key = bytes_of_pb(p->key),
        .value = bytes_of_pb(p->value),
        .lease = p->lease,
        .prev_kv = p->prev_kv,
        .ignore_value = p->ignore_value,
        .ignore_lease = p->ignore_lease,
    };
}

int decode_put_req(bytes in, struct arena *a, struct put_req *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__put_request__descriptor, in, a, &p);
    if (!rc)
        put_req_of_pb(p, ret);
    return rc;
}

void encode_put_req_fields(struct buf *out, const struct put_req *r)
{
    pbw_bytes(out, 1, r->key);
    pbw_bytes(out, 2, r->value);
    pbw_int(out, 3, r->lease);
    pbw_bool(out, 4, r->prev_kv);
    pbw_bool(out, 5, r->ignore_value);
    pbw_bool(out, 6, r->ignore_lease);
}

void encode_put_req(const struct put_req *r, struct buf *out)
{
    encode_put_req_fields(out, r);
}

void encode_put_resp_fields(struct buf *out, const struct response_header *h, const struct put_resp *r)
{
    encode_header(out, h, r->revision);
    if (r->has_prev_kv)
        encode_kv(out, 2, &r->prev_kv);
}

void encode_put_resp(const struct response_header *h, const struct put_resp *r, struct buf *out)
{
    encode_put_resp_fields(out, h, r);
}

void put_resp_of_pb(const Etcdserverpb__PutResponse *p, struct response_header *h, struct put_resp *ret)
{
    *ret = (struct put_resp){.has_prev_kv = p->prev_kv != NULL};
    decode_header(p->header, h, &ret->revision);
    decode_kv(p->prev_kv, &ret->prev_kv);
}

int decode_put_resp(bytes in, struct arena *a, struct response_header *h, struct put_resp *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__put_response__descriptor, in, a, &p);
    if (!rc)
        put_resp_of_pb(p, h, ret);
    return rc;
}

/* ---- DeleteRange ---- */

void delete_req_of_pb(const Etcdserverpb__DeleteRangeRequest *p, struct delete_req *ret)
{
    *ret = (struct delete_req){
        .range = {bytes_of_pb(p->key), bytes_of_pb(p->range_end)},
        .prev_kv = p->prev_kv,
    };
}

int decode_delete_req(bytes in, struct arena *a, struct delete_req *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__delete_range_request__descriptor, in, a, &p);
    if (!rc)
        delete_req_of_pb(p, ret);
    return rc;
}

void encode_delete_req_fields(struct buf *out, const struct delete_req *r)
{
    pbw_bytes(out, 1, r->range.key);
    pbw_bytes(out, 2, r->range.range_end);
    pbw_bool(out, 3, r->prev_kv);
}

void encode_delete_req(const struct delete_req *r, struct buf *out)
{
    encode_delete_req_fields(out, r);
}

void encode_delete_resp_fields(struct buf *out, const struct response_header *h, const struct delete_resp *r)
{
    encode_header(out, h, r->revision);
    pbw_int(out, 2, r->deleted);
    for (size_t i = 0; i < r->n_prev_kvs; i++)
        encode_kv(out, 3, &r->prev_kvs[i]);
}

void encode_delete_resp(const struct response_header *h, const struct delete_resp *r, struct buf *out)
{
    encode_delete_resp_fields(out, h, r);
}

int delete_resp_of_pb(const Etcdserverpb__DeleteRangeResponse *p, struct arena *a, struct response_header *h,
                      struct delete_resp *ret)
{
    *ret = (struct delete_resp){.deleted = p->deleted, .n_prev_kvs = p->n_prev_kvs};
    decode_header(p->header, h, &ret->revision);
    return decode_kvs(p->prev_kvs, p->n_prev_kvs, a, &ret->prev_kvs);
}

int decode_delete_resp(bytes in, struct arena *a, struct response_header *h, struct delete_resp *ret)
{
    void *p;
    int rc = codec_unpack(&etcdserverpb__delete_range_response__descriptor, in, a, &p);
    return rc ? rc : delete_resp_of_pb(p, a, h, ret);
}

/* ---- Compact ---- */

int decode_compact_req(bytes in, struct arena *a, struct compact_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__compaction_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__CompactionRequest *p = m;
    *ret = (struct compact_req){.revision = p->revision, .physical = p->physical};
    return 0;
}

void encode_compact_req(const struct compact_req *r, struct buf *out)
{
    pbw_int(out, 1, r->revision);
    pbw_bool(out, 2, r->physical);
}

void encode_compact_resp(const struct response_header *h, const struct compact_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
}

int decode_compact_resp(bytes in, struct arena *a, struct response_header *h, struct compact_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__compaction_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__CompactionResponse *p = m;
    decode_header(p->header, h, &ret->revision);
    return 0;
}
