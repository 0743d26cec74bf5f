/* What the checkers of fence.h say alike. */
#ifndef LIB_FENCE_H
#define LIB_FENCE_H

#include <tenure/lock.h>

/* TENURE_EFENCED, with the words for it. */
int fence_refused(struct tenure_error *err, const char *resource, tenure_token token, tenure_token seen);
/* 0, or TENURE_EINVALID for what is no token. */
int fence_token_check(struct tenure_error *err, const char *resource, tenure_token token);

#endif
