/* No key may be changed twice in one revision: two operations of a transaction that can both run must not put the same
 * key, nor one put what another deletes. The two branches of one nested transaction cannot both run, so they may share.
 * Deletes may overlap one another: the second finds nothing.
 *
 * The tree is walked once. What a branch changes lies at the end of two arrays, its puts and its deletes, sorted; each
 * is tagged with the operation of the branch that it comes from, and one sweep finds an overlap between different ones.
 * etcd overlooks a delete to the end of all keys, and one in a later nested transaction than the put; here these are
 * refused too, so a key has at most one version a revision.
 *
 * The requests are hostile input: each level merges runs that are sorted already, so the cost is at most operations
 * times the budget of operations, and memory is a fixed amount an operation.
 *
 * Failure modes: ETCD_DUPLICATE_KEY; no memory in the arena.
 */
#include "store/internal.h"

/* How far a change reaches: not to `end`, to `end` itself, or to the last key. A put reaches nowhere. */
enum reach_kind { REACH_BEFORE, REACH_TO, REACH_ALL };

struct change {
    bytes start, end;
    enum reach_kind reach;
    size_t op;
};

struct changes {
    struct change *at, *spare; /* room for all; spare for merging */
    size_t len;
};

struct walk {
    struct changes puts, deletes;
};

/* ---- sorting what is made of sorted runs ---- */

static bool starts_later(const struct change *a, const struct change *b)
{
    return bytes_compare(a->start, b->start) > 0;
}

static size_t run_end(const struct change *at, size_t from, size_t n)
{
    size_t i = from + 1;
    while (i < n && !starts_later(&at[i - 1], &at[i]))
        i++;
    return i < n ? i : n;
}

static void runs_merge(struct change *at, size_t middle, size_t n, struct change *spare)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < n; i++) {
        bool take_right = left == middle || (right < n && starts_later(&at[left], &at[right]));
        spare[i] = at[take_right ? right++ : left++];
    }
    memcpy(at, spare, n * sizeof *at);
}

static void runs_sort(struct change *at, size_t n, struct change *spare)
{
    while (n > 1 && run_end(at, 0, n) < n) {
        for (size_t from = 0; from < n;) {
            size_t middle = run_end(at, from, n);
            size_t end = middle < n ? run_end(at, middle, n) : n;
            if (middle < n)
                runs_merge(at + from, middle - from, end - from, spare);
            from = end;
        }
    }
}

/* ---- the sweep ---- */

static bool reaches_further(const struct change *a, const struct change *b)
{
    if (a->reach == REACH_ALL || b->reach == REACH_ALL)
        return a->reach > b->reach;
    int c = bytes_compare(a->end, b->end);
    return c != 0 ? c > 0 : a->reach > b->reach;
}

static bool reaches_over(const struct change *d, bytes key)
{
    if (d->reach == REACH_ALL)
        return true;
    int c = bytes_compare(key, d->end);
    return d->reach == REACH_TO ? c <= 0 : c < 0;
}

/* Among the deletes that begin so far: the one that reaches furthest, and the furthest of all other operations. */
struct front {
    const struct change *first, *second;
};

static void front_extend(struct front *f, const struct change *d)
{
    if (!f->first || reaches_further(d, f->first)) {
        if (f->first && f->first->op != d->op)
            f->second = f->first;
        f->first = d;
    } else if (d->op != f->first->op && (!f->second || reaches_further(d, f->second))) {
        f->second = d;
    }
}

static bool front_covers(const struct front *f, const struct change *put)
{
    const struct change *other = f->first && f->first->op != put->op ? f->first : f->second;
    return other && reaches_over(other, put->start);
}

static bool puts_repeat(const struct change *puts, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        if (bytes_equal(puts[i - 1].start, puts[i].start))
            return true;
    }
    return false;
}

static bool puts_meet_deletes(const struct change *puts, size_t n, const struct change *deletes, size_t n_deletes)
{
    struct front front = {0};
    size_t d = 0;
    for (size_t i = 0; i < n; i++) {
        while (d < n_deletes && bytes_compare(deletes[d].start, puts[i].start) <= 0)
            front_extend(&front, &deletes[d++]);
        if (front_covers(&front, &puts[i]))
            return true;
    }
    return false;
}

/* ---- the walk ---- */

