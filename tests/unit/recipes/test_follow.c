/* A watch that resyncs, on a model of the server: what it tells is what there is, in pages, behind compactions, too much to hold,
 * refusals, and when it is stopped within a callback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/follow.h"
#include "story.h"
#include "tenure/error.h"

static struct client *c;
static struct follow *f;
static char said[2000];
static const char *stop_at; /* it is stopped when this is said */
static enum fake_fault next_fault;

static enum fake_fault judge(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n, (void)what;
    enum fake_fault fault = next_fault;
    next_fault = FAKE_FINE;
    return fault;
}

static int begin(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    f = NULL;
    said[0] = 0;
    stop_at = NULL;
    next_fault = FAKE_FINE;
    fake_set_judge(judge, NULL);
    return 0;
}

static void unfollow(void)
{
    if (f)
        fake_remove_ticker(f);
    f = follow_stop(f, fake_now());
}

static int end(void **state)
{
    (void)state;
    unfollow();
    fake_run(1000);
    fake_end();
    return 0;
}

static void say(const char *word)
{
    size_t len = strlen(said);
    snprintf(said + len, sizeof said - len, "%s%s", len ? " " : "", word);
    if (stop_at && strcmp(stop_at, word) == 0)
        unfollow();
}

static void on_resync(void *user, int why, tn_rev revision)
{
    (void)user, (void)revision;
    say(why == 0 ? "first" : why == TENURE_ECOMPACTED ? "compacted" : "overflow");
}

static void on_synced(void *user, tn_rev revision)
{
    (void)user;
    assert_int_equal(revision, fake_revision());
    say("synced");
}

static void on_events(void *user, const struct client_watch_events *e)
{
    (void)user;
    for (size_t i = 0; i < e->n_events; i++) {
        char word[64];
        const struct event *v = &e->events[i];
        snprintf(word, sizeof word, "%s%.*s%s%.*s", v->type == EVENT_DELETE ? "-" : "+", (int)v->kv.key.len,
                 (const char *)v->kv.key.data, v->has_prev_kv ? "<" : "",
                 v->has_prev_kv ? (int)v->prev_kv.value.len : 0,
                 v->has_prev_kv && v->prev_kv.value.len ? (const char *)v->prev_kv.value.data : "");
        bool last = i + 1 == e->n_events;
        size_t len = strlen(said);
        if (last)
            say(word);
        else
            snprintf(said + len, sizeof said - len, "%s%s", len ? " " : "", word);
    }
}

static void on_end(void *user, int code, const struct tenure_error *error)
{
    (void)user;
    assert_int_equal(code, error->code);
    say(tenure_error_string(code));
}

static void start_with(struct follow_options o)
{
    static const struct follow_callbacks cb = {
        .on_resync = on_resync, .on_synced = on_synced, .on_events = on_events, .on_end = on_end};
    struct tenure_error err;
    o.range = (struct key_range){bytes_str("k"), bytes_str("l")};
    f = follow_start(c, &o, &cb, NULL, fake_now(), &err);
    assert_non_null(f);
    fake_add_ticker(c, (fake_deadline)follow_deadline, (fake_tick)follow_tick, f);
}

static void start(void)
{
    start_with((struct follow_options){0});
    fake_run(50);
}

static void was_said(const char *wanted)
{
    assert_string_equal(said, wanted);
    said[0] = 0;
}

static void three_keys(void)
{
    fake_put("k1", "a", 0);
    fake_put("k2", "b", 0);
    fake_put("k3", "c", 0);
    fake_put("other", "x", 0);
}

static void it_begins_with_what_there_is_and_goes_on_with_events(void **state)
{
    (void)state;
    three_keys();
    start();
    was_said("first +k1 +k2 +k3 synced");
    fake_put("k2", "b2", 0);
    fake_delete(bytes_str("k1"));
    fake_run(50);
    was_said("+k2 -k1");
    assert_int_equal(follow_keys(f), 2);
}

static void a_long_list_comes_in_pages(void **state)
{
    (void)state;
    three_keys();
    start_with((struct follow_options){.page_max = 1});
    fake_run(50);
    was_said("first +k1 +k2 +k3 synced");
}

static void nothing_there_is_in_sync_as_well(void **state)
{
    (void)state;
    start();
    was_said("first synced");
}

