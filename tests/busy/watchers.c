/* See watchers.h. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "busy/lag.h"
#include "busy/link.h"
#include "busy/users.h"
#include "busy/watchers.h"
#include "busy/writers.h"
#include "wire/codec.h"

enum { ASK_MS = 200, FUTURE = 50, DENIED_MS = 100, AGAIN_MS = 20 };

struct held {
    struct held *next;
    size_t len;
    uint8_t message[];
};

struct watcher {
    struct link *link;
    struct h2_stream *stream;
    struct judge judge;
    struct watch_create_req asked;
    char key[24], end[24];
    struct rng rng;
    struct held *first, **last; /* not judged yet */
    int user, prefix;           /* whose rights it has; -1: those of more than one prefix */
    struct claim claim;
    int64_t create_ns; /* not before: it was refused */
    bool ended;        /* the server ended the watch: it is to be begun again */
    tn_rev compacted;  /* where it goes on in this case; 0 = where it was */
    int64_t trouble_ns, ask_ns;
};

static struct {
    struct watchers_options o;
    struct court *court;
    struct watcher *all;
    struct link *recorder;
    struct h2_stream *recording;
    bool finishing;
    struct watchers_counts counts;
    struct lag lag;
    struct arena arena;
    struct buf body;
} run;

/* ---- how old ---- */

static void measure(const struct event *e, int64_t now)
{
    int64_t sent = e->type == EVENT_PUT ? writers_sent_ns(e->kv.value) : 0;
    if (sent == 0)
        return;
    lag_add(&run.lag, (now - sent) / 1000);
}

/* ---- the recorder ---- */

static void record(bytes m)
{
    struct watch_resp r;
    if (decode_watch_resp(m, &run.arena, &r))
        die("the source's response cannot be read");
    if (r.canceled && users_on() && r.compact_revision == 0) { /* a token of before the source was started anew */
        users_refused(USER_ROOT, run.recorder->port);
        h2_reset(run.recording);
        return;
    }
    if (r.canceled)
        die(r.compact_revision ? "the recorder was compacted: the machine is too slow" : "the recorder was refused");
    const char *wrong = history_add(&run.court->history, r.events, r.n_events);
    if (wrong) {
        fprintf(stderr, "busy: the source at revision %" PRId64 ": %s\n", run.court->history.last, wrong);
        exit(1);
    }
}

static void begin_recording(struct link *l)
{
    struct watch_req req = {.kind = WATCH_REQ_CREATE,
                            .create = {.range = {.key = bytes_of("\0", 1), .range_end = bytes_of("\0", 1)},
                                       .start_revision = run.court->history.last + 1}};
    buf_reset(&run.body);
    encode_watch_req(&req, &run.body);
    l->token = users_token(USER_ROOT, run.o.source);
    if (users_on() && !l->token)
        return;
    run.recording = link_stream(l, "/etcdserverpb.Watch/Watch", buf_bytes(&run.body), &run);
}

/* ---- what a watcher asks for ---- */

static void draw_range(struct watcher *w)
{
    uint64_t what = rng_below(&w->rng, 10), prefix = rng_below(&w->rng, 10), key = rng_below(&w->rng, 20);
    w->end[0] = 0;
    w->user = USER_ROOT;
    if (users_on() && (what || !run.finishing))
        w->user = (int)rng_below(&w->rng, USER_ROOT + (what == 0));
    w->prefix = what == 0 ? -1 : (int)prefix;
    if (what == 0) {
        w->key[0] = 0; /* all */
        w->asked.range = (struct key_range){bytes_of("\0", 1), bytes_of("\0", 1)};
        return;
    }
    snprintf(w->key, sizeof w->key, what < 4 ? "p%" PRIu64 "/%06" PRIu64 : "p%" PRIu64 "/", prefix, key);
    if (what >= 4)
        snprintf(w->end, sizeof w->end, what < 8 ? "p%" PRIu64 "/%06" PRIu64 : "p%" PRIu64 "0", prefix, key + 40);
    w->asked.range = (struct key_range){bytes_str(w->key), bytes_str(w->end)};
}

