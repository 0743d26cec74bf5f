/* Hooks and trace contexts on real servers: of plain calls, of retries, of cancelled ones, and of all that recipes do for them. */
#include "lib.h"

#include "proxy.h"

#include <poll.h>
#include <uv.h>

#define TRACE_A "00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00000000000000a1-01"
#define TRACE_B "00-bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb-00000000000000b1-01"

/* ---- recorded events ---- */

enum { EVENTS_MAX = 512 };

struct seen {
    struct tenure_call_event e;
    char traceparent[64], error[256];
};

struct recorder {
    pthread_mutex_t mutex;
    struct seen seen[EVENTS_MAX];
    size_t n;
    struct proxy *mends; /* works again behind the first attempt that failed */
    tenure_client *c;
    int code_inside; /* of a call from within */
};

static void on_call(void *user, const struct tenure_call_event *e)
{
    struct recorder *r = user;
    pthread_mutex_lock(&r->mutex);
    assert_true(r->n < EVENTS_MAX);
    struct seen *s = &r->seen[r->n++];
    s->e = *e;
    snprintf(s->traceparent, sizeof s->traceparent, "%s", e->traceparent ? e->traceparent : "");
    snprintf(s->error, sizeof s->error, "%s", e->error);
    if (r->mends && e->kind == TENURE_CALL_ATTEMPT_END && e->code)
        proxy_set(r->mends, PROXY_PASS);
    if (r->c && e->kind == TENURE_CALL_BEGIN)
        r->code_inside = tenure_put_start(r->c, S("inside"), S(""), NULL, NULL, NULL, NULL);
    pthread_mutex_unlock(&r->mutex);
}

static struct recorder *recorder_new(void)
{
    struct recorder *r = calloc(1, sizeof *r);
    assert_non_null(r);
    pthread_mutex_init(&r->mutex, NULL);
    return r;
}

