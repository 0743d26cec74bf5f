/* The record of a mirror: it is read as it was written, and what is none is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mirror/record.h"
#include "tenure/error.h"

static struct buf b;

static int begin(void **state)
{
    (void)state;
    buf_init(&b);
    return 0;
}

static int end(void **state)
{
    (void)state;
    buf_fini(&b);
    return 0;
}

static struct record full(void)
{
    struct record r = {.source_cluster = 0xfedcba9876543210,
                       .home = {.region = "eu", .epoch = 3},
                       .writer = 0x17,
                       .seq = 5,
                       .revision = 100,
                       .part_of = 101,
                       .part = 127,
                       .copied = 7,
                       .deleted = 8,
                       .n_leases = 2,
                       .check_mod = 99,
                       .check_crc = 0xffffffff,
                       .newest = 120,
                       .lag = 20,
                       .lag_ms = -1,
                       .time_ms = 1700000000000,
                       .error_ms = 1700000000001,
                       .error = "no \"server\""};
    r.leases[0].ttl_s = 10;
    r.leases[0].id = 0x70;
    r.leases[1].ttl_s = 60;
    r.leases[1].id = -1;
    record_key_set(&r.check, bytes_of("/a/\0\xff", 5));
    return r;
}

static void what_was_written_is_read_again(void **state)
{
    (void)state;
    struct record in = full(), out;
    record_format(&in, bytes_str("/a/"), bytes_str("/b/\""), &b);
    assert_int_equal(record_parse(buf_bytes(&b), &out), 0);
    assert_true(out.source_cluster == in.source_cluster && out.writer == in.writer && out.seq == in.seq);
    assert_string_equal(out.home.region, "eu");
    assert_true(out.home.epoch == 3 && out.revision == 100 && out.part_of == 101 && out.part == 127);
    assert_true(out.copied == 7 && out.deleted == 8 && out.n_leases == 2);
    assert_true(out.leases[0].ttl_s == 10 && out.leases[0].id == 0x70 && out.leases[1].id == -1);
    assert_true(bytes_equal(record_key_bytes(&out.check), bytes_of("/a/\0\xff", 5)));
    assert_true(out.check_mod == 99 && out.check_crc == 0xffffffff);
    assert_true(out.newest == 120 && out.lag == 20 && out.lag_ms == -1);
    assert_string_equal(out.error, "no \"server\"");
}

static void a_copy_under_way_is_read_again(void **state)
{
    (void)state;
    struct record in = {.source_cluster = 1, .writer = 2, .at = 55, .keys = 10, .total = 20}, out;
    record_key_set(&in.cursor, bytes_str("x/y"));
    record_format(&in, bytes_str("/a/"), (bytes){NULL, 0}, &b);
    assert_int_equal(record_parse(buf_bytes(&b), &out), 0);
    assert_true(out.at == 55 && out.keys == 10 && out.total == 20 && out.revision == 0);
    assert_true(bytes_equal(record_key_bytes(&out.cursor), bytes_str("x/y")));
}

static void both_sides_are_named(void **state)
{
    (void)state;
    struct record in = {.source_cluster = 1, .writer = 2};
    struct buf to;
    buf_init(&to);
    record_format(&in, bytes_str("/a/"), bytes_str("/b/"), &b);
    assert_true(record_destination(buf_bytes(&b), &to));
    assert_true(bytes_equal(buf_bytes(&to), bytes_str("/b/")));
    buf_reset(&to);
    assert_true(record_source(buf_bytes(&b), &to));
    assert_true(bytes_equal(buf_bytes(&to), bytes_str("/a/")));
    buf_reset(&to);
    assert_true(record_destination(bytes_str("{\"prefix\":\"/c/\"}"), &to));
    assert_true(bytes_equal(buf_bytes(&to), bytes_str("/c/")));
    assert_false(record_destination(bytes_str("{}"), &to));
    buf_fini(&to);
}

static void a_key_that_is_too_long_is_none(void **state)
{
    (void)state;
    static uint8_t large[RECORD_KEY_MAX + 1];
    struct record_key k;
    record_key_set(&k, bytes_of(large, RECORD_KEY_MAX));
    assert_int_equal(k.len, RECORD_KEY_MAX);
    record_key_set(&k, bytes_of(large, RECORD_KEY_MAX + 1));
    assert_int_equal(k.len, 0);
}

static void what_is_no_record_is_corrupt(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "{}",
        "{\"source_cluster\":\"1\"}",
        "{\"source_cluster\":\"g\",\"writer\":\"2\"}",
        "{\"source_cluster\":\"12345678901234567\",\"writer\":\"2\"}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"revision\":-1}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"cursor\":\"123\"}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"cursor\":\"zz\"}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"epoch\":3}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"epoch\":3,\"region\":\"EU\"}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"leases\":[{\"ttl\":0,\"id\":\"1\"}]}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\",\"leases\":[{\"ttl\":1}]}",
        "{\"source_cluster\":\"1\",\"writer\":\"2\"",
    };
    struct record r = {.seq = 9};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(record_parse(bytes_str(bad[i]), &r), TENURE_ECORRUPT);
    assert_int_equal(r.seq, 9);
    assert_int_equal(record_parse(bytes_str("{\"source_cluster\":\"1\",\"writer\":\"2\"}"), &r), 0);
}

static void no_truncated_record_is_read_past_its_end(void **state)
{
    (void)state;
    struct record in = full(), out;
    record_format(&in, bytes_str("/a/"), bytes_str("/b/"), &b);
    for (size_t i = 0; i < b.len; i++) {
        uint8_t *cut = malloc(i ? i : 1);
        memcpy(cut, b.data, i);
        assert_int_equal(record_parse(bytes_of(cut, i), &out), TENURE_ECORRUPT);
        free(cut);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_written_is_read_again, begin, end),
        cmocka_unit_test_setup_teardown(a_copy_under_way_is_read_again, begin, end),
        cmocka_unit_test_setup_teardown(both_sides_are_named, begin, end),
        cmocka_unit_test(a_key_that_is_too_long_is_none),
        cmocka_unit_test(what_is_no_record_is_corrupt),
        cmocka_unit_test_setup_teardown(no_truncated_record_is_read_past_its_end, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
