/* See judge.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/judge.h"

static void PRINTF_LIKE(3, 4) wrong(struct judge *j, int rule, const char *format, ...)
{
    va_list args;
    char text[160];
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    court_wrong(j->court, rule, "W%d: %s (watch of \"%.*s\" from %" PRId64 ", told up to %" PRId64 ")", rule, text,
                (int)j->asked.range.key.len, (const char *)j->asked.range.key.data, j->start, j->told);
}

void court_wrong(struct court *c, int rule, const char *format, ...)
{
    va_list args;
    if (c->verdicts.wrong[rule]++ > 0)
        return;
    va_start(args, format);
    vsnprintf(c->verdicts.text[rule], sizeof c->verdicts.text[rule], format, args);
    va_end(args);
}

uint64_t verdicts_wrong(const struct verdicts *v)
{
    uint64_t n = 0;
    for (int i = 0; i < JUDGE_RULES; i++)
        n += v->wrong[i];
    return n;
}

void court_init(struct court *c)
{
    *c = (struct court){0};
    history_init(&c->history);
}

void court_fini(struct court *c)
{
    history_fini(&c->history);
    free(c->compactions);
}

void court_compaction(struct court *c, tn_rev revision)
{
    if (c->n_compactions == c->room) {
        c->room = c->room ? 2 * c->room : 64;
        c->compactions = realloc(c->compactions, c->room * sizeof c->compactions[0]);
        if (!c->compactions)
            abort();
    }
    c->compactions[c->n_compactions++] = revision;
}

static tn_rev compacted(const struct judge *j)
{
    return j->court->n_compactions ? j->court->compactions[j->court->n_compactions - 1] : 0;
}

static bool is_compaction(const struct judge *j, tn_rev revision)
{
    for (size_t i = j->court->n_compactions; i > 0 && j->court->compactions[i - 1] >= revision; i--) {
        if (j->court->compactions[i - 1] == revision)
            return true;
    }
    return false;
}

void judge_begin(struct judge *j, const struct watch_create_req *asked)
{
    j->asked = *asked;
    j->created = j->open = j->over = false;
    j->start = asked->start_revision;
    j->told = j->start > 0 ? j->start - 1 : 0;
    j->last_event = j->progress = 0;
    j->at = j->part = 0;
}

tn_rev judge_resume(const struct judge *j)
{
    return j->open ? j->told : j->told + 1;
}

static bool wanted(const struct judge *j, const struct fact *f)
{
    if (f->is_delete ? j->asked.no_delete : j->asked.no_put)
        return false;
    return key_range_contains(j->asked.range, j->court->history.keys[f->key]);
}

static bool may_be_lost(const struct judge *j, const struct fact *f)
{
    return j->court->deletes_may_be_lost && f->is_delete && is_compaction(j, f->revision);
}

/* Nothing that was wanted lies between what was told and the fact `to`. rule: what it is if something does. */
static void pass_over(struct judge *j, size_t to, int rule)
{
    size_t begin = history_find(&j->court->history, j->start);
    if (j->at < begin)
        j->at = begin;
    for (; j->at < to; j->at++) {
        const struct fact *f = &j->court->history.facts[j->at];
        if (!wanted(j, f))
            continue;
        if (may_be_lost(j, f)) {
            j->court->verdicts.deletes_lost++;
            continue;
        }
        bytes key = j->court->history.keys[f->key];
        wrong(j, rule, "%s of \"%.*s\" at revision %" PRId64 " was not told", f->is_delete ? "the delete" : "the put",
              (int)key.len, (const char *)key.data, f->revision);
    }
}

/* ---- one event ---- */

static void judge_prev(struct judge *j, const struct event *e, const struct fact *f)
{
    const struct fact *before = f->before >= 0 ? &j->court->history.facts[f->before] : NULL;
    const struct kv *p = &e->prev_kv;
    bool was = before && !before->is_delete;
    if (!e->has_prev_kv) {
        if (was && j->asked.prev_kv && f->revision - 1 >= compacted(j))
            wrong(j, 8, "the event at revision %" PRId64 " has no value before it", f->revision);
        j->court->verdicts.without_prev += was && j->asked.prev_kv;
    } else if (!was || p->mod_revision != before->revision || p->create_revision != before->create_revision ||
               p->version != before->version || p->lease != before->lease || history_hash(p->value) != before->value) {
        wrong(j, 8, "the event at revision %" PRId64 " has another value before it", f->revision);
    }
}

static void judge_content(struct judge *j, const struct event *e, const struct fact *f)
{
    const struct kv *kv = &e->kv;
    if ((e->type == EVENT_DELETE) != f->is_delete)
        wrong(j, 5, "the event at revision %" PRId64 " is of another kind", f->revision);
    else if (!f->is_delete && (kv->create_revision == kv->mod_revision) != (f->create_revision == f->revision))
        wrong(j, 9, "whether the put at revision %" PRId64 " creates its key", f->revision);
    else if (!f->is_delete && (kv->create_revision != f->create_revision || kv->version != f->version ||
                               kv->lease != f->lease || history_hash(kv->value) != f->value))
        wrong(j, 5, "the put at revision %" PRId64 " is another one", f->revision);
    judge_prev(j, e, f);
}

/* The fact that the event tells of, at its revision; NULL: there is none. */
static const struct fact *fact_of(const struct judge *j, const struct event *e, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        const struct fact *f = &j->court->history.facts[i];
        if (bytes_equal(j->court->history.keys[f->key], e->kv.key))
            return f;
    }
    return NULL;
}

static bool repeats(const struct event *events, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (bytes_equal(events[k].kv.key, events[i].kv.key))
            return true;
    }
    return false;
}

/* ---- one revision ---- */