static void recorder_free(struct recorder *r)
{
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

static tenure_client *open_watched(const char *url, struct recorder *r)
{
    struct tenure_options o = {.size = sizeof o, .on_call = on_call, .on_call_user = r};
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(url, &o, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* How many events of that kind carry that trace; "" = none. method NULL = any. */
static size_t count(struct recorder *r, enum tenure_call_event_kind kind, const char *method, const char *trace)
{
    size_t n = 0;
    pthread_mutex_lock(&r->mutex);
    for (size_t i = 0; i < r->n; i++)
        n += r->seen[i].e.kind == kind && strcmp(r->seen[i].traceparent, trace) == 0 &&
             (!method || strstr(r->seen[i].e.method, method));
    pthread_mutex_unlock(&r->mutex);
    return n;
}

static void forget_all(struct recorder *r)
{
    pthread_mutex_lock(&r->mutex);
    r->n = 0;
    pthread_mutex_unlock(&r->mutex);
}

static void every_begin_has_its_end(const struct recorder *r)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_call_event *b = &r->seen[i].e;
        size_t ends = 0;
        if (b->kind != TENURE_CALL_BEGIN && b->kind != TENURE_CALL_ATTEMPT_BEGIN)
            continue;
        for (size_t k = i + 1; k < r->n; k++) {
            const struct tenure_call_event *e = &r->seen[k].e;
            bool is_its = e->kind == b->kind + (b->kind == TENURE_CALL_BEGIN ? 3 : 1) && e->call == b->call &&
                          (b->kind == TENURE_CALL_BEGIN || e->attempt == b->attempt);
            ends += is_its;
            if (is_its)
                assert_true(e->duration_ns >= 0 && e->time_ns > 0);
        }
        assert_int_equal(ends, 1);
    }
}

static tenure_scope *scope_of(const char *trace, void *user, void (*user_free)(void *user))
{
    struct tenure_scope_options o = {.size = sizeof o, .traceparent = trace, .user = user, .user_free = user_free};
    struct tenure_error err = {0};
    tenure_scope *s = tenure_scope_new(&o, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void count_free(void *user)
{
    atomic_fetch_add((atomic_int *)user, 1);
}

/* ---- plain calls ---- */

static void the_calls_of_a_scope_have_its_trace_and_user(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r);
    atomic_int freed = 0;
    tenure_scope *s = scope_of(TRACE_A, &freed, count_free);
    put(c, "trace/out", "1");
    tenure_scope_use(s);
    put(c, "trace/in", "22");
    free(get(c, "trace/in"));
    tenure_scope_use(NULL);
    put(c, "trace/out", "1");
    tenure_scope_free(s);
    await_flag(&freed);
    tenure_close(c);
    assert_int_equal(freed, 1);
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Put", TRACE_A), 1);
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Range", TRACE_A), 1);
    assert_int_equal(count(r, TENURE_CALL_END, NULL, TRACE_A), 2);
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Put", ""), 2);
    every_begin_has_its_end(r);
    for (size_t i = 0; i < r->n; i++) {
        const struct tenure_call_event *e = &r->seen[i].e;
        assert_int_equal(e->size, sizeof *e);
        assert_ptr_equal(e->scope_user, r->seen[i].traceparent[0] ? &freed : NULL);
        assert_true(e->by_program);
        if (e->kind != TENURE_CALL_END)
            continue;
        assert_int_equal(e->code, 0);
        assert_int_equal(e->attempt, 1);
        assert_string_equal(r->seen[i].error, "");
        assert_int_equal(e->applied, strstr(e->method, "Put") ? TENURE_APPLIED_YES : TENURE_APPLIED_NO);
        assert_true(e->bytes_out > 0 && e->bytes_in > 0);
    }
    recorder_free(r);
}

static void an_attempt_that_fails_is_followed_by_another(void **state)
{
    struct recorder *r = recorder_new();
    struct proxy *p = proxy_start(server_url(*state));
    proxy_set(p, PROXY_RESET);
    r->mends = p;
    tenure_client *c = open_watched(proxy_url(p), r);
    tenure_scope *s = scope_of(TRACE_A, NULL, NULL);
    tenure_scope_use(s);
    free(get(c, "trace/in"));
    tenure_scope_use(NULL);
    tenure_scope_free(s);
    tenure_close(c);
    size_t attempts = count(r, TENURE_CALL_ATTEMPT_BEGIN, "KV/Range", TRACE_A);
    assert_true(attempts >= 2);
    every_begin_has_its_end(r);
    assert_int_equal(r->seen[0].e.kind, TENURE_CALL_BEGIN);
    assert_int_equal(r->seen[2].e.kind, TENURE_CALL_ATTEMPT_END);
    assert_int_equal(r->seen[2].e.attempt, 1);
    assert_true(r->seen[2].e.code < 0);
    assert_string_equal(r->seen[1].e.method, "/etcdserverpb.KV/Range");
    const struct tenure_call_event *end = &r->seen[r->n - 1].e;
    assert_int_equal(end->kind, TENURE_CALL_END);
    assert_int_equal(end->code, 0);
    assert_int_equal(end->attempt, attempts);
    proxy_free(p);
    recorder_free(r);
}

struct outcome {
    int code;
    struct tenure_error err;
};

static void on_got(void *user, int code, struct tenure_get_result *g, const struct tenure_error *err)
{
    struct outcome *k = user;
    tenure_get_free(g);
    k->code = code;
    k->err = *err;
}

static void a_call_that_reaches_nobody_has_no_attempt(void **state)
{
    struct recorder *r = recorder_new();
    char url[64];
    struct tenure_error err = {0};
    struct outcome k = {0};
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port_unused());
    struct tenure_options watched = {.size = sizeof watched, .on_call = on_call, .on_call_user = r};
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 50};
    tenure_client *c = tenure_open_poll(url, &watched, &err);
    no_error(tenure_get_start(c, S("k"), &o, on_got, &k, &err), &err);
    while (k.code == 0) {
        struct pollfd p = {.fd = tenure_fd(c), .events = POLLIN};
        poll(&p, 1, tenure_timeout_ms(c));
        tenure_turn(c);
    }
    tenure_close(c);
    err = k.err;
    assert_int_equal(k.code, TENURE_ETIMEOUT);
    assert_int_equal(r->n, 2);
    assert_int_equal(r->seen[1].e.kind, TENURE_CALL_END);
    assert_int_equal(r->seen[1].e.code, TENURE_ETIMEOUT);
    assert_int_equal(r->seen[1].e.attempt, 0);
    assert_string_equal(r->seen[1].error, err.text);
    assert_true(r->seen[1].e.duration_ns >= 40 * INT64_C(1000000));
    recorder_free(r);
}

static void the_library_is_not_called_from_within(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r);
    pthread_mutex_lock(&r->mutex);
    r->c = c;
    pthread_mutex_unlock(&r->mutex);
    put(c, "trace/out", "1");
    tenure_close(c);
    assert_int_equal(r->code_inside, TENURE_EINVALID);
    recorder_free(r);
}

