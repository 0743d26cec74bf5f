/* What a drill judges to be wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "cli/cluster_drill.h"

/* A drill in which all went as it should: some were refused and unclear while nobody led. */
static struct drill_result fine(void)
{
    struct drill_result r = {.member = "m1",
                             .role = "leader",
                             .leader = "m2",
                             .leader_ms = 1200,
                             .whole_ms = 5000,
                             .leader_was_asked = true};
    r.seen.writes.acknowledged = 100;
    r.seen.writes.refused = 5;
    r.seen.writes.unclear = 2;
    r.seen.writes.unclear_applied = 1;
    r.seen.writes.longest_gap_ms = 3000;
    r.seen.reads.answered = 200;
    r.seen.reads.failed = 3;
    r.seen.lock.token = 7;
    r.seen.watch.events = 101;
    r.seen.is_judged = true;
    return r;
}

static void nothing_is_wrong_with_refusals_and_gaps(void **state)
{
    struct drill_result r = fine();
    (void)state;
    drill_judge(&r);
    assert_int_equal(r.n_wrong, 0);
    r.leader = NULL; /* a follower was killed */
    r.leader_was_asked = false;
    drill_judge(&r);
    assert_int_equal(r.n_wrong, 0);
}

static void says(struct drill_result r, const char *words)
{
    drill_judge(&r);
    assert_int_equal(r.n_wrong, 1);
    assert_non_null(strstr(r.wrong[0], words));
}

static void each_thing_that_must_not_be_is_told(void **state)
{
    struct drill_result r;
    (void)state;
    r = fine(), r.seen.writes.lost = 3, says(r, "3 writes were acknowledged and are lost");
    r = fine(), r.seen.writes.wrongly_applied = 2, says(r, "2 writes were applied though they were refused");
    r = fine(), r.seen.reads.stale = 1, says(r, "1 linearizable reads were older");
    r = fine(), r.seen.lock.was_lost = true, memcpy(r.seen.lock.why, "its lease", 10),
    says(r, "the lock was lost: its lease");
    r = fine(), r.seen.watch.missed = 4, says(r, "the watch missed 4 events");
    r = fine(), r.seen.watch.doubled = 5, says(r, "5 events twice or out of order");
    r = fine(), r.seen.watch.ended = true, says(r, "the watch ended");
    r = fine(), r.seen.is_judged = false, says(r, "the history could not be read");
    r = fine(), r.never_away = true, says(r, "m1 answered all the time");
    r = fine(), r.leader = NULL, says(r, "no new leader was seen");
    r = fine(), r.whole_ms = -1, says(r, "not whole again");
}

static void all_of_them_have_room(void **state)
{
    struct drill_result r = fine();
    (void)state;
    r.seen.writes.lost = r.seen.writes.wrongly_applied = r.seen.reads.stale = 1;
    r.seen.watch.missed = r.seen.watch.doubled = 1;
    r.seen.lock.was_lost = r.seen.watch.ended = r.never_away = true;
    r.seen.is_judged = false;
    r.leader = NULL;
    r.whole_ms = -1;
    drill_judge(&r);
    assert_int_equal(r.n_wrong, 11);
    drill_judge(&r); /* and there is a bound */
    assert_int_equal(r.n_wrong, DRILL_WRONG_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_wrong_with_refusals_and_gaps),
        cmocka_unit_test(each_thing_that_must_not_be_is_told),
        cmocka_unit_test(all_of_them_have_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
