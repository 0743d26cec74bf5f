/* Each recipe once on the kit, with a fault or with virtual hours, through the public functions alone. */
#include "kit_fixture.h"

static struct told told;
static tenure_testkit *kit;
static tenure_client *a, *b, *c;

static int set_up(void **state)
{
    (void)state;
    told = (struct told){0};
    kit = kit_new(1);
    a = client_of(kit);
    b = client_of(kit);
    c = client_of(kit);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    tenure_testkit_free(kit);
    return 0;
}

/* ---- locks ---- */

static void lock_acquired(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    (void)l, (void)token, (void)err;
    tell(&told, code == 0 ? user : tenure_error_string(code));
}

static void lock_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    (void)l, (void)why, (void)user;
    tell(&told, "lost");
}

static struct tenure_lock_options waiting_as(const char *name)
{
    return (struct tenure_lock_options){.size = sizeof(struct tenure_lock_options),
                                        .on_acquired = lock_acquired,
                                        .on_lost = lock_lost,
                                        .user = (void *)name};
}

static void locks_are_handed_over_in_order(void **state)
{
    (void)state;
    struct tenure_lock_options of_b = waiting_as("b"), of_c = waiting_as("c");
    tenure_lock *first = tenure_lock_acquire(a, "x", NULL, NULL);
    tenure_lock *second = tenure_lock_start(b, "x", &of_b, NULL);
    tenure_testkit_run(kit);
    tenure_lock *third = tenure_lock_start(c, "x", &of_c, NULL);
    tenure_testkit_advance(kit, 3600000);
    assert_string_equal(told.text, "");
    struct tenure_lock_list *list = NULL;
    assert_int_equal(tenure_lock_list(c, "x", NULL, &list, NULL), 0);
    assert_int_equal(list->n, 3);
    tenure_lock_list_free(list);
    tenure_token token = tenure_lock_token(first);
    assert_int_equal(tenure_unlock(first, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "b");
    assert_true(tenure_lock_token(second) > token);
    token = tenure_lock_token(second);
    assert_int_equal(tenure_unlock(second, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "b c");
    assert_true(tenure_lock_token(third) > token);
}

static void a_try_ends_and_a_wait_ends_at_its_time(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_lock_options now = {.size = sizeof now, .wait_ms = -1},
                               later = {.size = sizeof later, .wait_ms = 7000};
    assert_non_null(tenure_lock_acquire(a, "x", NULL, NULL));
    assert_null(tenure_lock_acquire(b, "x", &now, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_null(tenure_lock_acquire(b, "x", &later, &err));
    assert_int_equal(err.code, TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit) - begun, 7000);
}

static void readers_share_and_a_writer_waits(void **state)
{
    (void)state;
    struct tenure_lock_options of_c = waiting_as("writer");
    tenure_lock *r1 = tenure_rwlock_read(a, "prices", NULL, NULL), *r2 = tenure_rwlock_read(b, "prices", NULL, NULL);
    assert_true(tenure_lock_held(r1) && tenure_lock_held(r2));
    tenure_lock *w = tenure_rwlock_write_start(c, "prices", &of_c, NULL);
    tenure_testkit_advance(kit, 60000);
    assert_string_equal(told.text, "");
    tenure_testkit_kill(kit, a);
    assert_int_equal(tenure_unlock(r2, NULL), 0);
    tenure_testkit_advance(kit, 31000); /* the dead reader's lease */
    assert_string_equal(told.text, "writer");
    assert_int_equal(tenure_rwlock_downgrade(w, NULL), 0);
    assert_non_null(tenure_rwlock_read(b, "prices", NULL, NULL));
}

static void permits_are_given_by_weight(void **state)
{
    (void)state;
    struct tenure_lock_options of_c = waiting_as("heavy");
    tenure_lock *one = tenure_semaphore_acquire(a, "downloads", 1, 3, NULL, NULL);
    tenure_lock *two = tenure_semaphore_acquire(b, "downloads", 2, 3, NULL, NULL);
    assert_true(tenure_lock_held(one) && tenure_lock_held(two));
    assert_non_null(tenure_semaphore_start(c, "downloads", 2, 3, &of_c, NULL));
    tenure_testkit_run(kit);
    assert_int_equal(tenure_unlock(one, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "");
    assert_int_equal(tenure_unlock(two, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "heavy");
}

static void several_locks_come_together_or_not_at_all(void **state)
{
    (void)state;
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = "x"},
                                            {.size = sizeof parts[0], .name = "y"}};
    struct tenure_multilock_options now = {.size = sizeof now, .wait_ms = -1};
    struct tenure_error err = {0};
    tenure_lock *y = tenure_lock_acquire(b, "y", NULL, NULL);
    assert_null(tenure_multilock_acquire(a, parts, 2, &now, &err));
    assert_int_equal(err.code, TENURE_EBUSY);
    assert_int_equal(tenure_unlock(y, NULL), 0);
    tenure_multilock *all = tenure_multilock_acquire(a, parts, 2, NULL, NULL);
    assert_true(tenure_multilock_held(all));
    tenure_testkit_stop(kit, a);
    tenure_testkit_advance(kit, 60000);
    assert_false(tenure_multilock_held(all));
}

/* ---- sessions ---- */

static void on_state(tenure_session *s, enum tenure_session_state state, const struct tenure_error *why, void *user)
{
    static const char *const names[] = {"starting", "connected", "suspended", "lost"};
    (void)s, (void)why, (void)user;
    tell(&told, names[state]);
}

static void a_session_is_suspended_answers_again_and_is_lost(void **state)
{
    (void)state;
    struct tenure_session_options o = {.size = sizeof o, .ttl_s = 10, .on_state = on_state};
    tenure_session *s = tenure_session_open(a, &o, NULL);
    assert_non_null(s);
    tenure_testkit_partition(kit, a);
    tenure_testkit_advance(kit, 8000);
    tenure_testkit_heal(kit, a);
    tenure_testkit_advance(kit, 60000);
    assert_string_equal(told.text, "connected suspended connected");
    tenure_testkit_partition(kit, a);
    tenure_testkit_advance(kit, 10000);
    assert_string_equal(told.text, "connected suspended connected suspended lost");
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_LOST);
}

static void a_program_that_hangs_stops_renewing(void **state)
{
    (void)state;
    struct tenure_session_options o = {.size = sizeof o, .ttl_s = 10, .heartbeat_ms = 5000};
    tenure_session *s = tenure_session_open(a, &o, NULL);
    for (int i = 0; i < 20; i++) {
        tenure_testkit_advance(kit, 4000);
        tenure_session_beat(s);
    }
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_CONNECTED);
    tenure_testkit_advance(kit, 20000); /* it hangs, and its network works */
    assert_int_equal(tenure_session_state(s), TENURE_SESSION_LOST);
}

/* ---- elections ---- */

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    (void)e, (void)token;
    tell(&told, user);
}

