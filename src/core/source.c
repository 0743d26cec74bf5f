/* A copy of another's keys: what of a call is answered here, what waits for the source's revision, what is sent on.
 *
 * A linearizable read waits for the answer of a round that began behind it, then until the copy has that revision. Rounds are
 * shared: all that came while one was under way wait for the next one. A serializable read is answered at once, with how old the
 * copy is at most: it has all that the source had when the newest round that it has reached was *sent*.
 *
 * Failure: no round is answered: those who wait for it are told so, and may ask elsewhere. The copy does not come up to the
 * revision: ends at the call's deadline, or WAIT_MS_MAX. A call that ends while its request is at the source cancels it there.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/source.h"

#define WAIT_MS_MAX 10000
#define METADATA    "tenure-staleness"

void source_init(struct core *c)
{
    list_init(&c->source.waiting);
    known_init(&c->source.known, c->config.source ? rng_u64(&c->config.seed) : 0, c->config.token_ttl_ms,
               c->config.tokens_max);
}

void source_fini(struct core *c)
{
    known_fini(&c->source.known);
}

static void drop(struct core_forward *f)
{
    list_remove(&f->in_call);
    list_remove(&f->in_core);
    free(f);
}

void source_forget(struct core_call *call)
{
    struct core *c = call->core;
    while (!list_empty(&call->forwards)) {
        struct core_forward *f = LIST_ENTRY(call->forwards.next, struct core_forward, in_call);
        if (f->handle)
            c->config.source->cancel(c->config.source_user, f->handle);
        drop(f);
    }
}

/* ---- how old the copy is ---- */

/* Both are in order of time, and of revision: who was asked later had no less. */
static void prove(struct core *c)
{
    struct source *s = &c->source;
    while (s->pending.revision > 0 && store_revision(c->store) >= s->pending.revision) {
        s->proved_at = s->pending.at;
        s->pending = s->newest;
        s->newest = (struct proof){0};
    }
}

int64_t core_staleness(const struct core *c, tn_ms now)
{
    if (c->source.proved_at == 0)
        return -1;
    return now > c->source.proved_at ? now - c->source.proved_at : 0;
}

static bool is_too_old(const struct core *c, tn_ms now)
{
    int64_t age = core_staleness(c, now);
    return c->config.staleness_ms_max > 0 && (age < 0 || age > c->config.staleness_ms_max);
}

/* ---- following ---- */

int core_follow(struct core *c, const struct event *events, size_t n, tn_ms now, struct tenure_error *err)
{
    core_clock(c, now);
    if (journal_refuses(c, WRITE_GROWS, c->now) != ETCD_OK)
        return error_set(err, TENURE_ELIMIT, "the disk takes nothing");
    int rc = store_follow(c->store, events, n, err);
    if (rc == 0)
        journal_planned(c, WRITE_GROWS);
    return rc;
}

int core_follow_to(struct core *c, tn_rev revision, tn_ms now)
{
    core_clock(c, now);
    if (journal_refuses(c, WRITE_GROWS, c->now) != ETCD_OK)
        return TENURE_ELIMIT;
    int rc = store_follow_to(c->store, revision);
    if (rc == 0)
        journal_planned(c, WRITE_GROWS);
    return rc;
}

bool core_follow_compaction(struct core *c, tn_rev revision, tn_ms now)
{
    struct compact_resp resp;
    tn_seq seq;
    core_clock(c, now);
    if (journal_refuses(c, WRITE_FREES, c->now) != ETCD_OK)
        return false;
    enum etcd_error e = store_compact(c->store, &(struct compact_req){.revision = revision}, &resp, &seq);
    if (e == ETCD_COMPACTED)
        return true;
    if (e != ETCD_OK)
        return false;
    journal_planned(c, WRITE_FREES);
    compaction_asked(c, revision);
    return true;
}

/* ---- rounds ---- */

void core_ask_begins(struct core *c)
{
    c->source.round++;
}

void core_ask_answered(struct core *c, tn_rev revision, tn_ms sent_at, tn_ms now)
{
    struct source *s = &c->source;
    struct proof proof = {revision, sent_at};
    core_clock(c, now);
    if (s->pending.revision == 0)
        s->pending = proof;
    else
        s->newest = proof;
    prove(c);
    LIST_FOREACH(it, &s->waiting)
    {
        struct core_forward *f = LIST_ENTRY(it, struct core_forward, in_core);
        if (f->revision == 0 && f->round <= s->round)
            f->revision = revision;
    }
}

void core_ask_failed(struct core *c, tn_ms now)
{
    core_clock(c, now);
    LIST_FOREACH_SAFE(it, &c->source.waiting)
    {
        struct core_forward *f = LIST_ENTRY(it, struct core_forward, in_core);
        if (f->revision == 0 && f->round <= c->source.round)
            call_fail(f->call, ETCD_SOURCE_GONE);
    }
}

