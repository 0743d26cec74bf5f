/* See recall.h. A key that is being read has a fetch: those who wait for it, and the number of the read under way. Reads are numbered over
 * all keys, so that a wait knows which ones were sent behind it. */
#include "recipes/recall.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"

enum { RETRY_MIN_MS = 10, RETRY_MAX_MS = 1000 };

/* What is kept, in the order in which it was asked for. */
struct kept {
    struct list in_recall;
    struct recall_answer answer;
};

struct fetch {
    struct list in_recall;
    struct recall *recall;
    struct op *op;
    struct list waits;
    uint64_t read;    /* the one under way */
    bool is_unwanted; /* what it answers is not to be kept */
    tn_ms retry_at;   /* none is under way, and none before */
    struct backoff backoff;
    size_t key_len;
    uint8_t key[];
};

struct recall {
    struct client *client;
    struct recall_options o;
    struct kept **kept; /* by key */
    size_t len, cap, bytes;
    struct list oldest;  /* those, the first to go in front */
    struct list fetches; /* few at a time: what is being read right now */
    struct list ended;
    struct heap timers;
    uint64_t reads;
    struct rng rng;
    unsigned busy;
    bool stop_later;
};

/* ---- what is kept ---- */

static struct kept *kept_of(struct list *l)
{
    return LIST_ENTRY(l, struct kept, in_recall);
}

static size_t place(const struct recall *r, bytes key)
{
    size_t low = 0, high = r->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(r->kept[middle]->answer.entry->kv.key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct recall *r, size_t at, bytes key)
{
    return at < r->len && bytes_equal(r->kept[at]->answer.entry->kv.key, key);
}

static size_t size_of(const struct recall_answer *a)
{
    return sizeof(struct kept) + keyset_bytes(&a->entry->kv);
}

static void guard(struct recall *r, bool changes)
{
    if (r->o.guard)
        r->o.guard(r->o.user, changes);
}

static void kept_free(struct kept *k)
{
    list_remove(&k->in_recall);
    keyset_unref(k->answer.entry);
    free(k);
}

/* Between guards. */
static void drop_at(struct recall *r, size_t at)
{
    struct kept *k = r->kept[at];
    r->bytes -= size_of(&k->answer);
    r->len--;
    memmove(r->kept + at, r->kept + at + 1, (r->len - at) * sizeof(struct kept *));
    kept_free(k);
}

static void drop_oldest(struct recall *r)
{
    drop_at(r, place(r, kept_of(r->oldest.next)->answer.entry->kv.key));
}

static void drop_over(struct recall *r, tn_ms now)
{
    if (list_empty(&r->oldest) || kept_of(r->oldest.next)->answer.asked_at + r->o.ttl_ms > now)
        return;
    guard(r, true);
    while (!list_empty(&r->oldest) && kept_of(r->oldest.next)->answer.asked_at + r->o.ttl_ms <= now)
        drop_oldest(r);
    guard(r, false);
}

static bool make_room(struct recall *r)
{
    if (r->len < r->cap)
        return true;
    size_t cap = r->cap ? 2 * r->cap : 16;
    struct kept **kept = realloc(r->kept, cap * sizeof(struct kept *));
    if (!kept)
        return false;
    r->kept = kept;
    r->cap = cap;
    return true;
}

/* Reads of several keys may be answered in another order than they were asked in. */
static void put_by_age(struct recall *r, struct kept *k)
{
    struct list *behind = r->oldest.prev;
    while (behind != &r->oldest && kept_of(behind)->answer.asked_at > k->answer.asked_at)
        behind = behind->prev;
    list_push_front(behind, &k->in_recall);
}

/* Takes no reference of the caller's. What there is no memory for is not kept. */
static void keep(struct recall *r, const struct recall_answer *answer)
{
    bytes key = answer->entry->kv.key;
    size_t size = size_of(answer);
    struct kept *k = malloc(sizeof *k);
    guard(r, true);
    size_t at = place(r, key);
    if (is_at(r, at, key))
        drop_at(r, at);
    if (!k || size > r->o.bytes_max || !make_room(r)) {
        free(k);
        guard(r, false);
        return;
    }
    while (r->len >= r->o.keys_max || size > r->o.bytes_max - r->bytes)
        drop_oldest(r);
    k->answer = *answer;
    keyset_ref(k->answer.entry);
    at = place(r, key);
    memmove(r->kept + at + 1, r->kept + at, (r->len - at) * sizeof(struct kept *));
    r->kept[at] = k;
    r->len++;
    r->bytes += size;
    put_by_age(r, k);
    guard(r, false);
}

static bool meets(const struct recall_answer *a, const struct recall_need *need)
{
    return a->asked_at >= need->since && a->revision >= need->revision;
}

const struct recall_answer *recall_find(const struct recall *r, bytes key, const struct recall_need *need, tn_ms now)
{
    size_t at = place(r, key);
    if (need->asked || !is_at(r, at, key))
        return NULL;
    const struct recall_answer *a = &r->kept[at]->answer;
    return a->asked_at + r->o.ttl_ms > now && meets(a, need) ? a : NULL;
}

size_t recall_count(const struct recall *r)
{
    return r->len;
}

/* ---- telling ---- */

static struct recall_wait *wait_of(struct list *l)
{
    return LIST_ENTRY(l, struct recall_wait, in_fetch);
}

static void end_wait(struct recall *r, struct recall_wait *w, int code, const struct recall_answer *answer,
                     const struct tenure_error *error)
{
    w->code = code;
    if (error)
        w->error = *error;
    else if (code)
        error_set(&w->error, code, "%s", tenure_error_string(code));
    if (answer) {
        w->answer = *answer;
        keyset_ref(w->answer.entry);
    }
    heap_remove(&r->timers, &w->timer);
    list_remove(&w->in_fetch);
    list_push_back(&r->ended, &w->in_fetch);
}

static void time_is_over(struct recall *r, struct recall_wait *w)
{
    struct tenure_error why;
    op_timeout_error(r->client, &why);
    end_wait(r, w, TENURE_ETIMEOUT, NULL, &why);
}

static void release(struct recall *r)
{
    heap_fini(&r->timers);
    free(r->kept);
    free(r);
}

static void tell_ended(struct recall *r)
{
    while (!r->stop_later && !list_empty(&r->ended)) {
        struct recall_wait *w = wait_of(r->ended.next);
        struct recall_answer answer = w->answer;
        struct tenure_error error = w->error;
        list_remove(&w->in_fetch);
        w->recall = NULL;
        w->done(w->user, w->code, w->code ? NULL : &answer, w->code ? &error : NULL);
        keyset_unref(answer.entry);
    }
}

static void leave(struct recall *r)
{
    if (r->busy == 1)
        tell_ended(r);
    if (--r->busy == 0 && r->stop_later)
        release(r);
}

/* ---- reading ---- */

static struct fetch *fetch_of(struct list *l)
{
    return LIST_ENTRY(l, struct fetch, in_recall);
}

static bytes fetch_key(const struct fetch *f)
{
    return bytes_of(f->key, f->key_len);
}

static struct fetch *fetch_find(struct recall *r, bytes key)
{
    LIST_FOREACH(it, &r->fetches)
    {
        if (bytes_equal(fetch_key(fetch_of(it)), key))
            return fetch_of(it);
    }
    return NULL;
}

static void fetch_free(struct fetch *f, tn_ms now)
{
    op_drop(&f->op, now);
    list_remove(&f->in_recall);
    free(f);
}

static void end_fetch(struct fetch *f, int code, const struct tenure_error *error)
{
    while (!list_empty(&f->waits))
        end_wait(f->recall, wait_of(f->waits.next), code, NULL, error);
}

static void ask(struct fetch *f, tn_ms now);

/* To those whom it satisfies. What was sent before somebody came says nothing of what the servers have come to since. */
static void give(struct fetch *f, const struct recall_answer *a)
{
    struct tenure_error why;
    LIST_FOREACH_SAFE(it, &f->waits)
    {
        struct recall_wait *w = wait_of(it);
        if (w->read <= f->read && meets(a, &w->need))
            end_wait(f->recall, w, 0, a, NULL);
        else if (w->behind <= f->read && a->revision < w->need.revision)
            end_wait(f->recall, w,
                     error_set(&why, TENURE_EFUTURE, "revision %lld is in the future: the servers are at %lld",
                               (long long)w->need.revision, (long long)a->revision),
                     NULL, &why);
    }
}

/* entry NULL: out of memory. */
static struct keyset_entry *entry_of(const struct fetch *f, const struct range_resp *r)
{
    struct keyset one = {.len = 0};
    struct keyset_entry *was;
    struct kv absent = {.key = fetch_key(f)};
    int rc = keyset_put(&one, r->n_kvs > 0 ? &r->kvs[0] : &absent, &was);
    struct keyset_entry *e = rc ? NULL : keyset_take(&one, 0);
    keyset_fini(&one);
    return e;
}

static void came(struct fetch *f, const struct client_result *result)
{
    struct recall_answer a = {
        .entry = entry_of(f, result->range), .revision = result->range->revision, .asked_at = result->sent_at};
    backoff_success(&f->backoff);
    if (!a.entry) {
        end_fetch(f, TENURE_ENOMEM, NULL);
        return;
    }
    if (!f->is_unwanted)
        keep(f->recall, &a);
    give(f, &a);
    keyset_unref(a.entry);
}

static void on_range(void *owner, const struct client_result *result)
{
    struct fetch *f = owner;
    struct recall *r = f->recall;
    tn_ms now = client_now(r->client);
    r->busy++;
    if (result->code == 0)
        came(f, result);
    else if (op_may_retry(result))
        f->retry_at = now + backoff_failure(&f->backoff, &r->rng);
    else
        end_fetch(f, result->code, result->error);
    if (list_empty(&f->waits))
        fetch_free(f, now);
    else if (f->retry_at <= now)
        ask(f, now);
    leave(r);
}

static void ask(struct fetch *f, tn_ms now)
{
    struct recall *r = f->recall;
    struct range_req req = {.range.key = fetch_key(f)};
    struct tenure_error err;
    f->is_unwanted = false;
    f->retry_at = 0;
    int rc = op_range(&f->op, r->client, &req, NULL, on_range, f, now, &err);
    if (rc == 0)
        f->read = ++r->reads;
    else if (rc == TENURE_ELIMIT) /* too much is under way */
        f->retry_at = now + backoff_failure(&f->backoff, &r->rng);
    else
        end_fetch(f, rc, &err);
}

static struct fetch *fetch_new(struct recall *r, bytes key)
{
    struct fetch *f = calloc(1, sizeof *f + key.len);
    if (!f)
        return NULL;
    f->recall = r;
    f->key_len = key.len;
    if (key.len > 0)
        memcpy(f->key, key.data, key.len);
    list_init(&f->waits);
    backoff_init(&f->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    list_push_back(&r->fetches, &f->in_recall);
    return f;
}

/* ---- wanting one ---- */

/* A read that is under way does, but for one who asks for the newest, or whose key was forgotten since it was sent. */
static void want(struct recall *r, struct recall_wait *w, struct fetch *f, tn_ms now)
{
    bool under_way = f->op && !w->need.asked && !f->is_unwanted;
    w->behind = r->reads + 1;
    w->read = under_way ? f->read : w->behind;
    list_push_back(&f->waits, &w->in_fetch);
    if (!f->op && f->retry_at == 0)
        ask(f, now);
}

int recall_get(struct recall *r, struct recall_wait *w, bytes key, const struct recall_need *need, tn_ms until,
               recall_done done, void *user, tn_ms now, struct tenure_error *err)
{
    *w = (struct recall_wait){.recall = r, .need = *need, .done = done, .user = user};
    list_init(&w->in_fetch);
    heap_node_init(&w->timer);
    if (w->need.since < now - r->o.ttl_ms + 1)
        w->need.since = now - r->o.ttl_ms + 1;
    if (heap_insert(&r->timers, &w->timer, until))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    const struct recall_answer *a = recall_find(r, key, &w->need, now);
    if (a) {
        end_wait(r, w, 0, a, NULL);
        return 0;
    }
    struct fetch *f = fetch_find(r, key);
    f = f ? f : fetch_new(r, key);
    if (!f) {
        heap_remove(&r->timers, &w->timer);
        return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    want(r, w, f, now);
    return 0;
}

void recall_cancel(struct recall_wait *w)
{
    if (w->recall && heap_contains(&w->timer))
        end_wait(w->recall, w, TENURE_ECANCELLED, NULL, NULL);
}

void recall_cancel_all(struct recall *r, int code)
{
    LIST_FOREACH(it, &r->fetches)
    {
        end_fetch(fetch_of(it), code, NULL);
    }
}

void recall_forget(struct recall *r, bytes key)
{
    struct fetch *f = fetch_find(r, key);
    size_t at = place(r, key);
    if (f)
        f->is_unwanted = true;
    if (!is_at(r, at, key))
        return;
    guard(r, true);
    drop_at(r, at);
    guard(r, false);
}

/* ---- time ---- */

tn_ms recall_deadline(const struct recall *r)
{
    const struct heap_node *first = heap_first(&r->timers);
    tn_ms at = first ? first->at : TN_MS_NEVER;
    if (!list_empty(&r->ended))
        return 0;
    if (!list_empty(&r->oldest)) {
        tn_ms over = kept_of(r->oldest.next)->answer.asked_at + r->o.ttl_ms;
        at = over < at ? over : at;
    }
    LIST_FOREACH(it, (struct list *)&r->fetches)
    {
        const struct fetch *f = fetch_of(it);
        if (!f->op && f->retry_at < at)
            at = f->retry_at;
    }
    return at;
}

static void go_on(struct recall *r, tn_ms now)
{
    LIST_FOREACH_SAFE(it, &r->fetches)
    {
        struct fetch *f = fetch_of(it);
        if (list_empty(&f->waits))
            fetch_free(f, now); /* nobody wants it any more */
        else if (!f->op && f->retry_at <= now)
            ask(f, now);
    }
}

void recall_tick(struct recall *r, tn_ms now)
{
    struct heap_node *first;
    r->busy++;
    while ((first = heap_first(&r->timers)) && first->at <= now)
        time_is_over(r, CONTAINER_OF(first, struct recall_wait, timer));
    drop_over(r, now);
    go_on(r, now);
    leave(r);
}

/* ---- life ---- */

int recall_start(struct client *c, const struct recall_options *o, struct recall **ret, struct tenure_error *err)
{
    struct recall *r = calloc(1, sizeof *r);
    if (!r)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    r->client = c;
    r->o = *o;
    list_init(&r->oldest);
    list_init(&r->fetches);
    list_init(&r->ended);
    heap_init(&r->timers);
    rng_init(&r->rng, client_random(c));
    *ret = r;
    return 0;
}

static void forget_waits(struct list *waits)
{
    while (!list_empty(waits)) {
        struct recall_wait *w = wait_of(waits->next);
        list_remove(&w->in_fetch);
        heap_node_init(&w->timer);
        keyset_unref(w->answer.entry);
        w->recall = NULL;
    }
}

struct recall *recall_stop(struct recall *r, tn_ms now)
{
    if (!r || r->stop_later)
        return NULL;
    while (!list_empty(&r->fetches)) {
        forget_waits(&fetch_of(r->fetches.next)->waits);
        fetch_free(fetch_of(r->fetches.next), now);
    }
    forget_waits(&r->ended);
    while (!list_empty(&r->oldest))
        kept_free(kept_of(r->oldest.next));
    r->len = 0;
    r->stop_later = true;
    if (r->busy == 0)
        release(r);
    return NULL;
}
