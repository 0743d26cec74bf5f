/* A revision of somebody else's history, taken over as it is: revisions, versions, create revisions and leases are what the
 * events say, and are held against what the keys were before, as replay does. So a source whose history is another one is
 * noticed at the first event that does not fit.
 *
 * Where only some keys are followed, or the copy began without their past, revisions are left out. How far the copy has come is then told by a
 * row of a compaction that says the same as the one before, and goes as soon as there is the next.
 *
 * Failure modes: events that do not fit, a tail at its bound, no memory: nothing is changed.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "store/event_row.h"
#include "store/internal.h"

static int misfit(tn_rev revision, const char *why, struct tenure_error *err)
{
    return error_set(err, TENURE_ECORRUPT, "revision %" PRId64 ": %s", revision, why);
}

/* A version that begins in the middle can only be known by the key's past, which a copy has but where it was compacted. */
static int check_event(const struct store *s, const struct key *k, const struct record *row, struct tenure_error *err)
{
    struct tenure_error why;
    const struct version *before = k ? key_newest(k) : NULL;
    if (row->key.len > UINT32_MAX || row->main != command_revision(s))
        return misfit(row->main, "it is not the next one", err);
    if (row_check_key(row, before, &why) != 0) {
        const char *colon = strchr(why.text, ':');
        return misfit(row->main, colon ? colon + 2 : why.text, err);
    }
    if (!before && (row->tombstone || row->version != 1))
        return misfit(row->main, "it changes a key that is not here", err);
    return 0;
}

static int follow_event(struct store *s, const struct event *e, struct tenure_error *err)
{
    struct record row = event_row(e);
    struct key *k = store_key_find(s, row.key);
    int rc = check_event(s, k, &row, err);
    if (rc)
        return rc;
    struct version *v = version_new(row.value);
    if (v) {
        v->create_revision = row.create_revision;
        v->version = row.version;
        v->lease = row.lease;
    }
    if (!v || write_version(s, k, row.key, v) != ETCD_OK)
        return error_set(err, TENURE_ENOMEM, "out of memory");
    s->follow_bytes += row.key.len + row.value.len;
    return 0;
}

/* Revisions of which nothing is here are as if they had been: the next one is that of the events. */
static void pass_hole(struct store *s, const struct event *events, size_t n)
{
    if (s->config.has_holes && n && events[0].kv.mod_revision > command_revision(s))
        s->revision = events[0].kv.mod_revision - 1;
}

int store_follow(struct store *s, const struct event *events, size_t n, struct tenure_error *err)
{
    tn_rev before = s->revision;
    if (s->follow_bytes >= s->config.follow_bytes_max || command_begin(s) != ETCD_OK)
        return error_set(err, TENURE_ELIMIT, "too much waits for the disk");
    int rc = 0;
    pass_hole(s, events, n);
    for (size_t i = 0; rc == 0 && i < n; i++)
        rc = follow_event(s, &events[i], err);
    if (rc) {
        command_abort(s);
        s->revision = before;
    }
    command_end(s);
    return rc;
}

int store_follow_to(struct store *s, tn_rev revision)
{
    assert(s->config.has_holes && revision > s->revision);
    if (command_begin(s) != ETCD_OK)
        return TENURE_ELIMIT;
    enum etcd_error e = compaction_plan_reached(s, revision);
    command_end(s);
    if (e)
        return TENURE_ENOMEM;
    s->revision = revision;
    return 0;
}
