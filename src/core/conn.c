/* Connections: bytes in, bytes out, and the bounds on both.
 *
 * Backpressure. What a connection has queued is bounded by conn_output_max and one reply more: past it watch streams block
 * (fanout), unary requests are put aside, and once the socket itself is stuck nothing more is read. When the queue has
 * fallen to half, all go on. Reading goes on while only the peer's flow-control window is shut, because the frame that opens
 * it must be read.
 *
 * A peer that takes nothing, leaves a request unfinished, or never says what it speaks, is dropped in time: by a clock that
 * stands still while this process does.
 */
#include <stdlib.h>

#include "core/call.h"
#include "core/task.h"
#include "core/watching.h"

#define PREFACE_BYTES       24
#define PARKED_BYTES_MAX(c) (4 * (c)->config.conn_output_max)

struct parked {
    struct list link;
    struct core_call *call;
    size_t len;
    uint8_t data[];
};

/* ---- events of the wire ---- */

static void on_request(void *user, struct h2_stream *st, const struct h2_request *req)
{
    h2_stream_set_user(st, NULL);
    dispatch_request(user, st, req);
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct core_conn *conn = user;
    struct core_call *call = h2_stream_user(st);
    if (call)
        dispatch_message(call, message, conn->core->now);
}

static void on_half_close(void *user, struct h2_stream *st)
{
    struct core_call *call = h2_stream_user(st);
    (void)user;
    if (call)
        dispatch_half_close(call);
}

static void on_close(void *user, struct h2_stream *st)
{
    struct core_call *call = h2_stream_user(st);
    (void)user;
    if (call)
        call_free(call);
}

static void on_drain(void *user, struct h2_stream *st)
{
    struct core_call *call = h2_stream_user(st);
    (void)user;
    if (call)
        snapshot_drained(call);
}

static const struct h2_callbacks callbacks = {
    .on_request = on_request,
    .on_message = on_message,
    .on_half_close = on_half_close,
    .on_close = on_close,
    .on_drain = on_drain,
};

/* ---- life ---- */

static void copy_peer(struct core_conn *conn, const char *peer)
{
    size_t len = strlen(peer);
    if (len >= sizeof conn->peer)
        len = sizeof conn->peer - 1;
    memcpy(conn->peer, peer, len);
}

struct core_conn *core_accept(struct core *c, const char *peer, void *user, tn_ms now)
{
    if (c->stopping || c->n_conns >= c->config.conns_max)
        return NULL;
    struct core_conn *conn = calloc(1, sizeof *conn);
    if (!conn)
        return NULL;
    struct h2_limits limits = {
        .streams_max = c->config.streams_max,
        .message_bytes_max = core_message_max(c),
    };
    conn->h2 = h2_server_new(&limits, &callbacks, conn);
    if (!conn->h2) {
        free(conn);
        return NULL;
    }
    conn->core = c;
    conn->user = user;
    conn->opened_at = conn->took_at = core_patience(c, now);
    list_init(&conn->in_dirty);
    list_init(&conn->calls);
    list_init(&conn->blocked);
    list_init(&conn->waiting);
    list_init(&conn->parked);
    prompt_init(conn);
    list_push_back(&c->conns, &conn->in_core);
    copy_peer(conn, peer);
    c->n_conns++;
    conn_touch(conn); /* its SETTINGS */
    return conn;
}

void core_remove(struct core_conn *conn)
{
    conn->finished = true;
    conn->h2 = h2_free(conn->h2);
    list_remove(&conn->in_core);
    list_remove(&conn->in_dirty);
    list_remove(&conn->prompt.in_expected);
    conn->core->n_conns--;
    conn->core->fed_before += conn->fed;
    free(conn->cert_user);
    free(conn);
}

void core_conn_set_cert_user(struct core_conn *conn, bytes common_name)
{
    free(conn->cert_user);
    conn->cert_user = NULL;
    if (common_name.len > 0)
        conn->cert_user = malloc(common_name.len);
    conn->cert_user_len = conn->cert_user ? common_name.len : 0;
    if (conn->cert_user)
        memcpy(conn->cert_user, common_name.data, common_name.len);
}

const char *core_conn_peer(const struct core_conn *conn)
{
    return conn->peer;
}

void *core_conn_user(const struct core_conn *conn)
{
    return conn->user;
}

bool core_conn_finished(const struct core_conn *conn)
{
    return conn->finished || h2_done(conn->h2) || (conn->broken && !h2_wants_output(conn->h2));
}

static void drop(struct core_conn *conn, const char *why)
{
    conn->finished = true;
    conn->core->dropped_total++;
    log_write(&conn->core->config.log, LOG_WARN, "connection dropped", "peer=%s why=\"%s\"", conn->peer, why);
    conn_touch(conn);
}

/* ---- what has something to write ---- */

static void put_dirty(struct core_conn *conn, struct list *after, bool is_patient)
{
    list_remove(&conn->in_dirty);
    list_push_front(after, &conn->in_dirty);
    conn->is_patient = is_patient;
}

void conn_touch(struct core_conn *conn)
{
    if (list_empty(&conn->in_dirty) || conn->is_patient)
        put_dirty(conn, conn->core->dirty.prev, false);
}

void conn_touch_first(struct core_conn *conn)
{
    put_dirty(conn, &conn->core->dirty, false);
}

void conn_touch_patiently(struct core_conn *conn)
{
    if (list_empty(&conn->in_dirty))
        put_dirty(conn, conn->core->patient.prev, true);
}

static struct core_conn *take_dirty(struct list *from)
{
    if (list_empty(from))
        return NULL;
    struct core_conn *conn = LIST_ENTRY(from->next, struct core_conn, in_dirty);
    list_remove(&conn->in_dirty);
    return conn;
}

