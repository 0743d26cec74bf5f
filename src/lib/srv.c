/* Endpoints by DNS.
 *
 *     ASKING --answered--> RESTING for the TTL, within its bounds -> ASKING
 *            --failed, or not answered in time--> RESTING, doubling -> ASKING
 *     RESTING --the connection was lost--> ASKING, but not more often than each AGAIN_MS
 *
 * What the records name is given to the engine with its place in the order; an address that has gone from them is not
 * connected to any more, and keeps its index. What is known stays in use while the names cannot be had. */
#include "lib/srv.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/backoff.h"
#include "io/address.h"

enum {
    PATIENCE_MS = 5000, /* of one lookup, which then goes on unseen */
    AGAIN_MS = 1000,
    TTL_MIN_S = 1,
    TTL_MAX_S = 3600,
    RETRY_MIN_MS = 1000,
    RETRY_MAX_MS = 60000,
};

struct srv {
    struct object object;
    struct io_srv_query query;
    struct io_srv *job; /* NULL = none under way */
    tn_ms next_at, asked_at;
    struct backoff backoff;
    struct rng rng;
    bool connected;
};

static struct srv *srv_of(const struct object *o)
{
    return CONTAINER_OF(o, struct srv, object);
}

/* ---- the order ---- */

static int by_priority(const void *a, const void *b)
{
    const struct io_srv_record *x = a, *y = b;
    if (x->tls != y->tls)
        return x->tls ? -1 : 1;
    if (x->priority != y->priority)
        return x->priority < y->priority ? -1 : 1;
    if ((x->weight == 0) != (y->weight == 0))
        return x->weight == 0 ? -1 : 1; /* in front, as the RFC says */
    int order = strcmp(x->host, y->host);
    return order ? order : (int)x->port - (int)y->port;
}

/* The next one of records[at, end), which are of one priority: by a running sum of the weights. */
static size_t choose(const struct io_srv_record *records, size_t at, size_t end, struct rng *rng)
{
    uint64_t sum = 0, run = 0;
    for (size_t i = at; i < end; i++)
        sum += records[i].weight;
    uint64_t dice = rng_below(rng, sum + 1);
    for (size_t i = at; i < end; i++) {
        run += records[i].weight;
        if (run >= dice)
            return i;
    }
    return at;
}

static void shuffle(struct io_srv_record *records, size_t at, size_t end, struct rng *rng)
{
    for (; at + 1 < end; at++) {
        size_t i = choose(records, at, end, rng);
        struct io_srv_record chosen = records[i];
        memmove(&records[at + 1], &records[at], (i - at) * sizeof *records);
        records[at] = chosen;
    }
}

void lib_srv_order(struct io_srv_record *records, size_t n, struct rng *rng)
{
    size_t at = 0;
    qsort(records, n, sizeof *records, by_priority);
    for (size_t i = 1; i <= n; i++) {
        if (i < n && records[i].tls == records[at].tls && records[i].priority == records[at].priority)
            continue;
        shuffle(records, at, i, rng);
        at = i;
    }
}

/* ---- what is known ---- */

static void url_of(const struct io_srv_record *r, char *out, size_t size)
{
    struct io_address a = {.kind = IO_ADDRESS_TCP, .port = r->port, .tls = r->tls};
    snprintf(a.host, sizeof a.host, "%s", r->host);
    io_address_text(&a, out, size);
}

static size_t find(const struct client *engine, const char *url)
{
    for (size_t i = 0; i < client_endpoints(engine); i++)
        if (strcmp(client_endpoint(engine, i), url) == 0)
            return i;
    return SIZE_MAX;
}

static void learn(struct srv *s, const struct io_srv_record *r, unsigned place)
{
    tenure_client *c = s->object.handle;
    struct log log = {.sink = c->log ? handle_log_sink : NULL, .user = c};
    struct tenure_error ignored;
    char url[IO_ADDRESS_TEXT_MAX];
    url_of(r, url, sizeof url);
    size_t i = find(c->engine, url);
    if (i == SIZE_MAX) {
        if (client_endpoints(c->engine) >= ENDPOINTS_MAX || client_endpoint_add(c->engine, url, &ignored) < 0)
            return;
        i = client_endpoints(c->engine) - 1;
        log_write(&log, LOG_INFO, "endpoint learnt", "endpoint=%s priority=%u weight=%u", url, (unsigned)r->priority,
                  (unsigned)r->weight);
    }
    client_endpoint_place(c->engine, i, place);
}

static void note(struct srv *s, const struct io_srv_answer *a)
{
    struct io_srv_record order[SRV_MAX];
    memcpy(order, a->records, a->n * sizeof *order);
    lib_srv_order(order, a->n, &s->rng);
    client_endpoints_leave(s->object.handle->engine); /* those that are not named again */
    for (size_t i = 0; i < a->n; i++)
        learn(s, &order[i], (unsigned)i + 1);
}

