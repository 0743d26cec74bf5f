/* What tests do to the servers of mock_server.h, and ask of them. */
#include "mock_machine.h"

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
            mock_conn_die(conn);
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
            mock_conn_say(conn, raw);
    }
}

tn_rev mock_put(struct world *w, const char *key, const char *value)
{
    struct put_req r = {.key = bytes_str(key), .value = bytes_str(value)};
    size_t first = w->n_events;
    mock_put_key(w, &r);
    mock_tell_watchers(w, first);
    return w->revision;
}

tn_rev mock_put_two(struct world *w, const char *key1, const char *key2, const char *value)
{
    size_t first = w->n_events;
    w->revision++;
    mock_push_event(w, EVENT_PUT, bytes_str(key1), bytes_str(value));
    mock_push_event(w, EVENT_PUT, bytes_str(key2), bytes_str(value));
    mock_tell_watchers(w, first);
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
    size_t i = mock_find_lease(w, id);
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
        n += mock_ends_with(w->requests[i].path, path) && (endpoint < 0 || w->requests[i].endpoint == endpoint);
    return n;
}

const struct mock_request *mock_last_request(const struct world *w, const char *path)
{
    for (size_t i = w->n_requests; i > 0; i--) {
        if (mock_ends_with(w->requests[i - 1].path, path))
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
            if (mock_ends_with(s->path, path))
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
    mock_send_watch_resp(s, arg);
}

void mock_watch_say(struct world *w, const struct watch_resp *r)
{
    each_stream(w, "/Watch", watch_say_one, r);
}

static void progress_one(struct server_stream *s, const void *arg)
{
    (void)arg;
    for (size_t i = 0; i < s->n_watchers; i++) {
        struct watch_resp r = {.header = mock_header_of(s->conn->w), .watch_id = s->watchers[i]->id};
        mock_send_watch_resp(s, &r);
    }
}

void mock_progress(struct world *w)
{
    each_stream(w, "/Watch", progress_one, NULL);
}

static void keepalive_say_one(struct server_stream *s, const void *arg)
{
    struct buf out;
    struct response_header h = mock_header_of(s->conn->w);
    buf_init(&out);
    encode_lease_keepalive_resp(&h, arg, &out);
    mock_answer(s, &out);
}

void mock_keepalive_say(struct world *w, tn_lease id, int64_t ttl_s)
{
    struct lease_keepalive_resp r = {.revision = w->revision, .id = id, .ttl_s = ttl_s};
    each_stream(w, "/LeaseKeepAlive", keepalive_say_one, &r);
}
