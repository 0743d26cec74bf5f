/* Members, upkeep, leases and users as a program sees them: each call in both forms, on a real server. What etcd 3.4 has not is
 * in a table; so is what a cluster of one refuses where etcd would go on. */
#include "lib.h"

#include <unistd.h>

/* Calls that came after etcd 3.4. */
static const char *const since_3_5[] = {"AuthStatus", "Downgrade"};

static int expected(const struct server *s, const char *call)
{
    for (size_t i = 0; server_is_etcd(s) && i < sizeof since_3_5 / sizeof *since_3_5; i++) {
        if (strcmp(since_3_5[i], call) == 0)
            return TENURE_EUNIMPLEMENTED;
    }
    return 0;
}

/* What a completion was told. */
struct told {
    atomic_int done;
    int code;
    char text[256];
    int64_t a, b;
};

static void note(struct told *t, int code, const struct tenure_error *err)
{
    t->code = code;
    if (err)
        snprintf(t->text, sizeof t->text, "%s", err->text);
    atomic_store(&t->done, 1);
}

static void on_done(void *user, int code, const struct tenure_error *err)
{
    note(user, code, err);
}

/* Waits for a completion that must say success. */
static void await_success(struct told *t, int rc, const struct tenure_error *err)
{
    no_error(rc, err);
    await_flag(&t->done);
    if (t->code)
        fail_msg("%d: %s", t->code, t->text);
    atomic_store(&t->done, 0);
}

/* ---- members ---- */

static void on_members(void *user, int code, struct tenure_member_list *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? (int64_t)r->n : -1;
    t->b = r && r->n ? (int64_t)r->members[0].id : 0;
    tenure_member_list_free(r);
    note(t, code, err);
}

/* etcd forgets a change of the members that comes before it has done with the one before (raft drops it, nobody is told, and it
 * times out). When a put is answered it has. */
static void change_members(tenure_client *c)
{
    put(c, "before a change", "x");
}

static void members_are_listed_in_both_forms(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_member_list *r = NULL;
    struct told t = {0};
    no_error(tenure_member_list(c, true, 0, &r, &err), &err);
    assert_int_equal(r->n, server_members(*state));
    assert_int_equal(r->added, 0);
    await_success(&t, tenure_member_list_start(c, false, 0, on_members, &t, &err), &err);
    assert_int_equal(t.a, server_members(*state));
    assert_int_equal(t.b, r->members[0].id);
    tenure_member_list_free(r);
    tenure_close(c);
}

static void a_member_keeps_its_addresses_when_they_are_set_again(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_member_list *r = NULL, *after = NULL;
    struct told t = {0};
    no_error(tenure_member_list(c, false, 0, &r, &err), &err);
    const struct tenure_member *m = &r->members[0];
    const char *const *urls = m->n_peer_urls ? m->peer_urls : (const char *const[]){"http://127.0.0.1:2380"};
    change_members(c);
    no_error(tenure_member_update(c, m->id, urls, 1, 0, &after, &err), &err);
    assert_int_equal(after->members[0].n_peer_urls, 1);
    assert_string_equal(after->members[0].peer_urls[0], urls[0]);
    tenure_member_list_free(after);
    change_members(c);
    await_success(&t, tenure_member_update_start(c, m->id, urls, 1, 0, on_members, &t, &err), &err);
    assert_int_equal(t.a, server_members(*state));
    tenure_member_list_free(r);
    tenure_close(c);
}

/* etcd takes a learner in and lets it go again; a server that is alone says why not. */
static void learners_come_and_go_where_there_is_a_cluster(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_member_list *r = NULL;
    const char *url = "http://127.0.0.1:1";
    change_members(c);
    int rc = tenure_member_add(c, &url, 1, true, 0, &r, &err);
    if (!server_is_etcd(*state)) {
        assert_int_equal(rc, TENURE_ELIMIT);
        assert_int_equal(err.applied, TENURE_APPLIED_NO);
        tenure_close(c);
        return;
    }
    no_error(rc, &err);
    assert_int_equal(r->n, server_members(*state) + 1);
    assert_true(r->added != 0);
    uint64_t id = r->added;
    tenure_member_list_free(r);
    change_members(c); /* etcd 3.4 promotes whom raft does not know yet */
    assert_int_equal(tenure_member_promote(c, id, 0, NULL, &err), TENURE_ECONFLICT);
    change_members(c);
    no_error(tenure_member_remove(c, id, 0, &r, &err), &err);
    assert_int_equal(r->n, server_members(*state));
    tenure_member_list_free(r);
    tenure_close(c);
}

