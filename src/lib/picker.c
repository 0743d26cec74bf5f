/* Pickers: the engine's picker over those instances of a view's table that are to be chosen from.
 *
 * What is chosen from is kept from pick to pick, and made again when the table has changed: the nearest zone's instances that
 * serve, in the order of their hashes. An instance stays its user's, and counts as used, until tenure_pick_done. */
#include <pthread.h>
#include <stdlib.h>

#include "lib/handle.h"
#include "lib/service_view.h"
#include "recipes/picker.h"

struct candidate {
    struct picker_target target;
    struct instance *instance; /* a reference */
};

struct tenure_picker {
    struct instance_table *table;
    pthread_mutex_t mutex; /* the rest: under it */
    struct picker engine;
    struct tenure_picker_options o; /* its texts are behind the struct */
    struct candidate *candidates;
    struct picker_target *targets; /* the same, for the engine */
    size_t n, cap;
    uint64_t seen;  /* the table's number of changes */
    bool is_listed; /* it was, at that */
};

/* ---- options ---- */

static size_t text_size(const char *s)
{
    return s ? strlen(s) + 1 : 0;
}

static const char *put_text(char **at, const char *s)
{
    size_t size = text_size(s);
    char *to = size ? memcpy(*at, s, size) : NULL;
    *at += size;
    return to;
}

static size_t size_of(const struct tenure_picker_options *o)
{
    size_t size = text_size(o->filter.zone) + text_size(o->filter.version);
    for (size_t i = 0; i < o->n_zones; i++)
        size += text_size(o->zones[i]) + sizeof(char *);
    for (size_t i = 0; i < o->filter.n_tags; i++)
        size += text_size(o->filter.tags[i]) + sizeof(char *);
    return size;
}

static void copy_options(tenure_picker *p, const struct tenure_picker_options *o)
{
    const char **zones = (const char **)(p + 1), **tags = zones + o->n_zones;
    char *at = (char *)(tags + o->filter.n_tags);
    p->o = *o;
    for (size_t i = 0; i < o->n_zones; i++)
        zones[i] = put_text(&at, o->zones[i]);
    for (size_t i = 0; i < o->filter.n_tags; i++)
        tags[i] = put_text(&at, o->filter.tags[i]);
    p->o.zones = zones;
    p->o.filter.tags = tags;
    p->o.filter.zone = put_text(&at, o->filter.zone);
    p->o.filter.version = put_text(&at, o->filter.version);
    p->o.filter.serving = false; /* judged apart */
}

static bool all_there(const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!texts || !texts[i])
            return false;
    return true;
}

static uint64_t seed_of(tenure_client *c, uint64_t wanted, const void *p)
{
    static atomic_uint number;
    if (wanted)
        return wanted;
    if (c->kit)
        return c->kit->random(c->kit_user);
    uint64_t parts[] = {(uint64_t)handle_clock(c), (uint64_t)(uintptr_t)p, atomic_fetch_add(&number, 1),
                        (uint64_t)c->pid};
    return picker_hash(bytes_of(parts, sizeof parts));
}

tenure_picker *tenure_picker_new(tenure_service_view *v, const struct tenure_picker_options *options,
                                 struct tenure_error *err)
{
    struct tenure_picker_options o;
    if (!v || options_take(&o, sizeof o, options, "picker", err) < 0) {
        if (!v)
            error_set(err, TENURE_EINVALID, "picker: the view is NULL");
        return NULL;
    }
    if ((unsigned)o.policy > TENURE_PICK_CONSISTENT || !all_there(o.zones, o.n_zones) ||
        !all_there(o.filter.tags, o.filter.n_tags)) {
        error_set(err, TENURE_EINVALID, "picker: no such policy, or zones or tags that are none");
        return NULL;
    }
    tenure_picker *p = calloc(1, sizeof *p + size_of(&o));
    if (!p || pthread_mutex_init(&p->mutex, NULL) != 0) {
        free(p);
        error_set(err, TENURE_ENOMEM, "picker: out of memory");
        return NULL;
    }
    copy_options(p, &o);
    p->table = instance_table_ref(service_view_table(v));
    p->seen = UINT64_MAX;
    picker_init(&p->engine, (enum picker_policy)o.policy, seed_of(service_view_handle(v), o.seed, p));
    return p;
}

/* ---- whom to choose from: under both mutexes ---- */

static void forget_candidates(tenure_picker *p)
{
    for (size_t i = 0; i < p->n; i++)
        instance_unref(p->candidates[i].instance);
    p->n = 0;
}

