/* The KV service. Reads answer at the durable state at once; writes and what may write wait in the gate. */
#include "core/auth.h"

#define SERVICE "etcdserverpb.KV"

static void kv_range(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct range_req req;
    struct range_resp resp;
    (void)now;
    if (!call_decoded(call, decode_range_req(in, &c->arena, &req)) || !call_may_range(call, &req))
        return;
    enum etcd_error e = store_range(c->store, &req, &c->arena, &resp);
    if (e != ETCD_OK) {
        call_fail(call, e);
        return;
    }
    encode_range_resp(&c->header, &resp, &c->out);
    call_reply(call, 0);
}

/* One that is wrong in itself is told so, however large it is. */
static bool put_is_taken(struct core_call *call, const struct put_req *req, size_t request_bytes, tn_ms now)
{
    enum etcd_error e = call_is_too_large(call, request_bytes) ? store_check_put(req) : ETCD_OK;
    if (e == ETCD_OK)
        return call_may_write(call, request_bytes, WRITE_GROWS, now);
    call_fail(call, e);
    return false;
}

static void kv_put(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct put_req req;
    struct put_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_put_req(in, &c->arena, &req)) || !call_may_put(call, &req, in.len) ||
        !put_is_taken(call, &req, in.len, now))
        return;
    enum etcd_error e = store_put(c->store, &req, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_write(call, e, seq, now);
        return;
    }
    journal_planned(c, WRITE_GROWS);
    encode_put_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

static bool delete_is_taken(struct core_call *call, const struct delete_req *req, size_t request_bytes, tn_ms now)
{
    enum etcd_error e = call_is_too_large(call, request_bytes) ? store_check_delete(req) : ETCD_OK;
    if (e == ETCD_OK)
        return call_may_write(call, request_bytes, WRITE_FREES, now);
    call_fail(call, e);
    return false;
}

static void kv_delete(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct delete_req req;
    struct delete_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_delete_req(in, &c->arena, &req)) || !call_may_delete(call, &req, in.len) ||
        !delete_is_taken(call, &req, in.len, now))
        return;
    enum etcd_error e = store_delete(c->store, &req, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_FREES);
    encode_delete_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

/* One that cannot write is a read: neither its size nor the state of the disk matters. */
static bool txn_is_taken(struct core_call *call, const struct txn_req *req, size_t request_bytes, tn_ms now)
{
    struct core *c = call->core;
    if (!txn_may_write(req))
        return true;
    enum etcd_error e = call_is_too_large(call, request_bytes) ? store_check_txn(c->store, req, &c->arena) : ETCD_OK;
    if (e == ETCD_OK)
        return call_may_write(call, request_bytes, WRITE_GROWS, now);
    call_fail(call, e);
    return false;
}

static void kv_txn(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct txn_req req;
    struct txn_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_txn_req(in, &c->arena, &req)) || !call_may_txn(call, &req, in.len) ||
        !txn_is_taken(call, &req, in.len, now))
        return;
    enum etcd_error e = store_txn(c->store, &req, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_write(call, e, seq, now);
        return;
    }
    journal_planned(c, WRITE_GROWS);
    encode_txn_resp(&c->header, &resp, &c->out);
    call_reply(call, seq);
}

/* A physical one also waits until memory and log hold nothing superseded any more. */
static void reply_when_trimmed(struct core_call *call, tn_seq seq, tn_ms now)
{
    struct held *h = call_reply_held(call, seq);
    if (!h)
        return;
    h->physical = true;
    gate_open(call->core, now);
}

static void kv_compact(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct compact_req req;
    struct compact_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_compact_req(in, &c->arena, &req)) || !call_is_admin(call) ||
        !call_may_write(call, in.len, WRITE_FREES, now))
        return;
    enum etcd_error e = store_compact(c->store, &req, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_FREES);
    compaction_asked(c, req.revision);
    encode_compact_resp(&c->header, &resp, &c->out);
    if (req.physical)
        reply_when_trimmed(call, seq, now);
    else
        call_reply(call, seq);
}

const struct core_method kv_methods[] = {
    {.service = SERVICE, .name = "Range", .may_wait = true, .on_message = kv_range},
    {.service = SERVICE,
     .name = "RangeStream",
     .is_stream = true,
     .is_asked_once = true,
     .on_message = kv_range_stream},
    {.service = SERVICE, .name = "Put", .may_wait = true, .on_message = kv_put},
    {.service = SERVICE, .name = "Txn", .may_wait = true, .on_message = kv_txn},
    {.service = SERVICE, .name = "DeleteRange", .may_wait = true, .on_message = kv_delete},
    {.service = SERVICE, .name = "Compact", .may_wait = true, .on_message = kv_compact},
};
const size_t kv_methods_len = ARRAY_LEN(kv_methods);
