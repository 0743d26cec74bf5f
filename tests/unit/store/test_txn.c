/* txn: compares, paths, what operations of one transaction see of one another, and what is refused. */
#include "world.h"

#include "tenure/error.h"

static int setup(void **state)
{
    static struct world w;
    world_open(&w, NULL);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    world_close(*state);
    return 0;
}

#include "base/buf.h"

/* ---- requests in few words ---- */

static struct request_op op_put(const char *key, const char *value)
{
    return (struct request_op){.kind = OP_PUT, .put = {.key = bytes_str(key), .value = bytes_str(value)}};
}

static struct request_op op_del(const char *key, const char *range_end)
{
    return (struct request_op){.kind = OP_DELETE, .del = {.range = range_of(key, range_end)}};
}

static struct request_op op_get(const char *key, const char *range_end, tn_rev revision)
{
    return (struct request_op){.kind = OP_RANGE, .range = {.range = range_of(key, range_end), .revision = revision}};
}

static struct request_op op_txn(struct txn_req *t)
{
    return (struct request_op){.kind = OP_TXN, .txn = t};
}

#define OPS(...) (struct request_op[]){__VA_ARGS__}, ARRAY_LEN(((struct request_op[]){__VA_ARGS__}))

static struct txn_req then(struct request_op *ops, size_t n)
{
    return (struct txn_req){.success = ops, .n_success = n};
}

static struct compare number(int32_t target, int32_t result, const char *key, int64_t n)
{
    return (struct compare){.target = target, .result = result, .range = range_of(key, NULL), .number = n};
}

static struct compare value_is(const char *key, const char *value)
{
    return (struct compare){.target = COMPARE_VALUE, .range = range_of(key, NULL), .value = bytes_str(value)};
}

static enum etcd_error run(struct world *w, struct txn_req t, struct txn_resp *ret)
{
    struct txn_resp resp;
    return store_txn(w->s, &t, &w->a, ret ? ret : &resp, &w->seq);
}

static const char *kvs_text(struct world *w, const struct range_resp *r)
{
    struct buf b;
    buf_init(&b);
    for (size_t i = 0; i < r->n_kvs; i++)
        buf_printf(&b, "%s%.*s=%.*s", i ? " " : "", (int)r->kvs[i].key.len, (const char *)r->kvs[i].key.data,
                   (int)r->kvs[i].value.len, (const char *)r->kvs[i].value.data);
    buf_append_byte(&b, 0);
    const char *text = arena_strdup(&w->a, (const char *)b.data);
    buf_fini(&b);
    return text;
}

static bool holds(struct world *w, struct compare c)
{
    struct txn_resp resp;
    struct txn_req t = {.compares = &c, .n_compares = 1};
    assert_int_equal(run(w, t, &resp), ETCD_OK);
    return resp.succeeded;
}

/* ---- compares ---- */

static void a_compare_reads_each_target(void **state)
{
    struct world *w = *state;
    grant(w, 9, 10);
    put(w, "a", "m");
    put_lease(w, "a", "m", 9);
    world_commit(w);
    assert_true(holds(w, number(COMPARE_VERSION, COMPARE_EQUAL, "a", 2)));
    assert_true(holds(w, number(COMPARE_CREATE, COMPARE_EQUAL, "a", 2)));
    assert_true(holds(w, number(COMPARE_MOD, COMPARE_EQUAL, "a", 3)));
    assert_true(holds(w, number(COMPARE_LEASE, COMPARE_EQUAL, "a", 9)));
    assert_true(holds(w, number(COMPARE_MOD, COMPARE_GREATER, "a", 2)));
    assert_false(holds(w, number(COMPARE_MOD, COMPARE_GREATER, "a", 3)));
    assert_true(holds(w, number(COMPARE_MOD, COMPARE_LESS, "a", 4)));
    assert_true(holds(w, number(COMPARE_MOD, COMPARE_NOT_EQUAL, "a", 4)));
    assert_true(holds(w, value_is("a", "m")));
    assert_false(holds(w, value_is("a", "")));
}

