/* See leaders.h. Entries are compared by where they are: what was written is another block. */
#include "recipes/leaders.h"

#include "tenure/error.h"

bytes leaders_dir(bytes key, size_t skip)
{
    size_t len = key.len;
    if (key.len < skip || memchr(key.data, 0, key.len))
        return bytes_of(NULL, 0);
    while (len > skip && key.data[len - 1] != '/')
        len--;
    return len > skip + 1 ? bytes_of(key.data, len) : bytes_of(NULL, 0);
}

static bool is_below(bytes key, bytes dir)
{
    return key.len > dir.len && memcmp(key.data, dir.data, dir.len) == 0;
}

static bool is_right_below(bytes key, bytes dir)
{
    const uint8_t *rest = key.data + dir.len;
    size_t len = key.len - dir.len;
    return !memchr(rest, '/', len) && !memchr(rest, 0, len);
}

/* Of the keys right below dir the one that was created first; of two of one revision the first in byte order. */
static struct keyset_entry *first_of(const struct keyset *s, bytes dir)
{
    struct keyset_entry *first = NULL;
    for (size_t i = keyset_place(s, dir);
         i < s->len && (bytes_equal(s->entries[i]->kv.key, dir) || is_below(s->entries[i]->kv.key, dir)); i++) {
        struct keyset_entry *e = s->entries[i];
        if (e->kv.key.len > dir.len && is_right_below(e->kv.key, dir) &&
            (!first || e->kv.create_revision < first->kv.create_revision))
            first = e;
    }
    return first;
}

struct keyset_entry *leaders_find(const struct keyset *leaders, bytes dir)
{
    return first_of(leaders, dir);
}

static void replace(struct keyset *leaders, struct keyset_entry *was, struct keyset_entry *now)
{
    struct keyset_entry *same;
    if (was)
        keyset_unref(keyset_take(leaders, keyset_place(leaders, was->kv.key)));
    if (now)
        keyset_share(leaders, now, &same);
}

int leaders_apply(struct keyset *leaders, const struct keyset *all, size_t skip, const struct view_change *changes,
                  size_t n, struct leaders_change *ret, size_t *ret_n)
{
    bytes before = bytes_of(NULL, 0);
    *ret_n = 0;
    if (keyset_reserve(leaders, n))
        return TENURE_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        bytes dir = leaders_dir((changes[i].now ? changes[i].now : changes[i].was)->key, skip);
        if (dir.len == 0 || bytes_equal(dir, before)) /* a list has many of one behind each other */
            continue;
        before = dir;
        struct keyset_entry *was = leaders_find(leaders, dir), *now = first_of(all, dir);
        if (was == now)
            continue;
        ret[(*ret_n)++] = (struct leaders_change){dir, now};
        replace(leaders, was, now);
    }
    return 0;
}
