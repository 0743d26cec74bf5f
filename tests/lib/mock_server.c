/* See mock_server.h. The servers are the wire engine's server role: connections, bytes and the client's turn; what they answer is in
 * mock_requests.c, what tests do to them in mock_console.c. */
#include "mock_machine.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- small things ---- */

bytes mock_dup_bytes(bytes s)
{
    uint8_t *copy = malloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return bytes_of(copy, s.len);
}

bool mock_ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && strcmp(s + n - m, end) == 0;
}

static void enter(struct world *w)
{
    if (w->enter)
        w->enter(w->hook_user);
}

static void leave(struct world *w)
{
    if (w->leave)
        w->leave(w->hook_user);
}

struct response_header mock_header_of(const struct world *w)
{
    return (struct response_header){
        .cluster_id = w->cluster ? w->cluster : 7, .member_id = 1, .revision = w->revision, .raft_term = 2};
}

/* ---- network ---- */

/* Bytes of one direction stay in order, also when the latency falls. */
static void push_chunk(struct server_conn *conn, bool to_client, bytes data)
{
    struct chunk *k = malloc(sizeof *k + data.len);
    tn_ms due = conn->w->now + conn->w->endpoints[conn->endpoint].latency_ms;
    tn_ms *last = to_client ? &conn->to_client_due : &conn->to_server_due;
    *last = due > *last ? due : *last;
    *k = (struct chunk){.to_client = to_client, .due = *last, .len = data.len};
    memcpy(k->data, data.data, data.len);
    list_push_back(&conn->chunks, &k->link);
}

static void drop_chunks(struct server_conn *conn)
{
    while (!list_empty(&conn->chunks)) {
        struct chunk *k = LIST_ENTRY(conn->chunks.next, struct chunk, link);
        list_remove(&k->link);
        free(k);
    }
}

static void server_flush(struct server_conn *conn)
{
    struct buf out;
    buf_init(&out);
    while (!conn->dead && h2_wants_output(conn->h2)) {
        buf_reset(&out);
        if (h2_output(conn->h2, &out, 1 << 20) || out.len == 0)
            break;
        push_chunk(conn, true, buf_bytes(&out));
    }
    buf_fini(&out);
}

static void conn_free(struct server_conn *conn)
{
    drop_chunks(conn);
    h2_free(conn->h2);
    list_remove(&conn->link);
    free(conn);
}

void mock_conn_die(struct server_conn *conn)
{
    conn->dead = true;
}

/* ---- rules ---- */

static struct mock_rule *find_rule(struct server_stream *s)
{
    struct world *w = s->conn->w;
    for (size_t i = 0; i < w->n_rules; i++) {
        struct mock_rule *r = &w->rules[i];
        if (r->times == 0 || (r->path && !mock_ends_with(s->path, r->path)))
            continue;
        if (r->endpoint >= 0 && (size_t)r->endpoint != s->conn->endpoint)
            continue;
        r->times -= r->times > 0;
        return r;
    }
    return NULL;
}

void mock_conn_say(struct server_conn *conn, bytes raw)
{
    server_flush(conn);
    push_chunk(conn, true, raw);
}

