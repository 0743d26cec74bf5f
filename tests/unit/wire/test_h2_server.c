/* The server against hand-made clients: what it answers by itself, what it makes of odd but allowed input. */
#include "raw.h"
#include "tenure/error.h"

struct fixture {
    struct pair p;
    struct raw_reader r;
    struct buf in;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    pair_init(&f->p, NULL, NULL);
    raw_reader_init(&f->r);
    raw_preface(&f->in);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pair_fini(&f->p);
    raw_reader_fini(&f->r);
    buf_fini(&f->in);
    free(f);
    return 0;
}

static void feed(struct fixture *f)
{
    side_feed(&f->p, &f->p.server, buf_bytes(&f->in));
    buf_reset(&f->in);
}

static void answer_hello(struct side *s, struct h2_stream *st)
{
    (void)s;
    pair_send(st, "hello");
    assert_int_equal(h2_finish(st, GRPC_OK, ""), 0);
}

/* ---- answers ---- */

static void an_answer_is_headers_data_and_trailers(void **state)
{
    struct fixture *f = *state;
    f->p.server.when_half_close = answer_hello;
    raw_call(&f->in, 1, 0, "/a/B");
    raw_message(&f->in, 1, RAW_END_STREAM, "x");
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1, :status 200, content-type application/grpc\n"
              "DATA 1 10\n"
              "HEADERS 1 end, grpc-status 0\n");
    side_expect(&f->p.server, "request 1 /a/B\nmessage 1 \"x\"\nhalf-close 1\nclose 1\n");
}

static void refuse_with_text(struct side *s, struct h2_stream *st)
{
    (void)s;
    assert_int_equal(h2_finish(st, GRPC_NOT_FOUND, "50% of \xc3\xa9\n"), 0);
}

static void a_failure_is_one_frame_with_an_encoded_text(void **state)
{
    struct fixture *f = *state;
    f->p.server.when_half_close = refuse_with_text;
    raw_call(&f->in, 1, RAW_END_STREAM, "/a/B");
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 5, "
              "grpc-message 50%25 of %C3%A9%0A\n");
}

static void a_failure_behind_messages_is_in_the_trailers(void **state)
{
    struct fixture *f = *state;
    raw_call(&f->in, 1, RAW_END_STREAM, "/a/B");
    feed(f);
    pair_send(f->p.server.last, "one");
    side_says(&f->p, &f->p.server, &f->r, "HEADERS 1, :status 200, content-type application/grpc\nDATA 1 8\n");
    assert_int_equal(h2_finish(f->p.server.last, GRPC_UNAVAILABLE, "going away"), 0);
    side_says(&f->p, &f->p.server, &f->r, "HEADERS 1 end, grpc-status 14, grpc-message going away\n");
}

/* RFC 9113, 8.1: "a server MAY request that the client abort transmission of a request without error by sending a
 * RST_STREAM with an error code of NO_ERROR after sending a complete response". */
static void a_client_that_still_sends_is_told_to_stop_after_the_answer(void **state)
{
    struct fixture *f = *state;
    raw_call(&f->in, 1, 0, "/a/B");
    feed(f);
    answer_hello(&f->p.server, f->p.server.last);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1, :status 200, content-type application/grpc\n"
              "DATA 1 10\n"
              "HEADERS 1 end, grpc-status 0\n"
              "RST_STREAM 1 NO_ERROR\n");
    side_expect(&f->p.server, "request 1 /a/B\nclose 1\n");
    raw_message(&f->in, 1, RAW_END_STREAM, "late");
    feed(f);
    assert_false(f->p.server.dead);
    side_expect(&f->p.server, "");
}

static void nothing_is_delivered_after_the_call_was_finished(void **state)
{
    struct fixture *f = *state;
    raw_call(&f->in, 1, 0, "/a/B");
    feed(f);
    assert_int_equal(h2_finish(f->p.server.last, GRPC_ABORTED, "no"), 0);
    assert_int_equal(h2_finish(f->p.server.last, GRPC_OK, NULL), 0); /* the first end stands */
    pair_send(f->p.server.last, "nobody reads this");
    raw_message(&f->in, 1, RAW_END_STREAM, "late");
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 10, grpc-message no\n");
    side_expect(&f->p.server, "request 1 /a/B\nclose 1\n");
}

/* ---- what is turned away ---- */

struct turned_away {
    const char *method, *content_type, *timeout, *answer;
};

