/* Answers that come late, by a proxy that delays both directions: a slow link costs time and loses nothing; what is answered
 * later than a TTL is no renewal (L2, M2, C3). */
#include "lib.h"

#include "proxy.h"

#define TTL_S      2
#define SLOW_TTL_S 5 /* a renewal or two may come late on a loaded machine */
#define MARGIN_MS  (250 + TTL_S * 10)

struct link {
    struct server *server;
    struct proxy *proxy;
    tenure_client *near, *far; /* beside the proxy; through it */
};

static struct link *link_of(void **state)
{
    return *state;
}

static int setup(void **state)
{
    struct link *l = calloc(1, sizeof *l);
    l->server = server_start();
    l->proxy = proxy_start(server_url(l->server));
    l->near = open_on(l->server);
    l->far = tenure_open(proxy_url(l->proxy), NULL, NULL);
    assert_non_null(l->far);
    *state = l;
    return 0;
}

static int teardown(void **state)
{
    struct link *l = link_of(state);
    tenure_close(l->far);
    tenure_close(l->near);
    proxy_free(l->proxy);
    server_free(l->server);
    free(l);
    return 0;
}

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    (void)lock, (void)why;
    atomic_store((atomic_int *)user, 1);
}

static tenure_lock *take(tenure_client *c, const char *name, int64_t ttl_s, atomic_int *lost)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = ttl_s, .on_lost = on_lost, .user = lost};
    tenure_lock *lock = tenure_lock_acquire(c, name, &o, &err);
    if (!lock)
        fail_msg("%s", err.text);
    return lock;
}

struct asked {
    tenure_lock *lock;
    int64_t until, last_held;
};

static bool is_past_or_lost(void *user)
{
    struct asked *a = user;
    int64_t begun = test_now();
    if (!tenure_lock_held(a->lock))
        return true;
    a->last_held = begun;
    return begun >= a->until;
}

/* A round trip of 600 ms, where keepalives are in doubt after less. */
static void a_slow_link_loses_nothing(void **state)
{
    struct link *l = link_of(state);
    static atomic_int lost; /* the handle's thread may tell it when a failed test has ended */
    struct tenure_error err = {0};
    server_lull(l->server); /* an election takes more of the lease than this link leaves */
    proxy_delay(l->proxy, 300);
    proxy_set(l->proxy, PROXY_DELAY);
    struct asked asked = {.lock = take(l->far, "slow", SLOW_TTL_S, &lost)};
    asked.until = test_now() + (SLOW_TTL_S + 1) * 1000;
    put(l->far, "slow/a", "1");
    assert_true(test_await(is_past_or_lost, &asked));
    assert_true(tenure_lock_held(asked.lock));
    assert_false(atomic_load(&lost));
    char *value = get(l->near, "slow/a");
    assert_string_equal(value, "1");
    free(value);
    no_error(tenure_unlock(asked.lock, &err), &err);
    proxy_set(l->proxy, PROXY_PASS);
    server_lull_ends(l->server);
}

static void an_answer_later_than_the_lease_is_no_renewal(void **state)
{
    struct link *l = link_of(state);
    static atomic_int lost, unused;
    struct tenure_error err = {0};
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 500};
    struct tenure_get_result *r = NULL;
    struct asked asked = {.lock = take(l->far, "late", TTL_S, &lost), .until = INT64_MAX};
    tenure_token token = tenure_lock_token(asked.lock);
    proxy_delay(l->proxy, 2000);
    proxy_set(l->proxy, PROXY_DELAY);
    int64_t delayed = test_now();

    assert_int_equal(tenure_get(l->far, S("late"), &o, &r, &err), TENURE_ETIMEOUT);
    assert_true(test_now() <= delayed + 500 + 10 * LATE_MS); /* test_lib_deadline.c is exact */
    assert_true(test_await(is_past_or_lost, &asked));
    assert_true(asked.last_held <= delayed + TTL_S * 1000 - MARGIN_MS);
    await_flag(&lost);
    tenure_lock *next = take(l->near, "late", TTL_S, &unused);
    assert_true(tenure_lock_token(next) > token);
    assert_false(tenure_lock_held(asked.lock));

    proxy_set(l->proxy, PROXY_PASS);
    assert_int_equal(tenure_unlock(asked.lock, &err), TENURE_ELOST);
    assert_true(tenure_lock_held(next));
    token = tenure_lock_token(next);
    no_error(tenure_unlock(next, &err), &err);
    asked.lock = take(l->far, "late", TTL_S, &unused);
    assert_true(tenure_lock_token(asked.lock) > token);
    no_error(tenure_unlock(asked.lock, &err), &err);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_link_loses_nothing),
        cmocka_unit_test(an_answer_later_than_the_lease_is_no_renewal),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
