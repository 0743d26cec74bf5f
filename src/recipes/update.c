/* Read, compute, commit: see update.h. The first read is a plain one; after that each conflict is the next read. */
#include "recipes/update.h"

#include <assert.h>
#include <stdlib.h>

#include "recipes/op.h"

struct update {
    struct update **slot; /* NULL: nobody is told */
    struct client *client;
    struct marks *marks;
    tn_ms until;
    tn_rev seen_at;
    unsigned tries;
    bool cancelled;
    struct op *read;
    struct commit *commit;
    update_compute compute;
    update_done done;
    void *owner;
    size_t key_len;
    uint8_t key[];
};

static bytes key_of(const struct update *u)
{
    return bytes_of(u->key, u->key_len);
}

static void update_end(struct update *u, const struct update_result *r)
{
    update_done done = u->slot ? u->done : NULL;
    void *owner = u->owner;
    if (u->slot)
        *u->slot = NULL;
    marks_unref(u->marks);
    free(u);
    if (done)
        done(owner, r);
}

static void end_with(struct update *u, int code, const struct tenure_error *error)
{
    struct tenure_error own = *error;
    update_end(u, &(struct update_result){.code = code, .error = &own});
}

static void seen(struct update *u, const struct range_resp *r, tn_rev at, tn_ms now);

static void on_committed(void *owner, const struct commit_result *r)
{
    struct update *u = owner;
    struct tenure_error err;
    bool readable = r->n_others == 1 && r->others[0].kind == OP_RANGE;
    if (r->outcome == COMMIT_APPLIED)
        update_end(u, &(struct update_result){.revision = r->revision, .written = true});
    else if (r->outcome == COMMIT_FAILED)
        end_with(u, r->code, r->error);
    else if (!readable)
        end_with(u, error_set(&err, TENURE_EPROTOCOL, "the answer is not one to this request"), &err);
    else if (++u->tries >= UPDATE_TRIES_MAX)
        end_with(u, error_set(&err, TENURE_ECONFLICT, "others were faster %d times", UPDATE_TRIES_MAX), &err);
    else
        seen(u, &r->others[0].range, r->revision, client_now(u->client));
}

/* A key on a lease stays on it. */
static int commit(struct update *u, int verdict, bytes value, const struct kv *kv, tn_ms now, struct tenure_error *err)
{
    struct compare guard = {.target = COMPARE_MOD, .range.key = key_of(u), .number = kv->mod_revision};
    struct request_op write = {.kind = OP_PUT, .put = {.key = key_of(u), .value = value, .lease = kv->lease}};
    struct request_op look = {.kind = OP_RANGE, .range.range.key = key_of(u)};
    struct txn_req req = {
        .compares = &guard, .n_compares = 1, .success = &write, .n_success = 1, .failure = &look, .n_failure = 1};
    struct commit_options opt = {.until = u->until};
    if (verdict == UPDATE_DELETE)
        write = (struct request_op){.kind = OP_DELETE, .del.range.key = key_of(u)};
    if (now >= u->until)
        return error_set(err, TENURE_ETIMEOUT, "others were faster until the deadline, %u times", u->tries);
    return commit_start(&u->commit, u->client, u->marks, &req, &opt, on_committed, u, now, err);
}

static void seen(struct update *u, const struct range_resp *r, tn_rev at, tn_ms now)
{
    struct tenure_error err = {0};
    u->seen_at = at;
    struct kv kv = r->n_kvs ? r->kvs[0] : (struct kv){.key = key_of(u)};
    bytes value = {0};
    if (u->cancelled) {
        end_with(u, error_set(&err, TENURE_ECANCELLED, "the call was cancelled"), &err);
        return;
    }
    int verdict = u->compute(u->owner, &kv, &value, &err);
    if (verdict < 0)
        end_with(u, verdict, &err);
    else if (verdict == UPDATE_LEAVE || (verdict == UPDATE_DELETE && !r->n_kvs))
        update_end(u, &(struct update_result){.revision = kv.mod_revision});
    else if (commit(u, verdict, value, &kv, now, &err))
        end_with(u, err.code, &err);
}

static void on_read(void *owner, const struct client_result *r)
{
    struct update *u = owner;
    if (r->code)
        end_with(u, r->code, r->error);
    else
        seen(u, r->range, r->range->revision, client_now(u->client));
}

int update_start(struct update **slot, struct client *c, struct marks *m, bytes key, tn_ms until,
                 update_compute compute, update_done done, void *owner, tn_ms now, struct tenure_error *err)
{
    struct update *u = calloc(1, sizeof *u + key.len);
    assert(!*slot);
    if (!u)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    *u = (struct update){.client = c,
                         .marks = marks_ref(m),
                         .until = until,
                         .compute = compute,
                         .done = done,
                         .owner = owner,
                         .key_len = key.len};
    if (key.len)
        memcpy(u->key, key.data, key.len);
    struct range_req req = {.range.key = key};
    struct client_call_options opt = {.timeout_ms = until > now ? until - now : 1};
    int rc = op_range(&u->read, c, &req, &opt, on_read, u, now, err);
    if (rc) {
        marks_unref(m);
        free(u);
        return rc;
    }
    u->slot = slot;
    *slot = u;
    return 0;
}

tn_rev update_seen_at(const struct update *u)
{
    return u->seen_at;
}

void update_cancel(struct update **slot, tn_ms now)
{
    struct update *u = *slot;
    if (!u)
        return;
    u->cancelled = true;
    op_cancel(&u->read, now);
    commit_cancel(&u->commit, now);
}

void update_drop(struct update **slot, tn_ms now)
{
    struct update *u = *slot;
    if (!u)
        return;
    *slot = NULL;
    op_drop(&u->read, now);
    commit_drop(&u->commit, now);
    marks_unref(u->marks);
    free(u);
}