static void what_is_no_grpc_call_is_answered_without_asking(void **state)
{
    static const struct turned_away cases[] = {
        {"POST", "application/json", NULL,
         "HEADERS 1 end, :status 415, content-type application/grpc, grpc-status 3, "
         "grpc-message invalid gRPC request content-type \"application/json\"\n"},
        {"POST", "application/grpc-web", NULL,
         "HEADERS 1 end, :status 415, content-type application/grpc, grpc-status 3, "
         "grpc-message invalid gRPC request content-type \"application/grpc-web\"\n"},
        {"POST", "", NULL,
         "HEADERS 1 end, :status 415, content-type application/grpc, grpc-status 3, "
         "grpc-message invalid gRPC request content-type \"\"\n"},
        {"GET", "application/grpc", NULL,
         "HEADERS 1 end, :status 405, content-type application/grpc, grpc-status 13, "
         "grpc-message the method of a gRPC call is POST\n"},
        {"POST", "application/grpc", "12x",
         "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 13, "
         "grpc-message malformed grpc-timeout\n"},
        {"POST", "application/grpc", "123456789S",
         "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 13, "
         "grpc-message malformed grpc-timeout\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = NULL;
        assert_int_equal(setup((void **)&f), 0);
        const struct turned_away *t = &cases[i];
        const char *const pairs[] = {
            ":method",
            t->method,
            ":scheme",
            "http",
            ":path",
            "/a/B",
            ":authority",
            "x",
            "content-type",
            t->content_type,
            t->timeout ? "grpc-timeout" : NULL,
            t->timeout,
            NULL,
        };
        raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, pairs);
        feed(f);
        side_says(&f->p, &f->p.server, &f->r, t->answer);
        side_expect(&f->p.server, "");
        assert_int_equal(h2_streams(f->p.server.c), 0);
        teardown((void **)&f);
    }
}

static void a_body_behind_a_request_that_was_turned_away_is_ignored(void **state)
{
    struct fixture *f = *state;
    const char *const pairs[] = {":method", "POST", ":scheme", "http", ":path", "/a/B", ":authority", "x", NULL};
    raw_headers(&f->in, 1, RAW_END_HEADERS, pairs);
    raw_message(&f->in, 1, 0, "body");
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1 end, :status 415, content-type application/grpc, grpc-status 3, "
              "grpc-message invalid gRPC request content-type \"\"\n"
              "RST_STREAM 1 NO_ERROR\n");
    side_expect(&f->p.server, "");
}

static void the_kinds_of_grpc_are_taken(void **state)
{
    struct fixture *f = *state;
    static const char *const types[] = {"application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8",
                                        "Application/gRPC"};
    for (size_t i = 0; i < ARRAY_LEN(types); i++) {
        const char *const pairs[] = {":method",    "POST", ":scheme",      "http",   ":path", "/a/B",
                                     ":authority", "x",    "content-type", types[i], NULL};
        raw_headers(&f->in, (uint32_t)(2 * i + 1), RAW_END_HEADERS, pairs);
    }
    feed(f);
    assert_int_equal(f->p.server.n_requests, ARRAY_LEN(types));
}

static void metadata_beyond_the_bound_is_refused(void **state)
{
    struct fixture *f = *state;
    static char large[17 << 10];
    memset(large, 'a', sizeof large - 1);
    const char *const pairs[] = {":method", "POST",         ":scheme",          "http",  ":path", "/a/B", ":authority",
                                 "x",       "content-type", "application/grpc", "large", large,   NULL};
    struct buf block = {0};
    raw_header_block(&block, pairs);
    raw_frame(&f->in, NGHTTP2_HEADERS, RAW_END_STREAM, 1, bytes_of(block.data, 16000));
    raw_frame(&f->in, NGHTTP2_CONTINUATION, RAW_END_HEADERS, 1, bytes_of(block.data + 16000, block.len - 16000));
    buf_fini(&block);
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 8, "
              "grpc-message grpc: the request's metadata is too large\n");
    side_expect(&f->p.server, "");
}

/* ---- what a request holds ---- */

