/* Views of the registry and pickers of them, on a real server. */
#include "lib.h"

#include <poll.h>
#include <unistd.h>

struct log {
    pthread_mutex_t mutex;
    char text[2048]; /* "a b ; +c ~c -c " */
    atomic_int ended, code;
};

static void note(struct log *l, const char *sign, const char *name)
{
    pthread_mutex_lock(&l->mutex);
    size_t len = strlen(l->text);
    snprintf(l->text + len, sizeof l->text - len, "%s%s ", sign, name);
    pthread_mutex_unlock(&l->mutex);
}

static void on_list(tenure_service_view *v, const struct tenure_instances *list, void *user)
{
    (void)v;
    for (size_t i = 0; i < list->n; i++)
        note(user, "", list->instances[i].name);
    note(user, ";", "");
}

static void on_change(tenure_service_view *v, enum tenure_service_change change, const struct tenure_instance *instance,
                      int64_t revision, void *user)
{
    (void)v;
    assert_true(revision > 0);
    note(user, change == TENURE_SERVICE_CAME ? "+" : change == TENURE_SERVICE_WENT ? "-" : "~", instance->name);
}

static void on_end(tenure_service_view *v, int code, const struct tenure_error *err, void *user)
{
    struct log *l = user;
    (void)v, (void)err;
    atomic_store(&l->code, code);
    atomic_fetch_add(&l->ended, 1);
}

struct wanted {
    struct log *log;
    const char *text;
};

static bool is_logged(void *user)
{
    struct wanted *w = user;
    pthread_mutex_lock(&w->log->mutex);
    bool same = strcmp(w->log->text, w->text) == 0;
    pthread_mutex_unlock(&w->log->mutex);
    return same;
}

static void await_log(struct log *l, const char *text)
{
    struct wanted w = {l, text};
    if (!test_await(is_logged, &w))
        fail_msg("'%s', wanted '%s'", l->text, text);
}

static struct tenure_service_view_options options(struct log *l)
{
    return (struct tenure_service_view_options){.size = sizeof(struct tenure_service_view_options),
                                                .on_list = on_list,
                                                .on_change = on_change,
                                                .on_end = on_end,
                                                .user = l};
}

static tenure_service_view *view_of(tenure_client *c, const char *service, const struct tenure_service_view_options *o)
{
    struct tenure_error err = {0};
    tenure_service_view *v = tenure_service_view_start(c, service, o, &err);
    if (!v)
        fail_msg("%s", err.text);
    no_error(tenure_service_view_await(v, 20000, &err), &err);
    return v;
}

/* Instances without a program: what is put stays. more: JSON behind the address, from a comma on. */
static void put_instance(tenure_client *c, const char *service, const char *name, const char *more)
{
    char key[128], value[256];
    snprintf(key, sizeof key, "/services/%s/%s", service, name);
    snprintf(value, sizeof value, "{\"address\":\"%s\",\"port\":80%s}", name, more);
    put(c, key, value);
}

static void delete_instance(tenure_client *c, const char *service, const char *name)
{
    struct tenure_error err = {0};
    char key[128];
    snprintf(key, sizeof key, "/services/%s/%s", service, name);
    no_error(tenure_delete(c, S(key), NULL, NULL, &err), &err);
}

static size_t count(tenure_service_view *v)
{
    struct tenure_error err = {0};
    struct tenure_instances *all = tenure_service_view_list(v, &err);
    assert_non_null(all);
    size_t n = all->n;
    tenure_instances_free(all);
    return n;
}

/* ---- views ---- */

