/* The client handle: opening, the three ways to drive it, closing.
 *
 *   blocking     tenure_open        a thread of the handle runs the loop; every call blocks its caller, any thread
 *   libuv        tenure_open_uv     the handle lives on the program's uv_loop_t; calls with completions, loop thread only
 *   foreign loop tenure_open_poll   one descriptor, one timeout, one turn function; loop thread only
 *
 * In all three the calls that end in `_start` take a completion; those without block, and are allowed only on a handle
 * from tenure_open (TENURE_EINVALID elsewhere). On such a handle completions and callbacks run on the handle's thread.
 *
 * Threads: on a handle from tenure_open everything may be called from any thread; on a uv or poll handle only what reads a
 * lock's or an election's state (tenure_lock_held, tenure_election_leads, …), all else from the loop's thread. A callback
 * may call anything but a blocking function (TENURE_EINVALID).
 * What is begun can be cancelled, alone or with others: scope.h.
 * Objects (locks, elections, observers, watches) live until their own stop function (tenure_unlock, …_stop), also when
 * they have ended by themselves, or until their handle is closed.
 * Fork: in the child the handle is dead: every call answers TENURE_EFORKED, nothing is held, and only tenure_close may be
 * called (it closes the child's copies of the sockets and leaves the parent's handle alone).
 * Signals: none is handled, blocked or changed, except that the handle's own thread blocks all.
 * Option structs begin with `size` = sizeof the struct, so that they can grow; zeroed fields mean the default.
 */
#ifndef TENURE_CLIENT_H
#define TENURE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include <tenure/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_client tenure_client;
struct tenure_call_event;

/* Whether calls have a server. */
enum tenure_connection {
    TENURE_CONNECTION_NONE = 0, /* nothing was tried yet */
    TENURE_CONNECTION_UP = 1,   /* one answers */
    TENURE_CONNECTION_DOWN = 2  /* it was lost, or none can be reached; what has work to do goes on trying */
};

