/* A call under way and who is told; see op.h. The record is freed when the client answers, never earlier: the client
 * holds its address until then. */
#include "recipes/op.h"

#include <assert.h>
#include <stdlib.h>

struct op {
    struct client *client;
    struct client_call *call;
    struct op **slot; /* the owner's pointer to this; NULL when nobody is told any more */
    op_done done;
    void *owner;
};

static struct op *op_new(struct op **slot, struct client *c, op_done done, void *owner, struct tenure_error *err)
{
    assert(!*slot);
    struct op *op = malloc(sizeof *op);
    if (!op) {
        error_set(err, TENURE_ENOMEM, "out of memory for a call");
        return NULL;
    }
    *op = (struct op){.client = c, .slot = slot, .done = done, .owner = owner};
    return op;
}

static void op_on_done(void *user, const struct client_result *r)
{
    struct op *op = user;
    op_done done = op->slot ? op->done : NULL;
    void *owner = op->owner;
    if (op->slot)
        *op->slot = NULL;
    free(op);
    if (done)
        done(owner, r);
}

/* The call has begun, or has not and err says why. */
static int op_begun(struct op *op, struct client_call *call, const struct tenure_error *err)
{
    if (!call) {
        free(op);
        return err->code ? err->code : TENURE_EINTERNAL;
    }
    op->call = call;
    *op->slot = op;
    return 0;
}

#define OP_CALL(name, req_type)                                                                                        \
    int op_##name(struct op **slot, struct client *c, const req_type *req, const struct client_call_options *opt,      \
                  op_done done, void *owner, tn_ms now, struct tenure_error *err)                                      \
    {                                                                                                                  \
        struct tenure_error why = {0};                                                                                 \
        struct op *op = op_new(slot, c, done, owner, &why);                                                            \
        int rc = op ? op_begun(op, client_##name(c, req, opt, op_on_done, op, now, &why), &why) : why.code;            \
        if (rc && err)                                                                                                 \
            *err = why;                                                                                                \
        return rc;                                                                                                     \
    }
OP_CALL(range, struct range_req)
OP_CALL(txn, struct txn_req)
OP_CALL(lease_grant, struct lease_grant_req)
OP_CALL(lease_revoke, struct lease_revoke_req)
OP_CALL(lease_keepalive_once, struct lease_keepalive_req)
OP_CALL(lease_ttl, struct lease_ttl_req)

void op_cancel(struct op **slot, tn_ms now)
{
    if (*slot)
        client_cancel((*slot)->client, (*slot)->call, now);
}

bool op_is_unsent(struct op *const *slot)
{
    return !*slot || client_is_unsent((*slot)->call);
}

void op_timeout_error(const struct client *c, struct tenure_error *ret)
{
    char errors[sizeof ret->text / 2];
    client_endpoint_errors(c, errors, sizeof errors);
    error_set(ret, TENURE_ETIMEOUT, "%s%s%s", tenure_error_string(TENURE_ETIMEOUT), errors[0] ? "; " : "", errors);
}

void op_forget(struct op **slot)
{
    if (*slot)
        (*slot)->slot = NULL;
    *slot = NULL;
}

void op_drop(struct op **slot, tn_ms now)
{
    op_cancel(slot, now);
    op_forget(slot);
}

void op_move(struct op **from, struct op **to, op_done done, void *owner)
{
    assert(!*to);
    struct op *op = *from;
    *from = NULL;
    *to = op;
    if (!op)
        return;
    op->slot = to;
    op->done = done;
    op->owner = owner;
}

bool op_may_retry(const struct client_result *r)
{
    return r->code == TENURE_EUNAVAILABLE || r->code == TENURE_ETIMEOUT || r->code == TENURE_ENOMEM ||
           r->code == TENURE_ELIMIT;
}

bool op_may_be_applied(const struct client_result *r)
{
    return r->code && (!r->error || tenure_error_applied(r->error) == TENURE_APPLIED_MAYBE);
}
