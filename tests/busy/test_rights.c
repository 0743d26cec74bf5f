/* The judge of rights, judged: each of its words about what is wrong, beside what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "busy/rights.h"

static struct rights rights;
static const struct claim asks = {.user = 1, .prefix = 2, .replica = 0, .sent_ns = 50}, all = {.user = 1, .prefix = -1},
                          root = {.user = -1, .prefix = -1};

static void change(bool stands, int64_t at)
{
    rights_changing(&rights, 1, 2);
    rights_changed(&rights, 1, 2, stands, at);
}

static const char *tries(bool allowed, int64_t asked, int64_t now)
{
    int64_t lag;
    return rights_tried(&rights, asks, allowed, asked, now, &lag);
}

static int setup(void **state)
{
    (void)state;
    rights = (struct rights){.late_ns = 100};
    change(true, 10);
    assert_null(tries(true, 11, 12));
    return 0;
}

static void what_is_known_is_known_behind_the_answer(void **state)
{
    (void)state;
    int64_t lag;
    change(false, 20);
    assert_null(rights_tried(&rights, asks, false, 19, 25, &lag)); /* asked before: it may be by chance */
    assert_int_equal(lag, 0);
    assert_null(rights_tried(&rights, asks, true, 21, 26, &lag)); /* it does not know yet */
    assert_int_equal(lag, 0);
    assert_null(rights_tried(&rights, asks, false, 22, 27, &lag));
    assert_int_equal(lag, 7);
    assert_null(rights_tried(&rights, asks, false, 28, 29, &lag));
    assert_int_equal(lag, 0);
}

static void who_knew_must_not_forget(void **state)
{
    (void)state;
    assert_non_null(tries(false, 13, 14));
    change(false, 20);
    assert_null(tries(false, 21, 22));
    assert_null(tries(true, 21, 23)); /* two at once */
    assert_non_null(tries(true, 23, 24));
    rights_changing(&rights, 1, 2);
    assert_null(tries(true, 25, 26));
}

static void a_put_is_told_without_a_right(void **state)
{
    (void)state;
    assert_null(rights_told(&rights, asks, 15));
    change(false, 20);
    assert_null(rights_told(&rights, asks, 30)); /* does not know */
    assert_null(tries(false, 31, 40));
    assert_null(rights_told(&rights, asks, 40)); /* written before it knew */
    assert_non_null(rights_told(&rights, asks, 41));
    rights_changing(&rights, 1, 2);
    assert_null(rights_told(&rights, asks, 41));
    rights_changed(&rights, 1, 2, true, 60);
    assert_null(rights_told(&rights, asks, 41)); /* who may read may read what was */
}

static void who_does_not_know_has_no_grace_for_ever(void **state)
{
    (void)state;
    change(false, 20);
    assert_null(rights_told(&rights, asks, 120));
    assert_non_null(rights_told(&rights, asks, 121));
}

static void a_watch_is_created_without_a_right(void **state)
{
    (void)state;
    assert_null(rights_created(&rights, asks));
    change(false, 20);
    assert_null(rights_created(&rights, asks));
    assert_null(tries(false, 21, 50));
    assert_null(rights_created(&rights, asks)); /* asked for when it may not have known */
    change(false, 20);
    assert_null(tries(false, 21, 49));
    assert_non_null(rights_created(&rights, asks));
}

static void a_watch_is_denied_while_its_right_stands(void **state)
{
    (void)state;
    assert_non_null(rights_denied(&rights, asks));
    change(true, 20);
    assert_null(rights_denied(&rights, asks));
    change(false, 21);
    assert_null(tries(false, 22, 23));
    assert_null(rights_denied(&rights, asks));
}

static void more_than_one_prefix_is_for_root_alone(void **state)
{
    (void)state;
    assert_non_null(rights_created(&rights, all));
    assert_non_null(rights_told(&rights, all, 15));
    assert_null(rights_denied(&rights, all));
    assert_null(rights_created(&rights, root));
    assert_null(rights_told(&rights, root, 1000));
    assert_non_null(rights_denied(&rights, root));
}

#define CASE(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_known_is_known_behind_the_answer),
        CASE(who_knew_must_not_forget),
        CASE(a_put_is_told_without_a_right),
        CASE(who_does_not_know_has_no_grace_for_ever),
        CASE(a_watch_is_created_without_a_right),
        CASE(a_watch_is_denied_while_its_right_stands),
        CASE(more_than_one_prefix_is_for_root_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
