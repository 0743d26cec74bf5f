/* See cron.h. What is known of all periods is a view of the path; the runner looks at it when it changes and when the clock
 * says so, at least each 30 s, so that a clock that was set is noticed. */
#include "recipes/cron.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "base/buf.h"
#include "recipes/view.h"

enum { LOOK_MS = 30000, COMMIT_MS = 5000, RUN_NAME_MAX = 64, AGAIN_MIN_MS = 50, AGAIN_MAX_MS = 5000 };

enum cron_state { CRON_IDLE, CRON_CLAIMING, CRON_RUNNING, CRON_ENDING, CRON_OVER };

struct cron {
    struct session_object object;
    struct client *client;
    struct marks *marks; /* NULL = adrift */
    struct cron_options opt;
    struct cron_callbacks cb;
    void *user;
    enum cron_state state;
    bool stopping;
    struct view *view;
    bool listed;
    bytes path, who;
    int64_t floor; /* periods up to it are none of ours: it began later, and nobody had run before */

    tn_ms now_seen; /* the pair of times of the last tick */
    int64_t wall_seen;
    tn_ms look_at;
    struct backoff backoff;
    struct rng rng;
    tn_ms rest_until; /* after a claim that failed */

    struct commit *commit;
    struct cron_run run;      /* being claimed, running, or ending */
    int64_t began_ms;         /* Unix time, when it was claimed */
    struct cron_run lost_run; /* to be told */
    struct buf result;        /* of the run that has ended, when it is to be written */
    struct tenure_error why;
    int end_code;
    bool tell_run, tell_lost, tell_adrift, tell_end;
    bool gives_back; /* (ENDING) it was not begun */
    uint8_t memory[];
};

static struct cron *cron_of(struct session_object *o)
{
    return CONTAINER_OF(o, struct cron, object);
}

/* ---- names and values ---- */

/* "<path>/at/<time>", or without the time. */
static bytes name_of(const struct cron *k, const char *dir, int64_t t, struct buf *out)
{
    char time[SCHEDULE_TIME_LEN + 1] = "";
    if (t >= 0)
        schedule_name(t, time);
    buf_reset(out);
    buf_append_bytes(out, k->path);
    buf_printf(out, "/%s/%s", dir, time);
    return buf_bytes(out);
}

static bool is_below(const struct cron *k, const struct kv *kv, const char *dir, int64_t *ret_time)
{
    size_t dir_len = strlen(dir), at = k->path.len + 1 + dir_len + 1;
    if (kv->key.len != at + SCHEDULE_TIME_LEN || memcmp(kv->key.data + k->path.len + 1, dir, dir_len) != 0)
        return false;
    return schedule_named(bytes_of(kv->key.data + at, SCHEDULE_TIME_LEN), ret_time);
}

bool cron_read(bytes value, struct cron_record *ret)
{
    static const char claimed[] = "{\"state\":\"claimed\",\"attempt\":", done[] = "{\"state\":\"done\",\"attempt\":";
    ret->done = bytes_has_prefix(value, bytes_str(done));
    if (!ret->done && !bytes_has_prefix(value, bytes_str(claimed)))
        return false;
    size_t at = ret->done ? sizeof done - 1 : sizeof claimed - 1, digits = 0;
    for (ret->attempt = 0; at < value.len && value.data[at] >= '0' && value.data[at] <= '9' && digits < 9; digits++)
        ret->attempt = 10 * ret->attempt + value.data[at++] - '0';
    return digits > 0;
}

/* ---- what is known ---- */

struct known {
    const struct kv *newest; /* period; NULL = none */
    int64_t newest_time;
    int64_t oldest_kept; /* periods before it are too many; -1 = none */
    bool runs, newest_runs;
};

