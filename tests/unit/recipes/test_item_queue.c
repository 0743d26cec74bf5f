/* Queues of items on the model of a server: each item is had once, in order, by who came first, whatever answers are lost
 * and whoever dies. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "failmalloc.h"
#include "recipes/item_queue.h"
#include "recipes/session.h"
#include "story.h"
#include "tenure/error.h"

enum { ASKERS = 6, TTL_S = 4, HAD_MAX = 4096 };

struct asker {
    struct client *c;
    struct session *session;
    struct marks *marks;
    struct item_env env;
    struct errand *errand;
    int ended, code;
    enum tenure_applied applied;
    struct item item; /* with the bytes below */
    char key[256], id[64], value[64];
    int64_t length;
    enum { PUTS, TAKES, SETTLES, COUNTS } what;
    enum item_settle how;
};

static struct asker askers[ASKERS];
static struct asker *const a = &askers[0], *const b = &askers[1], *const c = &askers[2], *const d = &askers[3];
static struct item_keys *keys;
static int64_t wall_ahead;

static int64_t wall(void *user)
{
    (void)user;
    return 1700000000000 + wall_ahead + fake_now();
}

/* ---- who asks ---- */

static tn_ms deadline(const void *object)
{
    const struct asker *k = object;
    tn_ms at = k->session ? session_deadline(k->session) : TN_MS_NEVER;
    tn_ms errand = k->errand ? errand_deadline(k->errand) : TN_MS_NEVER;
    return at < errand ? at : errand;
}

static void tick(void *object, tn_ms now)
{
    struct asker *k = object;
    if (k->session)
        session_tick(k->session, now);
    if (k->errand)
        errand_tick(k->errand, now);
}

static bytes copy(char *to, size_t size, bytes s)
{
    assert_true(s.len < size);
    if (s.len)
        memcpy(to, s.data, s.len);
    to[s.len] = 0;
    return bytes_of(to, s.len);
}

static void on_done(void *user, struct errand *t, int code, const struct tenure_error *error)
{
    struct asker *k = user;
    k->ended++;
    k->code = code;
    k->applied = error->applied;
    if (k->what == TAKES && code == 0) {
        k->item = *item_taken(t);
        k->item.key = copy(k->key, sizeof k->key, k->item.key);
        k->item.id = copy(k->id, sizeof k->id, k->item.id);
        k->item.value = copy(k->value, sizeof k->value, k->item.value);
    }
    if (k->what == COUNTS)
        k->length = item_counted(t);
    k->errand = errand_free(t, fake_now());
}

static void join(struct asker *k)
{
    struct session_options o = {.ttl_s = TTL_S};
    assert_int_equal(session_open(k->c, &o, NULL, NULL, fake_now(), &k->session, NULL), 0);
    assert_int_equal(marks_new(k->session, NULL, &k->marks), 0);
    k->env = (struct item_env){.client = k->c, .keys = keys, .marks = k->marks, .session = k->session, .wall = wall};
}

static void part(struct asker *k)
{
    if (!k->c)
        return;
    k->errand = errand_free(k->errand, fake_now());
    k->marks = marks_free(k->marks);
    k->session = session_free(k->session);
}

static void begin_kind(enum item_kind kind)
{
    static const char *const names[] = {"A", "B", "C", "D", "E", "F"};
    fake_begin();
    wall_ahead = 0;
    keys = item_keys_new(kind, NULL, "q", NULL);
    assert_non_null(keys);
    for (size_t i = 0; i < ASKERS; i++) {
        askers[i] = (struct asker){.c = fake_client(names[i])};
        fake_add_ticker(askers[i].c, deadline, tick, &askers[i]);
        join(&askers[i]);
    }
    fake_run(20);
}

static int end(void **state)
{
    (void)state;
    fake_set_judge(NULL, NULL);
    for (size_t i = 0; i < ASKERS; i++) {
        part(&askers[i]);
        fake_remove_ticker(&askers[i]);
    }
    free(keys);
    fake_run(60000);
    fake_end();
    return 0;
}

static int begin_fifo(void **state)
{
    (void)state;
    begin_kind(ITEM_FIFO);
    return 0;
}

static int begin_priority(void **state)
{
    (void)state;
    begin_kind(ITEM_PRIORITY);
    return 0;
}

static int begin_delay(void **state)
{
    (void)state;
    begin_kind(ITEM_DELAY);
    return 0;
}

static int begin_work(void **state)
{
    (void)state;
    begin_kind(ITEM_WORK);
    return 0;
}

static void start(struct asker *k, struct errand *t, int what)
{
    assert_non_null(t);
    assert_null(k->errand);
    k->errand = t;
    k->what = what;
    k->ended = 0;
    errand_start(t, fake_now());
}

