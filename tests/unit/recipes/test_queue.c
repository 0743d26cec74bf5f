/* The words of the queue: keys, requests, and answers, the wrong ones too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "recipes/queue.h"
#include "tenure/error.h"

static struct queue q;

static int begin(void **state)
{
    (void)state;
    return queue_init(&q, "/locks/x", NULL, 0x2a);
}

static int end(void **state)
{
    (void)state;
    queue_fini(&q);
    queue_fini(&q);
    return 0;
}

static void is_text(bytes got, const char *wanted)
{
    assert_int_equal(got.len, strlen(wanted));
    assert_memory_equal(got.data, wanted, got.len);
}

static void the_keys_are_those_of_etcds_own_clients(void **state)
{
    (void)state;
    is_text(q.path, "/locks/x");
    is_text(q.dir, "/locks/x/");
    is_text(q.dir_end, "/locks/x0");
    is_text(q.own, "/locks/x/2a");
    assert_true(bytes_equal(q.fence, bytes_of("/locks/x\0002a", 11)));
}

static void the_fence_is_outside_of_the_queue_and_of_every_other(void **state)
{
    (void)state;
    assert_false(bytes_has_prefix(q.fence, q.dir));
    assert_false(key_range_contains((struct key_range){q.dir, q.dir_end}, q.fence));
}

static void a_key_with_a_further_slash_does_not_count(void **state)
{
    (void)state;
    assert_true(queue_counts(&q, bytes_str("/locks/x/7")));
    assert_true(queue_counts(&q, bytes_str("/locks/x/")));
    assert_false(queue_counts(&q, bytes_str("/locks/x/y/7")));
    assert_false(queue_counts(&q, bytes_str("/locks/x")));
    assert_false(queue_counts(&q, bytes_str("/locks/xy/7")));
}

static void names_that_cannot_be_paths_are_refused(void **state)
{
    (void)state;
    struct tenure_error err;
    static char longest[QUEUE_NAME_MAX + 2];
    memset(longest, 'a', QUEUE_NAME_MAX + 1);
    assert_int_equal(queue_check_name("/locks/", "x", &err), 0);
    assert_int_equal(queue_check_name("/locks/", "a/b", &err), 0);
    assert_int_equal(queue_check_name("", "/locks/x", &err), 0);
    assert_int_equal(queue_check_name("/locks/", "", &err), TENURE_EINVALID);
    assert_int_equal(queue_check_name("/locks/", NULL, &err), TENURE_EINVALID);
    assert_int_equal(queue_check_name("/locks/", "x/", &err), TENURE_EINVALID);
    assert_int_equal(queue_check_name("/locks/", "/x", &err), TENURE_EINVALID);
    assert_int_equal(queue_check_name("/locks/", longest, &err), TENURE_EINVALID);
    longest[QUEUE_NAME_MAX] = 0;
    assert_int_equal(queue_check_name("", longest, &err), 0);
    assert_int_equal(queue_check_name("/", longest, &err), TENURE_EINVALID);
}

static void entering_puts_the_key_if_it_is_absent_and_the_fence_stands(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_enter(&q, bytes_str("me"), 9, false, &t);
    assert_int_equal(t.req.n_compares, 2);
    assert_int_equal(t.compares[0].target, COMPARE_CREATE);
    assert_int_equal(t.compares[0].number, 0);
    assert_true(bytes_equal(t.compares[0].range.key, q.own));
    assert_int_equal(t.compares[1].target, COMPARE_MOD);
    assert_int_equal(t.compares[1].number, 9);
    assert_true(bytes_equal(t.compares[1].range.key, q.fence));
    assert_int_equal(t.req.n_success, 2);
    assert_int_equal(t.success[1].kind, OP_PUT);
    assert_int_equal(t.success[1].put.lease, 0x2a);
    is_text(t.success[1].put.value, "me");
}

static void a_try_also_asks_for_an_empty_queue(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_enter(&q, bytes_str(""), 0, true, &t);
    assert_int_equal(t.req.n_compares, 3);
    assert_true(bytes_equal(t.compares[2].range.key, q.dir));
    assert_true(bytes_equal(t.compares[2].range.range_end, q.dir_end));
    assert_int_equal(t.req.n_failure, 3);
}

/* A transaction without a read in the branch that it takes is not linearizable on every server. */
static void verifying_reads_in_both_branches_and_writes_in_none(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_verify(&q, 7, false, &t);
    assert_false(txn_may_write(&t.req));
    assert_int_equal(t.req.n_success, 1);
    assert_int_equal(t.req.n_failure, 1);
    assert_false(t.success[0].range.serializable);
    assert_int_equal(t.success[0].range.max_create_revision, 6);
    assert_int_equal(t.success[0].range.limit, QUEUE_VIEW_MAX);
    queue_verify(&q, 7, true, &t);
    assert_int_equal(t.success[0].range.limit, 0);
}

