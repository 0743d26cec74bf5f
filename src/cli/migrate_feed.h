/* Every change of the source from a revision on, handed from the library's thread to the one that writes: a queue that is bounded by
 * stopping to read, so that a source with much to tell waits in its socket, not in our memory.
 *
 * Failure modes: lost connections are the library's, which goes on behind the last revision; a past too large for its own buffer is
 * asked for again from where this queue ends. What remains (compacted, denied) ends the feed with its error. */
#ifndef CLI_MIGRATE_FEED_H
#define CLI_MIGRATE_FEED_H

#include <pthread.h>
#include <tenure/tenure.h>

#include "api/watch.h"
#include "base/list.h"

/* Whole revisions. */
struct migrate_batch {
    struct list link;
    size_t n, bytes;
    struct event events[]; /* the bytes of keys and values stand behind them */
};

struct migrate_feed {
    tenure_client *client; /* used for nothing else: its thread may have to wait for room */
    tenure_watch *watch;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct list queue;
    size_t bytes;
    bool closing, ended;
    int64_t next; /* the revision that comes behind the queue */
    struct tenure_error error;
};

/* From revision `next` on. Takes nothing; client is the caller's and outlives the feed. */
int migrate_feed_open(struct migrate_feed *f, tenure_client *client, int64_t next, struct tenure_error *err);
void migrate_feed_close(struct migrate_feed *f);
/* The next batch, waiting for at most wait_ms; freed by the caller. NULL: none came; or the feed has ended: then *ret_code is below
 * 0 and err filled. */
struct migrate_batch *migrate_feed_take(struct migrate_feed *f, int64_t wait_ms, int *ret_code,
                                        struct tenure_error *err);

#endif
