/* Presences and groups on a real server, with processes that die. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct watcher {
    atomic_int present, absent, ended; /* how often */
    atomic_int code;
    _Atomic(int64_t) create;
    int64_t absent_at;
};

static void on_present(tenure_presence *p, int64_t create_revision, void *user)
{
    struct watcher *w = user;
    (void)p;
    atomic_store(&w->create, create_revision);
    atomic_fetch_add(&w->present, 1);
}

static void on_absent(tenure_presence *p, const struct tenure_error *why, void *user)
{
    struct watcher *w = user;
    (void)p, (void)why;
    w->absent_at = test_now();
    atomic_fetch_add(&w->absent, 1);
}

static void on_ended(tenure_presence *p, int code, const struct tenure_error *err, void *user)
{
    struct watcher *w = user;
    (void)p, (void)err;
    atomic_store(&w->code, code);
    atomic_fetch_add(&w->ended, 1);
}

static struct tenure_presence_options options(struct watcher *w, int64_t ttl_s, enum tenure_conflict conflict)
{
    return (struct tenure_presence_options){.size = sizeof(struct tenure_presence_options),
                                            .ttl_s = ttl_s,
                                            .conflict = conflict,
                                            .on_present = on_present,
                                            .on_absent = on_absent,
                                            .on_ended = on_ended,
                                            .user = w};
}

static tenure_presence *start(tenure_client *c, const char *key, const char *value,
                              const struct tenure_presence_options *o)
{
    struct tenure_error err = {0};
    tenure_presence *p = tenure_presence_start(c, S(key), S(value), o, &err);
    if (!p)
        fail_msg("%s", err.text);
    return p;
}

static void await_standing(tenure_presence *p)
{
    struct tenure_error err = {0};
    no_error(tenure_presence_await(p, 20000, &err), &err);
}

struct expected {
    tenure_client *handle;
    const char *key, *value; /* NULL = absent */
};

static bool holds(void *user)
{
    struct expected *e = user;
    char *value = get(e->handle, e->key);
    bool ok = e->value ? value && strcmp(value, e->value) == 0 : !value;
    free(value);
    return ok;
}

static void await_value(tenure_client *c, const char *key, const char *value)
{
    struct expected e = {c, key, value};
    assert_true(test_await(holds, &e));
}

static bool is_back(void *user)
{
    struct watcher *w = user;
    return atomic_load(&w->absent) > 0 && atomic_load(&w->present) > atomic_load(&w->absent);
}

