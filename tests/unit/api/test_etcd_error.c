/* etcd_error: the table, both ways. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/etcd_error.h"

static void an_error_has_etcds_status_and_text(void **state)
{
    (void)state;
    assert_int_equal(etcd_error_status(ETCD_COMPACTED), GRPC_OUT_OF_RANGE);
    assert_string_equal(etcd_error_text(ETCD_COMPACTED), "etcdserver: mvcc: required revision has been compacted");
    assert_int_equal(etcd_error_status(ETCD_LEASE_NOT_FOUND), GRPC_NOT_FOUND);
    assert_string_equal(etcd_error_text(ETCD_LEASE_NOT_FOUND), "etcdserver: requested lease not found");
    assert_int_equal(etcd_error_status(ETCD_NO_SPACE), GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(etcd_error_status(ETCD_WATCH_DUPLICATE_ID), GRPC_UNKNOWN);
    assert_int_equal(etcd_error_status(ETCD_OK), GRPC_OK);
    assert_string_equal(etcd_error_text(ETCD_OK), "");
}

static void every_text_finds_its_own_error(void **state)
{
    (void)state;
    for (int e = 1; e < ETCD_ERROR_COUNT; e++) {
        const char *text = etcd_error_text((enum etcd_error)e);
        assert_true(strlen(text) > 0);
        assert_int_equal(etcd_error_find(bytes_str(text)), e);
        assert_int_not_equal(etcd_error_status((enum etcd_error)e), GRPC_OK);
    }
}

static void a_text_that_is_nearly_right_finds_nothing(void **state)
{
    (void)state;
    assert_int_equal(etcd_error_find(bytes_str("")), ETCD_OK);
    assert_int_equal(etcd_error_find(bytes_str("etcdserver: key is not provided ")), ETCD_OK);
    assert_int_equal(etcd_error_find(bytes_str("etcdserver: key is not provide")), ETCD_OK);
    assert_int_equal(etcd_error_find(bytes_of("etcdserver: key is not provided\0", 32)), ETCD_OK);
}

static void a_number_out_of_range_has_no_text(void **state)
{
    (void)state;
    assert_int_equal(etcd_error_status(ETCD_ERROR_COUNT), GRPC_UNKNOWN);
    assert_string_equal(etcd_error_text(ETCD_ERROR_COUNT), "");
    assert_string_equal(etcd_error_text((enum etcd_error)1000000), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_error_has_etcds_status_and_text),
        cmocka_unit_test(every_text_finds_its_own_error),
        cmocka_unit_test(a_text_that_is_nearly_right_finds_nothing),
        cmocka_unit_test(a_number_out_of_range_has_no_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
