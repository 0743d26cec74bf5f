/* See follow.h. The list comes in pages, in the order of keys, all at the revision of the first; the copy is in the same order.
 * So a page and its part of the copy are merged in one walk, and nothing has to be held but the copy and one page. When a list
 * must be begun anew, the copy is what the owner was told up to there: the next walk starts from that.
 *
 * A key that was not changed is told by its revisions, version, lease and a sum over its value: the last one for a server that
 * was restored from a backup and has written other things at the same revisions. */
#include "recipes/follow.h"

#include <stdlib.h>
#include <string.h>

#include "base/backoff.h"
#include "base/btree.h"
#include "base/crc32c.h"
#include "recipes/op.h"

#define KEYS_MAX   1000000
#define BYTES_MAX  ((size_t)256 << 20)
#define PAGE_BYTES ((size_t)1 << 20)
enum {
    ENTRY_SHARE = 32, /* of an entry: of the tree's nodes, and what malloc keeps */
    PAGE_FIRST = 100,
    PAGE_MAX = 10000,
    RETRY_MIN_MS = 25,
    RETRY_MAX_MS = 5000
};

enum follow_state {
    FOLLOW_LISTING,  /* Next: WATCHING behind the last page; LISTING anew, RESTING, ENDED */
    FOLLOW_WATCHING, /* Next: LISTING when events are lost, ENDED */
    FOLLOW_RESTING,  /* Next: LISTING */
    FOLLOW_ENDED     /* Next: freed by follow_stop */
};

/* A key as the owner was told of it. */
struct entry {
    struct btree_item item;
    tn_rev create_revision, mod_revision;
    int64_t version;
    tn_lease lease;
    uint32_t sum; /* of the value */
    size_t value_len;
    uint8_t data[]; /* key, and with prev_kv the value */
};

struct follow {
    struct client *client;
    struct follow_options o;
    struct follow_callbacks cb;
    void *user;
    enum follow_state state;
    struct btree copy;
    size_t bytes;
    tn_rev told;     /* the revision up to which the owner was told; within a list that of the last one */
    tn_rev at;       /* of the list under way; 0 = before its first page */
    struct buf from; /* the first key of the next page */
    size_t page;
    struct op *op;
    struct client_watch *watch;
    bool *stopped; /* set when it is stopped within a callback */
    tn_ms retry_at;
    struct backoff backoff;
    struct rng rng;
    struct arena arena; /* of the events being told */
    uint8_t data[];     /* the range */
};

/* ---- the copy ---- */

static size_t entry_bytes(const struct follow *f, const struct kv *kv)
{
    return sizeof(struct entry) + ENTRY_SHARE + kv->key.len + (f->o.prev_kv ? kv->value.len : 0);
}

static size_t bytes_of_entry(const struct follow *f, const struct entry *e)
{
    return sizeof *e + ENTRY_SHARE + e->item.key.len + (f->o.prev_kv ? e->value_len : 0);
}

static struct entry *entry_of(struct btree_item *item)
{
    return item ? CONTAINER_OF(item, struct entry, item) : NULL;
}

static struct kv entry_kv(const struct follow *f, const struct entry *e)
{
    return (struct kv){
        .key = e->item.key,
        .value = f->o.prev_kv ? bytes_of(e->data + e->item.key.len, e->value_len) : bytes_of(NULL, 0),
        .create_revision = e->create_revision,
        .mod_revision = e->mod_revision,
        .version = e->version,
        .lease = e->lease,
    };
}

static uint32_t sum_of(bytes value)
{
    return crc32c(0, value.data, value.len);
}

static bool is_same(const struct entry *e, const struct kv *kv)
{
    return e->mod_revision == kv->mod_revision && e->create_revision == kv->create_revision &&
           e->version == kv->version && e->lease == kv->lease && e->value_len == kv->value.len &&
           e->sum == sum_of(kv->value);
}

static struct entry *entry_new(const struct follow *f, const struct kv *kv)
{
    struct entry *e = malloc(entry_bytes(f, kv));
    if (!e)
        return NULL;
    *e = (struct entry){.item = {.key = bytes_of(e->data, kv->key.len)},
                        .create_revision = kv->create_revision,
                        .mod_revision = kv->mod_revision,
                        .version = kv->version,
                        .lease = kv->lease,
                        .sum = sum_of(kv->value),
                        .value_len = kv->value.len};
    if (kv->key.len)
        memcpy(e->data, kv->key.data, kv->key.len);
    if (f->o.prev_kv && kv->value.len)
        memcpy(e->data + kv->key.len, kv->value.data, kv->value.len);
    return e;
}

static void copy_delete(struct follow *f, bytes key)
{
    struct entry *e = entry_of(btree_remove(&f->copy, key));
    if (e)
        f->bytes -= bytes_of_entry(f, e);
    free(e);
}

