/* The simulated world: clients, one server, a network, a disk and a clock, all from one seed, in one thread.
 *
 * Everything that decides anything draws from world.rng, and time moves only from event to event, so a seed replays the
 * same run byte for byte: `sim --seed N --trace`. The engines under test are the real ones (store, core, wire, client,
 * recipes); only sockets, the log on disk and the clock are made up here.
 *
 * The truth is `history`: every row that became durable, kept for good. Checkers compare what clients were told with it
 * and name the broken invariant (docs/invariants.md) in world_fail. Memory: a run that runs out of memory is aborted.
 */
#ifndef SIM_WORLD_H
#define SIM_WORLD_H

#include "base/buf.h"
#include "base/list.h"
#include "base/rng.h"
#include "client/client.h"
#include "core/core.h"
#include "recipes/election.h"
#include "recipes/exact.h"
#include "recipes/follow.h"
#include "recipes/lock.h"
#include "store/store.h"

#define CLIENTS_MAX    5
#define ENDPOINTS      2 /* two ways to the one server, which fail apart */
#define LOCK_NAME      "x"
#define LOCK_KEYS      "/locks/x/"
#define ELECTION_NAME  "e"
#define ELECTION_KEYS  "/election/e/"
#define SHARE_RW_KEYS  "/locks/rw/"
#define SHARE_SEM_KEYS "/locks/sem/"
#define GATE_NAME      "d"
#define GATE_KEYS      "/locks/d/"
#define GATE_RECORD    "/locks/d\0delay"
#define PLACES         2

enum { PART_MEMORY, PART_LINES, PART_KEEPER, PART_COPIES, PART_CANDIDATES, PARTS }; /* see part.h */

struct world;

/* Rules that a test breaks on purpose, to show that the checkers find it. */
struct sim_broken {
    bool guess, skip_verify, skip_gate, renew_from_receipt, blind_retry, skip_rule, herd, skip_absent;
    bool unmarked_put, unguarded_take, unfenced_open;
    bool aged_from_receipt;                                            /* copies.c */
    bool stm_unguarded, stm_unfenced, stm_newest, stm_guess, id_guess; /* memory.c */
    bool early_take, unmarked_hold, blind_pass, uncounted_arrival;     /* lines.c */
    bool unguarded_presence, unhealed, unguarded_claim, lost_claim;    /* keeper.c */
    bool proud;                                                        /* candidates.c */
    bool skip_delay, open_gate, one_level, no_proof, any_token, unguarded_write, unordered, keep_parts, no_list;
    bool lease_token, hold_on, no_undo, leave_all, unguarded_takeover, late_calls, no_rest, late_guardian;
};

struct sim_config {
    uint64_t seed;
    tn_ms length_ms; /* of the part with faults; 0 = 30 s */
    bool trace;
    bool values;    /* additions to a counter, too */
    bool share;     /* readers, writers and permits too */
    bool jobs;      /* queues of items and double barriers too */
    bool locks;     /* locks of all kinds, and instead of calls and watches: see locks.h */
    unsigned parts; /* bits of PART_…: those, and nothing else */
    bool calm;      /* nothing fails and nobody gives up: for counting; and only those */
    struct sim_broken broken;
};

struct sim_result {
    bool failed;
    char text[512]; /* "M1: …" */
    uint64_t events, calls, acquisitions, revisions, looks;
    uint64_t resyncs;            /* but the first of each watch */
    uint64_t refused;            /* sessions whose loss was told by that */
    uint64_t resumed, gated;     /* places taken up after a restart; sessions lost because a program hung */
    uint64_t exact, exact_maybe; /* exact transactions that ended, and those of them that nobody answered in time */
    uint64_t anomalies[4];       /* what a level of transactions does not rule out, where it was seen: see memory.c */
};

/* Runs one world to its end. */
void sim_run(const struct sim_config *config, struct sim_result *ret);

/* ---- history.c ---- */
struct row {
    tn_rev main;
    int64_t sub;
    bool tombstone;
    bytes key, value; /* owned, with a 0 behind them */
    tn_rev create_revision;
    int64_t version;
    tn_lease lease;
};

