/* What stands below a handle: the functions of lib/kit.h. A peer that is stopped gets no turn and no bytes while time goes on;
 * what is sent to it waits, as in a socket. */
#include <stdlib.h>

#include "testkit/kit.h"

struct peer *peer_find(const tenure_testkit *kit, const tenure_client *c)
{
    LIST_FOREACH(it, (struct list *)&kit->peers)
    {
        struct peer *p = LIST_ENTRY(it, struct peer, all);
        if (p->handle == c)
            return p;
    }
    return NULL;
}

bool peer_runs(const struct peer *p)
{
    return p->handle && (p->is_closing || (!p->is_stopped && !p->is_killed));
}

tn_ms peer_next(const struct peer *p)
{
    if (!peer_runs(p))
        return TN_MS_NEVER;
    return p->wants_turn ? p->kit->now : p->timer_at;
}

void peer_run(struct peer *p)
{
    if (!peer_runs(p))
        return;
    bool any = net_deliver_to_peer(p);
    if (!any && peer_next(p) > p->kit->now)
        return;
    p->wants_turn = false;
    p->timer_at = TN_MS_NEVER; /* the turn sets it again */
    lib_kit_turn(p->handle);
}

/* ---- for the handle ---- */

static tn_ms peer_clock(void *user)
{
    return ((struct peer *)user)->kit->now;
}

static int64_t peer_wall_ms(void *user)
{
    const struct peer *p = user;
    return p->kit->now + p->kit->wall_offset;
}

static uint64_t peer_random(void *user)
{
    return rng_u64(&((struct peer *)user)->kit->rng);
}

static void peer_wants_turn(void *user)
{
    ((struct peer *)user)->wants_turn = true;
}

static void peer_wants_timer(void *user, tn_ms at)
{
    ((struct peer *)user)->timer_at = at;
}

static int peer_connect(void *user, uint32_t conn, struct tenure_error *err)
{
    int rc = net_connect(user, conn);
    return rc < 0 ? error_set(err, rc, "out of memory") : 0;
}

static void peer_write(void *user, uint32_t conn, bytes data)
{
    struct link *l = net_find(user, conn);
    if (l)
        net_send(l, /* up= */ true, data);
}

static void peer_close(void *user, uint32_t conn)
{
    struct link *l = net_find(user, conn);
    if (l)
        net_client_closed(l);
}

static int peer_may_wait(void *user, const char *what, struct tenure_error *err)
{
    const struct peer *p = user;
    if (p->kit->in_step)
        return error_set(err, TENURE_EINVALID, "%s: a callback must not wait", what);
    if (!peer_runs(p))
        return error_set(err, TENURE_EINVALID, "%s: the test kit has stopped this client", what);
    return 0;
}

static bool peer_wait(void *user, tn_ms until, bool begins)
{
    tenure_testkit *kit = ((struct peer *)user)->kit;
    if (begins)
        kit->wait_until = kit->now + kit->patience_ms;
    return kit_step(kit, until < kit->wait_until ? until : kit->wait_until);
}

static bool peer_closing(void *user)
{
    struct peer *p = user;
    p->is_closing = true;
    p->wants_turn = true;
    return !p->is_killed;
}

static void peer_gone(void *user)
{
    struct peer *p = user;
    if (p->handle)
        KIT_TRACE(p->kit, "client %d is closed", p->number);
    p->handle = NULL;
}

static const struct lib_kit below = {
    .clock = peer_clock,
    .wall_ms = peer_wall_ms,
    .random = peer_random,
    .wants_turn = peer_wants_turn,
    .wants_timer = peer_wants_timer,
    .connect = peer_connect,
    .write = peer_write,
    .close = peer_close,
    .may_wait = peer_may_wait,
    .wait = peer_wait,
    .closing = peer_closing,
    .gone = peer_gone,
};

tenure_client *tenure_testkit_client(tenure_testkit *kit, const struct tenure_options *options,
                                     struct tenure_error *err)
{
    struct peer *p = kit ? calloc(1, sizeof *p) : NULL;
    if (!p) {
        error_set(err, kit ? TENURE_ENOMEM : TENURE_EINVALID, kit ? "out of memory" : "the test kit is NULL");
        return NULL;
    }
    p->kit = kit;
    p->timer_at = TN_MS_NEVER;
    p->delay_ms = kit->delay_ms;
    p->number = ++kit->n_peers;
    list_push_back(&kit->peers, &p->all);
    p->handle = lib_kit_open(&below, p, options, err);
    return p->handle;
}

/* ---- programs that open their handles themselves ---- */

static _Thread_local tenure_testkit *attached;

static tenure_client *open_attached(const struct tenure_options *options, struct tenure_error *err)
{
    return tenure_testkit_client(attached, options, err);
}

void tenure_testkit_attach(tenure_testkit *kit)
{
    attached = kit;
    lib_kit_set_opener(kit ? open_attached : NULL);
}

void peers_detach(const tenure_testkit *kit)
{
    if (attached == kit)
        tenure_testkit_attach(NULL);
}

tenure_client *tenure_testkit_handle(const tenure_testkit *kit, size_t index)
{
    if (!kit)
        return NULL;
    LIST_FOREACH(it, (struct list *)&kit->peers)
    {
        struct peer *p = LIST_ENTRY(it, struct peer, all);
        if (p->handle && index-- == 0)
            return p->handle;
    }
    return NULL;
}
