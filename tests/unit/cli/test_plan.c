/* Who the members of a planned cluster are: good words and bad ones, and what a second plan keeps of the first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/plan.h"

static struct plan *new_plan(const char *members)
{
    struct plan *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->port = 2379;
    snprintf(p->dir, sizeof p->dir, "/plan");
    assert_true(plan_read_members(p, members));
    return p;
}

static void members_are_named_with_their_addresses(void **state)
{
    (void)state;
    char url[512];
    struct plan *p = new_plan("a=10.0.0.1,b=fd00::2,c=etcd3.example.org");
    assert_int_equal(p->n, 3);
    plan_url(p, &p->members[1], false, url, sizeof url);
    assert_string_equal(url, "https://[fd00::2]:2379");
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(p->members[i].initial,
                            "a=https://10.0.0.1:2380,b=https://[fd00::2]:2380,c=https://etcd3.example.org:2380");
        assert_false(p->members[i].joins);
    }
    free(p);
}

static void who_is_planned_later_joins_those_who_are_there(void **state)
{
    (void)state;
    struct plan *p = new_plan("a=10.0.0.1,b=10.0.0.2,c=10.0.0.3");
    assert_true(plan_read_members(p, "d=10.0.0.4,a=10.0.0.1,b=10.0.0.2,c=10.0.0.3,e=10.0.0.5"));
    assert_int_equal(p->n, 5);
    assert_string_equal(p->members[0].name, "a");
    assert_string_equal(p->members[0].initial,
                        "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380");
    assert_string_equal(p->members[3].name, "d");
    assert_true(p->members[3].joins);
    assert_string_equal(
        p->members[3].initial,
        "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380,d=https://10.0.0.4:2380");
    assert_string_equal(p->members[4].name, "e");
    assert_non_null(strstr(p->members[4].initial, "d=https://10.0.0.4:2380,e=https://10.0.0.5:2380"));
    assert_true(plan_read_members(p, "b=10.0.0.2,c=10.0.0.3,d=10.0.0.4"));
    assert_int_equal(p->n, 3);
    assert_string_equal(p->members[0].initial,
                        "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380");
    assert_false(plan_read_members(p, "b=10.0.0.9,c=10.0.0.3,d=10.0.0.4"));
    free(p);
}

static void what_cannot_be_a_member_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "a",
                                      "a=",
                                      "=10.0.0.1",
                                      "a b=10.0.0.1",
                                      "-a=10.0.0.1",
                                      "..=10.0.0.1",
                                      "a/b=10.0.0.1",
                                      "a=10.0.0.300",
                                      "a=10.0.1",
                                      "a=0.0.0.0",
                                      "a=::",
                                      "a=224.0.0.1",
                                      "a=ff02::1",
                                      "a=10.0.0.1:2379",
                                      "a=http://10.0.0.1",
                                      "a=host_1",
                                      "a=-host",
                                      "a=host-",
                                      "a=host..org",
                                      "a=host;reboot",
                                      "a=10.0.0.1,a=10.0.0.2",
                                      "a=10.0.0.1,b=10.0.0.1",
                                      "a=Host,b=host",
                                      "a=h1,b=h2,c=h3,d=h4,e=h5,f=h6,g=h7,h=h8"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct plan *p = calloc(1, sizeof *p);
        if (plan_read_members(p, bad[i]))
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(p->n, 0);
        free(p);
    }
}

static void folders_are_each_members_own(void **state)
{
    (void)state;
    char out[32];
    struct plan_member m = {.name = "a", .host = "10.0.0.1"};
    assert_true(plan_expand("/x/{name}/{host}", &m, out, sizeof out));
    assert_string_equal(out, "/x/a/10.0.0.1");
    assert_false(plan_expand("/x/{host}/{host}/{host}/{host}", &m, out, sizeof out));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_named_with_their_addresses),
        cmocka_unit_test(who_is_planned_later_joins_those_who_are_there),
        cmocka_unit_test(what_cannot_be_a_member_is_refused),
        cmocka_unit_test(folders_are_each_members_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
