/* The world of core_fixture.h. Its turn does what the server's driver does, in the same order. */
#include "core_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OUTPUT_MAX 65536
#define TURNS_MAX  100000

/* ---- the clients' side of the wire ---- */

static void on_message(void *user, struct h2_stream *st, bytes message)
{
    struct call *call = h2_stream_user(st);
    (void)user;
    call->messages = realloc(call->messages, (call->n_messages + 1) * sizeof *call->messages);
    assert_non_null(call->messages);
    struct buf *b = &call->messages[call->n_messages++];
    buf_init(b);
    buf_append_bytes(b, message);
}

static void on_status(void *user, struct h2_stream *st, enum grpc_status status, bytes text)
{
    struct call *call = h2_stream_user(st);
    (void)user;
    assert_false(call->has_status);
    call->has_status = true;
    call->status = status;
    snprintf(call->text, sizeof call->text, "%.*s", (int)text.len, text.len ? (const char *)text.data : "");
}

static void on_close(void *user, struct h2_stream *st)
{
    struct call *call = h2_stream_user(st);
    (void)user;
    call->closed = true;
    call->stream = NULL;
}

static const struct h2_callbacks client_callbacks = {
    .on_message = on_message, .on_status = on_status, .on_close = on_close};

/* ---- the lease mapping ---- */

static struct world_lease *lease_slot(struct world *w, tn_lease id)
{
    struct world_lease *free_slot = NULL;
    for (size_t i = 0; i < WORLD_LEASES_MAX; i++) {
        if (w->leases[i].id == id)
            return &w->leases[i];
        if (w->leases[i].id == 0 && !free_slot)
            free_slot = &w->leases[i];
    }
    return free_slot;
}

static void on_lease_store(void *user, tn_lease id, tn_ms deadline)
{
    struct world_lease *slot = lease_slot(user, id);
    if (slot)
        *slot = (struct world_lease){id, deadline};
}

static void on_lease_forget(void *user, tn_lease id)
{
    struct world_lease *slot = lease_slot(user, id);
    if (slot && slot->id == id)
        *slot = (struct world_lease){0, 0};
}

tn_ms world_lease(const struct world *w, tn_lease id)
{
    const struct world_lease *slot = lease_slot((struct world *)w, id);
    return slot && slot->id == id ? slot->deadline : 0;
}

/* ---- passwords ---- */

static void do_password(struct world *w, struct core_password *job)
{
    char hash[CORE_HASH_MAX];
    snprintf(hash, sizeof hash, "hash of %s", job->password);
    if (job->kind == CORE_PASSWORD_HASH)
        memcpy(job->hash, hash, sizeof hash);
    job->result = strcmp(hash, job->hash) == 0 ? CORE_PASSWORD_OK : CORE_PASSWORD_WRONG;
    core_password_done(w->core, job, w->now);
}

static bool on_password(void *user, struct core_password *job)
{
    struct world *w = user;
    if (w->passwords_refused || w->n_jobs == WORLD_JOBS_MAX)
        return false;
    w->jobs_total++;
    if (w->passwords_held)
        w->jobs[w->n_jobs++] = job;
    else
        do_password(w, job);
    return true;
}

void world_do_passwords(struct world *w)
{
    size_t n = w->n_jobs;
    w->n_jobs = 0;
    for (size_t i = 0; i < n; i++)
        do_password(w, w->jobs[i]);
}

/* ---- life ---- */

static void settle_identity(struct world *w)
{
    size_t n;
    const struct record *rows = store_outbox(w->store, 100, &n);
    if (n)
        store_commit(w->store, rows[n - 1].seq);
}

struct world *world_new(const struct world_options *options)
{
    struct world_options o = {0};
    struct rng seed;
    struct tenure_error err;
    if (options)
        o = *options;
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    w->now = 1000000;
    arena_init(&w->arena, 0);
    rng_init(&seed, 7);
    o.store.cluster_id = o.store.cluster_id ? o.store.cluster_id : 0xc1;
    o.store.member_id = o.store.member_id ? o.store.member_id : 0xe1;
    assert_int_equal(store_new(&o.store, &seed, &w->store), 0);
    assert_int_equal(store_ready(w->store, w->now, &err), 0);
    settle_identity(w);
    o.core.store = w->store;
    o.core.seed = seed;
    o.core.lease_store = on_lease_store;
    o.core.lease_forget = on_lease_forget;
    o.core.password_submit = on_password;
    o.core.user = w;
    o.core.retention_ms = o.core.retention_ms ? o.core.retention_ms : -1;
    assert_int_equal(core_new(&o.core, &w->core), 0);
    return w;
}

