/* The leases: by id, by deadline, and those revoked whose rows still lie in the log. Pure memory and time given.
 *
 * Deadlines in the heap are relative to `shift`, so that all of them move later in one step. */
#ifndef STORE_LEASE_SET_H
#define STORE_LEASE_SET_H

#include "api/lease.h"
#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"

/* Owned by the set, from grant until its rows are trimmed from the log. */
struct lease {
    tn_lease id;
    int64_t ttl_s;
    tn_seq grant_seq;         /* of the grant's row; 0 once that was trimmed, or unknown after a replay */
    tn_seq revoke_seq;        /* 0 while it stands */
    struct heap_node expiry;  /* outside while revoked */
    struct list keys;         /* lease_node of the keys whose newest planned version has it */
    struct list revoked_node; /* in lease_set.revoked */
};

struct lease_set {
    struct map by_id;
    struct heap expiry;
    struct list revoked; /* in order of revoke_seq: durable ones first */
    size_t n_revoked;
    tn_ms shift;
};

void lease_set_init(struct lease_set *set);
void lease_set_fini(struct lease_set *set);

/* A lease outside of the set; NULL when out of memory. */
struct lease *lease_new(tn_lease id, int64_t ttl_s) MUST_USE;
struct lease *lease_free(struct lease *l); /* NULL is fine; NULL */
int64_t lease_memory(void);

struct lease *lease_find(const struct lease_set *set, tn_lease id); /* NULL when it does not stand */
/* Makes room so that the next lease_add cannot fail. 0 or TENURE_ENOMEM. */
int lease_set_reserve(struct lease_set *set) MUST_USE;
/* The set owns l. A lease that was just taken out finds its room again. */
void lease_add(struct lease_set *set, struct lease *l, tn_ms deadline);
void lease_remove(struct lease_set *set, struct lease *l); /* the caller owns it */

/* Puts a lease that is outside among the revoked, and takes it back. */
void lease_set_revoked(struct lease_set *set, struct lease *l, tn_seq revoke_seq);
void lease_clear_revoked(struct lease_set *set, struct lease *l);

tn_ms lease_deadline(const struct lease_set *set, const struct lease *l);
void lease_set_deadline(struct lease_set *set, struct lease *l, tn_ms deadline);
/* The one whose deadline comes first; NULL when there is none. */
struct lease *lease_first(const struct lease_set *set);
/* Of two leases, the one that expires sooner; ties by order of grant. */
bool lease_expires_before(const struct lease *a, const struct lease *b);

#endif
