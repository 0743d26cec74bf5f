/* Locks on a real server: exclusion, tokens, losses, and what other threads are told. */
#include "lib.h"

#include <unistd.h>

#define THREADS 6
#define TURNS   20

static tenure_lock *acquire(tenure_client *c, const char *name, const struct tenure_lock_options *o)
{
    struct tenure_error err = {0};
    tenure_lock *l = tenure_lock_acquire(c, name, o, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static void unlock(tenure_lock *l)
{
    struct tenure_error err = {0};
    no_error(tenure_unlock(l, &err), &err);
}

static void a_lock_is_held_until_it_is_released(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_lock *l = acquire(c, "held", NULL);
    assert_true(tenure_lock_held(l));
    assert_true(tenure_lock_token(l) > 0);
    assert_true(tenure_lock_lease(l) != 0);
    assert_true(tenure_lock_remaining_ms(l) > 25000 && tenure_lock_remaining_ms(l) <= 30000);
    char key[64];
    snprintf(key, sizeof key, "/locks/held/%" PRIx64, (uint64_t)tenure_lock_lease(l));
    assert_string_equal(tenure_lock_key(l), key);
    char *value = get(c, key);
    assert_non_null(value);
    free(value);
    unlock(l);
    assert_null(get(c, key));
    tenure_close(c);
}

static void tokens_grow_from_holder_to_holder(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_token last = 0;
    for (int i = 0; i < 5; i++) {
        tenure_lock *l = acquire(c, "tokens", NULL);
        assert_true(tenure_lock_token(l) > last);
        last = tenure_lock_token(l);
        unlock(l);
    }
    tenure_close(c);
}

static void a_try_says_busy_and_a_wait_ends(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    struct tenure_lock_options wait = {.size = sizeof wait, .wait_ms = 200};
    tenure_lock *l = acquire(a, "busy", NULL);
    assert_null(tenure_lock_acquire(b, "busy", &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_null(tenure_lock_acquire(a, "busy", &try, &err)); /* within one process too */
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_null(tenure_lock_acquire(b, "busy", &wait, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    assert_true(tenure_lock_held(l));
    unlock(l);
    l = tenure_lock_acquire(b, "busy", &try, &err);
    assert_non_null(l);
    unlock(l);
    tenure_close(a);
    tenure_close(b);
}

static void names_that_are_none_are_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    assert_null(tenure_lock_acquire(c, "", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_lock_acquire(c, NULL, NULL, &err));
    assert_null(tenure_lock_acquire(c, "a/", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_lock_acquire(c, "/a", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_lock *l = acquire(c, "family/child", NULL);
    assert_null(tenure_lock_acquire(c, "family", NULL, &err)); /* etcd's clients would wait for both */
    assert_int_equal(err.code, TENURE_EINVALID);
    unlock(l);
    tenure_close(c);
}

/* ---- many who want it ---- */

struct contender {
    tenure_client *handle;
    atomic_int *inside;
    _Atomic(tenure_token) *last;
    int wrong, failures;
};

static int turn(tenure_lock *lock, void *arg)
{
    struct contender *k = arg;
    tenure_token token = tenure_lock_token(lock);
    k->wrong += atomic_fetch_add(k->inside, 1) != 0;
    k->wrong += atomic_exchange(k->last, token) >= token;
    k->wrong += !tenure_lock_held(lock);
    atomic_fetch_sub(k->inside, 1);
    return 0;
}

static void *contend(void *arg)
{
    struct contender *k = arg;
    for (int i = 0; i < TURNS; i++)
        k->failures += tenure_with_lock(k->handle, "contended", NULL, turn, k, NULL) != 0;
    return NULL;
}

static void one_at_a_time_over_handles_and_threads(void **state)
{
    tenure_client *handles[2] = {open_on(*state), open_on(*state)};
    struct contender k[THREADS];
    pthread_t threads[THREADS];
    atomic_int inside = 0;
    _Atomic(tenure_token) last = 0;
    for (int i = 0; i < THREADS; i++) {
        k[i] = (struct contender){.handle = handles[i % 2], .inside = &inside, .last = &last};
        assert_int_equal(pthread_create(&threads[i], NULL, contend, &k[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(k[i].failures, 0);
        assert_int_equal(k[i].wrong, 0);
    }
    tenure_close(handles[0]);
    tenure_close(handles[1]);
}

/* ---- who holds and who waits ---- */

static void *wait_for_it(void *arg)
{
    struct tenure_lock_options o = {.size = sizeof o, .purpose = "second \"in line\""};
    return tenure_lock_acquire(arg, "listed", &o, NULL);
}

static size_t listed(tenure_client *c, struct tenure_lock_list **ret)
{
    struct tenure_error err = {0};
    no_error(tenure_lock_list(c, "listed", NULL, ret, &err), &err);
    return (*ret)->n;
}

static bool two_listed(void *user)
{
    struct tenure_lock_list *list;
    bool two = listed(user, &list) == 2;
    tenure_lock_list_free(list);
    return two;
}

static void the_queue_can_be_read(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_lock_list *list = NULL;
    struct tenure_error err = {0};
    pthread_t thread;
    void *second;
    struct tenure_lock_options o = {.size = sizeof o, .purpose = "first \xff half"};
    assert_int_equal(listed(a, &list), 0);
    tenure_lock_list_free(list);
    tenure_lock *l = acquire(a, "listed", &o);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_it, b), 0);
    assert_true(test_await(two_listed, a));
    put(a, "/locks/listed/foreign", "{\"host\": 7, \"pid\": \"x\", \"purpose\": [");
    assert_int_equal(listed(a, &list), 3);
    assert_int_equal(list->entries[0].token, tenure_lock_token(l));
    assert_int_equal(list->entries[0].lease, tenure_lock_lease(l));
    assert_string_equal(list->entries[0].key, tenure_lock_key(l));
    assert_string_equal(list->entries[0].purpose, "first ");
    assert_int_equal(list->entries[0].pid, getpid());
    assert_true(list->entries[0].since_ms > INT64_C(1600000000000));
    assert_true(list->entries[0].host[0] != 0);
    assert_string_equal(list->entries[1].purpose, "second \"in line\"");
    assert_string_equal(list->entries[2].host, "");
    assert_string_equal(list->entries[2].purpose, "");
    assert_int_equal(list->entries[2].pid, 0);
    tenure_lock_list_free(list);
    no_error(tenure_delete(a, S("/locks/listed/foreign"), NULL, NULL, &err), &err);
    unlock(l);
    pthread_join(thread, &second);
    assert_non_null(second);
    unlock(second);
    tenure_close(a);
    tenure_close(b);
}

/* ---- losses ---- */

struct loss {
    atomic_int lost;
    int64_t at, safe_until;
    bool held_then;
    int code;
};

static void on_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    struct loss *l = user;
    l->at = test_now();
    l->held_then = tenure_lock_held(lock);
    l->code = why->code;
    atomic_store(&l->lost, 1);
}

static void a_lock_whose_lease_is_revoked_is_lost(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct loss loss = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 3, .on_lost = on_lost, .user = &loss};
    tenure_lock *l = acquire(c, "revoked", &o);
    no_error(tenure_lease_revoke(c, tenure_lock_lease(l), &err), &err);
    await_flag(&loss.lost);
    assert_false(loss.held_then);
    assert_false(tenure_lock_held(l));
    assert_int_equal(loss.code, TENURE_ELOST);
    assert_true(tenure_lock_token(l) > 0); /* to name it in messages */
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    tenure_close(c);
}

static void a_lock_whose_key_is_deleted_is_lost(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct loss loss = {0};
    struct tenure_lock_options o = {.size = sizeof o, .on_lost = on_lost, .user = &loss};
    tenure_lock *l = acquire(c, "broken", &o);
    no_error(tenure_delete(c, S(tenure_lock_key(l)), NULL, NULL, &err), &err);
    await_flag(&loss.lost);
    assert_false(tenure_lock_held(l));
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    l = acquire(c, "broken", NULL); /* the session lives */
    unlock(l);
    tenure_close(c);
}

static bool has_safe_until_passed(void *user)
{
    struct loss *l = user;
    return test_now() >= l->safe_until;
}

/* L2, L3: by the clock alone, and from the callback at that instant. */
static void a_lock_is_lost_at_safe_until_when_the_server_is_gone(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct tenure_error err = {0};
    struct loss loss = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 2, .on_lost = on_lost, .user = &loss};
    tenure_lock *l = acquire(c, "gone", &o);
    server_pause(server);
    loss.safe_until = test_now() + tenure_lock_remaining_ms(l); /* no answer moves it any more, but one on its way */
    assert_true(tenure_lock_held(l));
    assert_true(test_await(has_safe_until_passed, &loss));
    await_flag(&loss.lost);
    assert_false(tenure_lock_held(l));
    assert_true(tenure_lock_remaining_ms(l) <= 0);
    assert_false(loss.held_then);
    assert_true(loss.at + 1 >= loss.safe_until);
    if (loss.at > loss.safe_until + 2000)
        fail_msg("told %" PRId64 " ms after safe-until", loss.at - loss.safe_until);
    server_resume(server);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    l = acquire(c, "gone", NULL);
    unlock(l);
    tenure_close(c);
}

static void a_lock_is_held_over_a_restart_of_the_server(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct loss loss = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 10, .on_lost = on_lost, .user = &loss};
    tenure_lock *l = acquire(c, "restart", &o);
    server_kill(server);
    server_restart(server);
    int64_t before = test_now() + tenure_lock_remaining_ms(l);
    loss.safe_until = before; /* past it, it is held only if it was renewed */
    assert_true(test_await(has_safe_until_passed, &loss));
    assert_true(tenure_lock_held(l));
    assert_int_equal(atomic_load(&loss.lost), 0);
    char *value = get(c, tenure_lock_key(l));
    assert_non_null(value);
    free(value);
    unlock(l);
    tenure_close(c);
}

static void a_lost_shared_session_is_replaced_for_the_next_lock(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct loss loss = {0};
    struct tenure_lock_options o = {.size = sizeof o, .on_lost = on_lost, .user = &loss};
    tenure_lock *first = acquire(c, "shared/1", &o);
    tenure_lock *second = acquire(c, "shared/2", NULL);
    int64_t lease = tenure_lock_lease(first);
    assert_int_equal(tenure_lock_lease(second), lease);
    no_error(tenure_lease_revoke(c, lease, &err), &err);
    await_flag(&loss.lost);
    tenure_lock *third = acquire(c, "shared/1", NULL);
    assert_true(tenure_lock_lease(third) != lease);
    tenure_unlock(first, NULL);
    tenure_unlock(second, NULL);
    assert_true(tenure_lock_held(third));
    unlock(third);
    tenure_close(c);
}

static void a_close_releases_what_is_held(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct tenure_error err = {0};
    struct loss loss = {0};
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1};
    struct tenure_lock_options own = {.size = sizeof own, .ttl_s = 60, .on_lost = on_lost, .user = &loss};
    acquire(a, "closed/shared", NULL);
    acquire(a, "closed/own", &own);
    tenure_close(a);
    assert_int_equal(loss.lost, 0); /* a release is no loss */
    tenure_lock *l = tenure_lock_acquire(b, "closed/shared", &try, &err);
    assert_non_null(l);
    unlock(l);
    l = tenure_lock_acquire(b, "closed/own", &try, &err);
    assert_non_null(l);
    unlock(l);
    tenure_close(b);
}

/* ---- without waiting ---- */

struct started {
    atomic_int acquired, released;
    int code, released_code;
    tenure_token token;
};

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct started *s = user;
    (void)err;
    s->code = code;
    s->token = token;
    atomic_store(&s->acquired, 1);
    if (code != 0)
        tenure_unlock_start(lock);
}

static void on_released(int code, void *user)
{
    struct started *s = user;
    s->released_code = code;
    atomic_store(&s->released, 1);
}

static void a_started_lock_tells_by_callbacks(void **state)
{
    tenure_client *c = open_on(*state);
    struct started a = {0}, b = {0};
    struct tenure_lock_options o = {
        .size = sizeof o, .on_acquired = on_acquired, .on_released = on_released, .user = &a};
    tenure_lock *l = tenure_lock_start(c, "started", &o, NULL);
    assert_non_null(l);
    await_flag(&a.acquired);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.token, tenure_lock_token(l));
    o.user = &b;
    o.wait_ms = 100;
    assert_non_null(tenure_lock_start(c, "started", &o, NULL));
    await_flag(&b.released); /* freed from within its on_acquired */
    assert_int_equal(b.code, TENURE_ETIMEOUT);
    tenure_unlock_start(l);
    await_flag(&a.released);
    assert_int_equal(a.released_code, 0);
    tenure_close(c);
}

/* The server may have its place in the queue before the waiting one has heard of its lease. */
static bool has_lease(void *lock)
{
    return tenure_lock_lease(lock) != 0;
}

static void waiting_can_be_given_up(void **state)
{
    tenure_client *a = open_on(*state), *b = open_on(*state);
    struct started s = {0};
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .user = &s};
    struct tenure_lock_list *list = NULL;
    tenure_lock *held = acquire(a, "listed", NULL);
    tenure_lock *waiting = tenure_lock_start(b, "listed", &o, &err);
    assert_non_null(waiting);
    assert_true(test_await(two_listed, a));
    assert_true(test_await(has_lease, waiting)); /* known in the queue, for who may have to revoke it */
    assert_false(tenure_lock_held(waiting));
    assert_int_equal(tenure_lock_token(waiting), 0);
    no_error(tenure_unlock(waiting, &err), &err);
    tenure_close(b); /* whatever was left of it is undone by then */
    assert_int_equal(listed(a, &list), 1);
    tenure_lock_list_free(list);
    unlock(held);
    tenure_close(a);
}

static int lose_it(tenure_lock *lock, void *arg)
{
    struct loss *l = arg;
    struct tenure_error err = {0};
    tenure_client *other = open_on((struct server *)(uintptr_t)l->safe_until);
    no_error(tenure_lease_revoke(other, tenure_lock_lease(lock), &err), &err);
    tenure_close(other);
    await_flag(&l->lost);
    return 7;
}

static int answer(tenure_lock *lock, void *arg)
{
    (void)lock;
    return *(int *)arg;
}

static void work_under_a_lock_answers_its_value_or_the_loss(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int value = 42;
    assert_int_equal(tenure_with_lock(c, "work", NULL, answer, &value, &err), 42);
    struct loss loss = {.safe_until = (int64_t)(uintptr_t)*state};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 2, .on_lost = on_lost, .user = &loss};
    assert_int_equal(tenure_with_lock(c, "work", &o, lose_it, &loss, &err), TENURE_ELOST);
    assert_int_equal(err.kind, TENURE_KIND_LOST);
    tenure_close(c);
}

/* ---- re-entrant ---- */

static void *try_from_another_thread(void *arg)
{
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = -1, .reentrant = true};
    struct tenure_error err = {0};
    tenure_lock *l = tenure_lock_acquire(arg, "levels", &o, &err);
    return (void *)(intptr_t)(l ? 0 : err.code);
}