static void note_request(struct side *s, struct h2_stream *st, const struct h2_request *req)
{
    struct buf *b = s->user;
    (void)st;
    buf_printf(b, "%.*s timeout %lld", (int)req->authority.len, (const char *)req->authority.data,
               (long long)req->timeout_ms);
    for (size_t i = 0; i < req->n_headers; i++)
        buf_printf(b, ", %.*s %.*s", (int)req->headers[i].name.len, (const char *)req->headers[i].name.data,
                   (int)req->headers[i].value.len, (const char *)req->headers[i].value.data);
    buf_append_byte(b, '\n');
}

static void a_request_tells_its_timeout_and_metadata_in_order(void **state)
{
    struct fixture *f = *state;
    struct buf seen = {0};
    f->p.server.when_request = note_request;
    f->p.server.user = &seen;
    const char *const pairs[] = {":method",      "POST",      ":scheme", "http",     ":path",        "/a/B",
                                 ":authority",   "a.example", "te",      "trailers", "content-type", "application/grpc",
                                 "grpc-timeout", "1500u",     "token",   "one",      "hasleader",    "true",
                                 "token",        "two",       NULL};
    raw_headers(&f->in, 1, RAW_END_HEADERS, pairs);
    const char *const host[] = {":method",   "POST",         ":scheme",          "http", ":path", "/a/B", "host",
                                "b.example", "content-type", "application/grpc", NULL};
    raw_headers(&f->in, 3, RAW_END_HEADERS, host);
    feed(f);
    buf_append_byte(&seen, 0);
    assert_string_equal((const char *)seen.data, "a.example timeout 2, token one, hasleader true, token two\n"
                                                 "b.example timeout -1\n");
    buf_fini(&seen);
}

/* ---- odd but allowed, as real clients do ---- */

static void an_empty_data_frame_may_end_the_request(void **state)
{
    struct fixture *f = *state;
    raw_call(&f->in, 1, 0, "/a/B");
    raw_message(&f->in, 1, 0, "x");
    raw_data(&f->in, 1, RAW_END_STREAM, bytes_of(NULL, 0));
    feed(f);
    side_expect(&f->p.server, "request 1 /a/B\nmessage 1 \"x\"\nhalf-close 1\n");
}

static void priorities_padding_and_unknown_things_change_nothing(void **state)
{
    struct fixture *f = *state;
    struct buf block = {0};
    raw_settings(&f->in, 65027, 1);
    raw_settings(&f->in, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0);
    raw_settings(&f->in, NGHTTP2_SETTINGS_MAX_FRAME_SIZE, 4 << 20);
    raw_frame(&f->in, 0xfa, 0x5, 7, bytes_str("no such type"));
    raw_frame(&f->in, NGHTTP2_PRIORITY, 0, 9, bytes_of("\0\0\0\0\x10", 5));

    buf_append(&block, "\3\0\0\0\0\x0f", 6); /* pad length, then the priority */
    const char *const pairs[] = {":method", "POST",         ":scheme",          "http", ":path", "/a/B", ":authority",
                                 "x",       "content-type", "application/grpc", NULL};
    raw_header_block(&block, pairs);
    buf_append(&block, "\0\0\0", 3);
    raw_frame(&f->in, NGHTTP2_HEADERS, RAW_PADDED | RAW_PRIORITY | RAW_END_HEADERS, 1, buf_bytes(&block));
    buf_fini(&block);
    raw_data(&f->in, 1, RAW_PADDED | RAW_END_STREAM, bytes_of("\2\0\0\0\0\1x\0\0", 9));
    feed(f);
    side_expect(&f->p.server, "request 1 /a/B\nmessage 1 \"x\"\nhalf-close 1\n");
}

static void trailers_of_a_client_end_its_request(void **state)
{
    struct fixture *f = *state;
    const char *const trailers[] = {"x-checksum", "1", NULL};
    raw_call(&f->in, 1, 0, "/a/B");
    raw_message(&f->in, 1, 0, "x");
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, trailers);
    feed(f);
    side_expect(&f->p.server, "request 1 /a/B\nmessage 1 \"x\"\nhalf-close 1\n");
}

static void many_messages_may_share_a_frame_and_one_may_need_many(void **state)
{
    struct fixture *f = *state;
    raw_call(&f->in, 1, 0, "/a/B");
    raw_data(&f->in, 1, 0, bytes_of("\0\0\0\0\1a\0\0\0\0\0\0\0\0\0\2bc\0\0", 20));
    raw_data(&f->in, 1, 0, bytes_of("\0\0", 2));
    raw_data(&f->in, 1, 0, bytes_of("\3d", 2));
    raw_data(&f->in, 1, RAW_END_STREAM, bytes_of("ef", 2));
    feed(f);
    side_expect(&f->p.server, "request 1 /a/B\n"
                              "message 1 \"a\"\nmessage 1 \"\"\nmessage 1 \"bc\"\nmessage 1 \"def\"\nhalf-close 1\n");
}

