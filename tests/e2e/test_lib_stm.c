/* Transactional memory on a real server: what each isolation level lets pass and what it does not, and sums that stay. */
#include "lib.h"

#include <poll.h>
#include <uv.h>

struct story {
    tenure_client *other;
    const char *interfere; /* a key that somebody else writes in the first run, behind our first read */
    int runs;
    int64_t create, mod;
    char seen[2][32];
};

static int64_t number(struct tenure_bytes value)
{
    return strtoll(value.data, NULL, 10);
}

static int read_two_write_third(tenure_stm_view *v, void *arg)
{
    struct story *s = arg;
    struct tenure_kv a, b;
    s->runs++;
    int rc = tenure_stm_get(v, S("stm/a"), &a);
    if (rc == 0 && s->interfere && s->runs == 1)
        put(s->other, s->interfere, "other");
    rc = rc ? rc : tenure_stm_get(v, S("stm/b"), &b);
    if (rc)
        return rc;
    snprintf(s->seen[0], sizeof s->seen[0], "%s", (const char *)a.value.data);
    snprintf(s->seen[1], sizeof s->seen[1], "%s", (const char *)b.value.data);
    return tenure_stm_put(v, S("stm/c"), S("ours"), 0);
}

/* How often the function ran, when somebody else wrote that key in the middle of its first run. */
static int runs(tenure_client *c, tenure_client *other, enum tenure_stm_isolation isolation, const char *interfere,
                struct story *s)
{
    struct tenure_error err = {0};
    struct tenure_stm_options o = {.size = sizeof o, .isolation = isolation};
    *s = (struct story){.other = other, .interfere = interfere};
    put(c, "stm/a", "one");
    put(c, "stm/b", "two");
    put(c, "stm/c", "three");
    no_error(tenure_stm(c, &o, read_two_write_third, s, &err), &err);
    char *value = get(c, "stm/c");
    assert_string_equal(value, "ours");
    free(value);
    return s->runs;
}

static void each_isolation_level_has_the_guards_of_etcds(void **state)
{
    static const struct {
        enum tenure_stm_isolation isolation;
        int read, unread_yet, written;
        const char
            *second; /* what the second key read as, when it was written behind the first read; of the last run */
    } rows[] = {
        {TENURE_STM_SERIALIZABLE_SNAPSHOT, 2, 2, 2, "other"},
        {TENURE_STM_SERIALIZABLE, 2, 2, 1, "other"},
        {TENURE_STM_REPEATABLE_READS, 2, 1, 1, "other"},
        {TENURE_STM_READ_COMMITTED, 1, 1, 1, "other"},
    };
    if (server_is_cluster(*state))
        skip(); /* another member may not have what was just written, and a serializable read of it costs a run */
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct story s;
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(runs(c, other, rows[i].isolation, NULL, &s), 1);
        assert_int_equal(runs(c, other, rows[i].isolation, "stm/a", &s), rows[i].read);
        assert_string_equal(s.seen[0], rows[i].read == 2 ? "other" : "one");
        assert_int_equal(runs(c, other, rows[i].isolation, "stm/b", &s), rows[i].unread_yet);
        assert_string_equal(s.seen[1], rows[i].second);
        assert_int_equal(runs(c, other, rows[i].isolation, "stm/c", &s), rows[i].written);
    }
    tenure_close(c);
    tenure_close(other);
}

static int reads_its_own_writes(tenure_stm_view *v, void *arg)
{
    struct tenure_kv kv;
    (void)arg;
    assert_int_equal(tenure_stm_get(v, S("own/a"), &kv), TENURE_ENOTFOUND);
    assert_int_equal(tenure_stm_put(v, S("own/a"), S("1"), 0), 0);
    assert_int_equal(tenure_stm_get(v, S("own/a"), &kv), 0);
    assert_int_equal(number(kv.value), 1);
    assert_int_equal(tenure_stm_delete(v, S("own/a")), 0);
    assert_int_equal(tenure_stm_get(v, S("own/a"), NULL), TENURE_ENOTFOUND);
    assert_int_equal(tenure_stm_put(v, S("own/a"), S("2"), 0), 0);
    return tenure_stm_delete(v, S("own/b"));
}

