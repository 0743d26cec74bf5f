/* A new proposal on its way; see proclaim.h.
 *
 * When the guard on the mod_revision fails while the place stands, somebody wrote the key in between: this very request by
 * an earlier copy, if it holds our value; else an older proposal of ours whose answer was lost (or a stranger), over which
 * the new one is tried again. */
#include "recipes/proclaim.h"

#include <stdlib.h>

#include "recipes/op.h"
#include "recipes/queue.h"

enum { TRIES_MAX = 8 };

struct proclaim {
    struct proclaim **slot; /* the owner's; NULL when forgotten */
    struct client *client;
    struct queue queue;
    tn_rev create, mod;
    unsigned tries;
    bool cancelled;
    struct op *op;
    proclaim_ended ended;
    void *owner;
    client_done_cb done;
    void *user;
    size_t value_len;
    uint8_t value[];
};

void proclaim_cancel(struct proclaim *p, tn_ms now)
{
    p->cancelled = true;
    op_cancel(&p->op, now);
}

void proclaim_forget(struct proclaim **slot)
{
    if (*slot)
        (*slot)->slot = NULL;
    *slot = NULL;
}

static void proclaim_free(struct proclaim *p)
{
    if (p->slot)
        *p->slot = NULL;
    queue_fini(&p->queue);
    free(p);
}

static void end(struct proclaim *p, const struct client_result *r, tn_rev mod)
{
    client_done_cb done = p->done;
    void *user = p->user;
    if (p->slot)
        p->ended(p->owner, mod);
    proclaim_free(p);
    if (done)
        done(user, r);
}

static void end_with(struct proclaim *p, const struct client_result *r, int code, const char *text)
{
    struct client_result failed = *r;
    struct tenure_error error;
    error_set(&error, code, "proclaim: %s", text);
    failed.code = code;
    failed.error = &error;
    end(p, &failed, 0);
}

static int proclaim_send(struct proclaim *p, tn_ms now, struct tenure_error *err);

static void moved(struct proclaim *p, const struct client_result *r, const struct queue_view *v)
{
    struct tenure_error err;
    if (bytes_equal(v->value, bytes_of(p->value, p->value_len))) {
        end(p, r, v->mod);
        return;
    }
    p->mod = v->mod;
    if (p->cancelled)
        end_with(p, r, TENURE_ECANCELLED, "cancelled");
    else if (++p->tries >= TRIES_MAX)
        end_with(p, r, TENURE_ECONFLICT, "somebody else keeps writing the own key");
    else if (proclaim_send(p, client_now(p->client), &err))
        end_with(p, r, err.code, "out of memory");
}

static void on_proclaimed(void *owner, const struct client_result *r)
{
    struct proclaim *p = owner;
    struct queue_view v;
    if (r->code)
        end(p, r, 0);
    else if (queue_proclaimed(&p->queue, p->create, r->txn, &v, NULL))
        end_with(p, r, TENURE_EPROTOCOL, "the answer is not one to this request");
    else if (v.answer == QUEUE_IN)
        end(p, r, v.mod);
    else if (v.answer == QUEUE_OUT)
        end_with(p, r, TENURE_ENOTHELD, "does not lead any more");
    else
        moved(p, r, &v);
}

static int proclaim_send(struct proclaim *p, tn_ms now, struct tenure_error *err)
{
    struct queue_txn t;
    struct client_call_options opt = {.repeatable = true};
    queue_proclaim(&p->queue, p->create, p->mod, bytes_of(p->value, p->value_len), &t);
    return op_txn(&p->op, p->client, &t.req, &opt, on_proclaimed, p, now, err);
}

static struct proclaim *proclaim_new(struct client *c, const struct proclaim_place *place, bytes value)
{
    struct proclaim *p = calloc(1, sizeof *p + value.len);
    if (!p)
        return NULL;
    if (queue_init(&p->queue, place->path, NULL, place->lease)) {
        free(p);
        return NULL;
    }
    p->client = c;
    p->create = place->create;
    p->mod = place->mod;
    p->value_len = value.len;
    if (value.len)
        memcpy(p->value, value.data, value.len);
    return p;
}

int proclaim_start(struct proclaim **slot, struct client *c, const struct proclaim_place *place, bytes value,
                   proclaim_ended ended, void *owner, client_done_cb done, void *user, tn_ms now,
                   struct tenure_error *err)
{
    struct proclaim *p = proclaim_new(c, place, value);
    if (!p)
        return error_set(err, TENURE_ENOMEM, "proclaim: out of memory");
    p->ended = ended;
    p->owner = owner;
    p->done = done;
    p->user = user;
    int rc = proclaim_send(p, now, err);
    if (rc) {
        proclaim_free(p);
        return rc;
    }
    p->slot = slot;
    *slot = p;
    return 0;
}
