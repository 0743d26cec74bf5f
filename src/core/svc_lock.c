/* etcd's Lock service: the recipe of its Go package, run here. The key is NAME/LEASE with the lease in hex, its order in the
 * queue the create revision; so callers of this service, etcdctl lock and our own locks stand in one queue.
 *
 * As there: lease 0 makes one of 60 s that nobody keeps alive; the same lease asked twice is one place in the queue; Unlock
 * deletes whatever key it is given. Errors have code Unknown.
 */
#include "core/auth.h"
#include "core/waiter.h"

#define SERVICE "v3lockpb.Lock"

static void lock_encode(struct waiter *w, bool immediate)
{
    struct core *c = w->core;
    struct lock_resp resp = {.revision = immediate ? w->revision : store_revision(c->store), .key = waiter_key(w)};
    encode_lock_resp(&c->header, &resp, &c->out);
}

static const struct waiter_kind lock_kind = {.encode = lock_encode, .lost = "mutex: session is expired"};

static void lock_lock(struct core_call *call, bytes in, tn_ms now)
{
    struct lock_req req;
    if (call_decoded(call, decode_lock_req(in, &call->core->arena, &req)) &&
        call_may_write(call, in.len, WRITE_GROWS, now))
        waiter_start(call, &lock_kind, &(struct campaign_req){.name = req.name, .lease = req.lease}, now);
}

static void lock_unlock(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct delete_req req = {0};
    struct delete_resp resp;
    tn_seq seq = 0;
    if (!call_decoded(call, decode_unlock_req(in, &c->arena, &req.range.key)) ||
        !call_may_write(call, in.len, WRITE_FREES, now) || !call_may_delete(call, &req, in.len))
        return;
    enum etcd_error e = store_delete(c->store, &req, &c->arena, &resp, &seq);
    if (e != ETCD_OK) {
        call_fail_at(call, e, seq);
        return;
    }
    journal_planned(c, WRITE_FREES);
    encode_header_resp(&c->header, resp.revision, &c->out);
    call_reply(call, seq);
}

const struct core_method lock_methods[] = {
    {.service = SERVICE, .name = "Lock", .may_wait = true, .tells_text_alone = true, .on_message = lock_lock},
    {.service = SERVICE, .name = "Unlock", .may_wait = true, .tells_text_alone = true, .on_message = lock_unlock},
};
const size_t lock_methods_len = ARRAY_LEN(lock_methods);
