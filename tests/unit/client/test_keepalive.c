/* Keepalives: renewed in time, counted from when they were sent, moved away from silence (L2, C3). */
#include "cases.h"

enum { RENEWALS_MAX = 512 };

struct life {
    struct client_keepalive *k;
    size_t n;
    tn_ms sent_at[RENEWALS_MAX], told_at[RENEWALS_MAX];
    int64_t ttl_s;
    int gone;
    bool stop_when_told;
};

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    struct life *l = user;
    assert_true(l->n < RENEWALS_MAX);
    assert_true(sent_at <= w.now);
    assert_true(l->n == 0 || sent_at >= l->sent_at[l->n - 1]);
    l->sent_at[l->n] = sent_at;
    l->told_at[l->n++] = w.now;
    l->ttl_s = ttl_s;
    if (l->stop_when_told) {
        client_keepalive_stop(w.client, l->k, w.now);
        l->k = NULL;
    }
}

static void on_gone(void *user)
{
    struct life *l = user;
    l->gone++;
}

static const struct client_keepalive_callbacks callbacks = {.on_renewed = on_renewed, .on_gone = on_gone};

static void start(struct life *l, tn_lease id, int64_t ttl_s, tn_ms first_at)
{
    struct tenure_error err;
    *l = (struct life){0};
    l->k = client_keepalive_start(w.client, id, ttl_s, first_at, &callbacks, l, w.now, &err);
    assert_non_null(l->k);
}

static void stop(struct life *l)
{
    client_keepalive_stop(w.client, l->k, w.now);
    l->k = NULL;
}

static tn_ms newest_sent(const struct life *l)
{
    assert_true(l->n > 0);
    return l->sent_at[l->n - 1];
}

/* Between two answers the lease was never without a renewal for as long as its TTL. */
static void expect_alive(const struct life *l, tn_ms from, tn_ms to, int64_t ttl_ms)
{
    tn_ms good_until = from + ttl_ms;
    for (size_t i = 0; i < l->n; i++) {
        assert_true(l->told_at[i] < good_until);
        good_until = l->sent_at[i] + ttl_ms;
    }
    assert_true(to < good_until);
}

static void a_lease_is_renewed_every_third_of_its_ttl(void **state)
{
    struct life l;
    (void)state;
    tn_ms begin = w.now;
    start(&l, mock_lease(&w), 10, w.now + 3000);
    world_run(&w, 60000);
    assert_int_equal(l.sent_at[0], begin + 3000);
    assert_in_range(l.n, 15, 20);
    for (size_t i = 1; i < l.n; i++)
        assert_in_range(l.sent_at[i] - l.sent_at[i - 1], 2900, 3700);
    assert_int_not_equal(l.sent_at[2] - l.sent_at[1], l.sent_at[3] - l.sent_at[2]); /* jittered */
    assert_int_equal(l.ttl_s, 10);
    assert_int_equal(mock_count_requests(&w, "/LeaseKeepAlive", -1), 1);
    assert_int_equal(w.n_renewals, l.n);
    stop(&l);
    world_run(&w, 20000);
    assert_int_equal(w.n_renewals, l.n);
}

static void a_renewal_counts_from_when_it_was_sent_not_answered(void **state)
{
    struct life l;
    (void)state;
    w.endpoints[0].latency_ms = 400;
    warm_up();
    tn_ms begin = w.now;
    start(&l, mock_lease(&w), 10, w.now);
    world_run(&w, 1000);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.sent_at[0], begin);
    assert_int_equal(l.told_at[0], begin + 800);
    world_run(&w, 60000);
    for (size_t i = 1; i < l.n; i++)
        assert_in_range(l.sent_at[i] - l.sent_at[i - 1], 2900, 3700); /* and so does the time of the next */
    stop(&l);
}

static void counting_from_receipt_is_a_fault_that_can_be_switched_on(void **state)
{
    struct client_config config = {.broken_renew_from_receipt = true};
    struct life l;
    (void)state;
    world_init(&w, 1, &config, 1);
    w.endpoints[0].latency_ms = 400;
    start(&l, mock_lease(&w), 10, w.now);
    world_run(&w, 5000);
    assert_true(l.n > 0);
    assert_int_equal(l.sent_at[0], l.told_at[0]);
    stop(&l);
    world_fini(&w);
}

