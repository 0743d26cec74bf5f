/* Which connection is the current one: the desired state against what is.
 *
 *   wanted                          what is                            what is done
 *   nothing to do for it            -                                  nothing; connections are opened on demand
 *   a current connection            it stands, not in doubt            nothing
 *                                   it stands, in doubt                candidates are opened beside it
 *                                   none, another is ready             that becomes the current one
 *                                   none                               candidates are opened
 *
 * A candidate whose server says its first frame becomes the current one; a connection that was only accepted by a kernel
 * proves nothing, and a write sent on it might end as "maybe". When one candidate takes long the next endpoint is tried
 * beside it, so that one silent endpoint does not use up a call's deadline. The one replaced is left: it takes no new
 * calls, what may be repeated is moved, the rest may still be answered there; then it is closed.
 *
 * Failure: an endpoint that fails rests by its backoff; nothing here loops faster than that.
 */
#include <stdio.h>

#include "client/internal.h"

/* ---- the current one ---- */

static void adopt(struct client *c, struct conn *conn)
{
    c->current = conn;
    c->stats.connections++;
    conn->candidate = false;
    log_write(&c->log, LOG_INFO, "endpoint in use", "endpoint=%s conn=%u", c->endpoints[conn->endpoint].url,
              conn->number);
    calls_flush(c, conn);
}

static void drop_candidates(struct client *c)
{
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->candidate)
            conn->doomed = true;
    }
    client_unsettle(c);
}

static void replace(struct client *c, struct conn *next)
{
    struct conn *old = c->current;
    c->current = NULL;
    next->candidate = false;
    drop_candidates(c);
    if (old)
        conn_leave(c, old);
    adopt(c, next);
    if (old)
        calls_leave(c, old, (old->doubts & DOUBT_SILENT) != 0);
}

void pool_ready(struct client *c, struct conn *conn)
{
    client_unsettle(c);
    if (!conn->candidate)
        calls_flush(c, conn);
    else if (!c->current || c->current->doubts)
        replace(c, conn);
    else
        conn->doomed = true; /* the one in doubt has recovered */
}

/* ---- candidates ---- */

static size_t count_candidates(const struct client *c)
{
    size_t n = 0;
    LIST_FOREACH(it, &c->conns)
    {
        const struct conn *conn = LIST_ENTRY(it, struct conn, link);
        n += conn->candidate && !conn->doomed;
    }
    return n;
}

/* Each connection that was left lives until the last write on it is answered or out of time. When there are too many the
 * oldest is ended: what was under way on it is "maybe". */
static void make_room(struct client *c)
{
    struct conn *oldest = NULL;
    size_t n = 0;
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        n += conn->state == CONN_LEAVING;
        if (!oldest && conn->state == CONN_LEAVING)
            oldest = conn;
    }
    if (n < LEAVING_MAX)
        return;
    snprintf(oldest->why, sizeof oldest->why, "too many connections were left before it was answered");
    oldest->doomed = true;
    client_unsettle(c);
}

static struct conn *find_ready(const struct client *c)
{
    LIST_FOREACH(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn != c->current && conn_takes_calls(conn) && !conn->doubts)
            return conn;
    }
    return NULL;
}

static void open_candidate(struct client *c)
{
    tn_ms at;
    size_t n = count_candidates(c);
    if (n >= CANDIDATES_MAX)
        return;
    if (n > 0 && c->now < time_after(c->candidate_at, CONNECT_BESIDE_MS)) {
        timer_arm(c, &c->pool_timer, time_after(c->candidate_at, CONNECT_BESIDE_MS));
        return;
    }
    size_t i = endpoint_pick(c, &at);
    make_room(c);
    if (i != SIZE_MAX && conn_new(c, i, true)) {
        c->candidate_at = c->now;
        at = time_after(c->now, CONNECT_BESIDE_MS);
    } else if (i != SIZE_MAX) {
        at = time_after(c->now, CONNECT_BESIDE_MS); /* out of memory: later */
    }
    timer_arm(c, &c->pool_timer, at);
}

static void want_current(struct client *c)
{
    struct conn *ready = find_ready(c);
    if (ready)
        replace(c, ready);
    else
        open_candidate(c);
}

/* ---- endings ---- */

/* A call that names the endpoint is there and may not be sent yet: it waits for a token. */
static bool is_awaited(const struct client *c, const struct conn *conn)
{
    LIST_FOREACH(it, (struct list *)&c->pinned)
    {
        if (LIST_ENTRY(it, struct client_call, link)->endpoint == conn->endpoint)
            return true;
    }
    return false;
}

static bool is_idle(const struct client *c, const struct conn *conn)
{
    bool has_streams = c->watches.stream.conn == conn || c->keepalives.stream.conn == conn;
    return conn->state >= CONN_READY && conn != c->current && list_empty(&conn->calls) && !has_streams &&
           !is_awaited(c, conn);
}

static void reap(struct client *c)
{
    LIST_FOREACH_SAFE(it, &c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->doomed)
            conn_end(c, conn, conn->why[0] ? conn->why : "not needed", false);
        else if (is_idle(c, conn))
            conn_end(c, conn, "idle", false);
    }
}

void pool_settle(struct client *c)
{
    reap(c);
    if (c->closed || !client_has_work(c))
        return;
    if (!c->current || c->current->doubts)
        want_current(c);
    if (conn_takes_calls(c->current))
        calls_flush(c, c->current);
}

/* ---- calls that name an endpoint ---- */

struct conn *pool_find(const struct client *c, size_t endpoint)
{
    LIST_FOREACH(it, (struct list *)&c->conns)
    {
        struct conn *conn = LIST_ENTRY(it, struct conn, link);
        if (conn->endpoint == endpoint && conn->state != CONN_LEAVING && !conn->doomed &&
            !(conn->doubts & DOUBT_SILENT))
            return conn;
    }
    return NULL;
}

struct conn *pool_pinned(struct client *c, size_t endpoint)
{
    struct conn *conn = pool_find(c, endpoint);
    return conn ? conn : conn_new(c, endpoint, false);
}
