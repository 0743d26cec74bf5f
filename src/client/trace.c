/* What calls have in common, a trace, and the events of those who watch them. */
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "client/internal.h"

struct client_context {
    atomic_uint refs;
    const char *traceparent, *tracestate; /* in the memory behind; NULL = none */
    void *user;
    void (*user_free)(void *user);
    struct client_context *lender; /* counted: whose user it is; NULL = it is its own */
    char memory[];
};

/* ---- contexts ---- */

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

struct client_context *client_context_use(struct client *c, struct client_context *x)
{
    struct client_context *before = c->context;
    c->context = x;
    return before;
}

struct client_context *client_context_now(const struct client *c)
{
    return c->context;
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

/* ---- events ---- */

static struct client_event event_of(const struct client *c, enum client_event_kind kind, struct client_call *call)
{
    struct call_trace *t = &call->trace;
    return (struct client_event){
        .kind = kind,
        .call = t->number,
        .method = call->kind->path,
        .endpoint = t->tries > 0 ? c->endpoints[t->endpoint].url : NULL,
        .tries = t->tries,
        .by_program = t->by_program,
        .grpc_status = -1,
        .text = "",
        .context = call->context,
        .call_mark = &t->call_mark,
        .try_mark = &t->try_mark,
    };
}

static void tell(const struct client *c, const struct client_event *e)
{
    c->on_event(c->on_event_user, e);
}

void trace_call_begin(struct client *c, struct client_call *call)
{
    call->trace.number = ++c->last_call;
    struct client_event e = event_of(c, CLIENT_CALL_BEGIN, call);
    tell(c, &e);
}

void trace_try_begin(struct client *c, struct client_call *call)
{
    struct call_trace *t = &call->trace;
    t->tries++;
    t->endpoint = call->stream.conn->endpoint;
    t->try_in = 0;
    t->try_mark = 0;
    t->try_out = call->request.len;
    t->bytes_out += t->try_out;
    struct client_event e = event_of(c, CLIENT_TRY_BEGIN, call);
    e.bytes_out = t->try_out;
    tell(c, &e);
}

void trace_try_end(struct client *c, struct client_call *call)
{
    struct call_trace *t = &call->trace;
    struct client_event e = event_of(c, CLIENT_TRY_END, call);
    t->bytes_in += t->try_in;
    e.bytes_out = t->try_out;
    e.bytes_in = t->try_in;
    e.code = t->code;
    e.grpc_status = t->grpc_status;
    e.applied = t->applied;
    e.text = t->code && call->error.code == t->code ? call->error.text : "";
    tell(c, &e);
}

void trace_call_end(struct client *c, struct client_call *call, const struct client_result *r)
{
    const struct call_trace *t = &call->trace;
    struct client_event e = event_of(c, CLIENT_CALL_END, call);
    e.bytes_out = t->bytes_out;
    e.bytes_in = t->bytes_in;
    e.code = r->code;
    if (r->code == 0) {
        e.grpc_status = GRPC_OK;
        e.applied = call->is_write ? TENURE_APPLIED_YES : TENURE_APPLIED_NO;
    } else {
        e.grpc_status = call->error.grpc_status ? call->error.grpc_status : -1;
        e.applied = call->error.applied;
        e.text = call->error.text;
    }
    tell(c, &e);
}
