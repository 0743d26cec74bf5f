/* See replica.h. Waits are in one list until they are met; those that have ended are in another one, from which they are told one
 * by one, so that a callback may begin and cancel others. */
#include "recipes/replica.h"

#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"

enum { RETRY_MIN_MS = 10, RETRY_MAX_MS = 1000 };

struct replica {
    struct client *client;
    struct replica_callbacks cb;
    void *user;
    struct view *view;
    struct key_range range; /* owned, behind the struct */
    int64_t check_ms;
    bool broken_from_receipt;

    tn_ms checked_at;     /* when the newest check that was answered was sent */
    struct op *op;        /* the check under way */
    uint64_t checks;      /* begun; the one under way has this number */
    uint64_t checks_done; /* the newest one that was answered well */
    tn_rev since;         /* what the check under way asked for */
    struct behind {       /* a check that only the watch can catch up with; revision 0 = none */
        tn_rev revision;
        tn_ms sent_at;
        uint64_t check;
    } behind;
    tn_ms retry_at; /* no check before */
    struct backoff backoff;
    struct rng rng;

    struct list waits, ended;
    struct heap timers;
    int code; /* of its end */
    struct tenure_error why;
    unsigned busy;
    bool has_ended, stop_later;
    uint8_t data[];
};

/* ---- telling ---- */

static struct replica_wait *wait_of(struct list *l)
{
    return LIST_ENTRY(l, struct replica_wait, in_replica);
}

static void end_wait(struct replica *r, struct replica_wait *w, int code, const struct tenure_error *error)
{
    w->code = code;
    if (error)
        w->error = *error;
    else
        error_set(&w->error, code, "%s", tenure_error_string(code));
    heap_remove(&r->timers, &w->timer);
    list_remove(&w->in_replica);
    list_push_back(&r->ended, &w->in_replica);
}

static void time_is_over(struct replica *r, struct replica_wait *w)
{
    struct tenure_error why;
    op_timeout_error(r->client, &why);
    end_wait(r, w, TENURE_ETIMEOUT, &why);
}

static void release(struct replica *r)
{
    heap_fini(&r->timers);
    free(r);
}

static void tell_ended(struct replica *r)
{
    while (!r->stop_later && !list_empty(&r->ended)) {
        struct replica_wait *w = wait_of(r->ended.next);
        struct tenure_error error = w->error;
        list_remove(&w->in_replica);
        w->replica = NULL;
        w->done(w->user, w->code, w->code ? &error : NULL);
    }
}

static void check(struct replica *r, tn_ms now);

/* The last act of whoever was called: asks what is to be asked, tells who has to be told, and goes, if it was stopped meanwhile. */
static void leave(struct replica *r)
{
    if (r->busy == 1 && !r->stop_later)
        check(r, client_now(r->client));
    if (r->busy == 1)
        tell_ended(r);
    if (--r->busy == 0 && r->stop_later)
        release(r);
}

/* ---- what is needed ---- */

static bool is_there(const struct replica *r)
{
    return r->view && view_revision(r->view) > 0;
}

bool replica_meets(const struct replica *r, const struct replica_need *need)
{
    return is_there(r) && !need->asked && replica_revision(r) >= need->revision && replica_current_at(r) >= need->since;
}

static bool is_met(const struct replica *r, const struct replica_wait *w)
{
    struct replica_need need = w->need;
    need.asked = need.asked && r->checks_done < w->check;
    return replica_meets(r, &need);
}

static void end_those_met(struct replica *r)
{
    LIST_FOREACH_SAFE(it, &r->waits)
    {
        if (is_met(r, wait_of(it)))
            end_wait(r, wait_of(it), 0, &(struct tenure_error){0});
    }
}

static void end_all(struct replica *r, int code, const struct tenure_error *error)
{
    while (!list_empty(&r->waits))
        end_wait(r, wait_of(r->waits.next), code, error);
}

/* ---- checks ---- */

static tn_ms check_at(const struct replica *r)
{
    if (r->op || !is_there(r) || r->has_ended)
        return TN_MS_NEVER;
    tn_ms at = TN_MS_NEVER;
    if (!list_empty(&r->waits))
        at = 0;
    else if (r->check_ms)
        at = replica_current_at(r) + r->check_ms;
    return at < r->retry_at ? r->retry_at : at;
}

static void check_later(struct replica *r)
{
    r->retry_at = client_now(r->client) + backoff_failure(&r->backoff, &r->rng);
}

