/* The life of a call: bounded at its start, sent, perhaps sent again, ended exactly once.
 *
 * Happy path: encoded once; given to the current connection at once, or kept waiting for one; the answer is kept as bytes
 * and decoded when its callback is called.
 *
 * Failures. A copy ends without an answer: sent again when that is safe (a read, a repeatable write, or one that provably
 * reached no server), at once on another connection or after a rest that doubles; otherwise the call ends with what
 * client_classify says. A copy that is not answered for a while puts its connection in doubt; when the pool has another
 * one, what may be repeated moves there. The deadline ends whatever is left, and says which endpoints failed and how.
 *
 * "Not applied" is said of a write only when each copy of it was provably not taken up.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/internal.h"

enum {
    SPARE_CALLS_MAX = 64,
    SPARE_BYTES_MAX = 2048, /* a spare call keeps buffers up to this */
    TRIES_PER_DEADLINE = 3, /* what one silent endpoint may use up of the deadline: a third */
    LOGINS_MAX = 3,         /* tokens that one call may see refused */
    REST_MIN_MS = 25,
    REST_MAX_MS = 1000,
};

/* ---- memory ---- */

static struct client_call *take_spare(struct client *c)
{
    struct client_call *call = LIST_ENTRY(c->spare_calls.next, struct client_call, link);
    list_remove(&call->link);
    c->n_spare_calls--;
    return call;
}

static struct client_call *call_alloc(struct client *c)
{
    if (c->n_spare_calls > 0)
        return take_spare(c);
    struct client_call *call = malloc(sizeof *call);
    if (!call)
        return NULL;
    buf_init(&call->request);
    buf_init(&call->again);
    buf_init(&call->reply);
    return call;
}

static void call_destroy(struct client_call *call)
{
    buf_fini(&call->request);
    buf_fini(&call->again);
    buf_fini(&call->reply);
    free(call);
}

static void trim(struct buf *b)
{
    if (b->cap > SPARE_BYTES_MAX)
        buf_fini(b);
    buf_reset(b);
}

/* The memory alone: it has no timer any more. */
static void call_keep(struct client *c, struct client_call *call)
{
    if (c->n_spare_calls == SPARE_CALLS_MAX) {
        call_destroy(call);
        return;
    }
    trim(&call->request);
    trim(&call->again);
    trim(&call->reply);
    list_push_back(&c->spare_calls, &call->link);
    c->n_spare_calls++;
}

void call_release(struct client *c, struct client_call *call)
{
    list_remove(&call->link);
    deliver_never(c, &call->delivery);
    timer_fini(c, &call->timer);
    call->context = client_context_unref(call->context);
    if (call->kind->is_login && call->request.data)
        explicit_bzero(call->request.data, call->request.len); /* the password is in it */
    if (call->token.data)
        explicit_bzero((void *)call->token.data, call->token.len);
    free((void *)call->token.data);
    call->token = bytes_of(NULL, 0);
    c->n_calls--;
    call_keep(c, call);
}

static void release_all(struct client *c, struct list *calls)
{
    while (!list_empty(calls))
        call_release(c, LIST_ENTRY(calls->next, struct client_call, link));
}

void calls_fini(struct client *c)
{
    release_all(c, &c->login.waiting);
    release_all(c, &c->waiting);
    release_all(c, &c->pinned);
    release_all(c, &c->resting);
    release_all(c, &c->done);
    while (c->n_spare_calls > 0)
        call_destroy(take_spare(c));
}

/* ---- states ---- */

static struct list *home_of(struct client *c, struct client_call *call)
{
    switch (call->state) {
    case CALL_WAITING:
        if (call->kind->is_login)
            return &c->login.waiting;
        return call->endpoint == SIZE_MAX ? &c->waiting : &c->pinned;
    case CALL_SENT:
        return &call->stream.conn->calls;
    case CALL_BACKOFF:
        return &c->resting;
    default:
        return &c->done;
    }
}

/* The one place that changes the state: the call is in the list of its state. */
static void call_move(struct client *c, struct client_call *call, enum call_state state)
{
    if (c->on_event && call->state == CALL_SENT)
        trace_try_end(c, call);
    list_remove(&call->link);
    call->state = state;
    list_push_back(home_of(c, call), &call->link);
}

