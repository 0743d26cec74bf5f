/* Calls of the fake client: each copy on its way there and back, and what may become of it. See fake_machine.h. */
#include "fake_machine.h"

#include <assert.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- calls ---- */

static void complete(struct client_call *call)
{
    struct client *c = call->client;
    assert_false(call->done);
    call->done = true;
    c->due[c->due_to++ % ARRAY_LEN(c->due)] = call;
    assert_true(c->due_to - c->due_from <= ARRAY_LEN(c->due));
}

static void complete_error(struct client_call *call, int code, enum tenure_applied applied, enum etcd_error etcd)
{
    error_set(&call->error, code, "%s", etcd ? etcd_error_text(etcd) : tenure_error_string(code));
    if (applied == TENURE_APPLIED_NO && call->result.maybe_before)
        applied = TENURE_APPLIED_MAYBE;
    call->error.applied = call->write ? applied : TENURE_APPLIED_NO;
    call->result.code = code;
    call->result.etcd = etcd;
    call->result.error = &call->error;
    complete(call);
}

/* The connection broke under a call that had been sent. */
static void broken(void *what)
{
    struct client_call *call = what;
    if (call->done)
        return;
    if (call->write && !call->repeatable) {
        complete_error(call, TENURE_EUNAVAILABLE, TENURE_APPLIED_MAYBE, ETCD_OK);
        return;
    }
    call->result.maybe_before = call->write;
    if (call->has_again)
        call->txn = call->again;
    call->has_again = false;
    fake_send_copy(call);
}

static void timed_out(void *what)
{
    struct client_call *call = what;
    if (!call->done)
        complete_error(call, TENURE_ETIMEOUT, call->sent ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO, ETCD_OK);
}

static void replied(void *what)
{
    struct copy *copy = what;
    struct client_call *call = copy->call;
    if (call->client->cut) {
        fake_at(fake.now + FAKE_LOST_MS, broken, call);
        return;
    }
    if (call->done)
        return;
    call->result.sent_at = copy->sent_at;
    call->result.maybe_before = copy->number > 1;
    complete(call);
}

static int code_of(enum etcd_error e)
{
    switch (e) {
    case ETCD_COMPACTED:
        return TENURE_ECOMPACTED;
    case ETCD_LEASE_NOT_FOUND:
        return TENURE_ENOTFOUND;
    case ETCD_REQUEST_TOO_LARGE:
        return TENURE_ETOOLARGE;
    case ETCD_TOO_MANY_OPS:
        return TENURE_EINVALID;
    default:
        return TENURE_EEXISTS;
    }
}

static void refused(void *what)
{
    struct copy *copy = what;
    enum etcd_error e = copy->call->result.etcd;
    if (copy->call->client->cut)
        fake_at(fake.now + FAKE_LOST_MS, broken, copy->call);
    else if (!copy->call->done)
        complete_error(copy->call, code_of(e), TENURE_APPLIED_NO, e);
}

