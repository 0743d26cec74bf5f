/* The server without sockets on any requests: the input is a script of messages (any bytes, to any method), outcomes of
 * the log, moves of the clock and streams that end. Afterwards nothing may be left over, and the rows that the log has
 * kept must rebuild exactly the durable state. */
#include <stdlib.h>

#include "core/core.h"
#include "store/store.h"
#include "wire/h2.h"

#define STREAMS_MAX 64
#define ROWS_MAX    20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const paths[] = {
    "/etcdserverpb.KV/Range",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.KV/DeleteRange",
    "/etcdserverpb.KV/Txn",
    "/etcdserverpb.KV/Compact",
    "/etcdserverpb.Lease/LeaseGrant",
    "/etcdserverpb.Lease/LeaseRevoke",
    "/etcdserverpb.Lease/LeaseTimeToLive",
    "/etcdserverpb.Lease/LeaseLeases",
    "/etcdserverpb.Cluster/MemberList",
    "/etcdserverpb.Maintenance/Status",
    "/grpc.health.v1.Health/Check",
    "/etcdserverpb.Watch/Watch",
    "/etcdserverpb.Lease/LeaseKeepAlive",
    "/grpc.health.v1.Health/Watch",
    "/no.Such/Thing",
    "/etcdserverpb.KV/RangeStream",
    "/etcdserverpb.Maintenance/Alarm",
    "/etcdserverpb.Maintenance/HashKV",
    "/etcdserverpb.Maintenance/Hash",
    "/etcdserverpb.Cluster/MemberAdd",
    "/etcdserverpb.Cluster/MemberUpdate",
    "/v3lockpb.Lock/Lock",
    "/v3lockpb.Lock/Unlock",
    "/v3electionpb.Election/Campaign",
    "/v3electionpb.Election/Proclaim",
    "/v3electionpb.Election/Leader",
    "/v3electionpb.Election/Observe",
    "/v3electionpb.Election/Resign",
    "/etcdserverpb.Maintenance/Downgrade",
    "/etcdserverpb.KV/Put",
    "/etcdserverpb.Lease/LeaseGrant",
};

struct row {
    struct record r;
    uint8_t *bytes;
};

struct world {
    tn_ms now;
    struct store *store;
    struct core *core;
    struct core_conn *conn;
    struct h2_conn *client;
    struct h2_stream *streams[STREAMS_MAX];
    size_t next_stream;
    bool in_flight;
    struct core_batch batch;
    struct row rows[ROWS_MAX];
    size_t n_rows;
    bool lost_track; /* more rows than are kept: the state is not compared */
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

/* ---- the log ---- */

static void keep_row(struct world *w, const struct record *r)
{
    if (w->n_rows == ROWS_MAX) {
        w->lost_track = true;
        return;
    }
    struct row *row = &w->rows[w->n_rows++];
    row->r = *r;
    row->bytes = malloc(r->key.len + r->value.len + 1);
    must(row->bytes != NULL);
    if (r->key.len)
        memcpy(row->bytes, r->key.data, r->key.len);
    if (r->value.len)
        memcpy(row->bytes + r->key.len, r->value.data, r->value.len);
    row->r.key = bytes_of(row->bytes, r->key.len);
    row->r.value = bytes_of(row->bytes + r->key.len, r->value.len);
}

static void drop_row(struct world *w, tn_seq seq)
{
    for (size_t i = 0; i < w->n_rows; i++) {
        if (w->rows[i].r.seq != seq)
            continue;
        free(w->rows[i].bytes);
        memmove(&w->rows[i], &w->rows[i + 1], (--w->n_rows - i) * sizeof w->rows[0]);
        return;
    }
    must(w->lost_track); /* a delete must be of a row that is there */
}

static void finish_batch(struct world *w, enum core_outcome outcome)
{
    tn_seq seq = store_seq(w->store);
    if (!w->in_flight)
        return;
    w->in_flight = false;
    for (size_t i = 0; i < w->batch.n_rows && outcome == CORE_APPLIED; i++) {
        keep_row(w, &w->batch.rows[i]);
        must(w->batch.rows[i].seq == seq + 1);
        seq = w->batch.rows[i].seq;
    }
    for (size_t i = 0; i < w->batch.n_deletes && outcome == CORE_APPLIED; i++)
        drop_row(w, w->batch.deletes[i]);
    core_written(w->core, outcome, seq, w->now);
}

/* ---- the client ---- */

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    (void)user, (void)st, (void)message;
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    (void)user, (void)st, (void)status, (void)text;
}

static void on_close(void *user, struct h2_stream *st)
{
    struct world *w = user;
    for (size_t i = 0; i < STREAMS_MAX; i++)
        if (w->streams[i] == st)
            w->streams[i] = NULL;
}

static const struct h2_callbacks callbacks = {.on_message = on_message, .on_status = on_status, .on_close = on_close};

static void open_pair(struct world *w)
{
    struct h2_limits limits = {0};
    w->client = h2_client_new(&limits, &callbacks, w);
    w->conn = core_accept(w->core, "fuzz", w, w->now);
    must(w->client && w->conn);
}

static void close_pair(struct world *w)
{
    core_remove(w->conn);
    w->client = h2_free(w->client);
    memset(w->streams, 0, sizeof w->streams);
}

