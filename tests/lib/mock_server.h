/* A cluster of servers in memory, and the network and the clock between them and one client engine.
 *
 * The servers share one state (keys with their history, leases), as members of a cluster do; each has its own address and
 * its own faults. They are simple where the client cannot see it: a transaction compares nothing, a lease never expires by
 * itself. What they count is exact: how often each write was applied.
 *
 * The world is moved by world_run: it carries bytes, ticks the client at its deadlines, delivers, and jumps over the time
 * in which nothing happens. It checks all along that the client does not spin: a deadline in the past after a tick, or
 * more than a thousand turns in one millisecond, end the test.
 *
 * Memory is taken by malloc and not checked: a sweep over allocation failures counts the client's only, by the hooks.
 */
#ifndef TESTS_MOCK_SERVER_H
#define TESTS_MOCK_SERVER_H

#include "base/list.h"
#include "base/map.h"
#include "client/client.h"
#include "wire/codec.h"
#include "wire/h2.h"

enum mock_reach {
    MOCK_UP,
    MOCK_REFUSES,   /* connection refused, at once */
    MOCK_BLACKHOLE, /* connecting never ends */
    MOCK_STOPPED,   /* connects, takes bytes, never says a thing */
};

/* What is done with a request; APPLY: after it took effect. */
enum mock_act {
    MOCK_ANSWER,      /* status and text instead of an answer, not applied */
    MOCK_IGNORE,      /* never answered, not applied */
    MOCK_APPLY_MUTE,  /* applied, never answered */
    MOCK_APPLY_ERROR, /* applied, answered with status and text */
    MOCK_APPLY_CUT,   /* applied, then the connection ends */
    MOCK_CUT,         /* the connection ends, not applied */
    MOCK_RESET,       /* RST_STREAM CANCEL */
    MOCK_REFUSE,      /* RST_STREAM REFUSED_STREAM: provably not applied */
    MOCK_GOAWAY,      /* not applied; GOAWAY, the call is answered all the same */
    MOCK_GARBAGE,     /* bytes that are not HTTP/2 */
    MOCK_BAD_MESSAGE, /* a message that is not protobuf, status OK */
    MOCK_NO_MESSAGE,  /* status OK and nothing else */
    MOCK_LATE,        /* handled by delay_ms later */
};

struct mock_rule {
    const char *path; /* the end of the method's path; NULL = any */
    int endpoint;     /* -1 = any */
    int times;        /* -1 = always */
    enum mock_act act;
    enum grpc_status status;
    const char *text;
    int64_t delay_ms;
};

struct mock_event {
    struct event event; /* owns its bytes */
};

struct mock_request {
    char path[64];
    int endpoint;
    tn_ms at;
    int64_t timeout_ms; /* -1 = none */
    bool leader_needed;
    char token[32];
    char traceparent[64], tracestate[64];
};

enum { MOCK_ENDPOINTS_MAX = 4, MOCK_RULES_MAX = 8, MOCK_REQUESTS_MAX = 4096, MOCK_EVENTS_MAX = 4096 };

struct mock_endpoint {
    char url[32];
    enum mock_reach reach;
    int64_t latency_ms;       /* of each direction */
    bool swallows;            /* no byte comes through, either way; nor ever again on a connection that lost one */
    size_t trickle;           /* bytes a 100 ms to the client; 0 = all at once */
    size_t connects, accepts; /* attempts; those that stood */
    size_t pings;
    tn_rev behind; /* what its ranges say of the revision */
};

struct world {
    struct client *client;
    tn_ms now;
    struct mock_endpoint endpoints[MOCK_ENDPOINTS_MAX];
    size_t n_endpoints;
    struct list conns;
    struct mock_rule rules[MOCK_RULES_MAX];
    size_t n_rules;

    /* The connection ends when so many more bytes came through: SIZE_MAX = never. */
    size_t cut_to_server, cut_to_client;
    bool cut_happened;

