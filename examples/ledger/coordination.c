#include "coordination.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tenure/tenure.h>

#include "say.h"

#define LIMIT_DEFAULT 10000

struct coordination {
    struct coordination_options options;
    char url[ADDRESS_SIZE]; /* of this instance */
    tenure_client *client;
    tenure_config *config;
    tenure_observer *observer;
    tenure_service *service;
    bool healthy;              /* the main thread's */
    pthread_mutex_t mutex;     /* of what follows; never held while something waits */
    tenure_election *election; /* NULL: not yet, or no more */
    struct rules rules;
    char leader[ADDRESS_SIZE];
};

/* ---- configuration: ledger/limit, ledger/fee-bp, ledger/rounding, ledger/think ---- */

/* A value that is none leaves the rule as it was: an operator's slip must not stop the bookings. */
static int64_t bounded(const char *key, int64_t value, int64_t most, int64_t was, const struct tenure_error *err)
{
    if (err->code == 0 && value >= 0 && value <= most)
        return value;
    say("configuration: %s stays %" PRId64 ": %s", key, was, err->code ? err->text : "it is out of bounds");
    return was;
}

static enum rounding rounding(const char *text, enum rounding was)
{
    static const char *const words[] = {[ROUND_DOWN] = "down", [ROUND_UP] = "up", [ROUND_HALF] = "half"};
    for (size_t i = 0; text && i < sizeof words / sizeof *words; i++)
        if (strcmp(text, words[i]) == 0)
            return (enum rounding)i;
    say("configuration: ledger/rounding stays %s: expected down, up or half", words[was]);
    return was;
}

/* Of the newest state, as a whole. Called on the handle's thread with each new one, so no state can come in between. */
static void read_rules(struct coordination *c, tenure_config *v, int64_t revision)
{
    struct tenure_error err = {0};
    struct rules is, was;
    coordination_rules(c, &was);
    is.revision = revision;
    int64_t n = tenure_config_int(v, "ledger/limit", LIMIT_DEFAULT, &err);
    is.limit = bounded("ledger/limit", n, AMOUNT_MAX, was.limit, &err);
    n = tenure_config_int(v, "ledger/fee-bp", 0, &err);
    is.fee_bp = bounded("ledger/fee-bp", n, 10000, was.fee_bp, &err);
    n = tenure_config_duration_ms(v, "ledger/think", 0, &err);
    is.think_ms = bounded("ledger/think", n, 2000, was.think_ms, &err);
    char *text = tenure_config_string(v, "ledger/rounding", "down", &err);
    is.rounding = rounding(text, was.rounding);
    free(text);
    pthread_mutex_lock(&c->mutex);
    c->rules = is;
    pthread_mutex_unlock(&c->mutex);
    say("rules of revision %" PRId64 ": limit %" PRId64 ", fee %" PRId64 " bp, rounding %d, think %" PRId64 " ms",
        revision, is.limit, is.fee_bp, (int)is.rounding, is.think_ms);
}

static void on_change(tenure_config *v, int64_t revision, const struct tenure_config_change *changes, size_t n,
                      void *user)
{
    (void)changes, (void)n;
    read_rules(user, v, revision);
}

static void on_state(tenure_config *v, enum tenure_config_state state, const struct tenure_error *err, void *user)
{
    static const char *const words[] = {"awaited", "current", "stale", "the last known", "not followed any more"};
    (void)v, (void)user;
    say("configuration is %s%s%s", words[state], err ? ": " : "", err ? err->text : "");
}

/* ---- leadership ---- */

static void on_gained(tenure_election *e, tenure_token token, void *user)
{
    struct coordination *c = user;
    (void)e;
    say("leads with token %" PRId64, token);
    c->options.on_lead(c->options.user);
}

/* At the latest when the lease may be over, network or not: nobody else leads before. (A process that is stopped hears of it when
 * it goes on, which is too late. The fence is for that.) */
static void on_lost(tenure_election *e, enum tenure_loss why, void *user)
{
    struct coordination *c = user;
    say("leads no more, token %" PRId64 ": %s", (int64_t)tenure_election_token(e),
        why == TENURE_LOSS_RESIGNED  ? "resigned"
        : why == TENURE_LOSS_REVOKED ? "somebody ended it"
                                     : "the lease was not renewed in time");
    c->options.on_lead(c->options.user);
}

static void on_leader(tenure_observer *o, const struct tenure_kv *kv, int64_t revision, void *user)
{
    struct coordination *c = user;
    (void)o, (void)revision;
    pthread_mutex_lock(&c->mutex);
    snprintf(c->leader, sizeof c->leader, "%.*s", kv ? (int)kv->value.len : 0, kv ? (const char *)kv->value.data : "");
    pthread_mutex_unlock(&c->mutex);
}

static int stand(struct coordination *c, struct tenure_error *err)
{
    struct tenure_observer_options observe = {.size = sizeof observe, .on_leader = on_leader, .user = c};
    struct tenure_election_options o = {.size = sizeof o,
                                        .proposal = tenure_str(c->url),
                                        .ttl_s = c->options.ttl_s,
                                        .purpose = c->options.name,
                                        .on_gained = on_gained,
                                        .on_lost = on_lost,
                                        .user = c};
    c->observer = tenure_observer_start(c->client, "ledger", &observe, err);
    tenure_election *e = c->observer ? tenure_election_start(c->client, "ledger", &o, err) : NULL;
    pthread_mutex_lock(&c->mutex);
    c->election = e;
    pthread_mutex_unlock(&c->mutex);
    return e ? 0 : -1;
}

