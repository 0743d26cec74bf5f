/* Users and roles of a source that is followed: they replace what was there, in memory alone. Its log has no rows of them: what is to be
 * judged by them is judged by what the source says now, or not at all.
 *
 * Failure modes: what is not in etcd's order, no memory: nothing is changed.
 */
#include "store/internal.h"
#include "tenure/error.h"

static int add(struct auth *a, enum record_kind kind, bytes name, struct buf *message, uint64_t revision)
{
    struct auth_row *row;
    int rc = buf_error(message);
    bool twice = auth_find(kind == RECORD_AUTH_USER ? &a->view[0].users : &a->view[0].roles, name) != NULL;
    if (rc == 0 && (twice || name.len == 0))
        rc = TENURE_ECORRUPT;
    if (rc == 0)
        rc = auth_row_new(kind, name, buf_bytes(message), false, &row);
    if (rc)
        return rc;
    if (auth_reserve(a, kind) != 0) {
        auth_row_free(row);
        return TENURE_ENOMEM;
    }
    row->revision = revision;
    auth_plan(a, row);
    (void)auth_commit(a, row);
    return 0;
}

static int add_all(struct auth *a, const struct store_followed_auth *f, struct buf *b)
{
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < f->n_users; i++) {
        buf_reset(b);
        auth_encode_user(b, &f->users[i]);
        rc = add(a, RECORD_AUTH_USER, f->users[i].name, b, f->revision);
    }
    for (size_t i = 0; rc == 0 && i < f->n_roles; i++) {
        buf_reset(b);
        auth_encode_role(b, &f->roles[i]);
        rc = add(a, RECORD_AUTH_ROLE, f->roles[i].name, b, f->revision);
    }
    return rc;
}

static int turn(struct auth *a, const struct store_followed_auth *f)
{
    struct auth_row *row;
    int rc = auth_row_new(RECORD_AUTH_SWITCH, bytes_of(NULL, 0), bytes_of(NULL, 0), false, &row);
    if (rc)
        return rc;
    row->enabled = f->enabled;
    row->revision = f->revision;
    auth_plan(a, row);
    (void)auth_commit(a, row);
    return 0;
}

int store_follow_auth(struct store *s, const struct store_followed_auth *f)
{
    struct auth next;
    struct buf b;
    auth_init(&next);
    buf_init(&b);
    int rc = add_all(&next, f, &b);
    if (rc == 0)
        rc = turn(&next, f);
    buf_fini(&b);
    if (rc) {
        auth_fini(&next);
        return rc;
    }
    next.changes = s->auth.changes + 1;
    s->memory += (int64_t)next.data_bytes - (int64_t)s->auth.data_bytes;
    auth_fini(&s->auth);
    /* The lists are heads that point to themselves, and both are empty. */
    s->auth = next;
    list_init(&s->auth.planned_rows);
    list_init(&s->auth.garbage);
    return 0;
}
