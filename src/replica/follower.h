/* Keeps a copy of another server's keys in step: what the source tells goes into the core's store at the source's own revisions,
 * and what the core is asked and cannot answer goes to the source. Pure: the client engine below, the core above, time as an
 * argument.
 *
 *     follower_run: FOLLOWING --the source has compacted what we miss--> LOST   (a new copy is needed)
 *                       `------its history is another one than ours----> REFUSED (so is the word of somebody)
 *
 * Of some keys alone (parts), or of a copy that began without the past: the watch is of all keys all the same, because only then each server of etcd's
 * says how far it has told; what others have changed is left out, and the copy's revision goes on to the source's whenever a round asks
 * for that.
 *
 * What it does: users and roles, where there are any (before anything else: what comes behind may be for some alone); one watch of all keys, from the copy's own newest revision on, whose events are held against what is here; rounds for
 * the source's revision, now and then and whenever a read waits; the source's compactions, asked for because they make no event;
 * calls sent on. A disk that takes nothing, or rows that were undone, begin the watch anew from what is here.
 *
 * Bounds: what waits for the disk by the store's, what came and was not applied by the size of one revision, 2 GiB. Thread: one caller at a time.
 */
#ifndef REPLICA_FOLLOWER_H
#define REPLICA_FOLLOWER_H

#include "base/log.h"
#include "client/client.h"
#include "core/core.h"
#include "store/store.h"

struct follower;

enum follower_state {
    FOLLOWER_FOLLOWING, /* Next: LOST, REFUSED */
    FOLLOWER_LOST,      /* Next: REFUSED, by users that it may not read */
    FOLLOWER_REFUSED    /* Next: none */
};

struct follower_config {
    uint64_t cluster_id;           /* of the source */
    const struct key_range *parts; /* as core_config.source_parts; borrowed */
    size_t n_parts;
    tn_rev first;          /* the revision that a copy by ranges began with; 0 = it began with a snapshot */
    int64_t ask_ms;        /* between two rounds; 0 = 200 */
    int64_t compaction_ms; /* between two looks at its compaction; 0 = 1 s */
    int64_t users_ms;      /* between two looks at its users; 0 = 1 s */
    bool has_users;       /* the client is somebody who may read users and roles: these are followed, and judge reads */
    bool has_certificate; /* the client's connections prove who it is */
    struct log log;
    /* Before anything of the core is touched from within the client's completions; answers the time. */
    tn_ms (*enter)(void *user);
    /* Authentication is on at the source, for the first time: nothing was answered by that before. May be NULL; false: it is to be
     * told again. */
    bool (*users_are_on)(void *user);
    /* Something was asked of the client. */
    void (*asked)(void *user);
    void *user;
};

struct follower *follower_new(const struct follower_config *config) MUST_USE;
/* Before the client is closed or freed, and after the core's calls have ended. NULL is fine; NULL. */
struct follower *follower_free(struct follower *f);
/* What core_config.source must be, with the follower as source_user. */
extern const struct core_source follower_source;

/* All three outlive it, or follower_stop is called before. */
void follower_start(struct follower *f, struct core *core, struct store *store, struct client *client, tn_ms now);
/* Lets go of the client: nothing is asked any more, and what was is cancelled. */
void follower_stop(struct follower *f, tn_ms now);
/* In each turn, behind core_run. */
void follower_run(struct follower *f, tn_ms now);
tn_ms follower_deadline(const struct follower *f);

enum follower_state follower_state(const struct follower *f);
/* Why it is LOST or REFUSED, or what the source was last found wanting; code 0 = nothing since it last answered. */
const struct tenure_error *follower_error(const struct follower *f);
/* The newest revision that the source is known to have had; 0 = not known. */
tn_rev follower_newest(const struct follower *f);
struct follower_counts {
    uint64_t revisions, events, watches, rounds, forwards;
};
const struct follower_counts *follower_counts(const struct follower *f);

#endif
