/* See view.h. What a change replaces is kept until the user has been told. */
#include "recipes/view.h"

#include <assert.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"

enum view_state { VIEW_LISTING, VIEW_RESTING, VIEW_WATCHING, VIEW_ENDED };
enum { AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 2000 };

struct view {
    struct client *client;
    struct view_callbacks cb;
    void *user;
    enum view_state state;
    bytes key, range_end; /* owned, one block with the view */
    struct keyset keys;
    size_t bytes, keys_max, bytes_max;
    tn_rev revision;
    bool listed;
    tn_ms listed_at;
    struct op *op;
    struct client_watch *watch;
    tn_ms list_at; /* RESTING: when the list is asked for again */
    struct backoff backoff;
    struct rng rng;

    struct view_change *changes; /* of the revision being applied */
    struct keyset_entry **old;   /* what they replaced, to be freed when they were told */
    size_t n_changes, n_old, cap_changes;
    bool busy, stop_later;
};

/* ---- changes ---- */

static int room_for_changes(struct view *v, size_t n)
{
    if (n <= v->cap_changes)
        return 0;
    struct view_change *changes = realloc(v->changes, n * sizeof *changes);
    if (changes)
        v->changes = changes;
    struct keyset_entry **old = changes ? realloc(v->old, n * sizeof(struct keyset_entry *)) : NULL;
    if (!old)
        return TENURE_ENOMEM;
    v->old = old;
    v->cap_changes = n;
    return 0;
}

static void note_change(struct view *v, const struct kv *now, struct keyset_entry *was)
{
    v->changes[v->n_changes++] = (struct view_change){now, was ? &was->kv : NULL};
    if (!was)
        return;
    v->bytes -= keyset_bytes(&was->kv);
    v->old[v->n_old++] = was;
}

static void forget_changes(struct view *v)
{
    for (size_t i = 0; i < v->n_old; i++)
        keyset_unref(v->old[i]);
    v->n_changes = v->n_old = 0;
}

static int put(struct view *v, const struct kv *kv)
{
    struct keyset_entry *was;
    if (keyset_put(&v->keys, kv, &was))
        return TENURE_ENOMEM;
    v->bytes += keyset_bytes(kv);
    note_change(v, keyset_find(&v->keys, kv->key), was);
    return 0;
}

static void delete_at(struct view *v, size_t at)
{
    note_change(v, NULL, keyset_take(&v->keys, at));
}

/* Of a whole revision: what replaces something, or comes where something goes, does not count beside it. */
static int check_limits(const struct view *v)
{
    return v->keys.len > v->keys_max || v->bytes > v->bytes_max ? TENURE_ELIMIT : 0;
}

/* ---- telling ---- */

static void stop_work(struct view *v, tn_ms now)
{
    op_drop(&v->op, now);
    if (v->watch)
        client_watch_stop(v->client, v->watch, now);
    v->watch = NULL;
}

static void view_end(struct view *v, int code, const struct tenure_error *error)
{
    struct tenure_error why = *error;
    stop_work(v, client_now(v->client));
    v->state = VIEW_ENDED;
    forget_changes(v);
    v->cb.on_end(v->user, code, &why);
}

static void end_with(struct view *v, int code)
{
    struct tenure_error why;
    if (code == TENURE_ELIMIT)
        error_set(&why, code, "too much to hold: more than %zu keys or %zu bytes", v->keys_max, v->bytes_max);
    else
        error_set(&why, code, "%s", tenure_error_string(code));
    view_end(v, code, &why);
}

static void tell(struct view *v)
{
    if (v->n_changes > 0 || !v->listed) {
        v->listed = true;
        v->cb.on_change(v->user, v->revision, v->changes, v->n_changes);
    }
    forget_changes(v);
}

static void busy_end(struct view *v)
{
    v->busy = false;
    if (v->stop_later)
        view_stop(v, client_now(v->client));
}

/* ---- watching ---- */

static int list(struct view *v, tn_ms now, struct tenure_error *err);

static int apply(struct view *v, const struct event *e)
{
    size_t at = keyset_place(&v->keys, e->kv.key);
    if (e->type == EVENT_PUT)
        return put(v, &e->kv);
    if (keyset_is_at(&v->keys, at, e->kv.key))
        delete_at(v, at);
    return 0;
}

