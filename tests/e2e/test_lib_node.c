/* Nodes: what they add to the layers below. The health of the connection is told; work is led again behind a loss; services are asked
 * for once and then followed; one close gives all back. */
#include "lib.h"
#include "proxy.h"

static tenure_node *open_node(const char *url, struct tenure_node_options *o)
{
    struct tenure_error err = {0};
    o->size = sizeof *o;
    tenure_node *n = tenure_node_open(url, o, &err);
    if (!n)
        fail_msg("%s", err.text);
    return n;
}

/* ---- the connection ---- */

struct told {
    atomic_int up, down;
    char why[256];
};

static void on_connection(void *user, enum tenure_connection state, const char *endpoint, const char *why)
{
    struct told *t = user;
    if (state == TENURE_CONNECTION_UP) {
        assert_non_null(strstr(endpoint, "http://127.0.0.1:"));
        assert_string_equal(why, "");
        atomic_fetch_add(&t->up, 1);
    } else {
        assert_null(endpoint);
        snprintf(t->why, sizeof t->why, "%s", why);
        atomic_fetch_add(&t->down, 1);
    }
}

static bool is_up_again(void *user)
{
    return atomic_load(&((struct told *)user)->up) >= 2;
}

static void the_connection_is_told_when_it_comes_goes_and_comes_back(void **state)
{
    struct proxy *p = proxy_start(server_url(*state));
    struct told told = {0};
    struct tenure_error err = {0};
    struct tenure_node_options o = {.service = "health", .on_connection = on_connection, .on_connection_user = &told};
    tenure_node *n = open_node(proxy_url(p), &o);
    assert_int_equal(tenure_node_connection(n), TENURE_CONNECTION_NONE);
    assert_non_null(tenure_node_campaign(n, NULL, NULL, NULL, NULL, &err)); /* something that connects again */
    await_flag(&told.up);
    assert_int_equal(tenure_node_connection(n), TENURE_CONNECTION_UP);
    assert_int_equal(atomic_load(&told.down), 0);
    proxy_set(p, PROXY_REFUSE);
    proxy_drop(p);
    await_flag(&told.down);
    assert_int_equal(tenure_node_connection(n), TENURE_CONNECTION_DOWN);
    proxy_set(p, PROXY_PASS);
    assert_true(test_await(is_up_again, &told));
    tenure_node_close(n);
    proxy_free(p);
}

static void who_cannot_connect_hears_why(void **state)
{
    char url[64];
    struct told told = {0};
    struct tenure_options client = {.size = sizeof client, .call_timeout_ms = 300};
    struct tenure_node_options o = {.client = &client, .on_connection = on_connection, .on_connection_user = &told};
    struct tenure_error err = {0};
    (void)state;
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port_unused());
    tenure_node *n = open_node(url, &o);
    assert_null(tenure_node_pick(n, "nobody", &err));
    await_flag(&told.down);
    assert_non_null(strstr(told.why, url));
    assert_int_equal(atomic_load(&told.down), 1); /* once, however often it was tried */
    tenure_node_close(n);
}

/* ---- elections ---- */

struct leader {
    tenure_client *client;
    int runs;
    tenure_token tokens[2];
};

/* The first time somebody takes it away. */
static bool has_lost(void *user)
{
    return !tenure_election_leads(user);
}

static int lead(tenure_election *e, tenure_token token, void *arg)
{
    struct leader *l = arg;
    char key[200];
    assert_true(tenure_election_leads(e));
    l->tokens[l->runs++] = token;
    if (l->runs == 2)
        return 7;
    struct tenure_error err = {0};
    tenure_election_key(e, key, sizeof key);
    no_error(tenure_delete(l->client, S(key), NULL, NULL, &err), &err);
    assert_true(test_await(has_lost, e));
    return 3; /* nobody's answer: leadership was lost */
}

static void work_is_led_again_behind_a_loss(void **state)
{
    struct tenure_error err = {0};
    struct leader l = {.client = open_on(*state)};
    struct tenure_node_options o = {.service = "again", .instance = "a-1"};
    tenure_node *n = open_node(server_url(*state), &o);
    assert_int_equal(tenure_node_lead(n, NULL, lead, &l, &err), 7);
    assert_int_equal(l.runs, 2);
    assert_true(l.tokens[1] > l.tokens[0] && l.tokens[0] > 0);
    struct tenure_election_list *list;
    no_error(tenure_election_list(l.client, "again", NULL, &list, &err), &err);
    assert_int_equal(list->n, 0); /* it has resigned */
    tenure_election_list_free(list);
    tenure_node_close(n);
    tenure_close(l.client);
}

