/* Watches on a real server. */
#include "lib.h"
#include "proxy.h"

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

/* ---- watches that resync (W16) ---- */

enum { COPY_MAX = 64 };

/* A copy made of nothing but what is told. */
struct copy {
    pthread_mutex_t mutex;
    struct {
        char key[32], value[32];
        int64_t mod;
    } keys[COPY_MAX];
    int64_t revision;
    bool is_synced;
    int syncs, why, wrong;
    size_t told; /* events of the last resync */
    int end_code;
    atomic_int ended;
};

static bool is_text(const struct tenure_bytes *bytes, const char *text)
{
    return strlen(text) == bytes->len && (bytes->len == 0 || memcmp(text, bytes->data, bytes->len) == 0);
}

static size_t copy_find(struct copy *c, const struct tenure_bytes *key)
{
    size_t i = 0, none = COPY_MAX;
    for (; i < COPY_MAX; i++) {
        if (is_text(key, c->keys[i].key))
            return i;
        none = c->keys[i].key[0] ? none : i;
    }
    return none;
}

static void copy_on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct copy *c = user;
    pthread_mutex_lock(&c->mutex);
    for (size_t i = 0; i < n; i++) {
        const struct tenure_kv *kv = &events[i].kv;
        size_t at = copy_find(c, &kv->key);
        bool was = c->keys[at].key[0];
        c->wrong += events[i].has_prev_kv != was || (was && !is_text(&events[i].prev_kv.value, c->keys[at].value)) ||
                    (events[i].type == TENURE_EVENT_DELETE && !was);
        memset(&c->keys[at], 0, sizeof c->keys[at]);
        if (events[i].type == TENURE_EVENT_DELETE)
            continue;
        snprintf(c->keys[at].key, 32, "%.*s", (int)kv->key.len, (const char *)kv->key.data);
        snprintf(c->keys[at].value, 32, "%.*s", (int)kv->value.len, (const char *)kv->value.data);
        c->keys[at].mod = kv->mod_revision;
    }
    c->told += n;
    c->revision = revision;
    pthread_mutex_unlock(&c->mutex);
}

static void copy_on_resync(void *user, enum tenure_resync_mark mark, int why, int64_t revision)
{
    struct copy *c = user;
    pthread_mutex_lock(&c->mutex);
    c->is_synced = mark == TENURE_RESYNC_END;
    c->syncs += c->is_synced;
    if (mark == TENURE_RESYNC_BEGIN) {
        c->why = why;
        c->told = 0;
        c->wrong += revision != c->revision;
    }
    c->revision = revision;
    pthread_mutex_unlock(&c->mutex);
}

static void copy_on_end(void *user, int code, int64_t compact_revision, const struct tenure_error *err)
{
    struct copy *c = user;
    (void)compact_revision, (void)err;
    c->end_code = code;
    atomic_store(&c->ended, 1);
}

struct wanted_copy {
    struct copy *copy;
    tenure_client *direct;
    const char *prefix;
};

/* The copy is what a fresh list says. */
static bool is_exact(void *user)
{
    struct wanted_copy *w = user;
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    no_error(tenure_get(w->direct, S(w->prefix), &o, &r, &err), &err);
    struct copy *c = w->copy;
    size_t n = 0;
    pthread_mutex_lock(&c->mutex);
    bool same = c->is_synced;
    for (size_t i = 0; i < COPY_MAX; i++)
        n += c->keys[i].key[0] != 0;
    same = same && n == r->n_kvs;
    for (size_t i = 0; same && i < r->n_kvs; i++) {
        size_t at = copy_find(c, &r->kvs[i].key);
        same = at < COPY_MAX && c->keys[at].mod == r->kvs[i].mod_revision &&
               strcmp(c->keys[at].value, r->kvs[i].value.data) == 0;
    }
    pthread_mutex_unlock(&c->mutex);
    tenure_get_free(r);
    return same;
}

static tenure_watch *follow(tenure_client *c, const char *prefix, size_t keys_max, struct copy *copy)
{
    struct tenure_error err = {0};
    struct tenure_watch_options o = {
        .size = sizeof o,
        .prefix = true,
        .resync = true,
        .prev_kv = true,
        .keys_max = keys_max,
        .on_events = copy_on_events,
        .on_resync = copy_on_resync,
        .on_end = copy_on_end,
        .user = copy,
    };
    pthread_mutex_init(&copy->mutex, NULL);
    tenure_watch *w = tenure_watch_start(c, S(prefix), &o, &err);
    if (!w)
        fail_msg("%s", err.text);
    return w;
}

