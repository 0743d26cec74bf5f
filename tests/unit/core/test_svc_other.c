/* The services that say who is there: member list, status, health. */
#include "cases.h"

static struct call *ask(const char *path, struct buf *message)
{
    struct call *call = client_call(here.c, path, -1);
    call_say(call, message);
    world_settle(here.w);
    return call;
}

static void the_member_list_is_this_server_with_what_it_advertises(void **state)
{
    (void)state;
    static const char *const urls[] = {"http://10.0.0.1:2379", "unix:///run/x"};
    struct world_options o = {.core = {.name = "m1", .client_urls = urls, .n_client_urls = 2}};
    struct response_header h;
    struct member_list_resp r;
    struct buf b;
    restart(&o);
    buf_init(&b);
    encode_member_list_req(true, &b);
    struct call *call = ask("/etcdserverpb.Cluster/MemberList", &b);
    assert_ok(call);
    assert_int_equal(decode_member_list_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.revision, 0);
    assert_int_equal(r.n_members, 1);
    assert_int_equal(r.members[0].id, h.member_id);
    assert_bytes(r.members[0].name, "m1");
    assert_int_equal(r.members[0].n_client_urls, 2);
    assert_bytes(r.members[0].client_urls[1], "unix:///run/x");
    assert_false(r.members[0].is_learner);
}

static void status_tells_version_sizes_and_that_it_leads(void **state)
{
    (void)state;
    struct status_resp r;
    struct buf b;
    core_set_file_size(here.w->core, 5000, 4000);
    put("a", "1");
    buf_init(&b);
    encode_status_req(&b);
    struct call *call = ask("/etcdserverpb.Maintenance/Status", &b);
    assert_ok(call);
    assert_int_equal(decode_status_resp(call_next(call), &here.w->arena, &r), 0);
    assert_bytes(r.version, "3.7.0");
    assert_int_equal(r.header.revision, 2);
    assert_int_equal(r.leader, r.header.member_id);
    assert_int_equal(r.db_size, 5000);
    assert_int_equal(r.db_size_in_use, 4000);
    assert_int_equal(r.raft_index, store_seq(here.w->store));
    assert_int_equal(r.n_errors, 0);
}

static struct call *health(const char *method, const char *service)
{
    struct buf b;
    buf_init(&b);
    encode_health_req(bytes_str(service), &b);
    return ask(method, &b);
}

static enum health_status got_health(struct call *call)
{
    enum health_status s;
    assert_int_equal(decode_health_resp(call_next(call), &here.w->arena, &s), 0);
    return s;
}

static void the_whole_server_is_serving(void **state)
{
    (void)state;
    struct call *call = health("/grpc.health.v1.Health/Check", "");
    assert_ok(call);
    assert_int_equal(got_health(call), HEALTH_SERVING);
    assert_status(health("/grpc.health.v1.Health/Check", "nonsense"), GRPC_NOT_FOUND, "unknown service");
}

static void health_can_be_watched_until_the_server_stops(void **state)
{
    (void)state;
    struct call *call = health("/grpc.health.v1.Health/Watch", "");
    struct call *unknown = health("/grpc.health.v1.Health/Watch", "nonsense");
    assert_int_equal(got_health(call), HEALTH_SERVING);
    assert_int_equal(got_health(unknown), HEALTH_SERVICE_UNKNOWN);
    assert_false(call->has_status);
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_error(call, ETCD_STOPPED);
}

static void a_server_that_writes_no_more_is_not_serving(void **state)
{
    (void)state;
    struct call *call = health("/grpc.health.v1.Health/Watch", "");
    struct call *unknown = health("/grpc.health.v1.Health/Watch", "nonsense");
    assert_int_equal(got_health(call), HEALTH_SERVING);
    assert_int_equal(got_health(unknown), HEALTH_SERVICE_UNKNOWN);
    here.w->log_held = true;
    client_put(here.c, "a", "1");
    world_settle(here.w);
    world_release(here.w, CORE_MAYBE_APPLIED);
    assert_int_equal(got_health(call), HEALTH_NOT_SERVING);
    assert_true(got_nothing(unknown));
    struct call *check = health("/grpc.health.v1.Health/Check", "");
    assert_int_equal(got_health(check), HEALTH_NOT_SERVING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_member_list_is_this_server_with_what_it_advertises),
        CASE(status_tells_version_sizes_and_that_it_leads),
        CASE(the_whole_server_is_serving),
        CASE(health_can_be_watched_until_the_server_stops),
        CASE(a_server_that_writes_no_more_is_not_serving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
