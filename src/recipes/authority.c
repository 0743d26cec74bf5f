/* The side of the home; see authority.h. What is asked of its own cluster: a look at the record, then watches on it and on the asks; one
 * lease; and the word, put whenever somebody asks, by a transaction that compares that the record is the one that was seen. */
#include "recipes/authority.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "recipes/session.h"
#include "tenure/error.h"

enum { RETRY_MIN_MS = 50, RETRY_MAX_MS = 1000, CALL_MIN_MS = 1000, WORD_MIN_MS = 100 };

struct authority {
    struct authority_config k;
    struct buf keys; /* the three keys and the prefix behind each other */
    bytes prefix, record_key, word_key, asks_key;
    struct authority_claim claim;
    struct authority_place places[AUTHORITY_REGIONS_MAX];
    bool leads, is_home; /* is_home: and wants authority; the places are kept */

    struct op *op; /* one at a time at home */
    bool is_known; /* the record, as the watch says no other */
    struct home home;
    tn_rev record_mod;
    struct client_watch *watch_record, *watch_asks;
    bool watch_ended;
    tn_ms asked_at, heard_at; /* when the request under way, and the last that was answered, was sent */
    tn_lease lease;
    tn_ms lease_at;             /* when its next renewal is due */
    tn_rev word_mod;            /* of the own word; 0 = none stands, as far as is known */
    tn_rev seen, telling, told; /* the newest ask; that the word under way, or the last one, answers */
    tn_ms retry_at;
    struct backoff backoff;
    struct rng rng;
    struct tenure_error why;
};

size_t authority_needs(size_t n_others)
{
    size_t half = (n_others + 1) / 2;
    return half > 0 ? half : 1;
}

static tn_ms now_of(const struct authority *a)
{
    return client_now(a->k.home);
}

static int64_t lease_ttl_s(const struct authority *a)
{
    return a->k.ttl_s * 2 / 3;
}

static struct client_call_options call_options(const struct authority *a)
{
    int64_t third = a->k.ttl_s * 1000 / 3;
    return (struct client_call_options){.timeout_ms = third > CALL_MIN_MS ? third : CALL_MIN_MS};
}

/* ---- places ---- */

static tn_ms until_of(const struct authority *a)
{
    tn_ms sorted[AUTHORITY_REGIONS_MAX];
    size_t needed = authority_needs(a->k.n_others), n = 0;
    for (size_t i = 0; i < a->k.n_others; i++) {
        size_t at = n++;
        for (; at > 0 && sorted[at - 1] < a->places[i].until; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = a->places[i].until;
    }
    return needed <= n ? sorted[needed - 1] : 0;
}

static void stop_places(struct authority *a, tn_ms now)
{
    for (size_t i = 0; i < a->k.n_others && a->is_home; i++)
        place_stop(&a->places[i], now);
    a->is_home = false;
}

static void begin_places(struct authority *a, tn_ms now)
{
    a->claim.home = a->home;
    for (size_t i = 0; i < a->k.n_others; i++)
        place_begin(&a->places[i], now);
    a->is_home = true;
}

static void on_place_changed(void *user)
{
    struct authority *a = user;
    a->k.asked(a->k.user);
}

/* ---- at home ---- */

static void stop_watches(struct authority *a, tn_ms now)
{
    if (a->watch_record)
        client_watch_stop(a->k.home, a->watch_record, now);
    if (a->watch_asks)
        client_watch_stop(a->k.home, a->watch_asks, now);
    a->watch_record = a->watch_asks = NULL;
    a->watch_ended = false;
}

static void failed(struct authority *a, const struct tenure_error *why)
{
    a->why = *why;
    a->retry_at = now_of(a) + backoff_failure(&a->backoff, &a->rng);
    a->k.asked(a->k.user);
}

static void went_well(struct authority *a)
{
    error_clear(&a->why);
    backoff_success(&a->backoff);
    a->heard_at = a->asked_at;
    a->retry_at = 0;
    a->k.asked(a->k.user);
}

static void on_record_events(void *user, const struct client_watch_events *e)
{
    struct authority *a = user;
    a->is_known = a->is_known && e->n_events == 0;
    a->k.asked(a->k.user);
}

static void on_asks_events(void *user, const struct client_watch_events *e)
{
    struct authority *a = user;
    for (size_t i = 0; i < e->n_events; i++)
        if (e->events[i].type == EVENT_PUT && e->events[i].kv.mod_revision > a->seen)
            a->seen = e->events[i].kv.mod_revision;
    a->k.asked(a->k.user);
}

/* What it may have missed is in the next look. */
static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct authority *a = user;
    (void)code, (void)compact_revision;
    a->is_known = false;
    a->watch_ended = true;
    if (error)
        failed(a, error);
    else
        a->k.asked(a->k.user);
}

