/* The life of a call.
 *
 * Happy path, blocking: the caller posts it, the loop begins it, the engine ends it, the caller is woken. Started from a
 * callback, or on a uv or poll handle, it begins at once, without a copy.
 *
 * Failure modes: it cannot begin: a waiter gets the reason, and a completion too, unless ask_start itself can still say
 * it. The engine's own deadline ends each call; should the loop be kept busy by a callback, the waiter leaves by himself
 * LATE_MS later, and what he knows then is the answer: not begun = not applied, else a write may have been applied.
 */
#include "lib/ask.h"

#include <stdlib.h>

#include "lib/view.h"

#define INPUT_MAX ((size_t)256 << 20)

static void ask_run(struct post *p, tn_ms now);

static void ask_post_free(struct post *p)
{
    struct ask *k = CONTAINER_OF(p, struct ask, post);
    if (k->result)
        k->type->result_free(k->result);
    scope_leave(&k->scope);
    arena_fini(&k->arena);
    free(k);
}

static tn_ms deadline_of(const tenure_client *c, int64_t timeout_ms)
{
    if (timeout_ms == 0)
        timeout_ms = c->call_timeout_ms;
    return handle_clock(c) + (timeout_ms < TIMEOUT_MAX_MS ? timeout_ms : TIMEOUT_MAX_MS);
}

struct ask *ask_new(tenure_client *c, const struct ask_type *type, int64_t timeout_ms, struct tenure_error *err)
{
    if (timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "%s: a timeout of %lld ms", type->what, (long long)timeout_ms);
        return NULL;
    }
    struct ask *k = calloc(1, sizeof *k);
    if (!k || post_init(&k->post, ask_run, ask_post_free, err) < 0) {
        free(k);
        error_set(err, TENURE_ENOMEM, "%s: out of memory", type->what);
        return NULL;
    }
    arena_init(&k->arena, INPUT_MAX);
    scope_take(&k->scope);
    if (scope_check(&k->scope, type->what, err)) {
        ask_free(k);
        return NULL;
    }
    k->handle = c;
    k->type = type;
    k->deadline = scope_until(&k->scope, c, deadline_of(c, timeout_ms));
    k->keeps = !handle_on_loop(c);
    return k;
}

bytes ask_keep(struct ask *k, bytes s)
{
    return k->keeps && s.len > 0 ? arena_copy(&k->arena, s) : s;
}

struct ask *ask_enter(tenure_client *c, const struct ask_type *type, bool blocks, int64_t timeout_ms,
                      struct tenure_error *err)
{
    bytes ns = type->in_namespace ? view_of(&c) : bytes_of(NULL, 0);
    int rc = blocks ? handle_enter_blocking(c, type->what, err) : handle_enter(c, err);
    struct ask *k = rc < 0 ? NULL : ask_new(c, type, timeout_ms, err);
    if (!k || ask_put_below(k, ns))
        return k;
    error_set(err, TENURE_ENOMEM, "out of memory");
    return ask_drop(k, err);
}

bool ask_put_below(struct ask *k, bytes ns)
{
    k->ns = ns.len > 0 ? arena_copy(&k->arena, ns) : ns;
    k->strip = ns.len;
    return ns.len == 0 || k->ns.data;
}

bool ask_keep_string(struct ask *k, const char *s, bytes *ret, struct tenure_error *err)
{
    if (s) {
        *ret = ask_keep(k, bytes_str(s));
        if (ret->data || ret->len == 0)
            return true;
    }
    error_set(err, s ? TENURE_ENOMEM : TENURE_EINVALID, s ? "out of memory" : "a name is NULL");
    ask_drop(k, err);
    return false;
}

struct ask *ask_drop(struct ask *k, struct tenure_error *err)
{
    error_wrap(err, "%s", k->type->what);
    ask_free(k);
    return NULL;
}

void ask_free(struct ask *k)
{
    if (k)
        post_unref(&k->post);
}

/* ---- the end ---- */

/* Wakes the waiter or calls back; the loop's reference is gone afterwards. */
static void finish(struct ask *k, int code, const struct tenure_error *err)
{
    scope_leave(&k->scope);
    if (k->cb)
        k->type->complete(k, code, code ? err : NULL);
    post_done(&k->post, code, err);
}

static int convert(struct ask *k, const struct client_result *r, struct tenure_error *err)
{
    if (!k->type->convert || k->type->convert(k, r) == 0)
        return 0;
    error_set(err, TENURE_ENOMEM, "%s: out of memory for the answer", k->type->what);
    err->applied = k->type->writes ? TENURE_APPLIED_YES : TENURE_APPLIED_NO;
    return TENURE_ENOMEM;
}

