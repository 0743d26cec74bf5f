/* Threads that wait until something is so, of an object of a handle. Loop thread, but for waiters_await. */
#ifndef LIB_WAITERS_H
#define LIB_WAITERS_H

#include "lib/post.h"

enum waiters_answer { WAITERS_WAIT, WAITERS_DONE, WAITERS_FAILED };

struct waiters {
    struct list all;
    tenure_client *handle;
    const char *what; /* "presence": in error texts */
    /* On the loop: whether it is so already, or never will be, with err filled. */
    enum waiters_answer (*look)(void *owner, tn_ms now, struct tenure_error *err);
    void *owner;
};

/* Blocking handles, any thread but the loop's: 0, why it never will, or TENURE_ETIMEOUT with `not_yet`. timeout_ms 0 = the
 * handle's. */
int waiters_await(struct waiters *w, int64_t timeout_ms, const char *not_yet, struct tenure_error *err) MUST_USE;
/* Ends all. */
void waiters_answer(struct waiters *w, int code, const struct tenure_error *err);

#endif
