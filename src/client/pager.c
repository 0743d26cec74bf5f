/* See pager.h. */
#include "client/pager.h"

#include <stdlib.h>

enum {
    PAGE_KEYS = 1000,
    PAGE_KEYS_FIRST = 100, /* while nothing is known of their size */
    PAGE_BYTES = 1 << 20,
};

struct client_pager {
    struct client *client;
    struct range_req req;
    struct buf key, end; /* what is left of the range */
    bool descending, no_stream, is_range;
    size_t page_keys, page_bytes;
    int64_t left; /* keys still wanted; INT64_MAX = all */
    tn_rev revision;
    uint64_t seen_keys, seen_bytes;
    bool at_end, dead, telling;
    bool cancelled; /* the page under way */

    /* the page under way */
    struct client_call *call;
    tn_ms deadline; /* TN_MS_NEVER = the client's default for each try */
    bool streams, full, more;
    int broken; /* a chunk could not be taken: why */
    struct arena arena;
    struct kv *kvs;
    size_t n, cap, bytes;
    client_done_cb cb;
    void *user;
};

/* ---- life ---- */

static void destroy(struct client_pager *p)
{
    buf_fini(&p->key);
    buf_fini(&p->end);
    arena_fini(&p->arena);
    free(p->kvs);
    free(p);
}

