/* The commands about authentication. Each makes the message that a user or role has afterwards, and a row of it; only
 * deleting a role makes several. Checks and their order are etcd's.
 *
 * Failure modes: etcd's errors; no memory; more than AUTH_BYTES_MAX in users and roles (TOO_MANY_REQUESTS: etcd takes
 * any number).
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "store/internal.h"
#include "tenure/error.h"

#define AUTH_BYTES_MAX ((size_t)64 << 20)

static struct auth_view *planned(struct store *s)
{
    return &s->auth.view[STORE_PLANNED];
}

static const struct auth_row *find_user(const struct store *s, bytes name)
{
    return auth_find(&s->auth.view[STORE_PLANNED].users, name);
}

static const struct auth_row *find_role(const struct store *s, bytes name)
{
    return auth_find(&s->auth.view[STORE_PLANNED].roles, name);
}

/* ---- steps ---- */

struct step {
    enum record_kind kind;
    bytes name, value;
    bool gone, enabled;
    uint64_t revision;
    tn_seq login; /* of a user; 0 = this row */
};

static enum etcd_error step_plan(struct store *s, struct auth_row *r, const struct step *step)
{
    r->revision = step->revision;
    r->enabled = step->enabled;
    r->seq = s->seq + 1;
    if (r->kind == RECORD_AUTH_USER)
        r->user.login = step->login ? step->login : r->seq;
    struct record row = {
        .kind = step->kind,
        .main = s->revision,
        .sub = step->enabled,
        .key = r->name,
        .value = r->value,
        .version = (int64_t)step->revision,
        .tombstone = step->gone,
    };
    s->memory += auth_row_memory(r);
    auth_plan(&s->auth, r);
    command_add(s, (struct planned){.auth = r}, row);
    return ETCD_OK;
}

static enum etcd_error step_make(struct store *s, const struct step *step)
{
    struct auth_row *r;
    if (s->auth.data_bytes + step->name.len + step->value.len > AUTH_BYTES_MAX && !step->gone)
        return ETCD_TOO_MANY_REQUESTS;
    if (auth_row_new(step->kind, step->name, step->value, step->gone, &r) != 0)
        return ETCD_OUT_OF_MEMORY; /* what we encoded ourselves is not malformed */
    if (auth_reserve(&s->auth, step->kind) != 0 || command_reserve(s) != 0) {
        auth_row_free(r);
        return ETCD_OUT_OF_MEMORY;
    }
    return step_plan(s, r, step);
}

static void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    buf_fini(b);
}

/* So large at once that it does not grow: growing leaves copies of a hash behind. */
static enum etcd_error step_user(struct store *s, const struct store_user *u, uint64_t revision)
{
    struct buf b;
    size_t size = 32 + u->name.len + u->hash.len;
    for (size_t i = 0; i < u->n_roles; i++)
        size += 12 + u->roles[i].len;
    buf_init(&b);
    if (buf_reserve(&b, size))
        auth_encode_user(&b, u);
    enum etcd_error e = ETCD_OUT_OF_MEMORY;
    if (!buf_error(&b)) {
        struct step step = {
            .kind = RECORD_AUTH_USER, .name = u->name, .value = buf_bytes(&b), .revision = revision, .login = u->login};
        e = step_make(s, &step);
    }
    buf_wipe(&b);
    return e;
}

static enum etcd_error step_role(struct store *s, const struct store_role *r, uint64_t revision)
{
    struct buf b;
    buf_init(&b);
    auth_encode_role(&b, r);
    enum etcd_error e = ETCD_OUT_OF_MEMORY;
    if (!buf_error(&b)) {
        struct step step = {.kind = RECORD_AUTH_ROLE, .name = r->name, .value = buf_bytes(&b), .revision = revision};
        e = step_make(s, &step);
    }
    buf_fini(&b);
    return e;
}

