/* The home of a lock's key: the epoch in its token, refusals elsewhere, and the loss when the home moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recipes/homed.h"
#include "story.h"
#include "tenure/error.h"

static int begin(void **state)
{
    (void)state;
    story_begin();
    fake_put(HOME_REGION_KEY, "eu", 0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    story_end();
    return 0;
}

static bool holds(const char *who)
{
    return lock_held(story_lock(who, "x"), fake_now());
}

static int64_t token(const char *who)
{
    return lock_token(story_lock(who, "x"));
}

static tn_rev home(const char *text)
{
    return fake_put(HOME_KEYS "/locks/", text, 0);
}

static void at_home_the_token_has_the_epoch_for_one_request_more(void **state)
{
    (void)state;
    struct kv kv;
    home("{\"region\":\"eu\",\"epoch\":3}");
    story("A opens 1000");
    story("wait 5");
    unsigned requests = fake_requests();
    story("A locks x home");
    story("wait 10");
    assert_true(holds("A"));
    assert_int_equal(fake_requests() - requests, 2);
    assert_true(fake_get(lock_key(story_lock("A", "x")), &kv));
    assert_int_equal(token("A"), home_token(3, kv.create_revision));
    story("A releases x");
    story("wait 10");
    assert_int_equal(fake_keys(), 2); /* name and home */
}

static void a_key_without_a_home_has_a_plain_token(void **state)
{
    (void)state;
    fake_put(HOME_KEYS "/locks/y/", "{\"region\":\"us\",\"epoch\":3}", 0);
    story("A opens 1000");
    story("A locks x home");
    story("wait 10");
    assert_true(holds("A"));
    assert_int_equal(home_token_epoch(token("A")), 0);
}

static void elsewhere_it_is_refused_and_nothing_is_left(void **state)
{
    (void)state;
    home("{\"region\":\"us\",\"epoch\":1}");
    story("A opens 1000");
    story("A locks x home");
    story("wait 10");
    assert_false(holds("A"));
    assert_int_equal(lock_state(story_lock("A", "x")), LOCK_IDLE);
    story("wait 10");
    assert_int_equal(fake_keys(), 2);
}

static void a_record_that_cannot_be_read_refuses(void **state)
{
    (void)state;
    home("{\"region\":\"eu\"}");
    story("A opens 1000");
    story("A locks x home");
    story("wait 10");
    assert_false(holds("A"));
    assert_int_equal(lock_state(story_lock("A", "x")), LOCK_IDLE);
}

/* The key is older than the record that counts: it would have the new epoch with a revision of the old. */
static void who_waited_while_the_epoch_grew_goes_to_the_end(void **state)
{
    (void)state;
    home("{\"region\":\"eu\",\"epoch\":1}");
    story("A opens 1000");
    story("B opens 1000");
    story("A locks x");
    story("wait 10");
    story("B locks x home");
    story("wait 10");
    tn_rev raised = home("{\"region\":\"eu\",\"epoch\":4}");
    story("A releases x");
    story("wait 50");
    assert_true(holds("B"));
    assert_int_equal(home_token_epoch(token("B")), 4);
    assert_true(home_token_revision(token("B")) > raised);
}

static void what_was_compacted_while_one_waited_changes_no_token(void **state)
{
    (void)state;
    home("{\"region\":\"eu\",\"epoch\":2}");
    story("A opens 1000");
    story("B opens 1000");
    story("A locks x home");
    story("wait 10");
    int64_t first = token("A");
    story("B locks x home");
    story("wait 10");
    for (int i = 0; i < 5; i++)
        fake_put("/other", "1", 0);
    story("compact");
    story("A releases x");
    story("wait 50");
    assert_true(holds("B"));
    assert_int_equal(home_token_epoch(token("B")), 2);
    assert_true(token("B") > first);
}

static void it_is_lost_when_the_home_moves_and_its_place_is_given_back(void **state)
{
    (void)state;
    home("{\"region\":\"eu\",\"epoch\":1}");
    story("A opens 1000");
    story("A locks x home");
    story("wait 500"); /* behind the time at which a held one begins to watch */
    assert_true(holds("A"));
    fake_put(HOME_KEYS "/elsewhere/", "{\"region\":\"us\",\"epoch\":9}", 0);
    story("wait 20");
    assert_true(holds("A"));
    home("{\"region\":\"us\",\"epoch\":2}");
    story("wait 20");
    assert_false(holds("A"));
    assert_int_equal(lock_state(story_lock("A", "x")), LOCK_LOST);
    assert_int_equal(fake_keys(), 3);
}

