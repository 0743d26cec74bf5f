/* Transactions in memory and ids of a client's process: one transaction at a time, at one of the four levels, each level on keys
 * of its own; and blocks of ids from one generator. Checked against the rows that are durable:
 *
 *   S1  no transaction is applied twice, and none that was said not to be (C1, C2)
 *   S2  the guarded levels: what was read still stood where it was applied, so sums are kept and no two write past each other
 *   S3  serializable: what one attempt reads is of one revision, also when it is in vain
 *   S4  serializable snapshot: what it wrote unread was not changed behind its first read
 *   I1  no id is given out twice
 *
 * What a level does not promise is counted where it happens (sim_result.anomalies): else the checkers might be blind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "part.h"
#include "recipes/number.h"
#include "recipes/op.h"
#include "recipes/stm.h"
#include "recipes/update.h"

#define LEVELS   4
#define ACCOUNTS 4
#define OPENING  100
#define IDS_KEY  "ids"
#define FLOOR    1000

enum kind { TRANSFER, AUDIT, SKEW, BLIND, NOTE, KINDS };
enum told { TOLD_NOTHING, TOLD_APPLIED, TOLD_NOT_APPLIED };

struct tx {
    enum kind kind;
    int level;
    uint64_t number;
    int n_reads, at;
    char keys[ACCOUNTS][16];
    int64_t values[ACCOUNTS];
    tn_rev mods[ACCOUNTS];
    bool apart; /* the reads were of different states */
};

struct memory {
    struct actor *actor;
    struct footing footing;
    struct stm set;
    struct tx tx;
    bool active;
    struct op *read;
    struct commit *commit;
    tn_ms next_at, until, again_at;

    struct update *ids;
    struct number_change taking;
    tn_ms ids_at;
};

/* ---- the truth ---- */

struct ended_tx {
    unsigned rows;
    enum told told;
};
struct block {
    int64_t first, n;
};
struct memory_truth {
    int64_t accounts[LEVELS][ACCOUNTS];
    int64_t off[LEVELS][2]; /* who is not on duty: of two, one at least has to be */
    struct ended_tx *txs;
    size_t n_txs;
    struct block *blocks;
    size_t n_blocks;
};

static struct memory_truth *truth_of(struct world *w)
{
    return w->part_truths[PART_MEMORY];
}

static void *truth_new(void)
{
    struct memory_truth *t = sim_alloc(sizeof *t);
    for (int l = 0; l < LEVELS; l++)
        for (int i = 0; i < ACCOUNTS; i++)
            t->accounts[l][i] = OPENING;
    return t;
}

static void truth_free(void *truth)
{
    struct memory_truth *t = truth;
    free(t->txs);
    free(t->blocks);
    free(t);
}

static struct ended_tx *tx_of(struct world *w, uint64_t number)
{
    struct memory_truth *t = truth_of(w);
    if (number >= t->n_txs) {
        size_t n = number + 64;
        t->txs = sim_grow(t->txs, n * sizeof *t->txs);
        memset(t->txs + t->n_txs, 0, (n - t->n_txs) * sizeof *t->txs);
        t->n_txs = n;
    }
    return &t->txs[number];
}

static int64_t sum_of(const struct memory_truth *t, int level)
{
    int64_t sum = 0;
    for (int i = 0; i < ACCOUNTS; i++)
        sum += t->accounts[level][i];
    return sum;
}

static void check_level(struct world *w, int level)
{
    struct memory_truth *t = truth_of(w);
    bool kept = sum_of(t, level) == ACCOUNTS * OPENING, skewed = t->off[level][0] && t->off[level][1];
    if (level == STM_READ_COMMITTED)
        w->result.anomalies[level] += !kept || skewed;
    else if (!kept)
        world_fail(w, "S2: level %d: the accounts hold %lld in all", level, (long long)sum_of(t, level));
    else if (skewed)
        world_fail(w, "S2: level %d: nobody is on duty: two transactions have written past each other", level);
}

/* "s<level>/<what>[…]" */
static void memory_row(struct world *w, const struct record *r)
{
    struct memory_truth *t = truth_of(w);
    bool ours = r->key.len > 4 && r->key.data[0] == 's' && r->key.data[2] == '/';
    int level = ours ? r->key.data[1] - '0' : 0;
    int64_t n = sim_number(r->value);
    if (ours && r->key.data[3] == 'a')
        t->accounts[level][r->key.data[4] - '0'] = n;
    else if (ours && r->key.data[3] == 'd')
        t->off[level][r->key.data[4] - '0'] = n;
    else if (ours && r->key.data[3] == 'l' && ++tx_of(w, (uint64_t)n)->rows > 1)
        world_fail(w, "S1: transaction %lld was applied twice", (long long)n);
    for (int l = 0; l < LEVELS && r->last_of_command; l++)
        check_level(w, l);
}

