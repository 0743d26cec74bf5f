/* The engine as an object of its handle: it lives as long as that, and a close waits until its lease is revoked. */
#include "lib/exact.h"

#include <stdlib.h>

#include "recipes/exact.h"

struct lib_exact {
    struct object object;
    struct exact *engine;
    bool is_closing, is_over;
};

static struct lib_exact *exact_of(const struct object *o)
{
    return CONTAINER_OF(o, struct lib_exact, object);
}

static void on_revoked(void *user)
{
    struct lib_exact *x = user;
    x->is_over = true;
    object_changed(&x->object);
}

static void exact_object_close(struct object *o, tn_ms now)
{
    struct lib_exact *x = exact_of(o);
    if (x->is_closing)
        return;
    x->is_closing = true;
    x->object.handle->exact = NULL;
    exact_close(x->engine, on_revoked, x, now);
}

static void exact_object_abort(struct object *o, tn_ms now)
{
    (void)now;
    on_revoked(exact_of(o));
}

/* Its calls end by the engine's end, which comes last. */
static bool is_over(const struct object *o)
{
    return exact_of(o)->is_over && !exact_busy(exact_of(o)->engine);
}

static void exact_object_free(struct object *o)
{
    struct lib_exact *x = exact_of(o);
    exact_free(x->engine);
    free(x);
}

static const struct object_type exact_type = {
    .close = exact_object_close,
    .abort = exact_object_abort,
    .is_over = is_over,
    .free = exact_object_free,
};

static struct lib_exact *exact_of_handle(tenure_client *c)
{
    if (c->exact)
        return c->exact;
    struct lib_exact *x = calloc(1, sizeof *x);
    if (!x || !(x->engine = exact_new(c->engine, c->marks_prefix, 0))) {
        free(x);
        return NULL;
    }
    object_init(&x->object, c, &exact_type);
    c->exact = x;
    return x;
}

static void on_ended(void *user, const struct client_result *r, bool complete)
{
    struct ask *k = user;
    k->a = !complete;
    ask_ended(k, r);
}

int lib_exact_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct lib_exact *x = exact_of_handle(k->handle);
    if (!x)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    return exact_txn(x->engine, k->req.txn, opt->timeout_ms, on_ended, k, now, err) ? 0 : err->code;
}
