/* The order in which SRV records are tried (RFC 2782), and which servers of names can be named. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/srv.h"

static struct io_srv_record record(const char *host, unsigned priority, unsigned weight, bool tls)
{
    struct io_srv_record r = {.priority = (uint16_t)priority, .weight = (uint16_t)weight, .port = 2379, .tls = tls};
    snprintf(r.host, sizeof r.host, "%s", host);
    return r;
}

static void lower_priorities_come_first_and_tls_before_all(void **state)
{
    struct rng rng;
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct io_srv_record r[] = {record("d", 30, 100, false), record("b", 20, 1, true), record("c", 5, 0, false),
                                    record("a", 10, 0, true)};
        rng_init(&rng, seed);
        lib_srv_order(r, 4, &rng);
        for (int i = 0; i < 4; i++)
            assert_int_equal(r[i].host[0], "abcd"[i]);
    }
}

/* Out of 1,000 the one of weight 3 is first about 600 times, that of 2 400, and that of 0 hardly ever. */
static void weights_share_what_is_of_one_priority(void **state)
{
    int first[3] = {0};
    struct rng rng;
    (void)state;
    rng_init(&rng, 7);
    for (int n = 0; n < 1000; n++) {
        struct io_srv_record r[] = {record("b", 1, 2, false), record("c", 1, 0, false), record("a", 1, 3, false)};
        lib_srv_order(r, 3, &rng);
        first[r[0].host[0] - 'a']++;
        bool seen[3] = {false};
        for (int i = 0; i < 3; i++)
            seen[r[i].host[0] - 'a'] = true;
        assert_true(seen[0] && seen[1] && seen[2]);
    }
    assert_in_range(first[0], 400, 600);
    assert_in_range(first[1], 230, 450);
    assert_in_range(first[2], 50, 300);
}

static void none_and_one_are_left_alone(void **state)
{
    struct rng rng;
    struct io_srv_record r = record("a", 1, 65535, false);
    (void)state;
    rng_init(&rng, 1);
    lib_srv_order(&r, 0, &rng);
    lib_srv_order(&r, 1, &rng);
    assert_string_equal(r.host, "a");
}

static void a_server_is_an_address_with_or_without_a_port(void **state)
{
    (void)state;
    assert_true(io_srv_server_is_valid("127.0.0.1"));
    assert_true(io_srv_server_is_valid("10.0.0.1:5353"));
    static const char *const bad[] = {
        "",    "localhost", "127.0.0.1:", "127.0.0.1:0", "127.0.0.1:65536", "127.0.0.1:x", "127.0.0.1:5353x",
        "::1", "[::1]:53"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(io_srv_server_is_valid(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lower_priorities_come_first_and_tls_before_all),
        cmocka_unit_test(weights_share_what_is_of_one_priority),
        cmocka_unit_test(none_and_one_are_left_alone),
        cmocka_unit_test(a_server_is_an_address_with_or_without_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
