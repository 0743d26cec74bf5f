/* Observing an election: see election.h. The keys of the queue are listed at a revision and watched from the next one on,
 * so the mirror is exact at every revision; whoever was created first leads. After each revision of the watch the leader
 * is worked out anew, so a leader that came and went between two deliveries is told as well (M10).
 *
 * A watch that ends by compaction or by too many events is replaced by a new list: who led in the hole is not known, who
 * leads now is. Lost connections are the client's business; it is no end. An end is: denied, closed, no memory, more
 * candidates than the mirror takes.
 */
#include <assert.h>
#include <stdlib.h>

#include "recipes/election.h"
#include "recipes/mirror.h"
#include "recipes/op.h"
#include "recipes/queue.h"

enum observer_state { OBSERVER_LISTING, OBSERVER_WATCHING, OBSERVER_ENDED };

struct observer {
    struct client *client;
    struct observer_callbacks cb;
    void *user;
    enum observer_state state;
    struct queue queue;
    struct mirror mirror;
    tn_rev revision; /* of the mirror */
    struct op *op;
    struct client_watch *watch;
    bool told;                    /* anything */
    tn_rev told_create, told_mod; /* of the leader told last; 0 = nobody */
    bool busy, free_later;
};

/* Next: LISTING: WATCHING when the list has come. WATCHING: LISTING when the watch cannot go on. Both: ENDED. */
static void observer_move(struct observer *o, enum observer_state to)
{
    static const unsigned allowed[] = {
        [OBSERVER_LISTING] = 1u << OBSERVER_WATCHING | 1u << OBSERVER_ENDED,
        [OBSERVER_WATCHING] = 1u << OBSERVER_LISTING | 1u << OBSERVER_ENDED,
        [OBSERVER_ENDED] = 0,
    };
    assert(allowed[o->state] & 1u << to);
    o->state = to;
}

static void stop_work(struct observer *o, tn_ms now)
{
    op_drop(&o->op, now);
    if (o->watch)
        client_watch_stop(o->client, o->watch, now);
    o->watch = NULL;
}

/* Between these two the user may stop the observer at any call. */
static void busy_begin(struct observer *o)
{
    o->busy = true;
}

static void busy_end(struct observer *o)
{
    o->busy = false;
    if (o->free_later)
        observer_stop(o, client_now(o->client));
}

/* The user's last call. */
static void observer_end(struct observer *o, int code, const struct tenure_error *error)
{
    struct tenure_error why = *error;
    stop_work(o, client_now(o->client));
    observer_move(o, OBSERVER_ENDED);
    error_wrap(&why, "observe '%.*s'", o->queue.path.len < 100 ? (int)o->queue.path.len : 100,
               (const char *)o->queue.path.data);
    if (o->cb.on_end)
        o->cb.on_end(o->user, code, &why);
}

static void end_with(struct observer *o, int code)
{
    struct tenure_error why;
    error_set(&why, code, "%s", code == TENURE_ELIMIT ? "too many candidates" : tenure_error_string(code));
    observer_end(o, code, &why);
}

/* ---- the leader ---- */

static void tell_leader(struct observer *o)
{
    struct kv kv = {0};
    mirror_first(&o->mirror, &kv);
    if (o->told && kv.create_revision == o->told_create && kv.mod_revision == o->told_mod)
        return;
    o->told = true;
    o->told_create = kv.create_revision;
    o->told_mod = kv.mod_revision;
    if (o->cb.on_leader)
        o->cb.on_leader(o->user, &kv, o->revision);
}

/* ---- watching ---- */

static void list_again(struct observer *o);

static int apply(struct observer *o, const struct event *e)
{
    if (!queue_counts(&o->queue, e->kv.key))
        return 0;
    if (e->type == EVENT_PUT)
        return mirror_put(&o->mirror, &e->kv);
    mirror_delete(&o->mirror, e->kv.key);
    return 0;
}

static bool ends_revision(const struct client_watch_events *e, size_t i)
{
    return i + 1 == e->n_events || e->events[i + 1].kv.mod_revision != e->events[i].kv.mod_revision;
}

static void apply_all(struct observer *o, const struct client_watch_events *e)
{
    for (size_t i = 0; i < e->n_events && !o->free_later; i++) {
        int rc = apply(o, &e->events[i]);
        if (rc) {
            end_with(o, rc);
            return;
        }
        o->revision = e->events[i].kv.mod_revision;
        if (ends_revision(e, i))
            tell_leader(o);
    }
    if (o->revision < e->revision)
        o->revision = e->revision;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct observer *o = user;
    busy_begin(o);
    apply_all(o, e);
    busy_end(o);
}

static void watch(struct observer *o);

