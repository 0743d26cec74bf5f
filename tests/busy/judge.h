/* Whether what one watch was told is what the history says: W1 to W14 of docs/invariants.md (W15: rights.h). Pure.
 *
 *     judge_begin, for each time that the watch is created, with what was asked; then each response in order.
 *
 * A response may be judged only when the history has come to its header's revision. What is found wrong is counted by the number
 * of the invariant, and the first of each is kept as text.
 */
#ifndef BUSY_JUDGE_H
#define BUSY_JUDGE_H

#include "busy/history.h"

enum { JUDGE_RULES = 16 };

struct verdicts {
    uint64_t wrong[JUDGE_RULES]; /* by number: wrong[1] of W1 … */
    char text[JUDGE_RULES][256];
    uint64_t responses, events, progress, compacted, without_prev, deletes_lost;
};

/* What all judges share. */
struct court {
    struct history history;
    struct verdicts verdicts;
    /* Revisions that somebody asked to compact to, before he asked; ascending. */
    tn_rev *compactions;
    size_t n_compactions, room;
    /* Of the source: etcd of old forgets deletes of the very revision that it is compacted to (W11; etcd #19179). */
    bool deletes_may_be_lost;
};

struct judge {
    struct court *court;
    struct watch_create_req asked; /* its bytes are the caller's, and live until the next judge_begin */
    bool created, over;            /* over: it was canceled; what its stream says further is not about it */
    tn_rev start;                  /* the first revision wanted */
    tn_rev told;                   /* all up to this one was told; the last event's or progress notice's */
    tn_rev last_event, progress;
    bool open;   /* the last response was a fragment */
    size_t part; /* how much of its last revision was told */
    size_t at;   /* the first fact that was not told or passed over */
};

void court_init(struct court *c);
void court_fini(struct court *c);
void court_compaction(struct court *c, tn_rev revision);
/* Something is wrong by that rule; the first text of each is kept. */
void court_wrong(struct court *c, int rule, const char *format, ...) PRINTF_LIKE(3, 4);
void judge_begin(struct judge *j, const struct watch_create_req *asked);
void judge_response(struct judge *j, const struct watch_resp *r);
/* Where such a watch is to be resumed: behind all that is known to have been told whole. */
tn_rev judge_resume(const struct judge *j);
/* The sum of what is wrong. */
uint64_t verdicts_wrong(const struct verdicts *v);

#endif
