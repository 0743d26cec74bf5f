/* KV7: what was altered, is missing or was exchanged on the disk is found at start and named, and never handed to the
 * store in silence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

enum { ROWS = 40 };
static const tn_seq compacted[] = {2, 5, 6, 7, 18, 20}; /* 19 has no neighbour */

/* 40 rows, six of the first twenty deleted, all in tenure.db alone. */
static int set_up(void **state)
{
    struct rig *r = malloc(sizeof *r);
    rig_init(r, NULL);
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 30);
    rig_delete(r, compacted, ARRAY_LEN(compacted));
    rig_append(r, ROWS - 30);
    rig_close(r);
    *state = r;
    return 0;
}

static int tear_down(void **state)
{
    rig_fini(*state);
    free(*state);
    return 0;
}

/* The statement must make the start fail, with these words in the message. */
static void assert_found(struct rig *r, const char *sql, const char *words)
{
    size_t len = 0;
    uint8_t *before = rig_read(r, "tenure.db", &len);
    rig_sql(r, sql);
    int code = rig_open(r);
    if (code != TENURE_ECORRUPT || !strstr(r->error.text, words))
        fail_msg("after %s: %d %s", sql, code, r->error.text);
    rig_write(r, "tenure.db", before, len);
    free(before);
    rig_remove(r, "tenure.db-wal");
    rig_remove(r, "tenure.db-shm");
}

static void assert_sound(struct rig *r)
{
    assert_int_equal(rig_open(r), 0);
    assert_false(r->wrong);
    assert_int_equal(r->replayed, ROWS - ARRAY_LEN(compacted));
    rig_close(r);
}

static void an_untouched_log_is_accepted(void **state)
{
    assert_sound(*state);
}

static void each_altered_column_is_found_and_the_row_named(void **state)
{
    struct rig *r = *state;
    static const char *const changes[] = {
        "kind=kind%4+1",
        "kind=0",
        "kind=1000",
        "flags=(flags|1)-(flags&1)",
        "flags=(flags|2)-(flags&2)",
        "flags=flags|4",
        "main=main+1",
        "sub=sub+1",
        "create_revision=create_revision+1",
        "version=version+1",
        "lease=(lease|1)-(lease&1)",
        "key=key||x'00'",
        "key=x'00'",
        "value=value||x'00'",
        "value=zeroblob(3)",
        "crc=(crc|1)-(crc&1)",
        "crc=crc+(1<<32)",
        "crc=-1",
        "acc=(acc|1)-(acc&1)",
        "acc=(acc|(1<<62))-(acc&(1<<62))",
        "acc=-acc",
        "kind=NULL",
        "flags='1'",
        "main=1.5",
        "sub=NULL",
        "version='x'",
        "lease=NULL",
        "key=NULL",
        "value=NULL",
        "key=CAST(key AS TEXT)",
        "value=17",
        "crc=NULL",
        "acc=NULL",
    };
    static const tn_seq rows[] = {1, 4, 8, 21, 30, 40};
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(rows); k++) {
            char sql[128], words[64];
            snprintf(sql, sizeof sql, "UPDATE log SET %s WHERE seq=%d", changes[i], (int)rows[k]);
            snprintf(words, sizeof words, "row %d was changed", (int)rows[k]);
            assert_found(r, sql, words);
        }
    }
    assert_sound(r);
}

static void a_missing_row_is_named(void **state)
{
    struct rig *r = *state;
    assert_found(r, "DELETE FROM log WHERE seq=25", "row 25 is missing");
    assert_found(r, "DELETE FROM log WHERE seq=21", "row 21 is missing");
    assert_found(r, "DELETE FROM log WHERE seq=40", "rows 40 to 40 are missing");
    assert_found(r, "DELETE FROM log WHERE seq BETWEEN 22 AND 29", "rows 22 to 29 are missing");
    assert_found(r, "DELETE FROM log WHERE seq>35", "rows 36 to 40 are missing");
    assert_found(r, "DELETE FROM log", "rows 21 to 40 are missing");
}