/* The wire engine's server role has no reason to say this, so the frame is made by hand. */
static void refuse_stream(struct server_stream *s)
{
    uint32_t id = h2_stream_id(s->st);
    uint8_t frame[] = {0,           0, 4, 3, 0, (uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                       (uint8_t)id, 0, 0, 0, 7};
    push_chunk(s->conn, true, bytes_of(frame, sizeof frame));
}

static void obey(struct server_stream *s, const struct mock_rule *r, bytes message)
{
    switch (r->act) {
    case MOCK_APPLY_ERROR:
        mock_apply_only(s, message);
        mock_finish(s, r->status, r->text);
        break;
    case MOCK_ANSWER:
        mock_finish(s, r->status, r->text);
        break;
    case MOCK_IGNORE:
        break;
    case MOCK_APPLY_MUTE:
        mock_apply_only(s, message);
        break;
    case MOCK_APPLY_CUT:
        mock_apply_only(s, message);
        mock_conn_die(s->conn);
        break;
    case MOCK_CUT:
        mock_conn_die(s->conn);
        break;
    case MOCK_RESET:
        h2_reset(s->st);
        break;
    case MOCK_REFUSE:
        refuse_stream(s);
        break;
    case MOCK_GOAWAY:
        h2_goaway(s->conn->h2);
        mock_handle_message(s, message);
        break;
    case MOCK_GARBAGE:
        push_chunk(s->conn, true, bytes_str("\xff\xff\xff\xff this is not a frame at all, it is nonsense"));
        break;
    case MOCK_BAD_MESSAGE:
        assert_int_equal(h2_send_message(s->st, bytes_str("\xff\xff\xff\xff\xff")), 0);
        mock_finish(s, GRPC_OK, "");
        break;
    case MOCK_NO_MESSAGE:
        mock_finish(s, GRPC_OK, "");
        break;
    case MOCK_LATE:
        buf_append_bytes(&s->late, message);
        s->late_at = s->conn->w->now + r->delay_ms;
        break;
    }
}

/* ---- the wire engine's callbacks ---- */

static void note_header(const struct h2_request *req, const char *name, char *out, size_t size)
{
    for (size_t i = 0; i < req->n_headers; i++)
        if (bytes_equal(req->headers[i].name, bytes_str(name)))
            snprintf(out, size, "%.*s", (int)req->headers[i].value.len, (const char *)req->headers[i].value.data);
}

static void note_request(struct server_conn *conn, const struct h2_request *req, const char *path)
{
    struct world *w = conn->w;
    assert_true(w->n_requests < MOCK_REQUESTS_MAX);
    struct mock_request *r = &w->requests[w->n_requests++];
    *r = (struct mock_request){.endpoint = (int)conn->endpoint, .at = w->now, .timeout_ms = req->timeout_ms};
    snprintf(r->path, sizeof r->path, "%s", path);
    for (size_t i = 0; i < req->n_headers; i++)
        r->leader_needed |= bytes_equal(req->headers[i].name, bytes_str("hasleader")) &&
                            bytes_equal(req->headers[i].value, bytes_str("true"));
    note_header(req, "token", r->token, sizeof r->token);
    note_header(req, "traceparent", r->traceparent, sizeof r->traceparent);
    note_header(req, "tracestate", r->tracestate, sizeof r->tracestate);
}

static void on_request(void *user, struct h2_stream *st, const struct h2_request *req)
{
    struct server_conn *conn = user;
    struct server_stream *s = calloc(1, sizeof *s);
    s->conn = conn;
    s->st = st;
    s->late_at = TN_MS_NEVER;
    buf_init(&s->late);
    snprintf(s->path, sizeof s->path, "%.*s", (int)req->path.len, (const char *)req->path.data);
    list_push_back(&conn->streams, &s->link);
    h2_stream_set_user(st, s);
    note_request(conn, req, s->path);
    snprintf(s->token, sizeof s->token, "%s", conn->w->requests[conn->w->n_requests - 1].token);
}

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct server_stream *s = h2_stream_user(st);
    struct server_conn *conn = user;
    if (conn->dead)
        return;
    const struct mock_rule *r = find_rule(s);
    if (r)
        obey(s, r, message);
    else
        mock_handle_message(s, message);
}

static void on_half_close(void *user, struct h2_stream *st)
{
    struct server_stream *s = h2_stream_user(st);
    (void)user;
    if (mock_ends_with(s->path, "/LeaseKeepAlive") || mock_ends_with(s->path, "/Watch"))
        mock_finish(s, GRPC_OK, "");
}

static void on_close(void *user, struct h2_stream *st)
{
    struct server_stream *s = h2_stream_user(st);
    struct server_conn *conn = user;
    conn->w->n_streams_reset++;
    for (size_t i = 0; i < s->n_watchers; i++)
        mock_watcher_free(s->watchers[i]);
    buf_fini(&s->late);
    list_remove(&s->link);
    free(s);
}

