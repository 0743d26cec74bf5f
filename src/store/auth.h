/* Users, roles and whether they count: the state of authentication as a part of the store. It is changed by commands like
 * the keys are: planned at once, durable when its rows are, undone with the planned tail. Pure.
 *
 * What a user or role is, is kept as etcd's own message (authpb.User, authpb.Role): the same bytes are the value of the
 * row in the log and of the entry in etcd's bucket, so a snapshot copies them. In them, roles of a user are sorted by
 * name, permissions of a role by key.
 *
 * The auth revision begins at 1. Each change raises it by one, but enabling does not, nor does granting a role that is
 * granted.
 *
 * Everything answered here is borrowed until the next call that changes the store. */
#ifndef STORE_AUTH_H
#define STORE_AUTH_H

#include "api/auth.h"
#include "store/store.h"

/* Which point in time: see store.h. */
enum store_view { STORE_DURABLE, STORE_PLANNED };

/* ---- numbers ---- */
bool store_auth_enabled(const struct store *s, enum store_view v);
/* In any view: whether there is anything to check at all. */
bool store_auth_in_use(const struct store *s);
uint64_t store_auth_revision(const struct store *s, enum store_view v);
tn_seq store_auth_seq(const struct store *s); /* of the newest planned row about authentication; 0 = none */
/* Grows with each change that became durable. */
uint64_t store_auth_changes(const struct store *s);
/* The row that enabled it last, at the durable state: tokens given out before count no more. */
tn_seq store_auth_enabled_since(const struct store *s);

/* ---- users and roles, in order of their names ---- */
struct store_user {
    bytes name, hash; /* bcrypt's text; empty: no password fits */
    bool no_password;
    const bytes *roles;
    size_t n_roles;
    tn_seq login;  /* the row that set its password last (within this process) */
    bytes encoded; /* authpb.User */
};
struct store_role {
    bytes name;
    const struct permission *permissions;
    size_t n_permissions;
    bytes encoded; /* authpb.Role */
};
size_t store_users(const struct store *s, enum store_view v);
size_t store_roles(const struct store *s, enum store_view v);
void store_user_at(const struct store *s, enum store_view v, size_t i, struct store_user *ret);
void store_role_at(const struct store *s, enum store_view v, size_t i, struct store_role *ret);
/* False: there is none. */
bool store_user_find(const struct store *s, enum store_view v, bytes name, struct store_user *ret);
bool store_role_find(const struct store *s, enum store_view v, bytes name, struct store_role *ret);
bool store_user_has_role(const struct store_user *u, bytes role);

/* ---- commands, as those of store.h; who may give them is asked before, by store_auth_check_… ---- */
enum etcd_error store_auth_enable(struct store *s, tn_seq *seq) MUST_USE;
enum etcd_error store_auth_disable(struct store *s, tn_seq *seq) MUST_USE;
/* Whether store_user_add would fail now, so that no password is hashed in vain. */
enum etcd_error store_user_can_add(const struct store *s, bytes name) MUST_USE;
enum etcd_error store_user_add(struct store *s, bytes name, bytes hash, bool no_password, tn_seq *seq) MUST_USE;
enum etcd_error store_user_delete(struct store *s, bytes name, tn_seq *seq) MUST_USE;
/* A user without password stays one: its hash stays empty. */
enum etcd_error store_user_set_password(struct store *s, bytes name, bytes hash, tn_seq *seq) MUST_USE;
enum etcd_error store_user_grant_role(struct store *s, const struct user_role_req *req, tn_seq *seq) MUST_USE;
enum etcd_error store_user_revoke_role(struct store *s, const struct user_role_req *req, tn_seq *seq) MUST_USE;
enum etcd_error store_role_add(struct store *s, bytes name, tn_seq *seq) MUST_USE;
/* All users lose it. */
enum etcd_error store_role_delete(struct store *s, bytes name, tn_seq *seq) MUST_USE;
enum etcd_error store_role_grant(struct store *s, const struct role_grant_req *req, tn_seq *seq) MUST_USE;
enum etcd_error store_role_revoke(struct store *s, const struct role_revoke_req *req, tn_seq *seq) MUST_USE;

/* ---- of a source that is followed (store_config.follows) ---- */
struct store_followed_auth {
    bool enabled;
    uint64_t revision;
    const struct store_user *users; /* names and roles, sorted each; their passwords are not known */
    size_t n_users;
    const struct store_role *roles;
    size_t n_roles;
};
/* From now on these are all users and roles, at both points in time; no row is made of it. TENURE_ECORRUPT: they are not sorted, or twice
 * there; TENURE_ENOMEM; nothing was changed then. */
int store_follow_auth(struct store *s, const struct store_followed_auth *f) MUST_USE;

/* ---- what one may do: ETCD_OK also while authentication is off in that view ---- */
enum etcd_error store_auth_check_admin(const struct store *s, enum store_view v, struct auth_user who) MUST_USE;
/* Reading or writing all keys of a range. USER_EMPTY, AUTH_OLD_REVISION, PERMISSION_DENIED. */
enum etcd_error store_auth_check_read(const struct store *s, enum store_view v, struct auth_user who,
                                      struct key_range range) MUST_USE;
enum etcd_error store_auth_check_write(const struct store *s, enum store_view v, struct auth_user who,
                                       struct key_range range) MUST_USE;
/* A whole request; what is wrong with it by itself is told first, as etcd does. Puts and deletes at the planned state. */
enum etcd_error store_auth_check_range(const struct store *s, struct auth_user who, const struct range_req *req)
    MUST_USE;
enum etcd_error store_auth_check_put(const struct store *s, struct auth_user who, const struct put_req *req) MUST_USE;
enum etcd_error store_auth_check_delete(const struct store *s, struct auth_user who, const struct delete_req *req)
    MUST_USE;
/* One that cannot write is judged by the durable state, as it is answered. The arena is for the check of overlaps. */
enum etcd_error store_auth_check_txn(const struct store *s, struct auth_user who, const struct txn_req *req,
                                     struct arena *a) MUST_USE;
/* Reading or writing all keys that are attached to a lease at the planned state; an unknown one has none. */
enum etcd_error store_auth_check_lease_read(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
    MUST_USE;
enum etcd_error store_auth_check_lease_write(const struct store *s, enum store_view v, struct auth_user who,
                                             tn_lease id) MUST_USE;
/* Reading the keys of all leases. */
enum etcd_error store_auth_check_leases_read(const struct store *s, enum store_view v, struct auth_user who) MUST_USE;

#endif
