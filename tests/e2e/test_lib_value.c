/* Shared values on a real server: copies that say how old they are, writes that are made once, in all three ways in. */
#include "lib.h"
#include "proxy.h"

#include <poll.h>
#include <unistd.h>
#include <uv.h>

static tenure_value *value_open(tenure_client *c, const char *key, const struct tenure_value_options *o)
{
    struct tenure_error err = {0};
    tenure_value *v = tenure_value_open(c, S(key), o, &err);
    if (!v)
        fail_msg("%s", err.text);
    return v;
}

/* With what is asked for, which the caller frees. */
static struct tenure_value_state *get_with(tenure_value *v, struct tenure_value_get_options o)
{
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    o.size = sizeof o;
    o.timeout_ms = 20000;
    no_error(tenure_value_get(v, &o, &s, &err), &err);
    return s;
}

static struct tenure_value_state *newest(tenure_value *v)
{
    return get_with(v, (struct tenure_value_get_options){.linearizable = true});
}

static struct tenure_value_state *cached(tenure_value *v)
{
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    no_error(tenure_value_cached(v, &s, &err), &err);
    return s;
}

/* And frees it. wanted NULL: there is no such key. */
static void holds(struct tenure_value_state *s, const char *wanted)
{
    assert_int_equal(s->exists, wanted != NULL);
    assert_int_equal(s->version > 0, wanted != NULL);
    assert_string_equal(s->value.data, wanted ? wanted : "");
    assert_true(s->stale_ms > 0);
    assert_true(s->revision >= s->mod_revision);
    tenure_value_state_free(s);
}

static int64_t write_at(tenure_client *c, const char *key, const char *value)
{
    struct tenure_error err = {0};
    struct tenure_put_result *r = NULL;
    no_error(tenure_put(c, S(key), S(value), NULL, &r, &err), &err);
    int64_t revision = r->revision;
    tenure_put_free(r);
    return revision;
}

static int64_t rev(struct tenure_value_state *s)
{
    int64_t revision = s->mod_revision;
    tenure_value_state_free(s);
    return revision;
}

/* ---- reading ---- */

struct expected {
    tenure_value *v;
    const char *value;
};

static bool copy_is(void *user)
{
    struct expected *e = user;
    struct tenure_value_state *s = cached(e->v);
    bool is = e->value ? s->exists && strcmp(s->value.data, e->value) == 0 : !s->exists;
    tenure_value_state_free(s);
    return is;
}

static void the_copy_follows_what_others_write(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    tenure_value *v = value_open(c, "follows", NULL);
    holds(get_with(v, (struct tenure_value_get_options){0}), NULL);
    put(other, "follows", "1");
    assert_true(test_await(copy_is, &(struct expected){v, "1"}));
    put(other, "follows", "2");
    assert_true(test_await(copy_is, &(struct expected){v, "2"}));
    struct tenure_value_state *s = cached(v);
    assert_int_equal(s->version, 2);
    assert_true(s->mod_revision > s->create_revision);
    tenure_value_state_free(s);
    assert_int_equal(tenure_delete(other, S("follows"), NULL, NULL, NULL), 0);
    assert_true(test_await(copy_is, &(struct expected){v, NULL}));
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(other);
}

static void what_is_asked_for_holds(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    tenure_value *v = value_open(c, "asked", NULL);
    for (int i = 0; i < 50; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        int64_t revision = write_at(other, "asked", text);
        if (i % 2)
            holds(newest(v), text);
        else
            holds(get_with(v, (struct tenure_value_get_options){.min_revision = revision}), text);
    }
    int64_t revision = write_at(other, "asked too", "");
    s = get_with(v, (struct tenure_value_get_options){.min_revision = revision});
    assert_true(s->revision >= revision);
    int64_t before = test_now();
    tenure_value_state_free(s);
    s = get_with(v, (struct tenure_value_get_options){.max_stale_ms = 1});
    assert_true(s->stale_ms <= test_now() - before + 3);
    tenure_value_state_free(s);
    struct tenure_value_get_options o = {.size = sizeof o, .min_revision = revision + 1000};
    assert_int_equal(tenure_value_get(v, &o, &s, &err), TENURE_EFUTURE);
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(other);
}