/* ---- reads ---- */

static void tell_staleness(struct core_call *call, tn_ms now)
{
    int64_t age = core_staleness(call->core, now);
    h2_tell(call->stream, METADATA, age);
}

static void answer_here(struct core_forward *f, tn_ms now)
{
    struct core_call *call = f->call;
    list_remove(&f->in_core);
    list_remove(&f->in_call); /* the call may end in its method, and the request must outlive that */
    tell_staleness(call, now);
    core_scratch(call->core);
    call->method->on_message(call, bytes_of(f->message, f->len), now);
    free(f);
}

void source_run(struct core *c, tn_ms now)
{
    if (!c->config.source)
        return;
    prove(c);
    LIST_FOREACH_SAFE(it, &c->source.waiting)
    {
        struct core_forward *f = LIST_ENTRY(it, struct core_forward, in_core);
        if (f->revision > 0 && f->revision <= store_revision(c->store))
            answer_here(f, now);
        else if (now >= f->until)
            call_fail(f->call, ETCD_SOURCE_GONE);
    }
}

/* All wait equally long. */
tn_ms source_deadline(const struct core *c)
{
    const struct list *waiting = &c->source.waiting;
    if (list_empty(waiting))
        return TN_MS_NEVER;
    return LIST_ENTRY(waiting->next, struct core_forward, in_core)->until;
}

struct core_forward *forward_new(struct core_call *call, bytes kept)
{
    struct core_forward *f = calloc(1, sizeof *f + kept.len);
    if (!f) {
        call_fail(call, ETCD_OUT_OF_MEMORY);
        return NULL;
    }
    f->call = call;
    f->len = kept.len;
    if (kept.len)
        memcpy(f->message, kept.data, kept.len);
    list_init(&f->in_core);
    list_push_back(&call->forwards, &f->in_call);
    return f;
}

static void wait_for_source(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    struct core_forward *f = forward_new(call, in);
    if (!f)
        return;
    f->round = c->source.round + 1;
    f->until = now + WAIT_MS_MAX;
    list_push_back(&c->source.waiting, &f->in_core);
    c->config.source->ask(c->config.source_user);
}

/* ---- sent on ---- */

enum etcd_error forward_as(struct core_forward *f, const char *service, const char *method, bytes message, tn_ms now)
{
    struct core_call *call = f->call;
    struct core *c = call->core;
    int64_t left = heap_contains(&call->deadline) ? call->deadline.at - now : 0;
    struct core_forward_req req = {.service = service,
                                   .method = method,
                                   .message = message,
                                   .token = bytes_of(call->token, call->token_len),
                                   .timeout_ms = left > 0 ? left : 0};
    enum etcd_error why = ETCD_SOURCE_GONE;
    f->handle = c->config.source->forward(c->config.source_user, &req, f, &why);
    if (f->handle)
        return ETCD_OK;
    drop(f);
    return why;
}

/* Of Authenticate the name is kept, so that its token is known when the answer comes; the password is not. */
static struct core_forward *forward_of(struct core_call *call, bytes in)
{
    struct core *c = call->core;
    struct authenticate_req req;
    bool learns = c->config.source_has_users && strcmp(call->method->name, "Authenticate") == 0 &&
                  decode_authenticate_req(in, &c->arena, &req) == 0;
    struct core_forward *f = forward_new(call, learns ? req.name : bytes_of(NULL, 0));
    if (f && learns) {
        f->kind = FORWARD_LEARNS;
        f->round = store_auth_changes(c->store);
    }
    return f;
}

void source_send_on(struct core_call *call, bytes in, tn_ms now)
{
    struct core_forward *f = forward_of(call, in);
    enum etcd_error why = f ? forward_as(f, call->method->service, call->method->name, in, now) : ETCD_OK;
    if (why)
        call_fail(call, why);
}

void core_forward_message(struct core_forward *f, bytes message)
{
    struct core_call *call = f->call;
    core_scratch(call->core);
    buf_append_bytes(&call->core->out, message);
    if (buf_error(&call->core->out))
        call_reset(call);
    else
        (void)!call_send(call);
}

void core_forward_end(struct core_forward *f, enum grpc_status status, const char *text, bytes message)
{
    struct core_call *call = f->call;
    bool goes_on = call->method->is_stream && !call->method->is_asked_once; /* of keepalives one has ended */
    if (f->kind == FORWARD_ASKS) {
        source_asked(f, status, text);
        return;
    }
    if (f->kind == FORWARD_LEARNS && status == GRPC_OK)
        source_learn(f, message);
    drop(f);
    if (status != GRPC_OK) {
        call_finish(call, status, text);
        return;
    }
    if (call->method->is_asked_once) {
        call_finish(call, GRPC_OK, "");
        return;
    }
    core_scratch(call->core);
    buf_append_bytes(&call->core->out, message);
    if (!goes_on) {
        call_reply(call, 0);
    } else if (buf_error(&call->core->out)) {
        call_reset(call);
    } else if (call_send(call)) {
        call->method->on_half_close(call);
    }
}