static void a_transaction_sees_its_own_writes_and_applies_the_last(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t revision = 0, attempts = 0;
    struct tenure_stm_options o = {.size = sizeof o, .ret_revision = &revision, .ret_attempts = &attempts};
    put(c, "own/b", "x");
    no_error(tenure_stm(c, &o, reads_its_own_writes, NULL, &err), &err);
    char *a = get(c, "own/a"), *b = get(c, "own/b");
    assert_string_equal(a, "2");
    assert_null(b);
    assert_true(revision > 0);
    assert_int_equal(attempts, 1);
    free(a);
    tenure_close(c);
}

static int gives_up(tenure_stm_view *v, void *arg)
{
    assert_int_equal(tenure_stm_put(v, S("none/a"), S("1"), 0), 0);
    return *(int *)arg;
}

static int fails_to_read(tenure_stm_view *v, void *arg)
{
    (void)arg;
    assert_int_equal(tenure_stm_put(v, S("none/a"), S("1"), 0), 0);
    assert_int_equal(tenure_stm_get(v, S(""), NULL), TENURE_EINVALID);
    assert_int_equal(tenure_stm_put(v, S("none/a"), S("2"), 0), TENURE_EINVALID);
    return 0; /* it sticks all the same */
}

static int puts_on_lease(tenure_stm_view *v, void *arg)
{
    return tenure_stm_put(v, S("leased/a"), S("1"), *(int64_t *)arg);
}

static void a_lease_that_is_not_there_ends_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t lease = 4711, attempts = 0;
    struct tenure_stm_options o = {.size = sizeof o, .ret_attempts = &attempts};
    assert_int_equal(tenure_stm(c, &o, puts_on_lease, &lease, &err), TENURE_ENOTFOUND);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_int_equal(attempts, 1);
    no_error(tenure_lease_grant(c, 60, 0, &lease, NULL, &err), &err);
    no_error(tenure_stm(c, &o, puts_on_lease, &lease, &err), &err);
    no_error(tenure_lease_revoke(c, lease, &err), &err);
    tenure_close(c);
}

static void a_function_that_gives_up_writes_nothing(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int answer = TENURE_ENOTHELD;
    assert_int_equal(tenure_stm(c, NULL, gives_up, &answer, &err), TENURE_ENOTHELD);
    assert_int_equal(err.code, TENURE_ENOTHELD);
    answer = 7;
    assert_int_equal(tenure_stm(c, NULL, gives_up, &answer, &err), 7);
    assert_int_equal(tenure_stm(c, NULL, fails_to_read, NULL, &err), TENURE_EINVALID);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_null(get(c, "none/a"));
    tenure_close(c);
}

static int is_disturbed(tenure_stm_view *v, void *arg)
{
    struct tenure_kv kv;
    int rc = tenure_stm_get(v, S("busy/a"), &kv);
    put(arg, "busy/a", "other");
    return rc ? rc : tenure_stm_put(v, S("busy/a"), S("ours"), 0);
}

static void attempts_are_bounded(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    int64_t attempts = 0;
    struct tenure_stm_options o = {.size = sizeof o, .attempts_max = 3, .ret_attempts = &attempts};
    put(c, "busy/a", "x");
    assert_int_equal(tenure_stm(c, &o, is_disturbed, other, &err), TENURE_ECONFLICT);
    assert_int_equal(attempts, 3);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    o = (struct tenure_stm_options){.size = sizeof o, .timeout_ms = 300};
    int64_t before = test_now();
    assert_int_equal(tenure_stm(c, &o, is_disturbed, other, &err), TENURE_ETIMEOUT);
    assert_true(test_now() - before >= 300);
    tenure_close(c);
    tenure_close(other);
}

static int sums_prefetched(tenure_stm_view *v, void *arg)
{
    int64_t sum = 0;
    for (int i = 0; i < 150; i++) {
        char key[32];
        struct tenure_kv kv;
        snprintf(key, sizeof key, "pre/%03d", i);
        int rc = tenure_stm_get(v, S(key), &kv);
        if (rc)
            return rc;
        sum += number(kv.value);
    }
    *(int64_t *)arg = sum;
    return 0;
}