static void a_bound_that_cannot_be_kept_is_not_served_by_an_old_copy(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    tenure_client *c = tenure_open(proxy_url(p), NULL, &err);
    put(c, "bound", "1");
    tenure_value *v = value_open(c, "bound", NULL);
    holds(newest(v), "1");
    proxy_set(p, PROXY_HALF_OPEN);
    int64_t cut_at = test_now();
    struct tenure_value_get_options o = {.size = sizeof o, .linearizable = true, .timeout_ms = 150};
    assert_int_equal(tenure_value_get(v, &o, &s, &err), TENURE_ETIMEOUT);
    assert_true(test_now() - cut_at >= 150);
    o = (struct tenure_value_get_options){.size = sizeof o, .max_stale_ms = 100, .timeout_ms = 50};
    assert_int_equal(tenure_value_get(v, &o, &s, &err), TENURE_ETIMEOUT);
    s = cached(v);
    assert_true(s->stale_ms >= test_now() - cut_at);
    holds(s, "1");
    o.max_stale_ms = 60000;
    no_error(tenure_value_get(v, &o, &s, &err), &err);
    holds(s, "1");
    tenure_value_close(v);
    proxy_set(p, PROXY_PASS);
    tenure_close(c);
    proxy_free(p);
}

static void a_copy_can_be_kept_fresh(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_value_options o = {.size = sizeof o, .check_ms = 20};
    tenure_value *v = value_open(c, "fresh", &o);
    tenure_value_state_free(newest(v));
    struct tenure_value_state *s = cached(v);
    int64_t first = test_now() - s->stale_ms, now = first;
    while (now < first + 50) { /* the time it is current as of goes on by itself */
        tenure_value_state_free(s);
        poll(NULL, 0, 5);
        s = cached(v);
        now = test_now() - s->stale_ms;
    }
    tenure_value_state_free(s);
    tenure_value_close(v);
    tenure_close(c);
}

struct told {
    atomic_int changes, wrong, ended, code;
    _Atomic(int64_t) last;
};

static void on_change(tenure_value *v, const struct tenure_value_state *s, void *user)
{
    struct told *t = user;
    struct tenure_value_state *again = NULL;
    bool fine = tenure_value_cached(v, &again, NULL) == 0 && again->mod_revision == s->mod_revision &&
                s->revision >= atomic_load(&t->last);
    atomic_fetch_add(&t->wrong, !fine);
    atomic_store(&t->last, s->revision);
    atomic_fetch_add(&t->changes, 1);
    tenure_value_state_free(again);
}

static void on_end(tenure_value *v, int code, const struct tenure_error *err, void *user)
{
    struct told *t = user;
    (void)v;
    atomic_fetch_add(&t->wrong, err->code != code);
    atomic_store(&t->code, code);
    atomic_store(&t->ended, 1);
}

static void changes_are_told_and_show_at_the_descriptor(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct told t = {0};
    struct tenure_value_options o = {.size = sizeof o, .on_change = on_change, .on_end = on_end, .user = &t};
    tenure_value *v = value_open(c, "told", &o);
    struct pollfd fd = {.fd = tenure_value_fd(v), .events = POLLIN};
    for (int i = 0; i < 5; i++) {
        uint64_t n;
        assert_int_equal(poll(&fd, 1, 20000), 1);
        assert_int_equal(read(fd.fd, &n, sizeof n), sizeof n);
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        put(other, "told", text);
    }
    assert_true(test_await(copy_is, &(struct expected){v, "4"}));
    assert_in_range(atomic_load(&t.changes), 5, 6); /* with the first state */
    tenure_value_close(v);
    put(other, "told", "x");
    tenure_close(other);
    tenure_close(c);
    assert_in_range(atomic_load(&t.changes), 5, 6);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(t.ended, 0);
}

