/* The HTTP engine with a whole core behind it, on any bytes. The first byte says how they come: in pieces of that size.
 * Byte 0xf0 within, where the piece begins with it, is an event instead: the clock moves, the log stalls or goes on, the
 * server stops, the peer takes nothing or all. Afterwards nothing may be left over. */
#include <stdlib.h>

#include "core/core.h"
#include "http/http.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
    tn_ms now;
    struct store *store;
    struct core *core;
    struct http *http;
    struct core_conn *place;
    struct http_conn *conn;
    bool log_held, takes_none, stopped;
};

static void must(bool what)
{
    if (!what)
        __builtin_trap();
}

static void open_world(struct world *w)
{
    struct rng seed;
    struct tenure_error err;
    size_t n;
    rng_init(&seed, 1);
    w->now = 1000000;
    must(store_new(&(struct store_config){.cluster_id = 1, .member_id = 2}, &seed, &w->store) == 0);
    must(store_ready(w->store, w->now, &err) == 0);
    const struct record *rows = store_outbox(w->store, 100, &n);
    store_commit(w->store, rows[n - 1].seq);
    must(core_new(&(struct core_config){.store = w->store, .seed = seed, .retention_ms = -1}, &w->core) == 0);
    must(http_new(&(struct http_config){.core = w->core, .body_bytes_max = 65536}, &w->http) == 0);
    w->place = core_accept(w->core, "peer", w, w->now);
    must(w->place != NULL);
    w->conn = http_conn_new(w->http, w->place, false, w->now);
    must(w->conn != NULL);
}

static void commit(struct world *w)
{
    struct core_batch batch;
    while (!w->log_held && core_batch(w->core, &batch, 4096))
        core_written(w->core, CORE_APPLIED, batch.n_rows ? batch.rows[batch.n_rows - 1].seq : store_seq(w->store),
                     w->now);
}

static void cut(struct world *w)
{
    w->conn = http_conn_free(w->conn);
    if (w->place)
        core_remove(w->place);
    w->place = NULL;
}

static void turn(struct world *w)
{
    struct buf out;
    bool more = true;
    buf_init(&out);
    while (more && w->conn) {
        core_turn(w->core, w->now);
        core_run(w->core, w->now);
        commit(w);
        while (core_next_dirty(w->core))
            ;
        buf_reset(&out);
        more = !w->takes_none && http_output(w->conn, &out, 1000, w->now);
        more |= out.len > 0;
        if (http_conn_finished(w->conn))
            cut(w);
    }
    buf_fini(&out);
}

static void event(struct world *w, uint8_t what)
{
    switch (what % 5) {
    case 0:
        for (int i = 0; i < (what >> 3); i++) {
            w->now += 500;
            turn(w);
            if (w->conn && http_conn_check(w->conn, w->now))
                cut(w);
        }
        break;
    case 1:
        w->log_held = !w->log_held;
        break;
    case 2:
        w->takes_none = !w->takes_none;
        break;
    case 3:
        if (what > 250 && !w->stopped) {
            w->stopped = true;
            core_shutdown(w->core, w->now);
        }
        break;
    default:
        http_set_date(w->http, what * INT64_C(1000000007));
    }
    turn(w);
}

static void feed(struct world *w, bytes in, size_t piece)
{
    while (in.len > 0 && w->conn) {
        size_t n = in.len < piece ? in.len : piece;
        if (in.data[0] == 0xf0 && in.len > 1) {
            event(w, in.data[1]);
            n = 2;
        } else if (http_wants_input(w->conn)) {
            http_feed(w->conn, bytes_of(in.data, n), w->now);
            turn(w);
        }
        in = bytes_of(in.data + n, in.len - n);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct world w = {0};
    struct core_stats stats;
    if (len == 0 || len > 65536)
        return 0;
    open_world(&w);
    feed(&w, bytes_of(data + 1, len - 1), data[0] ? data[0] : 4096);
    w.log_held = w.takes_none = false;
    turn(&w);
    cut(&w);
    core_stats(w.core, &stats);
    must(stats.conns == 0 && stats.streams == 0 && stats.watch_streams == 0 && stats.held_bytes == 0);
    http_free(w.http);
    core_free(w.core);
    store_free(w.store);
    return 0;
}
