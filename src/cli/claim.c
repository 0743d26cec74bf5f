#include "cli/claim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/connect.h"
#include "cli/federated.h"
#include "cli/name.h"
#include "io/loop.h"

#define CALL_TIMEOUT_MS 5000 /* the library's default */

static void keep(struct tenure_error *into, int code, const struct tenure_error *err)
{
    *into = err ? *err : (struct tenure_error){.code = code, .kind = tenure_error_kind(code)};
    if (!into->code)
        into->code = code;
    if (!into->text[0] && code)
        snprintf(into->text, sizeof into->text, "%s", tenure_error_string(code));
}

/* ---- what the library tells ---- */

static void on_acquired(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user)
{
    struct claim *c = user;
    (void)lock;
    if (c->state != CLAIM_ASKING)
        return; /* it was given up a moment ago */
    c->state = code == 0 ? CLAIM_HELD : CLAIM_REFUSED;
    c->token = token;
    if (code != 0)
        keep(&c->why, code, err);
}

static void on_lock_lost(tenure_lock *lock, const struct tenure_error *why, void *user)
{
    struct claim *c = user;
    (void)lock;
    if (c->state != CLAIM_HELD)
        return;
    c->state = CLAIM_LOST;
    keep(&c->why, TENURE_ELOST, why);
}

static void on_released(int code, void *user)
{
    struct claim *c = user;
    if (--c->n_releasing > 0 || c->state != CLAIM_RELEASING)
        return; /* one of an earlier attempt */
    c->state = CLAIM_NONE;
    if (code != 0)
        keep(&c->why, code, NULL);
}

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    struct claim *c = user;
    (void)e;
    if (c->state != CLAIM_ASKING)
        return; /* it was given up a moment ago */
    c->state = CLAIM_HELD;
    c->token = token;
}

static void on_election_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    struct claim *c = user;
    if (c->state != CLAIM_HELD)
        return;
    c->state = CLAIM_LOST;
    keep(&c->why, TENURE_ELOST, NULL);
    if (why == TENURE_LOSS_REFUSED || c->o.region)
        tenure_election_why(e, &c->why);
    else if (why == TENURE_LOSS_REVOKED)
        snprintf(c->why.text, sizeof c->why.text, "the lease or the key was ended by somebody else");
    else
        snprintf(c->why.text, sizeof c->why.text, "the lease could not be renewed in time");
}

static void on_stopped(tenure_election *e, int code, const struct tenure_error *err, void *user)
{
    struct claim *c = user;
    (void)e;
    if (c->state == CLAIM_ASKING || c->state == CLAIM_HELD) {
        c->state = c->state == CLAIM_HELD ? CLAIM_LOST : CLAIM_REFUSED;
        keep(&c->why, code ? code : TENURE_ELOST, err);
    } else if (c->state == CLAIM_RELEASING) {
        c->state = CLAIM_NONE;
        if (code != 0)
            keep(&c->why, code, err);
    }
}

/* ---- opening ---- */

#define URLS_MAX 4096

/* The endpoints of the region that is asked for, looked up in the cluster at hand, and found to answer. False after having said
 * why not. */
static bool find_region(const struct claim *c, const struct global_options *g, char urls[URLS_MAX])
{
    const char *usual = c->o.election ? "/election/" : "/locks/";
    struct federated_name name = {c->command, c->o.region, c->o.name, c->prefix ? c->prefix : usual, c->name};
    int code;
    tenure_client *there = federated_open(&name, g, &code);
    urls[0] = 0;
    for (size_t i = 0, n = 0; there && i < tenure_endpoints(there) && n < URLS_MAX; i++)
        n += (size_t)snprintf(urls + n, URLS_MAX - n, "%s%s", i ? "," : "", tenure_endpoint(there, i));
    tenure_close(there);
    return urls[0];
}

bool claim_open(struct claim *c, const char *command, const struct global_options *g, const struct claim_options *o)
{
    struct tenure_options options;
    struct tenure_error err = {0};
    *c = (struct claim){.o = *o, .command = command};
    c->ask_until_ms = o->timeout_ms < 0 ? INT64_MAX : io_clock() + o->timeout_ms;
    c->call_timeout_ms = g->call_timeout_ms > 0 ? g->call_timeout_ms : CALL_TIMEOUT_MS;
    c->answer_until_ms = io_clock() + c->call_timeout_ms;
    if (!connect_prepare(command, g))
        return false;
    connect_options(g, &options);
    options.purpose = o->purpose;
    char urls[URLS_MAX];
    if (!name_split(o->name, o->whole_key, &c->prefix, &c->name)) {
        err.code = TENURE_ENOMEM;
    } else if (!o->region) {
        c->client = tenure_open_poll(g->endpoints, &options, &err);
    } else if (find_region(c, g, urls)) {
        options.federated = 1;
        options.discovery_srv = options.discovery_srv_name = NULL;
        c->client = tenure_open_poll(urls, &options, &err);
        c->answer_until_ms = io_clock() + c->call_timeout_ms;
    } else {
        claim_close(c);
        return false;
    }
    if (c->client)
        return true;
    connect_failed(command, g, &err);
    claim_close(c);
    return false;
}

void claim_close(struct claim *c)
{
    tenure_close(c->client);
    free(c->prefix);
    *c = (struct claim){.state = CLAIM_NONE};
}

/* ---- asking and releasing ---- */

/* 0 is "without end" to the library. */
static int64_t wait_left_ms(const struct claim *c)
{
    if (c->ask_until_ms == INT64_MAX)
        return 0;
    int64_t left = c->ask_until_ms - io_clock();
    return c->o.timeout_ms > 0 && left > 0 ? left : -1;
}

