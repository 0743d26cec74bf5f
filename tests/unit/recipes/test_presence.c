/* Presences: a key that comes back, and never one of somebody who left. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "fake_client.h"
#include "recipes/presence.h"
#include "tenure/error.h"

enum { OWNERS = 2, TTL_S = 4 };

/* What a driver does for a presence: a session, and another one after a loss. */
static struct owner {
    struct client *client;
    struct session *session, *old[64];
    struct marks *marks, *old_marks[64];
    int n_old;
    struct presence *presence;
    int present, absent, ended, code, edits;
    tn_rev create;
    bool adopts; /* makes what others write its own */
    char edited[64];
} owners[OWNERS];

static unsigned seed;

static tn_ms deadline_of_session(const void *s)
{
    return session_deadline(s);
}

static void tick_session(void *s, tn_ms now)
{
    session_tick(s, now);
}

static void attach(struct owner *o)
{
    struct session_options opt = {.ttl_s = TTL_S};
    tn_ms now = client_now(o->client);
    if (o->session) {
        o->old[o->n_old] = o->session;
        o->old_marks[o->n_old++] = o->marks;
        assert_true(o->n_old < 64);
    }
    assert_int_equal(session_open(o->client, &opt, NULL, NULL, now, &o->session, NULL), 0);
    fake_add_ticker(o->client, deadline_of_session, tick_session, o->session);
    assert_int_equal(marks_new(o->session, "m/", &o->marks), 0);
    assert_int_equal(presence_attach(o->presence, o->session, o->marks, now), 0);
}

static void on_present(void *user, tn_rev create)
{
    struct owner *o = user;
    o->present++;
    o->create = create;
}

static void on_absent(void *user, const struct tenure_error *why)
{
    struct owner *o = user;
    assert_true(why->code < 0);
    o->absent++;
}

static void on_adrift(void *user, const struct tenure_error *why)
{
    (void)why;
    attach(user);
}

static void on_ended(void *user, int code, const struct tenure_error *why)
{
    struct owner *o = user;
    assert_true((code == 0) == (why == NULL));
    o->ended++;
    o->code = code;
}

static const struct presence_callbacks callbacks = {
    .on_present = on_present, .on_absent = on_absent, .on_adrift = on_adrift, .on_ended = on_ended};

static void on_edited(void *user, bytes value)
{
    struct owner *o = user;
    o->edits++;
    snprintf(o->edited, sizeof o->edited, "%.*s", (int)value.len, (const char *)value.data);
    if (o->adopts)
        assert_int_equal(presence_set(o->presence, value, client_now(o->client)), 0);
}

static const struct presence_callbacks callbacks_with_edits = {.on_present = on_present,
                                                               .on_absent = on_absent,
                                                               .on_edited = on_edited,
                                                               .on_adrift = on_adrift,
                                                               .on_ended = on_ended};

static void begin(void)
{
    static const char *const names[] = {"A", "B"};
    fake_begin();
    for (int i = 0; i < OWNERS; i++)
        owners[i] = (struct owner){.client = fake_client(names[i])};
}

static void start(struct owner *o, enum presence_conflict conflict)
{
    struct presence_options opt = {.conflict = conflict};
    assert_int_equal(presence_new(o->client, bytes_str("k"), bytes_str("v1"), &opt, &callbacks, o, &o->presence), 0);
    attach(o);
}

static void end(void)
{
    fake_set_judge(NULL, NULL);
    for (int i = 0; i < OWNERS; i++) {
        struct owner *o = &owners[i];
        fake_cut(o->client, false);
        if (o->presence)
            presence_stop(o->presence, fake_now());
    }
    fake_run(20000);
    for (int i = 0; i < OWNERS; i++) {
        struct owner *o = &owners[i];
        presence_free(o->presence);
        if (!o->session)
            continue;
        o->old[o->n_old] = o->session;
        o->old_marks[o->n_old++] = o->marks;
        for (int k = 0; k < o->n_old; k++) {
            marks_free(o->old_marks[k]);
            fake_remove_ticker(o->old[k]);
            session_close(o->old[k], fake_now());
        }
    }
    fake_run(20000);
    for (int i = 0; i < OWNERS; i++)
        for (int k = 0; k < owners[i].n_old; k++)
            session_free(owners[i].old[k]);
    fake_end();
}