static int copy_put(struct follow *f, const struct kv *kv)
{
    copy_delete(f, kv->key);
    size_t n = entry_bytes(f, kv);
    if (f->copy.len >= f->o.keys_max || n > f->o.bytes_max - f->bytes)
        return TENURE_ELIMIT;
    struct entry *e = btree_reserve(&f->copy) ? NULL : entry_new(f, kv);
    if (!e || btree_insert(&f->copy, &e->item)) {
        free(e);
        return TENURE_ENOMEM;
    }
    f->bytes += n;
    return 0;
}

static void copy_free(struct follow *f)
{
    struct btree_cursor c;
    struct btree_item *item;
    while ((item = btree_seek(&f->copy, bytes_of(NULL, 0), &c)))
        free(entry_of(btree_remove(&f->copy, item->key)));
    btree_fini(&f->copy);
}

/* ---- telling: each answers whether the object is still there and goes on ---- */

static bool told_on(struct follow *f, const bool *stopped)
{
    if (*stopped)
        return false;
    f->stopped = NULL;
    return f->state != FOLLOW_ENDED;
}

static bool tell_resync(struct follow *f, int why)
{
    bool stopped = false;
    f->stopped = &stopped;
    f->cb.on_resync(f->user, why, f->told);
    return told_on(f, &stopped);
}

static bool tell_synced(struct follow *f)
{
    bool stopped = false;
    f->stopped = &stopped;
    f->cb.on_synced(f->user, f->told);
    return told_on(f, &stopped);
}

static bool tell_events(struct follow *f, tn_rev revision, const struct event *events, size_t n)
{
    bool stopped = false;
    struct client_watch_events e = {.revision = revision, .events = events, .n_events = n};
    f->stopped = &stopped;
    f->cb.on_events(f->user, &e);
    return told_on(f, &stopped);
}

static void leave_servers(struct follow *f, tn_ms now)
{
    op_drop(&f->op, now);
    if (f->watch)
        client_watch_stop(f->client, f->watch, now);
    f->watch = NULL;
    f->retry_at = TN_MS_NEVER;
}

static void end(struct follow *f, int code, const char *text)
{
    struct tenure_error error;
    error_set(&error, code, "%s", text);
    leave_servers(f, client_now(f->client));
    f->state = FOLLOW_ENDED;
    f->cb.on_end(f->user, code, &error);
}

static void end_full(struct follow *f, int code)
{
    end(f, code,
        code == TENURE_ELIMIT ? "watch: the range holds more keys or bytes than the watch is set to remember"
                              : "watch: out of memory");
}

/* ---- the difference ---- */

struct diff {
    struct event *events;
    size_t n, cap;
};

static bool diff_add(struct follow *f, struct diff *d, const struct event *e)
{
    if (d->n == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 64;
        struct event *more = arena_array(&f->arena, cap, sizeof *more);
        if (!more)
            return false;
        if (d->n)
            memcpy(more, d->events, d->n * sizeof *more);
        d->events = more;
        d->cap = cap;
    }
    d->events[d->n++] = *e;
    return true;
}

/* The entry's bytes, kept until they were told. */
static bool keep(struct follow *f, struct kv *kv)
{
    size_t value_len = kv->value.len;
    kv->key = arena_copy(&f->arena, kv->key);
    kv->value = arena_copy(&f->arena, kv->value);
    return kv->key.data && (value_len == 0 || kv->value.data);
}

static bool add_delete(struct follow *f, struct diff *d, const struct entry *e)
{
    struct event gone = {.type = EVENT_DELETE, .has_prev_kv = f->o.prev_kv, .prev_kv = entry_kv(f, e)};
    if (!keep(f, &gone.prev_kv))
        return false;
    gone.kv = (struct kv){.key = gone.prev_kv.key, .mod_revision = f->at};
    if (!f->o.prev_kv)
        gone.prev_kv = (struct kv){0};
    return diff_add(f, d, &gone);
}

static bool add_put(struct follow *f, struct diff *d, const struct kv *kv, const struct entry *before)
{
    struct event put = {.type = EVENT_PUT, .kv = *kv, .has_prev_kv = before && f->o.prev_kv};
    if (put.has_prev_kv) {
        put.prev_kv = entry_kv(f, before);
        if (!keep(f, &put.prev_kv))
            return false;
    }
    return diff_add(f, d, &put);
}

/* Up to which key, excluded, the page speaks; empty = to the end of the range. */
static bytes page_end(const struct range_resp *r, struct arena *a)
{
    bytes last = r->kvs[r->n_kvs - 1].key;
    uint8_t *next = arena_alloc(a, last.len + 1);
    if (!next)
        return bytes_of(NULL, 0);
    memcpy(next, last.data, last.len);
    next[last.len] = 0;
    return bytes_of(next, last.len + 1);
}

