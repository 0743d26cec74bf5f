/* Numbers as values, what changes them, and changing a key once while others do the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/number.h"
#include "recipes/update.h"
#include "tenure/error.h"

static bool reads(const char *text, int64_t wanted)
{
    struct kv kv = {.key = bytes_str("k"), .value = bytes_str(text), .version = 1};
    int64_t n = 4711;
    return number_read(&kv, &n, NULL) == 0 && n == wanted;
}

static bool is_refused(const char *text)
{
    struct kv kv = {.key = bytes_str("k"), .value = bytes_str(text), .version = 1};
    struct tenure_error err;
    int64_t n;
    return number_read(&kv, &n, &err) == TENURE_ECORRUPT && err.text[0];
}

static void numbers_are_decimal_text(void **state)
{
    (void)state;
    char text[NUMBER_TEXT_MAX];
    assert_true(reads("0", 0));
    assert_true(reads("40", 40));
    assert_true(reads("-7", -7));
    assert_true(reads("9223372036854775807", INT64_MAX));
    assert_true(reads("-9223372036854775808", INT64_MIN));
    assert_true(bytes_equal(number_write(INT64_MIN, text), bytes_str("-9223372036854775808")));
    struct kv absent = {0};
    int64_t n = 5;
    assert_int_equal(number_read(&absent, &n, NULL), 0);
    assert_int_equal(n, 0);
}

static void anything_else_is_refused(void **state)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "+5",
                                      "007",
                                      "-0",
                                      "5 ",
                                      " 5",
                                      "5\n",
                                      "0x5",
                                      "5.0",
                                      "1e3",
                                      "9223372036854775808",
                                      "-9223372036854775809",
                                      "99999999999999999999999999999999999999",
                                      "five",
                                      "--5"};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (!is_refused(bad[i]))
            fail_msg("'%s' was read", bad[i]);
}

static int change(struct number_change *c, const char *text)
{
    struct kv kv = {.key = bytes_str("k"), .value = bytes_str(text), .version = text != NULL};
    bytes value = {0};
    struct tenure_error err;
    int rc = number_compute(c, &kv, &value, &err);
    assert_true(rc != UPDATE_PUT || bytes_equal(value, bytes_str(c->text)));
    return rc;
}

static void each_change_has_its_bounds(void **state)
{
    (void)state;
    struct number_change add = {.kind = NUMBER_ADD, .number = 5};
    assert_int_equal(change(&add, NULL), UPDATE_PUT);
    assert_string_equal(add.text, "5");
    assert_int_equal(change(&add, "9223372036854775803"), TENURE_ELIMIT);
    struct number_change cas = {.kind = NUMBER_CAS, .number = 9, .expected = 0};
    assert_int_equal(change(&cas, NULL), UPDATE_PUT);
    assert_int_equal(change(&cas, "1"), TENURE_ECONFLICT);
    assert_int_equal(cas.result, 1);
    struct number_change set = {.kind = NUMBER_SET, .number = -3};
    assert_int_equal(change(&set, "rubbish"), UPDATE_PUT);
    assert_string_equal(set.text, "-3");
    struct number_change get = {.kind = NUMBER_GET};
    assert_int_equal(change(&get, "12"), UPDATE_LEAVE);
    assert_int_equal(get.result, 12);
    struct number_change take = {.kind = NUMBER_TAKE, .number = 10, .expected = 100};
    assert_int_equal(change(&take, "30"), UPDATE_PUT);
    assert_int_equal(take.result, 101);
    assert_string_equal(take.text, "110");
    assert_int_equal(change(&take, "200"), UPDATE_PUT);
    assert_int_equal(take.result, 201);
    assert_int_equal(change(&take, "9223372036854775807"), TENURE_ELIMIT);
    take.or_fewer = true;
    assert_int_equal(change(&take, "9223372036854775800"), UPDATE_PUT);
    assert_int_equal(take.taken, 7);
    assert_string_equal(take.text, "9223372036854775807");
    assert_int_equal(change(&take, "9223372036854775807"), TENURE_ELIMIT);
    assert_int_equal(change(&take, "200"), UPDATE_PUT);
    assert_int_equal(take.taken, 10);
    take.expected = 0;
    assert_int_equal(change(&take, "-5"), UPDATE_PUT); /* no id is below 1 */
    assert_int_equal(take.result, 1);
}

/* ---- updates ---- */

enum { CLIENTS = 3 };

static struct adder {
    struct client *client;
    struct session *session;
    struct marks *marks;
    struct update *update;
    struct number_change change;
    int done, todo;
} adders[CLIENTS];

static unsigned seed;

static tn_ms deadline_of_session(const void *s)
{
    return session_deadline(s);
}

static void tick_session(void *s, tn_ms now)
{
    session_tick(s, now);
}

static int compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    return number_compute(&((struct adder *)owner)->change, kv, ret_value, err);
}

static void add_once(struct adder *a);

static void on_updated(void *owner, const struct update_result *r)
{
    struct adder *a = owner;
    assert_int_equal(r->code, 0);
    a->done++;
    if (--a->todo > 0)
        add_once(a);
}

static void add_once(struct adder *a)
{
    tn_ms now = client_now(a->client);
    a->change = (struct number_change){.kind = NUMBER_ADD, .number = 1};
    assert_int_equal(
        update_start(&a->update, a->client, a->marks, bytes_str("n"), now + 60000, compute, on_updated, a, now, NULL),
        0);
}

