/* See ranges.h. What a change replaces is kept until the user has been told. */
#include "recipes/ranges.h"

#include <assert.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"

enum ranges_state { RANGES_LISTING, RANGES_READING, RANGES_RESTING, RANGES_WATCHING, RANGES_ENDED };
enum { AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 2000, KEYS_MAX = 100000, BYTES_MAX = 64 * 1024 * 1024, CHANGES_MIN = 16 };

struct part {
    struct ranges *owner;
    struct key_range range; /* its bytes are behind the struct ranges */
    struct keyset keys;
    struct client_watch *watch;
};

struct ranges {
    struct client *client;
    struct ranges_callbacks cb;
    void *user;
    enum ranges_state state;
    struct part parts[RANGES_MAX];
    size_t n;
    size_t keys_max, bytes_max;
    size_t len, bytes; /* of all keys, and of what was replaced and is still to be told */
    tn_rev revision;
    bool listed;
    size_t newest;                /* how often read_at was 0, and it came */
    tn_rev read_at;               /* the revision being read; 0 = the newest */
    bool read_all;                /* whole ranges, not what is newer only */
    tn_rev wait[RANGES_WAIT_MAX]; /* revisions of events behind the copy, ascending */
    size_t n_wait;
    struct op *op;
    tn_ms again_at; /* RESTING */
    struct backoff backoff;
    struct rng rng;

    struct ranges_change *changes; /* of the state being made */
    struct keyset_entry **old;     /* what they replaced, to be freed when they were told */
    size_t n_changes, n_old, cap_changes;
    bool busy, stop_later;
};

/* ---- changes ---- */

static int room_for_changes(struct ranges *r, size_t n)
{
    if (n <= r->cap_changes)
        return 0;
    struct ranges_change *changes = realloc(r->changes, n * sizeof *changes);
    if (changes)
        r->changes = changes;
    struct keyset_entry **old = changes ? realloc(r->old, n * sizeof(struct keyset_entry *)) : NULL;
    if (!old)
        return TENURE_ENOMEM;
    r->old = old;
    r->cap_changes = n;
    return 0;
}

static void note_change(struct ranges *r, size_t range, const struct kv *now, struct keyset_entry *was)
{
    assert(r->n_changes < r->cap_changes);
    r->changes[r->n_changes++] = (struct ranges_change){range, now, was ? &was->kv : NULL};
    if (was)
        r->old[r->n_old++] = was;
}

static void forget_changes(struct ranges *r)
{
    for (size_t i = 0; i < r->n_old; i++) {
        r->bytes -= keyset_bytes(&r->old[i]->kv);
        keyset_unref(r->old[i]);
    }
    r->n_changes = r->n_old = 0;
}

static int put(struct ranges *r, size_t range, const struct kv *kv)
{
    struct keyset *keys = &r->parts[range].keys;
    struct keyset_entry *was;
    if (r->len >= r->keys_max && !keyset_is_at(keys, keyset_place(keys, kv->key), kv->key))
        return TENURE_ELIMIT;
    if (r->bytes > r->bytes_max || keyset_bytes(kv) > r->bytes_max - r->bytes)
        return TENURE_ELIMIT;
    if (keyset_put(keys, kv, &was))
        return TENURE_ENOMEM;
    r->bytes += keyset_bytes(kv);
    r->len += was ? 0 : 1;
    note_change(r, range, &keys->entries[keyset_place(keys, kv->key)]->kv, was);
    return 0;
}

static void delete_at(struct ranges *r, size_t range, size_t at)
{
    note_change(r, range, NULL, keyset_take(&r->parts[range].keys, at));
    r->len--;
}

/* ---- telling ---- */

static void stop_work(struct ranges *r, tn_ms now)
{
    op_drop(&r->op, now);
    for (size_t i = 0; i < r->n; i++) {
        if (r->parts[i].watch)
            client_watch_stop(r->client, r->parts[i].watch, now);
        r->parts[i].watch = NULL;
    }
}

