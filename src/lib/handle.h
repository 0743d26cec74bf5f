/* The inside of a handle, shared by the files of this layer.
 *
 *   open.c close.c fork.c   a handle's life                 driver.c   the turn: sockets <-> the client engine
 *   post.c                  other threads -> the loop       ask.c      one call, blocking or with a completion
 *   object.c                what lives on a handle          session.c open_session.c  the leases under the locks
 *   secure.c                certificates of a handle        kit.h      handles of the test kit
 *   kv.c txn.c lease.c servers.c watch.c                    lock.c election.c observer.c
 *   scope.c             calls cancelled together            trace.c    who watches the calls
 *   marks.c             guarded transactions                stm.c      what is built on them
 *
 * One thread, the loop's, owns everything here but what is marked "any thread". Callbacks of the engines change state; the
 * program's callbacks come from the turn, and nothing is freed before the turn's end, so that a callback may stop anything.
 */
#ifndef LIB_HANDLE_H
#define LIB_HANDLE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/types.h>

#include <tenure/tenure.h>

#include "base/list.h"
#include "client/client.h"
#include "io/loop.h"
#include "io/timer.h"
#include "io/tls.h"
#include "io/wake.h"
#include "lib/kit.h"
#include "lib/object.h"
#include "lib/scope.h"

#define ENDPOINTS_MAX  64
#define POSTS_MAX      100000 /* waiting to be taken by the loop; past it a call fails with TENURE_ELIMIT */
#define OUTPUT_MAX     262144 /* bytes of one write */
#define SOCKETS_MAX    8      /* noted for a child of fork; the engine has three or four at most */
#define LATE_MS        80     /* a blocked caller goes on by itself so long after its deadline */
#define TIMEOUT_MAX_MS (INT64_C(1) << 52)

enum handle_kind {
    HANDLE_BLOCKING,
    HANDLE_UV,
    HANDLE_POLL,
    HANDLE_KIT,  /* kit.h */
    HANDLE_VIEW, /* of another: view.h */
};

/* OPEN -> CLOSING (objects end, no new work) -> CLOSED (nothing of it is left on the loop) */
enum handle_state { HANDLE_OPEN, HANDLE_CLOSING, HANDLE_CLOSED };

/* Whether the tokens of a transaction's handle carry epochs. NULL is fine. */
bool lib_txn_is_federated(const tenure_txn *t);

/* What other threads ask of the loop: see post.h. Any thread, under the mutex. */
struct posts {
    pthread_mutex_t mutex;
    struct list queue;
    size_t n;
    bool closed;
};

struct lib_exact;
struct lib_session;

/* Certificates of endpoints with TLS; the texts are the handle's. */
struct lib_secure {
    struct io_tls_config config;
    struct io_tls_stamps files;
    struct io_tls *tls; /* what new connections get; NULL until the first one asks */
    char *texts[4];
};

/* A socket as a child of fork can recognise it, should the number belong to another file by then. fd -1 = none. */
struct socket_note {
    atomic_int fd;
    atomic_ullong inode;
};

struct tenure_client {
    /* Fixed after the opening. */
    enum handle_kind kind;
    pid_t pid;
    pthread_t thread; /* of a blocking handle */
    int64_t call_timeout_ms, close_timeout_ms, session_ttl_s;
    const struct lib_kit *kit; /* NULL = real time and sockets */
    void *kit_user;
    char *purpose;
    void (*log)(void *user, int level, const char *line);
    void *log_user;
    void (*on_call)(void *user, const struct tenure_call_event *event);
    void *on_call_user;

    bool learns;          /* endpoints may come: discover.c */
    atomic_uint refs;     /* its own, and one for each call that makes several: see handle_ref */
    struct list views;    /* of it, under the mutex of posts */
    struct list in_views; /* this and the next two: of a view alone */
    tenure_client *root;
    bytes ns; /* what its keys lie below; behind the struct */

    struct posts posts;
    struct scopes scopes;

    enum handle_state state;
    struct io_loop *loop;
    struct io_turn turn;
    struct io_timer *timer;
    struct io_wake *wake; /* of others than blocking handles once a call in a scope was begun */
    struct client *engine;
    struct list conns;
    struct socket_note sockets[SOCKETS_MAX];
    struct lib_secure secure;
    struct buf out;
    bool in_turn;
    bool wants_turn; /* something was asked of it, or is left to do */
    tn_ms armed_at;  /* when its timer is due */
    tn_ms now;

