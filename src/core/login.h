/* Passwords under way: a call whose password is being hashed or checked elsewhere waits here for it.
 *
 *     submitted --done--> what the call asked for --> answered
 *         |
 *         +--the call ends first: nothing is done when the result comes
 */
#ifndef CORE_LOGIN_H
#define CORE_LOGIN_H

#include "core/call.h"

struct login {
    struct core_password job;
    struct list in_core; /* in core.logins */
    struct core *core;
    struct core_call *call; /* NULL: it has ended */
    /* With the result in job; the arena and out of the core are empty, and the call must be answered or held. */
    void (*then)(struct core_call *call, struct login *l, tn_ms now);
    uint64_t auth_revision;       /* what was seen when it began */
    bool unknown, unfit;          /* no such user, no such password: checked for the time that it takes */
    struct auth_user by;          /* who asked; name in data */
    size_t name_len, by_name_len; /* whom it is about, and who asked: in data */
    uint8_t data[];
};

/* A login about `name`, asked for by `by`, with the password; NULL: TOO_MANY_REQUESTS or no memory, the call is ended. */
struct login *login_new(struct core_call *call, bytes name, struct auth_user by, bytes password) MUST_USE;
/* Takes l: sends it off. The call may be answered when this returns. */
void login_submit(struct login *l, enum core_password_kind kind,
                  void (*then)(struct core_call *call, struct login *l, tn_ms now));
static inline bytes login_name(const struct login *l)
{
    return bytes_of(l->data, l->name_len);
}
/* The call ends. */
void login_forget(struct core_call *call);
void logins_fini(struct core *c);

#endif
