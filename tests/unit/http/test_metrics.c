/* The text of /metrics: its form, and that it tells what was done. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "rig.h"

static void numbers(void *user, struct http_numbers *ret)
{
    (void)user;
    histogram_add(&ret->commits, 500);
    histogram_add(&ret->commits, 3000);
    histogram_add(&ret->commits, 100000000);
    ret->resident_bytes = 5000;
    ret->cpu_s = 1.5;
}

/* The value of a sample; -1: there is none. */
static double sample(const char *text, const char *name)
{
    char line[256];
    snprintf(line, sizeof line, "\n%s ", name);
    const char *at = strstr(text, line);
    return at ? strtod(at + strlen(line), NULL) : -1;
}

static const char *metrics_of(struct peer *p)
{
    peer_get(p, "/metrics");
    const char *got = peer_got(p);
    assert_int_equal(status_of(got), 200);
    assert_true(has_line(got, "Content-Type: text/plain; version=0.0.4; charset=utf-8"));
    return body_of(got);
}

static void what_was_done_is_counted(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *watching = peer_new(r);
    peer_post(watching, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\"}}");
    peer_post(p, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"MQ==\"}");
    peer_post(p, "/v3/kv/put", "{}");
    peer_post(p, "/v3/kv/txn",
              "{\"success\":[{\"request_put\":{\"key\":\"Yg==\"}},{\"request_range\":{\"key\":\"YQ==\"}},"
              "{\"request_delete_range\":{\"key\":\"YQ==\"}}]}");
    peer_post(p, "/v3/kv/range", "{\"key\":\"YQ==\"}");
    peer_post(p, "/v3/lease/grant", "{\"TTL\":60,\"ID\":7}");
    peer_post(p, "/v3/lease/grant", "{\"TTL\":60,\"ID\":7}");
    peer_post(p, "/v3/lease/keepalive", "{\"ID\":7}");
    peer_post(p, "/v3/lease/revoke", "{\"ID\":7}");
    peer_get(p, "/health");
    peer_get(p, "/readyz");
    (void)peer_got(p);
    const char *m = metrics_of(p);
    assert_true(sample(m, "etcd_mvcc_put_total") == 2);
    assert_true(sample(m, "etcd_mvcc_range_total") == 2);
    assert_true(sample(m, "etcd_mvcc_delete_total") == 1);
    assert_true(sample(m, "etcd_mvcc_txn_total") == 1);
    assert_true(sample(m, "etcd_debugging_mvcc_total_put_size_in_bytes") == 3);
    assert_true(sample(m, "etcd_debugging_mvcc_keys_total") == 1);
    assert_true(sample(m, "etcd_debugging_mvcc_watcher_total") == 1);
    assert_true(sample(m, "etcd_debugging_mvcc_watch_stream_total") == 1);
    assert_true(sample(m, "etcd_debugging_mvcc_events_total") == 2);
    assert_true(sample(m, "etcd_debugging_mvcc_current_revision") == 3);
    assert_true(sample(m, "etcd_debugging_lease_granted_total") == 1);
    assert_true(sample(m, "etcd_debugging_lease_renewed_total") == 1);
    assert_true(sample(m, "etcd_debugging_lease_revoked_total") == 1);
    assert_true(sample(m, "etcd_server_has_leader") == 1);
    assert_true(sample(m, "etcd_server_id{server_id=\"e1\"}") == 1);
    assert_true(sample(m, "etcd_server_health_success") == 1);
    assert_true(sample(m, "etcd_server_healthcheck{name=\"linearizable_read\",type=\"readyz\"}") == 1);
    assert_true(sample(m, "tenure_http_connections") == 2);
    assert_true(sample(m, "tenure_connections") == 2);
    rig_free(r);
}

#define HANDLED(code, method, service, type)                                                                           \
    "grpc_server_handled_total{grpc_code=\"" code "\",grpc_method=\"" method "\",grpc_service=\"etcdserverpb." service \
    "\",grpc_type=\"" type "\"}"
#define COUNT(what, method, service, type)                                                                             \
    "grpc_server_" what "_total{grpc_method=\"" method "\",grpc_service=\"etcdserverpb." service                       \
    "\",grpc_type=\"" type "\"}"

