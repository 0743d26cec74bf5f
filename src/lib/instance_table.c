/* See service_view.h: the table, without the view that feeds it. */
#include <stdlib.h>

#include "base/error.h"
#include "lib/service_view.h"

struct instance_table *instance_table_new(void)
{
    struct instance_table *t = calloc(1, sizeof *t);
    if (!t || pthread_mutex_init(&t->mutex, NULL) != 0) {
        free(t);
        return NULL;
    }
    t->refs = 1;
    return t;
}

struct instance_table *instance_table_ref(struct instance_table *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

struct instance_table *instance_table_unref(struct instance_table *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return NULL;
    for (size_t i = 0; i < t->n; i++)
        instance_unref(t->all[i]);
    free(t->all);
    pthread_mutex_destroy(&t->mutex);
    free(t);
    return NULL;
}

static int compare(const struct instance *i, const char *service, const char *name)
{
    int order = strcmp(i->pub.service, service);
    return order ? order : strcmp(i->pub.name, name);
}

/* The first place that is not before it. */
static size_t place_of(const struct instance_table *t, const char *service, const char *name)
{
    size_t low = 0, high = t->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (compare(t->all[middle], service, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool is_at(const struct instance_table *t, size_t at, const char *service, const char *name)
{
    return at < t->n && compare(t->all[at], service, name) == 0;
}

struct instance *instance_table_find(const struct instance_table *t, const char *service, const char *name)
{
    size_t at = place_of(t, service, name);
    return is_at(t, at, service, name) ? t->all[at] : NULL;
}

/* That of the same one before, or a new one. */
static int give_use(struct instance *i, const struct instance *before)
{
    i->use = before ? before->use : calloc(1, sizeof *i->use);
    if (!i->use)
        return TENURE_ENOMEM;
    atomic_fetch_add(&i->use->refs, 1);
    return 0;
}

static int make_room(struct instance_table *t)
{
    size_t cap = t->cap ? 2 * t->cap : 16;
    struct instance **all = t->n < t->cap ? t->all : realloc(t->all, cap * sizeof(struct instance *));
    if (!all)
        return TENURE_ENOMEM;
    t->cap = t->n < t->cap ? t->cap : cap;
    t->all = all;
    return 0;
}

int instance_table_put(struct instance_table *t, struct instance *i)
{
    size_t at = place_of(t, i->pub.service, i->pub.name);
    bool same = is_at(t, at, i->pub.service, i->pub.name);
    if (make_room(t) || give_use(i, same ? t->all[at] : NULL)) {
        instance_unref(i);
        return TENURE_ENOMEM;
    }
    if (same) {
        instance_unref(t->all[at]);
    } else {
        memmove(t->all + at + 1, t->all + at, (t->n - at) * sizeof(struct instance *));
        t->n++;
    }
    t->all[at] = i;
    t->changes++;
    return 0;
}

void instance_table_remove(struct instance_table *t, const char *service, const char *name)
{
    size_t at = place_of(t, service, name);
    if (!is_at(t, at, service, name))
        return;
    instance_unref(t->all[at]);
    t->n--;
    memmove(t->all + at, t->all + at + 1, (t->n - at) * sizeof(struct instance *));
    t->changes++;
}
