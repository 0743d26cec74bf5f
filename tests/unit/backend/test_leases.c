/* L5: deadlines come back after a crash at any instruction, or not at all; never an older one. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/leases.h"

struct place {
    char path[64];
    struct dir dir;
    struct leases *l;
};

static const struct log silent;

static void open_leases(struct place *p)
{
    assert_int_equal(leases_open(&p->dir, &silent, &p->l, NULL), 0);
}

static void close_leases(struct place *p)
{
    p->l = leases_close(p->l);
}

/* The mapping of a process that was killed: its file is what counts, nothing is written back first. */
static void crash(struct place *p)
{
    struct leases *dead = p->l;
    open_leases(p);
    leases_close(dead);
}

static int set_up(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    snprintf(p->path, sizeof p->path, "/tmp/tenure-leases-XXXXXX");
    assert_non_null(mkdtemp(p->path));
    p->dir.fd = open(p->path, O_RDONLY | O_DIRECTORY);
    p->dir.lock_fd = -1;
    snprintf(p->dir.boot_id, sizeof p->dir.boot_id, "boot-one");
    open_leases(p);
    *state = p;
    return 0;
}

static int tear_down(void **state)
{
    struct place *p = *state;
    close_leases(p);
    (void)unlinkat(p->dir.fd, "leases", 0);
    (void)unlinkat(p->dir.fd, "leases.new", 0);
    dir_close(&p->dir);
    assert_int_equal(rmdir(p->path), 0);
    free(p);
    return 0;
}

static void assert_deadline(const struct place *p, tn_lease id, tn_ms expected)
{
    tn_ms deadline = -1;
    assert_true(leases_load(p->l, id, &deadline));
    assert_int_equal(deadline, expected);
}

static void assert_unknown(const struct place *p, tn_lease id)
{
    tn_ms deadline = -1;
    assert_false(leases_load(p->l, id, &deadline));
    assert_int_equal(deadline, -1);
}

static void deadlines_are_stored_changed_and_forgotten(void **state)
{
    struct place *p = *state;
    assert_unknown(p, 7);
    leases_store(p->l, 7, 1000);
    leases_store(p->l, -7, 2000);
    leases_store(p->l, INT64_MAX, 3000);
    assert_deadline(p, 7, 1000);
    leases_store(p->l, 7, 500);
    assert_deadline(p, 7, 500);
    leases_forget(p->l, 7);
    leases_forget(p->l, 7);
    assert_unknown(p, 7);
    assert_deadline(p, -7, 2000);
    assert_deadline(p, INT64_MAX, 3000);
    leases_store(p->l, 7, 600);
    assert_deadline(p, 7, 600);
}

static void they_survive_a_crash_and_a_clean_restart(void **state)
{
    struct place *p = *state;
    leases_store(p->l, 7, 1000);
    leases_store(p->l, 8, 1000);
    leases_forget(p->l, 8);
    crash(p);
    assert_deadline(p, 7, 1000);
    assert_unknown(p, 8);
    close_leases(p);
    open_leases(p);
    assert_deadline(p, 7, 1000);
    assert_unknown(p, 8);
}

static void they_mean_nothing_after_a_reboot(void **state)
{
    struct place *p = *state;
    leases_store(p->l, 7, 1000);
    leases_set_synced(p->l, 55);
    close_leases(p);
    snprintf(p->dir.boot_id, sizeof p->dir.boot_id, "boot-two");
    open_leases(p);
    assert_unknown(p, 7);
    assert_int_equal(leases_synced(p->l), 55); /* but this does */
    leases_store(p->l, 7, 20);
    crash(p);
    assert_deadline(p, 7, 20);
}

static void they_mean_nothing_where_the_boot_is_unknown(void **state)
{
    struct place *p = *state;
    close_leases(p);
    p->dir.boot_id[0] = 0;
    open_leases(p);
    leases_store(p->l, 7, 1000);
    crash(p);
    assert_unknown(p, 7);
}