static void keys_are_prefetched_together(void **state)
{
    static char names[150][32];
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_bytes keys[150];
    int64_t sum = 0;
    for (int i = 0; i < 150; i++) {
        snprintf(names[i], sizeof names[i], "pre/%03d", i);
        keys[i] = S(names[i]);
        put(c, names[i], "2");
    }
    struct tenure_stm_options o = {
        .size = sizeof o, .isolation = TENURE_STM_READ_COMMITTED, .prefetch = keys, .n_prefetch = 150};
    no_error(tenure_stm(c, &o, sums_prefetched, &sum, &err), &err);
    assert_int_equal(sum, 300);
    tenure_close(c);
}

/* ---- money ---- */

enum { ACCOUNTS = 4, THREADS = 4, TRANSFERS = 12 };

struct bank {
    tenure_client *handle;
    unsigned seed;
    enum tenure_stm_isolation isolation;
    bool unmarked;
};

static int move(tenure_stm_view *v, void *arg)
{
    struct bank *b = arg;
    char key[2][32], value[2][32];
    struct tenure_kv kv[2];
    unsigned from = b->seed % ACCOUNTS, to = (from + 1 + b->seed / ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS;
    snprintf(key[0], sizeof key[0], "bank/%u", from);
    snprintf(key[1], sizeof key[1], "bank/%u", to);
    for (int i = 0; i < 2; i++) {
        int rc = tenure_stm_get(v, S(key[i]), &kv[i]);
        if (rc)
            return rc;
        snprintf(value[i], sizeof value[i], "%" PRId64, number(kv[i].value) + (i ? 3 : -3));
    }
    for (int i = 0; i < 2; i++) {
        int rc = tenure_stm_put(v, S(key[i]), S(value[i]), 0);
        if (rc)
            return rc;
    }
    return 0;
}

static void *transfers(void *arg)
{
    struct bank *b = arg;
    struct tenure_error err = {0};
    struct tenure_stm_options o = {
        .size = sizeof o, .isolation = b->isolation, .timeout_ms = 60000, .unmarked = b->unmarked};
    for (int i = 0; i < TRANSFERS; i++) {
        b->seed = b->seed * 1103515245u + 12345u;
        if (tenure_stm(b->handle, &o, move, b, &err) != 0) {
            fprintf(stderr, "%s\n", err.text);
            return "failed";
        }
    }
    return NULL;
}

static void the_sum_stays_whoever_moves_what(void **state)
{
    tenure_client *c[2] = {open_on(*state), open_on(*state)};
    pthread_t threads[THREADS];
    struct bank banks[THREADS];
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "bank/%d", i);
        put(c[0], key, "100");
    }
    for (int i = 0; i < THREADS; i++) {
        banks[i] = (struct bank){c[i % 2], (unsigned)i * 7919u, (enum tenure_stm_isolation)(i % 3), i == 3};
        assert_int_equal(pthread_create(&threads[i], NULL, transfers, &banks[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        void *failed;
        assert_int_equal(pthread_join(threads[i], &failed), 0);
        assert_null(failed);
    }
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "bank/%d", i);
        char *value = get(c[0], key);
        sum += strtoll(value, NULL, 10);
        free(value);
    }
    assert_int_equal(sum, 100 * ACCOUNTS);
    tenure_close(c[0]);
    tenure_close(c[1]);
}

