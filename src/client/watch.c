/* Watches: many on one stream of one connection, for the caller each lives through any number of both.
 *
 * Happy path: the first watch opens the stream; creates are sent without waiting for each other and are answered in
 * order; the server draws the ids. Events go to watch_events.c. When the last watch is stopped the stream is kept for a
 * while, because locks stop and start them often.
 *
 * Failures. The stream or its connection ends, or another connection becomes the current one: every watch is created
 * again there, from the first revision it has not seen; a watch "from now on" that was created at revision R goes on from
 * R + 1 even when no event came. Consecutive short lives of the stream are spaced by a backoff. A watch that the server
 * cancels for a lasting reason ends by on_end; for a passing one it is created again. Creates that are not answered within
 * the silence bound put the connection in doubt, and the stream is opened anew.
 *
 * A watch that is stopped between its create and the answer leaves its place in the queue of creates behind, so that the
 * answers still match; it is cancelled when its id is known.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/internal.h"

enum {
    LINGER_MS = 5000,    /* an unused stream is kept open so long */
    CREATING_MAX = 4096, /* stopped ones included; past it later ones wait for answers */
};

/* ---- life of the shared part ---- */

void watches_zero(struct client *c)
{
    struct watches *ws = &c->watches;
    heap_node_init(&ws->timer.node);
    ws->stream.kind = STREAM_WATCH;
    list_init(&ws->unplaced);
    list_init(&ws->placed);
    list_init(&ws->ended);
    ws->opened_at = TN_MS_NEVER;
    list_init(&ws->creating);
    map_init(&ws->by_id);
    backoff_init(&ws->backoff, 25, 5000);
    ws->retry_at = INT64_MIN;
    ws->idle_since = TN_MS_NEVER;
}

int watches_init(struct client *c)
{
    return timer_init(c, &c->watches.timer, TIMER_WATCH_STREAM);
}

/* ---- a watch ---- */

static struct client_watch *watch_free(struct client *c, struct client_watch *w)
{
    watch_drop_batches(c, &w->batches);
    watch_drop_batches(c, &w->fragments);
    deliver_never(c, &w->created);
    deliver_never(c, &w->end);
    list_remove(&w->link);
    free(w->slot);
    client_context_unref(w->context);
    free(w);
    return NULL;
}

static struct client_watch *watch_alloc(const struct watch_create_req *req)
{
    struct key_range r = req->range;
    struct client_watch *w = calloc(1, sizeof *w + r.key.len + r.range_end.len + 1);
    struct watch_slot *slot = w ? calloc(1, sizeof *slot) : NULL;
    if (!slot) {
        free(w);
        return NULL;
    }
    uint8_t *tail = (uint8_t *)(w + 1);
    if (r.key.len)
        memcpy(tail, r.key.data, r.key.len);
    if (r.range_end.len)
        memcpy(tail + r.key.len, r.range_end.data, r.range_end.len);
    w->req = *req;
    w->req.range.key = bytes_of(tail, r.key.len);
    w->req.range.range_end = bytes_of(tail + r.key.len, r.range_end.len);
    w->req.watch_id = 0; /* the server draws it, anew on each stream */
    w->next_rev = req->start_revision;
    w->slot = slot;
    list_init(&slot->link);
    list_init(&w->batches);
    list_init(&w->fragments);
    delivery_init(&w->created, DELIVER_CREATED);
    delivery_init(&w->end, DELIVER_END);
    return w;
}

struct client_watch *client_watch_start(struct client *c, const struct watch_create_req *req,
                                        const struct client_watch_callbacks *cb, void *user, tn_ms now,
                                        struct tenure_error *err)
{
    struct watches *ws = &c->watches;
    c->now = now;
    if (c->closed || ws->n >= c->calls_max) {
        error_set(err, c->closed ? TENURE_ECLOSED : TENURE_ELIMIT,
                  c->closed ? "the client was closed" : "%zu watches stand, the most that the client is set to", ws->n);
        return NULL;
    }
    struct client_watch *w = map_reserve(&ws->by_id, ws->n + 1) ? NULL : watch_alloc(req);
    if (!w) {
        error_set(err, TENURE_ENOMEM, "out of memory");
        return NULL;
    }
    w->cb = *cb;
    w->user = user;
    w->context = client_context_ref(c->context);
    w->state = WATCH_UNPLACED;
    list_push_back(&ws->unplaced, &w->link);
    ws->n++;
    client_unsettle(c);
    client_settle(c);
    return w;
}

void client_bound_watches(struct client *c, size_t bytes_max)
{
    c->watch_bytes_max = bytes_max;
}

