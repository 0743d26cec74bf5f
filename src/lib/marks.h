/* Guarded transactions of a handle of which it is known whether they were applied (recipes/commit.h), with marks on the
 * shared session. Loop thread. */
#ifndef LIB_MARKS_H
#define LIB_MARKS_H

#include "lib/session.h"
#include "recipes/commit.h"

/* Marks under that prefix (NULL = "/marks/"), made with the first commit that needs them, on the shared session; new ones
 * when that was lost. Errors as lib_session_use. */
int lib_marks_use(tenure_client *c, const char *prefix, struct marks **ret, struct tenure_error *err) MUST_USE;
/* The same on the session that this user is on, which is the shared one. */
int lib_marks_beside(const struct lib_session_user *u, const char *prefix, struct marks **ret, struct tenure_error *err)
    MUST_USE;

#endif