static bool key_holds(const char *value, tn_lease lease)
{
    struct kv kv;
    bool there = fake_get(bytes_str("k"), &kv);
    if (!value)
        return !there;
    return there && bytes_equal(kv.value, bytes_str(value)) && (!lease || kv.lease == lease);
}

static void it_stands_is_changed_and_leaves(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    assert_false(presence_stands(o->presence, fake_now()));
    fake_run(10);
    assert_int_equal(o->present, 1);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_true(key_holds("v1", session_lease(o->session)));
    assert_int_equal(presence_set(o->presence, bytes_str("v2"), fake_now()), 0);
    assert_int_equal(presence_set(o->presence, bytes_str("v3"), fake_now()), 0);
    assert_false(presence_stands(o->presence, fake_now()));
    fake_run(20);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_true(key_holds("v3", 0));
    assert_int_equal(o->absent, 0);
    assert_false(presence_stop(o->presence, fake_now()));
    assert_int_equal(o->ended, 0);
    fake_run(10);
    assert_int_equal(o->ended, 1);
    assert_int_equal(o->code, 0);
    assert_true(key_holds(NULL, 0));
    end();
}

static void stopping_at_any_moment_leaves_nothing_M7(void **state)
{
    static const enum fake_fault first[] = {FAKE_FINE, FAKE_LOSE_REPLY, FAKE_LOSE_REQUEST, FAKE_LATE, FAKE_SLOW};
    (void)state;
    for (size_t f = 0; f < ARRAY_LEN(first); f++)
        for (int ms = 0; ms < 40; ms++) {
            struct owner *o = &owners[0];
            begin();
            start(o, PRESENCE_REFUSE);
            fake_run(ms);
            bool over = presence_stop(o->presence, fake_now());
            fake_run(3000);
            assert_int_equal(o->ended, over ? 0 : 1);
            if (!key_holds(NULL, 0))
                fail_msg("stopped after %d ms it left its key", ms);
            end();
        }
}

static enum fake_fault refuse_two(void *user, struct client *c, unsigned n, const char *what)
{
    unsigned *calls = user;
    (void)c, (void)n;
    if (strncmp(what, "txn", 3) != 0)
        return FAKE_FINE;
    return (*calls)++ < 2 ? FAKE_NO_MEMORY : FAKE_FINE;
}

/* The session goes on: the key would stand as long as that. */
static void a_key_that_could_not_be_deleted_goes_later_M7(void **state)
{
    struct owner *o = &owners[0];
    unsigned calls = 0;
    (void)state;
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(20);
    assert_true(presence_stands(o->presence, fake_now()));
    fake_set_judge(refuse_two, &calls);
    presence_stop(o->presence, fake_now());
    fake_run(20);
    assert_int_equal(o->ended, 1);
    assert_int_equal(o->code, TENURE_ENOMEM);
    assert_true(key_holds("v1", 0));
    o->presence = presence_free(o->presence);
    fake_run(1000);
    assert_true(calls > 2);
    assert_true(session_valid(o->session, fake_now()));
    assert_true(key_holds(NULL, 0));
    end();
}

static void a_key_that_could_not_be_deleted_goes_with_its_session(void **state)
{
    struct owner *o = &owners[0];
    struct tenure_error why;
    unsigned calls = 0;
    (void)state;
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(20);
    fake_set_judge(refuse_two, &calls);
    presence_stop(o->presence, fake_now());
    error_set(&why, TENURE_ELOST, "given up");
    session_give_up(o->session, &why, fake_now());
    fake_run(20000);
    assert_int_equal(calls, 1);
    assert_true(key_holds(NULL, 0));
    end();
}

