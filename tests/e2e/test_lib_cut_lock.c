/* Locks whose connection is cut (C1, M5, M7, M11): in front of each byte of what is said while they are acquired and while they are
 * released, for a re-entrant lock, one with a delay, and one that takes an earlier holder's place over. Whoever is told "held" has the
 * key of his token, and nobody else one; and what was released is gone: the key, and the record of a delay.
 *
 * CUT_STEP bytes lie between two cuts: 113, or 1, which is every byte, in the suite `sweep` (scripts/sweep). */
#include "lib.h"
#include "proxy.h"

enum { CUTS_MAX = 6000, DELAY_MS = 1000 };

enum kind { REENTRANT, DELAYED, TAKEN_OVER };

struct cutter {
    struct server *server;
    struct proxy *proxy;
    tenure_client *direct, *through;
    size_t n;
    enum kind kind;
    char name[32];
    int64_t lease;      /* (TAKEN_OVER) of the earlier holder */
    tenure_token token; /* (TAKEN_OVER) what he had */
};

static size_t step(void)
{
    const char *text = getenv("CUT_STEP");
    size_t n = text ? (size_t)atoi(text) : 113;
    return n ? n : 1;
}

/* ---- what is at the server ---- */

static size_t places(struct cutter *t, tenure_token *ret_token)
{
    char prefix[64];
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    snprintf(prefix, sizeof prefix, "/locks/%s/", t->name);
    no_error(tenure_get(t->direct, S(prefix), &o, &r, &err), &err);
    size_t n = r->n_kvs;
    *ret_token = n ? r->kvs[0].create_revision : 0;
    tenure_get_free(r);
    return n;
}

/* The token that the record of the delay names; 0 = there is none. */
static tenure_token record(struct cutter *t)
{
    char key[64];
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    int n = snprintf(key, sizeof key, "/locks/%s%cdelay", t->name, 0);
    no_error(tenure_get(t->direct, (struct tenure_bytes){key, (size_t)n}, NULL, &r, &err), &err);
    const char *token = r->n_kvs ? strstr(r->kvs[0].value.data, "\"token\":") : NULL;
    tenure_token ret = token ? strtoll(token + strlen("\"token\":"), NULL, 10) : 0;
    tenure_get_free(r);
    return ret;
}

static void check_held(struct cutter *t, const tenure_lock *l)
{
    tenure_token there;
    assert_true(tenure_lock_held(l));
    assert_int_equal(places(t, &there), 1);
    assert_int_equal(tenure_lock_token(l), there);
    if (t->kind == TAKEN_OVER)
        assert_int_equal(there, t->token);
    assert_int_equal(record(t), t->kind == DELAYED ? there : 0);
}

/* ---- one lock ---- */

/* An earlier holder, of whom his key is left, and what he has noted. */
static void leave_a_place(struct cutter *t)
{
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 60};
    tenure_session *s = tenure_session_open(t->direct, &so, &err);
    assert_non_null(s);
    struct tenure_lock_options o = {.size = sizeof o, .session = s};
    tenure_lock *l = tenure_lock_acquire(t->direct, t->name, &o, &err);
    assert_non_null(l);
    t->lease = tenure_lock_lease(l);
    t->token = tenure_lock_token(l);
    no_error(tenure_session_leave(s, &err), &err);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
}

static tenure_lock *acquire(struct cutter *t)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = 20000};
    if (t->kind == TAKEN_OVER) {
        o.resume_lease = t->lease;
        o.resume_token = t->token;
        o.resume_is_sure = true;
    } else {
        o.ttl_s = 30;
        o.delay_ms = t->kind == DELAYED ? DELAY_MS : 0;
        o.reentrant = t->kind == REENTRANT;
    }
    tenure_lock *l = tenure_lock_acquire(t->through, t->name, &o, &err);
    if (!l)
        fail_msg("%s: %s", t->name, err.text);
    if (t->kind == REENTRANT)
        assert_ptr_equal(tenure_lock_acquire(t->through, t->name, &o, &err), l);
    return l;
}

static void release(struct cutter *t, tenure_lock *l)
{
    struct tenure_error err = {0};
    if (t->kind == REENTRANT) { /* the inner level lets nothing go */
        no_error(tenure_unlock(l, &err), &err);
        check_held(t, l);
    }
    no_error(tenure_unlock(l, &err), &err);
}

static bool cut_once(struct cutter *t, bool up, bool releasing, size_t at)
{
    size_t up_at = up ? at : SIZE_MAX, down_at = up ? SIZE_MAX : at;
    tenure_token there;
    snprintf(t->name, sizeof t->name, "cut%d-%zu", (int)t->kind, t->n++);
    if (t->kind == TAKEN_OVER)
        leave_a_place(t);
    if (!releasing)
        proxy_cut(t->proxy, up_at, down_at, NULL, NULL);
    tenure_lock *l = acquire(t);
    bool was_cut = !releasing && proxy_disarm(t->proxy);
    check_held(t, l);
    if (releasing)
        proxy_cut(t->proxy, up_at, down_at, NULL, NULL);
    release(t, l);
    if (releasing)
        was_cut = proxy_disarm(t->proxy);
    assert_int_equal(places(t, &there), 0);
    assert_int_equal(record(t), 0);
    return was_cut;
}

static void cut_everywhere(struct cutter *t, bool up, bool releasing)
{
    size_t uncut = 0;
    for (size_t at = 0; uncut < 2; at += step()) {
        assert_true(at < CUTS_MAX);
        uncut = cut_once(t, up, releasing, at) ? 0 : uncut + 1;
    }
}

static void cut(struct cutter *t, enum kind kind)
{
    t->kind = kind;
    cut_everywhere(t, true, false);
    cut_everywhere(t, false, false);
    cut_everywhere(t, true, true);
    cut_everywhere(t, false, true);
}

static void a_reentrant_lock_is_had_and_let_go_once(void **state)
{
    cut(*state, REENTRANT);
}

static void a_lock_with_a_delay_keeps_its_record_and_takes_it_along(void **state)
{
    cut(*state, DELAYED);
}

static void a_place_is_taken_over_with_its_token(void **state)
{
    cut(*state, TAKEN_OVER);
}

static int setup(void **state)
{
    static struct cutter t;
    struct tenure_error err = {0};
    t.server = server_start();
    t.proxy = proxy_start(server_url(t.server));
    t.direct = open_on(t.server);
    t.through = tenure_open(proxy_url(t.proxy), NULL, &err);
    assert_non_null(t.through);
    *state = &t;
    return 0;
}

static int teardown(void **state)
{
    struct cutter *t = *state;
    tenure_close(t->through);
    tenure_close(t->direct);
    proxy_free(t->proxy);
    server_free(t->server);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_reentrant_lock_is_had_and_let_go_once),
        cmocka_unit_test(a_lock_with_a_delay_keeps_its_record_and_takes_it_along),
        cmocka_unit_test(a_place_is_taken_over_with_its_token),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
