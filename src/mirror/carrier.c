/* See carrier.h. The steps, one call at a time; beside them the watch, the renewals and the question how far the source is. */
#include "mirror/internal.h"

#include <inttypes.h>
#include <stdlib.h>

enum { RETRY_MIN_MS = 100, RETRY_MAX_MS = 3000, OLDER_MAX = 3 };

/* ---- life ---- */

bool carrier_name_is_good(bytes name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t b = name.data[i];
        bool good = (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b == '.' ||
                    b == '_' || b == '-';
        if (!good)
            return false;
    }
    return name.len > 0 && name.len <= CARRIER_NAME_MAX;
}

const char *carrier_prefix_is_bad(bytes prefix)
{
    bytes own = bytes_str("/federation/");
    if (prefix.len == 0)
        return "an empty prefix would cover the mirror's own records";
    if (prefix.len > CARRIER_PREFIX_MAX)
        return "a prefix has 1,024 bytes at most";
    if (bytes_has_prefix(prefix, own) || bytes_has_prefix(own, prefix))
        return "what lies below /federation/ belongs to each cluster alone, and is never mirrored";
    for (bytes rest = prefix; rest.len;) {
        size_t n = bytes_utf8_char(rest);
        if (n == 0)
            return "a prefix must be UTF-8";
        rest = bytes_of(rest.data + n, rest.len - n);
    }
    return NULL;
}

static void put_range(struct buf *prefix, struct buf *end, bytes what)
{
    buf_append_bytes(prefix, what);
    uint8_t *at = buf_reserve(end, what.len + 1);
    if (at)
        buf_added(end, bytes_prefix_end(what, at));
}

static void put_key(struct carrier *c)
{
    bytes to = buf_bytes(&c->to);
    buf_printf(&c->key, CARRIER_KEYS "%s/", c->k.name);
    if (to.len && to.data[0] == '/')
        to = bytes_of(to.data + 1, to.len - 1);
    buf_append_bytes(&c->key, to);
}

static bool take_config(struct carrier *c, const struct carrier_config *config)
{
    c->k = *config;
    if (c->k.heartbeat_ms == 0)
        c->k.heartbeat_ms = HEARTBEAT_MS;
    buf_append(&c->name, config->name, strlen(config->name) + 1);
    c->k.name = (const char *)c->name.data;
    put_range(&c->prefix, &c->prefix_end, config->prefix);
    put_range(&c->to, &c->to_end, config->to_prefix.len ? config->to_prefix : config->prefix);
    if (buf_error(&c->name))
        return false;
    put_key(c);
    c->k.prefix = buf_bytes(&c->prefix);
    c->k.to_prefix = buf_bytes(&c->to);
    return !buf_error(&c->prefix) && !buf_error(&c->prefix_end) && !buf_error(&c->to) && !buf_error(&c->to_end) &&
           !buf_error(&c->key);
}

struct carrier *carrier_new(const struct carrier_config *config)
{
    struct carrier *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->source = config->source;
    c->destination = config->destination;
    c->clear_at = -1;
    c->doubted = RECORD_LEASES_MAX;
    c->ops_max = OPS_MAX;
    c->bytes_max = REVISION_BYTES;
    backoff_init(&c->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&c->rng, config->writer);
    map_init(&c->ttls);
    list_init(&c->chunks);
    list_init(&c->foreign.changes);
    arena_init(&c->batch.arena, 0);
    arena_init(&c->from.arena, 0);
    arena_init(&c->into.arena, 0);
    c->from.carrier = c->into.carrier = c;
    if (!take_config(c, config)) {
        carrier_free(c, 0);
        return NULL;
    }
    return c;
}

static void stop_all(struct carrier *c, tn_ms now)
{
    follow_end(c, now);
    copy_stop(c, now);
    foreign_stop(c, now);
    op_drop(&c->op, now);
    op_drop(&c->poll, now);
}

struct carrier *carrier_free(struct carrier *c, tn_ms now)
{
    if (!c)
        return NULL;
    stop_all(c, now);
    leases_drop(c, now);
    map_fini(&c->ttls);
    arena_fini(&c->batch.arena);
    arena_fini(&c->from.arena);
    arena_fini(&c->into.arena);
    struct buf *bufs[] = {&c->name, &c->prefix, &c->to, &c->prefix_end, &c->to_end, &c->key};
    for (size_t i = 0; i < ARRAY_LEN(bufs); i++)
        buf_fini(bufs[i]);
    free(c);
    return NULL;
}

