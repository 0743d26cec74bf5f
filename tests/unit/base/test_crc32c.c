/* crc32c: known values, and that every way to compute it agrees. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"
#include "base/rng.h"

typedef uint32_t crc_function(uint32_t crc, const void *data, size_t len);
static crc_function *const both[] = {crc32c, crc32c_portable};

/* RFC 3720 appendix B.4, and the usual check value. */
static void known_texts_have_their_known_sums(void **state)
{
    (void)state;
    uint8_t zeros[32] = {0}, ones[32], up[32], down[32];
    for (size_t i = 0; i < 32; i++) {
        ones[i] = 0xff;
        up[i] = (uint8_t)i;
        down[i] = (uint8_t)(31 - i);
    }
    const uint8_t scsi_read[48] = {0x01, 0xc0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,    0, 0, 0, 0,
                                   0x14, 0,    0, 0, 0, 0, 4, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18,
                                   0x28, 0,    0, 0, 0, 0, 0, 0, 2, 0, 0, 0,    0, 0, 0, 0};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_int_equal(both[i](0, "123456789", 9), 0xe3069283);
        assert_int_equal(both[i](0, zeros, 32), 0x8a9136aa);
        assert_int_equal(both[i](0, ones, 32), 0x62a8ab43);
        assert_int_equal(both[i](0, up, 32), 0x46dd794e);
        assert_int_equal(both[i](0, down, 32), 0x113fdb5c);
        assert_int_equal(both[i](0, scsi_read, 48), 0xd9963a56);
    }
}

static void the_sum_of_nothing_is_what_it_was(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        assert_int_equal(both[i](0, NULL, 0), 0);
        assert_int_equal(both[i](0x12345678, NULL, 0), 0x12345678);
    }
}

/* Straight from the definition, a bit at a time. */
static uint32_t crc_bitwise(uint32_t crc, const uint8_t *data, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = (crc >> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
    }
    return ~crc;
}

static void every_length_and_alignment_agrees_with_the_definition(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 5);
    uint8_t data[120];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)rng_u64(&r);
    for (size_t from = 0; from < 16; from++) {
        for (size_t len = 0; from + len <= sizeof data; len++) {
            uint32_t want = crc_bitwise(0, data + from, len);
            for (size_t i = 0; i < ARRAY_LEN(both); i++)
                assert_int_equal(both[i](0, data + from, len), want);
        }
    }
}

static void a_text_in_parts_has_the_sum_of_the_whole(void **state)
{
    (void)state;
    const char *text = "the quick brown fox jumps over the lazy dog";
    size_t len = strlen(text);
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        uint32_t whole = both[i](0, text, len);
        for (size_t cut = 0; cut <= len; cut++)
            assert_int_equal(both[i](both[i](0, text, cut), text + cut, len - cut), whole);
    }
}

static void each_flipped_bit_changes_the_sum(void **state)
{
    (void)state;
    uint8_t data[32] = "a record of the log, say";
    uint32_t whole = crc32c(0, data, sizeof data);
    for (size_t bit = 0; bit < 8 * sizeof data; bit++) {
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_not_equal(crc32c(0, data, sizeof data), whole);
        data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_texts_have_their_known_sums),
        cmocka_unit_test(the_sum_of_nothing_is_what_it_was),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(a_text_in_parts_has_the_sum_of_the_whole),
        cmocka_unit_test(each_flipped_bit_changes_the_sum),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