static void ask_lock(struct claim *c, struct tenure_error *err)
{
    struct tenure_lock_options o = {
        .size = sizeof o,
        .prefix = c->prefix,
        .ttl_s = c->o.ttl_s,
        .wait_ms = wait_left_ms(c),
        .purpose = c->o.purpose,
        .on_lost = on_lock_lost,
        .on_acquired = on_acquired,
        .on_released = on_released,
        .user = c,
        .delay_ms = c->o.delay_ms,
    };
    switch (c->o.share) {
    case CLAIM_WHOLE:
        c->lock = tenure_lock_start(c->client, c->name, &o, err);
        return;
    case CLAIM_READ:
        c->lock = tenure_rwlock_read_start(c->client, c->name, &o, err);
        return;
    case CLAIM_WRITE:
        c->lock = tenure_rwlock_write_start(c->client, c->name, &o, err);
        return;
    case CLAIM_PERMIT:
        c->lock = tenure_semaphore_start(c->client, c->name, c->o.weight, c->o.limit, &o, err);
        return;
    }
}

static void ask_election(struct claim *c, struct tenure_error *err)
{
    int64_t wait = wait_left_ms(c);
    struct tenure_election_options o = {
        .size = sizeof o,
        .prefix = c->prefix,
        .proposal = c->o.proposal ? tenure_str(c->o.proposal) : (struct tenure_bytes){NULL, 0},
        .ttl_s = c->o.ttl_s,
        .wait_ms = wait < 0 ? 1 : wait,
        .once = true,
        .preference = c->o.preference,
        .purpose = c->o.purpose,
        .on_gained = on_gained,
        .on_lost = on_election_lost,
        .on_stopped = on_stopped,
        .user = c,
    };
    c->election = tenure_election_start(c->client, c->name, &o, err);
}

/* Lets go of what there is, whatever its state. */
static void drop(struct claim *c)
{
    tenure_lock *lock = c->lock;
    tenure_election *election = c->election;
    c->lock = NULL;
    c->election = NULL;
    c->n_releasing += lock != NULL;
    tenure_unlock_start(lock);
    tenure_election_stop(election);
}

void claim_ask(struct claim *c)
{
    struct tenure_error err = {0};
    drop(c);
    c->state = CLAIM_ASKING;
    c->why = (struct tenure_error){0};
    if (c->o.election)
        ask_election(c, &err);
    else
        ask_lock(c, &err);
    if (c->lock || c->election || c->state != CLAIM_ASKING)
        return;
    c->state = CLAIM_REFUSED;
    keep(&c->why, err.code ? err.code : TENURE_EINTERNAL, &err);
}

void claim_release(struct claim *c)
{
    bool begun = c->state == CLAIM_ASKING || c->state == CLAIM_HELD;
    c->why = (struct tenure_error){0};
    c->state = begun ? CLAIM_RELEASING : CLAIM_NONE;
    drop(c);
}

/* An election goes on asking for ever: right for a candidate that stands, wrong for one that never met a server. */
static void give_up_unanswered(struct claim *c)
{
    char urls[160] = "";
    if (c->state != CLAIM_ASKING || io_clock() < c->answer_until_ms)
        return;
    for (size_t i = 0, n = 0; i < tenure_endpoints(c->client) && n < sizeof urls; i++)
        n += (size_t)snprintf(urls + n, sizeof urls - n, "%s%s", i ? ", " : "", tenure_endpoint(c->client, i));
    c->state = CLAIM_REFUSED;
    keep(&c->why, TENURE_EUNAVAILABLE, NULL);
    snprintf(c->why.text, sizeof c->why.text, "no server answered within %g s: %s", (double)c->call_timeout_ms / 1000,
             urls);
}

/* Once: it may be so for days. */
static void tell_refused(struct claim *c)
{
    struct tenure_error why;
    if (!c->o.region || !c->election || c->state != CLAIM_ASKING || c->was_refused)
        return;
    tenure_election_why(c->election, &why);
    c->was_refused = why.code == TENURE_ECONFLICT;
    if (c->was_refused)
        fprintf(stderr, "tenure %s: %s; standing on\n", c->command, why.text);
}

void claim_turn(struct claim *c)
{
    tenure_turn(c->client);
    c->was_answered = c->was_answered || claim_lease(c) != 0;
    if (!c->was_answered && c->o.election)
        give_up_unanswered(c);
    tell_refused(c);
}

int claim_wait_ms(const struct claim *c)
{
    int wait = tenure_timeout_ms(c->client);
    int64_t left = c->answer_until_ms - io_clock();
    if (c->was_answered || !c->o.election || c->state != CLAIM_ASKING)
        return wait;
    return left < 0 ? 0 : wait < 0 || wait > left ? (int)left : wait;
}

int claim_fd(const struct claim *c)
{
    return tenure_fd(c->client);
}

int64_t claim_remaining_ms(const struct claim *c)
{
    if (c->state != CLAIM_HELD)
        return 0;
    return c->lock ? tenure_lock_remaining_ms(c->lock) : c->election ? tenure_election_remaining_ms(c->election) : 0;
}

int64_t claim_lease(const struct claim *c)
{
    return c->lock ? tenure_lock_lease(c->lock) : c->election ? tenure_election_lease(c->election) : 0;
}

void claim_key(const struct claim *c, char *out, size_t size)
{
    out[0] = 0;
    if (c->election)
        tenure_election_key(c->election, out, size);
    else if (c->lock)
        snprintf(out, size, "%s", tenure_lock_key(c->lock));
}
