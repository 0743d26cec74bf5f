/* What the client's tests share: a world, and recorders for what callbacks are told. */
#ifndef TESTS_CLIENT_CASES_H
#define TESTS_CLIENT_CASES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "mock_server.h"

/* One world a test; big, so not on the stack. */
static struct world w;

/* ---- calls ---- */

struct told {
    bool done;
    int times, code;
    enum etcd_error etcd;
    struct tenure_error error;
    tn_rev revision;
    tn_ms at, sent_at;
    char value[64];
    size_t n;
    int64_t number;
};

static void note(struct told *t, const struct client_result *r)
{
    t->done = true;
    t->times++;
    t->code = r->code;
    t->etcd = r->etcd;
    t->at = w.now;
    t->sent_at = r->sent_at;
    t->revision = r->header.revision;
    if (r->error)
        t->error = *r->error;
    assert_int_equal(r->code != 0, r->error != NULL);
    if (r->error)
        assert_int_equal(r->error->code, r->code);
}

static inline void on_plain(void *user, const struct client_result *r)
{
    note(user, r);
}

static inline void on_range(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (r->code)
        return;
    t->n = r->range->n_kvs;
    if (t->n)
        snprintf(t->value, sizeof t->value, "%.*s", (int)r->range->kvs[0].value.len,
                 (const char *)r->range->kvs[0].value.data);
}

static inline struct client_call *put_opt(struct told *t, const char *key, const char *value,
                                          const struct client_call_options *opt)
{
    struct put_req req = {.key = bytes_str(key), .value = bytes_str(value)};
    struct tenure_error err;
    *t = (struct told){0};
    struct client_call *call = client_put(w.client, &req, opt, on_plain, t, w.now, &err);
    assert_non_null(call);
    return call;
}

static inline struct client_call *put(struct told *t, const char *key, const char *value)
{
    return put_opt(t, key, value, NULL);
}

static inline struct client_call *get_opt(struct told *t, const char *key, const struct client_call_options *opt)
{
    struct range_req req = {.range = {.key = bytes_str(key)}};
    struct tenure_error err;
    *t = (struct told){0};
    struct client_call *call = client_range(w.client, &req, opt, on_range, t, w.now, &err);
    assert_non_null(call);
    return call;
}

static inline struct client_call *get(struct told *t, const char *key)
{
    return get_opt(t, key, NULL);
}

/* A transaction that puts one key, of which the caller says that it may be repeated, or not. */
static inline struct client_call *txn(struct told *t, const char *key, const char *value, bool repeatable)
{
    struct request_op op = {.kind = OP_PUT, .put = {.key = bytes_str(key), .value = bytes_str(value)}};
    struct txn_req req = {.success = &op, .n_success = 1};
    struct client_call_options opt = {.repeatable = repeatable};
    struct tenure_error err;
    *t = (struct told){0};
    struct client_call *call = client_txn(w.client, &req, &opt, on_plain, t, w.now, &err);
    assert_non_null(call);
    return call;
}

/* The client is connected and has used its connection. */
static inline void warm_up(void)
{
    struct told t;
    get(&t, "warm");
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
}

static inline int setup_n(size_t n)
{
    world_init(&w, n, NULL, 42);
    return 0;
}

static inline int one_endpoint(void **state)
{
    (void)state;
    return setup_n(1);
}

static inline int two_endpoints(void **state)
{
    (void)state;
    return setup_n(2);
}

static inline int three_endpoints(void **state)
{
    (void)state;
    return setup_n(3);
}

static inline int teardown(void **state)
{
    (void)state;
    world_fini(&w);
    return 0;
}

/* The endpoint that the client's calls go to. */
static inline size_t endpoint_in_use(void)
{
    assert_true(w.n_requests > 0);
    return (size_t)w.requests[w.n_requests - 1].endpoint;
}

#define CASE_1(f) cmocka_unit_test_setup_teardown(f, one_endpoint, teardown)
#define CASE_2(f) cmocka_unit_test_setup_teardown(f, two_endpoints, teardown)
#define CASE_3(f) cmocka_unit_test_setup_teardown(f, three_endpoints, teardown)

#endif
