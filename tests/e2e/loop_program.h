/* What a program on a loop of its own does, step by step, by completions: put, get, txn, lock, watch, unlock; then the close.
 * One thread, no blocking call. Shared by the tests of each kind of loop. */
#ifndef TESTS_E2E_LOOP_PROGRAM_H
#define TESTS_E2E_LOOP_PROGRAM_H

#include "lib.h"

struct program {
    tenure_client *handle;
    tenure_lock *lock;
    tenure_watch *watch;
    tenure_token token;
    int steps, wrong;
    bool done, closed;
};

static inline void expect(struct program *p, bool holds)
{
    p->wrong += !holds;
    p->steps++;
}

static inline void on_released(int code, void *user)
{
    struct program *p = user;
    expect(p, code == 0);
    p->done = true;
}

static inline void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct program *p = user;
    (void)revision;
    expect(p, n == 1 && events[0].kv.value.len == 1);
    expect(p, tenure_lock_held(p->lock));
    tenure_watch_stop(p->watch);
    tenure_unlock_start(p->lock);
    expect(p, !tenure_lock_held(p->lock));
}

static inline void on_txn(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err)
{
    struct program *p = user;
    (void)err;
    expect(p, code == 0 && r->outcome == TENURE_TXN_SUCCEEDED);
    tenure_txn_result_free(r);
}

static inline void on_created(void *user, int64_t revision)
{
    struct program *p = user;
    (void)revision;
    tenure_txn *t = tenure_txn_new(p->handle);
    tenure_if_create_revision(t, S(tenure_lock_key(p->lock)), TENURE_EQ, p->token);
    tenure_then_put(t, S("loop/guarded"), S("x"), 0);
    expect(p, tenure_txn_start(t, 0, on_txn, p, NULL) == 0);
    tenure_txn_free(t);
}

static inline void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err,
                               void *user)
{
    struct program *p = user;
    (void)lock, (void)err;
    struct tenure_watch_options o = {.size = sizeof o, .on_created = on_created, .on_events = on_events, .user = p};
    expect(p, code == 0 && tenure_lock_held(p->lock));
    p->token = token;
    p->watch = tenure_watch_start(p->handle, S("loop/guarded"), &o, NULL);
    expect(p, p->watch != NULL);
}

static inline void on_got(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct program *p = user;
    (void)err;
    struct tenure_lock_options o = {
        .size = sizeof o, .on_acquired = on_acquired, .on_released = on_released, .user = p};
    expect(p, code == 0 && r->n_kvs == 1);
    tenure_get_free(r);
    p->lock = tenure_lock_start(p->handle, "loop", &o, NULL);
    expect(p, p->lock != NULL);
}

static inline void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    struct program *p = user;
    (void)err;
    expect(p, code == 0);
    tenure_put_free(r);
    expect(p, tenure_get_start(p->handle, S("loop/a"), NULL, on_got, p, NULL) == 0);
}

static inline void begin(struct program *p)
{
    struct tenure_error err = {0};
    no_error(tenure_put_start(p->handle, S("loop/a"), S("1"), NULL, on_put, p, &err), &err);
    assert_int_equal(tenure_put(p->handle, S("a"), S("b"), NULL, NULL, &err), TENURE_EINVALID); /* would block */
    assert_null(tenure_lock_acquire(p->handle, "x", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static inline void check(const struct program *p)
{
    assert_true(p->done);
    assert_int_equal(p->wrong, 0);
    assert_int_equal(p->steps, 12);
}

static inline void on_closed(void *user)
{
    struct program *p = user;
    p->closed = true;
}

#endif
