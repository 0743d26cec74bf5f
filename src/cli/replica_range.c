/* A copy by ranges: the keys as they were at one revision, page by page, each with its numbers. What was before is not known, so the copy is
 * compacted up to there; what comes behind is followed.
 *
 * All keys are held in memory until they are in the log, which has them in the order in which they were written; the replica would hold them as
 * well. Cut short it leaves nothing that counts. A source that compacts the revision meanwhile: begun again, TRIES times.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenure/iterator.h>

#include "base/arena.h"
#include "cli/replica.h"
#include "cli/snapshot.h"

enum { TRIES = 5, PAGE_BYTES = 4 << 20, PAGE_KEYS = 10000, PAGE_TIMEOUT_MS = 60000 };

struct collected {
    struct arena arena; /* of keys and values */
    struct kv *all;
    size_t n, cap;
    tn_rev revision;
    bytes name;
};

/* ---- from the source ---- */

static int add(struct collected *k, const struct tenure_kv *from, struct tenure_error *err)
{
    if (k->n == k->cap) {
        size_t cap = k->cap ? 2 * k->cap : 1024;
        struct kv *all = realloc(k->all, cap * sizeof *all);
        if (!all)
            return error_set(err, TENURE_ENOMEM, "out of memory");
        k->all = all;
        k->cap = cap;
    }
    struct kv *kv = &k->all[k->n];
    *kv = (struct kv){.key = arena_copy(&k->arena, bytes_of(from->key.data, from->key.len)),
                      .value = arena_copy(&k->arena, bytes_of(from->value.data, from->value.len)),
                      .create_revision = from->create_revision,
                      .mod_revision = from->mod_revision,
                      .version = from->version,
                      .lease = from->lease};
    if (!kv->key.data || (from->value.len && !kv->value.data))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    k->n++;
    return 0;
}

static int read_range(tenure_client *c, struct key_range range, struct collected *k, struct tenure_error *err)
{
    struct tenure_bytes end = {range.range_end.data, range.range_end.len};
    struct tenure_range_options o = {.size = sizeof o,
                                     .from_key = key_range_is_from(range),
                                     .revision = k->revision,
                                     .page_keys = PAGE_KEYS,
                                     .page_bytes = PAGE_BYTES,
                                     .timeout_ms = PAGE_TIMEOUT_MS};
    if (!o.from_key)
        o.range_end = end;
    tenure_range_iter *it = tenure_range_iter_new(c, (struct tenure_bytes){range.key.data, range.key.len}, &o, err);
    struct tenure_get_result *page = NULL;
    int rc = it ? 0 : err->code;
    while (rc == 0 && (rc = tenure_range_iter_next(it, &page, err)) == 0 && page) {
        if (k->revision == 0)
            k->revision = page->revision;
        for (size_t i = 0; rc == 0 && i < page->n_kvs; i++)
            rc = add(k, &page->kvs[i], err);
        tenure_get_free(page);
    }
    tenure_range_iter_free(it);
    return rc;
}

static void drop(struct collected *k)
{
    arena_fini(&k->arena);
    arena_init(&k->arena, 0);
    k->n = 0;
    k->revision = 0;
}

static int read_all(tenure_client *c, const struct replica_ranges *ranges, struct collected *k,
                    struct tenure_error *err)
{
    int rc = TENURE_ECOMPACTED;
    for (int i = 0; rc == TENURE_ECOMPACTED && i < TRIES; i++) {
        drop(k);
        rc = 0;
        for (size_t n = 0; rc == 0 && n < ranges->n; n++)
            rc = read_range(c, ranges->all[n], k, err);
    }
    return rc;
}

/* ---- into the log ---- */

static int by_revision(const void *a, const void *b)
{
    const struct kv *x = a, *y = b;
    if (x->mod_revision != y->mod_revision)
        return x->mod_revision < y->mod_revision ? -1 : 1;
    return bytes_compare(x->key, y->key);
}

static int give_keys(const struct collected *k, tn_seq *seq, snapshot_on_row on_row, void *to, struct tenure_error *err)
{
    int rc = 0;
    int64_t sub = 0;
    for (size_t i = 0; rc == 0 && i < k->n; i++) {
        const struct kv *kv = &k->all[i];
        bool goes_on = i + 1 < k->n && k->all[i + 1].mod_revision == kv->mod_revision;
        struct record row = {.seq = ++*seq,
                             .kind = RECORD_KV,
                             .last_of_command = !goes_on,
                             .main = kv->mod_revision,
                             .sub = sub,
                             .key = kv->key,
                             .value = kv->value,
                             .create_revision = kv->create_revision,
                             .version = kv->version,
                             .lease = kv->lease};
        sub = goes_on ? sub + 1 : 0;
        rc = on_row(to, &row, err);
    }
    return rc;
}

static int give(void *user, uint64_t cluster_id, uint64_t member_id, snapshot_on_row on_row, void *to,
                struct tenure_error *err)
{
    struct collected *k = user;
    tn_seq seq = 1;
    struct record identity = {.seq = 1,
                              .kind = RECORD_IDENTITY,
                              .last_of_command = true,
                              .key = k->name,
                              .create_revision = (tn_rev)cluster_id,
                              .lease = (tn_lease)member_id};
    if (k->n)
        qsort(k->all, k->n, sizeof *k->all, by_revision);
    int rc = on_row(to, &identity, err);
    if (rc == 0)
        rc = give_keys(k, &seq, on_row, to, err);
    struct record compacted = {.seq = seq + 1,
                               .kind = RECORD_COMPACT,
                               .last_of_command = true,
                               .main = k->revision,
                               .create_revision = k->revision};
    return rc ? rc : on_row(to, &compacted, err);
}

int replica_copy_ranges(tenure_client *c, const char *data, const char *name, struct replica_mark *mark,
                        struct tenure_error *err)
{
    struct replica_ranges ranges;
    struct collected k = {.name = bytes_str(name ? name : "default")};
    char *note = NULL;
    arena_init(&k.arena, 0);
    int rc = replica_ranges(mark->prefixes, mark->n_prefixes, &ranges);
    if (rc)
        error_set(err, rc, "out of memory");
    if (rc == 0)
        rc = read_all(c, &ranges, &k, err);
    mark->first = k.revision;
    if (rc == 0 && !(note = replica_mark_text(mark)))
        rc = error_set(err, TENURE_ENOMEM, "out of memory");
    if (rc == 0) {
        struct snapshot_into into = {.dir = data, .name = name, .replica = note};
        struct snapshot_rows rows = {.give = give, .user = &k, .revision = k.revision};
        rc = snapshot_rows_into(&into, &rows, err);
    }
    free(note);
    free(k.all);
    arena_fini(&k.arena);
    replica_ranges_free(&ranges);
    return rc;
}