static void a_missing_key_compares_as_0_but_never_by_value(void **state)
{
    struct world *w = *state;
    assert_true(holds(w, number(COMPARE_CREATE, COMPARE_EQUAL, "x", 0)));
    assert_true(holds(w, number(COMPARE_LEASE, COMPARE_LESS, "x", 1)));
    assert_false(holds(w, value_is("x", "")));
    struct compare c = value_is("x", "a");
    c.result = COMPARE_NOT_EQUAL;
    assert_false(holds(w, c));
}

static void a_compare_of_a_range_must_hold_for_each_key(void **state)
{
    struct world *w = *state;
    put(w, "a", "1"); /* 2 */
    put(w, "b", "1"); /* 3 */
    world_commit(w);
    struct compare c = number(COMPARE_MOD, COMPARE_LESS, "a", 4);
    c.range = range_of("a", "c");
    assert_true(holds(w, c));
    c.number = 3;
    assert_false(holds(w, c));
    c.range = range_of("x", "z");
    assert_true(holds(w, c));
}

static void numbers_that_are_not_known_hold(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    world_commit(w);
    assert_true(holds(w, number(77, COMPARE_EQUAL, "a", 5)));
    assert_true(holds(w, number(COMPARE_VERSION, 77, "a", 5)));
    assert_true(holds(w, number(-1, -1, "a", 5)));
}

static void all_compares_must_hold(void **state)
{
    struct world *w = *state;
    struct compare both[] = {number(COMPARE_VERSION, COMPARE_EQUAL, "a", 0),
                             number(COMPARE_VERSION, COMPARE_EQUAL, "b", 1)};
    struct txn_req t = then(OPS(op_put("a", "yes")));
    struct request_op no = op_put("a", "no");
    t.compares = both;
    t.n_compares = 2;
    t.failure = &no;
    t.n_failure = 1;
    struct txn_resp resp;
    assert_int_equal(run(w, t, &resp), ETCD_OK);
    assert_false(resp.succeeded);
    world_commit(w);
    assert_string_equal(get(w, "a", NULL, 0), "a=no");
}

/* ---- what operations see ---- */

static void operations_see_those_before_them_in_one_revision(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    put(w, "b", "1");
    struct txn_req t =
        then(OPS(op_get("a", "z", 0), op_put("a", "2"), op_del("b", NULL), op_get("a", "z", 0), op_put("c", "3")));
    struct txn_resp resp;
    assert_int_equal(run(w, t, &resp), ETCD_OK);
    assert_true(resp.succeeded);
    assert_int_equal(resp.revision, 4);
    assert_int_equal(resp.n_responses, 5);
    assert_string_equal(kvs_text(w, &resp.responses[0].range), "a=1 b=1");
    assert_int_equal(resp.responses[0].range.revision, 3);
    assert_int_equal(resp.responses[1].put.revision, 4);
    assert_int_equal(resp.responses[2].del.deleted, 1);
    assert_string_equal(kvs_text(w, &resp.responses[3].range), "a=2");
    assert_int_equal(resp.responses[3].range.revision, 4);
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "a=2 c=3");
    for (int64_t sub = 0; sub < 3; sub++) {
        struct record *r = world_row(w, w->seq - 2 + sub);
        assert_int_equal(r->main, 4);
        assert_int_equal(r->sub, sub);
        assert_int_equal(r->last_of_command, sub == 2);
    }
}

static void nested_compares_are_judged_on_the_state_before(void **state)
{
    struct world *w = *state;
    struct compare absent = number(COMPARE_VERSION, COMPARE_EQUAL, "a", 0);
    struct request_op yes = op_put("b", "yes"), no = op_put("b", "no");
    struct txn_req nested = {
        .compares = &absent, .n_compares = 1, .success = &yes, .n_success = 1, .failure = &no, .n_failure = 1};
    struct txn_req t = then(OPS(op_put("a", "1"), op_txn(&nested), op_txn(&nested)));
    t.n_success = 2;
    struct txn_resp resp;
    assert_int_equal(run(w, t, &resp), ETCD_OK);
    assert_true(resp.responses[1].txn->succeeded);
    assert_int_equal(resp.responses[1].txn->n_responses, 1);
    assert_int_equal(resp.responses[1].txn->responses[0].put.revision, 2);
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "a=1 b=yes");
}

