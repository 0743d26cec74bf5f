/* Each fault of the kit, and that a client behind it behaves as the headers say. */
#include "kit_fixture.h"

#define WATCHED_MS 300 /* a lock held so long watches its key: one held for a moment costs no watch */

static struct told told;

static void lock_acquired(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)l, (void)token, (void)err;
    tell(user, code == 0 ? "acquired" : tenure_error_string(code));
}

static void lock_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    (void)why;
    tell(user, tenure_lock_held(l) ? "lost-but-held" : "lost");
}

static const struct tenure_lock_options *lock_options(void)
{
    static struct tenure_lock_options o;
    o = (struct tenure_lock_options){.size = sizeof o, .ttl_s = 10, .on_lost = lock_lost, .user = &told};
    return &o;
}

static const struct tenure_lock_options *start_options(void)
{
    static struct tenure_lock_options o;
    o = *lock_options();
    o.on_acquired = lock_acquired;
    return &o;
}

static void on_get(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    (void)err;
    tell(user, code == 0 ? "got" : tenure_error_string(code));
    tenure_get_free(r);
}

/* ---- the network ---- */

static void a_cut_connection_is_made_again_and_a_read_does_not_notice(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_stats stats = {.size = sizeof stats};
    assert_int_equal(put(c, "a", "1", NULL), 0);
    assert_int_equal(tenure_get_start(c, tenure_str("a"), NULL, on_get, &told, NULL), 0);
    tenure_testkit_cut(kit, c);
    tenure_testkit_advance(kit, 1000);
    assert_string_equal(told.text, "got");
    assert_int_equal(tenure_stats(c, &stats, NULL), 0);
    assert_int_equal(stats.connections, 2);
    tenure_testkit_free(kit);
}

static void a_partition_ends_a_lock_at_safe_until_and_not_before(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    tenure_lock *l = tenure_lock_acquire(c, "x", lock_options(), NULL);
    assert_non_null(l);
    int64_t left = tenure_lock_remaining_ms(l);
    assert_int_equal(left, 10000 - 250 - 100);
    tenure_testkit_partition(kit, c);
    tenure_testkit_advance(kit, left - 1);
    assert_string_equal(told.text, "");
    assert_true(tenure_lock_held(l));
    tenure_testkit_advance(kit, 1);
    assert_string_equal(told.text, "lost");
    assert_false(tenure_lock_held(l));
    assert_int_equal(keys_below(kit, "/locks/x/"), 1); /* the server waits for the whole TTL */
    tenure_testkit_advance(kit, 1000);
    assert_int_equal(keys_below(kit, "/locks/x/"), 0);
    tenure_testkit_free(kit);
}

static void who_is_connected_keeps_a_lock_for_as_long_as_one_likes(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    tenure_lock *l = tenure_lock_acquire(c, "x", lock_options(), NULL);
    tenure_testkit_advance(kit, 3600000);
    assert_true(tenure_lock_held(l));
    assert_string_equal(told.text, "");
    tenure_testkit_free(kit);
}

static void a_reply_that_is_lost_says_maybe_and_an_exact_transaction_finds_out(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    assert_int_equal(put(c, "a", "1", NULL), 0);
    tenure_testkit_lose_reply(kit, c);
    assert_true(put(c, "a", "2", &err) < 0);
    assert_int_equal(err.applied, TENURE_APPLIED_MAYBE);
    assert_string_equal(value_in(kit, "a"), "2");
    assert_int_equal(put(c, "a", "3", &err), 0); /* once only */

    int64_t n = 0;
    assert_int_equal(tenure_counter_add(c, "n", 1, NULL, &n, &err), 0);
    tenure_testkit_lose_reply(kit, c);
    assert_int_equal(tenure_counter_add(c, "n", 1, NULL, &n, &err), 0);
    assert_int_equal(n, 2);
    tenure_testkit_free(kit);
}

/* ---- processes ---- */

static void a_stopped_holder_is_told_first_of_its_loss_and_its_successor_has_a_greater_token(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    tenure_lock *held = tenure_lock_acquire(a, "x", lock_options(), NULL);
    assert_non_null(held);
    assert_int_equal(tenure_get_start(a, tenure_str("a"), NULL, on_get, &told, NULL), 0);
    tenure_testkit_stop(kit, a);
    tenure_lock *next = tenure_lock_acquire(b, "x", lock_options(), NULL); /* waits for the TTL, on the kit's clock */
    assert_non_null(next);
    assert_int_equal(tenure_testkit_now_ms(kit), 10000);
    assert_true(tenure_lock_token(next) > tenure_lock_token(held));
    assert_false(tenure_lock_held(held)); /* without having had a turn */
    assert_string_equal(told.text, "");
    tenure_testkit_continue(kit, a);
    tenure_testkit_advance(kit, 1000);
    assert_int_equal(strncmp(told.text, "lost ", 5), 0); /* before the answer to the read */
    tenure_testkit_free(kit);
}

