/* Several places as one: the order, the retreat, and another try; with parts that only say what was done with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/several.h"
#include "tenure/error.h"

static struct {
    struct several s;
    char said[400];
    bool begun[3], in_time, refuse_start, stop_when_told;
} t;

static void say(const char *word, long number)
{
    size_t len = strlen(t.said);
    snprintf(t.said + len, sizeof t.said - len, "%s%s %ld", len ? ", " : "", word, number);
}

static void heard(const char *expected)
{
    assert_string_equal(t.said, expected);
    t.said[0] = 0;
}

static int start(void *user, size_t i, struct tenure_error *err)
{
    (void)user;
    say("start", (long)i);
    if (t.refuse_start)
        return error_set(err, TENURE_EINVALID, "no");
    t.begun[i] = true;
    return 0;
}

static bool let_go(void *user, size_t i)
{
    (void)user;
    bool begun = t.begun[i];
    t.begun[i] = false;
    if (begun)
        say("let go", (long)i);
    return begun;
}

static bool in_time(void *user)
{
    (void)user;
    return t.in_time;
}

static void on_acquired(void *user, int code)
{
    (void)user;
    say("acquired", code);
    if (t.stop_when_told)
        several_stop(&t.s);
}

static void on_lost(void *user, size_t i)
{
    (void)user;
    say("lost", (long)i);
}

static void on_over(void *user)
{
    (void)user;
    say("over", t.s.code);
}

static int begin(void **state)
{
    static const struct several_ops ops = {start, let_go, in_time, on_acquired, on_lost, on_over};
    (void)state;
    memset(&t, 0, sizeof t);
    t.in_time = true;
    several_init(&t.s, 3, &ops, NULL);
    return 0;
}

static void hold_all(void)
{
    struct tenure_error err;
    assert_int_equal(several_begin(&t.s, &err), 0);
    for (size_t i = 0; i < 3; i++)
        several_acquired(&t.s, i, 0, NULL);
    heard("start 0, start 1, start 2, acquired 0");
    assert_int_equal(t.s.state, SEVERAL_HELD);
}

static void all_are_taken_in_order_and_let_go_in_reverse(void **state)
{
    (void)state;
    hold_all();
    several_stop(&t.s);
    several_stop(&t.s);
    heard("let go 2, let go 1, let go 0");
    several_released(&t.s, 0);
    several_released(&t.s, TENURE_EUNAVAILABLE);
    heard("");
    several_released(&t.s, 0);
    char over[32];
    snprintf(over, sizeof over, "over %d", TENURE_EUNAVAILABLE);
    heard(over);
}

static void one_that_fails_lets_the_others_go_before_it_is_told_M7(void **state)
{
    (void)state;
    struct tenure_error err, busy;
    char end[64];
    error_set(&busy, TENURE_EBUSY, "busy");
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_acquired(&t.s, 0, 0, NULL);
    several_acquired(&t.s, 1, TENURE_EBUSY, &busy);
    heard("start 0, start 1, let go 1, let go 0");
    several_released(&t.s, 0);
    several_released(&t.s, 0);
    snprintf(end, sizeof end, "acquired %d", TENURE_EBUSY);
    heard(end);
    assert_string_equal(t.s.why.text, "busy");
    several_stop(&t.s);
    heard("over 0");
}

static void a_part_that_is_lost_on_the_way_begins_all_again(void **state)
{
    (void)state;
    struct tenure_error err, lost;
    error_set(&lost, TENURE_ELOST, "lost");
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_acquired(&t.s, 0, 0, NULL);
    several_lost(&t.s, 0, &lost);
    several_acquired(&t.s, 1, 0, NULL); /* too late */
    heard("start 0, start 1, let go 1, let go 0");
    several_released(&t.s, 0);
    several_released(&t.s, TENURE_ELOST);
    heard("start 0");
    assert_int_equal(t.s.state, SEVERAL_ACQUIRING);
    several_acquired(&t.s, 0, TENURE_ELOST, &lost);
    t.in_time = false;
    several_released(&t.s, 0);
    char end[64];
    snprintf(end, sizeof end, "let go 0, acquired %d", TENURE_ELOST);
    heard(end);
    assert_int_equal(t.s.state, SEVERAL_FAILED);
}

