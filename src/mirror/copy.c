/* The exact difference: a range of both sides side by side, the source's at one revision, in the order of the keys.
 *
 * Nobody else writes at the destination, and what lies behind the last key that was compared is not touched: so its pages may be of any
 * revision. Each transaction says in the record up to which key all is as the source had it; whoever goes on begins there, as
 * long as the source has that revision. When it has compacted it the whole begins anew: what is right already costs no write.
 *
 * At the end the record says that revision, and the watch begins with it. */
#include "mirror/internal.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/crc32c.h"

enum { PAGE_MS = 20000 };

/* ---- before: is it the same history? ---- */

static void to_copy_or_follow(struct carrier *c)
{
    bool half = c->rec.at && c->rec.cursor.len && !c->compare_all && c->rec.at >= c->leaving;
    bool done = c->rec.revision && !c->rec.at && !c->compare_all && !c->k.once && !c->leaving;
    c->state = done ? CARRIER_FOLLOWING : CARRIER_COPYING;
    c->told = c->rec.revision;
    carrier_move(c, done ? STEP_FOLLOW : half ? STEP_COPY : STEP_COUNT);
    if (half)
        batch_begin(c);
}

static bool is_same(const struct record *r, const struct range_resp *range)
{
    if (range->n_kvs != 1 || range->kvs[0].mod_revision != r->check_mod)
        return false;
    bytes v = range->kvs[0].value;
    return (int64_t)crc32c(0, v.data, v.len) == r->check_crc;
}

static void on_checked(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    struct tenure_error err;
    tn_ms now = carrier_now(c);
    if (r->code != TENURE_ECOMPACTED && carrier_failed(c, r->code, r->error, now))
        return;
    bool other = r->code == 0 && !is_same(&c->rec, r->range);
    if (other && !c->k.replace) {
        error_set(
            &err, TENURE_ECONFLICT,
            "revision %" PRId64
            " of the source is another one than was copied: its history was restored or replaced; --replace makes "
            "the copy as the source is now",
            c->rec.check_mod);
        carrier_end(c, CARRIER_REFUSED, &err, now);
        return;
    }
    c->compare_all = c->compare_all || other;
    to_copy_or_follow(c);
    carrier_go_on(c, now);
}

/* What a server has refused may be refused for ever: whoever asks for the status reads of it all the same. */
static bool is_untold(const struct carrier *c)
{
    bool passes = c->error.code == TENURE_EUNAVAILABLE || c->error.code == TENURE_ETIMEOUT;
    return c->error.code && !passes && c->rec.error_ms != c->error_wall;
}

void copy_check(struct carrier *c, tn_ms now)
{
    struct tenure_error err = {0};
    if (is_untold(c)) {
        batch_begin(c);
        batch_commit(c, now);
        return;
    }
    struct range_req req = {.range = {.key = record_key_bytes(&c->rec.check)}, .revision = c->rec.check_mod};
    struct client_call_options o = {.timeout_ms = CALL_MS};
    if (c->compare_all || c->rec.check_mod == 0 || c->rec.check.len == 0) {
        to_copy_or_follow(c);
        return;
    }
    carrier_failed(c, op_range(&c->op, c->source, &req, &o, on_checked, c, now, &err), &err, now);
}

/* ---- how many ---- */

static struct range_req all_of(const struct buf *prefix, const struct buf *end)
{
    return (struct range_req){.range = {buf_bytes(prefix), buf_bytes(end)}};
}

static void on_counted(void *owner, const struct client_result *r)
{
    struct carrier *c = owner;
    tn_ms now = carrier_now(c);
    if (carrier_failed(c, r->code, r->error, now))
        return;
    batch_begin(c);
    struct record *a = &c->batch.after;
    a->at = r->header.revision;
    a->cursor.len = 0;
    a->part = a->keys = 0;
    a->total = r->range->count;
    c->compare_all = false;
    carrier_move(c, STEP_COPY);
    carrier_go_on(c, now);
}

