/* The seal of a row covers every field, and the sums take rows out again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "backend/row.h"

static struct record sample(void)
{
    return (struct record){7, RECORD_KV, false, true, 8, 9, bytes_str("key"), bytes_str("value"), 10, 11, 12};
}

static void each_field_changes_the_checksum(void **state)
{
    (void)state;
    struct record all[13];
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        all[i] = sample();
    all[1].seq++;
    all[2].kind = RECORD_COMPACT;
    all[3].tombstone = true;
    all[4].last_of_command = false;
    all[5].main++;
    all[6].sub++;
    all[7].key = bytes_str("kex");
    all[8].value = bytes_str("valu");
    all[9].create_revision++;
    all[10].version++;
    all[11].lease = -12;
    all[12].key = bytes_str("keyv"); /* the same bytes in a row, cut elsewhere */
    all[12].value = bytes_str("alue");
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(row_crc(&all[i], 5), row_crc(&all[k], 5));
    }
    assert_int_not_equal(row_crc(&all[0], 5), row_crc(&all[0], 6));
}

/* A change of the encoding makes every log unreadable: it needs a new format version. */
static void the_encoding_of_format_version_1_does_not_change(void **state)
{
    (void)state;
    struct record r = sample();
    struct meta m = {1, 2, 3, 4, 5, 6};
    assert_int_equal(row_crc(&r, 0x123456789abcdef), 0x9858db96);
    assert_int_equal(meta_crc(&m), 0xa9a834ab);
}

static void an_empty_key_and_value_need_no_memory(void **state)
{
    (void)state;
    struct record a = sample(), b = sample();
    a.key = a.value = bytes_of(NULL, 0);
    b.key = b.value = bytes_str("");
    assert_int_equal(row_crc(&a, 0), row_crc(&b, 0));
}

static void the_running_sum_wraps_and_goes_back(void **state)
{
    (void)state;
    const int64_t before[] = {0, 1, INT64_MAX, INT64_MAX - 5};
    for (size_t i = 0; i < ARRAY_LEN(before); i++) {
        int64_t acc = row_acc(before[i], UINT32_MAX);
        assert_true(acc >= 0);
        assert_int_equal(row_acc_before(acc, UINT32_MAX), before[i]);
    }
}

static void deletions_add_up(void **state)
{
    (void)state;
    struct meta m = {0};
    meta_delete(&m, 9, 100);
    meta_delete(&m, 4, UINT32_MAX);
    assert_int_equal(m.deleted_count, 2);
    assert_int_equal(m.deleted_sum, 13);
    assert_int_equal(m.deleted_acc, 100 + (int64_t)UINT32_MAX);
    assert_int_equal(m.deleted_max, 9);
}

static void sequences_that_were_left_out_count_as_deleted(void **state)
{
    (void)state;
    struct meta one_by_one = {0}, at_once = {0};
    for (tn_seq seq = 5; seq < 30; seq++)
        meta_delete(&one_by_one, seq, 0);
    meta_skip(&at_once, 4, 30);
    assert_memory_equal(&at_once, &one_by_one, sizeof at_once);
    meta_skip(&at_once, 30, 31);
    assert_memory_equal(&at_once, &one_by_one, sizeof at_once);
}

/* Where the plain formula would overflow. */
static void the_sum_of_sequences_wraps_as_adding_does(void **state)
{
    (void)state;
    const tn_seq near[] = {1, 1 << 20, INT64_C(1) << 32, (INT64_C(1) << 33) - 1, INT64_C(1) << 40, INT64_MAX - 4};
    assert_int_equal(row_seq_sum(0), 0);
    assert_int_equal(row_seq_sum(10), 55);
    for (size_t i = 0; i < ARRAY_LEN(near); i++) {
        for (tn_seq n = near[i]; n < near[i] + 3; n++)
            assert_true(row_seq_sum(n) == row_seq_sum(n - 1) + (uint64_t)n);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_field_changes_the_checksum),
        cmocka_unit_test(the_encoding_of_format_version_1_does_not_change),
        cmocka_unit_test(an_empty_key_and_value_need_no_memory),
        cmocka_unit_test(the_running_sum_wraps_and_goes_back),
        cmocka_unit_test(deletions_add_up),
        cmocka_unit_test(sequences_that_were_left_out_count_as_deleted),
        cmocka_unit_test(the_sum_of_sequences_wraps_as_adding_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
