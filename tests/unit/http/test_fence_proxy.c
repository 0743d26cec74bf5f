/* The fencing proxy, without sockets: what the service gets, what the client gets, who waits for whom, and how it fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "failmalloc.h"
#include "http/fence_proxy.h"

#define PUT(token, body)                                                                                               \
    "PUT /orders/7 HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: " token "\r\nContent-Length: 3\r\n\r\n" body
#define OK "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

struct rig {
    struct turnstile *turnstile;
    struct fence_proxy *proxy;
    tn_ms now;
};

/* A client's connection, and the service's side of it. */
struct peer {
    struct rig *rig;
    struct fence_conn *conn;
    struct buf got, asked; /* by the client, of the service */
    uint64_t connected;    /* for which request; 0 = not */
    bool over;
};

static struct rig *rig_new(const struct fence_proxy_config *config)
{
    struct rig *r = calloc(1, sizeof *r);
    struct fence_proxy_config c = config ? *config : (struct fence_proxy_config){.resource = "orders"};
    r->turnstile = turnstile_new(&(struct turnstile_config){0});
    c.turnstile = r->turnstile;
    c.methods = c.methods ? c.methods : fence_methods(NULL);
    r->proxy = fence_proxy_new(&c);
    r->now = 1000;
    return r;
}

static void rig_free(struct rig *r)
{
    fence_proxy_free(r->proxy);
    turnstile_free(r->turnstile);
    free(r);
}

static struct peer *peer_new(struct rig *r)
{
    struct peer *p = calloc(1, sizeof *p);
    p->rig = r;
    p->conn = fence_conn_new(r->proxy, p, r->now);
    buf_init(&p->got);
    buf_init(&p->asked);
    return p;
}

static void peer_free(struct peer *p)
{
    fence_conn_free(p->conn);
    buf_fini(&p->got);
    buf_fini(&p->asked);
    free(p);
}

/* What a driver does behind each event; the service can be reached. */
static void turn(struct peer *p)
{
    struct rig *r = p->rig;
    size_t before;
    while (fence_proxy_next(r->proxy, r->now))
        ;
    do {
        before = p->got.len + p->asked.len;
        uint64_t wanted = fence_wants_back(p->conn);
        if (wanted && wanted != p->connected)
            fence_back_connected(p->conn, r->now);
        p->connected = wanted;
        fence_back_output(p->conn, &p->asked, 1000, r->now);
        fence_front_output(p->conn, &p->got, 1000, r->now);
    } while (p->got.len + p->asked.len != before);
    p->over = fence_is_over(p->conn);
}

static void say(struct peer *p, const char *text)
{
    fence_front_feed(p->conn, bytes_str(text), p->rig->now);
    turn(p);
}

static void service_says(struct peer *p, const char *text)
{
    fence_back_feed(p->conn, bytes_str(text), p->rig->now);
    turn(p);
}

static void service_closes(struct peer *p)
{
    fence_back_ended(p->conn, false, p->rig->now);
    turn(p);
}

static const char *text(struct buf *b)
{
    buf_append_byte(b, 0);
    b->len--;
    return (const char *)b->data;
}

static void has(struct buf *b, const char *what)
{
    if (!strstr(text(b), what))
        fail_msg("expected '%s' in:\n%s", what, text(b));
}

static void has_not(struct buf *b, const char *what)
{
    if (strstr(text(b), what))
        fail_msg("expected no '%s' in:\n%s", what, text(b));
}

/* ---- what goes through ---- */

static void a_request_and_its_answer_go_through(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, PUT("5", "abc"));
    has(&p->asked, "PUT /orders/7 HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 3\r\n");
    has(&p->asked, "Connection: close\r\n\r\nabc");
    service_says(p, OK);
    has(&p->got, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nok");
    assert_false(p->over);
    say(p, PUT("5", "def")); /* on the same connection */
    has(&p->asked, "\r\n\r\ndef");
    service_says(p, OK);
    assert_int_equal(fence_proxy_counts(r->proxy).passed, 2);
    peer_free(p);
    rig_free(r);
}

