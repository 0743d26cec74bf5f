/* A test kit: a server, clients, the network between them, the server's disk and the clock, in the test's own process and
 * thread. Nothing waits for real: the test moves the clock, a lease of ten seconds is lost in microseconds, and the same calls
 * with the same seed give the same run.
 *
 * A test links libtenure-testkit (pkg-config tenure-testkit) instead of libtenure: it is all of libtenure and the kit. What
 * tenure_testkit_client answers is an ordinary handle for everything in the other headers, on the kit's server and the kit's time.
 *
 *     callbacks  come from the functions here that move the world (tenure_testkit_run, _advance, _run_until), and from blocking calls
 *     blocking   calls move the world until they are answered, or until their deadline on the kit's clock. In a callback they answer
 *                TENURE_EINVALID. One without a deadline that nothing ends answers TENURE_ETIMEOUT when the kit's patience is over
 *     _start     forms move nothing: what they begin goes on when the world is moved. Nor do the functions that wait on a handle from
 *                tenure_open and begin on others (tenure_election_stop, tenure_cron_stop, tenure_presence_stop)
 *
 * The server is the code of `tenure serve` without its sockets, files and threads, the clients are the library's own code: what a
 * test sees is what a program sees. Without delay_ms and sync_ms a call needs no time at all on the kit's clock. Real time, real
 * sockets, and other processes are not seen; tenure_open still opens real handles, which know nothing of the kit, unless tenure_testkit_attach
 * was called.
 *
 * Thread: all that has to do with one kit, its handles included, one thread. Several kits live side by side. A callback may call
 * what does not move the world: faults, tenure_testkit_client, and what reads. A function that takes a handle does nothing for one
 * that is not this kit's, is closed, or is a namespace. What answers a code refuses NULL with TENURE_EINVALID, where it is not said to be fine.
 */
#ifndef TENURE_TESTKIT_H
#define TENURE_TESTKIT_H

#include <stdbool.h>

#include <tenure/client.h>
#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_testkit tenure_testkit;

struct tenure_testkit_options {
    size_t size;
    uint64_t seed;       /* of all that is drawn: lease ids, jitter of renewals and retries */
    int64_t wall_ms;     /* Unix time in the beginning; 0 = 2026-01-01 00:00 UTC */
    int64_t delay_ms;    /* of what a client sends, and of what it is sent; see tenure_testkit_delay */
    int64_t sync_ms;     /* that the disk takes to make a write durable */
    int64_t patience_ms; /* of a blocking call that has no deadline; 0 = 24 hours */
    /* A line for each thing that happens: connections, bytes with their checksum, faults. Equal runs give equal lines, in one
     * process: keys say which process their owner is. NULL = silent. */
    void (*trace)(void *user, const char *line);
    void *trace_user;
};

/* A kit with a server that is up, and nothing in it. options: NULL = defaults. Owned by the caller until tenure_testkit_free. NULL on
 * failure: TENURE_EINVALID, TENURE_EVERSION, TENURE_ENOMEM. */
tenure_testkit *tenure_testkit_new(const struct tenure_testkit_options *options, struct tenure_error *err);
/* Closes the handles that are still open, each at once, as tenure_close does where no server answers (what was begun ends with
 * TENURE_ECLOSED), and frees all. NULL is fine. Not from a callback. */
void tenure_testkit_free(tenure_testkit *kit);

/* A client's process: a handle whose servers are the kit's. options as for tenure_open; endpoints, certificates and the
 * environment mean nothing here. The caller closes it, by tenure_close (which moves the world until what it holds is released) or
 * tenure_close_start, or leaves it to tenure_testkit_free. NULL on failure: as tenure_open. */
tenure_client *tenure_testkit_client(tenure_testkit *kit, const struct tenure_options *options,
                                     struct tenure_error *err);
/* For a program that opens its handle by itself: from now on tenure_open in this thread answers tenure_testkit_client of this kit,
 * whatever endpoints it is given; NULL: real handles again, as from the kit's end on. tenure_open_uv and tenure_open_poll are as
 * they were. */
void tenure_testkit_attach(tenure_testkit *kit);
/* The handles of the kit that are open, in the order of their opening; NULL behind the last. */
tenure_client *tenure_testkit_handle(const tenure_testkit *kit, size_t index);

/* ---- time ---- */

/* Runs what is due until nothing more happens at this time; the clock stands. 0; TENURE_ELIMIT: it does not come to an end (a
 * completion that always starts anew, say); TENURE_EINVALID: in a callback. */
int tenure_testkit_run(tenure_testkit *kit);
/* The same for each moment of the next ms milliseconds at which anything is due, one after the other. 0; TENURE_EINVALID: in a
 * callback, or a time that is negative. */
int tenure_testkit_advance(tenure_testkit *kit, int64_t ms);
/* Moves the world, step by step, until is_so answers true, asked first and after each step. 0; TENURE_ETIMEOUT: it was not so
 * within max_ms; TENURE_EINVALID as tenure_testkit_advance. */
