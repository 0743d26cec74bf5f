/* Does to the command's group what the page says is due; run by the guardian and by tenure alike. */
#ifndef CLI_ENFORCE_H
#define CLI_ENFORCE_H

#include "cli/page.h"

/* TERM, or KILL, when it is due; answers when to call again at the latest (INT64_MAX: only when the page changed). */
int64_t enforce(struct page *p, int64_t now_ms);
/* TERM now, whatever the time; KILL at kill_at_ms, or safe-until if that is earlier. */
void enforce_end(struct page *p, int64_t kill_at_ms);

#endif
