/* Fan-out: many watchers, whole revisions, fragments, and clients that do not read. */
#include "cases.h"
#include "core/state.h"

static struct call *watching(struct client *c, const struct watch_create_req *req)
{
    struct call *s = client_watch(c);
    call_watch(s, req);
    world_settle(here.w);
    assert_true(got_watch(s).created);
    return s;
}

static struct watch_create_req everything(void)
{
    return (struct watch_create_req){.range = {bytes_str("a"), bytes_str("z")}};
}

/* One transaction that puts n keys of `len` bytes each. */
static void put_many(int n, char *value)
{
    static struct request_op ops[100];
    static char keys[100][16];
    for (int i = 0; i < n; i++) {
        snprintf(keys[i], sizeof keys[i], "k%03d", i);
        ops[i] = (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str(keys[i]), .value = bytes_str(value)}};
    }
    struct call *t = client_txn(here.c, &(struct txn_req){.success = ops, .n_success = (size_t)n});
    world_settle(here.w);
    assert_true(got_txn(t, NULL).succeeded);
}

static void every_watcher_of_every_stream_gets_each_event_once(void **state)
{
    (void)state;
    enum { STREAMS = 20, WATCHES = 20 };
    struct call *streams[STREAMS];
    struct watch_create_req req = everything();
    struct client *others[4];
    for (int i = 0; i < 4; i++)
        others[i] = client_new(here.w);
    for (int i = 0; i < STREAMS; i++) {
        streams[i] = watching(others[i % 4], &req);
        for (int k = 1; k < WATCHES; k++) {
            req.prev_kv = k % 2;
            call_watch(streams[i], &req);
        }
        world_settle(here.w);
        for (int k = 1; k < WATCHES; k++)
            assert_true(got_watch(streams[i]).created);
        req.prev_kv = false;
    }
    put("a", "1");
    put("a", "2");
    for (int i = 0; i < STREAMS; i++) {
        int seen[WATCHES] = {0};
        for (int k = 0; k < 2 * WATCHES; k++) {
            struct watch_resp r = got_watch(streams[i]);
            assert_int_equal(r.n_events, 1);
            assert_int_equal(r.events[0].kv.mod_revision, 2 + seen[r.watch_id]);
            assert_int_equal(r.events[0].has_prev_kv, r.watch_id % 2 && seen[r.watch_id] == 1);
            seen[r.watch_id]++;
        }
        assert_true(got_nothing(streams[i]));
    }
}

static void revisions_of_one_batch_are_not_mixed_up(void **state)
{
    (void)state;
    struct watch_create_req req = everything();
    struct call *one = watching(here.c, &req), *two = watching(here.c, &req);
    here.w->log_held = true;
    client_put(here.c, "a", "first");
    client_put(here.c, "a", "second");
    world_settle(here.w);
    world_release(here.w, CORE_APPLIED);
    assert_bytes(got_watch(one).events[0].kv.value, "first");
    assert_bytes(got_watch(two).events[0].kv.value, "first");
    assert_bytes(got_watch(one).events[0].kv.value, "second");
    assert_bytes(got_watch(two).events[0].kv.value, "second");
}

static void one_revision_is_never_split(void **state)
{
    (void)state;
    struct watch_create_req req = everything();
    struct call *s = watching(here.c, &req);
    put_many(100, "v");
    struct watch_resp r = got_watch(s);
    assert_int_equal(r.n_events, 100);
    for (size_t i = 0; i < r.n_events; i++)
        assert_int_equal(r.events[i].kv.mod_revision, 2);
    assert_true(got_nothing(s));
}

static void a_revision_below_the_bound_comes_in_one_piece(void **state)
{
    (void)state;
    struct world_options o = {.core = {.request_bytes_max = 40000}};
    static char value[1001];
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    struct watch_create_req req = everything();
    req.fragment = true;
    struct call *s = watching(here.c, &req);
    put_many(19, value);
    struct watch_resp r = got_watch(s);
    assert_int_equal(r.n_events, 19);
    assert_false(r.fragment);
}

