/* range_part: a range in parts of any size is the range, at one revision, whatever happens in between. */
#include "world.h"

#include <stdio.h>

#include "failmalloc.h"
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

static struct range_part_req request(tn_rev revision)
{
    return (struct range_part_req){
        .range = range_of("k", "l"),
        .revision = revision,
        .keys_max = SIZE_MAX,
        .bytes_max = SIZE_MAX,
        .steps_max = SIZE_MAX,
    };
}

static struct range_part part(struct world *w, const struct range_part_req *req)
{
    struct range_part p;
    assert_int_equal(store_range_part(w->s, req, &w->a, &p), ETCD_OK);
    return p;
}

/* k000 … of which each third is deleted. */
static tn_rev fill(struct world *w, int n)
{
    char key[16];
    for (int i = 0; i < n; i++) {
        snprintf(key, sizeof key, "k%03d", i);
        put(w, key, "value");
    }
    for (int i = 0; i < n; i += 3) {
        snprintf(key, sizeof key, "k%03d", i);
        del(w, key, NULL);
    }
    world_commit(w);
    return store_revision(w->s);
}

/* Reads on from part to part; answers how many keys, which must be those that live and in order. */
static int64_t read_all(struct world *w, struct range_part_req req)
{
    int64_t keys = 0;
    char key[16], start[16];
    int i = 0;
    for (;;) {
        struct range_part p = part(w, &req);
        assert_true(p.n_kvs <= req.keys_max || req.keys_max == 0);
        for (size_t k = 0; k < p.n_kvs; k++) {
            i += i % 3 == 0;
            snprintf(key, sizeof key, "k%03d", i++);
            assert_true(bytes_equal(p.kvs[k].key, bytes_str(key)));
        }
        keys += p.count;
        if (p.end)
            return keys;
        snprintf(start, sizeof start, "%.*s", (int)p.next.len, (const char *)p.next.data);
        req.range.key = bytes_str(start);
    }
}

static void parts_of_any_size_are_the_range(void **state)
{
    struct world *w = *state;
    tn_rev rev = fill(w, 90);
    for (size_t n = 1; n < 100; n += 7) {
        struct range_part_req req = request(rev);
        req.keys_max = n;
        assert_int_equal(read_all(w, req), 60);
        req.steps_max = n;
        assert_int_equal(read_all(w, req), 60);
        req.keys_max = SIZE_MAX;
        req.steps_max = SIZE_MAX;
        req.bytes_max = 20 * n;
        assert_int_equal(read_all(w, req), 60);
    }
    struct range_part_req counting = request(rev);
    counting.keys_max = 0;
    counting.steps_max = 11;
    assert_int_equal(read_all(w, counting), 60);
}

static void a_part_that_is_full_tells_whether_there_is_more(void **state)
{
    struct world *w = *state;
    struct range_part_req req = request(fill(w, 6)); /* k001 k002 k004 k005 */
    req.keys_max = 4;
    struct range_part p = part(w, &req);
    assert_true(p.end);
    req.keys_max = 3;
    p = part(w, &req);
    assert_true(!p.end && p.more);
    assert_true(bytes_equal(p.next, bytes_str("k005")));
    req.steps_max = 1;
    p = part(w, &req);
    assert_true(!p.end && !p.more); /* it has only not looked further */
}

static void one_value_is_given_however_large(void **state)
{
    struct world *w = *state;
    struct range_part_req req = request(fill(w, 6));
    req.bytes_max = 1;
    assert_int_equal(part(w, &req).n_kvs, 1);
    req.keys_only = true;
    struct range_part p = part(w, &req);
    assert_int_equal(p.kvs[0].value.len, 0);
    assert_int_equal(p.kvs[0].version, 1);
}

static void revisions_are_judged(void **state)
{
    struct world *w = *state;
    tn_rev rev = fill(w, 6);
    struct range_part p;
    struct range_part_req req = request(rev + 1);
    assert_int_equal(store_range_part(w->s, &req, &w->a, &p), ETCD_FUTURE_REV);
    req.revision = 3; /* k000 and k001 */
    assert_int_equal(part(w, &req).n_kvs, 2);
    compact(w, 4);
    assert_int_equal(part(w, &req).n_kvs, 2);
    world_commit(w);
    assert_int_equal(store_range_part(w->s, &req, &w->a, &p), ETCD_COMPACTED);
}

static int read_once(void *user)
{
    struct world *w = user;
    struct range_part_req req = request(store_revision(w->s));
    struct range_part p;
    struct arena a;
    arena_init(&a, 0);
    enum etcd_error e = store_range_part(w->s, &req, &a, &p);
    arena_fini(&a);
    return e ? TENURE_ENOMEM : 0;
}

static void memory_may_run_short(void **state)
{
    struct world *w = *state;
    fill(w, 300);
    assert_true(failmalloc_sweep(read_once, w) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(parts_of_any_size_are_the_range, setup, teardown),
        cmocka_unit_test_setup_teardown(a_part_that_is_full_tells_whether_there_is_more, setup, teardown),
        cmocka_unit_test_setup_teardown(one_value_is_given_however_large, setup, teardown),
        cmocka_unit_test_setup_teardown(revisions_are_judged, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_may_run_short, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
