/* See presence.h. */
#include "recipes/presence.h"

#include <assert.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/op.h"
#include "recipes/sweep.h"

enum { COMMIT_MS = 5000, AGAIN_MIN_MS = 20, AGAIN_MAX_MS = 5000 };

struct presence {
    struct session_object object;
    struct client *client;
    struct marks *marks;
    struct presence_options opt;
    struct presence_callbacks cb;
    void *user;
    enum presence_state state;
    bytes key;

    uint8_t *value; /* wanted */
    size_t value_len;
    unsigned wanted, writing,
        standing; /* numbers of values: the newest, of the commit under way, of the one that stands */

    tn_rev create, mod; /* of the own key, as last known; 0 = none */
    tn_lease lease;     /* that it was put on last */
    tn_rev guard;       /* the create_revision that the put under way replaces; 0 = it makes the key */
    tn_rev undone_at;   /* the newest change by somebody else that a watch has told */

    uint8_t
        *edit; /* the newest value by somebody else on our lease, until it is told; NULL = none, or no memory for it */
    size_t edit_len;
    tn_rev edit_mod; /* its revision; what is not newer has been told, or replaced */

    struct commit *commit;
    struct op *op; /* the delete at the end */
    struct client_watch *watch;
    struct backoff backoff;
    struct rng rng;
    bool enter_later; /* the timer is for entering again */

    struct tenure_error why; /* to be told */
    int ended_code;
    bool tell_present, tell_absent, tell_adrift, tell_ended, tell_edited, was_present;
    uint8_t key_data[];
};

static struct presence *presence_of(struct session_object *o)
{
    return CONTAINER_OF(o, struct presence, object);
}

/* Next: ADRIFT: ENTERING, ENDED. ENTERING: PRESENT, BLOCKED, ADRIFT, LEAVING, ENDED. PRESENT: ENTERING, BLOCKED, ADRIFT,
 * LEAVING, ENDED. BLOCKED: ENTERING, ADRIFT, ENDED. LEAVING: ENDED. */
static void presence_move(struct presence *p, enum presence_state to)
{
    static const unsigned allowed[] = {
        [PRESENCE_ADRIFT] = 1u << PRESENCE_ENTERING | 1u << PRESENCE_ENDED,
        [PRESENCE_ENTERING] = 1u << PRESENCE_PRESENT | 1u << PRESENCE_BLOCKED | 1u << PRESENCE_ADRIFT |
                              1u << PRESENCE_LEAVING | 1u << PRESENCE_ENDED,
        [PRESENCE_PRESENT] = 1u << PRESENCE_ENTERING | 1u << PRESENCE_BLOCKED | 1u << PRESENCE_ADRIFT |
                             1u << PRESENCE_LEAVING | 1u << PRESENCE_ENDED,
        [PRESENCE_BLOCKED] = 1u << PRESENCE_ENTERING | 1u << PRESENCE_ADRIFT | 1u << PRESENCE_ENDED,
        [PRESENCE_LEAVING] = 1u << PRESENCE_ENDED,
        [PRESENCE_ENDED] = 0,
    };
    assert(allowed[p->state] & 1u << to);
    p->state = to;
}

/* ---- telling ---- */

static void unwatch(struct presence *p, tn_ms now)
{
    if (p->watch)
        client_watch_stop(p->client, p->watch, now);
    p->watch = NULL;
}

static void note_absent(struct presence *p, const struct tenure_error *why)
{
    p->tell_present = false;
    if (!p->was_present)
        return;
    p->was_present = false;
    p->tell_absent = true;
    p->why = *why;
    session_post(&p->object);
}

static void ended(struct presence *p, int code, const struct tenure_error *why, tn_ms now)
{
    commit_drop(&p->commit, now);
    op_drop(&p->op, now);
    unwatch(p, now);
    presence_move(p, PRESENCE_ENDED);
    p->tell_present = p->tell_absent = p->tell_adrift = p->tell_edited = false;
    p->tell_ended = true;
    p->ended_code = code;
    if (why)
        p->why = *why;
    session_post(&p->object);
}

static void ended_with(struct presence *p, int code, const char *text, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, code, "%.*s: %s", p->key.len < 100 ? (int)p->key.len : 100, (const char *)p->key.data, text);
    ended(p, code, &why, now);
}

/* ---- edits ---- */

static void note_edit(struct presence *p, const struct kv *kv)
{
    if (!p->cb.on_edited || kv->mod_revision <= p->edit_mod)
        return;
    free(p->edit);
    p->edit = malloc(kv->value.len + 1);
    p->edit_len = kv->value.len;
    p->edit_mod = kv->mod_revision;
    if (p->edit && kv->value.len)
        memcpy(p->edit, kv->value.data, kv->value.len);
}