/* All of the copy from `from` on that the page does not have, and all of the page that the copy has not, or another. */
static bool compare(struct follow *f, const struct range_resp *r, bytes until, struct diff *d)
{
    struct btree_cursor c;
    struct entry *e = entry_of(btree_seek(&f->copy, buf_bytes(&f->from), &c));
    for (size_t i = 0; i < r->n_kvs || e;) {
        if (e && until.len && bytes_compare(e->item.key, until) >= 0)
            e = NULL;
        if (!e && i == r->n_kvs)
            break;
        int order = !e ? 1 : i == r->n_kvs ? -1 : bytes_compare(e->item.key, r->kvs[i].key);
        if (order < 0 && !f->o.broken_skip_absent && !add_delete(f, d, e))
            return false;
        if (order >= 0 && (order > 0 || !is_same(e, &r->kvs[i])) && !add_put(f, d, &r->kvs[i], order == 0 ? e : NULL))
            return false;
        if (order <= 0)
            e = entry_of(btree_next(&c));
        i += order >= 0;
    }
    return true;
}

/* The copy as the owner is going to be told. Deletes first, so that the bounds are those of what there is. */
static int apply(struct follow *f, const struct event *events, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n; i++)
        if (events[i].type == EVENT_DELETE)
            copy_delete(f, events[i].kv.key);
    for (size_t i = 0; i < n && rc == 0; i++)
        if (events[i].type == EVENT_PUT)
            rc = copy_put(f, &events[i].kv);
    return rc;
}

/* Live events: in their order. */
static int apply_in_order(struct follow *f, const struct event *events, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (events[i].type == EVENT_DELETE)
            copy_delete(f, events[i].kv.key);
        else
            rc = copy_put(f, &events[i].kv);
    }
    return rc;
}

/* ---- listing ---- */

static void list_page(struct follow *f);
static void watch_on(struct follow *f);

static void list_begin(struct follow *f, int why)
{
    f->state = FOLLOW_LISTING;
    f->at = 0;
    buf_reset(&f->from);
    buf_append_bytes(&f->from, f->o.range.key);
    if (tell_resync(f, why))
        list_page(f);
}

static void rest(struct follow *f)
{
    tn_ms now = client_now(f->client);
    f->state = FOLLOW_RESTING;
    f->retry_at = now + backoff_failure(&f->backoff, &f->rng);
}

static void list_failed(struct follow *f, const struct client_result *r)
{
    if (r->code == TENURE_ECOMPACTED)
        list_begin(f, TENURE_ECOMPACTED);
    else if (op_may_retry(r))
        rest(f);
    else
        end(f, r->code, r->error->text);
}

static size_t bytes_of_page(const struct range_resp *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_kvs; i++)
        n += r->kvs[i].key.len + r->kvs[i].value.len + 32;
    return n;
}

/* So many keys as make about PAGE_BYTES, by the size of those before; growing by steps, as the next may be larger. */
static void choose_page(struct follow *f, const struct range_resp *r)
{
    size_t n = r->n_kvs ? PAGE_BYTES / (bytes_of_page(r) / r->n_kvs + 1) : f->page;
    n = n > 4 * f->page ? 4 * f->page : n;
    f->page = n < 1 ? 1 : n > PAGE_MAX ? PAGE_MAX : n;
    if (f->o.page_max && f->page > f->o.page_max)
        f->page = f->o.page_max;
}

static bool is_page(const struct follow *f, const struct range_resp *r)
{
    for (size_t i = 0; i < r->n_kvs; i++)
        if (bytes_compare(r->kvs[i].key, i ? r->kvs[i - 1].key : buf_bytes(&f->from)) < (i > 0))
            return false;
    return !r->more || r->n_kvs > 0;
}

static void list_ended(struct follow *f)
{
    f->told = f->at;
    backoff_success(&f->backoff);
    if (tell_synced(f))
        watch_on(f);
}

static void page_came(struct follow *f, const struct range_resp *r)
{
    struct diff d = {0};
    bytes until = r->more ? page_end(r, &f->arena) : bytes_of(NULL, 0);
    if ((r->more && !until.data) || !compare(f, r, until, &d)) {
        end_full(f, TENURE_ENOMEM);
        return;
    }
    int rc = apply(f, d.events, d.n);
    buf_reset(&f->from);
    buf_append_bytes(&f->from, until);
    choose_page(f, r);
    bool more = r->more;
    if (rc || buf_error(&f->from)) {
        end_full(f, rc ? rc : TENURE_ENOMEM);
        return;
    }
    if (d.n > 0 && !tell_events(f, f->at, d.events, d.n))
        return;
    if (more)
        list_page(f);
    else
        list_ended(f);
}