static void leaving_is_bound_to_the_own_create_revision_M5(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_leave(&q, 7, &t);
    assert_int_equal(t.req.n_compares, 1);
    assert_int_equal(t.compares[0].number, 7);
    assert_int_equal(t.compares[0].target, COMPARE_CREATE);
    assert_int_equal(t.success[0].kind, OP_DELETE);
    assert_true(bytes_equal(t.success[0].del.range.key, q.own));
    assert_int_equal(t.success[0].del.range.range_end.len, 0);
}

/* ---- answers ---- */

static struct kv kv_of(const char *key, tn_rev create, tn_lease lease)
{
    return (struct kv){.key = bytes_str(key), .create_revision = create, .mod_revision = create, .lease = lease};
}

static struct response_op range_of(struct kv *kvs, size_t n, bool more)
{
    return (struct response_op){.kind = OP_RANGE, .range = {.kvs = kvs, .n_kvs = n, .more = more}};
}

static int entered(struct response_op *ops, size_t n, bool succeeded, bool only_first, struct queue_view *v)
{
    struct txn_resp r = {.revision = 50, .succeeded = succeeded, .responses = ops, .n_responses = n};
    return queue_entered(&q, &r, only_first, v, NULL);
}

static void who_enters_an_empty_queue_is_first(void **state)
{
    (void)state;
    struct queue_view v;
    struct response_op ops[] = {range_of(NULL, 0, false), {.kind = OP_PUT}};
    assert_int_equal(entered(ops, 2, true, false, &v), 0);
    assert_int_equal(v.answer, QUEUE_IN);
    assert_int_equal(v.create, 50);
    assert_int_equal(v.before.len, 0);
    assert_int_equal(v.below.len, 0);
}

static void who_enters_behind_others_waits_for_the_newest_that_counts(void **state)
{
    (void)state;
    struct queue_view v;
    struct kv kvs[] = {kv_of("/locks/x/y/1", 30, 1), kv_of("/locks/x/2", 20, 2), kv_of("/locks/x/3", 10, 3)};
    struct response_op ops[] = {range_of(kvs, 3, false), {.kind = OP_PUT}};
    assert_int_equal(entered(ops, 2, true, false, &v), 0);
    is_text(v.before, "/locks/x/2");
    is_text(v.below, "/locks/x/y/1");
    assert_false(v.look_at_all);
}

static void only_keys_that_do_not_count_and_more_of_them_is_no_answer_yet(void **state)
{
    (void)state;
    struct queue_view v;
    struct kv kvs[] = {kv_of("/locks/x/y/1", 30, 1)};
    struct response_op ops[] = {range_of(kvs, 1, true)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = 1};
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, NULL), 0);
    assert_int_equal(v.answer, QUEUE_IN);
    assert_true(v.look_at_all);
}

/* A permit of weight 2 and limit 5 among the keys given, newest first. */
static struct queue_view permit_sees(struct kv *kvs, size_t n, bool more)
{
    struct rule rule = {.kind = RULE_PERMIT, .weight = 2, .limit = 5, .number = 1};
    struct queue permit;
    struct queue_view v;
    struct response_op ops[] = {range_of(kvs, n, more)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = 1};
    assert_int_equal(queue_init(&permit, "/locks/x", &rule, 0x2a), 0);
    assert_int_equal(queue_verified(&permit, 40, false, &r, &v, NULL), 0);
    queue_fini(&permit);
    return v;
}

