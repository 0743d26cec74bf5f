/* Who waits for items of a queue and, of a work queue, what is being worked on: the keys in the line, and those that say what is
 * taken and by whom (recipes/item.h), read by one transaction, so that they belong to one revision. The queue may be closed
 * while it is asked, so the question keeps what it needs. */
#include <tenure/queue.h>

#include <stdlib.h>

#include "lib/lock_value.h"
#include "lib/queue.h"
#include "lib/result.h"
#include "lib/view.h"

/* A question under way, of the waiting form and the other. */
struct query {
    tenure_txn *txn;
    bool is_work;
    size_t line_len, taken_len, claims_len; /* of the keys, up to where the rest begins */
    size_t strip;
    tenure_queue_list_cb cb;
    void *user;
};

static struct query *query_free(struct query *q)
{
    if (q)
        tenure_txn_free(q->txn);
    free(q);
    return NULL;
}

static void ask_range(struct query *q, struct key_range range)
{
    struct tenure_get_options o = {.size = sizeof o, .range_end = result_bytes(range.range_end)};
    tenure_then_get(q->txn, result_bytes(range.key), &o);
}

/* In the order of coming. */
static int ask_line(struct query *q, const struct item_keys *keys)
{
    struct tenure_get_options o = {
        .size = sizeof o, .prefix = true, .order = TENURE_ORDER_ASCEND, .sort = TENURE_SORT_CREATE};
    size_t prefix = strlen(keys->line_prefix), name = strlen(keys->name);
    char *line = malloc(prefix + name + 2);
    if (!line)
        return TENURE_ENOMEM;
    q->line_len = prefix + name + 1;
    memcpy(line, keys->line_prefix, prefix);
    memcpy(line + prefix, keys->name, name);
    memcpy(line + prefix + name, "/", 2);
    tenure_then_get(q->txn, tenure_str(line), &o);
    free(line);
    return 0;
}

static struct query *query_new(const tenure_queue *queue, struct tenure_error *err)
{
    const struct item_keys *keys = lib_queue_keys(queue);
    struct query *q = calloc(1, sizeof *q);
    if (q)
        q->txn = tenure_txn_new(lib_queue_handle(queue));
    if (!q || !q->txn || ask_line(q, keys)) {
        error_set(err, TENURE_ENOMEM, "queue list: out of memory");
        return query_free(q);
    }
    q->strip = lib_queue_strip(queue);
    q->is_work = keys->kind == ITEM_WORK;
    if (q->is_work) {
        ask_range(q, keys->taken);
        ask_range(q, keys->claims);
        q->taken_len = keys->taken.key.len;
        q->claims_len = keys->claims.key.len;
    }
    return q;
}

/* ---- the answer ---- */

/* One allocation: the list, its entries, their strings. First it is measured, with out NULL, then written. */
struct writer {
    struct tenure_queue_list *out;
    struct tenure_queue_waiter *waiters;
    struct tenure_queue_work *works;
    char *at;
    size_t n_waiters, n_works, bytes;
};

static const char *write_text(struct writer *w, const void *s, size_t len)
{
    char *to = w->at;
    w->bytes += len + 1;
    if (!w->out)
        return NULL;
    if (len > 0)
        memcpy(to, s, len);
    to[len] = 0;
    w->at += len + 1;
    return to;
}

static const char *write_word(struct writer *w, const char *s)
{
    return write_text(w, s, s ? strlen(s) : 0);
}

static void write_waiter(struct writer *w, const struct query *q, const struct tenure_kv *kv)
{
    struct lock_words words;
    bytes key = result_bytes_in(kv->key), shown = view_strip(key, q->strip);
    if (key.len < q->line_len || memchr(key.data + q->line_len, '/', key.len - q->line_len))
        return; /* of a longer name */
    lock_value_read(result_bytes_in(kv->value), &words);
    struct tenure_queue_waiter one = {.key = write_text(w, shown.data, shown.len),
                                      .lease = kv->lease,
                                      .host = write_word(w, words.host),
                                      .purpose = write_word(w, words.purpose),
                                      .pid = words.pid,
                                      .since_ms = words.since_ms};
    lock_words_fini(&words);
    if (w->out)
        w->waiters[w->n_waiters] = one;
    w->n_waiters++;
}

/* Claims come in the order of their keys, which are those of the items' ids; NULL = it stands no more. */
static const struct tenure_kv *claim_of(const struct query *q, const struct tenure_get_result *claims, bytes id)
{
    size_t low = 0, high = claims->n_kvs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = bytes_compare(view_strip(result_bytes_in(claims->kvs[middle].key), q->claims_len), id);
        if (c == 0)
            return &claims->kvs[middle];
        *(c < 0 ? &low : &high) = c < 0 ? middle + 1 : middle;
    }
    return NULL;
}

