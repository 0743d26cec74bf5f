/* Latches; see latch.h. The count is a key of its own, changed by compare and swap, so that the arrival that makes it full
 * opens the latch in the same revision: nobody has to notice it later. */
#include "recipes/latch.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "recipes/queue.h"
#include "recipes/recent.h"

enum { ID_MAX = 256 };

struct latch_errand {
    struct errand errand;
    bool try_only, broken_uncounted, broken_blind;
    int64_t n;
    struct latch_state state;
    struct recent request; /* (arrive) */
    tn_rev first_create;   /* (reset) of the count when it was first seen; 0 = not seen yet */
    bytes dir, dir_end, own, count, open, mark, value;
    uint8_t data[];
};

static struct latch_errand *latch_of(struct errand *t)
{
    return CONTAINER_OF(t, struct latch_errand, errand);
}

static void latch_free(struct errand *t)
{
    free(latch_of(t));
}

struct latch_state latch_state(const struct errand *t)
{
    return latch_of((struct errand *)t)->state;
}

/* ---- what stands there ---- */

/* "3/5". Anything else is somebody's own writing. */
static bool parse_count(bytes value, int64_t *ret_arrived, int64_t *ret_n)
{
    char text[48];
    int used = 0;
    if (value.len >= sizeof text)
        return false;
    memcpy(text, value.data ? (const char *)value.data : "", value.len);
    text[value.len] = 0;
    return sscanf(text, "%" SCNd64 "/%" SCNd64 "%n", ret_arrived, ret_n, &used) == 2 && (size_t)used == value.len &&
           *ret_arrived > 0 && *ret_n > 0;
}

/* The ranges from `at` on are count, open, and the own arrival where `own` is not NULL. false: the errand has ended. */
static bool read_state(struct errand *t, const struct txn_resp *r, size_t at, const struct range_resp **count,
                       const struct range_resp **own, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    const struct range_resp *open, *ignored;
    if (!errand_range_at(r, at, count) || !errand_range_at(r, at + 1, &open) ||
        !errand_range_at(r, at + 2, own ? own : &ignored)) {
        errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a request about a latch is not one");
        return false;
    }
    l->state = (struct latch_state){.open = open->n_kvs > 0};
    if ((*count)->n_kvs && !parse_count((*count)->kvs[0].value, &l->state.arrived, &l->state.n)) {
        errand_fail(t, now, TENURE_ECORRUPT, "the count of the latch is '%.*s'",
                    (int)((*count)->kvs[0].value.len < 40 ? (*count)->kvs[0].value.len : 40),
                    (const char *)(*count)->kvs[0].value.data);
        return false;
    }
    return true;
}

static void add_reads(const struct latch_errand *l, struct errand_request *q,
                      void (*add)(struct errand_request *, const struct range_req *))
{
    struct range_req count = {.range.key = l->count}, open = {.range.key = l->open, .keys_only = true},
                     own = {.range.key = l->own, .keys_only = true};
    add(q, &count);
    add(q, &open);
    add(q, &own);
}

static void look(struct errand *t, errand_answer answer, tn_ms now)
{
    struct errand_request q;
    request_begin(&q);
    add_reads(latch_of(t), &q, request_then_get);
    errand_txn(t, &q.req, false, answer, now);
}

/* ---- arrive ---- */

static void on_arrived(struct errand *t, const struct client_result *r, tn_ms now);

static bytes value_of(const struct range_resp *r)
{
    return r->n_kvs ? r->kvs[0].value : bytes_of(NULL, 0);
}

static void arrive(struct errand *t, tn_rev count, const struct range_resp *mark, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    struct errand_request q;
    struct range_req marked = {.range.key = l->mark};
    char text[48], n[24], moved[RECENT_VALUE_MAX];
    snprintf(text, sizeof text, "%" PRId64 "/%" PRId64, l->state.arrived + 1, l->n);
    snprintf(n, sizeof n, "%" PRId64, l->n);
    request_begin(&q);
    request_if(&q, key_only(l->own), COMPARE_CREATE, COMPARE_EQUAL, 0);
    if (!l->broken_uncounted)
        request_if(&q, key_only(l->count), COMPARE_MOD, COMPARE_EQUAL, count);
    request_if(&q, key_only(l->mark), COMPARE_MOD, COMPARE_EQUAL, errand_mod_of(mark));
    request_then_put(&q, l->own, l->value, 0);
    request_then_put(&q, l->count, bytes_str(text), 0);
    if (l->state.arrived + 1 >= l->n)
        request_then_put(&q, l->open, bytes_str(n), 0);
    request_then_put(&q, l->mark, recent_send(&l->request, value_of(mark), moved), 0);
    add_reads(l, &q, request_else_get);
    request_else_get(&q, &marked);
    errand_txn(t, &q.req, true, on_arrived, now);
}

