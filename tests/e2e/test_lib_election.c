/* Elections and observers on a real server. */
#include <unistd.h>

#include "lib.h"

struct candidate {
    tenure_election *election;
    atomic_int gained, lost, stopped; /* how often */
    _Atomic(tenure_token) token;
    int64_t lost_at, safe_until;
    atomic_int why, code;
    bool led_when_lost;
};

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    struct candidate *k = user;
    k->election = e;
    atomic_store(&k->token, token);
    atomic_fetch_add(&k->gained, 1);
}

static void on_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    struct candidate *k = user;
    k->lost_at = test_now();
    k->led_when_lost = tenure_election_leads(e);
    atomic_store(&k->why, (int)why);
    atomic_fetch_add(&k->lost, 1);
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    struct candidate *k = user;
    (void)e, (void)err;
    atomic_store(&k->code, code);
    atomic_fetch_add(&k->stopped, 1);
}

static tenure_election *start(tenure_client *c, const char *name, const char *proposal, int64_t ttl_s, bool once,
                              struct candidate *k)
{
    struct tenure_error err = {0};
    struct tenure_election_options o = {
        .size = sizeof o,
        .proposal = S(proposal),
        .ttl_s = ttl_s,
        .once = once,
        .on_gained = on_gained,
        .on_lost = on_lost,
        .on_stopped = on_stopped,
        .user = k,
    };
    tenure_election *e = tenure_election_start(c, name, &o, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

static void the_first_leads_and_the_next_follows_with_a_greater_token(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct candidate a = {0}, b = {0};
    char key[128];
    tenure_election *ea = start(ca, "follow", "a", 0, false, &a);
    await_flag(&a.gained);
    tenure_election *eb = start(cb, "follow", "b", 0, false, &b);
    assert_true(tenure_election_leads(ea));
    assert_false(tenure_election_leads(eb));
    assert_int_equal(tenure_election_token(ea), a.token);
    assert_true(tenure_election_lease(ea) != 0);
    tenure_election_key(ea, key, sizeof key);
    assert_int_equal(strncmp(key, "/election/follow/", 17), 0);
    char *value = get(ca, key);
    assert_string_equal(value, "a");
    free(value);
    tenure_election_stop(ea); /* waits: the callbacks have come */
    assert_int_equal(a.lost, 1);
    assert_int_equal(a.why, TENURE_LOSS_RESIGNED);
    assert_int_equal(a.stopped, 1);
    assert_int_equal(a.code, 0);
    assert_false(a.led_when_lost);
    await_flag(&b.gained);
    assert_true(b.token > a.token);
    tenure_election_stop(eb);
    tenure_close(ca);
    tenure_close(cb);
}

static bool gained_twice(void *user)
{
    return atomic_load(&((struct candidate *)user)->gained) == 2;
}

static void a_candidate_that_lost_campaigns_again(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct candidate k = {0};
    tenure_election *e = start(c, "again", "x", 2, false, &k);
    await_flag(&k.gained);
    tenure_token first = k.token;
    no_error(tenure_lease_revoke(c, tenure_election_lease(e), &err), &err);
    assert_true(test_await(gained_twice, &k));
    assert_int_equal(k.lost, 1);
    assert_int_equal(k.why, TENURE_LOSS_REVOKED);
    assert_true(k.token > first);
    assert_int_equal(k.stopped, 0);
    tenure_election_stop(e);
    tenure_close(c);
}

static void one_that_wants_it_once_ends_after_the_loss(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct candidate k = {0};
    tenure_election *e = start(c, "once", "x", 2, true, &k);
    await_flag(&k.gained);
    no_error(tenure_lease_revoke(c, tenure_election_lease(e), &err), &err);
    await_flag(&k.stopped);
    assert_false(tenure_election_leads(e)); /* it is there until it is stopped */
    assert_int_equal(k.gained, 1);
    assert_int_equal(k.lost, 1);
    tenure_election_stop(e);
    assert_int_equal(k.stopped, 1);
    tenure_close(c);
}

static bool is_past_safe_until(void *user)
{
    return test_now() >= ((struct candidate *)user)->safe_until;
}

/* L2, L3 */
static void leadership_ends_at_safe_until_when_the_server_is_gone(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct candidate k = {0};
    tenure_election *e = start(c, "gone", "x", 2, false, &k);
    await_flag(&k.gained);
    server_pause(server);
    k.safe_until = test_now() + tenure_election_remaining_ms(e);
    assert_true(test_await(is_past_safe_until, &k));
    await_flag(&k.lost);
    assert_false(tenure_election_leads(e));
    assert_int_equal(k.why, TENURE_LOSS_EXPIRED);
    assert_true(k.lost_at + 1 >= k.safe_until);
    server_resume(server);
    assert_true(test_await(gained_twice, &k));
    tenure_election_stop(e);
    tenure_close(c);
}

static void leadership_outlives_a_restart_of_the_server(void **state)
{
    struct server *server = *state;
    tenure_client *c = open_on(server);
    struct candidate k = {0};
    tenure_election *e = start(c, "restart", "x", 10, false, &k);
    await_flag(&k.gained);
    server_kill(server);
    server_restart(server);
    k.safe_until = test_now() + tenure_election_remaining_ms(e);
    assert_true(test_await(is_past_safe_until, &k));
    assert_true(tenure_election_leads(e));
    assert_int_equal(k.lost, 0);
    tenure_election_stop(e);
    tenure_close(c);
}

static void a_proposal_can_be_replaced_by_the_leader_only(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct candidate a = {0}, b = {0};
    char key[128];
    tenure_election *ea = start(ca, "proclaim", "old", 0, false, &a);
    await_flag(&a.gained);
    tenure_election *eb = start(cb, "proclaim", "other", 0, false, &b);
    no_error(tenure_election_proclaim(ea, S("new"), &err), &err);
    tenure_election_key(ea, key, sizeof key);
    char *value = get(ca, key);
    assert_string_equal(value, "new");
    free(value);
    assert_int_equal(tenure_election_proclaim(eb, S("never"), &err), TENURE_ENOTHELD);
    tenure_election_stop(eb);
    tenure_election_stop(ea);
    tenure_close(ca);
    tenure_close(cb);
}

/* ---- observers ---- */

#define LEADERS_MAX 64

struct observed {
    pthread_mutex_t mutex;
    char leaders[LEADERS_MAX][32]; /* "" = nobody */
    int n;
    tenure_token last;
    int wrong;
};

static void on_leader(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct observed *s = user;
    (void)o, (void)revision;
    pthread_mutex_lock(&s->mutex);
    snprintf(s->leaders[s->n % LEADERS_MAX], 32, "%.*s", kv ? (int)kv->value.len : 0,
             kv ? (const char *)kv->value.data : "");
    s->n++;
    s->wrong += kv && kv->create_revision < s->last;
    s->last = kv ? kv->create_revision : s->last;
    pthread_mutex_unlock(&s->mutex);
}

struct expected {
    struct observed *s;
    const char *leader;
};

static bool is_seen(void *user)
{
    struct expected *x = user;
    pthread_mutex_lock(&x->s->mutex);
    bool yes = x->s->n > 0 && strcmp(x->s->leaders[(x->s->n - 1) % LEADERS_MAX], x->leader) == 0;
    pthread_mutex_unlock(&x->s->mutex);
    return yes;
}

static void await_leader(struct observed *s, const char *leader)
{
    if (!test_await(is_seen, &(struct expected){s, leader}))
        fail_msg("never saw leader '%s'", leader);
}

/* M10 */
static void an_observer_sees_leaders_in_order_and_the_last_one(void **state)
{
    tenure_client *c = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct observed s = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    struct candidate a = {0}, b = {0};
    struct tenure_observer_options o = {.size = sizeof o, .on_leader = on_leader, .user = &s};
    tenure_observer *observer = tenure_observer_start(c, "observed", &o, &err);
    assert_non_null(observer);
    await_leader(&s, "");
    tenure_election *ea = start(c, "observed", "a", 0, false, &a);
    await_leader(&s, "a");
    tenure_election *eb = start(cb, "observed", "b", 0, false, &b);
    no_error(tenure_election_proclaim(ea, S("a2"), &err), &err);
    await_leader(&s, "a2");
    tenure_election_stop(ea);
    await_leader(&s, "b");
    tenure_election_stop(eb);
    await_leader(&s, "");
    assert_int_equal(s.wrong, 0);
    tenure_observer_stop(observer);
    tenure_close(c);
    tenure_close(cb);
}

static void *await_in_thread(void *arg)
{
    return (void *)(intptr_t)tenure_election_await(arg, 0, NULL);
}

static void a_latch_opens_with_the_leadership_and_ends_with_the_election(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct candidate a = {0}, b = {0};
    pthread_t thread;
    void *ret;
    tenure_election *ea = start(ca, "latch", "a", 0, false, &a);
    no_error(tenure_election_await(ea, 0, &err), &err);
    assert_true(tenure_election_leads(ea));
    no_error(tenure_election_await(ea, 1, &err), &err);
    tenure_election *eb = start(cb, "latch", "b", 0, false, &b);
    for (int i = 0; i < 3; i++)
        assert_int_equal(tenure_election_await(eb, 20, &err), TENURE_ETIMEOUT);
    assert_int_equal(tenure_election_await(eb, -1, &err), TENURE_EINVALID);
    assert_int_equal(pthread_create(&thread, NULL, await_in_thread, eb), 0);
    tenure_election_stop(ea);
    pthread_join(thread, &ret);
    assert_int_equal((int)(intptr_t)ret, 0);
    assert_int_equal(tenure_election_await(eb, 0, &err), 0);
    tenure_election_stop(eb);
    struct candidate o = {0};
    tenure_election *eo = start(ca, "latch", "o", 2, true, &o);
    no_error(tenure_election_await(eo, 0, &err), &err);
    no_error(tenure_lease_revoke(ca, tenure_election_lease(eo), &err), &err);
    await_flag(&o.stopped);
    assert_int_equal(tenure_election_await(eo, 0, &err), TENURE_ENOTHELD);
    tenure_election_stop(eo);
    tenure_close(ca);
    tenure_close(cb);
}

/* ---- who stands ---- */

static bool two_stand(void *user)
{
    struct tenure_error err = {0};
    struct tenure_election_list *list = NULL;
    no_error(tenure_election_list(user, "listed", NULL, &list, &err), &err);
    bool yes = list->n == 2;
    tenure_election_list_free(list);
    return yes;
}

struct listed {
    atomic_int done;
    int code;
    struct tenure_election_list *list;
};

static void on_listed(void *user, int code, struct tenure_election_list *r, const struct tenure_error *err)
{
    struct listed *l = user;
    (void)err;
    l->code = code;
    l->list = r;
    atomic_store(&l->done, 1);
}

static void the_list_shows_who_leads_and_who_waits(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct candidate a = {0};
    struct tenure_election_list *list = NULL;
    struct listed later = {0};
    no_error(tenure_election_list(ca, "listed", NULL, &list, &err), &err);
    assert_int_equal(list->n, 0);
    tenure_election_list_free(list);
    struct tenure_election_options o = {
        .size = sizeof o, .proposal = S("a"), .purpose = "to lead", .on_gained = on_gained, .user = &a};
    tenure_election *ea = tenure_election_start(ca, "listed", &o, &err);
    await_flag(&a.gained);
    put(ca, "/election/listed/x/1", "somebody of a longer name");
    int64_t lease = 0;
    no_error(tenure_lease_grant(cb, 60, 0, &lease, NULL, &err), &err);
    struct tenure_put_options with_lease = {.size = sizeof with_lease, .lease = lease};
    no_error(tenure_put(cb, S("/election/listed/7f"), S("a stranger"), &with_lease, NULL, &err), &err);
    assert_true(test_await(two_stand, cb));
    no_error(tenure_election_list_start(cb, "listed", NULL, on_listed, &later, &err), &err);
    await_flag(&later.done);
    assert_int_equal(later.code, 0);
    list = later.list;
    assert_int_equal(list->n, 2);
    assert_true(list->revision >= list->entries[1].token);
    assert_int_equal(list->entries[0].token, tenure_election_token(ea));
    assert_int_equal(list->entries[0].lease, tenure_election_lease(ea));
    assert_string_equal((const char *)list->entries[0].value.data, "a");
    assert_string_equal(list->entries[0].purpose, "to lead");
    assert_int_equal(list->entries[0].pid, getpid());
    assert_true(list->entries[0].host[0] != 0 && list->entries[0].since_ms > 0);
    assert_string_equal(list->entries[1].key, "/election/listed/7f");
    assert_string_equal((const char *)list->entries[1].value.data, "a stranger");
    assert_string_equal(list->entries[1].host, "");
    assert_int_equal(list->entries[1].pid, 0);
    tenure_election_list_free(list);
    assert_int_equal(tenure_election_list(cb, "bad/", NULL, &list, &err), TENURE_EINVALID);
    assert_int_equal(tenure_election_list_start(cb, "", NULL, on_listed, &later, &err), TENURE_EINVALID);
    tenure_election_stop(ea);
    tenure_close(ca);
    tenure_close(cb);
}

/* ---- preference ---- */

struct standing {
    tenure_client *c;
    const char *name;
    size_t n;
};

static bool so_many_stand(void *user)
{
    struct standing *s = user;
    struct tenure_error err = {0};
    struct tenure_election_list *list = NULL;
    no_error(tenure_election_list(s->c, s->name, NULL, &list, &err), &err);
    bool yes = list->n == s->n;
    tenure_election_list_free(list);
    return yes;
}

static void await_standing(tenure_client *c, const char *name, size_t n)
{
    if (!test_await(so_many_stand, &(struct standing){c, name, n}))
        fail_msg("there were never %zu candidates", n);
}

static tenure_election *prefer(tenure_client *c, const char *name, int64_t preference, struct candidate *k)
{
    struct tenure_error err = {0};
    struct tenure_election_options o = {.size = sizeof o,
                                        .ttl_s = 60,
                                        .on_gained = on_gained,
                                        .on_lost = on_lost,
                                        .on_stopped = on_stopped,
                                        .user = k,
                                        .preference = preference};
    tenure_election *e = tenure_election_start(c, name, &o, &err);
    if (!e)
        fail_msg("%s", err.text);
    return e;
}

static void the_best_of_those_who_wait_leads_next(void **state)
{
    static const int64_t preferences[] = {0, 1, -1, 7, 3};
    static const int order[] = {0, 3, 4, 1, 2};
    enum { N = 5 };
    tenure_client *c[N];
    struct candidate k[N] = {{0}};
    tenure_election *e[N];
    tenure_token last = 0;
    for (size_t i = 0; i < N; i++) {
        c[i] = open_on(*state);
        e[i] = prefer(c[i], "preferred", preferences[i], &k[i]);
        await_standing(c[0], "preferred", i + 1);
    }
    for (size_t i = 0; i < N; i++) {
        int now = order[i];
        await_flag(&k[now].gained);
        assert_true(k[now].token > last);
        for (size_t j = i + 1; j < N; j++)
            assert_int_equal(k[order[j]].gained, 0);
        last = k[now].token;
        tenure_election_stop(e[now]);
        assert_int_equal(k[now].lost, 1);
    }
    for (size_t i = 0; i < N; i++)
        tenure_close(c[i]);
}

static void a_leader_is_not_deposed_and_the_list_shows_who_is_better(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct tenure_error err = {0};
    struct candidate a = {0}, b = {0};
    struct tenure_election_list *list = NULL;
    tenure_election *ea = prefer(ca, "sitting", -2, &a);
    await_flag(&a.gained);
    tenure_election *eb = prefer(cb, "sitting", 9, &b);
    await_standing(ca, "sitting", 2);
    no_error(tenure_election_list(ca, "sitting", NULL, &list, &err), &err);
    assert_int_equal(list->entries[0].token, a.token);
    assert_int_equal(list->entries[0].preference, -2);
    assert_int_equal(list->entries[1].preference, 9);
    tenure_election_list_free(list);
    assert_true(tenure_election_leads(ea));
    tenure_election_stop(ea);
    await_flag(&b.gained);
    tenure_election_stop(eb);
    tenure_close(ca);
    tenure_close(cb);
}

static bool the_stranger_is_first_of_three(void *user)
{
    struct tenure_error err = {0};
    struct tenure_election_list *list = NULL;
    no_error(tenure_election_list(user, "mixed", NULL, &list, &err), &err);
    bool yes = list->n == 3 && strcmp(list->entries[0].key, "/election/mixed/7f") == 0;
    assert_true(!yes || list->entries[0].preference == 0);
    tenure_election_list_free(list);
    return yes;
}

/* By plain keys, as Go's recipe and etcdctl put them: it counts as 0, and lets nobody pass. */
static void a_candidate_of_another_program_counts_as_0(void **state)
{
    tenure_client *c[3];
    struct tenure_error err = {0};
    struct candidate k[3] = {{0}};
    tenure_election *e[3];
    int64_t lease = 0;
    for (size_t i = 0; i < 3; i++)
        c[i] = open_on(*state);
    e[0] = prefer(c[0], "mixed", 0, &k[0]);
    await_flag(&k[0].gained);
    e[1] = prefer(c[1], "mixed", -1, &k[1]);
    await_standing(c[0], "mixed", 2);
    no_error(tenure_lease_grant(c[0], 60, 0, &lease, NULL, &err), &err);
    struct tenure_put_options with_lease = {.size = sizeof with_lease, .lease = lease};
    no_error(tenure_put(c[0], S("/election/mixed/7f"), S("go"), &with_lease, NULL, &err), &err);
    e[2] = prefer(c[2], "mixed", 1, &k[2]);
    await_standing(c[0], "mixed", 4);
    tenure_election_stop(e[0]); /* -1 lets both pass; the other program's is first then, and stays so */
    assert_true(test_await(the_stranger_is_first_of_three, c[0]));
    assert_int_equal(k[1].gained + k[2].gained, 0);
    no_error(tenure_lease_revoke(c[0], lease, &err), &err);
    await_flag(&k[2].gained);
    assert_int_equal(k[1].gained, 0);
    tenure_election_stop(e[2]);
    await_flag(&k[1].gained);
    tenure_election_stop(e[1]);
    for (size_t i = 0; i < 3; i++)
        tenure_close(c[i]);
}

static void a_close_resigns(void **state)
{
    tenure_client *ca = open_on(*state), *cb = open_on(*state);
    struct candidate a = {0}, b = {0};
    start(ca, "close", "a", 60, false, &a);
    await_flag(&a.gained);
    start(cb, "close", "b", 60, false, &b);
    tenure_close(ca);
    assert_int_equal(a.stopped, 1);
    assert_int_equal(a.why, TENURE_LOSS_RESIGNED);
    await_flag(&b.gained);
    tenure_close(cb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_leads_and_the_next_follows_with_a_greater_token),
        cmocka_unit_test(a_candidate_that_lost_campaigns_again),
        cmocka_unit_test(one_that_wants_it_once_ends_after_the_loss),
        cmocka_unit_test(leadership_ends_at_safe_until_when_the_server_is_gone),
        cmocka_unit_test(leadership_outlives_a_restart_of_the_server),
        cmocka_unit_test(a_proposal_can_be_replaced_by_the_leader_only),
        cmocka_unit_test(an_observer_sees_leaders_in_order_and_the_last_one),
        cmocka_unit_test(a_latch_opens_with_the_leadership_and_ends_with_the_election),
        cmocka_unit_test(the_list_shows_who_leads_and_who_waits),
        cmocka_unit_test(the_best_of_those_who_wait_leads_next),
        cmocka_unit_test(a_leader_is_not_deposed_and_the_list_shows_who_is_better),
        cmocka_unit_test(a_candidate_of_another_program_counts_as_0),
        cmocka_unit_test(a_close_resigns),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
