/* What a watch tells becomes rows of the log, and two lists of leases what came and went. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/migrate_rows.h"

static struct migrate_rows rows;
static struct tenure_error err;

static int setup(void **state)
{
    (void)state;
    migrate_rows_init(&rows, 100, 10);
    memset(&err, 0, sizeof err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    migrate_rows_fini(&rows);
    return 0;
}

static struct event put(const char *key, tn_rev revision, int64_t version, tn_lease lease)
{
    struct event e = {.type = EVENT_PUT};
    e.kv = (struct kv){.key = bytes_str(key),
                       .value = bytes_str("value"),
                       .mod_revision = revision,
                       .create_revision = revision - version + 1,
                       .version = version,
                       .lease = lease};
    return e;
}

static struct event deletion(const char *key, tn_rev revision)
{
    struct event e = {.type = EVENT_DELETE};
    e.kv = (struct kv){.key = bytes_str(key), .mod_revision = revision};
    return e;
}

static void a_revision_becomes_one_command_in_the_order_of_its_events(void **state)
{
    (void)state;
    struct event events[] = {put("b", 11, 3, 7), deletion("a", 11)};
    assert_int_equal(migrate_add_revision(&rows, events, 2, &err), 0);
    assert_int_equal(rows.n, 2);
    const struct record *r = rows.rows;
    assert_int_equal(r[0].kind, RECORD_KV);
    assert_int_equal(r[0].seq, 101);
    assert_int_equal(r[0].main, 11);
    assert_int_equal(r[0].sub, 0);
    assert_int_equal(r[0].create_revision, 9);
    assert_int_equal(r[0].version, 3);
    assert_int_equal(r[0].lease, 7);
    assert_true(bytes_equal(r[0].value, bytes_str("value")));
    assert_false(r[0].last_of_command);
    assert_int_equal(r[1].seq, 102);
    assert_int_equal(r[1].sub, 1);
    assert_true(r[1].tombstone && r[1].last_of_command);
    assert_int_equal(r[1].value.len + (size_t)r[1].version + (size_t)r[1].create_revision, 0);
    assert_int_equal(rows.newest, 11);
}

static void events_are_cut_into_revisions(void **state)
{
    (void)state;
    struct event events[] = {put("a", 11, 1, 0), put("b", 11, 1, 0), put("a", 12, 2, 0)};
    assert_int_equal(migrate_revision_len(events, 3), 2);
    assert_int_equal(migrate_revision_len(events + 2, 1), 1);
    assert_int_equal(migrate_revision_len(events, 0), 0);
}

static void refused(const struct event *events, size_t n, const char *word)
{
    assert_int_equal(migrate_add_revision(&rows, events, n, &err), TENURE_ECORRUPT);
    if (!strstr(err.text, word))
        fail_msg("%s: no %s in it", err.text, word);
    assert_int_equal(rows.n, 0);
    assert_int_equal(rows.seq, 100);
    assert_int_equal(rows.newest, 10);
}

static void a_revision_that_is_not_the_next_is_refused_by_number(void **state)
{
    (void)state;
    struct event gap = put("a", 12, 1, 0), again = put("a", 10, 1, 0);
    refused(&gap, 1, "revision 12 where 11 comes next");
    refused(&again, 1, "revision 10 where 11 comes next");
}

static void what_no_revision_holds_is_refused(void **state)
{
    (void)state;
    struct event no_key = put("", 11, 1, 0), no_version = put("a", 11, 1, 0), late = put("a", 11, 1, 0);
    no_version.kv.version = 0;
    late.kv.create_revision = 12;
    refused(&no_key, 1, "revision 11");
    refused(&no_version, 1, "revision 11");
    refused(&late, 1, "revision 11");
    struct event twice[] = {put("a", 11, 1, 0), put("b", 11, 1, 0), deletion("a", 11)};
    refused(twice, 3, "twice");
}

static void leases_stand_at_the_revision_before(void **state)
{
    (void)state;
    struct event e = put("a", 11, 1, 5);
    assert_int_equal(migrate_add_grant(&rows, 5, 60, &err), 0);
    assert_int_equal(migrate_add_revision(&rows, &e, 1, &err), 0);
    assert_int_equal(migrate_add_revoke(&rows, 4, &err), 0);
    const struct record *r = rows.rows;
    assert_int_equal(r[0].kind, RECORD_LEASE_GRANT);
    assert_int_equal(r[0].main, 10);
    assert_int_equal(r[0].lease, 5);
    assert_int_equal(r[0].version, 60);
    assert_true(r[0].last_of_command);
    assert_int_equal(r[2].kind, RECORD_LEASE_REVOKE);
    assert_int_equal(r[2].main, 11);
    assert_int_equal(r[2].seq, 103);
}

static void a_compaction_has_its_own_revision_and_an_alarm_its_member(void **state)
{
    (void)state;
    assert_int_equal(migrate_add_compaction(&rows, 4, &err), 0);
    assert_int_equal(migrate_add_disarm(&rows, UINT64_MAX, 2, &err), 0);
    assert_int_equal(rows.rows[0].main, 4);
    assert_int_equal(rows.rows[1].lease, -1);
    assert_int_equal(rows.rows[1].version, 2);
    assert_true(rows.rows[1].tombstone);
    migrate_rows_clear(&rows);
    assert_int_equal(rows.n + rows.bytes, 0);
    assert_int_equal(rows.seq, 102);
}

static void many_rows_find_room(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        struct event e = put("a", 11 + i, 1, 0);
        assert_int_equal(migrate_add_revision(&rows, &e, 1, &err), 0);
    }
    assert_int_equal(rows.n, 5000);
    assert_int_equal(rows.bytes, 5000 * 6);
    assert_int_equal(rows.rows[4999].seq, 5100);
}

/* ---- leases ---- */

