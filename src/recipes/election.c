/* An election: see election.h. A lock whose key carries the proposal, on a session of its own; the machine here opens one
 * campaign after the other.
 *
 * A campaign is a session and a lock, asked for together. It ends in leadership, or in an error: one that may pass (no
 * server, lease lost, own key deleted) leads to the next campaign after a pause that grows, with jitter, so that the losers
 * of one failure do not come back as one; one that will not pass (denied, a name that cannot be) ends the election.
 *
 * Leadership ends with the lock: at safe-until, or when the own key was deleted. The lease of a lost session is left to
 * its end; the next campaign's key stands behind it until then. Stopping releases the lock by its own create_revision,
 * tried until the answer is definite or the lease has ended, and revokes the session.
 */
#include "recipes/election.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "recipes/home.h"
#include "recipes/proclaim.h"
#include "recipes/queue.h"
#include "recipes/takeover.h"

enum { AGAIN_MIN_MS = 100, AGAIN_MAX_MS = 5000, PROPOSAL_MAX = 64 * 1024 };

struct election {
    struct client *client;
    struct election_callbacks cb;
    void *user;
    char *prefix, *name, *path;
    struct buf proposal, note;
    int64_t preference, ttl_s, wait_ms;
    bool once, homed, broken_skip_verify, broken_proud, broken_meek, broken_unguarded;
    bool borrows; /* the session: neither opened, ticked, closed nor freed here */

    enum election_state state;
    struct session *session; /* of the campaign; of its own: NULL in a pause, or when stopped */
    struct lock *lock;
    int64_t token;             /* of the current or last leadership */
    tn_rev mod;                /* of the own key while leading; what a proclaim is guarded by */
    struct takeover *takeover; /* before the first campaign */
    tn_lease resume_lease;
    tn_rev resume_token;
    bool (*is_gone)(void *user, bytes note);
    bool resumes; /* the place is ours: the next campaign takes it up */
    struct proclaim *proclaim;
    struct buf proclaimed; /* what it proposes */

    tn_ms wait_until; /* for the first leadership; TN_MS_NEVER = without end */
    tn_ms again_at;   /* the next campaign; TN_MS_NEVER = none */
    struct backoff backoff;
    struct rng rng;

    struct tenure_error error; /* why the last campaign failed; then why it ended */
    int stop_code;
    bool tell_resigned, tell_stopped;
    bool ticking, free_later;
};

/* Next: CAMPAIGNING: LEADING when the lock is held; RESIGNING when stopped or too late; STOPPED when it failed for good.
 *       LEADING:     CAMPAIGNING when lost, or STOPPED with `once`; RESIGNING when stopped.
 *       RESIGNING:   STOPPED when the session has closed. */
static void election_move(struct election *e, enum election_state to)
{
    static const unsigned allowed[] = {
        [ELECTION_STOPPED] = 0,
        [ELECTION_CAMPAIGNING] = 1u << ELECTION_LEADING | 1u << ELECTION_RESIGNING | 1u << ELECTION_STOPPED,
        [ELECTION_LEADING] = 1u << ELECTION_CAMPAIGNING | 1u << ELECTION_RESIGNING | 1u << ELECTION_STOPPED,
        [ELECTION_RESIGNING] = 1u << ELECTION_STOPPED,
    };
    assert(allowed[e->state] & 1u << to);
    e->state = to;
}

/* ---- ends ---- */

/* Drops what the campaign has. A session that lives is closed, and its revoke not waited for. */
static void retire(struct election *e, tn_ms now)
{
    e->lock = lock_free(e->lock);
    if (e->borrows)
        return;
    if (e->session && session_state(e->session) != SESSION_LOST)
        session_close(e->session, now);
    e->session = session_free(e->session);
}

static void stopped(struct election *e, int code)
{
    election_move(e, ELECTION_STOPPED);
    e->stop_code = code;
    e->tell_stopped = true;
    e->again_at = e->wait_until = TN_MS_NEVER;
}

