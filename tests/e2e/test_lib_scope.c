/* Scopes on real servers: calls of other threads, deadlines, children, callbacks, several handles, close, fork, and what is known
 * of a write that was cancelled. */
#include "lib.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

static tenure_scope *scope_of(int64_t timeout_ms, tenure_scope *parent)
{
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = timeout_ms, .parent = parent};
    struct tenure_error err = {0};
    tenure_scope *s = tenure_scope_new(&o, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

/* ---- calls that wait, on threads of their own ---- */

struct caller {
    const struct server *server;
    tenure_client *c;
    tenure_scope *scope;
    int (*call)(struct caller *k, struct tenure_error *err);
    pthread_t thread;
    int code;
    struct tenure_error err;
    void *thing;
    atomic_int runs;
    bool until_sent; /* cancelled no earlier than its request has left */
    uint64_t sent;
};

static int code_of(const void *thing, const struct tenure_error *err)
{
    return thing ? 0 : err->code;
}

static int wait_for_lock(struct caller *k, struct tenure_error *err)
{
    return code_of(tenure_lock_acquire(k->c, "held", NULL, err), err);
}

static int wait_for_reading(struct caller *k, struct tenure_error *err)
{
    return code_of(tenure_rwlock_read(k->c, "held", NULL, err), err);
}

static int wait_for_all(struct caller *k, struct tenure_error *err)
{
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = "first"},
                                            {.size = sizeof parts[0], .name = "held"}};
    return code_of(tenure_multilock_acquire(k->c, parts, 2, NULL, err), err);
}

/* A name of each test's own: what etcd was about to do when it was cancelled may stay there for its lease's 60 s. */
static int wait_for_v3_lock(struct caller *k, struct tenure_error *err)
{
    struct tenure_v3_lock *lock;
    return tenure_v3_lock(k->c, S(k->thing), 0, 60000, &lock, err);
}

static int wait_at_barrier(struct caller *k, struct tenure_error *err)
{
    return tenure_barrier_wait(k->c, "held", NULL, err);
}

static int wait_for_latch(struct caller *k, struct tenure_error *err)
{
    return tenure_latch_wait(k->c, "never", NULL, err);
}

static int wait_for_others(struct caller *k, struct tenure_error *err)
{
    return code_of(tenure_double_barrier_enter(k->c, "alone", 2, NULL, err), err);
}

static int wait_for_item(struct caller *k, struct tenure_error *err)
{
    struct tenure_queue_item *item;
    return tenure_queue_take(k->thing, 0, &item, err);
}

static int wait_for_presence(struct caller *k, struct tenure_error *err)
{
    return tenure_presence_await(k->thing, 60000, err);
}

static int wait_to_lead(struct caller *k, struct tenure_error *err)
{
    return tenure_election_await(k->thing, 60000, err);
}

static int no_job(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    (void)k, (void)run, (void)arg;
    return 0;
}

static int run_cron(struct caller *k, struct tenure_error *err)
{
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "0 0 1 1 *"};
    return tenure_cron_run(k->c, "yearly", &o, no_job, NULL, err);
}

static void *caller_thread(void *arg)
{
    struct caller *k = arg;
    tenure_scope_use(k->scope);
    k->code = k->call(k, &k->err);
    return NULL;
}

static void caller_start(struct caller *k)
{
    assert_int_equal(pthread_create(&k->thread, NULL, caller_thread, k), 0);
}

static bool is_in_scope(void *scope)
{
    return tenure_scope_calls(scope) == 1;
}

static uint64_t bytes_out(tenure_client *c)
{
    struct tenure_stats stats = {.size = sizeof stats};
    struct tenure_error err = {0};
    no_error(tenure_stats(c, &stats, &err), &err);
    return stats.bytes_out;
}

static bool has_sent(void *user)
{
    struct caller *k = user;
    return is_in_scope(k->scope) && bytes_out(k->c) > k->sent;
}

static void caller_is_cancelled(struct caller *k)
{
    k->scope = scope_of(0, NULL);
    k->sent = k->until_sent ? bytes_out(k->c) : 0;
    caller_start(k);
    assert_true(k->until_sent ? test_await(has_sent, k) : test_await(is_in_scope, k->scope));
    tenure_scope_cancel(k->scope);
    pthread_join(k->thread, NULL);
    if (k->code != TENURE_ECANCELLED)
        fail_msg("%d: %s", k->code, k->err.text);
    assert_int_equal(k->err.code, TENURE_ECANCELLED);
    assert_int_equal(tenure_scope_calls(k->scope), 0);
    tenure_scope_free(k->scope);
}

