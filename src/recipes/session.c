/* A session: see session.h.
 *
 * Start: the lease id is drawn here, so a grant can be asked for again when its answer was lost: "exists" then means that
 * the first one landed. That lease began at an unknown time, so it is renewed once before it is believed in. "Exists" on
 * the very first try is somebody else's lease: the start fails.
 *
 * Life: the client renews; each answered renewal moves safe-until to its time of sending + TTL - margin. The session does
 * not care why no answer comes. At safe-until it is lost, for good: a later answer is not heard any more. A session that
 * was lost because of silence is not revoked: its lease ends by itself, later than safe-until by the margin, which is the
 * time that everybody has to notice.
 *
 * End: session_close revokes, which deletes all keys of the session in one revision. session_free of a session that was
 * never closed leaves the lease to its TTL.
 */
#include "recipes/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/object.h"
#include "recipes/op.h"

enum { TTL_DEFAULT_S = 10, TTL_MIN_S = 2, START_TIMEOUT_MS = 5000, RETRY_MIN_MS = 25, RETRY_MAX_MS = 1000 };
/* Of a close: with a grant under way, and behind one that was not answered. */
enum { GRANT_PATIENCE_MS = 300, REVOKES_MAX = 4, REVOKE_AGAIN_MS = 50 };

struct session {
    struct client *client;
    struct session_callbacks cb;
    void *user;
    enum session_state state;

    tn_lease lease; /* drawn, or the one to resume; known to others once alive */
    int64_t ttl_s;  /* as asked; as granted once alive */
    bool resumed;
    bool granted; /* was alive once */
    tn_ms safe_until;
    tn_ms suspend_at; /* when it is suspended, if nothing is answered before */
    bool suspended;   /* as told, or about to be */
    int64_t heartbeat_ms;
    tn_ms beat_at; /* the owner's last sign of life */
    bool gated, broken_gate;

    struct op *op;      /* the grant or the one renewal of the start, then the revoke */
    bool granting;      /* op is a grant */
    bool maybe_granted; /* a grant whose answer was lost may have landed or land */
    bool doubtful;      /* see session_began_in_doubt */
    bool leaving;       /* see session_close_soon */
    bool revoking;
    int revokes;        /* that may follow one which found no lease */
    bool lease_is_gone; /* the server said so: nothing to revoke */
    tn_ms start_until;
    tn_ms retry_at; /* of the grant, or of the keepalive; TN_MS_NEVER = nothing to retry */
    void (*retry)(struct session *s, tn_ms now);
    struct backoff backoff;
    struct rng rng;
    struct client_keepalive *keepalive;

    struct list objects; /* struct session_object.in_session */
    struct list due;     /* struct session_object.in_due: posted */
    struct heap timers;

    struct tenure_error why; /* of the loss */
    int closed_code;
    bool tell_alive, tell_lost, tell_closed, tell_suspended;
    bool flushing, free_later;
};

/* Next: STARTING: ALIVE when granted, CLOSING or CLOSED when given up or failed.
 *       ALIVE:    LOST at safe-until or when the lease is gone; CLOSING.
 *       LOST:     CLOSING when the user still closes it, to be rid of the lease sooner.
 *       CLOSING:  CLOSED when the revoke was answered, or was not in time. */
static void session_move(struct session *s, enum session_state to)
{
    static const unsigned allowed[] = {
        [SESSION_STARTING] = 1u << SESSION_ALIVE | 1u << SESSION_CLOSING | 1u << SESSION_CLOSED,
        [SESSION_ALIVE] = 1u << SESSION_LOST | 1u << SESSION_CLOSING,
        [SESSION_LOST] = 1u << SESSION_CLOSING,
        [SESSION_CLOSING] = 1u << SESSION_CLOSED,
        [SESSION_CLOSED] = 0,
    };
    assert(allowed[s->state] & 1u << to);
    s->state = to;
}

int64_t session_margin_ms(int64_t ttl_s)
{
    return 250 + ttl_s * 10;
}

/* A server may answer any number; one above etcd's limit is taken for the limit. */
static int64_t believable_ttl(int64_t ttl_s)
{
    return ttl_s > LEASE_TTL_MAX_S ? LEASE_TTL_MAX_S : ttl_s;
}

static tn_ms safe_until(tn_ms sent_at, int64_t ttl_s)
{
    return sent_at + ttl_s * 1000 - session_margin_ms(ttl_s);
}

