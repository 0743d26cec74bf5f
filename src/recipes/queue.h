/* The words of etcd's queue, without memory of their own: which keys, which transactions, what an answer means. Locks and
 * elections speak them; Go's concurrency package and etcdctl understand them.
 *
 * Keys. A queue is named by a path, "/locks/x". Whoever stands in it owns a key `<path>/<lease id in hex>` on its lease;
 * the lowest create_revision is first, and a create_revision never changes, so a place is never lost to a later one.
 *
 * Whom we count. Go's clients count every key that begins with `<path>/`, so one that wants "a" also waits for "a/b". We
 * count only keys without a further slash. That is safe: we count each key of a Go client in the same queue, and it
 * counts each of ours, so of two of the same queue always one waits for the other; Go's wait longer at most. It is still
 * a trap (a queue that seems free to one and taken to the other), so whoever enters a path below which there are such
 * keys is refused, by the name of one of them. Seen are the newest VIEW_MAX keys; those who were in the queue before the
 * longer name came into use stay and are not disturbed.
 *
 * Who may hold beside whom is the place's rule (rule.h). A mutex waits for everybody before it, and so do Go's clients, so
 * whatever else is asked for here, it never holds beside one of those.
 *
 * Whom a place watches, so that a release wakes only those that it lets proceed: the whole, the newest key before it; a
 * reader, the newest writer; a permit that does not fit, its direct predecessor while that one waits too. When it gets in, it
 * writes its key once more (the touch), and so its successor hears of it. Only the first of those who wait looks at those
 * who hold, all of them at once, counting what they give back.
 *
 * The fence. A request to enter whose answer was lost may still be on its way, for as long as the network likes; when it
 * arrives after we have left, it would put a key that nobody removes while the session lives. So each such request holds
 * only while the fence key has not changed, and leaving such a doubtful place changes it: one transaction, after which
 * nothing late can happen. The fence key is `<path>\0<lease hex>` on the same lease: outside of `<path>/`, unreachable by
 * any name of ours, written only in that rare case, gone with the session.
 *
 * The note. What a candidate's key holds is the user's proposal; who he is stands beside, under `<path>\0who/<lease hex>`, put
 * and deleted with the own key, on the same lease.
 *
 * The rank. A candidate who states a preference (rank.h) puts it beside as well, under `<path>\0rank/<lease hex>`, in the same
 * transactions; so it was last written where the own key was created, and those with a greater mod_revision wait behind.
 *
 * The record of a lock with a delay, `<path>\0delay`, without a lease: delay.h.
 *
 * Pure; thread: any (no state).
 */
#ifndef RECIPES_QUEUE_H
#define RECIPES_QUEUE_H

#include "api/kv.h"
#include "base/error.h"
#include "recipes/rule.h"

enum { QUEUE_NAME_MAX = 4096, QUEUE_VIEW_MAX = 8, QUEUE_RANKS_MAX = 1000 };

/* The keys of one place. One block of memory, owned. */
struct queue {
    bytes path; /* without slash at the end */
    bytes dir;  /* path and "/" */
    bytes dir_end;
    bytes own;
    bytes fence;
    bytes who, who_all, who_end;    /* the own note, and the range of all notes */
    bytes rank, rank_all, rank_end; /* the own rank, and the range of all ranks */
    bytes delay;
    /* Set by the owner: requests to enter put a note as well; those to verify ask who is better; and the own preference, other
     * than 0 only where that is so, which requests to enter put as well. */
    bool noted, seeks;
    int64_t preference;
    bytes readers, readers_end; /* a reader's: the range of readers' keys */
    struct rule rule;
    tn_lease lease;
    uint8_t *memory;
};

/* Whether prefix + name can be a path: TENURE_EINVALID says what is wrong with it. */
int queue_check_name(const char *prefix, const char *name, struct tenure_error *err) MUST_USE;
/* Copies path. rule NULL = the whole. TENURE_ENOMEM. */
int queue_init(struct queue *q, const char *path, const struct rule *rule, tn_lease lease) MUST_USE;
void queue_fini(struct queue *q); /* an all-zero one is fine; zero afterwards */
/* Whether key is a place in the queue: below dir, without a further slash. */
bool queue_counts(const struct queue *q, bytes key);
/* What a key that counts asks for. */
struct rule queue_rule_of(const struct queue *q, bytes key);

/* A request with the memory of its parts; valid while it stays where it is. Borrows from q and value. */
struct queue_txn {
    struct txn_req req;
    struct compare compares[3];
    struct request_op success[6], failure[3];
    struct txn_req inner;
    struct compare inner_compare;
    struct request_op inner_then;
};

/* Puts the own key if it is absent and the fence stands at `fence` (its mod_revision, 0 = absent); only_first (the whole
 * only): and if nobody is in the queue. Asks who is before it. */