/* ---- bad messages ---- */

static void expect_end_after(struct fixture *f, bytes data, unsigned flags, const char *answer)
{
    raw_call(&f->in, 1, 0, "/a/B");
    raw_data(&f->in, 1, flags, data);
    feed(f);
    side_says(&f->p, &f->p.server, &f->r, answer);
    side_expect(&f->p.server, "request 1 /a/B\nclose 1\n");
    assert_false(f->p.server.dead);
}

static void a_compressed_message_is_unimplemented(void **state)
{
    expect_end_after(*state, bytes_of("\1\0\0\0\1x", 6), 0,
                     "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 12, "
                     "grpc-message grpc: compressed messages are not supported\n"
                     "RST_STREAM 1 NO_ERROR\n");
}

static void a_flag_that_does_not_exist_is_an_internal_error(void **state)
{
    expect_end_after(*state, bytes_of("\2\0\0\0\1x", 6), 0,
                     "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 13, "
                     "grpc-message grpc: malformed message frame\n"
                     "RST_STREAM 1 NO_ERROR\n");
}

static void a_message_over_the_bound_is_refused_by_its_length(void **state)
{
    expect_end_after(*state, bytes_of("\0\0\x20\0\1x", 6), 0,
                     "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 8, "
                     "grpc-message grpc: received message larger than max (2097153 vs. 2097152)\n"
                     "RST_STREAM 1 NO_ERROR\n");
}

static void a_request_that_ends_within_a_message_is_an_internal_error(void **state)
{
    expect_end_after(*state, bytes_of("\0\0\0\0\5x", 6), RAW_END_STREAM,
                     "HEADERS 1 end, :status 200, content-type application/grpc, grpc-status 13, "
                     "grpc-message grpc: the request ends within a message\n");
}

static void unfinished_messages_of_all_streams_share_a_bound(void **state)
{
    (void)state;
    struct h2_limits limits = {.message_bytes_max = 10000, .input_bytes_max = 15000};
    struct fixture f = {0};
    static uint8_t part[9005] = {0, 0, 0, 0x27, 0x10}; /* of a message of 10,000 bytes */
    pair_init(&f.p, &limits, NULL);
    raw_reader_init(&f.r);
    raw_preface(&f.in);
    raw_call(&f.in, 1, 0, "/a/B");
    raw_call(&f.in, 3, 0, "/a/B");
    raw_data(&f.in, 1, 0, bytes_of(part, sizeof part));
    raw_data(&f.in, 3, 0, bytes_of(part, sizeof part));
    feed(&f);
    side_says(&f.p, &f.p.server, &f.r,
              "HEADERS 3 end, :status 200, content-type application/grpc, grpc-status 8, "
              "grpc-message grpc: too many unfinished messages on this connection\n"
              "RST_STREAM 3 NO_ERROR\n");
    side_expect(&f.p.server, "request 1 /a/B\nrequest 3 /a/B\nclose 3\n");

    /* The first goes on, and once it is whole there is room again. */
    raw_data(&f.in, 1, 0, bytes_of(part, 1000));
    raw_call(&f.in, 5, 0, "/a/B");
    raw_data(&f.in, 5, 0, bytes_of(part, sizeof part));
    raw_data(&f.in, 5, 0, bytes_of(part, 1000));
    feed(&f);
    assert_int_equal(f.p.server.n_messages, 2);
    pair_fini(&f.p);
    raw_reader_fini(&f.r);
    buf_fini(&f.in);
}

/* ---- the connection itself ---- */

static void the_server_announces_its_limits(void **state)
{
    (void)state;
    struct h2_limits limits = {.streams_max = 7, .window_bytes = 100000, .header_bytes_max = 5000};
    struct pair p;
    pair_init(&p, &limits, NULL);
    side_write(&p, &p.server);
    const uint8_t settings[] = {0,    0, 18, 4, 0, 0,    0,    0, 0, 0, 4, 0, 1, 0x86,
                                0xa0, 0, 6,  0, 0, 0x13, 0x88, 0, 3, 0, 0, 0, 7};
    assert_true(p.server.wire.len >= sizeof settings);
    assert_memory_equal(p.server.wire.data, settings, sizeof settings);
    pair_fini(&p);
}

