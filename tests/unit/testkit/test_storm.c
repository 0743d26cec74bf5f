/* Programs that begin and end whatever there is, under whatever faults there are, all drawn from a seed. Nothing is asked of the
 * answers; what counts is that no memory is used wrongly (the sanitizers look), that nothing is asked for without a pause, and
 * that all of it ends. */
#include "kit_fixture.h"

enum { CLIENTS = 3, LOCKS = 3, WAITS = 3, QUEUES = 4, STEPS = 300, SEEDS = 12 };

struct program {
    tenure_client *client;
    bool is_stopped;
    tenure_lock *locks[LOCKS];
    tenure_wait *waits[WAITS];
    tenure_queue *queues[QUEUES];
    tenure_election *election;
    tenure_observer *observer;
    tenure_presence *presence;
    tenure_group_watch *group;
    tenure_cron *cron;
    tenure_double_barrier *round;
    tenure_multilock *several;
    tenure_session *session;
    tenure_watch *watch;
};

static tenure_testkit *kit;
static struct program programs[CLIENTS];
static uint64_t drawn;

static unsigned draw(unsigned n)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(drawn >> 33) % n;
}

/* ---- what is told ---- */

static void on_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    (void)why, (void)user;
    assert_false(tenure_lock_held(l));
}

static void on_done(void *user, int code, const struct tenure_error *err)
{
    (void)user, (void)code, (void)err;
}

static void on_item(void *user, int code, struct tenure_queue_item *item, const struct tenure_error *err)
{
    (void)user, (void)code, (void)err;
    tenure_queue_item_free(item);
}

static void on_number(void *user, int code, int64_t value, const struct tenure_error *err)
{
    (void)user, (void)code, (void)value, (void)err;
}

static void on_latch(void *user, int code, const struct tenure_latch_state *state, const struct tenure_error *err)
{
    (void)user, (void)code, (void)state, (void)err;
}

static void on_put(void *user, int code, struct tenure_put_result *r, const struct tenure_error *err)
{
    (void)user, (void)code, (void)err;
    tenure_put_free(r);
}

static void on_run(tenure_cron *k, const struct tenure_cron_run *run, void *user)
{
    (void)user;
    if (draw(3))
        tenure_cron_done(k, run->token, 0, NULL, NULL);
}

static void on_events(void *user, int64_t revision, const struct tenure_event *events, size_t n)
{
    (void)user, (void)revision, (void)events, (void)n;
}

/* ---- what is begun and ended ---- */

/* Ends *what when it is there; answers whether it was. */
#define ENDS(what, function) ((what) ? (function(what), (what) = NULL, true) : false)

static void use_locks(struct program *p)
{
    static const char *const names[] = {"x", "y", "z"};
    const char *name = names[draw(3)];
    tenure_lock **l = &p->locks[draw(LOCKS)];
    struct tenure_lock_options o = {
        .size = sizeof o, .ttl_s = draw(2) ? 5 : 0, .wait_ms = draw(2) ? draw(3000) : 0, .on_lost = on_lost};
    if (ENDS(*l, tenure_unlock_start))
        return;
    switch (draw(4)) {
    case 0:
        *l = tenure_lock_start(p->client, name, &o, NULL);
        break;
    case 1:
        *l = tenure_rwlock_read_start(p->client, name, &o, NULL);
        break;
    case 2:
        *l = tenure_rwlock_write_start(p->client, name, &o, NULL);
        break;
    case 3:
        *l = tenure_semaphore_start(p->client, "permits", 1 + draw(2), 3, &o, NULL);
        break;
    }
}

static void use_several(struct program *p)
{
    struct tenure_multilock_part parts[] = {{.size = sizeof parts[0], .name = "x"},
                                            {.size = sizeof parts[0], .name = "y", .mode = TENURE_LOCK_READ}};
    struct tenure_multilock_options o = {.size = sizeof o, .wait_ms = 3000};
    if (!ENDS(p->several, tenure_multilock_unlock_start))
        p->several = tenure_multilock_start(p->client, parts, 2, &o, NULL);
}

