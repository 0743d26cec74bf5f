/* snapshot/schema: etcd's keys and messages, byte for byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "snapshot/schema.h"

static void a_revision_is_two_numbers_and_a_mark(void **state)
{
    (void)state;
    uint8_t out[SCHEMA_REV_MAX];
    struct schema_rev rev = {0x0102030405060708, 9, false}, back;
    assert_int_equal(schema_rev_encode(rev, out), 17);
    assert_memory_equal(out, "\1\2\3\4\5\6\7\10_\0\0\0\0\0\0\0\11", 17);
    rev.tombstone = true;
    assert_int_equal(schema_rev_encode(rev, out), 18);
    assert_int_equal(out[17], 't');
    assert_true(schema_rev_decode(bytes_of(out, 18), &back));
    assert_true(back.main == rev.main && back.sub == 9 && back.tombstone);
    assert_true(schema_rev_decode(bytes_of(out, 17), &back));
    assert_false(back.tombstone);
}

static void what_is_no_revision_is_refused(void **state)
{
    (void)state;
    struct schema_rev rev;
    assert_false(schema_rev_decode(bytes_of("\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0", 16), &rev));
    assert_false(schema_rev_decode(bytes_of("\0\0\0\0\0\0\0\2-\0\0\0\0\0\0\0\0", 17), &rev));
    assert_false(schema_rev_decode(bytes_of("\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0x", 18), &rev));
    assert_false(schema_rev_decode(bytes_of("\200\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0", 17), &rev));
    assert_false(schema_rev_decode(bytes_of("\0\0\0\0\0\0\0\2_\200\0\0\0\0\0\0\0", 17), &rev));
}

static void a_key_is_as_etcd_writes_it(void **state)
{
    (void)state;
    struct buf out;
    struct kv back, kv = {.key = bytes_str("k"),
                          .create_revision = 2,
                          .mod_revision = 300,
                          .version = 3,
                          .value = bytes_str("v"),
                          .lease = 7};
    buf_init(&out);
    schema_kv_encode(&kv, &out);
    assert_int_equal(out.len, 15);
    assert_memory_equal(out.data, "\x0a\x01k\x10\x02\x18\xac\x02\x20\x03\x2a\x01v\x30\x07", 15);
    assert_true(schema_kv_decode(buf_bytes(&out), &back));
    assert_true(bytes_equal(back.key, kv.key) && bytes_equal(back.value, kv.value));
    assert_true(back.create_revision == 2 && back.mod_revision == 300 && back.version == 3 && back.lease == 7);
    for (size_t len = 1; len < out.len; len++)
        (void)schema_kv_decode(bytes_of(out.data, len), &back);
    assert_false(schema_kv_decode(bytes_str("\x0a\x05k"), &back));
    buf_fini(&out);
}

static void leases_and_alarms_come_back(void **state)
{
    (void)state;
    struct buf out;
    struct schema_lease lease, negative = {-5, 60};
    struct schema_alarm alarm, nospace = {0xcdef, 1};
    buf_init(&out);
    schema_lease_encode(&negative, &out);
    assert_true(schema_lease_decode(buf_bytes(&out), &lease));
    assert_true(lease.id == -5 && lease.ttl_s == 60);
    buf_reset(&out);
    schema_alarm_encode(&nospace, &out);
    assert_true(schema_alarm_decode(buf_bytes(&out), &alarm));
    assert_true(alarm.member_id == 0xcdef && alarm.type == 1);
    assert_false(schema_alarm_decode(bytes_str("\x08"), &alarm));
    assert_false(schema_lease_decode(bytes_str("\x08"), &lease));
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_revision_is_two_numbers_and_a_mark),
        cmocka_unit_test(what_is_no_revision_is_refused),
        cmocka_unit_test(a_key_is_as_etcd_writes_it),
        cmocka_unit_test(leases_and_alarms_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
