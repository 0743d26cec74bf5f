/* The client against hand-made servers: how each call ends, and what is claimed about calls that did not. */
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
    raw_frame(&f->in, NGHTTP2_SETTINGS, 0, 0, bytes_of(NULL, 0));
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
    side_feed(&f->p, &f->p.client, buf_bytes(&f->in));
    buf_reset(&f->in);
}

/* A call whose request has gone out. */
static struct h2_stream *call(struct fixture *f)
{
    struct h2_stream *st = pair_call(&f->p, "/a/B");
    pair_send(st, "x");
    assert_int_equal(h2_half_close(st), 0);
    side_says_whatever(&f->p, &f->p.client, &f->r);
    return st;
}

static const char *const OK_HEADERS[] = {":status", "200", "content-type", "application/grpc", NULL};
static const char *const OK_TRAILERS[] = {"grpc-status", "0", NULL};

/* ---- what goes out ---- */

static void a_call_is_headers_and_data(void **state)
{
    struct fixture *f = *state;
    const struct h2_header meta[] = {{bytes_str("hasleader"), bytes_str("true")}};
    struct h2_stream *st = h2_call(f->p.client.c, "/a/B", "host:1", 2500, meta, 1, NULL);
    assert_non_null(st);
    pair_send(st, "hello");
    assert_int_equal(h2_half_close(st), 0);
    side_says(&f->p, &f->p.client, &f->r,
              "HEADERS 1, :method POST, :scheme http, :path /a/B, :authority host:1, te trailers, "
              "content-type application/grpc, user-agent tenure/" TENURE_VERSION
              ", grpc-timeout 2500m, hasleader true\n"
              "DATA 1 end 10\n");
}

static void a_client_over_tls_says_https(void **state)
{
    struct fixture *f = *state;
    pair_fini(&f->p);
    pair_init(&f->p, NULL, &(struct h2_limits){.https = true});
    assert_non_null(pair_call(&f->p, "/a/B"));
    side_says(&f->p, &f->p.client, &f->r,
              "HEADERS 1, :method POST, :scheme https, :path /a/B, :authority localhost, te trailers, "
              "content-type application/grpc, user-agent tenure/" TENURE_VERSION "\n");
}

static void many_headers_go_out_in_order(void **state)
{
    struct fixture *f = *state;
    struct h2_header meta[30];
    for (size_t i = 0; i < ARRAY_LEN(meta); i++)
        meta[i] = (struct h2_header){bytes_str("token"), bytes_of(&"abcdefghijklmnopqrstuvwxyz0123456789"[i], 1)};
    assert_non_null(h2_call(f->p.client.c, "/a/B", "h", -1, meta, ARRAY_LEN(meta), NULL));
    while (side_write(&f->p, &f->p.client)) {
    }
    side_feed(&f->p, &f->p.server, buf_bytes(&f->p.client.wire));
    assert_int_equal(f->p.server.n_requests, 1);
}

static void a_stream_stays_open_until_it_is_half_closed(void **state)
{
    struct fixture *f = *state;
    struct h2_stream *st = pair_call(&f->p, "/a/B");
    pair_send(st, "1");
    side_says(&f->p, &f->p.client, &f->r,
              "HEADERS 1, :method POST, :scheme http, :path /a/B, :authority localhost, te trailers, "
              "content-type application/grpc, user-agent tenure/" TENURE_VERSION "\n"
              "DATA 1 6\n");
    pair_send(st, "22");
    side_says(&f->p, &f->p.client, &f->r, "DATA 1 7\n");
    assert_int_equal(h2_half_close(st), 0);
    side_says(&f->p, &f->p.client, &f->r, "DATA 1 end 0\n");
    pair_send(st, "too late");
    side_says(&f->p, &f->p.client, &f->r, "");
}

/* ---- how calls end ---- */

static void trailers_end_a_call(void **state)
{
    struct fixture *f = *state;
    static const char *const trailers[] = {"grpc-status", "5", "grpc-message", "no %25 such%20key", NULL};
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_message(&f->in, 1, 0, "answer");
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, trailers);
    feed(f);
    side_expect(&f->p.client, "message 1 \"answer\"\nstatus 1 NOT_FOUND \"no % such key\"\nclose 1\n");
    assert_false(f->p.client.last_unprocessed);
}