static void on_check_failed(struct replica *r, const struct client_result *result)
{
    struct tenure_error why = *result->error;
    check_later(r);
    if (!op_may_retry(result))
        end_all(r, result->code, &why);
}

/* They have been asked for by this one, and the servers are not there. */
static void end_those_of_the_future(struct replica *r, tn_rev revision)
{
    struct tenure_error why;
    LIST_FOREACH_SAFE(it, &r->waits)
    {
        struct replica_wait *w = wait_of(it);
        if (w->need.revision > revision && w->check <= r->checks_done)
            end_wait(r, w,
                     error_set(&why, TENURE_EFUTURE, "revision %lld is in the future: the servers are at %lld",
                               (long long)w->need.revision, (long long)revision),
                     &why);
    }
}

/* What it was answered with includes deletes, so the watch has to bring them. The first one is kept until then: if each took the place
 * of the one before, a watch that is always behind by more than a check takes would never catch up. */
static void note_behind(struct replica *r, tn_ms sent_at, tn_rev revision)
{
    if (!r->behind.revision)
        r->behind = (struct behind){revision, sent_at, r->checks};
    check_later(r);
}

static void answered(struct replica *r, tn_ms sent_at, uint64_t check)
{
    backoff_success(&r->backoff);
    r->retry_at = 0;
    if (r->checks_done < check)
        r->checks_done = check;
    if (r->checked_at < sent_at)
        r->checked_at = sent_at;
}

static void catch_up(struct replica *r)
{
    struct behind b = r->behind;
    if (!b.revision || view_revision(r->view) < b.revision)
        return;
    r->behind.revision = 0;
    answered(r, b.sent_at, b.check);
}

static void on_check_came(struct replica *r, tn_ms sent_at, const struct range_resp *range)
{
    tn_rev revision = range->revision;
    if (revision < r->since) {
        check_later(r);
        return;
    }
    int rc = view_learn(r->view, range);
    if (r->stop_later || r->has_ended)
        return;
    if (rc) {
        note_behind(r, sent_at, revision);
        return;
    }
    answered(r, sent_at, r->checks);
    end_those_met(r);
    end_those_of_the_future(r, revision);
    if (r->cb.on_checked)
        r->cb.on_checked(r->user);
}

static void on_check(void *owner, const struct client_result *result)
{
    struct replica *r = owner;
    r->busy++;
    if (result->code)
        on_check_failed(r, result);
    else
        on_check_came(r, r->broken_from_receipt ? client_now(r->client) : result->sent_at, result->range);
    leave(r);
}

static void check(struct replica *r, tn_ms now)
{
    if (check_at(r) > now)
        return;
    r->since = view_revision(r->view);
    struct range_req req = {.range = r->range, .min_mod_revision = r->since + 1};
    if (op_range(&r->op, r->client, &req, NULL, on_check, r, now, NULL))
        check_later(r);
    else
        r->checks++;
}

/* ---- what the view says ---- */

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    struct replica *r = user;
    r->busy++;
    catch_up(r);
    if (!r->stop_later)
        r->cb.on_change(r->user, revision, changes, n);
    if (!r->stop_later)
        end_those_met(r);
    leave(r);
}

static void on_view_end(void *user, int code, const struct tenure_error *error)
{
    struct replica *r = user;
    r->busy++;
    r->has_ended = true;
    r->code = code;
    r->why = *error;
    op_drop(&r->op, client_now(r->client));
    end_all(r, code, error);
    if (!r->stop_later)
        r->cb.on_end(r->user, code, &r->why);
    leave(r);
}

/* ---- waiting ---- */

int replica_wait(struct replica *r, struct replica_wait *w, const struct replica_need *need, tn_ms until,
                 replica_done done, void *user, tn_ms now, struct tenure_error *err)
{
    *w = (struct replica_wait){.replica = r, .need = *need, .check = r->checks + 1, .done = done, .user = user};
    list_init(&w->in_replica);
    heap_node_init(&w->timer);
    if (heap_insert(&r->timers, &w->timer, until))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    list_push_back(&r->waits, &w->in_replica);
    if (r->has_ended)
        end_wait(r, w, r->code, &r->why);
    else if (is_met(r, w))
        end_wait(r, w, 0, &(struct tenure_error){0});
    else
        check(r, now);
    return 0;
}