/* The marks are one key a thread at most, used again and again, and go with the handle. */
static void marks_are_few_and_go_with_the_handle(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_get_options under = {.size = sizeof under, .prefix = true};
    struct tenure_stm_options o = {.size = sizeof o, .marks = "/my-marks/"};
    struct bank b = {.handle = c};
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "bank/%d", i);
        put(c, key, "1");
    }
    for (int i = 0; i < 5; i++)
        no_error(tenure_stm(c, &o, move, &b, &err), &err);
    no_error(tenure_get(c, S("/my-marks/"), &under, &r, &err), &err);
    assert_int_equal(r->n_kvs, 1);
    assert_int_equal(r->kvs[0].version, 5);
    assert_true(r->kvs[0].lease != 0);
    tenure_get_free(r);
    tenure_close(c);
    no_error(tenure_get(other, S("/my-marks/"), &under, &r, &err), &err);
    assert_int_equal(r->n_kvs, 0);
    tenure_get_free(r);
    tenure_close(other);
}

struct closed_over {
    tenure_client *handle;
    atomic_int runs, goes_on;
    int code;
};

static int waits_for_the_close(tenure_stm_view *v, void *arg)
{
    struct closed_over *k = arg;
    atomic_fetch_add(&k->runs, 1);
    await_flag(&k->goes_on);
    return tenure_stm_put(v, S("closed/a"), S("1"), 0);
}

static void *transacts(void *arg)
{
    struct closed_over *k = arg;
    struct tenure_error err = {0};
    k->code = tenure_stm(k->handle, NULL, waits_for_the_close, k, &err);
    return NULL;
}

/* Between two of its round trips. */
static void a_close_ends_it(void **state)
{
    struct closed_over k = {.handle = open_on(*state)};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, transacts, &k), 0);
    await_flag(&k.runs);
    tenure_close(k.handle);
    atomic_store(&k.goes_on, 1);
    pthread_join(thread, NULL);
    assert_int_equal(k.code, TENURE_ECLOSED);
    assert_int_equal(k.runs, 1);
}

static int copies_large(tenure_stm_view *v, void *arg)
{
    struct tenure_kv from = {0};
    int rc = tenure_stm_get(v, S("large/from"), &from);
    if (rc < 0)
        return rc;
    assert_true(is_same(from.value, *(struct tenure_bytes *)arg));
    rc = tenure_stm_put(v, S("large/to"), from.value, 0);
    if (rc == 0)
        rc = tenure_stm_get(v, S("large/to"), &from); /* its own write */
    assert_true(rc < 0 || is_same(from.value, *(struct tenure_bytes *)arg));
    return rc;
}

static int puts_too_much(tenure_stm_view *v, void *arg)
{
    tenure_stm_put(v, S("large/too"), *(struct tenure_bytes *)arg, 0);
    return tenure_stm_put(v, S("large/much"), *(struct tenure_bytes *)arg, 0);
}

static void the_largest_values_go_through(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_bytes value = large_value('s', LARGEST_VALUE), prefetched[] = {S("large/from"), S("large/to")};
    struct tenure_stm_options o = {.size = sizeof o, .prefetch = prefetched, .n_prefetch = 2};
    struct tenure_get_result *r = NULL;
    no_error(tenure_put(c, S("large/from"), value, NULL, NULL, &err), &err);
    no_error(tenure_stm(c, NULL, copies_large, &value, &err), &err);
    no_error(tenure_stm(c, &o, copies_large, &value, &err), &err); /* both read at once */
    no_error(tenure_get(c, S("large/to"), NULL, &r, &err), &err);
    assert_true(is_same(r->kvs[0].value, value));
    assert_int_equal(r->kvs[0].version, 2);
    tenure_get_free(r);
    assert_int_equal(tenure_stm(c, NULL, puts_too_much, &value, &err), TENURE_ETOOLARGE);
    assert_null(get(c, "large/too"));
    free((void *)value.data);
    tenure_close(c);
}

struct nothing {
    struct tenure_bytes key, value;
};

static int puts_nothing(tenure_stm_view *v, void *arg)
{
    struct nothing *n = arg;
    if (n->value.len == 0)
        tenure_stm_get(v, n->key, NULL);
    return tenure_stm_put(v, n->key, n->value, 0);
}

