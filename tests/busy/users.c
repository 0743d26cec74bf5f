/* See users.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/lag.h"
#include "busy/link.h"
#include "busy/users.h"
#include "wire/codec.h"

enum { HALVES = 2, RETRY_MS = 100, TRY_MS = 20, NEW_MS = 200 };
#define PER_HALF (RIGHTS_PREFIXES / HALVES)

/* Somebody at some server. One call at a time. */
struct login {
    int user;
    int replica; /* -1: the source */
    struct link *link;
    char token[512];
    bool asking;
    struct h2_stream *watch;
    enum { NOTHING, ALLOWED, DENIED, UNKNOWN } answer;
    int prefix; /* of the watch that is tried; -1: it logs in */
    int64_t asked_ns, next_ns, got_ns;
};

/* One change at a time. */
struct change {
    bool of_role; /* of the user; else of a permission in it */
    bool gives;
    int32_t type; /* of the permission given: WRITE takes the right to read */
    int user, prefix;
    bool wanted, under_way;
};

static struct {
    struct users_options o;
    struct court *court;
    struct rights rights;
    struct rng rng;
    bool has_role[RIGHTS_USERS][HALVES], has_permission[RIGHTS_USERS][RIGHTS_PREFIXES], finishing;
    struct login *logins;
    size_t n_logins;
    struct link *admin;
    struct change change;
    int64_t change_at_ns;
    struct users_counts counts;
    struct lag known;
    struct arena arena;
    struct buf body;
} run;

static void judge(const char *wrong, struct claim who)
{
    if (wrong)
        court_wrong(run.court, 15, "W15: %s (user %d, prefix %d, replica %d)", wrong, who.user, who.prefix,
                    who.replica);
}

/* ---- who is who ---- */

static const char *name_of(int user)
{
    static char name[16];
    snprintf(name, sizeof name, user == USER_ROOT ? "root" : "u%d", user);
    return name;
}

bool users_says_denied(bytes reason)
{
    static const char word[] = "permission denied";
    return memmem(reason.data, reason.len, word, sizeof word - 1) != NULL;
}

static struct login *login_of(int user, int port)
{
    for (size_t i = 0; i < run.n_logins; i++) {
        if (run.logins[i].user == user && run.logins[i].link->port == port)
            return &run.logins[i];
    }
    return NULL;
}

const char *users_token(int user, int port)
{
    struct login *l = login_of(user, port);
    return l && l->token[0] ? l->token : NULL;
}

void users_refused(int user, int port)
{
    struct login *l = login_of(user, port);
    if (l && now_ns() - l->got_ns > NEW_MS * INT64_C(1000000))
        l->token[0] = 0;
}

int users_replica(int port)
{
    for (size_t i = 0; i < run.o.n_replicas; i++) {
        if (run.o.replicas[i] == port)
            return (int)i;
    }
    return -1;
}

bool users_on(void)
{
    return run.o.on;
}

/* ---- logins, and what is tried ---- */

static struct claim claim_of(const struct login *l)
{
    return (struct claim){.user = l->user, .prefix = l->prefix, .replica = l->replica};
}

static void log_in(struct login *l)
{
    char password[32];
    bytes name = bytes_str(name_of(l->user));
    snprintf(password, sizeof password, "pw-%s", name_of(l->user));
    buf_reset(&run.body);
    encode_authenticate_req(&(struct authenticate_req){name, bytes_str(password)}, &run.body);
    l->prefix = -1;
    l->link->token = NULL;
    l->asking = link_call(l->link, "/etcdserverpb.Auth/Authenticate", buf_bytes(&run.body), l) != NULL;
    run.counts.logins += l->asking;
}

static struct key_range range_of(int prefix, char key[static 8], char end[static 8])
{
    snprintf(key, 8, "p%d/", prefix);
    snprintf(end, 8, "p%d0", prefix);
    return (struct key_range){bytes_str(key), bytes_str(end)};
}

