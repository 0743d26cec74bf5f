/* See homed.h. Anybody may write the records: what is read from them is checked. */
#include "recipes/homed.h"

#include <inttypes.h>

void homed_ask(const struct queue *q, tn_rev create, struct homed_txn *ret)
{
    ret->compare =
        (struct compare){.target = COMPARE_CREATE, .result = COMPARE_EQUAL, .range.key = q->own, .number = create};
    ret->success[0] =
        (struct request_op){.kind = OP_RANGE, .range = {.range = home_range(), .limit = HOMED_RECORDS_MAX}};
    ret->success[1] = (struct request_op){.kind = OP_RANGE, .range.range.key = bytes_str(HOME_REGION_KEY)};
    ret->failure = (struct request_op){.kind = OP_RANGE, .range.range.key = q->own};
    ret->req = (struct txn_req){.compares = &ret->compare,
                                .n_compares = 1,
                                .success = ret->success,
                                .n_success = 2,
                                .failure = &ret->failure,
                                .n_failure = 1};
}

static bool is_range(const struct txn_resp *r, size_t n)
{
    if (r->n_responses != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (r->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

static int length(bytes s)
{
    return s.len < 100 ? (int)s.len : 100;
}

static int look(const struct queue *q, tn_rev create, const struct kv *record, bytes here, struct homed_view *v,
                struct tenure_error *err)
{
    struct home home;
    bytes prefix = home_prefix_of(record->key);
    if (home_parse(record->value, &home))
        return error_set(err, TENURE_ECORRUPT, "'%.*s': the record of the home of '%.*s' cannot be read",
                         length(q->path), (const char *)q->path.data, length(prefix), (const char *)prefix.data);
    v->epoch = home.epoch;
    v->authority = home.authority;
    v->prefix = prefix;
    if (!bytes_equal(here, bytes_str(home.region))) {
        v->answer = HOMED_ELSEWHERE;
        error_set(&v->error, TENURE_ECONFLICT,
                  "'%.*s' has its home in region '%s' (epoch %" PRId64 "), and this is %s%.*s%s", length(q->path),
                  (const char *)q->path.data, home.region, home.epoch, here.len ? "'" : "no region", length(here),
                  here.len ? (const char *)here.data : "", here.len ? "'" : "");
        return 0;
    }
    if (record->mod_revision > create)
        v->answer = HOMED_SINCE;
    else if (home_token(home.epoch, create) == 0)
        return error_set(err, TENURE_ELIMIT, "'%.*s': revision %" PRId64 " has no place in a token with an epoch",
                         length(q->path), (const char *)q->path.data, create);
    return 0;
}

int homed_answered(const struct queue *q, tn_rev create, const struct txn_resp *r, struct homed_view *ret,
                   struct tenure_error *err)
{
    *ret = (struct homed_view){.answer = HOMED_HERE, .revision = r->revision};
    if (!is_range(r, r->succeeded ? 2 : 1))
        return error_set(err, TENURE_EPROTOCOL, "the answer to a transaction that asks for a home is not one");
    if (!r->succeeded) {
        ret->answer = HOMED_OUT;
        return 0;
    }
    const struct range_resp *homes = &r->responses[0].range, *name = &r->responses[1].range;
    if (homes->more)
        return error_set(err, TENURE_ELIMIT, "there are more than %d records of homes", HOMED_RECORDS_MAX);
    size_t i = home_covering(homes->kvs, homes->n_kvs, q->own);
    bytes here = name->n_kvs ? name->kvs[0].value : bytes_of(NULL, 0);
    return i == SIZE_MAX ? 0 : look(q, create, &homes->kvs[i], here, ret, err);
}
