/* Endpoints that fail (C3, C4): silent, slow, refusing, half-open and lying ones, each beside a good one, and alone. Two endpoints
 * are two proxies, before one server or before two members of a cluster. The bounds are the library's promise of 100 ms; the slack
 * is for a busy machine. Effort is counted in connections, not in time. */
#include "lib.h"
#include "proxy.h"

enum { TIMEOUT_MS = 4000, BAD_TIMEOUT_MS = 300, SLACK_MS = 400, ATTEMPTS_MAX = 60, TTL_S = 4 };

struct pair {
    struct server *server;
    struct proxy *proxies[2];
};

static const struct {
    enum proxy_mode mode;
    const char *name;
} bad_modes[] = {
    {PROXY_REFUSE, "refusing"}, {PROXY_SILENT, "silent"},      {PROXY_SLOW, "slow"},
    {PROXY_GARBAGE, "garbage"}, {PROXY_HTTP1, "HTTP/1.1"},     {PROXY_GOAWAY, "GOAWAY"},
    {PROXY_RESET, "resetting"}, {PROXY_WRONG, "wrong status"}, {PROXY_END, "hanging up"},
};
enum { BAD_MODES = sizeof bad_modes / sizeof bad_modes[0] };

static tenure_client *open_pair(const struct pair *p)
{
    struct tenure_error err = {0};
    char urls[200];
    struct tenure_options o = {.size = sizeof o, .close_timeout_ms = 500};
    snprintf(urls, sizeof urls, "%s,%s", proxy_url(p->proxies[0]), proxy_url(p->proxies[1]));
    tenure_client *c = tenure_open(urls, &o, &err);
    assert_non_null(c);
    return c;
}

static void set_both(const struct pair *p, enum proxy_mode first, enum proxy_mode second)
{
    proxy_set(p->proxies[0], first);
    proxy_set(p->proxies[1], second);
}

static int get_within(tenure_client *c, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = timeout_ms};
    int64_t begun = test_now();
    int rc = tenure_get(c, S("endpoints/a"), &o, NULL, err);
    int64_t took = test_now() - begun;
    if (took > timeout_ms + LATE_MS + SLACK_MS)
        fail_msg("a call took %" PRId64 " ms, its deadline was %" PRId64, took, timeout_ms);
    return rc;
}

static void calls_end_through_the_good_one(void **state)
{
    const struct pair *p = *state;
    for (size_t i = 0; i < BAD_MODES; i++) {
        for (int which = 0; which < 2; which++) {
            struct tenure_error err = {0};
            set_both(p, which ? PROXY_PASS : bad_modes[i].mode, which ? bad_modes[i].mode : PROXY_PASS);
            tenure_client *c = open_pair(p); /* which one is tried first is drawn */
            for (int n = 0; n < 3; n++)
                if (get_within(c, TIMEOUT_MS, &err) != 0)
                    fail_msg("%s: %s", bad_modes[i].name, err.text);
            tenure_close(c);
        }
    }
    set_both(p, PROXY_PASS, PROXY_PASS);
}

/* A write may reach a liar, and then it says that it does not know; it ends in time, and is never applied twice. */
static void writes_end_in_time(void **state)
{
    const struct pair *p = *state;
    for (size_t i = 0; i < BAD_MODES; i++) {
        struct tenure_error err = {0};
        struct tenure_put_options o = {.size = sizeof o, .timeout_ms = TIMEOUT_MS};
        set_both(p, bad_modes[i].mode, PROXY_PASS);
        tenure_client *c = open_pair(p);
        int64_t begun = test_now();
        int rc = tenure_put(c, S("endpoints/w"), S("x"), &o, NULL, &err);
        assert_true(test_now() - begun <= TIMEOUT_MS + LATE_MS + SLACK_MS);
        if (rc != 0 && err.applied != TENURE_APPLIED_MAYBE)
            fail_msg("%s: %s", bad_modes[i].name, err.text);
        tenure_close(c);
    }
    set_both(p, PROXY_PASS, PROXY_PASS);
}

/* C4: how often it tried, over all that was asked of it. */
static void when_all_are_bad_it_says_so_in_time_and_hardly_tries(void **state)
{
    const struct pair *p = *state;
    for (size_t i = 0; i < BAD_MODES && !server_is_etcd(p->server); i++) { /* no server is asked */
        struct tenure_error err = {0};
        set_both(p, bad_modes[i].mode, bad_modes[i].mode);
        size_t accepts = proxy_accepts(p->proxies[0]) + proxy_accepts(p->proxies[1]);
        size_t bytes = proxy_bytes(p->proxies[0]) + proxy_bytes(p->proxies[1]);
        tenure_client *c = open_pair(p);
        assert_true(get_within(c, BAD_TIMEOUT_MS, &err) < 0);
        for (int which = 0; which < 2; which++)
            if (!strstr(err.text, proxy_url(p->proxies[which])))
                fail_msg("%s: %s is not named: %s", bad_modes[i].name, proxy_url(p->proxies[which]), err.text);
        tenure_close(c);
        accepts = proxy_accepts(p->proxies[0]) + proxy_accepts(p->proxies[1]) - accepts;
        bytes = proxy_bytes(p->proxies[0]) + proxy_bytes(p->proxies[1]) - bytes;
        if (accepts > ATTEMPTS_MAX || bytes > 256 * 1024)
            fail_msg("%s: %zu connections, %zu bytes", bad_modes[i].name, accepts, bytes);
    }
    set_both(p, PROXY_PASS, PROXY_PASS);
}

