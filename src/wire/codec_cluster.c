/* Cluster, Maintenance.Status and the health protocol. */
#include "health.pb-c.h"
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- MemberList ---- */

int decode_member_list_req(bytes in, struct arena *a, bool *ret_linearizable)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__member_list_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__MemberListRequest *p = m;
    *ret_linearizable = p->linearizable;
    return 0;
}

void encode_member_list_req(bool linearizable, struct buf *out)
{
    pbw_bool(out, 1, linearizable);
}

static void encode_urls(struct buf *out, unsigned field, const bytes *urls, size_t n)
{
    for (size_t i = 0; i < n; i++)
        pbw_bytes_always(out, field, urls[i]);
}

static void encode_member(struct buf *out, unsigned field, const struct member *member)
{
    struct pbw_mark m = pbw_begin(out, field, 64);
    pbw_uint(out, 1, member->id);
    pbw_bytes(out, 2, member->name);
    encode_urls(out, 3, member->peer_urls, member->n_peer_urls);
    encode_urls(out, 4, member->client_urls, member->n_client_urls);
    pbw_bool(out, 5, member->is_learner);
    pbw_end(out, m);
}

void encode_member_list_resp(const struct response_header *h, const struct member_list_resp *r, struct buf *out)
{
    encode_header(out, h, r->revision);
    for (size_t i = 0; i < r->n_members; i++)
        encode_member(out, 2, &r->members[i]);
}

static int member_of_pb(const Etcdserverpb__Member *p, struct arena *a, struct member *ret)
{
    *ret = (struct member){
        .id = p->id,
        .name = bytes_str(p->name),
        .n_peer_urls = p->n_peerurls,
        .n_client_urls = p->n_clienturls,
        .is_learner = p->islearner,
    };
    int rc = codec_strings(p->peerurls, p->n_peerurls, a, &ret->peer_urls);
    return rc ? rc : codec_strings(p->clienturls, p->n_clienturls, a, &ret->client_urls);
}

static int members_of_pb(Etcdserverpb__Member *const *ps, size_t n, struct arena *a, struct member **ret)
{
    struct member *members = arena_array(a, n, sizeof *members);
    int rc = members ? 0 : TENURE_ENOMEM;
    for (size_t i = 0; i < n && !rc; i++)
        rc = member_of_pb(ps[i], a, &members[i]);
    if (!rc)
        *ret = members;
    return rc;
}

int decode_member_list_resp(bytes in, struct arena *a, struct response_header *h, struct member_list_resp *ret)
{
    void *m;
    struct member *members;
    int rc = codec_unpack(&etcdserverpb__member_list_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__MemberListResponse *p = m;
    rc = members_of_pb(p->members, p->n_members, a, &members);
    if (rc)
        return rc;
    *ret = (struct member_list_resp){.members = members, .n_members = p->n_members};
    decode_header(p->header, h, &ret->revision);
    return 0;
}

/* ---- changes of members ---- */

int decode_member_add_req(bytes in, struct arena *a, struct member_add_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__member_add_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__MemberAddRequest *p = m;
    *ret = (struct member_add_req){.n_peer_urls = p->n_peerurls, .is_learner = p->islearner};
    return codec_strings(p->peerurls, p->n_peerurls, a, &ret->peer_urls);
}

int decode_member_update_req(bytes in, struct arena *a, struct member_update_req *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__member_update_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__MemberUpdateRequest *p = m;
    *ret = (struct member_update_req){.id = p->id, .n_peer_urls = p->n_peerurls};
    return codec_strings(p->peerurls, p->n_peerurls, a, &ret->peer_urls);
}

int decode_member_remove_req(bytes in, struct arena *a, uint64_t *ret_id)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__member_remove_request__descriptor, in, a, &m);
    if (!rc)
        *ret_id = ((const Etcdserverpb__MemberRemoveRequest *)m)->id;
    return rc;
}

int decode_member_promote_req(bytes in, struct arena *a, uint64_t *ret_id)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__member_promote_request__descriptor, in, a, &m);
    if (!rc)
        *ret_id = ((const Etcdserverpb__MemberPromoteRequest *)m)->id;
    return rc;
}

