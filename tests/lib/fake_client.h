/* A client engine and a server in one, for tests of what stands on client.h: the same functions, replaced when the test is
 * linked, with a small model of etcd's keys, leases and watches behind them and a network that loses what the test wants.
 * No bytes, no wire: a call is put into a queue of events in the order of time.
 *
 *   fake_begin();                               one world a test, on fixed memory: it never fails to allocate
 *   struct client *a = fake_client("A");        a process, with a connection of its own
 *   fake_add_ticker(a, deadline, tick, object); what its driver would tick
 *   fake_run(12000);                            time passes: requests arrive, timers fire, completions come
 *   fake_end();                                 fails the test when a watch, a keepalive or a call is left
 *
 * The turn of a process is the driver's: what arrived, then ticks, then completions. Requests take latency_ms there and
 * back again. A write is sent once and ends as "maybe" when its answer is lost; reads, and calls marked as repeatable, are
 * sent again until their deadline.
 */
#ifndef TESTS_LIB_FAKE_CLIENT_H
#define TESTS_LIB_FAKE_CLIENT_H

#include "client/client.h"

enum { FAKE_CALL_TIMEOUT_MS = 5000, FAKE_LATENCY_MS = 1, FAKE_LOST_MS = 20 };

void fake_begin(void);
void fake_end(void);
tn_ms fake_now(void);

struct client *fake_client(const char *name);
const char *fake_client_name(const struct client *c);
/* Its keys lie in a cluster of their own: from now on, all that it asks of keys is meant below that prefix. What it is answered, watch
 * events included, has the keys as they are. */
void fake_move_under(struct client *c, const char *prefix);
/* Its random numbers begin anew, from that seed. */
void fake_seed(struct client *c, uint64_t seed);

/* ---- time ---- */
typedef tn_ms (*fake_deadline)(const void *object);
typedef void (*fake_tick)(void *object, tn_ms now);
void fake_add_ticker(struct client *c, fake_deadline deadline, fake_tick tick, void *object);
void fake_remove_ticker(void *object);
/* Lets ms pass. */
void fake_run(tn_ms ms);
/* Lets time pass until the condition holds or ms have passed; answers whether it holds. */
bool fake_run_until(bool (*condition)(void *user), void *user, tn_ms ms);
/* Called after each moment in which anything happened. */
void fake_on_step(void (*on_step)(void *user), void *user);

/* ---- faults ---- */
void fake_cut(struct client *c, bool cut); /* nothing goes in or out; what is under way is lost */
void fake_slow_replies(struct client *c,
                       int64_t ms); /* answers to calls and renewals are so much longer on their way */
void fake_slow_watches(struct client *c, int64_t ms); /* watch events are so much longer on their way, in no hurry */
/* What client_keepalive_refusal answers, for all, until it is noted anew; code 0 = nothing. */
void fake_note_refusal(int code, const char *text);
void fake_stale_list(struct client *c);        /* the next range is answered by a server that knows nothing yet */
void fake_pause(struct client *c, bool pause); /* the process is stopped; what arrives waits */
bool fake_is_paused(const struct client *c);

enum fake_fault {
    FAKE_FINE,
    FAKE_LOSE_REQUEST, /* it never arrives; the client learns that the connection broke */
    FAKE_LOSE_REPLY,   /* carried out; the client learns that the connection broke */
    FAKE_LATE,         /* the connection broke, and the request arrives FAKE_LATE_MS later all the same */
    FAKE_OVERTAKEN,    /* what is sent after it within FAKE_BEHIND_MS arrives before it */
    FAKE_SLOW,         /* its answer is overtaken by those that leave within FAKE_SLOW_MS after it */
    FAKE_UNAVAILABLE,  /* refused, not carried out */
    FAKE_DENIED,       /* the same, and for good */
    FAKE_GARBLED,      /* a transaction is carried out, and its answer is not one to it */
    FAKE_NO_MEMORY,    /* does not begin */
    FAKE_FAULTS
};
enum { FAKE_LATE_MS = 700, FAKE_BEHIND_MS = 5, FAKE_SLOW_MS = 15 };
/* Asked at each call that begins (not at its repeats): n counts from 0; what says which, "txn put /locks/x/7" for instance. */
typedef enum fake_fault (*fake_judge)(void *user, struct client *c, unsigned n, const char *what);
void fake_set_judge(fake_judge judge, void *user);
unsigned fake_calls(void); /* how many have begun */
/* Requests that arrived at the server, keepalives and watches not counted. */
unsigned fake_requests(void);
unsigned fake_watches_started(void);
/* Deliveries of watch events to clients: how many were woken. */
unsigned fake_wakes(void);

/* ---- the server, as an operator at its console sees it ---- */
tn_rev fake_revision(void);
size_t fake_keys(void);
/* The i-th key in byte order; false past the end. */
bool fake_key(size_t i, struct kv *ret);
bool fake_get(bytes key, struct kv *ret);
tn_rev fake_put(const char *key, const char *value, tn_lease lease);
bool fake_delete(bytes key);
/* A transaction of somebody else's. */
void fake_carry_out(const struct txn_req *req);
void fake_compact(void); /* up to the newest revision */
size_t fake_leases(void);
tn_lease fake_grant(int64_t ttl_s);
bool fake_revoke(tn_lease lease);
/* Ends all watches of c as the client does when too many events wait; the next ones start as usual. */
void fake_overflow_watches(struct client *c);
/* What a client's transaction may have, keys and values counted; 0 = any. */
void fake_limit_txn(size_t ops, size_t bytes);
/* The least TTL that the server grants. */
void fake_set_ttl_min(int64_t ttl_s);

#endif
