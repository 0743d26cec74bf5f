/* Registrations on a real server: what is found, what heals, what goes, what operators do. */
#include "lib.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct told {
    atomic_int registered, lost, healed, edited, ended, code;
    atomic_int draining, maintenance, weight;
};

static void on_registered(tenure_service *s, void *user)
{
    (void)s;
    atomic_fetch_add(&((struct told *)user)->registered, 1);
}

static void on_lost(tenure_service *s, const struct tenure_error *why, void *user)
{
    (void)s, (void)why;
    atomic_fetch_add(&((struct told *)user)->lost, 1);
}

static void on_healed(tenure_service *s, void *user)
{
    (void)s;
    atomic_fetch_add(&((struct told *)user)->healed, 1);
}

static void on_edited(tenure_service *s, const struct tenure_instance *now, void *user)
{
    struct told *t = user;
    (void)s;
    atomic_store(&t->draining, now->draining);
    atomic_store(&t->maintenance, now->maintenance);
    atomic_store(&t->weight, now->weight);
    atomic_fetch_add(&t->edited, 1);
}

static void on_ended(tenure_service *s, int code, const struct tenure_error *err, void *user)
{
    struct told *t = user;
    (void)s;
    assert_true((code == 0) == (err == NULL));
    atomic_store(&t->code, code);
    atomic_fetch_add(&t->ended, 1);
}

static struct tenure_service_options options(struct told *t)
{
    return (struct tenure_service_options){.size = sizeof(struct tenure_service_options),
                                           .on_registered = on_registered,
                                           .on_lost = on_lost,
                                           .on_healed = on_healed,
                                           .on_edited = on_edited,
                                           .on_ended = on_ended,
                                           .user = t};
}

static tenure_service *registered(tenure_client *c, const char *service, const char *instance, int32_t port,
                                  const struct tenure_service_options *o)
{
    struct tenure_error err = {0};
    tenure_service *s = tenure_register(c, service, instance, "10.0.0.7", port, o, &err);
    if (!s)
        fail_msg("%s", err.text);
    assert_true(tenure_service_stands(s));
    return s;
}

static struct tenure_instances *find(tenure_client *c, const char *service, const char *prefix)
{
    struct tenure_error err = {0};
    struct tenure_discover_options o = {.size = sizeof o, .prefix = prefix};
    struct tenure_instances *all = tenure_discover(c, service, &o, &err);
    if (!all)
        fail_msg("%s", err.text);
    return all;
}

struct expected {
    tenure_client *handle;
    const char *service, *prefix;
    size_t n;
    int64_t not_lease; /* of the first; 0 = any */
};

static bool there_are(void *user)
{
    struct expected *e = user;
    struct tenure_instances *all = find(e->handle, e->service, e->prefix);
    bool ok = all->n == e->n && (!e->not_lease || all->instances[0].lease != e->not_lease);
    tenure_instances_free(all);
    return ok;
}

static void await_n(tenure_client *c, const char *service, const char *prefix, size_t n)
{
    struct expected e = {c, service, prefix, n, 0};
    assert_true(test_await(there_are, &e));
}

/* ---- */

