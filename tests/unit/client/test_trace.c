/* Who watches the calls is told of each begin and end, and a trace goes with all that a call leads to. */
#include "cases.h"

static const char parent[] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/* ---- recorded events ---- */

enum { EVENTS_MAX = 64 };

struct seen {
    struct client_event e; /* what it points to may have gone */
    void *user;
    char text[128];
};

static struct seen seen[EVENTS_MAX];
static size_t n_seen;

static void on_event(void *user, const struct client_event *e)
{
    (void)user;
    assert_true(n_seen < EVENTS_MAX);
    seen[n_seen].e = *e;
    seen[n_seen].user = client_context_user(e->context);
    snprintf(seen[n_seen].text, sizeof seen[n_seen].text, "%s", e->text);
    assert_int_equal(*e->call_mark, e->kind == CLIENT_CALL_BEGIN ? 0 : 7);
    *e->call_mark = 7;
    n_seen++;
}

static void watched(size_t n)
{
    struct client_config config = {.on_event = on_event};
    n_seen = 0;
    world_init(&w, n, &config, 42);
}

static int one_watched(void **state)
{
    (void)state;
    watched(1);
    return 0;
}

static int two_watched(void **state)
{
    (void)state;
    watched(2);
    return 0;
}

static const struct client_event *event(size_t i, enum client_event_kind kind)
{
    assert_true(i < n_seen);
    assert_int_equal(seen[i].e.kind, kind);
    return &seen[i].e;
}

/* What the events from `at` on are of: the letters of Begin, Try, Rest of a try, End. */
static void story_is(size_t at, const char *wanted)
{
    static const char letters[] = {
        [CLIENT_CALL_BEGIN] = 'b', [CLIENT_TRY_BEGIN] = 't', [CLIENT_TRY_END] = 'r', [CLIENT_CALL_END] = 'e'};
    char story[EVENTS_MAX + 1] = "";
    for (size_t i = at; i < n_seen; i++)
        story[i - at] = letters[seen[i].e.kind];
    assert_string_equal(story, wanted);
}

/* ---- events ---- */

static void a_call_begins_is_tried_and_ends(void **state)
{
    struct told t;
    struct client_call_options opt = {.by_program = true};
    (void)state;
    put_opt(&t, "k", "value", &opt);
    assert_true(world_until(&w, &t.done, 1000));
    story_is(0, "btre");
    const struct client_event *b = event(0, CLIENT_CALL_BEGIN), *e = event(3, CLIENT_CALL_END);
    assert_int_equal(b->call, 1);
    assert_string_equal(b->method, "/etcdserverpb.KV/Put");
    assert_null(b->endpoint);
    assert_true(b->by_program);
    assert_int_equal(b->grpc_status, -1);
    assert_string_equal(event(1, CLIENT_TRY_BEGIN)->endpoint, "http://e0:1");
    assert_int_equal(e->call, 1);
    assert_int_equal(e->code, 0);
    assert_int_equal(e->grpc_status, GRPC_OK);
    assert_int_equal(e->applied, TENURE_APPLIED_YES);
    assert_int_equal(e->tries, 1);
    assert_true(e->bytes_out > strlen("kvalue"));
    assert_true(e->bytes_in > 0);
    assert_int_equal(event(2, CLIENT_TRY_END)->bytes_in, e->bytes_in);
    assert_null(e->context);
}

static void each_call_has_a_number_and_those_of_others_are_told_apart(void **state)
{
    struct told a, b;
    (void)state;
    get(&a, "k");
    get(&b, "k");
    assert_true(world_until(&w, &b.done, 1000));
    assert_int_equal(event(0, CLIENT_CALL_BEGIN)->call, 1);
    assert_int_equal(event(1, CLIENT_CALL_BEGIN)->call, 2);
    assert_false(event(1, CLIENT_CALL_BEGIN)->by_program);
    assert_int_equal(event(n_seen - 1, CLIENT_CALL_END)->applied, TENURE_APPLIED_NO); /* a read */
}

static void a_read_that_is_sent_again_is_another_try(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Range", 1, MOCK_CUT);
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    story_is(0, "btrtre");
    const struct client_event *lost = event(2, CLIENT_TRY_END), *ok = event(4, CLIENT_TRY_END);
    assert_int_equal(lost->code, TENURE_EUNAVAILABLE);
    assert_int_equal(lost->grpc_status, -1);
    assert_int_equal(lost->tries, 1);
    assert_int_equal(lost->bytes_in, 0);
    assert_int_equal(ok->code, 0);
    assert_int_equal(ok->tries, 2);
    assert_string_not_equal(lost->endpoint, ok->endpoint);
    const struct client_event *end = event(5, CLIENT_CALL_END);
    assert_int_equal(end->tries, 2);
    assert_int_equal(end->bytes_out, lost->bytes_out + ok->bytes_out);
    assert_int_equal(end->bytes_in, ok->bytes_in);
}