void ask_ended(void *user, const struct client_result *r)
{
    struct ask *k = user;
    struct tenure_error err = {0};
    int code = r->code;
    k->call = NULL;
    scope_leave(&k->scope);
    if (code == 0)
        code = convert(k, r, &err);
    else if (r->error)
        err = *r->error;
    else
        error_set(&err, code, "%s: %s", k->type->what, tenure_error_string(code));
    code = scope_word(&k->scope, code, k->type->what, &err);
    finish(k, code, &err);
}

/* ---- the beginning, on the loop ---- */

static void cancel(struct scope_link *l, tn_ms now)
{
    struct ask *k = CONTAINER_OF(l, struct ask, scope);
    if (k->type->cancel)
        k->type->cancel(k, now);
    else if (k->call)
        client_cancel(k->handle->engine, k->call, now);
}

static int begin(struct ask *k, tn_ms now, struct tenure_error *err)
{
    if (k->handle->state != HANDLE_OPEN)
        return error_set(err, TENURE_ECLOSED, "%s: the handle is closed", k->type->what);
    if (k->deadline <= now)
        return error_set(err, TENURE_ETIMEOUT, "%s: the deadline passed before the call began", k->type->what);
    struct client_call_options opt = {.timeout_ms = k->deadline - now};
    int rc = scope_join(&k->scope, k->handle, cancel, k->type->what, err);
    if (rc < 0)
        return rc;
    if (!k->type->cancel)
        opt.ret_call = &k->call;
    opt.by_program = true;
    struct client_context *before = scope_enter(&k->scope, k->handle);
    rc = k->type->begin(k, &opt, now, err);
    scope_exit(k->handle, before);
    return rc;
}

static void ask_run(struct post *p, tn_ms now)
{
    struct ask *k = CONTAINER_OF(p, struct ask, post);
    struct tenure_error err = {0};
    int rc = begin(k, now, &err);
    if (rc < 0)
        finish(k, rc, &err);
}

/* ---- the two forms ---- */

static int timed_out(const struct ask *k, enum post_state state, struct tenure_error *err)
{
    error_set(err, TENURE_ETIMEOUT, "%s: %s", k->type->what,
              k->handle->kit ? "nothing came within the test kit's patience"
                             : "the handle's thread was kept busy beyond the deadline");
    if (err && state == POST_RUNNING && k->type->writes)
        err->applied = TENURE_APPLIED_MAYBE;
    return TENURE_ETIMEOUT;
}

int ask_block(struct ask *k, struct tenure_error *err)
{
    int rc = post_send(k->handle, &k->post, err);
    if (rc < 0)
        return rc;
    enum post_state state = post_wait(&k->post, k->type->is_awaited ? TN_MS_NEVER : k->deadline + LATE_MS);
    if (state != POST_DONE)
        return timed_out(k, state, err);
    if (k->post.code != 0 && err)
        *err = k->post.error;
    return k->post.code;
}

/* The call's one reference becomes the engine's. */
static int start_here(struct ask *k, struct tenure_error *err)
{
    int rc = begin(k, handle_now(k->handle), err);
    if (rc < 0)
        post_unref(&k->post); /* leaves its scope as well */
    else
        handle_wants_turn(k->handle);
    return rc;
}

int ask_start(struct ask *k, void (*cb)(void), void *user, struct tenure_error *err)
{
    k->cb = cb;
    k->user = user;
    if (!k->keeps)
        return start_here(k, err);
    int rc = post_send(k->handle, &k->post, err);
    post_unref(&k->post);
    return rc;
}

/* An answer that nobody would be given. */
static struct ask *refuse_unheard(struct ask *k, struct tenure_error *err)
{
    error_set(err, TENURE_EINVALID, "there is nowhere to put the answer");
    return ask_drop(k, err);
}

int ask_finish(struct ask *k, void *ret_result, struct tenure_error *err)
{
    void **ret = ret_result;
    if (k && k->type->answers && !ret)
        k = refuse_unheard(k, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0 && ret) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

int ask_finish_number(struct ask *k, int64_t *ret, struct tenure_error *err)
{
    if (k && !ret)
        k = refuse_unheard(k, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0)
        *ret = k->a;
    ask_free(k);
    return rc;
}

int ask_go(struct ask *k, void (*cb)(void), void *user, struct tenure_error *err)
{
    if (k && k->type->answers && !cb)
        k = refuse_unheard(k, err);
    return k ? ask_start(k, cb, user, err) : err->code;
}

void ask_complete_done(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_done_cb)k->cb)(k->user, code, err);
}
