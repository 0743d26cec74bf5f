/* Watches on a real server. */
#include "lib.h"

#define EVENTS_MAX 4096

struct seen {
    pthread_mutex_t mutex;
    struct {
        char key[64], value[64];
        enum tenure_event_type type;
        int64_t revision;
        bool has_prev;
    } events[EVENTS_MAX];
    size_t n;
    int64_t upto, created;
    int wrong;
    atomic_int is_created, ended;
    int end_code;
    int64_t compact_revision;
};

static struct seen *seen_new(void)
{
    struct seen *s = calloc(1, sizeof *s);
    pthread_mutex_init(&s->mutex, NULL);
    return s;
}

static void on_created(void *user, int64_t revision)
{
    struct seen *s = user;
    s->created = revision;
    atomic_store(&s->is_created, 1);
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct seen *s = user;
    pthread_mutex_lock(&s->mutex);
    for (size_t i = 0; i < n && s->n < EVENTS_MAX; i++, s->n++) {
        snprintf(s->events[s->n].key, 64, "%.*s", (int)events[i].kv.key.len, (const char *)events[i].kv.key.data);
        snprintf(s->events[s->n].value, 64, "%.*s", (int)events[i].kv.value.len, (const char *)events[i].kv.value.data);
        s->events[s->n].type = events[i].type;
        s->events[s->n].revision = events[i].kv.mod_revision;
        s->events[s->n].has_prev = events[i].has_prev_kv;
        s->wrong += events[i].kv.mod_revision <= s->upto || events[i].kv.mod_revision > revision;
    }
    s->wrong += revision < s->upto;
    s->upto = revision;
    pthread_mutex_unlock(&s->mutex);
}

static void on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct seen *s = user;
    (void)err;
    s->end_code = code;
    s->compact_revision = compact_revision;
    atomic_store(&s->ended, 1);
}

static size_t count(struct seen *s)
{
    pthread_mutex_lock(&s->mutex);
    size_t n = s->n;
    pthread_mutex_unlock(&s->mutex);
    return n;
}

struct wanted {
    struct seen *s;
    size_t n;
};

static bool has_count(void *user)
{
    struct wanted *w = user;
    return count(w->s) >= w->n;
}

static void await_events(struct seen *s, size_t n)
{
    assert_true(test_await(has_count, &(struct wanted){s, n}));
}

static tenure_watch *watch(tenure_client *c, const char *prefix, int64_t revision, struct seen *s)
{
    struct tenure_error err = {0};
    struct tenure_watch_options o = {
        .size = sizeof o,
        .prefix = true,
        .revision = revision,
        .prev_kv = true,
        .on_created = on_created,
        .on_events = on_events,
        .on_end = on_end,
        .user = s,
    };
    tenure_watch *w = tenure_watch_start(c, S(prefix), &o, &err);
    if (!w)
        fail_msg("%s", err.text);
    return w;
}

static void changes_come_in_order_with_what_was_there_before(void **state)
{
    tenure_client *c = open_on(*state);
    struct seen *s = seen_new();
    tenure_watch *w = watch(c, "watch/", 0, s);
    await_flag(&s->is_created);
    put(c, "watch/a", "1");
    put(c, "elsewhere", "x");
    put(c, "watch/a", "2");
    assert_int_equal(tenure_delete(c, S("watch/a"), NULL, NULL, NULL), 0);
    await_events(s, 3);
    assert_string_equal(s->events[0].value, "1");
    assert_false(s->events[0].has_prev);
    assert_string_equal(s->events[1].value, "2");
    assert_true(s->events[1].has_prev);
    assert_int_equal(s->events[2].type, TENURE_EVENT_DELETE);
    assert_int_equal(s->wrong, 0);
    tenure_watch_stop(w);
    tenure_close(c);
    free(s);
}

static void nothing_comes_after_a_stop(void **state)
{
    tenure_client *c = open_on(*state);
    struct seen *s = seen_new();
    tenure_watch *w = watch(c, "stop/", 0, s);
    put(c, "stop/a", "1");
    await_events(s, 1);
    tenure_watch_stop(w);
    put(c, "stop/a", "2");
    put(c, "stop/b", "3"); /* answered behind what the watch would have got */
    assert_int_equal(count(s), 1);
    assert_int_equal(atomic_load(&s->ended), 0);
    tenure_close(c);
    free(s);
}

static void the_past_is_caught_up_from_a_revision(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    struct seen *s = seen_new();
    put(c, "past/a", "0");
    no_error(tenure_put(c, S("past/a"), S("1"), NULL, &p, &err), &err);
    put(c, "past/a", "2");
    tenure_watch *w = watch(c, "past/", p->revision, s);
    await_events(s, 2);
    assert_string_equal(s->events[0].value, "1");
    assert_string_equal(s->events[1].value, "2");
    tenure_watch_stop(w);
    tenure_put_free(p);
    tenure_close(c);
    free(s);
}

static void a_watch_below_a_compaction_ends_and_says_from_where_to_read(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    struct seen *s = seen_new();
    put(c, "compacted/a", "1");
    no_error(tenure_put(c, S("compacted/a"), S("2"), NULL, &p, &err), &err);
    no_error(tenure_compact(c, p->revision, true, 0, &err), &err);
    tenure_watch *w = watch(c, "compacted/", 1, s);
    await_flag(&s->ended);
    assert_int_equal(s->end_code, TENURE_ECOMPACTED);
    assert_int_equal(s->compact_revision, p->revision);
    tenure_watch_stop(w);
    tenure_put_free(p);
    tenure_close(c);
    free(s);
}

static void a_close_tells_watches_that_they_end(void **state)
{
    tenure_client *c = open_on(*state);
    struct seen *s = seen_new();
    watch(c, "closed/", 0, s);
    await_flag(&s->is_created);
    tenure_close(c);
    assert_int_equal(atomic_load(&s->ended), 1);
    assert_int_equal(s->end_code, TENURE_ECLOSED);
    free(s);
}

/* W3, W5: nothing twice, nothing missed, whatever the connection does. */
static void no_change_is_missed_or_told_twice_over_a_killed_server(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct seen *s = seen_new();
    char value[32];
    size_t n = 0;
    tenure_watch *w = watch(c, "killed/", 0, s);
    await_flag(&s->is_created);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 50; i++) {
            snprintf(value, sizeof value, "%zu", n++);
            put(c, "killed/a", value);
        }
        server_kill(server);
        server_restart(server);
    }
    await_events(s, n);
    put(c, "killed/a", "last");
    await_events(s, n + 1);
    assert_int_equal(count(s), n + 1);
    for (size_t i = 0; i < n; i++) {
        snprintf(value, sizeof value, "%zu", i);
        assert_string_equal(s->events[i].value, value);
    }
    assert_int_equal(s->wrong, 0);
    tenure_watch_stop(w);
    tenure_close(c);
    free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_come_in_order_with_what_was_there_before),
        cmocka_unit_test(nothing_comes_after_a_stop),
        cmocka_unit_test(the_past_is_caught_up_from_a_revision),
        cmocka_unit_test(a_watch_below_a_compaction_ends_and_says_from_where_to_read),
        cmocka_unit_test(a_close_tells_watches_that_they_end),
        cmocka_unit_test(no_change_is_missed_or_told_twice_over_a_killed_server),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