static void a_write_whose_answer_is_lost_may_have_been_applied(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_APPLY_CUT);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 4000));
    story_is(0, "btre");
    assert_int_equal(event(2, CLIENT_TRY_END)->applied, TENURE_APPLIED_MAYBE);
    const struct client_event *e = event(3, CLIENT_CALL_END);
    assert_int_equal(e->code, TENURE_EUNAVAILABLE);
    assert_int_equal(e->applied, TENURE_APPLIED_MAYBE);
    assert_string_equal(seen[3].text, t.error.text);
}

static void a_refusal_is_told_with_its_status(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *rule = mock_on(&w, "/Put", 1, MOCK_ANSWER);
    rule->status = GRPC_PERMISSION_DENIED;
    rule->text = "etcdserver: permission denied";
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 4000));
    const struct client_event *try_end = event(2, CLIENT_TRY_END), *e = event(3, CLIENT_CALL_END);
    assert_int_equal(try_end->code, TENURE_EDENIED);
    assert_int_equal(try_end->grpc_status, GRPC_PERMISSION_DENIED);
    assert_int_equal(e->code, TENURE_EDENIED);
    assert_int_equal(e->grpc_status, GRPC_PERMISSION_DENIED);
    assert_int_equal(e->applied, TENURE_APPLIED_NO);
    assert_string_equal(seen[2].text, "etcdserver: permission denied");
}

static void a_write_that_is_refused_and_sent_again_is_two_tries(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_REFUSE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 4000));
    story_is(0, "btrtre");
    assert_int_equal(event(2, CLIENT_TRY_END)->applied, TENURE_APPLIED_NO);
    assert_int_equal(event(5, CLIENT_CALL_END)->applied, TENURE_APPLIED_YES);
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void a_call_that_is_cancelled_ends_its_try_too(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    size_t at = n_seen;
    mock_on(&w, "/Put", 1, MOCK_IGNORE);
    struct client_call *call = put(&t, "k", "v");
    world_run(&w, 10);
    client_cancel(w.client, call, w.now);
    assert_true(world_until(&w, &t.done, 1000));
    story_is(at, "btre");
    assert_int_equal(event(at + 2, CLIENT_TRY_END)->code, TENURE_ECANCELLED);
    assert_int_equal(event(at + 2, CLIENT_TRY_END)->applied, TENURE_APPLIED_MAYBE);
    assert_int_equal(event(at + 3, CLIENT_CALL_END)->code, TENURE_ECANCELLED);
}

static void a_call_that_finds_no_server_has_no_try(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 10000));
    story_is(0, "be");
    const struct client_event *e = event(1, CLIENT_CALL_END);
    assert_int_equal(e->code, TENURE_ETIMEOUT);
    assert_int_equal(e->applied, TENURE_APPLIED_NO);
    assert_int_equal(e->tries, 0);
    assert_null(e->endpoint);
    assert_non_null(strstr(seen[1].text, "refused"));
}

static void an_answer_that_cannot_be_read_is_told_as_what_the_caller_is_told(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_BAD_MESSAGE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(event(3, CLIENT_CALL_END)->code, TENURE_EPROTOCOL);
    assert_int_equal(event(3, CLIENT_CALL_END)->applied, TENURE_APPLIED_MAYBE);
}

static void what_a_close_ends_is_told(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_IGNORE);
    put(&t, "k", "v");
    world_run(&w, 10);
    client_close(w.client, w.now);
    while (client_deliver(w.client)) {
    }
    story_is(0, "btre");
    assert_int_equal(event(3, CLIENT_CALL_END)->code, TENURE_ECLOSED);
}

/* ---- contexts ---- */

static size_t n_freed;

static void on_freed(void *user)
{
    assert_ptr_equal(user, &n_freed);
    n_freed++;
}

static struct client_context *begin_context(const char *state)
{
    n_freed = 0;
    struct client_context *x = client_context_new(parent, state, &n_freed, on_freed);
    assert_non_null(x);
    assert_null(client_context_use(w.client, x));
    return x;
}