/* ---- writing ---- */

static void writes_say_what_has_come_of_them(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    tenure_value *v = value_open(c, "writes", NULL);
    no_error(tenure_value_cas(v, 0, S("1"), NULL, &s, &err), &err);
    assert_int_equal(s->version, 1);
    assert_int_equal(s->create_revision, s->mod_revision);
    int64_t first = s->mod_revision;
    holds(s, "1");
    assert_int_equal(tenure_value_cas(v, 0, S("no"), NULL, &s, &err), TENURE_ECONFLICT);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_int_equal(rev(s), first);
    no_error(tenure_value_cas(v, first, S("2"), NULL, &s, &err), &err);
    assert_int_equal(s->version, 2);
    assert_int_equal(s->create_revision, first);
    int64_t second = rev(s);
    no_error(tenure_value_set(v, S("3"), NULL, &s, &err), &err);
    assert_int_equal(s->version, 3);
    assert_true(s->mod_revision > second);
    holds(s, "3");
    assert_int_equal(tenure_value_delete(v, second, NULL, &s, &err), TENURE_ECONFLICT);
    holds(s, "3");
    no_error(tenure_value_delete(v, 0, NULL, &s, &err), &err);
    holds(s, NULL);
    no_error(tenure_value_delete(v, 0, NULL, NULL, &err), &err); /* as it should be */
    no_error(tenure_value_set(v, S(""), NULL, &s, &err), &err);
    holds(s, "");
    tenure_value_close(v);
    tenure_close(c);
}

static void what_one_wrote_is_in_the_copy(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_value *v = value_open(c, "own", NULL);
    tenure_value_state_free(newest(v));
    for (int i = 0; i < 100; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d", i);
        if (i % 7 == 6)
            no_error(tenure_value_delete(v, 0, NULL, NULL, &err), &err);
        else
            no_error(tenure_value_set(v, S(text), NULL, NULL, &err), &err);
        holds(cached(v), i % 7 == 6 ? NULL : text);
    }
    struct tenure_value_state *ours = cached(v);
    struct tenure_get_result *theirs = NULL;
    no_error(tenure_get(c, S("own"), NULL, &theirs, &err), &err);
    assert_int_equal(theirs->kvs[0].mod_revision, ours->mod_revision);
    assert_int_equal(theirs->kvs[0].create_revision, ours->create_revision);
    assert_int_equal(theirs->kvs[0].version, ours->version);
    tenure_get_free(theirs);
    tenure_value_state_free(ours);
    tenure_value_close(v);
    tenure_close(c);
}

static int add_one(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    char *text = arg;
    snprintf(text, 16, "%d", is->exists ? atoi(is->value.data) + 1 : 1);
    *shall = S(text);
    return TENURE_VALUE_PUT;
}

static int leave_it(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    (void)is, (void)shall;
    return *(int *)arg;
}

struct adder {
    const struct server *server;
    pthread_t thread;
    int failed, back;
};

enum { ADDERS = 3, EACH = 15 };

static void *add_many(void *user)
{
    struct adder *a = user;
    tenure_client *c = open_on(a->server);
    tenure_value *v = value_open(c, "added", NULL);
    struct tenure_value_write_options o = {.size = sizeof o, .timeout_ms = 30000};
    int64_t last = 0;
    for (int i = 0; i < EACH; i++) {
        char text[16];
        struct tenure_value_state *s = NULL;
        a->failed += tenure_value_update(v, add_one, text, &o, NULL, NULL) != 0;
        a->back += tenure_value_cached(v, &s, NULL) == 0 && s->mod_revision < last;
        last = s ? s->mod_revision : last;
        tenure_value_state_free(s);
    }
    tenure_value_close(v);
    tenure_close(c);
    return NULL;
}

