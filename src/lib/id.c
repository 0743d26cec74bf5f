/* Ids: blocks taken from a number on the servers, given out from memory under a mutex. Who finds the block empty takes the
 * next one while the others wait for it. */
#include <tenure/id.h>

#include <stdlib.h>

#include "lib/number.h"

enum { BLOCK = 1000 };

struct tenure_ids {
    tenure_client *handle;
    struct tenure_id_options options; /* its texts are below */
    pthread_mutex_t mutex;
    int64_t first, left; /* under the mutex */
    char *prefix, *marks;
    char name[];
};

static void complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_ids_cb)k->cb)(k->user, code, k->b, err);
}

static const struct ask_type take_type = {
    .what = "ids", .writes = true, .answers = true, .begin = number_begin, .result_free = free, .complete = complete};

static struct ask *take_ask(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *options,
                            struct tenure_error *err)
{
    struct tenure_id_options o;
    if (options_take(&o, sizeof o, options, "ids", err) < 0)
        return NULL;
    if (n < 1 || o.floor < 0) {
        error_set(err, TENURE_EINVALID, "ids: fewer than one, or a floor below 0");
        return NULL;
    }
    struct number_words words = {.what = "ids",
                                 .prefix = o.prefix ? o.prefix : "/ids/",
                                 .name = name,
                                 .marks = o.marks,
                                 .unmarked = o.unmarked,
                                 .timeout_ms = o.timeout_ms};
    struct number_change change = {.kind = NUMBER_TAKE, .number = n, .expected = o.floor};
    return number_ask(c, &take_type, &words, &change, err);
}

int tenure_ids_take(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *o, int64_t *ret,
                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = handle_enter_blocking(c, "ids", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "ids: there is nowhere to put the first");
    struct ask *k = rc < 0 ? NULL : take_ask(c, name, n, o, err);
    if (!k)
        return err->code;
    rc = ask_block(k, err);
    if (rc == 0)
        *ret = k->b;
    ask_free(k);
    return rc;
}

int tenure_ids_take_start(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *o,
                          tenure_ids_cb cb, void *user, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    int rc = handle_enter(c, err);
    struct ask *k = rc < 0 ? NULL : take_ask(c, name, n, o, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

/* ---- a generator ---- */

static bool keep_text(const char **text, char **copy)
{
    *copy = *text ? strdup(*text) : NULL;
    bool ok = !*text || *copy;
    *text = *copy;
    return ok;
}

tenure_ids *tenure_ids_open(tenure_client *c, const char *name, const struct tenure_id_options *options,
                            struct tenure_error *err)
{
    struct tenure_id_options o;
    if (handle_enter_blocking(c, "ids", err) < 0 || options_take(&o, sizeof o, options, "ids", err) < 0)
        return NULL;
    if (!name || !name[0] || o.block < 0 || o.floor < 0 || o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "ids: an empty name, or a number below 0");
        return NULL;
    }
    tenure_ids *ids = calloc(1, sizeof *ids + strlen(name) + 1);
    bool ok = ids && keep_text(&o.prefix, &ids->prefix) && keep_text(&o.marks, &ids->marks) &&
              pthread_mutex_init(&ids->mutex, NULL) == 0;
    if (!ok) {
        if (ids) {
            free(ids->prefix);
            free(ids->marks);
        }
        free(ids);
        error_set(err, TENURE_ENOMEM, "ids: out of memory");
        return NULL;
    }
    memcpy(ids->name, name, strlen(name) + 1);
    ids->handle = c;
    ids->options = o;
    ids->options.size = sizeof o;
    ids->options.block = o.block ? o.block : BLOCK;
    return ids;
}

static int refill(tenure_ids *ids, struct tenure_error *err)
{
    int64_t first = 0;
    int rc = tenure_ids_take(ids->handle, ids->name, ids->options.block, &ids->options, &first, err);
    if (rc == 0) {
        ids->first = first;
        ids->left = ids->options.block;
    }
    return rc;
}

int tenure_ids_next(tenure_ids *ids, int64_t *ret, struct tenure_error *err)
{
    if (!ids || !ret)
        return error_set(err, TENURE_EINVALID, "ids: the generator, or the place for an id, is NULL");
    int rc = handle_enter_blocking(ids->handle, "ids", err);
    if (rc < 0)
        return rc;
    pthread_mutex_lock(&ids->mutex);
    if (ids->left == 0)
        rc = refill(ids, err);
    if (rc == 0)
        *ret = ids->first + (ids->options.block - ids->left--);
    pthread_mutex_unlock(&ids->mutex);
    return rc;
}

void tenure_ids_close(tenure_ids *ids)
{
    if (!ids)
        return;
    pthread_mutex_destroy(&ids->mutex);
    free(ids->prefix);
    free(ids->marks);
    free(ids);
}