/* ---- small things for all ---- */

tn_ms carrier_now(const struct carrier *c)
{
    tn_ms a = client_now(c->source), b = client_now(c->destination);
    return a > b ? a : b;
}

bytes carrier_rest(bytes key, const struct buf *prefix)
{
    return bytes_of(key.data + prefix->len, key.len - prefix->len);
}

bytes carrier_map(struct carrier *c, struct arena *a, bytes key)
{
    bytes rest = carrier_rest(key, &c->prefix);
    uint8_t *out = arena_alloc(a, c->to.len + rest.len + 1);
    if (!out)
        return (bytes){NULL, 0};
    memcpy(out, c->to.data, c->to.len);
    if (rest.len)
        memcpy(out + c->to.len, rest.data, rest.len);
    return bytes_of(out, c->to.len + rest.len);
}

bytes carrier_key(const struct carrier *c)
{
    return buf_bytes(&c->key);
}

/* ---- what goes wrong ---- */

void carrier_asked(struct carrier *c)
{
    if (c->k.asked)
        c->k.asked(c->k.user);
}

void carrier_note(struct carrier *c, const struct tenure_error *why)
{
    c->error = *why;
    c->error_wall = c->k.wall_ms ? c->k.wall_ms(c->k.user) : 0;
}

void carrier_well(struct carrier *c)
{
    c->error = (struct tenure_error){0};
    backoff_success(&c->backoff);
}

void carrier_move(struct carrier *c, enum step step)
{
    c->step = step;
}

void carrier_retry(struct carrier *c, const struct tenure_error *why, tn_ms now)
{
    if (c->step == STEP_END)
        return;
    carrier_note(c, why);
    follow_end(c, now);
    copy_stop(c, now);
    op_drop(&c->op, now);
    c->retry_at = now + backoff_failure(&c->backoff, &c->rng);
    carrier_move(c, STEP_LOOK);
    carrier_asked(c);
}

bool carrier_failed(struct carrier *c, int rc, const struct tenure_error *err, tn_ms now)
{
    if (rc == 0) {
        carrier_asked(c);
        return false;
    }
    struct tenure_error why = *err;
    if (!why.code)
        error_set(&why, rc, "%s", tenure_error_string(rc));
    carrier_retry(c, &why, now);
    return true;
}

void carrier_end(struct carrier *c, enum carrier_state state, const struct tenure_error *why, tn_ms now)
{
    if (c->step == STEP_END)
        return;
    if (why)
        carrier_note(c, why);
    stop_all(c, now);
    leases_drop(c, now);
    c->state = state;
    carrier_move(c, STEP_END);
    carrier_asked(c);
}

/* ---- the source ---- */

static void source_is_another(struct carrier *c, tn_ms now)
{
    struct tenure_error err;
    error_set(&err, TENURE_ECONFLICT,
              "the source's revision is %" PRId64 ", and %" PRId64
              " was copied: it was restored from an older state; --replace makes the copy as the source is now",
              c->newest, c->rec.revision);
    carrier_end(c, CARRIER_REFUSED, &err, now);
}

static bool went_back(struct carrier *c, tn_rev revision)
{
    c->older = revision < c->rec.revision && !c->compare_all ? c->older + 1 : 0;
    return c->older >= OLDER_MAX;
}

bool carrier_saw_source(struct carrier *c, const struct response_header *h, tn_ms sent_at, tn_ms now)
{
    struct tenure_error err;
    if (c->cluster && h->cluster_id != c->cluster) {
        error_set(&err, TENURE_ECONFLICT, "the source is cluster %" PRIx64 " now, and was %" PRIx64, h->cluster_id,
                  c->cluster);
        carrier_end(c, CARRIER_REFUSED, &err, now);
        return false;
    }
    c->cluster = h->cluster_id;
    /* What it had when we asked before has come by now, and nothing waits: it is all here. */
    bool idle = c->step == STEP_FOLLOW && c->watch && !c->watch_ended && list_empty(&c->chunks) && !c->busy_txn;
    if (c->newest_at && (idle || (c->step == STEP_FOLLOW && c->rec.revision >= c->newest))) {
        c->clear = c->newest;
        c->clear_at = c->newest_at;
    }
    c->newest = h->revision;
    c->newest_at = sent_at;
    if (went_back(c, h->revision)) {
        source_is_another(c, now);
        return false;
    }
    return true;
}

