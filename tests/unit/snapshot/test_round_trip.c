/* snapshot/export and snapshot/import: a store goes out into etcd's file and comes back the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "failmalloc.h"
#include "log.h"
#include "snapshot/status.h"

static void expect_same(struct log_store *l)
{
    struct file f, again;
    struct log_store back;
    struct snapshot_summary out = log_export(l, &f);
    struct snapshot_summary in = log_import(&back, &f, 0);
    assert_int_equal(out.revision, store_revision(l->store));
    assert_int_equal(in.revision, out.revision);
    assert_int_equal(in.compacted, out.compacted);
    assert_int_equal(in.rows, out.rows);
    assert_int_equal(in.leases, out.leases);
    assert_int_equal(store_revision(back.store), store_revision(l->store));
    assert_int_equal(store_compacted(back.store), store_compacted(l->store));
    assert_int_equal(store_leases(back.store), store_leases(l->store));
    assert_int_equal(store_digest(back.store), store_digest(l->store));
    assert_int_equal(store_cluster_id(back.store), 5);
    struct snapshot_summary second = log_export(&back, &again);
    assert_int_equal(second.rows, out.rows);
    file_fini(&f);
    file_fini(&again);
    log_store_fini(&back);
}

static void an_empty_store_comes_back(void **state)
{
    (void)state;
    struct log_store l;
    log_store_init(&l);
    expect_same(&l);
    log_store_fini(&l);
}

static void every_revision_comes_back(void **state)
{
    (void)state;
    struct log_store l;
    log_store_init(&l);
    log_put(&l, "a", "1", 0);
    log_put(&l, "b", "", 0);
    log_put(&l, "a", "2", 0);
    log_delete(&l, "a", "z");
    log_put(&l, "a", "3", 0);
    expect_same(&l);
    log_store_fini(&l);
}

static void leases_come_back_with_their_keys(void **state)
{
    (void)state;
    struct log_store l;
    log_store_init(&l);
    log_grant(&l, 77, 60);
    log_grant(&l, INT64_MIN + 5, 100);
    log_put(&l, "a", "1", 77);
    log_grant(&l, 78, 60);
    log_put(&l, "b", "1", 78);
    log_revoke(&l, 78);
    expect_same(&l);
    log_store_fini(&l);
}

static void a_compaction_at_every_revision_comes_back(void **state)
{
    (void)state;
    for (tn_rev at = 1; at <= 9; at++) {
        struct log_store l;
        log_store_init(&l);
        log_grant(&l, 7, 60);
        log_put(&l, "a", "1", 7);
        log_put(&l, "b", "1", 0);
        log_put(&l, "a", "2", 0);
        log_delete(&l, "b", "");
        log_put(&l, "c", "1", 7);
        log_revoke(&l, 7);
        log_put(&l, "b", "2", 0);
        log_delete(&l, "a", "z");
        assert_true(at <= store_revision(l.store));
        log_compact(&l, at);
        expect_same(&l);
        log_store_fini(&l);
    }
}

/* Puts, deletes of ranges, leases, transactions, compactions, as they come. */
static void random_histories_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 60; seed++) {
        struct log_store l;
        struct rng r;
        rng_init(&r, seed);
        log_store_init(&l);
        for (int i = 0; i < 200; i++) {
            char a[4] = {(char)('a' + rng_u64(&r) % 6), 0}, b[4] = {(char)('a' + rng_u64(&r) % 6), 0};
            tn_lease lease = (tn_lease)(1 + rng_u64(&r) % 3);
            struct lease_grant_resp granted;
            struct lease_revoke_resp revoked;
            struct put_resp put;
            struct put_req req = {.key = bytes_str(a), .value = bytes_str(b), .lease = rng_u64(&r) % 2 ? lease : 0};
            tn_seq seq;
            switch (rng_u64(&r) % 8) {
            case 0:
                log_delete(&l, a, b);
                break;
            case 1:
                (void)!store_lease_grant(l.store, &(struct lease_grant_req){.id = lease, .ttl_s = 60}, 1, &granted,
                                         &seq);
                break;
            case 2:
                if (rng_u64(&r) % 3 == 0)
                    (void)!store_lease_revoke(l.store, &(struct lease_revoke_req){.id = lease}, &revoked, &seq);
                break;
            case 3:
                if (rng_u64(&r) % 4 == 0 && store_revision(l.store) > store_compacted(l.store)) {
                    tn_rev room = store_revision(l.store) - store_compacted(l.store);
                    log_compact(&l, store_compacted(l.store) + 1 + (tn_rev)(rng_u64(&r) % (uint64_t)room));
                }
                break;
            default:
                (void)!store_put(l.store, &req, &l.arena, &put, &seq);
            }
            log_store_settle(&l);
        }
        expect_same(&l);
        log_store_fini(&l);
    }
}

