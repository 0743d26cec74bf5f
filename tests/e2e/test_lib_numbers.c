/* Counters and ids on a real server, from several processes, of which some die. */
#include "lib.h"

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_counter_begins_at_nothing_and_counts(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t n = -1;
    no_error(tenure_counter_get(c, "a", NULL, &n, &err), &err);
    assert_int_equal(n, 0);
    no_error(tenure_counter_add(c, "a", 5, NULL, &n, &err), &err);
    assert_int_equal(n, 5);
    no_error(tenure_counter_add(c, "a", -12, NULL, &n, &err), &err);
    assert_int_equal(n, -7);
    no_error(tenure_counter_cas(c, "a", -7, 40, NULL, &n, &err), &err);
    assert_int_equal(n, 40);
    assert_int_equal(tenure_counter_cas(c, "a", -7, 41, NULL, &n, &err), TENURE_ECONFLICT);
    assert_int_equal(n, 40);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    char *value = get(c, "/counters/a");
    assert_string_equal(value, "40");
    free(value);
    no_error(tenure_counter_set(c, "a", INT64_MAX, NULL, &err), &err);
    assert_int_equal(tenure_counter_add(c, "a", 1, NULL, &n, &err), TENURE_ELIMIT);
    no_error(tenure_counter_get(c, "a", NULL, &n, &err), &err);
    assert_true(n == INT64_MAX);
    tenure_close(c);
}

struct added {
    atomic_int told, code;
    _Atomic(int64_t) value;
};

static void on_added(void *user, int code, int64_t value, const struct tenure_error *err)
{
    struct added *a = user;
    (void)err;
    atomic_store(&a->code, code);
    atomic_store(&a->value, value);
    atomic_store(&a->told, 1);
}

static void what_is_no_number_is_left_alone(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_counter_options o = {.size = sizeof o, .prefix = "my/", .unmarked = true};
    int64_t n = 0;
    put(c, "my/x", "12 apples");
    assert_int_equal(tenure_counter_add(c, "x", 1, &o, &n, &err), TENURE_ECORRUPT);
    char *value = get(c, "my/x");
    assert_string_equal(value, "12 apples");
    free(value);
    no_error(tenure_counter_set(c, "x", 3, &o, &err), &err);
    no_error(tenure_counter_add(c, "x", 1, &o, &n, &err), &err);
    assert_int_equal(n, 4);
    assert_int_equal(tenure_counter_add(c, "", 1, NULL, &n, &err), TENURE_EINVALID);
    o.timeout_ms = -1;
    assert_int_equal(tenure_counter_add(c, "x", 1, &o, &n, &err), TENURE_EINVALID);
    char marks[1100];
    memset(marks, 'm', sizeof marks - 1);
    marks[sizeof marks - 1] = 0;
    o = (struct tenure_counter_options){.size = sizeof o, .marks = marks};
    assert_int_equal(tenure_counter_add(c, "x", 1, &o, &n, &err), TENURE_EINVALID);
    tenure_close(c);
}

/* While it reads, for longer than the session of the marks lasts. */
static void an_addition_outlives_its_session(void **state)
{
    struct tenure_error err = {0};
    struct tenure_options brief = {.size = sizeof brief, .session_ttl_s = 2};
    struct tenure_counter_options o = {.size = sizeof o, .timeout_ms = 60000};
    tenure_client *c = tenure_open(server_url(*state), &brief, &err);
    struct added a = {.told = 0};
    no_error(tenure_counter_add(c, "outlives", 1, NULL, NULL, &err), &err);
    tenure_session *s = tenure_session_open(c, NULL, &err);
    server_pause(*state);
    no_error(tenure_counter_add_start(c, "outlives", 1, &o, on_added, &a, &err), &err);
    while (tenure_session_state(s) != TENURE_SESSION_LOST) {
        struct pollfd fd = {.fd = tenure_session_fd(s), .events = POLLIN};
        uint64_t n;
        assert_int_equal(poll(&fd, 1, 20000), 1);
        assert_int_equal(read(fd.fd, &n, sizeof n), sizeof n);
    }
    server_resume(*state);
    await_flag(&a.told);
    assert_int_equal(a.code, 0);
    assert_int_equal(a.value, 2);
    tenure_session_close(s, NULL);
    tenure_close(c);
}

