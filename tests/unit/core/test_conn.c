/* Connections: their bounds, and peers that do not keep up. */
#include "cases.h"

static void limit(const struct core_config *core)
{
    struct world_options o = {.core = *core};
    restart(&o);
}

static void connections_beyond_the_bound_are_refused(void **state)
{
    (void)state;
    limit(&(struct core_config){.conns_max = 2});
    assert_non_null(here.c->conn);
    struct client *second = client_new(here.w);
    assert_non_null(second->conn);
    assert_null(client_new(here.w)->conn);
    client_cut(second);
    assert_non_null(client_new(here.w)->conn);
}

static void a_peer_that_never_says_what_it_speaks_is_dropped(void **state)
{
    (void)state;
    struct client *mute = client_new(here.w);
    mute->mute = true;
    world_pass(here.w, 9000);
    assert_false(mute->dropped);
    world_pass(here.w, 3000);
    assert_true(mute->dropped);
    put("a", "1"); /* the other one stays, though it was idle */
}

static struct client *deaf_client(void)
{
    static char value[100001];
    memset(value, 'v', sizeof value - 1);
    put("a", value);
    struct client *deaf = client_new(here.w);
    world_settle(here.w);
    deaf->deaf = true;
    client_range(deaf, "a", "");
    return deaf;
}

static void a_peer_that_takes_nothing_of_what_it_asked_for_is_dropped(void **state)
{
    (void)state;
    struct client *deaf = deaf_client();
    world_pass(here.w, 29000);
    assert_false(deaf->dropped);
    world_pass(here.w, 3000);
    assert_true(deaf->dropped);
    struct core_stats stats;
    core_stats(here.w->core, &stats);
    assert_int_equal(stats.dropped_total, 1);
    put("a", "1");
}

static struct client *client_in_the_middle_of_a_request(void)
{
    struct client *slow = client_new(here.w);
    struct buf b;
    world_settle(here.w);
    client_put(slow, "key", "value");
    buf_init(&b);
    assert_int_equal(h2_output(slow->h2, &b, 65536), 0);
    core_feed(slow->conn, bytes_of(b.data, b.len - 5), here.w->now);
    buf_fini(&b);
    slow->mute = true;
    return slow;
}

static void a_peer_that_leaves_a_request_unfinished_is_dropped(void **state)
{
    (void)state;
    struct client *slow = client_in_the_middle_of_a_request();
    world_pass(here.w, 29000);
    assert_false(slow->dropped);
    world_pass(here.w, 3000);
    assert_true(slow->dropped);
}

/* The three kinds of patience that are running when the process is held up. */
static struct client *mute, *deaf, *slow;

static void begin_three(void)
{
    deaf = deaf_client();
    slow = client_in_the_middle_of_a_request();
    mute = client_new(here.w);
    mute->mute = true;
}

static void while_the_process_stands_still_no_peer_is_late(void **state)
{
    (void)state;
    begin_three();
    world_pass(here.w, 5000);
    world_stop(here.w, 3600000);
    world_pass(here.w, 4000);
    assert_false(mute->dropped || deaf->dropped || slow->dropped);
    world_pass(here.w, 2000);
    assert_true(mute->dropped);
    world_pass(here.w, 21000);
    assert_true(deaf->dropped && slow->dropped);
}

static void being_held_up_again_and_again_keeps_no_peer_that_is_late(void **state)
{
    (void)state;
    begin_three();
    for (int i = 0; i < 50; i++) {
        world_pass(here.w, 700);
        world_stop(here.w, 900);
    }
    assert_true(mute->dropped && deaf->dropped && slow->dropped);
}