static struct known look(const struct cron *k)
{
    struct known known = {.oldest_kept = -1};
    int64_t t, kept = 0;
    for (size_t i = view_count(k->view); i-- > 0;) {
        const struct kv *kv = view_at(k->view, i);
        if (is_below(k, kv, "run", &t)) {
            known.runs = true;
        } else if (is_below(k, kv, "at", &t)) {
            if (!known.newest) {
                known.newest = kv;
                known.newest_time = t;
            }
            if (++kept == k->opt.history - 1 && k->opt.history > 1)
                known.oldest_kept = t;
        }
    }
    if (known.newest && k->opt.history == 1)
        known.oldest_kept = known.newest_time + 1;
    for (size_t i = 0; known.newest && i < view_count(k->view); i++)
        known.newest_runs |= is_below(k, view_at(k->view, i), "run", &t) && t == known.newest_time;
    return known;
}

static int64_t wall_at(const struct cron *k, tn_ms now)
{
    return k->wall_seen + (now - k->now_seen);
}

/* ---- claiming ---- */

static void on_claimed(void *owner, const struct commit_result *r);

static struct compare absent(bytes key, bytes end)
{
    return (struct compare){.target = COMPARE_CREATE, .range = {key, end}, .number = 0};
}

/* The parts of a claim, each with its memory. */
struct words {
    struct buf at, behind, at_end, run, runs, runs_end, old, until, value;
};

static void words_all(struct words *w, struct buf *ret[9])
{
    struct buf *all[] = {&w->at,       &w->behind, &w->at_end, &w->run,  &w->runs,
                         &w->runs_end, &w->old,    &w->until,  &w->value};
    memcpy(ret, all, sizeof all);
}

/* The period, the key right behind it, the end of all periods, and the same for runs. Answers whether there was memory. */
static bool words_fill(struct cron *k, const struct known *known, struct words *w, tn_ms now)
{
    struct buf *all[9];
    int64_t kept = known->oldest_kept < k->run.time ? known->oldest_kept : k->run.time;
    words_all(w, all);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_init(all[i]);
    name_of(k, "at", k->run.time, &w->at);
    buf_append_bytes(&w->behind, buf_bytes(&w->at));
    buf_append_byte(&w->behind, 0);
    buf_append_bytes(&w->at_end, k->path);
    buf_append(&w->at_end, "/at0", 4);
    name_of(k, "run", k->run.time, &w->run);
    name_of(k, "run", -1, &w->runs);
    buf_append_bytes(&w->runs_end, k->path);
    buf_append(&w->runs_end, "/run0", 5);
    name_of(k, "at", -1, &w->old);
    name_of(k, "at", kept, &w->until);
    k->began_ms = wall_at(k, now);
    buf_printf(&w->value, "{\"state\":\"claimed\",\"attempt\":%" PRId64 ",\"began\":%" PRId64, k->run.attempt,
               k->began_ms);
    if (k->who.len)
        buf_printf(&w->value, ",%.*s", (int)k->who.len, (const char *)k->who.data);
    buf_append(&w->value, "}", 1);
    int rc = 0;
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        rc = rc ? rc : buf_error(all[i]);
    return rc == 0;
}

static int claim_with(struct cron *k, const struct known *known, bool again, const struct words *w, tn_ms now)
{
    bytes at = buf_bytes(&w->at), run = buf_bytes(&w->run), value = buf_bytes(&w->value);
    struct compare guards[3] = {
        k->opt.overlap ? absent(run, bytes_of(NULL, 0)) : absent(buf_bytes(&w->runs), buf_bytes(&w->runs_end)),
        absent(again ? buf_bytes(&w->behind) : at, buf_bytes(&w->at_end)),
        {.target = COMPARE_MOD, .range.key = at, .number = again ? known->newest->mod_revision : 0},
    };
    struct request_op ops[3] = {
        {.kind = OP_PUT, .put = {.key = at, .value = value}},
        {.kind = OP_PUT, .put = {.key = run, .value = value, .lease = session_lease(k->object.session)}},
        {.kind = OP_DELETE, .del.range = {buf_bytes(&w->old), buf_bytes(&w->until)}},
    };
    struct txn_req req = {.compares = guards,
                          .n_compares = k->opt.broken_unguarded ? 0 : 3,
                          .success = ops,
                          .n_success = !again && known->oldest_kept >= 0 ? 3 : 2};
    struct commit_options opt = {.until = now + (k->opt.broken_lost_claim ? 50 : COMMIT_MS),
                                 .settle = !k->opt.broken_lost_claim};
    return commit_start(&k->commit, k->client, k->marks, &req, &opt, on_claimed, k, now, NULL);
}

