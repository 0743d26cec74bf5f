/* Namespaces: what goes in below a prefix comes back without it. */
#include "lib.h"

static tenure_client *view_on(tenure_client *c, const char *prefix)
{
    struct tenure_error err = {0};
    tenure_client *view = tenure_namespace(c, S(prefix), &err);
    if (!view)
        fail_msg("%s", err.text);
    return view;
}

static void keys_lie_below_the_prefix_and_come_back_without_it(void **state)
{
    tenure_client *c = open_on(*state), *v = view_on(c, "ns1/");
    struct tenure_error err = {0};
    struct tenure_get_result *g = NULL;
    struct tenure_put_result *p = NULL;
    struct tenure_delete_result *d = NULL;
    put(v, "a", "1");
    put(v, "b", "2");
    put(c, "ns2/", "outside");
    char *value = get(c, "ns1/a");
    assert_string_equal(value, "1");
    free(value);
    struct tenure_get_options all = {.size = sizeof all, .from_key = true};
    no_error(tenure_get(v, S(""), &all, &g, &err), &err);
    assert_int_equal(g->n_kvs, 2);
    assert_string_equal(g->kvs[0].key.data, "a");
    assert_string_equal(g->kvs[1].key.data, "b");
    tenure_get_free(g);
    all = (struct tenure_get_options){.size = sizeof all, .prefix = true};
    no_error(tenure_get(v, S(""), &all, &g, &err), &err);
    assert_int_equal(g->n_kvs, 2);
    tenure_get_free(g);
    all = (struct tenure_get_options){.size = sizeof all, .range_end = S("b")};
    no_error(tenure_get(v, S("a"), &all, &g, &err), &err);
    assert_int_equal(g->n_kvs, 1);
    tenure_get_free(g);
    struct tenure_put_options prev = {.size = sizeof prev, .prev_kv = true};
    no_error(tenure_put(v, S("a"), S("3"), &prev, &p, &err), &err);
    assert_string_equal(p->prev_kv.key.data, "a");
    tenure_put_free(p);
    struct tenure_delete_options o = {.size = sizeof o, .from_key = true, .prev_kv = true};
    no_error(tenure_delete(v, S("a"), &o, &d, &err), &err);
    assert_int_equal(d->deleted, 2);
    assert_string_equal(d->prev_kvs[1].key.data, "b");
    tenure_delete_free(d);
    value = get(c, "ns2/");
    assert_string_equal(value, "outside");
    free(value);
    assert_int_equal(tenure_put(v, S(""), S("x"), NULL, NULL, &err), TENURE_EINVALID);
    tenure_close(v);
    tenure_close(c);
}

static void transactions_lie_below_it_whole(void **state)
{
    tenure_client *c = open_on(*state), *v = view_on(c, "nst/");
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    struct tenure_get_options all = {.size = sizeof all, .prefix = true};
    tenure_txn *t = tenure_txn_new(v), *inner = tenure_txn_new(v);
    tenure_then_get(inner, S("a"), NULL);
    tenure_if_version(t, S("a"), TENURE_EQ, 0);
    tenure_then_put(t, S("a"), S("1"), 0);
    tenure_then_get(t, S(""), &all);
    tenure_then_txn(t, inner);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    assert_string_equal(r->ops[1].get->kvs[0].key.data, "a");
    assert_string_equal(r->ops[2].txn->ops[0].get->kvs[0].key.data, "a");
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    tenure_txn_free(inner);
    char *value = get(c, "nst/a");
    assert_string_equal(value, "1");
    free(value);
    tenure_close(c); /* the view goes with it */
}

struct seen {
    atomic_int n;
    char key[32];
};

static void on_created(void *user, int64_t revision)
{
    struct seen *s = user;
    (void)revision;
    atomic_store(&s->n, 1);
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct seen *s = user;
    (void)revision;
    if (n > 0)
        snprintf(s->key, sizeof s->key, "%.*s", (int)events[0].kv.key.len, (const char *)events[0].kv.key.data);
    atomic_fetch_add(&s->n, (int)n);
}

static bool has_seen_one(void *user)
{
    return atomic_load(&((struct seen *)user)->n) >= 2;
}

