/* Calls: the happy path, every way to fail, and that a write is never applied twice. */
#include "cases.h"

/* ---- happy paths ---- */

static void a_put_and_a_get_are_answered(void **state)
{
    struct told p, g;
    (void)state;
    put(&p, "k", "v");
    assert_true(world_until(&w, &p.done, 1000));
    assert_int_equal(p.code, 0);
    assert_int_equal(p.revision, 11);
    get(&g, "k");
    assert_true(world_until(&w, &g.done, 1000));
    assert_int_equal(g.code, 0);
    assert_string_equal(g.value, "v");
    assert_int_equal(w.endpoints[0].connects, 1);
}

static void every_call_carries_hasleader_and_its_deadline(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 1500};
    (void)state;
    get_opt(&t, "k", &opt);
    assert_true(world_until(&w, &t.done, 1000));
    const struct mock_request *r = mock_last_request(&w, "/Range");
    assert_true(r->leader_needed);
    assert_int_equal(r->timeout_ms, 1500);
}

static void a_thousand_calls_in_flight_are_each_answered_once(void **state)
{
    static struct told t[1000];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        put(&t[i], "k", "v");
    world_run(&w, 1000);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(t[i].times, 1);
        assert_int_equal(t[i].code, 0);
    }
    assert_int_equal(mock_applied(&w, "v"), 1000);
}

static void refused_as_too_large(size_t named, size_t sent, enum tenure_applied applied)
{
    struct told t;
    char text[80], value[256];
    snprintf(text, sizeof text, "grpc: received message larger than max (%zu vs. 100)", named);
    memset(value, 'x', sizeof value);
    value[sent] = 0;
    struct mock_rule *rule = mock_on(&w, "/Put", 1, MOCK_ANSWER);
    rule->status = GRPC_RESOURCE_EXHAUSTED;
    rule->text = text;
    put(&t, "k", value);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, TENURE_ETOOLARGE);
    assert_int_equal(t.error.applied, applied);
    mock_clear(&w);
}

static void a_request_that_is_too_large_for_the_server_was_not_applied(void **state)
{
    (void)state;
    refused_as_too_large(3 + 2 + 120, 120, TENURE_APPLIED_NO); /* the key's field, and the value's head */
    refused_as_too_large(3 + 2 + 121, 120, TENURE_APPLIED_MAYBE);
    refused_as_too_large(3 + 2 + 12, 120, TENURE_APPLIED_MAYBE);
}

/* What the client is given next at `from` comes to it at `to`: it was kept busy in between. */
static struct {
    tn_ms from, to;
    int enters, at;
} stall;

static void on_enter(void *user)
{
    (void)user;
    if (w.now == stall.from && ++stall.enters == stall.at)
        w.now = stall.to;
}

static int answered_at(int64_t ms)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 100};
    warm_up();
    w.endpoints[0].latency_ms = 20;
    struct mock_rule *rule = mock_on(&w, "/Put", 1, MOCK_ANSWER);
    rule->status = GRPC_UNAVAILABLE;
    rule->text = "etcdserver: request timed out";
    stall.from = w.now + 40;
    stall.to = w.now + ms;
    stall.enters = 0;
    stall.at = 3; /* a turn's beginning and end, then what has arrived */
    w.enter = on_enter;
    put_opt(&t, "k", "v", &opt);
    assert_true(world_until(&w, &t.done, 4000));
    w.enter = NULL;
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    assert_int_equal(t.at, stall.to);
    return t.code;
}

/* The server was given the same deadline, and may be the first to see it pass. */
static void a_servers_word_that_time_is_over_is_a_timeout_when_it_is(void **state)
{
    (void)state;
    assert_int_equal(answered_at(99), TENURE_EUNAVAILABLE);
    assert_int_equal(answered_at(100), TENURE_ETIMEOUT);
    assert_int_equal(answered_at(120), TENURE_ETIMEOUT);
}

static void on_grant(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->number = r->grant->id;
}

static void on_ttl(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->number = r->ttl->ttl_s;
}

static void on_keepalive(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->number = r->keepalive->ttl_s;
}

static void on_leases(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->n = r->leases->n_ids;
}

static void on_members(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->n = r->members->n_members;
}

static void on_status(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->number = r->status->db_size;
}

static void on_health(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    t->number = r->code ? -1 : (int64_t)r->health;
}

