/* Schedules: what is read, what is refused, and which times it means; checked against the C library's calendar. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <time.h>

#include "recipes/schedule.h"
#include "tenure/error.h"

static struct schedule parse(const char *text, const char *offset)
{
    struct schedule s;
    struct tenure_error err;
    if (schedule_parse(text, offset, &s, &err))
        fail_msg("%s", err.text);
    return s;
}

static int64_t at(const char *name)
{
    int64_t t = 0;
    assert_true(schedule_named(bytes_str(name), &t));
    return t;
}

static void next_is(const char *text, const char *offset, const char *after, const char *wanted)
{
    struct schedule s = parse(text, offset);
    char name[SCHEDULE_TIME_LEN + 1];
    schedule_name(schedule_next(&s, at(after)), name);
    assert_string_equal(name, wanted);
    assert_int_equal(schedule_last(&s, at(wanted)), at(wanted));
    assert_int_equal(schedule_last(&s, at(wanted) + 1), at(wanted));
}

static void each_form_has_its_times(void **state)
{
    (void)state;
    next_is("*/15 * * * *", NULL, "2026-11-28T02:00:00Z", "2026-11-28T02:15:00Z");
    next_is("* * * * *", NULL, "2026-11-28T02:00:59Z", "2026-11-28T02:01:00Z");
    next_is("5,10-12 3 * * *", NULL, "2026-11-28T03:10:00Z", "2026-11-28T03:11:00Z");
    next_is("30 4 1 jan *", NULL, "2026-11-28T02:00:00Z", "2027-01-01T04:30:00Z");
    next_is("0 0 29 2 *", NULL, "2026-11-28T02:00:00Z", "2028-02-29T00:00:00Z");
    next_is("0 0 29 2 *", "UTC", "2096-03-01T00:00:00Z", "2104-02-29T00:00:00Z");
    next_is("0 12 * * mon", NULL, "2026-11-28T02:00:00Z", "2026-11-30T12:00:00Z");
    next_is("0 12 * * 7", NULL, "2026-11-28T02:00:00Z", "2026-11-29T12:00:00Z");
    next_is("0 12 * * fri-sat", NULL, "2026-11-28T13:00:00Z", "2026-12-04T12:00:00Z");
    next_is("0 0 13 * 5", NULL, "2026-11-28T02:00:00Z", "2026-12-04T00:00:00Z"); /* either will do */
    next_is("0 3 * * *", "+02:00", "2026-11-28T00:00:00Z", "2026-11-28T01:00:00Z");
    next_is("0 3 * * *", "-11:30", "2026-11-28T00:00:00Z", "2026-11-28T14:30:00Z");
    next_is("0 0 1 * *", "+02:00", "2026-11-28T00:00:00Z", "2026-11-30T22:00:00Z");
    next_is("@hourly", NULL, "2026-12-31T23:00:00Z", "2027-01-01T00:00:00Z");
    next_is("@every 90s", NULL, "2026-11-28T02:00:00Z", "2026-11-28T02:01:30Z");
    next_is("@every 1d", "+02:00", "2026-11-28T02:00:00Z", "2026-11-29T00:00:00Z");
    next_is("50/5 * * * *", NULL, "2026-11-28T02:00:00Z", "2026-11-28T02:50:00Z");
}

static void what_cannot_be_read_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "*",
                                      "* * * *",
                                      "* * * * * *",
                                      "60 * * * *",
                                      "* 24 * * *",
                                      "* * 0 * *",
                                      "* * 32 * *",
                                      "* * * 13 *",
                                      "* * * * 8",
                                      "* * * foo *",
                                      "5-1 * * * *",
                                      "*/0 * * * *",
                                      "*/ * * * *",
                                      "1, * * * *",
                                      ",1 * * * *",
                                      "1- * * * *",
                                      "-1 * * * *",
                                      "1.5 * * * *",
                                      "99999999999 * * * *",
                                      "1 2 3 4 5x",
                                      "0 0 31 2 *",
                                      "0 0 30 feb *",
                                      "@every",
                                      "@every 5",
                                      "@every s",
                                      "@every 0s",
                                      "@every -5s",
                                      "@every 5s ",
                                      "@every 5w",
                                      "@every 99999999999s",
                                      "@every 9999999999d",
                                      "@never",
                                      "* * * * *\n"};
    static const char *const offsets[] = {"", "+2", "02:00", "+02:60", "+15:00", "+0a:00", "CET", "+02:00 "};
    struct schedule s;
    struct tenure_error err;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (schedule_parse(bad[i], NULL, &s, &err) != TENURE_EINVALID)
            fail_msg("'%s' was read", bad[i]);
    for (size_t i = 0; i < ARRAY_LEN(offsets); i++)
        if (schedule_parse("* * * * *", offsets[i], &s, &err) != TENURE_EINVALID)
            fail_msg("the offset '%s' was read", offsets[i]);
    assert_int_equal(schedule_parse(NULL, NULL, &s, &err), TENURE_EINVALID);
}

static void names_are_those_of_the_c_library(void **state)
{
    (void)state;
    for (int64_t t = 0; t < INT64_C(253402300799); t += 86400 * 37 + 4711) {
        char name[SCHEDULE_TIME_LEN + 1], wanted[64];
        time_t c = (time_t)t;
        struct tm tm;
        strftime(wanted, sizeof wanted, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&c, &tm));
        schedule_name(t, name);
        assert_string_equal(name, wanted);
        assert_int_equal(at(name), t);
    }
}

static void other_names_are_none(void **state)
{
    static const char *const bad[] = {"",
                                      "2026-11-28T02:00:00",
                                      "2026-11-28 02:00:00Z",
                                      "2026-02-29T02:00:00Z",
                                      "2026-13-01T02:00:00Z",
                                      "2026-00-01T02:00:00Z",
                                      "2026-11-28T24:00:00Z",
                                      "2026-11-28T02:00:60Z",
                                      "1969-12-31T23:59:59Z",
                                      "xxxx-xx-xxTxx:xx:xxZ",
                                      "2026-11-28T02:00:00z"};
    int64_t t;
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (schedule_named(bytes_str(bad[i]), &t))
            fail_msg("'%s' was read", bad[i]);
}

static void next_and_last_fit_together(void **state)
{
    static const char *const all[] = {"*/7 */5 * * *", "0 0 1 */3 *", "13 13 13 * 5", "@every 7m", "59 23 31 12 *"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct schedule s = parse(all[i], i % 2 ? "+05:30" : NULL);
        int64_t t = at("2026-11-28T02:00:00Z");
        for (int n = 0; n < 200; n++) {
            int64_t next = schedule_next(&s, t);
            assert_true(next > t);
            assert_int_equal(schedule_last(&s, next - 1), schedule_last(&s, t));
            assert_int_equal(schedule_last(&s, next), next);
            t = next;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_has_its_times),          cmocka_unit_test(what_cannot_be_read_is_refused),
        cmocka_unit_test(names_are_those_of_the_c_library), cmocka_unit_test(other_names_are_none),
        cmocka_unit_test(next_and_last_fit_together),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
