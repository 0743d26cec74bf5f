/* Rows about authentication, read back from the log. Of a user or role that changed only the last row may be left, and of
 * a deleted one only the row that tells so, or none: what is missing is missing before the newest compaction's row, which
 * replay.c sees to.
 */
#include <inttypes.h>

#include "store/internal.h"
#include "tenure/error.h"

static int corrupt(struct tenure_error *err, const struct record *r, const char *why)
{
    return error_set(err, TENURE_ECORRUPT, "log row %" PRId64 ": %s", r->seq, why);
}

/* Each command raises the auth revision by at most one. */
static int check_revision(const struct store *s, const struct record *r, bool gap, struct tenure_error *err)
{
    int64_t last = (int64_t)s->auth.view[STORE_PLANNED].revision;
    if (r->version < last || (r->version > last + 1 && !gap))
        return corrupt(err, r, "its auth revision does not follow the last");
    return 0;
}

static int check_row(const struct store *s, const struct record *r, bool gap, struct tenure_error *err)
{
    const struct auth_view *v = &s->auth.view[STORE_PLANNED];
    bool is_switch = r->kind == RECORD_AUTH_SWITCH;
    if (is_switch && (r->key.len > 0 || r->value.len > 0 || r->tombstone || r->sub < 0 || r->sub > 1))
        return corrupt(err, r, "turns authentication neither on nor off");
    if (!is_switch && (r->key.len == 0 || (r->tombstone && r->value.len > 0)))
        return corrupt(err, r, "is no user and no role");
    if (r->tombstone && !gap && !auth_find(r->kind == RECORD_AUTH_USER ? &v->users : &v->roles, r->key))
        return corrupt(err, r, "deletes a user or role that is not there");
    return check_revision(s, r, gap, err);
}

int auth_replay(struct store *s, const struct record *r, bool gap, struct tenure_error *err)
{
    struct auth_row *row;
    int rc = check_row(s, r, gap, err);
    if (rc)
        return rc;
    rc = auth_row_new(r->kind, r->key, r->value, r->tombstone, &row);
    if (rc == TENURE_ECORRUPT)
        return corrupt(err, r, "holds no message of a user or role");
    if (rc == 0 && auth_reserve(&s->auth, r->kind) != 0) {
        auth_row_free(row);
        rc = TENURE_ENOMEM;
    }
    if (rc)
        return error_set(err, TENURE_ENOMEM, "out of memory while reading the log");
    row->seq = r->seq;
    row->revision = (uint64_t)r->version;
    row->enabled = r->sub == 1;
    if (r->kind == RECORD_AUTH_USER)
        row->user.login = r->seq;
    s->memory += auth_row_memory(row);
    auth_plan(&s->auth, row);
    s->memory -= auth_commit(&s->auth, row);
    return 0;
}