static bool start_watches(struct authority *a, tn_rev seen, tn_ms now)
{
    static const struct client_watch_callbacks on_record = {.on_events = on_record_events, .on_end = on_watch_end},
                                               on_asks = {.on_events = on_asks_events, .on_end = on_watch_end};
    struct tenure_error err = {0};
    struct watch_create_req record = {.range.key = a->record_key, .start_revision = seen + 1},
                            asks = {.range.key = a->asks_key, .start_revision = seen + 1};
    if (a->watch_record && a->watch_asks && !a->watch_ended)
        return true;
    stop_watches(a, now);
    a->watch_record = client_watch_start(a->k.home, &record, &on_record, a, now, &err);
    if (a->watch_record)
        a->watch_asks = client_watch_start(a->k.home, &asks, &on_asks, a, now, &err);
    if (!a->watch_asks)
        failed(a, &err);
    return a->watch_asks;
}

static bool is_mine(const struct authority *a)
{
    return a->home.epoch && a->home.authority && strcmp(a->home.region, a->k.region) == 0;
}

static void take_record(struct authority *a, const struct kv *record, tn_ms now)
{
    struct home was = a->home;
    a->home = (struct home){.epoch = 0};
    error_clear(&a->why);
    if (record && home_parse(record->value, &a->home))
        error_set(&a->why, TENURE_ECORRUPT, "the record of its home cannot be read");
    a->record_mod = record ? record->mod_revision : 0;
    bool same = was.epoch == a->home.epoch && strcmp(was.region, a->home.region) == 0;
    if (!same || !is_mine(a))
        stop_places(a, now);
    if (!same)
        a->word_mod = 0;
    if (is_mine(a) && !a->is_home)
        begin_places(a, now);
}

static void on_looked(void *owner, const struct client_result *r)
{
    struct authority *a = owner;
    tn_ms now = now_of(a);
    struct tenure_error err;
    if (r->code) {
        failed(a, r->error);
        return;
    }
    const struct response_op *ops = r->txn->responses;
    if (r->txn->n_responses != 2 || ops[0].kind != OP_RANGE || ops[1].kind != OP_RANGE) {
        error_set(&err, TENURE_EPROTOCOL, "the answer to a question about a home is not one");
        failed(a, &err);
        return;
    }
    if (!start_watches(a, r->txn->revision, now))
        return;
    if (ops[1].range.n_kvs && ops[1].range.kvs[0].mod_revision > a->seen)
        a->seen = ops[1].range.kvs[0].mod_revision;
    a->is_known = true;
    went_well(a);
    take_record(a, ops[0].range.n_kvs ? &ops[0].range.kvs[0] : NULL, now);
}

static void look(struct authority *a, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(a);
    struct request_op ops[2] = {{.kind = OP_RANGE, .range.range.key = a->record_key},
                                {.kind = OP_RANGE, .range.range.key = a->asks_key}};
    struct txn_req req = {.success = ops, .n_success = 2};
    a->asked_at = now;
    if (op_txn(&a->op, a->k.home, &req, &o, on_looked, a, now, &err))
        failed(a, &err);
}

/* ---- the lease at home ---- */

static void no_lease(struct authority *a)
{
    a->lease = 0;
    a->word_mod = 0;
    went_well(a);
}

static void lease_lives(struct authority *a)
{
    a->lease_at = a->asked_at + lease_ttl_s(a) * 1000 / 3;
    went_well(a);
}

static void on_granted(void *owner, const struct client_result *r)
{
    struct authority *a = owner;
    if (r->code) {
        failed(a, r->error);
        return;
    }
    a->lease = r->grant->id;
    lease_lives(a);
}

static void on_renewed(void *owner, const struct client_result *r)
{
    struct authority *a = owner;
    if (r->code)
        failed(a, r->error);
    else if (r->keepalive->ttl_s <= 0)
        no_lease(a);
    else
        lease_lives(a);
}

static void keep_lease(struct authority *a, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(a);
    struct lease_grant_req grant = {.ttl_s = lease_ttl_s(a)};
    struct lease_keepalive_req renew = {.id = a->lease};
    do
        grant.id = (tn_lease)(client_random(a->k.home) & INT64_MAX);
    while (grant.id == 0);
    a->asked_at = now;
    if (a->lease ? op_lease_keepalive_once(&a->op, a->k.home, &renew, &o, on_renewed, a, now, &err)
                 : op_lease_grant(&a->op, a->k.home, &grant, &o, on_granted, a, now, &err))
        failed(a, &err);
}

