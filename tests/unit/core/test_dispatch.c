/* Paths that lead to no function, in gRPC's own words. */
#include "cases.h"

static void assert_path(const char *path, const char *text)
{
    struct call *call = client_call(here.c, path, -1);
    call_half_close(call);
    world_settle(here.w);
    assert_status(call, GRPC_UNIMPLEMENTED, text);
}

static void an_unknown_service_is_named(void **state)
{
    (void)state;
    assert_path("/etcdserverpb.Leader/Elect", "unknown service etcdserverpb.Leader");
    assert_path("/v3lockpb.Locks/Lock", "unknown service v3lockpb.Locks");
    assert_path("/a/b/c", "unknown service a/b");
}

static void an_unknown_method_is_named_with_its_service(void **state)
{
    (void)state;
    assert_path("/etcdserverpb.KV/RangeBack", "unknown method RangeBack for service etcdserverpb.KV");
    assert_path("/etcdserverpb.KV/put", "unknown method put for service etcdserverpb.KV");
    assert_path("/etcdserverpb.Maintenance/Telepathy", "unknown method Telepathy for service etcdserverpb.Maintenance");
    assert_path("/etcdserverpb.KV/", "unknown method  for service etcdserverpb.KV");
}

static void a_path_of_another_form_is_malformed(void **state)
{
    (void)state;
    assert_path("/Put", "malformed method name: \"/Put\"");
    assert_path("/", "malformed method name: \"/\"");
}

static void a_very_long_path_is_cut_in_the_answer(void **state)
{
    (void)state;
    static char path[6000];
    memset(path, 'x', sizeof path - 1);
    path[0] = '/';
    path[3000] = '/';
    struct call *call = client_call(here.c, path, -1);
    call_half_close(call);
    world_settle(here.w);
    assert_true(call->has_status);
    assert_int_equal(call->status, GRPC_UNIMPLEMENTED);
    assert_true(strncmp(call->text, "unknown service xxx", 19) == 0);
}

static void calls_beyond_the_bound_of_all_connections_are_refused(void **state)
{
    (void)state;
    struct world_options o = {.core = {.calls_max = 3}};
    restart(&o);
    struct client *other = client_new(here.w);
    struct call *first = client_watch(other);
    client_watch(other);
    client_keepalive(other);
    world_settle(here.w);
    struct call *fourth = client_watch(here.c);
    struct call *fifth = client_put(here.c, "a", "1");
    world_settle(here.w);
    assert_error(fourth, ETCD_TOO_MANY_REQUESTS);
    assert_error(fifth, ETCD_TOO_MANY_REQUESTS);
    call_cancel(first);
    world_settle(here.w);
    put("a", "1");
}

static struct call *with_version(const char *version)
{
    struct h2_header h = {bytes_str("client-api-version"), bytes_str(version)};
    struct call *call = client_call_with(here.c, "/etcdserverpb.KV/Range", &h, 1);
    struct range_req req = {.range = {bytes_str("a"), {0}}};
    struct buf b;
    buf_init(&b);
    encode_range_req(&req, &b);
    call_say(call, &b);
    world_settle(here.w);
    return call;
}

static void a_client_version_must_be_text(void **state)
{
    (void)state;
    assert_ok(with_version("3.7"));
    assert_ok(with_version("3.7-\xc3\xa4"));
    assert_error(with_version("3.7-\xff"), ETCD_INVALID_CLIENT_API_VERSION);
    assert_error(with_version("3.7-\xc3"), ETCD_INVALID_CLIENT_API_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(an_unknown_service_is_named),
        CASE(an_unknown_method_is_named_with_its_service),
        CASE(a_path_of_another_form_is_malformed),
        CASE(a_very_long_path_is_cut_in_the_answer),
        CASE(calls_beyond_the_bound_of_all_connections_are_refused),
        CASE(a_client_version_must_be_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
