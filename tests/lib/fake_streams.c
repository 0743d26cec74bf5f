/* Watches and keepalives of the fake client. See fake_machine.h. */
#include "fake_machine.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- watches ---- */

struct client_watch *client_watch_start(struct client *c, const struct watch_create_req *req,
                                        const struct client_watch_callbacks *cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    fake_told_now(c, now);
    if (fake.judge && fake.judge(fake.judge_user, c, fake.n_calls++, "watch") == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    assert_true(fake.n_watches < WATCHES_MAX);
    struct client_watch *watch = fake_take(sizeof *watch);
    *watch = (struct client_watch){.client = c, .cb = *cb, .user = user, .req = *req, .next = req->start_revision};
    watch->req.range.key = fake_copy_bytes(req->range.key);
    watch->req.range.range_end = fake_copy_bytes(req->range.range_end);
    watch->context = client_context_ref(c->context);
    watch->ready_at = now + 2 * FAKE_LATENCY_MS;
    fake_at(watch->ready_at, fake_expire, NULL); /* a moment at which something may be due */
    fake_watches[fake.n_watches++] = watch;
    fake.n_watches_started++;
    return watch;
}

/* The model's revisions are told whole, and its compactions lose no delete. */
void client_watch_overlap(struct client_watch *watch)
{
    (void)watch;
}

void client_bound_watches(struct client *c, size_t bytes_max)
{
    (void)c, (void)bytes_max;
}

void client_watch_stop(struct client *c, struct client_watch *watch, tn_ms now)
{
    (void)now;
    assert_ptr_equal(watch->client, c);
    assert_false(watch->stopped);
    watch->stopped = true;
    watch->context = client_context_unref(watch->context);
}

void fake_forget_stopped_watches(void)
{
    size_t n = 0;
    for (size_t i = 0; i < fake.n_watches; i++)
        if (!fake_watches[i]->stopped)
            fake_watches[n++] = fake_watches[i];
    fake.n_watches = n;
}

static bool wanted(const struct client_watch *watch, const struct event *e)
{
    return key_range_contains(watch->req.range, e->kv.key) && !(watch->req.no_put && e->type == EVENT_PUT) &&
           !(watch->req.no_delete && e->type == EVENT_DELETE);
}

void fake_end_watch(struct client_watch *watch, int code)
{
    struct tenure_error error;
    error_set(&error, code, "%s", tenure_error_string(code));
    watch->ended = true;
    struct client_context *before = client_context_use(watch->client, client_context_ref(watch->context));
    watch->cb.on_end(watch->user, code, code == TENURE_ECOMPACTED ? fake.compacted : 0, &error);
    client_context_unref(client_context_use(watch->client, before));
}

/* The first place of the history that the watch has not seen. */
static size_t history_from(tn_rev rev)
{
    size_t low = 0, high = fake.n_history;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (fake.history[middle].event.kv.mod_revision < rev)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

bool fake_deliver_watch(struct client_watch *watch)
{
    if (watch->stopped || watch->ended || fake.now < watch->ready_at)
        return false;
    if (watch->next == 0)
        watch->next = fake.revision + 1;
    if (watch->next < fake.compacted) {
        fake_end_watch(watch, TENURE_ECOMPACTED);
        return true;
    }
    size_t from = history_from(watch->next), n = 0;
    struct event *events = NULL;
    tn_rev seen = watch->next - 1;
    for (size_t i = from;
         i < fake.n_history && fake.history[i].at + FAKE_LATENCY_MS + watch->client->watch_ms <= fake.now; i++) {
        seen = fake.history[i].event.kv.mod_revision;
        if (!wanted(watch, &fake.history[i].event))
            continue;
        if (!events)
            events = fake_take((fake.n_history - from) * sizeof *events);
        events[n] = fake.history[i].event;
        events[n].kv = fake_copy_kv(&fake.history[i].event.kv);
        events[n].has_prev_kv = events[n].has_prev_kv && watch->req.prev_kv;
        n++;
    }
    watch->next = seen + 1;
    if (n == 0)
        return false;
    fake.n_wakes++;
    struct client_context *before = client_context_use(watch->client, client_context_ref(watch->context));
    watch->cb.on_events(watch->user, &(struct client_watch_events){.revision = seen, .events = events, .n_events = n});
    client_context_unref(client_context_use(watch->client, before));
    memset(events, 0xdd, n * sizeof *events); /* borrowed for the call only */
    return true;
}

/* ---- keepalives ---- */

static void renewed(void *what)
{
    struct renewal *r = what;
    struct client_keepalive *k = r->keepalive;
    if (k->stopped || k->gone || k->client->cut)
        return;
    if (k->client->paused) { /* waits in the socket */
        fake_at(fake.now + FAKE_LATENCY_MS, renewed, r);
        return;
    }
    k->client->now = fake.now;
    if (r->ttl_s > 0) {
        k->cb.on_renewed(k->user, r->sent_at, r->ttl_s);
        return;
    }
    k->gone = true;
    k->cb.on_gone(k->user);
}

static void renewal_arrived(void *what)
{
    struct renewal *r = what;
    r->ttl_s = fake_do_keepalive(r->keepalive->lease);
    fake_at(fake.now + FAKE_LATENCY_MS + r->keepalive->client->reply_ms, renewed, r);
}

static void renewal_due(void *what)
{
    struct client_keepalive *k = what;
    if (k->stopped || k->gone)
        return;
    bool out = k->client->cut || k->client->paused;
    if (!out) {
        struct renewal *r = fake_take(sizeof *r);
        *r = (struct renewal){.keepalive = k, .sent_at = fake.now};
        fake_at(fake.now + FAKE_LATENCY_MS, renewal_arrived, r);
    }
    k->next_at = fake.now + (out ? 50 : k->ttl_s * 1000 / 3);
    fake_at(k->next_at, renewal_due, k);
}

struct client_keepalive *client_keepalive_start(struct client *c, tn_lease id, int64_t ttl_s, tn_ms first_at,
                                                const struct client_keepalive_callbacks *cb, void *user, tn_ms now,
                                                struct tenure_error *err)
{
    fake_told_now(c, now);
    if (fake.judge && fake.judge(fake.judge_user, c, fake.n_calls++, "renewals") == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    assert_true(fake.n_keepalives < KEEPALIVES_MAX);
    struct client_keepalive *k = fake_take(sizeof *k);
    *k = (struct client_keepalive){.client = c, .cb = *cb, .user = user, .lease = id, .ttl_s = ttl_s};
    fake_at(first_at, renewal_due, k);
    fake.keepalives[fake.n_keepalives++] = k;
    return k;
}

static struct tenure_error refusal;

void fake_note_refusal(int code, const char *text)
{
    error_clear(&refusal);
    if (code)
        error_set(&refusal, code, "%s", text);
}

const struct tenure_error *client_keepalive_refusal(const struct client *c)
{
    (void)c;
    return &refusal;
}

void client_keepalive_stop(struct client *c, struct client_keepalive *k, tn_ms now)
{
    (void)now;
    assert_ptr_equal(k->client, c);
    assert_false(k->stopped);
    k->stopped = true;
}