/* again: the newest period, whose runner died; else a new one. */
static int claim(struct cron *k, const struct known *known, bool again, tn_ms now)
{
    struct words w;
    struct buf *all[9];
    int rc = words_fill(k, known, &w, now) ? claim_with(k, known, again, &w, now) : TENURE_ENOMEM;
    words_all(&w, all);
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        buf_fini(all[i]);
    return rc;
}

static void rest(struct cron *k, tn_ms now)
{
    k->state = CRON_IDLE;
    k->rest_until = now + backoff_failure(&k->backoff, &k->rng);
    k->look_at = k->rest_until;
}

/* Whether there is something to claim, and what. */
static bool is_due(struct cron *k, const struct known *known, tn_ms now, bool *ret_again)
{
    int64_t wall_ms = wall_at(k, now), t = schedule_last(&k->opt.schedule, wall_ms / 1000);
    int64_t floor = known->newest ? known->newest_time : k->floor; /* where nobody ever ran, nothing was missed */
    struct cron_record record;
    *ret_again = false;
    if (known->runs && !k->opt.overlap)
        return false;
    if (t > floor) {
        bool late = wall_ms - t * 1000 > k->opt.late_ms;
        k->run = (struct cron_run){.time = t, .attempt = 1, .late = late};
        if (!late || k->opt.run_missed)
            return true;
    }
    *ret_again = k->opt.again && known->newest && !known->newest_runs && cron_read(known->newest->value, &record) &&
                 !record.done;
    if (*ret_again)
        k->run = (struct cron_run){.time = known->newest_time, .attempt = record.attempt + 1, .late = true};
    return *ret_again;
}

static void write_result(struct cron *k, tn_ms now);

/* The next time to look, if nothing happens before. */
static tn_ms next_look(const struct cron *k, tn_ms now)
{
    int64_t next = schedule_next(&k->opt.schedule, wall_at(k, now) / 1000);
    int64_t in_ms = next ? next * 1000 - wall_at(k, now) : LOOK_MS;
    tn_ms at = k->stopping ? TN_MS_NEVER : now + (in_ms < LOOK_MS ? in_ms : LOOK_MS);
    return k->rest_until > now && k->rest_until < at ? k->rest_until : at;
}

static void consider(struct cron *k, tn_ms now)
{
    bool again;
    bool able = k->marks && now >= k->rest_until && session_state(k->object.session) == SESSION_ALIVE;
    k->look_at = next_look(k, now);
    if (able && k->state == CRON_ENDING && !k->commit)
        write_result(k, now);
    if (!able || k->state != CRON_IDLE || !k->listed || k->stopping)
        return;
    struct known known = look(k);
    if (!is_due(k, &known, now, &again))
        return;
    k->state = CRON_CLAIMING;
    if (claim(k, &known, again, now))
        rest(k, now);
}

/* ---- ends ---- */

static void ended(struct cron *k, int code, const struct tenure_error *why, tn_ms now)
{
    if (k->state == CRON_OVER)
        return;
    commit_drop(&k->commit, now);
    k->state = CRON_OVER;
    k->tell_run = false;
    k->tell_end = true;
    k->end_code = code;
    if (why)
        k->why = *why;
    session_post(&k->object);
}

static void finish_if_stopping(struct cron *k, tn_ms now)
{
    if (k->stopping && k->state == CRON_IDLE)
        ended(k, 0, NULL, now);
}

static void lost(struct cron *k, const struct tenure_error *why)
{
    if (k->tell_run || k->gives_back) { /* it was not begun */
        k->tell_run = false;
    } else {
        k->tell_lost = true;
        k->lost_run = k->run;
        k->why = *why;
    }
    k->state = CRON_IDLE;
    session_post(&k->object);
}

