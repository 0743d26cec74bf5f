/* Writing protobuf: numbers of every length, defaults left out, messages within messages whatever was guessed. */
#include "sample.h"
#include "wire/pbw.h"

static void expect_bytes(struct buf *b, const char *expected, size_t len)
{
    assert_int_equal(buf_error(b), 0);
    assert_int_equal(b->len, len);
    assert_memory_equal(b->data, expected, len);
    buf_fini(b);
}
#define EXPECT(b, literal) expect_bytes((b), (literal), sizeof(literal) - 1)

static void a_number_takes_seven_bits_a_byte(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    pbw_uint(&b, 1, 1);
    pbw_uint(&b, 2, 127);
    pbw_uint(&b, 3, 128);
    pbw_uint(&b, 16, 300);
    EXPECT(&b, "\x08\x01\x10\x7f\x18\x80\x01\x80\x01\xac\x02");
}

static void a_negative_number_takes_ten_bytes(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    pbw_int(&b, 1, -1);
    EXPECT(&b, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01");
}

static void the_size_of_a_number_is_what_is_written(void **state)
{
    (void)state;
    uint8_t out[PBW_VARINT_MAX];
    for (unsigned bit = 0; bit < 64; bit++) {
        uint64_t v = (uint64_t)1 << bit;
        assert_int_equal(pbw_varint_size(v), pbw_put_varint(out, v) - out);
        assert_int_equal(pbw_varint_size(v - 1), pbw_put_varint(out, v - 1) - out);
    }
    assert_int_equal(pbw_varint_size(UINT64_MAX), 10);
}

static void a_default_is_left_out_unless_asked_for(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    pbw_uint(&b, 1, 0);
    pbw_bool(&b, 1, false);
    pbw_bytes(&b, 1, bytes_of(NULL, 0));
    assert_int_equal(b.len, 0);
    pbw_int_always(&b, 1, 0);
    pbw_bytes_always(&b, 2, bytes_of(NULL, 0));
    EXPECT(&b, "\x08\x00\x12\x00");
}

static void the_length_of_an_inner_message_is_right_whatever_was_guessed(void **state)
{
    (void)state;
    static const size_t lens[] = {0, 1, 127, 128, 16383, 16384, 70000};
    static uint8_t body[70000];
    for (size_t i = 0; i < ARRAY_LEN(lens); i++) {
        for (size_t guess = 0; guess < ARRAY_LEN(lens); guess++) {
            struct buf made, wanted;
            buf_init(&made);
            buf_init(&wanted);
            pbw_uint(&made, 1, 7);
            struct pbw_mark m = pbw_begin(&made, 2, lens[guess]);
            buf_append(&made, body, lens[i]);
            pbw_end(&made, m);
            pbw_uint(&made, 3, 7);
            pbw_uint(&wanted, 1, 7);
            pbw_bytes_always(&wanted, 2, bytes_of(body, lens[i]));
            pbw_uint(&wanted, 3, 7);
            assert_true(bytes_equal(buf_bytes(&made), buf_bytes(&wanted)));
            buf_fini(&made);
            buf_fini(&wanted);
        }
    }
}

static void an_error_stays_and_nothing_is_written_after_it(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b);
    b.len_max = 40;
    pbw_uint(&b, 1, 5);
    struct pbw_mark m = pbw_begin(&b, 2, 0);
    pbw_bytes(&b, 1, bytes_of("0123456789012345678901234567890123456789", 40));
    int error = buf_error(&b);
    assert_int_not_equal(error, 0);
    size_t len = b.len;
    pbw_uint(&b, 1, 5);
    pbw_end(&b, m);
    pbw_end(&b, pbw_begin(&b, 3, 0));
    assert_int_equal(b.len, len);
    assert_int_equal(buf_error(&b), error);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_number_takes_seven_bits_a_byte),
        cmocka_unit_test(a_negative_number_takes_ten_bytes),
        cmocka_unit_test(the_size_of_a_number_is_what_is_written),
        cmocka_unit_test(a_default_is_left_out_unless_asked_for),
        cmocka_unit_test(the_length_of_an_inner_message_is_right_whatever_was_guessed),
        cmocka_unit_test(an_error_stays_and_nothing_is_written_after_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