void client_watch_overlap(struct client_watch *w)
{
    w->overlaps = true;
}

/* ---- endings ---- */

/* Out of the stream's books; the place in the queue of creates stays there, without it. */
static void watch_leave(struct client *c, struct client_watch *w)
{
    struct watches *ws = &c->watches;
    if (w->state == WATCH_LIVE)
        map_remove(&ws->by_id, (uint64_t)w->id);
    if (w->state == WATCH_CREATING) {
        w->slot->watch = NULL;
        w->slot = NULL;
    }
    if (w->state != WATCH_ENDED)
        ws->n--;
    list_remove(&w->link);
    w->state = WATCH_ENDED;
}

void watch_end(struct client *c, struct client_watch *w, int code, tn_rev compact_revision, const char *text)
{
    watch_leave(c, w);
    watch_drop_batches(c, &w->fragments);
    list_push_back(&c->watches.ended, &w->link);
    w->end_code = code;
    w->end_compact_revision = compact_revision;
    error_set(&w->end_error, code, "%s", text);
    deliver_later(c, &w->end);
    client_unsettle(c);
}

static void send_cancel(struct client *c, int64_t id)
{
    struct watches *ws = &c->watches;
    struct watch_req req = {.kind = WATCH_REQ_CANCEL, .cancel_id = id};
    if (!ws->stream.h2)
        return;
    buf_reset(&c->scratch);
    encode_watch_req(&req, &c->scratch);
    if (buf_error(&c->scratch) || stream_send(c, &ws->stream, buf_bytes(&c->scratch)))
        watches_retry(c); /* out of memory: a new stream forgets the watch as well */
}

void client_watch_stop(struct client *c, struct client_watch *w, tn_ms now)
{
    bool was_live = w->state == WATCH_LIVE;
    int64_t id = w->id;
    c->now = now;
    watch_leave(c, w);
    watch_free(c, w);
    if (was_live)
        send_cancel(c, id);
    client_unsettle(c);
    client_settle(c);
}

static void end_list(struct client *c, struct list *watches, int code, const char *text)
{
    while (!list_empty(watches))
        watch_end(c, LIST_ENTRY(watches->next, struct client_watch, link), code, 0, text);
}

static void end_all(struct client *c, int code, const char *text)
{
    end_list(c, &c->watches.unplaced, code, text);
    end_list(c, &c->watches.placed, code, text);
}

void watches_denied(struct client *c, const struct tenure_error *why)
{
    end_list(c, &c->watches.unplaced, why->code, why->text);
}

void watches_close(struct client *c)
{
    stream_reset(c, &c->watches.stream);
    end_all(c, TENURE_ECLOSED, "the client was closed");
    timer_arm(c, &c->watches.timer, TN_MS_NEVER);
}

static void free_list(struct client *c, struct list *watches)
{
    while (!list_empty(watches))
        watch_free(c, LIST_ENTRY(watches->next, struct client_watch, link));
}

static void drop_slots(struct client *c)
{
    while (!list_empty(&c->watches.creating)) {
        struct watch_slot *slot = LIST_ENTRY(c->watches.creating.next, struct watch_slot, link);
        list_remove(&slot->link);
        if (!slot->watch)
            free(slot);
    }
    c->watches.n_creating = 0;
}

void watches_fini(struct client *c)
{
    drop_slots(c);
    free_list(c, &c->watches.unplaced);
    free_list(c, &c->watches.placed);
    free_list(c, &c->watches.ended);
    map_fini(&c->watches.by_id);
}

/* ---- placing ---- */

static void watch_unplace(struct client *c, struct client_watch *w)
{
    if (w->state == WATCH_LIVE)
        map_remove(&c->watches.by_id, (uint64_t)w->id);
    watch_drop_batches(c, &w->fragments); /* never seen in full: they come again */
    list_remove(&w->link);
    list_push_back(&c->watches.unplaced, &w->link);
    w->state = WATCH_UNPLACED;
}

/* The stream is gone: every watch waits for the next one. */
static void unplace_all(struct client *c)
{
    drop_slots(c);
    while (!list_empty(&c->watches.placed))
        watch_unplace(c, LIST_ENTRY(c->watches.placed.next, struct client_watch, link));
}

static void retry_later(struct client *c)
{
    struct watches *ws = &c->watches;
    if (ws->opened_at != TN_MS_NEVER && c->now - ws->opened_at >= STEADY_MS)
        backoff_success(&ws->backoff);
    ws->retry_at = time_after(c->now, backoff_failure(&ws->backoff, &c->rng));
    client_unsettle(c); /* arms the timer */
}

