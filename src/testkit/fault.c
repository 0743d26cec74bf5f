/* What a test breaks. Each takes effect at once, and what follows from it in the next step, so that callbacks may call these
 * too. */
#include "testkit/kit.h"

#define LEASES_MAX 256

/* The peer of c; NULL for one that is not this kit's, or closed: then nothing happens. */
static struct peer *peer_of(tenure_testkit *kit, const tenure_client *c)
{
    return kit && c ? peer_find(kit, c) : NULL;
}

/* ---- the network ---- */

static void break_links(const struct peer *p)
{
    LIST_FOREACH(it, &p->kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->peer == p && l->is_up && (l->client_open || l->server_open))
            net_break(l);
    }
}

void tenure_testkit_cut(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d: its connections break", p->number);
    break_links(p);
}

void tenure_testkit_partition(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d is cut off", p->number);
    p->is_cut = true;
}

void tenure_testkit_heal(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d is cut off no more", p->number);
    p->is_cut = false;
}

void tenure_testkit_delay(tenure_testkit *kit, tenure_client *c, int64_t ms)
{
    struct peer *p = peer_of(kit, c);
    if (!p || ms < 0 || ms > KIT_FAR_MS)
        return;
    KIT_TRACE(kit, "client %d: %lld ms each way", p->number, (long long)ms);
    p->delay_ms = ms;
}

void tenure_testkit_lose_reply(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (p)
        p->loses_reply = true;
}

/* ---- processes ---- */

void tenure_testkit_stop(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d is stopped", p->number);
    p->is_stopped = true;
}

void tenure_testkit_continue(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d goes on", p->number);
    p->is_stopped = false;
}

void tenure_testkit_kill(tenure_testkit *kit, tenure_client *c)
{
    struct peer *p = peer_of(kit, c);
    if (!p)
        return;
    KIT_TRACE(kit, "client %d is killed", p->number);
    p->is_killed = true;
    break_links(p);
}

/* ---- leases ---- */

int tenure_testkit_lose_lease(tenure_testkit *kit, int64_t lease)
{
    struct lease_revoke_req req = {.id = lease};
    struct lease_revoke_resp resp;
    tn_seq seq;
    if (!kit)
        return TENURE_EINVALID;
    if (!kit->store)
        return TENURE_EUNAVAILABLE;
    if (store_lease_revoke(kit->store, &req, &resp, &seq) != ETCD_OK)
        return TENURE_ENOTFOUND;
    disk_lease_forget(kit, lease);
    kit_wake_server(kit);
    KIT_TRACE(kit, "lease %llx runs out", (unsigned long long)lease);
    return 0;
}

int tenure_testkit_lose_sessions(tenure_testkit *kit, tenure_client *c)
{
    int64_t leases[LEASES_MAX];
    struct peer *p = peer_of(kit, c);
    int rc = p ? TENURE_ENOTFOUND : TENURE_EINVALID;
    size_t n = p ? lib_kit_leases(p->handle, leases, LEASES_MAX) : 0;
    for (size_t i = 0; i < n && i < LEASES_MAX; i++)
        if (tenure_testkit_lose_lease(kit, leases[i]) == 0)
            rc = 0;
    return !p || kit->store ? rc : TENURE_EUNAVAILABLE;
}

/* ---- the server ---- */

void tenure_testkit_server_down(tenure_testkit *kit)
{
    if (kit && kit->core)
        server_crash(kit);
}

int tenure_testkit_server_up(tenure_testkit *kit, struct tenure_error *err)
{
    if (!kit)
        return error_set(err, TENURE_EINVALID, "the test kit is NULL");
    return kit->core ? 0 : server_start(kit, err);
}

int tenure_testkit_restart(tenure_testkit *kit, struct tenure_error *err)
{
    tenure_testkit_server_down(kit);
    return tenure_testkit_server_up(kit, err);
}

void tenure_testkit_disk(tenure_testkit *kit, enum tenure_testkit_disk mode)
{
    static const char *const names[] = {"works", "is frozen", "is full"};
    if (!kit || (unsigned)mode > TENURE_TESTKIT_DISK_FULL)
        return;
    KIT_TRACE(kit, "the disk %s", names[mode]);
    kit->disk.mode = mode;
    kit_wake_server(kit);
}
