/* What a thread asks of the loop, and may wait for. Embedded at the start of what it asks for, on the heap, counted: one
 * reference is the asker's, one the loop's, so that an asker whose time is over goes away and the loop still has its half.
 *
 *     NEW -> QUEUED -> RUNNING -> DONE
 *               +--> ABANDONED (the asker's time was over first: it is never run)
 *
 * post_send, post_wait, post_unref: any thread. post_done, posts_run, posts_close: the loop's.
 */
#ifndef LIB_POST_H
#define LIB_POST_H

#include "lib/handle.h"

enum post_state { POST_NEW, POST_QUEUED, POST_RUNNING, POST_DONE, POST_ABANDONED };

struct post {
    struct list link;
    tenure_client *handle;                  /* that it was sent to */
    void (*run)(struct post *p, tn_ms now); /* must come to post_done, then or later */
    void (*free)(struct post *p);
    atomic_uint refs;
    bool must_run; /* never abandoned, never over the bound: there is one a thread or object at most */
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    enum post_state state; /* the rest: under the mutex */
    bool is_given_up;      /* nobody waits any more */
    int code;
    struct tenure_error error;
};

/* One reference, the caller's. 0 or TENURE_ENOMEM. */
int post_init(struct post *p, void (*run)(struct post *, tn_ms), void (*free)(struct post *), struct tenure_error *err)
    MUST_USE;
/* Drops a reference; the last one frees by p->free. */
void post_unref(struct post *p);
/* Takes a reference for the loop and hands p over. TENURE_ECLOSED, TENURE_ELIMIT: not handed over. */
int post_send(tenure_client *c, struct post *p, struct tenure_error *err) MUST_USE;
/* Waits until p is done or the time is `until` (handle_clock; TN_MS_NEVER = without end). Answers the state: POST_DONE, or
 * POST_ABANDONED (never begun, will not be), or another (it goes on without a waiter). */
enum post_state post_wait(struct post *p, tn_ms until);
/* Ends it (err may be NULL) and drops the loop's reference. Answers whether somebody waits or will look. */
bool post_done(struct post *p, int code, const struct tenure_error *err);

int posts_init(struct posts *q) MUST_USE;
void posts_fini(struct posts *q);
/* Runs what is queued; answers whether there was any. */
bool posts_run(tenure_client *c, tn_ms now);
/* From now on post_send answers TENURE_ECLOSED. What is queued can still be run. */
void posts_close(tenure_client *c);

/* The loop looks at its objects' deadlines soon. Any thread on a blocking handle; else the loop's. */
void handle_wake(tenure_client *c);

/* Runs fn(arg) on the loop's thread and returns when it has run; at once when this is that thread. It waits as long as a
 * callback keeps the loop busy. false: not run, because the handle is closed (its objects have ended by that). */
bool handle_sync(tenure_client *c, void (*fn)(void *arg), void *arg);

#endif