/* What was sent then was answered; each only ever moves on. */
static void believe(struct session *s, tn_ms sent_at, int64_t ttl_s)
{
    tn_ms until = safe_until(sent_at, ttl_s), suspend_at = sent_at + ttl_s * 1000 * 2 / 3;
    if (until > s->safe_until)
        s->safe_until = until;
    if (suspend_at > s->suspend_at)
        s->suspend_at = suspend_at;
}

/* ---- objects ---- */

int session_attach(struct session *s, struct session_object *o, const struct session_object_ops *ops)
{
    heap_node_init(&o->timer);
    if (heap_insert(&s->timers, &o->timer, TN_MS_NEVER))
        return TENURE_ENOMEM;
    o->ops = ops;
    o->session = s;
    o->context = client_context_ref(client_context_now(s->client));
    list_push_back(&s->objects, &o->in_session);
    list_init(&o->in_due);
    return 0;
}

void session_detach(struct session_object *o)
{
    if (!o->session)
        return;
    heap_remove(&o->session->timers, &o->timer);
    list_remove(&o->in_session);
    list_remove(&o->in_due);
    o->context = client_context_unref(o->context);
    o->session = NULL;
}

void session_object_set_context(struct session_object *o, struct client_context *x)
{
    client_context_ref(x);
    client_context_unref(o->context);
    o->context = x;
}

struct client_context *session_object_enter(struct session_object *o)
{
    return o->session ? client_context_use(o->session->client, o->context) : NULL;
}

void session_object_exit(struct session_object *o, struct client_context *before)
{
    if (o->session)
        client_context_use(o->session->client, before);
}

/* For what may free the object: its context lives on until this is taken back. */
static struct client_context *enter_held(struct client *c, const struct session_object *o)
{
    return client_context_use(c, client_context_ref(o->context));
}

static void exit_held(struct client *c, struct client_context *before)
{
    client_context_unref(client_context_use(c, before));
}

void session_set_timer(struct session_object *o, tn_ms at)
{
    if (o->session && o->timer.at != at)
        heap_move(&o->session->timers, &o->timer, at);
}

void session_post(struct session_object *o)
{
    if (o->session && list_empty(&o->in_due))
        list_push_back(&o->session->due, &o->in_due);
}

bool session_posted(const struct session_object *o)
{
    return o->session && !list_empty(&o->in_due);
}

struct list *session_objects(struct session *s)
{
    return &s->objects;
}

/* ---- telling ---- */

static bool flush_alive(struct session *s)
{
    if (!s->tell_alive)
        return false;
    s->tell_alive = false;
    if (s->state == SESSION_ALIVE && s->cb.on_alive)
        s->cb.on_alive(s->user, s->lease);
    return true;
}

static bool flush_suspended(struct session *s)
{
    if (!s->tell_suspended)
        return false;
    s->tell_suspended = false;
    if (s->state == SESSION_ALIVE && s->cb.on_suspended)
        s->cb.on_suspended(s->user, s->suspended);
    return true;
}

static bool flush_objects(struct session *s)
{
    if (list_empty(&s->due))
        return false;
    struct session_object *o = LIST_ENTRY(s->due.next, struct session_object, in_due);
    list_remove(&o->in_due);
    struct client *c = s->client; /* the session may be freed as well */
    struct client_context *before = enter_held(c, o);
    o->ops->deliver(o);
    exit_held(c, before);
    return true;
}

static bool flush_end(struct session *s)
{
    if (s->tell_lost) {
        s->tell_lost = false;
        if (s->cb.on_lost)
            s->cb.on_lost(s->user, &s->why);
        return true;
    }
    if (s->tell_closed) {
        s->tell_closed = false;
        if (s->cb.on_closed)
            s->cb.on_closed(s->user, s->closed_code);
        return true;
    }
    return false;
}

void session_flush(struct session *s)
{
    if (s->flushing)
        return;
    struct client *c = s->client;
    struct client_context *before = client_context_use(c, NULL); /* what the session tells belongs to nobody's trace */
    s->flushing = true;
    while (!s->free_later && (flush_alive(s) || flush_suspended(s) || flush_objects(s) || flush_end(s)))
        ;
    s->flushing = false;
    if (s->free_later)
        session_free(s);
    client_context_use(c, before);
}

static bool has_news(const struct session *s)
{
    return !list_empty(&s->due) || s->tell_alive || s->tell_lost || s->tell_closed || s->tell_suspended;
}