/* A revision changes a key once, so what it replaced is older. */
static bool ends_revision(const struct client_watch_events *e, size_t i)
{
    return i + 1 == e->n_events || e->events[i + 1].kv.mod_revision != e->events[i].kv.mod_revision;
}

/* What view_learn was faster with is passed over. */
static void apply_all(struct view *v, const struct client_watch_events *e)
{
    tn_rev known = v->revision;
    int rc = room_for_changes(v, e->n_events);
    for (size_t i = 0; rc == 0 && i < e->n_events && !v->stop_later; i++) {
        if (e->events[i].kv.mod_revision <= known)
            continue;
        rc = apply(v, &e->events[i]);
        v->revision = e->events[i].kv.mod_revision;
        if (rc || !ends_revision(e, i))
            continue;
        rc = check_limits(v);
        if (rc == 0)
            tell(v);
    }
    if (rc)
        end_with(v, rc);
    else if (v->revision < e->revision)
        v->revision = e->revision;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct view *v = user;
    v->busy = true;
    apply_all(v, e);
    busy_end(v);
}

static void rest(struct view *v);

/* Too much is under way, for now: it may be what has ended the watch. */
static void list_failed(struct view *v, const struct tenure_error *err)
{
    if (err->code == TENURE_ELIMIT)
        rest(v);
    else
        view_end(v, err->code, err);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    (void)compact_revision;
    struct view *v = user;
    struct tenure_error err = {0}, why = *error; /* which goes with the watch */
    bool missed =
        code == TENURE_ECOMPACTED || code == TENURE_ELIMIT || code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    tn_ms now = client_now(v->client);
    client_watch_stop(v->client, v->watch, now);
    v->watch = NULL;
    v->busy = true;
    v->state = VIEW_LISTING;
    if (!missed)
        view_end(v, code, &why);
    else if (list(v, now, &err))
        list_failed(v, &err);
    busy_end(v);
}

static int watch(struct view *v, struct tenure_error *err)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events, .on_end = on_watch_end};
    struct watch_create_req req = {.range = {v->key, v->range_end}, .start_revision = v->revision + 1};
    v->watch = client_watch_start(v->client, &req, &cb, v, client_now(v->client), err);
    v->state = v->watch ? VIEW_WATCHING : v->state;
    return v->watch ? 0 : err->code;
}

/* ---- listing ---- */

/* Before anything of it is copied. */
static bool is_too_much(const struct view *v, const struct range_resp *r)
{
    size_t size = 0;
    for (size_t i = 0; i < r->n_kvs && size <= v->bytes_max; i++)
        size += keyset_bytes(&r->kvs[i]);
    return r->n_kvs > v->keys_max || size > v->bytes_max;
}

/* Both are in byte order. What is the same is not told. */
static int merge(struct view *v, const struct range_resp *r)
{
    size_t at = 0;
    const struct keyset *keys = &v->keys;
    int rc = is_too_much(v, r) ? TENURE_ELIMIT : room_for_changes(v, keys->len + r->n_kvs);
    for (size_t i = 0; rc == 0 && i < r->n_kvs; i++, at++) {
        const struct kv *kv = &r->kvs[i];
        while (at < keys->len && bytes_compare(keys->entries[at]->kv.key, kv->key) < 0)
            delete_at(v, at);
        if (!keyset_is_at(keys, at, kv->key) || keys->entries[at]->kv.mod_revision != kv->mod_revision)
            rc = put(v, kv);
    }
    while (rc == 0 && at < keys->len)
        delete_at(v, at);
    return rc;
}

/* An endpoint that lags behind, or nobody there, will not be otherwise at once. */
static void rest(struct view *v)
{
    v->state = VIEW_RESTING;
    v->list_at = client_now(v->client) + backoff_failure(&v->backoff, &v->rng);
}

static void listed(struct view *v, const struct client_result *r)
{
    struct tenure_error err = {0};
    bool lags = r->code == 0 && r->range->revision < v->revision;
    if (lags || op_may_retry(r)) {
        rest(v);
        return;
    }
    if (r->code) {
        view_end(v, r->code, r->error);
        return;
    }
    backoff_success(&v->backoff);
    int rc = merge(v, r->range);
    v->revision = r->range->revision;
    v->listed_at = r->sent_at;
    if (rc)
        end_with(v, rc);
    else if (watch(v, &err))
        view_end(v, err.code, &err);
    else
        tell(v);
}

