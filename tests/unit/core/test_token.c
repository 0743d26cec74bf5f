/* Simple tokens by themselves. */
#include "cases.h"
#include "core/token.h"

static struct tokens set;

static int begin(void **state)
{
    (void)state;
    tokens_init(&set, 1000, 3);
    return 0;
}

static int end(void **state)
{
    (void)state;
    tokens_fini(&set);
    return 0;
}

static struct token *add(const char *name, tn_ms now)
{
    struct token *t = token_add(&set, bytes_str(name), "abcdefghijklmnop", now);
    assert_non_null(t);
    return t;
}

static bytes text_of(const struct token *t)
{
    return arena_copy(&here.w->arena, bytes_of(t->text, t->text_len));
}

static void a_token_is_letters_and_a_number_of_its_own(void **state)
{
    (void)state;
    struct token *a = add("root", 0), *b = add("u", 0);
    assert_bytes(bytes_of(a->text, a->text_len), "abcdefghijklmnop.1");
    assert_bytes(bytes_of(b->text, b->text_len), "abcdefghijklmnop.2");
    assert_ptr_equal(token_use(&set, bytes_str("abcdefghijklmnop.2"), 1), b);
    assert_bytes(token_name(b), "u");
}

static void what_is_not_quite_a_token_is_none(void **state)
{
    (void)state;
    add("root", 0);
    static const char *const bad[] = {
        "",
        "abcdefghijklmnop",
        "abcdefghijklmnop.",
        "abcdefghijklmnop.2",
        "abcdefghijklmnoq.1",
        "Abcdefghijklmnop.1",
        "abcdefghijklmnop.01",
        "abcdefghijklmnop.1 ",
        "abcdefghijklmnop.-1",
        "abcdefghijklmnop.18446744073709551617",
        "abcdefghijklmnop.1.1",
        "bcdefghijklmnop.1",
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_null(token_use(&set, bytes_str(bad[i]), 1));
    assert_non_null(token_use(&set, bytes_str("abcdefghijklmnop.1"), 1));
}

static void its_time_begins_anew_with_each_use(void **state)
{
    (void)state;
    here.w = world_new(NULL);
    bytes a = text_of(add("a", 0)), b = text_of(add("b", 0));
    assert_non_null(token_use(&set, a, 900));
    assert_null(token_use(&set, b, 1000));
    assert_non_null(token_use(&set, a, 1899));
    tokens_expire(&set, 1899);
    assert_int_equal(set.by_number.len, 1);
    tokens_expire(&set, 2898);
    assert_int_equal(set.by_number.len, 1);
    tokens_expire(&set, 2899);
    assert_int_equal(set.by_number.len, 0);
    world_free(here.w);
}

static void at_the_bound_the_one_that_was_not_used_longest_goes(void **state)
{
    (void)state;
    here.w = world_new(NULL);
    bytes a = text_of(add("a", 0)), b = text_of(add("b", 0)), c = text_of(add("c", 0));
    assert_non_null(token_use(&set, a, 1));
    bytes d = text_of(add("d", 1));
    assert_null(token_use(&set, b, 2));
    assert_non_null(token_use(&set, a, 2));
    assert_non_null(token_use(&set, c, 2));
    assert_non_null(token_use(&set, d, 2));
    world_free(here.w);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(a_token_is_letters_and_a_number_of_its_own),
        TEST(what_is_not_quite_a_token_is_none),
        TEST(its_time_begins_anew_with_each_use),
        TEST(at_the_bound_the_one_that_was_not_used_longest_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