struct core_conn *core_next_urgent(struct core *c)
{
    return take_dirty(&c->dirty);
}

struct core_conn *core_next_dirty(struct core *c)
{
    struct core_conn *conn = take_dirty(&c->dirty);
    return conn ? conn : take_dirty(&c->patient);
}

/* ---- input ---- */

void core_feed(struct core_conn *conn, bytes in, tn_ms now)
{
    struct tenure_error err;
    if (conn->finished || conn->broken)
        return;
    core_clock(conn->core, now);
    conn->fed += in.len;
    if (h2_feed(conn->h2, in, core_patience(conn->core, now), &err) < 0) {
        conn->broken = true;
        log_write(&conn->core->config.log, LOG_DEBUG, "connection broken by its peer", "peer=%s error=\"%s\"",
                  conn->peer, err.text);
        conn_touch(conn);
    } else if (h2_wants_output(conn->h2)) {
        conn_touch_patiently(conn); /* what is more than an acknowledgement has touched it already */
    }
}

bool conn_is_full(const struct core_conn *conn)
{
    return h2_queued(conn->h2) >= conn->core->config.conn_output_max;
}

bool core_wants_input(const struct core_conn *conn)
{
    if (conn->finished || conn->broken)
        return false;
    return !conn_is_full(conn) || !h2_wants_output(conn->h2);
}

/* ---- room ---- */

bool conn_park(struct core_call *call, bytes message)
{
    struct core_conn *conn = call->conn;
    if (conn->parked_bytes + message.len > PARKED_BYTES_MAX(conn->core))
        return false;
    struct parked *p = malloc(sizeof *p + message.len);
    if (!p)
        return false;
    p->call = call;
    p->len = message.len;
    if (message.len)
        memcpy(p->data, message.data, message.len);
    conn->parked_bytes += p->len;
    list_push_back(&conn->parked, &p->link);
    call->parked = p;
    return true;
}

void conn_unpark(struct core_call *call)
{
    struct parked *p = call->parked;
    if (!p)
        return;
    call->parked = NULL;
    call->conn->parked_bytes -= p->len;
    list_remove(&p->link);
    free(p);
}

static void run_parked(struct core_conn *conn, tn_ms now)
{
    while (!list_empty(&conn->parked) && !conn_is_full(conn)) {
        struct parked *p = LIST_ENTRY(conn->parked.next, struct parked, link);
        struct core_call *call = p->call;
        /* The request must outlive its function, and the call may end in it. */
        call->parked = NULL;
        conn->parked_bytes -= p->len;
        list_remove(&p->link);
        core_scratch(conn->core);
        dispatch_run(call, bytes_of(p->data, p->len), now);
        free(p);
    }
}

static void make_room(struct core_conn *conn, tn_ms now)
{
    if (list_empty(&conn->blocked) && list_empty(&conn->parked) && list_empty(&conn->waiting))
        return;
    if (h2_queued(conn->h2) > conn->core->config.conn_output_max / 2)
        return;
    LIST_FOREACH_SAFE(it, &conn->blocked)
    {
        watch_unblock(LIST_ENTRY(it, struct watch_stream, in_blocked));
    }
    tasks_resume(conn);
    run_parked(conn, now);
}

/* ---- output ---- */

void core_output(struct core_conn *conn, struct buf *out, size_t bytes_max, tn_ms now)
{
    size_t before = out->len;
    if (conn->finished)
        return;
    if (h2_output(conn->h2, out, bytes_max) < 0) {
        drop(conn, "out of memory");
        return;
    }
    if (out->len > before)
        conn->took_at = core_patience(conn->core, now);
    make_room(conn, now);
}

/* ---- peers that do not keep up ---- */

static void ask(struct core_conn *conn, tn_ms now)
{
    conn->pinged = true;
    conn->heard_at = now; /* the time to answer begins */
    if (h2_ping(conn->h2, 0) < 0)
        drop(conn, "out of memory");
    conn_touch(conn);
}

/* A peer whose machine or network is gone says nothing and breaks nothing: only asking finds out. */
static void check_silence(struct core_conn *conn, tn_ms now)
{
    const struct core_config *config = &conn->core->config;
    if (conn->fed != conn->heard) {
        conn->heard = conn->fed;
        conn->heard_at = now;
        conn->pinged = false;
    } else if (!h2_established(conn->h2) || config->ping_ms < 0) {
        return;
    } else if (!conn->pinged && now - conn->heard_at >= config->ping_ms) {
        ask(conn, now);
    } else if (conn->pinged && config->ping_timeout_ms >= 0 && now - conn->heard_at >= config->ping_timeout_ms) {
        drop(conn, "it does not answer");
    }
}

static void conn_check(struct core_conn *conn, tn_ms now)
{
    const struct core_config *config = &conn->core->config;
    if (conn->finished)
        return;
    if (h2_queued(conn->h2) == 0 && !conn->broken) /* else a GOAWAY, which is not counted, has still to leave */
        conn->took_at = now;
    if (conn->fed < PREFACE_BYTES && now - conn->opened_at >= config->idle_ms_max)
        drop(conn, "it never said what it speaks");
    else if (now - conn->took_at >= config->stall_ms_max)
        drop(conn, "it takes nothing of what it asked for");
    else if (h2_input_stalled(conn->h2, now - config->stall_ms_max))
        drop(conn, "it left a request unfinished");
    else
        check_silence(conn, now);
}

void conn_check_all(struct core *c, tn_ms now)
{
    if (now < c->next_conn_check)
        return;
    c->next_conn_check = now + 1000;
    LIST_FOREACH(it, &c->conns)
    {
        conn_check(LIST_ENTRY(it, struct core_conn, in_core), core_patience(c, now));
    }
}
