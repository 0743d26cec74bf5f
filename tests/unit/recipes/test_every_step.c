/* One acquire, disturbed once in every way at every moment: each call in turn fails in each way, and at each moment in turn
 * the acquire is cancelled, freed, its session closed, dropped, revoked, its process cut off or stopped. Whatever happens, the
 * end is told once, nobody holds beside another, and the lock can be had by somebody else afterwards (M1, M5 to M7, L2, L3).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "story.h"
#include "tenure/error.h"

enum { TTL_S = 4, CALLS = 8, MOMENTS = 30 };

/* What is there before A comes, and how A comes. */
struct scene {
    const char *name;
    const char *before[8], *acquire[2];
    const char *after; /* lets A go on, 100 ms later */
};

static const struct scene scenes[] = {
    {"alone", {"A opens 4", "wait 5"}, {"A locks x"}, NULL},
    {"alone, session and all", {NULL}, {"A opens 4", "A locks x"}, NULL},
    {"behind another", {"A opens 4", "B opens 4", "B locks x", "wait 5"}, {"A locks x"}, "B releases x"},
    {"behind a client of etcd", {"A opens 4", "etcdctl locks x", "wait 5"}, {"A locks x"}, "etcdctl leaves x"},
    {"behind one of its own", {"A opens 4", "A locks x#2", "wait 5"}, {"A locks x"}, "A releases x#2"},
    {"trying", {"A opens 4", "wait 5"}, {"A tries x"}, NULL},
    {"reading alone", {"A opens 4", "wait 5"}, {"A reads x"}, NULL},
    {"reading behind a writer", {"A opens 4", "B opens 4", "B locks x", "wait 5"}, {"A reads x"}, "B releases x"},
    {"reading behind one who shares", {"A opens 4", "B opens 4", "B locks x", "wait 5"}, {"A reads x"}, "B shares x"},
    {"taking what fits", {"A opens 4", "B opens 4", "B takes x 1 2", "wait 5"}, {"A takes x 1 2"}, "B releases x"},
    {"taking what does not fit",
     {"A opens 4", "B opens 4", "B takes x 1 2", "wait 5"},
     {"A takes x 2 2"},
     "B releases x"},
    {"taking behind one who waits",
     {"A opens 4", "B opens 4", "C opens 4", "B takes x 2 3", "C takes x 3 3", "wait 5"},
     {"A takes x 1 3"},
     "C cancels x"},
    {"trying in vain", {"A opens 4", "B opens 4", "B locks x", "wait 5"}, {"A tries x"}, "B releases x"},
};

static const char *const actions[] = {
    "wait 0", "A cancels x", "A releases x", "A frees x", "A closes", "A drops", "revoke A", "cut A", "stop A",
};
enum { ACTION_NONE = 0, ACTION_FREES = 3, ACTION_DROPS = 5, ACTION_REVOKE = 6 };

struct plan {
    const struct scene *scene;
    unsigned failing; /* the call of A that fails, counted from its acquire */
    enum fake_fault fault;
    size_t action;
    tn_ms at;
    unsigned seen; /* calls of A */
};

static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    (void)n;
    (void)what;
    struct plan *p = user;
    if (c != story_client("A"))
        return FAKE_FINE;
    return p->seen++ == p->failing ? p->fault : FAKE_FINE;
}

static void tell_all(const char *const *sentences, size_t n)
{
    for (size_t i = 0; i < n && sentences[i]; i++)
        story(sentences[i]);
}

/* A process that is stopped says nothing. */
static bool can_act(const struct plan *p)
{
    if (p->action == ACTION_REVOKE)
        return story_session("A") && session_state(story_session("A")) == SESSION_ALIVE;
    return p->action > ACTION_FREES || story_lock("A", "x");
}

static void act(struct plan *p)
{
    fake_run(p->at);
    if (can_act(p))
        story(actions[p->action]);
    fake_run(p->at < 100 ? 100 - p->at : 0);
    if (p->scene->after && (p->scene->after[0] != 'A' || story_lock("A", "x#2")))
        story(p->scene->after);
}

