/* What is begun by a function that ends in `_start` and may take long: a wait that can be given up. */
#ifndef TENURE_WAIT_H
#define TENURE_WAIT_H

#include <tenure/client.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

typedef struct tenure_wait tenure_wait;

/* The end of what has no result: code 0, or TENURE_E… with a reason. On the loop's thread, exactly once. */
typedef void (*tenure_done_cb)(void *user, int code, const struct tenure_error *err);

/* Gives it up, when it has not ended, and frees. Its callback follows in that case, never within the call, with
 * TENURE_ECANCELLED, or with its end when that was faster. Once for each start, in the callback or later; wait must not be used
 * any more. NULL is fine. Any handle; loop thread for uv and poll. */
void tenure_wait_stop(tenure_wait *wait);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif
