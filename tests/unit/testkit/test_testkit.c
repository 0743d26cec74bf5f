/* The kit: its clock, blocking calls, determinism, what it refuses. */
#include "failmalloc.h"
#include "kit_fixture.h"

/* ---- time ---- */

static void a_blocking_call_is_answered_without_time(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    assert_int_equal(put(c, "a", "1", &err), 0);
    assert_int_equal(tenure_get(c, tenure_str("a"), NULL, &r, &err), 0);
    assert_int_equal(r->n_kvs, 1);
    tenure_get_free(r);
    assert_string_equal(value_in(kit, "a"), "1");
    assert_int_equal(tenure_testkit_now_ms(kit), 0);
    tenure_close(c);
    tenure_testkit_free(kit);
}

static void a_blocking_call_takes_the_time_of_the_network_and_of_the_disk(void **state)
{
    (void)state;
    struct tenure_testkit_options o = {.size = sizeof o, .delay_ms = 10, .sync_ms = 7};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    tenure_client *c = client_of(kit);
    assert_int_equal(put(c, "a", "1", NULL), 0); /* connects first */
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_int_equal(put(c, "a", "2", NULL), 0);
    assert_int_equal(tenure_testkit_now_ms(kit) - begun, 27);
    tenure_testkit_free(kit);
}

static void a_deadline_is_one_on_the_kits_clock(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    struct tenure_error err = {0};
    assert_int_equal(put(c, "a", "1", NULL), 0);
    tenure_testkit_partition(kit, c);
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = 1234};
    assert_int_equal(tenure_put(c, tenure_str("a"), tenure_str("2"), &o, NULL, &err), TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit), 1234);
    assert_int_equal(err.applied, TENURE_APPLIED_MAYBE);
    assert_string_equal(value_in(kit, "a"), "1");
    tenure_testkit_heal(kit, c);
    tenure_testkit_advance(kit, 10000);
    assert_string_equal(value_in(kit, "a"), "2"); /* what was under way arrives */
    tenure_testkit_free(kit);
}

static void the_time_of_a_scope_is_one_on_the_kits_clock(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit), *other = client_of(kit);
    struct tenure_error err = {0};
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = 1000};
    tenure_lock *held = tenure_lock_acquire(other, "x", NULL, &err);
    tenure_scope *s = tenure_scope_new(&o, &err);
    tenure_scope_use(s);
    assert_int_equal(put(c, "a", "1", &err), 0);
    assert_int_equal(tenure_testkit_advance(kit, 600), 0);
    assert_int_equal(put(c, "a", "2", &err), 0); /* it goes on from when it was made, not from here */
    assert_int_equal(tenure_scope_code(s), 0);
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_null(tenure_lock_acquire(c, "x", NULL, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit) - begun, 400);
    assert_int_equal(tenure_scope_code(s), TENURE_ETIMEOUT);
    assert_int_equal(put(c, "a", "3", &err), TENURE_ETIMEOUT);
    tenure_scope_use(NULL);
    assert_string_equal(value_in(kit, "a"), "2");
    assert_int_equal(tenure_unlock(held, &err), 0);
    tenure_testkit_free(kit);
    assert_int_equal(tenure_scope_code(s), 0); /* its time stands still */
    tenure_scope_free(s);
}

static void a_scope_of_no_kit_goes_by_the_machines_clock(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1), *second = kit_new(2);
    struct tenure_scope_options o = {.size = sizeof o, .timeout_ms = 3600000};
    struct tenure_error err = {0};
    tenure_scope *on_second = tenure_scope_new(&o, &err);
    tenure_testkit_free(kit); /* not the one it is on */
    assert_int_equal(tenure_testkit_advance(second, 3600000), 0);
    assert_int_equal(tenure_scope_code(on_second), TENURE_ETIMEOUT);
    tenure_scope_free(on_second);
    tenure_testkit_free(second);
    tenure_scope *real = tenure_scope_new(&o, &err);
    kit = kit_new(3);
    tenure_client *c = client_of(kit);
    assert_int_equal(tenure_testkit_advance(kit, 7200000), 0);
    assert_int_equal(tenure_scope_code(real), 0);
    tenure_scope_use(real);
    assert_int_equal(put(c, "a", "1", &err), 0);
    tenure_scope_use(NULL);
    tenure_scope_free(real);
    tenure_testkit_free(kit);
}

