/* Who may copy: what is looked at, on both sides, before and behind the claim.
 *
 * Without home records: a prefix of which the source itself holds a copy is refused, and the claim is written before that is
 * looked at for the last time; so of two mirrors against each other at least one sees the other, and there are no loops. What another
 * mirror writes in the destination is refused as well: the claim compares that no record has been made since they were read.
 *
 * With home records (recipes/home.h): both sides must name the same region in the same epoch, and it must be the source's own. Every
 * transaction compares that no home record of the destination has changed. Records of mirrors of an older epoch of their own prefix
 * count for nothing; then the claim compares that no record has changed at all, so that none of those is taken up again meanwhile.
 * Where the source is not the home the carrier waits: a home may move there.
 *
 * A destination that has keys already and no record of this mirror is refused, unless they may go: --replace, or a home that has
 * moved, whose region's word counts.
 */
#include <inttypes.h>

#include "mirror/internal.h"

enum { WAIT_MS = 1000 };

/* What both looks read; the record itself is read at the destination only. */
enum { LOOK_HOMES, LOOK_MIRRORS, LOOK_REGION, LOOK_RECORD, LOOK_OPS };

static struct key_range mirrors_range(void)
{
    return (struct key_range){bytes_str(CARRIER_KEYS), bytes_str("/federation/mirrors0")};
}

static struct request_op read_op(struct key_range r)
{
    return (struct request_op){.kind = OP_RANGE, .range = {.range = r}};
}

static void fill_look(const struct carrier *c, struct request_op ops[LOOK_OPS])
{
    ops[LOOK_HOMES] = read_op(home_range());
    ops[LOOK_MIRRORS] = read_op(mirrors_range());
    ops[LOOK_REGION] = read_op((struct key_range){.key = bytes_str(HOME_REGION_KEY)});
    ops[LOOK_RECORD] = read_op((struct key_range){.key = buf_bytes(&c->key)});
}

