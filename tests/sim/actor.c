/* A client's process: random calls on a few keys, one watch, one lock, one candidacy, each checked against the truth as its
 * answers come. Invariants: KV1, KV3, KV8, C1, C2 in the calls; W1 to W6, W8 in the watch; M1, M2, M6, L2 in the lock. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "world.h"

#define KEYS  "k/"
#define TTL_S 2

/* ---- calls ---- */

static void told(struct world *w, tn_rev revision)
{
    if (revision > w->told)
        w->told = revision;
}

/* KV1, KV3: the key as an answer at `revision` shows it is what the truth holds there. */
static void check_kv(struct world *w, const char *key, tn_rev revision, const struct kv *kvs, size_t n)
{
    if (revision > w->history.revision) {
        world_fail(w, "KV3: an answer shows revision %lld, but only %lld is durable", (long long)revision,
                   (long long)w->history.revision);
        return;
    }
    const struct row *r = history_at(&w->history, bytes_str(key), revision);
    bool lives = r && !r->tombstone;
    if (lives != (n > 0) || (lives && (kvs[0].mod_revision != r->main || !bytes_equal(kvs[0].value, r->value))))
        world_fail(w, "KV1: %s at revision %lld is not what was written", key, (long long)revision);
}

static void check_write(struct world *w, const struct op *op, tn_rev revision)
{
    const struct row *r = history_at(&w->history, bytes_str(op->key), revision);
    if (revision > w->history.revision || !r || r->main != revision)
        world_fail(w, "KV3: an acknowledged write of %s at revision %lld is not durable", op->key, (long long)revision);
    else if (!bytes_equal(r->value, bytes_str(op->value)))
        world_fail(w, "KV1: revision %lld holds another value than the one acknowledged", (long long)revision);
    if (revision <= op->floor)
        world_fail(w, "KV1: a write at revision %lld began after revision %lld had been seen", (long long)revision,
                   (long long)op->floor);
}

static void check_txn(struct world *w, const struct op *op, const struct client_result *r)
{
    if (op->kind == 0) { /* a put without a guard, made exact */
        check_write(w, op, r->txn->revision);
        return;
    }
    const struct txn_resp *t = r->txn;
    tn_rev judged = t->succeeded ? t->revision - 1 : t->revision;
    const struct row *row = history_at(&w->history, bytes_str(op->key), judged);
    tn_rev mod = row && !row->tombstone ? row->main : 0;
    if (t->succeeded)
        check_write(w, op, t->revision);
    else if (t->n_responses == 1)
        check_kv(w, op->key, t->revision, t->responses[0].range.kvs, t->responses[0].range.n_kvs);
    if ((mod == op->compare_mod) != t->succeeded)
        world_fail(w, "KV8: a compare of mod revision %lld %s at revision %lld, where it is %lld",
                   (long long)op->compare_mod, t->succeeded ? "held" : "failed", (long long)judged, (long long)mod);
}

static void failed_op(struct world *w, struct op *op, const struct client_result *r)
{
    SIM_TRACE(w, "client %d: %s=%s%s failed, applied %d: %s", op->actor->index, op->key, op->value,
              op->exact ? " (exact)" : "", (int)r->error->applied, r->error->text);
    if (op->kind == 1 || r->error->applied == TENURE_APPLIED_MAYBE) {
        free(op);
        return;
    }
    op->next = w->refused; /* C2: looked for at the end */
    w->refused = op;
}

/* C3: by its deadline and 100 ms more; a process that was stopped, at the first instruction that it gets to run. */
static void check_in_time(struct actor *a, const struct op *op)
{
    struct world *w = a->world;
    tn_ms until = op->until > a->paused_until ? op->until : a->paused_until;
    if (w->now > until + 100)
        world_fail(w, "C3: a call of client %d ended %lld ms after its deadline", a->index,
                   (long long)(w->now - op->until));
}