/* ---- how it stands ---- */

/* The answer is text: no client of etcd's asks for it. */
static void replica_status(struct core_call *call, bytes in, tn_ms now)
{
    struct core *c = call->core;
    (void)in;
    if (!c->config.source) {
        call_finish(call, GRPC_UNIMPLEMENTED, "unknown service tenure.Replica");
        return;
    }
    buf_printf(&c->out, "revision=%lld\ncompacted=%lld\nstaleness_ms=%lld\n", (long long)store_revision(c->store),
               (long long)store_compacted(c->store), (long long)core_staleness(c, now));
    if (c->config.n_source_parts)
        source_part_describe(c, &c->out);
    c->config.source->describe(c->config.source_user, &c->out, now);
    call_reply(call, 0);
}

const struct core_method replica_methods[] = {
    {.service = "tenure.Replica", .name = "Status", .may_wait = true, .on_message = replica_status},
};
const size_t replica_methods_len = ARRAY_LEN(replica_methods);

/* ---- what is whose ---- */

static bool is(const char *a, const char *b)
{
    return strcmp(a, b) == 0;
}

static enum answer maintenance_answer(const char *name)
{
    return is(name, "Alarm") || is(name, "MoveLeader") || is(name, "Downgrade") ? ANSWER_THERE : ANSWER_HERE;
}

static enum answer kv_answer(const char *name)
{
    if (is(name, "Range") || is(name, "RangeStream"))
        return ANSWER_READ;
    return is(name, "Txn") ? ANSWER_TXN : ANSWER_THERE;
}

static enum answer who_answers(const struct core_method *m)
{
    if (is(m->service, "etcdserverpb.KV"))
        return kv_answer(m->name);
    if (is(m->service, "etcdserverpb.Watch") || is(m->service, "grpc.health.v1.Health") ||
        is(m->service, "tenure.Replica"))
        return ANSWER_HERE;
    if (is(m->service, "etcdserverpb.Maintenance"))
        return maintenance_answer(m->name);
    return is(m->name, "MemberList") ? ANSWER_HERE : ANSWER_THERE;
}

/* As etcd: only one that reads nothing but serializable ranges is serializable itself. */
static bool ops_are_serializable(const struct request_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].kind != OP_RANGE || !ops[i].range.serializable)
            return false;
    }
    return true;
}

static bool read_takes(struct core_call *call, bool serializable, bytes in, tn_ms now)
{
    struct core *c = call->core;
    if (!serializable) {
        wait_for_source(call, in, now);
        return true;
    }
    if (!is_too_old(c, now)) {
        tell_staleness(call, now);
        return false;
    }
    if (c->config.forward_when_stale)
        source_send_on(call, in, now);
    else
        call_fail(call, ETCD_STALE);
    return true;
}

static bool txn_takes(struct core_call *call, bytes in, tn_ms now)
{
    struct txn_req req;
    if (!call_decoded(call, decode_txn_req(in, &call->core->arena, &req)))
        return true; /* for want of memory, perhaps: its method might then read it, and write here */
    if (!txn_may_write(&req))
        return read_takes(
            call, ops_are_serializable(req.success, req.n_success) && ops_are_serializable(req.failure, req.n_failure),
            in, now);
    source_send_on(call, in, now);
    return true;
}

static bool range_takes(struct core_call *call, bytes in, tn_ms now)
{
    struct range_req req;
    if (!call_decoded(call, decode_range_req(in, &call->core->arena, &req)))
        return true;
    return read_takes(call, req.serializable, in, now);
}

bool source_takes(struct core_call *call, bytes in, tn_ms now)
{
    bool taken = false;
    enum answer answer = who_answers(call->method);
    if (call->core->config.n_source_parts && source_part_take(call, answer, in, now))
        return true;
    if (call->core->config.source_has_users && source_users_take(call, answer, in, now))
        return true;
    switch (answer) {
    case ANSWER_HERE:
        break;
    case ANSWER_READ:
        taken = range_takes(call, in, now);
        break;
    case ANSWER_TXN:
        taken = txn_takes(call, in, now);
        break;
    case ANSWER_THERE:
        source_send_on(call, in, now);
        return true;
    }
    if (!taken)
        core_scratch(call->core); /* the method finds it as it should be */
    return taken;
}
