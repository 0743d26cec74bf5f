/* Plain structs of the Auth service. Pure data; all bytes are borrowed. Names and passwords may hold any byte. */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/kv.h"

#define AUTH_ROOT           "root" /* the user and the role that may do all */
#define AUTH_PASSWORD_MAX   72     /* bytes that bcrypt takes */
#define AUTH_NAME_MAX       32768  /* bbolt's longest key: etcd ends on a longer name, and no snapshot could hold it */
#define AUTH_FIRST_REVISION 1      /* of the auth state, before anything was changed */

enum permission_type { PERMISSION_READ = 0, PERMISSION_WRITE = 1, PERMISSION_READWRITE = 2 };

struct permission {
    int32_t type; /* unknown numbers permit nothing, as in etcd */
    struct key_range range;
};

/* Who makes a request. Revision: of the auth state that vouches for the name; 0 = nobody. */
struct auth_user {
    bytes name;
    uint64_t revision;
};

struct authenticate_req {
    bytes name, password;
};
struct authenticate_resp {
    tn_rev revision;
    bytes token;
};

struct auth_status_resp {
    tn_rev revision;
    bool enabled;
    uint64_t auth_revision;
};

struct user_add_req {
    bytes name, password;
    bool no_password;
};
struct user_password_req {
    bytes name, password;
};
/* A role granted to a user, or taken away. */
struct user_role_req {
    bytes user, role;
};
struct role_grant_req {
    bytes role;
    bool has_permission;
    struct permission permission;
};
struct role_revoke_req {
    bytes role;
    struct key_range range;
};

/* Of UserGet (its roles), UserList and RoleList. */
struct auth_names_resp {
    tn_rev revision;
    bytes *names;
    size_t n_names;
};
struct role_get_resp {
    tn_rev revision;
    struct permission *permissions;
    size_t n_permissions;
};

#endif