/* ---- the end ---- */

static void stop_keepalive(struct session *s, tn_ms now)
{
    if (s->keepalive)
        client_keepalive_stop(s->client, s->keepalive, now);
    s->keepalive = NULL;
    s->retry_at = TN_MS_NEVER;
}

static void stop_renewing(struct session *s, tn_ms now)
{
    stop_keepalive(s, now);
    s->safe_until = s->suspend_at = 0;
    s->suspended = s->gated = s->tell_suspended = false;
}

/* The state was left for good; the objects learn why, oldest first. */
static void end_objects(struct session *s, tn_ms now)
{
    LIST_FOREACH(it, &s->objects)
    {
        struct session_object *o = LIST_ENTRY(it, struct session_object, in_session);
        if (!o->ops->on_ended)
            continue;
        struct client_context *before = enter_held(s->client, o);
        o->ops->on_ended(o, &s->why, now);
        exit_held(s->client, before);
    }
}

static void lose(struct session *s, const struct tenure_error *why, tn_ms now)
{
    s->why = *why;
    stop_renewing(s, now);
    session_move(s, SESSION_LOST);
    s->tell_lost = true;
    end_objects(s, now);
}

static void closed(struct session *s, int code)
{
    session_move(s, SESSION_CLOSED);
    s->closed_code = code;
    s->tell_closed = true;
}

bool session_check(struct session *s, tn_ms now)
{
    if (s->state == SESSION_ALIVE && now >= s->safe_until) {
        struct tenure_error why;
        const struct tenure_error *refusal = client_keepalive_refusal(s->client);
        if (s->gated)
            error_set(&why, TENURE_ELOST,
                      "session %" PRIx64 " lost: the program gave no sign of life for over %" PRId64 " ms",
                      (uint64_t)s->lease, s->heartbeat_ms);
        else if (refusal->code)
            error_set(&why, TENURE_ELOST, "session %" PRIx64 " lost: its renewals were refused: %.160s",
                      (uint64_t)s->lease, refusal->text);
        else
            error_set(&why, TENURE_ELOST,
                      "session %" PRIx64 " lost: no renewal was answered in time (TTL %" PRId64 " s)",
                      (uint64_t)s->lease, s->ttl_s);
        lose(s, &why, now);
    }
    return s->state == SESSION_ALIVE;
}

/* ---- suspended ---- */

static void note_suspended(struct session *s, tn_ms now)
{
    bool suspended = session_suspended(s, now);
    s->tell_suspended = s->tell_suspended != (suspended != s->suspended); /* one that was not told yet is taken back */
    s->suspended = suspended;
}

/* ---- renewing ---- */

static void on_renewed(void *user, tn_ms sent_at, int64_t ttl_s)
{
    struct session *s = user;
    tn_ms now = client_now(s->client);
    if (session_check(s, now)) {
        believe(s, sent_at, believable_ttl(ttl_s));
        if (session_check(s, now))
            note_suspended(s, now);
    }
    session_flush(s);
}

static void on_gone(void *user)
{
    struct session *s = user;
    struct tenure_error why;
    error_set(&why, TENURE_ELOST, "session %" PRIx64 " lost: its lease was revoked, or ended before a renewal arrived",
              (uint64_t)s->lease);
    s->lease_is_gone = true;
    session_give_up(s, &why, client_now(s->client));
    session_flush(s);
}

static void start_renewing(struct session *s, tn_ms now)
{
    static const struct client_keepalive_callbacks cb = {.on_renewed = on_renewed, .on_gone = on_gone};
    tn_ms first_at = s->safe_until + session_margin_ms(s->ttl_s) - s->ttl_s * 1000 * 2 / 3;
    s->keepalive = client_keepalive_start(s->client, s->lease, s->ttl_s, first_at, &cb, s, now, NULL);
    if (s->keepalive)
        return;
    s->retry = start_renewing;
    s->retry_at = now + backoff_failure(&s->backoff, &s->rng);
}

/* ---- the heartbeat gate ---- */

/* When it closes; TN_MS_NEVER = it does not, or is closed already. */
static tn_ms gate_at(const struct session *s)
{
    bool may_close = s->heartbeat_ms > 0 && s->state == SESSION_ALIVE && !s->gated && !s->broken_gate;
    return may_close && s->heartbeat_ms < TN_MS_NEVER - s->beat_at ? s->beat_at + s->heartbeat_ms : TN_MS_NEVER;
}