static void put_with(struct asker *k, const struct item_put *o)
{
    start(k, item_put(&k->env, o, fake_now() + 5000, on_done, k, NULL), PUTS);
}

static void put(struct asker *k, const char *value)
{
    struct item_put o = {.value = bytes_str(value)};
    put_with(k, &o);
}

static void take_with(struct asker *k, const struct item_take *o, int64_t ms)
{
    start(k, item_take(&k->env, o, ms ? fake_now() + ms : TN_MS_NEVER, on_done, k, NULL), TAKES);
}

static void take(struct asker *k)
{
    struct item_take o = {0};
    take_with(k, &o, 0);
}

static void try_take(struct asker *k)
{
    struct item_take o = {.try_only = true};
    take_with(k, &o, 0);
}

static void settle_at(struct asker *k, enum item_settle how, int64_t due_ms, int64_t most)
{
    struct item_settlement o = {.how = how, .item = &k->item, .due_ms = due_ms, .deliveries_max = most};
    k->how = how;
    start(k, item_settle(&k->env, &o, fake_now() + 5000, on_done, k, NULL), SETTLES);
}

static void settle(struct asker *k, enum item_settle how)
{
    settle_at(k, how, 0, 0);
}

static void ends(struct asker *k, int code)
{
    fake_run(60);
    if (k->ended != 1 || k->code != code)
        fail_msg("ended %d times, with %d instead of %d", k->ended, k->code, code);
}

static void gets(struct asker *k, const char *value)
{
    ends(k, 0);
    assert_string_equal(k->value, value);
}

static size_t keys_under(const char *prefix)
{
    struct kv kv;
    size_t n = 0;
    for (size_t i = 0; fake_key(i, &kv); i++)
        n += bytes_has_prefix(kv.key, bytes_str(prefix));
    return n;
}

/* ---- plain queues ---- */

static void items_come_out_in_the_order_in_which_they_went_in(void **state)
{
    (void)state;
    static const char *const values[] = {"one", "two", "", "four"};
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        put(a, values[i]);
        ends(a, 0);
    }
    start(a, item_length(&a->env, TN_MS_NEVER, on_done, a, NULL), COUNTS);
    ends(a, 0);
    assert_int_equal(a->length, 4);
    struct item_take peek = {.peek = true};
    take_with(b, &peek, 0);
    gets(b, "one");
    for (size_t i = 0; i < ARRAY_LEN(values); i++) {
        try_take(b);
        gets(b, values[i]);
    }
    try_take(b);
    ends(b, TENURE_ENOTFOUND);
    assert_int_equal(keys_under("/queues"), 0);
}

/* Go's recipe and etcdctl put any key below the queue's. */
static void items_of_other_programs_are_items(void **state)
{
    (void)state;
    fake_put("/queues/q/1700000000000000000", "go", 0);
    fake_put("/queues/q/by/hand", "hand", 0);
    try_take(a);
    gets(a, "go");
    try_take(a);
    gets(a, "hand");
    take(a);
    fake_run(100);
    fake_put("/queues/q/another", "later", 0);
    gets(a, "later");
}

static void who_waits_is_served_in_the_order_of_coming(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++) {
        take(&askers[i]);
        fake_run(50);
    }
    for (int i = 0; i < 5; i++) {
        char value[16];
        snprintf(value, sizeof value, "v%d", i);
        put(&askers[5], value);
        ends(&askers[5], 0);
        gets(&askers[i], value);
        for (int j = i + 1; j < 5; j++)
            assert_int_equal(askers[j].ended, 0);
    }
    assert_int_equal(keys_under("/queues"), 0);
}

static void a_put_wakes_one_who_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        take(&askers[i]);
    fake_run(200);
    unsigned wakes = fake_wakes(), requests = fake_requests();
    fake_run(60000);
    assert_int_equal(fake_wakes(), wakes);
    unsigned renewals_aside = fake_requests();
    assert_int_equal(renewals_aside, requests); /* nobody polls */
    put(&askers[5], "x");
    ends(&askers[5], 0);
    fake_run(100);
    assert_true(fake_wakes() - wakes <= 3); /* the first in line, and its successor */
}

static void a_take_times_out_and_leaves_nothing(void **state)
{
    (void)state;
    struct item_take o = {0};
    take_with(a, &o, 500);
    fake_run(400);
    assert_int_equal(a->ended, 0);
    fake_run(200);
    assert_int_equal(a->code, TENURE_ETIMEOUT);
    assert_int_equal(a->applied, TENURE_APPLIED_NO);
    put(b, "x");
    ends(b, 0);
    fake_run(1000);
    assert_int_equal(keys_under("/queues/q/"), 1);
    assert_int_equal(keys_under("/queues.line/"), 0);
}