struct tenure_options {
    size_t size;
    int64_t call_timeout_ms;    /* deadline of a call that names none; 0 = 5,000 */
    int64_t connect_timeout_ms; /* of one connection attempt; 0 = 2,000 */
    int64_t close_timeout_ms;   /* bound of tenure_close; 0 = 5,000 */
    int64_t session_ttl_s;      /* of the session that locks share; 0 = 30 */
    const char *purpose;        /* shown beside locks that this program holds or waits for; NULL = the program's name */
    /* One line without newline, for a person; level 0 debug … 3 error. NULL = silent. Called on the loop's thread. */
    void (*log)(void *user, int level, const char *line);
    void *log_user;
    /* Who asks, where the servers have authentication on. With a user the handle gets a token with its first call, and another
     * one whenever the servers refuse it, for calls and for streams that are open; a write is not sent twice for that. With a
     * token (a JWT from elsewhere) that one is sent, and never replaced. All NULL: the environment's TENURE_AUTH_TOKEN, else
     * TENURE_USER ("NAME" or "NAME:PASSWORD") and TENURE_PASSWORD, else nobody. Copied; the password is wiped at close. */
    const char *user, *password;
    const char *token;
    /* For endpoints with TLS (https, unixs): files in PEM. Who signs servers' certificates (NULL: the environment's
     * TENURE_CACERT, else the system's authorities); the own certificate and its key, where servers ask for one (NULL: the
     * environment's TENURE_CERT and TENURE_KEY, else none). Read when a connection is made and they have changed. Needs
     * OpenSSL 3 on the machine, which is loaded when the first such endpoint is given. */
    const char *ca_file, *cert_file, *key_file;
    const char *
        server_name; /* what the servers' certificates are for; NULL = the host of the endpoint ("localhost" for unixs) */
    int insecure_skip_verify; /* not 0: any certificate will do, of whomever it is */
    /* Exact transactions (kv.h): not 0 makes every transaction exact that compares a key which its then-operations change. Their
     * marks are keys `<marks_prefix><lease>/<number>`; NULL = "/marks/". Who asks must be allowed to write there. Copied. */
    int exact_guarded;
    const char *marks_prefix;
    /* Not 0: no read on this handle is answered from an older revision of the store than one that an answer or a watch of it
     * has shown before, whichever endpoint answered: serializable reads too, which a member answers from what it has. One
     * that is older is asked again, on another endpoint if there is one, until the call's deadline (TENURE_ETIMEOUT, and the
     * text says which revisions). After a cluster was put back to an older state only a new handle reads it. */
    int never_older;
    /* Not 0: the members of the cluster are asked for with the first connection, with each that follows a loss, and each so
     * many milliseconds, and the addresses that they give to clients are used beside the endpoints given: tenure_endpoints
     * grows, and never shrinks. Learners, addresses of no host (0.0.0.0), and those of this machine alone, unless all
     * endpoints given are such, are left out. */
    int64_t discover_ms;
    /* A domain whose DNS names the servers, by the SRV records that etcdctl's --discovery-srv reads: of _etcd-client-ssl._tcp.DOMAIN,
     * for TLS, and of _etcd-client._tcp.DOMAIN, without; with a name, _etcd-client-ssl-NAME and _etcd-client-NAME. Those with TLS
     * are tried first, then by priority and weight (RFC 2782), behind endpoints given beside it; NULL and no TENURE_ENDPOINTS:
     * the records alone. They are read by a thread of their own, when the handle is opened, again when their time to live is over
     * (within 1 s to 1 h), and 1 s after the last time when the connection was lost; calls wait for the first answer until
     * their deadlines. What the records do not name any more keeps its index and a connection that stands, and is not connected to
     * again; while there is no answer all is used that is known. Certificates must be for the domain, as etcd's
     * clients want it, unless server_name says another name. NULL: the environment's TENURE_DISCOVERY_SRV and
     * TENURE_DISCOVERY_SRV_NAME. Copied. */
    const char *discovery_srv, *discovery_srv_name;
    /* Whom to ask for them: "IPV4[:PORT]". NULL: the environment's TENURE_DNS_SERVER, else as resolv.conf says. The addresses of
     * the hosts that the records name are asked for as those of any other endpoint. Copied. */
    const char *dns_server;
    /* Told of the begin and the end of each call and each attempt of one: see trace.h, also for what it may do. NULL = nobody. */
    void (*on_call)(void *user, const struct tenure_call_event *event);
    void *on_call_user;
    /* The health of the connection: calls have a server now, or another one (UP again), or none any more. endpoint: which, NULL when
     * DOWN; why: what the endpoints failed with, "" when UP. Both borrowed for the call. An idle handle that lost its connection stays
     * DOWN until something is asked of it; one with a lease, a watch or an object connects again by itself. Each state once, on
     * the loop's thread; not during a close. What is held is not lost with a connection: sessions tell that. NULL = nobody. */
    void (*on_connection)(void *user, enum tenure_connection state, const char *endpoint, const char *why);
    void *on_connection_user;
    /* Not 0: names have homes (region.h). Each lock and election of this handle reads the home record of its key when its turn has
     * come, one request more: its token carries the record's epoch; it is refused where another region is the home, and lost when
     * the home moves or its authority is over. tenure_if_token then compares the create revision within a token. */
    int federated;
};

/* Opens a blocking handle. endpoints: comma-separated "http://host:port", "host:port", "unix:///path", with TLS
 * "https://host:port", "unixs:///path"; NULL = the environment's TENURE_ENDPOINTS, else http://127.0.0.1:2379. options: NULL
 * = defaults. Does not wait for a connection: the first call does. Owned by the caller until tenure_close. NULL on failure:
 * TENURE_EINVALID (an endpoint that cannot be read, or a certificate, named), TENURE_EUNAVAILABLE (TLS without OpenSSL),
 * TENURE_ENOMEM, TENURE_EIO. Any thread. */