static void on_delete(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    if (!r->code)
        t->number = r->del->deleted;
}

static void the_calls_on_leases_are_answered(void **state)
{
    struct told t = {0};
    (void)state;
    struct lease_grant_req grant = {.ttl_s = 10};
    tn_ms asked_at = w.now;
    assert_non_null(client_lease_grant(w.client, &grant, NULL, on_grant, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.number, 1000);
    assert_int_equal(t.sent_at, asked_at);
    tn_lease id = t.number;
    t = (struct told){0};
    struct lease_keepalive_req renew = {.id = id};
    assert_non_null(client_lease_keepalive_once(w.client, &renew, NULL, on_keepalive, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.number, 10);
    t = (struct told){0};
    struct lease_ttl_req ttl = {.id = id};
    assert_non_null(client_lease_ttl(w.client, &ttl, NULL, on_ttl, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.number, 5);
    t = (struct told){0};
    assert_non_null(client_lease_list(w.client, NULL, on_leases, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.n, 1);
    t = (struct told){0};
    struct lease_revoke_req revoke = {.id = id};
    assert_non_null(client_lease_revoke(w.client, &revoke, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    t = (struct told){0};
    assert_non_null(client_lease_keepalive_once(w.client, &renew, NULL, on_keepalive, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.number, 0);
}

static void deletes_compactions_and_members_are_answered(void **state)
{
    struct told t = {0};
    (void)state;
    mock_put(&w, "k", "v");
    struct delete_req del = {.range = {.key = bytes_str("k")}};
    assert_non_null(client_delete(w.client, &del, NULL, on_delete, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.number, 1);
    t = (struct told){0};
    struct compact_req compact = {.revision = 11};
    assert_non_null(client_compact(w.client, &compact, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    t = (struct told){0};
    assert_non_null(client_compact(w.client, &compact, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_ECOMPACTED);
    assert_int_equal(t.etcd, ETCD_COMPACTED);
    t = (struct told){0};
    assert_non_null(client_member_list(w.client, false, NULL, on_members, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.n, 1);
}

static void status_and_health_are_asked_of_the_endpoint_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        struct told t = {0};
        assert_non_null(client_status(w.client, i, NULL, on_status, &t, w.now, NULL));
        assert_true(world_until(&w, &t.done, 1000));
        assert_int_equal(t.number, 1234);
        assert_int_equal(mock_last_request(&w, "/Status")->endpoint, i);
        assert_false(mock_last_request(&w, "/Status")->leader_needed);
        t = (struct told){0};
        assert_non_null(client_health(w.client, i, NULL, on_health, &t, w.now, NULL));
        assert_true(world_until(&w, &t.done, 1000));
        assert_int_equal(t.number, HEALTH_SERVING);
        assert_int_equal(mock_last_request(&w, "/Check")->endpoint, i);
    }
    assert_int_equal(mock_conns(&w, -1), 0); /* nobody needs them any more */
    size_t connects = w.endpoints[1].connects;
    struct told both[2] = {{0}};
    assert_non_null(client_status(w.client, 1, NULL, on_status, &both[0], w.now, NULL));
    assert_non_null(client_health(w.client, 1, NULL, on_health, &both[1], w.now, NULL));
    world_settle(&w);
    assert_true(both[0].done && both[1].done);
    assert_int_equal(w.endpoints[1].connects, connects + 1);
    struct tenure_error err;
    assert_null(client_status(w.client, 3, NULL, on_status, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void the_status_of_a_dead_endpoint_fails_at_once(void **state)
{
    struct told t = {0};
    (void)state;
    w.endpoints[1].reach = MOCK_REFUSES;
    assert_non_null(client_status(w.client, 1, NULL, on_status, &t, w.now, NULL));
    world_settle(&w);
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_string_equal(t.error.text, "http://e1:1: connection refused");
    assert_int_equal(mock_count_requests(&w, "/Status", -1), 0);
}

static void a_status_that_is_refused_is_not_asked_of_another(void **state)
{
    struct told t = {0};
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Status", -1, MOCK_ANSWER);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: server stopped";
    assert_non_null(client_status(w.client, 1, NULL, on_status, &t, w.now, NULL));
    world_settle(&w);
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_string_equal(t.error.text, "etcdserver: server stopped");
    assert_int_equal(mock_count_requests(&w, "/Status", -1), 1);
}

/* ---- refusals ---- */

static void a_refusal_keeps_the_servers_words(void **state)
{
    struct told t;
    (void)state;
    put(&t, "", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EINVALID);
    assert_int_equal(t.etcd, ETCD_EMPTY_KEY);
    assert_string_equal(t.error.text, "etcdserver: key is not provided");
    assert_int_equal(t.error.grpc_status, GRPC_INVALID_ARGUMENT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
}

static void a_write_refused_for_want_of_a_leader_is_sent_elsewhere(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct mock_rule *r = mock_on(&w, "/Put", -1, MOCK_ANSWER);
    r->endpoint = (int)endpoint_in_use();
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: no leader";
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void a_write_that_timed_out_in_the_cluster_is_maybe_and_not_sent_again(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Put", 1, MOCK_APPLY_ERROR);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: request timed out";
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    assert_string_equal(t.error.text, "etcdserver: request timed out");
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void a_read_refused_for_now_is_asked_again(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Range", 3, MOCK_ANSWER);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: leader changed";
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 2000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 4);
}

static void what_a_read_was_last_refused_with_is_said_at_its_deadline(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Range", -1, MOCK_ANSWER);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: no leader";
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.kind, TENURE_KIND_TIMEOUT);
    assert_int_equal(t.etcd, ETCD_NO_LEADER);
    assert_string_equal(t.error.text, "not done within 5 s, the last answer was: etcdserver: no leader (http://e0:1)");
    assert_true(mock_count_requests(&w, "/Range", -1) < 30); /* spaced by a growing rest */
}

static void a_write_that_may_be_applied_is_not_said_to_be_undone(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Put", 2, MOCK_ANSWER);
    r->status = GRPC_UNAVAILABLE;
    r->text = "etcdserver: no leader";
    mock_on(&w, "/Put", -1, MOCK_APPLY_MUTE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    assert_string_equal(t.error.text,
                        "the last attempt was not answered within 5 s, the last answer was: etcdserver: no leader "
                        "(http://e0:1)");
}

static void a_too_busy_server_is_asked_again_for_a_write(void **state)
{
    struct told t;
    (void)state;
    struct mock_rule *r = mock_on(&w, "/Put", 2, MOCK_ANSWER);
    r->status = GRPC_RESOURCE_EXHAUSTED;
    r->text = "etcdserver: too many requests";
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void nonsense_in_an_answer_is_a_protocol_error(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_BAD_MESSAGE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EPROTOCOL);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    mock_on(&w, "/Put", 1, MOCK_NO_MESSAGE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EPROTOCOL);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
}

/* ---- deadlines ---- */

static void without_any_server_a_call_ends_at_its_deadline_and_says_why(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    w.endpoints[1].reach = MOCK_BLACKHOLE;
    tn_ms start = w.now;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    assert_in_range(t.at, start + 5000, start + 5100);
    assert_string_equal(t.error.text, "no endpoint answered within 5 s; http://e0:1: connection refused; "
                                      "http://e1:1: connection timed out: not connected within 2 s");
}

static void a_write_that_is_never_answered_is_maybe(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", -1, MOCK_APPLY_MUTE);
    tn_ms start = w.now;
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    assert_in_range(t.at, start + 5000, start + 5100);
    assert_int_equal(mock_applied(&w, "v"), 1);
    assert_true(w.n_streams_reset > 0); /* the server need not go on */
    assert_non_null(strstr(t.error.text, "no answer from http://e0:1 within 5 s"));
}

static void a_read_moves_away_from_an_endpoint_that_goes_silent(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    w.endpoints[first].swallows = true;
    tn_ms start = w.now;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 10000));
    assert_int_equal(t.code, 0);
    assert_true(t.at - start < 2500);
    assert_int_not_equal(endpoint_in_use(), first);
}

static void a_short_deadline_survives_a_silent_endpoint_too(void **state)
{
    struct told t;
    struct client_call_options opt = {.timeout_ms = 900};
    (void)state;
    w.endpoints[0].reach = MOCK_BLACKHOLE;
    w.endpoints[1].reach = MOCK_STOPPED;
    put_opt(&t, "k", "v", &opt);
    assert_true(world_until(&w, &t.done, 2000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void a_read_moves_away_from_a_server_that_answers_no_calls(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    mock_on(&w, "/Range", -1, MOCK_IGNORE)->endpoint = (int)first;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0);
    assert_int_not_equal(endpoint_in_use(), first);
}

static void one_slow_read_does_not_move_a_client_whose_other_calls_are_answered(void **state)
{
    struct told slow, t;
    (void)state;
    warm_up();
    struct mock_rule *r = mock_on(&w, "/Range", 1, MOCK_LATE);
    r->delay_ms = 4000;
    get(&slow, "k");
    for (int i = 0; i < 40 && !slow.done; i++) {
        put(&t, "k", "v");
        assert_true(world_until(&w, &t.done, 100));
        world_run(&w, 100);
    }
    assert_true(world_until(&w, &slow.done, 1000));
    assert_int_equal(slow.code, 0);
    assert_int_equal(mock_count_requests(&w, "/Range", -1), 2); /* that of warm_up and the slow one */
}

static void a_call_against_a_server_that_dribbles_ends_at_its_deadline(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    w.endpoints[0].trickle = 1;
    tn_ms start = w.now;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 20000));
    assert_in_range(t.at, start, start + 5100);
}

static void garbage_for_an_answer_costs_the_connection_and_no_more(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Range", 1, MOCK_GARBAGE);
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0);
    mock_on(&w, "/Put", 1, MOCK_GARBAGE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
}

/* ---- at most once ---- */

static void check_write(const struct told *t, const char *value, bool may_repeat)
{
    size_t applied = mock_applied(&w, value);
    assert_int_equal(t->times, 1);
    assert_true(may_repeat || applied <= 1);
    if (t->code == 0)
        assert_true(applied >= 1);
    else if (t->error.applied == TENURE_APPLIED_NO)
        assert_int_equal(applied, 0);
    else
        assert_int_equal(t->error.applied, TENURE_APPLIED_MAYBE);
}

/* Cuts the connection after each number of bytes of one direction, until a run goes through without a cut. */
static size_t cut_everywhere(bool to_server, void (*start)(struct told *t), bool may_repeat, size_t *ret_failed)
{
    struct told t;
    size_t at = 0;
    *ret_failed = 0;
    for (;; at++) {
        setup_n(2);
        *(to_server ? &w.cut_to_server : &w.cut_to_client) = at;
        start(&t);
        assert_true(world_until(&w, &t.done, 6000));
        check_write(&t, "v", may_repeat);
        *ret_failed += t.code != 0;
        bool cut = w.cut_happened;
        world_fini(&w);
        if (!cut)
            return at;
    }
}

static void start_put(struct told *t)
{
    put(t, "k", "v");
}

static void start_txn(struct told *t)
{
    txn(t, "k", "v", true);
}

static void a_put_is_never_applied_twice_wherever_the_request_is_cut(void **state)
{
    size_t failed;
    (void)state;
    assert_true(cut_everywhere(true, start_put, false, &failed) > 100);
    assert_true(failed < 200);
}

static void a_put_is_never_applied_twice_wherever_the_answer_is_cut(void **state)
{
    size_t failed;
    (void)state;
    assert_true(cut_everywhere(false, start_put, false, &failed) > 50);
    assert_true(failed > 10); /* those cut after it was applied are maybe, and stay so */
}

static void a_repeatable_transaction_succeeds_wherever_it_is_cut(void **state)
{
    size_t failed;
    (void)state;
    cut_everywhere(true, start_txn, true, &failed);
    assert_int_equal(failed, 0);
    cut_everywhere(false, start_txn, true, &failed);
    assert_int_equal(failed, 0);
}

static void a_write_kept_from_the_wire_is_not_applied(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    w.endpoints[0].reach = MOCK_REFUSES;
    mock_cut(&w, 0);
    world_settle(&w);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
}

static void a_write_whose_bytes_were_never_taken_is_sent_again(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    put(&t, "k", "v");
    client_disconnected(w.client, 1, "gone", w.now); /* before the driver had its turn */
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "v"), 1);
}

static void a_read_whose_connection_broke_is_asked_elsewhere_at_once(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    mock_on(&w, "/Range", 1, MOCK_CUT);
    tn_ms begin = w.now;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.at, begin);
}

static void a_write_waits_for_a_server_that_comes_back(void **state)
{
    struct told t;
    (void)state;
    w.endpoints[0].reach = MOCK_REFUSES;
    put(&t, "k", "v");
    world_run(&w, 2000);
    assert_false(t.done);
    w.endpoints[0].reach = MOCK_UP;
    assert_true(world_until(&w, &t.done, 2500));
    assert_int_equal(t.code, 0);
}

static void a_stream_that_the_server_resets_is_maybe_for_a_write_and_again_for_a_read(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Put", 1, MOCK_RESET);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    mock_on(&w, "/Range", 1, MOCK_RESET);
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
}

static void a_refused_stream_is_sent_again_but_not_in_a_storm(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    mock_on(&w, "/Put", 3, MOCK_REFUSE);
    put(&t, "k", "v");
    assert_true(world_until(&w, &t.done, 1000));
    assert_int_equal(t.code, 0);
    assert_int_equal(mock_applied(&w, "v"), 1);
    mock_on(&w, "/Put", -1, MOCK_REFUSE);
    put(&t, "k", "never");
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    assert_true(mock_count_requests(&w, "/Put", -1) < 30);
    assert_int_equal(w.endpoints[0].connects, 1);
}

static void a_goaway_ends_no_call_and_moves_the_next(void **state)
{
    struct told a, b;
    (void)state;
    warm_up();
    size_t first = endpoint_in_use();
    mock_on(&w, "/Put", 1, MOCK_GOAWAY);
    put(&a, "k", "a");
    assert_true(world_until(&w, &a.done, 1000));
    assert_int_equal(a.code, 0);
    put(&b, "k", "b");
    assert_true(world_until(&w, &b.done, 1000));
    assert_int_equal(b.code, 0);
    assert_int_not_equal(endpoint_in_use(), first);
    assert_int_equal(mock_conns(&w, (int)first), 0);
}

static void a_revoke_whose_first_answer_was_lost_is_a_success(void **state)
{
    struct told t = {0};
    struct lease_revoke_req req = {.id = 0};
    (void)state;
    req.id = mock_lease(&w);
    mock_on(&w, "/LeaseRevoke", 1, MOCK_APPLY_CUT);
    assert_non_null(client_lease_revoke(w.client, &req, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 2000));
    assert_int_equal(t.code, 0);
    t = (struct told){0};
    assert_non_null(client_lease_revoke(w.client, &req, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 2000));
    assert_int_equal(t.code, TENURE_ENOTFOUND); /* asked once: it really was not there */
    assert_int_equal(t.etcd, ETCD_LEASE_NOT_FOUND);
}

static void a_repeatable_write_whose_fate_is_open_ends_as_maybe(void **state)
{
    struct told t;
    (void)state;
    mock_on(&w, "/Txn", 1, MOCK_APPLY_CUT);
    struct mock_rule *r = mock_on(&w, "/Txn", -1, MOCK_ANSWER);
    r->status = GRPC_RESOURCE_EXHAUSTED;
    r->text = "etcdserver: mvcc: database space exceeded";
    txn(&t, "k", "v", true);
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_ENOSPACE);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE); /* of the first copy nothing is known */
}

static void a_transaction_that_only_reads_is_a_read(void **state)
{
    struct told t = {0};
    struct request_op op = {.kind = OP_RANGE, .range = {.range = {.key = bytes_str("k")}}};
    struct txn_req req = {.success = &op, .n_success = 1};
    (void)state;
    mock_on(&w, "/Txn", 1, MOCK_CUT);
    assert_non_null(client_txn(w.client, &req, NULL, on_plain, &t, w.now, NULL));
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, 0);
}

/* ---- cancel ---- */

static void a_call_cancelled_at_any_step_ends_once(void **state)
{
    struct told t;
    (void)state;
    for (int64_t steps = 0; steps < 60; steps += 1) {
        setup_n(1);
        w.endpoints[0].latency_ms = 5;
        struct client_call *call = put(&t, "k", "v");
        world_run(&w, steps);
        bool was_done = t.done;
        if (!was_done)
            client_cancel(w.client, call, w.now);
        world_run(&w, 100);
        check_write(&t, "v", false);
        if (!was_done)
            assert_int_equal(t.code, TENURE_ECANCELLED);
        if (steps < 10)
            assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
        world_fini(&w);
    }
}

static void cancelling_what_has_ended_keeps_its_result(void **state)
{
    struct told t;
    (void)state;
    warm_up();
    struct client_call *call = put(&t, "k", "v");
    client_cancel(w.client, call, w.now);
    client_cancel(w.client, call, w.now); /* its callback has not begun: the handle is valid */
    world_settle(&w);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, TENURE_ECANCELLED);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO); /* no byte of it had left */
}

/* ---- bounds ---- */

static void calls_over_the_bound_are_refused(void **state)
{
    struct client_config config = {.calls_max = 2, .queued_bytes_max = 100};
    struct put_req small = {.key = bytes_str("k")}, big = {.key = bytes_str("k")};
    struct told a, b;
    struct tenure_error err;
    static char value[200];
    (void)state;
    big.value = bytes_of(value, sizeof value);
    world_init(&w, 1, &config, 1);
    assert_null(client_put(w.client, &big, NULL, on_plain, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_ELIMIT);
    put(&a, "k", "v");
    put(&b, "k", "v");
    assert_null(client_put(w.client, &small, NULL, on_plain, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_ELIMIT);
    assert_true(world_until(&w, &b.done, 1000));
    put(&b, "k", "v");
    assert_true(world_until(&w, &b.done, 1000));
    assert_int_equal(b.code, 0);
    for (int i = 0; i < 100; i++) { /* what has ended counts no more */
        put(&b, "k", "v");
        assert_true(world_until(&w, &b.done, 1000));
        assert_int_equal(b.code, 0);
    }
    world_fini(&w);
}

static void closing_ends_every_call(void **state)
{
    struct told sent, waiting, dead = {0};
    struct tenure_error err;
    struct put_req req = {.key = bytes_str("k")};
    (void)state;
    mock_on(&w, "/Put", -1, MOCK_IGNORE);
    warm_up();
    put(&sent, "k", "v");
    world_settle(&w);
    w.endpoints[1].reach = MOCK_BLACKHOLE;
    assert_non_null(client_status(w.client, endpoint_in_use() ? 0 : 1, NULL, on_plain, &dead, w.now, NULL));
    put(&waiting, "k", "v");
    client_close(w.client, w.now);
    assert_null(client_put(w.client, &req, NULL, on_plain, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_ECLOSED);
    world_settle(&w);
    assert_int_equal(sent.code, TENURE_ECLOSED);
    assert_int_equal(sent.error.applied, TENURE_APPLIED_MAYBE);
    assert_int_equal(waiting.code, TENURE_ECLOSED);
    assert_int_equal(waiting.error.applied, TENURE_APPLIED_NO);
    assert_int_equal(dead.code, TENURE_ECLOSED);
    assert_int_equal(mock_conns(&w, -1), 0);
    assert_int_equal(client_deadline(w.client), TN_MS_NEVER);
}

/* ---- liars ---- */

static void left_for_another(enum grpc_status status, const char *text)
{
    struct told t;
    warm_up();
    size_t liar = endpoint_in_use();
    struct mock_rule *rule = mock_on(&w, "/Range", -1, MOCK_ANSWER);
    rule->endpoint = (int)liar;
    rule->status = status;
    rule->text = text;
    get(&t, "k");
    assert_true(world_until(&w, &t.done, 5000));
    assert_int_equal(t.code, 0);
    assert_int_not_equal(endpoint_in_use(), liar);
}

static void an_endpoint_that_resets_calls_is_left(void **state)
{
    (void)state;
    left_for_another(GRPC_CANCELLED, "the server reset the call: CANCEL");
}

static void an_endpoint_whose_status_says_nothing_is_left(void **state)
{
    (void)state;
    left_for_another(GRPC_UNKNOWN, "");
}

/* ---- what is sent in place of a transaction whose fate is not known ---- */

static bool told_in_doubt;

static void on_doubtful(void *user, const struct client_result *r)
{
    told_in_doubt = r->maybe_before;
    note(user, r);
}

static void txn_again(struct told *t)
{
    struct request_op first = {.kind = OP_PUT, .put = {.key = bytes_str("k"), .value = bytes_str("first")}};
    struct request_op then = {.kind = OP_PUT, .put = {.key = bytes_str("k"), .value = bytes_str("again")}};
    struct txn_req req = {.success = &first, .n_success = 1}, again = {.success = &then, .n_success = 1};
    struct client_call_options opt = {.again = &again};
    struct tenure_error err;
    *t = (struct told){0};
    told_in_doubt = false;
    assert_non_null(client_txn(w.client, &req, &opt, on_doubtful, t, w.now, &err));
}

static void what_is_sent_again_takes_the_place_of_what_is_in_doubt(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    mock_on(&w, "/Txn", 1, MOCK_APPLY_CUT);
    txn_again(&t);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_true(told_in_doubt);
    assert_int_equal(mock_applied(&w, "first"), 1);
    assert_int_equal(mock_applied(&w, "again"), 1);
}

static void what_was_provably_not_applied_is_sent_as_it_was(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    mock_on(&w, "/Txn", 2, MOCK_REFUSE);
    txn_again(&t);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_false(told_in_doubt);
    assert_int_equal(mock_applied(&w, "first"), 1);
    assert_int_equal(mock_applied(&w, "again"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_2(an_endpoint_that_resets_calls_is_left),
        CASE_2(an_endpoint_whose_status_says_nothing_is_left),
        CASE_1(what_is_sent_again_takes_the_place_of_what_is_in_doubt),
        CASE_1(what_was_provably_not_applied_is_sent_as_it_was),
        CASE_1(a_put_and_a_get_are_answered),
        CASE_1(every_call_carries_hasleader_and_its_deadline),
        CASE_1(a_request_that_is_too_large_for_the_server_was_not_applied),
        CASE_1(a_servers_word_that_time_is_over_is_a_timeout_when_it_is),
        CASE_1(a_thousand_calls_in_flight_are_each_answered_once),
        CASE_1(the_calls_on_leases_are_answered),
        CASE_1(deletes_compactions_and_members_are_answered),
        CASE_3(status_and_health_are_asked_of_the_endpoint_named),
        CASE_2(the_status_of_a_dead_endpoint_fails_at_once),
        CASE_2(a_status_that_is_refused_is_not_asked_of_another),
        CASE_1(a_refusal_keeps_the_servers_words),
        CASE_2(a_write_refused_for_want_of_a_leader_is_sent_elsewhere),
        CASE_2(a_write_that_timed_out_in_the_cluster_is_maybe_and_not_sent_again),
        CASE_1(a_read_refused_for_now_is_asked_again),
        CASE_1(what_a_read_was_last_refused_with_is_said_at_its_deadline),
        CASE_1(a_write_that_may_be_applied_is_not_said_to_be_undone),
        CASE_1(a_too_busy_server_is_asked_again_for_a_write),
        CASE_1(nonsense_in_an_answer_is_a_protocol_error),
        CASE_2(without_any_server_a_call_ends_at_its_deadline_and_says_why),
        CASE_1(a_write_that_is_never_answered_is_maybe),
        CASE_2(a_read_moves_away_from_an_endpoint_that_goes_silent),
        CASE_3(a_short_deadline_survives_a_silent_endpoint_too),
        CASE_2(a_read_moves_away_from_a_server_that_answers_no_calls),
        CASE_2(one_slow_read_does_not_move_a_client_whose_other_calls_are_answered),
        CASE_1(a_call_against_a_server_that_dribbles_ends_at_its_deadline),
        CASE_1(garbage_for_an_answer_costs_the_connection_and_no_more),
        cmocka_unit_test(a_put_is_never_applied_twice_wherever_the_request_is_cut),
        cmocka_unit_test(a_put_is_never_applied_twice_wherever_the_answer_is_cut),
        cmocka_unit_test(a_repeatable_transaction_succeeds_wherever_it_is_cut),
        CASE_1(a_write_kept_from_the_wire_is_not_applied),
        CASE_1(a_write_whose_bytes_were_never_taken_is_sent_again),
        CASE_2(a_read_whose_connection_broke_is_asked_elsewhere_at_once),
        CASE_1(a_write_waits_for_a_server_that_comes_back),
        CASE_1(a_stream_that_the_server_resets_is_maybe_for_a_write_and_again_for_a_read),
        CASE_1(a_refused_stream_is_sent_again_but_not_in_a_storm),
        CASE_2(a_goaway_ends_no_call_and_moves_the_next),
        CASE_2(a_revoke_whose_first_answer_was_lost_is_a_success),
        CASE_1(a_repeatable_write_whose_fate_is_open_ends_as_maybe),
        CASE_1(a_transaction_that_only_reads_is_a_read),
        cmocka_unit_test(a_call_cancelled_at_any_step_ends_once),
        CASE_1(cancelling_what_has_ended_keeps_its_result),
        cmocka_unit_test(calls_over_the_bound_are_refused),
        CASE_2(closing_ends_every_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