static void a_take_that_is_stopped_at_any_moment_has_the_item_or_leaves_it(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++)
        for (int ms = 0; ms < 12; ms++) {
            if (waits)
                take(a);
            fake_run(50);
            put(b, "x");
            if (!waits)
                ends(b, 0);
            if (!waits)
                take(a);
            fake_run(ms);
            if (a->errand)
                errand_stop(a->errand, TENURE_ECANCELLED, fake_now());
            fake_run(200);
            assert_int_equal(a->ended, 1);
            assert_int_equal(b->code, 0);
            size_t left = keys_under("/queues/q/");
            assert_int_equal(left, a->code == 0 ? 0 : 1);
            if (left) {
                try_take(c);
                gets(c, "x");
            }
        }
}

static void a_full_queue_says_so_and_is_never_overfull(void **state)
{
    (void)state;
    struct item_put o = {.value = bytes_str("x"), .length_max = 3};
    for (int i = 0; i < ASKERS; i++)
        put_with(&askers[i], &o);
    fake_run(300);
    int done = 0;
    for (int i = 0; i < ASKERS; i++) {
        assert_int_equal(askers[i].ended, 1);
        assert_true(askers[i].code == 0 || askers[i].code == TENURE_ELIMIT);
        done += askers[i].code == 0;
    }
    assert_int_equal(done, 3);
    assert_int_equal(keys_under("/queues/q/"), 3);
    try_take(a);
    ends(a, 0);
    put_with(a, &o);
    ends(a, 0);
}

static void a_dead_taker_in_front_holds_the_line_up_for_a_ttl(void **state)
{
    (void)state;
    take(a);
    fake_run(100);
    take(b);
    fake_run(100);
    part(a);
    put(c, "x");
    ends(c, 0);
    fake_run(TTL_S * 1000 + 3000);
    assert_int_equal(b->ended, 1);
    assert_string_equal(b->value, "x");
}

static void a_take_goes_on_over_compaction_and_lost_watches(void **state)
{
    (void)state;
    take(a);
    fake_run(100);
    fake_cut(a->c, true);
    put(b, "x");
    ends(b, 0);
    fake_compact();
    fake_cut(a->c, false);
    fake_run(2500);
    assert_int_equal(a->ended, 1);
    assert_string_equal(a->value, "x");
    take(a);
    fake_run(100);
    fake_overflow_watches(a->c);
    fake_run(100);
    put(b, "y");
    ends(b, 0);
    fake_run(2000);
    assert_string_equal(a->value, "y");
}

/* ---- by priority, by time ---- */

static void the_lowest_number_comes_first_and_the_oldest_of_it(void **state)
{
    (void)state;
    static const struct {
        int64_t priority;
        const char *value;
    } puts[] = {{7, "seven"}, {3, "three a"}, {3, "three b"}, {65535, "last"}, {0, "zero"}, {3, "three c"}};
    static const char *const order[] = {"zero", "three a", "three b", "three c", "seven", "last"};
    for (size_t i = 0; i < ARRAY_LEN(puts); i++) {
        struct item_put o = {.value = bytes_str(puts[i].value), .priority = puts[i].priority};
        put_with(a, &o);
        ends(a, 0);
    }
    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        try_take(b);
        gets(b, order[i]);
    }
    assert_int_equal(b->item.priority, 65535);
    struct item_put o = {.priority = 65536};
    assert_null(item_put(&a->env, &o, TN_MS_NEVER, on_done, a, NULL));
}

/* A more urgent item that is put at any moment of a take comes first, if it was there before the take was done. */
static void a_more_urgent_item_is_not_passed_over(void **state)
{
    (void)state;
    for (int ms = 0; ms < 10; ms++) {
        struct item_put late = {.value = bytes_str("late"), .priority = 9}, soon = {.value = bytes_str("soon")};
        struct kv kv;
        put_with(a, &late);
        ends(a, 0);
        try_take(b);
        fake_run(ms);
        put_with(c, &soon);
        fake_run(100);
        assert_int_equal(b->code, 0);
        if (strcmp(b->value, "late") == 0) { /* then it was taken before the other one was put */
            assert_true(fake_get(bytes_str("/queues/q/00000"), &kv) || keys_under("/queues/q/00000/") == 1);
        }
        try_take(b);
        fake_run(100);
        assert_int_equal(b->code, 0);
        assert_int_equal(keys_under("/queues/q/"), 0);
    }
}

