/* The truth: rows in the order in which they became durable, and what follows from them. Checks KV2 on the way in. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

static const char *const queues[QUEUES] = {LOCK_KEYS, ELECTION_KEYS, GATE_KEYS};

static bool under(bytes key, const char *prefix)
{
    return bytes_has_prefix(key, bytes_str(prefix));
}

tn_rev history_lowest(const struct history *h, const char *prefix)
{
    tn_rev low = 0;
    for (size_t i = 0; i < h->n; i++) {
        const struct row *r = &h->rows[i];
        if (r->tombstone || !under(r->key, prefix) || (low && r->create_revision >= low))
            continue;
        if (history_at(h, r->key, h->revision) == r)
            low = r->create_revision;
    }
    return low;
}

static void note_owner(struct history *h, int queue)
{
    tn_rev token = history_lowest(h, queues[queue]);
    size_t n = h->n_owners[queue];
    if (!token || (n && h->owners[queue][n - 1].token == token))
        return;
    h->owners[queue] = sim_grow(h->owners[queue], (n + 1) * sizeof(struct owner));
    h->owners[queue][n] = (struct owner){token, h->revision};
    h->n_owners[queue]++;
}

static void check_row(struct world *w, const struct record *r)
{
    const struct history *h = &w->history;
    const struct row *before = history_at(h, r->key, h->revision);
    bool lives = before && !before->tombstone;
    if (r->main != h->revision + (r->sub == 0))
        world_fail(w, "KV2: revision %lld.%lld follows %lld", (long long)r->main, (long long)r->sub,
                   (long long)h->revision);
    if (!r->tombstone && r->version != (lives ? before->version + 1 : 1))
        world_fail(w, "KV2: version %lld of %.*s does not follow", (long long)r->version, (int)r->key.len, r->key.data);
    if (!r->tombstone && r->create_revision != (lives ? before->create_revision : r->main))
        world_fail(w, "KV2: create revision of %.*s does not follow", (int)r->key.len, r->key.data);
    if (r->tombstone && !lives)
        world_fail(w, "KV2: a delete of %.*s, which did not exist", (int)r->key.len, r->key.data);
}

static void add_row(struct world *w, const struct record *r)
{
    struct history *h = &w->history;
    check_row(w, r);
    if (h->n == h->cap) {
        h->cap = h->cap ? h->cap * 2 : 256;
        h->rows = sim_grow(h->rows, h->cap * sizeof *h->rows);
    }
    struct row *row = &h->rows[h->n++];
    *row = (struct row){r->main,    r->sub,  r->tombstone, sim_copy(r->key), sim_copy(r->value), r->create_revision,
                        r->version, r->lease};
    h->revision = r->main;
    SIM_TRACE(w, "durable %lld.%lld %s %s=%s", (long long)r->main, (long long)r->sub, r->tombstone ? "delete" : "put",
              (const char *)row->key.data, (const char *)row->value.data);
}

/* L4: with the lease all its keys have gone, in the revision of the same command. */
static void check_revoke(struct world *w, tn_lease lease)
{
    const struct history *h = &w->history;
    SIM_TRACE(w, "durable: lease %llx ends", (unsigned long long)lease);
    for (size_t i = 0; i < h->n; i++)
        if (h->rows[i].lease == lease && !h->rows[i].tombstone &&
            history_at(h, h->rows[i].key, h->revision) == &h->rows[i])
            world_fail(w, "L4: %.*s outlives its lease", (int)h->rows[i].key.len, h->rows[i].key.data);
    for (int i = 0; i < w->n_actors; i++)
        actor_lease_ended(&w->actors[i], lease);
}

void history_add(struct world *w, const struct record *r)
{
    struct history *h = &w->history;
    if (r->kind == RECORD_LEASE_REVOKE)
        check_revoke(w, r->lease);
    if (r->kind == RECORD_KV)
        add_row(w, r);
    if (w->config.jobs && r->kind == RECORD_KV)
        jobs_row(w, r);
    if (r->kind == RECORD_KV)
        parts_row(w, r);
    if (w->config.locks)
        locks_row(w, r);
    for (int i = 0; i < w->n_actors && r->kind == RECORD_KV && r->tombstone; i++)
        actor_key_deleted(&w->actors[i], r->key);
    for (int q = 0; q < QUEUES - !w->config.locks && r->last_of_command; q++)
        note_owner(h, q);
}

const struct row *history_at(const struct history *h, bytes key, tn_rev revision)
{
    for (size_t i = h->n; i-- > 0;)
        if (h->rows[i].main <= revision && bytes_equal(h->rows[i].key, key))
            return &h->rows[i];
    return NULL;
}

size_t history_next(const struct history *h, size_t from, const char *prefix)
{
    while (from < h->n && !under(h->rows[from].key, prefix))
        from++;
    return from;
}

bool history_has_value(const struct history *h, bytes value, size_t *ret_times)
{
    *ret_times = 0;
    for (size_t i = 0; i < h->n; i++)
        *ret_times += !h->rows[i].tombstone && bytes_equal(h->rows[i].value, value);
    return *ret_times > 0;
}

bool history_was_owner(const struct history *h, int queue, tn_rev token)
{
    for (size_t i = h->n_owners[queue]; i-- > 0;)
        if (h->owners[queue][i].token == token)
            return true;
    return false;
}

size_t history_live(const struct history *h, const char *prefix)
{
    size_t live = 0;
    for (size_t i = 0; i < h->n; i++)
        live += under(h->rows[i].key, prefix) && !h->rows[i].tombstone &&
                history_at(h, h->rows[i].key, h->revision) == &h->rows[i];
    return live;
}

void history_free(struct history *h)
{
    for (size_t i = 0; i < h->n; i++) {
        free((void *)h->rows[i].key.data);
        free((void *)h->rows[i].value.data);
    }
    free(h->rows);
    for (int q = 0; q < QUEUES; q++)
        free(h->owners[q]);
}