    tn_rev revision, compacted;
    struct event events[MOCK_EVENTS_MAX]; /* the whole history, by revision */
    size_t n_events;
    tn_lease leases[64];
    size_t n_leases;
    int64_t lease_ttl_s;
    size_t n_renewals;
    tn_ms renewed_at[4096]; /* when each was received */
    tn_lease next_lease;

    struct mock_request requests[MOCK_REQUESTS_MAX];
    size_t n_requests;
    size_t n_streams_reset;

    bool auth; /* calls need the newest token, which Authenticate gives to user "alice" with password "secret" */
    unsigned n_tokens;   /* given so far; the newest is "token-N" */
    bool tokens_expired; /* until the next one is given */
    uint64_t cluster;    /* 0 = 7 */

    size_t asked;      /* the endpoint that is answering */
    size_t chunks_max; /* of a RangeStream, then it fails with UNAVAILABLE; 0 = all */
    bool real_past; /* versions and create revisions are right, and a watch may begin at the compaction, as in etcd */
    bool fragment;  /* watch answers come in fragments of one event, or of so many: */
    size_t fragment_events;
    bool no_progress; /* turns run */
    tn_rev lag;       /* watches start with so many older events than asked for: a member that lags */

    size_t turns;              /* client turns so far */
    void (*enter)(void *user); /* around each call of the client; may be NULL */
    void (*leave)(void *user);
    void *hook_user;
};

/* A client with n endpoints "http://e0:1" … . config may be NULL; its endpoints and seed are set here. */
void world_init(struct world *w, size_t n, const struct client_config *config, uint64_t seed);
/* Answers client_new's code; the world is to be closed by world_fini in any case. */
int world_try_init(struct world *w, size_t n, const struct client_config *config, uint64_t seed);
void world_fini(struct world *w);

/* Runs until nothing happens any more at this instant. */
void world_settle(struct world *w);
/* Runs for ms milliseconds. */
void world_run(struct world *w, int64_t ms);
/* Runs until *flag, at most ms; answers whether. */
bool world_until(struct world *w, const bool *flag, int64_t ms);

struct mock_rule *mock_on(struct world *w, const char *path, int times, enum mock_act act);
void mock_clear(struct world *w);
/* Ends all connections of an endpoint now. */
void mock_cut(struct world *w, size_t endpoint);
/* GOAWAY on all its connections. */
void mock_goaway(struct world *w, size_t endpoint);
/* Bytes from the server, as they are, on all connections of the endpoint. */
void mock_say(struct world *w, size_t endpoint, bytes raw);
/* A write from elsewhere; watches see it. */
tn_rev mock_put(struct world *w, const char *key, const char *value);
/* Two keys in one revision. */
tn_rev mock_put_two(struct world *w, const char *key1, const char *key2, const char *value);
void mock_compact(struct world *w, tn_rev revision);
tn_lease mock_lease(struct world *w);
/* Whether a server received a renewal from one time to the other, both included. */
bool mock_renewed_between(const struct world *w, tn_ms from, tn_ms to);
void mock_revoke(struct world *w, tn_lease id);
/* How often this value was put. */
size_t mock_applied(const struct world *w, const char *value);
size_t mock_count_requests(const struct world *w, const char *path, int endpoint);
/* The last request of this path; NULL when there was none. */
const struct mock_request *mock_last_request(const struct world *w, const char *path);
/* Open connections, over all endpoints or to one. */
size_t mock_conns(const struct world *w, int endpoint);
/* Watchers that the servers hold. */
size_t mock_watchers(const struct world *w);
/* A watch answer made by hand, on every watch stream. */
void mock_watch_say(struct world *w, const struct watch_resp *r);
/* A progress notice for each watcher. */
void mock_progress(struct world *w);
void mock_keepalive_say(struct world *w, tn_lease id, int64_t ttl_s);

#endif
