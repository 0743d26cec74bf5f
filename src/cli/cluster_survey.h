/* What every member of a cluster says of itself, whichever of them are named. */
#ifndef CLI_CLUSTER_SURVEY_H
#define CLI_CLUSTER_SURVEY_H

#include <tenure/tenure.h>

#include "cli/command.h"

struct cluster_row {
    const struct tenure_member *member;
    bool has_endpoint;
    size_t endpoint;              /* of the survey's handle */
    struct tenure_status *status; /* NULL: it did not answer, see why */
    struct tenure_error why;
    int64_t took_ms;
};

struct cluster_survey {
    struct tenure_member_list *list;
    struct cluster_row *rows; /* one for each of the list */
    tenure_client *client;    /* over all that have a client address */
    size_t voters, voters_up;
    uint64_t newest; /* the largest raft index seen */
    uint64_t leader; /* 0 = nobody names one */
    bool has_alarm;
};

/* Asks c for the members (from one member's own memory: it answers without a quorum too), and then each of them. False after
 * having said why not, with the exit code in ret_code. */
bool cluster_survey(struct cluster_survey *s, tenure_client *c, const struct global_options *g, int *ret_code);
void cluster_survey_free(struct cluster_survey *s); /* of a zeroed one as well */

/* The first client address of each member that has one, in the order of the rows, with commas between; the caller frees it. NULL:
 * there is none. */
char *cluster_survey_addresses(const struct tenure_member_list *list);
bool cluster_survey_has_quorum(const struct cluster_survey *s);
const char *cluster_role(const struct cluster_survey *s, const struct cluster_row *r);
/* By name or hexadecimal id; NULL when there is none, or several of that name. */
const struct cluster_row *cluster_survey_find(const struct cluster_survey *s, const char *name);

#endif