#define QUEUES 3
struct owner { /* a key that was, at some revision, the lowest under a queue's prefix */
    tn_rev token;
    tn_rev from;
};

struct history {
    struct row *rows;
    size_t n, cap;
    tn_rev revision;
    struct owner *owners[QUEUES]; /* of the lock, of the election and of the lock with a delay */
    size_t n_owners[QUEUES];
};

void history_add(struct world *w, const struct record *r);
/* The newest row of key at or below revision; NULL = none. Tombstones are rows. */
const struct row *history_at(const struct history *h, bytes key, tn_rev revision);
/* The first row at index >= from whose key begins with prefix; h->n when there is none. */
size_t history_next(const struct history *h, size_t from, const char *prefix);
bool history_has_value(const struct history *h, bytes value, size_t *ret_times);
/* The lowest create_revision of the keys under prefix, 0 when there is none. */
tn_rev history_lowest(const struct history *h, const char *prefix);
bool history_was_owner(const struct history *h, int queue, tn_rev token);
size_t history_live(const struct history *h, const char *prefix);
void history_free(struct history *h);

/* ---- disk.c ---- */
struct disk_row {
    struct record record; /* deep copy */
    bool deleted;
};
struct disk_lease {
    tn_lease id;
    tn_ms deadline;
};
struct disk {
    struct disk_row *rows;
    size_t n, cap;
    struct record *staged; /* the batch under way, deep copies */
    size_t n_staged;
    tn_seq *deletes;
    size_t n_deletes;
    bool busy;
    tn_ms done_at;
    enum core_outcome outcome;
    tn_ms full_until;
    struct disk_lease *leases;
    size_t n_leases, cap_leases;
};

void disk_submit(struct world *w, const struct core_batch *b);
/* Finishes the batch under way: rows become durable by its outcome; answers the last durable sequence. */
tn_seq disk_finish(struct world *w);
/* The server's process died: a batch under way lands whole or not at all. */
void disk_crash(struct world *w);
void disk_lease_store(void *user, tn_lease id, tn_ms deadline);
void disk_lease_forget(void *user, tn_lease id);
bool disk_lease_load(const struct disk *d, tn_lease id, tn_ms *ret);
tn_seq disk_seq(const struct disk *d);
void disk_free(struct disk *d);

/* ---- net.c ---- */
struct segment {
    struct segment *next;
    tn_ms at;
    size_t len;
    uint8_t data[];
};
struct pipe {
    struct segment *first, *last;
    tn_ms last_at;
};
enum link_state { LINK_CONNECTING, LINK_UP };
struct link {
    struct list all;
    struct world *world;
    int client;
    unsigned incarnation; /* of the client's process */
    uint32_t conn;
    size_t endpoint;
    enum link_state state;
    tn_ms connect_at;
    bool client_open, server_open;
    bool broken;                        /* by a reset: nothing more passes, even before both sides have learned of it */
    tn_ms client_end_at, server_end_at; /* when that side learns that the other is gone */
    struct core_conn *core;
    struct pipe up, down;
};

void net_connect(struct world *w, int client, uint32_t conn, size_t endpoint);
void net_send(struct link *l, bool up, bytes data);
struct link *net_find(struct world *w, int client, uint32_t conn);
/* That side closed its socket. */
void net_client_closed(struct link *l);
void net_server_closed(struct link *l);
/* What goes from this client to this endpoint stands still until up_until, what comes back until down_until. */
void net_cut(struct world *w, int client, size_t endpoint, tn_ms up_until, tn_ms down_until);
/* Every connection of this client (or, -1, of all) breaks, each side noticing in its own time. */
void net_reset(struct world *w, int client);
tn_ms net_next(struct world *w);
void net_deliver(struct world *w);
void net_free(struct world *w);

