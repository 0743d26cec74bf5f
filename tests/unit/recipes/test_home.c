/* Home records: what is one, which covers a key, and the tokens that follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/home.h"
#include "tenure/error.h"

static void a_record_is_read_as_it_was_written(void **state)
{
    (void)state;
    struct home in = {.region = "eu-west-1", .epoch = 17}, out = {.epoch = 0};
    struct buf b;
    buf_init(&b);
    home_format(&in, &b);
    assert_int_equal(home_parse(buf_bytes(&b), &out), 0);
    assert_string_equal(out.region, "eu-west-1");
    assert_int_equal(out.epoch, 17);
    buf_fini(&b);
}

static void what_is_unknown_in_a_record_is_passed_over(void **state)
{
    (void)state;
    struct home h;
    assert_int_equal(
        home_parse(bytes_str(" { \"since\" : [1,{\"region\":\"no\"}], \"epoch\": 2, \"region\":\"us\" } \n"), &h), 0);
    assert_string_equal(h.region, "us");
    assert_int_equal(h.epoch, 2);
}

static void what_is_no_record_is_corrupt(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "eu",
        "{}",
        "{\"region\":\"eu\"}",
        "{\"epoch\":1}",
        "{\"region\":\"EU\",\"epoch\":1}",
        "{\"region\":\"\",\"epoch\":1}",
        "{\"region\":\"eu\",\"epoch\":0}",
        "{\"region\":\"eu\",\"epoch\":-4}",
        "{\"region\":\"eu\",\"epoch\":1.5}",
        "{\"region\":\"eu\",\"epoch\":524288}",
        "{\"region\":\"eu\",\"epoch\":99999999999999999999}",
        "{\"region\":\"eu\",\"epoch\":1} x",
        "{\"region\":\"eu\",\"epoch\":1",
        "{\"region\":7,\"epoch\":1}",
        "{\"region\":\"0123456789012345678901234567890123456789012345678901234567890123\",\"epoch\":1}",
    };
    struct home h = {.epoch = 5};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(home_parse(bytes_str(bad[i]), &h), TENURE_ECORRUPT);
    assert_int_equal(h.epoch, 5);
}

static struct kv record(const char *key)
{
    return (struct kv){.key = bytes_str(key)};
}

static void the_longest_prefix_covers(void **state)
{
    (void)state;
    struct kv r[] = {record("/federation/homes/locks/"), record("/federation/homes/"),
                     record("/federation/homes/locks/a/"), record("/federation/homes/no-slash"),
                     record("/elsewhere/locks/a/b/")};
    assert_int_equal(home_covering(r, 5, bytes_str("/locks/a/b/c")), 2);
    assert_int_equal(home_covering(r, 5, bytes_str("/locks/a")), 0);
    assert_int_equal(home_covering(r, 5, bytes_str("/locks")), 1);
    assert_int_equal(home_covering(r, 5, bytes_str("/no-slash")), 1);
    assert_int_equal(home_covering(r, 5, bytes_str("locks/")), SIZE_MAX);
    assert_int_equal(home_covering(r, 0, bytes_str("/locks/a")), SIZE_MAX);
}

static void the_candidates_of_a_key_are_its_folders(void **state)
{
    (void)state;
    struct buf b;
    size_t at = 0;
    buf_init(&b);
    assert_true(home_candidate(bytes_str("/locks/a"), &at, &b));
    assert_true(bytes_equal(buf_bytes(&b), bytes_str("/federation/homes/")));
    assert_true(home_candidate(bytes_str("/locks/a"), &at, &b));
    assert_true(bytes_equal(buf_bytes(&b), bytes_str("/federation/homes/locks/")));
    assert_false(home_candidate(bytes_str("/locks/a"), &at, &b));
    at = 0;
    assert_false(home_candidate(bytes_str("locks/a"), &at, &b));
    assert_false(home_candidate(bytes_str(""), &at, &b));
    buf_fini(&b);
}

static void the_range_has_every_record_and_nothing_else(void **state)
{
    (void)state;
    struct key_range r = home_range();
    assert_true(key_range_contains(r, bytes_str("/federation/homes/")));
    assert_true(key_range_contains(r, bytes_str("/federation/homes/\xff/")));
    assert_false(key_range_contains(r, bytes_str("/federation/homes")));
    assert_false(key_range_contains(r, bytes_str("/federation/homes0")));
    assert_false(key_range_contains(r, bytes_str("/federation/region")));
}

static void a_greater_epoch_is_a_greater_token_whatever_the_revision(void **state)
{
    (void)state;
    assert_int_equal(home_token(0, 12), 12);
    assert_int_equal(home_token(3, 12), 3 * (INT64_C(1) << 44) + 12);
    assert_true(home_token(4, 1) > home_token(3, (INT64_C(1) << 44) - 1));
    assert_int_equal(home_token_epoch(home_token(3, 12)), 3);
    assert_int_equal(home_token_revision(home_token(3, 12)), 12);
    assert_true(home_token(HOME_EPOCH_MAX, (INT64_C(1) << 44) - 1) == INT64_MAX);
    assert_int_equal(home_token(HOME_EPOCH_MAX + 1, 12), 0);
    assert_int_equal(home_token(1, INT64_C(1) << 44), 0);
    assert_int_equal(home_token(-1, 12), 0);
    assert_int_equal(home_token(1, -1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_is_read_as_it_was_written),
        cmocka_unit_test(what_is_unknown_in_a_record_is_passed_over),
        cmocka_unit_test(what_is_no_record_is_corrupt),
        cmocka_unit_test(the_longest_prefix_covers),
        cmocka_unit_test(the_candidates_of_a_key_are_its_folders),
        cmocka_unit_test(the_range_has_every_record_and_nothing_else),
        cmocka_unit_test(a_greater_epoch_is_a_greater_token_whatever_the_revision),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
