/* Reading protobuf by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/pbread.h"

#define IN(literal) bytes_of(literal, sizeof(literal) - 1)

static void fields_come_in_order_with_their_bodies(void **state)
{
    (void)state;
    bytes in = IN("\x0a\x03"
                  "a\0b"
                  "\x10\x96\x01\x1d\1\2\3\4\x21\1\2\3\4\5\6\7\x8\x2a\x00");
    struct pb_field f;
    assert_true(pb_next(&in, &f));
    assert_int_equal(f.number, 1);
    assert_int_equal(f.type, PB_LEN);
    assert_true(bytes_equal(f.body, IN("a\0b")));
    assert_true(pb_next(&in, &f));
    assert_int_equal(f.number, 2);
    assert_int_equal(f.type, PB_VARINT);
    assert_int_equal(f.value, 150);
    assert_true(pb_next(&in, &f));
    assert_int_equal(f.type, PB_FIXED32);
    assert_true(pb_next(&in, &f));
    assert_int_equal(f.type, PB_FIXED64);
    assert_true(pb_next(&in, &f));
    assert_int_equal(f.number, 5);
    assert_int_equal(f.body.len, 0);
    assert_false(pb_next(&in, &f));
    assert_true(pb_done(in));
}

static void what_is_cut_or_malformed_is_not_done(void **state)
{
    (void)state;
    const bytes bad[] = {
        IN("\x0a"),                                             /* no length */
        IN("\x0a\x02x"),                                        /* shorter than it says */
        IN("\x08"),                                             /* no number */
        IN("\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), /* a number too long */
        IN("\x00\x01"),                                         /* field 0 */
        IN("\x0b"),                                             /* a group */
        IN("\x0d\1\2\3"),                                       /* four bytes, cut */
        IN("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),     /* longer than all there can be */
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        bytes in = bad[i];
        struct pb_field f;
        assert_false(pb_next(&in, &f));
        assert_false(pb_done(in));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_come_in_order_with_their_bodies),
        cmocka_unit_test(what_is_cut_or_malformed_is_not_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