/* C1. */
static void updates_of_many_are_all_there_once(void **state)
{
    struct adder adders[ADDERS];
    for (int i = 0; i < ADDERS; i++) {
        adders[i] = (struct adder){.server = *state};
        assert_int_equal(pthread_create(&adders[i].thread, NULL, add_many, &adders[i]), 0);
    }
    for (int i = 0; i < ADDERS; i++) {
        pthread_join(adders[i].thread, NULL);
        assert_int_equal(adders[i].failed, 0);
        assert_int_equal(adders[i].back, 0);
    }
    tenure_client *c = open_on(*state);
    char wanted[16], *value = get(c, "added");
    snprintf(wanted, sizeof wanted, "%d", ADDERS * EACH);
    assert_string_equal(value, wanted);
    free(value);
    tenure_close(c);
}

static void the_function_decides(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    tenure_value *v = value_open(c, "decides", NULL);
    int verdict = TENURE_VALUE_LEAVE;
    no_error(tenure_value_update(v, leave_it, &verdict, NULL, &s, &err), &err);
    holds(s, NULL);
    put(c, "decides", "x");
    no_error(tenure_value_update(v, leave_it, &verdict, NULL, &s, &err), &err);
    holds(s, "x");
    verdict = TENURE_EBUSY;
    assert_int_equal(tenure_value_update(v, leave_it, &verdict, NULL, NULL, &err), TENURE_EBUSY);
    verdict = 17;
    assert_int_equal(tenure_value_update(v, leave_it, &verdict, NULL, NULL, &err), TENURE_EINVALID);
    holds(newest(v), "x");
    verdict = TENURE_VALUE_DELETE;
    no_error(tenure_value_update(v, leave_it, &verdict, NULL, &s, &err), &err);
    holds(s, NULL);
    holds(newest(v), NULL);
    tenure_value_close(v);
    tenure_close(c);
}

/* Somebody is faster each time: the function itself sees to that, on a handle with another thread. */
struct rival {
    tenure_client *c;
    int times;
};

static int too_late(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    struct rival *r = arg;
    (void)is;
    r->times++;
    tenure_put(r->c, S("rival"), S("theirs"), NULL, NULL, NULL);
    *shall = S("ours");
    return TENURE_VALUE_PUT;
}

static void attempts_are_bounded(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    tenure_value *v = value_open(c, "rival", NULL);
    struct rival rival = {.c = other};
    struct tenure_value_write_options o = {.size = sizeof o, .attempts_max = 4, .timeout_ms = 20000};
    assert_int_equal(tenure_value_update(v, too_late, &rival, &o, NULL, &err), TENURE_ECONFLICT);
    assert_int_equal(rival.times, 4);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    holds(newest(v), "theirs");
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(other);
}

static void *be_faster(void *user)
{
    struct rival *r = user;
    tenure_put(r->c, S("faster"), S("theirs"), NULL, NULL, NULL);
    return NULL;
}

/* Somebody else writes just before the commit is sent. */
static void on_call(void *user, const struct tenure_call_event *e)
{
    struct rival *r = user;
    pthread_t thread;
    if (e->kind != TENURE_CALL_BEGIN || !strstr(e->method, "KV/Txn") || r->times++ > 0)
        return;
    assert_int_equal(pthread_create(&thread, NULL, be_faster, r), 0);
    pthread_join(thread, NULL);
}

static void a_conflict_tells_what_is_there_also_on_the_last_attempt(void **state)
{
    struct tenure_error err = {0};
    struct rival rival = {.c = open_on(*state)};
    struct tenure_options options = {.size = sizeof options, .on_call = on_call, .on_call_user = &rival};
    tenure_client *c = tenure_open(server_url(*state), &options, &err);
    struct tenure_value_write_options o = {.size = sizeof o, .attempts_max = 1, .timeout_ms = 20000};
    struct tenure_value_options unmarked = {.size = sizeof unmarked, .unmarked = true};
    struct tenure_value_state *s = NULL;
    tenure_value *v = value_open(c, "faster", &unmarked);
    int64_t was = write_at(rival.c, "faster", "before");
    assert_int_equal(tenure_value_cas(v, was, S("ours"), &o, &s, &err), TENURE_ECONFLICT);
    assert_non_null(s);
    assert_true(s->mod_revision > was);
    holds(s, "theirs");
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(rival.c);
}

