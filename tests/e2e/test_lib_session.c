/* Sessions of the program's own on a real server: what they share, what is lost with them, who takes them over. */
#include "lib.h"

#include <poll.h>
#include <unistd.h>

#define STATES_MAX 32

struct states {
    pthread_mutex_t mutex;
    enum tenure_session_state told[STATES_MAX];
    int n;
    int why;
};

static void on_state(tenure_session *s, enum tenure_session_state state, const struct tenure_error *why, void *user)
{
    struct states *t = user;
    (void)s;
    pthread_mutex_lock(&t->mutex);
    t->told[t->n++ % STATES_MAX] = state;
    t->why = why ? why->code : 0;
    pthread_mutex_unlock(&t->mutex);
}

static tenure_session *open_session(tenure_client *c, const struct tenure_session_options *o)
{
    struct tenure_error err = {0};
    tenure_session *s = tenure_session_open(c, o, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void close_session(tenure_session *s)
{
    struct tenure_error err = {0};
    no_error(tenure_session_close(s, &err), &err);
}

static tenure_lock *lock_on(tenure_client *c, const char *name, tenure_session *s)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .session = s};
    tenure_lock *l = tenure_lock_acquire(c, name, &o, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

struct wanted {
    tenure_session *session;
    enum tenure_session_state state;
};

static bool has_state(void *user)
{
    const struct wanted *w = user;
    return tenure_session_state(w->session) == w->state;
}

static void await_state(tenure_session *s, enum tenure_session_state state)
{
    assert_true(test_await(has_state, &(struct wanted){s, state}));
}

static void the_shared_one_is_that_of_the_locks_and_outlives_its_object(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_session *s = open_session(c, NULL), *again = open_session(c, NULL);
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_CONNECTED);
    assert_int_equal(tenure_session_ttl_s(s), 30);
    assert_true(tenure_session_remaining_ms(s) > 20000);
    assert_int_equal(tenure_session_lease(s), tenure_session_lease(again));
    tenure_lock *plain = lock_on(c, "shared", NULL), *named = lock_on(c, "named", s);
    assert_int_equal(tenure_lock_lease(plain), tenure_session_lease(s));
    assert_int_equal(tenure_lock_lease(named), tenure_session_lease(s));
    struct tenure_error err = {0};
    assert_int_equal(tenure_session_leave(s, &err), TENURE_EINVALID); /* others stand on it */
    close_session(s);
    assert_true(tenure_lock_held(plain));
    assert_true(tenure_lock_held(named));
    assert_int_equal(tenure_session_state(again), TENURE_SESSION_CONNECTED);
    close_session(again);
    no_error(tenure_unlock(plain, &err), &err);
    no_error(tenure_unlock(named, &err), &err);
    tenure_close(c);
}

struct loss {
    atomic_int lost;
    int why;
};

static void on_lock_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    struct loss *x = user;
    assert_false(tenure_lock_held(l));
    x->why = why->code;
    atomic_store(&x->lost, 1);
}

static void closing_one_revokes_it_and_what_is_on_it_is_lost(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 60};
    struct loss loss = {0};
    tenure_session *s = open_session(c, &so);
    struct tenure_lock_options lo = {.size = sizeof lo, .session = s, .on_lost = on_lock_lost, .user = &loss};
    tenure_lock *l = tenure_lock_acquire(c, "closing", &lo, &err);
    assert_non_null(l);
    assert_int_equal(tenure_session_ttl_s(s), 60);
    close_session(s);
    assert_false(tenure_lock_held(l));
    await_flag(&loss.lost);
    assert_int_equal(loss.why, TENURE_ELOST);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    tenure_lock *next = lock_on(other, "closing", NULL); /* at once, not in a minute */
    no_error(tenure_unlock(next, &err), &err);
    tenure_close(c);
    tenure_close(other);
}