static void what_is_due_before_is_not_passed_over(void **state)
{
    (void)state;
    for (int ms = 0; ms < 10; ms++) {
        struct item_put late = {.value = bytes_str("late"), .due_ms = wall(NULL) - 10};
        char key[64];
        put_with(a, &late);
        ends(a, 0);
        try_take(b);
        fake_run(ms);
        bool was_taken = keys_under("/queues/q/") == 0;
        snprintf(key, sizeof key, "/queues/q/%016lld/x", (long long)wall(NULL) - 5000);
        fake_put(key, "soon", 0);
        fake_run(100);
        assert_int_equal(b->code, 0);
        assert_string_equal(b->value, was_taken ? "late" : "soon");
        try_take(b);
        fake_run(100);
        assert_int_equal(b->code, 0);
        assert_int_equal(keys_under("/queues/q/"), 0);
    }
}

static void an_item_is_not_given_out_before_it_is_due(void **state)
{
    (void)state;
    struct item_put later = {.value = bytes_str("later"), .due_ms = wall(NULL) + 5000};
    struct item_put sooner = {.value = bytes_str("sooner"), .due_ms = wall(NULL) + 2000};
    put_with(a, &later);
    ends(a, 0);
    try_take(b);
    ends(b, TENURE_ENOTFOUND);
    take(b);
    fake_run(500);
    put_with(a, &sooner);
    ends(a, 0);
    fake_run(1100);
    assert_int_equal(b->ended, 0);
    fake_run(400);
    assert_int_equal(b->ended, 1);
    assert_string_equal(b->value, "sooner");
    assert_true(wall(NULL) >= sooner.due_ms);
    take(b);
    fake_run(2000);
    wall_ahead = -1000; /* the taker's clock is set back */
    fake_run(1300);
    assert_int_equal(b->ended, 0);
    fake_run(1200);
    assert_int_equal(b->ended, 1);
    assert_true(wall(NULL) >= later.due_ms);
}

/* ---- work ---- */

static void work_is_gone_when_it_is_acknowledged(void **state)
{
    (void)state;
    put(a, "job");
    ends(a, 0);
    take(b);
    gets(b, "job");
    assert_int_equal(b->item.deliveries, 1);
    assert_true(b->item.token > 0);
    try_take(c);
    ends(c, TENURE_ENOTFOUND);
    assert_int_equal(keys_under("/queues/q/claims/"), 1);
    settle(b, ITEM_EXTEND);
    ends(b, 0);
    settle(b, ITEM_ACK);
    ends(b, 0);
    assert_int_equal(keys_under("/queues"), 0);
    settle(b, ITEM_ACK);
    ends(b, TENURE_ELOST);
}

static void work_of_one_who_dies_is_given_to_the_next(void **state)
{
    (void)state;
    put(a, "first");
    ends(a, 0);
    put(a, "second");
    ends(a, 0);
    take(b);
    gets(b, "first");
    tn_rev token = b->item.token;
    struct item stale = b->item;
    part(b);
    take(c);
    gets(c, "second");
    take(d);
    fake_run(TTL_S * 1000 + 3000);
    assert_int_equal(d->ended, 1);
    assert_string_equal(d->value, "first");
    assert_int_equal(d->item.deliveries, 2);
    assert_true(d->item.token > token);
    struct item_settlement o = {.how = ITEM_ACK, .item = &stale}; /* the dead one comes back */
    start(a, item_settle(&a->env, &o, fake_now() + 5000, on_done, a, NULL), SETTLES);
    ends(a, TENURE_ELOST);
    settle(d, ITEM_ACK);
    ends(d, 0);
    settle(c, ITEM_ACK);
    ends(c, 0);
    assert_int_equal(keys_under("/queues"), 0);
}

static void work_that_is_given_back_comes_again(void **state)
{
    (void)state;
    put(a, "job");
    ends(a, 0);
    for (int i = 1; i <= 3; i++) {
        take(b);
        gets(b, "job");
        assert_int_equal(b->item.deliveries, i);
        settle(b, ITEM_NACK);
        ends(b, 0);
    }
    take(b);
    gets(b, "job");
    settle_at(b, ITEM_NACK, wall(NULL) + 3000, 0);
    ends(b, 0);
    try_take(c);
    ends(c, TENURE_ENOTFOUND);
    take(c);
    fake_run(2500);
    assert_int_equal(c->ended, 0);
    fake_run(600);
    assert_int_equal(c->ended, 1);
    assert_int_equal(c->item.deliveries, 5);
    settle_at(c, ITEM_NACK, 0, 5);
    ends(c, 0);
    struct kv kv;
    assert_int_equal(keys_under("/queues/q/dead/"), 1);
    assert_int_equal(keys_under("/queues/q/"), 1);
    for (size_t i = 0; fake_key(i, &kv); i++)
        if (bytes_has_prefix(kv.key, bytes_str("/queues/q/dead/")))
            assert_true(bytes_equal(kv.value, bytes_str("job")));
}

