/* The server's process: store and core over the made-up disk. A crash throws both away; a start replays the disk. */
#include <stdlib.h>

#include "store/auth.h"
#include "world.h"

static void replay(struct world *w)
{
    struct tenure_error err = {0};
    for (size_t i = 0; i < w->disk.n; i++)
        if (!w->disk.rows[i].deleted && store_replay(w->server.store, &w->disk.rows[i].record, &err) != 0) {
            world_fail(w, "KV7: replay of row %zu: %s", i + 1, err.text);
            return;
        }
    if (store_ready(w->server.store, w->now, &err) != 0)
        world_fail(w, "KV7: %s", err.text);
}

static void restore_leases(struct world *w)
{
    size_t cursor = 0;
    tn_lease id;
    tn_ms deadline;
    while ((id = store_lease_next(w->server.store, &cursor)) != 0)
        if (disk_lease_load(&w->disk, id, &deadline))
            store_lease_restore(w->server.store, id, deadline, w->now);
}

void server_start(struct world *w)
{
    struct server *s = &w->server;
    struct store_config sc = {.cluster_id = 7, .member_id = 8, .member_name = "sim"};
    struct rng seed;
    rng_init(&seed, rng_u64(&w->rng));
    if (store_new(&sc, &seed, &s->store) != 0)
        abort();
    replay(w);
    restore_leases(w);
    if (store_revision(s->store) != w->history.revision)
        world_fail(w, "KV3: revision %lld after a start, %lld was durable", (long long)store_revision(s->store),
                   (long long)w->history.revision);
    struct core_config cc = {.store = s->store,
                             .retention_ms = 5000,
                             .seed = seed,
                             .lease_store = disk_lease_store,
                             .lease_forget = disk_lease_forget,
                             .user = w,
                             .progress_ms = 1000,
                             .broken_skip_gate = w->config.broken.skip_gate};
    if (core_new(&cc, &s->core) != 0)
        abort();
    s->up = true;
    s->up_since = w->now;
    s->starts++;
    SIM_TRACE(w, "server starts, revision %lld", (long long)store_revision(s->store));
}

void server_crash(struct world *w, tn_ms down_ms)
{
    struct server *s = &w->server;
    SIM_TRACE(w, "server crashes");
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (!l->server_open)
            continue;
        core_remove(l->core);
        net_server_closed(l);
    }
    disk_crash(w);
    s->core = core_free(s->core);
    s->store = store_free(s->store);
    s->up = false;
    s->paused_until = 0;
    s->restart_at = w->now + down_ms;
}

static void must(enum etcd_error e)
{
    if (e != ETCD_OK && e != ETCD_USER_ALREADY_EXIST && e != ETCD_ROLE_ALREADY_EXIST)
        abort();
}

bool server_refuse(struct world *w, bool on)
{
    struct store *s = w->server.store;
    const struct user_role_req root = {.user = bytes_str("root"), .role = bytes_str("root")};
    tn_seq seq;
    SIM_TRACE(w, "authentication is turned %s", on ? "on" : "off");
    if (!on) {
        must(store_auth_disable(s, &seq));
        return !store_auth_enabled(s, STORE_DURABLE);
    }
    must(store_role_add(s, root.role, &seq));
    must(store_user_add(s, root.user, bytes_str(""), true, &seq));
    must(store_user_grant_role(s, &root, &seq));
    must(store_auth_enable(s, &seq));
    return false;
}

struct core_conn *server_accept(struct link *l)
{
    return core_accept(l->world->server.core, "sim", l, l->world->now);
}

static void write_out(struct world *w)
{
    struct core_conn *conn;
    struct buf out;
    buf_init(&out);
    while ((conn = core_next_dirty(w->server.core))) {
        struct link *l = core_conn_user(conn);
        buf_reset(&out);
        core_output(conn, &out, 1 << 20, w->now);
        net_send(l, false, buf_bytes(&out));
        if (core_conn_finished(conn)) {
            core_remove(conn);
            net_server_closed(l);
        }
    }
    buf_fini(&out);
}

void server_turn(struct world *w)
{
    struct server *s = &w->server;
    struct core_batch batch;
    if (!s->up && s->restart_at <= w->now)
        server_start(w);
    if (!s->up || s->paused_until > w->now)
        return;
    if (w->disk.busy && w->disk.done_at <= w->now) {
        enum core_outcome outcome = w->disk.outcome;
        tn_seq seq = disk_finish(w);
        core_written(s->core, outcome, seq, w->now);
    }
    core_run(s->core, w->now);
    if (!w->disk.busy && core_batch(s->core, &batch, 1000))
        disk_submit(w, &batch);
    write_out(w);
}

tn_ms server_next(const struct world *w)
{
    const struct server *s = &w->server;
    if (!s->up)
        return s->restart_at;
    tn_ms at = core_deadline(s->core);
    if (w->disk.busy && w->disk.done_at < at)
        at = w->disk.done_at;
    return at < s->paused_until ? s->paused_until : at;
}
