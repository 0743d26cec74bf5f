/* HashKV in slices: the CRC-32C of what etcd's bucket of keys holds up to a revision R, with C the compaction revision when
 * the work begins:
 *
 *   - every version behind C and up to R, deletes too;
 *   - of those at or below C only what still lives at R. Where nothing lives at R at all, etcd leaves nothing out: then what
 *     lived at C.
 *
 *     GATHERING (the versions that live at C, by key) -> MERGING (them, by revision) -> READING (the history behind C)
 *
 * Gathering walks the keys, a stretch a slice, and keeps sorted runs of pointers, which merging puts in order: 16 bytes a
 * key that lived at C. Without a compaction there is only history to read.
 *
 * As etcd, each compaction that a client asks for hashes what is there up to its revision before anything of it goes; the ten
 * newest of these are kept (not over a restart) and answered for that very revision, with the compaction revision of before.
 *
 * While the work is under way nothing is trimmed that could be read at C, so every slice sees the same versions; writes,
 * deletes and compactions go on. Failure: no memory for a run.
 */
#include <stdlib.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "store/hash_row.h"
#include "store/internal.h"

enum {
    RUN_LEN = 4096,
    WORK_ROW = 4,         /* a row costs as much as so many keys that are only looked at */
    WORK_BYTES_SHIFT = 7, /* and one more for each 128 bytes */
};

enum phase { GATHERING, MERGING, READING, FINISHED };

/* The lowest bit of `version` tells whether it still lives at R. */
struct hash_entry {
    tn_rev main;
    uintptr_t version;
};

struct hash_run {
    struct hash_entry *at;
    size_t len, next;
};

struct store_hash {
    struct list node; /* in store.hashes: holds up trimming */
    struct store *s;
    enum phase phase;
    tn_rev revision, compacted, current;
    uint32_t crc;
    struct buf from; /* GATHERING: where to go on */
    bool any_kept;
    bool of_compaction;
    struct hash_run *runs;
    size_t n_runs, cap_runs;
    size_t *heap, n_heap; /* MERGING: places of runs that have something left, the one with the oldest first */
    tn_rev next;          /* READING: the revision to go on from */
    size_t next_skip;     /* and its rows that were read already */
};

static const struct version *version_of(const struct hash_entry *e)
{
    return (const struct version *)(e->version & ~(uintptr_t)1);
}

static bool is_kept(const struct hash_entry *e)
{
    return e->version & 1;
}

static int entry_order(const void *a, const void *b)
{
    const struct hash_entry *x = a, *y = b;
    if (x->main != y->main)
        return x->main < y->main ? -1 : 1;
    uint32_t x_sub = version_of(x)->sub, y_sub = version_of(y)->sub;
    return x_sub < y_sub ? -1 : x_sub > y_sub;
}

static size_t hash_one(struct store_hash *h, const struct version *v)
{
    h->crc = hash_row(h->crc, v);
    return WORK_ROW + ((size_t)v->value_len >> WORK_BYTES_SHIFT);
}

/* ---- gathering ---- */

static struct hash_run *run_add(struct store_hash *h)
{
    if (h->n_runs == h->cap_runs) {
        size_t cap = h->cap_runs ? 2 * h->cap_runs : 16;
        struct hash_run *runs = realloc(h->runs, cap * sizeof *runs);
        if (!runs)
            return NULL;
        h->runs = runs;
        h->cap_runs = cap;
    }
    struct hash_entry *at = malloc(RUN_LEN * sizeof *at);
    if (!at)
        return NULL;
    h->runs[h->n_runs] = (struct hash_run){.at = at};
    return &h->runs[h->n_runs++];
}

static struct hash_run *run_last(const struct store_hash *h)
{
    return h->n_runs ? &h->runs[h->n_runs - 1] : NULL;
}

static void run_sort(struct hash_run *run)
{
    if (run && run->len > 1)
        qsort(run->at, run->len, sizeof run->at[0], entry_order);
}

/* A compaction keeps a delete at its very revision. */
static bool ends_at(const struct key *k, tn_rev revision)
{
    const struct version *v = key_at(k, revision);
    return v && version_is_tombstone(v) && v->main == revision;
}

