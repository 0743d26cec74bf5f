/* Taking over the place of a process that is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/takeover.h"
#include "tenure/error.h"

struct taker {
    struct takeover *takeover;
    bool is_gone, asked;
    int done, code;
    char judged[64];
};

static struct client *c;
static tn_lease lease;
static tn_rev token;

static int begin(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    lease = fake_grant(1000);
    token = fake_put("/locks/x/1", "old", lease);
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_run(2 * FAKE_CALL_TIMEOUT_MS);
    fake_end();
    return 0;
}

static bool judge(void *user, bytes value)
{
    struct taker *t = user;
    t->asked = true;
    snprintf(t->judged, sizeof t->judged, "%.*s", (int)value.len, (const char *)value.data);
    return t->is_gone;
}

static void on_done(void *user, int code)
{
    struct taker *t = user;
    t->done++;
    t->code = code;
    assert_null(t->takeover);
}

static void take(struct taker *t, const char *value, bool sure)
{
    struct takeover_callbacks cb = {.is_gone = sure ? NULL : judge, .on_done = on_done};
    struct takeover_place place = {
        .key = bytes_str("/locks/x/1"), .words = bytes_str("/locks/x/1"), .lease = lease, .create = token};
    assert_int_equal(takeover_start(&t->takeover, c, &place, bytes_str(value), &cb, t, fake_now(), NULL), 0);
}

static bool holds(const char *value)
{
    struct kv kv;
    return fake_get(bytes_str("/locks/x/1"), &kv) && bytes_equal(kv.value, bytes_str(value)) &&
           kv.create_revision == token && kv.lease == lease;
}

static void a_place_whose_process_is_gone_is_taken(void **state)
{
    (void)state;
    struct taker t = {.is_gone = true};
    take(&t, "new", false);
    fake_run(10);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.code, 0);
    assert_string_equal(t.judged, "old");
    assert_true(holds("new"));
}

static void one_that_may_live_keeps_it_unless_the_user_knows_better(void **state)
{
    (void)state;
    struct taker t = {.is_gone = false}, sure = {0};
    take(&t, "new", false);
    fake_run(10);
    assert_int_equal(t.code, TENURE_EBUSY);
    assert_true(holds("old"));
    take(&sure, "new", true);
    fake_run(10);
    assert_int_equal(sure.code, 0);
    assert_true(holds("new"));
}

static void a_place_that_does_not_stand_is_not_found(void **state)
{
    (void)state;
    struct taker t = {.is_gone = true}, u = {.is_gone = true};
    token++;
    take(&t, "new", false);
    fake_run(10);
    assert_int_equal(t.code, TENURE_ENOTFOUND);
    assert_false(t.asked);
    token--;
    fake_delete(bytes_str("/locks/x/1"));
    take(&u, "new", false);
    fake_run(10);
    assert_int_equal(u.code, TENURE_ENOTFOUND);
}

static void of_two_who_take_it_one_gets_it(void **state)
{
    (void)state;
    struct taker t = {.is_gone = true}, u = {.is_gone = true};
    take(&t, "first", false);
    take(&u, "second", false);
    fake_run(10);
    assert_int_equal(t.done + u.done, 2);
    assert_true((t.code == 0) != (u.code == 0));
    assert_true(holds(t.code == 0 ? "first" : "second"));
    assert_int_equal(t.code == 0 ? u.code : t.code, TENURE_ECONFLICT);
}

static enum fake_fault lose_second(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)what;
    return n % 2 ? FAKE_LOSE_REPLY : FAKE_FINE;
}

static void a_lost_answer_is_found_to_have_been_ours(void **state)
{
    (void)state;
    struct taker t = {.is_gone = true};
    fake_set_judge(lose_second, NULL);
    take(&t, "new", false);
    fake_run(1000);
    assert_int_equal(t.done, 1);
    assert_int_equal(t.code, 0);
    assert_true(holds("new"));
}

static void dropped_it_says_nothing_and_without_a_server_it_ends(void **state)
{
    (void)state;
    struct taker t = {.is_gone = true}, u = {.is_gone = true};
    take(&t, "new", false);
    fake_run(1);
    takeover_drop(&t.takeover, fake_now());
    takeover_drop(&t.takeover, fake_now());
    fake_run(100);
    assert_int_equal(t.done, 0);
    fake_cut(c, true);
    take(&u, "new", false);
    fake_run(FAKE_CALL_TIMEOUT_MS + 100);
    assert_int_equal(u.done, 1);
    assert_true(u.code < 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_place_whose_process_is_gone_is_taken),   TEST(one_that_may_live_keeps_it_unless_the_user_knows_better),
        TEST(a_place_that_does_not_stand_is_not_found), TEST(of_two_who_take_it_one_gets_it),
        TEST(a_lost_answer_is_found_to_have_been_ours), TEST(dropped_it_says_nothing_and_without_a_server_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
