/* What is answered from here, and who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "rig.h"

static void expect(struct peer *p, const char *path, int status, const char *body)
{
    peer_get(p, path);
    const char *got = peer_got(p);
    if (status_of(got) != status || strcmp(body_of(got), body) != 0)
        fail_msg("%s: %s", path, got);
}

static void version_and_health_have_etcds_form(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    expect(p, "/version", 200, "{\"etcdserver\":\"3.7.0\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}");
    expect(p, "/health", 200, "{\"health\":\"true\",\"reason\":\"\"}");
    expect(p, "/health?serializable=true&exclude=NOSPACE", 200, "{\"health\":\"true\",\"reason\":\"\"}");
    expect(p, "/livez", 200, "ok\n");
    expect(p, "/livez?verbose", 200, "[+]serializable_read ok\nok\n");
    expect(p, "/livez/serializable_read", 200, "ok\n");
    expect(p, "/livez/serializable_read?verbose=", 200, "[+]serializable_read ok\nok\n");
    expect(p, "/readyz", 200, "ok\n");
    expect(p, "/readyz?verbose&exclude=non_learner&exclude=data%5fcorruption", 200,
           "[+]serializable_read ok\n[+]linearizable_read ok\nok\n");
    expect(p, "/readyz/data_corruption?verbose", 200, "[+]data_corruption ok\nok\n");
    rig_free(r);
}

static void there_is_nothing_else(void **state)
{
    static const char *const paths[] = {"/",       "/versions", "/version/", "/livez/",   "/livez/nothing",
                                        "/livezx", "/readyz/",  "/v2/keys",  "/V3/kv/put"};
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        expect(p, paths[i], 404, "404 page not found\n");
    expect(p, "/%76ersion", 200, "{\"etcdserver\":\"3.7.0\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}");
    static const char *const unclean[][2] = {{"//version", "Location: /version"},
                                             {"/a/../v3//kv/./put/", "Location: /v3/kv/put/"},
                                             {"/..", "Location: /"},
                                             {"/health/.", "Location: /health"}};
    for (size_t i = 0; i < ARRAY_LEN(unclean); i++) {
        peer_get(p, unclean[i][0]);
        const char *redirected = peer_got(p);
        assert_int_equal(status_of(redirected), 307);
        assert_true(has_line(redirected, unclean[i][1]));
    }
    expect(p, "//a<b", 404, "404 page not found\n");
    peer_get(p, "/v3");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 307);
    assert_true(has_line(got, "Location: /v3/"));
    rig_free(r);
}

static void only_get_is_allowed(void **state)
{
    static const char *const paths[] = {"/version", "/health", "/livez", "/readyz/non_learner"};
    char head[128];
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        peer_post(p, paths[i], "");
        const char *got = peer_got(p);
        assert_int_equal(status_of(got), 405);
        assert_true(has_line(got, "Allow: GET"));
        assert_string_equal(body_of(got), "Method Not Allowed\n");
        snprintf(head, sizeof head, "HEAD %s HTTP/1.1\r\nHost: h\r\n\r\n", paths[i]);
        peer_send(p, head);
        got = peer_got(p);
        assert_int_equal(status_of(got), 405);
        assert_string_equal(body_of(got), "");
    }
    rig_free(r);
}

static void a_server_that_stops_is_not_healthy(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_send(p, "GET /health HTTP/1.1\r\nHost: h\r\n"); /* begun before, ended behind it */
    core_shutdown(r->core, r->now);
    peer_send(p, "\r\n");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 503);
    assert_string_equal(body_of(got), "{\"health\":\"false\",\"reason\":\"RANGE ERROR:etcdserver: server stopped\"}\n");
    assert_true(p->closed);
    rig_free(r);
}