static void fragments_are_marked_but_for_the_last(void **state)
{
    (void)state;
    struct world_options o = {.core = {.request_bytes_max = 1 << 20}};
    static char value[60001];
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    struct watch_create_req req = everything();
    req.prev_kv = true;
    struct call *whole = watching(here.c, &req);
    req.fragment = true; /* prev_kv makes events larger than the request that caused them */
    struct call *cut = watching(here.c, &req);
    put_many(16, value);
    assert_int_equal(got_watch(cut).n_events, 16);
    put_many(16, value);
    size_t events = 0, parts = 0;
    struct watch_resp r;
    do {
        r = got_watch(cut);
        events += r.n_events;
        parts++;
        assert_int_equal(r.header.revision, 3);
    } while (r.fragment);
    assert_int_equal(events, 16);
    assert_true(parts > 1);
    assert_true(got_nothing(cut));
    assert_int_equal(got_watch(whole).n_events, 16);
    assert_int_equal(got_watch(whole).n_events, 16);
}

static void a_fragment_is_shorter_than_the_longest_message_and_holds_what_fits(void **state)
{
    (void)state;
    struct world_options o = {.core = {.request_bytes_max = 1 << 20}};
    static char value[100001];
    size_t sizes[4], n = 0;
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    for (int i = 0; i < 3; i++)
        put_many(10, value);
    struct watch_create_req req = everything();
    req.fragment = req.prev_kv = true;
    req.start_revision = 2;
    struct call *s = client_watch(here.c);
    call_watch(s, &req);
    world_settle(here.w);
    while (s->taken < s->n_messages) {
        size_t len = s->messages[s->taken].len;
        struct watch_resp r = got_watch(s);
        assert_true(len < (1 << 20) + (512 << 10));
        if (r.fragment)
            assert_true(n < ARRAY_LEN(sizes) && (sizes[n++] = len) > (1 << 20) + (512 << 10) - 210000);
    }
    assert_true(n >= 1);
}

/* A client that takes nothing costs a bounded queue; what it misses it gets from history. */
static void a_client_that_does_not_read_is_bounded_and_misses_nothing(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 64 << 10}};
    static char value[4001];
    enum { N = 500 };
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    struct client *slow = client_new(here.w);
    struct watch_create_req req = everything();
    struct call *s = watching(slow, &req);
    slow->deaf = true;
    for (int i = 0; i < N; i++) {
        put("a", value);
        assert_true(h2_queued(slow->conn->h2) < (64 << 10));
    }
    slow->deaf = false;
    world_turn(here.w);
    assert_true(core_deadline(here.w->core) <= here.w->now); /* it goes on at once */
    world_settle(here.w);
    for (tn_rev rev = 2; rev < 2 + N;) {
        struct watch_resp r = got_watch(s);
        for (size_t i = 0; i < r.n_events; i++)
            assert_int_equal(r.events[i].kv.mod_revision, rev++);
    }
    assert_true(got_nothing(s));
}

/* The window of one stream is shut (its client engine keeps what it has), others go on. */
static void a_slow_client_does_not_hold_up_others(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 64 << 10}};
    static char value[4001];
    restart(&o);
    memset(value, 'v', sizeof value - 1);
    struct client *slow = client_new(here.w);
    struct watch_create_req req = everything();
    watching(slow, &req);
    struct call *quick = watching(here.c, &req);
    slow->deaf = true;
    for (int i = 0; i < 100; i++) {
        put("a", value);
        assert_int_equal(got_watch(quick).n_events, 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(every_watcher_of_every_stream_gets_each_event_once),
        CASE(revisions_of_one_batch_are_not_mixed_up),
        CASE(one_revision_is_never_split),
        CASE(a_revision_below_the_bound_comes_in_one_piece),
        CASE(fragments_are_marked_but_for_the_last),
        CASE(a_fragment_is_shorter_than_the_longest_message_and_holds_what_fits),
        CASE(a_client_that_does_not_read_is_bounded_and_misses_nothing),
        CASE(a_slow_client_does_not_hold_up_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
