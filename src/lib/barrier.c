/* Barriers and latches: errands of src/recipes as waits of a handle. What the caller gives is borrowed: each begins before its
 * call returns. */
#include <tenure/barrier.h>

#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/view.h"
#include "lib/wait.h"
#include "recipes/barrier.h"
#include "recipes/latch.h"

typedef struct errand *(*barrier_begin)(struct client *c, const struct barrier_options *o, errand_done done, void *user,
                                        struct tenure_error *err);
typedef struct errand *(*latch_begin)(struct client *c, const struct latch_options *o, errand_done done, void *user,
                                      struct tenure_error *err);

struct barrier_call {
    tenure_wait wait;
    struct tenure_barrier_options o; /* its prefix: own_prefix */
    char *own_prefix;                /* on a view: with what its keys lie below; NULL = as in o */
    size_t root_len;
    const char *name;
    barrier_begin barrier; /* one of the two */
    latch_begin latch;
    int64_t n; /* of a latch */
    const char *who;
    struct tenure_latch_state state;
};

static struct barrier_call *call_of(tenure_wait *w)
{
    return CONTAINER_OF(w, struct barrier_call, wait);
}

static void call_free(tenure_wait *w)
{
    free(call_of(w)->own_prefix);
    free(call_of(w));
}

static void complete(tenure_wait *w)
{
    ((tenure_done_cb)w->cb)(w->user, w->code, w->code ? &w->error : NULL);
}

static void complete_latch(tenure_wait *w)
{
    ((tenure_latch_cb)w->cb)(w->user, w->code, w->code ? NULL : &call_of(w)->state, w->code ? &w->error : NULL);
}

/* ---- on the loop ---- */

static struct errand *begin_barrier(struct barrier_call *k, bytes value, struct tenure_error *err)
{
    struct barrier_options o = {.prefix = k->o.prefix,
                                .root_len = k->root_len,
                                .name = k->name,
                                .value = value,
                                .try_only = k->o.timeout_ms < 0,
                                .until = k->wait.until};
    return k->barrier(k->wait.handle->engine, &o, wait_done, &k->wait, err);
}

static struct errand *begin_latch(struct barrier_call *k, bytes value, struct tenure_error *err)
{
    struct latch_options o = {.prefix = k->o.prefix,
                              .root_len = k->root_len,
                              .name = k->name,
                              .id = k->who,
                              .n = k->n,
                              .value = value,
                              .try_only = k->o.timeout_ms < 0,
                              .until = k->wait.until};
    return k->latch(k->wait.handle->engine, &o, wait_done, &k->wait, err);
}

static struct errand *begin(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct barrier_call *k = call_of(w);
    (void)now;
    char *value = lock_value_new(k->o.purpose ? k->o.purpose : w->handle->purpose, handle_wall_ms(w->handle));
    if (!value) {
        error_set(err, TENURE_ENOMEM, "barrier: out of memory");
        return NULL;
    }
    struct errand *t = k->latch ? begin_latch(k, bytes_str(value), err) : begin_barrier(k, bytes_str(value), err);
    free(value);
    return t;
}

static bool latch_ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    struct latch_state s = latch_state(t);
    (void)now;
    call_of(w)->state = (struct tenure_latch_state){.arrived = s.arrived, .n = s.n, .open = s.open};
    return false;
}

static const struct wait_type barrier_type = {
    .what = "barrier", .begin = begin, .complete = complete, .free = call_free};
static const struct wait_type latch_type = {.what = "latch", .begin = begin, .complete = complete, .free = call_free};
static const struct wait_type latch_state_type = {
    .what = "latch", .begin = begin, .ended = latch_ended, .complete = complete_latch, .free = call_free};

/* ---- at the door ---- */