static void a_stopped_client_blocks_nobody_and_its_calls_are_refused(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    struct tenure_error err = {0};
    tenure_testkit_stop(kit, a);
    assert_int_equal(put(a, "a", "1", &err), TENURE_EINVALID);
    assert_int_equal(put(b, "a", "1", &err), 0);
    tenure_testkit_continue(kit, a);
    assert_int_equal(put(a, "a", "2", &err), 0);
    tenure_testkit_stop(kit, a);
    tenure_close(a); /* goes on for that */
    tenure_testkit_free(kit);
}

static void who_is_killed_holds_until_the_lease_runs_out(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    assert_non_null(tenure_lock_acquire(a, "x", lock_options(), NULL));
    assert_non_null(tenure_lock_start(b, "x", start_options(), NULL));
    tenure_testkit_kill(kit, a);
    tenure_testkit_advance(kit, 9900);
    assert_string_equal(told.text, "");
    tenure_testkit_advance(kit, 200);
    assert_string_equal(told.text, "acquired");
    int64_t now = tenure_testkit_now_ms(kit);
    tenure_close(a); /* of a process that is dead: at once */
    assert_int_equal(tenure_testkit_now_ms(kit), now);
    tenure_testkit_free(kit);
}

static void who_closes_hands_over_at_once(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    assert_non_null(tenure_lock_acquire(a, "x", lock_options(), NULL));
    assert_non_null(tenure_lock_start(b, "x", start_options(), NULL));
    tenure_close(a);
    tenure_testkit_run(kit);
    assert_true(strstr(told.text, "acquired") != NULL);
    assert_int_equal(tenure_testkit_now_ms(kit), 0);
    tenure_testkit_free(kit);
}

static void on_closed(void *user)
{
    tell(user, "closed");
}

static void a_close_that_is_started_ends_by_its_callback(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit);
    assert_non_null(tenure_lock_acquire(a, "x", NULL, NULL));
    tenure_close_start(a, on_closed, &told);
    assert_string_equal(told.text, "");
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "closed");
    assert_int_equal(keys_below(kit, "/locks/"), 0);
    tenure_testkit_stop(kit, a); /* gone: nothing */
    tenure_testkit_free(kit);
}

/* ---- leases ---- */

static void a_lease_that_is_lost_is_told_at_once_to_who_is_connected(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    tenure_lock *l = tenure_lock_acquire(c, "x", lock_options(), NULL);
    assert_non_null(l);
    tenure_testkit_advance(kit, WATCHED_MS);
    assert_int_equal(tenure_testkit_lose_lease(kit, tenure_lock_lease(l)), 0);
    assert_int_equal(tenure_testkit_lose_lease(kit, tenure_lock_lease(l)), TENURE_ENOTFOUND);
    assert_true(tenure_lock_held(l)); /* nobody has told it */
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "lost");
    assert_false(tenure_lock_held(l));
    tenure_testkit_free(kit);
}

static void the_sessions_of_one_client_are_lost_and_no_other(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    tenure_lock *of_a = tenure_lock_acquire(a, "x", NULL, NULL),
                *own = tenure_lock_acquire(a, "z", lock_options(), NULL);
    tenure_lock *of_b = tenure_lock_acquire(b, "y", NULL, NULL);
    tenure_testkit_advance(kit, WATCHED_MS);
    assert_int_equal(tenure_testkit_lose_sessions(kit, a), 0);
    tenure_testkit_run(kit);
    assert_false(tenure_lock_held(of_a));
    assert_false(tenure_lock_held(own));
    assert_true(tenure_lock_held(of_b));
    assert_int_equal(tenure_testkit_lose_sessions(kit, a), TENURE_ENOTFOUND);
    tenure_testkit_free(kit);
}

static void somebody_who_deletes_a_key_takes_the_lock(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    tenure_lock *l = tenure_lock_acquire(c, "x", lock_options(), NULL);
    tenure_testkit_advance(kit, WATCHED_MS);
    assert_int_equal(tenure_testkit_delete(kit, tenure_str(tenure_lock_key(l)), NULL), 0);
    assert_int_equal(tenure_testkit_delete(kit, tenure_str("no such key"), NULL), TENURE_ENOTFOUND);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "lost");
    tenure_testkit_free(kit);
}