static void a_length_without_data_is_refused(void **state)
{
    struct nothing n[] = {{{NULL, 3}, {"", 0}}, {{NULL, 3}, {"x", 1}}, {S("nothing"), {NULL, 3}}};
    tenure_client *c = open_on(*state);
    for (size_t i = 0; i < sizeof n / sizeof *n; i++) {
        struct tenure_error err = {0};
        assert_int_equal(tenure_stm(c, NULL, puts_nothing, &n[i], &err), TENURE_EINVALID);
        assert_int_equal(err.applied, TENURE_APPLIED_NO);
    }
    tenure_close(c);
}

static void what_has_no_meaning_is_refused(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state);
    tenure_client *poll = tenure_open_poll(server_url(*state), NULL, &err);
    struct tenure_stm_options o = {.size = sizeof o, .isolation = (enum tenure_stm_isolation)4};
    assert_int_equal(tenure_stm(c, &o, gives_up, NULL, &err), TENURE_EINVALID);
    o = (struct tenure_stm_options){.size = sizeof o, .timeout_ms = -1};
    assert_int_equal(tenure_stm(c, &o, gives_up, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_stm(poll, NULL, gives_up, NULL, &err), TENURE_EINVALID);
    tenure_close(poll);
    tenure_close(c);
}

/* ---- without a waiting thread ---- */

struct async_run {
    struct bank bank;
    int left, passes, wrong, code;
    atomic_int done;
    int64_t revision, attempts;
    pthread_mutex_t mutex; /* of the wait, which may have ended before the call that began it returns */
    tenure_wait *wait;
};
#define ASYNC_RUN .mutex = PTHREAD_MUTEX_INITIALIZER

static int move_by_passes(tenure_stm_view *v, void *arg)
{
    struct async_run *r = arg;
    r->passes++;
    return move(v, &r->bank);
}

static void begin_transfer(struct async_run *r);

static tenure_wait *take_wait(struct async_run *r)
{
    pthread_mutex_lock(&r->mutex);
    tenure_wait *wait = r->wait;
    r->wait = NULL;
    pthread_mutex_unlock(&r->mutex);
    return wait;
}

static void on_transferred(void *user, int code, int64_t revision, int64_t attempts, const struct tenure_error *err)
{
    struct async_run *r = user;
    r->wrong += (code == 0) != (revision > 0) || attempts < 1 || (code == 0) != (err == NULL);
    r->code = code;
    r->revision = revision;
    r->attempts = attempts;
    tenure_wait_stop(take_wait(r));
    if (code == 0 && --r->left > 0)
        begin_transfer(r);
    else
        atomic_store(&r->done, 1);
}

static void begin_run(struct async_run *r, tenure_client *c, const struct tenure_stm_options *o,
                      int (*body)(tenure_stm_view *v, void *arg), void *arg)
{
    struct tenure_error err = {0};
    pthread_mutex_lock(&r->mutex);
    r->wait = tenure_stm_start(c, o, body, arg, on_transferred, r, &err);
    bool begun = r->wait != NULL;
    pthread_mutex_unlock(&r->mutex);
    if (begun)
        return;
    r->code = err.code;
    atomic_store(&r->done, 1);
}

static void begin_transfer(struct async_run *r)
{
    struct tenure_stm_options o = {
        .size = sizeof o, .isolation = r->bank.isolation, .timeout_ms = 60000, .unmarked = r->bank.unmarked};
    r->bank.seed = r->bank.seed * 1103515245u + 12345u;
    begin_run(r, r->bank.handle, &o, move_by_passes, r);
}

static void fill_bank(tenure_client *c)
{
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "bank/%d", i);
        put(c, key, "100");
    }
}

static int64_t sum_of_bank(tenure_client *c)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++) {
        char key[32];
        snprintf(key, sizeof key, "bank/%d", i);
        char *value = get(c, key);
        sum += strtoll(value, NULL, 10);
        free(value);
    }
    return sum;
}

