/* The source's events, revision by revision into the store.
 *
 * The watch begins at the revision that is the newest here, not behind it: so a source that is compacted right there says so, and
 * what it tells of that revision must be what is here, or its history is another one. From then on each revision must be the next. Over
 * another connection it goes on in the same way: an old etcd leaves out deletes of the very revision that it is compacted to.
 *
 * Of some keys alone: what others have changed is passed over, and told says how far.
 *
 * Where users judge reads, nothing is taken while these are old (users.c): the watch ends, and begins anew behind the next look.
 *
 * Failure: too much waits for the disk, or rows were undone: the watch ends and begins anew from what is here, after a pause that grows
 * while nothing comes of it. The source has compacted what we miss: LOST. What does not fit: REFUSED.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "replica/internal.h"

enum { RETRY_MS = 50, RETRY_MS_MAX = 5000 };

/* A source is not asked twenty times a second for what a full disk does not take. */
static tn_ms next_try(struct follower *f, tn_ms now)
{
    bool grew = store_revision(f->store) > f->reached;
    f->pause_ms = grew || f->pause_ms == 0 ? RETRY_MS : 2 * f->pause_ms < RETRY_MS_MAX ? 2 * f->pause_ms : RETRY_MS_MAX;
    f->reached = store_revision(f->store);
    return now + f->pause_ms;
}

static void end_feed(struct follower *f, tn_ms now)
{
    if (!f->feed.ended)
        f->feed.retry_at = next_try(f, now);
    f->feed.ended = true;
}

void feed_compare(struct follower *f, tn_rev revision)
{
    bool is_there = f->feed.watch && !f->feed.ended && f->feed.lives &&
                    (store_revision(f->store) >= revision || (f->config.n_parts && f->feed.told >= revision));
    if (is_there)
        f->feed_error = (struct tenure_error){0};
}

/* ---- the revision that is here already ---- */

static bool same(const struct kv *a, const struct kv *b)
{
    return a->mod_revision == b->mod_revision && a->create_revision == b->create_revision && a->version == b->version &&
           a->lease == b->lease && bytes_equal(a->value, b->value);
}

/* Whether the event is what is here at its revision; what cannot be read any more, or not yet, counts as such. */
static bool is_here(struct follower *f, const struct event *e)
{
    struct arena a;
    struct range_resp resp;
    struct range_req req = {.range = {.key = e->kv.key}, .revision = e->kv.mod_revision};
    arena_init(&a, 0);
    bool fits = true;
    if (store_range(f->store, &req, &a, &resp) == ETCD_OK)
        fits = e->type == EVENT_DELETE ? resp.n_kvs == 0 : resp.n_kvs == 1 && same(&resp.kvs[0], &e->kv);
    arena_fini(&a);
    return fits;
}

static void check_known(struct follower *f, const struct event *events, size_t n)
{
    struct tenure_error err;
    for (size_t i = 0; i < n && !f->feed.checked; i++) {
        if (is_here(f, &events[i]))
            continue;
        error_set(
            &err, TENURE_ECONFLICT,
            "revision %" PRId64
            " of the source is another one than that of this copy: its history was restored or replaced; remove the "
            "copy's directory to begin anew",
            events[i].kv.mod_revision);
        follower_fail(f, FOLLOWER_REFUSED, &err);
        return;
    }
    f->feed.checked = true;
}

/* ---- what comes ---- */

static size_t revision_len(const struct event *events, size_t n)
{
    size_t len = n ? 1 : 0;
    while (len < n && events[len].kv.mod_revision == events[0].kv.mod_revision)
        len++;
    return len;
}

static void misfit(struct follower *f, const struct tenure_error *why)
{
    struct tenure_error err = *why;
    error_wrap(&err, "the source's history does not continue this copy's");
    follower_fail(f, FOLLOWER_REFUSED, &err);
}

/* What is missing was compacted in the moment in which the watch was resumed. */
static void lose(struct follower *f, tn_rev told)
{
    struct tenure_error err;
    error_set(&err, TENURE_ECOMPACTED, "the source tells revision %" PRId64 " and not %" PRId64, told,
              f->feed.told + 1);
    follower_fail(f, FOLLOWER_LOST, &err);
}

/* False: no more is taken now. */
static bool take(struct follower *f, const struct event *events, size_t n, tn_ms now)
{
    struct tenure_error err = {0};
    tn_rev revision = events[0].kv.mod_revision;
    int rc = core_follow(f->core, events, n, now, &err);
    if (rc == 0) {
        f->feed.next = revision + 1;
        f->counts.revisions++;
        f->counts.events += n;
        return true;
    }
    if (rc == TENURE_ECORRUPT)
        misfit(f, &err);
    f->feed_error = err;
    end_feed(f, now);
    return false;
}

/* False: no more is taken now. Of one revision. */
static bool take_revision(struct follower *f, const struct event *events, size_t n, tn_ms now)
{
    if (events[0].kv.mod_revision >= f->feed.next)
        return take(f, events, n, now);
    check_known(f, events, n);
    return true;
}

/* ---- of some keys alone ---- */

static bool is_ours(const struct follower *f, const struct event *e)
{
    for (size_t i = 0; i < f->config.n_parts; i++) {
        if (key_range_contains(f->config.parts[i], e->kv.key))
            return true;
    }
    return false;
}

static size_t count_ours(const struct follower *f, const struct event *events, size_t n)
{
    size_t ours = 0;
    if (f->config.n_parts == 0)
        return n;
    for (size_t i = 0; i < n; i++)
        ours += is_ours(f, &events[i]);
    return ours;
}

