/* What one may do, in etcd's order of checks.
 *
 * A range is permitted when the ranges of its user's roles cover it together, and ranges that touch each other are one.
 * No index is kept: the permissions of a role are sorted by key, and those that begin behind the key asked for are not
 * looked at.
 */
#include "store/auth.h"

#include "store/internal.h"

static const struct auth_view *view_of(const struct store *s, enum store_view v)
{
    return &s->auth.view[v];
}

/* ---- admins ---- */

static bool is_root(const struct store_user *u)
{
    return store_user_has_role(u, bytes_str(AUTH_ROOT));
}

enum etcd_error store_auth_check_admin(const struct store *s, enum store_view v, struct auth_user who)
{
    const struct auth_view *view = view_of(s, v);
    if (!view_enabled(view))
        return ETCD_OK;
    if (who.name.len == 0)
        return ETCD_USER_EMPTY;
    const struct auth_row *user = auth_find(&view->users, who.name);
    if (!user)
        return ETCD_USER_NOT_FOUND;
    return is_root(&user->user) ? ETCD_OK : ETCD_PERMISSION_DENIED;
}

/* ---- ranges ---- */

static bool permits(const struct permission *p, enum permission_type type)
{
    return p->type == (int32_t)type || p->type == PERMISSION_READWRITE;
}

/* How far a cover reaches: every key before `end`, or all. */
struct reach {
    bool all;
    bytes end;
    bool end_included; /* the single key `end` as well */
};

/* The i-th byte of the first key that is not covered: that is the end, or the end with a zero behind it. */
static int byte_at(struct reach r, size_t i)
{
    if (i < r.end.len)
        return r.end.data[i];
    return i == r.end.len && r.end_included ? 0 : -1;
}

static bool reaches_beyond(struct reach a, struct reach b)
{
    size_t i = 0;
    if (a.all || b.all)
        return a.all && !b.all;
    while (byte_at(a, i) == byte_at(b, i) && byte_at(a, i) >= 0)
        i++;
    return byte_at(a, i) > byte_at(b, i);
}

static struct reach reach_of(struct key_range r)
{
    if (key_range_is_single(r))
        return (struct reach){.end = r.key, .end_included = true};
    if (key_range_is_from(r))
        return (struct reach){.all = true};
    return (struct reach){.end = r.range_end};
}

/* Whether a range that begins at `begin` goes on from `at` without a gap: the first key not covered is `at.end`, or the
 * one right behind it. */
static bool continues(bytes begin, struct reach at)
{
    if (bytes_compare(begin, at.end) <= 0)
        return true;
    return at.end_included && begin.len == at.end.len + 1 && begin.data[at.end.len] == 0 &&
           bytes_has_prefix(begin, at.end);
}

/* The farthest that one more permission of the role gets from `at`. */
static struct reach role_extend(const struct store_role *r, enum permission_type type, struct reach at)
{
    struct reach best = at;
    for (size_t i = 0; i < r->n_permissions; i++) {
        const struct permission *p = &r->permissions[i];
        if (!continues(p->range.key, at))
            break;
        if (permits(p, type) && reaches_beyond(reach_of(p->range), best))
            best = reach_of(p->range);
    }
    return best;
}

static struct reach user_extend(const struct auth_view *view, const struct store_user *u, enum permission_type type,
                                struct reach at)
{
    struct reach best = at;
    for (size_t i = 0; i < u->n_roles; i++) {
        const struct auth_row *role = auth_find(&view->roles, u->roles[i]);
        if (!role)
            continue;
        struct reach next = role_extend(&role->role, type, at);
        if (reaches_beyond(next, best))
            best = next;
    }
    return best;
}

/* An empty range (its end not behind its key) counts as its key, as in etcd. */
static bool user_covers(const struct auth_view *view, const struct store_user *u, enum permission_type type,
                        struct key_range range)
{
    struct reach at = {.end = range.key}, wanted = reach_of(range);
    if (!reaches_beyond(wanted, at))
        wanted = (struct reach){.end = range.key, .end_included = true};
    while (reaches_beyond(wanted, at)) {
        struct reach next = user_extend(view, u, type, at);
        if (!reaches_beyond(next, at))
            return false;
        at = next;
    }
    return true;
}

static enum etcd_error check_keys(const struct store *s, enum store_view v, struct auth_user who,
                                  enum permission_type type, struct key_range range)
{
    const struct auth_view *view = view_of(s, v);
    if (!view_enabled(view))
        return ETCD_OK;
    if (who.revision == 0)
        return ETCD_USER_EMPTY;
    if (who.revision < view->revision)
        return ETCD_AUTH_OLD_REVISION;
    const struct auth_row *user = auth_find(&view->users, who.name);
    if (!user)
        return ETCD_PERMISSION_DENIED;
    return is_root(&user->user) || user_covers(view, &user->user, type, range) ? ETCD_OK : ETCD_PERMISSION_DENIED;
}

enum etcd_error store_auth_check_read(const struct store *s, enum store_view v, struct auth_user who,
                                      struct key_range range)
{
    return check_keys(s, v, who, PERMISSION_READ, range);
}

enum etcd_error store_auth_check_write(const struct store *s, enum store_view v, struct auth_user who,
                                       struct key_range range)
{
    return check_keys(s, v, who, PERMISSION_WRITE, range);
}

/* ---- keys of a lease ---- */