/* From CAMPAIGNING or LEADING, or for the one who waits in vain. Its end is on_session_closed. */
static void resign(struct election *e, int code, tn_ms now)
{
    bool led = e->state == ELECTION_LEADING;
    takeover_drop(&e->takeover, now);
    election_move(e, ELECTION_RESIGNING);
    e->again_at = e->wait_until = TN_MS_NEVER;
    e->stop_code = code;
    e->tell_resigned = led;
    if (led)
        lock_release(e->lock, now);
    else if (e->borrows && e->lock)
        lock_cancel(e->lock, now); /* its end is on_acquired */
    else if (e->session && !e->borrows)
        session_close(e->session, now);
    else
        stopped(e, code);
}

static void campaign_again_later(struct election *e, tn_ms now)
{
    e->again_at = now + backoff_failure(&e->backoff, &e->rng);
}

/* A borrowed session is not replaced. */
static bool session_is_over(const struct election *e)
{
    enum session_state state = e->borrows ? session_state(e->session) : SESSION_ALIVE;
    return state != SESSION_STARTING && state != SESSION_ALIVE;
}

static bool fails_for_good(const struct election *e, int code)
{
    enum tenure_kind kind = tenure_error_kind(code);
    return session_is_over(e) || kind == TENURE_KIND_USAGE || kind == TENURE_KIND_DENIED || code == TENURE_ECLOSED ||
           code == TENURE_ETOOLARGE;
}

/* It may be the note, or the ranks, that is denied: a user may have rights on the candidates' keys and no others. */
static bool goes_on_without_note(struct election *e, int code)
{
    if (tenure_error_kind(code) != TENURE_KIND_DENIED || e->note.len == 0 || session_is_over(e))
        return false;
    buf_reset(&e->note);
    e->preference = 0;
    return true;
}

/* By a server that does not answer, or by its home. */
static void refused(struct election *e, int code, tn_ms now)
{
    campaign_again_later(e, now);
    if (code == TENURE_ECONFLICT && e->cb.on_refused)
        e->cb.on_refused(e->user, &e->error);
}

static void campaign_failed(struct election *e, int code, const struct tenure_error *error, tn_ms now)
{
    e->error = *error;
    retire(e, now);
    if (goes_on_without_note(e, code))
        e->again_at = now;
    else if (fails_for_good(e, code))
        stopped(e, code);
    else
        refused(e, code, now);
}

/* ---- the session and the lock tell ---- */

static void on_session_closed(void *user, int code)
{
    struct election *e = user;
    if (e->state != ELECTION_RESIGNING)
        return;
    if (e->stop_code == 0 && code != 0) {
        e->stop_code = code;
        error_set(&e->error, code, "election '%.100s': resigned, but no server confirmed it; the lease ends by itself",
                  e->path);
    }
    e->lock = lock_free(e->lock);
    e->session = session_free(e->session);
    stopped(e, e->stop_code);
}

/* The place on a borrowed session is given back, or on its way. */
static void left_borrowed(struct election *e)
{
    e->lock = lock_free(e->lock);
    stopped(e, e->stop_code);
}

static tn_rev create_of(const struct election *e, int64_t token)
{
    return e->homed ? home_token_revision(token) : token;
}

static void gained(struct election *e, int64_t token)
{
    election_move(e, ELECTION_LEADING);
    e->token = token;
    e->mod = create_of(e, token);
    e->wait_until = TN_MS_NEVER;
    backoff_success(&e->backoff);
    if (e->cb.on_gained)
        e->cb.on_gained(e->user, token);
}

static void on_acquired(void *user, int code, int64_t token, const struct tenure_error *error)
{
    struct election *e = user;
    if (e->state == ELECTION_RESIGNING) {
        if (e->borrows)
            left_borrowed(e);
        return; /* else the closing session ended the acquire */
    }
    if (code == 0)
        gained(e, token);
    else
        campaign_failed(e, code, error, client_now(e->client));
}

static void on_lost(void *user, const struct tenure_error *why)
{
    struct election *e = user;
    struct tenure_error lost = *why;
    if (e->state != ELECTION_LEADING)
        return;
    tn_ms now = client_now(e->client);
    retire(e, now);
    e->error = lost;
    if (e->once || session_is_over(e)) {
        stopped(e, lost.code);
    } else {
        election_move(e, ELECTION_CAMPAIGNING);
        campaign_again_later(e, now);
    }
    if (e->cb.on_lost)
        e->cb.on_lost(e->user, &lost);
}

