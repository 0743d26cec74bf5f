/* The test kit's world: clients, one server, a network, a disk and a clock in one thread, moved from event to event. The engines
 * are the real ones (client, recipes and src/lib above, store and core beside); only sockets, disk and time are made up here.
 *
 *   testkit.c   the kit and its clock          peer.c     what stands below a handle (lib/kit.h)
 *   net.c       connections                    server.c   store and core, their start and their crash
 *   fault.c     what a test breaks             disk.c     the log, in memory
 *   look.c      what a test reads and writes by itself
 *
 * Nothing here reads a clock, opens anything or draws from anything but kit.rng, so a seed and the same calls give the same run.
 */
#ifndef TESTKIT_KIT_H
#define TESTKIT_KIT_H

#include <tenure/testkit.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/rng.h"
#include "core/core.h"
#include "lib/kit.h"
#include "store/store.h"

#define KIT_START_MS   1000000    /* what the clock shows in the beginning: no deadline lies below 0 */
#define KIT_ROUNDS_MAX 10000      /* at one time; behind them the clock goes on by itself */
#define KIT_PIPE_MAX   (64 << 20) /* bytes under way in one direction; past it the connection breaks */
#define KIT_FAR_MS     (INT64_C(1) << 50)

/* ---- disk.c ---- */

struct disk_row {
    struct record record; /* its bytes are owned; kind 0 = deleted by a compaction */
};
struct disk_lease {
    tn_lease id;
    tn_ms deadline;
};
struct disk {
    struct disk_row *rows; /* by sequence, from 1 on */
    size_t n, cap;
    struct record *staged; /* the batch under way */
    size_t n_staged;
    tn_seq *deletes;
    size_t n_deletes;
    bool busy;
    tn_ms done_at;
    bool failed; /* the batch will not be applied */
    enum tenure_testkit_disk mode;
    struct disk_lease *leases;
    size_t n_leases, cap_leases;
};

void disk_submit(struct disk *d, const struct core_batch *b, tn_ms done_at);
/* Ends the batch under way. */
enum core_outcome disk_finish(struct disk *d);
/* Whether there is one that has ended. */
bool disk_done(const struct disk *d, tn_ms now);
tn_seq disk_seq(const struct disk *d);
/* A crash: the batch under way is lost. */
void disk_drop(struct disk *d);
void disk_lease_store(void *user, tn_lease id, tn_ms deadline);
void disk_lease_forget(void *user, tn_lease id);
void disk_fini(struct disk *d);

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
    size_t bytes;
};

/* A connection; freed when both sides have closed it. */
struct link {
    struct list all;
    tenure_testkit *kit;
    struct peer *peer;
    uint32_t conn;
    bool is_up;
    tn_ms connect_at;
    bool client_open, server_open;
    tn_ms client_end_at, server_end_at; /* when that side learns that the other is gone */
    bool is_broken;                     /* nothing passes any more */
    tn_seq mute_seq;                    /* not 0: what the server says is lost, and when this is durable the rest */
    struct core_conn *core;
    struct pipe up, down;
};

int net_connect(struct peer *p, uint32_t conn);
struct link *net_find(const struct peer *p, uint32_t conn);
void net_send(struct link *l, bool up, bytes data);
void net_client_closed(struct link *l);
/* The server's side is gone (core_remove was called). */
void net_server_closed(struct link *l);
/* Both sides learn at once that it broke, what is under way is lost. */
void net_break(struct link *l);
/* When something is due for the peer, and for the server; TN_MS_NEVER. */
tn_ms net_next_for_peer(const struct link *l);
tn_ms net_next_for_server(const struct link *l);
/* Delivers what is due; answers whether there was anything. */
bool net_deliver_to_peer(struct peer *p);
void net_deliver_to_server(tenure_testkit *kit);
/* Frees what both sides have closed; all: everything. */
void net_sweep(tenure_testkit *kit, bool all);

/* ---- server.c ---- */

int server_start(tenure_testkit *kit, struct tenure_error *err) MUST_USE;
void server_crash(tenure_testkit *kit);
void server_run(tenure_testkit *kit);
tn_ms server_next(const tenure_testkit *kit);

/* ---- peer.c ---- */

/* A client's process. It stays until the kit goes. */
struct peer {
    struct list all;
    tenure_testkit *kit;
    tenure_client *handle; /* NULL = closed */
    int number;
    bool wants_turn;
    tn_ms timer_at;
    bool is_stopped, is_killed, is_closing;
    bool is_cut; /* from the server, until it heals */
    bool loses_reply;
    tn_ms delay_ms;
};

struct peer *peer_find(const tenure_testkit *kit, const tenure_client *c);
/* It gets turns. */
bool peer_runs(const struct peer *p);
void peer_run(struct peer *p);
tn_ms peer_next(const struct peer *p);
/* tenure_open opens none of this kit's any more. */
void peers_detach(const tenure_testkit *kit);

/* ---- testkit.c ---- */

struct tenure_testkit {
    struct rng rng;
    tn_ms now;
    int64_t wall_offset;
    tn_ms delay_ms, sync_ms, patience_ms, wait_until;
    void (*trace)(void *user, const char *line);
    void *trace_user;
    bool in_step;
    unsigned rounds; /* at this time */
    struct list peers, links;
    int n_peers;
    struct disk disk;
    struct store *store; /* NULL = the server is down */
    struct core *core;
    bool server_wants_turn;
};

/* One step to the next event, which comes at `limit` at the latest. False: there is none up to then, and it is that time. */
bool kit_step(tenure_testkit *kit, tn_ms limit);
/* The server has something to do that no event says. */
void kit_wake_server(tenure_testkit *kit);

void kit_trace(const tenure_testkit *kit, const char *fmt, ...) PRINTF_LIKE(2, 3);
#define KIT_TRACE(kit, ...)                                                                                            \
    do {                                                                                                               \
        if ((kit)->trace)                                                                                              \
            kit_trace((kit), __VA_ARGS__);                                                                             \
    } while (0)

#endif
