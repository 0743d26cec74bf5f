/* Progress: by hand for a stream, by interval for a watch; never ahead of events. */
#include "cases.h"

static struct call *watching(const struct watch_create_req *req)
{
    struct call *s = client_watch(here.c);
    call_watch(s, req);
    world_settle(here.w);
    assert_true(got_watch(s).created);
    return s;
}

static struct watch_create_req on(const char *key)
{
    return (struct watch_create_req){.range = {bytes_str(key), {0}}};
}

static void assert_progress(struct call *s, int64_t id, tn_rev revision)
{
    struct watch_resp r = got_watch(s);
    assert_int_equal(r.watch_id, id);
    assert_int_equal(r.n_events, 0);
    assert_false(r.created || r.canceled);
    assert_int_equal(r.header.revision, revision);
}

static void a_stream_that_is_up_to_date_is_answered_at_once(void **state)
{
    (void)state;
    put("b", "1");
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    call_ask_progress(s);
    world_settle(here.w);
    assert_progress(s, -1, 2);
}

static void progress_never_overtakes_events(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    struct call *s = client_watch(here.c);
    struct watch_create_req req = on("a");
    req.start_revision = 1;
    call_watch(s, &req);
    call_ask_progress(s); /* in the same turn: the watcher is still behind */
    world_settle(here.w);
    assert_true(got_watch(s).created);
    tn_rev seen = 0;
    struct watch_resp r;
    while ((r = got_watch(s)).n_events)
        seen = r.events[r.n_events - 1].kv.mod_revision;
    assert_int_equal(seen, 3);
    assert_int_equal(r.watch_id, -1);
    assert_int_equal(r.header.revision, 3);
}

static void a_watcher_of_the_future_or_a_compacted_one_does_not_silence_the_stream(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    client_compact(here.c, 3, false);
    world_settle(here.w);
    struct watch_create_req future = on("a"), compacted = on("a");
    future.start_revision = 100;
    compacted.start_revision = 1;
    struct call *s = watching(&future);
    call_watch(s, &compacted);
    world_settle(here.w);
    assert_true(got_watch(s).created);
    assert_true(got_watch(s).canceled);
    call_ask_progress(s);
    world_settle(here.w);
    assert_progress(s, -1, 3);
}

static void a_stream_without_watchers_is_answered_too(void **state)
{
    (void)state;
    struct call *s = client_watch(here.c);
    call_ask_progress(s);
    world_settle(here.w);
    assert_progress(s, -1, 1);
}

static void what_is_not_durable_is_not_progress(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    call_ask_progress(s);
    world_settle(here.w);
    assert_progress(s, -1, 1);
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(got_watch(s).events[0].kv.mod_revision, 2);
}

static void a_silent_watch_is_told_after_the_interval_and_a_busy_one_is_not(void **state)
{
    (void)state;
    struct world_options o = {.core = {.progress_ms = 1000}};
    restart(&o);
    struct watch_create_req req = on("a");
    req.progress_notify = true;
    struct call *s = watching(&req);
    req.progress_notify = false;
    struct call *unasked = watching(&req);
    world_pass(here.w, 900);
    assert_true(got_nothing(s));
    put("a", "1");
    assert_int_equal(got_watch(s).n_events, 1);
    world_pass(here.w, 999);
    assert_true(got_nothing(s));
    world_pass(here.w, 101); /* a tenth more at most */
    assert_progress(s, 0, 2);
    world_pass(here.w, 1100);
    assert_progress(s, 0, 2);
    assert_int_equal(got_watch(unasked).n_events, 1);
    assert_true(got_nothing(unasked));
}

static void watches_made_together_are_not_told_together(void **state)
{
    (void)state;
    struct world_options o = {.core = {.progress_ms = 1000}};
    enum { N = 20 };
    struct call *all[N];
    size_t early = 0;
    restart(&o);
    struct watch_create_req req = on("a");
    req.progress_notify = true;
    for (int i = 0; i < N; i++)
        all[i] = watching(&req);
    world_pass(here.w, 1050);
    for (int i = 0; i < N; i++)
        early += !got_nothing(all[i]);
    assert_true(early > 2 && early < N - 2);
    world_pass(here.w, 50);
    for (int i = 0; i < N; i++)
        assert_false(got_nothing(all[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_stream_that_is_up_to_date_is_answered_at_once),
        CASE(progress_never_overtakes_events),
        CASE(a_watcher_of_the_future_or_a_compacted_one_does_not_silence_the_stream),
        CASE(a_stream_without_watchers_is_answered_too),
        CASE(what_is_not_durable_is_not_progress),
        CASE(a_silent_watch_is_told_after_the_interval_and_a_busy_one_is_not),
        CASE(watches_made_together_are_not_told_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
