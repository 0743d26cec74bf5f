/* client_admin: which calls are sent again, which endpoint is asked, what is a write. */
#include "cases.h"

static void on_alarms(void *user, const struct client_result *r)
{
    struct told *t = user;
    note(t, r);
    t->n = r->code ? 0 : r->alarms->n_alarms;
    t->number = t->n ? r->alarms->alarms[0].type : 0;
}

static struct client_call *ask(struct told *t, const struct client_admin_req *req, client_done_cb cb)
{
    struct tenure_error err;
    *t = (struct told){0};
    struct client_call *call = client_admin(w.client, req, NULL, cb, t, w.now, &err);
    assert_non_null(call);
    return call;
}

static void a_disarm_whose_answer_was_cut_is_sent_again(void **state)
{
    struct told t;
    (void)state;
    struct client_admin_req req = {
        .kind = CLIENT_ALARM_DISARM, .endpoint = SIZE_MAX, .alarm = {.member_id = 7, .type = ALARM_NOSPACE}};
    mock_on(&w, "/Alarm", 1, MOCK_APPLY_CUT);
    ask(&t, &req, on_alarms);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.number, ALARM_NOSPACE);
    assert_int_equal(mock_count_requests(&w, "/Alarm", -1), 2);
}

static void an_alarm_whose_answer_was_cut_is_raised_again(void **state)
{
    struct told t;
    (void)state;
    struct client_admin_req req = {
        .kind = CLIENT_ALARM_RAISE, .endpoint = SIZE_MAX, .alarm = {.member_id = 7, .type = ALARM_CORRUPT}};
    mock_on(&w, "/Alarm", 1, MOCK_APPLY_CUT);
    ask(&t, &req, on_alarms);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, 0);
    assert_int_equal(t.number, ALARM_CORRUPT);
    assert_int_equal(mock_count_requests(&w, "/Alarm", -1), 2);
}

static void a_member_whose_addition_was_cut_is_maybe_there(void **state)
{
    struct told t;
    (void)state;
    bytes url = bytes_str("http://10.0.0.9:2380");
    struct client_admin_req req = {
        .kind = CLIENT_MEMBER_ADD, .endpoint = SIZE_MAX, .member_add = {.peer_urls = &url, .n_peer_urls = 1}};
    mock_on(&w, "/MemberAdd", -1, MOCK_CUT);
    ask(&t, &req, on_plain);
    assert_true(world_until(&w, &t.done, 6000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
    assert_int_equal(mock_count_requests(&w, "/MemberAdd", -1), 1);
}

static void a_named_endpoint_is_asked_alone(void **state)
{
    struct told t;
    (void)state;
    struct client_admin_req req = {.kind = CLIENT_HASH_KV, .endpoint = 1};
    w.endpoints[1].reach = MOCK_REFUSES;
    ask(&t, &req, on_plain);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_non_null(strstr(t.error.text, w.endpoints[1].url));
    assert_int_equal(mock_count_requests(&w, "/HashKV", -1), 0);
}

static void an_endpoint_that_is_not_there_is_refused(void **state)
{
    struct tenure_error err;
    (void)state;
    struct client_admin_req req = {.kind = CLIENT_DEFRAGMENT, .endpoint = 2};
    assert_null(client_admin(w.client, &req, NULL, on_plain, NULL, w.now, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void a_downgrade_that_is_only_validated_changes_nothing(void **state)
{
    struct told t;
    (void)state;
    struct client_admin_req req = {.kind = CLIENT_DOWNGRADE,
                                   .endpoint = SIZE_MAX,
                                   .downgrade = {.action = DOWNGRADE_VALIDATE, .version = bytes_str("3.6")}};
    struct mock_rule *r = mock_on(&w, "/Downgrade", -1, MOCK_ANSWER);
    r->status = GRPC_UNIMPLEMENTED;
    r->text = "unknown method Downgrade";
    ask(&t, &req, on_plain);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.code, TENURE_EUNIMPLEMENTED);
    assert_int_equal(t.error.applied, TENURE_APPLIED_NO);
    req.downgrade.action = DOWNGRADE_ENABLE;
    ask(&t, &req, on_plain);
    assert_true(world_until(&w, &t.done, 4000));
    assert_int_equal(t.error.applied, TENURE_APPLIED_MAYBE);
}

static void what_cannot_be_read_is_told(void **state)
{
    static const enum client_admin_kind kinds[] = {
        CLIENT_MEMBER_ADD, CLIENT_MEMBER_REMOVE, CLIENT_MEMBER_UPDATE, CLIENT_MEMBER_PROMOTE,
        CLIENT_ALARM_LIST, CLIENT_ALARM_RAISE,   CLIENT_DEFRAGMENT,    CLIENT_HASH,
        CLIENT_HASH_KV,    CLIENT_MOVE_LEADER,   CLIENT_DOWNGRADE,
    };
    struct told t;
    (void)state;
    mock_on(&w, NULL, -1, MOCK_BAD_MESSAGE);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        struct client_admin_req req = {.kind = kinds[i], .endpoint = SIZE_MAX};
        ask(&t, &req, on_plain);
        assert_true(world_until(&w, &t.done, 4000));
        assert_int_equal(t.code, TENURE_EPROTOCOL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE_1(a_disarm_whose_answer_was_cut_is_sent_again),
        CASE_1(an_alarm_whose_answer_was_cut_is_raised_again),
        CASE_2(a_member_whose_addition_was_cut_is_maybe_there),
        CASE_2(a_named_endpoint_is_asked_alone),
        CASE_2(an_endpoint_that_is_not_there_is_refused),
        CASE_1(a_downgrade_that_is_only_validated_changes_nothing),
        CASE_1(what_cannot_be_read_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