/* Before it watches: what happened in between is not missed. */
static void a_move_at_once_behind_the_acquire_is_heard_too(void **state)
{
    (void)state;
    home("{\"region\":\"eu\",\"epoch\":1}");
    story("A opens 1000");
    story("A locks x home");
    story("wait 10");
    assert_true(holds("A"));
    home("{\"region\":\"eu\",\"epoch\":2}"); /* away and back, say */
    story("wait 500");
    assert_false(holds("A"));
}

static void a_lost_answer_is_asked_for_again(void **state)
{
    (void)state;
    home("{\"region\":\"eu\",\"epoch\":1}");
    story("A opens 1000");
    story("B opens 1000");
    story("A locks x");
    story("wait 10");
    story("B locks x home");
    story("wait 10");
    story("lose reply of B");
    story("A releases x");
    story("wait 20000");
    assert_true(holds("B"));
    assert_int_equal(home_token_epoch(token("B")), 1);
}

static void what_is_no_answer_is_told(void **state)
{
    (void)state;
    struct queue q;
    struct homed_view v;
    struct tenure_error err;
    struct kv record = {.key = bytes_str(HOME_KEYS "/locks/"),
                        .value = bytes_str("{\"region\":\"eu\",\"epoch\":2}"),
                        .mod_revision = 5},
              name = {.value = bytes_str("eu")};
    struct response_op ops[2] = {{.kind = OP_RANGE, .range = {.kvs = &record, .n_kvs = 1}},
                                 {.kind = OP_RANGE, .range = {.kvs = &name, .n_kvs = 1}}};
    struct txn_resp r = {.succeeded = true, .revision = 9, .responses = ops, .n_responses = 2};
    assert_int_equal(queue_init(&q, "/locks/x", NULL, 7), 0);
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), 0);
    assert_int_equal(v.answer, HOMED_HERE);
    assert_int_equal(v.epoch, 2);
    assert_int_equal(homed_answered(&q, 4, &r, &v, &err), 0);
    assert_int_equal(v.answer, HOMED_SINCE);
    assert_int_equal(homed_answered(&q, INT64_C(1) << 44, &r, &v, &err), TENURE_ELIMIT);
    r.n_responses = 1;
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), TENURE_EPROTOCOL);
    r.succeeded = false;
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), 0);
    assert_int_equal(v.answer, HOMED_OUT);
    r = (struct txn_resp){.succeeded = true, .responses = ops, .n_responses = 2};
    ops[1].range.n_kvs = 0;
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), 0);
    assert_int_equal(v.answer, HOMED_ELSEWHERE);
    assert_non_null(strstr(v.error.text, "this is no region"));
    ops[0].range.more = true;
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), TENURE_ELIMIT);
    ops[0].kind = OP_PUT;
    assert_int_equal(homed_answered(&q, 6, &r, &v, &err), TENURE_EPROTOCOL);
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(at_home_the_token_has_the_epoch_for_one_request_more, begin, end),
        cmocka_unit_test_setup_teardown(a_key_without_a_home_has_a_plain_token, begin, end),
        cmocka_unit_test_setup_teardown(elsewhere_it_is_refused_and_nothing_is_left, begin, end),
        cmocka_unit_test_setup_teardown(a_record_that_cannot_be_read_refuses, begin, end),
        cmocka_unit_test_setup_teardown(who_waited_while_the_epoch_grew_goes_to_the_end, begin, end),
        cmocka_unit_test_setup_teardown(what_was_compacted_while_one_waited_changes_no_token, begin, end),
        cmocka_unit_test_setup_teardown(it_is_lost_when_the_home_moves_and_its_place_is_given_back, begin, end),
        cmocka_unit_test_setup_teardown(a_move_at_once_behind_the_acquire_is_heard_too, begin, end),
        cmocka_unit_test_setup_teardown(a_lost_answer_is_asked_for_again, begin, end),
        cmocka_unit_test(what_is_no_answer_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