static void draw_request(struct watcher *w)
{
    tn_rev last = run.court->history.last;
    uint64_t where = rng_below(&w->rng, 6);
    w->asked = (struct watch_create_req){
        .prev_kv = rng_below(&w->rng, 2), .fragment = rng_below(&w->rng, 2), .progress_notify = rng_below(&w->rng, 2)};
    uint64_t filter = rng_below(&w->rng, 8);
    w->asked.no_put = filter == 0;
    w->asked.no_delete = filter == 1;
    draw_range(w);
    if (where == 0)
        w->asked.start_revision = last + (tn_rev)rng_below(&w->rng, FUTURE);
    else if (where < 3)
        w->asked.start_revision = last > 1 ? 1 + (tn_rev)rng_below(&w->rng, (uint64_t)last) : 1;
    else if (where < 5)
        w->asked.start_revision = last > 4000 ? last - (tn_rev)rng_below(&w->rng, 4000) : 1;
}

static void send_create(struct watcher *w)
{
    struct watch_req req = {.kind = WATCH_REQ_CREATE, .create = w->asked};
    int64_t now = now_ns();
    w->link->token = users_token(w->user, w->link->port);
    if (w->first || !w->link->up || now < w->create_ns || (users_on() && !w->link->token))
        return;
    buf_reset(&run.body);
    encode_watch_req(&req, &run.body);
    w->stream = link_stream(w->link, "/etcdserverpb.Watch/Watch", buf_bytes(&run.body), w);
    if (!w->stream)
        return;
    w->ended = false;
    w->claim = (struct claim){w->user == USER_ROOT ? -1 : w->user, w->prefix, users_replica(w->link->port), now};
    judge_begin(&w->judge, &w->asked);
    run.counts.sessions++;
}

/* As a client does it: behind what was told, or where the compaction has come to. */
static void resume(struct watcher *w)
{
    if (w->compacted)
        w->asked.start_revision = w->compacted;
    else if (w->judge.created)
        w->asked.start_revision = judge_resume(&w->judge);
    w->compacted = 0;
    send_create(w);
}

static void ask_progress(struct watcher *w)
{
    struct watch_req req = {.kind = WATCH_REQ_PROGRESS};
    buf_reset(&run.body);
    encode_watch_req(&req, &run.body);
    if (h2_send_message(w->stream, buf_bytes(&run.body)))
        die("out of memory");
}

/* ---- what comes ---- */

static void hold(struct watcher *w, bytes m)
{
    struct held *held = malloc(sizeof *held + m.len);
    if (!held)
        die("out of memory");
    held->next = NULL;
    held->len = m.len;
    memcpy(held->message, m.data, m.len);
    *w->last = held;
    w->last = &held->next;
}

/* False: the history has not come so far. */
static bool judge(struct watcher *w, bytes m)
{
    struct watch_resp r;
    if (decode_watch_resp(m, &run.arena, &r))
        die("a response that cannot be read");
    if (r.header.revision > run.court->history.last)
        return false;
    if (r.created && r.canceled)
        w->judge.over = true; /* it never was */
    else
        judge_response(&w->judge, &r);
    if (r.canceled) {
        w->ended = true;
        w->compacted = r.compact_revision;
    }
    return true;
}

static void judge_held(struct watcher *w)
{
    while (w->first && judge(w, bytes_of(w->first->message, w->first->len))) {
        struct held *held = w->first;
        w->first = held->next;
        if (!w->first)
            w->last = &w->first;
        free(held);
        arena_reset(&run.arena);
    }
    arena_reset(&run.arena);
}

/* What is held against rights counts when it comes: later they may be others. */
static void arrives(struct watcher *w, const struct watch_resp *r, int64_t now)
{
    for (size_t i = 0; i < r->n_events; i++) {
        measure(&r->events[i], now);
        int64_t written_ns = r->events[i].type == EVENT_PUT ? writers_sent_ns(r->events[i].kv.value) : 0;
        if (users_on() && written_ns)
            users_told(w->claim, written_ns);
    }
    if (!users_on())
        return;
    if (r->canceled && users_says_denied(r->cancel_reason)) {
        users_denied(w->claim);
        w->create_ns = now + DENIED_MS * INT64_C(1000000);
    } else if (r->canceled && r->compact_revision == 0) {
        users_refused(w->user, w->link->port);
        w->create_ns = now + DENIED_MS * INT64_C(1000000);
    } else if (r->created) {
        users_created(w->claim);
    }
}

static void on_message(struct link *l, void *call, bytes m)
{
    struct watcher *w = call;
    struct watch_resp r;
    (void)l;
    if (call == &run) {
        record(m);
    } else {
        if (decode_watch_resp(m, &run.arena, &r))
            die("a response that cannot be read");
        arrives(w, &r, now_ns());
        hold(w, m);
    }
    arena_reset(&run.arena);
}