struct word {
    int verdict, calls;
    int64_t revision;
};

static int says(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg)
{
    struct word *w = arg;
    (void)shall;
    w->calls++;
    w->revision = is->revision;
    return w->verdict;
}

static void a_functions_code_ends_it_at_once(void **state)
{
    static const int codes[] = {TENURE_ELOST, TENURE_ECONFLICT, TENURE_EBUSY};
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_value *v = value_open(c, "word", NULL);
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        struct word word = {.verdict = codes[i]};
        struct tenure_value_state *s = NULL;
        assert_int_equal(tenure_value_update(v, says, &word, NULL, &s, &err), codes[i]);
        assert_int_equal(word.calls, 1);
        assert_null(s); /* there is nothing to be freed */
    }
    tenure_value_close(v);
    tenure_close(c);
}

/* Also of a key that is not there, which has no revision of its own. */
static void each_state_has_the_revision_of_the_store(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    struct word word = {.verdict = TENURE_VALUE_LEAVE};
    tenure_value *v = value_open(c, "nowhere", NULL);
    int64_t at = write_at(c, "elsewhere", "x");
    no_error(tenure_value_update(v, says, &word, NULL, &s, &err), &err);
    assert_true(word.revision >= at);
    assert_true(s->revision >= at);
    holds(s, NULL);
    no_error(tenure_value_delete(v, 0, NULL, &s, &err), &err);
    assert_true(s->revision >= at);
    holds(s, NULL);
    assert_int_equal(tenure_value_cas(v, at, S("x"), NULL, &s, &err), TENURE_ECONFLICT);
    assert_true(s->revision >= at);
    holds(s, NULL);
    tenure_value_close(v);
    tenure_close(c);
}

static void a_key_on_a_lease_stays_on_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t lease = 0;
    no_error(tenure_lease_grant(c, 60, 0, &lease, NULL, &err), &err);
    struct tenure_put_options o = {.size = sizeof o, .lease = lease};
    no_error(tenure_put(c, S("leased"), S("1"), &o, NULL, &err), &err);
    tenure_value *v = value_open(c, "leased", NULL);
    struct tenure_value_state *s = NULL;
    no_error(tenure_value_set(v, S("2"), NULL, &s, &err), &err);
    assert_int_equal(s->lease, lease);
    holds(s, "2");
    no_error(tenure_lease_revoke(c, lease, &err), &err);
    holds(newest(v), NULL);
    tenure_value_close(v);
    tenure_close(c);
}

/* ---- losses ---- */

static void it_comes_back_over_a_restart(void **state)
{
    struct server *s = server_start();
    tenure_client *c = open_on(s);
    struct tenure_error err = {0};
    (void)state;
    struct tenure_value_write_options o = {.size = sizeof o, .timeout_ms = 30000};
    tenure_value *v = value_open(c, "restart", NULL);
    no_error(tenure_value_set(v, S("1"), &o, NULL, &err), &err);
    server_kill(s);
    holds(cached(v), "1");
    server_restart(s);
    tenure_client *other = open_on(s);
    put(other, "restart", "2");
    assert_true(test_await(copy_is, &(struct expected){v, "2"}));
    no_error(tenure_value_set(v, S("3"), &o, NULL, &err), &err);
    holds(newest(v), "3");
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(other);
    server_free(s);
}

static void it_comes_back_over_a_compaction_that_it_missed(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(proxy_url(p), NULL, &err), *other = open_on(*state);
    put(other, "compacted value", "1");
    tenure_value *v = value_open(c, "compacted value", NULL);
    holds(newest(v), "1");
    proxy_set(p, PROXY_REFUSE);
    proxy_drop(p);
    put(other, "compacted value", "2");
    int64_t revision = write_at(other, "compacted value", "3");
    no_error(tenure_compact(other, revision, true, 0, &err), &err);
    holds(cached(v), "1");
    proxy_set(p, PROXY_PASS);
    assert_true(test_await(copy_is, &(struct expected){v, "3"}));
    holds(newest(v), "3");
    tenure_value_close(v);
    tenure_close(c);
    tenure_close(other);
    proxy_free(p);
}

