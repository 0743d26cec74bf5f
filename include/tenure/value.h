/* Shared values: one key that many programs read and change, each with a copy of it in memory that says how old it may be.
 *
 *     tenure_value *v = tenure_value_open(c, tenure_str("/config/limit"), NULL, &err);
 *     struct tenure_value_state *is;
 *     struct tenure_value_get_options o = {.size = sizeof o, .max_stale_ms = 2000};
 *     tenure_value_get(v, &o, &is, &err);         from memory, unless that may be older than two seconds
 *     tenure_value_cas(v, is->mod_revision, tenure_str("12"), NULL, NULL, &err);
 *     tenure_value_state_free(is);
 *     tenure_value_close(v);
 *
 * The copy begins with a linearizable read and follows the key by a watch from that revision on, over lost connections,
 * restarts and compactions. It never goes back: revision and mod_revision of what is read from one object only grow, whoever
 * reads. Changes are told in their order; when they come faster than they can be told, or were missed, what lies between may be
 * passed over, never the last one.
 *
 * stale_ms is what can be proved, and nothing is taken for a proof but an answer to a question of this object's own: a
 * linearizable read that was sent at a time T and answered, and a copy that is of the revision in that answer or of a later one.
 * Then every write that any server had acknowledged to anybody before T is in the copy, and stale_ms is the time since T, rounded
 * up. That the watch is silent proves nothing (a connection may have been cut without a word), so without such questions
 * stale_ms grows, though the copy is usually as new as the network allows. They are asked when a read needs them: one for all
 * that wait at the time, a few bytes when nothing has changed; and every check_ms where that is wanted.
 *
 * Writes are guarded by what was read before, and repeated on a conflict; also when an answer was lost it is known whether they
 * were applied, and none is twice (see stm.h for the marks that this takes). A key that is on a lease stays on it. What a write of
 * this object did is in its copy when the write has ended.
 *
 * Any handle and namespaces; loop thread for uv and poll; callbacks on the loop's thread.
 */
#ifndef TENURE_VALUE_H
#define TENURE_VALUE_H

#include <tenure/kv.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_value tenure_value;

struct tenure_value_state {
    bool exists;
    struct tenure_bytes value;             /* empty when it does not */
    int64_t version;                       /* writes since the key was created; 0 = it does not exist */
    int64_t create_revision, mod_revision; /* 0 = it does not exist */
    int64_t lease;
    int64_t revision; /* of the store, at which this was so */
    int64_t stale_ms; /* see above; of the time at which the state was given */
};
/* NULL is fine. Any thread. */
void tenure_value_state_free(struct tenure_value_state *s);

struct tenure_value_options {
    size_t size;
    int64_t
        check_ms; /* ask the servers when stale_ms has come to this, so that it stays below while they answer; 0 = only when
                         a read needs it */
    const char *marks; /* as in stm.h */
    bool unmarked;
    /* The first state, also when there is no such key, and then each change. Borrowed for the call. May be NULL. */
    void (*on_change)(tenure_value *v, const struct tenure_value_state *state, void *user);
    /* It has ended by itself: TENURE_EDENIED, TENURE_ECLOSED (the handle closes), TENURE_ENOMEM. Reads answer the same from then on.
     * Free it by tenure_value_close. May be NULL. */
    void (*on_end)(tenure_value *v, int code, const struct tenure_error *err, void *user);
    void *user;
};

/* Begins to follow the key, and goes on while no server can be reached; copies key. NULL: TENURE_EINVALID (no key, a negative
 * check_ms), TENURE_ENOMEM, TENURE_EIO (no descriptor), … */
tenure_value *tenure_value_open(tenure_client *c, struct tenure_bytes key, const struct tenure_value_options *o,
                                struct tenure_error *err);
/* Readable from each change of the state on, and at its end (an eventfd): read its 8 bytes, then ask for the state. Owned by v,
 * there as long as it. Any thread; -1 for NULL. */
int tenure_value_fd(const tenure_value *v);
/* Ends and frees it. Reads that wait end with TENURE_ECLOSED; writes under way go on, and their completions come. No callback of
 * its options comes behind it, but the one that called it goes on. NULL is fine. No other thread may be about to use v. */
void tenure_value_close(tenure_value *v);

/* ---- reading ---- */

/* The copy as it is, from memory, whatever its age: no I/O, no waiting, any thread, any handle. TENURE_EUNAVAILABLE: the first
 * read was not answered yet; else what it has ended by. */
int tenure_value_cached(const tenure_value *v, struct tenure_value_state **ret, struct tenure_error *err);