static void a_renewal_whose_bytes_are_not_taken_yet_is_not_sent(void **state)
{
    struct life l;
    struct buf out;
    (void)state;
    warm_up();
    start(&l, mock_lease(&w), 10, w.now);
    tn_ms asked = w.now;
    uint32_t conn = client_next_dirty(w.client);
    assert_true(conn > 0);
    w.now += 300; /* the driver's turn comes late */
    buf_init(&out);
    client_output(w.client, conn, &out, 0, w.now); /* and then the socket takes nothing */
    assert_int_equal(out.len, 0);
    w.now += 300;
    client_tick(w.client, w.now);
    buf_fini(&out);
    struct told t;
    put(&t, "k", "v"); /* marks the connection as one to write to */
    world_run(&w, 10);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.sent_at[0], asked + 600);
    stop(&l);
}

static void only_ttl_0_ends_a_keepalive(void **state)
{
    struct life l;
    (void)state;
    tn_lease id = mock_lease(&w);
    start(&l, id, 10, w.now);
    world_run(&w, 8000);
    size_t n = l.n;
    assert_true(n > 0);
    mock_revoke(&w, id);
    world_run(&w, 8000);
    assert_int_equal(l.gone, 1);
    assert_int_equal(l.n, n);
    world_run(&w, 8000);
    assert_int_equal(l.gone, 1);
    stop(&l);
}

static void an_answer_that_nobody_asked_for_renews_nothing(void **state)
{
    struct life l;
    (void)state;
    tn_lease id = mock_lease(&w);
    start(&l, id, 10, w.now);
    world_run(&w, 1000);
    assert_int_equal(l.n, 1);
    mock_keepalive_say(&w, id, 10);
    mock_keepalive_say(&w, id, 0);
    mock_keepalive_say(&w, 4711, 0);
    world_run(&w, 100);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.gone, 0);
    stop(&l);
}

static void a_late_answer_never_counts_for_a_later_renewal(void **state)
{
    struct life l;
    (void)state;
    w.lease_ttl_s = 6;
    tn_lease id = mock_lease(&w);
    warm_up();
    start(&l, id, 6, w.now);
    world_run(&w, 100);
    assert_int_equal(l.n, 1);
    /* From now on answers take long; each belongs to the renewal that it answers. */
    w.endpoints[0].latency_ms = 450;
    world_run(&w, 20000);
    for (size_t i = 1; i < l.n; i++)
        assert_true(l.told_at[i] - l.sent_at[i] >= 900);
    assert_true(l.n > 5);
    stop(&l);
}

static void keepalives_move_to_another_endpoint_when_one_goes_silent(void **state)
{
    (void)state;
    for (int64_t ttl_s = 2; ttl_s <= 30; ttl_s += 7) {
        struct life l;
        setup_n(2);
        w.lease_ttl_s = ttl_s;
        tn_ms from = w.now;
        start(&l, mock_lease(&w), ttl_s, w.now);
        world_run(&w, 20000);
        size_t first = endpoint_in_use();
        w.endpoints[first].swallows = true;
        w.endpoints[first].reach = MOCK_STOPPED;
        world_run(&w, 60000);
        expect_alive(&l, from, w.now, 1000 * ttl_s);
        assert_int_not_equal(endpoint_in_use(), first);
        stop(&l);
        world_fini(&w);
    }
}

static void keepalives_move_when_only_they_are_not_answered(void **state)
{
    struct life l;
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    mock_on(&w, "/LeaseKeepAlive", -1, MOCK_IGNORE)->endpoint = (int)first;
    w.endpoints[1 - first].latency_ms = 150; /* meanwhile calls are answered on the old connection */
    tn_ms from = w.now;
    start(&l, mock_lease(&w), 10, w.now);
    for (int i = 0; i < 100; i++) {
        put(&t, "k", "v"); /* everything else is answered at once */
        world_run(&w, 100);
        assert_int_equal(t.code, 0);
    }
    assert_true(l.n > 0);
    assert_true(l.told_at[0] - from < 3000);
    expect_alive(&l, from, w.now, 10000);
    stop(&l);
}

