/* What there is, for whoever asks: numbers, users, roles. */
#include "store/internal.h"

static const struct auth_view *view_of(const struct store *s, enum store_view v)
{
    return &s->auth.view[v];
}

bool store_auth_enabled(const struct store *s, enum store_view v)
{
    return view_enabled(view_of(s, v));
}

bool store_auth_in_use(const struct store *s)
{
    return view_enabled(view_of(s, STORE_PLANNED)) || view_enabled(view_of(s, STORE_DURABLE));
}

uint64_t store_auth_revision(const struct store *s, enum store_view v)
{
    return view_of(s, v)->revision;
}

tn_seq store_auth_seq(const struct store *s)
{
    return s->config.broken_skip_gate ? 0 : view_of(s, STORE_PLANNED)->seq;
}

uint64_t store_auth_changes(const struct store *s)
{
    return s->auth.changes;
}

tn_seq store_auth_enabled_since(const struct store *s)
{
    return s->auth.enabled_since;
}

size_t store_users(const struct store *s, enum store_view v)
{
    return view_of(s, v)->users.len;
}

size_t store_roles(const struct store *s, enum store_view v)
{
    return view_of(s, v)->roles.len;
}

void store_user_at(const struct store *s, enum store_view v, size_t i, struct store_user *ret)
{
    *ret = view_of(s, v)->users.at[i]->user;
}

void store_role_at(const struct store *s, enum store_view v, size_t i, struct store_role *ret)
{
    *ret = view_of(s, v)->roles.at[i]->role;
}

bool store_user_find(const struct store *s, enum store_view v, bytes name, struct store_user *ret)
{
    const struct auth_row *r = auth_find(&view_of(s, v)->users, name);
    if (r)
        *ret = r->user;
    return r != NULL;
}

bool store_role_find(const struct store *s, enum store_view v, bytes name, struct store_role *ret)
{
    const struct auth_row *r = auth_find(&view_of(s, v)->roles, name);
    if (r)
        *ret = r->role;
    return r != NULL;
}

bool store_user_has_role(const struct store_user *u, bytes role)
{
    for (size_t i = 0; i < u->n_roles; i++) {
        if (bytes_equal(u->roles[i], role))
            return true;
    }
    return false;
}
