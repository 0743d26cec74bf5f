/* grpc-status, grpc-message and what stands for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "wire/grpc_status.h"

static void every_status_comes_back(void **state)
{
    (void)state;
    for (int status = GRPC_OK; status <= GRPC_UNAUTHENTICATED; status++)
        assert_int_equal(grpc_status_parse(bytes_str(grpc_status_digits((enum grpc_status)status))), status);
}

static void a_number_that_is_no_status_is_unknown(void **state)
{
    static const char *const cases[] = {"", "17", "99", "100", "-1", "x", "1x", "0x1", " 0"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(grpc_status_parse(bytes_str(cases[i])), GRPC_UNKNOWN);
    assert_string_equal(grpc_status_digits((enum grpc_status)17), "2");
    assert_string_equal(grpc_status_digits((enum grpc_status)(-1)), "2");
}

static void expect_encoded(const char *text, const char *encoded)
{
    struct buf back;
    char *out = grpc_message_encode(text);
    assert_non_null(out);
    assert_string_equal(out, encoded);
    buf_init(&back);
    grpc_message_decode(bytes_str(out), &back);
    assert_true(bytes_equal(buf_bytes(&back), bytes_str(text)));
    buf_fini(&back);
    free(out);
}

static void a_text_is_percent_encoded_and_comes_back(void **state)
{
    (void)state;
    expect_encoded("", "");
    expect_encoded("etcdserver: no leader", "etcdserver: no leader");
    expect_encoded("100%", "100%25");
    expect_encoded("a\nb\x7f\xc3\xbc\x01", "a%0Ab%7F%C3%BC%01");
    expect_encoded("~ !\"#", "~ !\"#");
}

static void what_is_not_properly_encoded_stays_as_it_is(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"%", "%"}, {"%4", "%4"}, {"%zz", "%zz"}, {"%4z", "%4z"}, {"%41%", "A%"}, {"%c3%BC", "\xc3\xbc"}};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out;
        buf_init(&out);
        grpc_message_decode(bytes_str(cases[i].in), &out);
        assert_true(bytes_equal(buf_bytes(&out), bytes_str(cases[i].out)));
        buf_fini(&out);
    }
}

/* gRPC, doc/http-grpc-status-mapping.md */
static void http_statuses_map_as_grpc_says(void **state)
{
    (void)state;
    assert_int_equal(grpc_status_of_http(400), GRPC_INTERNAL);
    assert_int_equal(grpc_status_of_http(401), GRPC_UNAUTHENTICATED);
    assert_int_equal(grpc_status_of_http(403), GRPC_PERMISSION_DENIED);
    assert_int_equal(grpc_status_of_http(404), GRPC_UNIMPLEMENTED);
    assert_int_equal(grpc_status_of_http(429), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(502), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(503), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(504), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_http(500), GRPC_UNKNOWN);
    assert_int_equal(grpc_status_of_http(200), GRPC_UNKNOWN);
}

/* gRPC, doc/PROTOCOL-HTTP2.md, "Errors" */
static void reset_codes_map_as_grpc_says(void **state)
{
    (void)state;
    assert_int_equal(grpc_status_of_reset(NGHTTP2_NO_ERROR), GRPC_INTERNAL);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_PROTOCOL_ERROR), GRPC_INTERNAL);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_REFUSED_STREAM), GRPC_UNAVAILABLE);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_CANCEL), GRPC_CANCELLED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_ENHANCE_YOUR_CALM), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_INADEQUATE_SECURITY), GRPC_PERMISSION_DENIED);
    assert_int_equal(grpc_status_of_reset(NGHTTP2_STREAM_CLOSED), GRPC_UNKNOWN);
    assert_int_equal(grpc_status_of_reset(12345), GRPC_UNKNOWN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_comes_back),
        cmocka_unit_test(a_number_that_is_no_status_is_unknown),
        cmocka_unit_test(a_text_is_percent_encoded_and_comes_back),
        cmocka_unit_test(what_is_not_properly_encoded_stays_as_it_is),
        cmocka_unit_test(http_statuses_map_as_grpc_says),
        cmocka_unit_test(reset_codes_map_as_grpc_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
