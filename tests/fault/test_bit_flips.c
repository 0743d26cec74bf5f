/* KV7: one flipped bit anywhere in tenure.db or its WAL is either harmless (the log holds exactly what it held) or refused
 * at start. Never anything in between: no row changed, no row lost in silence.
 *
 *     test_bit_flips [--every N]        each N-th byte only; headers of the WAL and of its frames always in full
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rig.h"

enum { BATCHES = 12, WAL_HEADER = 32, FRAME_HEAD = 24, FRAME = FRAME_HEAD + 4096 };

static size_t every = 29;

struct sample {
    struct rig rig;
    char *file;     /* which one is flipped */
    uint8_t *bytes; /* of the sound file */
    size_t len;
    size_t rows; /* that a replay hands out */
    tn_seq seq;
    uint8_t *others[2]; /* the files beside it, restored before each try */
    size_t others_len[2];
};
static const char *const other_names[2] = {"tenure.db", "leases"};

static void sample_init(struct sample *s)
{
    *s = (struct sample){0};
    rig_init(&s->rig, NULL);
    s->rig.value_max = 300;
    s->rig.config.ballast_bytes = -1;
    s->rig.config.wal_bytes_soft = 64 << 10;
    assert_int_equal(rig_open(&s->rig), 0);
}

/* The state on the disk now is the sound one. */
static void sample_take(struct sample *s, char *file)
{
    s->seq = s->rig.seq;
    s->file = file;
    s->bytes = rig_read(&s->rig, file, &s->len);
    assert_non_null(s->bytes);
    for (size_t i = 0; i < 2; i++)
        s->others[i] = rig_read(&s->rig, other_names[i], &s->others_len[i]);
}

static void sample_fini(struct sample *s)
{
    rig_fini(&s->rig);
    free(s->bytes);
    for (size_t i = 0; i < 2; i++)
        free(s->others[i]);
}

static void restore(struct sample *s, bool mapping)
{
    rig_remove(&s->rig, "tenure.db-wal");
    rig_remove(&s->rig, "tenure.db-shm");
    rig_remove(&s->rig, "leases");
    for (size_t i = 0; i < (mapping ? 2 : 1); i++)
        rig_write(&s->rig, other_names[i], s->others[i], s->others_len[i]);
}

/* Opens with the bit at `at` flipped; 0 when accepted, with what was replayed in s->rig. */
static int open_flipped(struct sample *s, size_t at, bool mapping)
{
    uint8_t bit = (uint8_t)(1 << (at * 7 + at / 8) % 8);
    restore(s, mapping);
    s->bytes[at] ^= bit;
    rig_write(&s->rig, s->file, s->bytes, s->len);
    s->bytes[at] ^= bit;
    int code = rig_open(&s->rig);
    if (code && code != TENURE_ECORRUPT && code != TENURE_EVERSION)
        fail_msg("byte %zu: refused with %d %s", at, code, s->rig.error.text);
    return code;
}

static bool whole(const struct sample *s)
{
    return !s->rig.wrong && s->rig.replayed == s->rows && s->rig.seq == s->seq;
}

/* What was accepted must also work: another row, and another start. */
static void go_on(struct sample *s, size_t at)
{
    rig_append(&s->rig, 1);
    rig_close(&s->rig);
    if (rig_open(&s->rig) || s->rig.wrong || s->rig.replayed != s->rows + 1)
        fail_msg("byte %zu: accepted, but one row later: %s", at, s->rig.error.text);
    rig_close(&s->rig);
}

static void flip(struct sample *s, size_t at, size_t *refused)
{
    if (open_flipped(s, at, true)) {
        ++*refused;
        return;
    }
    if (!whole(s))
        fail_msg("byte %zu: accepted with %zu of %zu rows%s", at, s->rig.replayed, s->rows,
                 s->rig.wrong ? ", changed" : "");
    if (at % 5 == 0)
        go_on(s, at);
    rig_close(&s->rig);
}

static void flips_in_the_database_file(void **state)
{
    (void)state;
    struct sample s;
    size_t refused = 0;
    sample_init(&s);
    rig_append(&s.rig, 60); /* pages of rows under an inner page */
    tn_seq gone[20];
    for (tn_seq i = 0; i < 20; i++)
        gone[i] = 10 + i; /* a whole page and more: there is a free list */
    rig_delete(&s.rig, gone, 20);
    s.rows = 40;
    rig_close(&s.rig);
    sample_take(&s, "tenure.db");
    for (size_t at = 0; at < s.len; at += at < 200 ? 1 : every)
        flip(&s, at, &refused);
    assert_true(refused > s.len / every / 4);
    sample_fini(&s);
}

/* The used part of a WAL after a crash: transactions of one frame and of several. */
static void sample_wal(struct sample *s)
{
    sample_init(s);
    for (size_t i = 1; i <= BATCHES; i++)
        rig_append(&s->rig, i % 3 ? 1 : 30);
    s->rows = (size_t)s->rig.seq;
    rig_crash(&s->rig);
    sample_take(s, "tenure.db-wal");
}

static bool in_a_head(size_t at)
{
    return at < WAL_HEADER || (at - WAL_HEADER) % FRAME < FRAME_HEAD;
}

static void flips_in_the_wal(void **state)
{
    (void)state;
    struct sample s;
    size_t refused = 0;
    sample_wal(&s);
    for (size_t at = 0; at < s.len; at++) {
        if (in_a_head(at) || at % every == 0)
            flip(&s, at, &refused);
    }
    assert_true(refused > BATCHES * FRAME_HEAD);
    sample_fini(&s);
}

/* Without the mapping (another boot, its page was not written back) only the newest transaction can be mistaken for one
 * that was never synced; all before it is found by the WAL alone. */
static void flips_in_the_wal_without_the_mapping_cost_the_newest_commit_at_most(void **state)
{
    (void)state;
    struct sample s;
    sample_wal(&s);
    size_t newest = 30; /* rows of the last batch */
    for (size_t at = 0; at < s.len; at += every + 4) {
        if (open_flipped(&s, at, false))
            continue;
        if (s.rig.wrong || (s.rig.replayed != s.rows && s.rig.replayed != s.rows - newest))
            fail_msg("byte %zu: accepted with %zu of %zu rows", at, s.rig.replayed, s.rows);
        rig_close(&s.rig);
    }
    sample_fini(&s);
}

int main(int argc, char **argv)
{
    if (argc == 3 && !strcmp(argv[1], "--every"))
        every = strtoull(argv[2], NULL, 10);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flips_in_the_database_file),
        cmocka_unit_test(flips_in_the_wal),
        cmocka_unit_test(flips_in_the_wal_without_the_mapping_cost_the_newest_commit_at_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