/* ---- the word ---- */

static void on_told(void *owner, const struct client_result *r)
{
    struct authority *a = owner;
    if (r->code && r->etcd == ETCD_LEASE_NOT_FOUND) {
        no_lease(a);
    } else if (r->code) {
        failed(a, r->error);
    } else if (!r->txn->succeeded) {
        a->is_known = false; /* the record is another one */
        went_well(a);
    } else {
        a->word_mod = r->txn->revision;
        a->told = a->telling;
        went_well(a);
    }
}

/* The clock is read behind what was seen: whoever asked has asked before. */
static void tell(struct authority *a, tn_ms until, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(a);
    struct buf value;
    int64_t left = until - a->k.clock(a->k.user);
    struct home_word w = {.home = a->home, .ttl_s = a->k.ttl_s, .left_ms = left, .seen = a->seen};
    if (left < WORD_MIN_MS)
        return; /* it is over as good as */
    if (w.left_ms > w.ttl_s * 1000)
        w.left_ms = w.ttl_s * 1000; /* places of another process, with a longer one */
    buf_init(&value);
    home_word_format(&w, &value);
    struct compare same = {
        .target = COMPARE_MOD, .result = COMPARE_EQUAL, .range.key = a->record_key, .number = a->record_mod};
    struct request_op put = {.kind = OP_PUT,
                             .put = {.key = a->word_key, .value = buf_bytes(&value), .lease = a->lease}};
    struct txn_req req = {.compares = &same, .n_compares = 1, .success = &put, .n_success = 1};
    a->telling = a->seen;
    a->asked_at = now;
    if (buf_error(&value))
        error_set(&err, TENURE_ENOMEM, "out of memory");
    if (buf_error(&value) || op_txn(&a->op, a->k.home, &req, &o, on_told, a, now, &err))
        failed(a, &err);
    buf_fini(&value);
}

static void on_taken_back(void *owner, const struct client_result *r)
{
    struct authority *a = owner;
    if (r->code) {
        failed(a, r->error);
        return;
    }
    a->word_mod = 0;
    went_well(a);
}

/* Nobody is to begin anything: if it is still the own word. */
static void take_back(struct authority *a, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = call_options(a);
    struct compare same = {
        .target = COMPARE_MOD, .result = COMPARE_EQUAL, .range.key = a->word_key, .number = a->word_mod};
    struct request_op gone = {.kind = OP_DELETE, .del.range.key = a->word_key};
    struct txn_req req = {.compares = &same, .n_compares = 1, .success = &gone, .n_success = 1};
    a->asked_at = now;
    if (op_txn(&a->op, a->k.home, &req, &o, on_taken_back, a, now, &err))
        failed(a, &err);
}

/* ---- what is due ---- */

/* Home is asked at least as often: a home that does not answer is none, and then its places are left to end. */
static tn_ms look_again_at(const struct authority *a)
{
    return a->heard_at + lease_ttl_s(a) * 1000 / 2;
}

static bool home_answers(const struct authority *a, tn_ms now)
{
    return a->is_home && now < a->heard_at + lease_ttl_s(a) * 1000;
}

/* Its lease at home ends before the authority does. */
static bool may_renew(const struct authority *a, tn_ms until, tn_ms now)
{
    return until - now >= lease_ttl_s(a) * 1000;
}

static void run_home(struct authority *a, tn_ms now)
{
    tn_ms until = a->is_home ? until_of(a) : 0;
    if (a->op || now < a->retry_at)
        return;
    if (!a->is_known || now >= look_again_at(a))
        look(a, now);
    else if (until <= now && a->word_mod)
        take_back(a, now);
    else if (until <= now)
        return;
    else if ((!a->lease || now >= a->lease_at) && may_renew(a, until, now))
        keep_lease(a, now);
    else if (a->lease && (!a->word_mod || a->seen > a->told))
        tell(a, until, now);
}

void authority_run(struct authority *a, tn_ms now)
{
    if (!a->leads)
        return;
    run_home(a, now);
    for (size_t i = 0; i < a->k.n_others && home_answers(a, now); i++)
        place_run(&a->places[i], now);
}

static tn_ms earlier(tn_ms x, tn_ms y)
{
    return x < y ? x : y;
}

