/* Connections as two pipes of segments: in order, each with its time. A peer that is cut off loses nothing: what is under way
 * waits, as TCP sends again, and so does a connection that is being made. A break tells both sides at once and loses what is
 * under way.
 *
 * Failure mode: no memory for a segment, or too much under way: the connection breaks. */
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "testkit/kit.h"

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

int net_connect(struct peer *p, uint32_t conn)
{
    struct link *l = calloc(1, sizeof *l);
    if (!l)
        return TENURE_ENOMEM;
    *l = (struct link){.kit = p->kit,
                       .peer = p,
                       .conn = conn,
                       .connect_at = p->kit->now + 2 * p->delay_ms, /* there and back */
                       .client_open = true,
                       .client_end_at = TN_MS_NEVER,
                       .server_end_at = TN_MS_NEVER};
    list_push_back(&p->kit->links, &l->all);
    return 0;
}

struct link *net_find(const struct peer *p, uint32_t conn)
{
    LIST_FOREACH(it, &p->kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->peer == p && l->conn == conn && l->client_open)
            return l;
    }
    return NULL;
}

/* ---- pipes ---- */

static void pipe_clear(struct pipe *p)
{
    while (p->first) {
        struct segment *s = p->first;
        p->first = s->next;
        free(s);
    }
    p->last = NULL;
    p->bytes = 0;
}

static struct segment *pipe_due(struct pipe *p, tn_ms now)
{
    struct segment *s = p->first;
    if (!s || s->at > now)
        return NULL;
    p->first = s->next;
    p->last = p->first ? p->last : NULL;
    p->bytes -= s->len;
    return s;
}

static bool pipe_add(struct pipe *p, bytes data, tn_ms at)
{
    struct segment *s = p->bytes + data.len <= KIT_PIPE_MAX ? malloc(sizeof *s + data.len) : NULL;
    if (!s)
        return false;
    s->next = NULL;
    s->at = p->last_at = at > p->last_at ? at : p->last_at;
    s->len = data.len;
    memcpy(s->data, data.data, data.len);
    if (p->last)
        p->last->next = s;
    else
        p->first = s;
    p->last = s;
    p->bytes += data.len;
    return true;
}

void net_send(struct link *l, bool up, bytes data)
{
    if (!l->client_open || !l->server_open || l->is_broken || data.len == 0)
        return; /* into the void: the other side is gone */
    KIT_TRACE(l->kit, "client %d %s %zu bytes (%08x)", l->peer->number, up ? "->" : "<-", data.len,
              crc32c(0, data.data, data.len));
    if (!pipe_add(up ? &l->up : &l->down, data, l->kit->now + l->peer->delay_ms))
        net_break(l);
}

/* ---- ends ---- */

void net_client_closed(struct link *l)
{
    l->client_open = false;
    pipe_clear(&l->down);
    if (l->server_open && l->server_end_at == TN_MS_NEVER) /* behind what was sent */
        l->server_end_at = l->up.first ? l->up.last_at : l->kit->now + l->peer->delay_ms;
}

void net_server_closed(struct link *l)
{
    l->server_open = false;
    l->core = NULL;
    pipe_clear(&l->up);
    if (l->client_open && l->client_end_at == TN_MS_NEVER)
        l->client_end_at = l->down.first ? l->down.last_at : l->kit->now + l->peer->delay_ms;
}

void net_break(struct link *l)
{
    l->is_broken = true;
    pipe_clear(&l->up);
    pipe_clear(&l->down);
    l->client_end_at = l->server_end_at = l->kit->now;
}

/* ---- what is due ---- */

tn_ms net_next_for_peer(const struct link *l)
{
    if (!l->client_open || !peer_runs(l->peer) || (l->peer->is_cut && !l->is_broken))
        return TN_MS_NEVER;
    tn_ms at = l->is_up ? TN_MS_NEVER : l->connect_at;
    return earlier(at, earlier(l->client_end_at, l->down.first ? l->down.first->at : TN_MS_NEVER));
}

tn_ms net_next_for_server(const struct link *l)
{
    if (!l->server_open || (l->peer->is_cut && !l->is_broken))
        return TN_MS_NEVER;
    bool reads = l->up.first && core_wants_input(l->core);
    return earlier(l->server_end_at, reads ? l->up.first->at : TN_MS_NEVER);
}

static void connect_now(struct link *l)
{
    tenure_testkit *kit = l->kit;
    if (kit->core && !l->is_broken && !l->peer->is_killed)
        l->core = core_accept(kit->core, "testkit", l, kit->now);
    l->is_up = true;
    l->server_open = l->core != NULL;
    kit_wake_server(kit); /* it greets */
    KIT_TRACE(kit, "client %d %s", l->peer->number, l->core ? "connects" : "is refused");
    if (!l->core)
        l->client_open = false;
    lib_kit_connected(l->peer->handle, l->conn, l->core ? NULL : "connection refused");
}

static bool deliver_to_peer(struct link *l)
{
    struct peer *p = l->peer;
    struct segment *s;
    if (net_next_for_peer(l) > l->kit->now)
        return false;
    if (!l->is_up)
        connect_now(l);
    while (l->client_open && p->handle && (s = pipe_due(&l->down, l->kit->now))) {
        lib_kit_read(p->handle, l->conn, bytes_of(s->data, s->len));
        free(s);
    }
    if (l->client_open && p->handle && !l->down.first && l->client_end_at <= l->kit->now) {
        net_client_closed(l);
        KIT_TRACE(l->kit, "client %d: the connection ends", p->number);
        lib_kit_ended(p->handle, l->conn, l->is_broken ? "connection reset" : "closed by the server");
    }
    return true;
}

bool net_deliver_to_peer(struct peer *p)
{
    bool any = false;
    LIST_FOREACH(it, &p->kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->peer == p && deliver_to_peer(l))
            any = true;
    }
    return any;
}

/* The next write of a peer that is to lose its reply: from here on the server speaks into the void. */
static void feed(struct link *l, const struct segment *s)
{
    tenure_testkit *kit = l->kit;
    tn_seq before = store_seq_planned(kit->store);
    core_feed(l->core, bytes_of(s->data, s->len), kit->now);
    if (!l->peer->loses_reply || store_seq_planned(kit->store) == before)
        return;
    l->peer->loses_reply = false;
    l->mute_seq = store_seq_planned(kit->store);
    KIT_TRACE(kit, "client %d will not get the answer", l->peer->number);
}

static void deliver_to_server(struct link *l)
{
    tenure_testkit *kit = l->kit;
    struct segment *s;
    if (net_next_for_server(l) > kit->now)
        return;
    while (core_wants_input(l->core) && (s = pipe_due(&l->up, kit->now))) {
        feed(l, s);
        free(s);
    }
    if (!l->up.first && l->server_end_at <= kit->now) {
        core_remove(l->core);
        net_server_closed(l);
    }
}

void net_deliver_to_server(tenure_testkit *kit)
{
    LIST_FOREACH(it, &kit->links)
    {
        deliver_to_server(LIST_ENTRY(it, struct link, all));
    }
}

void net_sweep(tenure_testkit *kit, bool all)
{
    LIST_FOREACH_SAFE(it, &kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (!all && (l->client_open || l->server_open))
            continue;
        pipe_clear(&l->up);
        pipe_clear(&l->down);
        list_remove(&l->all);
        free(l);
    }
}
