/* Results: one allocation each, all in it, with a 0 behind each run of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "failmalloc.h"
#include "lib/result.h"

static struct kv kv(const char *key, const char *value, tn_rev revision)
{
    return (struct kv){.key = bytes_str(key),
                       .value = bytes_str(value),
                       .create_revision = revision,
                       .mod_revision = revision + 1,
                       .version = 2,
                       .lease = 7};
}

static void check_kv(const struct tenure_kv *got, const char *key, const char *value, tn_rev revision)
{
    assert_int_equal(got->key.len, strlen(key));
    assert_string_equal(got->key.data, key);
    assert_int_equal(got->value.len, strlen(value));
    assert_string_equal(got->value.data, value);
    assert_int_equal(got->create_revision, revision);
    assert_int_equal(got->mod_revision, revision + 1);
    assert_int_equal(got->version, 2);
    assert_int_equal(got->lease, 7);
}

static void a_get_holds_its_keys(void **state)
{
    (void)state;
    struct kv kvs[] = {kv("a", "1", 5), kv("bc", "", 6), kv("", "xyz", 7)};
    struct range_resp r = {.revision = 9, .kvs = kvs, .n_kvs = 3, .more = true, .count = 11};
    struct tenure_get_result *got = result_get(&r);
    assert_int_equal(got->revision, 9);
    assert_int_equal(got->count, 11);
    assert_true(got->more);
    assert_int_equal(got->n_kvs, 3);
    check_kv(&got->kvs[0], "a", "1", 5);
    check_kv(&got->kvs[1], "bc", "", 6);
    check_kv(&got->kvs[2], "", "xyz", 7);
    tenure_get_free(got);
}

static void bytes_may_hold_zeros(void **state)
{
    (void)state;
    struct kv one = {.key = bytes_of("a\0b", 3), .value = bytes_of(NULL, 0)};
    struct range_resp r = {.kvs = &one, .n_kvs = 1};
    struct tenure_get_result *got = result_get(&r);
    assert_int_equal(got->kvs[0].key.len, 3);
    assert_memory_equal(got->kvs[0].key.data, "a\0b", 4);
    assert_string_equal(got->kvs[0].value.data, "");
    tenure_get_free(got);
}

static struct txn_resp transaction(struct response_op *ops, struct kv *one)
{
    *one = kv("k", "v", 3);
    ops[0] = (struct response_op){.kind = OP_RANGE, .range = {.kvs = one, .n_kvs = 1, .count = 1}};
    ops[1] = (struct response_op){.kind = OP_PUT, .put = {.revision = 8, .has_prev_kv = true, .prev_kv = *one}};
    ops[2] = (struct response_op){.kind = OP_DELETE, .del = {.deleted = 2, .prev_kvs = one, .n_prev_kvs = 1}};
    ops[3] = (struct response_op){.kind = OP_NONE};
    return (struct txn_resp){.revision = 8, .succeeded = true, .responses = ops, .n_responses = 4};
}

static void a_transaction_holds_the_answers_of_its_operations(void **state)
{
    (void)state;
    struct kv one;
    struct response_op ops[4];
    struct txn_resp r = transaction(ops, &one);
    struct tenure_txn_result *got = result_txn(&r);
    assert_int_equal(got->outcome, TENURE_TXN_SUCCEEDED);
    assert_int_equal(got->revision, 8);
    assert_int_equal(got->n_ops, 4);
    assert_int_equal(got->ops[0].op, TENURE_OP_GET);
    check_kv(&got->ops[0].get->kvs[0], "k", "v", 3);
    assert_null(got->ops[0].put);
    assert_int_equal(got->ops[1].op, TENURE_OP_PUT);
    check_kv(&got->ops[1].put->prev_kv, "k", "v", 3);
    assert_int_equal(got->ops[2].del->deleted, 2);
    check_kv(&got->ops[2].del->prev_kvs[0], "k", "v", 3);
    assert_int_equal(got->ops[3].op, 0); /* what was not asked for */
    tenure_txn_result_free(got);
}

static void leases_members_and_status_hold_their_lists(void **state)
{
    (void)state;
    bytes strings[] = {bytes_str("one"), bytes_str(""), bytes_str("three")};
    tn_lease ids[] = {3, 1};
    struct member member = {.id = 4,
                            .name = bytes_str("m"),
                            .peer_urls = strings,
                            .n_peer_urls = 2,
                            .client_urls = strings,
                            .n_client_urls = 3};
    struct lease_ttl_resp ttl = {.id = 1, .ttl_s = -1, .granted_ttl_s = 5, .keys = strings, .n_keys = 3};
    struct lease_list_resp list = {.ids = ids, .n_ids = 2};
    struct member_list_resp members = {.members = &member, .n_members = 1};
    struct status_resp status = {.version = bytes_str("3.5"), .errors = strings, .n_errors = 1, .leader = 6};
    struct response_header header = {.cluster_id = 8, .member_id = 6, .revision = 10};

    struct tenure_lease_info *info = result_lease(&ttl);
    assert_int_equal(info->n_keys, 3);
    assert_string_equal(info->keys[2].data, "three");
    assert_int_equal(info->ttl_s, -1);
    tenure_lease_info_free(info);
    struct tenure_lease_list *leases = result_leases(&list);
    assert_int_equal(leases->n, 2);
    assert_int_equal(leases->ids[1], 1);
    tenure_lease_list_free(leases);
    struct tenure_member_list *ms = result_members(&members, 8, 9);
    assert_int_equal(ms->cluster_id, 8);
    assert_string_equal(ms->members[0].name, "m");
    assert_int_equal(ms->members[0].n_peer_urls, 2);
    assert_string_equal(ms->members[0].peer_urls[0], "one");
    assert_string_equal(ms->members[0].client_urls[2], "three");
    tenure_member_list_free(ms);
    struct tenure_status *st = result_status(&status, &header, "http://h:1");
    assert_string_equal(st->endpoint, "http://h:1");
    assert_string_equal(st->version, "3.5");
    assert_int_equal(st->revision, 10);
    assert_int_equal(st->member_id, 6);
    assert_int_equal(st->leader, 6);
    assert_string_equal(st->errors[0], "one");
    tenure_status_free(st);
}

static int make_a_transaction(void *user)
{
    struct kv one;
    struct response_op ops[4];
    struct txn_resp r = transaction(ops, &one);
    (void)user;
    struct tenure_txn_result *got = result_txn(&r);
    int rc = got ? 0 : TENURE_ENOMEM;
    tenure_txn_result_free(got);
    return rc;
}

static void a_result_is_one_allocation_or_none(void **state)
{
    (void)state;
    assert_int_equal(failmalloc_sweep(make_a_transaction, NULL), 2); /* the one failing, and from it on */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_get_holds_its_keys),
        cmocka_unit_test(bytes_may_hold_zeros),
        cmocka_unit_test(a_transaction_holds_the_answers_of_its_operations),
        cmocka_unit_test(leases_members_and_status_hold_their_lists),
        cmocka_unit_test(a_result_is_one_allocation_or_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
