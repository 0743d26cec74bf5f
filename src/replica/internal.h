/* What the files of the follower share. */
#ifndef REPLICA_INTERNAL_H
#define REPLICA_INTERNAL_H

#include "base/buf.h"
#include "base/list.h"
#include "replica/follower.h"
#include "store/auth.h"

/* The watch of all keys. */
struct feed {
    struct client_watch *watch; /* NULL: none is under way */
    bool ended;                 /* it calls no more, and is to be stopped */
    bool lives;                 /* the source has it */
    bool checked;               /* what it told first was held against what is here */
    tn_rev next;                /* the revision that comes next; the store must be one before it */
    tn_rev told;                /* everything up to there was told; with parts, next may lie before it */
    tn_ms retry_at;
};

enum users_step { USERS_REST, USERS_PROBE, USERS_BEGIN, USERS_NAMES, USERS_OF, USERS_ROLES, USERS_ROLE, USERS_END };

/* One reading of the source's users and roles. Texts in the arena. */
struct users_read {
    struct arena arena;
    bytes *names, *roles;
    size_t n_names, n_roles;
    struct store_user *user_of;
    struct store_role *role_of;
    uint64_t revision;
};

struct users {
    enum users_step step; /* what is under way; REST: nothing */
    size_t at;            /* of names or roles */
    bool under_way, known, no_revision, was_on;
    tn_ms look_at;
    uint64_t revision; /* of those that count */
    bool enabled;      /* those that count */
    struct buf now;    /* without revisions: the last reading, written out */
    bool has_now;      /* there was one; was_taken: it counts */
    bool was_taken;
    tn_ms answered_at; /* when anything of them was answered last */
    bool held;   /* no events are taken before a look that counts; one that was under way when they came does not */
    bool counts; /* the look that is under way */
    struct users_read read;
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
    tn_rev newest, asked_for; /* asked_for: what a round was answered with */
    tn_rev had_at_round;      /* our own revision when the round began: the source had it then */
    int older;                /* rounds in a row that told less */

    bool look_under_way, probe_wanted, probe_ended;
    struct client_watch *probe;
    tn_ms look_at, probe_until;
    tn_rev compacted; /* of the source, to be followed; 0 = nothing is */

    struct users users;
    int denied; /* rounds, or looks at users, in a row */

    struct list sent; /* calls sent on */
    struct follower_counts counts;
};

void follower_fail(struct follower *f, enum follower_state state, const struct tenure_error *err);
/* What may pass. */
void follower_note(struct follower *f, const struct tenure_error *err);

/* A key that may be asked for when it is not keys that matter. */
bytes follower_some_key(const struct follower *f);

/* ---- feed.c ---- */
void feed_run(struct follower *f, tn_ms now);
void feed_stop(struct follower *f, tn_ms now);
/* The source has that revision. */
void feed_compare(struct follower *f, tn_rev revision);
tn_ms feed_deadline(const struct follower *f);

/* ---- users.c ---- */
void users_init(struct follower *f);
void users_fini(struct follower *f);
void users_run(struct follower *f, tn_ms now);
tn_ms users_deadline(const struct follower *f);
/* Whether events may be taken: a right may have gone while the source was not heard. False: not before the next look, which comes at
 * once. */
bool users_are_fresh(struct follower *f, tn_ms now);
bool users_hold(const struct follower *f);

/* ---- follower.c ---- */
/* False: another cluster answers, and it is REFUSED. */
bool follower_saw(struct follower *f, const struct response_header *h);
/* The client was denied what it needs: after some times in a row it is REFUSED. */
void follower_denied(struct follower *f, const struct tenure_error *why);

/* ---- forward.c ---- */
void *forward_send(void *user, const struct core_forward_req *req, struct core_forward *to, enum etcd_error *ret_why);
void forward_cancel(void *user, void *handle);
/* Of those whose ends never came. */
void forward_drop_all(struct follower *f);

#endif