struct tenure_value_get_options {
    size_t size;
    /* The copy must be at most so old when it is asked for; else the servers are asked first. 0 = however old it is. */
    int64_t max_stale_ms;
    /* Nothing that was acknowledged before this call began may be missing: the servers are asked in any case. */
    bool linearizable;
    /* The state at this revision of the store or at a later one (as a write told it, or another program). TENURE_EFUTURE when
     * the servers are not there yet. 0 = whatever. */
    int64_t min_revision;
    int64_t timeout_ms; /* 0 = the handle's */
};
/* The copy, as soon as it is as is asked for: at once from memory where it is so already, or when the servers have been asked. o NULL:
 * as soon as there is one. All that is asked for must hold. TENURE_ETIMEOUT, TENURE_EFUTURE, TENURE_EDENIED, …; an old copy is not
 * given instead: tenure_value_cached is there for who wants it then. Blocking handles. */
int tenure_value_get(tenure_value *v, const struct tenure_value_get_options *o, struct tenure_value_state **ret,
                     struct tenure_error *err);

/* state belongs to the callback, which frees it; NULL when code != 0, but for the TENURE_ECONFLICT of a compare and set. Comes
 * once, from the loop, never within the call that asked. */
typedef void (*tenure_value_cb)(void *user, int code, struct tenure_value_state *state, const struct tenure_error *err);
/* The same without waiting. 0, or why it could not begin (then cb does not come). */
int tenure_value_get_start(tenure_value *v, const struct tenure_value_get_options *o, tenure_value_cb cb, void *user,
                           struct tenure_error *err);

/* ---- writing ---- */

struct tenure_value_write_options {
    size_t size;
    int64_t timeout_ms;   /* of the whole; 0 = the handle's */
    int64_t attempts_max; /* others were faster so often: TENURE_ECONFLICT, nothing was written; 0 = 1,000 */
};
/* What they have in common. ret (may be NULL) is the new state. err->applied says of a failure whether it was written:
 * TENURE_APPLIED_MAYBE only when nobody could be asked before the deadline, the call was cancelled, or the marks' session
 * ended. Blocking handles. */

/* Whatever is there. */
int tenure_value_set(tenure_value *v, struct tenure_bytes value, const struct tenure_value_write_options *o,
                     struct tenure_value_state **ret, struct tenure_error *err);
/* If its mod_revision is this one; 0 = if it does not exist. TENURE_ECONFLICT: it is *ret instead. The mod_revision of a key never
 * comes back; its version does, when it is deleted and created again, and so would prove less. */
int tenure_value_cas(tenure_value *v, int64_t mod_revision, struct tenure_bytes value,
                     const struct tenure_value_write_options *o, struct tenure_value_state **ret,
                     struct tenure_error *err);
/* If its mod_revision is this one; 0 = whatever it is, and also when it does not exist. */
int tenure_value_delete(tenure_value *v, int64_t mod_revision, const struct tenure_value_write_options *o,
                        struct tenure_value_state **ret, struct tenure_error *err);

enum tenure_value_verdict {
    TENURE_VALUE_PUT =
        0, /* *shall is to be there: borrowed until the function is called again or the update has ended */
    TENURE_VALUE_DELETE = 1, /* nothing is to be there */
    TENURE_VALUE_LEAVE = 2   /* it is as it should be: the update has ended, nothing is written */
};
/* What is to be there instead of `is` (borrowed): a verdict, or a TENURE_E… code, by which the update ends with nothing written.
 * Called again with what is there then whenever somebody was faster; what it answered last is applied, once. On the loop's
 * thread, also in the blocking form: it must not wait, and have no effects of its own. */
typedef int (*tenure_value_fn)(const struct tenure_value_state *is, struct tenure_bytes *shall, void *arg);
int tenure_value_update(tenure_value *v, tenure_value_fn fn, void *arg, const struct tenure_value_write_options *o,
                        struct tenure_value_state **ret, struct tenure_error *err);

/* The same without waiting; cb may be NULL. Inputs are copied, but for arg. */
int tenure_value_set_start(tenure_value *v, struct tenure_bytes value, const struct tenure_value_write_options *o,
                           tenure_value_cb cb, void *user, struct tenure_error *err);
int tenure_value_cas_start(tenure_value *v, int64_t mod_revision, struct tenure_bytes value,
                           const struct tenure_value_write_options *o, tenure_value_cb cb, void *user,
                           struct tenure_error *err);
int tenure_value_delete_start(tenure_value *v, int64_t mod_revision, const struct tenure_value_write_options *o,
                              tenure_value_cb cb, void *user, struct tenure_error *err);
int tenure_value_update_start(tenure_value *v, tenure_value_fn fn, void *arg,
                              const struct tenure_value_write_options *o, tenure_value_cb cb, void *user,
                              struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