tenure_client *tenure_open(const char *endpoints, const struct tenure_options *options, struct tenure_error *err);

struct uv_loop_s;
/* Opens a handle on the program's libuv loop, which must outlive it. Loop thread. Errors as tenure_open. */
tenure_client *tenure_open_uv(struct uv_loop_s *loop, const char *endpoints, const struct tenure_options *options,
                              struct tenure_error *err);

/* Opens a handle for a foreign loop: wait until tenure_fd is readable or tenure_timeout_ms has passed, then call
 * tenure_turn. Errors as tenure_open. */
tenure_client *tenure_open_poll(const char *endpoints, const struct tenure_options *options, struct tenure_error *err);
/* The descriptor to wait on for reading (an epoll descriptor; deadlines that must hold through suspend are in it as a
 * timerfd). Owned by the handle; constant. -1 on a handle that is not from tenure_open_poll. */
int tenure_fd(const tenure_client *c);
/* Milliseconds until tenure_turn must be called at the latest; 0 = now, -1 = only when the descriptor is readable. */
int tenure_timeout_ms(const tenure_client *c);
/* Does what is due without blocking; callbacks come from here. 0, or TENURE_EFORKED, TENURE_EINVALID (wrong kind). */
int tenure_turn(tenure_client *c);

/* Closes a handle from tenure_open or tenure_open_poll: resigns, releases and revokes what is held, bounded by
 * close_timeout_ms, ends every call with TENURE_ECLOSED, frees. Objects of the handle (locks, elections, watches) are
 * freed with it and must not be used again. NULL is fine. Not from a callback. */
void tenure_close(tenure_client *c);
/* The same, asynchronous, for any handle: on_closed comes once, last, on the loop's thread, when the memory has been freed. */
void tenure_close_start(tenure_client *c, void (*on_closed)(void *user), void *user);

/* How a call ended that answers nothing else: code 0, or TENURE_E… with err filled. Once, from the loop. */
typedef void (*tenure_done_cb)(void *user, int code, const struct tenure_error *err);

/* The endpoints that the handle was opened with, in that order, behind them those that it has learnt; some calls name one by its index (NULL for an index out of
 * range). Any thread. */
size_t tenure_endpoints(const tenure_client *c);
const char *tenure_endpoint(const tenure_client *c,
                            size_t index); /* of tenure_endpoints; lives as long as the handle */

/* What a handle has done since it was opened, and does now. The caller sets size; later versions may know more. */
struct tenure_stats {
    size_t size;
    uint64_t calls, failed;     /* begun; ended with an error. Those of locks, elections and sessions are among them */
    uint64_t retries;           /* times that a call was sent again */
    uint64_t connections;       /* that were taken into use: less the first, how often it reconnected or moved */
    uint64_t endpoint_failures; /* refused, silent, broken, lying: each is left alone for a while behind it */
    uint64_t bytes_in, bytes_out;        /* without TLS */
    uint64_t under_way, watches, leases; /* now: calls, watches, leases being renewed */
};
/* 0; TENURE_ECLOSED, TENURE_EFORKED, TENURE_EINVALID (no size). Any thread on a handle from tenure_open; it waits for the loop. */
int tenure_stats(tenure_client *c, struct tenure_stats *ret, struct tenure_error *err);
struct tenure_endpoint_stats {
    size_t size;
    int in_use; /* calls go there now */
    uint64_t failures;
    char error[128]; /* what it last failed with; empty when it works, or was not tried */
};
/* Of one of tenure_endpoints. As tenure_stats; TENURE_EINVALID for an index out of range as well. */
int tenure_endpoint_stats(tenure_client *c, size_t index, struct tenure_endpoint_stats *ret, struct tenure_error *err);

/* The library's version, "0.1.0"; static storage. */
const char *tenure_version(void);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