static void a_lock_on_a_session_that_has_ended_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 2};
    struct states told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    so.on_state = on_state;
    so.user = &told;
    tenure_session *s = open_session(c, &so);
    no_error(tenure_lease_revoke(c, tenure_session_lease(s), &err), &err);
    await_state(s, TENURE_SESSION_LOST); /* by the next renewal */
    struct tenure_lock_options lo = {.size = sizeof lo, .session = s};
    assert_null(tenure_lock_acquire(c, "ended", &lo, &err));
    assert_int_equal(err.code, TENURE_ELOST);
    lo.ttl_s = 5;
    assert_null(tenure_lock_acquire(c, "ended", &lo, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_int_equal(tenure_session_remaining_ms(s), 0);
    assert_int_equal(tenure_session_close(s, &err), TENURE_ELOST);
    assert_int_equal(told.told[told.n - 1], TENURE_SESSION_LOST);
    assert_int_equal(told.why, TENURE_ELOST);
    tenure_close(c);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    atomic_fetch_add((atomic_int *)user, 1);
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    (void)e, (void)err;
    atomic_store((atomic_int *)user + 1, code);
}

static void on_waited(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct loss *x = user;
    (void)l, (void)token;
    x->why = code == err->code ? code : 0;
    atomic_store(&x->lost, 1);
}

static void who_waits_on_one_that_is_closed_is_told_that_it_is_lost(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct loss loss = {0};
    tenure_lock *held = lock_on(other, "waited for", NULL);
    tenure_session *s =
        open_session(c, &(struct tenure_session_options){.size = sizeof(struct tenure_session_options), .own = 1});
    struct tenure_lock_options lo = {.size = sizeof lo, .session = s, .on_acquired = on_waited, .user = &loss};
    tenure_lock *l = tenure_lock_start(c, "waited for", &lo, &err);
    assert_non_null(l);
    close_session(s);
    await_flag(&loss.lost);
    assert_int_equal(loss.why, TENURE_ELOST);
    assert_int_equal(tenure_unlock(l, &err), 0);
    no_error(tenure_unlock(held, &err), &err);
    tenure_close(c);
    tenure_close(other);
}

static void an_election_on_it_ends_with_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    atomic_int seen[2] = {0, 0};
    struct tenure_session_options so = {.size = sizeof so, .own = 1};
    tenure_session *s = open_session(c, &so);
    struct tenure_election_options eo = {
        .size = sizeof eo, .session = s, .on_gained = on_gained, .on_stopped = on_stopped, .user = seen};
    tenure_election *first = tenure_election_start(c, "one", &eo, &err), *second;
    assert_non_null(first);
    await_flag(&seen[0]);
    assert_int_equal(tenure_election_lease(first), tenure_session_lease(s));
    tenure_election_stop(first);
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_CONNECTED);
    atomic_store(&seen[0], 0);
    second = tenure_election_start(c, "two", &eo, &err);
    assert_non_null(second);
    await_flag(&seen[0]);
    close_session(s);
    await_flag(&seen[1]);
    assert_int_equal(seen[1], TENURE_ELOST);
    assert_false(tenure_election_leads(second));
    tenure_election_stop(second);
    tenure_close(c);
}

static void a_successor_resumes_what_was_left(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 20};
    tenure_session *s = open_session(c, &so);
    int64_t lease = tenure_session_lease(s);
    tenure_lock *l = lock_on(c, "left", s);
    char key[128];
    snprintf(key, sizeof key, "%s", tenure_lock_key(l));
    no_error(tenure_session_leave(s, &err), &err);
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    tenure_close(c);
    char *value = get(other, key); /* stands */
    assert_non_null(value);
    free(value);
    struct tenure_session_options ro = {.size = sizeof ro, .resume_lease = lease};
    s = open_session(other, &ro);
    assert_int_equal(tenure_session_lease(s), lease);
    assert_int_equal(tenure_session_ttl_s(s), 20);
    close_session(s);
    assert_null(get(other, key));
    assert_null(tenure_session_open(other, &ro, &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    tenure_close(other);
}

static void a_program_that_gives_no_sign_of_life_loses_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 2, .heartbeat_ms = 500};
    tenure_session *s = open_session(c, &so);
    tenure_lock *l = lock_on(c, "hung", s);
    await_state(s, TENURE_SESSION_LOST); /* the server is well, and the handle's thread, too */
    assert_false(tenure_lock_held(l));
    assert_int_equal(tenure_unlock(l, &err), TENURE_ELOST);
    assert_int_equal(tenure_session_close(s, &err), TENURE_ELOST);
    tenure_close(c);
}

struct beating {
    tenure_session *session;
    int64_t until;
};

static bool beats_until(void *user)
{
    struct beating *b = user;
    tenure_session_beat(b->session);
    return test_now() >= b->until;
}

static void a_program_that_gives_signs_of_life_keeps_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 2, .heartbeat_ms = 1500};
    tenure_session *s = open_session(c, &so);
    assert_true(test_await(beats_until, &(struct beating){s, test_now() + 3000}));
    assert_int_not_equal(tenure_session_state(s), TENURE_SESSION_LOST);
    close_session(s);
    tenure_close(c);
}

static bool is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) == 1;
}

