/* Users, roles and what they may do: the administrator's side. How a program says who it is: tenure/client.h.
 *
 * A user has a password (or only certificates) and roles; a role has permissions on ranges of keys; the role and the user
 * `root` may do everything. While authentication is off nobody is asked and everybody may do everything, these calls
 * included. Switching it on needs a user root with the role root.
 *
 * Each call has a form that blocks, on a handle from tenure_open, from any thread but not from a callback, and one with a
 * completion, `…_start`, for any handle (below). Names and passwords are borrowed for the call. Common errors:
 * TENURE_EDENIED (not logged in, or without the role root), TENURE_EINVALID (an empty name), TENURE_ETIMEOUT,
 * TENURE_EUNAVAILABLE; a change says by tenure_error_applied what became of it. The semantics are etcd's:
 * https://etcd.io/docs/latest/op-guide/authentication/rbac/
 */
#ifndef TENURE_AUTH_H
#define TENURE_AUTH_H

#include <tenure/client.h>
#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- the switch ---- */
/* TENURE_ECONFLICT: there is no user root with the role root. */
int tenure_auth_enable(tenure_client *c, struct tenure_error *err);
int tenure_auth_disable(tenure_client *c, struct tenure_error *err);
/* Both answers may be NULL. The revision grows with each change of users, roles and permissions. etcd 3.4 has no such call:
 * TENURE_EUNIMPLEMENTED. */
int tenure_auth_status(tenure_client *c, bool *ret_enabled, uint64_t *ret_revision, struct tenure_error *err);

/* ---- users ---- */
/* Names in order, one allocation. */
struct tenure_names {
    size_t n;
    const char *const *names;
};
void tenure_names_free(struct tenure_names *r); /* NULL is fine */

/* password: at most 72 bytes; NULL = none: the user comes by certificate only. TENURE_EEXISTS. */
int tenure_user_add(tenure_client *c, const char *name, const char *password, struct tenure_error *err);
int tenure_user_delete(tenure_client *c, const char *name, struct tenure_error *err); /* TENURE_ENOTFOUND */
/* Tokens that the user has end. TENURE_ENOTFOUND. */
int tenure_user_set_password(tenure_client *c, const char *name, const char *password, struct tenure_error *err);
int tenure_user_grant_role(tenure_client *c, const char *name, const char *role, struct tenure_error *err);
/* TENURE_ENOTFOUND (no such user), TENURE_ECONFLICT (the user does not have the role). */
int tenure_user_revoke_role(tenure_client *c, const char *name, const char *role, struct tenure_error *err);
/* The roles of a user. TENURE_ENOTFOUND. Free by tenure_names_free. */
int tenure_user_get(tenure_client *c, const char *name, struct tenure_names **ret, struct tenure_error *err);
/* Free by tenure_names_free. */
int tenure_user_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err);

/* ---- roles ---- */
enum tenure_permission_type { TENURE_READ = 0, TENURE_WRITE = 1, TENURE_READWRITE = 2 };
/* On one key (range_end empty), on [key, range_end), or, with a range_end of one zero byte, on all keys from key on. */
struct tenure_permission {
    enum tenure_permission_type type;
    struct tenure_bytes key, range_end;
};
struct tenure_permissions {
    size_t n;
    const struct tenure_permission *permissions;
};
void tenure_permissions_free(struct tenure_permissions *r); /* NULL is fine */

int tenure_role_add(tenure_client *c, const char *name, struct tenure_error *err);    /* TENURE_EEXISTS */
int tenure_role_delete(tenure_client *c, const char *name, struct tenure_error *err); /* TENURE_ENOTFOUND */
/* What a role may do. TENURE_ENOTFOUND. Free by tenure_permissions_free. */
int tenure_role_get(tenure_client *c, const char *name, struct tenure_permissions **ret, struct tenure_error *err);
/* Free by tenure_names_free. */
int tenure_role_list(tenure_client *c, struct tenure_names **ret, struct tenure_error *err);
/* Which keys: one, those that begin with it (prefix), all from it on (from_key), or [key, range_end). At most one of the
 * three. */
