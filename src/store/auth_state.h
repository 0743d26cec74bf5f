/* The state of authentication inside the store: rows, the two tables of what they made, and what is garbage.
 *
 *     planned --undo--> gone
 *        |
 *        +--commit--> durable --replaced--> garbage --trim--> gone
 *
 * A row is made by a command or by replay, and is not changed afterwards. */
#ifndef STORE_AUTH_STATE_H
#define STORE_AUTH_STATE_H

#include "api/etcd_error.h"
#include "base/buf.h"
#include "base/list.h"
#include "store/auth.h"

/* What a user, a role or the switch became by one row of the log. */
struct auth_row {
    struct list node; /* in auth.planned_rows, in auth.garbage, or alone */
    tn_seq seq;
    enum record_kind kind;
    bool gone;               /* deleted by this row */
    uint64_t revision;       /* auth revision that it made */
    struct auth_row *before; /* what it replaced at the planned state; NULL: nothing, or it is durable */
    uint64_t revision_before;
    tn_seq seq_before; /* of the planned state */
    bytes name, value; /* in data */
    uint8_t *data;     /* freed when it becomes garbage */
    size_t data_len;
    bool enabled; /* of the switch */
    union {
        struct store_user user;
        struct store_role role;
    };
};

/* Sorted by name. */
struct auth_table {
    struct auth_row **at;
    size_t len, cap;
};

struct auth_view {
    struct auth_table users, roles;
    struct auth_row *on; /* the newest row of the switch; NULL = never turned */
    uint64_t revision;
    tn_seq seq; /* of the newest row */
};

struct auth {
    struct auth_view view[2];                /* by enum store_view; the planned one is the newest */
    struct list planned_rows;                /* not durable yet, oldest first */
    struct list garbage;                     /* superseded and still in the log, in order of deletion */
    size_t n_planned, n_garbage, data_bytes; /* of rows that are no garbage */
    uint64_t changes;
    tn_seq enabled_since;
};

void auth_init(struct auth *a);
void auth_fini(struct auth *a);

static inline bool view_enabled(const struct auth_view *v)
{
    return v->on && v->on->enabled;
}
const struct auth_row *auth_find(const struct auth_table *t, bytes name); /* NULL when absent */

/* ---- auth_row.c: a row and its message ---- */

/* A row for that state, copied and parsed. TENURE_ECORRUPT: not etcd's message, or of another name; TENURE_ENOMEM. */
int auth_row_new(enum record_kind kind, bytes name, bytes value, bool gone, struct auth_row **ret) MUST_USE;
struct auth_row *auth_row_free(struct auth_row *r); /* NULL is fine; NULL */
int64_t auth_row_memory(const struct auth_row *r);
/* Appends the message. */
void auth_encode_user(struct buf *out, const struct store_user *u);
void auth_encode_role(struct buf *out, const struct store_role *r);

/* ---- auth_state.c: rows in the tables ---- */

/* Room for one more row in all tables. 0 or TENURE_ENOMEM. */
int auth_reserve(struct auth *a, enum record_kind kind) MUST_USE;
/* Makes r the newest, at the planned state; a owns it. Room was reserved. */
void auth_plan(struct auth *a, struct auth_row *r);
/* Takes the newest planned row back, and frees it. Answers how much less memory is used. */
int64_t auth_undo(struct auth *a, struct auth_row *r);
/* The oldest planned row is durable. Cannot fail. Answers how much less memory is used. */
int64_t auth_commit(struct auth *a, struct auth_row *r);
/* Takes the oldest garbage off whose row lies before `before`, answers its sequence; 0 when there is none. */
tn_seq auth_trim(struct auth *a, tn_seq before);
bool auth_trim_pending(const struct auth *a, tn_seq before);
/* Whether at least n_min rows are garbage, and they wait for a compaction behind `compacted` (its row). */
bool auth_garbage_since(const struct auth *a, tn_seq compacted, size_t n_min);
/* A row of garbage. */
static inline int64_t auth_garbage_memory(void)
{
    return (int64_t)sizeof(struct auth_row) + 16;
}

#endif
