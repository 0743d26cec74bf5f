/* The source's users and roles, read whole whenever they have changed.
 *
 *     REST -> BEGIN (AuthStatus) --the revision is another one--> NAMES -> OF each -> ROLES -> ROLE each -> END (AuthStatus) -> REST
 *
 * One reading is many calls, between which users may change: it counts when the revision at its end is that of its beginning. etcd 3.4
 * tells no revision: there PROBE finds out whether authentication is on, by logging in as nobody, and a reading counts when
 * the one before it was the same, so that no user is seen with roles that he never had.
 *
 * Behind a time in which nothing of it was answered no event is taken before users were looked at again: a right that has gone meanwhile
 * must not let through what was written behind that. (A long reading, in steps that are answered, holds nothing up.)
 *
 * Failures: what cannot be read is tried again; what counted goes on to count. Who is denied may not follow: follower_denied. Another
 * cluster's users count for nothing.
 */
#include <stdlib.h>

#include "replica/internal.h"

enum { TIMEOUT_MS = 5000, RETRY_MS = 500, FRESH_MS = 3000 };

void users_init(struct follower *f)
{
    buf_init(&f->users.now);
    arena_init(&f->users.read.arena, 0);
}

void users_fini(struct follower *f)
{
    buf_fini(&f->users.now);
    arena_fini(&f->users.read.arena);
}

/* ---- events wait for it ---- */

static bool is_old(const struct users *u, tn_ms now)
{
    return now - u->answered_at > FRESH_MS;
}

static void hold(struct users *u, tn_ms now)
{
    if (u->held)
        return;
    u->held = true;
    u->counts = false;
    if (u->step == USERS_REST)
        u->look_at = now;
}

bool users_are_fresh(struct follower *f, tn_ms now)
{
    struct users *u = &f->users;
    if (f->config.has_users && is_old(u, now))
        hold(u, now);
    return !u->held;
}

bool users_hold(const struct follower *f)
{
    return f->users.held;
}

/* One that comes late may have been given before what is to be known; or it is the first of many, and what is missing comes with it. */
static void answered(struct users *u, tn_ms now)
{
    if (u->known && is_old(u, now))
        hold(u, now);
    u->answered_at = now;
}

/* ---- the end of one reading ---- */

static void rest(struct follower *f, tn_ms at)
{
    f->users.step = USERS_REST;
    f->users.look_at = at;
}

/* Those that count already are as they were. */
static void stand(struct follower *f, tn_ms now)
{
    core_users_stand(f->core, now);
    f->users.known = true;
    f->denied = 0;
    f->users.held = f->users.held && !f->users.counts;
    rest(f, f->users.held ? now : now + f->config.users_ms);
}

static void take(struct follower *f, bool enabled, tn_ms now)
{
    struct users *u = &f->users;
    struct store_followed_auth all = {.enabled = enabled, .revision = u->no_revision ? 1 : u->read.revision};
    if (enabled && f->config.users_are_on && !u->was_on && !f->config.users_are_on(f->config.user)) {
        rest(f, now + RETRY_MS);
        return;
    }
    u->was_on = u->was_on || enabled;
    if (enabled) {
        all.users = u->read.user_of;
        all.n_users = u->read.n_names;
        all.roles = u->read.role_of;
        all.n_roles = u->read.n_roles;
    }
    if (core_follow_users(f->core, &all, !u->no_revision, now) != 0) {
        rest(f, now + RETRY_MS);
        return;
    }
    u->revision = u->read.revision;
    u->enabled = enabled;
    u->was_taken = true;
    stand(f, now);
}

static void turned_off(struct follower *f, tn_ms now)
{
    struct users *u = &f->users;
    u->has_now = false;
    if (u->known && !u->enabled)
        stand(f, now);
    else
        take(f, false, now);
}

static void write_text(struct buf *out, bytes text)
{
    uint64_t len = text.len;
    buf_append(out, &len, sizeof len);
    buf_append_bytes(out, text);
}

static void write_number(struct buf *out, uint64_t n)
{
    buf_append(out, &n, sizeof n);
}

static void write_out(const struct users_read *r, struct buf *out)
{
    write_number(out, r->n_names);
    for (size_t i = 0; i < r->n_names; i++) {
        write_text(out, r->names[i]);
        write_number(out, r->user_of[i].n_roles);
        for (size_t k = 0; k < r->user_of[i].n_roles; k++)
            write_text(out, r->user_of[i].roles[k]);
    }
    for (size_t i = 0; i < r->n_roles; i++) {
        write_text(out, r->roles[i]);
        write_number(out, r->role_of[i].n_permissions);
        for (size_t k = 0; k < r->role_of[i].n_permissions; k++) {
            const struct permission *p = &r->role_of[i].permissions[k];
            write_number(out, (uint64_t)(int64_t)p->type);
            write_text(out, p->range.key);
            write_text(out, p->range.range_end);
        }
    }
}