/* ---- processes ---- */

struct worker {
    pid_t pid;
    int out; /* what it has done, each int64_t */
};

static void say(int fd, int64_t n)
{
    if (write(fd, &n, sizeof n) != sizeof n)
        _exit(3);
}

static void add_ones(tenure_client *c, int out, int times)
{
    for (int i = 0; i < times; i++) {
        int64_t n = 0;
        if (tenure_counter_add(c, "many", 1, NULL, &n, NULL) != 0)
            _exit(1);
        say(out, n);
    }
}

static void take_ids(tenure_client *c, int out, int times)
{
    struct tenure_id_options o = {.size = sizeof o, .block = 7};
    tenure_ids *ids = tenure_ids_open(c, "many", &o, NULL);
    for (int i = 0; i < times; i++) {
        int64_t id = 0;
        if (!ids || tenure_ids_next(ids, &id, NULL) != 0)
            _exit(1);
        say(out, id);
    }
    tenure_ids_close(ids);
}

static struct worker start(const struct server *s, void (*work)(tenure_client *c, int out, int times), int times)
{
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(fds[0]);
        tenure_client *c = tenure_open(server_url(s), NULL, NULL);
        if (!c)
            _exit(2);
        work(c, fds[1], times);
        tenure_close(c);
        _exit(0);
    }
    close(fds[1]);
    return (struct worker){pid, fds[0]};
}

static bool next(struct worker *w, int64_t *ret)
{
    return read(w->out, ret, sizeof *ret) == sizeof *ret;
}

static void ends(struct worker *w, bool well)
{
    int status = 0;
    close(w->out);
    assert_int_equal(waitpid(w->pid, &status, 0), w->pid);
    assert_true(well ? WIFEXITED(status) && WEXITSTATUS(status) == 0 : WIFSIGNALED(status));
}