static void a_view_begins_with_all_and_then_each_change_comes(void **state)
{
    tenure_client *c = open_on(*state);
    struct log l = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    put_instance(c, "v1", "a", "");
    put_instance(c, "v1", "b", "");
    put(c, "/services/v1/odd", "no JSON");
    put(c, "/services/v1/below/it", "no instance");
    struct tenure_service_view_options o = options(&l);
    tenure_service_view *v = view_of(c, "v1", &o);
    await_log(&l, "a b odd ; ");
    put_instance(c, "v1", "d", "");
    put_instance(c, "v12", "x", ""); /* another one's */
    put_instance(c, "v1", "a", ",\"weight\":2");
    delete_instance(c, "v1", "d");
    put(c, "/services/v1/odd", "{\"address\":\"even\"}");
    await_log(&l, "a b odd ; +d ~a -d ~odd ");
    struct tenure_error err = {0};
    struct tenure_instances *all = tenure_service_view_list(v, &err);
    assert_int_equal(all->n, 3);
    assert_int_equal(all->instances[0].weight, 2);
    assert_null(all->instances[2].error);
    assert_true(all->revision > 0);
    assert_int_equal(tenure_service_view_revision(v), all->revision);
    tenure_instances_free(all);
    tenure_service_view_stop(v);
    assert_int_equal(l.ended, 0);
    tenure_close(c);
}

static void what_matches_no_more_has_gone(void **state)
{
    tenure_client *c = open_on(*state);
    struct log l = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    const char *tags[] = {"blue"};
    put_instance(c, "v2", "a", ",\"tags\":[\"blue\"]");
    put_instance(c, "v2", "b", "");
    struct tenure_service_view_options o = options(&l);
    o.filter = (struct tenure_instance_filter){.tags = tags, .n_tags = 1, .serving = true};
    tenure_service_view *v = view_of(c, "v2", &o);
    put_instance(c, "v2", "a", ",\"tags\":[\"blue\"],\"draining\":true");
    put_instance(c, "v2", "b", ",\"tags\":[\"blue\",\"x\"]");
    put_instance(c, "v2", "b", ",\"tags\":[\"blue\"]");
    put_instance(c, "v2", "a", ",\"tags\":[\"blue\"]");
    delete_instance(c, "v2", "b");
    await_log(&l, "a ; -a +b ~b +a -b ");
    assert_int_equal(count(v), 1);
    tenure_service_view_stop(v);
    tenure_close(c);
}

static void a_transaction_is_seen_whole_and_a_descriptor_tells_of_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_service_view *v = view_of(c, NULL, NULL);
    struct pollfd fd = {.fd = tenure_service_view_fd(v), .events = POLLIN};
    uint64_t news;
    assert_int_equal(poll(&fd, 1, 20000), 1); /* the list */
    assert_int_equal(read(fd.fd, &news, sizeof news), sizeof news);
    assert_int_equal(poll(&fd, 1, 0), 0);
    size_t before = count(v);
    tenure_txn *t = tenure_txn_new(c);
    tenure_then_put(t, S("/services/v3/a"), S("{\"address\":\"a\"}"), 0);
    tenure_then_put(t, S("/services/v4/b"), S("{\"address\":\"b\"}"), 0);
    no_error(tenure_txn_commit(t, 0, NULL, &err), &err);
    tenure_txn_free(t);
    assert_int_equal(poll(&fd, 1, 20000), 1);
    assert_int_equal(count(v), before + 2);
    tenure_service_view_stop(v);
    tenure_close(c);
}

static bool is_fresh(void *user)
{
    int64_t ms = tenure_service_view_staleness_ms(user);
    return ms >= 0 && ms < 1000;
}

static bool is_stale(void *user)
{
    return tenure_service_view_staleness_ms(user) > 1500;
}

static void staleness_grows_only_while_nobody_answers(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct tenure_service_view_options o = {.size = sizeof o, .check_ms = 50};
    put_instance(c, "v5", "a", "");
    tenure_service_view *v = view_of(c, "v5", &o);
    assert_true(test_await(is_fresh, v));
    server_pause(server);
    assert_true(test_await(is_stale, v));
    assert_int_equal(count(v), 1); /* it still answers */
    server_resume(server);
    assert_true(test_await(is_fresh, v));
    tenure_service_view_stop(v);
    tenure_close(c);
}

