/* Ranges page by page: the client's pager as an object of a handle, and a call for each page. */
#include <tenure/iterator.h>

#include <stdlib.h>

#include "client/pager.h"
#include "lib/ask.h"
#include "lib/range.h"
#include "lib/result.h"
#include "lib/view.h"

struct tenure_range_iter {
    struct object object;
    struct client_pager *pager; /* NULL once it was freed */
    int64_t timeout_ms;
    size_t strip; /* of a view: how much of the keys is not shown */
};

static tenure_range_iter *iter_of(const struct object *o)
{
    return CONTAINER_OF(o, tenure_range_iter, object);
}

/* ---- the object ---- */

static void iter_end(tenure_range_iter *it)
{
    it->pager = client_pager_free(it->pager, handle_now(it->object.handle));
}

static void iter_object_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static bool is_over(const struct object *o)
{
    return !iter_of(o)->pager;
}

static void iter_object_free(struct object *o)
{
    iter_end(iter_of(o));
    free(iter_of(o));
}

static const struct object_type iter_type = {
    .close = iter_object_close,
    .is_over = is_over,
    .is_passive = true,
    .free = iter_object_free,
};

/* ---- making one ---- */

struct start {
    tenure_client *handle;
    bytes ns;
    struct tenure_bytes key;
    struct tenure_range_options o;
    tenure_range_iter *iter;
    struct tenure_error *err;
};

static int make_pager(struct start *s, struct client_pager **ret)
{
    struct arena a;
    struct range_words words = {s->key, s->o.prefix, s->o.from_key, s->o.range_end, s->ns};
    struct client_pager_options opt = {
        .range = {.limit = s->o.limit,
                  .revision = s->o.revision,
                  .keys_only = s->o.keys_only,
                  .serializable = s->o.serializable},
        .descending = s->o.descending,
        .no_stream = s->o.no_stream,
        .page_keys = s->o.page_keys,
        .page_bytes = s->o.page_bytes,
    };
    arena_init(&a, 0);
    int rc = range_of(&words, &a, &opt.range.range, s->err);
    if (rc == 0)
        rc = client_pager_new(s->handle->engine, &opt, ret, s->err);
    arena_fini(&a);
    return rc;
}

static void start_run(void *arg)
{
    struct start *s = arg;
    if (s->handle->state != HANDLE_OPEN) {
        error_set(s->err, TENURE_ECLOSED, "range: the handle is closed");
        return;
    }
    tenure_range_iter *it = calloc(1, sizeof *it);
    if (!it) {
        error_set(s->err, TENURE_ENOMEM, "range: out of memory");
        return;
    }
    if (make_pager(s, &it->pager) < 0) {
        error_wrap(s->err, "range");
        free(it);
        return;
    }
    it->timeout_ms = s->o.timeout_ms;
    it->strip = s->ns.len;
    object_init(&it->object, s->handle, &iter_type);
    s->iter = it;
}

tenure_range_iter *tenure_range_iter_new(tenure_client *c, struct tenure_bytes key,
                                         const struct tenure_range_options *o, struct tenure_error *err)
{
    struct tenure_error own = {0};
    bytes ns = view_of(&c);
    struct start s = {.handle = c, .ns = ns, .key = key, .err = err ? err : &own};
    if (handle_enter(c, err) < 0 || options_take(&s.o, sizeof s.o, o, "range", err) < 0)
        return NULL;
    if (s.o.revision < 0 || s.o.limit < 0 || s.o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "range: a negative number in the options");
        return NULL;
    }
    if (!handle_sync(c, start_run, &s))
        error_set(err, TENURE_ECLOSED, "range: the handle is closed");
    return s.iter;
}

static void free_run(void *arg)
{
    tenure_range_iter *it = arg;
    iter_end(it);
    object_changed(&it->object);
}

void tenure_range_iter_free(tenure_range_iter *it)
{
    if (it && !handle_is_forked(it->object.handle))
        handle_sync(it->object.handle, free_run, it);
}

/* ---- pages ---- */

static int page_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err)
{
    int rc = client_pager_next(k->req.iter->pager, opt, ask_ended, k, now, err);
    return rc < 0 ? (error_wrap(err, "range"), rc) : 0;
}

static void page_cancel(struct ask *k, tn_ms now)
{
    client_pager_cancel(k->req.iter->pager, now);
}

static int page_convert(struct ask *k, const struct client_result *r)
{
    view_strip_kvs(r->range->kvs, r->range->n_kvs, k->strip);
    k->result = result_get(r->range);
    return k->result ? 0 : TENURE_ENOMEM;
}

ASK_COMPLETE(page_complete, tenure_get_cb, struct tenure_get_result)

static const struct ask_type page_type = {
    .is_awaited = true, /* or a page would be read that nobody got */
    .what = "range",
    .answers = true,
    .begin = page_begin,
    .cancel = page_cancel,
    .convert = page_convert,
    .result_free = free,
    .complete = page_complete,
};

static struct ask *page_new(tenure_range_iter *it, bool blocks, struct tenure_error *err)
{
    if (!it) {
        error_set(err, TENURE_EINVALID, "range: the iterator is NULL");
        return NULL;
    }
    struct ask *k = ask_enter(it->object.handle, &page_type, blocks, it->timeout_ms, err);
    if (k)
        k->req.iter = it, k->strip = it->strip;
    return k;
}

int tenure_range_iter_next(tenure_range_iter *it, struct tenure_get_result **ret, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    if (!ret)
        return error_set(err, TENURE_EINVALID, "range: there is nowhere to put the page");
    *ret = NULL;
    int rc = ask_finish(page_new(it, true, err), ret, err);
    if (rc != TENURE_ENOTFOUND)
        return rc;
    error_clear(err);
    return 0;
}

int tenure_range_iter_next_start(tenure_range_iter *it, tenure_get_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    return ask_go(page_new(it, false, err), (void (*)(void))cb, user, err);
}