/* ---- hooks ---- */

struct calls {
    int n;
    struct tenure_call_event last;
};

static void on_call(void *user, const struct tenure_call_event *e)
{
    struct calls *k = user;
    k->n++;
    k->last = *e;
}

static void events_have_the_kits_times(void **state)
{
    (void)state;
    struct tenure_testkit_options o = {.size = sizeof o, .delay_ms = 10, .sync_ms = 7, .wall_ms = 5000};
    struct calls k = {0};
    struct tenure_options watched = {.size = sizeof watched, .on_call = on_call, .on_call_user = &k};
    struct tenure_error err = {0};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    tenure_client *c = tenure_testkit_client(kit, &watched, &err);
    assert_int_equal(put(c, "a", "1", NULL), 0); /* connects first */
    int64_t begun = tenure_testkit_now_ms(kit);
    k.n = 0;
    assert_int_equal(put(c, "a", "2", NULL), 0);
    assert_int_equal(k.n, 4);
    assert_int_equal(k.last.kind, TENURE_CALL_END);
    assert_int_equal(k.last.duration_ns, 27 * INT64_C(1000000));
    assert_int_equal(k.last.time_ns, (5000 + begun + 27) * INT64_C(1000000));
    tenure_testkit_free(kit);
}

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    (void)err;
    tell(user, code == 0 ? "put" : tenure_error_string(code));
    tenure_put_free(r);
}

static void what_is_started_goes_on_when_the_world_is_moved(void **state)
{
    (void)state;
    static struct told told;
    told = (struct told){0};
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    assert_int_equal(tenure_put_start(c, tenure_str("a"), tenure_str("1"), NULL, on_put, &told, NULL), 0);
    assert_string_equal(told.text, "");
    assert_int_equal(tenure_testkit_run(kit), 0);
    assert_string_equal(told.text, "put");
    tenure_testkit_free(kit);
}

static bool has_told(void *user)
{
    return ((struct told *)user)->len > 0;
}

static void the_world_runs_until_something_is_so_and_no_longer(void **state)
{
    (void)state;
    static struct told told;
    told = (struct told){0};
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    tenure_testkit_delay(kit, c, 100);
    assert_int_equal(tenure_put_start(c, tenure_str("a"), tenure_str("1"), NULL, on_put, &told, NULL), 0);
    assert_int_equal(tenure_testkit_run_until(kit, has_told, &told, 10), TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit), 10);
    assert_int_equal(tenure_testkit_run_until(kit, has_told, &told, 10000), 0);
    assert_true(tenure_testkit_now_ms(kit) < 1000);
    int64_t now = tenure_testkit_now_ms(kit);
    assert_int_equal(tenure_testkit_run_until(kit, has_told, &told, 10000), 0);
    assert_int_equal(tenure_testkit_now_ms(kit), now);
    tenure_testkit_free(kit);
}

static void the_wall_clock_goes_with_the_other(void **state)
{
    (void)state;
    struct tenure_testkit_options o = {.size = sizeof o, .wall_ms = 5000};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    assert_int_equal(tenure_testkit_wall_ms(kit), 5000);
    assert_int_equal(tenure_testkit_advance(kit, 3600000), 0);
    assert_int_equal(tenure_testkit_wall_ms(kit), 3605000);
    assert_int_equal(tenure_testkit_now_ms(kit), 3600000);
    tenure_testkit_free(kit);
}

/* ---- what is refused ---- */

struct within {
    tenure_testkit *kit;
    tenure_client *client, *other;
    int put_code, put_other_code, run_code, advance_code, until_code;
};

static void on_get(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    struct within *w = user;
    (void)code, (void)err;
    w->put_code = put(w->client, "b", "1", NULL);
    w->put_other_code = put(w->other, "b", "1", NULL);
    w->run_code = tenure_testkit_run(w->kit);
    w->advance_code = tenure_testkit_advance(w->kit, 1);
    w->until_code = tenure_testkit_run_until(w->kit, has_told, NULL, 1);
    tenure_testkit_free(w->kit); /* does nothing */
    tenure_get_free(r);
}

