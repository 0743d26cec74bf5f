/* Keys and values through the blocking calls, on a real server. */
#include "lib.h"

static void a_value_that_was_put_is_got(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    struct tenure_get_result *g = NULL;
    struct tenure_put_options prev = {.size = sizeof prev, .prev_kv = true};
    no_error(tenure_put(c, S("kv/a"), S("one"), NULL, &p, &err), &err);
    int64_t first = p->revision;
    assert_false(p->has_prev_kv);
    tenure_put_free(p);
    no_error(tenure_put(c, S("kv/a"), S("two"), &prev, &p, &err), &err);
    assert_int_equal(p->revision, first + 1);
    assert_true(p->has_prev_kv);
    assert_string_equal(p->prev_kv.value.data, "one");
    tenure_put_free(p);
    no_error(tenure_get(c, S("kv/a"), NULL, &g, &err), &err);
    assert_int_equal(g->n_kvs, 1);
    assert_int_equal(g->kvs[0].create_revision, first);
    assert_int_equal(g->kvs[0].mod_revision, first + 1);
    assert_int_equal(g->kvs[0].version, 2);
    assert_string_equal(g->kvs[0].key.data, "kv/a");
    assert_string_equal(g->kvs[0].value.data, "two");
    tenure_get_free(g);
    tenure_close(c);
}

static void a_key_that_is_not_there_is_success_without_keys(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_get_result *g = NULL;
    no_error(tenure_get(c, S("kv/none"), NULL, &g, &err), &err);
    assert_int_equal(g->n_kvs, 0);
    assert_true(g->revision > 0);
    tenure_get_free(g);
    tenure_close(c);
}

static void ranges_are_limited_sorted_and_counted(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_get_result *g = NULL;
    put(c, "range/1", "");
    put(c, "range/2", "binary\n");
    put(c, "range/3", "x");
    put(c, "rangf", "outside");
    struct tenure_get_options o = {
        .size = sizeof o, .prefix = true, .limit = 2, .order = TENURE_ORDER_DESCEND, .sort = TENURE_SORT_KEY};
    no_error(tenure_get(c, S("range/"), &o, &g, &err), &err);
    assert_int_equal(g->n_kvs, 2);
    assert_int_equal(g->count, 3);
    assert_true(g->more);
    assert_string_equal(g->kvs[0].key.data, "range/3");
    assert_string_equal(g->kvs[1].value.data, "binary\n");
    tenure_get_free(g);
    o = (struct tenure_get_options){.size = sizeof o, .range_end = S("range/3"), .keys_only = true};
    no_error(tenure_get(c, S("range/2"), &o, &g, &err), &err);
    assert_int_equal(g->n_kvs, 1);
    assert_int_equal(g->kvs[0].value.len, 0);
    tenure_get_free(g);
    tenure_close(c);
}

static void deleting_answers_what_was_there(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_delete_result *d = NULL;
    put(c, "del/1", "a");
    put(c, "del/2", "b");
    struct tenure_delete_options o = {.size = sizeof o, .prefix = true, .prev_kv = true};
    no_error(tenure_delete(c, S("del/"), &o, &d, &err), &err);
    assert_int_equal(d->deleted, 2);
    assert_int_equal(d->n_prev_kvs, 2);
    assert_string_equal(d->prev_kvs[1].value.data, "b");
    tenure_delete_free(d);
    no_error(tenure_delete(c, S("del/"), &o, &d, &err), &err);
    assert_int_equal(d->deleted, 0);
    tenure_delete_free(d);
    tenure_close(c);
}

