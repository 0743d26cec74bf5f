/* Permits on a real server, with mutexes and etcdctl in the same queue; M9. */
#include "others.h"

#define THREADS 6
#define TURNS   10
#define LIMIT   3

static tenure_lock *permit(tenure_client *c, const char *name, int64_t weight, int64_t limit)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_semaphore_acquire(c, name, weight, limit, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void is_busy(tenure_client *c, const char *name, int64_t weight)
{
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    assert_null(tenure_semaphore_acquire(c, name, weight, LIMIT, &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
}

static void start_permit(tenure_client *c, const char *name, int64_t weight, struct waiting *w)
{
    struct tenure_lock_options o = waiting_options(w);
    w->lock = tenure_semaphore_start(c, name, weight, LIMIT, &o, NULL);
    assert_non_null(w->lock);
}

static void permits_are_had_up_to_the_limit(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    tenure_lock *one = permit(a, "some", 1, LIMIT), *two = permit(a, "some", 2, LIMIT);
    assert_true(tenure_lock_held(one) && tenure_lock_held(two));
    is_busy(b, "some", 1);
    unlock(two);
    two = permit(b, "some", 1, LIMIT);
    is_busy(b, "some", 2);
    unlock(one);
    unlock(two);
    assert_null(tenure_semaphore_acquire(a, "some", 0, 3, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_semaphore_acquire(a, "some", 4, 3, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(a);
    tenure_close(b);
}

static void a_big_one_is_not_overtaken(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct waiting big = {0}, small = {0};
    size_t holders;
    tenure_lock *first = permit(a, "fair", 1, LIMIT);
    start_permit(b, "fair", 3, &big);
    await_queue(a, "fair", 2);
    start_permit(a, "fair", 1, &small);
    await_queue(a, "fair", 3);
    queue_of(a, "fair", &holders);
    assert_int_equal(holders, 1);
    unlock(first);
    await_held(&big);
    assert_int_equal(atomic_load(&small.acquired), 0);
    unlock(big.lock);
    await_held(&small);
    unlock(small.lock);
    tenure_close(a);
    tenure_close(b);
}

static void one_release_lets_in_all_that_fit(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct waiting w[4] = {0};
    tenure_lock *first = permit(a, "several", 3, LIMIT);
    for (size_t i = 0; i < 4; i++) {
        start_permit(i % 2 ? a : b, "several", 1, &w[i]);
        await_queue(a, "several", i + 2);
    }
    unlock(first);
    for (int i = 0; i < 3; i++)
        await_held(&w[i]);
    assert_int_equal(atomic_load(&w[3].acquired), 0);
    unlock(w[1].lock);
    await_held(&w[3]);
    unlock(w[0].lock);
    unlock(w[2].lock);
    unlock(w[3].lock);
    tenure_close(a);
    tenure_close(b);
}

static void etcdctl_takes_the_whole(void **state)
{
    tenure_client *c = open_on(*state);
    struct waiting w = {0};
    size_t holders;
    tenure_lock *first = permit(c, "mixed", 1, LIMIT);
    struct other etcdctl = etcdctl_lock(*state, "/locks/mixed");
    await_queue(c, "mixed", 2);
    start_permit(c, "mixed", 1, &w);
    await_queue(c, "mixed", 3);
    queue_of(c, "mixed", &holders);
    assert_int_equal(holders, 1);
    unlock(first);
    other_says(&etcdctl, "/locks/mixed/");
    assert_int_equal(atomic_load(&w.acquired), 0);
    other_end(&etcdctl, SIGINT);
    await_held(&w);
    unlock(w.lock);
    tenure_close(c);
}

static void the_list_says_weights_and_limits(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_list *list = NULL;
    tenure_lock *l = permit(c, "listed", 2, 5);
    no_error(tenure_lock_list(c, "listed", NULL, &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_int_equal(list->shares[0].mode, TENURE_LOCK_PERMIT);
    assert_int_equal(list->shares[0].weight, 2);
    assert_int_equal(list->shares[0].limit, 5);
    assert_true(list->shares[0].holds);
    char *value = get(c, tenure_lock_key(l));
    assert_non_null(strstr(value, "\"weight\":2,\"limit\":5"));
    free(value);
    tenure_lock_list_free(list);
    unlock(l);
    tenure_close(c);
}

static void what_a_killed_holder_had_is_free_when_its_lease_ends(void **state)
{
    tenure_client *c = open_on(*state);
    struct other dead = holder(*state, "2", "crash");
    is_busy(c, "crash", 2);
    other_end(&dead, SIGKILL);
    tenure_lock *l = permit(c, "crash", 3, LIMIT);
    unlock(l);
    tenure_close(c);
}

struct crowd {
    tenure_client *handle;
    int index;
    atomic_int *taken;
    int wrong, failures;
};

static void *come_and_go(void *arg)
{
    struct crowd *k = arg;
    for (int i = 0; i < TURNS; i++) {
        int weight = 1 + (i * 7 + k->index) % LIMIT;
        tenure_lock *l = tenure_semaphore_acquire(k->handle, "crowd", weight, LIMIT, NULL, NULL);
        k->failures += !l;
        if (!l)
            continue;
        k->wrong += atomic_fetch_add(k->taken, weight) + weight > LIMIT;
        k->wrong += !tenure_lock_held(l);
        atomic_fetch_sub(k->taken, weight);
        k->failures += tenure_unlock(l, NULL) != 0;
    }
    return NULL;
}

static void never_more_than_the_limit_over_handles_and_threads_M9(void **state)
{
    tenure_client *handles[2] = {open_on(*state), open_on(*state)};
    struct crowd k[THREADS];
    pthread_t threads[THREADS];
    atomic_int taken = 0;
    for (int i = 0; i < THREADS; i++) {
        k[i] = (struct crowd){handles[i % 2], i, &taken, 0, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, come_and_go, &k[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(k[i].failures, 0);
        assert_int_equal(k[i].wrong, 0);
    }
    tenure_close(handles[0]);
    tenure_close(handles[1]);
}

int main(int argc, char **argv)
{
    if (argc == 5 && strcmp(argv[1], "hold") == 0)
        holder_main(argv);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(permits_are_had_up_to_the_limit),
        cmocka_unit_test(a_big_one_is_not_overtaken),
        cmocka_unit_test(one_release_lets_in_all_that_fit),
        cmocka_unit_test(etcdctl_takes_the_whole),
        cmocka_unit_test(the_list_says_weights_and_limits),
        cmocka_unit_test(what_a_killed_holder_had_is_free_when_its_lease_ends),
        cmocka_unit_test(never_more_than_the_limit_over_handles_and_threads_M9),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
