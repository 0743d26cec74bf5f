/* The server's own locks and elections, each call in both forms. */
#include "lib.h"

struct told {
    atomic_int done;
    int code;
    char text[256];
    void *result;
};

static void note(struct told *t, int code, const struct tenure_error *err)
{
    t->code = code;
    if (err)
        snprintf(t->text, sizeof t->text, "%s", err->text);
    atomic_store(&t->done, 1);
}

static void on_done(void *user, int code, const struct tenure_error *err)
{
    note(user, code, err);
}

static void await_success(struct told *t)
{
    await_flag(&t->done);
    if (t->code)
        fail_msg("%d: %s", t->code, t->text);
    atomic_store(&t->done, 0);
}

static int64_t lease(tenure_client *c)
{
    struct tenure_error err = {0};
    int64_t id = 0;
    no_error(tenure_lease_grant(c, 60, 0, &id, NULL, &err), &err);
    return id;
}

/* ---- locks ---- */

static void on_lock(void *user, int code, struct tenure_v3_lock *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->result = r;
    note(t, code, err);
}

static void a_lock_is_waited_for_until_it_is_free(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_v3_lock *first = NULL, *second;
    struct told t = {0};
    no_error(tenure_v3_lock(c, S("v3/a"), lease(c), 0, &first, &err), &err);
    assert_non_null(strstr(first->key.data, "v3/a/"));
    no_error(tenure_v3_lock_start(c, S("v3/a"), lease(c), 30000, on_lock, &t, &err), &err);
    int rc = tenure_v3_lock(c, S("v3/a"), lease(c), 100, NULL, &err);
    if (rc != TENURE_ETIMEOUT)
        fail_msg("%d: %s (%d)", rc, err.text, err.grpc_status);
    assert_int_equal(atomic_load(&t.done), 0);
    no_error(tenure_v3_unlock(c, first->key, 0, &err), &err);
    await_success(&t);
    second = t.result;
    assert_true(second->revision > first->revision);
    no_error(tenure_v3_unlock_start(c, second->key, 0, on_done, &t, &err), &err);
    await_success(&t);
    assert_null(get(c, second->key.data));
    tenure_v3_lock_free(first);
    tenure_v3_lock_free(second);
    tenure_close(c);
}

/* The queue is the same as that of tenure/lock.h. */
static void it_excludes_who_holds_our_own_lock(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_v3_lock *r = NULL;
    tenure_lock *ours = tenure_lock_acquire(c, "v3-shared", NULL, &err);
    assert_non_null(ours);
    int rc = tenure_v3_lock(c, S("/locks/v3-shared"), lease(c), 100, NULL, &err);
    if (rc != TENURE_ETIMEOUT)
        fail_msg("%d: %s (%d)", rc, err.text, err.grpc_status);
    tenure_token token = tenure_lock_token(ours);
    no_error(tenure_unlock(ours, &err), &err);
    no_error(tenure_v3_lock(c, S("/locks/v3-shared"), lease(c), 0, &r, &err), &err);
    assert_true(r->revision > token);
    no_error(tenure_v3_unlock(c, r->key, 0, &err), &err);
    tenure_v3_lock_free(r);
    tenure_close(c);
}