static void a_transaction_takes_the_branch_that_its_compares_choose(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    struct tenure_delete_options prev = {.size = sizeof prev, .prev_kv = true};
    put(c, "txn/a", "1");
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_value(t, S("txn/a"), TENURE_EQ, S("1"));
    tenure_if_version(t, S("txn/b"), TENURE_EQ, 0);
    tenure_then_put(t, S("txn/b"), S("2"), 0);
    tenure_then_get(t, S("txn/a"), NULL);
    tenure_then_delete(t, S("txn/a"), &prev);
    tenure_else_get(t, S("txn/b"), NULL);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err);
    assert_int_equal(r->outcome, TENURE_TXN_SUCCEEDED);
    assert_int_equal(r->n_ops, 3);
    assert_int_equal(r->ops[0].op, TENURE_OP_PUT);
    assert_int_equal(r->ops[0].put->revision, r->revision);
    assert_string_equal(r->ops[1].get->kvs[0].value.data, "1");
    assert_int_equal(r->ops[2].del->deleted, 1);
    assert_string_equal(r->ops[2].del->prev_kvs[0].key.data, "txn/a");
    tenure_txn_result_free(r);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err); /* a builder can be committed again */
    assert_int_equal(r->outcome, TENURE_TXN_FAILED);
    assert_int_equal(r->n_ops, 1);
    assert_string_equal(r->ops[0].get->kvs[0].value.data, "2");
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    tenure_close(c);
}

static void a_transaction_within_another_is_judged_and_answered_there(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    struct tenure_put_options prev = {.size = sizeof prev, .prev_kv = true};
    put(c, "nest/a", "1");
    tenure_txn *outer = tenure_txn_new(c), *inner = tenure_txn_new(c);
    tenure_if_value(inner, S("nest/a"), TENURE_EQ, S("9"));
    tenure_then_put(inner, S("nest/b"), S("no"), 0);
    tenure_else_put_with(inner, S("nest/a"), S("2"), &prev);
    tenure_then_put(outer, S("nest/c"), S("3"), 0);
    tenure_then_txn(outer, inner);
    tenure_txn_free(inner);
    no_error(tenure_txn_commit(outer, 0, &r, &err), &err);
    assert_int_equal(r->n_ops, 2);
    assert_int_equal(r->ops[1].op, TENURE_OP_TXN);
    const struct tenure_txn_result *in = r->ops[1].txn;
    assert_int_equal(in->outcome, TENURE_TXN_FAILED);
    assert_int_equal(in->revision, r->revision);
    assert_int_equal(in->n_ops, 1);
    assert_string_equal(in->ops[0].put->prev_kv.value.data, "1");
    tenure_txn_result_free(r);
    tenure_txn_free(outer);
    assert_null(get(c, "nest/b"));
    tenure_close(c);
}

static void a_compare_over_a_range_holds_for_every_key_there(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    struct tenure_compare all_new = {
        .size = sizeof all_new, .target = TENURE_TARGET_VERSION, .cmp = TENURE_EQ, .key = S("cmp/"), .prefix = true};
    all_new.number = 1;
    put(c, "cmp/1", "x");
    put(c, "cmp/2", "x");
    for (int round = 0; round < 2; round++) {
        tenure_txn *t = tenure_txn_new(c);
        tenure_if(t, &all_new);
        no_error(tenure_txn_commit(t, 0, &r, &err), &err);
        assert_int_equal(r->outcome, round == 0 ? TENURE_TXN_SUCCEEDED : TENURE_TXN_FAILED);
        tenure_txn_result_free(r);
        tenure_txn_free(t);
        put(c, "cmp/2", "again");
    }
    tenure_close(c);
}

static void transactions_lie_within_each_other_up_to_a_bound(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_txn *t = tenure_txn_new(c);
    int depth = 1, rc;
    while ((rc = tenure_txn_commit(t, 0, NULL, &err)) == 0) {
        tenure_txn *outer = tenure_txn_new(c);
        tenure_else_txn(outer, t);
        tenure_txn_free(t);
        t = outer;
        depth++;
        if (depth > 12)
            break;
    }
    assert_int_equal(rc, 0);
    for (; depth < 16; depth++) {
        tenure_txn *outer = tenure_txn_new(c);
        tenure_else_txn(outer, t);
        tenure_txn_free(t);
        t = outer;
    }
    tenure_txn *beyond = tenure_txn_new(c);
    tenure_then_txn(beyond, t);
    assert_int_equal(tenure_txn_commit(beyond, 0, NULL, &err), TENURE_EINVALID);
    tenure_txn_free(beyond);
    tenure_txn_free(t);
    tenure_close(c);
}