static void an_alarm_is_told_until_it_is_excluded(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_post(p, "/v3/maintenance/alarm", "{\"action\":\"ACTIVATE\",\"alarm\":\"NOSPACE\"}");
    assert_int_equal(status_of(peer_got(p)), 200);
    expect(p, "/health", 503, "{\"health\":\"false\",\"reason\":\"ALARM NOSPACE\"}\n");
    expect(p, "/health?exclude=NOSPACE", 200, "{\"health\":\"true\",\"reason\":\"\"}");
    expect(p, "/readyz", 200, "ok\n");
    peer_post(p, "/v3/maintenance/alarm", "{\"action\":1,\"alarm\":2}");
    (void)peer_got(p);
    expect(p, "/health?exclude=NOSPACE&exclude=nothing", 503, "{\"health\":\"false\",\"reason\":\"ALARM CORRUPT\"}\n");
    expect(p, "/readyz", 503,
           "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n"
           "[+]linearizable_read ok\n[+]non_learner ok\n\n");
    expect(p, "/readyz?exclude=data_corruption", 200, "ok\n");
    peer_get(p, "/metrics");
    assert_non_null(strstr(peer_got(p), "\netcd_debugging_server_alarms{alarm_type=\"CORRUPT\",server_id=\"e1\"} 1\n"));
    rig_free(r);
}

static void a_server_whose_disk_failed_is_alive_and_not_ready(void **state)
{
#define FAILED "the disk failed, this server writes no more until restarted"
    struct core_batch batch;
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *q = peer_new(r);
    r->log_held = true;
    peer_post(q, "/v3/kv/put", "{\"key\":\"YQ==\"}");
    assert_true(core_batch(r->core, &batch, 100));
    core_written(r->core, CORE_MAYBE_APPLIED, 0, r->now);
    rig_turn(r);
    expect(p, "/health", 503, "{\"health\":\"false\",\"reason\":\"" FAILED "\"}\n");
    expect(p, "/health?serializable=true", 200, "{\"health\":\"true\",\"reason\":\"\"}");
    expect(p, "/livez", 200, "ok\n");
    expect(p, "/readyz?verbose", 503,
           "[+]data_corruption ok\n[+]serializable_read ok\n[-]linearizable_read failed: " FAILED
           "\n[+]non_learner ok\n\n");
    rig_free(r);
}

static void the_date_is_told_once_it_is_known(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r);
    peer_get(p, "/version");
    assert_null(strstr(peer_got(p), "Date: "));
    http_set_date(r->http, 784111777);
    peer_get(p, "/version");
    assert_true(has_line(peer_got(p), "Date: Sun, 06 Nov 1994 08:49:37 GMT"));
    http_set_date(r->http, 951782400);
    peer_get(p, "/version");
    assert_true(has_line(peer_got(p), "Date: Tue, 29 Feb 2000 00:00:00 GMT"));
    rig_free(r);
}

static void a_restricted_connection_sees_less(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *health = peer_new(r), *pages = peer_new(r), *all = peer_new(r);
    http_conn_restrict(health->http, HTTP_HEALTH);
    http_conn_restrict(pages->http, HTTP_PAGES);
    expect(health, "/livez", 200, "ok\n");
    expect(health, "/version", 404, "404 page not found\n");
    expect(health, "/debug/vars", 404, "404 page not found\n");
    expect(health, "/v3", 404, "404 page not found\n");
    expect(pages, "/version", 200, "{\"etcdserver\":\"3.7.0\",\"etcdcluster\":\"3.7.0\",\"storage\":\"3.7.0\"}");
    static struct {
        struct peer *peer;
        int status;
    } posts[3];
    posts[0].peer = health, posts[1].peer = pages, posts[2].peer = all;
    posts[0].status = posts[1].status = 404, posts[2].status = 200;
    for (size_t i = 0; i < 3; i++) {
        peer_post(posts[i].peer, "/v3/kv/range", "{\"key\":\"YQ==\"}");
        assert_int_equal(status_of(peer_got(posts[i].peer)), posts[i].status);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_and_health_have_etcds_form),
        cmocka_unit_test(there_is_nothing_else),
        cmocka_unit_test(only_get_is_allowed),
        cmocka_unit_test(a_server_that_stops_is_not_healthy),
        cmocka_unit_test(an_alarm_is_told_until_it_is_excluded),
        cmocka_unit_test(a_restricted_connection_sees_less),
        cmocka_unit_test(a_server_whose_disk_failed_is_alive_and_not_ready),
        cmocka_unit_test(the_date_is_told_once_it_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