/* ---- recipes ---- */

static tenure_lock *acquire_in(tenure_scope *s, tenure_client *c, const char *name)
{
    struct tenure_error err = {0};
    tenure_scope_use(s);
    tenure_lock *l = tenure_lock_acquire(c, name, NULL, &err);
    tenure_scope_use(NULL);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void all_that_a_lock_does_belongs_to_its_acquire(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r);
    struct tenure_error err = {0};
    atomic_int freed = 0;
    tenure_scope *s = scope_of(TRACE_A, &freed, count_free);
    tenure_lock *l = acquire_in(s, c, "trace");
    tenure_scope_free(s);
    assert_int_equal(freed, 0); /* the lock has it */
    no_error(tenure_unlock(l, &err), &err);
    await_flag(&freed);
    assert_int_equal(count(r, TENURE_CALL_END, NULL, ""), 0);
    assert_true(count(r, TENURE_CALL_END, "KV/Txn", TRACE_A) >= 2); /* into the queue, and out of it */
    assert_int_equal(count(r, TENURE_CALL_END, "LeaseGrant", TRACE_A), 1);
    tenure_close(c);
    assert_int_equal(count(r, TENURE_CALL_END, "LeaseRevoke", ""), 1); /* the session was for all */
    every_begin_has_its_end(r);
    for (size_t i = 0; i < r->n; i++)
        assert_false(r->seen[i].e.by_program);
    recorder_free(r);
}

struct waiter {
    tenure_scope *scope;
    tenure_client *c;
    tenure_lock *lock;
    struct tenure_error err;
    pthread_t thread;
};

static void *wait_for_it(void *arg)
{
    struct waiter *k = arg;
    tenure_scope_use(k->scope);
    k->lock = tenure_lock_acquire(k->c, "trace", NULL, &k->err);
    tenure_scope_use(NULL);
    return NULL;
}

static bool is_in(void *scope)
{
    return tenure_scope_calls(scope) > 0;
}

static size_t places(tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_lock_list *list;
    no_error(tenure_lock_list(c, "trace", NULL, &list, &err), &err);
    size_t n = list->n;
    tenure_lock_list_free(list);
    return n;
}

static bool are_two(void *c)
{
    return places(c) == 2;
}

static bool is_one(void *c)
{
    return places(c) == 1;
}

static struct waiter *waiter_start(tenure_client *c, tenure_scope *s)
{
    struct waiter *k = calloc(1, sizeof *k);
    k->scope = s;
    k->c = c;
    assert_int_equal(pthread_create(&k->thread, NULL, wait_for_it, k), 0);
    assert_true(test_await(is_in, s));
    return k;
}

/* The second one stands in line in the process itself, and has its turn in a completion of the first one's. */
static void whose_turn_comes_by_another_carries_its_own(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r);
    struct tenure_error err = {0};
    tenure_scope *a = scope_of(TRACE_A, NULL, NULL), *b = scope_of(TRACE_B, NULL, NULL);
    tenure_lock *l = acquire_in(a, c, "trace");
    struct waiter *k = waiter_start(c, b);
    forget_all(r);
    no_error(tenure_unlock(l, &err), &err);
    pthread_join(k->thread, NULL);
    assert_non_null(k->lock);
    assert_true(count(r, TENURE_CALL_END, NULL, TRACE_A) >= 1); /* out of the queue */
    assert_true(count(r, TENURE_CALL_END, NULL, TRACE_B) >= 1);
    forget_all(r);
    no_error(tenure_unlock(k->lock, &err), &err);
    assert_true(count(r, TENURE_CALL_END, NULL, TRACE_B) >= 1);
    assert_int_equal(count(r, TENURE_CALL_END, NULL, TRACE_A), 0);
    tenure_scope_free(a);
    tenure_scope_free(b);
    tenure_close(c);
    every_begin_has_its_end(r);
    free(k);
    recorder_free(r);
}

/* It waits at the server for somebody else, and is then given up. */
static void what_is_taken_back_of_a_cancelled_one_belongs_to_it_too(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r), *other = open_on(*state);
    struct tenure_error err = {0};
    atomic_int freed = 0;
    tenure_lock *held = acquire_in(NULL, other, "trace");
    tenure_scope *b = scope_of(TRACE_B, &freed, count_free);
    struct waiter *k = waiter_start(c, b);
    assert_true(test_await(are_two, other));
    tenure_scope_cancel(b);
    pthread_join(k->thread, NULL);
    assert_null(k->lock);
    assert_int_equal(k->err.code, TENURE_ECANCELLED);
    tenure_scope_free(b);
    assert_true(test_await(is_one, other));
    tenure_close(c);
    assert_true(count(r, TENURE_CALL_END, "KV/Txn", TRACE_B) >= 2); /* in, and out */
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Txn", ""), 0);
    assert_int_equal(freed, 1);
    every_begin_has_its_end(r);
    no_error(tenure_unlock(held, &err), &err);
    tenure_close(other);
    free(k);
    recorder_free(r);
}

