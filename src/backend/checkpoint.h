/* Keeps the WAL small: copies it back into the database file beside the writer, and says when the writer has to help.
 *
 * A checkpoint beside a busy writer never ends: there is always a newer frame. So a thread copies most of it; when what
 * is left is little, the writer copies that itself, between two transactions, and the next one begins the WAL anew in
 * its place. The file is never truncated while in use. Functions: the thread that holds the writer's connection. */
#ifndef BACKEND_CHECKPOINT_H
#define BACKEND_CHECKPOINT_H

#include <pthread.h>

#include "backend/db.h"

struct checkpoint {
    struct db *db;
    int64_t soft, hard; /* bytes of WAL */
    pthread_t thread;
    bool started;
    /* The writer's view. */
    int64_t frames;   /* at the commit before: fewer now means that the WAL began anew */
    int64_t left;     /* frames that the pass under way found */
    int64_t again_at; /* frames from which on a failed pass is tried again */
    bool help_due;    /* the writer should call checkpoint_help when nobody waits */
    /* Shared with the thread, under mutex. */
    pthread_mutex_t mutex;
    pthread_cond_t wake, done;
    bool running, stop;
    bool passed;    /* a pass ended and was not looked at yet */
    int rc;         /* of that pass */
    int64_t copied; /* frames that it had copied in all */
    struct tenure_error error;
};

int checkpoint_start(struct checkpoint *c, struct db *db, int64_t soft, int64_t hard, struct tenure_error *err)
    MUST_USE;
void checkpoint_stop(struct checkpoint *c); /* ends the thread; safe when it never started */
/* Whether a pass failed in a way after which nothing may be written any more. */
bool checkpoint_broken(struct checkpoint *c);

/* Whether the WAL has grown well past where a pass begins: who can wait should. */
bool checkpoint_is_behind(struct checkpoint *c);

/* After each commit: starts a pass when it is time, and sets help_due when the rest is little. */
void checkpoint_after_commit(struct checkpoint *c);
/* The writer's short part. 0, or an error after which nothing may be written any more. */
int checkpoint_help(struct checkpoint *c, struct tenure_error *err) MUST_USE;
/* Before a batch of about batch_bytes: 0 when the WAL has room for it below the hard bound; otherwise waits for the pass
 * that runs and does the rest. TENURE_ENOSPACE or TENURE_EBUSY: not now, later maybe; anything else: nothing may be
 * written any more. */
int checkpoint_make_room(struct checkpoint *c, int64_t batch_bytes, struct tenure_error *err) MUST_USE;

#endif
