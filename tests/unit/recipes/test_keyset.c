/* Sets of keys: their order, and entries that several share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "recipes/keyset.h"
#include "tenure/error.h"

static void put(struct keyset *s, const char *key, const char *value)
{
    struct keyset_entry *was;
    struct kv kv = {.key = bytes_str(key), .value = bytes_str(value)};
    assert_int_equal(keyset_put(s, &kv, &was), 0);
    keyset_unref(was);
}

static void keys_are_in_byte_order_each_once(void **state)
{
    struct keyset s = {.len = 0};
    (void)state;
    for (int i = 0; i < 200; i++) {
        char key[24];
        snprintf(key, sizeof key, "%03d", i * 37 % 100);
        put(&s, key, key);
    }
    assert_int_equal(s.len, 100);
    for (unsigned i = 0; i < s.len; i++) {
        char key[24];
        snprintf(key, sizeof key, "%03u", i);
        assert_string_equal(s.entries[i]->kv.key.data, key); /* with a 0 behind each */
        assert_string_equal(s.entries[i]->kv.value.data, key);
    }
    assert_non_null(keyset_find(&s, bytes_str("042")));
    assert_null(keyset_find(&s, bytes_str("0420")));
    assert_null(keyset_find(&s, bytes_of(NULL, 0)));
    keyset_fini(&s);
    assert_int_equal(s.len, 0);
}

static void an_entry_lives_as_long_as_somebody_has_it(void **state)
{
    struct keyset a = {.len = 0}, b = {.len = 0};
    struct keyset_entry *was;
    (void)state;
    put(&a, "k", "old");
    struct keyset_entry *kept = keyset_ref(keyset_entry_of(keyset_find(&a, bytes_str("k"))));
    assert_int_equal(keyset_reserve(&b, 1), 0);
    keyset_share(&b, kept, &was);
    assert_null(was);
    put(&a, "k", "new");
    assert_string_equal(keyset_find(&b, bytes_str("k"))->value.data, "old");
    keyset_share(&b, a.entries[0], &was);
    assert_ptr_equal(was, kept);
    keyset_unref(was);
    keyset_fini(&a);
    assert_string_equal(keyset_find(&b, bytes_str("k"))->value.data, "new");
    assert_string_equal(kept->kv.value.data, "old");
    struct keyset_entry *taken = keyset_take(&b, 0);
    assert_int_equal(b.len, 0);
    keyset_unref(taken);
    keyset_unref(kept);
    keyset_unref(NULL);
    keyset_fini(&b);
}

static int fill(void *user)
{
    struct keyset s = {.len = 0}, shared = {.len = 0};
    int rc = 0;
    (void)user;
    for (int i = 0; rc == 0 && i < 40; i++) {
        char key[24];
        struct keyset_entry *was = NULL;
        snprintf(key, sizeof key, "%02d", i * 7 % 40);
        struct kv kv = {.key = bytes_str(key)};
        rc = keyset_put(&s, &kv, &was);
        assert_null(was);
        assert_int_equal(s.len, rc ? i : i + 1);
    }
    rc = rc ? rc : keyset_reserve(&shared, s.len);
    for (size_t i = 0; rc == 0 && i < s.len; i++)
        keyset_share(&shared, s.entries[i], &(struct keyset_entry *){NULL});
    keyset_fini(&s);
    keyset_fini(&shared);
    return rc;
}

static void what_there_is_no_memory_for_leaves_it_as_it_was(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(fill, NULL) > 40);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_in_byte_order_each_once),
        cmocka_unit_test(an_entry_lives_as_long_as_somebody_has_it),
        cmocka_unit_test(what_there_is_no_memory_for_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests_name("keyset", tests, NULL, NULL);
}