static void other_recipes_carry_it_too(void **state)
{
    struct recorder *r = recorder_new();
    tenure_client *c = open_watched(server_url(*state), r);
    struct tenure_error err = {0};
    tenure_scope *s = scope_of(TRACE_A, NULL, NULL);
    int64_t n = 0;
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = "trace/1"},
                                            {.size = sizeof parts[0], .name = "trace/2"}};
    tenure_scope_use(s);
    no_error(tenure_counter_add(c, "trace/count", 1, NULL, &n, &err), &err);
    tenure_multilock *m = tenure_multilock_acquire(c, parts, 2, NULL, &err);
    if (!m)
        fail_msg("%s", err.text);
    no_error(tenure_multilock_unlock(m, &err), &err);
    no_error(tenure_barrier_hold(c, "trace", NULL, &err), &err);
    struct tenure_barrier_options o = {.size = sizeof o, .timeout_ms = 30};
    assert_int_equal(tenure_barrier_wait(c, "trace", &o, &err), TENURE_ETIMEOUT);
    no_error(tenure_barrier_release(c, "trace", NULL, &err), &err);
    tenure_scope_use(NULL);
    assert_true(count(r, TENURE_CALL_END, "KV/Txn", TRACE_A) >= 7);
    assert_int_equal(count(r, TENURE_CALL_END, NULL, ""), 0);
    tenure_scope_free(s);
    tenure_close(c);
    every_begin_has_its_end(r);
    recorder_free(r);
}

/* ---- loops ---- */

struct chain {
    tenure_client *c;
    int code;
};

static void on_closed(void *user)
{
    (void)user;
}

static void on_second(void *user, int code, struct tenure_put_result *p, const struct tenure_error *err)
{
    struct chain *k = user;
    (void)err;
    tenure_put_free(p);
    k->code = code;
    tenure_close_start(k->c, on_closed, NULL);
}

static void on_first(void *user, int code, struct tenure_put_result *p, const struct tenure_error *err)
{
    struct chain *k = user;
    struct tenure_error why = {0};
    (void)err;
    tenure_put_free(p);
    assert_int_equal(code, 0);
    no_error(tenure_put_start(k->c, S("trace/second"), S("2"), NULL, on_second, k, &why), &why);
}

/* As no scope is in use in a completion, what is begun there has no trace. */
static void what_a_completion_of_the_programs_begins_has_none(void **state)
{
    struct recorder *r = recorder_new();
    struct tenure_options o = {.size = sizeof o, .on_call = on_call, .on_call_user = r};
    struct tenure_error err = {0};
    struct chain k = {.code = 1};
    uv_loop_t loop;
    uv_loop_init(&loop);
    k.c = tenure_open_uv(&loop, server_url(*state), &o, &err);
    assert_non_null(k.c);
    tenure_scope *s = scope_of(TRACE_A, NULL, NULL);
    tenure_scope_use(s);
    no_error(tenure_put_start(k.c, S("trace/first"), S("1"), NULL, on_first, &k, &err), &err);
    tenure_scope_use(NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    tenure_scope_free(s);
    assert_int_equal(k.code, 0);
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Put", TRACE_A), 1);
    assert_int_equal(count(r, TENURE_CALL_END, "KV/Put", ""), 1);
    recorder_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_calls_of_a_scope_have_its_trace_and_user),
        cmocka_unit_test(an_attempt_that_fails_is_followed_by_another),
        cmocka_unit_test(a_call_that_reaches_nobody_has_no_attempt),
        cmocka_unit_test(the_library_is_not_called_from_within),
        cmocka_unit_test(all_that_a_lock_does_belongs_to_its_acquire),
        cmocka_unit_test(whose_turn_comes_by_another_carries_its_own),
        cmocka_unit_test(what_is_taken_back_of_a_cancelled_one_belongs_to_it_too),
        cmocka_unit_test(other_recipes_carry_it_too),
        cmocka_unit_test(what_a_completion_of_the_programs_begins_has_none),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