static void a_refusal_that_may_pass_does_not_end_a_keepalive(void **state)
{
    struct life l;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/LeaseKeepAlive", 3, MOCK_ANSWER);
    r->status = GRPC_UNKNOWN;
    r->text = "not a primary lessor";
    tn_ms from = w.now;
    start(&l, mock_lease(&w), 10, w.now);
    world_run(&w, 20000);
    assert_int_equal(l.gone, 0);
    expect_alive(&l, from, w.now, 10000);
    stop(&l);
}

static void what_renewals_are_refused_with_is_known_until_one_is_answered(void **state)
{
    struct life l;
    (void)state;
    assert_int_equal(client_keepalive_refusal(w.client)->code, 0);
    struct mock_rule *r = mock_on(&w, "/LeaseKeepAlive", 1, MOCK_ANSWER);
    r->status = GRPC_PERMISSION_DENIED;
    r->text = etcd_error_text(ETCD_PERMISSION_DENIED);
    start(&l, mock_lease(&w), 10, w.now);
    for (int i = 0; i < 1000 && client_keepalive_refusal(w.client)->code == 0; i++)
        world_run(&w, 1);
    assert_int_equal(client_keepalive_refusal(w.client)->code, TENURE_EDENIED);
    assert_non_null(strstr(client_keepalive_refusal(w.client)->text, "permission denied"));
    world_run(&w, 5000);
    assert_true(l.n > 0);
    assert_int_equal(client_keepalive_refusal(w.client)->code, 0);
    stop(&l);
}

static void a_lease_lives_through_cuts_at_every_byte(void **state)
{
    (void)state;
    for (size_t at = 0; at < 600; at++) {
        struct life l;
        setup_n(2);
        w.lease_ttl_s = 3;
        tn_ms from = w.now;
        start(&l, mock_lease(&w), 3, w.now);
        *(at % 2 ? &w.cut_to_client : &w.cut_to_server) = at / 2;
        world_run(&w, 10000);
        expect_alive(&l, from, w.now, 3000);
        assert_int_equal(l.gone, 0);
        stop(&l);
        world_fini(&w);
    }
}

static void many_leases_share_the_stream(void **state)
{
    static struct life l[50];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(l); i++)
        start(&l[i], mock_lease(&w), 10, w.now + (tn_ms)(10 * i));
    world_run(&w, 30000);
    assert_int_equal(mock_count_requests(&w, "/LeaseKeepAlive", -1), 1);
    for (size_t i = 0; i < ARRAY_LEN(l); i++) {
        assert_in_range(l[i].n, 7, 12);
        stop(&l[i]);
    }
    world_settle(&w);
}

static void two_keepalives_of_one_lease_do_not_take_each_others_answers(void **state)
{
    struct life a, b;
    (void)state;
    w.endpoints[0].latency_ms = 300;
    warm_up();
    tn_lease id = mock_lease(&w);
    tn_ms begin = w.now;
    start(&a, id, 10, w.now);
    start(&b, id, 10, w.now + 200);
    world_run(&w, 900);
    assert_int_equal(a.n, 1);
    assert_int_equal(b.n, 1);
    assert_int_equal(newest_sent(&a), begin);
    assert_int_equal(newest_sent(&b), begin + 200);
    assert_int_equal(a.told_at[0], begin + 600);
    assert_int_equal(b.told_at[0], begin + 800);
    mock_revoke(&w, id);
    world_run(&w, 10000);
    assert_int_equal(a.gone, 1);
    assert_int_equal(b.gone, 1);
    stop(&a);
    stop(&b);
}

