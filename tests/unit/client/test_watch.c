/* Watches: whole revisions, in order, each once, over any number of connections (W2, W3, W4, W5, W6, W7, W14). */
#include "cases.h"

enum { SEEN_MAX = 512 };

struct seen {
    struct client_watch *watch;
    int created, ended, code;
    tn_rev created_revision, compacted;
    char text[256];
    size_t calls, n, n_progress;
    tn_rev revisions[SEEN_MAX];
    tn_rev progress, header;
    bool enough;
    size_t want;
    bool stop_when_told;
};

static void on_created(void *user, tn_rev revision)
{
    struct seen *s = user;
    s->created++;
    s->created_revision = revision;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct seen *s = user;
    s->calls++;
    assert_true(e->revision >= s->progress); /* W7: nothing older than a progress revision, and progress grows */
    assert_true(e->revision > s->header);
    s->header = e->revision;
    if (e->n_events == 0) {
        s->n_progress++;
        s->progress = e->revision;
    }
    for (size_t i = 0; i < e->n_events; i++) {
        assert_true(s->n < SEEN_MAX);
        tn_rev rev = e->events[i].kv.mod_revision;
        assert_true(s->n == 0 || rev >= s->revisions[s->n - 1]);
        assert_true(rev > s->progress);
        s->revisions[s->n++] = rev;
    }
    if (e->n_events > 0)
        assert_int_equal(e->revision, e->events[e->n_events - 1].kv.mod_revision);
    s->enough = s->n >= s->want;
    if (s->stop_when_told) {
        client_watch_stop(w.client, s->watch, w.now);
        s->watch = NULL;
    }
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct seen *s = user;
    if (s->stop_when_told) {
        client_watch_stop(w.client, s->watch, w.now);
        s->watch = NULL;
    }
    s->ended++;
    s->code = code;
    s->compacted = compact_revision;
    snprintf(s->text, sizeof s->text, "%s", error->text);
    assert_int_equal(error->code, code);
}

static const struct client_watch_callbacks callbacks = {
    .on_created = on_created, .on_events = on_events, .on_end = on_end};

static void start(struct seen *s, const char *key, tn_rev from)
{
    struct watch_create_req req = {.range = {.key = bytes_str(key)}, .start_revision = from, .fragment = w.fragment};
    struct tenure_error err;
    *s = (struct seen){.want = SEEN_MAX};
    s->watch = client_watch_start(w.client, &req, &callbacks, s, w.now, &err);
    assert_non_null(s->watch);
}

static void stop(struct seen *s)
{
    client_watch_stop(w.client, s->watch, w.now);
    s->watch = NULL;
}

/* Every revision from first to last, once. */
static void expect_run(const struct seen *s, tn_rev first, tn_rev last)
{
    assert_int_equal(s->n, last - first + 1);
    for (size_t i = 0; i < s->n; i++)
        assert_int_equal(s->revisions[i], first + (tn_rev)i);
}

static void a_watch_sees_what_is_put_after_it_was_created(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_run(&w, 10);
    assert_int_equal(s.created, 1);
    assert_int_equal(s.created_revision, 10);
    mock_put(&w, "k", "v");
    mock_put(&w, "other", "v");
    mock_put(&w, "k", "v");
    world_settle(&w);
    assert_int_equal(s.n, 2);
    assert_int_equal(s.revisions[0], 11);
    assert_int_equal(s.revisions[1], 13);
    assert_true(mock_last_request(&w, "/Watch")->leader_needed);
    stop(&s);
    world_settle(&w);
    assert_int_equal(mock_watchers(&w), 0);
}

static void a_watch_from_the_past_sees_history_first(void **state)
{
    struct seen s;
    (void)state;
    for (int i = 0; i < 5; i++)
        mock_put(&w, "k", "v");
    start(&s, "k", 12);
    world_settle(&w);
    assert_int_equal(s.created_revision, 11);
    mock_put(&w, "k", "v");
    world_settle(&w);
    expect_run(&s, 12, 16);
    stop(&s);
}