/* Once it is known whether the edit is ours: nothing is under way, and the own put, if one was applied, had revision own. */
static void tell_edit(struct presence *p, tn_rev own)
{
    if (own > p->edit_mod)
        p->edit_mod = own;
    if (own == p->edit_mod) {
        free(p->edit);
        p->edit = NULL;
    }
    if (!p->edit)
        return;
    p->tell_edited = true;
    session_post(&p->object);
}

static void deliver_edit(struct presence *p)
{
    uint8_t *edit = p->edit;
    p->edit = NULL;
    p->tell_edited = false;
    if (edit)
        p->cb.on_edited(p->user, bytes_of(edit, p->edit_len));
    free(edit);
}

/* One at a time, in an order that makes sense. What is told may free p. */
static void presence_deliver(struct session_object *o)
{
    struct presence *p = presence_of(o);
    struct tenure_error why = p->why;
    bool present = p->tell_present, absent = p->tell_absent, adrift = p->tell_adrift, end = p->tell_ended;
    bool edited = p->tell_edited;
    if ((edited && (absent || adrift || present)) || (absent && (present || adrift)) || (adrift && present))
        session_post(o);
    if (edited) {
        deliver_edit(p);
    } else if (absent) {
        p->tell_absent = false;
        if (p->cb.on_absent)
            p->cb.on_absent(p->user, &why);
    } else if (adrift) {
        p->tell_adrift = false;
        session_detach(o);
        p->marks = marks_unref(p->marks);
        p->cb.on_adrift(p->user, &why);
    } else if (present) {
        p->tell_present = false;
        if (p->cb.on_present)
            p->cb.on_present(p->user, p->create);
    } else if (end) {
        p->tell_ended = false;
        p->cb.on_ended(p->user, p->ended_code, p->ended_code ? &why : NULL);
    }
}

/* ---- entering ---- */

static void enter(struct presence *p, tn_ms now);

static void enter_later(struct presence *p, tn_ms now)
{
    if (p->state != PRESENCE_ENTERING)
        presence_move(p, PRESENCE_ENTERING);
    p->enter_later = true;
    session_set_timer(&p->object, now + backoff_failure(&p->backoff, &p->rng));
}

static bool is_ours(const struct presence *p, const struct kv *kv)
{
    return p->create && kv->create_revision == p->create && kv->lease == p->lease;
}

static void watch(struct presence *p, tn_rev from, tn_ms now);

static void stands(struct presence *p, tn_rev create, tn_rev mod, tn_ms now)
{
    p->create = create;
    p->mod = mod;
    p->lease = session_lease(p->object.session);
    p->standing = p->writing;
    if (p->state != PRESENCE_PRESENT)
        presence_move(p, PRESENCE_PRESENT);
    p->was_present = true;
    if (!p->watch)
        watch(p, mod + 1, now);
    if (p->state != PRESENCE_PRESENT)
        return;
    if (p->standing != p->wanted) {
        enter(p, now);
        return;
    }
    p->tell_present = true;
    session_post(&p->object);
}

/* Somebody else's key. */
static void blocked(struct presence *p, const struct kv *kv, tn_rev revision, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_EEXISTS, "%.*s: somebody else has it", p->key.len < 100 ? (int)p->key.len : 100,
              (const char *)p->key.data);
    bool was_ours = p->create != 0 && kv->create_revision == p->create;
    if (was_ours && p->opt.conflict != PRESENCE_WAIT) {
        ended_with(p, TENURE_ELOST, "somebody else took it over", now);
        return;
    }
    if (p->opt.conflict == PRESENCE_REFUSE) {
        ended(p, why.code, &why, now);
        return;
    }
    p->create = p->mod = 0;
    note_absent(p, &why);
    presence_move(p, PRESENCE_BLOCKED);
    if (!p->watch)
        watch(p, revision + 1, now);
}

static void on_put(void *owner, const struct commit_result *r);

