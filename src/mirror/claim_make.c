/* The claim itself, which makes the record this process's, and its withdrawal: see claim.h. */
#include "mirror/claim.h"

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
    compares[n++] = c->over_another ? compare_of(COMPARE_MOD, COMPARE_LESS, claim_mirrors(), c->mirrors_mod + 1)
                                    : compare_of(COMPARE_CREATE, COMPARE_LESS, claim_mirrors(), c->mirrors_made + 1);
    if (!c->has_record && !c->foreign_ok)
        compares[n++] = compare_of(COMPARE_CREATE, COMPARE_EQUAL, all, 0);
    struct request_op read[2] = {claim_read((struct key_range){.key = buf_bytes(&c->key)}), claim_read(all)};
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
    foreign_own(c, mod);
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
    if (!claim_answers(r, 2)) {
        claim_garbled(c, now);
        return;
    }
    const struct range_resp *own = claim_range(r, 0);
    bool ours = own->n_kvs && record_parse(own->kvs[0].value, &rec) == 0 && rec.writer == c->k.writer &&
                rec.seq == c->batch.after.seq;
    if (ours)
        claimed(c, own->kvs[0].mod_revision, now);
    else
        claim_denied(c, claim_range(r, 1), now);
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