/* False: it is out of place, and says nothing further. */
static bool in_place(struct judge *j, tn_rev revision, bool continues)
{
    if (revision < j->start) {
        wrong(j, 10, "revision %" PRId64 " is older than what was asked for", revision);
    } else if (revision <= j->progress) {
        wrong(j, 7, "revision %" PRId64 " comes behind a notice of progress to %" PRId64, revision, j->progress);
    } else if (revision < j->last_event) {
        wrong(j, 2, "revision %" PRId64 " comes behind %" PRId64, revision, j->last_event);
    } else if (revision == j->last_event && !continues) {
        wrong(j, 4, "revision %" PRId64 " is told in two responses", revision);
    } else {
        return true;
    }
    return false;
}

static size_t wanted_between(const struct judge *j, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += wanted(j, &j->court->history.facts[i]);
    return n;
}

static size_t lost_between(const struct judge *j, size_t from, size_t to)
{
    size_t n = 0;
    for (size_t i = from; i < to; i++)
        n += wanted(j, &j->court->history.facts[i]) && may_be_lost(j, &j->court->history.facts[i]);
    return n;
}

/* Whether all that was wanted of a revision was told. */
static void judge_whole(struct judge *j, tn_rev revision, size_t told)
{
    size_t from = history_find(&j->court->history, revision), to = history_find(&j->court->history, revision + 1);
    size_t all = wanted_between(j, from, to);
    if (told < all && told + lost_between(j, from, to) < all)
        wrong(j, 4, "of revision %" PRId64 " %zu of %zu changes were told", revision, told, all);
    else if (told < all)
        j->court->verdicts.deletes_lost += all - told;
    else if (told > all)
        wrong(j, 3, "of revision %" PRId64 " %zu changes were told, and there are %zu", revision, told, all);
}

static bool judge_event(struct judge *j, const struct event *events, size_t i, size_t from, size_t to)
{
    const struct event *e = &events[i];
    const struct fact *f = fact_of(j, e, from, to);
    const char *what = !f                   ? "was not changed"
                       : !wanted(j, f)      ? "was not asked for"
                       : repeats(events, i) ? "is told twice"
                                            : NULL;
    if (what)
        wrong(j,
              !f              ? 5
              : !wanted(j, f) ? 1
                              : 3,
              "revision %" PRId64 ": \"%.*s\" %s", e->kv.mod_revision, (int)e->kv.key.len, (const char *)e->kv.key.data,
              what);
    else
        judge_content(j, e, f);
    return !what;
}

/* continued: the response before was a fragment that may have begun this revision; part: this one is, and may go on with it. */
static void judge_revision(struct judge *j, const struct event *events, size_t n, bool continued, bool part)
{
    tn_rev revision = events[0].kv.mod_revision;
    bool goes_on = continued && revision == j->last_event;
    if (!in_place(j, revision, continued))
        return;
    size_t from = history_find(&j->court->history, revision), to = history_find(&j->court->history, revision + 1);
    size_t told = goes_on ? j->part : 0;
    if (!goes_on)
        pass_over(j, from, j->last_event == 0 ? 6 : 5);
    for (size_t i = 0; i < n; i++)
        told += judge_event(j, events, i, from, to);
    if (!part)
        judge_whole(j, revision, told);
    j->part = told;
    j->at = to;
    j->last_event = j->told = revision;
}

/* ---- one response ---- */

static void judge_events(struct judge *j, const struct watch_resp *r)
{
    bool continued = j->open;
    if (continued && r->events[0].kv.mod_revision != j->last_event)
        judge_whole(j, j->last_event, j->part);
    for (size_t i = 0, n; i < r->n_events; i += n) {
        for (n = 1; i + n < r->n_events && r->events[i + n].kv.mod_revision == r->events[i].kv.mod_revision;)
            n++;
        judge_revision(j, &r->events[i], n, continued && i == 0, r->fragment && i + n == r->n_events);
    }
    j->open = r->fragment;
    j->court->verdicts.events += r->n_events;
}

static void judge_progress(struct judge *j, tn_rev revision)
{
    j->court->verdicts.progress++;
    if (revision < j->progress)
        wrong(j, 7, "progress goes back from %" PRId64 " to %" PRId64, j->progress, revision);
    if (revision < j->start - 1)
        return; /* of a watch that begins in the future: it says nothing of it */
    pass_over(j, history_find(&j->court->history, revision + 1), 13);
    if (revision > j->progress)
        j->progress = revision;
    if (revision > j->told)
        j->told = revision;
}

static void judge_created(struct judge *j, const struct watch_resp *r)
{
    if (j->start <= 0) {
        j->start = r->header.revision + 1;
        j->told = r->header.revision;
    }
    j->created = true;
}

static void judge_end(struct judge *j, const struct watch_resp *r)
{
    j->over = true;
    if (r->compact_revision == 0)
        return;
    j->court->verdicts.compacted++;
    if (r->compact_revision > compacted(j))
        wrong(j, 6, "it is said to be compacted to %" PRId64 ", which nobody asked for", r->compact_revision);
    if (r->compact_revision <= j->told)
        wrong(j, 6, "a compaction to %" PRId64 " ended it, which takes nothing of it", r->compact_revision);
}

void judge_response(struct judge *j, const struct watch_resp *r)
{
    j->court->verdicts.responses++;
    if (j->over && r->n_events > 0)
        wrong(j, 1, "events come behind its end");
    if (j->over)
        return;
    if (r->created)
        judge_created(j, r);
    if (r->n_events > 0)
        judge_events(j, r);
    else if (r->canceled)
        judge_end(j, r);
    else if (!r->created)
        judge_progress(j, r->header.revision);
}
