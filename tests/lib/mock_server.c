/* See mock_server.h. The servers are the wire engine's server role; everything else is a few arrays. */
#include "mock_server.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { TURNS_MAX = 1000, WATCHERS_MAX = 64, TRICKLE_MS = 100 };

struct chunk {
    struct list link;
    tn_ms due;
    bool to_client;
    size_t len;
    uint8_t data[];
};

struct server_conn {
    struct list link;
    struct world *w;
    size_t endpoint;
    uint32_t number;
    bool open; /* else connecting */
    tn_ms connect_due;
    bool lossy; /* bytes were swallowed */
    bool dead;  /* the server's side ended: the client is to be told */
    struct h2_conn *h2;
    struct list chunks;
    tn_ms to_client_due, to_server_due; /* of the last chunk */
    struct list streams;
    tn_ms trickle_at;
};

struct watcher {
    int64_t id;
    struct watch_create_req req; /* owns its key and end */
};

struct server_stream {
    char token[32];
    struct list link;
    struct server_conn *conn;
    struct h2_stream *st;
    char path[64];
    struct buf late;
    tn_ms late_at;
    struct watcher *watchers[WATCHERS_MAX];
    size_t n_watchers;
    int64_t next_id;
};

/* ---- small things ---- */

static bytes dup_bytes(bytes s)
{
    uint8_t *copy = malloc(s.len + 1);
    if (s.len)
        memcpy(copy, s.data, s.len);
    return bytes_of(copy, s.len);
}

static bool ends_with(const char *s, const char *end)
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

static struct response_header header_of(const struct world *w)
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

static void conn_die(struct server_conn *conn)
{
    conn->dead = true;
}

/* ---- the shared state ---- */

static const struct event *newest(const struct world *w, bytes key)
{
    for (size_t i = w->n_events; i > 0; i--) {
        if (bytes_equal(w->events[i - 1].kv.key, key))
            return w->events[i - 1].type == EVENT_PUT ? &w->events[i - 1] : NULL;
    }
    return NULL;
}

static void push_event(struct world *w, enum event_type type, bytes key, bytes value)
{
    const struct event *before = w->real_past ? newest(w, key) : NULL;
    assert_true(w->n_events < MOCK_EVENTS_MAX);
    struct kv kv = {.key = dup_bytes(key),
                    .value = dup_bytes(value),
                    .create_revision = before ? before->kv.create_revision : w->revision,
                    .mod_revision = w->revision,
                    .version = before ? before->kv.version + 1 : 1};
    if (w->real_past && type == EVENT_DELETE)
        kv.create_revision = kv.version = 0;
    w->events[w->n_events++] = (struct event){.type = type, .kv = kv};
}

static size_t find_lease(const struct world *w, tn_lease id)
{
    size_t i = 0;
    while (i < w->n_leases && w->leases[i] != id)
        i++;
    return i;
}

/* ---- watches ---- */

static void send_watch_resp(struct server_stream *s, const struct watch_resp *r)
{
    struct buf out;
    buf_init(&out);
    encode_watch_resp(r, &out);
    assert_int_equal(h2_send_message(s->st, buf_bytes(&out)), 0);
    buf_fini(&out);
}

static void send_events(struct server_stream *s, const struct watcher *x, struct event *events, size_t n)
{
    struct world *w = s->conn->w;
    struct watch_resp r = {.header = header_of(w), .watch_id = x->id, .events = events, .n_events = n};
    if (n == 0)
        return;
    if (!w->fragment) {
        send_watch_resp(s, &r);
        return;
    }
    size_t most = w->fragment_events ? w->fragment_events : 1;
    for (size_t i = 0; i < n; i += most) {
        struct watch_resp part = r;
        part.events = events + i;
        part.n_events = n - i < most ? n - i : most;
        part.fragment = i + part.n_events < n;
        send_watch_resp(s, &part);
    }
}