static void watch_from_now(struct observer *o, tn_rev compact_revision)
{
    observer_move(o, OBSERVER_LISTING);
    o->revision = compact_revision;
    watch(o);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct observer *o = user;
    bool missed =
        code == TENURE_ECOMPACTED || code == TENURE_ELIMIT || code == TENURE_EUNAVAILABLE || code == TENURE_ETIMEOUT;
    client_watch_stop(o->client, o->watch, client_now(o->client));
    o->watch = NULL;
    busy_begin(o);
    if (missed && o->cb.broken_no_list)
        watch_from_now(o, compact_revision);
    else if (missed)
        list_again(o);
    else
        observer_end(o, code, error);
    busy_end(o);
}

static void watch(struct observer *o)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events, .on_end = on_watch_end};
    struct watch_create_req req = {.range = {o->queue.dir, o->queue.dir_end}, .start_revision = o->revision + 1};
    struct tenure_error err = {0};
    o->watch = client_watch_start(o->client, &req, &cb, o, client_now(o->client), &err);
    if (o->watch)
        observer_move(o, OBSERVER_WATCHING);
    else
        observer_end(o, err.code, &err);
}

/* ---- listing ---- */

static int take_list(struct observer *o, const struct range_resp *r)
{
    mirror_clear(&o->mirror);
    for (size_t i = 0; i < r->n_kvs; i++) {
        int rc = queue_counts(&o->queue, r->kvs[i].key) ? mirror_put(&o->mirror, &r->kvs[i]) : 0;
        if (rc)
            return rc;
    }
    o->revision = r->revision;
    return 0;
}

static int list(struct observer *o, tn_ms now, struct tenure_error *err);

/* A list older than what was seen comes from a server that lags: it is asked for again. */
static void listed(struct observer *o, const struct client_result *r)
{
    struct tenure_error err = {0};
    bool again = r->code == TENURE_EUNAVAILABLE || r->code == TENURE_ETIMEOUT ||
                 (r->code == 0 && r->range->revision < o->revision);
    int rc = again ? list(o, client_now(o->client), &err) : r->code;
    if (rc) {
        observer_end(o, rc, again ? &err : r->error);
        return;
    }
    if (again)
        return;
    rc = take_list(o, r->range);
    if (rc) {
        end_with(o, rc);
        return;
    }
    watch(o);
    if (o->state == OBSERVER_WATCHING && !o->free_later)
        tell_leader(o);
}

static void on_listed(void *owner, const struct client_result *r)
{
    struct observer *o = owner;
    busy_begin(o);
    listed(o, r);
    busy_end(o);
}

static int list(struct observer *o, tn_ms now, struct tenure_error *err)
{
    struct range_req req = {
        .range = {o->queue.dir, o->queue.dir_end}, .sort_order = SORT_ASCEND, .sort_target = SORT_CREATE};
    return op_range(&o->op, o->client, &req, NULL, on_listed, o, now, err);
}

static void list_again(struct observer *o)
{
    struct tenure_error err = {0};
    observer_move(o, OBSERVER_LISTING);
    int rc = list(o, client_now(o->client), &err);
    if (rc)
        observer_end(o, rc, &err);
}

/* ---- life ---- */

static int observer_begin(struct observer *o, const char *prefix, const char *name, tn_ms now, struct tenure_error *err)
{
    char path[QUEUE_NAME_MAX + 1];
    size_t prefix_len = strlen(prefix);
    memcpy(path, prefix, prefix_len);
    memcpy(path + prefix_len, name, strlen(name) + 1);
    if (queue_init(&o->queue, path, NULL, 0))
        return error_set(err, TENURE_ENOMEM, "observe: out of memory");
    return list(o, now, err);
}

int observer_start(struct client *c, const char *name, const char *prefix, const struct observer_callbacks *cb,
                   void *user, tn_ms now, struct observer **ret, struct tenure_error *err)
{
    static const struct observer_callbacks silent;
    prefix = prefix ? prefix : "/election/";
    int rc = queue_check_name(prefix, name, err);
    if (rc)
        return error_wrap(err, "observe");
    struct observer *o = calloc(1, sizeof *o);
    if (!o)
        return error_set(err, TENURE_ENOMEM, "observe: out of memory");
    o->client = c;
    o->cb = cb ? *cb : silent;
    o->user = user;
    mirror_init(&o->mirror);
    rc = observer_begin(o, prefix, name, now, err);
    if (rc) {
        observer_stop(o, now);
        return rc;
    }
    *ret = o;
    return 0;
}

struct observer *observer_stop(struct observer *o, tn_ms now)
{
    if (!o)
        return NULL;
    stop_work(o, now);
    o->free_later = o->busy;
    if (o->busy)
        return NULL;
    mirror_fini(&o->mirror);
    queue_fini(&o->queue);
    free(o);
    return NULL;
}