static void a_permit_holds_when_all_fit_waits_for_room_or_for_one_who_waits(void **state)
{
    (void)state;
    struct kv fit[] = {kv_of("/locks/x/permit.1.5.1.7", 20, 7), kv_of("/locks/x/permit.2.5.1.8", 10, 8)};
    struct kv full[] = {kv_of("/locks/x/permit.2.5.1.7", 20, 7), kv_of("/locks/x/permit.2.5.1.8", 10, 8)};
    struct kv over[] = {kv_of("/locks/x/permit.4.5.1.7", 20, 7), kv_of("/locks/x/permit.2.5.1.8", 10, 8)};
    struct queue_view v = permit_sees(fit, 2, false);
    assert_int_equal(v.before.len, 0);
    assert_false(v.look_at_all);
    v = permit_sees(full, 2, false);
    assert_int_equal(v.wait, QUEUE_WAIT_ROOM);
    assert_int_equal(v.taken, 4);
    assert_int_equal(v.room, 3);
    v = permit_sees(over, 2, false);
    assert_int_equal(v.wait, QUEUE_WAIT_CHANGED);
    is_text(v.before, "/locks/x/permit.4.5.1.7");
}

static void a_permit_that_does_not_see_all_concludes_only_what_is_sure(void **state)
{
    (void)state;
    struct kv few[] = {kv_of("/locks/x/permit.1.5.1.7", 20, 7)};
    struct kv over[] = {kv_of("/locks/x/permit.3.5.1.7", 20, 7), kv_of("/locks/x/permit.3.5.1.8", 10, 8)};
    struct kv mutex[] = {kv_of("/locks/x/7", 20, 7)};
    struct kv behind_mutex[] = {kv_of("/locks/x/permit.1.5.1.7", 20, 7), kv_of("/locks/x/8", 10, 8)};
    struct queue_view v = permit_sees(few, 1, true);
    assert_true(v.look_at_all);
    assert_int_equal(v.before.len, 0);
    v = permit_sees(over, 2, true);
    assert_false(v.look_at_all);
    assert_int_equal(v.wait, QUEUE_WAIT_CHANGED);
    v = permit_sees(mutex, 1, true);
    assert_false(v.look_at_all);
    assert_int_equal(v.wait, QUEUE_WAIT_GONE);
    v = permit_sees(behind_mutex, 2, true);
    assert_false(v.look_at_all);
    assert_int_equal(v.wait, QUEUE_WAIT_CHANGED);
}

/* Readers are not among what a reader asks for. */
static void a_reader_waits_for_the_newest_that_does_not_share(void **state)
{
    (void)state;
    struct rule rule = {.kind = RULE_READ, .number = 1};
    struct queue reader;
    struct queue_view v;
    struct kv low[] = {kv_of("/locks/x/7", 30, 7), kv_of("/locks/x/8", 10, 8)};
    struct kv high[] = {kv_of("/locks/x/s", 20, 9)};
    struct response_op ops[] = {range_of(low, 2, false), range_of(high, 1, false)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = 2};
    assert_int_equal(queue_init(&reader, "/locks/x", &rule, 0x2a), 0);
    is_text(reader.own, "/locks/x/read.1.2a");
    assert_int_equal(queue_verified(&reader, 40, false, &r, &v, NULL), 0);
    is_text(v.before, "/locks/x/7");
    assert_int_equal(v.wait, QUEUE_WAIT_CHANGED);
    low[0].value = bytes_str(RULE_SHARED_VALUE "}");
    assert_int_equal(queue_verified(&reader, 40, false, &r, &v, NULL), 0);
    is_text(v.before, "/locks/x/s");
    ops[0].range.more = ops[1].range.more = true;
    low[1].value = high[0].value = bytes_str(RULE_SHARED_VALUE "}");
    assert_int_equal(queue_verified(&reader, 40, false, &r, &v, NULL), 0);
    assert_true(v.look_at_all);
    ops[0].range.more = ops[1].range.more = false;
    assert_int_equal(queue_verified(&reader, 40, false, &r, &v, NULL), 0);
    assert_false(v.look_at_all);
    assert_int_equal(v.before.len, 0);
    assert_int_equal(queue_verified(&reader, 40, true, &r, &v, NULL), TENURE_EPROTOCOL);
    queue_fini(&reader);
}