/* One that it is not known to know, or any. */
static int draw_prefix(const struct login *l)
{
    int from = (int)rng_below(&run.rng, RIGHTS_PREFIXES);
    for (int i = 0; i < RIGHTS_PREFIXES; i++) {
        int prefix = (from + i) % RIGHTS_PREFIXES;
        const struct right *r = &run.rights.of[l->user][prefix];
        if (!r->changes && !r->known_ns[l->replica])
            return prefix;
    }
    return from;
}

static void try_one(struct login *l)
{
    char key[8], end[8];
    l->prefix = draw_prefix(l);
    struct watch_req req = {.kind = WATCH_REQ_CREATE, .create.range = range_of(l->prefix, key, end)};
    buf_reset(&run.body);
    encode_watch_req(&req, &run.body);
    l->link->token = l->token;
    l->watch = link_stream(l->link, "/etcdserverpb.Watch/Watch", buf_bytes(&run.body), l);
    l->asking = l->watch != NULL;
    run.counts.tried += l->asking;
}

static void turn(struct login *l, int64_t now)
{
    if (l->asking || !l->link->up || now < l->next_ns)
        return;
    l->asked_ns = now;
    l->answer = NOTHING;
    if (!l->token[0])
        log_in(l);
    else if (l->user != USER_ROOT && l->replica >= 0)
        try_one(l);
}

static void tried(struct login *l, bytes m)
{
    struct watch_resp r;
    if (decode_watch_resp(m, &run.arena, &r))
        die("a response that cannot be read");
    if (l->answer == NOTHING && r.created)
        l->answer = !r.canceled ? ALLOWED : users_says_denied(r.cancel_reason) ? DENIED : UNKNOWN;
    h2_reset(l->watch);
}

static void logged_in(struct login *l, bytes m)
{
    struct response_header h;
    struct authenticate_resp resp;
    if (decode_authenticate_resp(m, &run.arena, &h, &resp) || resp.token.len >= sizeof l->token)
        die("a login's answer that cannot be read");
    memcpy(l->token, resp.token.data, resp.token.len);
    l->token[resp.token.len] = 0;
    l->got_ns = now_ns();
}

static void on_message(struct link *link, void *call, bytes m)
{
    struct login *l = call;
    (void)link;
    if (l->prefix >= 0)
        tried(l, m);
    else
        logged_in(l, m);
    arena_reset(&run.arena);
}

static void on_end(struct link *link, void *call, enum grpc_status code)
{
    struct login *l = call;
    int64_t now = now_ns(), lag_ns = 0;
    (void)link;
    bool knows = l->answer == ALLOWED || l->answer == DENIED;
    l->asking = false;
    l->next_ns = now + (knows ? TRY_MS : RETRY_MS) * INT64_C(1000000);
    if (knows)
        judge(rights_tried(&run.rights, claim_of(l), l->answer == ALLOWED, l->asked_ns, now, &lag_ns), claim_of(l));
    else if (l->answer == UNKNOWN || code == GRPC_UNAUTHENTICATED)
        l->token[0] = 0;
    if (lag_ns)
        lag_add(&run.known, lag_ns / 1000);
}

/* ---- the administrator ---- */

static bool concerns(const struct change *c, int prefix)
{
    return c->of_role ? prefix / PER_HALF == c->prefix / PER_HALF : prefix == c->prefix;
}

/* Whether every replica knows what it would change: else one that has heard of nothing yet would look as if it knew. */
static bool is_ripe(const struct change *c)
{
    for (int p = 0; p < RIGHTS_PREFIXES; p++) {
        for (size_t i = 0; concerns(c, p) && i < run.o.n_replicas; i++) {
            if (!run.rights.of[c->user][p].known_ns[i])
                return false;
        }
    }
    return true;
}

