/* Who may go in to a resource, by fencing tokens. Pure.
 *
 *     asks: token below the greatest seen ----> refused
 *           greater than it ------------------> kept (on the disk, by the caller's function), then as an equal one
 *           equal: nobody with a smaller one is inside -> INSIDE, beside others with the same
 *                  somebody is -> WAITING until the last of them has left; then INSIDE, or refused by a greater one that came
 *
 * So of two tokens never both are inside, and behind a greater one no smaller one is let in. Bounds: resources_max names; waiting
 * tickets are the caller's, one a connection. Thread: one caller at a time. */
#ifndef HTTP_TURNSTILE_H
#define HTTP_TURNSTILE_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/list.h"

#define TURNSTILE_NAME_MAX 512

struct turnstile;
struct turnstile_resource;

enum turnstile_state { TURNSTILE_NONE, TURNSTILE_WAITING, TURNSTILE_INSIDE, TURNSTILE_REFUSED };

/* A request's place; zeroed, then by turnstile_ticket_init. The caller's, and at its place until it is NONE again. */
struct turnstile_ticket {
    struct list link; /* waiting, or ready */
    struct turnstile_resource *resource;
    int64_t token;
    enum turnstile_state state;
};

struct turnstile_config {
    size_t resources_max; /* 0 = 10,000 */
    /* Each may be NULL. What was kept of a resource that is named for the first time (0 = nothing), and keeping a greater one:
     * 0 only when a crash cannot undo it. Errors: the request is refused with them. */
    int (*load)(void *user, const char *resource, int64_t *ret, struct tenure_error *err);
    int (*keep)(void *user, const char *resource, int64_t token, struct tenure_error *err);
    void *user;
};

struct turnstile *turnstile_new(const struct turnstile_config *config) MUST_USE; /* NULL: no memory */
struct turnstile *turnstile_free(struct turnstile *t); /* nobody may have a ticket; NULL is fine; NULL */

void turnstile_ticket_init(struct turnstile_ticket *k);
/* 0: see k->state, WAITING or INSIDE. TENURE_EFENCED (*ret_seen is the greatest), TENURE_EINVALID (a name that is empty or too long, a
 * token below 1), TENURE_ELIMIT, TENURE_ENOMEM, or what load and keep answered. */
int turnstile_enter(struct turnstile *t, bytes resource, int64_t token, struct turnstile_ticket *k, int64_t *ret_seen,
                    struct tenure_error *err) MUST_USE;
/* Out, or waiting no more; NONE then. Fine for one that is NONE. */
void turnstile_leave(struct turnstile *t, struct turnstile_ticket *k);
/* The next of those who waited and are INSIDE or REFUSED now (which is out, and still to be left); NULL. */
struct turnstile_ticket *turnstile_next(struct turnstile *t);
/* The greatest seen; 0 = none, or not asked about yet. */
int64_t turnstile_seen(const struct turnstile *t, bytes resource);
/* Of a ticket that is not NONE. */
const char *turnstile_name(const struct turnstile_ticket *k);
int64_t turnstile_ticket_seen(const struct turnstile_ticket *k);

#endif
