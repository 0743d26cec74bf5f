/* See authority_place.h. Anybody may write the keys: what is read from them is checked. */
#include "recipes/authority_place.h"

#include <inttypes.h>

#include "recipes/session.h"
#include "tenure/error.h"

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 2000, CALL_MIN_MS = 1000, BUSY_MS = 500 };

void place_init(struct authority_place *p, uint64_t seed)
{
    backoff_init(&p->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&p->rng, seed);
    p->at = TN_MS_NEVER;
}

void place_begin(struct authority_place *p, tn_ms now)
{
    op_drop(&p->op, now);
    p->step = PLACE_LOOK;
    p->until = 0;
    p->at = now;
    if (!p->client)
        error_set(&p->why, TENURE_EINVALID, "its endpoints cannot be read");
}

void place_stop(struct authority_place *p, tn_ms now)
{
    op_drop(&p->op, now);
    p->until = 0;
    p->at = TN_MS_NEVER;
    error_clear(&p->why);
}

static tn_ms now_of(const struct authority_place *p)
{
    return client_now(p->client);
}

static struct client_call_options call_options(const struct authority_place *p)
{
    int64_t third = p->claim->ttl_s * 1000 / 3;
    return (struct client_call_options){.timeout_ms = third > CALL_MIN_MS ? third : CALL_MIN_MS};
}

static void look_at(struct authority_place *p, tn_ms at)
{
    p->step = PLACE_LOOK;
    p->at = at;
}

/* What may pass. */
static void failed(struct authority_place *p, const struct tenure_error *why)
{
    p->why = *why;
    p->at = now_of(p) + backoff_failure(&p->backoff, &p->rng);
    if (p->step != PLACE_RENEW && p->step != PLACE_PROVE)
        p->step = PLACE_LOOK;
    else
        p->step = PLACE_RENEW;
    p->changed(p->user);
}

static bool has_failed(struct authority_place *p, const struct client_result *r)
{
    if (r->code)
        failed(p, r->error);
    return r->code;
}

/* ---- what lies there ---- */

static void ask(struct authority_place *p, op_done done, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(p);
    struct request_op ops[2] = {{.kind = OP_RANGE, .range.range.key = p->claim->record_key},
                                {.kind = OP_RANGE, .range.range.key = p->claim->word_key}};
    struct txn_req req = {.success = ops, .n_success = 2};
    p->at = TN_MS_NEVER;
    if (op_txn(&p->op, p->client, &req, &o, done, p, now, &err))
        failed(p, &err);
}

static const struct kv *kv_of(const struct txn_resp *r, size_t i)
{
    return r->responses[i].range.n_kvs ? &r->responses[i].range.kvs[0] : NULL;
}

static bool is_answer(struct authority_place *p, const struct txn_resp *r)
{
    bool good = r->n_responses == 2 && r->responses[0].kind == OP_RANGE && r->responses[1].kind == OP_RANGE;
    struct tenure_error err;
    if (!good) {
        error_set(&err, TENURE_EPROTOCOL, "the answer to a question about a home is not one");
        failed(p, &err);
    }
    return good;
}

static bool is_same(const struct home *a, const struct home *b)
{
    return a->epoch == b->epoch && strcmp(a->region, b->region) == 0;
}

/* Whether the record there says what the home's own says; else why not. */
static bool agrees(struct authority_place *p, const struct kv *record, struct tenure_error *why)
{
    const struct home *own = &p->claim->home;
    struct home there = {.epoch = 0};
    if (record && home_parse(record->value, &there))
        error_set(why, TENURE_ECORRUPT, "the record of the home there cannot be read");
    else if (there.epoch < own->epoch)
        error_set(why, TENURE_ECONFLICT, "it does not know of epoch %" PRId64 " yet: tenure region sync", own->epoch);
    else if (!is_same(&there, own))
        error_set(why, TENURE_ECONFLICT, "the home is '%s' by what it knows (epoch %" PRId64 ")", there.region,
                  there.epoch);
    else
        return true;
    return false;
}

/* Not before something changes there: looked at again now and then. */
static void wait_there(struct authority_place *p, const struct tenure_error *why)
{
    p->why = *why;
    look_at(p, now_of(p) + BUSY_MS);
    p->changed(p->user);
}

/* ---- renewing ---- */

static tn_ms period(const struct authority_place *p)
{
    return p->ttl_s * 1000 / 4;
}

static void had(struct authority_place *p)
{
    tn_ms until = p->asked_at + p->ttl_s * 1000 - session_margin_ms(p->ttl_s);
    backoff_success(&p->backoff);
    error_clear(&p->why);
    if (until > p->until)
        p->until = until;
    p->step = PLACE_RENEW;
    p->at = p->asked_at + period(p);
    p->changed(p->user);
}

static void lost_there(struct authority_place *p, const char *what)
{
    error_set(&p->why, TENURE_ELOST, "%s", what);
    look_at(p, now_of(p));
    p->changed(p->user);
}

