/* Programs of a user on the kit, with faults drawn from a seed: three workers that write under one lock. Whatever happens, no two
 * hold it at a time, no write comes with an older token than the one before (M1, M2), and in the end everybody gets his turn.
 * A lease that is ended by somebody else is not among the faults: then two may believe in it until the first one is told. */
#include "kit_fixture.h"

enum { WORKERS = 3, STEPS = 150, SEEDS = 20 };

struct worker {
    tenure_client *client;
    tenure_lock *lock;
    bool is_held, is_over; /* as told by callbacks */
    int writes;
};

static tenure_testkit *kit;
static struct worker workers[WORKERS];
static tenure_token newest;
static uint64_t drawn;

static unsigned draw(unsigned n)
{
    drawn = drawn * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(drawn >> 33) % n;
}

static void on_acquired(tenure_lock *l, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct worker *w = user;
    (void)l, (void)token, (void)err;
    w->is_held = code == 0;
    w->is_over = code != 0;
}

static void on_lost(tenure_lock *l, const struct tenure_error *why, void *user)
{
    struct worker *w = user;
    (void)l, (void)why;
    w->is_held = false;
    w->is_over = true;
}

static void begin(struct worker *w)
{
    struct tenure_lock_options o = {
        .size = sizeof o, .ttl_s = 5, .on_acquired = on_acquired, .on_lost = on_lost, .user = w};
    w->is_held = w->is_over = false;
    w->lock = tenure_lock_start(w->client, "x", &o, NULL);
    assert_non_null(w->lock);
}

static void let_go(struct worker *w)
{
    tenure_unlock_start(w->lock);
    w->lock = NULL;
    w->is_held = false;
}

static void replace(struct worker *w)
{
    tenure_testkit_kill(kit, w->client);
    tenure_close(w->client);
    *w = (struct worker){.client = client_of(kit), .writes = w->writes};
    begin(w);
}

static void check(void)
{
    int holders = 0;
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];
        if (!w->lock || !tenure_lock_held(w->lock))
            continue;
        holders++;
        assert_true(tenure_lock_token(w->lock) >= newest);
        newest = tenure_lock_token(w->lock);
        w->writes++;
    }
    assert_true(holders <= 1);
}

static void fault(void)
{
    struct worker *w = &workers[draw(WORKERS)];
    switch (draw(14)) {
    case 0:
        tenure_testkit_cut(kit, w->client);
        break;
    case 1:
    case 2:
        tenure_testkit_partition(kit, w->client);
        break;
    case 3:
    case 4:
        tenure_testkit_heal(kit, w->client);
        break;
    case 5:
        tenure_testkit_stop(kit, w->client);
        break;
    case 6:
    case 7:
        tenure_testkit_continue(kit, w->client);
        break;
    case 8:
        tenure_testkit_lose_reply(kit, w->client);
        break;
    case 9:
        tenure_testkit_compact(kit, 0, NULL);
        break;
    case 10:
        tenure_testkit_restart(kit, NULL);
        break;
    case 11:
        tenure_testkit_disk(kit, draw(2) ? TENURE_TESTKIT_DISK_FROZEN : TENURE_TESTKIT_DISK_WORKS);
        break;
    case 12:
        tenure_testkit_delay(kit, w->client, draw(200));
        break;
    case 13:
        replace(w);
        break;
    }
}

static void live(void)
{
    for (int i = 0; i < WORKERS; i++) {
        struct worker *w = &workers[i];
        if ((w->is_held || w->is_over) && draw(4) == 0)
            let_go(w);
        if (!w->lock)
            begin(w);
    }
}

static void heal(void)
{
    tenure_testkit_disk(kit, TENURE_TESTKIT_DISK_WORKS);
    for (int i = 0; i < WORKERS; i++) {
        tenure_testkit_continue(kit, workers[i].client);
        tenure_testkit_heal(kit, workers[i].client);
        workers[i].writes = 0;
    }
}

static void run(uint64_t seed)
{
    kit = kit_new(seed);
    drawn = seed;
    newest = 0;
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (struct worker){.client = client_of(kit)};
        begin(&workers[i]);
    }
    for (int step = 0; step < STEPS; step++) {
        assert_int_equal(tenure_testkit_advance(kit, draw(2000)), 0);
        check();
        fault();
        live();
    }
    heal();
    for (int step = 0; step < 100; step++) {
        tenure_testkit_advance(kit, 1000);
        check();
        live();
    }
    for (int i = 0; i < WORKERS; i++)
        if (workers[i].writes == 0)
            fail_msg("seed %llu: worker %d did not get its turn", (unsigned long long)seed, i);
    tenure_testkit_free(kit);
}

static void workers_exclude_each_other_whatever_happens(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(workers_exclude_each_other_whatever_happens)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