static void a_row_missing_below_the_compaction_point_is_named_too(void **state)
{
    struct rig *r = *state;
    assert_found(r, "DELETE FROM log WHERE seq=1", "row 1 is missing");
    assert_found(r, "DELETE FROM log WHERE seq=19", "row 19 is missing");
    assert_found(r, "DELETE FROM log WHERE seq IN (3,4)", "2 rows up to 20 are missing");
}

static void rows_that_never_were_are_found(void **state)
{
    struct rig *r = *state;
    assert_found(
        r,
        "INSERT INTO log SELECT 2,kind,flags,main,sub,create_revision,version,lease,key,value,crc,acc FROM log "
        "WHERE seq=1",
        "row 2 was changed");
    assert_found(
        r,
        "INSERT INTO log SELECT 41,kind,flags,main,sub,create_revision,version,lease,key,value,crc,acc FROM log "
        "WHERE seq=40",
        "row 41 was changed");
    assert_found(
        r,
        "INSERT INTO log SELECT -1,kind,flags,main,sub,create_revision,version,lease,key,value,crc,acc FROM log "
        "WHERE seq=1",
        "row -1");
}

static void a_row_with_another_number_is_found(void **state)
{
    assert_found(*state, "UPDATE log SET seq=99 WHERE seq=40", "rows 40 to 98 are missing");
    assert_found(*state, "UPDATE log SET seq=20 WHERE seq=21", "row 20 was changed");
    assert_found(*state, "UPDATE log SET seq=2 WHERE seq=1", "row 2 was changed");
}

static void exchanged_rows_are_found(void **state)
{
    assert_found(
        *state,
        "UPDATE log SET seq=-1 WHERE seq=25; UPDATE log SET seq=25 WHERE seq=26; UPDATE log SET seq=26 WHERE seq=-1",
        "row 25 was changed");
}

/* A row with all its checksums, of the same sequence in a log with another past. Its neighbours tell, and where it has
 * none, the sum over all rows. */
static void rows_of_another_log_are_found(void **state)
{
    struct rig *r = *state;
    struct rig other;
    char sql[512];
    rig_init(&other, NULL);
    assert_int_equal(rig_open(&other), 0);
    other.value_max = r->value_max - 1;
    rig_append(&other, ROWS);
    rig_close(&other);
    for (int seq = 19; seq <= 30; seq += 11) {
        snprintf(
            sql, sizeof sql,
            "ATTACH '%s/tenure.db' AS o; DELETE FROM log WHERE seq=%d; INSERT INTO log SELECT * FROM o.log WHERE seq=%d",
            other.dir, seq, seq);
        assert_found(r, sql, seq == 19 ? "up to 20 are not those" : "row 30 does not follow");
    }
    rig_fini(&other);
}

/* The mapping is gone, but the last compaction knew the newest row of its time. */
static void rows_that_the_last_compaction_saw_are_missed(void **state)
{
    struct rig *r = *state;
    rig_remove(r, "leases");
    assert_found(r, "DELETE FROM log WHERE seq>=28", "rows 28 to 30 are missing");
}

static void the_record_of_deletions_is_guarded(void **state)
{
    struct rig *r = *state;
    static const char *const columns[] = {"deleted_count", "deleted_sum", "deleted_acc", "deleted_max",
                                          "last_seq",      "last_acc",    "crc",         "id"};
    char sql[128];
    for (size_t i = 0; i < ARRAY_LEN(columns) - 1; i++) {
        snprintf(sql, sizeof sql, "UPDATE meta SET %s=%s+1", columns[i], columns[i]);
        assert_found(r, sql, "meta");
        snprintf(sql, sizeof sql, "UPDATE meta SET %s=NULL", columns[i]);
        assert_found(r, sql, "meta");
    }
    assert_found(r, "DELETE FROM meta", "meta");
    assert_found(
        r,
        "INSERT INTO meta SELECT 2,deleted_count,deleted_sum,deleted_acc,deleted_max,last_seq,last_acc,crc FROM meta",
        "meta");
}

/* A whole older state of the file is sound in itself; that rows are missing is known from the mapping only. */
static void an_older_copy_of_the_file_is_found_in_the_same_directory(void **state)
{
    struct rig *r = *state;
    size_t len = 0;
    uint8_t *before = rig_read(r, "tenure.db", &len);
    assert_int_equal(rig_open(r), 0);
    rig_append(r, 3);
    rig_close(r);
    rig_write(r, "tenure.db", before, len);
    free(before);
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    assert_non_null(strstr(r->error.text, "rows 41 to 43 are missing"));
    rig_remove(r, "leases");
    assert_sound(r);
}