static void on_election_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    (void)e, (void)user;
    tell(&told, why == TENURE_LOSS_EXPIRED ? "expired" : "not-expired");
}

static void a_leader_that_is_cut_off_is_followed(void **state)
{
    (void)state;
    struct tenure_election_options o = {
        .size = sizeof o, .on_gained = on_gained, .on_lost = on_election_lost, .user = "a-leads"};
    tenure_election *of_a = tenure_election_start(a, "e", &o, NULL);
    tenure_testkit_run(kit);
    o.user = "b-leads";
    tenure_election *of_b = tenure_election_start(b, "e", &o, NULL);
    tenure_testkit_advance(kit, 3600000);
    assert_string_equal(told.text, "a-leads");
    tenure_testkit_partition(kit, a);
    tenure_testkit_advance(kit, 12000);
    assert_string_equal(told.text, "a-leads expired b-leads");
    assert_false(tenure_election_leads(of_a));
    assert_true(tenure_election_leads(of_b));
    assert_true(tenure_election_token(of_b) > tenure_election_token(of_a));
    assert_int_equal(tenure_election_proclaim(of_b, tenure_str("me"), NULL), 0);
    tenure_testkit_heal(kit, a);
    tenure_testkit_advance(kit, 12000);
    tenure_election_stop(of_b);
    tenure_testkit_advance(kit, 1000);
    assert_true(tenure_election_leads(of_a)); /* it came back to the queue */
}

