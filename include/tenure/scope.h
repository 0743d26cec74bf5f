/* Scopes: what calls have in common while they run: how they are cancelled, and by when they must have ended.
 *
 *     tenure_scope *s = tenure_scope_new(NULL, &err);
 *     tenure_scope *before = tenure_scope_use(s);       this thread's calls belong to s from here …
 *     tenure_put_start(c, …);  tenure_lock_acquire(c, …);
 *     tenure_scope_use(before);                         … to here
 *     tenure_scope_cancel(s);                           any thread, any time: those of them that have not ended do now
 *
 * What belongs to the scope that a thread has in use: each blocking call and each `_start` function that has a completion, of
 * every header: reads, writes, transactions, pages of iterators, calls to the servers' own services, acquiring locks,
 * read-write locks, semaphores, places and several at once, barriers, queues, counters, ids, the steps of transactional memory,
 * tenure_session_open, tenure_election_await, tenure_presence_await, tenure_cron_run, and waiting for the file of a
 * tenure_fence_file. It belongs to it until its completion is called, or until it
 * returns; what it gave (a lock that is held, an item, a session) does not.
 * What does not: letting go (tenure_unlock, tenure_session_close, tenure_double_barrier_leave, every `_stop` and `_close`),
 * and what lives on until its own stop function is called: elections, observers, watches, sessions begun by
 * tenure_session_start, presences, schedulers, watched groups, open queues, and iterators between their pages.
 * In callbacks no scope is in use at first, on any kind of handle, and what a callback leaves in use is undone when it returns.
 *
 * A scope may also say which trace its calls belong to, and whose they are: trace.h.
 *
 * A cancelled call ends once, as any call does: with TENURE_ECANCELLED, or with what it had come to already. Its request is
 * withdrawn from the server (RST_STREAM, CANCEL); err->applied is TENURE_APPLIED_NO where it had provably not been taken up, and
 * TENURE_APPLIED_MAYBE where a write was on its way: the server may carry it out still. What it had made at the server, a
 * place in a queue of waiters, a claim, a key of its own, is taken back as when its time had passed, behind the program's back;
 * only what a lost request may still make stands until its lease ends. The handle, and the object that the call was made on,
 * go on as if the call had failed. Of a `_start` function the completion comes from the loop, never from within
 * tenure_scope_cancel.
 */
#ifndef TENURE_SCOPE_H
#define TENURE_SCOPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <tenure/error.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_scope tenure_scope;

struct tenure_scope_options {
    size_t size;
    /* From now on. A call in the scope that has not ended by then ends with TENURE_ETIMEOUT, unless its own time is over before.
     * 0 = none. It goes on through suspend. */
    int64_t timeout_ms;
    /* What is cancelled there is cancelled here too, and its deadline holds. The parent may be freed before. NULL = none. */
    tenure_scope *parent;
    /* The trace that its calls belong to, as W3C's Trace Context writes it: "00-<32 hex>-<16 hex>-<2 hex>", all lower case, and a
     * list "key=value,…" of at most 512 bytes. They go to the servers with each call, as metadata, and into its events: see
     * trace.h. NULL: the parent's; tracestate only beside a traceparent. Copied. */
    const char *traceparent, *tracestate;
    /* Goes into the events of its calls as scope_user. NULL: the parent's. As calls may go on behind the scope's end (a lock that
     * is held, what is taken back of a cancelled call), user_free, unless NULL, says when nothing names it any more: once, on any
     * thread, also within functions of the library; it must call none. Not when tenure_scope_new fails. */
    void *user;
    void (*user_free)(void *user);
};

/* A scope, for any number of handles, threads and calls. NULL on failure: TENURE_EINVALID (a negative time, a traceparent or
 * tracestate that is none; the text says what was expected, and where), TENURE_ENOMEM. Any thread. */
tenure_scope *tenure_scope_new(const struct tenure_scope_options *o, struct tenure_error *err);
/* From now on what this thread begins belongs to scope; NULL: to none. Returns what was in use before, for the call that puts
 * it back: scopes nest like blocks. A scope has an effect inside another one of which it is no child: the inner one alone
 * counts. */
tenure_scope *tenure_scope_use(tenure_scope *scope);
/* Ends all calls in it and in its children, and makes every later one there fail at once with TENURE_ECANCELLED. For good: a
 * scope is not used again after that. Never blocks for I/O, calls nobody back, and may be called any number of times. Any thread,
 * also in callbacks, and on uv and poll handles; not from a signal handler (it takes a mutex), and without effect on the
 * parent's calls in a child of fork. NULL is fine. */
void tenure_scope_cancel(tenure_scope *scope);
/* Whether a call that begins now would fail: 0 = no, else TENURE_ECANCELLED or TENURE_ETIMEOUT. NULL: 0. Any
 * thread. */
int tenure_scope_code(const tenure_scope *scope);
/* How many calls are in it now, without those of its children; one that another thread is just beginning may be missed. NULL: 0.
 * Any thread. */
size_t tenure_scope_calls(const tenure_scope *scope);
/* Frees it; no thread may have it in use but this one, which then has none. Its calls are not cancelled by that, and its deadline
 * holds for them. NULL is fine. */
void tenure_scope_free(tenure_scope *scope);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