static void on_end(struct link *l, void *call, enum grpc_status code)
{
    struct watcher *w = call;
    if (call == &run) {
        run.recording = NULL;
        if (code == GRPC_UNAUTHENTICATED)
            users_refused(USER_ROOT, l->port);
    } else {
        if (code == GRPC_UNAUTHENTICATED)
            users_refused(w->user, l->port);
        w->create_ns = now_ns() + AGAIN_MS * INT64_C(1000000);
        w->stream = NULL;
        w->ended = true;
    }
}

static void on_down(struct link *l)
{
    run.counts.recorder_lost += l == run.recorder;
    run.counts.lost_connections += l != run.recorder;
}

/* ---- trouble ---- */

static int draw_port(struct watcher *w)
{
    return run.o.replicas[rng_below(&w->rng, run.o.n_replicas)];
}

static void ask_for_another(struct watcher *w)
{
    w->judge.created = false;
    w->compacted = 0;
    draw_request(w);
}

static void make_trouble(struct watcher *w, int64_t now)
{
    w->trouble_ns = now + (int64_t)rng_below(&w->rng, 2 * (uint64_t)run.o.trouble_ms) * 1000000;
    switch (rng_below(&w->rng, 5)) {
    case 0: /* slow */
        w->link->paused_until_ns = now + (int64_t)rng_below(&w->rng, 3000) * 1000000;
        run.counts.pauses++;
        break;
    case 1: /* cut, resumes elsewhere */
        w->link->port = draw_port(w);
        link_cut(w->link);
        run.counts.cuts++;
        break;
    case 2: /* something else altogether */
        if (w->first)
            break; /* what came is judged by what was asked */
        ask_for_another(w);
        link_cut(w->link);
        break;
    default:
        if (w->stream)
            ask_progress(w);
    }
}

static void turn(struct watcher *w, int64_t now)
{
    judge_held(w);
    if (w->ended && w->stream && !w->first) { /* the watch is over, and its stream goes on without */
        link_cut(w->link);
    } else if (!w->stream && !w->first && w->link->up) {
        if (run.finishing && w->prefix < 0 && w->user != USER_ROOT)
            ask_for_another(w); /* it would wait for ever */
        resume(w);
    }
    if (!run.finishing && now >= w->trouble_ns) {
        make_trouble(w, now);
    } else if (run.finishing && w->stream && now >= w->ask_ns) {
        w->ask_ns = now + (int64_t)ASK_MS * 1000000;
        ask_progress(w);
    }
}

/* ---- life ---- */

void watchers_start(const struct watchers_options *o, struct court *court)
{
    static const struct link_callbacks callbacks = {.on_message = on_message, .on_end = on_end, .on_down = on_down};
    run.o = *o;
    run.court = court;
    arena_init(&run.arena, 0);
    buf_init(&run.body);
    run.recorder = link_new(o->source, &callbacks, NULL);
    run.all = calloc(o->n, sizeof *run.all);
    if (!run.all)
        die("out of memory");
    for (size_t i = 0; i < o->n; i++) {
        struct watcher *w = &run.all[i];
        rng_init(&w->rng, o->seed + i);
        w->last = &w->first;
        w->judge.court = court;
        w->link = link_new(draw_port(w), &callbacks, w);
        draw_request(w);
    }
}

void watchers_turn(int64_t now)
{
    if (!run.recording && run.recorder->up)
        begin_recording(run.recorder);
    for (size_t i = 0; i < run.o.n; i++)
        turn(&run.all[i], now);
}

bool watchers_finish(tn_rev last)
{
    bool all = run.court->history.last >= last;
    run.finishing = true;
    for (size_t i = 0; i < run.o.n; i++) {
        run.all[i].link->paused_until_ns = 0;
        all = all && !run.all[i].first && run.all[i].judge.told >= last;
    }
    return all;
}

void watchers_say(void)
{
    for (size_t i = 0; i < run.o.n; i++) {
        const struct watcher *w = &run.all[i];
        fprintf(stderr, "busy: watcher %zu at port %d: up to %" PRId64 "%s%s\n", i, w->link->port, w->judge.told,
                w->stream ? "" : ", no stream", w->first ? ", waits to be judged" : "");
    }
}

void watchers_counts(struct watchers_counts *ret)
{
    run.counts.lag_us[0] = lag_quantile(&run.lag, 0.5);
    run.counts.lag_us[1] = lag_quantile(&run.lag, 0.99);
    run.counts.lag_us[2] = lag_quantile(&run.lag, 1);
    *ret = run.counts;
}
