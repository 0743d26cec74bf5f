/* Writes of a shared value: each is a function of what is there (recipes/update.h): a constant, one that looks at the
 * mod_revision first, or the program's own. What was written is handed to the replica before the program hears of it. */
#include <stdlib.h>

#include "lib/marks.h"
#include "lib/result.h"
#include "lib/value.h"
#include "recipes/update.h"

enum { ATTEMPTS_MAX = 1000, AGAIN_MAX = 5 };

enum write_kind { WRITE_SET, WRITE_CAS, WRITE_DELETE, WRITE_UPDATE };

struct value_write {
    tenure_value *value;
    enum write_kind kind;
    bytes shall;
    int64_t mod_revision; /* that it must have; DELETE: 0 = any */
    tenure_value_fn fn;
    void *arg;
    int64_t attempts, attempts_max;
    unsigned again; /* begun on another session */
    bool is_cancelled;
    tn_ms began;
    struct update *update;
    /* Of the last attempt: what was there, as far as it counts (its value is borrowed, and gone at the end), and what was to be there. */
    struct kv was;
    tn_rev seen_at;
    int verdict;
    struct buf is;  /* the value that was there, kept where it is the answer */
    struct buf put; /* the program's value: its memory is its own */
};

/* ---- what is to be written ---- */

static int keep(struct buf *b, bytes s)
{
    buf_reset(b);
    buf_append_bytes(b, s);
    return buf_error(b) ? TENURE_ENOMEM : 0;
}

static int is_another(const struct value_write *w, const struct kv *kv, struct tenure_error *err)
{
    if (kv->mod_revision == w->mod_revision)
        return 0;
    return error_set(err, TENURE_ECONFLICT, "its mod_revision is %lld, not %lld", (long long)kv->mod_revision,
                     (long long)w->mod_revision);
}

static int ask_program(struct value_write *w, const struct kv *kv, bytes *ret, struct tenure_error *err)
{
    struct tenure_bytes shall = {0};
    tn_ms now = handle_clock(w->value->object.handle);
    struct tenure_value_state *is = value_state_new(kv, w->seen_at, value_stale_ms(now, w->began));
    if (!is)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    int verdict = w->fn(is, &shall, w->arg);
    bool is_bad = verdict > TENURE_VALUE_LEAVE || (verdict == TENURE_VALUE_PUT && !shall.data && shall.len > 0);
    if (verdict == TENURE_VALUE_PUT && !is_bad && keep(&w->put, result_bytes_in(shall)))
        verdict = error_set(err, TENURE_ENOMEM, "out of memory");
    else if (is_bad)
        verdict = error_set(err, TENURE_EINVALID, "the function's answer has no meaning");
    else if (verdict < 0)
        error_set(err, verdict, "the function answered %d", verdict);
    *ret = buf_bytes(&w->put);
    tenure_value_state_free(is);
    return verdict == TENURE_VALUE_PUT      ? UPDATE_PUT
           : verdict == TENURE_VALUE_DELETE ? UPDATE_DELETE
           : verdict == TENURE_VALUE_LEAVE  ? UPDATE_LEAVE
                                            : verdict;
}

static int decide(struct value_write *w, const struct kv *kv, bytes *ret, struct tenure_error *err)
{
    int rc = 0;
    *ret = w->shall;
    switch (w->kind) {
    case WRITE_UPDATE:
        return ask_program(w, kv, ret, err);
    case WRITE_SET:
        break;
    case WRITE_CAS:
        rc = is_another(w, kv, err);
        break;
    case WRITE_DELETE:
        rc = w->mod_revision ? is_another(w, kv, err) : 0;
        return rc ? rc : UPDATE_DELETE;
    }
    return rc ? rc : UPDATE_PUT;
}

/* Of a compare and set, whoever was faster, what is there instead belongs to the answer. */
static bool tells_why(const struct value_write *w, int code)
{
    return code == TENURE_ECONFLICT && (w->kind == WRITE_CAS || (w->kind == WRITE_DELETE && w->mod_revision));
}

static int compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    struct ask *k = owner;
    struct value_write *w = k->req.write;
    w->was = *kv;
    w->seen_at = update_seen_at(w->update);
    if (w->attempts++ == w->attempts_max)
        w->verdict = error_set(err, TENURE_ECONFLICT, "others were faster %lld times", (long long)w->attempts_max);
    else
        w->verdict = decide(w, kv, ret_value, err);
    bool is_answer = w->verdict == UPDATE_LEAVE || tells_why(w, w->verdict);
    if (is_answer && keep(&w->is, kv->value))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    w->was.value = buf_bytes(&w->is);
    if (w->verdict == UPDATE_PUT)
        w->shall = *ret_value;
    return w->verdict;
}

/* ---- the end ---- */

