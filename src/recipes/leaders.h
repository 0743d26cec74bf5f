/* Who leads, of many elections whose candidates are in one copy. A candidate's key lies right below its election's path and a slash;
 * of those the one with the lowest create revision leads (queue.h). What lies beside, behind a byte 0, is no candidate.
 *
 * Pure; thread: one caller at a time. */
#ifndef RECIPES_LEADERS_H
#define RECIPES_LEADERS_H

#include "recipes/view.h"

/* Up to its last slash, with that: what the candidates of an election have in common. len 0: it is no candidate's. skip: what the
 * elections lie below. */
bytes leaders_dir(bytes key, size_t skip);

/* The one who leads: in `leaders`, which has at most one of each election. NULL = nobody. */
struct keyset_entry *leaders_find(const struct keyset *leaders, bytes dir);

struct leaders_change {
    bytes dir;                /* borrowed from a change's key */
    struct keyset_entry *now; /* borrowed from leaders; NULL = nobody */
};

/* `all` has changed by these: brings leaders to what it says. ret has room for n. Every election whose leader is another one, or says
 * something else, is there once. TENURE_ENOMEM: leaders is as before. */
int leaders_apply(struct keyset *leaders, const struct keyset *all, size_t skip, const struct view_change *changes,
                  size_t n, struct leaders_change *ret, size_t *ret_n) MUST_USE;

#endif