static void streams_beyond_the_limit_are_refused_unprocessed(void **state)
{
    (void)state;
    struct h2_limits limits = {.streams_max = 2};
    struct fixture f = {0};
    pair_init(&f.p, &limits, NULL);
    raw_reader_init(&f.r);
    raw_preface(&f.in);
    for (uint32_t id = 1; id <= 5; id += 2)
        raw_call(&f.in, id, 0, "/a/B");
    feed(&f);
    side_expect(&f.p.server, "request 1 /a/B\nrequest 3 /a/B\n");
    side_says(&f.p, &f.p.server, &f.r, "RST_STREAM 5 REFUSED_STREAM\n");
    pair_fini(&f.p);
    raw_reader_fini(&f.r);
    buf_fini(&f.in);
}

static void a_peer_is_established_with_its_first_frame(void **state)
{
    struct fixture *f = *state;
    side_feed(&f->p, &f->p.server, bytes_of(f->in.data, NGHTTP2_CLIENT_MAGIC_LEN));
    assert_false(h2_established(f->p.server.c));
    side_feed(&f->p, &f->p.server,
              bytes_of(f->in.data + NGHTTP2_CLIENT_MAGIC_LEN, f->in.len - NGHTTP2_CLIENT_MAGIC_LEN));
    assert_true(h2_established(f->p.server.c));
}

static void what_is_not_http2_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    buf_reset(&f->in);
    buf_append_bytes(&f->in, bytes_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    feed(f);
    assert_int_equal(f->p.server.error, TENURE_EPROTOCOL);
    assert_string_equal(f->p.server.why.text, "HTTP/2: the peer does not begin with HTTP/2's preface");
    side_write(&f->p, &f->p.server);
    assert_true(h2_done(f->p.server.c));
}

/* Each breaks a rule of the connection: GOAWAY is the answer, and h2_feed says so. */
static void a_broken_connection_is_told_at_once_and_by_goaway(void **state)
{
    static const struct {
        unsigned type, flags;
        uint32_t id;
        const char *payload;
        size_t len;
        const char *answer;
    } cases[] = {
        {NGHTTP2_DATA, 0, 0, "x", 1, "0 PROTOCOL_ERROR"},       /* DATA without a stream */
        {NGHTTP2_DATA, 0, 9, "x", 1, "0 PROTOCOL_ERROR"},       /* on an idle stream */
        {NGHTTP2_HEADERS, 4, 2, "\x82", 1, "0 PROTOCOL_ERROR"}, /* an even id */
        {NGHTTP2_HEADERS, 4, 1, "\xff\xff\xff\xff\xff\xff", 6, "1 COMPRESSION_ERROR"},
        {NGHTTP2_HEADERS, 4 | 32, 1, "\0\0", 2, "0 FRAME_SIZE_ERROR"}, /* no room for the priority */
        {NGHTTP2_HEADERS, 4 | 8, 1, "\x09", 1, "0 PROTOCOL_ERROR"},    /* more padding than frame */
        {NGHTTP2_CONTINUATION, 4, 1, "\x82", 1, "0 PROTOCOL_ERROR"},
        {NGHTTP2_SETTINGS, 0, 0, "\0\4\0", 3, "0 FRAME_SIZE_ERROR"},
        {NGHTTP2_SETTINGS, 0, 0, "\0\4\xff\xff\xff\xff", 6, "0 FLOW_CONTROL_ERROR"},
        {NGHTTP2_SETTINGS, 0, 0, "\0\5\0\0\0\1", 6, "0 PROTOCOL_ERROR"}, /* frames of one byte */
        {NGHTTP2_PING, 0, 0, "1234567", 7, "0 FRAME_SIZE_ERROR"},
        {NGHTTP2_PUSH_PROMISE, 4, 1, "\0\0\0\2\x82", 5, "0 PROTOCOL_ERROR"},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, "\0\0\0\0", 4, "0 PROTOCOL_ERROR"},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff", 4, "0 FLOW_CONTROL_ERROR"},
        {NGHTTP2_RST_STREAM, 0, 0, "\0\0\0\0", 4, "0 PROTOCOL_ERROR"},
        {NGHTTP2_RST_STREAM, 0, 9, "\0\0\0\0", 4, "0 PROTOCOL_ERROR"}, /* idle */
        {NGHTTP2_GOAWAY, 0, 1, "\0\0\0\0\0\0\0\0", 8, "0 PROTOCOL_ERROR"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = NULL;
        char wanted[64];
        assert_int_equal(setup((void **)&f), 0);
        raw_frame(&f->in, cases[i].type, cases[i].flags, cases[i].id, bytes_of(cases[i].payload, cases[i].len));
        feed(f);
        if (f->p.server.error != TENURE_EPROTOCOL)
            fail_msg("case %zu: h2_feed answered %d", i, f->p.server.error);
        snprintf(wanted, sizeof wanted, "GOAWAY %s\n", cases[i].answer);
        side_says(&f->p, &f->p.server, &f->r, wanted);
        assert_true(h2_done(f->p.server.c));
        assert_int_equal(h2_feed(f->p.server.c, bytes_str("x"), 0, NULL), TENURE_EPROTOCOL);
        teardown((void **)&f);
    }
}