static void work_that_kills_its_workers_is_buried(void **state)
{
    (void)state;
    struct item_take o = {.deliveries_max = 2};
    put(a, "poison");
    ends(a, 0);
    for (int i = 1; i <= 2; i++) {
        take_with(&askers[i], &o, 0);
        gets(&askers[i], "poison");
        part(&askers[i]);
        fake_run(TTL_S * 1000 + 3000);
    }
    put(a, "good");
    ends(a, 0);
    take_with(d, &o, 0);
    gets(d, "good");
    assert_int_equal(keys_under("/queues/q/dead/"), 1);
    assert_int_equal(keys_under("/queues/q/taken/"), 1);
    assert_int_equal(keys_under("/queues/q/items/"), 1);
}

static void a_claim_with_a_time_of_its_own_runs_out(void **state)
{
    (void)state;
    struct item_take o = {.claim_ms = 3000};
    put(a, "job");
    ends(a, 0);
    take_with(b, &o, 0);
    gets(b, "job");
    for (int i = 0; i < 5; i++) {
        fake_run(1500);
        settle(b, ITEM_EXTEND);
        ends(b, 0);
    }
    try_take(c);
    ends(c, TENURE_ENOTFOUND);
    take_with(c, &o, 0);
    fake_run(4000);
    assert_int_equal(c->ended, 1);
    assert_int_equal(c->item.deliveries, 2);
    settle(b, ITEM_ACK);
    ends(b, TENURE_ELOST);
    settle(b, ITEM_EXTEND);
    ends(b, TENURE_ELOST);
    settle(c, ITEM_ACK);
    ends(c, 0);
    assert_int_equal(fake_leases(), ASKERS); /* claims' leases are gone with them */
    o.claim_ms = 2500;
    assert_null(item_take(&a->env, &o, TN_MS_NEVER, on_done, a, NULL));
}

/* ---- faults ---- */

struct plan {
    unsigned nth;
    enum fake_fault fault;
    unsigned seen;
};

static enum fake_fault judge_nth(void *user, struct client *client, unsigned n, const char *what)
{
    struct plan *p = user;
    (void)client;
    (void)n;
    (void)what;
    return p->seen++ == p->nth ? p->fault : FAKE_FINE;
}

static const enum fake_fault faults[] = {FAKE_LOSE_REQUEST, FAKE_LOSE_REPLY, FAKE_LATE,
                                         FAKE_OVERTAKEN,    FAKE_SLOW,       FAKE_UNAVAILABLE};

static void once_with_a_fault_at_each_call(bool works)
{
    for (size_t f = 0; f < ARRAY_LEN(faults); f++)
        for (unsigned nth = 0; nth < 8; nth++) {
            struct plan plan = {.nth = nth, .fault = faults[f]};
            take(b);
            fake_run(50);
            fake_set_judge(judge_nth, &plan);
            put(a, "x");
            fake_run(3500);
            if (a->code || b->ended != 1 || b->code)
                fail_msg("fault %zu at call %u: put %d, take %d, %d", f, nth, a->code, b->ended, b->code);
            if (works) {
                settle(b, ITEM_ACK);
                fake_run(3500);
                assert_int_equal(b->code, 0);
            }
            fake_set_judge(NULL, NULL);
            if (keys_under("/queues/q/") != 0)
                fail_msg("fault %zu at call %u: it is there again", f, nth);
        }
}

static void an_item_is_had_once_with_a_fault_at_each_call(void **state)
{
    (void)state;
    once_with_a_fault_at_each_call(false);
}

static void work_is_done_once_with_a_fault_at_each_call(void **state)
{
    (void)state;
    once_with_a_fault_at_each_call(true);
}

/* ---- everything at once ---- */

struct chaos {
    struct rng rng;
    unsigned percent;
    bool works, unmarked, unguarded;
    int had[HAD_MAX], acked[HAD_MAX]; /* by the number of the item */
    bool put_done[HAD_MAX];           /* said to be done */
    bool never[HAD_MAX];              /* said not to be done */
    int n;
    int end_of_takers; /* askers from 2 up to it take */
    int last_of[2];    /* the newest number that was had of each putter */
    bool out_of_order;
};

static enum fake_fault judge_chaos(void *user, struct client *client, unsigned n, const char *what)
{
    struct chaos *k = user;
    (void)client;
    (void)n;
    (void)what;
    if (rng_below(&k->rng, 100) >= k->percent)
        return FAKE_FINE;
    return faults[rng_below(&k->rng, ARRAY_LEN(faults))];
}

