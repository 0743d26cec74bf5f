/* Ids: blocks taken from a number on the servers, given out from memory under a mutex. Who finds the block empty takes the
 * next one while the others wait for it. */
#include <tenure/id.h>

#include <stdlib.h>

#include "lib/number.h"
#include "lib/view.h"
#include "recipes/commit.h"

enum { BLOCK = 1000 };
#define PREFIX "/ids/"

struct tenure_ids {
    tenure_client *handle;
    struct tenure_id_options options; /* its texts are below */
    pthread_mutex_t mutex;
    int64_t next, left; /* under the mutex */
    char *prefix, *marks;
    char name[];
};

static void complete(struct ask *k, int code, const struct tenure_error *err)
{
    ((tenure_ids_cb)k->cb)(k->user, code, k->b, err);
}

static const struct ask_type take_type = {.what = "ids",
                                          .answers = true,
                                          .writes = true,
                                          .begin = number_begin,
                                          .cancel = number_cancel,
                                          .result_free = free,
                                          .complete = complete};

static struct ask *take_ask(tenure_client *c, bytes ns, const char *name, int64_t n, bool or_fewer,
                            const struct tenure_id_options *options, struct tenure_error *err)
{
    struct tenure_id_options o;
    if (options_take(&o, sizeof o, options, "ids", err) < 0)
        return NULL;
    if (n < 1 || o.floor < 0) {
        error_set(err, TENURE_EINVALID, "ids: fewer than one, or a floor below 0");
        return NULL;
    }
    struct number_words words = {.what = "ids",
                                 .ns = ns,
                                 .prefix = o.prefix ? o.prefix : PREFIX,
                                 .name = name,
                                 .marks = o.marks,
                                 .unmarked = o.unmarked,
                                 .timeout_ms = o.timeout_ms};
    struct number_change change = {.kind = NUMBER_TAKE, .number = n, .expected = o.floor, .or_fewer = or_fewer};
    return number_ask(c, &take_type, &words, &change, err);
}

int tenure_ids_take(tenure_client *c, const char *name, int64_t n, const struct tenure_id_options *o, int64_t *ret,
                    struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    bytes ns = view_of(&c);
    int rc = handle_enter_blocking(c, "ids", err);
    if (rc == 0 && !ret)
        rc = error_set(err, TENURE_EINVALID, "ids: there is nowhere to put the first");
    struct ask *k = rc < 0 ? NULL : take_ask(c, ns, name, n, false, o, err);
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
    bytes ns = view_of(&c);
    int rc = handle_enter(c, err);
    struct ask *k = rc < 0 ? NULL : take_ask(c, ns, name, n, false, o, err);
    return ask_go(k, (void (*)(void))cb, user, err);
}

/* ---- a generator ---- */

/* The text, or its default, below ns. */
static bool keep_text(bytes ns, const char **text, const char *fallback, char **copy)
{
    *copy = view_recipe_prefix(ns, *text, fallback, NULL);
    *text = *copy;
    return *copy != NULL;
}

tenure_ids *tenure_ids_open(tenure_client *c, const char *name, const struct tenure_id_options *options,
                            struct tenure_error *err)
{
    struct tenure_id_options o;
    bytes ns = view_of(&c);
    if (handle_enter_blocking(c, "ids", err) < 0 || options_take(&o, sizeof o, options, "ids", err) < 0)
        return NULL;
    if (!name || !name[0] || o.block < 0 || o.floor < 0 || o.timeout_ms < 0) {
        error_set(err, TENURE_EINVALID, "ids: an empty name, or a number below 0");
        return NULL;
    }
    tenure_ids *ids = calloc(1, sizeof *ids + strlen(name) + 1);
    bool ok = ids && keep_text(ns, &o.prefix, PREFIX, &ids->prefix) &&
              keep_text(ns, &o.marks, MARKS_PREFIX, &ids->marks) && pthread_mutex_init(&ids->mutex, NULL) == 0;
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

/* The last block is a smaller one. */
static int refill(tenure_ids *ids, struct tenure_error *err)
{
    struct tenure_error own = {0};
    err = err ? err : &own;
    struct ask *k = take_ask(ids->handle, bytes_of(NULL, 0), ids->name, ids->options.block, true, &ids->options, err);
    if (!k)
        return err->code;
    int rc = ask_block(k, err);
    if (rc == 0) {
        ids->next = k->b;
        ids->left = k->req.number.change->taken;
    }
    ask_free(k);
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
    if (rc == 0) {
        *ret = ids->next;
        ids->next += --ids->left > 0;
    }
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
