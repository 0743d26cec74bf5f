/* Caches of a key or a prefix: a followed copy (lib/copy.h), and what is read of it. Items and lists hold the copy's own entries, so a
 * snapshot copies no values. */
#include <stdlib.h>

#include "lib/cache.h"
#include "lib/copy.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"

#define WHAT "cache"

struct tenure_cache {
    struct copy copy;
    struct tenure_cache_options o;
    struct key_range range; /* below its namespace; in arena */
    struct arena arena;
    size_t ns_len;
    bytes key; /* of the range, as the program knows it */
};

static tenure_cache *cache_of(const struct copy *k)
{
    return CONTAINER_OF((struct copy *)k, tenure_cache, copy);
}

static bytes key_of(const tenure_cache *k, const struct keyset_entry *e)
{
    return view_strip(e->kv.key, k->ns_len);
}

static struct tenure_kv kv_of(const tenure_cache *k, const struct kv *kv)
{
    struct tenure_kv out = result_kv(kv);
    out.key = result_bytes(view_strip(kv->key, k->ns_len));
    return out;
}

/* ---- results ---- */

struct item {
    struct tenure_cache_item pub;
    struct keyset_entry *entry; /* NULL: its key is behind it */
};

struct tenure_cache_item *cache_item_new(struct keyset_entry *e, size_t strip, tn_rev revision, int64_t stale_ms)
{
    struct item *i = malloc(sizeof *i);
    if (!i)
        return NULL;
    i->entry = keyset_ref(e);
    i->pub = (struct tenure_cache_item){
        .exists = e->kv.version > 0, .kv = result_kv(&e->kv), .revision = revision, .stale_ms = stale_ms};
    i->pub.kv.key = result_bytes(view_strip(e->kv.key, strip));
    return &i->pub;
}

static struct tenure_cache_item *absent_new(bytes key, const struct copy_at *at)
{
    struct item *i = calloc(1, sizeof *i + key.len + 1);
    if (!i)
        return NULL;
    uint8_t *own = (uint8_t *)(i + 1);
    memcpy(own, key.data, key.len);
    i->pub.kv.key = (struct tenure_bytes){own, key.len};
    i->pub.kv.value = (struct tenure_bytes){own + key.len, 0};
    i->pub.revision = at->revision;
    i->pub.stale_ms = at->stale_ms;
    return &i->pub;
}

void tenure_cache_item_free(struct tenure_cache_item *i)
{
    if (!i)
        return;
    keyset_unref(CONTAINER_OF(i, struct item, pub)->entry);
    free(CONTAINER_OF(i, struct item, pub));
}

struct list_of_kvs {
    struct tenure_cache_list pub;
    struct keyset_entry **entries;
    struct tenure_kv kvs[];
};

void tenure_cache_list_free(struct tenure_cache_list *l)
{
    if (!l)
        return;
    struct list_of_kvs *all = CONTAINER_OF(l, struct list_of_kvs, pub);
    for (size_t i = 0; i < l->n; i++)
        keyset_unref(all->entries[i]);
    free(all);
}

/* ---- looking, under the mutex ---- */

