/* v3lockpb and v3electionpb. */
#include "tenure/error.h"
#include "v3election.pb-c.h"
#include "v3lock.pb-c.h"
#include "wire/codec_internal.h"

/* ---- Lock ---- */

int decode_lock_req(bytes in, struct arena *a, struct lock_req *ret)
{
    void *m;
    int rc = codec_unpack(&v3lockpb__lock_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3lockpb__LockRequest *p = m;
    *ret = (struct lock_req){.name = bytes_of_pb(p->name), .lease = p->lease};
    return 0;
}

void encode_lock_req(const struct lock_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->name);
    pbw_int(out, 2, r->lease);
}

void encode_lock_resp(const struct response_header *h, const struct lock_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_bytes(out, 2, r->key);
}

int decode_lock_resp(bytes in, struct arena *a, struct response_header *h, struct lock_resp *ret)
{
    void *m;
    int rc = codec_unpack(&v3lockpb__lock_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3lockpb__LockResponse *p = m;
    *ret = (struct lock_resp){.key = bytes_of_pb(p->key)};
    decode_header(p->header, h, &ret->revision);
    return 0;
}

int decode_unlock_req(bytes in, struct arena *a, bytes *ret_key)
{
    void *m;
    int rc = codec_unpack(&v3lockpb__unlock_request__descriptor, in, a, &m);
    if (!rc)
        *ret_key = bytes_of_pb(((const V3lockpb__UnlockRequest *)m)->key);
    return rc;
}

void encode_unlock_req(bytes key, struct buf *out)
{
    pbw_bytes(out, 1, key);
}

void encode_header_resp(const struct response_header *h, tn_rev revision, struct buf *out)
{
    encode_header(out, h, revision);
}

int decode_header_resp(bytes in, struct arena *a, struct response_header *h)
{
    void *m;
    int rc = codec_unpack(&v3lockpb__unlock_response__descriptor, in, a, &m);
    if (!rc)
        decode_header(((const V3lockpb__UnlockResponse *)m)->header, h, NULL);
    return rc;
}

/* ---- Campaign ---- */

static void leader_key_of_pb(const V3electionpb__LeaderKey *p, struct leader_key *ret)
{
    *ret =
        (struct leader_key){.name = bytes_of_pb(p->name), .key = bytes_of_pb(p->key), .rev = p->rev, .lease = p->lease};
}

static void encode_leader_key(struct buf *out, unsigned field, const struct leader_key *k)
{
    struct pbw_mark m = pbw_begin(out, field, k->name.len + k->key.len + 16);
    pbw_bytes(out, 1, k->name);
    pbw_bytes(out, 2, k->key);
    pbw_int(out, 3, k->rev);
    pbw_int(out, 4, k->lease);
    pbw_end(out, m);
}

int decode_campaign_req(bytes in, struct arena *a, struct campaign_req *ret)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__campaign_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3electionpb__CampaignRequest *p = m;
    *ret = (struct campaign_req){.name = bytes_of_pb(p->name), .lease = p->lease, .value = bytes_of_pb(p->value)};
    return 0;
}

void encode_campaign_req(const struct campaign_req *r, struct buf *out)
{
    pbw_bytes(out, 1, r->name);
    pbw_int(out, 2, r->lease);
    pbw_bytes(out, 3, r->value);
}

void encode_campaign_resp(const struct response_header *h, const struct campaign_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    encode_leader_key(out, 2, &r->leader);
}

int decode_campaign_resp(bytes in, struct arena *a, struct response_header *h, struct campaign_resp *ret)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__campaign_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3electionpb__CampaignResponse *p = m;
    *ret = (struct campaign_resp){0};
    if (p->leader)
        leader_key_of_pb(p->leader, &ret->leader);
    decode_header(p->header, h, &ret->revision);
    return 0;
}

/* ---- Proclaim, Resign ---- */

int decode_proclaim_req(bytes in, struct arena *a, struct proclaim_req *ret)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__proclaim_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3electionpb__ProclaimRequest *p = m;
    *ret = (struct proclaim_req){.has_leader = p->leader != NULL, .value = bytes_of_pb(p->value)};
    if (p->leader)
        leader_key_of_pb(p->leader, &ret->leader);
    return 0;
}

void encode_proclaim_req(const struct proclaim_req *r, struct buf *out)
{
    if (r->has_leader)
        encode_leader_key(out, 1, &r->leader);
    pbw_bytes(out, 2, r->value);
}

int decode_resign_req(bytes in, struct arena *a, struct resign_req *ret)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__resign_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3electionpb__ResignRequest *p = m;
    *ret = (struct resign_req){.has_leader = p->leader != NULL};
    if (p->leader)
        leader_key_of_pb(p->leader, &ret->leader);
    return 0;
}

void encode_resign_req(const struct resign_req *r, struct buf *out)
{
    if (r->has_leader)
        encode_leader_key(out, 1, &r->leader);
}

/* ---- Leader, Observe ---- */

int decode_leader_req(bytes in, struct arena *a, bytes *ret_name)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__leader_request__descriptor, in, a, &m);
    if (!rc)
        *ret_name = bytes_of_pb(((const V3electionpb__LeaderRequest *)m)->name);
    return rc;
}

void encode_leader_req(bytes name, struct buf *out)
{
    pbw_bytes(out, 1, name);
}

void encode_leader_resp(const struct response_header *h, const struct leader_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    encode_kv(out, 2, &r->kv);
}

int decode_leader_resp(bytes in, struct arena *a, struct response_header *h, struct leader_resp *ret)
{
    void *m;
    int rc = codec_unpack(&v3electionpb__leader_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const V3electionpb__LeaderResponse *p = m;
    decode_header(p->header, h, &ret->revision);
    decode_kv(p->kv, &ret->kv);
    return 0;
}