static bool answers(const struct client_result *r, size_t n)
{
    if (r->txn->n_responses != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (r->txn->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

static void garbled(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    error_set(&err, TENURE_EPROTOCOL, "a server's answer is not one to what was asked");
    carrier_retry(c, &err, now);
}

static const struct range_resp *range_at(const struct client_result *r, size_t i)
{
    return &r->txn->responses[i].range;
}

static tn_rev newest_of(const struct range_resp *r)
{
    tn_rev at = 0;
    for (size_t i = 0; i < r->n_kvs; i++)
        if (r->kvs[i].mod_revision > at)
            at = r->kvs[i].mod_revision;
    return at;
}

static tn_rev newest_made(const struct range_resp *r)
{
    tn_rev at = 0;
    for (size_t i = 0; i < r->n_kvs; i++)
        if (r->kvs[i].create_revision > at)
            at = r->kvs[i].create_revision;
    return at;
}

static bool overlap(bytes a, bytes b)
{
    return bytes_has_prefix(a, b) || bytes_has_prefix(b, a);
}

/* ---- homes ---- */

/* The home of all that lies below prefix. *ret_has false: nobody has said. A code: what is below it is at home in several places, or a
 * record cannot be read. */
static int find_home(const struct range_resp *homes, bytes prefix, struct home *ret, bool *ret_has,
                     struct tenure_error *err)
{
    size_t i = home_covering(homes->kvs, homes->n_kvs, prefix);
    *ret_has = i != SIZE_MAX;
    *ret = (struct home){.epoch = 0};
    if (*ret_has && home_parse(homes->kvs[i].value, ret))
        return error_set(err, TENURE_ECORRUPT, "%.*s is no home record", (int)homes->kvs[i].key.len,
                         (const char *)homes->kvs[i].key.data);
    for (i = 0; i < homes->n_kvs; i++) {
        struct home inner = {.epoch = 0};
        bytes p = home_prefix_of(homes->kvs[i].key);
        if (p.len <= prefix.len || !bytes_has_prefix(p, prefix))
            continue;
        bool same = *ret_has && home_parse(homes->kvs[i].value, &inner) == 0 && strcmp(inner.region, ret->region) == 0;
        if (!same)
            return error_set(err, TENURE_ECONFLICT, "%.*s, below it, has another home: mirror what lies beside it",
                             (int)p.len, (const char *)p.data);
    }
    return 0;
}

static bool is_region(const struct range_resp *own, const char *region)
{
    return own->n_kvs == 1 && bytes_equal(own->kvs[0].value, bytes_str(region));
}

static bool same_home(const struct home *a, const struct home *b)
{
    return a->epoch == b->epoch && strcmp(a->region, b->region) == 0;
}

/* 0: the source may be copied to the destination, by homes or because there are none. */
static int judge_homes(const struct carrier *c, const struct range_resp *source_region, struct tenure_error *err)
{
    bytes to = buf_bytes(&c->to);
    bool elsewhere = !bytes_equal(to, buf_bytes(&c->prefix));
    if (c->has_here && !is_region(source_region, c->here.region))
        return error_set(err, TENURE_ECONFLICT, "the home of %.*s is %s (epoch %" PRId64 "), and not the source",
                         (int)c->prefix.len, (const char *)c->prefix.data, c->here.region, c->here.epoch);
    if (elsewhere && c->has_there)
        return error_set(err, TENURE_ECONFLICT,
                         "%.*s has a home at the destination, and is no place for a copy of others", (int)to.len,
                         (const char *)to.data);
    if (elsewhere)
        return 0;
    if (c->has_here != c->has_there)
        return error_set(err, TENURE_ECONFLICT, "only the %s has a home record that covers %.*s",
                         c->has_here ? "source" : "destination", (int)to.len, (const char *)to.data);
    if (c->has_here && !same_home(&c->here, &c->there))
        return error_set(err, TENURE_ECONFLICT,
                         "the source says that the home is %s (epoch %" PRId64 "), the destination %s (epoch %" PRId64
                         ")",
                         c->here.region, c->here.epoch, c->there.region, c->there.epoch);
    return 0;
}

/* The home may come to be here. */
static void wait_for_home(struct carrier *c, const struct tenure_error *why, tn_ms now)
{
    if (c->k.once) {
        carrier_end(c, CARRIER_REFUSED, why, now);
        return;
    }
    carrier_retry(c, why, now);
    c->state = CARRIER_WAITING;
    c->retry_at = now + WAIT_MS;
}

/* ---- the destination ---- */

/* By the homes as they are now that mirror writes nothing any more: its prefix has a greater epoch, or several homes. */
static bool is_over(const struct kv *mirror, bytes to, const struct range_resp *homes)
{
    struct record r = {.seq = 0};
    struct home home;
    struct tenure_error why;
    bool has;
    int rc = find_home(homes, to, &home, &has, &why);
    return rc == TENURE_ECONFLICT ||
           (rc == 0 && has && record_parse(mirror->value, &r) == 0 && r.home.epoch < home.epoch);
}

/* Another mirror writes where we would. */
static bool is_taken(struct carrier *c, const struct range_resp *mirrors, const struct range_resp *homes,
                     struct tenure_error *err)
{
    struct buf to;
    bool taken = false;
    c->over_another = false;
    buf_init(&to);
    for (size_t i = 0; i < mirrors->n_kvs && !taken; i++) {
        const struct kv *kv = &mirrors->kvs[i];
        buf_reset(&to);
        if (bytes_equal(kv->key, buf_bytes(&c->key)) || !record_destination(kv->value, &to) ||
            !overlap(buf_bytes(&to), buf_bytes(&c->to)))
            continue;
        taken = !is_over(kv, buf_bytes(&to), homes);
        c->over_another = true;
        if (taken)
            error_set(
                err, TENURE_ECONFLICT,
                "the destination holds a copy of another mirror there: %.*s is about %.*s; delete that record if it is over",
                (int)kv->key.len, (const char *)kv->key.data, (int)to.len, (const char *)to.data);
    }
    buf_fini(&to);
    return taken;
}

/* Its key tells the name and, without the slash before it, the destination's prefix alone. */
static bool look_what_it_is_of(struct carrier *c, const struct kv *record, tn_ms now)
{
    struct buf prefix, to;
    struct tenure_error err;
    buf_init(&prefix);
    buf_init(&to);
    bool told = record_source(record->value, &prefix) && record_destination(record->value, &to);
    bool good = !buf_error(&prefix) && !buf_error(&to);
    c->of_another = !told || !bytes_equal(buf_bytes(&prefix), buf_bytes(&c->prefix)) ||
                    !bytes_equal(buf_bytes(&to), buf_bytes(&c->to));
    if (!good)
        error_set(&err, TENURE_ENOMEM, "out of memory");
    else if (c->of_another)
        error_set(&c->what_else, TENURE_ECONFLICT,
                  "%.*s is the record of a copy of '%.*s' to '%.*s'; --replace makes the copy of '%.*s' to '%.*s' anew",
                  (int)record->key.len, (const char *)record->key.data, (int)prefix.len, (const char *)prefix.data,
                  (int)to.len, (const char *)to.data, (int)c->prefix.len, (const char *)c->prefix.data, (int)c->to.len,
                  (const char *)c->to.data);
    buf_fini(&prefix);
    buf_fini(&to);
    return !carrier_failed(c, good ? 0 : TENURE_ENOMEM, &err, now);
}

/* The record of an earlier run, of this name; or of this run, and then nothing else may have written it. */
static bool take_record(struct carrier *c, const struct range_resp *r, tn_ms now)
{
    struct tenure_error err;
    const struct kv *kv = r->n_kvs ? &r->kvs[0] : NULL;
    struct record rec = {.seq = 0};
    if (kv && record_parse(kv->value, &rec)) {
        error_set(&err, TENURE_ECORRUPT, "%.*s is not the record of a mirror", (int)kv->key.len,
                  (const char *)kv->key.data);
        carrier_end(c, CARRIER_REFUSED, &err, now);
        return false;
    }
    if (c->mine && (!kv || rec.writer != c->k.writer)) {
        error_set(&err, TENURE_EFENCED,
                  kv ? "another mirror named %s has taken over" : "the record of mirror %s was removed", c->k.name);
        carrier_end(c, CARRIER_FENCED, &err, now);
        return false;
    }
    c->has_record = kv != NULL;
    c->mod = kv ? kv->mod_revision : 0;
    c->rec = rec;
    return !kv || look_what_it_is_of(c, kv, now);
}

static void on_look(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    struct tenure_error err;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (!answers(r, LOOK_OPS)) {
        garbled(c, now);
        return;
    }
    c->homes_mod = newest_of(range_at(r, LOOK_HOMES));
    c->mirrors_mod = newest_of(range_at(r, LOOK_MIRRORS));
    c->mirrors_made = newest_made(range_at(r, LOOK_MIRRORS));
    if (find_home(range_at(r, LOOK_HOMES), buf_bytes(&c->to), &c->there, &c->has_there, &err)) {
        wait_for_home(c, &err, now);
        return;
    }
    if (!take_record(c, range_at(r, LOOK_RECORD), now))
        return;
    if (is_taken(c, range_at(r, LOOK_MIRRORS), range_at(r, LOOK_HOMES), &err)) {
        carrier_end(c, CARRIER_REFUSED, &err, now);
        return;
    }
    carrier_move(c, STEP_LOOK_SOURCE);
    carrier_go_on(c, now);
}

static int ask(struct carrier *c, struct op **slot, struct client *at, size_t n, op_done done, tn_ms now)
{
    struct tenure_error err = {0};
    struct request_op ops[LOOK_OPS];
    struct client_call_options o = {.timeout_ms = CALL_MS, .repeatable = true};
    fill_look(c, ops);
    struct txn_req req = {.success = ops, .n_success = n};
    int rc = op_txn(slot, at, &req, &o, done, c, now, &err);
    return carrier_failed(c, rc, &err, now) ? -1 : 0;
}

void claim_look(struct carrier *c, tn_ms now)
{
    (void)!ask(c, &c->op, c->destination, LOOK_OPS, on_look, now);
}

/* ---- the source ---- */

static bool is_copy(const struct carrier *c, const struct range_resp *mirrors, struct tenure_error *err)
{
    struct buf to;
    bool copied = false;
    buf_init(&to);
    for (size_t i = 0; i < mirrors->n_kvs && !copied; i++) {
        buf_reset(&to);
        copied = record_destination(mirrors->kvs[i].value, &to) && overlap(buf_bytes(&to), buf_bytes(&c->prefix));
        if (copied)
            error_set(err, TENURE_ECONFLICT,
                      "the source itself holds %.*s as a copy, by %.*s: mirror it from where it comes from",
                      (int)to.len, (const char *)to.data, (int)mirrors->kvs[i].key.len,
                      (const char *)mirrors->kvs[i].key.data);
    }
    buf_fini(&to);
    return copied;
}

/* What the record says of another history counts for nothing, by the user's word; else it ends. */
static bool fits_record(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    bool other = c->rec.source_cluster && c->rec.source_cluster != c->cluster;
    if (!c->has_record || (!other && !c->of_another && c->rec.revision <= c->newest && c->rec.at <= c->newest))
        return true;
    if (c->k.replace) {
        c->compare_all = true;
        return true;
    }
    if (other)
        error_set(&err, TENURE_ECONFLICT,
                  "the source is cluster %" PRIx64 ", and what was copied came from %" PRIx64
                  "; --replace makes the copy as this source is",
                  c->cluster, c->rec.source_cluster);
    else if (c->of_another)
        err = c->what_else;
    else
        error_set(&err, TENURE_ECONFLICT,
                  "the source's revision is %" PRId64 ", and %" PRId64
                  " was copied: it was restored from an older state; --replace makes the copy as the source is now",
                  c->newest, c->rec.revision > c->rec.at ? c->rec.revision : c->rec.at);
    carrier_end(c, CARRIER_REFUSED, &err, now);
    return false;
}

static void refuse_copy(struct carrier *c, const struct tenure_error *why, tn_ms now)
{
    if (!c->created) {
        carrier_end(c, CARRIER_REFUSED, why, now);
        return;
    }
    carrier_note(c, why);
    carrier_move(c, STEP_WITHDRAW);
}

/* False: nothing is copied. */
static bool judge_source(struct carrier *c, const struct client_result *r, tn_ms now)
{
    struct tenure_error err;
    if (!carrier_saw_source(c, &r->header, r->sent_at, now) || !fits_record(c, now))
        return false;
    int rc = find_home(range_at(r, LOOK_HOMES), buf_bytes(&c->prefix), &c->here, &c->has_here, &err);
    if (rc == 0)
        rc = judge_homes(c, range_at(r, LOOK_REGION), &err);
    if (rc) {
        wait_for_home(c, &err, now);
        return false;
    }
    bool accepted = (c->mine && !c->created) || c->rec.revision || c->rec.at;
    if (!c->has_here && !accepted && is_copy(c, range_at(r, LOOK_MIRRORS), &err)) {
        refuse_copy(c, &err, now);
        return c->step == STEP_WITHDRAW;
    }
    return true;
}

static void on_look_source(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (!answers(r, LOOK_RECORD))
        garbled(c, now);
    else if (judge_source(c, r, now)) {
        if (c->step == STEP_LOOK_AGAIN)
            c->created = false; /* it stays */
        if (c->step != STEP_WITHDRAW)
            carrier_move(c, c->step == STEP_LOOK_SOURCE ? STEP_CLAIM : STEP_LEASES);
        carrier_go_on(c, now);
    }
}

void claim_look_source(struct carrier *c, tn_ms now)
{
    (void)!ask(c, &c->op, c->source, LOOK_RECORD, on_look_source, now);
}

/* ---- the claim ---- */

static void on_claim(void *owner, const struct client_result *r);

static void fill_claim(struct carrier *c, tn_ms now)
{
    batch_begin(c);
    struct record *a = &c->batch.after;
    c->foreign_ok = c->k.replace || (c->has_here && c->has_there && c->here.epoch > 1);
    /* Epochs in between were somebody else's: what is here may be of theirs. */
    if (c->has_record && a->home.epoch != (c->has_there ? c->here.epoch : 0))
        c->compare_all = true;
    if (c->compare_all) {
        a->revision = a->at = a->part = 0;
        a->cursor.len = 0;
        a->check_mod = 0;
    }
    batch_describe(c, now);
    a->source_cluster = c->cluster;
    a->home = c->has_there ? c->here : (struct home){.epoch = 0};
}

static struct compare compare_of(int target, int result, struct key_range r, int64_t number)
{
    return (struct compare){.result = result, .target = target, .range = r, .number = number};
}

void claim_make(struct carrier *c, tn_ms now)
{
    struct compare compares[4];
    struct buf value;
    struct tenure_error err = {0};
    struct key_range all = {buf_bytes(&c->to), buf_bytes(&c->to_end)};
    struct client_call_options o = {.timeout_ms = CALL_MS, .repeatable = true};
    if (c->mine && c->rec.home.epoch == (c->has_there ? c->here.epoch : 0)) {
        carrier_move(c, STEP_LOOK_AGAIN);
        return;
    }
    fill_claim(c, now);
    size_t n = batch_guard(c, compares);
    /* Others write theirs all the time: what matters is that no new one is there. */
    compares[n++] = c->over_another ? compare_of(COMPARE_MOD, COMPARE_LESS, mirrors_range(), c->mirrors_mod + 1)
                                    : compare_of(COMPARE_CREATE, COMPARE_LESS, mirrors_range(), c->mirrors_made + 1);
    if (!c->has_record && !c->foreign_ok)
        compares[n++] = compare_of(COMPARE_CREATE, COMPARE_EQUAL, all, 0);
    struct request_op read[2] = {read_op((struct key_range){.key = buf_bytes(&c->key)}), read_op(all)};
    read[1].range.limit = 1;
    read[1].range.keys_only = true;
    buf_init(&value);
    record_format(&c->batch.after, buf_bytes(&c->prefix), buf_bytes(&c->to), &value);
    struct request_op put = {.kind = OP_PUT, .put = {.key = buf_bytes(&c->key), .value = buf_bytes(&value)}};
    struct txn_req req = {
        .compares = compares, .n_compares = n, .success = &put, .n_success = 1, .failure = read, .n_failure = 2};
    int rc = buf_error(&value);
    if (rc == 0)
        rc = op_txn(&c->op, c->destination, &req, &o, on_claim, c, now, &err);
    buf_fini(&value);
    carrier_failed(c, rc, &err, now);
}

static void claimed(struct carrier *c, tn_rev mod, tn_ms now)
{
    c->created = !c->has_record;
    c->has_record = c->mine = true;
    c->mod = mod;
    c->rec = c->batch.after;
    c->written_at = now;
    carrier_move(c, STEP_LOOK_AGAIN);
    carrier_go_on(c, now);
}

static void claim_denied(struct carrier *c, const struct range_resp *foreign, tn_ms now)
{
    struct tenure_error err;
    if (foreign->n_kvs && !c->has_record && !c->foreign_ok) {
        error_set(
            &err, TENURE_ECONFLICT,
            "the destination has keys below %.*s that did not come from this mirror (%.*s); --replace deletes them",
            (int)c->to.len, (const char *)c->to.data, (int)foreign->kvs[0].key.len,
            (const char *)foreign->kvs[0].key.data);
        carrier_end(c, CARRIER_REFUSED, &err, now);
        return;
    }
    error_set(&err, TENURE_ECONFLICT, "records of mirrors or homes changed at the destination meanwhile");
    carrier_retry(c, &err, now);
}

static void on_claim(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    struct record rec;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (r->txn->succeeded) {
        claimed(c, r->txn->revision, now);
        return;
    }
    if (!answers(r, 2)) {
        garbled(c, now);
        return;
    }
    const struct range_resp *own = range_at(r, 0);
    bool ours = own->n_kvs && record_parse(own->kvs[0].value, &rec) == 0 && rec.writer == c->k.writer &&
                rec.seq == c->batch.after.seq;
    if (ours)
        claimed(c, own->kvs[0].mod_revision, now);
    else
        claim_denied(c, range_at(r, 1), now);
}

/* ---- and back ---- */

static void on_withdrawn(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    struct tenure_error why = c->error;
    (void)r; /* one that stays is seen, and named, by whoever is refused because of it */
    carrier_end(c, CARRIER_REFUSED, &why, carrier_now(c));
}

void claim_withdraw(struct carrier *c, tn_ms now)
{
    struct tenure_error err = {0}, why = c->error;
    struct compare own = compare_of(COMPARE_MOD, COMPARE_EQUAL, (struct key_range){.key = buf_bytes(&c->key)}, c->mod);
    struct request_op del = {.kind = OP_DELETE, .del = {.range = {.key = buf_bytes(&c->key)}}};
    struct txn_req req = {.compares = &own, .n_compares = 1, .success = &del, .n_success = 1};
    struct client_call_options o = {.timeout_ms = CALL_MS, .repeatable = true};
    if (op_txn(&c->op, c->destination, &req, &o, on_withdrawn, c, now, &err))
        carrier_end(c, CARRIER_REFUSED, &why, now);
    else
        carrier_asked(c);
}

/* ---- while it goes on ---- */

static void on_poll(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    struct tenure_error err;
    struct home here;
    bool has;
    tn_ms now = carrier_now(c);
    c->poll_at = now + ASK_MS;
    carrier_asked(c); /* so that its time is known */
    if (r->code) {
        carrier_note(c, r->error);
        return;
    }
    if (!answers(r, LOOK_RECORD) || !carrier_saw_source(c, &r->header, r->sent_at, now))
        return;
    int rc = find_home(range_at(r, LOOK_HOMES), buf_bytes(&c->prefix), &here, &has, &err);
    if (rc || has != c->has_here || !same_home(&here, &c->here)) {
        if (rc == 0)
            error_set(&err, TENURE_ECONFLICT, "a home record has changed at the source");
        carrier_retry(c, &err, now);
    }
    carrier_go_on(c, now);
}

void claim_poll(struct carrier *c, tn_ms now)
{
    struct tenure_error err = {0};
    struct request_op ops[LOOK_OPS];
    struct client_call_options o = {.timeout_ms = CALL_MS, .repeatable = true};
    fill_look(c, ops);
    struct txn_req req = {.success = ops, .n_success = LOOK_RECORD};
    c->poll_at = now + ASK_MS;
    if (op_txn(&c->poll, c->source, &req, &o, on_poll, c, now, &err))
        carrier_note(c, &err);
    else
        carrier_asked(c);
}
