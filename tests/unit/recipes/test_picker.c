/* Pickers: how often each target is chosen, from a seed, and what a change among them moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/picker.h"

enum { N = 10, ROUNDS = 100000, KEYS = 20000 };

static int by_hash(const void *a, const void *b)
{
    uint64_t left = ((const struct picker_target *)a)->hash, right = ((const struct picker_target *)b)->hash;
    return left < right ? -1 : left > right;
}

/* Targets "t0" … with these weights (NULL = 1). */
static void targets_of(struct picker_target *t, size_t n, const uint32_t *weights)
{
    for (size_t i = 0; i < n; i++) {
        char name[32];
        snprintf(name, sizeof name, "t%zu", i);
        t[i] = (struct picker_target){.hash = picker_hash(bytes_str(name)), .weight = weights ? weights[i] : 1};
    }
    qsort(t, n, sizeof *t, by_hash);
}

static bytes key_of(unsigned i, char *out)
{
    return bytes_of(out, (size_t)snprintf(out, 32, "key %u", i));
}

/* Within five times the deviation of a fair draw. */
static void assert_share(size_t count, double share, size_t rounds)
{
    double wanted = share * (double)rounds, off = (double)count - wanted;
    if (off * off > 25.0 * wanted)
        fail_msg("%zu of %zu, wanted about %.0f", count, rounds, wanted);
}

static void count_picks(enum picker_policy policy, const struct picker_target *t, size_t n, size_t *counts)
{
    struct picker p;
    char key[32];
    picker_init(&p, policy, 7);
    memset(counts, 0, n * sizeof *counts);
    for (unsigned i = 0; i < ROUNDS; i++)
        counts[picker_pick(&p, t, n, key_of(i, key))]++;
}

static void in_turn_each_has_its_turn(void **state)
{
    struct picker_target t[N];
    size_t counts[N];
    (void)state;
    targets_of(t, N, NULL);
    count_picks(PICKER_ROUND_ROBIN, t, N, counts);
    for (size_t i = 0; i < N; i++)
        assert_int_equal(counts[i], ROUNDS / N);
}

static void in_turn_goes_on_where_it_was_when_others_come_and_go(void **state)
{
    struct picker_target t[N], fewer[N - 1];
    struct picker p;
    (void)state;
    targets_of(t, N, NULL);
    picker_init(&p, PICKER_ROUND_ROBIN, 1);
    p.last = t[3].hash;
    memcpy(fewer, t, 4 * sizeof *t); /* without t[4], which was the next */
    memcpy(fewer + 4, t + 5, (N - 5) * sizeof *t);
    assert_int_equal(picker_pick(&p, fewer, N - 1, bytes_of(NULL, 0)), 4);
    assert_int_equal(p.last, t[5].hash);
    assert_int_equal(picker_pick(&p, t, N, bytes_of(NULL, 0)), 6);
    p.last = t[N - 1].hash;
    assert_int_equal(picker_pick(&p, t, N, bytes_of(NULL, 0)), 0);
}

static void at_random_each_is_as_likely(void **state)
{
    struct picker_target t[N];
    size_t counts[N];
    (void)state;
    targets_of(t, N, NULL);
    count_picks(PICKER_RANDOM, t, N, counts);
    for (size_t i = 0; i < N; i++)
        assert_share(counts[i], 1.0 / N, ROUNDS);
}

static void a_weight_is_a_share(void **state)
{
    static const enum picker_policy policies[] = {PICKER_WEIGHTED, PICKER_CONSISTENT};
    static const uint32_t weights[N] = {1, 2, 3, 4, 5, 10, 20, 50, 1, 4};
    struct picker_target t[N];
    size_t counts[N];
    (void)state;
    targets_of(t, N, weights);
    for (size_t k = 0; k < 2; k++) {
        count_picks(policies[k], t, N, counts);
        for (size_t i = 0; i < N; i++)
            assert_share(counts[i], t[i].weight / 100.0, ROUNDS);
    }
}

static void the_least_used_for_its_weight_is_chosen(void **state)
{
    static const uint32_t weights[3] = {1, 1, 4};
    struct picker_target t[3];
    struct picker p;
    (void)state;
    targets_of(t, 3, weights);
    picker_init(&p, PICKER_LEAST_USED, 3);
    for (unsigned i = 0; i < 6000; i++) /* nobody returns anything */
        t[picker_pick(&p, t, 3, bytes_of(NULL, 0))].uses++;
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(t[i].uses, 1000 * t[i].weight);
    t[1].uses -= 10; /* returns come */
    for (unsigned i = 0; i < 10; i++) {
        size_t at = picker_pick(&p, t, 3, bytes_of(NULL, 0));
        if (t[1].weight == 1)
            assert_int_equal(at, 1);
        t[at].uses++;
    }
}