static void on_op(void *user, const struct client_result *r)
{
    struct op *op = user;
    struct actor *a = op->actor;
    struct world *w = a->world;
    a->ops_running--;
    check_in_time(a, op);
    if (r->code != 0) {
        failed_op(w, op, r);
        return;
    }
    w->result.calls++;
    tn_rev revision = r->header.revision;
    if (op->exact)
        check_txn(w, op, r);
    else if (op->kind == 0)
        check_write(w, op, revision);
    else if (op->kind == 1)
        check_kv(w, op->key, revision, r->range->kvs, r->range->n_kvs);
    else if (op->kind == 2)
        check_txn(w, op, r);
    if (revision < op->floor)
        world_fail(w, "KV1: a call that began at revision %lld was answered at %lld", (long long)op->floor,
                   (long long)revision);
    told(w, revision);
    free(op);
}

static void on_exact(void *user, const struct client_result *r, bool complete)
{
    struct op *op = user;
    struct world *w = op->actor->world;
    (void)complete;
    w->result.exact++;
    w->result.exact_maybe += r->code != 0 && r->error->applied == TENURE_APPLIED_MAYBE;
    on_op(user, r);
}

static bool submit(struct actor *a, struct op *op, struct tenure_error *err)
{
    struct world *w = a->world;
    bytes key = bytes_str(op->key), value = bytes_str(op->value);
    struct client_call_options o = {.timeout_ms = sim_between(w, 200, 4000),
                                    .repeatable = w->config.broken.blind_retry};
    op->until = w->now + o.timeout_ms;
    struct put_req put = {.key = key, .value = value, .prev_kv = sim_chance(w, 20)};
    struct range_req get = {.range.key = key};
    struct delete_req del = {.range.key = key};
    if (op->kind == 0 && !op->exact)
        return client_put(a->client, &put, &o, on_op, op, w->now, err);
    if (op->kind == 1)
        return client_range(a->client, &get, &o, on_op, op, w->now, err);
    if (op->kind == 3)
        return client_delete(a->client, &del, &o, on_op, op, w->now, err);
    const struct row *r = history_at(&w->history, key, w->history.revision);
    op->compare_mod = r && !r->tombstone ? r->main : 0;
    struct compare cmp = {.result = COMPARE_EQUAL, .target = COMPARE_MOD, .range.key = key, .number = op->compare_mod};
    struct request_op then = {.kind = OP_PUT, .put = put}, other = {.kind = OP_RANGE, .range = get};
    struct txn_req txn = {
        .compares = &cmp, .n_compares = 1, .success = &then, .n_success = 1, .failure = &other, .n_failure = 1};
    if (op->exact && op->kind == 0)
        txn.n_compares = txn.n_failure = 0;
    if (op->exact)
        return exact_txn(a->exact, &txn, o.timeout_ms, on_exact, op, w->now, err);
    return client_txn(a->client, &txn, &o, on_op, op, w->now, err);
}

static void begin_op(struct actor *a)
{
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct op *op = sim_alloc(sizeof *op);
    unsigned dice = (unsigned)rng_below(&w->rng, 10);
    op->kind = dice < 4 ? 0 : dice < 7 ? 1 : dice < 9 ? 2 : 3;
    op->exact = (op->kind == 0 && sim_chance(w, 25)) || (op->kind == 2 && sim_chance(w, 60));
    op->floor = w->told;
    op->actor = a;
    snprintf(op->key, sizeof op->key, KEYS "%d", (int)rng_below(&w->rng, 4));
    snprintf(op->value, sizeof op->value, "v%llu", (unsigned long long)++w->next_value);
    if (!submit(a, op, &err))
        free(op);
    else
        a->ops_running++;
}

/* ---- the watch ---- */

