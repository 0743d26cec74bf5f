/* Watch streams: what svc_watch.c, fanout.c and progress.c share. */
#ifndef CORE_WATCHING_H
#define CORE_WATCHING_H

#include "base/map.h"
#include "core/call.h"

#define WATCHES_DEAD_MAX 1000

/* Who made a watch. */
struct watch_user {
    size_t name_len;
    uint8_t name[];
};

/* What each watcher of the store has as its user, at the beginning. */
struct watch_sink {
    /* Takes a batch; NULL: it is a watch of a stream. The events are borrowed until the next call on the store; afterwards
     * anything may be done with the watcher. */
    void (*deliver)(struct watch_sink *sink, const struct store_watch_batch *b, tn_ms now);
};

/* One watch. Owner: its stream. */
struct watch {
    struct watch_sink sink;
    struct watch_stream *stream;
    struct store_watcher *watcher; /* NULL: cancelled by compaction; the id stays taken until its client cancels too */
    int64_t id;
    size_t bytes;               /* its part of core.watch_bytes; 0 without a watcher */
    struct list in_stream;      /* alive or dead */
    struct heap_node in_notify; /* in core.notify when it asked for progress_notify */
    tn_ms heard_at, interval;
    bool prev_kv, fragment;
    struct watch_user *user; /* NULL: authentication was off when it was made */
    uint64_t auth_seen;      /* store_auth_changes when it was permitted last */
};

/* The state of one Watch call. Owner: the call. */
struct watch_stream {
    struct core_call *call;
    struct map by_id;
    struct list alive, dead;
    size_t n_dead;
    int64_t next_id;
    bool blocked;
    struct list in_blocked;  /* in conn.blocked */
    struct list in_progress; /* in core.progress: asked for progress while behind */
};

void watch_stream_free(struct watch_stream *ws);
/* Queues core.out as one message of the stream. */
void watch_send(struct watch_stream *ws);
/* After each message: stops the stream's watchers when there is no more room. */
void watch_check_room(struct watch_stream *ws);
void watch_unblock(struct watch_stream *ws);
/* The watcher's start was compacted: tells so and keeps the id taken. */
void watch_compacted(struct watch *w, tn_rev compact_revision);

/* Cancels it, with that reason. May end the call. */
void watch_deny(struct watch *w, enum etcd_error why);

/* watch_auth.c */
/* Whether the call may watch that range; who it is, to be asked again later: NULL while authentication is off. */
enum etcd_error watch_auth_create(struct core_call *call, struct key_range range, struct watch_user **ret) MUST_USE;
/* Only who it is, where another check has passed. */
enum etcd_error watch_auth_user(struct core_call *call, struct watch_user **ret) MUST_USE;
/* Whether that one may still watch the range, asked anew when *seen is another number of changes. */
enum etcd_error watch_auth_still(struct core_call *call, const struct watch_user *user, uint64_t *seen,
                                 struct key_range range) MUST_USE;
/* Asked before it gets anything. One that is not any more was cancelled, and its call may have ended. */
bool watch_is_permitted(struct watch *w) MUST_USE;
/* Looks at those that get nothing. */
void watch_auth_run(struct core *c, tn_ms now);
tn_ms watch_auth_deadline(const struct core *c);

void fanout_init(struct fanout *f);
void fanout_fini(struct fanout *f);
/* Hands out durable events, at most a slice; fanout.more tells whether there is more. */
void fanout_run(struct core *c, tn_ms now);

/* A client asked for progress. */
void progress_ask(struct watch_stream *ws);
/* It is to be told in intervals. 0 or TENURE_ENOMEM. */
int progress_begin(struct watch *w, tn_ms now) MUST_USE;
void progress_forget(struct watch *w);
static inline void progress_heard(struct watch *w, tn_ms now)
{
    w->heard_at = now;
}
void progress_run(struct core *c, tn_ms now);
tn_ms progress_deadline(const struct core *c);

#endif