static void the_sum_stays_also_when_nobody_waits(void **state)
{
    enum { RUNS = 3 };
    tenure_client *c[2] = {open_on(*state), open_on(*state)};
    struct async_run runs[RUNS];
    fill_bank(c[0]);
    for (int i = 0; i < RUNS; i++) {
        runs[i] =
            (struct async_run){ASYNC_RUN, .bank = {c[i % 2], (unsigned)i * 7919u, (enum tenure_stm_isolation)i, i == 2},
                               .left = TRANSFERS};
        begin_transfer(&runs[i]);
    }
    for (int i = 0; i < RUNS; i++) {
        await_flag(&runs[i].done);
        assert_int_equal(runs[i].code, 0);
        assert_int_equal(runs[i].wrong, 0);
        assert_int_equal(runs[i].left, 0);
        assert_true(runs[i].passes >= 3 * TRANSFERS); /* two reads, one behind the other */
    }
    assert_int_equal(sum_of_bank(c[0]), 100 * ACCOUNTS);
    tenure_close(c[0]);
    tenure_close(c[1]);
}

static void a_programs_own_loop_runs_transactions(void **state)
{
    tenure_client *other = open_on(*state), *c = tenure_open_poll(server_url(*state), NULL, NULL);
    struct async_run r = {ASYNC_RUN, .bank = {.handle = c}, .left = 3};
    fill_bank(other);
    begin_transfer(&r);
    assert_int_equal(r.passes, 0); /* not within the call */
    while (!r.done) {
        struct pollfd fd = {.fd = tenure_fd(c), .events = POLLIN};
        int timeout = tenure_timeout_ms(c);
        assert_true(poll(&fd, 1, timeout < 0 || timeout > 20000 ? 20000 : timeout) >= 0);
        assert_int_equal(tenure_turn(c), 0);
    }
    assert_int_equal(r.code, 0);
    assert_int_equal(r.wrong, 0);
    assert_int_equal(sum_of_bank(other), 100 * ACCOUNTS);
    tenure_close(c);
    tenure_close(other);
}

static struct async_run on_uv;

static void close_behind(uv_check_t *check)
{
    if (!on_uv.done)
        return;
    uv_close((uv_handle_t *)check, NULL);
    tenure_close_start(on_uv.bank.handle, NULL, NULL);
}

static void a_libuv_loop_runs_transactions(void **state)
{
    tenure_client *other = open_on(*state);
    uv_loop_t loop;
    uv_check_t after;
    fill_bank(other);
    assert_int_equal(uv_loop_init(&loop), 0);
    uv_check_init(&loop, &after);
    uv_check_start(&after, close_behind);
    on_uv = (struct async_run){ASYNC_RUN, .bank = {.handle = tenure_open_uv(&loop, server_url(*state), NULL, NULL)},
                               .left = 3};
    begin_transfer(&on_uv);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(on_uv.code, 0);
    assert_int_equal(on_uv.wrong, 0);
    assert_int_equal(sum_of_bank(other), 100 * ACCOUNTS);
    assert_int_equal(uv_loop_close(&loop), 0);
    tenure_close(other);
}

static int asks_together(tenure_stm_view *v, void *arg)
{
    struct async_run *r = arg;
    struct tenure_bytes keys[] = {S("in/a"), S("in/b"), S("in/none")};
    struct tenure_kv kv;
    r->passes++;
    int rc = tenure_stm_fetch(v, keys, 3);
    if (rc < 0) {
        r->wrong += rc != TENURE_EBUSY || tenure_stm_put(v, keys[0], S("x"), 0) != TENURE_EBUSY;
        return 0; /* whatever it answers: it is run again */
    }
    r->wrong += tenure_stm_get(v, keys[0], &kv) != 0 || kv.key.len != 4 || memcmp(kv.key.data, "in/a", 4) != 0;
    r->wrong += tenure_stm_get(v, keys[2], NULL) != TENURE_ENOTFOUND;
    r->wrong += tenure_stm_attempt(v) != 1;
    return tenure_stm_put(v, S("in/c"), kv.value, 0);
}

