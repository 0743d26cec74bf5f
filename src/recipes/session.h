/* A session: one lease, renewed while it lives, with an instant up to which it is safe to believe in it.
 *
 * safe-until = the time the last answered renewal (or the grant) was *sent* + TTL - margin; margin = 250 ms + 1 % of the
 * TTL. At safe-until, network or not, the session is lost: every lock and leadership on it is told, in the order of
 * creation, and nothing on it answers "held" from that instant on, even before a callback had its turn.
 *
 *   STARTING --granted--> ALIVE --safe-until passed, or lease gone--> LOST
 *       |                   |                                            |
 *       |                   +---- session_close ----> CLOSING <----------+ session_close
 *       +---- failed, or session_close ---------------> |  --revoked--> CLOSED
 *
 * The lease id is drawn by the client, so a grant whose answer was lost can be asked for again.
 *
 * Suspended: alive, but no renewal sent within the last two thirds of the TTL was answered (one is due each third). What is
 * held is still held; it is a warning, told by on_suspended, and taken back by the next answer.
 *
 * Heartbeat gate: with heartbeat_ms set the session is renewed only while its owner says that he lives (session_beat). When
 * he has not for so long, renewals stop, and go on with his next beat, unless the session is lost by then.
 *
 * Pure: an engine on the client's vocabulary. The driver calls session_tick at session_deadline, before it delivers
 * anything else in that turn; it serves the locks on the session too. Callbacks come from session_tick and client_deliver;
 * each may free or begin anything, the session included. Objects on the session should be closed before it is freed: those
 * that are not are LOST, without a word.
 */
#ifndef RECIPES_SESSION_H
#define RECIPES_SESSION_H

#include "base/list.h"
#include "client/client.h"

enum session_state { SESSION_STARTING, SESSION_ALIVE, SESSION_LOST, SESSION_CLOSING, SESSION_CLOSED };

struct session;

struct session_callbacks {
    void (*on_alive)(void *user, tn_lease lease);
    /* Once; not after session_close. Objects on the session were told first. */
    void (*on_lost)(void *user, const struct tenure_error *why);
    /* The start failed (deadline) or session_close has finished; code 0 when the lease was revoked or never was. */
    void (*on_closed)(void *user, int code);
    /* Alive, but unanswered for a while (true), or answered again (false). */
    void (*on_suspended)(void *user, bool suspended);
};

struct session_options {
    int64_t ttl_s;            /* 2 … 9,000,000,000; 0 = 10 s */
    int64_t start_timeout_ms; /* 0 = the client's call timeout */
    tn_lease resume;          /* an existing lease to take over instead of granting one; 0 = grant */
    int64_t heartbeat_ms;     /* renewals stop when session_beat was not called for so long; 0 = no gate */
    bool broken_gate;         /* tests only: the gate never closes */
};

int64_t session_margin_ms(int64_t ttl_s); /* 250 ms + 1 % */

int session_open(struct client *c, const struct session_options *opt, const struct session_callbacks *cb, void *user,
                 tn_ms now, struct session **ret, struct tenure_error *err) MUST_USE;
/* Revokes the lease (bounded by the client's call timeout), then on_closed. A grant that is under way is waited for first, for
 * 300 ms, and if its end is not known a revoke that finds no lease is followed by four, over 750 ms.
 * Idempotent. */
void session_close(struct session *s, tn_ms now);
/* It will be closed as soon as what was asked of the server a moment ago is answered: the revoke is sent now, behind that,
 * for both to be one write of a server that makes one of them. The session stays what it is, but is not renewed any
 * more; session_close, and its on_closed, still have to come. Nothing when it is not alive. */
void session_close_soon(struct session *s, tn_ms now);
bool session_leaving(const struct session *s); /* it was alive, and session_close_soon called */
/* Ends it without revoking: the lease, and every key on it, stays until its TTL is over, or for one who resumes it. The
 * objects are told that it was closed; on_closed with 0. One that is starting, of a lease of its own, is closed. Idempotent. */
void session_leave(struct session *s, tn_ms now);
struct session *
session_free(struct session *s); /* CLOSED, LOST or never started, or dropped in an emergency; NULL is fine */

enum session_state session_state(const struct session *s);
tn_lease session_lease(const struct session *s); /* 0 before it is granted */
int64_t session_ttl_s(const struct session *s);  /* as granted */
/* The instant from which on nothing is believed; 0 while not alive. */
tn_ms session_safe_until(const struct session *s);
/* Alive and now < safe-until. */
bool session_valid(const struct session *s, tn_ms now);
/* Alive, and unanswered for a while. */
bool session_suspended(const struct session *s, tn_ms now);
/* The instant from which on it is; 0 while not alive. */
tn_ms session_suspended_from(const struct session *s);
/* Why it is LOST or CLOSED. */
const struct tenure_error *session_why(const struct session *s);
/* Its owner lived at `at` (not after now). Nothing without a gate. */
void session_beat(struct session *s, tn_ms at, tn_ms now);
/* The gate is closed: no renewal is sent before the next beat. */
bool session_gated(const struct session *s);
struct client *session_client(const struct session *s);

/* Declares the session lost now (a ghost that cannot be settled, tests). */
void session_give_up(struct session *s, const struct tenure_error *why, tn_ms now);

tn_ms session_deadline(const struct session *s);
void session_tick(struct session *s, tn_ms now);

#endif
