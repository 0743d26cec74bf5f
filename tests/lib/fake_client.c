/* See fake_client.h. Its processes, its time, and what is told of it; the rest is in the files that fake_machine.h names. */
#include "fake_machine.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct fake_world fake;
struct client_watch *fake_watches[WATCHES_MAX];
static struct happening *happenings[EVENTS_MAX]; /* in the order of time */
static uint8_t *memory;
static size_t memory_used;

/* ---- what there is ---- */

void *fake_take(size_t size)
{
    size = (size + 15) & ~(size_t)15;
    assert_true(size <= MEMORY_BYTES - memory_used);
    void *p = memory + memory_used;
    memory_used += size;
    return memset(p, 0, size);
}

bytes fake_copy_bytes(bytes s)
{
    uint8_t *p = fake_take(s.len + 1);
    if (s.len)
        memcpy(p, s.data, s.len);
    return bytes_of(p, s.len);
}

struct kv fake_copy_kv(const struct kv *kv)
{
    struct kv copy = *kv;
    copy.key = fake_copy_bytes(kv->key);
    copy.value = fake_copy_bytes(kv->value);
    return copy;
}

void fake_begin(void)
{
    static struct past history[HISTORY_MAX];
    static uint8_t all_memory[MEMORY_BYTES] __attribute__((aligned(16)));
    memory = all_memory;
    memory_used = 0;
    memset(&fake, 0, sizeof fake);
    fake.now = 1000;
    fake.history = history;
    fake.revision = 1;
    fake.ttl_min_s = 2;
    fake.next_lease = 0x1000;
}

void fake_at(tn_ms when, void (*happen)(void *what), void *what)
{
    assert_true(fake.n_happenings < EVENTS_MAX);
    struct happening *h = fake_take(sizeof *h);
    *h = (struct happening){
        .at = when < fake.now ? fake.now : when, .order = fake.order++, .happen = happen, .what = what};
    size_t i = fake.n_happenings++;
    while (i > 0 && happenings[i - 1]->at > h->at) { /* kept in order; equal times in order of making */
        happenings[i] = happenings[i - 1];
        i--;
    }
    happenings[i] = h;
}

tn_ms fake_now(void)
{
    return fake.now;
}

/* ---- processes ---- */

struct client *fake_client(const char *name)
{
    assert_true(fake.n_clients < CLIENTS_MAX);
    struct client *c = &fake.clients[fake.n_clients++];
    *c = (struct client){.name = name, .now = fake.now};
    rng_init(&c->rng, fake.n_clients);
    return c;
}

void fake_seed(struct client *c, uint64_t seed)
{
    rng_init(&c->rng, seed);
}

const char *fake_client_name(const struct client *c)
{
    return c->name;
}

tn_ms client_now(const struct client *c)
{
    return c->now;
}

struct client_context *client_context_use(struct client *c, struct client_context *x)
{
    struct client_context *before = c->context;
    c->context = x;
    return before;
}

struct client_context *client_context_now(const struct client *c)
{
    return c->context;
}

void client_endpoint_errors(const struct client *c, char *out, size_t size)
{
    (void)c;
    if (size > 0)
        out[0] = 0;
}

uint64_t client_random(struct client *c)
{
    return rng_u64(&c->rng);
}

void fake_add_ticker(struct client *c, fake_deadline deadline, fake_tick tick, void *object)
{
    assert_true(fake.n_tickers < TICKERS_MAX);
    fake.tickers[fake.n_tickers++] = (struct ticker){c, deadline, tick, object};
}

void fake_remove_ticker(void *object)
{
    for (size_t i = 0; i < fake.n_tickers; i++)
        if (fake.tickers[i].object == object)
            fake.tickers[i].object = NULL;
}

static void forget_removed_tickers(void)
{
    size_t n = 0;
    for (size_t i = 0; i < fake.n_tickers; i++)
        if (fake.tickers[i].object)
            fake.tickers[n++] = fake.tickers[i];
    fake.n_tickers = n;
}

static bool tick_all(struct client *c)
{
    bool any = false;
    for (size_t i = 0; i < fake.n_tickers; i++) {
        struct ticker t = fake.tickers[i];
        if (t.client != c || !t.object || t.deadline(t.object) > fake.now)
            continue;
        t.tick(t.object, fake.now);
        any = true;
    }
    return any;
}

