/* The record of a lock with a delay; see delay.h. Anybody may write it: what is read from it is bounded. */
#include "recipes/delay.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

bytes delay_record(tn_rev create, int64_t delay_ms, char out[DELAY_RECORD_MAX])
{
    int n = snprintf(out, DELAY_RECORD_MAX, "{\"token\":%" PRId64 ",\"delay_ms\":%" PRId64 "}", create, delay_ms);
    return bytes_of(out, (size_t)n);
}

/* 0 when there is none. */
static int64_t read_number(bytes record, const char *name)
{
    char text[DELAY_RECORD_MAX];
    size_t len = record.len < sizeof text - 1 ? record.len : sizeof text - 1;
    if (len)
        memcpy(text, record.data, len);
    text[len] = 0;
    const char *at = strstr(text, name);
    return at ? strtoll(at + strlen(name), NULL, 10) : 0;
}

static int64_t read_delay(bytes record, int64_t otherwise)
{
    int64_t ms = read_number(record, "\"delay_ms\":");
    ms = ms > 0 ? ms : otherwise;
    return ms < DELAY_MAX_MS ? ms : DELAY_MAX_MS;
}

static struct compare compare_number(bytes key, enum compare_target target, tn_rev number)
{
    return (struct compare){.target = target, .result = COMPARE_EQUAL, .range.key = key, .number = number};
}

void delay_claim(const struct queue *q, tn_rev create, int64_t delay_ms, struct delay_txn *ret)
{
    bytes record = delay_record(create, delay_ms, ret->record);
    ret->compares[0] = compare_number(q->own, COMPARE_CREATE, create);
    ret->compares[1] = compare_number(q->delay, COMPARE_CREATE, 0);
    ret->success[0] = (struct request_op){.kind = OP_PUT, .put = {.key = q->delay, .value = record}};
    ret->failure[0] = (struct request_op){.kind = OP_RANGE, .range.range.key = q->own};
    ret->failure[1] = (struct request_op){.kind = OP_RANGE, .range.range.key = q->delay};
    ret->req = (struct txn_req){.compares = ret->compares,
                                .n_compares = 2,
                                .success = ret->success,
                                .n_success = 1,
                                .failure = ret->failure,
                                .n_failure = 2};
}

void delay_count_down(const struct queue *q, tn_rev mod, bytes record, tn_lease lease, struct delay_txn *ret)
{
    ret->compares[0] = compare_number(q->delay, COMPARE_MOD, mod);
    ret->success[0] = (struct request_op){.kind = OP_PUT, .put = {.key = q->delay, .value = record, .lease = lease}};
    ret->failure[0] = (struct request_op){.kind = OP_RANGE, .range.range.key = q->delay};
    ret->req = (struct txn_req){.compares = ret->compares,
                                .n_compares = 1,
                                .success = ret->success,
                                .n_success = 1,
                                .failure = ret->failure,
                                .n_failure = 1};
}

static void look(const struct kv *kv, tn_rev create, int64_t delay_ms, struct delay_view *v)
{
    v->mod = kv->mod_revision;
    v->record = kv->value;
    v->delay_ms = read_delay(kv->value, delay_ms);
    v->answer = kv->lease ? DELAY_COUNTING : DELAY_LEFT_BEHIND;
    if (!kv->lease && read_number(kv->value, "\"token\":") == create)
        v->answer = DELAY_OURS; /* with another delay, when a process before this one put it */
}

int delay_claimed(const struct queue *q, tn_rev create, int64_t delay_ms, const struct txn_resp *r,
                  struct delay_view *ret, struct tenure_error *err)
{
    (void)q;
    *ret = (struct delay_view){.answer = DELAY_OURS, .revision = r->revision, .mod = r->revision};
    if (r->succeeded)
        return 0;
    if (r->n_responses != 2 || r->responses[0].kind != OP_RANGE || r->responses[1].kind != OP_RANGE)
        return error_set(err, TENURE_EPROTOCOL, "the answer to a transaction to claim a lock is not one");
    const struct range_resp *own = &r->responses[0].range, *record = &r->responses[1].range;
    if (own->n_kvs == 0 || own->kvs[0].create_revision != create)
        ret->answer = DELAY_OUT;
    else if (record->n_kvs == 0)
        return error_set(err, TENURE_EPROTOCOL, "a transaction to claim a lock was refused without a reason");
    else
        look(&record->kvs[0], create, delay_ms, ret);
    return 0;
}
