/* Who stands in an election: the keys right below its path, oldest first, and the notes and ranks beside them, which say who
 * each is and what it prefers (recipes/queue.h). All are read by one transaction, so that they belong to one revision. A candidate
 * without a note (etcdctl, Go, or a user without rights on it) is listed with what its key says. */
#include <stdlib.h>
#include <tenure/election.h>

#include "lib/lock_value.h"
#include "lib/put.h"
#include "lib/result.h"
#include "lib/view.h"
#include "recipes/queue.h"
#include "recipes/rank.h"

#define PREFIX_DEFAULT "/election/"

/* A question under way, of the waiting form and the other. */
struct query {
    struct queue queue; /* for its keys */
    tenure_txn *txn;
    tenure_election_list_cb cb;
    void *user;
};

static struct query *query_free(struct query *q)
{
    if (!q)
        return NULL;
    tenure_txn_free(q->txn);
    queue_fini(&q->queue);
    free(q);
    return NULL;
}

static void ask(struct query *q)
{
    struct tenure_get_options places = {
        .size = sizeof places, .prefix = true, .order = TENURE_ORDER_ASCEND, .sort = TENURE_SORT_CREATE};
    struct tenure_get_options notes = {.size = sizeof notes, .range_end = result_bytes(q->queue.who_end)};
    tenure_then_get(q->txn, result_bytes(q->queue.dir), &places);
    struct tenure_get_options ranks = {.size = sizeof ranks, .range_end = result_bytes(q->queue.rank_end)};
    tenure_then_get(q->txn, result_bytes(q->queue.who_all), &notes);
    tenure_then_get(q->txn, result_bytes(q->queue.rank_all), &ranks);
}

static struct query *query_new(tenure_client *c, const char *prefix, const char *name, struct tenure_error *err)
{
    struct query *q = calloc(1, sizeof *q);
    char *path = malloc(strlen(prefix) + strlen(name) + 1);
    if (q && path) {
        memcpy(path, prefix, strlen(prefix));
        memcpy(path + strlen(prefix), name, strlen(name) + 1);
        q->txn = queue_init(&q->queue, path, NULL, 0) == 0 ? tenure_txn_new(c) : NULL;
    }
    free(path);
    if (!q || !q->txn) {
        error_set(err, TENURE_ENOMEM, "election list: out of memory");
        return query_free(q);
    }
    ask(q);
    return q;
}

/* ---- the answer ---- */

static bytes below(const struct tenure_kv *kv, bytes dir)
{
    return view_strip(result_bytes_in(kv->key), dir.len);
}

static int order(bytes a, bytes b)
{
    size_t n = a.len < b.len ? a.len : b.len;
    int rc = n ? memcmp(a.data, b.data, n) : 0;
    return rc ? rc : (a.len > b.len) - (a.len < b.len);
}

/* What stands beside the key among those below `all`, in the order of their keys. NULL = nothing. */
static const struct tenure_kv *beside(const struct query *q, bytes all, const struct tenure_get_result *r,
                                      const struct tenure_kv *kv)
{
    bytes id = below(kv, q->queue.dir);
    size_t low = 0, high = r->n_kvs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int rc = order(below(&r->kvs[mid], all), id);
        if (rc == 0)
            return r->kvs[mid].lease == kv->lease ? &r->kvs[mid] : NULL;
        *(rc < 0 ? &low : &high) = rc < 0 ? mid + 1 : mid;
    }
    return NULL;
}

static size_t length(const char *s)
{
    return s ? strlen(s) : 0;
}

/* Of one key and what stands beside it. */
struct said {
    struct lock_words words;
    int64_t preference;
};

static void write_entry(struct tenure_election_entry *e, const struct tenure_kv *kv, const struct said *said, char **at)
{
    const char *key = put_string(at, kv->key.data, kv->key.len);
    const char *value = put_string(at, kv->value.data, kv->value.len);
    const struct lock_words *w = &said->words;
    const char *host = put_word(at, w->host);
    *e = (struct tenure_election_entry){
        .key = key,
        .token = kv->create_revision,
        .lease = kv->lease,
        .value = {value, kv->value.len},
        .host = host,
        .purpose = put_word(at, w->purpose),
        .pid = w->pid,
        .since_ms = w->since_ms,
        .preference = said->preference,
    };
}

