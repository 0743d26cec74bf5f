/* What `tenure lock`, `rwlock`, `sem` and `elect` are after: a lock of some kind or a leadership, on a handle that lives in this program's own loop.
 * One thread; no callback leaves this file, the state is read after each claim_turn.
 *
 *   NONE -> ASKING -> HELD -> LOST
 *              \        \------> RELEASING -> NONE
 *               \-> REFUSED
 */
#ifndef CLI_CLAIM_H
#define CLI_CLAIM_H

#include <stdbool.h>
#include <tenure/tenure.h>

#include "cli/command.h"

enum claim_state { CLAIM_NONE, CLAIM_ASKING, CLAIM_HELD, CLAIM_REFUSED, CLAIM_LOST, CLAIM_RELEASING };

/* Of a lock. */
enum claim_share { CLAIM_WHOLE, CLAIM_READ, CLAIM_WRITE, CLAIM_PERMIT };

struct claim_options {
    bool election;
    enum claim_share share;
    int64_t weight, limit; /* of a permit */
    int64_t delay_ms;      /* lock-delay; of CLAIM_WHOLE and CLAIM_WRITE */
    const char *name;
    bool whole_key; /* name is the key's beginning itself, not a name under /locks/ or /election/ */
    int64_t ttl_s;
    int64_t timeout_ms; /* < 0: without end; 0: not at all */
    const char *purpose;
    const char *proposal;
    int64_t preference; /* of an election */
    const char *region; /* where to ask, "home" = where the name's home is; NULL = here */
};

struct claim {
    struct claim_options o;
    const char *command; /* for messages: "lock" */
    char *prefix;        /* NULL = the library's */
    const char *name;    /* behind the prefix */
    tenure_client *client;
    tenure_lock *lock;
    tenure_election *election;
    int n_releasing; /* releases under way, of earlier attempts as well */
    enum claim_state state;
    int64_t token;
    struct tenure_error why; /* of REFUSED and LOST, and of a release that failed */
    int64_t ask_until_ms;    /* BOOTTIME; INT64_MAX = without end */
    int64_t call_timeout_ms;
    int64_t answer_until_ms; /* BOOTTIME; a server must have answered by then */
    bool was_answered;       /* one has: what fails later is worth waiting for */
    bool was_refused;        /* by its home, and that was said: a candidate stands on */
};

/* Opens the handle. False after having said why. Borrows o's strings. */
bool claim_open(struct claim *c, const char *command, const struct global_options *g, const struct claim_options *o);
/* Closes the handle, bounded; what is held is released. */
void claim_close(struct claim *c);

/* Begins to ask; state is ASKING or REFUSED then. REFUSED comes also when no server answers within the call timeout; once one
 * has answered, it may be asked again. */
void claim_ask(struct claim *c);
/* Does what is due. */
void claim_turn(struct claim *c);
int claim_fd(const struct claim *c);
int claim_wait_ms(const struct claim *c);
/* Gives it up, held or not; a while later the state is NONE, with why set when it is not known to be free. */
void claim_release(struct claim *c);

/* Milliseconds until it is no longer safe to believe in it; <= 0 = not held. */
int64_t claim_remaining_ms(const struct claim *c);
int64_t claim_lease(const struct claim *c); /* 0 while there is none */
void claim_key(const struct claim *c, char *out, size_t size);

#endif
