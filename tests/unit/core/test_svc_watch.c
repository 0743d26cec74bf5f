/* The Watch service: creation, events, cancellation, and what is told in the stream. */
#include "cases.h"

static struct call *watching(const struct watch_create_req *req)
{
    struct call *s = client_watch(here.c);
    call_watch(s, req);
    world_settle(here.w);
    return s;
}

static struct watch_create_req on(const char *key)
{
    return (struct watch_create_req){.range = {bytes_str(key), {0}}};
}

static void assert_created(struct call *s, int64_t id)
{
    struct watch_resp r = got_watch(s);
    assert_true(r.created);
    assert_false(r.canceled);
    assert_int_equal(r.watch_id, id);
    assert_int_equal(r.n_events, 0);
}

static void assert_refused(struct call *s, const char *reason)
{
    struct watch_resp r = got_watch(s);
    assert_true(r.created);
    assert_true(r.canceled);
    assert_int_equal(r.watch_id, -1);
    assert_bytes(r.cancel_reason, reason);
    assert_false(s->has_status);
}

static void events_come_behind_created(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    put("a", "1");
    put("b", "not watched");
    put("a", "2");
    assert_created(s, 0);
    struct watch_resp r = got_watch(s);
    assert_int_equal(r.n_events, 1);
    assert_bytes(r.events[0].kv.value, "1");
    assert_int_equal(r.header.revision, 2);
    assert_int_equal(got_watch(s).events[0].kv.mod_revision, 4);
    assert_true(got_nothing(s));
}

static void an_event_waits_until_it_is_durable(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    assert_created(s, 0);
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_true(got_nothing(s));
    world_release(here.w, CORE_APPLIED);
    assert_int_equal(got_watch(s).n_events, 1);
}

static void an_event_that_was_undone_is_never_seen(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    assert_created(s, 0);
    here.w->log_held = true;
    client_put(here.c, "a", "undone");
    world_settle(here.w);
    world_release(here.w, CORE_NOT_APPLIED);
    world_pass(here.w, 1100);
    put("a", "kept");
    struct watch_resp r = got_watch(s);
    assert_bytes(r.events[0].kv.value, "kept");
    assert_int_equal(r.events[0].kv.mod_revision, 2);
    assert_true(got_nothing(s));
}

static void ids_are_drawn_from_zero_and_chosen_ones_are_kept(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    call_watch(s, &req);
    req.watch_id = 2;
    call_watch(s, &req);
    req.watch_id = -5;
    call_watch(s, &req);
    req.watch_id = 0;
    call_watch(s, &req);
    world_settle(here.w);
    assert_created(s, 0);
    assert_created(s, 1);
    assert_created(s, 2);
    assert_created(s, -5);
    assert_created(s, 3);
}

static void what_cannot_be_created_is_told_in_the_stream(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    req.watch_id = 7;
    struct call *s = watching(&req);
    call_watch(s, &req);
    struct watch_create_req past = on("a");
    past.start_revision = -1;
    call_watch(s, &past);
    struct watch_create_req empty = on("b");
    empty.range.range_end = bytes_str("a");
    call_watch(s, &empty);
    world_settle(here.w);
    assert_created(s, 7);
    assert_refused(s, "mvcc: duplicate watch ID provided on the WatchStream");
    assert_refused(s, "etcdserver: mvcc: required revision has been compacted");
    assert_refused(s, "mvcc: watcher range is empty");
    put("a", "1");
    assert_int_equal(got_watch(s).watch_id, 7);
    assert_int_equal(store_watchers(here.w->store), 1);
}

static void the_past_is_replayed_from_the_start_revision(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    put("a", "3");
    struct watch_create_req req = on("a");
    req.start_revision = 3;
    struct call *s = watching(&req);
    assert_created(s, 0);
    struct watch_resp r = got_watch(s);
    assert_int_equal(r.events[0].kv.mod_revision, 3);
    tn_rev last = r.events[r.n_events - 1].kv.mod_revision;
    if (last == 3)
        last = got_watch(s).events[0].kv.mod_revision;
    assert_int_equal(last, 4);
}

static void a_future_start_gets_nothing_older(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    req.start_revision = 4;
    struct call *s = watching(&req);
    put("a", "2");
    put("a", "3");
    put("a", "4");
    assert_created(s, 0);
    assert_int_equal(got_watch(s).events[0].kv.mod_revision, 4);
    assert_true(got_nothing(s));
}

static void a_compacted_start_is_created_then_cancelled_and_its_id_stays_taken(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    put("a", "3");
    struct call *k = client_compact(here.c, 4, false);
    world_settle(here.w);
    assert_ok(k);
    struct watch_create_req req = on("a");
    req.start_revision = 2;
    req.watch_id = 9;
    struct call *s = watching(&req);
    assert_created(s, 9);
    struct watch_resp r = got_watch(s);
    assert_true(r.canceled);
    assert_int_equal(r.watch_id, 9);
    assert_int_equal(r.compact_revision, 4);
    assert_int_equal(r.header.revision, 0);
    assert_int_equal(r.cancel_reason.len, 0);
    req.start_revision = 0;
    call_watch(s, &req);
    call_unwatch(s, 9);
    world_settle(here.w);
    assert_refused(s, "mvcc: duplicate watch ID provided on the WatchStream");
    assert_true(got_watch(s).canceled);
    call_watch(s, &req);
    world_settle(here.w);
    assert_created(s, 9);
}

