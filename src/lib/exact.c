/* The engine as an object of its handle: it lives as long as that, and a close waits until its lease is revoked. */
#include "lib/exact.h"

#include <stdlib.h>

#include "recipes/exact.h"

#define EXACTS_MAX 32 /* idle ones; those that are busy are not counted out */

struct lib_exact {
    struct object object;
    struct list in_exacts; /* of the handle, until it closes */
    struct exact *engine;
    bool is_closing, is_over;
    size_t prefix_len;
    char prefix[];
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
    list_remove(&x->in_exacts);
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
    list_remove(&x->in_exacts);
    exact_free(x->engine);
    free(x);
}

static const struct object_type exact_type = {
    .close = exact_object_close,
    .abort = exact_object_abort,
    .is_over = is_over,
    .free = exact_object_free,
};

/* The marks of a namespace lie in it. */
static struct lib_exact *find(tenure_client *c, bytes ns, bytes marks)
{
    LIST_FOREACH(it, &c->exacts)
    {
        struct lib_exact *x = LIST_ENTRY(it, struct lib_exact, in_exacts);
        bytes prefix = bytes_of(x->prefix, x->prefix_len);
        if (prefix.len == ns.len + marks.len && bytes_has_prefix(prefix, ns) &&
            memcmp(prefix.data + ns.len, marks.data, marks.len) == 0)
            return x;
    }
    return NULL;
}

/* A lease for each of many namespaces would be renewed for ever: the one that was made first and does nothing goes. */
static void make_room(tenure_client *c, tn_ms now)
{
    size_t n = 0;
    struct lib_exact *idle = NULL;
    LIST_FOREACH(it, &c->exacts)
    {
        struct lib_exact *x = LIST_ENTRY(it, struct lib_exact, in_exacts);
        n++;
        if (!idle && !exact_busy(x->engine))
            idle = x;
    }
    if (n >= EXACTS_MAX && idle)
        exact_object_close(&idle->object, now);
}

static struct lib_exact *exact_below(tenure_client *c, bytes ns, tn_ms now)
{
    bytes marks = bytes_str(c->marks_prefix ? c->marks_prefix : EXACT_PREFIX);
    struct lib_exact *x = find(c, ns, marks);
    if (x)
        return x;
    make_room(c, now);
    x = calloc(1, sizeof *x + ns.len + marks.len + 1);
    if (!x)
        return NULL;
    if (ns.len > 0)
        memcpy(x->prefix, ns.data, ns.len);
    memcpy(x->prefix + ns.len, marks.data, marks.len);
    x->prefix_len = ns.len + marks.len;
    x->engine = exact_new(c->engine, x->prefix, 0);
    if (!x->engine) {
        free(x);
        return NULL;
    }
    object_init(&x->object, c, &exact_type);
    list_push_back(&c->exacts, &x->in_exacts);
    return x;
}

static void on_ended(void *user, const struct client_result *r, bool complete)
{
    struct ask *k = user;
    k->req.txn.call = NULL;
    k->a = !complete;
    ask_ended(k, r);
}

int lib_exact_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct lib_exact *x = exact_below(k->handle, k->ns, now);
    if (!x)
        return error_set(err, TENURE_ENOMEM, "txn: out of memory");
    k->req.txn.call = exact_txn(x->engine, k->req.txn.txn, opt->timeout_ms, on_ended, k, now, err);
    return k->req.txn.call ? 0 : err->code;
}

void lib_exact_cancel(struct ask *k, tn_ms now)
{
    if (k->req.txn.call)
        exact_cancel(k->req.txn.call, now);
}