/* As keyset_place, of a key without its namespace. */
static size_t place(const tenure_cache *k, bytes key)
{
    const struct keyset *s = &k->copy.keys;
    size_t low = 0, high = s->len;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bytes_compare(key_of(k, s->entries[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool begins_with(bytes key, bytes prefix)
{
    return key.len >= prefix.len && (prefix.len == 0 || memcmp(key.data, prefix.data, prefix.len) == 0);
}

/* All that begin with prefix: [*ret_from, …). */
static size_t run_of(const tenure_cache *k, bytes prefix, size_t *ret_from)
{
    const struct keyset *s = &k->copy.keys;
    size_t low = place(k, prefix), high = s->len;
    *ret_from = low;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (begins_with(key_of(k, s->entries[middle]), prefix))
            low = middle + 1;
        else
            high = middle;
    }
    return low - *ret_from;
}

/* What is looked for, and where the answer goes. */
struct want {
    bytes key;
    struct tenure_cache_item **item;
    struct tenure_cache_list **list;
    size_t *count;
};

/* NULL = absent. */
static struct keyset_entry *entry_at(const tenure_cache *k, bytes key)
{
    const struct keyset *s = &k->copy.keys;
    size_t at = place(k, key);
    return at < s->len && bytes_equal(key_of(k, s->entries[at]), key) ? s->entries[at] : NULL;
}

static struct list_of_kvs *list_new(const tenure_cache *k, bytes prefix)
{
    size_t from, n = run_of(k, prefix, &from);
    struct list_of_kvs *l = malloc(sizeof *l + n * (sizeof *l->kvs + sizeof *l->entries));
    if (!l)
        return NULL;
    l->entries = (struct keyset_entry **)(l->kvs + n);
    l->pub = (struct tenure_cache_list){.n = n, .kvs = l->kvs};
    for (size_t i = 0; i < n; i++)
        l->entries[i] = keyset_ref(k->copy.keys.entries[from + i]);
    return l;
}

static int out_of_memory(struct tenure_error *err)
{
    return error_set(err, TENURE_ENOMEM, WHAT ": out of memory");
}

/* 0, or why not. */
static int look(const tenure_cache *k, const struct replica_need *need, const struct want *w, struct tenure_error *err)
{
    struct copy_at at;
    struct keyset_entry *e = NULL;
    struct tenure_cache_item *item = NULL;
    struct list_of_kvs *list = NULL;
    size_t from;
    int rc = copy_lock(&k->copy, need, &at, err);
    if (rc)
        return rc;
    if (w->item && (e = entry_at(k, w->key)))
        item = cache_item_new(e, k->ns_len, at.revision, at.stale_ms);
    if (w->list)
        list = list_new(k, w->key);
    if (w->count)
        *w->count = run_of(k, w->key, &from);
    copy_unlock(&k->copy);
    if (w->item && !e)
        item = absent_new(w->key, &at);
    if ((w->item && !item) || (w->list && !list))
        return out_of_memory(err);
    if (item)
        *w->item = item;
    for (size_t i = 0; list && i < list->pub.n; i++)
        list->kvs[i] = kv_of(k, &list->entries[i]->kv);
    if (list) {
        list->pub.revision = at.revision;
        list->pub.stale_ms = at.stale_ms;
        *w->list = &list->pub;
    }
    return 0;
}

/* ---- telling ---- */

static struct tenure_cache_change *changes_new(const tenure_cache *k, const struct view_change *changes, size_t n)
{
    struct tenure_cache_change *out = malloc(n * (sizeof *out + 2 * sizeof(struct tenure_kv)) + 1);
    if (!out)
        return NULL;
    struct tenure_kv *kvs = (struct tenure_kv *)(out + n);
    for (size_t i = 0; i < n; i++) {
        struct tenure_kv *now = kvs + 2 * i, *was = now + 1;
        *now = changes[i].now ? kv_of(k, changes[i].now) : (struct tenure_kv){.lease = 0};
        *was = changes[i].was ? kv_of(k, changes[i].was) : (struct tenure_kv){.lease = 0};
        out[i] = (struct tenure_cache_change){changes[i].now ? now : NULL, changes[i].was ? was : NULL};
    }
    return out;
}

static int on_change(struct copy *copy, const struct view_change *changes, size_t n, bool first)
{
    tenure_cache *k = cache_of(copy);
    struct copy_at at = copy_now(copy);
    if (!k->o.on_change)
        return 0;
    struct tenure_cache_change *all = changes_new(k, changes, n);
    if (!all)
        return TENURE_ENOMEM;
    struct tenure_cache_changes told = {
        .revision = at.revision, .stale_ms = at.stale_ms, .first = first, .n = n, .changes = all};
    k->o.on_change(k, &told, k->o.user);
    free(all);
    return 0;
}

static void on_end(struct copy *copy, int code, const struct tenure_error *err)
{
    tenure_cache *k = cache_of(copy);
    if (k->o.on_end)
        k->o.on_end(k, code, err, k->o.user);
}

static void dealloc(tenure_cache *k)
{
    arena_fini(&k->arena);
    free(k);
}

static void cache_free(struct copy *copy)
{
    copy_fini(copy);
    dealloc(cache_of(copy));
}

static const struct copy_type type = {.what = WHAT, .on_change = on_change, .on_end = on_end, .free = cache_free};

/* ---- opening ---- */

static int take_range(tenure_cache *k, bytes ns, struct tenure_bytes key, struct tenure_error *err)
{
    struct key_range range;
    struct range_words words = {.key = key, .prefix = k->o.prefix, .ns = ns};
    int rc = range_of(&words, &k->arena, &range, err);
    if (rc)
        return error_wrap(err, WHAT);
    k->range = (struct key_range){arena_copy(&k->arena, range.key), range.range_end};
    if (range.range_end.len > 0)
        k->range.range_end = arena_copy(&k->arena, range.range_end);
    k->key = key.len > 0 ? arena_copy(&k->arena, result_bytes_in(key)) : bytes_of(NULL, 0);
    bool bad =
        !k->range.key.data || (range.range_end.len > 0 && !k->range.range_end.data) || (key.len > 0 && !k->key.data);
    return bad ? out_of_memory(err) : 0;
}

static tenure_cache *cache_new(tenure_client *c, bytes ns, struct tenure_bytes key,
                               const struct tenure_cache_options *o, struct tenure_error *err)
{
    tenure_cache *k = calloc(1, sizeof *k);
    if (!k) {
        out_of_memory(err);
        return NULL;
    }
    arena_init(&k->arena, 0);
    k->o = *o;
    k->ns_len = ns.len;
    if (take_range(k, ns, key, err) == 0 && copy_init(&k->copy, c, &type, err) == 0)
        return k;
    dealloc(k);
    return NULL;
}

tenure_cache *tenure_cache_open(tenure_client *c, struct tenure_bytes key, const struct tenure_cache_options *options,
                                struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_cache_options o;
    struct replica_options r = {.check_ms = 0};
    bytes ns = view_of(&c);
    err = err ? err : &own;
    if (handle_enter(c, err) < 0 || options_take(&o, sizeof o, options, WHAT, err) < 0 ||
        copy_options(&r, WHAT, o.check_ms, o.keys_max, o.bytes_max, err) < 0)
        return NULL;
    tenure_cache *k = cache_new(c, ns, key, &o, err);
    if (!k)
        return NULL;
    r.range = k->range;
    if (copy_start(&k->copy, &r, err) == 0)
        return k;
    cache_free(&k->copy);
    return NULL;
}

int tenure_cache_fd(const tenure_cache *k)
{
    return k ? k->copy.fd : -1;
}

void tenure_cache_close(tenure_cache *k)
{
    if (k)
        copy_close(&k->copy);
}

/* ---- at the door ---- */

struct door {
    struct replica_need need;
    int64_t timeout_ms;
    bytes key; /* borrowed */
};

static int enter(const tenure_cache *k, bool blocks, bool waits, const struct tenure_cache_need *need, struct door *ret,
                 struct tenure_error *err)
{
    return copy_enter(k ? &k->copy : NULL, blocks, waits, WHAT, need, &ret->need, &ret->timeout_ms, err);
}

static int take_key(const tenure_cache *k, struct tenure_bytes key, struct door *d, struct tenure_error *err)
{
    d->key = result_bytes_in(key);
    if (key.len == 0 || !key.data)
        return error_set(err, TENURE_EINVALID, WHAT ": the key is empty");
    bool within = k->o.prefix ? begins_with(d->key, k->key) : bytes_equal(d->key, k->key);
    return within ? 0 : error_set(err, TENURE_EINVALID, WHAT ": it does not follow that key");
}

static int take_prefix(const tenure_cache *k, struct tenure_bytes prefix, struct door *d, struct tenure_error *err)
{
    if (prefix.len == 0) {
        d->key = bytes_of(NULL, 0);
        return 0;
    }
    d->key = result_bytes_in(prefix);
    if (!prefix.data)
        return error_set(err, TENURE_EINVALID, WHAT ": the prefix has a length and no data");
    return begins_with(d->key, k->key) ? 0
                                       : error_set(err, TENURE_EINVALID, WHAT ": it does not follow all those keys");
}

static int nowhere(struct tenure_error *err)
{
    return error_set(err, TENURE_EINVALID, WHAT ": there is nowhere to put the answer");
}

/* ---- from memory ---- */

int tenure_cache_cached(const tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                        struct tenure_cache_item **ret, struct tenure_error *err)
{
    struct door d;
    int rc = enter(k, false, false, need, &d, err);
    rc = rc ? rc : take_key(k, key, &d, err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    return rc ? rc : look(k, &d.need, &(struct want){.key = d.key, .item = ret}, err);
}

int tenure_cache_cached_list(const tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                             struct tenure_cache_list **ret, struct tenure_error *err)
{
    struct door d;
    int rc = enter(k, false, false, need, &d, err);
    rc = rc ? rc : take_prefix(k, prefix, &d, err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    return rc ? rc : look(k, &d.need, &(struct want){.key = d.key, .list = ret}, err);
}

int tenure_cache_count(const tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                       size_t *ret, struct tenure_error *err)
{
    struct door d;
    int rc = enter(k, false, false, need, &d, err);
    rc = rc ? rc : take_prefix(k, prefix, &d, err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    return rc ? rc : look(k, &d.need, &(struct want){.key = d.key, .count = ret}, err);
}

/* ---- by asking ---- */

/* Once it was what was needed it is: it only grows. */
static int convert(struct ask *a, struct want *w)
{
    struct copy_read *r = a->req.copy;
    struct tenure_error ignored;
    w->key = r->key;
    return look(cache_of(r->copy), &(struct replica_need){0}, w, &ignored) ? TENURE_ENOMEM : 0;
}

static int item_convert(struct ask *a, const struct client_result *r)
{
    struct tenure_cache_item *item = NULL;
    int rc = convert(a, &(struct want){.item = &item});
    (void)r;
    a->result = item;
    return rc;
}

static int list_convert(struct ask *a, const struct client_result *r)
{
    struct tenure_cache_list *list = NULL;
    int rc = convert(a, &(struct want){.list = &list});
    (void)r;
    a->result = list;
    return rc;
}

static void item_drop(void *item)
{
    tenure_cache_item_free(item);
}

static void list_drop(void *list)
{
    tenure_cache_list_free(list);
}

ASK_COMPLETE(item_complete, tenure_cache_item_cb, struct tenure_cache_item)
ASK_COMPLETE(list_complete, tenure_cache_list_cb, struct tenure_cache_list)

static const struct ask_type item_type = {.what = WHAT,
                                          .answers = true,
                                          .begin = copy_read_begin,
                                          .cancel = copy_read_cancel,
                                          .convert = item_convert,
                                          .result_free = item_drop,
                                          .complete = item_complete};
static const struct ask_type list_type = {.what = WHAT,
                                          .answers = true,
                                          .begin = copy_read_begin,
                                          .cancel = copy_read_cancel,
                                          .convert = list_convert,
                                          .result_free = list_drop,
                                          .complete = list_complete};
static const struct ask_type wait_type = {
    .what = WHAT, .begin = copy_read_begin, .cancel = copy_read_cancel, .complete = ask_complete_done};

static struct ask *ask_of(tenure_cache *k, const struct ask_type *of, const struct door *d, struct tenure_error *err)
{
    return copy_ask(&k->copy, of, &d->need, d->timeout_ms, d->key, err);
}

/* Whether memory has answered: then *rc says how. */
static bool is_answered(const tenure_cache *k, const struct door *d, const struct want *w, int *rc,
                        struct tenure_error *err)
{
    *rc = copy_check_scope(WHAT, err);
    if (*rc == 0)
        *rc = look(k, &d->need, w, err);
    return *rc != TENURE_ESTALE && *rc != TENURE_EUNAVAILABLE;
}

int tenure_cache_get(tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                     struct tenure_cache_item **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, true, true, need, &d, err);
    rc = rc ? rc : take_key(k, key, &d, err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    if (rc || is_answered(k, &d, &(struct want){.key = d.key, .item = ret}, &rc, err))
        return rc;
    return ask_finish(ask_of(k, &item_type, &d, err), ret, err);
}

int tenure_cache_list(tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                      struct tenure_cache_list **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, true, true, need, &d, err);
    rc = rc ? rc : take_prefix(k, prefix, &d, err);
    if (rc == 0 && !ret)
        rc = nowhere(err);
    if (rc || is_answered(k, &d, &(struct want){.key = d.key, .list = ret}, &rc, err))
        return rc;
    return ask_finish(ask_of(k, &list_type, &d, err), ret, err);
}

int tenure_cache_wait(tenure_cache *k, const struct tenure_cache_need *need, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d = {.timeout_ms = 0};
    err = err ? err : &own;
    int rc = enter(k, true, true, need, &d, err);
    if (rc || is_answered(k, &d, &(struct want){.key = d.key}, &rc, err))
        return rc;
    return ask_finish(ask_of(k, &wait_type, &d, err), NULL, err);
}

int tenure_cache_get_start(tenure_cache *k, struct tenure_bytes key, const struct tenure_cache_need *need,
                           tenure_cache_item_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, false, true, need, &d, err);
    rc = rc ? rc : take_key(k, key, &d, err);
    return rc ? rc : ask_go(ask_of(k, &item_type, &d, err), (void (*)(void))cb, user, err);
}

int tenure_cache_list_start(tenure_cache *k, struct tenure_bytes prefix, const struct tenure_cache_need *need,
                            tenure_cache_list_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d;
    err = err ? err : &own;
    int rc = enter(k, false, true, need, &d, err);
    rc = rc ? rc : take_prefix(k, prefix, &d, err);
    return rc ? rc : ask_go(ask_of(k, &list_type, &d, err), (void (*)(void))cb, user, err);
}

int tenure_cache_wait_start(tenure_cache *k, const struct tenure_cache_need *need, tenure_done_cb cb, void *user,
                            struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct door d = {.timeout_ms = 0};
    err = err ? err : &own;
    int rc = enter(k, false, true, need, &d, err);
    return rc ? rc : ask_go(ask_of(k, &wait_type, &d, err), (void (*)(void))cb, user, err);
}
