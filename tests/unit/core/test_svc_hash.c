/* HashKV and Hash as calls: their answers, their errors, and that nobody waits for them. */
#include "cases.h"

#define MAINTENANCE "/etcdserverpb.Maintenance/"

static struct call *hash_kv(tn_rev revision)
{
    struct buf b;
    buf_init(&b);
    encode_hash_kv_req(revision, &b);
    return client_ask(here.c, MAINTENANCE "HashKV", &b);
}

static struct hash_kv_resp got_hash_kv(struct call *call)
{
    struct response_header h;
    struct hash_kv_resp r;
    assert_ok(call);
    call->taken = 0;
    assert_int_equal(decode_hash_kv_resp(call_next(call), &here.w->arena, &h, &r), 0);
    assert_int_equal(h.member_id, 0xe1);
    return r;
}

static uint32_t whole_hash(void)
{
    struct response_header h;
    uint32_t hash;
    struct buf b;
    buf_init(&b);
    struct call *call = client_ask(here.c, MAINTENANCE "Hash", &b);
    world_settle(here.w);
    assert_ok(call);
    assert_int_equal(decode_hash_resp(call_next(call), &here.w->arena, &h, &hash), 0);
    assert_int_equal(h.revision, store_revision(here.w->store));
    return hash;
}

static void the_answer_names_its_revisions(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "");
    put("a", "2");
    struct call *newest = hash_kv(0), *earlier = hash_kv(2), *below = hash_kv(-1);
    world_settle(here.w);
    assert_int_equal(got_hash_kv(newest).hash, 1543627925);
    assert_int_equal(got_hash_kv(newest).hash_revision, 4);
    assert_int_equal(got_hash_kv(newest).compact_revision, -1);
    assert_int_equal(got_hash_kv(earlier).hash, 2587454935);
    assert_int_equal(got_hash_kv(earlier).revision, 4);
    assert_int_equal(got_hash_kv(below).hash_revision, -1);
}

static void revisions_that_are_not_there_are_errors(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    struct call *compacted = client_compact(here.c, 3, true);
    world_settle(here.w);
    assert_ok(compacted);
    struct call *gone = hash_kv(2), *future = hash_kv(4), *newest = hash_kv(0);
    world_settle(here.w);
    assert_error(gone, ETCD_COMPACTED);
    assert_error(future, ETCD_FUTURE_REV);
    assert_int_equal(got_hash_kv(newest).compact_revision, 3);
}

static struct hash_kv_resp hash_now(tn_rev revision)
{
    struct call *call = hash_kv(revision);
    world_settle(here.w);
    return got_hash_kv(call);
}

static void compact_at(tn_rev revision)
{
    struct call *call = client_compact(here.c, revision, false);
    world_settle(here.w);
    assert_ok(call);
}

/* As etcd: the compacted revision has the hash that it had before, and so have those compacted earlier. */
static void a_compaction_keeps_the_hash_of_before(void **state)
{
    (void)state;
    put("a", "1");
    put("b", "1");
    put("a", "2");
    client_delete(here.c, "b", "");
    world_settle(here.w);
    struct hash_kv_resp before = hash_now(5);
    compact_at(5);
    struct hash_kv_resp kept = hash_now(5);
    assert_int_equal(kept.hash, before.hash);
    assert_int_equal(kept.compact_revision, -1);
    assert_int_equal(kept.hash_revision, 5);
    assert_int_equal(hash_now(0).compact_revision, 5);
    assert_int_not_equal(hash_now(0).hash, before.hash);
    put("c", "1");
    put("c", "2");
    before = hash_now(7);
    compact_at(7);
    assert_int_equal(hash_now(7).hash, before.hash);
    assert_int_equal(hash_now(7).compact_revision, 5);
    assert_int_equal(hash_now(5).hash, kept.hash);
    assert_int_equal(hash_now(5).revision, 7);
    for (tn_rev rev = 8; rev < 18; rev++) {
        put("c", "3");
        compact_at(rev);
    }
    struct call *forgotten = hash_kv(7);
    world_settle(here.w);
    assert_error(forgotten, ETCD_COMPACTED);
}

