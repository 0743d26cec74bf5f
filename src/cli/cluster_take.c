/* Happy path: the lock, the newest revision by a linearizable read, each member's state, the snapshot of the follower that is
 * ahead of the others, its check, the name, what is too old. A member whose snapshot is older than what was known before, or that
 * does not give one, is left for the next one; the leader comes last, because it has the most to do. Without a quorum there is
 * no such read: what a member has is taken then, and said. */
#include "cli/cluster_take.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cluster_care.h"
#include "cli/cluster_survey.h"
#include "cli/connect.h"
#include "cli/snapshot.h"
#include "io/loop.h"

#define READ_MS 5000

static void path_of_unfinished(const struct take *t, char out[BACKUP_PATH_MAX])
{
    backup_dir_path(&t->dir, "unfinished.db", out);
}

void take_clear(const struct take *t)
{
    static const char *const names[] = {"unfinished.db", "unfinished.db.part"};
    char path[BACKUP_PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        backup_dir_path(&t->dir, names[i], path);
        (void)unlink(path);
    }
}

void take_fini(struct take *t)
{
    backup_dir_close(&t->dir);
    json_decref(t->removed);
    t->removed = NULL;
}

/* ---- from whom ---- */

/* What no backup may lack: whatever was acknowledged before this began. 0 = there is no quorum to ask. */
static int64_t newest_revision(struct take *t, tenure_client *c)
{
    struct tenure_get_options o = {.size = sizeof o, .count_only = true, .timeout_ms = t->g->call_timeout_ms};
    struct tenure_get_result *r = NULL;
    struct tenure_error err = {0};
    if (!o.timeout_ms)
        o.timeout_ms = READ_MS;
    int64_t revision = tenure_get(c, tenure_str("/"), &o, &r, &err) == 0 ? r->revision : 0;
    tenure_get_free(r);
    if (revision == 0)
        snprintf(t->note, sizeof t->note, "the newest writes may be missing: no linearizable read is answered: %.150s",
                 connect_text("cluster", &err));
    return revision;
}

/* The best of those that are left: followers before the leader, the one that is ahead before the others. */
static struct cluster_row *best(struct cluster_survey *s, const bool *tried)
{
    struct cluster_row *found = NULL;
    for (size_t i = 0; i < s->list->n; i++) {
        struct cluster_row *r = &s->rows[i];
        if (tried[i] || !r->status)
            continue;
        bool leads = r->status->member_id == s->leader, found_leads = found && found->status->member_id == s->leader;
        if (!found || (found_leads && !leads) ||
            (leads == found_leads && r->status->raft_applied_index > found->status->raft_applied_index))
            found = r;
    }
    return found;
}

static int fetch(struct take *t, struct cluster_survey *s, const struct cluster_row *r, int64_t least)
{
    char path[BACKUP_PATH_MAX];
    t->made = (struct backup_entry){.made_ms = io_wall_ms()};
    path_of_unfinished(t, path);
    int rc = snapshot_fetch(s->client, r->endpoint, path, NULL, NULL, &t->error);
    if (rc == 0)
        rc = backup_check(path, &t->made, &t->error);
    if (rc == 0 && t->made.revision < least)
        rc = error_set(&t->error, TENURE_ECONFLICT, "%s is behind: it has revision %" PRId64 " of %" PRId64,
                       r->member->name, t->made.revision, least);
    if (rc)
        return rc;
    snprintf(t->made.cluster, sizeof t->made.cluster, "%" PRIx64, s->list->cluster_id);
    snprintf(t->made.member, sizeof t->made.member, "%s", r->member->name);
    t->role = cluster_role(s, r);
    return 0;
}

static int fetch_from_any(struct take *t, struct cluster_survey *s, int64_t least)
{
    bool *tried = calloc(s->list->n + 1, sizeof *tried);
    int rc = tried ? error_set(&t->error, TENURE_EUNAVAILABLE, "no member answers")
                   : error_set(&t->error, TENURE_ENOMEM, "out of memory");
    for (struct cluster_row *r; rc && tried && (r = best(s, tried));) {
        tried[r - s->rows] = true;
        rc = fetch(t, s, r, least);
        if (rc == TENURE_ENOSPACE || rc == TENURE_EDENIED)
            break; /* the next one would not fare better */
    }
    free(tried);
    return rc;
}

static int fetch_one(struct take *t)
{
    struct tenure_options options;
    struct cluster_survey s = {0};
    int code;
    connect_options(t->g, &options);
    tenure_client *c = tenure_open(t->g->endpoints, &options, &t->error);
    if (!c)
        return t->error.code;
    int64_t least = newest_revision(t, c);
    int rc = cluster_survey(&s, c, t->g, &code)
                 ? fetch_from_any(t, &s, least)
                 : error_set(&t->error, code == EXIT_UNAVAILABLE ? TENURE_EUNAVAILABLE : TENURE_EINTERNAL,
                             "the members are not known");
    cluster_survey_free(&s);
    tenure_close(c);
    return rc;
}

/* ---- all of it ---- */

static bool was_made(const struct take *t)
{
    const struct backup_entry *last = backup_dir_newest(&t->dir);
    return last && last->made_ms >= t->due_ms;
}

static void on_removed(void *user, const char *name)
{
    struct take *t = user;
    json_array_append_new(t->removed, json_string(name));
}

static int make(struct take *t)
{
    struct tenure_error ignored = {0};
    int rc = backup_dir_read(&t->dir, &t->error);
    if (rc || was_made(t))
        return rc;
    take_clear(t);
    rc = fetch_one(t);
    if (rc == 0)
        rc = backup_dir_add(&t->dir, &t->made, &t->error);
    if (rc) {
        take_clear(t);
        t->made.name[0] = 0;
        t->dir.failed_ms = io_wall_ms();
        snprintf(t->dir.failure, sizeof t->dir.failure, "%.255s", t->error.text);
        (void)backup_dir_write(&t->dir, &ignored); /* the disk may be what failed */
        return rc;
    }
    if (backup_dir_prune(&t->dir, cluster_care.keep, cluster_care.keep_for_ms, io_wall_ms(), on_removed, t) > 0)
        (void)backup_dir_write(&t->dir, &ignored); /* rows without files are dropped the next time */
    return 0;
}

void take_run(struct take *t)
{
    int lock = -1;
    t->made = (struct backup_entry){0};
    t->error = (struct tenure_error){0};
    t->role = "";
    t->note[0] = 0;
    json_decref(t->removed);
    t->removed = json_array();
    t->rc = backup_dir_lock(&t->dir, &lock, &t->error);
    if (t->rc == 0)
        t->rc = make(t);
    t->unavailable = t->rc && (t->error.kind == TENURE_KIND_UNAVAILABLE || t->error.kind == TENURE_KIND_TIMEOUT);
    if (lock >= 0)
        close(lock);
}
