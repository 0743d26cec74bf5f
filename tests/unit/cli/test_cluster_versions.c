/* Which version of etcd may become which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/cluster_versions.h"

static void versions_go_forward_one_minor_at_a_time_from_a_patch_that_is_late_enough(void **state)
{
    static const struct {
        const char *from, *to;
        bool force;
        const char *why; /* NULL: it may */
    } rows[] = {
        {"3.4.30", "3.5", false, NULL},
        {"3.4.30", "3.5.21", false, NULL},
        {"3.5.1", "3.5.21", false, NULL},
        {"3.5.21", "3.5.1", false, NULL},
        {"3.4.30", "3.6", false, "one minor version at a time: to 3.5 next"},
        {"3.4.30", "3.6", true, "one minor version at a time: to 3.5 next"},
        {"3.6.1", "3.5", false, "this goes forward only"},
        {"3.5.1", "4.5", false, "this goes forward only"},
        {"3.5.25", "3.6", false,
         "3.5.25, which may bring back members that were removed: to 3.5.26 or later before 3.6"},
        {"3.5.25", "3.6", true, NULL},
        {"3.5.26", "3.6", false, NULL},
        {"3.5.26", "3.6.0-rc.1", false, NULL},
        {"3.6.10", "3.7.0", false, "to 3.6.11 or later before 3.7"},
        {"3.6.10", "3.7.0", true, NULL},
        {"3.6.11", "3.7.0", false, NULL},
        {"3.7.0", "3.8.0", false, NULL},
        {"three", "3.5", false, "'three', which is no version of etcd"},
        {"3.5.x", "3.6", false, "no version"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char why[CLUSTER_WHY_MAX] = "";
        assert_int_equal(cluster_version_may_become(rows[i].from, rows[i].to, rows[i].force, why, sizeof why),
                         !rows[i].why);
        if (rows[i].why)
            assert_non_null(strstr(why, rows[i].why));
    }
}

static void what_is_a_version(void **state)
{
    static const char *const good[] = {"3.5", "3.5.21", "3.6.0-rc.1", "3.5.1+git"};
    static const char *const bad[] = {"", "3", "3.", "a", "3.5.", "3.5x", "-3.5", "3.-5", "3.5.-1", "3.5.1x"};
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_true(cluster_version_is_one(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(cluster_version_is_one(bad[i]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(versions_go_forward_one_minor_at_a_time_from_a_patch_that_is_late_enough),
        cmocka_unit_test(what_is_a_version),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
