/* The core as a whole: making and freeing, the turn, numbers, shutdown. */
#include <stdlib.h>

#include "core/call.h"
#include "core/login.h"
#include "core/task.h"
#include "core/waiter.h"
#include "core/watching.h"
#include "store/auth.h"

/* Larger scratch memory than this is given back between two requests. */
#define SCRATCH_KEPT (1 << 20)

/* ---- life ---- */

static void fill_defaults(struct core_config *k)
{
    k->name = k->name ? k->name : "default";
    k->version = k->version ? k->version : "3.7.0";
    k->request_bytes_max = k->request_bytes_max ? k->request_bytes_max : 3 << 19;
    k->conns_max = k->conns_max ? k->conns_max : 10000;
    k->streams_max = k->streams_max ? k->streams_max : 100000;
    k->calls_max = k->calls_max ? k->calls_max : 200000;
    k->watches_max = k->watches_max ? k->watches_max : 100000;
    k->watch_bytes_max = k->watch_bytes_max ? k->watch_bytes_max : 256 << 20;
    k->conn_output_max = k->conn_output_max ? k->conn_output_max : 4 << 20;
    k->waiting_bytes_max = k->waiting_bytes_max ? k->waiting_bytes_max : 256 << 20;
    k->stall_ms_max = k->stall_ms_max ? k->stall_ms_max : 30000;
    k->idle_ms_max = k->idle_ms_max ? k->idle_ms_max : 10000;
    k->progress_ms = k->progress_ms ? k->progress_ms : 600000;
    k->retention_ms = k->retention_ms ? k->retention_ms : 3600000;
    k->token_ttl_ms = k->token_ttl_ms ? k->token_ttl_ms : 300000;
    k->tokens_max = k->tokens_max ? k->tokens_max : 100000;
    k->passwords_max = k->passwords_max ? k->passwords_max : 1000;
    k->ping_ms = k->ping_ms ? k->ping_ms : 2 * 3600000;
    k->ping_timeout_ms = k->ping_timeout_ms ? k->ping_timeout_ms : 20000;
}

int core_new(const struct core_config *config, struct core **ret)
{
    struct core *c = calloc(1, sizeof *c);
    if (!c)
        return TENURE_ENOMEM;
    c->config = *config;
    fill_defaults(&c->config);
    c->store = config->store;
    c->header = (struct response_header){
        .cluster_id = config->source_cluster ? config->source_cluster : store_cluster_id(c->store),
        .member_id = store_member_id(c->store),
        .raft_term = CORE_RAFT_TERM,
    };
    list_init(&c->conns);
    list_init(&c->dirty);
    list_init(&c->patient);
    list_init(&c->expected);
    heap_init(&c->notify);
    list_init(&c->progress);
    list_init(&c->tasks);
    list_init(&c->defragment.waiting);
    waiters_init(c);
    heap_init(&c->deadlines);
    gate_init(&c->gate);
    compaction_init(&c->compaction);
    fanout_init(&c->fanout);
    snapshots_init(&c->snapshots);
    map_init(&c->journal.doubtful);
    tokens_init(&c->tokens, c->config.token_ttl_ms, c->config.tokens_max);
    source_init(c);
    list_init(&c->logins);
    c->auth_swept = store_auth_changes(c->store);
    arena_init(&c->arena, 0);
    buf_init(&c->out);
    c->out.len_max = INT32_MAX; /* what gRPC clients take at most */
    journal_begin(c);
    compaction_committed(c);
    *ret = c;
    return 0;
}

struct core *core_free(struct core *c)
{
    if (!c)
        return NULL;
    heap_fini(&c->deadlines);
    heap_fini(&c->notify);
    compaction_fini(&c->compaction);
    waiters_fini(c);
    fanout_fini(&c->fanout);
    journal_fini(c);
    logins_fini(c);
    tokens_fini(&c->tokens);
    source_fini(c);
    arena_fini(&c->arena);
    buf_fini(&c->out);
    free(c);
    return NULL;
}

