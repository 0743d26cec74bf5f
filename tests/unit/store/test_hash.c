/* hash, hash_row: numbers that etcd gave for the same history, and the same number however the work is cut and whatever goes
 * on meanwhile (KV6). */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "failmalloc.h"
#include "store/hash_row.h"
#include "store/internal.h"
#include "tenure/error.h"

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

static struct store_hash *begin(struct world *w, tn_rev revision)
{
    struct store_hash *h;
    assert_int_equal(store_hash_begin(w->s, revision, &h), ETCD_OK);
    return h;
}

static struct hash_kv_resp finish(struct store_hash *h, size_t work)
{
    struct hash_kv_resp r;
    enum store_hash_state state;
    while ((state = store_hash_step(h, work)) == STORE_HASH_MORE)
        ;
    assert_int_equal(state, STORE_HASH_DONE);
    store_hash_result(h, &r);
    store_hash_end(h);
    return r;
}

static uint32_t hash_at(struct world *w, tn_rev revision)
{
    return finish(begin(w, revision), 1000).hash;
}

static enum etcd_error error_at(struct world *w, tn_rev revision)
{
    struct store_hash *h;
    return store_hash_begin(w->s, revision, &h);
}

/* ---- what etcd said ---- */

static void etcds_numbers_come_out(void **state)
{
    struct world *w = *state;
    assert_int_equal(hash_at(w, 0), 1084519789);
    put(w, "a", "1");
    put(w, "b", "");
    put(w, "a", "2");
    world_commit(w);
    assert_int_equal(hash_at(w, 0), 1543627925);
    assert_int_equal(hash_at(w, 2), 2587454935);
    del(w, "a", NULL);
    world_commit(w);
    assert_int_equal(hash_at(w, 0), 2130757684);
    /* With mod("q") = 0: put x 1, put y 2, del b. */
    struct request_op ops[] = {
        {.kind = OP_PUT, .put = {.key = bytes_str("x"), .value = bytes_str("1")}},
        {.kind = OP_PUT, .put = {.key = bytes_str("y"), .value = bytes_str("2")}},
        {.kind = OP_DELETE, .del = {.range = {bytes_str("b"), {0}}}},
    };
    struct txn_resp resp;
    struct txn_req req = {.success = ops, .n_success = 3};
    assert_int_equal(store_txn(w->s, &req, &w->a, &resp, &w->seq), ETCD_OK);
    world_commit(w);
    assert_int_equal(hash_at(w, 0), 2068631363);
    put(w, "a", "3");
    world_commit(w);
    assert_int_equal(hash_at(w, 0), 655498224);
    compact(w, 4);
    world_commit(w);
    world_trim_all(w);
    assert_int_equal(hash_at(w, 0), 2769786298);
    assert_int_equal(hash_at(w, 5), 267636973);
    compact(w, 5);
    world_commit(w);
    world_trim_all(w);
    assert_int_equal(hash_at(w, 0), 4106981269);
    assert_int_equal(hash_at(w, 6), 858135025);
}

static void revisions_are_judged_as_etcd_does(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "a", "2");
    put(w, "a", "3");
    world_commit(w);
    struct hash_kv_resp r = finish(begin(w, 0), 10);
    assert_int_equal(r.revision, 4);
    assert_int_equal(r.hash_revision, 4);
    assert_int_equal(r.compact_revision, -1);
    assert_int_equal(error_at(w, 5), ETCD_FUTURE_REV);
    compact(w, 0);
    world_commit(w);
    assert_int_equal(finish(begin(w, 4), 10).compact_revision, 0);
    compact(w, 3);
    world_commit(w);
    assert_int_equal(error_at(w, 2), ETCD_COMPACTED);
    r = finish(begin(w, 3), 10);
    assert_int_equal(r.compact_revision, 3);
    assert_int_equal(r.hash_revision, 3);
    r = finish(begin(w, -1), 10);
    assert_int_equal(r.hash_revision, -1);
    assert_int_equal(r.hash, 1084519789);
    put(w, "a", "4"); /* planned */
    assert_int_equal(error_at(w, 5), ETCD_FUTURE_REV);
    assert_int_equal(finish(begin(w, 0), 10).hash_revision, 4);
}

/* ---- slices ---- */

static void some_history(struct world *w, unsigned seed, int n)
{
    char key[16], value[16];
    for (int i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        snprintf(key, sizeof key, "k%03u", (seed >> 16) % 200);
        snprintf(value, sizeof value, "%d", i);
        if (seed >> 28 == 0)
            del(w, key, NULL);
        else
            put(w, key, value);
    }
    world_commit(w);
}