static void on_page(void *owner, const struct client_result *r)
{
    struct follow *f = owner;
    arena_reset(&f->arena);
    if (r->code) {
        list_failed(f, r);
        return;
    }
    if (!is_page(f, r->range)) {
        end(f, TENURE_EPROTOCOL, "watch: the server's list is not in the order of its keys");
        return;
    }
    if (f->at == 0)
        f->at = r->header.revision;
    page_came(f, r->range);
}

static void list_page(struct follow *f)
{
    struct tenure_error err = {.code = TENURE_ENOMEM};
    struct range_req req = {
        .range = {buf_bytes(&f->from), f->o.range.range_end}, .revision = f->at, .limit = (int64_t)f->page};
    int rc = buf_error(&f->from) ? TENURE_ENOMEM
                                 : op_range(&f->op, f->client, &req, NULL, on_page, f, client_now(f->client), &err);
    if (rc == TENURE_ENOMEM || rc == TENURE_ELIMIT)
        rest(f);
    else if (rc)
        end(f, rc, err.text);
}

/* ---- watching ---- */

static void on_events(void *user, const struct client_watch_events *e)
{
    struct follow *f = user;
    int rc = apply_in_order(f, e->events, e->n_events);
    if (rc) {
        end_full(f, rc);
        return;
    }
    f->told = e->revision;
    if (e->n_events || f->o.progress_notify)
        tell_events(f, e->revision, e->events, e->n_events);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct follow *f = user;
    (void)compact_revision;
    client_watch_stop(f->client, f->watch, client_now(f->client));
    f->watch = NULL;
    if (code == TENURE_ECOMPACTED || code == TENURE_ELIMIT)
        list_begin(f, code);
    else
        end(f, code, error->text);
}

static void watch_on(struct follow *f)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events, .on_end = on_watch_end};
    struct tenure_error err;
    struct watch_create_req req = {.range = f->o.range,
                                   .start_revision = f->told + 1,
                                   .prev_kv = f->o.prev_kv,
                                   .progress_notify = true}; /* so that a quiet range is not behind a compaction */
    f->state = FOLLOW_WATCHING;
    f->watch = client_watch_start(f->client, &req, &cb, f, client_now(f->client), &err);
    if (!f->watch)
        end(f, err.code, err.text);
}

/* ---- life ---- */

static void take_range(struct follow *f, struct key_range r)
{
    memcpy(f->data, r.key.data, r.key.len);
    if (r.range_end.len)
        memcpy(f->data + r.key.len, r.range_end.data, r.range_end.len);
    f->o.range = (struct key_range){bytes_of(f->data, r.key.len), bytes_of(f->data + r.key.len, r.range_end.len)};
}

static struct follow *follow_new(struct client *c, const struct follow_options *o)
{
    struct follow *f = calloc(1, sizeof *f + o->range.key.len + o->range.range_end.len);
    if (!f)
        return NULL;
    f->client = c;
    f->o = *o;
    f->o.keys_max = o->keys_max ? o->keys_max : KEYS_MAX;
    f->o.bytes_max = o->bytes_max ? o->bytes_max : BYTES_MAX;
    f->page = o->page_max && o->page_max < PAGE_FIRST ? o->page_max : PAGE_FIRST;
    take_range(f, o->range);
    btree_init(&f->copy);
    buf_init(&f->from);
    arena_init(&f->arena, 0);
    rng_init(&f->rng, client_random(c));
    backoff_init(&f->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    return f;
}

/* The first list is begun by a tick, so that no callback comes from here. */
struct follow *follow_start(struct client *c, const struct follow_options *o, const struct follow_callbacks *cb,
                            void *user, tn_ms now, struct tenure_error *err)
{
    struct follow *f = follow_new(c, o);
    if (!f) {
        error_set(err, TENURE_ENOMEM, "watch: out of memory");
        return NULL;
    }
    f->cb = *cb;
    f->user = user;
    f->state = FOLLOW_RESTING;
    f->retry_at = now;
    return f;
}

struct follow *follow_stop(struct follow *f, tn_ms now)
{
    if (!f)
        return NULL;
    if (f->stopped)
        *f->stopped = true;
    leave_servers(f, now);
    copy_free(f);
    buf_fini(&f->from);
    arena_fini(&f->arena);
    free(f);
    return NULL;
}

tn_ms follow_deadline(const struct follow *f)
{
    return f->state == FOLLOW_RESTING ? f->retry_at : TN_MS_NEVER;
}

void follow_tick(struct follow *f, tn_ms now)
{
    if (f->state != FOLLOW_RESTING || now < f->retry_at)
        return;
    f->retry_at = TN_MS_NEVER;
    if (f->at == 0 && buf_bytes(&f->from).len == 0) {
        list_begin(f, 0);
        return;
    }
    f->state = FOLLOW_LISTING;
    list_page(f);
}

size_t follow_keys(const struct follow *f)
{
    return f->copy.len;
}