/* The lock is freed, or the lease has ended or will by itself: in each case the session can go. */
static void on_released(void *user, int code)
{
    struct election *e = user;
    (void)code;
    if (e->state != ELECTION_RESIGNING)
        return;
    if (e->borrows)
        left_borrowed(e);
    else
        session_close(e->session, client_now(e->client));
}

/* ---- campaigning ---- */

static int open_campaign(struct election *e, tn_ms now, struct tenure_error *err)
{
    static const struct session_callbacks session_cb = {.on_closed = on_session_closed};
    static const struct lock_callbacks lock_cb = {
        .on_acquired = on_acquired, .on_lost = on_lost, .on_released = on_released};
    struct session_options session_opt = {.ttl_s = e->resumes ? 0 : e->ttl_s,
                                          .resume = e->resumes ? e->resume_lease : 0};
    struct lock_options lock_opt = {.prefix = e->prefix,
                                    .value = buf_bytes(&e->proposal),
                                    .note = buf_bytes(&e->note),
                                    .ranked = e->note.len > 0,
                                    .preference = e->preference,
                                    .resume = e->resumes ? create_of(e, e->resume_token) : 0,
                                    .homed = e->homed,
                                    .broken_skip_verify = e->broken_skip_verify,
                                    .broken_proud = e->broken_proud,
                                    .broken_meek = e->broken_meek};
    e->resumes = false;
    int rc = e->borrows ? 0 : session_open(e->client, &session_opt, &session_cb, e, now, &e->session, err);
    if (rc == 0)
        rc = lock_new(e->session, e->name, &lock_opt, &lock_cb, e, &e->lock, err);
    return rc ? rc : lock_acquire(e->lock, now, err);
}

static void campaign(struct election *e, tn_ms now)
{
    struct tenure_error err;
    e->again_at = TN_MS_NEVER;
    int rc = open_campaign(e, now, &err);
    if (rc)
        campaign_failed(e, rc, &err, now);
}

/* ---- what an earlier process led ---- */

/* Ours or not: a campaign now, but that one begins with a place. */
static void on_taken_over(void *user, int code)
{
    struct election *e = user;
    e->resumes = code == 0;
    campaign(e, client_now(e->client));
}

static bool is_gone(void *user, bytes note)
{
    struct election *e = user;
    return e->is_gone(e->user, note);
}

static int take_over(struct election *e, tn_ms now, struct tenure_error *err)
{
    struct queue q;
    struct takeover_callbacks cb = {.is_gone = e->is_gone ? is_gone : NULL, .on_done = on_taken_over};
    if (queue_init(&q, e->path, NULL, e->resume_lease))
        return error_set(err, TENURE_ENOMEM, "election: out of memory");
    struct takeover_place place = {.key = q.own,
                                   .words = q.who,
                                   .lease = e->resume_lease,
                                   .create = create_of(e, e->resume_token),
                                   .broken_unguarded = e->broken_unguarded};
    int rc = takeover_start(&e->takeover, e->client, &place, buf_bytes(&e->note), &cb, e, now, err);
    queue_fini(&q);
    return rc;
}

/* ---- proclaiming ---- */

/* What is proposed is also what the next campaign proposes. */
static void on_proclaim_ended(void *owner, tn_rev mod)
{
    struct election *e = owner;
    struct buf old = e->proposal;
    if (mod == 0)
        return;
    e->proposal = e->proclaimed;
    e->proclaimed = old;
    e->mod = mod;
}

static int check_proclaim(const struct election *e, bytes proposal, tn_ms now, struct tenure_error *err)
{
    if (!election_leads(e, now))
        return error_set(err, TENURE_ENOTHELD, "proclaim: '%.100s' is not led by this candidate", e->path);
    if (e->proclaim)
        return error_set(err, TENURE_EBUSY, "proclaim: another one is under way");
    if (proposal.len > PROPOSAL_MAX)
        return error_set(err, TENURE_ETOOLARGE, "proclaim: the proposal has over %d bytes", PROPOSAL_MAX);
    return 0;
}

