/* Transactional memory without a waiting thread: the function is run on the loop's, by an errand (recipes/transact.h), again from its
 * beginning whenever what it wanted to read has come. */
#include <stdlib.h>

#include "lib/marks.h"
#include "lib/result.h"
#include "lib/stm.h"
#include "lib/view.h"
#include "lib/wait.h"
#include "recipes/transact.h"

struct stm_call {
    tenure_wait wait;
    tenure_stm_view view;
    struct tenure_stm_options o;
    int (*body)(tenure_stm_view *v, void *arg);
    void *arg;
    bytes ns;    /* owned, as is the next */
    char *marks; /* prefix, below ns */
    int value;   /* that the function answered */
    struct transact_result result;
};

static struct stm_call *call_of(tenure_wait *w)
{
    return CONTAINER_OF(w, struct stm_call, wait);
}

static void call_free(tenure_wait *w)
{
    struct stm_call *k = call_of(w);
    buf_fini(&k->view.key);
    free((void *)k->ns.data);
    free(k->marks);
    free(k);
}

static void complete(tenure_wait *w)
{
    struct stm_call *k = call_of(w);
    int code = w->code && k->value ? k->value : w->code;
    ((tenure_stm_cb)w->cb)(w->user, code, w->code ? 0 : k->result.revision, k->result.attempts,
                           w->code ? &w->error : NULL);
}

static bool ended(tenure_wait *w, struct errand *t, tn_ms now)
{
    (void)now;
    call_of(w)->result = transact_result(t);
    return false;
}

/* ---- on the loop ---- */

static int run(void *user, struct errand *t, struct stm *set, struct tenure_error *err)
{
    struct stm_call *k = user;
    tenure_stm_view *v = &k->view;
    v->errand = t;
    v->set = set;
    v->attempt = transact_attempt(t);
    v->code = 0;
    v->waits = false;
    int value = k->body(v, k->arg);
    if (v->waits)
        return TRANSACT_WAIT;
    if (v->code) {
        *err = v->why;
        return v->code;
    }
    if (value == 0)
        return TRANSACT_COMMIT;
    k->value = value;
    return error_set(err, value < 0 ? value : TENURE_EINTERNAL, "the function answered %d", value);
}

static int marks(void *user, struct marks **ret, struct tenure_error *err)
{
    struct stm_call *k = user;
    return lib_marks_use(k->wait.handle, k->marks, ret, err);
}

static bytes *whole_keys(const struct stm_call *k, struct arena *a)
{
    bytes *keys = arena_array(a, k->o.n_prefetch + 1, sizeof *keys);
    for (size_t i = 0; keys && i < k->o.n_prefetch; i++) {
        struct tenure_bytes key = k->o.prefetch[i];
        uint8_t *whole = arena_alloc(a, k->ns.len + key.len + 1);
        if (!whole)
            return NULL;
        if (k->ns.len)
            memcpy(whole, k->ns.data, k->ns.len);
        memcpy(whole + k->ns.len, key.data, key.len);
        keys[i] = bytes_of(whole, k->ns.len + key.len);
    }
    return keys;
}

static struct errand *begin(tenure_wait *w, tn_ms now, struct tenure_error *err)
{
    struct stm_call *k = call_of(w);
    struct arena a;
    struct errand *t = NULL;
    (void)now;
    arena_init(&a, 0);
    bytes *keys = whole_keys(k, &a);
    struct transact_options o = {.isolation = (enum stm_isolation)k->o.isolation,
                                 .prefetch = keys,
                                 .n_prefetch = k->o.n_prefetch,
                                 .attempts_max = k->o.attempts_max,
                                 .until = w->until,
                                 .body = run,
                                 .marks = k->o.unmarked ? NULL : marks,
                                 .user = k};
    if (keys)
        t = transact(w->handle->engine, &o, wait_done, w, err);
    else
        error_set(err, TENURE_ENOMEM, "stm: out of memory");
    arena_fini(&a);
    return t;
}

static const struct wait_type stm_wait_type = {
    .what = "stm", .begin = begin, .ended = ended, .complete = complete, .free = call_free};

/* ---- at the door ---- */

static int check_prefetch(const struct tenure_stm_options *o, struct tenure_error *err)
{
    for (size_t i = 0; i < o->n_prefetch; i++)
        if (!o->prefetch[i].data || o->prefetch[i].len == 0)
            return error_set(err, TENURE_EINVALID, "stm: the key is empty");
    return 0;
}

/* What the wait keeps beyond the call that began it. */
static int fill(struct stm_call *k, bytes ns, struct tenure_error *err)
{
    uint8_t *copy = ns.len ? malloc(ns.len) : NULL;
    buf_init(&k->view.key);
    if (ns.len && copy)
        memcpy(copy, ns.data, ns.len);
    k->ns = bytes_of(copy, copy ? ns.len : 0);
    k->marks = view_recipe_prefix(ns, k->o.marks, MARKS_PREFIX, NULL);
    if ((ns.len && !copy) || !k->marks)
        return error_set(err, TENURE_ENOMEM, "stm: out of memory");
    k->view.root = k->wait.handle;
    k->view.ns = k->ns;
    return 0;
}

tenure_wait *tenure_stm_start(tenure_client *c, const struct tenure_stm_options *options,
                              int (*body)(tenure_stm_view *v, void *arg), void *arg, tenure_stm_cb cb, void *user,
                              struct tenure_error *err)
{
    struct tenure_error own = {0};
    struct tenure_stm_options o;
    bytes ns = view_of(&c);
    err = err ? err : &own;
    int rc = handle_enter(c, err);
    rc = rc < 0 ? rc : options_take(&o, sizeof o, options, "stm", err);
    rc = rc < 0 ? rc : stm_options_check(&o, err);
    rc = rc < 0 ? rc : check_prefetch(&o, err);
    if (rc == 0 && (!body || !cb))
        rc = error_set(err, TENURE_EINVALID, "stm: there is no function, or nobody would hear of it");
    tenure_wait *w = rc < 0 ? NULL : wait_new(c, sizeof(struct stm_call), &stm_wait_type, o.timeout_ms, false, err);
    if (!w)
        return NULL;
    struct stm_call *k = call_of(w);
    k->o = o;
    k->body = body;
    k->arg = arg;
    if (fill(k, ns, err) == 0)
        return wait_begin(w, false, (void (*)(void))cb, user, err) == 0 ? w : NULL;
    wait_unref(w);
    return NULL;
}