static size_t the_second(void *user, const struct kv *before, size_t n)
{
    (void)before;
    *(size_t *)user = n;
    return n < 2 ? n : 1;
}

static void a_place_with_a_rule_of_its_own_is_shown_all_and_waits_for_whom_it_says(void **state)
{
    (void)state;
    size_t shown = 0;
    struct rule rule = {.kind = RULE_CUSTOM, .number = 1, .wait_for = the_second, .user = &shown};
    struct queue place;
    struct queue_view v;
    struct queue_txn t;
    struct kv kvs[] = {kv_of("/locks/x/7", 10, 7), kv_of("/locks/x/custom.1.8", 20, 8), kv_of("/locks/x/9", 30, 9)};
    struct response_op ops[] = {range_of(kvs, 3, false)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = 1};
    assert_int_equal(queue_init(&place, "/locks/x", &rule, 0x2a), 0);
    is_text(place.own, "/locks/x/custom.1.2a");
    queue_verify(&place, 40, false, &t);
    assert_int_equal(t.success[0].range.limit, 0);
    assert_int_equal(t.success[0].range.sort_order, SORT_ASCEND);
    assert_false(t.success[0].range.keys_only);
    assert_int_equal(queue_verified(&place, 40, false, &r, &v, NULL), 0);
    assert_int_equal(shown, 3);
    is_text(v.before, "/locks/x/custom.1.8");
    assert_int_equal(v.wait, QUEUE_WAIT_GONE);
    ops[0].range.n_kvs = 1;
    assert_int_equal(queue_verified(&place, 40, false, &r, &v, NULL), 0);
    assert_int_equal(v.before.len, 0);
    queue_fini(&place);
}

static void a_touch_writes_the_own_key_if_it_stands(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_verify(&q, 7, false, &t);
    queue_touch(&q, bytes_str("me"), &t);
    assert_int_equal(t.req.n_success, 2);
    assert_int_equal(t.success[1].kind, OP_PUT);
    assert_true(bytes_equal(t.success[1].put.key, q.own));
    assert_int_equal(t.success[1].put.lease, 0x2a);
    assert_int_equal(t.compares[0].target, COMPARE_CREATE);
    assert_int_equal(t.compares[0].number, 7);
}

/* ---- ranks ---- */

#define RANK(id) bytes_of("/locks/x\0rank/" id, 14 + sizeof(id) - 1)

static void the_rank_lies_outside_of_the_queue_beside_the_note(void **state)
{
    (void)state;
    assert_true(bytes_equal(q.rank, RANK("2a")));
    assert_true(bytes_equal(q.rank_all, RANK("")));
    assert_true(bytes_equal(q.rank_end, bytes_of("/locks/x\0rank0", 14)));
    assert_false(bytes_has_prefix(q.rank, q.dir));
    assert_false(key_range_contains((struct key_range){q.who_all, q.who_end}, q.rank));
}

static void the_rank_is_put_and_deleted_with_the_key(void **state)
{
    (void)state;
    struct queue_txn t;
    queue_enter(&q, bytes_str("me"), 9, false, &t);
    queue_note(&q, bytes_str("note"), &t);
    queue_put_rank(&q, bytes_str("5 10"), &t);
    assert_int_equal(t.req.n_success, 4);
    assert_true(bytes_equal(t.success[3].put.key, q.rank));
    assert_int_equal(t.success[3].put.lease, 0x2a);
    queue_leave_fenced(&q, 9, &t);
    queue_leave_note(&q, &t);
    queue_leave_rank(&q, &t);
    assert_int_equal(t.req.n_success, 4);
    assert_true(bytes_equal(t.success[3].del.range.key, q.rank));
}

static void only_one_below_0_asks_for_the_keys_behind_as_well(void **state)
{
    (void)state;
    struct queue_txn t;
    q.seeks = true;
    queue_verify(&q, 7, false, &t);
    assert_int_equal(t.req.n_success, 2);
    assert_true(bytes_equal(t.success[1].range.range.key, q.rank_all));
    assert_int_equal(t.success[1].range.min_mod_revision, 8);
    assert_int_equal(t.success[1].range.limit, QUEUE_RANKS_MAX);
    q.preference = -1;
    queue_verify(&q, 7, false, &t);
    assert_int_equal(t.req.n_success, 3);
    assert_true(bytes_equal(t.success[2].range.range.key, q.dir));
    assert_int_equal(t.success[2].range.min_create_revision, 8);
    assert_true(t.success[2].range.keys_only);
}