static void an_answer_may_be_trailers_only(void **state)
{
    struct fixture *f = *state;
    static const char *const both[] = {
        ":status",     "200", "content-type", "application/grpc",
        "grpc-status", "11",  "grpc-message", "etcdserver: mvcc: required revision has been compacted",
        NULL};
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, both);
    feed(f);
    side_expect(&f->p.client,
                "status 1 OUT_OF_RANGE \"etcdserver: mvcc: required revision has been compacted\"\nclose 1\n");
}

static void interim_answers_are_passed_over(void **state)
{
    struct fixture *f = *state;
    static const char *const interim[] = {":status", "103", NULL};
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, interim);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    side_expect(&f->p.client, "status 1 OK \"\"\nclose 1\n");
}

/* The server may have said all while we still send: the stream must not stay. */
static void an_answer_before_half_close_closes_the_stream(void **state)
{
    struct fixture *f = *state;
    struct h2_stream *st = pair_call(&f->p, "/a/B");
    pair_send(st, "x");
    side_says_whatever(&f->p, &f->p.client, &f->r);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    pair_send(st, "nobody listens");
    while (side_write(&f->p, &f->p.client)) {
    }
    side_expect(&f->p.client, "status 1 OK \"\"\nclose 1\n");
    assert_int_equal(h2_streams(f->p.client.c), 0);
}

struct ending {
    const char *http_status, *content_type, *grpc_status;
    const char *record;
};

static void an_answer_that_is_not_grpc_gets_the_status_grpc_lays_down(void **state)
{
    static const struct ending cases[] = {
        {"404", "text/html", NULL, "status 1 UNIMPLEMENTED \"unexpected HTTP status 404\"\nclose 1\n"},
        {"503", "text/html", NULL, "status 1 UNAVAILABLE \"unexpected HTTP status 503\"\nclose 1\n"},
        {"401", "text/html", NULL, "status 1 UNAUTHENTICATED \"unexpected HTTP status 401\"\nclose 1\n"},
        {"500", "text/html", NULL, "status 1 UNKNOWN \"unexpected HTTP status 500\"\nclose 1\n"},
        {"200", "text/html", NULL,
         "status 1 UNKNOWN \"the answer is not gRPC: content-type \"text/html\"\"\nclose 1\n"},
        {"415", "application/grpc", "3", "status 1 INVALID_ARGUMENT \"\"\nclose 1\n"}, /* grpc-status comes first */
        {"200", "application/grpc", "77", "status 1 UNKNOWN \"\"\nclose 1\n"},
        {"200", "application/grpc", NULL, "status 1 UNKNOWN \"the server ended the call without a status\"\nclose 1\n"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = NULL;
        assert_int_equal(setup((void **)&f), 0);
        const char *const pairs[] = {":status",
                                     cases[i].http_status,
                                     "content-type",
                                     cases[i].content_type,
                                     cases[i].grpc_status ? "grpc-status" : NULL,
                                     cases[i].grpc_status,
                                     NULL};
        call(f);
        raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, pairs);
        feed(f);
        side_expect(&f->p.client, cases[i].record);
        teardown((void **)&f);
    }
}

static void a_page_in_place_of_an_answer_ends_the_call_without_reading_it(void **state)
{
    struct fixture *f = *state;
    static const char *const html[] = {":status", "502", "content-type", "text/html", NULL};
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, html);
    raw_data(&f->in, 1, 0, bytes_str("<html>bad gateway</html>"));
    feed(f);
    side_says(&f->p, &f->p.client, &f->r, "RST_STREAM 1 CANCEL\n");
    side_expect(&f->p.client, "status 1 UNAVAILABLE \"unexpected HTTP status 502\"\nclose 1\n");
}

static void data_that_ends_the_stream_is_no_status(void **state)
{
    struct fixture *f = *state;
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_message(&f->in, 1, RAW_END_STREAM, "answer");
    feed(f);
    side_expect(&f->p.client, "message 1 \"answer\"\n"
                              "status 1 UNKNOWN \"the server ended the call without a status\"\nclose 1\n");
}

