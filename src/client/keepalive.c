/* Renewals of leases, all on one stream of the current connection.
 *
 * Happy path: a third of the TTL after the last answered renewal was sent (jittered) the next one is sent; its answer tells
 * the owner how long the lease lives, counted from when that renewal's bytes were handed out.
 *
 * Which send an answer belongs to decides whether a lock is safe, so there is never a second renewal of one lease under way
 * on a stream: an answer can only be to the one that is. With several keepalives of one lease it is to the oldest. A
 * renewal that has not been handed out cannot be answered; an answer that matches none is dropped. One that is stopped while its
 * renewal is under way stays, unheard, to take the answer: it is not that of the next one of this lease.
 *
 * Failures. No answer within min(TTL/6, silence bound): the connection is in doubt, the pool looks for another, the stream
 * moves there, and what was not answered or is due is sent again at once. The stream ends: the same, spaced by a backoff.
 * Only the server's TTL 0 ends a keepalive; when to stop believing in the lease is the owner's decision.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/internal.h"

enum { GAP_MIN_MS = 50, JITTER_PERCENT = 10 };

/* ---- life of the shared part ---- */

void keepalives_zero(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    heap_node_init(&ks->timer.node);
    ks->stream.kind = STREAM_KEEPALIVE;
    list_init(&ks->all);
    list_init(&ks->unstamped);
    list_init(&ks->due);
    map_init(&ks->by_lease);
    backoff_init(&ks->backoff, 25, 5000);
    ks->retry_at = INT64_MIN;
    ks->opened_at = TN_MS_NEVER;
}

int keepalives_init(struct client *c)
{
    return timer_init(c, &c->keepalives.timer, TIMER_KEEPALIVE_STREAM);
}

/* ---- which keepalives a lease has ---- */

static void siblings_add(struct client *c, struct client_keepalive *k)
{
    struct map *m = &c->keepalives.by_lease;
    k->sibling = map_get(m, (uint64_t)k->lease);
    int rc = map_put(m, (uint64_t)k->lease, k);
    assert(rc == 0); /* client_keepalive_start made room */
    (void)rc;
}

static void siblings_remove(struct client *c, struct client_keepalive *k)
{
    struct map *m = &c->keepalives.by_lease;
    struct client_keepalive *first = map_get(m, (uint64_t)k->lease), *before = first;
    if (first == k) {
        map_remove(m, (uint64_t)k->lease);
        if (k->sibling) {
            int rc = map_put(m, (uint64_t)k->lease, k->sibling);
            assert(rc == 0); /* a place was just freed */
            (void)rc;
        }
        return;
    }
    while (before->sibling != k)
        before = before->sibling;
    before->sibling = k->sibling;
}

/* ---- a keepalive ---- */

static int64_t ms_of_ttl(int64_t ttl_s)
{
    if (ttl_s < 1)
        ttl_s = 1;
    return 1000 * (ttl_s < LEASE_TTL_MAX_S ? ttl_s : LEASE_TTL_MAX_S);
}

static int64_t patience_ms(const struct client *c, const struct client_keepalive *k)
{
    int64_t ms = k->ttl_ms / 6 < c->silence_ms ? k->ttl_ms / 6 : c->silence_ms;
    return ms > GAP_MIN_MS ? ms : GAP_MIN_MS;
}

/* Out of the list of its state, and whatever was under way is forgotten. */
static void keepalive_move(struct client_keepalive *k, enum keepalive_state state)
{
    list_remove(&k->state_link);
    k->sent_at = TN_MS_NEVER;
    k->state = state;
}

static void keepalive_due(struct client *c, struct client_keepalive *k)
{
    keepalive_move(k, KEEPALIVE_DUE);
    list_push_back(&c->keepalives.due, &k->state_link);
    timer_arm(c, &k->timer, TN_MS_NEVER);
    client_unsettle(c);
}

static struct client_keepalive *keepalive_alloc(struct client *c)
{
    struct client_keepalive *k = calloc(1, sizeof *k);
    if (!k)
        return NULL;
    if (map_reserve(&c->keepalives.by_lease, 1) || timer_init(c, &k->timer, TIMER_KEEPALIVE)) {
        free(k);
        return NULL;
    }
    list_init(&k->state_link);
    delivery_init(&k->delivery, DELIVER_KEEPALIVE);
    keepalive_move(k, KEEPALIVE_RESTING);
    return k;
}