static void check_event(struct actor *a, const struct event *e)
{
    struct world *w = a->world;
    const struct history *h = &w->history;
    size_t at = history_next(h, a->watch_row, KEYS);
    if (at == h->n) {
        world_fail(w, "W3: an event at revision %lld that is not there (or again)", (long long)e->kv.mod_revision);
        return;
    }
    const struct row *r = &h->rows[at];
    if (r->main != e->kv.mod_revision || !bytes_equal(e->kv.key, r->key))
        world_fail(w, "W5: expected revision %lld of %s, got %lld of %.*s", (long long)r->main,
                   (const char *)r->key.data, (long long)e->kv.mod_revision, (int)e->kv.key.len, e->kv.key.data);
    else if ((e->type == EVENT_DELETE) != r->tombstone || (!r->tombstone && !bytes_equal(e->kv.value, r->value)))
        world_fail(w, "W1: the event of revision %lld is not what happened", (long long)r->main);
    const struct row *before = history_at(h, e->kv.key, r->main - 1);
    if (e->has_prev_kv && (!before || before->tombstone || !bytes_equal(before->value, e->prev_kv.value)))
        world_fail(w, "W8: the previous value at revision %lld is wrong", (long long)r->main);
    a->watch_row = at + 1;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct actor *a = user;
    struct world *w = a->world;
    const struct history *h = &w->history;
    if (!a->watch_placed && e->n_events) {
        world_fail(w, "W2: events before the watch was created");
        return;
    }
    if (e->revision > h->revision)
        world_fail(w, "KV3: a watch shows revision %lld, but only %lld is durable", (long long)e->revision,
                   (long long)h->revision);
    for (size_t i = 0; i < e->n_events; i++)
        check_event(a, &e->events[i]);
    size_t next = history_next(h, a->watch_row, KEYS);
    if (e->n_events && next < h->n && h->rows[next].main == e->events[e->n_events - 1].kv.mod_revision)
        world_fail(w, "W4: revision %lld was split", (long long)h->rows[next].main);
    if (e->n_events == 0 && next < h->n && h->rows[next].main <= e->revision)
        world_fail(w, "W7: progress to %lld, but revision %lld was not delivered", (long long)e->revision,
                   (long long)h->rows[next].main);
}

static size_t first_row_from(const struct history *h, tn_rev revision)
{
    size_t i = 0;
    while (i < h->n && h->rows[i].main < revision)
        i++;
    return i;
}

static void on_created(void *user, tn_rev revision)
{
    struct actor *a = user;
    if (a->watch_placed)
        return;
    a->watch_placed = true;
    a->watch_row = first_row_from(&a->world->history, a->watch_from ? a->watch_from : revision + 1);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct actor *a = user;
    if (code != TENURE_ECOMPACTED && code != TENURE_ECLOSED)
        world_fail(a->world, "W5: a watch ended: %s", error->text);
    a->watch_from = compact_revision;
    a->watch_restart_at = a->world->now + 1;
}

static void start_watch(struct actor *a, tn_rev from)
{
    static const struct client_watch_callbacks cb = {
        .on_created = on_created, .on_events = on_events, .on_end = on_watch_end};
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct watch_create_req req = {.range = {bytes_str(KEYS), bytes_str("k0")},
                                   .start_revision = from,
                                   .prev_kv = sim_chance(w, 50),
                                   .progress_notify = sim_chance(w, 50)};
    a->watch_from = from;
    a->watch_placed = from > 0;
    if (from > 0)
        a->watch_row = first_row_from(&w->history, from);
    a->watch_restart_at = TN_MS_NEVER;
    a->watch = client_watch_start(a->client, &req, &cb, a, w->now, &err);
    if (!a->watch)
        world_fail(w, "W5: a watch could not start: %s", err.text);
}

void actor_check_watch_end(struct actor *a)
{
    const struct history *h = &a->world->history;
    size_t next = a->watch_placed ? history_next(h, a->watch_row, KEYS) : h->n;
    if (next < h->n)
        world_fail(a->world, "W5: client %d never got revision %lld (of %s)", a->index, (long long)h->rows[next].main,
                   (const char *)h->rows[next].key.data);
}

/* ---- the lock ---- */