static void many_watches_share_one_stream(void **state)
{
    static struct seen s[40];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        char key[8];
        snprintf(key, sizeof key, "k%zu", i);
        start(&s[i], key, 0);
    }
    world_settle(&w);
    assert_int_equal(mock_count_requests(&w, "/Watch", -1), 1);
    assert_int_equal(mock_watchers(&w), 40);
    mock_put(&w, "k7", "v");
    mock_put(&w, "k39", "v");
    world_settle(&w);
    for (size_t i = 0; i < ARRAY_LEN(s); i++) {
        assert_int_equal(s[i].n, i == 7 || i == 39);
        stop(&s[i]);
    }
    world_settle(&w);
    assert_int_equal(mock_watchers(&w), 0);
    assert_int_equal(mock_conns(&w, -1), 1);
}

static void a_watch_goes_on_behind_the_last_revision_seen(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    mock_put(&w, "k", "v");
    mock_put(&w, "k", "v");
    world_settle(&w);
    mock_cut(&w, endpoint_in_use());
    mock_put(&w, "k", "v"); /* while nobody is connected */
    world_run(&w, 1000);
    mock_put(&w, "k", "v");
    world_settle(&w);
    expect_run(&s, 11, 14);
    assert_int_equal(s.created, 1); /* told once */
    stop(&s);
}

static void a_watch_from_now_on_that_saw_nothing_loses_nothing(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    mock_cut(&w, endpoint_in_use());
    mock_put(&w, "k", "v");
    world_run(&w, 1000);
    expect_run(&s, 11, 11);
    stop(&s);
}

/* Cuts the answers after each number of bytes; meanwhile keys are put, two of them in one revision now and then. */
static bool run_cut_at(size_t at, bool fragment)
{
    struct seen s;
    world_init(&w, 2, NULL, at);
    w.fragment = fragment;
    w.fragment_events = 1 + at % 3;
    start(&s, "k", 0);
    world_settle(&w);
    w.cut_to_client = at;
    for (int i = 0; i < 10; i++) {
        mock_put(&w, "k", "a value of some length");
        world_run(&w, i % 3 == 0 ? 40 : 0);
        mock_put_two(&w, "k", "k", "two of them");
        world_run(&w, 1);
    }
    world_run(&w, 2000);
    assert_int_equal(s.n, 30);
    for (size_t i = 0; i < 10; i++) {
        assert_int_equal(s.revisions[3 * i], 11 + 2 * i);
        assert_int_equal(s.revisions[3 * i + 1], 12 + 2 * i);
        assert_int_equal(s.revisions[3 * i + 2], 12 + 2 * i);
    }
    assert_int_equal(s.ended, 0);
    stop(&s);
    bool cut = w.cut_happened;
    world_fini(&w);
    return cut;
}

static void every_event_comes_once_wherever_the_answers_are_cut(void **state)
{
    size_t at = 1;
    (void)state;
    while (run_cut_at(at, false))
        at++;
    assert_true(at > 500);
}

static void fragments_are_put_together_wherever_they_are_cut(void **state)
{
    size_t at = 1;
    (void)state;
    while (run_cut_at(at, true))
        at++;
    assert_true(at > 500);
}

static void a_revision_in_fragments_is_delivered_in_one_piece(void **state)
{
    struct seen s;
    (void)state;
    w.fragment = true;
    start(&s, "k", 0);
    world_settle(&w);
    mock_put_two(&w, "k", "k", "v");
    world_settle(&w);
    assert_int_equal(s.calls, 1);
    assert_int_equal(s.n, 2);
    stop(&s);
}

/* A history of pairs and single ones longer than may wait, as one answer. */
static void read_history_in_fragments_of(size_t n)
{
    struct client_config config = {.watch_bytes_max = 6 << 20};
    struct seen s;
    static char value[30000];
    memset(value, 'x', sizeof value - 1);
    world_init(&w, 1, &config, 1);
    w.fragment = true;
    w.fragment_events = n;
    w.endpoints[0].latency_ms = 1; /* a window at a time */
    for (int i = 0; i < 100; i++) {
        mock_put_two(&w, "k", "k", value);
        mock_put(&w, "k", value);
    }
    start(&s, "k", 11);
    world_run(&w, 1000);
    assert_int_equal(s.code, 0);
    assert_int_equal(s.n, 300);
    for (size_t i = 0; i < 300; i++)
        assert_int_equal(s.revisions[i], 11 + i / 3 * 2 + i % 3 / 2);
    stop(&s);
    world_fini(&w);
}