/* Parts of one whole have come: another copy would begin it anew. */
static bool has_begun(const struct client_call *call)
{
    return call->kind->pieces_join && call->has_reply;
}

static bool may_repeat(const struct client_call *call)
{
    return (!call->is_write || call->repeatable) && !has_begun(call);
}

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

/* ---- the end ---- */

static void call_finish(struct client *c, struct client_call *call)
{
    assert(call->state != CALL_DONE);
    stream_detach(&call->stream);
    timer_arm(c, &call->timer, TN_MS_NEVER);
    c->n_live -= call->endpoint == SIZE_MAX;
    c->queued_bytes -= call->request.len + call->again.len;
    call_move(c, call, CALL_DONE);
    deliver_later(c, &call->delivery);
}

/* call->error has the text; this adds what became of the call. */
static void call_fail(struct client *c, struct client_call *call, enum tenure_applied applied)
{
    if (!call->is_write)
        applied = TENURE_APPLIED_NO;
    else if (applied == TENURE_APPLIED_NO && call->maybe_applied)
        applied = TENURE_APPLIED_MAYBE;
    c->stats.failed++;
    call->code = call->error.code;
    call->error.applied = applied;
    call_finish(c, call);
}

/* ---- sending ---- */

static bool provably_unsent(const struct client_call *call)
{
    const struct stream *s = &call->stream;
    return call->state != CALL_SENT || s->conn->outputs == call->sent_output || h2_stream_unprocessed(s->h2);
}

static int call_open(struct client *c, struct client_call *call, struct conn *conn)
{
    int64_t left_ms = call->deadline > c->now ? call->deadline - c->now : 1;
    bytes token = call->is_others ? call->token : bytes_of(c->login.token, c->login.token_len);
    int rc = stream_open_as(c, &call->stream, conn, call->kind->path, left_ms, !call->kind->no_leader_needed,
                            call->context, token);
    if (rc)
        return rc;
    rc = stream_send(c, &call->stream, buf_bytes(&call->request));
    return rc ? rc : h2_half_close(call->stream.h2);
}

static void arm_sent(struct client *c, struct client_call *call)
{
    call->try_at = may_repeat(call) ? time_after(c->now, call->try_ms) : TN_MS_NEVER;
    timer_arm(c, &call->timer, earlier(call->deadline, call->try_at));
}

static void call_send(struct client *c, struct client_call *call, struct conn *conn)
{
    if (call_open(c, call, conn)) {
        stream_reset(c, &call->stream);
        error_set(&call->error, TENURE_ENOMEM, "out of memory while sending the request");
        call_fail(c, call, TENURE_APPLIED_NO);
        return;
    }
    if (conn->asked_at <= conn->heard_at)
        conn->asked_at = c->now;
    c->stats.retries += call->was_sent;
    call->was_sent = true;
    call->sent_at = c->now;
    call->sent_output = conn->outputs;
    call->login = c->login.number;
    call->has_reply = call->overdue = false;
    buf_reset(&call->reply);
    call_move(c, call, CALL_SENT);
    if (c->on_event)
        trace_try_begin(c, call);
    arm_sent(c, call);
}

static void flush_pinned(struct client *c, struct conn *conn)
{
    LIST_FOREACH_SAFE(it, &c->pinned)
    {
        struct client_call *call = LIST_ENTRY(it, struct client_call, link);
        if (call->endpoint == conn->endpoint && conn_takes_calls(conn))
            call_send(c, call, conn);
    }
}

static void flush_list(struct client *c, struct list *calls, struct conn *conn)
{
    while (!list_empty(calls) && conn_takes_calls(conn))
        call_send(c, LIST_ENTRY(calls->next, struct client_call, link), conn);
}

void calls_flush(struct client *c, struct conn *conn)
{
    if (conn == c->current)
        flush_list(c, &c->login.waiting, conn);
    if (!login_ready(&c->login))
        return;
    flush_pinned(c, conn);
    if (conn == c->current)
        flush_list(c, &c->waiting, conn);
}