static void draw_one(void)
{
    struct change *c = &run.change;
    *c = (struct change){.of_role = rng_below(&run.rng, 4) == 0,
                         .user = (int)rng_below(&run.rng, RIGHTS_USERS),
                         .prefix = (int)rng_below(&run.rng, RIGHTS_PREFIXES),
                         .type = rng_below(&run.rng, 2) ? PERMISSION_WRITE : PERMISSION_READ};
    c->gives = c->of_role ? !run.has_role[c->user][c->prefix / PER_HALF] : !run.has_permission[c->user][c->prefix];
    if (c->gives)
        c->type = PERMISSION_READ;
}

/* Most rights stand, most of the time. */
static void draw_change(void)
{
    int tries = (int)rng_below(&run.rng, 6);
    do
        draw_one();
    while (!(run.change.gives && is_ripe(&run.change)) && tries-- > 0);
    run.change.wanted = is_ripe(&run.change);
}

/* What is missing, when all is to be given. */
static void draw_missing(void)
{
    for (int u = 0; u < RIGHTS_USERS; u++) {
        for (int p = 0; p < RIGHTS_PREFIXES; p++) {
            bool role = run.has_role[u][p / PER_HALF];
            if (role && run.has_permission[u][p])
                continue;
            run.change =
                (struct change){.of_role = !role, .gives = true, .type = PERMISSION_READ, .user = u, .prefix = p};
            run.change.wanted = is_ripe(&run.change);
            if (run.change.wanted)
                return;
        }
    }
}

static const char *encode_change(const struct change *c)
{
    char role[16], key[8], end[8];
    snprintf(role, sizeof role, "u%d-%d", c->user, c->prefix / PER_HALF);
    struct key_range range = range_of(c->prefix, key, end);
    struct user_role_req of_user = {bytes_str(name_of(c->user)), bytes_str(role)};
    struct role_grant_req grant = {bytes_str(role), true, {c->type, range}};
    struct role_revoke_req revoke = {bytes_str(role), range};
    buf_reset(&run.body);
    if (c->of_role) {
        encode_user_role_req(&of_user, &run.body);
        return c->gives ? "/etcdserverpb.Auth/UserGrantRole" : "/etcdserverpb.Auth/UserRevokeRole";
    }
    if (c->gives || c->type == PERMISSION_WRITE) {
        encode_role_grant_req(&grant, &run.body);
        return "/etcdserverpb.Auth/RoleGrantPermission";
    }
    encode_role_revoke_req(&revoke, &run.body);
    return "/etcdserverpb.Auth/RoleRevokePermission";
}

/* What a change's end is not known of is done again. */
static void send_change(void)
{
    struct change *c = &run.change;
    run.admin->token = users_token(USER_ROOT, run.o.source);
    if (!run.admin->up || !run.admin->token)
        return;
    const char *path = encode_change(c);
    c->under_way = link_call(run.admin, path, buf_bytes(&run.body), c) != NULL;
    for (int p = 0; c->under_way && p < RIGHTS_PREFIXES; p++) {
        if (concerns(c, p))
            rights_changing(&run.rights, c->user, p);
    }
}

static void done(const struct change *c, int64_t now)
{
    if (c->of_role)
        run.has_role[c->user][c->prefix / PER_HALF] = c->gives;
    else
        run.has_permission[c->user][c->prefix] = c->gives;
    for (int p = 0; p < RIGHTS_PREFIXES; p++) {
        bool stands = run.has_role[c->user][p / PER_HALF] && run.has_permission[c->user][p];
        if (concerns(c, p))
            rights_changed(&run.rights, c->user, p, stands, now);
    }
    run.counts.changes++;
}

static void on_change_message(struct link *l, void *call, bytes m)
{
    (void)l, (void)call, (void)m;
}

