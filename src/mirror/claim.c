/* What is looked at on both sides, before and behind the claim, and what follows from it: see claim.h. */
#include <inttypes.h>

#include "mirror/claim.h"

enum { WAIT_MS = 1000 };

/* What both looks read; the record itself is read at the destination only. */
enum { LOOK_HOMES, LOOK_MIRRORS, LOOK_REGION, LOOK_RECORD, LOOK_OPS };

struct key_range claim_mirrors(void)
{
    return (struct key_range){bytes_str(CARRIER_KEYS), bytes_str("/federation/mirrors0")};
}

struct request_op claim_read(struct key_range r)
{
    return (struct request_op){.kind = OP_RANGE, .range = {.range = r}};
}

static void fill_look(const struct carrier *c, struct request_op ops[LOOK_OPS])
{
    ops[LOOK_HOMES] = claim_read(home_range());
    ops[LOOK_MIRRORS] = claim_read(claim_mirrors());
    ops[LOOK_REGION] = claim_read((struct key_range){.key = bytes_str(HOME_REGION_KEY)});
    ops[LOOK_RECORD] = claim_read((struct key_range){.key = buf_bytes(&c->key)});
}

bool claim_answers(const struct client_result *r, size_t n)
{
    if (r->txn->n_responses != n)
        return false;
    for (size_t i = 0; i < n; i++)
        if (r->txn->responses[i].kind != OP_RANGE)
            return false;
    return true;
}

void claim_garbled(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    error_set(&err, TENURE_EPROTOCOL, "a server's answer is not one to what was asked");
    carrier_retry(c, &err, now);
}

const struct range_resp *claim_range(const struct client_result *r, size_t i)
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

/* The home may come to be here. */
static void wait_for_home(struct carrier *c, const struct tenure_error *why, tn_ms now)
{
    if (c->k.once) {
        carrier_end(c, CARRIER_REFUSED, why, now);
        return;
    }
    carrier_retry(c, why, now);
    foreign_stop(c, now); /* others may write there */
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
    int rc = homes_find(homes, to, &home, &has, &why);
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
    foreign_own(c, c->mod);
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
    if (!claim_answers(r, LOOK_OPS)) {
        claim_garbled(c, now);
        return;
    }
    c->homes_mod = newest_of(claim_range(r, LOOK_HOMES));
    c->mirrors_mod = newest_of(claim_range(r, LOOK_MIRRORS));
    c->mirrors_made = newest_made(claim_range(r, LOOK_MIRRORS));
    if (homes_find(claim_range(r, LOOK_HOMES), buf_bytes(&c->to), &c->there, &c->has_there, &err)) {
        wait_for_home(c, &err, now);
        return;
    }
    if (!take_record(c, claim_range(r, LOOK_RECORD), now))
        return;
    if (is_taken(c, claim_range(r, LOOK_MIRRORS), claim_range(r, LOOK_HOMES), &err)) {
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

/* The very record that we wrote in the destination. */
static bool is_our_claim(const struct carrier *c, const struct kv *kv)
{
    struct record r = {.seq = 0};
    return c->created && bytes_equal(kv->key, buf_bytes(&c->key)) && record_parse(kv->value, &r) == 0 &&
           r.writer == c->k.writer;
}

static bool is_copy(const struct carrier *c, const struct range_resp *mirrors, struct tenure_error *err)
{
    struct buf to;
    bool copied = false;
    buf_init(&to);
    for (size_t i = 0; i < mirrors->n_kvs && !copied; i++) {
        buf_reset(&to);
        copied = record_destination(mirrors->kvs[i].value, &to) && overlap(buf_bytes(&to), buf_bytes(&c->prefix));
        if (copied && is_our_claim(c, &mirrors->kvs[i]))
            error_set(
                err, TENURE_ECONFLICT,
                "the source and the destination are the same cluster: name another one, or another prefix of it by "
                "--to-prefix");
        else if (copied)
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
    int rc = homes_find(claim_range(r, LOOK_HOMES), buf_bytes(&c->prefix), &c->here, &c->has_here, &err);
    c->leaving = rc ? 0 : homes_left_at(c, claim_range(r, LOOK_HOMES), claim_range(r, LOOK_REGION));
    if (c->leaving)
        c->here = c->there;
    else if (rc == 0)
        rc = homes_judge(c, claim_range(r, LOOK_REGION), &err);
    if (rc) {
        wait_for_home(c, &err, now);
        return false;
    }
    bool accepted = (c->mine && !c->created) || c->rec.revision || c->rec.at;
    if (!c->has_here && !accepted && is_copy(c, claim_range(r, LOOK_MIRRORS), &err)) {
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
    if (!claim_answers(r, LOOK_RECORD))
        claim_garbled(c, now);
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
    if (!claim_answers(r, LOOK_RECORD) || !carrier_saw_source(c, &r->header, r->sent_at, now))
        return;
    int rc = homes_find(claim_range(r, LOOK_HOMES), buf_bytes(&c->prefix), &here, &has, &err);
    if (rc || has != c->has_here || !homes_same(&here, &c->here)) {
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
