/* The events of calls, for those who watch them. */
#include "client/internal.h"

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