static void watches_iterators_and_leases_show_keys_without_it(void **state)
{
    tenure_client *c = open_on(*state), *outer = view_on(c, "nsw/"), *v = view_on(outer, "deep/");
    struct tenure_error err = {0};
    struct seen seen = {0};
    int64_t lease = 0;
    struct tenure_lease_info *info = NULL;
    struct tenure_get_result *page = NULL;
    tenure_close(outer);
    struct tenure_watch_options w = {
        .size = sizeof w, .prefix = true, .on_created = on_created, .on_events = on_events, .user = &seen};
    tenure_watch *watch = tenure_watch_start(v, S("k"), &w, &err);
    assert_non_null(watch);
    await_flag(&seen.n);
    no_error(tenure_lease_grant(v, 60, 0, &lease, NULL, &err), &err);
    struct tenure_put_options o = {.size = sizeof o, .lease = lease};
    put(c, "nsw/k", "elsewhere");
    no_error(tenure_put(v, S("k1"), S("x"), &o, NULL, &err), &err);
    assert_true(test_await(has_seen_one, &seen));
    assert_string_equal(seen.key, "k1");
    no_error(tenure_lease_ttl(v, lease, true, &info, &err), &err);
    assert_int_equal(info->n_keys, 1);
    assert_string_equal(info->keys[0].data, "k1");
    tenure_lease_info_free(info);
    struct tenure_range_options all = {.size = sizeof all, .prefix = true};
    tenure_range_iter *it = tenure_range_iter_new(v, S(""), &all, &err);
    no_error(tenure_range_iter_next(it, &page, &err), &err);
    assert_int_equal(page->n_kvs, 1);
    assert_string_equal(page->kvs[0].key.data, "k1");
    tenure_get_free(page);
    tenure_range_iter_free(it);
    tenure_watch_stop(watch);
    char *value = get(c, "nsw/deep/k1");
    assert_string_equal(value, "x");
    free(value);
    tenure_close(v);
    tenure_close(c);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    atomic_store((atomic_int *)user, 1);
}

static void on_leader(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct seen *s = user;
    (void)o, (void)revision;
    if (!kv)
        return;
    snprintf(s->key, sizeof s->key, "%.*s", (int)kv->key.len, (const char *)kv->key.data);
    atomic_store(&s->n, 1);
}

static void locks_and_elections_lie_below_it(void **state)
{
    tenure_client *c = open_on(*state), *v = view_on(c, "nsl/");
    struct tenure_error err = {0};
    struct tenure_lock_list *list = NULL;
    struct tenure_lock_options try = {.size = sizeof try, .wait_ms = -1, .prefix = "nsl//locks/"};
    tenure_lock *lock = tenure_lock_acquire(v, "x", NULL, &err);
    assert_non_null(lock);
    assert_int_equal(strncmp(tenure_lock_key(lock), "/locks/x/", 9), 0);
    char *value = get(v, tenure_lock_key(lock));
    assert_non_null(value);
    free(value);
    tenure_lock *own = tenure_lock_acquire(c, "x", NULL, &err); /* another name, so another lock */
    assert_non_null(own);
    try.ttl_s = 10;
    assert_null(tenure_lock_acquire(c, "x", &try, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    no_error(tenure_lock_list(v, "x", NULL, &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_string_equal(list->entries[0].key, tenure_lock_key(lock));
    tenure_lock_list_free(list);
    no_error(tenure_unlock(lock, &err), &err);
    no_error(tenure_unlock(own, &err), &err);
    tenure_lock *reader = tenure_rwlock_read(v, "x", NULL, &err);
    assert_non_null(reader);
    assert_int_equal(strncmp(tenure_lock_key(reader), "/locks/x/", 9), 0);
    assert_null(tenure_lock_acquire(c, "x", &try, &err));
    no_error(tenure_unlock(reader, &err), &err);

    atomic_int gained = 0;
    struct seen seen = {0};
    char key[128];
    struct tenure_election_options e = {.size = sizeof e, .on_gained = on_gained, .user = &gained};
    struct tenure_observer_options o = {.size = sizeof o, .on_leader = on_leader, .user = &seen};
    tenure_election *election = tenure_election_start(v, "boss", &e, &err);
    tenure_observer *observer = tenure_observer_start(v, "boss", &o, &err);
    await_flag(&gained);
    await_flag(&seen.n);
    tenure_election_key(election, key, sizeof key);
    assert_int_equal(strncmp(key, "/election/boss/", 15), 0);
    assert_string_equal(seen.key, key);
    tenure_observer_stop(observer);
    tenure_election_stop(election);
    tenure_close(c);
}

static void what_concerns_the_handle_is_refused(void **state)
{
    tenure_client *c = open_on(*state), *v = view_on(c, "nsr/");
    struct tenure_error err = {0};
    assert_int_equal(tenure_member_list(v, false, 0, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_auth_enable(v, &err), TENURE_EINVALID);
    assert_int_equal(tenure_turn(v), TENURE_EINVALID);
    assert_int_equal(tenure_fd(v), -1);
    assert_int_equal(tenure_endpoints(v), 1);
    assert_string_equal(tenure_endpoint(v, 0), server_url(*state));
    assert_null(tenure_namespace(c, S(""), &err));
    assert_null(tenure_namespace(NULL, S("x"), &err));
    tenure_close_start(v, NULL, NULL);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_lie_below_the_prefix_and_come_back_without_it),
        cmocka_unit_test(transactions_lie_below_it_whole),
        cmocka_unit_test(watches_iterators_and_leases_show_keys_without_it),
        cmocka_unit_test(locks_and_elections_lie_below_it),
        cmocka_unit_test(what_concerns_the_handle_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
