/* Campaign, Proclaim, Resign, Leader, Observe. */
#include <stdlib.h>

#include "cases.h"

#define ELECTION "/v3electionpb.Election/"

static struct call *campaign(const char *name, tn_lease lease, const char *value)
{
    struct campaign_req req = {bytes_str(name), lease, bytes_str(value)};
    struct buf b;
    buf_init(&b);
    encode_campaign_req(&req, &b);
    struct call *call = client_ask(here.c, ELECTION "Campaign", &b);
    world_settle(here.w);
    return call;
}

static struct campaign_resp got_campaign(struct call *call)
{
    struct response_header h;
    struct campaign_resp r;
    assert_ok(call);
    call->taken = 0;
    assert_int_equal(decode_campaign_resp(call_next(call), &here.w->arena, &h, &r), 0);
    return r;
}

static struct call *proclaim_by(const struct leader_key *leader, const char *value)
{
    struct proclaim_req req = {.has_leader = leader != NULL, .value = bytes_str(value)};
    struct buf b;
    buf_init(&b);
    if (leader)
        req.leader = *leader;
    encode_proclaim_req(&req, &b);
    struct call *call = client_ask(here.c, ELECTION "Proclaim", &b);
    world_settle(here.w);
    return call;
}

static struct call *resign_by(const struct leader_key *leader)
{
    struct resign_req req = {.has_leader = leader != NULL};
    struct buf b;
    buf_init(&b);
    if (leader)
        req.leader = *leader;
    encode_resign_req(&req, &b);
    struct call *call = client_ask(here.c, ELECTION "Resign", &b);
    world_settle(here.w);
    return call;
}

static struct call *named(const char *method, const char *name)
{
    struct buf b;
    buf_init(&b);
    encode_leader_req(bytes_str(name), &b);
    struct call *call = client_ask(here.c, method, &b);
    world_settle(here.w);
    return call;
}

static struct leader_resp next_leader(struct call *call)
{
    struct response_header h;
    struct leader_resp r;
    bytes m = call_next(call);
    assert_non_null(m.data);
    assert_int_equal(decode_leader_resp(m, &here.w->arena, &h, &r), 0);
    return r;
}

static void assert_leader(struct call *observe, const char *key, const char *value)
{
    struct leader_resp r = next_leader(observe);
    assert_bytes(r.kv.key, key);
    assert_bytes(r.kv.value, value);
    assert_true(r.revision >= r.kv.mod_revision);
}

static void leases(void)
{
    for (tn_lease id = 1; id <= 5; id++)
        grant(id, 1000);
}

/* ---- Campaign ---- */

static void the_first_candidate_leads_and_is_told_its_key(void **state)
{
    (void)state;
    leases();
    put("x", "1");
    struct campaign_resp r = got_campaign(campaign("e", 1, "one"));
    assert_bytes(r.leader.name, "e");
    assert_bytes(r.leader.key, "e/1");
    assert_int_equal(r.leader.rev, 3);
    assert_int_equal(r.leader.lease, 1);
    assert_int_equal(r.revision, 3);
}

/* M1; the header tells the first transaction, as in etcd. */
static void the_next_one_leads_when_the_first_resigns(void **state)
{
    (void)state;
    leases();
    struct campaign_resp first = got_campaign(campaign("e", 1, "one"));
    struct call *second = campaign("e", 2, "two");
    assert_waits(second);
    assert_ok(resign_by(&first.leader));
    struct campaign_resp r = got_campaign(second);
    assert_int_equal(r.leader.rev, 3);
    assert_int_equal(r.revision, 3);
    assert_int_equal(store_revision(here.w->store), 4);
}

/* What etcd's Campaign lacks: M6. */
static void nobody_leads_whose_key_is_gone(void **state)
{
    (void)state;
    leases();
    struct call *first = campaign("e", 1, "one"), *second = campaign("e", 2, "two"), *third = campaign("e", 3, "three");
    client_revoke(here.c, 2);
    world_settle(here.w);
    assert_status(second, GRPC_UNKNOWN, "election: not leader");
    client_delete(here.c, "e/", "e0");
    world_settle(here.w);
    assert_ok(first);
    assert_status(third, GRPC_UNKNOWN, "election: not leader");
}

