/* A client among three servers that fail in every way at random, from a seed. At all times: each call ends once, by its
 * deadline; no write is applied twice, none that is "not applied" at all (C1, C2, C3); the watch gets every event once and
 * in order (W2 to W5, W14); a renewal never counts from later than the server saw it (L2); nothing spins (C4: the world
 * checks). When the faults end, all is well again soon. */
#include "cases.h"

enum { SEEDS = 150, STEPS = 120, CALLS_MAX = 400, HEAL_MS = 25000 };

struct tracked {
    struct told told;
    struct client_call *call;
    char value[16];
    bool is_write, repeatable, cancelled;
    tn_ms begun, deadline;
};

static struct tracked calls[CALLS_MAX];
static size_t n_calls;
static struct rng rng;

/* ---- the watch ---- */

static tn_rev seen_rev;
static size_t seen;

static void on_events(void *user, const struct client_watch_events *e)
{
    (void)user;
    for (size_t i = 0; i < e->n_events; i++) {
        const struct event *want = &w.events[seen++];
        assert_true(seen <= w.n_events);
        assert_int_equal(e->events[i].kv.mod_revision, want->kv.mod_revision);
        assert_true(bytes_equal(e->events[i].kv.value, want->kv.value));
    }
    assert_true(e->revision > seen_rev);
    seen_rev = e->revision;
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)user;
    (void)compact_revision;
    fail_msg("the watch ended: %d %s", code, error->text);
}

/* ---- the keepalive ---- */

static size_t renewals;
static tn_ms last_sent;

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    (void)user;
    assert_int_equal(ttl_s, 10);
    assert_true(sent_at >= last_sent);
    assert_true(mock_renewed_between(&w, sent_at, w.now));
    last_sent = sent_at;
    renewals++;
}

static void on_gone(void *user)
{
    (void)user;
    fail();
}

/* ---- faults ---- */

static bool one_in(uint64_t n)
{
    return rng_below(&rng, n) == 0;
}

static void harm_endpoint(struct mock_endpoint *e, size_t i)
{
    static const int64_t latencies[] = {0, 0, 1, 20, 300, 2500};
    switch (rng_below(&rng, 8)) {
    case 0:
        e->reach = (enum mock_reach)rng_below(&rng, MOCK_STOPPED + 1);
        break;
    case 1:
        e->swallows = !e->swallows;
        break;
    case 2:
        e->latency_ms = latencies[rng_below(&rng, ARRAY_LEN(latencies))];
        break;
    case 3:
        e->trickle = one_in(2) ? 0 : 1 + rng_below(&rng, 60);
        break;
    case 4:
        mock_cut(&w, i);
        break;
    case 5:
        mock_goaway(&w, i);
        break;
    default:
        e->reach = MOCK_UP;
        e->swallows = false;
        e->trickle = 0;
    }
}

static void harm_method(void)
{
    static const char *const paths[] = {NULL, "/Put", "/Range", "/Txn", "/Watch", "/LeaseKeepAlive"};
    static const enum mock_act acts[] = {MOCK_ANSWER, MOCK_IGNORE, MOCK_APPLY_MUTE, MOCK_APPLY_CUT, MOCK_CUT,
                                         MOCK_RESET,  MOCK_REFUSE, MOCK_GOAWAY,     MOCK_GARBAGE,   MOCK_LATE};
    static const enum etcd_error errors[] = {ETCD_NO_LEADER, ETCD_STOPPED, ETCD_TOO_MANY_REQUESTS, ETCD_TIMEOUT};
    if (w.n_rules == MOCK_RULES_MAX || one_in(3))
        mock_clear(&w);
    enum mock_act act = acts[rng_below(&rng, ARRAY_LEN(acts))];
    struct mock_rule *r = mock_on(&w, paths[rng_below(&rng, ARRAY_LEN(paths))], 1 + (int)rng_below(&rng, 5), act);
    enum etcd_error e = errors[rng_below(&rng, ARRAY_LEN(errors))];
    r->status = etcd_error_status(e);
    r->text = etcd_error_text(e);
    r->delay_ms = (int64_t)rng_below(&rng, 4000);
    r->endpoint = (int)rng_below(&rng, 4) - 1;
}