static enum etcd_error step_gone(struct store *s, enum record_kind kind, bytes name, uint64_t revision)
{
    return step_make(s, &(struct step){.kind = kind, .name = name, .gone = true, .revision = revision});
}

static uint64_t next_revision(struct store *s)
{
    return planned(s)->revision + 1;
}

/* A command begins; ends it by `finish`. */
static enum etcd_error finish(struct store *s, enum etcd_error e, tn_seq *seq)
{
    if (e)
        command_abort(s);
    command_end(s);
    *seq = command_gate(s);
    return e;
}

static enum etcd_error refuse(struct store *s, enum etcd_error e, tn_seq *seq)
{
    *seq = command_gate(s);
    return e;
}

/* ---- the switch ---- */

static enum etcd_error turn(struct store *s, bool enabled, uint64_t revision, tn_seq *seq)
{
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    e = step_make(s, &(struct step){.kind = RECORD_AUTH_SWITCH, .enabled = enabled, .revision = revision});
    return finish(s, e, seq);
}

enum etcd_error store_auth_enable(struct store *s, tn_seq *seq)
{
    if (view_enabled(planned(s)))
        return refuse(s, ETCD_OK, seq);
    const struct auth_row *root = find_user(s, bytes_str(AUTH_ROOT));
    if (!root)
        return refuse(s, ETCD_ROOT_USER_NOT_EXIST, seq);
    if (!store_user_has_role(&root->user, bytes_str(AUTH_ROOT)))
        return refuse(s, ETCD_ROOT_ROLE_NOT_EXIST, seq);
    return turn(s, true, planned(s)->revision, seq);
}

enum etcd_error store_auth_disable(struct store *s, tn_seq *seq)
{
    if (!view_enabled(planned(s)))
        return refuse(s, ETCD_OK, seq);
    return turn(s, false, next_revision(s), seq);
}

/* ---- users ---- */

static enum etcd_error change_user(struct store *s, const struct store_user *u, tn_seq *seq)
{
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    return finish(s, step_user(s, u, next_revision(s)), seq);
}

enum etcd_error store_user_can_add(const struct store *s, bytes name)
{
    if (name.len == 0)
        return ETCD_USER_EMPTY;
    if (name.len > AUTH_NAME_MAX)
        return ETCD_REQUEST_TOO_LARGE;
    return find_user(s, name) ? ETCD_USER_ALREADY_EXIST : ETCD_OK;
}

enum etcd_error store_user_add(struct store *s, bytes name, bytes hash, bool no_password, tn_seq *seq)
{
    enum etcd_error e = store_user_can_add(s, name);
    if (e)
        return refuse(s, e, seq);
    struct store_user u = {.name = name, .no_password = no_password};
    if (!no_password)
        u.hash = hash;
    return change_user(s, &u, seq);
}

enum etcd_error store_user_delete(struct store *s, bytes name, tn_seq *seq)
{
    if (view_enabled(planned(s)) && bytes_equal(name, bytes_str(AUTH_ROOT)))
        return refuse(s, ETCD_INVALID_AUTH_MGMT, seq);
    if (!find_user(s, name))
        return refuse(s, ETCD_USER_NOT_FOUND, seq);
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    return finish(s, step_gone(s, RECORD_AUTH_USER, name, next_revision(s)), seq);
}

enum etcd_error store_user_set_password(struct store *s, bytes name, bytes hash, tn_seq *seq)
{
    const struct auth_row *old = find_user(s, name);
    if (!old)
        return refuse(s, ETCD_USER_NOT_FOUND, seq);
    struct store_user u = old->user;
    u.hash = u.no_password ? bytes_of(NULL, 0) : hash;
    u.login = 0;
    return change_user(s, &u, seq);
}

/* ---- roles of a user ---- */

/* Where the role stands or would stand among those of u. */
static size_t role_place(const struct store_user *u, bytes role)
{
    size_t i = 0;
    while (i < u->n_roles && bytes_compare(u->roles[i], role) < 0)
        i++;
    return i;
}

