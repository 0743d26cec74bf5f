/* What a migration asks the server that data come from, besides the watch. Each asks again while no server answers, for as long as the
 * migration may wait; so a source that restarts, or elects a leader, only makes it slower. One thread. */
#ifndef CLI_MIGRATE_SOURCE_H
#define CLI_MIGRATE_SOURCE_H

#include <tenure/tenure.h>

#include "cli/wait.h"

struct migrate_source {
    tenure_client *client;
    size_t endpoint;     /* of those calls that are for one server: one that has answered */
    struct wait *wait;   /* for the signals that end it */
    int64_t deadline_ms; /* on io_clock; INT64_MAX = none */
    bool patient;        /* it has answered before */
    bool stopped;        /* by a signal or the deadline: an error then only says so */
};

/* Whether a signal or the deadline has ended the waiting. */
bool migrate_source_stopped(struct migrate_source *s);

/* Who it is, of the first endpoint that answers. */
int migrate_source_ids(struct migrate_source *s, uint64_t *ret_cluster, uint64_t *ret_member, struct tenure_error *err);
/* The newest revision: no write that was answered before is missing. What is asked next of the same server is as new. */
int migrate_source_revision(struct migrate_source *s, int64_t *ret, struct tenure_error *err);
int migrate_source_leases(struct migrate_source *s, struct tenure_lease_list **ret, struct tenure_error *err);
/* The TTL that it was granted with; 0: it is not there. */
int migrate_source_lease_ttl(struct migrate_source *s, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err);
int migrate_source_hash(struct migrate_source *s, struct tenure_hash_kv *ret, struct tenure_error *err);
/* *ret: 0 where the source does not tell (etcd 3.4). */
int migrate_source_auth_revision(struct migrate_source *s, uint64_t *ret, struct tenure_error *err);
/* Whether it has users or roles at all. */
int migrate_source_has_users(struct migrate_source *s, bool *ret, struct tenure_error *err);
/* Whether all that writes is refused. */
int migrate_source_is_closed(struct migrate_source *s, bool *ret, struct tenure_error *err);
/* Closes it, durably, or opens it again. Not asked again. */
int migrate_source_close(struct migrate_source *s, uint64_t member, struct tenure_error *err);
int migrate_source_open(struct migrate_source *s, uint64_t member, struct tenure_error *err);

#endif
