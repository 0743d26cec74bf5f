/* The members of a cluster: who they are, adding, removing, changing, promoting.
 *
 * `tenure serve` is a cluster of one: it lists itself, changes its own peer addresses, and refuses what needs a second
 * member as a cluster refuses what would cost its quorum (TENURE_ECONFLICT, TENURE_ELIMIT).
 *
 * Two forms of every call, as in tenure/kv.h, whose rules and common errors apply: a timeout of 0 is the handle's default;
 * a change whose answer was lost says TENURE_APPLIED_MAYBE, then the list tells. With authentication on, changes need the
 * role root (TENURE_EDENIED).
 */
#ifndef TENURE_CLUSTER_H
#define TENURE_CLUSTER_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct tenure_member {
    uint64_t id;
    const char *name; /* "" = it has not started yet */
    size_t n_peer_urls, n_client_urls;
    const char *const *peer_urls, *const *client_urls;
    bool is_learner; /* follows without a vote */
};
struct tenure_member_list {
    uint64_t cluster_id;
    uint64_t added; /* of tenure_member_add: the new member's id; else 0 */
    size_t n;
    const struct tenure_member *members;
};
void tenure_member_list_free(struct tenure_member_list *r); /* NULL is fine */
typedef void (*tenure_member_list_cb)(void *user, int code, struct tenure_member_list *r,
                                      const struct tenure_error *err);

/* The members. serializable: what the asked member knows, also without a quorum (etcd 3.4 answers so always). */
int tenure_member_list(tenure_client *c, bool serializable, int64_t timeout_ms, struct tenure_member_list **ret,
                       struct tenure_error *err);
/* As tenure_member_list, with a completion. */
int tenure_member_list_start(tenure_client *c, bool serializable, int64_t timeout_ms, tenure_member_list_cb cb,
                             void *user, struct tenure_error *err);

/* Makes a member known, before it is started with these peer addresses: as a voter, or as a learner to be promoted later.
 * ret may be NULL: the members then, and `added`. TENURE_EEXISTS (an address in use), TENURE_ECONFLICT (not enough members
 * started), TENURE_ELIMIT (too many learners), TENURE_EINVALID (no address, or one that cannot be read). */
int tenure_member_add(tenure_client *c, const char *const *peer_urls, size_t n_peer_urls, bool learner,
                      int64_t timeout_ms, struct tenure_member_list **ret, struct tenure_error *err);
/* As tenure_member_add, with a completion, which may be NULL. */
int tenure_member_add_start(tenure_client *c, const char *const *peer_urls, size_t n_peer_urls, bool learner,
                            int64_t timeout_ms, tenure_member_list_cb cb, void *user, struct tenure_error *err);

/* Removes a member for good. ret may be NULL. TENURE_ENOTFOUND, TENURE_ECONFLICT (too few would be left). */
int tenure_member_remove(tenure_client *c, uint64_t id, int64_t timeout_ms, struct tenure_member_list **ret,
                         struct tenure_error *err);
/* As tenure_member_remove, with a completion, which may be NULL. */
int tenure_member_remove_start(tenure_client *c, uint64_t id, int64_t timeout_ms, tenure_member_list_cb cb, void *user,
                               struct tenure_error *err);

/* Replaces a member's peer addresses. ret may be NULL. TENURE_ENOTFOUND, TENURE_EEXISTS, TENURE_EINVALID. */
int tenure_member_update(tenure_client *c, uint64_t id, const char *const *peer_urls, size_t n_peer_urls,
                         int64_t timeout_ms, struct tenure_member_list **ret, struct tenure_error *err);
/* As tenure_member_update, with a completion, which may be NULL. */
int tenure_member_update_start(tenure_client *c, uint64_t id, const char *const *peer_urls, size_t n_peer_urls,
                               int64_t timeout_ms, tenure_member_list_cb cb, void *user, struct tenure_error *err);

/* Makes a learner that has caught up a voter. ret may be NULL. TENURE_ENOTFOUND, TENURE_ECONFLICT (it is no learner, or has
 * not caught up). */
int tenure_member_promote(tenure_client *c, uint64_t id, int64_t timeout_ms, struct tenure_member_list **ret,
                          struct tenure_error *err);
/* As tenure_member_promote, with a completion, which may be NULL. */
int tenure_member_promote_start(tenure_client *c, uint64_t id, int64_t timeout_ms, tenure_member_list_cb cb, void *user,
                                struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