static void slices_of_any_size_give_one_number(void **state)
{
    struct world *w = *state;
    some_history(w, 1, 500);
    compact(w, 300);
    world_commit(w);
    world_trim_all(w);
    some_history(w, 2, 100);
    tn_rev at = store_revision(w->s) - 40;
    uint32_t newest = hash_at(w, 0), earlier = hash_at(w, at);
    for (size_t work = 1; work < 3000; work = 3 * work + 1) {
        assert_int_equal(finish(begin(w, 0), work).hash, newest);
        assert_int_equal(finish(begin(w, at), work).hash, earlier);
    }
    world_restart(w);
    assert_int_equal(hash_at(w, 0), newest);
    assert_int_equal(hash_at(w, at), earlier);
}

/* More than one sorted run. */
static void many_keys_are_put_in_order(void **state)
{
    struct world *w = *state;
    char key[16];
    uint32_t crc = hash_row_begin();
    enum { N = 10000 };
    for (unsigned i = 0; i < N; i++) {
        snprintf(key, sizeof key, "%05u", i * 7919 % N);
        put(w, key, "v");
        crc = hash_row(crc, key_newest(store_key_find(w->s, bytes_str(key))));
    }
    world_commit(w);
    assert_int_equal(hash_at(w, 0), crc);
    compact(w, store_revision(w->s));
    world_commit(w);
    world_trim_all(w);
    assert_int_equal(hash_at(w, 0), crc);
}

static void what_goes_on_meanwhile_changes_nothing(void **state)
{
    struct world *w = *state;
    some_history(w, 3, 400);
    compact(w, 200);
    world_commit(w);
    world_trim_all(w);
    tn_rev at = store_revision(w->s);
    uint32_t wanted = hash_at(w, 0);
    struct store_hash *h = begin(w, 0);
    struct hash_kv_resp r;
    unsigned i = 0;
    while (store_hash_step(h, 25) == STORE_HASH_MORE) {
        some_history(w, 100 + i, 10);
        if (i % 3 == 0) {
            compact(w, store_revision(w->s));
            world_commit(w);
        }
        world_trim_all(w);
        put(w, "undone", "x");
        store_rollback(w->s);
        i++;
    }
    assert_true(i > 20);
    store_hash_result(h, &r);
    assert_int_equal(r.hash, wanted);
    assert_int_equal(r.hash_revision, at);
    assert_true(store_hashing(w->s));
    int64_t before = store_memory(w->s);
    store_hash_end(h);
    assert_false(store_hashing(w->s));
    world_trim_all(w);
    assert_true(store_memory(w->s) < before);
    /* And what was held up is gone now, so that the log tells the same. */
    uint32_t newest = hash_at(w, 0);
    world_restart(w);
    assert_int_equal(hash_at(w, 0), newest);
}

static void so_many_are_under_way_at_most(void **state)
{
    struct world *w = *state;
    struct store_hash *all[STORE_HASHES_MAX];
    for (size_t i = 0; i < STORE_HASHES_MAX; i++)
        all[i] = begin(w, 0);
    assert_int_equal(error_at(w, 0), ETCD_TOO_MANY_REQUESTS);
    store_hash_end(all[3]);
    all[3] = begin(w, 0);
    for (size_t i = 0; i < STORE_HASHES_MAX; i++)
        store_hash_end(all[i]);
}

static uint32_t wanted_hash;

static int hash_once(void *user)
{
    struct world *w = user;
    struct store_hash *h;
    struct hash_kv_resp r;
    enum store_hash_state state;
    if (store_hash_begin(w->s, 0, &h) != ETCD_OK)
        return TENURE_ENOMEM;
    while ((state = store_hash_step(h, 50)) == STORE_HASH_MORE)
        ;
    store_hash_result(h, &r);
    store_hash_end(h);
    if (state == STORE_HASH_NO_MEMORY)
        return TENURE_ENOMEM;
    assert_int_equal(r.hash, wanted_hash);
    return 0;
}

static void memory_that_runs_short_ends_it_and_nothing_else(void **state)
{
    struct world *w = *state;
    some_history(w, 5, 300);
    compact(w, 250);
    world_commit(w);
    wanted_hash = hash_at(w, 0);
    assert_true(failmalloc_sweep(hash_once, w) > 0);
    assert_false(store_hashing(w->s));
    assert_int_equal(hash_at(w, 0), wanted_hash);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(etcds_numbers_come_out, setup, teardown),
        cmocka_unit_test_setup_teardown(revisions_are_judged_as_etcd_does, setup, teardown),
        cmocka_unit_test_setup_teardown(slices_of_any_size_give_one_number, setup, teardown),
        cmocka_unit_test_setup_teardown(many_keys_are_put_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(what_goes_on_meanwhile_changes_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_are_under_way_at_most, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_runs_short_ends_it_and_nothing_else, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