int election_proclaim(struct election *e, bytes proposal, client_done_cb cb, void *user, tn_ms now,
                      struct tenure_error *err)
{
    int rc = check_proclaim(e, proposal, now, err);
    if (rc)
        return rc;
    buf_reset(&e->proclaimed);
    buf_append_bytes(&e->proclaimed, proposal);
    if (buf_error(&e->proclaimed))
        return error_set(err, TENURE_ENOMEM, "proclaim: out of memory");
    struct proclaim_place place = {
        .path = e->path, .lease = session_lease(e->session), .create = create_of(e, e->token), .mod = e->mod};
    return proclaim_start(&e->proclaim, e->client, &place, proposal, on_proclaim_ended, e, cb, user, now, err);
}

struct proclaim *election_proclaiming(const struct election *e)
{
    return e->proclaim;
}

/* ---- life ---- */

static int check_options(const char *prefix, const char *name, const struct election_options *opt,
                         struct tenure_error *err)
{
    int rc = queue_check_name(prefix, name, err);
    if (rc)
        return error_wrap(err, "election");
    if (opt->ttl_s != 0 && (opt->ttl_s < 2 || opt->ttl_s > LEASE_TTL_MAX_S))
        return error_set(err, TENURE_EINVALID, "election: a TTL of %" PRId64 " s is not within 2 to 9,000,000,000",
                         opt->ttl_s);
    if (opt->wait_ms < 0)
        return error_set(err, TENURE_EINVALID, "election: a waiting time below 0");
    if (opt->proposal.len > PROPOSAL_MAX)
        return error_set(err, TENURE_ETOOLARGE, "election: the proposal has over %d bytes", PROPOSAL_MAX);
    if (!opt->resume_lease != !opt->resume_token || opt->resume_token < 0)
        return error_set(err, TENURE_EINVALID, "election: to resume it takes a lease and a token");
    if (opt->resume_lease && (opt->session || opt->note.len == 0))
        return error_set(err, TENURE_EINVALID, "election: what is resumed has a session of its own, and a note");
    if (opt->preference && opt->note.len == 0)
        return error_set(err, TENURE_EINVALID, "election: a preference belongs to a note");
    return 0;
}

static int copy_names(struct election *e, const char *prefix, const char *name)
{
    size_t prefix_size = strlen(prefix) + 1, name_size = strlen(name) + 1;
    e->prefix = malloc(prefix_size);
    e->name = malloc(name_size);
    e->path = malloc(prefix_size + name_size);
    if (!e->prefix || !e->name || !e->path)
        return TENURE_ENOMEM;
    memcpy(e->prefix, prefix, prefix_size);
    memcpy(e->name, name, name_size);
    snprintf(e->path, prefix_size + name_size, "%s%s", prefix, name);
    return 0;
}

static void election_init(struct election *e, struct client *c, const struct election_options *opt, tn_ms now)
{
    e->client = c;
    e->state = ELECTION_CAMPAIGNING;
    e->preference = opt->preference;
    e->broken_proud = opt->broken_proud;
    e->broken_meek = opt->broken_meek;
    e->broken_unguarded = opt->broken_unguarded;
    e->ttl_s = opt->ttl_s;
    e->wait_ms = opt->wait_ms;
    e->once = opt->once;
    e->homed = opt->homed;
    e->session = opt->session;
    e->borrows = opt->session != NULL;
    e->resume_lease = opt->resume_lease;
    e->resume_token = opt->resume_token;
    e->is_gone = opt->is_gone;
    e->broken_skip_verify = opt->broken_skip_verify;
    e->wait_until = opt->wait_ms && opt->wait_ms < TN_MS_NEVER - now ? now + opt->wait_ms : TN_MS_NEVER;
    e->again_at = TN_MS_NEVER;
    buf_init(&e->proposal);
    buf_init(&e->note);
    buf_init(&e->proclaimed);
    backoff_init(&e->backoff, AGAIN_MIN_MS, AGAIN_MAX_MS);
    rng_init(&e->rng, client_random(c));
}

