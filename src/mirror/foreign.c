/* What others write below the prefix at the destination, where the mirror alone should: a watch tells it. It is said, and undone: the key is
 * made as the source had it at the record's revision.
 *
 * Ours is what changed in a revision in which the record did: these are remembered. What comes while a transaction is under way waits for
 * its answer; and what is undone goes by a transaction like all others, which compares the record, so that one that is
 * taken for foreign by mistake (it was given up, and came late) is found out before anything is written. Many changes are not
 * undone one by one: then everything is compared, not more often than each COMPARE_MS. So is what cannot be told, because the destination has
 * compacted it, or because it is too much at once. Not with --once, which compares everything anyway. */
#include "mirror/internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { CHANGES_MAX = 1024, ONE_BY_ONE = 64, PACE_MS = 50, COMPARE_MS = 10000, AGAIN_MS = 1000 };

/* ---- ours ---- */

void foreign_own(struct carrier *c, tn_rev revision)
{
    struct foreign *f = &c->foreign;
    tn_rev newest = f->n_ever ? f->own[(f->n_ever - 1) % OWN_MAX] : 0;
    if (newest == revision || revision == 0)
        return;
    if (newest > revision) /* the destination was put back to an older state */
        f->n_ever = f->n_own = 0;
    f->own[f->n_ever++ % OWN_MAX] = revision;
    f->n_own += f->n_own < OWN_MAX;
    if (f->seen == 0)
        f->seen = revision;
}

