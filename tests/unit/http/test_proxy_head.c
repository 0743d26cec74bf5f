/* Heads that are passed on: what is for one hop stays, and what could be read in two ways goes nowhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "http/proxy_head.h"

struct line {
    const char *name, *value;
};

static struct proxy_head h;

static void collect(const struct line *lines, size_t n)
{
    proxy_head_reset(&h);
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(lines[i].name), half = len / 2;
        assert_true(proxy_head_name(&h, lines[i].name, half));
        assert_true(proxy_head_name(&h, lines[i].name + half, len - half));
        assert_true(proxy_head_value(&h, lines[i].value, strlen(lines[i].value)));
    }
}
#define COLLECT(...)                                                                                                   \
    do {                                                                                                               \
        const struct line lines[] = {__VA_ARGS__};                                                                     \
        collect(lines, sizeof lines / sizeof lines[0]);                                                                \
    } while (0)

static void what_is_for_one_hop_is_not_written(void **state)
{
    struct buf out;
    (void)state;
    buf_init(&out);
    COLLECT({"Host", "h"}, {"X-A", " 1 "}, {"Connection", "close, x-b ,Host"}, {"X-B", "2"}, {"x-empty", ""},
            {"Keep-Alive", "3"}, {"TE", "trailers"}, {"Upgrade", "x"}, {"Expect", "100-continue"},
            {"Content-Length", "3"}, {"Proxy-Authorization", "p"}, {"Tenure-Fencing-Token", "7"});
    proxy_head_write(&h, &out);
    buf_append_byte(&out, 0);
    assert_string_equal(out.data, "Host: h\r\nX-A: 1\r\nx-empty: \r\nTenure-Fencing-Token: 7\r\n");
    assert_true(bytes_equal(proxy_head_get(&h, "x-a"), bytes_str("1")));
    assert_null(proxy_head_get(&h, "x").data);
    assert_int_equal(proxy_head_count(&h, "connection"), 1);
    buf_fini(&out);
}

static const char *measure(enum proxy_body *kind, uint64_t *length)
{
    return proxy_head_measure(&h, kind, length);
}

static void the_length_is_said_once(void **state)
{
    enum proxy_body kind;
    uint64_t length;
    (void)state;
    COLLECT({"A", "b"});
    assert_null(measure(&kind, &length));
    assert_int_equal(kind, PROXY_BODY_NONE);
    COLLECT({"content-LENGTH", " 12 "});
    assert_null(measure(&kind, &length));
    assert_int_equal(kind, PROXY_BODY_LENGTH);
    assert_int_equal(length, 12);
    COLLECT({"Transfer-Encoding", "Chunked"});
    assert_null(measure(&kind, &length));
    assert_int_equal(kind, PROXY_BODY_CHUNKED);
}

static void what_can_be_read_in_two_ways_is_refused(void **state)
{
    static const struct line bad[][2] = {
        {{"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}},
        {{"Content-Length", "1"}, {"Content-Length", "1"}},
        {{"Transfer-Encoding", "chunked"}, {"Transfer-Encoding", "chunked"}},
        {{"Transfer-Encoding", "gzip, chunked"}, {"a", ""}},
        {{"Transfer-Encoding", "xchunked"}, {"a", ""}},
        {{"Transfer-Encoding", ""}, {"a", ""}},
        {{"Content-Length", "1, 1"}, {"a", ""}},
        {{"Content-Length", "+1"}, {"a", ""}},
        {{"Content-Length", "0x1"}, {"a", ""}},
        {{"Content-Length", ""}, {"a", ""}},
        {{"Content-Length", "99999999999999999999"}, {"a", ""}},
        {{"Content-Length ", "1"}, {"a", ""}},
        {{"a b", "1"}, {"a", ""}},
        {{"a", "1\r\nb: 2"}, {"a", ""}},
        {{"a", "\x01"}, {"a", ""}},
    };
    enum proxy_body kind;
    uint64_t length;
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        collect(bad[i], 2);
        if (!measure(&kind, &length))
            fail_msg("%s: %s", bad[i][0].name, bad[i][0].value);
    }
}

static void a_head_has_bounds(void **state)
{
    static char large[PROXY_HEAD_MAX];
    (void)state;
    proxy_head_reset(&h);
    assert_true(proxy_head_first(&h, large, sizeof large));
    assert_false(proxy_head_name(&h, "a", 1));
    proxy_head_reset(&h);
    assert_false(proxy_head_value(&h, "a", 1)); /* of no name */
    for (int i = 0; i < PROXY_HEADERS_MAX; i++)
        assert_true(proxy_head_name(&h, "a", 1) && proxy_head_value(&h, "b", 1));
    assert_false(proxy_head_name(&h, "a", 1));
}

static int setup(void **state)
{
    (void)state;
    proxy_head_init(&h);
    return 0;
}
static int teardown(void **state)
{
    (void)state;
    proxy_head_fini(&h);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_for_one_hop_is_not_written),
        cmocka_unit_test(the_length_is_said_once),
        cmocka_unit_test(what_can_be_read_in_two_ways_is_refused),
        cmocka_unit_test(a_head_has_bounds),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