static void with_a_lost_session_it_moves_to_the_next_one(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(10);
    tn_lease first = session_lease(o->session);
    tn_rev create = o->create;
    fake_cut(o->client, true);
    fake_run(TTL_S * 1000 - 300); /* lost by now, while the lease still lives */
    assert_int_equal(o->absent, 1);
    assert_false(presence_stands(o->presence, fake_now()));
    fake_cut(o->client, false);
    fake_run(20000);
    assert_int_equal(o->present, 2);
    assert_true(key_holds("v1", session_lease(o->session)));
    assert_true(session_lease(o->session) != first);
    assert_true(o->create >= create);
    end();
}

static void a_revoked_lease_is_healed(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(10);
    for (int i = 0; i < 3; i++) {
        assert_true(fake_revoke(session_lease(o->session)));
        fake_run(200); /* long before the next renewal would say so */
        assert_true(key_holds("v1", session_lease(o->session)));
        assert_true(presence_stands(o->presence, fake_now()));
    }
    end();
}

static void a_deleted_key_is_healed(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(10);
    for (int i = 0; i < 5; i++) {
        assert_true(fake_delete(bytes_str("k")));
        fake_run(1000);
        assert_true(key_holds("v1", 0));
    }
    assert_int_equal(o->absent, 5);
    assert_int_equal(o->present, 6);
    end();
}

/* The watch tells that the other one has gone before the answer tells that he was there. */
static void who_waits_is_not_told_too_early_that_the_way_is_free(void **state)
{
    struct owner *o = &owners[0];
    (void)state;
    begin();
    start(o, PRESENCE_WAIT);
    fake_run(20);
    assert_true(presence_stands(o->presence, fake_now()));
    fake_slow_replies(o->client, 300);
    fake_put("k", "another", 0);
    fake_run(5);
    fake_delete(bytes_str("k"));
    fake_put("k", "another", 0);
    fake_run(150);
    fake_delete(bytes_str("k"));
    fake_run(1500);
    fake_slow_replies(o->client, 0);
    fake_run(3000);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_true(key_holds("v1", 0));
    end();
}

static void a_watch_that_ends_is_made_good(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(10);
    fake_overflow_watches(o->client);
    fake_run(200);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_true(fake_delete(bytes_str("k")));
    fake_run(1000);
    assert_true(key_holds("v1", 0));
    end();
}

static void who_comes_second_is_refused_waits_or_takes_over(void **state)
{
    (void)state;
    struct owner *a = &owners[0], *b = &owners[1];
    for (int rule = 0; rule < 3; rule++) {
        begin();
        start(a, PRESENCE_REFUSE);
        fake_run(10);
        start(b, (enum presence_conflict)rule);
        fake_run(100);
        assert_int_equal(b->ended, rule == PRESENCE_REFUSE);
        assert_int_equal(b->code, rule == PRESENCE_REFUSE ? TENURE_EEXISTS : 0);
        assert_int_equal(b->present, rule == PRESENCE_TAKE_OVER);
        assert_int_equal(a->ended, rule == PRESENCE_TAKE_OVER);
        assert_int_equal(a->code, rule == PRESENCE_TAKE_OVER ? TENURE_ELOST : 0);
        presence_stop(a->presence, fake_now());
        fake_run(100);
        assert_int_equal(b->present, rule != PRESENCE_REFUSE);
        assert_true(key_holds(rule == PRESENCE_REFUSE ? NULL : "v1", 0));
        end();
    }
}

/* Who was taken over while it was away learns it when it comes back, and takes nothing. */
static void one_that_was_away_takes_nothing_back(void **state)
{
    (void)state;
    struct owner *a = &owners[0], *b = &owners[1];
    begin();
    start(a, PRESENCE_TAKE_OVER);
    fake_run(10);
    fake_cut(a->client, true);
    fake_run(100);
    start(b, PRESENCE_TAKE_OVER);
    fake_run(100);
    assert_int_equal(b->present, 1);
    fake_run(TTL_S * 1000);
    fake_cut(a->client, false);
    fake_run(10000);
    assert_int_equal(a->ended, 1);
    assert_int_equal(a->code, TENURE_ELOST);
    assert_true(key_holds("v1", session_lease(b->session)));
    end();
}