/* W16 */
static void what_was_missed_is_told_as_the_difference(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server), *other = open_on(server);
    struct log l = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    put_instance(c, "v6", "a", "");
    put_instance(c, "v6", "b", "");
    struct tenure_service_view_options o = options(&l);
    tenure_service_view *v = view_of(c, "v6", &o);
    server_kill(server);
    server_restart(server);
    put_instance(other, "v6", "a", ",\"weight\":2");
    delete_instance(other, "v6", "b");
    put_instance(other, "v6", "c", "");
    await_log(&l, "a b ; ~a -b +c ");
    assert_true(tenure_service_view_staleness_ms(v) >= 0);
    tenure_service_view_stop(v);
    tenure_close(c);
    tenure_close(other);
}

static void a_close_ends_a_view_and_says_so(void **state)
{
    tenure_client *c = open_on(*state);
    struct log l = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct tenure_error err = {0};
    struct tenure_service_view_options o = options(&l);
    put_instance(c, "v7", "a", "");
    tenure_service_view *v = view_of(c, "v7", &o);
    tenure_picker *p = tenure_picker_new(v, NULL, &err);
    const struct tenure_instance *i = tenure_pick(p, S(""), &err);
    assert_non_null(i);
    tenure_close(c);
    assert_int_equal(l.ended, 1);
    assert_int_equal(l.code, TENURE_ECLOSED);
    const struct tenure_instance *k = tenure_pick(p, S(""), &err); /* goes on with what there was */
    assert_string_equal(k->name, "a");
    tenure_picker_free(p);
    assert_string_equal(i->endpoint, "a:80");
    tenure_pick_done(i);
    tenure_pick_done(k);
}

/* ---- pickers ---- */

static tenure_picker *picker_of(tenure_service_view *v, enum tenure_policy policy)
{
    struct tenure_error err = {0};
    struct tenure_picker_options o = {.size = sizeof o, .policy = policy, .seed = 7};
    tenure_picker *p = tenure_picker_new(v, &o, &err);
    assert_non_null(p);
    return p;
}

static void picks(tenure_picker *p, const char *key, char *out)
{
    struct tenure_error err = {0};
    const struct tenure_instance *i = tenure_pick(p, S(key), &err);
    if (!i)
        fail_msg("%s", err.text);
    strcpy(out, i->name);
    tenure_pick_done(i);
}

