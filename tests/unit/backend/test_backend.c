/* The contract of backend.h: what is appended comes back, in the same process's order, and only there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "rig.h"

static int set_up(void **state)
{
    struct rig *r = malloc(sizeof *r);
    rig_init(r, NULL);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

static void assert_all_rows(const struct rig *r, tn_seq last)
{
    assert_false(r->wrong);
    assert_int_equal(r->replayed, last);
    assert_int_equal(r->last, last);
    assert_int_equal(r->first, last ? 1 : 0);
}

static void a_new_log_is_empty_and_stays_so(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 0);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 0);
}

static void rows_come_back_whole_and_in_order(void **state)
{
    struct rig *r = *state;
    r->value_max = 20000; /* past a page, and empty values too */
    assert_int_equal(rig_open(r), 0);
    for (size_t n = 1; n <= 20; n++)
        rig_append(r, n);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 210);
    assert_int_equal(r->seq, 210);
}

static void a_commit_on_the_callers_thread_is_as_good(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    for (int i = 0; i < 50; i++) {
        rig_append_now(r, 1);
        rig_append(r, 3);
    }
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 200);
}

static void what_was_acknowledged_survives_a_killed_process(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 10);
    rig_append(r, 1);
    rig_crash(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 11);
}

static void after_a_clean_close_the_one_file_holds_everything(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 10);
    rig_close(r);
    assert_false(rig_has(r, "tenure.db-wal"));
    rig_remove(r, "leases");
    rig_remove(r, "lock");
    rig_remove(r, "ballast");
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 10);
}

static void deleted_rows_stay_away_and_the_others_stay(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 100);
    tn_seq gone[] = {3, 50, 51, 99};
    rig_delete(r, gone, 4);
    rig_append(r, 5);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, 101);
    for (size_t i = 0; i < 4; i++)
        assert_false(rig_saw(r, gone[i]));
}

static void the_newest_row_may_be_deleted_and_its_number_is_not_used_again(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 3);
    tn_seq gone[] = {2, 3};
    rig_delete(r, gone, 2);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(r->last, 1);
    assert_int_equal(r->seq, 3); /* the next row has to be the fourth */
    rig_append(r, 2);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(r->replayed, 3);
    assert_int_equal(r->last, 5);
}

static void rows_and_deletes_of_one_batch_are_one_transaction(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    tn_seq gone[] = {1, 6}; /* one of the batch's own rows among them */
    struct backend_result result = rig_try(r, 2, gone, 2, false);
    assert_int_equal(result.outcome, BACKEND_APPLIED);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(r->replayed, 5);
    assert_true(rig_saw(r, 7));
    assert_false(rig_saw(r, 6));
}

static void deleting_a_row_that_is_not_there_ends_the_writing(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    tn_seq gone[] = {2, 77};
    struct backend_result result = rig_try(r, 1, gone, 2, false);
    assert_int_equal(result.outcome, BACKEND_MAYBE_APPLIED);
    assert_int_equal(result.error.code, TENURE_ECORRUPT);
    assert_false(backend_idle(r->b));
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 5);
}

static void a_row_missing_among_its_neighbours_ends_the_writing(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 9);
    rig_delete(r, (const tn_seq[]){5}, 1);
    tn_seq gone[] = {3, 4, 5, 6};
    struct backend_result result = rig_try(r, 0, gone, 4, false);
    assert_int_equal(result.outcome, BACKEND_MAYBE_APPLIED);
    assert_int_equal(result.error.code, TENURE_ECORRUPT);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(r->replayed, 8);
}

static void the_last_of_neighbours_missing_ends_the_writing(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    struct backend_result result = rig_try(r, 0, (const tn_seq[]){4, 5, 6}, 3, false);
    assert_int_equal(result.outcome, BACKEND_MAYBE_APPLIED);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 5);
}

static void the_loop_is_told_once_a_batch_and_can_take_it_once(void **state)
{
    struct rig *r = *state;
    struct backend_result result;
    assert_int_equal(rig_open(r), 0);
    assert_false(backend_take(r->b, &result));
    rig_append(r, 1);
    assert_false(backend_take(r->b, &result));
    assert_int_equal(r->done, 0);
    assert_true(backend_idle(r->b));
}

static int stop_at_three(void *user, const struct record *row)
{
    (void)user;
    return row->seq == 3 ? TENURE_ECANCELLED : 0;
}