/* A renewal under way may still be carried out; its answer is not heard. */
static void close_gate(struct session *s, tn_ms now)
{
    s->gated = true;
    stop_keepalive(s, now);
}

void session_beat(struct session *s, tn_ms at, tn_ms now)
{
    if (at > s->beat_at)
        s->beat_at = at;
    if (!s->gated || !session_check(s, now) || now - s->beat_at >= s->heartbeat_ms)
        return;
    s->gated = false;
    start_renewing(s, now);
}

/* ---- starting ---- */

static void grant(struct session *s, tn_ms now);
static void adopt(struct session *s, tn_ms now);

/* A lease that may have been granted, or may still be, is of no use to anybody: its revoke is sent and not waited for. */
static void revoke_unseen(struct session *s, tn_ms now)
{
    struct op *op = NULL;
    struct lease_revoke_req req = {.id = s->lease};
    if (op_lease_revoke(&op, s->client, &req, NULL, NULL, NULL, now, NULL) == 0)
        op_forget(&op);
}

static void start_failed(struct session *s, const struct tenure_error *why, tn_ms now)
{
    s->why = *why;
    s->retry_at = TN_MS_NEVER;
    if (s->maybe_granted)
        revoke_unseen(s, now);
    closed(s, why->code);
    end_objects(s, now);
}

/* r: the answer that proves that the lease lives. When an earlier grant may have landed as well, the lease may have run out
 * and have been granted again under its id, and then the keys put before are gone. */
static void begin_life(struct session *s, const struct client_result *r, int64_t ttl_s, bool first_try, tn_ms now)
{
    s->doubtful = !first_try;
    s->ttl_s = believable_ttl(ttl_s);
    s->safe_until = s->suspend_at = 0;
    believe(s, r->sent_at, s->ttl_s);
    s->maybe_granted = true;
    if (now >= s->safe_until) { /* the answer took as long as the lease lives */
        adopt(s, now);
        return;
    }
    session_move(s, SESSION_ALIVE);
    s->granted = true;
    s->tell_alive = true;
    s->beat_at = now;
    s->retry_at = TN_MS_NEVER;
    backoff_success(&s->backoff);
    start_renewing(s, now);
    LIST_FOREACH(it, &s->objects)
    {
        struct session_object *o = LIST_ENTRY(it, struct session_object, in_session);
        if (!o->ops->on_alive)
            continue;
        struct client_context *before = enter_held(s->client, o);
        o->ops->on_alive(o, now);
        exit_held(s->client, before);
    }
}

static void start_given_up(struct session *s, const struct tenure_error *why, tn_ms now)
{
    s->maybe_granted = s->maybe_granted || (s->op && !s->resumed);
    op_drop(&s->op, now);
    start_failed(s, why, now);
}

void session_give_up(struct session *s, const struct tenure_error *why, tn_ms now)
{
    if (s->state == SESSION_ALIVE)
        lose(s, why, now);
    else if (s->state == SESSION_STARTING)
        start_given_up(s, why, now);
}

static void retry_start(struct session *s, void (*how)(struct session *s, tn_ms now), tn_ms now)
{
    s->retry = how;
    s->retry_at = now + backoff_failure(&s->backoff, &s->rng);
}

static void start_error(struct session *s, const struct client_result *r, void (*again)(struct session *s, tn_ms now))
{
    tn_ms now = client_now(s->client);
    if (op_may_retry(r) && now < s->start_until) {
        s->why = *r->error;
        retry_start(s, again, now);
        return;
    }
    struct tenure_error why = *r->error;
    error_wrap(&why, "session");
    start_failed(s, &why, now);
}

/* session_close came while the start was under way; its call has ended, and with it what there is to revoke is known. */
static void closing_start_ended(struct session *s, const struct client_result *r);

static void on_granted(void *owner, const struct client_result *r)
{
    struct session *s = owner;
    bool first_try = !s->maybe_granted;
    s->granting = false;
    s->maybe_granted = s->maybe_granted || r->code == 0 || op_may_be_applied(r);
    if (s->state == SESSION_CLOSING)
        closing_start_ended(s, r);
    else if (r->code == 0)
        begin_life(s, r, r->grant->ttl_s, first_try, client_now(s->client));
    else if (r->etcd == ETCD_LEASE_EXIST && s->maybe_granted)
        adopt(s, client_now(s->client));
    else
        start_error(s, r, grant);
    session_flush(s);
}

