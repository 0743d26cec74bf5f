#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/doctor.h"

#define PROBES         5
#define SLOW_READ_MS   50  /* a round trip that lets keepalives and watches lag */
#define SLOW_WRITE_MS  50  /* etcd asks for disks that sync in 10 ms */
#define FULL_PART      0.8 /* of the quota */
#define LOOSE_PART     0.5 /* of the file that nothing is in any more */
#define LOOSE_BYTES    (INT64_C(100) << 20)
#define QUOTA_DEFAULT  (INT64_C(2) << 30)
#define BEHIND_ENTRIES 1000

/* ---- one server ---- */

static double now_ms(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec * 1000 + (double)ts.tv_nsec / 1e6;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *ms)
{
    qsort(ms, PROBES, sizeof *ms, by_size);
    return ms[PROBES / 2];
}

/* NULL: it does not answer, which was said. */
static struct tenure_status *ask(struct doctor *d, size_t index, double *ret_ms)
{
    struct tenure_status *s = NULL;
    struct tenure_error err = {0};
    double ms[PROBES];
    for (int i = 0; i < PROBES; i++) {
        double begun = now_ms();
        tenure_status_free(s);
        s = NULL;
        if (tenure_status(d->client, index, d->g->call_timeout_ms, &s, &err) < 0) {
            doctor_found(d, DOCTOR_BAD, tenure_endpoint(d->client, index),
                         "is it running, and is there a way to it? its log says why it does not answer", "%s",
                         err.text);
            return NULL;
        }
        ms[i] = now_ms() - begun;
    }
    *ret_ms = median(ms);
    return s;
}

static void check_space(struct doctor *d, const char *endpoint, const struct tenure_status *s)
{
    int64_t quota = s->db_size_quota > 0 ? s->db_size_quota : QUOTA_DEFAULT;
    double mb = (double)s->db_size / 1e6;
    if ((double)s->db_size > FULL_PART * (double)quota)
        doctor_found(d, DOCTOR_WARN, endpoint,
                     "tenure compact REVISION, then tenure defrag; or a larger --quota-backend-bytes",
                     "%.1f MB of %.1f MB (%s) are used; at the end writes are refused", mb, (double)quota / 1e6,
                     s->db_size_quota > 0 ? "its quota" : "etcd's default quota");
    else if (s->db_size > LOOSE_BYTES && (double)s->db_size_in_use < (1 - LOOSE_PART) * (double)s->db_size)
        doctor_found(d, DOCTOR_WARN, endpoint, "tenure defrag", "%.1f MB, of which %.1f MB are in use", mb,
                     (double)s->db_size_in_use / 1e6);
}

static void check_one(struct doctor *d, const char *endpoint, const struct tenure_status *s, double ms)
{
    doctor_found(d, ms > SLOW_READ_MS ? DOCTOR_WARN : DOCTOR_OK, endpoint,
                 ms > SLOW_READ_MS ? "look at the network and the server's load" : NULL,
                 "answers in %.1f ms; version %s, %s, revision %" PRId64 ", %.1f MB", ms, s->version,
                 s->is_learner               ? "learner"
                 : s->leader == s->member_id ? "leader"
                                             : "follower",
                 s->revision, (double)s->db_size / 1e6);
    check_space(d, endpoint, s);
}

/* ---- all of them ---- */

struct seen {
    struct tenure_status **status; /* by endpoint; NULL: did not answer */
    size_t n, n_answered;
};

static void compare(struct doctor *d, const struct seen *all)
{
    const struct tenure_status *first = NULL;
    uint64_t newest = 0;
    for (size_t i = 0; i < all->n; i++)
        if (all->status[i] && all->status[i]->raft_index > newest)
            newest = all->status[i]->raft_index;
    for (size_t i = 0; i < all->n; i++) {
        const struct tenure_status *s = all->status[i];
        const char *endpoint = tenure_endpoint(d->client, i);
        if (!s)
            continue;
        if (!first)
            first = s;
        if (s->cluster_id != first->cluster_id)
            doctor_found(d, DOCTOR_BAD, endpoint, "name the members of one cluster only: locks in two exclude nobody",
                         "it belongs to another cluster than %s", first->endpoint);
        else if (s->leader == 0)
            doctor_found(d, DOCTOR_BAD, endpoint, "bring back a majority of the members",
                         "it has no leader: no quorum");
        else if (newest - s->raft_index > BEHIND_ENTRIES)
            doctor_found(d, DOCTOR_WARN, endpoint, "look at its disk and its network", "%" PRIu64 " entries behind",
                         newest - s->raft_index);
    }
}