static void leading_once_ends_with_the_loss(void **state)
{
    struct tenure_error err = {0};
    struct leader l = {.client = open_on(*state)};
    struct tenure_election_options o = {.size = sizeof o, .once = true};
    assert_true(tenure_with_leadership(l.client, "once", &o, lead, &l, &err) < 0);
    assert_int_equal(err.kind, TENURE_KIND_LOST);
    assert_int_equal(l.runs, 1);
    tenure_close(l.client);
}

static int never(tenure_election *e, tenure_token token, void *arg)
{
    (void)e, (void)token, (void)arg;
    fail_msg("somebody else leads");
    return 0;
}

static void who_waits_to_lead_is_cancelled_by_its_scope(void **state)
{
    struct tenure_error err = {0};
    struct tenure_node_options o = {.service = "taken"};
    tenure_node *first = open_node(server_url(*state), &o), *n = open_node(server_url(*state), &o);
    tenure_election *e = tenure_node_campaign(first, NULL, NULL, NULL, NULL, &err);
    no_error(tenure_election_await(e, 20000, &err), &err);
    struct tenure_scope_options so = {.size = sizeof so, .timeout_ms = 200};
    tenure_scope *s = tenure_scope_new(&so, &err), *before = tenure_scope_use(s);
    assert_int_equal(tenure_node_lead(n, NULL, never, NULL, &err), TENURE_ETIMEOUT);
    tenure_scope_use(before);
    tenure_scope_free(s);
    tenure_node_close(n);
    tenure_node_close(first);
}

/* ---- locks and configuration ---- */

static int answer(tenure_lock *lock, void *arg)
{
    *(tenure_token *)arg = tenure_lock_token(lock);
    return 5;
}

static void a_lock_is_held_for_the_work_and_its_layers_are_the_nodes_own(void **state)
{
    struct tenure_error err = {0};
    struct tenure_node_options o = {.service = "layers", .instance = "l-1"};
    struct tenure_config_options who = {.size = sizeof who, .service = "layers", .instance = "l-1"};
    tenure_node *n = open_node(server_url(*state), &o);
    tenure_client *c = tenure_node_client(n);
    tenure_token token = 0;
    assert_int_equal(tenure_node_lock(n, "layers", 5000, answer, &token, &err), 5);
    assert_true(token > 0);
    no_error(tenure_config_set(c, "layers/a", "1", TENURE_CONFIG_DEFAULT, 0, &who, NULL, &err), &err);
    no_error(tenure_config_set(c, "layers/a", "2", TENURE_CONFIG_INSTANCE, 0, &who, NULL, &err), &err);
    tenure_config *v = tenure_node_config(n, NULL, NULL, NULL, &err);
    assert_non_null(v);
    assert_int_equal(tenure_config_int(v, "layers/a", 0, &err), 2);
    tenure_node_close(n);
}

/* ---- services ---- */

static bool is_none_left(void *user)
{
    struct tenure_error err = {0};
    const struct tenure_instance *i = tenure_node_pick(user, "shop", &err);
    tenure_pick_done(i);
    return !i && err.code == TENURE_ENOTFOUND;
}

static void services_are_followed_and_the_near_ones_picked(void **state)
{
    struct tenure_error err = {0};
    struct tenure_node_options far = {.service = "shop", .instance = "far", .zone = "b"},
                               near = {.service = "shop", .instance = "near", .zone = "a", .version = "2"},
                               asks = {.service = "till", .zone = "a"};
    tenure_node *f = open_node(server_url(*state), &far), *m = open_node(server_url(*state), &near),
                *n = open_node(server_url(*state), &asks);
    assert_non_null(tenure_node_register(f, "10.0.0.1", 80, &err));
    assert_non_null(tenure_node_register(m, "10.0.0.2", 80, &err));
    struct tenure_instances *all = tenure_node_discover(n, "shop", &err);
    assert_non_null(all);
    assert_int_equal(all->n, 2);
    assert_string_equal(all->instances[1].version, "2");
    tenure_instances_free(all);
    for (int i = 0; i < 3; i++) {
        const struct tenure_instance *one = tenure_node_pick(n, "shop", &err);
        assert_non_null(one);
        assert_string_equal(one->name, "near");
        tenure_pick_done(one);
    }
    tenure_node_close(m);
    tenure_node_close(f);
    assert_true(test_await(is_none_left, n)); /* their close took them out */
    tenure_node_close(n);
}