static void a_history_in_fragments_is_never_held_as_one(void **state)
{
    (void)state;
    for (size_t n = 1; n <= 7; n++)
        read_history_in_fragments_of(n);
}

static void events_that_come_again_after_a_reconnect_are_dropped(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    for (int i = 0; i < 4; i++)
        mock_put(&w, "k", "v");
    world_settle(&w);
    w.lag = 3;
    mock_cut(&w, endpoint_in_use());
    mock_put(&w, "k", "v");
    world_run(&w, 1000);
    expect_run(&s, 11, 15);
    stop(&s);
}

static void a_compacted_watch_ends_and_says_where_reading_is_possible(void **state)
{
    struct seen s;
    (void)state;
    for (int i = 0; i < 10; i++)
        mock_put(&w, "k", "v");
    mock_compact(&w, 15);
    start(&s, "k", 12);
    world_settle(&w);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.code, TENURE_ECOMPACTED);
    assert_int_equal(s.compacted, 15);
    assert_int_equal(s.n, 0);
    stop(&s);
    world_settle(&w);
    assert_int_equal(mock_watchers(&w), 0); /* etcd keeps such a watcher until it is told to cancel it */
}

static void a_watch_compacted_while_disconnected_ends_when_it_comes_back(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    mock_put(&w, "k", "v");
    world_settle(&w);
    mock_cut(&w, endpoint_in_use());
    for (int i = 0; i < 5; i++)
        mock_put(&w, "k", "v");
    mock_compact(&w, 14);
    world_run(&w, 1000);
    assert_int_equal(s.code, TENURE_ECOMPACTED);
    assert_int_equal(s.compacted, 14);
    expect_run(&s, 11, 11);
    stop(&s);
}

static void a_refused_watch_ends_with_the_servers_reason(void **state)
{
    struct seen s;
    (void)state;
    mock_on(&w, "/Watch", 1, MOCK_IGNORE);
    start(&s, "k", 0);
    world_settle(&w);
    struct watch_resp r = {.watch_id = -1,
                           .created = true,
                           .canceled = true,
                           .cancel_reason =
                               bytes_str("rpc error: code = PermissionDenied desc = etcdserver: permission denied")};
    mock_watch_say(&w, &r);
    world_settle(&w);
    assert_int_equal(s.ended, 1);
    assert_int_equal(s.code, TENURE_EDENIED);
    assert_non_null(strstr(s.text, "etcdserver: permission denied"));
    stop(&s);
}

/* As its owners do: what the reason says outlives the watch. */
static void a_watch_may_be_stopped_when_its_end_is_told_and_the_reason_read_behind_that(void **state)
{
    struct seen s;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Watch", -1, MOCK_ANSWER);
    r->status = GRPC_UNAUTHENTICATED;
    r->text = "etcdserver: invalid auth token";
    start(&s, "k", 0);
    s.stop_when_told = true;
    world_settle(&w);
    assert_int_equal(s.ended, 1);
    assert_null(s.watch);
    assert_string_equal(s.text, "etcdserver: invalid auth token");
}

static void a_watch_cancelled_for_a_passing_reason_is_created_again(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    struct watch_resp r = {.watch_id = 0, .canceled = true, .cancel_reason = bytes_str("etcdserver: no leader")};
    mock_watch_say(&w, &r);
    mock_put(&w, "k", "v");
    world_run(&w, 1000);
    assert_int_equal(s.ended, 0);
    assert_int_equal(s.created, 1);
    expect_run(&s, 11, 11);
    stop(&s);
}

static void a_watch_stream_refused_for_good_ends_every_watch(void **state)
{
    struct seen a, b;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Watch", -1, MOCK_ANSWER);
    r->status = GRPC_UNAUTHENTICATED;
    r->text = "etcdserver: invalid auth token";
    start(&a, "a", 0);
    start(&b, "b", 0);
    world_settle(&w);
    assert_int_equal(a.code, TENURE_EDENIED);
    assert_int_equal(b.code, TENURE_EDENIED);
    assert_string_equal(a.text, "etcdserver: invalid auth token");
    stop(&a);
    stop(&b);
}

