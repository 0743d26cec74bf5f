/* The directory of a replica: a data directory like a server's with a file in it that names the source's cluster, so that no server
 * writes there and no other source is followed.
 *
 * The first copy is the source's snapshot: the whole history that it has; of some keys, or where there is no snapshot, the keys as
 * they are (replica_range.c). When the source has compacted what a copy lacks, a new one
 * is made while the old one is served, and takes its place; what differs between the two is what happened in between, deletes too, and
 * everything up to the source's compaction is compacted here as well. Where it is made, and how it takes the place: replica_place.c.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/replica.h"
#include "cli/snapshot.h"
#include "lib/alarm.h"

/* ---- a copy ---- */

static int first_answer(tenure_client *c, size_t *ret_endpoint, uint64_t *ret_cluster, struct tenure_error *err)
{
    struct tenure_status *status = NULL;
    int rc = TENURE_EUNAVAILABLE;
    for (size_t i = 0; rc && i < tenure_endpoints(c); i++) {
        rc = tenure_status(c, i, 0, &status, err);
        *ret_endpoint = i;
    }
    if (rc)
        return rc;
    *ret_cluster = status->cluster_id;
    tenure_status_free(status);
    return 0;
}

/* A replica without a user holds keys for whoever reaches it: who may read what, it does not know. */
static int check_open(tenure_client *c, bool has_user, bool *ret_enabled, struct tenure_error *err)
{
    int rc = tenure_auth_status(c, ret_enabled, NULL, err);
    if (rc == TENURE_EUNIMPLEMENTED) { /* etcd 3.4: listing users is refused where it matters */
        struct tenure_names *users = NULL;
        rc = tenure_user_list(c, &users, err);
        tenure_names_free(users);
        *ret_enabled = has_user || rc == TENURE_EDENIED; /* with a user it may be on */
        rc = !has_user && *ret_enabled ? 0 : rc;
    }
    if (rc == 0 && *ret_enabled && !has_user)
        return error_set(
            err, TENURE_ECONFLICT,
            "the source has authentication on, and a replica would answer anybody: name a user with the role root "
            "by --user");
    return rc;
}

/* One that holds some keys alone does not tell what becomes of all, which is how a replica knows how far it is. */
static int check_whole(tenure_client *c, size_t endpoint, struct tenure_error *err)
{
    static const char all[] = "\nranges=00-00\n";
    struct tenure_error none;
    char *lines = NULL;
    int rc = lib_replica_status(c, endpoint, 0, &lines, &none);
    const char *ranges = rc == 0 ? strstr(lines, "\nranges=") : NULL;
    bool is_part = ranges && strncmp(ranges, all, strlen(all)) != 0;
    free(lines);
    return is_part ? error_set(
                         err, TENURE_ECONFLICT,
                         "the source %s is itself a replica of some keys alone: let this one follow that one's source",
                         tenure_endpoint(c, endpoint))
                   : 0;
}

/* Which server would give the snapshot; TENURE_ECONFLICT, TENURE_EDENIED: it is not to be copied, now or later. */
static int check_source(const struct replica_source *from, uint64_t wanted, size_t *ret_endpoint, uint64_t *ret_cluster,
                        bool *ret_users, struct tenure_error *err)
{
    tenure_client *c = from->client;
    int rc = first_answer(c, ret_endpoint, ret_cluster, err);
    if (rc == 0 && wanted && wanted != *ret_cluster)
        rc = error_set(err, TENURE_ECONFLICT,
                       "the source is cluster %016" PRIx64 " now, and this is a copy of %016" PRIx64, *ret_cluster,
                       wanted);
    if (rc == 0)
        rc = check_whole(c, *ret_endpoint, err);
    return rc ? rc : check_open(c, from->has_user, ret_users, err);
}

bool replica_is_refused(const struct replica_source *from, uint64_t cluster, struct tenure_error *err)
{
    size_t endpoint;
    uint64_t is;
    bool users;
    int rc = check_source(from, cluster, &endpoint, &is, &users, err);
    if (rc == TENURE_EDENIED && !from->has_user)
        rc = error_set(err, TENURE_ECONFLICT, "the source has authentication on, and a replica would answer anybody");
    return rc == TENURE_ECONFLICT;
}

static int copy_snapshot(const struct replica_source *from, size_t endpoint, const struct replica_place *place,
                         const char *name, const struct replica_mark *mark, struct tenure_error *err)
{
    struct snapshot_summary summary;
    int rc = snapshot_fetch(from->client, endpoint, place->snapshot, NULL, NULL, err);
    if (rc)
        return rc;
    char *note = replica_mark_text(mark);
    struct snapshot_into into = {.dir = place->data, .name = name, .replica = note};
    rc = note ? snapshot_restore_into(&into, place->snapshot, &summary, err)
              : error_set(err, TENURE_ENOMEM, "out of memory");
    free(note);
    (void)unlink(place->snapshot);
    return rc;
}

/* A snapshot is root's alone, and of a copy that was made by ranges itself there is none. */
static bool has_no_snapshot(int rc)
{
    return rc == TENURE_EDENIED || rc == TENURE_EUNIMPLEMENTED || rc == TENURE_ECONFLICT;
}

