/* A key that stands as long as its owner lives, and heals: on a session's lease, put again after somebody deleted it, and on
 * the next session after a loss, with the same key, and where nobody came between with the same create_revision.
 *
 *   ADRIFT --attach--> ENTERING --put--> PRESENT --deleted--> ENTERING        BLOCKED: somebody else has the key, and
 *     ^                  |   ^              |                                 it is waited for until that one goes
 *     |                  v   |              v
 *     +-- the session ended, from all; BLOCKED <-- somebody else wrote it     stop: LEAVING -> ENDED
 *
 * The own key is the one with our create_revision on the lease that we put it on last; so a key that outlived a lost session
 * is moved to the new lease, and nobody else's is taken for ours. Whose it is otherwise is the conflict rule: refuse, take it
 * over (guarded by its create_revision and mod_revision), or wait. Who was taken over does not take it back: it ends, or waits.
 *
 * Every put is a commit (commit.h) that is settled: so when we leave, nothing of ours is still on its way.
 *
 * Somebody may write another value on our lease (an operator's edit): the key is still ours. Whoever asks for on_edited is
 * told that value, once, and may make it the own one by presence_set; otherwise the next put replaces it.
 *
 * Pure: an object on a session, which its owner attaches; when that session ends, on_adrift asks for another one. Thread: the
 * client's. Callbacks come last; each may stop it, and free it when it has ended.
 */
#ifndef RECIPES_PRESENCE_H
#define RECIPES_PRESENCE_H

#include "recipes/commit.h"

enum presence_conflict { PRESENCE_REFUSE, PRESENCE_TAKE_OVER, PRESENCE_WAIT };
enum presence_state {
    PRESENCE_ADRIFT,
    PRESENCE_ENTERING,
    PRESENCE_PRESENT,
    PRESENCE_BLOCKED,
    PRESENCE_LEAVING,
    PRESENCE_ENDED
};

struct presence_options {
    enum presence_conflict conflict;
    bool yield_to_delete; /* somebody who deletes the key ends it (TENURE_ENOTFOUND) instead of being healed */
    bool broken_unguarded, broken_unhealed; /* tests only: puts without a guard; takes no notice of a delete */
};

struct presence_callbacks {
    /* The key stands, with the newest value: at first, after a healing, after a new value. create only changes when the key was
     * gone in between. */
    void (*on_present)(void *user, tn_rev create);
    /* It does not stand, or is somebody else's, and is to be healed. */
    void (*on_absent)(void *user, const struct tenure_error *why);
    /* Somebody wrote this value over ours, on our lease. NULL: it is not looked at. */
    void (*on_edited)(void *user, bytes value);
    /* The session has ended: presence_attach another one. Not after presence_stop. */
    void (*on_adrift)(void *user, const struct tenure_error *why);
    /* The last call. 0 = it was left; else TENURE_EEXISTS (refused), TENURE_ELOST (taken over), TENURE_ENOTFOUND, TENURE_EDENIED,
     * … */
    void (*on_ended)(void *user, int code, const struct tenure_error *why);
};

struct presence;

/* Copies key and value. TENURE_ENOMEM. */
int presence_new(struct client *c, bytes key, bytes value, const struct presence_options *opt,
                 const struct presence_callbacks *cb, void *user, struct presence **ret) MUST_USE;
/* Drops it as it is: the key stands until the lease ends. Stop it first, and wait for on_ended. NULL is fine; NULL. */
struct presence *presence_free(struct presence *p);

/* Only while ADRIFT. m: marks on that session. TENURE_ENOMEM; TENURE_ELOST: the session has ended already. */
int presence_attach(struct presence *p, struct session *s, struct marks *m, tn_ms now) MUST_USE;
/* Another value; the newest one will stand. Copies. TENURE_ENOMEM. */
int presence_set(struct presence *p, bytes value, tn_ms now) MUST_USE;
/* Deletes the key if it is ours; on_ended follows, never within the call. true: it has ended already (it was adrift, or
 * on_ended came before), and no callback comes any more. Idempotent. */
bool presence_stop(struct presence *p, tn_ms now);

enum presence_state presence_state(const struct presence *p);
/* Stands with the newest value, as far as is known, on a session that is valid. */
bool presence_stands(const struct presence *p, tn_ms now);
tn_rev presence_create(const struct presence *p); /* of the own key, as last known; 0 = none */

#endif
