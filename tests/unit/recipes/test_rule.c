/* What keys say of who may hold beside whom, the malformed ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recipes/rule.h"

static void is_permit(const char *part, int64_t weight, int64_t limit)
{
    struct rule r = rule_of(bytes_str(part));
    assert_int_equal(r.kind, RULE_PERMIT);
    assert_int_equal(r.weight, weight);
    assert_int_equal(r.limit, limit);
}

static void keys_say_what_they_ask_for(void **state)
{
    (void)state;
    assert_int_equal(rule_of(bytes_str("read.1.2a")).kind, RULE_READ);
    assert_int_equal(rule_of(bytes_str("2a")).kind, RULE_WHOLE);
    is_permit("permit.1.3.1.2a", 1, 3);
    is_permit("permit.1000000000.1000000000.1.2a", RULE_LIMIT_MAX, RULE_LIMIT_MAX);
}

static void what_cannot_be_read_takes_the_whole(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "",
        "read",
        "permit.",
        "permit.1",
        "permit.1.",
        "permit.1.3",
        "permit..3.1.2a",
        "permit.0.3.1.2a",
        "permit.4.3.1.2a",
        "permit.-1.3.1.2a",
        "permit.+1.3.1.2a",
        "permit.1.1000000001.1.2a",
        "permit.1.99999999999999999999999999.1.2a",
        "permit.a.3.1.2a",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        assert_int_equal(rule_of(bytes_str(parts[i])).kind, RULE_WHOLE);
}

static void a_tag_is_read_as_what_it_was_made_of(void **state)
{
    (void)state;
    char tag[RULE_TAG_MAX];
    struct rule permit = {.kind = RULE_PERMIT, .weight = 999999999, .limit = RULE_LIMIT_MAX, .number = 0xffffffff},
                read = {.kind = RULE_READ, .number = 7};
    struct rule whole = {0};
    rule_tag(&permit, tag);
    is_permit(tag, 999999999, RULE_LIMIT_MAX);
    rule_tag(&read, tag);
    assert_string_equal(tag, "read.7.");
    rule_tag(&whole, tag);
    assert_string_equal(tag, "");
}

static void weights_are_from_one_to_the_limit(void **state)
{
    (void)state;
    assert_true(rule_is_valid(&(struct rule){0}));
    assert_true(rule_is_valid(&(struct rule){.kind = RULE_READ}));
    assert_true(rule_is_valid(&(struct rule){.kind = RULE_PERMIT, .weight = 3, .limit = 3, .number = 0}));
    assert_false(rule_is_valid(&(struct rule){.kind = RULE_PERMIT, .weight = 0, .limit = 3, .number = 0}));
    assert_false(rule_is_valid(&(struct rule){.kind = RULE_PERMIT, .weight = 4, .limit = 3, .number = 0}));
    assert_false(rule_is_valid(
        &(struct rule){.kind = RULE_PERMIT, .weight = 1, .limit = RULE_LIMIT_MAX + INT64_C(1), .number = 0}));
    assert_false(rule_is_valid(&(struct rule){.kind = (enum rule_kind)9}));
}

static void only_the_mark_at_the_beginning_says_shared(void **state)
{
    (void)state;
    assert_true(rule_is_shared(bytes_str(RULE_SHARED_VALUE ",\"host\":\"a\"}")));
    assert_false(rule_is_shared(bytes_str("")));
    assert_false(rule_is_shared(bytes_str(" " RULE_SHARED_VALUE)));
    assert_false(rule_is_shared(bytes_str("{\"purpose\":\"{\\\"tenure\\\":\\\"shared\\\"\"}")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_say_what_they_ask_for),
        cmocka_unit_test(what_cannot_be_read_takes_the_whole),
        cmocka_unit_test(a_tag_is_read_as_what_it_was_made_of),
        cmocka_unit_test(weights_are_from_one_to_the_limit),
        cmocka_unit_test(only_the_mark_at_the_beginning_says_shared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