static int copy_into(const char *dir, const char *name, const struct replica_source *from, uint64_t wanted,
                     uint64_t *ret_cluster, struct tenure_error *err)
{
    struct replica_place place;
    struct replica_mark mark = {.n_prefixes = from->prefixes->n};
    size_t endpoint = 0;
    int rc = check_source(from, wanted, &endpoint, ret_cluster, &mark.users, err);
    if (rc == 0)
        rc = replica_place(dir, &place, err);
    if (rc)
        return rc;
    mark.cluster = *ret_cluster;
    memcpy(mark.prefixes, from->prefixes->all, sizeof mark.prefixes);
    if (mark.n_prefixes == 0)
        rc = copy_snapshot(from, endpoint, &place, name, &mark, err);
    if (mark.n_prefixes > 0 || has_no_snapshot(rc))
        rc = replica_copy_ranges(from->client, place.data, name, &mark, err);
    return rc;
}

/* ---- the first one ---- */

static bool are_all(const char *const *prefixes, size_t n)
{
    return n == 0 || !*prefixes[0];
}

static bool has_prefixes(const struct replica_mark *m, const struct replica_prefixes *wanted)
{
    if (are_all(m->prefixes, m->n_prefixes) && are_all(wanted->all, wanted->n))
        return true;
    bool same = m->n_prefixes == wanted->n;
    for (size_t i = 0; same && i < wanted->n; i++)
        same = strcmp(m->prefixes[i], wanted->all[i]) == 0;
    return same;
}

static int other_prefixes(const char *dir, const struct replica_mark *m, const struct replica_prefixes *wanted,
                          struct tenure_error *err)
{
    char *is = replica_prefixes_text(m->prefixes, m->n_prefixes);
    char *asked = replica_prefixes_text(wanted->all, wanted->n);
    int rc = error_set(err, TENURE_ECONFLICT,
                       "%s is a copy of %s, and %s were asked for: give the same --prefix as before, name another "
                       "directory, or remove this one to copy anew",
                       dir, is ? is : "others", asked ? asked : "these");
    free(is);
    free(asked);
    return rc;
}

/* What only some may read is not served to all. */
static int check_mark(const char *dir, const struct replica_source *from, uint64_t *ret_cluster,
                      struct tenure_error *err)
{
    struct replica_mark m;
    int rc = replica_mark_read(dir, &m, err);
    *ret_cluster = m.cluster;
    if (rc == 0 && m.users && !from->has_user)
        rc = error_set(err, TENURE_ECONFLICT,
                       "%s is a copy of a source that had authentication on: name a user with the role root by --user",
                       dir);
    if (rc == 0 && !has_prefixes(&m, from->prefixes))
        rc = other_prefixes(dir, &m, from->prefixes, err);
    replica_mark_free(&m);
    return rc;
}

static int prepare_locked(const char *dir, const char *name, const struct replica_source *from, uint64_t *ret_cluster,
                          struct tenure_error *err)
{
    int rc = replica_finish(dir, err);
    if (rc == 0)
        replica_clean(dir);
    if (rc == 0 && !replica_has_copy(dir)) {
        rc = copy_into(dir, name, from, 0, ret_cluster, err);
        if (rc == 0)
            rc = replica_take(dir, err);
        else
            replica_clean(dir);
        return rc;
    }
    return rc ? rc : check_mark(dir, from, ret_cluster, err);
}

/* Nothing is made for a source that must not be copied. */
static int make_directory(const char *dir, const struct replica_source *from, uint64_t *ret_cluster,
                          struct tenure_error *err)
{
    size_t endpoint;
    bool users;
    int rc = check_source(from, 0, &endpoint, ret_cluster, &users, err);
    return rc ? rc : replica_make_directory(dir, err);
}

int replica_prepare(const char *dir, const char *name, const struct replica_source *from, uint64_t *ret_cluster,
                    struct tenure_error *err)
{
    int lock = -1, rc = 0;
    if (!replica_has_copy(dir))
        rc = make_directory(dir, from, ret_cluster, err);
    if (rc == 0)
        rc = replica_lock(dir, &lock, err);
    if (rc)
        return rc;
    rc = prepare_locked(dir, name, from, ret_cluster, err);
    close(lock);
    return rc;
}

/* ---- the next one ---- */

int replica_copy_beside(const char *dir, const char *name, const struct replica_source *from, uint64_t cluster,
                        struct tenure_error *err)
{
    return copy_into(dir, name, from, cluster, &cluster, err);
}

/* Authentication may have been seen on while the new one was made, by the one that was served. */
static int keep_users(const char *dir, struct tenure_error *err)
{
    char copy[REPLICA_PATH_SIZE];
    struct replica_mark old;
    int rc = replica_mark_read(dir, &old, err);
    if (rc == 0 && old.users) {
        int n = snprintf(copy, sizeof copy, "%s/copy/data", dir);
        rc = n < (int)sizeof copy ? replica_mark_users(copy, err)
                                  : error_set(err, TENURE_EINVALID, "%s: the name is too long", dir);
    }
    replica_mark_free(&old);
    return rc;
}

int replica_take_beside(const char *dir, struct tenure_error *err)
{
    int lock;
    int rc = replica_lock(dir, &lock, err);
    if (rc)
        return rc;
    rc = keep_users(dir, err);
    if (rc == 0)
        rc = replica_take(dir, err);
    close(lock);
    return rc;
}
