/* What the files of core share: the core, a connection, a call. Each file owns one story and the fields named for it:
 *
 *     core.c      making, freeing, the turn, deadlines of the loop, numbers, shutdown
 *     conn.c      connections: accept, feed, output, backpressure, dropping slow peers
 *     dispatch.c  from a path to a service's function; unknown ones
 *     call.c      one call: replies, errors, ends
 *     deadline.c  grpc-timeout
 *     gate.c      replies that wait until what they have seen is durable
 *     journal.c   batches for the log and their outcomes; whether writes are taken at all
 *     prompt.c    who answers an event by a write at once
 *     numbers.c   what others ask: health, the clock of patience
 *     expiry.c    leases that ran out
 *     compaction.c  automatic compaction, trimming in slices
 *     task.c      work for one call, in slices
 *     waiter.c    calls that wait for their turn in the queue of a name
 *     watching.h  watch streams: svc_watch.c, fanout.c, progress.c
 *     auth.h      who makes a call and what that one may do
 *     token.h     simple tokens
 *     source.h    a copy of another's keys: what is answered here, what is sent on, who may read
 *     known.h     tokens that its source gave out
 *     login.c     passwords that are being hashed or checked, and what is done then
 *     svc_*.c     one service each
 */
#ifndef CORE_STATE_H
#define CORE_STATE_H

#include "api/etcd_error.h"
#include "base/arena.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "core/core.h"
#include "core/doomed.h"
#include "core/known.h"
#include "core/token.h"
#include "store/store.h"
#include "wire/codec.h"
#include "wire/h2.h"

#define CORE_TURN_MS_MAX     500  /* the driver is asked back at the latest then, so that a stop is noticed */
#define CORE_STALL_MS        100  /* later than asked by more: the process was held up */
#define CORE_PROBE_MS        1000 /* on a full disk: how often a write is tried */
#define CORE_STORAGE_VERSION "3.7.0"
#define CORE_RAFT_TERM       2 /* one server is always the leader of one term; clients refuse 0 */

struct core_method;
struct snapshot_stream;
struct watch_stream;
struct task;
struct waiter;

/* ---- the gate (gate.c) ---- */

enum held_kind {
    HELD_REPLY,     /* the one message of a unary call, then OK */
    HELD_ERROR,     /* ends the call */
    HELD_ENTER,     /* no message yet: the first transaction of a call that waits for its turn */
    HELD_KEEPALIVE, /* a message of a keepalive stream; asked again when what it saw is undone */
};

#define HELD_SMALL 64

/* A reply under the gate. Owner: the call (embedded for a unary one, else allocated). */
struct held {
    struct list link; /* in gate.held, by seq; or in compaction.physical */
    struct list in_call;
    struct core_call *call;
    tn_seq seq;
    enum held_kind kind;
    enum etcd_error error;
    tn_lease lease; /* of a keepalive; or just granted, to be forgotten when undone */
    bool physical;  /* then waits for trimming as well */
    size_t len;
    uint8_t *large; /* when longer than small */
    uint8_t small[HELD_SMALL];
};

struct gate {
    struct list held;
    size_t bytes;
};

/* ---- calls (call.c) ---- */

#define METHODS_MAX 96

/* What was done by one method; all that ends is in handled, by status. */
struct method_counts {
    uint64_t started, received, sent;
    uint64_t handled[CORE_STATUSES];
    uint64_t took[CORE_TIMES + 1], took_ms; /* with time_calls */
};

