/* Answers to GET, however their bytes come, several over one connection, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <tenure/error.h>

#include "http/get.h"

#define BODY_MAX 64

/* What it comes to, fed in pieces of that size, then ended where it wants more. */
static int answer_to(struct http_get *g, const char *text, size_t piece, struct http_answer *ret)
{
    struct buf out;
    int rc = 0;
    buf_init(&out);
    http_get_ask(g, "/version", "h:1", &out);
    assert_memory_equal(out.data, "GET /version HTTP/1.1\r\nHost: h:1\r\n\r\n", out.len);
    buf_fini(&out);
    for (size_t at = 0, len = strlen(text); rc == 0 && at < len; at += piece)
        rc = http_get_feed(g, bytes_of(text + at, len - at < piece ? len - at : piece), ret);
    return rc ? rc : http_get_feed(g, bytes_of(NULL, 0), ret);
}

#define DATED "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"

static void status_date_and_body_are_found_however_the_bytes_come(void **state)
{
    static const struct {
        const char *text;
        int status;
        int64_t date_s;
        const char *body;
        bool stays;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\n" DATED "Content-Length: 2\r\n\r\nok", 200, 784111777, "ok", true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nDATE:  Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\nok", 200, 784111777, "ok",
         true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nDated: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n", 200, -1, "", true},
        {"HTTP/1.1 404 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n", 404, -1, "abc", true},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx", 200, -1, "x", false},
        {"HTTP/1.0 200 OK\r\n" DATED "\r\nto the end", 200, 784111777, "to the end", false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 Busy\r\n" DATED "Content-Length: 0\r\n\r\n", 503, 784111777, "",
         true},
        {"HTTP/1.1 204 \r\nDate: yesterday\r\n\r\n", 204, -1, "", true},
    };
    (void)state;
    struct http_get *g = http_get_new(BODY_MAX);
    assert_non_null(g);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 200; piece++) {
            struct http_answer a;
            assert_int_equal(answer_to(g, rows[i].text, piece, &a), 1);
            assert_int_equal(a.status, rows[i].status);
            assert_int_equal(a.date_s, rows[i].date_s);
            assert_true(bytes_equal(a.body, bytes_str(rows[i].body)));
            assert_int_equal(a.stays, rows[i].stays);
        }
    http_get_free(g);
}

static void what_is_no_answer_is_an_error(void **state)
{
    static const struct {
        const char *text;
        int wanted;
    } rows[] = {
        {"", TENURE_EPROTOCOL},
        {"PRI * HTTP/2.0\r\n\r\n", TENURE_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhalf", TENURE_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nHalf: a head\r\n", TENURE_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", TENURE_EPROTOCOL},
        {"HTTP/1.1 200 OK\r\nContent-Length: 70\r\n\r\n"
         "0123456789012345678901234567890123456789012345678901234567890123456789",
         TENURE_ETOOLARGE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        for (size_t piece = 1; piece < 200; piece += 7) {
            struct http_answer a;
            struct http_get *g = http_get_new(BODY_MAX);
            assert_non_null(g);
            assert_int_equal(answer_to(g, rows[i].text, piece, &a), rows[i].wanted);
            http_get_free(g);
        }
}

static void a_head_without_end_is_given_up(void **state)
{
    struct buf out;
    struct http_answer a;
    struct http_get *g = http_get_new(BODY_MAX);
    (void)state;
    assert_non_null(g);
    buf_init(&out);
    http_get_ask(g, "/", "h", &out);
    int rc = http_get_feed(g, bytes_str("HTTP/1.1 200 OK\r\n"), &a);
    for (size_t n = 0; rc == 0 && n < 10000; n++)
        rc = http_get_feed(g, bytes_str("Some-Header: with a value\r\n"), &a);
    assert_int_equal(rc, TENURE_EPROTOCOL);
    buf_fini(&out);
    http_get_free(g);
}

static void dates_are_read_to_the_letter(void **state)
{
    static const struct {
        const char *text;
        int64_t wanted;
    } rows[] = {
        {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
        {"Wed, 01 Mar 2000 00:00:00 GMT", 951868800},
        {"Sat, 28 Nov 2026 18:46:45 GMT", 1795891605},
        {"Fri, 31 Dec 2100 23:59:59 GMT", 4133980799},
        {"", -1},
        {"Sun, 06 Nov 1994 08:49:37", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT+1", -1},
        {"Sun, 06 Nop 1994 08:49:37 GMT", -1},
        {"Sun, 06 anF 1994 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 24:49:37 GMT", -1},
        {"Sun, 00 Nov 1994 08:49:37 GMT", -1},
        {"Sunday, 06-Nov-94 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1960 08:49:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:-9:37 GMT", -1},
        {"Sun, 06 Nov 1994 08:49:37 GMT, and more than there may be of it", -1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(http_date_of(bytes_str(rows[i].text)), rows[i].wanted);
    assert_int_equal(http_date_of(bytes_of("Sun, 06 Nov 1994 08:49:37 GMT\0", 30)), -1);
    assert_int_equal(http_date_of(bytes_of(NULL, 0)), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_date_and_body_are_found_however_the_bytes_come),
        cmocka_unit_test(what_is_no_answer_is_an_error),
        cmocka_unit_test(a_head_without_end_is_given_up),
        cmocka_unit_test(dates_are_read_to_the_letter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
