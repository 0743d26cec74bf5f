/* error: the one list, texts, wrapping. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "base/bytes.h"
#include "base/error.h"

static void every_code_has_the_kind_and_text_of_the_list(void **state)
{
    (void)state;
#define CHECK(name, number, kind_name, wording)                                                                        \
    assert_int_equal(TENURE_E##name, number);                                                                          \
    assert_int_equal(tenure_error_kind(number), TENURE_KIND_##kind_name);                                              \
    assert_string_equal(tenure_error_string(number), wording);
    TENURE_ERRORS(CHECK)
#undef CHECK
}

static void success_and_unknown_numbers_have_a_kind_and_text_too(void **state)
{
    (void)state;
    assert_int_equal(tenure_error_kind(0), TENURE_KIND_NONE);
    assert_string_equal(tenure_error_string(0), "no error");
    assert_int_equal(tenure_error_kind(-12345), TENURE_KIND_INTERNAL);
    assert_int_equal(tenure_error_kind(1), TENURE_KIND_INTERNAL);
    assert_string_equal(tenure_error_string(-12345), "unknown error");
}

static void every_kind_has_a_name_of_its_own(void **state)
{
    (void)state;
    for (int a = TENURE_KIND_NONE; a <= TENURE_KIND_INTERNAL; a++) {
        for (int b = TENURE_KIND_NONE; b < a; b++)
            assert_string_not_equal(tenure_kind_string((enum tenure_kind)a), tenure_kind_string((enum tenure_kind)b));
    }
    assert_string_equal(tenure_kind_string(TENURE_KIND_NOT_FOUND), "not-found");
    assert_string_equal(tenure_kind_string((enum tenure_kind)99), "internal");
}

static void setting_fills_every_field(void **state)
{
    (void)state;
    struct tenure_error err;
    memset(&err, 0xff, sizeof err);
    assert_int_equal(error_set(&err, TENURE_ENOTFOUND, "no key %s", "a"), TENURE_ENOTFOUND);
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    assert_int_equal(err.kind, TENURE_KIND_NOT_FOUND);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_int_equal(err.grpc_status, 0);
    assert_string_equal(err.text, "no key a");
}

static void without_a_place_for_text_the_code_is_still_answered(void **state)
{
    (void)state;
    assert_int_equal(error_set(NULL, TENURE_EBUSY, "%d", 1), TENURE_EBUSY);
    assert_int_equal(error_errno(NULL, ENOENT, "%d", 1), TENURE_ENOTFOUND);
    assert_int_equal(error_wrap(NULL, "%d", 1), TENURE_EINTERNAL);
    assert_int_equal(tenure_error_applied(NULL), TENURE_APPLIED_NO);
    error_clear(NULL);
}

static void wrapping_puts_context_in_front_and_keeps_the_rest(void **state)
{
    (void)state;
    struct tenure_error err;
    (void)error_set(&err, TENURE_ECORRUPT, "bad sum");
    err.applied = TENURE_APPLIED_MAYBE;
    err.grpc_status = 15;
    assert_int_equal(error_wrap(&err, "row %d", 7), TENURE_ECORRUPT);
    assert_int_equal(error_wrap(&err, "open %s", "x.db"), TENURE_ECORRUPT);
    assert_string_equal(err.text, "open x.db: row 7: bad sum");
    assert_int_equal(tenure_error_applied(&err), TENURE_APPLIED_MAYBE);
    assert_int_equal(err.grpc_status, 15);
    assert_int_equal(err.kind, TENURE_KIND_CORRUPT);
}

static void an_error_text_may_be_built_from_itself(void **state)
{
    (void)state;
    struct tenure_error err;
    (void)error_set(&err, TENURE_EIO, "inner");
    (void)error_set(&err, TENURE_EUNAVAILABLE, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
    (void)error_wrap(&err, "%s again", err.text);
    assert_string_equal(err.text, "outer (inner) again: outer (inner)");
}

static void clearing_leaves_success(void **state)
{
    (void)state;
    struct tenure_error err;
    (void)error_set(&err, TENURE_EIO, "x");
    error_clear(&err);
    assert_int_equal(err.code, 0);
    assert_int_equal(err.kind, TENURE_KIND_NONE);
    assert_string_equal(err.text, "");
}

static void a_text_is_one_line(void **state)
{
    (void)state;
    struct tenure_error err;
    (void)error_set(&err, TENURE_EIO, "%s", "two\nlines\tand\x7f more\r\n");
    assert_string_equal(err.text, "two lines and  more  ");
    (void)error_set(&err, TENURE_EIO, "%s", "");
    assert_string_equal(err.text, "");
}

static void a_text_does_not_command_a_terminal(void **state)
{
    (void)state;
    struct tenure_error err;
    error_set(&err, TENURE_EINVALID,
              "'a\x1b[2J\xc2\x9b"
              "2J\xc2\xa3\xc3\x85'");
    assert_string_equal(err.text, "'a [2J  2J\xc2\xa3\xc3\x85'");
}

static void a_long_text_is_cut_at_a_whole_character(void **state)
{
    (void)state;
    struct tenure_error err;
    for (int before = 240; before < 260; before++) {
        (void)error_set(&err, TENURE_EIO, "%*s\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac", before,
                        "");
        size_t want = before >= 255 ? 255 : (size_t)before + (size_t)(255 - before) / 3 * 3;
        assert_int_equal(strlen(err.text), want);
        assert_int_equal(error_wrap(&err, "%300s", "far too long"), TENURE_EIO);
        assert_int_equal(strlen(err.text), 255);
    }
}

static void system_errors_say_what_failed_and_why(void **state)
{
    (void)state;
    struct tenure_error err;
    assert_int_equal(error_errno(&err, ENOENT, "open %s", "/x"), TENURE_ENOTFOUND);
    assert_int_equal(err.kind, TENURE_KIND_NOT_FOUND);
    assert_string_equal(err.text, "open /x: No such file or directory");
}

static void system_errors_become_the_code_one_can_act_on(void **state)
{
    (void)state;
    const struct {
        int errnum;
        int code;
    } cases[] = {
        {ENOMEM, TENURE_ENOMEM},
        {EACCES, TENURE_EDENIED},
        {EPERM, TENURE_EDENIED},
        {EEXIST, TENURE_EEXISTS},
        {ENOSPC, TENURE_ENOSPACE},
        {EDQUOT, TENURE_ENOSPACE},
        {EMFILE, TENURE_ELIMIT},
        {EADDRINUSE, TENURE_EBUSY},
        {ECONNREFUSED, TENURE_EUNAVAILABLE},
        {ECONNRESET, TENURE_EUNAVAILABLE},
        {EPIPE, TENURE_EUNAVAILABLE},
        {ETIMEDOUT, TENURE_ETIMEOUT},
        {ECANCELED, TENURE_ECANCELLED},
        {EFBIG, TENURE_ETOOLARGE},
        {EIO, TENURE_EIO},
        {EINVAL, TENURE_EIO},
        {0, TENURE_EIO},
        {-1, TENURE_EIO},
        {123456, TENURE_EIO},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(error_errno(NULL, cases[i].errnum, "x"), cases[i].code);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_the_kind_and_text_of_the_list),
        cmocka_unit_test(success_and_unknown_numbers_have_a_kind_and_text_too),
        cmocka_unit_test(every_kind_has_a_name_of_its_own),
        cmocka_unit_test(setting_fills_every_field),
        cmocka_unit_test(without_a_place_for_text_the_code_is_still_answered),
        cmocka_unit_test(wrapping_puts_context_in_front_and_keeps_the_rest),
        cmocka_unit_test(an_error_text_may_be_built_from_itself),
        cmocka_unit_test(clearing_leaves_success),
        cmocka_unit_test(a_text_is_one_line),
        cmocka_unit_test(a_text_does_not_command_a_terminal),
        cmocka_unit_test(a_long_text_is_cut_at_a_whole_character),
        cmocka_unit_test(system_errors_say_what_failed_and_why),
        cmocka_unit_test(system_errors_become_the_code_one_can_act_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
