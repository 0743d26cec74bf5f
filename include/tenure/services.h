/* The server's own locks and elections: etcd's v3lock and v3election services, whose queue is kept by the server for the caller
 * of each call.
 *
 * They share their keys (<name>/<lease in hex>) with Go's concurrency package, etcdctl and tenure/lock.h, and stand in one queue
 * with them where the names agree: a tenure_lock "x" has the name "/locks/x" here. What they do not have is what makes those
 * of tenure/lock.h safe: nothing renews the lease, nothing tells of its loss, and a call that was cut leaves its place to be
 * taken away at some time (TENURE_APPLIED_MAYBE). Prefer tenure/lock.h and tenure/election.h; these are for programs that need
 * the server's recipe.
 *
 * Two forms of every call, as in tenure/kv.h, whose rules and common errors apply. Lock and campaign answer when the caller's
 * turn has come; their timeout_ms is how long to wait for it: 0 = the handle's default. ret may be NULL, where
 * only the outcome is asked for. A lease of 0: the server makes one of
 * 60 s, which nobody renews.
 */
#ifndef TENURE_SERVICES_H
#define TENURE_SERVICES_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- locks ---- */
struct tenure_v3_lock {
    struct tenure_bytes key; /* what holds it, until it is deleted or its lease ends */
    int64_t revision;        /* of the answer */
};
void tenure_v3_lock_free(struct tenure_v3_lock *r); /* NULL is fine */
typedef void (*tenure_v3_lock_cb)(void *user, int code, struct tenure_v3_lock *r, const struct tenure_error *err);
/* Waits for the lock and takes it. TENURE_ETIMEOUT, TENURE_ENOTFOUND (no such lease), TENURE_EINVALID (an empty name). */
int tenure_v3_lock(tenure_client *c, struct tenure_bytes name, int64_t lease, int64_t timeout_ms,
                   struct tenure_v3_lock **ret, struct tenure_error *err);
/* As tenure_v3_lock, with a completion. */
int tenure_v3_lock_start(tenure_client *c, struct tenure_bytes name, int64_t lease, int64_t timeout_ms,
                         tenure_v3_lock_cb cb, void *user, struct tenure_error *err);
/* Deletes the key that tenure_v3_lock answered; success also when it is gone already. */
int tenure_v3_unlock(tenure_client *c, struct tenure_bytes key, int64_t timeout_ms, struct tenure_error *err);
/* As tenure_v3_unlock, with a completion, which may be NULL. */
int tenure_v3_unlock_start(tenure_client *c, struct tenure_bytes key, int64_t timeout_ms, tenure_done_cb cb, void *user,
                           struct tenure_error *err);

/* ---- elections ---- */
struct tenure_v3_leader {
    struct tenure_bytes name, key;
    int64_t revision; /* the key's create revision: grows from leader to leader */
    int64_t lease;
};
void tenure_v3_leader_free(struct tenure_v3_leader *r); /* NULL is fine */
typedef void (*tenure_v3_leader_cb)(void *user, int code, struct tenure_v3_leader *r, const struct tenure_error *err);
/* Waits for leadership. What is answered stands for it in tenure_v3_proclaim and tenure_v3_resign. Errors as tenure_v3_lock. */
int tenure_v3_campaign(tenure_client *c, struct tenure_bytes name, int64_t lease, struct tenure_bytes value,
                       int64_t timeout_ms, struct tenure_v3_leader **ret, struct tenure_error *err);
/* As tenure_v3_campaign, with a completion. */
int tenure_v3_campaign_start(tenure_client *c, struct tenure_bytes name, int64_t lease, struct tenure_bytes value,
                             int64_t timeout_ms, tenure_v3_leader_cb cb, void *user, struct tenure_error *err);
/* Replaces the leader's value. TENURE_ECONFLICT: it does not lead any more. */
int tenure_v3_proclaim(tenure_client *c, const struct tenure_v3_leader *leader, struct tenure_bytes value,
                       int64_t timeout_ms, struct tenure_error *err);
/* As tenure_v3_proclaim, with a completion, which may be NULL. */
int tenure_v3_proclaim_start(tenure_client *c, const struct tenure_v3_leader *leader, struct tenure_bytes value,
                             int64_t timeout_ms, tenure_done_cb cb, void *user, struct tenure_error *err);
/* Gives leadership up; success also when it was lost already. */
int tenure_v3_resign(tenure_client *c, const struct tenure_v3_leader *leader, int64_t timeout_ms,
                     struct tenure_error *err);
/* As tenure_v3_resign, with a completion, which may be NULL. */
int tenure_v3_resign_start(tenure_client *c, const struct tenure_v3_leader *leader, int64_t timeout_ms,
                           tenure_done_cb cb, void *user, struct tenure_error *err);
/* Who leads: one key and its value in *ret, freed by tenure_get_free. TENURE_ENOTFOUND: nobody does. */
int tenure_v3_leading(tenure_client *c, struct tenure_bytes name, int64_t timeout_ms, struct tenure_get_result **ret,
                      struct tenure_error *err);
/* As tenure_v3_leading, with a completion. */
int tenure_v3_leading_start(tenure_client *c, struct tenure_bytes name, int64_t timeout_ms, tenure_get_cb cb,
                            void *user, struct tenure_error *err);

typedef struct tenure_v3_observer tenure_v3_observer;
struct tenure_v3_observer_options {
    size_t size;
    /* A leader, or a new value of the same one; borrowed, without a 0 behind. The present one first, none twice in a row. */
    void (*on_leader)(const struct tenure_kv *kv, int64_t revision, void *user);
    /* It ended by itself and calls no more. */
    void (*on_end)(int code, const struct tenure_error *err, void *user);
    void *user;
};
/* Follows who leads until stopped, over any number of connections; callbacks on the loop's thread. NULL on failure. Any
 * handle. */
tenure_v3_observer *tenure_v3_observer_start(tenure_client *c, struct tenure_bytes name,
                                             const struct tenure_v3_observer_options *o, struct tenure_error *err);
/* Ends and frees; no callback comes after it has returned, except to the very callback that called it. NULL is fine. */
void tenure_v3_observer_stop(tenure_v3_observer *o);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
