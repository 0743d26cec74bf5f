/* Taking over a place; see takeover.h. Answers come from the network: nothing in them is taken for granted. */
#include "recipes/takeover.h"

#include <stdlib.h>

#include "recipes/op.h"

struct takeover {
    struct takeover **slot;
    struct client *client;
    struct takeover_callbacks cb;
    void *user;
    tn_lease lease;
    tn_rev create;
    bool broken_unguarded;
    struct op *op;
    bytes key, words, value; /* in the memory behind */
    uint8_t memory[];
};

static const struct client_call_options repeatable = {.repeatable = true};

static void takeover_free(struct takeover *t)
{
    *t->slot = NULL;
    free(t);
}

static void end(struct takeover *t, int code)
{
    void (*on_done)(void *, int) = t->cb.on_done;
    void *user = t->user;
    takeover_free(t);
    on_done(user, code);
}

/* ---- taking ---- */

/* When the guard failed and our words are there all the same, an earlier copy of the request put them. */
static int taken(const struct takeover *t, const struct txn_resp *r)
{
    if (r->succeeded)
        return 0;
    if (r->n_responses != 1 || r->responses[0].kind != OP_RANGE)
        return TENURE_EPROTOCOL;
    const struct range_resp *words = &r->responses[0].range;
    return words->n_kvs == 1 && bytes_equal(words->kvs[0].value, t->value) ? 0 : TENURE_ECONFLICT;
}

static void on_taken(void *owner, const struct client_result *r)
{
    struct takeover *t = owner;
    end(t, r->code ? r->code : taken(t, r->txn));
}

static int take(struct takeover *t, tn_rev mod, tn_ms now)
{
    struct compare compares[] = {
        {.target = COMPARE_CREATE, .result = COMPARE_EQUAL, .range.key = t->key, .number = t->create},
        {.target = COMPARE_MOD, .result = COMPARE_EQUAL, .range.key = t->words, .number = mod},
    };
    struct request_op then = {.kind = OP_PUT, .put = {.key = t->words, .value = t->value, .lease = t->lease}};
    struct request_op other = {.kind = OP_RANGE, .range.range.key = t->words};
    struct txn_req req = {.compares = compares,
                          .n_compares = 2 - t->broken_unguarded,
                          .success = &then,
                          .n_success = 1,
                          .failure = &other,
                          .n_failure = 1};
    struct tenure_error err;
    return op_txn(&t->op, t->client, &req, &repeatable, on_taken, t, now, &err);
}

/* ---- reading ---- */

static bool is_place(const struct takeover *t, const struct range_resp *r)
{
    return r->n_kvs == 1 && r->kvs[0].create_revision == t->create && r->kvs[0].lease == t->lease;
}

static int judge(struct takeover *t, const struct txn_resp *r, tn_ms now)
{
    if (r->n_responses != 2 || r->responses[0].kind != OP_RANGE || r->responses[1].kind != OP_RANGE)
        return TENURE_EPROTOCOL;
    const struct range_resp *words = &r->responses[1].range;
    if (!is_place(t, &r->responses[0].range))
        return TENURE_ENOTFOUND;
    bytes value = words->n_kvs ? words->kvs[0].value : bytes_of(NULL, 0);
    if (t->cb.is_gone && !t->cb.is_gone(t->user, value))
        return TENURE_EBUSY;
    return take(t, words->n_kvs ? words->kvs[0].mod_revision : 0, now);
}

static void on_read(void *owner, const struct client_result *r)
{
    struct takeover *t = owner;
    int rc = r->code ? r->code : judge(t, r->txn, client_now(t->client));
    if (rc)
        end(t, rc);
}

/* ---- life ---- */

static bytes keep(uint8_t **at, bytes s)
{
    bytes copy = bytes_of(*at, s.len);
    if (s.len)
        memcpy(*at, s.data, s.len);
    *at += s.len;
    return copy;
}

static struct takeover *takeover_new(const struct takeover_place *place, bytes value)
{
    struct takeover *t = calloc(1, sizeof *t + place->key.len + place->words.len + value.len);
    if (!t)
        return NULL;
    uint8_t *at = t->memory;
    t->lease = place->lease;
    t->create = place->create;
    t->broken_unguarded = place->broken_unguarded;
    t->key = keep(&at, place->key);
    t->words = keep(&at, place->words);
    t->value = keep(&at, value);
    return t;
}

int takeover_start(struct takeover **slot, struct client *c, const struct takeover_place *place, bytes value,
                   const struct takeover_callbacks *cb, void *user, tn_ms now, struct tenure_error *err)
{
    struct takeover *t = takeover_new(place, value);
    if (!t)
        return error_set(err, TENURE_ENOMEM, "resume: out of memory");
    t->slot = slot;
    t->client = c;
    t->cb = *cb;
    t->user = user;
    struct request_op reads[] = {
        {.kind = OP_RANGE, .range.range.key = t->key},
        {.kind = OP_RANGE, .range.range.key = t->words},
    };
    struct txn_req req = {.success = reads, .n_success = 2};
    int rc = op_txn(&t->op, c, &req, &repeatable, on_read, t, now, err);
    *slot = t;
    if (rc)
        takeover_free(t);
    return rc;
}

void takeover_drop(struct takeover **slot, tn_ms now)
{
    if (!*slot)
        return;
    op_drop(&(*slot)->op, now);
    takeover_free(*slot);
}
