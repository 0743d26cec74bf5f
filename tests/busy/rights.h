/* Who may read what, as an administrator changes it, and what each replica was seen to know of it: W15 of docs/invariants.md. Pure.
 *
 * A right is one user's to read one prefix. While a change of it is under way either is right. A replica *knows* the right from when
 * it took or refused a watch, which was asked for behind the change's answer, as it should (whoever changes
 * rights lets a right be known everywhere before the next change of it): from then on what it tells must be right,
 * without any grace. Until then it may tell what was written no longer than late_ns behind the change: one that was cut off too.
 *
 * Times are of the clock of the events (when a put was sent); 0 = unknown. All that is told is told to the functions when it arrives.
 */
#ifndef BUSY_RIGHTS_H
#define BUSY_RIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RIGHTS_USERS = 3, RIGHTS_PREFIXES = 10, RIGHTS_REPLICAS = 16 };

struct right {
    bool stands, changes;
    int64_t answered_ns;               /* the last change */
    int64_t known_ns[RIGHTS_REPLICAS]; /* 0 = not yet */
};

struct rights {
    struct right of[RIGHTS_USERS][RIGHTS_PREFIXES];
    int64_t late_ns;
};

/* What a watch asks for. */
struct claim {
    int user;        /* -1: who may everything */
    int prefix;      /* -1: more than one prefix, which is nobody's */
    int replica;     /* where */
    int64_t sent_ns; /* when it was created */
};

void rights_changing(struct rights *r, int user, int prefix);
void rights_changed(struct rights *r, int user, int prefix, bool stands, int64_t now_ns);

/* Each of these: NULL, or what is wrong; static text. */

/* A watch that was asked for at asked_ns was allowed, or denied. ret_lag_ns: for how long the replica did not know; 0 = it did, or
 * does not yet. */
const char *rights_tried(struct rights *r, struct claim who, bool allowed, int64_t asked_ns, int64_t now_ns,
                         int64_t *ret_lag_ns);
/* The watch was created; it tells a put that was sent at written_ns; it was refused or ended, because that is not permitted. */
const char *rights_created(const struct rights *r, struct claim who);
const char *rights_told(const struct rights *r, struct claim who, int64_t written_ns);
const char *rights_denied(const struct rights *r, struct claim who);

#endif