static struct kv now_there(const struct value_write *w, const struct update_result *r)
{
    struct kv kv = w->was;
    if (!r->written)
        return r->code || w->verdict == UPDATE_LEAVE ? kv : (struct kv){0};
    if (w->verdict == UPDATE_DELETE)
        return (struct kv){.mod_revision = 0};
    kv.value = w->shall;
    kv.version++;
    kv.mod_revision = r->revision;
    if (kv.version == 1)
        kv.create_revision = r->revision;
    return kv;
}

/* A key is told to the replica by the whole of it. */
static void learn(struct value_write *w, struct kv kv, tn_rev revision)
{
    tenure_value *v = w->value;
    kv.key = v->key;
    if (!v->is_stopped && !v->has_ended)
        replica_wrote(v->replica, revision, &kv, w->began);
}

static void answer(struct ask *k, const struct update_result *r, const struct tenure_error *why)
{
    struct value_write *w = k->req.write;
    tenure_value *v = w->value;
    struct client_result end = {.code = r->code, .error = why};
    struct kv kv = now_there(w, r);
    if (r->code == 0 || (tells_why(w, r->code) && w->verdict == TENURE_ECONFLICT))
        k->result = value_state_new(&kv, r->written ? r->revision : w->seen_at,
                                    value_stale_ms(handle_clock(v->object.handle), w->began));
    if (r->written)
        learn(w, kv, r->revision);
    buf_fini(&w->is);
    buf_fini(&w->put);
    value_left(v);
    ask_ended(k, &end);
}

/* The program wanted a state: what is done is done. */
static int convert(struct ask *k, const struct client_result *r)
{
    (void)r;
    return k->result ? 0 : TENURE_ENOMEM;
}

static void complete(struct ask *k, int code, const struct tenure_error *err)
{
    struct tenure_value_state *state = k->result;
    k->result = NULL;
    ((tenure_value_cb)k->cb)(k->user, code, state, err);
}

static int start(struct ask *k, tn_ms until, tn_ms now, struct tenure_error *err);

/* The session of the marks was lost before anything was written: on another one. Not for ever, as servers may refuse each. */
static bool begin_again(struct ask *k)
{
    struct value_write *w = k->req.write;
    struct tenure_error ignored;
    tn_ms now = handle_now(k->handle);
    return w->again++ < AGAIN_MAX && k->handle->state == HANDLE_OPEN && !w->is_cancelled && now < k->deadline &&
           start(k, k->deadline, now, &ignored) == 0;
}

static void on_updated(void *owner, const struct update_result *r)
{
    struct ask *k = owner;
    struct tenure_error why = {0};
    bool is_marks = r->code == TENURE_ELOST && k->req.write->verdict != TENURE_ELOST; /* not the function's word */
    if (is_marks && r->error->applied == TENURE_APPLIED_NO && begin_again(k))
        return;
    if (r->code) {
        why = *r->error;
        error_wrap(&why, "value");
    }
    answer(k, r, &why);
}

/* ---- the beginning ---- */

static int start(struct ask *k, tn_ms until, tn_ms now, struct tenure_error *err)
{
    struct value_write *w = k->req.write;
    struct marks *m = NULL;
    int rc = w->value->o.unmarked ? 0 : lib_marks_use(k->handle, w->value->marks, &m, err);
    return rc ? rc
              : update_start(&w->update, k->handle->engine, m, w->value->key, until, compute, on_updated, k, now, err);
}

static int begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct value_write *w = k->req.write;
    if (w->value->is_stopped)
        return error_set(err, TENURE_ECLOSED, "value: it is closed");
    buf_init(&w->is);
    buf_init(&w->put);
    w->began = now;
    int rc = start(k, now + opt->timeout_ms, now, err);
    w->value->users += rc == 0;
    return rc;
}

static void cancel(struct ask *k, tn_ms now)
{
    k->req.write->is_cancelled = true;
    update_cancel(&k->req.write->update, now);
}

static const struct ask_type write_type = {.what = "value",
                                           .writes = true,
                                           .begin = begin,
                                           .cancel = cancel,
                                           .convert = convert,
                                           .result_free = free,
                                           .complete = complete};
/* The program's function is its caller's to the end. */
static const struct ask_type update_type = {.what = "value",
                                            .writes = true,
                                            .is_awaited = true,
                                            .begin = begin,
                                            .cancel = cancel,
                                            .convert = convert,
                                            .result_free = free,
                                            .complete = complete};

static int check(const struct value_write *w, const struct tenure_value_write_options *o, struct tenure_error *err)
{
    if (o->attempts_max < 0 || w->mod_revision < 0)
        return error_set(err, TENURE_EINVALID, "value: a number below 0");
    if (w->kind == WRITE_UPDATE && !w->fn)
        return error_set(err, TENURE_EINVALID, "value: there is no function");
    if (w->kind != WRITE_UPDATE && !w->shall.data && w->shall.len > 0)
        return error_set(err, TENURE_EINVALID, "value: the value is NULL");
    return 0;
}