static void a_stranger_s_value_ends_it(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(10);
    fake_put("k", "by hand", 0);
    fake_run(10);
    assert_int_equal(o->ended, 1);
    assert_int_equal(o->code, TENURE_ELOST);
    end();
    begin();
    start(o, PRESENCE_WAIT);
    fake_run(10);
    fake_put("k", "by hand", 0);
    fake_run(10);
    assert_int_equal(o->absent, 1);
    assert_true(fake_delete(bytes_str("k")));
    fake_run(100);
    assert_true(key_holds("v1", 0));
    end();
}

static enum fake_fault deny(void *user, struct client *c, unsigned n, const char *what)
{
    (void)user, (void)c, (void)n;
    return strncmp(what, "txn", 3) == 0 ? FAKE_DENIED : FAKE_FINE;
}

static void who_may_not_write_is_told(void **state)
{
    (void)state;
    struct owner *o = &owners[0];
    begin();
    fake_set_judge(deny, NULL);
    start(o, PRESENCE_REFUSE);
    fake_run(50);
    assert_int_equal(o->ended, 1);
    assert_int_equal(o->code, TENURE_EDENIED);
    end();
}

static enum fake_fault judge(void *user, struct client *c, unsigned n, const char *what)
{
    static const enum fake_fault faults[] = {FAKE_LOSE_REPLY, FAKE_LOSE_REQUEST, FAKE_LATE,
                                             FAKE_OVERTAKEN,  FAKE_SLOW,         FAKE_UNAVAILABLE};
    (void)user, (void)c, (void)n, (void)what;
    seed = seed * 1103515245u + 12345u;
    unsigned dice = seed >> 16 & 31;
    return dice < ARRAY_LEN(faults) ? faults[dice] : FAKE_FINE;
}

/* Whatever happens: when it is quiet the key stands, with the newest value; when it was stopped it is gone. */
static void it_comes_back_from_everything(void **state)
{
    (void)state;
    for (unsigned run = 1; run <= 500; run++) {
        struct owner *o = &owners[0];
        char value[16] = "v1";
        begin();
        seed = run;
        fake_set_judge(judge, NULL);
        start(o, PRESENCE_WAIT);
        for (int step = 0; step < 12; step++) {
            seed = seed * 1103515245u + 12345u;
            unsigned dice = seed >> 16 & 7, ms = seed >> 20 & 1023;
            if (dice == 0)
                fake_delete(bytes_str("k"));
            else if (dice == 1)
                fake_revoke(session_lease(o->session));
            else if (dice == 2)
                fake_overflow_watches(o->client);
            else if (dice == 3)
                fake_compact();
            else if (dice < 6)
                fake_cut(o->client, dice == 4);
            else if (snprintf(value, sizeof value, "v%d", step + 2) > 0)
                assert_int_equal(presence_set(o->presence, bytes_str(value), fake_now()), 0);
            fake_run(dice == 4 ? 8 * ms : ms);
        }
        fake_cut(o->client, false);
        fake_set_judge(NULL, NULL);
        fake_run(30000);
        if (o->ended || !key_holds(value, session_lease(o->session)) || !presence_stands(o->presence, fake_now()))
            fail_msg("run %u: the key has not come back, ended %d: %d", run, o->ended, o->code);
        presence_stop(o->presence, fake_now());
        fake_run(2000);
        assert_int_equal(o->ended, 1);
        if (!key_holds(NULL, 0))
            fail_msg("run %u: the key is left", run);
        end();
    }
}

/* ---- edits ---- */

static void start_with_edits(struct owner *o, bool adopts)
{
    struct presence_options opt = {.conflict = PRESENCE_REFUSE};
    o->adopts = adopts;
    assert_int_equal(
        presence_new(o->client, bytes_str("k"), bytes_str("v1"), &opt, &callbacks_with_edits, o, &o->presence), 0);
    attach(o);
    fake_run(20);
    assert_true(presence_stands(o->presence, fake_now()));
}