/* Where no revision is told: whether it is what the one before was. */
static void compare(struct follower *f, tn_ms now)
{
    struct users *u = &f->users;
    struct buf text;
    buf_init(&text);
    write_out(&u->read, &text);
    bool same = !buf_error(&text) && u->has_now && bytes_equal(buf_bytes(&text), buf_bytes(&u->now));
    buf_fini(&u->now);
    u->now = text;
    u->has_now = !buf_error(&text);
    if (!same) {
        u->was_taken = false;
        rest(f, now); /* once more, at once */
    } else if (u->was_taken && u->enabled) {
        stand(f, now);
    } else {
        take(f, true, now);
    }
}

/* ---- the steps ---- */

static void on_answer(void *user, const struct client_result *r);

static void ask(struct follower *f, enum client_auth_kind kind, bytes name, tn_ms now)
{
    struct tenure_error err;
    struct client_auth_req req = {.kind = kind, .name = name};
    struct client_call_options o = {.timeout_ms = TIMEOUT_MS};
    f->users.under_way = client_auth(f->client, &req, &o, on_answer, f, now, &err) != NULL;
    if (!f->users.under_way)
        rest(f, now + RETRY_MS);
    f->config.asked(f->config.user);
}

static void on_probe(void *user, const struct client_result *r);

static void probe(struct follower *f, tn_ms now)
{
    struct tenure_error err;
    struct client_forward_req req = {.service = "etcdserverpb.Auth", .method = "Authenticate"};
    struct client_call_options o = {.timeout_ms = TIMEOUT_MS};
    f->users.step = USERS_PROBE;
    f->users.under_way = client_forward(f->client, &req, &o, NULL, on_probe, f, now, &err) != NULL;
    if (!f->users.under_way)
        rest(f, now + RETRY_MS);
    f->config.asked(f->config.user);
}

static void next(struct follower *f, tn_ms now)
{
    struct users *u = &f->users;
    bytes none = bytes_of(NULL, 0);
    if (u->step == USERS_OF && u->at == u->read.n_names)
        u->step = USERS_ROLES;
    if (u->step == USERS_ROLE && u->at == u->read.n_roles)
        u->step = USERS_END;
    switch (u->step) {
    case USERS_NAMES:
        ask(f, CLIENT_USER_LIST, none, now);
        break;
    case USERS_OF:
        ask(f, CLIENT_USER_GET, u->read.names[u->at], now);
        break;
    case USERS_ROLES:
        ask(f, CLIENT_ROLE_LIST, none, now);
        break;
    case USERS_ROLE:
        ask(f, CLIENT_ROLE_GET, u->read.roles[u->at], now);
        break;
    case USERS_END:
        if (u->no_revision)
            compare(f, now);
        else
            ask(f, CLIENT_AUTH_STATUS, none, now);
        break;
    case USERS_REST:
    case USERS_PROBE:
    case USERS_BEGIN:
        break;
    }
}

static int by_text(const void *a, const void *b)
{
    return bytes_compare(*(const bytes *)a, *(const bytes *)b);
}

/* A sorted copy. */
static bool keep_names(struct users_read *r, const struct auth_names_resp *from, bytes **ret, size_t *ret_n)
{
    bytes *all = arena_array(&r->arena, from->n_names + 1, sizeof *all);
    for (size_t i = 0; all && i < from->n_names; i++) {
        all[i] = arena_copy(&r->arena, from->names[i]);
        if (!all[i].data)
            return false;
    }
    if (!all)
        return false;
    qsort(all, from->n_names, sizeof *all, by_text);
    *ret = all;
    *ret_n = from->n_names;
    return true;
}

static bool keep_user(struct users_read *r, size_t i, const struct auth_names_resp *from)
{
    bytes *roles;
    size_t n;
    if (!keep_names(r, from, &roles, &n))
        return false;
    r->user_of[i] = (struct store_user){.name = r->names[i], .no_password = true, .roles = roles, .n_roles = n};
    return true;
}

static bool keep_users(struct users_read *r, const struct auth_names_resp *from)
{
    r->user_of = arena_array(&r->arena, from->n_names + 1, sizeof *r->user_of);
    return r->user_of && keep_names(r, from, &r->names, &r->n_names);
}

static bool keep_roles(struct users_read *r, const struct auth_names_resp *from)
{
    r->role_of = arena_array(&r->arena, from->n_names + 1, sizeof *r->role_of);
    return r->role_of && keep_names(r, from, &r->roles, &r->n_roles);
}