static void a_damaged_log_is_left_as_it_was_found(void **state)
{
    struct rig *r = *state;
    size_t len = 0, len_after = 0;
    rig_sql(r, "UPDATE log SET main=0 WHERE seq=33");
    uint8_t *before = rig_read(r, "tenure.db", &len);
    assert_int_equal(rig_open(r), TENURE_ECORRUPT);
    uint8_t *after = rig_read(r, "tenure.db", &len_after);
    assert_int_equal(len, len_after);
    assert_memory_equal(before, after, len);
    free(before);
    free(after);
}

/* Rows whose command goes on in rows that are not there: no batch ever ends so. */
static void a_log_that_ends_within_a_command_is_found(void **state)
{
    struct rig r;
    (void)state;
    rig_init(&r, NULL);
    assert_int_equal(rig_open(&r), 0);
    uint8_t buf[2][256];
    struct record rows[] = {rig_row(1, 0, buf[0]), rig_row(2, 0, buf[1])};
    rows[0].last_of_command = false;
    struct backend_batch batch = {rows, 2, NULL, 0};
    struct backend_result result;
    backend_commit_now(r.b, &batch, &result);
    assert_int_equal(result.outcome, BACKEND_APPLIED);
    rig_close(&r);
    rig_sql(&r, "DELETE FROM log WHERE seq=2");
    rig_remove(&r, "leases");
    assert_int_equal(rig_open(&r), TENURE_ECORRUPT);
    assert_non_null(strstr(r.error.text, "row 1 does not end its command"));
    rig_fini(&r);
}

static void append_at(struct rig *r, const tn_seq *seqs, size_t n)
{
    uint8_t buf[8][256];
    struct record rows[8];
    struct backend_batch batch = {rows, n, NULL, 0};
    struct backend_result result;
    for (size_t i = 0; i < n; i++)
        rows[i] = rig_row(seqs[i], 0, buf[i]);
    backend_commit_now(r->b, &batch, &result);
    assert_int_equal(result.outcome, BACKEND_APPLIED);
    r->seq = seqs[n - 1];
}

static void a_log_with_sequences_left_out_is_accepted_and_guarded(void **state)
{
    (void)state;
    struct rig r;
    rig_init(&r, NULL);
    r.value_max = 0;
    assert_int_equal(rig_open(&r), 0);
    backend_allow_skips(r.b);
    append_at(&r, (const tn_seq[]){1, 2, 9, 10, 40}, 5);
    append_at(&r, (const tn_seq[]){41, 100}, 2);
    rig_close(&r);
    assert_int_equal(rig_open(&r), 0);
    assert_int_equal(r.replayed, 7);
    assert_false(r.wrong);
    rig_append(&r, 2);
    rig_delete(&r, (const tn_seq[]){9}, 1);
    rig_close(&r);
    assert_int_equal(rig_open(&r), 0);
    assert_int_equal(r.replayed, 8);
    assert_int_equal(r.last, 102);
    rig_close(&r);
    rig_sql(&r, "DELETE FROM log WHERE seq=41");
    assert_int_equal(rig_open(&r), TENURE_ECORRUPT);
    assert_non_null(strstr(r.error.text, "41"));
    rig_fini(&r);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(an_untouched_log_is_accepted),
        T(each_altered_column_is_found_and_the_row_named),
        T(a_missing_row_is_named),
        T(a_row_missing_below_the_compaction_point_is_named_too),
        T(rows_that_never_were_are_found),
        T(a_row_with_another_number_is_found),
        T(exchanged_rows_are_found),
        T(rows_of_another_log_are_found),
        T(rows_that_the_last_compaction_saw_are_missed),
        T(the_record_of_deletions_is_guarded),
        T(an_older_copy_of_the_file_is_found_in_the_same_directory),
        T(a_damaged_log_is_left_as_it_was_found),
        cmocka_unit_test(a_log_that_ends_within_a_command_is_found),
        cmocka_unit_test(a_log_with_sequences_left_out_is_accepted_and_guarded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