/* ---- barriers ---- */

static void on_done(void *user, int code, const struct tenure_error *err)
{
    (void)err;
    tell(&told, code == 0 ? user : tenure_error_string(code));
}

static void on_entered(tenure_double_barrier *d, int code, const struct tenure_error *err, void *user)
{
    (void)d;
    on_done(user, code, err);
}

static void barriers_hold_until_they_are_released(void **state)
{
    (void)state;
    assert_int_equal(tenure_barrier_hold(a, "door", NULL, NULL), 0);
    tenure_wait *w = tenure_barrier_wait_start(b, "door", NULL, on_done, "through", NULL);
    assert_non_null(w);
    tenure_testkit_advance(kit, 3600000);
    assert_string_equal(told.text, "");
    assert_int_equal(tenure_barrier_release(a, "door", NULL, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "through");
    tenure_wait_stop(w);

    struct tenure_latch_state latch = {0};
    assert_int_equal(tenure_latch_arrive(a, "loaded", 2, "a", NULL, &latch, NULL), 0);
    assert_false(latch.open);
    assert_int_equal(tenure_latch_arrive(b, "loaded", 2, "b", NULL, &latch, NULL), 0);
    assert_true(latch.open);
    assert_int_equal(tenure_latch_wait(c, "loaded", NULL, NULL), 0);
}

static void a_double_barrier_opens_when_all_are_there(void **state)
{
    (void)state;
    struct tenure_double_barrier_options o = {.size = sizeof o, .on_entered = on_entered, .user = "in"};
    tenure_double_barrier *of_a = tenure_double_barrier_enter_start(a, "round", 2, &o, NULL);
    tenure_testkit_advance(kit, 60000);
    assert_string_equal(told.text, "");
    tenure_double_barrier *of_b = tenure_double_barrier_enter(b, "round", 2, NULL, NULL);
    assert_true(tenure_double_barrier_inside(of_b));
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "in");
    tenure_double_barrier_leave_start(of_a, 0);
    assert_int_equal(tenure_double_barrier_leave(of_b, 0, NULL), 0);
}

/* ---- queues ---- */

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    (void)user, (void)err;
    tell(&told, code == 0 ? item->value.data : tenure_error_string(code));
    tenure_queue_item_free(item);
}

static void who_waits_for_an_item_gets_it(void **state)
{
    (void)state;
    tenure_queue *of_a = tenure_queue_open(a, "q", NULL, NULL), *of_b = tenure_queue_open(b, "q", NULL, NULL);
    tenure_wait *w = tenure_queue_take_start(of_b, 0, on_item, NULL, NULL);
    tenure_testkit_advance(kit, 3600000);
    assert_int_equal(tenure_queue_put(of_a, tenure_str("one"), NULL, NULL), 0);
    tenure_testkit_run(kit);
    assert_string_equal(told.text, "one");
    tenure_wait_stop(w);
}

static void an_item_that_is_due_later_comes_later(void **state)
{
    (void)state;
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_DELAY};
    struct tenure_queue_put_options later = {.size = sizeof later, .delay_ms = 7200000};
    struct tenure_queue_item *item = NULL;
    tenure_queue *q = tenure_queue_open(a, "later", &o, NULL);
    assert_int_equal(tenure_queue_put(q, tenure_str("tea"), &later, NULL), 0);
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_int_equal(tenure_queue_take(q, -1, &item, NULL), TENURE_ENOTFOUND);
    assert_int_equal(tenure_queue_take(q, 0, &item, NULL), 0);
    assert_string_equal(item->value.data, "tea");
    assert_in_range(tenure_testkit_now_ms(kit) - begun, 7200000, 7201000);
    tenure_queue_item_free(item);
}