static void a_watch_stream_refused_for_now_is_opened_again_at_growing_distance(void **state)
{
    struct seen s;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Watch", -1, MOCK_ANSWER);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: no leader";
    start(&s, "k", 0);
    world_run(&w, 60000);
    assert_in_range(mock_count_requests(&w, "/Watch", -1), 10, 40);
    mock_clear(&w);
    world_run(&w, 7000);
    assert_int_equal(s.created, 1);
    assert_int_equal(s.ended, 0);
    stop(&s);
}

static void a_watch_moves_away_from_an_endpoint_that_goes_silent(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    size_t first = endpoint_in_use();
    w.endpoints[first].swallows = true;
    mock_put(&w, "k", "v");
    world_run(&w, 10000);
    expect_run(&s, 11, 11);
    assert_int_not_equal(endpoint_in_use(), first);
    stop(&s);
}

static void a_watch_that_a_server_never_answers_moves(void **state)
{
    struct seen s;
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    mock_on(&w, "/Watch", -1, MOCK_IGNORE)->endpoint = (int)first;
    start(&s, "k", 0);
    for (int i = 0; i < 50; i++) {
        put(&t, "other", "v"); /* everything else is answered */
        world_run(&w, 100);
    }
    assert_int_equal(s.created, 1);
    assert_int_not_equal(mock_last_request(&w, "/Watch")->endpoint, first);
    stop(&s);
}

static void progress_notices_move_the_point_to_resume_from(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    for (int i = 0; i < 5; i++)
        mock_put(&w, "other", "v");
    mock_progress(&w);
    mock_progress(&w); /* the same again says nothing new */
    world_settle(&w);
    assert_int_equal(s.n_progress, 1);
    assert_int_equal(s.progress, 15);
    mock_compact(&w, 14); /* what the watch has not seen is still there */
    mock_cut(&w, endpoint_in_use());
    mock_put(&w, "k", "v");
    world_run(&w, 1000);
    assert_int_equal(s.ended, 0);
    expect_run(&s, 16, 16);
    stop(&s);
}

static void events_over_the_bound_end_the_watch(void **state)
{
    struct client_config config = {.watch_bytes_max = 10000};
    struct seen a, b;
    static char value[3000];
    (void)state;
    memset(value, 'x', sizeof value - 1);
    world_init(&w, 1, &config, 1);
    start(&a, "k", 0);
    start(&b, "other", 0);
    world_settle(&w);
    for (int i = 0; i < 10; i++)
        mock_put(&w, "k", value);
    world_settle(&w);
    mock_put(&w, "other", "v");
    world_settle(&w);
    assert_int_equal(a.code, TENURE_ELIMIT);
    assert_true(a.n < 10);
    expect_run(&a, 11, 10 + (tn_rev)a.n); /* what came before the end is whole */
    assert_int_equal(b.n, 1);             /* the others go on */
    for (int i = 0; i < 10; i++) {
        mock_put(&w, "other", value);
        world_settle(&w);
    }
    assert_int_equal(b.n, 11); /* what was delivered counts no more */
    assert_int_equal(b.ended, 0);
    stop(&a);
    stop(&b);
    world_fini(&w);
}

static void a_watch_stopped_at_any_step_calls_no_more(void **state)
{
    (void)state;
    for (int64_t steps = 0; steps < 80; steps++) {
        struct seen s, other;
        setup_n(1);
        w.endpoints[0].latency_ms = 5;
        start(&s, "k", 0);
        start(&other, "k", 0);
        world_run(&w, steps);
        mock_put(&w, "k", "v");
        size_t calls = s.calls;
        int created = s.created;
        stop(&s);
        world_run(&w, 1000);
        mock_put(&w, "k", "last");
        world_run(&w, 1000);
        assert_int_equal(s.calls, calls);
        assert_int_equal(s.created, created);
        assert_int_equal(other.created, 1); /* the answers to the creates still match */
        assert_true(other.n >= 1);
        assert_int_equal(mock_watchers(&w), 1);
        stop(&other);
        world_fini(&w);
    }
}

static void a_callback_may_stop_its_own_watch(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    s.stop_when_told = true;
    mock_put(&w, "k", "v");
    mock_put(&w, "k", "v");
    world_settle(&w);
    assert_int_equal(s.calls, 1);
    assert_int_equal(mock_watchers(&w), 0);
}

