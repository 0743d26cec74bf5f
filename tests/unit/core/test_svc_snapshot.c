/* Maintenance.Snapshot over a driver that is a toy: what is asked of it when, and how its file reaches the client. */
#include "cases.h"

#define TOY_BYTES 1000000

static struct {
    int makes, drops, open, cancels;
    tn_seq upto;
    bool refuses, unreadable;
    uint64_t bytes;
    uint64_t read_to; /* the end of what was read so far */
} toy;

static int toy_make(void *user, tn_seq upto, struct tenure_error *err)
{
    (void)user;
    toy.makes++;
    toy.upto = upto;
    return toy.refuses ? error_set(err, TENURE_EIO, "no thread") : 0;
}

static uint8_t toy_byte(uint64_t at)
{
    return (uint8_t)(at * 7 + at / 251);
}

static int toy_read(void *user, void *handle, uint64_t offset, uint8_t *to, size_t len, struct tenure_error *err)
{
    (void)user;
    assert_ptr_equal(handle, &toy);
    if (toy.unreadable)
        return error_set(err, TENURE_EIO, "the file is gone");
    for (size_t i = 0; i < len; i++)
        to[i] = toy_byte(offset + i);
    toy.read_to = offset + len;
    return 0;
}

static void toy_drop(void *user, void *handle)
{
    (void)user;
    assert_ptr_equal(handle, &toy);
    toy.drops++;
    toy.open--;
}

static void toy_cancel(void *user)
{
    (void)user;
    toy.cancels++;
}

static const struct core_snapshots toy_driver = {
    .make = toy_make, .cancel = toy_cancel, .read = toy_read, .drop = toy_drop};

static int with_toy(void **state)
{
    setup(state);
    memset(&toy, 0, sizeof toy);
    toy.bytes = TOY_BYTES;
    restart(&(struct world_options){.core = {.snapshots = &toy_driver}});
    return 0;
}

static int without(void **state)
{
    teardown(state);
    assert_int_equal(toy.open, 0);
    return 0;
}

static struct call *ask(struct client *c)
{
    struct buf b;
    buf_init(&b);
    struct call *call = client_call(c, "/etcdserverpb.Maintenance/Snapshot", -1);
    encode_snapshot_req(&b);
    call_say(call, &b);
    call_half_close(call);
    world_settle(here.w);
    return call;
}

static void made(void)
{
    struct core_snapshot s = {.handle = &toy, .bytes = toy.bytes};
    memset(s.sha256, 0xab, sizeof s.sha256);
    toy.open++;
    core_snapshot_made(here.w->core, &s, NULL, here.w->now);
    world_settle(here.w);
}

static struct snapshot_resp got(struct call *call)
{
    struct snapshot_resp r;
    assert_int_equal(decode_snapshot_resp(call_next(call), &here.w->arena, &r), 0);
    return r;
}

static void the_file_comes_in_pieces_with_its_sum_behind(void **state)
{
    (void)state;
    put("a", "1");
    struct call *call = ask(here.c);
    assert_waits(call);
    assert_int_equal(toy.makes, 1);
    assert_int_equal(toy.upto, store_seq(here.w->store));
    made();
    assert_ok(call);
    uint64_t at = 0;
    while (at < toy.bytes) {
        struct snapshot_resp r = got(call);
        assert_in_range(r.blob.len, 1, 32 << 10);
        for (size_t i = 0; i < r.blob.len; i++)
            assert_int_equal(r.blob.data[i], toy_byte(at + i));
        at += r.blob.len;
        assert_int_equal(r.remaining_bytes, toy.bytes - at);
        assert_bytes(r.version, "3.7.0");
    }
    struct snapshot_resp sum = got(call);
    assert_int_equal(sum.blob.len, 32);
    assert_int_equal(sum.blob.data[0], 0xab);
    assert_int_equal(sum.remaining_bytes, 0);
    assert_null(call_next(call).data);
    assert_int_equal(toy.drops, 1);
}

static void one_is_made_at_a_time(void **state)
{
    (void)state;
    struct call *first = ask(here.c), *second = ask(here.c);
    assert_int_equal(toy.makes, 1);
    made();
    assert_ok(first);
    assert_waits(second);
    assert_int_equal(toy.makes, 2);
    made();
    assert_ok(second);
}

static void more_than_a_few_are_refused(void **state)
{
    (void)state;
    struct call *calls[4];
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        calls[i] = ask(here.c);
    assert_error(ask(here.c), ETCD_TOO_MANY_REQUESTS);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        made();
        assert_ok(calls[i]);
    }
}

/* Rows that compaction deleted while the log is read would be missing from the middle of the file. */
static void no_row_is_deleted_while_one_is_made(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        put("a", "1");
    struct call *call = ask(here.c);
    struct call *compact = client_compact(here.c, 40, true);
    world_pass(here.w, 5000);
    assert_waits(compact); /* it asked to wait for the deletes */
    assert_int_equal(here.w->deletes_total, 0);
    put("b", "1");
    made();
    world_pass(here.w, 5000);
    assert_ok(call);
    assert_ok(compact);
    assert_true(here.w->deletes_total > 30);
}

