/* A followed copy of a range as an object of a handle, which other threads read: what cache.c and leaders.c share.
 *
 * The replica's entries are shared (recipes/keyset.h): the copy that other threads are shown is an array of them under a mutex, with
 * two numbers beside it, the revision that it was last known at and the time that it is current as of. So a read which these satisfy
 * takes the mutex for a moment and no turn of the loop; any other one is a wait of the replica's.
 *
 * A copy that was closed stays until its last read has ended. */
#ifndef LIB_COPY_H
#define LIB_COPY_H

#include <tenure/cache.h>

#include "lib/ask.h"
#include "recipes/replica.h"

struct copy;

struct copy_type {
    const char *what; /* "cache": in error texts */
    /* The keys are what they shall be; still under the mutex. Other than 0 ends it. May be NULL. */
    int (*shown)(struct copy *k, const struct view_change *changes, size_t n);
    /* Tells the program, last. Other than 0 ends it. */
    int (*on_change)(struct copy *k, const struct view_change *changes, size_t n, bool first);
    void (*on_end)(struct copy *k, int code, const struct tenure_error *err);
    void (*free)(struct copy *k);
};

struct copy {
    struct object object; /* handle is set from the start */
    const struct copy_type *type;
    struct replica *replica;
    unsigned users; /* reads that wait */
    bool is_stopped, has_ended;
    int fd;

    pthread_mutex_t mutex; /* of the rest, which the loop writes */
    struct keyset keys;
    tn_rev revision; /* 0 = there is none yet */
    tn_ms current_at;
    int code; /* of its end */
    struct tenure_error why;
};

/* What a read found. */
struct copy_at {
    tn_rev revision;
    int64_t stale_ms;
};

/* Makes the descriptor and the mutex. After it copy_fini undoes, until the copy has started. */
int copy_init(struct copy *k, tenure_client *c, const struct copy_type *type, struct tenure_error *err) MUST_USE;
void copy_fini(struct copy *k);
/* From then on it is the handle's, and type->free comes once. Any thread on a blocking handle. */
int copy_start(struct copy *k, const struct replica_options *o, struct tenure_error *err) MUST_USE;
void copy_close(struct copy *k);
/* check_ms and bounds as the options say them. */
int copy_options(struct replica_options *o, const char *what, int64_t check_ms, size_t keys_max, size_t bytes_max,
                 struct tenure_error *err) MUST_USE;

/* While the program is to be told. */
bool copy_tells(const struct copy *k);
struct copy_at copy_now(const struct copy *k); /* loop thread */

/* ---- reading ---- */

/* At the door: not NULL, not of another process, a need that can be. ret: the need of the replica's. */
int copy_enter(const struct copy *k, bool blocks, bool waits, const char *what, const struct tenure_cache_need *need,
               struct replica_need *ret, int64_t *ret_timeout_ms, struct tenure_error *err) MUST_USE;
/* 0: the mutex is held, keys may be read, copy_unlock follows. TENURE_EUNAVAILABLE (nothing yet), TENURE_ESTALE, what it ended by. */
int copy_lock(const struct copy *k, const struct replica_need *need, struct copy_at *ret, struct tenure_error *err)
    MUST_USE;
void copy_unlock(const struct copy *k);

/* A read that waits; the ask's request. */
struct copy_read {
    struct copy *copy;
    struct replica_need need;
    struct replica_wait wait;
    bytes key;
};
/* NULL with err filled. Copies key. */
struct ask *copy_ask(struct copy *k, const struct ask_type *type, const struct replica_need *need, int64_t timeout_ms,
                     bytes key, struct tenure_error *err) MUST_USE;
int copy_read_begin(struct ask *k, const struct client_call_options *opt, tn_ms now, struct tenure_error *err);
void copy_read_cancel(struct ask *k, tn_ms now);
/* Whether the thread's scope is over, which ends also what needs no server. */
int copy_check_scope(const char *what, struct tenure_error *err) MUST_USE;

#endif