void watches_retry(struct client *c)
{
    stream_reset(c, &c->watches.stream);
    unplace_all(c);
    retry_later(c);
}

static bool place(struct client *c, struct client_watch *w)
{
    struct watches *ws = &c->watches;
    struct watch_req req = {.kind = WATCH_REQ_CREATE, .create = w->req};
    req.create.start_revision = w->next_rev - (w->overlaps && w->next_rev > w->req.start_revision);
    buf_reset(&c->scratch);
    encode_watch_req(&req, &c->scratch);
    if (buf_error(&c->scratch) || stream_send(c, &ws->stream, buf_bytes(&c->scratch)))
        return false;
    w->slot->watch = w;
    list_push_back(&ws->creating, &w->slot->link);
    if (ws->n_creating++ == 0)
        ws->asked_at = c->now;
    list_remove(&w->link);
    list_push_back(&ws->placed, &w->link);
    w->state = WATCH_CREATING;
    return true;
}

static void place_all(struct client *c)
{
    struct watches *ws = &c->watches;
    while (!list_empty(&ws->unplaced) && ws->n_creating < CREATING_MAX) {
        if (place(c, LIST_ENTRY(ws->unplaced.next, struct client_watch, link)))
            continue;
        watches_retry(c);
        return;
    }
}

static void open_stream(struct client *c)
{
    struct watches *ws = &c->watches;
    if (c->now < ws->retry_at)
        return;
    if (stream_open(c, &ws->stream, c->current, "/etcdserverpb.Watch/Watch", -1, true, NULL)) {
        retry_later(c);
        return;
    }
    ws->opened_at = c->now;
    ws->login = c->login.number;
}

/* ---- wanted against what is ---- */

static void linger(struct client *c)
{
    struct watches *ws = &c->watches;
    if (!ws->stream.h2)
        return;
    if (ws->idle_since == TN_MS_NEVER)
        ws->idle_since = c->now;
    if (ws->stream.conn->state == CONN_LEAVING || c->now - ws->idle_since >= LINGER_MS) {
        stream_reset(c, &ws->stream);
        unplace_all(c);
        timer_arm(c, &ws->timer, TN_MS_NEVER);
        return;
    }
    timer_arm(c, &ws->timer, time_after(ws->idle_since, LINGER_MS));
}

static tn_ms unanswered_at(const struct client *c)
{
    const struct watches *ws = &c->watches;
    return ws->stream.h2 && ws->n_creating > 0 ? time_after(ws->asked_at, c->silence_ms) : TN_MS_NEVER;
}

static void check_answers(struct client *c)
{
    if (c->now < unanswered_at(c))
        return;
    conn_doubt(c, c->watches.stream.conn, DOUBT_WATCH, "a watch was not answered");
    watches_retry(c);
}

static void arm_timer(struct client *c)
{
    struct watches *ws = &c->watches;
    tn_ms at = unanswered_at(c);
    if (!list_empty(&ws->unplaced) && ws->retry_at > c->now && ws->retry_at < at)
        at = ws->retry_at;
    timer_arm(c, &ws->timer, at);
}

static void seek_place(struct client *c)
{
    struct watches *ws = &c->watches;
    if (!conn_takes_calls(c->current) || !login_ready(&c->login))
        return;
    if (ws->stream.h2 && ws->stream.conn != c->current) {
        stream_reset(c, &ws->stream);
        unplace_all(c);
        ws->retry_at = INT64_MIN; /* a new connection is not the old one's fault */
    }
    if (!ws->stream.h2)
        open_stream(c);
    if (ws->stream.h2 && c->now >= ws->retry_at)
        place_all(c);
}

void watches_settle(struct client *c)
{
    struct watches *ws = &c->watches;
    if (c->closed)
        return;
    if (ws->n == 0) {
        linger(c);
        return;
    }
    ws->idle_since = TN_MS_NEVER;
    check_answers(c);
    seek_place(c);
    arm_timer(c);
}

void watches_on_timer(struct client *c)
{
    client_unsettle(c);
}

/* ---- what the server says ---- */

static struct client_watch *take_creating(struct client *c, bool *ret_any)
{
    struct watches *ws = &c->watches;
    *ret_any = !list_empty(&ws->creating);
    if (!*ret_any)
        return NULL;
    struct watch_slot *slot = LIST_ENTRY(ws->creating.next, struct watch_slot, link);
    struct client_watch *w = slot->watch;
    list_remove(&slot->link);
    if (w)
        w->state = WATCH_UNPLACED; /* until the caller has judged the answer */
    else
        free(slot);
    if (ws->n_creating-- == CREATING_MAX)
        client_unsettle(c); /* others wait for room */
    return w;
}

