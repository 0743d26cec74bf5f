/* See number.h. */
#include "lib/number.h"

#include "lib/marks.h"
#include "recipes/update.h"

enum { NAME_MAX_LEN = 4096, AGAIN_MAX = 5 };

struct ask *number_ask(tenure_client *c, const struct ask_type *type, const struct number_words *words,
                       const struct number_change *change, struct tenure_error *err)
{
    size_t len = words->name ? words->ns.len + strlen(words->prefix) + strlen(words->name) : 0;
    if (!words->name || !words->name[0] || len > NAME_MAX_LEN) {
        error_set(err, TENURE_EINVALID, "%s: a name that is empty or longer than %d bytes", words->what, NAME_MAX_LEN);
        return NULL;
    }
    struct ask *k = ask_new(c, type, words->timeout_ms, err);
    if (!k)
        return NULL;
    int ns_len = (int)words->ns.len;
    const char *ns = ns_len ? (const char *)words->ns.data : "", *marks = words->marks ? words->marks : MARKS_PREFIX;
    char *key = arena_printf(&k->arena, "%.*s%s%s", ns_len, ns, words->prefix, words->name);
    k->req.number.marks = arena_printf(&k->arena, "%.*s%s", ns_len, ns, marks);
    k->req.number.change = arena_alloc(&k->arena, sizeof *change);
    if (!key || !k->req.number.change || !k->req.number.marks) {
        ask_free(k);
        error_set(err, TENURE_ENOMEM, "%s: out of memory", words->what);
        return NULL;
    }
    k->req.number.key = bytes_str(key);
    k->req.number.unmarked = words->unmarked;
    *k->req.number.change = *change;
    return k;
}

/* The session of the marks was lost before anything was written: on another one. Not for ever: servers that refuse each lease
 * at once (no room on the disk) would be asked without a pause. */
static bool begin_again(struct ask *k)
{
    struct tenure_error ignored;
    tn_ms now = handle_now(k->handle);
    struct client_call_options opt = {.timeout_ms = k->deadline - now};
    if (k->req.number.again++ >= AGAIN_MAX)
        return false;
    return k->handle->state == HANDLE_OPEN && !k->req.number.is_cancelled && now < k->deadline &&
           number_begin(k, &opt, now, &ignored) == 0;
}

static void on_updated(void *owner, const struct update_result *r)
{
    struct ask *k = owner;
    if (r->code == TENURE_ELOST && r->error->applied == TENURE_APPLIED_NO && begin_again(k))
        return;
    struct tenure_error why = {0};
    struct client_result end = {.code = r->code, .error = &why};
    if (r->code) {
        why = *r->error;
        error_wrap(&why, "%s", k->type->what);
    }
    k->b = k->req.number.change->result;
    ask_ended(k, &end);
}

static int compute(void *owner, const struct kv *kv, bytes *ret_value, struct tenure_error *err)
{
    struct ask *k = owner;
    return number_compute(k->req.number.change, kv, ret_value, err);
}

int number_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    struct marks *m = NULL;
    bool reads = k->req.number.change->kind == NUMBER_GET;
    int rc = k->req.number.unmarked || reads ? 0 : lib_marks_use(k->handle, k->req.number.marks, &m, err);
    if (rc)
        return rc;
    return update_start(&k->req.number.update, k->handle->engine, m, k->req.number.key, now + opt->timeout_ms, compute,
                        on_updated, k, now, err);
}

void number_cancel(struct ask *k, tn_ms now)
{
    k->req.number.is_cancelled = true;
    update_cancel(&k->req.number.update, now);
}