static void make_users(struct log_store *l)
{
    tn_seq seq;
    struct user_role_req root = {.user = bytes_str("root"), .role = bytes_str("root")};
    struct role_grant_req grant = {
        .role = bytes_str("reader"),
        .has_permission = true,
        .permission = {.type = PERMISSION_READ, .range = {.key = bytes_str("a"), .range_end = bytes_str("b")}}};
    assert_int_equal(store_role_add(l->store, bytes_str("root"), &seq), ETCD_OK);
    assert_int_equal(store_role_add(l->store, bytes_str("reader"), &seq), ETCD_OK);
    assert_int_equal(store_role_add(l->store, bytes_str("gone"), &seq), ETCD_OK);
    assert_int_equal(store_role_grant(l->store, &grant, &seq), ETCD_OK);
    assert_int_equal(store_user_add(l->store, bytes_str("root"), bytes_str("$2a$10$hash"), false, &seq), ETCD_OK);
    assert_int_equal(store_user_add(l->store, bytes_str("nopass"), bytes_str(""), true, &seq), ETCD_OK);
    assert_int_equal(store_user_grant_role(l->store, &root, &seq), ETCD_OK);
    assert_int_equal(store_role_delete(l->store, bytes_str("gone"), &seq), ETCD_OK);
    log_store_settle(l);
}

static void expect_same_users(struct log_store *l)
{
    struct log_store back;
    struct file f;
    log_export(l, &f);
    log_import(&back, &f, 0);
    const struct store *a = l->store, *b = back.store;
    assert_int_equal(store_auth_enabled(a, STORE_DURABLE), store_auth_enabled(b, STORE_DURABLE));
    assert_int_equal(store_auth_revision(a, STORE_DURABLE), store_auth_revision(b, STORE_DURABLE));
    assert_int_equal(store_users(a, STORE_DURABLE), store_users(b, STORE_DURABLE));
    assert_int_equal(store_roles(a, STORE_DURABLE), store_roles(b, STORE_DURABLE));
    for (size_t i = 0; i < store_users(a, STORE_DURABLE); i++) {
        struct store_user x, y;
        store_user_at(a, STORE_DURABLE, i, &x);
        store_user_at(b, STORE_DURABLE, i, &y);
        assert_true(bytes_equal(x.encoded, y.encoded));
    }
    for (size_t i = 0; i < store_roles(a, STORE_DURABLE); i++) {
        struct store_role x, y;
        store_role_at(a, STORE_DURABLE, i, &x);
        store_role_at(b, STORE_DURABLE, i, &y);
        assert_true(bytes_equal(x.encoded, y.encoded));
    }
    log_expect_restart(&back);
    file_fini(&f);
    log_store_fini(&back);
}

static void users_and_roles_come_back(void **state)
{
    (void)state;
    struct log_store l;
    tn_seq seq;
    log_store_init(&l);
    log_put(&l, "a", "1", 0);
    make_users(&l);
    expect_same_users(&l);
    assert_int_equal(store_auth_enable(l.store, &seq), ETCD_OK);
    log_store_settle(&l);
    assert_true(store_auth_enabled(l.store, STORE_DURABLE));
    expect_same_users(&l);
    log_put(&l, "a", "2", 0);
    log_compact(&l, 3);
    expect_same_users(&l);
    expect_same(&l);
    log_store_fini(&l);
}

