/* See follower.h. Files: follower.c the source's revision, its compactions, the life; feed.c its events; users.c its users
 * and roles; forward.c calls sent on. */
#include <inttypes.h>
#include <stdlib.h>

#include "replica/internal.h"

enum {
    ASK_MS = 200,
    USERS_MS = 1000,
    DENIED_MAX = 3, /* in a row: a token may be refused while users change */
    COMPACTION_MS = 1000,
    ROUND_TIMEOUT_MS = 2000,
    LOOK_TIMEOUT_MS = 5000,
    PROBE_MS = 3000, /* etcd tells such a watch within 100 ms of its creation that it is compacted */
    OLDER_MAX = 3,   /* rounds in a row that tell less than we have: one may come from a member that lags */
};
/* What a revision of the source may have, at most: a delete of millions of keys is one. */
#define REVISION_BYTES_MAX ((size_t)2 << 30)

/* ---- life ---- */

struct follower *follower_new(const struct follower_config *config)
{
    struct follower *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    f->config = *config;
    if (f->config.ask_ms == 0)
        f->config.ask_ms = ASK_MS;
    if (f->config.compaction_ms == 0)
        f->config.compaction_ms = COMPACTION_MS;
    if (f->config.users_ms == 0)
        f->config.users_ms = USERS_MS;
    list_init(&f->sent);
    users_init(f);
    return f;
}

void follower_start(struct follower *f, struct core *core, struct store *store, struct client *client, tn_ms now)
{
    f->core = core;
    f->store = store;
    f->client = client;
    f->look_at = now + f->config.compaction_ms;
    client_bound_watches(client, REVISION_BYTES_MAX);
    follower_run(f, now);
}

void follower_stop(struct follower *f, tn_ms now)
{
    if (!f->client)
        return;
    feed_stop(f, now);
    if (f->probe)
        client_watch_stop(f->client, f->probe, now);
    f->probe = NULL;
    /* Their callbacks come later, or never: they find that nobody is there. */
    f->stopped = true;
    f->client = NULL;
}

struct follower *follower_free(struct follower *f)
{
    if (f) {
        forward_drop_all(f);
        users_fini(f);
    }
    free(f);
    return NULL;
}

void follower_fail(struct follower *f, enum follower_state state, const struct tenure_error *err)
{
    if (f->state != FOLLOWER_FOLLOWING && (f->state == FOLLOWER_REFUSED || state == FOLLOWER_LOST))
        return;
    f->state = state;
    f->error = *err;
    log_write(&f->config.log, LOG_ERROR,
              state == FOLLOWER_LOST ? "the source has dropped history that this copy lacks"
                                     : "the source is not the one that this is a copy of",
              "error=\"%s\"", err->text);
}

void follower_note(struct follower *f, const struct tenure_error *err)
{
    if (f->state == FOLLOWER_FOLLOWING)
        f->error = *err;
}

enum follower_state follower_state(const struct follower *f)
{
    return f->state;
}

const struct tenure_error *follower_error(const struct follower *f)
{
    return f->error.code || f->state != FOLLOWER_FOLLOWING ? &f->error : &f->feed_error;
}

tn_rev follower_newest(const struct follower *f)
{
    return f->newest;
}

const struct follower_counts *follower_counts(const struct follower *f)
{
    return &f->counts;
}

bytes follower_some_key(const struct follower *f)
{
    return f->config.n_parts ? f->config.parts[0].key : bytes_of("\0", 1);
}

/* ---- rounds ---- */

bool follower_saw(struct follower *f, const struct response_header *h)
{
    struct tenure_error err;
    if (h->cluster_id == f->config.cluster_id)
        return true;
    error_set(&err, TENURE_ECONFLICT, "the source is cluster %016" PRIx64 " now, and this is a copy of %016" PRIx64,
              h->cluster_id, f->config.cluster_id);
    follower_fail(f, FOLLOWER_REFUSED, &err);
    return false;
}

static void check_source(struct follower *f, const struct response_header *h)
{
    struct tenure_error err;
    if (!follower_saw(f, h))
        return;
    if (h->revision >= f->had_at_round) {
        f->older = 0;
    } else if (++f->older >= OLDER_MAX) {
        error_set(&err, TENURE_ECONFLICT,
                  "the source has revision %" PRId64 " and this copy %" PRId64
                  ": it was restored from an older state; remove the copy's directory to begin anew",
                  h->revision, f->had_at_round);
        follower_fail(f, FOLLOWER_REFUSED, &err);
    }
}

