/* The mirror's own leases at the destination: one for each TTL that the source's have, kept alive while the mirror lives.
 *
 * A key whose lease ends at the source goes by its delete event. When the mirror dies its leases run out, and their keys go; the
 * record names them, so that the next run finds out whether any did, and then compares everything. Past RECORD_LEASES_MAX TTLs a key
 * gets the lease with the next longer one. */
#include "mirror/internal.h"

#include <stdlib.h>

enum {
    TTLS_MAX = 100000, /* of the source's leases remembered; past it all are asked for again */
    TTL_OF_GONE = 60,  /* of a lease that the source does not know any more: the delete of its keys is on its way */
};

/* ---- life ---- */

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    (void)user, (void)sent_at, (void)ttl_s;
}

static void on_gone(void *user)
{
    struct own_lease *l = user;
    l->alive = false;
    l->carrier->leases_lost = true;
    carrier_asked(l->carrier); /* so that it runs */
}

/* A place without one; RECORD_LEASES_MAX: there is none. */
static size_t free_place(const struct carrier *c)
{
    size_t i = 0;
    while (i < RECORD_LEASES_MAX && c->leases[i].keepalive)
        i++;
    return i;
}

static bool add(struct carrier *c, size_t place, tn_lease id, int64_t ttl_s, tn_ms now)
{
    static const struct client_keepalive_callbacks callbacks = {.on_renewed = on_renewed, .on_gone = on_gone};
    struct tenure_error err = {0};
    struct own_lease *l = &c->leases[place];
    *l = (struct own_lease){.carrier = c, .id = id, .ttl_s = ttl_s};
    l->keepalive = client_keepalive_start(c->destination, id, ttl_s, now + ttl_s * 1000 / 3, &callbacks, l, now, &err);
    if (!l->keepalive)
        return !carrier_failed(c, err.code ? err.code : TENURE_ENOMEM, &err, now);
    l->alive = true;
    carrier_asked(c);
    return true;
}

static void drop(struct carrier *c, struct own_lease *l, tn_ms now)
{
    client_keepalive_stop(c->destination, l->keepalive, now);
    l->keepalive = NULL;
    l->alive = false;
}

void leases_drop(struct carrier *c, tn_ms now)
{
    for (size_t i = 0; i < RECORD_LEASES_MAX; i++)
        if (c->leases[i].keepalive)
            drop(c, &c->leases[i], now);
}

/* The others are renewed as ever. */
void leases_drop_dead(struct carrier *c, tn_ms now)
{
    for (size_t i = 0; i < RECORD_LEASES_MAX; i++)
        if (c->leases[i].keepalive && !c->leases[i].alive) {
            c->compare_all = true;
            drop(c, &c->leases[i], now);
        }
}

static struct own_lease *own(struct carrier *c, tn_lease id)
{
    for (size_t i = 0; i < RECORD_LEASES_MAX; i++)
        if (c->leases[i].keepalive && c->leases[i].id == id)
            return &c->leases[i];
    return NULL;
}

/* ---- those of the record ---- */

static void on_revived(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    size_t i = c->reviving++, place = free_place(c);
    if (r->keepalive->ttl_s <= 0)
        c->compare_all = true;
    else if (place < RECORD_LEASES_MAX && !add(c, place, c->rec.leases[i].id, c->rec.leases[i].ttl_s, now))
        return;
    carrier_go_on(c, now);
}

static void on_doubted(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    struct own_lease *l = &c->leases[c->doubted++];
    if (r->keepalive->ttl_s <= 0 && l->keepalive)
        l->alive = false;
    carrier_go_on(c, now);
}

static void ask_about(struct carrier *c, tn_lease id, op_done done, tn_ms now)
{
    struct tenure_error err = {0};
    struct lease_keepalive_req req = {.id = id};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    int rc = op_lease_keepalive_once(&c->op, c->destination, &req, &o, done, c, now, &err);
    carrier_failed(c, rc, &err, now);
}

void leases_doubt(struct carrier *c)
{
    c->leases_lost = c->compare_all = true;
    c->doubted = 0;
}