static void a_frame_beyond_the_announced_size_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    static const uint8_t large[20000];
    raw_call(&f->in, 1, 0, "/a/B");
    raw_data(&f->in, 1, 0, bytes_of(large, sizeof large));
    feed(f);
    assert_int_equal(f->p.server.error, TENURE_EPROTOCOL);
    side_says(&f->p, &f->p.server, &f->r, "GOAWAY 1 FRAME_SIZE_ERROR\n");
    side_expect(&f->p.server, "request 1 /a/B\n"); /* on_close comes from h2_free */
}

/* Each breaks a rule of its stream only. */
static void a_broken_stream_leaves_the_others_alone(void **state)
{
    struct fixture *f = *state;
    const char *const upper[] = {":method",    "POST", ":scheme", "http", ":path", "/a/B",
                                 ":authority", "x",    "Upper",   "x",    NULL};
    const char *const twice[] = {":method", "POST", ":scheme", "http", ":path", "/a/B", ":path", "/a/C", NULL};
    const char *const no_path[] = {":method", "POST", ":scheme", "http", ":authority", "x", NULL};
    const char *const connection[] = {":method",    "POST", ":scheme",    "http",  ":path", "/a/B",
                                      ":authority", "x",    "connection", "close", NULL};
    raw_headers(&f->in, 1, RAW_END_HEADERS, upper);
    raw_headers(&f->in, 3, RAW_END_HEADERS, twice);
    raw_headers(&f->in, 5, RAW_END_HEADERS, no_path);
    raw_headers(&f->in, 7, RAW_END_HEADERS, connection);
    raw_call(&f->in, 9, 0, "/a/B");
    raw_window(&f->in, 9, INT32_MAX);
    raw_call(&f->in, 11, 0, "/a/B");
    feed(f);
    side_says(&f->p, &f->p.server, &f->r,
              "RST_STREAM 1 PROTOCOL_ERROR\nRST_STREAM 3 PROTOCOL_ERROR\nRST_STREAM 5 PROTOCOL_ERROR\n"
              "RST_STREAM 7 PROTOCOL_ERROR\nRST_STREAM 9 FLOW_CONTROL_ERROR\n");
    side_expect(&f->p.server, "request 9 /a/B\nrequest 11 /a/B\nclose 9\n");
    assert_false(f->p.server.dead);
    assert_int_equal(h2_streams(f->p.server.c), 1);
}

/* etcdctl 3.4 does. */
static void a_whole_url_as_authority_is_taken(void **state)
{
    struct fixture *f = *state;
    const char *const pairs[] = {":method",
                                 "POST",
                                 ":scheme",
                                 "http",
                                 ":path",
                                 "/a/B",
                                 ":authority",
                                 "http://127.0.0.1:2379",
                                 "content-type",
                                 "application/grpc",
                                 NULL};
    raw_headers(&f->in, 1, RAW_END_HEADERS, pairs);
    feed(f);
    side_expect(&f->p.server, "request 1 /a/B\n");
}

