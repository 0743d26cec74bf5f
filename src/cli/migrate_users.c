/* See migrate_users.h.
 *
 * Passwords are told by no call; a snapshot has their hashes. It is taken only where something changed, once, when the source is
 * closed or has no writers any more, so that it is the last word. */
#include "cli/migrate_users.h"

#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/migrate.h"
#include "cli/snapshot.h"
#include "cli/snapshot_file.h"
#include "snapshot/import.h"

enum { REVISIONS_MAX = 1000000 };

/* ---- the plan ---- */

static int order(const struct record *a, const struct record *b)
{
    return a->kind != b->kind ? (a->kind < b->kind ? -1 : 1) : bytes_compare(a->key, b->key);
}

static int order_rows(const void *a, const void *b)
{
    return order(a, b);
}

void migrate_users_sort(struct record *rows, size_t n)
{
    if (n > 1)
        qsort(rows, n, sizeof *rows, order_rows);
}

struct plan {
    struct migrate_rows *rows;
    uint64_t at, to; /* auth revisions */
    struct tenure_error *err;
};

static int add(struct plan *p, struct record row)
{
    p->at += p->at < p->to;
    row.version = (int64_t)p->at;
    return migrate_add_auth(p->rows, row, p->err);
}

static int add_gone(struct plan *p, const struct record *row)
{
    return add(p, (struct record){.kind = row->kind, .key = row->key, .tombstone = true});
}

static int add_changed(struct plan *p, const struct record *row)
{
    return add(p, (struct record){.kind = row->kind, .key = row->key, .value = row->value});
}

static int add_switch(struct plan *p, bool enabled)
{
    return add(p, (struct record){.kind = RECORD_AUTH_SWITCH, .sub = enabled});
}

static int add_differences(struct plan *p, const struct migrate_users *from, const struct migrate_users *to)
{
    int rc = 0;
    for (size_t i = 0, k = 0; rc == 0 && (i < from->n || k < to->n);) {
        int side = i == from->n ? 1 : k == to->n ? -1 : order(&from->rows[i], &to->rows[k]);
        if (side < 0)
            rc = add_gone(p, &from->rows[i]);
        else if (side > 0 || !bytes_equal(from->rows[i].value, to->rows[k].value))
            rc = add_changed(p, &to->rows[k]);
        i += side <= 0;
        k += side >= 0;
    }
    return rc;
}

int migrate_add_users(struct migrate_rows *r, const struct migrate_users *from, const struct migrate_users *to,
                      struct tenure_error *err)
{
    struct plan p = {r, from->revision, to->revision, err};
    if (to->revision < from->revision || to->revision - from->revision > REVISIONS_MAX)
        return error_set(err, TENURE_ECONFLICT,
                         "the auth revision of the source is %" PRIu64 " and was %" PRIu64
                         " when the copy was begun: remove the new directory and begin again",
                         to->revision, from->revision);
    int rc = add_differences(&p, from, to);
    bool switched = from->enabled == to->enabled;
    while (rc == 0 && (p.at < p.to || !switched)) {
        rc = add_switch(&p, to->enabled);
        switched = true;
    }
    return rc;
}

/* ---- what both sides have ---- */

struct list_of_rows {
    struct record *rows;
    size_t n, cap;
    struct migrate_users users;
    struct arena arena; /* of names that must outlive what they came from */
};

static int keep(struct list_of_rows *l, const struct record *row, struct tenure_error *err)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? 2 * l->cap : 64;
        struct record *rows = realloc(l->rows, cap * sizeof *rows);
        if (!rows)
            return error_set(err, TENURE_ENOMEM, "out of memory");
        l->rows = rows;
        l->cap = cap;
    }
    l->rows[l->n++] = *row;
    return 0;
}

static void close_list(struct list_of_rows *l)
{
    migrate_users_sort(l->rows, l->n);
    l->users.rows = l->rows;
    l->users.n = l->n;
}

static int on_row(void *user, const struct record *row, struct tenure_error *err)
{
    struct list_of_rows *l = user;
    if (!record_is_auth(row->kind))
        return 0;
    l->users.revision = (uint64_t)row->version;
    if (row->kind != RECORD_AUTH_SWITCH)
        return keep(l, row, err);
    l->users.enabled = row->sub == 1;
    return 0;
}

/* The row about a deletion takes its name from here, when the store has freed its own already. */
static int keep_ours(struct list_of_rows *l, enum record_kind kind, bytes name, bytes encoded, struct tenure_error *err)
{
    struct record row = {.kind = kind, .key = arena_copy(&l->arena, name), .value = encoded};
    return row.key.data ? keep(l, &row, err) : error_set(err, TENURE_ENOMEM, "out of memory");
}

static int list_ours(const struct store *s, struct list_of_rows *l, struct tenure_error *err)
{
    struct store_user user;
    struct store_role role;
    int rc = 0;
    l->users.enabled = store_auth_enabled(s, STORE_DURABLE);
    l->users.revision = store_auth_revision(s, STORE_DURABLE);
    for (size_t i = 0; rc == 0 && i < store_users(s, STORE_DURABLE); i++) {
        store_user_at(s, STORE_DURABLE, i, &user);
        rc = keep_ours(l, RECORD_AUTH_USER, user.name, user.encoded, err);
    }
    for (size_t i = 0; rc == 0 && i < store_roles(s, STORE_DURABLE); i++) {
        store_role_at(s, STORE_DURABLE, i, &role);
        rc = keep_ours(l, RECORD_AUTH_ROLE, role.name, role.encoded, err);
    }
    close_list(l);
    return rc;
}

/* The rows borrow the file's memory: they are in the log, and in the store with copies, before it goes. */
static int bring_over(struct migrate *m, const struct snapshot_file *file)
{
    struct list_of_rows ours = {0}, theirs = {.users.revision = AUTH_FIRST_REVISION};
    struct snapshot_import_options options = {.cluster_id = 1, .member_id = 1, .member_name = bytes_str("x")};
    struct snapshot_summary summary;
    arena_init(&ours.arena, 0);
    int rc = bolt_check(&file->bolt, &m->err);
    if (rc == 0)
        rc = snapshot_import(&file->bolt, &options, on_row, &theirs, &summary, &m->err);
    close_list(&theirs);
    if (rc == 0)
        rc = list_ours(m->target.store, &ours, &m->err);
    if (rc == 0)
        rc = migrate_target_set_users(&m->target, &ours.users, &theirs.users, &m->err);
    arena_fini(&ours.arena);
    free(ours.rows);
    free(theirs.rows);
    return rc;
}

static int from_snapshot(struct migrate *m)
{
    char path[4096];
    struct snapshot_file file;
    int rc = migrate_copy_path(m->o->data_dir, path, sizeof path, &m->err);
    if (rc == 0)
        rc = snapshot_fetch(m->calls, m->source.endpoint, path, NULL, NULL, &m->err);
    if (rc == 0)
        rc = snapshot_file_open(&file, path, true, &m->err);
    (void)unlink(path);
    if (rc)
        return rc;
    rc = bring_over(m, &file);
    snapshot_file_close(&file);
    return rc;
}

int migrate_match_users(struct migrate *m)
{
    uint64_t here = store_auth_revision(m->target.store, STORE_DURABLE), there = 0;
    bool any = here > AUTH_FIRST_REVISION;
    int rc = migrate_source_auth_revision(&m->source, &there, &m->err);
    if (rc == 0 && there == 0 && !any)
        rc = migrate_source_has_users(&m->source, &any, &m->err);
    if (rc || there == here || (there == 0 && !any))
        return rc;
    return from_snapshot(m);
}