/* It was not counted by this answer: it was before, or need not be, or must be tried on the count as it is now. */
static void go_on(struct errand *t, const struct txn_resp *r, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    const struct range_resp *count, *own, *mark;
    if (!errand_range_at(r, 3, &mark)) {
        errand_fail(t, now, TENURE_EPROTOCOL, "the answer to a request about a latch is not one");
        return;
    }
    if (!read_state(t, r, 0, &count, &own, now))
        return;
    if (recent_done(&l->request, value_of(mark))) {
        errand_end(t, 0, NULL, now); /* by an earlier copy of the request, perhaps before a reset */
    } else if (!recent_covers(&l->request, value_of(mark))) {
        t->maybe = true;
        errand_fail(t, now, TENURE_EUNAVAILABLE, "too many have arrived since for it to be known");
    } else if (count->n_kvs && l->state.n != l->n) {
        errand_fail(t, now, TENURE_ECONFLICT, "the latch opens at %" PRId64 " arrivals, not at %" PRId64, l->state.n,
                    l->n);
    } else if (own->n_kvs || l->state.open) {
        errand_end(t, 0, NULL, now);
    } else {
        arrive(t, errand_mod_of(count), mark, now);
    }
}

static void on_arrived(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    if (!r->txn->succeeded) {
        go_on(t, r->txn, now);
        return;
    }
    l->state.arrived++;
    l->state.n = l->n;
    l->state.open = l->state.arrived >= l->n;
    errand_end(t, 0, NULL, now);
}

static void on_arrive_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    go_on(t, r->txn, now);
}

static void arrive_step(struct errand *t, tn_ms now)
{
    struct errand_request q;
    struct range_req mark = {.range.key = latch_of(t)->mark};
    request_begin(&q);
    add_reads(latch_of(t), &q, request_then_get);
    request_then_get(&q, &mark);
    errand_txn(t, &q.req, false, on_arrive_looked, now);
}

/* ---- look, wait ---- */

static void on_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    const struct range_resp *count;
    if (read_state(t, r->txn, 0, &count, NULL, now))
        errand_end(t, 0, NULL, now);
}

static void look_step(struct errand *t, tn_ms now)
{
    look(t, on_looked, now);
}

static void on_wait_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    const struct range_resp *count;
    if (!read_state(t, r->txn, 0, &count, NULL, now))
        return;
    if (l->state.open || l->broken_blind)
        errand_end(t, 0, NULL, now);
    else if (l->try_only)
        errand_fail(t, now, TENURE_EBUSY, "%" PRId64 " of %" PRId64 " have arrived", l->state.arrived, l->state.n);
    else
        errand_watch(t, key_only(l->open), r->txn->revision, false, true, now);
}

static void wait_step(struct errand *t, tn_ms now)
{
    look(t, on_wait_looked, now);
}

static void on_wait_events(struct errand *t, const struct client_watch_events *e, tn_ms now)
{
    (void)e;
    latch_of(t)->state.open = true;
    errand_end(t, 0, NULL, now);
}

/* ---- reset ---- */

static void reset_step(struct errand *t, tn_ms now);

static void on_reset(struct errand *t, const struct client_result *r, tn_ms now)
{
    if (r->txn->succeeded)
        errand_end(t, 0, NULL, now);
    else
        reset_step(t, now); /* somebody has arrived meanwhile, or it was reset already */
}

/* A count that was made anew is the next round's: this one was reset. */
static void on_reset_looked(struct errand *t, const struct client_result *r, tn_ms now)
{
    struct latch_errand *l = latch_of(t);
    const struct range_resp *count = r->range;
    tn_rev create = count->n_kvs ? count->kvs[0].create_revision : 0;
    struct errand_request q;
    if (create == 0 || (l->first_create && create != l->first_create)) {
        errand_end(t, 0, NULL, now);
        return;
    }
    l->first_create = create;
    request_begin(&q);
    request_if(&q, key_only(l->count), COMPARE_MOD, COMPARE_EQUAL, errand_mod_of(count));
    request_then_delete(&q, (struct key_range){l->dir, l->dir_end});
    errand_txn(t, &q.req, true, on_reset, now);
}