static void failed(struct srv *s, const char *why)
{
    tenure_client *c = s->object.handle;
    struct log log = {.sink = c->log ? handle_log_sink : NULL, .user = c};
    s->next_at = handle_now(c) + backoff_failure(&s->backoff, &s->rng);
    client_no_endpoints(c->engine, why);
    log_write(&log, LOG_WARN, "no endpoints by DNS", "why=\"%s\"", why);
}

static void on_answer(void *user, const struct io_srv_answer *a)
{
    struct srv *s = user;
    tenure_client *c = s->object.handle;
    s->job = NULL;
    if (a->code) {
        failed(s, a->error.text);
    } else {
        int64_t ttl_s = a->ttl_s < TTL_MIN_S ? TTL_MIN_S : a->ttl_s > TTL_MAX_S ? TTL_MAX_S : a->ttl_s;
        backoff_success(&s->backoff);
        s->next_at = handle_now(c) + ttl_s * 1000;
        note(s, a);
    }
    handle_wants_turn(c);
}

/* ---- the object ---- */

static tn_ms srv_deadline(const struct object *o)
{
    const struct srv *s = srv_of(o);
    if (o->handle->state != HANDLE_OPEN)
        return TN_MS_NEVER;
    return s->job ? s->asked_at + PATIENCE_MS : s->next_at;
}

static void srv_tick(struct object *o, tn_ms now)
{
    struct srv *s = srv_of(o);
    struct tenure_error err = {0};
    if (s->job) {
        s->job = io_srv_cancel(s->job);
        failed(s, "no server of names answers");
        return;
    }
    s->asked_at = now;
    if (io_srv_start(o->handle->loop, &s->query, on_answer, s, &s->job, &err) < 0)
        failed(s, err.text);
}

/* Each turn: a connection that was lost may have been to what is not there any more. */
static void srv_publish(struct object *o)
{
    struct srv *s = srv_of(o);
    bool connected = o->handle->engine && client_is_connected(o->handle->engine);
    tn_ms soonest = s->asked_at + AGAIN_MS;
    if (s->connected && !connected && !s->job && soonest < s->next_at)
        s->next_at = soonest;
    s->connected = connected;
}

static void srv_close(struct object *o, tn_ms now)
{
    struct srv *s = srv_of(o);
    (void)now;
    s->job = io_srv_cancel(s->job);
}

static bool is_over(const struct object *o)
{
    (void)o;
    return false; /* it goes with the handle */
}

static void srv_free(struct object *o)
{
    io_srv_cancel(srv_of(o)->job);
    free(srv_of(o));
}

static const struct object_type srv_type = {
    .deadline = srv_deadline,
    .tick = srv_tick,
    .publish = srv_publish,
    .close = srv_close,
    .is_over = is_over,
    .is_passive = true,
    .free = srv_free,
};

/* ---- opening ---- */

static const char *value(const char *given, const char *variable)
{
    const char *text = given ? given : getenv(variable);
    return text && text[0] ? text : NULL;
}

const char *lib_srv_default(void)
{
    return value(NULL, "TENURE_DISCOVERY_SRV");
}

/* "_etcd-client-ssl-NAME._tcp.DOMAIN", as etcd's clients ask. */
static bool query_name(char *out, bool tls, const char *name, const char *domain)
{
    int len = snprintf(out, SRV_NAME_MAX, "_etcd-client%s%s%s._tcp.%s", tls ? "-ssl" : "", name ? "-" : "",
                       name ? name : "", domain);
    return len < SRV_NAME_MAX;
}

static int make_query(struct io_srv_query *q, const struct tenure_options *o, struct tenure_error *err)
{
    const char *domain = o->discovery_srv, *name = value(o->discovery_srv_name, "TENURE_DISCOVERY_SRV_NAME");
    const char *server = value(o->dns_server, "TENURE_DNS_SERVER");
    if (!query_name(q->secure, true, name, domain) || !query_name(q->plain, false, name, domain))
        return error_set(err, TENURE_EINVALID, "the domain of the SRV records is too long");
    if (server && (strlen(server) >= sizeof q->server || !io_srv_server_is_valid(server)))
        return error_set(err, TENURE_EINVALID, "the DNS server '%.60s' is not IPV4[:PORT]", server);
    snprintf(q->server, sizeof q->server, "%s", server ? server : "");
    return 0;
}

int lib_srv_start(tenure_client *c, const struct tenure_options *o, struct tenure_error *err)
{
    struct srv *s = calloc(1, sizeof *s);
    if (!s)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    int rc = make_query(&s->query, o, err);
    if (rc < 0) {
        free(s);
        return rc;
    }
    backoff_init(&s->backoff, RETRY_MIN_MS, RETRY_MAX_MS);
    rng_init(&s->rng, client_random(c->engine));
    s->next_at = c->now;
    client_no_endpoints(c->engine, "the SRV records have not been answered yet");
    c->learns = true;
    object_init(&s->object, c, &srv_type);
    handle_wants_turn(c);
    return 0;
}