static void an_edit_on_its_lease_is_told_once_and_kept_over_a_loss(void **state)
{
    struct owner *o = &owners[0];
    (void)state;
    begin();
    start_with_edits(o, true);
    fake_put("k", "edited", session_lease(o->session));
    fake_run(1000);
    assert_int_equal(o->edits, 1);
    assert_string_equal(o->edited, "edited");
    assert_true(key_holds("edited", session_lease(o->session)));
    assert_int_equal(o->absent, 0);
    assert_true(fake_revoke(session_lease(o->session)));
    fake_run(6000);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_true(key_holds("edited", session_lease(o->session)));
    assert_int_equal(o->edits, 1);
    end();
}

static void own_values_are_no_edits_however_late_their_answers_are(void **state)
{
    struct owner *o = &owners[0];
    (void)state;
    begin();
    start_with_edits(o, true);
    fake_slow_replies(o->client, 300);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(presence_set(o->presence, bytes_str(i % 2 ? "odd" : "even"), fake_now()), 0);
        fake_run(150 * (i + 1));
    }
    fake_run(3000);
    assert_int_equal(o->edits, 0);
    assert_true(key_holds("even", 0));
    end();
}

/* At every moment of a change of its own. */
static void an_edit_beside_an_own_change_is_not_lost(void **state)
{
    (void)state;
    for (int ms = 0; ms < 700; ms += 20)
        for (int slow_watch = 0; slow_watch < 2; slow_watch++) {
            struct owner *o = &owners[0];
            begin();
            start_with_edits(o, true);
            fake_slow_replies(o->client, 300);
            if (slow_watch)
                fake_slow_watches(o->client, 400);
            assert_int_equal(presence_set(o->presence, bytes_str("own"), fake_now()), 0);
            fake_run(ms);
            fake_put("k", "edited", session_lease(o->session));
            fake_run(5000);
            if (!key_holds("edited", session_lease(o->session)))
                fail_msg("the edit after %d ms is lost", ms);
            assert_true(o->edits == 1);
            assert_true(presence_stands(o->presence, fake_now()));
            end();
        }
}

static void without_ears_for_edits_the_next_put_replaces_them(void **state)
{
    struct owner *o = &owners[0];
    (void)state;
    begin();
    start(o, PRESENCE_REFUSE);
    fake_run(20);
    fake_put("k", "edited", session_lease(o->session));
    fake_run(100);
    assert_true(presence_stands(o->presence, fake_now()));
    assert_int_equal(presence_set(o->presence, bytes_str("own"), fake_now()), 0);
    fake_run(1000);
    assert_true(key_holds("own", 0));
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_stands_is_changed_and_leaves),
        cmocka_unit_test(stopping_at_any_moment_leaves_nothing_M7),
        cmocka_unit_test(a_key_that_could_not_be_deleted_goes_later_M7),
        cmocka_unit_test(a_key_that_could_not_be_deleted_goes_with_its_session),
        cmocka_unit_test(with_a_lost_session_it_moves_to_the_next_one),
        cmocka_unit_test(a_revoked_lease_is_healed),
        cmocka_unit_test(a_deleted_key_is_healed),
        cmocka_unit_test(who_waits_is_not_told_too_early_that_the_way_is_free),
        cmocka_unit_test(a_watch_that_ends_is_made_good),
        cmocka_unit_test(who_comes_second_is_refused_waits_or_takes_over),
        cmocka_unit_test(one_that_was_away_takes_nothing_back),
        cmocka_unit_test(a_stranger_s_value_ends_it),
        cmocka_unit_test(who_may_not_write_is_told),
        cmocka_unit_test(an_edit_on_its_lease_is_told_once_and_kept_over_a_loss),
        cmocka_unit_test(own_values_are_no_edits_however_late_their_answers_are),
        cmocka_unit_test(an_edit_beside_an_own_change_is_not_lost),
        cmocka_unit_test(without_ears_for_edits_the_next_put_replaces_them),
        cmocka_unit_test(it_comes_back_from_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
