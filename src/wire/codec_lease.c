/* Lease: grant, revoke, keepalive, time to live, list. */
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- requests ---- */

int decode_lease_grant_req(bytes in, struct arena *a, struct lease_grant_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_grant_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseGrantRequest *p = m;
    *ret = (struct lease_grant_req){.ttl_s = p->ttl, .id = p->id};
    return 0;
}

int decode_lease_revoke_req(bytes in, struct arena *a, struct lease_revoke_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_revoke_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseRevokeRequest *p = m;
    *ret = (struct lease_revoke_req){.id = p->id};
    return 0;
}

int decode_lease_keepalive_req(bytes in, struct arena *a, struct lease_keepalive_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_keep_alive_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseKeepAliveRequest *p = m;
    *ret = (struct lease_keepalive_req){.id = p->id};
    return 0;
}

int decode_lease_ttl_req(bytes in, struct arena *a, struct lease_ttl_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_time_to_live_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseTimeToLiveRequest *p = m;
    *ret = (struct lease_ttl_req){.id = p->id, .keys = p->keys};
    return 0;
}

int decode_lease_list_req(bytes in, struct arena *a)
{
    void *m;
    return codec_unpack(&etcdserverpb__lease_leases_request__descriptor, in, a, &m);
}

void encode_lease_grant_req(const struct lease_grant_req *r, struct buf *out)
{
    pbw_int(out, 1, r->ttl_s);
    pbw_int(out, 2, r->id);
}

void encode_lease_revoke_req(const struct lease_revoke_req *r, struct buf *out)
{
    pbw_int(out, 1, r->id);
}

void encode_lease_keepalive_req(const struct lease_keepalive_req *r, struct buf *out)
{
    pbw_int(out, 1, r->id);
}

void encode_lease_ttl_req(const struct lease_ttl_req *r, struct buf *out)
{
    pbw_int(out, 1, r->id);
    pbw_bool(out, 2, r->keys);
}

/* An empty message is no bytes at all. */
void encode_lease_list_req(struct buf *out)
{
    (void)out;
}

/* ---- responses out ---- */

void encode_lease_grant_resp(const struct response_header *h, const struct lease_grant_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_int(out, 2, r->id);
    pbw_int(out, 3, r->ttl_s);
}

void encode_lease_revoke_resp(const struct response_header *h, const struct lease_revoke_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
}

void encode_lease_keepalive_resp(const struct response_header *h, const struct lease_keepalive_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_int(out, 2, r->id);
    pbw_int(out, 3, r->ttl_s);
}

void encode_lease_ttl_resp(const struct response_header *h, const struct lease_ttl_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    pbw_int(out, 2, r->id);
    pbw_int(out, 3, r->ttl_s);
    pbw_int(out, 4, r->granted_ttl_s);
    for (size_t i = 0; i < r->n_keys; i++)
        pbw_bytes_always(out, 5, r->keys[i]);
}

void encode_lease_list_resp(const struct response_header *h, const struct lease_list_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_ids; i++) {
        struct pbw_mark m = pbw_begin(out, 2, 0);
        pbw_int(out, 1, r->ids[i]);
        pbw_end(out, m);
    }
}

/* ---- responses in ---- */

int decode_lease_grant_resp(bytes in, struct arena *a, struct response_header *h, struct lease_grant_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_grant_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseGrantResponse *p = m;
    *ret = (struct lease_grant_resp){.id = p->id, .ttl_s = p->ttl};
    decode_header(p->header, h, &ret->revision);
    return 0;
}

int decode_lease_revoke_resp(bytes in, struct arena *a, struct response_header *h, struct lease_revoke_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_revoke_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseRevokeResponse *p = m;
    decode_header(p->header, h, &ret->revision);
    return 0;
}

int decode_lease_keepalive_resp(bytes in, struct arena *a, struct response_header *h, struct lease_keepalive_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_keep_alive_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseKeepAliveResponse *p = m;
    *ret = (struct lease_keepalive_resp){.id = p->id, .ttl_s = p->ttl};
    decode_header(p->header, h, &ret->revision);
    return 0;
}

int decode_lease_ttl_resp(bytes in, struct arena *a, struct response_header *h, struct lease_ttl_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_time_to_live_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseTimeToLiveResponse *p = m;
    bytes *keys = arena_array(a, p->n_keys, sizeof *keys);
    if (!keys)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_keys; i++)
        keys[i] = bytes_of_pb(p->keys[i]);
    *ret = (struct lease_ttl_resp){
        .id = p->id,
        .ttl_s = p->ttl,
        .granted_ttl_s = p->grantedttl,
        .keys = keys,
        .n_keys = p->n_keys,
    };
    decode_header(p->header, h, &ret->revision);
    return 0;
}

int decode_lease_list_resp(bytes in, struct arena *a, struct response_header *h, struct lease_list_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__lease_leases_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__LeaseLeasesResponse *p = m;
    tn_lease *ids = arena_array(a, p->n_leases, sizeof *ids);
    if (!ids)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_leases; i++)
        ids[i] = p->leases[i]->id;
    *ret = (struct lease_list_resp){.ids = ids, .n_ids = p->n_leases};
    decode_header(p->header, h, &ret->revision);
    return 0;
}
