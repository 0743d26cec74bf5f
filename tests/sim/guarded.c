/* What a lock is for, done under it by its holders, who are stopped, cut off and killed in the middle:
 *
 *   M3   a resource outside, that rejects smaller tokens: it is read, and what was read plus one is sent, and may arrive much later
 *   M4   a key of the store, written on the condition that the lock's key was created at the token
 *   M11  after an unclean loss nobody has the lock for the delay, as the record's rows and the holders say
 *
 * Who has resumed a place has its token, and what its dead owner still had under way has the same: so he does neither. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "locks.h"

#define COUNTER "g/n"

/* ---- the resource ---- */

static bool takes(struct world *w, tn_rev token)
{
    struct locks_truth *t = locks_truth(w);
    if (token < t->highest && !w->config.broken.any_token)
        return false;
    t->highest = token > t->highest ? token : t->highest;
    return true;
}

static void change_resource(struct gate *k)
{
    struct world *w = k->actor->world;
    struct locks_truth *t = locks_truth(w);
    if (!takes(w, k->token))
        return;
    struct flight *f = sim_alloc(sizeof *f);
    *f = (struct flight){.next = t->flights, .token = k->token, .value = t->value + 1};
    f->at = w->now + (sim_chance(w, 15) ? sim_between(w, 500, 6000) : sim_between(w, 0, 50));
    t->flights = f;
}

static bool is_flying(struct world *w, tn_rev token)
{
    for (const struct flight *f = locks_truth(w)->flights; f; f = f->next)
        if (f->token == token)
            return true;
    return false;
}

void guarded_deliver(struct world *w)
{
    struct locks_truth *t = locks_truth(w);
    for (struct flight **at = &t->flights; *at;) {
        struct flight *f = *at;
        if (f->at > w->now) {
            at = &f->next;
            continue;
        }
        if (takes(w, f->token)) {
            if (f->value != t->value + 1)
                world_fail(w, "M3: the write of token %lld loses an update: %lld is replaced by %lld",
                           (long long)f->token, (long long)t->value, (long long)f->value);
            t->value = f->value;
        }
        *at = f->next;
        free(f);
    }
}

tn_ms guarded_next(const struct world *w)
{
    tn_ms at = TN_MS_NEVER;
    for (const struct flight *f = w->locks_truth ? w->locks_truth->flights : NULL; f; f = f->next)
        at = f->at < at ? f->at : at;
    return at;
}

/* ---- the guarded key ---- */

static void guard_of(const struct guarded *g, struct compare *ret)
{
    *ret = (struct compare){
        .target = COMPARE_CREATE, .result = COMPARE_EQUAL, .range.key = bytes_str(g->key), .number = g->token};
}

static void on_written(void *user, const struct client_result *r)
{
    struct guarded *g = user;
    struct gate *k = &g->actor->locks->gate;
    if (r->code == 0 && k->token == g->token)
        k->writing = false;
    free(g);
}

/* What is sent now arrives when the lock is somebody else's. */
static void cut_before(struct actor *a)
{
    tn_ms until = a->world->now + sim_between(a->world, 2500, 8000);
    SIM_TRACE(a->world, "client %d is cut until %lld, before it writes", a->index, (long long)until);
    for (size_t e = 0; e < ENDPOINTS; e++)
        net_cut(a->world, a->index, e, until, until);
}

static void write_counter(struct guarded *g)
{
    struct world *w = g->actor->world;
    char value[24];
    struct compare guard;
    struct tenure_error err;
    struct client_call_options o = {.timeout_ms = sim_between(w, 200, 4000)};
    if (!w->finishing && sim_chance(w, 10))
        cut_before(g->actor);
    guard_of(g, &guard);
    snprintf(value, sizeof value, "%lld", (long long)g->value + 1);
    struct request_op put = {.kind = OP_PUT, .put = {.key = bytes_str(COUNTER), .value = bytes_str(value)}};
    struct txn_req req = {
        .compares = &guard, .n_compares = !w->config.broken.unguarded_write, .success = &put, .n_success = 1};
    if (!client_txn(g->actor->client, &req, &o, on_written, g, w->now, &err))
        free(g);
}

static void on_read(void *user, const struct client_result *r)
{
    struct guarded *g = user;
    struct gate *k = &g->actor->locks->gate;
    if (r->code || !r->txn->succeeded || k->token != g->token || !gate_holds(k)) {
        free(g);
        return;
    }
    const struct range_resp *there = &r->txn->responses[0].range;
    g->value = there->n_kvs ? strtoll(sim_text(there->kvs[0].value), NULL, 10) : 0;
    write_counter(g);
}