/* The answer to a write is cut off at bytes further and further on; it is made once all the same. */
static void a_write_whose_answer_was_lost_is_made_once(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(proxy_url(p), NULL, &err);
    struct tenure_value_write_options o = {.size = sizeof o, .timeout_ms = 30000};
    struct tenure_value_state *s = NULL;
    tenure_value *v = value_open(c, "cut value", NULL);
    no_error(tenure_value_set(v, S("0"), &o, &s, &err), &err);
    int64_t version = s->version;
    tenure_value_state_free(s);
    for (size_t at = 0; at < 240; at += 30) {
        char text[16];
        proxy_cut(p, SIZE_MAX, at, NULL, NULL);
        no_error(tenure_value_update(v, add_one, text, &o, &s, &err), &err);
        proxy_disarm(p);
        assert_int_equal(s->version, ++version);
        tenure_value_state_free(s);
    }
    holds(newest(v), "8");
    tenure_value_close(v);
    tenure_close(c);
    proxy_free(p);
}

/* ---- scopes and closing ---- */

struct ending {
    atomic_int done;
    int code;
    struct tenure_value_state *state;
};

static void on_value(void *user, int code, struct tenure_value_state *s, const struct tenure_error *err)
{
    struct ending *e = user;
    (void)err;
    e->code = code;
    e->state = s;
    atomic_store(&e->done, 1);
}

static void reads_that_wait_can_be_given_up(void **state)
{
    struct server *s = server_start();
    tenure_client *c = open_on(s);
    struct tenure_error err = {0};
    (void)state;
    tenure_value *v = value_open(c, "given up", NULL);
    holds(newest(v), NULL);
    server_pause(s);
    struct tenure_value_get_options o = {.size = sizeof o, .linearizable = true, .timeout_ms = 20000};
    struct ending cancelled = {0}, closed = {0}, written = {0};
    tenure_scope *scope = tenure_scope_new(NULL, &err), *before = tenure_scope_use(scope);
    no_error(tenure_value_get_start(v, &o, on_value, &cancelled, &err), &err);
    no_error(tenure_value_set_start(v, S("x"), NULL, on_value, &written, &err), &err);
    tenure_scope_cancel(scope);
    struct tenure_value_state *none = NULL;
    assert_int_equal(tenure_value_get(v, NULL, &none, &err), TENURE_ECANCELLED);
    tenure_scope_use(before);
    await_flag(&cancelled.done);
    assert_int_equal(cancelled.code, TENURE_ECANCELLED);
    assert_null(cancelled.state);
    await_flag(&written.done);
    assert_int_equal(written.code, TENURE_ECANCELLED);
    no_error(tenure_value_get_start(v, &o, on_value, &closed, &err), &err);
    tenure_value_close(v);
    await_flag(&closed.done);
    assert_int_equal(closed.code, TENURE_ECLOSED);
    tenure_scope_free(scope);
    server_resume(s);
    tenure_close(c);
    server_free(s);
}

static void a_handle_that_closes_ends_its_values(void **state)
{
    tenure_client *c = open_on(*state);
    struct told t = {0};
    struct ending waiting = {0};
    struct tenure_value_options o = {.size = sizeof o, .on_end = on_end, .user = &t};
    struct tenure_value_get_options never = {.size = sizeof never, .linearizable = true, .timeout_ms = 20000};
    tenure_value *v = value_open(c, "ends", &o);
    assert_int_equal(tenure_value_get_start(v, &never, on_value, &waiting, NULL), 0);
    tenure_close(c);
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.code, TENURE_ECLOSED);
    assert_int_equal(waiting.done, 1);
    tenure_value_state_free(waiting.state);
}

/* ---- the other ways in ---- */

