/* A write whose connection is cut (G6, C1, C2): before each byte of the request and of the reply, with nobody else there and with
 * a rival who writes the very same value in between, for compare-and-set, an exact transaction, and a plain one. What the caller
 * is told must be what the server holds.
 *
 * CUT_STEP bytes lie between two cuts: 13, or 1, which is every byte, in the suite `sweep` (scripts/sweep). One handle serves all
 * cuts: it reconnects behind each. */
#include "lib.h"
#include "proxy.h"

enum { CUTS_MAX = 4000, TIMEOUT_MS = 10000 };

struct cutter {
    struct server *server;
    struct proxy *proxy;
    tenure_client *direct, *through;
    size_t n;
    char key[64], value[64];
    int64_t before; /* the key's mod_revision */
    int64_t rival;  /* of the rival's write; 0 = none */
    bool was_cut;
    bool maybe_seen, not_seen, applied_seen;
};

static size_t step(void)
{
    const char *text = getenv("CUT_STEP");
    size_t n = text ? (size_t)atoi(text) : 13;
    return n ? n : 1;
}

static int64_t mod_of(tenure_client *c, const char *key, int64_t revision, char value[64])
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .revision = revision};
    no_error(tenure_get(c, S(key), &o, &r, &err), &err);
    int64_t mod = r->n_kvs ? r->kvs[0].mod_revision : 0;
    if (value)
        snprintf(value, 64, "%s", r->n_kvs ? (const char *)r->kvs[0].value.data : "");
    tenure_get_free(r);
    return mod;
}

static void rival_writes(void *user)
{
    struct cutter *t = user;
    struct tenure_error err = {0};
    struct tenure_put_result *r = NULL;
    no_error(tenure_put(t->direct, S(t->key), S(t->value), NULL, &r, &err), &err);
    t->rival = r->revision;
    tenure_put_free(r);
}

/* The connection stands, and the exact transactions have their lease and slot. */
static void warm_up(struct cutter *t)
{
    struct tenure_error err = {0};
    char key[80];
    snprintf(key, sizeof key, "%s/warm", t->key);
    no_error(tenure_put_if(t->through, S(key), S("x"), 0, NULL, NULL, &err), &err);
}

static void next_key(struct cutter *t)
{
    struct tenure_error err = {0};
    struct tenure_put_result *r = NULL;
    snprintf(t->key, sizeof t->key, "cut/%04zu", t->n);
    snprintf(t->value, sizeof t->value, "new-%04zu", t->n++);
    no_error(tenure_put(t->direct, S(t->key), S("old"), NULL, &r, &err), &err);
    t->before = r->revision;
    t->rival = 0;
    tenure_put_free(r);
}

/* The history of the key between its first value and now: our write stands there once, at `revision`, or not at all (0). */
static void check_history(struct cutter *t, int64_t revision)
{
    int64_t now = mod_of(t->direct, t->key, 0, NULL);
    int64_t last = t->rival > revision ? t->rival : revision;
    assert_int_equal(now, last ? last : t->before);
    if (last) {
        int64_t first = revision && t->rival && t->rival < revision ? t->rival : revision && t->rival ? revision : 0;
        assert_int_equal(mod_of(t->direct, t->key, last - 1, NULL), first ? first : t->before);
    }
}

static void check_outcome(struct cutter *t, int rc, bool wrote, int64_t revision, const struct tenure_error *err)
{
    no_error(rc, err);
    if (wrote) {
        assert_true(revision > t->before);
        assert_int_not_equal(revision, t->rival);
        assert_int_equal(mod_of(t->direct, t->key, revision, NULL), revision);
        t->applied_seen = true;
    } else {
        assert_int_not_equal(t->rival, 0); /* nobody else could have made the compare fail */
        t->not_seen = true;
    }
    check_history(t, wrote ? revision : 0);
}

/* ---- the three ways to write ---- */

/* The call may end before the rival has: an answer that came whole is followed by bytes that can be cut. Behind this he has. */
static void cut_is_over(struct cutter *t)
{
    t->was_cut = proxy_disarm(t->proxy);
}

static void put_if(struct cutter *t)
{
    struct tenure_error err = {0};
    struct tenure_cas_result *r = NULL;
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = TIMEOUT_MS, .prev_kv = true};
    int rc = tenure_put_if(t->through, S(t->key), S(t->value), t->before, &o, &r, &err);
    cut_is_over(t);
    check_outcome(t, rc, r && r->outcome == TENURE_TXN_SUCCEEDED, r ? r->revision : 0, &err);
    assert_true(r->has_kv);
    if (r->outcome == TENURE_TXN_SUCCEEDED)
        assert_string_equal(r->kv.value.data, "old");
    else
        assert_int_equal(r->kv.mod_revision, t->rival);
    tenure_cas_free(r);
}