void replica_cancel(struct replica_wait *w)
{
    if (w->replica && heap_contains(&w->timer))
        end_wait(w->replica, w, TENURE_ECANCELLED, NULL);
}

void replica_cancel_all(struct replica *r, int code)
{
    end_all(r, code, NULL);
}

static void learn_write(struct replica *r, tn_rev revision, const struct kv *kv, tn_ms began)
{
    struct kv copy = *kv;
    struct range_resp range = {.revision = revision, .kvs = &copy, .n_kvs = kv->version > 0, .count = kv->version > 0};
    if (view_learn(r->view, &range) || r->stop_later || r->has_ended)
        return;
    if (r->checked_at < began)
        r->checked_at = began;
    end_those_met(r);
}

void replica_wrote(struct replica *r, tn_rev revision, const struct kv *kv, tn_ms began)
{
    if (!is_there(r) || r->has_ended || !key_range_is_single(r->range))
        return;
    r->busy++;
    learn_write(r, revision, kv, began);
    leave(r);
}

/* ---- time ---- */

tn_ms replica_deadline(const struct replica *r)
{
    const struct heap_node *first = heap_first(&r->timers);
    tn_ms at = view_deadline(r->view), due = check_at(r);
    at = due < at ? due : at;
    at = first && first->at < at ? first->at : at;
    return list_empty(&r->ended) ? at : 0;
}

void replica_tick(struct replica *r, tn_ms now)
{
    struct heap_node *first;
    r->busy++;
    if (!r->has_ended)
        view_tick(r->view, now);
    while ((first = heap_first(&r->timers)) && first->at <= now)
        time_is_over(r, CONTAINER_OF(first, struct replica_wait, timer));
    leave(r);
}

/* ---- life ---- */

static struct replica *replica_new(struct client *c, const struct replica_options *o)
{
    struct key_range range = o->range;
    struct replica *r = calloc(1, sizeof *r + range.key.len + range.range_end.len);
    if (!r)
        return NULL;
    r->client = c;
    r->check_ms = o->check_ms;
    r->broken_from_receipt = o->broken_from_receipt;
    r->range =
        (struct key_range){bytes_of(r->data, range.key.len), bytes_of(r->data + range.key.len, range.range_end.len)};
    if (range.key.len)
        memcpy(r->data, range.key.data, range.key.len);
    if (range.range_end.len)
        memcpy(r->data + range.key.len, range.range_end.data, range.range_end.len);
    list_init(&r->waits);
    list_init(&r->ended);
    heap_init(&r->timers);
    backoff_init(&r->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&r->rng, client_random(c));
    return r;
}

int replica_start(struct client *c, const struct replica_options *o, const struct replica_callbacks *cb, void *user,
                  tn_ms now, struct replica **ret, struct tenure_error *err)
{
    static const struct view_callbacks view_cb = {.on_change = on_change, .on_end = on_view_end};
    struct replica *r = replica_new(c, o);
    if (!r)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    r->cb = *cb;
    r->user = user;
    int rc = view_start(c, r->range, &view_cb, r, now, &r->view, err);
    if (rc) {
        release(r);
        return rc;
    }
    view_limit(r->view, o->keys_max, o->bytes_max);
    *ret = r;
    return 0;
}

static void forget(struct list *waits)
{
    while (!list_empty(waits)) {
        struct replica_wait *w = wait_of(waits->next);
        list_remove(&w->in_replica);
        heap_node_init(&w->timer);
        w->replica = NULL;
    }
}

struct replica *replica_stop(struct replica *r, tn_ms now)
{
    if (!r || r->stop_later)
        return NULL;
    op_drop(&r->op, now);
    r->view = view_stop(r->view, now);
    forget(&r->waits);
    forget(&r->ended);
    r->stop_later = true;
    if (r->busy == 0)
        release(r);
    return NULL;
}

/* ---- the copy ---- */

tn_rev replica_revision(const struct replica *r)
{
    return r->view ? view_revision(r->view) : 0;
}

tn_ms replica_current_at(const struct replica *r)
{
    tn_ms listed_at = r->view ? view_listed_at(r->view) : 0;
    return r->checked_at > listed_at ? r->checked_at : listed_at;
}

size_t replica_count(const struct replica *r)
{
    return view_count(r->view);
}

const struct kv *replica_at(const struct replica *r, size_t i)
{
    return view_at(r->view, i);
}

const struct kv *replica_find(const struct replica *r, bytes key)
{
    return view_find(r->view, key);
}