static struct kv rank_of(bytes key, const char *text, tn_rev mod)
{
    return (struct kv){.key = key, .value = bytes_str(text), .create_revision = 1, .mod_revision = mod};
}

/* The view of one with that preference, whose key was created at 40. */
static struct queue_view seen(int64_t preference, struct kv *ranks, size_t n_ranks, struct kv *behind, size_t n_behind)
{
    struct queue_view v;
    struct response_op ops[] = {range_of(NULL, 0, false), range_of(ranks, n_ranks, false),
                                range_of(behind, n_behind, false)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = preference < 0 ? 3 : 2};
    q.seeks = true;
    q.preference = preference;
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, NULL), 0);
    return v;
}

static void better_is_who_has_a_strictly_greater_preference_and_waits_behind(void **state)
{
    (void)state;
    struct kv ranks[] = {rank_of(RANK("3"), "5 10", 45), rank_of(RANK("4"), "7 60", 30),
                         rank_of(RANK("5"), "6 20", 46)};
    struct queue_view v = seen(4, ranks, 3, NULL, 0);
    assert_true(v.better);
    assert_int_equal(v.better_ttl_s, 20);
    v = seen(5, ranks, 2, NULL, 0);
    assert_false(v.better); /* an equal one, and a better one that was before */
    assert_false(seen(6, ranks, 3, NULL, 0).better);
    assert_false(seen(0, NULL, 0, NULL, 0).better);
}

static void who_states_nothing_is_better_than_one_below_0(void **state)
{
    (void)state;
    struct kv ranks[] = {rank_of(RANK("3"), "-5 10", 45)};
    struct kv ranked[] = {kv_of("/locks/x/3", 45, 3)},
              plain[] = {kv_of("/locks/x/3", 45, 3), kv_of("/locks/x/4", 46, 4)};
    struct kv longer[] = {kv_of("/locks/x/y/4", 46, 4)}, before[] = {kv_of("/locks/x/4", 20, 4)};
    assert_false(seen(-1, ranks, 1, ranked, 1).better);
    assert_true(seen(-1, ranks, 1, plain, 2).better);
    assert_false(seen(-1, NULL, 0, longer, 1).better);
    assert_false(seen(-1, NULL, 0, before, 1).better);
    assert_true(seen(-6, ranks, 1, ranked, 1).better);
}

static void an_answer_without_the_ranks_asked_for_is_none(void **state)
{
    (void)state;
    struct queue_view v;
    struct tenure_error err;
    struct response_op ops[] = {range_of(NULL, 0, false), {.kind = OP_PUT}, range_of(NULL, 0, false)};
    struct txn_resp r = {.revision = 50, .succeeded = true, .responses = ops, .n_responses = 1};
    q.seeks = true;
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, &err), TENURE_EPROTOCOL);
    r.n_responses = 2;
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, &err), TENURE_EPROTOCOL);
    q.preference = -1;
    r.n_responses = 3;
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, &err), TENURE_EPROTOCOL);
    ops[1] = range_of(NULL, 0, false);
    assert_int_equal(queue_verified(&q, 40, false, &r, &v, &err), 0);
}

static void what_else_an_enter_may_be_told(void **state)
{
    (void)state;
    struct queue_view v;
    struct kv own = kv_of("/locks/x/2a", 7, 0x2a), strange = kv_of("/locks/x/2a", 8, 9), fence = kv_of("f", 33, 0x2a);
    struct kv other = kv_of("/locks/x/3", 10, 3);
    struct response_op none = range_of(NULL, 0, false);
    struct response_op was_in[] = {range_of(&own, 1, false), none}, foreign[] = {range_of(&strange, 1, false), none};
    struct response_op moved[] = {none, range_of(&fence, 1, false)}, purged[] = {none, none};
    struct response_op taken[] = {none, none, range_of(&other, 1, false)};
    assert_int_equal(entered(was_in, 2, false, false, &v), 0);
    assert_int_equal(v.answer, QUEUE_WAS_IN);
    assert_int_equal(v.create, 7);
    assert_int_equal(entered(foreign, 2, false, false, &v), 0);
    assert_int_equal(v.answer, QUEUE_FOREIGN);
    assert_int_equal(entered(moved, 2, false, false, &v), 0);
    assert_int_equal(v.answer, QUEUE_MOVED);
    assert_int_equal(v.fence, 33);
    assert_int_equal(entered(purged, 2, false, false, &v), 0);
    assert_int_equal(v.answer, QUEUE_MOVED);
    assert_int_equal(v.fence, 0);
    assert_int_equal(entered(taken, 3, false, true, &v), 0);
    assert_int_equal(v.answer, QUEUE_TAKEN);
    is_text(v.before, "/locks/x/3");
}