static tn_ms home_deadline(const struct authority *a)
{
    tn_ms until = a->is_home ? until_of(a) : 0, now = now_of(a);
    if (a->op)
        return TN_MS_NEVER;
    if (!a->is_known)
        return a->retry_at;
    tn_ms at = look_again_at(a);
    if (until <= now && a->word_mod)
        at = now;
    if (until > now)
        at = earlier(at, until);
    if (until > now && may_renew(a, until, now))
        at = earlier(at, a->lease ? a->lease_at : now);
    if (a->lease && (!a->word_mod || a->seen > a->told) && until - now >= WORD_MIN_MS)
        at = now;
    return at < a->retry_at ? a->retry_at : at;
}

tn_ms authority_deadline(const struct authority *a)
{
    if (!a->leads)
        return TN_MS_NEVER;
    tn_ms at = home_deadline(a);
    for (size_t i = 0; i < a->k.n_others && home_answers(a, now_of(a)); i++)
        at = earlier(at, place_deadline(&a->places[i]));
    return at;
}

/* ---- life ---- */

static bytes key_of(struct buf *b, size_t *at, const char *before, bytes prefix)
{
    size_t from = *at;
    (void)before;
    *at += strlen(before) + prefix.len;
    return bytes_of(b->data + from, *at - from);
}

static bool make_keys(struct authority *a, bytes prefix)
{
    static const char *const before[] = {"", HOME_KEYS, HOME_AUTHORITY_KEYS, HOME_ASKS_KEYS};
    size_t at = 0;
    buf_init(&a->keys);
    for (size_t i = 0; i < 4; i++) {
        buf_append_bytes(&a->keys, bytes_str(before[i]));
        buf_append_bytes(&a->keys, prefix);
    }
    if (buf_error(&a->keys))
        return false;
    a->prefix = key_of(&a->keys, &at, before[0], prefix);
    a->record_key = key_of(&a->keys, &at, before[1], prefix);
    a->word_key = key_of(&a->keys, &at, before[2], prefix);
    a->asks_key = key_of(&a->keys, &at, before[3], prefix);
    return true;
}

struct authority *authority_new(const struct authority_config *config)
{
    struct authority *a = calloc(1, sizeof *a);
    assert(config->n_others <= AUTHORITY_REGIONS_MAX);
    if (!a)
        return NULL;
    a->k = *config;
    if (!make_keys(a, config->prefix)) {
        buf_fini(&a->keys);
        free(a);
        return NULL;
    }
    a->claim = (struct authority_claim){
        .prefix = a->prefix, .record_key = a->record_key, .word_key = a->word_key, .ttl_s = config->ttl_s};
    backoff_init(&a->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&a->rng, client_random(config->home));
    for (size_t i = 0; i < config->n_others; i++) {
        a->places[i] = (struct authority_place){.claim = &a->claim,
                                                .client = config->others[i].client,
                                                .region = config->others[i].name,
                                                .changed = on_place_changed,
                                                .user = a};
        place_init(&a->places[i], client_random(config->home));
    }
    return a;
}

/* The word goes by its lease, or when another process says its own. */
static void stop(struct authority *a, tn_ms now)
{
    op_drop(&a->op, now);
    stop_watches(a, now);
    stop_places(a, now);
    a->is_known = false;
    a->home = (struct home){.epoch = 0};
    a->lease = 0;
    a->word_mod = a->told = 0;
    a->retry_at = 0;
    error_clear(&a->why);
}

struct authority *authority_free(struct authority *a, tn_ms now)
{
    if (!a)
        return NULL;
    stop(a, now);
    buf_fini(&a->keys);
    free(a);
    return NULL;
}

void authority_lead(struct authority *a, bool leads, tn_ms now)
{
    if (a->leads && !leads)
        stop(a, now);
    a->leads = leads;
    a->k.asked(a->k.user);
}

/* ---- looking at it ---- */

void authority_look(const struct authority *a, tn_ms now, struct authority_view *ret)
{
    tn_ms until = a->is_home ? until_of(a) : 0;
    *ret = (struct authority_view){.home = a->home, .why = a->why, .needed = authority_needs(a->k.n_others)};
    for (size_t i = 0; i < a->k.n_others && a->is_home; i++)
        ret->had += a->places[i].until > now;
    if (!a->leads || (!a->is_known && !a->is_home))
        ret->state = AUTHORITY_STANDBY;
    else if (!a->is_home)
        ret->state = AUTHORITY_ELSEWHERE;
    else
        ret->state = until > now ? AUTHORITY_HELD : AUTHORITY_SEEKING;
    ret->until = until > now ? until : 0;
    ret->is_told = ret->until && a->word_mod;
}

tn_ms authority_place(const struct authority *a, size_t i, const struct tenure_error **ret_why)
{
    *ret_why = &a->places[i].why;
    return a->is_home ? a->places[i].until : 0;
}
