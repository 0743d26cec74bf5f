/* The planned tail: what was planned and is not durable, in order, as entries to undo or to commit, and the rows of it
 * for the log. Pure memory.
 *
 * Rows move from `back`, which planning fills, to `front`, which is handed out; the arrays change places when front has
 * been handed out whole, so handing out neither copies nor allocates. */
#ifndef STORE_TAIL_H
#define STORE_TAIL_H

#include "backend/record.h"

struct version;
struct lease;
struct compaction;
struct auth_row;

struct planned {
    enum record_kind kind;
    bool last_of_command;
    union {
        struct version *version;
        struct lease *lease;
        struct compaction *compaction;
        struct auth_row *auth;
    };
};

struct rows {
    struct record *at;
    size_t len, cap;
};

struct tail {
    struct planned *entries; /* a ring of `cap` places (a power of two or 0) */
    size_t cap, first, len;
    struct rows front, back;
    size_t handed; /* rows of front that were handed out */
};

void tail_init(struct tail *t);
void tail_fini(struct tail *t);

/* Makes room so that the next tail_push cannot fail. 0 or TENURE_ENOMEM. */
int tail_reserve(struct tail *t) MUST_USE;
void tail_push(struct tail *t, struct planned entry, const struct record *row);
/* The newest ends its command. */
void tail_seal(struct tail *t);
/* Takes the newest out, and its row where that has not been handed out. */
struct planned tail_pop(struct tail *t);
/* Takes the oldest out: it is durable. */
struct planned tail_shift(struct tail *t);
/* All rows go, handed out or not: they were not applied. */
void tail_drop_rows(struct tail *t);

/* As store_outbox. */
const struct record *tail_hand_out(struct tail *t, size_t max, size_t *ret_n);
bool tail_is_handed_out(const struct tail *t);

#endif
