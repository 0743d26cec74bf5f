/* A torn end is no damage, a changed frame before a whole later commit is. The files here are made by hand after SQLite's
 * description of the format, in both byte orders; tests/fault flips bits in real ones. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/walscan.h"
#include "base/types.h"

enum { PAGE = 512, HEADER = 32, FRAME = 24 + PAGE, FRAMES_MAX = 16 };

struct wal {
    char dir[64];
    int dir_fd;
    bool big;
    uint8_t bytes[HEADER + FRAMES_MAX * FRAME];
    size_t frames;
    uint32_t sum[2];
    struct tenure_error error;
};

static void put(uint8_t *at, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        at[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t word(const struct wal *w, const uint8_t *at)
{
    uint32_t big = (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
    return w->big ? big : __builtin_bswap32(big);
}

static void sum(struct wal *w, const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i += 8) {
        w->sum[0] += word(w, data + i) + w->sum[1];
        w->sum[1] += word(w, data + i + 4) + w->sum[0];
    }
}

static void begin(struct wal *w, bool big, uint32_t salt)
{
    const uint32_t fields[] = {0x377f0682 + big, 3007000, PAGE, 0, salt, ~salt};
    w->big = big;
    w->frames = 0;
    w->sum[0] = w->sum[1] = 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        put(w->bytes + 4 * i, fields[i]);
    sum(w, w->bytes, 24);
    put(w->bytes + 24, w->sum[0]);
    put(w->bytes + 28, w->sum[1]);
}

static uint8_t *frame_at(struct wal *w, size_t number)
{
    return w->bytes + HEADER + (number - 1) * FRAME;
}

static void add(struct wal *w, bool commit)
{
    uint8_t *f = frame_at(w, ++w->frames);
    put(f, (uint32_t)w->frames + 1);
    put(f + 4, commit ? 20 : 0);
    memcpy(f + 8, w->bytes + 16, 8);
    memset(f + 24, (int)w->frames * 3, PAGE);
    sum(w, f, 8);
    sum(w, f + 24, PAGE);
    put(f + 16, w->sum[0]);
    put(f + 20, w->sum[1]);
}

/* Frames of transactions, by their lengths. */
static void fill(struct wal *w, bool big, const char *lengths)
{
    begin(w, big, 0xabcd0001);
    for (const char *c = lengths; *c; c++) {
        for (int i = 1; i <= *c - '0'; i++)
            add(w, i == *c - '0');
    }
}

static int check(struct wal *w)
{
    char path[128];
    snprintf(path, sizeof path, "%s/wal", w->dir);
    FILE *f = fopen(path, "wb");
    assert_int_equal(fwrite(w->bytes, 1, HEADER + w->frames * FRAME, f), HEADER + w->frames * FRAME);
    fclose(f);
    return walscan_check(w->dir_fd, "wal", PAGE, &w->error);
}

static void assert_damaged(struct wal *w, const char *words)
{
    if (check(w) != TENURE_ECORRUPT || !strstr(w->error.text, words))
        fail_msg("expected %s, got: %s", words, w->error.text);
}

static int set_up(void **state)
{
    struct wal *w = calloc(1, sizeof *w);
    const char *parent = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp"; /* thousands of files */
    snprintf(w->dir, sizeof w->dir, "%s/tenure-wal-XXXXXX", parent);
    assert_non_null(mkdtemp(w->dir));
    w->dir_fd = open(w->dir, O_RDONLY | O_DIRECTORY);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct wal *w = *state;
    (void)unlinkat(w->dir_fd, "wal", 0);
    close(w->dir_fd);
    rmdir(w->dir);
    free(w);
    return 0;
}

static void no_file_an_empty_one_and_a_blank_one_are_fine(void **state)
{
    struct wal *w = *state;
    assert_int_equal(walscan_check(w->dir_fd, "wal", PAGE, NULL), 0);
    assert_int_equal(check(w), 0); /* a header of zeros */
    w->frames = 5;
    assert_int_equal(check(w), 0);
}

static void a_sound_file_is_fine_in_both_byte_orders(void **state)
{
    struct wal *w = *state;
    for (int big = 0; big < 2; big++) {
        fill(w, big, "1321");
        assert_int_equal(check(w), 0);
    }
}

static void frames_of_an_earlier_round_behind_the_end_are_fine(void **state)
{
    struct wal *w = *state;
    fill(w, false, "1111111111");
    begin(w, false, 0xabcd0002);
    add(w, true);
    add(w, true);
    w->frames = 10;
    assert_int_equal(check(w), 0);
    begin(w, false, 0xabcd0003); /* not one frame of the new round yet */
    w->frames = 10;
    assert_int_equal(check(w), 0);
}

