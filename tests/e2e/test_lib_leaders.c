/* Leader caches on a real server: who leads, of one election and of all of them, on one watch. */
#include "lib.h"

#include <poll.h>

#define NEED(...)                                                                                                      \
    (&(struct tenure_cache_need){.size = sizeof(struct tenure_cache_need), .timeout_ms = 20000, __VA_ARGS__})

static tenure_leaders *follow(tenure_client *c, const char *name, struct tenure_leaders_options o)
{
    struct tenure_error err = {0};
    o.size = sizeof o;
    tenure_leaders *l = tenure_leaders_open(c, name, &o, &err);
    if (!l)
        fail_msg("%s", err.text);
    return l;
}

static struct tenure_leader *leader(tenure_leaders *l, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_leader *is = NULL;
    no_error(tenure_leaders_get(l, name, NEED(.linearizable = true), &is, &err), &err);
    return is;
}

/* And frees it; answers its token. value NULL: nobody leads. */
static int64_t leads(struct tenure_leader *is, const char *name, const char *value)
{
    int64_t token = is->token;
    assert_string_equal(is->name, name);
    assert_int_equal(is->exists, value != NULL);
    assert_string_equal(is->value.data, value ? value : "");
    assert_true(is->stale_ms > 0);
    assert_true(is->revision >= is->mod_revision);
    assert_int_equal(is->exists, token > 0);
    tenure_leader_free(is);
    return token;
}

/* As Go's and our candidates write it. */
static void stand(tenure_client *c, const char *election, const char *id, const char *value)
{
    char key[200];
    snprintf(key, sizeof key, "/election/%s/%s", election, id);
    put(c, key, value);
}

static void leave(tenure_client *c, const char *election, const char *id)
{
    char key[200];
    struct tenure_error err = {0};
    snprintf(key, sizeof key, "/election/%s/%s", election, id);
    no_error(tenure_delete(c, S(key), NULL, NULL, &err), &err);
}

struct told {
    char text[1024];
    atomic_int calls, ended;
};

static void on_leader(tenure_leaders *l, const struct tenure_leader *now, void *user)
{
    struct told *t = user;
    struct tenure_leader *again = NULL;
    assert_int_equal(tenure_leaders_cached(l, now->name, NULL, &again, NULL), 0);
    assert_int_equal(again->token, now->token);
    assert_int_equal(again->mod_revision, now->mod_revision);
    tenure_leader_free(again);
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof t->text - n, "%s:%s;", now->name, now->exists ? (const char *)now->value.data : "-");
    atomic_fetch_add(&t->calls, 1);
}

static void on_end(tenure_leaders *l, int code, const struct tenure_error *err, void *user)
{
    (void)l, (void)code, (void)err;
    atomic_store(&((struct told *)user)->ended, 1);
}

static void the_first_of_the_candidates_leads(void **state)
{
    tenure_client *c = open_on(*state), *other = open_on(*state);
    struct told t = {.calls = 0};
    tenure_leaders *l =
        follow(c, "one", (struct tenure_leaders_options){.on_leader = on_leader, .on_end = on_end, .user = &t});
    leads(leader(l, NULL), "one", NULL);
    stand(other, "one", "9f", "A");
    stand(other, "one", "1a", "B");
    stand(other, "one/below", "00", "no candidate");
    stand(other, "ones", "00", "another's");
    int64_t first = leads(leader(l, "one"), "one", "A");
    stand(other, "one", "9f", "A again"); /* a proclamation */
    assert_int_equal(leads(leader(l, NULL), "one", "A again"), first);
    stand(other, "one", "1a", "B again"); /* does not lead */
    leave(other, "one", "9f");
    assert_true(leads(leader(l, NULL), "one", "B again") > first);
    leave(other, "one", "1a");
    leads(leader(l, NULL), "one", NULL);
    tenure_leaders_close(l);
    tenure_close(c);
    tenure_close(other);
    assert_string_equal(t.text, "one:-;one:A;one:A again;one:B again;one:-;");
    assert_int_equal(t.ended, 0);
}

static void real_candidates_are_seen_with_their_tokens(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    tenure_leaders *l = follow(c, "real", (struct tenure_leaders_options){.check_ms = 0});
    struct tenure_election_options o = {.size = sizeof o, .proposal = S("me"), .purpose = "a test"};
    tenure_election *e = tenure_election_start(c, "real", &o, &err);
    no_error(tenure_election_await(e, 20000, &err), &err);
    struct tenure_leader *is = leader(l, NULL);
    assert_int_equal(is->lease, tenure_election_lease(e));
    char key[200];
    tenure_election_key(e, key, sizeof key);
    assert_string_equal(is->key.data, key);
    assert_int_equal(leads(is, "real", "me"), tenure_election_token(e));
    no_error(tenure_election_proclaim(e, S("still me"), &err), &err);
    leads(leader(l, NULL), "real", "still me");
    tenure_election_stop(e);
    leads(leader(l, NULL), "real", NULL);
    tenure_leaders_close(l);
    tenure_close(c);
}

