/* The network: connections as two pipes of segments with random delays; order within a pipe is kept. A cut holds what is
 * under way until it heals, as TCP would; a reset breaks the connection, and each side learns of it in its own time, or,
 * of a half-open one, late. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

enum { CONNECTS_MAX = 40 };

static tn_ms delay(struct world *w)
{
    return sim_chance(w, 2) ? sim_between(w, 100, 1500) : sim_between(w, 0, 4);
}

/* C4: a client that cannot connect does not try all the time. */
static void count_connect(struct world *w, struct actor *a)
{
    if (a->second != w->now / 1000) {
        a->second = w->now / 1000;
        a->connects = 0;
    }
    if (++a->connects > CONNECTS_MAX)
        world_fail(w, "C4: client %d connects more than %d times in a second", a->index, CONNECTS_MAX);
}

void net_connect(struct world *w, int client, uint32_t conn, size_t endpoint)
{
    struct link *l = sim_alloc(sizeof *l);
    count_connect(w, &w->actors[client]);
    *l = (struct link){.world = w,
                       .client = client,
                       .incarnation = w->actors[client].incarnation,
                       .conn = conn,
                       .endpoint = endpoint,
                       .client_open = true,
                       .client_end_at = TN_MS_NEVER,
                       .server_end_at = TN_MS_NEVER};
    l->connect_at = w->now + delay(w);
    for (int way = 0; way < 2; way++)
        if (l->connect_at < w->cut_until[client][endpoint][way])
            l->connect_at = w->cut_until[client][endpoint][way] + sim_between(w, 1, 300);
    list_push_back(&w->links, &l->all);
}

/* Cuts data into random segments, each with its time of arrival. */
void net_send(struct link *l, bool up, bytes data)
{
    struct world *w = l->world;
    struct pipe *p = up ? &l->up : &l->down;
    if (!l->client_open || !l->server_open || l->broken)
        return; /* into the void: the other side is gone */
    while (data.len) {
        size_t n = sim_chance(w, 10) ? 1 + rng_below(&w->rng, data.len) : data.len;
        struct segment *s = sim_alloc(sizeof *s + n);
        tn_ms at = w->now + delay(w);
        tn_ms cut = w->cut_until[l->client][l->endpoint][!up];
        if (at < cut)
            at = cut + delay(w);
        s->at = at < p->last_at ? p->last_at : at;
        s->len = n;
        memcpy(s->data, data.data, n);
        p->last_at = s->at;
        if (p->last)
            p->last->next = s;
        else
            p->first = s;
        p->last = s;
        data = bytes_of(data.data + n, data.len - n);
    }
}

struct link *net_find(struct world *w, int client, uint32_t conn)
{
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->client == client && l->conn == conn && l->incarnation == w->actors[client].incarnation && l->client_open)
            return l;
    }
    return NULL;
}

static void pipe_clear(struct pipe *p)
{
    while (p->first) {
        struct segment *s = p->first;
        p->first = s->next;
        free(s);
    }
    p->last = NULL;
}

void net_client_closed(struct link *l)
{
    l->client_open = false;
    pipe_clear(&l->down);
    if (l->server_open && l->server_end_at == TN_MS_NEVER) {
        tn_ms at = l->world->now + delay(l->world);
        l->server_end_at = at > l->up.last_at ? at : l->up.last_at; /* behind what was sent */
    }
}

void net_server_closed(struct link *l)
{
    l->server_open = false;
    l->core = NULL;
    pipe_clear(&l->up);
    if (l->client_open && l->client_end_at == TN_MS_NEVER) {
        tn_ms at = l->world->now + delay(l->world);
        l->client_end_at = at > l->down.last_at ? at : l->down.last_at;
    }
}

static void move_behind(struct pipe *p, tn_ms until)
{
    for (struct segment *s = p->first; s; s = s->next)
        if (s->at < until)
            s->at = until;
    if (p->first && p->last_at < until)
        p->last_at = until;
}

void net_cut(struct world *w, int client, size_t endpoint, tn_ms up_until, tn_ms down_until)
{
    tn_ms *cut = w->cut_until[client][endpoint];
    cut[0] = cut[0] < up_until ? up_until : cut[0];
    cut[1] = cut[1] < down_until ? down_until : cut[1];
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->client != client || l->endpoint != endpoint)
            continue;
        move_behind(&l->up, up_until);
        move_behind(&l->down, down_until);
        if (l->state == LINK_CONNECTING && l->connect_at < up_until)
            l->connect_at = up_until;
    }
}

