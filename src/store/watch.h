/* Watchers inside the store: who gets what from where. Pure memory.
 *
 *            add (start in the past) +--------+
 *   +--------------------------------| BEHIND |<--- block, no memory, too many matches
 *   |  history read to the end       +--------+
 *   v                                    |  start below the compaction revision
 * LIVE  (gets events as they become       v
 *        durable)                        GONE (told so once; gets nothing more)
 *
 * LIVE    next: BEHIND.        BEHIND  next: LIVE, GONE.        GONE  next: none.
 *
 * `matched` is the newest revision that was matched against the live watchers. A live watcher has been given, or is in
 * `ready` to be given, all its events up to `matched`; one that is behind has been given those before its own `next`. So
 * every event reaches a watcher by exactly one of the two ways. */
#ifndef STORE_WATCH_H
#define STORE_WATCH_H

#include "store/key.h"
#include "store/store.h"
#include "store/watch_index.h"

enum watcher_state { WATCHER_LIVE, WATCHER_BEHIND, WATCHER_GONE };

/* Owned by the store from store_watch_add to store_watch_remove. */
struct store_watcher {
    struct watch_node node;
    struct watch_hub *hub;
    void *user;
    enum watcher_state state;
    bool blocked, prev_kv, no_put, no_delete;
    /* BEHIND: the first revision not given yet. LIVE: nothing older than this is given (see store_watch_position). */
    tn_rev next;
    struct list queue_node;           /* in `ready` or `behind`; else alone */
    uint32_t match_first, match_last; /* places in `matches`, while in `ready` */
    uint8_t range_data[];
};

/* One event for one watcher; those of a watcher are chained in order. */
struct watch_match {
    struct version *version;
    uint32_t ordinal; /* the event's place in its revision */
    uint32_t next;    /* place in `matches`; MATCH_END */
};

#define MATCH_END UINT32_MAX

struct watch_hub {
    struct watch_index index;
    tn_rev matched;
    struct list ready;  /* live watchers with matches of the revision `matched` */
    struct list behind; /* watchers that read history; not the blocked ones */
    struct watch_match *matches;
    size_t n_matches, matches_cap;
    struct event *events; /* of the batch given out last */
    uint32_t *ordinals;
    size_t events_cap;
    uint64_t next_id;
    int64_t count;
};

void watch_hub_init(struct watch_hub *hub);
void watch_hub_fini(struct watch_hub *hub);

static inline bool watcher_is_ready(const struct store_watcher *w)
{
    return w->state == WATCHER_LIVE && !list_empty(&w->queue_node);
}
/* From now on w reads history from `next` on. */
void watcher_fall_behind(struct store *s, struct store_watcher *w, tn_rev next);
/* w has been given everything up to `matched`. */
void watcher_go_live(struct watch_hub *hub, struct store_watcher *w);
/* Whether w wants this event. */
bool watcher_wants(const struct store_watcher *w, const struct version *v);
/* Makes room for n events of one batch. 0 or TENURE_ENOMEM. */
int watch_events_reserve(struct watch_hub *hub, size_t n) MUST_USE;
/* The event that v is to w. */
struct event watch_event(const struct store *s, const struct store_watcher *w, const struct version *v);

/* Matches the next durable revision against the live watchers, when they have been given the one before. False when
 * there is none. */
bool watch_live_match(struct store *s);
/* The next batch of matches; false when there is none. */
bool watch_live_next(struct store *s, struct store_watch_batch *ret);
/* The next batch from history, one watcher after another; false when none is behind, or when the share of work of one
 * call is used up. */
bool watch_history_next(struct store *s, size_t events_max, struct store_watch_batch *ret);
/* Events below this revision are needed by no live watcher. */
tn_rev watch_live_floor(const struct watch_hub *hub);

#endif
