/* See migrate_rows.h. */
#include "cli/migrate_rows.h"

#include <inttypes.h>
#include <stdlib.h>

#include "store/event_row.h"

void migrate_rows_init(struct migrate_rows *r, tn_seq seq, tn_rev newest)
{
    *r = (struct migrate_rows){.seq = seq, .newest = newest};
}

void migrate_rows_fini(struct migrate_rows *r)
{
    free(r->rows);
    r->rows = NULL;
}

void migrate_rows_clear(struct migrate_rows *r)
{
    r->n = r->bytes = 0;
}

static int make_room(struct migrate_rows *r, size_t more, struct tenure_error *err)
{
    size_t cap = r->cap ? r->cap : 256;
    if (r->n + more <= r->cap)
        return 0;
    while (cap < r->n + more)
        cap *= 2;
    struct record *rows = realloc(r->rows, cap * sizeof *rows);
    if (!rows)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    r->rows = rows;
    r->cap = cap;
    return 0;
}

static void add(struct migrate_rows *r, struct record row)
{
    row.seq = ++r->seq;
    r->bytes += row.key.len + row.value.len;
    r->rows[r->n++] = row;
}

/* One that is a command by itself, at the newest revision. */
static int add_single(struct migrate_rows *r, struct record row, struct tenure_error *err)
{
    int rc = make_room(r, 1, err);
    if (rc)
        return rc;
    row.last_of_command = true;
    row.main = r->newest;
    add(r, row);
    return 0;
}

/* ---- one revision ---- */

size_t migrate_revision_len(const struct event *events, size_t n)
{
    size_t len = n ? 1 : 0;
    while (len < n && events[len].kv.mod_revision == events[0].kv.mod_revision)
        len++;
    return len;
}

static int bad(const struct event *e, const char *why, struct tenure_error *err)
{
    return error_set(err, TENURE_ECORRUPT, "revision %" PRId64 " of the source: %s", e->kv.mod_revision, why);
}

static int by_key(const void *a, const void *b)
{
    const struct event *const *x = a, *const *y = b;
    return bytes_compare((*x)->kv.key, (*y)->kv.key);
}

/* etcd takes two rare forms of a transaction that change a key twice; our log has one version of a key in a revision. */
static int check_keys(const struct event *events, size_t n, struct tenure_error *err)
{
    if (n < 2)
        return 0;
    const struct event **sorted = malloc(n * sizeof(const struct event *));
    int rc = sorted ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
    for (size_t i = 0; sorted && i < n; i++)
        sorted[i] = &events[i];
    if (sorted)
        qsort(sorted, n, sizeof *sorted, by_key);
    for (size_t i = 1; rc == 0 && i < n; i++) {
        if (bytes_equal(sorted[i - 1]->kv.key, sorted[i]->kv.key))
            rc = bad(&events[0], "one transaction changed a key twice, which cannot be kept", err);
    }
    free(sorted);
    return rc;
}

static int check_event(const struct event *e, struct tenure_error *err)
{
    const struct kv *kv = &e->kv;
    if (kv->key.len == 0)
        return bad(e, "an event without a key", err);
    if (e->type == EVENT_DELETE)
        return 0;
    if (kv->version < 1 || kv->create_revision < 2 || kv->create_revision > kv->mod_revision)
        return bad(e, "numbers of a key that cannot be", err);
    return 0;
}

int migrate_add_revision(struct migrate_rows *r, const struct event *events, size_t n, struct tenure_error *err)
{
    tn_rev revision = events[0].kv.mod_revision;
    if (revision != r->newest + 1)
        return error_set(err, TENURE_ECORRUPT,
                         "the source told revision %" PRId64 " where %" PRId64
                         " comes next: what lies between is missing",
                         revision, r->newest + 1);
    int rc = make_room(r, n, err);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = check_event(&events[i], err);
    if (rc == 0)
        rc = check_keys(events, n, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        struct record row = event_row(&events[i]);
        row.sub = (int64_t)i;
        row.last_of_command = i + 1 == n;
        add(r, row);
    }
    r->newest = revision;
    return 0;
}

/* ---- the rest ---- */

int migrate_add_grant(struct migrate_rows *r, tn_lease id, int64_t ttl_s, struct tenure_error *err)
{
    return add_single(r, (struct record){.kind = RECORD_LEASE_GRANT, .lease = id, .version = ttl_s}, err);
}

int migrate_add_revoke(struct migrate_rows *r, tn_lease id, struct tenure_error *err)
{
    return add_single(r, (struct record){.kind = RECORD_LEASE_REVOKE, .lease = id}, err);
}

int migrate_add_compaction(struct migrate_rows *r, tn_rev revision, struct tenure_error *err)
{
    int rc = add_single(r, (struct record){.kind = RECORD_COMPACT}, err);
    if (rc == 0)
        r->rows[r->n - 1].main = revision;
    return rc;
}

int migrate_add_auth(struct migrate_rows *r, struct record row, struct tenure_error *err)
{
    return add_single(r, row, err);
}

int migrate_add_disarm(struct migrate_rows *r, uint64_t member_id, int32_t type, struct tenure_error *err)
{
    struct record row = {.kind = RECORD_ALARM, .tombstone = true, .lease = (tn_lease)member_id, .version = type};
    return add_single(r, row, err);
}

/* ---- leases ---- */

static int by_id(const void *a, const void *b)
{
    const tn_lease *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void sort_ids(tn_lease *ids, size_t n)
{
    if (n > 1)
        qsort(ids, n, sizeof *ids, by_id);
}

int migrate_diff_leases(struct migrate_lease_diff *d)
{
    size_t i = 0, k = 0;
    int rc = 0;
    sort_ids(d->there, d->n_there);
    sort_ids(d->here, d->n_here);
    while (rc >= 0 && (i < d->n_there || k < d->n_here)) {
        bool is_new = k == d->n_here || (i < d->n_there && d->there[i] < d->here[k]);
        bool is_gone = !is_new && (i == d->n_there || d->here[k] < d->there[i]);
        if (is_new)
            rc = d->on_new(d->user, d->there[i++]);
        else if (is_gone)
            rc = d->on_gone(d->user, d->here[k++]);
        else
            i++, k++;
    }
    return rc < 0 ? rc : 0;
}
