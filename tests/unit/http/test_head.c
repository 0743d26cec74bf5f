/* The status of an HTTP answer, however its bytes come, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <tenure/error.h>

#include "http/head.h"

/* Fed in pieces of that size. */
static int status_of(const char *answer, size_t piece)
{
    struct http_head *h = http_head_new();
    int rc = 0;
    for (size_t at = 0, len = strlen(answer); rc == 0 && at < len; at += piece)
        rc = http_head_feed(h, bytes_of(answer + at, len - at < piece ? len - at : piece));
    if (rc == 0)
        rc = http_head_feed(h, bytes_of(NULL, 0));
    http_head_free(h);
    return rc;
}

static void a_status_is_found_however_its_bytes_come(void **state)
{
    static const struct {
        const char *answer;
        int wanted;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", 200},
        {"HTTP/1.0 503 Service Unavailable\r\n\r\n", 503},
        {"HTTP/1.1 204 \r\n\r\n", 204},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 404 No\r\nA: b\r\n\r\n", 404},
        {"HTTP/1.1 302 Found\r\nLocation: /x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 302},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t piece = 1; piece < 64; piece++)
            assert_int_equal(status_of(rows[i].answer, piece), rows[i].wanted);
}

static void what_is_no_answer_is_an_error(void **state)
{
    static const char *const rows[] = {"",
                                       "SSH-2.0-OpenSSH\r\n",
                                       "HTTP/1.1 2x0 OK\r\n\r\n",
                                       "GET / HTTP/1.1\r\n\r\n",
                                       "HTTP/1.1 200 OK\r\nHalf: a head\r\n",
                                       "HTTP/1.1 100 Continue\r\n\r\n"};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (size_t piece = 1; piece < 64; piece += 9)
            assert_int_equal(status_of(rows[i], piece), TENURE_EPROTOCOL);
}

static void a_head_without_end_is_given_up(void **state)
{
    char line[1024];
    struct http_head *h = http_head_new();
    int rc = http_head_feed(h, bytes_str("HTTP/1.1 200 OK\r\n"));
    (void)state;
    memset(line, 'a', sizeof line);
    memcpy(line, "a: ", 3);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    size_t fed = 0;
    for (; rc == 0 && fed < 1000; fed++)
        rc = http_head_feed(h, bytes_of(line, sizeof line));
    assert_int_equal(rc, TENURE_EPROTOCOL);
    assert_true(fed <= 66);
    http_head_free(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_status_is_found_however_its_bytes_come),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(a_head_without_end_is_given_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
