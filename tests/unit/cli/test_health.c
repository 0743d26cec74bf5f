/* What is told of servers: clocks, disks, certificates, and the faults of versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "cli/health.h"

static char told[4096];

static void note(void *user, enum doctor_level level, const char *about, const char *advice, const char *text)
{
    size_t n = strlen(told);
    (void)user, (void)advice;
    snprintf(told + n, sizeof told - n, "%d %s: %s\n", level, about, text);
}

static struct health_server server(const char *name, double fsync_ms, double commit_ms, double n)
{
    return (struct health_server){.name = name,
                                  .endpoint = "http://127.0.0.1:1",
                                  .version = "3.7.0",
                                  .fsync_ms = fsync_ms,
                                  .fsyncs = n,
                                  .commit_ms = commit_ms,
                                  .commits = n};
}

static struct offset ahead(int64_t ms, int64_t error_ms)
{
    return (struct offset){.is_known = true, .low_us = (ms - error_ms) * 1000, .high_us = (ms + error_ms) * 1000};
}

static void tell(const struct health_server *all, size_t n)
{
    told[0] = 0;
    health_tell(all, n, note, NULL);
}

static void a_slow_disk_is_told_where_enough_was_counted(void **state)
{
    (void)state;
    struct health_server all[] = {server("a", 9.9, 24.9, 1000), server("b", 11, 24, 1000), server("c", 9, 26, 1000),
                                  server("d", 500, 500, 99), server("e", -1, -1, 0)};
    tell(all, 5);
    assert_string_equal(
        told, "0 a: its disk: syncs take up to 9.9 ms, commits 24.9 ms (p99)\n"
              "1 b: a slow disk: a sync of its log takes up to 11 ms (p99 of 1000), and should take less than 10\n"
              "1 c: a slow disk: a commit takes up to 26 ms (p99 of 1000), and should take less than 25\n"
              "0 d: its disk: syncs take up to 500.0 ms, commits 500.0 ms (p99)\n");
}

static void clocks_are_told_where_they_are_surely_apart(void **state)
{
    struct health_server all[3];
    struct health_spread s;
    (void)state;
    for (size_t i = 0; i < 3; i++)
        all[i] = server(i == 0 ? "a" : i == 1 ? "b" : "c", -1, -1, 0);
    tell(all, 3);
    assert_string_equal(told, "");
    all[0].page.clock = ahead(0, 50);
    assert_false(health_spread(all, 3, &s));
    all[2].page.clock = ahead(-3000, 50);
    tell(all, 3);
    assert_string_equal(told, "1 clocks: a's is 3.00 s ahead of c's (± 0.10 s)\n");
    all[2].page.clock = ahead(-1050, 50); /* perhaps 0.95 s */
    tell(all, 3);
    assert_string_equal(told, "0 clocks: within 1.15 s of each other\n");
    all[1].page.clock = (struct offset){.is_known = true, .has_jumped = true};
    tell(all, 3);
    assert_string_equal(told, "1 b: its clock was set while it was looked at\n"
                              "0 clocks: within 1.15 s of each other\n");
    all[0].page.clock = ahead(-2000, 100);
    tell(all, 1);
    assert_string_equal(told, "1 a: its clock is 2.00 s behind this machine's\n");
}

static void certificates_have_their_time(void **state)
{
    (void)state;
    told[0] = 0;
    health_tell_certificate("x", -86400 * 2, note, NULL);
    health_tell_certificate("x", 86400 * 30 - 1, note, NULL);
    health_tell_certificate("x", 86400 * 30, note, NULL);
    assert_string_equal(told, "2 x: the certificate ran out 2 days ago\n"
                              "1 x: the certificate runs out in 29 days\n"
                              "0 x: the certificate is good for 30 days\n");
}

static size_t faults_of(const char *version, bool in_cluster, const char *words)
{
    size_t at = 0, n = 0;
    const struct health_fault *f;
    while ((f = health_fault_next(version, in_cluster, &at)))
        n += strstr(f->what, words) != NULL;
    return n;
}

static void faults_have_their_versions(void **state)
{
    static const struct {
        const char *version, *words;
        size_t in_cluster, alone;
    } rows[] = {
        {"3.4.19", "stale", 0, 0},     {"3.4.20", "stale", 1, 0},   {"3.4.41", "stale", 1, 0},
        {"3.4.42", "stale", 0, 0},     {"3.5.0", "stale", 1, 0},    {"3.5.27", "stale", 1, 0},
        {"3.5.28", "stale", 0, 0},     {"3.6.8", "stale", 1, 0},    {"3.6.9", "stale", 0, 0},
        {"3.7.0", "", 0, 0},           {"3.5.2", "crash", 1, 1},    {"3.5.3", "crash", 0, 0},
        {"3.4.37", "revoked", 1, 1},   {"3.4.38", "revoked", 0, 0}, {"3.6.4", "revoked", 1, 1},
        {"3.6.0-rc.1", "stale", 1, 0}, {"3.40.1", "", 0, 0},        {"", "", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_int_equal(faults_of(rows[i].version, true, rows[i].words), rows[i].in_cluster);
        assert_int_equal(faults_of(rows[i].version, false, rows[i].words), rows[i].alone);
    }
    assert_true(health_version_compare("3.4.31", "3.5.2") < 0);
    assert_true(health_version_compare("3.10.0", "3.9.9") > 0);
    assert_int_equal(health_version_compare("3.5.2", "3.5.2"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slow_disk_is_told_where_enough_was_counted),
        cmocka_unit_test(clocks_are_told_where_they_are_surely_apart),
        cmocka_unit_test(certificates_have_their_time),
        cmocka_unit_test(faults_have_their_versions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
