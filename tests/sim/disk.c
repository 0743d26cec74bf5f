/* The log on a made-up disk: a batch takes its time, lands whole or not at all, and may find no room. What is durable here
 * is the truth (history). The lease table stands for the shared mapping: it outlives a crash of the process. */
#include <stdlib.h>
#include <string.h>

#include "world.h"

void disk_submit(struct world *w, const struct core_batch *b)
{
    struct disk *d = &w->disk;
    d->staged = sim_alloc((b->n_rows + 1) * sizeof *d->staged);
    d->n_staged = b->n_rows;
    for (size_t i = 0; i < b->n_rows; i++) {
        d->staged[i] = b->rows[i];
        d->staged[i].key = sim_copy(b->rows[i].key);
        d->staged[i].value = sim_copy(b->rows[i].value);
    }
    d->deletes = sim_alloc((b->n_deletes + 1) * sizeof *d->deletes);
    d->n_deletes = b->n_deletes;
    if (b->n_deletes)
        memcpy(d->deletes, b->deletes, b->n_deletes * sizeof *d->deletes);
    d->busy = true;
    d->done_at = w->now + (sim_chance(w, 3) ? sim_between(w, 50, 400) : sim_between(w, 0, 5));
    d->outcome = w->now < d->full_until ? CORE_NOT_APPLIED : CORE_APPLIED;
}

static void drop_staged(struct disk *d, bool free_bytes)
{
    for (size_t i = 0; free_bytes && i < d->n_staged; i++) {
        free((void *)d->staged[i].key.data);
        free((void *)d->staged[i].value.data);
    }
    free(d->staged);
    free(d->deletes);
    d->staged = NULL;
    d->deletes = NULL;
    d->n_staged = d->n_deletes = 0;
    d->busy = false;
}

static void land(struct world *w)
{
    struct disk *d = &w->disk;
    for (size_t i = 0; i < d->n_staged; i++) {
        if (d->n == d->cap) {
            d->cap = d->cap ? d->cap * 2 : 256;
            d->rows = sim_grow(d->rows, d->cap * sizeof *d->rows);
        }
        if (d->staged[i].seq != disk_seq(d) + 1)
            world_fail(w, "KV2: log sequence %lld follows %lld", (long long)d->staged[i].seq, (long long)disk_seq(d));
        d->rows[d->n++] = (struct disk_row){d->staged[i], false};
        history_add(w, &d->staged[i]);
    }
    for (size_t i = 0; i < d->n_deletes; i++) {
        tn_seq seq = d->deletes[i];
        if (seq < 1 || (size_t)seq > d->n || d->rows[seq - 1].deleted)
            world_fail(w, "KV7: compaction deletes row %lld, which is not there", (long long)seq);
        else
            d->rows[seq - 1].deleted = true;
    }
    drop_staged(d, false);
}

tn_seq disk_finish(struct world *w)
{
    if (w->disk.outcome == CORE_APPLIED)
        land(w);
    else
        drop_staged(&w->disk, true);
    return disk_seq(&w->disk);
}

void disk_crash(struct world *w)
{
    if (!w->disk.busy)
        return;
    if (w->disk.outcome == CORE_APPLIED && sim_chance(w, 50))
        land(w);
    else
        drop_staged(&w->disk, true);
}

static struct disk_lease *find(const struct disk *d, tn_lease id)
{
    for (size_t i = 0; i < d->n_leases; i++)
        if (d->leases[i].id == id)
            return &d->leases[i];
    return NULL;
}

void disk_lease_store(void *user, tn_lease id, tn_ms deadline)
{
    struct disk *d = &((struct world *)user)->disk;
    struct disk_lease *l = find(d, id);
    if (!l) {
        if (d->n_leases == d->cap_leases) {
            d->cap_leases = d->cap_leases ? d->cap_leases * 2 : 16;
            d->leases = sim_grow(d->leases, d->cap_leases * sizeof *d->leases);
        }
        l = &d->leases[d->n_leases++];
    }
    *l = (struct disk_lease){id, deadline};
}

void disk_lease_forget(void *user, tn_lease id)
{
    struct disk *d = &((struct world *)user)->disk;
    struct disk_lease *l = find(d, id);
    if (l)
        *l = d->leases[--d->n_leases];
}

bool disk_lease_load(const struct disk *d, tn_lease id, tn_ms *ret)
{
    struct disk_lease *l = find(d, id);
    if (l)
        *ret = l->deadline;
    return l != NULL;
}

tn_seq disk_seq(const struct disk *d)
{
    return d->n ? d->rows[d->n - 1].record.seq : 0;
}

void disk_free(struct disk *d)
{
    if (d->busy)
        drop_staged(d, true);
    for (size_t i = 0; i < d->n; i++) {
        free((void *)d->rows[i].record.key.data);
        free((void *)d->rows[i].record.value.data);
    }
    free(d->rows);
    free(d->leases);
}