static void on_claimed(void *owner, const struct commit_result *r)
{
    struct cron *k = owner;
    struct session *s = k->object.session;
    tn_ms now = client_now(k->client);
    k->state = CRON_IDLE;
    k->gives_back = false;
    if (r->outcome == COMMIT_APPLIED) {
        backoff_success(&k->backoff);
        k->run.token = r->revision;
        k->state = CRON_RUNNING;
        k->tell_run = true;
        session_post(&k->object);
        if (k->stopping)
            cron_give_back(k, now);
    } else if (r->outcome == COMMIT_FAILED && r->code == TENURE_EDENIED) {
        ended(k, r->code, r->error, now);
    } else {
        if (r->outcome == COMMIT_CONFLICT) /* somebody was faster, as the view will show */
            backoff_success(&k->backoff);
        rest(k, now);
        if (r->outcome == COMMIT_FAILED && r->error->applied == TENURE_APPLIED_MAYBE && !k->opt.broken_lost_claim)
            session_give_up(s, r->error, now); /* a claim that may stand keeps others out while its lease lives */
    }
    finish_if_stopping(k, now);
    session_flush(s);
}

/* The key of the run keeps others from theirs while our lease lives, so it is tried until one of the two has ended. */
static void end_later(struct cron *k, tn_ms now)
{
    k->rest_until = now + backoff_failure(&k->backoff, &k->rng);
    k->look_at = k->rest_until;
}

static void on_written(void *owner, const struct commit_result *r)
{
    struct cron *k = owner;
    struct session *s = k->object.session;
    tn_ms now = client_now(k->client);
    struct tenure_error why;
    if (r->outcome == COMMIT_FAILED && r->code != TENURE_EDENIED) {
        end_later(k, now);
    } else if (r->outcome == COMMIT_FAILED) {
        ended(k, r->code, r->error, now);
    } else if (r->outcome == COMMIT_CONFLICT) {
        error_set(&why, TENURE_ELOST, "the run was ended by somebody else");
        lost(k, &why);
    } else {
        backoff_success(&k->backoff);
        k->state = CRON_IDLE;
    }
    consider(k, now);
    finish_if_stopping(k, now);
    session_flush(s);
}

static void write_result(struct cron *k, tn_ms now)
{
    struct buf at, run;
    buf_init(&at);
    buf_init(&run);
    bytes at_key = name_of(k, "at", k->run.time, &at), run_key = name_of(k, "run", k->run.time, &run);
    struct compare guard = {.target = COMPARE_CREATE, .range.key = run_key, .number = k->run.token};
    struct request_op ops[2] = {{.kind = OP_DELETE, .del.range.key = run_key},
                                {.kind = OP_PUT, .put = {.key = at_key, .value = buf_bytes(&k->result)}}};
    struct txn_req req = {.compares = &guard, .n_compares = 1, .success = ops, .n_success = 2};
    if (k->gives_back && k->run.attempt == 1)
        ops[1] = (struct request_op){.kind = OP_DELETE, .del.range.key = at_key};
    else if (k->gives_back)
        req.n_success = 1; /* an earlier runner's claim stays, which is to be run again */
    struct commit_options opt = {.until = now + COMMIT_MS, .settle = true};
    int rc = buf_error(&at) ? buf_error(&at) : buf_error(&run);
    rc = rc ? rc : commit_start(&k->commit, k->client, k->marks, &req, &opt, on_written, k, now, NULL);
    buf_fini(&at);
    buf_fini(&run);
    if (rc)
        end_later(k, now);
}

