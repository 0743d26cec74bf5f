/* Locks: /locks/<name>, in etcd's layout, so that etcdctl and Go's concurrency package stand in the same queue.
 *
 * A lock is held from the moment the server has confirmed it until it is released, or until safe-until: the time the last
 * answered renewal was sent, plus the TTL, less a margin of 250 ms + 1 % of the TTL. From safe-until on nobody is told
 * "held" any more, network or not, because from then on somebody else may hold it. Write the token with everything that
 * the lock protects and let the resource refuse a smaller one: a program that was stopped cannot know that it was.
 */
#ifndef TENURE_LOCK_H
#define TENURE_LOCK_H

#include <stdbool.h>

#include <tenure/session.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_lock tenure_lock;
typedef int64_t tenure_token; /* only grows over all holders of one name; 0 is none */

struct tenure_lock_options {
    size_t size;
    const char *prefix;  /* NULL = "/locks/" */
    int64_t ttl_s;       /* 0 = the handle's shared session; else a session of its own with this TTL */
    int64_t wait_ms;     /* how long to wait for it; 0 = without end, -1 = not at all (TENURE_EBUSY) */
    const char *purpose; /* shown to those who wait; NULL = the handle's */
    /* May be NULL. Held, and now not any more; on the loop's thread; once an acquisition. */
    void (*on_lost)(tenure_lock *lock, const struct tenure_error *why, void *user);
    /* Only for tenure_lock_start: code 0 = held. Else it is over, and the lock waits to be freed by tenure_unlock or
     * tenure_unlock_start, here or later. */
    void (*on_acquired)(tenure_lock *lock, int code, tenure_token token, const struct tenure_error *err, void *user);
    /* The release begun by tenure_unlock_start has ended: 0 = freed for sure, else it is when its lease ends. */
    void (*on_released)(int code, void *user);
    void *user;
    /* The session that it hangs on, lost with it; with it ttl_s must be 0. It may be STARTING; it must not be closed before the
     * call has returned. NULL = as ttl_s says. */
    tenure_session *session;
    /* The thread that holds it through this handle, by a call with this field set, gets the same lock again, at once and as often
     * as it likes; it is freed by as many tenure_unlock, from that thread (TENURE_EINVALID elsewhere). Any other thread waits, and
     * so does this one through another handle, or without the field. Once it is lost each further acquire is TENURE_ELOST, until
     * all levels have let go. For tenure_lock_acquire and tenure_with_lock: in an event loop there is no telling who asks. */
    bool reentrant;
    /* Lock-delay, up to 60,000 ms, in whole seconds: after this holder is lost (its session, or its key by somebody's hand)
     * nobody who uses this option gets the lock for so long, counted by the server from when the next one first sees it; after
     * a release the next one gets it at once. It gives requests that are still on their way the time to come to their end,
     * where what they write to cannot compare tokens. It is kept among those who use it: locks without it, etcdctl and Go's
     * package do not know it, so set it for all or none. Costs one more request to acquire; the record's key is the
     * queue's path, a byte 0, and "delay". Not for readers and permits. */
    int64_t delay_ms;
    /* Going on with what an earlier process held, by its lease (tenure_lock_lease) and token, which it has written down: with the
     * same token, at once, without the place in between. It needs proof that nobody believes in it any more: the process that
     * stands in the key's value ran on this machine since its last boot, in this container, and is gone. Else, and when the
     * lock is not held by it any more, or somebody else resumes it as well, it queues like everybody else; the token tells.
     * As the token is the same, what it was kept for does not tell the two processes apart: a request that the dead one had
     * under way may still land behind the take-over, as one of this process's own might. Who cannot bear that does not resume.
     * The lease is the lock's session from then on, shared by all that resume it in this handle, and revoked when the last of
     * them is let go of. With `session` that one must be on this lease, and resume_lease may be 0. */
    int64_t resume_lease;
    tenure_token resume_token;
    bool resume_is_sure; /* the caller knows that the earlier process is gone; no proof is asked for */
};