/* ---- the server ---- */

static void what_was_durable_outlives_the_server_and_a_lock_is_held_through_it(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    assert_int_equal(put(c, "a", "1", NULL), 0);
    tenure_lock *l = tenure_lock_acquire(c, "x", lock_options(), NULL);
    assert_int_equal(tenure_testkit_restart(kit, &err), 0);
    assert_string_equal(value_in(kit, "a"), "1");
    assert_int_equal(put(c, "a", "2", NULL), 0);
    tenure_testkit_advance(kit, 60000);
    assert_true(tenure_lock_held(l));
    assert_int_equal(tenure_unlock(l, &err), 0);
    tenure_testkit_free(kit);
}

static void while_the_server_is_down_nothing_answers(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    tenure_testkit_server_down(kit);
    tenure_testkit_server_down(kit);
    assert_int_equal(tenure_testkit_get(kit, tenure_str("a"), NULL, &r, &err), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_testkit_put(kit, tenure_str("a"), tenure_str("1"), 0, &err), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_testkit_delete(kit, tenure_str("a"), &err), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_testkit_compact(kit, 0, &err), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_testkit_lose_lease(kit, 1), TENURE_EUNAVAILABLE);
    assert_int_equal(tenure_testkit_revision(kit), 0);
    assert_true(put(c, "a", "1", &err) < 0);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    assert_int_equal(tenure_testkit_server_up(kit, &err), 0);
    assert_int_equal(tenure_testkit_server_up(kit, &err), 0);
    assert_int_equal(put(c, "a", "1", &err), 0);
    tenure_testkit_free(kit);
}

static void what_a_frozen_disk_has_not_made_durable_is_not_answered_and_lost_with_the_server(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = 1000};
    assert_int_equal(put(c, "a", "1", NULL), 0);
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_FROZEN);
    assert_int_equal(tenure_put(c, tenure_str("a"), tenure_str("2"), &o, NULL, &err), TENURE_ETIMEOUT);
    assert_string_equal(value_in(kit, "a"), "1");
    assert_int_equal(tenure_testkit_restart(kit, NULL), 0);
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    tenure_testkit_advance(kit, 1000);
    assert_string_equal(value_in(kit, "a"), "1");

    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_FROZEN);
    assert_int_equal(tenure_put(c, tenure_str("a"), tenure_str("3"), &o, NULL, &err), TENURE_ETIMEOUT);
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    tenure_testkit_run(kit);
    assert_string_equal(value_in(kit, "a"), "3");
    tenure_testkit_free(kit);
}

static void a_full_disk_refuses_writes_and_has_room_again(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_FULL);
    assert_int_equal(put(c, "a", "1", &err), TENURE_ENOSPACE);
    assert_int_equal(err.applied, TENURE_APPLIED_NO);
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    tenure_testkit_advance(kit, 2000);
    assert_int_equal(put(c, "a", "1", &err), 0);
    tenure_testkit_free(kit);
}

/* ---- the store ---- */

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    (void)revision;
    for (size_t i = 0; i < n; i++)
        tell(user, events[i].type == TENURE_EVENT_PUT ? "put" : "delete");
}

static void what_somebody_writes_is_told_to_watchers(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_watch_options o = {.size = sizeof o, .on_events = on_events, .user = &told};
    tenure_watch *w = tenure_watch_start(c, tenure_str("a"), &o, NULL);
    assert_non_null(w);
    tenure_testkit_run(kit);
    int64_t revision = tenure_testkit_revision(kit);
    assert_int_equal(tenure_testkit_put(kit, tenure_str("a"), tenure_str("1"), 0, NULL), 0);
    assert_int_equal(tenure_testkit_delete(kit, tenure_str("a"), NULL), 0);
    assert_int_equal(tenure_testkit_put(kit, tenure_str("a"), tenure_str("1"), 4711, NULL), TENURE_ENOTFOUND);
    assert_string_equal(told.text, "");
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "put delete");
    assert_int_equal(tenure_testkit_revision(kit), revision + 2);
    tenure_testkit_free(kit);
}

static void what_is_compacted_cannot_be_read_any_more(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    for (int i = 0; i < 5; i++)
        assert_int_equal(put(c, "a", "1", NULL), 0);
    assert_int_equal(tenure_testkit_compact(kit, 0, &err), 0);
    tenure_testkit_run(kit);
    struct tenure_get_options o = {.size = sizeof o, .revision = 2};
    assert_int_equal(tenure_get(c, tenure_str("a"), &o, &r, &err), TENURE_ECOMPACTED);
    assert_int_equal(tenure_testkit_get(kit, tenure_str("a"), &o, &r, &err), TENURE_ECOMPACTED);
    assert_int_equal(tenure_testkit_compact(kit, 2, &err), TENURE_ECOMPACTED);
    assert_int_equal(tenure_testkit_compact(kit, 1000, &err), TENURE_EFUTURE);
    assert_int_equal(tenure_testkit_restart(kit, &err), 0);
    assert_int_equal(tenure_get(c, tenure_str("a"), NULL, &r, &err), 0);
    tenure_get_free(r);
    tenure_testkit_free(kit);
}