static void check_end(struct world *w)
{
    struct memory_truth *t = truth_of(w);
    for (size_t i = 0; i < t->n_txs; i++) {
        if (t->txs[i].told == TOLD_APPLIED && t->txs[i].rows == 0)
            world_fail(w, "S1: transaction %zu was applied, and is not there", i);
        if (t->txs[i].told == TOLD_NOT_APPLIED && t->txs[i].rows)
            world_fail(w, "S1: transaction %zu was reported as not applied, and is there", i);
    }
}

/* ---- a transaction ---- */

static tn_rev mod_at(struct world *w, const char *key, tn_rev revision)
{
    const struct row *r = history_at(&w->history, bytes_str(key), revision);
    return r && !r->tombstone ? r->main : 0;
}

static void draw(struct memory *m)
{
    struct world *w = m->actor->world;
    struct tx *x = &m->tx;
    *x = (struct tx){.kind = rng_below(&w->rng, KINDS), .level = (int)rng_below(&w->rng, LEVELS)};
    x->number = ++w->next_value;
    x->n_reads = x->kind == AUDIT ? ACCOUNTS : x->kind == BLIND ? 1 : x->kind == NOTE ? 0 : 2;
    int first = (int)rng_below(&w->rng, x->kind == SKEW ? 2 : ACCOUNTS), all = x->kind == SKEW ? 2 : ACCOUNTS;
    int stride = 1 + (int)rng_below(&w->rng, x->kind == TRANSFER ? ACCOUNTS - 1 : 1);
    for (int i = 0; i < x->n_reads; i++)
        snprintf(x->keys[i], sizeof x->keys[i], "s%d/%c%d", x->level, x->kind == SKEW ? 'd' : 'a',
                 (first + i * stride) % all);
}

static void ended(struct memory *m, enum told told)
{
    struct world *w = m->actor->world;
    SIM_TRACE(w, "client %d: transaction %llu (level %d, kind %d) ended: %d", m->actor->index,
              (unsigned long long)m->tx.number, m->tx.level, (int)m->tx.kind, (int)told);
    if (m->tx.kind != AUDIT)
        tx_of(w, m->tx.number)->told = told;
    w->result.calls++;
    stm_fini(&m->set);
    m->active = false;
    m->next_at = w->now + sim_between(w, 0, 200);
    if (!w->finishing && sim_chance(w, 8))
        footing_close(&m->footing);
}

/* S3, and S2 of a level that promises less while it runs. */
static void check_read(struct memory *m, const char *key, tn_rev mod)
{
    struct world *w = m->actor->world;
    struct tx *x = &m->tx;
    bool one_revision = x->level == STM_SERIALIZABLE_SNAPSHOT || x->level == STM_SERIALIZABLE;
    if (one_revision && mod_at(w, key, m->set.base) != mod)
        world_fail(w, "S3: level %d: %s was read at revision %lld, where the others are of %lld", x->level, key,
                   (long long)mod, (long long)m->set.base);
    if (mod > m->set.least)
        x->apart = true;
}

static void check_applied(struct memory *m, tn_rev revision, bool writes)
{
    struct world *w = m->actor->world;
    struct tx *x = &m->tx;
    tn_rev judged = writes ? revision - 1 : revision;
    for (int i = 0; i < x->n_reads && x->level != STM_READ_COMMITTED; i++)
        if (mod_at(w, x->keys[i], judged) != x->mods[i])
            world_fail(w, "S2: level %d: %s was changed between the read and revision %lld", x->level, x->keys[i],
                       (long long)revision);
    if (x->kind != BLIND)
        return;
    char key[16];
    snprintf(key, sizeof key, "s%d/b", x->level);
    bool behind = mod_at(w, key, judged) > m->set.least;
    if (behind && x->level == STM_SERIALIZABLE_SNAPSHOT)
        world_fail(w, "S4: %s was changed behind revision %lld, and written unread at %lld", key,
                   (long long)m->set.least, (long long)revision);
    w->result.anomalies[STM_SERIALIZABLE] += behind && x->level == STM_SERIALIZABLE;
}

