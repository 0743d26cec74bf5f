/* What calls have in common, a trace: a few texts and a pointer, counted. */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "client/client.h"

struct client_context {
    atomic_uint refs;
    const char *traceparent, *tracestate; /* in the memory behind; NULL = none */
    void *user;
    void (*user_free)(void *user);
    struct client_context *lender; /* counted: whose user it is; NULL = it is its own */
    char memory[];
};

static const char *keep(char **at, const char *s)
{
    if (!s)
        return NULL;
    size_t size = strlen(s) + 1;
    const char *copy = memcpy(*at, s, size);
    *at += size;
    return copy;
}

struct client_context *client_context_new(const char *traceparent, const char *tracestate, void *user,
                                          void (*user_free)(void *user))
{
    size_t size = (traceparent ? strlen(traceparent) + 1 : 0) + (tracestate ? strlen(tracestate) + 1 : 0);
    struct client_context *x = malloc(sizeof *x + size);
    if (!x)
        return NULL;
    char *at = x->memory;
    atomic_init(&x->refs, 1);
    x->traceparent = keep(&at, traceparent);
    x->tracestate = keep(&at, tracestate);
    x->user = user;
    x->user_free = user_free;
    x->lender = NULL;
    return x;
}

void client_context_borrow_user(struct client_context *x, struct client_context *from)
{
    x->lender = client_context_ref(from);
    x->user = from->user;
}

struct client_context *client_context_ref(struct client_context *x)
{
    if (x)
        atomic_fetch_add(&x->refs, 1);
    return x;
}

struct client_context *client_context_unref(struct client_context *x)
{
    if (!x || atomic_fetch_sub(&x->refs, 1) > 1)
        return NULL;
    struct client_context *lender = x->lender;
    if (x->user_free)
        x->user_free(x->user);
    free(x);
    return client_context_unref(lender);
}

const char *client_context_traceparent(const struct client_context *x)
{
    return x ? x->traceparent : NULL;
}

const char *client_context_tracestate(const struct client_context *x)
{
    return x ? x->tracestate : NULL;
}

void *client_context_user(const struct client_context *x)
{
    return x ? x->user : NULL;
}