static void *unlock_from_another_thread(void *arg)
{
    return (void *)(intptr_t)tenure_unlock(arg, NULL);
}

static int on_another_thread(void *(*run)(void *arg), void *arg)
{
    pthread_t thread;
    void *ret;
    assert_int_equal(pthread_create(&thread, NULL, run, arg), 0);
    pthread_join(thread, &ret);
    return (int)(intptr_t)ret;
}

static void the_thread_that_holds_a_reentrant_lock_gets_it_again_and_nobody_else(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_lock_options o = {.size = sizeof o, .reentrant = true}, plain = {.size = sizeof plain, .wait_ms = -1};
    struct tenure_error err = {0};
    tenure_lock *outer = acquire(c, "levels", &o), *inner = acquire(c, "levels", &o);
    assert_ptr_equal(outer, inner);
    assert_int_equal(on_another_thread(try_from_another_thread, c), TENURE_EBUSY);
    assert_int_equal(on_another_thread(try_from_another_thread, other), TENURE_EBUSY);
    assert_int_equal(on_another_thread(unlock_from_another_thread, outer), TENURE_EINVALID);
    assert_null(tenure_lock_acquire(c, "levels", &plain, &err)); /* who does not ask for it waits, the holder too */
    assert_int_equal(err.code, TENURE_EBUSY);
    tenure_lock *unlike = acquire(c, "levels-of-another", &o);
    assert_ptr_not_equal(unlike, outer);
    unlock(unlike);
    unlock(inner);
    assert_true(tenure_lock_held(outer));
    assert_int_equal(on_another_thread(try_from_another_thread, other), TENURE_EBUSY);
    unlock(outer);
    assert_int_equal(on_another_thread(try_from_another_thread, other), 0);
    assert_null(tenure_lock_start(c, "levels", &o, &err)); /* who would be asking? */
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
    tenure_close(other);
}