static void a_builder_keeps_its_first_error_until_the_commit(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_txn *t = tenure_txn_new(c);
    tenure_then_put(t, S(""), S("x"), 0);
    tenure_then_put(t, S("txn/never"), S("x"), 0);
    assert_int_equal(tenure_txn_commit(t, 0, NULL, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "empty"));
    assert_int_equal(tenure_txn_commit(NULL, 0, NULL, &err), TENURE_ENOMEM);
    assert_null(get(c, "txn/never"));
    tenure_txn_free(t);
    tenure_close(c);
}

static void errors_of_the_server_have_codes_and_kinds(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_options lease = {.size = sizeof lease, .lease = 12345};
    struct tenure_get_options future = {.size = sizeof future, .revision = 1 << 30};
    assert_int_equal(tenure_put(c, S("err/a"), S("x"), &lease, NULL, &err), TENURE_ENOTFOUND);
    assert_int_equal(err.kind, TENURE_KIND_NOT_FOUND);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_int_equal(tenure_get(c, S("err/a"), &future, NULL, &err), TENURE_EFUTURE);
    assert_int_equal(tenure_lease_revoke(c, 999, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_lease_keepalive(c, 999, NULL, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_compact(c, 1 << 30, false, 0, &err), TENURE_EFUTURE);
    tenure_close(c);
}

static void reading_below_a_compaction_says_so(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    put(c, "compact/a", "1");
    no_error(tenure_put(c, S("compact/a"), S("2"), NULL, &p, &err), &err);
    struct tenure_get_options old = {.size = sizeof old, .revision = p->revision - 1};
    no_error(tenure_compact(c, p->revision, true, 0, &err), &err);
    assert_int_equal(tenure_get(c, S("compact/a"), &old, NULL, &err), TENURE_ECOMPACTED);
    assert_int_equal(tenure_compact(c, p->revision, false, 0, &err), TENURE_ECOMPACTED);
    tenure_put_free(p);
    tenure_close(c);
}

static void what_cannot_be_asked_is_refused_with_words(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_get_options both = {.size = sizeof both, .prefix = true, .from_key = true};
    struct tenure_get_options no_size = {.limit = 1};
    struct {
        struct tenure_get_options o;
        int64_t newer;
    } newer = {.o = {.size = sizeof newer}};
    assert_int_equal(tenure_get(c, S(""), NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_get(c, S("a"), &both, NULL, &err), TENURE_EINVALID);
    assert_non_null(strstr(err.text, "prefix"));
    assert_int_equal(tenure_get(c, S("a"), &no_size, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_get(c, S("a"), &newer.o, NULL, &err), 0); /* a newer program that uses nothing new */
    newer.newer = 1;
    assert_int_equal(tenure_get(c, S("a"), &newer.o, NULL, &err), TENURE_EVERSION);
    assert_int_equal(tenure_put(NULL, S("a"), S("b"), NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_status(c, 7, 0, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_lease_grant(c, 0, 0, NULL, NULL, &err), TENURE_EINVALID);
    tenure_close(c);
}

static void leases_live_are_listed_and_take_their_keys_with_them(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_lease_info *info = NULL;
    struct tenure_lease_list *list = NULL;
    int64_t id = 0, ttl = 0;
    no_error(tenure_lease_grant(c, 60, 0, &id, &ttl, &err), &err);
    assert_true(id != 0);
    assert_int_equal(ttl, 60);
    assert_int_equal(tenure_lease_grant(c, 60, id, NULL, NULL, &err), TENURE_EEXISTS);
    struct tenure_put_options o = {.size = sizeof o, .lease = id};
    no_error(tenure_put(c, S("lease/a"), S("x"), &o, NULL, &err), &err);
    no_error(tenure_lease_keepalive(c, id, &ttl, &err), &err);
    assert_int_equal(ttl, 60);
    no_error(tenure_lease_ttl(c, id, true, &info, &err), &err);
    assert_int_equal(info->granted_ttl_s, 60);
    assert_int_equal(info->n_keys, 1);
    assert_string_equal(info->keys[0].data, "lease/a");
    tenure_lease_info_free(info);
    no_error(tenure_lease_list(c, &list, &err), &err);
    bool found = false;
    for (size_t i = 0; i < list->n; i++)
        found = found || list->ids[i] == id;
    assert_true(found);
    tenure_lease_list_free(list);
    no_error(tenure_lease_revoke(c, id, &err), &err);
    assert_null(get(c, "lease/a"));
    no_error(tenure_lease_ttl(c, id, false, &info, &err), &err);
    assert_int_equal(info->ttl_s, -1);
    tenure_lease_info_free(info);
    tenure_close(c);
}

static void servers_say_who_they_are(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_member_list *members = NULL;
    struct tenure_status *status = NULL;
    no_error(tenure_member_list(c, false, 0, &members, &err), &err);
    size_t n = server_members(*state), leaders = 0, known = 0;
    assert_int_equal(members->n, n);
    assert_true(members->members[0].n_client_urls >= 1);
    assert_int_equal(tenure_endpoints(c), n);
    assert_null(tenure_endpoint(c, n));
    for (size_t i = 0; i < n; i++) {
        assert_non_null(strstr(server_url(*state), tenure_endpoint(c, i)));
        no_error(tenure_status(c, i, 0, &status, &err), &err);
        assert_string_equal(status->endpoint, tenure_endpoint(c, i));
        assert_true(status->version[0] != 0);
        for (size_t k = 0; k < n; k++)
            known += status->member_id == members->members[k].id;
        leaders += status->leader == status->member_id;
        tenure_status_free(status);
    }
    assert_int_equal(known, n);
    assert_int_equal(leaders, 1);
    tenure_member_list_free(members);
    tenure_close(c);
}

/* ---- threads ---- */

#define THREADS 8
#define PUTS    100

struct worker {
    tenure_client *handle;
    int number, failures;
};

static void *work(void *arg)
{
    struct worker *w = arg;
    char key[32], value[32];
    for (int i = 0; i < PUTS; i++) {
        snprintf(key, sizeof key, "threads/%d/%d", w->number, i);
        snprintf(value, sizeof value, "%d", i);
        struct tenure_get_result *r = NULL;
        struct tenure_error err = {0};
        if (tenure_put(w->handle, S(key), S(value), NULL, NULL, &err) != 0) {
            fprintf(stderr, "put: %s\n", err.text);
            w->failures++;
        }
        w->failures += tenure_get(w->handle, S(key), NULL, &r, NULL) != 0 || r->n_kvs != 1 ||
                       strcmp(r->kvs[0].value.data, value) != 0;
        tenure_get_free(r);
    }
    return NULL;
}

static void many_threads_share_one_handle(void **state)
{
    tenure_client *c = open_on(*state);
    struct worker w[THREADS];
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct worker){.handle = c, .number = i};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &w[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(w[i].failures, 0);
    }
    tenure_close(c);
}

/* ---- completions on the handle's own thread ---- */

struct completion {
    tenure_client *handle;
    atomic_int done;
    int code, inner;
    int64_t revision;
};

static void on_got(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct completion *k = user;
    (void)err;
    k->code = code;
    k->revision = r ? r->kvs[0].mod_revision : 0;
    k->inner = tenure_get(k->handle, S("a"), NULL, NULL, NULL); /* must not wait for its own thread */
    tenure_get_free(r);
    atomic_store(&k->done, 1);
}

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    struct completion *k = user;
    (void)err;
    assert_int_equal(code, 0);
    tenure_put_free(r);
    assert_int_equal(tenure_get_start(k->handle, S("started/a"), NULL, on_got, k, NULL), 0);
}

static void a_completion_may_start_the_next_call_but_not_wait(void **state)
{
    struct completion k = {.handle = open_on(*state)};
    char value[] = "copied";
    assert_int_equal(tenure_put_start(k.handle, S("started/a"), S(value), NULL, on_put, &k, NULL), 0);
    memset(value, 'x', sizeof value - 1);
    await_flag(&k.done);
    assert_int_equal(k.code, 0);
    assert_int_equal(k.inner, TENURE_EINVALID);
    assert_true(k.revision > 0);
    char *now = get(k.handle, "started/a");
    assert_string_equal(now, "copied");
    free(now);
    tenure_close(k.handle);
}

static void on_txn(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err)
{
    struct completion *k = user;
    (void)err;
    k->code = code;
    k->revision = r->revision;
    tenure_txn_result_free(r);
    atomic_store(&k->done, 1);
}

static void a_started_transaction_does_not_need_its_builder_any_more(void **state)
{
    struct completion k = {.handle = open_on(*state)};
    struct tenure_get_options all = {.size = sizeof all, .prefix = true};
    tenure_txn *t = tenure_txn_new(k.handle);
    tenure_if_create_revision(t, S("started/none"), TENURE_EQ, 0);
    for (int i = 0; i < 20; i++) {
        char key[32];
        snprintf(key, sizeof key, "started/txn/%d", i);
        tenure_then_put(t, S(key), S("v"), 0);
        tenure_else_get(t, S(key), &all);
    }
    assert_int_equal(tenure_txn_start(t, 0, on_txn, &k, NULL), 0);
    tenure_txn_free(t);
    await_flag(&k.done);
    assert_int_equal(k.code, 0);
    char *value = get(k.handle, "started/txn/19");
    assert_string_equal(value, "v");
    free(value);
    tenure_close(k.handle);
}

/* More than gRPC itself lets a server take: it was refused before anybody looked at it, and is known not to have been applied. */
static void what_is_too_large_to_be_received_was_not_applied(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_bytes value = large_value('x', 4 << 20);
    assert_int_equal(tenure_put(c, S("large"), value, NULL, NULL, &err), TENURE_ETOOLARGE);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_null(get(c, "large"));
    free((void *)value.data);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_that_was_put_is_got),
        cmocka_unit_test(what_is_too_large_to_be_received_was_not_applied),
        cmocka_unit_test(a_key_that_is_not_there_is_success_without_keys),
        cmocka_unit_test(ranges_are_limited_sorted_and_counted),
        cmocka_unit_test(deleting_answers_what_was_there),
        cmocka_unit_test(a_transaction_takes_the_branch_that_its_compares_choose),
        cmocka_unit_test(a_transaction_within_another_is_judged_and_answered_there),
        cmocka_unit_test(a_compare_over_a_range_holds_for_every_key_there),
        cmocka_unit_test(transactions_lie_within_each_other_up_to_a_bound),
        cmocka_unit_test(a_builder_keeps_its_first_error_until_the_commit),
        cmocka_unit_test(errors_of_the_server_have_codes_and_kinds),
        cmocka_unit_test(reading_below_a_compaction_says_so),
        cmocka_unit_test(what_cannot_be_asked_is_refused_with_words),
        cmocka_unit_test(leases_live_are_listed_and_take_their_keys_with_them),
        cmocka_unit_test(servers_say_who_they_are),
        cmocka_unit_test(many_threads_share_one_handle),
        cmocka_unit_test(a_completion_may_start_the_next_call_but_not_wait),
        cmocka_unit_test(a_started_transaction_does_not_need_its_builder_any_more),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
