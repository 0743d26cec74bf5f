/* What the codec files share: unpacking into an arena, and the pieces that several messages hold. Pure. */
#ifndef WIRE_CODEC_INTERNAL_H
#define WIRE_CODEC_INTERNAL_H

#include <protobuf-c/protobuf-c.h>

#include "kv.pb-c.h"
#include "rpc.pb-c.h"
#include "wire/codec.h"
#include "wire/pbw.h"

/* Unpacks `in` as a message of type d with everything in the arena; 0, TENURE_EPROTOCOL or TENURE_ENOMEM. For messages
 * that can hold themselves use codec_unpack_nested, which judges the depth first. */
int codec_unpack(const ProtobufCMessageDescriptor *d, bytes in, struct arena *a, void **ret) MUST_USE;
int codec_unpack_nested(const ProtobufCMessageDescriptor *d, bytes in, struct arena *a, void **ret) MUST_USE;

/* 0, or TENURE_EPROTOCOL when `in` is malformed or has messages nested deeper than depth_max (the message itself is
 * depth 1). Walks the bytes by the descriptor with a stack of its own, so that no input can exhaust ours. */
int codec_check_depth(const ProtobufCMessageDescriptor *d, bytes in, unsigned depth_max) MUST_USE;

static inline bytes bytes_of_pb(ProtobufCBinaryData s)
{
    return bytes_of(s.data, s.len);
}

/* Copies n string or bytes pointers' worth of borrowed bytes. 0 or TENURE_ENOMEM. */
int codec_strings(char *const *strings, size_t n, struct arena *a, bytes **ret) MUST_USE;

/* The length of a kv's encoding, give or take a few bytes. */
static inline size_t kv_size_hint(const struct kv *kv)
{
    return kv->key.len + kv->value.len + 16;
}

void encode_header(struct buf *out, const struct response_header *h, tn_rev revision);
void encode_kv(struct buf *out, unsigned field, const struct kv *kv);
/* ret_header may be NULL. */
void decode_header(const Etcdserverpb__ResponseHeader *p, struct response_header *ret_header, tn_rev *ret_revision);
void decode_kv(const Mvccpb__KeyValue *p, struct kv *ret);
int decode_kvs(Mvccpb__KeyValue *const *ps, size_t n, struct arena *a, struct kv **ret) MUST_USE;

/* The fields of a message without any frame around them, for use inside a transaction too. */
void encode_range_req_fields(struct buf *out, const struct range_req *r);
void encode_put_req_fields(struct buf *out, const struct put_req *r);
void encode_delete_req_fields(struct buf *out, const struct delete_req *r);
/* h NULL: no header. */
void encode_range_resp_fields(struct buf *out, const struct response_header *h, const struct range_resp *r);
void encode_put_resp_fields(struct buf *out, const struct response_header *h, const struct put_resp *r);
void encode_delete_resp_fields(struct buf *out, const struct response_header *h, const struct delete_resp *r);

void range_req_of_pb(const Etcdserverpb__RangeRequest *p, struct range_req *ret);
void put_req_of_pb(const Etcdserverpb__PutRequest *p, struct put_req *ret);
void delete_req_of_pb(const Etcdserverpb__DeleteRangeRequest *p, struct delete_req *ret);
int range_resp_of_pb(const Etcdserverpb__RangeResponse *p, struct arena *a, struct response_header *h,
                     struct range_resp *ret) MUST_USE;
void put_resp_of_pb(const Etcdserverpb__PutResponse *p, struct response_header *h, struct put_resp *ret);
int delete_resp_of_pb(const Etcdserverpb__DeleteRangeResponse *p, struct arena *a, struct response_header *h,
                      struct delete_resp *ret) MUST_USE;

#endif
