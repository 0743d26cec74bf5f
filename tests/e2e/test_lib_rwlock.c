/* Readers and writers on a real server, with mutexes and etcdctl in the same queue; M9, and what happens when they die. */
#include "others.h"

#define THREADS 6
#define TURNS   12

static tenure_lock *read_lock(tenure_client *c, const char *name)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_rwlock_read(c, name, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static tenure_lock *write_lock(tenure_client *c, const char *name)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_rwlock_write(c, name, NULL, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void is_busy(tenure_client *c, const char *name, bool to_read)
{
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    assert_null(to_read ? tenure_rwlock_read(c, name, &try, &err) : tenure_rwlock_write(c, name, &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
}

static void start_read(tenure_client *c, const char *name, struct waiting *w)
{
    struct tenure_lock_options o = waiting_options(w);
    w->lock = tenure_rwlock_read_start(c, name, &o, NULL);
    assert_non_null(w->lock);
}

static void start_write(tenure_client *c, const char *name, struct waiting *w)
{
    struct tenure_lock_options o = waiting_options(w);
    w->lock = tenure_rwlock_write_start(c, name, &o, NULL);
    assert_non_null(w->lock);
}

static void readers_hold_together_and_keep_writers_out(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_options wait = {.size = sizeof wait, .wait_ms = 100};
    tenure_lock *r[3] = {read_lock(a, "rw"), read_lock(a, "rw"), read_lock(b, "rw")};
    assert_true(tenure_lock_held(r[0]) && tenure_lock_held(r[1]) && tenure_lock_held(r[2]));
    assert_int_equal(tenure_lock_lease(r[0]), tenure_lock_lease(r[1])); /* one session, two keys */
    assert_string_not_equal(tenure_lock_key(r[0]), tenure_lock_key(r[1]));
    is_busy(b, "rw", false);
    assert_null(tenure_rwlock_write(b, "rw", &wait, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    for (int i = 0; i < 3; i++)
        unlock(r[i]);
    tenure_lock *w = write_lock(b, "rw");
    is_busy(a, "rw", true);
    is_busy(a, "rw", false);
    unlock(w);
    tenure_close(a);
    tenure_close(b);
}

static void a_writer_that_waits_is_not_overtaken_by_readers(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct waiting writer = {0}, reader = {0};
    size_t holders;
    tenure_lock *first = read_lock(a, "fair");
    start_write(b, "fair", &writer);
    await_queue(a, "fair", 2);
    start_read(a, "fair", &reader);
    await_queue(a, "fair", 3);
    queue_of(a, "fair", &holders);
    assert_int_equal(holders, 1);
    is_busy(b, "fair", true);
    assert_int_equal(atomic_load(&writer.acquired) + atomic_load(&reader.acquired), 0);
    tenure_token token = tenure_lock_token(first);
    unlock(first);
    await_held(&writer);
    assert_true(writer.token > token);
    unlock(writer.lock);
    await_held(&reader);
    assert_true(reader.token > writer.token);
    unlock(reader.lock);
    tenure_close(a);
    tenure_close(b);
}

static void etcdctl_and_readers_exclude_each_other(void **state)
{
    tenure_client *c = open_on(*state);
    struct waiting reader = {0};
    struct other etcdctl = etcdctl_lock(*state, "/locks/mixed");
    other_says(&etcdctl, "/locks/mixed/");
    is_busy(c, "mixed", true);
    start_read(c, "mixed", &reader);
    await_queue(c, "mixed", 2);
    struct other second = etcdctl_lock(*state, "/locks/mixed");
    await_queue(c, "mixed", 3);
    assert_int_equal(atomic_load(&reader.acquired), 0);
    other_end(&etcdctl, SIGINT);
    await_held(&reader);
    size_t holders;
    assert_int_equal(queue_of(c, "mixed", &holders), 2); /* etcdctl waits for the reader */
    assert_int_equal(holders, 1);
    unlock(reader.lock);
    other_says(&second, "/locks/mixed/");
    other_end(&second, SIGINT);
    tenure_close(c);
}

static void a_mutex_of_that_name_is_a_writer(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    tenure_lock *mutex = tenure_lock_acquire(c, "mutex", NULL, &err);
    assert_non_null(mutex);
    is_busy(c, "mutex", true);
    unlock(mutex);
    tenure_lock *reader = read_lock(c, "mutex");
    assert_null(tenure_lock_acquire(c, "mutex", &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    unlock(reader);
    tenure_close(c);
}

static void a_writer_becomes_a_reader_in_its_place(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct waiting reader = {0}, writer = {0};
    tenure_lock *w = write_lock(a, "down");
    tenure_token token = tenure_lock_token(w);
    start_read(b, "down", &reader);
    await_queue(a, "down", 2);
    start_write(b, "down", &writer);
    await_queue(a, "down", 3);
    no_error(tenure_rwlock_downgrade(w, &err), &err);
    await_held(&reader);
    assert_true(tenure_lock_held(w));
    assert_int_equal(tenure_lock_token(w), token);
    assert_int_equal(atomic_load(&writer.acquired), 0);
    assert_int_equal(tenure_rwlock_downgrade(w, &err), TENURE_EBUSY);
    assert_int_equal(tenure_rwlock_downgrade(reader.lock, &err), TENURE_EINVALID);
    unlock(reader.lock);
    unlock(w);
    await_held(&writer);
    unlock(writer.lock);
    tenure_close(a);
    tenure_close(b);
}

static void on_downgraded(tenure_lock *l, int code, void *user)
{
    struct waiting *w = user;
    (void)l;
    w->code = code;
    atomic_store(&w->released, 1);
}

static void a_downgrade_can_be_begun(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct waiting done = {0};
    tenure_lock *w = write_lock(c, "down/start");
    no_error(tenure_rwlock_downgrade_start(w, on_downgraded, &done, &err), &err);
    await_flag(&done.released);
    assert_int_equal(done.code, 0);
    tenure_lock *r = read_lock(c, "down/start");
    assert_true(tenure_lock_held(w) && tenure_lock_held(r));
    unlock(w);
    unlock(r);
    tenure_close(c);
}

static void the_list_says_who_reads(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_list *list = NULL;
    struct waiting writer = {0};
    tenure_lock *r = read_lock(c, "listed");
    start_write(c, "listed", &writer);
    await_queue(c, "listed", 2);
    no_error(tenure_lock_list(c, "listed", NULL, &list, &err), &err);
    assert_string_equal(list->entries[0].key, tenure_lock_key(r));
    assert_int_equal(list->shares[0].mode, TENURE_LOCK_READ);
    assert_true(list->shares[0].holds);
    assert_int_equal(list->entries[0].pid, getpid());
    assert_int_equal(list->shares[1].mode, TENURE_LOCK_WHOLE);
    assert_false(list->shares[1].holds);
    tenure_lock_list_free(list);
    unlock(r);
    await_held(&writer);
    unlock(writer.lock);
    tenure_close(c);
}

/* ---- deaths and losses ---- */

static void the_place_of_a_killed_reader_is_free_when_its_lease_ends(void **state)
{
    tenure_client *c = open_on(*state);
    struct other dead = holder(*state, "read", "crash");
    is_busy(c, "crash", false);
    other_end(&dead, SIGKILL);
    tenure_lock *w = write_lock(c, "crash");
    unlock(w);
    tenure_close(c);
}

static void the_place_of_a_killed_writer_too(void **state)
{
    tenure_client *c = open_on(*state);
    struct waiting first = {0}, second = {0};
    struct other dead = holder(*state, "write", "crash");
    start_read(c, "crash", &first);
    start_read(c, "crash", &second);
    await_queue(c, "crash", 3);
    other_end(&dead, SIGKILL);
    await_held(&first);
    await_held(&second);
    unlock(first.lock);
    unlock(second.lock);
    tenure_close(c);
}

static bool is_late(void *user)
{
    return test_now() >= *(int64_t *)user;
}

static void a_reader_is_lost_at_safe_until_when_the_server_is_gone_L2_L3(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct tenure_error err = {0};
    struct waiting w = {0};
    struct tenure_lock_options o = waiting_options(&w);
    o.ttl_s = 2;
    o.on_acquired = NULL;
    tenure_lock *l = tenure_rwlock_read(c, "gone", &o, &err);
    assert_non_null(l);
    server_pause(server);
    int64_t safe_until = test_now() + tenure_lock_remaining_ms(l);
    assert_true(test_await(is_late, &safe_until));
    await_flag(&w.lost); /* and it did not answer "held" then */
    assert_false(tenure_lock_held(l));
    server_resume(server);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    tenure_close(c);
}

/* ---- many ---- */

struct crowd {
    tenure_client *handle;
    int index;
    atomic_int *readers, *writers, *together;
    int wrong, failures;
};

static void *come_and_go(void *arg)
{
    struct crowd *k = arg;
    for (int i = 0; i < TURNS; i++) {
        bool writes = (i + k->index) % 4 == 0;
        tenure_lock *l = writes ? tenure_rwlock_write(k->handle, "crowd", NULL, NULL)
                                : tenure_rwlock_read(k->handle, "crowd", NULL, NULL);
        k->failures += !l;
        if (!l)
            continue;
        int readers = atomic_fetch_add(writes ? k->writers : k->readers, 1) + 1;
        k->wrong += writes && (readers > 1 || atomic_load(k->readers) > 0);
        k->wrong += !writes && atomic_load(k->writers) > 0;
        if (!writes && readers > 1)
            atomic_store(k->together, 1);
        k->wrong += !tenure_lock_held(l);
        atomic_fetch_sub(writes ? k->writers : k->readers, 1);
        k->failures += tenure_unlock(l, NULL) != 0;
    }
    return NULL;
}

static void no_writer_beside_another_over_handles_and_threads_M9(void **state)
{
    tenure_client *handles[2] = {open_on(*state), open_on(*state)};
    struct crowd k[THREADS];
    pthread_t threads[THREADS];
    atomic_int readers = 0, writers = 0, together = 0;
    for (int i = 0; i < THREADS; i++) {
        k[i] = (struct crowd){handles[i % 2], i, &readers, &writers, &together, 0, 0};
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
        cmocka_unit_test(readers_hold_together_and_keep_writers_out),
        cmocka_unit_test(a_writer_that_waits_is_not_overtaken_by_readers),
        cmocka_unit_test(etcdctl_and_readers_exclude_each_other),
        cmocka_unit_test(a_mutex_of_that_name_is_a_writer),
        cmocka_unit_test(a_writer_becomes_a_reader_in_its_place),
        cmocka_unit_test(a_downgrade_can_be_begun),
        cmocka_unit_test(the_list_says_who_reads),
        cmocka_unit_test(the_place_of_a_killed_reader_is_free_when_its_lease_ends),
        cmocka_unit_test(the_place_of_a_killed_writer_too),
        cmocka_unit_test(no_writer_beside_another_over_handles_and_threads_M9),
        cmocka_unit_test(a_reader_is_lost_at_safe_until_when_the_server_is_gone_L2_L3),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