static void completions_bring_states(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_value *v = value_open(c, "started", NULL);
    struct ending e[5] = {0};
    char text[16];
    assert_int_equal(tenure_value_set_start(v, S("7"), NULL, on_value, &e[0], NULL), 0);
    await_flag(&e[0].done);
    holds(e[0].state, "7");
    assert_int_equal(tenure_value_update_start(v, add_one, text, NULL, on_value, &e[1], NULL), 0);
    await_flag(&e[1].done);
    holds(e[1].state, "8");
    assert_int_equal(tenure_value_cas_start(v, 1, S("no"), NULL, on_value, &e[2], NULL), 0);
    await_flag(&e[2].done);
    assert_int_equal(e[2].code, TENURE_ECONFLICT);
    holds(e[2].state, "8");
    assert_int_equal(tenure_value_get_start(v, NULL, on_value, &e[3], NULL), 0);
    await_flag(&e[3].done);
    holds(e[3].state, "8");
    assert_int_equal(tenure_value_delete_start(v, 0, NULL, on_value, &e[4], NULL), 0);
    await_flag(&e[4].done);
    holds(e[4].state, NULL);
    assert_int_equal(tenure_value_set_start(v, S("9"), NULL, NULL, NULL, NULL), 0); /* nobody wants to know */
    assert_true(test_await(copy_is, &(struct expected){v, "9"}));
    tenure_value_close(v);
    tenure_close(c);
}

struct flow {
    tenure_value *v;
    char text[16];
    int wrong, changes;
    bool done;
};

static void flow_read(void *user, int code, struct tenure_value_state *s, const struct tenure_error *err)
{
    struct flow *f = user;
    (void)err;
    f->wrong += code != 0 || strcmp(s->value.data, "1") != 0;
    tenure_value_state_free(s);
    tenure_value_close(f->v);
    f->done = true;
}

static void flow_written(void *user, int code, struct tenure_value_state *s, const struct tenure_error *err)
{
    struct flow *f = user;
    struct tenure_value_get_options o = {.size = sizeof o, .linearizable = true};
    struct tenure_value_state *own = NULL;
    (void)err;
    f->wrong += code != 0 || s->version != 1 || tenure_value_cached(f->v, &own, NULL) != 0 || own->version != 1;
    tenure_value_state_free(s);
    tenure_value_state_free(own);
    f->wrong += tenure_value_get_start(f->v, &o, flow_read, f, NULL) != 0;
}

static void flow_changed(tenure_value *v, const struct tenure_value_state *s, void *user)
{
    struct flow *f = user;
    if (f->changes++ == 0) {
        f->wrong += s->exists;
        f->wrong += tenure_value_update_start(v, add_one, f->text, NULL, flow_written, f, NULL) != 0;
    }
}

static void begin(struct flow *f, tenure_client *c, const char *key)
{
    struct tenure_value_options o = {.size = sizeof o, .on_change = flow_changed, .user = f};
    struct tenure_value_state *s = NULL;
    f->v = value_open(c, key, &o);
    assert_int_equal(tenure_value_cached(f->v, &s, NULL), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_value_get(f->v, NULL, &s, NULL), TENURE_EINVALID); /* would block */
}

static void check_flow(const struct flow *f)
{
    assert_true(f->done);
    assert_int_equal(f->wrong, 0);
    assert_int_equal(f->changes, 2);
}

static void a_programs_own_loop_has_values(void **state)
{
    struct tenure_error err = {0};
    struct flow f = {0};
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, &err);
    begin(&f, c, "polled");
    int turns = 0;
    while (!f.done) {
        struct pollfd fd = {.fd = tenure_fd(c), .events = POLLIN};
        int timeout = tenure_timeout_ms(c);
        assert_true(poll(&fd, 1, timeout < 0 || timeout > 20000 ? 20000 : timeout) >= 0);
        assert_int_equal(tenure_turn(c), 0);
        assert_true(++turns < 2000);
    }
    check_flow(&f);
    tenure_close(c);
}

static struct flow on_uv;
static tenure_client *uv_handle;

