/* What each failure means: all of etcd's errors, all gRPC statuses, and the texts that have no name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "client/internal.h"

struct expected {
    enum etcd_error error;
    int code;
    enum tenure_applied applied;
    bool retry;
};

#define NO    TENURE_APPLIED_NO
#define MAYBE TENURE_APPLIED_MAYBE

/* Written down a second time on purpose: a change of the table has to be meant. */
static const struct expected all[] = {
    {ETCD_EMPTY_KEY, TENURE_EINVALID, NO, false},
    {ETCD_KEY_NOT_FOUND, TENURE_ENOTFOUND, NO, false},
    {ETCD_VALUE_PROVIDED, TENURE_EINVALID, NO, false},
    {ETCD_LEASE_PROVIDED, TENURE_EINVALID, NO, false},
    {ETCD_TOO_MANY_OPS, TENURE_EINVALID, NO, false},
    {ETCD_DUPLICATE_KEY, TENURE_EINVALID, NO, false},
    {ETCD_COMPACTED, TENURE_ECOMPACTED, NO, false},
    {ETCD_FUTURE_REV, TENURE_EFUTURE, NO, false},
    {ETCD_NO_SPACE, TENURE_ENOSPACE, NO, false},
    {ETCD_LEASE_NOT_FOUND, TENURE_ENOTFOUND, NO, false},
    {ETCD_LEASE_EXIST, TENURE_EEXISTS, NO, false},
    {ETCD_LEASE_TTL_TOO_LARGE, TENURE_EINVALID, NO, false},
    {ETCD_WATCH_CANCELED, TENURE_ECANCELLED, NO, false},
    {ETCD_MEMBER_EXIST, TENURE_EEXISTS, NO, false},
    {ETCD_PEER_URL_EXIST, TENURE_EEXISTS, NO, false},
    {ETCD_MEMBER_NOT_ENOUGH_STARTED, TENURE_ECONFLICT, NO, false},
    {ETCD_MEMBER_BAD_URLS, TENURE_EINVALID, NO, false},
    {ETCD_MEMBER_NOT_FOUND, TENURE_ENOTFOUND, NO, false},
    {ETCD_MEMBER_NOT_LEARNER, TENURE_ECONFLICT, NO, false},
    {ETCD_LEARNER_NOT_READY, TENURE_ECONFLICT, NO, false},
    {ETCD_TOO_MANY_LEARNERS, TENURE_ELIMIT, NO, false},
    {ETCD_CLUSTER_ID_MISMATCH, TENURE_ECONFLICT, NO, false},
    {ETCD_REQUEST_TOO_LARGE, TENURE_ETOOLARGE, NO, false},
    {ETCD_TOO_MANY_REQUESTS, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_ROOT_USER_NOT_EXIST, TENURE_ECONFLICT, NO, false},
    {ETCD_ROOT_ROLE_NOT_EXIST, TENURE_ECONFLICT, NO, false},
    {ETCD_USER_ALREADY_EXIST, TENURE_EEXISTS, NO, false},
    {ETCD_USER_EMPTY, TENURE_EDENIED, NO, false},
    {ETCD_USER_NOT_FOUND, TENURE_ENOTFOUND, NO, false},
    {ETCD_ROLE_ALREADY_EXIST, TENURE_EEXISTS, NO, false},
    {ETCD_ROLE_NOT_FOUND, TENURE_ENOTFOUND, NO, false},
    {ETCD_ROLE_EMPTY, TENURE_EINVALID, NO, false},
    {ETCD_AUTH_FAILED, TENURE_EDENIED, NO, false},
    {ETCD_PERMISSION_NOT_GIVEN, TENURE_EINVALID, NO, false},
    {ETCD_PERMISSION_DENIED, TENURE_EDENIED, NO, false},
    {ETCD_ROLE_NOT_GRANTED, TENURE_ECONFLICT, NO, false},
    {ETCD_PERMISSION_NOT_GRANTED, TENURE_ECONFLICT, NO, false},
    {ETCD_AUTH_NOT_ENABLED, TENURE_ECONFLICT, NO, false},
    {ETCD_INVALID_AUTH_TOKEN, TENURE_EDENIED, NO, false},
    {ETCD_INVALID_AUTH_MGMT, TENURE_EINVALID, NO, false},
    {ETCD_AUTH_OLD_REVISION, TENURE_EDENIED, NO, false},
    {ETCD_NO_LEADER, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_NOT_LEADER, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_LEADER_CHANGED, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_NOT_CAPABLE, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_STOPPED, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_TIMEOUT, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_TIMEOUT_LEADER_FAIL, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_TIMEOUT_CONNECTION_LOST, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_TIMEOUT_WAIT_APPLIED, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_UNHEALTHY, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_CORRUPT, TENURE_ECORRUPT, NO, false},
    {ETCD_NOT_SUPPORTED_FOR_LEARNER, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_BAD_LEADER_TRANSFEREE, TENURE_ECONFLICT, NO, false},
    {ETCD_CLUSTER_VERSION_UNAVAILABLE, TENURE_EUNAVAILABLE, NO, false},
    {ETCD_WRONG_DOWNGRADE_VERSION_FORMAT, TENURE_EINVALID, NO, false},
    {ETCD_INVALID_DOWNGRADE_TARGET_VERSION, TENURE_EINVALID, NO, false},
    {ETCD_DOWNGRADE_IN_PROCESS, TENURE_EBUSY, NO, false},
    {ETCD_NO_INFLIGHT_DOWNGRADE, TENURE_ECONFLICT, NO, false},
    {ETCD_CANCELED, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_DEADLINE_EXCEEDED, TENURE_ETIMEOUT, MAYBE, false},
    {ETCD_INVALID_CLIENT_API_VERSION, TENURE_EINVALID, NO, false},
    {ETCD_INVALID_SORT_OPTION, TENURE_EINVALID, NO, false},
    {ETCD_WATCH_DUPLICATE_ID, TENURE_EINVALID, NO, false},
    {ETCD_WATCH_EMPTY_RANGE, TENURE_EINVALID, NO, false},
    {ETCD_NO_PASSWORD_USER, TENURE_EDENIED, NO, false},
    {ETCD_TOKEN_VERIFY_ONLY, TENURE_EUNAVAILABLE, NO, false},
    {ETCD_PASSWORD_TOO_LONG, TENURE_EINVALID, NO, false},
    {ETCD_PASSWORD_WITH_ZERO, TENURE_EINVALID, NO, false},
    {ETCD_ELECTION_NOT_LEADER, TENURE_ECONFLICT, NO, false},
    {ETCD_OUT_OF_MEMORY, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_WRITE_MAYBE, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_READ_ONLY, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_SOURCE_GONE, TENURE_EUNAVAILABLE, NO, true},
    {ETCD_SOURCE_MAYBE, TENURE_EUNAVAILABLE, MAYBE, true},
    {ETCD_STALE, TENURE_EUNAVAILABLE, NO, true},
};