static void send_history(struct server_stream *s, const struct watcher *x, tn_rev from)
{
    struct world *w = s->conn->w;
    static struct event events[MOCK_EVENTS_MAX];
    size_t n = 0;
    for (size_t i = 0; i < w->n_events; i++) {
        const struct event *e = &w->events[i];
        if (e->kv.mod_revision >= from && key_range_contains(x->req.range, e->kv.key))
            events[n++] = *e;
    }
    send_events(s, x, events, n);
}

static void watch_create(struct server_stream *s, const struct watch_create_req *req)
{
    struct world *w = s->conn->w;
    struct watch_resp r = {.header = header_of(w), .watch_id = s->next_id++, .created = true};
    struct watcher *x = calloc(1, sizeof *x);
    assert_true(s->n_watchers < WATCHERS_MAX);
    x->id = r.watch_id;
    x->req = *req;
    x->req.range.key = dup_bytes(req->range.key);
    x->req.range.range_end = dup_bytes(req->range.range_end);
    s->watchers[s->n_watchers++] = x;
    send_watch_resp(s, &r);
    if (req->start_revision > 0 && req->start_revision < w->compacted + !w->real_past) {
        r.created = false;
        r.canceled = true;
        r.header.revision = 0;
        r.compact_revision = w->compacted;
        send_watch_resp(s, &r);
        x->req.start_revision = INT64_MAX;
        return;
    }
    if (req->start_revision > 0 && req->start_revision <= w->revision)
        send_history(s, x, req->start_revision - w->lag);
}

static void watcher_free(struct watcher *x)
{
    free((void *)x->req.range.key.data);
    free((void *)x->req.range.range_end.data);
    free(x);
}

static void watch_cancel(struct server_stream *s, int64_t id)
{
    struct watch_resp r = {.header = header_of(s->conn->w), .watch_id = id, .canceled = true};
    for (size_t i = 0; i < s->n_watchers; i++) {
        if (s->watchers[i]->id != id)
            continue;
        watcher_free(s->watchers[i]);
        s->watchers[i] = s->watchers[--s->n_watchers];
        send_watch_resp(s, &r);
        return;
    }
}

static void tell_watchers(struct world *w, size_t first_event)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        LIST_FOREACH(js, &conn->streams)
        {
            struct server_stream *s = LIST_ENTRY(js, struct server_stream, link);
            for (size_t i = 0; i < s->n_watchers; i++) {
                struct watcher *x = s->watchers[i];
                struct event *e = &w->events[first_event];
                size_t n = 0;
                struct event mine[8];
                for (size_t j = 0; j < w->n_events - first_event; j++) {
                    if (key_range_contains(x->req.range, e[j].kv.key) && e[j].kv.mod_revision >= x->req.start_revision)
                        mine[n++] = e[j];
                }
                send_events(s, x, mine, n);
            }
        }
    }
}

/* ---- requests ---- */

static void answer(struct server_stream *s, struct buf *out)
{
    assert_int_equal(buf_error(out), 0);
    assert_int_equal(h2_send_message(s->st, buf_bytes(out)), 0);
    buf_fini(out);
}

static void put(struct world *w, const struct put_req *r)
{
    w->revision++;
    push_event(w, EVENT_PUT, r->key, r->value);
}

static enum etcd_error kv_put(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct put_req r;
    assert_int_equal(decode_put_req(in, a, &r), 0);
    if (r.key.len == 0)
        return ETCD_EMPTY_KEY;
    size_t first = w->n_events;
    put(w, &r);
    struct put_resp p = {.revision = w->revision};
    struct response_header h = header_of(w);
    encode_put_resp(&h, &p, out);
    tell_watchers(w, first);
    return ETCD_OK;
}

static int by_key(const void *a, const void *b)
{
    return bytes_compare(((const struct kv *)a)->key, ((const struct kv *)b)->key);
}

static int by_key_down(const void *a, const void *b)
{
    return by_key(b, a);
}