struct core_call {
    struct core *core;
    struct core_conn *conn;
    struct h2_stream *stream; /* NULL never: the call dies with it */
    const struct core_method *method;
    struct method_counts *counts; /* of the method, in core */
    tn_ms begun_at;
    struct list in_conn;
    struct heap_node deadline; /* in core.deadlines; outside = none */
    struct held reply;         /* of a unary call */
    struct list held;          /* all its entries in the gate */
    bool asked;                /* a unary call has had its message */
    bool watches_health;       /* a health stream of the whole server */
    bool ended;                /* its status is queued: nothing more is sent */
    bool half_closed;          /* a keepalive stream ends when its last reply is out */
    struct parked *parked;     /* waits for room on the connection */
    struct watch_stream *watch;
    struct task *task; /* work in slices */
    struct snapshot_stream *snapshot;
    struct login *login; /* waits for a password to be hashed or checked */
    uint8_t *token;      /* of its metadata; NULL = none */
    size_t token_len;
    bool by_gateway;       /* then the certificate is not its own */
    struct waiter *waiter; /* waits for its turn */
    struct list forwards;  /* sent on to the source, or waits for its revision (source.c) */
};

/* ---- connections (conn.c) ---- */

/* Whether it writes as soon as it is told something (prompt.c). */
struct prompt {
    struct list in_expected; /* in core.expected */
    tn_ms told_at;
    int quick; /* so often in a row; below 0: so often before that counts again */
    bool told; /* and has not written since */
};

struct core_conn {
    struct core *core;
    struct h2_conn *h2;
    void *user;
    struct list in_core, in_dirty; /* in core.dirty or core.patient */
    struct list calls;
    struct list blocked; /* watch streams that wait for room */
    struct list waiting; /* tasks that wait for room */
    struct list parked;  /* requests that wait for room, oldest first */
    size_t parked_bytes;
    uint64_t fed;             /* bytes, all in all */
    uint64_t heard;           /* fed, when it was last looked at */
    tn_ms heard_at;           /* when that was found to have grown; both without held_up_ms */
    bool pinged;              /* since then */
    tn_ms opened_at, took_at; /* when the driver last took output, or there was none; both without held_up_ms */
    bool broken;              /* its peer broke the protocol: a last GOAWAY, then the end */
    bool is_patient;          /* dirty, but nobody waits for that */
    bool finished;            /* given up */
    struct prompt prompt;
    char peer[64];
    char *cert_user; /* of its certificate; NULL = none */
    size_t cert_user_len;
};

/* ---- the log (journal.c) ---- */

enum writing {
    WRITING_ON,
    WRITING_FULL, /* the disk had no room: one try a second */
    WRITING_OFF   /* the disk failed: read only until restarted */
};

/* What a write does to the disk: on a full one only those that free room in the end are always tried. */
enum write_kind { WRITE_GROWS, WRITE_FREES };

struct journal {
    enum writing writing;
    tn_ms probe_at, free_probe_at; /* when full: the next try of each kind */
    bool ballast_out;              /* what room there is belongs to writes that free room */
    bool frees_planned;            /* among what is not durable yet */
    bool wants_room;
    bool in_flight;
    tn_seq in_flight_seq;
    const struct record *rows;
    size_t n_rows;
    size_t n_deletes_sent;
    size_t commands;     /* planned and not in a batch yet */
    tn_seq planned;      /* the newest one counted */
    struct map doubtful; /* leases whose revoke may or may not be applied: never renewed again */
    bool all_doubtful;
};

/* ---- compaction (compaction.c) ---- */

#define DELETES_MAX 4096

struct compaction {
    tn_rev compacted;        /* the durable one, as last seen */
    bool moved;              /* it did, and nothing was trimmed since */
    tn_ms next_check;        /* of the automatic policy */
    tn_rev asked;            /* by a client, last */
    bool finished;           /* nothing of earlier ones was left to do at the end of the last turn */
    struct store_hash *hash; /* of the newest one, under way */
    struct list physical;    /* held replies that wait for the trim */
    size_t n_sent;           /* deletes of the last batch */
    struct doomed doomed;    /* trimmed from memory, still in the log: these, */
    size_t n_deletes;        /* and those that go with the next batches, lowest first */
    tn_seq deletes[DELETES_MAX];
};

/* ---- fan-out and progress (fanout.c, progress.c) ---- */

/* One event encoded once for all who want it in the same form. */
struct shared_event {
    struct blob *form[2]; /* without and with prev_kv */
};