static void note_created(struct client *c, struct client_watch *w, tn_rev revision)
{
    if (w->next_rev == 0)
        w->next_rev = revision + 1;
    if (w->created_told)
        return;
    w->created_told = true;
    w->created_revision = w->next_rev - 1;
    deliver_later(c, &w->created);
}

/* A reason that will pass: the watch is created again, after the stream's backoff. */
static void watch_again(struct client *c, struct client_watch *w)
{
    watch_unplace(c, w);
    retry_later(c);
}

static void watch_canceled(struct client *c, struct client_watch *w, const struct watch_resp *r)
{
    char text[200];
    struct client_verdict v = client_classify(GRPC_UNKNOWN, r->cancel_reason, false);
    int len = (int)(r->cancel_reason.len < sizeof text - 1 ? r->cancel_reason.len : sizeof text - 1);
    snprintf(text, sizeof text, "%.*s", len, len ? (const char *)r->cancel_reason.data : "");
    /* The token is the stream's, so a new one needs a new stream. */
    if (login_refused(c, c->watches.login, retry_etcd_error(r->cancel_reason))) {
        watch_unplace(c, w);
        watches_retry(c);
        return;
    }
    if (r->compact_revision > 0 && w->state == WATCH_LIVE)
        send_cancel(c, w->id); /* etcd keeps such a watcher until it is told */
    if (r->compact_revision > 0)
        watch_end(c, w, TENURE_ECOMPACTED, r->compact_revision, etcd_error_text(ETCD_COMPACTED));
    else if (v.retry)
        watch_again(c, w);
    else
        watch_end(c, w, v.code, 0, len ? text : "the server cancelled the watch without a reason");
}

static bool on_created(struct client *c, const struct watch_resp *r)
{
    struct watches *ws = &c->watches;
    bool any;
    struct client_watch *w = take_creating(c, &any);
    if (!any)
        return false;
    ws->asked_at = c->now; /* it does answer */
    conn_trust(c, ws->stream.conn, DOUBT_WATCH);
    if (!w) {
        if (!r->canceled)
            send_cancel(c, r->watch_id);
        return true;
    }
    if (r->canceled) {
        watch_canceled(c, w, r);
        return true;
    }
    if (map_get(&ws->by_id, (uint64_t)r->watch_id))
        return false; /* an id twice: the stream is given up */
    w->id = r->watch_id;
    w->state = WATCH_LIVE;
    int rc = map_put(&ws->by_id, (uint64_t)w->id, w);
    assert(rc == 0); /* client_watch_start made room */
    (void)rc;
    note_created(c, w, r->header.revision);
    return true;
}

static bool understand(struct client *c, bytes message)
{
    struct watch_resp r;
    if (decode_watch_resp(message, &c->feed_arena, &r))
        return false;
    if (r.created)
        return on_created(c, &r);
    struct client_watch *w = map_get(&c->watches.by_id, (uint64_t)r.watch_id);
    if (!w)
        return true; /* stopped meanwhile */
    if (r.canceled) {
        watch_canceled(c, w, &r);
        return true;
    }
    return watch_take(c, w, message);
}

void watches_on_message(struct client *c, bytes message)
{
    bool sane = understand(c, message);
    arena_reset(&c->feed_arena);
    if (!sane)
        watches_retry(c);
}

/* Whatever else ends the stream may be different at the next try. */
static bool is_final(const struct stream_end *end, int code)
{
    bool lasting = code == TENURE_EDENIED || code == TENURE_EUNIMPLEMENTED || code == TENURE_EINVALID ||
                   code == TENURE_ETOOLARGE || code == TENURE_ECORRUPT;
    return lasting && !end->lost && !end->unprocessed;
}

void watches_on_end(struct client *c, const struct stream_end *end)
{
    struct watches *ws = &c->watches;
    struct conn *conn = ws->stream.conn;
    struct client_verdict v = client_classify(end->status, end->text, false);
    char text[200];
    snprintf(text, sizeof text, "%.*s", (int)(end->text.len < sizeof text ? end->text.len : sizeof text - 1),
             end->text.len ? (const char *)end->text.data : "");
    stream_detach(&ws->stream);
    unplace_all(c);
    if (login_refused(c, ws->login, retry_etcd_error(end->text))) {
        retry_later(c);
        return;
    }
    if (is_final(end, v.code)) {
        end_all(c, v.code, text[0] ? text : "the server ended the watches");
        return;
    }
    if (!end->lost && c->n_endpoints > 1 && retry_elsewhere(end->status, end->text))
        conn_doubt(c, conn, DOUBT_CALLS, text);
    retry_later(c);
}