static void the_reader_can_end_the_replay(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    rig_close(r);
    struct backend *b;
    assert_int_equal(backend_open(&r->config, &b, NULL), 0);
    assert_int_equal(backend_replay(b, stop_at_three, NULL, NULL), TENURE_ECANCELLED);
    assert_false(backend_idle(b));
    backend_close(b);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 5);
}

static void a_close_finishes_the_batch_under_way(void **state)
{
    struct rig *r = *state;
    uint8_t buf[256];
    assert_int_equal(rig_open(r), 0);
    struct record row = rig_row(1, r->value_max, buf);
    struct backend_batch batch = {&row, 1, NULL, 0};
    backend_submit(r->b, &batch);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 1);
}

static void closing_nothing_is_fine(void **state)
{
    (void)state;
    assert_null(backend_close(NULL));
}

static void the_directory_and_its_files_are_the_owners_alone(void **state)
{
    struct rig *r = *state;
    char path[512];
    struct stat st;
    rmdir(r->dir);
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 1);
    assert_int_equal(stat(r->dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    const char *names[] = {"tenure.db", "tenure.db-wal", "leases", "lock", "ballast"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        rig_path(r, names[i], path, sizeof path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void a_second_opener_is_told_who_has_the_directory(void **state)
{
    struct rig *r = *state;
    struct backend *second = NULL;
    struct tenure_error error;
    char pid[32];
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(backend_open(&r->config, &second, &error), TENURE_EBUSY);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(error.text, pid));
    assert_non_null(strstr(error.text, r->dir));
    rig_append(r, 1); /* and the first one goes on */
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 1);
}

static void a_directory_that_cannot_be_made_is_named(void **state)
{
    struct rig *r = *state;
    struct backend *b = NULL;
    struct tenure_error error;
    r->config.dir = "/nonexistent/deeper";
    assert_int_equal(backend_open(&r->config, &b, &error), TENURE_ENOTFOUND);
    assert_non_null(strstr(error.text, "/nonexistent/deeper"));
}

static void bounds_of_the_wal_that_make_no_sense_are_refused(void **state)
{
    struct rig *r = *state;
    r->config.wal_bytes_soft = 2 << 20;
    r->config.wal_bytes_hard = 1 << 20;
    assert_int_equal(rig_open(r), TENURE_EINVALID);
}

static void a_newer_format_is_refused_by_name(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 1);
    rig_close(r);
    rig_sql(r, "PRAGMA user_version=2");
    assert_int_equal(rig_open(r), TENURE_EVERSION);
    assert_non_null(strstr(r->error.text, "version 2"));
    assert_non_null(strstr(r->error.text, "up to 1"));
    rig_sql(r, "PRAGMA user_version=1");
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 1);
}

static void a_file_of_something_else_is_refused(void **state)
{
    struct rig *r = *state;
    rig_sql(r, "CREATE TABLE notes(text)");
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    assert_non_null(strstr(r->error.text, "not a log of Tenure"));
    rig_write(r, "tenure.db", "this is no database, it is a letter to the editor of the evening paper", 70);
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
}

static void tables_that_are_not_ours_are_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_close(r);
    rig_sql(r, "CREATE TRIGGER t AFTER INSERT ON log BEGIN DELETE FROM log WHERE seq=1; END");
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    rig_sql(r, "DROP TRIGGER t");
    rig_sql(r, "ANALYZE");
    assert_int_equal(rig_open(r), 0);
}

static void a_missing_database_beside_its_wal_is_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    rig_crash(r);
    rig_remove(r, "tenure.db");
    rig_remove(r, "leases");
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    assert_non_null(strstr(r->error.text, "tenure.db is missing"));
}

static void a_missing_database_that_held_rows_is_refused(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 5);
    rig_close(r);
    rig_remove(r, "tenure.db");
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    assert_non_null(strstr(r->error.text, "5 rows"));
}

static void leftovers_of_a_creation_that_was_cut_do_no_harm(void **state)
{
    struct rig *r = *state;
    rig_write(r, "tenure.db.new", "half a page", 11);
    rig_write(r, "tenure.db.new-wal", "something", 9);
    rig_write(r, "leases.new", "x", 1);
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 1);
    assert_false(rig_has(r, "tenure.db.new"));
    assert_false(rig_has(r, "tenure.db.new-wal"));
    assert_false(rig_has(r, "leases.new"));
}

