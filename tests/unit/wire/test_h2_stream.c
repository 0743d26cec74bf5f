/* Streams under flow control: windows, queues, drains, fairness, shared parts, and calls from within callbacks. */
#include "raw.h"
#include "tenure/error.h"

/* A pair with a call open on it whose client only receives. */
static struct h2_stream *open_call(struct pair *p)
{
    pair_call(p, "/a/B");
    pair_settle(p);
    return p->server.last;
}

static struct blob *make_blob(size_t len)
{
    struct blob *b = blob_new(len);
    assert_non_null(b);
    for (size_t i = 0; i < len; i++)
        b->data[i] = (uint8_t)(i * 7 + i / 256);
    return b;
}

/* ---- windows ---- */

static void three_megabytes_pass_through_windows_of_65535_bytes(void **state)
{
    (void)state;
    struct pair p;
    struct h2_limits small = {.window_bytes = 65535};
    struct blob *b = make_blob(3 << 20);
    const struct h2_part part = {.shared = b};
    pair_init(&p, NULL, &small);
    struct h2_stream *st = open_call(&p);
    side_forget(&p.client);
    assert_int_equal(h2_send_parts(st, &part, 1), 0);
    assert_int_equal(b->refs, 2); /* not copied */
    assert_int_equal(h2_queued(p.server.c), b->len + 5);

    size_t written = 0; /* without an acknowledgement no more than a window leaves */
    while (side_write(&p, &p.server)) {
    }
    written = p.server.wire.len;
    assert_true(written > 65535 && written < 65535 + 200);
    assert_int_equal(h2_queued(p.server.c), b->len + 5 - 65535);
    assert_false(h2_wants_output(p.server.c));

    assert_int_equal(h2_finish(st, GRPC_OK, NULL), 0);
    pair_settle(&p);
    assert_int_equal(p.client.n_messages, 1);
    assert_int_equal(p.client.n_statuses, 1);
    assert_int_equal(h2_queued(p.server.c), 0);
    assert_int_equal(b->refs, 1);
    blob_unref(b);
    pair_fini(&p);
}

static void a_large_request_passes_too(void **state)
{
    (void)state;
    struct pair p;
    struct h2_limits small = {.window_bytes = 65535};
    struct blob *b = make_blob(2 << 20);
    pair_init(&p, &small, NULL);
    struct h2_stream *st = pair_call(&p, "/a/B");
    assert_int_equal(h2_send_message(st, blob_bytes(b)), 0);
    assert_int_equal(h2_half_close(st), 0);
    pair_settle(&p);
    assert_int_equal(p.server.n_messages, 1);
    assert_int_equal(p.server.n_half_closes, 1);
    blob_unref(b);
    pair_fini(&p);
}

static void a_window_can_shrink_below_zero_and_open_again(void **state)
{
    (void)state;
    struct pair p;
    struct raw_reader r;
    struct buf in = {0};
    struct blob *b = make_blob(60000);
    pair_init(&p, NULL, NULL);
    raw_reader_init(&r);
    raw_preface(&in);
    raw_call(&in, 1, RAW_END_STREAM, "/a/B");
    side_feed(&p, &p.server, buf_bytes(&in));
    assert_int_equal(h2_send_message(p.server.last, blob_bytes(b)), 0);
    side_says(&p, &p.server, &r,
              "HEADERS 1, :status 200, content-type application/grpc\n"
              "DATA 1 16384\nDATA 1 16384\nDATA 1 16384\nDATA 1 10853\n");
    assert_int_equal(h2_send_message(p.server.last, blob_bytes(b)), 0);
    buf_reset(&in);
    raw_settings(&in, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1000);
    side_feed(&p, &p.server, buf_bytes(&in));
    side_says(&p, &p.server, &r, "");
    buf_reset(&in);
    raw_window(&in, 1, 60000 - 1000 + 5 + 10); /* ten above zero */
    side_feed(&p, &p.server, buf_bytes(&in));
    side_says(&p, &p.server, &r, "DATA 1 10\n");
    blob_unref(b);
    buf_fini(&in);
    raw_reader_fini(&r);
    pair_fini(&p);
}

static void streams_share_the_way_out(void **state)
{
    (void)state;
    struct pair p;
    struct buf in = {0};
    struct blob *b = make_blob(1 << 20);
    pair_init(&p, NULL, NULL);
    raw_preface(&in);
    raw_settings(&in, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20);
    raw_call(&in, 1, RAW_END_STREAM, "/large");
    side_feed(&p, &p.server, buf_bytes(&in));
    assert_int_equal(h2_send_message(p.server.last, blob_bytes(b)), 0);
    p.output_max = 20000;
    side_write(&p, &p.server);
    buf_reset(&p.server.wire);
    buf_reset(&in);
    raw_call(&in, 3, RAW_END_STREAM, "/small");
    side_feed(&p, &p.server, buf_bytes(&in));
    pair_send(p.server.last, "quick");
    assert_int_equal(h2_finish(p.server.last, GRPC_OK, NULL), 0);
    /* The connection's window of 65,535 bytes lets only so much pass: the small answer is among it. */
    while (side_write(&p, &p.server)) {
    }
    assert_int_equal(p.server.n_closes, 1);
    assert_true(h2_queued(p.server.c) > 900000);
    blob_unref(b);
    buf_fini(&in);
    pair_fini(&p);
}