/* create 0: the key is made; else it is replaced where it stands at this create and mod. */
static void put(struct presence *p, tn_rev create, tn_rev mod, tn_ms now)
{
    struct compare guards[2] = {{.target = COMPARE_CREATE, .range.key = p->key, .number = create},
                                {.target = COMPARE_MOD, .range.key = p->key, .number = mod}};
    struct request_op write = {
        .kind = OP_PUT,
        .put = {.key = p->key, .value = bytes_of(p->value, p->value_len), .lease = session_lease(p->object.session)}};
    struct request_op look = {.kind = OP_RANGE, .range.range.key = p->key};
    struct txn_req req = {.compares = guards,
                          .n_compares = p->opt.broken_unguarded ? 0
                                        : create                ? 2
                                                                : 1,
                          .success = &write,
                          .n_success = 1,
                          .failure = &look,
                          .n_failure = 1};
    struct commit_options opt = {.until = now + COMMIT_MS, .settle = true};
    p->enter_later = false;
    p->writing = p->wanted;
    p->guard = create;
    if (commit_start(&p->commit, p->client, p->marks, &req, &opt, on_put, p, now, NULL))
        enter_later(p, now); /* or the session ends, which is told otherwise */
}

/* From what is known: the own key, or none. */
static void enter(struct presence *p, tn_ms now)
{
    if (p->commit || !session_is_open(p->object.session, now) || session_state(p->object.session) != SESSION_ALIVE)
        return;
    bool stands_here = p->create && p->lease == session_lease(p->object.session);
    put(p, stands_here ? p->create : 0, stands_here ? p->mod : 0, now);
}

/* The put was refused: the key is not as it was thought to be. */
static void refused(struct presence *p, const struct commit_result *r, tn_ms now)
{
    bool readable = r->n_others == 1 && r->others[0].kind == OP_RANGE;
    const struct kv *kv = readable && r->others[0].range.n_kvs ? &r->others[0].range.kvs[0] : NULL;
    if (!readable || r->revision < p->undone_at) { /* or a watch was faster, and what is seen here has gone */
        enter_later(p, now);
    } else if (!kv) {
        p->create = p->mod = 0;
        put(p, 0, 0, now);
    } else if (is_ours(p, kv)) {
        bool is_news = p->cb.on_edited && kv->mod_revision > p->edit_mod;
        p->mod = kv->mod_revision;
        note_edit(p, kv);
        tell_edit(p, 0);
        if (is_news)
            enter_later(p, now); /* with what its owner makes of it */
        else
            put(p, kv->create_revision, kv->mod_revision, now);
    } else if (p->opt.conflict == PRESENCE_TAKE_OVER && kv->create_revision != p->create) {
        put(p, kv->create_revision, kv->mod_revision, now);
    } else {
        blocked(p, kv, r->revision, now);
    }
}

/* Unless a watch was faster, and told what somebody did behind it. */
static void put_applied(struct presence *p, tn_rev revision, tn_ms now)
{
    if (revision < p->undone_at) {
        enter_later(p, now);
        return;
    }
    backoff_success(&p->backoff);
    tell_edit(p, revision);
    stands(p, p->guard ? p->guard : revision, p->tell_edited ? p->edit_mod : revision, now);
}

static void put_failed(struct presence *p, const struct commit_result *r, tn_ms now)
{
    bool for_good = r->code == TENURE_EDENIED || r->code == TENURE_EINVALID || r->code == TENURE_ETOOLARGE;
    if (for_good)
        ended(p, r->code, r->error, now);
    else
        enter_later(p, now); /* unless the session ends before */
    if (!for_good)
        tell_edit(p, 0);
    if (for_good || !r->lease_is_gone)
        return;
    struct tenure_error why; /* sooner than by its next renewal */
    error_set(&why, TENURE_ELOST, "%.*s: its lease was revoked, or has ended", p->key.len < 100 ? (int)p->key.len : 100,
              (const char *)p->key.data);
    session_give_up(p->object.session, &why, now);
}

static void leave(struct presence *p, tn_ms now);

static void put_while_leaving(struct presence *p, const struct commit_result *r, tn_ms now)
{
    if (r->outcome == COMMIT_APPLIED) {
        p->create = p->guard ? p->guard : r->revision;
        p->lease = session_lease(p->object.session);
    }
    leave(p, now);
}

static void on_put(void *owner, const struct commit_result *r)
{
    struct presence *p = owner;
    struct session *s = p->object.session;
    tn_ms now = client_now(p->client);
    if (p->state == PRESENCE_LEAVING)
        put_while_leaving(p, r, now);
    else if (r->outcome == COMMIT_APPLIED)
        put_applied(p, r->revision, now);
    else if (r->outcome == COMMIT_CONFLICT)
        refused(p, r, now);
    else
        put_failed(p, r, now);
    session_flush(s);
}

/* ---- watching ---- */

