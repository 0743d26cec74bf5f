/* A drill: what it did, and what came of it. */
#ifndef CLI_CLUSTER_DRILL_H
#define CLI_CLUSTER_DRILL_H

#include "cli/command.h"
#include "cli/drill_clients.h"

enum { DRILL_WRONG_MAX = 12, DRILL_TEXT_MAX = 160 };

struct drill_result {
    const char *member, *role;
    int pid;               /* that was killed; 0 = a command did it */
    const char *leader;    /* of a later term, who may be the same again; NULL = none was seen */
    int64_t leader_ms;     /* from the kill */
    int64_t whole_ms;      /* -1 = not within the time */
    bool leader_was_asked; /* the leader was killed, so there has to be one of a later term */
    bool never_away;       /* the command said that it was killed, and it answered all the time */
    struct drill_seen seen;
    char wrong[DRILL_WRONG_MAX][DRILL_TEXT_MAX]; /* what must not be */
    size_t n_wrong;
};

/* Fills `wrong`. */
void drill_judge(struct drill_result *r);
void drill_tell(const struct global_options *g, const struct drill_result *r);

#endif