int cron_done(struct cron *k, bytes result, tn_ms now)
{
    if (k->state != CRON_RUNNING || k->tell_run)
        return 0;
    buf_reset(&k->result);
    buf_printf(&k->result,
               "{\"state\":\"done\",\"attempt\":%" PRId64 ",\"began\":%" PRId64 ",\"ended\":%" PRId64
               ",\"token\":%" PRId64,
               k->run.attempt, k->began_ms, wall_at(k, now), k->run.token);
    if (k->who.len)
        buf_printf(&k->result, ",%.*s", (int)k->who.len, (const char *)k->who.data);
    if (result.len)
        buf_printf(&k->result, ",%.*s", (int)result.len, (const char *)result.data);
    buf_append(&k->result, "}", 1);
    if (buf_error(&k->result))
        return buf_error(&k->result);
    k->state = CRON_ENDING;
    k->rest_until = 0;
    write_result(k, now);
    return 0;
}

void cron_give_back(struct cron *k, tn_ms now)
{
    if (k->state != CRON_RUNNING)
        return;
    k->tell_run = false;
    k->gives_back = true;
    k->state = CRON_ENDING;
    k->rest_until = 0;
    write_result(k, now);
}

/* ---- the view ---- */

/* Our run key may be gone: somebody ended it. */
static void check_run(struct cron *k, const struct view_change *changes, size_t n)
{
    struct tenure_error why;
    int64_t t;
    for (size_t i = 0; i < n && k->state == CRON_RUNNING; i++)
        if (!changes[i].now && changes[i].was->create_revision == k->run.token &&
            is_below(k, changes[i].was, "run", &t)) {
            error_set(&why, TENURE_ELOST, "somebody deleted the key of the run");
            lost(k, &why);
        }
}

static void on_change(void *user, tn_rev revision, const struct view_change *changes, size_t n)
{
    struct cron *k = user;
    struct session *s = k->object.session;
    tn_ms now = client_now(k->client);
    (void)revision;
    k->listed = true;
    check_run(k, changes, n);
    consider(k, now);
    finish_if_stopping(k, now);
    if (s)
        session_flush(s);
}

static void on_view_end(void *user, int code, const struct tenure_error *error)
{
    struct cron *k = user;
    struct session *s = k->object.session;
    ended(k, code, error, client_now(k->client));
    if (s)
        session_flush(s);
}

/* ---- the session ---- */

static void cron_on_alive(struct session_object *o, tn_ms now)
{
    consider(cron_of(o), now);
}

static void cron_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct cron *k = cron_of(o);
    commit_drop(&k->commit, now);
    if (k->state == CRON_OVER)
        return;
    if (k->state == CRON_RUNNING || k->state == CRON_ENDING)
        lost(k, why);
    k->state = CRON_IDLE;
    k->why = *why;
    k->tell_adrift = !k->stopping;
    finish_if_stopping(k, now);
    session_post(o);
}

static void cron_on_dropped(struct session_object *o)
{
    struct cron *k = cron_of(o);
    commit_drop(&k->commit, client_now(k->client));
    k->marks = marks_unref(k->marks);
}

static void cron_deliver(struct session_object *o)
{
    struct cron *k = cron_of(o);
    struct cron_run run = k->tell_run ? k->run : k->lost_run;
    struct tenure_error why = k->why;
    if (k->tell_run + k->tell_lost + k->tell_adrift + k->tell_end > 1)
        session_post(o);
    if (k->tell_run) {
        k->tell_run = false;
        k->cb.on_run(k->user, &run);
    } else if (k->tell_lost) {
        k->tell_lost = false;
        if (k->cb.on_lost)
            k->cb.on_lost(k->user, &run, &why);
    } else if (k->tell_adrift) {
        k->tell_adrift = false;
        session_detach(o);
        k->marks = marks_unref(k->marks);
        k->cb.on_adrift(k->user, &why);
    } else if (k->tell_end) {
        k->tell_end = false;
        k->cb.on_end(k->user, k->end_code, k->end_code ? &why : NULL);
    }
}

static const struct session_object_ops cron_ops = {
    .on_alive = cron_on_alive, .on_ended = cron_on_ended, .on_dropped = cron_on_dropped, .deliver = cron_deliver};

