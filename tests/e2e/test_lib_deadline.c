/* Deadlines (C3) against what never answers, and the bound of a close. The bounds are the library's promise of 100 ms; the
 * slack beside it is for a machine that is busy with other tests, and is the same for each. */
#include "lib.h"

#include <poll.h>
#include <semaphore.h>
#include <unistd.h>

#define TIMEOUT_MS 700
#define SLACK_MS   400

static tenure_client *open_port(uint16_t port, const struct tenure_options *o)
{
    char url[64];
    struct tenure_error err = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    tenure_client *c = tenure_open(url, o, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

static void took_at_most(int64_t begun, int64_t ms)
{
    int64_t took = test_now() - begun;
    if (took > ms + LATE_MS + SLACK_MS)
        fail_msg("took %" PRId64 " ms, the deadline was %" PRId64, took, ms);
}

static void took_at_least(int64_t begun, int64_t ms)
{
    assert_true(test_now() - begun >= ms - 10);
}

static void check_get(tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = TIMEOUT_MS};
    int64_t begun = test_now();
    int rc = tenure_get(c, S("a"), &o, NULL, &err);
    took_at_most(begun, TIMEOUT_MS);
    assert_true(rc == TENURE_ETIMEOUT || rc == TENURE_EUNAVAILABLE);
    assert_true(err.text[0] != 0);
}

/* A write that was on its way may have been applied. */
static void check_put(tenure_client *c, enum tenure_applied applied)
{
    struct tenure_error err = {0};
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = TIMEOUT_MS};
    int64_t begun = test_now();
    int rc = tenure_put(c, S("a"), S("b"), &o, NULL, &err);
    took_at_most(begun, TIMEOUT_MS);
    assert_true(rc == TENURE_ETIMEOUT || rc == TENURE_EUNAVAILABLE);
    assert_int_equal(err.applied, applied);
}

static void a_call_ends_in_time_when_nobody_listens(void **state)
{
    (void)state;
    uint16_t port = port_unused();
    char url[64];
    struct tenure_error err = {0};
    struct tenure_get_options g = {.size = sizeof g, .timeout_ms = TIMEOUT_MS};
    tenure_client *c = open_port(port, NULL);
    check_get(c);
    check_put(c, TENURE_APPLIED_NO);
    assert_true(tenure_get(c, S("a"), &g, NULL, &err) < 0);
    snprintf(url, sizeof url, "127.0.0.1:%u", port);
    assert_non_null(strstr(err.text, url)); /* says whom it could not reach */
    assert_non_null(strstr(err.text, "refused"));
    tenure_close(c);
}

static void a_call_ends_in_time_when_a_listener_never_answers(void **state)
{
    (void)state;
    uint16_t port;
    int fd = black_hole(&port);
    tenure_client *c = open_port(port, NULL);
    check_get(c);
    check_put(c, TENURE_APPLIED_NO); /* nobody has greeted: nothing was sent */
    tenure_close(c);
    close(fd);
}

static void a_call_ends_in_time_when_a_server_stops_answering(void **state)
{
    struct server *s = *state;
    tenure_client *c = open_on(s);
    put(c, "a", "b"); /* connected */
    server_pause(s);
    check_put(c, TENURE_APPLIED_MAYBE);
    check_get(c);
    server_resume(s);
    put(c, "a", "c");
    tenure_close(c);
}

static void calls_go_to_the_endpoint_that_answers(void **state)
{
    struct tenure_error err = {0};
    uint16_t port;
    int fd = black_hole(&port);
    char urls[200];
    snprintf(urls, sizeof urls, "http://127.0.0.1:%u, %s,127.0.0.1:%u", port_unused(), server_url(*state), port);
    for (int i = 0; i < 5; i++) { /* which one is tried first is drawn */
        tenure_client *c = tenure_open(urls, NULL, &err);
        assert_non_null(c);
        assert_int_equal(tenure_endpoints(c), 2 + server_members(*state));
        put(c, "several", "x");
        tenure_close(c);
    }
    close(fd);
}

static void a_lock_is_given_up_in_time(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    uint16_t port;
    int fd = black_hole(&port);
    struct tenure_options o = {.size = sizeof o, .close_timeout_ms = TIMEOUT_MS};
    struct tenure_lock_options lock = {.size = sizeof lock, .wait_ms = TIMEOUT_MS};
    tenure_client *c = open_port(port, &o);
    int64_t begun = test_now();
    assert_null(tenure_lock_acquire(c, "x", &lock, &err));
    took_at_most(begun, TIMEOUT_MS);
    took_at_least(begun, TIMEOUT_MS);
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    begun = test_now();
    tenure_close(c);
    took_at_most(begun, TIMEOUT_MS);
    close(fd);
}

struct blocked {
    tenure_client *handle;
    int code;
};

static void *block(void *arg)
{
    struct blocked *b = arg;
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 60000};
    b->code = tenure_get(b->handle, S("a"), &o, NULL, NULL);
    return NULL;
}

