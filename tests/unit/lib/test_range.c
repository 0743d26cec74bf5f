/* A key and its options as etcd's key and range_end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "lib/range.h"

static struct arena arena;

static int setup(void **state)
{
    (void)state;
    arena_init(&arena, 0);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct tenure_bytes b(const char *s)
{
    return (struct tenure_bytes){s, strlen(s)};
}

static void becomes(struct range_words words, bytes key, bytes end)
{
    struct key_range r;
    struct tenure_error err;
    assert_int_equal(range_of(&words, &arena, &r, &err), 0);
    assert_true(bytes_equal(r.key, key));
    assert_true(bytes_equal(r.range_end, end));
}

static void is_refused(struct range_words words)
{
    struct key_range r;
    struct tenure_error err = {0};
    assert_int_equal(range_of(&words, &arena, &r, &err), TENURE_EINVALID);
    assert_true(err.text[0] != 0);
}

static void a_key_alone_has_no_end(void **state)
{
    (void)state;
    becomes((struct range_words){.key = b("a")}, bytes_str("a"), bytes_of(NULL, 0));
}

static void a_prefix_ends_where_it_does(void **state)
{
    (void)state;
    becomes((struct range_words){.key = b("ab"), .prefix = true}, bytes_str("ab"), bytes_str("ac"));
    becomes((struct range_words){.key = b("a\xff"), .prefix = true}, bytes_str("a\xff"), bytes_str("b"));
    becomes((struct range_words){.key = b("\xff"), .prefix = true}, bytes_str("\xff"), bytes_of("", 1));
}

static void an_empty_prefix_is_all_keys(void **state)
{
    (void)state;
    becomes((struct range_words){.prefix = true}, bytes_of("", 1), bytes_of("", 1));
    becomes((struct range_words){.from_key = true}, bytes_of("", 1), bytes_of("", 1));
}

static void from_a_key_on_has_etcds_sign_for_no_end(void **state)
{
    (void)state;
    becomes((struct range_words){.key = b("k"), .from_key = true}, bytes_str("k"), bytes_of("", 1));
    becomes((struct range_words){.key = b("k"), .range_end = b("m")}, bytes_str("k"), bytes_str("m"));
}

static void contradictions_and_no_key_are_refused(void **state)
{
    (void)state;
    is_refused((struct range_words){.key = b("")});
    is_refused((struct range_words){.range_end = b("m")});
    is_refused((struct range_words){.key = b("k"), .prefix = true, .from_key = true});
    is_refused((struct range_words){.key = b("k"), .prefix = true, .range_end = b("m")});
    is_refused((struct range_words){.key = b("k"), .from_key = true, .range_end = b("m")});
}

static void is_below(struct range_words w, const char *key, const char *end)
{
    struct key_range r;
    w.ns = bytes_str("ns/");
    assert_int_equal(range_of(&w, &arena, &r, NULL), 0);
    assert_true(bytes_equal(r.key, bytes_str(key)));
    assert_true(bytes_equal(r.range_end, bytes_str(end)));
}

static void everything_stays_below_a_namespace(void **state)
{
    (void)state;
    is_below((struct range_words){.key = b("k")}, "ns/k", "");
    is_below((struct range_words){.key = b("k"), .prefix = true}, "ns/k", "ns/l");
    is_below((struct range_words){.key = b(""), .prefix = true}, "ns/", "ns0");
    is_below((struct range_words){.key = b("k"), .from_key = true}, "ns/k", "ns0");
    is_below((struct range_words){.key = b("k"), .range_end = b("m")}, "ns/k", "ns/m");
    is_below((struct range_words){.key = b("k"), .range_end = {"", 1}}, "ns/k", "ns0");
    is_refused((struct range_words){.key = b(""), .ns = bytes_str("ns/")});
}

static int make_a_prefix(void *user)
{
    struct arena a;
    struct key_range r;
    struct range_words words = {.key = b("abc"), .prefix = true};
    if (user)
        words.ns = bytes_str(user);
    arena_init(&a, 0);
    int rc = range_of(&words, &a, &r, NULL);
    arena_fini(&a);
    return rc;
}

static void a_prefix_needs_memory_for_its_end(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(make_a_prefix, NULL) > 0);
    assert_true(failmalloc_sweep(make_a_prefix, "ns/") > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_alone_has_no_end),
        cmocka_unit_test(a_prefix_ends_where_it_does),
        cmocka_unit_test(an_empty_prefix_is_all_keys),
        cmocka_unit_test(from_a_key_on_has_etcds_sign_for_no_end),
        cmocka_unit_test(contradictions_and_no_key_are_refused),
        cmocka_unit_test(everything_stays_below_a_namespace),
        cmocka_unit_test(a_prefix_needs_memory_for_its_end),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
