/* What an operation costs grows at most by a logarithm with the keys, versions, leases and watchers that there are.
 * Counted in steps, not in time: the layers are built with a hook at every branch of the code (meson.build), and the
 * median of many operations is compared between a small store and one a hundred times as large. */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "tenure/error.h"

void __sanitizer_cov_trace_pc(void);

static uint64_t steps;

void __sanitizer_cov_trace_pc(void)
{
    steps++;
}

enum {
    SMALL = 500,
    LARGE = 50000,
    SAMPLES = 101,
    SHARE_MAX = 3, /* the logarithm of LARGE is 1.74 times that of SMALL */
};

static int by_number(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* The median cost of an operation after build made a store of that size. */
static uint64_t cost(void (*build)(struct world *w, int size), void (*operation)(struct world *w, int size, int i),
                     int size)
{
    struct world w;
    uint64_t samples[SAMPLES];
    world_open(&w, &(struct store_config){.undo_entries_max = 10 * LARGE});
    build(&w, size);
    world_commit(&w);
    drain(&w);
    for (int i = 0; i < SAMPLES; i++) {
        uint64_t before = steps;
        operation(&w, size, (int)(i * 7919L % size));
        samples[i] = steps - before;
        arena_reset(&w.a);
    }
    world_close(&w);
    qsort(samples, SAMPLES, sizeof samples[0], by_number);
    return samples[SAMPLES / 2];
}

static void expect_logarithm(void (*build)(struct world *w, int size),
                             void (*operation)(struct world *w, int size, int i))
{
    uint64_t small = cost(build, operation, SMALL), large = cost(build, operation, LARGE);
    assert_true(small > 0);
    if (large > SHARE_MAX * small)
        fail_msg("%llu steps at %d, %llu at %d", (unsigned long long)small, SMALL, (unsigned long long)large, LARGE);
}

static const char *name(char *out, int i)
{
    snprintf(out, 16, "k%07d", i);
    return out;
}

/* ---- what there is a lot of ---- */

static void many_keys(struct world *w, int size)
{
    char key[16];
    for (int i = 0; i < size; i++)
        put(w, name(key, (int)(i * 7919L % size)), "value");
}

static void many_versions(struct world *w, int size)
{
    for (int i = 0; i < size; i++)
        put(w, "k", "value");
}

static void many_leases(struct world *w, int size)
{
    char key[16];
    for (int i = 0; i < size; i++) {
        grant(w, i + 1, 10 + i % 50);
        put_lease(w, name(key, i), "value", i + 1);
    }
}

static void one_lease_with_many_keys(struct world *w, int size)
{
    char key[16];
    grant(w, 1, 10);
    for (int i = 0; i < size; i++)
        put_lease(w, name(key, i), "value", 1);
}

static void many_watchers(struct world *w, int size)
{
    char key[16], end[16];
    for (int i = 0; i < size; i++) {
        name(key, 2 * i);
        name(end, 2 * i + 1);
        watch(w, key, i % 2 ? end : NULL, 0, "w");
    }
}

static void many_watchers_behind(struct world *w, int size)
{
    put(w, "x", "1");
    world_commit(w);
    for (int i = 0; i < size; i++)
        store_watch_block(w->s, watch(w, "z", i % 2 ? "zz" : NULL, 1, "w"), true);
}

/* A few that live among many that came and went: a queue that was busy. */
static void many_dead_keys(struct world *w, int size)
{
    char key[16];
    put(w, "k", "before all");
    for (int i = 0; i < size; i++)
        put(w, name(key, i), "value");
    put(w, "k9", "behind all");
    world_commit(w);
    del(w, "k0", "k8");
}

/* ---- operations ---- */

static void put_new(struct world *w, int size, int i)
{
    char key[16];
    put(w, name(key, size + i), "value");
}

static void put_again(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    put(w, name(key, i), "value");
}

static void put_the_one(struct world *w, int size, int i)
{
    (void)size, (void)i;
    put(w, "k", "value");
}

static void put_with_lease(struct world *w, int size, int i)
{
    char key[16];
    put_lease(w, name(key, i), "value", 1 + (i * 31) % (size < SMALL ? 1 : SMALL));
}

static void put_to_the_lease(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    put_lease(w, name(key, i), "value", 1);
}

static void put_and_deliver(struct world *w, int size, int i)
{
    (void)size;
    put_again(w, size, i);
    world_commit(w);
    drain(w);
}

static void delete_one(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    del(w, name(key, i), NULL);
}

static void read_one(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    get(w, name(key, i), NULL, 0);
}

static void read_the_past(struct world *w, int size, int i)
{
    (void)size;
    get(w, "k", NULL, 2 + i);
}

static void renew(struct world *w, int size, int i)
{
    struct lease_keepalive_resp resp;
    tn_ms deadline;
    (void)size;
    w->now++;
    assert_int_equal(
        store_lease_keepalive(w->s, &(struct lease_keepalive_req){.id = i + 1}, w->now, &resp, &deadline, &w->seq), 0);
    assert_true(resp.ttl_s > 0);
}

static void grant_and_revoke(struct world *w, int size, int i)
{
    char key[16];
    grant(w, size + 1, 10);
    put_lease(w, name(key, i), "value", size + 1);
    revoke(w, size + 1);
}

static void add_and_remove_a_watcher(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    store_watch_remove(w->s, watch(w, name(key, i), i % 2 ? "z" : NULL, 0, "w"));
}

static void catch_up(struct world *w, int size, int i)
{
    (void)size;
    struct store_watcher *watcher = watch(w, "k", i % 2 ? "l" : NULL, store_revision(w->s), "w");
    drain(w);
    store_watch_remove(w->s, watcher);
}

static void trim_and_compact(struct world *w, int size, int i)
{
    tn_seq seqs[4];
    (void)size, (void)i;
    put(w, "k", "value");
    compact(w, store_compacted(w->s) + 2);
    world_commit(w);
    store_trim(w->s, ARRAY_LEN(seqs), seqs);
}

static void list_what_lives(struct world *w, int size, int i)
{
    (void)size, (void)i;
    struct range_resp resp;
    struct range_req req = {.range = range_of("k", "l"), .limit = 1};
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
    assert_int_equal(resp.count, 2);
}

static void put_and_take(struct world *w, int size, int i)
{
    char key[16];
    put(w, name(key, size + i), "value");
    world_commit(w);
    assert_int_equal(del(w, "k", "l"), i == 0 ? 3 : 1);
    world_commit(w);
}

static void put_a_dead_one_again(struct world *w, int size, int i)
{
    char key[16];
    (void)size;
    put(w, name(key, i), "value");
    world_commit(w);
}

/* ---- the claims ---- */

static void with_the_number_of_keys(void **state)
{
    (void)state;
    expect_logarithm(many_keys, put_new);
    expect_logarithm(many_keys, put_again);
    expect_logarithm(many_keys, delete_one);
    expect_logarithm(many_keys, read_one);
    expect_logarithm(many_keys, put_and_deliver);
}

static void with_the_number_of_versions(void **state)
{
    (void)state;
    expect_logarithm(many_versions, put_the_one);
    expect_logarithm(many_versions, read_the_past);
    expect_logarithm(many_versions, catch_up);
    expect_logarithm(many_versions, trim_and_compact);
}

static void with_the_number_of_leases_and_their_keys(void **state)
{
    (void)state;
    expect_logarithm(many_leases, put_new);
    expect_logarithm(many_leases, put_with_lease);
    expect_logarithm(many_leases, renew);
    expect_logarithm(many_leases, grant_and_revoke);
    expect_logarithm(one_lease_with_many_keys, put_to_the_lease);
    expect_logarithm(one_lease_with_many_keys, put_again);
    expect_logarithm(one_lease_with_many_keys, delete_one);
}

static void with_the_number_of_watchers(void **state)
{
    (void)state;
    expect_logarithm(many_watchers, put_and_deliver);
    expect_logarithm(many_watchers, add_and_remove_a_watcher);
    expect_logarithm(many_watchers_behind, put_and_deliver);
}

static void not_with_the_number_of_deleted_keys_before_they_are_compacted(void **state)
{
    (void)state;
    expect_logarithm(many_dead_keys, list_what_lives);
    expect_logarithm(many_dead_keys, put_and_take);
    expect_logarithm(many_dead_keys, put_a_dead_one_again);
    expect_logarithm(many_dead_keys, put_new);
}

/* The measure itself can tell: an operation that walks all keys is found out. */
static void count_all(struct world *w, int size, int i)
{
    (void)size, (void)i;
    struct range_resp resp;
    struct range_req req = {.range = range_of("a", "z"), .count_only = true};
    assert_int_equal(store_range(w->s, &req, &w->a, &resp), ETCD_OK);
}

static void a_walk_over_everything_is_noticed(void **state)
{
    (void)state;
    assert_true(cost(many_keys, count_all, LARGE) > 50 * cost(many_keys, count_all, SMALL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(with_the_number_of_keys),
        cmocka_unit_test(with_the_number_of_versions),
        cmocka_unit_test(with_the_number_of_leases_and_their_keys),
        cmocka_unit_test(with_the_number_of_watchers),
        cmocka_unit_test(not_with_the_number_of_deleted_keys_before_they_are_compacted),
        cmocka_unit_test(a_walk_over_everything_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
