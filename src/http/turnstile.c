/* See turnstile.h. Resources are found by a hash of their name, and never forgotten: what is not kept on a disk is known here
 * alone. */
#include "http/turnstile.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

#define RESOURCES_MAX 10000

struct turnstile_resource {
    struct turnstile_resource *same_hash;
    int64_t seen;
    int64_t inside_token; /* of those inside */
    size_t inside;
    struct list waiting;
    size_t len;
    char name[];
};

struct turnstile {
    struct turnstile_config config;
    struct map resources; /* by hash, chained */
    size_t n;
    struct list ready;
};

/* ---- resources ---- */

/* FNV-1a. */
static uint64_t hash(bytes name)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < name.len; i++)
        h = (h ^ name.data[i]) * UINT64_C(0x100000001b3);
    return h;
}

static struct turnstile_resource *find(const struct turnstile *t, bytes name)
{
    struct turnstile_resource *r = map_get(&t->resources, hash(name));
    while (r && !bytes_equal(bytes_of(r->name, r->len), name))
        r = r->same_hash;
    return r;
}

static struct turnstile_resource *make(bytes name)
{
    struct turnstile_resource *r = calloc(1, sizeof *r + name.len + 1);
    if (!r)
        return NULL;
    list_init(&r->waiting);
    r->len = name.len;
    memcpy(r->name, name.data, name.len);
    return r;
}

static int add(struct turnstile *t, bytes name, struct turnstile_resource **ret, struct tenure_error *err)
{
    if (t->n >= t->config.resources_max)
        return error_set(err, TENURE_ELIMIT, "%zu resources are known, and more are not taken", t->n);
    struct turnstile_resource *r = make(name);
    if (!r || map_reserve(&t->resources, 1) < 0) {
        free(r);
        return error_set(err, TENURE_ENOMEM, "out of memory");
    }
    int rc = t->config.load ? t->config.load(t->config.user, r->name, &r->seen, err) : 0;
    if (rc == 0) {
        r->same_hash = map_get(&t->resources, hash(name));
        rc = map_put(&t->resources, hash(name), r);
    }
    if (rc < 0) {
        free(r);
        return rc;
    }
    t->n++;
    *ret = r;
    return 0;
}

/* ---- life ---- */

struct turnstile *turnstile_new(const struct turnstile_config *config)
{
    struct turnstile *t = calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->config = *config;
    if (t->config.resources_max == 0)
        t->config.resources_max = RESOURCES_MAX;
    map_init(&t->resources);
    list_init(&t->ready);
    return t;
}

struct turnstile *turnstile_free(struct turnstile *t)
{
    size_t cursor = 0;
    struct turnstile_resource *r, *next;
    if (!t)
        return NULL;
    while ((r = map_next(&t->resources, &cursor)) != NULL) {
        for (; r; r = next) {
            next = r->same_hash;
            free(r);
        }
    }
    map_fini(&t->resources);
    free(t);
    return NULL;
}

/* ---- going in and out ---- */

void turnstile_ticket_init(struct turnstile_ticket *k)
{
    *k = (struct turnstile_ticket){.state = TURNSTILE_NONE};
    list_init(&k->link);
}

static void go_in(struct turnstile_ticket *k)
{
    struct turnstile_resource *r = k->resource;
    assert(r->inside == 0 || r->inside_token == k->token);
    r->inside++;
    r->inside_token = k->token;
    k->state = TURNSTILE_INSIDE;
}

static int raise_seen(struct turnstile *t, struct turnstile_resource *r, int64_t token, struct tenure_error *err)
{
    int rc = t->config.keep ? t->config.keep(t->config.user, r->name, token, err) : 0;
    if (rc == 0)
        r->seen = token;
    return rc;
}

int turnstile_enter(struct turnstile *t, bytes resource, int64_t token, struct turnstile_ticket *k, int64_t *ret_seen,
                    struct tenure_error *err)
{
    assert(k->state == TURNSTILE_NONE);
    if (token < 1 || resource.len == 0 || resource.len > TURNSTILE_NAME_MAX)
        return error_set(err, TENURE_EINVALID,
                         "expected a token of 1 or more, and a resource's name of at most %d bytes",
                         TURNSTILE_NAME_MAX);
    struct turnstile_resource *r = find(t, resource);
    int rc = r ? 0 : add(t, resource, &r, err);
    if (rc < 0)
        return rc;
    if (token < r->seen) {
        *ret_seen = r->seen;
        return error_set(err, TENURE_EFENCED, "fenced");
    }
    rc = token > r->seen ? raise_seen(t, r, token, err) : 0;
    if (rc < 0)
        return rc;
    k->resource = r;
    k->token = token;
    if (r->inside > 0 && r->inside_token < token) {
        k->state = TURNSTILE_WAITING;
        list_push_back(&r->waiting, &k->link);
    } else {
        go_in(k);
    }
    return 0;
}

/* Nobody is inside: who waits with the greatest token goes in, the others came too late. */
static void let_in(struct turnstile *t, struct turnstile_resource *r)
{
    LIST_FOREACH_SAFE(it, &r->waiting)
    {
        struct turnstile_ticket *k = LIST_ENTRY(it, struct turnstile_ticket, link);
        list_remove(&k->link);
        list_push_back(&t->ready, &k->link);
        if (k->token == r->seen)
            go_in(k);
        else
            k->state = TURNSTILE_REFUSED;
    }
}

void turnstile_leave(struct turnstile *t, struct turnstile_ticket *k)
{
    struct turnstile_resource *r = k->resource;
    bool was_inside = k->state == TURNSTILE_INSIDE;
    list_remove(&k->link);
    k->state = TURNSTILE_NONE;
    k->resource = NULL;
    if (was_inside && --r->inside == 0)
        let_in(t, r);
}

struct turnstile_ticket *turnstile_next(struct turnstile *t)
{
    if (list_empty(&t->ready))
        return NULL;
    struct turnstile_ticket *k = LIST_ENTRY(t->ready.next, struct turnstile_ticket, link);
    list_remove(&k->link);
    return k;
}

int64_t turnstile_seen(const struct turnstile *t, bytes resource)
{
    const struct turnstile_resource *r = find(t, resource);
    return r ? r->seen : 0;
}

const char *turnstile_name(const struct turnstile_ticket *k)
{
    return k->resource->name;
}

int64_t turnstile_ticket_seen(const struct turnstile_ticket *k)
{
    return k->resource->seen;
}
