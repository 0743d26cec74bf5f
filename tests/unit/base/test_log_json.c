/* log_json: what log_write makes, as JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/log.h"

static void becomes(const char *line, const char *json)
{
    char out[512];
    assert_string_equal(log_json(out, sizeof out, NULL, line), json);
}

static void pairs_become_members(void **state)
{
    (void)state;
    becomes("level=warn msg=\"lease expired\" lease=7587 ttl=-1",
            "{\"level\":\"warn\",\"msg\":\"lease expired\",\"lease\":7587,\"ttl\":-1}");
    becomes("level=info msg=\"x\" peer=127.0.0.1:80 empty=\"\" none= word",
            "{\"level\":\"info\",\"msg\":\"x\",\"peer\":\"127.0.0.1:80\",\"empty\":\"\",\"none\":\"\",\"word\":true}");
    becomes("", "{}");
}

static void the_time_stands_behind_the_level(void **state)
{
    char out[256];
    (void)state;
    assert_string_equal(log_json(out, sizeof out, "2026-01-02T03:04:05.678Z", "level=info msg=\"x\""),
                        "{\"level\":\"info\",\"ts\":\"2026-01-02T03:04:05.678Z\",\"msg\":\"x\"}");
}

static void only_what_loses_nothing_is_a_number(void **state)
{
    (void)state;
    becomes("a=0 b=-0 c=01 d=- e=999999999999999 f=1000000000000000 g=1.5 h=\"7\"",
            "{\"a\":0,\"b\":-0,\"c\":\"01\",\"d\":\"-\",\"e\":999999999999999,\"f\":\"1000000000000000\",\"g\":\"1.5\","
            "\"h\":\"7\"}");
}

static void what_was_quoted_is_quoted_anew(void **state)
{
    char quoted[128], line[200];
    (void)state;
    log_quote(quoted, sizeof quoted, bytes_str("a \"b\" \\c\n\x01\xff \xc3\xa4"));
    memcpy(line, "k=", 2);
    memcpy(line + 2, quoted, strlen(quoted) + 1);
    becomes(line, "{\"k\":\"a \\\"b\\\" \\\\c\\n\\\\x01\\\\xff \xc3\xa4\"}");
}

static void quotes_that_were_not_escaped_stay_in_the_value(void **state)
{
    (void)state;
    becomes("error=\"file \"x\": no\" n=1", "{\"error\":\"file \\\"x\\\": no\",\"n\":1}");
    becomes("error=\"not closed", "{\"error\":\"not closed\"}");
    becomes("error=\"at the end\\", "{\"error\":\"at the end\\\\\"}");
}

static void what_does_not_fit_is_cut_at_a_member(void **state)
{
    static const char line[] = "level=info msg=\"hello there\" a=1";
    char out[64];
    (void)state;
    for (size_t size = 0; size < sizeof out; size++) {
        memset(out, 'x', sizeof out);
        log_json(out, size, NULL, line);
        assert_true(size == 0 || strlen(out) < size);
        assert_true(size < 3 || (out[0] == '{' && out[strlen(out) - 1] == '}'));
        assert_true(size == sizeof out || out[size] == 'x');
    }
    assert_string_equal(log_json(out, 20, NULL, line), "{\"level\":\"info\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_become_members),
        cmocka_unit_test(the_time_stands_behind_the_level),
        cmocka_unit_test(only_what_loses_nothing_is_a_number),
        cmocka_unit_test(what_was_quoted_is_quoted_anew),
        cmocka_unit_test(quotes_that_were_not_escaped_stay_in_the_value),
        cmocka_unit_test(what_does_not_fit_is_cut_at_a_member),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