static bool chance(struct chaos *k, unsigned percent)
{
    return rng_below(&k->rng, 100) < percent;
}

static void note_had(struct chaos *k, struct asker *who)
{
    int number = atoi(who->value);
    int putter = number % 2;
    k->had[number]++;
    if (number < k->last_of[putter] && !k->works && k->end_of_takers == 3)
        k->out_of_order = true; /* of several takers it is not known who was told first */
    k->last_of[putter] = number;
}

/* It has the claim still, as far as it knows. */
static bool must_settle_again(const struct asker *who)
{
    return !who->errand && who->ended == 1 && who->what == SETTLES && who->code && who->code != TENURE_ELOST;
}

/* Putters are 0 and 1, takers the others. */
static void chaos_step(struct chaos *k)
{
    for (int i = 0; i < 2; i++) {
        struct asker *who = &askers[i];
        if (who->ended == 1 && who->what == PUTS) {
            int number = who->item.priority > 0 ? (int)who->item.priority - 1 : 0;
            k->put_done[number] = who->code == 0;
            k->never[number] = who->code != 0 && who->applied == TENURE_APPLIED_NO;
            who->ended = 0;
        }
        if (!who->errand && chance(k, 50) && k->n + 2 < HAD_MAX) {
            char value[16];
            int number = k->n - k->n % 2 + i;
            k->n += 2;
            snprintf(value, sizeof value, "%d", number);
            who->item.priority = number + 1;
            struct item_put o = {.value = bytes_str(value), .broken_unmarked = k->unmarked};
            put_with(who, &o);
        }
    }
    for (int i = 2; i < k->end_of_takers; i++) {
        struct asker *who = &askers[i];
        bool took = !who->errand && who->ended == 1 && who->what == TAKES && who->code == 0;
        if (took)
            note_had(k, who);
        if (!who->errand && who->ended == 1 && who->what == SETTLES && who->code == 0 && who->how == ITEM_ACK)
            k->acked[atoi(who->value)]++;
        bool again = must_settle_again(who);
        if (!who->errand)
            who->ended = 0;
        struct item_take o = {.broken_unguarded = k->unguarded};
        if (again)
            settle(who, ITEM_ACK);
        else if (took && k->works)
            settle(who, chance(k, 80) ? ITEM_ACK : ITEM_NACK);
        else if (!who->errand && chance(k, 60))
            take_with(who, &o, chance(k, 30) ? 300 : 0);
        else if (who->errand && who->what == TAKES && chance(k, 5))
            errand_stop(who->errand, TENURE_ECANCELLED, fake_now());
    }
}

static void drain(struct chaos *k)
{
    fake_set_judge(NULL, NULL);
    int quiet = 0; /* what was taken last must be told, too */
    for (int round = 0; round < 4000 && quiet < 50; round++) {
        quiet = keys_under("/queues/q/") ? 0 : quiet + 1;
        for (int i = 0; i < k->end_of_takers; i++) {
            struct asker *who = &askers[i];
            if (!who->errand && who->ended == 1 && who->what == TAKES && who->code == 0) {
                note_had(k, who);
                who->ended = 0;
                if (k->works)
                    settle(who, ITEM_ACK);
                continue;
            }
            if (!who->errand && who->ended == 1 && who->what == SETTLES && who->code == 0 && who->how == ITEM_ACK)
                k->acked[atoi(who->value)]++;
            if (i < 2 && who->ended == 1 && who->what == PUTS) {
                k->put_done[who->item.priority - 1] = who->code == 0;
                k->never[who->item.priority - 1] = who->code != 0 && who->applied == TENURE_APPLIED_NO;
            }
            bool again = must_settle_again(who);
            if (!who->errand) {
                who->ended = 0;
                if (again)
                    settle(who, ITEM_ACK);
                else if (i >= 2)
                    try_take(who);
            }
        }
        fake_run(50);
    }
}

/* Answers what was wrong, or NULL. */
static const char *run_chaos(struct chaos *k, uint64_t seed)
{
    rng_init(&k->rng, seed);
    k->last_of[0] = k->last_of[1] = -1;
    fake_set_judge(judge_chaos, k);
    for (int step = 0; step < 100; step++) {
        chaos_step(k);
        fake_run((tn_ms)rng_below(&k->rng, 60));
    }
    drain(k);
    if (k->out_of_order)
        return "an item of one putter overtook an earlier one of his";
    for (int i = 0; i < k->n; i++) {
        if (!k->works && k->had[i] > 1)
            return "an item was had twice";
        if (k->works && k->acked[i] > 1)
            return "an item was acknowledged twice";
        if (k->put_done[i] && (k->works ? k->acked[i] : k->had[i]) == 0)
            return "an item was lost";
        if (k->never[i] && k->had[i])
            return "an item was put that was said not to be";
    }
    return NULL;
}