static void among_the_equally_used_chance_decides(void **state)
{
    struct picker_target t[N];
    size_t counts[N];
    (void)state;
    targets_of(t, N, NULL);
    count_picks(PICKER_LEAST_USED, t, N, counts); /* uses stay 0 */
    for (size_t i = 0; i < N; i++)
        assert_share(counts[i], 1.0 / N, ROUNDS);
}

/* ---- consistent hashing ---- */

static void a_key_has_one_place_whoever_asks(void **state)
{
    struct picker_target t[N];
    struct picker a, b;
    char key[32];
    (void)state;
    targets_of(t, N, NULL);
    picker_init(&a, PICKER_CONSISTENT, 1);
    picker_init(&b, PICKER_CONSISTENT, 2);
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(picker_pick(&a, t, N, key_of(i, key)), picker_pick(&b, t, N, key_of(i, key)));
}

/* Programs of other versions are built on these numbers. */
static void the_places_never_change_with_the_version(void **state)
{
    static const char *const wanted[] = {"t5", "t5", "t0", "t4", "t2", "t5", "t3", "t2"};
    struct picker_target t[N];
    struct picker p;
    char key[32];
    (void)state;
    targets_of(t, N, NULL);
    picker_init(&p, PICKER_CONSISTENT, 1);
    for (unsigned i = 0; i < 8; i++) {
        uint64_t hash = t[picker_pick(&p, t, N, key_of(i, key))].hash;
        if (hash != picker_hash(bytes_str(wanted[i])))
            for (size_t k = 0; k < N; k++) {
                char name[32];
                snprintf(name, sizeof name, "t%zu", k);
                if (picker_hash(bytes_str(name)) == hash)
                    fail_msg("key %u has moved to %s", i, name);
            }
    }
}

/* Places of all keys among those targets, as hashes. */
static uint64_t *places_of(const struct picker_target *t, size_t n)
{
    uint64_t *places = calloc(KEYS, sizeof *places);
    struct picker p;
    char key[32];
    assert_non_null(places);
    picker_init(&p, PICKER_CONSISTENT, 1);
    for (unsigned i = 0; i < KEYS; i++)
        places[i] = t[picker_pick(&p, t, n, key_of(i, key))].hash;
    return places;
}

static void only_keys_of_one_that_goes_move_and_only_its_share(void **state)
{
    static const uint32_t weights[N] = {1, 2, 3, 4, 5, 10, 20, 50, 1, 4};
    (void)state;
    for (int weighted = 0; weighted < 2; weighted++) {
        struct picker_target t[N], fewer[N - 1];
        targets_of(t, N, weighted ? weights : NULL);
        for (size_t gone = 0; gone < N; gone++) {
            memcpy(fewer, t, gone * sizeof *t);
            memcpy(fewer + gone, t + gone + 1, (N - gone - 1) * sizeof *t);
            uint64_t *with = places_of(t, N), *without = places_of(fewer, N - 1);
            size_t moved = 0;
            for (size_t i = 0; i < KEYS; i++) {
                moved += with[i] != without[i];
                if (with[i] != without[i])
                    assert_int_equal(with[i], t[gone].hash);
            }
            assert_share(moved, weighted ? t[gone].weight / 100.0 : 1.0 / N, KEYS);
            free(with);
            free(without);
        }
    }
}

static void a_heavier_weight_only_draws_keys_to_itself(void **state)
{
    struct picker_target t[N], heavier[N];
    (void)state;
    targets_of(t, N, NULL);
    memcpy(heavier, t, sizeof t);
    heavier[4].weight = 3;
    uint64_t *before = places_of(t, N), *after = places_of(heavier, N);
    for (size_t i = 0; i < KEYS; i++)
        if (before[i] != after[i])
            assert_int_equal(after[i], t[4].hash);
    free(before);
    free(after);
}

static void one_alone_is_always_chosen(void **state)
{
    struct picker_target t[1];
    struct picker p;
    char key[32];
    (void)state;
    targets_of(t, 1, NULL);
    for (int policy = PICKER_ROUND_ROBIN; policy <= PICKER_CONSISTENT; policy++) {
        picker_init(&p, (enum picker_policy)policy, 1);
        for (unsigned i = 0; i < 10; i++)
            assert_int_equal(picker_pick(&p, t, 1, key_of(i, key)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_turn_each_has_its_turn),
        cmocka_unit_test(in_turn_goes_on_where_it_was_when_others_come_and_go),
        cmocka_unit_test(at_random_each_is_as_likely),
        cmocka_unit_test(a_weight_is_a_share),
        cmocka_unit_test(the_least_used_for_its_weight_is_chosen),
        cmocka_unit_test(among_the_equally_used_chance_decides),
        cmocka_unit_test(a_key_has_one_place_whoever_asks),
        cmocka_unit_test(the_places_never_change_with_the_version),
        cmocka_unit_test(only_keys_of_one_that_goes_move_and_only_its_share),
        cmocka_unit_test(a_heavier_weight_only_draws_keys_to_itself),
        cmocka_unit_test(one_alone_is_always_chosen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