struct fanout {
    bool more; /* the last slice left something */
    tn_rev revision;
    struct shared_event *shared; /* of that revision, by ordinal */
    size_t n_shared, cap_shared;
    struct h2_part *parts;
    size_t cap_parts;
    struct buf encoded; /* events that are not shared */
};

/* ---- snapshots (svc_snapshot.c) ---- */

struct snapshots {
    struct list waiting, sending;
    struct snapshot_stream *maker; /* for whom one is being made; NULL: the call has ended, or */
    bool making;                   /* none is */
    tn_ms calm_at;                 /* the next one may be begun then, whatever waits to be deleted */
    size_t n;                      /* streams */
};

/* ---- queues of locks and elections (waiter.c) ---- */

struct defragment {
    struct list waiting; /* tasks of calls */
    bool under_way;
};

struct queue {
    struct list due;     /* waiters that have to look */
    struct list leaving; /* keys of calls that are no more: to be removed */
    struct list left;    /* the same, planned, by sequence */
    tn_ms retry_at;
};

/* ---- a copy of another's keys (source.c) ---- */

/* The source had that revision at some time after `at`. */
struct proof {
    tn_rev revision;
    tn_ms at;
};

struct source {
    struct list waiting;            /* reads, oldest first */
    uint64_t round;                 /* the newest one that was begun */
    struct proof pending, newest;   /* not reached by the copy yet; revision 0 = none */
    tn_ms proved_at;                /* the copy has all that was there then; 0 = not known */
    bool users_known, has_revision; /* of a source that may have users; has_revision: see core_follow_users */
    tn_ms users_at;                 /* when they were known to be those last */
    struct known_set known;
};

struct core {
    struct core_config config; /* with defaults filled in */
    struct store *store;
    struct response_header header; /* ids and term; the revision of each reply is its own */
    tn_ms now, asked;              /* asked: the deadline given to the driver */
    bool turned, stopping;

    struct list conns;
    struct list dirty, patient; /* conns with something to write; those that may wait for the others */
    struct list expected;       /* prompts of those whose write is expected, the one told first in front */
    size_t n_conns, n_calls;
    struct method_counts counts[METHODS_MAX]; /* in the order of dispatch.c's services */
    size_t watch_bytes;                       /* of all watches that are alive */
    uint64_t calls_total, dropped_total, events_total, writes_failed_total;
    uint64_t fed_before; /* bytes, by connections that are gone */
    tn_ms next_conn_check;
    int64_t held_up_ms; /* all in all: that long peers waited for us */

    struct heap deadlines; /* of calls */
    struct gate gate;
    struct journal journal;
    struct compaction compaction;
    struct fanout fanout;
    struct snapshots snapshots;
    struct heap notify;   /* watches with progress_notify, by when each may be due */
    struct list progress; /* watch streams that were asked for progress while behind */
    struct list tasks;    /* those that can go on */
    struct queue queue;
    struct defragment defragment;
    struct source source;
    bool expiry_more;
    int64_t file_bytes, file_in_use;

    struct tokens tokens;
    struct list logins; /* passwords under way */
    size_t n_logins;
    uint64_t auth_swept; /* store_auth_changes when all watches were looked at */
    tn_ms auth_sweep_at; /* not again before then */

    struct arena arena; /* of one request */
    struct buf out;     /* its encoded reply */
};

/* core.c */
/* The longest message: a request, and what gRPC may add to it. */
static inline uint32_t core_message_max(const struct core *c)
{
    return c->config.request_bytes_max + (512 << 10);
}
/* Time only goes on: within a turn later input may bring a later time than the turn's own. */
void core_clock(struct core *c, tn_ms now);
/* Empties arena and out for the next request. */
void core_scratch(struct core *c);

/* conn.c */
/* Puts a request aside until replies have room; answers false when too many wait already. */
bool conn_park(struct core_call *call, bytes message) MUST_USE;
void conn_unpark(struct core_call *call);
void conn_touch(struct core_conn *conn);       /* has something to write */
void conn_touch_first(struct core_conn *conn); /* and is to be written before all others */
/* And nobody waits for it: it may go along with what comes next, a commit later. */
void conn_touch_patiently(struct core_conn *conn);
void conn_check_all(struct core *c, tn_ms now);
bool conn_is_full(const struct core_conn *conn);