static void a_candidate_that_comes_again_changes_its_value(void **state)
{
    (void)state;
    leases();
    struct campaign_resp first = got_campaign(campaign("e", 1, "one"));
    assert_int_equal(got_campaign(campaign("e", 1, "one")).leader.rev, first.leader.rev);
    assert_int_equal(store_revision(here.w->store), 2);
    struct campaign_resp again = got_campaign(campaign("e", 1, "uno"));
    assert_int_equal(again.leader.rev, first.leader.rev);
    assert_int_equal(again.revision, 2);
    assert_int_equal(store_revision(here.w->store), 3);
    assert_leader(named(ELECTION "Leader", "e"), "e/1", "uno");
}

/* M7 */
static void who_gives_up_is_no_candidate(void **state)
{
    (void)state;
    leases();
    campaign("e", 1, "one");
    struct call *second = campaign("e", 2, "two");
    call_cancel(second);
    world_settle(here.w);
    assert_int_equal(count("e/", "e0"), 1);
}

/* ---- Proclaim, Resign, Leader ---- */

static void the_leader_proclaims_and_nobody_else(void **state)
{
    (void)state;
    leases();
    struct leader_key leader = got_campaign(campaign("e", 1, "one")).leader, other = leader;
    assert_ok(proclaim_by(&leader, "uno"));
    assert_leader(named(ELECTION "Leader", "e"), "e/1", "uno");
    other.rev--;
    assert_status(proclaim_by(&other, "x"), GRPC_UNKNOWN, "election: not leader");
    assert_status(proclaim_by(NULL, "x"), GRPC_UNKNOWN, "\"leader\" field must be provided");
    leader.lease = 99;
    assert_status(proclaim_by(&leader, "x"), GRPC_UNKNOWN, "etcdserver: requested lease not found");
    /* Without a lease one of 60 s is made; the key is in its hands from now on. */
    leader.lease = 0;
    assert_ok(proclaim_by(&leader, "x"));
    assert_int_equal(store_leases(here.w->store), 6);
    world_pass(here.w, 62000);
    assert_status(named(ELECTION "Leader", "e"), GRPC_UNKNOWN, "election: no leader");
    assert_status(proclaim_by(&leader, "x"), GRPC_UNKNOWN, "election: not leader");
    assert_int_equal(store_leases(here.w->store), 5);
}

/* M5 */
static void resigning_from_what_does_not_stand_is_fine(void **state)
{
    (void)state;
    leases();
    struct leader_key leader = got_campaign(campaign("e", 1, "one")).leader, other = leader;
    other.rev++;
    assert_ok(resign_by(&other));
    assert_int_equal(count("e/", "e0"), 1);
    assert_ok(resign_by(&leader));
    assert_ok(resign_by(&leader));
    assert_int_equal(count("e/", "e0"), 0);
    assert_status(resign_by(NULL), GRPC_UNKNOWN, "\"leader\" field must be provided");
}

static void the_leader_is_who_came_first(void **state)
{
    (void)state;
    leases();
    assert_status(named(ELECTION "Leader", "e"), GRPC_UNKNOWN, "election: no leader");
    campaign("e", 5, "first");
    campaign("e", 1, "second");
    assert_leader(named(ELECTION "Leader", "e"), "e/5", "first");
    here.w->log_held = true;
    client_delete(here.c, "e/5", "");
    world_settle(here.w);
    assert_leader(named(ELECTION "Leader", "e"), "e/5", "first");
    world_release(here.w, CORE_APPLIED);
    assert_leader(named(ELECTION "Leader", "e"), "e/1", "second");
}

/* ---- Observe ---- */

/* M10 */
static void an_observer_is_told_each_leader_and_each_proclamation(void **state)
{
    (void)state;
    leases();
    struct call *early = named(ELECTION "Observe", "e");
    assert_true(got_nothing(early));
    struct leader_key one = got_campaign(campaign("e", 1, "one")).leader;
    struct call *late = named(ELECTION "Observe", "e");
    campaign("e", 2, "two");
    put("e0", "not of it");
    assert_ok(proclaim_by(&one, "uno"));
    assert_ok(resign_by(&one));
    for (int i = 0; i < 2; i++) {
        struct call *call = i ? late : early;
        struct leader_resp first = next_leader(call);
        assert_bytes(first.kv.value, "one");
        assert_int_equal(first.revision, 2);
        assert_leader(call, "e/1", "uno");
        assert_leader(call, "e/2", "two");
        assert_true(got_nothing(call));
    }
    client_delete(here.c, "e/", "e0");
    world_settle(here.w);
    assert_true(got_nothing(early));
    campaign("e", 3, "three");
    assert_leader(early, "e/3", "three");
    assert_false(early->has_status);
}

