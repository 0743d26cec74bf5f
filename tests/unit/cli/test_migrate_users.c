/* What makes the source's users and roles of those that were copied. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "cli/migrate_users.h"

static struct migrate_rows rows;
static struct tenure_error err;

static int setup(void **state)
{
    (void)state;
    migrate_rows_init(&rows, 100, 10);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    migrate_rows_fini(&rows);
    return 0;
}

static struct record user(const char *name, const char *value)
{
    return (struct record){.kind = RECORD_AUTH_USER, .key = bytes_str(name), .value = bytes_str(value)};
}

static struct record role(const char *name, const char *value)
{
    return (struct record){.kind = RECORD_AUTH_ROLE, .key = bytes_str(name), .value = bytes_str(value)};
}

/* "U+alice@5 R-some@6 on@7" */
static const char *said(void)
{
    static char text[512];
    text[0] = 0;
    for (size_t i = 0; i < rows.n; i++) {
        const struct record *r = &rows.rows[i];
        char *at = text + strlen(text);
        size_t room = sizeof text - (size_t)(at - text);
        assert_true(r->last_of_command);
        assert_int_equal(r->main, 10);
        if (r->kind == RECORD_AUTH_SWITCH)
            snprintf(at, room, "%s@%d ", r->sub ? "on" : "off", (int)r->version);
        else
            snprintf(at, room, "%c%c%.*s@%d ", r->kind == RECORD_AUTH_USER ? 'U' : 'R', r->tombstone ? '-' : '+',
                     (int)r->key.len, (const char *)r->key.data, (int)r->version);
        assert_true(!r->tombstone || r->value.len == 0);
    }
    return text;
}

static int plan(struct record *ours, size_t n_ours, uint64_t from, struct record *theirs, size_t n_theirs, uint64_t to,
                bool enabled)
{
    migrate_users_sort(ours, n_ours);
    migrate_users_sort(theirs, n_theirs);
    struct migrate_users a = {ours, n_ours, false, from}, b = {theirs, n_theirs, enabled, to};
    return migrate_add_users(&rows, &a, &b, &err);
}

static void what_differs_is_written_and_what_is_gone_deleted(void **state)
{
    (void)state;
    struct record ours[] = {role("old", "r"), user("b", "1"), user("a", "1"), user("same", "1"), role("same", "r")};
    struct record theirs[] = {user("same", "1"), user("b", "2"), user("new", "1"), role("same", "r"), role("a", "r")};
    assert_int_equal(plan(ours, 5, 7, theirs, 5, 12, false), 0);
    assert_string_equal(said(), "U-a@8 U+b@9 U+new@10 R+a@11 R-old@12 ");
}

static void a_revision_that_lacks_more_is_reached(void **state)
{
    (void)state;
    struct record theirs[] = {user("a", "1")};
    assert_int_equal(plan(NULL, 0, 1, theirs, 1, 4, true), 0);
    assert_string_equal(said(), "U+a@2 on@3 on@4 ");
}

static void one_that_lacks_less_is_not_passed(void **state)
{
    (void)state;
    struct record theirs[] = {user("a", "1"), user("b", "1"), user("c", "1")};
    assert_int_equal(plan(NULL, 0, 5, theirs, 3, 6, false), 0);
    assert_string_equal(said(), "U+a@6 U+b@6 U+c@6 ");
}

static void the_switch_goes_along_without_a_revision(void **state)
{
    (void)state;
    assert_int_equal(plan(NULL, 0, 5, NULL, 0, 5, true), 0);
    assert_string_equal(said(), "on@5 ");
}

static void nothing_makes_no_row(void **state)
{
    (void)state;
    assert_int_equal(plan(NULL, 0, 5, NULL, 0, 5, false), 0);
    assert_string_equal(said(), "");
}

static void a_revision_that_went_back_or_too_far_is_refused(void **state)
{
    (void)state;
    assert_int_equal(plan(NULL, 0, 5, NULL, 0, 4, false), TENURE_ECONFLICT);
    assert_int_equal(plan(NULL, 0, 5, NULL, 0, UINT64_MAX, false), TENURE_ECONFLICT);
    assert_int_equal(rows.n, 0);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(what_differs_is_written_and_what_is_gone_deleted),
        T(a_revision_that_lacks_more_is_reached),
        T(one_that_lacks_less_is_not_passed),
        T(the_switch_goes_along_without_a_revision),
        T(nothing_makes_no_row),
        T(a_revision_that_went_back_or_too_far_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
