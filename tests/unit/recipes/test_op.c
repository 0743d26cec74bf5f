/* A call and the object that asks for it: whichever goes first, nobody is told twice, or when it is gone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "recipes/op.h"
#include "story.h"
#include "tenure/error.h"

struct owner {
    struct op *op;
    int told, code;
    bool slot_was_empty;
};

static struct client *c;
static struct owner o, another;

static int begin(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    o = another = (struct owner){0};
    return 0;
}

static int end(void **state)
{
    (void)state;
    fake_run(10000);
    fake_end();
    return 0;
}

static void on_done(void *owner, const struct client_result *r)
{
    struct owner *me = owner;
    me->told++;
    me->code = r->code;
    me->slot_was_empty = me->op == NULL;
}

static void ask(void)
{
    struct range_req req = {.range.key = bytes_str("k")};
    assert_int_equal(op_range(&o.op, c, &req, NULL, on_done, &o, fake_now(), NULL), 0);
    assert_non_null(o.op);
}

static void the_owner_is_told_once_with_its_slot_empty(void **state)
{
    (void)state;
    ask();
    fake_run(10);
    assert_int_equal(o.told, 1);
    assert_int_equal(o.code, 0);
    assert_true(o.slot_was_empty);
}

static void who_cancels_is_told_so(void **state)
{
    (void)state;
    ask();
    op_cancel(&o.op, fake_now());
    assert_int_equal(o.told, 0);
    fake_run(10);
    assert_int_equal(o.told, 1);
    assert_int_equal(o.code, TENURE_ECANCELLED);
}

static void who_drops_is_not_told(void **state)
{
    (void)state;
    ask();
    op_drop(&o.op, fake_now());
    assert_null(o.op);
    op_drop(&o.op, fake_now());
    fake_run(10);
    assert_int_equal(o.told, 0);
}

static void what_is_forgotten_is_carried_out_all_the_same(void **state)
{
    (void)state;
    tn_lease lease = fake_grant(10);
    struct lease_revoke_req req = {.id = lease};
    assert_int_equal(op_lease_revoke(&o.op, c, &req, NULL, on_done, &o, fake_now(), NULL), 0);
    op_forget(&o.op);
    fake_run(10);
    assert_int_equal(o.told, 0);
    assert_int_equal(fake_leases(), 0);
}

static void who_takes_it_over_is_told_instead(void **state)
{
    (void)state;
    ask();
    op_move(&o.op, &another.op, on_done, &another);
    assert_null(o.op);
    fake_run(10);
    assert_int_equal(o.told, 0);
    assert_int_equal(another.told, 1);
    assert_true(another.slot_was_empty);
    op_move(&o.op, &another.op, on_done, &another);
    assert_null(another.op);
}

static enum fake_fault no_memory(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user;
    (void)client;
    (void)n;
    (void)what;
    return FAKE_NO_MEMORY;
}

static void a_call_that_cannot_begin_leaves_nothing(void **state)
{
    (void)state;
    struct tenure_error err;
    struct range_req req = {.range.key = bytes_str("k")};
    fake_set_judge(no_memory, NULL);
    assert_int_equal(op_range(&o.op, c, &req, NULL, on_done, &o, fake_now(), &err), TENURE_ENOMEM);
    assert_int_equal(err.code, TENURE_ENOMEM);
    assert_null(o.op);
    fake_run(10);
    assert_int_equal(o.told, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_owner_is_told_once_with_its_slot_empty),
        TEST(who_cancels_is_told_so),
        TEST(who_drops_is_not_told),
        TEST(what_is_forgotten_is_carried_out_all_the_same),
        TEST(who_takes_it_over_is_told_instead),
        TEST(a_call_that_cannot_begin_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