static void it_is_the_same_byte_by_byte(void **state)
{
    static const char request[] =
        "POST /a HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nTransfer-Encoding: chunked\r\n"
        "Connection: close\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: t\r\n\r\n";
    static const char answer[] =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Made it\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n"
        "2\r\nok\r\n0\r\n\r\n";
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < sizeof request - 1; i++) {
        fence_front_feed(p->conn, bytes_of(request + i, 1), r->now);
        turn(p);
    }
    has(&p->asked, "Transfer-Encoding: chunked\r\n");
    has(&p->asked, "\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n");
    has_not(&p->asked, "Trailer");
    for (size_t i = 0; i < sizeof answer - 1; i++) {
        fence_back_feed(p->conn, bytes_of(answer + i, 1), r->now);
        turn(p);
    }
    has(&p->got, "HTTP/1.1 201 Made it\r\nX: y\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n");
    has(&p->got, "1\r\no\r\n1\r\nk\r\n0\r\n\r\n");
    has_not(&p->got, "100 Continue");
    assert_true(p->over);
    peer_free(p);
    rig_free(r);
}

static void answers_without_a_length_end_with_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    service_says(p, "HTTP/1.1 200 OK\r\n\r\nab");
    service_closes(p);
    has(&p->got, "Transfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    peer_free(p);
    p = peer_new(r);
    say(p, "GET / HTTP/1.0\r\n\r\n");
    has(&p->asked, "GET / HTTP/1.1\r\nHost: localhost\r\n");
    service_says(p, "HTTP/1.1 200 OK\r\n\r\nab");
    service_closes(p);
    has(&p->got, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nab");
    assert_true(p->over);
    peer_free(p);
    rig_free(r);
}

static void answers_that_have_no_body_keep_their_length(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "HEAD / HTTP/1.1\r\nHost: h\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n");
    has_not(&p->asked, "/b"); /* one after the other */
    service_says(p, "HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n");
    has(&p->got, "Content-Length: 900\r\nConnection: keep-alive\r\n\r\n");
    has(&p->asked, "GET /b ");
    service_says(p, "HTTP/1.1 304 Not Modified\r\nETag: x\r\n\r\n");
    has(&p->got, "ETag: x\r\nConnection: keep-alive\r\n\r\n");
    assert_false(p->over);
    peer_free(p);
    rig_free(r);
}

static void who_waits_to_be_told_to_go_on_is_told(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_string_equal(text(&p->got), "HTTP/1.1 100 Continue\r\n\r\n");
    has_not(&p->asked, "Expect");
    say(p, "abc");
    has(&p->asked, "\r\n\r\nabc");
    peer_free(p);
    rig_free(r);
}

/* ---- tokens ---- */

static void a_smaller_token_is_refused_and_nothing_of_it_is_sent(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *zombie = peer_new(r);
    say(p, PUT("7", "abc"));
    service_says(p, OK);
    say(zombie, PUT("5", "zzz"));
    assert_int_equal(zombie->asked.len, 0);
    has(&zombie->got, "HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/json\r\n");
    has(&zombie->got, "{\"error\":\"fenced\",\"message\":\"orders: token 5 is refused, 7 was there");
    has(&zombie->got, ",\"resource\":\"orders\",\"token\":5,\"seen\":7}\n");
    assert_true(zombie->over);
    assert_int_equal(fence_proxy_counts(r->proxy).fenced, 1);
    peer_free(p);
    peer_free(zombie);
    rig_free(r);
}

static void a_greater_token_waits_until_a_smaller_one_has_its_answer(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r), *next = peer_new(r), *late = peer_new(r);
    say(p, PUT("5", "abc"));
    say(q, PUT("5", "def")); /* beside it */
    has(&q->asked, "def");
    say(next, PUT("6", "ghi"));
    assert_int_equal(next->asked.len, 0);
    say(late, PUT("5", "jkl"));
    has(&late->got, " 412 ");
    service_says(p, OK);
    turn(next);
    assert_int_equal(next->asked.len, 0);
    fence_front_ended(q->conn, r->now); /* he is gone, and the service is still at it */
    turn(q);
    turn(next);
    assert_int_equal(next->asked.len, 0);
    assert_false(q->over);
    service_says(q, OK);
    assert_true(q->over);
    turn(next);
    has(&next->asked, "ghi");
    service_says(next, OK);
    has(&next->got, "200 OK");
    peer_free(p);
    peer_free(q);
    peer_free(next);
    peer_free(late);
    rig_free(r);
}