/* ---- server.c ---- */
struct server {
    struct store *store;
    struct core *core;
    bool up;
    tn_ms up_since, restart_at, paused_until, stalled_at;
    unsigned starts;
};
void server_start(struct world *w);
void server_crash(struct world *w, tn_ms down_ms);
struct core_conn *server_accept(struct link *l);
void server_turn(struct world *w);
/* Somebody turns authentication on: who has no user is refused, from now on (or no more). Whether that is durable. */
bool server_refuse(struct world *w, bool on);
tn_ms server_next(const struct world *w);

/* ---- actor.c: what a client's process does ---- */
struct op {
    int kind;   /* 0 put, 1 get, 2 txn, 3 delete */
    bool exact; /* by a transaction with a mark */
    char key[16];
    char value[32];
    tn_rev floor; /* the newest revision anybody had been told of when it began */
    tn_rev compare_mod;
    tn_ms until; /* when it must have ended */
    struct actor *actor;
    struct op *next;
};

/* A place in a shared queue: see share.c. */
struct place {
    struct actor *actor;
    int number, queue;
    struct rule rule;
    struct lock *lock;
    bool acquiring, done, broken_into;
    tn_ms next_at, release_at, cancel_at, share_at;
};

struct told_key {
    char key[16], value[32];
    tn_rev mod;
};

struct actor {
    struct world *world;
    int index;
    unsigned incarnation;
    struct client *client;
    struct exact *exact;
    tn_ms paused_until;
    tn_ms next_op_at, next_lock_at;
    int ops_running;
    tn_ms second; /* that connections are counted in (C4) */
    unsigned connects;

    struct client_watch *watch;
    bool watch_placed; /* position says where it stands */
    tn_rev watch_from; /* as asked: 0 = from now on */
    size_t watch_row;  /* index in history of the next row that it must get */
    bool watch_prev_kv;
    tn_ms watch_restart_at;

    struct follow *follow;
    struct told_key told_keys[8]; /* what the owner of `follow` was told that there is */
    tn_ms resync_since;           /* TN_MS_NEVER = in sync */

    struct session *session;
    bool session_ended, session_closing;
    struct lock *lock;
    bool lock_done, lock_acquiring;
    bool broken_into; /* somebody deleted the key of this acquisition by hand */
    tn_ms release_at, cancel_at;

    struct election *election;
    bool election_stopped;
    tn_ms election_stop_at, election_start_at;

    struct jobs *jobs;
    struct locks *locks;

    void *parts[PARTS];

    struct values *values; /* NULL = none: see values.c */
    struct session *share_session;
    bool share_session_ended;
    struct place places[PLACES];
};

void actor_start(struct actor *a);
/* The process is gone at once: nothing is closed properly. */
void actor_kill(struct actor *a);
void actor_turn(struct actor *a);
tn_ms actor_next(const struct actor *a);
/* Stops making new work and closes what it holds. */
void actor_finish(struct actor *a);
bool actor_idle(const struct actor *a);
bool actor_holds_lock(const struct actor *a);
bool actor_leads(const struct actor *a);
/* L2: a lease ended at the server while its owner still believes in it. */
void actor_lease_ended(struct actor *a, tn_lease id);
/* M5: a key went while its owner holds by it, and nobody deleted it by hand. */
void actor_key_deleted(struct actor *a, bytes key);
void actor_check_watch_end(struct actor *a);
/* W16: what a watch that resyncs has told is what there is. */
void actor_check_follow(struct actor *a);

/* ---- locks.c ---- */
void locks_start(struct actor *a);
void locks_tick(struct actor *a);
void locks_step(struct actor *a);
tn_ms locks_next(const struct actor *a);
void locks_kill(struct actor *a); /* its sessions are gone */
void locks_free(struct actor *a);
void locks_finish(struct actor *a);
bool locks_idle(const struct actor *a);
void locks_lease_ended(struct actor *a, tn_lease id);
void locks_key_deleted(struct actor *a, bytes key);
/* The key of one of them, and what is to be said of its place when somebody deletes it. */
bytes locks_key(struct actor *a, bool **ret_broken_into);
void locks_row(struct world *w, const struct record *r);
void check_locks(struct world *w);
void check_locks_end(struct world *w);
tn_ms locks_world_next(const struct world *w);
void locks_truth_free(struct world *w);
struct actor *locks_holder(struct world *w); /* of the lock with a delay; NULL = nobody */