static void sizes_are_told_at_any_time(void **state)
{
    struct rig *r = *state;
    assert_int_equal(rig_open(r), 0);
    int64_t before = backend_size_in_use(r->b);
    assert_true(before > 0);
    assert_true(backend_size(r->b) >= before);
    rig_append(r, 2000);
    rig_close(r);
    assert_int_equal(rig_open(r), 0);
    assert_true(backend_size_in_use(r->b) > before + 100000);
    assert_true(backend_size(r->b) >= backend_size_in_use(r->b));
}

/* Power was lost while the first transaction of a round of the WAL was written: its first frame did not arrive. */
static void tear_first_frame(struct rig *r)
{
    size_t len = 0;
    rig_crash(r);
    uint8_t *wal = rig_read(r, "tenure.db-wal", &len);
    assert_true(len > 32 + 24 + 4096);
    memset(wal + 32, 0, 24 + 4096);
    rig_write(r, "tenure.db-wal", wal, len);
    rig_remove(r, "leases");
    free(wal);
}

/* SQLite goes on with the salts of that round, so what is left of the torn one must not look like commits of it. */
static void what_torn_transactions_leave_is_not_taken_for_damage(void **state)
{
    struct rig *r = *state;
    r->value_max = 3000;
    r->config.wal_bytes_soft = 64 << 10;
    assert_int_equal(rig_open(r), 0);
    for (int i = 0; i < 40; i++) /* the WAL begins anew a few times */
        rig_append(r, 10);
    rig_crash(r);
    r->config.wal_bytes_soft = 0; /* but not from here on */
    for (size_t rows = 60; rows >= 20; rows -= 20) {
        assert_int_equal(rig_open(r), 0);
        assert_all_rows(r, 400);
        rig_append(r, rows);
        tear_first_frame(r);
    }
    assert_int_equal(rig_open(r), 0);
    assert_all_rows(r, 400);
    rig_append(r, 1);
    rig_crash(r);
    if (rig_open(r))
        fail_msg("%s", r->error.text);
    assert_all_rows(r, 401);
}

static void leases_and_their_deadlines_survive_a_killed_process(void **state)
{
    struct rig *r = *state;
    tn_ms deadline = 0;
    assert_int_equal(rig_open(r), 0);
    backend_lease_store(r->b, 77, 123456);
    backend_lease_store(r->b, 78, 5);
    backend_lease_forget(r->b, 78);
    rig_crash(r);
    assert_int_equal(rig_open(r), 0);
    assert_true(backend_lease_load(r->b, 77, &deadline));
    assert_int_equal(deadline, 123456);
    assert_false(backend_lease_load(r->b, 78, &deadline));
}

static void the_ballast_can_be_let_go_once_and_comes_back(void **state)
{
    struct rig *r = *state;
    r->config.ballast_bytes = 64 << 10;
    assert_int_equal(rig_open(r), 0);
    assert_true(rig_has(r, "ballast"));
    rig_append(r, 1); /* the writer looks around when it has begun, and that is over when a second batch is there: */
    rig_append(r, 1); /* it would put back what is let go before */
    assert_true(backend_release_ballast(r->b));
    assert_false(rig_has(r, "ballast"));
    assert_false(backend_release_ballast(r->b));
    rig_append(r, 2);
    rig_delete(r, (tn_seq[]){1}, 1); /* after it the writer looks around */
    rig_append(r, 1);
    rig_close(r);
    assert_true(rig_has(r, "ballast"));
}

static int64_t ballast_size(struct rig *r)
{
    char path[256];
    struct stat st;
    snprintf(path, sizeof path, "%s/ballast", r->config.dir);
    return stat(path, &st) == 0 ? (int64_t)st.st_size : -1;
}

static void the_ballast_of_a_log_that_is_hardly_used_is_small_and_grows_with_use(void **state)
{
    struct rig *r = *state;
    r->config.ballast_bytes = 128 << 10;
    r->config.wal_grow_after = 10;
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(ballast_size(r), 32 << 10);
    for (int i = 0; i < 9; i++)
        rig_append(r, 1);
    assert_int_equal(ballast_size(r), 32 << 10);
    rig_append(r, 1);
    rig_append(r, 1); /* the writer has looked around before it */
    rig_close(r);
    assert_int_equal(ballast_size(r), 128 << 10);
    r->config.ballast_bytes = 64 << 10; /* what is there may be more than enough */
    assert_int_equal(rig_open(r), 0);
    assert_int_equal(ballast_size(r), 128 << 10);
}

