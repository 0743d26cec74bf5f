/* The two engines joined: what both sides are told is the same however the bytes are cut, whoever gives up when, and
 * whichever allocation fails. */
#include "failmalloc.h"
#include "pair.h"
#include "tenure/error.h"

/* ---- one session that uses everything ---- */

/* A server with three kinds of calls: /echo answers each message, /refuse fails, /large answers with 200,000 bytes. */
static void serve_request(struct side *s, struct h2_stream *st, const struct h2_request *req)
{
    (void)s;
    char kind = req->path.len > 1 ? (char)req->path.data[1] : 0;
    h2_stream_set_user(st, (void *)(uintptr_t)kind);
}

static void give_up_if(int rc, struct h2_stream *st)
{
    if (rc)
        h2_reset(st);
}

static void serve_message(struct side *s, struct h2_stream *st, bytes message)
{
    (void)s;
    if ((uintptr_t)h2_stream_user(st) == 'e')
        give_up_if(h2_send_message(st, message), st);
}

static uint8_t large[200000];

static void serve_half_close(struct side *s, struct h2_stream *st)
{
    (void)s;
    char kind = (char)(uintptr_t)h2_stream_user(st);
    if (kind == 'l') {
        struct blob *b = blob_copy(bytes_of(large, sizeof large));
        const struct h2_part parts[] = {{.plain = bytes_str("head")}, {.shared = b}};
        give_up_if(b ? h2_send_parts(st, parts, 2) : TENURE_ENOMEM, st);
        blob_unref(b);
    }
    if (kind == 'r')
        give_up_if(h2_finish(st, GRPC_NOT_FOUND, "not h\xc3\xa9re"), st);
    else
        give_up_if(h2_finish(st, GRPC_OK, NULL), st);
}

static void serve(struct side *s)
{
    s->when_request = serve_request;
    s->when_message = serve_message;
    s->when_half_close = serve_half_close;
}

/* The steps of a session; between them the bytes move. */
enum { STEPS = 12, CALLS = 4 };

struct script {
    struct pair *p;
    struct h2_stream *calls[CALLS]; /* NULL once closed */
    int rc;                         /* the first failure of a send */
};

static void script_check(struct script *s, int rc)
{
    if (rc && !s->rc)
        s->rc = rc;
}

static void script_call(struct script *s, int i, const char *path)
{
    const struct h2_header meta[] = {{bytes_str("hasleader"), bytes_str("true")}};
    s->calls[i] = h2_call(s->p->client.c, path, "localhost", 5000, meta, 1, NULL);
    if (!s->calls[i])
        script_check(s, TENURE_ENOMEM);
}

static void script_send(struct script *s, int i, bytes message)
{
    if (s->calls[i])
        script_check(s, h2_send_message(s->calls[i], message));
}

static void script_half_close(struct script *s, int i)
{
    if (s->calls[i])
        script_check(s, h2_half_close(s->calls[i]));
}

static void script_step(struct script *s, int step)
{
    switch (step) {
    case 0:
        script_call(s, 0, "/echo");
        break;
    case 1:
        script_send(s, 0, bytes_str("one"));
        script_send(s, 0, bytes_str(""));
        break;
    case 2:
        script_call(s, 1, "/refuse");
        script_half_close(s, 1);
        break;
    case 3:
        script_call(s, 2, "/large");
        script_half_close(s, 2);
        break;
    case 4:
        script_send(s, 0, bytes_of(large, 3000));
        break;
    case 5:
        if (!s->p->client.dead)
            script_check(s, h2_ping(s->p->client.c, 7));
        break;
    case 6:
        script_call(s, 3, "/echo");
        script_send(s, 3, bytes_of(large, 70000));
        break;
    case 7:
        script_half_close(s, 3);
        break;
    case 8:
        h2_goaway(s->p->server.c);
        break;
    case 9:
        script_send(s, 0, bytes_str("last"));
        break;
    case 10:
        script_half_close(s, 0);
        break;
    default:
        h2_goaway(s->p->client.c);
        break;
    }
}

static void forget_call(struct side *side, struct h2_stream *st)
{
    struct script *s = side->user;
    for (int i = 0; i < CALLS; i++)
        if (s->calls[i] == st)
            s->calls[i] = NULL;
}

static void script_init(struct script *s, struct pair *p)
{
    *s = (struct script){.p = p};
    p->client.user = s;
    p->client.when_close = forget_call;
    serve(&p->server);
}