static void again(struct memory *m, tn_rev revision, const struct response_op *others, size_t n)
{
    struct world *w = m->actor->world;
    if (m->tx.apart)
        w->result.anomalies[STM_REPEATABLE_READS] += m->tx.level == STM_REPEATABLE_READS;
    if (w->now >= m->until || w->finishing) {
        ended(m, TOLD_NOT_APPLIED);
        return;
    }
    stm_again(&m->set, revision, others, n);
    m->again_at = w->now + sim_between(w, 1, 50);
}

static void on_committed(void *owner, const struct commit_result *r)
{
    struct memory *m = owner;
    struct world *w = m->actor->world;
    if (r->outcome == COMMIT_APPLIED) {
        w->result.acquisitions++;
        check_applied(m, r->revision, stm_writes(&m->set));
        ended(m, TOLD_APPLIED);
    } else if (r->outcome == COMMIT_CONFLICT) {
        again(m, r->revision, r->others, r->n_others);
    } else {
        bool maybe = r->error->applied == TENURE_APPLIED_MAYBE && !w->config.broken.stm_guess;
        ended(m, maybe ? TOLD_NOTHING : TOLD_NOT_APPLIED);
    }
}

static void put(struct memory *m, const char *key, int64_t n)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)n);
    if (stm_put(&m->set, bytes_str(key), bytes_str(text), 0))
        abort();
}

static void write_all(struct memory *m)
{
    struct tx *x = &m->tx;
    char key[32];
    if (x->kind == TRANSFER) {
        put(m, x->keys[0], x->values[0] - 1);
        put(m, x->keys[1], x->values[1] + 1);
    } else if (x->kind == SKEW) { /* goes off duty when the other one is on it, else comes back */
        put(m, x->keys[0], !x->values[0] && !x->values[1]);
    } else if (x->kind == BLIND) {
        snprintf(key, sizeof key, "s%d/b", x->level);
        put(m, key, (int64_t)x->number);
    }
    if (x->kind != AUDIT) {
        snprintf(key, sizeof key, "s%d/log/%d", x->level, m->actor->index);
        put(m, key, (int64_t)x->number);
    }
}

static void commit(struct memory *m)
{
    struct world *w = m->actor->world;
    struct arena arena;
    struct txn_req req;
    struct commit_options o = {.until = m->until};
    struct marks *marks = w->config.broken.stm_guess || m->tx.kind == AUDIT ? NULL : m->footing.marks;
    write_all(m);
    arena_init(&arena, 0);
    if (stm_request(&m->set, &arena, &req))
        abort();
    if (req.n_compares == 0 && req.n_success == 0)
        ended(m, TOLD_APPLIED);
    else if (commit_start(&m->commit, m->actor->client, marks, &req, &o, on_committed, m, w->now, NULL))
        ended(m, TOLD_NOT_APPLIED);
    arena_fini(&arena);
}

static void go_on(struct memory *m);

static void on_read(void *owner, const struct client_result *r)
{
    struct memory *m = owner;
    if (r->code == TENURE_ECOMPACTED)
        again(m, 0, NULL, 0);
    else if (r->code)
        ended(m, TOLD_NOT_APPLIED);
    else if (stm_note(&m->set, bytes_str(m->tx.keys[m->tx.at]), r->range))
        abort();
    else
        go_on(m);
}

static bool note_known(struct memory *m)
{
    struct tx *x = &m->tx;
    struct kv kv;
    const char *key = x->keys[x->at];
    if (!stm_find(&m->set, bytes_str(key), &kv))
        return false;
    x->values[x->at] = kv.version ? sim_number(kv.value) : key[3] == 'a' ? OPENING : 0;
    x->mods[x->at] = kv.mod_revision;
    check_read(m, key, kv.mod_revision);
    x->at++;
    return true;
}

static void go_on(struct memory *m)
{
    struct world *w = m->actor->world;
    struct tx *x = &m->tx;
    while (x->at < x->n_reads && note_known(m))
        ;
    if (x->at == x->n_reads) {
        commit(m);
        return;
    }
    struct range_req req;
    struct client_call_options o = {.timeout_ms = m->until > w->now ? m->until - w->now : 1};
    stm_read(&m->set, bytes_str(x->keys[x->at]), &req);
    if (op_range(&m->read, m->actor->client, &req, &o, on_read, m, w->now, NULL))
        ended(m, TOLD_NOT_APPLIED);
}

static void begin(struct memory *m)
{
    struct world *w = m->actor->world;
    draw(m);
    m->active = true;
    m->until = w->now + sim_between(w, 300, 4000);
    m->again_at = w->now;
    stm_init(&m->set, (enum stm_isolation)m->tx.level);
    m->set.broken_unguarded = w->config.broken.stm_unguarded;
    m->set.broken_unfenced = w->config.broken.stm_unfenced;
    m->set.broken_newest = w->config.broken.stm_newest;
}

