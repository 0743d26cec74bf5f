/* Rows in and out of the two tables. Adding a row is the only step that can fail, in auth_reserve, before anything has
 * changed: undo and commit find their room.
 *
 * Why they do. The planned tables lose places only by rows that are undone last, in the opposite order. The durable ones
 * are as long as they are, plus at most one place for each planned row, which was reserved when that was planned.
 */
#include "store/auth_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "tenure/error.h"

void auth_init(struct auth *a)
{
    memset(a, 0, sizeof *a);
    list_init(&a->planned_rows);
    list_init(&a->garbage);
    a->view[STORE_PLANNED].revision = a->view[STORE_DURABLE].revision = AUTH_FIRST_REVISION;
}

static void free_rows(struct list *rows)
{
    LIST_FOREACH_SAFE(it, rows)
    {
        auth_row_free(LIST_ENTRY(it, struct auth_row, node));
    }
}

static void free_table(struct auth_table *t, bool with_rows)
{
    for (size_t i = 0; with_rows && i < t->len; i++)
        auth_row_free(t->at[i]);
    free(t->at);
}

void auth_fini(struct auth *a)
{
    struct auth_view *durable = &a->view[STORE_DURABLE], *planned = &a->view[STORE_PLANNED];
    free_rows(&a->planned_rows);
    free_rows(&a->garbage);
    auth_row_free(durable->on);
    free_table(&durable->users, true);
    free_table(&durable->roles, true);
    free_table(&planned->users, false);
    free_table(&planned->roles, false);
    auth_init(a);
}

/* ---- a table ---- */

static size_t place_of(const struct auth_table *t, bytes name)
{
    size_t from = 0, to = t->len;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (bytes_compare(t->at[middle]->name, name) < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return from;
}

static bool is_at(const struct auth_table *t, size_t i, bytes name)
{
    return i < t->len && bytes_equal(t->at[i]->name, name);
}

const struct auth_row *auth_find(const struct auth_table *t, bytes name)
{
    size_t i = place_of(t, name);
    return is_at(t, i, name) ? t->at[i] : NULL;
}

static int table_reserve(struct auth_table *t, size_t more)
{
    if (t->cap - t->len >= more)
        return 0;
    size_t cap = t->len + more < 16 ? 16 : 2 * (t->len + more);
    struct auth_row **at = realloc(t->at, cap * sizeof *at);
    if (!at)
        return TENURE_ENOMEM;
    t->at = at;
    t->cap = cap;
    return 0;
}

/* Sets what stands under the name, NULL: nothing; answers what stood there. */
static struct auth_row *table_set(struct auth_table *t, bytes name, struct auth_row *r)
{
    size_t i = place_of(t, name);
    struct auth_row *old = is_at(t, i, name) ? t->at[i] : NULL;
    if (old && r) {
        t->at[i] = r;
    } else if (old) {
        t->len--;
        memmove(t->at + i, t->at + i + 1, (t->len - i) * sizeof(struct auth_row *));
    } else if (r) {
        assert(t->len < t->cap);
        memmove(t->at + i + 1, t->at + i, (t->len - i) * sizeof(struct auth_row *));
        t->at[i] = r;
        t->len++;
    }
    return old;
}

static struct auth_table *table_of(struct auth_view *v, enum record_kind kind)
{
    return kind == RECORD_AUTH_USER ? &v->users : &v->roles;
}

/* The same over all three kinds. */
static struct auth_row *view_set(struct auth_view *v, enum record_kind kind, bytes name, struct auth_row *r)
{
    if (kind != RECORD_AUTH_SWITCH)
        return table_set(table_of(v, kind), name, r);
    struct auth_row *old = v->on;
    v->on = r;
    return old;
}

/* ---- planning ---- */

int auth_reserve(struct auth *a, enum record_kind kind)
{
    if (kind == RECORD_AUTH_SWITCH)
        return 0;
    int rc = table_reserve(table_of(&a->view[STORE_PLANNED], kind), 1);
    return rc ? rc : table_reserve(table_of(&a->view[STORE_DURABLE], kind), a->n_planned + 1);
}

void auth_plan(struct auth *a, struct auth_row *r)
{
    struct auth_view *v = &a->view[STORE_PLANNED];
    r->revision_before = v->revision;
    r->seq_before = v->seq;
    r->before = view_set(v, r->kind, r->name, r->gone ? NULL : r);
    v->revision = r->revision;
    v->seq = r->seq;
    list_push_back(&a->planned_rows, &r->node);
    a->n_planned++;
    a->data_bytes += r->data_len;
}

int64_t auth_undo(struct auth *a, struct auth_row *r)
{
    int64_t memory = auth_row_memory(r);
    struct auth_view *v = &a->view[STORE_PLANNED];
    assert(a->planned_rows.prev == &r->node);
    view_set(v, r->kind, r->name, r->before);
    v->revision = r->revision_before;
    v->seq = r->seq_before;
    a->n_planned--;
    a->data_bytes -= r->data_len;
    auth_row_free(r);
    return memory;
}

/* ---- what became durable, and what that leaves behind ---- */

static int64_t throw_away(struct auth *a, struct auth_row *r)
{
    int64_t memory = auth_row_memory(r);
    a->data_bytes -= r->data_len;
    explicit_bzero(r->data, r->data_len);
    free(r->data);
    r->data = NULL;
    r->data_len = 0;
    r->name = r->value = bytes_of(NULL, 0);
    list_push_back(&a->garbage, &r->node);
    a->n_garbage++;
    return memory - auth_row_memory(r);
}

int64_t auth_commit(struct auth *a, struct auth_row *r)
{
    int64_t less = 0;
    struct auth_view *v = &a->view[STORE_DURABLE];
    assert(a->planned_rows.next == &r->node);
    list_remove(&r->node);
    a->n_planned--;
    r->before = NULL;
    struct auth_row *old = view_set(v, r->kind, r->name, r->gone ? NULL : r);
    if (r->kind == RECORD_AUTH_SWITCH && r->enabled)
        a->enabled_since = r->seq;
    v->revision = r->revision;
    v->seq = r->seq;
    a->changes++;
    if (old)
        less += throw_away(a, old);
    if (r->gone) /* behind what it deletes: the log never shows a deleted user as standing */
        less += throw_away(a, r);
    return less;
}

/* The newest row stays whatever it is: it tells the auth revision. */
static struct auth_row *garbage_due(const struct auth *a, tn_seq before)
{
    if (list_empty(&a->garbage))
        return NULL;
    struct auth_row *r = LIST_ENTRY(a->garbage.next, struct auth_row, node);
    return r->seq < before && r->seq < a->view[STORE_DURABLE].seq ? r : NULL;
}

bool auth_trim_pending(const struct auth *a, tn_seq before)
{
    return garbage_due(a, before) != NULL;
}

tn_seq auth_trim(struct auth *a, tn_seq before)
{
    struct auth_row *r = garbage_due(a, before);
    if (!r)
        return 0;
    tn_seq seq = r->seq;
    a->n_garbage--;
    auth_row_free(r);
    return seq;
}

bool auth_garbage_since(const struct auth *a, tn_seq compacted, size_t n_min)
{
    if (a->n_garbage < n_min)
        return false;
    return LIST_ENTRY(a->garbage.next, struct auth_row, node)->seq > compacted;
}
