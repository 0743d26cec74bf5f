/* watch_index: which watchers an event concerns; the model asks every one of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "store/watch_index.h"
#include "tenure/error.h"

enum { N = 300 };

static struct watch_node nodes[N];
static char text[N][2][8];
static bool there[N], matched[N];

static bytes letter(struct rng *r, char *out)
{
    size_t len = 1 + rng_below(r, 2);
    for (size_t i = 0; i < len; i++)
        out[i] = (char)('a' + rng_below(r, 6));
    return bytes_of(out, len);
}

static struct key_range random_range(struct rng *r, size_t i)
{
    struct key_range range = {.key = letter(r, text[i][0])};
    uint64_t form = rng_below(r, 4);
    if (form == 1)
        range.range_end = bytes_of("", 1);
    else if (form > 1)
        range.range_end = letter(r, text[i][1]);
    if (range.range_end.len && !key_range_is_from(range) && bytes_compare(range.key, range.range_end) >= 0)
        range.range_end.len = 0;
    return range;
}

static void on_match(void *user, struct watch_node *n)
{
    size_t i = (size_t)(n - nodes);
    assert_ptr_equal(user, &matched);
    assert_false(matched[i]);
    matched[i] = true;
}

static void expect_matches(struct watch_index *x, bytes key)
{
    memset(matched, 0, sizeof matched);
    watch_index_match(x, key, on_match, &matched);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(matched[i], there[i] && key_range_contains(nodes[i].range, key));
}

static void toggle(struct watch_index *x, struct rng *r, size_t i)
{
    if (there[i]) {
        watch_index_remove(x, &nodes[i]);
    } else {
        nodes[i] = (struct watch_node){.range = random_range(r, i), .id = rng_u64(r), .priority = rng_u64(r)};
        assert_int_equal(watch_index_add(x, &nodes[i]), 0);
    }
    there[i] = !there[i];
}

static void it_finds_whom_a_walk_over_all_finds(void **state)
{
    (void)state;
    struct watch_index x;
    struct rng r;
    char key[8];
    watch_index_init(&x);
    memset(there, 0, sizeof there);
    for (uint64_t seed = 0; seed < 10; seed++) {
        rng_init(&r, seed);
        for (int step = 0; step < 2000; step++) {
            toggle(&x, &r, rng_below(&r, seed % 2 ? N : 10));
            expect_matches(&x, letter(&r, key));
        }
    }
    for (struct watch_node *n; (n = watch_index_any(&x));)
        watch_index_remove(&x, n);
    watch_index_fini(&x);
}

static size_t depth(const struct watch_node *n)
{
    if (!n)
        return 0;
    size_t left = depth(n->left), right = depth(n->right);
    return 1 + (left > right ? left : right);
}

/* Ranges that come in order, and equal ones, do not make a list of the tree. */
static void the_tree_stays_shallow(void **state)
{
    (void)state;
    enum { MANY = 20000 };
    static struct watch_node many[MANY];
    static uint8_t keys[MANY][2];
    struct watch_index x;
    struct rng r;
    rng_init(&r, 1);
    watch_index_init(&x);
    for (size_t i = 0; i < MANY; i++) {
        keys[i][0] = (uint8_t)(i / 2 >> 8);
        keys[i][1] = (uint8_t)(i / 2);
        many[i] =
            (struct watch_node){.range = {bytes_of(keys[i], 2), bytes_of("", 1)}, .id = i, .priority = rng_u64(&r)};
        assert_int_equal(watch_index_add(&x, &many[i]), 0);
    }
    assert_true(depth(x.root) < 50);
    while (x.root)
        watch_index_remove(&x, x.root);
    watch_index_fini(&x);
}

static int add_two(void *user)
{
    (void)user;
    struct watch_index x;
    watch_index_init(&x);
    struct watch_node one = {.range = {bytes_str("a"), bytes_of(NULL, 0)}, .id = 1}, two = one;
    int rc = watch_index_add(&x, &one);
    if (!rc) {
        rc = watch_index_add(&x, &two);
        if (!rc)
            watch_index_remove(&x, &two);
        watch_index_remove(&x, &one);
    }
    assert_null(watch_index_any(&x));
    watch_index_fini(&x);
    return rc;
}

static void without_memory_nothing_is_added(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(add_two, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_finds_whom_a_walk_over_all_finds),
        cmocka_unit_test(the_tree_stays_shallow),
        cmocka_unit_test(without_memory_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