static void it_does_not_begin_while_deletes_are_on_their_way(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        put("a", "1");
    here.w->log_ms = 100;
    client_compact(here.c, 40, false);
    for (int i = 0; i < 100 && !(here.w->in_flight && here.w->batch_deletes > 0); i++)
        world_pass(here.w, 10);
    assert_true(here.w->in_flight && here.w->batch_deletes > 0);
    struct call *call = ask(here.c);
    assert_int_equal(toy.makes, 0);
    world_pass(here.w, 200);
    assert_int_equal(toy.makes, 1);
    made();
    assert_ok(call);
}

/* One asked for behind the other, and rows to be deleted. */
static void snapshots_without_end_do_not_keep_rows_from_being_deleted(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        put("a", "1");
    ask(here.c);
    ask(here.c);
    client_compact(here.c, 40, false);
    world_settle(here.w);
    assert_int_equal(here.w->deletes_total, 0);
    here.w->log_ms = 10;
    made();
    world_pass(here.w, 2000);
    assert_true(here.w->deletes_total > 30);
    assert_int_equal(toy.makes, 2); /* and then it was made */
    made();
}

static void a_log_that_cannot_delete_holds_no_snapshot_up_for_ever(void **state)
{
    (void)state;
    for (int i = 0; i < 50; i++)
        put("a", "1");
    ask(here.c);
    ask(here.c);
    client_compact(here.c, 40, false);
    world_settle(here.w);
    here.w->outcome = CORE_NOT_APPLIED; /* no room */
    made();
    world_pass(here.w, 1000);
    assert_int_equal(toy.makes, 1);
    world_pass(here.w, 6000);
    assert_int_equal(toy.makes, 2);
    made();
}

static void a_client_that_takes_nothing_costs_little(void **state)
{
    (void)state;
    struct client *slow = client_new(here.w);
    struct call *call = ask(slow);
    world_settle(here.w);
    slow->deaf = true;
    toy.bytes = 100 << 20;
    made();
    assert_true(toy.read_to < 4 << 20);
    put("a", "1"); /* others go on */
    client_cut(slow);
    world_settle(here.w);
    assert_int_equal(toy.drops, 1);
    (void)call;
}

static void a_call_that_ends_early_has_its_file_dropped(void **state)
{
    (void)state;
    struct call *call = ask(here.c);
    call_cancel(call);
    world_settle(here.w);
    assert_int_equal(toy.cancels, 1);
    made();
    assert_int_equal(toy.drops, 1);
    struct call *waits = ask(here.c), *queued = ask(here.c);
    call_cancel(queued);
    world_settle(here.w);
    made();
    assert_ok(waits);
    assert_int_equal(toy.makes, 2);
}

static void what_the_driver_cannot_do_is_told(void **state)
{
    (void)state;
    toy.refuses = true;
    assert_status(ask(here.c), GRPC_UNAVAILABLE, "no thread");
    toy.refuses = false;
    struct call *call = ask(here.c);
    struct tenure_error err;
    error_set(&err, TENURE_ENOSPACE, "no room");
    core_snapshot_made(here.w->core, NULL, &err, here.w->now);
    world_settle(here.w);
    assert_status(call, GRPC_INTERNAL, "no room");
    call = ask(here.c);
    toy.unreadable = true;
    made();
    assert_status(call, GRPC_INTERNAL, "the file is gone");
}

static void a_call_without_a_message_is_refused(void **state)
{
    (void)state;
    struct call *call = client_call(here.c, "/etcdserverpb.Maintenance/Snapshot", -1);
    call_half_close(call);
    world_settle(here.w);
    assert_true(call->has_status);
    assert_int_equal(call->status, GRPC_INTERNAL);
}

static void a_server_without_a_driver_says_so(void **state)
{
    (void)state;
    restart(NULL);
    struct call *call = ask(here.c);
    assert_int_equal(call->status, GRPC_UNIMPLEMENTED);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, with_toy, without)
    const struct CMUnitTest tests[] = {
        T(the_file_comes_in_pieces_with_its_sum_behind),
        T(one_is_made_at_a_time),
        T(more_than_a_few_are_refused),
        T(no_row_is_deleted_while_one_is_made),
        T(it_does_not_begin_while_deletes_are_on_their_way),
        T(snapshots_without_end_do_not_keep_rows_from_being_deleted),
        T(a_log_that_cannot_delete_holds_no_snapshot_up_for_ever),
        T(a_client_that_takes_nothing_costs_little),
        T(a_call_that_ends_early_has_its_file_dropped),
        T(what_the_driver_cannot_do_is_told),
        T(a_call_without_a_message_is_refused),
        T(a_server_without_a_driver_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
