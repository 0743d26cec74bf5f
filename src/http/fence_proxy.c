/* See fence_proxy.h. The life of a connection and of an exchange on it; heads and bodies are fence_request.c's and fence_answer.c's. */
#include "http/fence_proxy.h"

#include <stdio.h>
#include <stdlib.h>

#include "http/fence_internal.h"

#define TIMEOUT_MS 30000
#define STALL_MS   30000
#define IDLE_MS    60000

/* ---- the proxy ---- */

static bool same_method(const char *list, size_t len, const char *name)
{
    return strlen(name) == len && strncmp(list, name, len) == 0;
}

static uint64_t method_mask(const char *name, size_t len)
{
    for (int m = 0; m < 64 && m <= HTTP_SOURCE; m++)
        if (same_method(name, len, http_method_str((enum http_method)m)))
            return UINT64_C(1) << m;
    return 0;
}

uint64_t fence_methods(const char *list)
{
    const uint64_t reads = UINT64_C(1) << HTTP_GET | UINT64_C(1) << HTTP_HEAD | UINT64_C(1) << HTTP_OPTIONS;
    uint64_t mask = 0;
    if (!list)
        return ~reads;
    if (strcmp(list, "all") == 0)
        return UINT64_MAX;
    for (const char *at = list;; at++) {
        size_t len = strcspn(at, ",");
        uint64_t one = method_mask(at, len);
        if (!one)
            return 0;
        mask |= one;
        at += len;
        if (!*at)
            return mask;
    }
}

static int64_t or_default(int64_t ms, int64_t fallback)
{
    return ms > 0 ? ms : fallback;
}

struct fence_proxy *fence_proxy_new(const struct fence_proxy_config *config)
{
    struct fence_proxy *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    p->config = *config;
    p->config.timeout_ms = or_default(config->timeout_ms, TIMEOUT_MS);
    p->config.stall_ms = or_default(config->stall_ms, STALL_MS);
    p->config.idle_ms = or_default(config->idle_ms, IDLE_MS);
    return p;
}

struct fence_proxy *fence_proxy_free(struct fence_proxy *p)
{
    free(p);
    return NULL;
}

struct fence_counts fence_proxy_counts(const struct fence_proxy *p)
{
    return p->counts;
}

/* ---- a connection ---- */

struct fence_conn *fence_conn_new(struct fence_proxy *p, void *owner, tn_ms now)
{
    struct fence_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->proxy = p;
    c->owner = owner;
    c->now = c->since = c->took_at = now;
    turnstile_ticket_init(&c->ticket);
    proxy_head_init(&c->head);
    proxy_head_init(&c->back_head);
    buf_init(&c->ahead);
    buf_init(&c->to_front);
    buf_init(&c->to_back);
    fence_request_init(c);
    return c;
}

struct fence_conn *fence_conn_free(struct fence_conn *c)
{
    if (!c)
        return NULL;
    turnstile_leave(c->proxy->config.turnstile, &c->ticket);
    proxy_head_fini(&c->head);
    proxy_head_fini(&c->back_head);
    buf_fini(&c->ahead);
    buf_fini(&c->to_front);
    buf_fini(&c->to_back);
    free(c);
    return NULL;
}

void *fence_owner(const struct fence_conn *c)
{
    return c->owner;
}

/* ---- an exchange ---- */

void fence_move(struct fence_conn *c, enum fence_stage stage)
{
    c->stage = stage;
    c->since = c->now;
}

void fence_went_on(struct fence_conn *c)
{
    bool is_stale = c->ticket.state == TURNSTILE_INSIDE && turnstile_ticket_seen(&c->ticket) > c->ticket.token;
    if (c->request_whole || !is_stale)
        c->since = c->now;
}

void fence_exchange_over(struct fence_conn *c)
{
    turnstile_leave(c->proxy->config.turnstile, &c->ticket);
    buf_reset(&c->to_back);
    c->closing = c->closing || !c->keeps_alive || c->front_ended;
    fence_move(c, FENCE_ANSWERED);
}