static void many_leases_make_the_table_grow_and_none_is_lost(void **state)
{
    enum { MANY = 20000 };
    struct place *p = *state;
    leases_set_synced(p->l, 99);
    for (tn_lease id = 1; id <= MANY; id++)
        leases_store(p->l, id * 1000003, id);
    for (tn_lease id = 1; id <= MANY; id += 3)
        leases_forget(p->l, id * 1000003);
    crash(p);
    for (tn_lease id = 1; id <= MANY; id++) {
        if (id % 3 == 1)
            assert_unknown(p, id * 1000003);
        else
            assert_deadline(p, id * 1000003, id);
    }
    assert_int_equal(leases_synced(p->l), 99);
}

/* Grants and revokes without end: what was forgotten is swept out, the file stays as it is. */
static void a_table_of_few_leases_stays_small(void **state)
{
    struct place *p = *state;
    struct stat before, after;
    assert_int_equal(fstatat(p->dir.fd, "leases", &before, 0), 0);
    leases_store(p->l, 5, 50);
    for (tn_lease id = 100; id < 50100; id++) {
        leases_store(p->l, id, id);
        leases_forget(p->l, id);
    }
    assert_int_equal(fstatat(p->dir.fd, "leases", &after, 0), 0);
    assert_int_equal(before.st_size, after.st_size);
    assert_deadline(p, 5, 50);
}

/* ---- damage ---- */

enum { HEADER = 4096, SLOT = 32 };

static void change_file(struct place *p, off_t at, const void *data, size_t len)
{
    int fd = openat(p->dir.fd, "leases", O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
    close(fd);
}

static size_t read_leases(struct place *p, uint8_t *out, size_t size)
{
    int fd = openat(p->dir.fd, "leases", O_RDONLY);
    assert_true(fd >= 0);
    ssize_t n = read(fd, out, size);
    close(fd);
    return (size_t)n;
}

/* Where a slot is in the file. */
static off_t slot_of(struct place *p, tn_lease id)
{
    static uint8_t file[64 * 1024];
    size_t len = read_leases(p, file, sizeof file);
    for (size_t at = HEADER; at + SLOT <= len; at += SLOT) {
        if (memcmp(file + at + 8, &id, 8) == 0)
            return (off_t)at;
    }
    fail_msg("no slot");
    return 0;
}

/* A killed process may have written any first part of a slot's words, and a disk any of its bytes. */
static void a_slot_with_any_bit_changed_is_unknown_and_can_be_used_again(void **state)
{
    struct place *p = *state;
    leases_store(p->l, 7, 1000);
    off_t at = slot_of(p, 7);
    uint8_t whole[24];
    uint8_t file[64 * 1024];
    read_leases(p, file, sizeof file);
    memcpy(whole, file + at, sizeof whole);
    for (size_t bit = 0; bit < sizeof whole * 8; bit++) {
        uint8_t flipped[24];
        memcpy(flipped, whole, sizeof whole);
        flipped[bit / 8] ^= (uint8_t)(1 << bit % 8);
        close_leases(p);
        change_file(p, at, flipped, sizeof flipped);
        open_leases(p);
        assert_unknown(p, 7);
        leases_store(p->l, 7, 2000);
        assert_deadline(p, 7, 2000);
        leases_forget(p->l, 7);
        close_leases(p);
        change_file(p, at, whole, sizeof whole);
        open_leases(p);
    }
}

/* A change is written word by word: check away, id, deadline, check. Killed in between, the lease is unknown, and never
 * at its old deadline. */
static void a_change_cut_after_any_word_leaves_no_old_deadline(void **state)
{
    struct place *p = *state;
    leases_store(p->l, 7, 1000);
    off_t at = slot_of(p, 7);
    uint8_t file[64 * 1024];
    read_leases(p, file, sizeof file);
    uint64_t words[3];
    memcpy(words, file + at, sizeof words);
    const uint64_t gone = 1, next_deadline = 2000;
    const uint64_t cuts[][3] = {{gone, words[1], words[2]}, {gone, words[1], next_deadline}, {0, words[1], words[2]}};
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        close_leases(p);
        change_file(p, at, cuts[i], sizeof cuts[i]);
        open_leases(p);
        assert_unknown(p, 7);
    }
}