/* M2: tokens grow in the order in which they are had. M6: only a key that was first in the queue is a token. */
static void check_token(struct actor *a, int queue, tn_rev token)
{
    struct world *w = a->world;
    static const char *const what[2] = {"lock", "leadership"};
    SIM_TRACE(w, "client %d has the %s, token %lld", a->index, what[queue], (long long)token);
    w->result.acquisitions++;
    if (!w->config.broken.lease_token && !history_was_owner(&w->history, queue, token))
        world_fail(w, "M6: client %d was given the %s with token %lld, which never was first", a->index, what[queue],
                   (long long)token);
    if (queue == 0 && a->broken_into)
        return; /* its proof may be older than the deletion by hand, and the next one have it already */
    if (token <= w->last_token[queue])
        world_fail(w, "M2: %s token %lld after %lld", what[queue], (long long)token, (long long)w->last_token[queue]);
    w->last_token[queue] = token;
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct actor *a = user;
    struct world *w = a->world;
    (void)error;
    a->lock_acquiring = false;
    if (code != 0) {
        SIM_TRACE(w, "client %d gave the lock up: %s", a->index, tenure_error_string(code));
        a->lock_done = true;
        return;
    }
    if (lock_held(a->lock, w->now))
        check_token(a, 0, token);
    a->release_at = w->now + sim_between(w, 1, 1500);
    a->cancel_at = TN_MS_NEVER;
}

static void on_lock_lost(void *user, const struct tenure_error *why)
{
    struct actor *a = user;
    SIM_TRACE(a->world, "client %d lost the lock: %s", a->index, why->text);
    if (lock_held(a->lock, a->world->now))
        world_fail(a->world, "L3: held after the loss was told");
    a->lock_done = true;
}

static void on_released(void *user, int code)
{
    struct actor *a = user;
    (void)code;
    SIM_TRACE(a->world, "client %d has released the lock", a->index);
    a->lock_done = true;
}

static void on_session_lost(void *user, const struct tenure_error *why)
{
    struct actor *a = user;
    SIM_TRACE(a->world, "client %d lost its session: %s", a->index, why->text);
    a->session_ended = true;
}

static void on_session_closed(void *user, int code)
{
    struct actor *a = user;
    (void)code;
    a->session_ended = true;
}

static void open_session(struct actor *a)
{
    static const struct session_callbacks cb = {.on_lost = on_session_lost, .on_closed = on_session_closed};
    struct tenure_error err = {0};
    struct session_options o = {.ttl_s = TTL_S};
    a->session_ended = a->session_closing = false;
    if (session_open(a->client, &o, &cb, a, a->world->now, &a->session, &err) != 0)
        world_fail(a->world, "a session could not open: %s", err.text);
}

static void begin_lock(struct actor *a)
{
    static const struct lock_callbacks cb = {
        .on_acquired = on_acquired, .on_lost = on_lock_lost, .on_released = on_released};
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct lock_options o = {.wait_ms = sim_chance(w, 30) ? sim_between(w, 50, 3000) : 0,
                             .try_only = sim_chance(w, 10),
                             .broken_skip_verify = w->config.broken.skip_verify,
                             .broken_token = w->config.broken.lease_token,
                             .broken_hold_on = w->config.broken.hold_on,
                             .broken_no_undo = w->config.broken.no_undo,
                             .broken_leave_all = w->config.broken.leave_all};
    if (!a->session)
        open_session(a);
    if (!a->session || a->session_ended || session_state(a->session) == SESSION_LOST)
        return;
    if (lock_new(a->session, LOCK_NAME, &o, &cb, a, &a->lock, &err) != 0 || lock_acquire(a->lock, w->now, &err) != 0) {
        a->lock = lock_free(a->lock);
        return;
    }
    SIM_TRACE(w, "client %d asks for the lock", a->index);
    a->lock_acquiring = true;
    a->lock_done = a->broken_into = false;
    a->release_at = TN_MS_NEVER;
    a->cancel_at = sim_chance(w, 25) ? w->now + sim_between(w, 1, 2500) : TN_MS_NEVER;
}

/* Whoever deletes a holder's key by hand has broken the lock; the holder learns of it only after that. */
bool actor_holds_lock(const struct actor *a)
{
    return a->lock && !a->lock_acquiring && !a->lock_done && !a->broken_into && lock_held(a->lock, a->world->now);
}

