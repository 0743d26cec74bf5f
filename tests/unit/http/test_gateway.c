/* The JSON gateway: calls, their errors, streams in both directions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "rig.h"
#include "store/auth.h"

#define HEADER(rev)                                                                                                    \
    "\"header\":{\"cluster_id\":\"193\",\"member_id\":\"225\",\"revision\":\"" rev "\",\"raft_term\":\"2\"}"

static void expect(struct peer *p, int status, const char *body)
{
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), status);
    assert_true(has_line(got, "Content-Type: application/json"));
    assert_string_equal(body_of(got), body);
}

static void keys_are_written_and_read(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_post(p, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"MQ\"}");
    expect(p, 200, "{" HEADER("2") "}");
    peer_post(p, "/v3beta/kv/range", "{\"key\":\"YQ==\"}");
    expect(p, 200,
           "{" HEADER(
               "2") ",\"kvs\":[{\"key\":\"YQ==\",\"create_revision\":\"2\",\"mod_revision\":\"2\",\"version\":\"1\","
                    "\"value\":\"MQ==\"}],\"count\":\"1\"}");
    peer_post(p, "/v3/kv/deleterange", "{\"key\":\"YQ==\",\"prevKv\":false} and what follows does not count");
    expect(p, 200, "{" HEADER("3") ",\"deleted\":\"1\"}");
    rig_free(r);
}

static void errors_have_the_cores_words_and_the_gateways_status(void **state)
{
    static const struct {
        const char *path, *body;
        int status;
        const char *answer;
    } cases[] = {
        {"/v3/kv/put", "", 400, "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}"},
        {"/v3/kv/put", "  ", 400, "{\"code\":3,\"message\":\"etcdserver: key is not provided\"}"},
        {"/v3/kv/put", "{\"key\":\"YQ==\"", 400, "{\"code\":3,\"message\":\"unexpected EOF\"}"},
        {"/v3/kv/put", "null", 400,
         "{\"code\":3,\"message\":\"proto: syntax error (line 1:1): unexpected token null\"}"},
        {"/v3/kv/compaction", "{\"revision\":99}", 400,
         "{\"code\":11,\"message\":\"etcdserver: mvcc: required revision is a future revision\"}"},
        {"/v3/kv/lease/revoke", "{\"ID\":5}", 404,
         "{\"code\":5,\"message\":\"etcdserver: requested lease not found\"}"},
        {"/v3/nothing", "{}", 404, "{\"code\":5,\"message\":\"Not Found\"}"},
    };
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        peer_post(p, cases[i].path, cases[i].body);
        expect(p, cases[i].status, cases[i].answer);
    }
    peer_get(p, "/v3/kv/put");
    expect(p, 501, "{\"code\":12,\"message\":\"Method Not Allowed\"}");
    peer_send(p, "POST /v3/kv/range HTTP/1.1\r\nHost: h\r\nGrpc-Timeout: soon\r\nContent-Length: 2\r\n\r\n{}");
    expect(p, 400, "{\"code\":3,\"message\":\"invalid grpc-timeout: soon\"}");
    rig_free(r);
}

static void a_deadline_ends_the_call(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    r->log_held = true;
    peer_send(
        p, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nGrpc-Timeout: 2S\r\nContent-Length: 14\r\n\r\n{\"key\":\"YQ==\"}");
    assert_string_equal(peer_got(p), "");
    rig_pass(r, 3);
    assert_int_equal(status_of(peer_got(p)), 504);
    r->log_held = false;
    peer_post(p, "/v3/kv/range", "{\"key\":\"YQ==\"}");
    assert_int_equal(status_of(peer_got(p)), 200);
    rig_free(r);
}

static void a_value_that_is_too_large_is_refused_by_the_core(void **state)
{
    static char body[3 << 20];
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    memset(body, 'A', sizeof body - 1);
    memcpy(body, "{\"key\":\"YQ==\",\"value\":\"", 23);
    memcpy(body + sizeof body - 3 - (sizeof body - 26) % 4, "\"}", 3);
    peer_post(p, "/v3/kv/put", body);
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 429);
    assert_non_null(strstr(got, "{\"code\":8,\"message\":\"grpc: received message larger than max ("));
    rig_free(r);
}

static void a_watch_is_answered_while_its_request_is_open(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    peer_send(p, "POST /v3/watch HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
                 "27\r\n{\"create_request\":{\"key\":\"YQ==\"}}      \r\n");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 200);
    assert_true(has_line(got, "Transfer-Encoding: chunked"));
    assert_non_null(strstr(got, "{\"result\":{" HEADER("1") ",\"created\":true}}\n"));
    peer_post(q, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"MQ==\"}");
    assert_non_null(strstr(peer_got(p),
                           "\"events\":[{\"kv\":{\"key\":\"YQ==\",\"create_revision\":\"2\",\"mod_revision\":\"2\","
                           "\"version\":\"1\",\"value\":\"MQ==\"}}]}}\n"));
    peer_send(p, "17\r\n{\"progress_request\":{}}\r\n");
    assert_non_null(strstr(peer_got(p), "{\"result\":{" HEADER("2") ",\"watch_id\":\"-1\"}}\n"));
    rig_pass(r, 60);
    peer_send(p, "21\r\n{\"cancel_request\":{\"watch_id\":0}}\r\n");
    assert_non_null(strstr(peer_got(p), "\"canceled\":true"));
    assert_false(p->closed);
    peer_cut(p);
    rig_turn(r);
    struct core_stats stats;
    core_stats(r->core, &stats);
    assert_int_equal(stats.conns, 1);
    rig_free(r);
}

static void a_watch_goes_on_behind_the_end_of_its_request(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    peer_post(p, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\"}} broken");
    assert_int_equal(status_of(peer_got(p)), 200);
    peer_post(q, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"MQ==\"}");
    assert_non_null(strstr(peer_got(p), "\"events\":["));
    rig_free(r);
}

static void a_stream_that_begins_with_no_json_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_post(p, "/v3/watch", "{\"create_request\":5}");
    expect(
        p, 400,
        "{\"code\":3,\"message\":\"Failed to decode request: proto: syntax error (line 1:19): unexpected token 5\"}");
    peer_post(p, "/v3/lease/keepalive", "{x");
    expect(p, 400,
           "{\"code\":3,\"message\":\"Failed to decode request: invalid character 'x' looking for beginning of object "
           "key string\"}");
    peer_get(p, "/version");
    assert_int_equal(status_of(peer_got(p)), 200);
    rig_free(r);
}

static void keepalives_end_with_their_request(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_post(p, "/v3/lease/grant", "{\"TTL\":60,\"ID\":7}");
    expect(p, 200, "{" HEADER("1") ",\"ID\":\"7\",\"TTL\":\"60\"}");
    peer_post(p, "/v3/lease/keepalive", "{\"ID\":7}{\"ID\":\"8\"}");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 200);
    assert_non_null(strstr(got, "{\"result\":{" HEADER("1") ",\"ID\":\"7\",\"TTL\":\"60\"}}\n"));
    assert_non_null(strstr(got, "{\"result\":{" HEADER("1") ",\"ID\":\"8\"}}\n"));
    assert_string_equal(got + strlen(got) - 7, "\r\n0\r\n\r\n");
    peer_get(p, "/version"); /* the connection goes on */
    assert_int_equal(status_of(peer_got(p)), 200);
    rig_free(r);
}