static void giving_up_on_the_way_is_told_when_nothing_is_left_M7(void **state)
{
    (void)state;
    struct tenure_error err;
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_acquired(&t.s, 0, 0, NULL);
    several_stop(&t.s);
    heard("start 0, start 1, let go 1, let go 0");
    several_released(&t.s, 0);
    several_released(&t.s, 0);
    char end[64];
    snprintf(end, sizeof end, "acquired %d, over 0", TENURE_ECANCELLED);
    heard(end);
}

static void held_and_lost_it_is_told_once_L3(void **state)
{
    (void)state;
    struct tenure_error lost;
    error_set(&lost, TENURE_ELOST, "lost");
    hold_all();
    several_lost(&t.s, 1, &lost);
    several_lost(&t.s, 2, &lost);
    heard("lost 1");
    several_stop(&t.s);
    for (int i = 0; i < 3; i++)
        several_released(&t.s, 0);
    char end[64];
    snprintf(end, sizeof end, "let go 2, let go 1, let go 0, over %d", TENURE_ELOST);
    heard(end);
}

static void letting_go_when_it_is_told_is_the_end(void **state)
{
    (void)state;
    struct tenure_error err;
    t.stop_when_told = true;
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_acquired(&t.s, 0, TENURE_ETIMEOUT, NULL);
    several_released(&t.s, 0);
    char end[80];
    snprintf(end, sizeof end, "start 0, let go 0, acquired %d, over 0", TENURE_ETIMEOUT);
    heard(end);
}

static void what_cannot_begin_says_so(void **state)
{
    (void)state;
    struct tenure_error err;
    char end[80];
    t.refuse_start = true;
    assert_int_equal(several_begin(&t.s, &err), TENURE_EINVALID);
    heard("start 0");
    t.refuse_start = false;
    assert_int_equal(several_begin(&t.s, &err), 0);
    t.refuse_start = true;
    several_acquired(&t.s, 0, 0, NULL);
    several_released(&t.s, 0);
    snprintf(end, sizeof end, "start 0, start 1, let go 0, acquired %d", TENURE_EINVALID);
    heard(end);
}

static void cancelled_it_retreats_and_says_so_also_on_a_retreat_for_another_try(void **state)
{
    (void)state;
    struct tenure_error err, lost, why;
    char end[64];
    error_set(&lost, TENURE_ELOST, "lost");
    error_set(&why, TENURE_ECANCELLED, "cancelled");
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_acquired(&t.s, 0, TENURE_ELOST, &lost);
    several_cancel(&t.s, &why);
    several_released(&t.s, 0);
    snprintf(end, sizeof end, "start 0, let go 0, acquired %d", TENURE_ECANCELLED);
    heard(end);
    begin(state);
    assert_int_equal(several_begin(&t.s, &err), 0);
    several_cancel(&t.s, &why);
    several_released(&t.s, 0);
    heard(end);
    begin(state);
    hold_all();
    several_cancel(&t.s, &why);
    assert_int_equal(t.s.state, SEVERAL_HELD);
}

static void the_order_is_that_of_the_whole_key(void **state)
{
    (void)state;
    assert_true(several_order("/locks/", "a", "/locks/", "b") < 0);
    assert_true(several_order("/locks/", "b", "/locks/", "a") > 0);
    assert_int_equal(several_order("/locks/", "a", "/lo", "cks/a"), 0);
    assert_true(several_order("/locks/", "a", "/locks/", "ab") < 0);
    assert_true(several_order("/locks/", "\xc3", "/locks/", "z") > 0);
    assert_true(several_order("", "z", "/locks/", "a") > 0);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(all_are_taken_in_order_and_let_go_in_reverse),
        TEST(one_that_fails_lets_the_others_go_before_it_is_told_M7),
        TEST(a_part_that_is_lost_on_the_way_begins_all_again),
        TEST(giving_up_on_the_way_is_told_when_nothing_is_left_M7),
        TEST(held_and_lost_it_is_told_once_L3),
        TEST(letting_go_when_it_is_told_is_the_end),
        TEST(what_cannot_begin_says_so),
        TEST(cancelled_it_retreats_and_says_so_also_on_a_retreat_for_another_try),
        TEST(the_order_is_that_of_the_whole_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
