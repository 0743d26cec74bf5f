/* The Maintenance service: alarms and what they refuse, and what is asked of a cluster. */
#include "cases.h"

#define MAINTENANCE "/etcdserverpb.Maintenance/"
#define OWN         0xe1

static struct call *asked(const char *path, struct buf *message)
{
    struct call *call = client_ask(here.c, path, message);
    world_settle(here.w);
    return call;
}

static struct call *alarm(int32_t action, uint64_t member_id, int32_t type)
{
    struct buf b;
    buf_init(&b);
    encode_alarm_req(&(struct alarm_req){action, {member_id, type}}, &b);
    return asked(MAINTENANCE "Alarm", &b);
}

/* "member:type …" */
static const char *got_alarms(struct call *call)
{
    static char text[256];
    struct response_header h;
    struct alarm_resp r;
    size_t len = 0;
    assert_ok(call);
    assert_int_equal(decode_alarm_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.revision, store_revision(here.w->store));
    text[0] = 0;
    for (size_t i = 0; i < r.n_alarms; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "%s%llx:%d", len ? " " : "",
                                (unsigned long long)r.alarms[i].member_id, r.alarms[i].type);
    return text;
}

static struct status_resp status(void)
{
    struct status_resp r;
    struct buf b;
    buf_init(&b);
    encode_status_req(&b);
    struct call *call = asked(MAINTENANCE "Status", &b);
    assert_ok(call);
    assert_int_equal(decode_status_resp(call_next(call), &here.w->arena, &r), 0);
    return r;
}

static struct call *tried_put(const char *key)
{
    struct call *call = client_put(here.c, key, "v");
    world_settle(here.w);
    return call;
}

/* ---- alarms ---- */

static void alarms_are_raised_listed_and_disarmed(void **state)
{
    (void)state;
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "");
    assert_string_equal(got_alarms(alarm(ALARM_ACTIVATE, 7, ALARM_NONE)), "");
    assert_string_equal(got_alarms(alarm(ALARM_ACTIVATE, 7, ALARM_NOSPACE)), "7:1");
    assert_string_equal(got_alarms(alarm(ALARM_ACTIVATE, 7, ALARM_NOSPACE)), "7:1");
    assert_string_equal(got_alarms(alarm(ALARM_ACTIVATE, 9, ALARM_CORRUPT)), "9:2");
    assert_string_equal(got_alarms(alarm(ALARM_ACTIVATE, 3, ALARM_NOSPACE)), "3:1");
    assert_string_equal(got_alarms(alarm(ALARM_GET, 99, ALARM_NONE)), "3:1 7:1 9:2");
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_CORRUPT)), "9:2");
    assert_string_equal(got_alarms(alarm(ALARM_DEACTIVATE, 4, ALARM_NOSPACE)), "");
    assert_string_equal(got_alarms(alarm(ALARM_DEACTIVATE, 7, ALARM_NOSPACE)), "7:1");
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "3:1 9:2");
    assert_int_equal(store_revision(here.w->store), 1);
}

static void status_tells_the_alarms_in_etcds_words(void **state)
{
    (void)state;
    assert_true(status().has_downgrade);
    assert_int_equal(status().n_errors, 0);
    alarm(ALARM_ACTIVATE, OWN, ALARM_NOSPACE);
    alarm(ALARM_ACTIVATE, 5, ALARM_CORRUPT);
    struct status_resp r = status();
    assert_int_equal(r.n_errors, 2);
    assert_bytes(r.errors[0], "memberID:225 alarm:NOSPACE");
    assert_bytes(r.errors[1], "memberID:5 alarm:CORRUPT");
}