int election_start(struct client *c, const char *name, const struct election_options *opt,
                   const struct election_callbacks *cb, void *user, tn_ms now, struct election **ret,
                   struct tenure_error *err)
{
    static const struct election_options none;
    static const struct election_callbacks silent;
    opt = opt ? opt : &none;
    const char *prefix = opt->prefix ? opt->prefix : "/election/";
    int rc = check_options(prefix, name, opt, err);
    if (rc)
        return rc;
    struct election *e = calloc(1, sizeof *e);
    if (!e)
        return error_set(err, TENURE_ENOMEM, "election: out of memory");
    election_init(e, c, opt, now);
    e->cb = cb ? *cb : silent;
    e->user = user;
    buf_append_bytes(&e->proposal, opt->proposal);
    buf_append_bytes(&e->note, opt->note);
    if (buf_error(&e->proposal) || buf_error(&e->note) || copy_names(e, prefix, name)) {
        election_free(e);
        return error_set(err, TENURE_ENOMEM, "election: out of memory");
    }
    rc = e->resume_lease ? take_over(e, now, err) : open_campaign(e, now, err);
    if (rc) {
        election_free(e);
        return rc;
    }
    *ret = e;
    return 0;
}

void election_stop(struct election *e, tn_ms now)
{
    if (e->state == ELECTION_CAMPAIGNING || e->state == ELECTION_LEADING)
        resign(e, 0, now);
}

struct election *election_free(struct election *e)
{
    if (!e)
        return NULL;
    proclaim_forget(&e->proclaim);
    takeover_drop(&e->takeover, client_now(e->client));
    retire(e, client_now(e->client));
    e->free_later = e->ticking;
    if (e->ticking)
        return NULL;
    buf_fini(&e->proposal);
    buf_fini(&e->note);
    buf_fini(&e->proclaimed);
    free(e->prefix);
    free(e->name);
    free(e->path);
    free(e);
    return NULL;
}

/* ---- asking ---- */

enum election_state election_state(const struct election *e)
{
    return e->state;
}

bool election_leads(const struct election *e, tn_ms now)
{
    return e->state == ELECTION_LEADING && lock_held(e->lock, now);
}

int64_t election_token(const struct election *e)
{
    return e->token;
}

tn_ms election_safe_until(const struct election *e)
{
    return e->state == ELECTION_LEADING ? lock_safe_until(e->lock) : 0;
}

tn_lease election_lease(const struct election *e)
{
    return e->session ? session_lease(e->session) : 0;
}

bytes election_key(const struct election *e)
{
    return e->lock ? lock_key(e->lock) : bytes_of(NULL, 0);
}

/* ---- time ---- */

static tn_ms earlier(tn_ms a, tn_ms b)
{
    return a < b ? a : b;
}

tn_ms election_deadline(const struct election *e)
{
    if (e->tell_resigned || e->tell_stopped)
        return 0;
    tn_ms own = earlier(e->again_at, e->wait_until);
    return e->session && !e->borrows ? earlier(own, session_deadline(e->session)) : own;
}

static void waited_in_vain(struct election *e, tn_ms now)
{
    struct tenure_error last = e->error;
    error_set(&e->error, TENURE_ETIMEOUT, "election '%.100s': not won within %" PRId64 " ms%s%.80s", e->path,
              e->wait_ms, last.code ? "; last: " : "", last.code ? last.text : "");
    resign(e, TENURE_ETIMEOUT, now);
}

static void run_timers(struct election *e, tn_ms now)
{
    if (now >= e->wait_until)
        waited_in_vain(e, now);
    if (now >= e->again_at)
        campaign(e, now);
}

static void tell(struct election *e)
{
    struct tenure_error error = e->error, resigned = {0};
    if (e->tell_resigned) {
        e->tell_resigned = false;
        if (e->cb.on_lost)
            e->cb.on_lost(e->user, &resigned);
    }
    if (e->free_later || !e->tell_stopped)
        return;
    e->tell_stopped = false;
    if (e->cb.on_stopped)
        e->cb.on_stopped(e->user, e->stop_code, e->stop_code ? &error : NULL);
}

void election_tick(struct election *e, tn_ms now)
{
    if (e->ticking)
        return;
    e->ticking = true;
    if (e->session && !e->borrows)
        session_tick(e->session, now);
    if (!e->free_later)
        run_timers(e, now);
    if (!e->free_later)
        tell(e);
    e->ticking = false;
    if (e->free_later)
        election_free(e);
}
