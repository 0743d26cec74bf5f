/* Whether a watch may be, from its creation to its end.
 *
 * etcd asks once, at the creation: whoever lost the permission afterwards goes on seeing everything. Here a watch is asked
 * again when it gets events after any change to users or roles, before it gets them; and those that are silent are looked
 * at soon after the change. One that may not be any more is cancelled with the reason that a new one would be refused with.
 */
#include <stdlib.h>

#include "core/auth.h"
#include "core/watching.h"

#define SWEEP_MS 250 /* between two looks at all watches: changes may come one after another */

/* An empty key means all keys from the first on: that is what must be permitted. */
static struct key_range asked_range(struct key_range r)
{
    if (r.key.len == 0)
        r.key = bytes_of("", 1);
    return r;
}

static bool is_on(const struct core *c)
{
    return store_auth_enabled(c->store, STORE_DURABLE);
}

static enum etcd_error check(const struct core *c, struct auth_user who, struct key_range range)
{
    return store_auth_check_read(c->store, STORE_DURABLE, who, asked_range(range));
}

/* A copy of the name. */
static enum etcd_error keep_name(struct auth_user who, struct watch_user **ret)
{
    struct watch_user *u = malloc(sizeof *u + who.name.len);
    if (!u)
        return ETCD_OUT_OF_MEMORY;
    u->name_len = who.name.len;
    if (who.name.len)
        memcpy(u->name, who.name.data, who.name.len);
    *ret = u;
    return ETCD_OK;
}

enum etcd_error watch_auth_create(struct core_call *call, struct key_range range, struct watch_user **ret)
{
    struct core *c = call->core;
    struct auth_user who;
    *ret = NULL;
    if (!is_on(c))
        return ETCD_OK;
    enum etcd_error e = auth_who(call, STORE_DURABLE, &who);
    if (e == ETCD_OK)
        e = check(c, who, range);
    return e ? e : keep_name(who, ret);
}

enum etcd_error watch_auth_user(struct core_call *call, struct watch_user **ret)
{
    struct auth_user who;
    *ret = NULL;
    if (!is_on(call->core))
        return ETCD_OK;
    enum etcd_error e = auth_who(call, STORE_DURABLE, &who);
    return e ? e : keep_name(who, ret);
}

/* One that was created while authentication was off is now asked who it is. */
static enum etcd_error who_watches(struct core_call *call, const struct watch_user *user, struct auth_user *ret)
{
    if (!user)
        return auth_who(call, STORE_DURABLE, ret);
    *ret =
        (struct auth_user){bytes_of(user->name, user->name_len), store_auth_revision(call->core->store, STORE_DURABLE)};
    return ETCD_OK;
}

enum etcd_error watch_auth_still(struct core_call *call, const struct watch_user *user, uint64_t *seen,
                                 struct key_range range)
{
    struct core *c = call->core;
    struct auth_user who;
    if (*seen == store_auth_changes(c->store))
        return ETCD_OK;
    enum etcd_error e = is_on(c) ? who_watches(call, user, &who) : ETCD_OK;
    if (e == ETCD_OK && is_on(c))
        e = check(c, who, range);
    if (e == ETCD_OK)
        *seen = store_auth_changes(c->store);
    return e;
}

bool watch_is_permitted(struct watch *w)
{
    if (w->auth_seen == store_auth_changes(w->stream->call->core->store))
        return true; /* as nearly always */
    enum etcd_error e = watch_auth_still(w->stream->call, w->user, &w->auth_seen, store_watch_range(w->watcher));
    if (e != ETCD_OK)
        watch_deny(w, e);
    return e == ETCD_OK;
}

/* ---- those that are silent ---- */

/* Telling one may end the call, and its stream with it. */
static void sweep_stream(struct core_call *call)
{
    LIST_FOREACH_SAFE(it, &call->watch->alive)
    {
        (void)!watch_is_permitted(LIST_ENTRY(it, struct watch, in_stream));
        if (!call->watch)
            return;
    }
}

static void sweep_conn(struct core_conn *conn)
{
    LIST_FOREACH(it, &conn->calls)
    {
        struct core_call *call = LIST_ENTRY(it, struct core_call, in_conn);
        if (call->watch)
            sweep_stream(call);
    }
}

void watch_auth_run(struct core *c, tn_ms now)
{
    if (c->auth_swept == store_auth_changes(c->store) || now < c->auth_sweep_at)
        return;
    c->auth_swept = store_auth_changes(c->store);
    c->auth_sweep_at = now + SWEEP_MS;
    LIST_FOREACH(it, &c->conns)
    {
        sweep_conn(LIST_ENTRY(it, struct core_conn, in_core));
    }
}

tn_ms watch_auth_deadline(const struct core *c)
{
    return c->auth_swept == store_auth_changes(c->store) ? TN_MS_NEVER : c->auth_sweep_at;
}