static void work_of_a_dead_worker_is_given_to_another(void **state)
{
    (void)state;
    struct tenure_queue_options o = {.size = sizeof o, .kind = TENURE_QUEUE_WORK};
    struct tenure_queue_item *item = NULL, *again = NULL;
    tenure_queue *of_a = tenure_queue_open(a, "jobs", &o, NULL), *of_b = tenure_queue_open(b, "jobs", &o, NULL);
    assert_int_equal(tenure_queue_put(of_a, tenure_str("invoice"), NULL, NULL), 0);
    assert_int_equal(tenure_queue_take(of_a, -1, &item, NULL), 0);
    tenure_testkit_kill(kit, a);
    assert_int_equal(tenure_queue_take(of_b, 60000, &again, NULL), 0);
    assert_int_equal(again->deliveries, 2);
    assert_true(again->token > item->token);
    assert_int_equal(tenure_queue_ack(of_b, again, NULL), 0);
    tenure_queue_item_free(item);
    tenure_queue_item_free(again);
}

/* ---- numbers and transactions ---- */

static void numbers_are_added_once_though_answers_are_lost(void **state)
{
    (void)state;
    int64_t n = 0;
    for (int i = 0; i < 20; i++) {
        tenure_testkit_lose_reply(kit, a);
        assert_int_equal(tenure_counter_add(a, "visits", 1, NULL, &n, NULL), 0);
    }
    assert_int_equal(n, 20);
    int64_t first = 0, second = 0;
    assert_int_equal(tenure_ids_take(a, "orders", 10, NULL, &first, NULL), 0);
    assert_int_equal(tenure_ids_take(b, "orders", 10, NULL, &second, NULL), 0);
    assert_int_equal(second, first + 10);
}

/* Another client changes what was read, once: the first attempt must fail. */
static int move(tenure_stm_view *v, void *arg)
{
    struct tenure_kv kv;
    char text[32];
    int rc = tenure_stm_get(v, tenure_str("balance"), &kv);
    if (rc == 0 && (*(int *)arg)++ == 0)
        rc = put(b, "balance", "100", NULL);
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "%d", atoi(kv.value.data) + 1);
    return tenure_stm_put(v, tenure_str("balance"), tenure_str(text), 0);
}

static void a_transaction_in_memory_is_run_again_after_a_conflict(void **state)
{
    (void)state;
    int runs = 0;
    assert_int_equal(put(b, "balance", "1", NULL), 0);
    assert_int_equal(tenure_stm(a, NULL, move, &runs, NULL), 0);
    assert_int_equal(runs, 2);
    assert_string_equal(value_in(kit, "balance"), "101");
}

/* ---- presence ---- */

static void on_change(tenure_group_watch *w, enum tenure_group_change change, const struct tenure_group_member *member,
                      int64_t revision, void *user)
{
    static const char *const words[] = {"", "joined", "changed", "left"};
    (void)w, (void)revision, (void)user;
    tell(&told, words[change]);
    tell(&told, member->name);
}

static void who_is_cut_off_leaves_the_group_and_comes_back(void **state)
{
    (void)state;
    struct tenure_group_watch_options o = {.size = sizeof o, .on_change = on_change};
    tenure_presence *p = tenure_group_join(a, NULL, "g", "ann", NULL, NULL, NULL);
    assert_int_equal(tenure_presence_await(p, 0, NULL), 0);
    assert_true(tenure_presence_stands(p));
    tenure_group_watch *w = tenure_group_watch_start(b, "g", &o, NULL);
    tenure_testkit_run(kit);
    tenure_testkit_partition(kit, a);
    tenure_testkit_advance(kit, 60000);
    assert_string_equal(told.text, "left ann");
    assert_false(tenure_presence_stands(p));
    tenure_testkit_heal(kit, a);
    tenure_testkit_advance(kit, 60000);
    assert_string_equal(told.text, "left ann joined ann");
    tenure_group_watch_stop(w);
}

/* ---- the scheduler ---- */

struct runs {
    int n;
    int64_t last;
};

static int count_run(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    struct runs *r = arg;
    (void)k;
    assert_true(run->time - r->last >= 3600);
    r->last = run->time;
    return ++r->n < 24 ? 0 : TENURE_ECANCELLED;
}

