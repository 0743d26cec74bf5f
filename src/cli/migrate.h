/* tenure migrate --data-dir: a server's data into a new directory while it goes on serving.
 *
 *   COPYING --snapshot restored--> FOLLOWING --in step, told to end--> DRAINING --at the last revision--> verified --> finished
 *      (migrate_copy.c)         (migrate_run.c)  [source closed]         (migrate_finish.c)
 *
 * Killed anywhere it goes on when run again: COPYING from the beginning, all else from the directory's own revision. Until it is
 * finished no server takes the directory. */
#ifndef CLI_MIGRATE_H
#define CLI_MIGRATE_H

#include "cli/command.h"
#include "cli/migrate_feed.h"
#include "cli/migrate_source.h"
#include "cli/migrate_target.h"

struct migrate_options {
    const char *data_dir, *name;
    bool until_in_step;   /* ends when in step, unfinished */
    bool close_source;    /* closes the source when in step, and finishes */
    bool writers_stopped; /* finishes when in step; that nobody writes is the user's word */
    int64_t timeout_ms;   /* 0 = none */
};

struct migrate {
    const struct migrate_options *o;
    const struct global_options *g;
    struct wait wait;
    tenure_client *calls, *changes; /* two handles: the second one's thread waits while the queue is full */
    struct migrate_source source;
    struct migrate_target target;
    struct migrate_feed feed;
    bool has_target, has_feed;
    uint64_t cluster, member; /* of the source */

    int64_t newest;   /* revision of the source when it was asked last */
    tn_ms asked_at;   /* when that was */
    tn_ms matched_at; /* when the leases were compared last */
    tn_ms shown_at;
    bool told_in_step;

    bool draining;
    int64_t until;      /* the revision to reach before what is there is verified */
    tn_ms stands_since; /* since when the source has had no newer revision */
    bool was_closed;    /* before we came */
    bool closed;        /* by us */
    uint32_t hash;
    int64_t leases;
    bool finished;

    struct tenure_error err;
};

/* Answers the exit code. */
int migrate_run(const struct migrate_options *o, const struct global_options *g);

/* ---- the parts: 0, or a code below 0 with m->err filled ---- */

/* The directory is there, opened, and of this source. */
int migrate_begin(struct migrate *m);
/* Where a snapshot goes on its way in: beside the directory, so that there is as much room for it. */
int migrate_copy_path(const char *dir, char *out, size_t size, struct tenure_error *err);
/* Grants and revokes at the target what the source has granted and lost; *ret_left: leases that only the target has, with keys. */
int migrate_match_leases(struct migrate *m, size_t *ret_left);
/* Asks the source how far it is. */
int migrate_ask_revision(struct migrate *m);
/* The work of DRAINING begins: closes the source where that is wanted. */
int migrate_drain(struct migrate *m);
/* At m->until: verifies and finishes. m->finished stays false where the source has gone on meanwhile. */
int migrate_finish(struct migrate *m);
/* What did not come to its end leaves the source as it was. */
void migrate_reopen(struct migrate *m);
/* One line on a terminal, again and again; others see nothing. */
void migrate_show(struct migrate *m, const char *fmt, ...) PRINTF_LIKE(2, 3);
void migrate_show_end(struct migrate *m);

#endif