static void who_waited_and_was_overtaken_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *six = peer_new(r), *seven = peer_new(r);
    say(p, PUT("5", "abc"));
    say(six, PUT("6", "666"));
    say(seven, PUT("7", "777"));
    service_says(p, OK);
    turn(six);
    has(&six->got, "\"token\":6,\"seen\":7}");
    assert_false(six->over); /* its request was whole: the connection goes on */
    turn(seven);
    has(&seven->asked, "777");
    peer_free(p);
    peer_free(six);
    peer_free(seven);
    rig_free(r);
}

static void writes_must_have_a_token_and_reads_need_none(void **state)
{
    static const struct {
        const char *request, *status;
    } cases[] = {
        {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", " 428 "},
        {"DELETE / HTTP/1.1\r\nHost: h\r\n\r\n", " 428 "},
        {"GET / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 4\r\n\r\n", " 412 "},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: x\r\n\r\n", " 400 "},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 0\r\n\r\n", " 400 "},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token:\r\n\r\n", " 400 "},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 4, 9\r\n\r\n", " 400 "},
        {"PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 9\r\ntenure-fencing-token: 9\r\n\r\n", " 400 "},
    };
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, PUT("7", "abc"));
    service_says(p, OK);
    peer_free(p);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        p = peer_new(r);
        say(p, cases[i].request);
        has(&p->got, cases[i].status);
        assert_int_equal(p->asked.len, 0);
        peer_free(p);
    }
    p = peer_new(r);
    say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    has(&p->asked, "GET / ");
    peer_free(p);
    rig_free(r);
}

static void which_methods_need_one_is_chosen(void **state)
{
    struct fence_proxy_config all = {.resource = "o", .methods = fence_methods("all")},
                              some = {.resource = "o", .methods = fence_methods("PUT,PATCH")},
                              none = {.resource = "o", .missing_allowed = true};
    static const char get[] = "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
                      post[] = "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
                      patch[] = "PATCH / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n";
    const struct {
        struct fence_proxy_config *config;
        const char *request;
        bool passes;
    } cases[] = {
        {&all, get, false}, {&some, get, true}, {&some, post, true}, {&some, patch, false}, {&none, patch, true}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_new(cases[i].config);
        struct peer *p = peer_new(r);
        say(p, cases[i].request);
        assert_int_equal(p->asked.len > 0, cases[i].passes);
        peer_free(p);
        rig_free(r);
    }
    assert_int_equal(fence_methods("PUT,NOSUCH"), 0);
    assert_int_equal(fence_methods(""), 0);
    assert_int_equal(fence_methods("put"), 0);
}

static void by_path_each_part_is_fenced_by_itself(void **state)
{
    struct fence_proxy_config config = {.path_parts = 1};
    (void)state;
    struct rig *r = rig_new(&config);
    struct peer *p = peer_new(r), *q = peer_new(r), *evil = peer_new(r);
    say(p, PUT("7", "abc"));
    say(q, "PUT /stock/1 HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 2\r\nContent-Length: 0\r\n\r\n");
    has(&q->asked, "/stock/1");
    say(evil, "PUT /stock/../orders/7 HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 2\r\nContent-Length: 0\r\n\r\n");
    has(&evil->got, " 400 ");
    assert_int_equal(evil->asked.len, 0);
    peer_free(p);
    peer_free(q);
    peer_free(evil);
    rig_free(r);
}

/* ---- bad input ---- */

static void what_could_be_smuggled_is_refused(void **state)
{
    static const char *const bad[] = {
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length : 3\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: +3\r\n\r\nabc",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nHost: i\r\n\r\n",
        "PUT / HTTP/1.1\r\n\r\n",
        "PUT http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT * HTTP/1.1\r\nHost: h\r\n\r\n",
        "CONNECT h:1 HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT / HTTP/2.0\r\nHost: h\r\n\r\n",
        "NOSUCH / HTTP/1.1\r\nHost: h\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: h\r\nA: b\rc\r\n\r\n",
        "\x16\x03\x01\x02",
        "hello\r\n\r\n",
    };
    struct fence_proxy_config config = {.resource = "o", .missing_allowed = true};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rig *r = rig_new(&config);
        struct peer *p = peer_new(r);
        say(p, bad[i]);
        if (p->asked.len > 0 || !p->over || p->got.len < 12 || p->got.data[9] == '2')
            fail_msg("%s: asked '%s', got '%s'", bad[i], text(&p->asked), text(&p->got));
        peer_free(p);
        rig_free(r);
    }
}