static void what_is_not_http2_ends_the_connection(void **state)
{
    (void)state;
    struct client *odd = client_new(here.w);
    odd->mute = true;
    core_feed(odd->conn, bytes_str("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), here.w->now);
    world_settle(here.w);
    assert_true(odd->dropped);
}

/* Replies that their client does not take fill a bounded queue; then requests wait, and none is lost. */
static void a_peer_that_breaks_the_protocol_and_takes_nothing_is_dropped_as_well(void **state)
{
    (void)state;
    struct client *d = deaf_client();
    world_settle(here.w);
    static const char headers_on_stream_0[] = "\0\0\1\1\4\0\0\0\0x";
    core_feed(d->conn, bytes_of(headers_on_stream_0, 10), here.w->now);
    world_pass(here.w, 29000);
    assert_false(d->dropped);
    world_pass(here.w, 3000);
    assert_true(d->dropped);
}

static void requests_wait_while_their_replies_have_no_room(void **state)
{
    (void)state;
    enum { N = 200 };
    static char value[10001];
    struct call *calls[N];
    limit(&(struct core_config){.conn_output_max = 64 << 10});
    memset(value, 'v', sizeof value - 1);
    put("a", value);
    here.c->deaf = true;
    for (int i = 0; i < N; i++) {
        calls[i] = client_range(here.c, "a", "");
        world_turn(here.w);
    }
    size_t before = here.c->received;
    here.c->deaf = false;
    world_settle(here.w);
    assert_true(here.c->received - before >= N * sizeof value);
    for (int i = 0; i < N; i++)
        assert_int_equal(got_range(calls[i]).count, 1);
}

static void a_request_that_waits_for_room_is_gone_with_its_connection(void **state)
{
    (void)state;
    static char value[10001];
    limit(&(struct core_config){.conn_output_max = 16 << 10});
    memset(value, 'v', sizeof value - 1);
    put("a", value);
    struct client *other = client_new(here.w);
    world_settle(here.w);
    other->deaf = true;
    for (int i = 0; i < 4; i++)
        client_range(other, "a", "");
    client_put(other, "b", "1");
    world_turn(here.w);
    client_cut(other);
    world_settle(here.w);
    assert_int_equal(count("b", ""), 0);
}

static void a_connection_that_is_cut_in_the_middle_leaves_nothing_behind(void **state)
{
    (void)state;
    struct core_stats stats;
    struct client *other = client_new(here.w);
    struct call *s = client_watch(other);
    call_watch(s, &(struct watch_create_req){.range = {bytes_str("a"), {0}}, .progress_notify = true});
    here.w->log_held = true;
    client_put(other, "a", "1");
    client_grant(other, 5, 60);
    call_keepalive(client_keepalive(other), 5);
    world_settle(here.w);
    client_cut(other);
    core_stats(here.w->core, &stats);
    assert_int_equal(stats.conns, 1);
    assert_int_equal(stats.watchers, 0);
    assert_int_equal(stats.held_bytes, 0);
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(count("a", ""), 1); /* it had been planned */
}

static void a_peer_that_is_silent_is_asked_and_dropped_when_it_does_not_answer(void **state)
{
    (void)state;
    struct core_config k = {.ping_ms = 60000, .ping_timeout_ms = 10000};
    limit(&k);
    struct client *gone = client_new(here.w), *late = client_new(here.w);
    world_settle(here.w);
    gone->mute = late->mute = true; /* their network is away: what is sent to them vanishes */
    world_pass(here.w, 62000);
    assert_false(gone->dropped);
    late->mute = false; /* back in time */
    world_pass(here.w, 12000);
    assert_true(gone->dropped);
    assert_false(late->dropped);
    world_pass(here.w, 300000);
    assert_false(late->dropped);
    put("a", "1"); /* the other one was asked all the time, and answered */
}

static void nobody_is_asked_when_that_is_off(void **state)
{
    (void)state;
    struct core_config k = {.ping_ms = -1};
    limit(&k);
    struct client *gone = client_new(here.w);
    world_settle(here.w);
    gone->mute = true;
    world_pass(here.w, 10 * 3600 * INT64_C(1000));
    assert_false(gone->dropped);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(connections_beyond_the_bound_are_refused),
        CASE(a_peer_that_never_says_what_it_speaks_is_dropped),
        CASE(a_peer_that_takes_nothing_of_what_it_asked_for_is_dropped),
        CASE(a_peer_that_leaves_a_request_unfinished_is_dropped),
        CASE(while_the_process_stands_still_no_peer_is_late),
        CASE(being_held_up_again_and_again_keeps_no_peer_that_is_late),
        CASE(what_is_not_http2_ends_the_connection),
        CASE(a_peer_that_breaks_the_protocol_and_takes_nothing_is_dropped_as_well),
        CASE(requests_wait_while_their_replies_have_no_room),
        CASE(a_request_that_waits_for_room_is_gone_with_its_connection),
        CASE(a_connection_that_is_cut_in_the_middle_leaves_nothing_behind),
        CASE(a_peer_that_is_silent_is_asked_and_dropped_when_it_does_not_answer),
        CASE(nobody_is_asked_when_that_is_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