/* False: one of ours is asked about, because a write has missed one. */
static bool none_in_doubt(struct carrier *c, tn_ms now)
{
    while (c->doubted < RECORD_LEASES_MAX && !c->leases[c->doubted].alive)
        c->doubted++;
    if (c->doubted == RECORD_LEASES_MAX)
        return true;
    ask_about(c, c->leases[c->doubted].id, on_doubted, now);
    return false;
}

void leases_revive(struct carrier *c, tn_ms now)
{
    if (!none_in_doubt(c, now))
        return;
    leases_drop_dead(c, now);
    if (c->reviving > c->rec.n_leases)
        c->reviving = 0;
    while (c->reviving < c->rec.n_leases && own(c, c->rec.leases[c->reviving].id))
        c->reviving++;
    if (c->reviving == c->rec.n_leases) {
        c->reviving = 0;
        carrier_move(c, STEP_CHECK);
        return;
    }
    ask_about(c, c->rec.leases[c->reviving].id, on_revived, now);
}

/* ---- new ones ---- */

static void on_granted(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (add(c, free_place(c), r->grant->id, c->asked_ttl_s, now))
        carrier_go_on(c, now);
}

/* A grant whose answer is lost runs out by itself. */
static void grant(struct carrier *c, int64_t ttl_s, tn_ms now)
{
    struct tenure_error err = {0};
    struct lease_grant_req req = {.ttl_s = ttl_s, .id = (tn_lease)(client_random(c->destination) >> 1 | 1)};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    c->asked_ttl_s = ttl_s;
    int rc = op_lease_grant(&c->op, c->destination, &req, &o, on_granted, c, now, &err);
    carrier_failed(c, rc, &err, now);
}

/* ---- the source's ---- */

static void remember(struct carrier *c, tn_lease id, int64_t ttl_s)
{
    if (c->ttls.len >= TTLS_MAX) {
        map_fini(&c->ttls);
        map_init(&c->ttls);
    }
    (void)!map_put(&c->ttls, (uint64_t)id, (void *)(uintptr_t)ttl_s); /* without memory it is asked for again */
}

static void on_ttl(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    remember(c, c->asked_lease, r->ttl->ttl_s < 0 || r->ttl->granted_ttl_s < 1 ? TTL_OF_GONE : r->ttl->granted_ttl_s);
    carrier_go_on(c, now);
}

static void ask_ttl(struct carrier *c, tn_lease id, tn_ms now)
{
    struct tenure_error err = {0};
    struct lease_ttl_req req = {.id = id};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    c->asked_lease = id;
    int rc = op_lease_ttl(&c->op, c->source, &req, &o, on_ttl, c, now, &err);
    carrier_failed(c, rc, &err, now);
}

/* The place of the lease for keys of that TTL; RECORD_LEASES_MAX: it is to be granted. */
static size_t place_of(const struct carrier *c, int64_t ttl_s)
{
    size_t longer = SIZE_MAX, longest = SIZE_MAX;
    for (size_t i = 0; i < RECORD_LEASES_MAX; i++) {
        int64_t t = c->leases[i].ttl_s;
        if (!c->leases[i].keepalive)
            continue;
        if (t == ttl_s)
            return i;
        if (t > ttl_s && (longer == SIZE_MAX || t < c->leases[longer].ttl_s))
            longer = i;
        if (longest == SIZE_MAX || t > c->leases[longest].ttl_s)
            longest = i;
    }
    if (free_place(c) < RECORD_LEASES_MAX)
        return RECORD_LEASES_MAX;
    return longer == SIZE_MAX ? longest : longer;
}

int leases_map(struct carrier *c, tn_lease source, tn_lease *ret, tn_ms now)
{
    *ret = 0;
    if (source == 0)
        return 1;
    int64_t ttl_s = (int64_t)(uintptr_t)map_get(&c->ttls, (uint64_t)source);
    if (ttl_s == 0) {
        ask_ttl(c, source, now);
        return 0;
    }
    size_t i = place_of(c, ttl_s);
    if (i == RECORD_LEASES_MAX) {
        grant(c, ttl_s, now);
        return 0;
    }
    *ret = c->leases[i].id;
    return 1;
}
