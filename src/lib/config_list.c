/* See config_list.h. An entry is one block: the public struct, its layers, its strings. A list is one block: the public struct,
 * copies of the entries' structs, and behind them who owns what these point to. */
#include "lib/config_list.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/config_place.h"
#include "lib/config_seal.h"

struct owner {
    atomic_uint refs;
    struct tenure_config_entry entry;
    struct tenure_config_value layers[TENURE_CONFIG_LAYERS];
    char data[];
};

struct box {
    struct tenure_config_list list;
    atomic_uint refs;
    struct owner **owners;
    struct tenure_config_entry entries[];
};

static struct box *box_of(const struct tenure_config_list *list)
{
    return CONTAINER_OF((struct tenure_config_list *)list, struct box, list);
}

static void owner_unref(struct owner *o)
{
    if (o && atomic_fetch_sub(&o->refs, 1) == 1)
        free(o);
}

struct tenure_config_list *config_list_ref(struct tenure_config_list *list)
{
    atomic_fetch_add(&box_of(list)->refs, 1);
    return list;
}

void tenure_config_list_free(struct tenure_config_list *list)
{
    if (!list || atomic_fetch_sub(&box_of(list)->refs, 1) > 1)
        return;
    struct box *b = box_of(list);
    for (size_t i = 0; i < list->n; i++)
        owner_unref(b->owners[i]);
    free(b->owners);
    free(b);
}

static struct box *box_new(size_t max, int64_t revision)
{
    struct box *b = calloc(1, sizeof *b + max * sizeof b->entries[0]);
    struct owner **owners = b ? calloc(max + 1, sizeof(struct owner *)) : NULL;
    if (!owners) {
        free(b);
        return NULL;
    }
    b->owners = owners;
    atomic_init(&b->refs, 1);
    b->list = (struct tenure_config_list){.revision = revision, .entries = b->entries};
    return b;
}

/* Takes the reference. */
static void box_push(struct box *b, struct owner *o)
{
    b->owners[b->list.n] = o;
    b->entries[b->list.n] = o->entry;
    b->list.n++;
}

/* ---- entries ---- */

bool config_is_sealed(bytes value)
{
    return bytes_has_prefix(value, bytes_str(CONFIG_SEALED));
}

bool config_entry_same(const struct tenure_config_entry *a, const struct tenure_config_entry *b)
{
    return !a->problem == !b->problem && a->value_len == b->value_len && memcmp(a->value, b->value, a->value_len) == 0;
}

static char *put(char **at, const void *s, size_t len)
{
    char *to = *at;
    if (len)
        memcpy(to, s, len);
    to[len] = 0;
    *at += len + 1;
    return to;
}

/* What is opened is shorter than what is sealed. */
static void put_value(struct owner *o, struct tenure_config_value *v, const struct kv *kv,
                      const struct config_seal *seal, char **at, struct tenure_error *why)
{
    char *plain = NULL;
    size_t len = 0;
    v->revision = kv->mod_revision;
    v->is_sealed = config_is_sealed(kv->value);
    why->code = 0;
    if (v->is_sealed && config_seal_open(seal, o->entry.key, kv->value, &plain, &len, why) == 0)
        v->value = put(at, plain, len);
    else
        v->value = put(at, kv->value.data, kv->value.len);
    v->value_len = plain ? len : kv->value.len;
    config_seal_free(plain, len);
}

static struct owner *owner_new(bytes key, const struct kv *const *of_layers, const struct config_seal *seal)
{
    struct tenure_error why = {0};
    size_t size = key.len + 1 + sizeof why.text;
    for (int l = 0; l < TENURE_CONFIG_LAYERS; l++)
        size += of_layers[l] ? of_layers[l]->value.len + 1 : 0;
    struct owner *o = calloc(1, sizeof *o + size);
    if (!o)
        return NULL;
    char *at = o->data;
    struct tenure_config_entry *e = &o->entry;
    atomic_init(&o->refs, 1);
    e->key = put(&at, key.data, key.len);
    e->layers = o->layers;
    for (int i = 0; i < TENURE_CONFIG_LAYERS; i++) {
        enum tenure_config_layer l = config_layer_order[i];
        if (!of_layers[l])
            continue;
        o->layers[e->n_layers].layer = l;
        put_value(o, &o->layers[e->n_layers++], of_layers[l], seal, &at, &why);
    }
    const struct tenure_config_value *top = &o->layers[e->n_layers - 1];
    e->value = top->value;
    e->value_len = top->value_len;
    e->layer = top->layer;
    e->revision = top->revision;
    e->is_sealed = top->is_sealed;
    e->problem = why.code ? put(&at, why.text, strlen(why.text)) : NULL;
    return o;
}

/* A store that was put back to an older state may give a revision a second time: so plain values are looked at too. */
static bool layer_is(const struct tenure_config_value *v, const struct kv *kv)
{
    return v->revision == kv->mod_revision && v->is_sealed == config_is_sealed(kv->value) &&
           (v->is_sealed || bytes_equal(bytes_of(v->value, v->value_len), kv->value));
}

static bool is_as_it_was(const struct tenure_config_entry *e, const struct kv *const *of_layers)
{
    size_t n = 0;
    for (int i = 0; i < TENURE_CONFIG_LAYERS; i++) {
        enum tenure_config_layer l = config_layer_order[i];
        if (!of_layers[l])
            continue;
        if (n == e->n_layers || e->layers[n].layer != l || !layer_is(&e->layers[n], of_layers[l]))
            return false;
        n++;
    }
    return n == e->n_layers && !e->problem;
}