static void ranges_end(struct ranges *r, int code, const struct tenure_error *error)
{
    struct tenure_error why = *error;
    stop_work(r, client_now(r->client));
    r->state = RANGES_ENDED;
    forget_changes(r);
    r->cb.on_end(r->user, code, &why);
}

static void end_with(struct ranges *r, int code)
{
    struct tenure_error why;
    error_set(&why, code, "%s", code == TENURE_ELIMIT ? "too many keys, or too large ones" : tenure_error_string(code));
    ranges_end(r, code, &why);
}

static void tell(struct ranges *r)
{
    if (r->n_changes > 0 || !r->listed) {
        r->listed = true;
        r->cb.on_change(r->user, r->revision, r->changes, r->n_changes);
    }
    forget_changes(r);
}

static void busy_end(struct ranges *r)
{
    r->busy = false;
    if (r->stop_later)
        ranges_stop(r, client_now(r->client));
}

/* ---- what waits ---- */

static void drop_seen(struct ranges *r)
{
    size_t seen = 0;
    while (seen < r->n_wait && r->wait[seen] <= r->revision)
        seen++;
    r->n_wait -= seen;
    memmove(r->wait, r->wait + seen, r->n_wait * sizeof r->wait[0]);
}

/* Where there are too many, those before the newest are told with it. */
static void note_event(struct ranges *r, tn_rev revision)
{
    size_t at = r->n_wait;
    while (at > 0 && r->wait[at - 1] > revision)
        at--;
    if (revision <= r->revision || (at > 0 && r->wait[at - 1] == revision))
        return;
    if (r->n_wait == RANGES_WAIT_MAX) {
        if (at == r->n_wait)
            r->wait[0] = revision;
        else
            r->wait[0] = r->wait[r->n_wait - 1];
        r->n_wait = 1;
        return;
    }
    memmove(r->wait + at + 1, r->wait + at, (r->n_wait - at) * sizeof r->wait[0]);
    r->wait[at] = revision;
    r->n_wait++;
}

/* ---- watching ---- */

static int read_now(struct ranges *r, tn_ms now, struct tenure_error *err);

static void read_or_end(struct ranges *r, tn_rev at, bool all)
{
    struct tenure_error err = {0};
    r->read_at = at;
    r->read_all = all;
    if (read_now(r, client_now(r->client), &err))
        ranges_end(r, err.code, &err);
}

/* Also what comes while something is read; that waits. */
static void go_on(struct ranges *r)
{
    drop_seen(r);
    if (r->n_wait > 0 && r->state == RANGES_WATCHING)
        read_or_end(r, r->wait[0], false);
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct part *p = user;
    struct ranges *r = p->owner;
    for (size_t i = 0; i < e->n_events; i++)
        note_event(r, e->events[i].kv.mod_revision);
    r->busy = true;
    go_on(r);
    busy_end(r);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct part *p = user;
    struct ranges *r = p->owner;
    struct tenure_error why = *error; /* which goes with the watch */
    bool missed =
        code == TENURE_ECOMPACTED || code == TENURE_ELIMIT || code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    (void)compact_revision;
    client_watch_stop(r->client, p->watch, client_now(r->client));
    p->watch = NULL;
    r->busy = true;
    if (!missed) {
        ranges_end(r, code, &why);
    } else if (r->state == RANGES_WATCHING || r->state == RANGES_READING) {
        op_drop(&r->op, client_now(r->client));
        read_or_end(r, 0, true);
    }
    busy_end(r);
}

static int watch_all(struct ranges *r, struct tenure_error *err)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events, .on_end = on_watch_end};
    for (size_t i = 0; i < r->n; i++) {
        struct part *p = &r->parts[i];
        struct watch_create_req req = {.range = p->range, .start_revision = r->revision + 1};
        if (!p->watch)
            p->watch = client_watch_start(r->client, &req, &cb, p, client_now(r->client), err);
        if (!p->watch)
            return err->code;
    }
    r->state = RANGES_WATCHING;
    return 0;
}