/* ---- output in portions ---- */

static void output_comes_in_portions_of_about_the_size_asked_for(void **state)
{
    (void)state;
    struct pair p;
    struct blob *b = make_blob(500000);
    const struct h2_part part = {.shared = b};
    pair_init(&p, NULL, NULL);
    struct h2_stream *st = open_call(&p);
    assert_int_equal(h2_send_parts(st, &part, 1), 0);
    p.output_max = 40000;
    size_t rounds = 0;
    while (h2_wants_output(p.server.c)) {
        side_write(&p, &p.server);
        assert_true(p.server.wire.len < 40000 + 16384 + 100);
        buf_reset(&p.server.wire);
        rounds++;
    }
    assert_true(rounds >= 9 && rounds <= 14);
    blob_unref(b);
    pair_fini(&p);
}

static void small_messages_share_a_frame(void **state)
{
    (void)state;
    struct pair p;
    struct raw_reader r;
    struct buf in = {0};
    pair_init(&p, NULL, NULL);
    raw_reader_init(&r);
    raw_preface(&in);
    raw_call(&in, 1, 0, "/a/B");
    side_feed(&p, &p.server, buf_bytes(&in));
    for (int i = 0; i < 100; i++)
        pair_send(p.server.last, "0123456789");
    side_says(&p, &p.server, &r, "HEADERS 1, :status 200, content-type application/grpc\nDATA 1 1500\n");
    buf_fini(&in);
    raw_reader_fini(&r);
    pair_fini(&p);
}

/* ---- drains ---- */

static void a_drain_is_told_once_when_the_queue_has_fallen(void **state)
{
    (void)state;
    struct pair p;
    struct h2_limits small = {.window_bytes = 65535};
    struct blob *b = make_blob(200000);
    pair_init(&p, NULL, &small);
    struct h2_stream *st = open_call(&p);
    side_forget(&p.server);
    assert_int_equal(h2_send_message(st, blob_bytes(b)), 0);
    h2_notify_drain(st, 100000);
    while (side_write(&p, &p.server)) {
    }
    assert_int_equal(p.server.n_drains, 0);
    pair_settle(&p);
    side_expect(&p.server, "drain 1\n");

    h2_notify_drain(st, 0); /* already so: told by the next output, not by this call */
    side_expect(&p.server, "");
    assert_true(h2_wants_output(p.server.c));
    side_write(&p, &p.server);
    side_expect(&p.server, "drain 1\n");
    assert_false(h2_wants_output(p.server.c));
    blob_unref(b);
    pair_fini(&p);
}

static void send_more_and_ask_again(struct side *s, struct h2_stream *st)
{
    if (s->n_drains < 5)
        pair_send(st, "more");
    h2_notify_drain(st, 1000);
}

static void asking_again_from_the_callback_does_not_loop(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    struct h2_stream *st = open_call(&p);
    p.server.when_drain = send_more_and_ask_again;
    h2_notify_drain(st, 1000);
    side_write(&p, &p.server);
    assert_true(p.server.n_drains >= 1 && p.server.n_drains <= 3);
    for (int i = 0; i < 10; i++)
        side_write(&p, &p.server);
    side_feed(&p, &p.client, buf_bytes(&p.server.wire));
    assert_int_equal(p.client.n_messages, 4);
    pair_fini(&p);
}

static void a_closed_stream_drains_no_more(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    struct h2_stream *st = open_call(&p);
    side_forget(&p.server);
    pair_send(st, "x");
    h2_notify_drain(st, 0);
    h2_reset(st);
    h2_notify_drain(st, 0);
    pair_settle(&p);
    assert_true(p.server.n_drains <= 1);
    assert_int_equal(p.server.n_closes, 1);
    pair_fini(&p);
}

/* ---- resets ---- */

static void a_reset_drops_what_is_queued(void **state)
{
    (void)state;
    struct pair p;
    struct blob *b = make_blob(500000);
    const struct h2_part part = {.shared = b};
    pair_init(&p, NULL, NULL);
    struct h2_stream *st = open_call(&p);
    side_forget(&p.client);
    side_forget(&p.server);
    assert_int_equal(h2_send_parts(st, &part, 1), 0);
    p.output_max = 10000;
    side_write(&p, &p.server); /* in the middle of the message */
    h2_reset(st);
    assert_int_equal(b->refs, 1);
    assert_int_equal(h2_stream_queued(st), 0);
    pair_settle(&p);
    side_expect(&p.server, "close 1\n");
    side_expect(&p.client, "status 1 CANCELLED \"the server reset the call: CANCEL\"\nclose 1\n");
    blob_unref(b);
    pair_fini(&p);
}

