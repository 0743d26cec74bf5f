/* Leader election in etcd's layout: key `<prefix><name>/<lease hex>`, value = proposal, the lowest create_revision leads.
 * A lock whose key carries a proposal; built on the same queue (src/recipes/queue.h), with proclaim, observe, resign.
 *
 * Preference: whoever would lead while a better one waits lets him pass (rank.h); who leads is not deposed. It belongs to the note:
 * who has none states none, and lets nobody pass.
 *
 * One that resumes takes over the place of an earlier process first (takeover.h); then its first campaign is on that lease.
 *
 * With `again` (the default) a candidate that lost leadership opens a new session and campaigns again until stopped.
 *
 * On a session of the caller's it campaigns as long as that lives, and ends with it: on_lost, then on_stopped with the reason.
 *
 * Pure; callbacks last. Rules M1, M2, M5 to M8, M10, L2, L3.
 */
#ifndef RECIPES_ELECTION_H
#define RECIPES_ELECTION_H

#include "recipes/lock.h"

enum election_state { ELECTION_STOPPED, ELECTION_CAMPAIGNING, ELECTION_LEADING, ELECTION_RESIGNING };

struct election;
struct proclaim;

struct election_callbacks {
    void (*on_gained)(void *user, int64_t token);
    /* At safe-until, network or not; or the own key was deleted. Also before a resign's on_stopped, with why->code 0. */
    void (*on_lost)(void *user, const struct tenure_error *why);
    /* Ended: stopped by the user (0), or it failed for good (code). No callback comes after it. */
    void (*on_stopped)(void *user, int code, const struct tenure_error *error);
    /* Its home gives nothing out now, or is another region: it goes on standing. */
    void (*on_refused)(void *user, const struct tenure_error *error);
};

struct election_options {
    const char *prefix; /* NULL = "/election/" */
    bytes proposal;
    bytes note; /* who it is, put beside the key (queue.h); empty = none. Who may not put it campaigns without */
    int64_t preference; /* higher is better; not without a note */
    int64_t ttl_s;      /* 0 = 10 s; each campaign has a session of its own */
    int64_t wait_ms;    /* for the first leadership; 0 = without end */
    bool once;          /* stop after the first loss instead of campaigning again */
    struct session
        *session; /* borrowed, ticked and closed by its owner, freed after the election; NULL = one of its own */
    /* The leadership of an earlier process, by its lease and token (takeover.h); 0 = none. It takes a note, unlike any other by a
     * mark, as the place is taken by it; no `session`. is_gone: whether the process that wrote a note is gone for sure;
     * NULL: it is. It may not call back. What cannot be resumed is campaigned for like everything else. */
    tn_lease resume_lease;
    tn_rev resume_token;
    bool (*is_gone)(void *user, bytes note);
    bool homed; /* as of a lock (lock.h); then resume_token has an epoch, too */
    bool broken_skip_verify;
    bool broken_proud, broken_meek; /* lock.h */
    bool broken_unguarded;          /* takeover.h */
};

int election_start(struct client *c, const char *name, const struct election_options *opt,
                   const struct election_callbacks *cb, void *user, tn_ms now, struct election **ret,
                   struct tenure_error *err) MUST_USE;
/* Resigns when leading, leaves the queue else; then on_stopped. Bounded. */
void election_stop(struct election *e, tn_ms now);
struct election *election_free(struct election *e); /* after on_stopped; NULL is fine */

enum election_state election_state(const struct election *e);
bool election_leads(const struct election *e, tn_ms now);
int64_t election_token(const struct election *e);
tn_ms election_safe_until(const struct election *e); /* 0 unless leading */
tn_lease election_lease(const struct election *e);
bytes election_key(const struct election *e);
/* Replaces the own proposal while leading: a transaction on the own create_revision. cb as client_done_cb. */
int election_proclaim(struct election *e, bytes proposal, client_done_cb cb, void *user, tn_ms now,
                      struct tenure_error *err) MUST_USE;
/* The proclaim under way (proclaim.h): lives until its cb is called. NULL = none. */
struct proclaim *election_proclaiming(const struct election *e);
tn_ms election_deadline(const struct election *e);
void election_tick(struct election *e, tn_ms now);

/* ---- observing: every leader in token order, the last one always (M10) ---- */
struct observer;
struct observer_callbacks {
    /* kv->key empty: nobody leads at `revision`. Also for a new proposal of the same leader. */
    void (*on_leader)(void *user, const struct kv *kv, tn_rev revision);
    void (*on_end)(void *user, int code, const struct tenure_error *error);
    bool broken_no_list; /* tests only: goes on behind a hole without a fresh list */
};
int observer_start(struct client *c, const char *name, const char *prefix, const struct observer_callbacks *cb,
                   void *user, tn_ms now, struct observer **ret, struct tenure_error *err) MUST_USE;
struct observer *observer_stop(struct observer *o, tn_ms now); /* no callback after it; NULL is fine; NULL */

#endif
