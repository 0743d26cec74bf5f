/* What the servers of mock_server.h answer: a few arrays that all of them share. */
#include "mock_machine.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the shared state ---- */

static const struct event *newest(const struct world *w, bytes key)
{
    for (size_t i = w->n_events; i > 0; i--) {
        if (bytes_equal(w->events[i - 1].kv.key, key))
            return w->events[i - 1].type == EVENT_PUT ? &w->events[i - 1] : NULL;
    }
    return NULL;
}

void mock_push_event(struct world *w, enum event_type type, bytes key, bytes value)
{
    const struct event *before = w->real_past ? newest(w, key) : NULL;
    assert_true(w->n_events < MOCK_EVENTS_MAX);
    struct kv kv = {.key = mock_dup_bytes(key),
                    .value = mock_dup_bytes(value),
                    .create_revision = before ? before->kv.create_revision : w->revision,
                    .mod_revision = w->revision,
                    .version = before ? before->kv.version + 1 : 1};
    if (w->real_past && type == EVENT_DELETE)
        kv.create_revision = kv.version = 0;
    w->events[w->n_events++] = (struct event){.type = type, .kv = kv};
}

size_t mock_find_lease(const struct world *w, tn_lease id)
{
    size_t i = 0;
    while (i < w->n_leases && w->leases[i] != id)
        i++;
    return i;
}

/* ---- watches ---- */

void mock_send_watch_resp(struct server_stream *s, const struct watch_resp *r)
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
    struct watch_resp r = {.header = mock_header_of(w), .watch_id = x->id, .events = events, .n_events = n};
    if (n == 0)
        return;
    if (!w->fragment) {
        mock_send_watch_resp(s, &r);
        return;
    }
    size_t most = w->fragment_events ? w->fragment_events : 1;
    for (size_t i = 0; i < n; i += most) {
        struct watch_resp part = r;
        part.events = events + i;
        part.n_events = n - i < most ? n - i : most;
        part.fragment = i + part.n_events < n;
        mock_send_watch_resp(s, &part);
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
    struct watch_resp r = {.header = mock_header_of(w), .watch_id = s->next_id++, .created = true};
    struct watcher *x = calloc(1, sizeof *x);
    assert_true(s->n_watchers < WATCHERS_MAX);
    x->id = r.watch_id;
    x->req = *req;
    x->req.range.key = mock_dup_bytes(req->range.key);
    x->req.range.range_end = mock_dup_bytes(req->range.range_end);
    s->watchers[s->n_watchers++] = x;
    mock_send_watch_resp(s, &r);
    if (req->start_revision > 0 && req->start_revision < w->compacted + !w->real_past) {
        r.created = false;
        r.canceled = true;
        r.header.revision = 0;
        r.compact_revision = w->compacted;
        mock_send_watch_resp(s, &r);
        x->req.start_revision = INT64_MAX;
        return;
    }
    if (req->start_revision > 0 && req->start_revision <= w->revision)
        send_history(s, x, req->start_revision - w->lag);
}

void mock_watcher_free(struct watcher *x)
{
    free((void *)x->req.range.key.data);
    free((void *)x->req.range.range_end.data);
    free(x);
}

static void watch_cancel(struct server_stream *s, int64_t id)
{
    struct watch_resp r = {.header = mock_header_of(s->conn->w), .watch_id = id, .canceled = true};
    for (size_t i = 0; i < s->n_watchers; i++) {
        if (s->watchers[i]->id != id)
            continue;
        mock_watcher_free(s->watchers[i]);
        s->watchers[i] = s->watchers[--s->n_watchers];
        mock_send_watch_resp(s, &r);
        return;
    }
}

void mock_tell_watchers(struct world *w, size_t first_event)
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

void mock_answer(struct server_stream *s, struct buf *out)
{
    assert_int_equal(buf_error(out), 0);
    assert_int_equal(h2_send_message(s->st, buf_bytes(out)), 0);
    buf_fini(out);
}

void mock_put_key(struct world *w, const struct put_req *r)
{
    w->revision++;
    mock_push_event(w, EVENT_PUT, r->key, r->value);
}

static enum etcd_error kv_put(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct put_req r;
    assert_int_equal(decode_put_req(in, a, &r), 0);
    if (r.key.len == 0)
        return ETCD_EMPTY_KEY;
    size_t first = w->n_events;
    mock_put_key(w, &r);
    struct put_resp p = {.revision = w->revision};
    struct response_header h = mock_header_of(w);
    encode_put_resp(&h, &p, out);
    mock_tell_watchers(w, first);
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
    struct response_header h = mock_header_of(w);
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
        mock_push_event(w, EVENT_DELETE, r.range.key, bytes_of(NULL, 0));
    }
    p.revision = w->revision;
    struct response_header h = mock_header_of(w);
    encode_delete_resp(&h, &p, out);
    mock_tell_watchers(w, first);
    return ETCD_OK;
}

