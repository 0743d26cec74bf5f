/* A header list while it arrives. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "wire/h2_headers.h"

static void headers_come_back_in_order(void **state)
{
    (void)state;
    struct h2_headers h;
    h2_headers_init(&h, 100000);
    for (int round = 0; round < 3; round++) {
        h2_headers_begin(&h);
        for (int i = 0; i < 200; i++) {
            char name[32], value[32];
            snprintf(name, sizeof name, "name-%d", i);
            snprintf(value, sizeof value, "%d", i * round);
            h2_headers_add(&h, bytes_str(name), bytes_str(i % 7 ? value : ""));
        }
        assert_int_equal(h.n, 200);
        struct h2_header first = h2_headers_get(&h, 0), last = h2_headers_get(&h, 199);
        assert_true(bytes_equal(first.name, bytes_str("name-0")) && first.value.len == 0);
        assert_true(bytes_equal(last.name, bytes_str("name-199")));
        assert_true(bytes_equal(last.value, bytes_str(round == 0 ? "0" : round == 1 ? "199" : "398")));
    }
    h2_headers_fini(&h);
}

/* RFC 9113, 6.5.2: "the uncompressed size of field lines, including the length of the name and value in units of octets
 * plus an overhead of 32 octets for each field line." */
static void a_list_beyond_the_bound_is_marked_and_not_kept(void **state)
{
    (void)state;
    struct h2_headers h;
    h2_headers_init(&h, 2 * (32 + 4));
    h2_headers_begin(&h);
    h2_headers_add(&h, bytes_str("a"), bytes_str("123"));
    h2_headers_add(&h, bytes_str("b"), bytes_str("123"));
    assert_false(h.too_large);
    h2_headers_add(&h, bytes_str(""), bytes_str(""));
    assert_true(h.too_large);
    assert_int_equal(h.n, 2);
    h2_headers_begin(&h);
    assert_false(h.too_large);
    h2_headers_fini(&h);
}

static void names_are_compared_whole(void **state)
{
    (void)state;
    assert_true(H2_NAME_IS(bytes_str(":path"), ":path"));
    assert_false(H2_NAME_IS(bytes_str(":pat"), ":path"));
    assert_false(H2_NAME_IS(bytes_str(":paths"), ":path"));
}

static void only_grpcs_content_types_are_grpc(void **state)
{
    (void)state;
    assert_true(h2_is_grpc_type(bytes_str("application/grpc")));
    assert_true(h2_is_grpc_type(bytes_str("application/grpc+proto")));
    assert_true(h2_is_grpc_type(bytes_str("APPLICATION/GRPC;charset=utf-8")));
    assert_false(h2_is_grpc_type(bytes_str("application/grpc-web")));
    assert_false(h2_is_grpc_type(bytes_str("application/grp")));
    assert_false(h2_is_grpc_type(bytes_str("text/html")));
    assert_false(h2_is_grpc_type(bytes_of(NULL, 0)));
}

/* Judges a list of names and values, ended by NULL. */
static bool judge(bool (*rule)(const struct h2_headers *), const char *const *pairs)
{
    struct h2_headers h;
    h2_headers_init(&h, 10000);
    h2_headers_begin(&h);
    for (; *pairs; pairs += 2)
        h2_headers_add(&h, bytes_str(pairs[0]), bytes_str(pairs[1]));
    bool good = rule(&h);
    h2_headers_fini(&h);
    return good;
}
#define LIST(...)        ((const char *const[]){__VA_ARGS__, NULL})
#define IS_REQUEST(...)  judge(h2_headers_are_request, LIST(__VA_ARGS__))
#define IS_TRAILERS(...) judge(h2_headers_are_trailers, LIST(__VA_ARGS__))
#define FIRST            ":method", "POST", ":scheme", "http", ":path", "/a/B"

static void a_request_keeps_http2s_rules(void **state)
{
    (void)state;
    assert_true(IS_REQUEST(FIRST));
    assert_true(IS_REQUEST(FIRST, ":authority", "http://any form at all/", "te", "trailers", "a", "", "a", "again"));
    assert_false(IS_REQUEST(":method", "POST", ":scheme", "http"));
    assert_false(IS_REQUEST(":method", "POST", ":path", "/"));
    assert_false(IS_REQUEST(":scheme", "http", ":path", "/"));
    assert_false(IS_REQUEST(FIRST, ":path", "/twice"));
    assert_false(IS_REQUEST(FIRST, ":authority", "a", ":authority", "b"));
    assert_false(IS_REQUEST(FIRST, ":status", "200"));
    assert_false(IS_REQUEST(FIRST, ":protocol", "websocket"));
    assert_false(IS_REQUEST(FIRST, "a", "b", ":authority", "behind another"));
    assert_false(IS_REQUEST(FIRST, "Upper", "x"));
    assert_false(IS_REQUEST(FIRST, "sp ace", "x"));
    assert_false(IS_REQUEST(FIRST, "", "x"));
    assert_false(IS_REQUEST(FIRST, "a", "line\nbreak"));
    assert_false(IS_REQUEST(FIRST, "te", "gzip"));
    assert_false(IS_REQUEST(FIRST, "connection", "close"));
    assert_false(IS_REQUEST(FIRST, "transfer-encoding", "chunked"));
    assert_false(IS_REQUEST(FIRST, "upgrade", "h2c"));
}

static void trailers_have_no_pseudo_headers(void **state)
{
    (void)state;
    assert_true(IS_TRAILERS("x-checksum", "1"));
    assert_false(IS_TRAILERS(":path", "/"));
    assert_false(IS_TRAILERS("Upper", "1"));
    assert_false(IS_TRAILERS("connection", "close"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_back_in_order),
        cmocka_unit_test(a_list_beyond_the_bound_is_marked_and_not_kept),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(a_request_keeps_http2s_rules),
        cmocka_unit_test(trailers_have_no_pseudo_headers),
        cmocka_unit_test(only_grpcs_content_types_are_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
