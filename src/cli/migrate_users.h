/* Users and roles that were changed at the source while keys were followed: a watch does not tell them, so they are read from a second
 * snapshot and brought over as rows. One thread. */
#ifndef CLI_MIGRATE_USERS_H
#define CLI_MIGRATE_USERS_H

#include "cli/migrate_rows.h"
#include "store/auth.h"

/* What one side has. Borrowed. */
struct migrate_users {
    const struct record *rows; /* of kind AUTH_USER and AUTH_ROLE, none deleted; sorted by migrate_users_sort */
    size_t n;
    bool enabled;
    uint64_t revision;
};

void migrate_users_sort(struct record *rows, size_t n);
/* Rows that make `to` of `from`: one for each user or role that differs or is gone, each raising the auth revision by one at most, and
 * as many more as the revision then still lacks. The rows borrow from both. TENURE_ECONFLICT: the source's revision lies below
 * ours, or too far ahead. Pure. */
int migrate_add_users(struct migrate_rows *r, const struct migrate_users *from, const struct migrate_users *to,
                      struct tenure_error *err) MUST_USE;

struct migrate;
/* Before both sides are compared: where the auth revisions differ, or the source does not tell its own, takes the snapshot and plans what
 * differs. 0, or m->err. */
int migrate_match_users(struct migrate *m);

#endif
