/* One guarded transaction: what is to be written at the destination, and in the same revision how far that is.
 *
 *     if    mod_revision(record) = as it was read or written last, and no home record is newer than those that were read
 *     then  the operations; the new record
 *     else  read the record
 *
 * Answers: carried out; or the record is this very one, by its writer and number: an earlier copy of it was; or it is another
 * process's: FENCED; or else homes have changed, or a transaction that was given up came late: both sides are looked at anew. One
 * without an answer is given up, and looked after likewise: whatever comes late then finds a record that it does not expect, or is found. */
#include <inttypes.h>
#include <stdio.h>

#include "base/crc32c.h"
#include "mirror/internal.h"

void batch_begin(struct carrier *c)
{
    struct batch *b = &c->batch;
    arena_reset(&b->arena);
    b->n = b->bytes = 0;
    b->after = c->rec;
    b->after.writer = c->k.writer;
    b->after.seq = ++c->seq;
}

static struct request_op *op_of(struct batch *b, bytes key)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct request_op *op = &b->ops[i];
        if (bytes_equal(key, op->kind == OP_PUT ? op->put.key : op->del.range.key))
            return &b->ops[i];
    }
    return NULL;
}

bool batch_has(const struct carrier *c, bytes key)
{
    return op_of((struct batch *)&c->batch, key) != NULL;
}

bool batch_takes(const struct carrier *c, size_t ops, size_t size)
{
    size_t most = BATCH_BYTES < c->bytes_max ? BATCH_BYTES : c->bytes_max;
    bool may_shrink = c->stuck && c->step == STEP_FOLLOW && c->batch.bytes > most;
    bool fits = may_shrink || c->batch.bytes + size <= most;
    return c->batch.n == 0 || (c->batch.n + ops <= c->ops_max && fits);
}

static size_t size_of(const struct request_op *op)
{
    return op->kind == OP_PUT ? op->put.key.len + op->put.value.len : op->del.range.key.len;
}

/* The last one on a key counts. */
static void place(struct batch *b, struct request_op op, bytes key)
{
    struct request_op *earlier = op_of(b, key);
    if (earlier)
        b->bytes -= size_of(earlier);
    else
        earlier = &b->ops[b->n++];
    *earlier = op;
    b->bytes += size_of(&op);
}

bool batch_put(struct carrier *c, bytes key, bytes value, tn_lease lease)
{
    struct batch *b = &c->batch;
    bytes copy = arena_copy(&b->arena, value);
    if (!key.data || !copy.data)
        return false;
    place(b, (struct request_op){.kind = OP_PUT, .put = {.key = key, .value = copy, .lease = lease}}, key);
    b->after.copied++;
    return true;
}

bool batch_delete(struct carrier *c, bytes key)
{
    if (!key.data)
        return false;
    place(&c->batch, (struct request_op){.kind = OP_DELETE, .del = {.range = {.key = key}}}, key);
    c->batch.after.deleted++;
    return true;
}

size_t batch_guard(struct carrier *c, struct compare *out)
{
    out[0] = (struct compare){
        .result = COMPARE_EQUAL, .target = COMPARE_MOD, .range = {.key = buf_bytes(&c->key)}, .number = c->mod};
    out[1] = (struct compare){
        .result = COMPARE_LESS, .target = COMPARE_MOD, .range = home_range(), .number = c->homes_mod + 1};
    return 2;
}

void batch_note_check(struct carrier *c, const struct kv *kv)
{
    struct record *a = &c->batch.after;
    record_key_set(&a->check, kv->key);
    a->check_mod = a->check.len ? kv->mod_revision : 0;
    a->check_crc = (int64_t)crc32c(0, kv->value.data, kv->value.len);
}

void batch_describe(struct carrier *c, tn_ms now)
{
    struct record *a = &c->batch.after;
    tn_rev seen = c->clear > a->revision ? c->clear : a->revision;
    a->newest = c->newest > a->revision ? c->newest : a->revision;
    a->lag = c->newest > seen ? c->newest - seen : 0;
    a->lag_ms = c->clear_at < 0 ? -1 : now - c->clear_at;
    a->time_ms = c->k.wall_ms ? c->k.wall_ms(c->k.user) : 0;
    if (c->error.code) {
        snprintf(a->error, sizeof a->error, "%.*s", (int)bytes_utf8_cut(bytes_str(c->error.text), sizeof a->error - 1),
                 c->error.text);
        a->error_ms = c->error_wall;
    }
}

/* Before everything is compared, those that the record names stay there, also the one that is gone and is why: else whoever takes
 * over would not know. */
static void name_leases(struct carrier *c)
{
    struct record *a = &c->batch.after;
    if (c->compare_all && a->n_leases > 0)
        return;
    a->n_leases = 0;
    for (size_t i = 0; i < RECORD_LEASES_MAX; i++)
        if (c->leases[i].alive) {
            a->leases[a->n_leases].ttl_s = c->leases[i].ttl_s;
            a->leases[a->n_leases++].id = c->leases[i].id;
        }
}