static void what_is_registered_is_found_until_it_is_stopped(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    static const char *const tags[] = {"blue", "fast"};
    static const struct tenure_meta meta[] = {{"owner", "a"}};
    struct told t = {0};
    struct tenure_error err = {0};
    struct tenure_service_options o = options(&t);
    o.tags = tags;
    o.n_tags = 2;
    o.meta = meta;
    o.n_meta = 1;
    o.weight = 5;
    o.zone = "eu-1";
    o.version = "1.2";
    tenure_service *a = registered(c, "found", "a", 80, &o), *b = registered(c, "found", NULL, 81, NULL);
    put(c, "/services/found/odd", "no JSON");
    put(c, "/services/found/below/it", "no instance");
    put(c, "/services/foundation/x", "{\"address\":\"a\"}");
    struct tenure_instances *all = find(other, "found", NULL);
    assert_int_equal(all->n, 3);
    assert_true(all->revision > 0);
    const struct tenure_instance *i = all->instances;
    assert_string_equal(i[0].name, "10.0.0.7:81");
    assert_string_equal(i[1].name, "a");
    assert_string_equal(i[2].name, "odd");
    assert_non_null(i[2].error);
    assert_null(i[1].error);
    assert_string_equal(i[1].service, "found");
    assert_string_equal(i[1].endpoint, "10.0.0.7:80");
    assert_string_equal(i[1].zone, "eu-1");
    assert_int_equal(i[1].weight, 5);
    assert_int_equal(i[1].n_tags, 2);
    assert_string_equal(i[1].meta[0].value, "a");
    assert_int_equal(i[1].pid, getpid());
    assert_true(i[1].since_ms > 0 && i[1].lease != 0);
    tenure_instances_free(all);
    struct tenure_discover_options f = {.size = sizeof f, .filter = {.tags = tags, .n_tags = 2, .serving = true}};
    all = tenure_discover(other, "found", &f, &err);
    assert_int_equal(all->n, 1);
    assert_string_equal(all->instances[0].name, "a");
    tenure_instances_free(all);
    struct tenure_service_names *names = tenure_services(other, NULL, &err);
    assert_int_equal(names->n, 2);
    assert_string_equal(names->services[0].name, "found");
    assert_int_equal(names->services[0].instances, 3);
    assert_string_equal(names->services[1].name, "foundation");
    assert_int_equal(names->services[1].instances, 1);
    tenure_service_names_free(names);
    all = find(other, NULL, NULL);
    assert_int_equal(all->n, 4);
    tenure_instances_free(all);
    tenure_service_stop(a);
    assert_int_equal(t.registered, 1);
    assert_int_equal(t.ended, 1);
    assert_int_equal(t.code, 0);
    tenure_service_stop(b);
    all = find(other, "found", NULL);
    assert_int_equal(all->n, 1);
    tenure_instances_free(all);
    tenure_close(c);
    tenure_close(other);
}

static int64_t lease_of(tenure_client *c, const char *service)
{
    struct tenure_instances *all = find(c, service, NULL);
    assert_int_equal(all->n, 1);
    int64_t lease = all->instances[0].lease;
    tenure_instances_free(all);
    return lease;
}

static void changes_are_made_in_place(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_service *s = registered(c, "place", "a", 80, NULL);
    struct tenure_instances *before = find(c, "place", NULL);
    no_error(tenure_service_set_health(s, TENURE_HEALTH_CRITICAL, &err), &err);
    no_error(tenure_service_set_weight(s, 9, &err), &err);
    no_error(tenure_service_set_draining(s, true, &err), &err);
    no_error(tenure_service_await(s, 0, &err), &err);
    struct tenure_instances *after = find(c, "place", NULL);
    assert_int_equal(after->instances[0].health, TENURE_HEALTH_CRITICAL);
    assert_int_equal(after->instances[0].weight, 9);
    assert_true(after->instances[0].draining);
    assert_int_equal(after->instances[0].lease, before->instances[0].lease);
    assert_int_equal(after->instances[0].create_revision, before->instances[0].create_revision);
    assert_int_equal(after->instances[0].since_ms, before->instances[0].since_ms);
    tenure_instances_free(before);
    tenure_instances_free(after);
    assert_int_equal(tenure_service_set_weight(s, 65536, &err), TENURE_EINVALID);
    assert_int_equal(tenure_service_set_health(s, (enum tenure_health)7, &err), TENURE_EINVALID);
    tenure_service_stop(s);
    tenure_close(c);
}

