/* Who stands in a lock's queue: the keys right below its path, oldest first, with what their values say, and who of them
 * holds: the first so and so many that may hold together (recipes/rule.h). */
#include <stdlib.h>

#include "lib/lock.h"
#include "lib/lock_value.h"
#include "lib/put.h"
#include "lib/view.h"
#include "recipes/queue.h"

#define PREFIX_DEFAULT "/locks/"

/* One allocation: the list, its entries, their strings. */
struct room {
    size_t n, bytes;
};

static struct tenure_bytes path_of(const char *prefix, const char *name, char **ret, struct tenure_error *err)
{
    size_t size = strlen(prefix) + strlen(name) + 2;
    *ret = malloc(size);
    if (!*ret) {
        error_set(err, TENURE_ENOMEM, "lock list: out of memory");
        return (struct tenure_bytes){NULL, 0};
    }
    struct tenure_bytes path = {*ret, size - 1};
    memcpy(*ret, prefix, strlen(prefix));
    memcpy(*ret + strlen(prefix), name, strlen(name));
    memcpy(*ret + size - 2, "/", 2);
    return path;
}

/* A participant's key has no further slash behind the path. */
static bool counts(const struct tenure_kv *kv, size_t path_len)
{
    return !memchr((const char *)kv->key.data + path_len, '/', kv->key.len - path_len);
}

static struct room measure(const struct tenure_get_result *r, size_t path_len, struct lock_words *words)
{
    struct room room = {0};
    for (size_t i = 0; i < r->n_kvs; i++) {
        if (!counts(&r->kvs[i], path_len))
            continue;
        struct lock_words *w = &words[room.n++];
        lock_value_read(bytes_of(r->kvs[i].value.data, r->kvs[i].value.len), w);
        room.bytes += r->kvs[i].key.len + 1 + (w->says ? strlen(w->says) : 0) + 1 + (w->host ? strlen(w->host) : 0) +
                      1 + (w->purpose ? strlen(w->purpose) : 0) + 1;
    }
    return room;
}

static void write_entry(struct tenure_lock_entry *e, const struct tenure_kv *kv, const struct lock_words *w, char **at)
{
    *e = (struct tenure_lock_entry){
        .key = put_string(at, kv->key.data, kv->key.len),
        .token = kv->create_revision,
        .lease = kv->lease,
        .host = put_word(at, w->host),
        .purpose = put_word(at, w->purpose),
        .pid = w->pid,
        .since_ms = w->since_ms,
    };
}

struct tally {
    size_t n;
    bool readers_only, permits_only;
    int64_t taken, limit;
};

static bool may_hold(const struct tally *t, const struct rule *r)
{
    if (r->kind == RULE_READ)
        return t->readers_only;
    if (r->kind == RULE_PERMIT)
        return t->permits_only && t->taken <= (t->limit < r->limit ? t->limit : r->limit) - r->weight;
    return t->n == 0;
}

static void add(struct tally *t, const struct rule *r)
{
    t->n++;
    t->readers_only = t->readers_only && r->kind == RULE_READ;
    t->permits_only = t->permits_only && r->kind == RULE_PERMIT;
    t->taken += r->weight;
    if (r->kind == RULE_PERMIT && r->limit < t->limit)
        t->limit = r->limit;
}

static void write_share(struct tenure_lock_share *s, const struct tenure_kv *kv, size_t path_len, struct tally *t)
{
    struct rule r = rule_of(bytes_of((const uint8_t *)kv->key.data + path_len, kv->key.len - path_len));
    if (r.kind == RULE_WHOLE && rule_is_shared(bytes_of(kv->value.data, kv->value.len)))
        r.kind = RULE_READ;
    s->mode = r.kind == RULE_READ ? TENURE_LOCK_READ : r.kind == RULE_PERMIT ? TENURE_LOCK_PERMIT : TENURE_LOCK_WHOLE;
    s->holds = may_hold(t, &r);
    s->weight = r.weight;
    s->limit = r.limit;
    add(t, &r);
}

static struct tenure_lock_list *list_new(const struct tenure_get_result *r, size_t path_len, struct lock_words *words)
{
    struct room room = measure(r, path_len, words);
    struct tenure_lock_list *list =
        calloc(1, sizeof *list + room.n * (sizeof *list->entries + sizeof *list->shares) + room.bytes);
    if (!list)
        return NULL;
    struct tenure_lock_entry *entries = (struct tenure_lock_entry *)(list + 1);
    struct tenure_lock_share *shares = (struct tenure_lock_share *)(entries + room.n);
    struct tally tally = {.readers_only = true, .permits_only = true, .limit = RULE_LIMIT_MAX};
    char *at = (char *)(shares + room.n);
    list->revision = r->revision;
    list->entries = entries;
    list->shares = shares;
    for (size_t i = 0; i < r->n_kvs; i++) {
        if (!counts(&r->kvs[i], path_len))
            continue;
        write_entry(&entries[list->n], &r->kvs[i], &words[list->n], &at);
        write_share(&shares[list->n], &r->kvs[i], path_len, &tally);
        shares[list->n].says = put_word(&at, words[list->n].says);
        list->n++;
    }
    return list;
}

struct tenure_lock_list *lib_lock_list_of(const struct tenure_get_result *r, size_t path_len)
{
    struct lock_words *words = calloc(r->n_kvs + 1, sizeof *words);
    if (!words)
        return NULL;
    struct tenure_lock_list *list = list_new(r, path_len, words);
    for (size_t i = 0; i < r->n_kvs; i++)
        lock_words_fini(&words[i]);
    free(words);
    return list;
}

static int read_queue(tenure_client *c, struct tenure_bytes path, struct tenure_lock_list **ret,
                      struct tenure_error *err)
{
    struct tenure_get_result *r = NULL;
    struct tenure_get_options o = {
        .size = sizeof o, .prefix = true, .order = TENURE_ORDER_ASCEND, .sort = TENURE_SORT_CREATE};
    int rc = tenure_get(c, path, &o, &r, err);
    if (rc < 0)
        return rc;
    *ret = lib_lock_list_of(r, path.len);
    tenure_get_free(r);
    return *ret ? 0 : error_set(err, TENURE_ENOMEM, "lock list: out of memory");
}

int tenure_lock_list(tenure_client *c, const char *name, const char *prefix, struct tenure_lock_list **ret,
                     struct tenure_error *err)
{
    char *memory = NULL;
    struct tenure_lock_list *list = NULL;
    prefix = prefix ? prefix : PREFIX_DEFAULT;
    tenure_client *root = c;
    view_of(&root); /* the keys are read, and shown, as the view has them */
    int rc = handle_enter_blocking(root, "lock list", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "lock list: there is nowhere to put it");
    if (rc == 0)
        rc = queue_check_name(prefix, name, err);
    if (rc < 0)
        return rc;
    struct tenure_bytes path = path_of(prefix, name, &memory, err);
    if (!memory)
        return TENURE_ENOMEM;
    rc = read_queue(c, path, &list, err);
    free(memory);
    if (rc == 0)
        *ret = list;
    return rc;
}

void tenure_lock_list_free(struct tenure_lock_list *r)
{
    free(r);
}
