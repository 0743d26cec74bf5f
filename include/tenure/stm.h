/* Software transactional memory: a function that reads and writes keys as if nobody else were there, applied once, as a
 * whole, or not at all.
 *
 *     static int move(tenure_stm_view *v, void *arg)
 *     {
 *         struct tenure_kv from;
 *         int rc = tenure_stm_get(v, tenure_str("/accounts/a"), &from);
 *         if (rc < 0)
 *             return rc;
 *         …
 *         return tenure_stm_put(v, tenure_str("/accounts/a"), …);
 *     }
 *
 * The function is run again when somebody else changed what it had read; so it must have no effects but those on the view.
 *
 * Whether it was applied is known also when an answer was lost: each commit moves a key of this handle's own, a mark, under
 * `/marks/` on the handle's shared session, in the same transaction. Who may not write there names another prefix, or does
 * without (`unmarked`); then a lost answer is reported: err->applied is TENURE_APPLIED_MAYBE. With marks that is so only when
 * the servers do not answer until the deadline, or the session ends before.
 */
#ifndef TENURE_STM_H
#define TENURE_STM_H

#include <tenure/kv.h>
#include <tenure/wait.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_stm_view tenure_stm_view;

/* What must still hold when the writes are applied, and at which revisions the reads are made; etcd's four. */
enum tenure_stm_isolation {
    TENURE_STM_SERIALIZABLE_SNAPSHOT =
        0,                       /* no key read was changed, no key written was changed behind the first read */
    TENURE_STM_SERIALIZABLE = 1, /* no key read was changed; all reads see the revision of the first */
    TENURE_STM_REPEATABLE_READS =
        2, /* no key read was changed; a key reads the same all along, two may differ in revision */
    TENURE_STM_READ_COMMITTED = 3 /* nothing; reads may be old, a key reads the same all along */
};

struct tenure_stm_options {
    size_t size;
    enum tenure_stm_isolation isolation;
    const struct tenure_bytes *prefetch; /* keys that the function reads for sure: read together, before it is run */
    size_t n_prefetch;
    int64_t timeout_ms;    /* of the whole, all attempts; 0 = 30,000 */
    int64_t attempts_max;  /* 0 = 1,000; then TENURE_ECONFLICT */
    const char *marks;     /* prefix of the marks; NULL = "/marks/" */
    bool unmarked;         /* no marks */
    int64_t *ret_revision; /* where it was applied; 0 when nothing was written; may be NULL */
    int64_t *ret_attempts; /* how often the function was run; may be NULL */
};

/* Runs body(view, arg) on the caller's thread and commits when it answers 0; again after a conflict, with a rest that grows,
 * until the deadline or the bound. Answers 0 when it was applied, body's value when that was not 0 (nothing was written
 * then; err is filled when it is a TENURE_E… code), else why it was not: TENURE_ECONFLICT, TENURE_ETIMEOUT, … with
 * err->applied. A function that only reads writes nothing and still answers what was true at once. Blocking handles. */
int tenure_stm(tenure_client *c, const struct tenure_stm_options *o, int (*body)(tenure_stm_view *v, void *arg),
               void *arg, struct tenure_error *err);

/* The same without a thread that waits, on any handle: body is run on the loop's thread, never within this call. A key that it
 * asks for and that is not known yet cannot be waited for there: tenure_stm_get and tenure_stm_fetch answer TENURE_EBUSY, and so
 * does everything after; body returns (with whatever), the keys are read, and it is run again from its beginning, in the same attempt:
 * it reads the same as before, and what it wrote is forgotten. So nothing in it may depend on how often it runs; what it will read for
 * sure is best named by `prefetch`, or by one tenure_stm_fetch at its beginning: then it is run once an attempt. body and arg
 * must live until cb; options are copied, and ret_revision and ret_attempts not used.
 *
 * cb comes once: code as what tenure_stm answers, and where it was applied (0 when nothing was written). NULL when it could not
 * begin. To be freed by tenure_wait_stop, which cancels. */
typedef void (*tenure_stm_cb)(void *user, int code, int64_t revision, int64_t attempts, const struct tenure_error *err);
tenure_wait *tenure_stm_start(tenure_client *c, const struct tenure_stm_options *o,
                              int (*body)(tenure_stm_view *v, void *arg), void *arg, tenure_stm_cb cb, void *user,
                              struct tenure_error *err);

/* All for body's thread, while it runs. A failure sticks: everything after it fails alike, and the transaction with it.
 * Bounds: 10,000 keys, 64 MiB of keys and values (TENURE_ELIMIT); servers allow 127 writes, and as many keys read. */

/* The key as this transaction sees it, its own writes included (those have no revisions). 0, or TENURE_ENOTFOUND (which does
 * not stick; a key that is not there is guarded as well), or TENURE_EBUSY (see tenure_stm_start). ret may be NULL, and lives until body returns. */
int tenure_stm_get(tenure_stm_view *v, struct tenure_bytes key, struct tenure_kv *ret);
/* Reads n keys in as few round trips as can be, for tenure_stm_get to find. */
int tenure_stm_fetch(tenure_stm_view *v, const struct tenure_bytes *keys, size_t n);
/* Copy. lease 0 = none. */
int tenure_stm_put(tenure_stm_view *v, struct tenure_bytes key, struct tenure_bytes value, int64_t lease);
int tenure_stm_delete(tenure_stm_view *v, struct tenure_bytes key);
/* Which run of body this is, from 1 on. */
int64_t tenure_stm_attempt(const tenure_stm_view *v);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
