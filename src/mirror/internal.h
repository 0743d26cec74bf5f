/* What the files of a carrier share.
 *
 *     carrier.c   life, the steps, what is asked of the source each half second      claim.c    who may copy: both sides looked at
 *     commit.c    one guarded transaction                                            leases.c   the mirror's own, one for each TTL
 *     copy.c      the exact difference, page by page                                 follow.c   the watch, revision by revision
 *     foreign.c   what others write at the destination
 */
#ifndef MIRROR_INTERNAL_H
#define MIRROR_INTERNAL_H

#include "base/backoff.h"
#include "base/list.h"
#include "base/map.h"
#include "client/pager.h"
#include "mirror/carrier.h"
#include "mirror/record.h"
#include "recipes/op.h"

enum {
    OPS_MAX = 127,                        /* and the record's own: what a server takes that was told nothing else */
    BATCH_BYTES = 512 * 1024,             /* several revisions, or keys of a copy, go together up to here */
    REVISION_BYTES = 1536 * 1024 - 65536, /* one goes as a whole up to here */
    QUEUE_BYTES = 32 * 1024 * 1024,
    BEHIND_MS =
        500, /* what waits for longer is made one: of a key that changed several times the last change is told */
    TOGETHER_BYTES = 4 * 1024 * 1024, /* of events that become one transaction then */
    ASK_MS = 500,
    HEARTBEAT_MS = 10000,
    CALL_MS = 5000,
};

/* Next: of each the one below, LOOK after a failure */
enum step {
    STEP_LOOK,        /* at the destination */
    STEP_LOOK_SOURCE, /* before the claim: with homes nothing is claimed that is not ours to copy */
    STEP_CLAIM,       /* nothing to do when the record is this process's */
    STEP_LOOK_AGAIN,  /* at the source, behind the claim */
    STEP_LEASES,      /* those in the record, alive still? else COPY */
    STEP_CHECK,       /* the source's history is the one that was copied */
    STEP_COUNT,       /* the keys to copy */
    STEP_COPY,
    STEP_FOLLOW,
    STEP_WITHDRAW, /* the claim that was made just now; then it ends */
    STEP_END
};

/* One transaction: what it does, and what the record says behind it. */
struct batch {
    struct arena arena;
    struct request_op ops[OPS_MAX + 1];
    size_t n, bytes;
    struct record after;
};

struct carrier;

/* A page of one side, copied. */
struct side {
    struct carrier *carrier;
    struct client_pager *pager;
    struct page_call *asked; /* the page under way; NULL = none */
    struct arena arena;
    struct kv *kvs;
    size_t n, i;
    bool at_end;
};

/* Events as they came: whole revisions. */
struct chunk {
    struct list link;
    struct arena arena;
    struct event *events;
    size_t n, i; /* i: the first that is not at the destination yet */
    tn_ms came;
};

struct own_lease {
    struct carrier *carrier;
    struct client_keepalive *keepalive; /* NULL: the place is free */
    int64_t ttl_s;
    tn_lease id;
    bool alive;
};

/* A change at the destination, of which it is not known (yet) that it is ours. */
struct foreign_change {
    struct list link;
    tn_rev revision;
    bytes key; /* behind it */
};

enum { OWN_MAX = 8192 };

/* What others write below the prefix at the destination. */
struct foreign {
    struct client_watch *watch;
    bool ended;
    tn_ms begin_at;      /* not before */
    tn_rev seen;         /* all up to here was looked at */
    tn_rev own[OWN_MAX]; /* a ring: revisions of our own transactions, the newest n_own of n_ever */
    size_t n_ever, n_own;
    struct list changes;
    size_t n;
    bool too_many;                 /* all is compared */
    bool says;                     /* because of somebody else */
    tn_ms next_at;                 /* nothing is undone before */
    struct foreign_change *undone; /* that is, now */
};

struct carrier {
    struct carrier_config k;
    struct client *source, *destination;
    struct buf name, prefix, to, prefix_end, to_end, key;
    enum step step;
    enum carrier_state state;
    struct tenure_error error;
    int64_t error_wall;
    struct backoff backoff;
    struct rng rng;
    tn_ms retry_at; /* nothing is begun before */
    tn_ms ran_at;

    struct op *op;   /* the step's call, at either side */
    struct op *poll; /* of the source */
    tn_ms poll_at;
    bool busy_txn; /* op is the batch's */

    /* the claim */
    struct record rec; /* as it is in the destination */
    bool has_record, mine, created;
    tn_rev mod;          /* of the record; 0 = there is none */
    tn_rev homes_mod;    /* of the newest home record in the destination */
    tn_rev mirrors_mod;  /* of the newest record of a mirror there, for the claim */
    tn_rev mirrors_made; /* the same, create_revision */
    bool over_another;   /* one of them is about our prefix, and over */
    bool of_another;     /* rec is of other prefixes: see what_else */
    struct tenure_error what_else;
    bool foreign_ok;         /* what is in the destination already goes */
    struct home here, there; /* of the prefix, by source and destination; epoch 0 = none */
    bool has_here, has_there;
    tn_rev
        leaving; /* the source was the home until that revision: the last copy is of that one or later; 0 = it still is */
    int64_t seq;
    tn_ms written_at;

    /* the source */
    uint64_t cluster;
    tn_rev newest;    /* as told last */
    tn_ms newest_at;  /* when that was asked */
    tn_rev clear;     /* all up to here has come, and was carried out, as far as can be seen */
    tn_ms clear_at;   /* -1 = not known */
    int older;        /* answers in a row that told less */
    bool compare_all; /* the next position is a difference's, not the record's */

