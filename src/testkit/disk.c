/* The log in memory. What is not finished when the server crashes is lost; what is, stays, as do the deadlines of leases,
 * which a real server keeps in a mapping that outlives its process.
 *
 * Failure mode: no memory for a batch: it is not applied, as on a full disk. */
#include <stdlib.h>
#include <string.h>

#include "testkit/kit.h"

static void record_free(struct record *r)
{
    free((void *)r->key.data);
    r->key = r->value = bytes_of(NULL, 0);
}

/* Key and value in one allocation, the key's. */
static bool record_copy(struct record *to, const struct record *from)
{
    *to = *from;
    to->key = to->value = bytes_of(NULL, 0);
    uint8_t *p = malloc(from->key.len + from->value.len + 1);
    if (!p)
        return false;
    if (from->key.len)
        memcpy(p, from->key.data, from->key.len);
    if (from->value.len)
        memcpy(p + from->key.len, from->value.data, from->value.len);
    to->key = bytes_of(p, from->key.len);
    to->value = bytes_of(p + from->key.len, from->value.len);
    return true;
}

static bool grow(struct disk *d, size_t n)
{
    if (d->n + n <= d->cap)
        return true;
    size_t cap = 2 * d->cap > d->n + n ? 2 * d->cap : d->n + n + 64;
    struct disk_row *rows = realloc(d->rows, cap * sizeof *rows);
    if (!rows)
        return false;
    d->rows = rows;
    d->cap = cap;
    return true;
}

static bool stage(struct disk *d, const struct core_batch *b)
{
    d->staged = calloc(b->n_rows + 1, sizeof *d->staged);
    d->deletes = calloc(b->n_deletes + 1, sizeof *d->deletes);
    if (!d->staged || !d->deletes || !grow(d, b->n_rows))
        return false;
    for (; d->n_staged < b->n_rows; d->n_staged++)
        if (!record_copy(&d->staged[d->n_staged], &b->rows[d->n_staged]))
            return false;
    if (b->n_deletes)
        memcpy(d->deletes, b->deletes, b->n_deletes * sizeof *d->deletes);
    d->n_deletes = b->n_deletes;
    return true;
}

void disk_submit(struct disk *d, const struct core_batch *b, tn_ms done_at)
{
    d->failed = d->mode == TENURE_TESTKIT_DISK_FULL || !stage(d, b);
    d->busy = true;
    d->done_at = done_at;
}

bool disk_done(const struct disk *d, tn_ms now)
{
    return d->busy && d->mode != TENURE_TESTKIT_DISK_FROZEN && d->done_at <= now;
}

void disk_drop(struct disk *d)
{
    for (size_t i = 0; i < d->n_staged; i++)
        record_free(&d->staged[i]);
    free(d->staged);
    free(d->deletes);
    d->staged = NULL;
    d->deletes = NULL;
    d->n_staged = d->n_deletes = 0;
    d->busy = false;
}

static void land(struct disk *d)
{
    for (size_t i = 0; i < d->n_staged; i++)
        d->rows[d->n++] = (struct disk_row){d->staged[i]};
    d->n_staged = 0;
    for (size_t i = 0; i < d->n_deletes; i++) {
        tn_seq seq = d->deletes[i];
        if (seq < 1 || (size_t)seq > d->n)
            continue;
        record_free(&d->rows[seq - 1].record);
        d->rows[seq - 1].record.kind = 0;
    }
}

enum core_outcome disk_finish(struct disk *d)
{
    bool failed = d->failed;
    if (!failed)
        land(d);
    disk_drop(d);
    return failed ? CORE_NOT_APPLIED : CORE_APPLIED;
}

tn_seq disk_seq(const struct disk *d)
{
    return (tn_seq)d->n;
}

/* ---- deadlines ---- */

static struct disk_lease *find(struct disk *d, tn_lease id)
{
    for (size_t i = 0; i < d->n_leases; i++)
        if (d->leases[i].id == id)
            return &d->leases[i];
    return NULL;
}

/* Without memory the lease has its whole TTL after a restart. */
static struct disk_lease *add(struct disk *d)
{
    if (d->n_leases == d->cap_leases) {
        size_t cap = d->cap_leases ? 2 * d->cap_leases : 16;
        struct disk_lease *leases = realloc(d->leases, cap * sizeof *leases);
        if (!leases)
            return NULL;
        d->leases = leases;
        d->cap_leases = cap;
    }
    return &d->leases[d->n_leases++];
}

void disk_lease_store(void *user, tn_lease id, tn_ms deadline)
{
    struct disk *d = &((tenure_testkit *)user)->disk;
    struct disk_lease *l = find(d, id);
    l = l ? l : add(d);
    if (l)
        *l = (struct disk_lease){id, deadline};
}

void disk_lease_forget(void *user, tn_lease id)
{
    struct disk *d = &((tenure_testkit *)user)->disk;
    struct disk_lease *l = find(d, id);
    if (l)
        *l = d->leases[--d->n_leases];
}

void disk_fini(struct disk *d)
{
    disk_drop(d);
    for (size_t i = 0; i < d->n; i++)
        record_free(&d->rows[i].record);
    free(d->rows);
    free(d->leases);
}