/* ---- what kind of command it is ---- */

static void a_transaction_that_cannot_write_is_a_read_of_what_is_durable(void **state)
{
    struct world *w = *state;
    put(w, "a", "durable");
    world_commit(w);
    put(w, "a", "planned");
    struct txn_resp resp;
    struct txn_req nested = then(OPS(op_get("a", NULL, 0)));
    assert_int_equal(run(w, then(OPS(op_txn(&nested))), &resp), ETCD_OK);
    assert_int_equal(w->seq, 0);
    assert_int_equal(resp.revision, 2);
    assert_string_equal(kvs_text(w, &resp.responses[0].txn->responses[0].range), "a=durable");
}

static void one_that_may_write_is_judged_on_what_is_planned_and_waits(void **state)
{
    struct world *w = *state;
    put(w, "a", "planned");
    struct compare c = value_is("a", "durable");
    struct txn_req t = then(OPS(op_put("a", "x")));
    t.compares = &c;
    t.n_compares = 1;
    struct txn_resp resp;
    assert_int_equal(run(w, t, &resp), ETCD_OK);
    assert_false(resp.succeeded);
    assert_int_equal(w->seq, store_seq_planned(w->s));
    assert_true(w->seq > store_seq(w->s));
    assert_int_equal(resp.revision, 2);
}

static void writes_without_effect_keep_the_revision(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    struct txn_resp resp;
    tn_seq before = store_seq_planned(w->s);
    assert_int_equal(run(w, then(OPS(op_del("x", "z"))), &resp), ETCD_OK);
    assert_int_equal(resp.revision, 2);
    assert_int_equal(resp.responses[0].del.revision, 2);
    assert_int_equal(store_seq_planned(w->s), before);
}

static void an_empty_transaction_succeeds(void **state)
{
    struct world *w = *state;
    struct txn_resp resp;
    assert_int_equal(run(w, (struct txn_req){0}, &resp), ETCD_OK);
    assert_true(resp.succeeded);
    assert_int_equal(resp.n_responses, 0);
    assert_int_equal(resp.revision, 1);
}

/* ---- what is refused ---- */

static void a_check_that_fails_undoes_the_whole(void **state)
{
    struct world *w = *state;
    put(w, "a", "1");
    struct request_op bad = op_put("b", "x");
    bad.put.lease = 5;
    assert_int_equal(run(w, then(OPS(op_put("a", "2"), bad)), NULL), ETCD_LEASE_NOT_FOUND);
    assert_int_equal(run(w, then(OPS(op_put("a", "2"), op_get("a", NULL, 3))), NULL), ETCD_FUTURE_REV);
    bad = op_put("b", "");
    bad.put.ignore_value = true;
    assert_int_equal(run(w, then(OPS(op_put("a", "2"), bad)), NULL), ETCD_KEY_NOT_FOUND);
    world_commit(w);
    assert_string_equal(get(w, "a", "z", 0), "a=1");
    assert_int_equal(store_revision_planned(w->s), 2);
}

static void only_the_path_that_runs_is_checked(void **state)
{
    struct world *w = *state;
    struct request_op bad = op_put("b", "x");
    bad.put.lease = 5;
    struct txn_req t = then(OPS(op_put("a", "1")));
    t.failure = &bad;
    t.n_failure = 1;
    assert_int_equal(run(w, t, NULL), ETCD_OK);
}

static void a_read_below_the_compaction_is_refused_inside_too(void **state)
{
    struct world *w = *state;
    for (int i = 0; i < 4; i++)
        put(w, "a", "x");
    compact(w, 4);
    assert_int_equal(run(w, then(OPS(op_put("b", "1"), op_get("a", NULL, 3))), NULL), ETCD_COMPACTED);
    assert_int_equal(run(w, then(OPS(op_put("b", "1"), op_get("a", NULL, -9))), NULL), ETCD_COMPACTED);
    assert_int_equal(run(w, then(OPS(op_put("b", "1"), op_get("a", NULL, 4))), NULL), ETCD_OK);
    world_commit(w);
    assert_int_equal(run(w, then(OPS(op_get("a", NULL, 3))), NULL), ETCD_COMPACTED);
    assert_int_equal(run(w, then(OPS(op_get("a", NULL, 99))), NULL), ETCD_FUTURE_REV);
}

