/* Tokens that a source gave out: found by all of their text, for as long as they are used. */
#include "cases.h"
#include "core/known.h"

static struct known_set set;

static int begin(void **state)
{
    (void)state;
    known_init(&set, 5, 1000, 3);
    return 0;
}

static int end(void **state)
{
    (void)state;
    known_fini(&set);
    return 0;
}

static void add(const char *text, const char *name, tn_ms now)
{
    assert_true(known_add(&set, bytes_str(text), bytes_str(name), 7, now));
}

static void it_is_found_by_all_of_its_text(void **state)
{
    (void)state;
    add("abc.1", "root", 0);
    add("abc.2", "u", 0);
    struct known *k = known_find(&set, bytes_str("abc.1"), 1);
    assert_non_null(k);
    assert_bytes(known_name(k), "root");
    assert_int_equal(k->changes, 7);
    assert_null(known_find(&set, bytes_str("abc."), 1));
    assert_null(known_find(&set, bytes_str("abc.11"), 1));
    assert_null(known_find(&set, bytes_str(""), 1));
    assert_false(known_add(&set, bytes_str(""), bytes_str("root"), 7, 0));
    known_remove(&set, k);
    assert_null(known_find(&set, bytes_str("abc.1"), 1));
    assert_non_null(known_find(&set, bytes_str("abc.2"), 1));
}

static void it_ends_when_it_is_not_used(void **state)
{
    (void)state;
    add("a", "u", 0);
    add("b", "u", 0);
    assert_non_null(known_find(&set, bytes_str("a"), 900));
    assert_null(known_find(&set, bytes_str("b"), 1000));
    assert_non_null(known_find(&set, bytes_str("a"), 1899));
    assert_null(known_find(&set, bytes_str("a"), 2899));
    assert_int_equal(set.by_hash.len, 0);
}

static void at_the_bound_the_least_recently_used_one_goes(void **state)
{
    (void)state;
    add("a", "u", 0);
    add("b", "u", 0);
    add("c", "u", 0);
    assert_non_null(known_find(&set, bytes_str("a"), 1));
    add("d", "u", 1);
    assert_null(known_find(&set, bytes_str("b"), 1));
    assert_non_null(known_find(&set, bytes_str("a"), 1));
}

static void the_same_one_again_is_told_anew(void **state)
{
    (void)state;
    add("a", "u", 0);
    add("a", "v", 10);
    assert_int_equal(set.by_hash.len, 1);
    assert_bytes(known_name(known_find(&set, bytes_str("a"), 11)), "v");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(it_is_found_by_all_of_its_text, begin, end),
        cmocka_unit_test_setup_teardown(it_ends_when_it_is_not_used, begin, end),
        cmocka_unit_test_setup_teardown(at_the_bound_the_least_recently_used_one_goes, begin, end),
        cmocka_unit_test_setup_teardown(the_same_one_again_is_told_anew, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