/* By halves: they grow. */
static bool is_own(const struct foreign *f, tn_rev revision)
{
    size_t low = f->n_ever - f->n_own, high = f->n_ever;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        tn_rev there = f->own[middle % OWN_MAX];
        if (there == revision)
            return true;
        if (there < revision)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- what came ---- */

static void forget(struct foreign *f, struct foreign_change *change)
{
    if (f->undone == change)
        f->undone = NULL;
    list_remove(&change->link);
    f->n--;
    free(change);
}

static void forget_all(struct foreign *f)
{
    LIST_FOREACH_SAFE(it, &f->changes)
    forget(f, LIST_ENTRY(it, struct foreign_change, link));
}

static void compare_all(struct carrier *c, bool say)
{
    forget_all(&c->foreign);
    c->foreign.too_many = true;
    c->foreign.says = c->foreign.says || say;
}

static void keep(struct carrier *c, const struct event *e)
{
    struct foreign *f = &c->foreign;
    struct foreign_change *change = f->n < CHANGES_MAX ? malloc(sizeof *change + e->kv.key.len) : NULL;
    if (!change) {
        compare_all(c, true);
        return;
    }
    *change = (struct foreign_change){.revision = e->kv.mod_revision};
    memcpy(change + 1, e->kv.key.data, e->kv.key.len);
    change->key = bytes_of((const uint8_t *)(change + 1), e->kv.key.len);
    list_init(&change->link);
    list_push_back(&f->changes, &change->link);
    f->n++;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct carrier *c = user;
    struct foreign *f = &c->foreign;
    bool is_known = f->n_ever > f->n_own; /* the ring has lost some: what is older cannot be told */
    for (size_t i = 0; i < e->n_events && !f->too_many; i++) {
        tn_rev revision = e->events[i].kv.mod_revision;
        if (is_known && revision < f->own[f->n_ever % OWN_MAX])
            compare_all(c, false);
        else if (revision > f->seen && !is_own(f, revision))
            keep(c, &e->events[i]);
    }
    f->seen = e->revision > f->seen ? e->revision : f->seen;
    if (f->n || f->too_many)
        carrier_asked(c); /* so that it runs */
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct carrier *c = user;
    struct foreign *f = &c->foreign;
    (void)compact_revision;
    f->ended = true;
    f->begin_at = carrier_now(c) + AGAIN_MS;
    if (code == TENURE_ECOMPACTED || code == TENURE_ELIMIT) {
        compare_all(c, code == TENURE_ELIMIT);
        f->seen = c->mod;
    } else {
        carrier_note(c, error);
    }
    carrier_asked(c);
}

/* ---- the watch ---- */

static void begin(struct carrier *c, tn_ms now)
{
    static const struct client_watch_callbacks callbacks = {.on_events = on_events, .on_end = on_end};
    struct foreign *f = &c->foreign;
    struct tenure_error err = {0};
    struct watch_create_req req = {.range = {buf_bytes(&c->to), buf_bytes(&c->to_end)},
                                   .start_revision = f->seen + 1,
                                   .progress_notify = true,
                                   .fragment = true};
    f->ended = false;
    f->watch = client_watch_start(c->destination, &req, &callbacks, c, now, &err);
    if (!f->watch)
        f->begin_at = now + AGAIN_MS; /* without memory, later */
    carrier_asked(c);
}

static void end(struct carrier *c, tn_ms now)
{
    if (c->foreign.watch)
        client_watch_stop(c->destination, c->foreign.watch, now);
    c->foreign.watch = NULL;
}

void foreign_stop(struct carrier *c, tn_ms now)
{
    struct foreign *f = &c->foreign;
    end(c, now);
    forget_all(f);
    f->too_many = f->says = false;
    f->seen = 0;
}

void foreign_restart(struct carrier *c, tn_ms now)
{
    foreign_stop(c, now);
    c->foreign.seen = c->mod;
}

static bool is_wanted(const struct carrier *c)
{
    return !c->k.once && c->foreign.seen && (c->step == STEP_COPY || c->step == STEP_FOLLOW);
}

void foreign_run(struct carrier *c, tn_ms now)
{
    struct foreign *f = &c->foreign;
    if (f->watch && f->ended)
        end(c, now);
    if (!f->watch && is_wanted(c) && now >= f->begin_at)
        begin(c, now);
}

tn_ms foreign_deadline(const struct carrier *c)
{
    const struct foreign *f = &c->foreign;
    tn_ms at = is_wanted(c) && !f->watch ? f->begin_at : TN_MS_NEVER;
    bool waits = c->step == STEP_FOLLOW && !c->op && !c->rec.part && (f->n || f->too_many);
    return waits && f->next_at < at ? f->next_at : at;
}

/* ---- undone ---- */

static void say(struct carrier *c, bytes key)
{
    struct tenure_error err;
    error_set(
        &err, TENURE_ECONFLICT,
        "somebody else wrote at the destination, where this mirror alone should: %.*s%s; it is made as the source has it",
        (int)bytes_utf8_cut(key, 128), (const char *)key.data, key.data == c->to.data ? "\xe2\x80\xa6" : "");
    carrier_note(c, &err);
}

/* Nothing was carried out since it was asked: the record is what it was. */
static void on_source(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    const struct foreign_change *change = c->foreign.undone;
    tn_lease lease = 0;
    tn_ms now = carrier_now(c);
    if (r->code == TENURE_ECOMPACTED)
        compare_all(c, true);
    else if (carrier_failed(c, r->code, r->error, now))
        return;
    const struct kv *kv = r->code == 0 && r->range->n_kvs ? &r->range->kvs[0] : NULL;
    if (r->code || !change || (kv && !leases_map(c, kv->lease, &lease, now))) {
        carrier_go_on(c, now); /* a lease was asked for: then once more */
        return;
    }
    batch_begin(c);
    bytes key = arena_copy(&c->batch.arena, change->key);
    say(c, change->key);
    if (kv ? batch_put(c, key, kv->value, lease) : batch_delete(c, key))
        batch_commit(c, now);
}

static void drop_own(struct foreign *f)
{
    LIST_FOREACH_SAFE(it, &f->changes)
    {
        struct foreign_change *change = LIST_ENTRY(it, struct foreign_change, link);
        if (is_own(f, change->revision))
            forget(f, change);
    }
}

static void ask(struct carrier *c, struct foreign_change *change, tn_ms now)
{
    struct tenure_error err = {0};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    struct buf key;
    buf_init(&key);
    buf_append_bytes(&key, buf_bytes(&c->prefix));
    buf_append_bytes(&key, carrier_rest(change->key, &c->to));
    struct range_req req = {.range = {.key = buf_bytes(&key)}, .revision = c->rec.revision};
    int rc = buf_error(&key);
    if (rc == 0)
        rc = op_range(&c->op, c->source, &req, &o, on_source, c, now, &err);
    buf_fini(&key);
    if (!carrier_failed(c, rc, &err, now))
        c->foreign.undone = change;
}

bool foreign_undo(struct carrier *c, tn_ms now)
{
    struct foreign *f = &c->foreign;
    f->undone = NULL;
    drop_own(f);
    if (f->n > ONE_BY_ONE)
        compare_all(c, true);
    if (c->rec.part || now < f->next_at || (!f->n && !f->too_many))
        return false;
    f->next_at = now + (f->too_many ? COMPARE_MS : PACE_MS);
    if (!f->too_many) {
        ask(c, LIST_ENTRY(f->changes.next, struct foreign_change, link), now);
        return true;
    }
    if (f->says)
        say(c, buf_bytes(&c->to));
    c->compare_all = true;
    follow_end(c, now);
    carrier_move(c, STEP_LOOK);
    return true;
}

void foreign_undone(struct carrier *c)
{
    struct foreign *f = &c->foreign;
    struct foreign_change *undone = f->undone;
    if (!undone)
        return;
    LIST_FOREACH_SAFE(it, &f->changes)
    {
        struct foreign_change *change = LIST_ENTRY(it, struct foreign_change, link);
        if (change != undone && bytes_equal(change->key, undone->key) && change->revision < c->mod)
            forget(f, change);
    }
    forget(f, undone);
}