/* u with one role more or less, at place i. */
static enum etcd_error change_roles(struct store *s, const struct store_user *old, size_t i, bytes added, tn_seq *seq)
{
    size_t n = added.data ? old->n_roles + 1 : old->n_roles - 1;
    bytes *roles = calloc(n + 1, sizeof *roles);
    if (!roles)
        return refuse(s, ETCD_OUT_OF_MEMORY, seq);
    for (size_t k = 0; k < i; k++)
        roles[k] = old->roles[k];
    if (added.data)
        roles[i] = added;
    for (size_t k = i + (added.data == NULL); k < old->n_roles; k++)
        roles[added.data ? k + 1 : k - 1] = old->roles[k];
    struct store_user u = *old;
    u.roles = roles;
    u.n_roles = n;
    enum etcd_error e = change_user(s, &u, seq);
    free(roles);
    return e;
}

enum etcd_error store_user_grant_role(struct store *s, const struct user_role_req *req, tn_seq *seq)
{
    const struct auth_row *user = find_user(s, req->user);
    if (!user)
        return refuse(s, ETCD_USER_NOT_FOUND, seq);
    if (!bytes_equal(req->role, bytes_str(AUTH_ROOT)) && !find_role(s, req->role))
        return refuse(s, ETCD_ROLE_NOT_FOUND, seq);
    if (store_user_has_role(&user->user, req->role))
        return refuse(s, ETCD_OK, seq);
    return change_roles(s, &user->user, role_place(&user->user, req->role), req->role, seq);
}

enum etcd_error store_user_revoke_role(struct store *s, const struct user_role_req *req, tn_seq *seq)
{
    bytes root = bytes_str(AUTH_ROOT);
    if (view_enabled(planned(s)) && bytes_equal(req->user, root) && bytes_equal(req->role, root))
        return refuse(s, ETCD_INVALID_AUTH_MGMT, seq);
    const struct auth_row *user = find_user(s, req->user);
    if (!user)
        return refuse(s, ETCD_USER_NOT_FOUND, seq);
    if (!store_user_has_role(&user->user, req->role))
        return refuse(s, ETCD_ROLE_NOT_GRANTED, seq);
    return change_roles(s, &user->user, role_place(&user->user, req->role), bytes_of(NULL, 0), seq);
}

/* ---- roles ---- */

enum etcd_error store_role_add(struct store *s, bytes name, tn_seq *seq)
{
    if (name.len == 0)
        return refuse(s, ETCD_ROLE_EMPTY, seq);
    if (name.len > AUTH_NAME_MAX)
        return refuse(s, ETCD_REQUEST_TOO_LARGE, seq);
    if (find_role(s, name))
        return refuse(s, ETCD_ROLE_ALREADY_EXIST, seq);
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    return finish(s, step_role(s, &(struct store_role){.name = name}, next_revision(s)), seq);
}

/* The user's row without that role. */
static enum etcd_error step_lose_role(struct store *s, const struct store_user *old, bytes role, uint64_t revision)
{
    bytes *roles = calloc(old->n_roles, sizeof *roles);
    if (!roles)
        return ETCD_OUT_OF_MEMORY;
    struct store_user u = *old;
    u.roles = roles;
    u.n_roles = 0;
    for (size_t i = 0; i < old->n_roles; i++) {
        if (!bytes_equal(old->roles[i], role))
            roles[u.n_roles++] = old->roles[i];
    }
    enum etcd_error e = step_user(s, &u, revision);
    free(roles);
    return e;
}

/* The rows of users replace those in the table at their places, so walking it by number goes on. */
static enum etcd_error role_delete_rows(struct store *s, bytes role, uint64_t revision)
{
    enum etcd_error e = step_gone(s, RECORD_AUTH_ROLE, role, revision);
    for (size_t i = 0; i < planned(s)->users.len && !e; i++) {
        const struct auth_row *user = planned(s)->users.at[i];
        if (store_user_has_role(&user->user, role))
            e = step_lose_role(s, &user->user, role, revision);
    }
    return e;
}

