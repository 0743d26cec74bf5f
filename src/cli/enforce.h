/* Does to the command what the page says is due; run by the guardian and by tenure alike.
 *
 * The command is its group, which the kernel knows, and what left that group and is found below tenure, below the command's
 * first process, or by the lease in its environment (see tree.h). Out of reach is what cleared its environment and lost its
 * parents when tenure was killed, and what became another user's. */
#ifndef CLI_ENFORCE_H
#define CLI_ENFORCE_H

#include "cli/page.h"
#include "cli/tree.h"

struct enforcer {
    struct page *page;
    struct tree tree;
};

/* TERM, or KILL, when it is due; answers when to call again at the latest (INT64_MAX: only when the page changed). */
int64_t enforce(struct enforcer *e, int64_t now_ms);
/* TERM now, whatever the time; KILL at kill_at_ms, or safe-until if that is earlier. */
void enforce_end(struct enforcer *e, int64_t kill_at_ms);
/* Remembers what left the group now: later it may have no parent to be found by. */
void enforce_look(struct enforcer *e);
/* An ending has begun and the group is gone: what left the group and is still there is killed. */
void enforce_rest(struct enforcer *e);
void enforce_fini(struct enforcer *e);

#endif