void encode_member_add_req(const struct member_add_req *r, struct buf *out)
{
    encode_urls(out, 1, r->peer_urls, r->n_peer_urls);
    pbw_bool(out, 2, r->is_learner);
}

void encode_member_update_req(const struct member_update_req *r, struct buf *out)
{
    pbw_uint(out, 1, r->id);
    encode_urls(out, 2, r->peer_urls, r->n_peer_urls);
}

int decode_member_add_resp(bytes in, struct arena *a, struct response_header *h, struct member_add_resp *ret)
{
    void *m;
    struct member_add_resp resp = {0};
    int rc = codec_unpack(&etcdserverpb__member_add_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__MemberAddResponse *p = m;
    rc = members_of_pb(p->members, p->n_members, a, &resp.members);
    if (!rc && p->member)
        rc = member_of_pb(p->member, a, &resp.member);
    if (rc)
        return rc;
    *ret = resp;
    ret->n_members = p->n_members;
    decode_header(p->header, h, &ret->revision);
    return 0;
}

void encode_member_id_req(uint64_t id, struct buf *out)
{
    pbw_uint(out, 1, id);
}

/* ---- Status ---- */

int decode_status_req(bytes in, struct arena *a)
{
    void *m;
    return codec_unpack(&etcdserverpb__status_request__descriptor, in, a, &m);
}

void encode_status_req(struct buf *out)
{
    (void)out; /* an empty message is no bytes at all */
}

void encode_status_resp(const struct status_resp *r, struct buf *out)
{
    encode_header(out, &r->header, r->header.revision);
    pbw_bytes(out, 2, r->version);
    pbw_int(out, 3, r->db_size);
    pbw_uint(out, 4, r->leader);
    pbw_uint(out, 5, r->raft_index);
    pbw_uint(out, 6, r->raft_term);
    pbw_uint(out, 7, r->raft_applied_index);
    for (size_t i = 0; i < r->n_errors; i++)
        pbw_bytes_always(out, 8, r->errors[i]);
    pbw_int(out, 9, r->db_size_in_use);
    pbw_bool(out, 10, r->is_learner);
    pbw_bytes(out, 11, r->storage_version);
    pbw_int(out, 12, r->db_size_quota);
    if (r->has_downgrade)
        pbw_end(out, pbw_begin(out, 13, 0));
}

int decode_status_resp(bytes in, struct arena *a, struct status_resp *ret)
{
    void *m;
    int rc = codec_unpack(&etcdserverpb__status_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Etcdserverpb__StatusResponse *p = m;
    bytes *errors;
    rc = codec_strings(p->errors, p->n_errors, a, &errors);
    if (rc)
        return rc;
    *ret = (struct status_resp){
        .version = bytes_str(p->version),
        .db_size = p->dbsize,
        .db_size_in_use = p->dbsizeinuse,
        .db_size_quota = p->dbsizequota,
        .leader = p->leader,
        .raft_index = p->raftindex,
        .raft_term = p->raftterm,
        .raft_applied_index = p->raftappliedindex,
        .errors = errors,
        .n_errors = p->n_errors,
        .is_learner = p->islearner,
        .storage_version = bytes_str(p->storageversion),
        .has_downgrade = p->downgradeinfo != NULL,
    };
    decode_header(p->header, &ret->header, NULL);
    return 0;
}

/* ---- health ---- */

int decode_health_req(bytes in, struct arena *a, bytes *ret_service)
{
    void *m;
    int rc = codec_unpack(&grpc__health__v1__health_check_request__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Grpc__Health__V1__HealthCheckRequest *p = m;
    *ret_service = bytes_str(p->service);
    return 0;
}

void encode_health_req(bytes service, struct buf *out)
{
    pbw_bytes(out, 1, service);
}

void encode_health_resp(enum health_status s, struct buf *out)
{
    pbw_int(out, 1, s);
}

int decode_health_resp(bytes in, struct arena *a, enum health_status *ret)
{
    void *m;
    int rc = codec_unpack(&grpc__health__v1__health_check_response__descriptor, in, a, &m);
    if (rc)
        return rc;
    const Grpc__Health__V1__HealthCheckResponse *p = m;
    *ret = (enum health_status)p->status;
    return 0;
}
