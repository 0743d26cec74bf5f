/* Who speaks HTTP/2 and who does not, from the first bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "server/internal.h"

static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

static void the_preface_is_http2_in_pieces_too(void **state)
{
    (void)state;
    for (size_t len = 1; len < sizeof preface; len++)
        assert_false(http1_speaks(bytes_of(preface, len)));
    assert_false(http1_speaks(bytes_str("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04")));
}

static void anything_else_is_not(void **state)
{
    (void)state;
    assert_true(http1_speaks(bytes_str("GET / HTTP/1.1\r\n\r\n")));
    assert_true(http1_speaks(bytes_str("P")) == false);
    assert_true(http1_speaks(bytes_str("PUT / HTTP/1.1\r\n\r\n")));
    assert_true(http1_speaks(bytes_str("PRI * HTTP/1.1\r\n")));
    assert_true(http1_speaks(bytes_str("\x16\x03\x01")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_preface_is_http2_in_pieces_too),
        cmocka_unit_test(anything_else_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