static void deleted(struct presence *p, tn_ms now)
{
    struct tenure_error why;
    if (p->opt.broken_unhealed)
        return;
    if (p->state == PRESENCE_BLOCKED) {
        presence_move(p, PRESENCE_ENTERING);
        enter(p, now);
    } else if (p->state == PRESENCE_PRESENT && p->opt.yield_to_delete) {
        ended_with(p, TENURE_ENOTFOUND, "somebody deleted it", now);
    } else if (p->state == PRESENCE_PRESENT) {
        error_set(&why, TENURE_ENOTFOUND, "%.*s: somebody deleted it", p->key.len < 100 ? (int)p->key.len : 100,
                  (const char *)p->key.data);
        p->create = p->mod = 0;
        note_absent(p, &why);
        enter_later(p, now);
    }
}

static void changed(struct presence *p, const struct event *e, tn_ms now)
{
    if (e->kv.mod_revision <= p->mod)
        return;
    if (e->type == EVENT_PUT && is_ours(p, &e->kv)) {
        p->mod = e->kv.mod_revision;
        note_edit(p, &e->kv);
        if (!p->commit) /* or it is what that has just put */
            tell_edit(p, 0);
        return;
    }
    p->undone_at = e->kv.mod_revision;
    if (e->type != EVENT_PUT)
        deleted(p, now);
    else if (p->state == PRESENCE_PRESENT && !p->commit) /* a commit finds out itself */
        blocked(p, &e->kv, e->kv.mod_revision, now);
}

static void on_events(void *user, const struct client_watch_events *e)
{
    struct presence *p = user;
    struct session *s = p->object.session;
    tn_ms now = client_now(p->client);
    for (size_t i = 0; i < e->n_events && p->watch; i++)
        changed(p, &e->events[i], now);
    session_flush(s);
}

static void on_watch_end(void *user, int code, tn_rev compact_revision, const struct tenure_error *error)
{
    struct presence *p = user;
    struct session *s = p->object.session;
    tn_ms now = client_now(p->client);
    (void)compact_revision;
    unwatch(p, now);
    if (code == TENURE_EDENIED)
        ended(p, code, error, now);
    else
        enter_later(p, now); /* the put finds out what was missed */
    session_flush(s);
}

static void watch(struct presence *p, tn_rev from, tn_ms now)
{
    static const struct client_watch_callbacks cb = {.on_events = on_events, .on_end = on_watch_end};
    struct watch_create_req req = {.range.key = p->key, .start_revision = from};
    p->watch = client_watch_start(p->client, &req, &cb, p, now, NULL);
    if (!p->watch)
        enter_later(p, now);
}

/* ---- leaving ---- */

/* The end waits for the answer only as long as a call does; the key is taken away all the same. */
static void not_deleted(struct presence *p, int code, const struct tenure_error *why, tn_ms now)
{
    if (code != TENURE_EDENIED && code != TENURE_ECLOSED && p->lease == session_lease(p->object.session))
        sweep_key(p->object.session, p->key, p->create, now);
    ended(p, code, why, now);
}

static void on_deleted(void *owner, const struct client_result *r)
{
    struct presence *p = owner;
    struct session *s = p->object.session;
    if (r->code)
        not_deleted(p, r->code, r->error, client_now(p->client));
    else
        ended(p, 0, NULL, client_now(p->client));
    session_flush(s);
}

static void leave(struct presence *p, tn_ms now)
{
    struct tenure_error err;
    struct compare guards[2] = {{.target = COMPARE_CREATE, .range.key = p->key, .number = p->create},
                                {.target = COMPARE_LEASE, .range.key = p->key, .number = p->lease}};
    struct request_op delete = {.kind = OP_DELETE, .del.range.key = p->key};
    struct txn_req req = {.compares = guards, .n_compares = 2, .success = &delete, .n_success = 1};
    struct client_call_options opt = {.repeatable = true};
    if (p->create == 0)
        ended(p, 0, NULL, now);
    else if (op_txn(&p->op, p->client, &req, &opt, on_deleted, p, now, &err))
        not_deleted(p, err.code, &err, now);
}

bool presence_stop(struct presence *p, tn_ms now)
{
    if (p->state == PRESENCE_LEAVING || p->state == PRESENCE_ENDED)
        return p->state == PRESENCE_ENDED && !p->tell_ended;
    if (!p->object.session || p->state == PRESENCE_ADRIFT) {
        session_detach(&p->object);
        p->state = PRESENCE_ENDED;
        return true;
    }
    p->tell_present = p->tell_absent = p->tell_edited = false;
    unwatch(p, now);
    if (p->state == PRESENCE_BLOCKED) {
        ended(p, 0, NULL, now);
        return false;
    }
    presence_move(p, PRESENCE_LEAVING);
    session_set_timer(&p->object, TN_MS_NEVER);
    if (p->commit)
        commit_cancel(&p->commit, now);
    else
        leave(p, now);
    return false;
}