static void on_change_end(struct link *l, void *call, enum grpc_status code)
{
    struct change *c = call;
    (void)l;
    c->under_way = false;
    if (code == GRPC_UNAUTHENTICATED)
        users_refused(USER_ROOT, run.o.source);
    if (code != GRPC_OK &&
        code != GRPC_FAILED_PRECONDITION) /* the latter: what was taken is gone, by a call whose answer was lost */
        return;
    done(c, now_ns());
    c->wanted = false;
    run.change_at_ns = now_ns() + (int64_t)rng_below(&run.rng, 2 * (uint64_t)run.o.change_ms) * 1000000;
}

/* ---- life ---- */

static void add_login(int user, int port, int replica)
{
    static const struct link_callbacks callbacks = {.on_message = on_message, .on_end = on_end};
    run.logins[run.n_logins++] =
        (struct login){.user = user, .replica = replica, .link = link_new(port, &callbacks, NULL), .prefix = -1};
}

void users_start(const struct users_options *o, struct court *court)
{
    static const struct link_callbacks callbacks = {.on_message = on_change_message, .on_end = on_change_end};
    run.o = *o;
    run.court = court;
    if (!o->on)
        return;
    rng_init(&run.rng, o->seed ^ 15);
    arena_init(&run.arena, 0);
    buf_init(&run.body);
    run.rights.late_ns = o->late_ms * 1000000;
    run.admin = link_new(o->source, &callbacks, NULL);
    run.logins = calloc((RIGHTS_USERS + 1) * (o->n_replicas + 1), sizeof *run.logins);
    if (!run.logins)
        die("out of memory");
    for (int u = 0; u <= USER_ROOT; u++) {
        for (size_t i = 0; i < o->n_replicas; i++)
            add_login(u, o->replicas[i], (int)i);
    }
    add_login(USER_ROOT, o->source, -1);
    memset(run.has_role, true, sizeof run.has_role);
    memset(run.has_permission, true, sizeof run.has_permission);
    for (int u = 0; u < RIGHTS_USERS; u++) {
        for (int p = 0; p < RIGHTS_PREFIXES; p++)
            rights_changed(&run.rights, u, p, true, now_ns());
    }
}

void users_turn(int64_t now)
{
    if (!run.o.on)
        return;
    for (size_t i = 0; i < run.n_logins; i++)
        turn(&run.logins[i], now);
    struct change *c = &run.change;
    if (!c->wanted && run.finishing)
        draw_missing();
    else if (!c->wanted && now >= run.change_at_ns)
        draw_change();
    if (c->wanted && !c->under_way)
        send_change();
}

static bool all_know(bool say)
{
    bool all = true;
    for (int u = 0; u < RIGHTS_USERS; u++) {
        for (int p = 0; p < RIGHTS_PREFIXES; p++) {
            for (size_t i = 0; i < run.o.n_replicas; i++) {
                const struct right *r = &run.rights.of[u][p];
                bool knows = !r->changes && r->stands && r->known_ns[i];
                all = all && knows;
                if (say && !knows)
                    fprintf(stderr, "busy: replica %zu is not seen to know that user %d may read prefix %d\n", i, u, p);
            }
        }
    }
    return all;
}

bool users_finish(void)
{
    run.finishing = true;
    return !run.o.on || (!run.change.wanted && all_know(false));
}

void users_say(void)
{
    if (run.o.on)
        (void)all_know(true);
}

void users_counts(struct users_counts *ret)
{
    run.counts.known_us[0] = lag_quantile(&run.known, 0.5);
    run.counts.known_us[1] = lag_quantile(&run.known, 0.99);
    run.counts.known_us[2] = lag_quantile(&run.known, 1);
    *ret = run.counts;
}

/* ---- what watches were told ---- */

void users_created(struct claim who)
{
    run.counts.created++;
    judge(rights_created(&run.rights, who), who);
}

void users_told(struct claim who, int64_t written_ns)
{
    run.counts.told++;
    judge(rights_told(&run.rights, who, written_ns), who);
}

void users_denied(struct claim who)
{
    run.counts.denied++;
    judge(rights_denied(&run.rights, who), who);
}