static void exchange(struct world *w)
{
    struct buf b;
    struct tenure_error err;
    buf_init(&b);
    must(h2_output(w->client, &b, 1 << 20) == 0);
    core_feed(w->conn, buf_bytes(&b), w->now);
    core_run(w->core, w->now);
    if (!w->in_flight)
        w->in_flight = core_batch(w->core, &w->batch, 100);
    buf_reset(&b);
    core_output(w->conn, &b, 1 << 20, w->now);
    must(h2_feed(w->client, buf_bytes(&b), w->now, &err) == 0);
    buf_fini(&b);
    while (core_next_dirty(w->core))
        ;
    if (core_conn_finished(w->conn)) {
        close_pair(w);
        open_pair(w);
    }
}

static void say(struct world *w, unsigned what, bytes message)
{
    unsigned place = what % STREAMS_MAX;
    struct h2_stream *st = w->streams[place];
    if (!st) {
        int64_t timeout_ms = what & 0x40 ? 700 : -1;
        st = h2_call(w->client, paths[what % ARRAY_LEN(paths)], "fuzz", timeout_ms, NULL, 0, NULL);
        if (!st)
            return;
        w->streams[place] = st;
    }
    must(h2_send_message(st, message) == 0);
    if (what & 0x80 && h2_half_close(st) < 0)
        must(false);
}

/* ---- the script ---- */

static void step(struct world *w, unsigned op, bytes more)
{
    static const enum core_outcome outcomes[] = {CORE_APPLIED, CORE_APPLIED, CORE_APPLIED, CORE_NOT_APPLIED};
    core_turn(w->core, w->now);
    if (op < 0xc0) {
        say(w, op, more);
    } else if (op < 0xe0) {
        finish_batch(w, outcomes[op % 4]);
    } else if (op == 0xe0) {
        finish_batch(w, CORE_MAYBE_APPLIED);
    } else if (op == 0xe1) {
        close_pair(w);
        open_pair(w);
    } else if (op < 0xf0) {
        w->now += 1 << (op - 0xe1);
    } else if (w->streams[op % STREAMS_MAX]) {
        h2_reset(w->streams[op % STREAMS_MAX]);
    }
    exchange(w);
}

static void run_script(struct world *w, const uint8_t *data, size_t len)
{
    while (len >= 2) {
        unsigned op = data[0];
        size_t n = op < 0xc0 ? data[1] : 0, head = op < 0xc0 ? 2 : 1;
        data += head;
        len -= head;
        n = n < len ? n : len;
        step(w, op, bytes_of(data, n));
        data += n;
        len -= n;
    }
}

/* ---- the end ---- */

static uint64_t rebuilt_digest(struct world *w, const struct store_config *config, const struct rng *seed)
{
    struct store *s;
    struct tenure_error err;
    must(store_new(config, seed, &s) == 0);
    for (size_t i = 0; i < w->n_rows; i++)
        must(store_replay(s, &w->rows[i].r, &err) == 0);
    must(store_ready(s, w->now, &err) == 0);
    uint64_t digest = store_digest(s);
    store_free(s);
    return digest;
}

static void check_left_over(struct world *w)
{
    struct core_stats stats;
    core_stats(w->core, &stats);
    must(stats.conns == 0 && stats.watchers == 0 && stats.held_bytes == 0);
}

/* What the trim has not told the log yet is history that a restart would still have: it goes on until nothing is left. */
static void drain(struct world *w)
{
    for (int i = 0; i < 1000 && !core_is_read_only(w->core); i++) {
        w->now += 2000;
        core_turn(w->core, w->now);
        core_run(w->core, w->now);
        if (!w->in_flight)
            w->in_flight = core_batch(w->core, &w->batch, 100);
        if (!w->in_flight && i > 3)
            return;
        finish_batch(w, CORE_APPLIED);
    }
}

/* As a server does before it listens: an empty log gets its identity. */
static void commit_identity(struct world *w)
{
    must(core_batch(w->core, &w->batch, 100));
    w->in_flight = true;
    finish_batch(w, CORE_APPLIED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct world world;
    struct world *w = &world;
    struct rng seed;
    struct tenure_error err;
    struct store_config store = {.cluster_id = 1, .member_id = 2, .quota_bytes = 1 << 20, .undo_entries_max = 200};
    memset(w, 0, sizeof *w);
    w->now = 1000;
    rng_init(&seed, 1);
    must(store_new(&store, &seed, &w->store) == 0 && store_ready(w->store, w->now, &err) == 0);
    struct core_config config = {.store = w->store,
                                 .seed = seed,
                                 .conn_output_max = 8192,
                                 .progress_ms = 500,
                                 .retention_ms = 20000,
                                 .watches_max = 20};
    must(core_new(&config, &w->core) == 0);
    commit_identity(w);
    open_pair(w);
    run_script(w, data, len);
    close_pair(w);
    check_left_over(w);
    drain(w);
    if (!w->lost_track)
        must(rebuilt_digest(w, &store, &seed) == store_digest(w->store));
    for (size_t i = 0; i < w->n_rows; i++)
        free(w->rows[i].bytes);
    core_free(w->core);
    store_free(w->store);
    return 0;
}