static void adopt_gone(struct session *s, tn_ms now)
{
    struct tenure_error why;
    s->maybe_granted = false;
    s->lease_is_gone = true;
    error_set(&why, s->resumed ? TENURE_ENOTFOUND : TENURE_ELOST, "session: lease %" PRIx64 " does not exist any more",
              (uint64_t)s->lease);
    start_failed(s, &why, now);
}

static void on_adopted(void *owner, const struct client_result *r)
{
    struct session *s = owner;
    tn_ms now = client_now(s->client);
    if (s->state == SESSION_CLOSING)
        closing_start_ended(s, r);
    else if (r->code == 0 && r->keepalive->ttl_s > 0)
        begin_life(s, r, r->keepalive->ttl_s, false, now);
    else if (r->code == 0 || r->etcd == ETCD_LEASE_NOT_FOUND)
        adopt_gone(s, now);
    else
        start_error(s, r, adopt);
    session_flush(s);
}

static struct client_call_options start_options(const struct session *s, tn_ms now)
{
    return (struct client_call_options){.timeout_ms = s->start_until > now ? s->start_until - now : 1};
}

/* A member whose leader has died holds a call back for longer than all of the time, and an election takes less than half of it: so
 * the first try has half, and the next, with the same id, meets the new leader. */
static int try_grant(struct session *s, tn_ms now, struct tenure_error *err)
{
    struct lease_grant_req req = {.ttl_s = s->ttl_s, .id = s->lease};
    struct client_call_options opt = start_options(s, now);
    if (!s->maybe_granted && opt.timeout_ms > 1)
        opt.timeout_ms /= 2;
    int rc = op_lease_grant(&s->op, s->client, &req, &opt, on_granted, s, now, err);
    s->granting = rc == 0;
    return rc;
}

static int try_adopt(struct session *s, tn_ms now, struct tenure_error *err)
{
    struct lease_keepalive_req req = {.id = s->lease};
    struct client_call_options opt = start_options(s, now);
    return op_lease_keepalive_once(&s->op, s->client, &req, &opt, on_adopted, s, now, err);
}

static void grant(struct session *s, tn_ms now)
{
    if (try_grant(s, now, NULL))
        retry_start(s, grant, now);
}

static void adopt(struct session *s, tn_ms now)
{
    if (try_adopt(s, now, NULL))
        retry_start(s, adopt, now);
}

/* Between two tries; a call under way is ended by the client at the same time. */
static void start_timed_out(struct session *s, tn_ms now)
{
    struct tenure_error why;
    error_set(&why, TENURE_ETIMEOUT, "session: no lease was granted in time%s%s", s->why.code ? ": " : "", s->why.text);
    start_failed(s, &why, now);
}

static tn_lease draw_lease(struct client *c)
{
    tn_lease id = 0;
    while (id == 0)
        id = (tn_lease)(client_random(c) & INT64_MAX);
    return id;
}

static int open_check(const struct session_options *opt, struct tenure_error *err)
{
    if (opt->ttl_s != 0 && (opt->ttl_s < TTL_MIN_S || opt->ttl_s > LEASE_TTL_MAX_S))
        return error_set(err, TENURE_EINVALID, "session: a TTL of %" PRId64 " s is not within 2 to 9,000,000,000",
                         opt->ttl_s);
    if (opt->start_timeout_ms < 0)
        return error_set(err, TENURE_EINVALID, "session: a start timeout below 0");
    if (opt->heartbeat_ms < 0)
        return error_set(err, TENURE_EINVALID, "session: a heartbeat below 0");
    return 0;
}

static void session_init(struct session *s, struct client *c, const struct session_options *opt, tn_ms now)
{
    s->client = c;
    s->state = SESSION_STARTING;
    s->ttl_s = opt->ttl_s ? opt->ttl_s : TTL_DEFAULT_S;
    s->heartbeat_ms = opt->heartbeat_ms;
    s->broken_gate = opt->broken_gate;
    s->resumed = opt->resume != 0;
    s->lease = s->resumed ? opt->resume : draw_lease(c);
    s->start_until = now + (opt->start_timeout_ms ? opt->start_timeout_ms : START_TIMEOUT_MS);
    s->retry_at = TN_MS_NEVER;
    backoff_init(&s->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&s->rng, client_random(c));
    list_init(&s->objects);
    list_init(&s->due);
    heap_init(&s->timers);
}