static void change_counter(struct gate *k)
{
    struct actor *a = k->actor;
    struct world *w = a->world;
    struct guarded *g = sim_alloc(sizeof *g);
    bytes key = lock_key(k->lock);
    struct compare guard;
    struct tenure_error err;
    *g = (struct guarded){.actor = a, .token = k->token};
    snprintf(g->key, sizeof g->key, "%.*s", (int)key.len, (const char *)key.data);
    guard_of(g, &guard);
    struct request_op get = {.kind = OP_RANGE, .range.range.key = bytes_str(COUNTER)};
    struct txn_req req = {.compares = &guard, .n_compares = 1, .success = &get, .n_success = 1};
    k->writing = true;
    if (!client_txn(a->client, &req, NULL, on_read, g, w->now, &err))
        free(g);
}

void guarded_use(struct gate *k)
{
    if (k->resumed || !gate_holds(k))
        return;
    if (sim_chance(k->actor->world, 50)) {
        if (!is_flying(k->actor->world, k->token))
            change_resource(k);
    } else if (!k->writing) {
        change_counter(k);
    }
}

static void counter_row(struct world *w, const struct record *r)
{
    struct locks_truth *t = locks_truth(w);
    long long value = strtoll(sim_text(r->value), NULL, 10);
    if (value != t->counter + 1)
        world_fail(w, "M4: a guarded write at revision %lld loses an update: %lld is replaced by %lld",
                   (long long)r->main, (long long)t->counter, value);
    t->counter = value;
}

/* ---- the delay ---- */

static int64_t number_behind(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static void record_row(struct world *w, const struct record *r)
{
    struct locks_truth *t = locks_truth(w);
    t->record = !r->tombstone;
    t->counting = r->lease != 0;
    if (r->tombstone && t->record_token == t->released)
        t->free_at = 0; /* somebody deleted the key of one who was letting it go */
    if (r->tombstone || r->lease)
        return;
    const char *text = sim_text(r->value);
    t->record_token = number_behind(text, "\"token\":");
    t->delay_ms = number_behind(text, "\"delay_ms\":");
    guarded_had(w, t->record_token);
}

void guarded_had(struct world *w, tn_rev token)
{
    struct locks_truth *t = locks_truth(w);
    if (w->now < t->free_at)
        world_fail(w, "M11: token %lld has the lock %lld ms before the delay behind the lost one is over",
                   (long long)token, (long long)(t->free_at - w->now));
}

static bool was_by_hand(const struct world *w, tn_rev token)
{
    for (int i = 0; i < w->n_actors; i++)
        if (w->by_hand[i] == token)
            return true;
    return false;
}

/* Who takes a dead holder's place over, and lets it go before he holds it, leaves that one's record. */
static void command_ended(struct world *w, tn_rev revision)
{
    struct locks_truth *t = locks_truth(w);
    bool left_behind = t->gone_token && t->record && !t->counting && t->record_token == t->gone_token;
    bool unclean = t->revoked || was_by_hand(w, t->gone_token) || t->gone_token == t->taken_over;
    if (left_behind && !unclean)
        world_fail(w, "M11: token %lld was let go at revision %lld, and its record stays", (long long)t->gone_token,
                   (long long)revision);
    if (left_behind)
        t->free_at = w->now + t->delay_ms;
    t->gone_token = 0;
    t->revoked = false;
}

void guarded_row(struct world *w, const struct record *r)
{
    struct locks_truth *t = locks_truth(w);
    if (r->kind == RECORD_LEASE_REVOKE)
        t->revoked = true;
    if (r->kind == RECORD_KV && bytes_equal(r->key, bytes_str(COUNTER)))
        counter_row(w, r);
    if (r->kind == RECORD_KV && bytes_equal(r->key, bytes_of(GATE_RECORD, sizeof GATE_RECORD - 1)))
        record_row(w, r);
    if (r->kind == RECORD_KV && bytes_has_prefix(r->key, bytes_str(GATE_KEYS)) && r->version > 1)
        t->taken_over = r->create_revision;
    if (r->kind == RECORD_KV && r->tombstone && bytes_has_prefix(r->key, bytes_str(GATE_KEYS)))
        t->gone_token = history_at(&w->history, r->key, r->main - 1)->create_revision;
    if (r->last_of_command)
        command_ended(w, r->main);
}