static void an_hourly_job_runs_a_day_through(void **state)
{
    (void)state;
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "@hourly"};
    struct runs runs = {0};
    int64_t begun = tenure_testkit_wall_ms(kit);
    assert_int_equal(tenure_cron_run(a, "backup", &o, count_run, &runs, NULL), 0);
    assert_int_equal(runs.n, 24);
    assert_in_range(tenure_testkit_wall_ms(kit) - begun, 24 * 3600000 - 1000, 24 * 3600000 + 1000);
}

static int runs_of[2];
static void on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    ++*(int *)user;
    assert_int_equal(tenure_cron_done(k, run->token, 0, NULL, NULL), 0);
}

static void a_job_runs_once_on_two_machines_and_on_the_one_that_is_left(void **state)
{
    (void)state;
    struct tenure_cron_options o = {.size = sizeof o, .schedule = "@every 1h", .on_run = on_run, .user = &runs_of[0]};
    runs_of[0] = runs_of[1] = 0;
    assert_non_null(tenure_cron_start(a, "backup", &o, NULL));
    o.user = &runs_of[1];
    assert_non_null(tenure_cron_start(b, "backup", &o, NULL));
    tenure_testkit_advance(kit, 10 * 3600000 + 60000);
    assert_int_equal(runs_of[0] + runs_of[1], 10);
    int of_b = runs_of[1];
    tenure_testkit_stop(kit, a);
    tenure_testkit_advance(kit, 10 * 3600000);
    assert_int_equal(runs_of[1], of_b + 10);
}

/* ---- what went wrong once ---- */

static void on_observer_end(tenure_observer *o, int code, const struct tenure_error *err, void *user)
{
    (void)o, (void)user;
    tell(&told, code == TENURE_ECLOSED && strstr(err->text, "observe") ? "closed" : tenure_error_string(code));
}

static void an_observer_learns_of_the_close_of_its_handle(void **state)
{
    (void)state;
    struct tenure_observer_options o = {.size = sizeof o, .on_end = on_observer_end};
    assert_non_null(tenure_observer_start(a, "e", &o, NULL));
    tenure_testkit_run(kit);
    tenure_close(a);
    assert_string_equal(told.text, "closed");
}

static void on_counted(void *user, int code, int64_t value, const struct tenure_error *err)
{
    (void)value, (void)err;
    tell(user, code < 0 ? "refused" : "counted");
}

/* A session is refused at once where the disk has no room, as often as it is asked for. */
static void nobody_asks_a_full_disk_without_a_pause(void **state)
{
    (void)state;
    struct tenure_cron_options co = {.size = sizeof co, .schedule = "@hourly", .on_run = on_run};
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_FULL);
    tenure_presence *p = tenure_group_join(a, NULL, "g", "ann", NULL, NULL, NULL);
    assert_int_equal(tenure_testkit_run(kit), 0);
    assert_non_null(tenure_cron_start(b, "backup", &co, NULL));
    assert_int_equal(tenure_testkit_run(kit), 0);
    assert_int_equal(tenure_counter_add_start(c, "n", 1, NULL, on_counted, &told, NULL), 0);
    assert_int_equal(tenure_testkit_run(kit), 0);
    assert_string_equal(told.text, "refused");
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    tenure_testkit_advance(kit, 5000);
    assert_true(tenure_presence_stands(p));
}

/* ---- deadlines ---- */

static int64_t begun;

/* It took ms on the kit's clock, or as much longer as a blocked caller waits for the loop. */
static void took(int64_t ms)
{
    assert_in_range(tenure_testkit_now_ms(kit) - begun, ms, ms + 100);
    begun = tenure_testkit_now_ms(kit);
}

static int nothing(tenure_stm_view *v, void *arg)
{
    (void)arg;
    return tenure_stm_get(v, tenure_str("a"), NULL);
}

static int never(tenure_cron *k, const struct tenure_cron_run *run, void *arg)
{
    (void)k, (void)run, (void)arg;
    return 0;
}