static void reset_step(struct errand *t, tn_ms now)
{
    struct range_req count = {.range.key = latch_of(t)->count};
    errand_range(t, &count, on_reset_looked, now);
}

/* ---- making one ---- */

static const struct errand_type arrive_type = {.step = arrive_step, .free = latch_free};
static const struct errand_type wait_type = {.step = wait_step, .on_events = on_wait_events, .free = latch_free};
static const struct errand_type look_type = {.step = look_step, .free = latch_free};
static const struct errand_type reset_type = {.step = reset_step, .free = latch_free};

static void lay_out(struct latch_errand *l, const char *prefix, const struct latch_options *o, const char *id)
{
    uint8_t *at = l->data;
    l->dir = errand_place(&at, prefix, o->name, "/");
    l->count = errand_place(&at, prefix, o->name, "/count");
    l->open = errand_place(&at, prefix, o->name, "/open");
    l->own = errand_place(&at, prefix, o->name, "/arrivals/");
    l->own.len += errand_place(&at, id, "", "").len;
    l->mark = bytes_of(at, errand_bare_prefix(prefix, o->root_len));
    if (l->mark.len)
        memcpy(at, prefix, l->mark.len);
    at += l->mark.len;
    l->mark.len += errand_place(&at, ".marks/", o->name, "").len;
    l->value = bytes_of(at, o->value.len);
    if (o->value.len)
        memcpy(at, o->value.data, o->value.len);
    at += o->value.len;
    l->dir_end = bytes_of(at, bytes_prefix_end(l->dir, at));
    l->n = o->n;
    l->try_only = o->try_only;
    l->broken_uncounted = o->broken_uncounted;
    l->broken_blind = o->broken_blind;
}

static int check(const struct errand_type *type, const char *prefix, const struct latch_options *o,
                 struct tenure_error *err)
{
    if (queue_check_name(prefix, o->name, err))
        return error_wrap(err, "latch");
    if (type == &arrive_type && o->n < 1)
        return error_set(err, TENURE_EINVALID, "latch: it opens at %" PRId64 " arrivals, which must be 1 at least",
                         o->n);
    if (o->id && (!o->id[0] || strlen(o->id) > ID_MAX))
        return error_set(err, TENURE_EINVALID, "latch: who arrives must have a name of 1 to %d bytes", ID_MAX);
    return 0;
}

static struct errand *latch_new(struct client *c, const struct errand_type *type, const struct latch_options *o,
                                errand_done done, void *user, struct tenure_error *err)
{
    const char *prefix = o->prefix ? o->prefix : "/latches/";
    char drawn[17];
    if (check(type, prefix, o, err))
        return NULL;
    size_t dir_len = strlen(prefix) + strlen(o->name) + 1;
    struct latch_errand *l =
        calloc(1, sizeof *l + 6 * dir_len + sizeof "count/open/arrivals/.marks/" + ID_MAX + o->value.len);
    if (!l) {
        error_set(err, TENURE_ENOMEM, "latch: out of memory");
        return NULL;
    }
    errand_init(&l->errand, type, c, o->until, done, user);
    snprintf(drawn, sizeof drawn, "%016" PRIx64, client_random(c));
    snprintf(l->request.id, sizeof l->request.id, "%016" PRIx64, client_random(c));
    lay_out(l, prefix, o, o->id ? o->id : drawn);
    return &l->errand;
}

struct errand *latch_arrive(struct client *c, const struct latch_options *o, errand_done done, void *user,
                            struct tenure_error *err)
{
    return latch_new(c, &arrive_type, o, done, user, err);
}

struct errand *latch_wait(struct client *c, const struct latch_options *o, errand_done done, void *user,
                          struct tenure_error *err)
{
    return latch_new(c, &wait_type, o, done, user, err);
}

struct errand *latch_look(struct client *c, const struct latch_options *o, errand_done done, void *user,
                          struct tenure_error *err)
{
    return latch_new(c, &look_type, o, done, user, err);
}

struct errand *latch_reset(struct client *c, const struct latch_options *o, errand_done done, void *user,
                           struct tenure_error *err)
{
    return latch_new(c, &reset_type, o, done, user, err);
}