/* No guard on the key itself: only the mark can tell. */
static void exact_txn(struct cutter *t)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    tenure_txn *x = tenure_txn_new(t->through);
    tenure_if_version(x, S("cut/none"), TENURE_EQ, 0);
    tenure_then_get(x, S(t->key), NULL);
    tenure_then_put(x, S(t->key), S(t->value), 0);
    tenure_txn_exact(x, true);
    int rc = tenure_txn_commit(x, TIMEOUT_MS, &r, &err);
    cut_is_over(t);
    check_outcome(t, rc, true, r ? r->revision : 0, &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    assert_false(r->ops_unknown);
    assert_int_equal(r->n_ops, 2);
    assert_int_equal(r->ops[0].get->kvs[0].mod_revision, t->rival && t->rival < r->revision ? t->rival : t->before);
    tenure_txn_result_free(r);
    tenure_txn_free(x);
}

/* As it always was: told as maybe, and never applied twice. */
static void plain_txn(struct cutter *t)
{
    struct tenure_error err = {0};
    tenure_txn *x = tenure_txn_new(t->through);
    tenure_if_mod_revision(x, S(t->key), TENURE_EQ, t->before);
    tenure_then_put(x, S(t->key), S(t->value), 0);
    int rc = tenure_txn_commit(x, TIMEOUT_MS, NULL, &err);
    cut_is_over(t);
    tenure_txn_free(x);
    char value[64];
    int64_t now = mod_of(t->direct, t->key, 0, value);
    if (rc == 0 || err.applied == TENURE_APPLIED_YES)
        assert_int_not_equal(now, t->before);
    else if (err.applied == TENURE_APPLIED_NO)
        assert_int_equal(now, t->before);
    t->maybe_seen |= rc != 0 && err.applied == TENURE_APPLIED_MAYBE;
    t->applied_seen |= now != t->before;
    t->not_seen |= now == t->before;
}

/* ---- the sweep ---- */

static void cut_everywhere(struct cutter *t, bool up, bool with_rival, void (*write)(struct cutter *t))
{
    size_t uncut = 0;
    for (size_t at = 0; uncut < 2; at += step()) {
        assert_true(at < CUTS_MAX);
        next_key(t);
        warm_up(t);
        proxy_cut(t->proxy, up ? at : SIZE_MAX, up ? SIZE_MAX : at, with_rival ? rival_writes : NULL, t);
        write(t);
        uncut = t->was_cut ? 0 : uncut + 1;
    }
}

static void cut_both_ways(struct cutter *t, bool with_rival, void (*write)(struct cutter *t))
{
    cut_everywhere(t, true, with_rival, write);
    cut_everywhere(t, false, with_rival, write);
}

static void compare_and_set_is_told_as_it_is(void **state)
{
    struct cutter *t = *state;
    cut_both_ways(t, false, put_if);
    assert_true(t->applied_seen && !t->not_seen);
}

static void compare_and_set_is_told_apart_from_a_rivals_same_value(void **state)
{
    struct cutter *t = *state;
    t->applied_seen = t->not_seen = false;
    cut_both_ways(t, true, put_if);
    assert_true(t->applied_seen && t->not_seen);
}

static void an_exact_transaction_without_a_guard_is_applied_once(void **state)
{
    cut_both_ways(*state, true, exact_txn);
}

static void a_plain_transaction_says_maybe(void **state)
{
    struct cutter *t = *state;
    t->applied_seen = t->not_seen = false;
    cut_both_ways(t, false, plain_txn);
    assert_true(t->maybe_seen && t->applied_seen && t->not_seen);
}

static void the_marks_go_with_the_handle(void **state)
{
    struct cutter *t = *state;
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {.size = sizeof o, .prefix = true, .count_only = true};
    tenure_close(t->through);
    t->through = NULL;
    no_error(tenure_get(t->direct, S("/marks/"), &o, &r, &err), &err);
    assert_int_equal(r->count, 0);
    tenure_get_free(r);
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
        cmocka_unit_test(compare_and_set_is_told_as_it_is),
        cmocka_unit_test(compare_and_set_is_told_apart_from_a_rivals_same_value),
        cmocka_unit_test(an_exact_transaction_without_a_guard_is_applied_once),
        cmocka_unit_test(a_plain_transaction_says_maybe),
        cmocka_unit_test(the_marks_go_with_the_handle),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