static void call_free_messages(struct call *call)
{
    for (size_t i = 0; i < call->n_messages; i++)
        buf_fini(&call->messages[i]);
    free(call->messages);
    free(call);
}

void world_free(struct world *w)
{
    for (size_t i = 0; i < w->n_clients; i++)
        client_cut(&w->clients[i]);
    for (size_t i = 0; i < w->n_calls; i++)
        call_free_messages(w->calls[i]);
    core_free(w->core);
    store_free(w->store);
    arena_fini(&w->arena);
    free(w);
}

struct client *client_new(struct world *w)
{
    assert_true(w->n_clients < WORLD_CLIENTS_MAX);
    struct client *c = &w->clients[w->n_clients++];
    struct h2_limits limits = {0};
    c->world = w;
    c->h2 = h2_client_new(&limits, &client_callbacks, c);
    assert_non_null(c->h2);
    core_turn(w->core, w->now);
    c->conn = core_accept(w->core, "memory", c, w->now);
    return c;
}

void client_cut(struct client *c)
{
    if (c->conn)
        core_remove(c->conn);
    c->conn = NULL;
    c->h2 = h2_free(c->h2);
}

/* ---- the turn ---- */

/* Answers whether anything moved. */
static bool client_to_server(struct client *c)
{
    struct buf b;
    if (!c->conn || !c->h2 || c->mute || !core_wants_input(c->conn))
        return false;
    buf_init(&b);
    assert_int_equal(h2_output(c->h2, &b, OUTPUT_MAX), 0);
    bool moved = b.len > 0;
    if (moved)
        core_feed(c->conn, buf_bytes(&b), c->world->now);
    buf_fini(&b);
    return moved;
}

static bool server_to_client(struct client *c)
{
    struct tenure_error err;
    struct buf b;
    if (!c->conn)
        return false;
    buf_init(&b);
    if (!c->deaf)
        core_output(c->conn, &b, OUTPUT_MAX, c->world->now);
    bool moved = b.len > 0;
    c->received += b.len;
    if (moved && c->h2)
        (void)!h2_feed(c->h2, buf_bytes(&b), c->world->now, &err);
    buf_fini(&b);
    if (core_conn_finished(c->conn)) {
        core_remove(c->conn);
        c->conn = NULL;
        c->dropped = true;
        return true;
    }
    return moved;
}

static void finish_batch(struct world *w)
{
    w->in_flight = false;
    if (w->outcome == CORE_APPLIED)
        w->deletes_total += w->batch_deletes;
    core_written(w->core, w->outcome, w->outcome == CORE_APPLIED ? w->batch_seq : store_seq(w->store), w->now);
}

static bool log_turn(struct world *w)
{
    struct core_batch b;
    if (w->in_flight || !core_batch(w->core, &b, 1000))
        return false;
    w->in_flight = true;
    w->done_at = w->now + w->log_ms;
    w->batch_seq = b.n_rows ? b.rows[b.n_rows - 1].seq : store_seq(w->store);
    w->batch_rows = b.n_rows;
    w->batch_deletes = b.n_deletes;
    w->batches++;
    return true;
}

static bool turn(struct world *w)
{
    bool moved = false;
    core_turn(w->core, w->now);
    for (size_t i = 0; i < w->n_clients; i++)
        moved |= client_to_server(&w->clients[i]);
    if (w->in_flight && !w->log_held && w->done_at <= w->now) {
        finish_batch(w);
        moved = true;
    }
    core_run(w->core, w->now);
    w->defragmenting |= core_wants_defragment(w->core);
    if (w->defragmenting && !w->log_held) {
        w->defragmenting = false;
        core_defragmented(w->core, NULL, w->now);
        moved = true;
    }
    moved |= log_turn(w);
    while (core_next_dirty(w->core))
        ;
    for (size_t i = 0; i < w->n_clients; i++)
        moved |= server_to_client(&w->clients[i]);
    return moved || core_deadline(w->core) <= w->now;
}

void world_turn(struct world *w)
{
    (void)turn(w);
}

void world_settle(struct world *w)
{
    for (int i = 0; turn(w); i++)
        assert_true(i < TURNS_MAX);
}

static tn_ms next_event(const struct world *w, tn_ms until)
{
    tn_ms at = core_deadline(w->core);
    if (w->in_flight && !w->log_held && w->done_at < at)
        at = w->done_at;
    at = at < until ? at : until;
    return at > w->now ? at : w->now + 1;
}