int session_open(struct client *c, const struct session_options *opt, const struct session_callbacks *cb, void *user,
                 tn_ms now, struct session **ret, struct tenure_error *err)
{
    static const struct session_options none;
    static const struct session_callbacks silent;
    int rc = open_check(opt ? opt : &none, err);
    if (rc)
        return rc;
    struct session *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "session: out of memory");
    session_init(s, c, opt ? opt : &none, now);
    s->cb = cb ? *cb : silent;
    s->user = user;
    rc = s->resumed ? try_adopt(s, now, err) : try_grant(s, now, err);
    if (rc) {
        session_free(s);
        return rc;
    }
    *ret = s;
    return 0;
}

/* ---- closing ---- */

static void revoke(struct session *s, tn_ms now);

/* The grant whose answer was not waited for may come behind this revoke. */
static void revoke_again(struct session *s, tn_ms now)
{
    s->retry = revoke;
    s->retry_at = now + ((tn_ms)REVOKE_AGAIN_MS << (REVOKES_MAX - s->revokes));
    s->revokes--;
}

/* Before session_close too: see session_close_soon. */
static void on_revoked(void *owner, const struct client_result *r)
{
    struct session *s = owner;
    int code = r->etcd == ETCD_LEASE_NOT_FOUND ? 0 : r->code;
    s->revoking = false;
    s->lease_is_gone = code == 0;
    if (r->etcd == ETCD_LEASE_NOT_FOUND && s->state == SESSION_CLOSING && s->revokes > 0)
        revoke_again(s, client_now(s->client));
    else if (s->state == SESSION_CLOSING)
        closed(s, code);
    session_flush(s);
}

static void revoke(struct session *s, tn_ms now)
{
    struct tenure_error err;
    struct lease_revoke_req req = {.id = s->lease};
    s->revoking = op_lease_revoke(&s->op, s->client, &req, NULL, on_revoked, s, now, &err) == 0;
    if (!s->revoking && s->state == SESSION_CLOSING)
        closed(s, err.code);
}

static void closing_start_ended(struct session *s, const struct client_result *r)
{
    bool ours = s->maybe_granted || (s->resumed && r->code == 0 && r->keepalive->ttl_s > 0);
    s->retry_at = TN_MS_NEVER;
    s->revokes = !s->resumed && r->code && op_may_be_applied(r) ? REVOKES_MAX : 0;
    if (ours)
        revoke(s, client_now(s->client));
    else
        closed(s, 0);
}

static void end_start(struct session *s, tn_ms now)
{
    op_cancel(&s->op, now); /* its end tells what there is to revoke */
}

/* A grant that was sent is waited for, a little: a server carries out what it is sent at the same time in any order, and a revoke
 * in front of its grant finds nothing, and leaves a lease for all of its TTL, with the keys that were put on it. When it
 * is not answered, a revoke that finds nothing is followed by others. */
static void close_started(struct session *s, tn_ms now)
{
    if (s->op && s->granting && !op_is_unsent(&s->op)) {
        s->retry = end_start;
        s->retry_at = now + GRANT_PATIENCE_MS;
    } else if (s->op) {
        end_start(s, now);
    } else if (s->maybe_granted) {
        s->revokes = REVOKES_MAX;
        revoke(s, now);
    } else {
        closed(s, 0);
    }
}

void session_close_soon(struct session *s, tn_ms now)
{
    if (s->state != SESSION_ALIVE || s->revoking)
        return;
    s->leaving = true;
    stop_keepalive(s, now);
    revoke(s, now);
}

void session_close(struct session *s, tn_ms now)
{
    if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
        return;
    bool was_lost = s->state == SESSION_LOST, was_starting = s->state == SESSION_STARTING;
    stop_renewing(s, now);
    session_move(s, SESSION_CLOSING);
    s->tell_lost = s->tell_alive = false;
    if (was_starting)
        close_started(s, now);
    else if (s->lease_is_gone)
        closed(s, 0);
    else if (!s->revoking)
        revoke(s, now);
    if (was_lost)
        return;
    error_set(&s->why, TENURE_ELOST, "session closed");
    end_objects(s, now);
}