static const struct h2_callbacks callbacks = {
    .on_request = on_request, .on_message = on_message, .on_half_close = on_half_close, .on_close = on_close};

/* ---- connections ---- */

static void connect_to(struct world *w, const struct client_io *io)
{
    struct server_conn *conn = calloc(1, sizeof *conn);
    conn->w = w;
    conn->number = io->conn;
    while (strcmp(w->endpoints[conn->endpoint].url, io->endpoint) != 0)
        conn->endpoint++;
    struct mock_endpoint *e = &w->endpoints[conn->endpoint];
    e->connects++;
    list_init(&conn->chunks);
    list_init(&conn->streams);
    conn->connect_due = e->reach == MOCK_BLACKHOLE ? TN_MS_NEVER : w->now + 2 * e->latency_ms;
    conn->trickle_at = w->now;
    list_push_back(&w->conns, &conn->link);
}

static struct server_conn *find_conn(struct world *w, uint32_t number)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        if (conn->number == number)
            return conn;
    }
    return NULL;
}

/* The client's side is told; the server's side is gone at once. */
static void end_conn(struct world *w, struct server_conn *conn, const char *why)
{
    uint32_t number = conn->number;
    bool open = conn->open;
    conn_free(conn);
    enter(w);
    if (open)
        client_disconnected(w->client, number, why, w->now);
    else
        client_connect_failed(w->client, number, why, w->now);
    leave(w);
}

static bool step_connect(struct world *w, struct server_conn *conn)
{
    struct mock_endpoint *e = &w->endpoints[conn->endpoint];
    if (conn->open || conn->connect_due > w->now)
        return false;
    if (e->reach == MOCK_REFUSES) {
        end_conn(w, conn, "connection refused");
        return true;
    }
    conn->h2 = h2_server_new(NULL, &callbacks, conn);
    assert_non_null(conn->h2);
    conn->open = true;
    e->accepts++;
    uint32_t number = conn->number;
    enter(w);
    client_connected(w->client, number, w->now);
    leave(w);
    return true;
}

/* ---- bytes ---- */

static bool is_mute(const struct server_conn *conn)
{
    const struct mock_endpoint *e = &conn->w->endpoints[conn->endpoint];
    return e->swallows || e->reach == MOCK_STOPPED || e->reach == MOCK_BLACKHOLE;
}

/* Takes from the allowance of the cut; answers how much may pass. */
static size_t pass(struct world *w, size_t *cut, size_t len, bool *ret_cut)
{
    *ret_cut = false;
    if (*cut == SIZE_MAX)
        return len;
    if (len < *cut) {
        *cut -= len;
        return len;
    }
    size_t n = *cut;
    *cut = SIZE_MAX;
    *ret_cut = w->cut_happened = true;
    return n;
}

static void count_pings(struct server_conn *conn, bytes in)
{
    static const uint8_t ping[] = {0, 0, 8, 6, 0};
    for (size_t i = 0; i + sizeof ping <= in.len; i++)
        conn->w->endpoints[conn->endpoint].pings += memcmp(in.data + i, ping, sizeof ping) == 0;
}

static void to_server(struct world *w, struct server_conn *conn, bytes in)
{
    struct tenure_error err;
    bool cut;
    size_t n = pass(w, &w->cut_to_server, in.len, &cut);
    count_pings(conn, in);
    if (n > 0 && h2_feed(conn->h2, bytes_of(in.data, n), w->now, &err))
        mock_conn_die(conn);
    if (cut) {
        mock_conn_die(conn);
        drop_chunks(conn);
        return;
    }
    server_flush(conn);
}