static void those_that_do_not_serve_are_never_picked(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    char name[64];
    put_instance(c, "p1", "good", "");
    put_instance(c, "p1", "warned", ",\"health\":\"warning\"");
    put_instance(c, "p1", "critical", ",\"health\":\"critical\"");
    put_instance(c, "p1", "draining", ",\"draining\":true");
    put_instance(c, "p1", "maintenance", ",\"maintenance\":true");
    put_instance(c, "p1", "leaving", ",\"leaving\":true");
    put_instance(c, "p1", "weightless", ",\"weight\":0");
    put(c, "/services/p1/odd", "no JSON");
    tenure_service_view *v = view_of(c, "p1", NULL);
    for (int policy = TENURE_PICK_ROUND_ROBIN; policy <= TENURE_PICK_CONSISTENT; policy++) {
        tenure_picker *p = picker_of(v, (enum tenure_policy)policy);
        bool good = false, warned = false;
        for (int i = 0; i < 200; i++) {
            char key[32];
            snprintf(key, sizeof key, "%d", i);
            picks(p, key, name);
            good = good || strcmp(name, "good") == 0;
            warned = warned || strcmp(name, "warned") == 0;
            assert_true(strcmp(name, "good") == 0 || strcmp(name, "warned") == 0);
        }
        assert_true(good && warned);
        tenure_picker_free(p);
    }
    tenure_service_view_stop(v);
    put_instance(c, "p2", "draining", ",\"draining\":true");
    put_instance(c, "p2", "leaving", ",\"leaving\":true");
    put(c, "/services/p2/odd", "no JSON");
    v = view_of(c, "p2", NULL);
    tenure_picker *p = picker_of(v, TENURE_PICK_RANDOM);
    assert_null(tenure_pick(p, S(""), &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    tenure_picker_free(p);
    struct tenure_picker_options any = {.size = sizeof any, .any_if_none = true};
    p = tenure_picker_new(v, &any, &err);
    for (int i = 0; i < 20; i++) {
        picks(p, "", name);
        assert_string_equal(name, "draining");
    }
    tenure_picker_free(p);
    tenure_service_view_stop(v);
    tenure_close(c);
}

struct nearest {
    tenure_picker *picker;
    const char *name;
};

static bool is_nearest(void *user)
{
    struct nearest *n = user;
    char name[64];
    picks(n->picker, "", name);
    return strcmp(name, n->name) == 0;
}

static void await_pick(tenure_picker *p, const char *name)
{
    struct nearest n = {p, name};
    assert_true(test_await(is_nearest, &n));
}

static void the_nearest_zone_that_serves_is_preferred(void **state)
{
    static const char *const zones[] = {"here", "near"};
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    put_instance(c, "p3", "a", ",\"zone\":\"here\"");
    put_instance(c, "p3", "b", ",\"zone\":\"near\"");
    put_instance(c, "p3", "c", ",\"zone\":\"far\"");
    tenure_service_view *v = view_of(c, "p3", NULL);
    struct tenure_picker_options o = {.size = sizeof o, .zones = zones, .n_zones = 2};
    tenure_picker *p = tenure_picker_new(v, &o, &err);
    await_pick(p, "a");
    put_instance(c, "p3", "a", ",\"zone\":\"here\",\"draining\":true");
    await_pick(p, "b");
    put_instance(c, "p3", "b", ",\"zone\":\"near\",\"health\":\"critical\"");
    await_pick(p, "c");
    put_instance(c, "p3", "a", ",\"zone\":\"here\"");
    await_pick(p, "a");
    tenure_picker_free(p);
    tenure_service_view_stop(v);
    tenure_close(c);
}

static void uses_count_until_they_are_done(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    put_instance(c, "p4", "a", "");
    put_instance(c, "p4", "b", "");
    put_instance(c, "p4", "c", "");
    tenure_service_view *v = view_of(c, "p4", NULL);
    tenure_picker *p = picker_of(v, TENURE_PICK_LEAST_USED), *q = picker_of(v, TENURE_PICK_LEAST_USED);
    const struct tenure_instance *held[30];
    int counts[3] = {0};
    for (int i = 0; i < 30; i++) {
        held[i] = tenure_pick(i % 2 ? p : q, S(""), &err);
        counts[held[i]->name[0] - 'a']++;
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(counts[i], 10);
    for (int i = 0; i < 30; i++)
        if (held[i]->name[0] == 'b') {
            tenure_pick_done(held[i]);
            held[i] = NULL;
        }
    for (int i = 0; i < 30; i++) /* done at once, so b stays the least used */
        await_pick(p, "b");
    tenure_picker_free(p);
    tenure_service_view_stop(v);
    for (int i = 0; i < 30; i++)
        tenure_pick_done(held[i]);
    tenure_picker_free(q);
    tenure_close(c);
}

static void two_programs_agree_by_the_key(void **state)
{
    tenure_client *c = open_on(*state), *d = open_on(*state);
    for (int i = 0; i < 8; i++) {
        char name[32];
        snprintf(name, sizeof name, "i%d", i);
        put_instance(c, "p5", name, "");
    }
    tenure_service_view *v = view_of(c, "p5", NULL), *w = view_of(d, NULL, NULL);
    struct tenure_error err = {0};
    struct tenure_picker_options o = {.size = sizeof o, .policy = TENURE_PICK_CONSISTENT};
    tenure_picker *p = tenure_picker_new(v, &o, &err), *q = tenure_picker_new(v, &o, &err);
    for (int i = 0; i < 100; i++) {
        char key[32], one[64], two[64];
        snprintf(key, sizeof key, "user %d", i);
        picks(p, key, one);
        picks(q, key, two);
        assert_string_equal(one, two);
    }
    tenure_picker_free(p);
    tenure_picker_free(q);
    tenure_service_view_stop(v);
    tenure_service_view_stop(w);
    tenure_close(c);
    tenure_close(d);
}

struct hammer {
    tenure_picker *picker;
    atomic_int stop;
};

static void *hammer(void *arg)
{
    struct hammer *h = arg;
    char name[64];
    while (!atomic_load(&h->stop))
        picks(h->picker, "", name);
    return NULL;
}

static void threads_pick_while_the_view_changes(void **state)
{
    tenure_client *c = open_on(*state);
    struct log l = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    put_instance(c, "p6", "stays", "");
    struct tenure_service_view_options o = options(&l);
    tenure_service_view *v = view_of(c, "p6", &o);
    struct hammer h = {.picker = picker_of(v, TENURE_PICK_LEAST_USED)};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hammer, &h), 0);
    for (int i = 0; i < 20; i++) {
        put_instance(c, "p6", "comes", "");
        delete_instance(c, "p6", "comes");
    }
    put_instance(c, "p6", "last", "");
    char wanted[512] = "stays ; ";
    for (int i = 0; i < 20; i++)
        strcat(wanted, "+comes -comes ");
    strcat(wanted, "+last ");
    await_log(&l, wanted);
    atomic_store(&h.stop, 1);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    tenure_picker_free(h.picker);
    tenure_service_view_stop(v);
    tenure_close(c);
}

static void what_has_no_meaning_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    static const char *const none[] = {NULL};
    struct tenure_error err = {0};
    struct tenure_service_view_options o = {.size = sizeof o, .prefix = ""};
    assert_null(tenure_service_view_start(c, "", NULL, &err));
    assert_null(tenure_service_view_start(c, "a/b", NULL, &err));
    assert_null(tenure_service_view_start(c, NULL, &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_service_view_options){.size = sizeof o, .check_ms = -2};
    assert_null(tenure_service_view_start(c, "s", &o, &err));
    o = (struct tenure_service_view_options){.size = sizeof o, .filter = {.tags = none, .n_tags = 1}};
    assert_null(tenure_service_view_start(c, "s", &o, &err));
    tenure_service_view *v = tenure_service_view_start(c, "nobody", NULL, &err);
    struct tenure_picker_options p = {.size = sizeof p, .policy = (enum tenure_policy)5};
    assert_null(tenure_picker_new(v, &p, &err));
    p = (struct tenure_picker_options){.size = sizeof p, .zones = none, .n_zones = 1};
    assert_null(tenure_picker_new(v, &p, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_service_view_stop(v);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_view_begins_with_all_and_then_each_change_comes),
        cmocka_unit_test(what_matches_no_more_has_gone),
        cmocka_unit_test(a_transaction_is_seen_whole_and_a_descriptor_tells_of_it),
        cmocka_unit_test(staleness_grows_only_while_nobody_answers),
        cmocka_unit_test(what_was_missed_is_told_as_the_difference),
        cmocka_unit_test(a_close_ends_a_view_and_says_so),
        cmocka_unit_test(those_that_do_not_serve_are_never_picked),
        cmocka_unit_test(the_nearest_zone_that_serves_is_preferred),
        cmocka_unit_test(uses_count_until_they_are_done),
        cmocka_unit_test(two_programs_agree_by_the_key),
        cmocka_unit_test(threads_pick_while_the_view_changes),
        cmocka_unit_test(what_has_no_meaning_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
