/* Memory that runs short at every point of a busy turn: the server loses at most the calls concerned, and goes on. */
#include "cases.h"
#include "failmalloc.h"

static struct buf to_server, to_client;

static void say(const char *path, struct buf *message)
{
    client_ask(here.c, path, message);
    buf_init(message);
}

static void say_maintenance(void)
{
    bytes url = bytes_str("http://a:1");
    struct range_req all = {.range = {bytes_str("a"), bytes_str("z")}, .limit = 1};
    struct buf b;
    buf_init(&b);
    encode_range_req(&all, &b);
    say("/etcdserverpb.KV/RangeStream", &b);
    encode_alarm_req(&(struct alarm_req){ALARM_ACTIVATE, {7, 7}}, &b);
    say("/etcdserverpb.Maintenance/Alarm", &b);
    encode_alarm_req(&(struct alarm_req){ALARM_DEACTIVATE, {7, 7}}, &b);
    say("/etcdserverpb.Maintenance/Alarm", &b);
    say("/etcdserverpb.Maintenance/Status", &b);
    say("/etcdserverpb.Maintenance/HashKV", &b);
    encode_member_update_req(&(struct member_update_req){0xe1, &url, 1}, &b);
    say("/etcdserverpb.Cluster/MemberUpdate", &b);
    say("/etcdserverpb.Cluster/MemberList", &b);
}

static void say_locks(void)
{
    struct buf b;
    buf_init(&b);
    encode_leader_req(bytes_str("e"), &b);
    say("/v3electionpb.Election/Observe", &b);
    encode_lock_req(&(struct lock_req){bytes_str("l"), 5}, &b);
    say("/v3lockpb.Lock/Lock", &b);
    encode_lock_req(&(struct lock_req){bytes_str("l"), 0}, &b);
    say("/v3lockpb.Lock/Lock", &b);
    for (int i = 0; i < 2; i++) {
        encode_campaign_req(&(struct campaign_req){bytes_str("e"), 5, bytes_str(i ? "two" : "one")}, &b);
        say("/v3electionpb.Election/Campaign", &b);
    }
    encode_unlock_req(bytes_str("l/5"), &b);
    say("/v3lockpb.Lock/Unlock", &b);
    encode_leader_req(bytes_str("e"), &b);
    say("/v3electionpb.Election/Leader", &b);
}

/* Everything that a client can ask for, in one write. */
static void say_everything(void)
{
    struct compare compare = {.target = COMPARE_VERSION, .range = {bytes_str("a"), {0}}, .number = 1};
    struct request_op ops[2] = {
        {.kind = OP_PUT, .put = {.key = bytes_str("t"), .value = bytes_str("1"), .prev_kv = true}},
        {.kind = OP_RANGE, .range = {.range = {bytes_str("a"), bytes_str("z")}}},
    };
    struct watch_create_req all = {
        .range = {bytes_str("a"), bytes_str("z")}, .prev_kv = true, .progress_notify = true, .start_revision = 1};
    static char large[3000];
    memset(large, 'v', sizeof large - 1);
    struct call *watch = client_watch(here.c), *keepalive = client_keepalive(here.c);
    call_watch(watch, &all);
    all.start_revision = 0;
    call_watch(watch, &all);
    call_ask_progress(watch);
    client_put(here.c, "a", large);
    client_range(here.c, "a", "z");
    client_txn(
        here.c,
        &(struct txn_req){
            .compares = &compare, .n_compares = 1, .success = ops, .n_success = 2, .failure = ops, .n_failure = 1});
    client_grant(here.c, 9, 60);
    call_keepalive(keepalive, 9);
    call_keepalive(keepalive, 5);
    client_ttl(here.c, 5, true);
    client_delete(here.c, "b", "");
    client_revoke(here.c, 5);
    client_compact(here.c, 3, true);
    say_maintenance();
    say_locks();
    client_call(here.c, "/no.Such/Method", 500);
    call_unwatch(watch, 1);
    assert_int_equal(h2_output(here.c->h2, &to_server, 1 << 20), 0);
}

/* A turn of the server alone: the test's own memory is all there already. */
static void server_turn(void)
{
    struct world *w = here.w;
    struct core_batch b;
    core_turn(w->core, w->now);
    core_feed(here.c->conn, buf_bytes(&to_server), w->now);
    buf_reset(&to_server);
    core_run(w->core, w->now);
    if (core_batch(w->core, &b, 1000))
        core_written(w->core, CORE_APPLIED, b.n_rows ? b.rows[b.n_rows - 1].seq : store_seq(w->store), w->now);
    core_run(w->core, w->now);
    core_output(here.c->conn, &to_client, 1 << 20, w->now);
    buf_reset(&to_client);
    core_run(w->core, w->now);
}

static void prepare(void)
{
    here.w = world_new(NULL);
    here.c = client_new(here.w);
    put("a", "0");
    grant(5, 60);
    put_leased("b", 5);
    put("a", "1");
    buf_init(&to_server);
    buf_init(&to_client);
    assert_non_null(buf_reserve(&to_client, 4 << 20));
    say_everything();
}

/* What is left of the server serves somebody new. */
static void assert_alive(void)
{
    client_cut(here.c);
    here.c = client_new(here.w);
    assert_non_null(here.c->conn);
    put("z", "1");
    assert_int_equal(count("z", ""), 1);
    world_pass(here.w, 2000);
}

static bool run_with(void (*begin_failing)(size_t at), size_t at)
{
    prepare();
    begin_failing(at);
    server_turn();
    server_turn();
    bool hit = failmalloc_hit();
    failmalloc_off();
    assert_alive();
    buf_fini(&to_server);
    buf_fini(&to_client);
    world_free(here.w);
    return hit;
}

static void one_allocation_that_fails_costs_at_most_its_own_call(void **state)
{
    (void)state;
    size_t at = 1;
    while (run_with(failmalloc_at, at))
        at++;
    assert_true(at > 50);
}

static void no_memory_from_some_point_on_is_survived_too(void **state)
{
    (void)state;
    size_t at = 1;
    while (run_with(failmalloc_from, at))
        at++;
    assert_true(at > 50);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_allocation_that_fails_costs_at_most_its_own_call),
        cmocka_unit_test(no_memory_from_some_point_on_is_survived_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