/* What the server does with it; the first copy's answer is the call's, later ones are not heard. */
static enum etcd_error carry_out(const struct copy *copy, struct client_call *answer)
{
    struct client_call *call = copy->call;
    fake.n_requests++;
    switch (call->kind) {
    case CALL_RANGE:
        if (call->range.revision > 0 && call->range.revision < fake.compacted)
            return ETCD_COMPACTED;
        fake_do_range(&call->range, &answer->range_resp);
        if (call->client->stale)
            answer->range_resp = (struct range_resp){.revision = 1};
        call->client->stale = false;
        answer->result.range = &answer->range_resp;
        return ETCD_OK;
    case CALL_TXN:
        answer->result.txn = &answer->txn_resp;
        if (call->client->stale && !txn_may_write(&copy->txn)) {
            call->client->stale = false;
            answer->txn_resp = (struct txn_resp){.revision = 1, .responses = fake_take(sizeof(struct response_op))};
            return ETCD_OK;
        }
        enum etcd_error too_large = fake_txn_is_too_large(&copy->txn);
        return too_large ? too_large : fake_do_txn(&copy->txn, &answer->txn_resp);
    case CALL_GRANT:
        answer->result.grant = &answer->grant_resp;
        return fake_do_grant(call->grant.id, call->grant.ttl_s, &answer->grant_resp);
    case CALL_REVOKE:
        answer->result.revoke = &answer->revoke_resp;
        return fake_do_revoke(call->revoke.id);
    case CALL_KEEPALIVE:
        answer->result.keepalive = &answer->keepalive_resp;
        answer->keepalive_resp =
            (struct lease_keepalive_resp){.id = call->keepalive.id, .ttl_s = fake_do_keepalive(call->keepalive.id)};
        return ETCD_OK;
    case CALL_TTL:
        answer->result.ttl = &answer->ttl_resp;
        answer->ttl_resp = fake_do_ttl(call->ttl.id);
        return ETCD_OK;
    }
    return ETCD_OK;
}

static void arrived(void *what)
{
    struct copy *copy = what;
    struct client_call *call = copy->call;
    bool heard = !copy->reply_lost && !call->done;
    struct client_call *answer = heard ? call : fake_take(sizeof *answer);
    enum etcd_error e = carry_out(copy, answer);
    if (!heard)
        return;
    answer->result.etcd = e;
    answer->result.header.revision = fake.revision;
    if (copy->garbled && call->kind == CALL_TXN)
        answer->txn_resp.n_responses = 0;
    fake_at(fake.now + FAKE_LATENCY_MS + call->client->reply_ms + (copy->slow ? FAKE_SLOW_MS : 0),
            e ? refused : replied, copy);
}

static void lost_on_the_way(struct client_call *call)
{
    fake_at(fake.now + FAKE_LOST_MS, broken, call);
}

static void refuse_later(void *what)
{
    struct client_call *call = what;
    if (!call->done)
        complete_error(call, call->result.code, TENURE_APPLIED_NO, ETCD_OK);
}

void fake_send_copy(void *what)
{
    struct client_call *call = what;
    if (call->done)
        return;
    if (call->client->cut) {
        call->waiting = true;
        return;
    }
    struct copy *copy = fake_take(sizeof *copy);
    *copy = (struct copy){.call = call, .sent_at = fake.now, .number = ++call->copies};
    if (call->kind == CALL_TXN)
        copy->txn = call->txn;
    enum fake_fault fault = call->fault;
    call->fault = FAKE_FINE;
    call->waiting = false;
    if (fault == FAKE_UNAVAILABLE || fault == FAKE_DENIED || call->is_stream) {
        call->result.code = call->is_stream        ? TENURE_EUNIMPLEMENTED
                            : fault == FAKE_DENIED ? TENURE_EDENIED
                                                   : TENURE_EUNAVAILABLE;
        fake_at(fake.now + 2 * FAKE_LATENCY_MS, refuse_later, call);
        return;
    }
    call->sent = true;
    copy->garbled = fault == FAKE_GARBLED;
    copy->slow = fault == FAKE_SLOW;
    copy->reply_lost = fault == FAKE_LOSE_REQUEST || fault == FAKE_LOSE_REPLY || fault == FAKE_LATE;
    if (copy->reply_lost)
        lost_on_the_way(call);
    if (fault == FAKE_LATE)
        fake_at(fake.now + FAKE_LATE_MS, arrived, copy);
    else if (fault == FAKE_OVERTAKEN)
        fake_at(fake.now + FAKE_LATENCY_MS + FAKE_BEHIND_MS, arrived, copy);
    else if (fault != FAKE_LOSE_REQUEST)
        fake_at(fake.now + FAKE_LATENCY_MS, arrived, copy);
}