static void nospace_refuses_what_grows_and_nothing_else(void **state)
{
    (void)state;
    struct request_op put_op = {.kind = OP_PUT, .put = {.key = bytes_str("a")}};
    struct request_op delete_op = {.kind = OP_DELETE, .del = {.range = {bytes_str("b"), {0}}}};
    put("a", "1");
    put("b", "1");
    grant(5, 60);
    alarm(ALARM_ACTIVATE, OWN, ALARM_NOSPACE);
    struct call *granted = client_grant(here.c, 6, 60), *too_long = client_grant(here.c, 6, INT64_MAX),
                *revoked = client_revoke(here.c, 5);
    struct call *grows = client_txn(here.c, &(struct txn_req){.success = &put_op, .n_success = 1});
    struct call *frees = client_txn(here.c, &(struct txn_req){.success = &delete_op, .n_success = 1});
    struct call *deleted = client_delete(here.c, "a", "");
    world_settle(here.w);
    assert_error(tried_put("a"), ETCD_NO_SPACE);
    assert_error(granted, ETCD_NO_SPACE);
    assert_error(too_long, ETCD_NO_SPACE);
    assert_error(grows, ETCD_NO_SPACE);
    assert_ok(frees);
    assert_ok(revoked);
    assert_ok(deleted);
    struct call *compacted = client_compact(here.c, 3, false);
    world_settle(here.w);
    assert_ok(compacted);
    alarm(ALARM_DEACTIVATE, OWN, ALARM_NOSPACE);
    assert_ok(tried_put("a"));
}

static void corrupt_refuses_all_that_writes_and_no_read(void **state)
{
    (void)state;
    struct request_op put_op = {.kind = OP_PUT, .put = {.key = bytes_str("a")}};
    struct request_op range_op = {.kind = OP_RANGE, .range = {.range = {bytes_str("a"), {0}}}};
    put("a", "1");
    grant(5, 2);
    alarm(ALARM_ACTIVATE, 0, ALARM_CORRUPT);
    struct call *refused[] = {
        client_put(here.c, "a", "2"),
        client_delete(here.c, "a", ""),
        client_txn(here.c, &(struct txn_req){.success = &put_op, .n_success = 1}),
        client_grant(here.c, 6, 60),
        client_revoke(here.c, 5),
        client_compact(here.c, 2, false),
    };
    struct call *read = client_txn(here.c, &(struct txn_req){.success = &range_op, .n_success = 1});
    world_settle(here.w);
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        assert_error(refused[i], ETCD_CORRUPT);
    assert_ok(read);
    assert_int_equal(count("a", ""), 1);
    world_pass(here.w, 5000);
    assert_int_equal(store_leases(here.w->store), 1);
    assert_string_equal(got_alarms(alarm(ALARM_DEACTIVATE, 0, ALARM_CORRUPT)), "0:2");
    world_pass(here.w, 1000);
    assert_int_equal(store_leases(here.w->store), 0);
}

static void who_finds_the_quota_used_up_raises_the_alarm(void **state)
{
    (void)state;
    struct world_options o = {.store = {.quota_bytes = 4000}, .core = {.quota_bytes = 4000}};
    static char large[3000];
    memset(large, 'v', sizeof large - 1);
    restart(&o);
    put("a", large);
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "");
    here.w->log_held = true;
    struct call *call = client_put(here.c, "b", large);
    world_settle(here.w);
    assert_waits(call); /* until the alarm is durable */
    world_release(here.w, CORE_APPLIED);
    assert_error(call, ETCD_NO_SPACE);
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "e1:1");
    assert_int_equal(store_revision(here.w->store), 2);
    struct call *deleted = client_delete(here.c, "a", "");
    world_settle(here.w);
    assert_ok(deleted);
    struct call *compacted = client_compact(here.c, 3, true);
    world_settle(here.w);
    assert_ok(compacted);
    /* There is room, and still nothing is taken: somebody has to have looked. */
    assert_error(tried_put("b"), ETCD_NO_SPACE);
    alarm(ALARM_DEACTIVATE, OWN, ALARM_NOSPACE);
    assert_ok(tried_put("b"));
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "");
}

static void an_alarm_that_was_not_applied_does_not_stand(void **state)
{
    (void)state;
    alarm(ALARM_ACTIVATE, 7, ALARM_NOSPACE);
    here.w->log_held = true;
    struct call *raised = alarm(ALARM_ACTIVATE, 9, ALARM_CORRUPT);
    struct call *disarmed = alarm(ALARM_DEACTIVATE, 7, ALARM_NOSPACE);
    assert_waits(raised);
    assert_waits(disarmed);
    assert_int_equal(status().n_errors, 1);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(raised, ETCD_NO_SPACE);
    assert_error(disarmed, ETCD_NO_SPACE);
    world_pass(here.w, 2000);
    assert_string_equal(got_alarms(alarm(ALARM_GET, 0, ALARM_NONE)), "7:1");
}

