/* key: versions are pushed at one end, taken from both, and found by revision. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "store/key.h"
#include "tenure/error.h"

#include <stdlib.h>

static int push(struct key *k, tn_rev main, int64_t version)
{
    struct version *v = version_new(bytes_str("value"));
    if (!v)
        return TENURE_ENOMEM;
    v->main = main;
    v->version = version;
    if (key_reserve(k) != 0) {
        free(v);
        return TENURE_ENOMEM;
    }
    key_push(k, v);
    return 0;
}

static void a_key_finds_what_was_there_at_a_revision(void **state)
{
    (void)state;
    struct key *k = key_new(bytes_str("k"));
    assert_null(key_newest(k));
    assert_null(key_at(k, 100));
    for (tn_rev rev = 10; rev <= 40; rev += 10)
        assert_int_equal(push(k, rev, rev == 30 ? 0 : 1), 0);
    assert_null(key_at(k, 9));
    assert_int_equal(key_at(k, 10)->main, 10);
    assert_int_equal(key_at(k, 29)->main, 20);
    assert_int_equal(key_at(k, 30)->main, 30);
    assert_null(key_live_at(k, 35));
    assert_int_equal(key_live_at(k, 40)->main, 40);
    assert_int_equal(key_lower_bound(k, 11), 1);
    assert_int_equal(key_lower_bound(k, 41), 4);
    assert_int_equal(key_before(key_nth(k, 2))->main, 20);
    assert_null(key_before(key_nth(k, 0)));
    key_free(k);
}

static void a_version_holds_its_value_and_knows_its_key(void **state)
{
    (void)state;
    struct key *k = key_new(bytes_str("some key"));
    assert_int_equal(push(k, 5, 1), 0);
    struct kv kv = version_kv(key_newest(k));
    assert_true(bytes_equal(kv.key, bytes_str("some key")));
    assert_true(bytes_equal(kv.value, bytes_str("value")));
    assert_int_equal(kv.mod_revision, 5);
    key_free(k);
}

static void a_million_keys_fit_into_their_share(void **state)
{
    (void)state;
    assert_true(sizeof(struct key) + 32 <= 72);
    assert_true(sizeof(struct version) + 256 <= 312);
}

/* One version needs no array, and many versions, taken away again, leave none. */
static void one_version_needs_no_array(void **state)
{
    (void)state;
    struct key *k = key_new(bytes_str("k"));
    assert_int_equal(push(k, 1, 1), 0);
    failmalloc_off();
    assert_int_equal(key_reserve(k), 0);
    assert_int_equal(failmalloc_count(), 1);
    for (tn_rev rev = 2; rev < 50; rev++)
        assert_int_equal(push(k, rev, 1), 0);
    while (key_len(k) > 1)
        free(key_drop(k));
    assert_int_equal(key_newest(k)->main, 49);
    failmalloc_off();
    assert_int_equal(key_reserve(k), 0);
    assert_int_equal(failmalloc_count(), 1);
    key_free(k);
}

static void it_is_what_an_array_is(void **state)
{
    (void)state;
    struct rng r;
    rng_init(&r, 3);
    struct key *k = key_new(bytes_str("k"));
    tn_rev first = 0, last = 0; /* versions first .. last - 1 are there */
    for (int i = 0; i < 20000; i++) {
        uint64_t what = rng_below(&r, 10);
        if (what < 6) {
            assert_int_equal(push(k, last++, 1), 0);
        } else if (what < 8 && first < last) {
            struct version *v = key_drop(k);
            assert_int_equal(v->main, first++);
            free(v);
        } else if (first < last) {
            struct version *v = key_pop(k);
            assert_int_equal(v->main, --last);
            free(v);
        }
        assert_int_equal(key_len(k), last - first);
        if (first < last)
            assert_int_equal(key_nth(k, rng_below(&r, key_len(k)))->key == k, true);
        if (last - first > 200) {
            while (first < last - 1)
                first++, free(key_drop(k));
        }
    }
    key_free(k);
}

static int build(void *user)
{
    (void)user;
    struct key *k = key_new(bytes_str("k"));
    if (!k)
        return TENURE_ENOMEM;
    int rc = 0;
    for (tn_rev rev = 1; rev < 40 && !rc; rev++) {
        size_t before = key_len(k);
        rc = push(k, rev, 1);
        assert_int_equal(key_len(k), before + !rc);
    }
    key_free(k);
    return rc;
}

static void a_key_that_cannot_grow_is_unchanged(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(build, NULL) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_finds_what_was_there_at_a_revision),
        cmocka_unit_test(a_version_holds_its_value_and_knows_its_key),
        cmocka_unit_test(a_million_keys_fit_into_their_share),
        cmocka_unit_test(one_version_needs_no_array),
        cmocka_unit_test(it_is_what_an_array_is),
        cmocka_unit_test(a_key_that_cannot_grow_is_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