/* A revision that has changed others too. */
static bool take_some(struct follower *f, const struct event *events, size_t n, size_t ours, tn_ms now)
{
    struct event *some = calloc(ours, sizeof *some);
    size_t len = 0;
    if (!some) {
        end_feed(f, now);
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        if (is_ours(f, &events[i]))
            some[len++] = events[i];
    }
    bool goes_on = take_revision(f, some, len, now);
    free(some);
    return goes_on;
}

static bool take_ours(struct follower *f, const struct event *events, size_t n, tn_ms now)
{
    tn_rev revision = events[0].kv.mod_revision;
    size_t ours = count_ours(f, events, n);
    bool goes_on = true;
    if (revision > f->feed.told + 1)
        lose(f, revision);
    else if (ours > 0)
        goes_on = ours == n ? take_revision(f, events, n, now) : take_some(f, events, n, ours, now);
    if (goes_on && revision > f->feed.told)
        f->feed.told = revision;
    return goes_on;
}

/* As far as a round asks for: a row in the log for each revision of others would be as much as having them here. */
static void go_on_to_told(struct follower *f, tn_ms now)
{
    tn_rev told = f->feed.told;
    bool due = f->config.n_parts > 0 && f->asked_for >= f->feed.next && told >= f->asked_for;
    if (!due || !f->feed.watch || f->feed.ended)
        return;
    if (core_follow_to(f->core, told, now) == 0)
        f->feed.next = told + 1;
    else
        end_feed(f, now);
}

/* ---- what the watch says ---- */

static void on_created(void *user, tn_rev revision)
{
    struct follower *f = user;
    (void)revision;
    if (!f->stopped)
        f->feed.lives = true;
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct follower *f = user;
    if (f->stopped || f->feed.ended || f->state != FOLLOWER_FOLLOWING)
        return;
    tn_ms now = f->config.enter(f->config.user);
    if (e->n_events && !users_are_fresh(f, now)) {
        f->feed.ended = true; /* they come again: what waits here would have no bound */
        f->feed.retry_at = now;
        return;
    }
    bool goes_on = store_revision_planned(f->store) + 1 == f->feed.next;
    if (!goes_on)
        end_feed(f, now); /* rows were undone */
    for (size_t at = 0, len; goes_on && at < e->n_events; at += len) {
        const struct event *first = &e->events[at];
        len = revision_len(first, e->n_events - at);
        goes_on = take_ours(f, first, len, now);
        goes_on = goes_on && f->state == FOLLOWER_FOLLOWING;
    }
    if (e->revision > f->newest && f->state == FOLLOWER_FOLLOWING)
        f->newest = e->revision;
}

static void on_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct follower *f = user;
    struct tenure_error err;
    if (f->stopped)
        return;
    tn_ms now = f->config.enter(f->config.user);
    end_feed(f, now);
    if (code == TENURE_ECOMPACTED) {
        error_set(&err, TENURE_ECOMPACTED,
                  "the source has compacted up to revision %" PRId64 ", and this copy has come to %" PRId64,
                  compact_revision, store_revision_planned(f->store));
        follower_fail(f, FOLLOWER_LOST, &err);
    } else {
        f->feed_error = *error;
    }
}

/* ---- the watch ---- */

static void begin(struct follower *f, tn_ms now)
{
    static const struct client_watch_callbacks callbacks = {
        .on_created = on_created, .on_events = on_events, .on_end = on_end};
    static const uint8_t zero[1];
    struct tenure_error err;
    tn_rev newest = store_revision_planned(f->store);
    struct watch_create_req req = {.range = {.key = bytes_of(zero, 1), .range_end = bytes_of(zero, 1)},
                                   .start_revision = newest,
                                   .fragment = true};
    f->feed = (struct feed){.next = newest + 1, .told = newest};
    f->feed.watch = client_watch_start(f->client, &req, &callbacks, f, now, &err);
    f->counts.watches++;
    if (f->feed.watch)
        client_watch_overlap(f->feed.watch);
    else
        f->feed.retry_at = next_try(f, now);
    f->config.asked(f->config.user);
}

void feed_stop(struct follower *f, tn_ms now)
{
    if (f->feed.watch)
        client_watch_stop(f->client, f->feed.watch, now);
    f->feed.watch = NULL;
}

/* Until what was planned is on the disk: only then is it known what there is to go on from. */
static bool may_begin(const struct follower *f, tn_ms now)
{
    return now >= f->feed.retry_at && !users_hold(f) && store_revision(f->store) == store_revision_planned(f->store);
}

void feed_run(struct follower *f, tn_ms now)
{
    bool undone = f->feed.watch && store_revision_planned(f->store) + 1 != f->feed.next;
    if (f->feed.watch && (f->feed.ended || undone)) {
        tn_ms retry_at = f->feed.ended ? f->feed.retry_at : next_try(f, now);
        feed_stop(f, now);
        f->feed.retry_at = retry_at;
    }
    if (!f->feed.watch && may_begin(f, now))
        begin(f, now);
    go_on_to_told(f, now);
}

tn_ms feed_deadline(const struct follower *f)
{
    if (f->feed.watch)
        return f->feed.ended ? 0 : TN_MS_NEVER;
    bool waits_for_disk = store_revision(f->store) != store_revision_planned(f->store);
    return waits_for_disk || users_hold(f) ? TN_MS_NEVER : f->feed.retry_at;
}