static char told[256];

static int on_new(void *user, tn_lease id)
{
    (void)user;
    snprintf(told + strlen(told), sizeof told - strlen(told), "+%d ", (int)id);
    return id == 13 ? TENURE_ENOMEM : 0;
}

static int on_gone(void *user, tn_lease id)
{
    (void)user;
    snprintf(told + strlen(told), sizeof told - strlen(told), "-%d ", (int)id);
    return 0;
}

static int diff(tn_lease *there, size_t n_there, tn_lease *here, size_t n_here)
{
    struct migrate_lease_diff d = {there, here, n_there, n_here, on_new, on_gone, NULL};
    told[0] = 0;
    return migrate_diff_leases(&d);
}

static void leases_that_only_one_side_has_are_told(void **state)
{
    (void)state;
    tn_lease there[] = {9, 2, 5, -4}, here[] = {5, 1, 9, 6};
    assert_int_equal(diff(there, 4, here, 4), 0);
    assert_string_equal(told, "+-4 -1 +2 -6 ");
    assert_int_equal(diff(there, 4, NULL, 0), 0);
    assert_string_equal(told, "+-4 +2 +5 +9 ");
    assert_int_equal(diff(NULL, 0, here, 4), 0);
    assert_string_equal(told, "-1 -5 -6 -9 ");
    assert_int_equal(diff(NULL, 0, NULL, 0), 0);
    assert_string_equal(told, "");
}

static void an_error_ends_the_comparison(void **state)
{
    (void)state;
    tn_lease there[] = {20, 13, 12};
    assert_int_equal(diff(there, 3, NULL, 0), TENURE_ENOMEM);
    assert_string_equal(told, "+12 +13 ");
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(a_revision_becomes_one_command_in_the_order_of_its_events),
        T(events_are_cut_into_revisions),
        T(a_revision_that_is_not_the_next_is_refused_by_number),
        T(what_no_revision_holds_is_refused),
        T(leases_stand_at_the_revision_before),
        T(a_compaction_has_its_own_revision_and_an_alarm_its_member),
        T(many_rows_find_room),
        T(leases_that_only_one_side_has_are_told),
        T(an_error_ends_the_comparison),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
