/* See migrate_source.h.
 *
 * How a source is closed to writers while it runs: by etcd's alarm CORRUPT. While it stands every member refuses what writes, leases
 * do not run out, and everything can be read; it is a command in the order of all others, it is durable, and every version has it. */
#include "cli/migrate_source.h"

#include <inttypes.h>
#include <time.h>

#include "io/loop.h"
#include "lib/alarm.h"

enum { PAUSE_MS = 200, HASH_TIMEOUT_MS = 600000, NO_SIGNAL = -1 };

bool migrate_source_stopped(struct migrate_source *s)
{
    if (!s->stopped)
        s->stopped = wait_run(s->wait, 0, NO_SIGNAL, NULL) != NO_SIGNAL || io_clock() >= s->deadline_ms;
    return s->stopped;
}

/* After a call that answered rc: whether to make it again. */
static bool again(struct migrate_source *s, int rc)
{
    struct timespec pause = {0, PAUSE_MS * 1000000};
    if (rc == 0)
        s->patient = true;
    bool passing = rc == TENURE_EUNAVAILABLE || rc == TENURE_ETIMEOUT;
    if (rc == 0 || !passing || !s->patient || migrate_source_stopped(s))
        return false;
    nanosleep(&pause, NULL);
    return true;
}

int migrate_source_ids(struct migrate_source *s, uint64_t *ret_cluster, uint64_t *ret_member, struct tenure_error *err)
{
    struct tenure_status *status = NULL;
    int rc = TENURE_EUNAVAILABLE;
    do
        for (size_t i = 0; rc && i < tenure_endpoints(s->client); i++) {
            rc = tenure_status(s->client, i, 0, &status, err);
            s->endpoint = i;
        }
    while (again(s, rc));
    if (rc)
        return rc;
    *ret_cluster = status->cluster_id;
    *ret_member = status->member_id;
    tenure_status_free(status);
    return 0;
}

int migrate_source_revision(struct migrate_source *s, int64_t *ret, struct tenure_error *err)
{
    struct tenure_get_options o = {.size = sizeof o, .count_only = true};
    struct tenure_get_result *r = NULL;
    int rc;
    do
        rc = tenure_get(s->client, tenure_str("a"), &o, &r, err);
    while (again(s, rc));
    if (rc)
        return rc;
    *ret = r->revision;
    tenure_get_free(r);
    return 0;
}

int migrate_source_leases(struct migrate_source *s, struct tenure_lease_list **ret, struct tenure_error *err)
{
    int rc;
    do
        rc = tenure_lease_list(s->client, ret, err);
    while (again(s, rc));
    return rc;
}

static int ask_ttl(struct migrate_source *s, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err)
{
    struct tenure_lease_info *info = NULL;
    int rc;
    do
        rc = tenure_lease_ttl(s->client, id, false, &info, err);
    while (again(s, rc));
    if (rc)
        return rc;
    *ret_ttl_s = info->granted_ttl_s;
    tenure_lease_info_free(info);
    return 0;
}

/* A member that lags may not know one that was granted: not being there counts only behind a question that no stale member
 * answers. */
int migrate_source_lease_ttl(struct migrate_source *s, int64_t id, int64_t *ret_ttl_s, struct tenure_error *err)
{
    int64_t revision;
    int rc = ask_ttl(s, id, ret_ttl_s, err);
    if (rc == 0 && *ret_ttl_s == 0) {
        rc = migrate_source_revision(s, &revision, err);
        if (rc == 0)
            rc = ask_ttl(s, id, ret_ttl_s, err);
    }
    return rc;
}

int migrate_source_hash(struct migrate_source *s, struct tenure_hash_kv *ret, struct tenure_error *err)
{
    int rc;
    do {
        rc = tenure_hash_kv(s->client, s->endpoint, 0, HASH_TIMEOUT_MS, ret, err);
        if (rc) /* another one next time */
            s->endpoint = (s->endpoint + 1) % tenure_endpoints(s->client);
    } while (again(s, rc));
    return rc;
}

int migrate_source_auth_revision(struct migrate_source *s, uint64_t *ret, struct tenure_error *err)
{
    int rc;
    do
        rc = tenure_auth_status(s->client, NULL, ret, err);
    while (again(s, rc));
    if (rc != TENURE_EUNIMPLEMENTED)
        return rc;
    *ret = 0;
    return 0;
}

int migrate_source_has_users(struct migrate_source *s, bool *ret, struct tenure_error *err)
{
    struct tenure_names *users = NULL, *roles = NULL;
    int rc;
    do
        rc = tenure_user_list(s->client, &users, err);
    while (again(s, rc));
    if (rc)
        return rc;
    do
        rc = tenure_role_list(s->client, &roles, err);
    while (again(s, rc));
    *ret = users->n > 0 || (rc == 0 && roles->n > 0);
    tenure_names_free(users);
    tenure_names_free(roles);
    return rc;
}

int migrate_source_is_closed(struct migrate_source *s, bool *ret, struct tenure_error *err)
{
    struct tenure_alarm_list *list = NULL;
    int rc;
    do
        rc = tenure_alarm_list(s->client, 0, &list, err);
    while (again(s, rc));
    *ret = false;
    for (size_t i = 0; rc == 0 && i < list->n; i++)
        *ret = *ret || list->alarms[i].type == TENURE_ALARM_CORRUPT;
    tenure_alarm_list_free(list);
    return rc;
}

int migrate_source_close(struct migrate_source *s, uint64_t member, struct tenure_error *err)
{
    struct tenure_alarm alarm = {.member_id = member, .type = TENURE_ALARM_CORRUPT};
    return lib_alarm_raise(s->client, &alarm, 0, err);
}

int migrate_source_open(struct migrate_source *s, uint64_t member, struct tenure_error *err)
{
    struct tenure_alarm alarm = {.member_id = member, .type = TENURE_ALARM_CORRUPT};
    return tenure_alarm_disarm(s->client, &alarm, 0, NULL, err);
}