static void an_action_that_does_not_exist_is_refused(void **state)
{
    (void)state;
    assert_status(alarm(9, 0, ALARM_NOSPACE), GRPC_UNKNOWN, "etcdserver: unknown method");
}

/* ---- what is asked of a cluster ---- */

static struct call *move_leader(uint64_t target)
{
    struct buf b;
    buf_init(&b);
    encode_move_leader_req(target, &b);
    return asked(MAINTENANCE "MoveLeader", &b);
}

static void leadership_moves_to_itself_alone(void **state)
{
    (void)state;
    assert_ok(move_leader(OWN));
    assert_error(move_leader(5), ETCD_BAD_LEADER_TRANSFEREE);
    assert_error(move_leader(0), ETCD_BAD_LEADER_TRANSFEREE);
}

static struct call *downgrade(int32_t action, const char *version)
{
    struct buf b;
    buf_init(&b);
    encode_downgrade_req(&(struct downgrade_req){action, bytes_str(version)}, &b);
    return asked(MAINTENANCE "Downgrade", &b);
}

static void assert_version(struct call *call)
{
    struct response_header h;
    bytes version;
    assert_ok(call);
    assert_int_equal(decode_downgrade_resp(call_next(call), &here.w->arena, &h, &version), 0);
    assert_bytes(version, "3.7");
    assert_int_equal(h.member_id, OWN);
    assert_int_equal(h.revision, 1);
}

static void a_downgrade_is_judged_and_never_begun(void **state)
{
    (void)state;
    assert_version(downgrade(DOWNGRADE_VALIDATE, "3.6"));
    assert_version(downgrade(DOWNGRADE_VALIDATE, "3.6.9"));
    assert_version(downgrade(DOWNGRADE_CANCEL, ""));
    assert_error(downgrade(DOWNGRADE_VALIDATE, "3.5"), ETCD_INVALID_DOWNGRADE_TARGET_VERSION);
    assert_error(downgrade(DOWNGRADE_VALIDATE, "3.7"), ETCD_INVALID_DOWNGRADE_TARGET_VERSION);
    assert_error(downgrade(DOWNGRADE_VALIDATE, "six"), ETCD_WRONG_DOWNGRADE_VERSION_FORMAT);
    assert_error(downgrade(DOWNGRADE_ENABLE, ""), ETCD_WRONG_DOWNGRADE_VERSION_FORMAT);
    assert_error(downgrade(DOWNGRADE_ENABLE, "3.6"), ETCD_NOT_CAPABLE);
    assert_status(downgrade(4, "3.6"), GRPC_UNKNOWN, "etcdserver: unknown method");
}

/* ---- Defragment ---- */

static struct call *defragment(void)
{
    struct buf b;
    buf_init(&b);
    return asked(MAINTENANCE "Defragment", &b);
}

static void defragment_answers_when_it_is_done(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *first = defragment(), *second = defragment(), *gone = defragment();
    assert_waits(first);
    call_cancel(gone);
    struct call *read = client_range(here.c, "a", "");
    world_settle(here.w);
    assert_ok(read);
    here.w->log_held = false;
    world_settle(here.w);
    assert_ok(first);
    assert_ok(second);
    assert_int_equal(first->n_messages, 1);
    assert_int_equal(call_next(first).len, 0);
    assert_ok(defragment());
}

static void a_defragmentation_that_failed_is_told_why(void **state)
{
    (void)state;
    here.w->log_held = true;
    struct call *call = defragment();
    assert_true(here.w->defragmenting);
    here.w->defragmenting = false;
    core_defragmented(here.w->core, "append: disk full", here.w->now);
    world_settle(here.w);
    assert_status(call, GRPC_UNKNOWN, "append: disk full");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(alarms_are_raised_listed_and_disarmed),        CASE(status_tells_the_alarms_in_etcds_words),
        CASE(nospace_refuses_what_grows_and_nothing_else),  CASE(corrupt_refuses_all_that_writes_and_no_read),
        CASE(who_finds_the_quota_used_up_raises_the_alarm), CASE(an_alarm_that_was_not_applied_does_not_stand),
        CASE(an_action_that_does_not_exist_is_refused),     CASE(leadership_moves_to_itself_alone),
        CASE(a_downgrade_is_judged_and_never_begun),        CASE(defragment_answers_when_it_is_done),
        CASE(a_defragmentation_that_failed_is_told_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