static bool is_lost(void *lock)
{
    return !tenure_lock_held(lock);
}

static void a_reentrant_lock_that_was_lost_is_not_entered_again_before_all_have_let_go(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 2, .reentrant = true};
    struct tenure_error err = {0};
    tenure_lock *l = acquire(c, "lost-levels", &o);
    assert_ptr_equal(acquire(c, "lost-levels", &o), l);
    tenure_token token = tenure_lock_token(l);
    no_error(tenure_lease_revoke(c, tenure_lock_lease(l), &err), &err);
    assert_true(test_await(is_lost, l));
    assert_null(tenure_lock_acquire(c, "lost-levels", &o, &err));
    assert_int_equal(err.code, TENURE_ELOST);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    assert_null(tenure_lock_acquire(c, "lost-levels", &o, &err));
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    l = acquire(c, "lost-levels", &o);
    assert_true(tenure_lock_token(l) > token);
    unlock(l);
    tenure_close(c);
}

/* ---- a close under one who waits ---- */

struct waiter {
    tenure_client *handle;
    struct tenure_error err;
};

static void *wait_until_closed(void *arg)
{
    struct waiter *w = arg;
    return tenure_lock_acquire(w->handle, "listed", NULL, &w->err);
}

static void who_waits_is_told_of_a_close(void **state)
{
    tenure_client *a = open_on(*state);
    struct waiter w = {.handle = open_on(*state)};
    pthread_t thread;
    void *got;
    tenure_lock *l = acquire(a, "listed", NULL);
    assert_int_equal(pthread_create(&thread, NULL, wait_until_closed, &w), 0);
    assert_true(test_await(two_listed, a));
    tenure_close(w.handle);
    pthread_join(thread, &got);
    assert_null(got);
    assert_int_equal(w.err.code, TENURE_ECLOSED);
    assert_string_not_equal(w.err.text, "");
    unlock(l);
    tenure_close(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_held_until_it_is_released),
        cmocka_unit_test(tokens_grow_from_holder_to_holder),
        cmocka_unit_test(a_try_says_busy_and_a_wait_ends),
        cmocka_unit_test(names_that_are_none_are_refused),
        cmocka_unit_test(one_at_a_time_over_handles_and_threads),
        cmocka_unit_test(the_queue_can_be_read),
        cmocka_unit_test(a_lock_whose_lease_is_revoked_is_lost),
        cmocka_unit_test(a_lock_whose_key_is_deleted_is_lost),
        cmocka_unit_test(a_lock_is_lost_at_safe_until_when_the_server_is_gone),
        cmocka_unit_test(a_lock_is_held_over_a_restart_of_the_server),
        cmocka_unit_test(a_lost_shared_session_is_replaced_for_the_next_lock),
        cmocka_unit_test(a_close_releases_what_is_held),
        cmocka_unit_test(who_waits_is_told_of_a_close),
        cmocka_unit_test(a_started_lock_tells_by_callbacks),
        cmocka_unit_test(waiting_can_be_given_up),
        cmocka_unit_test(work_under_a_lock_answers_its_value_or_the_loss),
        cmocka_unit_test(the_thread_that_holds_a_reentrant_lock_gets_it_again_and_nobody_else),
        cmocka_unit_test(a_reentrant_lock_that_was_lost_is_not_entered_again_before_all_have_let_go),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