/* G8 */
static void a_revoked_lease_heals_with_all_that_was_said(void **state)
{
    tenure_client *c = open_on(*state), *operator= open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_service_options o = options(&t);
    tenure_service *s = registered(c, "heals", "a", 80, &o);
    struct tenure_instance_edit drain = {.size = sizeof drain, .draining = TENURE_SET};
    no_error(tenure_instance_edit(operator, "heals", "a", &drain, &err), &err);
    await_flag(&t.edited);
    assert_true(t.draining);
    for (int i = 1; i <= 3; i++) {
        int64_t lease = lease_of(operator, "heals");
        no_error(tenure_lease_revoke(operator, lease, &err), &err);
        struct expected e = {operator, "heals", NULL, 1, lease};
        assert_true(test_await(there_are, &e));
        no_error(tenure_service_await(s, 0, &err), &err);
    }
    struct tenure_instances *all = find(operator, "heals", NULL);
    assert_string_equal(all->instances[0].name, "a");
    assert_true(all->instances[0].draining);
    tenure_instances_free(all);
    assert_int_equal(t.registered, 1);
    assert_int_equal(t.lost, 3);
    assert_int_equal(t.healed, 3);
    no_error(tenure_delete(operator, S("/services/heals/a"), NULL, NULL, &err), &err);
    await_n(operator, "heals", NULL, 1);
    tenure_service_stop(s);
    assert_int_equal(t.ended, 1);
    tenure_close(c);
    tenure_close(operator);
}

static void operators_edit_and_send_away(void **state)
{
    tenure_client *c = open_on(*state), *operator= open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_service_options o = options(&t);
    tenure_service *s = registered(c, "edited", "a", 80, &o);
    struct tenure_instance_edit e = {.size = sizeof e, .maintenance = TENURE_SET, .weight = 3};
    no_error(tenure_instance_edit(operator, "edited", "a", &e, &err), &err);
    await_flag(&t.edited);
    assert_int_equal(t.weight, 3);
    assert_true(t.maintenance);
    no_error(tenure_service_set_health(s, TENURE_HEALTH_WARNING, &err), &err); /* an own change leaves it */
    no_error(tenure_service_await(s, 0, &err), &err);
    struct tenure_instances *all = find(operator, "edited", NULL);
    assert_true(all->instances[0].maintenance);
    assert_int_equal(all->instances[0].weight, 3);
    assert_int_equal(all->instances[0].health, TENURE_HEALTH_WARNING);
    tenure_instances_free(all);
    put(operator, "/services/edited/static", "{\"address\":\"b\",\"x\":1}");
    no_error(tenure_instance_edit(operator, "edited", "static", &e, &err), &err);
    char *value = get(operator, "/services/edited/static");
    assert_string_equal(value, "{\"address\":\"b\",\"x\":1,\"health\":\"passing\",\"weight\":3,\"maintenance\":true}");
    free(value);
    put(operator, "/services/edited/odd", "no JSON");
    assert_int_equal(tenure_instance_edit(operator, "edited", "odd", &e, &err), TENURE_ECORRUPT);
    assert_int_equal(tenure_instance_edit(operator, "edited", "none", &e, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_deregister(operator, NULL, "edited", "none", &err), TENURE_ENOTFOUND);
    no_error(tenure_deregister(operator, NULL, "edited", "static", &err), &err);
    no_error(tenure_deregister(operator, NULL, "edited", "odd", &err), &err);
    no_error(tenure_deregister(operator, NULL, "edited", "a", &err), &err);
    await_flag(&t.ended);
    assert_int_equal(t.code, TENURE_ENOTFOUND);
    await_n(operator, "edited", NULL, 0);
    assert_int_equal(tenure_service_set_weight(s, 1, &err), TENURE_ECLOSED);
    assert_int_equal(tenure_service_await(s, 0, &err), TENURE_ENOTFOUND);
    assert_false(tenure_service_stands(s));
    tenure_service_stop(s);
    assert_int_equal(t.ended, 1);
    tenure_close(c);
    tenure_close(operator);
}

static void a_name_that_lives_is_refused_taken_or_waited_for(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told first = {0}, third = {0};
    struct tenure_service_options o = options(&first);
    tenure_service *a = registered(c, "names", "a", 80, &o);
    assert_null(tenure_register(c, "names", "a", "10.0.0.8", 80, NULL, &err));
    assert_int_equal(err.code, TENURE_EEXISTS);
    o = options(&third);
    o.conflict = TENURE_CONFLICT_WAIT;
    tenure_service *waits = tenure_register_start(c, "names", "a", "10.0.0.9", 80, &o, &err);
    assert_int_equal(tenure_service_await(waits, 50, &err), TENURE_ETIMEOUT);
    o = (struct tenure_service_options){.size = sizeof o, .conflict = TENURE_CONFLICT_TAKE_OVER};
    tenure_service *b = registered(c, "names", "a", 81, &o);
    await_flag(&first.ended);
    assert_int_equal(first.code, TENURE_ELOST);
    tenure_service_stop(a);
    tenure_service_stop(b);
    no_error(tenure_service_await(waits, 0, &err), &err);
    assert_int_equal(third.registered, 1);
    struct tenure_instances *all = find(c, "names", NULL);
    assert_string_equal(all->instances[0].address, "10.0.0.9");
    tenure_instances_free(all);
    tenure_service_stop(waits);
    tenure_close(c);
}

/* In Go's layout it stands only while it serves. */
static void go_s_resolvers_find_it_while_it_serves(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_service_options o = {.size = sizeof o, .grpc = ""};
    tenure_service *s = registered(c, "go-svc", "a", 80, &o);
    await_n(c, "go-svc", "", 1);
    char *value = get(c, "go-svc/10.0.0.7:80");
    assert_string_equal(value, "{\"Op\":0,\"Addr\":\"10.0.0.7:80\",\"Metadata\":null}");
    free(value);
    for (int i = 0; i < 3; i++) {
        no_error(tenure_service_set_draining(s, true, &err), &err);
        await_n(c, "go-svc", "", 0);
        no_error(tenure_service_set_draining(s, false, &err), &err);
        await_n(c, "go-svc", "", 1);
    }
    no_error(tenure_service_set_weight(s, 3, &err), &err);
    tenure_service_stop(s);
    assert_null(get(c, "go-svc/10.0.0.7:80"));
    tenure_close(c);
}

static pid_t process(const struct server *s, const char *instance)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    tenure_client *c = tenure_open(server_url(s), NULL, NULL);
    struct tenure_service_options o = {.size = sizeof o, .ttl_s = 2, .grpc = ""};
    if (!c || !tenure_register(c, "dies", instance, "10.0.0.7", 80, &o, NULL))
        _exit(1);
    for (;;)
        pause();
}

