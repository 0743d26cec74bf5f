/* Giving free pages of the file back to the system, a slice at a time. The thread that holds the connection. */
#ifndef BACKEND_DEFRAG_H
#define BACKEND_DEFRAG_H

#include "backend/checkpoint.h"
#include "backend/db.h"

enum defrag_step {
    DEFRAG_MORE,   /* call again, when no batch waits */
    DEFRAG_WAIT,   /* call again a little later: the WAL is long enough */
    DEFRAG_DONE,   /* or nothing that could be given back */
    DEFRAG_FAILED, /* err says why: no room, or busy; the log goes on */
    DEFRAG_BROKEN  /* err says why: nothing may be written any more */
};

enum defrag_step defrag_step(struct db *d, struct checkpoint *c, struct tenure_error *err);

#endif