void core_scratch(struct core *c)
{
    arena_reset(&c->arena);
    if (c->out.cap > SCRATCH_KEPT) {
        size_t len_max = c->out.len_max;
        buf_fini(&c->out);
        buf_init(&c->out);
        c->out.len_max = len_max;
    }
    buf_reset(&c->out);
}

/* ---- the turn ---- */

void core_clock(struct core *c, tn_ms now)
{
    if (now > c->now)
        c->now = now;
}

void core_turn(struct core *c, tn_ms now)
{
    if (c->turned && now > c->asked + CORE_STALL_MS) {
        log_write(&c->config.log, LOG_WARN, "the process was held up: leases get that time on top", "ms=%lld",
                  (long long)(now - c->asked));
        store_lease_shift(c->store, now - c->asked);
        c->held_up_ms += now - c->asked;
    }
    c->turned = true;
    core_clock(c, now);
    c->asked = now + CORE_TURN_MS_MAX;
}

void core_run(struct core *c, tn_ms now)
{
    core_clock(c, now);
    now = c->now;
    expiry_run(c, now);
    deadline_run(c, now);
    compaction_run(c, now);
    source_run(c, now);
    tokens_expire(&c->tokens, now);
    watch_auth_run(c, now);
    fanout_run(c, now);
    waiters_run(c, now);
    progress_run(c, now);
    tasks_run(c, now);
    snapshots_run(c);
    conn_check_all(c, now);
    c->asked = core_deadline(c);
}

static tn_ms sooner(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms core_deadline(const struct core *c)
{
    struct heap_node *call = heap_first(&c->deadlines);
    tn_ms at = c->now + CORE_TURN_MS_MAX;
    at = sooner(at, c->fanout.more ? c->now : TN_MS_NEVER);
    at = sooner(at, call ? call->at : TN_MS_NEVER);
    at = sooner(at, expiry_deadline(c));
    at = sooner(at, compaction_deadline(c));
    at = sooner(at, progress_deadline(c));
    at = sooner(at, tasks_deadline(c));
    at = sooner(at, snapshots_deadline(c));
    at = sooner(at, watch_auth_deadline(c));
    at = sooner(at, waiters_deadline(c));
    at = sooner(at, source_deadline(c));
    return at > c->now ? at : c->now;
}

/* ---- numbers ---- */

void core_set_file_size(struct core *c, int64_t bytes, int64_t in_use)
{
    c->file_bytes = bytes;
    c->file_in_use = in_use;
    store_set_file_bytes(c->store, in_use);
}

/* ---- shutdown ---- */

/* Unary calls that wait for the log may still get their answer; nothing else can come. */
static void stop_conn(struct core_conn *conn)
{
    LIST_FOREACH(it, &conn->calls)
    {
        struct core_call *call = LIST_ENTRY(it, struct core_call, in_conn);
        if (call->method->is_stream || list_empty(&call->held))
            call_fail(call, ETCD_STOPPED);
    }
    h2_goaway(conn->h2);
    if (conn->fed == 0)
        conn->finished = true; /* it has said nothing yet, so it is told nothing */
    conn_touch(conn);
}

void core_shutdown(struct core *c, tn_ms now)
{
    core_clock(c, now);
    c->stopping = true;
    LIST_FOREACH(it, &c->conns)
    {
        stop_conn(LIST_ENTRY(it, struct core_conn, in_core));
    }
}

bool core_drained(const struct core *c)
{
    LIST_FOREACH(it, (struct list *)&c->conns)
    {
        const struct core_conn *conn = LIST_ENTRY(it, struct core_conn, in_core);
        if (!core_conn_finished(conn) && (h2_streams(conn->h2) > 0 || h2_wants_output(conn->h2)))
            return false;
    }
    bool leaving = !list_empty(&c->queue.leaving) || !list_empty(&c->queue.left);
    return list_empty(&c->gate.held) && !c->journal.in_flight && !leaving;
}