void copy_count(struct carrier *c, tn_ms now)
{
    struct tenure_error err = {0};
    struct range_req req = all_of(&c->prefix, &c->prefix_end);
    req.count_only = true;
    copy_stop(c, now);
    foreign_restart(c, now);
    carrier_failed(c, op_range(&c->op, c->source, &req, NULL, on_counted, c, now, &err), &err, now);
}

/* ---- pages ---- */

/* The client answers a page that was given up later, when the carrier may be gone. */
struct page_call {
    struct side *side; /* NULL: given up */
};

static void side_reset(struct side *s, tn_ms now)
{
    if (s->asked)
        s->asked->side = NULL;
    s->asked = NULL;
    s->pager = client_pager_free(s->pager, now);
    s->n = s->i = 0;
    s->at_end = false;
}

void copy_stop(struct carrier *c, tn_ms now)
{
    side_reset(&c->from, now);
    side_reset(&c->into, now);
}

static int side_open(struct carrier *c, struct side *s, bool source, struct tenure_error *err)
{
    struct buf from;
    const struct buf *prefix = source ? &c->prefix : &c->to;
    struct client_pager_options o = {.range = all_of(prefix, source ? &c->prefix_end : &c->to_end)};
    const struct record_key *cursor = &c->batch.after.cursor;
    buf_init(&from);
    buf_append_bytes(&from, buf_bytes(prefix));
    if (cursor->len) {
        buf_append_bytes(&from, record_key_bytes(cursor));
        buf_append_byte(&from, 0);
    }
    o.range.range.key = buf_bytes(&from);
    o.range.revision = source ? c->batch.after.at : 0;
    int rc = buf_error(&from);
    if (rc == 0)
        rc = client_pager_new(source ? c->source : c->destination, &o, &s->pager, err);
    buf_fini(&from);
    return rc;
}

static bool keep_page(struct side *s, const struct range_resp *r)
{
    arena_reset(&s->arena);
    s->kvs = arena_array(&s->arena, r->n_kvs ? r->n_kvs : 1, sizeof *s->kvs);
    for (size_t i = 0; s->kvs && i < r->n_kvs; i++) {
        s->kvs[i] = r->kvs[i];
        s->kvs[i].key = arena_copy(&s->arena, r->kvs[i].key);
        s->kvs[i].value = arena_copy(&s->arena, r->kvs[i].value);
        if (!s->kvs[i].key.data || !s->kvs[i].value.data)
            return false;
    }
    s->n = r->n_kvs;
    s->i = 0;
    return s->kvs != NULL;
}

static void on_page(void *user, const struct client_result *r)
{
    struct page_call *call = user;
    struct side *s = call->side;
    struct tenure_error err;
    free(call);
    if (!s)
        return;
    struct carrier *c = s->carrier;
    tn_ms now = carrier_now(c);
    s->asked = NULL;
    if (r->code == TENURE_ECOMPACTED && s == &c->from)
        c->compare_all = true;
    if (carrier_failed(c, r->code, r->error, now))
        return;
    if (!keep_page(s, r->range)) {
        error_set(&err, TENURE_ENOMEM, "out of memory");
        carrier_retry(c, &err, now);
        return;
    }
    s->at_end = client_pager_at_end(s->pager);
    carrier_go_on(c, now);
}

static int ask_page(struct side *s, tn_ms now, struct tenure_error *err)
{
    struct client_call_options o = {.timeout_ms = PAGE_MS};
    struct page_call *call = malloc(sizeof *call);
    if (!call)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    call->side = s;
    int rc = client_pager_next(s->pager, &o, on_page, call, now, err);
    if (rc)
        free(call);
    else
        s->asked = call;
    return rc;
}

/* Whether the next key of that side is known, or that there is none. */
static bool have(struct carrier *c, struct side *s, bool source, tn_ms now)
{
    struct tenure_error err = {0};
    if (s->asked)
        return false;
    if (s->i < s->n || (s->at_end && s->pager))
        return true;
    int rc = s->pager ? 0 : side_open(c, s, source, &err);
    if (rc == 0)
        rc = ask_page(s, now, &err);
    carrier_failed(c, rc, &err, now);
    return false;
}