static void on_listed(void *owner, const struct client_result *r)
{
    struct view *v = owner;
    v->busy = true;
    listed(v, r);
    busy_end(v);
}

static int list(struct view *v, tn_ms now, struct tenure_error *err)
{
    struct range_req req = {.range = {v->key, v->range_end}, .sort_order = SORT_ASCEND, .sort_target = SORT_KEY};
    return op_range(&v->op, v->client, &req, NULL, on_listed, v, now, err);
}

tn_ms view_deadline(const struct view *v)
{
    return v->state == VIEW_RESTING ? v->list_at : TN_MS_NEVER;
}

void view_tick(struct view *v, tn_ms now)
{
    if (v->state != VIEW_RESTING || now < v->list_at)
        return;
    v->state = VIEW_LISTING;
    if (list(v, now, NULL))
        rest(v);
}

/* ---- what others have read ---- */

static size_t count_unknown(const struct view *v, const struct range_resp *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->n_kvs; i++)
        n += !view_find(v, r->kvs[i].key);
    return n;
}

/* Keys only go by a delete: so where there are as many as there must be, none has gone. */
static int learn(struct view *v, const struct range_resp *r)
{
    bool gone = (uint64_t)r->count != v->keys.len + count_unknown(v, r);
    if (gone && (v->range_end.len > 0 || r->count != 0))
        return VIEW_BEHIND;
    int rc = room_for_changes(v, r->n_kvs + 1);
    for (size_t i = 0; rc == 0 && i < r->n_kvs; i++)
        rc = r->kvs[i].mod_revision > v->revision ? put(v, &r->kvs[i]) : 0;
    if (rc == 0 && gone)
        delete_at(v, 0);
    rc = rc ? rc : check_limits(v);
    if (rc) {
        end_with(v, rc);
        return rc;
    }
    v->revision = r->revision;
    tell(v);
    return 0;
}

int view_learn(struct view *v, const struct range_resp *r)
{
    if (!v->listed || v->state == VIEW_ENDED)
        return VIEW_BEHIND;
    if (r->revision <= v->revision)
        return 0;
    v->busy = true;
    int rc = learn(v, r);
    busy_end(v);
    return rc;
}

/* ---- life ---- */

int view_start(struct client *c, struct key_range range, const struct view_callbacks *cb, void *user, tn_ms now,
               struct view **ret, struct tenure_error *err)
{
    struct view *v = calloc(1, sizeof *v + range.key.len + range.range_end.len);
    if (!v)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    uint8_t *memory = (uint8_t *)(v + 1);
    v->client = c;
    v->cb = *cb;
    v->user = user;
    v->keys_max = VIEW_KEYS_MAX;
    v->bytes_max = VIEW_BYTES_MAX;
    backoff_init(&v->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&v->rng, client_random(c));
    v->key = bytes_of(memory, range.key.len);
    v->range_end = bytes_of(memory + range.key.len, range.range_end.len);
    if (range.key.len)
        memcpy(memory, range.key.data, range.key.len);
    if (range.range_end.len)
        memcpy(memory + range.key.len, range.range_end.data, range.range_end.len);
    int rc = list(v, now, err);
    if (rc) {
        view_stop(v, now);
        return rc;
    }
    *ret = v;
    return 0;
}

struct view *view_stop(struct view *v, tn_ms now)
{
    if (!v)
        return NULL;
    stop_work(v, now);
    v->stop_later = v->busy;
    if (v->busy)
        return NULL;
    forget_changes(v);
    keyset_fini(&v->keys);
    free(v->changes);
    free(v->old);
    free(v);
    return NULL;
}

void view_limit(struct view *v, size_t keys_max, size_t bytes_max)
{
    v->keys_max = keys_max ? keys_max : VIEW_KEYS_MAX;
    v->bytes_max = bytes_max ? bytes_max : VIEW_BYTES_MAX;
}

tn_rev view_revision(const struct view *v)
{
    return v->revision;
}

tn_ms view_listed_at(const struct view *v)
{
    return v->listed_at;
}

size_t view_count(const struct view *v)
{
    return v->keys.len;
}

const struct kv *view_at(const struct view *v, size_t i)
{
    return &v->keys.entries[i]->kv;
}

const struct kv *view_find(const struct view *v, bytes key)
{
    return keyset_find(&v->keys, key);
}