static void alarms_come_back(void **state)
{
    (void)state;
    struct log_store l, back;
    struct alarm_req req = {.action = ALARM_ACTIVATE, .alarm = {.member_id = 9, .type = ALARM_NOSPACE}};
    struct alarm_resp resp;
    struct file f;
    tn_seq seq;
    log_store_init(&l);
    assert_int_equal(store_alarm(l.store, &req, &l.arena, &resp, &seq), ETCD_OK);
    log_store_settle(&l);
    log_export(&l, &f);
    log_import(&back, &f, 0);
    assert_true(store_alarmed(back.store, ALARM_NOSPACE));
    file_fini(&f);
    log_store_fini(&back);
    req.action = ALARM_DEACTIVATE;
    assert_int_equal(store_alarm(l.store, &req, &l.arena, &resp, &seq), ETCD_OK);
    log_store_settle(&l);
    log_export(&l, &f);
    log_import(&back, &f, 0);
    assert_false(store_alarmed(back.store, ALARM_NOSPACE));
    file_fini(&f);
    log_store_fini(&back);
    log_store_fini(&l);
}

static void a_bump_leaves_every_revision_behind(void **state)
{
    (void)state;
    const tn_rev bump = INT64_C(1) << 40;
    struct log_store l, back;
    struct file f;
    log_store_init(&l);
    log_grant(&l, 7, 60);
    log_put(&l, "a", "1", 7);
    log_put(&l, "a", "2", 7);
    log_put(&l, "b", "1", 0);
    tn_rev revision = store_revision(l.store);
    log_export(&l, &f);
    struct snapshot_summary s = log_import(&back, &f, bump);
    assert_int_equal(s.revision, revision + bump);
    assert_int_equal(s.compacted, revision + bump);
    assert_int_equal(store_revision(back.store), revision + bump);
    assert_int_equal(store_compacted(back.store), revision + bump);
    struct range_req req = {.range = {.key = bytes_str("a")}};
    struct range_resp resp;
    assert_int_equal(store_range(back.store, &req, &back.arena, &resp), ETCD_OK);
    assert_int_equal(resp.n_kvs, 1);
    assert_true(bytes_equal(resp.kvs[0].value, bytes_str("2")));
    assert_int_equal(resp.kvs[0].lease, 7);
    req.revision = revision;
    assert_int_equal(store_range(back.store, &req, &back.arena, &resp), ETCD_COMPACTED);
    log_put(&back, "c", "1", 0);
    assert_int_equal(store_revision(back.store), revision + bump + 1);
    expect_same(&back); /* and on to the next */
    log_put(&back, "a", "3", 0);
    log_expect_restart(&back);
    log_compact(&back, store_revision(back.store));
    log_put(&back, "a", "4", 0);
    log_expect_restart(&back);
    expect_same(&back);
    file_fini(&f);
    log_store_fini(&l);
    log_store_fini(&back);
}

static int ignore_row(void *user, const struct record *r, struct tenure_error *err)
{
    (void)user, (void)r, (void)err;
    return 0;
}

static void a_revision_cannot_be_bumped_beyond_all_numbers(void **state)
{
    (void)state;
    struct log_store l;
    struct file f;
    struct bolt_file b;
    struct snapshot_summary s;
    struct snapshot_import_options options = {.cluster_id = 1, .member_id = 2, .bump = INT64_MAX - 1};
    log_store_init(&l);
    log_put(&l, "a", "1", 0);
    log_export(&l, &f);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    assert_int_equal(snapshot_import(&b, &options, ignore_row, NULL, &s, NULL), TENURE_EINVALID);
    file_fini(&f);
    log_store_fini(&l);
}

/* One entry in a bucket of its own file. */
static int import_entry(const char *bucket, bytes key, bytes value)
{
    struct file f;
    struct bolt_file b;
    struct snapshot_summary s;
    struct snapshot_import_options options = {.cluster_id = 1, .member_id = 2};
    file_init(&f);
    struct bolt_writer *w = file_writer(&f);
    bolt_bucket_begin(w, bytes_str(bucket));
    bolt_put(w, key, value);
    bolt_bucket_end(w);
    file_finish(&f, w);
    assert_int_equal(bolt_open(&b, buf_bytes(&f.bytes), NULL), 0);
    int rc = snapshot_import(&b, &options, ignore_row, NULL, &s, NULL);
    file_fini(&f);
    return rc;
}