static const char *const CLIENT_SAW = "message 1 \"one\"\nmessage 1 \"\"\n"
                                      "status 3 NOT_FOUND \"not h\xc3\xa9re\"\nclose 3\n"
                                      "message 5 200004 bytes, crc cd97cff3\nstatus 5 OK \"\"\nclose 5\n"
                                      "message 1 3000 bytes, crc 6249e1b6\n"
                                      "pong 7\n"
                                      "message 7 70000 bytes, crc 345357a2\nstatus 7 OK \"\"\nclose 7\n"
                                      "goaway last 7 code 0 \"\"\n"
                                      "message 1 \"last\"\nstatus 1 OK \"\"\nclose 1\n";

static void fill_large(void)
{
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (uint8_t)(i * 31 + i / 1000);
}

static void play(struct pair *p)
{
    struct script s;
    script_init(&s, p);
    for (int step = 0; step < STEPS; step++) {
        script_step(&s, step);
        pair_settle(p);
    }
    assert_int_equal(s.rc, 0);
    assert_false(p->client.dead || p->server.dead);
    side_expect(&p->client, CLIENT_SAW);
    assert_int_equal(p->server.n_requests, CALLS);
    assert_int_equal(p->server.n_closes, CALLS);
    assert_int_equal(p->server.n_half_closes, CALLS);
    assert_true(h2_done(p->client.c));
    assert_true(h2_done(p->server.c));
    assert_int_equal(h2_queued(p->client.c) + h2_queued(p->server.c), 0);
}

static void a_unary_call_is_answered(void **state)
{
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    p.server.when_message = echo_message;
    p.server.when_half_close = answer_ok;
    struct h2_stream *st = pair_call(&p, "/svc/Call");
    pair_send(st, "hello");
    assert_int_equal(h2_half_close(st), 0);
    pair_settle(&p);
    side_expect(&p.server, "request 1 /svc/Call\nmessage 1 \"hello\"\nhalf-close 1\nclose 1\n");
    side_expect(&p.client, "message 1 \"hello\"\nstatus 1 OK \"\"\nclose 1\n");
    pair_fini(&p);
}

static void a_session_is_told_the_same_however_its_bytes_are_cut(void **state)
{
    (void)state;
    struct rng rng;
    static const struct {
        size_t piece_max, output_max;
    } cases[] = {{0, 0}, {1, 0}, {2, 100}, {9, 1}, {10, 20000}, {1000, 1}, {16384, 16384}};
    rng_init(&rng, 99);
    for (size_t i = 0; i < 40; i++) {
        struct pair p;
        pair_init(&p, NULL, NULL);
        if (i < ARRAY_LEN(cases)) {
            p.piece_max = cases[i].piece_max;
            p.output_max = cases[i].output_max;
        } else {
            p.rng = &rng;
            p.piece_max = 1 + rng_below(&rng, i < 20 ? 30 : 30000);
            p.output_max = 1 + rng_below(&rng, 30000);
        }
        play(&p);
        pair_fini(&p);
    }
}

static void a_session_passes_through_the_smallest_windows(void **state)
{
    (void)state;
    struct h2_limits small = {.window_bytes = 65535};
    struct pair p;
    pair_init(&p, &small, &small);
    play(&p);
    pair_fini(&p);
}

/* ---- giving up at any moment ---- */

/* Both ends of every stream are told of its end once, and the connection stays good. */
static void expect_usable_and_even(struct pair *p)
{
    pair_settle(p);
    assert_false(p->client.dead || p->server.dead);
    assert_int_equal(h2_streams(p->client.c), 0);
    assert_int_equal(h2_streams(p->server.c), 0);
    assert_int_equal(p->server.n_requests, p->server.n_closes);
    assert_int_equal(h2_queued(p->client.c) + h2_queued(p->server.c), 0);
}

static void reset_all(struct script *s)
{
    for (int i = 0; i < CALLS; i++)
        if (s->calls[i])
            h2_reset(s->calls[i]);
}

static void a_client_may_give_up_after_any_step(void **state)
{
    (void)state;
    for (int stop = 0; stop < STEPS; stop++) {
        for (int moved = 0; moved < 3; moved++) { /* before the bytes of that step moved, in the middle, and after */
            struct pair p;
            struct script s;
            pair_init(&p, NULL, NULL);
            script_init(&s, &p);
            for (int step = 0; step <= stop; step++) {
                script_step(&s, step);
                if (step < stop || moved == 2)
                    pair_settle(&p);
            }
            p.output_max = 5000;
            if (moved == 1) {
                side_write(&p, &p.client);
                side_feed(&p, &p.server, buf_bytes(&p.client.wire));
                buf_reset(&p.client.wire);
                side_write(&p, &p.server);
            }
            reset_all(&s);
            expect_usable_and_even(&p);
            pair_fini(&p);
        }
    }
}

static struct h2_stream *open_at_server[CALLS];