/* C1: what was acknowledged is counted once; of who was killed one addition more may be. */
static void additions_of_many_processes_are_all_there_once(void **state)
{
    enum { EACH = 15, KILLED = 5 };
    struct worker live[2] = {start(*state, add_ones, EACH), start(*state, add_ones, EACH)};
    struct worker dies = start(*state, add_ones, 1000000);
    int64_t n = 0, acknowledged = 0, last = 0;
    while (acknowledged < KILLED && next(&dies, &n))
        acknowledged++;
    kill(dies.pid, SIGKILL);
    while (next(&dies, &n))
        acknowledged++;
    ends(&dies, false);
    for (int i = 0; i < 2; i++) {
        for (int times = last = 0; times < EACH; times++) {
            assert_true(next(&live[i], &n));
            assert_true(n > last); /* its own additions are seen in their order */
            last = n;
            acknowledged++;
        }
        ends(&live[i], true);
    }
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    no_error(tenure_counter_get(c, "many", NULL, &n, &err), &err);
    assert_true(n == acknowledged || n == acknowledged + 1);
    tenure_close(c);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void no_two_processes_get_the_same_id(void **state)
{
    enum { EACH = 50, KILLED = 20 };
    int64_t all[4096];
    size_t n = 0;
    struct worker live[2] = {start(*state, take_ids, EACH), start(*state, take_ids, EACH)};
    struct worker dies = start(*state, take_ids, 1000000);
    while (n < KILLED && next(&dies, &all[n]))
        n++;
    kill(dies.pid, SIGKILL);
    while (n < 2048 && next(&dies, &all[n]))
        n++;
    ends(&dies, false);
    for (int i = 0; i < 2; i++) {
        int64_t last = 0;
        for (int times = 0; times < EACH; times++) {
            assert_true(next(&live[i], &all[n]));
            assert_true(all[n] > last);
            last = all[n++];
        }
        ends(&live[i], true);
    }
    qsort(all, n, sizeof all[0], by_size);
    assert_true(all[0] >= 1);
    for (size_t i = 1; i < n; i++)
        assert_true(all[i] > all[i - 1]);
}

static void ids_lie_above_the_floor(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    int64_t id = 0;
    struct tenure_id_options o = {.size = sizeof o, .block = 2, .floor = (int64_t)7 << 20};
    tenure_ids *ids = tenure_ids_open(c, "floor", NULL, &err);
    no_error(tenure_ids_next(ids, &id, &err), &err);
    assert_int_equal(id, 1);
    tenure_ids_close(ids);
    ids = tenure_ids_open(c, "floor", &o, &err);
    for (int i = 1; i <= 5; i++) {
        no_error(tenure_ids_next(ids, &id, &err), &err);
        assert_int_equal(id, o.floor + i);
    }
    tenure_ids_close(ids);
    no_error(tenure_ids_take(c, "floor", 10, NULL, &id, &err), &err);
    assert_int_equal(id, o.floor + 7);
    assert_int_equal(tenure_ids_take(c, "floor", 0, NULL, &id, &err), TENURE_EINVALID);
    o.block = -1;
    assert_null(tenure_ids_open(c, "floor", &o, &err));
    put(c, "/ids/full", "9223372036854775806");
    no_error(tenure_ids_take(c, "full", 1, NULL, &id, &err), &err);
    assert_true(id == INT64_MAX);
    assert_int_equal(tenure_ids_take(c, "full", 1, NULL, &id, &err), TENURE_ELIMIT);
    put(c, "/ids/nearly", "9223372036854775804");
    ids = tenure_ids_open(c, "nearly", NULL, &err);
    for (int64_t last = INT64_MAX - 2;; last++) {
        no_error(tenure_ids_next(ids, &id, &err), &err);
        assert_int_equal(id, last);
        if (last == INT64_MAX)
            break;
    }
    assert_int_equal(tenure_ids_next(ids, &id, &err), TENURE_ELIMIT);
    tenure_ids_close(ids);
    tenure_close(c);
}

struct completion {
    atomic_int done;
    int code;
    int64_t value;
};

static void on_value(void *user, int code, int64_t value, const struct tenure_error *err)
{
    struct completion *k = user;
    (void)err;
    k->code = code;
    k->value = value;
    atomic_store(&k->done, 1);
}

static void each_has_a_form_that_does_not_wait(void **state)
{
    tenure_client *c = open_on(*state);
    struct completion k[5] = {0};
    assert_int_equal(tenure_counter_set_start(c, "s", 3, NULL, on_value, &k[0], NULL), 0);
    await_flag(&k[0].done);
    assert_int_equal(tenure_counter_add_start(c, "s", 4, NULL, on_value, &k[1], NULL), 0);
    await_flag(&k[1].done);
    assert_int_equal(k[1].value, 7);
    assert_int_equal(tenure_counter_cas_start(c, "s", 1, 2, NULL, on_value, &k[2], NULL), 0);
    await_flag(&k[2].done);
    assert_int_equal(k[2].code, TENURE_ECONFLICT);
    assert_int_equal(k[2].value, 7);
    assert_int_equal(tenure_counter_get_start(c, "s", NULL, on_value, &k[3], NULL), 0);
    await_flag(&k[3].done);
    assert_int_equal(k[3].value, 7);
    assert_int_equal(tenure_ids_take_start(c, "s", 9, NULL, on_value, &k[4], NULL), 0);
    await_flag(&k[4].done);
    assert_int_equal(k[4].value, 1);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(additions_of_many_processes_are_all_there_once),
        cmocka_unit_test(no_two_processes_get_the_same_id),
        cmocka_unit_test(a_counter_begins_at_nothing_and_counts),
        cmocka_unit_test(what_is_no_number_is_left_alone),
        cmocka_unit_test(ids_lie_above_the_floor),
        cmocka_unit_test(an_addition_outlives_its_session),
        cmocka_unit_test(each_has_a_form_that_does_not_wait),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