static void use_queues(struct program *p)
{
    static const char *const names[] = {"fifo", "priority", "delay", "work"};
    unsigned kind = draw(QUEUES);
    tenure_queue **q = &p->queues[kind];
    tenure_wait **w = &p->waits[draw(WAITS)];
    struct tenure_queue_options o = {.size = sizeof o,
                                     .kind = (enum tenure_queue_kind)kind,
                                     .ttl_s = 5,
                                     .claim_ms = kind == 3 && draw(2) ? 5000 : 0};
    struct tenure_queue_put_options po = {.size = sizeof po, .delay_ms = kind >= 2 ? draw(3000) : 0};
    if (!*q)
        *q = tenure_queue_open(p->client, names[kind], &o, NULL);
    else if (draw(8) == 0)
        ENDS(*q, tenure_queue_close);
    else if (draw(2))
        tenure_queue_put_start(*q, tenure_str("v"), &po, on_done, NULL, NULL);
    else if (!ENDS(*w, tenure_wait_stop))
        *w = tenure_queue_take_start(*q, draw(2) ? 0 : draw(4000), on_item, NULL, NULL);
}

static void use_election(struct program *p)
{
    struct tenure_election_options o = {.size = sizeof o, .ttl_s = 5};
    struct tenure_observer_options oo = {.size = sizeof oo};
    if (draw(3) == 0) {
        if (!ENDS(p->observer, tenure_observer_stop))
            p->observer = tenure_observer_start(p->client, "e", &oo, NULL);
    } else if (!ENDS(p->election, tenure_election_stop)) {
        p->election = tenure_election_start(p->client, "e", &o, NULL);
    }
}

static void use_group(struct program *p)
{
    struct tenure_presence_options o = {
        .size = sizeof o, .ttl_s = draw(2) ? 5 : 0, .conflict = (enum tenure_conflict)draw(3)};
    struct tenure_group_watch_options wo = {.size = sizeof wo};
    if (draw(3) == 0) {
        if (!ENDS(p->group, tenure_group_watch_stop))
            p->group = tenure_group_watch_start(p->client, "g", &wo, NULL);
    } else if (!ENDS(p->presence, tenure_presence_stop)) {
        p->presence = tenure_group_join(p->client, NULL, "g", draw(2) ? "m" : NULL, "d", &o, NULL);
    }
}

static void use_cron(struct program *p)
{
    struct tenure_cron_options o = {
        .size = sizeof o, .schedule = "@every 10s", .ttl_s = draw(2) ? 5 : 0, .on_run = on_run};
    if (!ENDS(p->cron, tenure_cron_stop))
        p->cron = tenure_cron_start(p->client, "job", &o, NULL);
}

static void leave_round(tenure_double_barrier *round)
{
    tenure_double_barrier_leave_start(round, 0);
}

static void use_barriers(struct program *p)
{
    struct tenure_double_barrier_options o = {.size = sizeof o, .timeout_ms = 4000, .ttl_s = 5};
    tenure_wait **w = &p->waits[draw(WAITS)];
    switch (draw(5)) {
    case 0:
        if (!ENDS(p->round, leave_round))
            p->round = tenure_double_barrier_enter_start(p->client, "round", 2, &o, NULL);
        break;
    case 1:
        if (!ENDS(*w, tenure_wait_stop))
            *w = tenure_barrier_wait_start(p->client, "door", NULL, on_done, NULL, NULL);
        break;
    case 2:
        tenure_barrier_hold_start(p->client, "door", NULL, on_done, NULL, NULL);
        break;
    case 3:
        tenure_barrier_release_start(p->client, "door", NULL, on_done, NULL, NULL);
        break;
    case 4:
        tenure_latch_arrive_start(p->client, "latch", 5, NULL, NULL, on_latch, NULL, NULL);
        break;
    }
}

static void use_keys(struct program *p)
{
    struct tenure_watch_options o = {.size = sizeof o, .prefix = true, .on_events = on_events, .resync = draw(2)};
    struct tenure_session_options so = {.size = sizeof so, .ttl_s = 5, .heartbeat_ms = draw(2) ? 2000 : 0};
    switch (draw(4)) {
    case 0:
        tenure_put_start(p->client, tenure_str("k"), tenure_str("v"), NULL, on_put, NULL, NULL);
        break;
    case 1:
        tenure_counter_add_start(p->client, "n", 1, NULL, on_number, NULL, NULL);
        break;
    case 2:
        if (!ENDS(p->watch, tenure_watch_stop))
            p->watch = tenure_watch_start(p->client, tenure_str("/"), &o, NULL);
        break;
    case 3:
        if (!ENDS(p->session, tenure_session_close_start))
            p->session = tenure_session_start(p->client, &so, NULL);
        break;
    }
}