static void users_and_passwords_are_those_of_a_server(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *root = client_of(kit);
    struct tenure_error err = {0};
    assert_int_equal(tenure_user_add(root, "root", "secret", &err), 0);
    assert_int_equal(tenure_user_grant_role(root, "root", "root", &err), 0);
    assert_int_equal(tenure_auth_enable(root, &err), 0);
    struct tenure_options o = {.size = sizeof o, .user = "root", .password = "secret"};
    tenure_client *good = tenure_testkit_client(kit, &o, &err);
    o.password = "wrong";
    tenure_client *bad = tenure_testkit_client(kit, &o, &err);
    assert_int_equal(put(good, "a", "1", &err), 0);
    assert_int_equal(put(bad, "a", "2", &err), TENURE_EDENIED);
    assert_int_equal(put(root, "a", "2", &err), TENURE_EDENIED);
    tenure_testkit_free(kit);
}

/* ---- what else a server is asked ---- */

static int on_piece(void *user, const void *data, size_t len, uint64_t remaining)
{
    (void)user, (void)data, (void)len, (void)remaining;
    return 0;
}

static void the_server_answers_all_that_needs_no_files(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    struct tenure_options o = {.size = sizeof o, .discover_ms = 1000};
    struct tenure_error err = {0};
    tenure_client *c = tenure_testkit_client(kit, &o, &err);
    struct tenure_status *status = NULL;
    struct tenure_member_list *members = NULL;
    struct tenure_alarm_list *alarms = NULL;
    struct tenure_hash_kv hash;
    struct tenure_lease_list *leases = NULL;
    bool serving = false;
    uint32_t h;
    assert_int_equal(put(c, "a", "1", &err), 0);
    tenure_testkit_advance(kit, 5000);
    assert_int_equal(tenure_endpoints(c), 1);
    assert_int_equal(tenure_status(c, 0, 0, &status, &err), 0);
    assert_int_equal(status->revision, tenure_testkit_revision(kit));
    tenure_status_free(status);
    assert_int_equal(tenure_health(c, 0, 0, &serving, &err), 0);
    assert_true(serving);
    assert_int_equal(tenure_member_list(c, false, 0, &members, &err), 0);
    assert_int_equal(members->n, 1);
    tenure_member_list_free(members);
    assert_int_equal(tenure_alarm_list(c, 0, &alarms, &err), 0);
    tenure_alarm_list_free(alarms);
    assert_int_equal(tenure_hash(c, 0, 0, &h, &err), 0);
    assert_int_equal(tenure_hash_kv(c, 0, 0, 0, &hash, &err), 0);
    assert_int_equal(tenure_lease_list(c, &leases, &err), 0);
    tenure_lease_list_free(leases);
    assert_int_equal(tenure_defragment(c, 0, 0, &err), 0);
    assert_int_equal(tenure_snapshot(c, 0, 0, on_piece, NULL, &err), TENURE_EUNIMPLEMENTED);
    tenure_testkit_free(kit);
}

static void the_servers_own_lock_is_waited_for(void **state)
{
    (void)state;
    struct tenure_testkit_options o = {.size = sizeof o, .patience_ms = 60000};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_v3_lock *held = NULL, *second = NULL;
    int64_t lease = 0;
    assert_int_equal(tenure_lease_grant(a, 3600, 0, &lease, NULL, &err), 0);
    assert_int_equal(tenure_v3_lock(a, tenure_str("x"), lease, 0, &held, &err), 0);
    assert_int_equal(tenure_v3_lock(b, tenure_str("x"), lease, 0, &second, &err),
                     0); /* the same lease: the same place */
    tenure_v3_lock_free(second);
    assert_int_equal(tenure_lease_grant(b, 3600, 0, &lease, NULL, &err), 0);
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_int_equal(tenure_v3_lock(b, tenure_str("x"), lease, 0, &second, &err), TENURE_ETIMEOUT);
    assert_in_range(tenure_testkit_now_ms(kit) - begun, 5000, 60000);
    tenure_v3_lock_free(held);
    tenure_testkit_free(kit);
}