static void nothing_moves_the_world_within_a_callback(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    struct within w = {.kit = kit, .client = client_of(kit), .other = client_of(kit)};
    assert_int_equal(tenure_get_start(w.client, tenure_str("a"), NULL, on_get, &w, NULL), 0);
    tenure_testkit_run(kit);
    assert_int_equal(w.put_code, TENURE_EINVALID);
    assert_int_equal(w.put_other_code, TENURE_EINVALID);
    assert_int_equal(w.run_code, TENURE_EINVALID);
    assert_int_equal(w.advance_code, TENURE_EINVALID);
    assert_int_equal(w.until_code, TENURE_EINVALID);
    tenure_testkit_free(kit);
}

static void for_ever(void *user, int code, struct tenure_get_result *r, const struct tenure_error *err)
{
    (void)err;
    tenure_get_free(r);
    if (code == 0)
        tenure_get_start(user, tenure_str("a"), NULL, for_ever, user, NULL);
}

static void what_comes_to_no_end_is_told_and_time_goes_on(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    tenure_client *c = client_of(kit);
    assert_int_equal(tenure_get_start(c, tenure_str("a"), NULL, for_ever, c, NULL), 0);
    assert_int_equal(tenure_testkit_run(kit), TENURE_ELIMIT);
    assert_int_equal(tenure_testkit_now_ms(kit), 0);
    assert_int_equal(tenure_testkit_advance(kit, 3), 0);
    assert_int_equal(tenure_testkit_now_ms(kit), 3);
    tenure_testkit_free(kit);
}

