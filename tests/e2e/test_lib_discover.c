/* Learning the members' addresses, and what reads older than seen come to: options of a handle, on a real server. */
#include "lib.h"

/* A server under a name that it does not tell. */
static tenure_client *open_by_name(const struct server *s, struct tenure_options *o)
{
    struct tenure_error err = {0};
    char url[64];
    snprintf(url, sizeof url, "http://localhost%s", strrchr(server_url(s), ':'));
    tenure_client *c = tenure_open(url, o, &err);
    if (!c)
        fail_msg("%s", err.text);
    return c;
}

/* A member that has begun a moment ago has not told its addresses yet. */
static bool all_have_told(void *c)
{
    struct tenure_member_list *r = NULL;
    struct tenure_error err = {0};
    size_t n = 0;
    no_error(tenure_member_list(c, true, 0, &r, &err), &err);
    for (size_t i = 0; i < r->n; i++)
        n += r->members[i].n_client_urls > 0;
    bool all = n == r->n;
    tenure_member_list_free(r);
    return all;
}
static int setup_members(void **state)
{
    *state = server_start();
    tenure_client *c = open_on(*state);
    assert_true(test_await(all_have_told, c));
    tenure_close(c);
    return 0;
}

struct wanted {
    tenure_client *c;
    size_t n;
};
static bool knows(void *user)
{
    struct wanted *w = user;
    return tenure_endpoints(w->c) == w->n;
}
/* Beside the one that it was told of, the addresses that the members tell: how many it knows then. */
static size_t await_members(tenure_client *c, const struct server *s)
{
    struct wanted w = {c, 1 + server_members(s)};
    assert_true(test_await(knows, &w));
    return w.n;
}

static void the_members_addresses_are_learnt_with_the_first_call(void **state)
{
    struct tenure_options o = {.size = sizeof o, .discover_ms = 60000};
    struct tenure_error err = {0};
    struct tenure_status *s = NULL;
    tenure_client *c = open_by_name(*state, &o);
    assert_int_equal(tenure_endpoints(c), 1); /* nothing was asked yet */
    put(c, "discover/a", "1");
    size_t n = await_members(c, *state);
    assert_non_null(strstr(server_url(*state), tenure_endpoint(c, 1)));
    assert_null(tenure_endpoint(c, n));
    no_error(tenure_status(c, 1, 0, &s, &err), &err);
    assert_string_equal(s->endpoint, tenure_endpoint(c, 1));
    tenure_status_free(s);
    assert_int_equal(tenure_status(c, n, 0, NULL, &err), TENURE_EINVALID);
    tenure_close(c);
}

static void they_are_asked_for_again_and_known_ones_stay_one(void **state)
{
    struct tenure_options o = {.size = sizeof o, .discover_ms = 5};
    tenure_client *c = open_by_name(*state, &o);
    put(c, "discover/b", "1");
    size_t n = await_members(c, *state);
    for (int i = 0; i < 50; i++)
        put(c, "discover/b", "2");
    assert_int_equal(tenure_endpoints(c), n);
    server_kill(*state);
    server_restart(*state);
    put(c, "discover/b", "3");
    assert_int_equal(tenure_endpoints(c), n);
    tenure_close(c);
}

static void without_the_option_nothing_is_learnt(void **state)
{
    struct tenure_options o = {.size = sizeof o};
    struct tenure_error err = {0};
    tenure_client *c = open_by_name(*state, &o);
    put(c, "discover/c", "1");
    put(c, "discover/c", "2");
    assert_int_equal(tenure_endpoints(c), 1);
    tenure_close(c);
    o.discover_ms = -1;
    assert_null(tenure_open(NULL, &o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void a_handle_that_never_goes_back_reads_on(void **state)
{
    struct tenure_options o = {.size = sizeof o, .never_older = 1};
    struct tenure_error err = {0};
    struct tenure_get_options serializable = {.size = sizeof serializable, .serializable = true};
    struct tenure_get_result *g = NULL;
    int64_t seen = 0;
    tenure_client *c = open_by_name(*state, &o);
    for (int i = 0; i < 20; i++) {
        put(c, "order/a", "x");
        no_error(tenure_get(c, S("order/a"), &serializable, &g, &err), &err);
        assert_true(g->revision > seen);
        seen = g->revision;
        tenure_get_free(g);
    }
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_members_addresses_are_learnt_with_the_first_call),
        cmocka_unit_test(they_are_asked_for_again_and_known_ones_stay_one),
        cmocka_unit_test(without_the_option_nothing_is_learnt),
        cmocka_unit_test(a_handle_that_never_goes_back_reads_on),
    };
    return cmocka_run_group_tests(tests, setup_members, teardown_server);
}