int tenure_testkit_run_until(tenure_testkit *kit, bool (*is_so)(void *user), void *user, int64_t max_ms);
/* Milliseconds since the kit was made, and Unix time, on the kit's clock. */
int64_t tenure_testkit_now_ms(const tenure_testkit *kit);
int64_t tenure_testkit_wall_ms(const tenure_testkit *kit);

/* ---- faults of the network ---- */

/* The client's connections break; both sides learn of it at once, what was under way is lost. It may connect again. */
void tenure_testkit_cut(tenure_testkit *kit, tenure_client *c);
/* From now on nothing passes between the client and the server, and nobody is told; until tenure_testkit_heal, when what is under way
 * goes on. */
void tenure_testkit_partition(tenure_testkit *kit, tenure_client *c);
void tenure_testkit_heal(tenure_testkit *kit, tenure_client *c);
/* What it sends and is sent from now on takes so long each way. */
void tenure_testkit_delay(tenure_testkit *kit, tenure_client *c, int64_t ms);
/* The client's next request that changes anything (a lease's grant as well) is carried out, and its connection breaks before the
 * answer: "maybe applied". */
void tenure_testkit_lose_reply(tenure_testkit *kit, tenure_client *c);

/* ---- faults of processes ---- */

/* As SIGSTOP and SIGCONT: it gets no turn and no callback comes while time goes on. Questions that do no I/O (tenure_lock_held)
 * answer as they would in the process at that time. */
void tenure_testkit_stop(tenure_testkit *kit, tenure_client *c);
void tenure_testkit_continue(tenure_testkit *kit, tenure_client *c);
/* As SIGKILL: its connections break, and it never gets a turn again; what it held stays until its leases run out. Its memory stays
 * until tenure_close or tenure_testkit_free, where what was begun ends with TENURE_ECLOSED. */
void tenure_testkit_kill(tenure_testkit *kit, tenure_client *c);

/* ---- faults of leases and of the server ---- */

/* The server ends that lease now, as if it had run out, and with it its keys. Who watches them learns of it when the world is moved;
 * a lock watches its key from 250 ms after its acquisition on. 0; TENURE_ENOTFOUND; TENURE_EUNAVAILABLE: it is down. */
int tenure_testkit_lose_lease(tenure_testkit *kit, int64_t lease);
/* The same for the leases of all sessions that the handle has now: under its locks, elections, queues… */
int tenure_testkit_lose_sessions(tenure_testkit *kit, tenure_client *c);

/* The server's process dies, and starts again: what was durable is there, and leases run on, with three seconds left at least
 * (or their TTL, if shorter). While it is down connections are refused. restart: both at once. 0, TENURE_ENOMEM. */
void tenure_testkit_server_down(tenure_testkit *kit);
int tenure_testkit_server_up(tenure_testkit *kit, struct tenure_error *err);
int tenure_testkit_restart(tenure_testkit *kit, struct tenure_error *err);

enum tenure_testkit_disk {
    TENURE_TESTKIT_DISK_WORKS = 0,
    TENURE_TESTKIT_DISK_FROZEN =
        1, /* nothing becomes durable: writes are not answered; lost if the server dies meanwhile */
    TENURE_TESTKIT_DISK_FULL = 2 /* writes are refused with TENURE_ENOSPACE */
};
/* From now on the disk is so. */
void tenure_testkit_disk(tenure_testkit *kit, enum tenure_testkit_disk mode);

/* ---- the store, past all clients ---- */

/* What is durable now. options as for tenure_get (prefix, limit, revision…), NULL = the one key. 0, and *ret is the caller's until
 * tenure_get_free; TENURE_EUNAVAILABLE: the server is down; else as tenure_get. Moves nothing. */
int tenure_testkit_get(tenure_testkit *kit, struct tenure_bytes key, const struct tenure_get_options *options,
                       struct tenure_get_result **ret, struct tenure_error *err);
/* Writes and deletes a key as somebody else would, at once; who watches it learns when the world is moved. lease: 0 = none. 0;
 * delete: TENURE_ENOTFOUND; TENURE_EUNAVAILABLE; else as tenure_put. */
int tenure_testkit_put(tenure_testkit *kit, struct tenure_bytes key, struct tenure_bytes value, int64_t lease,
                       struct tenure_error *err);
int tenure_testkit_delete(tenure_testkit *kit, struct tenure_bytes key, struct tenure_error *err);
/* Compacts up to that revision; 0 = the newest. TENURE_ECOMPACTED, TENURE_EFUTURE, TENURE_EUNAVAILABLE. */
int tenure_testkit_compact(tenure_testkit *kit, int64_t revision, struct tenure_error *err);
/* The newest durable revision; 0 while the server is down. */
int64_t tenure_testkit_revision(const tenure_testkit *kit);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