void world_pass(struct world *w, int64_t ms)
{
    tn_ms until = w->now + ms;
    world_settle(w);
    while (w->now < until) {
        w->now = next_event(w, until);
        world_settle(w);
    }
}

void world_stop(struct world *w, int64_t ms)
{
    w->now += ms;
}

void world_release(struct world *w, enum core_outcome outcome)
{
    w->log_held = false;
    w->outcome = outcome;
    w->done_at = w->now;
    world_turn(w);
    w->outcome = CORE_APPLIED;
    world_settle(w);
}

/* ---- calls ---- */

static struct call *begin_call(struct client *c, const char *path, int64_t timeout_ms, const struct h2_header *headers,
                               size_t n)
{
    struct world *w = c->world;
    assert_true(w->n_calls < WORLD_CALLS_MAX);
    struct call *call = calloc(1, sizeof *call);
    assert_non_null(call);
    w->calls[w->n_calls++] = call;
    call->client = c;
    call->stream = h2_call(c->h2, path, "localhost", timeout_ms, headers, n, call);
    assert_non_null(call->stream);
    return call;
}

struct call *client_call(struct client *c, const char *path, int64_t timeout_ms)
{
    struct h2_header token = {bytes_str("token"), bytes_str(c->token)};
    return begin_call(c, path, timeout_ms, &token, c->token != NULL);
}

struct call *client_call_with(struct client *c, const char *path, const struct h2_header *headers, size_t n)
{
    return begin_call(c, path, -1, headers, n);
}

void call_say(struct call *call, struct buf *message)
{
    assert_int_equal(buf_error(message), 0);
    assert_non_null(call->stream);
    assert_int_equal(h2_send_message(call->stream, buf_bytes(message)), 0);
    buf_fini(message);
}

void call_half_close(struct call *call)
{
    assert_int_equal(h2_half_close(call->stream), 0);
}

void call_cancel(struct call *call)
{
    h2_reset(call->stream);
}

bytes call_next(struct call *call)
{
    if (call->taken == call->n_messages)
        return bytes_of(NULL, 0);
    struct buf *b = &call->messages[call->taken++];
    return bytes_of(b->data ? b->data : (const uint8_t *)"", b->len);
}

struct call *client_ask(struct client *c, const char *path, struct buf *message)
{
    struct call *call = client_call(c, path, -1);
    call_say(call, message);
    call_half_close(call);
    return call;
}

#define REQUEST(encode, req)                                                                                           \
    struct buf b;                                                                                                      \
    buf_init(&b);                                                                                                      \
    encode(req, &b)

struct call *client_range(struct client *c, const char *key, const char *range_end)
{
    struct range_req req = {.range = {bytes_str(key), bytes_str(range_end)}};
    REQUEST(encode_range_req, &req);
    return client_ask(c, "/etcdserverpb.KV/Range", &b);
}

struct call *client_put_req(struct client *c, const struct put_req *req)
{
    REQUEST(encode_put_req, req);
    return client_ask(c, "/etcdserverpb.KV/Put", &b);
}

struct call *client_put(struct client *c, const char *key, const char *value)
{
    return client_put_req(c, &(struct put_req){.key = bytes_str(key), .value = bytes_str(value)});
}

struct call *client_delete(struct client *c, const char *key, const char *range_end)
{
    struct delete_req req = {.range = {bytes_str(key), bytes_str(range_end)}};
    REQUEST(encode_delete_req, &req);
    return client_ask(c, "/etcdserverpb.KV/DeleteRange", &b);
}

struct call *client_txn(struct client *c, const struct txn_req *req)
{
    REQUEST(encode_txn_req, req);
    return client_ask(c, "/etcdserverpb.KV/Txn", &b);
}

struct call *client_compact(struct client *c, tn_rev revision, bool physical)
{
    struct compact_req req = {revision, physical};
    REQUEST(encode_compact_req, &req);
    return client_ask(c, "/etcdserverpb.KV/Compact", &b);
}

struct call *client_grant(struct client *c, tn_lease id, int64_t ttl_s)
{
    struct lease_grant_req req = {.ttl_s = ttl_s, .id = id};
    REQUEST(encode_lease_grant_req, &req);
    return client_ask(c, "/etcdserverpb.Lease/LeaseGrant", &b);
}