int cron_attach(struct cron *k, struct session *s, struct marks *m, tn_ms now)
{
    assert(!k->object.session);
    if (!session_is_open(s, now))
        return TENURE_ELOST;
    if (session_attach(s, &k->object, &cron_ops))
        return TENURE_ENOMEM;
    k->marks = marks_ref(m);
    consider(k, now);
    return 0;
}

/* ---- life ---- */

int cron_start(struct client *c, bytes path, const struct cron_options *opt, const struct cron_callbacks *cb,
               void *user, tn_ms now, int64_t wall_ms, struct cron **ret, struct tenure_error *err)
{
    static const struct view_callbacks view_cb = {.on_change = on_change, .on_end = on_view_end};
    struct cron *k = calloc(1, sizeof *k + path.len + opt->who.len);
    if (!k)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    memcpy(k->memory, path.data, path.len);
    if (opt->who.len)
        memcpy(k->memory + path.len, opt->who.data, opt->who.len);
    k->client = c;
    k->opt = *opt;
    k->path = bytes_of(k->memory, path.len);
    k->who = bytes_of(k->memory + path.len, opt->who.len);
    k->cb = *cb;
    k->user = user;
    k->now_seen = now;
    k->wall_seen = wall_ms;
    k->floor = schedule_last(&opt->schedule, wall_ms / 1000);
    k->look_at = TN_MS_NEVER;
    backoff_init(&k->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&k->rng, client_random(c));
    buf_init(&k->result);
    struct buf dir;
    uint8_t end[8192];
    buf_init(&dir);
    buf_append_bytes(&dir, path);
    buf_append(&dir, "/", 1);
    bytes key = buf_bytes(&dir);
    int rc = buf_error(&dir);
    if (rc)
        error_set(err, rc, "out of memory");
    else
        rc = view_start(c, (struct key_range){key, bytes_of(end, bytes_prefix_end(key, end))}, &view_cb, k, now,
                        &k->view, err);
    buf_fini(&dir);
    if (rc) {
        cron_free(k);
        return rc;
    }
    *ret = k;
    return 0;
}

bool cron_stop(struct cron *k, tn_ms now)
{
    if (k->stopping)
        return k->state == CRON_OVER && !k->tell_end;
    k->stopping = true;
    k->view = view_stop(k->view, now);
    k->look_at = next_look(k, now);
    k->tell_adrift = false;
    if (!k->object.session) {
        k->state = CRON_OVER;
        return true;
    }
    if (k->state == CRON_OVER)
        return !k->tell_end;
    if (k->tell_run)
        cron_give_back(k, now);
    finish_if_stopping(k, now);
    return false;
}

struct cron *cron_free(struct cron *k)
{
    if (!k)
        return NULL;
    tn_ms now = client_now(k->client);
    view_stop(k->view, now);
    commit_drop(&k->commit, now);
    session_detach(&k->object);
    marks_unref(k->marks);
    buf_fini(&k->result);
    free(k);
    return NULL;
}

tn_ms cron_deadline(const struct cron *k)
{
    if (k->state == CRON_OVER)
        return TN_MS_NEVER;
    tn_ms list_at = k->view ? view_deadline(k->view) : TN_MS_NEVER;
    return list_at < k->look_at ? list_at : k->look_at;
}

void cron_tick(struct cron *k, tn_ms now, int64_t wall_ms)
{
    struct session *s = k->object.session;
    k->now_seen = now;
    k->wall_seen = wall_ms;
    if (k->view)
        view_tick(k->view, now);
    if (now >= k->look_at && k->state != CRON_OVER)
        consider(k, now);
    if (s)
        session_flush(s);
}

bool cron_running(const struct cron *k, tn_ms now)
{
    return k->state == CRON_RUNNING && k->object.session && session_valid(k->object.session, now);
}

bool cron_awaits_done(const struct cron *k)
{
    return k->state == CRON_RUNNING;
}

int64_t cron_next(const struct cron *k, int64_t wall_ms)
{
    return schedule_next(&k->opt.schedule, wall_ms / 1000);
}