static struct ask *write_ask(struct value_write w, const struct tenure_value_write_options *options, bool blocks,
                             struct tenure_error *err)
{
    struct tenure_value_write_options o;
    if (value_enter(w.value, blocks, err) < 0 || options_take(&o, sizeof o, options, "value", err) < 0 ||
        check(&w, &o, err) < 0)
        return NULL;
    struct ask *k =
        ask_new(w.value->object.handle, w.kind == WRITE_UPDATE ? &update_type : &write_type, o.timeout_ms, err);
    if (!k)
        return NULL;
    w.attempts_max = o.attempts_max ? o.attempts_max : ATTEMPTS_MAX;
    k->req.write = arena_alloc(&k->arena, sizeof w);
    /* A copy in any case: it is written behind the call. */
    bytes shall = w.shall.len ? arena_copy(&k->arena, w.shall) : w.shall;
    if (!k->req.write || (w.shall.len && !shall.data)) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return ask_drop(k, err);
    }
    w.shall = shall;
    *k->req.write = w;
    return k;
}

static int blocking(struct value_write w, const struct tenure_value_write_options *o, struct tenure_value_state **ret,
                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = write_ask(w, o, true, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (ret && (rc == 0 || rc == TENURE_ECONFLICT)) {
        *ret = k->result;
        k->result = NULL;
    }
    ask_free(k);
    return rc;
}

static int started(struct value_write w, const struct tenure_value_write_options *o, tenure_value_cb cb, void *user,
                   struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(write_ask(w, o, false, err), (void (*)(void))cb, user, err);
}

/* ---- the two forms ---- */

static struct value_write set(tenure_value *v, struct tenure_bytes value)
{
    return (struct value_write){.value = v, .kind = WRITE_SET, .shall = result_bytes_in(value)};
}

static struct value_write cas(tenure_value *v, int64_t mod_revision, struct tenure_bytes value)
{
    return (struct value_write){
        .value = v, .kind = WRITE_CAS, .mod_revision = mod_revision, .shall = result_bytes_in(value)};
}

static struct value_write deletion(tenure_value *v, int64_t mod_revision)
{
    return (struct value_write){.value = v, .kind = WRITE_DELETE, .mod_revision = mod_revision};
}

static struct value_write update(tenure_value *v, tenure_value_fn fn, void *arg)
{
    return (struct value_write){.value = v, .kind = WRITE_UPDATE, .fn = fn, .arg = arg};
}

int tenure_value_set(tenure_value *v, struct tenure_bytes value, const struct tenure_value_write_options *o,
                     struct tenure_value_state **ret, struct tenure_error *err)
{
    return blocking(set(v, value), o, ret, err);
}

int tenure_value_cas(tenure_value *v, int64_t mod_revision, struct tenure_bytes value,
                     const struct tenure_value_write_options *o, struct tenure_value_state **ret,
                     struct tenure_error *err)
{
    return blocking(cas(v, mod_revision, value), o, ret, err);
}

int tenure_value_delete(tenure_value *v, int64_t mod_revision, const struct tenure_value_write_options *o,
                        struct tenure_value_state **ret, struct tenure_error *err)
{
    return blocking(deletion(v, mod_revision), o, ret, err);
}

int tenure_value_update(tenure_value *v, tenure_value_fn fn, void *arg, const struct tenure_value_write_options *o,
                        struct tenure_value_state **ret, struct tenure_error *err)
{
    return blocking(update(v, fn, arg), o, ret, err);
}

int tenure_value_set_start(tenure_value *v, struct tenure_bytes value, const struct tenure_value_write_options *o,
                           tenure_value_cb cb, void *user, struct tenure_error *err)
{
    return started(set(v, value), o, cb, user, err);
}

int tenure_value_cas_start(tenure_value *v, int64_t mod_revision, struct tenure_bytes value,
                           const struct tenure_value_write_options *o, tenure_value_cb cb, void *user,
                           struct tenure_error *err)
{
    return started(cas(v, mod_revision, value), o, cb, user, err);
}

int tenure_value_delete_start(tenure_value *v, int64_t mod_revision, const struct tenure_value_write_options *o,
                              tenure_value_cb cb, void *user, struct tenure_error *err)
{
    return started(deletion(v, mod_revision), o, cb, user, err);
}

int tenure_value_update_start(tenure_value *v, tenure_value_fn fn, void *arg,
                              const struct tenure_value_write_options *o, tenure_value_cb cb, void *user,
                              struct tenure_error *err)
{
    return started(update(v, fn, arg), o, cb, user, err);
}