/* ---- reading ---- */

/* Both are in byte order. What is the same is no change. */
static int merge(struct ranges *r, size_t range, const struct range_resp *resp)
{
    struct keyset *keys = &r->parts[range].keys;
    size_t at = 0;
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < resp->n_kvs; i++, at++) {
        const struct kv *kv = &resp->kvs[i];
        while (at < keys->len && bytes_compare(keys->entries[at]->kv.key, kv->key) < 0)
            delete_at(r, range, at);
        if (!keyset_is_at(keys, at, kv->key) || keys->entries[at]->kv.mod_revision != kv->mod_revision)
            rc = put(r, range, kv);
    }
    while (rc == 0 && at < keys->len)
        delete_at(r, range, at);
    return rc;
}

static int add_newer(struct ranges *r, size_t range, const struct range_resp *resp)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < resp->n_kvs; i++)
        rc = put(r, range, &resp->kvs[i]);
    return rc;
}

/* Whether what is newer is all that has changed: the keys that there are then are as many as there are. */
static bool nothing_deleted(const struct ranges *r, const struct response_op *responses)
{
    for (size_t i = 0; i < r->n; i++) {
        const struct range_resp *newer = &responses[2 * i].range, *count = &responses[2 * i + 1].range;
        const struct keyset *keys = &r->parts[i].keys;
        size_t len = keys->len;
        for (size_t j = 0; j < newer->n_kvs; j++)
            len += !keyset_is_at(keys, keyset_place(keys, newer->kvs[j].key), newer->kvs[j].key);
        if (count->count != (int64_t)len)
            return false;
    }
    return true;
}