/* The newest of what lies in a range, whatever revision is asked for. */
static struct range_resp range(const struct world *w, const struct range_req *r, struct arena *a)
{
    struct kv *kvs = arena_array(a, w->n_events + 1, sizeof *kvs);
    struct range_resp p = {.revision = w->revision, .kvs = kvs};
    for (size_t i = 0; i < w->n_events; i++) {
        const struct event *e = &w->events[i];
        bool in_range = key_range_is_single(r->range) ? bytes_equal(e->kv.key, r->range.key)
                                                      : key_range_contains(r->range, e->kv.key);
        if (in_range && newest(w, e->kv.key) == e)
            kvs[p.n_kvs++] = e->kv;
    }
    qsort(kvs, p.n_kvs, sizeof *kvs, r->sort_order == SORT_DESCEND ? by_key_down : by_key);
    p.count = (int64_t)p.n_kvs;
    p.more = r->limit > 0 && p.count > r->limit;
    p.n_kvs = p.more ? (size_t)r->limit : p.n_kvs;
    return p;
}

static enum etcd_error kv_range(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct range_req r;
    assert_int_equal(decode_range_req(in, a, &r), 0);
    if (r.revision > 0 && r.revision < w->compacted)
        return ETCD_COMPACTED;
    struct range_resp p = range(w, &r, a);
    struct response_header h = header_of(w);
    p.revision -= w->endpoints[w->asked].behind;
    encode_range_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error kv_delete(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct delete_req r;
    assert_int_equal(decode_delete_req(in, a, &r), 0);
    size_t first = w->n_events;
    struct delete_resp p = {.deleted = newest(w, r.range.key) != NULL};
    if (p.deleted) {
        w->revision++;
        push_event(w, EVENT_DELETE, r.range.key, bytes_of(NULL, 0));
    }
    p.revision = w->revision;
    struct response_header h = header_of(w);
    encode_delete_resp(&h, &p, out);
    tell_watchers(w, first);
    return ETCD_OK;
}

static enum etcd_error kv_txn(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct txn_req r;
    assert_int_equal(decode_txn_req(in, a, &r), 0);
    size_t first = w->n_events;
    for (size_t i = 0; i < r.n_success; i++) {
        if (r.success[i].kind == OP_PUT)
            put(w, &r.success[i].put);
    }
    struct txn_resp p = {.revision = w->revision, .succeeded = true};
    struct response_header h = header_of(w);
    encode_txn_resp(&h, &p, out);
    tell_watchers(w, first);
    return ETCD_OK;
}

static enum etcd_error kv_compact(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct compact_req r;
    assert_int_equal(decode_compact_req(in, a, &r), 0);
    if (r.revision <= w->compacted)
        return ETCD_COMPACTED;
    w->compacted = r.revision;
    struct compact_resp p = {.revision = w->revision};
    struct response_header h = header_of(w);
    encode_compact_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_grant(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_grant_req r;
    assert_int_equal(decode_lease_grant_req(in, a, &r), 0);
    struct lease_grant_resp p = {.revision = w->revision, .id = mock_lease(w), .ttl_s = r.ttl_s};
    struct response_header h = header_of(w);
    encode_lease_grant_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_revoke(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_revoke_req r;
    assert_int_equal(decode_lease_revoke_req(in, a, &r), 0);
    if (find_lease(w, r.id) == w->n_leases)
        return ETCD_LEASE_NOT_FOUND;
    mock_revoke(w, r.id);
    struct lease_revoke_resp p = {.revision = w->revision};
    struct response_header h = header_of(w);
    encode_lease_revoke_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_keepalive(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_keepalive_req r;
    assert_int_equal(decode_lease_keepalive_req(in, a, &r), 0);
    bool known = find_lease(w, r.id) < w->n_leases;
    if (known)
        w->renewed_at[w->n_renewals++ % ARRAY_LEN(w->renewed_at)] = w->now;
    struct lease_keepalive_resp p = {.revision = w->revision, .id = r.id, .ttl_s = known ? w->lease_ttl_s : 0};
    struct response_header h = header_of(w);
    encode_lease_keepalive_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_ttl(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_ttl_req r;
    assert_int_equal(decode_lease_ttl_req(in, a, &r), 0);
    bool known = find_lease(w, r.id) < w->n_leases;
    struct lease_ttl_resp p = {
        .revision = w->revision, .id = r.id, .ttl_s = known ? 5 : -1, .granted_ttl_s = known ? 10 : 0};
    struct response_header h = header_of(w);
    encode_lease_ttl_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_list(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct lease_list_resp p = {.revision = w->revision, .ids = w->leases, .n_ids = w->n_leases};
    struct response_header h = header_of(w);
    encode_lease_list_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error member_list(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct member m = {.id = 1, .name = bytes_str("one")};
    struct member_list_resp p = {.revision = w->revision, .members = &m, .n_members = 1};
    struct response_header h = header_of(w);
    encode_member_list_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error status(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct status_resp p = {.header = header_of(w), .version = bytes_str("3.5.0"), .db_size = 1234};
    encode_status_resp(&p, out);
    return ETCD_OK;
}

static enum etcd_error snapshot(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    (void)w;
    encode_snapshot_resp(&(struct snapshot_resp){.remaining_bytes = 7, .blob = bytes_str("piece")}, out);
    return ETCD_OK;
}

static enum etcd_error health(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    (void)w;
    encode_health_resp(HEALTH_SERVING, out);
    return ETCD_OK;
}

static enum etcd_error authenticate(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct authenticate_req r;
    char token[32];
    assert_int_equal(decode_authenticate_req(in, a, &r), 0);
    if (!w->auth)
        return ETCD_AUTH_NOT_ENABLED;
    if (!bytes_equal(r.name, bytes_str("alice")) || !bytes_equal(r.password, bytes_str("secret")))
        return ETCD_AUTH_FAILED;
    snprintf(token, sizeof token, "token-%u", ++w->n_tokens);
    w->tokens_expired = false;
    struct authenticate_resp p = {.revision = w->revision, .token = bytes_str(token)};
    struct response_header h = header_of(w);
    encode_authenticate_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error auth_status(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct auth_status_resp p = {.revision = w->revision, .enabled = w->auth, .auth_revision = 1};
    struct response_header h = header_of(w);
    (void)in;
    (void)a;
    encode_auth_status_resp(&h, &p, out);
    return ETCD_OK;
}

/* Answers the alarm that was asked about. */
static enum etcd_error alarm(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct alarm_req r;
    assert_int_equal(decode_alarm_req(in, a, &r), 0);
    struct alarm_resp p = {.alarms = &r.alarm, .n_alarms = 1};
    struct response_header h = header_of(w);
    encode_alarm_resp(&h, &p, out);
    return ETCD_OK;
}

static const struct {
    const char *path;
    enum etcd_error (*handle)(struct world *w, bytes in, struct arena *a, struct buf *out);
} methods[] = {
    {"/etcdserverpb.KV/Put", kv_put},
    {"/etcdserverpb.KV/Range", kv_range},
    {"/etcdserverpb.KV/DeleteRange", kv_delete},
    {"/etcdserverpb.KV/Txn", kv_txn},
    {"/etcdserverpb.KV/Compact", kv_compact},
    {"/etcdserverpb.Lease/LeaseGrant", lease_grant},
    {"/etcdserverpb.Lease/LeaseRevoke", lease_revoke},
    {"/etcdserverpb.Lease/LeaseKeepAlive", lease_keepalive},
    {"/etcdserverpb.Lease/LeaseTimeToLive", lease_ttl},
    {"/etcdserverpb.Lease/LeaseLeases", lease_list},
    {"/etcdserverpb.Cluster/MemberList", member_list},
    {"/etcdserverpb.Maintenance/Alarm", alarm},
    {"/etcdserverpb.Maintenance/Status", status},
    {"/etcdserverpb.Maintenance/Snapshot", snapshot},
    {"/grpc.health.v1.Health/Check", health},
    {"/etcdserverpb.Auth/Authenticate", authenticate},
    {"/etcdserverpb.Auth/AuthStatus", auth_status},
};

/* As etcd: nobody in particular, somebody unknown, or fine. */
static enum etcd_error check_token(const struct server_stream *s)
{
    const struct world *w = s->conn->w;
    char newest[32];
    if (!w->auth || ends_with(s->path, "/Authenticate") || ends_with(s->path, "/Check"))
        return ETCD_OK;
    if (!s->token[0])
        return ETCD_USER_EMPTY;
    snprintf(newest, sizeof newest, "token-%u", w->n_tokens);
    return strcmp(s->token, newest) == 0 && !w->tokens_expired ? ETCD_OK : ETCD_INVALID_AUTH_TOKEN;
}

static void handle_watch(struct server_stream *s, bytes message)
{
    struct arena a;
    struct watch_req r;
    arena_init(&a, 0);
    assert_int_equal(decode_watch_req(message, &a, &r), 0);
    if (r.kind == WATCH_REQ_CREATE)
        watch_create(s, &r.create);
    else if (r.kind == WATCH_REQ_CANCEL)
        watch_cancel(s, r.cancel_id);
    arena_fini(&a);
}

static enum etcd_error apply(struct server_stream *s, bytes message, struct buf *out)
{
    struct arena a;
    enum etcd_error rc = ETCD_NOT_CAPABLE;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        if (strcmp(s->path, methods[i].path) == 0)
            s->conn->w->asked = s->conn->endpoint, rc = methods[i].handle(s->conn->w, message, &a, out);
    }
    arena_fini(&a);
    return rc;
}

static void finish(struct server_stream *s, enum grpc_status status, const char *text)
{
    assert_int_equal(h2_finish(s->st, status, text), 0);
}

/* etcd's way to refuse a watch: one answer that it is created and cancelled, with Go's text of the status. */
static void refuse_watch(struct server_stream *s, enum etcd_error e)
{
    char reason[160];
    struct buf out;
    snprintf(reason, sizeof reason, "rpc error: code = %s desc = %s",
             e == ETCD_USER_EMPTY ? "InvalidArgument" : "Unauthenticated", etcd_error_text(e));
    struct watch_resp r = {.header = header_of(s->conn->w),
                           .watch_id = -1,
                           .created = true,
                           .canceled = true,
                           .cancel_reason = bytes_str(reason)};
    buf_init(&out);
    encode_watch_resp(&r, &out);
    answer(s, &out);
}

static bool refuse(struct server_stream *s)
{
    enum etcd_error e = check_token(s);
    if (e == ETCD_OK)
        return false;
    if (ends_with(s->path, "/Watch"))
        refuse_watch(s, e);
    else
        finish(s, etcd_error_status(e), etcd_error_text(e));
    return true;
}

/* Chunks of two keys; the last one has all else. */
static void range_stream(struct server_stream *s, bytes message)
{
    struct world *w = s->conn->w;
    struct arena a;
    struct range_req r;
    arena_init(&a, 0);
    assert_int_equal(decode_range_req(message, &a, &r), 0);
    struct range_resp all = range(w, &r, &a);
    struct response_header h = header_of(w);
    size_t chunks = 0;
    for (size_t at = 0;; at += 2) {
        bool last = at + 2 >= all.n_kvs;
        struct range_resp p = {.kvs = all.kvs + at, .n_kvs = last ? all.n_kvs - at : 2};
        if (w->chunks_max && chunks++ == w->chunks_max) {
            finish(s, GRPC_UNAVAILABLE, "the server goes away");
            break;
        }
        if (last) {
            p.revision = all.revision;
            p.count = all.count;
            p.more = all.more;
        }
        struct buf out;
        buf_init(&out);
        encode_range_stream_resp(last ? &h : NULL, &p, 64, &out);
        answer(s, &out);
        if (last) {
            finish(s, GRPC_OK, "");
            break;
        }
    }
    arena_fini(&a);
}

static void handle(struct server_stream *s, bytes message)
{
    struct buf out;
    if (refuse(s))
        return;
    if (ends_with(s->path, "/RangeStream")) {
        range_stream(s, message);
        return;
    }
    if (ends_with(s->path, "/Watch")) {
        handle_watch(s, message);
        return;
    }
    buf_init(&out);
    enum etcd_error e = apply(s, message, &out);
    if (e != ETCD_OK) {
        buf_fini(&out);
        finish(s, etcd_error_status(e), etcd_error_text(e));
        return;
    }
    answer(s, &out);
    if (!ends_with(s->path, "/LeaseKeepAlive"))
        finish(s, GRPC_OK, "");
}

static void apply_only(struct server_stream *s, bytes message)
{
    struct buf out;
    buf_init(&out);
    apply(s, message, &out);
    buf_fini(&out);
}

/* ---- rules ---- */

static struct mock_rule *find_rule(struct server_stream *s)
{
    struct world *w = s->conn->w;
    for (size_t i = 0; i < w->n_rules; i++) {
        struct mock_rule *r = &w->rules[i];
        if (r->times == 0 || (r->path && !ends_with(s->path, r->path)))
            continue;
        if (r->endpoint >= 0 && (size_t)r->endpoint != s->conn->endpoint)
            continue;
        r->times -= r->times > 0;
        return r;
    }
    return NULL;
}

static void say(struct server_conn *conn, bytes raw)
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
        apply_only(s, message);
        finish(s, r->status, r->text);
        break;
    case MOCK_ANSWER:
        finish(s, r->status, r->text);
        break;
    case MOCK_IGNORE:
        break;
    case MOCK_APPLY_MUTE:
        apply_only(s, message);
        break;
    case MOCK_APPLY_CUT:
        apply_only(s, message);
        conn_die(s->conn);
        break;
    case MOCK_CUT:
        conn_die(s->conn);
        break;
    case MOCK_RESET:
        h2_reset(s->st);
        break;
    case MOCK_REFUSE:
        refuse_stream(s);
        break;
    case MOCK_GOAWAY:
        h2_goaway(s->conn->h2);
        handle(s, message);
        break;
    case MOCK_GARBAGE:
        push_chunk(s->conn, true, bytes_str("\xff\xff\xff\xff this is not a frame at all, it is nonsense"));
        break;
    case MOCK_BAD_MESSAGE:
        assert_int_equal(h2_send_message(s->st, bytes_str("\xff\xff\xff\xff\xff")), 0);
        finish(s, GRPC_OK, "");
        break;
    case MOCK_NO_MESSAGE:
        finish(s, GRPC_OK, "");
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
        handle(s, message);
}

static void on_half_close(void *user, struct h2_stream *st)
{
    struct server_stream *s = h2_stream_user(st);
    (void)user;
    if (ends_with(s->path, "/LeaseKeepAlive") || ends_with(s->path, "/Watch"))
        finish(s, GRPC_OK, "");
}

static void on_close(void *user, struct h2_stream *st)
{
    struct server_stream *s = h2_stream_user(st);
    struct server_conn *conn = user;
    conn->w->n_streams_reset++;
    for (size_t i = 0; i < s->n_watchers; i++)
        watcher_free(s->watchers[i]);
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
        conn_die(conn);
    if (cut) {
        conn_die(conn);
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
        conn_die(conn);
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
        handle(s, buf_bytes(&s->late));
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

/* ---- for tests ---- */

struct mock_rule *mock_on(struct world *w, const char *path, int times, enum mock_act act)
{
    assert_true(w->n_rules < MOCK_RULES_MAX);
    struct mock_rule *r = &w->rules[w->n_rules++];
    *r = (struct mock_rule){.path = path, .endpoint = -1, .times = times, .act = act, .text = ""};
    return r;
}

void mock_clear(struct world *w)
{
    w->n_rules = 0;
}

void mock_cut(struct world *w, size_t endpoint)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        if (conn->endpoint == endpoint)
            conn_die(conn);
    }
}

void mock_goaway(struct world *w, size_t endpoint)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        if (conn->endpoint == endpoint && conn->open)
            h2_goaway(conn->h2);
    }
}

void mock_say(struct world *w, size_t endpoint, bytes raw)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        if (conn->endpoint == endpoint && conn->open)
            say(conn, raw);
    }
}

tn_rev mock_put(struct world *w, const char *key, const char *value)
{
    struct put_req r = {.key = bytes_str(key), .value = bytes_str(value)};
    size_t first = w->n_events;
    put(w, &r);
    tell_watchers(w, first);
    return w->revision;
}

tn_rev mock_put_two(struct world *w, const char *key1, const char *key2, const char *value)
{
    size_t first = w->n_events;
    w->revision++;
    push_event(w, EVENT_PUT, bytes_str(key1), bytes_str(value));
    push_event(w, EVENT_PUT, bytes_str(key2), bytes_str(value));
    tell_watchers(w, first);
    return w->revision;
}

void mock_compact(struct world *w, tn_rev revision)
{
    w->compacted = revision;
}

tn_lease mock_lease(struct world *w)
{
    assert_true(w->n_leases < ARRAY_LEN(w->leases));
    return w->leases[w->n_leases++] = w->next_lease++;
}

bool mock_renewed_between(const struct world *w, tn_ms from, tn_ms to)
{
    for (size_t i = 0; i < w->n_renewals && i < ARRAY_LEN(w->renewed_at); i++) {
        if (w->renewed_at[i] >= from && w->renewed_at[i] <= to)
            return true;
    }
    return false;
}

void mock_revoke(struct world *w, tn_lease id)
{
    size_t i = find_lease(w, id);
    if (i < w->n_leases)
        w->leases[i] = w->leases[--w->n_leases];
}

size_t mock_applied(const struct world *w, const char *value)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_events; i++)
        n += w->events[i].type == EVENT_PUT && bytes_equal(w->events[i].kv.value, bytes_str(value));
    return n;
}

size_t mock_count_requests(const struct world *w, const char *path, int endpoint)
{
    size_t n = 0;
    for (size_t i = 0; i < w->n_requests; i++)
        n += ends_with(w->requests[i].path, path) && (endpoint < 0 || w->requests[i].endpoint == endpoint);
    return n;
}

const struct mock_request *mock_last_request(const struct world *w, const char *path)
{
    for (size_t i = w->n_requests; i > 0; i--) {
        if (ends_with(w->requests[i - 1].path, path))
            return &w->requests[i - 1];
    }
    return NULL;
}

size_t mock_conns(const struct world *w, int endpoint)
{
    size_t n = 0;
    LIST_FOREACH(it, &w->conns)
    {
        const struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        n += conn->open && !conn->dead && (endpoint < 0 || conn->endpoint == (size_t)endpoint);
    }
    return n;
}

static void each_stream(struct world *w, const char *path, void (*fn)(struct server_stream *s, const void *arg),
                        const void *arg)
{
    LIST_FOREACH(it, &w->conns)
    {
        struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        LIST_FOREACH(js, &conn->streams)
        {
            struct server_stream *s = LIST_ENTRY(js, struct server_stream, link);
            if (ends_with(s->path, path))
                fn(s, arg);
        }
    }
}

size_t mock_watchers(const struct world *w)
{
    size_t n = 0;
    LIST_FOREACH(it, &w->conns)
    {
        const struct server_conn *conn = LIST_ENTRY(it, struct server_conn, link);
        LIST_FOREACH(js, &conn->streams)
        {
            n += LIST_ENTRY(js, struct server_stream, link)->n_watchers;
        }
    }
    return n;
}

static void watch_say_one(struct server_stream *s, const void *arg)
{
    send_watch_resp(s, arg);
}

void mock_watch_say(struct world *w, const struct watch_resp *r)
{
    each_stream(w, "/Watch", watch_say_one, r);
}

static void progress_one(struct server_stream *s, const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < s->n_watchers; i++) {
        struct watch_resp r = {.header = header_of(s->conn->w), .watch_id = s->watchers[i]->id};
        send_watch_resp(s, &r);
    }
}

void mock_progress(struct world *w)
{
    each_stream(w, "/Watch", progress_one, NULL);
}

static void keepalive_say_one(struct server_stream *s, const void *arg)
{
    struct buf out;
    struct response_header h = header_of(s->conn->w);
    buf_init(&out);
    encode_lease_keepalive_resp(&h, arg, &out);
    answer(s, &out);
}

void mock_keepalive_say(struct world *w, tn_lease id, int64_t ttl_s)
{
    struct lease_keepalive_resp r = {.revision = w->revision, .id = id, .ttl_s = ttl_s};
    each_stream(w, "/LeaseKeepAlive", keepalive_say_one, &r);
}