static void act(struct program *p)
{
    static void (*const uses[])(struct program *) = {use_locks, use_several,  use_queues, use_election, use_group,
                                                     use_cron,  use_barriers, use_keys,   use_queues,   use_locks};
    uses[draw(10)](p);
}

/* ---- what breaks ---- */

static void open_program(struct program *p)
{
    struct tenure_options o = {.size = sizeof o,
                               .call_timeout_ms = 2000,
                               .close_timeout_ms = 3000,
                               .session_ttl_s = 5,
                               .discover_ms = draw(2) ? 1000 : 0,
                               .exact_guarded = (int)draw(2)};
    *p = (struct program){.client = tenure_testkit_client(kit, &o, NULL)};
    assert_non_null(p->client);
}

static void delete_some_key(void)
{
    struct tenure_get_options o = {.size = sizeof o, .prefix = true};
    struct tenure_get_result *r = NULL;
    if (tenure_testkit_get(kit, tenure_str("/"), &o, &r, NULL) == 0 && r->n_kvs)
        tenure_testkit_delete(kit, r->kvs[draw((unsigned)r->n_kvs)].key, NULL);
    tenure_get_free(r);
}

static void break_client(struct program *p)
{
    switch (draw(8)) {
    case 0:
        tenure_testkit_cut(kit, p->client);
        break;
    case 1:
        tenure_testkit_partition(kit, p->client);
        break;
    case 2:
        tenure_testkit_stop(kit, p->client);
        p->is_stopped = true;
        break;
    case 3:
        tenure_testkit_lose_reply(kit, p->client);
        break;
    case 4:
        tenure_testkit_lose_sessions(kit, p->client);
        break;
    case 5:
        tenure_testkit_delay(kit, p->client, draw(100));
        break;
    case 6:
        delete_some_key();
        break;
    case 7:
        if (draw(2))
            tenure_testkit_kill(kit, p->client);
        tenure_close(p->client);
        open_program(p);
        break;
    }
}

static void heal_client(struct program *p)
{
    tenure_testkit_heal(kit, p->client);
    tenure_testkit_continue(kit, p->client);
    p->is_stopped = false;
}

static void break_server(void)
{
    switch (draw(4)) {
    case 0:
        tenure_testkit_restart(kit, NULL);
        break;
    case 1:
        tenure_testkit_disk(kit, (enum tenure_testkit_disk)draw(3));
        break;
    case 2:
        tenure_testkit_compact(kit, 0, NULL);
        break;
    case 3:
        tenure_testkit_server_down(kit);
        break;
    }
}

static void heal_server(void)
{
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    tenure_testkit_server_up(kit, NULL);
}

static void weather(void)
{
    struct program *p = &programs[draw(CLIENTS)];
    switch (draw(10)) {
    case 0:
    case 1:
        break_client(p);
        break;
    case 2:
    case 3:
        heal_client(p);
        break;
    case 4:
        break_server();
        break;
    case 5:
    case 6:
        heal_server();
        break;
    default:
        break;
    }
}

/* ---- the storm ---- */

static void run(uint64_t seed)
{
    struct tenure_testkit_options o = {.size = sizeof o, .seed = seed, .sync_ms = (int64_t)(seed % 3)};
    kit = tenure_testkit_new(&o, NULL);
    drawn = seed;
    for (int i = 0; i < CLIENTS; i++)
        open_program(&programs[i]);
    for (int step = 0; step < STEPS; step++) {
        weather();
        for (int i = 0; i < CLIENTS; i++)
            if (!programs[i].is_stopped)
                act(&programs[i]);
        if (tenure_testkit_run(kit) != 0)
            fail_msg("seed %llu, step %d: something is asked for again and again without a pause",
                     (unsigned long long)seed, step);
        tenure_testkit_advance(kit, draw(600));
    }
    heal_server();
    for (int i = 0; i < CLIENTS; i++) {
        heal_client(&programs[i]);
        if (seed % 2)
            tenure_close(programs[i].client);
    }
    tenure_testkit_free(kit);
}

static void nothing_is_hurt_in_a_storm(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_hurt_in_a_storm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
