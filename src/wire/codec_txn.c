/* Transactions: the only messages that can hold themselves. Their depth is judged before they are unpacked, so that the
 * recursion here is bounded by CODEC_DEPTH_MAX. */
#include "tenure/error.h"
#include "wire/codec_internal.h"

/* ---- requests in ---- */

static int txn_req_of_pb(const Etcdserverpb__TxnRequest *p, struct arena *a, struct txn_req *ret);

/* The member of the union counts only when it is the one that target asks about; else the comparison is with 0. */
static void compare_of_pb(const Etcdserverpb__Compare *p, struct compare *ret)
{
    *ret = (struct compare){
        .result = (int32_t)p->result,
        .target = (int32_t)p->target,
        .range = {bytes_of_pb(p->key), bytes_of_pb(p->range_end)},
    };
    switch (p->target_union_case) {
    case ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION:
        ret->number = ret->target == COMPARE_VERSION ? p->version : 0;
        break;
    case ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION:
        ret->number = ret->target == COMPARE_CREATE ? p->create_revision : 0;
        break;
    case ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION:
        ret->number = ret->target == COMPARE_MOD ? p->mod_revision : 0;
        break;
    case ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE:
        ret->value = ret->target == COMPARE_VALUE ? bytes_of_pb(p->value) : ret->value;
        break;
    case ETCDSERVERPB__COMPARE__TARGET_UNION_LEASE:
        ret->number = ret->target == COMPARE_LEASE ? p->lease : 0;
        break;
    default:
        break;
    }
}

static int request_op_of_pb(const Etcdserverpb__RequestOp *p, struct arena *a, struct request_op *ret)
{
    switch (p->request_case) {
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE:
        ret->kind = OP_RANGE;
        range_req_of_pb(p->request_range, &ret->range);
        return 0;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT:
        ret->kind = OP_PUT;
        put_req_of_pb(p->request_put, &ret->put);
        return 0;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE:
        ret->kind = OP_DELETE;
        delete_req_of_pb(p->request_delete_range, &ret->del);
        return 0;
    case ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_TXN:
        ret->kind = OP_TXN;
        ret->txn = arena_alloc(a, sizeof *ret->txn);
        return ret->txn ? txn_req_of_pb(p->request_txn, a, ret->txn) : TENURE_ENOMEM;
    default:
        ret->kind = OP_NONE;
        return 0;
    }
}

static int request_ops_of_pb(Etcdserverpb__RequestOp *const *ps, size_t n, struct arena *a, struct request_op **ret)
{
    struct request_op *ops = arena_array(a, n, sizeof *ops);
    if (!ops)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        int rc = request_op_of_pb(ps[i], a, &ops[i]);
        if (rc)
            return rc;
    }
    *ret = ops;
    return 0;
}

static int txn_req_of_pb(const Etcdserverpb__TxnRequest *p, struct arena *a, struct txn_req *ret)
{
    *ret = (struct txn_req){.n_compares = p->n_compare, .n_success = p->n_success, .n_failure = p->n_failure};
    ret->compares = arena_array(a, p->n_compare, sizeof *ret->compares);
    if (!ret->compares)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_compare; i++)
        compare_of_pb(p->compare[i], &ret->compares[i]);
    int rc = request_ops_of_pb(p->success, p->n_success, a, &ret->success);
    return rc ? rc : request_ops_of_pb(p->failure, p->n_failure, a, &ret->failure);
}

int decode_txn_req(bytes in, struct arena *a, struct txn_req *ret)
{
    void *p;
    int rc = codec_unpack_nested(&etcdserverpb__txn_request__descriptor, in, a, &p);
    return rc ? rc : txn_req_of_pb(p, a, ret);
}

/* ---- requests out ---- */

/* A target that is none of ours goes out without a union: the other side compares with 0, as we would. */
static void encode_compare(struct buf *out, const struct compare *c)
{
    struct pbw_mark m = pbw_begin(out, 1, c->range.key.len + c->range.range_end.len + c->value.len + 16);
    pbw_int(out, 1, c->result);
    pbw_int(out, 2, c->target);
    pbw_bytes(out, 3, c->range.key);
    if (c->target == COMPARE_VALUE)
        pbw_bytes_always(out, 7, c->value);
    else if (c->target >= COMPARE_VERSION && c->target <= COMPARE_MOD)
        pbw_int_always(out, 4 + (unsigned)c->target, c->number);
    else if (c->target == COMPARE_LEASE)
        pbw_int_always(out, 8, c->number);
    pbw_bytes(out, 64, c->range.range_end);
    pbw_end(out, m);
}

