/* The gate: a reply leaves only when the newest sequence that it has seen is durable.
 *
 * The list is ordered by sequence. Nearly always a new entry belongs at its end, because what a command sees only grows; an
 * undone tail takes its entries with it, so that the order holds after that as well.
 */
#include <stdlib.h>

#include "core/call.h"
#include "core/waiter.h"
#include "core/watching.h"

/* What an entry costs beside its bytes; the bound on memory counts it. */
#define ENTRY_BYTES 128

void gate_init(struct gate *g)
{
    list_init(&g->held);
    g->bytes = 0;
}

bool gate_is_full(const struct core *c)
{
    return c->gate.bytes >= c->config.waiting_bytes_max;
}

static tn_seq durable(const struct core *c)
{
    return c->config.broken_skip_gate ? INT64_MAX : store_seq(c->store);
}

/* Replies of one call leave in order, so one that waits holds up those behind it. */
bool gate_passes(const struct core *c, const struct core_call *call, tn_seq seq)
{
    return seq <= durable(c) && list_empty(&call->held);
}

static int copy_message(struct core *c, struct held *h)
{
    bytes message = buf_bytes(&c->out);
    uint8_t *to = h->small;
    if (message.len > HELD_SMALL) {
        h->large = malloc(message.len);
        if (!h->large)
            return TENURE_ENOMEM;
        to = h->large;
    }
    if (message.len)
        memcpy(to, message.data, message.len);
    h->len = message.len;
    return 0;
}

static void insert(struct gate *g, struct held *h)
{
    struct list *after = g->held.prev;
    while (after != &g->held && LIST_ENTRY(after, struct held, link)->seq > h->seq)
        after = after->prev;
    list_push_front(after, &h->link);
}

static tn_seq last_of_call(const struct core_call *call, tn_seq seq)
{
    if (list_empty(&call->held))
        return seq;
    tn_seq last = LIST_ENTRY(call->held.prev, struct held, in_call)->seq;
    return last > seq ? last : seq;
}

int gate_hold(struct core_call *call, struct held *h, enum held_kind kind, tn_seq seq)
{
    struct core *c = call->core;
    h->call = call;
    h->kind = kind;
    h->seq = last_of_call(call, seq);
    if (kind != HELD_ERROR && copy_message(c, h) < 0)
        return TENURE_ENOMEM;
    insert(&c->gate, h);
    list_push_back(&call->held, &h->in_call);
    c->gate.bytes += h->len + ENTRY_BYTES;
    return 0;
}

void gate_drop(struct held *h)
{
    struct core_call *call = h->call;
    list_remove(&h->link);
    list_remove(&h->in_call);
    call->core->gate.bytes -= h->len + ENTRY_BYTES;
    free(h->large);
    h->large = NULL;
    h->len = 0;
    if (h != &call->reply)
        free(h);
}

void gate_drop_all(struct core_call *call)
{
    while (!list_empty(&call->held))
        gate_drop(LIST_ENTRY(call->held.next, struct held, in_call));
}

static bytes message_of(const struct held *h)
{
    return bytes_of(h->large ? h->large : h->small, h->len);
}

/* Sends it and is done with it. */
void gate_deliver(struct held *h)
{
    struct core_call *call = h->call;
    enum held_kind kind = h->kind;
    if (kind == HELD_ERROR) {
        call_fail(call, h->error);
        return;
    }
    if (kind == HELD_ENTER) {
        gate_drop(h);
        waiter_entered(call);
        return;
    }
    int rc = h2_send_message(call->stream, message_of(h));
    call->counts->sent++;
    conn_touch(call->conn);
    gate_drop(h);
    if (rc < 0)
        call_reset(call);
    else if (kind == HELD_REPLY)
        call_finish(call, GRPC_OK, "");
    else
        lease_stream_settle(call);
}

void gate_open(struct core *c, tn_ms now)
{
    (void)now;
    tn_seq upto = durable(c);
    while (!list_empty(&c->gate.held)) {
        struct held *h = LIST_ENTRY(c->gate.held.next, struct held, link);
        if (h->seq > upto)
            return;
        if (h->physical && !compaction_is_done(c)) {
            list_remove(&h->link);
            list_push_back(&c->compaction.physical, &h->link);
        } else {
            gate_deliver(h);
        }
    }
}

/* ---- what was undone ---- */

static void undo_reply(struct core *c, struct held *h, enum etcd_error e)
{
    if (h->lease && c->config.lease_forget)
        c->config.lease_forget(c->config.user, h->lease);
    call_fail(h->call, e);
}

static void renew_again(struct held *h, tn_ms now)
{
    struct core_call *call = h->call;
    tn_lease lease = h->lease;
    gate_drop(h);
    if (!call->ended)
        lease_renew(call, lease, now);
}

/* Renewals are asked again: a full disk must not end the streams of all sessions. They come last, when nothing that was
 * undone is left in the gate to hold them up. */
void gate_undo(struct core *c, enum etcd_error (*error)(const struct core *c, tn_seq seq), tn_ms now)
{
    struct list tail, again;
    list_init(&tail);
    list_init(&again);
    list_splice_back(&tail, &c->gate.held);
    while (!list_empty(&tail)) {
        struct held *h = LIST_ENTRY(tail.next, struct held, link);
        if (h->kind != HELD_KEEPALIVE) {
            undo_reply(c, h, error(c, h->seq));
            continue;
        }
        list_remove(&h->in_call);
        list_remove(&h->link);
        list_push_back(&again, &h->link);
    }
    while (!list_empty(&again))
        renew_again(LIST_ENTRY(again.next, struct held, link), now);
}