static void a_damaged_header_costs_the_deadlines_only(void **state)
{
    struct place *p = *state;
    for (off_t at = 0; at < 64; at += 3) {
        leases_store(p->l, 7, 1000);
        close_leases(p);
        uint8_t file[64];
        read_leases(p, file, sizeof file);
        file[at] ^= 0x10;
        change_file(p, at, &file[at], 1);
        open_leases(p);
        assert_unknown(p, 7);
    }
}

static void a_file_that_is_too_short_is_replaced(void **state)
{
    struct place *p = *state;
    static const off_t sizes[] = {0, 1, 100, 4096, 20000};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        leases_store(p->l, 7, 1000);
        close_leases(p);
        int fd = openat(p->dir.fd, "leases", O_RDWR);
        assert_int_equal(ftruncate(fd, sizes[i]), 0);
        close(fd);
        open_leases(p);
        assert_unknown(p, 7);
        leases_store(p->l, 7, 1);
        assert_deadline(p, 7, 1);
    }
}

static void the_newest_sequence_is_known_with_either_copy_damaged(void **state)
{
    struct place *p = *state;
    uint8_t file[256];
    for (tn_seq seq = 1; seq < 10; seq++) {
        leases_set_synced(p->l, seq);
        assert_int_equal(leases_synced(p->l), seq);
        crash(p);
        assert_int_equal(leases_synced(p->l), seq);
    }
    leases_set_synced(p->l, 10);
    leases_set_synced(p->l, 11);
    close_leases(p);
    read_leases(p, file, sizeof file);
    size_t found = 0;
    for (size_t at = 24; at + 16 <= sizeof file; at += 8) {
        uint64_t seq;
        memcpy(&seq, file + at, 8);
        if (seq != 10 && seq != 11)
            continue;
        found++;
        uint64_t wrong = 1000000;
        change_file(p, (off_t)at, &wrong, 8);
        open_leases(p);
        assert_int_equal(leases_synced(p->l), 21 - seq);
        close_leases(p);
        change_file(p, (off_t)at, &seq, 8);
    }
    assert_int_equal(found, 2);
    open_leases(p);
}

static void without_a_file_it_works_in_memory(void **state)
{
    struct place *p = *state;
    struct place nowhere = {.dir = {.fd = -1, .lock_fd = -1}};
    (void)p;
    open_leases(&nowhere);
    for (tn_lease id = 1; id <= 5000; id++) /* more than fit: the rest is not remembered */
        leases_store(nowhere.l, id, id);
    assert_deadline(&nowhere, 1, 1);
    leases_set_synced(nowhere.l, 3);
    assert_int_equal(leases_synced(nowhere.l), 3);
    leases_close(nowhere.l);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(deadlines_are_stored_changed_and_forgotten),
        T(they_survive_a_crash_and_a_clean_restart),
        T(they_mean_nothing_after_a_reboot),
        T(they_mean_nothing_where_the_boot_is_unknown),
        T(many_leases_make_the_table_grow_and_none_is_lost),
        T(a_table_of_few_leases_stays_small),
        T(a_slot_with_any_bit_changed_is_unknown_and_can_be_used_again),
        T(a_change_cut_after_any_word_leaves_no_old_deadline),
        T(a_damaged_header_costs_the_deadlines_only),
        T(a_file_that_is_too_short_is_replaced),
        T(the_newest_sequence_is_known_with_either_copy_damaged),
        T(without_a_file_it_works_in_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