static struct tenure_election_list *list_new(const struct query *q, const struct tenure_get_result *places,
                                             const struct said *said)
{
    size_t n = 0, room = 0;
    for (size_t i = 0; i < places->n_kvs; i++) {
        if (!queue_counts(&q->queue, result_bytes_in(places->kvs[i].key)))
            continue;
        n++;
        room += places->kvs[i].key.len + places->kvs[i].value.len + length(said[i].words.host) +
                length(said[i].words.purpose) + 4;
    }
    struct tenure_election_list *list = calloc(1, sizeof *list + n * sizeof *list->entries + room);
    if (!list)
        return NULL;
    struct tenure_election_entry *entries = (struct tenure_election_entry *)(list + 1);
    char *at = (char *)(entries + n);
    list->entries = entries;
    for (size_t i = 0; i < places->n_kvs; i++)
        if (queue_counts(&q->queue, result_bytes_in(places->kvs[i].key)))
            write_entry(&entries[list->n++], &places->kvs[i], &said[i], &at);
    return list;
}

static struct tenure_election_list *list_of(const struct query *q, const struct tenure_txn_result *r)
{
    const struct tenure_get_result *places = r->ops[0].get;
    struct said *said = calloc(places->n_kvs + 1, sizeof *said);
    if (!said)
        return NULL;
    for (size_t i = 0; i < places->n_kvs; i++) {
        const struct tenure_kv *note = beside(q, q->queue.who_all, r->ops[1].get, &places->kvs[i]);
        const struct tenure_kv *rank = beside(q, q->queue.rank_all, r->ops[2].get, &places->kvs[i]);
        if (note)
            lock_value_read(result_bytes_in(note->value), &said[i].words);
        if (rank)
            said[i].preference = rank_read(result_bytes_in(rank->value)).preference;
    }
    struct tenure_election_list *list = list_new(q, places, said);
    for (size_t i = 0; i < places->n_kvs; i++)
        lock_words_fini(&said[i].words);
    free(said);
    return list;
}

static bool is_answer(const struct tenure_txn_result *r)
{
    bool gets = r->n_ops == 3;
    for (size_t i = 0; gets && i < 3; i++)
        gets = r->ops[i].op == TENURE_OP_GET;
    return gets;
}

/* Frees r. */
static int answer(const struct query *q, struct tenure_txn_result *r, struct tenure_election_list **ret,
                  struct tenure_error *err)
{
    int rc = 0;
    if (!is_answer(r))
        rc = error_set(err, TENURE_EPROTOCOL, "election list: the server answered something else");
    struct tenure_election_list *list = rc == 0 ? list_of(q, r) : NULL;
    if (rc == 0 && !list)
        rc = error_set(err, TENURE_ENOMEM, "election list: out of memory");
    if (list) {
        list->revision = r->revision;
        *ret = list;
    }
    tenure_txn_result_free(r);
    return rc;
}

/* ---- asking ---- */

static int check(const char *name, const char *prefix, struct tenure_error *err)
{
    int rc = queue_check_name(prefix, name, err);
    return rc ? error_wrap(err, "election list") : 0;
}

int tenure_election_list(tenure_client *c, const char *name, const char *prefix, struct tenure_election_list **ret,
                         struct tenure_error *err)
{
    struct tenure_txn_result *r = NULL;
    tenure_client *root = c;
    prefix = prefix ? prefix : PREFIX_DEFAULT;
    view_of(&root); /* the keys are read, and shown, as the view has them */
    int rc = handle_enter_blocking(root, "election list", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "election list: there is nowhere to put it");
    rc = rc ? rc : check(name, prefix, err);
    if (rc < 0)
        return rc;
    struct query *q = query_new(c, prefix, name, err);
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
    struct tenure_election_list *list = NULL;
    struct tenure_error why = {0};
    tenure_election_list_cb cb = q->cb;
    void *cb_user = q->user;
    if (code == 0)
        code = answer(q, r, &list, &why);
    query_free(q);
    cb(cb_user, code, list, why.code ? &why : err);
}

int tenure_election_list_start(tenure_client *c, const char *name, const char *prefix, tenure_election_list_cb cb,
                               void *user, struct tenure_error *err)
{
    tenure_client *root = c;
    prefix = prefix ? prefix : PREFIX_DEFAULT;
    view_of(&root);
    int rc = handle_enter(root, err);
    if (rc == 0 && !cb)
        rc = error_set(err, TENURE_EINVALID, "election list: there is nobody to tell");
    rc = rc ? rc : check(name, prefix, err);
    if (rc < 0)
        return rc;
    struct query *q = query_new(c, prefix, name, err);
    if (!q)
        return TENURE_ENOMEM;
    q->cb = cb;
    q->user = user;
    rc = tenure_txn_start(q->txn, 0, on_answer, q, err);
    if (rc < 0)
        query_free(q);
    return rc;
}

void tenure_election_list_free(struct tenure_election_list *r)
{
    free(r);
}