void queue_enter(const struct queue *q, bytes value, tn_rev fence, bool only_first, struct queue_txn *ret);
/* Has a request to enter put the note beside the own key; q->noted is for its answer. */
void queue_note(const struct queue *q, bytes note, struct queue_txn *ret);
/* Has a request to enter put the rank. */
void queue_put_rank(const struct queue *q, bytes rank, struct queue_txn *ret);
/* Asks whether the own key still stands with this create_revision, and which keys were created before it: the newest, or
 * all of them; and, where the place seeks, who of those behind is better. One linearizable read. */
void queue_verify(const struct queue *q, tn_rev create, bool all, struct queue_txn *ret);
/* Has a request to verify write the own key once more, with this value, if it stands. May be repeated. */
void queue_touch(const struct queue *q, bytes value, struct queue_txn *ret);
/* Deletes the own key if its create_revision is `create`. May be repeated. */
void queue_leave(const struct queue *q, tn_rev create, struct queue_txn *ret);
/* Deletes the own key, whichever, and moves the fence, if it stands at `fence`. May be repeated. */
void queue_leave_fenced(const struct queue *q, tn_rev fence, struct queue_txn *ret);
/* Has a request to leave, of either kind, delete the note, or the rank, as well. */
void queue_leave_note(const struct queue *q, struct queue_txn *ret);
void queue_leave_rank(const struct queue *q, struct queue_txn *ret);
/* Has a request to leave, of either kind, delete the record as well, if it was last written at mod; if it was not, nothing is
 * left at all (the answer to queue_leave then shows the own key). */
void queue_leave_record(const struct queue *q, tn_rev mod, struct queue_txn *ret);
/* The same when it is not known whether there is a record: deletes it if it holds this value, in a transaction within. */
void queue_leave_claim(const struct queue *q, bytes record, struct queue_txn *ret);
/* Replaces the value of the own key if it was created at `create` and last written at `mod`. May be repeated. */
void queue_proclaim(const struct queue *q, tn_rev create, tn_rev mod, bytes value, struct queue_txn *ret);

enum queue_answer {
    QUEUE_IN,     /* the own key stands: see create, before */
    QUEUE_WAS_IN, /* (enter) it stood already, on our lease: an earlier copy of the request put it; before is not known */
    QUEUE_OUT,    /* (verify, proclaim) the own key is gone, or is not the same */
    QUEUE_TAKEN,   /* (enter, only_first) somebody is in the queue; the own key was not put */
    QUEUE_FOREIGN, /* (enter) the own key exists on another lease */
    QUEUE_MOVED /* (enter, leave_fenced, proclaim) not done: the fence, or the value, stands elsewhere: see fence, mod */
};

enum queue_wait {
    QUEUE_WAIT_GONE,    /* until the key `before` is deleted */
    QUEUE_WAIT_CHANGED, /* until it is deleted or written */
    QUEUE_WAIT_ROOM     /* until those before have given back enough */
};

struct queue_view {
    enum queue_answer answer;
    tn_rev revision;      /* of the answer */
    tn_rev create;        /* of the own key, when in */
    tn_rev mod;           /* (proclaim) of the own key */
    tn_rev fence;         /* the fence as it stands now, when MOVED or after leave_fenced */
    bytes before;         /* whom to wait for; empty = nobody seen. Borrowed from the answer, as is below */
    enum queue_wait wait; /* what for */
    int64_t taken, room;  /* (ROOM) the weights before it, and what they have to come down to */
    bool mixed;           /* (ROOM) they state different limits: any that goes may make room */
    bool look_at_all;     /* the newest keys do not show whom to wait for, and there are more: verify with `all` */
    bytes below;          /* a key of a longer name that begins with this path; empty = none seen */
    bytes value;          /* (proclaim, MOVED) what the own key holds */
    bool better;          /* (verify, seeks) one with a greater preference waits behind; of the first QUEUE_RANKS_MAX */
    int64_t better_ttl_s; /* the longest TTL of those, as far as they say; bounded (rank.h) */
};

/* What an answer to the request of the same name means; touched: queue_touch was called on it. TENURE_EPROTOCOL when it cannot be an answer to it. */
int queue_entered(const struct queue *q, const struct txn_resp *r, bool only_first, struct queue_view *ret,
                  struct tenure_error *err) MUST_USE;
int queue_verified(const struct queue *q, tn_rev create, bool touched, const struct txn_resp *r, struct queue_view *ret,
                   struct tenure_error *err) MUST_USE;
int queue_left_fenced(const struct queue *q, const struct txn_resp *r, struct queue_view *ret, struct tenure_error *err)
    MUST_USE;
/* Whether a request to leave with queue_leave_record was refused although the own key stands at `create`. */
bool queue_stands(const struct queue *q, tn_rev create, const struct txn_resp *r);
int queue_proclaimed(const struct queue *q, tn_rev create, const struct txn_resp *r, struct queue_view *ret,
                     struct tenure_error *err) MUST_USE;

#endif