/* Puts and deletes of some of 40 keys, by a generator that says the same each time. */
static void change(tenure_client *c, unsigned *seed, int n)
{
    char key[32], value[32];
    for (int i = 0; i < n; i++) {
        *seed = *seed * 1103515245 + 12345;
        snprintf(key, sizeof key, "resync/%02u", *seed >> 16 & 31);
        snprintf(value, sizeof value, "%u", *seed >> 8);
        if (*seed >> 24 & 1)
            put(c, key, value);
        else
            assert_int_equal(tenure_delete(c, S(key), NULL, NULL, NULL), 0);
    }
}

static void compact_all(tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    no_error(tenure_put(c, S("compact"), S("x"), NULL, &p, &err), &err);
    no_error(tenure_compact(c, p->revision, true, 0, &err), &err);
    tenure_put_free(p);
}

static void a_watch_that_was_away_too_long_tells_the_difference(void **state)
{
    struct tenure_error err = {0};
    static struct copy copy;
    struct proxy *proxy = proxy_start(server_url(*state));
    tenure_client *direct = open_on(*state), *c = tenure_open(proxy_url(proxy), NULL, &err);
    struct wanted_copy wanted = {&copy, direct, "resync/"};
    unsigned seed = 1;
    change(direct, &seed, 40);
    tenure_watch *w = follow(c, "resync/", 0, &copy);
    assert_true(test_await(is_exact, &wanted));
    assert_int_equal(copy.syncs, 1);
    for (int round = 0; round < 4; round++) {
        change(direct, &seed, 20);
        assert_true(test_await(is_exact, &wanted));
        proxy_set(proxy, PROXY_REFUSE);
        change(direct, &seed, 10 * round);
        compact_all(direct);
        proxy_set(proxy, PROXY_PASS);
        change(direct, &seed, 5);
        put(direct, "resync/round", "x"); /* so that it has missed something in any case */
        assert_true(test_await(is_exact, &wanted));
    }
    pthread_mutex_lock(&copy.mutex);
    assert_true(copy.syncs > 1);
    assert_int_equal(copy.why, TENURE_ECOMPACTED);
    assert_int_equal(copy.wrong, 0);
    pthread_mutex_unlock(&copy.mutex);
    tenure_watch_stop(w);
    tenure_close(c);
    tenure_close(direct);
    proxy_free(proxy);
}

static void a_watch_that_resyncs_ends_at_its_bound(void **state)
{
    tenure_client *c = open_on(*state);
    static struct copy copy;
    struct wanted_copy wanted = {&copy, c, "bound/"};
    put(c, "bound/1", "x");
    put(c, "bound/2", "x");
    tenure_watch *w = follow(c, "bound/", 3, &copy);
    assert_true(test_await(is_exact, &wanted));
    put(c, "bound/1", "y");
    assert_int_equal(tenure_delete(c, S("bound/2"), NULL, NULL, NULL), 0);
    put(c, "bound/3", "x");
    put(c, "bound/4", "x");
    assert_true(test_await(is_exact, &wanted));
    assert_int_equal(atomic_load(&copy.ended), 0);
    put(c, "bound/5", "x");
    await_flag(&copy.ended);
    assert_int_equal(copy.end_code, TENURE_ELIMIT);
    tenure_watch_stop(w);
    tenure_close(c);
}

static void options_that_contradict_a_resync_are_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_watch_options o = {.size = sizeof o, .resync = true, .revision = 5};
    assert_null(tenure_watch_start(c, S("x"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_watch_options){.size = sizeof o, .resync = true, .no_delete = true};
    assert_null(tenure_watch_start(c, S("x"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

static void a_close_tells_a_watch_that_resyncs_that_it_ends(void **state)
{
    tenure_client *c = open_on(*state);
    static struct copy copy;
    follow(c, "closed/", 0, &copy);
    tenure_close(c);
    assert_int_equal(atomic_load(&copy.ended), 1);
    assert_int_equal(copy.end_code, TENURE_ECLOSED);
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
        cmocka_unit_test(a_watch_that_was_away_too_long_tells_the_difference),
        cmocka_unit_test(a_watch_that_resyncs_ends_at_its_bound),
        cmocka_unit_test(options_that_contradict_a_resync_are_refused),
        cmocka_unit_test(a_close_tells_a_watch_that_resyncs_that_it_ends),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