static void reset_here(struct side *s, struct h2_stream *st, bytes message)
{
    uint8_t first = message.data[0];
    h2_reset(st);
    assert_int_equal(message.data[0], first); /* borrowed until the callback returns */
    h2_reset(st);
    pair_send(st, "nobody reads this");
    (void)s;
}

/* However the message came: in one chunk, or gathered. */
static void a_stream_may_be_reset_while_its_message_is_looked_at(void **state)
{
    (void)state;
    for (size_t piece = 0; piece <= 3; piece++) {
        struct pair p;
        pair_init(&p, NULL, NULL);
        p.piece_max = piece;
        p.server.when_message = reset_here;
        struct h2_stream *st = pair_call(&p, "/a/B");
        pair_send(st, "first");
        pair_send(st, "second");
        assert_int_equal(h2_half_close(st), 0);
        pair_settle(&p);
        side_expect(&p.server, "request 1 /a/B\nmessage 1 \"first\"\nclose 1\n");
        side_expect(&p.client, "status 1 CANCELLED \"the server reset the call: CANCEL\"\nclose 1\n");
        pair_fini(&p);
    }
}

static void reset_other(struct side *s, struct h2_stream *st)
{
    struct h2_stream *other = s->user;
    s->user = NULL;
    if (other && other != st)
        h2_reset(other);
}

static void one_streams_close_may_reset_another(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    struct h2_stream *a = pair_call(&p, "/a/B"), *b = pair_call(&p, "/a/B");
    pair_settle(&p);
    p.client.when_close = reset_other;
    p.client.user = b;
    h2_reset(a);
    pair_settle(&p);
    assert_int_equal(p.client.n_closes, 2);
    assert_int_equal(p.server.n_closes, 2);
    pair_fini(&p);
}

/* ---- many ---- */

static void finish_at_once(struct side *s, struct h2_stream *st)
{
    (void)s;
    pair_send(st, "answer");
    assert_int_equal(h2_finish(st, GRPC_OK, NULL), 0);
}

static void thousands_of_streams_live_side_by_side(void **state)
{
    (void)state;
    enum { STREAMS = 5000 };
    struct pair p;
    static struct h2_stream *calls[STREAMS];
    pair_init(&p, NULL, NULL);
    p.server.quiet = p.client.quiet = true;
    p.server.when_half_close = finish_at_once;
    for (size_t i = 0; i < STREAMS; i++) {
        calls[i] = pair_call(&p, "/a/B");
        pair_send(calls[i], "question");
    }
    pair_settle(&p);
    assert_int_equal(h2_streams(p.server.c), STREAMS);
    for (size_t i = 0; i < STREAMS; i++)
        assert_int_equal(h2_half_close(calls[i]), 0);
    pair_settle(&p);
    assert_int_equal(p.client.n_messages, STREAMS);
    assert_int_equal(p.client.n_statuses, STREAMS);
    assert_int_equal(h2_streams(p.server.c) + h2_streams(p.client.c), 0);
    pair_fini(&p);
}

/* ---- GOAWAY by the server ---- */

static void a_server_that_goes_away_finishes_what_is_open(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    struct h2_stream *st = open_call(&p);
    h2_goaway(p.server.c);
    pair_settle(&p);
    side_forget(&p.client);
    assert_false(h2_done(p.server.c));
    assert_null(h2_call(p.client.c, "/a/C", "h", -1, NULL, 0, NULL));
    assert_int_equal(h2_finish(st, GRPC_UNAVAILABLE, "etcdserver: server stopped"), 0);
    pair_settle(&p);
    side_expect(&p.client, "status 1 UNAVAILABLE \"etcdserver: server stopped\"\nclose 1\n");
    assert_true(h2_done(p.server.c));
    assert_true(h2_done(p.client.c));
    pair_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_megabytes_pass_through_windows_of_65535_bytes),
        cmocka_unit_test(a_large_request_passes_too),
        cmocka_unit_test(a_window_can_shrink_below_zero_and_open_again),
        cmocka_unit_test(streams_share_the_way_out),
        cmocka_unit_test(output_comes_in_portions_of_about_the_size_asked_for),
        cmocka_unit_test(small_messages_share_a_frame),
        cmocka_unit_test(a_drain_is_told_once_when_the_queue_has_fallen),
        cmocka_unit_test(asking_again_from_the_callback_does_not_loop),
        cmocka_unit_test(a_closed_stream_drains_no_more),
        cmocka_unit_test(a_reset_drops_what_is_queued),
        cmocka_unit_test(a_stream_may_be_reset_while_its_message_is_looked_at),
        cmocka_unit_test(one_streams_close_may_reset_another),
        cmocka_unit_test(thousands_of_streams_live_side_by_side),
        cmocka_unit_test(a_server_that_goes_away_finishes_what_is_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