/* ---- follow.c ---- */
void actor_start_follow(struct actor *a);

/* ---- jobs.c ---- */
void jobs_start(struct actor *a);
void jobs_tick(struct actor *a);
void jobs_step(struct actor *a);
tn_ms jobs_next(const struct actor *a);
void jobs_kill(struct actor *a); /* its sessions are gone */
void jobs_free(struct actor *a);
void jobs_finish(struct actor *a);
bool jobs_idle(const struct actor *a);
void jobs_row(struct world *w, const struct record *r); /* Q1, Q2, B1 */
void check_jobs(struct world *w);                       /* Q3, C2 */
void jobs_truth_free(struct world *w);

/* ---- part.c ---- */
int part_named(const char *name); /* -1 = none */
void parts_begin(struct world *w);
void parts_end(struct world *w);
void parts_start(struct actor *a);
void parts_tick(struct actor *a);
void parts_step(struct actor *a);
tn_ms parts_next(const struct actor *a);
void parts_finish(struct actor *a);
bool parts_idle(const struct actor *a);
void parts_kill(struct actor *a); /* before the client goes */
void parts_free(struct actor *a);
void parts_row(struct world *w, const struct record *r);
void parts_check(struct world *w);
void parts_check_end(struct world *w);

/* ---- values.c ---- */
void values_start(struct actor *a);
void values_tick(struct actor *a);
void values_step(struct actor *a);
tn_ms values_next(const struct actor *a);
void values_kill(struct actor *a); /* before the client goes */
void values_free(struct actor *a);
bool values_idle(const struct actor *a);
void values_check(struct world *w); /* C1, at the end */

/* ---- share.c ---- */
void share_start(struct actor *a);
void share_step(struct actor *a);
tn_ms share_next(const struct actor *a);
void share_kill(struct actor *a); /* its session is gone */
void share_free(struct actor *a);
void share_finish(struct actor *a);
bool share_idle(const struct actor *a);
bytes share_key(const struct actor *a, int number);
void share_key_deleted(struct actor *a, bytes key);
void check_shares(struct world *w); /* M9 */
void check_herd(struct world *w);   /* M8 */

/* ---- world.c ---- */
struct world {
    struct sim_config config;
    struct rng rng;
    tn_ms now;
    bool finishing;
    struct history history;
    struct disk disk;
    struct list links;
    tn_ms cut_until[CLIENTS_MAX][ENDPOINTS][2]; /* up, down */
    struct server server;
    struct actor actors[CLIENTS_MAX];
    int n_actors;
    tn_ms fault_at;
    tn_ms refuse_until, refused_at; /* somebody turned authentication on, for a while; 0 = nobody does */
    tn_rev told;                    /* the newest revision that any finished call has shown */
    tn_rev last_token[QUEUES];
    tn_rev by_hand[CLIENTS_MAX]; /* the place of each that was last deleted by somebody else */
    struct jobs_truth *jobs_truth;
    void *part_truths[PARTS];
    struct locks_truth *locks_truth;
    int64_t additions, maybe_additions;
    tn_rev last_share[2], last_whole[2]; /* of the shared queues: of all, of those that took the whole */
    uint64_t next_value;
    struct op *refused; /* writes that were reported as not applied: looked for at the end */
    struct sim_result result;
};

#define SIM_TRACE(w, ...)                                                                                              \
    do {                                                                                                               \
        if ((w)->config.trace)                                                                                         \
            world_trace((w), __VA_ARGS__);                                                                             \
    } while (0)

void world_trace(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The first failure counts; the run ends at the next step. */
void world_fail(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void *sim_alloc(size_t size); /* zeroed; aborts instead of NULL */
void *sim_grow(void *p, size_t size);
bytes sim_copy(bytes s);       /* with a 0 behind it */
const char *sim_text(bytes s); /* the same, cut where it is long; until the next call */
bool sim_chance(struct world *w, unsigned percent);
tn_ms sim_between(struct world *w, tn_ms low, tn_ms high);

#endif
