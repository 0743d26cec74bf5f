/* Addresses as people write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "io/address.h"

static void assert_tcp(const char *text, const char *host, uint16_t port)
{
    struct io_address a;
    struct tenure_error err;
    assert_int_equal(io_address_parse(text, 2379, &a, &err), 0);
    assert_int_equal(a.kind, IO_ADDRESS_TCP);
    assert_string_equal(a.host, host);
    assert_int_equal(a.port, port);
}

static void assert_refused(const char *text, int port_default, const char *part)
{
    struct io_address a;
    struct tenure_error err;
    assert_int_equal(io_address_parse(text, port_default, &a, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, text));
    assert_non_null(strstr(err.text, part));
}

static void urls_and_bare_names_are_read(void **state)
{
    (void)state;
    assert_tcp("http://127.0.0.1:2379", "127.0.0.1", 2379);
    assert_tcp("http://db.example:80/", "db.example", 80);
    assert_tcp("http://[::1]:4001", "::1", 4001);
    assert_tcp("127.0.0.1:0", "127.0.0.1", 0);
    assert_tcp("localhost", "localhost", 2379);
    assert_tcp("[fe80::1]", "fe80::1", 2379);
}

static void unix_paths_are_read_absolute_and_relative(void **state)
{
    struct io_address a;
    (void)state;
    assert_int_equal(io_address_parse("unix:///run/x.sock", -1, &a, NULL), 0);
    assert_int_equal(a.kind, IO_ADDRESS_UNIX);
    assert_string_equal(a.path, "/run/x.sock");
    assert_int_equal(io_address_parse("unix://x.sock", -1, &a, NULL), 0);
    assert_string_equal(a.path, "x.sock");
}

static void tls_is_a_scheme_of_its_own(void **state)
{
    static const char *const urls[] = {"https://10.0.0.1:2379", "https://[::1]:2379", "unixs:///run/x.sock",
                                       "http://10.0.0.1:2379", "unix:///run/x.sock"};
    char text[IO_ADDRESS_TEXT_MAX];
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        struct io_address a;
        assert_int_equal(io_address_parse(urls[i], -1, &a, NULL), 0);
        assert_int_equal(a.tls, i < 3);
        assert_string_equal(io_address_text(&a, text, sizeof text), urls[i]);
    }
}

static void a_refusal_names_the_text_and_the_fault(void **state)
{
    char long_path[200] = "unix://";
    (void)state;
    memset(long_path + 7, 'p', 120);
    assert_refused("ftp://10.0.0.1:2379", 2379, "scheme");
    assert_refused("http://10.0.0.1", -1, "port is missing");
    assert_refused("http://10.0.0.1:70000", -1, "0 to 65535");
    assert_refused("http://10.0.0.1:-1", -1, "0 to 65535");
    assert_refused("http://10.0.0.1:", -1, "0 to 65535");
    assert_refused("http://10.0.0.1:23x", -1, "0 to 65535");
    assert_refused("http://:2379", -1, "host is missing");
    assert_refused("http://::1:2379", -1, "brackets");
    assert_refused("http://[::1:2379", -1, "not closed");
    assert_refused("http://[nonsense]:2379", -1, "IPv6");
    assert_refused("http://[::1]2379", -1, "follow the host");
    assert_refused("http://user@host:2379", -1, "without user");
    assert_refused("http://host/path:2379", -1, "without user");
    assert_refused("unix://", -1, "missing");
    assert_refused(long_path, -1, "too long");
    assert_refused("", -1, "host is missing");
}

static void text_and_authority_are_written_back(void **state)
{
    static const char *const urls[] = {"http://127.0.0.1:2379", "http://[::1]:4001", "unix:///run/x.sock"};
    static const char *const authorities[] = {"127.0.0.1:2379", "[::1]:4001", "localhost"};
    char out[IO_ADDRESS_TEXT_MAX];
    struct io_address a;
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(io_address_parse(urls[i], -1, &a, NULL), 0);
        assert_string_equal(io_address_text(&a, out, sizeof out), urls[i]);
        assert_string_equal(io_address_authority(&a, out, sizeof out), authorities[i]);
    }
}

static bool is_loopback(const char *text)
{
    struct io_address a;
    assert_int_equal(io_address_parse(text, 1, &a, NULL), 0);
    return io_address_is_loopback(&a);
}

static void only_this_machines_own_addresses_count_as_loopback(void **state)
{
    (void)state;
    assert_true(is_loopback("127.0.0.1"));
    assert_true(is_loopback("127.8.9.10"));
    assert_true(is_loopback("[::1]"));
    assert_true(is_loopback("localhost"));
    assert_true(is_loopback("unix:///x"));
    assert_false(is_loopback("0.0.0.0"));
    assert_false(is_loopback("128.0.0.1"));
    assert_false(is_loopback("[::]"));
    assert_false(is_loopback("[::ffff:1.2.3.4]"));
    assert_false(is_loopback("localhost.example"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(urls_and_bare_names_are_read),
        cmocka_unit_test(unix_paths_are_read_absolute_and_relative),
        cmocka_unit_test(tls_is_a_scheme_of_its_own),
        cmocka_unit_test(a_refusal_names_the_text_and_the_fault),
        cmocka_unit_test(text_and_authority_are_written_back),
        cmocka_unit_test(only_this_machines_own_addresses_count_as_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