static const char *chaos(enum item_kind kind, uint64_t seed, bool unmarked, bool unguarded)
{
    struct chaos *k = calloc(1, sizeof *k);
    assert_non_null(k);
    *k = (struct chaos){.percent = seed % 3 ? 15 : 40,
                        .works = kind == ITEM_WORK,
                        .end_of_takers = seed % 4 ? ASKERS : 3,
                        .unmarked = unmarked,
                        .unguarded = unguarded};
    begin_kind(kind);
    const char *wrong = run_chaos(k, seed);
    end(NULL);
    free(k);
    return wrong;
}

static void all_seeds(enum item_kind kind)
{
    const char *one = getenv("TENURE_TEST_SEED");
    for (uint64_t seed = one ? strtoull(one, NULL, 10) : 1; seed <= (one ? strtoull(one, NULL, 10) : 60); seed++) {
        const char *wrong = chaos(kind, seed, false, false);
        if (wrong)
            fail_msg("TENURE_TEST_SEED=%llu: %s", (unsigned long long)seed, wrong);
    }
}

static void nothing_is_lost_or_doubled_whatever_happens(void **state)
{
    (void)state;
    all_seeds(ITEM_FIFO);
    all_seeds(ITEM_PRIORITY);
}

static void work_is_neither_lost_nor_done_twice_whatever_happens(void **state)
{
    (void)state;
    all_seeds(ITEM_WORK);
}

static void a_put_without_its_mark_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        if (chaos(ITEM_FIFO, seed, true, false))
            return;
    fail_msg("no seed found what was broken");
}

static void a_take_without_its_guard_is_found(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++)
        if (chaos(ITEM_FIFO, seed, false, true))
            return;
    fail_msg("no seed found what was broken");
}

/* The marks are on another session than the place in the line. */
static void a_take_that_waits_outlives_its_marks(void **state)
{
    (void)state;
    take(a);
    fake_run(100);
    a->marks = marks_free(a->marks);
    put(b, "x");
    ends(b, 0);
    ends(a, TENURE_ELOST);
    assert_int_equal(a->applied, TENURE_APPLIED_NO);
    assert_int_equal(keys_under("/queues/q/"), 1);
}

static void marks_that_went_do_not_end_a_claim(void **state)
{
    (void)state;
    put(b, "x");
    ends(b, 0);
    take(a);
    gets(a, "x");
    struct marks *held = marks_ref(a->marks);
    a->marks = marks_free(a->marks);
    settle(a, ITEM_ACK);
    ends(a, TENURE_EUNAVAILABLE);
    assert_int_equal(a->applied, TENURE_APPLIED_NO);
    a->env.marks = marks_unref(held);
    assert_int_equal(marks_new(a->session, NULL, &a->marks), 0);
    a->env.marks = a->marks;
    settle(a, ITEM_ACK);
    ends(a, 0);
}

static enum fake_fault lose_first_txn(void *user, struct client *client, unsigned n, const char *what)
{
    bool first = strncmp(what, "txn", 3) == 0 && (*(int *)user)++ == 0;
    (void)client, (void)n;
    return first ? FAKE_LOSE_REPLY : FAKE_FINE;
}

/* Whether it was carried out nobody can tell any more; that the claim has ended is not said. */
static void an_acknowledgement_whose_marks_are_lost_says_maybe(void **state)
{
    (void)state;
    int txns = 0;
    put(b, "x");
    ends(b, 0);
    take(a);
    gets(a, "x");
    a->env.marks = d->marks;
    fake_set_judge(lose_first_txn, &txns);
    settle(a, ITEM_ACK);
    fake_run(5);
    assert_int_equal(keys_under("/queues"), 0);
    assert_true(fake_revoke(session_lease(d->session)));
    ends(a, TENURE_EUNAVAILABLE);
    assert_int_equal(a->applied, TENURE_APPLIED_MAYBE);
    a->env.marks = a->marks;
}

/* ---- no memory ---- */

static bool try_start(struct asker *k, struct errand *t, int what)
{
    if (t)
        start(k, t, what);
    fake_run(300);
    return t && k->ended == 1 && k->code == 0;
}

static bool try_join(struct asker *k, const char *name)
{
    struct session_options o = {.ttl_s = TTL_S};
    *k = (struct asker){.c = fake_client(name)};
    fake_add_ticker(k->c, deadline, tick, k);
    if (session_open(k->c, &o, NULL, NULL, fake_now(), &k->session, NULL) || marks_new(k->session, NULL, &k->marks))
        return false;
    k->env = (struct item_env){.client = k->c, .keys = keys, .marks = k->marks, .session = k->session, .wall = wall};
    fake_run(50);
    return true;
}