static void no_ballast_is_kept_where_none_is_wanted(void **state)
{
    struct rig *r = *state;
    r->config.ballast_bytes = -1;
    assert_int_equal(rig_open(r), 0);
    assert_false(rig_has(r, "ballast"));
    assert_false(backend_release_ballast(r->b));
}

static void a_sealed_log_is_refused_and_can_still_be_read(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, NULL);
    assert_int_equal(rig_open(&r), 0);
    rig_append(&r, 3);
    assert_int_equal(backend_seal(r.b, "http://there's:2379", NULL), 0);
    rig_crash(&r); /* it is durable as it is */
    assert_int_equal(rig_open(&r), TENURE_ECONFLICT);
    assert_non_null(strstr(r.error.text, "http://there's:2379"));
    r.config.allow_sealed = true;
    assert_int_equal(rig_open(&r), 0);
    assert_int_equal(r.replayed, 3);
    assert_int_equal(backend_seal(r.b, "", NULL), 0); /* again, with nobody named */
    rig_close(&r);
    r.config.allow_sealed = false;
    assert_int_equal(rig_open(&r), TENURE_ECONFLICT);
    assert_non_null(strstr(r.error.text, "another server"));
    rig_fini(&r);
}

static void a_directory_that_is_being_filled_opens_only_for_who_fills_it(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, NULL);
    assert_int_equal(rig_open(&r), 0);
    rig_append(&r, 2);
    rig_close(&r);
    char path[4200];
    snprintf(path, sizeof path, "%s/%s", r.config.dir, BACKEND_UNFINISHED);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_int_equal(rig_open(&r), TENURE_ECONFLICT);
    assert_non_null(strstr(r.error.text, "not finished"));
    r.config.allow_unfinished = true;
    assert_int_equal(rig_open(&r), 0);
    assert_int_equal(r.replayed, 2);
    rig_close(&r);
    r.config.allow_unfinished = false;
    unlink(path);
    assert_int_equal(rig_open(&r), 0);
    rig_fini(&r);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(a_new_log_is_empty_and_stays_so),
        T(rows_come_back_whole_and_in_order),
        T(a_commit_on_the_callers_thread_is_as_good),
        T(what_was_acknowledged_survives_a_killed_process),
        T(after_a_clean_close_the_one_file_holds_everything),
        T(deleted_rows_stay_away_and_the_others_stay),
        T(the_newest_row_may_be_deleted_and_its_number_is_not_used_again),
        T(rows_and_deletes_of_one_batch_are_one_transaction),
        T(deleting_a_row_that_is_not_there_ends_the_writing),
        T(a_row_missing_among_its_neighbours_ends_the_writing),
        T(the_last_of_neighbours_missing_ends_the_writing),
        T(the_loop_is_told_once_a_batch_and_can_take_it_once),
        T(the_reader_can_end_the_replay),
        T(a_close_finishes_the_batch_under_way),
        T(closing_nothing_is_fine),
        T(the_directory_and_its_files_are_the_owners_alone),
        T(a_second_opener_is_told_who_has_the_directory),
        T(a_directory_that_cannot_be_made_is_named),
        T(bounds_of_the_wal_that_make_no_sense_are_refused),
        T(a_newer_format_is_refused_by_name),
        T(a_file_of_something_else_is_refused),
        T(tables_that_are_not_ours_are_refused),
        T(a_missing_database_beside_its_wal_is_refused),
        T(a_missing_database_that_held_rows_is_refused),
        T(leftovers_of_a_creation_that_was_cut_do_no_harm),
        T(sizes_are_told_at_any_time),
        T(what_torn_transactions_leave_is_not_taken_for_damage),
        T(leases_and_their_deadlines_survive_a_killed_process),
        T(the_ballast_can_be_let_go_once_and_comes_back),
        T(the_ballast_of_a_log_that_is_hardly_used_is_small_and_grows_with_use),
        T(no_ballast_is_kept_where_none_is_wanted),
        cmocka_unit_test(a_sealed_log_is_refused_and_can_still_be_read),
        cmocka_unit_test(a_directory_that_is_being_filled_opens_only_for_who_fills_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
