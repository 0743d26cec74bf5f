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

/* ---- every recipe, in namespaces that do not meet and are never left ---- */

struct guard {
    const char *in;
    atomic_int seen_end;
    char outside[256]; /* a key that does not lie in it */
};

static void watch_for_strays(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    struct guard *g = user;
    (void)revision;
    for (size_t i = 0; i < n; i++) {
        const struct tenure_kv *kv = &events[i].kv;
        bool inside = kv->key.len >= strlen(g->in) && memcmp(kv->key.data, g->in, strlen(g->in)) == 0;
        if (kv->key.len == 7 && memcmp(kv->key.data, "the end", 7) == 0)
            atomic_store(&g->seen_end, 1);
        else if (!inside)
            snprintf(g->outside, sizeof g->outside, "%.*s", (int)kv->key.len, (const char *)kv->key.data);
    }
}

/* Does it in the namespace of that name, and judges every key that was written meanwhile. */
static void does(struct server *server, const char *in, void (*what)(tenure_client *v, tenure_client *c))
{
    tenure_client *c = open_on(server), *other = open_on(server), *v = view_on(c, in);
    struct tenure_error err = {0};
    struct guard g = {.in = in};
    struct tenure_get_result *now = NULL;
    no_error(tenure_get(other, S("x"), NULL, &now, &err), &err);
    struct tenure_watch_options o = {
        .size = sizeof o, .from_key = true, .revision = now->revision + 1, .on_events = watch_for_strays, .user = &g};
    tenure_get_free(now);
    tenure_watch *watch = tenure_watch_start(other, S(""), &o, &err);
    assert_non_null(watch);
    what(v, c);
    tenure_close(c);
    put(other, "the end", "");
    await_flag(&g.seen_end);
    tenure_watch_stop(watch);
    tenure_close(other);
    if (g.outside[0])
        fail_msg("%s: '%s' was written outside of it", in, g.outside);
}

static void in_two(void **state, void (*what)(tenure_client *v, tenure_client *c))
{
    does(*state, "A/", what);
    does(*state, "B/", what);
}