static bool goes_round(enum item_kind kind)
{
    struct item_put put = {.value = bytes_str("job"), .priority = 3, .length_max = 5};
    struct item_take wait = {0}, try = {.try_only = true, .claim_ms = kind == ITEM_WORK ? 3000 : 0};
    bool fine = try_start(a, item_put(&a->env, &put, fake_now() + 5000, on_done, a, NULL), PUTS);
    fine = fine && try_start(b, item_take(&b->env, &try, TN_MS_NEVER, on_done, b, NULL), TAKES);
    struct item_settlement ack = {.how = ITEM_ACK, .item = &b->item};
    if (fine && kind == ITEM_WORK)
        fine = try_start(b, item_settle(&b->env, &ack, fake_now() + 5000, on_done, b, NULL), SETTLES);
    if (!fine)
        return false;
    struct errand *t = item_take(&b->env, &wait, TN_MS_NEVER, on_done, b, NULL);
    try_start(b, t, TAKES); /* in line */
    fine = t && try_start(a, item_put(&a->env, &put, fake_now() + 5000, on_done, a, NULL), PUTS);
    fake_run(2000);
    return fine && b->ended == 1 && b->code == 0;
}

static int a_round_without_memory(void *user)
{
    enum item_kind kind = *(enum item_kind *)user;
    fake_begin();
    keys = item_keys_new(kind, NULL, "q", NULL);
    bool fine = keys && try_join(a, "A");
    if (fine)
        fine = try_join(b, "B") && goes_round(kind);
    for (struct asker *k = a; k <= b; k++) {
        part(k);
        fake_remove_ticker(k);
        *k = (struct asker){0};
    }
    free(keys);
    fake_run(60000);
    fake_end();
    return fine ? 0 : TENURE_ENOMEM;
}

static void without_memory_it_ends_and_loses_none(void **state)
{
    static enum item_kind kinds[] = {ITEM_FIFO, ITEM_PRIORITY, ITEM_DELAY, ITEM_WORK};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        *a = *b = (struct asker){0};
        assert_true(failmalloc_sweep(a_round_without_memory, &kinds[i]) > 0);
    }
}

#define FIFO(name)     cmocka_unit_test_setup_teardown(name, begin_fifo, end)
#define PRIORITY(name) cmocka_unit_test_setup_teardown(name, begin_priority, end)
#define DELAY(name)    cmocka_unit_test_setup_teardown(name, begin_delay, end)
#define WORK(name)     cmocka_unit_test_setup_teardown(name, begin_work, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIFO(items_come_out_in_the_order_in_which_they_went_in),
        FIFO(items_of_other_programs_are_items),
        FIFO(who_waits_is_served_in_the_order_of_coming),
        FIFO(a_put_wakes_one_who_waits),
        FIFO(a_take_times_out_and_leaves_nothing),
        FIFO(a_take_that_is_stopped_at_any_moment_has_the_item_or_leaves_it),
        FIFO(a_full_queue_says_so_and_is_never_overfull),
        FIFO(a_dead_taker_in_front_holds_the_line_up_for_a_ttl),
        FIFO(a_take_goes_on_over_compaction_and_lost_watches),
        FIFO(a_take_that_waits_outlives_its_marks),
        PRIORITY(the_lowest_number_comes_first_and_the_oldest_of_it),
        PRIORITY(a_more_urgent_item_is_not_passed_over),
        DELAY(what_is_due_before_is_not_passed_over),
        DELAY(an_item_is_not_given_out_before_it_is_due),
        WORK(work_is_gone_when_it_is_acknowledged),
        WORK(work_of_one_who_dies_is_given_to_the_next),
        WORK(work_that_is_given_back_comes_again),
        WORK(work_that_kills_its_workers_is_buried),
        WORK(a_claim_with_a_time_of_its_own_runs_out),
        WORK(marks_that_went_do_not_end_a_claim),
        WORK(an_acknowledgement_whose_marks_are_lost_says_maybe),
        FIFO(an_item_is_had_once_with_a_fault_at_each_call),
        WORK(work_is_done_once_with_a_fault_at_each_call),
        cmocka_unit_test(nothing_is_lost_or_doubled_whatever_happens),
        cmocka_unit_test(work_is_neither_lost_nor_done_twice_whatever_happens),
        cmocka_unit_test(a_put_without_its_mark_is_found),
        cmocka_unit_test(a_take_without_its_guard_is_found),
        cmocka_unit_test(without_memory_it_ends_and_loses_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