static void a_leader_that_came_and_went_is_told_from_history(void **state)
{
    (void)state;
    leases();
    struct call *call = named(ELECTION "Observe", "e");
    here.w->log_held = true;
    campaign("e", 1, "one");
    client_put_req(here.c, &(struct put_req){.key = bytes_str("e/1"), .value = bytes_str("uno"), .lease = 1});
    client_delete(here.c, "e/1", "");
    campaign("e", 2, "two");
    world_settle(here.w);
    assert_true(got_nothing(call));
    world_release(here.w, CORE_APPLIED);
    assert_leader(call, "e/1", "one");
    assert_leader(call, "e/1", "uno");
    assert_leader(call, "e/2", "two");
    assert_true(got_nothing(call));
}

static void an_observer_that_reads_nothing_costs_little_and_misses_nothing(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 20000}};
    enum { N = 200 };
    restart(&o);
    leases();
    char *value = malloc(1000);
    memset(value, 'v', 999);
    value[999] = 0;
    struct leader_key leader = got_campaign(campaign("e", 1, value)).leader;
    struct client *reader = here.c;
    struct call *call = named(ELECTION "Observe", "e");
    reader->deaf = true;
    here.c = client_new(here.w);
    for (int i = 0; i < N; i++)
        assert_ok(proclaim_by(&leader, value));
    assert_ok(proclaim_by(&leader, "last"));
    size_t before = reader->received;
    reader->deaf = false;
    world_settle(here.w);
    assert_true(reader->received - before > N * 900);
    assert_int_equal(call->n_messages, N + 2);
    call->taken = N + 1;
    assert_leader(call, "e/1", "last");
    free(value);
}

/* Compaction takes what it has not read: it goes on with who leads now. */
static void an_observer_that_slept_through_a_compaction_is_told_the_last(void **state)
{
    (void)state;
    struct world_options o = {.core = {.conn_output_max = 4000}};
    restart(&o);
    leases();
    static char value[1000];
    memset(value, 'v', sizeof value - 1);
    struct leader_key leader = got_campaign(campaign("e", 1, value)).leader;
    struct client *reader = here.c;
    struct call *call = named(ELECTION "Observe", "e");
    reader->deaf = true;
    here.c = client_new(here.w);
    for (int i = 0; i < 50; i++)
        assert_ok(proclaim_by(&leader, value));
    assert_ok(proclaim_by(&leader, "last"));
    client_compact(here.c, store_revision(here.w->store), true);
    world_settle(here.w);
    reader->deaf = false;
    world_settle(here.w);
    assert_true(call->n_messages < 50);
    call->taken = call->n_messages - 1;
    assert_leader(call, "e/1", "last");
    assert_ok(proclaim_by(&leader, "after"));
    assert_leader(call, "e/1", "after");
}

static void observers_end_with_their_calls(void **state)
{
    (void)state;
    leases();
    struct call *call = named(ELECTION "Observe", "e"), *other = named(ELECTION "Observe", "e");
    assert_int_equal(store_watchers(here.w->store), 2);
    call_cancel(call);
    world_settle(here.w);
    assert_int_equal(store_watchers(here.w->store), 1);
    core_shutdown(here.w->core, here.w->now);
    world_settle(here.w);
    assert_error(other, ETCD_STOPPED);
    assert_int_equal(store_watchers(here.w->store), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_first_candidate_leads_and_is_told_its_key),
        CASE(the_next_one_leads_when_the_first_resigns),
        CASE(nobody_leads_whose_key_is_gone),
        CASE(a_candidate_that_comes_again_changes_its_value),
        CASE(who_gives_up_is_no_candidate),
        CASE(the_leader_proclaims_and_nobody_else),
        CASE(resigning_from_what_does_not_stand_is_fine),
        CASE(the_leader_is_who_came_first),
        CASE(an_observer_is_told_each_leader_and_each_proclamation),
        CASE(a_leader_that_came_and_went_is_told_from_history),
        CASE(an_observer_that_reads_nothing_costs_little_and_misses_nothing),
        CASE(an_observer_that_slept_through_a_compaction_is_told_the_last),
        CASE(observers_end_with_their_calls),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
