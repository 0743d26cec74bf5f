/* What the files of the follower share. */
#ifndef REPLICA_INTERNAL_H
#define REPLICA_INTERNAL_H

#include "base/list.h"
#include "replica/follower.h"

/* The watch of all keys. */
struct feed {
    struct client_watch *watch; /* NULL: none is under way */
    bool ended;                 /* it calls no more, and is to be stopped */
    bool lives;                 /* the source has it */
    bool checked;               /* what it told first was held against what is here */
    tn_rev next;                /* the revision that comes next; the store must be one before it */
    tn_ms retry_at;
};

struct follower {
    struct follower_config config;
    struct core *core;
    struct store *store;
    struct client *client; /* NULL: not started, or stopped */
    bool stopped;
    enum follower_state state;
    struct tenure_error error; /* of the rounds, or why it follows no more */

    struct feed feed;
    struct tenure_error feed_error; /* since the copy was last at the source's revision by its watch */
    int64_t pause_ms;               /* before the watch begins anew; grows while that leads to nothing */
    tn_rev reached;                 /* what was durable when it ended last */

    bool wanted, round_under_way;
    tn_ms round_at;
    tn_rev newest;
    tn_rev had_at_round; /* our own revision when the round began: the source had it then */
    int older;           /* rounds in a row that told less */

    bool look_under_way, probe_wanted, probe_ended;
    struct client_watch *probe;
    tn_ms look_at, probe_until;
    tn_rev compacted; /* of the source, to be followed; 0 = nothing is */

    struct list sent; /* calls sent on */
    struct follower_counts counts;
};

void follower_fail(struct follower *f, enum follower_state state, const struct tenure_error *err);
/* What may pass. */
void follower_note(struct follower *f, const struct tenure_error *err);

/* ---- feed.c ---- */
void feed_run(struct follower *f, tn_ms now);
void feed_stop(struct follower *f, tn_ms now);
/* The source has that revision. */
void feed_compare(struct follower *f, tn_rev revision);
tn_ms feed_deadline(const struct follower *f);

/* ---- forward.c ---- */
void *forward_send(void *user, const struct core_forward_req *req, struct core_forward *to, enum etcd_error *ret_why);
void forward_cancel(void *user, void *handle);
/* Of those whose ends never came. */
void forward_drop_all(struct follower *f);

#endif