    struct own_lease leases[RECORD_LEASES_MAX];
    size_t reviving;     /* of the record's: to be asked about next */
    size_t doubted;      /* of the places: the same; RECORD_LEASES_MAX: a write has missed none */
    int64_t asked_ttl_s; /* of the grant under way */
    struct map ttls;     /* of the source's leases, by id; the value is the TTL + 1 */
    tn_lease asked_lease;
    bool leases_lost;

    struct batch batch;
    size_t ops_max, bytes_max; /* of a transaction: less when the destination takes less */
    struct side from, into;    /* of a copy: the pages of the source, and of the destination */
    struct client_watch *watch;
    bool watch_ended;
    struct foreign foreign;
    struct list chunks;
    size_t queued;   /* bytes */
    bool behind;     /* by BEHIND_MS, or because of: */
    bool stuck;      /* a change that the destination does not take; a later one of that key may do instead */
    tn_rev told;     /* the last revision in the queue, or carried out */
    tn_rev progress; /* the source said that there is nothing up to here */
};

/* ---- carrier.c ---- */
void carrier_move(struct carrier *c, enum step step);
/* Clients want a turn, and the deadline is another one. */
void carrier_asked(struct carrier *c);
/* Within a client's callback, as its last act: carrier_run. */
void carrier_go_on(struct carrier *c, tn_ms now);
/* What may pass: noted, and after a while all begins with what the record says. */
void carrier_retry(struct carrier *c, const struct tenure_error *why, tn_ms now);
void carrier_note(struct carrier *c, const struct tenure_error *why);
void carrier_end(struct carrier *c, enum carrier_state state, const struct tenure_error *why, tn_ms now);
/* A call could not begin or failed: code 0 answers false. */
bool carrier_failed(struct carrier *c, int rc, const struct tenure_error *err, tn_ms now);
/* All goes well: no error is shown any more. */
void carrier_well(struct carrier *c);
/* The source has answered: is it the one that it was? False: it has ended. */
bool carrier_saw_source(struct carrier *c, const struct response_header *h, tn_ms sent_at, tn_ms now);
/* The time in a client's callback. */
tn_ms carrier_now(const struct carrier *c);
/* The destination's key for one of the source, in the arena; data NULL when out of memory. */
bytes carrier_map(struct carrier *c, struct arena *a, bytes key);
/* What is behind the prefix. */
bytes carrier_rest(bytes key, const struct buf *prefix);

/* ---- claim.c, claim_make.c ---- */
void claim_look(struct carrier *c, tn_ms now);
void claim_look_source(struct carrier *c, tn_ms now);
void claim_make(struct carrier *c, tn_ms now);
void claim_withdraw(struct carrier *c, tn_ms now);
/* The same look, as the poll of the source: a home that has moved is noticed. */
void claim_poll(struct carrier *c, tn_ms now);

/* ---- commit.c ---- */
void batch_begin(struct carrier *c);
/* False: out of memory. Keys are the destination's, borrowed until the batch is over; the value likewise. */
bool batch_put(struct carrier *c, bytes key, bytes value, tn_lease lease);
bool batch_delete(struct carrier *c, bytes key);
bool batch_has(const struct carrier *c, bytes key);
/* Whether so much more goes along with what is in it, if anything is. */
bool batch_takes(const struct carrier *c, size_t ops, size_t size);
/* A put of the source's that can be asked for again, to see whether its history is still the one that was copied. */
void batch_note_check(struct carrier *c, const struct kv *kv);
/* What the record says for people. */
void batch_describe(struct carrier *c, tn_ms now);
/* Sends it; goes on when it is there. */
void batch_commit(struct carrier *c, tn_ms now);
/* The guard, the same for all: mod_revision of the record, and of no home record above what was seen. */
size_t batch_guard(struct carrier *c, struct compare *out);

/* ---- leases.c ---- */
void leases_revive(struct carrier *c, tn_ms now);
void leases_drop(struct carrier *c, tn_ms now);
/* One of them is gone, and which must be asked. */
void leases_doubt(struct carrier *c);
/* Those that ran out; then everything is compared. */
void leases_drop_dead(struct carrier *c, tn_ms now);
/* The destination's lease for a key with that one of the source. 1: *ret; 0: it was asked for, come again; below: failed, and told. */
int leases_map(struct carrier *c, tn_lease source, tn_lease *ret, tn_ms now);

/* ---- copy.c ---- */
void copy_check(struct carrier *c, tn_ms now);
void copy_count(struct carrier *c, tn_ms now);
void copy_go_on(struct carrier *c, tn_ms now);
void copy_stop(struct carrier *c, tn_ms now);

/* ---- foreign.c ---- */
/* The record was written in that revision of the destination: what else changed in it is ours. */
void foreign_own(struct carrier *c, tn_rev revision);
/* All that is there now is about to be compared. */
void foreign_restart(struct carrier *c, tn_ms now);
void foreign_stop(struct carrier *c, tn_ms now);
/* In each turn. */
void foreign_run(struct carrier *c, tn_ms now);
tn_ms foreign_deadline(const struct carrier *c);
/* While following. True: something was begun. */
bool foreign_undo(struct carrier *c, tn_ms now);
/* The batch was carried out. */
void foreign_undone(struct carrier *c);

/* ---- follow.c ---- */
void follow_go_on(struct carrier *c, tn_ms now);
/* When what has waited longest has done so for too long; there is some. */
tn_ms follow_behind_at(const struct carrier *c);
/* The batch was carried out. */
void follow_carried_out(struct carrier *c);
void follow_end(struct carrier *c, tn_ms now);

#endif
