/* A connection: requests one after the other, in any pieces, bounds, slow peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "failmalloc.h"
#include "rig.h"

#define PUT   "{\"key\":\"YQ==\",\"value\":\"MQ==\"}"
#define RANGE "{\"key\":\"YQ==\"}"

/* How many answers stand in text, and that each has that status. */
static size_t count(const char *text, const char *status)
{
    size_t n = 0;
    while ((text = strstr(text, "HTTP/1.1 "))) {
        assert_memory_equal(text + 9, status, 3);
        text += 9;
        n++;
    }
    return n;
}

static const char script[] =
    "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 29\r\n\r\n" PUT "GET /version HTTP/1.1\r\nHost: h\r\n\r\n"
    "\r\n"
    "POST /v3/kv/range HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;x=y\r\n{\"key\r\n9\r\n\":\"YQ==\"}\r\n0\r\nTrailer: t\r\n\r\n"
    "GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

static void expect_script(const char *got)
{
    const char *put = strstr(got, "\"revision\":\"2\""), *version = strstr(got, "etcdserver"),
               *range = strstr(got, "\"kvs\":["), *nothing = strstr(got, "404 page not found\n");
    assert_true(put && version && range && nothing);
    assert_true(put < version && version < range && range < nothing);
}

static void pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_send(p, script);
    assert_true(p->closed);
    expect_script(peer_got(p));
    rig_free(r);
}

static void it_is_the_same_byte_by_byte(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < sizeof script - 1; i++)
        peer_send_bytes(p, bytes_of(script + i, 1));
    assert_true(p->closed);
    expect_script(peer_got(p));
    rig_free(r);
}

static void the_next_request_waits_for_the_answer_of_the_one_before(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    r->log_held = true;
    peer_send(p, script);
    assert_string_equal(peer_got(p), "");
    r->log_held = false;
    rig_turn(r);
    expect_script(peer_got(p));
    rig_free(r);
}