static void what_waits_for_others_waits_by_the_kits_clock(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_lock_options lo = {.size = sizeof lo, .wait_ms = 3000};
    struct tenure_multilock_options mo = {.size = sizeof mo, .wait_ms = 3000};
    struct tenure_multilock_part part = {.size = sizeof part, .name = "x"};
    struct tenure_barrier_options bo = {.size = sizeof bo, .timeout_ms = 3000};
    struct tenure_double_barrier_options dbo = {.size = sizeof dbo, .timeout_ms = 3000};
    struct tenure_cron_options co = {.size = sizeof co, .schedule = "@yearly", .for_ms = 3000};
    struct tenure_queue_item *item = NULL;
    assert_non_null(tenure_lock_acquire(a, "x", NULL, NULL));
    tenure_queue *q = tenure_queue_open(b, "q", NULL, NULL);
    begun = tenure_testkit_now_ms(kit);
    assert_null(tenure_lock_acquire(b, "x", &lo, &err));
    took(3000);
    assert_null(tenure_rwlock_read(b, "x", &lo, &err));
    took(3000);
    assert_null(tenure_multilock_acquire(b, &part, 1, &mo, &err));
    took(3000);
    assert_int_equal(tenure_latch_wait(b, "l", &bo, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_null(tenure_double_barrier_enter(b, "d", 2, &dbo, &err));
    took(3000);
    assert_int_equal(tenure_queue_take(q, 3000, &item, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_cron_run(b, "yearly", &co, never, NULL, &err), 0);
    took(3000);
}

static void what_gets_no_answer_waits_by_the_kits_clock(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_stm_options so = {.size = sizeof so, .timeout_ms = 3000};
    struct tenure_counter_options no = {.size = sizeof no, .timeout_ms = 3000};
    struct tenure_id_options io = {.size = sizeof io, .timeout_ms = 3000};
    struct tenure_session_options own = {.size = sizeof own, .ttl_s = 10};
    struct tenure_queue_put_options po = {.size = sizeof po, .timeout_ms = 3000};
    struct tenure_queue_item *item = NULL;
    int64_t n;
    tenure_queue *q = tenure_queue_open(a, "q", NULL, NULL);
    tenure_presence *p = tenure_group_join(a, NULL, "g", NULL, NULL, NULL, NULL);
    tenure_testkit_partition(kit, a);
    begun = tenure_testkit_now_ms(kit);
    assert_int_equal(put(a, "a", "1", &err), TENURE_ETIMEOUT);
    took(5000);
    assert_int_equal(tenure_stm(a, &so, nothing, NULL, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_counter_add(a, "n", 1, &no, &n, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_ids_take(a, "i", 1, &io, &n, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_queue_put(q, tenure_str("1"), &po, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_queue_take(q, 3000, &item, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_int_equal(tenure_presence_await(p, 3000, &err), TENURE_ETIMEOUT);
    took(3000);
    assert_null(tenure_session_open(a, &own, &err));
    took(5000);
    tenure_close(a);
    took(0); /* nothing is held that a server would have to be told of */
}

/* ---- shared values ---- */

static int64_t stale_ms(tenure_value *v, const char *wanted)
{
    struct tenure_value_state *s = NULL;
    assert_int_equal(tenure_value_cached(v, &s, NULL), 0);
    assert_string_equal(s->value.data, wanted);
    int64_t ms = s->stale_ms;
    tenure_value_state_free(s);
    return ms;
}

static void a_copy_knows_how_old_it_may_be(void **state)
{
    (void)state;
    struct tenure_error err = {0};
    struct tenure_value_state *s = NULL;
    struct tenure_value_get_options bounded = {.size = sizeof bounded, .max_stale_ms = 1000, .timeout_ms = 3000};
    tenure_value *v = tenure_value_open(a, tenure_str("limit"), NULL, &err);
    assert_int_equal(tenure_value_set(v, tenure_str("1"), NULL, NULL, &err), 0);
    assert_in_range(stale_ms(v, "1"), 1, 50);
    tenure_testkit_advance(kit, 3600000);
    assert_true(stale_ms(v, "1") > 3600000); /* nobody has asked */
    assert_int_equal(tenure_value_get(v, &bounded, &s, &err), 0);
    assert_in_range(s->stale_ms, 1, 50);
    tenure_value_state_free(s);
    tenure_testkit_partition(kit, a);
    assert_int_equal(tenure_testkit_put(kit, tenure_str("limit"), tenure_str("2"), 0, NULL), 0);
    tenure_testkit_advance(kit, 5000);
    assert_true(stale_ms(v, "1") > 5000); /* it says that it may be old, and it is */
    int64_t begun = tenure_testkit_now_ms(kit);
    assert_int_equal(tenure_value_get(v, &bounded, &s, &err), TENURE_ETIMEOUT);
    assert_int_equal(tenure_testkit_now_ms(kit) - begun, 3000);
    tenure_testkit_heal(kit, a);
    assert_int_equal(tenure_value_get(v, &bounded, &s, &err), 0);
    assert_string_equal(s->value.data, "2");
    tenure_value_state_free(s);
    tenure_testkit_lose_reply(kit, a);
    assert_int_equal(tenure_value_set(v, tenure_str("3"), NULL, &s, &err), 0); /* once */
    assert_int_equal(s->version, 3);
    tenure_value_state_free(s);
    stale_ms(v, "3");
}

static int doubles(tenure_stm_view *v, void *arg)
{
    struct tenure_kv kv;
    char text[24];
    int rc = tenure_stm_get(v, tenure_str("number"), &kv);
    (void)arg;
    if (rc < 0)
        return rc;
    snprintf(text, sizeof text, "%ld", 2 * strtol(kv.value.data, NULL, 10));
    return tenure_stm_put(v, tenure_str("number"), tenure_str(text), 0);
}

static void doubled(void *user, int code, int64_t revision, int64_t attempts, const struct tenure_error *err)
{
    (void)user, (void)revision, (void)attempts, (void)err;
    tell(&told, code == 0 ? "doubled" : tenure_error_string(code));
}

static void a_transaction_that_nobody_waits_for_is_made_once(void **state)
{
    (void)state;
    assert_int_equal(put(b, "number", "21", NULL), 0);
    tenure_wait *w = tenure_stm_start(a, NULL, doubles, NULL, doubled, NULL, NULL);
    tenure_testkit_advance(kit, 1000);
    tenure_wait_stop(w);
    assert_string_equal(told.text, "doubled");
    assert_string_equal(value_in(kit, "number"), "42");
    tenure_testkit_lose_reply(kit, a);
    w = tenure_stm_start(a, NULL, doubles, NULL, doubled, NULL, NULL);
    tenure_testkit_advance(kit, 10000);
    tenure_wait_stop(w);
    assert_string_equal(told.text, "doubled doubled");
    assert_string_equal(value_in(kit, "number"), "84");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(locks_are_handed_over_in_order),
        TEST(a_try_ends_and_a_wait_ends_at_its_time),
        TEST(readers_share_and_a_writer_waits),
        TEST(permits_are_given_by_weight),
        TEST(several_locks_come_together_or_not_at_all),
        TEST(a_session_is_suspended_answers_again_and_is_lost),
        TEST(a_program_that_hangs_stops_renewing),
        TEST(a_leader_that_is_cut_off_is_followed),
        TEST(barriers_hold_until_they_are_released),
        TEST(a_double_barrier_opens_when_all_are_there),
        TEST(who_waits_for_an_item_gets_it),
        TEST(an_item_that_is_due_later_comes_later),
        TEST(work_of_a_dead_worker_is_given_to_another),
        TEST(numbers_are_added_once_though_answers_are_lost),
        TEST(a_transaction_in_memory_is_run_again_after_a_conflict),
        TEST(who_is_cut_off_leaves_the_group_and_comes_back),
        TEST(an_hourly_job_runs_a_day_through),
        TEST(a_job_runs_once_on_two_machines_and_on_the_one_that_is_left),
        TEST(a_copy_knows_how_old_it_may_be),
        TEST(a_transaction_that_nobody_waits_for_is_made_once),
        TEST(an_observer_learns_of_the_close_of_its_handle),
        TEST(nobody_asks_a_full_disk_without_a_pause),
        TEST(what_waits_for_others_waits_by_the_kits_clock),
        TEST(what_gets_no_answer_waits_by_the_kits_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
