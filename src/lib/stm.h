/* The view of a transaction in memory, shared by the form that waits on the caller's thread (stm.c) and the one that does not
 * (stm_start.c). */
#ifndef LIB_STM_H
#define LIB_STM_H

#include <tenure/stm.h>

#include "base/buf.h"
#include "lib/handle.h"
#include "recipes/errand.h"
#include "recipes/stm.h"

struct tenure_stm_view {
    tenure_client *handle; /* for reads: shows keys as the function names them; NULL = there is no thread to wait on: */
    struct errand *errand; /* the keys are wanted of this one, */
    struct buf key;        /* and are whole in the set; here the last one named is put together */
    tenure_client *root;   /* for the commit, in which all keys are whole */
    bytes ns;
    struct stm *set;
    tn_ms until;
    int64_t attempt;
    int code; /* sticks; 0 = none */
    struct tenure_error why;
    bool stale; /* what was read cannot be read on: run again */
    bool waits; /* for what was wanted: run again then */
};

/* Checks the options and fills in their defaults. */
int stm_options_check(struct tenure_stm_options *o, struct tenure_error *err) MUST_USE;

#endif