static void what_etcd_would_not_write_is_refused(void **state)
{
    (void)state;
    const bytes rev2 = bytes_of("\0\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0", 17);
    const bytes rev0 = bytes_of("\0\0\0\0\0\0\0\0_\0\0\0\0\0\0\0\0", 17);
    const bytes negative = bytes_of("\377\0\0\0\0\0\0\2_\0\0\0\0\0\0\0\0", 17);
    const bytes huge = bytes_of("\177\377\377\377\377\377\377\377_\0\0\0\0\0\0\0\0", 17);
    const bytes id = bytes_of("\0\0\0\0\0\0\0\7", 8);
    assert_int_equal(import_entry("key", rev2, bytes_str("\x0a\x01k\x10\x02\x18\x02 \x01")), 0);
    assert_int_equal(import_entry("key", rev2, bytes_str("\x0a\x01k\x10\x02\x18\x03 \x01")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("key", rev2, bytes_str("\x0a\x09k")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("key", rev2, bytes_of(NULL, 0)), 0); /* etcdutl's bump */
    assert_int_equal(import_entry("key", rev0, bytes_str("\x0a\x01k")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("key", negative, bytes_str("\x0a\x01k")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("key", bytes_str("two"), bytes_str("\x0a\x01k")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("lease", id, bytes_str("\x08\x07\x10\x3c")), 0);
    assert_int_equal(import_entry("lease", id, bytes_str("\x08\x08\x10\x3c")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("lease", id, bytes_str("\x08\x07")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("lease", bytes_str("seven"), bytes_str("\x08\x07\x10\x3c")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("meta", bytes_str("scheduledCompactRev"), bytes_str("5")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("meta", bytes_str("scheduledCompactRev"), rev2), 0);
    assert_int_equal(import_entry("meta", bytes_str("finishedCompactRev"), huge), TENURE_ECORRUPT);
    assert_int_equal(import_entry("key", huge, bytes_str("\x0a\x01k")), TENURE_ECORRUPT);
    assert_int_equal(import_entry("unknown", bytes_str("a"), bytes_str("b")), 0);
}

static struct log_store sample;

static int discard(void *user, uint64_t offset, bytes data, struct tenure_error *err)
{
    (void)user, (void)offset, (void)data, (void)err;
    return 0;
}

static int export_sample(void *user)
{
    struct snapshot_export *x;
    struct snapshot_summary s;
    struct bolt_output out = {.write = discard};
    (void)user;
    int rc = snapshot_export_new(&out, &(struct snapshot_facts){0}, &x);
    if (rc)
        return rc;
    for (size_t i = 0; i < sample.n && rc == 0; i++)
        rc = snapshot_export_row(x, &sample.rows[i].r, NULL);
    if (rc == 0)
        rc = snapshot_export_finish(x, &s, NULL);
    snapshot_export_free(x);
    return rc;
}

static void memory_that_is_short_is_told(void **state)
{
    (void)state;
    log_store_init(&sample);
    log_grant(&sample, 7, 60);
    log_put(&sample, "a", "1", 7);
    log_grant(&sample, 8, 60);
    log_delete(&sample, "a", "z");
    log_revoke(&sample, 7);
    assert_true(failmalloc_sweep(export_sample, NULL) > 10);
    log_store_fini(&sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_store_comes_back),
        cmocka_unit_test(every_revision_comes_back),
        cmocka_unit_test(leases_come_back_with_their_keys),
        cmocka_unit_test(a_compaction_at_every_revision_comes_back),
        cmocka_unit_test(random_histories_come_back),
        cmocka_unit_test(users_and_roles_come_back),
        cmocka_unit_test(alarms_come_back),
        cmocka_unit_test(a_bump_leaves_every_revision_behind),
        cmocka_unit_test(a_revision_cannot_be_bumped_beyond_all_numbers),
        cmocka_unit_test(what_etcd_would_not_write_is_refused),
        cmocka_unit_test(memory_that_is_short_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
