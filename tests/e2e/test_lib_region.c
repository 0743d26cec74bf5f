/* Regions by the library: records, homes, handles of them, and tokens with an epoch (M2, M3). */
#include "lib.h"

#include <tenure/region.h>

/* A handle of the cluster at hand, which is the region eu, and the home of all locks and elections. */
static tenure_client *eu(void **state)
{
    struct tenure_error err = {0};
    struct tenure_distance far = {.region = "us", .ms = 80};
    tenure_client *c = open_on(*state);
    struct tenure_region r = {.name = "eu", .endpoints = tenure_endpoint(c, 0), .distances = &far, .n_distances = 1};
    struct tenure_region us = {.name = "us", .endpoints = "http://127.0.0.1:1"};
    no_error(tenure_region_init(c, "eu", &err), &err);
    no_error(tenure_region_put(c, &r, &err), &err);
    no_error(tenure_region_put(c, &us, &err), &err);
    no_error(tenure_home_put(c, "/locks/", "eu", 3, &err), &err);
    no_error(tenure_home_put(c, "/election/", "eu", 2, &err), &err);
    return c;
}

static void records_are_read_as_they_were_written(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = eu(state);
    struct tenure_region_list *regions = tenure_region_list(c, &err);
    assert_non_null(regions);
    assert_string_equal(regions->own, "eu");
    assert_int_equal(regions->n, 2);
    assert_true(regions->regions[0].own && !regions->regions[1].own);
    assert_string_equal(regions->regions[0].endpoints, tenure_endpoint(c, 0));
    assert_int_equal(regions->regions[0].n_distances, 1);
    assert_int_equal(regions->regions[0].distances[0].ms, 80);
    tenure_region_list_free(regions);
    assert_int_equal(tenure_region_init(c, "us", &err), TENURE_EEXISTS);
    assert_int_equal(tenure_region_remove(c, "eu", &err), TENURE_EBUSY);
    assert_int_equal(tenure_region_remove(c, "ap", &err), TENURE_ENOTFOUND);
    tenure_close(c);
}

static void a_home_only_moves_to_a_greater_epoch(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = eu(state);
    no_error(tenure_home_put(c, "/x/", "eu", 4, &err), &err);
    no_error(tenure_home_put(c, "/x/", "eu", 4, &err), &err);
    assert_int_equal(tenure_home_put(c, "/x/", "us", 4, &err), TENURE_ECONFLICT);
    assert_int_equal(tenure_home_put(c, "/x/", "us", 3, &err), TENURE_ECONFLICT);
    no_error(tenure_home_put(c, "/x/y/", "us", 1, &err), &err);
    assert_int_equal(tenure_home_put(c, "/x", "us", 9, &err), TENURE_EINVALID);
    assert_int_equal(tenure_home_put(c, "/x/", "us", TENURE_EPOCH_MAX + 1, &err), TENURE_EINVALID);
    struct tenure_home_list *homes = tenure_home_list(c, &err);
    assert_non_null(homes);
    assert_string_equal(tenure_home_of(homes, "/x/a")->region, "eu");
    assert_string_equal(tenure_home_of(homes, "/x/y/a")->region, "us");
    assert_null(tenure_home_of(homes, "/none"));
    tenure_home_list_free(homes);
    tenure_close(c);
}

static int put_under(tenure_client *c, const char *key, tenure_token token)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_token(t, key, token);
    tenure_then_put(t, S("/data"), S("1"), 0);
    no_error(tenure_txn_commit(t, 0, &r, &err), &err);
    int outcome = (int)r->outcome;
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return outcome;
}

static void a_lock_at_home_has_the_epoch_in_its_token(void **state)
{
    struct tenure_error err = {0};
    tenure_client *c = eu(state), *home = tenure_home_open(c, "/locks/job", NULL, &err);
    assert_non_null(home);
    tenure_lock *l = tenure_lock_acquire(home, "job", NULL, &err);
    assert_non_null(l);
    tenure_token token = tenure_lock_token(l);
    assert_int_equal(tenure_token_epoch(token), 3);
    assert_int_equal(put_under(home, tenure_lock_key(l), token), TENURE_TXN_SUCCEEDED);
    assert_int_equal(put_under(home, tenure_lock_key(l), token - 1), TENURE_TXN_FAILED);
    assert_int_equal(put_under(c, tenure_lock_key(l), token), TENURE_TXN_FAILED); /* it compares whole tokens */
    assert_int_equal(put_under(c, tenure_lock_key(l), tenure_token_revision(token)), TENURE_TXN_SUCCEEDED);
    tenure_unlock(l, NULL);
    tenure_close(home);
    tenure_close(c);
}

static void so_has_a_leadership_and_its_proposal_can_be_replaced(void **state)
{
    struct tenure_error err = {0};
    struct tenure_election_options o = {.size = sizeof o, .proposal = S("first")};
    tenure_client *c = eu(state), *home = tenure_region_open(c, "eu", NULL, &err);
    assert_non_null(home);
    tenure_election *e = tenure_election_start(home, "boss", &o, &err);
    assert_non_null(e);
    no_error(tenure_election_await(e, 20000, &err), &err);
    assert_int_equal(tenure_token_epoch(tenure_election_token(e)), 2);
    no_error(tenure_election_proclaim(e, S("second"), &err), &err);
    no_error(tenure_election_proclaim(e, S("third"), &err), &err);
    char key[256];
    tenure_election_key(e, key, sizeof key);
    char *value = get(home, key);
    assert_string_equal(value, "third");
    free(value);
    tenure_election_stop(e);
    tenure_close(home);
    tenure_close(c);
}

static void what_cannot_be_reached_is_named(void **state)
{
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .call_timeout_ms = 300};
    tenure_client *c = eu(state);
    assert_null(tenure_region_open(c, "us", &o, &err));
    assert_int_equal(err.code, TENURE_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "region 'us' cannot be reached at http://127.0.0.1:1"));
    assert_null(tenure_region_open(c, "ap", &o, &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    assert_null(tenure_home_open(c, "/none/x", &o, &err));
    assert_int_equal(err.code, TENURE_ENOTFOUND);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_are_read_as_they_were_written),
        cmocka_unit_test(a_home_only_moves_to_a_greater_epoch),
        cmocka_unit_test(a_lock_at_home_has_the_epoch_in_its_token),
        cmocka_unit_test(so_has_a_leadership_and_its_proposal_can_be_replaced),
        cmocka_unit_test(what_cannot_be_reached_is_named),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