/* ---- ids ---- */

static void take_block(struct world *w, int64_t first, int64_t n)
{
    struct memory_truth *t = truth_of(w);
    if (first <= FLOOR)
        world_fail(w, "I1: id %lld is not above the floor", (long long)first);
    for (size_t i = 0; i < t->n_blocks; i++)
        if (first < t->blocks[i].first + t->blocks[i].n && t->blocks[i].first < first + n)
            world_fail(w, "I1: ids from %lld on were given out twice", (long long)first);
    t->blocks = sim_grow(t->blocks, (t->n_blocks + 1) * sizeof *t->blocks);
    t->blocks[t->n_blocks++] = (struct block){first, n};
}

static int compute_ids(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    return number_compute(&((struct memory *)owner)->taking, kv, ret_value, err);
}

static void on_ids(void *owner, const struct update_result *r)
{
    struct memory *m = owner;
    struct world *w = m->actor->world;
    bool guessed = r->code && w->config.broken.id_guess && m->taking.result;
    if (r->code == 0 || guessed)
        take_block(w, m->taking.result, m->taking.number);
    m->ids_at = w->now + sim_between(w, 20, 800);
}

static void begin_ids(struct memory *m)
{
    struct world *w = m->actor->world;
    struct marks *marks = sim_chance(w, 50) ? m->footing.marks : NULL;
    m->taking = (struct number_change){.kind = NUMBER_TAKE, .number = sim_between(w, 1, 9), .expected = FLOOR};
    if (update_start(&m->ids, m->actor->client, marks, bytes_str(IDS_KEY), w->now + sim_between(w, 200, 3000),
                     compute_ids, on_ids, m, w->now, NULL))
        m->ids_at = w->now + 50;
}

/* ---- the part ---- */

static void *memory_start(struct actor *a)
{
    struct memory *m = sim_alloc(sizeof *m);
    *m = (struct memory){.actor = a, .footing.actor = a, .again_at = TN_MS_NEVER};
    m->next_at = a->world->now + sim_between(a->world, 0, 300);
    m->ids_at = a->world->now + sim_between(a->world, 0, 800);
    return m;
}

static void memory_tick(void *p)
{
    footing_tick(&((struct memory *)p)->footing);
}

static void memory_step(void *p)
{
    struct memory *m = p;
    struct world *w = m->actor->world;
    if (m->active && m->again_at <= w->now) {
        m->again_at = TN_MS_NEVER;
        m->tx.at = 0;
        m->tx.apart = false;
        go_on(m);
    }
    bool tx_due = !m->active && m->next_at <= w->now, ids_due = !m->ids && m->ids_at <= w->now;
    if (w->finishing || (!tx_due && !ids_due))
        return;
    bool ready = footing_ready(&m->footing, m->active || m->ids);
    if (tx_due && ready)
        begin(m);
    else if (tx_due)
        m->next_at = w->now + 10;
    if (ids_due && ready)
        begin_ids(m);
    else if (ids_due)
        m->ids_at = w->now + 10;
}

static tn_ms memory_next(const void *p)
{
    const struct memory *m = p;
    tn_ms at = sim_earlier(footing_next(&m->footing), m->active ? m->again_at : TN_MS_NEVER);
    if (m->actor->world->finishing)
        return at;
    at = m->active ? at : sim_earlier(at, m->next_at);
    return m->ids ? at : sim_earlier(at, m->ids_at);
}

static void memory_finish(void *p)
{
    (void)p;
}

static bool memory_idle(const void *p)
{
    const struct memory *m = p;
    return !m->active && !m->ids;
}

static void memory_kill(void *p)
{
    struct memory *m = p;
    tn_ms now = m->actor->world->now;
    op_drop(&m->read, now);
    commit_drop(&m->commit, now);
    update_drop(&m->ids, now);
    if (m->active)
        stm_fini(&m->set);
    m->active = false;
    footing_kill(&m->footing);
}

static void memory_free(void *p)
{
    footing_free(&((struct memory *)p)->footing);
    free(p);
}

const struct part_ops memory_part = {.name = "memory",
                                     .start = memory_start,
                                     .tick = memory_tick,
                                     .step = memory_step,
                                     .next = memory_next,
                                     .finish = memory_finish,
                                     .idle = memory_idle,
                                     .kill = memory_kill,
                                     .free = memory_free,
                                     .row = memory_row,
                                     .check_end = check_end,
                                     .truth_new = truth_new,
                                     .truth_free = truth_free};