static int make_room(tenure_picker *p)
{
    size_t wanted = p->table->n + 1;
    if (wanted <= p->cap)
        return 0;
    struct candidate *candidates = realloc(p->candidates, wanted * sizeof *candidates);
    if (candidates)
        p->candidates = candidates;
    struct picker_target *targets = candidates ? realloc(p->targets, wanted * sizeof *targets) : NULL;
    if (!targets)
        return TENURE_ENOMEM;
    p->targets = targets;
    p->cap = wanted;
    return 0;
}

/* A 0 between the two, which no name has within. */
static uint64_t hash_of(const struct tenure_instance *i)
{
    uint64_t parts[] = {picker_hash(bytes_str(i->service)), picker_hash(bytes_str(i->name))};
    return parts[0] ^ (parts[1] << 1 | parts[1] >> 63);
}

static void add(tenure_picker *p, struct instance *i)
{
    struct picker_target target = {.hash = hash_of(&i->pub), .weight = i->pub.weight > 0 ? (uint32_t)i->pub.weight : 1};
    p->candidates[p->n++] = (struct candidate){target, instance_ref(i)};
}

/* zone NULL = any. */
static void add_all(tenure_picker *p, const char *zone, bool serving)
{
    for (size_t k = 0; k < p->table->n; k++) {
        struct instance *i = p->table->all[k];
        bool fits = serving ? tenure_instance_serves(&i->pub) : !i->pub.error && !i->pub.leaving;
        if (fits && (!zone || strcmp(i->pub.zone, zone) == 0) && instance_matches(&i->pub, &p->o.filter))
            add(p, i);
    }
}

static void add_nearest(tenure_picker *p, bool serving)
{
    for (size_t z = 0; p->n == 0 && z < p->o.n_zones; z++)
        add_all(p, p->o.zones[z], serving);
    if (p->n == 0)
        add_all(p, NULL, serving);
}

static int by_hash(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if (x->target.hash != y->target.hash)
        return x->target.hash < y->target.hash ? -1 : 1;
    return strcmp(x->instance->pub.name, y->instance->pub.name);
}

static int collect(tenure_picker *p)
{
    forget_candidates(p);
    if (make_room(p))
        return TENURE_ENOMEM;
    add_nearest(p, true);
    if (p->n == 0 && p->o.any_if_none)
        add_nearest(p, false);
    qsort(p->candidates, p->n, sizeof *p->candidates, by_hash);
    for (size_t i = 0; i < p->n; i++)
        p->targets[i] = p->candidates[i].target;
    p->seen = p->table->changes;
    p->is_listed = p->table->revision > 0;
    return 0;
}

/* ---- picking ---- */

static void look_at_uses(tenure_picker *p)
{
    for (size_t i = 0; i < p->n; i++)
        p->targets[i].uses = atomic_load(&p->candidates[i].instance->use->uses);
}

static struct instance *pick(tenure_picker *p, bytes key, struct tenure_error *err)
{
    pthread_mutex_lock(&p->table->mutex);
    bool is_new = p->seen != p->table->changes || !p->is_listed;
    int rc = is_new ? collect(p) : 0;
    pthread_mutex_unlock(&p->table->mutex);
    if (rc) {
        error_set(err, rc, "picker: out of memory");
    } else if (p->n == 0) {
        error_set(err, p->is_listed ? TENURE_ENOTFOUND : TENURE_EUNAVAILABLE, "picker: %s",
                  p->is_listed ? "no instance serves" : "nothing was listed yet");
    } else {
        if (p->o.policy == TENURE_PICK_LEAST_USED)
            look_at_uses(p);
        struct instance *i = p->candidates[picker_pick(&p->engine, p->targets, p->n, key)].instance;
        atomic_fetch_add(&i->use->uses, 1);
        return instance_ref(i);
    }
    return NULL;
}

const struct tenure_instance *tenure_pick(tenure_picker *p, struct tenure_bytes key, struct tenure_error *err)
{
    if (!p || (key.len && !key.data)) {
        error_set(err, TENURE_EINVALID, "picker: NULL, or a key that has a length and no data");
        return NULL;
    }
    pthread_mutex_lock(&p->mutex);
    struct instance *i = pick(p, bytes_of(key.data, key.len), err);
    pthread_mutex_unlock(&p->mutex);
    return i ? &i->pub : NULL;
}

void tenure_pick_done(const struct tenure_instance *i)
{
    if (!i)
        return;
    atomic_fetch_sub(&instance_of(i)->use->uses, 1);
    instance_unref(instance_of(i));
}

void tenure_picker_free(tenure_picker *p)
{
    if (!p)
        return;
    forget_candidates(p);
    free(p->candidates);
    free(p->targets);
    instance_table_unref(p->table);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}