/* prompt.c */
void prompt_init(struct core_conn *conn);
void prompt_told(struct core_conn *conn);  /* an event */
void prompt_wrote(struct core_conn *conn); /* or tried to */

/* deadline.c */
int deadline_start(struct core_call *call, int64_t timeout_ms, tn_ms now) MUST_USE;
void deadline_stop(struct core_call *call);
void deadline_run(struct core *c, tn_ms now);

/* gate.c */
void gate_init(struct gate *g);
bool gate_is_full(const struct core *c);
bool gate_passes(const struct core *c, const struct core_call *call, tn_seq seq);
/* Holds what is in core.out (kinds that carry a message) until seq is durable. 0 or TENURE_ENOMEM. */
int gate_hold(struct core_call *call, struct held *h, enum held_kind kind, tn_seq seq) MUST_USE;
void gate_drop(struct held *h);
void gate_drop_all(struct core_call *call);
/* Lets out everything that is durable. */
void gate_open(struct core *c, tn_ms now);
/* Ends what saw the undone tail: error tells which, from an entry's sequence. */
void gate_undo(struct core *c, enum etcd_error (*error)(const struct core *c, tn_seq seq), tn_ms now);
void gate_deliver(struct held *h);

/* journal.c */
void journal_begin(struct core *c);
/* Counts what the last command planned. */
void journal_planned(struct core *c, enum write_kind kind);
/* ETCD_OK, or why a write of that kind is not taken now. */
enum etcd_error journal_refuses(struct core *c, enum write_kind kind, tn_ms now);
/* When a write of that kind may be tried; TN_MS_NEVER = never again. */
tn_ms journal_ready_at(const struct core *c, enum write_kind kind);
/* Whether the end of that lease may be on disk without our knowing. */
bool journal_doubts(const struct core *c, tn_lease id);
void journal_fini(struct core *c);

/* expiry.c */
void expiry_run(struct core *c, tn_ms now);
tn_ms expiry_deadline(const struct core *c);

/* source.c */
void source_init(struct core *c);
void source_fini(struct core *c);
void source_run(struct core *c, tn_ms now);
tn_ms source_deadline(const struct core *c);
/* The call ends. */
void source_forget(struct core_call *call);
/* Whether the call's token is known to be that user's. */
bool source_knows(struct core_call *call, bytes *ret_name) MUST_USE;
/* source_part.c: whether all keys of the range are here. For watches: an empty key is the first one. */
bool source_holds(const struct core *c, struct key_range range) MUST_USE;
/* What is said of other keys. Answers out. */
const char *source_not_held(const struct core *c, char *out, size_t size);
#define SOURCE_TEXT_MAX 512
/* Whether signed tokens may tell their user themselves. */
bool source_believes_signatures(const struct core *c);

/* svc_snapshot.c */
void snapshots_init(struct snapshots *s);
void snapshots_run(struct core *c);
tn_ms snapshots_deadline(const struct core *c);
/* While one is being made, no row of the log is deleted. */
bool snapshots_hold_deletes(const struct core *c);
void snapshot_stream_free(struct snapshot_stream *st);
/* Its stream has room again. */
void snapshot_drained(struct core_call *call);

/* compaction.c */
void compaction_init(struct compaction *k);
void compaction_fini(struct compaction *k);
void compaction_run(struct core *c, tn_ms now);
void compaction_asked(struct core *c, tn_rev revision); /* by a client; planned */
void compaction_committed(struct core *c);              /* after each commit */
/* How many deletes go along with a batch of n_rows. */
size_t compaction_share(const struct core *c, size_t n_rows);
void compaction_sent(struct core *c, size_t n_deletes);
/* Nothing is written any more. */
void compaction_give_up(struct core *c);
bool compaction_is_done(const struct core *c);
tn_ms compaction_deadline(const struct core *c);

#endif