static void headers_within_a_request_that_do_not_end_it_reset_it(void **state)
{
    struct fixture *f = *state;
    static const char *const more[] = {"x-more", "1", NULL};
    static const char *const pseudo[] = {":path", "/a/C", NULL};
    raw_call(&f->in, 1, 0, "/a/B");
    raw_headers(&f->in, 1, RAW_END_HEADERS, more);
    raw_message(&f->in, 1, RAW_END_STREAM, "x");
    raw_call(&f->in, 3, 0, "/a/B");
    raw_headers(&f->in, 3, RAW_END_HEADERS | RAW_END_STREAM, pseudo);
    feed(f);
    side_says(&f->p, &f->p.server, &f->r, "RST_STREAM 1 PROTOCOL_ERROR\nRST_STREAM 3 PROTOCOL_ERROR\n");
    side_expect(&f->p.server, "request 1 /a/B\nrequest 3 /a/B\nclose 1\nclose 3\n");
}

/* ---- slow and hostile peers ---- */

static void an_unfinished_message_is_seen_as_stalled(void **state)
{
    struct fixture *f = *state;
    f->p.now = 5000;
    raw_call(&f->in, 1, 0, "/a/B");
    feed(f);
    assert_false(h2_input_stalled(f->p.server.c, 100000)); /* an idle call is no offence */
    raw_data(&f->in, 1, 0, bytes_of("\0", 1));
    feed(f);
    assert_true(h2_input_stalled(f->p.server.c, 5001));
    assert_false(h2_input_stalled(f->p.server.c, 5000));
    f->p.now = 7000; /* another byte does not make it younger */
    raw_data(&f->in, 1, 0, bytes_of("\0", 1));
    feed(f);
    assert_true(h2_input_stalled(f->p.server.c, 5001));
    f->p.now = 8000; /* the message is whole, the next begins */
    raw_data(&f->in, 1, 0, bytes_of("\0\0\1x\0", 5));
    feed(f);
    assert_false(h2_input_stalled(f->p.server.c, 8000));
    assert_true(h2_input_stalled(f->p.server.c, 8001));
    raw_reset(&f->in, 1, NGHTTP2_CANCEL);
    feed(f);
    assert_false(h2_input_stalled(f->p.server.c, 100000));
}

static void an_unfinished_header_list_is_seen_as_stalled(void **state)
{
    struct fixture *f = *state;
    f->p.now = 5000;
    raw_frame(&f->in, NGHTTP2_HEADERS, 0, 1, bytes_of("\x83", 1));
    feed(f);
    assert_true(h2_input_stalled(f->p.server.c, 5001));
    f->p.now = 9000;
    raw_frame(&f->in, NGHTTP2_CONTINUATION, 0, 1, bytes_of("\x86", 1));
    feed(f);
    assert_true(h2_input_stalled(f->p.server.c, 5001));
    raw_frame(&f->in, NGHTTP2_CONTINUATION, RAW_END_HEADERS, 1, bytes_of("\x84", 1));
    feed(f);
    assert_false(h2_input_stalled(f->p.server.c, 100000));
}

/* grpc-go cancels by RST_STREAM: a burst of thousands is no attack. */
static void a_burst_of_cancelled_calls_is_borne(void **state)
{
    struct fixture *f = *state;
    f->p.server.quiet = true;
    for (uint32_t i = 0; i < 20000; i++) {
        raw_call(&f->in, 2 * i + 1, 0, "/a/B");
        raw_reset(&f->in, 2 * i + 1, NGHTTP2_CANCEL);
        feed(f);
    }
    assert_false(f->p.server.dead);
    assert_int_equal(f->p.server.n_requests, 20000);
    assert_int_equal(f->p.server.n_closes, 20000);
}

static void resets_without_end_close_the_connection(void **state)
{
    (void)state;
    struct h2_limits limits = {.resets_max_per_s = 10};
    struct fixture f = {0};
    pair_init(&f.p, &limits, NULL);
    raw_reader_init(&f.r);
    raw_preface(&f.in);
    uint32_t id = 1;
    for (int i = 0; i < 100; i++, id += 2) { /* ten seconds' worth at once */
        raw_call(&f.in, id, 0, "/a/B");
        raw_reset(&f.in, id, NGHTTP2_CANCEL);
    }
    feed(&f);
    assert_false(f.p.server.dead);
    f.p.now += 1000; /* a second brings ten more */
    for (int i = 0; i < 10; i++, id += 2) {
        raw_call(&f.in, id, 0, "/a/B");
        raw_reset(&f.in, id, NGHTTP2_CANCEL);
    }
    feed(&f);
    assert_false(f.p.server.dead);
    raw_call(&f.in, id, 0, "/a/B");
    raw_reset(&f.in, id, NGHTTP2_CANCEL);
    feed(&f);
    assert_int_equal(f.p.server.error, TENURE_ELIMIT);
    assert_string_equal(f.p.server.why.text, "HTTP/2: the peer resets more than 10 streams a second");
    side_says(&f.p, &f.p.server, &f.r, "GOAWAY 221 ENHANCE_YOUR_CALM\n");
    pair_fini(&f.p);
    raw_reader_fini(&f.r);
    buf_fini(&f.in);
}

