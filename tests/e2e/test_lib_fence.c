/* Tokens checked by the store: what a holder writes behind its successor is refused (M2, M3, M4). */
#include "lib.h"

/* A lock whose key is taken away, as when its lease ends, and the next holder's. */
struct two_holders {
    tenure_client *old_client, *new_client;
    tenure_lock *old_lock, *new_lock;
    char old_key[128];
    tenure_token old_token;
};

static struct two_holders succession(void **state, const char *name)
{
    struct tenure_error err = {0};
    struct tenure_lock_options o = {.size = sizeof o, .ttl_s = 10};
    struct two_holders h = {.old_client = open_on(*state), .new_client = open_on(*state)};
    h.old_lock = tenure_lock_acquire(h.old_client, name, &o, &err);
    assert_non_null(h.old_lock);
    snprintf(h.old_key, sizeof h.old_key, "%s", tenure_lock_key(h.old_lock));
    h.old_token = tenure_lock_token(h.old_lock);
    no_error(tenure_lease_revoke(h.new_client, tenure_lock_lease(h.old_lock), &err), &err);
    h.new_lock = tenure_lock_acquire(h.new_client, name, &o, &err);
    assert_non_null(h.new_lock);
    assert_true(tenure_lock_token(h.new_lock) > h.old_token);
    return h;
}

static void end(struct two_holders *h)
{
    tenure_unlock(h->old_lock, NULL);
    tenure_unlock(h->new_lock, NULL);
    tenure_close(h->old_client);
    tenure_close(h->new_client);
}

static int put_under(tenure_client *c, const char *key, tenure_token token, const char *value)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_token(t, key, token);
    tenure_then_put(t, S("/data"), S(value), 0);
    int rc = tenure_txn_commit(t, 0, &r, &err);
    int answer = rc < 0 ? rc : (int)r->outcome;
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return answer;
}

static void a_zombie_does_not_write(void **state)
{
    struct two_holders h = succession(state, "zombie");
    assert_int_equal(put_under(h.new_client, tenure_lock_key(h.new_lock), tenure_lock_token(h.new_lock), "new"),
                     TENURE_TXN_SUCCEEDED);
    assert_int_equal(put_under(h.old_client, h.old_key, h.old_token, "zombie"), TENURE_TXN_FAILED);
    assert_int_equal(put_under(h.old_client, tenure_lock_key(h.new_lock), h.old_token, "zombie"), TENURE_TXN_FAILED);
    assert_int_equal(put_under(h.old_client, "/nothing", 0, "zombie"), TENURE_EINVALID);
    char *value = get(h.new_client, "/data");
    assert_string_equal(value, "new");
    free(value);
    put(h.old_client, "/data", "zombie"); /* and without the check it does */
    value = get(h.new_client, "/data");
    assert_string_equal(value, "zombie");
    free(value);
    end(&h);
}

static void a_uuid_is_the_holders(void **state)
{
    struct tenure_error err = {0};
    char uuid[TENURE_UUID_SIZE], again[TENURE_UUID_SIZE], old[TENURE_UUID_SIZE];
    struct two_holders h = succession(state, "u");
    assert_int_equal(tenure_fence_generate(h.old_client, "u", h.old_key, h.old_token, 0, old, &err), TENURE_ENOTHELD);
    assert_non_null(strstr(err.text, h.old_key));
    const char *key = tenure_lock_key(h.new_lock);
    tenure_token token = tenure_lock_token(h.new_lock);
    int64_t lease = tenure_lock_lease(h.new_lock);
    no_error(tenure_fence_generate(h.new_client, "u", key, token, lease, uuid, &err), &err);
    assert_int_equal(strlen(uuid), 36);
    assert_true(uuid[8] == '-' && uuid[14] == '4' && strchr("89ab", uuid[19]));
    char *value = get(h.new_client, "/leader/u/fencing-token");
    assert_string_equal(value, uuid);
    free(value);
    no_error(tenure_fence_validate(h.old_client, "u", uuid, &err), &err);
    assert_int_equal(tenure_fence_validate(h.old_client, "u", "00000000-0000-4000-8000-000000000000", &err),
                     TENURE_EFENCED);
    assert_int_equal(tenure_fence_validate(h.old_client, "none", uuid, &err), TENURE_EFENCED);
    no_error(tenure_fence_generate(h.new_client, "u", key, token, lease, again, &err), &err);
    assert_string_not_equal(uuid, again);
    assert_int_equal(tenure_fence_validate(h.old_client, "u", uuid, &err), TENURE_EFENCED);
    end(&h); /* goes with its lease */
    tenure_client *c = open_on(*state);
    assert_int_equal(tenure_fence_validate(c, "u", again, &err), TENURE_EFENCED);
    tenure_close(c);
}

static int put_by_uuid(tenure_client *c, const char *uuid, const char *value)
{
    struct tenure_error err = {0};
    struct tenure_txn_result *r = NULL;
    tenure_txn *t = tenure_txn_new(c);
    tenure_if_fencing_token(t, "g", uuid);
    tenure_then_put(t, S("/by-uuid"), S(value), 0);
    int rc = tenure_txn_commit(t, 0, &r, &err);
    int answer = rc < 0 ? rc : (int)r->outcome;
    tenure_txn_result_free(r);
    tenure_txn_free(t);
    return answer;
}

static void validated_and_written_in_one(void **state)
{
    struct tenure_error err = {0};
    char first[TENURE_UUID_SIZE], second[TENURE_UUID_SIZE];
    tenure_client *c = open_on(*state);
    tenure_lock *lock = tenure_lock_acquire(c, "g", NULL, &err);
    assert_non_null(lock);
    no_error(tenure_fence_generate(c, "g", tenure_lock_key(lock), tenure_lock_token(lock), 0, first, &err), &err);
    assert_int_equal(put_by_uuid(c, first, "one"), TENURE_TXN_SUCCEEDED);
    no_error(tenure_fence_validate(c, "g", first, &err), &err); /* here is the gap: */
    no_error(tenure_fence_generate(c, "g", tenure_lock_key(lock), tenure_lock_token(lock), 0, second, &err), &err);
    assert_int_equal(put_by_uuid(c, first, "zombie"), TENURE_TXN_FAILED);
    assert_int_equal(put_by_uuid(c, "", "zombie"), TENURE_EINVALID);
    assert_int_equal(put_by_uuid(c, second, "two"), TENURE_TXN_SUCCEEDED);
    char *value = get(c, "/by-uuid");
    assert_string_equal(value, "two");
    free(value);
    tenure_unlock(lock, NULL);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_zombie_does_not_write),
        cmocka_unit_test(a_uuid_is_the_holders),
        cmocka_unit_test(validated_and_written_in_one),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