/* ---- the answer ---- */

static void carried_out(struct carrier *c, tn_rev mod, tn_ms now)
{
    c->mod = mod;
    foreign_own(c, mod);
    c->rec = c->batch.after;
    c->written_at = now;
    if (c->step != STEP_CHECK) /* else it only said what is wrong */
        carrier_well(c);
    if (c->newest_at && c->step == STEP_FOLLOW && c->rec.revision >= c->newest) {
        c->clear = c->newest;
        c->clear_at = c->newest_at;
    }
    if (c->step == STEP_FOLLOW) {
        foreign_undone(c);
        follow_carried_out(c);
    }
    if (c->step == STEP_FOLLOW || c->step == STEP_COPY)
        c->stuck = false;
    carrier_go_on(c, now);
}

static const struct kv *record_in(const struct client_result *r)
{
    const struct response_op *first = r->txn->n_responses ? &r->txn->responses[0] : NULL;
    return first && first->kind == OP_RANGE && first->range.n_kvs ? &first->range.kvs[0] : NULL;
}

static void denied(struct carrier *c, const struct client_result *r, tn_ms now)
{
    struct record rec;
    struct tenure_error err;
    const struct kv *kv = record_in(r);
    bool ours = kv && record_parse(kv->value, &rec) == 0 && rec.writer == c->k.writer;
    if (ours && rec.seq == c->batch.after.seq) {
        carried_out(c, kv->mod_revision, now);
        return;
    }
    /* What has happened the look tells. */
    error_set(&err, TENURE_ECONFLICT, "the mirror's record, or a home record, has changed at the destination");
    carrier_retry(c, &err, now);
    carrier_go_on(c, now);
}

static bool is_put(const struct request_op *op)
{
    return op->kind == OP_PUT;
}

/* One that has several operations is made again in smaller ones; when one alone is too large it is said which it is. */
static void too_much(struct carrier *c, const struct client_result *r, tn_ms now)
{
    const struct batch *b = &c->batch;
    const struct request_op *largest = b->ops; /* the record's, when there is no other */
    struct tenure_error err;
    for (size_t i = 1; i < b->n; i++)
        if (size_of(&b->ops[i]) > size_of(largest))
            largest = &b->ops[i];
    bytes key = is_put(largest) ? largest->put.key : largest->del.range.key;
    bool again = b->n > 1 && (r->etcd == ETCD_TOO_MANY_OPS || !c->stuck);
    if (again && r->etcd == ETCD_TOO_MANY_OPS)
        c->ops_max = b->n / 2;
    else if (again)
        c->bytes_max = b->bytes / 2;
    if (again)
        error_set(&err, r->code, "the destination takes no transaction of %zu keys and %zu bytes: smaller ones follow",
                  b->n, b->bytes);
    else
        error_set(
            &err, r->code,
            "%.*s: with %zu bytes, and the mirror's record beside them, more than a request to the destination may "
            "have: give it a larger --max-request-bytes (%s)",
            (int)bytes_utf8_cut(key, 128), (const char *)key.data, size_of(largest), r->error->text);
    c->stuck = c->stuck || (!again && c->step == STEP_FOLLOW);
    carrier_retry(c, &err, now);
}

static void on_commit(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    c->busy_txn = false;
    if (r->code && r->etcd == ETCD_LEASE_NOT_FOUND)
        leases_doubt(c);
    if (r->code == TENURE_ETOOLARGE || r->etcd == ETCD_TOO_MANY_OPS) {
        too_much(c, r, now);
        return;
    }
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (r->txn->succeeded)
        carried_out(c, r->txn->revision, now);
    else
        denied(c, r, now);
}

void batch_commit(struct carrier *c, tn_ms now)
{
    struct batch *b = &c->batch;
    struct compare compares[2];
    struct tenure_error err = {0};
    struct client_call_options o = {.timeout_ms = CALL_MS, .repeatable = true};
    struct buf value;
    batch_describe(c, now);
    name_leases(c);
    buf_init(&value);
    record_format(&b->after, buf_bytes(&c->prefix), buf_bytes(&c->to), &value);
    struct request_op read = {.kind = OP_RANGE, .range = {.range = {.key = buf_bytes(&c->key)}}};
    b->ops[b->n] = (struct request_op){.kind = OP_PUT, .put = {.key = buf_bytes(&c->key), .value = buf_bytes(&value)}};
    struct txn_req req = {.compares = compares,
                          .n_compares = batch_guard(c, compares),
                          .success = b->ops,
                          .n_success = b->n + 1,
                          .failure = &read,
                          .n_failure = 1};
    int rc = buf_error(&value);
    if (rc == 0)
        rc = op_txn(&c->op, c->destination, &req, &o, on_commit, c, now, &err);
    c->busy_txn = rc == 0;
    buf_fini(&value);
    carrier_failed(c, rc, &err, now);
}