struct client_keepalive *client_keepalive_start(struct client *c, tn_lease id, int64_t ttl_s, tn_ms first_at,
                                                const struct client_keepalive_callbacks *cb, void *user, tn_ms now,
                                                struct tenure_error *err)
{
    struct keepalives *ks = &c->keepalives;
    c->now = now;
    if (c->closed || ks->n >= c->calls_max) {
        error_set(err, c->closed ? TENURE_ECLOSED : TENURE_ELIMIT,
                  c->closed ? "the client was closed" : "%zu keepalives run, the most that the client is set to",
                  ks->n);
        return NULL;
    }
    struct client_keepalive *k = keepalive_alloc(c);
    if (!k) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    k->lease = id;
    k->ttl_ms = ms_of_ttl(ttl_s);
    k->cb = *cb;
    k->user = user;
    siblings_add(c, k);
    list_push_back(&ks->all, &k->link);
    ks->n++;
    if (first_at <= now)
        keepalive_due(c, k);
    else
        timer_arm(c, &k->timer, first_at);
    client_unsettle(c);
    client_settle(c);
    return k;
}

static void keepalive_leave(struct client *c, struct client_keepalive *k)
{
    if (k->state == KEEPALIVE_GONE)
        return;
    keepalive_move(k, KEEPALIVE_GONE);
    siblings_remove(c, k);
    timer_arm(c, &k->timer, TN_MS_NEVER);
    c->keepalives.n -= !k->abandoned;
    client_unsettle(c);
}

static void keepalive_abandon(struct client *c, struct client_keepalive *k)
{
    deliver_never(c, &k->delivery);
    k->abandoned = true;
    c->keepalives.n--;
    client_unsettle(c);
}

static void keepalive_free(struct client *c, struct client_keepalive *k)
{
    keepalive_leave(c, k);
    deliver_never(c, &k->delivery);
    timer_fini(c, &k->timer);
    list_remove(&k->link);
    free(k);
}

void client_keepalive_stop(struct client *c, struct client_keepalive *k, tn_ms now)
{
    c->now = now;
    if (k->state == KEEPALIVE_SENT)
        keepalive_abandon(c, k);
    else
        keepalive_free(c, k);
    client_settle(c);
}

void keepalives_close(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    stream_reset(c, &ks->stream);
    timer_arm(c, &ks->timer, TN_MS_NEVER);
    LIST_FOREACH_SAFE(it, &ks->all)
    {
        struct client_keepalive *k = LIST_ENTRY(it, struct client_keepalive, link);
        if (k->abandoned) {
            keepalive_free(c, k);
            continue;
        }
        keepalive_move(k, k->state == KEEPALIVE_GONE ? KEEPALIVE_GONE : KEEPALIVE_RESTING);
        timer_arm(c, &k->timer, TN_MS_NEVER);
    }
}

void keepalives_fini(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    while (!list_empty(&ks->all))
        keepalive_free(c, LIST_ENTRY(ks->all.next, struct client_keepalive, link));
    map_fini(&ks->by_lease);
}

/* ---- the stream ---- */

/* It is gone: what was under way on it is due again. */
static void stream_lost(struct client *c)
{
    LIST_FOREACH_SAFE(it, &c->keepalives.all)
    {
        struct client_keepalive *k = LIST_ENTRY(it, struct client_keepalive, link);
        if (k->abandoned)
            keepalive_free(c, k);
        else if (k->state == KEEPALIVE_SENT)
            keepalive_due(c, k);
    }
}

static void retry_later(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    if (ks->opened_at != TN_MS_NEVER && c->now - ks->opened_at >= STEADY_MS)
        backoff_success(&ks->backoff);
    ks->retry_at = time_after(c->now, backoff_failure(&ks->backoff, &c->rng));
    timer_arm(c, &ks->timer, ks->retry_at);
    client_unsettle(c);
}

static void stream_give_up(struct client *c)
{
    stream_reset(c, &c->keepalives.stream);
    stream_lost(c);
    retry_later(c);
}

static bool keepalive_send(struct client *c, struct client_keepalive *k)
{
    struct keepalives *ks = &c->keepalives;
    struct lease_keepalive_req req = {.id = k->lease};
    buf_reset(&c->scratch);
    encode_lease_keepalive_req(&req, &c->scratch);
    if (buf_error(&c->scratch) || stream_send(c, &ks->stream, buf_bytes(&c->scratch)))
        return false;
    keepalive_move(k, KEEPALIVE_SENT);
    k->sent_no = ++ks->sent_no;
    list_push_back(&ks->unstamped, &k->state_link);
    timer_arm(c, &k->timer, time_after(c->now, patience_ms(c, k)));
    return true;
}

static void send_due(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    while (!list_empty(&ks->due)) {
        if (keepalive_send(c, LIST_ENTRY(ks->due.next, struct client_keepalive, state_link)))
            continue;
        stream_give_up(c); /* out of memory */
        return;
    }
}

static void open_stream(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    if (c->now < ks->retry_at)
        return;
    if (stream_open(c, &ks->stream, c->current, "/etcdserverpb.Lease/LeaseKeepAlive", -1, true, NULL)) {
        retry_later(c);
        return;
    }
    ks->opened_at = c->now;
    ks->login = c->login.number;
}

