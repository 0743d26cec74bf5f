/* The server's process: store and core over the disk of the kit. A crash throws both away, a start replays the disk.
 *
 * A batch whose disk takes no time is durable in the same turn; so an operation needs no time at all where the network has no
 * delay either. */
#include <stdlib.h>
#include <string.h>

#include "testkit/kit.h"

#define BATCH_MAX  1000
#define OUTPUT_MAX (1 << 20)
#define TURNS_MAX  100 /* of the log, in one turn */

/* ---- start and end ---- */

static int replay(tenure_testkit *kit, struct tenure_error *err)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < kit->disk.n; i++)
        if (kit->disk.rows[i].record.kind != 0)
            rc = store_replay(kit->store, &kit->disk.rows[i].record, err);
    return rc < 0 ? rc : store_ready(kit->store, kit->now, err);
}

static void restore_leases(tenure_testkit *kit)
{
    for (size_t i = 0; i < kit->disk.n_leases; i++)
        store_lease_restore(kit->store, kit->disk.leases[i].id, kit->disk.leases[i].deadline, kit->now);
}

/* Passwords are kept as they are: nobody else sees them, and a test need not wait for a hash. */
static bool password_submit(void *user, struct core_password *job)
{
    tenure_testkit *kit = user;
    if (job->kind == CORE_PASSWORD_HASH) {
        memcpy(job->hash, "testkit$", 8);
        memcpy(job->hash + 8, job->password, sizeof job->password);
        job->result = CORE_PASSWORD_OK;
    } else {
        bool same = strncmp(job->hash, "testkit$", 8) == 0 && strcmp(job->hash + 8, job->password) == 0;
        job->result = same ? CORE_PASSWORD_OK : CORE_PASSWORD_WRONG;
    }
    core_password_done(kit->core, job, kit->now);
    return true;
}

static int make_core(tenure_testkit *kit, const struct rng *seed)
{
    static const char *const urls[] = {"http://testkit:2379"};
    struct core_config config = {.store = kit->store,
                                 .name = "testkit",
                                 .client_urls = urls,
                                 .n_client_urls = 1,
                                 .retention_ms = -1,
                                 .seed = *seed,
                                 .lease_store = disk_lease_store,
                                 .lease_forget = disk_lease_forget,
                                 .password_submit = password_submit,
                                 .user = kit};
    return core_new(&config, &kit->core);
}

int server_start(tenure_testkit *kit, struct tenure_error *err)
{
    struct store_config config = {.cluster_id = 7, .member_id = 8, .member_name = "testkit"};
    struct rng seed;
    rng_init(&seed, rng_u64(&kit->rng));
    int rc = store_new(&config, &seed, &kit->store);
    rc = rc == 0 ? replay(kit, err) : error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc == 0 && make_core(kit, &seed) != 0)
        rc = error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc < 0) {
        kit->store = store_free(kit->store);
        return rc;
    }
    restore_leases(kit);
    kit_wake_server(kit);
    KIT_TRACE(kit, "the server starts at revision %lld", (long long)store_revision(kit->store));
    return 0;
}

void server_crash(tenure_testkit *kit)
{
    if (!kit->core)
        return;
    KIT_TRACE(kit, "the server goes down");
    LIST_FOREACH(it, &kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (!l->server_open)
            continue;
        core_remove(l->core);
        net_server_closed(l);
    }
    disk_drop(&kit->disk);
    kit->core = core_free(kit->core);
    kit->store = store_free(kit->store);
}

/* ---- the turn ---- */

static void finish_batch(tenure_testkit *kit)
{
    enum core_outcome outcome = disk_finish(&kit->disk);
    core_written(kit->core, outcome, disk_seq(&kit->disk), kit->now);
    if (core_wants_room(kit->core))
        core_ballast(kit->core, false, kit->now);
}

static void write_log(tenure_testkit *kit)
{
    struct core_batch batch;
    for (int i = 0; i < TURNS_MAX; i++) {
        if (disk_done(&kit->disk, kit->now))
            finish_batch(kit);
        core_run(kit->core, kit->now);
        if (kit->disk.busy || !core_batch(kit->core, &batch, BATCH_MAX))
            return;
        disk_submit(&kit->disk, &batch, kit->now + kit->sync_ms);
    }
}

static void write_conn(tenure_testkit *kit, struct core_conn *conn, struct buf *out)
{
    struct link *l = core_conn_user(conn);
    buf_reset(out);
    core_output(conn, out, OUTPUT_MAX, kit->now);
    if (buf_error(out))
        net_break(l);
    else if (!l->mute_seq)
        net_send(l, /* up= */ false, buf_bytes(out));
    if (core_conn_finished(conn)) {
        core_remove(conn);
        net_server_closed(l);
    }
}

static void write_out(tenure_testkit *kit)
{
    struct core_conn *conn;
    struct buf out;
    buf_init(&out);
    while ((conn = core_next_dirty(kit->core)))
        write_conn(kit, conn, &out);
    buf_fini(&out);
}

/* Those whose answer is to be lost, once there would be one. */
static void break_mute(tenure_testkit *kit)
{
    LIST_FOREACH(it, &kit->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->mute_seq && !l->is_broken && store_seq(kit->store) >= l->mute_seq)
            net_break(l);
    }
}

void server_run(tenure_testkit *kit)
{
    if (!kit->core || server_next(kit) > kit->now)
        return;
    kit->server_wants_turn = false;
    core_turn(kit->core, kit->now);
    net_deliver_to_server(kit);
    write_log(kit);
    if (core_wants_defragment(kit->core))
        core_defragmented(kit->core, NULL, kit->now);
    write_out(kit);
    break_mute(kit);
}

tn_ms server_next(const tenure_testkit *kit)
{
    if (!kit->core)
        return TN_MS_NEVER;
    if (kit->server_wants_turn || disk_done(&kit->disk, kit->now))
        return kit->now;
    tn_ms at = core_deadline(kit->core);
    if (kit->disk.busy && kit->disk.mode != TENURE_TESTKIT_DISK_FROZEN && kit->disk.done_at < at)
        at = kit->disk.done_at;
    LIST_FOREACH(it, (struct list *)&kit->links)
    {
        tn_ms t = net_next_for_server(LIST_ENTRY(it, struct link, all));
        at = t < at ? t : at;
    }
    return at;
}