static void encode_request_op(struct buf *out, unsigned field, const struct request_op *op)
{
    struct pbw_mark outer = pbw_begin(out, field, 64);
    if (op->kind != OP_NONE) {
        struct pbw_mark inner = pbw_begin(out, (unsigned)op->kind, 64);
        if (op->kind == OP_RANGE)
            encode_range_req_fields(out, &op->range);
        else if (op->kind == OP_PUT)
            encode_put_req_fields(out, &op->put);
        else if (op->kind == OP_DELETE)
            encode_delete_req_fields(out, &op->del);
        else
            encode_txn_req(op->txn, out);
        pbw_end(out, inner);
    }
    pbw_end(out, outer);
}

void encode_txn_req(const struct txn_req *r, struct buf *out)
{
    for (size_t i = 0; i < r->n_compares; i++)
        encode_compare(out, &r->compares[i]);
    for (size_t i = 0; i < r->n_success; i++)
        encode_request_op(out, 2, &r->success[i]);
    for (size_t i = 0; i < r->n_failure; i++)
        encode_request_op(out, 3, &r->failure[i]);
}

/* ---- responses out ---- */

static void encode_txn_resp_fields(struct buf *out, const struct response_header *h, tn_rev revision,
                                   const struct txn_resp *r);

/* Inside a transaction a header holds the revision alone, and a nested transaction's holds nothing. */
static void encode_response_op(struct buf *out, const struct response_op *op)
{
    static const struct response_header no_ids;
    struct pbw_mark outer = pbw_begin(out, 3, 64);
    if (op->kind != OP_NONE) {
        struct pbw_mark inner = pbw_begin(out, (unsigned)op->kind, 64);
        if (op->kind == OP_RANGE)
            encode_range_resp_fields(out, &no_ids, &op->range);
        else if (op->kind == OP_PUT)
            encode_put_resp_fields(out, &no_ids, &op->put);
        else if (op->kind == OP_DELETE)
            encode_delete_resp_fields(out, &no_ids, &op->del);
        else
            encode_txn_resp_fields(out, &no_ids, 0, op->txn);
        pbw_end(out, inner);
    }
    pbw_end(out, outer);
}

static void encode_txn_resp_fields(struct buf *out, const struct response_header *h, tn_rev revision,
                                   const struct txn_resp *r)
{
    encode_header(out, h, revision);
    pbw_bool(out, 2, r->succeeded);
    for (size_t i = 0; i < r->n_responses; i++)
        encode_response_op(out, &r->responses[i]);
}

void encode_txn_resp(const struct response_header *h, const struct txn_resp *r, struct buf *out)
{
    encode_txn_resp_fields(out, h, r->revision, r);
}

/* ---- responses in ---- */

static int txn_resp_of_pb(const Etcdserverpb__TxnResponse *p, struct arena *a, struct response_header *h,
                          struct txn_resp *ret);

static int response_op_of_pb(const Etcdserverpb__ResponseOp *p, struct arena *a, struct response_op *ret)
{
    switch (p->response_case) {
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE:
        ret->kind = OP_RANGE;
        return range_resp_of_pb(p->response_range, a, NULL, &ret->range);
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_PUT:
        ret->kind = OP_PUT;
        put_resp_of_pb(p->response_put, NULL, &ret->put);
        return 0;
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE:
        ret->kind = OP_DELETE;
        return delete_resp_of_pb(p->response_delete_range, a, NULL, &ret->del);
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_TXN:
        ret->kind = OP_TXN;
        ret->txn = arena_alloc(a, sizeof *ret->txn);
        return ret->txn ? txn_resp_of_pb(p->response_txn, a, NULL, ret->txn) : TENURE_ENOMEM;
    default:
        ret->kind = OP_NONE;
        return 0;
    }
}

static int txn_resp_of_pb(const Etcdserverpb__TxnResponse *p, struct arena *a, struct response_header *h,
                          struct txn_resp *ret)
{
    *ret = (struct txn_resp){.succeeded = p->succeeded, .n_responses = p->n_responses};
    decode_header(p->header, h, &ret->revision);
    ret->responses = arena_array(a, p->n_responses, sizeof *ret->responses);
    if (!ret->responses)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < p->n_responses; i++) {
        int rc = response_op_of_pb(p->responses[i], a, &ret->responses[i]);
        if (rc)
            return rc;
    }
    return 0;
}

int decode_txn_resp(bytes in, struct arena *a, struct response_header *h, struct txn_resp *ret)
{
    void *p;
    int rc = codec_unpack_nested(&etcdserverpb__txn_response__descriptor, in, a, &p);
    return rc ? rc : txn_resp_of_pb(p, a, h, ret);
}