static bool is_answer(const struct ranges *r, const struct txn_resp *resp)
{
    size_t n = r->n * (r->read_all ? 1 : 2);
    if (resp->n_responses != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (resp->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

static int apply(struct ranges *r, const struct txn_resp *resp)
{
    size_t most = r->read_all ? r->len : 0, step = r->read_all ? 1 : 2;
    for (size_t i = 0; i < r->n; i++)
        most += resp->responses[i * step].range.n_kvs;
    int rc = room_for_changes(r, most < CHANGES_MIN ? CHANGES_MIN : most);
    for (size_t i = 0; rc == 0 && i < r->n; i++)
        rc = (r->read_all ? merge : add_newer)(r, i, &resp->responses[i * step].range);
    return rc;
}

static void rest(struct ranges *r)
{
    r->state = RANGES_RESTING;
    r->again_at = client_now(r->client) + backoff_failure(&r->backoff, &r->rng);
}

static void read_done(struct ranges *r, const struct client_result *result)
{
    struct tenure_error err = {0};
    if (result->code == TENURE_ECOMPACTED && r->read_at > 0) {
        read_or_end(r, 0, true);
        return;
    }
    bool lags = result->code == TENURE_EFUTURE ||
                (result->code == 0 && (result->txn->revision < r->revision || result->txn->revision < r->read_at));
    if (lags || (result->code && op_may_retry(result))) {
        rest(r);
        return;
    }
    if (result->code) {
        ranges_end(r, result->code, result->error);
        return;
    }
    backoff_success(&r->backoff);
    if (!is_answer(r, result->txn)) {
        end_with(r, TENURE_EPROTOCOL);
        return;
    }
    if (!r->read_all && !nothing_deleted(r, result->txn->responses)) {
        read_or_end(r, r->read_at, true);
        return;
    }
    int rc = apply(r, result->txn);
    r->newest += r->read_at == 0;
    r->revision = r->read_at ? r->read_at : result->txn->revision;
    if (rc) {
        end_with(r, rc);
        return;
    }
    if (watch_all(r, &err)) {
        ranges_end(r, err.code, &err);
        return;
    }
    tell(r);
    if (!r->stop_later)
        go_on(r);
}

static void on_read(void *owner, const struct client_result *result)
{
    struct ranges *r = owner;
    r->busy = true;
    read_done(r, result);
    busy_end(r);
}

static int read_now(struct ranges *r, tn_ms now, struct tenure_error *err)
{
    struct request_op ops[2 * RANGES_MAX];
    struct txn_req txn = {.success = ops};
    for (size_t i = 0; i < r->n; i++) {
        struct range_req req = {.range = r->parts[i].range, .revision = r->read_at};
        if (!r->read_all)
            req.min_mod_revision = r->revision + 1;
        ops[txn.n_success++] = (struct request_op){.kind = OP_RANGE, .range = req};
        req.min_mod_revision = 0;
        req.count_only = true;
        if (!r->read_all)
            ops[txn.n_success++] = (struct request_op){.kind = OP_RANGE, .range = req};
    }
    r->state = r->read_all ? RANGES_LISTING : RANGES_READING;
    return op_txn(&r->op, r->client, &txn, NULL, on_read, r, now, err);
}

tn_ms ranges_deadline(const struct ranges *r)
{
    return r->state == RANGES_RESTING ? r->again_at : TN_MS_NEVER;
}

void ranges_tick(struct ranges *r, tn_ms now)
{
    if (r->state != RANGES_RESTING || now < r->again_at)
        return;
    if (read_now(r, now, NULL))
        rest(r);
}

/* ---- life ---- */

static bytes keep(uint8_t **at, bytes s)
{
    bytes kept = bytes_of(*at, s.len);
    if (s.len)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return kept;
}

int ranges_start(struct client *c, const struct ranges_options *o, const struct ranges_callbacks *cb, void *user,
                 tn_ms now, struct ranges **ret, struct tenure_error *err)
{
    size_t size = 0;
    assert(o->n >= 1 && o->n <= RANGES_MAX);
    for (size_t i = 0; i < o->n; i++)
        size += o->ranges[i].key.len + o->ranges[i].range_end.len;
    struct ranges *r = calloc(1, sizeof *r + size);
    if (!r)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    uint8_t *memory = (uint8_t *)(r + 1);
    r->client = c;
    r->cb = *cb;
    r->user = user;
    r->keys_max = o->keys_max ? o->keys_max : KEYS_MAX;
    r->bytes_max = o->bytes_max ? o->bytes_max : BYTES_MAX;
    backoff_init(&r->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&r->rng, client_random(c));
    for (r->n = 0; r->n < o->n; r->n++) {
        struct part *p = &r->parts[r->n];
        p->owner = r;
        p->range.key = keep(&memory, o->ranges[r->n].key);
        p->range.range_end = keep(&memory, o->ranges[r->n].range_end);
    }
    r->read_all = true;
    int rc = read_now(r, now, err);
    if (rc) {
        ranges_stop(r, now);
        return rc;
    }
    *ret = r;
    return 0;
}

struct ranges *ranges_stop(struct ranges *r, tn_ms now)
{
    if (!r)
        return NULL;
    stop_work(r, now);
    r->stop_later = r->busy;
    if (r->busy)
        return NULL;
    forget_changes(r);
    for (size_t i = 0; i < r->n; i++)
        keyset_fini(&r->parts[i].keys);
    free(r->changes);
    free(r->old);
    free(r);
    return NULL;
}

tn_rev ranges_revision(const struct ranges *r)
{
    return r->revision;
}

bool ranges_is_settled(const struct ranges *r)
{
    return r->state == RANGES_WATCHING && r->n_wait == 0;
}

void ranges_refresh(struct ranges *r, tn_ms now)
{
    if (!ranges_is_settled(r))
        return;
    r->read_at = 0;
    r->read_all = false;
    if (read_now(r, now, NULL))
        rest(r);
}

size_t ranges_newest(const struct ranges *r)
{
    return r->newest;
}

const struct keyset *ranges_keys(const struct ranges *r, size_t range)
{
    return &r->parts[range].keys;
}
