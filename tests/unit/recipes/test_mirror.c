/* The copy of a queue's keys, against a sorted list made anew each time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "recipes/mirror.h"
#include "tenure/error.h"

enum { KEYS = 40, STEPS = 4000 };

static void put(struct mirror *m, const char *key, const char *value, tn_rev create, tn_rev mod)
{
    struct kv kv = {
        .key = bytes_str(key), .value = bytes_str(value), .create_revision = create, .mod_revision = mod, .version = 1};
    assert_int_equal(mirror_put(m, &kv), 0);
}

static void the_first_is_the_one_that_was_created_first(void **state)
{
    (void)state;
    struct mirror m;
    struct kv kv;
    mirror_init(&m);
    assert_false(mirror_first(&m, &kv));
    put(&m, "b", "two", 8, 8);
    put(&m, "a", "one", 5, 5);
    put(&m, "c", "three", 9, 9);
    put(&m, "a", "more", 5, 10);
    assert_true(mirror_first(&m, &kv));
    assert_true(bytes_equal(kv.value, bytes_str("more")));
    assert_int_equal(kv.mod_revision, 10);
    mirror_delete(&m, bytes_str("nobody"));
    mirror_delete(&m, bytes_str("a"));
    assert_true(mirror_first(&m, &kv));
    assert_true(bytes_equal(kv.key, bytes_str("b")));
    assert_int_equal(m.len, 2);
    mirror_clear(&m);
    assert_int_equal(m.bytes, 0);
    mirror_fini(&m);
}

static void it_is_exact_after_any_changes(void **state)
{
    (void)state;
    tn_rev created[KEYS] = {0};
    struct mirror m;
    struct rng rng;
    char name[16];
    mirror_init(&m);
    rng_init(&rng, 1);
    for (tn_rev rev = 2; rev < STEPS; rev++) {
        size_t i = (size_t)rng_below(&rng, KEYS), n = 0;
        snprintf(name, sizeof name, "k%zu", i);
        if (created[i] && rng_below(&rng, 2)) {
            created[i] = 0;
            mirror_delete(&m, bytes_str(name));
        } else {
            created[i] = created[i] ? created[i] : rev;
            put(&m, name, "", created[i], rev);
        }
        size_t first = KEYS;
        for (size_t k = 0; k < KEYS; k++) {
            n += created[k] != 0;
            if (created[k] && (first == KEYS || created[k] < created[first]))
                first = k;
        }
        struct kv kv;
        assert_int_equal(m.len, n);
        assert_int_equal(mirror_first(&m, &kv), first != KEYS);
        if (first != KEYS)
            assert_int_equal(kv.create_revision, created[first]);
    }
    mirror_fini(&m);
}

static void more_keys_than_the_bound_are_refused(void **state)
{
    (void)state;
    struct mirror m;
    char name[16];
    mirror_init(&m);
    for (int i = 0; i < MIRROR_KEYS_MAX; i++) {
        snprintf(name, sizeof name, "%d", i);
        put(&m, name, "", i + 2, i + 2);
    }
    struct kv one_more = {.key = bytes_str("more"), .create_revision = 1};
    assert_int_equal(mirror_put(&m, &one_more), TENURE_ELIMIT);
    assert_int_equal(m.len, MIRROR_KEYS_MAX);
    mirror_delete(&m, bytes_str("0"));
    assert_int_equal(mirror_put(&m, &one_more), 0);
    mirror_fini(&m);
}

static void more_bytes_than_the_bound_are_refused(void **state)
{
    (void)state;
    struct mirror m;
    size_t len = MIRROR_BYTES_MAX / 2;
    uint8_t *much = calloc(1, len);
    mirror_init(&m);
    assert_int_equal(
        mirror_put(&m, &(struct kv){.key = bytes_str("a"), .value = bytes_of(much, len), .create_revision = 1}), 0);
    assert_int_equal(
        mirror_put(&m, &(struct kv){.key = bytes_str("b"), .value = bytes_of(much, len), .create_revision = 2}),
        TENURE_ELIMIT);
    mirror_fini(&m);
    free(much);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_is_the_one_that_was_created_first),
        cmocka_unit_test(it_is_exact_after_any_changes),
        cmocka_unit_test(more_keys_than_the_bound_are_refused),
        cmocka_unit_test(more_bytes_than_the_bound_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