static void lock_step(struct actor *a)
{
    struct world *w = a->world;
    if (a->lock && a->lock_done) {
        a->lock = lock_free(a->lock);
        a->cancel_at = a->release_at = TN_MS_NEVER;
    }
    if (!a->lock && a->session && a->session_ended) {
        a->session = session_free(a->session);
        a->session_ended = false;
    }
    if (a->lock && a->lock_acquiring && a->cancel_at <= w->now) {
        a->cancel_at = TN_MS_NEVER;
        SIM_TRACE(w, "client %d cancels", a->index);
        lock_cancel(a->lock, w->now);
    } else if (a->lock && !a->lock_acquiring && !a->lock_done && a->release_at <= w->now) {
        a->release_at = TN_MS_NEVER;
        SIM_TRACE(w, "client %d releases the lock", a->index);
        lock_release(a->lock, w->now);
    } else if (!a->lock && !w->finishing && a->next_lock_at <= w->now) {
        a->next_lock_at = w->now + sim_between(w, 10, 1500);
        if (sim_chance(w, 10) && a->session && !a->session_closing) {
            a->session_closing = true;
            session_close(a->session, w->now);
        } else if (!a->session || !a->session_closing) {
            begin_lock(a);
        }
    }
}

void actor_lease_ended(struct actor *a, tn_lease id)
{
    struct world *w = a->world;
    if (a->locks)
        locks_lease_ended(a, id);
    if (a->session && !a->session_closing && !a->session_ended && session_lease(a->session) == id &&
        session_valid(a->session, w->now))
        world_fail(w, "L2: lease %llx ended at the server, client %d believes in it for %lld ms more",
                   (unsigned long long)id, a->index, (long long)(session_safe_until(a->session) - w->now));
    if (a->share_session && !a->share_session_ended && session_lease(a->share_session) == id &&
        session_valid(a->share_session, w->now))
        world_fail(w, "L2: lease %llx of places ended at the server, client %d believes in it for %lld ms more",
                   (unsigned long long)id, a->index, (long long)(session_safe_until(a->share_session) - w->now));
}

void actor_key_deleted(struct actor *a, bytes key)
{
    if (a->locks)
        locks_key_deleted(a, key);
    if ((actor_holds_lock(a) && bytes_equal(lock_key(a->lock), key)) ||
        (actor_leads(a) && bytes_equal(election_key(a->election), key)))
        world_fail(a->world, "M5: %.*s was deleted while client %d holds by it", (int)key.len, key.data, a->index);
    share_key_deleted(a, key);
}

/* ---- the candidacy ---- */

static void on_gained(void *user, int64_t token)
{
    struct actor *a = user;
    if (election_leads(a->election, a->world->now))
        check_token(a, 1, token);
    if (sim_chance(a->world, 50))
        a->election_stop_at = a->world->now + sim_between(a->world, 1, 4000);
}

static void on_leader_lost(void *user, const struct tenure_error *why)
{
    struct actor *a = user;
    SIM_TRACE(a->world, "client %d does not lead any more: %s", a->index, why->text);
    if (election_leads(a->election, a->world->now))
        world_fail(a->world, "L3: leads after the loss was told");
}

static void on_stopped(void *user, int code, const struct tenure_error *error)
{
    struct actor *a = user;
    (void)code, (void)error;
    a->election_stopped = true;
}

bool actor_leads(const struct actor *a)
{
    return a->election && !a->election_stopped && election_leads(a->election, a->world->now);
}

static void begin_election(struct actor *a)
{
    static const struct election_callbacks cb = {
        .on_gained = on_gained, .on_lost = on_leader_lost, .on_stopped = on_stopped};
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct election_options o = {
        .ttl_s = TTL_S, .proposal = bytes_str("p"), .broken_skip_verify = w->config.broken.skip_verify};
    a->election_stopped = false;
    a->election_stop_at = sim_chance(w, 30) ? w->now + sim_between(w, 1, 5000) : TN_MS_NEVER;
    if (election_start(a->client, ELECTION_NAME, &o, &cb, a, w->now, &a->election, &err) != 0)
        world_fail(w, "an election could not start: %s", err.text);
}