static void a_namespace_and_keys_fetched_together(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct async_run r = {ASYNC_RUN};
    put(c, "ns/in/a", "1");
    put(c, "ns/in/b", "2");
    tenure_client *view = tenure_namespace(c, S("ns/"), &err);
    begin_run(&r, view, NULL, asks_together, &r);
    await_flag(&r.done);
    assert_int_equal(r.code, 0);
    assert_int_equal(r.wrong, 0);
    assert_int_equal(r.passes, 2);
    char *value = get(c, "ns/in/c");
    assert_string_equal(value, "1");
    free(value);
    struct tenure_bytes keys[] = {S("in/a"), S("in/b"), S("in/none")};
    struct tenure_stm_options o = {.size = sizeof o, .prefetch = keys, .n_prefetch = 3};
    struct async_run once = {ASYNC_RUN};
    begin_run(&once, view, &o, asks_together, &once);
    await_flag(&once.done);
    assert_int_equal(once.code, 0);
    assert_int_equal(once.passes, 1);
    tenure_close(c);
}

static void what_the_function_answers_is_told(void **state)
{
    tenure_client *c = open_on(*state);
    static const int answers[] = {TENURE_ENOTHELD, 7};
    for (size_t i = 0; i < 2; i++) {
        struct async_run r = {ASYNC_RUN};
        begin_run(&r, c, NULL, gives_up, (void *)&answers[i]);
        await_flag(&r.done);
        assert_int_equal(r.code, answers[i]);
        assert_int_equal(r.wrong, 0);
    }
    struct async_run r = {ASYNC_RUN};
    begin_run(&r, c, NULL, fails_to_read, NULL);
    await_flag(&r.done);
    assert_int_equal(r.code, TENURE_EINVALID);
    assert_null(get(c, "none/a"));
    tenure_close(c);
}

/* A server that is stopped answers neither reads nor commits. */
static void it_can_be_given_up_and_goes_with_its_handle(void **state)
{
    struct server *s = server_start();
    struct tenure_options o = {.size = sizeof o, .close_timeout_ms = 200};
    struct tenure_error err = {0};
    tenure_client *c = tenure_open(server_url(s), &o, &err);
    (void)state;
    fill_bank(c);
    server_pause(s);
    struct async_run stopped = {ASYNC_RUN, .bank = {.handle = c}}, scoped = {ASYNC_RUN, .bank = {.handle = c}},
                     closed = {ASYNC_RUN, .bank = {.handle = c}};
    tenure_scope *scope = tenure_scope_new(NULL, &err), *before = tenure_scope_use(scope);
    begin_transfer(&scoped);
    tenure_scope_use(before);
    begin_transfer(&stopped);
    begin_transfer(&closed);
    tenure_scope_cancel(scope);
    await_flag(&scoped.done);
    assert_int_equal(scoped.code, TENURE_ECANCELLED);
    tenure_wait_stop(take_wait(&stopped));
    await_flag(&stopped.done);
    assert_int_equal(stopped.code, TENURE_ECANCELLED);
    tenure_close(c);
    assert_int_equal(closed.done, 1);
    assert_int_equal(closed.code, TENURE_ECLOSED);
    tenure_scope_free(scope);
    server_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_isolation_level_has_the_guards_of_etcds),
        cmocka_unit_test(a_transaction_sees_its_own_writes_and_applies_the_last),
        cmocka_unit_test(a_function_that_gives_up_writes_nothing),
        cmocka_unit_test(a_lease_that_is_not_there_ends_it),
        cmocka_unit_test(attempts_are_bounded),
        cmocka_unit_test(keys_are_prefetched_together),
        cmocka_unit_test(the_sum_stays_whoever_moves_what),
        cmocka_unit_test(marks_are_few_and_go_with_the_handle),
        cmocka_unit_test(a_close_ends_it),
        cmocka_unit_test(the_largest_values_go_through),
        cmocka_unit_test(a_length_without_data_is_refused),
        cmocka_unit_test(what_has_no_meaning_is_refused),
        cmocka_unit_test(the_sum_stays_also_when_nobody_waits),
        cmocka_unit_test(a_programs_own_loop_runs_transactions),
        cmocka_unit_test(a_libuv_loop_runs_transactions),
        cmocka_unit_test(a_namespace_and_keys_fetched_together),
        cmocka_unit_test(what_the_function_answers_is_told),
        cmocka_unit_test(it_can_be_given_up_and_goes_with_its_handle),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
