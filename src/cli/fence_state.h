/* Where a fencing proxy keeps the greatest tokens: a folder with a file a resource, in the form of tenure_fence_file. One process at a
 * time has it. Blocking, but short. */
#ifndef CLI_FENCE_STATE_H
#define CLI_FENCE_STATE_H

#include <stdint.h>
#include <tenure/error.h>

struct fence_state;

/* Makes the folder, mode 0700, where there is none. NULL: TENURE_EBUSY (another proxy has it), TENURE_EIO, …, each naming it. */
struct fence_state *fence_state_open(const char *folder, struct tenure_error *err);
struct fence_state *fence_state_close(struct fence_state *s); /* NULL is fine; NULL */
/* For turnstile_config. keep: on the disk when it answers 0. */
int fence_state_load(void *state, const char *resource, int64_t *ret, struct tenure_error *err);
int fence_state_keep(void *state, const char *resource, int64_t token, struct tenure_error *err);

#endif