int client_pager_new(struct client *c, const struct client_pager_options *opt, struct client_pager **ret,
                     struct tenure_error *err)
{
    struct client_pager *p = calloc(1, sizeof *p);
    if (!p)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    p->client = c;
    p->req = opt->range;
    p->descending = opt->descending;
    p->no_stream = opt->no_stream || opt->descending;
    p->is_range = opt->range.range.range_end.len > 0;
    p->page_keys = opt->page_keys ? opt->page_keys : PAGE_KEYS;
    p->page_bytes = opt->page_bytes ? opt->page_bytes : PAGE_BYTES;
    p->left = opt->range.limit > 0 ? opt->range.limit : INT64_MAX;
    p->revision = opt->range.revision > 0 ? opt->range.revision : 0;
    buf_init(&p->key);
    buf_init(&p->end);
    arena_init(&p->arena, 0);
    buf_append_bytes(&p->key, opt->range.range.key);
    buf_append_bytes(&p->end, opt->range.range.range_end);
    if (buf_error(&p->key) || buf_error(&p->end)) {
        destroy(p);
        return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    *ret = p;
    return 0;
}

struct client_pager *client_pager_free(struct client_pager *p, tn_ms now)
{
    if (!p)
        return NULL;
    p->dead = true;
    if (p->call)
        client_cancel(p->client, p->call, now);
    else if (!p->telling)
        destroy(p);
    return NULL;
}

void client_pager_cancel(struct client_pager *p, tn_ms now)
{
    if (!p || !p->call)
        return;
    p->cancelled = true;
    client_cancel(p->client, p->call, now);
}

tn_rev client_pager_revision(const struct client_pager *p)
{
    return p->revision;
}

bool client_pager_at_end(const struct client_pager *p)
{
    return p->at_end;
}

/* ---- the answer ---- */

/* Nothing is touched behind the callback when it freed us. */
static void tell(struct client_pager *p, const struct client_result *r)
{
    p->call = NULL;
    p->telling = true;
    p->cb(p->user, r);
    p->telling = false;
    arena_reset(&p->arena);
    p->n = p->bytes = 0;
    if (p->dead)
        destroy(p);
}

static void tell_error(struct client_pager *p, int code, const char *text)
{
    struct tenure_error err;
    error_set(&err, code, "%s", text);
    tell(p, &(struct client_result){.code = code, .error = &err});
}

/* What is left behind the last key of a page. False: out of memory. */
static bool move_on(struct client_pager *p, bytes last)
{
    struct buf *b = p->descending ? &p->end : &p->key;
    buf_reset(b);
    buf_append_bytes(b, last);
    if (!p->descending)
        buf_append_byte(b, 0);
    return !buf_error(b);
}

static void tell_page(struct client_pager *p, struct range_resp *page)
{
    p->left -= p->left == INT64_MAX ? 0 : (int64_t)page->n_kvs;
    page->more = page->more && p->left > 0 && p->is_range;
    page->count = (int64_t)page->n_kvs;
    p->at_end = !page->more;
    p->seen_keys += page->n_kvs;
    for (size_t i = 0; i < page->n_kvs; i++)
        p->seen_bytes += page->kvs[i].key.len + page->kvs[i].value.len;
    if (page->n_kvs > 0 && page->more && !move_on(p, page->kvs[page->n_kvs - 1].key)) {
        p->at_end = true; /* where to go on is lost */
        tell_error(p, TENURE_ENOMEM, "out of memory");
        return;
    }
    struct response_header header = {.revision = page->revision};
    tell(p, &(struct client_result){.header = header, .range = page});
}

static void read_on(struct client_pager *p, tn_ms now);

/* The same page in another way, if that is what is wrong. */
static bool again(struct client_pager *p, const struct client_result *r)
{
    if (r->code == TENURE_EUNIMPLEMENTED && p->streams)
        p->no_stream = true;
    else if (r->code == TENURE_EFUTURE && p->req.serializable && p->seen_keys > 0)
        p->req.serializable = false;
    else
        return false;
    read_on(p, client_now(p->client));
    return true;
}

static void failed(struct client_pager *p, const struct client_result *r)
{
    struct tenure_error err = *r->error;
    if (!p->dead && !p->cancelled && again(p, r))
        return;
    if (r->code == TENURE_ECOMPACTED && p->seen_keys > 0) {
        error_set(&err, TENURE_ECOMPACTED, "revision %lld was compacted while its keys were read; begin again",
                  (long long)p->revision);
        err.grpc_status = r->error->grpc_status;
    }
    tell(p, &(struct client_result){.code = r->code, .etcd = r->etcd, .error = &err});
}

static void on_range(void *user, const struct client_result *r)
{
    struct client_pager *p = user;
    if (r->code) {
        failed(p, r);
        return;
    }
    struct range_resp page = *r->range;
    if (p->revision == 0)
        p->revision = page.revision;
    tell_page(p, &page);
}

/* ---- streams ---- */

static bool make_room(struct client_pager *p, size_t n)
{
    if (p->n + n <= p->cap)
        return true;
    size_t cap = p->cap * 2 > p->n + n ? p->cap * 2 : p->n + n;
    struct kv *bigger = realloc(p->kvs, cap * sizeof *bigger);
    if (!bigger)
        return false;
    p->kvs = bigger;
    p->cap = cap;
    return true;
}

static bool keep(struct client_pager *p, const struct kv *from)
{
    struct kv kv = *from;
    kv.key = arena_copy(&p->arena, kv.key);
    kv.value = arena_copy(&p->arena, kv.value);
    if (!kv.key.data || (kv.value.len > 0 && !kv.value.data))
        return false;
    p->kvs[p->n++] = kv;
    p->bytes += kv.key.len + kv.value.len;
    return true;
}

/* The rest of a chunk behind a full page is asked for again with the next one. */
static void on_chunk(void *user, int code, const struct range_resp *chunk)
{
    struct client_pager *p = user;
    if (p->full || p->broken)
        return;
    if (code || !make_room(p, chunk->n_kvs))
        p->broken = code ? code : TENURE_ENOMEM;
    for (size_t i = 0; !p->broken && !p->full && i < chunk->n_kvs; i++) {
        if (!keep(p, &chunk->kvs[i]))
            p->broken = TENURE_ENOMEM;
        p->full = p->bytes >= p->page_bytes;
    }
    p->more = !code && chunk->more; /* the last one says so */
    if (p->full || p->broken)
        client_cancel(p->client, p->call, client_now(p->client));
}

static void on_stream_end(void *user, const struct client_result *r)
{
    struct client_pager *p = user;
    bool cut = r->code != 0 && !p->full && !p->dead && !p->cancelled && !p->broken && p->n > 0;
    if (p->broken && !p->dead) {
        p->at_end = p->broken != TENURE_ENOMEM;
        tell_error(p, p->broken, "the server's answer cannot be read");
    } else if (r->code != 0 && !(p->full && !p->dead && !p->cancelled) && !cut) {
        failed(p, r);
    } else {
        bool more = cut || p->full || p->more;
        struct range_resp page = {.revision = p->revision, .kvs = p->kvs, .n_kvs = p->n, .more = more};
        tell_page(p, &page);
    }
}

/* ---- asking ---- */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int64_t page_limit(const struct client_pager *p)
{
    size_t n = p->page_keys;
    if (p->seen_keys == 0 && !p->streams)
        n = least(n, PAGE_KEYS_FIRST);
    else if (!p->streams && p->seen_bytes / p->seen_keys > 0)
        n = least(n, p->page_bytes / (size_t)(p->seen_bytes / p->seen_keys));
    n = n > 0 ? n : 1;
    return p->left < (int64_t)n ? p->left : (int64_t)n;
}

static struct client_call *ask(struct client_pager *p, const struct client_call_options *opt, tn_ms now,
                               struct tenure_error *err)
{
    p->streams = !p->no_stream && p->revision > 0 && p->is_range;
    p->full = p->more = false;
    p->broken = 0;
    p->n = p->bytes = 0;
    p->req.range.key = buf_bytes(&p->key);
    p->req.range.range_end = buf_bytes(&p->end);
    p->req.revision = p->revision;
    p->req.limit = page_limit(p);
    p->req.sort_order = p->descending ? SORT_DESCEND : SORT_NONE;
    if (p->streams)
        return client_range_stream(p->client, &p->req, opt, on_chunk, on_stream_end, p, now, err);
    return client_range(p->client, &p->req, opt, on_range, p, now, err);
}

/* Within what is left of the time. */
static void read_on(struct client_pager *p, tn_ms now)
{
    struct tenure_error err;
    struct client_call_options opt = {.timeout_ms = p->deadline == TN_MS_NEVER ? 0 : p->deadline - now};
    if (opt.timeout_ms < 0 || (p->deadline != TN_MS_NEVER && opt.timeout_ms == 0)) {
        tell_error(p, TENURE_ETIMEOUT, "the page was not read in time");
        return;
    }
    p->call = ask(p, &opt, now, &err);
    if (!p->call)
        tell_error(p, err.code, err.text);
}

int client_pager_next(struct client_pager *p, const struct client_call_options *opt, client_done_cb cb, void *user,
                      tn_ms now, struct tenure_error *err)
{
    if (p->call)
        return error_set(err, TENURE_EBUSY, "a page is being read already");
    if (p->at_end)
        return error_set(err, TENURE_ENOTFOUND, "the range has ended");
    p->cb = cb;
    p->user = user;
    p->deadline = opt && opt->timeout_ms > 0 ? now + opt->timeout_ms : TN_MS_NEVER;
    p->cancelled = false;
    p->call = ask(p, opt, now, err);
    return p->call ? 0 : err->code;
}