static void on_proven(void *owner, const struct client_result *r)
{
    struct authority_place *p = owner;
    struct tenure_error why;
    if (has_failed(p, r) || !is_answer(p, r->txn))
        return;
    const struct kv *record = kv_of(r->txn, 0), *key = kv_of(r->txn, 1);
    if (!agrees(p, record, &why))
        wait_there(p, &why);
    else if (!key || key->lease != p->lease || key->mod_revision != p->mod)
        lost_there(p, "its place there was lost");
    else
        had(p);
}

static void on_renewed(void *owner, const struct client_result *r)
{
    struct authority_place *p = owner;
    if (has_failed(p, r))
        return;
    if (r->keepalive->ttl_s <= 0) {
        lost_there(p, "its lease there was over");
        return;
    }
    p->ttl_s = r->keepalive->ttl_s < HOME_WORD_TTL_MAX ? r->keepalive->ttl_s : HOME_WORD_TTL_MAX;
    p->step = PLACE_PROVE;
    ask(p, on_proven, now_of(p));
}

static void renew(struct authority_place *p, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(p);
    struct lease_keepalive_req req = {.id = p->lease};
    p->asked_at = now;
    p->at = TN_MS_NEVER;
    if (op_lease_keepalive_once(&p->op, p->client, &req, &o, on_renewed, p, now, &err))
        failed(p, &err);
}

/* ---- taking ---- */

/* Not done, or not known to be: the look shows. */
static void on_taken(void *owner, const struct client_result *r)
{
    struct authority_place *p = owner;
    if (has_failed(p, r))
        return;
    if (!r->txn->succeeded) {
        look_at(p, now_of(p) + RETRY_MIN_MS);
        p->changed(p->user);
        return;
    }
    p->mod = r->txn->revision;
    had(p);
}

static void take(struct authority_place *p, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(p);
    struct buf value;
    struct home_word w = {.home = p->claim->home, .ttl_s = p->ttl_s};
    buf_init(&value);
    home_word_format(&w, &value);
    struct compare compares[2] = {
        {.target = COMPARE_CREATE, .result = COMPARE_EQUAL, .range.key = p->claim->word_key},
        {.target = COMPARE_MOD, .result = COMPARE_EQUAL, .range.key = p->claim->record_key, .number = p->record_mod}};
    struct request_op put = {.kind = OP_PUT,
                             .put = {.key = p->claim->word_key, .value = buf_bytes(&value), .lease = p->lease}};
    struct txn_req req = {.compares = compares, .n_compares = 2, .success = &put, .n_success = 1};
    p->step = PLACE_TAKE;
    if (buf_error(&value))
        error_set(&err, TENURE_ENOMEM, "out of memory");
    if (buf_error(&value) || op_txn(&p->op, p->client, &req, &o, on_taken, p, now, &err))
        failed(p, &err);
    buf_fini(&value);
}

static void on_granted(void *owner, const struct client_result *r)
{
    struct authority_place *p = owner;
    if (has_failed(p, r))
        return;
    p->lease = r->grant->id;
    p->ttl_s = r->grant->ttl_s < HOME_WORD_TTL_MAX ? r->grant->ttl_s : HOME_WORD_TTL_MAX;
    take(p, now_of(p));
}

static void grant(struct authority_place *p, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(p);
    struct lease_grant_req req = {.ttl_s = p->claim->ttl_s};
    do
        req.id = (tn_lease)(client_random(p->client) & INT64_MAX);
    while (req.id == 0);
    p->step = PLACE_GRANT;
    p->asked_at = now;
    if (op_lease_grant(&p->op, p->client, &req, &o, on_granted, p, now, &err))
        failed(p, &err);
}

/* ---- looking ---- */

/* The home's own, of an earlier process, or of another. */
static bool adopts(struct authority_place *p, const struct kv *key)
{
    struct home_word w;
    if (!key->lease || home_word_parse(key->value, &w) || !is_same(&w.home, &p->claim->home))
        return false;
    p->lease = key->lease;
    p->mod = key->mod_revision;
    renew(p, now_of(p));
    return true;
}

static void on_looked(void *owner, const struct client_result *r)
{
    struct authority_place *p = owner;
    struct tenure_error why;
    if (has_failed(p, r) || !is_answer(p, r->txn))
        return;
    const struct kv *record = kv_of(r->txn, 0), *key = kv_of(r->txn, 1);
    if (!agrees(p, record, &why)) {
        wait_there(p, &why);
    } else if (!key) {
        p->record_mod = record->mod_revision;
        grant(p, now_of(p));
    } else if (!adopts(p, key)) {
        error_set(&why, TENURE_EBUSY, "the authority of an earlier home lives there still");
        wait_there(p, &why);
    }
}

/* ---- time ---- */

void place_run(struct authority_place *p, tn_ms now)
{
    if (!p->client || p->op || now < p->at)
        return;
    if (p->step == PLACE_RENEW)
        renew(p, now);
    else
        ask(p, on_looked, now);
}

tn_ms place_deadline(const struct authority_place *p)
{
    return p->client && !p->op ? p->at : TN_MS_NEVER;
}