static void a_cancelled_watch_is_answered_and_gets_no_more(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    call_unwatch(s, 0);
    call_unwatch(s, 0);
    call_unwatch(s, 12345);
    world_settle(here.w);
    put("a", "1");
    assert_created(s, 0);
    struct watch_resp r = got_watch(s);
    assert_true(r.canceled);
    assert_int_equal(r.watch_id, 0);
    assert_true(got_nothing(s)); /* an unknown id has no answer */
    assert_int_equal(store_watchers(here.w->store), 0);
}

static void prev_kv_and_filters_are_each_watchers_own(void **state)
{
    (void)state;
    put("a", "old");
    struct watch_create_req plain = on("a"), prev = on("a"), no_put = on("a"), no_delete = on("a");
    prev.prev_kv = true;
    no_put.no_put = true;
    no_delete.no_delete = true;
    struct call *s = watching(&plain), *with = watching(&prev), *deletes = watching(&no_put),
                *puts = watching(&no_delete);
    put("a", "new");
    client_delete(here.c, "a", "");
    world_settle(here.w);
    assert_created(s, 0);
    assert_created(with, 0);
    assert_created(deletes, 0);
    assert_created(puts, 0);
    assert_false(got_watch(s).events[0].has_prev_kv);
    struct watch_resp r = got_watch(with);
    assert_true(r.events[0].has_prev_kv);
    assert_bytes(r.events[0].prev_kv.value, "old");
    assert_int_equal(got_watch(deletes).events[0].type, EVENT_DELETE);
    assert_int_equal(got_watch(puts).events[0].type, EVENT_PUT);
    assert_true(got_nothing(puts));
    assert_int_equal(got_watch(s).events[0].type, EVENT_DELETE);
    r = got_watch(with);
    assert_bytes(r.events[0].prev_kv.value, "new");
}

static void a_half_closed_stream_goes_on_delivering(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    call_half_close(s);
    put("a", "1");
    assert_created(s, 0);
    assert_int_equal(got_watch(s).n_events, 1);
}

static void a_stream_that_is_reset_leaves_no_watcher(void **state)
{
    (void)state;
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    assert_int_equal(store_watchers(here.w->store), 1);
    call_cancel(s);
    world_settle(here.w);
    assert_int_equal(store_watchers(here.w->store), 0);
    put("a", "1");
}

static void watches_beyond_the_bound_are_refused_in_the_stream(void **state)
{
    (void)state;
    struct world_options o = {.core = {.watches_max = 2}};
    restart(&o);
    struct watch_create_req req = on("a");
    struct call *s = watching(&req);
    call_watch(s, &req);
    call_watch(s, &req);
    world_settle(here.w);
    assert_created(s, 0);
    assert_created(s, 1);
    assert_refused(s, "etcdserver: too many requests");
}

static void watches_that_need_too_much_memory_all_in_all_are_refused(void **state)
{
    (void)state;
    static char key[100001];
    memset(key, 'k', sizeof key - 1);
    struct world_options o = {.core = {.watch_bytes_max = 250000}};
    restart(&o);
    struct watch_create_req large = on(key), small = on("a");
    struct call *one = watching(&large), *two = watching(&large);
    call_watch(two, &large);
    call_watch(two, &small); /* there is still room for it */
    world_settle(here.w);
    assert_created(one, 0);
    assert_created(two, 0);
    assert_refused(two, "etcdserver: too many requests");
    assert_created(two, 1);
    call_unwatch(two, 0);
    call_cancel(one);
    world_settle(here.w);
    struct call *three = watching(&large);
    call_watch(three, &large);
    world_settle(here.w);
    assert_created(three, 0);
    assert_created(three, 1);
}

static void a_watch_that_compaction_ended_makes_room(void **state)
{
    (void)state;
    static char key[100001];
    memset(key, 'k', sizeof key - 1);
    struct world_options o = {.core = {.watch_bytes_max = 150000}};
    restart(&o);
    put("a", "1");
    put("a", "2");
    client_compact(here.c, 3, false);
    world_settle(here.w);
    struct watch_create_req past = on(key), now = on(key);
    past.start_revision = 2;
    struct call *s = watching(&past);
    call_watch(s, &now);
    world_settle(here.w);
    assert_created(s, 0);
    assert_true(got_watch(s).canceled);
    assert_created(s, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(events_come_behind_created),
        CASE(an_event_waits_until_it_is_durable),
        CASE(an_event_that_was_undone_is_never_seen),
        CASE(ids_are_drawn_from_zero_and_chosen_ones_are_kept),
        CASE(what_cannot_be_created_is_told_in_the_stream),
        CASE(the_past_is_replayed_from_the_start_revision),
        CASE(a_future_start_gets_nothing_older),
        CASE(a_compacted_start_is_created_then_cancelled_and_its_id_stays_taken),
        CASE(a_cancelled_watch_is_answered_and_gets_no_more),
        CASE(prev_kv_and_filters_are_each_watchers_own),
        CASE(a_half_closed_stream_goes_on_delivering),
        CASE(a_stream_that_is_reset_leaves_no_watcher),
        CASE(watches_beyond_the_bound_are_refused_in_the_stream),
        CASE(watches_that_need_too_much_memory_all_in_all_are_refused),
        CASE(a_watch_that_compaction_ended_makes_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