void keepalives_settle(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    if (c->closed)
        return;
    if (ks->n == 0) {
        stream_reset(c, &ks->stream);
        stream_lost(c);
        return;
    }
    if (!conn_takes_calls(c->current) || !login_ready(&c->login))
        return;
    if (ks->stream.h2 && ks->stream.conn != c->current) {
        stream_reset(c, &ks->stream);
        stream_lost(c);
        ks->retry_at = INT64_MIN; /* a new connection is not the old one's fault */
    }
    if (!ks->stream.h2 && !list_empty(&ks->due))
        open_stream(c);
    if (ks->stream.h2)
        send_due(c);
}

void keepalives_stamp(struct client *c)
{
    struct keepalives *ks = &c->keepalives;
    while (!list_empty(&ks->unstamped)) {
        struct client_keepalive *k = LIST_ENTRY(ks->unstamped.next, struct client_keepalive, state_link);
        list_remove(&k->state_link);
        k->sent_at = c->now; /* its bytes go out now at the earliest */
    }
}

/* ---- time ---- */

void keepalive_on_timer(struct client *c, struct client_keepalive *k)
{
    struct conn *conn = c->keepalives.stream.conn;
    char time[32], why[120];
    if (k->state == KEEPALIVE_RESTING) {
        keepalive_due(c, k);
        return;
    }
    assert(k->state == KEEPALIVE_SENT && conn);
    snprintf(why, sizeof why, "a keepalive was not answered within %s", time_text(time, patience_ms(c, k)));
    conn_doubt(c, conn, DOUBT_KEEPALIVE, why);
    timer_arm(c, &k->timer, time_after(c->now, patience_ms(c, k)));
}

/* ---- answers ---- */

/* The oldest renewal of this lease that is under way and was handed out. */
static struct client_keepalive *find_sent(struct client *c, tn_lease lease)
{
    struct client_keepalive *oldest = NULL;
    for (struct client_keepalive *k = map_get(&c->keepalives.by_lease, (uint64_t)lease); k; k = k->sibling) {
        if (k->state == KEEPALIVE_SENT && k->sent_at != TN_MS_NEVER && (!oldest || k->sent_no < oldest->sent_no))
            oldest = k;
    }
    return oldest;
}

static void renewed(struct client *c, struct client_keepalive *k, int64_t ttl_s)
{
    tn_ms sent_at = k->sent_at;
    k->ttl_ms = ms_of_ttl(ttl_s);
    k->renewed = true;
    k->renewed_sent_at = c->broken_renew_from_receipt ? c->now : sent_at;
    k->renewed_ttl_s = ttl_s;
    keepalive_move(k, KEEPALIVE_RESTING);
    tn_ms next_at = time_after(sent_at, rng_jitter(&c->rng, k->ttl_ms / 3, JITTER_PERCENT));
    if (next_at < c->now + GAP_MIN_MS)
        next_at = c->now + GAP_MIN_MS;
    timer_arm(c, &k->timer, next_at);
}

void keepalives_on_message(struct client *c, bytes message)
{
    struct response_header header;
    struct lease_keepalive_resp r;
    int rc = decode_lease_keepalive_resp(message, &c->feed_arena, &header, &r);
    arena_reset(&c->feed_arena);
    if (rc) {
        stream_give_up(c);
        return;
    }
    struct client_keepalive *k = find_sent(c, r.id);
    if (!k)
        return; /* stopped meanwhile, or never asked */
    conn_trust(c, c->keepalives.stream.conn, DOUBT_KEEPALIVE);
    error_clear(&c->keepalives.refusal);
    if (k->abandoned) {
        keepalive_free(c, k);
        return;
    }
    if (r.ttl_s > 0) {
        renewed(c, k, r.ttl_s);
    } else {
        k->gone = true;
        keepalive_leave(c, k);
    }
    deliver_later(c, &k->delivery);
}

void keepalives_denied(struct client *c, const struct tenure_error *why)
{
    c->keepalives.refusal = *why;
}

const struct tenure_error *client_keepalive_refusal(const struct client *c)
{
    return &c->keepalives.refusal;
}

static void note_refusal(struct client *c, const struct stream_end *end)
{
    struct tenure_error *refusal = &c->keepalives.refusal;
    int len = (int)(end->text.len < sizeof refusal->text ? end->text.len : sizeof refusal->text);
    if (!end->lost && end->status != GRPC_OK && len > 0)
        error_set(refusal, client_classify(end->status, end->text, false).code, "%.*s", len,
                  (const char *)end->text.data);
}

void keepalives_on_end(struct client *c, const struct stream_end *end)
{
    struct keepalives *ks = &c->keepalives;
    struct conn *conn = ks->stream.conn;
    stream_detach(&ks->stream);
    stream_lost(c);
    note_refusal(c, end);
    (void)login_refused(c, ks->login, retry_etcd_error(end->text));
    if (!end->lost && c->n_endpoints > 1 && retry_elsewhere(end->status, end->text))
        conn_doubt(c, conn, DOUBT_CALLS, "the keepalives were refused");
    retry_later(c);
}