/* ---- services asked for within callbacks ---- */

struct asker {
    tenure_node *node;
    atomic_int is_inside, is_asking, is_over;
    int asked;
};

/* On the loop's thread: asks again and again, also while another thread's first question for another service waits for the loop. */
static void ask_often(void *user, int code, const struct tenure_error *why)
{
    struct asker *a = user;
    struct timespec since, now;
    struct tenure_error err;
    (void)code, (void)why;
    atomic_store(&a->is_inside, 1);
    await_flag(&a->is_asking);
    clock_gettime(CLOCK_MONOTONIC, &since);
    do {
        assert_null(tenure_node_pick(a->node, "inside", &err));
        assert_int_equal(err.code, TENURE_EUNAVAILABLE); /* it has not come to hear of it */
        a->asked++;
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while ((now.tv_sec - since.tv_sec) * 1000 + (now.tv_nsec - since.tv_nsec) / 1000000 < 100);
    atomic_store(&a->is_over, 1);
}

static void a_callback_asks_while_another_thread_begins_to_follow(void **state)
{
    struct tenure_error err = {0};
    struct tenure_node_options o = {.service = "asker"};
    struct asker a = {.node = open_node(server_url(*state), &o)};
    struct tenure_cache_need none = {.size = sizeof none};
    tenure_cache *k = tenure_cache_open(tenure_node_client(a.node), S("asker"), NULL, &err);
    no_error(tenure_cache_wait_start(k, &none, ask_often, &a, &err), &err);
    await_flag(&a.is_inside);
    atomic_store(&a.is_asking, 1);
    assert_null(tenure_node_pick(a.node, "outside", &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    await_flag(&a.is_over);
    assert_true(a.asked > 0);
    tenure_node_close(a.node);
}

static void bad_names_are_refused(void **state)
{
    struct tenure_error err = {0};
    static const char *const bad[][2] = {{"a/b", NULL}, {"", NULL}, {"a", "b/c"}, {"a", ""}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct tenure_node_options o = {.size = sizeof o, .service = bad[i][0], .instance = bad[i][1]};
        assert_null(tenure_node_open(server_url(*state), &o, &err));
        assert_int_equal(err.code, TENURE_EINVALID);
    }
    struct tenure_options client = {.size = sizeof client};
    struct tenure_node_options o = {.size = sizeof o, .client = &client};
    tenure_client *c = open_on(*state);
    assert_null(tenure_node_adopt(c, &o, &err));
    tenure_client *below = tenure_namespace(c, S("below/"), &err);
    assert_null(tenure_node_adopt(below, NULL, &err));
    tenure_close(c);
}

static void an_adopted_handle_is_not_waited_for_and_copies_have_a_bound(void **state)
{
    struct tenure_error err = {0};
    char name[16];
    tenure_node *n = tenure_node_adopt(tenure_open_poll(server_url(*state), NULL, &err), NULL, &err);
    assert_non_null(n);
    assert_int_equal(tenure_node_lead(n, NULL, never, NULL, &err), TENURE_EINVALID);
    for (int i = 0; i <= TENURE_NODE_SERVICES_MAX; i++) {
        snprintf(name, sizeof name, "s%d", i);
        assert_null(tenure_node_pick(n, name, &err));
        assert_int_equal(err.code, i < TENURE_NODE_SERVICES_MAX ? TENURE_EUNAVAILABLE : TENURE_ELIMIT);
    }
    tenure_node_close(n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_connection_is_told_when_it_comes_goes_and_comes_back),
        cmocka_unit_test(who_cannot_connect_hears_why),
        cmocka_unit_test(work_is_led_again_behind_a_loss),
        cmocka_unit_test(leading_once_ends_with_the_loss),
        cmocka_unit_test(who_waits_to_lead_is_cancelled_by_its_scope),
        cmocka_unit_test(a_lock_is_held_for_the_work_and_its_layers_are_the_nodes_own),
        cmocka_unit_test(services_are_followed_and_the_near_ones_picked),
        cmocka_unit_test(a_callback_asks_while_another_thread_begins_to_follow),
        cmocka_unit_test(bad_names_are_refused),
        cmocka_unit_test(an_adopted_handle_is_not_waited_for_and_copies_have_a_bound),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