static void remember(struct side *s, struct h2_stream *st, const struct h2_request *req)
{
    serve_request(s, st, req);
    for (int i = 0; i < CALLS; i++) {
        if (!open_at_server[i]) {
            open_at_server[i] = st;
            return;
        }
    }
}

static void forget(struct side *s, struct h2_stream *st)
{
    (void)s;
    for (int i = 0; i < CALLS; i++)
        if (open_at_server[i] == st)
            open_at_server[i] = NULL;
}

static void a_server_may_give_up_after_any_step(void **state)
{
    (void)state;
    for (int stop = 0; stop < STEPS; stop++) {
        struct pair p;
        struct script s;
        pair_init(&p, NULL, NULL);
        script_init(&s, &p);
        p.server.when_request = remember;
        p.server.when_close = forget;
        p.output_max = 5000;
        for (int step = 0; step <= stop; step++) {
            script_step(&s, step);
            if (step < stop)
                pair_settle(&p);
        }
        side_write(&p, &p.client);
        side_feed(&p, &p.server, buf_bytes(&p.client.wire));
        buf_reset(&p.client.wire);
        side_write(&p, &p.server);
        for (int i = 0; i < CALLS; i++)
            if (open_at_server[i])
                h2_reset(open_at_server[i]);
        reset_all(&s);
        expect_usable_and_even(&p);
        pair_fini(&p);
    }
}

static void either_side_may_vanish_after_any_step(void **state)
{
    (void)state;
    for (int stop = 0; stop < STEPS; stop++) {
        struct pair p;
        struct script s;
        pair_init(&p, NULL, NULL);
        script_init(&s, &p);
        for (int step = 0; step <= stop; step++) {
            script_step(&s, step);
            if (step < stop)
                pair_settle(&p);
        }
        side_write(&p, &p.client);
        uint64_t open = h2_streams(p.client.c), closed = p.client.n_closes;
        p.client.c = h2_free(p.client.c);
        assert_int_equal(p.client.n_closes, closed + open);
        p.server.c = h2_free(p.server.c);
        assert_int_equal(p.server.n_closes, p.server.n_requests);
        pair_fini(&p);
    }
}

/* ---- time ---- */

static int64_t seen_timeout;
static void note_timeout(struct side *s, struct h2_stream *st, const struct h2_request *req)
{
    (void)s;
    (void)st;
    seen_timeout = req->timeout_ms;
}

static void a_timeout_arrives_as_it_was_sent(void **state)
{
    static const int64_t timeouts[] = {-1, 0, 1, 5000, 99999999};
    (void)state;
    struct pair p;
    pair_init(&p, NULL, NULL);
    p.server.when_request = note_timeout;
    for (size_t i = 0; i < ARRAY_LEN(timeouts); i++) {
        assert_non_null(h2_call(p.client.c, "/a", "h", timeouts[i], NULL, 0, NULL));
        pair_settle(&p);
        assert_int_equal(seen_timeout, timeouts[i]);
    }
    pair_fini(&p);
}

/* ---- no memory ---- */

/* Whatever fails: no crash, no leak, no stream without its end, and a connection that cannot go on says so. */
static int play_with_failures(void *user)
{
    (void)user;
    struct pair p;
    struct script s = {0};
    int rc = TENURE_ENOMEM;
    if (pair_try_init(&p, NULL, NULL)) {
        p.client.quiet = p.server.quiet = true;
        script_init(&s, &p);
        for (int step = 0; step < STEPS; step++) {
            script_step(&s, step);
            if (s.rc)
                reset_all(&s);
            pair_settle(&p);
        }
        rc = s.rc ? s.rc : p.client.error ? p.client.error : p.server.error;
        if (rc != 0 && rc != TENURE_ENOMEM)
            return rc;
    }
    p.client.c = h2_free(p.client.c);
    p.server.c = h2_free(p.server.c);
    bool even = p.server.n_closes == p.server.n_requests;
    pair_fini(&p);
    return even ? rc : TENURE_EINTERNAL;
}

static void any_allocation_may_fail(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(play_with_failures, NULL) > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unary_call_is_answered),
        cmocka_unit_test(a_session_is_told_the_same_however_its_bytes_are_cut),
        cmocka_unit_test(a_session_passes_through_the_smallest_windows),
        cmocka_unit_test(a_client_may_give_up_after_any_step),
        cmocka_unit_test(a_server_may_give_up_after_any_step),
        cmocka_unit_test(either_side_may_vanish_after_any_step),
        cmocka_unit_test(a_timeout_arrives_as_it_was_sent),
        cmocka_unit_test(any_allocation_may_fail),
    };
    fill_large();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
