/* The judge of watches: a story that is right, and one that is wrong for each rule. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "busy/judge.h"

/* Revision 2 puts a, 3 puts a and b, 4 deletes a, 5 puts c. */
static struct event put(const char *key, tn_rev revision, tn_rev created, int64_t version, const char *value)
{
    return (struct event){.type = EVENT_PUT,
                          .kv = {.key = bytes_str(key),
                                 .value = bytes_str(value),
                                 .mod_revision = revision,
                                 .create_revision = created,
                                 .version = version}};
}

static struct event deleted(const char *key, tn_rev revision)
{
    return (struct event){.type = EVENT_DELETE, .kv = {.key = bytes_str(key), .mod_revision = revision}};
}

static struct event with_prev(struct event e, struct event before)
{
    e.has_prev_kv = true;
    e.prev_kv = before.kv;
    return e;
}

static struct court court;
static struct judge judge;
static struct event a2, a3, b3, a4, c5;

static int setup(void **state)
{
    (void)state;
    a2 = put("a", 2, 2, 1, "one");
    a3 = put("a", 3, 2, 2, "two");
    b3 = put("b", 3, 3, 1, "two");
    a4 = deleted("a", 4);
    c5 = put("c", 5, 5, 1, "three");
    struct event all[] = {a2, a3, b3, a4, c5};
    court_init(&court);
    assert_null(history_add(&court.history, all, 5));
    judge = (struct judge){.court = &court};
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    court_fini(&court);
    return 0;
}

static void ask(const char *key, const char *end, tn_rev start)
{
    struct watch_create_req req = {.range = {bytes_str(key), bytes_str(end)}, .start_revision = start};
    judge_begin(&judge, &req);
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .created = true});
}

static void tell(struct event *events, size_t n)
{
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .events = events, .n_events = n});
}

#define TELL(...) tell((struct event[]){__VA_ARGS__}, sizeof((struct event[]){__VA_ARGS__}) / sizeof(struct event))

static void progress(tn_rev revision)
{
    judge_response(&judge, &(struct watch_resp){.header.revision = revision});
}

static void compacted(tn_rev revision)
{
    judge_response(&judge, &(struct watch_resp){.canceled = true, .compact_revision = revision});
}

/* Of that rule and of no other. */
static void assert_wrong(int rule)
{
    assert_int_equal(court.verdicts.wrong[rule], 1);
    assert_int_equal(verdicts_wrong(&court.verdicts), 1);
}

static void what_is_right_is_not_wrong(void **state)
{
    (void)state;
    ask("a", "z", 2);
    TELL(a2);
    TELL(a3, b3, a4);
    assert_int_equal(judge_resume(&judge), 5);
    ask("a", "z", judge_resume(&judge));
    progress(4);
    TELL(c5);
    progress(5);
    ask("b", "", 1);
    TELL(b3);
    progress(5);
    ask("a", "", 0);
    progress(5);
    assert_int_equal(verdicts_wrong(&court.verdicts), 0);
    assert_int_equal(court.verdicts.events, 6);
}

static void prev_values_and_filters(void **state)
{
    (void)state;
    struct watch_create_req req = {
        .range = {bytes_str("a"), bytes_str("z")}, .start_revision = 2, .prev_kv = true, .no_put = true};
    judge_begin(&judge, &req);
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .created = true});
    TELL(with_prev(a4, a3));
    progress(5);
    assert_int_equal(verdicts_wrong(&court.verdicts), 0);
}

static void fragments_make_one_revision(void **state)
{
    (void)state;
    ask("a", "z", 3);
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .fragment = true, .events = &a3, .n_events = 1});
    assert_int_equal(judge_resume(&judge), 3);
    TELL(b3, a4);
    assert_int_equal(verdicts_wrong(&court.verdicts), 0);
    assert_int_equal(judge_resume(&judge), 5);
}

static void what_a_compaction_took_is_not_missed(void **state)
{
    (void)state;
    court_compaction(&court, 4);
    ask("a", "z", 2);
    compacted(4);
    progress(5); /* of its stream, not of it */
    ask("a", "z", 4);
    TELL(a4, c5);
    assert_int_equal(verdicts_wrong(&court.verdicts), 0);
    court.deletes_may_be_lost = true;
    ask("a", "z", 4);
    TELL(c5);
    assert_int_equal(verdicts_wrong(&court.verdicts), 0);
    assert_int_equal(court.verdicts.deletes_lost, 1);
}

static void w1_what_was_not_asked_for(void **state)
{
    (void)state;
    ask("a", "", 5);
    TELL(c5);
    assert_wrong(1);
}