static void a_wait_without_end_ends_with_the_kits_patience(void **state)
{
    (void)state;
    struct tenure_testkit_options o = {.size = sizeof o, .patience_ms = 60000};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    struct tenure_error err = {0};
    tenure_lock *held = tenure_lock_acquire(a, "x", NULL, &err);
    assert_non_null(held);
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_null(tenure_lock_acquire(b, "x", NULL, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit) - begun, 60000);
    tenure_queue *q = tenure_queue_open(b, "q", NULL, &err);
    struct tenure_queue_item *item = NULL;
    assert_int_equal(tenure_queue_take(q, 0, &item, &err), TENURE_ETIMEOUT);
    tenure_queue_close(q);
    assert_true(tenure_lock_held(held));
    assert_int_equal(tenure_unlock(held, &err), 0);
    held = tenure_lock_acquire(b, "x", NULL, &err);
    assert_non_null(held);
    tenure_testkit_free(kit);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_testkit_options o = {.size = sizeof o, .delay_ms = -1};
    assert_null(tenure_testkit_new(&o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    o = (struct tenure_testkit_options){.size = 0, .seed = 1};
    assert_null(tenure_testkit_new(&o, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_testkit *kit = tenure_testkit_new(NULL, NULL);
    assert_non_null(kit);
    assert_int_equal(tenure_testkit_advance(kit, -1), TENURE_EINVALID);
    struct tenure_options bad = {.size = sizeof bad, .call_timeout_ms = -1};
    assert_null(tenure_testkit_client(kit, &bad, &err));
    assert_null(tenure_testkit_client(NULL, NULL, &err));
    assert_int_equal(err.code, TENURE_EINVALID);
    tenure_testkit_free(kit);
    tenure_testkit_free(NULL);
}

/* Stands for a program that knows nothing of kits. */
static int program(void)
{
    tenure_client *c = tenure_open("http://10.0.0.1:2379", NULL, NULL);
    int rc = c ? put(c, "a", "1", NULL) : -1;
    tenure_close(c);
    return rc;
}

static void a_program_that_opens_its_handle_itself_gets_the_kits(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1), *other = kit_new(2);
    tenure_testkit_attach(kit);
    assert_int_equal(program(), 0);
    assert_string_equal(value_in(kit, "a"), "1");
    assert_null(tenure_testkit_handle(kit, 0)); /* closed */
    tenure_testkit_attach(other);
    tenure_client *c = tenure_open(NULL, NULL, NULL);
    assert_ptr_equal(tenure_testkit_handle(other, 0), c);
    assert_null(tenure_testkit_handle(other, 1));
    tenure_testkit_free(kit); /* is not the one */
    assert_int_equal(put(c, "a", "2", NULL), 0);
    tenure_testkit_free(other);
    struct tenure_error err = {0};
    assert_null(tenure_open("", NULL, &err)); /* real again, and says what is wrong */
    assert_int_equal(err.code, TENURE_EINVALID);
}

static void null_is_refused_and_does_no_harm(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_get_result *r = NULL;
    struct tenure_bytes nothing = {NULL, 3};
    tenure_testkit *kit = kit_new(1);
    assert_int_equal(tenure_testkit_run(NULL), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_advance(NULL, 1), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_run_until(NULL, has_told, NULL, 1), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_run_until(kit, NULL, NULL, 1), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_now_ms(NULL) + tenure_testkit_wall_ms(NULL) + tenure_testkit_revision(NULL), 0);
    assert_int_equal(tenure_testkit_lose_lease(NULL, 1), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_lose_sessions(kit, NULL), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_restart(NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_get(NULL, tenure_str("a"), NULL, &r, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_get(kit, tenure_str("a"), NULL, NULL, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_get(kit, nothing, NULL, &r, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_put(kit, tenure_str("a"), nothing, 0, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_put(kit, tenure_str(""), tenure_str("1"), 0, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_delete(kit, nothing, &err), TENURE_EINVALID);
    assert_int_equal(tenure_testkit_compact(NULL, 1, &err), TENURE_EINVALID);
    tenure_testkit_attach(NULL);
    assert_null(tenure_testkit_handle(NULL, 0));
    tenure_testkit_cut(kit, NULL);
    tenure_testkit_partition(NULL, NULL);
    tenure_testkit_heal(kit, NULL);
    tenure_testkit_delay(kit, NULL, 1);
    tenure_testkit_lose_reply(kit, NULL);
    tenure_testkit_stop(kit, NULL);
    tenure_testkit_continue(kit, NULL);
    tenure_testkit_kill(kit, NULL);
    tenure_testkit_server_down(NULL);
    tenure_testkit_disk(NULL, TENURE_TESTKIT_DISK_FULL);
    tenure_testkit_disk(kit, (enum tenure_testkit_disk)7);
    tenure_testkit_free(kit);
}

static void a_real_handle_lives_beside_a_kit(void **state)
{
    (void)state;
    tenure_testkit *kit = kit_new(1);
    struct tenure_options o = {.size = sizeof o, .call_timeout_ms = 1, .close_timeout_ms = 1};
    struct tenure_error err = {0};
    tenure_client *real = tenure_open_poll("http://127.0.0.1:1", &o, &err);
    assert_non_null(real);
    tenure_testkit_stop(kit, real); /* not the kit's: nothing */
    assert_int_equal(put(real, "a", "1", &err), TENURE_EINVALID);
    tenure_client *c = client_of(kit);
    assert_int_equal(put(c, "a", "1", &err), 0);
    assert_int_equal(tenure_fd(c), -1);
    assert_int_equal(tenure_turn(c), TENURE_EINVALID);
    tenure_close(real);
    tenure_testkit_free(kit);
}

/* ---- the same again ---- */

static void on_trace(void *user, const char *line)
{
    tell(user, line);
    tell(user, "\n");
}

static void lock_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    (void)l, (void)why;
    tell(user, "lost");
}

/* A bit of everything that draws numbers: leases, jitter, retries, members' names. */
static void live(uint64_t seed, struct told *told)
{
    *told = (struct told){0};
    struct tenure_testkit_options o = {
        .size = sizeof o, .seed = seed, .delay_ms = 3, .sync_ms = 2, .trace = on_trace, .trace_user = told};
    tenure_testkit *kit = tenure_testkit_new(&o, NULL);
    tenure_client *a = client_of(kit), *b = client_of(kit);
    struct tenure_lock_options lo = {.size = sizeof lo, .ttl_s = 10, .on_lost = lock_lost, .user = told};
    tenure_lock *l = tenure_lock_acquire(a, "x", &lo, NULL);
    assert_non_null(l);
    tenure_presence *p = tenure_group_join(b, NULL, "g", NULL, "1", NULL, NULL);
    assert_int_equal(tenure_presence_await(p, 0, NULL), 0);
    tenure_testkit_cut(kit, b);
    tenure_testkit_partition(kit, a);
    tenure_testkit_advance(kit, 15000);
    tenure_testkit_heal(kit, a);
    tenure_testkit_restart(kit, NULL);
    tenure_testkit_advance(kit, 30000);
    assert_int_equal(tenure_counter_add(b, "n", 1, NULL, NULL, NULL), 0);
    tenure_testkit_free(kit);
    assert_true(told->len < TOLD_MAX - 100);
}

static void the_same_seed_gives_the_same_run_and_another_one_another(void **state)
{
    (void)state;
    static struct told first, second, other;
    live(7, &first);
    live(7, &second);
    live(8, &other);
    assert_string_equal(first.text, second.text);
    assert_true(strstr(first.text, "lost") != NULL);
    assert_string_not_equal(first.text, other.text);
}

/* ---- memory ---- */

static int a_short_life(void *user)
{
    struct tenure_error err = {0};
    (void)user;
    tenure_testkit *kit = tenure_testkit_new(NULL, &err);
    if (!kit)
        return err.code;
    int rc = 0;
    tenure_client *c = tenure_testkit_client(kit, NULL, &err);
    if (!c)
        rc = err.code;
    struct tenure_put_options o = {.size = sizeof o, .timeout_ms = 1000};
    rc = c ? tenure_put(c, tenure_str("a"), tenure_str("1"), &o, NULL, &err) : rc;
    tenure_close(c);
    tenure_testkit_free(kit);
    /* Without memory no connection can be made, or none stands, the disk is full, the server refuses. */
    bool is_memory = rc == TENURE_ETIMEOUT || rc == TENURE_EUNAVAILABLE || rc == TENURE_ENOSPACE || rc == TENURE_ELIMIT;
    return is_memory ? TENURE_ENOMEM : rc;
}

/* Whatever it comes to, it ends, and nothing of it is left. */
static int a_life_with_faults(void *user)
{
    (void)user;
    struct tenure_error err = {0};
    struct tenure_options o = {.size = sizeof o, .call_timeout_ms = 500, .close_timeout_ms = 500};
    struct tenure_lock_options lo = {.size = sizeof lo, .wait_ms = 500, .ttl_s = 2};
    tenure_testkit *kit = tenure_testkit_new(NULL, &err);
    tenure_client *c = kit ? tenure_testkit_client(kit, &o, &err) : NULL;
    tenure_lock *l = c ? tenure_lock_acquire(c, "x", &lo, &err) : NULL;
    int rc = l ? 0 : TENURE_ENOMEM;
    if (l && tenure_testkit_restart(kit, &err) < 0)
        rc = TENURE_ENOMEM;
    if (l && tenure_testkit_put(kit, tenure_str("a"), tenure_str("1"), 0, &err) < 0)
        rc = TENURE_ENOMEM;
    if (l && tenure_unlock(l, &err) < 0)
        rc = TENURE_ENOMEM;
    tenure_testkit_free(kit);
    return rc;
}

static void no_allocation_that_fails_is_forgotten(void **state)
{
    (void)state;
    assert_true(failmalloc_sweep(a_short_life, NULL) > 0);
    assert_true(failmalloc_sweep(a_life_with_faults, NULL) > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_blocking_call_is_answered_without_time),
        cmocka_unit_test(a_blocking_call_takes_the_time_of_the_network_and_of_the_disk),
        cmocka_unit_test(a_deadline_is_one_on_the_kits_clock),
        cmocka_unit_test(the_time_of_a_scope_is_one_on_the_kits_clock),
        cmocka_unit_test(a_scope_of_no_kit_goes_by_the_machines_clock),
        cmocka_unit_test(events_have_the_kits_times),
        cmocka_unit_test(what_is_started_goes_on_when_the_world_is_moved),
        cmocka_unit_test(the_world_runs_until_something_is_so_and_no_longer),
        cmocka_unit_test(the_wall_clock_goes_with_the_other),
        cmocka_unit_test(nothing_moves_the_world_within_a_callback),
        cmocka_unit_test(what_comes_to_no_end_is_told_and_time_goes_on),
        cmocka_unit_test(a_wait_without_end_ends_with_the_kits_patience),
        cmocka_unit_test(options_that_make_no_sense_are_refused),
        cmocka_unit_test(a_program_that_opens_its_handle_itself_gets_the_kits),
        cmocka_unit_test(null_is_refused_and_does_no_harm),
        cmocka_unit_test(a_real_handle_lives_beside_a_kit),
        cmocka_unit_test(the_same_seed_gives_the_same_run_and_another_one_another),
        cmocka_unit_test(no_allocation_that_fails_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