    struct list objects;
    struct list timed;  /* those of them that time moves */
    bool has_changed;   /* an object may be over */
    struct list exacts; /* transactions with a mark: one a prefix of marks */
    char *marks_prefix; /* NULL = the default */
    bool exact_guarded;
    bool federated;             /* tokens carry epochs */
    struct lib_session *shared; /* the session of locks without a TTL of their own; NULL = none */
    struct list marks;          /* those of them that are marks: see marks.c */

    tn_ms close_at;   /* the end of a close's patience */
    bool is_detached; /* closed by tenure_close_start: nobody waits */
    void (*on_closed)(void *user);
    void *on_closed_user;
};

/* ---- at the door of each public function ---- */

/* 0, or TENURE_EFORKED in a child, TENURE_EINVALID for NULL and for a view. Any thread. */
int handle_enter(const tenure_client *c, struct tenure_error *err) MUST_USE;
/* The same, and TENURE_EINVALID where blocking would be for ever: another kind of handle, or the loop's own thread. A
 * handle of the test kit may block but in a callback. */
int handle_enter_blocking(const tenure_client *c, const char *what, struct tenure_error *err) MUST_USE;
/* Whether the caller may touch the handle's inside: it is the loop's thread (of a uv or poll handle always). */
bool handle_on_loop(const tenure_client *c);
bool handle_is_forked(const tenure_client *c);

/* Copies an option struct of a program that may know another version of it: src NULL = all defaults; what is missing is
 * zero. TENURE_EINVALID without a size, TENURE_EVERSION when a field set there is unknown here. */
int options_take(void *dst, size_t dst_size, const void *src, const char *what, struct tenure_error *err) MUST_USE;

/* ---- the turn (driver.c) ---- */

int driver_start(tenure_client *c, struct tenure_error *err) MUST_USE;
/* So that other threads can wake the loop; a blocking handle has it from the start. */
int driver_make_wake(tenure_client *c, struct tenure_error *err) MUST_USE;
/* Any thread, under the mutex of posts, while they are not closed. */
void driver_wake(tenure_client *c);
/* Closes connections, timer, wake and hook. Fine when half started. */
void driver_stop(tenure_client *c);
/* The handle's clocks, read now: of the machine, or of the test kit. Any thread. */
static inline tn_ms handle_clock(const tenure_client *c)
{
    return c->kit ? c->kit->clock(c->kit_user) : io_clock();
}
static inline int64_t handle_wall_ms(const tenure_client *c)
{
    return c->kit ? c->kit->wall_ms(c->kit_user) : io_wall_ms();
}
/* The time for work brought from outside of the turn as well. */
tn_ms handle_now(tenure_client *c);
/* Something was asked of the engines: the turn's end must come soon. */
void handle_wants_turn(tenure_client *c);

/* A line for the program's log function; user: the handle, which has one. */
void handle_log_sink(void *user, enum log_level level, const char *line);

/* ---- certificates (secure.c) ---- */

/* Takes what the options and the environment say; reads the files at once when an endpoint needs them. Errors name them. */
int lib_secure_open(tenure_client *c, const struct tenure_options *o, bool needed, struct tenure_error *err) MUST_USE;
/* What a connection that is made now gets, read again when the files have changed; what cannot be read leaves what there was.
 * Borrowed. NULL: nothing was ever read. */
struct io_tls *lib_secure_present(tenure_client *c, struct tenure_error *err);
void lib_secure_close(tenure_client *c);

/* ---- the close (close.c) ---- */

/* In each turn: goes on with a close. */
void close_step(tenure_client *c, tn_ms now);
/* Frees what is left of a handle whose loop is gone. */
void handle_free(tenure_client *c);
/* For a call that makes several: a close in between leaves the memory, in which they find the handle closed, until
 * handle_free was called for each. */
void handle_ref(tenure_client *c);
/* Gives up a handle whose opening failed. */
void handle_abandon(tenure_client *c);
/* Behind a step of a poll handle's loop: ends what tenure_close_start began. c may be gone then. */
void handle_finish_if_closed(tenure_client *c);
/* fork.c: notes a connected socket, and that it is going to be closed; closes a handle in a child. */
void fork_note_socket(tenure_client *c, int fd);
void fork_forget_socket(tenure_client *c, int fd);
void handle_close_forked(tenure_client *c);
/* A blocking handle's thread. */
void *handle_thread(void *arg);

#endif