static void a_context_goes_with_calls_that_are_begun_in_it(void **state)
{
    struct told in, out;
    (void)state;
    struct client_context *x = begin_context("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    get(&in, "k");
    assert_ptr_equal(client_context_use(w.client, NULL), x);
    client_context_unref(x);
    assert_int_equal(n_freed, 0); /* the call has it */
    assert_true(world_until(&w, &in.done, 1000));
    assert_int_equal(n_freed, 1);
    const struct mock_request *r = mock_last_request(&w, "/Range");
    assert_string_equal(r->traceparent, parent);
    assert_string_equal(r->tracestate, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    for (size_t i = 0; i < n_seen; i++)
        assert_ptr_equal(seen[i].user, &n_freed);
    get(&out, "k");
    assert_true(world_until(&w, &out.done, 1000));
    r = mock_last_request(&w, "/Range");
    assert_string_equal(r->traceparent, "");
    assert_string_equal(r->tracestate, "");
    assert_null(event(4, CLIENT_CALL_BEGIN)->context);
}

static void every_copy_of_a_call_carries_it(void **state)
{
    struct told t;
    (void)state;
    struct client_context *x = begin_context(NULL);
    mock_on(&w, "/Range", 1, MOCK_CUT);
    get(&t, "k");
    client_context_use(w.client, NULL);
    client_context_unref(x);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 2);
    for (size_t i = 0; i < w.n_requests; i++)
        assert_string_equal(w.requests[i].traceparent, parent);
}

static struct told follow_up;

static void on_first(void *user, const struct client_result *r)
{
    note(user, r);
    get(&follow_up, "next");
}

static void what_a_completion_begins_belongs_to_it(void **state)
{
    struct told t = {0};
    struct range_req req = {.range = {.key = bytes_str("k")}};
    struct tenure_error err;
    (void)state;
    struct client_context *x = begin_context(NULL);
    assert_non_null(client_range(w.client, &req, NULL, on_first, &t, w.now, &err));
    client_context_use(w.client, NULL);
    client_context_unref(x);
    assert_true(world_until(&w, &t.done, 1000));
    assert_null(client_context_now(w.client)); /* put back behind the callback */
    assert_true(world_until(&w, &follow_up.done, 1000));
    assert_string_equal(mock_last_request(&w, "/Range")->traceparent, parent);
    assert_int_equal(n_freed, 1);
}

static void on_watched(void *user, const struct client_watch_events *e)
{
    (void)user, (void)e;
    get(&follow_up, "next");
}

static void what_a_watch_leads_to_belongs_to_it(void **state)
{
    static const struct client_watch_callbacks cb = {.on_events = on_watched};
    struct watch_create_req req = {.range = {.key = bytes_str("k")}};
    struct tenure_error err;
    (void)state;
    struct client_context *x = begin_context(NULL);
    struct client_watch *watch = client_watch_start(w.client, &req, &cb, NULL, w.now, &err);
    client_context_use(w.client, NULL);
    client_context_unref(x);
    world_run(&w, 100);
    follow_up.done = false;
    mock_put(&w, "k", "v");
    assert_true(world_until(&w, &follow_up.done, 1000));
    assert_string_equal(mock_last_request(&w, "/Range")->traceparent, parent);
    assert_string_equal(mock_last_request(&w, "/Watch")->traceparent, ""); /* all watches share it */
    client_watch_stop(w.client, watch, w.now);
    assert_int_equal(n_freed, 1);
}

static void the_login_belongs_to_nobody(void **state)
{
    struct client_config config = {.user = "alice", .password = "secret"};
    struct told t;
    (void)state;
    world_init(&w, 1, &config, 42);
    w.auth = true;
    struct client_context *x = begin_context(NULL);
    get(&t, "k");
    client_context_use(w.client, NULL);
    client_context_unref(x);
    assert_true(world_until(&w, &t.done, 4000));
    assert_string_equal(mock_last_request(&w, "/Authenticate")->traceparent, "");
    assert_string_equal(mock_last_request(&w, "/Range")->traceparent, parent);
    assert_string_equal(mock_last_request(&w, "/Range")->token, "token-1");
}

static void a_lent_user_lives_as_long_as_who_borrowed_it(void **state)
{
    (void)state;
    n_freed = 0;
    struct client_context *lender = client_context_new(NULL, NULL, &n_freed, on_freed);
    struct client_context *x = client_context_new(parent, NULL, NULL, NULL);
    client_context_borrow_user(x, lender);
    client_context_unref(lender);
    assert_ptr_equal(client_context_user(x), &n_freed);
    assert_string_equal(client_context_traceparent(x), parent);
    assert_null(client_context_tracestate(x));
    assert_int_equal(n_freed, 0);
    client_context_unref(x);
    assert_int_equal(n_freed, 1);
}

#define WATCHED_1(f) cmocka_unit_test_setup_teardown(f, one_watched, teardown)
#define WATCHED_2(f) cmocka_unit_test_setup_teardown(f, two_watched, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED_1(a_call_begins_is_tried_and_ends),
        WATCHED_1(each_call_has_a_number_and_those_of_others_are_told_apart),
        WATCHED_2(a_read_that_is_sent_again_is_another_try),
        WATCHED_1(a_write_whose_answer_is_lost_may_have_been_applied),
        WATCHED_1(a_refusal_is_told_with_its_status),
        WATCHED_1(a_write_that_is_refused_and_sent_again_is_two_tries),
        WATCHED_1(a_call_that_is_cancelled_ends_its_try_too),
        WATCHED_1(a_call_that_finds_no_server_has_no_try),
        WATCHED_1(an_answer_that_cannot_be_read_is_told_as_what_the_caller_is_told),
        WATCHED_1(what_a_close_ends_is_told),
        WATCHED_1(a_context_goes_with_calls_that_are_begun_in_it),
        WATCHED_2(every_copy_of_a_call_carries_it),
        WATCHED_1(what_a_completion_begins_belongs_to_it),
        WATCHED_1(what_a_watch_leads_to_belongs_to_it),
        cmocka_unit_test_teardown(the_login_belongs_to_nobody, teardown),
        cmocka_unit_test(a_lent_user_lives_as_long_as_who_borrowed_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
