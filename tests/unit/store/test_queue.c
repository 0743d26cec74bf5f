/* queue: who is first in a range by create revision, and who is right before whom, durably and planned. */
#include <stdio.h>

#include "world.h"

static int setup(void **state)
{
    static struct world w;
    world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

static const struct key_range queue = {{(const uint8_t *)"q/", 2}, {(const uint8_t *)"q0", 2}};

static struct store_place place(struct world *w, const char *key, tn_rev create, bool planned)
{
    struct store_place p;
    store_queue_place(w->s, queue, bytes_str(key), create, planned, &p);
    return p;
}

static const char *first(struct world *w)
{
    static char text[32];
    struct kv kv;
    if (!store_queue_first(w->s, queue, &kv))
        return "";
    snprintf(text, sizeof text, "%.*s", (int)kv.key.len, (const char *)kv.key.data);
    return text;
}

static void the_order_is_that_of_creation(void **state)
{
    struct world *w = *state;
    assert_string_equal(first(w), "");
    put(w, "q/c", ""); /* 2 */
    put(w, "q/a", ""); /* 3 */
    put(w, "r", "");   /* 4: not of it */
    put(w, "q/b", ""); /* 5 */
    put(w, "q/c", ""); /* 6: changes nothing */
    world_commit(w);
    assert_string_equal(first(w), "q/c");
    struct store_place p = place(w, "q/c", 2, false);
    assert_true(p.stands && p.is_first);
    p = place(w, "q/b", 5, false);
    assert_true(p.stands && !p.is_first);
    assert_true(bytes_equal(p.before, bytes_str("q/a")));
}

static void a_key_of_another_revision_is_another_one(void **state)
{
    struct world *w = *state;
    put(w, "q/a", "");
    world_commit(w);
    assert_false(place(w, "q/a", 3, false).stands);
    assert_false(place(w, "q/x", 2, false).stands);
    del(w, "q/a", NULL);
    put(w, "q/a", "");
    world_commit(w);
    assert_false(place(w, "q/a", 2, false).stands);
    assert_true(place(w, "q/a", 4, false).stands);
}

static void what_is_planned_is_seen_where_that_is_asked(void **state)
{
    struct world *w = *state;
    put(w, "q/a", "");
    put(w, "q/b", "");
    world_commit(w);
    del(w, "q/a", NULL);
    assert_false(place(w, "q/b", 3, false).is_first);
    assert_true(place(w, "q/b", 3, true).is_first);
    assert_string_equal(first(w), "q/a");
    put(w, "q/c", "");
    assert_true(place(w, "q/c", 5, true).stands);
    assert_false(place(w, "q/c", 5, false).stands);
    store_rollback(w->s);
    assert_false(place(w, "q/b", 3, true).is_first);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_order_is_that_of_creation, setup, teardown),
        cmocka_unit_test_setup_teardown(a_key_of_another_revision_is_another_one, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_planned_is_seen_where_that_is_asked, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