static bool keep_role(struct users_read *r, size_t i, const struct role_get_resp *from)
{
    struct permission *all = arena_array(&r->arena, from->n_permissions + 1, sizeof *all);
    for (size_t k = 0; all && k < from->n_permissions; k++) {
        struct key_range range = from->permissions[k].range;
        all[k] =
            (struct permission){.type = from->permissions[k].type,
                                .range = {arena_copy(&r->arena, range.key), arena_copy(&r->arena, range.range_end)}};
        if (!all[k].range.key.data || (range.range_end.len && !all[k].range.range_end.data))
            return false;
    }
    if (!all)
        return false;
    r->role_of[i] = (struct store_role){.name = r->roles[i], .permissions = all, .n_permissions = from->n_permissions};
    return true;
}

static void begin_reading(struct follower *f, uint64_t revision, tn_ms now)
{
    struct users_read *r = &f->users.read;
    arena_fini(&r->arena);
    *r = (struct users_read){.revision = revision};
    arena_init(&r->arena, 0);
    f->users.step = USERS_NAMES;
    next(f, now);
}

static void on_status(struct follower *f, const struct auth_status_resp *s, tn_ms now)
{
    struct users *u = &f->users;
    bool at_end = u->step == USERS_END;
    if (!s->enabled) {
        u->read.revision = s->auth_revision;
        turned_off(f, now);
    } else if (at_end && s->auth_revision == u->read.revision) {
        take(f, true, now);
    } else if (!at_end && u->was_taken && u->enabled && s->auth_revision == u->revision) {
        stand(f, now);
    } else {
        begin_reading(f, s->auth_revision, now);
    }
}

static void step_done(struct follower *f, const struct client_result *r, tn_ms now)
{
    struct users *u = &f->users;
    bool kept = true;
    switch (u->step) {
    case USERS_NAMES:
        kept = keep_users(&u->read, r->names);
        u->step = USERS_OF;
        u->at = 0;
        break;
    case USERS_OF:
        kept = keep_user(&u->read, u->at++, r->names);
        break;
    case USERS_ROLES:
        kept = keep_roles(&u->read, r->names);
        u->step = USERS_ROLE;
        u->at = 0;
        break;
    case USERS_ROLE:
        kept = keep_role(&u->read, u->at++, r->role);
        break;
    case USERS_BEGIN:
    case USERS_END:
        on_status(f, r->auth_status, now);
        return;
    case USERS_REST:
    case USERS_PROBE:
        return;
    }
    if (kept)
        next(f, now);
    else
        rest(f, now + RETRY_MS);
}

static void failed(struct follower *f, const struct client_result *r, tn_ms now)
{
    rest(f, now + RETRY_MS);
    if (r->code == TENURE_EDENIED)
        follower_denied(f, r->error);
    else if (r->code != TENURE_ENOTFOUND) /* it went between the list and this */
        follower_note(f, r->error);
}

static void on_answer(void *user, const struct client_result *r)
{
    struct follower *f = user;
    struct users *u = &f->users;
    u->under_way = false;
    if (f->stopped || f->state == FOLLOWER_REFUSED)
        return;
    tn_ms now = f->config.enter(f->config.user);
    if (r->code == 0) {
        answered(u, now);
        if (follower_saw(f, &r->header))
            step_done(f, r, now);
    } else if (u->step == USERS_BEGIN && r->code == TENURE_EUNIMPLEMENTED) {
        u->no_revision = true;
        probe(f, now);
    } else {
        failed(f, r, now);
    }
}

/* A name that nobody has: the answer says whether that was looked at. */
static void on_probe(void *user, const struct client_result *r)
{
    struct follower *f = user;
    f->users.under_way = false;
    if (f->stopped || f->state == FOLLOWER_REFUSED)
        return;
    tn_ms now = f->config.enter(f->config.user);
    if (r->etcd != ETCD_OK)
        answered(&f->users, now);
    if (r->etcd == ETCD_AUTH_NOT_ENABLED)
        turned_off(f, now);
    else if (r->etcd != ETCD_OK && (r->code == TENURE_EDENIED || r->code == TENURE_EINVALID))
        begin_reading(f, 0, now);
    else
        failed(f, r, now);
}

/* ---- the turn ---- */

void users_run(struct follower *f, tn_ms now)
{
    struct users *u = &f->users;
    if (!f->config.has_users || u->under_way || u->step != USERS_REST || now < u->look_at)
        return;
    u->counts = true;
    if (u->no_revision) {
        probe(f, now);
        return;
    }
    u->step = USERS_BEGIN;
    ask(f, CLIENT_AUTH_STATUS, bytes_of(NULL, 0), now);
}

tn_ms users_deadline(const struct follower *f)
{
    const struct users *u = &f->users;
    return f->config.has_users && !u->under_way && u->step == USERS_REST ? u->look_at : TN_MS_NEVER;
}