/* The server falls silent: suspended. It answers again: connected. A machine that is late by a second makes it lost. */
static bool is_suspended_and_comes_back(struct server *server, tenure_client *c)
{
    struct states told = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 4, .on_state = on_state, .user = &told};
    struct tenure_error err = {0};
    uint64_t eight;
    tenure_session *s = open_session(c, &so);
    int fd = tenure_session_fd(s);
    assert_true(is_readable(fd)); /* it was granted */
    assert_int_equal(read(fd, &eight, sizeof eight), 8);
    assert_false(is_readable(fd));
    server_pause(server);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 60000), 1);
    enum tenure_session_state then = tenure_session_state(s);
    server_resume(server);
    if (then == TENURE_SESSION_SUSPENDED)
        test_await(has_state, &(struct wanted){s, TENURE_SESSION_CONNECTED});
    bool came_back = tenure_session_state(s) == TENURE_SESSION_CONNECTED;
    tenure_session_close(s, &err);
    return then == TENURE_SESSION_SUSPENDED && came_back && told.n >= 3 && told.told[1] == TENURE_SESSION_SUSPENDED &&
           told.told[2] == TENURE_SESSION_CONNECTED;
}

static void silence_suspends_it_and_an_answer_connects_it_again(void **state)
{
    tenure_client *c = open_on(*state);
    bool seen = false;
    for (int i = 0; i < 5 && !seen; i++)
        seen = is_suspended_and_comes_back(*state, c);
    assert_true(seen);
    tenure_close(c);
}

static void on_closed(int code, void *user)
{
    *(int *)user = code + 1000;
}

static void turn_until(tenure_client *c, bool (*condition)(void *user), void *user)
{
    struct pollfd p = {.fd = tenure_fd(c), .events = POLLIN};
    int64_t until = test_now() + 60000;
    while (!condition(user) && test_now() < until) {
        poll(&p, 1, tenure_timeout_ms(c));
        tenure_turn(c);
    }
    assert_true(condition(user));
}

static bool is_nonzero(void *user)
{
    return *(int *)user != 0;
}

static void on_a_foreign_loop_it_starts_and_closes_without_blocking(void **state)
{
    struct tenure_error err = {0};
    int closed = 0;
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, &err);
    assert_non_null(c);
    struct tenure_session_options so = {.size = sizeof so, .own = 1, .on_closed = on_closed, .user = &closed};
    tenure_session *s = tenure_session_start(c, &so, &err);
    assert_non_null(s);
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_STARTING);
    assert_null(tenure_session_open(c, &so, &err)); /* would block */
    assert_int_equal(err.code, TENURE_EINVALID);
    struct tenure_lock_options lo = {.size = sizeof lo, .session = s};
    tenure_lock *l = tenure_lock_start(c, "starting", &lo, &err); /* goes out with the grant */
    assert_non_null(l);
    turn_until(c, has_state, &(struct wanted){s, TENURE_SESSION_CONNECTED});
    tenure_unlock_start(l);
    tenure_session_close_start(s);
    turn_until(c, is_nonzero, &closed);
    assert_int_equal(closed, 1000);
    s = tenure_session_start(c, NULL, &err);
    assert_non_null(s);
    tenure_close(c); /* frees it */
}

static void a_session_that_cannot_be_granted_fails_in_time_and_frees_itself(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .call_timeout_ms = 200};
    tenure_client *c = tenure_open("http://127.0.0.1:1", &o, &err);
    int64_t before = test_now();
    assert_null(tenure_session_open(c, NULL, &err));
    assert_true(err.code == TENURE_ETIMEOUT || err.code == TENURE_EUNAVAILABLE);
    assert_true(test_now() - before < 60000);
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = -1};
    assert_null(tenure_session_open(c, &so, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    so.ttl_s = 1;
    assert_null(tenure_session_open(c, &so, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_shared_one_is_that_of_the_locks_and_outlives_its_object),
        cmocka_unit_test(closing_one_revokes_it_and_what_is_on_it_is_lost),
        cmocka_unit_test(a_lock_on_a_session_that_has_ended_is_refused),
        cmocka_unit_test(who_waits_on_one_that_is_closed_is_told_that_it_is_lost),
        cmocka_unit_test(an_election_on_it_ends_with_it),
        cmocka_unit_test(a_successor_resumes_what_was_left),
        cmocka_unit_test(a_program_that_gives_no_sign_of_life_loses_it),
        cmocka_unit_test(a_program_that_gives_signs_of_life_keeps_it),
        cmocka_unit_test(silence_suspends_it_and_an_answer_connects_it_again),
        cmocka_unit_test(on_a_foreign_loop_it_starts_and_closes_without_blocking),
        cmocka_unit_test(a_session_that_cannot_be_granted_fails_in_time_and_frees_itself),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
