/* Exact transactions on a model of the server and the network: whatever is lost, late or gone, what is told is what happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "recipes/exact.h"
#include "story.h"
#include "tenure/error.h"

struct told {
    int times, code;
    enum tenure_applied applied;
    bool succeeded, complete;
    tn_rev revision;
    size_t n;
};

static struct client *c;
static struct exact *e;
static enum fake_fault next_fault;
static const char *fault_of; /* the first key of the transaction that it hits */

/* A transaction of ours names its mark second: it is nested. */
static enum fake_fault judge(void *user, struct client *client, unsigned n, const char *what)
{
    (void)user, (void)client, (void)n;
    enum fake_fault fault = FAKE_FINE;
    if (next_fault != FAKE_FINE && strncmp(what, fault_of, strlen(fault_of)) == 0) {
        fault = next_fault;
        next_fault = FAKE_FINE;
    }
    return fault;
}

static int begin(void **state)
{
    (void)state;
    fake_begin();
    c = fake_client("A");
    e = exact_new(c, NULL, 0);
    assert_non_null(e);
    next_fault = FAKE_FINE;
    fault_of = "txn";
    fake_set_judge(judge, NULL);
    return 0;
}

static void closed(void *user)
{
    *(bool *)user = true;
}

/* Everybody leaves: no key and no lease is left. */
static int end(void **state)
{
    (void)state;
    bool done = false;
    exact_close(e, closed, &done, fake_now());
    fake_run(10000);
    assert_true(done);
    exact_free(e);
    fake_run(100000);
    assert_int_equal(fake_leases(), 0);
    fake_end();
    return 0;
}

static void on_done(void *user, const struct client_result *r, bool complete)
{
    struct told *t = user;
    t->times++;
    t->code = r->code;
    t->complete = complete;
    if (r->code) {
        t->applied = r->error->applied;
        return;
    }
    t->succeeded = r->txn->succeeded;
    t->revision = r->txn->revision;
    t->n = r->txn->n_responses;
}

static struct exact_call *put_if(struct told *t, const char *key, const char *value, tn_rev mod, tn_lease lease)
{
    struct compare cmp = {.result = COMPARE_EQUAL, .target = COMPARE_MOD, .range.key = bytes_str(key), .number = mod};
    struct request_op then = {.kind = OP_PUT,
                              .put = {.key = bytes_str(key), .value = bytes_str(value), .lease = lease}};
    struct txn_req req = {.compares = &cmp, .n_compares = 1, .success = &then, .n_success = 1};
    struct tenure_error err;
    *t = (struct told){0};
    struct exact_call *k = exact_txn(e, &req, 3000, on_done, t, fake_now(), &err);
    assert_non_null(k);
    return k;
}

/* Once through, so that there is a lease and a slot. */
static void warm_up(void)
{
    struct told t;
    put_if(&t, "warm", "x", 0, 0);
    fake_run(50);
    assert_int_equal(t.code, 0);
}

static void is_there(const char *key, const char *value, int64_t version)
{
    struct kv kv;
    assert_true(fake_get(bytes_str(key), &kv));
    assert_true(bytes_equal(kv.value, bytes_str(value)));
    assert_int_equal(kv.version, version);
}

static void one_is_carried_out_with_its_mark(void **state)
{
    (void)state;
    struct told t;
    put_if(&t, "k", "v", 0, 0);
    fake_run(50);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, 0);
    assert_true(t.succeeded && t.complete);
    assert_int_equal(t.n, 1);
    assert_int_equal(t.revision, fake_revision());
    is_there("k", "v", 1);
    assert_int_equal(fake_leases(), 1);
    assert_int_equal(fake_keys(), 2);
}

static void slots_are_used_again(void **state)
{
    (void)state;
    struct told t[3];
    for (int i = 0; i < 10; i++)
        warm_up();
    assert_int_equal(exact_slots(e), 1);
    put_if(&t[0], "a", "v", 0, 0);
    put_if(&t[1], "b", "v", 0, 0);
    put_if(&t[2], "c", "v", 0, 0);
    fake_run(50);
    assert_true(t[0].succeeded && t[1].succeeded && t[2].succeeded);
    assert_int_equal(exact_slots(e), 3);
}

