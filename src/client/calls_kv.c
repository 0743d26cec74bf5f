/* The calls on keys. A transaction counts as a write when either of its branches may write. */
#include "client/calls.h"

DECODE_INTO(range_answer, range_resp, range, decode_range_resp)
DECODE_INTO(put_answer, put_resp, put, decode_put_resp)
DECODE_INTO(delete_answer, delete_resp, del, decode_delete_resp)
DECODE_INTO(txn_answer, txn_resp, txn, decode_txn_resp)
DECODE_INTO(compact_answer, compact_resp, compact, decode_compact_resp)

static const struct call_kind range = {
    .path = "/etcdserverpb.KV/Range", .tells_revision = true, .decode = range_answer};
/* Serializable: at the member's own word, which it has without a leader too. */
static const struct call_kind range_there = {
    .path = "/etcdserverpb.KV/Range", .no_leader_needed = true, .tells_revision = true, .decode = range_answer};
static const struct call_kind put = {
    .path = "/etcdserverpb.KV/Put", .is_write = true, .tells_revision = true, .decode = put_answer};
static const struct call_kind del = {
    .path = "/etcdserverpb.KV/DeleteRange", .is_write = true, .tells_revision = true, .decode = delete_answer};
static const struct call_kind txn = {
    .path = "/etcdserverpb.KV/Txn", .is_write = true, .tells_revision = true, .decode = txn_answer};
static const struct call_kind compact = {
    .path = "/etcdserverpb.KV/Compact", .is_write = true, .decode = compact_answer};

CALL_FUNCTION(range, struct range_req, req->serializable ? &range_there : &range, encode_range_req)
CALL_FUNCTION(put, struct put_req, &put, encode_put_req)
CALL_FUNCTION(delete, struct delete_req, &del, encode_delete_req)
CALL_FUNCTION(compact, struct compact_req, &compact, encode_compact_req)

struct client_call *client_txn(struct client *c, const struct txn_req *req, const struct client_call_options *opt,
                               client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &txn, opt, cb, user, err);
    if (!call)
        return NULL;
    call->is_write = txn_may_write(req);
    encode_txn_req(req, &call->request);
    if (opt && opt->again)
        encode_txn_req(opt->again, &call->again);
    return call_submit(c, call, now, err);
}

static void range_chunk(const struct client_call *call, bytes message, struct arena *a)
{
    struct response_header h;
    struct range_resp chunk;
    int rc = decode_range_stream_resp(message, a, &h, &chunk);
    ((client_chunk_cb)call->on_piece)(call->user, rc, rc ? NULL : &chunk);
}

static const struct call_kind range_stream = {
    .path = "/etcdserverpb.KV/RangeStream", .pieces_join = true, .deliver_piece = range_chunk};

struct client_call *client_range_stream(struct client *c, const struct range_req *req,
                                        const struct client_call_options *opt, client_chunk_cb on_chunk,
                                        client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = client_call_new(c, &range_stream, opt, cb, user, err);
    if (!call)
        return NULL;
    call->on_piece = (void (*)(void))on_chunk;
    encode_range_req(req, &call->request);
    return call_submit(c, call, now, err);
}