static void a_thread_that_waits_is_let_go(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_lock *held = tenure_lock_acquire(c, "held", NULL, &err);
    tenure_lock *v3 = tenure_lock_acquire(c, "v3/cancelled", NULL, &err);
    tenure_queue *q = tenure_queue_open(c, "empty", NULL, &err);
    assert_true(held && v3 && q);
    no_error(tenure_barrier_hold(c, "held", NULL, &err), &err);
    put(c, "taken", "by hand");
    struct tenure_presence_options o = {.size = sizeof o, .conflict = TENURE_CONFLICT_WAIT};
    tenure_presence *p = tenure_presence_start(c, S("taken"), S("x"), &o, &err);
    assert_non_null(p);
    tenure_election *leader = tenure_election_start(c, "taken", NULL, &err);
    no_error(leader ? tenure_election_await(leader, 0, &err) : err.code, &err);
    tenure_client *other = open_on(*state); /* two on one session would be one candidate */
    tenure_election *e = tenure_election_start(other, "taken", NULL, &err);
    assert_non_null(e);
    struct caller callers[] = {{.call = wait_for_lock},
                               {.call = wait_for_reading},
                               {.call = wait_for_all},
                               {.call = wait_for_v3_lock, .thing = "/locks/v3/cancelled"},
                               {.call = wait_at_barrier},
                               {.call = wait_for_latch},
                               {.call = wait_for_others},
                               {.call = run_cron},
                               {.call = wait_for_item, .thing = q},
                               {.call = wait_for_presence, .thing = p},
                               {.call = wait_to_lead, .thing = e}};
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        callers[i].c = c;
        caller_is_cancelled(&callers[i]);
    }
    tenure_election_stop(leader);
    no_error(tenure_election_await(e, 0, &err), &err); /* it went on campaigning */
    tenure_close(other);
    struct tenure_lock_list *list;
    no_error(tenure_lock_list(c, "first", NULL, &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_lock_list_free(list);
    assert_true(tenure_lock_held(held));
    no_error(tenure_unlock(held, &err), &err);
    no_error(tenure_unlock(v3, &err), &err);
    tenure_presence_stop(p);
    no_error(tenure_barrier_release(c, "held", NULL, &err), &err);
    tenure_close(c);
}

/* ---- calls without an answer ---- */

static int get_key(struct caller *k, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .timeout_ms = 60000};
    struct tenure_get_result *r;
    return tenure_get(k->c, S("a"), &o, &r, err);
}

static int put_key(struct caller *k, struct tenure_error *err)
{
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = 60000};
    return tenure_put(k->c, S("maybe"), S("x"), &o, NULL, err);
}

static int open_session(struct caller *k, struct tenure_error *err)
{
    struct tenure_session_options o = {.size = sizeof o, .own = true};
    return code_of(tenure_session_open(k->c, &o, err), err);
}

static int read_and_write(tenure_stm_view *v, void *arg)
{
    struct tenure_kv kv;
    atomic_fetch_add((atomic_int *)arg, 1);
    int rc = tenure_stm_get(v, S("a"), &kv);
    return rc && rc != TENURE_ENOTFOUND ? rc : tenure_stm_put(v, S("stm"), S("x"), 0);
}

static int run_stm(struct caller *k, struct tenure_error *err)
{
    struct tenure_stm_options o = {.size = sizeof o, .timeout_ms = 60000};
    return tenure_stm(k->c, &o, read_and_write, &k->runs, err);
}

static int propose(struct caller *k, struct tenure_error *err)
{
    return tenure_election_proclaim(k->thing, S("new"), err);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    atomic_store((atomic_int *)user, 1);
}