/* Without a user nothing is denied while authentication is off: then it is on by now, and what is here is for those alone who may
 * read it there. */
void follower_denied(struct follower *f, const struct tenure_error *why)
{
    struct tenure_error err;
    if (f->config.has_users && ++f->denied < DENIED_MAX) {
        follower_note(f, why);
        return;
    }
    if (f->config.has_users)
        error_set(&err, TENURE_ECONFLICT,
                  "the source does not let the replica's user in as one with the role root (%s)", why->text);
    else
        error_set(
            &err, TENURE_ECONFLICT,
            "the source has authentication on, and a replica would answer anybody: name a user with the role root by "
            "--user (%s)",
            why->text);
    follower_fail(f, FOLLOWER_REFUSED, &err);
}

static void round_failed(struct follower *f, const struct tenure_error *why)
{
    if (why->code == TENURE_EDENIED)
        follower_denied(f, why);
    else
        follower_note(f, why);
}

static void on_round(void *user, const struct client_result *r)
{
    struct follower *f = user;
    f->round_under_way = false;
    if (f->stopped)
        return;
    tn_ms now = f->config.enter(f->config.user);
    f->round_at = now + f->config.ask_ms;
    if (r->code) {
        round_failed(f, r->error);
        core_ask_failed(f->core, now);
        return;
    }
    check_source(f, &r->header);
    if (f->state != FOLLOWER_FOLLOWING || r->header.revision < f->had_at_round) {
        core_ask_failed(f->core, now);
        return;
    }
    f->error = (struct tenure_error){0};
    f->denied = 0;
    f->newest = f->asked_for = r->header.revision;
    feed_compare(f, f->newest);
    core_ask_answered(f->core, r->header.revision, r->sent_at, now);
}

/* Linearizable, of a key that nobody has: all that it costs the source is the round that proves its revision. */
static void begin_round(struct follower *f, tn_ms now)
{
    struct tenure_error err;
    struct range_req req = {.range = {.key = follower_some_key(f)}, .count_only = true};
    struct client_call_options o = {.timeout_ms = ROUND_TIMEOUT_MS};
    core_ask_begins(f->core);
    f->wanted = false;
    f->had_at_round = store_revision_planned(f->store);
    f->counts.rounds++;
    f->round_under_way = client_range(f->client, &req, &o, on_round, f, now, &err) != NULL;
    f->round_at = now + f->config.ask_ms;
    if (!f->round_under_way)
        core_ask_failed(f->core, now);
    f->config.asked(f->config.user);
}

static void on_ask(void *user)
{
    struct follower *f = user;
    f->wanted = true;
}

/* ---- its compactions ---- */

static tn_rev compacted(const struct follower *f)
{
    tn_rev at = store_compacted(f->store);
    return at > 1 ? at : 1;
}

static void on_probe_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct follower *f = user;
    (void)error;
    if (f->stopped)
        return;
    f->config.enter(f->config.user);
    f->probe_ended = true;
    if (code == TENURE_ECOMPACTED && compact_revision > f->compacted)
        f->compacted = compact_revision;
}

static void on_probe_events(void *user, const struct client_watch_events *e)
{
    (void)user, (void)e;
}

/* How far: a watch of one key from the past is told at once. */
static void probe(struct follower *f, tn_ms now)
{
    static const struct client_watch_callbacks callbacks = {.on_events = on_probe_events, .on_end = on_probe_end};
    struct tenure_error err;
    struct watch_create_req req = {.range = {.key = follower_some_key(f)}, .start_revision = compacted(f)};
    f->probe_ended = false;
    f->probe_until = now + PROBE_MS;
    f->probe = client_watch_start(f->client, &req, &callbacks, f, now, &err);
    f->config.asked(f->config.user);
}

static void on_look(void *user, const struct client_result *r)
{
    struct follower *f = user;
    f->look_under_way = false;
    if (f->stopped)
        return;
    tn_ms now = f->config.enter(f->config.user);
    f->look_at = now + f->config.compaction_ms;
    f->probe_wanted = r->code == TENURE_ECOMPACTED;
}

/* A read of the past costs the source nothing while it is answered; what is refused says that there was a compaction. */
static void look(struct follower *f, tn_ms now)
{
    struct tenure_error err;
    struct range_req req = {.range = {.key = follower_some_key(f)}, .revision = compacted(f), .serializable = true};
    struct client_call_options o = {.timeout_ms = LOOK_TIMEOUT_MS};
    f->look_at = now + f->config.compaction_ms;
    f->look_under_way = client_range(f->client, &req, &o, on_look, f, now, &err) != NULL;
    f->config.asked(f->config.user);
}