static void a_killed_program_is_gone_after_its_ttl(void **state)
{
    pid_t pid = process(*state, "a");
    tenure_client *c = open_on(*state);
    await_n(c, "dies", NULL, 1);
    await_n(c, "dies", "", 1);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    await_n(c, "dies", NULL, 0);
    await_n(c, "dies", "", 0);
    tenure_close(c);
}

/* KILLS=100 in the environment: `make faults`. */
static void it_goes_on_over_kills_of_the_server(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct told t = {0};
    struct tenure_error err = {0};
    const char *kills = getenv("KILLS");
    struct tenure_service_options o = options(&t);
    tenure_service *s = registered(c, "kills", "a", 80, &o);
    for (int i = 0; i < (kills ? atoi(kills) : 3); i++) {
        server_kill(server);
        server_restart(server);
        no_error(tenure_service_await(s, 30000, &err), &err);
        struct tenure_instances *all = find(c, "kills", NULL);
        assert_int_equal(all->n, 1);
        assert_string_equal(all->instances[0].name, "a");
        tenure_instances_free(all);
    }
    assert_int_equal(t.registered, 1);
    assert_int_equal(t.lost, t.healed);
    assert_int_equal(t.ended, 0);
    tenure_service_stop(s);
    tenure_close(c);
}