static void call_wait(struct client *c, struct client_call *call)
{
    struct conn *conn = call->endpoint == SIZE_MAX ? c->current : pool_pinned(c, call->endpoint);
    call_move(c, call, CALL_WAITING);
    timer_arm(c, &call->timer, call->deadline);
    bool may_go = call->kind->is_login || login_ready(&c->login);
    if (may_go && conn_takes_calls(conn)) {
        call_send(c, call, conn);
    } else if (call->endpoint == SIZE_MAX || !may_go) {
        client_unsettle(c);
    } else if (!conn) {
        error_set(&call->error, TENURE_ENOMEM, "out of memory");
        call_fail(c, call, TENURE_APPLIED_NO);
    }
}

/* ---- submission ---- */

static int64_t timeout_of(const struct client *c, const struct client_call_options *opt)
{
    int64_t ms = opt && opt->timeout_ms ? opt->timeout_ms : c->call_timeout_ms;
    return ms > 0 ? ms : 1;
}

static void call_init(struct client *c, struct client_call *call, const struct call_kind *kind,
                      const struct client_call_options *opt)
{
    struct buf request = call->request, again = call->again, reply = call->reply;
    struct timer timer = call->timer;
    *call = (struct client_call){
        .stream = {.kind = STREAM_CALL},
        .timer = timer,
        .kind = kind,
        .is_write = kind->is_write,
        .repeatable = opt && (opt->repeatable || opt->again),
        .endpoint = SIZE_MAX,
        .context = c->context && !kind->is_login ? client_context_ref(c->context) : NULL,
        .trace.by_program = opt && opt->by_program,
        .timeout_ms = timeout_of(c, opt),
        .request = request,
        .again = again,
        .reply = reply,
    };
    list_init(&call->link);
    delivery_init(&call->delivery, DELIVER_CALL);
    call->try_ms = call->timeout_ms / TRIES_PER_DEADLINE;
    if (call->try_ms > c->silence_ms)
        call->try_ms = c->silence_ms;
    if (call->try_ms < 1)
        call->try_ms = 1;
    call->request.len_max = call->again.len_max = c->queued_bytes_max;
    if (opt && opt->ret_call)
        *opt->ret_call = call;
}