struct call *client_revoke(struct client *c, tn_lease id)
{
    struct lease_revoke_req req = {id};
    REQUEST(encode_lease_revoke_req, &req);
    return client_ask(c, "/etcdserverpb.Lease/LeaseRevoke", &b);
}

struct call *client_ttl(struct client *c, tn_lease id, bool keys)
{
    struct lease_ttl_req req = {id, keys};
    REQUEST(encode_lease_ttl_req, &req);
    return client_ask(c, "/etcdserverpb.Lease/LeaseTimeToLive", &b);
}

struct call *client_keepalive(struct client *c)
{
    return client_call(c, "/etcdserverpb.Lease/LeaseKeepAlive", -1);
}

void call_keepalive(struct call *stream, tn_lease id)
{
    struct lease_keepalive_req req = {id};
    REQUEST(encode_lease_keepalive_req, &req);
    call_say(stream, &b);
}

struct call *client_watch(struct client *c)
{
    return client_call(c, "/etcdserverpb.Watch/Watch", -1);
}

static void say_watch(struct call *stream, const struct watch_req *req)
{
    REQUEST(encode_watch_req, req);
    call_say(stream, &b);
}

void call_watch(struct call *stream, const struct watch_create_req *req)
{
    say_watch(stream, &(struct watch_req){.kind = WATCH_REQ_CREATE, .create = *req});
}

void call_unwatch(struct call *stream, int64_t id)
{
    say_watch(stream, &(struct watch_req){.kind = WATCH_REQ_CANCEL, .cancel_id = id});
}

void call_ask_progress(struct call *stream)
{
    say_watch(stream, &(struct watch_req){.kind = WATCH_REQ_PROGRESS});
}

/* ---- what came ---- */

void world_assert_status(const struct call *call, enum grpc_status status, const char *text, const char *file, int line)
{
    if (call->has_status && call->status == status && strcmp(call->text, text) == 0)
        return;
    print_error("%s:%d: expected status %d \"%s\", got %s %d \"%s\"\n", file, line, status, text,
                call->has_status ? "status" : "none", call->status, call->text);
    _fail(file, line);
}

void world_assert_waits(const struct call *call, const char *file, int line)
{
    if (call->n_messages == 0 && !call->has_status && !call->closed)
        return;
    print_error("%s:%d: expected nothing yet, got %zu messages, status %d \"%s\"\n", file, line, call->n_messages,
                call->has_status ? (int)call->status : -1, call->text);
    _fail(file, line);
}

static bytes one_message(struct call *call)
{
    assert_ok(call);
    assert_int_equal(call->n_messages, 1);
    call->taken = 0;
    return call_next(call);
}

static bytes next_message(struct call *call)
{
    bytes m = call_next(call);
    assert_non_null(m.data);
    return m;
}

#define DECODE_UNARY(type, decode)                                                                                     \
    struct type r;                                                                                                     \
    struct response_header own, *to = h ? h : &own;                                                                    \
    assert_int_equal(decode(one_message(call), &call->client->world->arena, to, &r), 0);                               \
    return r

struct range_resp got_range(struct call *call)
{
    struct response_header *h = NULL;
    DECODE_UNARY(range_resp, decode_range_resp);
}

struct put_resp got_put(struct call *call, struct response_header *h)
{
    DECODE_UNARY(put_resp, decode_put_resp);
}

struct txn_resp got_txn(struct call *call, struct response_header *h)
{
    DECODE_UNARY(txn_resp, decode_txn_resp);
}

struct delete_resp got_delete(struct call *call)
{
    struct response_header *h = NULL;
    DECODE_UNARY(delete_resp, decode_delete_resp);
}

struct lease_grant_resp got_grant(struct call *call)
{
    struct response_header *h = NULL;
    DECODE_UNARY(lease_grant_resp, decode_lease_grant_resp);
}

struct lease_ttl_resp got_ttl(struct call *call)
{
    struct response_header *h = NULL;
    DECODE_UNARY(lease_ttl_resp, decode_lease_ttl_resp);
}

struct lease_keepalive_resp got_keepalive(struct call *call)
{
    struct lease_keepalive_resp r;
    struct response_header h;
    assert_int_equal(decode_lease_keepalive_resp(next_message(call), &call->client->world->arena, &h, &r), 0);
    return r;
}

struct watch_resp got_watch(struct call *call)
{
    struct watch_resp r;
    assert_int_equal(decode_watch_resp(next_message(call), &call->client->world->arena, &r), 0);
    return r;
}

bool got_nothing(struct call *call)
{
    return call->taken == call->n_messages;
}