static enum etcd_error kv_txn(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct txn_req r;
    assert_int_equal(decode_txn_req(in, a, &r), 0);
    size_t first = w->n_events;
    for (size_t i = 0; i < r.n_success; i++) {
        if (r.success[i].kind == OP_PUT)
            mock_put_key(w, &r.success[i].put);
    }
    struct txn_resp p = {.revision = w->revision, .succeeded = true};
    struct response_header h = mock_header_of(w);
    encode_txn_resp(&h, &p, out);
    mock_tell_watchers(w, first);
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
    struct response_header h = mock_header_of(w);
    encode_compact_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_grant(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_grant_req r;
    assert_int_equal(decode_lease_grant_req(in, a, &r), 0);
    struct lease_grant_resp p = {.revision = w->revision, .id = mock_lease(w), .ttl_s = r.ttl_s};
    struct response_header h = mock_header_of(w);
    encode_lease_grant_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_revoke(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_revoke_req r;
    assert_int_equal(decode_lease_revoke_req(in, a, &r), 0);
    if (mock_find_lease(w, r.id) == w->n_leases)
        return ETCD_LEASE_NOT_FOUND;
    mock_revoke(w, r.id);
    struct lease_revoke_resp p = {.revision = w->revision};
    struct response_header h = mock_header_of(w);
    encode_lease_revoke_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_keepalive(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_keepalive_req r;
    assert_int_equal(decode_lease_keepalive_req(in, a, &r), 0);
    bool known = mock_find_lease(w, r.id) < w->n_leases;
    if (known)
        w->renewed_at[w->n_renewals++ % ARRAY_LEN(w->renewed_at)] = w->now;
    struct lease_keepalive_resp p = {.revision = w->revision, .id = r.id, .ttl_s = known ? w->lease_ttl_s : 0};
    struct response_header h = mock_header_of(w);
    encode_lease_keepalive_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_ttl(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct lease_ttl_req r;
    assert_int_equal(decode_lease_ttl_req(in, a, &r), 0);
    bool known = mock_find_lease(w, r.id) < w->n_leases;
    struct lease_ttl_resp p = {
        .revision = w->revision, .id = r.id, .ttl_s = known ? 5 : -1, .granted_ttl_s = known ? 10 : 0};
    struct response_header h = mock_header_of(w);
    encode_lease_ttl_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error lease_list(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct lease_list_resp p = {.revision = w->revision, .ids = w->leases, .n_ids = w->n_leases};
    struct response_header h = mock_header_of(w);
    encode_lease_list_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error member_list(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct member m = {.id = 1, .name = bytes_str("one")};
    struct member_list_resp p = {.revision = w->revision, .members = &m, .n_members = 1};
    struct response_header h = mock_header_of(w);
    encode_member_list_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error status(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    (void)a;
    (void)in;
    struct status_resp p = {.header = mock_header_of(w), .version = bytes_str("3.5.0"), .db_size = 1234};
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
    struct response_header h = mock_header_of(w);
    encode_authenticate_resp(&h, &p, out);
    return ETCD_OK;
}

static enum etcd_error auth_status(struct world *w, bytes in, struct arena *a, struct buf *out)
{
    struct auth_status_resp p = {.revision = w->revision, .enabled = w->auth, .auth_revision = 1};
    struct response_header h = mock_header_of(w);
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
    struct response_header h = mock_header_of(w);
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
    if (!w->auth || mock_ends_with(s->path, "/Authenticate") || mock_ends_with(s->path, "/Check"))
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

void mock_finish(struct server_stream *s, enum grpc_status status, const char *text)
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
    struct watch_resp r = {.header = mock_header_of(s->conn->w),
                           .watch_id = -1,
                           .created = true,
                           .canceled = true,
                           .cancel_reason = bytes_str(reason)};
    buf_init(&out);
    encode_watch_resp(&r, &out);
    mock_answer(s, &out);
}

static bool refuse(struct server_stream *s)
{
    enum etcd_error e = check_token(s);
    if (e == ETCD_OK)
        return false;
    if (mock_ends_with(s->path, "/Watch"))
        refuse_watch(s, e);
    else
        mock_finish(s, etcd_error_status(e), etcd_error_text(e));
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
    struct response_header h = mock_header_of(w);
    size_t chunks = 0;
    for (size_t at = 0;; at += 2) {
        bool last = at + 2 >= all.n_kvs;
        struct range_resp p = {.kvs = all.kvs + at, .n_kvs = last ? all.n_kvs - at : 2};
        if (w->chunks_max && chunks++ == w->chunks_max) {
            mock_finish(s, GRPC_UNAVAILABLE, "the server goes away");
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
        mock_answer(s, &out);
        if (last) {
            mock_finish(s, GRPC_OK, "");
            break;
        }
    }
    arena_fini(&a);
}

void mock_handle_message(struct server_stream *s, bytes message)
{
    struct buf out;
    if (refuse(s))
        return;
    if (mock_ends_with(s->path, "/RangeStream")) {
        range_stream(s, message);
        return;
    }
    if (mock_ends_with(s->path, "/Watch")) {
        handle_watch(s, message);
        return;
    }
    buf_init(&out);
    enum etcd_error e = apply(s, message, &out);
    if (e != ETCD_OK) {
        buf_fini(&out);
        mock_finish(s, etcd_error_status(e), etcd_error_text(e));
        return;
    }
    mock_answer(s, &out);
    if (!mock_ends_with(s->path, "/LeaseKeepAlive"))
        mock_finish(s, GRPC_OK, "");
}

void mock_apply_only(struct server_stream *s, bytes message)
{
    struct buf out;
    buf_init(&out);
    apply(s, message, &out);
    buf_fini(&out);
}