static void check_members(struct doctor *d, const struct seen *all)
{
    struct tenure_member_list *r = NULL;
    struct tenure_error err = {0};
    if (tenure_member_list(d->client, false, d->g->call_timeout_ms, &r, &err) < 0) {
        doctor_found(d, DOCTOR_WARN, "cluster", NULL, "its members cannot be listed: %s", err.text);
        return;
    }
    size_t voters = 0;
    for (size_t i = 0; i < r->n; i++)
        voters += !r->members[i].is_learner;
    if (voters == 2)
        doctor_found(d, DOCTOR_WARN, "cluster", "run one member or three",
                     "two members: the loss of either stops writes");
    else if (voters > 1 && voters % 2 == 0)
        doctor_found(d, DOCTOR_WARN, "cluster", "run an odd number of members",
                     "%zu members bear no more losses than %zu", voters, voters - 1);
    else
        doctor_found(d, DOCTOR_OK, "cluster", NULL, "%zu member%s, %zu may be lost", voters, voters == 1 ? "" : "s",
                     (voters - 1) / 2);
    if (voters > 1 && all->n < voters)
        doctor_found(d, DOCTOR_WARN, "endpoints", "name them all, so that the loss of one does not cut this client off",
                     "%zu of %zu members are named", all->n, voters);
    tenure_member_list_free(r);
}

static void check_alarms(struct doctor *d)
{
    struct tenure_alarm_list *r = NULL;
    struct tenure_error err = {0};
    if (tenure_alarm_list(d->client, d->g->call_timeout_ms, &r, &err) < 0) {
        doctor_found(d, DOCTOR_WARN, "alarms", NULL, "cannot be listed: %s", err.text);
        return;
    }
    for (size_t i = 0; i < r->n; i++)
        doctor_found(
            d, DOCTOR_BAD, "alarms",
            r->alarms[i].type == TENURE_ALARM_NOSPACE ? "delete or compact, tenure defrag, then tenure alarm disarm"
                                                      : "restore that member from a good one",
            "member %" PRIx64 " raises %s", r->alarms[i].member_id,
            r->alarms[i].type == TENURE_ALARM_NOSPACE ? "NOSPACE: writes are refused" : "CORRUPT: its data differ");
    if (r->n == 0)
        doctor_found(d, DOCTOR_OK, "alarms", NULL, "none");
    tenure_alarm_list_free(r);
}

/* A lease is granted and revoked: two writes that each server syncs, and nothing is left behind. */
static void check_writes(struct doctor *d)
{
    struct tenure_error err = {0};
    double ms[PROBES];
    for (int i = 0; i < PROBES; i++) {
        int64_t id = 0, ttl = 0;
        double begun = now_ms();
        if (tenure_lease_grant(d->client, 10, 0, &id, &ttl, &err) < 0 || tenure_lease_revoke(d->client, id, &err) < 0) {
            doctor_found(d, DOCTOR_BAD, "writes", NULL, "%s", err.text);
            return;
        }
        ms[i] = (now_ms() - begun) / 2;
    }
    double took = median(ms);
    doctor_found(d, took > SLOW_WRITE_MS ? DOCTOR_WARN : DOCTOR_OK, "writes",
                 took > SLOW_WRITE_MS ? "give the servers a disk that syncs faster, for themselves alone" : NULL,
                 "a durable one takes %.1f ms", took);
}

static void check_leases(struct doctor *d)
{
    struct tenure_lease_list *r = NULL;
    struct tenure_error err = {0};
    if (tenure_lease_list(d->client, &r, &err) < 0) {
        doctor_found(d, DOCTOR_WARN, "leases", NULL, "cannot be listed: %s", err.text);
        return;
    }
    doctor_found(d, DOCTOR_OK, "leases", NULL, "%zu alive", r->n);
    tenure_lease_list_free(r);
}

static void tell(void *user, enum doctor_level level, const char *about, const char *advice, const char *text)
{
    doctor_found(user, level, about, advice, "%s", text);
}

/* What they tell beside their status; their certificates were looked at. */
static void check_health(struct doctor *d, const struct seen *all)
{
    struct health_server *servers = calloc(all->n, sizeof *servers);
    for (size_t i = 0; servers && i < all->n; i++)
        if (all->status[i])
            servers[i] = (struct health_server){.name = tenure_endpoint(d->client, i),
                                                .endpoint = tenure_endpoint(d->client, i),
                                                .version = all->status[i]->version,
                                                .in_cluster = all->n > 1};
    if (servers) {
        health_tell_faults(servers, all->n, tell, d);
        health_ask(servers, all->n, d->g, false);
        health_tell(servers, all->n, tell, d);
        health_free(servers, all->n);
    }
    free(servers);
}

void doctor_servers(struct doctor *d)
{
    struct seen all = {.n = tenure_endpoints(d->client)};
    double *ms = calloc(all.n, sizeof *ms);
    all.status = calloc(all.n, sizeof(struct tenure_status *));
    if (ms && all.status) {
        for (size_t i = 0; i < all.n; i++)
            all.n_answered += (all.status[i] = ask(d, i, &ms[i])) != NULL;
        for (size_t i = 0; i < all.n; i++)
            if (all.status[i])
                check_one(d, tenure_endpoint(d->client, i), all.status[i], ms[i]);
        check_health(d, &all);
        compare(d, &all);
        d->unavailable = all.n_answered == 0;
        if (!d->unavailable) {
            check_members(d, &all);
            check_alarms(d);
            check_writes(d);
            check_leases(d);
        }
        for (size_t i = 0; i < all.n; i++)
            tenure_status_free(all.status[i]);
    }
    free(all.status);
    free(ms);
}
