/* A carrier: copies what lies below a prefix of one cluster, the source, into another, the destination, and goes on with every change.
 *
 *     LOOK at both sides --claimed--> leases again --> COPY (exact difference, paged) --> FOLLOW (watch) --> …
 *        ^                                              ^                                  |
 *        `---- anything went wrong: what the record says counts, not what we remember -----+--- compacted, a lease lost
 *
 * All progress is a record in the destination, /federation/mirrors/<name><prefix>. Every transaction there compares the record's
 * mod_revision and writes the new record, so what was carried out and how far it got are one. A lost answer is settled by reading the
 * record: a transaction that arrives late finds another mod_revision, for ever. A second carrier of the same name takes the record over,
 * and the first one writes nothing any more and ends (FENCED).
 *
 * A revision of the source is one transaction, unless it has more operations than one may have; then the record counts its parts.
 * Several small revisions that touch no key twice go together: nobody sees half of one, each event is told, in the source's order.
 *
 * Who may copy what: see claim.c. Ends: DONE (once), REFUSED and FENCED; all else is tried again, and the last error shown.
 *
 * Pure; two clients, of the same thread; told the time. Bounded: 32 MiB of events wait, or one revision that is larger; two pages
 * of about 1 MiB are compared.
 */
#ifndef MIRROR_CARRIER_H
#define MIRROR_CARRIER_H

#include "client/client.h"

#define CARRIER_KEYS "/federation/mirrors/" /* with the name and the prefix behind it */
enum { CARRIER_NAME_MAX = 63, CARRIER_PREFIX_MAX = 1024 };

enum carrier_state {
    CARRIER_STARTING,
    CARRIER_WAITING, /* the source is not the home of the prefix: until it is */
    CARRIER_COPYING,
    CARRIER_FOLLOWING,
    /* the ends */
    CARRIER_DONE,    /* once: all that was there is copied */
    CARRIER_REFUSED, /* it must not be copied, see carrier_error */
    CARRIER_FENCED   /* another carrier of this name has taken over */
};

struct carrier_config {
    const char *name; /* copied; see carrier_name_is_good */
    bytes prefix;     /* copied, UTF-8; at the source */
    bytes to_prefix;  /* copied; at the destination; empty = the same */
    bool replace;     /* what is at the destination already goes, and a record of another source counts for nothing */
    bool once;
    struct client *source, *destination; /* outlive it */
    uint64_t writer;                     /* drawn: no other process has the same */
    int64_t heartbeat_ms;                /* the record is written at least as often; 0 = 10 s */
    int64_t (*wall_ms)(void *user);      /* for display */
    void (*asked)(void *user);           /* something was asked of a client: both need a turn */
    void *user;
};

struct carrier;

/* [A-Za-z0-9._-]{1,63} */
bool carrier_name_is_good(bytes name);
/* NULL, or why this prefix cannot be mirrored. */
const char *carrier_prefix_is_bad(bytes prefix);
/* NULL when out of memory. */
struct carrier *carrier_new(const struct carrier_config *config);
/* No callback comes behind it; calls under way run out unseen. The clients must live. NULL is fine; NULL. */
struct carrier *carrier_free(struct carrier *c, tn_ms now);
/* When carrier_deadline is due, and whenever the clients had a turn. The first begins it. */
void carrier_run(struct carrier *c, tn_ms now);
tn_ms carrier_deadline(const struct carrier *c);

struct carrier_view {
    enum carrier_state state;
    tn_rev revision;         /* of the source; all up to it is there */
    tn_rev newest;           /* the source's, when it was asked last */
    int64_t lag_ms;          /* the copy is not older than that; -1 = not known */
    int64_t keys, total;     /* while COPYING: of so many keys so many were compared */
    int64_t copied, deleted; /* keys written and deleted, ever, by the record */
    const char *error;       /* "" = none since all goes well; borrowed */
    int error_code;          /* of it; 0 */
};
void carrier_look(const struct carrier *c, tn_ms now, struct carrier_view *ret);
const char *carrier_state_name(enum carrier_state s);
/* The key of its record. Borrows. */
bytes carrier_key(const struct carrier *c);

#endif