static void w2_an_older_revision(void **state)
{
    (void)state;
    ask("a", "z", 2);
    TELL(a2, a3, b3, a2);
    assert_wrong(2);
}

static void w3_an_event_twice(void **state)
{
    (void)state;
    ask("a", "z", 3);
    TELL(a3, b3, b3);
    assert_wrong(3);
}

static void w4_half_a_revision(void **state)
{
    (void)state;
    ask("a", "z", 3);
    TELL(a3);
    assert_wrong(4);
    TELL(b3);
    assert_int_equal(court.verdicts.wrong[4], 2);
}

static void w4_half_a_revision_in_fragments(void **state)
{
    (void)state;
    ask("a", "z", 3);
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .fragment = true, .events = &a3, .n_events = 1});
    TELL(a4);
    assert_wrong(4);
}

static void w5_a_hole(void **state)
{
    (void)state;
    ask("a", "z", 2);
    TELL(a2);
    TELL(a4);
    assert_int_equal(court.verdicts.wrong[5], 2); /* a and b at revision 3 */
}

static void w5_what_never_was(void **state)
{
    (void)state;
    ask("a", "z", 5);
    TELL(c5, put("d", 5, 5, 1, "made up"));
    assert_wrong(5);
}

static void w5_another_value(void **state)
{
    (void)state;
    ask("c", "", 5);
    TELL(put("c", 5, 5, 1, "four"));
    assert_wrong(5);
}

static void w6_the_first_is_missed(void **state)
{
    (void)state;
    ask("a", "", 2);
    TELL(a3);
    assert_wrong(6);
}

static void w6_a_compaction_that_was_not(void **state)
{
    (void)state;
    ask("a", "z", 2);
    compacted(4);
    assert_wrong(6);
}

static void w7_behind_progress(void **state)
{
    (void)state;
    ask("c", "", 2);
    progress(5);
    TELL(c5);
    assert_int_equal(court.verdicts.wrong[7], 1);
}

static void w7_progress_goes_back(void **state)
{
    (void)state;
    ask("z", "", 2);
    progress(5);
    progress(4);
    assert_wrong(7);
}

static void w8_another_value_before(void **state)
{
    (void)state;
    ask("a", "", 3);
    TELL(with_prev(a3, c5));
    assert_wrong(8);
}

static void w8_no_value_before(void **state)
{
    (void)state;
    struct watch_create_req req = {.range.key = bytes_str("a"), .start_revision = 3, .prev_kv = true};
    judge_begin(&judge, &req);
    judge_response(&judge, &(struct watch_resp){.header.revision = 5, .created = true});
    TELL(a3);
    assert_wrong(8);
}

static void w9_whether_it_creates(void **state)
{
    (void)state;
    ask("a", "", 3);
    TELL(put("a", 3, 3, 1, "two"));
    assert_wrong(9);
}

static void w10_older_than_wanted(void **state)
{
    (void)state;
    ask("a", "z", 4);
    TELL(b3);
    assert_wrong(10);
}

static void w13_progress_in_front_of_an_event(void **state)
{
    (void)state;
    ask("c", "", 2);
    progress(5);
    assert_wrong(13);
}

static void a_history_has_no_holes(void **state)
{
    (void)state;
    struct event e[] = {put("x", 7, 7, 1, "")};
    assert_non_null(history_add(&court.history, e, 1));
    e[0] = put("c", 6, 6, 1, "");
    assert_non_null(history_add(&court.history, e, 1)); /* it is there: version 2 */
    e[0] = deleted("nobody", 6);
    assert_non_null(history_add(&court.history, e, 1));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_is_right_is_not_wrong),
        CASE(prev_values_and_filters),
        CASE(fragments_make_one_revision),
        CASE(what_a_compaction_took_is_not_missed),
        CASE(w1_what_was_not_asked_for),
        CASE(w2_an_older_revision),
        CASE(w3_an_event_twice),
        CASE(w4_half_a_revision),
        CASE(w4_half_a_revision_in_fragments),
        CASE(w5_a_hole),
        CASE(w5_what_never_was),
        CASE(w5_another_value),
        CASE(w6_the_first_is_missed),
        CASE(w6_a_compaction_that_was_not),
        CASE(w7_behind_progress),
        CASE(w7_progress_goes_back),
        CASE(w8_another_value_before),
        CASE(w8_no_value_before),
        CASE(w9_whether_it_creates),
        CASE(w10_older_than_wanted),
        CASE(w13_progress_in_front_of_an_event),
        CASE(a_history_has_no_holes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
