/* CORS and the whitelist of host names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "rig.h"

static const char *ask(struct peer *p, const char *line)
{
    char head[256];
    snprintf(head, sizeof head, "GET /version HTTP/1.1\r\n%s\r\n\r\n", line);
    peer_send(p, head);
    return peer_got(p);
}

static void any_origin_may_read_unless_told_otherwise(void **state)
{
    static const char *const star[] = {"http://a", "*"};
    (void)state;
    struct http_config with_star = {.cors = star, .n_cors = 2};
    struct http_config *configs[] = {NULL, &with_star};
    for (size_t i = 0; i < ARRAY_LEN(configs); i++) {
        struct rig *r = rig_new(configs[i]);
        struct peer *p = peer_new(r);
        const char *got = ask(p, "Host: h\r\nOrigin: http://b");
        assert_true(has_line(got, "Access-Control-Allow-Origin: *"));
        assert_true(has_line(got, "Access-Control-Allow-Methods: POST, GET, OPTIONS, PUT, DELETE"));
        assert_true(has_line(got, "Access-Control-Allow-Headers: accept, content-type, authorization"));
        rig_free(r);
    }
}

static void a_listed_origin_is_told_itself_and_others_nothing(void **state)
{
    static const char *const list[] = {"http://a", "http://b"};
    (void)state;
    struct rig *r = rig_new(&(struct http_config){.cors = list, .n_cors = 2});
    struct peer *p = peer_new(r);
    assert_true(has_line(ask(p, "Host: h\r\nOrigin: http://b"), "Access-Control-Allow-Origin: http://b"));
    assert_null(strstr(ask(p, "Host: h\r\nOrigin: http://c"), "Access-Control"));
    assert_null(strstr(ask(p, "Host: h"), "Access-Control"));
    peer_send(p, "OPTIONS /v3/kv/put HTTP/1.1\r\nHost: h\r\nOrigin: http://a\r\n\r\n");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 200);
    assert_true(has_line(got, "Access-Control-Allow-Origin: http://a"));
    rig_free(r);
}

static void requests_for_other_hosts_are_misdirected(void **state)
{
    static const char *const list[] = {"good", "::1", "10.0.0.1"};
    static const char *const fine[] = {"Host: good", "Host: good:2379", "Host: [::1]:2379", "Host: 10.0.0.1:80"};
    static const char *const bad[] = {"Host: bad",     "Host: bad:2379", "Host: good.bad",
                                      "Host: [::2]:1", "Host:",          "Host: good:1:2"};
    (void)state;
    struct rig *r = rig_new(&(struct http_config){.hosts = list, .n_hosts = 3});
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < ARRAY_LEN(fine); i++)
        assert_int_equal(status_of(ask(p, fine[i])), 200);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        const char *got = ask(p, bad[i]);
        if (status_of(got) != 421)
            fail_msg("%s: %s", bad[i], got);
        assert_null(strstr(got, "Access-Control"));
    }
    peer_send(p, "GET http://bad/version HTTP/1.1\r\nHost: good\r\n\r\n");
    assert_int_equal(status_of(peer_got(p)), 421);
    peer_send(p, "GET http://good:80/version HTTP/1.1\r\nHost: bad\r\n\r\n");
    assert_int_equal(status_of(peer_got(p)), 200);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_origin_may_read_unless_told_otherwise),
        cmocka_unit_test(a_listed_origin_is_told_itself_and_others_nothing),
        cmocka_unit_test(requests_for_other_hosts_are_misdirected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