void fence_abort(struct fence_conn *c)
{
    turnstile_leave(c->proxy->config.turnstile, &c->ticket);
    c->closing = c->aborted = true;
    fence_move(c, FENCE_ANSWERED);
}

static void begin_next(struct fence_conn *c)
{
    c->head_whole = c->request_whole = c->is_head = false;
    fence_move(c, FENCE_IDLE);
}

/* Behind every event: on with the next request where the last one is over. A body that was not to be had is read to its end before
 * (there is none: fence_refuse closes). */
static void settle(struct fence_conn *c)
{
    do {
        if (c->stage == FENCE_ANSWERED && !c->closing && c->request_whole)
            begin_next(c);
        fence_request_parse(c);
    } while (c->stage == FENCE_ANSWERED && !c->closing && c->request_whole && c->ahead.len > 0);
    if (c->to_front.len == 0)
        c->took_at = c->now;
}

struct fence_conn *fence_proxy_next(struct fence_proxy *p, tn_ms now)
{
    struct turnstile_ticket *k = turnstile_next(p->config.turnstile);
    if (!k)
        return NULL;
    struct fence_conn *c = CONTAINER_OF(k, struct fence_conn, ticket);
    c->now = now;
    if (k->state == TURNSTILE_INSIDE) {
        fence_move(c, FENCE_CONNECTING);
        return c;
    }
    char name[TURNSTILE_NAME_MAX + 1];
    int64_t seen = turnstile_ticket_seen(k), token = k->token;
    snprintf(name, sizeof name, "%s", turnstile_name(k));
    fence_refuse_stale(c, name, token, seen);
    settle(c);
    return c;
}

/* ---- the client's side ---- */

void fence_front_feed(struct fence_conn *c, bytes in, tn_ms now)
{
    c->now = now;
    if (c->closing || c->aborted)
        return;
    buf_append_bytes(&c->ahead, in);
    if (buf_error(&c->ahead))
        fence_abort(c);
    settle(c);
}

/* A request that is whole, and of which the service has something, goes on to its end without him. */
void fence_front_ended(struct fence_conn *c, tn_ms now)
{
    c->now = now;
    c->front_ended = c->closing = true;
    buf_reset(&c->to_front);
    bool is_under_way = c->stage == FENCE_PASSING && c->request_whole && c->sent;
    if (!is_under_way || c->ticket.state != TURNSTILE_INSIDE)
        fence_abort(c);
}

bool fence_front_wants(const struct fence_conn *c)
{
    if (c->closing)
        return true; /* what comes is dropped; its end is to be heard */
    return c->ahead.len < FENCE_HIGH && c->to_back.len < FENCE_HIGH && c->to_front.len < FENCE_HIGH;
}

static void take(struct buf *from, struct buf *out, size_t bytes_max)
{
    size_t n = from->len < bytes_max ? from->len : bytes_max;
    buf_append(out, from->data, n);
    buf_consume(from, n);
}

void fence_front_output(struct fence_conn *c, struct buf *out, size_t bytes_max, tn_ms now)
{
    c->now = now;
    if (c->to_front.len == 0 || c->aborted)
        return;
    take(&c->to_front, out, bytes_max);
    c->took_at = now;
    if (c->to_front.len == 0)
        settle(c);
}

bool fence_is_over(const struct fence_conn *c)
{
    return c->stage <= FENCE_HEAD ? c->closing
                                  : c->stage == FENCE_ANSWERED && c->closing && (c->aborted || c->to_front.len == 0);
}

/* ---- the service's side ---- */

uint64_t fence_wants_back(const struct fence_conn *c)
{
    return c->stage == FENCE_CONNECTING || c->stage == FENCE_PASSING ? c->number : 0;
}