static void a_silent_server_keeps_no_call(void **state)
{
    struct server *s = *state;
    tenure_client *c = open_on(s);
    struct tenure_error err = {0};
    atomic_int leads = 0;
    struct tenure_election_options o = {.size = sizeof o, .on_gained = on_gained, .user = &leads};
    tenure_election *e = tenure_election_start(c, "post", &o, &err);
    assert_non_null(e);
    await_flag(&leads);
    put(c, "a", "1");
    server_pause(s);
    struct caller callers[] = {{.call = get_key},
                               {.call = put_key, .until_sent = true},
                               {.call = open_session},
                               {.call = run_stm},
                               {.call = propose, .thing = e}};
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        callers[i].c = c;
        caller_is_cancelled(&callers[i]);
    }
    server_resume(s);
    assert_int_equal(callers[1].err.applied, TENURE_APPLIED_MAYBE); /* it lay in the server's socket */
    assert_int_equal(callers[0].err.applied, TENURE_APPLIED_NO);
    assert_int_equal(atomic_load(&callers[3].runs), 1);
    put(c, "a", "2");
    no_error(tenure_election_proclaim(e, S("newer"), &err), &err);
    tenure_close(c);
}

static void what_was_never_sent_was_not_applied(void **state)
{
    char url[64];
    (void)state;
    struct tenure_error err = {0};
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port_unused());
    struct caller k = {.c = tenure_open(url, NULL, &err), .call = put_key};
    caller_is_cancelled(&k);
    assert_int_equal(k.err.applied, TENURE_APPLIED_NO);
    tenure_close(k.c);
}

/* ---- rules ---- */

static int cancelled_get(tenure_client *c, struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    int rc = tenure_get(c, S("a"), NULL, &r, err);
    tenure_get_free(r);
    return rc;
}

static void never_done(void *user, int code, const struct tenure_error *err)
{
    (void)user, (void)code, (void)err;
    fail();
}

static void nothing_begins_in_a_cancelled_scope(void **state)
{
    tenure_client *c = open_on(*state);
    tenure_scope *s = scope_of(0, NULL);
    struct tenure_error err = {0};
    tenure_lock *lock = tenure_lock_acquire(c, "mine", NULL, &err);
    assert_int_equal(tenure_scope_code(s), 0);
    tenure_scope_use(s);
    assert_int_equal(cancelled_get(c, &err), 0);
    tenure_scope_cancel(s);
    tenure_scope_cancel(s);
    assert_int_equal(tenure_scope_code(s), TENURE_ECANCELLED);
    assert_int_equal(cancelled_get(c, &err), TENURE_ECANCELLED);
    assert_int_equal(err.code, TENURE_ECANCELLED);
    assert_null(tenure_lock_acquire(c, "other", NULL, &err));
    assert_int_equal(err.code, TENURE_ECANCELLED);
    assert_null(tenure_lock_start(c, "other", NULL, &err));
    assert_int_equal(err.code, TENURE_ECANCELLED);
    assert_null(tenure_barrier_wait_start(c, "x", NULL, never_done, NULL, &err));
    assert_int_equal(err.code, TENURE_ECANCELLED);
    assert_int_equal(tenure_compact_start(c, 1, false, 0, never_done, NULL, &err), TENURE_ECANCELLED);
    assert_null(tenure_double_barrier_enter_start(c, "x", 2, NULL, &err));
    assert_null(tenure_session_open(c, NULL, &err));
    assert_int_equal(err.code, TENURE_ECANCELLED);
    /* Letting go does not ask. */
    assert_true(tenure_lock_held(lock));
    no_error(tenure_unlock(lock, &err), &err);
    assert_ptr_equal(tenure_scope_use(NULL), s);
    assert_int_equal(cancelled_get(c, &err), 0);
    tenure_scope_free(s);
    tenure_scope_free(NULL);
    tenure_scope_cancel(NULL);
    tenure_close(c);
}