static void check(enum grpc_status status, const char *text, int code, enum tenure_applied applied, bool retry)
{
    struct client_verdict v = client_classify(status, bytes_str(text), true);
    if (v.code != code || v.applied != applied || v.retry != retry)
        fail_msg("%d \"%s\": code %d applied %d retry %d", (int)status, text, v.code, (int)v.applied, (int)v.retry);
    v = client_classify(status, bytes_str(text), false);
    assert_int_equal(v.code, code);
    assert_int_equal(v.applied, TENURE_APPLIED_NO); /* a read applies nothing */
    assert_int_equal(v.retry, retry);
}

static void every_error_of_etcd_has_its_meaning(void **state)
{
    (void)state;
    assert_int_equal(ARRAY_LEN(all), ETCD_ERROR_COUNT - 1);
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        assert_int_equal(all[i].error, i + 1); /* none missing, none twice */
        check(etcd_error_status(all[i].error), etcd_error_text(all[i].error), all[i].code, all[i].applied,
              all[i].retry);
    }
}

static void the_text_decides_whatever_the_status(void **state)
{
    (void)state;
    /* etcd 3.4 sends this one as Unavailable, 3.6 as FailedPrecondition */
    check(GRPC_UNAVAILABLE, "etcdserver: not capable", TENURE_EUNAVAILABLE, NO, true);
    /* and internal ones as Unknown */
    check(GRPC_UNKNOWN, "etcdserver: too many requests", TENURE_EUNAVAILABLE, NO, true);
}

static void a_status_in_go_s_words_is_understood(void **state)
{
    (void)state;
    bytes go = bytes_str("rpc error: code = PermissionDenied desc = etcdserver: permission denied");
    assert_int_equal(retry_etcd_error(go), ETCD_PERMISSION_DENIED);
    assert_int_equal(client_classify(GRPC_UNKNOWN, go, false).code, TENURE_EDENIED);
    assert_int_equal(retry_etcd_error(bytes_str("rpc error: code = X desc = ")), ETCD_OK);
    assert_int_equal(retry_etcd_error(bytes_of(NULL, 0)), ETCD_OK);
}

