/* A change of a running cluster, in steps: what the actions of `tenure cluster` that make one share. One thread. */
#ifndef CLI_CLUSTER_CHANGE_H
#define CLI_CLUSTER_CHANGE_H

#include <jansson.h>

#include "cli/cluster.h"
#include "cli/cluster_guard.h"
#include "cli/cluster_survey.h"
#include "cli/signals.h"

enum { CHANGE_URLS_BYTES_MAX = 4096, CHANGE_NAME_BYTES_MAX = 256 };

struct change {
    const struct global_options *g;
    const struct cluster_options *o;
    tenure_client *client;
    struct cluster_survey survey; /* of the last change_look */
    struct cluster_guard guard;   /* from the first look on at which there is a quorum */
    struct signals signals;
    int signal; /* that asked to end; 0 = none did */
    int64_t until;
    uint64_t replaced; /* the member that lives and is to go; 0 = none */
    int code;          /* EXIT_OK, or that of the first failure */
};

/* False after having said why not; change_close in any case. */
bool change_open(struct change *x, const struct global_options *g, const struct cluster_options *o);
/* Answers the exit code; ends this program by the signal that asked for that. */
int change_close(struct change *x);

/* It failed with this exit code: -1. */
int change_stop(struct change *x, int code);
/* Asks all members anew; sees to it that nobody else changes the cluster meanwhile. */
int change_look(struct change *x);
/* Waits a moment; false when time is over or somebody asked to end. */
bool change_pause(struct change *x);

/* Of the last look: by name or id; NULL after having said which there are. */
const struct cluster_row *change_find(struct change *x, const char *who);
/* The member with this id; NULL. */
const struct tenure_member *change_member(const struct change *x, uint64_t id);
/* Tells what was done with a member; start (NULL = nothing) is what it has to be started with. Takes start. */
void change_tell(const struct change *x, const struct tenure_member *m, const char *what, json_t *start);

/* The leadership goes to another voter that answers, so that nobody waits for an election. */
int change_take_leadership_from(struct change *x, uint64_t id);
/* Until most voters answer and know a leader. */
int change_await_leader(struct change *x);

/* Whether --peer-urls and --name can be what they are for; says what is wrong. */
bool change_has_urls(const struct cluster_options *o);
/* A new member: known as a learner, started by its owner, caught up, a voter. Goes on with one that was begun. */
int change_add(struct change *x);

#endif
