/* See tail.h. A huge command makes huge arrays; they are given back when they are empty again.
 */
#include "store/tail.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tenure/error.h"

enum {
    CAP_MIN = 64,
    CAP_KEEP = 16384, /* an empty array of more places is freed */
};

void tail_init(struct tail *t)
{
    memset(t, 0, sizeof *t);
}

void tail_fini(struct tail *t)
{
    free(t->entries);
    free(t->front.at);
    free(t->back.at);
    tail_init(t);
}

static struct planned *entry_at(const struct tail *t, size_t i)
{
    return &t->entries[(t->first + i) & (t->cap - 1)];
}

static int entries_double(struct tail *t)
{
    size_t cap = t->cap ? 2 * t->cap : CAP_MIN;
    struct planned *entries = malloc(cap * sizeof *entries);
    if (!entries)
        return TENURE_ENOMEM;
    for (size_t i = 0; i < t->len; i++)
        entries[i] = *entry_at(t, i);
    free(t->entries);
    t->entries = entries;
    t->cap = cap;
    t->first = 0;
    return 0;
}

static int rows_double(struct rows *r)
{
    size_t cap = r->cap ? 2 * r->cap : CAP_MIN;
    struct record *at = realloc(r->at, cap * sizeof *at);
    if (!at)
        return TENURE_ENOMEM;
    r->at = at;
    r->cap = cap;
    return 0;
}

static void rows_clear(struct rows *r)
{
    r->len = 0;
    if (r->cap <= CAP_KEEP)
        return;
    free(r->at);
    *r = (struct rows){0};
}

static void entries_shrink(struct tail *t)
{
    if (t->len > 0)
        return;
    t->first = 0;
    if (t->cap <= CAP_KEEP)
        return;
    free(t->entries);
    t->entries = NULL;
    t->cap = 0;
}

int tail_reserve(struct tail *t)
{
    if (t->len == t->cap && entries_double(t) != 0)
        return TENURE_ENOMEM;
    if (t->back.len == t->back.cap && rows_double(&t->back) != 0)
        return TENURE_ENOMEM;
    return 0;
}

void tail_push(struct tail *t, struct planned entry, const struct record *row)
{
    assert(t->len < t->cap);
    assert(t->back.len < t->back.cap);
    *entry_at(t, t->len++) = entry;
    t->back.at[t->back.len++] = *row;
}

void tail_seal(struct tail *t)
{
    assert(t->len > 0);
    assert(t->back.len > 0);
    entry_at(t, t->len - 1)->last_of_command = true;
    t->back.at[t->back.len - 1].last_of_command = true;
}

struct planned tail_pop(struct tail *t)
{
    assert(t->len > 0);
    if (t->back.len > 0)
        t->back.len--;
    struct planned entry = *entry_at(t, --t->len);
    entries_shrink(t);
    return entry;
}

struct planned tail_shift(struct tail *t)
{
    assert(t->len > 0);
    struct planned entry = *entry_at(t, 0);
    t->first = (t->first + 1) & (t->cap - 1);
    t->len--;
    entries_shrink(t);
    return entry;
}

void tail_drop_rows(struct tail *t)
{
    rows_clear(&t->front);
    rows_clear(&t->back);
    t->handed = 0;
}

static void rows_swap(struct tail *t)
{
    struct rows empty = t->front;
    t->front = t->back;
    t->back = empty;
    rows_clear(&t->back);
    t->handed = 0;
}

/* How many of the n rows from `at` on are whole commands within max; the first command whole in any case. */
static size_t rows_cut(const struct record *at, size_t n, size_t max)
{
    size_t whole = 0;
    for (size_t i = 0; i < n && (whole == 0 || i < max); i++) {
        if (at[i].last_of_command)
            whole = i + 1;
    }
    return whole;
}

const struct record *tail_hand_out(struct tail *t, size_t max, size_t *ret_n)
{
    if (t->handed == t->front.len)
        rows_swap(t);
    const struct record *at = t->front.len ? t->front.at + t->handed : NULL;
    *ret_n = rows_cut(at, t->front.len - t->handed, max);
    t->handed += *ret_n;
    return at;
}

bool tail_is_handed_out(const struct tail *t)
{
    return t->handed == t->front.len && t->back.len == 0;
}