static void a_head_that_is_too_large_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "GET / HTTP/1.1\r\nHost: h\r\nX: ");
    for (int i = 0; i < 40 && !p->over; i++) {
        char more[1025];
        memset(more, 'x', 1024);
        more[1024] = 0;
        say(p, more);
    }
    has(&p->got, " 431 ");
    peer_free(p);
    rig_free(r);
}

static void a_body_that_breaks_off_in_the_middle_ends_both(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p,
        "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n");
    assert_true(p->over);
    assert_false(fence_wants_back(p->conn));
    has_not(&p->asked, "0\r\n\r\n"); /* nobody takes it for whole */
    peer_free(p);
    rig_free(r);
}

/* ---- the service fails ---- */

static void a_service_that_fails_is_a_bad_gateway(void **state)
{
    static const char *const answers[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-",
        "SSH-2.0-x\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    };
    (void)state;
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct rig *r = rig_new(NULL);
        struct peer *p = peer_new(r);
        say(p, PUT("5", "abc"));
        service_says(p, answers[i]);
        if (!strstr(text(&p->got), " 502 "))
            service_closes(p);
        has(&p->got, "HTTP/1.1 502 Bad Gateway\r\n");
        has(&p->got, "{\"error\":\"bad-gateway\"");
        assert_int_equal(fence_proxy_counts(r->proxy).failed, 1);
        peer_free(p);
        rig_free(r);
    }
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    fence_front_feed(p->conn, bytes_str(PUT("5", "abc")), r->now);
    assert_true(fence_wants_back(p->conn));
    fence_back_failed(p->conn, "127.0.0.1:1: connection refused", r->now);
    turn(p);
    has(&p->got, "connection refused");
    peer_free(p);
    rig_free(r);
}

static void an_answer_that_breaks_off_is_not_made_whole(void **state)
{
    static const char *const answers[] = {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nab",
                                          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct rig *r = rig_new(NULL);
        struct peer *p = peer_new(r);
        say(p, PUT("5", "abc"));
        service_says(p, answers[i]);
        service_closes(p);
        assert_true(p->over);
        has_not(&p->got, "0\r\n\r\n");
        peer_free(p);
        rig_free(r);
    }
}

/* Its end is the connection's, and that has not come. */
static void an_answer_whose_connection_breaks_is_not_made_whole(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, PUT("5", "abc"));
    service_says(p, "HTTP/1.1 200 OK\r\n\r\nab");
    fence_back_ended(p->conn, true, r->now);
    turn(p);
    has(&p->got, "2\r\nab\r\n");
    has_not(&p->got, "0\r\n\r\n");
    assert_true(p->over);
    peer_free(p);
    p = peer_new(r);
    say(p, PUT("5", "abc"));
    fence_back_ended(p->conn, true, r->now);
    turn(p);
    has(&p->got, "HTTP/1.1 502 ");
    peer_free(p);
    p = peer_new(r);
    say(p, PUT("5", "abc"));
    fence_front_ended(p->conn, r->now);
    fence_back_ended(p->conn, true, r->now);
    turn(p);
    assert_true(p->over); /* nobody is there to be told */
    peer_free(p);
    rig_free(r);
}

static void what_comes_before_an_answer_has_no_body(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    service_says(p, "HTTP/1.1 103 Early Hints\r\nContent-Length: 4\r\n\r\nevil");
    assert_null(strstr(text(&p->got), "evil"));
    has(&p->got, "HTTP/1.1 502 ");
    peer_free(p);
    rig_free(r);
}

static void an_early_answer_ends_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 900\r\n\r\nabc");
    service_says(p, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
    has(&p->got, " 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n");
    assert_true(p->over);
    peer_free(p);
    rig_free(r);
}