static void a_connection_stays_open_behind_errors(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_post(p, "/v3/kv/put", "{}");
    assert_int_equal(status_of(peer_got(p)), 400);
    peer_post(p, "/v3/nothing", "{\"some\":\"body\"}");
    assert_int_equal(status_of(peer_got(p)), 404);
    peer_post(p, "/version", "abc");
    assert_int_equal(status_of(peer_got(p)), 405);
    peer_send(p, "POST /nothing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
    assert_int_equal(status_of(peer_got(p)), 404);
    peer_post(p, "/v3/kv/put", PUT);
    assert_int_equal(status_of(peer_got(p)), 200);
    assert_false(p->closed);
    rig_free(r);
}

static void http_1_0_is_answered_and_closed_unless_asked_to_stay(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    peer_send(p, "GET /version HTTP/1.0\r\n\r\n");
    const char *got = peer_got(p);
    assert_memory_equal(got, "HTTP/1.0 200 OK\r\n", 17);
    assert_null(strstr(got, "Connection: "));
    assert_true(p->closed);
    peer_send(q, "GET /version HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    assert_true(has_line(peer_got(q), "Connection: keep-alive"));
    assert_false(q->closed);
    rig_free(r);
}

static void a_client_that_waits_for_100_gets_it(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_send(p, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 29\r\n\r\n");
    assert_string_equal(peer_got(p), "HTTP/1.1 100 Continue\r\n\r\n");
    peer_send(p, PUT);
    assert_int_equal(status_of(peer_got(p)), 200);
    peer_send(p, "POST /nothing HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 29\r\n\r\n");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 404);
    assert_true(has_line(got, "Connection: close"));
    assert_true(p->closed);
    rig_free(r);
}

static void what_is_no_http_is_told_so(void **state)
{
    static const struct {
        const char *text;
        int status;
    } bad[] = {
        {"\x16\x03\x01\x02", 400},
        {"GET\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505},
        {"GET / HTTP/1.1\r\nHost: h\r\nBad Header: x\r\n\r\n", 400},
        {"POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", 400},
        {"POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n", 400},
        {"GET * HTTP/1.1\r\nHost: h\r\n\r\n", 400},
        {"POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nExpect: wonders\r\nContent-Length: 3\r\n\r\n", 417},
        {"POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
        {"BREW / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct rig *r = rig_new(NULL);
        struct peer *p = peer_new(r);
        peer_send(p, bad[i].text);
        const char *got = peer_got(p);
        if (status_of(got) != bad[i].status || !has_line(got, "Connection: close") || !p->closed)
            fail_msg("%s: %s", bad[i].text, got);
        rig_free(r);
    }
}

static void an_upgrade_is_not_taken_up(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_send(p, "GET /version HTTP/1.1\r\nHost: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
                 "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n");
    assert_int_equal(status_of(peer_got(p)), 200);
    peer_get(p, "/version");
    assert_int_equal(status_of(peer_got(p)), 200);
    rig_free(r);
}

static void heads_are_bounded(void **state)
{
    char line[2048];
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    memset(line, 'x', sizeof line);
    memcpy(line, "A: ", 3);
    memcpy(line + sizeof line - 3, "\r\n", 3);
    peer_send(p, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < 40 && !p->closed; i++)
        peer_send(p, line);
    assert_true(p->closed);
    assert_int_equal(status_of(peer_got(p)), 431);
    peer_send(q, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (int i = 0; i < HTTP_HEADERS_MAX + 1 && !q->closed; i++)
        peer_send(q, "A: b\r\n");
    assert_true(q->closed);
    assert_int_equal(status_of(peer_got(q)), 431);
    rig_free(r);
}

static void bodies_are_bounded(void **state)
{
    char piece[1000], head[128];
    (void)state;
    struct rig *r = rig_new(&(struct http_config){.body_bytes_max = 5000});
    struct peer *p = peer_new(r), *q = peer_new(r);
    memset(piece, ' ', sizeof piece);
    snprintf(head, sizeof head, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n{");
    peer_send(p, head);
    for (int i = 0; i < 9 && !p->closed; i++)
        peer_send_bytes(p, bytes_of(piece, sizeof piece));
    assert_true(p->closed);
    assert_int_equal(status_of(peer_got(p)), 413);
    peer_send(q, "POST /nothing HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 1000 && !q->closed; i++) {
        peer_send(q, "3e8\r\n");
        peer_send_bytes(q, bytes_of(piece, sizeof piece));
        peer_send(q, "\r\n");
    }
    assert_true(q->closed);
    assert_int_equal(status_of(peer_got(q)), 404);
    rig_free(r);
}

static void bodies_are_bounded_over_all_connections(void **state)
{
    char piece[3000];
    (void)state;
    struct rig *r = rig_new(&(struct http_config){.bodies_bytes_max = 5000});
    struct peer *p = peer_new(r), *q = peer_new(r);
    memset(piece, ' ', sizeof piece);
    peer_send(p, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 3016\r\n\r\n{\"key\":\"YQ==\"");
    peer_send_bytes(p, bytes_of(piece, sizeof piece));
    peer_send(q, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n{");
    peer_send_bytes(q, bytes_of(piece, sizeof piece));
    assert_int_equal(status_of(peer_got(q)), 503);
    assert_true(q->closed);
    peer_send(p, " }");
    assert_int_equal(status_of(peer_got(p)), 200);
    struct peer *s = peer_new(r); /* what was held is given back */
    peer_send(s, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 10000\r\n\r\n{");
    peer_send_bytes(s, bytes_of(piece, sizeof piece));
    assert_string_equal(peer_got(s), "");
    assert_false(s->closed);
    rig_free(r);
}

static void a_request_that_does_not_end_is_given_up(void **state)
{
    static const char *const begun[] = {"G", "GET / HTTP/1.1\r\nHo",
                                        "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{",
                                        "POST /v3/watch HTTP/1.1\r\nHost: h\r\nContent-Length: 9\r\n\r\n{"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(begun); i++) {
        struct rig *r = rig_new(NULL);
        struct peer *p = peer_new(r);
        peer_send(p, begun[i]);
        rig_pass(r, 29);
        assert_false(p->closed);
        rig_pass(r, 2);
        assert_true(p->closed);
        rig_free(r);
    }
}

static void an_idle_connection_stays(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *silent = peer_new(r);
    peer_get(p, "/version");
    rig_pass(r, 120);
    peer_get(p, "/version");
    assert_int_equal(count(peer_got(p), "200"), 2);
    assert_false(p->closed);
    (void)silent;
    rig_free(r);
}

static void a_peer_that_takes_nothing_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    p->takes_none = true;
    peer_get(p, "/version");
    rig_pass(r, 29);
    assert_false(p->closed);
    rig_pass(r, 2);
    assert_true(p->closed);
    rig_free(r);
}

static void what_is_read_ahead_is_bounded(void **state)
{
    char piece[4096];
    size_t n = 0;
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    r->log_held = true;
    peer_post(p, "/v3/kv/put", PUT);
    memset(piece, '\n', sizeof piece);
    while (http_wants_input(p->http) && n < 100) {
        http_feed(p->http, bytes_of(piece, sizeof piece), r->now);
        n++;
    }
    assert_int_equal(n, HTTP_AHEAD_MAX / sizeof piece);
    r->log_held = false;
    rig_turn(r);
    assert_true(http_wants_input(p->http));
    rig_free(r);
}

static void a_server_that_stops_says_so_and_closes(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *idle = peer_new(r), *watching = peer_new(r), *waiting = peer_new(r);
    peer_get(idle, "/version");
    peer_post(watching, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\"}}");
    r->log_held = true;
    peer_post(waiting, "/v3/kv/put", PUT);
    core_shutdown(r->core, r->now);
    rig_turn(r);
    assert_true(idle->closed);
    assert_true(watching->closed);
    assert_false(waiting->closed);
    const char *got = peer_got(watching);
    assert_non_null(strstr(got, "{\"error\":{\"code\":14,\"message\":\"etcdserver: server stopped\"}}\n"));
    assert_string_equal(got + strlen(got) - 7, "\r\n0\r\n\r\n");
    r->log_held = false;
    rig_turn(r);
    assert_true(waiting->closed);
    assert_int_equal(status_of(peer_got(waiting)), 200);
    rig_free(r);
}

/* ---- memory ---- */

static int scenario(void *user)
{
    struct rig *r = rig_try(NULL);
    (void)user;
    if (!r)
        return TENURE_ENOMEM;
    struct peer *p = peer_try(r);
    if (p) {
        peer_send(p, script);
        peer_cut(p);
    }
    struct peer *q = p ? peer_try(r) : NULL;
    if (q)
        peer_post(q, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\",\"start_revision\":1}}");
    bool done = q && strstr(peer_got(q), "\"events\":[");
    rig_free(r);
    return done ? 0 : TENURE_ENOMEM;
}

static void missing_memory_ends_the_connection_at_most(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(scenario, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pipelined_requests_are_answered_in_order),
        cmocka_unit_test(it_is_the_same_byte_by_byte),
        cmocka_unit_test(the_next_request_waits_for_the_answer_of_the_one_before),
        cmocka_unit_test(a_connection_stays_open_behind_errors),
        cmocka_unit_test(http_1_0_is_answered_and_closed_unless_asked_to_stay),
        cmocka_unit_test(a_client_that_waits_for_100_gets_it),
        cmocka_unit_test(what_is_no_http_is_told_so),
        cmocka_unit_test(an_upgrade_is_not_taken_up),
        cmocka_unit_test(heads_are_bounded),
        cmocka_unit_test(bodies_are_bounded),
        cmocka_unit_test(bodies_are_bounded_over_all_connections),
        cmocka_unit_test(a_request_that_does_not_end_is_given_up),
        cmocka_unit_test(an_idle_connection_stays),
        cmocka_unit_test(a_peer_that_takes_nothing_is_dropped),
        cmocka_unit_test(what_is_read_ahead_is_bounded),
        cmocka_unit_test(a_server_that_stops_says_so_and_closes),
        cmocka_unit_test(missing_memory_ends_the_connection_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