static void to_client(struct world *w, struct server_conn *conn, bytes in)
{
    bool cut;
    size_t n = pass(w, &w->cut_to_client, in.len, &cut);
    uint32_t number = conn->number;
    if (n > 0) {
        enter(w);
        client_feed(w->client, number, bytes_of(in.data, n), w->now);
        leave(w);
    }
    if (cut) {
        mock_conn_die(conn);
        drop_chunks(conn);
    }
}

static bool step_trickle(struct world *w, struct server_conn *conn, struct chunk *k, size_t bytes_max)
{
    if (conn->trickle_at > w->now)
        return false;
    conn->trickle_at = w->now + TRICKLE_MS;
    size_t n = k->len < bytes_max ? k->len : bytes_max;
    uint8_t part[256];
    assert_true(n <= sizeof part);
    memcpy(part, k->data, n);
    memmove(k->data, k->data + n, k->len - n);
    k->len -= n;
    if (k->len == 0) {
        list_remove(&k->link);
        free(k);
    }
    to_client(w, conn, bytes_of(part, n));
    return true;
}

static bool step_chunk(struct world *w, struct server_conn *conn)
{
    size_t trickle = w->endpoints[conn->endpoint].trickle;
    LIST_FOREACH(it, &conn->chunks)
    {
        struct chunk *k = LIST_ENTRY(it, struct chunk, link);
        if (k->due > w->now)
            continue;
        if (k->to_client && trickle) {
            if (step_trickle(w, conn, k, trickle))
                return true;
            continue;
        }
        list_remove(&k->link);
        if (is_mute(conn) || conn->lossy)
            conn->lossy = true; /* TCP loses nothing in the middle: from here on nothing comes through */
        else if (k->to_client)
            to_client(w, conn, bytes_of(k->data, k->len));
        else
            to_server(w, conn, bytes_of(k->data, k->len));
        free(k);
        return true;
    }
    return false;
}

static bool step_late(struct world *w, struct server_conn *conn)
{
    LIST_FOREACH(it, &conn->streams)
    {
        struct server_stream *s = LIST_ENTRY(it, struct server_stream, link);
        if (s->late_at > w->now)
            continue;
        s->late_at = TN_MS_NEVER;
        mock_handle_message(s, buf_bytes(&s->late));
        buf_reset(&s->late);
        return true;
    }
    return false;
}

static bool has_to_client(const struct server_conn *conn)
{
    LIST_FOREACH(it, &conn->chunks)
    {
        if (LIST_ENTRY(it, struct chunk, link)->to_client)
            return true;
    }
    return false;
}

/* One thing that can happen now on this connection. */
static bool step_conn(struct world *w, struct server_conn *conn)
{
    if (step_connect(w, conn))
        return true;
    if (!conn->open)
        return false;
    if (!conn->dead && step_late(w, conn))
        return true;
    if (!conn->dead)
        server_flush(conn);
    if (step_chunk(w, conn))
        return true;
    if (conn->dead && !has_to_client(conn)) {
        end_conn(w, conn, NULL);
        return true;
    }
    return false;
}

static bool step_any(struct world *w)
{
    LIST_FOREACH(it, &w->conns)
    {
        if (step_conn(w, LIST_ENTRY(it, struct server_conn, link)))
            return true;
    }
    return false;
}

/* ---- the client's turn ---- */

static bool client_io(struct world *w)
{
    struct client_io io;
    bool any = false;
    for (;;) {
        enter(w);
        bool one = client_next_io(w->client, &io);
        leave(w);
        if (!one)
            return any;
        any = true;
        struct server_conn *conn = find_conn(w, io.conn);
        if (io.kind == CLIENT_IO_CONNECT)
            connect_to(w, &io);
        else if (conn)
            conn_free(conn);
    }
}

static bool client_write(struct world *w)
{
    uint32_t number;
    struct buf out;
    bool any = false;
    buf_init(&out);
    buf_append(&out, NULL, 0);
    while ((number = client_next_dirty(w->client)) != 0) {
        struct server_conn *conn = find_conn(w, number);
        buf_reset(&out);
        uint8_t *room = buf_reserve(&out, 1 << 17); /* so that the client need not allocate in it */
        assert_non_null(room);
        enter(w);
        client_output(w->client, number, &out, 1 << 16, w->now);
        leave(w);
        if (conn && conn->open && out.len)
            push_chunk(conn, false, buf_bytes(&out));
        any |= out.len > 0;
    }
    buf_fini(&out);
    return any;
}