/* ---- key by key ---- */

static void no_memory(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    error_set(&err, TENURE_ENOMEM, "out of memory");
    carrier_retry(c, &err, now);
}

/* The next key of either side, in order. */
struct pair {
    const struct kv *from, *into; /* NULL: that side does not have it */
    bytes rest;                   /* behind the prefix */
};

static struct pair next_pair(const struct carrier *c)
{
    struct pair p = {.from = c->from.i < c->from.n ? &c->from.kvs[c->from.i] : NULL,
                     .into = c->into.i < c->into.n ? &c->into.kvs[c->into.i] : NULL};
    bytes a = p.from ? carrier_rest(p.from->key, &c->prefix) : (bytes){NULL, 0};
    bytes b = p.into ? carrier_rest(p.into->key, &c->to) : (bytes){NULL, 0};
    int order = p.from && p.into ? bytes_compare(a, b) : p.from ? -1 : 1;
    p.rest = order <= 0 ? a : b;
    if (order < 0)
        p.into = NULL;
    if (order > 0)
        p.from = NULL;
    return p;
}

/* 1: done; 0: come again, a call was begun; -1: out of memory. */
static int take_pair(struct carrier *c, const struct pair *p, tn_ms now)
{
    tn_lease lease = 0;
    if (p->from && !leases_map(c, p->from->lease, &lease, now))
        return 0;
    bool same = p->from && p->into && bytes_equal(p->from->value, p->into->value) && p->into->lease == lease;
    bool good = true;
    if (p->from && !same)
        good = batch_put(c, carrier_map(c, &c->batch.arena, p->from->key), p->from->value, lease);
    else if (!p->from)
        good = batch_delete(c, arena_copy(&c->batch.arena, p->into->key));
    if (!good)
        return -1;
    if (p->from) {
        c->batch.after.keys++;
        c->from.i++;
        batch_note_check(c, p->from);
    }
    c->into.i += p->into != NULL;
    record_key_set(&c->batch.after.cursor, p->rest);
    return 1;
}

/* All that was there at the revision is here. */
static void finish(struct carrier *c, tn_ms now)
{
    struct record *a = &c->batch.after;
    a->revision = a->at;
    a->at = a->part = 0;
    a->cursor.len = 0;
    batch_commit(c, now);
}

static void copied(struct carrier *c, tn_ms now)
{
    copy_stop(c, now);
    c->told = c->rec.revision;
    c->progress = 0;
    if (c->k.once) {
        carrier_end(c, CARRIER_DONE, NULL, now);
        return;
    }
    c->state = CARRIER_FOLLOWING;
    carrier_move(c, c->leaving ? STEP_LOOK : STEP_FOLLOW);
}

static bool is_finished(const struct carrier *c)
{
    return c->rec.revision && c->rec.at == 0 && c->batch.after.seq == c->rec.seq && c->rec.writer == c->k.writer;
}

/* The batch that was sent is in the record: the next one begins where it ends. */
static void begin_next(struct carrier *c)
{
    if (c->batch.after.seq == c->rec.seq && c->rec.writer == c->k.writer)
        batch_begin(c);
}

void copy_go_on(struct carrier *c, tn_ms now)
{
    c->state = CARRIER_COPYING;
    if (is_finished(c)) {
        copied(c, now);
        return;
    }
    begin_next(c);
    while (have(c, &c->from, true, now) && have(c, &c->into, false, now)) {
        struct pair p = next_pair(c);
        if (!p.from && !p.into) {
            finish(c, now);
            return;
        }
        size_t more = p.rest.len + (p.from ? p.from->value.len : 0);
        if (!batch_takes(c, 1, more) || now - c->written_at >= c->k.heartbeat_ms) {
            batch_commit(c, now);
            return;
        }
        int rc = take_pair(c, &p, now);
        if (rc < 0)
            no_memory(c, now);
        if (rc <= 0)
            return;
    }
}