static void an_undone_compaction_keeps_none(void **state)
{
    (void)state;
    put("a", "1");
    put("a", "2");
    here.w->log_held = true;
    struct call *call = client_compact(here.c, 3, false);
    world_settle(here.w);
    world_release(here.w, CORE_NOT_APPLIED);
    assert_error(call, ETCD_NO_SPACE);
    assert_int_equal(hash_now(3).compact_revision, -1);
    assert_false(store_hashing(here.w->store));
}

static void put_thousands(void)
{
    char key[16];
    for (int i = 0; i < 3000; i++) {
        snprintf(key, sizeof key, "%05d", i);
        client_put(here.c, key, "v");
        if (i % 500 == 499)
            world_settle(here.w);
    }
}

static void others_are_served_while_it_works(void **state)
{
    (void)state;
    put_thousands();
    struct call *compacted = client_compact(here.c, store_revision(here.w->store), true);
    world_settle(here.w);
    assert_ok(compacted);
    struct call *call = hash_kv(0), *physical = client_compact(here.c, 9999, true);
    world_turn(here.w);
    assert_waits(call);
    struct call *read = client_range(here.c, "00001", "");
    world_turn(here.w);
    assert_int_equal(got_range(read).count, 1);
    assert_waits(call);
    world_settle(here.w);
    assert_ok(call);
    assert_error(physical, ETCD_FUTURE_REV);
}

/* A physical compaction promises that what it dropped is gone. */
static void a_physical_compaction_waits_for_it(void **state)
{
    (void)state;
    put_thousands();
    put("00001", "changed");
    struct call *call = hash_kv(0);
    world_turn(here.w);
    struct call *physical = client_compact(here.c, store_revision(here.w->store), true);
    for (int i = 0; i < 3; i++) {
        world_turn(here.w);
        assert_true(call->has_status || !physical->has_status);
    }
    world_settle(here.w);
    assert_ok(call);
    assert_ok(physical);
    assert_false(store_trim_pending(here.w->store));
}

static void more_than_may_work_at_once_wait_for_their_turn(void **state)
{
    (void)state;
    struct call *calls[2 * STORE_HASHES_MAX];
    put_thousands();
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        calls[i] = hash_kv(0);
    world_settle(here.w);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++)
        assert_int_equal(got_hash_kv(calls[i]).hash, got_hash_kv(calls[0]).hash);
}

static void a_cancelled_one_holds_up_nothing(void **state)
{
    (void)state;
    put_thousands();
    struct call *call = hash_kv(0);
    world_turn(here.w);
    assert_true(store_hashing(here.w->store));
    call_cancel(call);
    world_settle(here.w);
    assert_false(store_hashing(here.w->store));
    (void)hash_kv(0);
    world_turn(here.w);
    client_cut(here.c);
    world_settle(here.w);
    assert_false(store_hashing(here.w->store));
}

static void the_hash_of_the_whole_changes_with_it(void **state)
{
    (void)state;
    uint32_t empty = whole_hash();
    put("a", "1");
    uint32_t one = whole_hash();
    assert_int_not_equal(empty, one);
    assert_int_equal(whole_hash(), one);
    struct call *compacted = client_compact(here.c, 2, true);
    world_settle(here.w);
    assert_ok(compacted);
    assert_int_not_equal(whole_hash(), one);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(the_answer_names_its_revisions),
        CASE(revisions_that_are_not_there_are_errors),
        CASE(a_compaction_keeps_the_hash_of_before),
        CASE(an_undone_compaction_keeps_none),
        CASE(others_are_served_while_it_works),
        CASE(a_physical_compaction_waits_for_it),
        CASE(more_than_may_work_at_once_wait_for_their_turn),
        CASE(a_cancelled_one_holds_up_nothing),
        CASE(the_hash_of_the_whole_changes_with_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