static void a_compare_that_fails_writes_nothing(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    tn_rev before = fake_revision();
    put_if(&t, "warm", "y", 12345, 0);
    fake_run(50);
    assert_int_equal(t.code, 0);
    assert_false(t.succeeded);
    assert_int_equal(fake_revision(), before);
}

static void lost(enum fake_fault fault)
{
    struct told t;
    warm_up();
    next_fault = fault;
    put_if(&t, "k", "v", 0, 0);
    fake_run(3000);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, 0);
    assert_true(t.succeeded && t.complete);
    is_there("k", "v", 1);
    struct kv kv;
    assert_true(fake_get(bytes_str("k"), &kv));
    assert_int_equal(t.revision, kv.mod_revision);
}

static void a_lost_request_is_sent_again(void **state)
{
    (void)state;
    lost(FAKE_LOSE_REQUEST);
}

static void a_lost_answer_is_found_by_the_mark(void **state)
{
    (void)state;
    lost(FAKE_LOSE_REPLY);
}

static void a_late_request_does_nothing_any_more(void **state)
{
    (void)state;
    lost(FAKE_LATE);
}

/* The second copy said that the compare failed; then the key goes, and the first copy comes at last. */
static void a_late_request_does_nothing_also_when_its_compare_would_hold_again(void **state)
{
    (void)state;
    struct told t;
    struct kv kv;
    warm_up();
    fake_put("k", "somebody's", 0);
    next_fault = FAKE_LATE;
    put_if(&t, "k", "v", 0, 0);
    fake_run(FAKE_LATE_MS / 2);
    assert_int_equal(t.code, 0);
    assert_false(t.succeeded);
    assert_true(fake_delete(bytes_str("k")));
    fake_run(2 * FAKE_LATE_MS);
    assert_false(fake_get(bytes_str("k"), &kv));
}

static void a_late_request_of_another_transaction_does_not_confuse_its_slot(void **state)
{
    (void)state;
    struct told t, u;
    warm_up();
    fault_of = "txn";
    next_fault = FAKE_LATE;
    exact_cancel(put_if(&t, "k", "v", 0, 0), fake_now());
    fake_run(10);
    assert_int_equal(t.code, TENURE_ECANCELLED);
    put_if(&u, "l", "v", 0, 0);
    fake_run(2 * FAKE_LATE_MS);
    assert_int_equal(u.code, 0);
    assert_true(u.succeeded);
    is_there("l", "v", 1);
}

static tn_lease lease_of_marks(void)
{
    struct kv kv;
    for (size_t i = 0; fake_key(i, &kv); i++)
        if (bytes_has_prefix(kv.key, bytes_str(EXACT_PREFIX)))
            return kv.lease;
    return 0;
}

static void a_lease_that_is_gone_is_replaced(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    assert_true(fake_revoke(lease_of_marks()));
    put_if(&t, "k", "v", 0, 0);
    fake_run(100);
    assert_int_equal(t.code, 0);
    assert_true(t.succeeded);
    is_there("k", "v", 1);
}

static void a_lease_that_is_gone_while_a_copy_is_in_doubt_leaves_the_doubt(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    next_fault = FAKE_LOSE_REPLY;
    put_if(&t, "k", "v", 0, 0);
    fake_run(5); /* carried out */
    is_there("k", "v", 1);
    assert_true(fake_revoke(lease_of_marks()));
    fake_run(3000);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, TENURE_EUNAVAILABLE);
    assert_int_equal(t.applied, TENURE_APPLIED_MAYBE);
    is_there("k", "v", 1);
}

static void a_lease_of_the_users_that_does_not_exist_is_said_to_him(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    put_if(&t, "k", "v", 0, 999);
    fake_run(100);
    assert_int_equal(t.code, TENURE_ENOTFOUND);
    assert_int_equal(t.applied, TENURE_APPLIED_NO);
    assert_int_equal(fake_leases(), 1);
}