static bool gather_key(struct store_hash *h, const struct key *k)
{
    const struct version *at_revision = key_live_at(k, h->revision);
    struct version *at_compaction = key_live_at(k, h->compacted);
    h->any_kept |= at_revision != NULL || (h->of_compaction && ends_at(k, h->revision));
    if (!at_compaction)
        return true;
    struct hash_run *run = run_last(h);
    if (!run || run->len == RUN_LEN) {
        run_sort(run);
        run = run_add(h);
    }
    if (!run)
        return false;
    bool kept = at_compaction == at_revision;
    run->at[run->len++] = (struct hash_entry){at_compaction->main, (uintptr_t)at_compaction | kept};
    return true;
}

static bool heap_is_before(const struct store_hash *h, size_t a, size_t b)
{
    const struct hash_run *x = &h->runs[h->heap[a]], *y = &h->runs[h->heap[b]];
    return entry_order(&x->at[x->next], &y->at[y->next]) < 0;
}

static void heap_sink(struct store_hash *h, size_t i)
{
    for (size_t child; (child = 2 * i + 1) < h->n_heap; i = child) {
        if (child + 1 < h->n_heap && heap_is_before(h, child + 1, child))
            child++;
        if (!heap_is_before(h, child, i))
            return;
        size_t place = h->heap[i];
        h->heap[i] = h->heap[child];
        h->heap[child] = place;
    }
}

static enum store_hash_state begin_merging(struct store_hash *h)
{
    run_sort(run_last(h));
    h->heap = malloc((h->n_runs ? h->n_runs : 1) * sizeof *h->heap);
    if (!h->heap)
        return STORE_HASH_NO_MEMORY;
    for (size_t i = 0; i < h->n_runs; i++)
        h->heap[i] = i;
    h->n_heap = h->n_runs;
    for (size_t i = h->n_heap / 2; i-- > 0;)
        heap_sink(h, i);
    h->phase = MERGING;
    return STORE_HASH_MORE;
}

/* Goes on right behind the key: a 0 byte longer is the next that there can be. */
static bool note_place(struct store_hash *h, bytes key)
{
    buf_reset(&h->from);
    buf_append_bytes(&h->from, key);
    buf_append_byte(&h->from, 0);
    return !buf_error(&h->from);
}

static enum store_hash_state gather(struct store_hash *h, size_t work)
{
    struct scan scan;
    struct key_range all = {buf_bytes(&h->from), bytes_of("", 1)};
    struct key *k = scan_first(h->s, &scan, all, 0), *last = k;
    for (; k && work > 0; k = scan_next(&scan), work--) {
        last = k;
        if (!gather_key(h, k))
            return STORE_HASH_NO_MEMORY;
    }
    if (!k)
        return begin_merging(h);
    return note_place(h, last->item.key) ? STORE_HASH_MORE : STORE_HASH_NO_MEMORY;
}

/* ---- merging ---- */

static void run_advance(struct store_hash *h)
{
    struct hash_run *run = &h->runs[h->heap[0]];
    if (++run->next == run->len) {
        free(run->at);
        run->at = NULL;
        h->heap[0] = h->heap[--h->n_heap];
    }
    heap_sink(h, 0);
}

static enum store_hash_state merge(struct store_hash *h, size_t work)
{
    while (h->n_heap > 0 && work > 0) {
        const struct hash_run *run = &h->runs[h->heap[0]];
        const struct hash_entry *e = &run->at[run->next];
        size_t cost = !h->any_kept || is_kept(e) ? hash_one(h, version_of(e)) : 1;
        work = cost < work ? work - cost : 0;
        run_advance(h);
    }
    if (h->n_heap == 0)
        h->phase = READING;
    return STORE_HASH_MORE;
}

/* ---- reading ---- */

static enum store_hash_state read_history(struct store_hash *h, size_t work)
{
    size_t i = history_lower_bound(h->s, h->next) + h->next_skip;
    for (; i < h->s->history.len && work > 0; i++) {
        const struct version *v = history_at(h->s, i);
        if (v->main > h->revision)
            break;
        h->next_skip = v->main == h->next ? h->next_skip + 1 : 1;
        h->next = v->main;
        size_t cost = hash_one(h, v);
        work = cost < work ? work - cost : 0;
    }
    if (i < h->s->history.len && history_at(h->s, i)->main <= h->revision)
        return STORE_HASH_MORE;
    h->phase = FINISHED;
    return STORE_HASH_DONE;
}

/* ---- the work as a whole ---- */