struct tenure_permission_range {
    struct tenure_bytes key;
    bool prefix, from_key;
    struct tenure_bytes range_end;
};
/* A permission on the same range is replaced. TENURE_ENOTFOUND. */
int tenure_role_grant(tenure_client *c, const char *role, enum tenure_permission_type type,
                      const struct tenure_permission_range *range, struct tenure_error *err);
/* The very range that was granted. TENURE_ENOTFOUND (no such role), TENURE_ECONFLICT (no such permission). */
int tenure_role_revoke(tenure_client *c, const char *role, const struct tenure_permission_range *range,
                       struct tenure_error *err);

/* ---- the same without waiting: 0, or why the call could not begin (then cb does not come). Results belong to the callback,
 * which frees them; cb may be NULL where nothing but the end is told. ---- */
typedef void (*tenure_auth_status_cb)(void *user, int code, bool enabled, uint64_t revision,
                                      const struct tenure_error *err);
typedef void (*tenure_names_cb)(void *user, int code, struct tenure_names *r, const struct tenure_error *err);
typedef void (*tenure_permissions_cb)(void *user, int code, struct tenure_permissions *r,
                                      const struct tenure_error *err);
int tenure_auth_enable_start(tenure_client *c, tenure_done_cb cb, void *user,
                             struct tenure_error *err); /* as tenure_auth_enable */
int tenure_auth_disable_start(tenure_client *c, tenure_done_cb cb, void *user,
                              struct tenure_error *err); /* as tenure_auth_disable */
int tenure_auth_status_start(tenure_client *c, tenure_auth_status_cb cb, void *user,
                             struct tenure_error *err); /* as tenure_auth_status */
int tenure_user_add_start(tenure_client *c, const char *name, const char *password, tenure_done_cb cb, void *user,
                          struct tenure_error *err); /* as tenure_user_add */
int tenure_user_delete_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user,
                             struct tenure_error *err); /* as tenure_user_delete */
int tenure_user_set_password_start(tenure_client *c, const char *name, const char *password, tenure_done_cb cb,
                                   void *user, struct tenure_error *err); /* as tenure_user_set_password */
int tenure_user_grant_role_start(tenure_client *c, const char *name, const char *role, tenure_done_cb cb, void *user,
                                 struct tenure_error *err); /* as tenure_user_grant_role */
int tenure_user_revoke_role_start(tenure_client *c, const char *name, const char *role, tenure_done_cb cb, void *user,
                                  struct tenure_error *err); /* as tenure_user_revoke_role */
int tenure_user_get_start(tenure_client *c, const char *name, tenure_names_cb cb, void *user,
                          struct tenure_error *err); /* as tenure_user_get */
int tenure_user_list_start(tenure_client *c, tenure_names_cb cb, void *user,
                           struct tenure_error *err); /* as tenure_user_list */
int tenure_role_add_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user,
                          struct tenure_error *err); /* as tenure_role_add */
int tenure_role_delete_start(tenure_client *c, const char *name, tenure_done_cb cb, void *user,
                             struct tenure_error *err); /* as tenure_role_delete */
int tenure_role_get_start(tenure_client *c, const char *name, tenure_permissions_cb cb, void *user,
                          struct tenure_error *err); /* as tenure_role_get */
int tenure_role_list_start(tenure_client *c, tenure_names_cb cb, void *user,
                           struct tenure_error *err); /* as tenure_role_list */
int tenure_role_grant_start(tenure_client *c, const char *role, enum tenure_permission_type type,
                            const struct tenure_permission_range *range, tenure_done_cb cb, void *user,
                            struct tenure_error *err); /* as tenure_role_grant */
int tenure_role_revoke_start(tenure_client *c, const char *role, const struct tenure_permission_range *range,
                             tenure_done_cb cb, void *user, struct tenure_error *err); /* as tenure_role_revoke */

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
