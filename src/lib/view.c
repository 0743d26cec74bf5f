/* See view.h. A view is a handle's struct of which only a few fields mean something; its handle knows all its views, so that
 * those which were not closed go with it. */
#include "lib/view.h"

#include <stdlib.h>

#include <tenure/namespace.h>

#include "lib/post.h"

/* A view in its memory, with what its asynchronous end takes: that is an object of the handle for the rest of a turn. */
struct box {
    tenure_client view;
    struct object object;
    void (*on_closed)(void *user);
    void *user;
    uint8_t ns[];
};

static struct box *box_of(tenure_client *view)
{
    return CONTAINER_OF(view, struct box, view);
}

bytes view_of(tenure_client **c)
{
    tenure_client *view = *c;
    if (!view || view->kind != HANDLE_VIEW)
        return bytes_of(NULL, 0);
    *c = view->root;
    return view->ns;
}

char *view_recipe_prefix(bytes ns, const char *prefix, const char *fallback, struct tenure_error *err)
{
    const char *own = prefix ? prefix : fallback;
    char *whole = malloc(ns.len + strlen(own) + 1);
    if (!whole) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    if (ns.len > 0)
        memcpy(whole, ns.data, ns.len);
    memcpy(whole + ns.len, own, strlen(own) + 1);
    return whole;
}

/* ---- answers ---- */

void view_strip_kvs(struct kv *kvs, size_t n_kvs, size_t n)
{
    for (size_t i = 0; n > 0 && i < n_kvs; i++)
        kvs[i].key = view_strip(kvs[i].key, n);
}

/* Depth: what the codec lets through. */
void view_strip_txn(const struct txn_resp *r, size_t n)
{
    for (size_t i = 0; n > 0 && i < r->n_responses; i++) {
        struct response_op *op = &r->responses[i];
        if (op->kind == OP_RANGE)
            view_strip_kvs(op->range.kvs, op->range.n_kvs, n);
        else if (op->kind == OP_PUT)
            op->put.prev_kv.key = view_strip(op->put.prev_kv.key, n);
        else if (op->kind == OP_DELETE)
            view_strip_kvs(op->del.prev_kvs, op->del.n_prev_kvs, n);
        else if (op->kind == OP_TXN)
            view_strip_txn(op->txn, n);
    }
}

/* ---- life ---- */

void view_init(tenure_client *view, tenure_client *root, bytes ns)
{
    view->ns = ns;
    view->kind = HANDLE_VIEW;
    view->pid = root->pid;
    view->root = root;
    list_init(&view->in_views);
}

static tenure_client *view_new(tenure_client *root, bytes outer, struct tenure_bytes prefix)
{
    struct box *b = calloc(1, sizeof *b + outer.len + prefix.len);
    if (!b)
        return NULL;
    if (outer.len > 0)
        memcpy(b->ns, outer.data, outer.len);
    memcpy(b->ns + outer.len, prefix.data, prefix.len);
    view_init(&b->view, root, bytes_of(b->ns, outer.len + prefix.len));
    return &b->view;
}

tenure_client *tenure_namespace(tenure_client *c, struct tenure_bytes prefix, struct tenure_error *err)
{
    bytes outer = view_of(&c);
    if (handle_enter(c, err) < 0)
        return NULL;
    if (prefix.len == 0 || !prefix.data || memchr(prefix.data, 0, prefix.len)) {
        error_set(err, TENURE_EINVALID, "namespace: the prefix is empty, or has a byte 0 in it");
        return NULL;
    }
    tenure_client *view = view_new(c, outer, prefix);
    if (!view) {
        error_set(err, TENURE_ENOMEM, "namespace: out of memory");
        return NULL;
    }
    pthread_mutex_lock(&c->posts.mutex);
    list_push_back(&c->views, &view->in_views);
    pthread_mutex_unlock(&c->posts.mutex);
    return view;
}

static void leave_handle(tenure_client *view)
{
    pthread_mutex_lock(&view->root->posts.mutex);
    list_remove(&view->in_views);
    pthread_mutex_unlock(&view->root->posts.mutex);
}

/* In a child of fork the handle's mutex may be held for ever, and its list is the parent's copy. */
void view_close(tenure_client *view)
{
    if (handle_is_forked(view->root))
        return;
    leave_handle(view);
    free(box_of(view));
}

void views_free(tenure_client *c)
{
    while (!list_empty(&c->views)) {
        tenure_client *view = LIST_ENTRY(c->views.next, tenure_client, in_views);
        list_remove(&view->in_views);
        free(box_of(view));
    }
}

/* ---- the end that is told: from the end of a turn, as every object's ---- */

static void end_close(struct object *o, tn_ms now)
{
    (void)o, (void)now;
}

static bool end_is_over(const struct object *o)
{
    (void)o;
    return true;
}

static void end_free(struct object *o)
{
    struct box *b = CONTAINER_OF(o, struct box, object);
    void (*on_closed)(void *) = b->on_closed;
    void *user = b->user;
    free(b);
    on_closed(user);
}

static const struct object_type end_type = {.close = end_close, .is_over = end_is_over, .free = end_free};

static void end_run(void *arg)
{
    struct box *b = arg;
    object_init(&b->object, b->view.root, &end_type);
    object_changed(&b->object);
    handle_wants_turn(b->view.root);
}

void view_close_start(tenure_client *view, void (*on_closed)(void *user), void *user)
{
    struct box *b = box_of(view);
    if (!on_closed || handle_is_forked(view->root)) {
        view_close(view);
        return;
    }
    leave_handle(view);
    b->on_closed = on_closed;
    b->user = user;
    if (!handle_sync(view->root, end_run, b)) /* no turn will come any more */
        end_free(&b->object);
}