/* The one that carries the handle's calls: who has got more bytes behind another call. */
static size_t in_use(const struct pair *p, tenure_client *c)
{
    struct tenure_error err = {0};
    size_t before = proxy_bytes(p->proxies[0]);
    no_error(get_within(c, TIMEOUT_MS, &err), &err);
    return proxy_bytes(p->proxies[0]) > before ? 0 : 1;
}

static void a_connection_that_only_seems_to_stand_is_left(void **state)
{
    const struct pair *p = *state;
    struct tenure_error err = {0};
    tenure_client *c = open_pair(p);
    for (int round = 0; round < 2; round++) {
        size_t bad = in_use(p, c);
        proxy_set(p->proxies[bad], PROXY_HALF_OPEN);
        no_error(get_within(c, TIMEOUT_MS, &err), &err);
        assert_int_equal(in_use(p, c), 1 - bad);
        proxy_set(p->proxies[bad], PROXY_PASS);
        proxy_drop(p->proxies[bad]);
    }
    tenure_close(c);
}

/* Calls until it is on its second connection: the proxy lets go of the first one a moment after it was told. */
static bool has_moved(void *user)
{
    struct tenure_error err = {0};
    struct tenure_stats s = {.size = sizeof s};
    no_error(get_within(user, TIMEOUT_MS, &err), &err);
    no_error(tenure_stats(user, &s, &err), &err);
    return s.connections >= 2;
}

static void what_happened_is_counted(void **state)
{
    const struct pair *p = *state;
    struct tenure_error err = {0};
    struct tenure_stats s = {.size = sizeof s};
    struct tenure_endpoint_stats e = {.size = sizeof e};
    tenure_client *c = open_pair(p);
    size_t bad = in_use(p, c);
    no_error(tenure_stats(c, &s, &err), &err);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.failed, 0);
    assert_true(s.connections >= 1);
    assert_int_equal(s.under_way, 0);
    assert_true(s.bytes_in > 0 && s.bytes_out > 0);
    proxy_set(p->proxies[bad], PROXY_REFUSE);
    assert_true(test_await(has_moved, c));
    no_error(tenure_stats(c, &s, &err), &err);
    assert_true(s.calls >= 2);
    assert_true(s.endpoint_failures >= 1);
    no_error(tenure_endpoint_stats(c, bad, &e, &err), &err);
    assert_false(e.in_use);
    assert_true(e.failures >= 1);
    assert_true(e.error[0] != 0);
    no_error(tenure_endpoint_stats(c, 1 - bad, &e, &err), &err);
    assert_true(e.in_use);
    assert_int_equal(tenure_endpoint_stats(c, 2, &e, &err), TENURE_EINVALID);
    s.size = 0;
    assert_int_equal(tenure_stats(c, &s, &err), TENURE_EINVALID);
    tenure_close(c);
}

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    (void)lock, (void)why;
    atomic_store((atomic_int *)user, 1);
}

static bool is_past(void *user)
{
    return test_now() >= *(int64_t *)user;
}

static void a_lock_outlives_the_loss_of_an_endpoint(void **state)
{
    const struct pair *p = *state;
    struct tenure_error err = {0};
    atomic_int lost = 0;
    tenure_client *c = open_pair(p);
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = TTL_S, .on_lost = on_lost, .user = &lost};
    tenure_lock *l = tenure_lock_acquire(c, "endpoints", &o, &err);
    if (!l)
        fail_msg("%s", err.text);
    proxy_set(p->proxies[in_use(p, c)], PROXY_HALF_OPEN);
    int64_t until = test_now() + TTL_S * 1000 + 500; /* longer than the lease lives without a renewal */
    assert_true(test_await(is_past, &until));
    assert_true(tenure_lock_held(l));
    assert_int_equal(atomic_load(&lost), 0);
    assert_int_equal(tenure_unlock(l, &err), 0);
    tenure_close(c);
    set_both(p, PROXY_PASS, PROXY_PASS);
}

static int setup(void **state)
{
    static struct pair p;
    p.server = server_start();
    char first[200]; /* of a cluster's members two */
    snprintf(first, sizeof first, "%.*s", (int)strcspn(server_url(p.server), ","), server_url(p.server));
    p.proxies[0] = proxy_start(first);
    p.proxies[1] = proxy_start(server_url(p.server));
    *state = &p;
    return 0;
}

static int all_good(void **state)
{
    set_both(*state, PROXY_PASS, PROXY_PASS);
    return 0;
}

static int teardown(void **state)
{
    struct pair *p = *state;
    proxy_free(p->proxies[0]);
    proxy_free(p->proxies[1]);
    server_free(p->server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(calls_end_through_the_good_one, all_good),
        cmocka_unit_test_setup(writes_end_in_time, all_good),
        cmocka_unit_test_setup(when_all_are_bad_it_says_so_in_time_and_hardly_tries, all_good),
        cmocka_unit_test_setup(a_connection_that_only_seems_to_stand_is_left, all_good),
        cmocka_unit_test_setup(what_happened_is_counted, all_good),
        cmocka_unit_test_setup(a_lock_outlives_the_loss_of_an_endpoint, all_good),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