static void a_scope_has_a_deadline(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_lock *held = tenure_lock_acquire(c, "held", NULL, &err);
    tenure_lock *v3 = tenure_lock_acquire(c, "v3/late", NULL, &err);
    assert_true(held && v3);
    no_error(tenure_barrier_hold(c, "shut", NULL, &err), &err);
    tenure_election *leader = tenure_election_start(c, "led", NULL, &err);
    no_error(leader ? tenure_election_await(leader, 0, &err) : err.code, &err);
    tenure_election *e = tenure_election_start(c, "led", NULL, &err);
    assert_non_null(e);
    struct caller waits[] = {{.call = wait_for_lock},
                             {.call = wait_for_all},
                             {.call = wait_for_latch},
                             {.call = wait_for_v3_lock, .thing = "/locks/v3/late"},
                             {.call = wait_to_lead, .thing = e},
                             {.call = run_cron}};
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        waits[i].c = c;
        waits[i].scope = scope_of(50, NULL);
        caller_start(&waits[i]);
        pthread_join(waits[i].thread, NULL);
        if (waits[i].code != TENURE_ETIMEOUT)
            fail_msg("%zu: %d: %s", i, waits[i].code, waits[i].err.text);
        assert_int_equal(waits[i].err.code, TENURE_ETIMEOUT);
        assert_int_equal(tenure_scope_code(waits[i].scope), TENURE_ETIMEOUT);
        tenure_scope_use(waits[i].scope);
        assert_int_equal(cancelled_get(c, &err), TENURE_ETIMEOUT);
        tenure_scope_use(NULL);
        tenure_scope_free(waits[i].scope);
    }
    no_error(tenure_unlock(held, &err), &err);
    no_error(tenure_unlock(v3, &err), &err);
    tenure_close(c);
}