/* ---- in a callback ---- */

struct breaker {
    tenure_testkit *kit;
    tenure_client *client, *other, *born;
};

static void on_get_break(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct breaker *k = user;
    (void)code, (void)err;
    tenure_get_free(r);
    tenure_testkit_cut(k->kit, k->client);
    tenure_testkit_put(k->kit, tenure_str("b"), tenure_str("1"), 0, NULL);
    tenure_testkit_compact(k->kit, 0, NULL);
    tenure_testkit_restart(k->kit, NULL);
    tenure_testkit_delete(k->kit, tenure_str("b"), NULL);
    tenure_testkit_kill(k->kit, k->other);
    tenure_close(k->other);
    tenure_testkit_partition(k->kit, k->client);
    tenure_testkit_server_down(k->kit);
    tenure_testkit_server_up(k->kit, NULL);
    k->born = client_of(k->kit);
    tenure_testkit_kill(k->kit, k->client);
    tenure_close(k->client);
}

static void on_get_close(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    (void)code, (void)err;
    tenure_get_free(r);
    tenure_close(user);
}

static void who_is_blocked_learns_of_a_close_in_a_callback(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_queue_item *item = NULL;
    tenure_testkit_delay(kit, a, 300);
    assert_int_equal(tenure_get_start(a, tenure_str("a"), NULL, on_get_close, b, NULL), 0);
    tenure_queue *q = tenure_queue_open(b, "q", NULL, NULL);
    assert_int_equal(tenure_queue_take(q, 0, &item, &err), TENURE_ECLOSED);
    b = client_of(kit);
    assert_int_equal(tenure_get_start(a, tenure_str("a"), NULL, on_get_close, b, NULL), 0);
    tenure_testkit_partition(kit, b);
    assert_int_equal(put(b, "a", "1", &err), TENURE_ECLOSED);
    tenure_testkit_free(kit);
}

static void a_callback_may_break_everything(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    struct breaker k = {.kit = kit, .client = client_of(kit), .other = client_of(kit)};
    assert_non_null(tenure_lock_acquire(k.client, "x", NULL, NULL));
    assert_non_null(tenure_lock_acquire(k.other, "y", lock_options(), NULL));
    assert_int_equal(tenure_get_start(k.client, tenure_str("a"), NULL, on_get_break, &k, NULL), 0);
    assert_int_equal(tenure_testkit_run(kit), 0);
    assert_int_equal(put(k.born, "a", "1", NULL), 0);
    assert_string_equal(value_in(kit, "b"), "");
    assert_int_equal(keys_below(kit, "/locks/"), 2); /* nobody lives to let go of them */
    tenure_testkit_advance(kit, 60000);
    assert_int_equal(keys_below(kit, "/locks/"), 0);
    tenure_testkit_free(kit);
}

static int nothing_was_told(void **state)
{
    (void)state;
    told = (struct told){0};
    return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, nothing_was_told)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_cut_connection_is_made_again_and_a_read_does_not_notice),
        TEST(a_partition_ends_a_lock_at_safe_until_and_not_before),
        TEST(who_is_connected_keeps_a_lock_for_as_long_as_one_likes),
        TEST(a_reply_that_is_lost_says_maybe_and_an_exact_transaction_finds_out),
        TEST(a_stopped_holder_is_told_first_of_its_loss_and_its_successor_has_a_greater_token),
        TEST(a_stopped_client_blocks_nobody_and_its_calls_are_refused),
        TEST(who_is_killed_holds_until_the_lease_runs_out),
        TEST(who_closes_hands_over_at_once),
        TEST(a_close_that_is_started_ends_by_its_callback),
        TEST(a_lease_that_is_lost_is_told_at_once_to_who_is_connected),
        TEST(the_sessions_of_one_client_are_lost_and_no_other),
        TEST(somebody_who_deletes_a_key_takes_the_lock),
        TEST(what_was_durable_outlives_the_server_and_a_lock_is_held_through_it),
        TEST(while_the_server_is_down_nothing_answers),
        TEST(what_a_frozen_disk_has_not_made_durable_is_not_answered_and_lost_with_the_server),
        TEST(a_full_disk_refuses_writes_and_has_room_again),
        TEST(what_somebody_writes_is_told_to_watchers),
        TEST(what_is_compacted_cannot_be_read_any_more),
        TEST(users_and_passwords_are_those_of_a_server),
        TEST(the_server_answers_all_that_needs_no_files),
        TEST(the_servers_own_lock_is_waited_for),
        TEST(a_callback_may_break_everything),
        TEST(who_is_blocked_learns_of_a_close_in_a_callback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