static void election_step(struct actor *a)
{
    struct world *w = a->world;
    if (a->election && a->election_stopped) {
        a->election = election_free(a->election);
        a->election_stop_at = TN_MS_NEVER;
        a->election_start_at = w->now + sim_between(w, 1, 3000);
    }
    if (a->election && a->election_stop_at <= w->now) {
        a->election_stop_at = TN_MS_NEVER;
        election_stop(a->election, w->now);
    } else if (!a->election && !w->finishing && a->election_start_at <= w->now) {
        begin_election(a);
    }
}

/* ---- the process ---- */

static void trace_line(void *user, enum log_level level, const char *line)
{
    struct actor *a = user;
    (void)level;
    world_trace(a->world, "  client %d: %s", a->index, line);
}

void actor_start(struct actor *a)
{
    static const char *const endpoints[ENDPOINTS] = {"http://s1:1", "http://s2:1"};
    struct world *w = a->world;
    struct tenure_error err = {0};
    struct client_config c = {.endpoints = endpoints,
                              .n_endpoints = ENDPOINTS,
                              .broken_deadline = w->config.broken.late_calls,
                              .broken_rest = w->config.broken.no_rest,
                              .broken_renew_from_receipt = w->config.broken.renew_from_receipt};
    rng_init(&c.seed, rng_u64(&w->rng));
    if (w->config.trace)
        c.log = (struct log){.min = LOG_DEBUG, .sink = trace_line, .user = a};
    if (client_new(&c, w->now, &a->client, &err) != 0 || !(a->exact = exact_new(a->client, NULL, TTL_S)))
        abort();
    a->next_op_at = w->now + sim_between(w, 0, 300);
    a->next_lock_at = w->now + sim_between(w, 0, 500);
    a->election_start_at = w->now + sim_between(w, 0, 2000);
    a->cancel_at = a->release_at = a->election_stop_at = a->watch_restart_at = TN_MS_NEVER;
    if (w->config.locks)
        a->next_op_at = TN_MS_NEVER;
    else
        start_watch(a, sim_chance(w, 50) ? 0 : 1);
    if (w->config.share)
        share_start(a);
    if (w->config.values)
        values_start(a);
    else if (!w->config.locks)
        actor_start_follow(a);
    if (w->config.locks)
        locks_start(a);
    if (w->config.jobs)
        jobs_start(a);
    parts_start(a);
    if (w->config.calm || w->config.parts)
        a->next_op_at = a->next_lock_at = a->election_start_at = TN_MS_NEVER;
}

static void drain(struct actor *a)
{
    while (client_deliver(a->client))
        ;
}

void actor_kill(struct actor *a)
{
    struct world *w = a->world;
    struct tenure_error why = {.code = TENURE_ELOST, .kind = TENURE_KIND_LOST};
    SIM_TRACE(w, "client %d is killed", a->index);
    LIST_FOREACH(it, &w->links)
    {
        struct link *l = LIST_ENTRY(it, struct link, all);
        if (l->client == a->index && l->incarnation == a->incarnation)
            net_client_closed(l);
    }
    if (a->session && session_state(a->session) != SESSION_LOST)
        session_give_up(a->session, &why, w->now);
    values_kill(a);
    share_kill(a);
    parts_kill(a);
    if (a->jobs)
        jobs_kill(a);
    if (a->locks)
        locks_kill(a);
    if (a->watch)
        client_watch_stop(a->client, a->watch, w->now);
    a->watch = NULL;
    a->follow = follow_stop(a->follow, w->now);
    if (a->election)
        election_stop(a->election, w->now);
    client_close(a->client, w->now);
    drain(a);
    share_free(a);
    values_free(a);
    parts_free(a);
    if (a->jobs)
        jobs_free(a);
    if (a->locks)
        locks_free(a);
    a->lock = lock_free(a->lock);
    a->session = session_free(a->session);
    a->election = election_free(a->election);
    a->exact = exact_free(a->exact);
    a->client = client_free(a->client);
    a->lock_acquiring = a->lock_done = a->session_ended = a->session_closing = false;
    a->paused_until = 0;
    a->incarnation++;
}