static void success_within_a_message_is_an_internal_error(void **state)
{
    struct fixture *f = *state;
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_data(&f->in, 1, 0, bytes_of("\0\0\0\0\5ab", 7));
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    side_expect(&f->p.client, "status 1 INTERNAL \"grpc: the answer ends within a message\"\nclose 1\n");
}

static void a_compressed_or_malformed_answer_ends_the_call(void **state)
{
    struct fixture *f = *state;
    call(f);
    call(f);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_data(&f->in, 1, 0, bytes_of("\1\0\0\0\1x", 6));
    raw_headers(&f->in, 3, RAW_END_HEADERS, OK_HEADERS);
    raw_data(&f->in, 3, 0, bytes_of("\7\0\0\0\1x", 6));
    feed(f);
    side_says(&f->p, &f->p.client, &f->r, "RST_STREAM 1 CANCEL\nRST_STREAM 3 CANCEL\n");
    side_expect(&f->p.client, "status 1 UNIMPLEMENTED \"grpc: compressed messages are not supported\"\n"
                              "status 3 INTERNAL \"grpc: malformed message frame\"\n"
                              "close 1\nclose 3\n");
}

static void a_reset_ends_a_call_by_its_code(void **state)
{
    static const struct {
        uint32_t code;
        const char *record;
        bool unprocessed;
    } cases[] = {
        {NGHTTP2_REFUSED_STREAM, "status 1 UNAVAILABLE \"the server reset the call: REFUSED_STREAM\"\nclose 1\n", true},
        {NGHTTP2_CANCEL, "status 1 CANCELLED \"the server reset the call: CANCEL\"\nclose 1\n", false},
        {NGHTTP2_INTERNAL_ERROR, "status 1 INTERNAL \"the server reset the call: INTERNAL_ERROR\"\nclose 1\n", false},
        {NGHTTP2_NO_ERROR, "status 1 INTERNAL \"the server reset the call: NO_ERROR\"\nclose 1\n", false},
        {NGHTTP2_ENHANCE_YOUR_CALM,
         "status 1 RESOURCE_EXHAUSTED \"the server reset the call: ENHANCE_YOUR_CALM\"\nclose 1\n", false},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture *f = NULL;
        assert_int_equal(setup((void **)&f), 0);
        call(f);
        raw_reset(&f->in, 1, cases[i].code);
        feed(f);
        side_expect(&f->p.client, cases[i].record);
        assert_int_equal(f->p.client.last_unprocessed, cases[i].unprocessed);
        teardown((void **)&f);
    }
}

/* ---- giving up ---- */

static void a_call_given_up_before_it_was_written_leaves_no_trace(void **state)
{
    struct fixture *f = *state;
    struct h2_stream *st = pair_call(&f->p, "/a/B");
    pair_send(st, "x");
    h2_reset(st);
    side_expect(&f->p.client, ""); /* no callback from a send */
    assert_true(h2_wants_output(f->p.client.c));
    h2_reset(st); /* twice is once */
    side_says(&f->p, &f->p.client, &f->r, "");
    side_expect(&f->p.client, "close 1\n");
    assert_true(f->p.client.last_unprocessed);
    call(f); /* and the connection goes on */
    assert_int_equal(h2_streams(f->p.client.c), 1);
}

static void a_call_given_up_under_way_is_cancelled_on_the_wire(void **state)
{
    struct fixture *f = *state;
    struct h2_stream *st = call(f);
    h2_reset(st);
    side_says(&f->p, &f->p.client, &f->r, "RST_STREAM 1 CANCEL\n");
    side_expect(&f->p.client, "close 1\n");
    assert_false(f->p.client.last_unprocessed);
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS); /* what the server had sent before it knew */
    raw_message(&f->in, 1, 0, "late");
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    side_expect(&f->p.client, "");
    assert_false(f->p.client.dead);
}

/* ---- the peer's limit of streams ---- */