static struct barrier_call *call_new(tenure_client *c, bytes ns, const struct wait_type *type, bool is_wait,
                                     const char *name, const struct tenure_barrier_options *o, struct tenure_error *err)
{
    struct tenure_barrier_options own;
    if (!name || !name[0]) {
        error_set(err, TENURE_EINVALID, "%s: the name is empty", type->what);
        return NULL;
    }
    if (options_take(&own, sizeof own, o, type->what, err) < 0)
        return NULL;
    tenure_wait *w = wait_new(c, sizeof(struct barrier_call), type, own.timeout_ms, is_wait, err);
    if (!w)
        return NULL;
    struct barrier_call *k = call_of(w);
    k->o = own;
    k->name = name;
    if (ns.len == 0)
        return k;
    k->own_prefix = view_recipe_prefix(ns, own.prefix, type == &barrier_type ? "/barriers/" : "/latches/", err);
    k->o.prefix = k->own_prefix;
    k->root_len = ns.len;
    if (k->own_prefix)
        return k;
    wait_unref(w);
    return NULL;
}

/* The code of a call that could not be made. */
static int code_of(const struct tenure_error *err)
{
    return err->code ? err->code : TENURE_EINTERNAL;
}

static int block(struct barrier_call *k, struct tenure_latch_state *ret, struct tenure_error *err)
{
    if (!k)
        return code_of(err);
    int rc = wait_block(&k->wait, err);
    if (rc == 0 && ret)
        *ret = k->state;
    wait_unref(&k->wait);
    return rc;
}

#define OWN_ERROR(err)                                                                                                 \
    struct tenure_error own_error = {0};                                                                               \
    (err) = (err) ? (err) : &own_error

static int block_barrier(tenure_client *c, barrier_begin what, bool is_wait, const char *name,
                         const struct tenure_barrier_options *o, struct tenure_error *err)
{
    OWN_ERROR(err);
    bytes ns = view_of(&c);
    int rc = handle_enter_blocking(c, "barrier", err);
    if (rc < 0)
        return rc;
    struct barrier_call *k = call_new(c, ns, &barrier_type, is_wait, name, o, err);
    if (k)
        k->barrier = what;
    return block(k, NULL, err);
}

static tenure_wait *start_barrier(tenure_client *c, barrier_begin what, bool is_wait, const char *name,
                                  const struct tenure_barrier_options *o, tenure_done_cb cb, void *user,
                                  struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    if (!cb && is_wait) {
        error_set(err, TENURE_EINVALID, "barrier: nobody would hear of it");
        return NULL;
    }
    struct barrier_call *k = call_new(c, ns, &barrier_type, is_wait, name, o, err);
    if (!k)
        return NULL;
    k->barrier = what;
    return wait_begin(&k->wait, !is_wait, (void (*)(void))cb, user, err) == 0 ? &k->wait : NULL;
}

int tenure_barrier_hold(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                        struct tenure_error *err)
{
    return block_barrier(c, barrier_hold, false, name, o, err);
}

int tenure_barrier_release(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                           struct tenure_error *err)
{
    return block_barrier(c, barrier_release, false, name, o, err);
}

int tenure_barrier_wait(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                        struct tenure_error *err)
{
    return block_barrier(c, barrier_wait, true, name, o, err);
}

int tenure_barrier_hold_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                              tenure_done_cb cb, void *user, struct tenure_error *err)
{
    OWN_ERROR(err);
    return start_barrier(c, barrier_hold, false, name, o, cb, user, err) ? 0 : code_of(err);
}

int tenure_barrier_release_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                 tenure_done_cb cb, void *user, struct tenure_error *err)
{
    OWN_ERROR(err);
    return start_barrier(c, barrier_release, false, name, o, cb, user, err) ? 0 : code_of(err);
}

tenure_wait *tenure_barrier_wait_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                       tenure_done_cb cb, void *user, struct tenure_error *err)
{
    return start_barrier(c, barrier_wait, true, name, o, cb, user, err);
}

/* ---- latches ---- */

struct latch_call {
    latch_begin what;
    const struct wait_type *type;
    bool is_wait, is_look;
    int64_t n;
    const char *who;
};

