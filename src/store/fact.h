/* Facts: what the log remembers beside keys and leases, a row each. An alarm of a member; the addresses for peers. A later row
 * of the same fact, or one that clears it, makes the earlier one superfluous; trim.c drops both. */
#ifndef STORE_FACT_H
#define STORE_FACT_H

#include "backend/record.h"
#include "base/list.h"

enum { FACTS_MAX = 1024 }; /* that stand at one time; more are refused */

/* Owner: one of the store's two lists. */
struct fact {
    struct list node; /* in facts.standing, or facts.gone by gone_seq */
    enum record_kind kind;
    uint64_t member_id;
    int32_t type;    /* of an alarm */
    tn_seq seq;      /* of its row; 0 = the log does not hold it any more */
    tn_seq gone_seq; /* of the row that replaced or cleared it; 0 = it stands */
    bool cleared;    /* that row says nothing else, so it goes too */
    size_t value_len;
    uint8_t value[];
};

struct facts {
    struct list standing, gone;
    size_t n_standing;
    size_t nospace, corrupt; /* alarms of these types that stand */
};

struct store;
struct key_range;

void facts_init(struct facts *f);
void facts_fini(struct facts *f);
struct fact *fact_find(const struct facts *f, enum record_kind kind, uint64_t member_id, int32_t type);
/* NULL when out of memory. Copies value. */
struct fact *fact_new(enum record_kind kind, uint64_t member_id, int32_t type, bytes value) MUST_USE;
/* f stands from row seq on, in place of the one before. */
void fact_stand(struct store *s, struct fact *f, tn_seq seq);
/* f is cleared by row seq. */
void fact_clear(struct store *s, struct fact *f, tn_seq seq);
/* Takes back the row seq, the newest of all. */
void fact_undo(struct store *s, tn_seq seq);
/* A clearing whose fact the log does not hold any more: replay keeps it to be dropped as well. 0 or TENURE_ENOMEM. */
int fact_cleared_unknown(struct store *s, tn_seq seq) MUST_USE;
/* The next row to drop before the given one; 0 = none. */
tn_seq fact_trim(struct store *s, tn_seq before);
bool fact_trim_pending(const struct facts *f, tn_seq before);
int64_t fact_memory(const struct fact *f);
/* Whether it stands as far as is durable. */
bool fact_is_durable(const struct fact *f, tn_seq seq_durable);

#endif