void fence_back_connected(struct fence_conn *c, tn_ms now)
{
    c->now = now;
    if (c->stage != FENCE_CONNECTING)
        return;
    c->proxy->counts.passed++;
    fence_answer_begin(c);
    fence_move(c, FENCE_PASSING);
    if (c->expects && !c->request_whole)
        buf_printf(&c->to_front, "HTTP/1.1 100 Continue\r\n\r\n");
}

void fence_back_failed(struct fence_conn *c, const char *why, tn_ms now)
{
    c->now = now;
    if (c->stage != FENCE_CONNECTING)
        return;
    c->proxy->counts.failed++;
    fence_refuse(c, 502, "bad-gateway", why, "");
    settle(c);
}

void fence_back_feed(struct fence_conn *c, bytes in, tn_ms now)
{
    c->now = now;
    if (c->stage != FENCE_PASSING || in.len == 0)
        return;
    c->since = now;
    fence_answer_feed(c, in);
    settle(c);
}

void fence_back_ended(struct fence_conn *c, bool broken, tn_ms now)
{
    c->now = now;
    if (c->stage != FENCE_PASSING)
        return;
    if (broken)
        fence_answer_broken(c);
    else
        fence_answer_feed(c, (bytes){0});
    settle(c);
}

bool fence_back_reads(const struct fence_conn *c)
{
    return c->to_front.len < FENCE_HIGH;
}

void fence_back_output(struct fence_conn *c, struct buf *out, size_t bytes_max, tn_ms now)
{
    c->now = now;
    if (c->stage != FENCE_PASSING || c->to_back.len == 0)
        return;
    take(&c->to_back, out, bytes_max);
    c->sent = true;
    fence_went_on(c);
    settle(c);
}

/* ---- time ---- */

/* How long the present stage may stand still. Who keeps us waiting is whoever has to do something now: a service that has all there is
 * of a request, or a client that has not sent it all. */
static int64_t patience(const struct fence_conn *c)
{
    const struct fence_proxy_config *o = &c->proxy->config;
    switch (c->stage) {
    case FENCE_IDLE:
        return o->idle_ms;
    case FENCE_HEAD:
        return o->stall_ms;
    case FENCE_PASSING:
        return !c->request_whole && c->to_back.len == 0 ? o->stall_ms : o->timeout_ms;
    case FENCE_WAITING:
    case FENCE_CONNECTING:
    case FENCE_ANSWERED:
        break;
    }
    return o->timeout_ms;
}

tn_ms fence_deadline(const struct fence_conn *c)
{
    tn_ms at = c->since + patience(c), takes = c->took_at + c->proxy->config.stall_ms;
    if (fence_is_over(c))
        return TN_MS_NEVER;
    return c->to_front.len > 0 && takes < at ? takes : at;
}

static void out_of_time(struct fence_conn *c)
{
    bool waits_for_client = c->stage == FENCE_PASSING && !c->request_whole && c->to_back.len == 0;
    if (c->stage == FENCE_IDLE || c->stage == FENCE_ANSWERED || c->answer_begun) {
        fence_abort(c);
    } else if (c->stage == FENCE_HEAD || waits_for_client) {
        c->closing = true;
        fence_refuse(c, 408, "timeout", "the request did not come in time", "");
    } else if (c->stage == FENCE_WAITING) {
        fence_refuse(c, 503, "busy", "a request with a smaller token has not ended yet", "");
    } else {
        c->proxy->counts.failed++;
        fence_refuse(c, 504, "timeout",
                     c->stage == FENCE_CONNECTING ? "the service could not be reached in time"
                                                  : "the service did not answer in time; what it did is not known",
                     "");
    }
}

void fence_tick(struct fence_conn *c, tn_ms now)
{
    c->now = now;
    if (now < fence_deadline(c))
        return;
    if (c->to_front.len > 0 && now >= c->took_at + c->proxy->config.stall_ms)
        fence_abort(c);
    else
        out_of_time(c);
    settle(c);
}