/* ---- lists ---- */

static bytes key_at(const struct config_run *r, size_t i)
{
    bytes key = r->kvs[i]->key;
    return bytes_of(key.data + r->skip, key.len - r->skip);
}

/* The smallest key that is next in any run; false at the end. */
static bool next_key(const struct config_run *runs, size_t n_runs, const size_t *at, bytes *ret)
{
    bool any = false;
    for (size_t i = 0; i < n_runs; i++) {
        if (at[i] >= runs[i].n)
            continue;
        bytes key = key_at(&runs[i], at[i]);
        if (!any || bytes_compare(key, *ret) < 0)
            *ret = key;
        any = true;
    }
    return any;
}

static void take_layers(const struct config_run *runs, size_t n_runs, size_t *at, bytes key, const struct kv **ret)
{
    for (size_t i = 0; i < n_runs; i++)
        if (at[i] < runs[i].n && bytes_equal(key_at(&runs[i], at[i]), key))
            ret[runs[i].layer] = runs[i].kvs[at[i]++];
}

struct tenure_config_list *config_list_merge(const struct tenure_config_list *old, int64_t revision,
                                             const struct config_run *runs, size_t n_runs,
                                             const struct config_seal *seal)
{
    size_t at[CONFIG_RUNS_MAX] = {0}, max = 0, was = 0;
    bytes key = {0};
    for (size_t i = 0; i < n_runs; i++)
        max += runs[i].n;
    struct box *b = box_new(max, revision);
    while (b && next_key(runs, n_runs, at, &key)) {
        const struct kv *of_layers[TENURE_CONFIG_LAYERS] = {0};
        take_layers(runs, n_runs, at, key, of_layers);
        if (!config_key_is_valid(key))
            continue;
        while (old && was < old->n && bytes_compare(bytes_str(old->entries[was].key), key) < 0)
            was++;
        bool same = old && was < old->n && bytes_equal(bytes_str(old->entries[was].key), key) &&
                    is_as_it_was(&old->entries[was], of_layers);
        struct owner *o = same ? box_of(old)->owners[was] : owner_new(key, of_layers, seal);
        if (!o) {
            tenure_config_list_free(&b->list);
            return NULL;
        }
        if (same)
            atomic_fetch_add(&o->refs, 1);
        box_push(b, o);
    }
    return b ? &b->list : NULL;
}

static int by_key(const void *a, const void *b)
{
    const struct config_pair *x = a, *y = b;
    return strcmp(x->key, y->key);
}

int config_list_of(struct config_pair *pairs, size_t n, struct tenure_config_list **ret, struct tenure_error *err)
{
    if (n > 0)
        qsort(pairs, n, sizeof *pairs, by_key);
    for (size_t i = 0; i < n; i++) {
        int rc = config_key_check(pairs[i].key, err);
        if (rc)
            return rc;
        if (i > 0 && strcmp(pairs[i - 1].key, pairs[i].key) == 0)
            return error_set(err, TENURE_EINVALID, "config: the key \"%.100s\" is there twice", pairs[i].key);
    }
    struct box *b = box_new(n, 0);
    for (size_t i = 0; b && i < n; i++) {
        struct kv kv = {.value = bytes_of(pairs[i].value, pairs[i].value_len)};
        const struct kv *of_layers[TENURE_CONFIG_LAYERS] = {&kv};
        struct owner *o = owner_new(bytes_str(pairs[i].key), of_layers, NULL);
        if (o) {
            o->entry.problem = NULL; /* it is not to be opened here */
            box_push(b, o);
        } else {
            tenure_config_list_free(&b->list);
            b = NULL;
        }
    }
    if (!b)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    *ret = &b->list;
    return 0;
}

const struct tenure_config_entry *tenure_config_find(const struct tenure_config_list *list, const char *key)
{
    size_t low = 0, high = list && key ? list->n : 0;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int c = strcmp(list->entries[middle].key, key);
        if (c == 0)
            return &list->entries[middle];
        if (c < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- differences ---- */

struct differences {
    struct tenure_config_differences public;
    struct tenure_config_change changes[];
};

static void note(struct differences *d, const struct tenure_config_entry *was, const struct tenure_config_entry *now)
{
    d->changes[d->public.n++] = (struct tenure_config_change){(now ? now : was)->key, was, now};
}

int tenure_config_diff(const struct tenure_config_list *from, const struct tenure_config_list *to,
                       struct tenure_config_differences **ret, struct tenure_error *err)
{
    if (!from || !to || !ret)
        return error_set(err, TENURE_EINVALID, "config: a list, or the place for the differences, is NULL");
    struct differences *d = calloc(1, sizeof *d + (from->n + to->n) * sizeof d->changes[0]);
    if (!d)
        return error_set(err, TENURE_ENOMEM, "config: out of memory");
    d->public.changes = d->changes;
    for (size_t i = 0, j = 0; i < from->n || j < to->n;) {
        int c = i == from->n ? 1 : j == to->n ? -1 : strcmp(from->entries[i].key, to->entries[j].key);
        const struct tenure_config_entry *was = c <= 0 ? &from->entries[i++] : NULL;
        const struct tenure_config_entry *now = c >= 0 ? &to->entries[j++] : NULL;
        if (!was || !now || (was->value != now->value && !config_entry_same(was, now)))
            note(d, was, now);
    }
    *ret = &d->public;
    return 0;
}

void tenure_config_differences_free(struct tenure_config_differences *r)
{
    free(r ? CONTAINER_OF(r, struct differences, public) : NULL);
}