void net_reset(struct world *w, int client)
{
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if ((client >= 0 && l->client != client) || l->state != LINK_UP)
            continue;
        l->broken = true;
        pipe_clear(&l->up);
        pipe_clear(&l->down);
        tn_ms far = sim_chance(w, 20) ? 8000 : 50; /* now and then one side hears nothing for long */
        if (l->client_open && l->client_end_at == TN_MS_NEVER)
            l->client_end_at = w->now + sim_between(w, 0, far);
        if (l->server_open && l->server_end_at == TN_MS_NEVER)
            l->server_end_at = w->now + sim_between(w, 0, far);
    }
}

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms net_next(struct world *w)
{
    tn_ms at = TN_MS_NEVER;
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        struct actor *a = &w->actors[l->client];
        tn_ms client = TN_MS_NEVER, server = TN_MS_NEVER;
        if (l->state == LINK_CONNECTING)
            client = l->connect_at;
        if (l->client_open)
            client = earlier(client, earlier(l->client_end_at, l->down.first ? l->down.first->at : TN_MS_NEVER));
        if (l->server_open)
            server = earlier(l->server_end_at, l->up.first ? l->up.first->at : TN_MS_NEVER);
        /* A stopped process reads nothing. */
        if (client < a->paused_until)
            client = a->paused_until;
        if (server < w->server.paused_until)
            server = w->server.paused_until;
        at = earlier(at, earlier(client, server));
    }
    return at;
}

static void deliver_connect(struct world *w, struct link *l)
{
    struct actor *a = &w->actors[l->client];
    if (!l->client_open || l->incarnation != a->incarnation) {
        l->client_open = false;
        return;
    }
    if (!w->server.up || w->server.paused_until > w->now || !(l->core = server_accept(l))) {
        l->client_open = false;
        client_connect_failed(a->client, l->conn, "connection refused", w->now);
        return;
    }
    l->state = LINK_UP;
    l->server_open = true;
    client_connected(a->client, l->conn, w->now);
}

static struct segment *due(struct pipe *p, tn_ms now)
{
    struct segment *s = p->first;
    if (!s || s->at > now)
        return NULL;
    p->first = s->next;
    if (!p->first)
        p->last = NULL;
    return s;
}

static void deliver_up(struct world *w, struct link *l)
{
    struct segment *s;
    while (l->server_open && (s = due(&l->up, w->now))) {
        core_feed(l->core, bytes_of(s->data, s->len), w->now);
        free(s);
    }
    if (l->server_open && l->server_end_at <= w->now) {
        core_remove(l->core);
        net_server_closed(l);
    }
}

static void deliver_down(struct world *w, struct link *l)
{
    struct actor *a = &w->actors[l->client];
    struct segment *s;
    while (l->client_open && (s = due(&l->down, w->now))) {
        client_feed(a->client, l->conn, bytes_of(s->data, s->len), w->now);
        free(s);
    }
    if (l->client_open && l->client_end_at <= w->now) {
        l->client_open = false;
        pipe_clear(&l->down);
        client_disconnected(a->client, l->conn, "connection reset", w->now);
        if (l->server_open && l->server_end_at == TN_MS_NEVER)
            l->server_end_at = w->now + delay(w);
    }
}

void net_deliver(struct world *w)
{
    LIST_FOREACH_SAFE(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        bool client_runs = w->actors[l->client].paused_until <= w->now;
        if (l->state == LINK_CONNECTING && l->connect_at <= w->now && client_runs)
            deliver_connect(w, l);
        if (w->server.up && w->server.paused_until <= w->now)
            deliver_up(w, l);
        if (client_runs)
            deliver_down(w, l);
        if (!l->client_open && !l->server_open) {
            pipe_clear(&l->up);
            pipe_clear(&l->down);
            list_remove(&l->all);
            free(l);
        }
    }
}

void net_free(struct world *w)
{
    LIST_FOREACH_SAFE(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        pipe_clear(&l->up);
        pipe_clear(&l->down);
        list_remove(&l->all);
        free(l);
    }
}
