/* The endpoints: their names, when each may be tried again, and what it last failed with.
 *
 * A failed endpoint rests for a time that doubles up to 5 s; the one to try next is one that may be tried and has never
 * failed, else the one whose failure is longest ago. So a client goes round all of them and returns to a recovered one.
 */
#include <stdio.h>
#include <stdlib.h>

#include "client/internal.h"

enum { BACKOFF_MIN_MS = 25, BACKOFF_MAX_MS = 5000 };

/* ---- names ---- */

/* The part behind a scheme that we speak; NULL for one that we do not. */
static const char *behind_scheme(const char *url)
{
    const char *colon = strstr(url, "://");
    if (!colon)
        return url;
    if (strncmp(url, "http://", 7) == 0 || strncmp(url, "https://", 8) == 0)
        return colon + 3;
    return strncmp(url, "unix://", 7) == 0 || strncmp(url, "unixs://", 8) == 0 ? "localhost" : NULL;
}

static char *copy_text(const char *text, size_t len)
{
    char *copy = malloc(len + 1);
    if (!copy)
        return NULL;
    memcpy(copy, text, len);
    copy[len] = 0;
    return copy;
}

static int endpoint_init(struct endpoint *e, const char *url, struct tenure_error *err)
{
    const char *rest = url ? behind_scheme(url) : NULL;
    if (!url || !*url || !rest || !*rest)
        return error_set(err, TENURE_EINVALID,
                         "endpoint \"%s\": expected http(s)://host:port, host:port or unix(s):///path", url ? url : "");
    e->url = copy_text(url, strlen(url));
    e->authority = copy_text(rest, strcspn(rest, "/"));
    e->not_before = INT64_MIN;
    backoff_init(&e->backoff, BACKOFF_MIN_MS, BACKOFF_MAX_MS);
    return e->url && e->authority ? 0 : error_set(err, TENURE_ENOMEM, "out of memory");
}

int endpoints_init(struct client *c, const struct client_config *config, struct tenure_error *err)
{
    if (config->n_endpoints == 0 && config->endpoints_come)
        return 0;
    if (config->n_endpoints == 0)
        return error_set(err, TENURE_EINVALID, "no endpoint is given: at least one is needed");
    c->endpoints = calloc(config->n_endpoints, sizeof *c->endpoints);
    if (!c->endpoints)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->n_endpoints = config->n_endpoints;
    for (size_t i = 0; i < c->n_endpoints; i++) {
        int rc = endpoint_init(&c->endpoints[i], config->endpoints[i], err);
        if (rc)
            return rc;
        c->endpoints[i].is_given = true;
    }
    c->first_endpoint = (size_t)rng_below(&c->rng, c->n_endpoints);
    return 0;
}

int client_endpoint_add(struct client *c, const char *url, struct tenure_error *err)
{
    struct endpoint *more = realloc(c->endpoints, (c->n_endpoints + 1) * sizeof *more);
    if (!more)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    c->endpoints = more;
    struct endpoint *e = &more[c->n_endpoints];
    *e = (struct endpoint){0};
    int rc = endpoint_init(e, url, err);
    if (rc == 0) {
        c->n_endpoints++;
        client_unsettle(c); /* it may be what calls wait for */
        return 0;
    }
    free(e->url);
    free(e->authority);
    return rc;
}

void client_endpoint_place(struct client *c, size_t i, unsigned place)
{
    struct endpoint *e = &c->endpoints[i];
    if (e->is_given)
        return;
    e->place = place;
    e->has_left = false;
    client_unsettle(c);
}

void client_endpoints_leave(struct client *c)
{
    for (size_t i = 0; i < c->n_endpoints; i++)
        c->endpoints[i].has_left = c->endpoints[i].place > 0;
}

void client_no_endpoints(struct client *c, const char *why)
{
    snprintf(c->no_endpoints, sizeof c->no_endpoints, "%s", why);
}

void endpoints_fini(struct client *c)
{
    for (size_t i = 0; c->endpoints && i < c->n_endpoints; i++) {
        free(c->endpoints[i].url);
        free(c->endpoints[i].authority);
    }
    free(c->endpoints);
    c->endpoints = NULL;
}

/* ---- failures ---- */