static void a_time_below_zero_is_refused(void **state)
{
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = -1};
    struct tenure_error err = {0};
    (void)state;
    assert_null(tenure_scope_new(&o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o.size = 0;
    assert_null(tenure_scope_new(&o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void a_child_ends_with_its_parent(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_lock *held = tenure_lock_acquire(c, "held", NULL, &err);
    tenure_scope *parent = scope_of(0, NULL), *child = scope_of(0, parent), *grandchild = scope_of(0, child);
    struct caller of_child = {.c = c, .scope = grandchild, .call = wait_for_lock};
    struct caller of_parent = {.c = c, .scope = parent, .call = wait_at_barrier};
    no_error(tenure_barrier_hold(c, "held", NULL, &err), &err);
    caller_start(&of_child);
    caller_start(&of_parent);
    assert_true(test_await(is_in_scope, grandchild));
    assert_true(test_await(is_in_scope, parent));
    tenure_scope_cancel(child);
    pthread_join(of_child.thread, NULL);
    assert_int_equal(of_child.code, TENURE_ECANCELLED);
    assert_int_equal(tenure_scope_calls(parent), 1);
    assert_int_equal(tenure_scope_code(parent), 0);
    tenure_scope_free(child);

    tenure_scope *second = scope_of(0, parent);
    tenure_scope_cancel(parent);
    tenure_scope_free(parent); /* before its children and its call */
    pthread_join(of_parent.thread, NULL);
    assert_int_equal(of_parent.code, TENURE_ECANCELLED);
    assert_int_equal(tenure_scope_code(second), TENURE_ECANCELLED);
    tenure_scope *late = scope_of(1000, second);
    assert_int_equal(tenure_scope_code(late), TENURE_ECANCELLED);
    tenure_scope_free(second);
    tenure_scope_free(late);
    tenure_scope_free(grandchild);
    no_error(tenure_barrier_release(c, "held", NULL, &err), &err);
    tenure_unlock(held, NULL);
    tenure_close(c);
}

static void a_deadline_is_the_parents_too(void **state)
{
    (void)state;
    tenure_scope *parent = scope_of(1, NULL), *child = scope_of(60000, parent);
    int64_t until = test_now() + 20000;
    while (tenure_scope_code(child) == 0 && test_now() < until)
        poll(NULL, 0, 1);
    assert_int_equal(tenure_scope_code(child), TENURE_ETIMEOUT);
    tenure_scope_free(parent);
    tenure_scope_free(child);
}

/* ---- callbacks ---- */

struct chain {
    tenure_client *c;
    tenure_scope *scope, *other;
    tenure_scope *seen[2];
    atomic_int n;
};

static void on_second(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct chain *k = user;
    no_error(code, err);
    tenure_get_free(r);
    k->seen[1] = tenure_scope_use(NULL);
    atomic_store(&k->n, 2);
}

static void on_first(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct chain *k = user;
    struct tenure_error own = {0};
    no_error(code, err);
    tenure_get_free(r);
    k->seen[0] = tenure_scope_use(NULL);
    no_error(tenure_get_start(k->c, S("a"), NULL, on_second, k, &own), &own);
    tenure_scope_cancel(k->scope); /* not of the second call */
    tenure_scope_use(k->other);    /* left in use */
}

static void a_callback_has_no_scope(void **state)
{
    struct tenure_error err = {0};
    struct chain k = {.c = tenure_open_poll(server_url(*state), NULL, &err),
                      .scope = scope_of(0, NULL),
                      .other = scope_of(0, NULL),
                      .seen = {(void *)1, (void *)1}};
    tenure_scope_use(k.scope);
    no_error(tenure_get_start(k.c, S("a"), NULL, on_first, &k, &err), &err);
    while (atomic_load(&k.n) < 2) {
        struct pollfd p = {.fd = tenure_fd(k.c), .events = POLLIN};
        poll(&p, 1, tenure_timeout_ms(k.c));
        assert_int_equal(tenure_turn(k.c), 0);
    }
    assert_null(k.seen[0]);
    assert_null(k.seen[1]);
    assert_ptr_equal(tenure_scope_use(NULL), k.scope);
    tenure_scope_free(k.scope);
    tenure_scope_free(k.other);
    tenure_close(k.c);
}

/* ---- loops of the program's ---- */

struct loop {
    tenure_client *c;
    tenure_scope *scope;
    int codes[2], n;
    bool closed;
};

static void on_ended(void *user, int code, const struct tenure_error *err)
{
    struct loop *l = user;
    (void)err;
    l->codes[l->n++] = code;
}

static void *cancel_elsewhere(void *scope)
{
    tenure_scope_cancel(scope);
    return NULL;
}

/* One call on each of two handles, cancelled by another thread while this one waits in its loop. */
static void another_thread_wakes_the_loop(void **state)
{
    struct tenure_error err = {0};
    tenure_client *helper = open_on(*state);
    no_error(tenure_barrier_hold(helper, "loop", NULL, &err), &err);
    tenure_client *poll_handle = tenure_open_poll(server_url(*state), NULL, &err);
    struct loop l = {.c = poll_handle, .scope = scope_of(0, NULL)};
    tenure_scope_use(l.scope);
    tenure_wait *w = tenure_barrier_wait_start(l.c, "loop", NULL, on_ended, &l, &err);
    tenure_scope_use(NULL);
    assert_non_null(w);
    bool at_rest = false;
    pthread_t thread;
    while (l.n == 0) {
        struct pollfd p = {.fd = tenure_fd(l.c), .events = POLLIN};
        int n = poll(&p, 1, at_rest ? 20000 : 50);
        assert_false(at_rest && n == 0);
        if (n == 0)
            assert_int_equal(pthread_create(&thread, NULL, cancel_elsewhere, l.scope), 0);
        at_rest = at_rest || n == 0;
        assert_int_equal(tenure_turn(l.c), 0);
    }
    pthread_join(thread, NULL);
    assert_int_equal(l.codes[0], TENURE_ECANCELLED);
    tenure_wait_stop(w);
    tenure_scope_free(l.scope);
    tenure_close(l.c);
    no_error(tenure_barrier_release(helper, "loop", NULL, &err), &err);
    tenure_close(helper);
}

static void on_closed(void *user)
{
    ((struct loop *)user)->closed = true;
}

static void on_uv_timer(uv_timer_t *timer)
{
    struct loop *l = timer->data;
    if (l->n == 0)
        tenure_scope_cancel(l->scope);
    if (l->n < 1)
        return;
    tenure_close_start(l->c, on_closed, l);
    uv_timer_stop(timer);
    uv_close((uv_handle_t *)timer, NULL);
}

static void a_uv_loop_ends_when_all_is_over(void **state)
{
    uv_loop_t uv;
    uv_timer_t timer;
    struct tenure_error err = {0};
    struct loop l = {.scope = scope_of(0, NULL)};
    assert_int_equal(uv_loop_init(&uv), 0);
    l.c = tenure_open_uv(&uv, server_url(*state), NULL, &err);
    tenure_scope_use(l.scope);
    assert_non_null(tenure_latch_wait_start(l.c, "never", NULL, on_ended, &l, &err));
    tenure_scope_use(NULL);
    uv_timer_init(&uv, &timer);
    timer.data = &l;
    uv_timer_start(&timer, on_uv_timer, 20, 1);
    uv_run(&uv, UV_RUN_DEFAULT);
    assert_true(l.closed);
    assert_int_equal(l.codes[0], TENURE_ECANCELLED);
    assert_int_equal(uv_loop_close(&uv), 0);
    tenure_scope_free(l.scope);
}

/* ---- ends ---- */

static void a_close_ends_the_calls_of_a_scope(void **state)
{
    struct tenure_error err = {0};
    struct loop l = {.c = open_on(*state), .scope = scope_of(0, NULL)};
    tenure_scope_use(l.scope);
    assert_non_null(tenure_latch_wait_start(l.c, "never", NULL, on_ended, &l, &err));
    tenure_scope_use(NULL);
    tenure_close(l.c);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.codes[0], TENURE_ECLOSED);
    assert_int_equal(tenure_scope_calls(l.scope), 0);
    tenure_scope_cancel(l.scope);
    tenure_scope_free(l.scope);
}

static void a_child_process_cancels_nothing_here(void **state)
{
    tenure_client *c = open_on(*state);
    struct caller k = {.c = c, .scope = scope_of(0, NULL), .call = wait_for_latch};
    caller_start(&k);
    assert_true(test_await(is_in_scope, k.scope));
    pid_t child = fork();
    if (child == 0) {
        tenure_scope_cancel(k.scope);
        tenure_scope_free(k.scope);
        _exit(0);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(tenure_scope_code(k.scope), 0);
    assert_int_equal(tenure_scope_calls(k.scope), 1);
    tenure_scope_cancel(k.scope);
    pthread_join(k.thread, NULL);
    tenure_scope_free(k.scope);
    tenure_close(c);
}

/* ---- many at once ---- */

enum { THREADS = 4, ROUNDS = 60 };

static void on_count(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    /* etcd, when it is the first to see the deadline pass: "request timed out" */
    bool fine = code == 0 || code == TENURE_ECANCELLED || code == TENURE_ETIMEOUT || code == TENURE_EUNAVAILABLE;
    if (!fine)
        print_error("%d: %s\n", code, err->text);
    tenure_put_free(r);
    atomic_fetch_add((atomic_int *)user, fine ? 1 : 1000000);
}

/* Each round a scope of its own, cancelled by its maker while the calls run. */
static void *storm(void *arg)
{
    tenure_client *c = arg;
    atomic_int done = 0;
    int begun = 0;
    for (int i = 0; i < ROUNDS; i++) {
        tenure_scope *s = scope_of(i % 3 == 0 ? 1 : 0, NULL);
        tenure_scope_use(s);
        for (int n = 0; n < 5; n++)
            begun += tenure_put_start(c, S("storm"), S("x"), NULL, on_count, &done, NULL) == 0;
        struct tenure_error err;
        int rc = tenure_barrier_wait(c, "free", NULL, &err);
        if (rc != 0 && rc != TENURE_ETIMEOUT)
            return "a wait failed";
        tenure_scope_cancel(s);
        tenure_scope_free(s);
    }
    int64_t until = test_now() + 20000;
    while (atomic_load(&done) < begun && test_now() < until)
        poll(NULL, 0, 1);
    return atomic_load(&done) == begun ? NULL : "a completion is missing or doubled";
}

static void threads_cancel_without_order(void **state)
{
    tenure_client *c = open_on(*state);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm, c), 0);
    for (int i = 0; i < THREADS; i++) {
        void *why = NULL;
        pthread_join(threads[i], &why);
        if (why)
            fail_msg("%s", (char *)why);
    }
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_waits_is_let_go),
        cmocka_unit_test(a_silent_server_keeps_no_call),
        cmocka_unit_test(what_was_never_sent_was_not_applied),
        cmocka_unit_test(nothing_begins_in_a_cancelled_scope),
        cmocka_unit_test(a_scope_has_a_deadline),
        cmocka_unit_test(a_time_below_zero_is_refused),
        cmocka_unit_test(a_child_ends_with_its_parent),
        cmocka_unit_test(a_deadline_is_the_parents_too),
        cmocka_unit_test(a_callback_has_no_scope),
        cmocka_unit_test(another_thread_wakes_the_loop),
        cmocka_unit_test(a_uv_loop_ends_when_all_is_over),
        cmocka_unit_test(a_close_ends_the_calls_of_a_scope),
        cmocka_unit_test(a_child_process_cancels_nothing_here),
        cmocka_unit_test(threads_cancel_without_order),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