/* Each combination of frames of the last transaction kept, lost (an earlier round or zeros in their place) or torn. */
static void a_torn_last_transaction_is_fine(void **state)
{
    struct wal *w = *state;
    enum { KEPT, OLD, ZERO, TORN_HEAD, TORN_PAGE, STATES };
    struct wal *old = calloc(1, sizeof *old);
    fill(old, false, "11111111");
    for (int combination = 0; combination < STATES * STATES * STATES; combination++) {
        begin(w, false, 0x77770000);
        add(w, true);
        add(w, true);
        for (int i = 0; i < 3; i++)
            add(w, i == 2);
        int rest = combination;
        for (size_t number = 3; number <= 5; number++, rest /= STATES) {
            uint8_t *f = frame_at(w, number), *o = frame_at(old, number);
            if (rest % STATES == OLD)
                memcpy(f, o, FRAME);
            else if (rest % STATES == ZERO)
                memset(f, 0, FRAME);
            else if (rest % STATES == TORN_HEAD)
                memcpy(f, o, 200);
            else if (rest % STATES == TORN_PAGE)
                memcpy(f + 200, o + 200, FRAME - 200);
        }
        w->frames = 8;
        memcpy(frame_at(w, 6), frame_at(old, 6), 3 * FRAME);
        if (check(w) != 0)
            fail_msg("combination %d: %s", combination, w->error.text);
    }
    free(old);
}

/* A sector may end between a frame's salts and its checksum: with an older frame of the same page there before, the salts
 * alone are old. */
static void a_last_frame_torn_behind_its_salts_is_fine(void **state)
{
    struct wal *w = *state;
    for (size_t number = 3; number <= 5; number++) {
        fill(w, false, "113");
        put(frame_at(w, number) + 8, 0xabcd0000);
        put(frame_at(w, number) + 12, ~0xabcd0000u);
        assert_int_equal(check(w), 0);
    }
    fill(w, false, "111");
    put(frame_at(w, 2) + 8, 0xabcd0000);
    assert_damaged(w, "frame 2 of 3");
}

static void a_changed_frame_before_a_whole_later_commit_is_damage(void **state)
{
    struct wal *w = *state;
    for (int big = 0; big < 2; big++) {
        for (size_t number = 1; number <= 6; number++) {
            for (size_t at = 0; at < FRAME; at++) {
                char words[32];
                fill(w, big, "12311");
                frame_at(w, number)[at] ^= (uint8_t)(1 << at % 8);
                if (at >= 4 && at < 8 && (number == 1 || number == 3 || number == 6))
                    continue; /* the mark of a commit: see below */
                snprintf(words, sizeof words, "frame %zu of 8", number);
                assert_damaged(w, words);
            }
        }
    }
}

/* A commit whose mark was wiped out could be the middle of a torn transaction. With two commits behind it, it is not. */
static void a_commit_without_its_mark_needs_two_commits_behind_it(void **state)
{
    struct wal *w = *state;
    fill(w, false, "11111");
    put(frame_at(w, 3) + 4, 0);
    assert_damaged(w, "frame 3 of 5");
    fill(w, false, "1111");
    put(frame_at(w, 3) + 4, 0);
    assert_int_equal(check(w), 0);
}

static void a_changed_header_before_any_frame_is_damage(void **state)
{
    struct wal *w = *state;
    for (int big = 0; big < 2; big++) {
        for (size_t at = 0; at < HEADER; at++) {
            for (int frames = 1; frames <= 2; frames++) {
                fill(w, big, frames == 1 ? "1" : "11");
                w->bytes[at] ^= (uint8_t)(1 << at % 8);
                assert_damaged(w, "header is damaged");
            }
        }
    }
}

static void a_header_of_other_pages_is_damage(void **state)
{
    struct wal *w = *state;
    fill(w, false, "11");
    check(w);
    assert_int_equal(walscan_check(w->dir_fd, "wal", 4096, &w->error), TENURE_ECORRUPT);
    assert_non_null(strstr(w->error.text, "512"));
}

/* A rolled back transaction leaves frames without a commit behind the next ones. */
static void leftovers_without_a_commit_are_fine(void **state)
{
    struct wal *w = *state;
    fill(w, false, "119"); /* frames 3 to 11 … */
    put(frame_at(w, 11) + 4, 0);
    uint8_t *left = malloc(9 * FRAME);
    memcpy(left, frame_at(w, 3), 9 * FRAME);
    fill(w, false, "1112"); /* … were overwritten up to 5, of which 4 is torn */
    memcpy(frame_at(w, 4), left + FRAME, FRAME);
    memcpy(frame_at(w, 6), left + 3 * FRAME, 6 * FRAME);
    w->frames = 11;
    assert_int_equal(check(w), 0);
    free(left);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(no_file_an_empty_one_and_a_blank_one_are_fine),
        T(a_sound_file_is_fine_in_both_byte_orders),
        T(frames_of_an_earlier_round_behind_the_end_are_fine),
        T(a_torn_last_transaction_is_fine),
        T(a_last_frame_torn_behind_its_salts_is_fine),
        T(a_changed_frame_before_a_whole_later_commit_is_damage),
        T(a_commit_without_its_mark_needs_two_commits_behind_it),
        T(a_changed_header_before_any_frame_is_damage),
        T(a_header_of_other_pages_is_damage),
        T(leftovers_without_a_commit_are_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