static void do_io(struct actor *a)
{
    struct world *w = a->world;
    struct client_io io;
    struct buf out;
    uint32_t conn;
    buf_init(&out);
    while (client_next_io(a->client, &io)) {
        struct link *l = io.kind == CLIENT_IO_CLOSE ? net_find(w, a->index, io.conn) : NULL;
        if (io.kind == CLIENT_IO_CONNECT)
            net_connect(w, a->index, io.conn, strcmp(io.endpoint, "http://s2:1") == 0);
        else if (l)
            net_client_closed(l);
    }
    while ((conn = client_next_dirty(a->client)) != 0) {
        struct link *l = net_find(w, a->index, conn);
        buf_reset(&out);
        client_output(a->client, conn, &out, 1 << 20, w->now);
        if (l)
            net_send(l, true, buf_bytes(&out));
    }
    buf_fini(&out);
}

void actor_turn(struct actor *a)
{
    struct world *w = a->world;
    if (a->paused_until > w->now)
        return;
    client_tick(a->client, w->now);
    if (a->lock)
        lock_tick(a->lock, w->now);
    if (a->election)
        election_tick(a->election, w->now);
    if (a->share_session)
        session_tick(a->share_session, w->now);
    if (a->follow)
        follow_tick(a->follow, w->now);
    if (a->jobs)
        jobs_tick(a);
    parts_tick(a);
    if (a->locks)
        locks_tick(a);
    drain(a);
    parts_step(a);
    if (a->jobs)
        jobs_step(a);
    if (a->locks)
        locks_step(a);
    if (w->config.share)
        share_step(a);
    if (a->values)
        values_step(a);
    lock_step(a);
    election_step(a);
    if (!w->finishing && a->next_op_at <= w->now) {
        if (a->ops_running < 4)
            begin_op(a);
        a->next_op_at = w->now + sim_between(w, 1, 400);
    }
    if (a->watch_restart_at <= w->now) {
        client_watch_stop(a->client, a->watch, w->now);
        start_watch(a, a->watch_from);
    }
    do_io(a);
}

tn_ms actor_next(const struct actor *a)
{
    const tn_ms times[] = {client_deadline(a->client),
                           a->session ? session_deadline(a->session) : TN_MS_NEVER,
                           a->lock ? lock_deadline(a->lock) : TN_MS_NEVER,
                           a->election ? election_deadline(a->election) : TN_MS_NEVER,
                           a->world->finishing ? TN_MS_NEVER : a->next_op_at,
                           a->world->finishing || a->lock ? TN_MS_NEVER : a->next_lock_at,
                           a->world->finishing || a->election ? TN_MS_NEVER : a->election_start_at,
                           a->follow ? follow_deadline(a->follow) : TN_MS_NEVER,
                           a->cancel_at,
                           a->release_at,
                           a->election_stop_at,
                           a->watch_restart_at,
                           a->world->config.share ? share_next(a) : TN_MS_NEVER,
                           a->values ? values_next(a) : TN_MS_NEVER,
                           a->locks ? locks_next(a) : TN_MS_NEVER,
                           a->jobs ? jobs_next(a) : TN_MS_NEVER,
                           parts_next(a)};
    tn_ms at = TN_MS_NEVER;
    for (size_t i = 0; i < ARRAY_LEN(times); i++)
        if (times[i] < at)
            at = times[i];
    return at < a->paused_until ? a->paused_until : at;
}

void actor_finish(struct actor *a)
{
    struct world *w = a->world;
    if (a->paused_until > w->now)
        a->paused_until = w->now;
    if (a->lock && a->lock_acquiring)
        lock_cancel(a->lock, w->now);
    a->cancel_at = TN_MS_NEVER;
    if (a->election && !a->election_stopped)
        election_stop(a->election, w->now);
    a->election_stop_at = TN_MS_NEVER;
    if (w->config.share)
        share_finish(a);
    if (a->jobs)
        jobs_finish(a);
    parts_finish(a);
    if (a->locks)
        locks_finish(a);
}

bool actor_idle(const struct actor *a)
{
    return !a->lock && !a->election && a->ops_running == 0 && share_idle(a) && values_idle(a) &&
           (!a->jobs || jobs_idle(a)) && (!a->locks || locks_idle(a)) && parts_idle(a);
}
