/* The endpoints of a handle. The list never changes after the opening, so any thread may read it; but that of a handle which
 * learns endpoints is read by its own thread. */

#include <stdio.h>
#include <string.h>

#include "lib/post.h"
#include "lib/view.h"

struct look {
    struct client *engine;
    size_t index, n;
    const char *url;
};

static void look_run(void *arg)
{
    struct look *l = arg;
    l->n = client_endpoints(l->engine);
    l->url = client_endpoint(l->engine, l->index);
}

/* Nothing of a closed handle. A text once learnt stays where it is. */
static struct look look(const tenure_client *c, size_t index)
{
    struct look l = {.index = index};
    tenure_client *root = (tenure_client *)c;
    view_of(&root);
    if (!root || handle_is_forked(root))
        return l;
    l.engine = root->engine;
    if (root->learns && !handle_on_loop(root))
        handle_sync(root, look_run, &l);
    else
        look_run(&l);
    return l;
}

size_t tenure_endpoints(const tenure_client *c)
{
    return look(c, 0).n;
}

const char *tenure_endpoint(const tenure_client *c, size_t index)
{
    return look(c, index).url;
}

/* ---- numbers ---- */

struct count {
    tenure_client *handle;
    size_t index;
    int code;
    struct tenure_stats all;
    struct tenure_endpoint_stats one;
};

static void count_endpoint(struct client *engine, struct count *n)
{
    struct client_endpoint_stats e = client_endpoint_stats(engine, n->index);
    n->one.in_use = e.in_use;
    n->one.failures = e.failures;
    snprintf(n->one.error, sizeof n->one.error, "%s", e.error);
}

static void count_run(void *arg)
{
    struct count *n = arg;
    struct client *engine = n->handle->engine;
    if (n->handle->state != HANDLE_OPEN)
        return;
    struct client_stats s = client_stats(engine);
    n->all.calls = s.calls;
    n->all.failed = s.failed;
    n->all.retries = s.retries;
    n->all.connections = s.connections;
    n->all.endpoint_failures = s.failures;
    n->all.bytes_in = s.bytes_in;
    n->all.bytes_out = s.bytes_out;
    n->all.under_way = s.under_way;
    n->all.watches = s.watches;
    n->all.leases = s.keepalives;
    n->code = n->index < client_endpoints(engine) ? 0 : TENURE_EINVALID;
    if (n->code == 0)
        count_endpoint(engine, n);
}

/* 0, or why there is nothing to count. */
static int count(tenure_client *c, struct count *n, struct tenure_error *err)
{
    view_of(&c);
    int rc = handle_enter(c, err);
    if (rc < 0)
        return rc;
    n->handle = c;
    n->code = TENURE_ECLOSED;
    handle_sync(c, count_run, n);
    if (n->code == TENURE_EINVALID)
        return error_set(err, n->code, "stats: there is no endpoint %zu", n->index);
    return n->code ? error_set(err, n->code, "stats: the handle is closed") : 0;
}

/* As much as the program knows of. */
static int give(void *ret, const void *all, size_t all_size, struct tenure_error *err)
{
    size_t size;
    if (!ret)
        return error_set(err, TENURE_EINVALID, "stats: there is nowhere to put them");
    memcpy(&size, ret, sizeof size);
    if (size < sizeof size)
        return error_set(err, TENURE_EINVALID, "stats: size is not set to the size of the struct");
    size_t n = size < all_size ? size : all_size;
    memcpy((char *)ret + sizeof size, (const char *)all + sizeof size, n - sizeof size);
    return 0;
}

int tenure_stats(tenure_client *c, struct tenure_stats *ret, struct tenure_error *err)
{
    struct count n = {0};
    int rc = count(c, &n, err);
    return rc < 0 ? rc : give(ret, &n.all, sizeof n.all, err);
}

int tenure_endpoint_stats(tenure_client *c, size_t index, struct tenure_endpoint_stats *ret, struct tenure_error *err)
{
    struct count n = {.index = index};
    int rc = count(c, &n, err);
    return rc < 0 ? rc : give(ret, &n.one, sizeof n.one, err);
}