static void silence_until_the_deadline_is_maybe(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    put_if(&t, "k", "v", 0, 0);
    fake_cut(c, true);
    fake_run(4000);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, TENURE_ETIMEOUT);
    assert_int_equal(t.applied, TENURE_APPLIED_MAYBE);
    fake_cut(c, false);
}

/* Cancelled at each moment of its way, from the grant on. */
static void one_can_be_cancelled_at_every_step(void **state)
{
    (void)state;
    struct told t;
    for (int ms = 0; ms < 12; ms++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", ms);
        struct exact_call *k = put_if(&t, key, "v", 0, 0);
        fake_run(ms);
        struct kv kv;
        bool over = t.times > 0;
        if (!over)
            exact_cancel(k, fake_now());
        fake_run(20);
        assert_int_equal(t.times, 1);
        if (t.code == 0)
            is_there(key, "v", 1);
        else if (t.applied == TENURE_APPLIED_NO)
            assert_false(fake_get(bytes_str(key), &kv));
        if (t.code)
            assert_int_equal(t.code, TENURE_ECANCELLED);
    }
}

static void closing_ends_what_is_under_way(void **state)
{
    (void)state;
    struct told t;
    bool done = false;
    warm_up();
    put_if(&t, "k", "v", 0, 0);
    exact_close(e, closed, &done, fake_now());
    fake_run(50);
    assert_true(done);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, TENURE_ECLOSED);
    assert_int_equal(fake_leases(), 0);
    assert_null(exact_txn(e, &(struct txn_req){0}, 0, on_done, &t, fake_now(), NULL));
}

static void a_call_that_cannot_begin_leaves_nothing(void **state)
{
    (void)state;
    struct told t = {0};
    struct tenure_error err;
    struct request_op then = {.kind = OP_PUT, .put = {.key = bytes_str("k")}};
    struct txn_req req = {.success = &then, .n_success = 1};
    next_fault = FAKE_NO_MEMORY;
    fault_of = "";
    assert_null(exact_txn(e, &req, 0, on_done, &t, fake_now(), &err));
    assert_int_equal(err.code, TENURE_ENOMEM);
    fault_of = "txn";
    next_fault = FAKE_NO_MEMORY; /* behind the grant */
    assert_non_null(exact_txn(e, &req, 0, on_done, &t, fake_now(), &err));
    fake_run(100);
    assert_int_equal(t.times, 1);
    assert_int_equal(t.code, TENURE_ENOMEM);
    assert_int_equal(t.applied, TENURE_APPLIED_NO);
    warm_up();
}

static void an_answer_that_is_none_leaves_the_doubt(void **state)
{
    (void)state;
    struct told t;
    warm_up();
    next_fault = FAKE_GARBLED;
    put_if(&t, "k", "v", 0, 0);
    fake_run(100);
    assert_int_equal(t.code, TENURE_EPROTOCOL);
    assert_int_equal(t.applied, TENURE_APPLIED_MAYBE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_is_carried_out_with_its_mark),
        TEST(slots_are_used_again),
        TEST(a_compare_that_fails_writes_nothing),
        TEST(a_lost_request_is_sent_again),
        TEST(a_lost_answer_is_found_by_the_mark),
        TEST(a_late_request_does_nothing_any_more),
        TEST(a_late_request_does_nothing_also_when_its_compare_would_hold_again),
        TEST(a_late_request_of_another_transaction_does_not_confuse_its_slot),
        TEST(a_lease_that_is_gone_is_replaced),
        TEST(a_lease_that_is_gone_while_a_copy_is_in_doubt_leaves_the_doubt),
        TEST(a_lease_of_the_users_that_does_not_exist_is_said_to_him),
        TEST(silence_until_the_deadline_is_maybe),
        TEST(one_can_be_cancelled_at_every_step),
        TEST(closing_ends_what_is_under_way),
        TEST(a_call_that_cannot_begin_leaves_nothing),
        TEST(an_answer_that_is_none_leaves_the_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
