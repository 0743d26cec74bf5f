/* Which texts are a trace context, and what a refusal says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include <tenure/tenure.h>

#include "lib/trace.h"

#define ID   "4bf92f3577b34da6a3ce929d0e0e4736"
#define SPAN "00f067aa0ba902b7"

static void takes(const char *parent, const char *state)
{
    struct tenure_error err = {0};
    if (trace_check(parent, state, &err) != 0)
        fail_msg("'%s' '%s': %s", parent ? parent : "", state ? state : "", err.text);
}

static void refuses(const char *parent, const char *state, const char *says)
{
    struct tenure_error err = {0};
    assert_int_equal(trace_check(parent, state, &err), TENURE_EINVALID);
    assert_int_equal(err.kind, TENURE_KIND_USAGE);
    if (!strstr(err.text, says))
        fail_msg("said '%s', wanted '%s'", err.text, says);
    assert_int_equal(trace_check(parent, state, NULL), TENURE_EINVALID);
}

static void a_traceparent_is_taken(void **state)
{
    (void)state;
    takes(NULL, NULL);
    takes("00-" ID "-" SPAN "-00", NULL);
    takes("00-" ID "-" SPAN "-01", NULL);
    takes("00-" ID "-" SPAN "-ff", NULL);
    takes("01-" ID "-" SPAN "-01", NULL);
    takes("cc-" ID "-" SPAN "-01-what.the.future.brings", NULL);
}

static void a_traceparent_of_a_later_version_may_be_longer(void **state)
{
    char text[300] = "fe-" ID "-" SPAN "-01-";
    (void)state;
    takes("fe-" ID "-" SPAN "-01-more.of-it", NULL);
    refuses("fe-" ID "-" SPAN "-01.more", NULL, "at byte 55");
    refuses("fe-" ID "-" SPAN "-01-m\x7f", NULL, "at byte 57");
    memset(text + strlen(text), 'x', sizeof text - 1 - strlen(text));
    refuses(text, NULL, "at byte 255");
}

static void what_is_no_traceparent_is_refused_with_its_place(void **state)
{
    (void)state;
    refuses("", NULL, "at byte 0 no lower case hexadecimal digit");
    refuses("0", NULL, "at byte 1");
    refuses("00", NULL, "at byte 2 no dash");
    refuses("00-", NULL, "at byte 3 no");
    refuses("00_" ID "-" SPAN "-01", NULL, "at byte 2 no dash");
    refuses("00-4BF92F3577b34da6a3ce929d0e0e4736-" SPAN "-01", NULL, "at byte 4 no lower case");
    refuses("00-" ID, NULL, "at byte 35 no dash");
    refuses("00-" ID "-" SPAN, NULL, "at byte 52 no dash");
    refuses("00-" ID "-" SPAN "-0", NULL, "at byte 54");
    refuses("00-" ID "-" SPAN "-01-", NULL, "at byte 55 no end");
    refuses("00-" ID "-" SPAN "-01 ", NULL, "at byte 55 no end");
    refuses("ff-" ID "-" SPAN "-01", NULL, "version");
    refuses("00-00000000000000000000000000000000-" SPAN "-01", NULL, "trace id");
    refuses("00-" ID "-0000000000000000-01", NULL, "parent id");
    refuses("00-" ID "-" SPAN "-01\r\ngrpc-timeout: 1n", NULL, "at byte 55");
    refuses("nonsense", NULL, "00-<32 hex>-<16 hex>-<2 hex>");
}

static void a_tracestate_is_taken(void **state)
{
    static const char p[] = "00-" ID "-" SPAN "-01";
    (void)state;
    takes(p, "rojo=00f067aa0ba902b7");
    takes(p, "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE");
    takes(p, "a=1, b=2,\tc=3");
    takes(p, "fw529a3039@dt=FfAAAAAAAAAA a!");
    takes(p, "0a_-*/@=x");
}

static void what_is_no_tracestate_is_refused_with_its_place(void **state)
{
    static const char p[] = "00-" ID "-" SPAN "-01";
    char text[700];
    (void)state;
    refuses(NULL, "a=1", "without a traceparent");
    refuses(p, "", "at byte 0 no key");
    refuses(p, "A=1", "at byte 0 no key");
    refuses(p, "_a=1", "at byte 0 no key");
    refuses(p, "a", "at byte 1 no equals sign");
    refuses(p, "a=", "at byte 2 no value");
    refuses(p, "a=1 ", "at byte 2 no value");
    refuses(p, "a=1,", "at byte 4 no key");
    refuses(p, "a=1=2", "at byte 3 no comma");
    refuses(p, "a=\r\nb", "at byte 2 no value");
    snprintf(text, sizeof text, "a=%0600d", 1);
    refuses(p, text, "at byte 512 no end");
    snprintf(text, sizeof text, "a=%0257d", 1);
    refuses(p, text, "at byte 2 no value");
    text[0] = 0;
    for (int i = 0; i < 33; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%sk%d=1", i ? "," : "", i);
    refuses(p, text, "no end");
}

static void a_scope_takes_or_refuses_it(void **state)
{
    struct tenure_error err = {0};
    struct tenure_scope_options o = {.size = sizeof o, .traceparent = "00-" ID "-" SPAN "-01", .tracestate = "a=1"};
    (void)state;
    tenure_scope *s = tenure_scope_new(&o, &err);
    assert_non_null(s);
    tenure_scope_free(s);
    o.traceparent = "00-nonsense";
    assert_null(tenure_scope_new(&o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    assert_non_null(strstr(err.text, "at byte 3"));
}

static int freed;

static void count_free(void *user)
{
    (*(int *)user)++;
}

static void the_user_of_a_scope_is_freed_with_the_last_of_its_children(void **state)
{
    struct tenure_error err = {0};
    struct tenure_scope_options o = {.size = sizeof o, .user = &freed, .user_free = count_free};
    (void)state;
    tenure_scope *parent = tenure_scope_new(&o, &err);
    struct tenure_scope_options plain = {.size = sizeof plain, .parent = parent};
    struct tenure_scope_options own = {.size = sizeof own, .parent = parent, .traceparent = "00-" ID "-" SPAN "-01"};
    tenure_scope *a = tenure_scope_new(&plain, &err), *b = tenure_scope_new(&own, &err);
    tenure_scope_free(parent);
    tenure_scope_free(a);
    assert_int_equal(freed, 0);
    tenure_scope_free(b);
    assert_int_equal(freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_traceparent_is_taken),
        cmocka_unit_test(a_traceparent_of_a_later_version_may_be_longer),
        cmocka_unit_test(what_is_no_traceparent_is_refused_with_its_place),
        cmocka_unit_test(a_tracestate_is_taken),
        cmocka_unit_test(what_is_no_tracestate_is_refused_with_its_place),
        cmocka_unit_test(a_scope_takes_or_refuses_it),
        cmocka_unit_test(the_user_of_a_scope_is_freed_with_the_last_of_its_children),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