int64_t coordination_token(struct coordination *c)
{
    tenure_token token = 0;
    pthread_mutex_lock(&c->mutex);
    if (c->election) {
        token = tenure_election_token(
            c->election); /* first: a token that is older than what it leads with is refused, and no harm is done */
        if (!tenure_election_leads(c->election))
            token = 0;
    }
    pthread_mutex_unlock(&c->mutex);
    return token;
}

/* ---- the registry ---- */

static void on_registered(tenure_service *s, void *user)
{
    (void)s, (void)user;
    say("registered");
}

static void on_unregistered(tenure_service *s, const struct tenure_error *why, void *user)
{
    (void)s, (void)user;
    say("not registered for now: %s", why->text);
}

static void on_healed(tenure_service *s, void *user)
{
    (void)s, (void)user;
    say("registered again");
}

static void on_ended(tenure_service *s, int code, const struct tenure_error *err, void *user)
{
    (void)s, (void)user;
    if (code != 0)
        say("registered no more: %s", err->text);
}

static int enroll(struct coordination *c, struct tenure_error *err)
{
    /* An instance that was killed stands in the registry until its lease ends. It is this very one, so it takes its place over. */
    struct tenure_service_options o = {.size = sizeof o,
                                       .ttl_s = c->options.ttl_s,
                                       .conflict = TENURE_CONFLICT_TAKE_OVER,
                                       .version = "1",
                                       .on_registered = on_registered,
                                       .on_lost = on_unregistered,
                                       .on_healed = on_healed,
                                       .on_ended = on_ended,
                                       .user = c};
    c->service =
        tenure_register_start(c->client, "ledger", c->options.name, c->options.address, c->options.port, &o, err);
    return c->service ? 0 : -1;
}

void coordination_set_healthy(struct coordination *c, bool healthy)
{
    struct tenure_error err = {0};
    if (healthy == c->healthy)
        return;
    c->healthy = healthy;
    say("is %s", healthy ? "healthy" : "of no use for now");
    if (tenure_service_set_health(c->service, healthy ? TENURE_HEALTH_PASSING : TENURE_HEALTH_CRITICAL, &err) < 0)
        say("registry: %s", err.text);
}

/* ---- the whole ---- */

static void on_log(void *user, int level, const char *line)
{
    (void)user;
    if (level > 0)
        say("tenure: %s", line);
}

struct coordination *coordination_open(const struct coordination_options *o)
{
    struct tenure_error err = {0};
    struct tenure_options client = {.size = sizeof client, .purpose = o->name, .log = on_log};
    struct coordination *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->options = *o;
    c->healthy = true;
    c->rules = (struct rules){.limit = LIMIT_DEFAULT, .rounding = ROUND_DOWN};
    pthread_mutex_init(&c->mutex, NULL);
    snprintf(c->url, sizeof c->url, "http://%s:%d", o->address, o->port);
    struct tenure_config_options view = {.size = sizeof view,
                                         .service = "ledger",
                                         .instance = o->name,
                                         .timeout_ms = 2000,
                                         .cache_file = o->cache,
                                         .on_change = on_change,
                                         .on_state = on_state,
                                         .user = c};
    c->client = tenure_open(o->endpoints, &client, &err);
    c->config = c->client ? tenure_config_open(c->client, "ledger/", &view, &err) : NULL;
    if (c->config)
        return c;
    say("configuration: %s", err.text);
    coordination_close(c);
    return NULL;
}

int coordination_begin(struct coordination *c)
{
    struct tenure_error err = {0};
    if (stand(c, &err) == 0 && enroll(c, &err) == 0)
        return 0;
    say("%s", err.text);
    return -1;
}

bool coordination_leader(struct coordination *c, char ret[ADDRESS_SIZE])
{
    pthread_mutex_lock(&c->mutex);
    memcpy(ret, c->leader, ADDRESS_SIZE);
    pthread_mutex_unlock(&c->mutex);
    /* Itself, which has just said that it does not lead: what was heard is old. */
    return *ret && strcmp(ret, c->url) != 0;
}

void coordination_rules(struct coordination *c, struct rules *ret)
{
    pthread_mutex_lock(&c->mutex);
    *ret = c->rules;
    pthread_mutex_unlock(&c->mutex);
}

void coordination_drain(struct coordination *c)
{
    struct tenure_error err = {0};
    if (tenure_service_set_draining(c->service, true, &err) < 0 || tenure_service_await(c->service, 1000, &err) < 0)
        say("draining: %s", err.text); /* no server answers: then the others see it when the lease ends */
}

void coordination_resign(struct coordination *c)
{
    pthread_mutex_lock(&c->mutex);
    tenure_election *e = c->election;
    c->election = NULL;
    pthread_mutex_unlock(&c->mutex);
    tenure_election_stop(e);
}

void coordination_close(struct coordination *c)
{
    if (!c)
        return;
    tenure_close(c->client); /* with all its objects: the registration is taken out, the lease revoked */
    pthread_mutex_destroy(&c->mutex);
    free(c);
}
