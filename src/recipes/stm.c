/* The read and write sets of one attempt: see stm.h. One entry a key, sorted; an entry may be known from the last conflict
 * (brought), read by this attempt (and so guarded), and written. */
#include "recipes/stm.h"

#include <stdlib.h>

#include "base/error.h"

enum { CAP_MIN = 16 };

enum write_kind { WRITE_NONE, WRITE_PUT, WRITE_DELETE };

struct stm_entry {
    bytes key;
    bool brought, read;
    struct kv kv; /* when brought or read; version 0 = absent */
    enum write_kind write;
    bytes value; /* of the put */
    tn_lease lease;
};

void stm_init(struct stm *s, enum stm_isolation isolation)
{
    *s = (struct stm){.isolation = isolation};
    arena_init(&s->arenas[0], 2 * (size_t)STM_BYTES_MAX);
    arena_init(&s->arenas[1], 2 * (size_t)STM_BYTES_MAX);
}

void stm_fini(struct stm *s)
{
    arena_fini(&s->arenas[0]);
    arena_fini(&s->arenas[1]);
    free(s->entries);
    s->entries = NULL;
    s->len = s->cap = 0;
}

/* Reads of these two belong to one revision. */
static bool has_base(const struct stm *s)
{
    return s->isolation == STM_SERIALIZABLE_SNAPSHOT || s->isolation == STM_SERIALIZABLE;
}

/* ---- entries ---- */

static struct arena *memory(struct stm *s)
{
    return &s->arenas[s->now];
}