enum etcd_error store_role_delete(struct store *s, bytes name, tn_seq *seq)
{
    if (view_enabled(planned(s)) && bytes_equal(name, bytes_str(AUTH_ROOT)))
        return refuse(s, ETCD_INVALID_AUTH_MGMT, seq);
    if (!find_role(s, name))
        return refuse(s, ETCD_ROLE_NOT_FOUND, seq);
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    return finish(s, role_delete_rows(s, name, next_revision(s)), seq);
}

/* ---- permissions of a role ---- */

static bool range_equal(struct key_range a, struct key_range b)
{
    return bytes_equal(a.key, b.key) && bytes_equal(a.range_end, b.range_end);
}

static enum etcd_error change_role(struct store *s, const struct store_role *r, tn_seq *seq)
{
    enum etcd_error e = command_begin(s);
    if (e)
        return refuse(s, e, seq);
    return finish(s, step_role(s, r, next_revision(s)), seq);
}

/* etcd looks at the first permission of the key only, and may then keep two for one range, of which the wider one goes
 * on to count: here the one there is gets the new type. */
static size_t permission_set(struct permission *all, size_t n, const struct permission *p)
{
    size_t place = 0;
    for (size_t i = 0; i < n; i++) {
        if (range_equal(all[i].range, p->range)) {
            all[i].type = p->type;
            return n;
        }
        if (bytes_compare(all[i].range.key, p->range.key) <= 0)
            place = i + 1;
    }
    memmove(all + place + 1, all + place, (n - place) * sizeof *all);
    all[place] = *p;
    return n + 1;
}

static bool range_is_valid(struct key_range r)
{
    if (r.key.len == 0)
        return false;
    return r.range_end.len == 0 || key_range_is_from(r) || bytes_compare(r.key, r.range_end) < 0;
}

enum etcd_error store_role_grant(struct store *s, const struct role_grant_req *req, tn_seq *seq)
{
    if (!req->has_permission)
        return refuse(s, ETCD_PERMISSION_NOT_GIVEN, seq);
    if (!range_is_valid(req->permission.range))
        return refuse(s, ETCD_INVALID_AUTH_MGMT, seq);
    const struct auth_row *old = find_role(s, req->role);
    if (!old)
        return refuse(s, ETCD_ROLE_NOT_FOUND, seq);
    struct permission *all = calloc(old->role.n_permissions + 1, sizeof *all);
    if (!all)
        return refuse(s, ETCD_OUT_OF_MEMORY, seq);
    if (old->role.n_permissions)
        memcpy(all, old->role.permissions, old->role.n_permissions * sizeof *all);
    struct store_role r = {.name = old->name, .permissions = all};
    r.n_permissions = permission_set(all, old->role.n_permissions, &req->permission);
    enum etcd_error e = change_role(s, &r, seq);
    free(all);
    return e;
}

enum etcd_error store_role_revoke(struct store *s, const struct role_revoke_req *req, tn_seq *seq)
{
    const struct auth_row *old = find_role(s, req->role);
    if (!old)
        return refuse(s, ETCD_ROLE_NOT_FOUND, seq);
    struct permission *rest = calloc(old->role.n_permissions + 1, sizeof *rest);
    if (!rest)
        return refuse(s, ETCD_OUT_OF_MEMORY, seq);
    struct store_role r = {.name = old->name, .permissions = rest};
    for (size_t i = 0; i < old->role.n_permissions; i++) {
        if (!range_equal(old->role.permissions[i].range, req->range))
            rest[r.n_permissions++] = old->role.permissions[i];
    }
    enum etcd_error e = ETCD_PERMISSION_NOT_GRANTED;
    if (r.n_permissions < old->role.n_permissions)
        e = change_role(s, &r, seq);
    else
        refuse(s, e, seq);
    free(rest);
    return e;
}