/* A copy by ranges lacks the deletes of its first revision, which a watch from there would be told. So that one is given up as soon as there is
 * another. */
static void leave_first(struct follower *f)
{
    if (f->config.first > 0 && f->compacted == 0 && store_compacted(f->store) == f->config.first &&
        store_revision(f->store) > f->config.first)
        f->compacted = f->config.first + 1;
}

static void follow_compactions(struct follower *f, tn_ms now)
{
    leave_first(f);
    if (f->probe && (f->probe_ended || now >= f->probe_until)) {
        client_watch_stop(f->client, f->probe, now);
        f->probe = NULL;
    }
    if (f->probe_wanted && !f->probe) {
        f->probe_wanted = false;
        probe(f, now);
    }
    if (f->compacted > store_compacted(f->store) && f->compacted <= store_revision_planned(f->store) &&
        core_follow_compaction(f->core, f->compacted, now))
        f->compacted = 0;
    if (!f->look_under_way && !f->probe && f->compacted == 0 && now >= f->look_at)
        look(f, now);
}

/* ---- the turn ---- */

/* There is no round any more: who waits for one may ask elsewhere. */
static void refuse_rounds(struct follower *f, tn_ms now)
{
    if (!f->wanted || f->round_under_way)
        return;
    f->wanted = false;
    core_ask_begins(f->core);
    core_ask_failed(f->core, now);
    f->config.asked(f->config.user);
}

void follower_run(struct follower *f, tn_ms now)
{
    if (!f->client)
        return;
    if (f->state != FOLLOWER_REFUSED)
        users_run(f, now); /* as long as the old copy is served, those count that the source has now */
    if (f->state != FOLLOWER_FOLLOWING) {
        refuse_rounds(f, now);
        return;
    }
    if (f->config.has_users && !f->users.known)
        return;
    feed_run(f, now);
    if (!f->round_under_way && (f->wanted || now >= f->round_at))
        begin_round(f, now);
    follow_compactions(f, now);
}

static tn_ms sooner(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms follower_deadline(const struct follower *f)
{
    if (!f->client)
        return TN_MS_NEVER;
    if (f->state != FOLLOWER_FOLLOWING && f->wanted && !f->round_under_way)
        return 0;
    if (f->state != FOLLOWER_FOLLOWING)
        return f->state == FOLLOWER_LOST ? users_deadline(f) : TN_MS_NEVER;
    if (f->config.has_users && !f->users.known)
        return users_deadline(f);
    tn_ms at = sooner(feed_deadline(f), users_deadline(f));
    if (!f->round_under_way)
        at = sooner(at, f->wanted ? 0 : f->round_at);
    if (f->probe)
        at = sooner(at, f->probe_until);
    else if (!f->look_under_way && f->compacted == 0)
        at = sooner(at, f->look_at);
    return at;
}

/* ---- how it stands ---- */

static const char *state_name(enum follower_state state)
{
    switch (state) {
    case FOLLOWER_LOST:
        return "copies anew";
    case FOLLOWER_REFUSED:
        return "refuses its source";
    case FOLLOWER_FOLLOWING:
        break;
    }
    return "follows";
}

/* One line: what a server has said may hold anything. */
static void put_error(struct buf *out, const char *text)
{
    buf_append_bytes(out, bytes_str("error="));
    for (const char *p = text; *p; p++)
        buf_append_byte(out, (uint8_t)(*p == '\n' ? ' ' : *p));
    buf_append_byte(out, '\n');
}

static void describe(void *user, struct buf *out, tn_ms now)
{
    struct follower *f = user;
    (void)now;
    const char *url = "";
    for (size_t i = 0; f->client && i < client_endpoints(f->client); i++) {
        if (client_endpoint_stats(f->client, i).in_use)
            url = client_endpoint(f->client, i);
    }
    buf_printf(out,
               "state=%s\ncluster=%016" PRIx64 "\nsource=%s\nsource_revision=%" PRId64 "\nevents=%" PRIu64
               "\nwatches=%" PRIu64 "\nrounds=%" PRIu64 "\nforwarded=%" PRIu64 "\n",
               state_name(f->state), f->config.cluster_id, url, f->newest, f->counts.events, f->counts.watches,
               f->counts.rounds, f->counts.forwards);
    const struct tenure_error *error = follower_error(f);
    put_error(out, error->code ? error->text : "");
}

const struct core_source follower_source = {
    .forward = forward_send,
    .cancel = forward_cancel,
    .ask = on_ask,
    .describe = describe,
};
