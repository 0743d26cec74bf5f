/* The kit and its clock. A round at one time: the server, then each client in the order of their making; rounds follow each
 * other until nothing is due, and then the clock goes to the next event. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/handle.h"
#include "testkit/kit.h"

#define WALL_START_MS INT64_C(1767225600000) /* 2026-01-01 */
#define PATIENCE_MS   INT64_C(86400000)

void kit_trace(const tenure_testkit *kit, const char *fmt, ...)
{
    char line[256];
    va_list ap;
    int n = snprintf(line, sizeof line, "%lld ", (long long)(kit->now - KIT_START_MS));
    va_start(ap, fmt);
    vsnprintf(line + n, sizeof line - (size_t)n, fmt, ap);
    va_end(ap);
    kit->trace(kit->trace_user, line);
}

void kit_wake_server(tenure_testkit *kit)
{
    kit->server_wants_turn = true;
}

/* ---- steps ---- */

static tn_ms next_event(const tenure_testkit *kit)
{
    tn_ms at = server_next(kit);
    LIST_FOREACH(it, (struct list *)&kit->peers)
    {
        tn_ms t = peer_next(LIST_ENTRY(it, struct peer, all));
        at = t < at ? t : at;
    }
    LIST_FOREACH(it, (struct list *)&kit->links)
    {
        tn_ms t = net_next_for_peer(LIST_ENTRY(it, struct link, all));
        at = t < at ? t : at;
    }
    return at;
}

static void move_clock(tenure_testkit *kit, tn_ms to)
{
    if (to <= kit->now)
        return;
    kit->now = to;
    kit->rounds = 0;
}

static void run_round(tenure_testkit *kit)
{
    kit->in_step = true;
    kit->rounds++;
    server_run(kit);
    LIST_FOREACH(it, &kit->peers)
    {
        peer_run(LIST_ENTRY(it, struct peer, all));
    }
    net_sweep(kit, false);
    kit->in_step = false;
}

bool kit_step(tenure_testkit *kit, tn_ms limit)
{
    tn_ms at = next_event(kit);
    if (at <= kit->now && kit->rounds >= KIT_ROUNDS_MAX)
        at = kit->now + 1;
    if (at > limit) {
        move_clock(kit, limit);
        return false;
    }
    move_clock(kit, at);
    run_round(kit);
    return true;
}

int tenure_testkit_run(tenure_testkit *kit)
{
    if (!kit || kit->in_step)
        return TENURE_EINVALID;
    while (kit_step(kit, kit->now)) {
    }
    int rc = kit->rounds >= KIT_ROUNDS_MAX ? TENURE_ELIMIT : 0;
    kit->rounds = 0;
    return rc;
}

int tenure_testkit_advance(tenure_testkit *kit, int64_t ms)
{
    if (!kit || kit->in_step || ms < 0 || ms > KIT_FAR_MS)
        return TENURE_EINVALID;
    tn_ms until = kit->now + ms;
    while (kit_step(kit, until)) {
    }
    return 0;
}

int tenure_testkit_run_until(tenure_testkit *kit, bool (*is_so)(void *user), void *user, int64_t max_ms)
{
    if (!kit || !is_so || kit->in_step || max_ms < 0 || max_ms > KIT_FAR_MS)
        return TENURE_EINVALID;
    tn_ms until = kit->now + max_ms;
    while (!is_so(user))
        if (!kit_step(kit, until))
            return is_so(user) ? 0 : TENURE_ETIMEOUT;
    return 0;
}

int64_t tenure_testkit_now_ms(const tenure_testkit *kit)
{
    return kit ? kit->now - KIT_START_MS : 0;
}

int64_t tenure_testkit_wall_ms(const tenure_testkit *kit)
{
    return kit ? kit->now + kit->wall_offset : 0;
}

/* ---- life ---- */

static int take_options(tenure_testkit *kit, const struct tenure_testkit_options *options, struct tenure_error *err)
{
    struct tenure_testkit_options o;
    int rc = options_take(&o, sizeof o, options, "test kit", err);
    if (rc < 0)
        return rc;
    if (o.delay_ms < 0 || o.sync_ms < 0 || o.patience_ms < 0 || o.wall_ms < 0 || o.delay_ms > KIT_FAR_MS ||
        o.sync_ms > KIT_FAR_MS || o.patience_ms > KIT_FAR_MS || o.wall_ms > KIT_FAR_MS)
        return error_set(err, TENURE_EINVALID, "test kit: a time in the options is negative or too large");
    rng_init(&kit->rng, o.seed);
    kit->delay_ms = o.delay_ms;
    kit->sync_ms = o.sync_ms;
    kit->patience_ms = o.patience_ms ? o.patience_ms : PATIENCE_MS;
    kit->wall_offset = (o.wall_ms ? o.wall_ms : WALL_START_MS) - kit->now;
    kit->trace = o.trace;
    kit->trace_user = o.trace_user;
    return 0;
}

static tn_ms scope_clock(void *user)
{
    return ((tenure_testkit *)user)->now;
}

tenure_testkit *tenure_testkit_new(const struct tenure_testkit_options *options, struct tenure_error *err)
{
    tenure_testkit *kit = calloc(1, sizeof *kit);
    if (!kit) {
        error_set(err, TENURE_ENOMEM, "test kit: out of memory");
        return NULL;
    }
    kit->now = KIT_START_MS;
    list_init(&kit->peers);
    list_init(&kit->links);
    if (take_options(kit, options, err) == 0 && server_start(kit, err) == 0) {
        lib_kit_set_clock(scope_clock, kit);
        return kit;
    }
    free(kit);
    return NULL;
}

void tenure_testkit_free(tenure_testkit *kit)
{
    if (!kit || kit->in_step)
        return;
    peers_detach(kit);
    kit->in_step = true; /* no callback may wait any more */
    LIST_FOREACH(it, &kit->peers)
    {
        struct peer *p = LIST_ENTRY(it, struct peer, all);
        if (p->handle)
            lib_kit_end(p->handle);
    }
    server_crash(kit);
    net_sweep(kit, true);
    LIST_FOREACH_SAFE(it, &kit->peers)
    {
        free(LIST_ENTRY(it, struct peer, all));
    }
    disk_fini(&kit->disk);
    lib_kit_set_clock(NULL, kit);
    free(kit);
}