static void poison(struct client_call *call)
{
    if (call->result.code)
        return;
    if (call->kind == CALL_TXN)
        memset(call->txn_resp.responses, 0xdd, call->txn_resp.n_responses * sizeof(struct response_op));
    if (call->kind == CALL_RANGE && call->range_resp.kvs)
        memset(call->range_resp.kvs, 0xdd, call->range_resp.n_kvs * sizeof(struct kv));
}

static bool deliver_calls(struct client *c)
{
    bool any = false;
    while (c->due_from < c->due_to) {
        struct client_call *call = c->due[c->due_from++ % ARRAY_LEN(c->due)];
        call->delivered = true;
        struct client_context *before = client_context_use(c, call->context);
        if (call->cb)
            call->cb(call->user, &call->result);
        client_context_use(c, before);
        call->context = client_context_unref(call->context);
        poison(call);
        any = true;
    }
    return any;
}

static bool deliver_watches(struct client *c)
{
    bool any = false;
    for (size_t i = 0; i < fake.n_watches; i++)
        if (fake_watches[i]->client == c && !c->cut)
            any |= fake_deliver_watch(fake_watches[i]);
    return any;
}

static bool turn(struct client *c)
{
    if (c->paused)
        return false;
    c->now = fake.now;
    bool any = tick_all(c);
    any |= deliver_calls(c);
    any |= deliver_watches(c);
    return any;
}

static bool turn_all(void)
{
    bool any = false;
    for (size_t i = 0; i < fake.n_clients; i++)
        any |= turn(&fake.clients[i]);
    fake_forget_stopped_watches();
    forget_removed_tickers();
    return any;
}

void fake_cut(struct client *c, bool cut)
{
    c->cut = cut;
    for (struct client_call *call = fake.calls; call && !cut; call = call->next)
        if (call->client == c && call->waiting && !call->done)
            fake_send_copy(call);
}

void fake_slow_replies(struct client *c, int64_t ms)
{
    c->reply_ms = ms;
}

void fake_slow_watches(struct client *c, int64_t ms)
{
    c->watch_ms = ms;
}

void fake_stale_list(struct client *c)
{
    c->stale = true;
}

void fake_pause(struct client *c, bool pause)
{
    c->paused = pause;
}

bool fake_is_paused(const struct client *c)
{
    return c && c->paused;
}

/* ---- time ---- */

void fake_on_step(void (*on_step)(void *user), void *user)
{
    fake.on_step = on_step;
    fake.on_step_user = user;
}

static void step_seen(void)
{
    if (fake.on_step)
        fake.on_step(fake.on_step_user);
}

/* Everything that is due now. */
static void settle(void)
{
    unsigned rounds = 0;
    do {
        while (fake.n_happenings && happenings[0]->at <= fake.now) {
            struct happening *h = happenings[0];
            fake.n_happenings--;
            memmove(happenings, happenings + 1, fake.n_happenings * sizeof happenings[0]);
            h->happen(h->what);
            step_seen();
        }
        assert_true(++rounds < 1000); /* somebody is busy without end */
        step_seen();
    } while (turn_all());
    step_seen();
}

static tn_ms next_moment(tn_ms end)
{
    tn_ms next = end;
    if (fake.n_happenings && happenings[0]->at < next)
        next = happenings[0]->at;
    for (size_t i = 0; i < fake.n_tickers; i++) {
        if (fake.tickers[i].client->paused)
            continue;
        tn_ms due = fake.tickers[i].deadline(fake.tickers[i].object);
        if (due < next)
            next = due;
    }
    for (size_t i = fake.n_history; i > 0 && fake.history[i - 1].at + FAKE_LATENCY_MS > fake.now; i--)
        if (fake.history[i - 1].at + FAKE_LATENCY_MS < next)
            next = fake.history[i - 1].at + FAKE_LATENCY_MS;
    return next < fake.now ? fake.now : next;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

bool fake_run_until(bool (*condition)(void *user), void *user, tn_ms ms)
{
    tn_ms end = fake.now + ms;
    for (;;) {
        settle();
        if (condition(user))
            return true;
        if (fake.now >= end)
            return false;
        fake.now = next_moment(end);
    }
}

void fake_run(tn_ms ms)
{
    fake_run_until(never, NULL, ms);
}

/* ---- faults and numbers ---- */

void fake_set_judge(fake_judge judge, void *user)
{
    fake.judge = judge;
    fake.judge_user = user;
}

unsigned fake_calls(void)
{
    return fake.n_calls;
}

unsigned fake_requests(void)
{
    return fake.n_requests;
}

unsigned fake_watches_started(void)
{
    return fake.n_watches_started;
}

unsigned fake_wakes(void)
{
    return fake.n_wakes;
}