/* ---- the turn ---- */

static void step_once(struct carrier *c, tn_ms now)
{
    switch (c->step) {
    case STEP_LOOK:
        claim_look(c, now);
        break;
    case STEP_LOOK_SOURCE:
    case STEP_LOOK_AGAIN:
        claim_look_source(c, now);
        break;
    case STEP_CLAIM:
        claim_make(c, now);
        break;
    case STEP_WITHDRAW:
        claim_withdraw(c, now);
        break;
    case STEP_LEASES:
        leases_revive(c, now);
        break;
    case STEP_CHECK:
        copy_check(c, now);
        break;
    case STEP_COUNT:
        copy_count(c, now);
        break;
    case STEP_COPY:
        copy_go_on(c, now);
        break;
    case STEP_FOLLOW:
        follow_go_on(c, now);
        break;
    case STEP_END:
        break;
    }
}

static void step_on(struct carrier *c, tn_ms now)
{
    for (enum step before = STEP_END; !c->op && c->step != before && now >= c->retry_at;) {
        before = c->step;
        step_once(c, now);
    }
}

void carrier_run(struct carrier *c, tn_ms now)
{
    if (c->step == STEP_END)
        return;
    c->ran_at = now;
    if (c->leases_lost && !c->op) {
        struct tenure_error err;
        c->leases_lost = false;
        c->compare_all = true;
        leases_drop_dead(c, now);
        error_set(&err, TENURE_ELOST,
                  "a lease of the mirror's ran out at the destination: what lay under it is copied again");
        carrier_retry(c, &err, now);
    }
    step_on(c, now);
    foreign_run(c, now);
    if (c->step == STEP_FOLLOW && !c->poll && now >= c->poll_at)
        claim_poll(c, now);
}

void carrier_go_on(struct carrier *c, tn_ms now)
{
    carrier_run(c, now);
    carrier_asked(c);
}

static tn_ms step_deadline(const struct carrier *c)
{
    tn_ms at = TN_MS_NEVER;
    if (!c->op && c->retry_at > c->ran_at)
        at = c->retry_at;
    else if (!c->op && c->step == STEP_FOLLOW && c->stuck && !list_empty(&c->chunks))
        at = follow_behind_at(c);
    else if (!c->op && c->step != STEP_COPY)
        at = c->step == STEP_FOLLOW ? c->written_at + c->k.heartbeat_ms : 0;
    return c->step == STEP_FOLLOW && !c->poll && c->poll_at < at ? c->poll_at : at;
}

tn_ms carrier_deadline(const struct carrier *c)
{
    if (c->step == STEP_END)
        return TN_MS_NEVER;
    if (c->leases_lost && !c->op)
        return 0;
    tn_ms at = step_deadline(c), foreign = foreign_deadline(c);
    return foreign < at ? foreign : at;
}

/* ---- how it stands ---- */

void carrier_look(const struct carrier *c, tn_ms now, struct carrier_view *ret)
{
    const struct record *r = c->step == STEP_COPY ? &c->batch.after : &c->rec;
    *ret = (struct carrier_view){
        .state = c->state,
        .revision = c->step == STEP_FOLLOW && c->clear > c->rec.revision ? c->clear : c->rec.revision,
        .newest = c->newest > c->rec.revision ? c->newest : c->rec.revision,
        .lag_ms = c->clear_at < 0 ? -1 : now - c->clear_at,
        .keys = r->keys,
        .total = r->total,
        .copied = c->rec.copied,
        .deleted = c->rec.deleted,
        .error = c->error.code ? c->error.text : "",
        .error_code = c->error.code,
    };
}

const char *carrier_state_name(enum carrier_state s)
{
    static const char *const names[] = {"starting", "waiting", "copying", "following", "done", "refused", "fenced"};
    return names[s];
}