/* ---- time and bounds ---- */

static void wait_out(struct peer *p)
{
    p->rig->now = fence_deadline(p->conn);
    assert_true(p->rig->now < TN_MS_NEVER);
    fence_tick(p->conn, p->rig->now);
    turn(p);
}

static void everything_has_its_time(void **state)
{
    struct fence_proxy_config config = {.resource = "o", .timeout_ms = 500, .stall_ms = 200, .idle_ms = 900};
    (void)state;
    struct rig *r = rig_new(&config);
    struct peer *idle = peer_new(r), *slow = peer_new(r), *half = peer_new(r), *p = peer_new(r), *next = peer_new(r),
                *reader = peer_new(r);
    assert_int_equal(fence_deadline(idle->conn), r->now + 900);
    say(slow, "PUT / HT");
    assert_int_equal(fence_deadline(slow->conn), r->now + 200);
    wait_out(slow);
    has(&slow->got, " 408 ");
    say(half, "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 9\r\n\r\nabc");
    wait_out(half);
    has(&half->got, " 408 ");
    assert_true(half->over);
    say(p, PUT("6", "abc"));
    say(next, PUT("7", "def"));
    assert_int_equal(fence_deadline(p->conn), r->now + 500);
    wait_out(next);
    has(&next->got, " 503 ");
    has(&next->got, "{\"error\":\"busy\"");
    wait_out(p);
    has(&p->got, " 504 ");
    say(reader, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fence_back_feed(reader->conn, bytes_str(OK), r->now); /* and he takes nothing of it */
    r->now = fence_deadline(reader->conn);
    fence_tick(reader->conn, r->now);
    assert_true(fence_is_over(reader->conn));
    wait_out(idle);
    assert_true(idle->over);
    assert_int_equal(idle->got.len, 0);
    peer_free(idle);
    peer_free(slow);
    peer_free(half);
    peer_free(p);
    peer_free(next);
    peer_free(reader);
    rig_free(r);
}

static void who_is_waited_for_cannot_gain_time_byte_by_byte(void **state)
{
    struct fence_proxy_config config = {.resource = "o", .timeout_ms = 5000, .stall_ms = 200};
    (void)state;
    struct rig *r = rig_new(&config);
    struct peer *zombie = peer_new(r), *next = peer_new(r);
    say(zombie, "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 90\r\n\r\n");
    for (int i = 0; i < 5; i++) { /* nobody waits: as long as it goes on */
        r->now += 150;
        say(zombie, "x");
    }
    say(next, PUT("6", "abc"));
    tn_ms until = r->now + 200;
    for (int i = 0; i < 3; i++) {
        r->now += 60;
        say(zombie, "x");
        turn(next);
    }
    assert_int_equal(fence_deadline(zombie->conn), until);
    wait_out(zombie);
    turn(next);
    assert_int_equal(r->now, until);
    has(&zombie->got, " 408 ");
    assert_true(zombie->over);
    has(&next->asked, "abc");
    service_says(next, OK);
    has(&next->got, " 200 ");
    peer_free(zombie);
    peer_free(next);
    rig_free(r);
}

static void a_token_is_passed_on_whatever_the_connection_is_said_to_want(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p, "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nConnection: tenure-fencing-token, x-a\r\nX-A: b\r\n"
           "Content-Length: 3\r\n\r\nabc");
    has(&p->asked, "Tenure-Fencing-Token: 5\r\n");
    has_not(&p->asked, "X-A");
    peer_free(p);
    rig_free(r);
}

static void what_many_services_read_as_the_same_header_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    say(p,
        "PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nTenure_Fencing_Token: 9\r\nContent-Length: 3\r\n\r\nabc");
    has(&p->got, " 400 ");
    has(&p->got, "\"bad-token\"");
    assert_int_equal(p->asked.len, 0);
    peer_free(p);
    rig_free(r);
}

static void a_read_that_a_header_turns_into_a_write_needs_a_token(void **state)
{
    static const char *const headers[] = {"X-HTTP-Method-Override: DELETE", "x-http-method: PUT",
                                          "X-Method-Override: PATCH"};
    (void)state;
    struct rig *r = rig_new(NULL);
    for (size_t i = 0; i < 3; i++) {
        struct peer *p = peer_new(r);
        char request[200];
        snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n\r\n", headers[i]);
        say(p, request);
        has(&p->got, " 428 ");
        assert_int_equal(p->asked.len, 0);
        peer_free(p);
    }
    rig_free(r);
}