static void a_close_ends_the_calls_of_other_threads(void **state)
{
    (void)state;
    uint16_t port;
    int fd = black_hole(&port);
    pthread_t thread;
    struct blocked b = {.handle = open_port(port, NULL)};
    assert_int_equal(pthread_create(&thread, NULL, block, &b), 0);
    struct pollfd connected = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&connected, 1, 20000), 1); /* the call is under way: it made the handle connect */
    int64_t begun = test_now();
    tenure_close(b.handle);
    pthread_join(thread, NULL);
    took_at_most(begun, 0);
    assert_int_equal(b.code, TENURE_ECLOSED);
    close(fd);
}

static void a_close_with_held_locks_and_a_dead_server_is_bounded(void **state)
{
    struct server *s = *state;
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .close_timeout_ms = TIMEOUT_MS};
    tenure_client *c = tenure_open(server_url(s), &o, &err);
    assert_non_null(tenure_lock_acquire(c, "dead/a", NULL, &err));
    assert_non_null(tenure_lock_acquire(
        c, "dead/b", &(struct tenure_lock_options){.size = sizeof(struct tenure_lock_options), .ttl_s = 5}, &err));
    server_pause(s);
    int64_t begun = test_now();
    tenure_close(c);
    took_at_most(begun, TIMEOUT_MS);
    server_resume(s);
}

struct busy {
    atomic_int flag; /* it has begun */
    sem_t go;        /* it may end */
};

static void on_busy(void *user, int64_t revision)
{
    (void)revision;
    struct busy *b = user;
    atomic_store(&b->flag, 1);
    while (sem_wait(&b->go) < 0)
        ;
}

static void a_callback_that_keeps_the_loop_busy_does_not_keep_callers(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct busy busy = {.flag = 0};
    struct tenure_watch_options w = {.size = sizeof w, .on_created = on_busy, .user = &busy};
    assert_int_equal(sem_init(&busy.go, 0, 0), 0);
    struct tenure_put_options p = {.size = sizeof p, .timeout_ms = 200};
    tenure_watch *watch = tenure_watch_start(c, S("busy"), &w, &err);
    await_flag(&busy.flag);
    int64_t begun = test_now();
    assert_int_equal(tenure_put(c, S("busy/a"), S("x"), &p, NULL, &err), TENURE_ETIMEOUT);
    took_at_most(begun, 200);
    assert_int_equal(err.applied, TENURE_APPLIED_NO); /* the loop never took it, and never will */
    sem_post(&busy.go);
    tenure_watch_stop(watch);
    assert_int_equal(tenure_get(c, S("busy/a"), NULL, NULL, &err), 0);
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S("busy/a"), NULL, &r, &err), &err);
    assert_int_equal(r->n_kvs, 0);
    tenure_get_free(r);
    tenure_close(c);
}

static void endpoints_that_cannot_be_read_are_named(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "http://",        "https://", "ftp://h:1", "h:port",
                                      "h:1,,h:2", "http://h:1/a/b", "h:99999",  "unix://",   "http://::1:2379"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tenure_error err = {0};
        assert_null(tenure_open(bad[i], NULL, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
        assert_int_equal(err.kind, TENURE_KIND_USAGE);
        assert_non_null(strstr(err.text, "endpoints"));
    }
    struct tenure_options negative = {.size = sizeof negative, .call_timeout_ms = -1};
    assert_null(tenure_open(NULL, &negative, NULL));
}

static void the_environment_names_the_default_endpoints(void **state)
{
    (void)state;
    unsetenv("TENURE_ENDPOINTS");
    tenure_client *c = tenure_open(NULL, NULL, NULL);
    assert_string_equal(tenure_endpoint(c, 0), "http://127.0.0.1:2379");
    tenure_close(c);
    setenv("TENURE_ENDPOINTS", "http://10.0.0.1:1,unix:///run/x.sock", 1);
    c = tenure_open(NULL, NULL, NULL);
    assert_int_equal(tenure_endpoints(c), 2);
    assert_string_equal(tenure_endpoint(c, 1), "unix:///run/x.sock");
    tenure_close(c);
    unsetenv("TENURE_ENDPOINTS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_call_ends_in_time_when_nobody_listens),
        cmocka_unit_test(a_call_ends_in_time_when_a_listener_never_answers),
        cmocka_unit_test(a_call_ends_in_time_when_a_server_stops_answering),
        cmocka_unit_test(calls_go_to_the_endpoint_that_answers),
        cmocka_unit_test(a_lock_is_given_up_in_time),
        cmocka_unit_test(a_close_ends_the_calls_of_other_threads),
        cmocka_unit_test(a_close_with_held_locks_and_a_dead_server_is_bounded),
        cmocka_unit_test(a_callback_that_keeps_the_loop_busy_does_not_keep_callers),
        cmocka_unit_test(endpoints_that_cannot_be_read_are_named),
        cmocka_unit_test(the_environment_names_the_default_endpoints),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