static void is_told_once(const struct plan *p)
{
    bool silent = p->action == ACTION_FREES || p->action == ACTION_DROPS;
    if (silent)
        assert_true(story_ended() <= story_begun());
    else
        assert_int_equal(story_ended(), story_begun());
}

static void let_go(const char *who, const char *label)
{
    char sentence[64];
    struct lock *l = story_lock(who, label);
    if (!l || lock_state(l) != LOCK_HELD)
        return;
    assert_true(lock_held(l, fake_now()));
    assert_true(fake_get(lock_key(l), &(struct kv){0}));
    snprintf(sentence, sizeof sentence, "%s releases %s", who, label);
    story(sentence);
}

static void another_can_have_it(void)
{
    story("Z opens 4");
    story("Z tries x");
    fake_run(20);
    assert_int_equal(story_last_code("Z", "x"), 0);
}

static void undisturbed_it_is_held(const struct plan *p)
{
    bool in_vain = strcmp(p->scene->name, "trying in vain") == 0;
    if (p->action == ACTION_NONE && p->fault != FAKE_DENIED && p->fault != FAKE_GARBLED && story_session("A"))
        assert_int_equal(story_last_code("A", "x"), in_vain ? TENURE_EBUSY : 0);
}

static void run(struct plan *p)
{
    story_begin();
    p->seen = 0;
    tell_all(p->scene->before, 8);
    fake_set_judge(judge, p);
    tell_all(p->scene->acquire, 2);
    act(p);
    fake_run(3 * TTL_S * 1000);
    story("restore A");
    story("continue A");
    fake_run(100);
    undisturbed_it_is_held(p);
    let_go("A", "x");
    let_go("A", "x#2");
    let_go("B", "x");
    let_go("C", "x");
    fake_run(100);
    is_told_once(p);
    another_can_have_it();
    story_end();
}

/* Each millisecond at first, when the answers come; then the times of retries. */
static tn_ms moment(unsigned i)
{
    return i < 8 ? i : 8 + (tn_ms)(i - 8) * 5;
}

static void disturb(const struct scene *scene)
{
    struct plan p = {.scene = scene};
    for (p.failing = 0; p.failing < CALLS; p.failing++)
        for (p.fault = FAKE_FINE; p.fault < FAKE_FAULTS; p.fault++) {
            if (p.fault == FAKE_FINE && p.failing > 0)
                continue;
            for (p.action = 0; p.action < ARRAY_LEN(actions); p.action++)
                for (unsigned i = 0; i < (p.action ? MOMENTS : 1); i++) {
                    p.at = moment(i);
                    story_note_seed(p.failing * 10000000 + p.fault * 1000000 + p.action * 10000 + (uint64_t)p.at);
                    run(&p);
                }
        }
}

static void a_lock_that_nobody_has(void **state)
{
    (void)state;
    disturb(&scenes[0]);
}

static void a_lock_and_its_session(void **state)
{
    (void)state;
    disturb(&scenes[1]);
}

static void a_lock_that_another_process_has(void **state)
{
    (void)state;
    disturb(&scenes[2]);
}

static void a_lock_that_a_client_of_etcd_has(void **state)
{
    (void)state;
    disturb(&scenes[3]);
}

static void a_lock_that_another_object_of_the_session_has(void **state)
{
    (void)state;
    disturb(&scenes[4]);
}

static void a_lock_that_is_only_tried(void **state)
{
    (void)state;
    disturb(&scenes[5]);
    disturb(&scenes[12]);
}

static void a_readers_lock(void **state)
{
    (void)state;
    disturb(&scenes[6]);
    disturb(&scenes[7]);
    disturb(&scenes[8]);
}

static void a_permit(void **state)
{
    (void)state;
    disturb(&scenes[9]);
    disturb(&scenes[10]);
    disturb(&scenes[11]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_lock_that_nobody_has),
        cmocka_unit_test(a_lock_and_its_session),
        cmocka_unit_test(a_lock_that_another_process_has),
        cmocka_unit_test(a_lock_that_a_client_of_etcd_has),
        cmocka_unit_test(a_lock_that_another_object_of_the_session_has),
        cmocka_unit_test(a_lock_that_is_only_tried),
        cmocka_unit_test(a_readers_lock),
        cmocka_unit_test(a_permit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