static void a_stream_in_http_1_0_ends_with_the_connection(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_send(p, "POST /v3/lease/keepalive HTTP/1.0\r\nContent-Length: 8\r\n\r\n{\"ID\":7}");
    const char *got = peer_got(p);
    assert_true(p->closed);
    assert_null(strstr(got, "chunked"));
    assert_string_equal(body_of(got), "{\"result\":{" HEADER("1") ",\"ID\":\"7\"}}\n");
    rig_free(r);
}

/* What the peer does not take stays in the core, up to its bound; then the watch waits. */
static void a_watcher_that_does_not_read_holds_up_nobody(void **state)
{
    static char body[200 << 10];
    struct core_stats stats;
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    peer_post(p, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\"}}");
    (void)peer_got(p);
    p->takes_none = true;
    memset(body, 'A', sizeof body - 1);
    memcpy(body, "{\"key\":\"YQ==\",\"value\":\"", 23);
    memcpy(body + sizeof body - 3 - (sizeof body - 26) % 4, "\"}", 3);
    for (int i = 0; i < 50; i++) {
        peer_post(q, "/v3/kv/put", body);
        assert_int_equal(status_of(peer_got(q)), 200);
    }
    p->takes_none = false;
    for (int i = 0; i < 100; i++) {
        rig_turn(r);
        buf_reset(&p->got);
    }
    peer_post(q, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"bGFzdA==\"}");
    rig_turn(r);
    assert_non_null(strstr(peer_got(p), "\"bGFzdA==\""));
    core_stats(r->core, &stats);
    assert_int_equal(stats.dropped_total, 0);
    rig_free(r);
}

/* A browser shows its user's certificate for the page of any site. */
static void a_certificate_does_not_count_for_the_page_of_a_site(void **state)
{
    static const char ask[] = "POST /v3/kv/range HTTP/1.1\r\nHost: h\r\n%sContent-Length: 14\r\n\r\n{\"key\":\"YQ==\"}";
    char text[256];
    tn_seq seq;
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    struct user_role_req root = {bytes_str("root"), bytes_str("root")};
    assert_int_equal(store_user_add(r->store, bytes_str("root"), bytes_of(NULL, 0), true, &seq), ETCD_OK);
    assert_int_equal(store_user_grant_role(r->store, &root, &seq), ETCD_OK);
    assert_int_equal(store_auth_enable(r->store, &seq), ETCD_OK);
    rig_turn(r);
    core_conn_set_cert_user(p->core, bytes_str("root"));
    snprintf(text, sizeof text, ask, "");
    peer_send(p, text);
    assert_int_equal(status_of(peer_got(p)), 200);
    snprintf(text, sizeof text, ask, "Origin: https://elsewhere\r\n");
    peer_send(p, text);
    expect(p, 400, "{\"code\":3,\"message\":\"etcdserver: user name is empty\"}");
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keys_are_written_and_read),
        cmocka_unit_test(errors_have_the_cores_words_and_the_gateways_status),
        cmocka_unit_test(a_deadline_ends_the_call),
        cmocka_unit_test(a_value_that_is_too_large_is_refused_by_the_core),
        cmocka_unit_test(a_watch_is_answered_while_its_request_is_open),
        cmocka_unit_test(a_watch_goes_on_behind_the_end_of_its_request),
        cmocka_unit_test(a_stream_that_begins_with_no_json_is_refused),
        cmocka_unit_test(keepalives_end_with_their_request),
        cmocka_unit_test(a_stream_in_http_1_0_ends_with_the_connection),
        cmocka_unit_test(a_watcher_that_does_not_read_holds_up_nobody),
        cmocka_unit_test(a_certificate_does_not_count_for_the_page_of_a_site),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