/* The first place that is not before key. */
static size_t place_of(const struct stm *s, bytes key)
{
    size_t low = 0, high = s->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(s->entries[middle]->key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct stm_entry *find(const struct stm *s, bytes key)
{
    size_t at = place_of(s, key);
    return at < s->len && bytes_equal(s->entries[at]->key, key) ? s->entries[at] : NULL;
}

static int make_room(struct stm *s)
{
    if (s->len < s->cap)
        return 0;
    size_t cap = s->cap ? 2 * s->cap : CAP_MIN;
    struct stm_entry **entries = realloc(s->entries, cap * sizeof(struct stm_entry *));
    if (!entries)
        return TENURE_ENOMEM;
    s->entries = entries;
    s->cap = cap;
    return 0;
}

/* Counted are copies made, also of what a later write replaced: the memory is there until the attempt ends. */
static int keep(struct stm *s, bytes *value)
{
    if (value->len > STM_BYTES_MAX - s->bytes)
        return TENURE_ELIMIT;
    if (value->len > 0)
        *value = arena_copy(memory(s), *value);
    if (value->len > 0 && !value->data)
        return TENURE_ENOMEM;
    s->bytes += value->len;
    return 0;
}

/* The entry of that key, made when there is none. */
static int entry_of(struct stm *s, bytes key, struct stm_entry **ret)
{
    *ret = find(s, key);
    if (*ret)
        return 0;
    if (s->len >= STM_KEYS_MAX)
        return TENURE_ELIMIT;
    int rc = make_room(s);
    rc = rc ? rc : keep(s, &key);
    struct stm_entry *e = rc ? NULL : arena_zalloc(memory(s), sizeof *e);
    if (!e)
        return rc ? rc : TENURE_ENOMEM;
    size_t at = place_of(s, key);
    memmove(s->entries + at + 1, s->entries + at, (s->len - at) * sizeof(struct stm_entry *));
    s->entries[at] = e;
    s->len++;
    e->key = key;
    e->kv.key = key;
    *ret = e;
    return 0;
}

static int set_kv(struct stm *s, struct stm_entry *e, const struct range_resp *r)
{
    struct kv kv = {.key = e->key};
    if (r->n_kvs > 0) {
        kv = r->kvs[0];
        kv.key = e->key;
        int rc = keep(s, &kv.value);
        if (rc)
            return rc;
    }
    e->kv = kv;
    return 0;
}

/* ---- reading ---- */

static void seen_at(struct stm *s, tn_rev revision)
{
    if (!s->least || revision < s->least)
        s->least = revision;
    if (has_base(s) && !s->base)
        s->base = revision;
}

int stm_find(struct stm *s, bytes key, struct kv *ret)
{
    struct stm_entry *e = find(s, key);
    if (!e || (!e->write && !e->read && !e->brought))
        return 0;
    if (e->write) {
        *ret = (struct kv){.key = e->key, .value = e->value, .version = e->write == WRITE_PUT, .lease = e->lease};
        return 1;
    }
    if (!e->read)
        seen_at(s, s->base);
    e->read = true;
    *ret = e->kv;
    return 1;
}

void stm_read(const struct stm *s, bytes key, struct range_req *ret)
{
    *ret =
        (struct range_req){.range.key = key, .revision = s->broken_newest ? 0 : s->base, .serializable = !has_base(s)};
}

int stm_note(struct stm *s, bytes key, const struct range_resp *r)
{
    struct stm_entry *e;
    int rc = entry_of(s, key, &e);
    rc = rc || e->read ? rc : set_kv(s, e, r);
    if (rc || e->read)
        return rc;
    e->read = true;
    seen_at(s, s->base ? s->base : r->revision);
    return 0;
}

/* ---- writing ---- */

int stm_put(struct stm *s, bytes key, bytes value, tn_lease lease)
{
    struct stm_entry *e;
    int rc = entry_of(s, key, &e);
    rc = rc ? rc : keep(s, &value);
    if (rc)
        return rc;
    e->write = WRITE_PUT;
    e->value = value;
    e->lease = lease;
    return 0;
}

int stm_delete(struct stm *s, bytes key)
{
    struct stm_entry *e;
    int rc = entry_of(s, key, &e);
    if (rc)
        return rc;
    e->write = WRITE_DELETE;
    e->value = bytes_of(NULL, 0);
    e->lease = 0;
    return 0;
}

bool stm_writes(const struct stm *s)
{
    for (size_t i = 0; i < s->len; i++)
        if (s->entries[i]->write)
            return true;
    return false;
}

/* ---- from the beginning ---- */

static int take_over(struct stm *s, const struct stm_entry *from)
{
    struct stm_entry *e;
    struct range_resp r = {.kvs = (struct kv *)&from->kv, .n_kvs = from->kv.version > 0};
    if (!from->read && !from->brought)
        return 0;
    int rc = entry_of(s, from->key, &e);
    rc = rc ? rc : set_kv(s, e, &r);
    if (rc)
        return rc;
    e->read = from->read;
    e->brought = from->brought;
    return 0;
}

/* Into the other arena, so that what was written takes no room. */
int stm_rewind(struct stm *s)
{
    struct stm_entry **old = s->entries;
    size_t n_old = s->len;
    int rc = 0;
    s->entries = NULL;
    s->len = s->cap = s->bytes = 0;
    s->now = !s->now;
    arena_reset(memory(s));
    for (size_t i = 0; rc == 0 && i < n_old; i++)
        rc = take_over(s, old[i]);
    free(old);
    return rc;
}

/* ---- the transaction ---- */

/* What is read is guarded by its mod_revision, which lies not above the first read; so only what is written unread needs
 * the other guard. */
static bool guard_of(const struct stm *s, const struct stm_entry *e, struct compare *ret)
{
    *ret = (struct compare){.target = COMPARE_MOD, .range.key = e->key, .number = e->kv.mod_revision};
    if (e->read)
        return s->isolation != STM_READ_COMMITTED && !s->broken_unguarded;
    ret->result = COMPARE_LESS;
    ret->number = s->least + 1;
    return e->write && s->least && s->isolation == STM_SERIALIZABLE_SNAPSHOT && !s->broken_unfenced;
}

static struct request_op write_of(const struct stm_entry *e)
{
    if (e->write == WRITE_PUT)
        return (struct request_op){.kind = OP_PUT, .put = {.key = e->key, .value = e->value, .lease = e->lease}};
    return (struct request_op){.kind = OP_DELETE, .del.range.key = e->key};
}

static bool copy_into(struct arena *a, bytes *s)
{
    if (s->len > 0)
        *s = arena_copy(a, *s);
    return s->len == 0 || s->data;
}

int stm_request(const struct stm *s, struct arena *a, struct txn_req *ret)
{
    *ret = (struct txn_req){.compares = arena_array(a, s->len, sizeof(struct compare)),
                            .success = arena_array(a, s->len, sizeof(struct request_op)),
                            .failure = arena_array(a, s->len, sizeof(struct request_op))};
    bool ok = ret->compares && ret->success && ret->failure;
    for (size_t i = 0; ok && i < s->len; i++) {
        struct stm_entry e = *s->entries[i];
        ok = copy_into(a, &e.key) && copy_into(a, &e.value);
        if (guard_of(s, &e, &ret->compares[ret->n_compares]))
            ret->n_compares++;
        if (e.write)
            ret->success[ret->n_success++] = write_of(&e);
        if (e.read && has_base(s))
            ret->failure[ret->n_failure++] = (struct request_op){.kind = OP_RANGE, .range.range.key = e.key};
    }
    return ok ? 0 : TENURE_ENOMEM;
}

/* ---- the next attempt ---- */

static int bring(struct stm *s, bytes key, const struct response_op *op)
{
    struct stm_entry *e;
    if (op->kind != OP_RANGE)
        return TENURE_EPROTOCOL;
    int rc = entry_of(s, key, &e);
    rc = rc ? rc : set_kv(s, e, &op->range);
    if (rc == 0)
        e->brought = true;
    return rc;
}

static size_t count_reads(struct stm_entry *const *entries, size_t n)
{
    size_t reads = 0;
    for (size_t i = 0; i < n; i++)
        reads += entries[i]->read;
    return reads;
}

/* The others are in the order of the entries, whose keys lie in the arena of the attempt that has ended. */
static void bring_all(struct stm *s, struct stm_entry *const *old, size_t n_old, const struct response_op *others)
{
    for (size_t i = 0; i < n_old; i++)
        if (old[i]->read && bring(s, old[i]->key, others++))
            return;
}

void stm_again(struct stm *s, tn_rev revision, const struct response_op *others, size_t n)
{
    struct stm_entry **old = s->entries;
    size_t n_old = s->len;
    s->entries = NULL;
    s->len = s->cap = s->bytes = 0;
    s->base = s->least = 0;
    s->now = !s->now;
    arena_reset(memory(s));
    if (n > 0 && has_base(s) && n == count_reads(old, n_old)) {
        s->base = revision;
        bring_all(s, old, n_old, others);
    }
    free(old);
}