static void write_work(struct writer *w, const struct query *q, const struct tenure_kv *kv,
                       const struct tenure_get_result *claims)
{
    static const struct item_keys work = {.kind = ITEM_WORK};
    struct key_range taken = {.key = bytes_of(&work.memory, q->taken_len)};
    struct item_words item = item_read(&work, taken, result_bytes_in(kv->key));
    const struct tenure_kv *claim = claim_of(q, claims, item.id);
    struct lock_words words = {0};
    if (claim)
        lock_value_read(result_bytes_in(claim->value), &words);
    struct tenure_queue_work one = {.id = write_text(w, item.id.data, item.id.len),
                                    .deliveries = item.deliveries,
                                    .token = claim ? claim->create_revision : 0,
                                    .lease = claim ? claim->lease : 0,
                                    .host = write_word(w, words.host),
                                    .purpose = write_word(w, words.purpose),
                                    .pid = words.pid,
                                    .since_ms = words.since_ms};
    lock_words_fini(&words);
    if (w->out)
        w->works[w->n_works] = one;
    w->n_works++;
}

static void write_all(struct writer *w, const struct query *q, const struct tenure_txn_result *r)
{
    const struct tenure_get_result *line = r->ops[0].get, *taken = q->is_work ? r->ops[1].get : NULL;
    for (size_t i = 0; i < line->n_kvs; i++)
        write_waiter(w, q, &line->kvs[i]);
    for (size_t i = 0; taken && i < taken->n_kvs; i++)
        write_work(w, q, &taken->kvs[i], r->ops[2].get);
}

static struct tenure_queue_list *list_new(const struct query *q, const struct tenure_txn_result *r)
{
    struct writer size = {0};
    write_all(&size, q, r);
    struct tenure_queue_list *list = calloc(1, sizeof *list + size.n_waiters * sizeof *list->waiters +
                                                   size.n_works * sizeof *list->works + size.bytes);
    if (!list)
        return NULL;
    struct writer w = {.out = list, .waiters = (struct tenure_queue_waiter *)(list + 1)};
    w.works = (struct tenure_queue_work *)(w.waiters + size.n_waiters);
    w.at = (char *)(w.works + size.n_works);
    write_all(&w, q, r);
    *list = (struct tenure_queue_list){.revision = r->revision,
                                       .n_waiters = w.n_waiters,
                                       .waiters = w.waiters,
                                       .n_works = w.n_works,
                                       .works = w.works};
    return list;
}

static bool is_answer(const struct query *q, const struct tenure_txn_result *r)
{
    bool gets = r->n_ops == (q->is_work ? 3 : 1);
    for (size_t i = 0; gets && i < r->n_ops; i++)
        gets = r->ops[i].op == TENURE_OP_GET;
    return gets;
}

/* Frees r. */
static int answer(const struct query *q, struct tenure_txn_result *r, struct tenure_queue_list **ret,
                  struct tenure_error *err)
{
    int rc = is_answer(q, r) ? 0 : error_set(err, TENURE_EPROTOCOL, "queue list: the server answered something else");
    if (rc == 0 && !(*ret = list_new(q, r)))
        rc = error_set(err, TENURE_ENOMEM, "queue list: out of memory");
    tenure_txn_result_free(r);
    return rc;
}

/* ---- asking ---- */

int tenure_queue_list(tenure_queue *queue, struct tenure_queue_list **ret, struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    if (!queue)
        return error_set(err, TENURE_EINVALID, "queue list: NULL");
    int rc = handle_enter_blocking(lib_queue_handle(queue), "queue list", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "queue list: there is nowhere to put it");
    if (rc < 0)
        return rc;
    struct query *q = query_new(queue, err);
    if (!q)
        return TENURE_ENOMEM;
    rc = tenure_txn_commit(q->txn, 0, &r, err);
    if (rc == 0)
        rc = answer(q, r, ret, err);
    query_free(q);
    return rc;
}

static void on_answer(void *user, int code, struct tenure_txn_result *r, const struct tenure_error *err)
{
    struct query *q = user;
    struct tenure_queue_list *list = NULL;
    struct tenure_error why = {0};
    tenure_queue_list_cb cb = q->cb;
    void *cb_user = q->user;
    if (code == 0)
        code = answer(q, r, &list, &why);
    query_free(q);
    cb(cb_user, code, list, why.code ? &why : err);
}

int tenure_queue_list_start(tenure_queue *queue, tenure_queue_list_cb cb, void *user, struct tenure_error *err)
{
    if (!queue)
        return error_set(err, TENURE_EINVALID, "queue list: NULL");
    int rc = handle_enter(lib_queue_handle(queue), err);
    if (rc == 0 && !cb)
        rc = error_set(err, TENURE_EINVALID, "queue list: there is nobody to tell");
    if (rc < 0)
        return rc;
    struct query *q = query_new(queue, err);
    if (!q)
        return TENURE_ENOMEM;
    q->cb = cb;
    q->user = user;
    rc = tenure_txn_start(q->txn, 0, on_answer, q, err);
    if (rc < 0)
        query_free(q);
    return rc;
}

void tenure_queue_list_free(struct tenure_queue_list *r)
{
    free(r);
}