static void answers_that_make_no_sense_only_cost_the_stream(void **state)
{
    struct seen s;
    struct event back[2] = {{.kv = {.key = bytes_str("k"), .mod_revision = 30}},
                            {.kv = {.key = bytes_str("k"), .mod_revision = 20}}};
    const struct watch_resp lies[] = {
        {.watch_id = 5, .created = true},                            /* nobody asked */
        {.watch_id = 99, .events = back, .n_events = 2},             /* no such watch */
        {.watch_id = 0, .events = back, .n_events = 2},              /* back in time */
        {.watch_id = 77, .canceled = true, .compact_revision = 100}, /* no such watch */
    };
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        mock_watch_say(&w, &lies[i]);
        world_run(&w, 7000);
        assert_int_equal(s.ended, 0);
        assert_int_equal(mock_watchers(&w), 1);
    }
    mock_put(&w, "k", "v");
    world_run(&w, 1000);
    expect_run(&s, 11, 11);
    stop(&s);
}

static void an_unused_stream_is_closed_after_a_while(void **state)
{
    struct seen s;
    (void)state;
    start(&s, "k", 0);
    world_settle(&w);
    stop(&s);
    world_run(&w, 1000);
    start(&s, "k", 0);
    world_settle(&w);
    assert_int_equal(mock_count_requests(&w, "/Watch", -1), 1); /* it was still there */
    stop(&s);
    size_t closed = w.n_streams_reset;
    world_run(&w, 6000);
    assert_int_equal(w.n_streams_reset, closed + 1);
    size_t pings = w.endpoints[0].pings;
    world_run(&w, 60000);
    assert_int_equal(w.endpoints[0].pings, pings); /* and with no stream open there are no pings */
    start(&s, "k", 0);
    world_settle(&w);
    assert_int_equal(s.created, 1);
    stop(&s);
}

static void closing_ends_every_watch(void **state)
{
    struct seen live, fresh;
    (void)state;
    start(&live, "k", 0);
    world_settle(&w);
    start(&fresh, "k", 0);
    client_close(w.client, w.now);
    world_settle(&w);
    assert_int_equal(live.code, TENURE_ECLOSED);
    assert_int_equal(fresh.code, TENURE_ECLOSED);
    stop(&live); /* the other is freed with the client */
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    assert_null(client_watch_start(w.client, &req, &callbacks, &live, w.now, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_1(a_watch_sees_what_is_put_after_it_was_created),
        CASE_1(a_watch_from_the_past_sees_history_first),
        CASE_1(many_watches_share_one_stream),
        CASE_2(a_watch_goes_on_behind_the_last_revision_seen),
        CASE_1(a_watch_from_now_on_that_saw_nothing_loses_nothing),
        cmocka_unit_test(every_event_comes_once_wherever_the_answers_are_cut),
        cmocka_unit_test(fragments_are_put_together_wherever_they_are_cut),
        CASE_1(a_revision_in_fragments_is_delivered_in_one_piece),
        cmocka_unit_test(a_history_in_fragments_is_never_held_as_one),
        CASE_2(events_that_come_again_after_a_reconnect_are_dropped),
        CASE_1(a_compacted_watch_ends_and_says_where_reading_is_possible),
        CASE_1(a_watch_compacted_while_disconnected_ends_when_it_comes_back),
        CASE_1(a_refused_watch_ends_with_the_servers_reason),
        CASE_1(a_watch_cancelled_for_a_passing_reason_is_created_again),
        CASE_1(a_watch_stream_refused_for_good_ends_every_watch),
        CASE_2(a_watch_stream_refused_for_now_is_opened_again_at_growing_distance),
        CASE_2(a_watch_moves_away_from_an_endpoint_that_goes_silent),
        CASE_2(a_watch_that_a_server_never_answers_moves),
        CASE_1(progress_notices_move_the_point_to_resume_from),
        cmocka_unit_test(events_over_the_bound_end_the_watch),
        cmocka_unit_test(a_watch_stopped_at_any_step_calls_no_more),
        CASE_1(a_watch_may_be_stopped_when_its_end_is_told_and_the_reason_read_behind_that),
        CASE_1(a_callback_may_stop_its_own_watch),
        CASE_1(answers_that_make_no_sense_only_cost_the_stream),
        CASE_1(an_unused_stream_is_closed_after_a_while),
        CASE_1(closing_ends_every_watch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