/* "name:value;", and frees it. */
static void lists(const tenure_leaders *l, const char *wanted)
{
    char text[512] = "";
    struct tenure_error err = {0};
    struct tenure_leader_list *all = NULL;
    no_error(tenure_leaders_cached_list(l, NULL, &all, &err), &err);
    for (size_t i = 0; i < all->n; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s:%s;", all->leaders[i].name,
                 (const char *)all->leaders[i].value.data);
    assert_string_equal(text, wanted);
    tenure_leader_list_free(all);
}

static void many_elections_are_followed_at_once(void **state)
{
    struct server *s = server_start();
    tenure_client *c = open_on(s), *other = open_on(s);
    struct tenure_error err = {0};
    struct told t = {.calls = 0};
    struct tenure_leader *none = NULL;
    (void)state;
    stand(other, "b", "1", "B");
    stand(other, "a", "2", "A");
    stand(other, "a", "1", "A2");
    tenure_leaders *l =
        follow(c, NULL, (struct tenure_leaders_options){.on_leader = on_leader, .on_end = on_end, .user = &t});
    leads(leader(l, "a"), "a", "A");
    leads(leader(l, "b"), "b", "B");
    leads(leader(l, "x/y"), "x/y", NULL);
    stand(other, "x/y", "1", "deep");
    put(other, "/election/z", "no candidate");
    leave(other, "a", "2");
    leads(leader(l, "x/y"), "x/y", "deep");
    lists(l, "a:A2;b:B;x/y:deep;");
    assert_int_equal(tenure_leaders_get(l, NULL, NULL, &none, &err), TENURE_EINVALID);
    assert_int_equal(tenure_leaders_get(l, "a/", NULL, &none, &err), TENURE_EINVALID);
    server_kill(s);
    struct tenure_leader *old = NULL;
    no_error(tenure_leaders_cached(l, "a", NULL, &old, &err), &err);
    leads(old, "a", "A2");
    server_restart(s);
    tenure_client *third = open_on(s);
    leave(third, "b", "1");
    leads(leader(l, "b"), "b", NULL);
    lists(l, "a:A2;x/y:deep;");
    tenure_close(c); /* closes what is on it */
    assert_int_equal(t.ended, 1);
    tenure_close(other);
    tenure_close(third);
    server_free(s);
    assert_string_equal(t.text, "a:A;b:B;x/y:deep;a:A2;b:-;");
}

struct ending {
    atomic_int done;
    int code;
    struct tenure_leader *leader;
};

static void on_answer(void *user, int code, struct tenure_leader *is, const struct tenure_error *err)
{
    struct ending *e = user;
    (void)err;
    e->code = code;
    e->leader = is;
    atomic_store(&e->done, 1);
}

static void it_works_with_a_prefix_in_a_namespace_on_a_foreign_loop(void **state)
{
    struct tenure_error err = {0};
    struct ending e = {.code = 1};
    struct tenure_leader *none = NULL;
    tenure_client *other = open_on(*state);
    put(other, "space/own/n/1", "first");
    tenure_client *c = tenure_open_poll(server_url(*state), NULL, &err);
    tenure_client *ns = tenure_namespace(c, S("space/"), &err);
    tenure_leaders *l = follow(ns, "n", (struct tenure_leaders_options){.prefix = "own/"});
    assert_int_equal(tenure_leaders_cached(l, NULL, NULL, &none, &err), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_leaders_cached(l, "m", NULL, &none, &err), TENURE_EINVALID);
    assert_int_equal(tenure_leaders_get(l, NULL, NULL, &none, &err), TENURE_EINVALID); /* it would block */
    no_error(tenure_leaders_get_start(l, NULL, NEED(.max_stale_ms = 1000), on_answer, &e, &err), &err);
    while (!e.done) {
        struct pollfd fd = {.fd = tenure_fd(c), .events = POLLIN};
        poll(&fd, 1, (int)tenure_timeout_ms(c));
        tenure_turn(c);
    }
    assert_int_equal(e.code, 0);
    assert_string_equal(e.leader->key.data, "own/n/1");
    leads(e.leader, "n", "first");
    assert_true(tenure_leaders_fd(l) >= 0);
    tenure_leaders_close(l);
    tenure_close(c);
    tenure_close(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_of_the_candidates_leads),
        cmocka_unit_test(real_candidates_are_seen_with_their_tokens),
        cmocka_unit_test(many_elections_are_followed_at_once),
        cmocka_unit_test(it_works_with_a_prefix_in_a_namespace_on_a_foreign_loop),
    };
    return cmocka_run_group_tests_name("leaders", tests, setup_server, teardown_server);
}