/* ---- the session ---- */

static void presence_on_alive(struct session_object *o, tn_ms now)
{
    if (presence_of(o)->state == PRESENCE_ENTERING)
        enter(presence_of(o), now);
}

static void presence_on_ended(struct session_object *o, const struct tenure_error *why, tn_ms now)
{
    struct presence *p = presence_of(o);
    if (p->state == PRESENCE_ENDED || p->state == PRESENCE_ADRIFT)
        return;
    if (p->state == PRESENCE_LEAVING) {
        ended(p, 0, NULL, now); /* with its lease the key goes, too */
        return;
    }
    note_absent(p, why);
    if (!p->commit)
        tell_edit(p, 0);
    commit_drop(&p->commit, now);
    unwatch(p, now);
    presence_move(p, PRESENCE_ADRIFT);
    p->enter_later = false;
    p->tell_present = false;
    p->tell_adrift = true;
    p->why = *why;
    session_post(o);
}

static void presence_on_timer(struct session_object *o, tn_ms now)
{
    struct presence *p = presence_of(o);
    if (p->state == PRESENCE_ENTERING && p->enter_later)
        enter(p, now);
}

static void presence_on_dropped(struct session_object *o)
{
    struct presence *p = presence_of(o);
    tn_ms now = client_now(p->client);
    commit_drop(&p->commit, now);
    op_drop(&p->op, now);
    unwatch(p, now);
    if (p->state != PRESENCE_ENDED)
        p->state = PRESENCE_ADRIFT;
}

static const struct session_object_ops presence_ops = {
    .on_alive = presence_on_alive,
    .on_ended = presence_on_ended,
    .on_timer = presence_on_timer,
    .on_dropped = presence_on_dropped,
    .deliver = presence_deliver,
};

int presence_attach(struct presence *p, struct session *s, struct marks *m, tn_ms now)
{
    assert(p->state == PRESENCE_ADRIFT && !p->object.session);
    if (!session_is_open(s, now))
        return TENURE_ELOST;
    if (session_attach(s, &p->object, &presence_ops))
        return TENURE_ENOMEM;
    p->marks = marks_unref(p->marks);
    p->marks = marks_ref(m);
    presence_move(p, PRESENCE_ENTERING);
    enter(p, now);
    return 0;
}

/* ---- life ---- */

static int take_value(struct presence *p, bytes value)
{
    uint8_t *copy = malloc(value.len + 1);
    if (!copy)
        return TENURE_ENOMEM;
    if (value.len)
        memcpy(copy, value.data, value.len);
    free(p->value);
    p->value = copy;
    p->value_len = value.len;
    p->wanted++;
    return 0;
}

int presence_new(struct client *c, bytes key, bytes value, const struct presence_options *opt,
                 const struct presence_callbacks *cb, void *user, struct presence **ret)
{
    struct presence *p = calloc(1, sizeof *p + key.len);
    if (!p)
        return TENURE_ENOMEM;
    p->client = c;
    p->opt = *opt;
    p->cb = *cb;
    p->user = user;
    p->state = PRESENCE_ADRIFT;
    p->key = bytes_of(p->key_data, key.len);
    if (key.len)
        memcpy(p->key_data, key.data, key.len);
    backoff_init(&p->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&p->rng, client_random(c));
    if (take_value(p, value)) {
        free(p);
        return TENURE_ENOMEM;
    }
    *ret = p;
    return 0;
}

struct presence *presence_free(struct presence *p)
{
    if (!p)
        return NULL;
    tn_ms now = client_now(p->client);
    commit_drop(&p->commit, now);
    op_drop(&p->op, now);
    unwatch(p, now);
    session_detach(&p->object);
    marks_unref(p->marks);
    free(p->value);
    free(p->edit);
    free(p);
    return NULL;
}

int presence_set(struct presence *p, bytes value, tn_ms now)
{
    int rc = take_value(p, value);
    if (rc == 0 && p->state == PRESENCE_PRESENT && p->object.session)
        enter(p, now);
    return rc;
}

enum presence_state presence_state(const struct presence *p)
{
    return p->state;
}

bool presence_stands(const struct presence *p, tn_ms now)
{
    return p->state == PRESENCE_PRESENT && p->standing == p->wanted && p->object.session &&
           session_valid(p->object.session, now);
}

tn_rev presence_create(const struct presence *p)
{
    return p->create;
}
