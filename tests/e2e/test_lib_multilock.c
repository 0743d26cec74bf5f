/* Several locks at once on a real server: all or nothing, no circle, losses. */
#include "others.h"

#include <poll.h>

#define THREADS 4
#define TURNS   8

#define PART(text, kind)                                                                                               \
    {                                                                                                                  \
        .size = sizeof(struct tenure_multilock_part), .name = (text), .mode = (kind)                                   \
    }

static tenure_multilock *take(tenure_client *c, const struct tenure_multilock_part *parts, size_t n)
{
    struct tenure_error err = {0};
    tenure_multilock *m = tenure_multilock_acquire(c, parts, n, NULL, &err);
    if (!m)
        fail_msg("%s", err.text);
    return m;
}

static void let_go(tenure_multilock *m)
{
    struct tenure_error err = {0};
    no_error(tenure_multilock_unlock(m, &err), &err);
}

static bool is_free(tenure_client *c, const char *name)
{
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    tenure_lock *l = tenure_lock_acquire(c, name, &try, NULL);
    if (l)
        unlock(l);
    return l != NULL;
}

static void all_of_them_are_held_and_let_go_together(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_multilock_part parts[] = {PART("m/2", TENURE_LOCK_WHOLE), PART("m/1", TENURE_LOCK_READ),
                                            PART("m/3", TENURE_LOCK_PERMIT)};
    parts[2].weight = 2;
    parts[2].limit = 3;
    tenure_multilock *m = take(a, parts, 3);
    assert_true(tenure_multilock_held(m));
    assert_true(tenure_multilock_remaining_ms(m) > 20000);
    assert_true(tenure_multilock_token(m, 1) < tenure_multilock_token(m, 0)); /* taken in the order of names */
    assert_true(tenure_multilock_token(m, 0) < tenure_multilock_token(m, 2));
    assert_int_equal(strncmp(tenure_multilock_key(m, 0), "/locks/m/2/", 11), 0);
    assert_int_equal(strncmp(tenure_multilock_key(m, 1), "/locks/m/1/read.", 16), 0);
    assert_int_equal(tenure_multilock_token(m, 3), 0);
    assert_false(is_free(b, "m/1"));
    assert_false(is_free(b, "m/2"));
    assert_false(is_free(b, "m/3"));
    tenure_lock *reader = tenure_rwlock_read(b, "m/1", NULL, NULL);
    tenure_lock *permit = tenure_semaphore_acquire(b, "m/3", 1, 3, NULL, NULL);
    assert_non_null(reader);
    assert_non_null(permit);
    unlock(reader);
    unlock(permit);
    let_go(m);
    assert_true(is_free(b, "m/1"));
    assert_true(is_free(b, "m/2"));
    assert_true(is_free(b, "m/3"));
    tenure_close(a);
    tenure_close(b);
}

