/* Get, put, delete and compact, in both forms. Each form: options, a call with its request, block or start. */
#include <stdlib.h>

#include "lib/ask.h"
#include "lib/request.h"
#include "lib/result.h"
#include "lib/view.h"

struct tenure_bytes tenure_str(const char *s)
{
    return (struct tenure_bytes){s, s ? strlen(s) : 0};
}

/* Copies a range where it must be kept; the end that was made new is the call's already. */
static int keep_range(struct ask *k, struct key_range *r, struct tenure_error *err)
{
    r->key = ask_keep(k, r->key);
    r->range_end = ask_keep(k, r->range_end);
    if (!r->key.data || (r->range_end.len > 0 && !r->range_end.data))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    return 0;
}

#define BEGIN(name, field)                                                                                             \
    static int name##_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err) \
    {                                                                                                                  \
        return client_##name(k->handle->engine, &k->req.field, opt, ask_ended, k, now, err) ? 0 : err->code;           \
    }
BEGIN(range, range)
BEGIN(put, put)
BEGIN(delete, del)
BEGIN(compact, compact)
#undef BEGIN

/* ---- get ---- */

static int get_convert(struct ask *k, const struct client_result *r)
{
    view_strip_kvs(r->range->kvs, r->range->n_kvs, k->strip);
    k->result = result_get(r->range);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(get_complete, tenure_get_cb, struct tenure_get_result)

static const struct ask_type get_type = {
    .what = "get",
    .answers = true,
    .in_namespace = true,
    .begin = range_begin,
    .convert = get_convert,
    .result_free = free,
    .complete = get_complete,
};

static struct ask *get_new(tenure_client *c, bool blocks, struct tenure_bytes key,
                           const struct tenure_get_options *options, struct tenure_error *err)
{
    struct tenure_get_options o;
    if (options_take(&o, sizeof o, options, "get", err) < 0)
        return NULL;
    struct ask *k = ask_enter(c, &get_type, blocks, o.timeout_ms, err);
    if (!k)
        return NULL;
    if (request_get(k->ns, key, &o, &k->arena, &k->req.range, err) < 0 || keep_range(k, &k->req.range.range, err) < 0)
        return ask_drop(k, err);
    return k;
}

int tenure_get(tenure_client *c, struct tenure_bytes key, const struct tenure_get_options *o,
               struct tenure_get_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    void *result = NULL;
    err = err ? err : &own;
    int rc = ask_finish(get_new(c, true, key, o, err), &result, err);
    if (rc == 0 && ret)
        *ret = result;
    else
        free(result);
    return rc;
}

int tenure_get_start(tenure_client *c, struct tenure_bytes key, const struct tenure_get_options *o, tenure_get_cb cb,
                     void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(get_new(c, false, key, o, err), (void (*)(void))cb, user, err);
}

/* ---- put ---- */

static int put_convert(struct ask *k, const struct client_result *r)
{
    struct put_resp put = *r->put;
    put.prev_kv.key = view_strip(put.prev_kv.key, k->strip);
    k->result = result_put(&put);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(put_complete, tenure_put_cb, struct tenure_put_result)

static const struct ask_type put_type = {
    .what = "put",
    .in_namespace = true,
    .writes = true,
    .begin = put_begin,
    .convert = put_convert,
    .result_free = free,
    .complete = put_complete,
};

static int keep_put(struct ask *k, struct put_req *r, struct tenure_error *err)
{
    size_t value_len = r->value.len;
    r->key = ask_keep(k, r->key);
    r->value = ask_keep(k, r->value);
    if (!r->key.data || (value_len > 0 && !r->value.data))
        return error_set(err, TENURE_ENOMEM, "out of memory");
    return 0;
}

static struct ask *put_new(tenure_client *c, bool blocks, struct tenure_bytes key, struct tenure_bytes value,
                           const struct tenure_put_options *options, struct tenure_error *err)
{
    struct tenure_put_options o;
    if (options_take(&o, sizeof o, options, "put", err) < 0)
        return NULL;
    struct ask *k = ask_enter(c, &put_type, blocks, o.timeout_ms, err);
    if (!k)
        return NULL;
    if (request_put(k->ns, key, value, &o, &k->arena, &k->req.put, err) < 0 || keep_put(k, &k->req.put, err) < 0)
        return ask_drop(k, err);
    return k;
}

int tenure_put(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value, const struct tenure_put_options *o,
               struct tenure_put_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    void *result = NULL;
    err = err ? err : &own;
    int rc = ask_finish(put_new(c, true, key, value, o, err), &result, err);
    if (rc == 0 && ret)
        *ret = result;
    else
        free(result);
    return rc;
}

int tenure_put_start(tenure_client *c, struct tenure_bytes key, struct tenure_bytes value,
                     const struct tenure_put_options *o, tenure_put_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(put_new(c, false, key, value, o, err), (void (*)(void))cb, user, err);
}

/* ---- delete ---- */

static int delete_convert(struct ask *k, const struct client_result *r)
{
    view_strip_kvs(r->del->prev_kvs, r->del->n_prev_kvs, k->strip);
    k->result = result_delete(r->del);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(delete_complete, tenure_delete_cb, struct tenure_delete_result)

static const struct ask_type delete_type = {
    .what = "delete",
    .in_namespace = true,
    .writes = true,
    .begin = delete_begin,
    .convert = delete_convert,
    .result_free = free,
    .complete = delete_complete,
};

static struct ask *delete_new(tenure_client *c, bool blocks, struct tenure_bytes key,
                              const struct tenure_delete_options *options, struct tenure_error *err)
{
    struct tenure_delete_options o;
    if (options_take(&o, sizeof o, options, "delete", err) < 0)
        return NULL;
    struct ask *k = ask_enter(c, &delete_type, blocks, o.timeout_ms, err);
    if (!k)
        return NULL;
    if (request_delete(k->ns, key, &o, &k->arena, &k->req.del, err) < 0 || keep_range(k, &k->req.del.range, err) < 0)
        return ask_drop(k, err);
    return k;
}

int tenure_delete(tenure_client *c, struct tenure_bytes key, const struct tenure_delete_options *o,
                  struct tenure_delete_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    void *result = NULL;
    err = err ? err : &own;
    int rc = ask_finish(delete_new(c, true, key, o, err), &result, err);
    if (rc == 0 && ret)
        *ret = result;
    else
        free(result);
    return rc;
}

int tenure_delete_start(tenure_client *c, struct tenure_bytes key, const struct tenure_delete_options *o,
                        tenure_delete_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(delete_new(c, false, key, o, err), (void (*)(void))cb, user, err);
}

/* ---- compact ---- */

static const struct ask_type compact_type = {
    .what = "compact",
    .in_namespace = true,
    .writes = true,
    .begin = compact_begin,
    .result_free = free,
    .complete = ask_complete_done,
};

static struct ask *compact_new(tenure_client *c, bool blocks, int64_t revision, bool physical, int64_t timeout_ms,
                               struct tenure_error *err)
{
    struct ask *k = ask_enter(c, &compact_type, blocks, timeout_ms, err);
    if (k)
        k->req.compact = (struct compact_req){.revision = revision, .physical = physical};
    return k;
}

int tenure_compact(tenure_client *c, int64_t revision, bool physical, int64_t timeout_ms, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_finish(compact_new(c, true, revision, physical, timeout_ms, err), NULL, err);
}

int tenure_compact_start(tenure_client *c, int64_t revision, bool physical, int64_t timeout_ms, tenure_done_cb cb,
                         void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(compact_new(c, false, revision, physical, timeout_ms, err), (void (*)(void))cb, user, err);
}
