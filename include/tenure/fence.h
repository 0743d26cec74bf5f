/* Fencing: refusing, where the data lives, what somebody writes who does not hold the lock any more.
 *
 * A program that was stopped, or cut off, cannot know that its lock went to another one: it goes on and writes. Every recipe
 * that has a holder gives it a token that is greater than those of all holders before it (tenure_lock_token,
 * tenure_election_token, …). Write the token with the data, and let the resource refuse what comes with a smaller one than it
 * has seen. This header has the checkers that are C: the store itself, this process's memory, a file. Those for PostgreSQL,
 * SQLite and Redis are scripts (`tenure fence script`), that for an HTTP service is a proxy before it (`tenure fence proxy`);
 * docs/fencing.md says how they are used.
 *
 * An equal token is the same holder and is let through. A checker knows only of holders who have come to it: until the new
 * one's first access the old one still gets in. So let a new holder show its token first, before it reads what it will
 * decide by.
 */
#ifndef TENURE_FENCE_H
#define TENURE_FENCE_H

#include <tenure/kv.h>
#include <tenure/lock.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

/* ---- tokens that came with a request ---- */

/* The header of HTTP in which a client shows its token, as decimal digits, and which `tenure fence proxy` reads. A program that is asked
 * and checks by itself parses it and enters a fence of those below, in memory or of a file, before it does what it was asked for. */
#define TENURE_TOKEN_HEADER "Tenure-Fencing-Token"
/* Digits alone, from 1 on. TENURE_EINVALID (also for none; the text quotes it): refuse the request. Any thread. */
int tenure_token_parse(struct tenure_bytes text, tenure_token *ret, struct tenure_error *err);

/* ---- the store itself: the lock is checked by the transaction that writes ---- */

/* The transaction succeeds only while this key, the holder's (tenure_lock_key, tenure_election_key), stands with this token. What
 * is guarded so never loses an update, whatever was stopped for how long. */
void tenure_if_token(tenure_txn *t, const char *holder_key, tenure_token token);

/* ---- a UUID per leadership, at /leader/<name>/fencing-token, for programs that share that scheme ---- */

#define TENURE_UUID_SIZE 37 /* 36 characters and the 0 behind them */

/* Draws a UUID, writes it there while the holder's key stands with its token, on its lease, and gives it to the holder. So it
 * changes with each leadership, and goes with the lease of the last. TENURE_ENOTHELD: the key does not stand with that
 * token any more. Known for sure, also when an answer was lost (tenure_txn_exact). Blocking handles. */
int tenure_fence_generate(tenure_client *c, const char *name, const char *holder_key, tenure_token token, int64_t lease,
                          char ret[TENURE_UUID_SIZE], struct tenure_error *err);
/* Whether it is the one that stands there, by a linearizable read: 0, or TENURE_EFENCED. Between this answer and what is
 * written afterwards there is a gap, in which another one may take over: it is good for refusing early, not for safety. Where
 * the data is in the store use tenure_if_fencing_token, which leaves no gap; elsewhere compare tokens where it is. Blocking
 * handles. */
int tenure_fence_validate(tenure_client *c, const char *name, const char *uuid, struct tenure_error *err);
/* The transaction succeeds only while that UUID is the one that stands there: validates and writes in one revision. */
void tenure_if_fencing_token(tenure_txn *t, const char *name, const char *uuid);

/* ---- this process's memory ---- */

/* Guards what threads of this process share and change for holders in other places (requests that carry a token). */
typedef struct tenure_fence tenure_fence;

/* resource: for messages; copied. NULL: TENURE_ENOMEM, or no resource. */
tenure_fence *tenure_fence_new(const char *resource);
/* Nobody may be inside. NULL is fine. */
void tenure_fence_free(tenure_fence *f);
/* Waits until nobody is inside, and goes in: 0, to be followed by tenure_fence_leave from the same thread. From then on smaller
 * tokens are refused: TENURE_EFENCED, at once behind the one inside. Nobody comes between the check and what the caller does
 * inside. TENURE_EINVALID: a token below 1. Any thread, not twice from one. */
int tenure_fence_enter(tenure_fence *f, tenure_token token, struct tenure_error *err);
void tenure_fence_leave(tenure_fence *f);
/* The greatest that came in; 0 = none yet. Any thread. */
tenure_token tenure_fence_seen(const tenure_fence *f);

/* ---- a file ---- */

/* Guards a file among all processes of this machine (and of those that share it by a file system with locks) that go through
 * this: the greatest token is kept in "<path>.fence" beside it, checked and written under a lock on that file, and on the disk
 * before the caller may write. Who does not go through it is not kept out: give the file to one user, and let that one use it. */
typedef struct tenure_fence_file tenure_fence_file;

/* Opens, or makes, "<path>.fence", with the mode of the file, else 0600. NULL: TENURE_EIO (named), TENURE_EDENIED, TENURE_ECORRUPT (what
 * is there was not written by this), TENURE_ENOMEM. */
tenure_fence_file *tenure_fence_file_open(const char *path, struct tenure_error *err);
/* Nobody may be inside. NULL is fine. */
void tenure_fence_file_close(tenure_fence_file *f);
/* Waits at most wait_ms (0 = not at all, TENURE_EBUSY; < 0 = without end) until nobody is inside, here or in another process, and
 * goes in: 0, to be followed by tenure_fence_file_leave; when the process dies it has left. The thread's scope ends the wait
 * (scope.h), within some 10 ms. TENURE_EFENCED, TENURE_ETIMEOUT, TENURE_ECANCELLED, TENURE_EIO, TENURE_ENOSPACE (the token could not be kept: nothing may be written). One thread at a time. */
int tenure_fence_file_enter(tenure_fence_file *f, tenure_token token, int64_t wait_ms, struct tenure_error *err);
void tenure_fence_file_leave(tenure_fence_file *f);
/* All of it in one: enters, replaces the file's contents as a whole (a new file, on the disk, renamed over the old one, which keeps its
 * mode; who reads sees the old or the new), leaves. */
int tenure_fence_file_replace(tenure_fence_file *f, tenure_token token, int64_t wait_ms, struct tenure_bytes contents,
                              struct tenure_error *err);
/* The descriptor whose lock keeps others out while it is inside, owned by f. It is closed on exec: a child that is to go on writing
 * under the lock must inherit it (fcntl F_SETFD), then others wait until the child has ended too. -1 for NULL. */
int tenure_fence_file_fd(const tenure_fence_file *f);
/* The greatest token that is kept, read from the disk; 0 = none yet. < 0: an error. */
tenure_token tenure_fence_file_seen(tenure_fence_file *f, struct tenure_error *err);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
