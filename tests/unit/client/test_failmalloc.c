/* Every allocation of the client fails once, in a run that has calls, a watch and a keepalive over two connections. What
 * must hold: nothing is called twice or not at all, what is told is true, and when memory is there again all goes on. */
#include "cases.h"
#include "failmalloc.h"

static size_t fail_at; /* the allocation that fails; 0 = none */
static bool fail_all;  /* and all later ones, for the rest of that turn */
static size_t counted; /* allocations of the client so far */
static bool has_failed;

/* Only the client's own allocations fail, so the counting is switched on around each of its functions. */
static void enter(void *user)
{
    (void)user;
    failmalloc_off();
    if (fail_at > counted && fail_all)
        failmalloc_from(fail_at - counted);
    else if (fail_at > counted)
        failmalloc_at(fail_at - counted);
}

static void leave(void *user)
{
    (void)user;
    counted += failmalloc_count();
    has_failed |= failmalloc_hit();
    failmalloc_off();
}

/* ---- what is told ---- */

static size_t renewals, events, ended;
static tn_rev last_event;
static int end_code;

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    (void)user;
    assert_true(sent_at <= w.now);
    assert_int_equal(ttl_s, 10);
    renewals++;
}

static void on_gone(void *user)
{
    (void)user;
    fail();
}

static void on_events(void *user, const struct client_watch_events *e)
{
    (void)user;
    for (size_t i = 0; i < e->n_events; i++) {
        assert_int_equal(e->events[i].kv.mod_revision, last_event + 1); /* none missing, none twice */
        last_event = e->events[i].kv.mod_revision;
        events++;
    }
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)user;
    (void)compact_revision;
    (void)error;
    ended++;
    end_code = code;
}

static const struct client_keepalive_callbacks keepalive_callbacks = {.on_renewed = on_renewed, .on_gone = on_gone};
static const struct client_watch_callbacks watch_callbacks = {.on_events = on_events, .on_end = on_end};

/* ---- the run ---- */

static void check_told(const struct told *t, bool started, const char *value)
{
    size_t applied = mock_applied(&w, value);
    assert_int_equal(t->times, started ? 1 : 0);
    if (!started)
        assert_int_equal(applied, 0);
    else if (t->code == 0 || t->error.applied == TENURE_APPLIED_YES)
        assert_int_equal(applied, 1);
    else if (t->error.applied == TENURE_APPLIED_NO)
        assert_int_equal(applied, 0);
    else
        assert_true(applied <= 1);
}

static bool start_put(struct told *t, const char *value)
{
    struct put_req req = {.key = bytes_str("k"), .value = bytes_str(value)};
    struct tenure_error err = {0};
    *t = (struct told){0};
    enter(NULL);
    struct client_call *call = client_put(w.client, &req, NULL, on_plain, t, w.now, &err);
    leave(NULL);
    assert_true(call || err.code == TENURE_ENOMEM);
    return call != NULL;
}

static struct client_watch *start_watch(void)
{
    struct watch_create_req req = {.range = {.key = bytes_str("k")}, .start_revision = 11};
    struct tenure_error err = {0};
    enter(NULL);
    struct client_watch *watch = client_watch_start(w.client, &req, &watch_callbacks, NULL, w.now, &err);
    leave(NULL);
    assert_true(watch || err.code == TENURE_ENOMEM);
    return watch;
}

static struct client_keepalive *start_keepalive(tn_lease id)
{
    struct tenure_error err = {0};
    enter(NULL);
    struct client_keepalive *k =
        client_keepalive_start(w.client, id, 10, w.now, &keepalive_callbacks, NULL, w.now, &err);
    leave(NULL);
    assert_true(k || err.code == TENURE_ENOMEM);
    return k;
}

static void run(void)
{
    struct told a, b;
    tn_lease lease = mock_lease(&w);
    bool a_started = start_put(&a, "a");
    struct client_watch *watch = start_watch();
    struct client_keepalive *keepalive = start_keepalive(lease);
    world_run(&w, 3000);
    mock_cut(&w, 0);
    mock_cut(&w, 1);
    bool b_started = start_put(&b, "b");
    mock_put(&w, "k", "elsewhere");
    world_run(&w, 20000);
    check_told(&a, a_started, "a");
    check_told(&b, b_started, "b");
    assert_int_equal(ended, 0);
    if (watch)
        assert_int_equal(last_event, w.revision);
    if (keepalive)
        assert_true(renewals > 3);
    enter(NULL);
    if (watch)
        client_watch_stop(w.client, watch, w.now);
    if (keepalive)
        client_keepalive_stop(w.client, keepalive, w.now);
    leave(NULL);
    world_run(&w, 1000);
}

/* Answers whether an allocation failed in it. */
static bool run_failing(size_t at, bool all)
{
    memset(&w, 0, sizeof w);
    w.enter = enter;
    w.leave = leave;
    fail_at = at;
    fail_all = all;
    counted = renewals = events = ended = 0;
    last_event = 10;
    has_failed = false;
    int rc = world_try_init(&w, 2, NULL, 3);
    assert_true(rc == 0 || rc == TENURE_ENOMEM);
    if (rc == 0)
        run();
    world_fini(&w);
    return has_failed;
}

static void sweep(bool all)
{
    size_t at = 0;
    assert_false(run_failing(0, all));
    do
        at++;
    while (run_failing(at, all));
    assert_true(at > 50);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    sweep(false);
}

static void all_allocations_of_a_turn_may_fail(void **state)
{
    (void)state;
    sweep(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_allocation_may_fail),
        cmocka_unit_test(all_allocations_of_a_turn_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
