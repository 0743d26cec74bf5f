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

static bool add(struct carrier *c, tn_lease id, int64_t ttl_s, tn_ms now)
{
    static const struct client_keepalive_callbacks callbacks = {.on_renewed = on_renewed, .on_gone = on_gone};
    struct tenure_error err = {0};
    struct own_lease *l = &c->leases[c->n_leases];
    *l = (struct own_lease){.carrier = c, .id = id, .ttl_s = ttl_s, .alive = true};
    l->keepalive = client_keepalive_start(c->destination, id, ttl_s, now + ttl_s * 1000 / 3, &callbacks, l, now, &err);
    if (!l->keepalive)
        return !carrier_failed(c, err.code ? err.code : TENURE_ENOMEM, &err, now);
    c->n_leases++;
    carrier_asked(c);
    return true;
}

void leases_drop(struct carrier *c, tn_ms now)
{
    for (size_t i = 0; i < c->n_leases; i++)
        client_keepalive_stop(c->destination, c->leases[i].keepalive, now);
    c->n_leases = 0;
}

static bool any_is_gone(const struct carrier *c)
{
    for (size_t i = 0; i < c->n_leases; i++)
        if (!c->leases[i].alive)
            return true;
    return false;
}

static bool knows(const struct carrier *c, tn_lease id)
{
    for (size_t i = 0; i < c->n_leases; i++)
        if (c->leases[i].id == id)
            return true;
    return false;
}

/* ---- those of the record ---- */

static void on_revived(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    size_t i = c->reviving++;
    if (r->keepalive->ttl_s <= 0)
        c->compare_all = true;
    else if (c->n_leases < RECORD_LEASES_MAX && !add(c, c->rec.leases[i].id, c->rec.leases[i].ttl_s, now))
        return;
    carrier_go_on(c, now);
}

/* Dead ones are cleared away all together: their keepalives point into the table. */
static void clear_dead(struct carrier *c, tn_ms now)
{
    if (any_is_gone(c)) {
        c->compare_all = true;
        leases_drop(c, now);
    }
}

void leases_revive(struct carrier *c, tn_ms now)
{
    struct tenure_error err = {0};
    clear_dead(c, now);
    if (c->reviving > c->rec.n_leases)
        c->reviving = 0;
    while (c->reviving < c->rec.n_leases && knows(c, c->rec.leases[c->reviving].id))
        c->reviving++;
    if (c->reviving == c->rec.n_leases) {
        c->reviving = 0;
        carrier_move(c, STEP_CHECK);
        return;
    }
    struct lease_keepalive_req req = {.id = c->rec.leases[c->reviving].id};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    int rc = op_lease_keepalive_once(&c->op, c->destination, &req, &o, on_revived, c, now, &err);
    carrier_failed(c, rc, &err, now);
}

/* ---- new ones ---- */

static void on_granted(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (add(c, r->grant->id, c->leases[c->n_leases].ttl_s, now))
        carrier_go_on(c, now);
}

/* A grant whose answer is lost runs out by itself. */
static void grant(struct carrier *c, int64_t ttl_s, tn_ms now)
{
    struct tenure_error err = {0};
    struct lease_grant_req req = {.ttl_s = ttl_s, .id = (tn_lease)(client_random(c->destination) >> 1 | 1)};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    c->leases[c->n_leases].ttl_s = ttl_s; /* of the place that it will have */
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

/* The place of the lease for keys of that TTL; n_leases: it is to be granted. */
static size_t place_of(const struct carrier *c, int64_t ttl_s)
{
    size_t longer = SIZE_MAX, longest = 0;
    for (size_t i = 0; i < c->n_leases; i++) {
        int64_t t = c->leases[i].ttl_s;
        if (t == ttl_s)
            return i;
        if (t > ttl_s && (longer == SIZE_MAX || t < c->leases[longer].ttl_s))
            longer = i;
        if (t > c->leases[longest].ttl_s)
            longest = i;
    }
    if (c->n_leases < RECORD_LEASES_MAX)
        return c->n_leases;
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
    if (i == c->n_leases) {
        grant(c, ttl_s, now);
        return 0;
    }
    *ret = c->leases[i].id;
    return 1;
}