static const char *describe(const struct client_call *call, char *out, size_t size)
{
    switch (call->kind) {
    case CALL_RANGE:
        snprintf(out, size, "range %.*s", (int)call->range.range.key.len, (const char *)call->range.range.key.data);
        return out;
    case CALL_GRANT:
        snprintf(out, size, "grant %" PRIx64, (uint64_t)call->grant.id);
        return out;
    case CALL_REVOKE:
        snprintf(out, size, "revoke %" PRIx64, (uint64_t)call->revoke.id);
        return out;
    case CALL_KEEPALIVE:
        snprintf(out, size, "keepalive %" PRIx64, (uint64_t)call->keepalive.id);
        return out;
    case CALL_TTL:
        snprintf(out, size, "ttl %" PRIx64, (uint64_t)call->ttl.id);
        return out;
    case CALL_TXN:
        break;
    }
    size_t len = (size_t)snprintf(out, size, "txn");
    for (size_t i = 0; i < call->txn.n_success && len < size; i++) {
        const struct request_op *op = &call->txn.success[i];
        bytes key = op->kind == OP_PUT ? op->put.key : op->kind == OP_DELETE ? op->del.range.key : op->range.range.key;
        len += (size_t)snprintf(out + len, size - len, " %s %.*s",
                                op->kind == OP_PUT      ? "put"
                                : op->kind == OP_DELETE ? "delete"
                                                        : "range",
                                (int)key.len, (const char *)key.data);
    }
    return out;
}

static struct client_call *begin(struct client *c, struct client_call *call, const struct client_call_options *opt,
                                 struct tenure_error *err)
{
    char what[600];
    unsigned n = fake.n_calls++;
    call->fault = fake.judge ? fake.judge(fake.judge_user, c, n, describe(call, what, sizeof what)) : FAKE_FINE;
    if (call->fault == FAKE_NO_MEMORY) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    int64_t timeout_ms = opt && opt->timeout_ms ? opt->timeout_ms : FAKE_CALL_TIMEOUT_MS;
    call->client = c;
    call->repeatable = call->repeatable || (opt && opt->repeatable);
    call->deadline = c->now + timeout_ms;
    call->next = fake.calls;
    fake.calls = call;
    fake_at(call->deadline, timed_out, call);
    fake_send_copy(call);
    return call;
}

void fake_told_now(struct client *c, tn_ms now)
{
    assert_true(now <= fake.now);
    if (now > c->now)
        c->now = now;
}

static struct client_call *call_new(enum call_kind kind, struct client *c, client_done_cb cb, void *user, tn_ms now)
{
    struct client_call *call = fake_take(sizeof *call);
    fake_told_now(c, now);
    fake.under = c->under;
    call->kind = kind;
    call->cb = cb;
    call->user = user;
    call->context = client_context_ref(c->context);
    return call;
}

/* Where it lies. A single 0 byte as the end stays no such thing: nobody who was moved asks for all. */
static bytes copy_key(bytes s)
{
    size_t n = fake.under && s.len ? strlen(fake.under) : 0;
    uint8_t *p = fake_take(n + s.len + 1);
    if (n)
        memcpy(p, fake.under, n);
    if (s.len)
        memcpy(p + n, s.data, s.len);
    return bytes_of(p, n + s.len);
}

void fake_move_under(struct client *c, const char *prefix)
{
    c->under = prefix;
}

static struct range_req copy_range(const struct range_req *req)
{
    struct range_req copy = *req;
    copy.range.key = copy_key(req->range.key);
    copy.range.range_end = copy_key(req->range.range_end);
    return copy;
}

struct client_call *client_range(struct client *c, const struct range_req *req, const struct client_call_options *opt,
                                 client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_RANGE, c, cb, user, now);
    call->range = copy_range(req);
    return begin(c, call, opt, err);
}