static struct barrier_call *latch_new(tenure_client *c, bytes ns, const struct latch_call *l, const char *name,
                                      const struct tenure_barrier_options *o, struct tenure_error *err)
{
    struct barrier_call *k = call_new(c, ns, l->type, l->is_wait, name, o, err);
    if (!k)
        return NULL;
    k->latch = l->what;
    k->n = l->n;
    k->who = l->who;
    return k;
}

static int block_latch(tenure_client *c, const struct latch_call *l, const char *name,
                       const struct tenure_barrier_options *o, struct tenure_latch_state *ret, struct tenure_error *err)
{
    OWN_ERROR(err);
    bytes ns = view_of(&c);
    int rc = handle_enter_blocking(c, "latch", err);
    if (rc == 0 && l->is_look && !ret)
        rc = error_set(err, TENURE_EINVALID, "latch: there is nowhere to put how it stands");
    return rc < 0 ? rc : block(latch_new(c, ns, l, name, o, err), ret, err);
}

static tenure_wait *start_latch(tenure_client *c, const struct latch_call *l, const char *name,
                                const struct tenure_barrier_options *o, void (*cb)(void), void *user,
                                struct tenure_error *err)
{
    bytes ns = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    if (!cb && (l->is_wait || l->is_look)) {
        error_set(err, TENURE_EINVALID, "latch: nobody would hear of it");
        return NULL;
    }
    struct barrier_call *k = latch_new(c, ns, l, name, o, err);
    if (!k)
        return NULL;
    return wait_begin(&k->wait, !l->is_wait, cb, user, err) == 0 ? &k->wait : NULL;
}

static const struct latch_call look_call = {.what = latch_look, .type = &latch_state_type, .is_look = true};
static const struct latch_call wait_call = {.what = latch_wait, .type = &latch_type, .is_wait = true};
static const struct latch_call reset_call = {.what = latch_reset, .type = &latch_type};

int tenure_latch_arrive(tenure_client *c, const char *name, int64_t n, const char *who,
                        const struct tenure_barrier_options *o, struct tenure_latch_state *ret,
                        struct tenure_error *err)
{
    struct latch_call l = {.what = latch_arrive, .type = &latch_state_type, .n = n, .who = who};
    return block_latch(c, &l, name, o, ret, err);
}

int tenure_latch_wait(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                      struct tenure_error *err)
{
    return block_latch(c, &wait_call, name, o, NULL, err);
}

int tenure_latch_look(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                      struct tenure_latch_state *ret, struct tenure_error *err)
{
    return block_latch(c, &look_call, name, o, ret, err);
}

int tenure_latch_reset(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                       struct tenure_error *err)
{
    return block_latch(c, &reset_call, name, o, NULL, err);
}

int tenure_latch_arrive_start(tenure_client *c, const char *name, int64_t n, const char *who,
                              const struct tenure_barrier_options *o, tenure_latch_cb cb, void *user,
                              struct tenure_error *err)
{
    OWN_ERROR(err);
    struct latch_call l = {.what = latch_arrive, .type = &latch_state_type, .n = n, .who = who};
    return start_latch(c, &l, name, o, (void (*)(void))cb, user, err) ? 0 : code_of(err);
}

int tenure_latch_look_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                            tenure_latch_cb cb, void *user, struct tenure_error *err)
{
    OWN_ERROR(err);
    return start_latch(c, &look_call, name, o, (void (*)(void))cb, user, err) ? 0 : code_of(err);
}

int tenure_latch_reset_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                             tenure_done_cb cb, void *user, struct tenure_error *err)
{
    OWN_ERROR(err);
    return start_latch(c, &reset_call, name, o, (void (*)(void))cb, user, err) ? 0 : code_of(err);
}

tenure_wait *tenure_latch_wait_start(tenure_client *c, const char *name, const struct tenure_barrier_options *o,
                                     tenure_done_cb cb, void *user, struct tenure_error *err)
{
    return start_latch(c, &wait_call, name, o, (void (*)(void))cb, user, err);
}