/* A tenth of all requests or answers of transactions is lost, late or overtaken. */
static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user, (void)c, (void)n;
    seed = seed * 1103515245u + 12345u;
    unsigned dice = seed >> 16 & 15;
    if (strncmp(what, "txn", 3) != 0 || dice >= 5)
        return FAKE_FINE;
    static const enum fake_fault faults[] = {FAKE_LOSE_REPLY, FAKE_LOSE_REQUEST, FAKE_LATE, FAKE_OVERTAKEN, FAKE_SLOW};
    return faults[dice];
}

static void begin(void)
{
    static const char *const names[] = {"A", "B", "C"};
    fake_begin();
    for (int i = 0; i < CLIENTS; i++) {
        struct adder *a = &adders[i];
        struct session_options opt = {.ttl_s = 60};
        *a = (struct adder){.client = fake_client(names[i])};
        assert_int_equal(session_open(a->client, &opt, NULL, NULL, fake_now(), &a->session, NULL), 0);
        fake_add_ticker(a->client, deadline_of_session, tick_session, a->session);
        assert_int_equal(marks_new(a->session, "m/", &a->marks), 0);
    }
}

static void end(void)
{
    fake_set_judge(NULL, NULL);
    for (int i = 0; i < CLIENTS; i++) {
        struct adder *a = &adders[i];
        marks_free(a->marks);
        fake_remove_ticker(a->session);
        session_close(a->session, fake_now());
    }
    fake_run(5000);
    for (int i = 0; i < CLIENTS; i++)
        session_free(adders[i].session);
    fake_end();
}

/* C1 */
static void each_addition_is_made_once_whatever_is_lost(void **state)
{
    (void)state;
    for (seed = 1; seed < 60; seed++) {
        unsigned first = seed;
        struct kv kv;
        int64_t n = 0;
        begin();
        fake_set_judge(judge, NULL);
        for (int i = 0; i < CLIENTS; i++) {
            adders[i].todo = 10;
            add_once(&adders[i]);
        }
        fake_run(50000);
        seed = first;
        for (int i = 0; i < CLIENTS; i++)
            assert_int_equal(adders[i].done, 10);
        assert_true(fake_get(bytes_str("n"), &kv));
        assert_int_equal(number_read(&kv, &n, NULL), 0);
        if (n != 10 * CLIENTS)
            fail_msg("seed %u: %d", first, (int)n);
        end();
    }
}

static void who_drops_an_update_is_not_told(void **state)
{
    (void)state;
    begin();
    for (int ms = 0; ms < 12; ms++) {
        adders[0].todo = 1;
        add_once(&adders[0]);
        fake_run(ms);
        update_drop(&adders[0].update, fake_now());
        assert_null(adders[0].update);
        int done = adders[0].done;
        fake_run(50);
        assert_int_equal(adders[0].done, done);
    }
    end();
}

static int code_of_end;

static void on_end(void *owner, const struct update_result *r)
{
    (void)owner;
    code_of_end = r->code;
    assert_int_equal(r->error->applied, TENURE_APPLIED_NO);
}

struct ending {
    struct number_change change;
    struct update *update;
    int times, code;
    enum tenure_applied applied;
};

static int compute_ending(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    return number_compute(&((struct ending *)owner)->change, kv, ret_value, err);
}

static void on_ending(void *owner, const struct update_result *r)
{
    struct ending *x = owner;
    x->times++;
    x->code = r->code;
    x->applied = r->code ? r->error->applied : TENURE_APPLIED_YES;
}

static int64_t number_there(void)
{
    struct kv kv;
    int64_t n = 0;
    if (fake_get(bytes_str("n"), &kv))
        assert_int_equal(number_read(&kv, &n, NULL), 0);
    return n;
}

/* At each moment of its way, from the marks' lease on. */
static void one_that_is_cancelled_is_told_what_is_known(void **state)
{
    (void)state;
    begin();
    for (int ms = 0; ms < 12; ms++) {
        struct ending x = {.change = {.kind = NUMBER_ADD, .number = 1}};
        struct adder *a = &adders[ms % CLIENTS];
        int64_t before = number_there();
        assert_int_equal(update_start(&x.update, a->client, a->marks, bytes_str("n"), fake_now() + 60000,
                                      compute_ending, on_ending, &x, fake_now(), NULL),
                         0);
        fake_run(ms);
        update_cancel(&x.update, fake_now());
        fake_run(50);
        assert_int_equal(x.times, 1);
        assert_null(x.update);
        assert_true(x.code == 0 || x.code == TENURE_ECANCELLED);
        if (x.applied != TENURE_APPLIED_MAYBE)
            assert_int_equal(number_there(), before + (x.applied == TENURE_APPLIED_YES));
    }
    end();
}

/* The session under them may be lost while the key is read. */
static void marks_may_go_while_it_reads(void **state)
{
    (void)state;
    begin();
    struct adder *a = &adders[0];
    fake_run(10);
    a->change = (struct number_change){.kind = NUMBER_ADD, .number = 1};
    assert_int_equal(update_start(&a->update, a->client, a->marks, bytes_str("n"), fake_now() + 60000, compute, on_end,
                                  a, fake_now(), NULL),
                     0);
    a->marks = marks_free(a->marks);
    fake_run(100);
    assert_int_equal(code_of_end, TENURE_ELOST);
    assert_false(fake_get(bytes_str("n"), &(struct kv){0}));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_decimal_text),
        cmocka_unit_test(anything_else_is_refused),
        cmocka_unit_test(each_change_has_its_bounds),
        cmocka_unit_test(each_addition_is_made_once_whatever_is_lost),
        cmocka_unit_test(who_drops_an_update_is_not_told),
        cmocka_unit_test(one_that_is_cancelled_is_told_what_is_known),
        cmocka_unit_test(marks_may_go_while_it_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