void session_leave(struct session *s, tn_ms now)
{
    if (s->state == SESSION_CLOSING || s->state == SESSION_CLOSED)
        return;
    if (s->state == SESSION_STARTING && !s->resumed) {
        session_close(s, now);
        return;
    }
    bool was_lost = s->state == SESSION_LOST;
    stop_renewing(s, now);
    op_drop(&s->op, now);
    session_move(s, SESSION_CLOSING);
    s->tell_lost = s->tell_alive = false;
    closed(s, 0);
    if (was_lost)
        return;
    error_set(&s->why, TENURE_ELOST, "session left");
    end_objects(s, now);
}

static void drop_objects(struct session *s)
{
    while (!list_empty(&s->objects)) {
        struct session_object *o = LIST_ENTRY(s->objects.next, struct session_object, in_session);
        session_detach(o);
        if (o->ops->on_dropped)
            o->ops->on_dropped(o);
    }
}

struct session *session_free(struct session *s)
{
    if (!s)
        return NULL;
    tn_ms now = client_now(s->client);
    stop_renewing(s, now);
    if (s->state == SESSION_STARTING || s->state == SESSION_ALIVE) {
        error_set(&s->why, TENURE_ECLOSED, "session freed");
        end_objects(s, now);
    }
    drop_objects(s);
    if (s->state == SESSION_CLOSING && !s->revoking && !s->resumed)
        revoke_unseen(s, now); /* the start was cut off, and its end, which would tell, is not waited for */
    if (s->state == SESSION_CLOSING || s->revoking)
        op_forget(&s->op); /* the revoke, if it is that, does its work unseen */
    else
        op_drop(&s->op, now);
    s->free_later = s->flushing;
    if (s->flushing)
        return NULL;
    heap_fini(&s->timers);
    free(s);
    return NULL;
}

/* ---- asking ---- */

enum session_state session_state(const struct session *s)
{
    return s->state;
}

tn_lease session_lease(const struct session *s)
{
    return s->granted ? s->lease : 0;
}

bool session_leaving(const struct session *s)
{
    return s->leaving;
}

bool session_began_in_doubt(const struct session *s)
{
    return s->doubtful;
}

tn_lease session_lease_drawn(const struct session *s)
{
    return s->lease;
}

int64_t session_ttl_s(const struct session *s)
{
    return s->ttl_s;
}

tn_ms session_safe_until(const struct session *s)
{
    return s->state == SESSION_ALIVE ? s->safe_until : 0;
}

bool session_valid(const struct session *s, tn_ms now)
{
    return s->state == SESSION_ALIVE && now < s->safe_until;
}

bool session_is_open(const struct session *s, tn_ms now)
{
    return s->state == SESSION_STARTING || session_valid(s, now);
}

bool session_suspended(const struct session *s, tn_ms now)
{
    return s->state == SESSION_ALIVE && now >= s->suspend_at;
}

tn_ms session_suspended_from(const struct session *s)
{
    return s->state == SESSION_ALIVE ? s->suspend_at : 0;
}

const struct tenure_error *session_why(const struct session *s)
{
    return &s->why;
}

bool session_gated(const struct session *s)
{
    return s->gated;
}

struct client *session_client(const struct session *s)
{
    return s->client;
}

/* ---- time ---- */

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms session_deadline(const struct session *s)
{
    if (has_news(s))
        return 0;
    tn_ms at = s->retry_at;
    if (s->state == SESSION_ALIVE)
        at = earlier(earlier(at, gate_at(s)), s->suspended ? s->safe_until : earlier(s->suspend_at, s->safe_until));
    if (s->state == SESSION_STARTING && !s->op)
        at = earlier(at, s->start_until);
    struct heap_node *first = heap_first(&s->timers);
    return first ? earlier(at, first->at) : at;
}

static void run_timers(struct session *s, tn_ms now)
{
    struct heap_node *first;
    while ((first = heap_first(&s->timers)) && first->at <= now) {
        struct session_object *o = CONTAINER_OF(first, struct session_object, timer);
        heap_move(&s->timers, first, TN_MS_NEVER);
        struct client_context *before = enter_held(s->client, o);
        o->ops->on_timer(o, now);
        exit_held(s->client, before);
    }
}

void session_tick(struct session *s, tn_ms now)
{
    if (session_check(s, now)) {
        note_suspended(s, now);
        if (now >= gate_at(s))
            close_gate(s, now);
    }
    if (s->state == SESSION_STARTING && !s->op && now >= s->start_until)
        start_timed_out(s, now);
    if (now >= s->retry_at) {
        s->retry_at = TN_MS_NEVER;
        s->retry(s, now);
    }
    run_timers(s, now);
    session_flush(s);
}