/* Root is asked for once, not at each key: a lease can have very many. */
static enum etcd_error check_lease(const struct store *s, enum store_view v, struct auth_user who,
                                   enum permission_type type, const struct lease *l)
{
    if (!l || store_auth_check_admin(s, v, who) == ETCD_OK)
        return ETCD_OK;
    LIST_FOREACH(it, &l->keys)
    {
        struct key_range key = {.key = LIST_ENTRY(it, struct key, lease_node)->item.key};
        enum etcd_error e = check_keys(s, v, who, type, key);
        if (e)
            return e;
    }
    return ETCD_OK;
}

enum etcd_error store_auth_check_lease_read(const struct store *s, enum store_view v, struct auth_user who, tn_lease id)
{
    return check_lease(s, v, who, PERMISSION_READ, lease_find(&s->leases, id));
}

enum etcd_error store_auth_check_lease_write(const struct store *s, enum store_view v, struct auth_user who,
                                             tn_lease id)
{
    return check_lease(s, v, who, PERMISSION_WRITE, lease_find(&s->leases, id));
}

enum etcd_error store_auth_check_leases_read(const struct store *s, enum store_view v, struct auth_user who)
{
    size_t cursor = 0;
    for (struct lease *l; (l = map_next(&s->leases.by_id, &cursor));) {
        enum etcd_error e = check_lease(s, v, who, PERMISSION_READ, l);
        if (e)
            return e;
    }
    return ETCD_OK;
}

/* ---- requests ---- */

/* What both judges share: at which point in time, and whether for reading the view is the durable one. */
static enum etcd_error check_put_at(const struct store *s, enum store_view v, struct auth_user who,
                                    const struct put_req *req)
{
    struct key_range key = {.key = req->key};
    enum etcd_error e = check_keys(s, v, who, PERMISSION_WRITE, key);
    if (!e)
        e = store_auth_check_lease_write(s, v, who, req->lease); /* else it could be attached, and not revoked */
    if (!e && req->prev_kv)
        e = check_keys(s, v, who, PERMISSION_READ, key);
    return e;
}

static enum etcd_error check_ops_at(const struct store *s, enum store_view v, struct auth_user who,
                                    const struct request_op *ops, size_t n);

static enum etcd_error check_txn_at(const struct store *s, enum store_view v, struct auth_user who,
                                    const struct txn_req *req)
{
    for (size_t i = 0; i < req->n_compares; i++) {
        enum etcd_error e = check_keys(s, v, who, PERMISSION_READ, req->compares[i].range);
        if (e)
            return e;
    }
    enum etcd_error e = check_ops_at(s, v, who, req->success, req->n_success);
    return e ? e : check_ops_at(s, v, who, req->failure, req->n_failure);
}

/* Reading is asked for first where previous values are wanted: in etcd only a delete inside a transaction does so. */
static enum etcd_error check_inner_delete(const struct store *s, enum store_view v, struct auth_user who,
                                          const struct delete_req *req)
{
    enum etcd_error e = req->prev_kv ? check_keys(s, v, who, PERMISSION_READ, req->range) : ETCD_OK;
    return e ? e : check_keys(s, v, who, PERMISSION_WRITE, req->range);
}

static enum etcd_error check_op_at(const struct store *s, enum store_view v, struct auth_user who,
                                   const struct request_op *op)
{
    switch (op->kind) {
    case OP_RANGE:
        return check_keys(s, v, who, PERMISSION_READ, op->range.range);
    case OP_PUT:
        return check_put_at(s, v, who, &op->put);
    case OP_DELETE:
        return check_inner_delete(s, v, who, &op->del);
    case OP_TXN:
        return check_txn_at(s, v, who, op->txn);
    case OP_NONE:
        break;
    }
    return ETCD_OK;
}

static enum etcd_error check_ops_at(const struct store *s, enum store_view v, struct auth_user who,
                                    const struct request_op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        enum etcd_error e = check_op_at(s, v, who, &ops[i]);
        if (e)
            return e;
    }
    return ETCD_OK;
}

/* A read is not answered to who was judged by another state than the newest. */
static enum etcd_error check_read_revision(const struct store *s, struct auth_user who)
{
    const struct auth_view *view = view_of(s, STORE_DURABLE);
    bool other = view_enabled(view) && who.revision != 0 && who.revision != view->revision;
    return other ? ETCD_AUTH_OLD_REVISION : ETCD_OK;
}

enum etcd_error store_auth_check_range(const struct store *s, struct auth_user who, const struct range_req *req)
{
    enum etcd_error e = check_range(req);
    if (!e)
        e = check_keys(s, STORE_DURABLE, who, PERMISSION_READ, req->range);
    return e ? e : check_read_revision(s, who);
}

enum etcd_error store_auth_check_put(const struct store *s, struct auth_user who, const struct put_req *req)
{
    enum etcd_error e = check_put(req);
    return e ? e : check_put_at(s, STORE_PLANNED, who, req);
}

enum etcd_error store_auth_check_delete(const struct store *s, struct auth_user who, const struct delete_req *req)
{
    enum etcd_error e = check_delete(req);
    if (!e)
        e = check_keys(s, STORE_PLANNED, who, PERMISSION_WRITE, req->range);
    if (!e && req->prev_kv)
        e = check_keys(s, STORE_PLANNED, who, PERMISSION_READ, req->range);
    return e;
}

enum etcd_error store_auth_check_txn(const struct store *s, struct auth_user who, const struct txn_req *req,
                                     struct arena *a)
{
    enum etcd_error e = check_txn(req, s->config.txn_ops_max);
    if (!e)
        e = check_overlap(req, a);
    if (e)
        return e;
    if (txn_may_write(req))
        return check_txn_at(s, STORE_PLANNED, who, req);
    e = check_txn_at(s, STORE_DURABLE, who, req);
    return e ? e : check_read_revision(s, who);
}