static void neither_side_is_read_ahead_of_the_other(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    static char large[FENCE_HIGH];
    memset(large, 'x', sizeof large);
    fence_front_feed(
        p->conn, bytes_str("PUT / HTTP/1.1\r\nHost: h\r\nTenure-Fencing-Token: 5\r\nContent-Length: 999999\r\n\r\n"),
        r->now);
    assert_true(fence_front_wants(p->conn));
    fence_front_feed(p->conn, bytes_of(large, sizeof large), r->now);
    assert_false(fence_front_wants(p->conn)); /* the service takes nothing yet */
    turn(p);
    assert_true(fence_front_wants(p->conn));
    peer_free(p);
    p = peer_new(r);
    say(p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
    fence_back_feed(p->conn, bytes_str("HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n"), r->now);
    assert_true(fence_back_reads(p->conn));
    fence_back_feed(p->conn, bytes_of(large, sizeof large), r->now);
    assert_false(fence_back_reads(p->conn));
    turn(p);
    assert_true(fence_back_reads(p->conn));
    peer_free(p);
    rig_free(r);
}

static void without_memory_it_fails_and_leaves_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    for (size_t n = 0; n < 40; n++) {
        struct peer *p = calloc(1, sizeof *p);
        p->rig = r;
        buf_init(&p->got);
        buf_init(&p->asked);
        failmalloc_at(n + 1);
        p->conn = fence_conn_new(r->proxy, p, r->now);
        if (p->conn) {
            fence_front_feed(p->conn, bytes_str(PUT("5", "abc")), r->now);
            fence_back_connected(p->conn, r->now);
            fence_back_feed(p->conn, bytes_str(OK), r->now);
        }
        failmalloc_off();
        peer_free(p);
    }
    struct peer *p = peer_new(r);
    say(p, PUT("6", "abc"));
    has(&p->asked, "abc"); /* nobody was left inside */
    peer_free(p);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_and_its_answer_go_through),
        cmocka_unit_test(it_is_the_same_byte_by_byte),
        cmocka_unit_test(answers_without_a_length_end_with_the_connection),
        cmocka_unit_test(answers_that_have_no_body_keep_their_length),
        cmocka_unit_test(who_waits_to_be_told_to_go_on_is_told),
        cmocka_unit_test(a_smaller_token_is_refused_and_nothing_of_it_is_sent),
        cmocka_unit_test(a_greater_token_waits_until_a_smaller_one_has_its_answer),
        cmocka_unit_test(who_waited_and_was_overtaken_is_refused),
        cmocka_unit_test(writes_must_have_a_token_and_reads_need_none),
        cmocka_unit_test(which_methods_need_one_is_chosen),
        cmocka_unit_test(by_path_each_part_is_fenced_by_itself),
        cmocka_unit_test(what_could_be_smuggled_is_refused),
        cmocka_unit_test(a_head_that_is_too_large_is_refused),
        cmocka_unit_test(a_body_that_breaks_off_in_the_middle_ends_both),
        cmocka_unit_test(a_service_that_fails_is_a_bad_gateway),
        cmocka_unit_test(an_answer_that_breaks_off_is_not_made_whole),
        cmocka_unit_test(an_answer_whose_connection_breaks_is_not_made_whole),
        cmocka_unit_test(what_comes_before_an_answer_has_no_body),
        cmocka_unit_test(an_early_answer_ends_the_connection),
        cmocka_unit_test(everything_has_its_time),
        cmocka_unit_test(who_is_waited_for_cannot_gain_time_byte_by_byte),
        cmocka_unit_test(a_token_is_passed_on_whatever_the_connection_is_said_to_want),
        cmocka_unit_test(what_many_services_read_as_the_same_header_is_refused),
        cmocka_unit_test(a_read_that_a_header_turns_into_a_write_needs_a_token),
        cmocka_unit_test(neither_side_is_read_ahead_of_the_other),
        cmocka_unit_test(without_memory_it_fails_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