static void a_close_takes_registrations_along(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct tenure_error err = {0};
    struct told t[2] = {0};
    struct tenure_service_options o = options(&t[0]);
    o.grpc = "";
    registered(c, "closes", "a", 80, &o);
    o = options(&t[1]);
    assert_non_null(tenure_register_start(c, "closes", "b", "10.0.0.7", 81, &o, &err));
    assert_non_null(
        tenure_register_start(c, "closes", "a", "10.0.0.7", 82, NULL, &err)); /* refused by then, or not yet */
    tenure_close(c);
    assert_int_equal(t[0].ended, 1);
    assert_int_equal(t[0].code, 0);
    assert_int_equal(t[1].ended, 1);
    await_n(other, "closes", NULL, 0);
    await_n(other, "closes", "", 0);
    tenure_close(other);
}

static void a_namespace_has_services_of_its_own(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = open_on(*state), *v = tenure_namespace(c, S("app/"), &err);
    struct tenure_service_options o = {.size = sizeof o, .grpc = ""};
    tenure_service *s = registered(v, "inner", "a", 80, &o);
    await_n(v, "inner", NULL, 1);
    await_n(v, "inner", "", 1);
    await_n(c, "inner", NULL, 0);
    char *value = get(c, "app//services/inner/a");
    assert_non_null(value);
    free(value);
    struct tenure_instance_edit e = {.size = sizeof e, .weight = -1};
    no_error(tenure_instance_edit(v, "inner", "a", &e, &err), &err);
    struct tenure_instances *all = find(v, "inner", NULL);
    assert_int_equal(all->instances[0].weight, 0);
    tenure_instances_free(all);
    tenure_service_stop(s);
    tenure_close(v);
    tenure_close(c);
}

static void what_has_no_meaning_is_refused(void **state)
{
    tenure_client *c = open_on(*state);
    static const char *const names[][3] = {{"", "a", "h"}, {"s/t", "a", "h"}, {"s", "a/b", "h"},
                                           {"s", "", "h"}, {"s", "a", ""},    {"s", "a", "\xff"}};
    struct tenure_error err = {0};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_null(tenure_register(c, names[i][0], names[i][1], names[i][2], 80, NULL, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
    }
    struct tenure_service_options o = {.size = sizeof o, .ttl_s = 1};
    assert_null(tenure_register(c, "s", "a", "h", 80, &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_service_options){.size = sizeof o, .n_tags = 1};
    assert_null(tenure_register(c, "s", "a", "h", 80, &o, &err));
    assert_null(tenure_register(c, "s", "a", "h", 65536, NULL, &err));
    assert_null(tenure_register(c, "s", NULL, "/run/x", 0, NULL, &err));
    assert_null(tenure_discover(c, "", NULL, &err));
    assert_null(tenure_discover(c, "a/b", NULL, &err));
    struct tenure_discover_options d = {.size = sizeof d, .prefix = ""};
    assert_null(tenure_discover(c, NULL, &d, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    struct tenure_instance_edit e = {.size = sizeof e, .weight = 65536};
    assert_int_equal(tenure_instance_edit(c, "s", "a", &e, &err), TENURE_EINVALID);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_killed_program_is_gone_after_its_ttl), /* forks, so first */
        cmocka_unit_test(what_is_registered_is_found_until_it_is_stopped),
        cmocka_unit_test(changes_are_made_in_place),
        cmocka_unit_test(a_revoked_lease_heals_with_all_that_was_said),
        cmocka_unit_test(operators_edit_and_send_away),
        cmocka_unit_test(a_name_that_lives_is_refused_taken_or_waited_for),
        cmocka_unit_test(go_s_resolvers_find_it_while_it_serves),
        cmocka_unit_test(a_close_takes_registrations_along),
        cmocka_unit_test(a_namespace_has_services_of_its_own),
        cmocka_unit_test(what_has_no_meaning_is_refused),
        cmocka_unit_test(it_goes_on_over_kills_of_the_server),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
