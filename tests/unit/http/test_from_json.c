/* JSON into protobuf: what etcd's clients may write, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpc.pb-c.h"

#include "failmalloc.h"
#include "http/json_scan.h"
#include "http/transcode.h"
#include "tenure/error.h"
#include "wire/codec.h"

static const ProtobufCMessageDescriptor *const RANGE = &etcdserverpb__range_request__descriptor;
static const ProtobufCMessageDescriptor *const PUT = &etcdserverpb__put_request__descriptor;
static const ProtobufCMessageDescriptor *const TXN = &etcdserverpb__txn_request__descriptor;
static const ProtobufCMessageDescriptor *const COMPARE = &etcdserverpb__compare__descriptor;
static const ProtobufCMessageDescriptor *const WATCH = &etcdserverpb__watch_request__descriptor;
static const ProtobufCMessageDescriptor *const MEMBER = &etcdserverpb__member__descriptor;

/* json says the same as other. */
static void same(const ProtobufCMessageDescriptor *d, const char *json, const char *other)
{
    struct buf a, b;
    struct tenure_error err;
    buf_init(&a);
    buf_init(&b);
    if (transcode_from_json(d, bytes_str(json), &a, &err) < 0)
        fail_msg("%s: %s", json, err.text);
    assert_int_equal(transcode_from_json(d, bytes_str(other), &b, &err), 0);
    if (!bytes_equal(buf_bytes(&a), buf_bytes(&b)))
        fail_msg("%s is not %s", json, other);
    buf_fini(&a);
    buf_fini(&b);
}

static void names_come_in_both_forms(void **state)
{
    (void)state;
    same(RANGE, "{\"rangeEnd\":\"AA==\",\"sortOrder\":1}", "{\"range_end\":\"AA==\",\"sort_order\":\"ASCEND\"}");
    same(TXN, "{\"success\":[{\"requestPut\":{\"key\":\"YQ==\"}}]}",
         "{\"success\":[{\"request_put\":{\"key\":\"YQ==\"}}]}");
    same(MEMBER, "{\"ID\":5,\"peerURLs\":[\"a\",\"b\"]}", "{\"ID\":\"5\",\"peerURLs\":[\"a\",\"b\"]}");
}

static void numbers_come_as_numbers_and_as_strings(void **state)
{
    (void)state;
    same(PUT, "{\"lease\":\"123\"}", "{\"lease\":123}");
    same(PUT, "{\"lease\":1.23e2}", "{\"lease\":123}");
    same(PUT, "{\"lease\":\"-1\"}", "{\"lease\":-1}");
    same(PUT, "{\"lease\":-9223372036854775808}", "{\"lease\":\"-9223372036854775808\"}");
    same(MEMBER, "{\"ID\":18446744073709551615}", "{\"ID\":\"18446744073709551615\"}");
}

static void bytes_come_in_either_alphabet(void **state)
{
    (void)state;
    same(PUT, "{\"key\":\"-_-_\",\"value\":\"YQ\"}", "{\"key\":\"+/+/\",\"value\":\"YQ==\"}");
    same(PUT, "{\"key\":\"Y\\u0051==\"}", "{\"key\":\"YQ==\"}");
}

static void what_is_unknown_is_passed_over(void **state)
{
    (void)state;
    same(PUT, "{\"nope\":{\"deep\":[1,{}]},\"key\":\"YQ==\"}", "{\"key\":\"YQ==\"}");
    same(RANGE, "{\"sort_order\":\"SIDEWAYS\",\"key\":\"YQ==\"}", "{\"key\":\"YQ==\"}");
    same(WATCH, "{\"create_request\":{\"filters\":[\"NOPUT\",\"NOTHING\",1]}}",
         "{\"create_request\":{\"filters\":[0,1]}}");
    same(PUT, "{\"key\":null,\"lease\":null,\"value\":\"YQ==\"}", "{\"value\":\"YQ==\"}");
    same(COMPARE, "{\"version\":null,\"lease\":\"3\"}", "{\"lease\":3}");
    same(PUT, "{}", " { } ");
}

