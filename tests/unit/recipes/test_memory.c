/* Each allocation of locks, elections and observers fails once, and once with all that follow: they end in an error or do
 * without, hold nothing that they do not have, and lose no memory. The client's own refusals for want of memory are in
 * test_every_step.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "story.h"
#include "tenure/error.h"

static bool held(const char *who)
{
    return story_lock(who, "x") && lock_held(story_lock(who, "x"), fake_now());
}

/* What did not work out was for want of memory, not for another reason. */
static int verdict(bool fine)
{
    return fine ? 0 : TENURE_ENOMEM;
}

static int two_locks_change_hands(void *user)
{
    (void)user;
    bool fine;
    story_begin();
    story("A opens 10");
    story("B opens 10");
    story("A locks x");
    story("B locks x");
    story("wait 300");
    fine = held("A");
    story("A releases x");
    story("wait 300");
    fine = fine && held("B");
    story("B releases x");
    story("wait 300");
    story_end();
    return verdict(fine);
}

static int readers_writers_and_permits_come_and_go(void *user)
{
    (void)user;
    bool fine;
    story_begin();
    story("A opens 10");
    story("B opens 10");
    story("C opens 10");
    story("A locks x");
    story("B reads x");
    story("C locks x");
    story("wait 300");
    fine = held("A");
    if (fine)
        story("A shares x");
    story("wait 1000");
    fine = fine && held("B");
    story("A releases x");
    story("B releases x");
    story("wait 1000");
    fine = fine && held("C");
    story("C releases x");
    story("A takes x 2 3");
    story("B takes x 2 3");
    story("C takes x 1 3");
    story("wait 1000");
    fine = fine && held("A");
    story("A releases x");
    story("wait 1500");
    fine = fine && held("B") && held("C");
    story_end();
    return verdict(fine);
}

static int an_enter_in_doubt_is_undone(void *user)
{
    (void)user;
    bool fine;
    story_begin();
    story("A opens 4");
    story("wait 5");
    story("lose reply of A");
    story("A locks x");
    story("wait 1000");
    fine = held("A");
    story("A releases x");
    story("wait 1000");
    story("lose reply of A");
    story("A locks x#2");
    story("A cancels x#2");
    story("wait 1000");
    story("queue x");
    fine = fine && strstr(story_take(), "nobody");
    story_end();
    return verdict(fine);
}

static int a_delay_runs_out(void *user)
{
    (void)user;
    bool fine;
    story_begin();
    story("A opens 10");
    story("B opens 1000");
    story("A locks x delay 3000");
    story("wait 300");
    fine = held("A");
    story("B locks x delay 1000");
    story("wait 300");
    if (fine) {
        story("revoke A");
        story("wait 2000");
        assert_false(held("B")); /* whatever there was no memory for */
    }
    story("wait 8000");
    fine = fine && held("B");
    story("B releases x");
    story("wait 300");
    story_end();
    return verdict(fine);
}

static int two_lead_and_one_looks_on(void *user)
{
    (void)user;
    bool fine;
    story_begin();
    story("O observes n");
    story("A campaigns n red");
    story("C campaigns n green prefers 1");
    story("B campaigns n blue prefers 2");
    story("wait 1000");
    fine = story_election("A") && election_leads(story_election("A"), fake_now());
    if (fine)
        story("A proclaims green");
    story("wait 100");
    story("A resigns");
    story("wait 1000");
    fine = fine && story_election("B") && election_leads(story_election("B"), fake_now());
    fine = fine && strstr(story_take(), "O sees 'blue'");
    story("B resigns");
    story("wait 1000");
    story_end();
    return verdict(fine);
}

static void locks_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(two_locks_change_hands, NULL) > 20);
}

static void shared_locks_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(readers_writers_and_permits_come_and_go, NULL) > 20);
}

static void the_undoing_of_places_survives_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(an_enter_in_doubt_is_undone, NULL) > 20);
}

static void delays_survive_the_failure_of_any_allocation_M11(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_delay_runs_out, NULL) > 20);
}

static void elections_survive_the_failure_of_any_allocation(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(two_lead_and_one_looks_on, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(locks_survive_the_failure_of_any_allocation),
        cmocka_unit_test(shared_locks_survive_the_failure_of_any_allocation),
        cmocka_unit_test(the_undoing_of_places_survives_the_failure_of_any_allocation),
        cmocka_unit_test(delays_survive_the_failure_of_any_allocation_M11),
        cmocka_unit_test(elections_survive_the_failure_of_any_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