static bool client_turn(struct world *w)
{
    w->turns++;
    enter(w);
    client_tick(w->client, w->now);
    leave(w);
    bool any = client_io(w);
    any |= client_write(w);
    any |= client_io(w);
    enter(w);
    any |= client_deliver(w->client);
    leave(w);
    return any;
}

void world_settle(struct world *w)
{
    for (size_t turns = 0;; turns++) {
        assert_true(turns < TURNS_MAX); /* the client spins */
        bool any = client_turn(w);
        while (step_any(w))
            any = true;
        if (!any)
            break;
    }
    assert_true(client_deadline(w->client) > w->now);
}

static tn_ms next_event(struct world *w)
{
    tn_ms at = client_deadline(w->client);
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        if (!conn->open && conn->connect_due < at)
            at = conn->connect_due;
        LIST_FOREACH(js, &conn->chunks)
        {
            const struct chunk *k = LIST_ENTRY(js, struct chunk, link);
            tn_ms due = k->due;
            if (k->to_client && w->endpoints[conn->endpoint].trickle && conn->trickle_at > due)
                due = conn->trickle_at;
            at = due < at ? due : at;
        }
        LIST_FOREACH(js, &conn->streams)
        {
            const struct server_stream *s = LIST_ENTRY(js, struct server_stream, link);
            at = s->late_at < at ? s->late_at : at;
        }
    }
    return at;
}

bool world_until(struct world *w, const bool *flag, int64_t ms)
{
    tn_ms end = w->now + ms;
    for (;;) {
        world_settle(w);
        if (flag && *flag)
            return true;
        tn_ms at = next_event(w);
        if (at > end || w->now >= end)
            break;
        w->now = at > w->now ? at : w->now + 1;
    }
    w->now = end;
    world_settle(w);
    return flag && *flag;
}

void world_run(struct world *w, int64_t ms)
{
    world_until(w, NULL, ms);
}

/* ---- life ---- */

int world_try_init(struct world *w, size_t n, const struct client_config *config, uint64_t seed)
{
    static const char *urls[MOCK_ENDPOINTS_MAX] = {"http://e0:1", "http://e1:1", "http://e2:1", "http://e3:1"};
    struct client_config c = config ? *config : (struct client_config){0};
    struct tenure_error err;
    assert_true(n <= MOCK_ENDPOINTS_MAX);
    w->now = 1000000;
    w->revision = 10;
    w->lease_ttl_s = 10;
    w->next_lease = 1000;
    w->cut_to_server = w->cut_to_client = SIZE_MAX;
    w->n_endpoints = n;
    list_init(&w->conns);
    for (size_t i = 0; i < n; i++)
        snprintf(w->endpoints[i].url, sizeof w->endpoints[i].url, "%s", urls[i]);
    c.endpoints = urls;
    c.n_endpoints = n;
    rng_init(&c.seed, seed);
    enter(w);
    int rc = client_new(&c, w->now, &w->client, &err);
    leave(w);
    return rc;
}

void world_init(struct world *w, size_t n, const struct client_config *config, uint64_t seed)
{
    memset(w, 0, sizeof *w);
    assert_int_equal(world_try_init(w, n, config, seed), 0);
}

void world_fini(struct world *w)
{
    enter(w);
    w->client = client_free(w->client);
    leave(w);
    while (!list_empty(&w->conns))
        conn_free(LIST_ENTRY(w->conns.next, struct server_conn, link));
    for (size_t i = 0; i < w->n_events; i++) {
        free((void *)w->events[i].kv.key.data);
        free((void *)w->events[i].kv.value.data);
    }
    w->n_events = 0;
}