/* Its renewal is under way, and its answer is not the next one's (L2). */
static void the_answer_to_a_keepalive_that_was_stopped_is_nobody_elses(void **state)
{
    struct life other, a, b;
    (void)state;
    w.endpoints[0].latency_ms = 300;
    warm_up();
    tn_lease id = mock_lease(&w);
    tn_ms begin = w.now;
    start(&other, mock_lease(&w), 10, w.now + 1); /* the stream stays */
    start(&a, id, 10, w.now);
    world_run(&w, 200);
    stop(&a);
    start(&b, id, 10, w.now);
    world_run(&w, 500);
    assert_int_equal(a.n, 0);
    assert_int_equal(b.n, 0);
    world_run(&w, 300);
    assert_int_equal(b.n, 1);
    assert_int_equal(b.sent_at[0], begin + 200);
    assert_int_equal(b.told_at[0], begin + 800);
    assert_int_equal(client_stats(w.client).keepalives, 2);
    stop(&b);
    world_run(&w, 3000);
    start(&a, id, 10, w.now);
    world_run(&w, 100);
    stop(&a); /* and the other ones with it: nothing is left, answered or not */
    stop(&other);
    assert_int_equal(client_stats(w.client).keepalives, 0);
    world_run(&w, 1000);
}

static void a_callback_may_stop_its_own_keepalive(void **state)
{
    struct life l;
    (void)state;
    start(&l, mock_lease(&w), 10, w.now);
    l.stop_when_told = true;
    world_run(&w, 20000);
    assert_int_equal(l.n, 1);
    assert_int_equal(w.n_renewals, 1);
}

static void a_keepalive_stopped_at_any_step_calls_no_more(void **state)
{
    (void)state;
    for (int64_t steps = 0; steps < 60; steps++) {
        struct life l;
        setup_n(1);
        w.endpoints[0].latency_ms = 5;
        start(&l, mock_lease(&w), 10, w.now + 3);
        world_run(&w, steps);
        size_t n = l.n;
        stop(&l);
        world_run(&w, 10000);
        assert_int_equal(l.n, n);
        world_fini(&w);
    }
}

static void without_a_server_a_keepalive_waits_and_says_nothing(void **state)
{
    struct life l;
    (void)state;
    start(&l, mock_lease(&w), 10, w.now);
    world_run(&w, 5000);
    size_t n = l.n;
    w.endpoints[0].reach = MOCK_REFUSES;
    mock_cut(&w, 0);
    world_run(&w, 120000);
    assert_int_equal(l.n, n);
    assert_int_equal(l.gone, 0);
    w.endpoints[0].reach = MOCK_UP;
    world_run(&w, 7000);
    assert_true(l.n > n);
    stop(&l);
}

static void closing_ends_renewals_in_silence(void **state)
{
    struct life l;
    (void)state;
    start(&l, mock_lease(&w), 10, w.now);
    world_run(&w, 5000);
    size_t n = l.n;
    client_close(w.client, w.now);
    world_run(&w, 20000);
    assert_int_equal(l.n, n);
    assert_int_equal(l.gone, 0);
    assert_null(client_keepalive_start(w.client, 1, 10, w.now, &callbacks, &l, w.now, NULL));
    stop(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_1(a_lease_is_renewed_every_third_of_its_ttl),
        CASE_1(a_renewal_counts_from_when_it_was_sent_not_answered),
        cmocka_unit_test(counting_from_receipt_is_a_fault_that_can_be_switched_on),
        CASE_1(a_renewal_whose_bytes_are_not_taken_yet_is_not_sent),
        CASE_1(only_ttl_0_ends_a_keepalive),
        CASE_1(an_answer_that_nobody_asked_for_renews_nothing),
        CASE_1(a_late_answer_never_counts_for_a_later_renewal),
        cmocka_unit_test(keepalives_move_to_another_endpoint_when_one_goes_silent),
        CASE_2(keepalives_move_when_only_they_are_not_answered),
        CASE_1(a_refusal_that_may_pass_does_not_end_a_keepalive),
        CASE_1(what_renewals_are_refused_with_is_known_until_one_is_answered),
        cmocka_unit_test(a_lease_lives_through_cuts_at_every_byte),
        CASE_1(many_leases_share_the_stream),
        CASE_1(two_keepalives_of_one_lease_do_not_take_each_others_answers),
        CASE_1(the_answer_to_a_keepalive_that_was_stopped_is_nobody_elses),
        CASE_1(a_callback_may_stop_its_own_keepalive),
        cmocka_unit_test(a_keepalive_stopped_at_any_step_calls_no_more),
        CASE_1(without_a_server_a_keepalive_waits_and_says_nothing),
        CASE_1(closing_ends_renewals_in_silence),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