static void calls_are_counted_by_method_and_status(void **state)
{
    (void)state;
    struct rig *r = rig_new(NULL);
    struct peer *p = peer_new(r), *watching = peer_new(r);
    peer_post(watching, "/v3/watch", "{\"create_request\":{\"key\":\"YQ==\"}}{\"progress_request\":{}}");
    peer_cut(watching);
    peer_post(p, "/v3/kv/put", "{\"key\":\"YQ==\",\"value\":\"MQ==\"}");
    peer_post(p, "/v3/kv/put", "{}");
    peer_post(p, "/v3/kv/put", "{}");
    peer_post(p, "/v3/lease/keepalive", "{\"ID\":7}{\"ID\":7}{\"ID\":7}");
    (void)peer_got(p);
    const char *m = metrics_of(p);
    assert_true(sample(m, HANDLED("OK", "Put", "KV", "unary")) == 1);
    assert_true(sample(m, HANDLED("InvalidArgument", "Put", "KV", "unary")) == 2);
    assert_true(sample(m, HANDLED("OK", "Range", "KV", "unary")) == 0);
    assert_true(sample(m, HANDLED("Internal", "Range", "KV", "unary")) == -1);
    assert_true(sample(m, HANDLED("Canceled", "Watch", "Watch", "bidi_stream")) == 1);
    assert_true(sample(m, HANDLED("OK", "LeaseKeepAlive", "Lease", "bidi_stream")) == 1);
    assert_true(sample(m, COUNT("started", "Put", "KV", "unary")) == 3);
    assert_true(sample(m, COUNT("msg_received", "Put", "KV", "unary")) == 3);
    assert_true(sample(m, COUNT("msg_sent", "Put", "KV", "unary")) == 1);
    assert_true(sample(m, COUNT("msg_received", "LeaseKeepAlive", "Lease", "bidi_stream")) == 3);
    assert_true(sample(m, COUNT("msg_sent", "LeaseKeepAlive", "Lease", "bidi_stream")) == 3);
    assert_true(sample(m, COUNT("msg_received", "Watch", "Watch", "bidi_stream")) == 2);
    assert_non_null(
        strstr(m, "grpc_method=\"Watch\",grpc_service=\"grpc.health.v1.Health\",grpc_type=\"server_stream\"}"));
    rig_free(r);
}

static void times_of_calls_are_told_when_they_are_asked_for(void **state)
{
    (void)state;
    struct rig *r = rig_timed();
    struct peer *p = peer_new(r), *q = peer_new(r);
    r->log_held = true;
    peer_post(p, "/v3/kv/put", "{\"key\":\"YQ==\"}");
    rig_pass(r, 2);
    r->log_held = false;
    rig_turn(r);
    peer_post(p, "/v3/kv/put", "{\"key\":\"YQ==\"}");
    const char *m = metrics_of(q);
#define PUT_TIMES "grpc_method=\"Put\",grpc_service=\"etcdserverpb.KV\",grpc_type=\"unary\""
    assert_true(sample(m, "grpc_server_handling_seconds_bucket{" PUT_TIMES ",le=\"0.005\"}") == 1);
    assert_true(sample(m, "grpc_server_handling_seconds_bucket{" PUT_TIMES ",le=\"1\"}") == 1);
    assert_true(sample(m, "grpc_server_handling_seconds_bucket{" PUT_TIMES ",le=\"2.5\"}") == 2);
    assert_true(sample(m, "grpc_server_handling_seconds_bucket{" PUT_TIMES ",le=\"+Inf\"}") == 2);
    assert_true(sample(m, "grpc_server_handling_seconds_count{" PUT_TIMES "}") == 2);
    assert_true(sample(m, "grpc_server_handling_seconds_sum{" PUT_TIMES "}") == 2);
    assert_null(strstr(m, "grpc_server_handling_seconds_count{grpc_method=\"Range\""));
    rig_free(r);
    r = rig_new(NULL);
    assert_null(strstr(metrics_of(peer_new(r)), "grpc_server_handling_seconds"));
    rig_free(r);
}

static void histograms_count_up(void **state)
{
    (void)state;
    struct rig *r = rig_new(&(struct http_config){.numbers = numbers});
    const char *m = metrics_of(peer_new(r));
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.001\"}") == 1);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.002\"}") == 1);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_bucket{le=\"0.004\"}") == 2);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_bucket{le=\"8.192\"}") == 2);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_bucket{le=\"+Inf\"}") == 3);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_count") == 3);
    assert_true(sample(m, "etcd_disk_backend_commit_duration_seconds_sum") == 100.0035);
    assert_true(sample(m, "etcd_disk_wal_fsync_duration_seconds_count") == 0);
    assert_true(sample(m, "process_resident_memory_bytes") == 5000);
    assert_true(sample(m, "process_cpu_seconds_total") == 1.5);
    assert_true(sample(m, "process_open_fds") == -1);
    rig_free(r);
}

/* Each line is a comment of the last family, or a sample of it; each family is there once. */
static void the_text_keeps_to_the_format(void **state)
{
    char family[128] = "", seen[20000] = "\n", name[160];
    (void)state;
    struct rig *r = rig_new(NULL);
    char *text = strdup(metrics_of(peer_new(r))), *rest = text, *line;
    while ((line = strsep(&rest, "\n")) && *line) {
        if (strncmp(line, "# HELP ", 7) == 0) {
            assert_int_equal(sscanf(line, "# HELP %127s", family), 1);
            snprintf(name, sizeof name, "\n%s\n", family);
            assert_null(strstr(seen, name));
            assert_true(strlen(seen) + strlen(name) < sizeof seen);
            strncat(seen, name + 1, sizeof seen - strlen(seen) - 1);
            continue;
        }
        if (strncmp(line, "# TYPE ", 7) == 0) {
            assert_memory_equal(line + 7, family, strlen(family));
            continue;
        }
        char *end = NULL, *value = strrchr(line, ' ');
        assert_non_null(value);
        assert_memory_equal(line, family, strlen(family));
        (void)strtod(value + 1, &end);
        assert_int_equal(*end, 0);
    }
    assert_null(rest && *rest ? rest : NULL);
    free(text);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_done_is_counted),
        cmocka_unit_test(calls_are_counted_by_method_and_status),
        cmocka_unit_test(times_of_calls_are_told_when_they_are_asked_for),
        cmocka_unit_test(histograms_count_up),
        cmocka_unit_test(the_text_keeps_to_the_format),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