static void when_one_cannot_be_had_none_is(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_multilock_part parts[] = {PART("n/1", TENURE_LOCK_WHOLE), PART("n/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_options try = {.size = sizeof try, .wait_ms = -1};
    struct tenure_multilock_options wait = {.size = sizeof wait, .wait_ms = 100};
    tenure_lock *second = tenure_lock_acquire(b, "n/2", NULL, &err);
    assert_null(tenure_multilock_acquire(a, parts, 2, &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_true(is_free(b, "n/1"));
    assert_null(tenure_multilock_acquire(a, parts, 2, &wait, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    await_queue(b, "n/1", 0); /* the caller may have gone on before the loop was done */
    await_queue(b, "n/2", 1);
    unlock(second);
    tenure_multilock *m = tenure_multilock_acquire(a, parts, 2, &try, &err);
    assert_non_null(m);
    let_go(m);
    tenure_close(a);
    tenure_close(b);
}

static void what_cannot_be_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_multilock_part twice[] = {PART("t/1", TENURE_LOCK_WHOLE), PART("t/1", TENURE_LOCK_READ)};
    struct tenure_multilock_part apart[] = {PART("1", TENURE_LOCK_WHOLE), PART("u/1", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_part none[] = {PART("", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_part weight[] = {PART("t/2", TENURE_LOCK_PERMIT)};
    struct tenure_multilock_part mode[] = {PART("t/2", (enum tenure_lock_mode)7)};
    apart[0].prefix = "/locks/u/"; /* the same key by another prefix */
    assert_null(tenure_multilock_acquire(c, twice, 2, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_multilock_acquire(c, apart, 2, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_multilock_acquire(c, none, 1, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_multilock_acquire(c, weight, 1, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_multilock_acquire(c, mode, 1, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_multilock_acquire(c, NULL, 0, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

/* ---- nobody waits in a circle ---- */

struct crowd {
    tenure_client *handle;
    int index;
    atomic_int *inside;
    int wrong, failures;
};

static void *come_and_go(void *arg)
{
    struct crowd *k = arg;
    struct tenure_multilock_part there[] = {PART("c/1", TENURE_LOCK_WHOLE), PART("c/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_part back[] = {PART("c/2", TENURE_LOCK_WHOLE), PART("c/1", TENURE_LOCK_WHOLE)};
    for (int i = 0; i < TURNS; i++) {
        struct tenure_error err = {0};
        tenure_multilock *m = tenure_multilock_acquire(k->handle, k->index % 2 ? there : back, 2, NULL, &err);
        if (!m) {
            fprintf(stderr, "acquire: %s\n", err.text);
            k->failures++;
            continue;
        }
        k->wrong += atomic_fetch_add(k->inside, 1) != 0;
        k->wrong += !tenure_multilock_held(m);
        atomic_fetch_sub(k->inside, 1);
        if (tenure_multilock_unlock(m, &err) != 0) {
            fprintf(stderr, "unlock: %s\n", err.text);
            k->failures++;
        }
    }
    return NULL;
}

static void the_order_in_which_they_are_named_does_not_matter(void **state)
{
    tenure_client *handles[2] = {open_on(*state), open_on(*state)};
    struct crowd k[THREADS];
    pthread_t threads[THREADS];
    atomic_int inside = 0;
    for (int i = 0; i < THREADS; i++) {
        k[i] = (struct crowd){handles[i / 2], i, &inside, 0, 0};
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

/* ---- without waiting; losses ---- */

struct started {
    atomic_int acquired, released, lost;
    int code, released_code;
    size_t lost_index;
    bool held_then;
};

static void on_acquired(tenure_multilock *m, int code, const struct tenure_error *err, void *user)
{
    struct started *s = user;
    (void)m, (void)err;
    s->code = code;
    atomic_store(&s->acquired, 1);
}

static void on_released(int code, void *user)
{
    struct started *s = user;
    s->released_code = code;
    atomic_store(&s->released, 1);
}

static void on_lost(tenure_multilock *m, size_t index, const struct tenure_error *why, void *user)
{
    struct started *s = user;
    (void)why;
    s->lost_index = index;
    s->held_then = tenure_multilock_held(m);
    atomic_store(&s->lost, 1);
}

static struct tenure_multilock_options callbacks(struct started *s)
{
    return (struct tenure_multilock_options){.size = sizeof(struct tenure_multilock_options),
                                             .on_acquired = on_acquired,
                                             .on_released = on_released,
                                             .on_lost = on_lost,
                                             .user = s};
}

static void the_loss_of_one_is_the_loss_of_all(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct started s = {0};
    struct tenure_multilock_part parts[] = {PART("l/2", TENURE_LOCK_WHOLE), PART("l/1", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_options o = callbacks(&s);
    tenure_multilock *m = tenure_multilock_start(a, parts, 2, &o, &err);
    assert_non_null(m);
    await_flag(&s.acquired);
    assert_int_equal(s.code, 0);
    no_error(tenure_delete(b, S(tenure_multilock_key(m, 1)), NULL, NULL, &err), &err);
    await_flag(&s.lost);
    assert_int_equal(s.lost_index, 1);
    assert_false(s.held_then);
    assert_false(tenure_multilock_held(m));
    assert_false(is_free(b, "l/2")); /* until the program has seen it */
    tenure_multilock_unlock_start(m);
    await_flag(&s.released);
    assert_int_equal(s.released_code, TENURE_ELOST);
    assert_true(is_free(b, "l/2"));
    tenure_close(a);
    tenure_close(b);
}

static void waiting_can_be_given_up(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct started s = {0};
    struct tenure_multilock_part parts[] = {PART("w/1", TENURE_LOCK_WHOLE), PART("w/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_options o = callbacks(&s);
    tenure_lock *second = tenure_lock_acquire(b, "w/2", NULL, NULL);
    tenure_multilock *m = tenure_multilock_start(a, parts, 2, &o, NULL);
    assert_non_null(m);
    await_queue(b, "w/2", 2);
    assert_false(tenure_multilock_held(m));
    tenure_multilock_unlock_start(m);
    await_flag(&s.released);
    assert_int_equal(s.released_code, 0);
    assert_int_equal(atomic_load(&s.acquired), 1);
    assert_int_equal(s.code, TENURE_ECANCELLED);
    assert_true(is_free(b, "w/1"));
    await_queue(b, "w/2", 1);
    unlock(second);
    tenure_close(a);
    tenure_close(b);
}

/* Its session is lost while it waits for the second: it lets go of what it has, and comes again. */
static void a_session_lost_while_waiting_is_no_loss(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct started s = {0};
    struct tenure_multilock_part parts[] = {PART("s/1", TENURE_LOCK_WHOLE), PART("s/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_options o = callbacks(&s);
    struct tenure_lock_list *list = NULL;
    tenure_lock *second = tenure_lock_acquire(b, "s/2", NULL, NULL);
    tenure_multilock *m = tenure_multilock_start(a, parts, 2, &o, &err);
    assert_non_null(m);
    await_queue(b, "s/2", 2);
    no_error(tenure_lock_list(b, "s/1", NULL, &list, &err), &err);
    int64_t lease = list->entries[0].lease;
    tenure_lock_list_free(list);
    no_error(tenure_lease_revoke(b, lease, &err), &err);
    await_queue(b, "s/2", 2); /* with another lease */
    unlock(second);
    await_flag(&s.acquired);
    assert_int_equal(s.code, 0);
    assert_int_equal(atomic_load(&s.lost), 0);
    assert_true(tenure_multilock_held(m));
    let_go(m);
    tenure_close(a);
    tenure_close(b);
}

static void it_works_below_a_namespace(void **state)
{
    tenure_client *c = open_on(*state), *view = tenure_namespace(c, S("app/"), NULL);
    struct tenure_multilock_part parts[] = {PART("v/1", TENURE_LOCK_WHOLE), PART("v/2", TENURE_LOCK_READ)};
    tenure_multilock *m = take(view, parts, 2);
    assert_int_equal(strncmp(tenure_multilock_key(m, 0), "/locks/v/1/", 11), 0);
    assert_false(is_free(view, "v/1"));
    assert_false(is_free(view, "v/2"));
    assert_true(is_free(c, "v/1")); /* another one */
    tenure_lock *reader = tenure_rwlock_read(view, "v/2", NULL, NULL);
    assert_non_null(reader);
    unlock(reader);
    let_go(m);
    assert_true(is_free(view, "v/1"));
    tenure_close(view);
    tenure_close(c);
}

/* ---- on a foreign loop ---- */

/* Turns the handle until the flag is set. */
static void turn_until(tenure_client *c, atomic_int *flag)
{
    int64_t until = test_now() + 20000;
    while (!atomic_load(flag)) {
        struct pollfd fd = {.fd = tenure_fd(c), .events = POLLIN};
        int ms = tenure_timeout_ms(c);
        assert_true(test_now() < until);
        assert_true(poll(&fd, 1, ms < 0 || ms > 1000 ? 1000 : ms) >= 0);
        assert_int_equal(tenure_turn(c), 0);
    }
}

static void it_works_on_a_foreign_loop(void **state)
{
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, NULL), *other = open_on(*state);
    struct started s = {0};
    struct waiting reader = {0};
    struct tenure_multilock_part parts[] = {PART("f/1", TENURE_LOCK_WHOLE), PART("f/2", TENURE_LOCK_READ)};
    struct tenure_multilock_options o = callbacks(&s);
    struct tenure_lock_options ro = waiting_options(&reader);
    tenure_multilock *m = tenure_multilock_start(c, parts, 2, &o, NULL);
    assert_non_null(m);
    turn_until(c, &s.acquired);
    assert_int_equal(s.code, 0);
    assert_true(tenure_multilock_held(m));
    assert_false(is_free(other, "f/1"));
    reader.lock = tenure_rwlock_read_start(c, "f/2", &ro, NULL);
    assert_non_null(reader.lock);
    turn_until(c, &reader.acquired);
    assert_true(tenure_lock_held(reader.lock));
    assert_null(tenure_multilock_acquire(c, parts, 2, NULL, NULL)); /* blocking, here, would be for ever */
    tenure_multilock_unlock_start(m);
    turn_until(c, &s.released);
    assert_int_equal(s.released_code, 0);
    assert_true(is_free(other, "f/1"));
    tenure_unlock_start(reader.lock);
    turn_until(c, &reader.released);
    tenure_close(c);
    tenure_close(other);
}

static void a_close_lets_go_of_all(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct started waiting = {0};
    struct tenure_multilock_part held[] = {PART("z/1", TENURE_LOCK_WHOLE), PART("z/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_part wanted[] = {PART("z/0", TENURE_LOCK_WHOLE), PART("z/2", TENURE_LOCK_WHOLE)};
    struct tenure_multilock_options o = callbacks(&waiting);
    take(a, held, 2);
    assert_non_null(tenure_multilock_start(a, wanted, 2, &o, NULL));
    await_queue(b, "z/0", 1);
    tenure_close(a);
    assert_int_equal(atomic_load(&waiting.acquired), 1);
    assert_int_equal(waiting.code, TENURE_ECLOSED);
    assert_true(is_free(b, "z/0"));
    assert_true(is_free(b, "z/1"));
    assert_true(is_free(b, "z/2"));
    tenure_close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_of_them_are_held_and_let_go_together),
        cmocka_unit_test(when_one_cannot_be_had_none_is),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(the_order_in_which_they_are_named_does_not_matter),
        cmocka_unit_test(the_loss_of_one_is_the_loss_of_all),
        cmocka_unit_test(waiting_can_be_given_up),
        cmocka_unit_test(a_session_lost_while_waiting_is_no_loss),
        cmocka_unit_test(it_works_below_a_namespace),
        cmocka_unit_test(it_works_on_a_foreign_loop),
        cmocka_unit_test(a_close_lets_go_of_all),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