static void a_presence_stands_until_it_is_stopped(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct watcher w = {0};
    struct tenure_presence_options o = options(&w, 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *p = start(c, "p/stands", "one", &o);
    await_standing(p);
    assert_true(tenure_presence_stands(p));
    await_value(c, "p/stands", "one");
    no_error(tenure_presence_set(p, S("two"), &err), &err);
    no_error(tenure_presence_set(p, S("three"), &err), &err);
    await_standing(p);
    await_value(c, "p/stands", "three");
    tenure_presence_stop(p);
    assert_int_equal(w.ended, 1);
    assert_int_equal(w.code, 0);
    assert_int_equal(w.absent, 0);
    assert_null(get(c, "p/stands"));
    tenure_close(c);
}

static void it_comes_back_when_somebody_deletes_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct watcher w = {0}, yields = {0};
    struct tenure_presence_options o = options(&w, 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *p = start(c, "p/heals", "x", &o);
    await_standing(p);
    int64_t create = w.create;
    no_error(tenure_delete(c, S("p/heals"), NULL, NULL, &err), &err);
    assert_true(test_await(is_back, &w));
    assert_true(w.create > create);
    await_value(c, "p/heals", "x");
    o = options(&yields, 0, TENURE_CONFLICT_REFUSE);
    o.yield_to_delete = true;
    tenure_presence *y = start(c, "p/yields", "x", &o);
    await_standing(y);
    no_error(tenure_delete(c, S("p/yields"), NULL, NULL, &err), &err);
    await_flag(&yields.ended);
    assert_int_equal(yields.code, TENURE_ENOTFOUND);
    assert_false(tenure_presence_stands(y));
    assert_int_equal(tenure_presence_await(y, 1000, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_presence_set(y, S("z"), &err), TENURE_ECLOSED);
    tenure_presence_stop(y);
    assert_int_equal(yields.ended, 1);
    tenure_presence_stop(p);
    tenure_close(c);
}

static int64_t lease_of(tenure_client *c, const char *key)
{
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    no_error(tenure_get(c, S(key), NULL, &r, &err), &err);
    int64_t lease = r->n_kvs ? r->kvs[0].lease : 0;
    tenure_get_free(r);
    return lease;
}

static void it_comes_back_under_a_new_lease(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct watcher w[2] = {0};
    struct tenure_presence_options o = options(&w[0], 2, TENURE_CONFLICT_REFUSE);
    tenure_presence *own = start(c, "p/lease/own", "x", &o);
    o = options(&w[1], 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *shared = start(c, "p/lease/shared", "y", &o);
    await_standing(own);
    await_standing(shared);
    int64_t leases[2] = {lease_of(c, "p/lease/own"), lease_of(c, "p/lease/shared")};
    for (int i = 0; i < 2; i++)
        no_error(tenure_lease_revoke(c, leases[i], &err), &err);
    for (int i = 0; i < 2; i++)
        assert_true(test_await(is_back, &w[i]));
    await_value(c, "p/lease/own", "x");
    await_value(c, "p/lease/shared", "y");
    assert_true(lease_of(c, "p/lease/own") != leases[0]);
    assert_true(lease_of(c, "p/lease/shared") != leases[1]);
    tenure_presence_stop(own);
    tenure_presence_stop(shared);
    tenure_close(c);
}

/* L2 */
static void its_absence_is_told_at_safe_until_and_its_key_kept_when_it_can_be(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct watcher w = {0};
    struct tenure_presence_options o = options(&w, 2, TENURE_CONFLICT_REFUSE);
    tenure_presence *p = start(c, "p/pause", "x", &o);
    await_standing(p);
    int64_t before = test_now();
    server_pause(server);
    await_flag(&w.absent);
    assert_true(w.absent_at >= before);
    assert_false(tenure_presence_stands(p));
    server_resume(server);
    assert_true(test_await(is_back, &w));
    await_value(c, "p/pause", "x");
    tenure_presence_stop(p);
    assert_null(get(c, "p/pause"));
    tenure_close(c);
}

static void conflicts_go_by_the_rule(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct watcher a = {0}, b = {0}, refused = {0}, waits = {0};
    struct tenure_presence_options o = options(&a, 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *pa = start(ca, "p/who", "a", &o);
    await_standing(pa);
    o = options(&refused, 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *pr = start(cb, "p/who", "r", &o);
    assert_int_equal(tenure_presence_await(pr, 5000, &err), TENURE_EEXISTS);
    o = options(&waits, 0, TENURE_CONFLICT_WAIT);
    tenure_presence *pw = start(cb, "p/who", "w", &o);
    assert_int_equal(tenure_presence_await(pw, 100, &err), TENURE_ETIMEOUT);
    await_value(ca, "p/who", "a");
    o = options(&b, 0, TENURE_CONFLICT_TAKE_OVER);
    tenure_presence *pb = start(cb, "p/who", "b", &o);
    await_standing(pb);
    await_flag(&a.ended);
    assert_int_equal(a.code, TENURE_ELOST);
    await_value(ca, "p/who", "b");
    assert_int_equal(waits.present, 0);
    tenure_presence_stop(pa); /* which takes nothing away from the new owner */
    await_value(ca, "p/who", "b");
    tenure_presence_stop(pb);
    await_standing(pw);
    await_value(ca, "p/who", "w");
    tenure_presence_stop(pw);
    tenure_presence_stop(pr);
    tenure_close(ca);
    tenure_close(cb);
}

/* ---- groups ---- */

struct group {
    pthread_mutex_t mutex;
    char log[1024]; /* "a b; +c ~c -c" */
    atomic_int listed;
};

static void note(struct group *g, const char *sign, const char *name)
{
    pthread_mutex_lock(&g->mutex);
    size_t len = strlen(g->log);
    snprintf(g->log + len, sizeof g->log - len, "%s%s ", sign, name);
    pthread_mutex_unlock(&g->mutex);
}

static void on_list(tenure_group_watch *w, const struct tenure_group_list *list, void *user)
{
    (void)w;
    for (size_t i = 0; i < list->n; i++)
        note(user, "", list->members[i].name);
    note(user, ";", "");
    atomic_store(&((struct group *)user)->listed, 1);
}

static void on_change(tenure_group_watch *w, enum tenure_group_change change, const struct tenure_group_member *member,
                      int64_t revision, void *user)
{
    (void)w, (void)revision;
    note(user, change == TENURE_GROUP_JOINED ? "+" : change == TENURE_GROUP_LEFT ? "-" : "~", member->name);
}

struct wanted {
    struct group *group;
    const char *log;
};

static bool is_logged(void *user)
{
    struct wanted *x = user;
    pthread_mutex_lock(&x->group->mutex);
    bool same = strcmp(x->group->log, x->log) == 0;
    pthread_mutex_unlock(&x->group->mutex);
    return same;
}

static void await_log(struct group *g, const char *log)
{
    struct wanted x = {g, log};
    if (!test_await(is_logged, &x))
        fail_msg("'%s', wanted '%s'", g->log, log);
}

static void a_group_is_listed_and_then_its_changes_come(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct group g = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_group_list *list = NULL;
    tenure_presence *a = tenure_group_join(c, NULL, "web", "a", "{\"port\": 80}", NULL, &err);
    tenure_presence *b = tenure_group_join(c, NULL, "web", "b", "plain", NULL, &err);
    await_standing(a);
    await_standing(b);
    struct tenure_group_watch_options o = {.size = sizeof o, .on_list = on_list, .on_change = on_change, .user = &g};
    tenure_group_watch *w = tenure_group_watch_start(c, "web", &o, &err);
    await_log(&g, "a b ; ");
    tenure_presence *other = tenure_group_join(c, NULL, "web2", "x", NULL, NULL, &err); /* another group's */
    tenure_presence *d = tenure_group_join(c, NULL, "web", "d", NULL, NULL, &err);
    await_log(&g, "a b ; +d ");
    no_error(tenure_group_set(a, "[1]", &err), &err);
    await_log(&g, "a b ; +d ~a ");
    tenure_presence_stop(d);
    await_log(&g, "a b ; +d ~a -d ");
    put(c, "/groups/web/odd", "no JSON");
    put(c, "/groups/web/below/it", "no member");
    await_log(&g, "a b ; +d ~a -d +odd ");
    no_error(tenure_group_list(c, NULL, "web", &list, &err), &err);
    assert_int_equal(list->n, 3);
    assert_string_equal(list->members[0].name, "a");
    assert_string_equal(list->members[0].data, "[1]");
    assert_int_equal(list->members[0].pid, getpid());
    assert_true(list->members[0].since_ms > 0);
    assert_true(list->members[0].lease != 0);
    assert_string_equal(list->members[1].data, "plain");
    assert_string_equal(list->members[2].name, "odd");
    assert_string_equal(list->members[2].host, "");
    tenure_group_list_free(list);
    tenure_group_watch_stop(w);
    tenure_presence_stop(a);
    tenure_presence_stop(b);
    tenure_presence_stop(other);
    no_error(tenure_group_list(c, NULL, "nobody", &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_group_list_free(list);
    tenure_close(c);
}

static pid_t member(const struct server *s, const char *name)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    tenure_client *c = tenure_open(server_url(s), NULL, NULL);
    struct tenure_presence_options o = {.size = sizeof o, .ttl_s = has_faults() ? 7 : 2};
    tenure_presence *p = c ? tenure_group_join(c, NULL, "dies", name, NULL, &o, NULL) : NULL;
    if (!p)
        _exit(1);
    for (;;)
        pause();
}

static void one_that_is_killed_leaves_at_the_end_of_its_ttl(void **state)
{
    pid_t pids[2] = {member(*state, "first"), member(*state, "second")};
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct group g = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_group_watch_options o = {.size = sizeof o, .on_list = on_list, .on_change = on_change, .user = &g};
    await_value(c, "/groups/dies/none", NULL);
    struct tenure_group_list *list = NULL;
    for (size_t n = 0; n < 2; tenure_group_list_free(list)) {
        no_error(tenure_group_list(c, NULL, "dies", &list, &err), &err);
        n = list->n;
    }
    tenure_group_watch *w = tenure_group_watch_start(c, "dies", &o, &err);
    await_log(&g, "first second ; ");
    server_lull(*state);
    kill(pids[0], SIGKILL);
    await_log(&g, "first second ; -first ");
    kill(pids[1], SIGKILL);
    for (int i = 0; i < 2; i++)
        assert_int_equal(waitpid(pids[i], NULL, 0), pids[i]);
    await_log(&g, "first second ; -first -second ");
    server_lull_ends(*state);
    tenure_group_watch_stop(w);
    tenure_close(c);
}

static void what_has_no_meaning_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_presence_options o = {.size = sizeof o, .ttl_s = 1};
    struct tenure_group_list *list;
    assert_null(tenure_presence_start(c, S(""), S("x"), NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_null(tenure_presence_start(c, S("p/x"), S("x"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_presence_options){.size = sizeof o, .conflict = (enum tenure_conflict)3};
    assert_null(tenure_presence_start(c, S("p/x"), S("x"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    static const char *const names[][2] = {{"", "a"}, {"a/b", "a"}, {"g", ""}, {"g", "a/b"}};
    for (size_t i = 0; i < 4; i++) {
        assert_null(tenure_group_join(c, NULL, names[i][0], names[i][1], NULL, NULL, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
    }
    assert_null(tenure_group_join(c, NULL, "g", "a", "\xff", NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_int_equal(tenure_group_list(c, NULL, "a/b", &list, &err), TENURE_EINVALID);
    assert_null(tenure_group_watch_start(c, "", NULL, &err));
    tenure_presence_stop(NULL);
    tenure_group_watch_stop(NULL);
    char marks[1100];
    memset(marks, 'm', sizeof marks - 1);
    marks[sizeof marks - 1] = 0;
    o = (struct tenure_presence_options){.size = sizeof o, .marks = marks};
    assert_null(tenure_presence_start(c, S("k"), S("v"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_presence_options){.size = sizeof o, .ttl_s = INT64_MAX};
    assert_null(tenure_presence_start(c, S("k"), S("v"), &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_close(c);
}

/* Open presences are ended by the close, with a last word. */
static void a_close_takes_presences_along(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct watcher w[2] = {0};
    struct tenure_presence_options o = options(&w[0], 0, TENURE_CONFLICT_REFUSE);
    tenure_presence *p = start(c, "p/close/shared", "x", &o);
    o = options(&w[1], 5, TENURE_CONFLICT_REFUSE);
    tenure_presence *q = start(c, "p/close/own", "x", &o);
    await_standing(p);
    await_standing(q);
    start(c, "p/close/begun", "x", NULL);
    tenure_close(c);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(w[i].ended, 1);
        assert_int_equal(w[i].code, 0);
    }
    assert_null(get(other, "p/close/shared"));
    assert_null(get(other, "p/close/own"));
    assert_null(get(other, "p/close/begun"));
    tenure_close(other);
}

static void on_watch_end(tenure_group_watch *w, int code, const struct tenure_error *err, void *user)
{
    struct tenure_error *told = user;
    (void)w;
    assert_int_equal(code, err->code);
    *told = *err;
}

static void a_close_ends_a_watch_and_says_so(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0}, told = {0};
    struct tenure_group_watch_options o = {.size = sizeof o, .on_end = on_watch_end, .user = &told};
    struct watcher joined = {0};
    struct tenure_presence_options p = options(&joined, 0, TENURE_CONFLICT_REFUSE);
    assert_non_null(tenure_group_watch_start(c, "closed", &o, &err));
    assert_non_null(tenure_group_join(c, NULL, "closed", "m", "", &p, &err));
    await_flag(&joined.present); /* and the watch's list before it */
    tenure_close(c);
    assert_int_equal(told.code, TENURE_ECLOSED);
    assert_int_equal(told.kind, TENURE_KIND_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_is_killed_leaves_at_the_end_of_its_ttl),
        cmocka_unit_test(a_presence_stands_until_it_is_stopped),
        cmocka_unit_test(it_comes_back_when_somebody_deletes_it),
        cmocka_unit_test(it_comes_back_under_a_new_lease),
        cmocka_unit_test(its_absence_is_told_at_safe_until_and_its_key_kept_when_it_can_be),
        cmocka_unit_test(conflicts_go_by_the_rule),
        cmocka_unit_test(a_group_is_listed_and_then_its_changes_come),
        cmocka_unit_test(what_has_no_meaning_is_refused),
        cmocka_unit_test(a_close_takes_presences_along),
        cmocka_unit_test(a_close_ends_a_watch_and_says_so),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