/* Every number and kind of responses that does not belong to the request. */
static void answers_to_something_else_are_protocol_errors(void **state)
{
    (void)state;
    struct queue_view v;
    struct tenure_error err;
    for (size_t n = 0; n <= 4; n++)
        for (unsigned kinds = 0; kinds < 625; kinds++) {
            struct response_op ops[4] = {0};
            unsigned k = kinds;
            for (size_t i = 0; i < 4; i++, k /= 5)
                ops[i].kind = (enum op_kind)(k % 5);
            struct txn_resp r = {.revision = 50, .responses = ops, .n_responses = n};
            bool ranges = n >= 1 && ops[0].kind == OP_RANGE;
            assert_int_equal(queue_entered(&q, &r, false, &v, &err),
                             n == 2 && ranges && ops[1].kind == OP_RANGE ? 0 : TENURE_EPROTOCOL);
            assert_int_equal(queue_verified(&q, 1, false, &r, &v, &err), n == 1 && ranges ? 0 : TENURE_EPROTOCOL);
            assert_int_equal(queue_left_fenced(&q, &r, &v, &err), n == 1 && ranges ? 0 : TENURE_EPROTOCOL);
            assert_int_equal(queue_proclaimed(&q, 1, &r, &v, &err), n == 1 && ranges ? 0 : TENURE_EPROTOCOL);
            r.succeeded = true;
            assert_int_equal(queue_entered(&q, &r, false, &v, &err),
                             n == 2 && ranges && ops[1].kind == OP_PUT ? 0 : TENURE_EPROTOCOL);
            assert_int_equal(queue_verified(&q, 1, false, &r, &v, &err), n == 1 && ranges ? 0 : TENURE_EPROTOCOL);
        }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_keys_are_those_of_etcds_own_clients),
        TEST(the_fence_is_outside_of_the_queue_and_of_every_other),
        TEST(a_key_with_a_further_slash_does_not_count),
        TEST(names_that_cannot_be_paths_are_refused),
        TEST(entering_puts_the_key_if_it_is_absent_and_the_fence_stands),
        TEST(a_try_also_asks_for_an_empty_queue),
        TEST(verifying_reads_in_both_branches_and_writes_in_none),
        TEST(leaving_is_bound_to_the_own_create_revision_M5),
        TEST(who_enters_an_empty_queue_is_first),
        TEST(who_enters_behind_others_waits_for_the_newest_that_counts),
        TEST(only_keys_that_do_not_count_and_more_of_them_is_no_answer_yet),
        TEST(a_permit_holds_when_all_fit_waits_for_room_or_for_one_who_waits),
        TEST(a_permit_that_does_not_see_all_concludes_only_what_is_sure),
        TEST(a_reader_waits_for_the_newest_that_does_not_share),
        TEST(a_place_with_a_rule_of_its_own_is_shown_all_and_waits_for_whom_it_says),
        TEST(a_touch_writes_the_own_key_if_it_stands),
        TEST(the_rank_lies_outside_of_the_queue_beside_the_note),
        TEST(the_rank_is_put_and_deleted_with_the_key),
        TEST(only_one_below_0_asks_for_the_keys_behind_as_well),
        TEST(better_is_who_has_a_strictly_greater_preference_and_waits_behind),
        TEST(who_states_nothing_is_better_than_one_below_0),
        TEST(an_answer_without_the_ranks_asked_for_is_none),
        TEST(what_else_an_enter_may_be_told),
        TEST(answers_to_something_else_are_protocol_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
