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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(headers_come_back_in_order),
        cmocka_unit_test(a_list_beyond_the_bound_is_marked_and_not_kept),
        cmocka_unit_test(names_are_compared_whole),
        cmocka_unit_test(only_grpcs_content_types_are_grpc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
