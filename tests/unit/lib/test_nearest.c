/* Which regions, in which order, and which of them is picked from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "lib/nearest.h"

static const struct tenure_distance of_eu[] = {{"us", 80}, {"sa", 0}}, of_ap[] = {{"us", 1}, {"eu", 30}};
static const struct tenure_region regions[] = {
    {.name = "af", .endpoints = "a"},
    {.name = "ap", .endpoints = "a", .distances = of_ap, .n_distances = 2},
    {.name = "eu", .endpoints = "a", .distances = of_eu, .n_distances = 2, .own = true},
    {.name = "me", .endpoints = "a"},
    {.name = "sa", .endpoints = "a"},
    {.name = "us", .endpoints = "a"},
};
static const struct tenure_region_list all = {.own = "eu", .n = 6, .regions = regions};

/* The names in their order, "eu sa ap". */
static const char *in_order(const struct tenure_region_list *list, const char *wanted)
{
    static char text[256];
    size_t order[16], n = nearest_order(list, wanted, order);
    text[0] = 0;
    for (size_t i = 0; i < n; i++) {
        strncat(text, i ? " " : "", sizeof text - strlen(text) - 1);
        strncat(text, list->regions[order[i]].name, sizeof text - strlen(text) - 1);
    }
    return text;
}

static void a_distance_is_said_by_either_side(void **state)
{
    (void)state;
    assert_int_equal(nearest_distance(&all, &regions[2]), 0);
    assert_int_equal(nearest_distance(&all, &regions[5]), 80);
    assert_int_equal(nearest_distance(&all, &regions[1]), 30);
    assert_int_equal(nearest_distance(&all, &regions[4]), 0);
    assert_int_equal(nearest_distance(&all, &regions[0]), -1);
}

static void the_own_one_is_first_and_the_unknown_last(void **state)
{
    (void)state;
    struct tenure_region_list none = {.own = ""}, nameless = {.own = "", .n = 2, .regions = regions};
    assert_string_equal(in_order(&all, NULL), "eu sa ap us af me");
    assert_string_equal(in_order(&all, "all"), "eu sa ap us af me");
    assert_string_equal(in_order(&all, "me,us, ap"), "ap us me");
    assert_string_equal(in_order(&all, ""), "");
    assert_string_equal(in_order(&none, NULL), "");
    assert_string_equal(in_order(&nameless, NULL), "af ap");
}

static bool is(bytes b, const char *text)
{
    return bytes_equal(b, bytes_str(text));
}

static void what_is_wanted_is_known_or_named(void **state)
{
    (void)state;
    struct tenure_region_list alone = {.own = "eu"}, nameless = {.own = ""};
    assert_true(is(nearest_unknown(&all, NULL), ""));
    assert_true(is(nearest_unknown(&all, "us,eu"), ""));
    assert_true(is(nearest_unknown(&all, "us,,x y,eu"), "x"));
    assert_true(is(nearest_unknown(&all, "u"), "u"));
    assert_true(is(nearest_unknown(&alone, "eu"), ""));
    assert_true(is(nearest_unknown(&alone, "us"), "us"));
    assert_true(is(nearest_unknown(&nameless, "eu"), "eu"));
    assert_true(nearest_wants("a,us", "us") && !nearest_wants("a,us", "u") && !nearest_wants("", "us"));
}

/* ---- taking ---- */

struct script {
    const char *states; /* a letter a region: u unknown, k known, o old */
    const char *has;    /* s one that serves, d one that drains, - none */
    char waited[16];    /* those that might be waited for */
};

static enum nearest_state state_of(void *user, size_t i, bool wait)
{
    struct script *s = user;
    if (wait)
        strncat(s->waited, &"0123456789"[i], 1);
    return s->states[i] == 'k' ? NEAREST_KNOWN : s->states[i] == 'o' ? NEAREST_OLD : NEAREST_UNKNOWN;
}

static bool take(void *user, size_t i, bool lax)
{
    const struct script *s = user;
    return s->has[i] == 's' || (lax && s->has[i] == 'd');
}

static size_t taken(struct script *s, bool lax)
{
    struct nearest_look look = {.state = state_of, .take = take, .user = s};
    return nearest_take(&look, strlen(s->states), lax);
}

static void the_nearest_that_has_one_is_taken(void **state)
{
    (void)state;
    struct script home = {.states = "kkk", .has = "sss"}, away = {.states = "kuk", .has = "-ss"};
    assert_int_equal(taken(&home, false), 0);
    assert_string_equal(home.waited, "0"); /* nobody else is waited for */
    assert_int_equal(taken(&away, false), 2);
    assert_string_equal(away.waited, "012");
    assert_int_equal(taken(&(struct script){.states = "uuu", .has = "sss"}, true), 3);
    assert_int_equal(taken(&(struct script){.states = "kk", .has = "--"}, true), 2);
    assert_int_equal(taken(&(struct script){.states = "", .has = ""}, true), 0);
}

static void one_that_is_heard_comes_before_one_that_is_not(void **state)
{
    (void)state;
    assert_int_equal(taken(&(struct script){.states = "kok", .has = "-ss"}, false), 2);
    assert_int_equal(taken(&(struct script){.states = "kok", .has = "-s-"}, false), 1);
}

static void one_that_serves_comes_before_one_that_does_not(void **state)
{
    (void)state;
    assert_int_equal(taken(&(struct script){.states = "kk", .has = "ds"}, true), 1);
    assert_int_equal(taken(&(struct script){.states = "ko", .has = "ds"}, true), 1);
    assert_int_equal(taken(&(struct script){.states = "kk", .has = "dd"}, true), 0);
    assert_int_equal(taken(&(struct script){.states = "ok", .has = "dd"}, true), 1);
    assert_int_equal(taken(&(struct script){.states = "kk", .has = "dd"}, false), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_distance_is_said_by_either_side),
        cmocka_unit_test(the_own_one_is_first_and_the_unknown_last),
        cmocka_unit_test(what_is_wanted_is_known_or_named),
        cmocka_unit_test(the_nearest_that_has_one_is_taken),
        cmocka_unit_test(one_that_is_heard_comes_before_one_that_is_not),
        cmocka_unit_test(one_that_serves_comes_before_one_that_does_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