/* A server from before etcd 3.7. */
struct client_call *client_range_stream(struct client *c, const struct range_req *req,
                                        const struct client_call_options *opt, client_chunk_cb on_chunk,
                                        client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_RANGE, c, cb, user, now);
    (void)on_chunk;
    call->range = copy_range(req);
    call->is_stream = true;
    return begin(c, call, opt, err);
}

static struct txn_req copy_txn(const struct txn_req *req);

static struct request_op *copy_ops(const struct request_op *ops, size_t n)
{
    struct request_op *copy = fake_take((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = ops[i];
        if (ops[i].kind == OP_RANGE)
            copy[i].range = copy_range(&ops[i].range);
        if (ops[i].kind == OP_PUT) {
            copy[i].put.key = copy_key(ops[i].put.key);
            copy[i].put.value = fake_copy_bytes(ops[i].put.value);
        }
        if (ops[i].kind == OP_DELETE)
            copy[i].del.range =
                (struct key_range){copy_key(ops[i].del.range.key), copy_key(ops[i].del.range.range_end)};
        if (ops[i].kind == OP_TXN) {
            copy[i].txn = fake_take(sizeof *copy[i].txn);
            *copy[i].txn = copy_txn(ops[i].txn);
        }
    }
    return copy;
}

static struct compare *copy_compares(const struct compare *compares, size_t n)
{
    struct compare *copy = fake_take((n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++) {
        copy[i] = compares[i];
        copy[i].range.key = copy_key(compares[i].range.key);
        copy[i].range.range_end = copy_key(compares[i].range.range_end);
        copy[i].value = fake_copy_bytes(compares[i].value);
    }
    return copy;
}

static struct txn_req copy_txn(const struct txn_req *req)
{
    return (struct txn_req){.compares = copy_compares(req->compares, req->n_compares),
                            .n_compares = req->n_compares,
                            .success = copy_ops(req->success, req->n_success),
                            .n_success = req->n_success,
                            .failure = copy_ops(req->failure, req->n_failure),
                            .n_failure = req->n_failure};
}

struct client_call *client_txn(struct client *c, const struct txn_req *req, const struct client_call_options *opt,
                               client_done_cb cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_TXN, c, cb, user, now);
    call->txn = copy_txn(req);
    if (opt && opt->again) {
        call->repeatable = call->has_again = true;
        call->again = copy_txn(opt->again);
    }
    call->write = txn_may_write(req);
    return begin(c, call, opt, err);
}

struct client_call *client_lease_grant(struct client *c, const struct lease_grant_req *req,
                                       const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                       struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_GRANT, c, cb, user, now);
    assert_true(req->id > 0);
    call->grant = *req;
    call->write = true;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_revoke(struct client *c, const struct lease_revoke_req *req,
                                        const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_REVOKE, c, cb, user, now);
    call->revoke = *req;
    call->write = call->repeatable = true;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_keepalive_once(struct client *c, const struct lease_keepalive_req *req,
                                                const struct client_call_options *opt, client_done_cb cb, void *user,
                                                tn_ms now, struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_KEEPALIVE, c, cb, user, now);
    call->keepalive = *req;
    return begin(c, call, opt, err);
}

struct client_call *client_lease_ttl(struct client *c, const struct lease_ttl_req *req,
                                     const struct client_call_options *opt, client_done_cb cb, void *user, tn_ms now,
                                     struct tenure_error *err)
{
    struct client_call *call = call_new(CALL_TTL, c, cb, user, now);
    call->ttl = *req;
    return begin(c, call, opt, err);
}

bool client_is_unsent(const struct client_call *call)
{
    return !call->sent && !call->done;
}

void client_cancel(struct client *c, struct client_call *call, tn_ms now)
{
    assert_ptr_equal(call->client, c);
    fake_told_now(c, now);
    assert_false(call->delivered);
    if (!call->done)
        complete_error(call, TENURE_ECANCELLED, call->sent ? TENURE_APPLIED_MAYBE : TENURE_APPLIED_NO, ETCD_OK);
}
