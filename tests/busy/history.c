/* See history.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/history.h"

static void *grown(void *p, size_t *room, size_t n, size_t size)
{
    if (n < *room)
        return p;
    *room = *room ? *room * 2 : 1024;
    p = realloc(p, *room * size);
    if (!p)
        abort();
    return p;
}

void history_init(struct history *h)
{
    *h = (struct history){0};
    map_init(&h->by_hash);
}

void history_fini(struct history *h)
{
    for (size_t i = 0; i < h->n_keys; i++)
        free((void *)(uintptr_t)h->keys[i].data);
    free(h->keys);
    free(h->newest);
    free(h->facts);
    map_fini(&h->by_hash);
}

/* FNV-1a, with its bits mixed once more; of the few thousand keys of a run no two have the same. */
uint64_t history_hash(bytes b)
{
    uint64_t x = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < b.len; i++)
        x = (x ^ b.data[i]) * UINT64_C(1099511628211);
    return (x ^ (x >> 29)) * UINT64_C(0x9e3779b97f4a7c15);
}

static uint32_t key_number(struct history *h, bytes key)
{
    uint64_t hash = history_hash(key);
    uintptr_t found = (uintptr_t)map_get(&h->by_hash, hash);
    if (found)
        return (uint32_t)(found - 1);
    size_t room = h->keys_room;
    h->keys = grown(h->keys, &room, h->n_keys, sizeof h->keys[0]);
    h->newest = grown(h->newest, &h->keys_room, h->n_keys, sizeof h->newest[0]);
    uint8_t *copy = malloc(key.len + 1);
    if (!copy || map_put(&h->by_hash, hash, (void *)(uintptr_t)(h->n_keys + 1)))
        abort();
    memcpy(copy, key.data, key.len);
    h->keys[h->n_keys] = bytes_of(copy, key.len);
    h->newest[h->n_keys] = -1;
    return (uint32_t)h->n_keys++;
}

/* What the numbers of a change must be, by the key's last one. */
static const char *check(const struct history *h, const struct fact *f, bool whole)
{
    const struct fact *before = f->before >= 0 ? &h->facts[f->before] : NULL;
    bool was = before && !before->is_delete;
    if (before && before->revision == f->revision)
        return "a key changes twice in one revision";
    if (f->is_delete)
        return was || !whole ? NULL : "a key is deleted that was not there";
    if (was)
        return f->version == before->version + 1 && f->create_revision == before->create_revision
                   ? NULL
                   : "a put does not continue its key";
    return (f->version == 1 && f->create_revision == f->revision) || !whole ? NULL : "a put does not begin its key";
}

const char *history_add(struct history *h, const struct event *events, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const struct kv *kv = &events[i].kv;
        if (h->last == 0)
            h->first = h->last = kv->mod_revision;
        if (kv->mod_revision < h->last)
            return "a revision comes behind a later one";
        if (kv->mod_revision > h->last + 1)
            return "a revision is missing";
        h->last = kv->mod_revision;
        uint32_t key = key_number(h, kv->key);
        struct fact f = {.revision = kv->mod_revision,
                         .create_revision = kv->create_revision,
                         .version = kv->version,
                         .lease = kv->lease,
                         .value = history_hash(kv->value),
                         .key = key,
                         .is_delete = events[i].type == EVENT_DELETE,
                         .before = h->newest[key]};
        const char *wrong = check(h, &f, h->first <= 2);
        if (wrong)
            return wrong;
        h->facts = grown(h->facts, &h->room, h->n, sizeof h->facts[0]);
        h->newest[key] = (int64_t)h->n;
        h->facts[h->n++] = f;
    }
    return NULL;
}

size_t history_find(const struct history *h, tn_rev revision)
{
    size_t from = 0, to = h->n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (h->facts[mid].revision < revision)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}