static void harm(void)
{
    size_t i = rng_below(&rng, w.n_endpoints);
    if (one_in(3))
        harm_method();
    else if (one_in(6))
        w.cut_to_client = rng_below(&rng, 500);
    else if (one_in(6))
        w.cut_to_server = rng_below(&rng, 500);
    else
        harm_endpoint(&w.endpoints[i], i);
}

static void heal(void)
{
    mock_clear(&w);
    w.cut_to_client = w.cut_to_server = SIZE_MAX;
    for (size_t i = 0; i < w.n_endpoints; i++) {
        w.endpoints[i].reach = MOCK_UP;
        w.endpoints[i].swallows = false;
        w.endpoints[i].latency_ms = 1;
        w.endpoints[i].trickle = 0;
    }
}

/* ---- calls ---- */

static void start_call(void)
{
    if (n_calls == CALLS_MAX)
        return;
    struct tracked *t = &calls[n_calls];
    *t = (struct tracked){.begun = w.now};
    snprintf(t->value, sizeof t->value, "v%zu", n_calls++);
    struct client_call_options opt = {.timeout_ms = (int64_t)(50 + rng_below(&rng, 8000))};
    t->deadline = w.now + opt.timeout_ms;
    switch (rng_below(&rng, 4)) {
    case 0:
        t->call = get_opt(&t->told, "k", &opt);
        break;
    case 1:
        t->is_write = t->repeatable = true;
        t->deadline = w.now + 5000;
        t->call = txn(&t->told, "k", t->value, true);
        break;
    default:
        t->is_write = true;
        t->call = put_opt(&t->told, "k", t->value, &opt);
    }
}

static void cancel_some(void)
{
    for (size_t i = 0; i < n_calls; i++) {
        if (calls[i].told.done || calls[i].cancelled || !one_in(10))
            continue;
        calls[i].cancelled = true;
        client_cancel(w.client, calls[i].call, w.now);
    }
}

static void check_calls(void)
{
    for (size_t i = 0; i < n_calls; i++) {
        const struct tracked *t = &calls[i];
        size_t applied = t->is_write ? mock_applied(&w, t->value) : 0;
        assert_int_equal(t->told.times, 1);
        assert_true(t->told.at <= t->deadline + 100);
        assert_true(t->repeatable || applied <= 1);
        if (!t->is_write)
            continue;
        if (t->told.code == 0)
            assert_true(applied >= 1);
        else if (t->told.error.applied == TENURE_APPLIED_NO)
            assert_int_equal(applied, 0);
    }
}

/* ---- the run ---- */

static void run(uint64_t seed)
{
    static const struct client_watch_callbacks watch_callbacks = {.on_events = on_events, .on_end = on_end};
    static const struct client_keepalive_callbacks keepalive_callbacks = {.on_renewed = on_renewed, .on_gone = on_gone};
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    struct told last;
    rng_init(&rng, seed);
    world_init(&w, 3, NULL, seed);
    n_calls = seen = renewals = 0;
    seen_rev = last_sent = 0;
    req.start_revision = w.revision + 1;
    req.fragment = w.fragment = one_in(3);
    assert_non_null(client_watch_start(w.client, &req, &watch_callbacks, NULL, w.now, NULL));
    assert_non_null(
        client_keepalive_start(w.client, mock_lease(&w), 10, w.now, &keepalive_callbacks, NULL, w.now, NULL));
    for (int i = 0; i < STEPS; i++) {
        start_call();
        if (one_in(2))
            harm();
        if (one_in(8))
            cancel_some();
        world_run(&w, (int64_t)rng_below(&rng, one_in(5) ? 3000 : 200));
    }
    heal();
    world_run(&w, HEAL_MS);
    size_t before = renewals;
    put(&last, "k", "last");
    world_run(&w, 10000);
    assert_int_equal(last.code, 0);
    assert_int_equal(seen, w.n_events);
    assert_true(renewals > before);
    check_calls();
    world_fini(&w);
}

static void whatever_fails_nothing_is_lost_or_doubled(void **state)
{
    const char *first = getenv("SEED"), *count = getenv("SEEDS"); /* to replay one, or to run many */
    uint64_t seed = first ? strtoull(first, NULL, 10) : 1;
    uint64_t left = count ? strtoull(count, NULL, 10) : first ? 1 : SEEDS;
    (void)state;
    for (; left > 0; left--, seed++) {
        print_message("seed %llu\n", (unsigned long long)seed);
        run(seed);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_fails_nothing_is_lost_or_doubled)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
