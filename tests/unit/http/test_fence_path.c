/* The resource that a path names: one spelling, and nothing that two readers could understand differently. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "http/fence_path.h"

static void the_first_parts_are_the_resource(void **state)
{
    static const struct {
        const char *target, *resource;
        unsigned parts;
    } cases[] = {
        {"/orders/7", "orders", 1},
        {"/orders/7?x=/../", "orders", 1},
        {"/orders/eu/7", "orders/eu", 2},
        {"/orders", "orders", 2},
        {"/orders/", "orders", 2},
        {"/", "/", 1},
        {"/?q", "/", 1},
        {"/%6Frders/1", "orders", 1},
        {"/a%20b", "a%20b", 1},
        {"/a%c3%a4/x", "a%C3%A4", 1},
        {"/a/b;v=1", "a", 1},
        {"/...", "...", 1},
        {"/a:b@c!$&'()*+,=~_-.", "a:b@c!$&'()*+,=~_-.", 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64] = "";
        const char *why = fence_path_resource(bytes_str(cases[i].target), cases[i].parts, out, sizeof out);
        if (why)
            fail_msg("%s: %s", cases[i].target, why);
        assert_string_equal(out, cases[i].resource);
    }
}

static void what_could_mean_another_resource_is_refused(void **state)
{
    static const char *const bad[] = {
        "",        "orders",      "*",         "http://h/orders", "/a//b",    "//a",      "/./a",
        "/a/../b", "/a/%2e%2E/b", "/a/.%2e/b", "/a%2fb",          "/a/x%2Fb", "/a%5cb",   "/a\\b",
        "/a%00",   "/a%",         "/a%4",      "/a%zz",           "/a;x/b",   "/a%3bx/b", "/a b",
        "/a\"b",   "/a/\x80z",    "/a#b",      "/a/b/..",         "/a<b"};
    char out[64], long_target[80];
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (!fence_path_resource(bytes_str(bad[i]), 1, out, sizeof out))
            fail_msg("'%s' is '%s'", bad[i], out);
    memset(long_target, 'a', sizeof long_target);
    long_target[0] = '/';
    assert_non_null(fence_path_resource(bytes_of(long_target, sizeof long_target), 1, out, sizeof out));
    assert_null(fence_path_resource(bytes_of(long_target, 60), 1, out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_parts_are_the_resource),
        cmocka_unit_test(what_could_mean_another_resource_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