static void away_over_a_compaction(size_t page_max)
{
    three_keys();
    start_with((struct follow_options){.prev_kv = true, .page_max = page_max});
    fake_run(50);
    was_said("first +k1 +k2 +k3 synced");
    fake_cut(c, true);
    fake_run(50);
    fake_put("k0", "new", 0);
    fake_put("k2", "b2", 0);
    fake_delete(bytes_str("k3"));
    fake_put("k4", "gone again", 0);
    fake_delete(bytes_str("k4"));
    fake_put("k9", "new", 0);
    fake_compact();
    fake_cut(c, false);
    fake_run(6000);
    was_said("compacted +k0 +k2<b -k3<c +k9 synced");
}

static void behind_a_compaction_the_difference_is_told(void **state)
{
    (void)state;
    away_over_a_compaction(0);
}

static void the_difference_is_the_same_in_pages(void **state)
{
    (void)state;
    away_over_a_compaction(1);
}

static void too_many_events_become_a_list(void **state)
{
    (void)state;
    three_keys();
    start();
    said[0] = 0;
    fake_put("k5", "x", 0);
    fake_overflow_watches(c);
    fake_run(50);
    assert_non_null(strstr(said, "overflow"));
    assert_non_null(strstr(said, "synced"));
    said[0] = 0;
    fake_put("k6", "x", 0);
    fake_run(50);
    was_said("+k6");
}

static void a_list_that_is_not_to_be_had_is_asked_for_again(void **state)
{
    (void)state;
    three_keys();
    fake_cut(c, true);
    start();
    fake_run(20000);
    was_said("first");
    fake_cut(c, false);
    fake_run(10000);
    was_said("+k1 +k2 +k3 synced");
}

static void who_is_denied_is_told(void **state)
{
    (void)state;
    next_fault = FAKE_DENIED;
    start();
    was_said("first permission denied");
}

static void a_call_that_cannot_begin_is_begun_later(void **state)
{
    (void)state;
    three_keys();
    next_fault = FAKE_NO_MEMORY;
    start();
    fake_run(1000);
    was_said("first +k1 +k2 +k3 synced");
}

static void more_keys_than_it_may_remember_end_it(void **state)
{
    (void)state;
    three_keys();
    start_with((struct follow_options){.keys_max = 3});
    fake_run(50);
    was_said("first +k1 +k2 +k3 synced");
    fake_put("k3", "again", 0);
    fake_run(50);
    was_said("+k3");
    fake_put("k4", "x", 0);
    fake_run(50);
    was_said("limit reached");
}

static void more_bytes_than_it_may_remember_end_it(void **state)
{
    (void)state;
    three_keys();
    start_with((struct follow_options){.bytes_max = 200});
    fake_run(50);
    was_said("first limit reached");
}

static void it_can_be_stopped_whatever_it_says(void **state)
{
    (void)state;
    static const char *const words[] = {"first", "+k3", "synced", "+k7", "compacted", "+k9"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        end(NULL);
        begin(NULL);
        three_keys();
        stop_at = words[i];
        start();
        fake_put("k7", "x", 0);
        fake_run(50);
        fake_cut(c, true);
        fake_run(50);
        fake_put("k8", "x", 0);
        fake_put("k9", "x", 0);
        fake_compact();
        fake_cut(c, false);
        fake_run(6000);
        if (f)
            fail_msg("it was never said %s: %s", stop_at, said);
        said[0] = 0;
        fake_put("k1", "more", 0);
        fake_run(100);
        was_said("");
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(it_begins_with_what_there_is_and_goes_on_with_events),
        TEST(a_long_list_comes_in_pages),
        TEST(nothing_there_is_in_sync_as_well),
        TEST(behind_a_compaction_the_difference_is_told),
        TEST(the_difference_is_the_same_in_pages),
        TEST(too_many_events_become_a_list),
        TEST(a_list_that_is_not_to_be_had_is_asked_for_again),
        TEST(who_is_denied_is_told),
        TEST(a_call_that_cannot_begin_is_begun_later),
        TEST(more_keys_than_it_may_remember_end_it),
        TEST(more_bytes_than_it_may_remember_end_it),
        TEST(it_can_be_stopped_whatever_it_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