static enum etcd_error revision_check(const struct store *s, tn_rev revision)
{
    if (revision > 0 && revision < s->compacted_durable)
        return ETCD_COMPACTED;
    return revision > s->revision_durable ? ETCD_FUTURE_REV : ETCD_OK;
}

static size_t hashes_len(const struct store *s)
{
    size_t n = 0;
    LIST_FOREACH(it, (struct list *)&s->hashes)
    {
        n++;
    }
    return n;
}

static const struct hash_kept *kept_find(const struct store *s, tn_rev revision)
{
    for (size_t i = 0; i < s->n_hashes_kept && revision > 0; i++) {
        if (s->hashes_kept[i].revision == revision)
            return &s->hashes_kept[i];
    }
    return NULL;
}

static struct store_hash *hash_new(struct store *s, tn_rev revision, tn_rev compacted)
{
    struct store_hash *h = calloc(1, sizeof *h);
    if (!h)
        return NULL;
    buf_init(&h->from);
    h->s = s;
    h->current = s->revision_durable;
    h->revision = revision;
    h->compacted = compacted;
    h->next = compacted + 1;
    h->crc = hash_row_begin();
    h->phase = revision < 0 ? FINISHED : compacted > 0 ? GATHERING : READING;
    list_push_back(&s->hashes, &h->node);
    return h;
}

enum etcd_error store_hash_begin(struct store *s, tn_rev revision, struct store_hash **ret)
{
    const struct hash_kept *kept = kept_find(s, revision);
    enum etcd_error e = kept ? ETCD_OK : revision_check(s, revision);
    if (e)
        return e;
    if (hashes_len(s) >= STORE_HASHES_MAX)
        return ETCD_TOO_MANY_REQUESTS;
    struct store_hash *h = hash_new(s, revision ? revision : s->revision_durable, s->compacted_durable);
    if (!h)
        return ETCD_OUT_OF_MEMORY;
    if (kept) {
        h->phase = FINISHED;
        h->crc = kept->hash;
        h->compacted = kept->compacted;
        list_remove(&h->node); /* it reads nothing */
    }
    *ret = h;
    return ETCD_OK;
}

struct store_hash *store_hash_begin_compaction(struct store *s, tn_rev before)
{
    struct compaction *newest = compaction_durable(s);
    if (!newest || newest->revision_before != before || hashes_len(s) >= STORE_HASHES_MAX)
        return NULL;
    struct store_hash *h = hash_new(s, newest->revision, before);
    if (h)
        h->of_compaction = true;
    return h;
}

void store_hash_keep(struct store_hash *h)
{
    struct store *s = h->s;
    if (s->n_hashes_kept == ARRAY_LEN(s->hashes_kept))
        memmove(s->hashes_kept, s->hashes_kept + 1, --s->n_hashes_kept * sizeof s->hashes_kept[0]);
    s->hashes_kept[s->n_hashes_kept++] = (struct hash_kept){h->revision, h->compacted, h->crc};
}

enum store_hash_state store_hash_step(struct store_hash *h, size_t work)
{
    switch (h->phase) {
    case GATHERING:
        return gather(h, work);
    case MERGING:
        return merge(h, work);
    case READING:
        return read_history(h, work);
    case FINISHED:
        break;
    }
    return STORE_HASH_DONE;
}

void store_hash_result(const struct store_hash *h, struct hash_kv_resp *ret)
{
    *ret = (struct hash_kv_resp){
        .revision = h->current,
        .hash = h->crc,
        .compact_revision = h->compacted,
        .hash_revision = h->revision,
    };
}

struct store_hash *store_hash_end(struct store_hash *h)
{
    if (!h)
        return NULL;
    list_remove(&h->node);
    for (size_t i = 0; i < h->n_runs; i++)
        free(h->runs[i].at);
    free(h->runs);
    free(h->heap);
    buf_fini(&h->from);
    free(h);
    return NULL;
}

bool store_hashing(const struct store *s)
{
    return !list_empty(&s->hashes);
}

/* The oldest compaction revision that one under way still reads at. */
tn_rev hash_floor(const struct store *s)
{
    tn_rev floor = INT64_MAX;
    LIST_FOREACH(it, (struct list *)&s->hashes)
    {
        const struct store_hash *h = LIST_ENTRY(it, struct store_hash, node);
        floor = h->compacted < floor ? h->compacted : floor;
    }
    return floor;
}