void endpoint_failed(struct client *c, size_t i, const char *why)
{
    struct endpoint *e = &c->endpoints[i];
    int64_t rest_ms = backoff_failure(&e->backoff, &c->rng);
    char quoted[160];
    e->not_before = time_after(c->now, c->broken_rest ? 0 : rest_ms);
    e->failed = ++c->failures;
    e->failures++;
    snprintf(e->error, sizeof e->error, "%s", why);
    log_write(&c->log, LOG_INFO, "endpoint failed", "endpoint=%s why=%s rest_ms=%lld", e->url,
              log_quote(quoted, sizeof quoted, bytes_str(e->error)), (long long)rest_ms);
}

void endpoint_worked(struct client *c, size_t i)
{
    struct endpoint *e = &c->endpoints[i];
    backoff_success(&e->backoff);
    e->not_before = INT64_MIN;
    e->error[0] = 0;
}

/* ---- choice ---- */

static bool is_being_tried(const struct client *c, size_t i)
{
    LIST_FOREACH(it, &c->conns)
    {
        const struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->endpoint == i && conn->candidate && conn->state < CONN_READY)
            return true;
    }
    return false;
}

/* The endpoint of the connection in doubt gets a fresh one only after all others have failed since: what is wrong may be
 * the server, and it would greet first. */
static bool others_first(const struct client *c, size_t i)
{
    if (!c->current || c->current->endpoint != i)
        return false;
    for (size_t j = 0; j < c->n_endpoints; j++) {
        if (j != i && !c->endpoints[j].has_left && c->endpoints[j].failed < c->endpoints[i].failed)
            return true;
    }
    return false;
}

static bool goes_before(const struct endpoint *a, const struct endpoint *b)
{
    return a->failed != b->failed ? a->failed < b->failed : a->place < b->place;
}

size_t endpoint_pick(struct client *c, tn_ms *ret_at)
{
    size_t best = SIZE_MAX;
    *ret_at = TN_MS_NEVER;
    for (size_t n = 0; n < c->n_endpoints; n++) {
        size_t i = (c->first_endpoint + n) % c->n_endpoints;
        const struct endpoint *e = &c->endpoints[i];
        if (e->has_left || is_being_tried(c, i) || others_first(c, i))
            continue;
        if (e->not_before > c->now) {
            *ret_at = e->not_before < *ret_at ? e->not_before : *ret_at;
            continue;
        }
        if (best == SIZE_MAX || goes_before(e, &c->endpoints[best]))
            best = i;
    }
    return best;
}

/* ---- for people ---- */

struct client_endpoint_stats client_endpoint_stats(const struct client *c, size_t i)
{
    const struct endpoint *e = &c->endpoints[i];
    return (struct client_endpoint_stats){
        .in_use = client_is_connected(c) && c->current->endpoint == i, .failures = e->failures, .error = e->error};
}

size_t client_endpoints(const struct client *c)
{
    return c->n_endpoints;
}

const char *client_endpoint(const struct client *c, size_t i)
{
    return i < c->n_endpoints ? c->endpoints[i].url : NULL;
}

/* What is known of it: its last failure, else how far a connection has come that is not used yet. NULL: nothing. */
static const char *trouble_of(const struct client *c, size_t i)
{
    if (c->endpoints[i].error[0])
        return c->endpoints[i].error;
    LIST_FOREACH(it, (struct list *)&c->conns)
    {
        const struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->endpoint == i && conn->state == CONN_CONNECTING)
            return "not connected yet";
        if (conn->endpoint == i && conn->state == CONN_GREETING)
            return "connected, but no greeting yet";
    }
    return NULL;
}

void client_endpoint_errors(const struct client *c, char *out, size_t size)
{
    size_t len = 0;
    if (size > 0)
        snprintf(out, size, "%s", c->n_endpoints == 0 ? c->no_endpoints : "");
    for (size_t i = 0; i < c->n_endpoints && len < size; i++) {
        const char *trouble = trouble_of(c, i);
        if (!trouble)
            continue;
        int n = snprintf(out + len, size - len, "%s%s: %s", len ? "; " : "", c->endpoints[i].url, trouble);
        len += n > 0 ? (size_t)n : 0;
    }
}