/* A peer can have us reset a stream by breaking its rules; that must not be cheaper than resetting it itself. */
static void broken_window(struct buf *in, uint32_t id)
{
    raw_call(in, id, 0, "/a/B");
    raw_window(in, id, INT32_MAX);
}

static void broken_request(struct buf *in, uint32_t id)
{
    static const char *const no_path[] = {":method", "POST", ":scheme", "http", NULL};
    raw_headers(in, id, RAW_END_HEADERS, no_path);
}

static void streams_reset_for_broken_rules_count_too(void **state)
{
    static void (*const breaks[])(struct buf * in, uint32_t id) = {broken_window, broken_request};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(breaks); i++) {
        struct h2_limits limits = {.resets_max_per_s = 1};
        struct pair p;
        struct buf in = {0};
        pair_init(&p, &limits, NULL);
        raw_preface(&in);
        for (uint32_t id = 1; id < 24; id += 2)
            breaks[i](&in, id);
        side_feed(&p, &p.server, buf_bytes(&in));
        assert_int_equal(p.server.error, TENURE_ELIMIT);
        buf_fini(&in);
        pair_fini(&p);
    }
}

static void pings_that_are_never_read_close_the_connection(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 100000 && !f->p.server.dead; i++) {
        raw_frame(&f->in, NGHTTP2_PING, 0, 0, bytes_of("12345678", 8));
        feed(f);
    }
    assert_int_equal(f->p.server.error, TENURE_ELIMIT);
    assert_in_range(h2_queued(f->p.server.c), 1000, 64 * 1024); /* the acknowledgements that wait */
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_headers_data_and_trailers),
        TEST(a_failure_is_one_frame_with_an_encoded_text),
        TEST(a_failure_behind_messages_is_in_the_trailers),
        TEST(a_client_that_still_sends_is_told_to_stop_after_the_answer),
        TEST(nothing_is_delivered_after_the_call_was_finished),
        cmocka_unit_test(what_is_no_grpc_call_is_answered_without_asking),
        TEST(a_body_behind_a_request_that_was_turned_away_is_ignored),
        TEST(the_kinds_of_grpc_are_taken),
        TEST(metadata_beyond_the_bound_is_refused),
        TEST(a_request_tells_its_timeout_and_metadata_in_order),
        TEST(an_empty_data_frame_may_end_the_request),
        TEST(priorities_padding_and_unknown_things_change_nothing),
        TEST(trailers_of_a_client_end_its_request),
        TEST(many_messages_may_share_a_frame_and_one_may_need_many),
        TEST(a_compressed_message_is_unimplemented),
        TEST(a_flag_that_does_not_exist_is_an_internal_error),
        TEST(a_message_over_the_bound_is_refused_by_its_length),
        TEST(a_request_that_ends_within_a_message_is_an_internal_error),
        cmocka_unit_test(unfinished_messages_of_all_streams_share_a_bound),
        cmocka_unit_test(the_server_announces_its_limits),
        cmocka_unit_test(streams_beyond_the_limit_are_refused_unprocessed),
        TEST(a_peer_is_established_with_its_first_frame),
        TEST(what_is_not_http2_ends_the_connection),
        cmocka_unit_test(a_broken_connection_is_told_at_once_and_by_goaway),
        TEST(a_frame_beyond_the_announced_size_ends_the_connection),
        TEST(a_broken_stream_leaves_the_others_alone),
        TEST(a_whole_url_as_authority_is_taken),
        TEST(headers_within_a_request_that_do_not_end_it_reset_it),
        TEST(an_unfinished_message_is_seen_as_stalled),
        TEST(an_unfinished_header_list_is_seen_as_stalled),
        TEST(a_burst_of_cancelled_calls_is_borne),
        cmocka_unit_test(resets_without_end_close_the_connection),
        cmocka_unit_test(streams_reset_for_broken_rules_count_too),
        TEST(pings_that_are_never_read_close_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