struct client_call *client_call_new(struct client *c, const struct call_kind *kind,
                                    const struct client_call_options *opt, client_done_cb cb, void *user,
                                    struct tenure_error *err)
{
    if (c->closed) {
        error_set(err, TENURE_ECLOSED, "the client was closed");
        return NULL;
    }
    if (c->n_calls >= c->calls_max && !kind->is_login) {
        error_set(err, TENURE_ELIMIT, "%zu calls are under way, the most that the client is set to", c->n_calls);
        return NULL;
    }
    struct client_call *call = call_alloc(c);
    if (!call || timer_init(c, &call->timer, TIMER_CALL)) {
        if (call)
            call_keep(c, call);
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    call_init(c, call, kind, opt);
    call->on_piece = NULL;
    call->cb = cb;
    call->user = user;
    c->n_calls++;
    return call;
}

static int submission_error(const struct client *c, const struct client_call *call, struct tenure_error *err)
{
    int rc = buf_error(&call->request) ? buf_error(&call->request) : buf_error(&call->again);
    if (rc == TENURE_ENOMEM)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    size_t room = c->queued_bytes < c->queued_bytes_max ? c->queued_bytes_max - c->queued_bytes : 0;
    if (rc || (call->request.len + call->again.len > room && !call->kind->is_login))
        return error_set(err, TENURE_ELIMIT, "the requests under way hold %zu bytes, the client is set to at most %zu",
                         c->queued_bytes, c->queued_bytes_max);
    return 0;
}

struct client_call *call_submit(struct client *c, struct client_call *call, tn_ms now, struct tenure_error *err)
{
    c->now = now;
    if (submission_error(c, call, err)) {
        call_release(c, call);
        return NULL;
    }
    call->deadline = time_after(now, c->broken_deadline ? 3 * call->timeout_ms : call->timeout_ms);
    c->stats.calls++;
    c->n_live += call->endpoint == SIZE_MAX;
    c->queued_bytes += call->request.len + call->again.len;
    if (c->on_event)
        trace_call_begin(c, call);
    call_wait(c, call);
    client_settle(c);
    return call;
}

/* ---- failed tries ---- */

/* A copy of a write is out there whose fate is not known: what is sent from now on is what the caller gave for that. */
static void note_doubt(struct client_call *call, bool in_doubt)
{
    if (!call->is_write || !in_doubt)
        return;
    if (!call->maybe_applied && call->again.len > 0) {
        struct buf first = call->request;
        call->request = call->again;
        call->again = first;
    }
    call->maybe_applied = true;
}

static enum tenure_applied applied_unless(bool proven)
{
    return proven ? TENURE_APPLIED_NO : TENURE_APPLIED_MAYBE;
}

/* The copy is given up; what is known of it is kept. */
static void forget_copy(struct client *c, struct client_call *call, bool proven)
{
    trace_outcome(call, TENURE_ETIMEOUT, -1, applied_unless(proven));
    note_doubt(call, !proven);
    stream_reset(c, &call->stream);
}

static void call_rest(struct client *c, struct client_call *call)
{
    int64_t rest_ms = REST_MIN_MS << (call->rested < 6 ? call->rested : 6);
    if (rest_ms > REST_MAX_MS)
        rest_ms = REST_MAX_MS;
    call->rested++;
    call_move(c, call, CALL_BACKOFF);
    call->try_at = time_after(c->now, rng_jitter(&c->rng, rest_ms, 25));
    timer_arm(c, &call->timer, earlier(call->deadline, call->try_at));
}

/* Kept also when the call is sent again: if nothing better comes, it is what the caller is told. */
static void keep_status(struct client_call *call, const struct stream_end *end, int code)
{
    int len = (int)(end->text.len < sizeof call->error.text ? end->text.len : sizeof call->error.text);
    call->etcd = retry_etcd_error(end->text);
    if (len)
        error_set(&call->error, code, "%.*s", len, (const char *)end->text.data);
    else
        error_set(&call->error, code, "the server answered with gRPC status %d and no text", (int)end->status);
    call->error.grpc_status = (int)end->status;
}

static void doubt_endpoint(struct client *c, const struct client_call *call, const struct stream_end *end)
{
    if (c->n_endpoints > 1 && call->endpoint == SIZE_MAX && retry_elsewhere(end->status, end->text))
        conn_doubt(c, call->stream.conn, DOUBT_CALLS, call->error.text);
}

static void wait_for_next(struct client *c, struct client_call *call);
static void timeout_text(struct client *c, struct client_call *call, bool is_applied_maybe);

/* What is refused for its token is judged before anything else: it was not applied, and waits for the next token. */
static bool token_was_refused(struct client *c, struct client_call *call)
{
    if (call->kind->is_login || call->is_others || call->logins == LOGINS_MAX ||
        !login_refused(c, call->login, call->etcd))
        return false;
    call->logins++;
    stream_detach(&call->stream);
    wait_for_next(c, call);
    return true;
}

static void call_refused(struct client *c, struct client_call *call, const struct stream_end *end)
{
    struct client_verdict v = client_classify(end->status, end->text, call->is_write);
    if (v.code == TENURE_ETOOLARGE && retry_request_too_large(end->text, call->request.len))
        v.applied = TENURE_APPLIED_NO;
    trace_outcome(call, v.code, (int)end->status, v.applied);
    keep_status(call, end, v.code);
    call->refused_by = call->stream.conn->endpoint;
    if (token_was_refused(c, call))
        return;
    doubt_endpoint(c, call, end);
    if (!v.retry || call->endpoint != SIZE_MAX || has_begun(call) ||
        (!may_repeat(call) && v.applied != TENURE_APPLIED_NO)) {
        if (v.code == TENURE_EUNAVAILABLE && c->now >= call->deadline)
            timeout_text(c, call, v.applied == TENURE_APPLIED_MAYBE); /* the server has only seen it first */
        call_fail(c, call, v.applied);
        return;
    }
    note_doubt(call, v.applied != TENURE_APPLIED_NO);
    stream_detach(&call->stream);
    call_rest(c, call);
}

/* For the next connection: how fast that comes is the endpoint's backoff. */
static void wait_for_next(struct client *c, struct client_call *call)
{
    call_move(c, call, CALL_WAITING);
    timer_arm(c, &call->timer, call->deadline);
    client_unsettle(c);
}

static void call_lost(struct client *c, struct client_call *call, bool proven)
{
    struct conn *conn = call->stream.conn;
    trace_outcome(call, TENURE_EUNAVAILABLE, -1, applied_unless(proven));
    note_doubt(call, !proven);
    if (call->endpoint == SIZE_MAX && (proven || may_repeat(call))) {
        stream_detach(&call->stream);
        if (conn_takes_calls(conn))
            call_rest(c, call); /* refused by a server that stays: not at once again */
        else
            wait_for_next(c, call);
        return;
    }
    error_set(&call->error, TENURE_EUNAVAILABLE, "the connection to %s was lost before the answer: %s",
              c->endpoints[conn->endpoint].url, conn->why);
    call_fail(c, call, applied_unless(proven));
}

/* ---- answers ---- */

static bool is_late_success(const struct client_call *call, const struct stream_end *end)
{
    return call->kind->is_write && call->repeatable && call->maybe_applied && call->kind->gone_is_done &&
           end->status != GRPC_OK && retry_etcd_error(end->text) == ETCD_LEASE_NOT_FOUND;
}

/* What a turn brings is delivered in that turn, so no more than that waits here. */
static void piece_came(struct client *c, struct client_call *call, bytes message)
{
    buf_append_u32be(&call->reply, (uint32_t)message.len);
    buf_append_bytes(&call->reply, message);
    call->has_reply = true;
    conn_answered(c, call->stream.conn);
    deliver_later(c, &call->delivery);
}

void call_on_message(struct client *c, struct client_call *call, bytes message)
{
    call->trace.try_in += message.len;
    if (call->on_piece) {
        piece_came(c, call, message);
        return;
    }
    buf_reset(&call->reply);
    buf_append_bytes(&call->reply, message);
    call->has_reply = true;
    if (!call->kind->is_stream)
        return;
    struct conn *conn = call->stream.conn;
    stream_reset(c, &call->stream);
    trace_outcome(call, 0, GRPC_OK, TENURE_APPLIED_YES);
    call_finish(c, call);
    conn_answered(c, conn);
}

/* A read that is older than what was seen: a member that lags. It is asked again, elsewhere if there is another. */
static bool is_too_old(struct client *c, struct client_call *call)
{
    tn_rev revision = order_revision(buf_bytes(&call->reply));
    if (call->is_write || revision == 0 || revision >= c->seen) {
        order_saw(c, revision);
        return false;
    }
    struct conn *conn = call->stream.conn;
    trace_outcome(call, TENURE_EUNAVAILABLE, GRPC_OK, TENURE_APPLIED_NO);
    error_set(&call->error, TENURE_EUNAVAILABLE, "%s is at revision %lld, older than %lld, which was seen before",
              c->endpoints[conn->endpoint].url, (long long)revision, (long long)c->seen);
    if (c->n_endpoints > 1)
        conn_doubt(c, conn, DOUBT_CALLS, "it lags behind the others");
    stream_detach(&call->stream);
    call_rest(c, call);
    return true;
}

static void call_answered(struct client *c, struct client_call *call)
{
    if (c->never_older && call->kind->tells_revision && call->has_reply && is_too_old(c, call))
        return;
    conn_answered(c, call->stream.conn);
    if (!call->has_reply) {
        error_set(&call->error, TENURE_EPROTOCOL, "the server answered without a message");
        trace_outcome(call, TENURE_EPROTOCOL, GRPC_OK, TENURE_APPLIED_MAYBE);
        call_fail(c, call, TENURE_APPLIED_MAYBE);
        return;
    }
    trace_outcome(call, 0, GRPC_OK, TENURE_APPLIED_YES);
    call_finish(c, call);
}

void call_on_end(struct client *c, struct client_call *call, const struct stream_end *end)
{
    struct conn *conn = call->stream.conn;
    bool proven = end->unprocessed || conn->outputs == call->sent_output;
    if (conn != c->current)
        client_unsettle(c); /* it may be idle now */
    if (end->lost || proven) {
        call_lost(c, call, proven);
    } else if (end->status == GRPC_OK) {
        call_answered(c, call);
    } else if (is_late_success(call, end)) {
        buf_reset(&call->reply);
        trace_outcome(call, 0, (int)end->status, TENURE_APPLIED_YES);
        call_finish(c, call);
    } else {
        call_refused(c, call, end);
    }
}

/* ---- time ---- */

/* The last refusal, who said so, and what is known of the others. */
static void refused_text(struct client *c, struct client_call *call, const char *time, const char *errors,
                         bool is_applied_maybe)
{
    char last[sizeof call->error.text];
    int grpc_status = call->error.grpc_status;
    snprintf(last, sizeof last, "%s", call->error.text);
    error_set(&call->error, TENURE_ETIMEOUT, "%s within %s, the last answer was: %s (%s)%s%s",
              is_applied_maybe ? "the last attempt was not answered" : "not done", time, last,
              c->endpoints[call->refused_by].url, errors[0] ? "; " : "", errors);
    call->error.grpc_status = grpc_status;
}

static void timeout_text(struct client *c, struct client_call *call, bool is_applied_maybe)
{
    char time[32], errors[sizeof call->error.text];
    client_endpoint_errors(c, errors, sizeof errors);
    time_text(time, call->timeout_ms);
    const char *colon = errors[0] ? "; " : "";
    if (call->error.code)
        refused_text(c, call, time, errors, is_applied_maybe);
    else if (call->state == CALL_SENT)
        error_set(&call->error, TENURE_ETIMEOUT, "no answer from %s within %s%s%s",
                  c->endpoints[call->stream.conn->endpoint].url, time, colon, errors);
    else if (call->endpoint != SIZE_MAX)
        error_set(&call->error, TENURE_ETIMEOUT, "%s did not answer within %s", c->endpoints[call->endpoint].url, time);
    else
        error_set(&call->error, TENURE_ETIMEOUT, "no endpoint answered within %s%s%s", time, colon, errors);
}

static void call_timed_out(struct client *c, struct client_call *call)
{
    bool proven = provably_unsent(call);
    struct conn *conn = call->stream.conn;
    trace_outcome(call, TENURE_ETIMEOUT, -1, applied_unless(proven));
    timeout_text(c, call, applied_unless(proven) == TENURE_APPLIED_MAYBE);
    if (conn && conn->heard_at < conn->asked_at && c->now - conn->asked_at >= c->silence_ms)
        conn_doubt(c, conn, DOUBT_SILENT, "no call is answered");
    stream_reset(c, &call->stream);
    call_fail(c, call, applied_unless(proven));
}

static void move_on(struct client *c, struct client_call *call)
{
    forget_copy(c, call, provably_unsent(call));
    call_wait(c, call);
}

/* The copy has not been answered in its time. Is it the connection, the server, or just a slow call? */
static void try_too_long(struct client *c, struct client_call *call)
{
    struct conn *conn = call->stream.conn;
    char time[32], why[120];
    snprintf(why, sizeof why, "no answer for %s", time_text(time, c->now - call->sent_at));
    call->overdue = true;
    if (conn->state != CONN_READY && conn_takes_calls(c->current)) {
        move_on(c, call);
        return;
    }
    if (conn->heard_at <= call->sent_at)
        conn_doubt(c, conn, DOUBT_SILENT, why);
    else if (conn->answered_at <= call->sent_at && c->n_endpoints > 1)
        conn_doubt(c, conn, DOUBT_CALLS, why);
    call->try_ms *= 2;
    arm_sent(c, call);
}

void call_on_timer(struct client *c, struct client_call *call)
{
    if (c->now >= call->deadline)
        call_timed_out(c, call);
    else if (call->state == CALL_BACKOFF)
        call_wait(c, call);
    else if (call->state == CALL_SENT)
        try_too_long(c, call);
}

void calls_leave(struct client *c, struct conn *conn, bool all)
{
    LIST_FOREACH_SAFE(it, &conn->calls)
    {
        struct client_call *call = LIST_ENTRY(it, struct client_call, link);
        if (call->endpoint == SIZE_MAX && may_repeat(call) && (all || call->overdue))
            move_on(c, call);
    }
}

void calls_pinned_failed(struct client *c, size_t endpoint, const char *why)
{
    LIST_FOREACH_SAFE(it, &c->pinned)
    {
        struct client_call *call = LIST_ENTRY(it, struct client_call, link);
        if (call->endpoint != endpoint)
            continue;
        error_set(&call->error, TENURE_EUNAVAILABLE, "%s: %s", c->endpoints[endpoint].url, why);
        call_fail(c, call, TENURE_APPLIED_NO);
    }
}

/* ---- ended by the caller ---- */

static void call_abort(struct client *c, struct client_call *call, int code, const char *text)
{
    bool proven = provably_unsent(call);
    trace_outcome(call, code, -1, applied_unless(proven));
    stream_reset(c, &call->stream);
    error_set(&call->error, code, "%s", text);
    call_fail(c, call, applied_unless(proven));
}

bool client_is_unsent(const struct client_call *call)
{
    return call->state != CALL_DONE && !call->maybe_applied && provably_unsent(call);
}

void client_cancel(struct client *c, struct client_call *call, tn_ms now)
{
    c->now = now;
    if (call->state == CALL_DONE)
        return; /* its result is on its way */
    call_abort(c, call, TENURE_ECANCELLED, "the call was cancelled");
    client_settle(c);
}

static void close_all(struct client *c, struct list *calls)
{
    while (!list_empty(calls))
        call_abort(c, LIST_ENTRY(calls->next, struct client_call, link), TENURE_ECLOSED, "the client was closed");
}

static void deny_all(struct client *c, struct list *calls, const struct tenure_error *why)
{
    while (!list_empty(calls)) {
        struct client_call *call = LIST_ENTRY(calls->next, struct client_call, link);
        call->error = *why;
        call_fail(c, call, TENURE_APPLIED_NO);
    }
}

void calls_denied(struct client *c, const struct tenure_error *why)
{
    deny_all(c, &c->waiting, why);
    deny_all(c, &c->pinned, why);
}

void calls_close(struct client *c)
{
    close_all(c, &c->login.waiting);
    close_all(c, &c->waiting);
    close_all(c, &c->pinned);
    close_all(c, &c->resting);
    LIST_FOREACH(it, &c->conns)
    {
        close_all(c, &LIST_ENTRY(it, struct conn, link)->calls);
    }
}

/* ---- the callback ---- */

static void decode(struct client *c, struct client_call *call, struct client_result *r)
{
    int rc = buf_error(&call->reply);
    if (!rc)
        rc = call->kind->decode(buf_bytes(&call->reply), &c->deliver_arena, r);
    if (!rc)
        return;
    r->code = rc == TENURE_ENOMEM ? error_set(&call->error, rc, "out of memory while reading the answer")
                                  : error_set(&call->error, TENURE_EPROTOCOL, "the server's answer cannot be read");
    /* It said OK: without memory we know that it was applied, from a server that speaks nonsense we know nothing. */
    if (call->is_write)
        call->error.applied = rc == TENURE_ENOMEM ? TENURE_APPLIED_YES : TENURE_APPLIED_MAYBE;
}

static uint32_t length_at(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void deliver_pieces(struct client *c, struct client_call *call)
{
    struct buf all = call->reply;
    buf_init(&call->reply); /* the callback may cancel the call */
    for (size_t at = 0; at + 4 <= all.len;) {
        size_t len = length_at(all.data + at);
        if (len > all.len - at - 4)
            break; /* memory was short for it */
        call->kind->deliver_piece(call, bytes_of(all.data + at + 4, len), &c->deliver_arena);
        arena_reset(&c->deliver_arena);
        at += 4 + len;
    }
    buf_fini(&all);
}

/* Whether there is an end to tell now. */
static bool deliver_before_end(struct client *c, struct client_call *call)
{
    if (!call->on_piece)
        return true;
    if (buf_error(&call->reply) && call->state != CALL_DONE)
        call_abort(c, call, TENURE_ENOMEM, "out of memory while reading the answer");
    deliver_pieces(c, call);
    return call->state == CALL_DONE && list_empty(&call->delivery.link);
}

static void deliver_end(struct client *c, struct client_call *call)
{
    struct client_result r = {
        .code = call->code, .etcd = call->etcd, .sent_at = call->sent_at, .maybe_before = call->maybe_applied};
    assert(call->state == CALL_DONE);
    if (r.code == 0 && !call->on_piece)
        decode(c, call, &r);
    r.error = r.code ? &call->error : NULL;
    if (c->on_event)
        trace_call_end(c, call, &r);
    call->cb(call->user, &r);
    arena_reset(&c->deliver_arena);
    call_release(c, call);
}

void call_deliver(struct client *c, struct client_call *call)
{
    struct client_context *before = client_context_use(c, call->context);
    if (deliver_before_end(c, call)) /* else it goes on, and with it its context */
        deliver_end(c, call);
    client_context_use(c, before);
}