static void calls_beyond_the_peers_limit_wait_and_can_be_given_up(void **state)
{
    struct fixture *f = *state;
    raw_settings(&f->in, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    feed(f);
    call(f);
    struct h2_stream *second = call(f), *third = call(f);
    h2_reset(second);
    side_says(&f->p, &f->p.client, &f->r, "");
    side_expect(&f->p.client, "close 3\n"); /* without waiting for the first */
    assert_true(f->p.client.last_unprocessed);
    assert_false(h2_stream_unprocessed(third));
    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    side_says(&f->p, &f->p.client, &f->r,
              "HEADERS 5, :method POST, :scheme http, :path /a/B, :authority localhost, te trailers, "
              "content-type application/grpc, user-agent tenure/" TENURE_VERSION "\nDATA 5 end 6\n");
}

/* ---- GOAWAY ---- */

static void goaway_fails_what_was_not_processed_and_lets_the_rest_end(void **state)
{
    struct fixture *f = *state;
    call(f);
    call(f);
    struct h2_stream *unwritten = pair_call(&f->p, "/a/C");
    (void)unwritten;
    raw_goaway(&f->in, 1, NGHTTP2_NO_ERROR, "bye");
    feed(f);
    side_expect(&f->p.client, "goaway last 1 code 0 \"bye\"\n"
                              "status 3 UNAVAILABLE \"the server reset the call: REFUSED_STREAM\"\nclose 3\n"
                              "status 5 UNAVAILABLE \"the connection takes no new calls\"\nclose 5\n");
    assert_true(f->p.client.last_unprocessed);
    assert_null(h2_call(f->p.client.c, "/a/D", "h", -1, NULL, 0, NULL));
    assert_false(h2_done(f->p.client.c));

    raw_headers(&f->in, 1, RAW_END_HEADERS, OK_HEADERS);
    raw_headers(&f->in, 1, RAW_END_HEADERS | RAW_END_STREAM, OK_TRAILERS);
    feed(f);
    side_expect(&f->p.client, "status 1 OK \"\"\nclose 1\n");
    while (side_write(&f->p, &f->p.client)) {
    }
    assert_true(h2_done(f->p.client.c));
}

static void goaway_fails_calls_that_wait_for_the_peers_limit(void **state)
{
    struct fixture *f = *state;
    raw_settings(&f->in, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1);
    feed(f);
    call(f);
    call(f);
    raw_goaway(&f->in, 1, NGHTTP2_NO_ERROR, "");
    feed(f);
    side_expect(&f->p.client, "goaway last 1 code 0 \"\"\n"
                              "status 3 UNAVAILABLE \"the connection takes no new calls\"\nclose 3\n");
    assert_true(f->p.client.last_unprocessed);
}

static void give_up_the_other(struct side *s, struct h2_stream *st, enum grpc_status status)
{
    (void)st;
    (void)status;
    struct h2_stream *other = s->user;
    if (other)
        h2_reset(other);
    s->user = NULL;
}

static void a_call_given_up_in_a_callback_about_another_is_safe(void **state)
{
    struct fixture *f = *state;
    f->p.client.when_status = give_up_the_other;
    call(f);
    f->p.client.user = pair_call(&f->p, "/a/B"); /* 3: not written yet */
    raw_goaway(&f->in, 0, NGHTTP2_NO_ERROR, "");
    feed(f);
    assert_int_equal(f->p.client.n_closes, 2);
    assert_int_equal(h2_streams(f->p.client.c), 0);
    side_says(&f->p, &f->p.client, &f->r, ""); /* no reset of a stream that the peer never saw */
}

static void a_second_goaway_may_lower_the_last_id(void **state)
{
    struct fixture *f = *state;
    call(f);
    call(f);
    raw_goaway(&f->in, 2147483647, NGHTTP2_NO_ERROR, "");
    feed(f);
    side_expect(&f->p.client, "goaway last 2147483647 code 0 \"\"\n");
    raw_goaway(&f->in, 1, NGHTTP2_ENHANCE_YOUR_CALM, "too_many_pings");
    feed(f);
    side_expect(&f->p.client, "goaway last 1 code 11 \"too_many_pings\"\n"
                              "status 3 UNAVAILABLE \"the server reset the call: REFUSED_STREAM\"\nclose 3\n");
}

/* ---- the rest ---- */

static void a_ping_is_answered_and_its_answer_told(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(h2_ping(f->p.client.c, 42), 0);
    pair_settle(&f->p);
    side_expect(&f->p.client, "pong 42\n");
}

static void freeing_ends_every_call_without_a_status(void **state)
{
    struct fixture *f = *state;
    call(f);
    pair_call(&f->p, "/a/B");
    h2_reset(pair_call(&f->p, "/a/B"));
    f->p.client.c = h2_free(f->p.client.c);
    side_expect(&f->p.client, "close 1\nclose 3\nclose 5\n");
}

static void call_again(struct side *s, struct h2_stream *st)
{
    (void)st;
    assert_null(h2_call(s->c, "/a/B", "h", -1, NULL, 0, NULL));
    h2_goaway(s->c);
    assert_int_equal(h2_ping(s->c, 1), 0);
}

static void no_call_can_begin_while_freeing(void **state)
{
    struct fixture *f = *state;
    f->p.client.when_close = call_again;
    call(f);
    f->p.client.c = h2_free(f->p.client.c);
    side_expect(&f->p.client, "close 1\n");
}

static void a_server_that_pushes_is_refused(void **state)
{
    struct fixture *f = *state;
    call(f);
    raw_frame(&f->in, NGHTTP2_PUSH_PROMISE, RAW_END_HEADERS, 1, bytes_of("\0\0\0\2\x82", 5));
    feed(f);
    assert_true(f->p.client.error == TENURE_EPROTOCOL || f->p.client.n_requests == 0);
}

static void large_metadata_of_an_answer_ends_the_call(void **state)
{
    struct fixture *f = *state;
    static char large[17 << 10];
    memset(large, 'a', sizeof large - 1);
    const char *const pairs[] = {":status", "200", "content-type", "application/grpc", "large", large, NULL};
    struct buf block = {0};
    call(f);
    raw_header_block(&block, pairs);
    raw_frame(&f->in, NGHTTP2_HEADERS, 0, 1, bytes_of(block.data, 16000));
    raw_frame(&f->in, NGHTTP2_CONTINUATION, RAW_END_HEADERS, 1, bytes_of(block.data + 16000, block.len - 16000));
    buf_fini(&block);
    feed(f);
    side_says(&f->p, &f->p.client, &f->r, "RST_STREAM 1 CANCEL\n");
    side_expect(&f->p.client, "status 1 RESOURCE_EXHAUSTED \"the answer's metadata is too large\"\nclose 1\n");
}

static void what_is_not_http2_ends_the_connection(void **state)
{
    struct fixture *f = *state;
    buf_reset(&f->in);
    buf_append_bytes(&f->in, bytes_str("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
    feed(f);
    assert_int_equal(f->p.client.error, TENURE_EPROTOCOL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_call_is_headers_and_data),
        TEST(a_client_over_tls_says_https),
        TEST(many_headers_go_out_in_order),
        TEST(a_stream_stays_open_until_it_is_half_closed),
        TEST(trailers_end_a_call),
        TEST(an_answer_may_be_trailers_only),
        TEST(interim_answers_are_passed_over),
        TEST(an_answer_before_half_close_closes_the_stream),
        cmocka_unit_test(an_answer_that_is_not_grpc_gets_the_status_grpc_lays_down),
        TEST(a_page_in_place_of_an_answer_ends_the_call_without_reading_it),
        TEST(data_that_ends_the_stream_is_no_status),
        TEST(success_within_a_message_is_an_internal_error),
        TEST(a_compressed_or_malformed_answer_ends_the_call),
        cmocka_unit_test(a_reset_ends_a_call_by_its_code),
        TEST(a_call_given_up_before_it_was_written_leaves_no_trace),
        TEST(a_call_given_up_under_way_is_cancelled_on_the_wire),
        TEST(calls_beyond_the_peers_limit_wait_and_can_be_given_up),
        TEST(goaway_fails_what_was_not_processed_and_lets_the_rest_end),
        TEST(goaway_fails_calls_that_wait_for_the_peers_limit),
        TEST(a_call_given_up_in_a_callback_about_another_is_safe),
        TEST(a_second_goaway_may_lower_the_last_id),
        TEST(a_ping_is_answered_and_its_answer_told),
        TEST(freeing_ends_every_call_without_a_status),
        TEST(no_call_can_begin_while_freeing),
        TEST(a_server_that_pushes_is_refused),
        TEST(large_metadata_of_an_answer_ends_the_call),
        TEST(what_is_not_http2_ends_the_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
