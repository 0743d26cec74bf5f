/* See fact.h. Facts are few, so they are found by looking at each.
 *
 * What is gone keeps its place behind what went before it, so that undoing the newest row finds what it replaced at the
 * end of that list.
 */
#include "store/fact.h"

#include <stdlib.h>

#include "store/internal.h"
#include "tenure/error.h"

void facts_init(struct facts *f)
{
    *f = (struct facts){0};
    list_init(&f->standing);
    list_init(&f->gone);
}

static void list_free(struct list *l)
{
    LIST_FOREACH_SAFE(it, l)
    free(LIST_ENTRY(it, struct fact, node));
}

void facts_fini(struct facts *f)
{
    list_free(&f->standing);
    list_free(&f->gone);
}

struct fact *fact_find(const struct facts *f, enum record_kind kind, uint64_t member_id, int32_t type)
{
    LIST_FOREACH(it, (struct list *)&f->standing)
    {
        struct fact *fact = LIST_ENTRY(it, struct fact, node);
        if (fact->kind == kind && fact->member_id == member_id && fact->type == type)
            return fact;
    }
    return NULL;
}

struct fact *fact_new(enum record_kind kind, uint64_t member_id, int32_t type, bytes value)
{
    struct fact *f = malloc(sizeof *f + value.len);
    if (!f)
        return NULL;
    *f = (struct fact){.kind = kind, .member_id = member_id, .type = type, .value_len = value.len};
    if (value.len)
        memcpy(f->value, value.data, value.len);
    list_init(&f->node);
    return f;
}

int64_t fact_memory(const struct fact *f)
{
    return (int64_t)(sizeof *f + f->value_len);
}

bool fact_is_durable(const struct fact *f, tn_seq seq_durable)
{
    return f->seq <= seq_durable && (f->gone_seq == 0 || f->gone_seq > seq_durable);
}

/* ---- standing and gone ---- */

static void count(struct facts *all, const struct fact *f, int by)
{
    all->n_standing += (size_t)by;
    if (f->kind == RECORD_ALARM && f->type == ALARM_NOSPACE)
        all->nospace += (size_t)by;
    if (f->kind == RECORD_ALARM && f->type == ALARM_CORRUPT)
        all->corrupt += (size_t)by;
}

static void enter(struct facts *all, struct fact *f)
{
    list_push_back(&all->standing, &f->node);
    count(all, f, 1);
}

static void leave(struct facts *all, struct fact *f, tn_seq seq)
{
    count(all, f, -1);
    list_remove(&f->node);
    list_push_back(&all->gone, &f->node);
    f->gone_seq = seq;
}

void fact_stand(struct store *s, struct fact *f, tn_seq seq)
{
    struct fact *before = fact_find(&s->facts, f->kind, f->member_id, f->type);
    if (before)
        leave(&s->facts, before, seq);
    f->seq = seq;
    enter(&s->facts, f);
    s->memory += fact_memory(f);
}

void fact_clear(struct store *s, struct fact *f, tn_seq seq)
{
    leave(&s->facts, f, seq);
    f->cleared = true;
}

int fact_cleared_unknown(struct store *s, tn_seq seq)
{
    struct fact *f = fact_new(RECORD_ALARM, 0, 0, bytes_of(NULL, 0));
    if (!f)
        return TENURE_ENOMEM;
    f->gone_seq = seq;
    f->cleared = true;
    list_push_back(&s->facts.gone, &f->node);
    s->memory += fact_memory(f);
    return 0;
}

static void fact_free(struct store *s, struct fact *f)
{
    list_remove(&f->node);
    s->memory -= fact_memory(f);
    free(f);
}

static struct fact *standing_since(const struct facts *all, tn_seq seq)
{
    LIST_FOREACH(it, (struct list *)&all->standing)
    {
        struct fact *f = LIST_ENTRY(it, struct fact, node);
        if (f->seq == seq)
            return f;
    }
    return NULL;
}

void fact_undo(struct store *s, tn_seq seq)
{
    struct facts *all = &s->facts;
    struct fact *made = standing_since(all, seq);
    if (made) {
        count(all, made, -1);
        fact_free(s, made);
    }
    struct fact *last = list_empty(&all->gone) ? NULL : LIST_ENTRY(all->gone.prev, struct fact, node);
    if (!last || last->gone_seq != seq)
        return;
    list_remove(&last->node);
    last->gone_seq = 0;
    last->cleared = false;
    enter(all, last);
}

/* ---- trimming ---- */

static struct fact *due(const struct facts *f, tn_seq before)
{
    struct fact *first = list_empty(&f->gone) ? NULL : LIST_ENTRY(f->gone.next, struct fact, node);
    return first && first->gone_seq < before ? first : NULL;
}

bool fact_trim_pending(const struct facts *f, tn_seq before)
{
    return due(f, before) != NULL;
}

tn_seq fact_trim(struct store *s, tn_seq before)
{
    struct fact *f = due(&s->facts, before);
    if (!f)
        return 0;
    tn_seq seq = f->seq;
    f->seq = 0;
    if (seq && f->cleared)
        return seq; /* the row that cleared it goes next */
    if (!seq)
        seq = f->gone_seq;
    fact_free(s, f);
    return seq;
}
