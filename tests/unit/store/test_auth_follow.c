/* Users and roles of a source that is followed: they replace what was there, or nothing is changed. */
#include "world.h"

#include "store/auth.h"
#include "tenure/error.h"

static struct world w;

static int setup(void **state)
{
    const struct store_config config = {.cluster_id = 1, .member_id = 2, .member_name = "copy", .follows = true};
    (void)state;
    world_open(&w, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    world_close(&w);
    return 0;
}

static int follow(bool enabled, uint64_t revision, const char *const *names, size_t n)
{
    static struct store_user users[8];
    static bytes roles[] = {{0}, {0}};
    roles[0] = bytes_str("a");
    roles[1] = bytes_str("b");
    for (size_t i = 0; i < n; i++)
        users[i] = (struct store_user){.name = bytes_str(names[i]), .no_password = true, .roles = roles, .n_roles = 2};
    struct store_followed_auth all = {.enabled = enabled, .revision = revision, .users = users, .n_users = n};
    return store_follow_auth(w.s, &all);
}

static void they_replace_what_was_there(void **state)
{
    (void)state;
    struct store_user u;
    uint64_t changes = store_auth_changes(w.s);
    int64_t memory = store_memory(w.s);
    tn_seq seq = store_seq_planned(w.s);
    assert_int_equal(follow(true, 5, (const char *const[]){"u", "root"}, 2), 0);
    for (int v = 0; v < 2; v++) {
        assert_true(store_auth_enabled(w.s, (enum store_view)v));
        assert_int_equal(store_auth_revision(w.s, (enum store_view)v), 5);
        assert_int_equal(store_users(w.s, (enum store_view)v), 2);
        assert_true(store_user_find(w.s, (enum store_view)v, bytes_str("root"), &u));
        assert_true(store_user_has_role(&u, bytes_str("b")));
    }
    assert_true(store_auth_changes(w.s) > changes);
    changes = store_auth_changes(w.s);
    assert_int_equal(follow(true, 6, (const char *const[]){"v"}, 1), 0);
    assert_false(store_user_find(w.s, STORE_DURABLE, bytes_str("u"), &u));
    assert_true(store_auth_changes(w.s) > changes);
    assert_int_equal(follow(false, 7, NULL, 0), 0);
    assert_false(store_auth_in_use(w.s));
    assert_int_equal(store_memory(w.s), memory);
    assert_int_equal(store_seq_planned(w.s), seq); /* no row is made of it */
}

static void what_is_malformed_changes_nothing(void **state)
{
    (void)state;
    assert_int_equal(follow(true, 5, (const char *const[]){"u"}, 1), 0);
    uint64_t changes = store_auth_changes(w.s);
    assert_int_equal(follow(true, 6, (const char *const[]){"u", "u"}, 2), TENURE_ECORRUPT);
    assert_int_equal(follow(true, 6, (const char *const[]){"v", ""}, 2), TENURE_ECORRUPT);
    bytes unsorted[] = {bytes_str("b"), bytes_str("a")};
    struct store_user u = {.name = bytes_str("x"), .roles = unsorted, .n_roles = 2};
    struct store_followed_auth all = {.enabled = false, .revision = 6, .users = &u, .n_users = 1};
    assert_int_equal(store_follow_auth(w.s, &all), TENURE_ECORRUPT);
    assert_true(store_auth_enabled(w.s, STORE_DURABLE));
    assert_int_equal(store_auth_revision(w.s, STORE_DURABLE), 5);
    assert_int_equal(store_auth_changes(w.s), changes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(they_replace_what_was_there, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_malformed_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