static void requests_are_checked_on_both_branches(void **state)
{
    struct world *w = *state;
    struct txn_req t = then(OPS(op_put("a", "1")));
    struct request_op bad = {.kind = OP_NONE};
    t.failure = &bad;
    t.n_failure = 1;
    assert_int_equal(run(w, t, NULL), ETCD_KEY_NOT_FOUND);
    bad = op_put("", "1");
    assert_int_equal(run(w, t, NULL), ETCD_EMPTY_KEY);
    bad = op_get("", NULL, 0);
    assert_int_equal(run(w, t, NULL), ETCD_EMPTY_KEY);
    bad = op_del("", NULL);
    assert_int_equal(run(w, t, NULL), ETCD_EMPTY_KEY);
    struct compare c = number(COMPARE_MOD, COMPARE_EQUAL, "", 0);
    bad = op_put("b", "1");
    t.compares = &c;
    t.n_compares = 1;
    assert_int_equal(run(w, t, NULL), ETCD_EMPTY_KEY);
    assert_int_equal(w->seq, 0);
}

static void the_longest_list_counts_against_the_budget(void **state)
{
    struct world *w = *state;
    struct request_op many[129];
    for (size_t i = 0; i < 129; i++)
        many[i] = op_get("a", NULL, 0);
    assert_int_equal(run(w, then(many, 128), NULL), ETCD_OK);
    assert_int_equal(run(w, then(many, 129), NULL), ETCD_TOO_MANY_OPS);
    struct txn_req t = {.failure = many, .n_failure = 129};
    assert_int_equal(run(w, t, NULL), ETCD_TOO_MANY_OPS);
    struct txn_req nested = then(many, 127);
    assert_int_equal(run(w, then(OPS(op_txn(&nested))), NULL), ETCD_OK);
    nested.n_success = 128;
    assert_int_equal(run(w, then(OPS(op_txn(&nested))), NULL), ETCD_TOO_MANY_OPS);
}

static void a_nest_deeper_than_the_budget_is_refused_without_deep_recursion(void **state)
{
    struct world *w = *state;
    enum { DEPTH = 300 };
    static struct txn_req t[DEPTH];
    static struct request_op op[DEPTH];
    for (size_t i = 0; i < DEPTH; i++) {
        op[i] = i + 1 < DEPTH ? op_txn(&t[i + 1]) : op_get("a", NULL, 0);
        t[i] = (struct txn_req){.success = &op[i], .n_success = 1};
    }
    assert_int_equal(run(w, t[0], NULL), ETCD_TOO_MANY_OPS);
    assert_int_equal(run(w, t[DEPTH - 128], NULL), ETCD_OK);
    world_close(w);
    world_open(w, &(struct store_config){.txn_ops_max = 1000000});
    assert_int_equal(run(w, t[0], NULL), ETCD_TOO_MANY_OPS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_compare_reads_each_target, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_key_compares_as_0_but_never_by_value, setup, teardown),
        cmocka_unit_test_setup_teardown(a_compare_of_a_range_must_hold_for_each_key, setup, teardown),
        cmocka_unit_test_setup_teardown(numbers_that_are_not_known_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(all_compares_must_hold, setup, teardown),
        cmocka_unit_test_setup_teardown(operations_see_those_before_them_in_one_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(nested_compares_are_judged_on_the_state_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_that_cannot_write_is_a_read_of_what_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(one_that_may_write_is_judged_on_what_is_planned_and_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_without_effect_keep_the_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(an_empty_transaction_succeeds, setup, teardown),
        cmocka_unit_test_setup_teardown(a_check_that_fails_undoes_the_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(only_the_path_that_runs_is_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_below_the_compaction_is_refused_inside_too, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_are_checked_on_both_branches, setup, teardown),
        cmocka_unit_test_setup_teardown(the_longest_list_counts_against_the_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(a_nest_deeper_than_the_budget_is_refused_without_deep_recursion, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