static void an_unknown_text_is_judged_by_its_status(void **state)
{
    (void)state;
    check(GRPC_CANCELLED, "x", TENURE_EUNAVAILABLE, MAYBE, true);
    check(GRPC_UNKNOWN, "x", TENURE_EINTERNAL, MAYBE, false);
    check(GRPC_INVALID_ARGUMENT, "x", TENURE_EINVALID, NO, false);
    check(GRPC_DEADLINE_EXCEEDED, "x", TENURE_ETIMEOUT, MAYBE, false);
    check(GRPC_NOT_FOUND, "x", TENURE_ENOTFOUND, NO, false);
    check(GRPC_ALREADY_EXISTS, "x", TENURE_EEXISTS, NO, false);
    check(GRPC_PERMISSION_DENIED, "x", TENURE_EDENIED, NO, false);
    check(GRPC_RESOURCE_EXHAUSTED, "x", TENURE_ELIMIT, MAYBE, false);
    check(GRPC_FAILED_PRECONDITION, "x", TENURE_ECONFLICT, NO, false);
    check(GRPC_ABORTED, "x", TENURE_ECONFLICT, MAYBE, false);
    check(GRPC_OUT_OF_RANGE, "x", TENURE_EINVALID, NO, false);
    check(GRPC_UNIMPLEMENTED, "x", TENURE_EUNIMPLEMENTED, MAYBE, false);
    check(GRPC_INTERNAL, "x", TENURE_EPROTOCOL, MAYBE, false);
    check(GRPC_UNAVAILABLE, "x", TENURE_EUNAVAILABLE, MAYBE, true);
    check(GRPC_DATA_LOSS, "x", TENURE_ECORRUPT, MAYBE, false);
    check(GRPC_UNAUTHENTICATED, "x", TENURE_EDENIED, NO, false);
    check((enum grpc_status)99, "x", TENURE_EINTERNAL, MAYBE, false);
}

static void texts_without_a_name_are_known_too(void **state)
{
    (void)state;
    check(GRPC_UNKNOWN, "not a primary lessor", TENURE_EUNAVAILABLE, NO, true);
    check(GRPC_UNKNOWN, "context deadline exceeded", TENURE_ETIMEOUT, MAYBE, false);
    check(GRPC_UNKNOWN, "context canceled", TENURE_EUNAVAILABLE, MAYBE, true);
    check(GRPC_UNKNOWN, "election: no leader", TENURE_ENOTFOUND, NO, false);
    check(GRPC_RESOURCE_EXHAUSTED, "grpc: out of memory", TENURE_ENOMEM, MAYBE, true);
    check(GRPC_RESOURCE_EXHAUSTED, "grpc: received message larger than max (3 vs. 2)", TENURE_ETOOLARGE, MAYBE, false);
}

static void success_is_success(void **state)
{
    (void)state;
    struct client_verdict v = client_classify(GRPC_OK, bytes_str(""), true);
    assert_int_equal(v.code, 0);
    assert_int_equal(v.applied, TENURE_APPLIED_YES);
    assert_false(v.retry);
}

static void only_what_another_endpoint_may_do_better_is_sent_elsewhere(void **state)
{
    (void)state;
    assert_true(retry_elsewhere(GRPC_UNAVAILABLE, bytes_str("etcdserver: no leader")));
    assert_true(retry_elsewhere(GRPC_UNAVAILABLE, bytes_str("whatever a proxy says")));
    assert_false(retry_elsewhere(GRPC_RESOURCE_EXHAUSTED, bytes_str("etcdserver: too many requests")));
    assert_false(retry_elsewhere(GRPC_NOT_FOUND, bytes_str("etcdserver: requested lease not found")));
    assert_false(retry_elsewhere(GRPC_OK, bytes_str("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_error_of_etcd_has_its_meaning),
        cmocka_unit_test(the_text_decides_whatever_the_status),
        cmocka_unit_test(a_status_in_go_s_words_is_understood),
        cmocka_unit_test(an_unknown_text_is_judged_by_its_status),
        cmocka_unit_test(texts_without_a_name_are_known_too),
        cmocka_unit_test(success_is_success),
        cmocka_unit_test(only_what_another_endpoint_may_do_better_is_sent_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