static void wrong_members_are_named_as_such(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    const char *none = NULL;
    change_members(c);
    assert_int_equal(tenure_member_remove(c, 12345, 0, NULL, &err), TENURE_ENOTFOUND);
    change_members(c);
    assert_int_equal(tenure_member_promote(c, 12345, 0, NULL, &err), TENURE_ENOTFOUND);
    assert_int_equal(tenure_member_add(c, NULL, 0, false, 0, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_member_add(c, &none, 1, false, 0, NULL, &err), TENURE_EINVALID);
    change_members(c);
    no_error(tenure_member_remove_start(c, 12345, 0, on_members, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, TENURE_ENOTFOUND);
    assert_int_equal(t.a, -1);
    tenure_close(c);
}

/* ---- upkeep ---- */

static void on_status(void *user, int code, struct tenure_status *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? r->revision : -1;
    tenure_status_free(r);
    note(t, code, err);
}

static void on_health(void *user, int code, bool serving, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = serving;
    note(t, code, err);
}

static void a_server_says_how_it_is(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_status *s = NULL;
    bool serving = false;
    no_error(tenure_status(c, 0, 0, &s, &err), &err);
    assert_true(s->raft_applied_index > 0);
    assert_non_null(s->storage_version);
    await_success(&t, tenure_status_start(c, 0, 0, on_status, &t, &err), &err);
    assert_true(t.a >= s->revision); /* a member may be catching up */
    tenure_status_free(s);
    no_error(tenure_health(c, 0, 0, &serving, &err), &err);
    assert_true(serving);
    await_success(&t, tenure_health_start(c, 0, 0, on_health, &t, &err), &err);
    assert_int_equal(t.a, true);
    assert_int_equal(tenure_health(c, server_members(*state), 0, &serving, &err), TENURE_EINVALID);
    tenure_close(c);
}

static void on_alarms(void *user, int code, struct tenure_alarm_list *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? (int64_t)r->n : -1;
    tenure_alarm_list_free(r);
    note(t, code, err);
}

static void alarms_are_listed_and_disarmed(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_alarm_list *r = NULL;
    struct tenure_alarm which = {.member_id = 1, .type = TENURE_ALARM_NOSPACE};
    no_error(tenure_alarm_list(c, 0, &r, &err), &err);
    assert_int_equal(r->n, 0);
    tenure_alarm_list_free(r);
    no_error(tenure_alarm_disarm(c, &which, 0, &r, &err), &err); /* it was not raised */
    assert_int_equal(r->n, 0);
    tenure_alarm_list_free(r);
    await_success(&t, tenure_alarm_list_start(c, 0, on_alarms, &t, &err), &err);
    assert_int_equal(t.a, 0);
    await_success(&t, tenure_alarm_disarm_start(c, &which, 0, on_alarms, &t, &err), &err);
    which.type = TENURE_ALARM_NONE;
    assert_int_equal(tenure_alarm_disarm(c, &which, 0, NULL, &err), TENURE_EINVALID);
    tenure_close(c);
}

static void on_hash(void *user, int code, uint32_t hash, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = hash;
    note(t, code, err);
}

static void on_hash_kv(void *user, int code, const struct tenure_hash_kv *hash, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = hash ? (int64_t)hash->hash : -1;
    t->b = hash ? hash->revision : -1;
    note(t, code, err);
}

struct behind {
    tenure_client *c;
    int64_t revision;
};

static int64_t revision_of(tenure_client *c)
{
    struct tenure_get_result *r = NULL;
    struct tenure_error err = {0};
    no_error(tenure_get(c, S("x"), NULL, &r, &err), &err);
    int64_t revision = r->revision;
    tenure_get_free(r);
    return revision;
}

/* The first endpoint's member. */
static bool has_caught_up(void *user)
{
    struct behind *b = user;
    struct tenure_status *s = NULL;
    struct tenure_error err = {0};
    no_error(tenure_status(b->c, 0, 0, &s, &err), &err);
    bool yes = s->revision >= b->revision;
    tenure_status_free(s);
    return yes;
}

static void hashes_are_equal_in_both_forms(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_hash_kv first, again;
    uint32_t whole = 0;
    put(c, "admin/hash", "1");
    struct behind b = {c, revision_of(c)};
    assert_true(test_await(has_caught_up, &b));
    no_error(tenure_hash_kv(c, 0, 0, 0, &first, &err), &err);
    no_error(tenure_hash_kv(c, 0, first.revision, 0, &again, &err), &err);
    assert_int_equal(first.hash, again.hash);
    await_success(&t, tenure_hash_kv_start(c, 0, first.revision, 0, on_hash_kv, &t, &err), &err);
    assert_int_equal(t.a, first.hash);
    assert_int_equal(t.b, first.revision);
    assert_int_equal(tenure_hash_kv(c, 0, first.revision + 1000, 0, &again, &err), TENURE_EFUTURE);
    no_error(tenure_hash(c, 0, 0, &whole, &err), &err);
    await_success(&t, tenure_hash_start(c, 0, 0, on_hash, &t, &err), &err);
    tenure_close(c);
}

static void space_is_given_back(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    no_error(tenure_defragment(c, 0, 20000, &err), &err);
    await_success(&t, tenure_defragment_start(c, 0, 20000, on_done, &t, &err), &err);
    assert_int_equal(tenure_defragment(c, 9, 0, &err), TENURE_EINVALID);
    tenure_close(c);
}

/* The index of the leader's endpoint, and the id of a member that does not lead (0: there is none). */
static size_t find_leader(tenure_client *c, uint64_t *ret_other)
{
    size_t leader = SIZE_MAX;
    *ret_other = 0;
    for (size_t i = 0; i < tenure_endpoints(c); i++) {
        struct tenure_error err = {0};
        struct tenure_status *s = NULL;
        no_error(tenure_status(c, i, 0, &s, &err), &err);
        if (s->leader == s->member_id)
            leader = i;
        else
            *ret_other = s->member_id;
        tenure_status_free(s);
    }
    return leader;
}

static void leadership_moves_to_members_only(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    uint64_t other, old;
    size_t leader = find_leader(c, &other);
    assert_int_equal(tenure_move_leader(c, leader, 12345, 0, &err), TENURE_ECONFLICT);
    no_error(tenure_move_leader_start(c, leader, 12345, 0, on_done, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, TENURE_ECONFLICT);
    if (other) {
        no_error(tenure_move_leader(c, leader, other, 5000, &err), &err);
        put(c, "moved", "x");
        assert_int_not_equal(find_leader(c, &old), leader);
    }
    tenure_close(c);
}

static void on_version(void *user, int code, const char *version, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = version ? version[0] : 0;
    note(t, code, err);
}

static void a_downgrade_is_validated(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    char *version = NULL;
    int want = expected(*state, "Downgrade");
    assert_int_equal(tenure_downgrade(c, TENURE_DOWNGRADE_VALIDATE, "3.6.0", 0, &version, &err), want);
    assert_true(want != 0 || version[0] == '3');
    free(version);
    no_error(tenure_downgrade_start(c, TENURE_DOWNGRADE_VALIDATE, "3.6.0", 0, on_version, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, want);
    assert_int_equal(tenure_downgrade(c, TENURE_DOWNGRADE_VALIDATE, "9.9.0", 0, NULL, &err),
                     want ? want : TENURE_EINVALID);
    tenure_close(c);
}

/* ---- snapshots ---- */

struct taken {
    size_t bytes, pieces, pieces_max;
    uint64_t remaining;
};

static int on_piece(void *user, const void *data, size_t len, uint64_t remaining)
{
    struct taken *t = user;
    (void)data;
    t->bytes += len;
    t->pieces++;
    t->remaining = remaining;
    return t->pieces == t->pieces_max;
}

static int on_piece_of_told(void *user, const void *data, size_t len, uint64_t remaining)
{
    struct told *t = user;
    (void)data, (void)remaining;
    t->a += (int64_t)len;
    return 0;
}

static void a_snapshot_comes_in_pieces_or_into_a_file(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct taken t = {0};
    struct told told = {0};
    put(c, "admin/snapshot", "1");
    no_error(tenure_snapshot(c, 0, 20000, on_piece, &t, &err), &err);
    assert_true(t.bytes > 4096);
    assert_int_equal(t.bytes % 512, 32); /* pages, and the sum behind them */
    assert_int_equal(t.remaining, 0);
    await_success(&told, tenure_snapshot_start(c, 0, 20000, on_piece_of_told, on_done, &told, &err), &err);
    assert_int_equal(told.a % 512, 32);
    FILE *file = tmpfile();
    no_error(tenure_snapshot_fd(c, 0, 20000, fileno(file), &err), &err);
    assert_int_equal(lseek(fileno(file), 0, SEEK_END) % 512, 32);
    fclose(file);
    tenure_close(c);
}

static void who_wants_no_more_of_a_snapshot_ends_it(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct taken t = {.pieces_max = 1};
    int ends[2];
    int rc = tenure_snapshot(c, 0, 20000, on_piece, &t, &err);
    assert_true(rc == TENURE_ECANCELLED || rc == 0); /* all of it came with the first piece */
    assert_int_equal(t.pieces, 1);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_true(tenure_snapshot_fd(c, 0, 20000, -1, &err) < 0);
    assert_int_equal(err.code, TENURE_EIO);
    close(ends[1]);
    assert_int_equal(tenure_snapshot(c, 3, 0, on_piece, &t, &err), TENURE_EINVALID);
    put(c, "admin/snapshot", "2"); /* the handle goes on */
    tenure_close(c);
}

/* ---- leases ---- */

static void on_lease(void *user, int code, int64_t id, int64_t ttl_s, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = id;
    t->b = ttl_s;
    note(t, code, err);
}

static void on_lease_info(void *user, int code, struct tenure_lease_info *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? r->ttl_s : -2;
    t->b = r ? (int64_t)r->n_keys : -1;
    tenure_lease_info_free(r);
    note(t, code, err);
}

static void on_leases(void *user, int code, struct tenure_lease_list *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = 0;
    for (size_t i = 0; r && i < r->n; i++)
        t->a += r->ids[i] == t->b;
    tenure_lease_list_free(r);
    note(t, code, err);
}

static void a_lease_lives_and_ends_by_completions(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    await_success(&t, tenure_lease_grant_start(c, 60, 0, on_lease, &t, &err), &err);
    int64_t id = t.a;
    assert_true(id != 0 && t.b >= 60);
    struct tenure_put_options o = {.size = sizeof o, .lease = id};
    no_error(tenure_put(c, S("admin/lease"), S("x"), &o, NULL, &err), &err);
    await_success(&t, tenure_lease_keepalive_start(c, id, on_lease, &t, &err), &err);
    assert_true(t.a == id && t.b >= 60);
    await_success(&t, tenure_lease_ttl_start(c, id, true, on_lease_info, &t, &err), &err);
    assert_true(t.a > 0);
    assert_int_equal(t.b, 1);
    t.b = id;
    await_success(&t, tenure_lease_list_start(c, on_leases, &t, &err), &err);
    assert_int_equal(t.a, 1);
    await_success(&t, tenure_lease_revoke_start(c, id, on_done, &t, &err), &err);
    no_error(tenure_lease_keepalive_start(c, id, on_lease, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, TENURE_ENOTFOUND);
    assert_int_equal(tenure_lease_grant_start(c, -1, 0, on_lease, &t, &err), TENURE_EINVALID);
    tenure_close(c);
}

/* ---- compaction, users, roles ---- */

static void history_is_dropped_by_completion(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct tenure_put_result *p = NULL;
    struct told t = {0};
    put(c, "admin/compact", "1");
    no_error(tenure_put(c, S("admin/compact"), S("2"), NULL, &p, &err), &err);
    await_success(&t, tenure_compact_start(c, p->revision, true, 0, on_done, &t, &err), &err);
    assert_int_equal(tenure_compact(c, p->revision, false, 0, &err), TENURE_ECOMPACTED);
    tenure_put_free(p);
    tenure_close(c);
}

static void on_names(void *user, int code, struct tenure_names *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? (int64_t)r->n : -1;
    tenure_names_free(r);
    note(t, code, err);
}

static void on_permissions(void *user, int code, struct tenure_permissions *r, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = r ? (int64_t)r->n : -1;
    tenure_permissions_free(r);
    note(t, code, err);
}

static void on_auth_status(void *user, int code, bool enabled, uint64_t revision, const struct tenure_error *err)
{
    struct told *t = user;
    t->a = enabled;
    t->b = (int64_t)revision;
    note(t, code, err);
}

static void users_and_roles_are_made_by_completions(void **state)
{
    tenure_client *c = open_on(*state);
    struct tenure_error err = {0};
    struct told t = {0};
    struct tenure_permission_range range = {.key = S("app/"), .prefix = true};
    await_success(&t, tenure_user_add_start(c, "ada", "secret", on_done, &t, &err), &err);
    await_success(&t, tenure_user_set_password_start(c, "ada", "other", on_done, &t, &err), &err);
    await_success(&t, tenure_role_add_start(c, "app", on_done, &t, &err), &err);
    await_success(&t, tenure_role_grant_start(c, "app", TENURE_READWRITE, &range, on_done, &t, &err), &err);
    await_success(&t, tenure_user_grant_role_start(c, "ada", "app", on_done, &t, &err), &err);
    await_success(&t, tenure_user_get_start(c, "ada", on_names, &t, &err), &err);
    assert_int_equal(t.a, 1);
    await_success(&t, tenure_role_get_start(c, "app", on_permissions, &t, &err), &err);
    assert_int_equal(t.a, 1);
    await_success(&t, tenure_user_list_start(c, on_names, &t, &err), &err);
    assert_int_equal(t.a, 1);
    await_success(&t, tenure_role_list_start(c, on_names, &t, &err), &err);
    assert_int_equal(t.a, 1);
    await_success(&t, tenure_user_revoke_role_start(c, "ada", "app", on_done, &t, &err), &err);
    await_success(&t, tenure_role_revoke_start(c, "app", &range, on_done, &t, &err), &err);
    await_success(&t, tenure_role_delete_start(c, "app", on_done, &t, &err), &err);
    await_success(&t, tenure_user_delete_start(c, "ada", on_done, &t, &err), &err);
    no_error(tenure_auth_enable_start(c, on_done, &t, &err), &err); /* there is no root */
    await_flag(&t.done);
    assert_int_equal(t.code, TENURE_ECONFLICT);
    atomic_store(&t.done, 0);
    no_error(tenure_auth_status_start(c, on_auth_status, &t, &err), &err);
    await_flag(&t.done);
    assert_int_equal(t.code, expected(*state, "AuthStatus"));
    assert_int_equal(t.a, 0);
    assert_int_equal(tenure_user_get_start(c, NULL, on_names, &t, &err), TENURE_EINVALID);
    tenure_close(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_listed_in_both_forms),
        cmocka_unit_test(a_member_keeps_its_addresses_when_they_are_set_again),
        cmocka_unit_test(wrong_members_are_named_as_such),
        cmocka_unit_test(a_server_says_how_it_is),
        cmocka_unit_test(alarms_are_listed_and_disarmed),
        cmocka_unit_test(hashes_are_equal_in_both_forms),
        cmocka_unit_test(space_is_given_back),
        cmocka_unit_test(leadership_moves_to_members_only),
        cmocka_unit_test(a_downgrade_is_validated),
        cmocka_unit_test(a_snapshot_comes_in_pieces_or_into_a_file),
        cmocka_unit_test(who_wants_no_more_of_a_snapshot_ends_it),
        cmocka_unit_test(a_lease_lives_and_ends_by_completions),
        cmocka_unit_test(history_is_dropped_by_completion),
        cmocka_unit_test(users_and_roles_are_made_by_completions),
        cmocka_unit_test(learners_come_and_go_where_there_is_a_cluster),
    };
    return cmocka_run_group_tests(tests, setup_server, teardown_server);
}