/* Waits for the lock. NULL on failure: TENURE_ETIMEOUT (wait_ms passed), TENURE_EBUSY, TENURE_ELOST, TENURE_EINVALID (empty
 * name, a slash at an end, a name that is a path prefix of one in use), … Free it by tenure_unlock. Blocking handles. */
tenure_lock *tenure_lock_acquire(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                                 struct tenure_error *err);
/* Begins to acquire; o->on_acquired tells the end. NULL when it could not begin. Any handle, loop thread for uv and poll. */
tenure_lock *tenure_lock_start(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                               struct tenure_error *err);

/* True only while nobody else can hold it. No I/O; any thread, any time between acquire and unlock. */
bool tenure_lock_held(const tenure_lock *lock);
/* The fencing token of this acquisition; also after a loss (to name it in messages). Any thread. */
tenure_token tenure_lock_token(const tenure_lock *lock);
/* The key that stands for it, static while lock lives; "" while there is none. Any thread. */
const char *tenure_lock_key(const tenure_lock *lock);
/* The lease that its key hangs on, or will; 0 while there is none. Any thread. */
int64_t tenure_lock_lease(const tenure_lock *lock);
/* Milliseconds until safe-until; <= 0 = not held. Any thread. */
int64_t tenure_lock_remaining_ms(const tenure_lock *lock);

/* Releases, or gives the waiting up, and frees. 0, or why it is not known to be freed (it is when its lease ends):
 * TENURE_ELOST when it had been lost before. From the call on tenure_lock_held is false. NULL is fine. Blocking handles, any
 * thread but the loop's (TENURE_EINVALID there, and nothing happened). */
int tenure_unlock(tenure_lock *lock, struct tenure_error *err);
/* The same without waiting, and all levels of a re-entrant one; on_released follows, never within the call, and lock must not
 * be used any more by then. NULL is fine. Any handle; loop thread for uv and poll. */
void tenure_unlock_start(tenure_lock *lock);

/* Acquires, runs work(lock, arg) on the caller's thread, releases in every case. Answers work's value when the lock was
 * held to work's end (err is filled only when that value is negative and names a TENURE_E… code), else an error: why it
 * was not acquired, or TENURE_ELOST when it was lost while work ran. */
int tenure_with_lock(tenure_client *c, const char *name, const struct tenure_lock_options *o,
                     int (*work)(tenure_lock *lock, void *arg), void *arg, struct tenure_error *err);

/* What a participant of a queue asks for: see rwlock.h and semaphore.h. */
enum tenure_lock_mode {
    TENURE_LOCK_WHOLE = 0, /* a mutex, a writer, a client of etcd */
    TENURE_LOCK_READ,
    TENURE_LOCK_PERMIT
};

/* Who holds and who waits, in order. Of a mutex entry 0 is the holder; of others shares[i].holds says. */
struct tenure_lock_entry {
    const char *key;
    tenure_token token; /* it will have, or has */
    int64_t lease;
    const char *host, *purpose; /* "" where the participant did not say (etcdctl, Go) */
    int64_t pid;                /* 0 where unknown */
    int64_t since_ms;           /* Unix time in milliseconds; 0 where unknown */
};
struct tenure_lock_share {
    enum tenure_lock_mode mode;
    bool holds;            /* by the queue's rule, whether it knows it yet or not */
    int64_t weight, limit; /* of a permit; else 0 */
    const char *says;      /* of a place with a rule of its own (place.h); else "" */
};
struct tenure_lock_list {
    int64_t revision;
    size_t n;
    const struct tenure_lock_entry *entries;
    const struct tenure_lock_share *shares; /* shares[i] belongs to entries[i] */
};
/* Reads them at one revision, whatever they ask for: locks, read-write locks and semaphores of one name are one queue. prefix as in the options. Nobody there is success with n 0. Blocking handles. */
int tenure_lock_list(tenure_client *c, const char *name, const char *prefix, struct tenure_lock_list **ret,
                     struct tenure_error *err);
void tenure_lock_list_free(struct tenure_lock_list *r);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
