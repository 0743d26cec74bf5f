/* deque: both ends and every place, across blocks. The model is an array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "store/deque.h"
#include "tenure/error.h"

enum { N = 5000 };

static int items[N];

static void what_is_pushed_is_found_in_order(void **state)
{
    (void)state;
    struct deque d;
    deque_init(&d);
    for (size_t i = 0; i < N; i++) {
        assert_int_equal(deque_reserve(&d), 0);
        deque_push(&d, &items[i]);
    }
    for (size_t i = 0; i < N; i++)
        assert_ptr_equal(deque_at(&d, i), &items[i]);
    deque_drop(&d, 1234);
    assert_ptr_equal(deque_at(&d, 0), &items[1234]);
    assert_ptr_equal(deque_pop(&d), &items[N - 1]);
    deque_drop(&d, d.len);
    assert_int_equal(d.len, 0);
    deque_fini(&d);
}

static void a_queue_that_moves_on_keeps_its_memory(void **state)
{
    (void)state;
    struct deque d;
    deque_init(&d);
    for (size_t i = 0; i < 100 * N; i++) {
        if (i == 3 * DEQUE_BLOCK)
            failmalloc_off();
        assert_int_equal(deque_reserve(&d), 0);
        deque_push(&d, &items[i % N]);
        if (d.len > 700)
            deque_drop(&d, 1);
    }
    assert_int_equal(failmalloc_count(), 0);
    deque_fini(&d);
}

struct model {
    size_t first, last; /* items[first .. last - 1] are in the queue */
};

static void step(struct deque *d, struct model *m, struct rng *r)
{
    size_t n = rng_below(r, 900);
    switch (rng_below(r, 4)) {
    case 0:
        n = n < d->len ? n : d->len;
        deque_drop(d, n);
        m->first += n;
        break;
    case 1:
        for (; n > 0 && d->len > 0; n--)
            assert_ptr_equal(deque_pop(d), &items[--m->last % N]);
        break;
    default:
        for (; n > 0 && d->len < N; n--) {
            assert_int_equal(deque_reserve(d), 0);
            deque_push(d, &items[m->last++ % N]);
        }
    }
}

static void it_is_what_an_array_is(void **state)
{
    (void)state;
    struct deque d;
    struct model m = {0};
    struct rng r;
    rng_init(&r, 1);
    deque_init(&d);
    for (int i = 0; i < 2000; i++) {
        step(&d, &m, &r);
        assert_int_equal(d.len, m.last - m.first);
        if (d.len == 0)
            continue;
        size_t at = rng_below(&r, d.len);
        assert_ptr_equal(deque_at(&d, at), &items[(m.first + at) % N]);
        assert_ptr_equal(deque_at(&d, d.len - 1), &items[(m.last - 1) % N]);
    }
    deque_fini(&d);
}

static int fill(void *user)
{
    struct deque d;
    int rc = 0;
    deque_init(&d);
    for (size_t i = 0; i < N && !rc; i++) {
        size_t before = d.len;
        rc = deque_reserve(&d);
        assert_int_equal(d.len, before);
        if (!rc)
            deque_push(&d, user);
    }
    for (size_t i = 0; i < d.len; i++)
        assert_ptr_equal(deque_at(&d, i), user);
    deque_fini(&d);
    return rc;
}

static void a_queue_that_cannot_grow_is_unchanged(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(fill, items) > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_pushed_is_found_in_order),
        cmocka_unit_test(a_queue_that_moves_on_keeps_its_memory),
        cmocka_unit_test(it_is_what_an_array_is),
        cmocka_unit_test(a_queue_that_cannot_grow_is_unchanged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