static void a_lock_on_no_lease_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    assert_int_equal(tenure_v3_lock(c, S("v3/none"), 987654, 0, NULL, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_v3_lock(c, S(""), 0, 0, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_v3_unlock(c, S(""), 0, &err), TENURE_EINVALID);
    no_error(tenure_v3_unlock(c, S("v3/none/1"), 0, &err), &err);
    tenure_close(c);
}

/* ---- elections ---- */

struct seen {
    pthread_mutex_t mutex;
    char values[16][16];
    int n;
    char end[300];
    atomic_int count, ended;
};

static void on_leader(const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct seen *s = user;
    (void)revision;
    pthread_mutex_lock(&s->mutex);
    if (s->n < 16)
        snprintf(s->values[s->n++], sizeof s->values[0], "%.*s", (int)kv->value.len, (const char *)kv->value.data);
    atomic_store(&s->count, s->n);
    pthread_mutex_unlock(&s->mutex);
}

static void on_end(int code, const struct tenure_error *err, void *user)
{
    struct seen *s = user;
    snprintf(s->end, sizeof s->end, "%d: %s", code, err->text);
    atomic_store(&s->ended, 1);
}

struct expectation {
    struct seen *seen;
    int n;
};

static bool has_seen(void *user)
{
    const struct expectation *e = user;
    return atomic_load(&e->seen->count) >= e->n;
}

static void on_campaign(void *user, int code, struct tenure_v3_leader *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->result = r;
    note(t, code, err);
}

static void on_leading(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->result = r;
    note(t, code, err);
}

static void leaders_follow_each_other_and_are_observed(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct seen seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct expectation expect = {&seen, 1};
    struct told t = {0};
    struct tenure_v3_leader *a = NULL, *b;
    struct tenure_get_result *g = NULL;
    struct tenure_v3_observer_options o = {.size = sizeof o, .on_leader = on_leader, .on_end = on_end, .user = &seen};
    assert_int_equal(tenure_v3_leading(c, S("v3e"), 0, &g, &err), TENURE_ENOTFOUND);
    no_error(tenure_v3_campaign(c, S("v3e"), lease(c), S("a1"), 0, &a, &err), &err);
    tenure_v3_observer *observer = tenure_v3_observer_start(c, S("v3e"), &o, &err);
    assert_non_null(observer);
    assert_true(test_await(has_seen, &expect));
    no_error(tenure_v3_campaign_start(c, S("v3e"), lease(c), S("b1"), 30000, on_campaign, &t, &err), &err);
    no_error(tenure_v3_proclaim(c, a, S("a2"), 0, &err), &err);
    expect.n = 2;
    assert_true(test_await(has_seen, &expect));
    no_error(tenure_v3_leading(c, S("v3e"), 0, &g, &err), &err);
    assert_string_equal(g->kvs[0].value.data, "a2");
    tenure_get_free(g);
    no_error(tenure_v3_resign(c, a, 0, &err), &err);
    await_success(&t);
    b = t.result;
    expect.n = 3; /* before it says something new: an observer may miss what is replaced at once */
    assert_true(test_await(has_seen, &expect));
    assert_true(b->revision > a->revision);
    assert_string_equal(b->name.data, "v3e");
    assert_int_equal(tenure_v3_proclaim(c, a, S("a3"), 0, &err), TENURE_ECONFLICT);
    no_error(tenure_v3_resign(c, a, 0, &err), &err); /* once more is the same */
    no_error(tenure_v3_proclaim_start(c, b, S("b2"), 0, on_done, &t, &err), &err);
    await_success(&t);
    no_error(tenure_v3_leading_start(c, S("v3e"), 0, on_leading, &t, &err), &err);
    await_success(&t);
    assert_string_equal(((struct tenure_get_result *)t.result)->kvs[0].value.data, "b2");
    tenure_get_free(t.result);
    expect.n = 4;
    assert_true(test_await(has_seen, &expect));
    tenure_v3_observer_stop(observer);
    assert_string_equal(seen.values[0], "a1");
    assert_string_equal(seen.values[1], "a2");
    assert_string_equal(seen.values[2], "b1");
    assert_string_equal(seen.values[3], "b2");
    assert_int_equal(atomic_load(&seen.ended), 0);
    no_error(tenure_v3_resign_start(c, b, 0, on_done, &t, &err), &err);
    await_success(&t);
    tenure_v3_leader_free(a);
    tenure_v3_leader_free(b);
    tenure_close(c);
}

static void an_observer_survives_its_server(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct seen seen = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct expectation expect = {&seen, 1};
    struct tenure_v3_leader *a = NULL;
    struct tenure_v3_observer_options o = {.size = sizeof o, .on_leader = on_leader, .on_end = on_end, .user = &seen};
    no_error(tenure_v3_campaign(c, S("v3s"), lease(c), S("a1"), 0, &a, &err), &err);
    tenure_v3_observer *observer = tenure_v3_observer_start(c, S("v3s"), &o, &err);
    assert_true(test_await(has_seen, &expect));
    server_kill(*state);
    server_restart(*state);
    no_error(tenure_v3_proclaim(c, a, S("a2"), 20000, &err), &err);
    expect.n = 2;
    if (!test_await(has_seen, &expect))
        fail_msg("the observer saw %d, %s", seen.n, seen.end);
    assert_string_equal(seen.values[1], "a2");
    assert_null(tenure_v3_observer_start(c, S(""), &o, &err));
    assert_non_null(tenure_v3_observer_start(c, S("v3s"), &o, &err)); /* freed with the handle */
    tenure_v3_observer_stop(observer);
    tenure_v3_leader_free(a);
    tenure_close(c);
    assert_int_equal(atomic_load(&seen.ended), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_is_waited_for_until_it_is_free),
        cmocka_unit_test(it_excludes_who_holds_our_own_lock),
        cmocka_unit_test(a_lock_on_no_lease_is_refused),
        cmocka_unit_test(leaders_follow_each_other_and_are_observed),
        cmocka_unit_test(an_observer_survives_its_server),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