static void after_turn(uv_check_t *check)
{
    if (!on_uv.done)
        return;
    uv_close((uv_handle_t *)check, NULL);
    tenure_close_start(uv_handle, NULL, NULL);
}

static void a_libuv_loop_has_values(void **state)
{
    struct tenure_error err = {0};
    uv_loop_t loop;
    uv_check_t after;
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_check_init(&loop, &after);
    uv_check_start(&after, after_turn);
    uv_handle = tenure_open_uv(&loop, server_url(*state), NULL, &err);
    assert_non_null(uv_handle);
    begin(&on_uv, uv_handle, "on uv");
    uv_run(&loop, UV_RUN_DEFAULT);
    check_flow(&on_uv);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void a_namespace_has_values_of_its_own(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_client *view = tenure_namespace(c, S("ns/"), &err);
    tenure_value *v = value_open(view, "k", NULL), *outside = value_open(c, "k", NULL);
    no_error(tenure_value_set(v, S("in"), NULL, NULL, &err), &err);
    holds(newest(outside), NULL);
    char *value = get(c, "ns/k");
    assert_string_equal(value, "in");
    free(value);
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S("ns//marks/"), &o, &r, &err), &err);
    assert_int_equal(r->n_kvs, 1); /* its marks too */
    tenure_get_free(r);
    tenure_value_close(v);
    tenure_value_close(outside);
    tenure_close(c);
}

static void what_has_no_meaning_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    struct tenure_value_options o = {.size = sizeof o, .check_ms = -1};
    assert_null(tenure_value_open(c, S(""), NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_value_open(c, S("x"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_value *v = value_open(c, "x", NULL);
    struct tenure_value_get_options bad[] = {{.max_stale_ms = -1}, {.min_revision = -1}, {.timeout_ms = -1}};
    for (size_t i = 0; i < 3; i++) {
        bad[i].size = sizeof bad[i];
        assert_int_equal(tenure_value_get(v, &bad[i], &s, &err), TENURE_EINVALID);
    }
    struct tenure_value_write_options w = {.size = sizeof w, .attempts_max = -1};
    assert_int_equal(tenure_value_set(v, S("x"), &w, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_value_cas(v, -1, S("x"), NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_value_update(v, NULL, NULL, NULL, NULL, &err), TENURE_EINVALID);
    tenure_value_close(v);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_copy_follows_what_others_write),
        cmocka_unit_test(what_is_asked_for_holds),
        cmocka_unit_test(a_bound_that_cannot_be_kept_is_not_served_by_an_old_copy),
        cmocka_unit_test(a_copy_can_be_kept_fresh),
        cmocka_unit_test(changes_are_told_and_show_at_the_descriptor),
        cmocka_unit_test(writes_say_what_has_come_of_them),
        cmocka_unit_test(what_one_wrote_is_in_the_copy),
        cmocka_unit_test(updates_of_many_are_all_there_once),
        cmocka_unit_test(the_function_decides),
        cmocka_unit_test(attempts_are_bounded),
        cmocka_unit_test(a_conflict_tells_what_is_there_also_on_the_last_attempt),
        cmocka_unit_test(a_functions_code_ends_it_at_once),
        cmocka_unit_test(each_state_has_the_revision_of_the_store),
        cmocka_unit_test(a_key_on_a_lease_stays_on_it),
        cmocka_unit_test(it_comes_back_over_a_restart),
        cmocka_unit_test(it_comes_back_over_a_compaction_that_it_missed),
        cmocka_unit_test(a_write_whose_answer_was_lost_is_made_once),
        cmocka_unit_test(reads_that_wait_can_be_given_up),
        cmocka_unit_test(a_handle_that_closes_ends_its_values),
        cmocka_unit_test(completions_bring_states),
        cmocka_unit_test(a_programs_own_loop_has_values),
        cmocka_unit_test(a_libuv_loop_has_values),
        cmocka_unit_test(a_namespace_has_values_of_its_own),
        cmocka_unit_test(what_has_no_meaning_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