static void what_is_wrong_is_refused_by_its_place(void **state)
{
    static const struct {
        const ProtobufCMessageDescriptor *const *d;
        const char *json, *error;
    } bad[] = {
        {&PUT, "null", "proto: syntax error (line 1:1): unexpected token null"},
        {&PUT, "[]", "proto: syntax error (line 1:1): unexpected token ["},
        {&PUT, "7", "proto: syntax error (line 1:1): unexpected token 7"},
        {&PUT, "{\"key\":\"YQ==\",\"key\":\"YQ==\"}", "proto: (line 1:15): duplicate field \"key\""},
        {&RANGE, "{\"range_end\":\"\",\n \"rangeEnd\":\"\"}", "proto: (line 2:2): duplicate field \"rangeEnd\""},
        {&PUT, " \n{\"x\":\"\u00e9\",\"key\":5}", "proto: (line 1:16): invalid value for bytes field key: 5"},
        {&PUT, "{\"key\":5}", "proto: (line 1:8): invalid value for bytes field key: 5"},
        {&PUT, "{\"key\":\"*\"}", "proto: (line 1:8): invalid value for bytes field key: \"*\""},
        {&PUT, "{\"lease\":\"\"}", "proto: (line 1:10): invalid value for int64 field lease: \"\""},
        {&PUT, "{\"lease\":\" 1\"}", "proto: (line 1:10): invalid value for int64 field lease: \" 1\""},
        {&PUT, "{\"lease\":\"1x\"}", "proto: (line 1:10): invalid value for int64 field lease: \"1x\""},
        {&PUT, "{\"lease\":\"1e\"}", "proto: (line 1:10): invalid value for int64 field lease: \"1e\""},
        {&PUT, "{\"lease\":0.5}", "proto: (line 1:10): invalid value for int64 field lease: 0.5"},
        {&PUT, "{\"lease\":9223372036854775808}",
         "proto: (line 1:10): invalid value for int64 field lease: 9223372036854775808"},
        {&PUT, "{\"lease\":{}}", "proto: (line 1:10): invalid value for int64 field lease: {"},
        {&PUT, "{\"prev_kv\":\"true\"}", "proto: (line 1:12): invalid value for bool field prevKv: \"true\""},
        {&PUT, "{\"prev_kv\":1}", "proto: (line 1:12): invalid value for bool field prevKv: 1"},
        {&PUT, "{\"key\":\"\xff\"}", "proto: syntax error (line 1:8): invalid UTF-8 in string"},
        {&MEMBER, "{\"ID\":-1}", "proto: (line 1:7): invalid value for uint64 field ID: -1"},
        {&MEMBER, "{\"name\":5}", "proto: (line 1:9): invalid value for string field name: 5"},
        {&MEMBER, "{\"peerURLs\":\"a\"}", "proto: syntax error (line 1:13): unexpected token \"a\""},
        {&MEMBER, "{\"peerURLs\":[null]}", "proto: (line 1:14): invalid value for string field peerURLs: null"},
        {&RANGE, "{\"sort_order\":true}", "proto: (line 1:15): invalid value for enum field sortOrder: true"},
        {&RANGE, "{\"sort_order\":2147483648}",
         "proto: (line 1:15): invalid value for enum field sortOrder: 2147483648"},
        {&TXN, "{\"success\":[{\"request_put\":5}]}", "proto: syntax error (line 1:28): unexpected token 5"},
        {&TXN, "{\"success\":[null]}", "proto: syntax error (line 1:13): unexpected token null"},
        {&COMPARE, "{\"version\":1,\"lease\":2}",
         "proto: (line 1:14): error parsing \"lease\", oneof etcdserverpb.Compare.target_union is already set"},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct buf out;
        struct tenure_error err;
        buf_init(&out);
        assert_int_equal(transcode_from_json(*bad[i].d, bytes_str(bad[i].json), &out, &err), TENURE_EPROTOCOL);
        assert_string_equal(err.text, bad[i].error);
        buf_fini(&out);
    }
}

/* A transaction within a transaction, so many times. */
static int nest(int levels, struct buf *out, struct tenure_error *err)
{
    struct buf json;
    buf_init(&json);
    for (int i = 0; i < levels; i++)
        buf_printf(&json, "{\"success\":[{\"request_txn\":");
    buf_printf(&json, "{}");
    for (int i = 0; i < levels; i++)
        buf_printf(&json, "}]}");
    int rc = transcode_from_json(TXN, buf_bytes(&json), out, err);
    buf_fini(&json);
    return rc;
}

static void what_passes_here_passes_the_codecs_and_no_more(void **state)
{
    struct buf out;
    struct tenure_error err;
    struct arena a;
    struct txn_req req;
    (void)state;
    buf_init(&out);
    arena_init(&a, 0);
    assert_int_equal(nest(31, &out, &err), 0);
    assert_int_equal(decode_txn_req(buf_bytes(&out), &a, &req), 0);
    buf_reset(&out);
    assert_int_equal(nest(32, &out, &err), TENURE_EPROTOCOL);
    assert_non_null(strstr(err.text, "exceeded maximum recursion depth"));
    arena_fini(&a);
    buf_fini(&out);
}

static int scenario(void *user)
{
    struct buf out;
    struct tenure_error err;
    (void)user;
    buf_init(&out);
    int rc = transcode_from_json(
        TXN,
        bytes_str(
            "{\"compare\":[{\"key\":\"YW\\u004aj\",\"version\":\"1\"}],\"success\":[{\"request_range\":{\"key\":\"YQ\"}}]}"),
        &out, &err);
    buf_fini(&out);
    return rc;
}

static void missing_memory_is_told(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(scenario, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_in_both_forms),
        cmocka_unit_test(numbers_come_as_numbers_and_as_strings),
        cmocka_unit_test(bytes_come_in_either_alphabet),
        cmocka_unit_test(what_is_unknown_is_passed_over),
        cmocka_unit_test(what_is_wrong_is_refused_by_its_place),
        cmocka_unit_test(what_passes_here_passes_the_codecs_and_no_more),
        cmocka_unit_test(missing_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