static void compare_and_set(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_cas_result *r = NULL;
    struct tenure_put_options o = {.size = sizeof o, .prev_kv = true};
    (void)c;
    no_error(tenure_put_if(v, S("cas"), S("1"), 0, NULL, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    int64_t revision = r->revision;
    tenure_cas_free(r);
    no_error(tenure_put_if(v, S("cas"), S("2"), 0, NULL, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_FAILED);
    assert_string_equal(r->kv.key.data, "cas");
    tenure_cas_free(r);
    no_error(tenure_put_if(v, S("cas"), S("2"), revision, &o, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    assert_string_equal(r->kv.key.data, "cas");
    assert_string_equal(r->kv.value.data, "1");
    revision = r->revision;
    tenure_cas_free(r);
    no_error(tenure_delete_if(v, S("cas"), revision, NULL, NULL, &err), &err);
    assert_null(get(v, "cas"));
}

static void exact_transaction(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(v);
    (void)c;
    tenure_if_version(t, S("exact"), TENURE_EQ, 0);
    tenure_then_put(t, S("exact"), S("1"), 0);
    tenure_else_get(t, S("exact"), NULL);
    tenure_txn_exact(t, true);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    tenure_txn_result_free(r);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_FAILED);
    assert_string_equal(r->ops[0].get->kvs[0].key.data, "exact");
    tenure_txn_result_free(r);
    tenure_txn_free(t);
}

static void numbers(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    int64_t n = 0;
    (void)c;
    no_error(tenure_counter_add(v, "n", 3, NULL, &n, &err), &err);
    assert_int_equal(n, 3);
    no_error(tenure_counter_set(v, "n", 5, NULL, &err), &err);
    no_error(tenure_counter_cas(v, "n", 5, 7, NULL, NULL, &err), &err);
    no_error(tenure_counter_get(v, "n", NULL, &n, &err), &err);
    assert_int_equal(n, 7);
    char *value = get(v, "/counters/n");
    assert_string_equal(value, "7");
    free(value);
    no_error(tenure_ids_take(v, "i", 10, NULL, &n, &err), &err);
    assert_int_equal(n, 1);
    tenure_ids *ids = tenure_ids_open(v, "i", NULL, &err);
    no_error(tenure_ids_next(ids, &n, &err), &err);
    assert_int_equal(n, 11);
    tenure_ids_close(ids);
}

static int move(tenure_stm_view *s, void *arg)
{
    struct tenure_kv kv = {0};
    int rc = tenure_stm_get(s, S("stm/a"), &kv);
    (void)arg;
    if (rc < 0)
        return rc;
    assert_string_equal(kv.key.data, "stm/a");
    tenure_stm_delete(s, S("stm/a"));
    return tenure_stm_put(s, S("stm/b"), kv.value, 0);
}

static void memory(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_bytes keys[] = {S("stm/a"), S("stm/b")};
    struct tenure_stm_options o = {.size = sizeof o, .prefetch = keys, .n_prefetch = 2};
    (void)c;
    put(v, "stm/a", "moved");
    no_error(tenure_stm(v, &o, move, NULL, &err), &err);
    char *value = get(v, "stm/b");
    assert_string_equal(value, "moved");
    free(value);
    assert_null(get(v, "stm/a"));
}

static void barriers(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_latch_state latch = {0};
    /* whose mark lies beside the prefix, and must not beside the namespace */
    struct tenure_barrier_options o = {.size = sizeof o}, slash = {.size = sizeof slash, .prefix = "/"};
    struct tenure_barrier_options try = {.size = sizeof try, .timeout_ms = -1};
    no_error(tenure_barrier_hold(v, "b", &o, &err), &err);
    no_error(tenure_barrier_hold(v, "b", &slash, &err), &err);
    assert_int_equal(tenure_barrier_wait(v, "b", &try, &err), TENURE_EBUSY);
    no_error(tenure_barrier_wait(c, "b", &try, &err), &err);
    no_error(tenure_barrier_release(v, "b", &o, &err), &err);
    no_error(tenure_barrier_wait(v, "b", &try, &err), &err);
    no_error(tenure_latch_arrive(v, "l", 1, NULL, NULL, &latch, &err), &err);
    assert_true(latch.open);
    no_error(tenure_latch_look(c, "l", NULL, &latch, &err), &err);
    assert_false(latch.open);
    no_error(tenure_latch_wait(v, "l", NULL, &err), &err);
    no_error(tenure_latch_reset(v, "l", NULL, &err), &err);
    tenure_double_barrier *d = tenure_double_barrier_enter(v, "d", 1, NULL, &err);
    assert_non_null(d);
    assert_true(tenure_double_barrier_inside(d));
    no_error(tenure_double_barrier_leave(d, 0, &err), &err);
}

static void one_queue(tenure_client *v, const struct tenure_queue_options *o)
{
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    tenure_queue *q = tenure_queue_open(v, "q", o, &err);
    int64_t n = -1;
    assert_non_null(q);
    no_error(tenure_queue_length(q, &n, &err), &err);
    assert_int_equal(n, 0); /* the other one's items are not here */
    no_error(tenure_queue_put(q, S("taken"), NULL, &err), &err);
    no_error(tenure_queue_put(q, S("left"), NULL, &err), &err);
    no_error(tenure_queue_take(q, 0, &item, &err), &err);
    assert_string_equal(item->value.data, "taken");
    if (o->kind == TENURE_QUEUE_FIFO)
        assert_null(get(v, item->key.data));
    else
        no_error(tenure_queue_ack(q, item, &err), &err);
    tenure_queue_item_free(item);
    no_error(tenure_queue_peek(q, &item, &err), &err);
    char *value = get(v, item->key.data); /* the key as the view has it */
    assert_string_equal(item->value.data, "left");
    assert_non_null(value);
    free(value);
    tenure_queue_item_free(item);
    tenure_queue_close(q);
}

static void queues(tenure_client *v, tenure_client *c)
{
    struct tenure_queue_options fifo = {.size = sizeof fifo, .prefix = "/"};
    struct tenure_queue_options work = {.size = sizeof work, .kind = TENURE_QUEUE_WORK, .marks = "own marks/"};
    (void)c;
    one_queue(v, &fifo);
    one_queue(v, &work);
}

static void groups(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_group_list *list = NULL;
    tenure_presence *p = tenure_presence_start(v, S("present"), S("here"), NULL, &err), *m;
    assert_non_null(p);
    no_error(tenure_presence_await(p, 0, &err), &err);
    char *value = get(v, "present");
    assert_string_equal(value, "here");
    free(value);
    m = tenure_group_join(v, NULL, "g", "me", NULL, NULL, &err);
    assert_non_null(m);
    no_error(tenure_presence_await(m, 0, &err), &err);
    no_error(tenure_group_set(m, "data", &err), &err);
    no_error(tenure_group_list(v, NULL, "g", &list, &err), &err);
    assert_int_equal(list->n, 1);
    assert_string_equal(list->members[0].name, "me");
    tenure_group_list_free(list);
    no_error(tenure_group_list(c, NULL, "g", &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_group_list_free(list);
    tenure_presence_stop(m);
    tenure_presence_stop(p);
}

static void on_members(tenure_group_watch *w, const struct tenure_group_list *list, void *user)
{
    struct seen *s = user;
    (void)w;
    if (list->n == 1)
        snprintf(s->key, sizeof s->key, "%s", list->members[0].name);
    atomic_store(&s->n, 1);
}

static void watched_groups(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct seen seen = {0};
    struct tenure_group_watch_options o = {.size = sizeof o, .on_list = on_members, .user = &seen};
    tenure_presence *m = tenure_group_join(v, NULL, "w", "me", NULL, NULL, &err);
    (void)c;
    no_error(tenure_presence_await(m, 0, &err), &err);
    tenure_group_watch *w = tenure_group_watch_start(v, "w", &o, &err);
    await_flag(&seen.n);
    assert_string_equal(seen.key, "me");
    tenure_group_watch_stop(w);
    tenure_presence_stop(m);
}

static int run_once(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    (void)k, (void)run;
    ++*(int *)arg;
    return TENURE_ECANCELLED;
}

static void scheduler(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_cron_list *list = NULL;
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "@every 1s"};
    int runs = 0;
    no_error(tenure_cron_run(v, "job", &o, run_once, &runs, &err), &err);
    assert_int_equal(runs, 1);
    no_error(tenure_cron_list(v, NULL, "job", &list, &err), &err);
    assert_int_equal(list->n, 1);
    tenure_cron_list_free(list);
    no_error(tenure_cron_list(c, NULL, "job", &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_cron_list_free(list);
}

static void on_v3_leader(const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct seen *s = user;
    (void)revision;
    snprintf(s->key, sizeof s->key, "%.*s", (int)kv->key.len, (const char *)kv->key.data);
    atomic_store(&s->n, 1);
}

static void services(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_v3_lock *lock = NULL;
    struct tenure_v3_leader *leader = NULL;
    struct tenure_get_result *g = NULL;
    struct seen seen = {0};
    int64_t lease = 0;
    no_error(tenure_lease_grant(v, 60, 0, &lease, NULL, &err), &err);
    no_error(tenure_v3_lock(v, S("v3l"), lease, 0, &lock, &err), &err);
    assert_int_equal(strncmp(lock->key.data, "v3l/", 4), 0);
    char *value = get(v, lock->key.data);
    assert_non_null(value);
    free(value);
    no_error(tenure_v3_unlock(v, lock->key, 0, &err), &err);
    assert_null(get(v, lock->key.data));
    tenure_v3_lock_free(lock);
    no_error(tenure_v3_campaign(v, S("v3e"), lease, S("me"), 0, &leader, &err), &err);
    assert_string_equal(leader->name.data, "v3e");
    assert_int_equal(strncmp(leader->key.data, "v3e/", 4), 0);
    no_error(tenure_v3_proclaim(v, leader, S("still me"), 0, &err), &err);
    no_error(tenure_v3_leading(v, S("v3e"), 0, &g, &err), &err);
    assert_string_equal(g->kvs[0].value.data, "still me");
    assert_string_equal(g->kvs[0].key.data, leader->key.data);
    tenure_get_free(g);
    assert_int_equal(tenure_v3_leading(c, S("v3e"), 0, &g, &err), TENURE_ENOTFOUND);
    struct tenure_v3_observer_options o = {.size = sizeof o, .on_leader = on_v3_leader, .user = &seen};
    tenure_v3_observer *observer = tenure_v3_observer_start(v, S("v3e"), &o, &err);
    await_flag(&seen.n);
    assert_string_equal(seen.key, leader->key.data);
    tenure_v3_observer_stop(observer);
    no_error(tenure_v3_resign(v, leader, 0, &err), &err);
    tenure_v3_leader_free(leader);
    no_error(tenure_lease_revoke(v, lease, &err), &err);
}

static void locks_of_all_kinds(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .wait_ms = -1, .delay_ms = 1000};
    tenure_lock *l = tenure_lock_acquire(v, "k", &o, &err);
    (void)c;
    assert_non_null(l);
    no_error(tenure_unlock(l, &err), &err);
    l = tenure_semaphore_acquire(v, "k", 1, 2, NULL, &err);
    assert_non_null(l);
    no_error(tenure_unlock(l, &err), &err);
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = "m1"},
                                            {.size = sizeof parts[0], .name = "m2", .mode = TENURE_LOCK_READ}};
    tenure_multilock *m = tenure_multilock_acquire(v, parts, 2, NULL, &err);
    assert_non_null(m);
    assert_int_equal(strncmp(tenure_multilock_key(m, 0), "/locks/m1/", 10), 0);
    no_error(tenure_multilock_unlock(m, &err), &err);
}

static void sessions(tenure_client *v, tenure_client *c)
{
    struct tenure_error err = {0};
    struct tenure_stats stats = {.size = sizeof stats};
    tenure_session *s = tenure_session_open(v, NULL, &err), *same = tenure_session_open(c, NULL, &err);
    assert_non_null(s);
    assert_non_null(same);
    assert_int_equal(tenure_session_lease(s), tenure_session_lease(same)); /* the handle's */
    struct tenure_put_options o = {.size = sizeof o, .lease = tenure_session_lease(s)};
    no_error(tenure_put(v, S("on session"), S("x"), &o, NULL, &err), &err);
    no_error(tenure_stats(v, &stats, &err), &err);
    assert_true(stats.calls > 0); /* the handle's, too */
    no_error(tenure_session_close(s, &err), &err);
    no_error(tenure_session_close(same, &err), &err);
}

#define IN_TWO(test, what)                                                                                             \
    static void test(void **state)                                                                                     \
    {                                                                                                                  \
        in_two(state, what);                                                                                           \
    }
IN_TWO(compare_and_set_stays_in_it, compare_and_set)
IN_TWO(exact_transactions_stay_in_it, exact_transaction)
IN_TWO(counters_and_ids_stay_in_it, numbers)
IN_TWO(transactional_memory_stays_in_it, memory)
IN_TWO(barriers_stay_in_it, barriers)
IN_TWO(queues_stay_in_it, queues)
IN_TWO(presences_and_groups_stay_in_it, groups)
IN_TWO(watched_groups_stay_in_it, watched_groups)
IN_TWO(a_scheduler_stays_in_it, scheduler)
IN_TWO(the_servers_own_locks_and_elections_stay_in_it, services)
IN_TWO(locks_of_all_kinds_stay_in_it, locks_of_all_kinds)
IN_TWO(a_session_is_the_handles, sessions)

struct end {
    atomic_int told;
    atomic_int called; /* close_start has returned */
    bool early;
    pthread_t thread;
};

static void on_view_closed(void *user)
{
    struct end *e = user;
    e->thread = pthread_self();
    atomic_store(&e->told, 1);
}

/* Within a callback, where nothing may be called back from within a call. */
static void close_the_view(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    void **both = user;
    struct end *e = both[1];
    (void)code, (void)err;
    tenure_get_free(r);
    tenure_close_start(both[0], on_view_closed, e);
    e->early = atomic_load(&e->told);
    atomic_store(&e->called, 1);
}

static void a_view_that_is_closed_tells_so_from_the_loop(void **state)
{
    tenure_client *c = open_on(*state), *v = view_on(c, "nsc/");
    struct tenure_error err = {0};
    struct end e = {0}, f = {0};
    void *both[] = {v, &e};
    no_error(tenure_get_start(v, S("x"), NULL, close_the_view, both, &err), &err);
    await_flag(&e.told);
    await_flag(&e.called);
    assert_false(e.early);
    tenure_close_start(view_on(c, "nsd/"), on_view_closed, &f);
    await_flag(&f.told);
    assert_false(pthread_equal(f.thread, pthread_self()));
    tenure_close_start(view_on(c, "nse/"), NULL, NULL);
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
    assert_int_equal(tenure_endpoints(v), server_members(*state));
    assert_non_null(strstr(server_url(*state), tenure_endpoint(v, 0)));
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
        cmocka_unit_test(compare_and_set_stays_in_it),
        cmocka_unit_test(exact_transactions_stay_in_it),
        cmocka_unit_test(counters_and_ids_stay_in_it),
        cmocka_unit_test(transactional_memory_stays_in_it),
        cmocka_unit_test(barriers_stay_in_it),
        cmocka_unit_test(queues_stay_in_it),
        cmocka_unit_test(presences_and_groups_stay_in_it),
        cmocka_unit_test(watched_groups_stay_in_it),
        cmocka_unit_test(a_scheduler_stays_in_it),
        cmocka_unit_test(the_servers_own_locks_and_elections_stay_in_it),
        cmocka_unit_test(locks_of_all_kinds_stay_in_it),
        cmocka_unit_test(a_session_is_the_handles),
        cmocka_unit_test(a_view_that_is_closed_tells_so_from_the_loop),
        cmocka_unit_test(what_concerns_the_handle_is_refused),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