static struct change change_of_delete(struct key_range r)
{
    if (key_range_is_single(r))
        return (struct change){.start = r.key, .end = r.key, .reach = REACH_TO};
    if (key_range_is_from(r))
        return (struct change){.start = r.key, .reach = REACH_ALL};
    return (struct change){.start = r.key, .end = r.range_end, .reach = REACH_BEFORE};
}

static void changes_add(struct changes *c, struct change change)
{
    c->at[c->len++] = change;
}

static void changes_tag(struct changes *c, size_t from, size_t op)
{
    for (size_t i = from; i < c->len; i++)
        c->at[i].op = op;
}

/* A key that both branches put counts once. */
static void puts_unite(struct changes *puts, size_t from)
{
    size_t kept = from;
    runs_sort(puts->at + from, puts->len - from, puts->spare);
    for (size_t i = from; i < puts->len; i++) {
        if (kept == from || !bytes_equal(puts->at[kept - 1].start, puts->at[i].start))
            puts->at[kept++] = puts->at[i];
    }
    puts->len = kept;
}

static bool branch_overlaps(struct walk *w, const struct request_op *ops, size_t n);

static bool nested_overlaps(struct walk *w, const struct txn_req *t)
{
    size_t from = w->puts.len;
    if (branch_overlaps(w, t->success, t->n_success) || branch_overlaps(w, t->failure, t->n_failure))
        return true;
    puts_unite(&w->puts, from);
    return false;
}

static bool op_overlaps(struct walk *w, const struct request_op *op)
{
    if (op->kind == OP_PUT)
        changes_add(&w->puts, (struct change){.start = op->put.key});
    else if (op->kind == OP_DELETE)
        changes_add(&w->deletes, change_of_delete(op->del.range));
    return op->kind == OP_TXN && nested_overlaps(w, op->txn);
}

static bool branch_overlaps(struct walk *w, const struct request_op *ops, size_t n)
{
    size_t puts = w->puts.len, deletes = w->deletes.len;
    for (size_t i = 0; i < n; i++) {
        size_t puts_before = w->puts.len, deletes_before = w->deletes.len;
        if (op_overlaps(w, &ops[i]))
            return true;
        changes_tag(&w->puts, puts_before, i);
        changes_tag(&w->deletes, deletes_before, i);
    }
    runs_sort(w->puts.at + puts, w->puts.len - puts, w->puts.spare);
    runs_sort(w->deletes.at + deletes, w->deletes.len - deletes, w->deletes.spare);
    return puts_repeat(w->puts.at + puts, w->puts.len - puts) ||
           puts_meet_deletes(w->puts.at + puts, w->puts.len - puts, w->deletes.at + deletes, w->deletes.len - deletes);
}

/* ---- memory ---- */

static size_t ops_count(const struct request_op *ops, size_t n, enum op_kind kind)
{
    size_t found = 0;
    for (size_t i = 0; i < n; i++) {
        found += ops[i].kind == kind;
        if (ops[i].kind == OP_TXN && kind != OP_TXN) {
            const struct txn_req *t = ops[i].txn;
            found += ops_count(t->success, t->n_success, kind) + ops_count(t->failure, t->n_failure, kind);
        }
    }
    return found;
}

static bool changes_alloc(struct changes *c, size_t n, struct arena *a)
{
    *c = (struct changes){.at = arena_array(a, n, sizeof *c->at), .spare = arena_array(a, n, sizeof *c->spare)};
    return c->at && c->spare;
}

/* At most one operation that changes something: nothing to compare, and no memory wanted. The common case. */
static bool branch_is_simple(const struct request_op *ops, size_t n)
{
    return ops_count(ops, n, OP_TXN) == 0 && ops_count(ops, n, OP_PUT) + ops_count(ops, n, OP_DELETE) <= 1;
}

static enum etcd_error check_branch(const struct request_op *ops, size_t n, struct arena *a)
{
    struct walk w;
    if (branch_is_simple(ops, n))
        return ETCD_OK;
    if (!changes_alloc(&w.puts, ops_count(ops, n, OP_PUT), a) ||
        !changes_alloc(&w.deletes, ops_count(ops, n, OP_DELETE), a))
        return ETCD_OUT_OF_MEMORY;
    return branch_overlaps(&w, ops, n) ? ETCD_DUPLICATE_KEY : ETCD_OK;
}

enum etcd_error check_overlap(const struct txn_req *req, struct arena *a)
{
    enum etcd_error e = check_branch(req->success, req->n_success, a);
    return e ? e : check_branch(req->failure, req->n_failure, a);
}
